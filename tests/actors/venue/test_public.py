"""The public stream: subscriptions come back, holes are said, planned replacements make none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing
from websockets.frames import Opcode

from actors.venue.backoff import Pacer
from actors.venue.limiter import LimiterActor
from actors.venue.public import PublicStreamActor
from actors.venue.said import Overlap
from actors.venue.settings import MS, SECOND, ReconnectSettings, VenueEndpoints
from protocols.enums import Channel, Side
from protocols.market import BookDelta, BookTicker, Candle, StreamDown, StreamUp, Subscribe, Trade, Unsubscribe
from protocols.reconcile import book_path
from protocols.venue import SessionRules
from protocols.venues.binance_spot.public import BinanceSpotPublic
from supervisors.actor import Actor
from tests.actors.venue.peers import Peer, websocket_server
from tests.actors.venue.spot import (
    BTC,
    ETH,
    LIMITER,
    PUBLIC,
    QUICK,
    READER,
    TRANSPORT,
    VENUE,
    Spot,
    server,
    sessions,
    simulator_config,
)
from tests.actors.venue.world import Inbox, Probe, World, running
from tools.simulator import Fault, FaultKind
from tools.simulator import Side as SimSide


def continuous(inbox: Inbox) -> bool:
    """True when the deltas that a book got follow each other, also where two connections overlapped."""
    last = None
    for delta in inbox.of(BookDelta):
        if last is not None:
            if delta.first_id > last + 1:
                return False
            last = max(last, delta.last_id)
        else:
            last = delta.last_id
    return True


async def bounce(spot: Spot) -> StreamUp:
    """Wait until the books were told that the stream went down and came up again."""
    await spot.books[BTC].one(StreamDown)
    return (await spot.books[BTC].wait_for(StreamUp, 2))[1]


@pytest.mark.req("R270", "R329", "R330")
async def test_every_book_gets_its_own_market() -> None:
    async with sessions(only=(PUBLIC,)) as spot:
        for symbol in (BTC, ETH):
            inbox = spot.books[symbol]
            first_up = await inbox.one(StreamUp)
            delta = await inbox.one(BookDelta)
            await inbox.one(BookTicker)
            spot.sim.trade(symbol, SimSide.BUY, spot.order().order_qty * 10)
            assert (await inbox.one(Trade)).symbol == symbol
            assert delta.symbol == symbol
            assert delta.connection == first_up.connection
            assert {each.symbol for each in inbox.of(BookDelta)} == {symbol}
        await spot.world.ready(PUBLIC)


@pytest.mark.req("R015", "R090", "R340", "R345", "R383")
async def test_after_a_reset_everything_is_subscribed_again_under_a_new_number() -> None:
    async with sessions(only=(PUBLIC,)) as spot:
        first = await spot.books[BTC].one(StreamUp)
        await spot.books[ETH].one(BookDelta)
        spot.sim.cut_connections("streams")
        second = await bounce(spot)
        assert second.connection > first.connection
        for inbox in spot.books.values():
            await inbox.one(BookDelta, lambda delta: delta.connection == second.connection)
        order = [type(m) for m in spot.books[BTC].messages if isinstance(m, StreamUp | StreamDown)]
        assert order == [StreamUp, StreamDown, StreamUp]


@pytest.mark.req("R090", "R347")
async def test_a_half_open_connection_is_noticed_by_its_silence() -> None:
    def impatient(rules: SessionRules) -> SessionRules:
        return attrs.evolve(rules, silence_max_ns=400 * MS)

    async with sessions(only=(PUBLIC,), rules=impatient) as spot:
        await spot.books[BTC].one(BookDelta)
        spot.sim.strike(Fault(kind=FaultKind.HALF_OPEN_NOW, match="streams"))
        down = await spot.books[BTC].one(StreamDown)
        assert "not a byte" in down.text
        await bounce(spot)


@pytest.mark.req("R090", "R340")
async def test_a_venue_that_is_gone_is_tried_until_it_is_back() -> None:
    async with sessions(only=(PUBLIC,)) as spot:
        await spot.world.ready(PUBLIC)
        spot.sim.strike(Fault(kind=FaultKind.REFUSE_FOR, delay_ms=500))
        spot.sim.cut_connections("streams")
        await spot.world.until(lambda: spot.world.inspect(PUBLIC)["failures_in_a_row"] >= 3)
        assert "cannot connect" in spot.world.inspect(PUBLIC)["failure"]
        await bounce(spot)
        await spot.world.ready(PUBLIC)
        assert spot.world.crashes(PUBLIC) == [], "an unreachable venue is no bug"


@pytest.mark.req("R087")
async def test_a_planned_replacement_makes_no_hole() -> None:
    """The venue's age limit is set to a second; the books see neither a down nor a gap."""

    def short_lived(rules: SessionRules) -> SessionRules:
        return attrs.evolve(rules, connection_age_max_ns=1 * SECOND)

    async with sessions(only=(PUBLIC,), rules=short_lived) as spot:
        await spot.world.until(lambda: spot.world.inspect(PUBLIC)["replacements"] >= 3)
        for inbox in spot.books.values():
            assert not inbox.of(StreamDown)
            assert len(inbox.of(StreamUp)) == 1
            assert len({delta.connection for delta in inbox.of(BookDelta)}) >= 3, "each connection has its number"
            assert continuous(inbox)
        trades = [trade.trade_id for trade in spot.books[BTC].of(Trade)]
        assert len(trades) == len(set(trades)), "what both connections said is passed on once"
        assert spot.world.inspect(PUBLIC)["losses"] == 0


NOTICE = '{"event":{"e":"serverShutdown","E":1790000000000}}'


def said(update_id: int) -> str:
    """A delta and a trade of BTCUSDT, as the venue says them."""
    return (
        f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1790000000000,"s":"BTCUSDT","U":{update_id},'
        f'"u":{update_id},"b":[["90000.00","1"]],"a":[]}}}}'
    )


def traded(trade_id: int) -> str:
    return (
        f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1790000000000,"s":"BTCUSDT","t":{trade_id},'
        '"p":"90000.00","q":"1","T":1790000000000,"m":true,"M":true}}'
    )


async def subscribed(peer: Peer) -> None:
    """Accept a connection and confirm its first subscription."""
    assert await peer.accept() == "/stream"
    asked = json.loads(await peer.next_text())
    assert asked["method"] == "SUBSCRIBE"
    await peer.text(json.dumps({"result": None, "id": asked["id"]}))
    await trio.sleep(0.05)  # a first connection is in use when the books know its number


@asynccontextmanager
async def one_book(
    script: Callable[[Peer], Awaitable[None]],
    rules: Callable[[SessionRules], SessionRules] = lambda rules: rules,
    reconnect: ReconnectSettings = QUICK,
) -> AsyncIterator[tuple[World, Inbox]]:
    """The public session alone, against a scripted venue."""
    inbox, codec = Inbox(), BinanceSpotPublic()
    codec.rules = rules(codec.rules)
    async with websocket_server(script) as server:
        endpoints = VenueEndpoints(rest_url="http://127.0.0.1:1", stream_url=server.url, entry_url=server.url)
        factories: dict[str, Callable[[], Actor]] = {
            LIMITER: lambda: LimiterActor(VENUE),
            PUBLIC: lambda: PublicStreamActor(
                codec, endpoints, (BTC,), limiter=LIMITER, transport=TRANSPORT, reconnect=reconnect
            ),
            book_path(VENUE, BTC): lambda: Probe(inbox),
        }
        async with running(factories) as world:
            yield world, inbox


@pytest.mark.req("R087")
async def test_a_shutdown_notice_is_answered_with_a_new_connection_before_the_old_one_goes() -> None:
    """Both connections say the same for a while: nothing is missed, nothing is passed on twice."""
    connections = 0
    first_closed, second_up = trio.Event(), trio.Event()

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        number = connections
        await subscribed(peer)
        if number == 1:
            await peer.text(said(1), traded(1), NOTICE)
            await second_up.wait()
            await peer.text(said(2), traded(2), traded(3))
            while (await peer.next_frame()).opcode is not Opcode.CLOSE:
                pass
            first_closed.set()
        else:
            second_up.set()
            await trio.sleep(0.05)
            await peer.text(said(2), said(3), traded(2), traded(3), traded(4))

    async with one_book(script) as (world, inbox):
        await inbox.one(Trade, lambda trade: trade.trade_id == "4")
        with trio.fail_after(5):
            await first_closed.wait()
        assert [trade.trade_id for trade in inbox.of(Trade)] == ["1", "2", "3", "4"]
        assert [delta.last_id for delta in inbox.of(BookDelta)] == [1, 2, 2, 3], "the book's sequence check knows 2"
        assert not inbox.of(StreamDown)
        assert len(inbox.of(StreamUp)) == 1
        assert world.inspect(PUBLIC)["replacements"] == 1


@pytest.mark.req("R090")
@pytest.mark.parametrize("status", [429, 503])
async def test_when_the_old_connection_dies_before_its_successor_is_up_the_hole_is_said(status: int) -> None:
    """The venue refuses two handshakes; the limiter hears of the 429 and holds everyone back as long as it said."""
    connections = 0
    second_try, first_gone = trio.Event(), trio.Event()

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        if connections in (2, 3):
            second_try.set()
            await first_gone.wait()
            await peer.refuse(status, "Retry-After: 1\r\n")
            return
        await subscribed(peer)
        await peer.text(said(connections))
        if connections == 1:
            await peer.text(NOTICE)
            await second_try.wait()
            peer.reset()
            first_gone.set()

    async with one_book(script) as (_, inbox):
        first = await inbox.one(StreamUp)
        await inbox.one(StreamDown)
        second = (await inbox.wait_for(StreamUp, 2))[1]
        assert second.connection > first.connection
        await inbox.one(BookDelta, lambda delta: delta.connection == second.connection)
        assert connections == 4
        waited_ns = second.at_ns - inbox.of(StreamDown)[0].at_ns
        assert (waited_ns >= 1 * SECOND) is (status == 429)


async def test_what_is_no_json_drops_the_connection_and_not_the_actor() -> None:
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await subscribed(peer)
        await peer.text("{nonsense" if connections == 1 else said(5))

    async with one_book(script) as (world, inbox):
        await inbox.one(BookDelta)
        assert "refused" in inbox.of(StreamDown)[0].text
        assert world.crashes(PUBLIC) == []


async def test_words_that_we_do_not_know_are_kept_and_shown() -> None:
    async def script(peer: Peer) -> None:
        await subscribed(peer)
        await peer.text('{"stream":"btcusdt@novelty","data":{"e":"novelty"}}', said(1))

    async with one_book(script) as (world, inbox):
        await inbox.one(BookDelta)
        assert world.inspect(PUBLIC)["unrecognized"] == 1
        assert "novelty" in world.inspect(PUBLIC)["last_unrecognized"][0]


async def test_a_venue_that_wants_our_pings_gets_them() -> None:
    pinged = trio.Event()

    async def script(peer: Peer) -> None:
        await subscribed(peer)
        while (await peer.next_frame()).opcode is not Opcode.PING:
            pass
        pinged.set()

    def wants_pings(rules: SessionRules) -> SessionRules:
        return attrs.evolve(rules, client_ping_interval_ns=100 * MS)

    async with one_book(script, wants_pings):
        with trio.fail_after(5):
            await pinged.wait()


async def test_a_venue_that_ends_every_connection_at_once_is_asked_ever_more_slowly() -> None:
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await subscribed(peer)
        await peer.text(NOTICE)

    a_minute_is_stable = attrs.evolve(QUICK, stable_after_ns=60 * SECOND)
    async with one_book(script, reconnect=a_minute_is_stable) as (world, _):
        await world.until(lambda: world.inspect(PUBLIC)["failures_in_a_row"] >= 4)


async def test_a_refused_subscription_is_tried_again_on_a_new_connection() -> None:
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await subscribed(peer)
            return
        await peer.accept()
        await peer.next_text()  # and never an answer

    async with one_book(script) as (_, inbox):
        await inbox.one(StreamUp)
        assert connections == 2


@pytest.mark.req("R010")
async def test_the_venues_message_rate_is_kept_however_many_changes_come() -> None:
    """The simulator cuts a stream connection that sends more than five messages in a second."""
    async with sessions(only=(PUBLIC,), symbols=(BTC,)) as spot:
        await spot.world.ready(PUBLIC)
        for _ in range(5):
            spot.world.tell(PUBLIC, Subscribe(ETH, READER))
            await trio.sleep(0.05)
            spot.world.tell(PUBLIC, Unsubscribe(ETH, READER))
            await trio.sleep(0.05)
        await trio.sleep(1.5)
        assert not spot.books[BTC].of(StreamDown)


async def test_a_symbol_is_subscribed_as_long_as_it_has_a_reader() -> None:
    async with sessions(only=(PUBLIC,), symbols=(BTC,)) as spot:
        await spot.world.ready(PUBLIC)
        assert spot.world.inspect(PUBLIC)["wanted"] == 3
        spot.world.tell(PUBLIC, Subscribe(ETH, READER), Subscribe(ETH, "/other"), Unsubscribe(ETH, "/other"))
        await spot.world.until(lambda: spot.world.runtime.dead_letter_count > 0)  # no book of ETH runs here
        assert (await spot.reader.one(BookTicker)).symbol == ETH, "the reader gets what it asked for"
        assert not spot.reader.of(BookDelta), "changes of a book are for the book"
        spot.sim.cut_connections("streams")
        await bounce(spot)
        assert spot.world.inspect(PUBLIC)["wanted"] == 6
        spot.world.tell(PUBLIC, Unsubscribe(ETH, READER))
        assert spot.world.inspect(PUBLIC)["wanted"] == 3


@pytest.mark.req("R270")
async def test_each_reader_gets_its_own_channels_also_after_a_restart_of_the_session() -> None:
    async with sessions(only=(PUBLIC,), symbols=(BTC,)) as spot:
        await spot.world.ready(PUBLIC)
        bars = Subscribe(ETH, READER, (Channel.CANDLES_1M,))
        spot.world.tell(PUBLIC, bars, bars, Subscribe(BTC, READER, (Channel.TRADES,)))
        assert spot.world.inspect(PUBLIC)["wanted"] == 4
        await spot.world.kill(PUBLIC)
        assert spot.world.inspect(PUBLIC)["wanted"] == 4
        for symbol in (BTC, ETH):
            spot.sim.trade(symbol, SimSide.BUY, spot.order().order_qty * 10)
        assert (await spot.reader.one(Candle)).symbol == ETH
        assert {trade.symbol for trade in await spot.reader.wait_for(Trade)} == {BTC}
        assert (await spot.books[BTC].one(Trade)).symbol == BTC, "the book has its own"
        assert not spot.reader.of(BookTicker)
        ups = spot.reader.of(StreamUp)
        assert ups[-1].connection == spot.world.inspect(PUBLIC)["connection"]
        spot.world.tell(PUBLIC, Unsubscribe(ETH, READER, (Channel.CANDLES_1M,)))
        assert spot.world.inspect(PUBLIC)["wanted"] == 3, "trades of BTC are wanted by the book in any case"


@pytest.mark.req("R341", "R380")
async def test_a_connection_is_closed_at_the_end() -> None:
    async with sessions(simulator_config(), only=(PUBLIC,), reconnect=QUICK) as spot:
        await spot.world.ready(PUBLIC)
        assert len(spot.sim.server.sockets) == 1
        await spot.world.actor(PUBLIC).stopped("test")
        await spot.world.until(lambda: not spot.sim.server.sockets)


async def test_server_pings_are_answered_so_that_the_connection_stays() -> None:
    config = simulator_config(server=server(ping_every_s=0.1, pong_within_s=0.5))
    async with sessions(config, only=(PUBLIC,)) as spot:
        await spot.world.until(lambda: spot.world.inspect(PUBLIC)["pings_in"] >= 10)
        assert not spot.books[BTC].of(StreamDown)


# ---- parts ----------------------------------------------------------------------------------------------------------


def test_the_overlap_passes_each_trade_and_ticker_once() -> None:
    overlap, one = Overlap(), spot_trade("7")
    assert not overlap.is_second(one)
    assert overlap.is_second(spot_trade("7"))
    assert not overlap.is_second(spot_trade("8"))
    assert [overlap.is_second(ticker(update_id)) for update_id in (5, 5, 4, 6)] == [False, True, True, False]


def spot_trade(trade_id: str) -> Trade:
    order = 1
    return Trade("v", BTC, trade_id, order, order, Side.BUY, 0, 0)  # type: ignore[arg-type]


def ticker(update_id: int) -> BookTicker:
    return BookTicker("v", BTC, 1, 1, 2, 1, update_id, 0, 0)  # type: ignore[arg-type]


def test_the_pacer_never_lets_more_through_in_any_second() -> None:
    times: list[float] = []

    async def main() -> None:
        pacer = Pacer(4)
        for _ in range(21):
            await pacer.wait()
            times.append(trio.current_time())

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert all(later - first >= 1 for first, later in zip(times, times[4:], strict=False))
    assert times[20] - times[0] < 5.1
