"""When silence is death, in numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.venue.silence import DOUBLINGS_MAX, Silence, Silent, name_of
from actors.venue.wants import Stream
from protocols.enums import Channel
from protocols.ids import Symbol
from protocols.venue import Expectation

BTC, ETH = (Channel.BOOK, Symbol("BTC")), (Channel.BOOK, Symbol("ETH"))
TAPE = (Channel.TRADES, Symbol("BTC"))
NEVER = 10**18
LONG = Expectation(quiet_ns=NEVER)


def judge(rule: Expectation) -> Silence:
    return Silence({Channel.BOOK: rule, Channel.TRADES: LONG})


def test_a_first_message_that_was_promised_is_owed_by_each_subscription() -> None:
    silence = judge(Expectation(first_ns=5, quiet_ns=NEVER))
    confirmed = {BTC: 0, ETH: 3}
    assert not silence.judge(confirmed, {}, 5)
    assert silence.judge(confirmed, {BTC: 5}, 6) == Silent((), ())
    assert silence.judge(confirmed, {BTC: 5}, 9) == Silent((ETH,), ())


def test_a_promise_to_repeat_is_kept_by_each_subscription() -> None:
    silence = judge(Expectation(first_ns=5, repeat_ns=7, quiet_ns=NEVER))
    assert silence.judge({BTC: 0, ETH: 0}, {BTC: 10, ETH: 4}, 11) == Silent((), ())
    assert silence.judge({BTC: 0, ETH: 0}, {BTC: 10, ETH: 4}, 12) == Silent((ETH,), ())


def test_without_a_promise_a_channel_is_judged_by_whoever_speaks_in_it() -> None:
    silence = judge(Expectation(first_ns=5, quiet_ns=20))
    assert silence.judge({BTC: 0, ETH: 0}, {BTC: 1, ETH: 90}, 100) == Silent((), ())
    assert silence.judge({BTC: 0, ETH: 0}, {BTC: 1, ETH: 90}, 111) == Silent((), (Channel.BOOK,))


def test_a_subscription_that_has_never_spoken_is_suspected_by_itself() -> None:
    silence = judge(Expectation(quiet_ns=20))
    assert silence.judge({BTC: 0, ETH: 0}, {BTC: 15}, 21) == Silent((), (ETH,))
    assert silence.names() == ["book of ETH"]
    silence.heard(ETH)
    assert silence.names() == []


def test_one_channel_says_nothing_about_another() -> None:
    silence = Silence({Channel.BOOK: Expectation(quiet_ns=20), Channel.TRADES: Expectation(quiet_ns=1_000)})
    found = silence.judge({BTC: 0, TAPE: 0}, {TAPE: 30, BTC: 1}, 31)
    assert found == Silent((), (Channel.BOOK,))


def test_what_is_not_confirmed_owes_nothing_yet() -> None:
    assert not judge(Expectation(first_ns=1, quiet_ns=1)).judge({}, {}, NEVER)


@pytest.mark.parametrize("rule", [Expectation(first_ns=10, quiet_ns=NEVER), Expectation(quiet_ns=10)])
def test_patience_doubles_until_it_speaks(rule: Expectation) -> None:
    """Replaced at once after each finding, and silent again: the pauses are 10, 20, 40 ... 640, 640."""
    silence, now, pauses = judge(rule), 0, []
    for _ in range(DOUBLINGS_MAX + 3):
        began = now
        while not silence.judge({BTC: began}, {}, now):
            now += 1
        pauses.append(now - began - 1)
    assert pauses == [10 << min(count, DOUBLINGS_MAX) for count in range(DOUBLINGS_MAX + 3)]
    silence.heard(BTC)
    assert silence.judge({BTC: now}, {}, now + 11)


streams = st.sampled_from([BTC, ETH, TAPE])


@given(st.lists(st.tuples(st.integers(1, 40), st.sets(streams)), max_size=60))
def test_whoever_speaks_in_time_is_never_found_silent(steps: list[tuple[int, set[Stream]]]) -> None:
    """And whoever is found dead has indeed been silent beyond the promise."""
    rule = Expectation(first_ns=30, repeat_ns=60, quiet_ns=90)
    silence, now = Silence({Channel.BOOK: rule, Channel.TRADES: Expectation(quiet_ns=90)}), 0
    confirmed: dict[Stream, int] = dict.fromkeys((BTC, ETH, TAPE), 0)
    heard: dict[Stream, int] = {}
    for pause, speakers in steps:
        now += pause
        found = silence.judge(confirmed, heard, now)
        for stream in found.dead:
            assert now - heard.get(stream, 0) > (30 if stream not in heard else 60)
            assert stream != TAPE, "it has promised nothing"
        for suspect in found.suspects:
            members = [stream for stream in confirmed if suspect in (stream, stream[0])]
            assert all(now - heard.get(stream, 0) > 90 for stream in members)
        for stream in speakers:
            heard[stream] = now
            silence.heard(stream)
            assert name_of(stream) not in silence.names()
