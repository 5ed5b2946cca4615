"""Imports point one way, and decisions stay pure.

The rules are in tests/tidy/imports.py. Here they are held against every file of ours, and against wrong
examples: a rule that accepted its own counterexample would prove nothing.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from protocols.venues.registry import VENUES
from tests.tidy.imports import CLOCK_HOMES, EDGES, HTTPX_HOME, is_decision, layer_of, violations
from tests.tidy.sources import ROOT, python_files, read

FILES = python_files()
CORE = frozenset({"runtime", "actors", "tree", "bulkhead"})


@pytest.mark.req("R257", "R289", "R392")
@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_file_breaks_an_import_rule(path: Path) -> None:
    assert violations(path, read(path)) == []


VENUE_NAMES = re.compile("|".join(sorted({parts.family.partition("-")[0] for parts in VENUES.values()})), re.IGNORECASE)


@pytest.mark.req("R201")
@pytest.mark.parametrize("path", [path for path in FILES if layer_of(path.as_posix()) in CORE], ids=str)
def test_nothing_above_the_codecs_names_a_venue(path: Path) -> None:
    """Neither in a word that is compared nor in an import; a text for readers may give an example."""
    assert named_venues(read(path)) == []


def test_a_venue_that_is_named_would_be_seen() -> None:
    assert len(VENUE_NAMES.pattern.split("|")) == 4
    assert named_venues('if venue == "binance-spot":\n    wait = 1') == ["binance-spot"]
    assert named_venues("from protocols.venues.okx import public") == ["protocols.venues.okx"]
    assert named_venues("from protocols.venues import upbit") == ["upbit"]
    assert named_venues('"""As on Bybit."""\nlimit = 5') == []


def named_venues(source: str) -> list[str]:
    """Texts and imports of a module that name a venue; what only explains is left out."""
    tree = ast.parse(source)
    explains = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    words: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explains:
            words.append(node.value)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            words += [alias.name for alias in node.names]
            words += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return [word for word in words if VENUE_NAMES.search(word)]


@pytest.mark.req("R252")
def test_every_layer_has_files_under_test() -> None:
    layers = {layer_of(path.as_posix()) for path in FILES}
    assert layers >= {"protocols", "config", "runtime", "actors", "bulkhead", "tools", "tests"}


@pytest.mark.parametrize(
    "path, source",
    [
        # direction
        ("protocols/orders.py", "from actors.account import core"),
        ("protocols/orders.py", "import config"),
        ("protocols/venues/binance_spot/codec.py", "from supervisors.actor import Actor"),
        ("config/schema.py", "from protocols.enums import Side"),
        ("config/schema.py", "import actors.account"),
        ("supervisors/actor.py", "from actors.account.actor import AccountActor"),
        ("supervisors/actor.py", "from config.schema import EngineConfig"),
        ("supervisors/registry.py", "from supervisors.tree import build"),
        ("supervisors/registry.py", "from supervisors import tree"),
        ("supervisors/tree.py", "from tools.cli import main"),
        ("actors/venue/session.py", "from tools.simulator import Simulator"),
        ("actors/venue/session.py", "import tools.simulator.server as server"),
        ("actors/venue/session.py", "from supervisors.tree import build"),
        ("actors/venue/session.py", "import bulkhead"),
        ("actors/venue/session.py", "import importlib\nimportlib.import_module('tools.cli')"),
        ("actors/venue/session.py", "def f():\n    from tools.cli import main"),
        ("bulkhead.py", "from tools.cli import main"),
        ("tools/cli.py", "from tests.conftest import data_dir"),
        ("tools/simulator/core/book.py", "from protocols.enums import Side"),
        ("tools/simulator/core/book.py", "from actors.book.levels import Levels"),
        ("tools/simulator/core/book.py", "from tools import requirements"),
        ("docs/examples/dip_buyer.py", "from actors.strategy.base import Strategy"),
        # purity of protocols
        ("protocols/orders.py", "import trio"),
        ("protocols/orders.py", "import time"),
        ("protocols/orders.py", "from time import time_ns"),
        ("protocols/orders.py", "import random"),
        ("protocols/orders.py", "import os.path"),
        ("protocols/orders.py", "import socket"),
        ("protocols/orders.py", "import threading"),
        ("protocols/orders.py", "import asyncio"),
        ("protocols/orders.py", "import httpx"),
        ("protocols/orders.py", "import secrets"),
        ("protocols/orders.py", "import uuid"),
        ("protocols/orders.py", "from urllib import request"),
        ("protocols/orders.py", "import urllib.request"),
        ("protocols/orders.py", "async def f() -> None: ..."),
        ("protocols/orders.py", "def f():\n    print('x')"),
        # purity of decisions
        ("actors/account/core.py", "import socket"),
        ("actors/book/core.py", "import os"),
        ("actors/risk/gate.py", "import time"),
        ("actors/router/core.py", "import random"),
        ("actors/portfolio/core.py", "import trio"),
        ("actors/strategy/tfpe.py", "import subprocess"),
        ("actors/strategy/tfpe.py", "import threading"),
        ("actors/market/candles.py", "from pathlib import Path"),
        ("actors/risk/gate.py", "def f():\n    return open('limits')"),
        ("actors/risk/gate.py", "import structlog"),
        ("actors/account/core.py", "async def f(): ..."),
        ("actors/risk/actor.py", "class A:\n    async def receive(self, message): ..."),
        ("actors/risk/actor.py", "import trio"),
        ("actors/risk/actor.py", "import time"),
        ("actors/account/core.py", "if TYPE_CHECKING:\n    import trio"),
        # single homes
        ("tools/download.py", "import httpx"),
        ("actors/venue/public.py", "from httpx import AsyncClient"),
        ("actors/venue/public.py", "import time\nnow = time.time_ns()"),
        ("actors/journal/writer.py", "from time import time"),
        ("tools/report.py", "from datetime import datetime\ndatetime.now()"),
        ("tools/report.py", "import datetime\ndatetime.datetime.utcnow()"),
        ("tools/report.py", "from datetime import date\ndate.today()"),
    ],
)
def test_each_rule_catches_its_counterexample(path: str, source: str) -> None:
    assert violations(path, source), f"accepted at {path}: {source}"


@pytest.mark.parametrize(
    "path, source",
    [
        ("protocols/orders.py", "from protocols.enums import Side\nfrom urllib.parse import quote"),
        ("supervisors/actor.py", "import trio\nfrom protocols.base import message"),
        ("supervisors/tree.py", "from actors.account.actor import AccountActor\nimport config"),
        ("docs/examples/dip_buyer.py", "from bulkhead import Strategy"),
        ("tools/cli/run.py", "from tools.simulator import serve\nfrom tools import simulator"),
        ("actors/venue/session.py", "import trio\nfrom supervisors.actor import Actor"),
        ("actors/account/core.py", "from decimal import Decimal\nfrom protocols.orders import Side"),
        (
            "actors/risk/actor.py",
            "class A:\n    async def started(self):\n        await self.ctx.ask('/journal', q, 1)",
        ),
        ("tools/bench.py", "import time\ntime.perf_counter_ns()\nfrom supervisors.tree import build"),
        (HTTPX_HOME, "import httpx"),
        (min(CLOCK_HOMES), "import time\ntime.time_ns()"),
    ],
)
def test_the_rules_accept_what_is_right(path: str, source: str) -> None:
    assert violations(path, source) == []


def test_every_edge_exists_and_needs_what_it_is_allowed() -> None:
    """A table of exceptions rots: an edge that no longer needs its permission must lose it."""
    for name, edge in EDGES.items():
        assert is_decision(name), f"{name} is in no decision folder and needs no edge"
        assert (ROOT / name).is_file(), f"{name} is gone; remove its edge"
        assert edge.reason, f"{name} gives no reason"
        source = read(Path(name))
        assert not edge.may_await or "async " in source, f"{name} no longer awaits"
        for module in edge.may_import:
            assert module in source, f"{name} no longer uses {module}"
