"""The house rules, held against every file of ours and against their own counterexamples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tidy import rules
from tests.tidy.sources import python_files, read, text_files

Rule = Callable[[str, str], list[str]]

# What quotes the things that the rules forbid.
QUOTES = frozenset({"tests/tidy/test_tidy.py"})


@pytest.mark.parametrize(
    "rule",
    [
        rules.unfinished,
        pytest.param(rules.machine_path, marks=pytest.mark.req("R114")),
        rules.registry,
        pytest.param(rules.secret, marks=pytest.mark.req("R161")),
        rules.broken_link,
    ],
    ids=lambda rule: rule.__name__,
)
def test_every_text_file_keeps_the_rule(rule: Rule) -> None:
    files = [path for path in text_files() if path.as_posix() not in QUOTES]
    assert [line for path in files for line in rule(path.as_posix(), read(path))] == []


@pytest.mark.parametrize(
    "rule",
    [
        rules.too_long,
        rules.no_docstring,
        rules.silent_except,
        rules.float_near_money,
        rules.mutable_global,
        rules.prints,
        rules.untyped,
        rules.cannot_fail,
    ],
    ids=lambda rule: rule.__name__,
)
def test_every_python_file_keeps_the_rule(rule: Rule) -> None:
    files = [path for path in python_files() if path.as_posix() not in QUOTES]
    assert [line for path in files for line in rule(path.as_posix(), read(path))] == []


def test_the_rules_see_the_repository() -> None:
    """A walk that finds nothing would keep every rule."""
    names = {path.as_posix() for path in text_files()}
    assert {"Makefile", "pyproject.toml", "README.md", ".ci/run", "docs/requirements.md"} <= names
    assert {"bulkhead.py", "protocols/__init__.py", "tests/conftest.py"} <= {path.as_posix() for path in python_files()}
    assert not any(part.startswith((".venv", "__pycache__")) for name in names for part in Path(name).parts)


DOC = '"""What it is."""\n'
WORK, HOME = "work", "home"
"""Names at a machine's root, which are none within a relative path or an address."""
LONG = "x = 1\n" * (rules.MAX_LINES + 1)


@pytest.mark.parametrize(
    "rule, path, text",
    [
        (rules.too_long, "tools/x.py", DOC + LONG),
        (rules.too_long, "tests/test_x.py", DOC + LONG + LONG),
        (rules.unfinished, "tools/x.py", "# TODO later"),
        (rules.unfinished, "docs/x.md", "FIXME: write"),
        (rules.machine_path, "docs/x.md", "see " + "/home" + "/somebody/notes"),
        (rules.machine_path, "tools/x.py", "open('" + "/root" + "/.ssh/id')"),
        (rules.machine_path, "tools/x.py", 'DATA = "' + "/work" + '/data"'),
        (rules.registry, "requirements.lock", "--index-url https://example.invalid/simple"),
        (rules.registry, "README.md", "from https://pypi.org/project/trio"),
        (rules.registry, "requirements.lock", "--find-links wheels"),
        (rules.no_docstring, "tools/x.py", "x = 1\n"),
        (rules.no_docstring, "tools/__init__.py", "x = 1\n"),
        (rules.secret, "tools/x.py", "-----BEGIN " + "PRIVATE KEY-----"),
        (rules.secret, "docs/x.md", "key: " + "aB3" * 21 + "x"),
        (rules.broken_link, "docs/x.md", "[a page](nowhere.md)"),
        (rules.broken_link, "README.md", "[a page](docs/nowhere.md#part)"),
        (rules.untyped, "tools/x.py", "def f(x) -> None: ...\n"),
        (rules.untyped, "tools/x.py", "def f(x: int): ...\n"),
        (rules.untyped, "actors/x.py", "class A:\n    async def f(self, *xs, **ys) -> None: ...\n"),
        (rules.silent_except, "tools/x.py", "try:\n    f()\nexcept:\n    raise\n"),
        (rules.silent_except, "tools/x.py", "try:\n    f()\nexcept Exception:\n    log('x')\n"),
        (rules.silent_except, "tools/x.py", "try:\n    f()\nexcept (OSError, Exception):\n    x = 1\n"),
        (rules.silent_except, "tools/x.py", "try:\n    f()\nexcept OSError:\n    pass\n"),
        (
            rules.silent_except,
            "tools/x.py",
            "for x in y:\n    try:\n        f()\n    except OSError:\n        continue\n",
        ),
        (rules.silent_except, "tools/x.py", "try:\n    f()\nexcept OSError:\n    ...\n"),
        (rules.float_near_money, "protocols/orders.py", "FEE = 0.001\n"),
        (rules.float_near_money, "protocols/positions.py", "def f(qty: float) -> None: ...\n"),
        (rules.float_near_money, "actors/account/core.py", "x = float(qty)\n"),
        (rules.float_near_money, "actors/risk/gate.py", "x = price * 1e-8\n"),
        (rules.mutable_global, "actors/x.py", "orders = {}\n"),
        (rules.mutable_global, "actors/x.py", "seen: set[str] = set()\n"),
        (rules.mutable_global, "actors/x.py", "def f():\n    global count\n    count = 1\n"),
        (rules.prints, "actors/x.py", "print('x')\n"),
        (rules.cannot_fail, "tests/test_x.py", "def test_a():\n    f()\n"),
        (rules.cannot_fail, "tests/test_x.py", "async def test_a():\n    await f()\n"),
        (rules.cannot_fail, "tests/test_x.py", "def test_a():\n    assert True\n"),
        (rules.cannot_fail, "tests/test_x.py", "def agree(a):\n    return a\ndef test_a():\n    agree(1)\n"),
    ],
)
def test_each_rule_catches_its_counterexample(rule: Rule, path: str, text: str) -> None:
    assert len(rule(path, text)) == 1


@pytest.mark.parametrize(
    "rule, path, text",
    [
        (rules.too_long, "tools/x.py", '"""What it is.\n\nOne file because it is one table.\n"""\n' + LONG),
        (rules.too_long, "tests/test_x.py", DOC + LONG),
        (rules.unfinished, "tools/x.py", "todo = 1  # our own word for open orders"),
        (rules.machine_path, "docs/x.md", f"see ../shared/{WORK}/data and https://a.invalid/{HOME}/x"),
        (rules.registry, "requirements.lock", "trio==0.35.0 --hash=sha256:00"),
        (rules.no_docstring, "tools/x.py", DOC),
        (rules.no_docstring, "tests/x/__init__.py", ""),
        (rules.secret, "requirements.lock", "--hash=sha256:" + "0a" * 32),
        (rules.secret, "tools/x.py", "f(" + "aB3" * 30 + ")"),
        (rules.broken_link, "docs/x.md", "[a](requirements.md) [b](https://example.invalid/x.md) [c](#part)"),
        (rules.untyped, "tools/x.py", "class A:\n    def f(self, x: int, *, y: str = '') -> None: ...\n"),
        (rules.silent_except, "tools/x.py", "try:\n    f()\nexcept Exception:\n    raise\n"),
        (rules.silent_except, "tools/x.py", "try:\n    f()\nexcept Exception as error:\n    crash(error)\n"),
        (rules.silent_except, "tools/x.py", "try:\n    f()\nexcept OSError:\n    pass  # gone already\n"),
        (rules.silent_except, "tools/x.py", "try:\n    f()\nexcept OSError:\n    x = None\n"),
        (rules.float_near_money, "protocols/orders.py", "def f(qty: Decimal) -> int: ...\n"),
        (rules.float_near_money, "tools/bench.py", "x = 0.5\n"),
        (rules.mutable_global, "actors/x.py", "LIMITS = {}\n__all__ = ['x']\nx = (1, 2)\n"),
        (rules.prints, "tools/cli.py", "print('x')\n"),
        (rules.cannot_fail, "tests/test_x.py", "def test_a():\n    with pytest.raises(OSError):\n        f()\n"),
        (rules.cannot_fail, "tests/test_x.py", "def test_a():\n    assert f() == 1\n"),
        (rules.cannot_fail, "tests/test_x.py", "def test_a():\n    book.check_invariants()\n"),
        (rules.cannot_fail, "tests/test_x.py", "def agree(a):\n    assert a == 1\ndef test_a():\n    agree(1)\n"),
        (rules.cannot_fail, "tests/helpers.py", "def test_a():\n    f()\n"),
    ],
)
def test_the_rules_accept_what_is_right(rule: Rule, path: str, text: str) -> None:
    assert rule(path, text) == []
