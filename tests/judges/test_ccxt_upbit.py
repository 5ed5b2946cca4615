"""ccxt (synchronous, and its streaming half) against the simulator's Upbit: only the base addresses differ."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import ccxt
import ccxt.pro
import pytest

from tests.judges.conftest import RunningSimulator

SYMBOL, CODE = "BTC/KRW", "KRW-BTC"
Start = Callable[..., RunningSimulator]


@pytest.fixture(scope="module")
def venue(shared_simulator: Start) -> RunningSimulator:
    limits = ("order", "default", "market", "orderbook", "ticker", "candle", "trade")
    fields = ["orders_per_second", *(f"{name}_per_second" for name in limits[1:])]
    return shared_simulator("upbit", *(part for field in fields for part in ("--limit", f"{field}=0")))


def _made(kind: Any, venue: RunningSimulator) -> Any:
    """The client as it is, with the simulator's host in its addresses."""
    client = kind({"apiKey": venue.keys["hmac_key"], "secret": venue.keys["hmac_secret"], "enableRateLimit": False})
    client.hostname = urlsplit(venue.rest).netloc
    addresses = client.urls["api"]
    client.urls["api"] = {
        name: url.replace("https://", "http://").replace("wss://", "ws://") for name, url in addresses.items()
    }
    return client


@pytest.fixture
def client(venue: RunningSimulator) -> Iterator[Any]:
    made = _made(ccxt.upbit, venue)
    yield made
    for order in made.fetch_open_orders(SYMBOL):
        made.cancel_order(order["id"])


def _away(client: Any, share: float = 0.9) -> float:
    """A price far from the market, on the unit of its range."""
    return float(client.fetch_ticker(SYMBOL)["last"] * share // 1000 * 1000)


def _name() -> str:
    return f"judge-{uuid.uuid4().hex}"


def test_market_data(client: Any) -> None:
    markets = client.load_markets()
    assert {SYMBOL, "ETH/KRW", "ETH/BTC"} <= set(markets)
    book = client.fetch_order_book(SYMBOL, limit=5)
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["bids"][0][0] < book["asks"][0][0]
    for timeframe, step in (("1m", 60_000), ("1h", 3_600_000), ("1d", 86_400_000)):
        bars = client.fetch_ohlcv(SYMBOL, timeframe, limit=5)
        assert [later[0] - earlier[0] for earlier, later in pairwise(bars)] == [step] * 4
        assert all(low <= min(opened, close) <= max(opened, close) <= high for _, opened, high, low, close, _ in bars)
    days = client.fetch_ohlcv(SYMBOL, "1d", limit=5)
    assert client.fetch_ohlcv(SYMBOL, "1d", since=days[0][0], limit=2) == days[:2]
    ticker = client.fetch_ticker(SYMBOL)
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert set(client.fetch_tickers([SYMBOL, "ETH/KRW"])) == {SYMBOL, "ETH/KRW"}
    venue_trade = client.fetch_trades(SYMBOL, limit=5)[-1]
    assert (venue_trade["symbol"], len(venue_trade["id"])) == (SYMBOL, 17)


def test_place_edit_query_cancel(client: Any) -> None:
    price, name = _away(client), _name()
    placed = client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": name, "identifier": name})
    assert (placed["status"], placed["side"], placed["price"]) == ("open", "buy", price)
    assert client.fetch_order(placed["id"])["clientOrderId"] == name
    edited = client.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.02, price + 1000)
    new_id = edited["id"]
    assert client.fetch_order(placed["id"])["status"] == "canceled"
    shown = client.fetch_order(new_id)
    assert (shown["status"], shown["amount"], shown["price"]) == ("open", 0.02, price + 1000)
    assert [order["id"] for order in client.fetch_open_orders(SYMBOL)] == [new_id]
    client.cancel_order(new_id)
    assert client.fetch_open_orders(SYMBOL) == []
    assert new_id in [order["id"] for order in client.fetch_canceled_orders(SYMBOL)]


def test_market_orders_fees_and_balances(client: Any) -> None:
    before = client.fetch_balance()
    bought = client.create_order(SYMBOL, "market", "buy", 1, None, {"cost": 1_000_000})
    shown = client.fetch_order(bought["id"])
    assert shown["status"] in ("canceled", "closed")
    assert 999_000 < shown["cost"] <= 1_000_000
    assert float(shown["fee"]["cost"]) == pytest.approx(shown["cost"] * 0.0005)
    assert sum(trade["amount"] for trade in shown["trades"]) == pytest.approx(shown["filled"])
    sold = client.create_order(SYMBOL, "market", "sell", shown["filled"])
    assert client.fetch_order(sold["id"])["status"] == "closed"
    after = client.fetch_balance()
    assert after["BTC"]["total"] == pytest.approx(before["BTC"]["total"])
    assert after["KRW"]["total"] < before["KRW"]["total"]
    assert client.fetch_trading_fee(SYMBOL)["taker"] == 0.0005
    assert sold["id"] in [order["id"] for order in client.fetch_closed_orders(SYMBOL)]


@pytest.mark.parametrize("more, status", [({"timeInForce": "IOC"}, "canceled"), ({"timeInForce": "FOK"}, "canceled"),
                                          ({"timeInForce": "PO"}, "open")])  # fmt: skip
def test_lifetimes(client: Any, more: dict[str, str], status: str) -> None:
    placed = client.create_order(SYMBOL, "limit", "buy", 0.01, _away(client), more)
    assert client.fetch_order(placed["id"])["status"] == status


def test_best_orders(client: Any) -> None:
    placed = client.create_order(SYMBOL, "market", "sell", 0.0001, None, {"ordType": "best", "timeInForce": "IOC"})
    assert client.fetch_order(placed["id"])["status"] == "closed"


@pytest.mark.parametrize("amount, price, error", [
    (0.00001, 1.0, ccxt.ExchangeError), (6.9, 1.0, ccxt.ExchangeError), (0.01, 1.0000041, ccxt.ExchangeError),
])  # fmt: skip
def test_refusals(client: Any, amount: float, price: float, error: type[Exception]) -> None:
    """Too small, too large, off the unit: ccxt has a class for few of the venue's names."""
    with pytest.raises(error, match=r"under_min_total|over_krw_funds|invalid_price"):
        client.create_order(SYMBOL, "limit", "buy", amount, _away(client, 0.99) * price)


def test_errors_that_it_has_classes_for(client: Any, venue: RunningSimulator) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SYMBOL, "limit", "sell", 500, _away(client, 1.1))
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order(str(uuid.uuid4()))
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(str(uuid.uuid4()))
    stranger = _made(ccxt.upbit, venue)
    stranger.apiKey = "0" * 40
    with pytest.raises(ccxt.AuthenticationError):
        stranger.fetch_balance()
    liar = _made(ccxt.upbit, venue)
    liar.secret = "0" * 40
    with pytest.raises(ccxt.AuthenticationError):
        liar.fetch_balance()


# ---- streams ---------------------------------------------------------------------------------------------------


def _streamed(venue: RunningSimulator, work: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        client = _made(ccxt.pro.upbit, venue)
        try:
            async with asyncio.timeout(30):
                await client.load_markets()
                await work(client)
        finally:
            await client.close()

    asyncio.run(run())


def test_public_streams(venue: RunningSimulator) -> None:
    async def work(client: Any) -> None:
        for _ in range(3):
            book = await client.watch_order_book(SYMBOL)
            assert len(book["bids"]) == len(book["asks"]) == 15  # as many as ccxt keeps
            assert book["bids"][0][0] < book["asks"][0][0]
        assert (await client.watch_ticker(SYMBOL))["last"] > 0
        (trade, *_) = await client.watch_trades(SYMBOL)
        assert (trade["symbol"], trade["side"] in ("buy", "sell")) == (SYMBOL, True)
        bar = await client.watch_ohlcv(SYMBOL, "1s")
        assert bar[3] <= min(bar[1], bar[4]) <= max(bar[1], bar[4]) <= bar[2]

    _streamed(venue, work)


def test_private_streams(venue: RunningSimulator) -> None:
    async def work(client: Any) -> None:
        orders = asyncio.create_task(client.watch_orders(SYMBOL))
        balance = asyncio.create_task(client.watch_balance())
        await asyncio.sleep(0.5)
        last = (await client.fetch_ticker(SYMBOL))["last"]
        placed = await client.create_order(SYMBOL, "limit", "buy", 0.01, last * 0.9 // 1000 * 1000)
        (seen, *_) = await orders
        assert (seen["id"], seen["status"], seen["amount"]) == (placed["id"], "open", 0.01)
        assert (await balance)["KRW"]["used"] > 0
        trades = asyncio.create_task(client.watch_my_trades(SYMBOL))
        await asyncio.sleep(0.3)
        taken = await client.create_order(SYMBOL, "market", "sell", 0.001)
        (fill, *_) = await trades
        assert (fill["order"], fill["side"], fill["takerOrMaker"]) == (taken["id"], "sell", "taker")
        assert fill["fee"]["cost"] == pytest.approx(fill["cost"] * 0.0005)
        await client.cancel_order(placed["id"])
        while client.orders.hashmap[SYMBOL][placed["id"]]["status"] != "canceled":  # noqa: ASYNC110  read from the stream
            await asyncio.sleep(0.02)

    _streamed(venue, work)
