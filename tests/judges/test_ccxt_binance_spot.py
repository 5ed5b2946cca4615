"""ccxt (synchronous, and its streaming half) against the simulator's Binance Spot: only the base address differs."""

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

SYMBOL = "BTC/USDT"
Start = Callable[..., RunningSimulator]
PATIENCE_S = 20


@pytest.fixture(scope="module")
def venue(shared_simulator: Start) -> RunningSimulator:
    return shared_simulator("binance-spot", "--symbols", "BTCUSDT,ETHUSDT")


@pytest.fixture
def client(venue: RunningSimulator) -> Iterator[Any]:
    made = readdress(ccxt.binance(ccxt_config(venue, "spot")), venue)
    yield made
    if made.fetch_open_orders(SYMBOL):
        made.cancel_all_orders(SYMBOL)


def test_market_data(client: Any, venue: RunningSimulator) -> None:
    markets = client.load_markets()
    assert {SYMBOL, "ETH/USDT"} == set(markets)
    assert (markets[SYMBOL]["spot"], markets[SYMBOL]["precision"]["price"]) == (True, 0.01)
    book = client.fetch_order_book(SYMBOL, 20)
    assert book["bids"][0][0] < book["asks"][0][0]
    bars = client.fetch_ohlcv(SYMBOL, "1m", limit=10)
    assert [later[0] - earlier[0] for earlier, later in pairwise(bars)] == [60_000] * 9
    ticker = client.fetch_ticker(SYMBOL)
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    venue.admin.post("trade", symbol="BTCUSDT", side="BUY", qty="0.001")
    assert client.fetch_trades(SYMBOL, limit=5)[-1]["symbol"] == SYMBOL


def test_place_query_amend_cancel(client: Any) -> None:
    """Spot has no amend of a price: the client cancels and places anew with one request."""
    price = on_grid(client, SYMBOL, 0.9)
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": "judge-1"})
    assert (order["status"], order["clientOrderId"]) == ("open", "judge-1")
    assert client.fetch_order(order["id"], SYMBOL)["amount"] == 0.01
    anew = client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, price)
    assert client.fetch_order(order["id"], SYMBOL)["status"] == "canceled"
    [found] = client.fetch_open_orders(SYMBOL)
    assert (found["id"], found["amount"], found["price"]) == (anew["id"], 0.02, price)
    client.cancel_order(anew["id"], SYMBOL)
    assert client.fetch_open_orders(SYMBOL) == []


def test_fill_balance_and_trades(client: Any) -> None:
    before = client.fetch_balance()
    order = client.create_order(SYMBOL, "market", "buy", 0.05)
    assert (order["status"], order["filled"]) == ("closed", 0.05)
    trades = client.fetch_my_trades(SYMBOL, params={"orderId": order["id"]})
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.05)
    fee = sum(trade["fee"]["cost"] for trade in trades)
    after = client.fetch_balance()
    assert after["BTC"]["total"] == pytest.approx(before["BTC"]["total"] + 0.05 - fee)
    assert after["USDT"]["total"] == pytest.approx(before["USDT"]["total"] - order["cost"])


def test_stop_waits(client: Any) -> None:
    trigger = on_grid(client, SYMBOL, 0.9)
    stop = client.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": trigger})
    found = client.fetch_order(stop["id"], SYMBOL)
    assert (found["triggerPrice"], found["status"]) == (trigger, "open")
    client.cancel_order(stop["id"], SYMBOL)


@pytest.mark.parametrize(
    "params, error",
    [
        ({"amount": 50}, ccxt.InsufficientFunds),
        ({"amount": 0.00001}, ccxt.BadRequest),
        ({"params": {"postOnly": True}, "side": "buy", "price": 10**6}, ccxt.ExchangeError),
    ],
)
def test_refusals_are_understood(client: Any, params: dict[str, Any], error: type[Exception]) -> None:
    price = on_grid(client, SYMBOL, 1.1)
    request = {"symbol": SYMBOL, "type": "limit", "side": "sell", "amount": 0.01, "price": price, "params": {}} | params
    with pytest.raises(error):
        client.create_order(**request)
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order("123456789", SYMBOL)


def test_wrong_key_is_an_authentication_error(venue: RunningSimulator) -> None:
    stranger = readdress(ccxt.binance(ccxt_config(venue, "spot") | {"secret": "wrong"}), venue)
    with pytest.raises(ccxt.AuthenticationError):
        stranger.fetch_balance()


def test_streams_and_socket_order_entry(venue: RunningSimulator) -> None:
    async def watch() -> None:
        client = readdress(ccxt.pro.binance(ccxt_config(venue, "spot")), venue)
        try:
            async with asyncio.timeout(PATIENCE_S):
                book = await client.watch_order_book(SYMBOL)
                assert book["bids"][0][0] < book["asks"][0][0]
                assert (await client.watch_trades(SYMBOL))[0]["symbol"] == SYMBOL
                assert len((await client.watch_ohlcv(SYMBOL, "1m"))[-1]) == 6
                assert (await client.watch_ticker(SYMBOL))["symbol"] == SYMBOL
                orders = asyncio.create_task(client.watch_orders(SYMBOL))
                fills = asyncio.create_task(client.watch_my_trades(SYMBOL))
                balance = asyncio.create_task(client.watch_balance())
                await asyncio.sleep(1)
                placed = await client.create_order_ws(SYMBOL, "market", "buy", 0.01)
                assert placed["filled"] == 0.01
                assert (await orders)[-1]["id"] == placed["id"]
                assert (await fills)[-1]["order"] == placed["id"]
                assert (await balance)["BTC"]["free"] > 0
                resting = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, book["bids"][-1][0])
                assert (await client.fetch_order_ws(resting["id"], SYMBOL))["status"] == "open"
                await client.cancel_order_ws(resting["id"], SYMBOL)
        finally:
            await client.close()

    asyncio.run(watch())
