"""The actor that keeps the files that people read up to date: `/files`.

It follows the journal's files instead of being sent the events: so it can neither slow the order path nor lose a line,
and what it missed while it was down it finds there.  It works in slices of a few records and then sleeps for a
multiple of the time that the slice took, so it never uses more than `SHARE` of the loop; a burst is exported later.

On the local hour, and when the engine stops, it asks the accounts for what they hold (`state.json`) and writes the
day's profit (`pnl.csv`).  Accounts that are down by then are read from their own snapshots in the journal.

A disk that is full, or a damaged record, stops these files and nothing else: it tries again, and says so in the log and
in `inspect`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import trio

from actors.account.settings import AccountSettings
from actors.account.state import AccountState
from actors.journal.disk import Disk
from actors.journal.exports import Exporter
from actors.journal.layout import Layout
from actors.journal.reports import STATE_FORMAT, EngineState, write_report, write_state
from protocols.control import PnlChanged, PnlQuery
from protocols.errors import JournalError
from protocols.ids import AccountID, Venue
from protocols.ids import Path as Address
from protocols.journal import JOURNAL, ReplayAnswer, ReplayQuery, account_key
from protocols.orders import account_path
from protocols.positions import AccountPicture, AccountQuery
from supervisors.actor import Actor, AskError

FILES: Address = "/files"

_MS = 1_000_000
_SECOND = 1_000 * _MS
SLICE = 24
"""Records looked at in one go: about 0.1 ms."""
SHARE = 20
"""One part in this many of the loop's time, at most, while there is something to export."""
IDLE_NS = 250 * _MS
SAVE_NS = 30 * _SECOND
"""Between notes of how far the daily files surely are; a crash repeats at most this much, and drops what it repeats."""
LOOK_NS = 10 * _SECOND
"""Between looks at the clock for a new hour or day, and at the portfolio for prices: it stops before we do."""
RETRY_NS = 5 * _SECOND
ASK_NS = _SECOND
LAST_NS = 2 * _SECOND
"""At the end, so long is spent on exporting the rest; what is left then, the next start exports."""


class FilesActor(Actor):
    """See the module text."""

    def __init__(
        self,
        data: Path,
        accounts: Sequence[tuple[AccountID, Venue]],
        *,
        portfolio: Address = "/portfolio",
        zone: str = "Asia/Seoul",
        disk: Disk | None = None,
    ) -> None:
        """`data` is the data folder; the journal is in its `journal`."""
        self._disk = disk if disk is not None else Disk()
        self._layout = Layout(data, ZoneInfo(zone))
        self._exporter = Exporter(self._layout, data / "journal", self._disk)
        self._accounts = tuple(accounts)
        self._portfolio = portfolio
        self._marks: tuple[PnlChanged, ...] = ()
        self._trouble = ""
        self._newest: Path | None = None
        self._saved_seq = self._exporter.seq
        self._reported_hour: Path | None = None
        self._reported_ns = 0

    # ---- life --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow)
            nursery.start_soon(self._save)
            nursery.start_soon(self._watch_the_clock)

    async def stopped(self, reason: str) -> None:
        """Export what is left, write state and profit once more."""
        until_ns = self.ctx.monotonic_ns + LAST_NS
        try:
            while self._exporter.step(SLICE) and self.ctx.monotonic_ns < until_ns:
                await trio.lowlevel.checkpoint()
            self._exporter.saving()()
            await self._report(self.ctx.now_ns)
        except (OSError, JournalError) as error:
            self._note(error)
        self._exporter.close()

    # ---- daily files -------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            began_ns = self.ctx.monotonic_ns
            try:
                found = self._exporter.step(SLICE)
            except (OSError, JournalError) as error:
                self._note(error)
                await self.ctx.sleep(RETRY_NS)
                continue
            took_ns = self.ctx.monotonic_ns - began_ns
            await self.ctx.sleep(took_ns * (SHARE - 1) if found else IDLE_NS)

    async def _save(self) -> None:
        while True:
            await self.ctx.sleep(SAVE_NS)
            if self._exporter.seq != self._saved_seq:
                seq = self._exporter.seq
                try:
                    await trio.to_thread.run_sync(self._exporter.saving())
                except OSError as error:
                    self._note(error)
                else:
                    self._saved_seq = seq
                    self._trouble = ""

    def _note(self, error: OSError | JournalError) -> None:
        text = str(error)
        if text != self._trouble:
            self._trouble = text
            self.ctx.note("files_not_written", text)

    # ---- state and profit --------------------------------------------------------------------------------------

    async def _watch_the_clock(self) -> None:
        while True:
            try:
                self._marks = tuple(await self.ctx.ask(self._portfolio, PnlQuery(), ASK_NS))
            except AskError:
                pass  # the portfolio is down: the last prices that it told have to do
            now_ns = self.ctx.now_ns
            hour = self._layout.snapshot(now_ns)
            if hour != self._reported_hour:
                try:
                    await self._report(now_ns)
                except OSError as error:
                    self._note(error)
                else:
                    self._reported_hour = hour
            await self.ctx.sleep(LOOK_NS)

    async def _report(self, now_ns: int) -> None:
        pictures, missing = await self._pictures()
        state = EngineState(STATE_FORMAT, now_ns, self._layout.text(now_ns), tuple(pictures), missing)
        self._newest = write_state(self._layout, state, self._disk)
        positions = [position for picture in pictures for position in picture.positions]
        if self._reported_ns and self._layout.local(self._reported_ns).date() != self._layout.local(now_ns).date():
            # the first look after midnight closes the day that has ended
            write_report(self._layout, self._reported_ns, positions, self._marks, self._disk)
        write_report(self._layout, now_ns, positions, self._marks, self._disk)
        self._reported_ns = now_ns

    async def _pictures(self) -> tuple[list[AccountPicture], dict[str, str]]:
        pictures: list[AccountPicture] = []
        missing: dict[str, str] = {}
        for account, venue in self._accounts:
            path = account_path(account, venue)
            try:
                pictures.append(await self.ctx.ask(path, AccountQuery(), ASK_NS))
            except AskError as asked:
                try:
                    answer: ReplayAnswer = await self.ctx.ask(JOURNAL, ReplayQuery(account_key(account, venue)), ASK_NS)
                    pictures.append(replayed(account, venue, answer))
                except (AskError, JournalError) as error:
                    missing[path] = f"{asked}; {error}"
        return pictures, missing

    def inspect(self) -> Mapping[str, object]:
        return {
            "exported_seq": self._exporter.seq,
            "newest_state": str(self._newest) if self._newest is not None else "",
            "trouble": self._trouble,
        }


def replayed(account: AccountID, venue: Venue, answer: ReplayAnswer) -> AccountPicture:
    """What an account's records say, without the account; JournalError when its snapshot is damaged."""
    state = AccountState(account, venue, AccountSettings().retention)
    if answer.snapshot is not None:
        state.restore(answer.snapshot)
    for record in answer.records:
        state.apply(record)
    return state.picture()
