"""Which of our modules may import what: the direction of imports, and the purity of decisions.

Imports point one way:

    tools -> supervisors/tree* -> actors -> supervisors (runtime) -> protocols
    config: read by the tree, the actors' edges and the tools; imports nothing of ours
    tools/simulator: run by the tools; imports nothing of ours

Two kinds of code are *pure*: all of `protocols` (messages and sans-I/O codecs) and the decisions in the actors'
folders of `DECISIONS`. Pure code cannot reach a clock, a file, a socket, a random number, a thread or a log,
and cannot await. In a decision folder two kinds of module are not quite pure:

* the *shell*, `actor.py`: its `started` asks the journal and the venue through the runtime, so it may await;
  `receive` and `answer` may not, and the world stays out of reach;
* an *edge*: it is in `EDGES` with exactly what it may use and why, so that every hole in the wall is written
  down here.

`violations` is a pure function of a path and a source text: the tests feed it our files, and wrong examples.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import attrs

OURS = frozenset({"actors", "supervisors", "protocols", "config", "tools", "tests", "bulkhead"})

# What each layer may import of ours. `runtime` is `supervisors` without its tree modules.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "protocols": frozenset({"protocols"}),
    "config": frozenset({"config"}),
    "runtime": frozenset({"runtime", "protocols"}),
    "actors": frozenset({"actors", "runtime", "protocols", "config"}),
    "tree": frozenset({"tree", "actors", "runtime", "protocols", "config"}),
    "bulkhead": frozenset({"actors", "runtime", "protocols", "config"}),
    # The simulator judges the engine, so it shares no code with it: not a type, not a rounding rule.
    "simulator": frozenset({"simulator"}),
    # Examples for users: the public face has to be enough for them.
    "docs": frozenset({"bulkhead"}),
    "tools": frozenset({"tools", "simulator", "bulkhead", "tree", "actors", "runtime", "protocols", "config"}),
    "tests": frozenset({"tests", "tools", "simulator", "bulkhead", "tree", "actors", "runtime", "protocols", "config"}),
}

# Whatever reaches outside the process or differs between two runs of the same input.
WORLD = frozenset(
    {
        "asyncio",
        "concurrent",
        "http",
        "httpx",
        "importlib",
        "io",
        "logging",
        "mmap",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "requests",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
        "structlog",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "trio",
        "trio_websocket",
        "urllib.request",
        "uuid",
        "websockets",
    }
)
WORLD_CALLS = frozenset({"open", "print", "input", "breakpoint", "__import__", "exec", "eval"})
WALL_CLOCK_IN_TIME = frozenset({"time", "time_ns", "localtime", "gmtime", "ctime", "clock_gettime", "clock_gettime_ns"})
WALL_CLOCK_IN_DATETIME = frozenset({"now", "utcnow", "today"})

# The folders of actors whose modules decide.
DECISIONS = ("account", "book", "market", "portfolio", "risk", "router", "strategy")


@attrs.frozen(kw_only=True)
class Edge:
    """A module in a decision folder that touches the world: what it may use, and the reason."""

    may_import: frozenset[str] = frozenset()
    may_await: bool = False
    reason: str


EDGES: dict[str, Edge] = {
    "actors/strategy/loader.py": Edge(
        may_import=frozenset({"importlib", "pathlib", "sys"}),
        reason="loads users' strategies by file path or entry point, before anything runs",
    ),
    "actors/market/backbone.py": Edge(
        may_import=frozenset({"trio"}),
        may_await=True,
        reason="a session: asks REST and waits for streams beside its mailbox; what it decides by is in its neighbors",
    ),
    "actors/market/desk.py": Edge(may_await=True, reason="an actor that is not alone in its folder; `started` alone"),
    "actors/market/pictures.py": Edge(may_await=True, reason="the backbone's way from memory to REST to the stream"),
    "actors/market/fetch.py": Edge(
        may_import=frozenset({"trio"}), may_await=True, reason="the backbone's way to REST, under deadlines"
    ),
    "actors/market/paging.py": Edge(
        may_await=True, reason="several questions to REST in a row, each asked by its caller"
    ),
    "actors/market/api.py": Edge(
        may_import=frozenset({"trio"}),
        may_await=True,
        reason="the face for code outside of the actors: generators and awaitable questions",
    ),
}
SHELL = Edge(may_await=True, reason="restores and reconciles in `started`, through its context")
SYNCHRONOUS = frozenset({"receive", "answer", "inspect"})

# The one wrapper around httpx: its defaults (no environment, capped logs, signed queries) must hold for all.
HTTPX_HOME = "actors/venue/http.py"
# The places that read wall time: everything else is handed a clock, so that tests and replays can set it.
CLOCK_HOMES: dict[str, str] = {
    "supervisors/clock.py": "the engine's one clock",
    "tools/simulator/core/clock.py": "the simulated venue's own clock, which a test may set off the engine's",
}


def layer_of(path: str) -> str:
    """The layer of a file, by its path relative to the repository."""
    parts = PurePosixPath(path).parts
    if parts[0] == "bulkhead.py":
        return "bulkhead"
    if parts[0] == "supervisors":
        return "tree" if len(parts) > 1 and parts[1].startswith("tree") else "runtime"
    if parts[:2] == ("tools", "simulator"):
        return "simulator"
    return parts[0]


def is_decision(path: str) -> bool:
    """True for a module in one of the decision folders, edges included."""
    parts = PurePosixPath(path).parts
    return parts[0] == "actors" and len(parts) > 2 and parts[1] in DECISIONS


def violations(path: Path | str, source: str) -> list[str]:
    """Every import rule that this source breaks at this path, as `path:line: what is wrong`."""
    name = PurePosixPath(path).as_posix()
    tree = ast.parse(source, filename=name)
    found = [*_direction(name, tree), *_single_homes(name, tree)]
    if layer_of(name) == "protocols":
        found += _purity(name, tree, Edge(reason="none"))
    elif is_decision(name):
        shell = PurePosixPath(name).name == "actor.py"
        found += _purity(name, tree, EDGES.get(name, SHELL if shell else Edge(reason="none")))
    return sorted(found)


def _direction(name: str, tree: ast.Module) -> Iterator[str]:
    own = layer_of(name)
    for line, module in imported(tree):
        top = module.partition(".")[0]
        if top in OURS:
            layer = layer_of(module.replace(".", "/") if top != "bulkhead" else "bulkhead.py")
            if layer not in MAY_IMPORT[own]:
                yield f"{name}:{line}: {own} may not import {module} ({layer})"


def _single_homes(name: str, tree: ast.Module) -> Iterator[str]:
    if layer_of(name) == "tests":
        return
    if name != HTTPX_HOME:
        for line, module in imported(tree):
            if module.partition(".")[0] in {"httpx", "httpcore", "requests"}:
                yield f"{name}:{line}: only {HTTPX_HOME} speaks HTTP through {module}"
    if name not in CLOCK_HOMES:
        for line, call in _wall_clock_reads(tree):
            yield f"{name}:{line}: {call} reads wall time: ask the clock you were given"


def _purity(name: str, tree: ast.Module, edge: Edge) -> Iterator[str]:
    for line, module in imported(tree):
        top = module.partition(".")[0]
        world = top if top in WORLD else module if module in WORLD else None
        if world is not None and world not in edge.may_import:
            yield f"{name}:{line}: pure code may not import {module}"
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=called)) if called in WORLD_CALLS and called not in edge.may_import:
                yield f"{name}:{node.lineno}: pure code may not call {called}()"
            case ast.AsyncFunctionDef(name=hook) if hook in SYNCHRONOUS:
                yield f"{name}:{node.lineno}: {hook} decides, and deciding does not await"
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith() if not edge.may_await:
                yield f"{name}:{node.lineno}: pure code does not await"


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every module that the file imports, with its line; `from a import b` counts as `a.b` where `b` may be a module.

    Naming the submodule makes `from supervisors import tree` and `from urllib import request` visible.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                if module in {"supervisors", "tools", "urllib"}:
                    yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
                else:
                    yield node.lineno, module
            case ast.ImportFrom():
                yield node.lineno, "." * node.level + (node.module or "")
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(module)), *_]):
                yield node.lineno, module


def _wall_clock_reads(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr=attr) if attr in WALL_CLOCK_IN_TIME:
                yield node.lineno, f"time.{attr}"
            case ast.ImportFrom(module="time", names=names):
                for alias in names:
                    if alias.name in WALL_CLOCK_IN_TIME:
                        yield node.lineno, f"time.{alias.name}"
            case ast.Attribute(value=ast.Name(id=owner), attr=attr) if (
                owner in {"datetime", "date"} and attr in WALL_CLOCK_IN_DATETIME
            ):
                yield node.lineno, f"{owner}.{attr}"
            case ast.Attribute(value=ast.Attribute(attr=owner), attr=attr) if (
                owner in {"datetime", "date"} and attr in WALL_CLOCK_IN_DATETIME
            ):
                yield node.lineno, f"{owner}.{attr}"
