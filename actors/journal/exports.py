"""Daily files derived from the journal: each fill and each step of an order exactly once, whatever dies when.

The exporter follows the segment files behind the writer.  It never waits in the order path, and it cannot lose a line:
what it has not exported yet is still in the journal.  How far it has surely come (on the disk, not only written) is in
`logs/exported.json`; after a crash it starts again from there and leaves out what a daily file already has.

A trade's line has what a person or a tax office asks for, with money as text:

    {"seq":7,"time":"2023-11-15T07:13:20.000000000+09:00","t":1700000000000000000,"account":"main", ...,
     "side":"BUY","qty":"0.01","price":"50000.1","quote_qty":"500.001","fee":"0.00001","fee_asset":"BTC", ...}

`orders.jsonl` holds the journal's own lines.  Trades belong to the day of the trade, orders to the day of the record.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import attrs
import msgspec

from actors.journal.disk import Disk
from actors.journal.layout import ORDERS, TRADES, Layout
from actors.journal.records import fault_of, head_of, stored_of
from actors.journal.segments import Segment, damaged, list_segments, segment_name
from protocols.enums import Side
from protocols.journal import Stored
from protocols.orders import ExecutionReport

MARK = "exported.json"
ORDER_KINDS = frozenset(
    {
        "OrderIntent",
        "CancelIntent",
        "AmendIntent",
        "OrderClosed",
        "CancelClosed",
        "DoubtOpened",
        "DoubtClosed",
        "OrderRefused",
        "ExecutionReport",
    }
)
OPEN_FILES = 4
"""Daily files kept open; late fills of older days make a file be opened again."""

_REPORT_KIND = "ExecutionReport"
_IS_TRADE = b'"exec_type":"TRADE'
"""TRADE, TRADE_CANCEL and TRADE_CORRECT."""
_READ = 256 * 1024
_SEQ = re.compile(rb'\{"seq":(\d+),')


class TradeLine(msgspec.Struct):
    """One line of `trades.jsonl`; field order is the order in the file."""

    seq: int
    """Of the journal record that this line was made from."""
    time: str
    t: int
    account: str
    venue: str
    symbol: str
    strategy: str
    side: Side
    qty: Decimal
    price: Decimal
    quote_qty: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: str
    exec_type: str
    trade_id: str | None
    order_id: str
    cl_ord_id: str
    ord_status: str
    cum_qty: Decimal
    received_ns: int


_encode = msgspec.json.Encoder(decimal_format="string").encode


class _Identity(msgspec.Struct, frozen=True):
    """What makes a trade the same trade: one id stands on both sides of a trade between two accounts of ours."""

    account: str
    venue: str
    symbol: str
    trade_id: str | None
    side: str
    exec_type: str


_identity = msgspec.json.Decoder(_Identity).decode


@attrs.frozen
class Mark:
    """Everything up to record `seq`, which ends at `offset` of `segment`, is exported."""

    seq: int
    segment: str
    offset: int


class _Output:
    """One daily file, open for appending."""

    def __init__(self, path: Path, disk: Disk, after_seq: int) -> None:
        self._disk = disk
        disk.make_directory(path.parent)
        self.path = path
        self.fd = disk.append_to(path)
        self.waiting: list[bytes] = []
        self.known: set[object] = set()
        """Lines that the file already has of records after the mark."""
        self._size = self._adopt(after_seq)

    def _adopt(self, after_seq: int) -> int:
        """Cut an unfinished last line, remember the lines that may come again; the file's size."""
        size = self._disk.size(self.path)
        tail = b""
        at = size
        while at > 0:
            at = max(0, at - _READ)
            tail = self._disk.read(self.path, at, size - at)
            first = _SEQ.match(tail[tail.find(b"\n") + 1 :])
            if first is not None and int(first[1]) <= after_seq:
                break
        whole, newline, torn = tail.rpartition(b"\n")
        if torn:
            size -= len(torn)
            self._disk.truncate(self.path, size)
        for line in (whole + newline).splitlines():
            found = _SEQ.match(line)
            if found is not None and int(found[1]) > after_seq:
                self.known.add(identity_of(line))
        return size

    def add(self, line: bytes) -> None:
        """Unless the file has it already."""
        if not self.known or identity_of(line) not in self.known:
            self.waiting.append(line + b"\n")

    def write(self) -> None:
        """Append what waits; OSError leaves the file as it was, and the lines waiting."""
        data = b"".join(self.waiting)
        try:
            self._disk.write_all(self.fd, data)
        except OSError:
            self._disk.truncate(self.path, self._size)
            raise
        self._size += len(data)
        self.waiting.clear()


def identity_of(line: bytes) -> object:
    """Equal for two lines that say the same thing: trades by what was traded, journal lines by all they say."""
    try:
        return _identity(line)
    except msgspec.DecodeError:
        return line  # not a trade's line


class Exporter:
    """Follows the journal from where the last one stopped; see the module text.  Synchronous, in small steps."""

    def __init__(self, layout: Layout, journal: Path, disk: Disk | None = None) -> None:
        self._layout = layout
        self._journal = journal
        self._disk = disk if disk is not None else Disk()
        self._mark_path = layout.data / "logs" / MARK
        self._outputs: dict[Path, _Output] = {}
        self._unsaved: set[Path] = set()
        self._lines: list[bytes] = []
        self._taken = 0
        self._adopted = False
        self._prepared: tuple[int, int] | None = None
        """(lines, bytes) that wait in the outputs because a file could not be written."""
        mark = self._read_mark()
        self._resumed_after = mark.seq if mark is not None else 0
        self._segment: Segment | None = None
        self._offset = 0
        self.seq = self._resumed_after
        """The last record that was looked at."""
        if mark is not None:
            self._segment = Segment(int(mark.segment[:12]), journal / mark.segment)
            self._offset = mark.offset

    def _read_mark(self) -> Mark | None:
        """The mark, if it fits the journal: otherwise everything is looked at again, and nothing written twice."""
        try:
            mark = msgspec.json.decode(self._disk.read(self._mark_path), type=Mark)
            before = self._disk.read(self._journal / mark.segment, mark.offset - 1, 1) if mark.offset else b"\n"
            following = self._disk.read(self._journal / mark.segment, mark.offset, 40)
        except (OSError, ValueError):
            return None  # no mark, not a mark, or not of this journal
        found = _SEQ.match(following)
        continues = int(found[1]) == mark.seq + 1 if found is not None else not following
        return mark if before == b"\n" and continues else None

    def step(self, most: int) -> int:
        """Look at up to `most` records and write what they give; how many there were, 0 when all is done.

        OSError when a daily file cannot be written: nothing is lost, step again.  JournalError for a damaged record.
        """
        if not self._adopted:
            self._adopt_newest()
        if self._taken == len(self._lines) and not self._fill():
            return 0
        if self._prepared is None:
            self._prepared = self._prepare(self._lines[self._taken : self._taken + most])
        for output in self._outputs.values():
            if output.waiting:
                output.write()
        lines, length = self._prepared
        self._prepared = None
        self._taken += lines
        self._offset += length
        self.seq += lines
        return lines

    def _adopt_newest(self) -> None:
        """Open what the last exporter was writing, so that an unfinished line of its goes at once."""
        folders = sorted((self._layout.data / "logs").glob("[0-9]*/[0-9]*/[0-9]*"))
        for path in (folders[-1] / TRADES, folders[-1] / ORDERS) if folders else ():
            if path.exists():
                self._output(path)
        self._adopted = True

    def _prepare(self, lines: list[bytes]) -> tuple[int, int]:
        """Hand each line to the files that want it; how many lines and bytes that were.  Nothing is written yet."""
        offset = self._offset
        try:
            for number, line in enumerate(lines, self.seq + 1):
                self._export(line, number, offset)
                offset += len(line) + 1
        except BaseException:  # also a cancellation: half of the lines must not wait to be written by the next call
            for output in self._outputs.values():
                output.waiting.clear()
            self._lines, self._taken = [], 0  # read again what is there by then
            raise
        return len(lines), offset - self._offset

    def _fill(self) -> bool:
        """Read on; False at the end of what is written."""
        if self._segment is None:
            segments = list_segments(self._journal, self._disk) if self._journal.exists() else []
            if not segments:
                return False
            self._segment = segments[0]
        length = _READ
        data = self._disk.read(self._segment.path, self._offset, length)
        while len(data) == length and b"\n" not in data:  # one long line: the snapshot of a busy account
            length *= 2
            data = self._disk.read(self._segment.path, self._offset, length)
        whole, newline, _ = data.rpartition(b"\n")
        if newline:
            self._lines, self._taken = whole.split(b"\n"), 0
            return True
        following = Segment(self.seq + 1, self._journal / segment_name(self.seq + 1))
        if data or not following.path.exists() or following == self._segment:
            return False
        self._segment, self._offset = following, 0
        return self._fill()

    def _export(self, line: bytes, number: int, offset: int) -> None:
        fault = fault_of(line)
        if fault is not None:
            assert self._segment is not None
            raise damaged(self._segment, offset, number, fault)
        head = head_of(line)
        if head.kind not in ORDER_KINDS:
            return
        if head.kind == _REPORT_KIND and _IS_TRADE in line:
            stored = stored_of(line, head)
            assert isinstance(stored.record, ExecutionReport)
            self._output(self._layout.log(stored.record.transact_ns, TRADES)).add(self._trade(stored, stored.record))
        self._output(self._layout.log(head.written_ns, ORDERS)).add(line)

    def _trade(self, stored: Stored, report: ExecutionReport) -> bytes:
        return _encode(
            TradeLine(
                stored.seq,
                self._layout.text(report.transact_ns),
                report.transact_ns,
                report.account,
                report.venue,
                report.symbol,
                report.strategy,
                report.side,
                report.last_qty,
                report.last_px,
                report.last_qty * report.last_px,
                report.fee,
                report.fee_asset,
                report.liquidity.value,
                report.exec_type.value,
                report.trade_id,
                report.order_id,
                report.cl_ord_id,
                report.ord_status.value,
                report.cum_qty,
                report.received_ns,
            )
        )

    def _output(self, path: Path) -> _Output:
        output = self._outputs.get(path)
        if output is None:
            idle = [old for old in self._outputs.values() if not old.waiting]
            if len(self._outputs) >= OPEN_FILES and idle:
                self._disk.close(idle[0].fd)
                del self._outputs[idle[0].path]
            output = self._outputs[path] = _Output(path, self._disk, self._resumed_after)
        self._unsaved.add(path)
        return output

    def saving(self) -> Callable[[], None]:
        """What to run, in any thread, so that a crash repeats nothing of what is exported by now.

        It forces the daily files to the disk and then notes how far they go; OSError: not noted.
        """
        unsaved, self._unsaved = self._unsaved, set()
        mark = Mark(self.seq, self._segment.name, self._offset) if self._segment is not None else None

        def save() -> None:
            try:
                for path in sorted(unsaved):
                    self._disk.sync_file(path)
            except OSError:
                self._unsaved.update(unsaved)
                raise
            if mark is not None:
                self._disk.make_directory(self._mark_path.parent)
                self._disk.write_whole(self._mark_path, _encode(mark))

        return save

    def close(self) -> None:
        """Give the descriptors back."""
        for output in self._outputs.values():
            self._disk.close(output.fd)
        self._outputs.clear()
