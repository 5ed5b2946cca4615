"""The actor in the path of every order: it writes, then forwards.

    account --Append(records, forward)--> journal --forward--> order entry, gates, portfolio, strategy

The messages of one drained batch become one `write`; then everything that they announce leaves, in order.  A single
order therefore waits for one write and nobody else, and a burst costs one write for all.

`sync` says how durable "written" is.  `os`: the kernel has it, so a killed process loses nothing.  `interval`: also
forced to the disk every so often, beside the order path.  `always`: nothing is forwarded before the disk has it; while
one `fdatasync` runs in a worker thread the next batches gather, so many records share the next one.

When writing fails (full disk), the journal is *degraded*: intents are refused to their sender (`AppendRefused`), facts
are forwarded at once and kept to be written later, in order; it tries again every `retry_ns`, and announces both turns
with `JournalState`.  When *syncing* fails, nobody knows what the disk has: intents are refused for the rest of the
incarnation's life, facts are still written and forwarded.  More facts than `backlog_records` end the actor: the engine
then starts again from the files and the venues.  As many records that wait for a slow disk under `always` refuse
intents too.

Each incarnation writes a `RunStarted` of its own, so `run` (`max(previous + 1, seconds since 1970)`) is never used
twice, neither by the next process nor by the next incarnation; it is told in every `ReplayAnswer`.  A batch in hand at
a crash is gone with it: none of it was forwarded, and what depends on the journal restarts with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice

import attrs
import trio

from actors.journal.catalog import answer_from
from actors.journal.home import JournalHome
from actors.journal.records import encode_line
from actors.journal.replay import read
from actors.journal.writer import Writer
from config.schema import SyncPolicy
from protocols.base import Event, Message, Query, message
from protocols.errors import JournalError
from protocols.ids import Path
from protocols.journal import (
    ENGINE_KEY,
    Append,
    AppendRefused,
    FlushQuery,
    JournalState,
    JournalStatistics,
    Record,
    ReplayAnswer,
    ReplayQuery,
    RunStarted,
    RunStopped,
    needs_disk,
)
from supervisors.actor import Actor, Later

_NS = 1_000_000_000
_UNWRITABLE_RECORD = (TypeError, ValueError, OverflowError)
"""What encoding raises for a value that has no exact JSON; a bug of the record's maker, who gets it back."""
_CHUNK = 1000
"""Kept Appends that are written at a time when the disk takes writes again."""


@message
class Retry(Event):
    """To ourselves: try to write again."""


class JournalActor(Actor):
    """See the module text.  `home` belongs to the process; `readers` hear of `JournalState`."""

    def __init__(
        self,
        home: JournalHome,
        *,
        sync: SyncPolicy = SyncPolicy.OS,
        interval_ns: int = 50_000_000,
        build: str = "",
        config_hash: str = "",
        readers: Sequence[Path] = (),
        retry_ns: int = _NS,
        backlog_records: int = 100_000,
    ) -> None:
        self._home = home
        self._sync = sync
        self._interval_ns = interval_ns
        self._build = build
        self._config_hash = config_hash
        self._readers = tuple(readers)
        self._retry_ns = retry_ns
        self._backlog_limit = backlog_records
        self.run_number = 0
        self._pending: list[Append] = []
        self._fault = ""
        """Why writing or syncing fails; "" while all is well."""
        self._fault_since_ns = 0
        self._unwritable = False
        self._untrusted = False
        """A sync failed: what the disk has is not known any more."""
        self._backlog: deque[Append] = deque()
        self._backlog_records = 0
        # what waits for `run`
        self._unreleased: deque[tuple[int, list[Append]]] = deque()
        self._flushes: deque[tuple[int, Later]] = deque()
        self._readings: deque[tuple[ReplayQuery, int, int, tuple[Record, ...], Later]] = deque()
        self._wake = trio.Event()
        self._syncing = trio.Lock()

    @property
    def _writer(self) -> Writer:
        return self._home.writer

    # ---- life --------------------------------------------------------------------------------------------------

    async def started(self) -> None:
        """Check the files (all of them at the start of the process), begin a run.  JournalError: nothing trades."""
        now_ns = self.ctx.now_ns
        opening = self._home.open(now_ns)
        self.run_number = max(opening.run + 1, now_ns // _NS)
        try:
            self._write_own(RunStarted(self.run_number, self._build, self._config_hash, now_ns))
        except OSError as error:
            raise JournalError(
                f"{self._home.directory}: the run cannot be recorded ({error.strerror}), so no order may be made in "
                "it. Free space, or set data.dir (BULKHEAD__DATA__DIR) to another disk"
            ) from error
        self._home.run = self.run_number
        self._wake.set()  # the sync that lets the first order leave covers the run's record too

    async def run(self) -> None:
        """Sync, and read what is not at hand, beside the order path."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._readings:
                await self._read_next()
            if self._flushes or (self._sync is not SyncPolicy.OS and self._writer.unsynced):
                await self._sync_now()
                if self._sync is SyncPolicy.INTERVAL:
                    await self.ctx.sleep(self._interval_ns)

    async def stopped(self, reason: str) -> None:
        """Write what is left, record the orderly end, force it to the disk, give the directory back."""
        self.batch_done()
        try:
            self._write_backlog()
            self._write_own(RunStopped(self.run_number, reason, self.ctx.now_ns))
        except OSError as error:
            self._note_fault(f"cannot write to {self._writer.segment.path}: {error.strerror}")
        await self._sync_now()
        self._home.close()
        if self._backlog:
            raise JournalError(
                f"{self._backlog_records} facts could not be written before the end ({self._fault}); the next start "
                "asks the venues for them"
            )

    def _write_own(self, record: Record) -> None:
        self._write([Append(ENGINE_KEY, ENGINE_KEY, (record,), (), self.ctx.path)])

    # ---- the order path ----------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        """Gather; `batch_done` writes."""
        if type(message) is Append:
            self._pending.append(message)
        elif type(message) is Retry:
            self._retry()

    def batch_done(self) -> None:
        """One write for the whole batch, then everything that it announces."""
        if self._pending:
            pending, self._pending = self._pending, []
            self._commit(pending)

    def _commit(self, pending: list[Append]) -> None:
        if self._fault:
            pending = self._without_intents(pending, self._fault)
            if self._unwritable:
                self._keep(pending)
                return
        elif self._sync is SyncPolicy.ALWAYS and self._writer.unsynced > self._backlog_limit:
            pending = self._without_intents(
                pending, f"{self._writer.unsynced} records wait for the disk: it is too slow"
            )
        try:
            self._write(pending)
        except OSError as error:
            self._cannot_write(error)
            self._keep(self._without_intents(pending, self._fault))
        except _UNWRITABLE_RECORD as error:
            if len(pending) > 1:
                for append in pending:
                    self._commit([append])
            else:
                self._refuse(pending[0], f"a record cannot be written: {error}")
        else:
            if self._sync is SyncPolicy.OS:
                self._forward(pending)
            else:
                self._wake.set()
                if self._sync is SyncPolicy.ALWAYS and not self._untrusted:
                    self._unreleased.append((self._writer.seq, pending))
                else:
                    self._forward(pending)

    def _write(self, pending: Sequence[Append]) -> None:
        """One write of everything; after an error (OSError, or a record that cannot be encoded) nothing is written."""
        writer = self._writer
        first = writer.seq + 1
        seq = writer.seq
        stamp = max(self.ctx.now_ns, writer.written_ns)
        lines: list[bytes] = []
        for append in pending:
            key, subject = append.key, append.subject
            for record in append.records:
                seq += 1
                lines.append(encode_line(seq, stamp, key, subject, record))
        if not lines:
            return
        writer.append(b"".join(lines), lines[-1], seq, stamp)
        add = self._home.catalog.add
        for append in pending:
            add(append.key, first, append.records)
            first += len(append.records)
        self._home.note_tail()

    def _forward(self, appends: Iterable[Append]) -> None:
        send = self.ctx.send
        for append in appends:
            for to, announced in append.forward:
                send(to, announced)

    # ---- when the disk does not take it ------------------------------------------------------------------------

    def _refuse(self, append: Append, text: str) -> None:
        self.ctx.send(append.sender, AppendRefused(append.records, text))

    def _without_intents(self, appends: Iterable[Append], text: str) -> list[Append]:
        """The facts among `appends`; the intents go back to their senders."""
        facts: list[Append] = []
        for append in appends:
            if any(needs_disk(record) for record in append.records):
                self._refuse(append, text)
            else:
                facts.append(append)
        return facts

    def _keep(self, facts: list[Append]) -> None:
        """Facts are forwarded now and written later; JournalError when there are too many to keep."""
        self._backlog.extend(facts)
        self._backlog_records += sum(len(append.records) for append in facts)
        if self._backlog_records > self._backlog_limit:
            raise JournalError(f"{self._backlog_records} facts wait for the disk, more than can be kept: {self._fault}")
        if self._unreleased:
            self._unreleased.append((self._unreleased[-1][0], facts))  # behind what came before them
        else:
            self._forward(facts)

    def _cannot_write(self, error: OSError) -> None:
        self._unwritable = True
        self._note_fault(f"cannot write to {self._writer.segment.path}: {error.strerror}")
        self.ctx.after(self._retry_ns, Retry())

    def _note_fault(self, text: str) -> None:
        if not self._fault:
            self._fault_since_ns = self.ctx.now_ns
        self._fault = text
        self.ctx.note("journal_degraded", f"{text}; no new order may leave")
        self._announce(JournalState(False, text, self.ctx.now_ns))

    def _announce(self, state: JournalState) -> None:
        for reader in self._readers:
            self.ctx.send(reader, state)

    def _retry(self) -> None:
        """Write what was kept.  The first write that succeeds ends the trouble, unless a sync has failed."""
        now_ns = self.ctx.now_ns
        text = f"could not write for {(now_ns - self._fault_since_ns) / _NS:.3f} s: {self._fault}"
        try:
            kept = self._write_backlog()
            self._write_own(JournalState(True, f"{text}; {kept} facts were kept and are written now", now_ns))
        except OSError:
            self.ctx.after(self._retry_ns, Retry())
            return
        self._unwritable = False
        self._wake.set()
        if not self._untrusted:
            self._fault = ""
            self._announce(JournalState(True, text, now_ns))
            self.ctx.note("journal_writes_again", text)

    def _write_backlog(self) -> int:
        """Write the facts that were kept, oldest first; how many records that were.  OSError leaves the rest kept."""
        kept = self._backlog_records
        chunk = _CHUNK
        while self._backlog:
            appends = list(islice(self._backlog, chunk))
            try:
                self._write(appends)
            except _UNWRITABLE_RECORD as error:
                if len(appends) > 1:
                    chunk = 1
                    continue
                self._refuse(appends[0], f"a record cannot be written: {error}")
            for append in appends:
                self._backlog.popleft()
                self._backlog_records -= len(append.records)
        return kept

    # ---- durability --------------------------------------------------------------------------------------------

    async def _sync_now(self) -> None:
        """Force everything written so far to the disk, then release what waited for it."""
        async with self._syncing:
            if not self._untrusted:
                job = self._writer.sync_job()
                try:
                    await trio.to_thread.run_sync(job.run)
                except OSError as error:
                    self._untrusted = True
                    self._note_fault(f"the disk lost what it was given ({error.strerror}): replace it, then restart")
                else:
                    self._writer.synced(job)
                    self._release(job.seq)
            if self._untrusted:
                self._give_up_waiting()
        self.ctx.flush()

    def _release(self, seq: int) -> None:
        while self._unreleased and self._unreleased[0][0] <= seq:
            self._forward(self._unreleased.popleft()[1])
        while self._flushes and self._flushes[0][0] <= seq:
            self._flushes.popleft()[1].resolve(self.statistics())

    def _give_up_waiting(self) -> None:
        while self._unreleased:
            self._forward(self._without_intents(self._unreleased.popleft()[1], self._fault))
        while self._flushes:
            self._flushes.popleft()[1].fail(self._fault)

    # ---- questions ---------------------------------------------------------------------------------------------

    def answer(self, query: Query) -> object:
        """`ReplayQuery` -> ReplayAnswer, `FlushQuery` -> JournalStatistics once the disk has everything."""
        self.batch_done()
        if isinstance(query, ReplayQuery):
            kept = tuple(record for a in self._backlog if a.key == query.key for record in a.records)
            since = self._home.catalog.spilled_since(query.key)
            if since is None:
                return answer_from(self.run_number, chain(self._home.catalog.records(query.key), kept))
            later = Later()
            self._readings.append((query, since, self._writer.seq, kept, later))
            self._wake.set()
            return later
        if isinstance(query, FlushQuery):
            later = Later()
            self._flushes.append((self._writer.seq, later))
            self._wake.set()
            return later
        return super().answer(query)

    async def _read_next(self) -> None:
        query, since, until, kept, later = self._readings.popleft()

        def rebuild() -> ReplayAnswer:
            found = read(self._home.directory, key=query.key, since=since, until=until, disk=self._home.disk)
            return answer_from(self.run_number, chain((stored.record for stored in found), kept))

        later.resolve(await trio.to_thread.run_sync(rebuild))

    def statistics(self) -> JournalStatistics:
        """How the journal is doing."""
        writer = self._writer
        return JournalStatistics(
            self.run_number,
            writer.seq,
            writer.segment.name,
            writer.bytes_written,
            writer.unsynced,
            self._backlog_records,
            not self._fault,
            self._fault,
        )

    def inspect(self) -> Mapping[str, object]:
        return {
            **attrs.asdict(self.statistics()),
            "sync": self._sync.value,
            "torn": str(self._home.torn) if self._home.torn is not None else "",
            "keys": self._home.catalog.sizes(),
        }
