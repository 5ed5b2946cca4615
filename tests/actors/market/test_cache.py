"""The cache: fresh or not at all, the newest by the venue's clock, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.market.cache import SECOND_NS, Cache, CacheSettings


@pytest.mark.req("R263", "R352")
def test_a_picture_is_given_while_it_is_fresh() -> None:
    cache: Cache[str, int] = Cache()
    cache.put("a", 1, 10, 0, SECOND_NS)
    assert cache.get(["a"], SECOND_NS - 1) == 1
    assert cache.get(["a"], SECOND_NS) is None
    assert cache.get(["b"], 0) is None
    assert (cache.hits, cache.misses, cache.hit_rate) == (1, 2, "33.3 %")


@pytest.mark.req("R353")
def test_an_update_replaces_and_an_older_one_does_not() -> None:
    cache: Cache[str, int] = Cache()
    assert cache.put("a", 1, 10, 0, SECOND_NS)
    assert cache.put("a", 2, 11, 5, SECOND_NS)
    assert not cache.put("a", 3, 10, 6, SECOND_NS)
    assert cache.get(["a"], 7) == 2
    assert cache.refused == 1


@pytest.mark.req("R349")
def test_of_several_the_newest_by_the_venues_clock_is_given_and_counts_once() -> None:
    cache: Cache[str, str] = Cache()
    cache.put("rest", "rest", 20, 0, SECOND_NS)
    cache.put("stream", "stream", 19, 5, SECOND_NS)
    assert cache.get(["stream", "rest"], 10) == "rest"
    cache.put("stream", "newer", 21, 6, SECOND_NS)
    assert cache.get(["stream", "rest"], 10) == "newer"
    assert (cache.hits, cache.misses) == (2, 0)


def test_who_wants_it_younger_gets_it_younger() -> None:
    cache: Cache[str, int] = Cache()
    cache.put("a", 1, 10, 0, SECOND_NS)
    assert cache.get(["a"], 500, max_age_ns=501) == 1
    assert cache.get(["a"], 500, max_age_ns=500) is None
    assert cache.get(["a"], 0, max_age_ns=0) is None


@pytest.mark.req("R353")
def test_what_has_expired_is_known_but_not_fresh() -> None:
    cache: Cache[str, int] = Cache()
    cache.put("a", 1, 10, 0, SECOND_NS)
    cache.expire("a")
    assert cache.get(["a"], 1) is None
    assert cache.peek("a") == 1
    assert cache.peek_fresh("a", 1) is None
    cache.drop("a")
    assert cache.peek("a") is None
    assert cache.put("a", 2, 5, 2, SECOND_NS), "after it was forgotten, any clock will do"


def test_there_must_be_room_for_something() -> None:
    with pytest.raises(ValueError, match="entries was 0"):
        CacheSettings(entries=0)


class CacheMachine(RuleBasedStateMachine):
    """Beside a naive model: a dictionary of everything ever put, newest by the venue's clock."""

    MOST = 4

    def __init__(self) -> None:
        super().__init__()
        self.cache: Cache[int, int] = Cache(self.MOST)
        self.model: dict[int, tuple[int, int, int]] = {}
        """Key -> event time, value, fresh until."""
        self.now_ns = 0
        self.value = 0

    @rule(key=st.integers(0, 7), event_ns=st.integers(0, 50), fresh_ns=st.integers(0, 30))
    def put(self, key: int, event_ns: int, fresh_ns: int) -> None:
        self.value += 1
        known = key in {k for k in range(8) if self.cache.peek(k) is not None}
        taken = self.cache.put(key, self.value, event_ns, self.now_ns, fresh_ns)
        before = self.model.get(key)
        assert taken == (not known or before is None or event_ns >= before[0])
        if taken:
            self.model[key] = (event_ns, self.value, self.now_ns + fresh_ns)

    @rule(passed_ns=st.integers(0, 20))
    def wait(self, passed_ns: int) -> None:
        self.now_ns += passed_ns

    @rule(key=st.integers(0, 7))
    def get(self, key: int) -> None:
        found = self.cache.get([key], self.now_ns)
        if found is not None:
            _, value, until_ns = self.model[key]
            assert (found, self.now_ns < until_ns) == (value, True)

    @rule(key=st.integers(0, 7))
    def expire(self, key: int) -> None:
        self.cache.expire(key)
        assert self.cache.get([key], self.now_ns) is None

    @invariant()
    def bounded(self) -> None:
        assert len(self.cache) <= self.MOST


TestCacheMachine = CacheMachine.TestCase


@given(st.lists(st.integers(0, 20), min_size=1, max_size=100))
def test_what_is_used_stays(keys: list[int]) -> None:
    """The one that was read last is never the one that goes."""
    cache: Cache[int, int] = Cache(3)
    cache.put(-1, 0, 0, 0, 1_000)
    for key in keys:
        assert cache.get([-1], 0) == 0
        cache.put(key, key, 0, 0, 1_000)
    assert cache.get([-1], 0) == 0
