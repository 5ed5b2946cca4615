"""The bundled venues as supervised children: one process for each family, started, watched and ended like any actor.

Its port is chosen once, so that a simulator that died comes back at the same address; what it told anybody it keeps in
the data folder (`state_file`), so that it comes back with the same accounts, in this run and in the next.  Its keys and
first balances travel in a file that only we can read and that is gone with this actor.  It ends when its standard input
ends, so it cannot outlive the engine, however that ends; Ctrl-C does not reach it, because draining needs a venue.
"""

from __future__ import annotations

import json
import pathlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs
import trio

from config.schema import SIMULATOR, Config, MarketSource
from protocols.errors import ConfigError
from protocols.ids import Path
from supervisors.actor import Actor, ReadyWhen
from tools.engine.addresses import address
from tools.engine.keys import DemoCredential
from tools.simulator.core.statefile import StateError, check_state, start_afresh

_SECOND_NS = 1_000_000_000
_IDS_PER_S = 1_000
"""More numbers a second than a simulated symbol uses, and few enough that they fit into any client's integers."""


class SimulatorFailed(Exception):
    """The simulator's process ended, or never became ready; the text holds its last words."""


def simulator_path(family: str) -> Path:
    """Address of the process that plays a family of venues."""
    return f"/simulator/{family}"


def state_file(config: Config, family: str) -> pathlib.Path | None:
    """Where the family's simulator remembers; None where it is told not to."""
    return config.data.dir / "simulator" / f"{family}.sqlite" if config.simulator.remember else None


def check_states(config: Config) -> None:
    """Before anything starts: put aside what is to be forgotten, and read what is to be remembered.

    Raises ConfigError naming the file and the way out.
    """
    for family in simulated(config):
        path = state_file(config, family)
        if path is None or not path.exists():
            continue
        try:
            if config.simulator.fresh:
                start_afresh(path)
            else:
                check_state(path, family)
        except StateError as error:
            raise ConfigError(f"simulator.remember: {error}") from error


def simulated(config: Config) -> Mapping[str, SimulatorAddress]:
    """The families that are played, in the order of their venues, and where: the first at the configured port, the
    others at those that follow; 0 is any free port of the loopback interface."""
    families = dict.fromkeys(v.facts.family for v in config.venues.values() if v.enabled and v.needs_simulator)
    port = config.simulator.port
    return {
        family: SimulatorAddress(port + number) if port else SimulatorAddress.free()
        for number, family in enumerate(families)
    }


@attrs.frozen
class SimulatorAddress:
    """Where a simulator is, or will be."""

    port: int

    @classmethod
    def free(cls) -> Self:
        """At a port that nobody has now."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return cls(probe.getsockname()[1])

    def url(self, scheme: str) -> str:
        """`scheme://127.0.0.1:port`"""
        return f"{scheme}://127.0.0.1:{self.port}"


class SimulatorActor(Actor):
    """Runs the simulator of one family; ready when it serves, crashes when it ends."""

    READY_WHEN = ReadyWhen.TOLD

    def __init__(
        self, config: Config, family: str, address: SimulatorAddress, credentials: Sequence[DemoCredential]
    ) -> None:
        """`credentials`: those of the family."""
        self._config = config
        self._family = family
        self._venues = [v for v in config.venues.values() if v.enabled and v.facts.family == family]
        self._address = address
        self._credentials = credentials
        self._pid = 0
        self._said: dict[str, object] = {}

    async def run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="bulkhead-") as folder:
            accounts = pathlib.Path(folder) / "accounts.json"
            accounts.touch(mode=0o600)
            accounts.write_text(json.dumps(self._accounts()))
            process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "tools.simulator", *self._arguments(accounts)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._pid = process.pid
            try:
                await self._watch(process)
            finally:
                if process.returncode is None:
                    process.terminate()
                    with trio.CancelScope(shield=True), trio.move_on_after(3):
                        await process.wait()
                if process.returncode is None:
                    process.kill()

    def inspect(self) -> Mapping[str, object]:
        return {"pid": self._pid, "port": self._address.port, **self._said}

    async def _watch(self, process: trio.Process) -> None:
        last_words: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, process.stdout)
            nursery.start_soon(_collect, process.stderr, last_words)
            await process.wait()
        raise SimulatorFailed(
            f"the simulator of {self._family} ended with {process.returncode}: {' | '.join(last_words[-3:])}"
        )

    async def _listen(self, stdout: trio.abc.ReceiveStream | None) -> None:
        assert stdout is not None
        buffer = b""
        async for chunk in stdout:
            *lines, buffer = (buffer + chunk).split(b"\n")
            for text in lines:
                said = json.loads(text)
                event = str(said.pop("event", "said"))
                self._said[event] = said
                if event == "state":
                    self.ctx.note("state", f"{said['file']}: {said['said']}")
                if "ready" in self._said:
                    self.ctx.set_ready()

    def _arguments(self, accounts: pathlib.Path) -> list[str]:
        given = self._config.simulator
        symbols = [symbol for venue in self._venues for symbol in venue.symbols]
        state = state_file(self._config, self._family)
        arguments = [
            "--json",
            "--venue",
            self._family,
            "--until-stdin-closes",
            "--port",
            str(self._address.port),
            "--seed",
            str(given.seed),
            "--first-id",  # a venue that comes back without a memory must not number new fills like old ones
            str(self.ctx.now_ns // _SECOND_NS * _IDS_PER_S),
            *(["--accounts", str(accounts)] if self._credentials else []),
            *([] if state is None else ["--state", str(state)]),
        ]
        if given.market is MarketSource.CAPTURE:
            assert given.capture is not None
            arguments += ["--capture", str(given.capture), "--speed", str(given.speed)]
            # The recording begins when we listen, and waits at its snapshot until our books have asked for theirs.
            arguments += ["--wait-subscribers", "1", "--wait-snapshots", "1"]
        else:
            arguments += ["--symbols", ",".join(dict.fromkeys(symbols))]
        if given.market is MarketSource.LIVE:
            arguments += self._upstream()
        low, high = given.order_latency_ms, given.order_latency_ms + given.latency_jitter_ms
        if high:
            arguments += ["--request-latency", f"{low}-{high}"]
        if given.stream_latency_ms:
            arguments += ["--market-latency", str(given.stream_latency_ms)]
        return arguments

    def _upstream(self) -> list[str]:
        """Paper trading: the simulator matches against the market that our own books are fed from."""
        venue = next(v for v in self._venues if v.places["stream_url"] != SIMULATOR)
        return ["--live-rest", address(venue, "rest_url"), "--live-stream", address(venue, "stream_url")]

    def _accounts(self) -> list[dict[str, Any]]:
        """One row for each account: all its keys open the one wallet that it has with the family."""
        rows: dict[str, dict[str, Any]] = {}
        for credential in self._credentials:
            balances = self._config.simulator.balances.get(credential.account, {})
            row = rows.setdefault(
                credential.account,
                {
                    "name": credential.account,
                    "balances": {asset: str(amount) for asset, amount in balances.items()},
                    "keys": [],
                    "passphrase": credential.passphrase,
                    "maker_rate": str(self._config.simulator.maker_fee),
                    "taker_rate": str(self._config.simulator.taker_fee),
                },
            )
            kind, secret = "HMAC", credential.hmac_secret
            if secret is None:
                kind, secret = "ED25519", credential.ed25519_public_pem
            row["keys"].append({"api_key": credential.api_key, "kind": kind, "secret": secret})
        return list(rows.values())


async def _collect(stderr: trio.abc.ReceiveStream | None, lines: list[str]) -> None:
    assert stderr is not None
    async for chunk in stderr:
        lines += chunk.decode(errors="replace").splitlines()
        del lines[:-20]
