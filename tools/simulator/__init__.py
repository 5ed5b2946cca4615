"""The venue simulator: a whole exchange on loopback, with the venue's own wire dialect, and able to fail.

As a process: `python -m tools.simulator --help`. Inside a test or another program:

    async with open_simulator(SimulatorConfig(accounts=(demo_account("alpha"),))) as sim:
        ...  # sim.rest_url, sim.ws_api_url, sim.stream_url, sim.strike(Fault(...)), sim.arrivals(id)

It imports nothing of the engine, so that it is an independent judge of it. See `docs/simulator.md`.
"""

from tools.simulator.core.accounts import KeyKind
from tools.simulator.core.capture import CaptureConfig
from tools.simulator.core.clock import ManualClock, SystemClock, TrioClock
from tools.simulator.core.faults import Fault, FaultKind
from tools.simulator.core.generator import GeneratorConfig
from tools.simulator.core.latency import Latency
from tools.simulator.core.limits import LimitConfig
from tools.simulator.core.live import LiveConfig
from tools.simulator.core.model import Side
from tools.simulator.core.server import ServerConfig
from tools.simulator.credentials import Credentials, derive_credentials
from tools.simulator.simulator import (
    AccountConfig,
    Simulator,
    SimulatorConfig,
    demo_account,
    open_simulator,
    serve,
)

__all__ = [
    "AccountConfig",
    "CaptureConfig",
    "Credentials",
    "Fault",
    "FaultKind",
    "GeneratorConfig",
    "KeyKind",
    "Latency",
    "LimitConfig",
    "LiveConfig",
    "ManualClock",
    "ServerConfig",
    "Side",
    "Simulator",
    "SimulatorConfig",
    "SystemClock",
    "TrioClock",
    "demo_account",
    "derive_credentials",
    "open_simulator",
    "serve",
]
