"""Recorded OKX books through real sockets to our codec, judged by the checksum in every recorded message.

The checksum covers the digits of the 25 best levels a side: one wrong level, quantity or order breaks it.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from actors.book.levels import OrderBook
from protocols.enums import Channel, Side
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.market import BookDelta, BookSnapshot, BookTicker, Trade
from protocols.venue import BookSequencer, Reply, Verdict
from protocols.venues.okx import OkxPublic
from protocols.venues.okx.book import CHECKSUM_LEVELS, checksum
from tests.simulator.okx.wire import NO_LIMITS, PATIENCE_S, Socket, raw_socket, rest_of, venue_of
from tools.simulator import CaptureConfig, Fault, FaultKind, Simulator, SimulatorConfig, demo_account, open_simulator
from tools.simulator.core.model import OrdStatus

CAPTURES = {"2021-07-22_books-l2-tbt_10inst": (10, 1504), "2022-05-13_books_btcusdt": (3, 290)}
"""Instruments and book messages, as the data's README counts them."""
PLACES = int(os.environ.get("BULKHEAD_DROPS", "18"))
"""How many messages are spoiled in all, of each recording in each way."""
AT_ONCE = 6
PACES: dict[FaultKind, dict[str, Any]] = {
    FaultKind.DROP: {"speed": 0, "hold_after_loss": 2},
    FaultKind.DUPLICATE: {"speed": 0},
    FaultKind.REORDER: {"speed": 40},
}
"""Healing takes a question and an answer; a recording at full speed would be over by then, where it is not held."""


def config(path: Path, pace: dict[str, Any] | None = None, **more: Any) -> SimulatorConfig:
    return SimulatorConfig(
        venue="okx",
        market=CaptureConfig(path=path, wait_subscribers=1, **(pace or {"speed": 0})),
        accounts=(demo_account("alpha"),),
        limits=NO_LIMITS,
        **more,
    )


def capture(data_dir: Path, name: str) -> Path:
    return data_dir / "okx" / "ws" / f"{name}.jsonl.gz"


class Books:
    """Our codec, sequence rules and levels behind one socket; every message that makes a proven book is judged."""

    def __init__(self, ws: WebSocketConnection) -> None:
        self.codec = OkxPublic(Product.SPOT)
        self._ws = ws
        self._rules: dict[Symbol, BookSequencer] = {}
        self.books: dict[Symbol, OrderBook] = {}
        self.verdicts: Counter[Verdict] = Counter()
        self.judged = self.wrong = 0
        self.tickers: list[BookTicker] = []
        self.trades: list[Trade] = []
        self._requests = 100
        self._asked: set[Symbol] = set()
        self.all_read = trio.Event()

    async def subscribe(self, symbols: list[str], *channels: Channel) -> None:
        """All in one frame: the recording begins with the first of them. Books, if nothing is named."""
        self._requests += 100
        wanted = [(channel, Symbol(symbol)) for symbol in symbols for channel in channels or (Channel.BOOK,)]
        for frame in self.codec.subscribe(wanted, self._requests):
            await self._ws.send_message(frame.text)

    async def _again(self, symbol: Symbol) -> None:
        """The venue's remedy of a gap: unsubscribe, subscribe, and the picture comes with it."""
        if symbol in self._asked:
            return
        self._asked.add(symbol)
        self._requests += 100
        for frame in self.codec.unsubscribe([(Channel.BOOK, symbol)], self._requests):
            await self._ws.send_message(frame.text)
        await self.subscribe([symbol])

    async def ping(self) -> None:
        await self._ws.send_message(self.codec.keep_alive("").text)

    async def run(self) -> None:
        """Until the connection ends."""
        while True:
            try:
                raw = await self._ws.get_message()
            except ConnectionClosed:
                return
            for event in self.codec.decode(raw, 1, 1):
                if isinstance(event, Reply) and event.payload == {"event": "pong"}:
                    self.all_read.set()
                elif isinstance(event, BookSnapshot | BookDelta):
                    await self._take(event, raw)
                elif isinstance(event, BookTicker):
                    self.tickers.append(event)
                elif isinstance(event, Trade):
                    self.trades.append(event)

    async def _take(self, event: BookSnapshot | BookDelta, raw: str | bytes) -> None:
        rules = self._rules.setdefault(event.symbol, self.codec.sequencer(event.symbol))
        book = self.books.setdefault(event.symbol, OrderBook())
        if isinstance(event, BookSnapshot):
            self._asked.discard(event.symbol)
            bridge = rules.on_snapshot(event)
            verdict = bridge.verdict
            if verdict is Verdict.APPLY:
                book.load(event.bids, event.asks)
                for change in bridge.replay:
                    book.apply(change.bids, change.asks)
        else:
            verdict = rules.on_delta(event)
            if verdict is Verdict.APPLY:
                book.apply(event.bids, event.asks)
            elif verdict is Verdict.GAP or verdict is Verdict.BUFFER:  # a hole, or the picture itself was lost
                book.clear()
                await self._again(event.symbol)
        self.verdicts[verdict] += 1
        if rules.synced and rules.last_id == event.last_id:
            stated = json.loads(raw)["data"][0]["checksum"]
            bids, asks = (side.top(CHECKSUM_LEVELS) for side in (book.bids, book.asks))
            self.judged += 1
            self.wrong += checksum(bids, asks) != stated


async def play(sim: Simulator, books: Books) -> None:
    """To the recording's end, and until its last frame has been read: a pong comes after all that was sent before."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(books.run)
        with trio.fail_after(PATIENCE_S):
            await sim.wait_replayed()
            await books.ping()
            await books.all_read.wait()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("name", CAPTURES)
async def test_every_recorded_book_message_makes_the_book_that_its_checksum_states(data_dir: Path, name: str) -> None:
    instruments, messages = CAPTURES[name]
    async with open_simulator(config(capture(data_dir, name))) as sim, raw_socket(sim) as ws:
        books = Books(ws)
        await books.subscribe(list(sim.exchange.markets))
        await play(sim, books)
    assert (len(books.books), books.judged, books.wrong) == (instruments, messages, 0)
    assert books.verdicts == Counter({Verdict.APPLY: messages})


async def test_recorded_frames_keep_their_text_but_for_the_numbers(data_dir: Path) -> None:
    """Under the recorded channel's own name, which takes a login and a fee tier (section 7)."""
    path = capture(data_dir, "2021-07-22_books-l2-tbt_10inst")
    async with open_simulator(config(path)) as sim:
        venue_of(sim).settings(sim.account("alpha")).vip = 5
        async with raw_socket(sim) as ws:
            socket = Socket(ws, sim)
            await socket.login()
            await socket.subscribe({"channel": "books-l2-tbt", "instId": "XMR-USDT-SWAP"})
            update = await socket.until(lambda body: body.get("action") == "update")
    (row,) = update["data"]
    assert row["prevSeqId"] == row.pop("seqId") - 1
    del row["prevSeqId"]
    assert row == {
        "asks": [["196.4", "774", "0", "4"], ["196.42", "38", "0", "3"]],
        "bids": [],
        "ts": "1626995753399",
        "checksum": 1449106703,
    }


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DUPLICATE, FaultKind.REORDER])
@pytest.mark.parametrize("name", CAPTURES)
async def test_spoiled_streams_are_seen_and_healed(data_dir: Path, name: str, kind: FaultKind) -> None:
    """Whatever is lost, doubled or late is found by the next message; no book that is called proven is ever wrong."""
    rng = random.Random(f"{name}/{kind.value}")
    struck: Counter[str] = Counter()
    gaps = 0
    for _ in range(-(-PLACES // AT_ONCE)):
        skips = [rng.randrange(CAPTURES[name][1] // AT_ONCE) for _ in range(AT_ONCE)]
        faults = tuple(Fault(kind=kind, match="books:*", skip=skip) for skip in skips)
        async with open_simulator(config(capture(data_dir, name), PACES[kind], faults=faults)) as sim:
            async with raw_socket(sim) as ws:
                books = Books(ws)
                await books.subscribe(list(sim.exchange.markets))
                await play(sim, books)
            struck += sim.faults.counts
        gaps += books.verdicts[Verdict.GAP]
        assert books.wrong == 0
        # Where the recording does not wait for the healing, a slow reader proves less of it, and none of it wrongly.
        is_held = "hold_after_loss" in PACES[kind] or kind is FaultKind.DUPLICATE
        assert books.judged > (CAPTURES[name][1] // 2 if is_held else 2 * AT_ONCE)
    assert struck[kind.value] >= PLACES // 2
    if kind is FaultKind.DUPLICATE:
        assert gaps == 0
    else:
        assert gaps >= PLACES // 4


async def test_best_prices_are_derived_and_trades_passed_on(data_dir: Path) -> None:
    async with open_simulator(config(capture(data_dir, "2022-05-13_books_btcusdt"))) as sim, raw_socket(sim) as ws:
        books = Books(ws)
        await books.subscribe(["BTC-USDT"], Channel.BOOK, Channel.BOOK_TICKER, Channel.TRADES)
        await play(sim, books)
    best = books.books[Symbol("BTC-USDT")].best()
    last = books.tickers[-1]
    assert ((last.bid_px, last.bid_qty), (last.ask_px, last.ask_qty)) == best
    assert len(books.trades) > 60
    assert {trade.aggressor for trade in books.trades} == {Side.BUY, Side.SELL}


async def test_users_trade_against_a_recording(data_dir: Path) -> None:
    """A taker gets what the recording shows; nothing of it is seen in the recorded frames."""
    path = capture(data_dir, "2022-05-13_books_btcusdt")
    rest_lists = data_dir / "okx" / "rest" / "instruments_SPOT_2022-05-13.json.gz"
    settings = config(path, exchange_info=rest_lists)
    async with open_simulator(settings) as sim, raw_socket(sim) as ws, rest_of(sim) as rest:
        books = Books(ws)
        await books.subscribe(list(sim.exchange.markets))
        await play(sim, books)
        top = (await rest.public("market/books", instId="BTC-USDT", sz="1")).json()["data"][0]
        body = {
            "instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "ioc", "sz": "0.001",
            "px": top["asks"][0][0],
        }  # fmt: skip
        placed = await rest.item("trade/order", body)
        assert placed["sCode"] == "0", placed
        (order,) = sim.orders("alpha")
        assert order.ord_status is OrdStatus.FILLED
        closed = await rest.item("trade/order", body | {"instId": "UNI-USD-SWAP", "tdMode": "cross"})
        assert closed["sCode"] == "51022"  # an inverse contract can be watched, not traded
    assert books.wrong == 0
