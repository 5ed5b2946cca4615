"""Every recorded Bybit stream through the simulator, real sockets, our codec, sequencer and levels: no wrong book.

The oracle is the recording itself (`u` grows by one, each message changes the levels that it names), applied here with
nothing but dictionaries.  A book is compared after every message that our side takes for proven.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actors.book.levels import OrderBook
from protocols.enums import Channel
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Trade
from protocols.venue import Reply, UnrecognizedMessage, Verdict
from protocols.venues.bybit import BybitPublic
from protocols.venues.bybit.book import BybitSequencer
from tests.simulator.bybit.kit import PATIENCE_S, Socket, socket_of
from tools.simulator import CaptureConfig, Fault, FaultKind, Simulator, SimulatorConfig, open_simulator
from tools.simulator.core.capture import read_lines
from tools.simulator.dialects.bybit.topics import category_of

DEEP, SHALLOW = "2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz", "2025-06-13_orderbook1_linear.jsonl.gz"
LISTED = "bybit/rest/instruments_linear_2026-08-09.json.gz"
LOSSES = int(os.environ.get("BULKHEAD_DROPS", "30"))
Levels = dict[Decimal, Decimal]
Picture = tuple[Levels, Levels]


def oracle(path: Path) -> dict[str, dict[int, Picture]]:
    """`category/topic` -> `u` -> the whole book after that message."""
    categories: dict[str, str] = {}
    books: dict[str, Picture] = {}
    found: dict[str, dict[int, Picture]] = {}
    for record in read_lines(path):
        if record.get("url"):
            categories[record["conn"]] = category_of(record["url"])
        frame = json.loads(record["raw"]) if record["dir"] == "recv" else {}
        topic = frame.get("topic", "")
        if not topic.startswith("orderbook."):
            continue
        name = f"{categories[record['conn']]}/{topic}"
        if frame["type"] == "snapshot":
            books[name] = ({}, {})
        bids, asks = books[name]
        for levels, rows in ((bids, frame["data"]["b"]), (asks, frame["data"]["a"])):
            for price, qty in rows:
                levels[Decimal(price)] = Decimal(qty)
                if not Decimal(qty):
                    del levels[Decimal(price)]
        found.setdefault(name, {})[frame["data"]["u"]] = (dict(bids), dict(asks))
    return found


@attrs.define
class Followed:
    """One book on our side."""

    name: str
    truth: dict[int, Picture]
    sequencer: BybitSequencer = attrs.Factory(BybitSequencer)
    book: OrderBook = attrs.Factory(OrderBook)
    proven: int = 0
    gaps: int = 0
    healed: int = 0
    ignored: int = 0
    finished: trio.Event = attrs.Factory(trio.Event)

    def check(self) -> None:
        bids, asks = self.truth[self.sequencer.last_id]
        ours = dict(self.book.bids.top(10_000)), dict(self.book.asks.top(10_000))
        assert ours == (bids, asks), f"{self.name}: wrong book at u={self.sequencer.last_id}"
        self.proven += 1
        if self.sequencer.last_id == max(self.truth):
            self.finished.set()


class Follower:
    """A public session without the actor: one connection, one codec, its books."""

    def __init__(self, product: Product, symbols: list[str], truth: dict[str, dict[int, Picture]]) -> None:
        self.codec = BybitPublic(product)
        category = "spot" if product is Product.SPOT else "linear"
        self.wanted = [
            (channel, Symbol(symbol))
            for symbol in symbols
            for channel in (Channel.BOOK, Channel.TRADES, Channel.CANDLES_1M)
        ]
        self.books = {
            symbol: Followed(f"{category}/{symbol}", truth[f"{category}/orderbook.200.{symbol}"]) for symbol in symbols
        }
        self.trades = self.candles = 0
        self._requests = 100

    async def follow(self, sim: Simulator, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with socket_of(sim, self.codec.stream_path()) as socket:
            for frame in self.codec.subscribe(self.wanted, 1):
                await socket.ws.send_message(frame.text)
            task_status.started()
            while True:
                await self.take(socket, await socket.ws.get_message())

    async def take(self, socket: Socket, raw: str | bytes) -> None:
        for event in self.codec.decode(raw, 1, 1):
            assert not isinstance(event, UnrecognizedMessage)
            if isinstance(event, Reply):
                assert event.error is None
            elif isinstance(event, BookSnapshot):
                followed = self.books[event.symbol]
                was_synced = followed.sequencer.synced
                assert followed.sequencer.on_snapshot(event).verdict is Verdict.APPLY
                followed.healed += followed.gaps > 0 and not was_synced
                followed.book.load(event.bids, event.asks)
                followed.check()
            elif isinstance(event, BookDelta):
                await self._delta(socket, self.books[event.symbol], event)
            self.trades += isinstance(event, Trade)
            self.candles += isinstance(event, Candle)

    async def _delta(self, socket: Socket, followed: Followed, delta: BookDelta) -> None:
        verdict = followed.sequencer.on_delta(delta)
        if verdict is Verdict.APPLY:
            followed.book.apply(delta.bids, delta.asks)
            followed.check()
        elif verdict is Verdict.GAP:
            followed.gaps += 1
            followed.book.clear()
            again = [(Channel.BOOK, delta.symbol)]
            self._requests += 2
            number = self._requests
            for frame in (*self.codec.unsubscribe(again, number), *self.codec.subscribe(again, number + 1)):
                await socket.ws.send_message(frame.text)
        else:
            followed.ignored += 1


def config(data_dir: Path, name: str, **more: Any) -> SimulatorConfig:
    capture = CaptureConfig(path=data_dir / "bybit" / "ws" / name, **({"speed": 0} | more))
    return SimulatorConfig(venue="bybit", market=capture, exchange_info=data_dir / "bybit" / "rest")


async def replay(sim: Simulator, followers: list[Follower]) -> None:
    """To the recording's end, and until everything that was sent has been read."""
    async with trio.open_nursery() as nursery:
        for follower in followers:
            await nursery.start(follower.follow, sim)
        with trio.fail_after(6 * PATIENCE_S):
            await sim.wait_replayed()
            for follower in followers:
                for followed in follower.books.values():
                    await followed.finished.wait()
        nursery.cancel_scope.cancel()
    assert sim.server.failures == []


def followers(truth: dict[str, dict[int, Picture]]) -> list[Follower]:
    return [
        Follower(Product.SPOT, ["BTCUSDT"], truth),
        Follower(Product.LINEAR, ["BTCUSDT", "DOGEUSDT"], truth),
    ]


async def test_books_of_the_recording_are_never_wrong(data_dir: Path) -> None:
    truth = oracle(data_dir / "bybit" / "ws" / DEEP)
    both = followers(truth)
    async with open_simulator(config(data_dir, DEEP, wait_subscribers=2)) as sim:
        await replay(sim, both)
    books = [followed for follower in both for followed in follower.books.values()]
    assert sum(followed.proven for followed in books) == 1091 + 3
    assert [followed.gaps + followed.ignored for followed in books] == [0, 0, 0]
    assert [follower.trades > 0 and follower.candles > 0 for follower in both] == [True, True]


TOPICS = ("spot/orderbook.200.BTCUSDT", "linear/orderbook.200.BTCUSDT", "linear/orderbook.200.DOGEUSDT")


def spoil(sim: Simulator, kind: FaultKind, name: str, by_update: dict[int, Picture]) -> int:
    """At random places of one book, some messages apart; the last are left alone, so that the end can be waited for."""
    draw = random.Random(f"{kind.value} {name}")
    places = sorted(by_update)[2:-20:8]
    chosen = draw.sample(places, min(LOSSES, len(places)))
    for update in chosen:
        sim.strike(Fault(kind=kind, match=name, update_id=update))
    return len(chosen)


@pytest.mark.parametrize("name", TOPICS)
async def test_each_lost_message_is_noticed_by_the_next_and_healed(data_dir: Path, name: str) -> None:
    truth = oracle(data_dir / "bybit" / "ws" / DEEP)
    both = followers(truth)
    async with open_simulator(config(data_dir, DEEP, wait_subscribers=2, hold_after_loss=2)) as sim:
        places = spoil(sim, FaultKind.DROP, name, truth[name])
        await replay(sim, both)
    books = {followed.name: followed for follower in both for followed in follower.books.values()}
    spoiled = books.pop(name.replace("orderbook.200.", ""))
    assert (spoiled.gaps, spoiled.healed) == (places, places)
    assert [followed.gaps for followed in books.values()] == [0, 0]  # the others did not notice


@pytest.mark.parametrize("name", TOPICS)
async def test_a_message_told_twice_changes_nothing(data_dir: Path, name: str) -> None:
    truth = oracle(data_dir / "bybit" / "ws" / DEEP)
    both = followers(truth)
    async with open_simulator(config(data_dir, DEEP, wait_subscribers=2)) as sim:
        places = spoil(sim, FaultKind.DUPLICATE, name, truth[name])
        await replay(sim, both)
    books = [followed for follower in both for followed in follower.books.values()]
    assert sum(followed.ignored for followed in books) == places
    assert sum(followed.gaps for followed in books) == 0


@pytest.mark.parametrize("name", TOPICS)
async def test_messages_out_of_order_are_noticed_and_healed(data_dir: Path, name: str) -> None:
    """A held-back message makes two holes: where it is missing and where it comes; the first heals both or not."""
    truth = oracle(data_dir / "bybit" / "ws" / DEEP)
    both = followers(truth)
    async with open_simulator(config(data_dir, DEEP, wait_subscribers=2, speed=40.0)) as sim:
        spoil(sim, FaultKind.REORDER, name, truth[name])
        await replay(sim, both)
    books = [followed for follower in both for followed in follower.books.values()]
    assert sum(followed.gaps for followed in books) > 0
    assert [followed.healed for followed in books] == [followed.gaps for followed in books]


def listed_then(data_dir: Path, folder: Path, symbols: list[str]) -> Path:
    """A list with these contracts: the venue's own rows, and for one that it has taken off since, a row like them."""
    rows = json.loads(gzip.decompress((data_dir / LISTED).read_bytes()))["result"]["list"]
    known = {row["symbol"]: row for row in rows if row["symbol"] in symbols}
    pattern = next(iter(known.values()))
    result = {"category": "linear", "list": [known.get(name, pattern | {"symbol": name}) for name in symbols]}
    path = folder / "instruments.json"
    path.write_text(json.dumps({"retCode": 0, "result": result}))
    return path


async def test_level_1_recording(data_dir: Path, tmp_path: Path) -> None:
    """A recording of best prices alone: every snapshot becomes a ticker, of four small contracts."""
    path = data_dir / "bybit" / "ws" / SHALLOW
    wanted = [json.loads(record["raw"]) for record in read_lines(path) if record["dir"] == "recv"]
    tops = [
        (frame["data"]["s"], *frame["data"]["b"][0], *frame["data"]["a"][0]) for frame in wanted if "topic" in frame
    ]
    symbols = sorted({top[0] for top in tops})
    codec = BybitPublic(Product.LINEAR)
    seen: list[tuple[str, Decimal, Decimal, Decimal, Decimal]] = []
    settings = config(data_dir, SHALLOW, wait_subscribers=1)
    settings = attrs.evolve(settings, exchange_info=listed_then(data_dir, tmp_path, symbols))
    async with open_simulator(settings) as sim, socket_of(sim, codec.stream_path()) as socket:
        for frame in codec.subscribe([(Channel.BOOK_TICKER, Symbol(symbol)) for symbol in symbols], 1):
            await socket.ws.send_message(frame.text)
        with trio.fail_after(PATIENCE_S):
            while len(seen) < len(tops):
                events = codec.decode(await socket.ws.get_message(), 1, 1)
                quotes = [event for event in events if isinstance(event, BookTicker)]
                seen += [(each.symbol, each.bid_px, each.bid_qty, each.ask_px, each.ask_qty) for each in quotes]
    assert seen == [(symbol, *map(Decimal, rest)) for symbol, *rest in tops]
