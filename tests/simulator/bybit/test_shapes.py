"""Generated public messages look like recorded ones: keys, their order, types and the writing of numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.bybit.kit import bybit, quiet_config
from tools.simulator import GeneratorConfig, ManualClock, Simulator
from tools.simulator.core.capture import read_lines
from tools.simulator.core.clock import SECOND
from tools.simulator.dialects.bybit.topics import category_of

KINDS = ("orderbook.200", "publicTrade", "tickers", "kline.1")
Frames = dict[tuple[str, str, str], list[dict[str, Any]]]


def recorded(path: Path) -> Frames:
    """BTCUSDT's frames by category, kind of topic and type."""
    categories: dict[str, str] = {}
    found: Frames = {}
    for record in read_lines(path):
        if record.get("url"):
            categories[record["conn"]] = category_of(record["url"])
        frame = json.loads(record["raw"]) if record["dir"] == "recv" else {}
        topic = frame.get("topic", "")
        if topic.endswith(".BTCUSDT"):
            key = (categories[record["conn"]], topic.rpartition(".")[0], frame["type"])
            found.setdefault(key, []).append(frame)
    return found


def generated() -> Frames:
    clock = ManualClock()
    sim = Simulator(quiet_config(market=GeneratorConfig(events_per_s=40, burst_every_s=0)), clock)
    found: Frames = {}

    def keep(category: str, data: bytes) -> None:
        frame = json.loads(data)
        found.setdefault((category, frame["topic"].rpartition(".")[0], frame["type"]), []).append(frame)

    class Ear:
        def deliver(self, message: Any) -> None:
            keep(message.stream.partition("/")[0], message.data)

        async def room(self, frames: int) -> None:
            raise AssertionError("a generated market has no brake")

    sim.open_market()
    sim.advance(clock.now_ns() + SECOND)
    ear = Ear()
    for category in ("spot", "linear"):
        for kind in KINDS:
            first = bybit(sim).streams.first_message(category, f"{kind}.BTCUSDT")
            if first is not None:
                keep(category, first)
            sim.venue.hub.subscribe(f"{category}/{kind}.BTCUSDT", ear)
    sim.advance(clock.now_ns() + 65 * SECOND)
    return found


def rows(frame: dict[str, Any]) -> list[dict[str, Any]]:
    data = frame["data"]
    return data if isinstance(data, list) else [data]


def writing(value: Any) -> str:
    """What a value looks like: its type, of text whether it is a number, a word or an id."""
    if not isinstance(value, str):
        return type(value).__name__
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
        return "number"
    return "id" if re.fullmatch(r"[0-9a-f-]{36}", value) else "word" if value else "empty"


@pytest.fixture(scope="module")
def ours() -> Frames:
    return generated()


def test_the_same_kinds_of_frames(data_dir: Path, ours: Frames) -> None:
    theirs = recorded(data_dir / "bybit" / "ws" / "2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz")
    assert set(ours) == set(theirs)


@pytest.mark.parametrize("category", ["spot", "linear"])
@pytest.mark.parametrize("kind", KINDS)
def test_frames_look_alike(data_dir: Path, ours: Frames, category: str, kind: str) -> None:
    theirs = recorded(data_dir / "bybit" / "ws" / "2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz")
    for key in [key for key in theirs if key[:2] == (category, kind)]:
        assert list(ours[key][0]) == list(theirs[key][0])  # keys, in this order
        partial = key == ("linear", "tickers", "delta")  # says what has changed, which is chance
        wanted: dict[str, set[str]] = {}
        for frame in theirs[key]:
            for row in rows(frame):
                for name, value in row.items():
                    wanted.setdefault(name, set()).add(writing(value))
        whole = wanted | {}
        if partial:
            for row in rows(theirs["linear", "tickers", "snapshot"][0]):
                whole |= {name: wanted.get(name, set()) | {writing(value)} for name, value in row.items()}
        for frame in ours[key]:
            for row in rows(frame):
                assert set(row) <= set(whole) if partial else set(row) == set(wanted)
                assert {name for name, value in row.items() if writing(value) not in whole[name]} == set()


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_numbers_are_written_alike(data_dir: Path, ours: Frames, category: str) -> None:
    """Contracts keep the places of their scale, spot shows no idle zeros, in books and prints alike."""
    theirs = recorded(data_dir / "bybit" / "ws" / "2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz")

    def places(frames: Frames) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {"price": set(), "qty": set()}
        for kind in ("snapshot", "delta"):
            for frame in frames[category, "orderbook.200", kind]:
                for price, qty in frame["data"]["b"] + frame["data"]["a"]:
                    found["price"].add(len(price.partition(".")[2]))
                    if qty != "0":
                        found["qty"].add(len(qty.partition(".")[2]))
        return found

    here, there = places(ours), places(theirs)
    assert here["price"] <= there["price"]
    assert here["qty"] <= there["qty"]
    if category == "spot":
        texts = [text for frame in ours["spot", "orderbook.200", "delta"] for row in frame["data"]["b"] for text in row]
        assert not [text for text in texts if "." in text and text.endswith("0")]
