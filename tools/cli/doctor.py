"""`bulkhead doctor`: can this machine, this configuration and this data folder run the engine?"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import click
import trio

from actors.journal.replay import verify
from actors.venue.http import HttpClient
from actors.venue.settings import TransportSettings
from config import Config, ConfigError
from config.schema import SIMULATOR, KeySource, VenueConfig
from protocols.errors import BulkheadError, JournalError
from protocols.venues.registry import VENUES
from supervisors.clock import SystemClock
from tools.cli.common import json_option, load, print_json, profile_options
from tools.cli.failure import CommandFailure
from tools.engine.addresses import address, market_options
from tools.engine.host import SOCKET_PATH_MAX, load_strategies
from tools.engine.keys import load_keys
from tools.engine.summary import counted

_FREE_BYTES_MIN = 1 << 30
_OFFSET_MAX_NS = 500_000_000


@attrs.frozen
class Finding:
    """One check: passed, and if not, what would help."""

    check: str
    ok: bool
    detail: str
    fix: str = ""


@click.command()
@profile_options
@click.option("--no-network", is_flag=True, help="Do not try to reach the venues.")
@json_option
def doctor(profile: str, overrides: tuple[str, ...], no_network: bool, as_json: bool) -> None:
    """Check the machine, the data folder, the journal, strategies, keys, and the venues' addresses and clocks.

    Exit code 1 when a check fails.
    """
    config = load(profile, overrides)
    findings = [*_machine(), *_data(config), _strategies(config), *_keys(config, os.environ)]
    if not no_network:
        findings += _venues(config)
    if as_json:
        print_json({"ok": all(f.ok for f in findings), "checks": [attrs.asdict(f) for f in findings]})
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.ok else 'FAIL'} {finding.check}: {finding.detail}")
            if not finding.ok and finding.fix:
                click.echo(f"     fix: {finding.fix}")
    failed = [f.check for f in findings if not f.ok]
    if failed:
        raise CommandFailure(f"{counted(len(failed), 'check')} failed: {', '.join(failed)}")


def _machine() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")
    ours = Path(__file__).resolve().parents[2]
    for package in ("actors", "config", "protocols", "supervisors", "tools"):
        spec = importlib.util.find_spec(package)
        where = Path(spec.origin).resolve().parent.parent if spec is not None and spec.origin else None
        yield Finding(
            f"package {package}",
            where == ours,
            str(where) if where != ours else "ours",
            "another package of this name shadows ours: use an environment of its own",
        )
    clock = SystemClock()
    now, earlier = clock.wall_ns(), clock.monotonic_ns()
    drift_ns = abs((clock.wall_ns() - now) - (clock.monotonic_ns() - earlier))
    yield Finding("clock steps", drift_ns < 50_000_000, f"{drift_ns} ns between two readings", "check NTP")


def _data(config: Config) -> Iterator[Finding]:
    folder = config.data.dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / ".doctor"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        yield Finding("data folder", False, f"{folder}: {error.strerror}", "choose another with BULKHEAD__DATA__DIR")
        return
    free = shutil.disk_usage(folder).free
    yield Finding("data folder", True, str(folder))
    yield Finding("free space", free >= _FREE_BYTES_MIN, f"{free >> 20} MiB", "the journal needs at least 1 GiB")
    length = len(os.fsencode(config.socket_path))
    yield Finding(
        "control socket path",
        length <= SOCKET_PATH_MAX,
        f"{length} bytes of at most {SOCKET_PATH_MAX}",
        "set [control] socket to a shorter path",
    )
    journal = folder / "journal"
    if journal.is_dir():
        try:
            checked = verify(journal)
        except JournalError as error:
            fix = "damage at the very end: `bulkhead replay --repair`; else put the file back from a copy"
            yield Finding("journal", False, str(error), fix)
        else:
            torn = f"; the next start cuts off {checked.torn}" if checked.torn else ""
            yield Finding("journal", True, f"{checked.records} records, every line checked{torn}")


def _strategies(config: Config) -> Finding:
    try:
        loaded = load_strategies(config)
    except ConfigError as error:
        return Finding("strategies", False, str(error), "correct them; see docs/adding-a-strategy.md")
    return Finding("strategies", True, f"{counted(len(loaded), 'strategy', 'strategies')} loaded")


def _keys(config: Config, env: Mapping[str, str]) -> Iterator[Finding]:
    try:
        keyring = load_keys(config, env)
    except BulkheadError as error:
        yield Finding("keys", False, str(error), "say where the key is kept: docs/configuration.md")
        return
    real = sum(k.source is not KeySource.DEMO for a in config.accounts.values() for k in a.keys.values())
    yield Finding("keys", True, f"{len(keyring.signers)} usable, {real} of them real")


def _venues(config: Config) -> Iterator[Finding]:
    for name, venue in config.venues.items():
        if not venue.enabled:
            continue
        yield Finding(f"{name} hosts", True, _hosts(venue))
        if venue.places["rest_url"] == SIMULATOR:
            continue
        rest_url = address(venue, "rest_url")
        parts = urlsplit(rest_url)
        try:
            socket.getaddrinfo(parts.hostname, parts.port or 443)
        except OSError as error:
            yield Finding(f"{name} address", False, f"{parts.hostname}: {error}", "check DNS and the network")
            continue

        yield trio.run(_venue_clock, name, rest_url, venue)


def _hosts(venue: VenueConfig) -> str:
    """Where the market and the orders are, as of when, in words."""
    environments = VENUES[venue.kind.value].environments
    places = dict.fromkeys((venue.places["stream_url"], venue.places["private_rest_url"]))
    words = [
        f"{place}, hosts as of {environments[place].as_of}" if place in environments else place for place in places
    ]
    return words[0] if len(words) == 1 else f"market {words[0]}; orders {words[1]}"


async def _venue_clock(name: str, url: str, venue: VenueConfig) -> Finding:
    codec = VENUES[venue.kind.value].public(market_options(venue))
    async with HttpClient(url, TransportSettings(), now_ns=SystemClock.wall_ns) as http:
        try:
            reply = await http.request(codec.time_request())
            offset_ns = codec.decode_time(reply) - (reply.sent_ns + reply.received_ns) // 2
        except BulkheadError as error:
            return Finding(f"{name} REST", False, str(error), "check the network and [venues] rest_url")
    exact = codec.capabilities.server_time
    detail = f"reached, clock offset {offset_ns / 1e6:.1f} ms" + ("" if exact else " (it tells whole seconds only)")
    good_enough = abs(offset_ns) < (_OFFSET_MAX_NS if exact else _OFFSET_MAX_NS + 1_000_000_000)
    return Finding(f"{name} clock", good_enough, detail, "synchronize this machine's clock")
