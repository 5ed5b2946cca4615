"""Is what the venue says plausible?  Each check answers with a flag; nothing is repaired, nothing is left out.

==========  ================================================================================================
CROSSED     best bid not below best ask
JUMP        the last price moved by more than `jump` from one picture to the next
BACKWARD    the venue's clock stands before that of the picture before
DEVIATES    REST and stream say prices that are further apart than `deviation`, of about the same time; or a bar of
            REST has other prices than the one that was built from trades, or another volume
STALE       the venue's clock says that the picture is older than `stale_ns`
==========  ================================================================================================

An *episode* is a run of pictures with the same flag: its begin and its end are news, what lies between is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import attrs

from protocols.backbone import DataFlagged, StreamKind
from protocols.enums import Quality, Source
from protocols.ids import Symbol, Venue
from protocols.market import Candle, Depth, Ticker

SECOND_NS = 1_000_000_000

_CHECKED = (Quality.CROSSED, Quality.JUMP, Quality.BACKWARD, Quality.DEVIATES, Quality.STALE)
_Key = tuple[StreamKind, Symbol]


@attrs.frozen(kw_only=True)
class CheckSettings:
    """What counts as implausible."""

    jump: Decimal = Decimal("0.1")
    """As a fraction of the price before."""
    deviation: Decimal = Decimal("0.01")
    """As a fraction of the stream's price; of a bar, of its volume, because its prices must be the same."""
    comparable_ns: int = 5 * SECOND_NS
    """REST and stream are compared when their venue times are not further apart."""
    stale_ns: int = 60 * SECOND_NS
    """Pictures that come with an older venue time are stale on arrival."""


@attrs.define
class _Seen:
    """What the checks remember of one symbol and kind."""

    event_ns: int = 0
    price: Decimal | None = None
    flags: Quality = Quality.GOOD
    """Of the episode under way."""


class Checks:
    """All checks of one venue."""

    def __init__(self, venue: Venue, settings: CheckSettings | None = None) -> None:
        self._venue = venue
        self._settings = settings or CheckSettings()
        self._seen: dict[tuple[_Key, Source], _Seen] = {}
        self.counts: dict[str, int] = {}
        """Pictures by flag."""

    def ticker(self, ticker: Ticker, now_ns: int) -> tuple[Quality, list[DataFlagged]]:
        """What is wrong with it, and what is news about that.  `now_ns`: our wall clock."""
        seen = self._of(StreamKind.TICKER, ticker.symbol, ticker.source)
        found = self._time(seen, ticker.event_ns, now_ns)
        if ticker.bid_px is not None and ticker.ask_px is not None and ticker.bid_px >= ticker.ask_px:
            found |= Quality.CROSSED
        if self._jumped(seen, ticker.last_px):
            found |= Quality.JUMP
        return self._note(seen, StreamKind.TICKER, ticker.symbol, found, now_ns)

    def depth(self, depth: Depth, now_ns: int) -> tuple[Quality, list[DataFlagged]]:
        """As `ticker`."""
        seen = self._of(StreamKind.BOOK, depth.symbol, depth.source)
        found = self._time(seen, depth.event_ns, now_ns) if depth.event_ns else Quality.GOOD
        middle: Decimal | None = None
        if depth.bids and depth.asks:
            bid, ask = depth.bids[0][0], depth.asks[0][0]
            middle = (bid + ask) / 2
            if bid >= ask:
                found |= Quality.CROSSED
        if self._jumped(seen, middle):
            found |= Quality.JUMP
        return self._note(seen, StreamKind.BOOK, depth.symbol, found, now_ns)

    def deviates(self, streamed: Ticker | Depth, asked: Ticker | Depth) -> bool:
        """Whether REST contradicts the stream at about the same time of the venue."""
        one, other = _price(streamed), _price(asked)
        if one is None or other is None or abs(streamed.event_ns - asked.event_ns) > self._settings.comparable_ns:
            return False
        return abs(one - other) > self._settings.deviation * one

    def compared(self, kind: StreamKind, symbol: Symbol, *, deviates: bool, now_ns: int) -> list[DataFlagged]:
        """Keep the episode of deviation of a symbol: what is news."""
        seen = self._of(kind, symbol, Source.BUILT)
        return self._note(seen, kind, symbol, Quality.DEVIATES if deviates else Quality.GOOD, now_ns)[1]

    def bars(
        self, built: Iterable[Candle], asked: Sequence[Candle], now_ns: int
    ) -> tuple[tuple[Candle, ...], list[DataFlagged]]:
        """The bars of REST, flagged where a whole bar that was built from trades differs, and what is news about it."""
        ours = {bar.open_ns: bar for bar in built if bar.source is Source.BUILT and not bar.has_gap}
        pairs = [(ours[bar.open_ns], bar) for bar in asked if bar.open_ns in ours]
        if not pairs:
            return tuple(asked), []
        wrong = {bar.open_ns for our, bar in pairs if self._differ(our, bar)}
        news = self.compared(StreamKind.CANDLES, asked[0].symbol, deviates=bool(wrong), now_ns=now_ns)
        flagged = (
            attrs.evolve(bar, quality=bar.quality | Quality.DEVIATES) if bar.open_ns in wrong else bar for bar in asked
        )
        return tuple(flagged), news

    def _differ(self, our: Candle, bar: Candle) -> bool:
        if abs(our.volume - bar.volume) > self._settings.deviation * max(our.volume, bar.volume):
            return True
        if not our.volume:
            return False  # nobody traded: what stands for a price then is each side's own affair
        return (our.open, our.high, our.low, our.close) != (bar.open, bar.high, bar.low, bar.close)

    def forget(self, kind: StreamKind, symbol: Symbol) -> None:
        """The stream begins anew: what comes next is not to be compared with what was before."""
        for source in Source:
            self._seen.pop(((kind, symbol), source), None)

    def _of(self, kind: StreamKind, symbol: Symbol, source: Source) -> _Seen:
        key = ((kind, symbol), source)
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = _Seen()
        return seen

    def _time(self, seen: _Seen, event_ns: int, now_ns: int) -> Quality:
        found = Quality.GOOD
        if event_ns < seen.event_ns:
            found |= Quality.BACKWARD
        else:
            seen.event_ns = event_ns
        if now_ns - event_ns > self._settings.stale_ns:
            found |= Quality.STALE
        return found

    def _jumped(self, seen: _Seen, price: Decimal | None) -> bool:
        before = seen.price
        if price is None:
            return False
        seen.price = price
        return before is not None and before != price and abs(price - before) > self._settings.jump * before

    def _note(
        self, seen: _Seen, kind: StreamKind, symbol: Symbol, found: Quality, now_ns: int
    ) -> tuple[Quality, list[DataFlagged]]:
        news: list[DataFlagged] = []
        if found is not seen.flags:
            for flag in _CHECKED:
                if flag in found and flag not in seen.flags:
                    text = f"{kind.value} of {symbol}: {(flag.name or '').lower()}"
                    news.append(DataFlagged(self._venue, symbol, kind, flag, text, now_ns))
            if not found:
                text = f"{kind.value} of {symbol}: sound again"
                news.append(DataFlagged(self._venue, symbol, kind, Quality.GOOD, text, now_ns))
            seen.flags = found
        if found:
            for flag in _CHECKED:
                if flag in found:
                    name = (flag.name or "").lower()
                    self.counts[name] = self.counts.get(name, 0) + 1
        return found, news


def _price(picture: Ticker | Depth) -> Decimal | None:
    """The one price that a picture is compared by: the last, or the middle of a book."""
    if isinstance(picture, Ticker):
        return picture.last_px
    return (picture.bids[0][0] + picture.asks[0][0]) / 2 if picture.bids and picture.asks else None
