"""Market streams: names, control frames, and a book that can be rebuilt from snapshot and diffs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from tests.simulator.wire import PATIENCE_S, open_ws, rest_of, running, until
from tools.simulator import Fault, FaultKind, GeneratorConfig, LimitConfig, Side, Simulator

LIVELY = GeneratorConfig(events_per_s=400, burst_every_s=1, burst_for_s=0.2)


async def read(ws: WebSocketConnection) -> Any:
    with trio.fail_after(PATIENCE_S):
        return json.loads(await ws.get_message())


async def read_until(ws: WebSocketConnection, wanted: Any) -> Any:
    """The first message that `wanted` accepts."""
    while True:
        message = await read(ws)
        if wanted(message):
            return message


async def test_raw_and_combined_forms() -> None:
    async with running(market=LIVELY) as sim, open_ws(sim, "/ws/btcusdt@bookTicker") as raw:
        message = await read(raw)
        assert set(message) == {"u", "s", "b", "B", "a", "A"}
        async with open_ws(sim, "/stream?streams=btcusdt@trade/btcusdt@depth5@100ms") as combined:
            depth = await read_until(combined, lambda m: m["stream"] == "btcusdt@depth5@100ms")
            assert set(depth["data"]) == {"lastUpdateId", "bids", "asks"}
            trade = await read_until(combined, lambda m: m["stream"] == "btcusdt@trade")
            assert set(trade["data"]) == {"e", "E", "s", "t", "p", "q", "T", "m", "M"}


async def test_times_in_microseconds_for_who_asks() -> None:
    """Section 3: `timeUnit` stands beside `streams`; lower case is accepted; numbers of trades stay what they are."""
    streams = "btcusdt@trade/btcusdt@kline_1s/btcusdt@ticker"
    async with (
        running(market=LIVELY) as sim,
        open_ws(sim, f"/stream?streams={streams}&timeUnit=microsecond") as fine,
        open_ws(sim, "/ws/btcusdt@trade") as coarse,
    ):
        now_us = sim.clock.now_ns() // 1000
        trade = (await read_until(fine, lambda m: m["stream"] == "btcusdt@trade"))["data"]
        same = await read_until(coarse, lambda m: m["t"] >= trade["t"])
        assert trade["E"] // 1000 <= same["E"]
        bar = (await read_until(fine, lambda m: m["stream"].endswith("kline_1s")))["data"]
        day = (await read_until(fine, lambda m: m["stream"].endswith("@ticker")))["data"]
        times = (trade["E"], trade["T"], bar["E"], bar["k"]["t"], bar["k"]["T"], day["E"], day["C"])
        assert all(abs(time - now_us) < 3_600 * 1_000_000 for time in times)
        assert trade["t"] < 10**12


async def test_statistics_of_rolling_windows() -> None:
    async with running(market=LIVELY) as sim, open_ws(sim, "/stream?streams=btcusdt@ticker_1h/!ticker_4h@arr") as ws:
        one = (await read_until(ws, lambda m: m["stream"] == "btcusdt@ticker_1h"))["data"]
        assert set(one) == set("eEspPwcohlvqOCFLn")
        assert (one["e"], one["C"] - one["O"]) == ("1hTicker", 3_600_000)
        (row,) = (await read_until(ws, lambda m: m["stream"] == "!ticker_4h@arr"))["data"]
        assert (row["e"], row["s"], row["C"] - row["O"]) == ("4hTicker", "BTCUSDT", 4 * 3_600_000)


async def test_control_frames() -> None:
    async with running(limits=LimitConfig(stream_messages_per_second=0)) as sim, open_ws(sim, "/ws") as ws:

        async def ask(text: Any) -> Any:
            await ws.send_message(text if isinstance(text, str) else json.dumps(text))
            return await read(ws)

        assert await ask({"method": "SUBSCRIBE", "params": ["btcusdt@trade", "no@such"], "id": 1}) == {
            "result": None,
            "id": 1,
        }
        listed = await ask({"method": "LIST_SUBSCRIPTIONS", "id": "x-1"})
        assert listed == {"result": ["btcusdt@trade", "no@such"], "id": "x-1"}
        assert (await ask({"method": "GET_PROPERTY", "params": ["combined"], "id": 2}))["result"] is False
        assert (await ask({"method": "SET_PROPERTY", "params": ["combined", True], "id": 3}))["result"] is None
        assert (await ask({"method": "GET_PROPERTY", "params": ["combined"], "id": 4}))["result"] is True
        assert (await ask({"method": "UNSUBSCRIBE", "params": ["no@such"], "id": 5}))["result"] is None
        assert (await ask({"method": "LIST_SUBSCRIPTIONS", "id": 6}))["result"] == ["btcusdt@trade"]
        assert (await ask("{"))["code"] == 3
        assert (await ask({"method": "DANCE", "id": 7}))["code"] == 2
        assert (await ask({"id": 7}))["code"] == 2
        assert (await ask({"method": "SUBSCRIBE", "params": [1], "id": 7}))["code"] == 2
        assert (await ask({"method": "SUBSCRIBE", "params": "x", "id": 7}))["code"] == 2
        assert (await ask({"method": "GET_PROPERTY", "params": ["colour"], "id": 7}))["code"] == 0
        assert (await ask({"method": "SET_PROPERTY", "params": ["combined", 1], "id": 7}))["code"] == 1
        assert (await ask({"method": "LIST_SUBSCRIPTIONS", "id": [1]}))["code"] == 2
    async with running(limits=LimitConfig(streams_per_connection=1)) as sim, open_ws(sim, "/ws/btcusdt@trade") as ws:
        await ws.send_message(json.dumps({"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 1}))
        assert (await read(ws))["code"] == 2


async def test_too_many_control_messages_end_the_connection() -> None:
    async with running() as sim, open_ws(sim, "/ws") as ws:

        async def insist() -> None:
            for number in range(12):
                await ws.send_message(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
            while True:
                await ws.get_message()

        with trio.fail_after(PATIENCE_S):
            with pytest.raises(ConnectionClosed) as caught:
                await insist()
        assert caught.value.reason is not None
        assert caught.value.reason.code in (1006, 1008)  # cut, politely or not


class LocalBook:
    """The venue's own seven steps, in the plainest form (section 13)."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.last = snapshot["lastUpdateId"]
        self.sides = {side: {Decimal(p): Decimal(q) for p, q in snapshot[side]} for side in ("bids", "asks")}

    def apply(self, event: dict[str, Any]) -> bool:
        """False for a gap."""
        if event["u"] < self.last:
            return True
        if event["U"] > self.last + 1:
            return False
        for side, levels in (("bids", event["b"]), ("asks", event["a"])):
            for price, qty in levels:
                if Decimal(qty):
                    self.sides[side][Decimal(price)] = Decimal(qty)
                else:
                    self.sides[side].pop(Decimal(price), None)
        self.last = event["u"]
        return True

    def equals(self, sim: Simulator) -> bool:
        market = sim.exchange.markets["BTCUSDT"]
        return self.sides == {
            "bids": dict(market.depth(Side.BUY, 10**6)),
            "asks": dict(market.depth(Side.SELL, 10**6)),
        }


async def synced_book(sim: Simulator, ws: WebSocketConnection) -> LocalBook:
    first = await read_until(ws, lambda m: m.get("e") == "depthUpdate")
    async with rest_of(sim) as rest:
        snapshot = (await rest.public("depth", symbol="BTCUSDT", limit=5000)).json()
    assert snapshot["lastUpdateId"] >= first["U"] - 1
    book = LocalBook(snapshot)
    if first["u"] > book.last:
        assert book.apply(first)
    return book


async def test_diffs_rebuild_the_book_exactly() -> None:
    async with running(market=LIVELY) as sim, open_ws(sim, "/ws/btcusdt@depth@100ms") as ws:
        book = await synced_book(sim, ws)
        matched = 0
        for _ in range(15):
            event = await read(ws)
            assert book.apply(event)
            if book.last == sim.exchange.markets["BTCUSDT"].update_id:
                assert book.equals(sim)
                matched += 1
        assert matched


async def test_slow_depth_covers_the_same_ids() -> None:
    async with running(market=LIVELY) as sim, open_ws(sim, "/ws/btcusdt@depth") as ws:
        book = await synced_book(sim, ws)
        for _ in range(2):
            assert book.apply(await read(ws))


async def test_user_orders_are_part_of_the_public_market() -> None:
    async with (
        running() as sim,
        rest_of(sim) as rest,
        open_ws(sim, "/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@aggTrade/btcusdt@bookTicker") as ws,
    ):
        top = sim.exchange.markets["BTCUSDT"].top()
        assert top.bid is not None
        price = f"{top.bid + Decimal('0.01'):.2f}"
        await until(lambda: sim.venue.hub.subscribers() == 1)
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": price}
        await rest.signed("POST", "order", **order, quantity="0.00300")
        ticker = (await read_until(ws, lambda m: m["stream"].endswith("bookTicker")))["data"]
        assert (Decimal(ticker["b"]), Decimal(ticker["B"])) == (Decimal(price), Decimal("0.003"))
        depth = (await read_until(ws, lambda m: m["stream"].endswith("depth@100ms")))["data"]
        assert [f"{Decimal(price):.8f}", "0.00300000"] in depth["b"]
        sim.trade("BTCUSDT", Side.SELL, Decimal("0.001"))
        trade = (await read_until(ws, lambda m: m["stream"].endswith("@trade")))["data"]
        assert (trade["q"], trade["m"]) == ("0.00100000", True)
        aggregate = (await read_until(ws, lambda m: m["stream"].endswith("@aggTrade")))["data"]
        assert (aggregate["f"], aggregate["l"], aggregate["q"]) == (trade["t"], trade["t"], "0.00100000")
        assert sim.fills("alpha", "BTCUSDT")[0].trade.trade_id == trade["t"]


async def test_slower_streams() -> None:
    names = "btcusdt@kline_1s/btcusdt@ticker/btcusdt@miniTicker/btcusdt@avgPrice/!miniTicker@arr"
    async with running(market=LIVELY) as sim, open_ws(sim, f"/stream?streams={names}") as ws:
        seen: dict[str, Any] = {}
        closed = None
        while len(seen) < 5 or closed is None:
            message = await read(ws)
            seen[message["stream"]] = message["data"]
            if message["stream"].endswith("kline_1s") and message["data"]["k"]["x"]:
                closed = message["data"]["k"]
        assert closed["T"] - closed["t"] == 999
        assert closed["f"] <= closed["L"]
        assert seen["btcusdt@ticker"]["e"] == "24hrTicker"
        assert seen["btcusdt@miniTicker"]["e"] == "24hrMiniTicker"
        assert seen["!miniTicker@arr"][0]["s"] == "BTCUSDT"


async def test_a_dropped_depth_message_is_a_gap_of_one() -> None:
    async with running(market=LIVELY) as sim, open_ws(sim, "/ws/btcusdt@depth@100ms") as ws:
        book = await synced_book(sim, ws)
        sim.strike(Fault(kind=FaultKind.DROP, match="*@depth*", skip=1))
        with trio.fail_after(PATIENCE_S):
            while book.apply(await read(ws)):
                pass
        assert sim.faults.counts["drop"] == 1


async def test_the_message_with_one_update_id_can_be_dropped() -> None:
    async with running(market=LIVELY) as sim, open_ws(sim, "/ws/btcusdt@depth@100ms") as ws:
        first = await read(ws)
        target = first["u"] + 60
        sim.strike(Fault(kind=FaultKind.DROP, match="*@depth*", update_id=target))
        last = first["u"]
        while True:
            event = await read(ws)
            if event["U"] != last + 1:
                break
            last = event["u"]
        assert last < target < event["U"]


async def test_duplicates_delays_and_reordering() -> None:
    async with running(market=LIVELY) as sim, open_ws(sim, "/ws/btcusdt@depth@100ms") as ws:
        await read(ws)
        sim.strike(Fault(kind=FaultKind.DUPLICATE, match="*@depth*"))
        first, second = await read(ws), await read(ws)
        while first != second:
            first, second = second, await read(ws)
        sim.strike(Fault(kind=FaultKind.REORDER, match="*@depth*", after=2))
        ids = [(await read(ws))["u"] for _ in range(6)]
        assert ids != sorted(ids)
        assert sim.faults.counts == {"duplicate": 1, "reorder": 1}
        sim.strike(Fault(kind=FaultKind.DELAY, match="*@depth*", delay_ms=250))
        ids = [(await read(ws))["u"] for _ in range(6)]
        assert ids != sorted(ids)
