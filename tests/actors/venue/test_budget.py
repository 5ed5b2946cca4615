"""The budget: no window is ever exceeded, cancels never starve, accounts share fairly, bans stop everyone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.venue.budget import SHARES, Budget, Grant, Ticket
from actors.venue.budget_rows import AlignedRow
from protocols.errors import LocalProtocolError
from protocols.venue import Lane, Limit, Scope, Usage

SECOND = 1_000_000_000
EDGE = SECOND // 2
EARLY = SECOND // 10
START = 1_790_000_000 * SECOND
LIMITS = (Limit("weight", 3 * SECOND, 40), Limit("orders", 2 * SECOND, 10), Limit("orders", 6 * SECOND, 25))


def ticket(
    lane: Lane = Lane.NEW, asker: str = "a", hold_ns: int = 0, wait_ns: int = 60 * SECOND, **costs: int
) -> Ticket:
    return Ticket(asker, asker, lane, costs or {"weight": 1}, START + wait_ns, hold_ns)


def budget(*limits: Limit, **options: object) -> Budget:
    return Budget(limits or LIMITS, edge_ns=EDGE, early_ns=EARLY, **options)  # type: ignore[arg-type]


def granted(budget: Budget, now_ns: int) -> list[Grant]:
    return budget.grant(now_ns)[0]


def room(budget: Budget, name: str, now_ns: int) -> int:
    """What a cancel of `a` could have at once."""
    return budget.room(Ticket("a", "a", Lane.CANCEL, {name: 1}, now_ns), now_ns)


# ---- the two promises, on random runs ---------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 50, 200, 450, 550, 900]),  # ms until the step
        st.sampled_from([Lane.CANCEL, Lane.CANCEL, *Lane]),
        st.sampled_from(["a", "a", "b"]),
        st.integers(1, 20),  # weight
        st.integers(0, 6),  # orders
        st.sampled_from([0, 0, SECOND]),  # single request or lease
        st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.0]),  # when, between the earliest and the latest, it is counted
        st.sampled_from(["answered", "answered with usage", "unused", "silent"]),
    ),
    min_size=5,
    max_size=60,
)


@pytest.mark.req("R011", "R264")
@settings(max_examples=500)
@given(steps)
def test_no_window_of_the_venue_is_ever_exceeded(run: list[tuple[int, Lane, str, int, int, int, float, str]]) -> None:
    """A venue of our own counts what arrives, at any moment that the promise allows, and says its counts."""
    ours = budget()
    counted: Counter[tuple[str, int, str, int]] = Counter()
    now = START
    for pause, lane, asker, weight, orders, hold, when, fate in run:
        now += pause * 1_000_000
        ours.ask(ticket(lane, asker, hold, now - START + 10 * SECOND, weight=weight, orders=orders))
        for grant in granted(ours, now):
            costs = grant.ticket.costs
            if fate == "unused":
                ours.give_back(grant.number, costs, now)
                continue
            first, last = now - EARLY, grant.until_ns + EDGE
            arrival = first + int((last - first) * when)
            for limit in LIMITS:
                scope = grant.ticket.account if limit.name == "orders" else ""
                window = arrival - arrival % limit.interval_ns
                counted[limit.name, limit.interval_ns, scope, window] += costs.get(limit.name, 0)
            if fate.startswith("answered"):
                ours.finish(grant.number, costs, now)
            if fate == "answered with usage" and arrival <= now:
                said = [
                    Usage(limit.name, limit.interval_ns, counted[limit.name, limit.interval_ns, scope, window])
                    for limit in LIMITS
                    for scope in [grant.ticket.account if limit.name == "orders" else ""]
                    for window in [arrival - arrival % limit.interval_ns]
                ]
                ours.correct(grant.ticket.account, said, arrival, now)
    for (name, interval_ns, _, _), used in counted.items():
        (limit_value,) = (each.limit for each in LIMITS if (each.name, each.interval_ns) == (name, interval_ns))
        assert used <= limit_value, (name, interval_ns)


@pytest.mark.req("R011")
@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from([Lane.REDUCE, Lane.NEW, Lane.QUERY]), st.integers(1, 20)), max_size=80),
    st.integers(0, 10 * SECOND),
)
def test_a_cancel_never_waits_for_others(others: list[tuple[Lane, int]], at: int) -> None:
    """However much of everything else is wanted, the cancels' reserve is there."""
    ours = budget(Limit("weight", 10 * SECOND, 100))
    now = START + at
    for lane, weight in others:
        ours.ask(ticket(lane, f"{lane.name}", weight=weight))
    ours.ask(ticket(Lane.CANCEL, "canceler", weight=1))
    lanes = [grant.ticket.lane for grant in granted(ours, now)]
    assert Lane.CANCEL in lanes
    ours.ask(ticket(Lane.CANCEL, "canceler", weight=1))
    assert [grant.ticket.lane for grant in granted(ours, now)] == [Lane.CANCEL]


# ---- windows ------------------------------------------------------------------------------------------------------


def test_windows_are_aligned_to_the_clock_and_open_again() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 10))
    for _ in range(12):
        ours.ask(ticket(Lane.CANCEL))
    assert len(granted(ours, START + 5 * SECOND)) == 10
    assert granted(ours, START + 9 * SECOND) == []
    assert ours.next_chance_ns(START + 9 * SECOND) == START + 10 * SECOND
    assert len(granted(ours, START + 10 * SECOND + EARLY)) == 2


def test_a_request_at_the_edge_counts_in_both_windows() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 10))
    late = START + 10 * SECOND - EDGE // 2
    for _ in range(10):
        ours.ask(ticket(Lane.CANCEL))
    assert len(granted(ours, late)) == 10
    ours.ask(ticket(Lane.CANCEL))
    assert granted(ours, START + 10 * SECOND + EARLY + 1) == [], "they may be counted in this window"
    assert len(granted(ours, START + 20 * SECOND + EARLY)) == 1


def test_a_request_just_after_the_edge_may_still_count_in_the_window_before() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 10))
    for _ in range(9):
        ours.ask(ticket(Lane.CANCEL))
    assert len(granted(ours, START + SECOND)) == 9
    for _ in range(2):
        ours.ask(ticket(Lane.CANCEL))
    assert len(granted(ours, START + 10 * SECOND + EARLY // 2)) == 1


def test_the_first_window_is_not_trusted() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 100), assumed=Fraction(1, 2))
    for _ in range(60):
        ours.ask(ticket(Lane.CANCEL))
    assert len(granted(ours, START + SECOND)) == 50
    assert len(granted(ours, START + 10 * SECOND + EARLY)) == 10


def test_the_venues_count_takes_the_place_of_the_guess() -> None:
    ours = budget(Limit("weight", 60 * SECOND, 100), assumed=Fraction(1, 2))
    began = START - START % (60 * SECOND) + 10 * SECOND
    ours.ask(ticket(Lane.CANCEL, weight=10, wait_ns=100 * SECOND))
    (first,) = granted(ours, began)
    assert room(ours, "weight", began) == 40
    ours.correct("a", [Usage("weight", 60 * SECOND, 7)], began, began + SECOND)
    assert room(ours, "weight", began + SECOND) == 83, "7 at the venue, 10 on their way"
    ours.finish(first.number, {"weight": 10}, began + SECOND)
    ours.correct("a", [Usage("weight", 60 * SECOND, 30)], began + SECOND, began + 2 * SECOND, number=first.number)
    assert room(ours, "weight", began + 2 * SECOND) == 70


def test_a_count_near_the_edge_of_a_window_proves_nothing_about_the_guess() -> None:
    ours = budget(Limit("weight", 60 * SECOND, 100), assumed=Fraction(1, 2))
    edge = START - START % (60 * SECOND) + SECOND // 10
    ours.ask(ticket(Lane.CANCEL, weight=1, wait_ns=100 * SECOND))
    granted(ours, edge)
    ours.correct("a", [Usage("weight", 60 * SECOND, 2)], edge, edge)
    assert room(ours, "weight", edge) == 49


@pytest.mark.req("R057")
def test_order_counts_are_kept_for_each_account() -> None:
    ours = budget(Limit("orders", 10 * SECOND, 10))
    for account in ("one", "two"):
        for _ in range(10):
            ours.ask(ticket(Lane.CANCEL, account, orders=1))
    assert len(granted(ours, START + SECOND)) == 20


def test_a_limit_that_the_venue_lowers_holds_at_once() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 100))
    for _ in range(60):
        ours.ask(ticket(Lane.CANCEL))
    assert len(granted(ours, START + SECOND)) == 60
    ours.set_limits([Limit("weight", 10 * SECOND, 60)], START + SECOND)
    ours.ask(ticket(Lane.CANCEL))
    assert granted(ours, START + 2 * SECOND) == []


def test_a_limit_of_nothing_is_no_limit() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 5), Limit("raw", 10 * SECOND, 0))
    ours.ask(ticket(Lane.CANCEL, weight=5, raw=1))
    assert len(granted(ours, START + SECOND)) == 1
    ours.set_limits([Limit("weight", 10 * SECOND, 0), Limit("orders", 10 * SECOND, 5)], START + SECOND)
    ours.ask(ticket(Lane.CANCEL, weight=500))
    assert len(granted(ours, START + SECOND)) == 1


# ---- corrections --------------------------------------------------------------------------------------------------


def test_the_venue_corrects_upwards_with_what_is_still_on_its_way() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 100))
    for _ in range(10):
        ours.ask(ticket(Lane.CANCEL, weight=1))
    first, *others = granted(ours, START + SECOND)
    ours.finish(first.number, {"weight": 1}, START + SECOND)
    ours.correct("a", [Usage("weight", 10 * SECOND, 50)], START + SECOND, START + SECOND, number=first.number)
    assert len(others) == 9
    assert room(ours, "weight", START + SECOND) == 100 - 50 - 9


@pytest.mark.req("R011")
def test_the_venue_gives_back_what_fills_have_freed() -> None:
    """40 orders were answered; 37 of them have been filled since, so the venue counts 3 (binance-spot section 5)."""
    ours = budget(Limit("orders", 60 * SECOND, 100))
    ours.ask(ticket(Lane.CANCEL, orders=40))
    (grant,) = granted(ours, START + SECOND)
    ours.finish(grant.number, {"orders": 40}, START + 2 * SECOND)
    ours.correct("a", [Usage("orders", 60 * SECOND, 3)], START + SECOND, START + 3 * SECOND)
    assert room(ours, "orders", START + 3 * SECOND) == 57, "sent before that answer came: it need not be in the count"
    ours.correct("a", [Usage("orders", 60 * SECOND, 3)], START + 3 * SECOND, START + 4 * SECOND)
    assert room(ours, "orders", START + 4 * SECOND) == 97


def test_a_count_near_the_edge_of_a_window_never_corrects_downwards() -> None:
    ours = budget(Limit("orders", 10 * SECOND, 100))
    ours.ask(ticket(Lane.CANCEL, orders=40))
    (grant,) = granted(ours, START + SECOND)
    ours.finish(grant.number, {"orders": 40}, START + 2 * SECOND)
    late = START + 10 * SECOND - EDGE // 2
    ours.correct("a", [Usage("orders", 10 * SECOND, 3)], late, late)
    assert room(ours, "orders", late) == 60


def test_what_was_never_answered_is_counted_at_the_venue_or_nowhere_when_its_time_is_over() -> None:
    ours = budget(Limit("orders", 60 * SECOND, 100))
    ours.ask(ticket(Lane.CANCEL, orders=40))
    granted(ours, START + SECOND)
    at = START + SECOND + EDGE
    ours.correct("a", [Usage("orders", 60 * SECOND, 40)], at, at)
    assert room(ours, "orders", at) == 20
    ours.correct("a", [Usage("orders", 60 * SECOND, 40)], at + 1, at + 1)
    assert room(ours, "orders", at + 1) == 60


requests = st.lists(
    st.tuples(
        st.sampled_from([0, 20, 100, 400, 900]),  # ms until it is wanted
        st.integers(1, 12),  # orders
        st.integers(0, 500),  # ms until it arrives
        st.integers(0, 900),  # ms until its answer is here
        st.sampled_from(["answered"] * 4 + ["lost"]),
        st.integers(0, 12),  # given back at the venue by fills, when it arrives
    ),
    min_size=5,
    max_size=80,
)


@pytest.mark.req("R011", "R264")
@settings(max_examples=300)
@given(requests, st.integers(-int(EARLY), int(EARLY)))
def test_no_window_is_exceeded_although_the_venues_count_goes_down(
    run: list[tuple[int, int, int, int, str, int]], ahead_ns: int
) -> None:
    """A venue whose fills give orders back, whose clock is a little off, and which tells its count in each answer."""
    limit = Limit("orders", 6 * SECOND, 40)
    ours = budget(limit)
    counted: Counter[int] = Counter()
    wanted = START
    events: list[tuple[int, int, str, tuple[int, ...]]] = []
    for number, (pause, orders, transit, back, fate, freed) in enumerate(run):
        wanted += pause * 1_000_000
        events.append((wanted, number, "want", (orders, transit, back, fate == "answered", freed)))
    serial = len(events)
    said: dict[int, int] = {}
    waiting: dict[int, tuple[int, ...]] = {}
    while events:
        events.sort()
        now, number, what, parts = events.pop(0)
        if what == "want":
            ours.ask(Ticket(str(number), "a", Lane.CANCEL, {"orders": parts[0]}, now + 9 * SECOND))
            waiting[number] = parts
        elif what == "arrive":
            window = (now + ahead_ns) // limit.interval_ns
            counted[window] += parts[0]
            assert counted[window] <= limit.limit
            counted[window] = max(0, counted[window] - parts[4])
            said[number] = counted[window]
        elif what == "reply":
            ours.finish(parts[5], {"orders": parts[0]}, now)
            usage = [Usage("orders", limit.interval_ns, said[number])]
            ours.correct("a", usage, parts[6], now, number=parts[5])
        for grant in granted(ours, now):
            of = int(grant.ticket.asker)
            orders, transit, back, answered, freed = waiting.pop(of)
            arrives = now + min(transit * 1_000_000, EDGE - EARLY)
            whole = (orders, transit, back, answered, freed, grant.number, now)
            events.append((arrives, of, "arrive", whole))
            if answered:
                events.append((arrives + back * 1_000_000, of, "reply", whole))
        again = ours.next_chance_ns(now)
        if again is not None and not any(what == "wake" and at <= again for at, _, what, _ in events):
            serial += 1
            events.append((max(again, now + 1), serial, "wake", ()))


def test_a_long_window_keeps_nothing_of_what_was_answered_long_ago() -> None:
    ours = budget(Limit("orders", 86_400 * SECOND, 10_000))
    for number in range(300):
        now = START + number * SECOND
        ours.ask(ticket(Lane.CANCEL, wait_ns=400 * SECOND, orders=1))
        (grant,) = granted(ours, now)
        ours.finish(grant.number, {"orders": 1}, now)
    ((row,),) = ([*ours._rows.values()],)
    assert isinstance(row, AlignedRow)
    ((cell,),) = ([*row._cells.values()],)
    assert (cell.used, len(cell.grants), len(cell.answered)) == (300, 0, 61)


# ---- refusals of one account --------------------------------------------------------------------------------------


@pytest.mark.req("R355")
def test_a_refusal_of_one_account_stops_its_use_of_that_bucket_alone() -> None:
    ours = budget(Limit("orders", SECOND, 10, aligned=False), Limit("cancels", SECOND, 10, aligned=False))
    ours.block_buckets("a", ["orders"], START + 3 * SECOND)
    ours.ask(ticket(Lane.NEW, "a", orders=1))
    ours.ask(ticket(Lane.CANCEL, "a", cancels=1))
    ours.ask(ticket(Lane.NEW, "b", orders=1))
    assert [(each.ticket.asker, each.ticket.lane) for each in granted(ours, START)] == [
        ("a", Lane.CANCEL),
        ("b", Lane.NEW),
    ]
    assert ours.picture(START)["accounts"] == {
        "a": {"used": {"orders/1s/a": [0, 10]}, "waiting": 1, "blocked": {"orders": START + 3 * SECOND}},
        "b": {"used": {"orders/1s/b": [1, 10]}, "waiting": 0, "blocked": {}},
    }
    assert ours.next_chance_ns(START) is not None
    assert granted(ours, START + 2 * SECOND) == []
    assert [each.ticket.asker for each in granted(ours, START + 3 * SECOND)] == ["a"]
    assert ours.picture(START + 3 * SECOND)["accounts"]["a"]["blocked"] == {}  # type: ignore[index]


def test_a_count_of_the_window_before_is_not_taken_for_this_one() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 100))
    ours.correct("a", [Usage("weight", 10 * SECOND, 99)], START + 9 * SECOND, START + 11 * SECOND)
    assert room(ours, "weight", START + 11 * SECOND) == 100


def test_what_is_given_back_can_be_used_again() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 10))
    ours.ask(ticket(Lane.CANCEL, weight=10))
    (grant,) = granted(ours, START + SECOND)
    ours.give_back(grant.number, {"weight": 7}, START + SECOND)
    assert room(ours, "weight", START + SECOND) == 7
    ours.give_back(grant.number, {"weight": 7}, START + SECOND)
    assert room(ours, "weight", START + SECOND) == 10, "never more than was permitted"


def test_counts_of_unknown_limits_are_ignored() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 10))
    ours.correct("a", [Usage("tokens", SECOND, 5), Usage("weight", SECOND, 5)], START, START)
    assert room(ours, "weight", START) == 10
    assert room(ours, "tokens", START) == 0
    assert ours.hold_ns(ticket(Lane.CANCEL, tokens=1), START) is None


# ---- lanes and fairness -------------------------------------------------------------------------------------------


def test_each_lane_may_fill_its_share_and_no_more() -> None:
    for lane in Lane:
        ours = budget(Limit("weight", 10 * SECOND, 100))
        for _ in range(150):
            ours.ask(ticket(lane))
        assert len(granted(ours, START + SECOND)) == int(100 * SHARES[lane])


def test_urgent_lanes_go_first() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 100))
    for lane in reversed(Lane):
        ours.ask(ticket(lane, lane.name))
    assert [grant.ticket.lane for grant in granted(ours, START + SECOND)] == list(Lane)


@pytest.mark.req("R012")
def test_accounts_take_turns() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 20))
    for _ in range(50):
        ours.ask(ticket(Lane.NEW, "greedy"))
    for _ in range(3):
        ours.ask(ticket(Lane.NEW, "modest"))
    served = Counter(grant.ticket.asker for grant in granted(ours, START + SECOND))
    assert served == {"modest": 3, "greedy": 14}


def test_a_dear_request_is_not_overtaken_for_ever_by_cheap_ones() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 100))
    ours.ask(ticket(Lane.QUERY, "a", weight=40))
    ours.ask(ticket(Lane.QUERY, "b", weight=50))
    assert [grant.ticket.asker for grant in granted(ours, START + SECOND)] == ["a"]
    for _ in range(20):
        ours.ask(ticket(Lane.QUERY, "c", weight=1))
    assert granted(ours, START + 2 * SECOND) == [], "b waits for this budget and came first"
    assert granted(ours, START + 10 * SECOND + EARLY)[0].ticket.asker == "b"


def test_a_request_that_can_never_be_permitted_is_refused_at_once() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 100))
    with pytest.raises(LocalProtocolError, match="71 weight"):
        ours.ask(ticket(Lane.QUERY, weight=71))


def test_a_tiny_limit_can_still_be_used() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 1))
    ours.ask(ticket(Lane.QUERY))
    assert len(granted(ours, START + SECOND)) == 1


def test_wishes_expire() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 1))
    ours.ask(ticket(Lane.CANCEL, "first"))
    ours.ask(ticket(Lane.CANCEL, "patient"))
    ours.ask(ticket(Lane.CANCEL, "hasty", wait_ns=2 * SECOND))
    assert [grant.ticket.asker for grant in granted(ours, START + SECOND)] == ["first"]
    assert ours.next_chance_ns(START + SECOND) == START + 2 * SECOND
    now_granted, expired = ours.grant(START + 2 * SECOND)
    assert (now_granted, [late.asker for late in expired]) == ([], ["hasty"])
    assert [grant.ticket.asker for grant in granted(ours, START + 11 * SECOND)] == ["patient"]
    assert ours.next_chance_ns(START + 11 * SECOND) is None


# ---- bans ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("R355")
def test_during_a_ban_nothing_is_permitted_not_even_a_cancel() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 100))
    assert ours.block(START + 25 * SECOND) is True
    assert ours.block(START + 20 * SECOND) is False, "a ban is never shortened"
    ours.ask(ticket(Lane.CANCEL))
    assert granted(ours, START + 24 * SECOND) == []
    assert ours.next_chance_ns(START + 24 * SECOND) == START + 25 * SECOND
    assert len(granted(ours, START + 25 * SECOND)) == 1


def test_the_picture_says_what_is_used() -> None:
    ours = budget(Limit("weight", 10 * SECOND, 100), Limit("orders", 10 * SECOND, 10))
    ours.ask(ticket(Lane.NEW, "acc", weight=3, orders=1))
    granted(ours, START + SECOND)
    picture = ours.picture(START + SECOND)
    assert picture["used"] == {"weight/10s": [3, 100], "orders/10s/acc": [1, 10]}
    assert picture["granted"] == 1


# ---- limits whose windows nobody knows ---------------------------------------------------------------------------

SLIDING = (
    Limit("raw", 3 * SECOND, 30, aligned=False),
    Limit("orders", SECOND, 8, Scope.PRODUCT, aligned=False, groups=("create",)),
)


@pytest.mark.req("R264")
@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 30, 120, 400, 900]),  # ms until the step
            st.sampled_from([Lane.CANCEL, *Lane]),
            st.integers(1, 6),  # raw
            st.integers(0, 4),  # orders
            st.sampled_from([0, 0, SECOND // 2]),
            st.sampled_from([0.0, 0.3, 1.0]),  # when it is counted, between permission and answer
            st.integers(1, 600),  # ms until the answer
            st.sampled_from(["answered", "answered", "unused", "silent"]),
        ),
        min_size=5,
        max_size=60,
    ),
    st.integers(0, 3 * SECOND),
)
def test_no_window_is_exceeded_wherever_it_begins(
    run: list[tuple[int, Lane, int, int, int, float, int, str]], shift_ns: int
) -> None:
    """The venue's windows begin at a moment of its own; ours do not know it."""
    ours = budget(*SLIDING)
    counted: list[tuple[int, str, int]] = []
    answers: list[tuple[int, int, Mapping[str, int]]] = []
    now = START
    for pause, lane, raw, orders, hold, when, trip, fate in run:
        now += pause * 1_000_000
        for at, number, costs in sorted(answers):
            if at <= now:
                ours.finish(number, costs, at)
        answers = [answer for answer in answers if answer[0] > now]
        ours.ask(ticket(lane, "a", hold, now - START + 10 * SECOND, raw=raw, orders=orders))
        for grant in granted(ours, now):
            costs = dict(grant.ticket.costs)
            if fate == "unused":
                ours.give_back(grant.number, costs, now)
                continue
            latest = grant.until_ns + EDGE if fate == "silent" else min(now + trip * 1_000_000, grant.until_ns + EDGE)
            arrival = now + int((latest - now) * when)
            counted += [(arrival, name, amount) for name, amount in costs.items()]
            if fate == "answered":
                answers.append((latest, grant.number, costs))
    for limit in SLIDING:
        windows: Counter[int] = Counter()
        for at, name, amount in counted:
            if name == limit.name:
                windows[(at + shift_ns) // limit.interval_ns] += amount
        assert max(windows.values(), default=0) <= limit.limit, limit.name


def test_a_sliding_limit_is_free_again_one_length_after_the_answer() -> None:
    ours = budget(Limit("raw", SECOND, 10, aligned=False))
    ours.ask(ticket(Lane.CANCEL, raw=10))
    (grant,) = granted(ours, START)
    assert room(ours, "raw", START + SECOND // 10) == 0
    ours.finish(grant.number, {"raw": 10}, START + SECOND // 10)
    assert not granted(ours, START + SECOND)
    assert room(ours, "raw", START + SECOND) == 0
    ours.grant(START + SECOND + SECOND // 10 + 20_000_000)
    assert room(ours, "raw", START + 2 * SECOND) == 10


def test_a_wish_at_a_full_sliding_limit_is_looked_at_again_when_something_leaves() -> None:
    ours = budget(Limit("raw", SECOND, 2, aligned=False))
    ours.ask(ticket(Lane.CANCEL, raw=2))
    (grant,) = granted(ours, START)
    ours.finish(grant.number, {"raw": 2}, START + 5_000_000)
    ours.ask(ticket(Lane.CANCEL, raw=1))
    assert not granted(ours, START + 6_000_000)
    chance = ours.next_chance_ns(START + 6_000_000)
    assert chance == START + 5_000_000 + SECOND + 20_000_000
    assert granted(ours, chance)


def test_what_the_venue_counts_beyond_ours_stands_for_one_length() -> None:
    ours = budget(Limit("default", SECOND, 30, Scope.ACCOUNT, aligned=False))
    ours.ask(ticket(Lane.CANCEL, default=1))
    granted(ours, START)
    ours.correct("a", [Usage("default", SECOND, 21)], START, START + 1)
    assert room(ours, "default", START + 2) == 9
    ours.correct("a", [Usage("default", SECOND, 5)], START, START + 3)
    assert room(ours, "default", START + 4) == 9, "never downwards"
    ours.grant(START + 2 * SECOND)
    assert room(ours, "default", START + 2 * SECOND) == 30


def test_a_group_of_rest_and_the_leases_of_the_socket_share_one_bucket() -> None:
    ours = budget(*SLIDING)
    ours.ask(ticket(Lane.CANCEL, "rest", create=5, orders=5, raw=1))
    granted(ours, START)
    assert ours.room(Ticket("entry", "rest", Lane.CANCEL, {"orders": 1}, START), START) == 3


def test_products_of_a_family_have_limits_of_their_own_and_share_the_address() -> None:
    ours = budget(Limit("raw", SECOND, 10, aligned=False))
    ours.set_limits((Limit("raw", SECOND, 10), Limit("orders", SECOND, 4, Scope.PRODUCT)), START, "x-spot")
    ours.set_limits((Limit("raw", SECOND, 8), Limit("orders", SECOND, 2, Scope.PRODUCT)), START, "x-swap")

    def wish(venue: str, **costs: int) -> Ticket:
        return Ticket("a", "a", Lane.CANCEL, costs, START + SECOND, venue=venue)

    assert ours.room(wish("x-spot", orders=1), START) == 4
    assert ours.room(wish("x-swap", orders=1), START) == 2
    ours.ask(wish("x-spot", orders=2, raw=5))
    granted(ours, START)
    assert ours.room(wish("x-spot", orders=1), START) == 2
    assert ours.room(wish("x-swap", orders=1), START) == 2
    assert ours.room(wish("x-swap", raw=1), START) == 3, "the narrower of two statements about one address"
    ours.set_limits((), START, "x-swap")
    assert ours.room(wish("x-swap", raw=1), START) == 5


def test_a_limit_of_each_instrument_is_one_bucket_for_who_names_none() -> None:
    ours = budget(Limit("orders", SECOND, 4, Scope.SYMBOL))
    first = Ticket("a", "a", Lane.CANCEL, {"orders": 3}, START + SECOND, symbol="X")
    ours.ask(first)
    granted(ours, START)
    assert ours.room(first, START) == 1
    assert ours.room(Ticket("a", "a", Lane.CANCEL, {"orders": 1}, START, symbol="Y"), START) == 4


def test_a_clock_that_is_set_back_makes_nobody_wait_longer() -> None:
    """Our picture of the venue's clock moves by 20 s: what was counted just now was still counted just now."""
    ours, back = budget(Limit("raw", SECOND, 2, aligned=False)), -20 * SECOND
    ours.ask(ticket(Lane.CANCEL, raw=2))
    (grant,) = granted(ours, START)
    ours.finish(grant.number, {"raw": 2}, START)
    assert ours.block(START + 2 * SECOND)
    ours.ask(ticket(Lane.CANCEL, wait_ns=3 * SECOND, raw=1))
    ours.shift(back)
    assert not granted(ours, START + back + SECOND), "the ban goes on"
    assert len(granted(ours, START + back + 2 * SECOND)) == 1
    ours.ask(ticket(Lane.CANCEL, wait_ns=3 * SECOND, raw=2))
    ours.shift(-back)
    _, expired = ours.grant(START + 30 * SECOND)
    assert len(expired) == 1
