"""A venue that silences REST alone (Bybit's HTTP 403, bybit-v5 section 4.1) takes orders on its sockets all the
same: no order and no cancel waits for the end of such a silence, and no REST request breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.venue.clock import ClockSettings
from actors.venue.settings import SECOND
from protocols.enums import OrdStatus
from protocols.reconcile import limiter_path
from protocols.venues.bybit.limits import IP_SILENCE_NS
from tests.actors.venue.anywhere import anywhere
from tools.simulator.dialects.bybit.venue import Bybit


@pytest.mark.req("R355")
@pytest.mark.parametrize("kind", ["bybit-spot", "bybit-linear"])
async def test_the_trade_socket_goes_on_while_rest_is_silenced(kind: str, tmp_path: Path) -> None:
    async with anywhere(kind, tmp_path) as here:
        before = await here.resting()
        venue = here.sim.venue
        assert isinstance(venue, Bybit)
        firewall = venue.peer_limits("127.0.0.1")
        firewall.silent_until_ns = here.sim.clock.now_ns() + 600 * SECOND
        limiter = limiter_path(here.venue)

        def silenced() -> dict[str, int]:
            found: dict[str, int] = here.world.inspect(limiter)["silenced"]
            return found

        await here.until(lambda: "raw" in silenced(), "the refusal of a probe of the clock")
        assert here.world.inspect(limiter)["blocked_until_ns"] == 0, "the address itself is not banned"
        firewall.silent_until_ns = 0  # from here on the venue would count what is asked by REST all the same
        asked = sum(venue.requests.values())
        order = await here.resting()
        for cl_ord_id in (order, before):
            here.cancel(cl_ord_id)
            await here.status(cl_ord_id, OrdStatus.CANCELED)
        assert here.world.inspect(here.entry)["by_rest"] == 0
        assert sum(venue.requests.values()) - asked == 3, "the three of the trade socket, and no REST"


def test_the_clock_stays_usable_for_as_long_as_rest_may_be_silenced() -> None:
    """It is asked by REST: without it nothing could be signed on the socket either."""
    settings = ClockSettings()
    assert settings.age_max_ns > IP_SILENCE_NS + settings.probe_interval_ns
