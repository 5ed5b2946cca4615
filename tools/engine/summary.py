"""What a run has done, in numbers: for the plain view while it runs and for the last lines when it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

import attrs

from protocols.control import ExposurePicture, ExposureQuery, PnlChanged, PnlQuery
from protocols.enums import TradingState
from protocols.orders import FIRM_GATE, account_gate, account_path
from protocols.positions import AccountPicture, AccountQuery
from supervisors.actor import AskError
from supervisors.cell import Cell
from supervisors.runtime import Runtime
from supervisors.tree import PORTFOLIO, Plan

_ASK_NS = 1_000_000_000


@attrs.frozen
class Figures:
    """One look at the engine."""

    at_ns: int
    actors: int
    ready: int
    handled: int
    restarts: int
    dead_letters: int
    open_orders: int
    reports: int
    """ExecutionReports that the accounts have handled."""
    pnl: tuple[PnlChanged, ...]
    halts: tuple[str, ...]
    """Scopes that do not trade freely: `firm halted`."""
    unproven: tuple[str, ...]
    """Accounts that their venue has not confirmed: what is said of them is what our records say."""
    silent: tuple[str, ...]
    """Who could not answer."""

    @property
    def totals(self) -> Mapping[str, Decimal]:
        """Quote asset -> realized and unrealized profit of everything in it; one is never added to another."""
        sums: dict[str, Decimal] = {}
        for row in self.pnl:
            sums[row.quote] = sums.get(row.quote, Decimal(0)) + row.realized + row.unrealized
        return sums

    def line(self, before: Figures | None) -> str:
        """One line of the plain view."""
        rate = ""
        if before is not None and self.at_ns > before.at_ns:
            rate = f"{(self.handled - before.handled) * 1_000_000_000 // (self.at_ns - before.at_ns)} msg/s, "
        halts = "".join(f"{text.upper()}, " for text in self.halts)
        return (
            f"{halts}{self.ready}/{self.actors} actors ready, {counted(self.open_orders, 'open order')}, "
            f"{counted(self.reports, 'report')}, P&L {_money(self.totals)}, {rate}"
            f"{counted(self.restarts, 'restart')}, {counted(self.dead_letters, 'dead letter')}"
        )


async def look(runtime: Runtime, plan: Plan) -> Figures:
    """Ask everyone who knows; who cannot answer now is named, not guessed."""
    silent: list[str] = []
    orders = 0
    for account, venue in plan.accounts:
        path = account_path(account, venue)
        try:
            picture: AccountPicture = await runtime.ask(path, AccountQuery(unproven=True), _ASK_NS)
            orders += len(picture.open_orders)
        except AskError:
            silent.append(path)
    pnl: tuple[PnlChanged, ...] = ()
    try:
        pnl = tuple(await runtime.ask(PORTFOLIO, PnlQuery(), _ASK_NS))
    except AskError:
        silent.append(PORTFOLIO)
    halts: list[str] = []
    for path in (FIRM_GATE, *dict.fromkeys(account_gate(account) for account, _ in plan.accounts)):
        try:
            found: ExposurePicture = await runtime.ask(path, ExposureQuery(), _ASK_NS)
            if found.state is not TradingState.ACTIVE:
                halts.append(f"{found.scope} {found.state.value}")
        except AskError:
            silent.append(path)
    cells = list(runtime.cells())
    accounts = [runtime.find(account_path(*pair)) for pair in plan.accounts]
    return Figures(
        at_ns=runtime.clock.wall_ns(),
        actors=len(cells),
        ready=sum(cell.ready for cell in cells),
        handled=sum(cell.handled for cell in cells),
        restarts=sum(cell.restart_count for cell in cells),
        dead_letters=runtime.dead_letter_count,
        open_orders=orders,
        unproven=tuple(c.path for c in accounts if c is not None and not c.ready and c.path not in silent),
        reports=sum(_reports(cell) for cell in accounts if cell is not None),
        pnl=pnl,
        halts=tuple(halts),
        silent=tuple(silent),
    )


def _reports(cell: Cell) -> int:
    return sum(count for kind, count in cell.counts.items() if kind.__name__ == "ExecutionReport")


def _money(totals: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{total:+,.4f} {quote}".rstrip() for quote, total in totals.items()) or "+0.0000"


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 restart`, `2,000 restarts`, `no restarts`."""
    many = plural or f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}" if number else f"no {many}"


def closing_lines(figures: Figures, runtime: Runtime, started_ns: int, reason: str) -> list[str]:
    """The summary at the end of a run: `figures` from after the draining, dead letters from after the end."""
    seconds = (figures.at_ns - started_ns) / 1e9
    left = f"{counted(figures.open_orders, 'order')} left open"
    lines = [
        f"ran {seconds:.1f} s, ended by {reason}",
        f"{counted(figures.reports, 'execution report')}, {counted(figures.handled, 'message')}, "
        f"{counted(figures.restarts, 'restart')}, {counted(runtime.dead_letter_count, 'dead letter')}, {left}",
    ]
    lines += [f"  not known at the end: {path} gave no answer" for path in figures.silent]
    lines += [f"  not confirmed by its venue at the end: {path}" for path in figures.unproven]
    lines += [f"  dead letters: {text}" for text in dead_letter_kinds(runtime)]
    lines += _pnl_lines(figures)
    return lines


def dead_letter_kinds(runtime: Runtime) -> list[str]:
    """`3 Quote to /router (no_such_actor)`, most frequent first, of the letters that are kept."""
    kinds = Counter(f"{type(d.message).__name__} to {d.to} ({d.reason})" for d in runtime.dead_letters)
    return [f"{count} {text}" for text, count in kinds.most_common()]


def _pnl_lines(figures: Figures) -> list[str]:
    rows = [
        (
            f"{row.account}/{row.strategy}",
            str(row.symbol),
            f"{row.qty.normalize():f}",
            f"{row.realized:+,.4f}",
            f"{row.unrealized:+,.4f}",
        )
        for row in figures.pnl
    ]
    if not rows:
        return ["  nothing was traded"]
    rows.insert(0, ("strategy", "symbol", "position", "realized", "unrealized"))
    for quote, total in figures.totals.items():
        realized = sum((row.realized for row in figures.pnl if row.quote == quote), Decimal(0))
        rows.append((f"total {quote}".rstrip(), "", "", f"{realized:+,.4f}", f"{total - realized:+,.4f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        "  " + "  ".join((cell.ljust if at < 2 else cell.rjust)(widths[at]) for at, cell in enumerate(row)).rstrip()
        for row in rows
    ]
