"""The command group; the modules of heavier commands are imported when they are used."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from difflib import get_close_matches

import click

from bulkhead import __version__
from tools.cli.failure import REFUSED

_OUTPUT_FAILED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a write to stdout fails with; a reader that has gone (EPIPE) is an ordinary end."""

_COMMANDS = {
    "run": ("tools.cli.run", "run", "Run the engine (default: the demo, on the bundled simulator)."),
    "sim": ("tools.cli.simulate", "sim", "Run only the venue simulator."),
    "status": ("tools.cli.trading", "status", "One look at the running engine."),
    "inspect": ("tools.cli.inspection", "inspect", "Show the supervision tree, or one actor."),
    "tap": ("tools.cli.inspection", "tap", "Print an actor's messages as they come."),
    "events": ("tools.cli.inspection", "events", "What deserved attention lately."),
    "actor": ("tools.cli.inspection", "actor", "Restart, pause, resume or crash one actor."),
    "orders": ("tools.cli.trading", "orders", "Live orders of all accounts."),
    "positions": ("tools.cli.trading", "positions", "Positions per strategy."),
    "balances": ("tools.cli.trading", "balances", "Balances as the venues state them."),
    "pnl": ("tools.cli.trading", "pnl", "Profit per account, strategy and symbol."),
    "risk": ("tools.cli.trading", "risk", "Trading state, exposure and limits."),
    "kill": ("tools.cli.trading", "kill", "Stop trading now (one step)."),
    "unkill": ("tools.cli.trading", "unkill", "Allow trading again (two steps)."),
    "stop": ("tools.cli.trading", "stop", "Drain and stop the engine."),
    "replay": ("tools.cli.journal", "replay", "Rebuild state from the journal and print its hash."),
    "record": ("tools.cli.record", "record", "Record a venue's public streams."),
    "download": ("tools.cli.data", "download", "Fetch candles from a venue's history."),
    "data": ("tools.cli.data", "data", "Check captures and candle files."),
    "venues": ("tools.cli.venues", "venues", "What the venues can do, and where they are."),
    "doctor": ("tools.cli.doctor", "doctor", "Check the machine, the configuration and the data folder."),
    "bench": ("tools.cli.bench", "bench", "Measure the engine on this machine."),
    "config": ("tools.cli.configuration", "config", "Check or show the configuration."),
}


class _LazyGroup(click.Group):
    """Commands by name, imported on first use, so that `--help` and short commands start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry[0]), entry[1])
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in _COMMANDS and not word.startswith("-"):
            alike = [name for name in _COMMANDS if name.startswith(word) or word.startswith(name)]
            alike = alike or get_close_matches(word, _COMMANDS, n=1)
            hint = f" Did you mean {alike[0]!r}?" if alike else ""
            ctx.fail(f"No such command {word!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bulkhead")
def cli() -> None:
    """Bulkhead: a supervised trading engine.

    `bulkhead run` starts the demo: two accounts and three strategies on a simulated venue, no network, no keys.
    In a second terminal, `bulkhead inspect` shows the tree and `bulkhead actor restart PATH` ends one of its actors.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no engine is running, 4 unusable configuration.
    """


def main() -> None:
    """Entry point of the `bulkhead` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without our letters is no reason to fail
    try:
        cli(prog_name="bulkhead")
    except OSError as error:
        if error.filename is not None or error.errno not in _OUTPUT_FAILED:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what Python still holds would fail again at the exit
        click.echo(f"bulkhead: the output cannot be written: {error.strerror}", err=True)
        sys.exit(REFUSED)
