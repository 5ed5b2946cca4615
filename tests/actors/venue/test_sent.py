"""The memory of what was sent: true exactly once for each id, bounded, never forgetful in the dangerous direction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.venue.sent import FOREIGN_MAX, WINDOW, SentOnce
from protocols.ids import ClOrdID, ClOrdIDs, base36

PREFIX = ClOrdIDs("master", "mm", 1, 1).next()[:-6]


def made(count: int, prefix: str = PREFIX) -> ClOrdID:
    return ClOrdID(prefix + base36(count, 6))


@pytest.mark.req("R001")
@given(st.lists(st.integers(0, 3 * WINDOW), max_size=300))
def test_no_id_is_new_twice_in_any_order(counts: list[int]) -> None:
    sent, seen = SentOnce(), set()
    for count in counts:
        if sent.first_time(made(count)):
            assert count not in seen
            seen.add(count)


@given(st.permutations(range(200)))
def test_every_id_within_the_window_is_new_once(counts: list[int]) -> None:
    sent = SentOnce()
    assert all(sent.first_time(made(count)) for count in counts)
    assert not any(sent.first_time(made(count)) for count in counts)


def test_an_id_too_old_to_tell_counts_as_seen() -> None:
    sent = SentOnce()
    assert sent.first_time(made(WINDOW + 10))
    assert not sent.first_time(made(10))
    assert sent.first_time(made(11))


def test_makers_do_not_disturb_each_other() -> None:
    sent = SentOnce()
    other = ClOrdIDs("sub1", "tfpe", 1, 1)
    assert sent.first_time(made(5))
    assert sent.first_time(other.next())
    assert sent.first_time(other.next())
    assert not sent.first_time(made(5))


def test_what_surely_did_not_leave_may_leave_another_way() -> None:
    sent = SentOnce()
    for count in range(10):
        sent.first_time(made(count))
    sent.take_back(made(4))
    assert sent.first_time(made(4))
    assert not sent.first_time(made(4))
    assert not sent.first_time(made(5))


def test_ids_of_others_are_remembered_too() -> None:
    sent = SentOnce()
    assert sent.first_time(ClOrdID("web_abc"))
    assert not sent.first_time(ClOrdID("web_abc"))
    sent.take_back(ClOrdID("web_abc"))
    assert sent.first_time(ClOrdID("web_abc"))
    for number in range(FOREIGN_MAX):
        sent.first_time(ClOrdID(f"x{number}"))
    assert len(sent._foreign) == FOREIGN_MAX
