"""The circuit breaker and the retry budget, by example and as state machines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.market.breaker import SECOND_NS, Breaker, BreakerSettings, BreakerState, RetryBudget

SETTINGS = BreakerSettings(failures=3, open_ns=2 * SECOND_NS, open_max_ns=8 * SECOND_NS)


def broken(now_ns: int = 0) -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker(SETTINGS)
    for _ in range(SETTINGS.failures):
        assert breaker.allows(now_ns)
        breaker.failed(now_ns)
    return breaker


@pytest.mark.req("R357")
def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(SETTINGS)
    for _ in range(10):
        breaker.failed(0)
        breaker.failed(0)
        breaker.succeeded()
    assert breaker.state(0) is BreakerState.CLOSED
    assert broken().state(0) is BreakerState.OPEN


@pytest.mark.req("R357")
def test_half_open_lets_exactly_one_through_which_decides() -> None:
    breaker = broken()
    assert not breaker.allows(2 * SECOND_NS - 1)
    now_ns = 2 * SECOND_NS
    assert breaker.state(now_ns) is BreakerState.HALF_OPEN
    assert breaker.allows(now_ns)
    assert not breaker.allows(now_ns), "the second has to wait for the first"
    breaker.succeeded()
    assert breaker.state(now_ns) is BreakerState.CLOSED
    assert breaker.allows(now_ns)
    assert breaker.allows(now_ns)


@pytest.mark.req("R357")
def test_the_rest_doubles_up_to_its_maximum() -> None:
    breaker, now_ns, rests = broken(), 0, []
    for _ in range(4):
        rests.append(breaker.retry_at_ns - now_ns)
        now_ns = breaker.retry_at_ns
        assert breaker.allows(now_ns)
        breaker.failed(now_ns)
    assert [rest // SECOND_NS for rest in rests] == [2, 4, 8, 8]
    assert breaker.opened == 5


def test_an_abandoned_trial_leaves_the_next_one_its_turn() -> None:
    breaker = broken()
    now_ns = 2 * SECOND_NS
    assert breaker.allows(now_ns)
    breaker.abandoned()
    assert breaker.state(now_ns) is BreakerState.HALF_OPEN
    assert breaker.allows(now_ns)


def test_a_straggler_of_before_does_not_open_it_for_longer() -> None:
    """Answers to what was asked while it was closed may still fail while it is open."""
    breaker = broken()
    until_ns = breaker.retry_at_ns
    breaker.failed(SECOND_NS)
    assert breaker.retry_at_ns == until_ns


class BreakerMachine(RuleBasedStateMachine):
    """Any order of attempts and outcomes: never two trials at once, never an attempt while open."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(SETTINGS)
        self.now_ns = 0
        self.attempts = 0
        self.trial = False
        self.in_a_row = 0

    @rule(seconds=st.integers(0, 10))
    def wait(self, seconds: int) -> None:
        self.now_ns += seconds * SECOND_NS

    @rule()
    def ask(self) -> None:
        state = self.breaker.state(self.now_ns)
        allowed = self.breaker.allows(self.now_ns)
        if state is BreakerState.CLOSED:
            assert allowed
        elif state is BreakerState.OPEN:
            assert not allowed
        else:
            assert allowed == (not self.trial), "one trial at a time"
            self.trial = self.trial or allowed
        self.attempts += allowed

    @precondition(lambda self: self.attempts)
    @rule(outcome=st.sampled_from(["succeeded", "failed", "abandoned"]))
    def settle(self, outcome: str) -> None:
        self.attempts -= 1
        was_trial, self.trial = self.trial, False
        if outcome == "succeeded":
            self.breaker.succeeded()
            self.in_a_row = 0
            assert self.breaker.state(self.now_ns) is BreakerState.CLOSED
        elif outcome == "failed":
            self.breaker.failed(self.now_ns)
            self.in_a_row += 1
            if was_trial:
                assert self.breaker.state(self.now_ns) is BreakerState.OPEN
        else:
            self.breaker.abandoned()

    @invariant()
    def closed_only_with_few_failures(self) -> None:
        if self.breaker.state(self.now_ns) is BreakerState.CLOSED:
            assert self.in_a_row < SETTINGS.failures


TestBreakerMachine = BreakerMachine.TestCase


@pytest.mark.req("R357")
@given(st.integers(1, 10), st.integers(0, 10), st.lists(st.booleans(), max_size=300))
def test_retries_are_never_more_than_their_share(price: int, burst: int, is_retry: list[bool]) -> None:
    budget, requests, retries = RetryBudget(price, burst), 0, 0
    for wants_retry in is_retry:
        if wants_retry:
            retries += budget.take()
        else:
            budget.requested()
            requests += 1
        assert retries <= burst + requests / price
    assert budget.spent == retries


def test_impossible_budgets() -> None:
    with pytest.raises(ValueError, match="requests_per_retry was 0"):
        RetryBudget(0)
