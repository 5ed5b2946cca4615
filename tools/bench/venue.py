"""The venue simulator as a process of its own, for benchmarks: no limits, one account, a quiet market."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from tools.simulator import derive_credentials

BENCH_ACCOUNT = "master"
_LIMITS = ("weight=100000000", "raw=100000000", "orders10s=1000000", "orders1d=1000000000", "connections=1000000")


@attrs.frozen
class BenchVenue:
    """A simulator that listens."""

    port: int

    def overrides(self, data: Path) -> dict[str, object]:
        """The demo's configuration, pointed at this simulator, with limits that do not limit."""
        limits: dict[str, object] = {}
        for account in (BENCH_ACCOUNT, "sub1"):
            where = f"accounts.{account}.keys.binance-spot"
            limits |= {
                f"{where}.source": "env",
                f"{where}.api_key_env": "BENCH_KEY",
                f"{where}.secret_env": "BENCH_SECRET",
            }
        for scope in ("risk.firm", f"risk.accounts.{BENCH_ACCOUNT}"):
            limits |= {
                f"{scope}.max_order_notional": "1000000000",
                f"{scope}.max_position_notional": "1000000000",
                f"{scope}.max_exposure": "1000000000",
                f"{scope}.max_open_orders": 100_000,
                f"{scope}.max_orders_per_s": 1_000_000,
                f"{scope}.max_orders_per_day": 1_000_000_000,
                f"{scope}.max_repeats": 1_000_000,
            }
        return {
            "data.dir": str(data),
            "simulator.enabled": False,
            "venues.binance-spot.rest_url": f"http://127.0.0.1:{self.port}",
            "venues.binance-spot.stream_url": f"ws://127.0.0.1:{self.port}",
            "venues.binance-spot.entry_url": f"ws://127.0.0.1:{self.port}",
            "accounts.sub1.enabled": False,
            "strategies.tfpe.enabled": False,
            "strategies.maker-btc.enabled": False,
            "strategies.maker-alt.enabled": False,
            **limits,
        }

    def environment(self) -> dict[str, str]:
        """The bench account's key."""
        keys = derive_credentials(BENCH_ACCOUNT)
        return {"BENCH_KEY": keys.ed25519_key, "BENCH_SECRET": keys.ed25519_private_pem}


@contextmanager
def apart(process_id: int) -> Iterator[None]:
    """Keep the other process off our processor, where there are two.

    A real venue is another machine.  On loopback the kernel likes to wake the receiver on the sender's processor, in
    the middle of the sender's system call: `send` then seems to take as long as the venue's work does.
    """
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        yield
        return
    os.sched_setaffinity(process_id, processors[-1:])
    os.sched_setaffinity(0, processors[:-1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, processors)


@contextmanager
def simulator() -> Iterator[BenchVenue]:
    """Start it, wait until it listens, end it."""
    command = [sys.executable, "-m", "tools.simulator", "--json", "--port", "0", "--demo-account", BENCH_ACCOUNT]
    command += ["--rate", "2", "--burst-every", "0", "--until-stdin-closes"]
    for limit in _LIMITS:
        command += ["--limit", limit]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            with apart(process.pid):
                yield BenchVenue(int(ready["port"]))
        finally:
            process.stdin.close()
            process.wait(10)
