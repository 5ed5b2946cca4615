"""Routes, public streams, the local book, user data by listen key (sections 1, 13, 14, 15)."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from tests.simulator.binance_usdm.kit import SYMBOL, Events, price, rest_of, running, user_data
from tests.simulator.wire import PATIENCE_S, open_ws, until
from tools.simulator import Fault, FaultKind, GeneratorConfig, Side
from tools.simulator.core.clock import MINUTE
from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

LIVELY = GeneratorConfig(events_per_s=200.0, burst_every_s=0)
ROUTED = {
    "public": ["btcusdt@bookTicker", "btcusdt@depth@100ms", "btcusdt@depth10@100ms", "btcusdt@trade"],
    "market": [
        "btcusdt@aggTrade",
        "btcusdt@kline_1m",
        "btcusdt_perpetual@continuousKline_1m",
        "btcusdt@markPrice@1s",
        "!markPrice@arr@1s",
        "!ticker@arr",
        "!miniTicker@arr",
    ],
}


async def _answer(ws: WebSocketConnection) -> Any:
    """The next message that is no event."""
    while "e" in (message := await _message(ws)):
        continue
    return message


async def _message(ws: WebSocketConnection) -> Any:
    with trio.fail_after(PATIENCE_S):
        return json.loads(await ws.get_message())


@pytest.mark.parametrize("route", ["public", "market"])
async def test_each_route_delivers_its_streams_and_no_others(route: str) -> None:
    everything = [name for names in ROUTED.values() for name in names]
    async with running(market=LIVELY) as sim, open_ws(sim, f"/{route}/stream") as ws:
        await ws.send_message(json.dumps({"method": "SUBSCRIBE", "params": everything, "id": 1}))
        seen: set[str] = set()
        acknowledged = False
        with trio.fail_after(PATIENCE_S):
            while not acknowledged or seen != set(ROUTED[route]):
                message = await _message(ws)
                if "stream" in message:
                    seen.add(message["stream"])
                else:
                    assert message == {"result": None, "id": 1}
                    acknowledged = True


async def test_an_unrouted_socket_acknowledges_everything_and_delivers_books() -> None:
    """The trap of April 2026: everything but books stays silent without an error (1)."""
    async with running(market=LIVELY) as sim, open_ws(sim, "/ws/btcusdt@markPrice@1s") as ws:
        await ws.send_message(json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1}))
        assert await _message(ws) == {"result": None, "id": 1}
        await ws.send_message(json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 2}))
        kinds = set()
        with trio.move_on_after(1.5):
            while True:
                kinds.add((await _message(ws)).get("e"))
        assert kinds == {None, "bookTicker"}


async def test_control_frames_want_an_unsigned_id() -> None:
    async with running() as sim, open_ws(sim, "/public/ws/btcusdt@bookTicker") as ws:
        await ws.send_message(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 3}))
        assert await _answer(ws) == {"result": ["btcusdt@bookTicker"], "id": 3}
        await ws.send_message(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": "three"}))
        assert (await _answer(ws))["code"] == 2


async def test_too_many_frames_end_the_connection() -> None:
    async def flood(ws: WebSocketConnection) -> None:
        for number in range(30):
            await ws.send_message(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        while True:
            await ws.get_message()

    async with running() as sim, open_ws(sim, "/public/ws") as ws:
        with pytest.raises(ConnectionClosed):
            await flood(ws)


def _best(side: dict[Decimal, Decimal], pick: Any) -> tuple[str, str]:
    where = pick(side)
    return f"{where:.2f}", f"{side[where]:.3f}"


async def test_the_local_book_equals_the_venue_by_its_own_rule() -> None:
    """Section 14 by the letter, against the book tickers of the same ids."""
    target = "/public/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker"
    async with running(market=LIVELY) as sim, rest_of(sim) as rest, open_ws(sim, target) as ws:
        buffered = [await _message(ws) for _ in range(40)]
        snapshot = await rest.public("depth", symbol=SYMBOL, limit=1000)
        book = {
            side: {Decimal(px): Decimal(qty) for px, qty in snapshot[name]}
            for side, name in (("b", "bids"), ("a", "asks"))
        }
        reached, first, compared = snapshot["lastUpdateId"], True, 0
        tickers: dict[int, dict[str, str]] = {}
        while compared < 15:
            message = buffered.pop(0) if buffered else await _message(ws)
            data = message["data"]
            if data["e"] == "bookTicker":
                tickers[data["u"]] = data
                continue
            if data["u"] < reached:
                continue
            assert data["U"] <= reached if first else data["pu"] == reached
            first, reached = False, data["u"]
            for side in ("b", "a"):
                for px, qty in data[side]:
                    book[side][Decimal(px)] = Decimal(qty)
                book[side] = {px: qty for px, qty in book[side].items() if qty}
            ticker = tickers.get(reached)
            if ticker is not None:
                compared += 1
                assert _best(book["b"], max) == (ticker["b"], ticker["B"])
                assert _best(book["a"], min) == (ticker["a"], ticker["A"])


async def test_ids_jump_and_only_pu_links() -> None:
    async with running(market=LIVELY) as sim, open_ws(sim, "/public/ws/btcusdt@depth@100ms") as ws:
        events = [await _message(ws) for _ in range(5)]
        for before, after in pairwise(events):
            assert after["pu"] == before["u"]
            assert after["U"] > before["u"] + 1


async def test_a_dropped_diff_breaks_the_link() -> None:
    async with running(market=LIVELY) as sim, open_ws(sim, "/public/ws/btcusdt@depth@100ms") as ws:
        first = await _message(ws)
        sim.strike(Fault(kind=FaultKind.DROP, match="btcusdt@depth@100ms"))
        while (second := await _message(ws))["pu"] == first["u"]:
            first = second
        assert second["pu"] > first["u"]


# ---------------------------------------------------------------------------------------------- user data
async def test_an_order_is_told_from_its_birth_to_its_fill() -> None:
    async with running() as sim, rest_of(sim) as rest, user_data(sim, rest) as events:
        placed = await rest.market("BUY", "0.010", newClientOrderId="mine")
        born = await events.next("ORDER_TRADE_UPDATE", x="NEW", i=placed["orderId"])
        assert (born["o"]["X"], born["o"]["c"]) == ("NEW", "mine")
        lite = await events.next("TRADE_LITE", i=placed["orderId"])
        filled = await events.next("ORDER_TRADE_UPDATE", x="TRADE", i=placed["orderId"])
        assert filled["o"]["t"] == lite["t"]
        assert filled["o"]["N"] == "USDT"
        account = await events.next("ACCOUNT_UPDATE")
        [balance], [position] = account["a"]["B"], account["a"]["P"]
        assert (account["a"]["m"], balance["bc"], position["pa"]) == ("ORDER", "0", "0.010")
        assert Decimal(balance["wb"]) == sim.balances("alpha")["USDT"][0]


async def test_amendment_cancel_and_expiry_are_told() -> None:
    async with running() as sim, rest_of(sim) as rest, user_data(sim, rest) as events:
        where = price(sim, -500)
        placed = await rest.limit("BUY", "0.010", where)
        terms = {"symbol": SYMBOL, "side": "BUY", "orderId": placed["orderId"]}
        await rest.ask("PUT", "order", **terms, quantity="0.020", price=where, modifyId=5)
        changed = await events.next("ORDER_TRADE_UPDATE", x="AMENDMENT")
        assert (changed["o"]["q"], changed["o"]["M"]) == ("0.020", "5")
        await rest.ask("DELETE", "order", symbol=SYMBOL, orderId=placed["orderId"])
        assert (await events.next("ORDER_TRADE_UPDATE", x="CANCELED"))["o"]["X"] == "CANCELED"
        await rest.limit("BUY", "0.010", where, timeInForce="IOC")
        assert (await events.next("ORDER_TRADE_UPDATE", x="EXPIRED"))["o"]["er"] == "2"
        assert not [event for event in await events.silence() if event["e"] == "ACCOUNT_UPDATE"]


async def test_algo_funding_settings_and_deposits_are_told() -> None:
    async with running() as sim, rest_of(sim) as rest, user_data(sim, rest) as events:
        await rest.market("BUY", "0.100")
        await events.next("ACCOUNT_UPDATE")
        terms = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET"}
        await rest.ask("POST", "algoOrder", **terms, quantity="0.1", triggerPrice="89000.0", workingType="MARK_PRICE")
        assert (await events.next("ALGO_UPDATE", X="NEW"))["o"]["ai"] == ""
        sim.mark(SYMBOL, Decimal(88000))
        assert (await events.next("ALGO_UPDATE", X="TRIGGERING"))["o"]["tp"] == "89000.00"
        child = (await events.next("ALGO_UPDATE", X="TRIGGERED"))["o"]["ai"]
        assert (await events.next("ORDER_TRADE_UPDATE", x="TRADE", i=int(child)))["o"]["ot"] == "STOP_MARKET"
        assert (await events.next("ALGO_UPDATE", X="FINISHED"))["o"]["aq"] == "0.100"
        await events.next("ACCOUNT_UPDATE")
        await rest.market("SELL", "0.100")
        await events.next("ACCOUNT_UPDATE")
        sim.fund(SYMBOL, Decimal("0.0001"))
        funding = await events.next("ACCOUNT_UPDATE")
        assert (funding["a"]["m"], funding["a"]["P"], funding["a"]["S"]) == ("FUNDING_FEE", [], SYMBOL)
        assert Decimal(funding["a"]["B"][0]["bc"]) == Decimal("0.88")
        await rest.ask("POST", "leverage", symbol=SYMBOL, leverage=7)
        assert (await events.next("ACCOUNT_CONFIG_UPDATE"))["ac"] == {"s": SYMBOL, "l": 7}
        sim.deposit("alpha", "USDT", Decimal(5))
        assert (await events.next("ACCOUNT_UPDATE"))["a"]["m"] == "DEPOSIT"


async def test_listen_keys_live_are_shared_and_end() -> None:
    async with running() as sim, rest_of(sim) as rest:
        assert (await rest.keyed("PUT")).json()["code"] == -1125
        async with user_data(sim, rest) as events:
            key = (await rest.keyed("POST")).json()["listenKey"]
            assert (await rest.keyed("PUT")).json() == {"listenKey": key}
            venue = sim.venue
            assert isinstance(venue, BinanceUsdm)
            found = venue.listen_keys.find(key)
            assert found is not None
            found.expires_ns = sim.clock.now_ns()
            assert (await events.next("listenKeyExpired"))["listenKey"] == key
            await rest.market("BUY", "0.010")
            assert await events.silence() == []  # open, and silent
            assert (await rest.keyed("PUT")).json()["code"] == -1125
        assert found.expires_ns < sim.clock.now_ns() + MINUTE


async def test_a_deleted_key_silences_and_a_made_up_one_is_silent() -> None:
    async with (
        running() as sim,
        rest_of(sim) as rest,
        user_data(sim, rest) as events,
        open_ws(sim, "/private/ws/nobodysKey") as ws,
    ):
        assert (await rest.keyed("DELETE")).json() == {}
        await rest.market("BUY", "0.010")
        assert await events.silence() == []
        assert await Events(ws).silence() == []


async def test_private_addresses_choose_keys_and_events() -> None:
    async with running() as sim, rest_of(sim) as rest:
        target = "/private/stream?listenKey={key}&events=ACCOUNT_UPDATE"
        async with user_data(sim, rest, target) as events, user_data(sim, rest, "/private/ws?listenKey={key}") as whole:
            await rest.market("BUY", "0.010")
            await events.next("ACCOUNT_UPDATE")
            assert await events.silence() == []
            await whole.next("TRADE_LITE")


async def test_private_faults_reorder_and_lose_events() -> None:
    async with running() as sim, rest_of(sim) as rest, user_data(sim, rest) as events:
        sim.strike(Fault(kind=FaultKind.EVENT_DROP, match="ORDER_TRADE_UPDATE:TRADE"))
        await rest.market("BUY", "0.010")
        kinds = [event["e"] for event in await events.silence()]
        assert kinds == ["ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE"]


async def test_a_forced_close_is_public_and_private() -> None:
    async with (
        running() as sim,
        rest_of(sim) as rest,
        user_data(sim, rest) as events,
        open_ws(sim, "/market/ws/btcusdt@forceOrder") as ws,
    ):
        await rest.market("BUY", "0.010")
        sim.liquidate("alpha", SYMBOL)
        assert (await _message(ws))["o"]["S"] == "SELL"
        told = await events.next("ORDER_TRADE_UPDATE", x="CALCULATED")
        assert told["o"]["c"].startswith("autoclose-")
        assert not sim.positions("alpha")


async def test_outside_prints_reach_both_forms() -> None:
    async with (
        running() as sim,
        open_ws(sim, "/market/ws/btcusdt@aggTrade") as market,
        open_ws(sim, "/public/ws/btcusdt@trade") as public,
    ):
        await until(lambda: sim.venue.hub.subscribers() == 2)
        sim.trade(SYMBOL, Side.BUY, Decimal("0.005"))
        whole, single = await _message(market), await _message(public)
        assert (whole["q"], whole["nq"], single["X"]) == ("0.005", "0.005", "MARKET")
        assert whole["l"] == single["t"]
