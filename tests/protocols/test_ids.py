"""ClOrdIDs: unique for ever, legal everywhere, and honest about who made them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ids import ClOrdIDParts, ClOrdIDs, account_code, base36, parse_cl_ord_id, strategy_code

NAMES = st.text(min_size=1, max_size=20)
RUNS = st.integers(0, 36**7 - 1)
EPOCHS = st.integers(0, 36**3 - 1)
LEGAL_EVERYWHERE = re.compile(r"[a-z0-9]{1,32}")


@given(NAMES, NAMES, RUNS, EPOCHS, st.integers(1, 60))
def test_an_id_is_legal_on_every_venue_and_can_be_taken_apart(
    account: str, strategy: str, run: int, epoch: int, count: int
) -> None:
    maker = ClOrdIDs(account, strategy, run, epoch)
    for number in range(1, count + 1):
        made = maker.next()
        assert LEGAL_EVERYWHERE.fullmatch(made)
        assert len(made) == 22
        assert parse_cl_ord_id(made) == ClOrdIDParts(account_code(account), strategy_code(strategy), run, epoch, number)


@given(
    st.sets(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["s", "t"]), RUNS, EPOCHS), min_size=1, max_size=8)
)
def test_no_two_makers_ever_make_the_same_id(makers: set[tuple[str, str, int, int]]) -> None:
    made = [ids.next() for ids in (ClOrdIDs(*maker) for maker in makers) for _ in range(5)]
    assert len(set(made)) == len(made)


@given(NAMES, NAMES, st.lists(st.tuples(RUNS, EPOCHS), min_size=2, max_size=6, unique=True))
def test_ids_of_a_strategy_sort_by_age(account: str, strategy: str, lives: list[tuple[int, int]]) -> None:
    made = []
    for run, epoch in sorted(lives):
        maker = ClOrdIDs(account, strategy, run, epoch)
        made += [maker.next() for _ in range(40)]
    assert made == sorted(made)


def test_the_same_maker_makes_the_same_ids_again() -> None:
    first, second = (ClOrdIDs("master", "maker", 1_790_000_000, 3) for _ in range(2))
    assert [first.next() for _ in range(3)] == [second.next() for _ in range(3)]


def test_a_known_id() -> None:
    """The layout is on disk and at the venues: it must never change by accident."""
    assert ClOrdIDs("master", "maker", 1_790_000_000, 3).next() == "bp2f780tlpwu8003000001"


@pytest.mark.parametrize(
    "text",
    ["", "b", "web_1", "x" + "0" * 21, "b" + "0" * 20, "b" + "0" * 22, "B" + "0" * 21, "b" + "0" * 20 + "-",
     "b" + "0" * 20 + "Z", "b" + "0" * 20 + "０", " b" + "0" * 21, "b" + "0" * 21 + "\n"],
)  # fmt: skip
def test_somebody_elses_id_has_no_parts(text: str) -> None:
    assert parse_cl_ord_id(text) is None


@given(st.integers(0, 36**6 - 1))
def test_base36_reads_back(number: int) -> None:
    text = base36(number, 6)
    assert (len(text), int(text, 36)) == (6, number)


@pytest.mark.parametrize("number, width", [(-1, 3), (36**3, 3), (1, 0)])
def test_base36_refuses_what_does_not_fit(number: int, width: int) -> None:
    with pytest.raises(ValueError, match=str(number)):
        base36(number, width)


@pytest.mark.parametrize("run, epoch", [(-1, 0), (36**7, 0), (0, -1), (0, 36**3)])
def test_a_maker_beyond_its_fields_is_refused(run: int, epoch: int) -> None:
    with pytest.raises(ValueError):
        ClOrdIDs("a", "s", run, epoch)


@given(count=st.integers(min_value=0, max_value=36**6 - 2))
def test_the_counter_is_written_in_base_36(count: int) -> None:
    maker = ClOrdIDs("account", "strategy", 1, 1)
    maker._count = count
    assert maker.next().endswith(base36(count + 1, 6))


def test_a_maker_ends_before_it_repeats() -> None:
    maker = ClOrdIDs("a", "s", 1, 1)
    maker._count = 36**6 - 1
    with pytest.raises(ValueError, match="does not fit"):
        maker.next()
