"""`bulkhead record`: follow a venue's public streams into captures."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import click
import trio

from actors.venue.tls import tls_context
from protocols.errors import ConfigError
from protocols.ids import Symbol
from protocols.venue import Channel
from protocols.venues.registry import PRODUCTION, VENUES
from tools.cli.common import json_option, print_json
from tools.cli.failure import BadConfig, CommandFailure
from tools.history.record import Progress, RecordConfig, Recorder

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_S = 1_000_000_000
_SHOW_S = 5.0


class Duration(click.ParamType[int]):
    """`90s`, `10m`, `2h`, `1d`, or `0`; becomes seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,9})([smhd]?)", str(value))
        if found is None:
            self.fail(f"{value!r} is not a duration such as 90s, 10m, 2h or 1d", param, ctx)
        return int(found.group(1)) * _UNITS[found.group(2) or "s"]


@click.command()
@click.argument("kind", type=click.Choice(list(VENUES)), metavar="VENUE")
@click.argument("symbols", nargs=-1, required=True, metavar="SYMBOL...")
@click.option("--out", "folder", type=click.Path(path_type=Path), default=Path("captures"), show_default=True,
              help="Folder of the captures; made where it is missing.")  # fmt: skip
@click.option("--channel", "channels", multiple=True, type=click.Choice([one.value for one in Channel]),
              metavar="CHANNEL", help="What to follow: book, trades, book_ticker, ticker, candles_1m, ...; may be "
              "given several times.  Default: books, trades and best prices.")  # fmt: skip
@click.option("--for", "duration", type=Duration(), default="0", help="Stop after so long, e.g. 10m; default: Ctrl-C.")
@click.option("--rotate", type=Duration(), default="1h", show_default=True, help="Begin a new file after; 0: never.")
@click.option("--rotate-mb", type=click.IntRange(0, 100_000), default=256, show_default=True,
              help="Begin a new file after so many MiB of text; 0: never.")  # fmt: skip
@click.option("--plain", is_flag=True, help="Do not compress.")
@click.option("--environment", default=PRODUCTION, show_default=True, help="See `bulkhead venues NAME`.")
@click.option("--rest-url", default="", help="Another REST host, e.g. of a simulator.")
@click.option("--stream-url", default="", help="Another stream host.")
@click.option("--ca-file", type=click.Path(path_type=Path, exists=True), help="Trust these authorities.")
@json_option
def record(
    kind: str,
    symbols: tuple[str, ...],
    folder: Path,
    channels: tuple[str, ...],
    duration: int,
    rotate: int,
    rotate_mb: int,
    plain: bool,
    environment: str,
    rest_url: str,
    stream_url: str,
    ca_file: Path | None,
    as_json: bool,
) -> None:
    """Record the public streams of VENUE (capture-jsonl v1, see docs/history.md).

    Every frame as it came, with the time of its arrival; depth snapshots by REST where the venue's books need them.
    Each file can be replayed by itself: `bulkhead sim --venue FAMILY --capture FILE`.  Needs no key.  A file in which
    nothing was heard is removed.  Exit codes: 0 recorded, 1 nothing was heard or the folder cannot be written, 2 wrong
    usage, 4 unusable options.
    """
    config = RecordConfig(
        kind=kind,
        symbols=tuple(Symbol(one) for one in symbols),
        channels=tuple(Channel(one) for one in channels),
        folder=folder,
        environment=environment,
        rest_url=rest_url,
        stream_url=stream_url,
        rotate_bytes=rotate_mb << 20,
        rotate_ns=rotate * _S,
        compress=not plain,
    )
    try:
        recorder = Recorder(config, tls=tls_context(ca_file))
    except ConfigError as error:
        raise BadConfig(str(error)) from error
    try:
        trio.run(_run, recorder, duration, as_json)
    except* OSError as group:
        raise CommandFailure(
            f"cannot write to {folder}: {_first(group)}",
            f"free space, or choose another --out; `bulkhead data check --repair {folder}` saves what was recorded",
        ) from group
    progress = recorder.progress
    if as_json:
        print_json({"files": [str(path) for path in progress.files], **_counts(progress)})
    else:
        _tell(progress)
    if not progress.frames:
        raise CommandFailure(f"nothing was heard, no file was kept: {progress.failure or 'the streams were silent'}")


def _tell(progress: Progress) -> None:
    click.echo(_line(progress))
    if progress.removed and progress.files:
        click.echo(f"{progress.removed} files in which nothing was heard were removed")
    for path in progress.files:
        click.echo(path)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    one: BaseException = group
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one


async def _run(recorder: Recorder, duration: int, as_json: bool) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(_stop_on_signal, recorder)
        if duration:
            nursery.start_soon(_stop_after, recorder, duration)
        if not as_json:
            nursery.start_soon(_show, recorder.progress)
        await recorder.run()
        nursery.cancel_scope.cancel()


async def _stop_on_signal(recorder: Recorder, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            recorder.stop()


async def _stop_after(recorder: Recorder, seconds: int) -> None:
    await trio.sleep(seconds)
    recorder.stop()


async def _show(progress: Progress) -> None:
    """A line now and then, on stderr."""
    while True:
        await trio.sleep(_SHOW_S)
        click.echo(_line(progress), err=True)


def _line(progress: Progress) -> str:
    counted = ", ".join(f"{count} {name}" for name, count in sorted(progress.messages.items())) or "nothing yet"
    text = f"{progress.frames} frames ({counted}), {progress.raw_bytes / 1e6:.1f} MB, {progress.snapshots} snapshots, "
    text += f"{progress.connections} connections, {progress.gaps} gaps"
    return text + (f"; last trouble: {progress.failure}" if progress.failure else "")


def _counts(progress: Progress) -> dict[str, object]:
    return {
        "lines": progress.lines,
        "frames": progress.frames,
        "raw_bytes": progress.raw_bytes,
        "snapshots": progress.snapshots,
        "connections": progress.connections,
        "gaps": progress.gaps,
        "crossed": progress.crossed,
        "unreadable": progress.unreadable,
        "removed": progress.removed,
        "messages": dict(progress.messages),
        "failure": progress.failure,
    }
