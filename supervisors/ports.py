"""The asker's side of a question: a place for exactly one answer."""

from __future__ import annotations

import trio

from supervisors.actor import AskError


class Port:
    """Waits for one answer; further answers are ignored, because the asker may have gone."""

    __slots__ = ("_done", "_error", "_value")

    def __init__(self) -> None:
        self._done = trio.Event()
        self._value: object = None
        self._error: str | None = None

    def deliver(self, value: object, error: str | None = None) -> None:
        """Give the answer, or the reason why there is none."""
        if not self._done.is_set():
            self._value, self._error = value, error
            self._done.set()

    async def wait(self) -> object:
        """The answer; AskError when there is none."""
        await self._done.wait()
        if self._error is not None:
            raise AskError(self._error)
        return self._value
