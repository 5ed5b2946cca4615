"""ccxt (synchronous, and its streaming half) against the simulator's USDT-M Futures: only the base address differs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tests.judges.binance_kit import ccxt_config, on_grid, readdress
from tests.judges.conftest import RunningSimulator

SYMBOL = "BTC/USDT:USDT"
Start = Callable[..., RunningSimulator]
PATIENCE_S = 20


@pytest.fixture(scope="module")
def venue(shared_simulator: Start) -> RunningSimulator:
    return shared_simulator("binance-usdm", "--symbols", "BTCUSDT,ETHUSDT")


@pytest.fixture
def client(venue: RunningSimulator) -> Iterator[Any]:
    made = readdress(ccxt.binanceusdm(ccxt_config(venue, "linear")), venue)
    yield made
    made.cancel_all_orders(SYMBOL)
    made.cancel_all_orders(SYMBOL, {"trigger": True})


@pytest.fixture
def flat(client: Any) -> Iterator[Any]:
    """A client whose positions are closed afterwards."""
    yield client
    for position in client.fetch_positions([SYMBOL]):
        if position["contracts"]:
            side = "sell" if position["side"] == "long" else "buy"
            client.create_order(SYMBOL, "market", side, position["contracts"], None, {"reduceOnly": True})


def test_market_data(client: Any) -> None:
    markets = client.load_markets()
    assert {SYMBOL, "ETH/USDT:USDT"} == set(markets)
    assert (markets[SYMBOL]["linear"], markets[SYMBOL]["precision"]["price"]) == (True, 0.1)
    book = client.fetch_order_book(SYMBOL, 20)
    assert book["bids"][0][0] < book["asks"][0][0]
    bars = client.fetch_ohlcv(SYMBOL, "1m", limit=10)
    assert [later[0] - earlier[0] for earlier, later in pairwise(bars)] == [60_000] * 9
    ticker = client.fetch_ticker(SYMBOL)
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    funding = client.fetch_funding_rate(SYMBOL)
    assert funding["fundingRate"] == 0.0001
    assert client.fetch_leverage_tiers([SYMBOL])[SYMBOL][0]["maxLeverage"] == 125


def test_place_amend_query_cancel(client: Any) -> None:
    price = on_grid(client, SYMBOL, 0.95)
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": "judge-1"})
    assert (order["status"], order["clientOrderId"]) == ("open", "judge-1")
    client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, price)
    found = client.fetch_order(order["id"], SYMBOL)
    assert (found["amount"], found["price"], found["status"]) == (0.02, price, "open")
    assert [each["id"] for each in client.fetch_open_orders(SYMBOL)] == [order["id"]]
    client.cancel_order(order["id"], SYMBOL)
    assert client.fetch_order(order["id"], SYMBOL)["status"] == "canceled"
    assert client.fetch_open_orders(SYMBOL) == []


def test_batches_answer_each_item(client: Any) -> None:
    price = on_grid(client, SYMBOL, 0.95)
    wanted = [{"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": qty, "price": price} for qty in (0.01, 5000)]
    found = {order["status"]: order for order in client.create_orders(wanted)}  # sorted by time, not as sent
    assert set(found) == {"open", "rejected"}
    good = found["open"]
    canceled = client.cancel_orders([good["id"], "987654"], SYMBOL)
    assert canceled[0]["status"] == "canceled"


def test_fill_position_balance_and_trades(flat: Any) -> None:
    before = flat.fetch_balance()["USDT"]["total"]
    order = flat.create_order(SYMBOL, "market", "buy", 0.05)
    assert (order["status"], order["filled"]) == ("closed", 0.05)
    [position] = flat.fetch_positions([SYMBOL])
    assert (position["side"], position["contracts"]) == ("long", 0.05)
    assert position["liquidationPrice"] is None or position["liquidationPrice"] < position["entryPrice"]
    trades = flat.fetch_my_trades(SYMBOL, params={"orderId": order["id"]})
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.05)
    paid = sum(trade["fee"]["cost"] for trade in trades)
    assert flat.fetch_balance()["USDT"]["total"] == pytest.approx(before - paid)
    assert flat.fetch_ledger("USDT")[-1]["type"] == "commission"


def test_stop_lives_in_the_algo_service(flat: Any) -> None:
    flat.create_order(SYMBOL, "market", "buy", 0.01)
    trigger = on_grid(flat, SYMBOL, 0.9)
    stop = flat.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": trigger, "reduceOnly": True})
    [found] = flat.fetch_open_orders(SYMBOL, params={"trigger": True})
    assert (found["id"], found["triggerPrice"]) == (stop["id"], trigger)
    assert flat.fetch_open_orders(SYMBOL) == []
    flat.cancel_order(stop["id"], SYMBOL, {"trigger": True})
    assert flat.fetch_open_orders(SYMBOL, params={"trigger": True}) == []


def test_settings(client: Any) -> None:
    other = "ETH/USDT:USDT"
    assert client.set_leverage(10, other)["leverage"] == 10
    assert client.fetch_leverages([other])[other]["longLeverage"] == 10
    client.set_margin_mode("isolated", other)
    with pytest.raises(ccxt.MarginModeAlreadySet):
        client.set_margin_mode("isolated", other)
    assert client.fetch_margin_modes([other])[other]["marginMode"] == "isolated"
    client.set_margin_mode("cross", other)
    assert client.fetch_position_mode(other)["hedged"] is False
    client.set_position_mode(True)
    with pytest.raises(ccxt.ExchangeError, match="-4061"):
        client.create_order(SYMBOL, "limit", "buy", 0.01, on_grid(client, SYMBOL, 0.95))
    client.set_position_mode(False)


@pytest.mark.parametrize(
    "params, error",
    [
        ({"amount": 10_000}, ccxt.ExchangeError),
        ({"price": 1.0}, ccxt.ExchangeError),
        ({"params": {"reduceOnly": True}}, ccxt.ExchangeError),
    ],
)
def test_refusals_are_understood(client: Any, params: dict[str, Any], error: type[Exception]) -> None:
    price = on_grid(client, SYMBOL, 0.95)
    request = {"symbol": SYMBOL, "type": "limit", "side": "sell", "amount": 0.01, "price": price, "params": {}} | params
    with pytest.raises(error):
        client.create_order(**request)
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order("123456789", SYMBOL)


def test_wrong_key_is_an_authentication_error(venue: RunningSimulator) -> None:
    stranger = readdress(ccxt.binanceusdm(ccxt_config(venue, "linear") | {"secret": "wrong"}), venue)
    with pytest.raises(ccxt.AuthenticationError):
        stranger.fetch_balance()


async def _opened(client: Any) -> float:
    """The first position that is told, after the empty picture at the start."""
    while True:
        for position in await client.watch_positions([SYMBOL]):
            if position["contracts"]:
                return float(position["contracts"])


def test_streams_and_socket_order_entry(venue: RunningSimulator) -> None:
    """Books on /public, prints and candles on /market, orders and positions on /private, entry on the WebSocket API."""

    async def watch() -> None:
        client = readdress(ccxt.pro.binanceusdm(ccxt_config(venue, "linear")), venue)
        try:
            async with asyncio.timeout(PATIENCE_S):
                book = await client.watch_order_book(SYMBOL)
                assert book["bids"][0][0] < book["asks"][0][0]
                trades = await client.watch_trades(SYMBOL)
                assert trades[0]["symbol"] == SYMBOL
                [bar] = (await client.watch_ohlcv(SYMBOL, "1m"))[-1:]
                assert len(bar) == 6
                assert (await client.watch_ticker(SYMBOL))["symbol"] == SYMBOL
                assert (await client.watch_mark_price(SYMBOL))["markPrice"] > 0
                orders = asyncio.create_task(client.watch_orders(SYMBOL))
                fills = asyncio.create_task(client.watch_my_trades(SYMBOL))
                positions = asyncio.create_task(_opened(client))
                await asyncio.sleep(1)
                placed = await client.create_order_ws(SYMBOL, "market", "buy", 0.01)
                assert placed["status"] in ("closed", "open")
                assert (await orders)[-1]["symbol"] == SYMBOL
                assert (await fills)[-1]["order"] == placed["id"]
                assert await positions == 0.01
                resting = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, book["bids"][-1][0])
                await client.edit_order_ws(resting["id"], SYMBOL, "limit", "buy", 0.02, book["bids"][-1][0])
                assert (await client.fetch_order_ws(resting["id"], SYMBOL))["amount"] == 0.02
                await client.cancel_order_ws(resting["id"], SYMBOL)
                await client.create_order_ws(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})
        finally:
            await client.close()

    asyncio.run(watch())
