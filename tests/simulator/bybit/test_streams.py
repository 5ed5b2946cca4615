"""The simulated Bybit's sockets: public topics, the account's events, order entry, and what goes wrong on each."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, wrap_client_stream

from tests.simulator.bybit.kit import (
    LINEAR,
    PATIENCE_S,
    SPOT,
    Socket,
    best,
    bybit,
    private_of,
    quiet_config,
    refusal_of,
    rest_of,
    socket_of,
    trade_of,
)
from tools.simulator import Fault, FaultKind, GeneratorConfig, ManualClock, Side, Simulator, TrioClock, open_simulator
from tools.simulator.core.clock import SECOND
from tools.simulator.dialects.bybit.limits import BybitLimits
from tools.simulator.dialects.bybit.privatews import active_limit_s, end_silence

LIVELY = GeneratorConfig(events_per_s=100)
Levels = dict[Decimal, Decimal]


def apply(book: tuple[Levels, Levels], data: dict[str, Any]) -> None:
    for levels, rows in ((book[0], data["b"]), (book[1], data["a"])):
        for price, qty in rows:
            levels[Decimal(price)] = Decimal(qty)
            if not Decimal(qty):
                del levels[Decimal(price)]


# ---- public ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", ["spot", "linear"])
@pytest.mark.parametrize("depth", [50, 200])
async def test_a_book_of_deltas_is_the_book(category: str, depth: int) -> None:
    """Snapshot, then `u` plus one each; after every message at most that many levels, and in the end the REST book."""
    config = quiet_config(market=LIVELY, symbols=(f"{category}:BTCUSDT",))
    async with open_simulator(config) as sim, socket_of(sim, f"/v5/public/{category}") as socket:
        topic = f"orderbook.{depth}.BTCUSDT"
        assert (await socket.subscribe(topic))["success"] is True
        first = await socket.topic(topic)
        assert first["type"] == "snapshot"
        book: tuple[Levels, Levels] = ({}, {})
        apply(book, first["data"])
        update, sequence = first["data"]["u"], first["data"]["seq"]
        for _ in range(20):
            frame = await socket.topic(topic)
            assert (frame["type"], frame["data"]["u"]) == ("delta", update + 1)
            assert frame["data"]["seq"] > sequence
            update, sequence = frame["data"]["u"], frame["data"]["seq"]
            apply(book, frame["data"])
            assert max(book[0]) < min(book[1])
            assert len(book[0]) <= depth
            assert len(book[1]) <= depth
        # A new subscriber gets the same picture under the same counter.
        async with socket_of(sim, f"/v5/public/{category}") as late:
            await late.subscribe(topic)
            snapshot = await late.topic(topic)
        while update < snapshot["data"]["u"]:
            frame = await socket.topic(topic)
            apply(book, frame["data"])
            update = frame["data"]["u"]
        fresh: tuple[Levels, Levels] = ({}, {})
        apply(fresh, snapshot["data"])
        assert (update, book) == (snapshot["data"]["u"], fresh)


async def test_the_rest_book_counts_with_the_topic_of_1000() -> None:
    config = quiet_config(market=LIVELY)
    async with open_simulator(config) as sim, socket_of(sim, "/v5/public/linear") as socket, rest_of(sim) as rest:
        await socket.subscribe("orderbook.1000.BTCUSDT")
        book: tuple[Levels, Levels] = ({}, {})
        frame = await socket.topic("orderbook.1000.BTCUSDT")
        for _ in range(5):
            apply(book, frame["data"])
            frame = await socket.topic("orderbook.1000.BTCUSDT")
        answer = await rest.client.get("/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=1000")
        shown = answer.json()["result"]
        while frame["data"]["u"] <= shown["u"]:
            apply(book, frame["data"])
            if frame["data"]["u"] == shown["u"]:
                break
            frame = await socket.topic("orderbook.1000.BTCUSDT")
        rest_book: tuple[Levels, Levels] = ({}, {})
        apply(rest_book, shown)
        assert book == rest_book


async def test_level_1_is_always_a_snapshot_and_comes_again() -> None:
    async with open_simulator(quiet_config()) as sim, socket_of(sim, "/v5/public/spot") as socket:
        await socket.subscribe("orderbook.1.BTCUSDT")
        first = await socket.topic("orderbook.1.BTCUSDT")
        again = await socket.topic("orderbook.1.BTCUSDT")  # nothing moves here
        assert (first["type"], again["type"]) == ("snapshot", "snapshot")
        assert again["data"]["u"] == first["data"]["u"]
        bid, ask = best(sim, SPOT)
        sim.quote(SPOT, Side.BUY, Decimal(1), bid + (ask - bid) / 2 // Decimal("0.1") * Decimal("0.1"))
        moved = await socket.next(lambda frame: "data" in frame and frame["data"]["u"] > first["data"]["u"])
        assert len(moved["data"]["b"]) == 1
        assert Decimal(moved["data"]["b"][0][0]) > bid


async def test_the_same_topic_is_another_market_on_another_socket() -> None:
    config = quiet_config(prices={"linear:BTCUSDT": Decimal(30000)})
    async with open_simulator(config) as sim:
        prices = {}
        for category in ("spot", "linear"):
            async with socket_of(sim, f"/v5/public/{category}") as socket:
                await socket.subscribe("orderbook.50.BTCUSDT")
                prices[category] = Decimal((await socket.topic("orderbook.50.BTCUSDT"))["data"]["b"][0][0])
        assert prices["spot"] > 2 * prices["linear"]


async def test_tickers_trades_and_bars() -> None:
    """Contracts tell what changed, spot everything and no best prices; only a closed bar is confirmed."""
    clock = ManualClock()
    sim = Simulator(quiet_config(market=GeneratorConfig(events_per_s=30, burst_every_s=0)), clock)
    heard: dict[str, list[dict[str, Any]]] = {}

    class Ear:
        def deliver(self, message: Any) -> None:
            heard.setdefault(message.stream, []).append(json.loads(message.data))

        async def room(self, frames: int) -> None:
            raise AssertionError("a generated market has no brake")

    sim.open_market()
    ear = Ear()
    names = ["spot/tickers.BTCUSDT", "linear/tickers.BTCUSDT", "linear/publicTrade.BTCUSDT", "linear/kline.1.BTCUSDT"]
    streams, hub = bybit(sim).streams, sim.venue.hub
    first = streams.first_message("linear", "tickers.BTCUSDT")
    assert first is not None
    state = json.loads(first)["data"]
    for name in names:
        hub.subscribe(name, ear)
    sim.advance(clock.now_ns() + 130 * SECOND)
    assert {frame["type"] for frame in heard[names[0]]} == {"snapshot"}
    assert "bid1Price" not in heard[names[0]][0]["data"]
    assert {frame["type"] for frame in heard[names[1]]} == {"delta"}
    for frame in heard[names[1]]:
        state |= frame["data"]
    shown = streams._ticker_now(sim.exchange.markets[LINEAR])
    assert state == shown  # deltas on the snapshot give the ticker of now
    rows = [row for frame in heard[names[2]] for row in frame["data"]]
    assert len({row["i"] for row in rows}) == len(rows) > 50
    assert all(earlier["T"] <= later["T"] for earlier, later in pairwise(rows))
    for earlier, later in pairwise(rows):
        moved = Decimal(later["p"]).compare(Decimal(earlier["p"]))
        assert later["L"] in {1: ["PlusTick"], -1: ["MinusTick"], 0: ["ZeroPlusTick", "ZeroMinusTick"]}[int(moved)]
    bars = [frame["data"][0] for frame in heard[names[3]]]
    closed = [bar for bar in bars if bar["confirm"]]
    assert len(closed) == 2
    for bar in closed:
        inside = [row for row in rows if bar["start"] <= row["T"] <= bar["end"]]
        prices = [Decimal(row["p"]) for row in inside]
        assert (Decimal(bar["high"]), Decimal(bar["low"])) == (max(prices), min(prices))
        assert Decimal(bar["volume"]) == sum(Decimal(row["v"]) for row in inside)


@pytest.mark.parametrize(
    "category, acknowledged, ping",
    [
        (
            "spot",
            {"success": True, "ret_msg": "subscribe", "req_id": "s", "op": "subscribe"},
            {"success": True, "ret_msg": "pong", "op": "ping"},
        ),
        (
            "linear",
            {"success": True, "ret_msg": "", "req_id": "s", "op": "subscribe"},
            {"success": True, "ret_msg": "pong", "req_id": "p1", "op": "ping"},
        ),
    ],
)
async def test_words_of_public_sockets(category: str, acknowledged: dict[str, Any], ping: dict[str, Any]) -> None:
    async with open_simulator(quiet_config()) as sim, socket_of(sim, f"/v5/public/{category}") as socket:
        reply = await socket.subscribe("publicTrade.BTCUSDT")
        assert reply.pop("conn_id")
        assert reply == acknowledged
        await socket.send(op="ping", req_id="p1")
        reply = await socket.reply("ping")
        assert reply.pop("conn_id")
        assert reply == ping
        for topics in (["publicTrade.NOPE"], ["orderbook.500.BTCUSDT"], ["publicTrade.BTCUSDT"], []):
            assert (await socket.subscribe(*topics))["success"] is False
        # One topic that is none fails all of its request.
        assert (await socket.subscribe("tickers.BTCUSDT", "tickers.NOPE"))["success"] is False
        assert sim.venue.hub.streams() == [f"{category}/publicTrade.BTCUSDT"]
        await socket.send(op="unsubscribe", args=["publicTrade.BTCUSDT"], req_id="u")
        assert (await socket.reply("unsubscribe"))["success"] is True
        assert sim.venue.hub.streams() == []
        await socket.ws.send_message("nonsense")
        assert (await socket.next(lambda frame: frame.get("op") == ""))["success"] is False


async def test_how_much_may_be_subscribed() -> None:
    limits = BybitLimits(topic_characters=40)
    async with open_simulator(quiet_config(limits=limits)) as sim:
        async with socket_of(sim, "/v5/public/spot") as socket:
            assert (await socket.subscribe(*["tickers.BTCUSDT"] * 11))["ret_msg"] == "args size >10"
            await socket.subscribe("publicTrade.BTCUSDT", "tickers.BTCUSDT")
            assert (await socket.subscribe("kline.1.BTCUSDT"))["success"] is False
        assert await refusal_of(sim, "/v5/public/inverse") == 404


async def test_connections_are_counted() -> None:
    limits = BybitLimits(connections_per_5_minutes=2)
    async with open_simulator(quiet_config(limits=limits)) as sim:
        assert [await refusal_of(sim, "/v5/public/spot") for _ in range(3)] == [0, 0, 403]


async def test_a_delayed_market_begins_with_its_snapshot() -> None:
    """What was on its way when the subscription came is not delivered before the snapshot."""
    from tools.simulator import Latency

    config = quiet_config(market=LIVELY, latency=Latency(market_ms=300))
    path = "/v5/public/linear"
    async with open_simulator(config) as sim, socket_of(sim, path) as early, socket_of(sim, path) as socket:
        await early.subscribe("orderbook.50.BTCUSDT")
        await early.topic("orderbook.50.BTCUSDT")
        await early.topic("orderbook.50.BTCUSDT")
        await socket.subscribe("orderbook.50.BTCUSDT")
        first = await socket.topic("orderbook.50.BTCUSDT")
        second = await socket.topic("orderbook.50.BTCUSDT")
        assert (first["type"], second["type"]) == ("snapshot", "delta")
        assert second["data"]["u"] == first["data"]["u"] + 1


async def test_a_kept_alive_connection_may_become_a_websocket() -> None:
    """Clients with one pool for both reuse it; on the venue REST and streams have hosts of their own."""
    async with open_simulator(quiet_config()) as sim, await trio.open_tcp_stream("127.0.0.1", sim.port) as stream:
        await stream.send_all(b"GET /v5/market/time HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = b""
        with trio.fail_after(PATIENCE_S):
            while not answer.endswith(b"}"):
                answer += await stream.receive_some()
        assert answer.startswith(b"HTTP/1.1 200")
        async with trio.open_nursery() as nursery:
            socket = Socket(await wrap_client_stream(nursery, stream, "x", "/v5/public/spot"))
            assert (await socket.subscribe("orderbook.50.BTCUSDT"))["success"] is True
            assert (await socket.topic("orderbook.50.BTCUSDT"))["type"] == "snapshot"
            assert [kind for kind, _ in sim.server.streams.values()] == ["streams"]
            nursery.cancel_scope.cancel()


def test_the_same_seed_and_times_give_the_same_bytes() -> None:
    def run() -> list[bytes]:
        clock = ManualClock()
        sim = Simulator(quiet_config(market=LIVELY), clock)
        said: list[bytes] = []

        class Ear:
            def deliver(self, message: Any) -> None:
                said.append(message.data)

            async def room(self, frames: int) -> None:
                raise AssertionError("a generated market has no brake")

        sim.open_market()
        for name in ("linear/orderbook.50.BTCUSDT", "spot/publicTrade.BTCUSDT", "linear/tickers.BTCUSDT"):
            sim.venue.hub.subscribe(name, Ear())
        sim.advance(clock.now_ns() + 5 * SECOND)
        return said

    first = run()
    assert len(first) > 100
    assert run() == first


# ---- private ---------------------------------------------------------------------------------------------------


async def test_logon_and_topics() -> None:
    async with open_simulator(quiet_config()) as sim, socket_of(sim, "/v5/private") as socket:
        keys, now = sim.credentials("alpha"), sim.clock.now_ns() // 1_000_000
        assert (await socket.subscribe("order"))["success"] is False  # not logged on
        assert (await socket.logon(keys, now, ahead_ms=-1))["success"] is False  # the moment has passed
        await socket.send(op="auth", args=[keys.hmac_key, now + 9000, "00"])
        assert (await socket.reply("auth"))["success"] is False
        assert (await socket.logon(keys, now))["success"] is True
        assert (await socket.subscribe("order", "nothing"))["success"] is False
        assert (await socket.subscribe("order", "execution.linear"))["success"] is False  # two forms in one request
        assert (await socket.subscribe("order", "execution", "position", "wallet"))["success"] is True
        await socket.send(op="ping", req_id="p1")
        pong = await socket.reply("pong")
        assert (pong["req_id"], len(pong["args"])) == ("p1", 1)
        assert socket.frames == []  # no topic begins with a snapshot


async def test_one_fill_is_told_four_times() -> None:
    topics = ("order", "execution", "execution.fast", "position", "wallet")
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest, private_of(sim, *topics) as stream:
        bid, _ = best(sim, LINEAR)
        order_id = await rest.order("linear", "Buy", "0.01", str(bid + 1), orderLinkId="m")
        assert (await stream.row("order", orderId=order_id))["orderStatus"] == "New"
        sim.trade(LINEAR, Side.SELL, Decimal("0.004"), bid + 1)
        fill = await stream.row("execution", orderId=order_id)
        assert (fill["isMaker"], fill["execQty"], fill["leavesQty"], fill["feeCurrency"]) == (
            True,
            "0.004",
            "0.006",
            "USDT",
        )
        assert Decimal(fill["execFee"]) == Decimal(fill["execValue"]) * Decimal("0.0002")
        fast = await stream.row("execution.fast", execId=fill["execId"])
        assert (fast["orderLinkId"], "execFee" in fast) == ("", False)  # a maker's is not said
        picture = await stream.row("order", orderId=order_id)
        assert (picture["orderStatus"], picture["cumExecQty"], picture["avgPrice"]) == (
            "PartiallyFilled",
            "0.004",
            str((bid + 1).normalize()),
        )
        held = await stream.row("position", size="0.004")
        assert (held["side"], Decimal(held["entryPrice"])) == ("Buy", bid + 1)
        purse = await stream.row("wallet")
        assert [coin["coin"] for coin in purse["coin"]] == ["USDT"]


async def test_topics_of_one_category() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest, private_of(sim, "order.linear") as stream:
        await rest.order("spot", "Buy", "0.01", "60000")
        linear = await rest.order("linear", "Buy", "0.01", "60000")
        row = await stream.row("order.linear")
        assert (row["category"], row["orderId"]) == ("linear", linear)
        assert stream.frames == []


async def test_two_accounts_hear_their_own() -> None:
    async with (
        open_simulator(quiet_config()) as sim,
        rest_of(sim) as rest,
        private_of(sim, "order") as mine,
        private_of(sim, "order", name="beta") as other,
    ):
        order_id = await rest.order("spot", "Buy", "0.01", "60000")
        assert (await mine.row("order"))["orderId"] == order_id
        await other.send(op="ping")
        await other.reply("pong")
        assert other.frames == []


async def test_dead_man_switch() -> None:
    """It fires when the last connection that armed it has been gone for the window, and for institutions alone."""
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        window = {"product": "DERIVATIVES", "timeWindow": 3}
        assert await rest.refused("order/disconnected-cancel-all", **window) == 10005
        bybit(sim).institutions.add("alpha")
        assert await rest.refused("order/disconnected-cancel-all", product="DERIVATIVES", timeWindow=2) == 10001
        await rest.do("order/disconnected-cancel-all", **window)
        assert (await rest.ask("account/query-dcp-info"))["dcpInfos"][0]["timeWindow"] == "3"
        spot = await rest.order("spot", "Buy", "0.01", "60000")
        linear = await rest.order("linear", "Buy", "0.01", "60000")
        async with private_of(sim, "dcp.future"), private_of(sim, "dcp.future"):
            pass  # one of two goes: nothing happens
        with trio.fail_after(PATIENCE_S):
            while len(sim.open_orders("alpha")) > 1:  # noqa: ASYNC110  the venue has no event for it
                await trio.sleep(0.05)
        shown = await rest.shown("linear", linear)
        assert (shown["orderStatus"], shown["cancelType"]) == ("Cancelled", "CancelByDCP")
        assert (await rest.shown("spot", spot))["orderStatus"] == "New"


@pytest.mark.parametrize(
    "query, seconds", [("", 0), ("max_active_time=30s", 30), ("max_active_time=1m", 60), ("max_active_time=5s", 0)]
)
def test_silence_limit_of_the_address(query: str, seconds: int) -> None:
    assert active_limit_s(f"/v5/private?{query}") == seconds


async def test_a_connection_that_says_nothing_is_closed(autojump_clock: object) -> None:
    """Looked at every 30 s: after 60 s of silence at the latest at 90 s."""
    closed: list[float] = []

    class Connection:
        def close(self, code: int, reason: str) -> None:
            closed.append(trio.current_time() - began)

    class Quiet:
        connection = Connection()
        heard_ns = 0

    class Venue:
        clock = TrioClock(0)

    began = trio.current_time()
    venue: Any = Venue()
    await end_silence(venue, Quiet(), 60)
    assert closed == [90.0]


# ---- order entry -----------------------------------------------------------------------------------------------


def create(**changed: Any) -> dict[str, Any]:
    base = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    return base | {"price": "60000"} | changed


async def entered(
    sim: Simulator, socket: Socket, op: str, request_id: str, *args: Any, stamp_ms: int = 0
) -> dict[str, Any]:
    header = {"X-BAPI-TIMESTAMP": str(stamp_ms or sim.clock.now_ns() // 1_000_000), "X-BAPI-RECV-WINDOW": "5000"}
    await socket.send(reqId=request_id, header=header, op=op, args=list(args))
    return await socket.next(lambda frame: frame.get("reqId") == request_id)


async def test_order_entry() -> None:
    async with open_simulator(quiet_config()) as sim, trade_of(sim) as socket, rest_of(sim) as rest:
        answer = await entered(sim, socket, "order.create", "r1", create(orderLinkId="ws"))
        assert (answer["retCode"], answer["data"]["orderLinkId"]) == (0, "ws")
        assert (answer["header"]["X-Bapi-Limit"], answer["header"]["X-Bapi-Limit-Status"]) == ("10", "9")
        assert int(answer["header"]["Timenow"]) > 0
        named = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "ws"}
        assert (await entered(sim, socket, "order.amend", "r2", named | {"qty": "0.02"}))["retCode"] == 0
        # One bucket, whatever the way.
        response = await rest.post("order/create", **create())
        assert response.headers["X-Bapi-Limit-Status"] == "8"
        assert (await entered(sim, socket, "order.cancel", "r3", named))["retCode"] == 0
        batch = {"category": "linear", "request": [create(), create(qty="0")]}
        answer = await entered(sim, socket, "order.create-batch", "r4", batch)
        assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0, 10001]


async def test_what_order_entry_refuses() -> None:
    async with open_simulator(quiet_config()) as sim, socket_of(sim, "/v5/trade") as socket:
        keys, now = sim.credentials("alpha"), sim.clock.now_ns() // 1_000_000
        assert (await entered(sim, socket, "order.create", "r0", create()))["retCode"] == 10003  # not logged on
        await socket.send(op="auth", args=[keys.hmac_key, now + 9000, "00"])
        assert (await socket.reply("auth"))["retCode"] == 10004
        assert (await socket.logon(keys, now))["retCode"] == 0
        assert (await socket.logon(keys, now))["retCode"] == 20001
        assert (await entered(sim, socket, "order.nothing", "r1", create()))["retCode"] == 10404
        assert (await entered(sim, socket, "order.create", "r2", create(), create()))["retCode"] == 10001
        assert (await entered(sim, socket, "order.create", "r3", create(), stamp_ms=now + 5000))["retCode"] == 10002
        assert (await entered(sim, socket, "order.create", "r3", create()))["retCode"] == 20006
        assert (await entered(sim, socket, "order.create", "x" * 37, create()))["retCode"] == 10001
        await socket.send(op="ping", reqId="p")
        pong = await socket.reply("pong")
        assert (pong["retCode"], pong["reqId"]) == (0, "p")
        assert sim.orders("alpha") == []


async def test_a_peer_that_enters_too_fast() -> None:
    limits = BybitLimits(trade_requests_per_second=3)
    clock = ManualClock()
    async with open_simulator(quiet_config(limits=limits), clock=clock) as sim, trade_of(sim) as socket:
        codes = [(await entered(sim, socket, "order.create", f"r{number}", create()))["retCode"] for number in range(4)]
        assert codes == [0, 0, 0, 10403]


# ---- faults ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, code, executed",
    [
        (FaultKind.ERROR_BEFORE, 10016, False),
        (FaultKind.ERROR_AFTER, 10016, True),
        (FaultKind.TIMEOUT_EXECUTED, 10000, True),
        (FaultKind.TIMEOUT_LOST, 10000, False),
        (FaultKind.RATE_LIMIT, 10006, False),
        (FaultKind.LOST_REPLY, None, True),
        (FaultKind.LATE_ACCEPT, None, True),
    ],
)
async def test_faults_of_order_entry(kind: FaultKind, code: int | None, executed: bool) -> None:
    async with open_simulator(quiet_config()) as sim, trade_of(sim) as socket, private_of(sim, "order") as stream:
        sim.strike(Fault(kind=kind, match="order.create", delay_ms=10))
        header = {"X-BAPI-TIMESTAMP": str(sim.clock.now_ns() // 1_000_000)}
        await socket.send(reqId="r", header=header, op="order.create", args=[create(orderLinkId="f")])
        if code is not None:
            answer = await socket.next(lambda frame: frame.get("reqId") == "r")
            assert answer["retCode"] == code
            if kind is FaultKind.RATE_LIMIT:
                assert int(answer["header"]["X-Bapi-Limit-Reset-Timestamp"]) > int(answer["header"]["Timenow"])
        if executed:
            assert (await stream.row("order", orderLinkId="f"))["orderStatus"] == "New"
        assert sim.arrivals("f").seen == 1
        assert sim.arrivals("f").accepted == executed


@pytest.mark.parametrize("status, expected", [(503, 503), (200, 200)])
async def test_server_errors_on_rest(status: int, expected: int) -> None:
    """A gateway's page, or the API's own 10016; either way the order exists."""
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        sim.strike(Fault(kind=FaultKind.ERROR_AFTER, match="order.create", status=status))
        answer = await rest.post("order/create", **create(orderLinkId="f"))
        assert answer.status_code == expected
        if status == 200:
            assert answer.json()["retCode"] == 10016
        (row,) = (await rest.ask("order/realtime", "category=linear&symbol=BTCUSDT&orderLinkId=f"))["list"]
        assert row["orderStatus"] == "New"


async def test_a_ban_silences_the_address_and_ends_its_sockets() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest, private_of(sim, "order") as stream:
        sim.strike(Fault(kind=FaultKind.BAN, match="account.info", delay_ms=60_000))
        assert (await rest.get("account/info")).status_code == 403
        assert (await rest.client.get("/v5/market/time")).status_code == 403
        with pytest.raises(ConnectionClosed), trio.fail_after(PATIENCE_S):
            await stream.ws.get_message()


async def test_the_trade_service_announces_its_restart() -> None:
    async with open_simulator(quiet_config()) as sim, trade_of(sim) as socket:
        sim.strike(Fault(kind=FaultKind.SHUTDOWN_NOTICE, delay_ms=200))
        assert (await entered(sim, socket, "order.create", "r", create()))["retCode"] == 10019
        with pytest.raises(ConnectionClosed):
            await socket.next(lambda frame: False)


async def test_a_revoked_key_ends_its_sockets() -> None:
    async with open_simulator(quiet_config()) as sim, private_of(sim, "order") as stream:
        sim.strike(Fault(kind=FaultKind.REVOKE_KEY, match=sim.credentials("alpha").hmac_key))
        with pytest.raises(ConnectionClosed), trio.fail_after(PATIENCE_S):
            await stream.ws.get_message()


async def test_faults_of_events_and_connections() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest, private_of(sim, "order") as stream:
        sim.strike(Fault(kind=FaultKind.EVENT_DROP, match="order:New"))
        sim.strike(Fault(kind=FaultKind.EVENT_DUPLICATE, match="order:Cancelled"))
        order_id = await rest.order("spot", "Buy", "0.01", "60000")
        await rest.do("order/cancel", category="spot", symbol="BTCUSDT", orderId=order_id)
        words = [(await stream.row("order"))["orderStatus"] for _ in range(2)]
        assert words == ["Cancelled", "Cancelled"]
        sim.cut_connections("private")
        with pytest.raises(ConnectionClosed), trio.fail_after(PATIENCE_S):
            await stream.ws.get_message()


async def test_an_answer_and_its_event_may_come_in_either_order() -> None:
    """They travel on different sockets; a fault decides which is first."""
    async with open_simulator(quiet_config()) as sim, trade_of(sim) as socket, private_of(sim, "order") as stream:
        sim.strike(Fault(kind=FaultKind.DELAY_REPLY, match="order.create", delay_ms=200))
        header = {"X-BAPI-TIMESTAMP": str(sim.clock.now_ns() // 1_000_000)}
        await socket.send(reqId="a", header=header, op="order.create", args=[create(orderLinkId="a")])
        assert (await stream.row("order", orderLinkId="a"))["orderStatus"] == "New"
        assert socket.frames == []
        assert (await socket.next(lambda frame: frame.get("reqId") == "a"))["retCode"] == 0
        sim.strike(Fault(kind=FaultKind.REPLY_FIRST, match="order.create", delay_ms=200))
        assert (await entered(sim, socket, "order.create", "b", create(orderLinkId="b")))["retCode"] == 0
        assert stream.frames == []
        assert (await stream.row("order", orderLinkId="b"))["orderStatus"] == "New"
