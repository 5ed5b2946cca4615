"""`bulkhead download` (candles of a venue's history) and `bulkhead data` (what is wrong with files of market data)."""

from __future__ import annotations

import re
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import attrs
import click
import trio
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from actors.venue.tls import tls_context
from protocols.errors import BulkheadError, ConfigError
from protocols.ids import Symbol
from protocols.venues.registry import PRODUCTION, VENUES
from supervisors.clock import SystemClock
from tools.cli.common import json_option, print_json, print_json_line
from tools.cli.failure import BadConfig, CommandFailure
from tools.history import check as checks
from tools.history.books import Tally
from tools.history.captures import PART, salvage
from tools.history.check import Checked
from tools.history.download import Download, DownloadFailed, Job, Report
from tools.history.oracles import Proof

_S = 1_000_000_000
_UNITS = {"s": _S, "m": 60 * _S, "h": 3600 * _S, "d": 86_400 * _S, "w": 7 * 86_400 * _S}
_GAPS_SHOWN = 10
_PROOFS = {
    Proof.CHECKSUM: "the venue's checksum",
    Proof.SEQUENCE: "the venue's numbers",
    Proof.PICTURE: "being whole pictures",
}
_SHOW_S = 5.0


class Interval(click.ParamType[int]):
    """`1m`, `4h`, `1d`; becomes ns."""

    name = "interval"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([1-9]\d{0,3})([smhdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is not a length of bars such as 1m, 4h or 1d", param, ctx)
        return int(found.group(1)) * _UNITS[found.group(2)]


class Moment(click.ParamType[int]):
    """A date or a time, UTC unless it says otherwise; becomes ns since the epoch.  `3d`, midnight of three days ago,
    becomes -3."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if days := re.fullmatch(r"([1-9]\d{0,4})d", str(value)):
            return -int(days.group(1))
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-01-31, 2026-01-31T12:00 or 3d", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp()) * _S


@click.command()
@click.argument("kind", type=click.Choice(list(VENUES)), metavar="VENUE")
@click.argument("symbol")
@click.option("--interval", "interval_ns", type=Interval(), default="1m", show_default=True, help="Length of a bar.")
@click.option("--from", "since_ns", type=Moment(), required=True, help="First bar, UTC: 2026-01-01, or 3d (ago).")
@click.option("--to", "until_ns", type=Moment(), help="Bars open before this; default: now.")
@click.option("--out", "path", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help=".csv, .csv.gz or .parquet.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace FILE where it exists.")
@click.option("--environment", default=PRODUCTION, show_default=True, help="See `bulkhead venues NAME`.")
@click.option("--rest-url", default="", help="Another REST host, e.g. of a simulator.")
@click.option("--ca-file", type=click.Path(path_type=Path, exists=True), help="Trust these authorities.")
@json_option
def download(
    kind: str,
    symbol: str,
    interval_ns: int,
    since_ns: int,
    until_ns: int | None,
    path: Path,
    overwrite: bool,
    environment: str,
    rest_url: str,
    ca_file: Path | None,
    as_json: bool,
) -> None:
    """Fetch candles of SYMBOL from VENUE's history into FILE.

    After an interruption of any kind the same command goes on where it was.  Tells which bars the venue does not have.
    Exit codes: 0 done, 1 refused or given up, 2 wrong usage, 4 unusable options.
    """
    now_ns = SystemClock.wall_ns()
    if until_ns is None:
        until_ns = _noted(path, "until_ns", now_ns - now_ns % interval_ns)
    if since_ns < 0:
        since_ns = _noted(path, "since_ns", now_ns - now_ns % _UNITS["d"] + since_ns * _UNITS["d"])
    if until_ns < 0:
        until_ns = _noted(path, "until_ns", now_ns - now_ns % _UNITS["d"] + until_ns * _UNITS["d"])
    job = Job(
        kind=kind,
        symbol=Symbol(symbol),
        interval_ns=interval_ns,
        since_ns=since_ns,
        until_ns=until_ns,
        path=path,
        environment=environment,
        rest_url=rest_url,
        overwrite=overwrite,
    )
    try:
        work = Download(job, tls=tls_context(ca_file))
        report = trio.run(_download, work, as_json)
    except ConfigError as error:
        raise BadConfig(str(error)) from error
    except DownloadFailed as error:
        raise CommandFailure(str(error), "run the same command again to go on") from error
    except OSError as error:
        fix = "free space there and run the same command again: it goes on where it was"
        raise CommandFailure(f"cannot write {path}: {error}", fix) from error
    except BulkheadError as error:
        raise CommandFailure(str(error)) from error
    _tell(report, as_json)


def _noted(path: Path, name: str, otherwise: int) -> int:
    """What an interrupted download of this file was asked for: `now` is another moment at each attempt."""
    note = path.with_name(f"{path.name}.state")
    found = re.search(rf'"{name}": (\d+)', note.read_text()) if note.exists() else None
    return otherwise if found is None else int(found.group(1))


async def _download(work: Download, as_json: bool) -> Report:
    """Raises DownloadFailed when a signal ends it, else what the download raises."""
    report: Report | None = None
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_end_on_signal, nursery.cancel_scope)
        if not as_json:
            nursery.start_soon(_bar if sys.stderr.isatty() else _lines, work)
        try:
            report = await work.run()
        except (BulkheadError, OSError) as error:
            failure = error
        nursery.cancel_scope.cancel()
    if report is None:
        raise failure or DownloadFailed("interrupted")
    return report


async def _end_on_signal(
    scope: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


async def _bar(work: Download) -> None:
    """For a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(str(work.job.symbol), total=1.0)
        while True:
            progress = work.progress
            text = f"{work.job.symbol} {progress.bars} bars {progress.waiting[:60]}"
            bar.update(task, completed=progress.done, description=text)
            await trio.sleep(0.2)


async def _lines(work: Download) -> None:
    """For a log."""
    while True:
        await trio.sleep(_SHOW_S)
        progress = work.progress
        text = f"{work.job.symbol}: {progress.done:.1%}, {progress.bars} bars, {progress.requests} requests"
        click.echo(text + (f", waiting: {progress.waiting}" if progress.waiting else ""), err=True)


def _tell(report: Report, as_json: bool) -> None:
    if as_json:
        print_json(attrs.asdict(report) | {"path": str(report.path)})
        return
    went_on = ", continued" if report.resumed else ""
    click.echo(f"{report.path}: {report.bars} bars, {_utc(report.first_ms)} to {_utc(report.last_ms)}{went_on}")
    if not report.missing:
        click.echo("no gap")
        return
    click.echo(f"{len(report.gaps)} gaps, {report.missing} bars that {report.path.name} and the venue do not have:")
    for gap in report.gaps[:_GAPS_SHOWN]:
        click.echo(f"  {gap.missing} after {_utc(gap.after_ms)}")
    if len(report.gaps) > _GAPS_SHOWN:
        click.echo(f"  and {len(report.gaps) - _GAPS_SHOWN} more")


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


# ---- data ------------------------------------------------------------------------------------------------------


@click.group()
def data() -> None:
    """Look after files of market data."""


@data.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="PATH...")
@click.option("--kind", default="", metavar="VENUE", help="Whose frames a capture holds; default: by name or address.")
@click.option("--interval", "interval_ns", type=Interval(), help="Length of bars; default: the usual distance.")
@click.option("--strict", is_flag=True, help="Remarks count as errors.")
@click.option("--repair", is_flag=True, help="Save the whole lines of a torn capture as `<name>`, beside its part.")
@json_option
def check(
    paths: tuple[Path, ...], kind: str, interval_ns: int | None, strict: bool, repair: bool, as_json: bool
) -> None:
    """Check captures (.jsonl, .jsonl.gz) and candles (.csv, .csv.gz, .parquet): schema, order, duplicates, gaps,
    crossed books, impossible numbers.

    A folder stands for all such files below it.  Exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage,
    4 unusable options.
    """
    wrong = 0
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise CommandFailure("no file of market data is there")
    for file in files:
        try:
            checked = checks.check(file, kind=kind, interval_ms=(interval_ns or 0) // 1_000_000)
        except ConfigError as error:
            raise BadConfig(str(error)) from error
        bad = bool(checked.findings) if strict else not checked.ok
        wrong += bad
        if as_json:
            print_json_line(checks.as_dict(checked))
        else:
            _describe(checked, bad)
        if repair and checked.found["torn"]:
            _repair(file)
    if wrong:
        raise CommandFailure(f"{wrong} of {len(files)} files have something wrong")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(one for one in path.rglob("*") if one.is_file() and checks.is_checkable(one))


def _describe(checked: Checked, bad: bool) -> None:
    counts = ", ".join(f"{count} {name}" for name, count in sorted(checked.counts.items()))
    span = f", {_utc(checked.first_ms)} to {_utc(checked.last_ms)}" if checked.first_ms else ""
    click.echo(f"{'FAIL' if bad else 'ok  '} {checked.path}: {checked.form}, {checked.lines} lines{span}")
    if counts:
        click.echo(f"     {counts}")
    if checked.books.messages:
        click.echo(f"     {_proven(checked.books)}")
    for finding in checked.findings:
        where = f"line {finding.line}: " if finding.line else ""
        click.echo(f"     {'error' if finding.is_error else 'remark'} {finding.code}: {where}{finding.text}")
    for code, count in checked.found.items():
        told = sum(finding.code == code for finding in checked.findings)
        if count > told:
            click.echo(f"     and {count - told} more of {code}")
        click.echo(f"     -> {code}: {checks.FIXES[checked.form][code]}")


def _proven(books: Tally) -> str:
    """What the messages of books were proven by, and what the venue's own best prices say."""
    parts = [f"{count} by {_PROOFS[proof]}" for proof, count in books.proven.items() if count]
    if books.spare:
        parts.append(f"{books.spare} told nothing new")
    if left := books.messages - books.proven.total() - books.spare:
        parts.append(f"{left} not proven")
    text = f"{books.proven.total()} of {books.messages} book messages proven: {', '.join(parts)}"
    if books.compared:
        text += f"; best prices equal in {books.equal} of {books.compared} comparisons"
    return text


def _repair(file: Path) -> None:
    target = (
        file.with_name(file.name.removesuffix(PART))
        if file.name.endswith(PART)
        else file.with_name(f"whole_{file.name}")
    )
    try:
        lines = salvage(file, target)
    except OSError as error:
        raise CommandFailure(f"{file}: {error}", "move the file of that name away") from error
    click.echo(f"     saved {lines} lines as {target}")
