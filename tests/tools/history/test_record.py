"""The recorder against every family of the simulator, by real sockets."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from protocols.errors import ConfigError
from protocols.ids import Symbol
from protocols.venue import Channel
from protocols.venues.registry import VENUES, VenueOptions
from tests.tools.history.kit import SYMBOLS, lines_of, recording, until, venue_of
from tools.history.check import check
from tools.history.record import RecordConfig, Recorder
from tools.simulator import CaptureConfig, Fault, FaultKind, SimulatorConfig, open_simulator
from tools.simulator.core.model import Side


def test_every_kind_is_recorded_here() -> None:
    assert SYMBOLS.keys() == VENUES.keys()


@pytest.mark.req("R358")
@pytest.mark.parametrize("kind", sorted(SYMBOLS))
async def test_a_recording_stands_for_itself(kind: str, tmp_path: Path) -> None:
    """Openings, subscriptions, frames as they came, snapshots where the venue's books need them; nothing is wrong."""
    codec = VENUES[kind].public(VenueOptions())
    by_rest = codec.sequencer(Symbol(SYMBOLS[kind][0])).snapshot_depth > 0
    async with venue_of(kind) as sim, recording(kind, sim, tmp_path) as recorder:
        progress = recorder.progress
        books = "BookSnapshot" if kind == "upbit" else "BookDelta"
        await until(lambda: progress.messages[books] >= 12 and progress.messages["Trade"] >= 3)
        await until(lambda: progress.snapshots >= len(SYMBOLS[kind]) * by_rest)
    (path,) = recorder.progress.files
    assert (path.parent, path.name.startswith(f"{kind}_"), path.suffixes) == (tmp_path, True, [".jsonl", ".gz"])
    lines = lines_of(path)
    assert len(lines) == recorder.progress.lines
    opened: set[str] = set()
    for line in lines:
        if line["dir"] == "open":
            opened.add(line["conn"])
            assert (line["raw"], line["url"][:5]) == ("", "ws://")
        elif line["dir"] == "http":
            assert any(one in line["url"] for one in SYMBOLS[kind])
        else:
            assert line["conn"] in opened
            assert line["raw"]
    assert {line["dir"] for line in lines} == {"open", "send", "recv"} | ({"http"} if by_rest else set())
    checked = check(path)
    assert [(one.code, one.text) for one in checked.findings] == []
    assert checked.counts[books] >= 12


@pytest.mark.req("R358")
@pytest.mark.parametrize("kind", sorted(SYMBOLS))
async def test_every_channel_that_a_venue_has_can_be_recorded(kind: str, tmp_path: Path) -> None:
    has = VENUES[kind].capabilities.channels
    heard = {Channel.BOOK: "Book", Channel.TRADES: "Trade", Channel.BOOK_TICKER: "BookTicker", Channel.TICKER: "Ticker"}
    wanted = {heard.get(channel, "Candle") for channel in has}
    channels = tuple(sorted(has, key=lambda channel: channel.value))
    async with venue_of(kind) as sim, recording(kind, sim, tmp_path, channels=channels) as recorder:
        messages = recorder.progress.messages
        await until(lambda: all(any(said.startswith(word) for said in messages) for word in wanted))
    assert recorder.progress.unreadable == 0
    checked = check(recorder.progress.files[0])
    assert [(one.code, one.text) for one in checked.findings if one.code != "unproven"] == []
    assert all(any(said.startswith(word) for said in checked.counts) for word in wanted)


@pytest.mark.parametrize("kind", sorted(SYMBOLS))
async def test_a_recording_replays_as_it_was(kind: str, tmp_path: Path) -> None:
    """The simulator plays it, and a second recording of that hears the same books."""
    async with venue_of(kind) as sim, recording(kind, sim, tmp_path / "first", channels=(Channel.BOOK,)) as recorder:
        await until(lambda: sum(recorder.progress.messages.values()) > 24)
    (first,) = recorder.progress.files
    snapshots = sum(line["dir"] == "http" for line in lines_of(first))
    market = CaptureConfig(path=first, speed=0, wait_subscribers=1, wait_snapshots=snapshots)
    again = SimulatorConfig(venue=VENUES[kind].family, market=market, symbols=())
    async with open_simulator(again) as sim:
        async with recording(kind, sim, tmp_path / "second", channels=(Channel.BOOK,)) as recorder:
            await until(lambda: sim.replay is not None and sim.replay.done.is_set())
        assert sim.server.failures == []
    (second,) = recorder.progress.files
    assert [one for one in check(second).findings if one.is_error] == []
    recorded, replayed = _books(kind, first), _books(kind, second)
    assert len(replayed) > len(recorded) // 2
    assert set(replayed) <= set(recorded)


def _books(kind: str, path: Path) -> list[str]:
    """Frames of books, but for the pictures that greet a subscriber."""
    found = []
    for line in lines_of(path):
        frame: Any = json.loads(line["raw"]) if line["dir"] == "recv" and line["raw"][:1] == "{" else {}
        greeting = frame.get("stream_type") == "SNAPSHOT" or "snapshot" in (frame.get("type"), frame.get("action"))
        if not greeting and any(mark in line["raw"] for mark in ('"orderbook', "depthUpdate", '"books"')):
            frame.pop("ts", None)  # Bybit's moment of sending
            found.append(json.dumps(frame, sort_keys=True))
    return found


@pytest.mark.parametrize("kind", ["binance-spot", "bybit-linear", "upbit"])
async def test_full_files_are_followed_by_others_and_nothing_is_lost(kind: str, tmp_path: Path) -> None:
    settings = {"rotate_bytes": 25_000, "channels": (Channel.BOOK, Channel.TRADES), "symbols": SYMBOLS[kind][:1]}
    async with venue_of(kind) as sim, recording(kind, sim, tmp_path, **settings) as recorder:
        await until(lambda: len(recorder.progress.files) >= 2)
    files = recorder.progress.files
    assert len(files) >= 3
    assert len({path.name for path in files}) == len(files)
    trades: list[set[str]] = []
    for path in files:
        checked = check(path)
        assert checked.ok
        assert set(checked.found) <= {"unproven"}  # so small a file may be full before its snapshot came
        trades.append(_trades(kind, path))
    everything = set().union(*trades)
    (market,) = [market for market in sim.exchange.markets.values() if market.spec.name == SYMBOLS[kind][0]][:1]
    assert everything
    if kind == "binance-spot":
        ids = sorted(int(one) for one in everything)
        assert ids == list(range(ids[0], ids[-1] + 1))
        assert ids[-1] <= market.trades[-1].trade_id


def _trades(kind: str, path: Path) -> set[str]:
    codec = VENUES[kind].public(VenueOptions())
    events = [event for line in lines_of(path) if line["dir"] == "recv" for event in codec.decode(line["raw"], 1, 1)]
    return {event.trade_id for event in events if hasattr(event, "trade_id")}


async def test_files_rotate_by_time(tmp_path: Path) -> None:
    async with (
        venue_of("upbit") as sim, recording("upbit", sim, tmp_path, rotate_ns=1_000_000_000, compress=False) as recorder
    ):  # fmt: skip
        await until(lambda: len(recorder.progress.files) >= 1)
    assert all(path.suffix == ".jsonl" and check(path).ok for path in recorder.progress.files)


async def test_a_lost_connection_goes_on_in_the_same_file(tmp_path: Path) -> None:
    async with venue_of("binance-spot") as sim, recording("binance-spot", sim, tmp_path) as recorder:
        progress = recorder.progress
        await until(lambda: progress.snapshots >= 2 and progress.frames > 20)
        sim.cut_connections("streams")
        await until(lambda: progress.connections == 2 and progress.snapshots >= 4)
        heard = progress.frames
        await until(lambda: progress.frames > heard + 20)
        assert progress.failure
    (path,) = recorder.progress.files
    assert sum(line["dir"] == "open" for line in lines_of(path)) == 2
    checked = check(path)
    assert checked.ok
    assert set(checked.found) <= {"unproven"}  # the books of the connection that was lost


@pytest.mark.req("R358")
async def test_a_lost_message_is_noticed_and_healed_by_a_snapshot(tmp_path: Path) -> None:
    async with venue_of("binance-spot") as sim, recording("binance-spot", sim, tmp_path) as recorder:
        progress = recorder.progress
        await until(lambda: progress.snapshots == 2 and progress.frames > 20)
        sim.strike(Fault(kind=FaultKind.DROP, match="btcusdt@depth*"))
        await until(lambda: progress.gaps == 1 and progress.snapshots == 3)
        heard = progress.messages["BookDelta"]
        await until(lambda: progress.messages["BookDelta"] > heard + 3)
    (path,) = recorder.progress.files
    checked = check(path)
    assert checked.found == {"gap": 1}
    assert not checked.ok


async def test_snapshots_that_are_refused_are_asked_for_again(tmp_path: Path) -> None:
    faults = (
        Fault(kind=FaultKind.ERROR_BEFORE, match="depth"), Fault(kind=FaultKind.RATE_LIMIT, match="depth", delay_ms=1),
    )  # fmt: skip
    kind, one = "binance-spot", ("BTCUSDT",)
    async with venue_of(kind, faults=faults) as sim, recording(kind, sim, tmp_path, symbols=one) as recorder:
        await until(lambda: recorder.progress.snapshots == 1)
    assert check(recorder.progress.files[0]).ok


async def test_a_venue_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    async with venue_of("upbit") as sim:
        sim.strike(Fault(kind=FaultKind.REFUSE, match="streams", count=2))
        async with recording("upbit", sim, tmp_path) as recorder:
            await until(lambda: recorder.progress.frames > 10)
        assert recorder.progress.failure


async def test_frames_are_what_went_over_the_wire(tmp_path: Path) -> None:
    """Number for number: the recorder reads nothing into them."""
    async with venue_of("upbit") as sim:
        async with recording("upbit", sim, tmp_path, channels=(Channel.TRADES,)) as recorder:
            await until(lambda: recorder.progress.frames > 0)
            sim.trade("KRW-BTC", Side.BUY, Decimal("0.00012340"))
            marker = '"trade_volume":0.0001234,'
            await until(lambda: recorder.progress.frames > 3)
        frames = [line["raw"] for line in lines_of(recorder.progress.files[0]) if line["dir"] == "recv"]
        assert any(marker in frame for frame in frames)


@pytest.mark.parametrize("change, text", [
    ({"kind": "mtgox"}, "not known"), ({"environment": "moon"}, "no environment"), ({"symbols": ()}, "no symbol"),
    ({"channels": (Channel.BOOK_TICKER,)}, "no channel"),
])  # fmt: skip
def test_bad_settings_say_what_is_wrong(change: dict[str, Any], text: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"kind": "upbit", "symbols": (Symbol("KRW-BTC"),), "folder": tmp_path} | change
    with pytest.raises(ConfigError, match=text):
        Recorder(RecordConfig(**settings))


async def test_a_file_in_which_nothing_was_heard_is_removed(tmp_path: Path) -> None:
    async with venue_of("upbit") as sim:
        sim.strike(Fault(kind=FaultKind.REFUSE, match="streams", count=1000))
        async with recording("upbit", sim, tmp_path) as recorder:
            await until(lambda: bool(recorder.progress.failure))
            assert len(os.listdir(tmp_path)) == 1
    assert (recorder.progress.files, recorder.progress.removed) == ([], 1)
    assert os.listdir(tmp_path) == []
