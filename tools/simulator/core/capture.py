"""A recorded market: capture-jsonl v1, played back at recorded or any faster speed.

Public frames go to the subscribers exactly as they were recorded, text and ids untouched. Beside that the book is
rebuilt from the recorded snapshot and diffs, so that it can answer REST requests and so that users can trade: a
taker gets what the recording displays (each displayed quantity once, until the recording changes it), a maker is
filled when the recording trades at or through his price, or when the book moves across it. Nothing of this shows
in the public frames.

At `speed=0` ("max") frames are sent as fast as the slowest subscriber takes them: none is lost, and `done` is set
when the last one has been handed to the sockets.  A subscriber that lost a message by fault needs a snapshot, and the
simulator's book is by then far ahead of what he has read; `hold_after_loss` gives him the recording's own proportions
back: the recording waits a few messages after the loss until he has asked.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import attrs
import trio

from tools.simulator.core.clock import SECOND
from tools.simulator.core.hub import Hub, Message

YIELD_EVERY = 64  # frames between two looks at the sockets, at full speed
BACKLOG_FRAMES = 2_000  # a subscriber with more than this queued makes the replay wait
POLL_S = 0.01


class ReplayCodec(Protocol):
    """The dialect's side of a replay: what a recorded frame means."""

    def open_book(self, symbol: str, raw: str) -> None:
        """A recorded REST snapshot, the first of this market key.  Not called where the recording has none."""
        ...

    def apply(self, raw: str, url: str = "") -> Message | None:
        """A recorded public frame: keep the book, fill users, return what subscribers get.

        `url` is that of the connection it came in on, where the recording tells it.  None for what is no stream
        message (an acknowledgement, say).  Use `core.outside.recorded_trade` and `recorded_book_moved`.
        """
        ...

    def snapshots_taken(self) -> int:
        """How often depth was asked for by REST: what `wait_snapshots` waits for."""
        ...


@attrs.frozen(kw_only=True)
class CaptureConfig:
    """Which recording, how fast, and what to wait for."""

    path: Path
    speed: float = 1.0  # 1 = as recorded, 10 = ten times as fast, 0 = as fast as the subscribers can
    wait_subscribers: int = 0  # start only when that many connections listen
    wait_snapshots: int = 0  # pause at the recorded snapshot until depth was asked for that often by REST
    hold_after_loss: int = 0  # a loss by fault, and so many more of the stream: wait until depth was asked for


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a capture. Raises ValueError naming file and line for anything malformed."""
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = json.loads(line)
                    yield {"ts_ns": int(record["ts_ns"]), **record}
                except (ValueError, KeyError, TypeError) as error:
                    raise ValueError(f"{path}:{number}: not a capture-jsonl v1 record: {error}") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None


_SYMBOL_IN_URL = re.compile(r"symbol=([A-Za-z0-9]+)")
_SYMBOL_IN_FRAME = re.compile(r'"s": ?"([^"]+)"')


class _Urls:
    """Which URL a record's connection was opened with."""

    def __init__(self) -> None:
        self._known: dict[Any, str] = {}

    def of(self, record: dict[str, Any]) -> str:
        connection, url = record.get("conn"), record.get("url")
        if url and record["dir"] != "http":
            self._known[connection] = url
        return self._known.get(connection, "")


@attrs.frozen(kw_only=True)
class Scan:
    """What a recording holds, without playing it."""

    frames: int
    first_ns: int
    symbols: list[str]
    snapshots: dict[str, str]  # symbol -> text of the first recorded depth snapshot


SymbolOf = Callable[[str, str], str | None]


def name_in_frame(raw: str, url: str) -> str | None:
    """The `"s": "NAME"` of Binance's frames."""
    found = _SYMBOL_IN_FRAME.search(raw)
    return found.group(1) if found else None


def scan_capture(path: Path, symbol_of: SymbolOf = name_in_frame) -> Scan:
    """Symbols, snapshots and size of a capture. A snapshot without a URL belongs to the only symbol there is.

    `symbol_of` gives the market key that a received frame speaks of, from its text and its connection's URL.

    Raises ValueError for a malformed record, or for such a snapshot in a capture of several symbols.
    """
    frames, first_ns = 0, 0
    symbols: dict[str, None] = {}
    snapshots: dict[str, str] = {}
    nameless: list[str] = []
    urls = _Urls()
    for record in read_lines(path):
        raw = record.get("raw") or ""
        url = urls.of(record)
        if record["dir"] == "recv":
            frames += 1
            first_ns = first_ns or record["ts_ns"]
            symbol = symbol_of(raw, url)
            if symbol:
                symbols.setdefault(symbol)
        elif record["dir"] == "http" and raw:
            found = _SYMBOL_IN_URL.search(record.get("url") or "")
            if found:
                snapshots.setdefault(found.group(1), raw)
            else:
                nameless.append(raw)
    if nameless:
        if len(symbols) != 1:
            raise ValueError(f"{path}: a snapshot names no symbol and the capture holds {len(symbols)}")
        snapshots.setdefault(next(iter(symbols)), nameless[0])
    return Scan(frames=frames, first_ns=first_ns, symbols=list(symbols), snapshots=snapshots)


class Replay:
    """Plays one capture through a dialect."""

    def __init__(
        self, hub: Hub, target: ReplayCodec, config: CaptureConfig, scan: Callable[[Path], Scan] = scan_capture
    ) -> None:
        self.config = config
        self._scan = scan
        self._hub = hub
        self._target = target
        self.sent = 0
        self.total = 0
        self.first_ns = 0
        self.at_ns = 0
        self.started = trio.Event()
        self.done = trio.Event()
        self._go = trio.Event()
        self._owed: dict[str, tuple[int, int]] = {}  # stream with a loss -> messages until the hold, snapshots so far
        self.paused = False

    def prepare(self) -> None:
        """Read the recording once: count its frames and open each book with its first recorded snapshot.

        Raises ValueError for a snapshot whose symbol cannot be told.
        """
        scan = self._scan(self.config.path)
        self.total, self.first_ns = scan.frames, scan.first_ns
        for symbol, raw in scan.snapshots.items():
            self._target.open_book(symbol, raw)

    def go(self) -> None:
        """Stop waiting for subscribers or snapshots."""
        self._go.set()

    def progress(self) -> dict[str, Any]:
        """For the admin endpoint."""
        return {
            "file": self.config.path.name,
            "sent": self.sent,
            "total": self.total,
            "started": self.started.is_set(),
            "done": self.done.is_set(),
            "capture_ns": self.at_ns,
        }

    async def run(self) -> None:
        """Play to the end."""
        await self._until(lambda: self._hub.subscribers() >= self.config.wait_subscribers)
        self.started.set()
        speed = self.config.speed
        origin = trio.current_time()
        urls = _Urls()
        for record in read_lines(self.config.path):
            self.at_ns = record["ts_ns"]
            url = urls.of(record)
            if record["dir"] == "http":
                held = trio.current_time()
                await self._until(lambda: self._target.snapshots_taken() >= self.config.wait_snapshots)
                origin += trio.current_time() - held
                continue
            if record["dir"] != "recv":
                continue
            if speed:
                due = origin + (self.at_ns - self.first_ns) / SECOND / speed
                if due > trio.current_time():
                    await trio.sleep_until(due)
            message = self._target.apply(record["raw"], url)
            if message is not None:
                await self._publish(message)
            self.sent += 1
            if self.sent % YIELD_EVERY == 0:
                await self._hub.room(BACKLOG_FRAMES)
        await self._hub.room(1)
        self.done.set()

    async def _publish(self, message: Message) -> None:
        """Send.  A few messages after a loss, wait until somebody has asked for depth since the loss."""
        lost = self._hub.lost
        self._hub.publish(message)
        hold, stream = self.config.hold_after_loss, message.stream
        if not hold or message.ids is None:
            return
        if self._hub.lost > lost:
            self._owed.setdefault(stream, (hold, self._target.snapshots_taken()))
        elif stream in self._owed:
            left, taken = self._owed.pop(stream)
            if left > 1:
                self._owed[stream] = (left - 1, taken)
            else:
                await self._until(lambda: self._target.snapshots_taken() > taken)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached() and not self._go.is_set():
            self.paused = True
            await trio.sleep(POLL_S)
        self.paused = False
