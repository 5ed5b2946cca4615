"""What the checks flag, and that they change nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.checks import SECOND_NS, Checks, CheckSettings
from actors.market.memory import Memory, topic_of
from actors.market.settings import MarketSettings
from protocols.backbone import ChannelChoice, StreamKind
from protocols.enums import Quality, Source
from protocols.ids import Symbol, Venue
from protocols.market import Depth, Ticker

VENUE, SYMBOL = Venue("v"), Symbol("BTC")
NOW_NS = 1_000 * SECOND_NS
D = Decimal


def ticker(last: str | None = "100", at_ns: int = NOW_NS, source: Source = Source.STREAM, **more: Any) -> Ticker:
    return Ticker(VENUE, SYMBOL, at_ns, at_ns, last_px=None if last is None else D(last), source=source, **more)


def depth(bid: str, ask: str, at_ns: int = NOW_NS) -> Depth:
    return Depth(VENUE, SYMBOL, at_ns, at_ns, ((D(bid), D(1)),), ((D(ask), D(1)),), 1)


@pytest.fixture
def checks() -> Checks:
    return Checks(VENUE, CheckSettings(jump=D("0.1"), deviation=D("0.01")))


@pytest.mark.req("R350")
def test_crossed(checks: Checks) -> None:
    assert checks.ticker(ticker(bid_px=D(101), ask_px=D(100)), NOW_NS)[0] is Quality.CROSSED
    assert checks.ticker(ticker(bid_px=D(100), ask_px=D(100)), NOW_NS)[0] is Quality.CROSSED
    assert checks.ticker(ticker(bid_px=D(99), ask_px=D(100)), NOW_NS)[0] is Quality.GOOD
    assert checks.depth(depth("100", "100"), NOW_NS)[0] is Quality.CROSSED
    assert checks.depth(Depth(VENUE, SYMBOL, NOW_NS, NOW_NS, (), (), 1), NOW_NS)[0] is Quality.GOOD


@pytest.mark.req("R350")
def test_a_jump_is_one_picture_long(checks: Checks) -> None:
    found = [checks.ticker(ticker(px, NOW_NS + n), NOW_NS)[0] for n, px in enumerate(("100", "110", "122", "122"))]
    assert found == [Quality.GOOD, Quality.GOOD, Quality.JUMP, Quality.GOOD]


@pytest.mark.req("R350")
def test_time_that_goes_backward_and_time_that_is_old(checks: Checks) -> None:
    assert checks.ticker(ticker(), NOW_NS)[0] is Quality.GOOD
    assert checks.ticker(ticker(at_ns=NOW_NS - 1), NOW_NS)[0] is Quality.BACKWARD
    assert checks.ticker(ticker(at_ns=NOW_NS), NOW_NS + 61 * SECOND_NS)[0] is Quality.STALE


@pytest.mark.req("R350", "R356")
def test_stream_and_rest_are_judged_each_by_its_own_past(checks: Checks) -> None:
    checks.ticker(ticker("100", NOW_NS), NOW_NS)
    assert checks.ticker(ticker("100", NOW_NS - 1, Source.REST), NOW_NS)[0] is Quality.GOOD


@pytest.mark.req("R350")
def test_an_episode_is_told_at_its_begin_and_its_end(checks: Checks) -> None:
    news = []
    for ask in ("101", "99", "98", "97", "101", "102"):
        news += checks.ticker(ticker(bid_px=D(100), ask_px=D(ask)), NOW_NS)[1]
    assert [(one.quality, one.kind) for one in news] == [
        (Quality.CROSSED, StreamKind.TICKER),
        (Quality.GOOD, StreamKind.TICKER),
    ]
    assert checks.counts == {"crossed": 3}


@pytest.mark.req("R350", "R351")
@given(
    st.lists(
        st.tuples(st.integers(1, 400), st.integers(-5, 5), st.integers(-3, 3)),
        max_size=40,
    )
)
def test_nothing_is_ever_repaired_or_invented(said: list[tuple[int, int, int]]) -> None:
    """Whatever comes in goes out as it was but for its flags, and the last of it is what memory holds."""
    memory = Memory(VENUE, MarketSettings())
    for price, spread, ago in said:
        comes = Ticker(
            VENUE, SYMBOL, NOW_NS - ago, NOW_NS, last_px=D(price), bid_px=D(price), ask_px=D(price) + D(spread) / 2
        )
        goes, _ = memory.streamed(comes, NOW_NS, 0)
        assert attrs.evolve(goes, quality=Quality.GOOD) == comes
        assert bool(goes.quality & Quality.CROSSED) == (spread <= 0)


@pytest.mark.req("R350", "R356")
def test_when_rest_contradicts_the_stream_both_are_doubtful_until_they_agree() -> None:
    memory = Memory(VENUE, MarketSettings())
    memory.streamed(ticker("100"), NOW_NS, 0)
    asked, news = memory.asked_ticker(ticker("103", source=Source.REST), NOW_NS, 0)
    assert asked.quality is Quality.DEVIATES
    assert [one.quality for one in news] == [Quality.DEVIATES]
    streamed, _ = memory.streamed(ticker("100", NOW_NS + 1), NOW_NS, 0)
    assert streamed.quality is Quality.DEVIATES
    asked, news = memory.asked_ticker(ticker("100.5", NOW_NS + 2, Source.REST), NOW_NS, 0)
    assert (asked.quality, [one.quality for one in news]) == (Quality.GOOD, [Quality.GOOD])
    assert memory.streamed(ticker("100", NOW_NS + 3), NOW_NS, 0)[0].quality is Quality.GOOD


@pytest.mark.req("R350")
def test_what_was_said_long_apart_is_not_compared() -> None:
    memory = Memory(VENUE, MarketSettings())
    memory.streamed(ticker("100"), NOW_NS, 0)
    asked, _ = memory.asked_ticker(ticker("103", NOW_NS + 10 * SECOND_NS, Source.REST), NOW_NS, 0)
    assert asked.quality is Quality.GOOD
    assert memory.asked_ticker(ticker(None, NOW_NS + 11 * SECOND_NS, Source.REST), NOW_NS, 0)[0].quality is Quality.GOOD


@pytest.mark.req("R353")
def test_an_interrupted_stream_leaves_its_last_picture_unproven_and_not_fresh() -> None:
    memory, topic = Memory(VENUE, MarketSettings()), topic_of(StreamKind.TICKER, SYMBOL)
    assert memory.doubt(topic, 0) is None
    memory.streamed(ticker("100"), NOW_NS, 0)
    assert memory.find(topic, ChannelChoice.AUTO, None, 1) is not None
    doubtful = memory.doubt(topic, 2)
    assert doubtful is not None
    assert doubtful.quality is Quality.UNPROVEN
    assert memory.doubt(topic, 3) is None, "said once"
    assert memory.find(topic, ChannelChoice.AUTO, None, 4) is None
    assert memory.last(topic) == doubtful
    memory.streamed(ticker("100"), NOW_NS, 5)
    assert memory.find(topic, ChannelChoice.AUTO, None, 6) is not None


@pytest.mark.req("R333", "R334", "R349")
def test_each_choice_has_its_own_memory() -> None:
    memory, topic = Memory(VENUE, MarketSettings()), topic_of(StreamKind.TICKER, SYMBOL)
    memory.streamed(ticker("100"), NOW_NS, 0)
    memory.asked_ticker(ticker("100.1", NOW_NS + 1, Source.REST), NOW_NS, 0)
    found = {choice: memory.find(topic, choice, None, 1) for choice in ChannelChoice}
    assert {choice: one.source for choice, one in found.items() if one is not None} == {
        ChannelChoice.AUTO: Source.REST,
        ChannelChoice.REST_ONLY: Source.REST,
        ChannelChoice.WEBSOCKET_ONLY: Source.STREAM,
    }
