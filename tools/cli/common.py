"""Options and output that many commands share."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config import Config, ConfigError, load_config, profile_names
from tools.cli.client import Client
from tools.cli.failure import BadConfig

_PIPE_WIDTH = 10_000

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

    A terminal cuts what is too wide for it, or wraps it in columns that are `wrapped`; a pipe or file gets everything.
    """
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        number = column in right
        table.add_column(column, justify="right" if number else "left", no_wrap=number, header_style="dim")
    for row in rows:
        table.add_row(
            *(
                Text(str(cell)) if column in wrapped else Text(str(cell), no_wrap=True, overflow="ellipsis")
                for column, cell in zip(columns, row, strict=True)
            )
        )
    if not table.row_count:
        click.echo(f"{title}: {empty}" if title else empty)
        return
    terminal = is_terminal()
    with StringIO() as drawn:
        Console(file=drawn, width=None if terminal else _PIPE_WIDTH, force_terminal=terminal).print(table)
        click.echo("\n".join(text.rstrip() for text in drawn.getvalue().splitlines()))


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
