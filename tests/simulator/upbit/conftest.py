"""A simulator without sockets whose clock is moved by hand."""

from __future__ import annotations

import pytest

from tests.simulator.upbit.kit import config
from tools.simulator import Simulator
from tools.simulator.core.clock import ManualClock


@pytest.fixture
def manual_sim() -> Simulator:
    sim = Simulator(config(), ManualClock())
    sim.open_market()
    return sim
