"""The order book topics of a generated market (section 8.1): snapshot on subscription, then deltas with `u` plus one.

Every topic keeps what it has published last, and a counter of its own.  What the next message says is the difference
between that and the book of now, so that levels which leave or enter the depth are deleted and inserted as
on the venue.  Level 1 is always a snapshot and comes again after three seconds of silence, with the same `u`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import orjson

from tools.simulator.core.clock import MS, SECOND
from tools.simulator.core.hub import Hub, Message
from tools.simulator.core.market import Market
from tools.simulator.core.model import Side
from tools.simulator.dialects.bybit.instruments import Instrument
from tools.simulator.dialects.bybit.topics import DEPTHS, hub_name

FIRST_UPDATE = 1_000
"""Where `u` starts: 1 would mean that the service has restarted."""
SEQUENCE_BASE = 7_000_000_000
QUIET_NS = 3 * SECOND

Levels = dict[Decimal, Decimal]


@attrs.define
class _Topic:
    name: str
    topic: str
    depth: int
    pause_ns: int
    update_id: int = FIRST_UPDATE
    bids: Levels = attrs.Factory(dict)
    asks: Levels = attrs.Factory(dict)
    seen: int = -1
    """The market's update id at the last look."""
    sent_ns: int = 0
    changed_ns: int = 0


def sequence(market: Market) -> int:
    """The cross-topic number: grows with every change of the book."""
    return SEQUENCE_BASE + market.update_id


class BookTopics:
    """All depth topics of one generated market."""

    def __init__(self, market: Market, instrument: Instrument, hub: Hub, now_ns: Callable[[], int]) -> None:
        self._market = market
        self._instrument = instrument
        self._hub = hub
        self._now_ns = now_ns
        self._topics: dict[str, _Topic] = {}
        for depth, pause_ms in DEPTHS.items():
            topic = f"orderbook.{depth}.{instrument.symbol}"
            name = hub_name(instrument.category, topic)
            self._topics[depth] = _Topic(name, topic, int(depth), pause_ms * MS)

    def snapshot(self, depth: str) -> bytes:
        """What a new subscriber gets first.  To be asked before he is entered in the hub."""
        topic = self._topics[depth]
        if not self._hub.wanted(topic.name):
            self._look(topic)  # nobody listened, so what was published last is old
        return orjson.dumps(self._frame(topic, "snapshot", topic.bids, topic.asks))

    def flush(self, now_ns: int) -> None:
        """Publish what has changed, where the topic's pause is over."""
        for topic in self._topics.values():
            if now_ns - topic.sent_ns < topic.pause_ns or not self._hub.wanted(topic.name):
                continue
            if topic.depth == 1:
                self._level_1(topic, now_ns)
            elif topic.seen != self._market.update_id:
                bids, asks = topic.bids, topic.asks
                if self._look(topic):
                    changes = _changes(bids, topic.bids), _changes(asks, topic.asks)
                    self._publish(topic, "delta", *changes, now_ns)

    def _level_1(self, topic: _Topic, now_ns: int) -> None:
        changed = topic.seen != self._market.update_id and self._look(topic)
        if changed or now_ns - topic.sent_ns >= QUIET_NS:
            self._publish(topic, "snapshot", topic.bids, topic.asks, now_ns)

    def _look(self, topic: _Topic) -> bool:
        """Take the book of now; True, and one more `u`, where it differs."""
        market = self._market
        topic.seen = market.update_id
        bids, asks = dict(market.depth(Side.BUY, topic.depth)), dict(market.depth(Side.SELL, topic.depth))
        if bids == topic.bids and asks == topic.asks:
            return False
        topic.bids, topic.asks = bids, asks
        topic.update_id += 1
        topic.changed_ns = self._now_ns()
        return True

    def _publish(self, topic: _Topic, kind: str, bids: Levels, asks: Levels, now_ns: int) -> None:
        topic.sent_ns = now_ns
        ids = None if topic.depth == 1 else (topic.update_id, topic.update_id)
        self._hub.publish(Message(topic.name, orjson.dumps(self._frame(topic, kind, bids, asks)), ids=ids))

    def _frame(self, topic: _Topic, kind: str, bids: Levels, asks: Levels) -> dict[str, Any]:
        data = {
            "s": self._instrument.symbol,
            "b": self._rows(bids, descending=True),
            "a": self._rows(asks, descending=False),
            "u": topic.update_id,
            "seq": sequence(self._market),
        }
        stamp = self._now_ns() // MS
        head: dict[str, Any] = {"topic": topic.topic}
        head |= {"ts": stamp, "type": kind} if self._instrument.is_spot else {"type": kind, "ts": stamp}
        return head | {"data": data, "cts": topic.changed_ns // MS}

    def _rows(self, levels: Levels, *, descending: bool) -> list[list[str]]:
        px, qty = self._instrument.px, self._instrument.qty
        return [
            [px(price), qty(levels[price]) if levels[price] else "0"] for price in sorted(levels, reverse=descending)
        ]

    def answer(self, limit: int) -> dict[str, Any]:
        """The REST book; its `u` is that of the topic of 1000 levels."""
        topic, market = self._topics["1000"], self._market
        if not self._hub.wanted(topic.name):
            self._look(topic)
        best = sorted(topic.bids, reverse=True)[:limit], sorted(topic.asks)[:limit]
        return {
            "s": self._instrument.symbol,
            "b": self._rows({price: topic.bids[price] for price in best[0]}, descending=True),
            "a": self._rows({price: topic.asks[price] for price in best[1]}, descending=False),
            "ts": self._now_ns() // MS,
            "u": topic.update_id,
            "seq": sequence(market),
            "cts": topic.changed_ns // MS,
        }


def _changes(old: Levels, new: Levels) -> Levels:
    """What a delta says: new quantities, and 0 for levels that are gone."""
    changes = {price: qty for price, qty in new.items() if old.get(price) != qty}
    changes.update((price, Decimal(0)) for price in old if price not in new)
    return changes
