"""`kill -9` of the engine at random moments of its life, while the venue lives on and fills its resting orders.

The engine is killed `BULKHEAD_KILLS` times (default 8; 100 in the acceptance), while it is starting, trading or
stopping, and started again on the same data folder each time.  At the end it is stopped in order.  Then the venue's
books, the journal and the files must tell the same story, and the journal must give the same state each time it is
replayed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.scenarios.processes import Engine, audit_files, audit_journal, disagreements, simulator
from tests.scenarios.support import ACCOUNTS

KILLS = int(os.environ.get("BULKHEAD_KILLS", "8"))
SEED = int(os.environ.get("BULKHEAD_KILLS_SEED", "1"))
WITHIN_S = {"starting": 1.5, "trading": 3.0, "stopping": 0.4}
"""How long after the process began, began to trade, or was told to stop, the kill may come."""
ALL_READY = "trading: all"


@pytest.mark.slow
@pytest.mark.req("R058", "R132", "R248", "R276")
def test_killed_again_and_again(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    with simulator(tmp_path, "--rate", "150", "--seed", "1") as sim:
        engine = Engine.prepare(tmp_path, sim.port)
        kills: Counter[str] = Counter()
        for _ in range(KILLS):
            moment = dice.choice(("starting", "trading", "trading", "stopping"))
            with engine.running() as process:
                if moment != "starting":
                    process.wait_for(ALL_READY)
                if moment == "stopping":
                    time.sleep(dice.uniform(0.0, 1.0))
                    process.popen.send_signal(signal.SIGINT)
                time.sleep(dice.uniform(0.0, WITHIN_S[moment]))
                assert moment == "stopping" or process.popen.poll() is None, process.said()
                process.kill()
                kills[moment] += 1
        before = sim.books().fill_count()
        with engine.running() as process:
            process.wait_for(ALL_READY)
            deadline = time.monotonic() + 60
            while sim.books().fill_count() < before + 5:
                assert time.monotonic() < deadline, process.said()
                time.sleep(0.1)
            assert process.stop() == 0, process.said()
        books = sim.books()
        failures = sim.ask("state")["failures"]
    assert kills["trading"]
    assert [order for name in ACCOUNTS for order in books.open_orders[name]] == []
    assert disagreements(books, engine.pictures()) == []
    assert audit_journal(books, engine.journal) == []
    first, second = engine.replayed(), engine.replayed()
    assert first["hash"] == second["hash"]
    assert first == second
    assert audit_files(books, engine) == []
    assert failures == []
    print(f"killed {dict(kills)}; {books.fill_count()} fills, {len(books.arrivals)} orders, hash {first['hash']} twice")
