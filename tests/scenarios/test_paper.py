"""Paper trading: the market is a venue's, the matching is the simulator's, and the venue never hears of us.

A simulator with a generated market stands for the venue; the engine runs the `paper` profile with its addresses, reads
books and prices from it, and sends its orders to the simulator that it has started itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from config import load_config
from protocols.ids import AccountID, Symbol, Venue
from protocols.orders import account_path
from protocols.positions import AccountPicture, AccountQuery
from protocols.reconcile import book_path
from protocols.venues.registry import VENUES
from supervisors.ends import ExitKind
from tools.cli.common import load
from tools.engine.host import Host
from tools.simulator import GeneratorConfig, LimitConfig, SimulatorConfig, open_simulator

VENUE = Venue("binance-spot")
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@pytest.mark.slow
async def test_the_paper_profile_trades_on_the_venues_market_without_touching_the_venue(tmp_path: Path) -> None:
    upstream_config = SimulatorConfig(
        symbols=SYMBOLS, market=GeneratorConfig(events_per_s=120.0), limits=LimitConfig(weight_per_minute=10**6)
    )
    async with open_simulator(upstream_config) as upstream:
        overrides = {
            "data.dir": str(tmp_path),
            f"venues.{VENUE}.rest_url": upstream.rest_url,
            f"venues.{VENUE}.stream_url": upstream.stream_url,
            "strategies.maker.params.half_spread_bps": "0.5",
        }
        host = Host.prepare(load_config("paper", overrides=overrides), {})
        async with trio.open_nursery() as nursery:
            await nursery.start(host.run)
            with trio.fail_after(60):
                for cell in host.runtime.cells():
                    await host.runtime.wait_ready(cell.path)
                await _first_fill(host)
            book = host.runtime.cell(book_path(VENUE, Symbol("BTCUSDT"))).actor
            assert book is not None
            assert book.inspect()["proven"]
            host.stop("seen enough")
            with trio.fail_after(30):
                await host.ended.wait()
    assert host.end is not None
    assert host.end.kind is ExitKind.SHUTDOWN
    assert list(upstream.exchange.accounts.by_name) == []
    assert not upstream.venue.arrivals, "an order reached the venue"
    assert list(tmp_path.glob("logs/*/*/*/trades.jsonl"))  # noqa: ASYNC240 - the engine has ended


async def _first_fill(host: Host) -> None:
    path = account_path(AccountID("sub1"), VENUE)
    while True:
        picture = await host.runtime.ask(path, AccountQuery(), 2_000_000_000)
        assert isinstance(picture, AccountPicture)
        if any(position.strategy == "maker" for position in picture.positions):
            return
        await trio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("subset", ["binance-usdm", "bybit-linear,bybit-spot", "okx-swap", "upbit"])
async def test_the_paper_profile_runs_on_a_subset_of_the_venues(subset: str, tmp_path: Path) -> None:
    """The venues of one exchange; a simulator with a generated market stands for the exchange."""
    kinds = subset.split(",")
    async with open_simulator(
        SimulatorConfig(venue=VENUES[kinds[0]].family, market=GeneratorConfig(events_per_s=40.0))
    ) as upstream:
        at = f"127.0.0.1:{upstream.port}"
        addresses = [
            f"venues.{kind}.{key}" for kind in kinds for key in (f"rest_url=http://{at}", f"stream_url=ws://{at}")
        ]
        config = load("paper", (f"data.dir={tmp_path}", *addresses), subset)
        assert {name for name, venue in config.venues.items() if venue.enabled} == set(kinds)
        host = Host.prepare(config, {})
        async with trio.open_nursery() as nursery:
            await nursery.start(host.run)
            with trio.fail_after(60):
                for cell in host.runtime.cells():
                    await host.runtime.wait_ready(cell.path)
                await _orders_everywhere(host, set(kinds))
            host.stop("seen enough")
            with trio.fail_after(30):
                await host.ended.wait()
    assert host.end is not None
    assert host.end.kind is ExitKind.SHUTDOWN
    assert list(upstream.exchange.accounts.by_name) == []
    assert not upstream.venue.arrivals, "an order reached the venue"


async def _orders_everywhere(host: Host, kinds: set[str]) -> None:
    """Wait until an order of ours has rested at each of these."""
    seen: set[str] = set()
    while not kinds <= seen:
        for account, venue in host.plan.accounts:
            picture = await host.runtime.ask(account_path(account, venue), AccountQuery(), 2_000_000_000)
            seen |= {venue} if picture.open_orders else set()
        await trio.sleep(0.05)
