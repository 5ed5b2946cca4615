"""Finds what is wrong with captures and files of candles.

| code | in | means | counts as |
| --- | --- | --- | --- |
| `unreadable` | both | not the format at all, or a file that cannot be opened | error |
| `torn` | captures | the end is missing: the writer was killed (`--repair` saves what is whole) | error |
| `schema` | both | a line or row that lacks something | error |
| `order` | both | time runs back, or the venue's own numbers do | error |
| `duplicate` | both | a bar, a line, or a trade or change of a book of one connection, that is there twice | error |
| `wrong` | captures | the venue's own checksum or best prices say that a book is another | error |
| `crossed` | captures | a proven book whose best bid is not below its best ask | error |
| `range` | candles | numbers that cannot be: high below low, a price of zero | error |
| `gap` | captures | messages of a book are missing by the venue's own numbers | error |
| `gap` | candles | bars are missing; many venues have none where nobody traded | remark |
| `grid` | candles | bars that do not open at a multiple of their length | remark |
| `frame` | captures | a frame that the codec cannot read, or a word in it that it does not know | remark |
| `unproven` | captures | a book that nothing proves at the end of its connection: no snapshot, or no number | remark |
| `open` | captures | a connection whose opening is not in the file | remark |
| `kind` | captures | nobody knows whose frames these are: they were not looked into | remark |

What to do about each is in `FIXES`, and told with it.  How many messages of books were proven, and by what, is told of
every capture (`Checked.books`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import attrs
import msgspec

from protocols.errors import ConfigError
from protocols.ids import Symbol
from protocols.venue import HttpReply, PublicCodec, RoutesStreams
from protocols.venues.registry import VENUES, VenueOptions, VenueParts
from tools.history import candles, captures
from tools.history.books import Event, Happening, Tally, Witness
from tools.history.captures import Direction, Line, Torn

__all__ = ["FIXES", "REMARKS", "Checked", "Finding", "as_dict", "check", "is_checkable"]

REMARKS = frozenset({"frame", "grid", "kind", "open", "unproven"})
FIXES = {
    "capture": {
        "unreadable": "see docs/history.md for what a line holds; record again, or give the file another name",
        "torn": "`bulkhead data check --repair` saves the whole lines",
        "schema": "take the line out: it needs ts_ns, conn, dir and raw (docs/history.md)",
        "order": "put the lines back into their order; where the clock was set back, use the part before or after",
        "duplicate": "take the second line out",
        "wrong": "the book is unknown from the message before to the next snapshot; record again",
        "crossed": "do not price from here to the next snapshot; record again",
        "gap": "the book is unknown from here to the next snapshot; record again, or use what comes after that",
        "frame": "nothing, where the frame is of no interest; else look at it: `venues` may need a newer codec",
        "unproven": "do not price from this book from there on; record with its snapshots, as `bulkhead record` does",
        "open": "nothing, where the file was cut out of a longer one on purpose",
        "kind": "say whose frames they are with --kind",
    },
    "candles": {
        "unreadable": "fetch it again with `bulkhead download`, or give it another name if it holds other things",
        "schema": "correct the row (docs/history.md says what it holds), or fetch the file again",
        "order": "sort the rows by open_time_ms",
        "duplicate": "take one of the two rows out",
        "range": "correct the row, or fetch its span again with `bulkhead download`",
        "gap": "fetch the span again with `bulkhead download`; where the venue has no bar either, nothing was traded",
        "grid": "say the length of the bars with --interval, or fetch the span again",
    },
}
"""What to do, by form and code."""

_TIME_MAX_MS = 253_402_300_800_000  # the year 10000; what lies beyond is in another unit
_SHOWN = 20  # findings of one code that are told one by one
_SYMBOL_PARAMETERS = ("symbol", "instId", "markets", "market")
_CODES = {
    Happening.GAP: "gap",
    Happening.BACKWARDS: "order",
    Happening.WRONG: "wrong",
    Happening.CROSSED: "crossed",
    Happening.UNREADABLE: "frame",
    Happening.UNRECOGNIZED: "frame",
    Happening.DUPLICATE: "duplicate",
}


@attrs.frozen
class Finding:
    """One thing that is wrong, or worth a remark."""

    code: str
    line: int
    """0: the file as a whole."""
    text: str
    is_error: bool
    fix: str


@attrs.define
class Checked:
    """What was found in one file."""

    path: Path
    form: str
    """`capture` or `candles`."""
    lines: int = 0
    first_ms: int = 0
    last_ms: int = 0
    counts: Counter[str] = attrs.Factory(Counter)
    """Messages of a capture by kind; bars and missing bars of candles."""
    found: Counter[str] = attrs.Factory(Counter)
    """All findings by code."""
    findings: list[Finding] = attrs.Factory(list)
    """The first ones of each code."""
    errors: int = 0
    books: Tally = attrs.Factory(Tally)
    """What was proven of the books of a capture."""

    @property
    def ok(self) -> bool:
        return not self.errors

    def add(self, code: str, line: int, text: str, *, remark: bool = False) -> None:
        """Keep a finding; of many alike the first ones."""
        is_error = not (remark or code in REMARKS)
        self.errors += is_error
        self.found[code] += 1
        if self.found[code] <= _SHOWN:
            self.findings.append(Finding(code, line, text, is_error, FIXES[self.form][code]))


def check(path: Path, *, kind: str = "", interval_ms: int = 0) -> Checked:
    """Look at one file.  `kind` of venue and `interval_ms` of bars are found out where they are not given.

    Raises ConfigError for a name that is neither a capture's nor that of a file of candles.
    """
    name = path.name.removesuffix(captures.PART)
    if name.endswith(captures.SUFFIXES):
        checked = Checked(path, "capture")
        run = _CaptureCheck(checked, kind).run
    elif name.endswith(candles.SUFFIXES):
        candles.require_format(path)
        checked = Checked(path, "candles")
        run = _CandleCheck(checked, interval_ms).run
    else:
        known = ", ".join((*captures.SUFFIXES, *candles.SUFFIXES))
        raise ConfigError(f"{path}: neither a capture nor a file of candles; names end in {known}")
    try:
        run()
    except OSError as error:
        checked.add("unreadable", 0, error.strerror or str(error))
    return checked


# ---- captures --------------------------------------------------------------------------------------------------


@attrs.define
class _Connection:
    url: str
    witness: Witness | None


class _CaptureCheck:
    def __init__(self, checked: Checked, kind: str) -> None:
        if kind and kind not in VENUES:
            raise ConfigError(f"venue {kind!r} is not known; there are {', '.join(VENUES)}")
        self._checked = checked
        self._kind = kind or _kind_in_name(checked.path.name)
        self._family = _family_in_folder(checked.path)
        self._codecs: dict[str, PublicCodec] = {}
        self._connections: dict[str, _Connection] = {}
        self._decoder = msgspec.json.Decoder(Line)
        self._last_ns = 0
        self._at_last_ns: set[bytes] = set()
        """Lines of the latest moment."""
        self._unknown: set[str] = set()
        self._fields: list[str] = []
        """Of the first line that is none."""

    def run(self) -> None:
        checked = self._checked
        try:
            for number, text in captures.read(checked.path):
                checked.lines = number
                self._line(number, text)
        except Torn as error:
            checked.add("torn", checked.lines + 1, str(error))
        if not checked.lines:
            checked.add("unreadable", 0, "the file is empty")
        elif checked.found["schema"] == checked.lines:
            self._say_it_is_none()
        for name in self._connections:
            self._end(name)

    def _end(self, name: str) -> None:
        """Sum up a connection."""
        witness, checked = self._connections[name].witness, self._checked
        if witness is None:
            return
        checked.counts += witness.counts
        checked.books.add(witness.tally)
        for symbol, line in witness.unproven().items():
            checked.add("unproven", line, f"{name} {symbol}: nothing proves it from here to the end")

    def _say_it_is_none(self) -> None:
        """Not one line is one: it is something else, and nobody wants to read that line by line."""
        checked = self._checked
        first = next(each for each in checked.findings if each.code == "schema")
        checked.findings = [each for each in checked.findings if each.code != "schema"]
        checked.errors -= checked.found.pop("schema")
        has = f"; it has {', '.join(self._fields)}" if self._fields else ""
        text = f"not a capture (capture-jsonl v1), none of its {checked.lines} lines is one: {first.text}{has}"
        checked.add("unreadable", first.line, text)

    def _line(self, number: int, text: bytes) -> None:
        checked = self._checked
        try:
            line = self._decoder.decode(text)
            urlsplit(line.url)
        except ValueError as error:  # msgspec's, and those of text and addresses that are none
            if not checked.found["schema"]:
                self._fields = _fields_of(text)
            checked.add("schema", number, str(error))
            return
        if not 0 <= line.ts_ns < _TIME_MAX_MS * 1_000_000:
            checked.add("schema", number, f"ts_ns {line.ts_ns} is no time in ns")
            return
        again = self._time(number, line.ts_ns, text)
        if again and line.dir is not Direction.RECV:
            checked.add("duplicate", number, "the same line of the same moment stands above")
        elif line.dir is Direction.OPEN:
            self._open(line)
        elif line.dir is Direction.HTTP:
            self._http(number, line)
        elif line.conn not in self._connections:
            checked.add("open", number, f"connection {line.conn} was not opened here")
            self._open(line)
        if line.dir is Direction.RECV:
            self._recv(number, line, again)

    def _time(self, number: int, ts_ns: int, text: bytes) -> bool:
        """Follow the clock; True for a line that stands above with the same time."""
        checked, again = self._checked, False
        if ts_ns < self._last_ns:
            checked.add("order", number, f"{self._last_ns - ts_ns} ns before the line above")
        elif ts_ns > self._last_ns:
            self._at_last_ns = {text}
        else:
            again = text in self._at_last_ns
            self._at_last_ns.add(text)
        self._last_ns = max(self._last_ns, ts_ns)
        checked.first_ms = checked.first_ms or ts_ns // 1_000_000
        checked.last_ms = self._last_ns // 1_000_000
        return again

    def _open(self, line: Line) -> None:
        """A name that is used again is another connection."""
        if line.conn in self._connections:
            self._end(line.conn)
        self._connections[line.conn] = _Connection(line.url, self._witness_of(line.conn, line.url))

    def _recv(self, number: int, line: Line, again: bool) -> None:
        witness = self._connections[line.conn].witness
        if witness is not None:
            self._tell(number, line.conn, witness.take(line.raw.encode(), line.ts_ns, number, again=again))

    def _tell(self, number: int, conn: str, events: Iterable[Event]) -> None:
        for event in events:
            where = f"{conn} {event.symbol}: " if event.symbol else f"{conn}: "
            self._checked.add(_CODES[event.what], number, where + event.text)

    def _http(self, number: int, line: Line) -> None:
        """A snapshot counts for the book of its symbol, on the connection that waits for it."""
        witnesses = [one.witness for one in self._connections.values() if one.witness is not None]
        symbol = _symbol_of(line.url)
        if symbol is None:
            waiting = {each for witness in witnesses for each in witness.unbridged}
            symbol = next(iter(waiting)) if len(waiting) == 1 else None
        if symbol is None:
            return
        reply = HttpReply(200, {}, line.raw.encode(), line.ts_ns, line.ts_ns)
        self._checked.counts["snapshots by REST"] += 1
        for witness in witnesses:
            if symbol in witness.unbridged or not witness.has_books:
                self._tell(number, line.conn, witness.snapshot(symbol, reply, number))

    def _witness_of(self, conn: str, url: str) -> Witness | None:
        kind = self._kind or _kind_at(url, self._family)
        if not kind:
            if conn not in self._unknown:
                self._unknown.add(conn)
                self._checked.add("kind", 0, f"{conn} at {url or 'an unknown address'}: say --kind")
            return None
        if kind not in self._codecs:
            self._codecs[kind] = VENUES[kind].public(VenueOptions(recorded=True))
        return Witness(self._codecs[kind])


def _fields_of(text: bytes) -> list[str]:
    """Of what is an object but no line of a capture."""
    try:
        return list(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))[:10]
    except ValueError:  # msgspec's, and that of text which is none
        return []


def _kind_in_name(name: str) -> str:
    """The recorder's files begin with the kind of venue."""
    return max((kind for kind in VENUES if name.startswith(f"{kind}_")), key=len, default="")


def _family_in_folder(path: Path) -> str:
    """Of folders such as `binance_spot/ws`: the nearest one that bears the name of a family of venues."""
    families = {venue.family for venue in VENUES.values()}
    names = (part.replace("_", "-") for part in reversed(path.absolute().parts[:-1]))
    return next((name for name in names if name in families), "")


def _kind_at(url: str, family: str) -> str:
    """Whose address this is: by host and path, or by the host alone where a path was retired.

    An address that nobody knows is that of `family`, where this is known.
    """
    parts = urlsplit(url)
    known = [kind for kind, venue in VENUES.items() if parts.hostname in _hosts(venue)]
    known = known or [kind for kind, venue in VENUES.items() if venue.family == family]
    for kind in known:
        codec = VENUES[kind].public(VenueOptions())
        paths = codec.stream_paths().values() if isinstance(codec, RoutesStreams) else (codec.stream_path(),)
        if any(parts.path.startswith(path.partition("?")[0]) for path in paths):
            return kind
    return known[0] if known else ""


def _hosts(venue: VenueParts) -> set[str | None]:
    return {urlsplit(one.stream_url).hostname for one in venue.environments.values()} | set(venue.former_hosts)


def _symbol_of(url: str) -> Symbol | None:
    for name, value in parse_qsl(urlsplit(url).query):
        if name in _SYMBOL_PARAMETERS:
            return Symbol(value)
    return None


# ---- candles ---------------------------------------------------------------------------------------------------


class _CandleCheck:
    def __init__(self, checked: Checked, interval_ms: int) -> None:
        self._checked = checked
        self._interval_ms = interval_ms

    def run(self) -> None:
        checked = self._checked
        interval_ms = self._interval_ms or self._usual_step()
        before: int | None = None
        try:
            for number, bar in enumerate(candles.read(checked.path), 2):
                checked.lines = number
                checked.counts["bars"] += 1
                if not 0 <= bar.open_ms < _TIME_MAX_MS:
                    checked.add("range", number, f"open_time_ms {bar.open_ms} is no time in ms")
                    continue
                checked.first_ms = checked.first_ms or bar.open_ms
                if bar.wrong:
                    checked.add("range", number, bar.wrong)
                if before is not None and bar.open_ms <= before:
                    self._backwards(number, bar.open_ms, before)
                    continue
                if interval_ms:
                    self._step(number, bar.open_ms, before, interval_ms)
                before = checked.last_ms = bar.open_ms
        except candles.BadRow as error:
            checked.add("schema", error.number, error.text)
        if not checked.counts["bars"] and not checked.found:
            checked.add("unreadable", 0, "there is not one bar")

    def _backwards(self, number: int, open_ms: int, before: int) -> None:
        if open_ms == before:
            self._checked.add("duplicate", number, f"{open_ms} is there twice")
        else:
            self._checked.add("order", number, f"{open_ms} comes after {before}")

    def _step(self, number: int, open_ms: int, before: int | None, interval_ms: int) -> None:
        checked = self._checked
        if before is None:
            return
        if (open_ms - before) % interval_ms:
            checked.add("grid", number, f"{open_ms} is not a whole number of bars after {before}")
        missing = (open_ms - before) // interval_ms - 1
        if missing > 0:
            checked.counts["missing"] += missing
            checked.add("gap", number, f"{missing} missing after {before}", remark=True)

    def _usual_step(self) -> int:
        """The most frequent distance of neighbors among the first thousand."""
        steps: Counter[int] = Counter()
        before: int | None = None
        try:
            for count, bar in enumerate(candles.read(self._checked.path)):
                if before is not None and bar.open_ms > before:
                    steps[bar.open_ms - before] += 1
                before = bar.open_ms
                if count >= 1000:
                    break
        except candles.BadRow:
            return 0  # told by who reads the whole file
        return steps.most_common(1)[0][0] if steps else 0


def is_checkable(path: Path) -> bool:
    """True for a name that `check` takes."""
    return path.name.removesuffix(captures.PART).endswith((*captures.SUFFIXES, *candles.SUFFIXES))


def as_dict(checked: Checked) -> dict[str, object]:
    """One file as plain values."""
    return {
        "path": str(checked.path),
        "form": checked.form,
        "ok": checked.ok,
        "lines": checked.lines,
        "first_ms": checked.first_ms,
        "last_ms": checked.last_ms,
        "counts": dict(checked.counts),
        "books": _books(checked.books),
        "found": dict(checked.found),
        "findings": [attrs.asdict(finding) for finding in checked.findings],
    }


def _books(tally: Tally) -> dict[str, object]:
    return {
        "messages": tally.messages,
        "proven": {proof.value: count for proof, count in tally.proven.items() if count},
        "spare": tally.spare,
        "best_prices": {"compared": tally.compared, "equal": tally.equal},
    }
