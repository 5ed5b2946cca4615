"""The pictures of one venue's market that are at hand: judged as they come, kept as long as they are fresh.

What a stream says and what REST answers are kept apart, because a reader may choose; `find` gives the newer one of
those that the choice allows.  Nothing is repaired: what is implausible is kept and given with its flag.
"""

from __future__ import annotations

from typing import TypeVar

import attrs

from actors.market.cache import Cache
from actors.market.checks import Checks
from actors.market.settings import MarketSettings
from protocols.backbone import ChannelChoice, DataFlagged, StreamKind, Topic
from protocols.enums import Quality
from protocols.ids import Symbol, Venue
from protocols.market import Candle, Depth, Ticker

Picture = Ticker | Depth
P = TypeVar("P", bound=Ticker | Depth)
Bars = tuple[Candle, ...]
_Key = tuple[Topic, bool]
"""A topic, and whether its stream said so."""

_KEYS = {
    ChannelChoice.AUTO: (True, False),
    ChannelChoice.WEBSOCKET_ONLY: (True,),
    ChannelChoice.REST_ONLY: (False,),
}


def topic_of(kind: StreamKind, symbol: Symbol) -> Topic:
    """Of what has no length."""
    return (kind, symbol, 0)


class Memory:
    """Times: `now_ns` is our wall clock, `at_ns` the monotonic one."""

    def __init__(self, venue: Venue, settings: MarketSettings) -> None:
        self._settings = settings.cache
        self.levels = settings.levels
        """Of a streamed book."""
        self.at_hand = 0
        """Bars that were found where they are built."""
        self.checks = Checks(venue, settings.checks)
        self.cache: Cache[_Key, Picture] = Cache(settings.cache.entries)
        self._bars: Cache[Topic, tuple[int, Bars]] = Cache(settings.cache.entries)
        """With the number of bars that was asked for."""
        self._deviating: set[Topic] = set()

    # ---- what comes ---------------------------------------------------------------------------------------------

    def streamed(self, picture: Picture, now_ns: int, at_ns: int) -> tuple[Picture, list[DataFlagged]]:
        """Judge and keep what a stream says; the picture with its flags, and what is news about them."""
        if isinstance(picture, Ticker):
            topic = topic_of(StreamKind.TICKER, picture.symbol)
            quality, news = self.checks.ticker(picture, now_ns)
        else:
            topic = topic_of(StreamKind.BOOK, picture.symbol)
            quality, news = self.checks.depth(picture, now_ns)
        if topic in self._deviating:
            quality |= Quality.DEVIATES
        picture = flagged(picture, quality)
        self.cache.put((topic, True), picture, picture.event_ns, at_ns, self._settings.stream_ns)
        return picture, news

    def asked_ticker(self, ticker: Ticker, now_ns: int, at_ns: int) -> tuple[Ticker, list[DataFlagged]]:
        """Judge and keep what REST answers; where the stream contradicts it, both are doubtful from then on."""
        quality, news = self.checks.ticker(ticker, now_ns)
        topic = topic_of(StreamKind.TICKER, ticker.symbol)
        quality |= self._compared(topic, ticker, news, now_ns)
        ticker = flagged(ticker, quality)
        self.cache.put((topic, False), ticker, ticker.event_ns, at_ns, self._settings.rest_ns)
        return ticker, news

    def asked_depth(self, depth: Depth, levels: int, now_ns: int, at_ns: int) -> tuple[Depth, list[DataFlagged]]:
        """As `asked_ticker`; kept when it was asked for as many levels as a stream has, so that it serves all."""
        quality, news = self.checks.depth(depth, now_ns)
        topic = topic_of(StreamKind.BOOK, depth.symbol)
        quality |= self._compared(topic, depth, news, now_ns)
        depth = flagged(depth, quality)
        if levels >= self.levels:
            self.cache.put((topic, False), depth, depth.event_ns, at_ns, self._settings.rest_ns)
        return depth, news

    def _compared(self, topic: Topic, asked: Picture, news: list[DataFlagged], now_ns: int) -> Quality:
        """Beside what the stream said last: DEVIATES when they contradict each other.  Adds to `news`."""
        streamed = self.cache.peek((topic, True))
        if streamed is None:
            return Quality.GOOD
        deviates = self.checks.deviates(streamed, asked)
        news += self.checks.compared(topic[0], topic[1], deviates=deviates, now_ns=now_ns)
        if not deviates:
            self._deviating.discard(topic)
            return Quality.GOOD
        self._deviating.add(topic)
        return Quality.DEVIATES

    def asked_bars(self, topic: Topic, limit: int, bars: Bars, now_ns: int, at_ns: int) -> None:
        """Keep an answer until a newer bar can have closed."""
        next_ns = bars[-1].event_ns + bars[-1].interval_ns - now_ns
        self._bars.put(topic, (limit, bars), bars[-1].open_ns, at_ns, max(next_ns, self._settings.rest_ns))

    # ---- what goes ----------------------------------------------------------------------------------------------

    def doubt(self, topic: Topic, at_ns: int) -> Picture | None:
        """The stream is interrupted: its last picture, now UNPROVEN and fresh no more; None when it has none, or is
        doubted already."""
        key = (topic, True)
        last = self.cache.peek(key)
        self.cache.expire(key)
        if last is None or Quality.UNPROVEN in last.quality:
            return None
        doubtful = flagged(last, Quality.UNPROVEN)
        self.cache.put(key, doubtful, last.event_ns, at_ns, 0)
        return doubtful

    def begin_anew(self, topic: Topic) -> None:
        """The stream speaks again: what it says is not to be compared with what it said before."""
        self.checks.forget(topic[0], topic[1])

    def forget(self, topic: Topic) -> None:
        """Nobody listens to the stream any more."""
        self.cache.drop((topic, True))
        self.checks.forget(topic[0], topic[1])
        self._deviating.discard(topic)

    # ---- what is at hand ----------------------------------------------------------------------------------------

    def last(self, topic: Topic) -> Picture | None:
        """The stream's last picture, fresh or not."""
        return self.cache.peek((topic, True))

    def heard(self, topic: Topic, at_ns: int) -> Picture | None:
        """The stream's picture when it is fresh; counts nothing."""
        return self.cache.peek_fresh((topic, True), at_ns)

    def find(self, topic: Topic, choice: ChannelChoice, max_age_ns: int | None, at_ns: int) -> Picture | None:
        """The newest fresh picture that the choice allows, counted as a hit or a miss."""
        return self.cache.get([(topic, is_stream) for is_stream in _KEYS[choice]], at_ns, max_age_ns)

    def find_bars(self, topic: Topic, limit: int, at_ns: int) -> Bars | None:
        """The last answer, when it was asked for as many bars and is the newest still."""
        kept = self._bars.peek(topic)
        if kept is not None and kept[0] < limit:
            self._bars.drop(topic)
        found = self._bars.get((topic,), at_ns)
        return None if found is None else found[1][-limit:]

    @property
    def hits(self) -> int:
        """Single pictures that were at hand."""
        return self.cache.hits + self._bars.hits + self.at_hand

    @property
    def misses(self) -> int:
        """Single pictures that had to be asked for."""
        return self.cache.misses + self._bars.misses

    def __len__(self) -> int:
        return len(self.cache) + len(self._bars)


def cut(depth: Depth, levels: int) -> Depth:
    """At most so many levels a side."""
    if len(depth.bids) <= levels and len(depth.asks) <= levels:
        return depth
    return attrs.evolve(depth, bids=depth.bids[:levels], asks=depth.asks[:levels])


def flagged(picture: P, quality: Quality) -> P:
    """The picture with further flags."""
    return attrs.evolve(picture, quality=picture.quality | quality) if quality else picture
