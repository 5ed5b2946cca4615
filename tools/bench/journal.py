"""What the journal costs, per sync policy: the real actor, real files, no runtime around it.

Two loads, each an `OrderIntent` as an account makes it:

* one at a time: `append_us` is the time from handing an Append to the journal until what it announces has left.  Under
  `always` this holds one `fdatasync` in a worker thread.
* in batches of 64, as a busy mailbox is drained: `records_per_s`.  Under `always` up to 4,096 records wait for the
  disk at a time.

    bench_journal(3.0)["by_sync"]["os"]["append_us"]["p99"]
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import trio

from actors.journal.actor import JournalActor
from actors.journal.home import JournalHome
from config.schema import SyncPolicy
from protocols.base import Message
from protocols.enums import OrdType, Side
from protocols.ids import AccountID, ClOrdIDs, StrategyID, Symbol, Venue
from protocols.journal import JOURNAL, Append, OrderIntent, account_key
from protocols.orders import NewOrder, SubmitOrder, account_path
from protocols.reconcile import entry_path
from supervisors.clock import SystemClock
from supervisors.testing import RecordingContext
from tools.bench.timing import microseconds

__all__ = ["bench_journal"]

ACCOUNT, VENUE, SYMBOL = AccountID("master"), Venue("binance-spot"), Symbol("BTCUSDT")
BATCH = 64
WAITING_MAX = 4_096
DISTINCT = 1_024
_NS = 1_000_000_000


class _Load:
    """The actor with a context that counts what leaves."""

    def __init__(self, directory: Path, sync: SyncPolicy) -> None:
        self.clock = SystemClock()
        self.sync = sync
        self.actor = JournalActor(JournalHome(directory), sync=sync)
        self.left = 0
        self.given = 0
        self.ctx = RecordingContext(self.actor, JOURNAL, self.clock.wall_ns())
        self.ctx.send = self._send  # type: ignore[method-assign]
        self._waiting = trio.Event()
        ids = ClOrdIDs(ACCOUNT, "bench", 1, 1)
        self.appends = [self._append(ids) for _ in range(DISTINCT)]

    def _append(self, ids: ClOrdIDs) -> Append:
        now_ns = self.ctx.now_ns
        order = NewOrder(
            ids.next(),
            ACCOUNT,
            StrategyID("bench"),
            VENUE,
            SYMBOL,
            Side.BUY,
            OrdType.LIMIT,
            Decimal("0.01000"),
            Decimal("50000.10"),
            now_ns,
            "/strategies/bench",
        )
        owner = account_path(ACCOUNT, VENUE)
        forward = ((entry_path(ACCOUNT, VENUE), SubmitOrder(order, owner)),)
        subject = f"orders.{VENUE}.{SYMBOL}"
        return Append(account_key(ACCOUNT, VENUE), subject, (OrderIntent(order, now_ns),), forward, owner)

    def _send(self, to: str, message: Message) -> None:
        self.left += 1
        self._waiting.set()

    async def _until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            self._waiting = trio.Event()
            await self._waiting.wait()

    async def one_at_a_time(self, until_ns: int) -> list[int]:
        """Nanoseconds of each append."""
        samples: list[int] = []
        receive, batch_done, now = self.actor.receive, self.actor.batch_done, self.clock.monotonic_ns
        while (began := now()) < until_ns:
            receive(self.appends[self.given % DISTINCT])
            batch_done()
            self.given += 1
            if self.left < self.given:
                await self._until(lambda: self.left == self.given)
            samples.append(now() - began)
            if not len(samples) % 256:
                await trio.lowlevel.checkpoint()
        return samples

    async def in_batches(self, until_ns: int) -> int:
        """Records written, and released."""
        before = self.given
        receive, now = self.actor.receive, self.clock.monotonic_ns
        while now() < until_ns:
            for _ in range(BATCH):
                receive(self.appends[self.given % DISTINCT])
                self.given += 1
            self.actor.batch_done()
            await trio.lowlevel.checkpoint()
            await self._until(lambda: self.given - self.left < WAITING_MAX)
        await self._until(lambda: self.left == self.given)
        return self.given - before


async def _measure(directory: Path, sync: SyncPolicy, half_ns: int) -> dict[str, object]:
    load = _Load(directory, sync)
    await load.actor.started()
    now = load.clock.monotonic_ns
    async with trio.open_nursery() as nursery:
        nursery.start_soon(load.actor.run)
        await load.one_at_a_time(now() + half_ns // 10)
        gc.collect()
        samples = await load.one_at_a_time(now() + half_ns)
        began = now()
        records = await load.in_batches(began + half_ns)
        took_ns = now() - began
        nursery.cancel_scope.cancel()
    size = load.actor.statistics().bytes_written
    await load.actor.stopped("measured")
    return {
        "append_us": microseconds(samples),
        "records_per_s": round(records * _NS / took_ns),
        "bytes_per_record": round(size / load.given),
        "n": len(samples) + records,
    }


def bench_journal(seconds: float = 3.0, folder: Path | None = None) -> dict[str, object]:
    """`{"n", "by_sync": {policy: {append_us {p50, p99, p999, max}, records_per_s, bytes_per_record, n}}}`.

    `seconds` for each policy, half of it per load; the files are made below `folder` (the disk to be measured) and
    deleted afterwards.
    """
    half_ns = int(seconds * _NS / 2)
    by_sync: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-", dir=folder) as directory:
        for sync in SyncPolicy:
            by_sync[sync.value] = trio.run(_measure, Path(directory) / sync.value, sync, half_ns)
    return {"n": sum(int(str(row["n"])) for row in by_sync.values()), "by_sync": by_sync}
