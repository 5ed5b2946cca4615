"""pybit, Bybit's own connector, against the simulator: REST, public and private streams, order entry by WebSocket.

Only the addresses differ: pybit builds them from host names, so the templates that hold them are replaced.
"""

from __future__ import annotations

import copy
import queue
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pybit._websocket_trading
import pybit.unified_trading
import pytest
from pybit.exceptions import InvalidRequestError
from pybit.unified_trading import HTTP, WebSocket, WebSocketTrading

from tests.judges.conftest import RunningSimulator

PATIENCE_S = 15
Start = Callable[..., RunningSimulator]


@pytest.fixture(scope="module")
def venue(shared_simulator: Start) -> Iterator[RunningSimulator]:
    # The streams answer a few milliseconds later, as over a network: the client registers a topic after it has asked
    # for it, and an answer that comes between the two would find nobody.
    running = shared_simulator("bybit", "--limit", "buckets=0", "--market-latency", "20", "--reply-latency", "20")
    streams = running.urls["streams"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pybit.unified_trading, "PUBLIC_WSS", streams + "/v5/public/{CHANNEL_TYPE}")
        patch.setattr(pybit.unified_trading, "PRIVATE_WSS", streams + "/v5/private")
        patch.setattr(pybit._websocket_trading, "TRADE_WSS", streams + "/v5/trade")
        yield running


def _keys(venue: RunningSimulator) -> dict[str, str]:
    return {"api_key": venue.keys["hmac_key"], "api_secret": venue.keys["hmac_secret"]}


@pytest.fixture
def http(venue: RunningSimulator) -> Iterator[HTTP]:
    session = HTTP(**_keys(venue))
    session.endpoint = venue.rest
    yield session
    session.cancel_all_orders(category="spot")
    session.cancel_all_orders(category="linear", settleCoin="USDT")


class Heard:
    """What a topic has brought."""

    def __init__(self) -> None:
        self._messages: queue.Queue[Any] = queue.Queue()

    def __call__(self, message: Any) -> None:
        self._messages.put(copy.deepcopy(message))  # the client gives its own book, and goes on changing it

    def next(self) -> Any:
        return self._messages.get(timeout=PATIENCE_S)

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first row that fits."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for row in self.next()["data"]:
                if wanted(row):
                    return row
        raise AssertionError("no such row came")


def _last(http: HTTP, category: str) -> float:
    return float(http.get_tickers(category=category, symbol="BTCUSDT")["result"]["list"][0]["lastPrice"])


def _price(http: HTTP, category: str, share: float) -> str:
    return str(round(_last(http, category) * share, 1))


def test_market_data(http: HTTP) -> None:
    assert int(http.get_server_time()["result"]["timeSecond"]) > 1_700_000_000
    for category in ("spot", "linear"):
        listed = http.get_instruments_info(category=category)["result"]["list"]
        assert "BTCUSDT" in {row["symbol"] for row in listed}
        book = http.get_orderbook(category=category, symbol="BTCUSDT", limit=50)["result"]
        assert len(book["b"]) == 50
        assert float(book["b"][0][0]) < float(book["a"][0][0])
        bars = http.get_kline(category=category, symbol="BTCUSDT", interval="5", limit=20)["result"]["list"]
        assert [int(newer[0]) - int(older[0]) for newer, older in pairwise(bars)] == [300_000] * 19
        assert http.get_public_trade_history(category=category, symbol="BTCUSDT", limit=5)["result"]["list"]
    assert http.get_funding_rate_history(category="linear", symbol="BTCUSDT")["result"]["category"] == "linear"


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_place_amend_query_cancel(http: HTTP, category: str) -> None:
    mine = {"category": category, "symbol": "BTCUSDT"}
    price = _price(http, category, 0.9)
    placed = http.place_order(
        **mine, side="Buy", orderType="Limit", qty="0.01", price=price, orderLinkId=f"pybit-{category}"
    )["result"]
    assert placed["orderLinkId"] == f"pybit-{category}"
    http.amend_order(**mine, orderId=placed["orderId"], qty="0.02")
    (shown,) = http.get_open_orders(**mine)["result"]["list"]
    assert (shown["orderStatus"], float(shown["qty"]), float(shown["price"])) == ("New", 0.02, float(price))
    with pytest.raises(InvalidRequestError) as duplicate:
        http.place_order(
            **mine, side="Buy", orderType="Limit", qty="0.01", price=price, orderLinkId=f"pybit-{category}"
        )
    assert duplicate.value.status_code == (170141 if category == "spot" else 110072)
    http.cancel_order(**mine, orderId=placed["orderId"])
    assert http.get_open_orders(**mine)["result"]["list"] == []
    (ended,) = http.get_order_history(**mine, orderId=placed["orderId"])["result"]["list"]
    assert (ended["orderStatus"], ended["cancelType"]) == ("Cancelled", "CancelByUser")
    with pytest.raises(InvalidRequestError) as final:
        http.cancel_order(**mine, orderId=placed["orderId"])
    assert final.value.status_code == (170142 if category == "spot" else 110010)


def test_batches_fail_member_by_member(http: HTTP) -> None:
    price = _price(http, "linear", 0.9)
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": price}
    answer = http.place_batch_order(category="linear", request=[good, good | {"qty": "0.0001"}, good])
    assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0, 10001, 0]
    ids = [row["orderId"] for row in answer["result"]["list"]]
    assert ids[1] == ""
    named = [{"symbol": "BTCUSDT", "orderId": ids[0], "qty": "0.02"}]
    assert http.amend_batch_order(category="linear", request=named)["retExtInfo"]["list"] == [{"code": 0, "msg": "OK"}]
    both = [{"symbol": "BTCUSDT", "orderId": each} for each in (ids[0], ids[2])]
    assert [row["code"] for row in http.cancel_batch_order(category="linear", request=both)["retExtInfo"]["list"]] == [
        0,
        0,
    ]


def test_wallet_and_positions(http: HTTP) -> None:
    def coin(name: str) -> dict[str, Any]:
        (wallet,) = http.get_wallet_balance(accountType="UNIFIED", coin=name)["result"]["list"]
        return dict(wallet["coin"][0])

    before = coin("USDT")
    http.place_order(category="linear", symbol="BTCUSDT", side="Sell", orderType="Market", qty="0.02")
    (held,) = http.get_positions(category="linear", symbol="BTCUSDT")["result"]["list"]
    assert (held["side"], float(held["size"])) == ("Sell", 0.02)
    after = coin("USDT")
    assert float(after["totalPositionIM"]) > float(before["totalPositionIM"])
    http.place_order(
        category="linear",
        symbol="BTCUSDT",
        side="Buy",
        orderType="Market",
        qty="0",
        reduceOnly=True,
        closeOnTrigger=True,
    )
    fills = http.get_executions(category="linear", symbol="BTCUSDT", limit=10)["result"]["list"]
    assert float(fills[0]["closedSize"]) > 0
    paid = sum(float(row["execFee"]) - float(row["execPnl"]) for row in fills)
    assert float(before["walletBalance"]) - float(coin("USDT")["walletBalance"]) == pytest.approx(paid)
    assert (
        float(http.get_fee_rates(category="linear", symbol="BTCUSDT")["result"]["list"][0]["takerFeeRate"]) == 0.00055
    )
    assert http.get_account_info()["result"]["unifiedMarginStatus"] == 5


def test_public_streams(http: HTTP) -> None:
    for category in ("spot", "linear"):
        socket = WebSocket(channel_type=category, testnet=False)
        try:
            book, trades, ticker, bars = Heard(), Heard(), Heard(), Heard()
            socket.orderbook_stream(depth=50, symbol="BTCUSDT", callback=book)
            socket.trade_stream(symbol="BTCUSDT", callback=trades)
            socket.ticker_stream(symbol="BTCUSDT", callback=ticker)
            socket.kline_stream(interval=1, symbol="BTCUSDT", callback=bars)
            counters = []
            for _ in range(20):
                data = book.next()["data"]
                counters.append(data["u"])
                assert max(float(row[0]) for row in data["b"]) < min(float(row[0]) for row in data["a"])
            assert counters == list(range(counters[0], counters[0] + 20))
            assert trades.next()["data"][0]["S"] in ("Buy", "Sell")
            assert float(ticker.next()["data"]["lastPrice"]) > 0
            assert bars.next()["data"][0]["interval"] == "1"
        finally:
            socket.exit()


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_private_streams_and_order_entry(venue: RunningSimulator, http: HTTP, category: str) -> None:
    private = WebSocket(channel_type="private", testnet=False, **_keys(venue))
    trading = WebSocketTrading(testnet=False, **_keys(venue))
    try:
        orders, fills, wallet, positions = Heard(), Heard(), Heard(), Heard()
        private.order_stream(callback=orders)
        private.execution_stream(callback=fills)
        private.wallet_stream(callback=wallet)
        private.position_stream(callback=positions)
        time.sleep(0.5)
        mine = {"category": category, "symbol": "BTCUSDT"}
        answered = Heard()
        price = _price(http, category, 0.9)
        trading.place_order(answered, **mine, side="Buy", orderType="Limit", qty="0.01", price=price)
        order_id = answered.next()["data"]["orderId"]
        assert orders.until(lambda row: row["orderId"] == order_id)["orderStatus"] == "New"
        trading.amend_order(answered, **mine, orderId=order_id, qty="0.02")
        answered.next()
        assert orders.until(lambda row: float(row["qty"]) == 0.02)["orderId"] == order_id
        trading.cancel_order(answered, **mine, orderId=order_id)
        answered.next()
        assert orders.until(lambda row: row["orderId"] == order_id)["orderStatus"] == "Cancelled"

        unit = {"marketUnit": "baseCoin"} if category == "spot" else {}
        trading.place_order(answered, **mine, side="Buy", orderType="Market", qty="0.01", **unit)
        bought = answered.next()["data"]["orderId"]
        assert fills.until(lambda row: row["orderId"] == bought)["isMaker"] is False
        assert orders.until(lambda row: row["orderId"] == bought and row["orderStatus"] == "Filled")
        assert wallet.next()["data"][0]["accountType"] == "UNIFIED"
        if category == "linear":
            assert positions.until(lambda row: float(row["size"]) > 0)["side"] == "Buy"
            trading.place_order(answered, **mine, side="Sell", orderType="Market", qty="0.01", reduceOnly=True)
            assert positions.until(lambda row: row["size"] == "0")["side"] == ""
    finally:
        private.exit()
        trading.exit()
