"""Order book channels (section 7.1): what was last said of a book, and the difference to what it is now.

Each channel of an instrument is a chain of its own over the same numbers: an update names the `seqId` of the one before
it. A subscriber begins with a picture of what the channel has said so far, so the next update continues it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from tools.simulator.core.book import BookSide
from tools.simulator.core.clock import SECOND
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.market import Market
from tools.simulator.core.model import Side
from tools.simulator.dialects.okx.text import ms, plain

Shown = tuple[Decimal, int]
"""Quantity and number of orders at a price."""
NOTHING: Shown = (ZERO, 0)
HEARTBEAT_NS = 60 * SECOND
NO_PREDECESSOR = -1
FIXED_CHECKSUM = 0
"""Since 2026-06-23 the field is there and says nothing."""


@attrs.frozen
class BookChannel:
    """One kind of incremental book."""

    levels: int
    checksum: bool = True
    rpi: bool = False
    """Rows are `[price, total, without RPI orders, orders]`."""


CHANNELS = {
    "books-l2-tbt": BookChannel(400),
    "books50-l2-tbt": BookChannel(50),
    "books": BookChannel(400),
    "books-rpi": BookChannel(400, checksum=False, rpi=True),
}
"""In the order in which the venue pushes them; best prices come before, five levels after."""
TICK_BY_TICK = ("books-l2-tbt", "books50-l2-tbt")


def _side(market: Market, side: Side) -> BookSide:
    return market.book.bids if side is Side.BUY else market.book.asks


def shown_at(market: Market, side: Side, price: Decimal) -> Shown:
    """What the public sees at a price."""
    level = _side(market, side).get(price)
    if level is None:
        return NOTHING
    qty = market.shown_qty(level)
    return (qty, max(1, len(level.queue))) if qty > 0 else NOTHING


def best(market: Market, side: Side, levels: int) -> dict[Decimal, Shown]:
    """The best levels, best first."""
    found: dict[Decimal, Shown] = {}
    for level in _side(market, side):
        qty = market.shown_qty(level)
        if qty > 0:
            found[level.price] = (qty, max(1, len(level.queue)))
            if len(found) >= levels:
                break
    return found


def rows(levels: dict[Decimal, Shown], *, rpi: bool = False) -> list[list[str]]:
    """`[price, quantity, "0", orders]`."""
    return [
        [plain(price), plain(qty), plain(qty) if rpi else "0", str(orders)] for price, (qty, orders) in levels.items()
    ]


class Chain:
    """What one channel has said of one instrument."""

    def __init__(self, market: Market, channel: BookChannel, now_ns: int) -> None:
        self._market = market
        self._channel = channel
        self.seq_id = market.update_id
        self._said_ns = now_ns
        self._changed: set[tuple[Side, Decimal]] = set()
        self._shown = {side: best(market, side, channel.levels) for side in Side}

    def note(self, changes: set[tuple[Side, Decimal]]) -> None:
        """Levels that may have changed since the last update."""
        self._changed |= changes

    def snapshot(self, now_ns: int) -> dict[str, Any]:
        """The picture as of the last update."""
        return self._row(self._shown[Side.BUY], self._shown[Side.SELL], now_ns, NO_PREDECESSOR)

    def update(self, now_ns: int) -> dict[str, Any] | None:
        """The next link of the chain, a heartbeat after a minute without one, or None."""
        previous = self.seq_id
        if not self._changed and self._market.update_id == previous:
            return self._row({}, {}, now_ns, previous) if now_ns - self._said_ns >= HEARTBEAT_NS else None
        bids, asks = self._difference(Side.BUY), self._difference(Side.SELL)
        self._changed.clear()
        if not bids and not asks:
            return None  # something changed beyond the levels of this channel
        self.seq_id = self._market.update_id
        return self._row(bids, asks, now_ns, previous)

    def _difference(self, side: Side) -> dict[Decimal, Shown]:
        """Changed levels, and those that came into view or left it."""
        shown, market = self._shown[side], self._market
        most = self._channel.levels
        if len(shown) < most and len(_side(market, side)) <= most:
            changed: dict[Decimal, Shown] = {}
            for where, price in self._changed:
                if where is side:
                    now = shown_at(market, side, price)
                    if now != shown.get(price, NOTHING):
                        changed[price] = now
                        if now[0]:
                            shown[price] = now
                        else:
                            del shown[price]
        else:
            view = best(market, side, most)
            changed = {price: NOTHING for price in shown if price not in view}
            changed |= {price: now for price, now in view.items() if shown.get(price) != now}
            self._shown[side] = view
        return dict(sorted(changed.items(), reverse=side is Side.BUY))

    def _row(
        self, bids: dict[Decimal, Shown], asks: dict[Decimal, Shown], now_ns: int, previous: int
    ) -> dict[str, Any]:
        self._said_ns = now_ns
        if previous == NO_PREDECESSOR:
            bids = dict(sorted(bids.items(), reverse=True))
            asks = dict(sorted(asks.items()))
        rpi = self._channel.rpi
        row: dict[str, Any] = {"asks": rows(asks, rpi=rpi), "bids": rows(bids, rpi=rpi), "ts": ms(now_ns)}
        if self._channel.checksum:
            row["checksum"] = FIXED_CHECKSUM
        return row | {"prevSeqId": previous, "seqId": self.seq_id}
