"""The `bulkhead` command as people run it: as a process of its own, or within this one where only the text matters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from click.testing import CliRunner, Result

from tools.cli.app import cli

BULKHEAD = [sys.executable, "-c", "from tools.cli import main; main()"]
REPO_ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60
"""How long a test waits for what must happen; how fast it is, benchmarks say."""


def environment(data: Path, **more: str) -> dict[str, str]:
    """Ours, without settings of the person who runs the tests, and with a data folder of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("BULKHEAD__")}
    return {**clean, "BULKHEAD__DATA__DIR": str(data), **more}


@attrs.frozen
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


def bulkhead(*words: str, data: Path | None = None, env: Mapping[str, str] | None = None) -> Said:
    """A command within this process: exit code, stdout and stderr apart."""
    given = {key: None for key in os.environ if key.startswith("BULKHEAD__")}
    if data is not None:
        given = {**given, "BULKHEAD__DATA__DIR": str(data)}  # type: ignore[dict-item]
    result: Result = CliRunner().invoke(cli, list(words), env={**given, **(env or {})}, prog_name="bulkhead")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


class Engine:
    """`bulkhead run --plain` in a process of its own; its lines are read from a file, so nothing can block it."""

    def __init__(self, data: Path, *words: str, env: Mapping[str, str] | None = None) -> None:
        self.data = data
        data.mkdir(parents=True, exist_ok=True)
        self._out, self._err = data / "stdout.txt", data / "stderr.txt"
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self.process = subprocess.Popen(
                [*BULKHEAD, "run", "--plain", *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment(data, **(env or {})),
                cwd=REPO_ROOT,
            )

    @property
    def out(self) -> str:
        """Stdout so far."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """Stderr so far."""
        return self._err.read_text()

    def ask(self, *words: str) -> Said:
        """Another command, at this engine."""
        return bulkhead(*words, data=self.data)

    def send(self, number: signal.Signals) -> None:
        """A signal, as Ctrl-C or a service manager sends it."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, when it has ended."""
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def log(self) -> list[dict[str, Any]]:
        """Its structured log, all days."""
        found: list[dict[str, Any]] = []
        for path in sorted((self.data / "logs").rglob("engine.jsonl")):
            found += [json.loads(text) for text in path.read_text().splitlines()]
        return found


def lines(said: Said) -> list[str]:
    """Stdout, line by line, without empty ones."""
    return [text for text in said.out.splitlines() if text.strip()]


def columns(text: str) -> Sequence[str]:
    """The cells of one line of a table."""
    return text.split()
