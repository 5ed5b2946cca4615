"""The three WebSockets: login, topics, keep-alive and silence; public channels, books and their chain."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from decimal import Decimal

import pytest
import trio
from trio_websocket import HandshakeError

from tests.simulator.okx.wire import (
    SPOT,
    SWAP,
    S,
    ended,
    order,
    private_socket,
    quiet_config,
    quiet_simulator,
    raw_socket,
    rest_of,
    socket_to,
    venue_of,
)
from tools.simulator import GeneratorConfig, Latency, Side, Simulator
from tools.simulator.core.clock import ManualClock
from tools.simulator.dialects.okx import sockets
from tools.simulator.dialects.okx.depth import CHANNELS, Chain
from tools.simulator.dialects.okx.limits import OkxLimits

D = Decimal
LIVELY = GeneratorConfig(events_per_s=60, burst_every_s=0)


# --------------------------------------------------------------------------------------- login and control
async def test_login_and_its_failures() -> None:
    async with quiet_simulator() as sim:
        for changes, code in (
            ({"apiKey": "nobody"}, "60005"),
            ({"passphrase": "another"}, "60024"),
            ({"sign": "AAAA"}, "60007"),
            ({"timestamp": "now"}, "60004"),
            ({"timestamp": str(sim.clock.now_ns() // S - 31)}, "60006"),
            ({"timestamp": str(sim.clock.now_ns() // 1_000_000)}, "60004"),  # milliseconds are the classical mistake
        ):
            async with socket_to(sim, "private") as socket:
                await socket.say({"op": "login", "args": [socket.login_arg(**changes)]})
                error = await socket.event("error")
                assert (error["code"], "arg" in error) == (code, False)
                assert (await ended(socket))[0] == 4001
        async with socket_to(sim, "private") as socket:
            await socket.login()
            assert socket.heard[-1] == {"event": "login", "code": "0", "msg": "", "connId": socket.heard[-1]["connId"]}


@pytest.mark.parametrize(
    "text, code",
    [
        ("{", "60012"),
        ("[]", "60012"),
        ('{"args":[]}', "60012"),
        ('{"op":"dance","args":[]}', "60019"),
        ('{"op":"subscribe"}', "60013"),
        ('{"op":"subscribe","args":["books"]}', "60013"),
        ('{"op":"subscribe","id":"a-b","args":[{"channel":"books","instId":"BTC-USDT"}]}', "60033"),
        ('{"op":"subscribe","args":[{"channel":"books","instId":"NO-SUCH"}]}', "60018"),
        ('{"op":"subscribe","args":[{"channel":"candle1m","instId":"BTC-USDT"}]}', "60018"),  # on business
        ('{"op":"subscribe","args":[{"channel":"orders","instType":"ANY"}]}', "60008"),
        ('{"op":"subscribe","args":[{"channel":"books-l2-tbt","instId":"BTC-USDT"}]}', "60011"),
    ],
)
async def test_frames_that_cannot_be_obeyed(text: str, code: str) -> None:
    async with quiet_simulator() as sim, socket_to(sim) as socket:
        await socket.say(text)
        error = await socket.hear()
        assert (error["event"], error["code"]) == ("error", code)
        await socket.subscribe({"channel": "books", "instId": SPOT})  # the connection lives


async def test_private_topics_need_a_login() -> None:
    async with quiet_simulator() as sim, socket_to(sim, "private") as socket:
        await socket.say({"op": "subscribe", "args": [{"channel": "orders", "instType": "ANY"}]})
        assert (await socket.event("error"))["code"] == "60011"
        await socket.say({"id": "p1", "op": "order", "args": [order()]})
        assert (await socket.answer("p1"))["code"] == "60011"


async def test_fee_tiers_open_channels() -> None:
    async with quiet_simulator() as sim, socket_to(sim) as public, private_socket(sim) as private:
        await public.login()
        await public.say({"op": "subscribe", "args": [{"channel": "books50-l2-tbt", "instId": SPOT}]})
        assert (await public.event("error"))["code"] == "64003"
        await private.say({"op": "subscribe", "args": [{"channel": "fills"}]})
        assert (await private.event("error"))["code"] == "64003"
        venue_of(sim).settings(sim.account("alpha")).vip = 5
        await public.subscribe({"channel": "books50-l2-tbt", "instId": SPOT})
        picture = await public.push("books50-l2-tbt")
        assert len(picture["data"][0]["bids"]) == 50
        await public.say({"op": "subscribe", "args": [{"channel": "books-l2-tbt", "instId": SPOT}]})
        assert (await public.event("error"))["code"] == "64004"
        await private.subscribe({"channel": "fills"})
        async with rest_of(sim) as rest:
            await rest.place(SPOT, ordType="market", sz="0.001", clOrdId="42")
        (fill,) = (await private.push("fills"))["data"]
        assert (fill["clOrdId"], "fee" in fill, fill["execType"]) == ("42", False, "T")


async def test_unknown_paths_are_refused() -> None:
    async with quiet_simulator() as sim:
        sim.venue.urls = lambda http, ws: {"streams": f"{ws}/ws/v5/nothing", "rest": http}  # type: ignore[method-assign]
        with pytest.raises(BaseExceptionGroup) as caught:
            async with raw_socket(sim):
                pass
        assert caught.value.split(HandshakeError)[0] is not None


async def test_limits_of_connections_and_requests() -> None:
    limits = OkxLimits(connections_per_s=0, session_requests_per_hour=3, channel_connections=1)
    async with quiet_simulator(limits=limits) as sim:
        async with socket_to(sim) as socket:
            for _ in range(3):
                await socket.subscribe({"channel": "trades", "instId": SPOT})
            await socket.say({"op": "subscribe", "args": [{"channel": "trades", "instId": SPOT}]})
            assert (await socket.event("error"))["code"] == "60014"
        async with private_socket(sim) as first, private_socket(sim) as second:
            await first.subscribe({"channel": "orders", "instType": "ANY"})
            counted = await first.event("channel-conn-count")
            assert (counted["channel"], counted["connCount"]) == ("orders", "1")
            await second.subscribe({"channel": "orders", "instType": "ANY"})  # acknowledged, and then ended
            assert (await second.event("channel-conn-count-error"))["channel"] == "orders"
    async with quiet_simulator(limits=OkxLimits(connections_per_s=1)) as sim:
        with pytest.raises(BaseExceptionGroup):
            async with socket_to(sim), socket_to(sim), socket_to(sim):
                pass


async def test_a_frame_may_have_64_kilobytes() -> None:
    async with quiet_simulator() as sim, socket_to(sim) as socket:
        await socket.say(json.dumps({"op": "subscribe", "args": [{"channel": "x" * 66_000}]}))
        assert (await ended(socket))[0] == 1009


async def test_ping_is_text_and_silence_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "SILENCE_S", 0.4)
    async with quiet_simulator() as sim, socket_to(sim) as socket, socket_to(sim, "private") as mute:
        for _ in range(4):  # longer than the silence that ends the other one
            await trio.sleep(0.15)
            await socket.say("ping")
            assert await socket.hear() == "pong"
        assert await ended(mute) == (4004, "No data received in 30s.")
        await socket.say("ping")
        assert await socket.hear() == "pong"


async def test_notice_of_an_upgrade() -> None:
    paths = ("streams", "business", "private")
    async with quiet_simulator() as sim, AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(socket_to(sim, path)) for path in paths]
        for socket in connections:
            await socket.say("ping")
            await socket.hear()
        venue_of(sim).announce_shutdown(0.1)
        for socket in connections:
            assert (await socket.event("notice"))["code"] == "64008"
            assert (await ended(socket))[0] == 1000


async def test_a_changed_key_ends_its_connections() -> None:
    async with quiet_simulator() as sim, private_socket(sim, "orders") as socket:
        venue_of(sim).revoke_key(sim.credentials("alpha").hmac_key)
        assert (await ended(socket))[0] == 4007


# ------------------------------------------------------------------------------------------ public channels
async def test_confirmations_bear_the_id_of_the_frame() -> None:
    async with quiet_simulator() as sim, socket_to(sim) as socket:
        topics = [{"channel": "trades", "instId": SPOT}, {"channel": "trades", "instId": SWAP}]
        await socket.say({"id": "s1", "op": "subscribe", "args": topics})
        answers = [await socket.hear() for _ in topics]
        assert [(answer["id"], answer["arg"]) for answer in answers] == [("s1", topic) for topic in topics]
        sim.trade(SPOT, Side.BUY, D("0.01"))
        (trade,) = (await socket.push("trades"))["data"]
        assert (trade["instId"], trade["side"], trade["sz"]) == (SPOT, "buy", "0.01")
        await socket.subscribe(*topics, op="unsubscribe")
        sim.trade(SPOT, Side.BUY, D("0.01"))
        await socket.say("ping")
        assert await socket.hear() == "pong"  # and no trade before it


@pytest.mark.parametrize("channel", ["books", "books-rpi"])
async def test_every_update_names_the_one_before(channel: str) -> None:
    """And what is built from them is the book of REST at the same number."""
    async with quiet_simulator(market=LIVELY) as sim, socket_to(sim) as socket, rest_of(sim) as rest:
        await socket.subscribe({"channel": channel, "instId": SPOT})
        picture = await socket.push(channel)
        (row,) = picture["data"]
        assert (picture["action"], row["prevSeqId"]) == ("snapshot", -1)
        assert row.get("checksum") == (0 if channel == "books" else None)
        sides = {side: {level[0]: level[1] for level in row[side]} for side in ("bids", "asks")}
        last, built = row["seqId"], {}
        for _ in range(12):
            (row,) = (await socket.push(channel))["data"]
            assert row["prevSeqId"] == last < row["seqId"]
            last = row["seqId"]
            for side, levels in sides.items():
                for level in row[side]:
                    if level[1] == "0":
                        del levels[level[0]]
                    else:
                        levels[level[0]] = level[1]
            built[last] = json.dumps(sides, sort_keys=True)
        for _ in range(400):  # until REST has answered at a number that was told
            (book,) = (await rest.public("market/books", instId=SPOT, sz="400")).json()["data"]
            while last < book["seqId"]:
                (row,) = (await socket.push(channel))["data"]
                last = row["seqId"]
                for side, levels in sides.items():
                    for level in row[side]:
                        if level[1] == "0":
                            del levels[level[0]]
                        else:
                            levels[level[0]] = level[1]
                built[last] = json.dumps(sides, sort_keys=True)
            if book["seqId"] in built:
                asked = {side: {level[0]: level[1] for level in book[side]} for side in ("bids", "asks")}
                assert json.dumps(asked, sort_keys=True) == built[book["seqId"]]
                return
        raise AssertionError("REST never answered at a number that the stream has told")


async def test_a_late_subscriber_joins_the_same_chain() -> None:
    """`seqId` is the instrument's: two connections can be merged by it (7.1)."""
    async with quiet_simulator(market=LIVELY) as sim, socket_to(sim) as first, socket_to(sim) as second:
        await first.subscribe({"channel": "books", "instId": SPOT})
        for _ in range(3):
            await first.push("books")
        await second.subscribe({"channel": "books", "instId": SPOT})
        (start,) = (await second.push("books"))["data"]
        heard = [(await second.push("books"))["data"][0] for _ in range(3)]
        assert heard[0]["prevSeqId"] == start["seqId"]
        while first.heard[-1].get("data", [{}])[0].get("seqId", 0) < heard[-1]["seqId"]:
            await first.hear()
        told = [body["data"][0] for body in first.heard if body.get("action") == "update"]
        assert [row for row in told if row["prevSeqId"] >= start["seqId"]][:3] == heard


async def test_a_picture_is_as_late_as_the_updates_that_follow_it() -> None:
    async with quiet_simulator(market=LIVELY, latency=Latency(market_ms=250)) as sim, socket_to(sim) as first:
        await first.subscribe({"channel": "books", "instId": SPOT})
        await first.push("books")
        await first.push("books")
        async with socket_to(sim) as second:
            await second.subscribe({"channel": "books", "instId": SPOT})
            start = await second.push("books")
            assert start["action"] == "snapshot"  # and nothing older before it
            last = start["data"][0]["seqId"]
            for _ in range(3):
                (row,) = (await second.push("books"))["data"]
                assert row["prevSeqId"] == last
                last = row["seqId"]


async def test_channels_of_an_instrument_come_in_a_fixed_order() -> None:
    """bbo-tbt, books-l2-tbt, books, books-rpi, books5 (7.1), on one connection."""
    async with quiet_simulator() as sim, socket_to(sim) as socket:
        channels = ["books5", "books-rpi", "books", "bbo-tbt"]
        await socket.subscribe(*({"channel": channel, "instId": SPOT} for channel in channels))
        bids = [level for level, _ in sim.exchange.markets[SPOT].depth(Side.BUY, 1)]
        sim.quote(SPOT, Side.BUY, D("0.5"), bids[0] + D("0.1"))
        told: list[str] = []
        while len(told) < len(channels):
            body = await socket.hear()
            rows = body.get("data", [{}])[0].get("bids", [])
            if rows and rows[0][0] == str(bids[0] + D("0.1")):
                told.append(body["arg"]["channel"])
        assert told == ["bbo-tbt", "books", "books-rpi", "books5"]


def test_heartbeat_and_reset_of_a_quiet_book() -> None:
    """After a minute an empty update that names itself; after maintenance a smaller number that names the old one."""
    clock = ManualClock()
    sim = Simulator(quiet_config(), clock)
    sim.open_market()
    market = sim.exchange.markets[SPOT]
    market.dirty.clear()
    chain = Chain(market, CHANNELS["books"], clock.now_ns())
    start = chain.seq_id
    clock.advance(59 * S)
    assert chain.update(clock.now_ns()) is None
    clock.advance(S)
    beat = chain.update(clock.now_ns())
    assert beat is not None
    assert (beat["prevSeqId"], beat["seqId"], beat["bids"], beat["asks"]) == (start, start, [], [])
    assert chain.update(clock.now_ns()) is None

    venue_of(sim).reset_sequence(SPOT)
    sim.quote(SPOT, Side.BUY, D(1), D(50000))
    chain.note({(Side.BUY, D(50000))})
    reset = chain.update(clock.now_ns())
    assert reset is not None
    assert (reset["prevSeqId"], reset["bids"]) == (start, [["50000", "1", "0", "1"]])
    assert reset["seqId"] < start
    sim.quote(SPOT, Side.BUY, D(2), D(50000))
    chain.note({(Side.BUY, D(50000))})
    after = chain.update(clock.now_ns())
    assert after is not None
    assert (after["prevSeqId"], after["bids"][0][1:]) == (reset["seqId"], ["3", "0", "2"])


def test_levels_come_into_view_and_leave_it() -> None:
    """A channel of 50 levels tells of a level that others push out or let in."""
    sim = Simulator(quiet_config(), ManualClock())
    sim.open_market()
    market = sim.exchange.markets[SPOT]
    chain = Chain(market, CHANNELS["books50-l2-tbt"], 0)
    before = chain.snapshot(0)["bids"]
    assert len(before) == 50
    better = D(before[0][0]) + D("0.1")
    sim.quote(SPOT, Side.BUY, D("0.5"), better)
    chain.note({(Side.BUY, better)})
    update = chain.update(0)
    assert update is not None
    assert update["bids"] == [[str(better), "0.5", "0", "1"], [before[-1][0], "0", "0", "0"]]
    assert chain.snapshot(0)["bids"] == [[str(better), "0.5", "0", "1"], *before[:-1]]


@pytest.mark.parametrize("channel", ["bbo-tbt", "books5", "tickers", "mark-price", "price-limit", "open-interest"])
async def test_pictures_come_with_the_subscription(channel: str) -> None:
    async with quiet_simulator() as sim, socket_to(sim) as socket:
        await socket.subscribe({"channel": channel, "instId": SWAP})
        (row,) = (await socket.push(channel))["data"]
        if channel in ("bbo-tbt", "books5"):
            assert len(row["bids"]) == (1 if channel == "bbo-tbt" else 5)
            assert row["seqId"] == sim.exchange.markets[SWAP].update_id
            assert "checksum" not in row
        else:
            assert row["instId"] == SWAP


async def test_best_prices_follow_the_book() -> None:
    async with quiet_simulator() as sim, socket_to(sim) as socket:
        await socket.subscribe({"channel": "bbo-tbt", "instId": SPOT})
        before = D((await socket.push("bbo-tbt"))["data"][0]["bids"][0][0])
        sim.quote(SPOT, Side.BUY, D("0.5"), before + D("0.1"))
        (row,) = (await socket.push("bbo-tbt"))["data"]
        assert row["bids"] == [[str(before + D("0.1")), "0.5", "0", "1"]]


async def test_candles_and_all_trades_are_on_the_business_path() -> None:
    async with quiet_simulator() as sim, socket_to(sim, "business") as socket:
        sim.trade(SPOT, Side.BUY, D("0.01"))
        await socket.subscribe({"channel": "candle1m", "instId": SPOT})
        (bar,) = (await socket.push("candle1m"))["data"]
        assert (len(bar), bar[5], bar[8]) == (9, "0.01", "0")
        await socket.subscribe({"channel": "trades-all", "instId": SPOT})
        sim.trade(SPOT, Side.SELL, D("0.02"))
        (trade,) = (await socket.push("trades-all"))["data"]
        assert (trade["side"], trade["sz"], "count" in trade) == ("sell", "0.02", False)


async def test_only_changed_instruments_are_pushed() -> None:
    async with quiet_simulator(symbols=(SPOT, "ETH-USDT")) as sim, socket_to(sim) as socket:
        await socket.subscribe({"channel": "instruments", "instType": "SPOT"})
        assert {row["instId"] for row in (await socket.push("instruments"))["data"]} == {SPOT, "ETH-USDT"}
        venue_of(sim).instrument_changed(SPOT, state="suspend")
        (row,) = (await socket.push("instruments"))["data"]
        assert (row["instId"], row["state"]) == (SPOT, "suspend")
        async with rest_of(sim) as rest:
            assert (await rest.place(SPOT))["sCode"] == "51022"
