"""A recorded day: frames as they were, books that are the recorded pictures, orders that trade with the recording.

The capture of 2021 is replayed through a real socket to the engine's codec, sequence rule and book.  Every message of a
book is a whole picture, so the oracle is equality: after each message the book is the recorded picture of its time.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.book.levels import OrderBook
from actors.venue.settings import TransportSettings
from actors.venue.transport import WebSocket, connect_websocket
from protocols.ids import Symbol
from protocols.market import BookSnapshot, Trade
from protocols.venue import BookSequencer, Channel, Verdict
from protocols.venues.upbit import UpbitPublic
from tests.simulator.upbit.kit import PATIENCE_S, UNLIMITED, best, checked, rest_of, socket_of
from tools.simulator import CaptureConfig, Fault, FaultKind, Simulator, SimulatorConfig, demo_account, open_simulator
from tools.simulator.core.model import Side

Levels = tuple[tuple[Decimal, Decimal], ...]
Picture = tuple[Levels, Levels]


@pytest.fixture
def capture(data_dir: Path) -> Path:
    return data_dir / "upbit/ws/2021-04-17_simple_first21s.jsonl.gz"


@pytest.fixture
def markets(data_dir: Path) -> Path:
    """The venue's own list of that day."""
    return data_dir / "upbit/rest/market_all_2021-04-17.json.gz"


def recorded(capture: Path) -> list[dict[str, Any]]:
    with gzip.open(capture, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return [json.loads(row["raw"], parse_float=Decimal) | {"raw": row["raw"]} for row in rows if row["dir"] == "recv"]


def picture_of(message: dict[str, Any]) -> Picture:
    """Both sides as the recording shows them, read by nothing of ours."""
    units = message["obu"]
    bids = tuple((Decimal(unit["bp"]), Decimal(unit["bs"])) for unit in units if unit["bs"])
    asks = tuple((Decimal(unit["ap"]), Decimal(unit["as"])) for unit in units if unit["as"])
    return bids, asks


def replaying(capture: Path, markets: Path, **more: Any) -> SimulatorConfig:
    market = CaptureConfig(path=capture, speed=0, wait_subscribers=1)
    settings: dict[str, Any] = {"limits": UNLIMITED, "accounts": (demo_account("alpha"),)}
    return SimulatorConfig(venue="upbit", market=market, exchange_info=markets, symbols=(), **(settings | more))


class Reader:
    """The engine's way to a book: codec, sequence rule, levels."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.codec = UpbitPublic()
        self.rules: dict[Symbol, BookSequencer] = {}
        self.books: dict[Symbol, OrderBook] = defaultdict(OrderBook)
        self.seen: dict[Symbol, list[tuple[int, Picture]]] = defaultdict(list)
        self.trades: list[Trade] = []

    async def read(self) -> None:
        """Until the recording has been played to its end."""
        codes = [Symbol(code) for code in self.sim.exchange.markets]
        wanted = [(channel, code) for channel in (Channel.BOOK, Channel.TRADES) for code in codes]
        async with trio.open_nursery() as nursery:
            url = self.sim.urls["streams"]
            socket = await connect_websocket(nursery, url, TransportSettings())
            for frame in self.codec.subscribe(wanted, 1):
                socket.send_nowait(frame.text)
            nursery.start_soon(self._read_all, socket, nursery.cancel_scope)
            with trio.fail_after(60):
                await self.sim.wait_replayed()
                socket.send_nowait(self.codec.list_subscriptions("end").text)
                await trio.sleep_forever()

    async def _read_all(self, socket: WebSocket, until: trio.CancelScope) -> None:
        while True:
            for raw in await socket.recv_many():
                if self.take(raw):
                    until.cancel()

    def take(self, raw: bytes) -> bool:
        """True for the answer that comes after everything."""
        for event in self.codec.decode(raw, 1, 1):
            if isinstance(event, BookSnapshot):
                self.picture(event)
            elif isinstance(event, Trade):
                self.trades.append(event)
            else:
                return True
        return False

    def picture(self, event: BookSnapshot) -> None:
        rule = self.rules.setdefault(event.symbol, self.codec.sequencer(event.symbol))
        if rule.on_snapshot(event).verdict is not Verdict.APPLY:
            return
        book = self.books[event.symbol]
        book.bids.load(event.bids)
        book.asks.load(event.asks)
        self.seen[event.symbol].append((event.last_id, (book.bids.top(100), book.asks.top(100))))


async def test_every_book_is_the_recorded_picture(capture: Path, markets: Path) -> None:
    expected: dict[Symbol, list[tuple[int, Picture]]] = defaultdict(list)
    messages = recorded(capture)
    for message in messages:
        if message["ty"] == "orderbook":
            expected[Symbol(message["cd"])].append((message["tms"], picture_of(message)))
    async with open_simulator(replaying(capture, markets)) as sim:
        reader = Reader(sim)
        await reader.read()
        assert sim.server.failures == []
    assert sum(map(len, expected.values())) == 93
    assert reader.seen == expected
    trades = [message for message in messages if message["ty"] == "trade"]
    assert [(one.symbol, one.trade_id, one.price, one.qty) for one in reader.trades] == [
        (one["cd"], str(one["sid"]), one["tp"], one["tv"]) for one in trades
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DUPLICATE, FaultKind.REORDER])
async def test_no_book_is_ever_wrong(capture: Path, markets: Path, kind: FaultKind, seed: int) -> None:
    """A third of the pictures is lost, doubled or late: each book is a recorded picture, and time never runs back."""
    pictures = {
        (message["cd"], message["tms"], picture_of(message))
        for message in recorded(capture)
        if message["ty"] == "orderbook"
    }
    faults = (Fault(kind=kind, match="orderbook:*", count=None, probability=0.35),)
    async with open_simulator(replaying(capture, markets, seed=seed, faults=faults)) as sim:
        reader = Reader(sim)
        await reader.read()
        assert sim.faults.counts[kind.value] > 10
    for symbol, seen in reader.seen.items():
        assert {(symbol, stamp, picture) for stamp, picture in seen} <= pictures
        stamps = [stamp for stamp, _ in seen]
        assert stamps == sorted(stamps)


async def test_the_recorded_text_goes_out_untouched(capture: Path, markets: Path) -> None:
    """To who asks for the form of the recording; to others in their form with the recorded numbers."""
    texts = [message["raw"] for message in recorded(capture) if message["cd"] == "KRW-LAMB"]
    async with open_simulator(replaying(capture, markets)) as sim:
        codes = {"codes": ["KRW-LAMB"], "is_only_realtime": True}
        async with socket_of(sim) as short, socket_of(sim) as long:
            await short.say({"type": "orderbook", **codes}, {"type": "trade", **codes}, {"format": "SIMPLE"})
            await long.say({"type": "orderbook", **codes}, {"type": "trade", **codes})
            with trio.fail_after(60):
                await sim.wait_replayed()
            await short.say({"method": "LIST_SUBSCRIPTIONS"})
            await short.until_key("rslt")
            frames = [frame.decode() for frame in short.frames[:-1] if isinstance(frame, bytes)]
            assert frames == texts[len(texts) - len(frames) :]
            assert len(frames) > len(texts) // 2
            await long.say({"method": "LIST_SUBSCRIPTIONS"})
            await long.until_key("result")
            wide = [json.loads(frame, parse_float=str) for frame in long.frames[:-1]]
            narrow = [json.loads(text, parse_float=str) for text in texts[len(texts) - len(wide) :]]
            for one, other in zip(wide, narrow, strict=True):
                assert sorted(map(str, _leaves(one))) == sorted(map(str, _leaves(other)))
                assert one["code"] == other["cd"]


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one)]
    return [value]


async def test_orders_trade_with_the_recording(capture: Path, markets: Path) -> None:
    """A taker gets what the recording displays, once; a maker fills when the recording trades through his price."""
    account = demo_account("alpha", balances={"KRW": Decimal(10_000_000_000), "LAMB": Decimal(100_000_000)})
    async with open_simulator(replaying(capture, markets, accounts=(account,))) as sim, rest_of(sim) as rest:
        await Reader(sim).read()
        (price, qty) = best(sim, Side.SELL, "KRW-LAMB")
        terms = {"market": "KRW-LAMB", "side": "bid", "ord_type": "limit", "price": str(price)}
        row = await rest.order((await rest.place(**terms, volume=str(qty), time_in_force="ioc"))["uuid"])
        assert (row["state"], Decimal(row["executed_volume"])) == ("done", qty)
        row = await rest.order((await rest.place(**terms, volume="1000", time_in_force="ioc"))["uuid"])
        assert (row["state"], row["executed_volume"]) == ("cancel", "0")
        resting = await rest.place(**terms | {"side": "ask", "price": str(price + 1)}, volume="1000")
        sim.trade("KRW-LAMB", Side.BUY, Decimal(500), price + 2)
        row = await rest.order(resting["uuid"])
        assert (row["state"], row["executed_volume"]) == ("done", "1000")
        assert Decimal(row["trades"][0]["price"]) == price + 1
        (book,) = checked(await rest.public("orderbook", markets="KRW-LAMB"))
        last = [one for one in recorded(capture) if one["cd"] == "KRW-LAMB" and one["ty"] == "orderbook"][-1]
        assert book["timestamp"] == last["tms"]
        assert book["orderbook_units"][0]["ask_price"] == last["obu"][0]["ap"]
        rows = checked(await rest.public("candles/minutes/1", market="KRW-LAMB", count=5))
        assert rows[0]["candle_date_time_utc"].startswith("2021-04-17T16:51")


async def test_who_comes_late_begins_with_the_last_picture(capture: Path, markets: Path) -> None:
    async with open_simulator(replaying(capture, markets)) as sim, socket_of(sim) as socket:
        await Reader(sim).read()
        await socket.say({"type": "orderbook", "codes": ["KRW-LAMB"]})
        with trio.fail_after(PATIENCE_S):
            message = await socket.next()
        last = [one for one in recorded(capture) if one["cd"] == "KRW-LAMB" and one["ty"] == "orderbook"][-1]
        assert (message["stream_type"], message["timestamp"]) == ("SNAPSHOT", last["tms"])


async def test_messages_of_today_replay_as_well(data_dir: Path, tmp_path: Path) -> None:
    """Long names, best prices, quoted ids: the few messages of 2026, made into a capture."""
    text = (data_dir / "upbit/ws/messages_default_2026-08-13.jsonl").read_text()
    messages = [json.loads(line) for line in text.splitlines()]
    path = tmp_path / "one.jsonl"
    frames = [row["json"] for row in messages if row["dir"] == "recv"]
    rows = [
        {"ts_ns": frame["timestamp"] * 1_000_000, "conn": "c", "dir": "recv", "raw": json.dumps(frame)}
        for frame in frames
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    market = CaptureConfig(path=path, speed=0, wait_subscribers=1)
    async with open_simulator(SimulatorConfig(venue="upbit", market=market, limits=UNLIMITED)) as sim:
        reader = Reader(sim)
        await reader.read()
        assert sim.server.failures == []
    books = [frame for frame in frames if frame["type"] == "orderbook"]
    assert [stamp for stamp, _ in reader.seen[Symbol("KRW-BTC")]] == [frame["timestamp"] for frame in books]
    for (_, (bids, asks)), frame in zip(reader.seen[Symbol("KRW-BTC")], books, strict=True):
        units = frame["orderbook_units"]
        assert bids == tuple((Decimal(unit["bid_price"]), Decimal(str(unit["bid_size"]))) for unit in units)
        assert asks == tuple((Decimal(unit["ask_price"]), Decimal(str(unit["ask_size"]))) for unit in units)
    trades = [frame for frame in frames if frame["type"] == "trade"]
    assert [one.trade_id for one in reader.trades] == [str(frame["sequential_id"]) for frame in trades]
