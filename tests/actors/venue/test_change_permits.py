"""Permits for cancels and amends: asked for when needed, in turn, all or none, given up in words."""

from __future__ import annotations

from decimal import Decimal

from actors.venue.change_permits import AMENDS, CANCELS, ChangePermits
from actors.venue.outcomes import Change
from actors.venue.settings import SECOND
from protocols.control import LimiterLease
from protocols.ids import AccountID, ClOrdID, Symbol, Venue
from protocols.orders import SubmitAmend, SubmitCancel, SubmitCancels

ACCOUNT, VENUE, BTC = AccountID("a"), Venue("okx-swap"), Symbol("BTC-USDT-SWAP")
NOW = 1_790_000_000 * SECOND
ENTRY = "/entry"


def cancel(name: str) -> SubmitCancel:
    return SubmitCancel(ClOrdID(name), None, BTC, ENTRY)


def cancels(*names: str) -> SubmitCancels:
    return SubmitCancels(BTC, tuple((ClOrdID(name), None) for name in names), False, ENTRY)


def amend(name: str) -> SubmitAmend:
    return SubmitAmend(ClOrdID(name), None, BTC, Decimal(1), ENTRY)


def lease(kind: str, permits: int, number: int = 7) -> LimiterLease:
    return LimiterLease(kind, permits, NOW + SECOND, number)


def released(permits: ChangePermits) -> list[tuple[Change, int]]:
    return [(message, len(leases)) for message, leases in permits.release(NOW)]


def test_the_first_change_waits_for_the_limiter_and_leaves_with_its_answer() -> None:
    permits, first = ChangePermits(ACCOUNT, VENUE), cancel("x")
    assert permits.take(first, NOW, 0) == ()
    (wish,) = permits.wishes(ENTRY)
    assert (wish.kind, wish.permits_max, wish.exact, wish.venue) == (CANCELS, 1, True, VENUE)
    assert list(permits.wishes(ENTRY)) == [], "one question at a time"
    assert permits.add(lease(CANCELS, 1))
    assert released(permits) == [(first, 1)]
    assert permits.waiting == {CANCELS: 0, AMENDS: 0}


def test_where_nothing_is_limited_one_answer_is_good_for_all() -> None:
    permits = ChangePermits(ACCOUNT, VENUE)
    permits.take(cancel("x"), NOW, 0)
    permits.add(lease(CANCELS, 1_000_000, number=0))
    assert len(released(permits)) == 1
    for number in range(100):
        assert permits.take(cancel(str(number)), NOW, 0)
    assert list(permits.wishes(ENTRY)) == []


def test_who_came_first_leaves_first_although_a_later_one_would_fit() -> None:
    permits = ChangePermits(ACCOUNT, VENUE)
    several, single = cancels("x", "y", "z"), cancel("w")
    assert permits.take(several, NOW, 0) == ()
    assert permits.take(single, NOW, 0) == ()
    permits.add(lease(CANCELS, 2))
    assert released(permits) == [], "all of its permits or none"
    permits.add(lease(CANCELS, 2, number=8))
    assert released(permits) == [(several, 3), (single, 1)]


def test_an_amend_that_waits_holds_up_no_cancel() -> None:
    permits, change, end = ChangePermits(ACCOUNT, VENUE), amend("x"), cancel("y")
    permits.take(change, NOW, 0)
    permits.take(end, NOW, 0)
    assert {wish.kind for wish in permits.wishes(ENTRY)} == {CANCELS, AMENDS}
    permits.add(lease(CANCELS, 1))
    assert released(permits) == [(end, 1)]
    assert permits.waiting == {CANCELS: 0, AMENDS: 1}


def test_what_waits_too_long_is_given_up_by_name() -> None:
    permits, old, young = ChangePermits(ACCOUNT, VENUE), cancel("x"), cancel("y")
    permits.take(old, NOW, 5)
    permits.take(young, NOW, 9)
    assert list(permits.overdue(9)) == [old]
    permits.add(lease(CANCELS, 1))
    assert released(permits) == [(young, 1)]


def test_a_new_limiter_is_asked_again_for_those_who_wait() -> None:
    permits = ChangePermits(ACCOUNT, VENUE)
    permits.take(cancels("x", "y"), NOW, 0)
    assert len(list(permits.wishes(ENTRY))) == 1
    (again,) = permits.wishes(ENTRY, again=True)
    assert again.permits_max == 2


def test_an_answer_without_permits_is_asked_for_again() -> None:
    permits = ChangePermits(ACCOUNT, VENUE)
    permits.take(cancel("x"), NOW, 0)
    assert list(permits.wishes(ENTRY))
    permits.add(lease(CANCELS, 0))
    assert released(permits) == []
    assert [wish.kind for wish in permits.wishes(ENTRY)] == [CANCELS]


def test_answered_and_unused_permits_are_reported_and_orders_are_none_of_its_business() -> None:
    permits, change = ChangePermits(ACCOUNT, VENUE), cancel("x")
    permits.take(change, NOW, 0)
    permits.add(lease(CANCELS, 3))
    ((_, (taken,)),) = permits.release(NOW)
    taken.finished += 1
    (report,) = permits.settle(NOW)
    assert (report.number, report.used, report.unused) == (7, ((CANCELS, 1),), ())
    (rest,) = permits.settle(NOW + 2 * SECOND)
    assert (rest.used, rest.unused) == ((), ((CANCELS, 2),))
    assert not permits.add(lease("orders", 5))


def test_a_change_that_did_not_leave_gives_its_permits_back() -> None:
    permits, change = ChangePermits(ACCOUNT, VENUE), cancels("x", "y")
    permits.take(change, NOW, 0)
    permits.add(lease(CANCELS, 2))
    ((_, leases),) = permits.release(NOW)
    permits.put_back(leases, change)
    assert len(permits.take(change, NOW, 0)) == 2
