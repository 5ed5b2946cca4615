"""One implementation of private stream, order entry, reconciler and account on every venue: the same orders, the same
ends.  What a venue lacks is a skip with the reason, what it does its own way shows in its capabilities.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from actors.venue.settings import MS, SECOND
from protocols.enums import CxlRejReason, OrdRejReason, OrdStatus, Side
from protocols.ids import MANUAL, ClOrdID
from protocols.orders import CancelRejected, ExecutionReport, OrderRefused
from protocols.positions import AccountResynced
from protocols.venue import SessionRules
from tests.actors.venue.anywhere import ACCOUNT, KINDS, ONE_EACH, anywhere, connections
from tests.actors.venue.spot import QUICK
from tools.simulator import FaultKind

LOSSES = {
    FaultKind.CUT_BEFORE: False,
    FaultKind.ERROR_BEFORE: False,
    FaultKind.CUT_AFTER: True,
    FaultKind.LOST_REPLY: True,
    FaultKind.ERROR_AFTER: True,
}
"""Ways to lose an answer, and whether the order came into being."""

every_kind = pytest.mark.parametrize("kind", KINDS)
one_of_each_family = pytest.mark.parametrize("kind", ONE_EACH)


@pytest.mark.req("R219", "R275", "R362")
@every_kind
async def test_an_order_lives_and_ends(kind: str, tmp_path: Path) -> None:
    """Placed, amended where that is possible, canceled; one that fills in part; a cancel that comes too late."""
    async with anywhere(kind, tmp_path) as here:
        order = await here.resting(qty=here.small * 2)
        here.amend(order, here.small)
        if here.parts.capabilities.amends:
            await here.until(lambda: here.reports(order)[-1].order_qty == here.small, "the amend")
        else:
            refused = await here.heard.one(CancelRejected)
            assert refused.reason is CxlRejReason.UNSUPPORTED
        here.cancel(order)
        await here.status(order, OrdStatus.CANCELED)

        (part,) = here.place(here.order(price=here.top(Side.BUY)))
        await here.status(part, OrdStatus.NEW)
        half = here.instrument.round_qty(here.small / 2)
        here.outside(Side.SELL, here.ahead_of(part) + half)
        partial = await here.status(part, OrdStatus.PARTIALLY_FILLED)
        assert partial.cum_qty == half
        here.cancel(part)
        ended = await here.status(part, OrdStatus.CANCELED)
        assert ended.cum_qty == half

        done = await here.bought()
        here.cancel(done)
        late = await here.heard.one(CancelRejected, lambda each: each.cl_ord_id == done)
        assert late.reason is CxlRejReason.TOO_LATE
        await here.agreement()


@every_kind
@pytest.mark.req("R004", "R073", "R078")
async def test_where_the_venue_takes_orders_over_websocket_that_is_what_is_used(kind: str, tmp_path: Path) -> None:
    """Placed and canceled without a single request of order entry by REST, or every one by it."""
    async with anywhere(kind, tmp_path) as here:
        order = await here.resting()
        here.cancel(order)
        await here.status(order, OrdStatus.CANCELED)
        by_rest = here.world.inspect(here.entry)["by_rest"]
        assert by_rest == (0 if here.parts.capabilities.ws_order_entry else 2)
        assert here.sim.arrivals(order).seen == 1


@pytest.mark.req("R225")
@every_kind
async def test_orders_that_come_together_leave_together_and_are_canceled_together(kind: str, tmp_path: Path) -> None:
    """One of a batch is impossible: the others live.  Then all are canceled, in as few requests as the venue takes."""
    async with anywhere(kind, tmp_path) as here:
        able = here.parts.capabilities
        too_much = here.small * 10_000_000
        good = [here.order(price=here.away(Side.BUY, f"0.0{part}")) for part in range(1, 9)]
        before = Counter(here.sim.venue.requests)
        placed = here.place(*good, here.order(qty=too_much))
        for cl_ord_id in placed[:-1]:
            await here.status(cl_ord_id, OrdStatus.NEW)
        assert isinstance(await here.end(placed[-1]), OrderRefused | ExecutionReport)
        requests = sum((here.sim.venue.requests - before).values())
        if able.ws_batches:
            assert requests < len(placed), "a batch is fewer requests than orders"
        before = Counter(here.sim.venue.requests)
        here.cancel_all()
        for cl_ord_id in placed[:-1]:
            await here.status(cl_ord_id, OrdStatus.CANCELED)
        requests = sum((here.sim.venue.requests - before).values())
        if able.cancel_batch_max > 1 or able.cancel_all_symbol:
            assert requests < len(good), "a mass cancel is fewer requests than orders"
        assert here.sim.open_orders(ACCOUNT) == []
        await here.agreement()


@one_of_each_family
async def test_what_happens_while_the_private_stream_is_gone_is_found_and_counted_once(
    kind: str, tmp_path: Path
) -> None:
    async with anywhere(kind, tmp_path) as here:
        first, second = await here.bought(), await here.resting()
        (third,) = here.place(here.order(price=here.top(Side.BUY)))
        await here.status(third, OrdStatus.NEW)
        here.strike(FaultKind.REFUSE, connections(here, "private"), count=2)
        here.sim.cut_connections(connections(here, "private"))
        await here.until(lambda: here.account in here.not_ready(), "the account to notice")
        here.outside(Side.SELL, here.ahead_of(third) + here.small)
        assert here.sim.order_by_cl_ord_id(ACCOUNT, third) is not None
        await here.status(third, OrdStatus.FILLED)
        await here.ready()
        assert len(here.fills(first)) >= 1
        assert here.reports(second)[-1].ord_status is OrdStatus.NEW
        await here.agreement()


@every_kind
@pytest.mark.req("R001")
async def test_an_order_whose_answer_is_lost_ends_as_the_venue_says_and_arrives_once(kind: str, tmp_path: Path) -> None:
    """Every way to lose an answer, after the request has left: nothing is ever sent twice."""
    async with anywhere(kind, tmp_path) as here:
        method = await here.placing()
        sent: dict[ClOrdID, bool] = {}
        for fault, executed in LOSSES.items():
            await here.ready()
            struck = here.strike(fault, method)
            (cl_ord_id,) = here.place(here.order())
            sent[cl_ord_id] = executed
            await here.until(lambda struck=struck: struck.fired > 0, f"{fault.value} to strike {method}")  # type: ignore[misc]
        for cl_ord_id, executed in sent.items():
            if executed:
                await here.status(cl_ord_id, OrdStatus.NEW)
                here.cancel(cl_ord_id)
            ended = await here.end(cl_ord_id)
            assert executed is isinstance(ended, ExecutionReport), ended
            assert here.sim.arrivals(cl_ord_id).seen <= 1
            assert here.sim.arrivals(cl_ord_id).accepted == executed
        await here.agreement()


@one_of_each_family
async def test_an_order_that_was_acknowledged_and_not_reported_is_asked_for(kind: str, tmp_path: Path) -> None:
    """The event is lost, not the answer: where the answer says no more than "received", asking finds the order."""
    async with anywhere(kind, tmp_path) as here:
        here.strike(FaultKind.EVENT_DROP, count=1)
        (cl_ord_id,) = here.place(here.order())
        await here.status(cl_ord_id, OrdStatus.NEW)
        here.cancel(cl_ord_id)
        await here.status(cl_ord_id, OrdStatus.CANCELED)
        again = await here.resting()
        here.strike(FaultKind.EVENT_DROP, count=1)
        here.cancel(again)
        await here.status(again, OrdStatus.CANCELED)
        await here.agreement()
        assert not here.sim.open_orders(ACCOUNT)


@one_of_each_family
async def test_a_refused_key_is_said_and_nothing_trades(kind: str, tmp_path: Path) -> None:
    async with anywhere(kind, tmp_path, secret="0" * 64, wait=False) as here:
        # A listen key is given for the key alone: there it is the first signed question that is refused.
        teller = here.account if here.parts.capabilities.listen_key else here.private
        await here.until(
            lambda: f"check accounts.{ACCOUNT}.keys.{kind}" in here.not_ready().get(teller, ""), "the refusal"
        )
        assert here.account in here.not_ready()
        assert here.world.crashes(here.private) == []
        assert here.world.inspect(here.private)["events"] == 0


@one_of_each_family
async def test_a_clock_that_is_off_is_measured_anew_and_trading_goes_on(kind: str, tmp_path: Path) -> None:
    async with anywhere(kind, tmp_path) as here:
        if not here.parts.capabilities.request_window:
            pytest.skip("unsupported: requests of this venue bear no time")
        here.strike(FaultKind.CLOCK_SKEW, delay_ms=-20_000)
        (cl_ord_id,) = here.place(here.order())
        ended = await here.end_or_rest(cl_ord_id)
        assert ended is OrdStatus.REJECTED or ended is OrdStatus.NEW
        await here.until(
            lambda: any(here.world.inspect(here.clock)[name] for name in ("steps", "suspected")),
            "doubt about the clock",
        )
        await here.ready()
        assert await here.resting()
        assert here.sim.arrivals(cl_ord_id).seen <= 1


@one_of_each_family
@pytest.mark.req("R090")
async def test_a_half_open_private_stream_is_noticed_within_its_probe(kind: str, tmp_path: Path) -> None:
    """Nothing comes, nothing is refused, the venue's silence limit is far: a ping without an answer tells."""
    quick = attrs.evolve(QUICK, quiet_probe_ns=200 * MS, quiet_patience_ns=200 * MS)

    def patient(rules: SessionRules) -> SessionRules:
        return attrs.evolve(rules, silence_max_ns=600 * SECOND, client_ping_interval_ns=0)

    async with anywhere(kind, tmp_path, reconnect=quick, rules=patient) as here:
        here.strike(FaultKind.HALF_OPEN_NOW, connections(here, "private"))
        await here.until(lambda: here.world.inspect(here.private)["losses"] > 0, "the loss")
        await here.ready()
        assert await here.resting()


@one_of_each_family
async def test_what_the_owner_does_while_we_are_away_is_found_and_belongs_to_nobodys_strategy(
    kind: str, tmp_path: Path
) -> None:
    """Another program buys by REST while our stream is gone: its order, the fills and the position are found."""
    async with anywhere(kind, tmp_path) as here:
        here.strike(FaultKind.REFUSE, connections(here, "private"), count=2)
        here.sim.cut_connections(connections(here, "private"))
        await here.until(lambda: here.account in here.not_ready(), "the account to notice")
        await here.by_hand(here.order(price=here.through(Side.BUY), cl_ord_id=ClOrdID("owner0001")))
        await here.ready()
        await here.agreement()
        picture = await here.picture()
        held = {position.strategy: position.qty for position in picture.positions if position.qty}
        assert set(held) == {MANUAL}
        told = sum((report.last_qty for report in here.gate.of(ExecutionReport)), Decimal(0))
        pictured = sum((each.qty for each in here.gate.of(AccountResynced)[-1].picture.positions), Decimal(0))
        assert told or pictured, "the gates know it too"


@pytest.mark.req("R057", "R355")
@every_kind
async def test_a_refusal_for_too_many_orders_concerns_whom_the_venue_counts(kind: str, tmp_path: Path) -> None:
    """Binance wants silence from the address; elsewhere a bucket of the account's own is empty."""
    of_the_account = not kind.startswith("binance")
    async with anywhere(kind, tmp_path) as here:
        here.strike(FaultKind.RATE_LIMIT, await here.placing(), delay_ms=1, count=1)
        (refused,) = here.place(here.order(price=here.away(Side.BUY)))
        assert (await here.refused(refused)).reason in (OrdRejReason.RATE_LIMITED, OrdRejReason.ORDER_RATE)
        said = {event.what for event in here.world.events if event.path.endswith("/limiter")}
        assert ("bucket_blocked" in said, "blocked" in said) == (of_the_account, not of_the_account)
