"""Lines for who watches an engine, written by a thread of their own: trading never waits for a terminal.

A terminal that is held (Ctrl-S), a pager that nobody turns, a full disk, a reader that has gone (`| head -1`): each of
them stops a write, or fails it.  Here a line that finds no room is counted and told later, and an output that is broken
is left alone; the log has everything anyway.

    printer = Printer()
    printer.say("trading")
    printer.close()             # waits a moment for what is still to be written
"""

from __future__ import annotations

import os
import queue
import sys
import threading

import click

_ROOM = 1_000
"""Lines that may wait; some megabyte at most."""
_PATIENCE_S = 2.0


class Printer:
    """Stdout, or nothing where there is none."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_ROOM)
        self._lost = 0
        self.broken = False
        """A write has failed: nothing more is shown."""
        self._encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        self._descriptor = _own_descriptor()
        self._thread = threading.Thread(target=self._write_all, name="printer", daemon=True)
        if self._descriptor is not None:
            self._thread.start()

    def say(self, text: str) -> None:
        """One line; returns at once, whatever becomes of it."""
        if self._descriptor is None:
            click.echo(text)  # no file of the system: a test reads it
            return
        if self._lost:
            text = f"({self._lost} lines could not be shown meanwhile)\n{text}"
        try:
            self._waiting.put_nowait(f"{text}\n".encode(self._encoding, "backslashreplace"))
        except queue.Full:
            self._lost += 1
        else:
            self._lost = 0

    def close(self) -> None:
        """Write what waits, for as long as somebody reads it."""
        if self._descriptor is None:
            return
        try:
            self._waiting.put(None, timeout=_PATIENCE_S)
        except queue.Full:
            return  # nobody reads: the thread ends with the process
        self._thread.join(_PATIENCE_S)
        if not self._thread.is_alive():
            os.close(self._descriptor)

    def _write_all(self) -> None:
        assert self._descriptor is not None
        while (data := self._waiting.get()) is not None:
            while data and not self.broken:
                try:
                    data = data[os.write(self._descriptor, data) :]
                except OSError:
                    self.broken = True  # its reader has gone, or its disk is full: nobody misses these lines


def _own_descriptor() -> int | None:
    """A copy of stdout's, so that no buffer and no lock of `sys.stdout` is held by a write that hangs."""
    try:
        sys.stdout.flush()
        return os.dup(sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):
        return None  # closed, or replaced by something in memory
