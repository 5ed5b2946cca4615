"""pyupbit against the simulator: only the host differs, in the one place where its requests leave.

It has no private streams and no replacement.  It sends the parameters of reads and cancels in a body, which the venue's
documents no longer allow (reference section 5.2: parameters of DELETE go in the query only): the simulator refuses that
as they say, and reads bodies where `--limit body_parameters=1` tells it to be as lenient as the venue once was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pyupbit
import pyupbit.errors
import pyupbit.exchange_api
import pyupbit.request_api
import pyupbit.websocket_api
import requests
import websockets

from tests.judges.conftest import RunningSimulator

CODE = "KRW-BTC"
REAL = "api.upbit.com"
Start = Callable[..., RunningSimulator]


@pytest.fixture(scope="module")
def venue(shared_simulator: Start) -> RunningSimulator:
    return shared_simulator("upbit", "--limit", "body_parameters=1")


def move(monkeypatch: pytest.MonkeyPatch, venue: RunningSimulator) -> pyupbit.Upbit:
    """Another host, and everything else as pyupbit does it."""
    real_get, real_post, real_delete = requests.get, requests.post, requests.delete

    def to(url: str) -> str:
        assert url.startswith(f"https://{REAL}")
        return url.replace(f"https://{REAL}", venue.rest)

    monkeypatch.setattr(pyupbit.request_api.requests, "get", lambda url, **more: real_get(to(url), **more))
    monkeypatch.setattr(pyupbit.request_api.requests, "post", lambda url, **more: real_post(to(url), **more))
    monkeypatch.setattr(pyupbit.request_api.requests, "delete", lambda url, **more: real_delete(to(url), **more))
    return pyupbit.Upbit(venue.keys["hmac_key"], venue.keys["hmac_secret"])


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, venue: RunningSimulator) -> pyupbit.Upbit:
    return move(monkeypatch, venue)


def _away(share: float = 0.9) -> int:
    return int(pyupbit.get_current_price(CODE) * share // 1000 * 1000)


def test_market_data(client: pyupbit.Upbit) -> None:
    assert {"KRW-BTC", "KRW-ETH"} <= set(pyupbit.get_tickers(fiat="KRW"))
    prices = pyupbit.get_current_price(["KRW-BTC", "KRW-ETH"])
    assert prices.keys() == {"KRW-BTC", "KRW-ETH"}
    units = pyupbit.get_orderbook(CODE)["orderbook_units"]
    assert len(units) == 30
    assert units[0]["bid_price"] < units[0]["ask_price"]
    frame = pyupbit.get_ohlcv(CODE, interval="minute1", count=401)
    assert len(frame) == 401
    assert frame.index.is_monotonic_increasing
    assert (frame["low"] <= frame["high"]).all()
    assert len(pyupbit.get_ohlcv(CODE, interval="day", count=3)) == 3


def test_place_query_cancel(client: pyupbit.Upbit) -> None:
    placed = client.buy_limit_order(CODE, _away(), 0.001)
    assert (placed["state"], placed["ord_type"], placed["side"]) == ("wait", "limit", "bid")
    assert client.get_order(placed["uuid"])["uuid"] == placed["uuid"]
    assert placed["uuid"] in [row["uuid"] for row in client.get_order(CODE)]
    canceled, left = client.cancel_order(placed["uuid"], contain_req=True)
    assert (canceled["uuid"], left["group"]) == (placed["uuid"], "default")
    assert client.get_individual_order(placed["uuid"])["state"] == "cancel"
    assert placed["uuid"] in [row["uuid"] for row in client.get_order(CODE, state="cancel")]


def test_balances_and_market_orders(client: pyupbit.Upbit) -> None:
    before = client.get_balance("KRW")
    bought = client.buy_market_order(CODE, 1_000_000)
    shown = client.get_order(bought["uuid"])
    assert shown["state"] in ("cancel", "done")
    spent = sum(float(trade["funds"]) for trade in shown["trades"])
    assert before - client.get_balance("KRW") == pytest.approx(spent * 1.0005)
    assert client.get_avg_buy_price("BTC") > 0
    sold = client.sell_market_order(CODE, float(shown["executed_volume"]))
    assert client.get_order(sold["uuid"])["state"] == "done"
    ask = client.sell_limit_order(CODE, _away(1.1), 0.001)
    assert client.get_balance_t("BTC") == pytest.approx(client.get_balance(CODE.split("-")[1]) + 0.001)
    client.cancel_order(ask["uuid"])
    assert client.get_chance(CODE)["market"]["id"] == CODE


def test_its_old_table_of_units_is_refused(client: pyupbit.Upbit) -> None:
    """Section 13: many of the prices that it rounds to are refused since 2025-07-31."""
    price = pyupbit.exchange_api.get_tick_size(230.5)
    assert price % 1
    assert client.buy_limit_order("KRW-DOGE", price, 100)["error"]["name"] == "invalid_price_bid"
    placed = client.buy_limit_order("KRW-DOGE", 200, 100)
    assert client.cancel_order(placed["uuid"])["uuid"] == placed["uuid"]


def test_public_streams(client: pyupbit.Upbit, monkeypatch: pytest.MonkeyPatch, venue: RunningSimulator) -> None:
    real = websockets.connect

    def connect(uri: str, **more: Any) -> Any:
        return real(uri.replace(f"wss://{REAL}/websocket/v1", venue.urls["streams"]), **more)

    monkeypatch.setattr(pyupbit.websocket_api.websockets, "connect", connect)
    for kind in ("ticker", "orderbook", "trade"):
        manager = pyupbit.WebSocketManager(kind, [CODE])
        try:
            for _ in range(2):
                message = manager.get()
                assert (message["type"], message["code"]) == (kind, CODE)
        finally:
            manager.terminate()
            manager.join()


def test_bodies_of_reads_and_cancels_are_refused_as_the_documents_say(
    monkeypatch: pytest.MonkeyPatch, shared_simulator: Start
) -> None:
    strict = shared_simulator("upbit")
    client = move(monkeypatch, strict)
    placed = client.buy_limit_order(CODE, _away(), 0.001)
    assert placed["state"] == "wait"
    assert float(client.get_balance("KRW")) > 0
    assert client.get_order(placed["uuid"]) is None
    assert client.cancel_order(placed["uuid"]) is None
    with pytest.raises(pyupbit.errors.InvalidQueryPayload):
        cancel(client, placed["uuid"])
    (order,) = strict.admin.get("state")["accounts"][strict.account]["orders"]
    assert order["ord_status"] == "NEW"


def cancel(client: pyupbit.Upbit, uuid: str) -> None:
    """As `cancel_order` does it, but for the exception that it swallows."""
    data = {"uuid": uuid}
    headers = client._request_headers(data)
    pyupbit.request_api._send_delete_request(f"https://{REAL}/v1/order", headers=headers, data=data)
