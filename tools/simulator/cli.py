"""Command line of the simulator: `python -m tools.simulator`, and what `bulkhead sim` calls.

Exit codes: 0 stopped or replay done, 2 wrong arguments or unreadable files, 1 the port cannot be had.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import attrs
import trio

from tools.simulator.core import families
from tools.simulator.core.accounts import KeyKind
from tools.simulator.core.capture import CaptureConfig
from tools.simulator.core.dialect import Family
from tools.simulator.core.faults import Fault, FaultKind
from tools.simulator.core.generator import GeneratorConfig
from tools.simulator.core.latency import Latency
from tools.simulator.core.live import FeedBroken, LiveConfig, fetch
from tools.simulator.core.server import ServerConfig
from tools.simulator.core.statefile import StateError
from tools.simulator.simulator import DEFAULT_VENUE, AccountConfig, Simulator, SimulatorConfig, demo_account


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults that say something: none of None, False and empty lists."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        return action.help if default is None or default is False or default == [] else super()._get_help_string(action)


def build_parser() -> argparse.ArgumentParser:
    """All options, each with what it does and an example where the form is not obvious."""
    parser = argparse.ArgumentParser(
        prog="bulkhead sim",
        description="A simulated venue on loopback: its REST, streams and order entry on one port.",
        formatter_class=_Help,
    )
    add = parser.add_argument
    add("--venue", default=DEFAULT_VENUE, metavar="FAMILY", help=f"one of {', '.join(families.available())}")
    add("--host", default="127.0.0.1", help="address to listen on; keep it loopback")
    add("--port", type=int, default=9443, help="port; 0 takes a free one")
    add("--seed", type=int, default=1, help="seed of market, keys, latency and faults")
    add("--first-id", type=int, default=1, help="where the venue's numbers of orders, trades and updates begin")
    add(
        "--until-stdin-closes",
        action="store_true",
        help="stop when standard input ends: with the program that began it",
    )
    add("--json", action="store_true", help="print one JSON line with the addresses when ready, one at the end")
    add("--symbols", help="comma-separated, 'all' for all known; default: the venue's usual; ignored with --capture")
    add("--exchange-info", type=Path, help="file with the venue's own list to take the instruments from")
    add("--price", action="append", default=[], metavar="SYMBOL=PRICE", help="where a generated symbol starts")
    _add_markets(parser)
    _add_accounts(parser)
    _add_trouble(parser)
    return parser


def _add_markets(parser: argparse.ArgumentParser) -> None:
    """Where prices come from: one of three."""
    market = parser.add_argument_group("generated market")
    market.add_argument("--rate", type=float, default=40.0, help="events a second and symbol")
    market.add_argument(
        "--burst-every", type=float, default=30.0, metavar="S", help="mean time between bursts, 0 = none"
    )
    market.add_argument("--gap-probability", type=float, default=0.0, help="chance that a change of a book is lost")
    replay = parser.add_argument_group("recorded market")
    replay.add_argument("--capture", type=Path, help="capture-jsonl v1 file, plain or .gz")
    replay.add_argument("--speed", default="1", help="factor, or 'max' for as fast as the subscribers can")
    replay.add_argument("--wait-subscribers", type=int, default=0, metavar="N", help="start when N connections listen")
    replay.add_argument(
        "--wait-snapshots",
        type=int,
        default=0,
        metavar="N",
        help="pause at the recorded snapshot until N depth requests came",
    )
    replay.add_argument(
        "--hold-after-loss",
        type=int,
        default=0,
        metavar="N",
        help="N messages after a depth message was dropped by a fault: pause until depth was asked for",
    )
    replay.add_argument("--exit-when-done", action="store_true", help="end after the last frame")
    live = parser.add_argument_group("live market")
    live.add_argument(
        "--live-rest", metavar="URL", help="match against this venue's market: its public REST, https://..."
    )
    live.add_argument("--live-stream", metavar="URL", help="the same venue's public streams, wss://...")


def _add_accounts(parser: argparse.ArgumentParser) -> None:
    """Who trades, and whether that is remembered."""
    accounts = parser.add_argument_group("accounts")
    accounts.add_argument(
        "--demo-account",
        action="append",
        default=[],
        metavar="NAME",
        help="account with keys derived from name and seed",
    )
    accounts.add_argument(
        "--accounts",
        type=Path,
        help="JSON file: a list of {name, balances, keys: [{api_key, kind, secret}], passphrase?}",
    )
    accounts.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="remember accounts, orders and trades in this file; what was acknowledged survives any end of the process",
    )
    accounts.add_argument(
        "--fresh", action="store_true", help="begin anew: what the state file holds is put aside as FILE.before"
    )
    accounts.add_argument("--show-keys", action="store_true", help="print the demo accounts' keys when ready")


def _add_trouble(parser: argparse.ArgumentParser) -> None:
    """Faults, delays, limits, and how long connections live."""
    trouble = parser.add_argument_group("trouble")
    trouble.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[,NAME=VALUE...]",
        help="e.g. drop,match=*@depth*,count=3; kinds: " + ", ".join(kind.value for kind in FaultKind),
    )
    for name in ("request", "reply"):
        trouble.add_argument(f"--{name}-latency", default="0", metavar="MS[-MS]", help=f"delay of every {name}")
    for name in ("event", "market"):
        trouble.add_argument(
            f"--{name}-latency", type=float, default=0.0, metavar="MS", help=f"delay of every {name} message"
        )
    trouble.add_argument(
        "--limit", action="append", default=[], metavar="NAME=N", help="0 = off; a wrong name lists the venue's names"
    )
    trouble.add_argument(
        "--ping-every", type=float, metavar="S", help="server ping interval, 0 = none; default: the venue's"
    )
    trouble.add_argument("--pong-within", type=float, metavar="S", help="patience for the pong; default: the venue's")
    trouble.add_argument(
        "--lifetime", type=float, default=86_400.0, metavar="S", help="age at which connections are closed"
    )


def read_accounts(path: Path) -> list[AccountConfig]:
    """Accounts from a JSON file. Raises ValueError naming file and entry."""
    try:
        rows = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from None
    accounts: list[AccountConfig] = []
    for number, row in enumerate(rows if isinstance(rows, list) else [], 1):
        try:
            accounts.append(
                AccountConfig(
                    name=row["name"],
                    balances={asset: Decimal(str(amount)) for asset, amount in row["balances"].items()},
                    keys=tuple((key["api_key"], KeyKind(key["kind"]), key["secret"]) for key in row["keys"]),
                    passphrase=str(row.get("passphrase", "")),
                    maker_rate=Decimal(str(row["maker_rate"])) if "maker_rate" in row else None,
                    taker_rate=Decimal(str(row["taker_rate"])) if "taker_rate" in row else None,
                    trade_group=int(row.get("trade_group", -1)),
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
            raise ValueError(f"{path}: account {number}: missing or malformed {error}") from None
    if not accounts:
        raise ValueError(f"{path}: holds no accounts; give a list of objects with name, balances and keys")
    return accounts


def build_config(options: argparse.Namespace) -> SimulatorConfig:
    """From parsed options. Raises ValueError naming the option and the fix."""
    family = families.load(options.venue)
    symbols = _symbols(options.symbols)
    market = _market(options, family, symbols)
    accounts = [] if options.accounts is None else read_accounts(options.accounts)
    accounts += [demo_account(name, seed=options.seed) for name in options.demo_account]
    if options.fresh and options.state is None:
        raise ValueError("--fresh: there is nothing to put aside without --state FILE")
    if not 0 <= options.port <= 65_535:
        raise ValueError(f"--port {options.port}: must be 0 (any free one) to 65535")
    faults = [Fault.parse(text) for text in options.fault]
    if options.gap_probability:
        gap = Fault(kind=FaultKind.DROP, match=family.book_streams, count=None, probability=options.gap_probability)
        faults.append(gap)
    return SimulatorConfig(
        venue=family.name,
        seed=options.seed,
        first_id=options.first_id,
        server=ServerConfig(
            host=options.host,
            port=options.port,
            ping_every_s=options.ping_every,
            pong_within_s=options.pong_within,
            lifetime_s=options.lifetime,
        ),
        market=market,
        symbols=symbols,
        exchange_info=options.exchange_info,
        prices={name: _price(name, value) for name, value in _pairs(options.price, "--price")},
        accounts=tuple(accounts),
        limits=_limits(family, options.limit),
        latency=Latency(
            request_ms=_span(options.request_latency),
            reply_ms=_span(options.reply_latency),
            event_ms=options.event_latency,
            market_ms=options.market_latency,
            seed=options.seed,
        ),
        faults=tuple(faults),
        state=options.state,
        fresh=options.fresh,
    )


def _market(
    options: argparse.Namespace, family: Family, symbols: tuple[str, ...] | None
) -> GeneratorConfig | CaptureConfig | LiveConfig:
    """Where prices come from; a live market brings its instruments along."""
    if bool(options.live_rest) != bool(options.live_stream):
        raise ValueError("--live-rest and --live-stream belong together: give both")
    if options.live_rest:
        if options.capture is not None:
            raise ValueError("--capture and --live-rest exclude each other: the market is recorded or live")
        live = LiveConfig(rest_url=options.live_rest, stream_url=options.live_stream)
        options.exchange_info = _upstream_instruments(family, live, symbols)
        return live
    if options.capture is not None:
        return CaptureConfig(
            path=options.capture,
            speed=0.0 if options.speed == "max" else _positive(options.speed, "--speed"),
            wait_subscribers=options.wait_subscribers,
            wait_snapshots=options.wait_snapshots,
            hold_after_loss=options.hold_after_loss,
        )
    return GeneratorConfig(events_per_s=_positive(str(options.rate), "--rate"), burst_every_s=options.burst_every)


def _symbols(text: str | None) -> tuple[str, ...] | None:
    """None for the venue's usual ones, empty for all."""
    if text is None:
        return None
    return () if text == "all" else tuple(filter(None, text.split(",")))


def _upstream_instruments(family: Family, market: LiveConfig, symbols: tuple[str, ...] | None) -> Path:
    """The upstream venue's own list, in a file that ends with the process."""
    if family.live_instruments_url is None:
        raise ValueError(f"--live-rest: the simulator of {family.title} cannot follow a live market")
    wanted = family.default_symbols if symbols is None else symbols
    urls = family.live_instruments_url(market, wanted)
    try:
        answers = [fetch(url) for url in ((urls,) if isinstance(urls, str) else urls)]
    except FeedBroken as error:
        raise ValueError(f"--live-rest: {error}") from error
    folder = Path(tempfile.mkdtemp(prefix="bulkhead-sim-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    paths = [folder / f"instruments_{number}.json" for number in range(len(answers))]
    for path, answer in zip(paths, answers, strict=True):
        path.write_bytes(answer)
    return paths[0] if isinstance(urls, str) else folder


def _pairs(texts: list[str], option: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name or not value:
            raise ValueError(f"{option} {text!r}: must have the form NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _price(symbol: str, text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal(0)
    if not price.is_finite() or price <= 0:
        raise ValueError(f"--price {symbol}={text}: must be a number above zero, as in BTCUSDT=50000")
    return price


def _limits(family: Family, texts: list[str]) -> Any:
    """The family's limits with some changed."""
    defaults = family.limits()
    names = family.limit_names | {field.name: field.name for field in attrs.fields(type(defaults))}
    limits: dict[str, int] = {}
    for name, value in _pairs(texts, "--limit"):
        if name not in names or not value.isdigit():
            raise ValueError(f"--limit {name}={value}: names are {', '.join(names)}, values whole numbers")
        limits[names[name]] = int(value)
    return attrs.evolve(defaults, **limits)


def _positive(text: str, option: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{option} {text!r}: must be a number") from None
    if value <= 0:
        raise ValueError(f"{option} {text}: must be above zero")
    return value


def _span(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        return float(low), float(high or low)
    except ValueError:
        raise ValueError(f"latency {text!r}: must be MS or MS-MS") from None


async def _run(simulator: Simulator, options: argparse.Namespace) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop_on_signal, simulator)
        if options.until_stdin_closes:
            nursery.start_soon(_stop_on_end_of_input, simulator)
        await nursery.start(simulator.run)
        if simulator.live is not None:
            await simulator.live.opened.wait()  # before that there is nothing to match against
        _announce(simulator, options)
        if simulator.replay is not None:
            await simulator.replay.done.wait()
            print(json.dumps({"event": "replay_done", **simulator.replay.progress()}), flush=True)
            if options.exit_when_done:
                simulator.stop()
        await simulator.stopping.wait()
        nursery.cancel_scope.cancel()


async def _stop_on_end_of_input(simulator: Simulator) -> None:
    # Past `sys.stdin`: its lock would be held by the abandoned thread when the interpreter ends, which is fatal there.
    await trio.to_thread.run_sync(_read_to_the_end, sys.stdin.fileno(), abandon_on_cancel=True)
    simulator.stop()


def _read_to_the_end(fd: int) -> None:
    while os.read(fd, 4_096):
        continue


async def _stop_on_signal(simulator: Simulator) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            simulator.stop()
            return


def _announce(simulator: Simulator, options: argparse.Namespace) -> None:
    addresses = {
        "event": "ready",
        "venue": simulator.family.name,
        **simulator.urls,
        "port": simulator.port,
    }
    if options.state is not None:
        said = "begins anew" if simulator.restored is None else f"restored {simulator.restored}"
        if options.json:
            print(json.dumps({"event": "state", "file": str(options.state), "said": said}), flush=True)
        else:
            print(f"{options.state}: {said}")
    shown = {}
    if options.show_keys:
        for name in options.demo_account:
            keys = simulator.credentials(name)
            shown[name] = {
                "hmac_key": keys.hmac_key,
                "hmac_secret": keys.hmac_secret,
                "ed25519_key": keys.ed25519_key,
                "ed25519_private_pem": keys.ed25519_private_pem,
                "passphrase": keys.passphrase,
            }
    if options.json:
        print(json.dumps(addresses | ({"keys": shown} if shown else {})), flush=True)
        return
    for name, url in {**simulator.urls, "admin": f"{simulator.rest_url}/sim/state"}.items():
        print(f"{name:<14}{url}")
    for name, keys_of in shown.items():
        print(f"account {name}: {json.dumps(keys_of)}")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator until it is stopped; returns the exit code."""
    options = build_parser().parse_args(argv)
    try:
        simulator = Simulator(build_config(options))
    except (ValueError, InvalidOperation, StateError) as error:
        print(f"bulkhead sim: {error}", file=sys.stderr)
        return 2
    code = 0
    try:
        trio.run(_run, simulator, options)
    except* OSError as group:
        print(
            f"bulkhead sim: cannot listen on {options.host}:{options.port}: {_cause(group)}; "
            "choose another --port, 0 takes a free one",
            file=sys.stderr,
        )
        code = 1
    except* StateError as group:
        print(f"bulkhead sim: {_cause(group)}", file=sys.stderr)
        code = 1
    return code


def _cause(group: BaseExceptionGroup[Exception]) -> BaseException:
    """The first error of a nest of groups."""
    cause: BaseException = group.exceptions[0]
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause
