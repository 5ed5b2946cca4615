"""ccxt (synchronous, and its streaming half) against the simulator's Bybit: only the base addresses differ."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tests.judges.conftest import RunningSimulator

SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
Start = Callable[..., RunningSimulator]


@pytest.fixture(scope="module")
def venue(shared_simulator: Start) -> RunningSimulator:
    return shared_simulator("bybit", "--limit", "buckets=0")


def _config(venue: RunningSimulator) -> dict[str, Any]:
    return {"apiKey": venue.keys["hmac_key"], "secret": venue.keys["hmac_secret"], "enableRateLimit": False}


def _readdress(client: Any, venue: RunningSimulator) -> Any:
    """Every address of the client keeps its path and gets the simulator's origin."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: moved(each) for name, each in value.items()}
        scheme, _, rest = str(value).partition("://")
        path = rest.partition("/")[2]
        origin = venue.urls["streams"] if scheme == "wss" else venue.rest
        return f"{origin}/{path}".rstrip("/")

    client.urls["api"] = moved(client.urls["api"])
    return client


@pytest.fixture
def client(venue: RunningSimulator) -> Iterator[Any]:
    made = _readdress(ccxt.bybit(_config(venue)), venue)
    yield made
    for symbol in (SPOT, SWAP):
        made.cancel_all_orders(symbol)


def _price(client: Any, symbol: str, share: str) -> float:
    """A part of the last price, on the grid."""
    last = client.fetch_ticker(symbol)["last"]
    return float(client.price_to_precision(symbol, last * float(share)))


def test_market_data(client: Any) -> None:
    markets = client.load_markets()
    assert {SPOT, SWAP, "BTC/USDC:USDC"} <= set(markets)
    assert markets[SWAP]["precision"]["amount"] == 0.001
    assert client.fetch_time() > 1_700_000_000_000
    for symbol in (SPOT, SWAP):
        book = client.fetch_order_book(symbol, limit=5)
        assert len(book["bids"]) == len(book["asks"]) == 5
        assert book["bids"][0][0] < book["asks"][0][0]
        bars = client.fetch_ohlcv(symbol, "1m", limit=10)
        assert [later[0] - earlier[0] for earlier, later in pairwise(bars)] == [60_000] * 9
        venue_trade = client.fetch_trades(symbol, limit=5)[-1]
        assert venue_trade["symbol"] == symbol
        assert venue_trade["side"] in ("buy", "sell")
        ticker = client.fetch_ticker(symbol)
        assert 0 < ticker["bid"] < ticker["ask"]
        assert ticker["last"] > 0


@pytest.mark.parametrize("symbol, qty, more", [(SPOT, 0.01, 0.02), (SWAP, 0.01, 0.02)])
def test_place_amend_query_cancel(client: Any, symbol: str, qty: float, more: float) -> None:
    price = _price(client, symbol, "0.9")
    name = "judge-" + symbol.translate({ord("/"): "-", ord(":"): "-"})
    placed = client.create_order(symbol, "limit", "buy", qty, price, {"clientOrderId": name})
    shown = client.fetch_open_order(placed["id"], symbol)
    assert (shown["status"], shown["amount"], shown["price"]) == ("open", qty, price)
    assert shown["clientOrderId"] == name

    better = _price(client, symbol, "0.91")
    client.edit_order(placed["id"], symbol, "limit", "buy", more, better)
    shown = client.fetch_open_order(placed["id"], symbol)
    assert (shown["amount"], shown["price"]) == (more, better)
    assert [order["id"] for order in client.fetch_open_orders(symbol)] == [placed["id"]]

    client.cancel_order(placed["id"], symbol)
    assert client.fetch_open_orders(symbol) == []
    ended = client.fetch_order(placed["id"], symbol, {"acknowledged": True})
    assert (ended["status"], ended["filled"]) == ("canceled", 0)
    with pytest.raises(ccxt.InvalidOrder):  # it has ended: 170142, 110010
        client.cancel_order(placed["id"], symbol)
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order("1700000000009999999", symbol)


def test_spot_fills_and_balances(client: Any) -> None:
    before = client.fetch_balance()
    bought = client.create_order(SPOT, "market", "buy", 0.01)
    trades = client.fetch_my_trades(SPOT)
    mine = [trade for trade in trades if trade["order"] == bought["id"]]
    assert sum(trade["amount"] for trade in mine) == pytest.approx(0.01)
    assert {trade["takerOrMaker"] for trade in mine} == {"taker"}
    assert {trade["fee"]["currency"] for trade in mine} == {"BTC"}
    after = client.fetch_balance()
    fee = sum(trade["fee"]["cost"] for trade in mine)
    assert after["BTC"]["total"] - before["BTC"]["total"] == pytest.approx(0.01 - fee)
    assert before["USDT"]["total"] - after["USDT"]["total"] == pytest.approx(sum(trade["cost"] for trade in mine))

    resting = client.create_order(SPOT, "limit", "buy", 0.01, _price(client, SPOT, "0.9"))
    held = client.fetch_balance()
    assert held["USDT"]["used"] == pytest.approx(0.01 * client.fetch_open_order(resting["id"], SPOT)["price"])


def test_contract_position(client: Any) -> None:
    client.set_leverage(10, SWAP)
    with pytest.raises(ccxt.BadRequest):
        client.set_leverage(10, SWAP)  # 110043: it is so already
    opened = client.create_order(SWAP, "market", "buy", 0.02)
    held = client.fetch_position(SWAP)
    assert (held["side"], held["contracts"], held["leverage"]) == ("long", 0.02, 10.0)
    mine = [trade for trade in client.fetch_my_trades(SWAP) if trade["order"] == opened["id"]]
    assert {trade["fee"]["currency"] for trade in mine} == {"USDT"}
    with pytest.raises(ccxt.ExchangeError):
        client.set_position_mode(True, SWAP)  # 110024: there is a position
    client.create_order(SWAP, "market", "sell", 0.02, None, {"reduceOnly": True})
    assert not client.fetch_position(SWAP)["contracts"]
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order(SWAP, "market", "sell", 0.02, None, {"reduceOnly": True})  # 110017
    client.set_position_mode(True, SWAP)
    client.create_order(SWAP, "market", "sell", 0.02, None, {"positionIdx": 2})
    legs = {each["side"]: each["contracts"] for each in client.fetch_positions([SWAP])}
    assert legs == {"long": 0, "short": 0.02}
    client.create_order(SWAP, "market", "buy", 0.02, None, {"positionIdx": 2, "reduceOnly": True})
    client.set_position_mode(False, SWAP)


def test_attached_exits(client: Any) -> None:
    stop = _price(client, SWAP, "0.8")
    client.create_order(SWAP, "market", "buy", 0.01, None, {"stopLoss": {"triggerPrice": stop}})
    held = client.fetch_position(SWAP)
    assert (held["side"], held["stopLossPrice"]) == ("long", stop)
    (waiting,) = client.fetch_open_orders(SWAP)
    assert (waiting["triggerPrice"], waiting["reduceOnly"]) == (stop, True)
    client.create_order(SWAP, "market", "sell", 0.01, None, {"reduceOnly": True})
    assert client.fetch_open_orders(SWAP) == []


def test_batches_conditionals_and_cancel_all(client: Any) -> None:
    low = _price(client, SWAP, "0.9")
    rows = [
        {"symbol": SWAP, "type": "limit", "side": "buy", "amount": 0.01, "price": low},
        {"symbol": SWAP, "type": "limit", "side": "buy", "amount": 0.02, "price": low},
    ]
    placed = client.create_orders(rows)
    assert len(placed) == 2
    stop = client.create_order(
        SWAP,
        "market",
        "buy",
        0.01,
        None,
        {"triggerPrice": _price(client, SWAP, "1.2"), "triggerDirection": "ascending"},
    )
    waiting = {order["id"]: order for order in client.fetch_open_orders(SWAP)}
    assert set(waiting) >= {*(order["id"] for order in placed), stop["id"]}
    assert waiting[stop["id"]]["info"]["orderStatus"] == "Untriggered"
    client.cancel_orders([order["id"] for order in placed], SWAP)
    assert [order["id"] for order in client.fetch_open_orders(SWAP)] == [stop["id"]]
    client.cancel_all_orders(SWAP)
    assert client.fetch_open_orders(SWAP) == []
    assert client.fetch_canceled_orders(SWAP)


def test_refusals_are_classified(client: Any, venue: RunningSimulator) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SPOT, "limit", "buy", 200, _price(client, SPOT, "0.99"))
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SWAP, "limit", "buy", 1000, _price(client, SWAP, "0.99"))
    stranger = _readdress(ccxt.bybit(_config(venue) | {"secret": "wrong"}), venue)
    with pytest.raises(ccxt.AuthenticationError):
        stranger.private_get_v5_account_info()
    fast = _readdress(ccxt.bybit(_config(venue)), venue)
    fast.milliseconds = lambda: ccxt.Exchange.milliseconds() + 5_000
    with pytest.raises(ccxt.InvalidNonce):
        fast.private_get_v5_account_info()


def test_rate_limit_is_told(running_simulator: Start) -> None:
    venue = running_simulator("bybit")
    client = _readdress(ccxt.bybit(_config(venue)), venue)
    client.load_markets()

    def hurry() -> None:
        for _ in range(30):
            client.create_order(SWAP, "limit", "buy", 0.001, 60_000)

    with pytest.raises(ccxt.RateLimitExceeded):
        hurry()


# ---- streams ---------------------------------------------------------------------------------------------------


async def _within(action: Any, seconds: float = 15) -> Any:
    return await asyncio.wait_for(action, seconds)


async def _market_streams(client: Any) -> None:
    for symbol in (SPOT, SWAP):
        book = await _within(client.watch_order_book(symbol, 50))
        for _ in range(20):
            book = await _within(client.watch_order_book(symbol, 50))
            assert book["bids"][0][0] < book["asks"][0][0]
        trades = await _within(client.watch_trades(symbol))
        assert trades[-1]["price"] > 0
        ticker = await _within(client.watch_ticker(symbol))
        assert ticker["last"] > 0
        bars = await _within(client.watch_ohlcv(symbol, "1m"))
        assert bars[-1][4] > 0


async def _held(client: Any) -> Any:
    """The position that was pushed and is not flat.  Resting orders push flat ones, and several pushes of one moment
    are one update for this client, so its cache is what is asked."""
    while True:
        for position in client.positions or ():
            if position["contracts"]:
                return position
        await asyncio.sleep(0.02)


async def _account_streams(client: Any, symbol: str) -> None:
    orders = asyncio.create_task(client.watch_orders(symbol))
    fills = asyncio.create_task(client.watch_my_trades(symbol))
    balance = asyncio.create_task(client.watch_balance())
    positions = None
    if symbol == SWAP:
        await _within(client.watch_positions([SWAP]))  # the first call only fetches, the second subscribes
        positions = asyncio.create_task(client.watch_positions([SWAP]))
    await asyncio.sleep(1.0)
    last = (await client.fetch_ticker(symbol))["last"]
    price = float(client.price_to_precision(symbol, last * 0.9))
    placed = await _within(client.create_order_ws(symbol, "limit", "buy", 0.01, price))
    seen = (await _within(orders))[-1]
    assert (seen["id"], seen["status"], seen["price"]) == (placed["id"], "open", price)
    amended = asyncio.create_task(client.watch_orders(symbol))
    await _within(client.edit_order_ws(placed["id"], symbol, "limit", "buy", 0.02, price))
    assert (await _within(amended))[-1]["amount"] == 0.02
    ended = asyncio.create_task(client.watch_orders(symbol))
    await _within(client.cancel_order_ws(placed["id"], symbol))
    assert (await _within(ended))[-1]["status"] == "canceled"
    bought = await _within(client.create_order_ws(symbol, "market", "buy", 0.01))
    mine = (await _within(fills))[-1]
    assert (mine["order"], mine["amount"], mine["takerOrMaker"]) == (bought["id"], 0.01, "taker")
    assert (await _within(balance))["USDT"]["total"] > 0
    if positions is not None:
        await _within(positions)
        held = await _within(_held(client))
        assert (held["symbol"], held["side"], held["contracts"]) == (SWAP, "long", 0.01)
        await _within(client.create_order_ws(symbol, "market", "sell", 0.01, None, {"reduceOnly": True}))


@pytest.mark.parametrize("part", ["market", SPOT, SWAP])
def test_streams(venue: RunningSimulator, part: str) -> None:
    async def run() -> None:
        client = _readdress(ccxt.pro.bybit(_config(venue)), venue)
        try:
            await client.load_markets()
            await (_market_streams(client) if part == "market" else _account_streams(client, part))
        finally:
            await client.close()

    asyncio.run(run())
