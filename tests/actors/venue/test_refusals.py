"""Whom a venue's refusal concerns: everyone on the address, or one account's bucket, and for how long."""

from __future__ import annotations

import attrs
import pytest

from actors.venue.calls import blocked_by
from actors.venue.limiter import LimiterActor
from actors.venue.messages import BlockedByVenue
from actors.venue.outcomes import OrderGroup, Outcomes, Pending, Way
from actors.venue.settings import SECOND
from protocols.ids import AccountID, ClOrdID, OrderID, Symbol, Venue
from protocols.orders import SubmitCancel, SubmitReplace
from protocols.venue import Disposition, HttpReply, OrderState, Reply, Scope, VenueError
from protocols.venues.registry import VENUES, VenueOptions
from supervisors.testing import RecordingContext
from tests.actors.risk.world import order as new_order

NOW = 1_790_000_000 * SECOND
ACCOUNT, ENTRY = AccountID("a"), "/entry"
ORDERS, CANCEL = OrderGroup(()), SubmitCancel(ClOrdID("x"), None, Symbol("BTCUSDT"), ENTRY)


@pytest.mark.req("R219", "R355")
@pytest.mark.parametrize(
    "kind, status, body, disposition, scope",
    [
        ("binance-spot", 429, '{"code":-1003,"msg":"Too much request weight used"}', "RATE_LIMITED", Scope.ADDRESS),
        ("binance-usdm", 429, '{"code":-1015,"msg":"Too many new orders"}', "RATE_LIMITED", Scope.ACCOUNT),
        ("bybit-spot", 200, '{"retCode":10006,"retMsg":"Too many visits"}', "RATE_LIMITED", Scope.ACCOUNT),
        ("bybit-linear", 200, '{"retCode":10403,"retMsg":"of this address"}', "RATE_LIMITED", Scope.ADDRESS),
        ("bybit-linear", 403, "access too frequent", "BANNED", Scope.ADDRESS),
        ("okx-spot", 429, '{"code":"50011","msg":"Rate limit reached"}', "RATE_LIMITED", Scope.ACCOUNT),
        ("okx-swap", 200, '{"code":"50061","msg":"of the sub-account"}', "RATE_LIMITED", Scope.ACCOUNT),
        ("upbit", 429, '{"error":{"name":"too_many_requests","message":""}}', "RATE_LIMITED", Scope.ACCOUNT),
        ("upbit", 418, '{"error":{"name":418,"message":"for 60 seconds"}}', "BANNED", Scope.ADDRESS),
    ],
)
def test_each_venue_says_whom_it_refuses(kind: str, status: int, body: str, disposition: str, scope: Scope) -> None:
    codec = VENUES[Venue(kind)].public(VenueOptions())
    error = codec.error(HttpReply(status, {"content-type": "application/json"}, body.encode(), NOW, NOW))
    assert error is not None
    assert (error.disposition, error.scope) == (Disposition[disposition], scope)
    assert error.until_ns > NOW


def test_what_every_request_costs_is_no_bucket_of_an_account() -> None:
    """Else one refusal of orders would stop the account's cancels, which cost a request as well."""
    error = VenueError(Disposition.RATE_LIMITED, "429", "", until_ns=NOW + SECOND, scope=Scope.ACCOUNT)
    costs = (("weight", 0), ("raw", 1), ("order", 2))
    assert blocked_by(error, "a", costs) == BlockedByVenue(NOW + SECOND, "", "a", (("order", 2),))
    assert blocked_by(error, "a", costs[:2]).costs == costs[:2]


@pytest.mark.req("R355")
def test_a_silence_of_rest_stops_no_order_of_the_socket() -> None:
    """bybit-v5 section 11: HTTP 403 "access too frequent" is obeyed by REST, which asks the limiter."""
    codec = VENUES[Venue("bybit-linear")].public(VenueOptions())
    error = codec.error(HttpReply(403, {}, b"access too frequent", NOW, NOW))
    assert error is not None
    actor = LimiterActor(Venue("any"))  # any actor: it only has the context
    ctx = RecordingContext(actor, ENTRY, NOW)
    outcomes = Outcomes(actor, limiter="/limiter", clock="/clock", settle_after_ns=0, account=ACCOUNT)
    outcomes.answered(Pending((ClOrdID("x"),), True, "/account", NOW, 0, 0, Way.REST), Reply("1", error=error))
    assert [outcomes.blocked_for_ns(message, NOW) > 0 for message in (ORDERS, CANCEL)] == [False, False]
    (told,) = [message for _, message in ctx.take() if isinstance(message, BlockedByVenue)]
    assert told == BlockedByVenue(NOW + 600 * SECOND, "access too frequent", None, (("raw", 1),))


@pytest.mark.req("R355")
@pytest.mark.parametrize(
    "scope, is_order, orders_wait, cancels_wait",
    [
        (Scope.ADDRESS, True, True, True),
        (Scope.ACCOUNT, True, True, False),
        (Scope.ACCOUNT, False, False, True),
    ],
)
def test_an_empty_bucket_of_orders_keeps_no_cancel_waiting(
    scope: Scope, is_order: bool, orders_wait: bool, cancels_wait: bool
) -> None:
    actor = LimiterActor(Venue("any"))  # any actor: it only has the context
    ctx = RecordingContext(actor, ENTRY, NOW)
    outcomes = Outcomes(actor, limiter="/limiter", clock="/clock", settle_after_ns=0, account=ACCOUNT)
    error = VenueError(Disposition.RATE_LIMITED, "", "too many", until_ns=NOW + SECOND, scope=scope)
    outcomes.answered(Pending((ClOrdID("x"),), is_order, "/account", NOW, 0, 0, Way.SOCKET), Reply("1", error=error))
    assert (outcomes.blocked_for_ns(ORDERS, NOW) > 0) is orders_wait
    assert (outcomes.blocked_for_ns(CANCEL, NOW) > 0) is cancels_wait
    assert outcomes.blocked_for_ns(ORDERS, NOW + SECOND) <= 0
    (told,) = [message for _, message in ctx.take() if isinstance(message, BlockedByVenue)]
    assert (told.account, bool(told.costs)) == ((ACCOUNT, True) if scope is Scope.ACCOUNT else (None, False))


@pytest.mark.req("R355")
@pytest.mark.parametrize("in_parts", [False, True])
def test_a_replacement_that_finds_the_bucket_of_orders_empty_keeps_no_cancel_waiting(in_parts: bool) -> None:
    """It left under a permit for a new order, and as one it was too many."""
    actor = LimiterActor(Venue("any"))  # any actor: it only has the context
    ctx = RecordingContext(actor, ENTRY, NOW)
    outcomes = Outcomes(actor, limiter="/limiter", clock="/clock", settle_after_ns=0, account=ACCOUNT)
    order = attrs.evolve(new_order(), orig_cl_ord_id=ClOrdID("old"))
    replacement = SubmitReplace(order, None, "/account")
    error = VenueError(Disposition.RATE_LIMITED, "-1015", "", until_ns=NOW + SECOND, scope=Scope.ACCOUNT)
    done = Reply("", report=OrderState(ClOrdID("old"), OrderID("1"), Symbol(""), None, (), 0))
    answer = Reply("1", parts=(done, Reply("", error=error))) if in_parts else Reply("1", error=error)
    outcomes.answered(outcomes.sent(replacement, Way.SOCKET, NOW), answer)
    wait = [outcomes.blocked_for_ns(message, NOW) > 0 for message in (ORDERS, replacement, CANCEL)]
    assert wait == [True, True, False]
    (told,) = [message for _, message in ctx.take() if isinstance(message, BlockedByVenue)]
    assert (told.account, told.costs) == (ACCOUNT, (("orders", 1),))
