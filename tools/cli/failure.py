"""How a command says that it could not do what was asked: what is wrong, what would help, and an exit code."""

from __future__ import annotations

from typing import IO, Any

import click

REFUSED, ABSENT, BAD_CONFIG = 1, 3, 4


class CommandFailure(click.ClickException):
    """Refused or failed."""

    exit_code = REFUSED

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix

    def show(self, file: IO[Any] | None = None) -> None:
        """The reason, and the fix on a line of its own."""
        click.echo(f"bulkhead: {self.message}", err=True)
        if self.fix:
            click.echo(f"     fix: {self.fix}", err=True)


class EngineAbsent(CommandFailure):
    """Nobody serves the control socket."""

    exit_code = ABSENT


class BadConfig(CommandFailure):
    """The configuration is unusable."""

    exit_code = BAD_CONFIG
