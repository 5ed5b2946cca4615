"""Nobody who says a line waits for who reads it, and nobody is told a line that he did not get."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tools.cli.printer import Printer


@contextmanager
def piped(encoding: str = "utf-8") -> Iterator[int]:
    """Stdout is a pipe meanwhile: its reading end."""
    reading, writing = os.pipe()
    before = sys.stdout
    with os.fdopen(writing, "w", encoding=encoding) as sys.stdout:
        try:
            yield reading
        finally:
            sys.stdout = before
    os.close(reading)


def test_lines_come_in_order_and_closing_waits_for_the_last() -> None:
    with piped() as pipe:
        printer = Printer()
        for number in range(100):
            printer.say(f"line {number}")
        printer.close()
        assert os.read(pipe, 1 << 16).decode().splitlines() == [f"line {number}" for number in range(100)]


def test_who_is_not_read_does_not_wait_and_says_later_what_was_lost() -> None:
    said, got = 5_000, bytearray()
    with piped() as pipe:
        printer = Printer()
        for number in range(said):
            printer.say(f"{number:>200}")  # far more than a pipe holds: who waited here would wait for ever
        while b"the end" not in got:
            printer.say("the end")
            got.extend(os.read(pipe, 1 << 16))
        printer.close()
    expected = 0
    for line in got.decode().splitlines():
        if note := re.fullmatch(r"\((\d+) lines could not be shown meanwhile\)", line):
            expected += int(note.group(1))
        elif line != "the end":
            assert int(line) == expected, "every line is shown, or counted where it is missing"
            expected += 1
    assert expected >= said
    assert b"could not be shown" in got


def test_a_reader_that_has_gone_is_no_error() -> None:
    with piped() as pipe:
        printer = Printer()
        os.dup2(os.open(os.devnull, os.O_RDONLY), pipe)  # closes what read it
        printer.say("one")
        printer.say("two")
        printer.close()
        assert printer.broken


def test_without_stdout_nothing_is_said(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    printer = Printer()
    printer.say("one")
    printer.close()
    assert capfd.readouterr() == ("", "")


def test_letters_that_the_terminal_does_not_have_are_spelled_out() -> None:
    with piped("ascii") as pipe:
        printer = Printer()
        printer.say("t\u00e9st")
        printer.close()
        assert os.read(pipe, 100) == b"t\\xe9st\n"
