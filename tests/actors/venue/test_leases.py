"""Order permits in stock."""

from __future__ import annotations

from actors.venue.leases import RENEW_BEFORE_NS, WISH_LOST_NS, Leases
from actors.venue.messages import PermitSettled
from protocols.control import LimiterLease
from protocols.ids import AccountID
from protocols.venue import Usage

ACCOUNT = AccountID("master")
UNTIL = 1_000_000_000_000


def stock(permits: int = 4, until_ns: int = UNTIL, number: int = 7) -> Leases:
    leases = Leases("orders")
    leases.add(LimiterLease("orders", permits, until_ns, number))
    return leases


def test_permits_are_taken_one_by_one_and_end() -> None:
    leases = stock(2)
    assert leases.take(0) is not None
    assert leases.take(0) is not None
    assert leases.take(0) is None
    assert leases.left == 0


def test_a_permit_is_not_used_after_its_time() -> None:
    leases = stock()
    assert leases.take(UNTIL) is None
    assert leases.take(UNTIL - 1) is not None


def test_the_stock_is_low_at_half_or_near_its_end() -> None:
    leases = stock(4)
    assert not leases.low(0)
    assert leases.low(UNTIL - RENEW_BEFORE_NS)
    leases.take(0)
    assert not leases.low(0)
    leases.take(0)
    assert leases.low(0)
    assert Leases("orders").low(0)


def test_one_wish_at_a_time_until_it_is_answered_or_lost() -> None:
    leases = Leases("orders")
    assert leases.wish(ACCOUNT, "/entry", 0) is not None
    assert leases.wish(ACCOUNT, "/entry", 1) is None
    assert leases.wish(ACCOUNT, "/entry", WISH_LOST_NS) is not None
    leases.add(LimiterLease("orders", 0, 0))
    assert leases.wish(ACCOUNT, "/entry", WISH_LOST_NS + 1) is not None
    leases.forget_wish()
    assert leases.wish(ACCOUNT, "/entry", WISH_LOST_NS + 2) is not None


def test_answers_and_leftovers_are_reported_once() -> None:
    leases = stock(4)
    first, second = leases.take(0), leases.take(0)
    assert first is not None
    assert second is first
    first.finished += 1
    assert leases.settle(ACCOUNT, 0) == [PermitSettled(7, ACCOUNT, (("orders", 1),), (), (), 0)]
    assert leases.settle(ACCOUNT, 0) == []
    assert leases.settle(ACCOUNT, UNTIL) == [PermitSettled(7, ACCOUNT, (), (("orders", 2),), (), 0)]
    assert leases.left == 0
    first.finished += 1
    assert leases.settle(ACCOUNT, UNTIL) == [PermitSettled(7, ACCOUNT, (("orders", 1),), (), (), 0)]
    assert leases.settle(ACCOUNT, UNTIL) == []


def test_a_permit_put_back_is_there_again() -> None:
    leases = stock(1)
    block = leases.take(0)
    assert block is not None
    leases.put_back(block)
    assert leases.left == 1
    assert leases.take(0) is block


def test_the_newest_count_of_the_venue_is_passed_on() -> None:
    leases = Leases("orders")
    leases.note_usage((Usage("orders", 10, 1),), 5)
    leases.note_usage((Usage("orders", 10, 2),), 6)
    assert leases.settle(ACCOUNT, 0) == [PermitSettled(0, ACCOUNT, (), (), (Usage("orders", 10, 2),), 6)]
    assert leases.settle(ACCOUNT, 0) == []
