"""A venue's limits on a public session: message rates, attempts to connect, requests an hour, streams a connection."""

from __future__ import annotations

import json
from collections.abc import Callable

import attrs
import pytest
import trio
import trio.testing

from actors.venue.backoff import Pacer
from actors.venue.limiter import LimiterActor
from actors.venue.settings import MS, SECOND
from protocols.enums import Channel
from protocols.ids import Path, Symbol, Venue
from protocols.instruments import Product
from protocols.market import (
    StreamDown,
    StreamUp,
    Subscribe,
)
from protocols.reconcile import limiter_path
from protocols.venues.binance_spot.public import BinanceSpotPublic
from protocols.venues.bybit import BybitPublic
from protocols.venues.okx import OkxPublic
from protocols.venues.registry import VENUES
from protocols.venues.upbit.public import UpbitPublic
from supervisors.actor import Actor
from tests.actors.venue.double import (
    QUICK,
    READER,
    Client,
    Double,
    bybit_begins,
    changed,
    okx_book,
    session,
)
from tests.actors.venue.peers import Peer

BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")
BOOK, TRADES = (Channel.BOOK,), (Channel.TRADES,)


def test_both_message_rates_are_kept() -> None:
    times: list[float] = []

    async def main() -> None:
        pacer = Pacer(5, 20)
        for _ in range(60):
            await pacer.wait()
            times.append(trio.current_time())

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert all(later - first >= 1 for first, later in zip(times, times[5:], strict=False))
    assert all(later - first >= 60 for first, later in zip(times, times[20:], strict=False))
    assert times[-1] - times[0] < 130


@pytest.mark.req("R389")
async def test_a_session_keeps_the_venues_message_rate_however_fast_its_readers_change_their_minds() -> None:
    """Every frame of ours counts there, the question for what is subscribed too (upbit section 4)."""
    codec, symbols = UpbitPublic(), [Symbol(f"KRW-A{number}") for number in range(40)]
    a_second, a_minute = codec.rules.messages_per_s_max, codec.rules.messages_per_min_max
    assert (a_second, a_minute) == (5, 100)
    double, times = Double("upbit"), list[float]()

    def heard(client: Client, text: str) -> bool:
        times.append(trio.current_time())
        return True

    double.answers = heard
    async with session(double, codec, (Symbol("KRW-BTC"),)) as run:
        await run.world.ready(run.public)
        for symbol in symbols:
            run.world.tell(run.public, Subscribe(symbol, READER, TRADES))
            await trio.sleep(0.05)
        await run.subscribed(*(("trade", symbol) for symbol in symbols))
        assert double.connections == 1
    assert len(times) > a_second
    spans = [later - first for first, later in zip(times, times[a_second:], strict=False)]
    assert min(spans) > 0.9, "six messages within a second; what we sent a second apart may arrive a little closer"


@pytest.mark.req("R388")
async def test_a_session_connects_no_more_often_than_the_venue_allows_however_often_it_is_cut() -> None:
    """Upbit takes five connections in a second; here each is cut as soon as it is proven, and replaced at once."""
    double, venue, times = Double("upbit"), Venue("upbit"), list[float]()
    limits = VENUES[venue].limits
    assert [(limit.interval_ns, limit.limit) for limit in limits if limit.name == "connections"] == [(SECOND, 5)]
    actors: dict[Path, Callable[[], Actor]] = {limiter_path(venue): lambda: LimiterActor(venue, limits)}
    async with session(double, UpbitPublic(), (Symbol("KRW-BTC"),), actors=actors) as run:
        for number in range(1, 13):
            await run.world.until(lambda number=number: double.connections == number)  # type: ignore[misc]
            times.append(trio.current_time())
            await run.subscribed(("book", Symbol("KRW-BTC")))
            double.clients[-1].peer.reset()
    spans = [later - first for first, later in zip(times, times[5:], strict=False)]
    assert min(spans) > 0.9, "six connections within a second; the server may see them a little closer"


@pytest.mark.req("R355", "R388")
async def test_a_refused_upgrade_is_read_in_the_venues_own_words() -> None:
    """Upbit: 429 is over with the second, and concerns connecting alone; 418 says in its body for how long, and all."""
    refusals = [(429, b""), (418, b'{"error": {"name": "banned", "message": "blocked for 2 seconds"}}')]
    times: list[float] = []
    double, venue = Double("upbit"), Venue("upbit")
    serve = double.serve

    async def refuse_first(peer: Peer) -> None:
        times.append(trio.current_time())
        if refusals:
            status, body = refusals.pop(0)
            await peer.refuse(status, body=body)
        else:
            await serve(peer)

    double.serve = refuse_first  # type: ignore[method-assign]
    async with session(double, UpbitPublic(), (Symbol("KRW-BTC"),)) as run:
        limiter = limiter_path(venue)
        await run.world.until(lambda: "public" in (run.world.inspect(limiter)["accounts"] or {}))
        known = run.world.inspect(limiter)
        assert known["blocked_until_ns"] == 0
        assert list(known["accounts"]["public"]["blocked"]) == ["connections"]
        await run.world.ready(run.public)
    assert 0.9 < times[1] - times[0] < 20
    assert 1.9 < times[2] - times[1] < 30


def test_requests_are_counted_by_the_hour_and_other_messages_are_not_requests() -> None:
    """480 an hour (okx-v5 section 3); the pings between them, 180 an hour, are none."""
    times: list[float] = []

    async def main() -> None:
        pacer = Pacer(0, 0, 480)
        for number in range(600):
            pacer.count()
            if number == 479:
                assert pacer.left_s() == 0
            await pacer.wait()
            times.append(trio.current_time())

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert times[479] == times[0]
    assert all(later - first >= 3600 for first, later in zip(times, times[480:], strict=False))


@pytest.mark.req("R389", "R345")
@pytest.mark.parametrize("kind", ["upbit", "okx-spot"])
async def test_a_connection_that_may_ask_no_more_is_replaced_without_a_hole(kind: str) -> None:
    """Upbit counts messages by the minute, OKX requests by the hour: nobody waits that long for a symbol."""
    double, first = Double(kind), Symbol("KRW-BTC")
    codec = UpbitPublic() if kind == "upbit" else OkxPublic(Product.SPOT)
    rules = changed(messages_per_s_max=0, messages_per_min_max=6 if kind == "upbit" else 0, requests_per_h_max=5)
    async with session(double, codec, (first,), rules=rules, channels=TRADES) as run:
        await run.world.ready(run.public)
        for number in range(12):
            symbol = Symbol(f"KRW-A{number}")
            run.world.tell(run.public, Subscribe(symbol, READER, TRADES))
            await run.subscribed(("trade", symbol))
        await run.reader.wait_for(StreamUp, 12)
        assert run.inspect()["replacements"] >= 1
        assert run.inspect()["losses"] == 0
        assert not run.reader.of(StreamDown)
        most = max(sum('"' in text and "ping" not in text for text in client.texts) for client in double.clients)
        assert most <= 5


@pytest.mark.req("R389")
async def test_a_subscription_that_waits_for_its_turn_is_no_lost_connection() -> None:
    """Our own pace may take longer than the venue has for an answer."""
    double = Double("binance-spot")
    rules, quick = changed(messages_per_s_max=2), attrs.evolve(QUICK, handshake_timeout_ns=300 * MS)
    symbols = tuple(Symbol(f"A{number:03}USDT") for number in range(250))
    async with session(double, BinanceSpotPublic(), symbols, rules=rules, reconnect=quick) as run:
        await run.world.ready(run.public)
        assert len(double.clients[0].texts) > 2
        assert double.connections == 1
        assert run.inspect()["losses"] == 0


def test_a_pacer_without_rules_never_waits() -> None:
    async def main() -> float:
        pacer = Pacer(0, 0)
        for _ in range(1000):
            await pacer.wait()
        return trio.current_time()

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == 0


async def test_what_one_connection_cannot_take_goes_on_further_ones() -> None:
    symbols = [Symbol(f"S{number}USDT") for number in range(7)]
    double = Double("bybit-linear")
    double.begin = bybit_begins
    async with session(double, BybitPublic(Product.LINEAR), symbols, rules=changed(subscriptions_max=6)) as run:
        await run.world.ready(run.public)
        await run.subscribed(*((kind, symbol) for kind in ("book", "ticker", "trade") for symbol in symbols))
        assert sorted(len(client.wants) for client in double.clients) == [3, 6, 6, 6]
        before = {name: client for client in double.clients for name in client.wants}
        victim = double.wanting(("book", symbols[0]))[0]
        lost = {Symbol(symbol) for kind, symbol in victim.wants if kind == "book"}
        victim.peer.reset()
        for symbol in lost:
            await run.books[symbol].one(StreamDown, lambda down: down.channels == BOOK)
        await run.world.ready(run.public)
        told = {symbol for symbol in symbols if any(d.channels == BOOK for d in run.books[symbol].of(StreamDown))}
        assert told == lost, "books of the other connections are told nothing"
        after = {name: client for client in double.clients for name in client.wants}
        assert {name for name in before if before[name] is not after[name]} == victim.wants


async def test_books_have_a_limit_of_their_own() -> None:
    symbols = [Symbol(f"A{number}-USDT") for number in range(5)]
    double = Double("okx-spot")
    double.begin = lambda client, name: okx_book(name[1], 10) if name[0] == "book" else None
    async with session(double, OkxPublic(Product.SPOT), symbols, rules=changed(books_max=2)) as run:
        await run.world.ready(run.public)
        await run.subscribed(*(("book", symbol) for symbol in symbols))
        books = [sum(kind == "book" for kind, _ in client.wants) for client in double.clients]
        assert sorted(books) == [1, 2, 2]


async def test_a_stream_that_the_venue_refuses_does_not_cost_the_others() -> None:
    """One unknown name spoils its whole request; it is found, said and left out."""
    symbols = [Symbol(f"S{number}USDT") for number in range(5)]
    double = Double("bybit-linear")
    double.begin = bybit_begins

    def refuses(client: Client, text: str) -> bool:
        asked = json.loads(text)
        if asked["op"] != "subscribe" or not any("S3USDT" in topic for topic in asked["args"]):
            return True
        answer = {"success": False, "ret_msg": "Invalid symbol", "conn_id": "c", "req_id": asked["req_id"]}
        queue.append((client, json.dumps({**answer, "op": "subscribe"})))
        return False

    queue: list[tuple[Client, str]] = []
    double.answers = refuses
    async with session(double, BybitPublic(Product.LINEAR), symbols) as run, trio.open_nursery() as nursery:

        async def answer() -> None:
            while True:
                while queue:
                    client, text = queue.pop(0)
                    await double.say(("", ""), text, to=client)
                await trio.sleep(0.005)

        nursery.start_soon(answer)
        await run.world.ready(run.public)
        others = [symbol for symbol in symbols if symbol != "S3USDT"]
        await run.subscribed(*((kind, symbol) for kind in ("book", "ticker", "trade") for symbol in others))
        assert set(run.inspect()["refused"]) == {f"{kind} of S3USDT" for kind in ("book", "book_ticker", "trades")}
        assert run.world.crashes(run.public) == []
        assert double.connections == 1
        nursery.cancel_scope.cancel()
