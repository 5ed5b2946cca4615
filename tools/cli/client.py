"""Talks to a running engine over its control socket; synchronous, because a command line asks and prints."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.cli.failure import CommandFailure, EngineAbsent


class Client:
    """One connection to the control socket."""

    def __init__(self, path: Path, timeout_s: float = 30.0) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        self._count = 0
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise EngineAbsent(
                f"no engine serves {path} ({error.strerror or error})",
                "start one with `bulkhead run`, or name its socket with --socket",
            ) from error
        self._lines = self._socket.makefile("rb")

    def close(self) -> None:
        """End the connection."""
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def call(self, verb: str, **args: object) -> Any:
        """The result of one request; `CommandFailure` with the engine's reason when it was refused."""
        reply = self._request(verb, args)
        if not reply.get("ok"):
            raise CommandFailure(str(reply.get("error")), str(reply.get("fix") or ""))
        return reply["result"]

    def stream(self, verb: str, **args: object) -> Iterator[Any]:
        """Events of a streaming request, until the engine closes."""
        self._socket.settimeout(None)
        reply = self._request(verb, args)
        while True:
            if "event" not in reply:
                raise CommandFailure(str(reply.get("error")), str(reply.get("fix") or ""))
            yield reply["event"]
            reply = self._read()

    def _request(self, verb: str, args: dict[str, object]) -> dict[str, Any]:
        self._count += 1
        given = {key: value for key, value in args.items() if value is not None}
        given.setdefault("principal", _user())
        request = {"id": self._count, "verb": verb, "args": given}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise EngineAbsent(f"the engine went away: {error}", "see its log") from error
        return self._read()

    def _read(self) -> dict[str, Any]:
        try:
            text = self._lines.readline()
        except TimeoutError as error:
            raise CommandFailure("the engine did not answer in time", "see `bulkhead inspect`") from error
        except OSError as error:
            raise EngineAbsent(f"the engine went away: {error}", "see its log") from error
        if not text:
            raise EngineAbsent("the engine closed the connection", "see its log")
        reply: dict[str, Any] = json.loads(text)
        return reply


def _user() -> str:
    """Who we say that we are; the engine notes the user id of the connection beside it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        return f"uid {os.getuid()}"
