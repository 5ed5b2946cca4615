"""What the public session makes of the venues' ways: routes, whole sets, keep-alives, silence, snapshots.

Every test names a venue only to get a codec that has the trait in question; the session decides by the trait.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

import attrs
import pytest
import trio
import trio.testing

from actors.book.actor import BookActor, BookSettings
from actors.venue.settings import MS, SECOND
from protocols.base import Message
from protocols.enums import Channel, GapReason
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.market import (
    BookDelta,
    BookSnapshot,
    GapClosed,
    GapOpened,
    Quote,
    Resync,
    StreamDown,
    StreamUp,
    Subscribe,
    Trade,
    Unsubscribe,
)
from protocols.reconcile import book_path
from protocols.venue import Expectation, SessionRules
from protocols.venues.binance_spot.public import BinanceSpotPublic
from protocols.venues.binance_usdm.public import BinanceUsdmPublic
from protocols.venues.bybit import BybitPublic
from protocols.venues.okx import OkxPublic
from protocols.venues.upbit.public import UpbitPublic
from supervisors.actor import Actor
from tests.actors.venue.double import (
    QUICK,
    READER,
    Client,
    Double,
    Rules,
    Run,
    binance_depth,
    bybit_begins,
    bybit_book,
    changed,
    okx_book,
    session,
    upbit_book,
    usdm_trade,
)
from tests.actors.venue.speech import Name

BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")
BOOK, TRADES = (Channel.BOOK,), (Channel.TRADES,)


# ---- routes ------------------------------------------------------------------------------------------------------


@pytest.mark.req("R345")
async def test_each_channel_is_asked_of_the_path_that_serves_it() -> None:
    double = Double("binance-usdm")
    async with session(double, BinanceUsdmPublic(), (BTC,)) as run:
        await run.subscribed(("book", BTC), ("ticker", BTC), ("trade", BTC))
        paths = {name: client.path for client in double.clients for name, _ in client.wants}
        assert paths == {"book": "/public/stream", "ticker": "/public/stream", "trade": "/market/stream"}
        await run.world.ready(run.public)
        await double.say(("book", BTC), binance_depth(BTC, 5, 4))
        await double.say(("trade", BTC), usdm_trade(BTC, 9))
        delta, trade = await run.books[BTC].one(BookDelta), await run.books[BTC].one(Trade)
        assert (delta.last_id, trade.trade_id) == (5, "9")


@pytest.mark.req("R345", "R383")
async def test_a_route_that_is_lost_is_no_hole_in_the_books_of_another() -> None:
    double = Double("binance-usdm")
    async with session(double, BinanceUsdmPublic(), (BTC,)) as run:
        await run.world.ready(run.public)
        run.world.tell(run.public, Subscribe(BTC, READER, (Channel.CANDLES_1M,)))
        up = await run.reader.one(StreamUp)
        assert (up.channels, up.symbol) == ((Channel.CANDLES_1M,), BTC)
        (market,) = double.wanting(("trade", BTC))
        market.peer.reset()
        down = await run.books[BTC].one(StreamDown)
        assert down.channels == TRADES, "the book is told that its trades are lost, and that alone"
        assert (await run.reader.one(StreamDown)).channels == (Channel.CANDLES_1M,)
        ups = await run.books[BTC].wait_for(StreamUp, 2)
        assert [up.channels for up in ups] == [BOOK, TRADES] or [up.channels for up in ups] == [TRADES, BOOK]
        again = (await run.books[BTC].wait_for(StreamUp, 3))[2]
        assert again.channels == TRADES
        assert again.connection > down.connection
        (public,) = double.wanting(("book", BTC))
        public.peer.reset()
        assert (await run.books[BTC].wait_for(StreamDown, 2))[1].channels == BOOK
        assert len(run.reader.of(StreamDown)) == 1


async def test_a_reader_of_a_stream_that_speaks_already_is_told_so_at_once() -> None:
    double = Double("bybit-linear")
    double.begin = bybit_begins
    async with session(double, BybitPublic(Product.LINEAR), (BTC,)) as run:
        await run.world.ready(run.public)
        run.world.tell(run.public, Subscribe(BTC, READER, TRADES))
        up = await run.reader.one(StreamUp)
        assert up.channels == TRADES
        assert double.connections == 1


# ---- whole sets --------------------------------------------------------------------------------------------------


def asked(text: str) -> dict[str, list[str]]:
    """Types and codes of one request."""
    return {part["type"]: part["codes"] for part in json.loads(text) if "type" in part}


@pytest.mark.req("R345")
async def test_where_a_request_replaces_the_one_before_it_the_whole_set_is_sent_each_time() -> None:
    double, krw_btc, krw_eth = Double("upbit"), Symbol("KRW-BTC"), Symbol("KRW-ETH")
    async with session(double, UpbitPublic(), (krw_btc,)) as run:
        await run.world.ready(run.public)
        run.world.tell(run.public, Subscribe(krw_eth, READER, TRADES))
        await run.subscribed(("trade", krw_eth), ("trade", krw_btc), ("book", krw_btc))
        run.world.tell(run.public, Unsubscribe(krw_eth, READER, TRADES))
        await run.world.until(lambda: not double.wanting(("trade", krw_eth)))
        (client,) = double.clients
        sets = [asked(text) for text in client.texts if asked(text)]
        alone = {"orderbook": ["KRW-BTC"], "trade": ["KRW-BTC"]}
        assert sets == [alone, {"orderbook": ["KRW-BTC"], "trade": ["KRW-BTC", "KRW-ETH"]}, alone]
        # Each is proven by a question that the venue answers.
        await run.world.until(lambda: sum("LIST_SUBSCRIPTIONS" in text for text in client.texts) == len(sets))


async def test_a_connection_of_which_nothing_is_wanted_is_closed() -> None:
    double, code = Double("upbit"), Symbol("KRW-BTC")
    async with session(double, UpbitPublic(), ()) as run:
        await run.world.ready(run.public)
        assert double.connections == 0
        run.world.tell(run.public, Subscribe(code, READER, TRADES))
        await run.subscribed(("trade", code))
        await run.world.ready(run.public)
        run.world.tell(run.public, Unsubscribe(code, READER, TRADES))
        await run.world.until(lambda: not double.clients)
        assert run.inspect()["feeds"] == {}
        await run.world.ready(run.public)


async def test_a_subscription_that_nothing_proves_is_no_subscription() -> None:
    double = Double("upbit")
    double.answers = lambda client, text: double.connections > 1 or "LIST" not in text
    impatient = attrs.evolve(QUICK, handshake_timeout_ns=200 * MS)
    async with session(double, UpbitPublic(), (Symbol("KRW-BTC"),), reconnect=impatient) as run:
        await run.world.ready(run.public)
        assert double.connections == 2


# ---- keep-alive --------------------------------------------------------------------------------------------------


async def test_a_venue_is_kept_alive_in_its_own_words() -> None:
    double = Double("okx-spot")
    double.begin = lambda client, name: okx_book(name[1], 10) if name[0] == "book" else None
    quick = changed(client_ping_interval_ns=100 * MS)
    async with session(double, OkxPublic(Product.SPOT), (Symbol("BTC-USDT"),), rules=quick) as run:
        await run.world.until(lambda: bool(double.clients) and double.clients[0].texts.count("ping") >= 5)
        assert double.connections == 1
        assert double.clients[0].pings == 0, "a ping of the WebSocket would not count"
        assert run.inspect()["others"] == 0


@pytest.mark.req("R090", "R347")
async def test_a_keep_alive_without_an_answer_is_a_dead_connection_though_data_flows() -> None:
    double, symbol = Double("okx-spot"), Symbol("BTC-USDT")
    double.begin = lambda client, name: okx_book(name[1], 10) if name[0] == "book" else None
    double.answers = lambda client, text: text != "ping" or double.connections > 1
    quick = changed(client_ping_interval_ns=100 * MS)

    async def talk() -> None:
        for number in range(1_000_000):
            await double.say(("book", symbol), okx_book(symbol, 11 + number, 10 + number))
            await trio.sleep(0.02)

    async with (
        session(double, OkxPublic(Product.SPOT), (symbol,), rules=quick) as run,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(talk)
        down = await run.books[symbol].one(StreamDown)
        assert "keep-alive" in down.text
        await run.books[symbol].wait_for(StreamUp, 2)
        nursery.cancel_scope.cancel()


# ---- the order of data and acknowledgements ----------------------------------------------------------------------


@pytest.mark.parametrize("data_first", [True, False])
async def test_a_snapshot_reaches_its_book_before_or_after_the_acknowledgement(data_first: bool) -> None:
    double = Double("bybit-linear")
    double.begin, double.data_first = bybit_begins, data_first
    async with session(double, BybitPublic(Product.LINEAR), (BTC,)) as run:
        snapshot = await run.books[BTC].one(BookSnapshot)
        kinds = [type(message) for message in run.books[BTC].messages]
        assert kinds.index(StreamUp) < kinds.index(BookSnapshot), "the book knows the connection before its messages"
        assert snapshot.connection == run.books[BTC].of(StreamUp)[0].connection


async def test_a_snapshot_that_comes_while_other_requests_wait_for_their_answer_is_not_lost() -> None:
    """The last acknowledgement never comes on the first connection; what came before it is used all the same."""
    symbols = [Symbol(f"S{number}USDT") for number in range(8)]  # three requests
    double = Double("bybit-linear")
    double.begin = bybit_begins
    double.answers = lambda client, text: "S7USDT" not in text or double.connections > 1
    patient = attrs.evolve(QUICK, handshake_timeout_ns=300 * MS)
    async with session(double, BybitPublic(Product.LINEAR), symbols, reconnect=patient) as run:
        first = await run.books[symbols[0]].one(BookSnapshot)
        assert not run.inspect()["connected"]
        await run.books[symbols[0]].one(StreamDown)
        again = (await run.books[symbols[0]].wait_for(BookSnapshot, 2))[1]
        assert again.connection > first.connection
        await run.world.ready(run.public)


# ---- silence -----------------------------------------------------------------------------------------------------


def expecting(**more: int) -> Rules:
    """Books and nothing else promise or are expected to speak."""
    quiet = Expectation(quiet_ns=3600 * SECOND)
    expectations = dict.fromkeys(Channel, quiet) | {Channel.BOOK: Expectation(**more)}
    return changed(expectations=expectations, client_ping_interval_ns=0)


@pytest.mark.req("R347")
async def test_a_subscription_that_owes_its_first_message_is_reported_and_the_connection_replaced() -> None:
    """Acknowledged, and on the wrong route: it would be silent for ever."""
    double = Double("bybit-linear")
    double.begin = lambda client, name: bybit_begins(client, name) if name[1] == BTC or double.connections > 1 else None
    rules = expecting(first_ns=200 * MS, quiet_ns=3600 * SECOND)
    async with session(double, BybitPublic(Product.LINEAR), (BTC, ETH), rules=rules) as run:
        down = await run.books[ETH].one(StreamDown, lambda down: down.channels == BOOK)
        assert "acknowledged but silent: book of ETHUSDT" in down.text
        await run.books[ETH].one(BookSnapshot)
        await run.world.until(lambda: run.inspect()["replacements"] == 1)
        assert not [down for down in run.books[BTC].of(StreamDown) if down.channels == BOOK], "the others have no hole"
        assert any(event.what == "silent_subscription" for event in run.world.events)
        assert run.inspect()["silent"] == []


@pytest.mark.req("R347")
async def test_a_promise_to_repeat_is_held_against_pongs() -> None:
    double, symbol = Double("okx-spot"), Symbol("BTC-USDT")
    double.begin = lambda client, name: okx_book(name[1], 10) if name[0] == "book" else None
    rules = expecting(first_ns=3 * SECOND, repeat_ns=800 * MS, quiet_ns=3600 * SECOND)
    async with session(double, OkxPublic(Product.SPOT), (symbol,), rules=rules) as run:
        for number in range(10):  # each in time
            await run.books[symbol].one(BookSnapshot)
            await double.say(("book", symbol), okx_book(symbol, 11 + number, 10 + number))
            await trio.sleep(0.1)
        assert not run.books[symbol].of(StreamDown)
        down = await run.books[symbol].one(StreamDown)
        assert "silent" in down.text
        ups = await run.books[symbol].wait_for(StreamUp, 2)
        assert ups[1].connection > ups[0].connection
        assert double.connections == 2


@pytest.mark.req("R347")
async def test_a_channel_without_promises_that_falls_silent_is_replaced_without_a_word() -> None:
    """It may be quiet: the books are not told, and would learn from the new connection what they missed."""
    double = Double("binance-spot")
    rules = expecting(quiet_ns=200 * MS)
    async with session(double, BinanceSpotPublic(), (BTC,), rules=rules) as run:
        await run.world.ready(run.public)
        await run.world.until(lambda: run.inspect()["replacements"] >= 2)
        assert not run.books[BTC].of(StreamDown)
        assert len(run.books[BTC].of(StreamUp)) == 1
        assert "all book" in run.inspect()["silent"]
        await double.say(("book", BTC), binance_depth(BTC, 5))
        await run.books[BTC].one(BookDelta)
        assert run.inspect()["silent"] == []


async def test_a_quiet_symbol_costs_ever_fewer_connections() -> None:
    double = Double("binance-spot")
    rules = expecting(quiet_ns=50 * MS)
    times: list[float] = []
    async with session(double, BinanceSpotPublic(), (BTC,), rules=rules) as run:
        for count in range(1, 6):
            await run.world.until(lambda count=count: double.connections >= count)  # type: ignore[misc]
            times.append(trio.current_time())
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[3] > 2.5 * pauses[0], f"replaced after {pauses}"


async def test_as_long_as_one_symbol_of_a_channel_speaks_the_quiet_ones_are_left_alone() -> None:
    double = Double("bybit-linear")
    double.begin = bybit_begins
    rules = expecting(first_ns=3 * SECOND, quiet_ns=800 * MS)
    async with session(double, BybitPublic(Product.LINEAR), (BTC, ETH), rules=rules) as run:
        await run.books[ETH].one(BookSnapshot)
        for number in range(12):
            await double.say(("book", BTC), bybit_book(BTC, 8 + number))
            await trio.sleep(0.1)
        assert double.connections == 1


# ---- planned replacement where a stream begins with a snapshot ----------------------------------------------------


class Watched(BookActor):
    """Keeps what it publishes."""

    def __init__(self, log: list[Message], *parts: object, **more: object) -> None:
        super().__init__(*parts, **more)  # type: ignore[arg-type]
        self._log = log

    def _tell(self, message: Message) -> None:
        self._log.append(message)
        super()._tell(message)


def with_book(double: Double, codec: BybitPublic, log: list[Message]) -> dict[str, Callable[[], Actor]]:
    path = book_path(double.venue, BTC)
    return {path: lambda: Watched(log, double.venue, BTC, codec.sequencer(BTC), settings=BookSettings(settled_ns=0))}


def gaps_after_start(log: list[Message]) -> list[GapOpened]:
    return [message for message in log if isinstance(message, GapOpened) and message.reason is not GapReason.STARTING]


@pytest.mark.req("R087")
@pytest.mark.parametrize("lead", [0, 3, -3])
async def test_a_book_passes_to_the_new_connection_with_its_snapshot(lead: int) -> None:
    """Each connection counts for itself, the newer one `lead` ahead or behind.  No gap, and no quote of two books."""
    double, codec, log = Double("bybit-linear"), BybitPublic(Product.LINEAR), list[Message]()
    counters: dict[Client, int] = {}

    def begin(client: Client, name: Name) -> str | None:
        if name[0] != "book":
            return None
        counters[client] = max(counters.values(), default=100) + lead
        return said(client, "snapshot")

    def said(client: Client, kind: str = "delta") -> str:
        number = counters[client]
        return bybit_book(BTC, number, kind, qty=str(number))

    double.begin = begin
    short = changed(connection_age_max_ns=600 * MS, expectations={})
    async with session(double, codec, (BTC,), rules=short, actors=with_book(double, codec, log)) as run:
        await run.subscribed(("book", BTC))
        while run.inspect()["replacements"] < 2:
            for client in double.wanting(("book", BTC)):
                counters[client] += 1
                await double.say(("book", BTC), said(client), to=client)
            await trio.sleep(0.01)
    assert gaps_after_start(log) == []
    quotes = [message for message in log if isinstance(message, Quote)]
    assert len({quote.update_id for quote in quotes}) > 10
    assert all(quote.proven and quote.bid_qty == quote.update_id for quote in quotes), "each is whole at its number"


async def test_a_connection_that_dies_during_the_overlap_is_a_hole_only_for_what_it_carried() -> None:
    """The successor has BTC's snapshot, and not ETH's yet, when the old connection goes."""
    double = Double("bybit-linear")
    double.begin = lambda client, name: (
        bybit_begins(client, name) if name[1] == BTC or double.connections == 1 else None
    )
    double.answers = lambda client, text: double.connections == 1
    slow = attrs.evolve(QUICK, handshake_timeout_ns=2 * SECOND)
    short = changed(connection_age_max_ns=400 * MS, expectations={})
    async with session(double, BybitPublic(Product.LINEAR), (BTC, ETH), rules=short, reconnect=slow) as run:
        await run.books[ETH].one(BookSnapshot)
        await run.world.until(lambda: double.connections == 2)
        old, new = double.clients
        await run.world.until(lambda: bool(new.texts))
        new.wants |= {("book", BTC)}
        await double.say(("book", BTC), bybit_book(BTC, 50, "snapshot"), to=new)
        await run.books[BTC].one(BookSnapshot, lambda snapshot: snapshot.last_id == 50)
        old.peer.reset()
        await run.books[ETH].one(StreamDown, lambda down: down.channels == BOOK)
        assert not [down for down in run.books[BTC].of(StreamDown) if down.channels == BOOK]
        await double.say(("book", ETH), bybit_book(ETH, 60, "snapshot"), to=new)
        up = (await run.books[ETH].wait_for(StreamUp, 2))[1]
        snapshot = await run.books[ETH].one(BookSnapshot, lambda snapshot: snapshot.last_id == 60)
        assert snapshot.connection == up.connection > run.books[ETH].of(StreamUp)[0].connection


# ---- resynchronizing one symbol ----------------------------------------------------------------------------------


def ops(run: Run, symbol: str) -> list[str]:
    """Requests about a symbol's book, in order."""
    texts = [text for client in run.double.clients for text in client.texts]
    return [json.loads(text)["op"] for text in texts if f"orderbook.200.{symbol}" in text]


@pytest.mark.req("R356")
async def test_a_gap_subscribes_that_symbol_anew_and_no_other() -> None:
    double, codec, log = Double("bybit-linear"), BybitPublic(Product.LINEAR), list[Message]()
    numbers = iter((7, 70))
    double.begin = lambda client, name: (
        bybit_book(name[1], next(numbers) if name[1] == BTC else 7, "snapshot") if name[0] == "book" else None
    )
    async with session(double, codec, (BTC, ETH), actors=with_book(double, codec, log)) as run:
        await run.books[ETH].one(BookSnapshot)
        await double.say(("book", BTC), bybit_book(BTC, 8), bybit_book(BTC, 10))
        await run.world.until(lambda: run.world.runtime.cell(book_path(double.venue, BTC)).ready and len(log) > 4)
        assert [gap.reason for gap in gaps_after_start(log)] == [GapReason.SEQUENCE]
        assert isinstance([m for m in log if isinstance(m, GapOpened | GapClosed)][-1], GapClosed)
        assert ops(run, BTC) == ["subscribe", "unsubscribe", "subscribe"]
        assert ops(run, ETH) == ["subscribe"]
        assert run.inspect()["resyncs"] == 1
        assert not run.books[ETH].of(StreamDown)
        await double.say(("book", BTC), bybit_book(BTC, 71, bid="100.5"))
        await run.world.until(lambda: isinstance(log[-1], Quote) and log[-1].update_id == 71)


async def test_a_storm_of_gaps_is_no_storm_of_requests() -> None:
    """Thirty books lose their proof at once, again and again; the budget has two requests, then one every 10 s."""
    symbols = [Symbol(f"S{number}USDT") for number in range(30)]
    double = Double("bybit-linear")
    double.begin = bybit_begins
    codec = BybitPublic(Product.LINEAR)
    async with session(double, codec, symbols, resync_burst=2, resync_interval_ns=10 * SECOND) as run:
        await run.world.ready(run.public)
        (client,) = double.clients
        quiet = len(client.texts)
        for _ in range(20):
            run.world.tell(run.public, *(Resync(symbol, "hole") for symbol in symbols))
            await trio.sleep(0.02)
        await run.world.until(lambda: all(ops(run, symbol).count("subscribe") > 1 for symbol in symbols))
        await trio.sleep(0.2)
        requests = [json.loads(text)["op"] for text in client.texts[quiet:]]
        assert len(requests) <= 2 * 2 * 3, "at most two rounds, each of all symbols, ten topics a frame"


async def test_where_nothing_can_be_unsubscribed_the_whole_set_is_sent_again() -> None:
    double, code = Double("upbit"), Symbol("KRW-BTC")
    double.begin = lambda client, name: upbit_book(name[1], 1790000000000) if name[0] == "book" else None
    async with session(double, UpbitPublic(), (code,)) as run:
        await run.books[code].one(BookSnapshot)
        run.world.tell(run.public, Resync(code, "crossed"))
        await run.books[code].wait_for(BookSnapshot, 2)
        (client,) = double.clients
        sets = [asked(text) for text in client.texts if asked(text)]
        assert sets == [{"orderbook": [code], "trade": [code]}] * 2
        assert not run.books[code].of(StreamDown)


async def test_a_snapshot_that_comes_by_itself_makes_the_request_needless() -> None:
    double = Double("bybit-linear")
    double.begin = bybit_begins
    codec = BybitPublic(Product.LINEAR)
    async with session(double, codec, (BTC, ETH), resync_burst=1, resync_interval_ns=SECOND) as run:
        await run.world.ready(run.public)
        run.world.tell(run.public, Resync(BTC, "hole"))
        await run.world.until(lambda: ops(run, BTC) == ["subscribe", "unsubscribe", "subscribe"])
        run.world.tell(run.public, Resync(ETH, "hole"))  # has to wait for the budget
        await double.say(("book", ETH), bybit_book(ETH, 9, "snapshot"))
        run.world.tell(run.public, Resync(BTC, "hole"))  # goes with the same token
        await run.world.until(lambda: ops(run, BTC).count("subscribe") == 3)
        assert ops(run, ETH) == ["subscribe"]


def test_rules_of_a_venue_state_what_its_books_promise() -> None:
    """A stream that begins with a snapshot promises its first message; no other does."""
    promising: dict[str, SessionRules] = {
        "bybit": BybitPublic(Product.SPOT).rules,
        "okx": OkxPublic(Product.SPOT).rules,
        "upbit": UpbitPublic().rules,
    }
    assert all(rules.expectations[Channel.BOOK].first_ns for rules in promising.values())
    for rules in (BinanceSpotPublic().rules, BinanceUsdmPublic().rules):
        assert not rules.expectations[Channel.BOOK].first_ns
        assert rules.expectations[Channel.BOOK].quiet_ns
