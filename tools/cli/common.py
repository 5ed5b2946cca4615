"""Options and output that many commands share."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

import click
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from config import Config, ConfigError, load_config, profile_names
from tools.cli.client import Client
from tools.cli.failure import BadConfig

_PIPE_WIDTH = 10_000
_GAP = 2
"""Between two columns."""
_TEXT_AT_LEAST = 6
"""What remains of a text in a narrow terminal."""

Command = TypeVar("Command", bound=Callable[..., Any])


def load(profile: str, overrides: Iterable[str] = (), venues: str = "") -> Config:
    """The configuration as a command sees it: profile or file, then the environment, then `--set`.

    `venues`: names joined by commas; they are enabled, the others and the strategies on them disabled.
    """
    given: dict[str, object] = {}
    for text in overrides:
        key, found, value = text.partition("=")
        if not found or not key:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
        given[key] = value
    try:
        config = load_config(profile, env=os.environ, overrides=given)
        if venues:
            given |= _only(config, list(dict.fromkeys(name.strip() for name in venues.split(","))))
            config = load_config(profile, env=os.environ, overrides=given)
    except ConfigError as error:
        raise BadConfig(str(error)) from error
    return config


def _only(config: Config, wanted: Sequence[str]) -> dict[str, object]:
    """Overrides that enable these venues alone, and what trades on them."""
    missing = [repr(name) for name in wanted if name not in config.venues]
    if missing:
        text = f"there is no venue {', '.join(missing)}; the profile has {', '.join(config.venues)}"
        raise click.BadParameter(text, param_hint="--venues")
    given: dict[str, object] = {f"venues.{name}.enabled": name in wanted for name in config.venues}
    for name, strategy in config.strategies.items():
        if strategy.venue not in wanted:
            given[f"strategies.{name}.enabled"] = False
        elif not config.venues[strategy.venue].enabled:  # it could only be disabled, too
            given[f"strategies.{name}.enabled"] = True
    return given


def profile_options(command: Command) -> Command:
    """`--profile` and `--set`."""
    command = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one key of the configuration; may be given several times.",
    )(command)
    return click.option(
        "--profile",
        "-p",
        default="demo",
        show_default=True,
        metavar="NAME|FILE",
        help=f"A shipped profile ({', '.join(profile_names())}) or a TOML file.",
    )(command)


def finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Callback of an option: "nan" is a float to Python, too, and to wait so long is to wait for ever."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is no number of seconds")
    return value


def is_terminal() -> bool:
    """Whether a person looks at stdout, with a terminal that can move its cursor."""
    if sys.stdout is None or not sys.stdout.isatty():  # None: closed by who started us
        return False
    return os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def socket_option(command: Command) -> Command:
    """`--socket`: which engine to talk to."""
    return click.option(
        "--socket",
        "socket_path",
        type=click.Path(path_type=Path),
        default=None,
        help="The engine's control socket; default: control.sock in BULKHEAD__DATA__DIR or ./data.",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")(command)


def connect(socket_path: Path | None) -> Client:
    """A connection to the engine that the options and the environment name."""
    if socket_path is None:
        named = os.environ.get("BULKHEAD__CONTROL__SOCKET")
        socket_path = Path(named) if named else Path(os.environ.get("BULKHEAD__DATA__DIR", "data")) / "control.sock"
    return Client(socket_path)


def print_json(value: object) -> None:
    """One document on stdout."""
    click.echo(json.dumps(value, indent=2, sort_keys=False))


def print_json_line(value: object) -> None:
    """One line on stdout: for what comes one after the other."""
    click.echo(json.dumps(value))


class Cropped:
    """What is drawn with the width that it needs, and cut on the right where the terminal is narrower: names stand on
    the left, and a table that is squeezed would lose those first."""

    def __init__(self, drawn: RenderableType, needed: int) -> None:
        self._drawn = drawn
        self._needed = needed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.update(width=max(options.max_width, self._needed))
        for line in console.render_lines(self._drawn, wide, pad=False):
            yield from Segment.adjust_line_length(line, options.max_width, pad=False)
            yield Segment.line()


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    wrapped: Sequence[str] = (),
    empty: str = "none",
) -> None:
    """A plain table, numbers on the right; without rows one line that says so.

    A terminal cuts texts that are too wide for it, or wraps them in columns that are `wrapped`; it keeps numbers and
    the first column, and loses what is on the right when even so not all fits.  A pipe or a file gets everything.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        click.echo(f"{title}: {empty}" if title else empty)
        return
    terminal = is_terminal()
    room = shutil.get_terminal_size().columns if terminal else _PIPE_WIDTH
    kept = {0, *(number for number, column in enumerate(columns) if column in right)}
    widths = _fitting(_natural(columns, cells), kept, room)
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column, width in zip(columns, widths, strict=True):
        side: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(column, justify=side, no_wrap=column in right, header_style="dim", width=width)
    for row in cells:
        table.add_row(
            *(
                Text(cell) if column in wrapped else Text(cell, no_wrap=True, overflow="ellipsis")
                for column, cell in zip(columns, row, strict=True)
            )
        )
    with StringIO() as drawn:
        console = Console(file=drawn, width=room, force_terminal=terminal)
        console.print(Cropped(table, sum(widths) + _GAP * (len(widths) - 1)))
        click.echo("\n".join(text.rstrip() for text in drawn.getvalue().splitlines()))


def _natural(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column that cuts nothing."""
    return [
        max(cell_len(text) for text in (*column.split("\n"), *(row[number] for row in cells)))
        for number, column in enumerate(columns)
    ]


def _fitting(widths: list[int], kept: Collection[int], room: int) -> list[int]:
    """Widths that fit into `room`, if that can be: the widest text gives way first, what is `kept` never."""
    widths = list(widths)
    while sum(widths) + _GAP * (len(widths) - 1) > room:
        widest = max((n for n in range(len(widths)) if n not in kept), key=lambda n: widths[n], default=None)
        if widest is None or widths[widest] <= _TEXT_AT_LEAST:
            break
        widths[widest] -= 1
    return widths


def local_time(at_ns: int, zone: ZoneInfo) -> str:
    """`YYYY-MM-DD HH:MM:SS` in the zone, with its short name: what people read (R098)."""
    moment = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).astimezone(zone)
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z")


def duration(ns: int | None) -> str:
    """A duration for people: 1.2 us, 35 ms, 4.0 s."""
    if ns is None:
        return "-"
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)):
        if ns >= size:
            return f"{ns / size:.1f} {unit}"
    return f"{ns} ns"
