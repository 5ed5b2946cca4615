"""One name for a coin at every venue, and a queue of its own for each venue's backbone."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from actors.venue.http import HttpClient
from actors.venue.settings import TransportSettings
from protocols.backbone import market_path
from protocols.enums import Side
from protocols.ids import Symbol, Venue
from protocols.instruments import Instrument
from protocols.market import Trade
from protocols.reconcile import public_path
from protocols.venues.registry import VENUES, VenueOptions
from supervisors.clock import SystemClock
from tests.scenarios.test_market_data import BTC, FAMILIES, feeding
from tools.simulator import GeneratorConfig, SimulatorConfig, open_simulator

SPELLED = {
    "binance-spot": "BTCUSDT",
    "binance-usdm": "BTCUSDT",
    "bybit-spot": "BTCUSDT",
    "bybit-linear": "BTCUSDT",
    "okx-spot": "BTC-USDT",
    "okx-swap": "BTC-USDT-SWAP",
    "upbit": "KRW-BTC",
}
QUIET = GeneratorConfig(events_per_s=0.1, burst_every_s=0)


async def listed(kind: str) -> Instrument:
    """What the venue's own list says about its most traded symbol."""
    codec, symbol = VENUES[kind].public(VenueOptions()), Symbol(SPELLED[kind])
    async with (
        open_simulator(SimulatorConfig(venue=VENUES[kind].family, market=QUIET)) as sim,
        HttpClient(sim.rest_url, TransportSettings(), now_ns=SystemClock.wall_ns) as http,
    ):
        reply = await http.request(codec.instruments_request((symbol,)))
        assert codec.error(reply) is None
        instruments, _ = codec.decode_instruments(reply)
    (found,) = [one for one in instruments if one.symbol == symbol]
    return found


@pytest.mark.req("R221")
async def test_a_coin_has_one_name_however_a_venue_spells_the_symbol() -> None:
    """The name comes from the venue's list, never from taking the symbol apart."""
    instruments = [await listed(kind) for kind in SPELLED]
    assert SPELLED.keys() == VENUES.keys()
    assert {one.base for one in instruments} == {"BTC"}
    assert {one.venue: one.quote for one in instruments} == {
        kind: "KRW" if kind == "upbit" else "USDT" for kind in SPELLED
    }
    assert len({one.symbol for one in instruments}) == 4
    sizes = {one.venue: one.contract_size for one in instruments}
    assert sizes.pop(Venue("okx-swap")) < 1, "contracts are not coins, and the record says so"
    assert set(sizes.values()) == {1}


@pytest.mark.req("R258")
async def test_a_venue_whose_queue_is_full_delays_no_other(tmp_path: Path) -> None:
    """Each venue's session and backbone have a mailbox of their own, with its own high-water mark."""
    async with feeding(tmp_path, "upbit", "okx") as feed:
        runtime = feed.host.runtime
        venues = [Venue(venue) for family in ("upbit", "okx") for venue in FAMILIES[family]]
        cells = [runtime.cell(path) for venue in venues for path in (market_path(venue), public_path(venue))]
        assert len({id(cell.mailbox) for cell in cells}) == len(cells)
        stuck, flood = runtime.cell(market_path(venues[0])), 500
        stuck.set_paused(True)
        for number in range(flood):
            one = Decimal(1)
            runtime.deliver(stuck.path, Trade(venues[0], BTC, f"x{number}", one, one, Side.BUY, number, number))
        assert stuck.mailbox.depth >= flood
        assert (await feed.market.get_ticker("okx-spot:BTC-USDT", max_age_ns=0, patience_ns=60_000_000_000)).last_px
        others = [cell for cell in cells if cell is not stuck]
        assert all(cell.mailbox.high_water < flood for cell in others)
        stuck.set_paused(False)
        assert (await feed.market.get_ticker("upbit:KRW-BTC", max_age_ns=0, patience_ns=60_000_000_000)).last_px
        assert stuck.mailbox.high_water >= flood
