"""ccxt (synchronous, and its streaming half) against the simulator's OKX: only the base addresses differ."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tests.judges.conftest import RunningSimulator

SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
Start = Callable[..., RunningSimulator]
PATIENCE_S = 20


@pytest.fixture(scope="module")
def venue(shared_simulator: Start) -> RunningSimulator:
    return shared_simulator("okx")


def _config(venue: RunningSimulator) -> dict[str, Any]:
    keys = venue.keys
    return {
        "apiKey": keys["hmac_key"],
        "secret": keys["hmac_secret"],
        "password": keys["passphrase"],
        "enableRateLimit": False,
    }


def _readdressed(client: Any, venue: RunningSimulator) -> Any:
    """Only the origins change; the paths stay the client's own."""
    client.urls["api"] = {"rest": venue.rest, "ws": venue.urls["streams"].removesuffix("/public")}
    return client


@pytest.fixture(scope="module")
def one_client(venue: RunningSimulator) -> Any:
    made = _readdressed(ccxt.okx(_config(venue)), venue)
    made.load_markets()
    return made


@pytest.fixture
def client(one_client: Any) -> Iterator[Any]:
    yield one_client
    for symbol in (SPOT, SWAP):
        for order in one_client.fetch_open_orders(symbol):
            one_client.cancel_order(order["id"], symbol)


@asynccontextmanager
async def _streaming(venue: RunningSimulator) -> AsyncIterator[Any]:
    made = _readdressed(ccxt.pro.okx(_config(venue)), venue)
    try:
        await made.load_markets()
        yield made
    finally:
        await made.close()


def _price(client: Any, symbol: str, share: str) -> float:
    """A part of the last price, on the grid."""
    return float(client.price_to_precision(symbol, client.fetch_ticker(symbol)["last"] * float(share)))


# ---------------------------------------------------------------------------------------------------- REST
def test_market_data(client: Any, venue: RunningSimulator) -> None:
    for inst_id in ("BTC-USDT", "BTC-USDT-SWAP"):
        venue.admin.post("trade", symbol=inst_id, side="BUY", qty="0.01")
    markets = client.markets
    assert {SPOT, SWAP, "ETH/BTC"} <= set(markets)
    assert markets[SWAP]["contractSize"] == 0.01
    assert markets[SWAP]["linear"]
    assert markets[SPOT]["precision"] == {"amount": 1e-8, "price": 0.1}
    assert isinstance(markets[SPOT]["instIdCode"], int)
    assert client.fetch_time() > 1_700_000_000_000
    for symbol in (SPOT, SWAP):
        book = client.fetch_order_book(symbol, 5)
        assert len(book["bids"]) == len(book["asks"]) == 5
        assert book["bids"][0][0] < book["asks"][0][0]
        bars = client.fetch_ohlcv(symbol, "1m", limit=10)
        assert [later[0] - earlier[0] for earlier, later in itertools.pairwise(bars)] == [60_000] * 9
        trade = client.fetch_trades(symbol, limit=5)[-1]
        assert (trade["symbol"], trade["side"] in ("buy", "sell")) == (symbol, True)
        ticker = client.fetch_ticker(symbol)
        assert 0 < ticker["bid"] < ticker["ask"]
    older = client.fetch_ohlcv(SPOT, "5m", since=client.milliseconds() - 40 * 300_000, limit=20)
    assert [later[0] - earlier[0] for earlier, later in itertools.pairwise(older)] == [300_000] * 19
    assert set(client.fetch_tickers([SPOT, "ETH/USDT"])) == {SPOT, "ETH/USDT"}
    funding = client.fetch_funding_rate(SWAP)
    assert funding["fundingRate"] == 0.0001
    assert client.fetch_mark_price(SWAP)["markPrice"] > 0
    assert client.fetch_open_interest(SWAP)["symbol"] == SWAP
    assert client.fetch_status()["status"] == "ok"


@pytest.mark.parametrize("symbol, qty, more", [(SPOT, 0.01, 0.02), (SWAP, 1, 2)])
def test_place_amend_query_cancel(client: Any, symbol: str, qty: float, more: float) -> None:
    price = _price(client, symbol, "0.9")
    name = "judge" + "".join(letter for letter in symbol if letter.isalnum())
    placed = client.create_order(symbol, "limit", "buy", qty, price, {"clientOrderId": name})
    shown = client.fetch_order(placed["id"], symbol)
    assert (shown["status"], shown["amount"], shown["price"]) == ("open", qty, price)
    assert (shown["clientOrderId"], shown["filled"]) == (name, 0)

    better = _price(client, symbol, "0.91")
    client.edit_order(placed["id"], symbol, "limit", "buy", more, better)
    shown = client.fetch_order(None, symbol, {"clientOrderId": name})
    assert (shown["id"], shown["amount"], shown["price"]) == (placed["id"], more, better)
    assert [order["id"] for order in client.fetch_open_orders(symbol)] == [placed["id"]]

    client.cancel_order(placed["id"], symbol)
    assert client.fetch_open_orders(symbol) == []
    ended = client.fetch_order(placed["id"], symbol)
    assert (ended["status"], ended["filled"]) == ("canceled", 0)
    assert placed["id"] in [order["id"] for order in client.fetch_canceled_orders(symbol)]
    with pytest.raises(ccxt.OrderNotFound):  # 51400
        client.cancel_order(placed["id"], symbol)
    with pytest.raises(ccxt.OrderNotFound):  # 51603
        client.fetch_order("1700000000009999999", symbol)


def test_batches(client: Any) -> None:
    price = _price(client, SPOT, "0.9")
    orders = [
        {"symbol": SPOT, "type": "limit", "side": "buy", "amount": 0.01, "price": price},
        {"symbol": SPOT, "type": "limit", "side": "buy", "amount": 0.02, "price": price},
    ]
    placed = client.create_orders(orders)
    assert len({order["id"] for order in placed}) == 2
    assert {order["amount"] for order in client.fetch_open_orders(SPOT)} == {0.01, 0.02}
    client.cancel_orders([order["id"] for order in placed], SPOT)
    assert client.fetch_open_orders(SPOT) == []


def test_spot_fills_and_balances(client: Any) -> None:
    before = client.fetch_balance()
    bought = client.create_order(SPOT, "market", "buy", 0.01)
    order = client.fetch_order(bought["id"], SPOT)
    assert (order["status"], order["filled"]) == ("closed", 0.01)
    mine = client.fetch_order_trades(bought["id"], SPOT)
    assert sum(trade["amount"] for trade in mine) == pytest.approx(0.01)
    assert {trade["takerOrMaker"] for trade in mine} == {"taker"}
    assert {trade["fee"]["currency"] for trade in mine} == {"BTC"}
    after = client.fetch_balance()
    fee = sum(trade["fee"]["cost"] for trade in mine)
    assert fee > 0
    assert after["BTC"]["total"] - before["BTC"]["total"] == pytest.approx(0.01 - fee)
    assert before["USDT"]["total"] - after["USDT"]["total"] == pytest.approx(sum(trade["cost"] for trade in mine))
    assert order["average"] == pytest.approx(sum(trade["cost"] for trade in mine) / 0.01)

    resting = client.create_order(SPOT, "limit", "buy", 0.01, _price(client, SPOT, "0.9"))
    held = client.fetch_balance()
    assert held["USDT"]["used"] == pytest.approx(0.01 * client.fetch_order(resting["id"], SPOT)["price"])


def test_market_buy_by_cost(client: Any) -> None:
    bought = client.create_market_buy_order_with_cost(SPOT, 1000)
    order = client.fetch_order(bought["id"], SPOT)
    assert order["status"] == "closed"
    assert order["cost"] == pytest.approx(1000, rel=1e-4)


def test_post_only_that_would_take(client: Any) -> None:
    """Accepted, and then canceled (section 5.1)."""
    placed = client.create_order(SPOT, "limit", "buy", 0.01, _price(client, SPOT, "1.01"), {"postOnly": True})
    order = client.fetch_order(placed["id"], SPOT)
    assert (order["status"], order["filled"]) == ("canceled", 0)
    assert order["info"]["cancelSource"] == "31"


def test_contract_position(client: Any) -> None:
    client.set_leverage(10, SWAP, {"marginMode": "cross"})
    bought = client.create_order(SWAP, "market", "buy", 3)
    position = client.fetch_position(SWAP)
    assert (position["contracts"], position["side"], position["leverage"]) == (3, "long", 10)
    trades = client.fetch_order_trades(bought["id"], SWAP)
    cost = sum(trade["amount"] * trade["price"] for trade in trades)
    assert position["entryPrice"] == pytest.approx(cost / 3)
    assert position["notional"] == pytest.approx(3 * 0.01 * position["markPrice"])
    assert position["initialMargin"] == pytest.approx(position["notional"] / 10)

    client.create_order(SWAP, "market", "sell", 3, None, {"reduceOnly": True})
    assert [one for one in client.fetch_positions([SWAP]) if one["contracts"]] == []
    with pytest.raises(ccxt.ExchangeError, match="51169"):  # nothing to reduce
        client.create_order(SWAP, "market", "sell", 3, None, {"reduceOnly": True})


def test_trigger_orders(client: Any) -> None:
    stop = client.create_order(SPOT, "market", "sell", 0.01, None, {"stopLossPrice": _price(client, SPOT, "0.8")})
    assert [order["id"] for order in client.fetch_open_orders(SPOT, params={"ordType": "conditional"})] == [stop["id"]]
    shown = client.fetch_order(stop["id"], SPOT, {"stop": True})
    assert (shown["status"], shown["side"]) == ("open", "sell")
    client.cancel_order(stop["id"], SPOT, {"stop": True})
    assert client.fetch_open_orders(SPOT, params={"ordType": "conditional"}) == []


def test_account(client: Any) -> None:
    assert client.fetch_accounts()[0]["type"] == "2"
    assert client.fetch_position_mode(SWAP)["hedged"] is False
    fee = client.fetch_trading_fee(SPOT)
    assert (fee["maker"], fee["taker"]) == (0.0008, 0.001)
    assert client.cancel_all_orders_after(0)["code"] == "0"


def test_refusals_are_understood(client: Any) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SPOT, "limit", "buy", 1000, _price(client, SPOT, "0.9"))
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order(SPOT, "limit", "buy", 0.000001, _price(client, SPOT, "0.9"))


def test_wrong_keys(venue: RunningSimulator) -> None:
    wrong = _readdressed(ccxt.okx(_config(venue) | {"secret": "another"}), venue)
    with pytest.raises(ccxt.AuthenticationError):
        wrong.fetch_balance()
    unknown = _readdressed(ccxt.okx(_config(venue) | {"apiKey": "nobody"}), venue)
    with pytest.raises(ccxt.AuthenticationError):
        unknown.fetch_balance()
    wordless = _readdressed(ccxt.okx(_config(venue) | {"password": "another"}), venue)
    with pytest.raises(ccxt.AuthenticationError):
        wordless.fetch_balance()


# -------------------------------------------------------------------------------------------------- streams
def _run(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario, PATIENCE_S))


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
def test_public_streams(venue: RunningSimulator, symbol: str) -> None:
    async def scenario() -> None:
        async with _streaming(venue) as client:
            book = await client.watch_order_book(symbol)
            for _ in range(5):  # each update must continue the last, or the client raises
                book = await client.watch_order_book(symbol)
            assert len(book["bids"]) > 5
            assert book["bids"][0][0] < book["asks"][0][0]
            five = await client.watch_order_book("ETH/USDT", 5)
            assert len(five["bids"]) == 5
            ticker = await client.watch_ticker(symbol)
            assert 0 < ticker["bid"] < ticker["ask"]
            best = (await client.watch_bids_asks([symbol]))[symbol]
            assert 0 < best["bid"] < best["ask"]
            (trade, *_) = await client.watch_trades(symbol)
            assert trade["amount"] > 0
            (bar, *_) = await client.watch_ohlcv(symbol, "1m")
            assert bar[2] >= bar[3]
            await client.un_watch_order_book(symbol)
            assert (await client.watch_order_book(symbol))["bids"]

    _run(scenario())


async def _until(watch: Any, wanted: Any) -> Any:
    """The first item that a watch method brings and that is wanted."""
    while True:
        found = [item for item in await watch() if wanted(item)]
        if found:
            return found[-1]


def test_private_streams_and_ws_orders(venue: RunningSimulator) -> None:
    async def scenario() -> None:
        async with _streaming(venue) as client:
            balance = await client.watch_balance()
            assert balance["USDT"]["total"] > 0
            watched = asyncio.create_task(client.watch_orders(SPOT))
            await asyncio.sleep(0.2)
            last = (await client.fetch_ticker(SPOT))["last"]
            price = client.price_to_precision(SPOT, last * 0.9)
            placed = await client.create_order_ws(SPOT, "limit", "buy", 0.01, float(price))
            (first, *_) = await watched
            assert (first["id"], first["status"]) == (placed["id"], "open")

            await client.edit_order_ws(placed["id"], SPOT, "limit", "buy", 0.02)
            amended = await _until(lambda: client.watch_orders(SPOT), lambda order: order["amount"] == 0.02)
            assert amended["id"] == placed["id"]
            await client.cancel_order_ws(placed["id"], SPOT)
            ended = await _until(lambda: client.watch_orders(SPOT), lambda order: order["status"] == "canceled")
            assert ended["id"] == placed["id"]

            trades = asyncio.create_task(client.watch_my_trades(SWAP))
            positions = asyncio.create_task(
                _until(lambda: client.watch_positions([SWAP]), lambda position: position["contracts"])
            )
            await asyncio.sleep(0.2)
            bought = await client.create_order_ws(SWAP, "market", "buy", 2)
            (trade, *_) = await trades
            assert trade["order"] == bought["id"]
            assert trade["fee"]["cost"] < 0  # here the client leaves the venue's sign: negative is paid (8.1)
            position = await positions
            assert (position["side"], position["symbol"], position["contracts"]) == ("long", SWAP, 2)
            await client.create_order_ws(SWAP, "market", "sell", 2, None, {"reduceOnly": True})
            with pytest.raises(ccxt.InsufficientFunds):
                await client.create_order_ws(SPOT, "limit", "buy", 5000, float(price))

    _run(scenario())
