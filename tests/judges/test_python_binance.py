"""python-binance (synchronous and asynchronous) against both Binance families: only the base addresses differ."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from typing import Any

import pytest

from tests.judges.conftest import RunningSimulator

with warnings.catch_warnings():  # the library imports names that the websockets package has deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance import AsyncClient, BinanceSocketManager, Client
    from binance.exceptions import BinanceAPIException
    from binance.ws.reconnecting_websocket import ReconnectingWebsocket

SYMBOL = "BTCUSDT"
Start = Callable[..., RunningSimulator]
PATIENCE_S = 20


@pytest.fixture(scope="module")
def spot(shared_simulator: Start) -> RunningSimulator:
    return shared_simulator("binance-spot", "--symbols", SYMBOL)


@pytest.fixture(scope="module")
def usdm(shared_simulator: Start) -> RunningSimulator:
    return shared_simulator("binance-usdm", "--symbols", SYMBOL)


def _addresses(venue: RunningSimulator) -> dict[str, str]:
    """Of both products; each client asks one of them only."""
    return {
        "API_URL": f"{venue.rest}/api",
        "FUTURES_URL": f"{venue.rest}/fapi",
        "WS_API_URL": venue.urls["ws_api"],
        "WS_FUTURES_URL": venue.urls["ws_api"],
    }


@contextmanager
def _client(venue: RunningSimulator) -> Iterator[Client]:
    """Readdressed before it is made, since it builds its sockets' addresses at once.

    The synchronous client asks for an event loop all the same and leaves it open: it gets one of ours.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    kind = type("Readdressed", (Client,), _addresses(venue))
    client = kind(venue.keys["hmac_key"], venue.keys["hmac_secret"], ping=False)
    try:
        yield client
    finally:
        client.close_connection()
        asyncio.set_event_loop(None)
        loop.close()


@asynccontextmanager
async def _async_client(venue: RunningSimulator) -> AsyncIterator[tuple[Any, Any]]:
    kind = type("Readdressed", (AsyncClient,), _addresses(venue))
    client = kind(venue.keys["hmac_key"], venue.keys["hmac_secret"], loop=asyncio.get_running_loop())
    sockets = type("Sockets", (BinanceSocketManager,), dict.fromkeys(_STREAMS, venue.urls["streams"] + "/"))
    try:
        yield client, sockets(client)
    finally:
        await client.close_connection()


@pytest.fixture(autouse=True)
def _closes_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library learns that it is being closed when a message comes, or after this many seconds without one."""
    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 1)


_STREAMS = ("STREAM_URL", "FSTREAM_URL")


async def _until(socket: Any, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = await socket.recv()
        if wanted(message):
            return message


# ------------------------------------------------------------------------------------------------ Spot
@pytest.fixture
def spot_client(spot: RunningSimulator) -> Iterator[Client]:
    with _client(spot) as client:
        yield client


def _below(price: str, step: str = "0.01") -> str:
    return str((Decimal(price) * Decimal("0.9")).quantize(Decimal(step)))


def test_spot_orders_and_balances(spot_client: Client) -> None:
    client = spot_client
    assert client.get_symbol_info(SYMBOL)["baseAsset"] == "BTC"
    assert len(client.get_klines(symbol=SYMBOL, interval="1m", limit=5)) == 5
    price = _below(client.get_symbol_ticker(symbol=SYMBOL)["price"])
    order = client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=price, newClientOrderId="pb-1")
    assert (order["status"], order["clientOrderId"]) == ("NEW", "pb-1")
    assert client.get_order(symbol=SYMBOL, orderId=order["orderId"])["price"] == f"{Decimal(price):.8f}"
    amended = client._put(  # the library has no call of its own for it
        "order/amend/keepPriority", True, data={"symbol": SYMBOL, "orderId": order["orderId"], "newQty": "0.005"}
    )
    assert amended["amendedOrder"]["qty"] == "0.00500000"
    assert [each["orderId"] for each in client.get_open_orders(symbol=SYMBOL)] == [order["orderId"]]
    assert client.cancel_order(symbol=SYMBOL, orderId=order["orderId"])["status"] == "CANCELED"
    before = Decimal(client.get_asset_balance("BTC")["free"])
    bought = client.order_market_buy(symbol=SYMBOL, quantity="0.01")
    fee = sum(Decimal(fill["commission"]) for fill in bought["fills"])
    assert Decimal(client.get_asset_balance("BTC")["free"]) == before + Decimal("0.01") - fee
    assert {each["orderId"] for each in client.get_my_trades(symbol=SYMBOL)} == {bought["orderId"]}


def test_spot_refusal(spot_client: Client) -> None:
    with pytest.raises(BinanceAPIException) as refused:
        spot_client.cancel_order(symbol=SYMBOL, orderId=987654)
    assert refused.value.code == -2011


def test_spot_streams(spot: RunningSimulator) -> None:
    async def watch() -> None:
        async with asyncio.timeout(PATIENCE_S), _async_client(spot) as (client, sockets):
            async with sockets.depth_socket(SYMBOL) as depth, sockets.trade_socket(SYMBOL) as trades:
                first = await _until(depth, lambda message: message.get("e") == "depthUpdate")
                then = await _until(depth, lambda message: message.get("e") == "depthUpdate")
                assert then["U"] == first["u"] + 1
                assert (await _until(trades, lambda message: message.get("e") == "trade"))["s"] == SYMBOL
            async with sockets.user_socket() as user:
                placed = await client.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.01")
                report = await _until(user, lambda message: message.get("e") == "executionReport")
                assert report["i"] == placed["orderId"]

    asyncio.run(watch())


# ----------------------------------------------------------------------------------------------- USDT-M
@pytest.fixture
def usdm_client(usdm: RunningSimulator) -> Iterator[Client]:
    with _client(usdm) as client:
        yield client
        client.futures_cancel_all_open_orders(symbol=SYMBOL)


def test_usdm_orders(usdm_client: Client) -> None:
    client = usdm_client
    [info] = client.futures_exchange_info()["symbols"]
    assert info["marginAsset"] == "USDT"
    price = _below(client.futures_symbol_ticker(symbol=SYMBOL)["price"], "0.1")
    terms = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.01", "price": price}
    order = client.futures_create_order(**terms, type="LIMIT", timeInForce="GTC", newClientOrderId="pb-1")
    assert (order["status"], order["clientOrderId"]) == ("NEW", "pb-1")
    changed = client.futures_modify_order(**terms | {"quantity": "0.02"}, orderId=order["orderId"])
    assert changed["origQty"] == "0.020"
    found = client.futures_get_order(symbol=SYMBOL, orderId=order["orderId"])
    assert (found["origQty"], found["status"]) == ("0.020", "NEW")
    assert [each["orderId"] for each in client.futures_get_open_orders(symbol=SYMBOL)] == [order["orderId"]]
    assert client.futures_cancel_order(symbol=SYMBOL, orderId=order["orderId"])["status"] == "CANCELED"


def test_usdm_positions_and_money(usdm_client: Client) -> None:
    client = usdm_client
    assert client.futures_change_leverage(symbol=SYMBOL, leverage=5)["leverage"] == 5
    wallet = _wallet(client)
    bought = client.futures_create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.03")
    position = next(each for each in client.futures_position_information(symbol=SYMBOL))
    assert Decimal(position["positionAmt"]) == Decimal("0.03")
    closed = client.futures_create_order(symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.03", reduceOnly="true")
    trades = client.futures_account_trades(symbol=SYMBOL)
    mine = [each for each in trades if each["orderId"] in (bought["orderId"], closed["orderId"])]
    change = sum(Decimal(each["realizedPnl"]) - Decimal(each["commission"]) for each in mine)
    assert _wallet(client) == wallet + change
    booked = {each["incomeType"] for each in client.futures_income_history(symbol=SYMBOL)}
    assert "COMMISSION" in booked


def _wallet(client: Client) -> Decimal:
    return next(Decimal(each["balance"]) for each in client.futures_account_balance() if each["asset"] == "USDT")


def test_usdm_conditional_orders(usdm_client: Client) -> None:
    client = usdm_client
    trigger = _below(client.futures_symbol_ticker(symbol=SYMBOL)["price"], "0.1")
    placed = client.futures_create_algo_order(
        symbol=SYMBOL, side="SELL", type="STOP_MARKET", quantity="0.01", triggerPrice=trigger
    )
    [found] = client.futures_get_open_algo_orders(symbol=SYMBOL)
    assert (found["algoId"], found["algoStatus"]) == (placed["algoId"], "NEW")
    assert client.futures_cancel_algo_order(algoId=placed["algoId"])["code"] == "200"


def test_usdm_refusal(usdm_client: Client) -> None:
    with pytest.raises(BinanceAPIException) as refused:
        usdm_client.futures_get_order(symbol=SYMBOL, orderId=987654)
    assert refused.value.code == -2013


def test_usdm_streams(usdm: RunningSimulator) -> None:
    async def watch() -> None:
        async with asyncio.timeout(PATIENCE_S), _async_client(usdm) as (client, sockets):
            async with sockets.futures_depth_socket(SYMBOL) as depth, sockets.aggtrade_futures_socket(SYMBOL) as trades:
                assert (await depth.recv())["data"]["e"] == "depthUpdate"
                assert (await trades.recv())["data"]["e"] == "aggTrade"
            async with sockets.futures_user_socket() as user:
                placed = await client.futures_create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.01")
                told = await _until(user, lambda message: message.get("e") == "ORDER_TRADE_UPDATE")
                assert told["o"]["i"] == placed["orderId"]
                account = await _until(user, lambda message: message.get("e") == "ACCOUNT_UPDATE")
                assert account["a"]["P"][0]["pa"] == "0.010"

    asyncio.run(watch())
