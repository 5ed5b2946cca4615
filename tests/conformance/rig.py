"""The whole engine on one simulated venue, with the test in a strategy's place.

`conformity(subject, folder)` starts the venue's simulator and an engine with one account and no strategies, and yields
a `Desk`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import httpx
import pytest
import trio

from config import load_config
from protocols.base import Message
from protocols.ids import AccountID, ClOrdIDs, Symbol, Venue
from protocols.instruments import Instrument, Product
from protocols.venue import HttpReply, PrivateCodec, Signer
from protocols.venues.registry import VENUES, VenueOptions, VenueParts
from supervisors.spec import ChildSpec
from supervisors.tree import VenuePlan
from tests.conformance.desk import ACCOUNT, Desk, Ear
from tests.conformance.subjects import Subject
from tools.engine.host import Host
from tools.simulator import GeneratorConfig, Simulator, SimulatorConfig, demo_account, open_simulator
from tools.simulator.core.market import Market

_MS = 1_000_000

_LIMITS = """
max_order_notional = "1000000000000"
max_position_notional = "1000000000000"
max_exposure = "1000000000000"
max_open_orders = 100000
max_orders_per_s = 1000
max_repeats = 1000000
price_band = "0.5"
"""


def _profile(subject: Subject, sim: Simulator, symbol: Symbol, folder: Path, patience_ms: int) -> Path:
    """A configuration file with this venue alone."""
    passphrase = 'passphrase_env = "ALPHA_PASSPHRASE"\n' if subject.parts.passphrase else ""
    window_ms = min(1_500, subject.parts.request_window_max_ms or 1_500)
    text = f"""
[engine]
name = "conformance"
[data]
dir = "{folder / "data"}"
[venues.{subject.kind}]
kind = "{subject.kind}"
symbols = ["{symbol}"]
rest_url = "http://127.0.0.1:{sim.port}"
stream_url = "ws://127.0.0.1:{sim.port}"
entry_url = "ws://127.0.0.1:{sim.port}"
recv_window_ms = {window_ms}
request_timeout_ms = {patience_ms}
[accounts.{ACCOUNT}]
venues = ["{subject.kind}"]
[accounts.{ACCOUNT}.keys.{subject.kind}]
source = "env"
kind = "hmac"
api_key_env = "ALPHA_KEY"
secret_env = "ALPHA_SECRET"
{passphrase}
[risk.rates]
KRW = "0.0007"
[risk.firm]
{_LIMITS}
[risk.accounts.{ACCOUNT}]
{_LIMITS}
"""
    path = folder / "conformance.toml"
    path.write_text(text)
    return path


async def _instrument(subject: Subject, sim: Simulator, symbol: Symbol) -> Instrument:
    """The venue's own description of the symbol, through the codec."""
    codec = subject.parts.public(VenueOptions())
    request = codec.instruments_request([symbol])
    async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False) as client:
        query = f"?{request.query}" if request.query else ""
        answer = await client.request(request.method, request.path + query, headers=dict(request.headers))
    reply = HttpReply(answer.status_code, dict(answer.headers), answer.content, sim.clock.now_ns(), sim.clock.now_ns())
    assert codec.error(reply) is None
    return next(row for row in codec.decode_instruments(reply)[0] if row.symbol == symbol)


def _impatient(plans: Mapping[Venue, VenuePlan]) -> Mapping[Venue, VenuePlan]:
    """Our own margins, short as well: simulator and engine share one clock."""
    return {name: attrs.evolve(plan, entry=attrs.evolve(plan.entry, skew_ns=100 * _MS)) for name, plan in plans.items()}


def _hasty(parts: VenueParts) -> VenueParts:
    """The venue's row, with codecs that say of it that it drops what it has not begun within half a second.

    True of the simulator; with the venue's own ten seconds each case of doubt would take as long.
    """

    def private(account: AccountID, signer: Signer, options: VenueOptions, user: str) -> PrivateCodec:
        codec = parts.private(account, signer, options, user)
        codec.rules = attrs.evolve(codec.rules, request_timeout_ns=500 * _MS)
        return codec

    return attrs.evolve(parts, private=private)


@asynccontextmanager
async def conformity(
    subject: Subject,
    folder: Path,
    *,
    limits: object = None,
    patience_ms: int = 1_000,
    secret: str | None = None,
    wait: bool = True,
) -> AsyncIterator[Desk]:
    """The venue and the engine, running; everything is ready unless `wait` is False."""
    if subject.family is None:
        pytest.skip(f"unsupported: the simulator has no family {subject.parts.family!r}")
    settings = SimulatorConfig(
        venue=subject.parts.family,
        accounts=(demo_account(ACCOUNT),),
        market=GeneratorConfig(events_per_s=2.0, burst_every_s=0.0),
        limits=limits,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VENUES, subject.kind, _hasty(subject.parts))
        async with open_simulator(settings) as sim, trio.open_nursery() as nursery:
            market = _first_market(subject, sim)
            symbol = Symbol(market.spec.name)
            instrument = await _instrument(subject, sim, symbol)
            keys = sim.credentials(ACCOUNT)
            env = {
                "ALPHA_KEY": keys.hmac_key,
                "ALPHA_SECRET": secret or keys.hmac_secret,
                "ALPHA_PASSPHRASE": keys.passphrase,
            }
            host = Host.prepare(load_config(_profile(subject, sim, symbol, folder, patience_ms)), env)
            heard: list[Message] = []
            readers = (ChildSpec(name="desk", factory=lambda: Ear(heard)),)
            host.plan = attrs.evolve(host.plan, extra=readers, venues=_impatient(host.plan.venues))
            await nursery.start(host.run)
            desk = Desk(subject, sim, host, instrument, market, heard, folder / "data", ClOrdIDs(ACCOUNT, "desk", 1, 1))
            desk.listen()
            try:
                if wait:
                    await desk.ready()
                yield desk
            finally:
                host.stop("the case is over")
                with trio.move_on_after(30, shield=True):
                    await host.ended.wait()


def _first_market(subject: Subject, sim: Simulator) -> Market:
    linear = subject.parts.product is Product.LINEAR
    return next(market for market in sim.exchange.markets.values() if market.spec.is_linear is linear)
