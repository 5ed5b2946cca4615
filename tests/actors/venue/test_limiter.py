"""The limiter actor: permits, leases, bans; driven through the recording context, so that time is the test's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
import trio

from actors.venue.bans import Ban, BanRecord
from actors.venue.limiter import BLOCK_UNSTATED_NS, EDGE_NS, LEASE_UNLIMITED, LimiterActor
from actors.venue.messages import BlockedByVenue, LeaseWanted, LimitsKnown, Permit, PermitQuery, PermitSettled
from actors.venue.settings import MS, SECOND
from protocols.base import Message
from protocols.control import ClockOffset, LimiterLease, VenueBlocked
from protocols.ids import AccountID, Venue
from protocols.orders import CancelAll
from protocols.venue import Lane, Limit, Usage
from supervisors.actor import Later
from supervisors.testing import RecordingContext

VENUE = Venue("binance-spot")
LIMITS = (Limit("weight", 60 * SECOND, 100), Limit("orders", 10 * SECOND, 40))
START = 1_790_000_040 * SECOND  # the beginning of a minute, and of a 10 s window

M = TypeVar("M", bound=Message)


class Desk:
    """A limiter and its surroundings."""

    def __init__(self, *limits: Limit, bans: BanRecord | None = None) -> None:
        self.actor = LimiterActor(VENUE, limits or LIMITS, ("/entry/a", "/entry/b"), bans)
        self.ctx = RecordingContext(self.actor, "/limiter", START)
        self.ctx.advance(0)
        self.ctx.sender = "/rest"
        self.answers: list[tuple[object, str | None]] = []

    def fresh_window(self) -> None:
        """Let the windows turn that were assumed to be half used."""
        self.ask(1)
        self.ctx.advance(61 * SECOND)
        self.answers.clear()
        self.ctx.take()

    def ask(self, weight: int, lane: Lane = Lane.QUERY, patience_ns: int = 5 * SECOND, sender: str = "/rest") -> None:
        self.ctx.sender = sender
        later = self.actor.answer(PermitQuery(lane, (("weight", weight),), "", patience_ns))
        assert isinstance(later, Later)
        # The runtime binds after `answer` has returned; what was resolved before is delivered then.
        later.bind(lambda value, error: self.answers.append((value, error)))

    def permits(self) -> list[Permit]:
        return [value for value, _ in self.answers if isinstance(value, Permit)]

    def used(self) -> dict[str, list[int]]:
        picture: dict[str, list[int]] = self.actor.inspect()["used"]  # type: ignore[assignment]
        return picture

    def sent(self, kind: type[M]) -> list[tuple[str, M]]:
        return [(path, message) for path, message in self.ctx.take() if isinstance(message, kind)]


def lease(desk: Desk, account: str = "a", most: int = 1000) -> LimiterLease | None:
    desk.actor.receive(LeaseWanted(AccountID(account), "orders", most, f"/entry/{account}"))
    answers = [message for _, message in desk.sent(LimiterLease)]
    return answers[0] if answers else None


def test_a_query_is_answered_when_it_is_its_turn() -> None:
    desk = Desk()
    desk.fresh_window()
    desk.ask(60)
    desk.ask(60)
    assert len(desk.permits()) == 1
    desk.ctx.advance(60 * SECOND)
    assert [error for _, error in desk.answers if error] == ["/limiter: no room in the venue's limits in time"]


def test_a_waiting_query_gets_its_permit_when_the_window_turns() -> None:
    desk = Desk()
    desk.fresh_window()
    desk.ask(60, patience_ns=120 * SECOND)
    desk.ask(60, patience_ns=120 * SECOND)
    desk.ctx.advance(60 * SECOND)
    assert len(desk.permits()) == 2


def test_an_unknown_message_is_a_bug() -> None:
    desk = Desk()
    with pytest.raises(TypeError, match="CancelAll"):
        desk.actor.receive(CancelAll(AccountID("a"), VENUE, "/x"))


def test_a_request_that_never_fits_is_refused_and_keeps_nobody_waiting() -> None:
    desk = Desk()
    desk.fresh_window()
    desk.ask(99)
    desk.ask(1)
    (refused, _) = desk.answers
    assert refused[1] is not None
    assert "costs 99 weight, more than its share of 100" in refused[1]
    assert len(desk.permits()) == 1


def test_permits_that_are_needed_now_come_all_together_or_when_there_is_room() -> None:
    desk = Desk(Limit("cancels", SECOND, 10, aligned=False))
    wanted = LeaseWanted(AccountID("a"), "cancels", 6, "/entry/a", exact=True)
    desk.actor.receive(attrs.evolve(wanted, permits_max=1))
    desk.ctx.advance(4 * SECOND)  # what was assumed is over, and so is what was not reported
    desk.ctx.take()
    desk.actor.receive(wanted)
    (first,) = [lease for _, lease in desk.sent(LimiterLease)]
    assert first.permits == 6
    desk.actor.receive(wanted)
    assert not desk.sent(LimiterLease)
    desk.actor.receive(PermitSettled(first.number, "a", (("cancels", 6),), (), (), 0))
    desk.ctx.advance(SECOND + 30 * MS)
    assert [lease.permits for _, lease in desk.sent(LimiterLease)] == [6]


@pytest.mark.req("R010", "R012")
def test_a_lease_is_a_part_of_what_is_free_and_ends_before_its_window() -> None:
    desk = Desk()
    desk.fresh_window()
    given = lease(desk)
    assert given is not None
    assert given.permits == int(40 * Decimal("0.85")) // 4
    window_end = desk.ctx.now_ns - desk.ctx.now_ns % (10 * SECOND) + 10 * SECOND
    assert given.until_ns + EDGE_NS < window_end
    other = lease(desk, "b")
    assert other is not None
    assert other.permits == given.permits, "order counts are the account's own"


def test_leases_of_one_account_never_add_up_to_more_than_its_share() -> None:
    desk = Desk()
    desk.fresh_window()
    total = 0
    for _ in range(100):
        given = lease(desk)
        total += given.permits if given is not None else 0
    assert total == 34
    desk.ctx.advance(3 * SECOND)
    refused = [message for _, message in desk.sent(LimiterLease)]
    assert refused
    assert {message.permits for message in refused} == {0}, "whoever waited too long is told"


def test_unused_permits_can_be_leased_again() -> None:
    desk = Desk()
    desk.fresh_window()
    given = lease(desk)
    assert given is not None
    for _ in range(100):
        lease(desk)
    desk.actor.receive(PermitSettled(given.number, "a", (), (("orders", given.permits),), (), 0))
    assert desk.sent(LimiterLease), "a wish that waited gets what was given back"


def test_a_lease_near_the_end_of_a_window_counts_in_both() -> None:
    desk = Desk()
    desk.fresh_window()
    to_end = 10 * SECOND - desk.ctx.now_ns % (10 * SECOND)
    desk.ctx.advance(to_end - EDGE_NS)
    given = lease(desk)
    assert given is not None
    assert desk.used()["orders/10s/a"] == [given.permits, 40]
    desk.ctx.advance(EDGE_NS + 300 * MS)
    assert desk.used()["orders/10s/a"] == [given.permits, 40]
    desk.ctx.advance(10 * SECOND)
    assert desk.used()["orders/10s/a"] == [0, 40]


def test_a_venue_without_order_limits_gives_unlimited_leases() -> None:
    given = lease(Desk(Limit("weight", 60 * SECOND, 100)))
    assert given is not None
    assert given.permits == LEASE_UNLIMITED


@pytest.mark.req("R011")
def test_the_venues_own_limits_replace_the_assumed_ones() -> None:
    desk = Desk()
    desk.fresh_window()
    assert lease(desk, most=100_000).permits < 40  # type: ignore[union-attr]
    desk.actor.receive(LimitsKnown((Limit("weight", 60 * SECOND, 6000),)))
    assert lease(desk, most=100_000).permits == LEASE_UNLIMITED  # type: ignore[union-attr]
    desk.ask(2000)  # more than all that was assumed
    assert len(desk.permits()) == 1


def test_what_the_venue_says_is_used_is_not_permitted_again() -> None:
    desk = Desk()
    desk.fresh_window()
    desk.ask(1)
    (permit,) = desk.permits()
    now = desk.ctx.now_ns
    desk.actor.receive(PermitSettled(permit.number, "", (("weight", 1),), (), (Usage("weight", 60 * SECOND, 69),), now))
    desk.ask(2)
    assert len(desk.permits()) == 1
    desk.ask(1, Lane.CANCEL)
    assert len(desk.permits()) == 2


def test_windows_follow_the_venues_clock() -> None:
    desk = Desk()
    desk.fresh_window()
    desk.actor.receive(ClockOffset(VENUE, 30 * SECOND, 0, True, 0))
    desk.ctx.advance(60 * SECOND)
    desk.ask(70)
    to_venue_minute = 60 * SECOND - (desk.ctx.now_ns + 30 * SECOND) % (60 * SECOND)
    desk.ctx.advance(to_venue_minute + 300 * MS)
    desk.ask(70)
    assert len(desk.permits()) == 2


@pytest.mark.req("R355")
def test_a_ban_stops_everyone_until_it_is_over_and_all_are_told() -> None:
    desk = Desk()
    desk.fresh_window()
    until = desk.ctx.now_ns + 20 * SECOND
    desk.actor.receive(BlockedByVenue(until, "banned"))
    told = desk.sent(VenueBlocked)
    assert [(path, message.until_ns) for path, message in told] == [("/entry/a", until), ("/entry/b", until)]
    desk.ask(1, Lane.CANCEL, patience_ns=SECOND)
    desk.ask(1, Lane.CANCEL, patience_ns=60 * SECOND)
    desk.ctx.advance(2 * SECOND)
    assert desk.permits() == []
    assert "blocked us for 18" in str(desk.answers[0][1])
    desk.ctx.advance(18 * SECOND)
    assert len(desk.permits()) == 1
    assert [message.until_ns for _, message in desk.sent(VenueBlocked)] == [0, 0]


def test_a_shorter_ban_does_not_shorten_the_one_in_force() -> None:
    desk = Desk()
    until = desk.ctx.now_ns + 20 * SECOND
    desk.actor.receive(BlockedByVenue(until, "banned"))
    desk.ctx.take()
    desk.actor.receive(BlockedByVenue(until - SECOND, "banned"))
    assert desk.sent(VenueBlocked) == []


def test_a_429_that_does_not_say_how_long_is_obeyed_for_a_minute() -> None:
    desk = Desk()
    desk.actor.receive(BlockedByVenue(0, "too many"))
    assert desk.sent(VenueBlocked)[0][1].until_ns == desk.ctx.now_ns + BLOCK_UNSTATED_NS


def test_the_first_window_is_taken_as_half_spent() -> None:
    desk = Desk()
    desk.ask(21)
    assert desk.permits() == []
    desk.ask(20)
    assert desk.permits() == [], "the first one waits for this budget"
    fresh = Desk()
    fresh.ask(20)
    assert len(fresh.permits()) == 1


@pytest.mark.parametrize("epoch, at_once", [(1, 10), (2, 5)])
def test_short_windows_are_half_spent_only_after_a_crash_of_this_process(epoch: int, at_once: int) -> None:
    desk = Desk(Limit("weight", SECOND, 10, aligned=False), Limit("raw", 60 * SECOND, 10))
    desk.ctx.epoch = epoch
    trio.run(desk.actor.started)
    for _ in range(12):
        desk.ask(1, Lane.CANCEL)
    assert len(desk.permits()) == at_once
    assert all(permit.number > (epoch - 1) << 32 for permit in desk.permits())


# ---- bans are not forgotten ----------------------------------------------------------------------------------------


@pytest.mark.req("R355")
@pytest.mark.parametrize("process_too", [False, True], ids=["actor", "process"])
def test_a_ban_outlives_the_limiter_and_the_process(tmp_path: Path, process_too: bool) -> None:
    path = tmp_path / "bans" / "binance-spot.json"
    first = Desk(bans=(bans := BanRecord(path)))
    until = first.ctx.now_ns + 300 * SECOND
    first.actor.receive(BlockedByVenue(until, "IP banned"))
    again = Desk(bans=BanRecord(path) if process_too else bans)
    trio.run(again.actor.started)
    assert [message.until_ns for _, message in again.sent(VenueBlocked)] == [until, until]
    again.ask(1, Lane.CANCEL, patience_ns=SECOND)
    again.ctx.advance(2 * SECOND)
    assert again.permits() == []
    assert "blocked us for 29" in str(again.answers[0][1])
    again.ctx.advance(300 * SECOND)
    again.ask(1, Lane.CANCEL)
    assert len(again.permits()) == 1


def test_a_ban_that_is_over_is_no_ban(tmp_path: Path) -> None:
    BanRecord(tmp_path / "x.json").keep(Ban(START - SECOND, "long ago"))
    desk = Desk(bans=BanRecord(tmp_path / "x.json"))
    trio.run(desk.actor.started)
    desk.ask(1, Lane.CANCEL)
    assert len(desk.permits()) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "7", "[7]", '[{"until_ns": "soon", "text": "", "names": []}]', '[{"text": "x"}]']
)
def test_an_unreadable_record_is_told_and_the_next_ban_is_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    desk = Desk(bans=BanRecord(path))
    trio.run(desk.actor.started)
    assert [what for what, _ in desk.ctx.notes] == ["ban_record_unreadable"]
    desk.actor.receive(BlockedByVenue(START + 60 * SECOND, "banned"))
    assert BanRecord(path).in_force(START) == (Ban(START + 60 * SECOND, "banned"),)


def test_a_disk_that_takes_no_record_is_told_and_the_ban_holds(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    desk = Desk(bans=BanRecord(tmp_path / "file" / "x.json"))
    desk.actor.receive(BlockedByVenue(START + 60 * SECOND, "banned"))
    assert [what for what, _ in desk.ctx.notes] == ["ban_record_not_written", "blocked"]
    desk.ask(1, Lane.CANCEL)
    assert desk.permits() == []


@pytest.mark.req("R355")
@pytest.mark.parametrize("reversed_order", [False, True])
def test_a_ban_of_rest_stops_rest_alone_also_after_a_restart(tmp_path: Path, reversed_order: bool) -> None:
    """Whatever other ban came before or after it."""
    path = tmp_path / "bans.json"
    first = Desk(bans=BanRecord(path))
    until = first.ctx.now_ns + 600 * SECOND
    bans = [
        BlockedByVenue(until, "access too frequent", costs=(("raw", 1),)),
        BlockedByVenue(first.ctx.now_ns + SECOND, "10403"),
    ]
    for ban in reversed(bans) if reversed_order else bans:
        first.actor.receive(ban)
    again = Desk(bans=BanRecord(path))
    trio.run(again.actor.started)
    for desk in (first, again):
        desk.ctx.advance(2 * SECOND)
        desk.ctx.take()
        assert lease(desk, "a") is not None
        assert desk.actor.inspect()["silenced"] == {"raw": until}
        desk.actor.answer(PermitQuery(Lane.CANCEL, (("raw", 1),), "a", SECOND))
        desk.ask(1)
        desk.ctx.advance(2 * SECOND)
        assert len(desk.permits()) == 1, "what is no REST request"


# ---- one account's refusal is no ban -------------------------------------------------------------------------------


@pytest.mark.req("R355", "R057")
def test_an_empty_bucket_of_one_account_stops_nobody_else() -> None:
    desk = Desk()
    desk.fresh_window()
    until = desk.ctx.now_ns + SECOND
    desk.actor.receive(BlockedByVenue(until, "10006 Too many visits", "a", (("orders", 1), ("weight", 0))))
    assert desk.sent(VenueBlocked) == []
    assert lease(desk, "a") is None
    assert lease(desk, "b") is not None
    desk.ask(1, Lane.QUERY)
    assert len(desk.permits()) == 1
    accounts: dict[str, dict[str, object]] = desk.actor.inspect()["accounts"]  # type: ignore[assignment]
    assert list(accounts["a"]["blocked"]) == ["orders"]  # type: ignore[call-overload]
    assert accounts["b"]["blocked"] == {}
    desk.ctx.advance(SECOND + 10 * MS)
    given = [message for _, message in desk.sent(LimiterLease)]
    assert [message.permits > 0 for message in given] == [True]
