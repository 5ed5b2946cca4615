"""The desk, `/market/desk`: where readers who are no actors get their streams.

`MarketData` (`actors.market.api`) hangs *outlets* into the `DeskHome` and says `DemandChanged`; this actor compares
what the outlets want with what it has asked the backbones for, asks for the difference, and puts what comes into the
outlets.  The home outlives the incarnations of this actor: after a restart the outlets are still there, and so is the
knowledge of what was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Protocol

from protocols.backbone import (
    DESK,
    DataFlagged,
    DemandChanged,
    StreamKind,
    StreamRefused,
    StreamUnwanted,
    StreamWanted,
    Topic,
    Unanswered,
    market_path,
)
from protocols.base import Message
from protocols.ids import Venue
from protocols.market import Candle, Depth, Ticker, Trade
from supervisors.actor import Actor, Down, Up

FLAGS_KEPT = 200

Place = tuple[Venue, Topic]
Item = Ticker | Depth | Trade | Candle


class Outlet(Protocol):
    """Where one reader's items go."""

    def put(self, item: Item) -> None: ...

    def refuse(self, venue: Venue, why: Unanswered) -> None:
        """Nothing will come of one of the streams: there is no such."""
        ...


class DeskHome:
    """Outlets by place; `asked`: the places that the backbones were asked for."""

    def __init__(self) -> None:
        self._outlets: dict[Place, tuple[Outlet, ...]] = {}
        self.asked: dict[Place, None] = {}
        self.new: dict[Place, None] = {}
        """Places with an outlet that has come since they were last compared: it wants the last picture at once."""
        self.flags: deque[DataFlagged] = deque(maxlen=FLAGS_KEPT)
        """The newest findings of the checks in anything that is read here."""

    def hang(self, outlet: Outlet, places: Iterable[Place]) -> None:
        """From now on the outlet gets what comes of these places."""
        for place in places:
            self._outlets[place] = (*self._outlets.get(place, ()), outlet)
            self.new[place] = None

    def take_away(self, outlet: Outlet, places: Iterable[Place]) -> None:
        """It gets nothing any more; taking it away twice changes nothing."""
        for place in places:
            rest = tuple(one for one in self._outlets.get(place, ()) if one is not outlet)
            if rest:
                self._outlets[place] = rest
            else:
                self._outlets.pop(place, None)

    def at(self, place: Place) -> tuple[Outlet, ...]:
        """Who gets what comes of a place."""
        return self._outlets.get(place, ())

    def wanted(self) -> list[Place]:
        """Every place that has an outlet."""
        return list(self._outlets)


class DeskActor(Actor):
    """`venues`: those whose backbones run."""

    def __init__(self, home: DeskHome, venues: Iterable[Venue]) -> None:
        self._home = home
        self._venues = {market_path(venue): venue for venue in venues}
        self._counts = {"items": 0, "refused": 0, "flags": 0}

    async def started(self) -> None:
        for path in self._venues:
            self.ctx.watch(path)
        self._compare()

    def receive(self, message: Message) -> None:
        if isinstance(message, Ticker):
            self._put(message, StreamKind.TICKER)
        elif isinstance(message, Depth):
            self._put(message, StreamKind.BOOK)
        elif isinstance(message, Trade):
            self._put(message, StreamKind.TRADES)
        elif isinstance(message, Candle):
            self._put(message, StreamKind.CANDLES, message.interval_ns)
        elif isinstance(message, DemandChanged):
            self._compare()
        elif isinstance(message, StreamRefused):
            self._refuse(message)
        elif isinstance(message, DataFlagged):
            self._counts["flags"] += 1
            self._home.flags.append(message)
        elif isinstance(message, Up):
            self._ask_again(self._venues[message.path])
        elif not isinstance(message, Down):
            raise TypeError(f"the desk does not understand {type(message).__name__}")

    def _put(self, item: Item, kind: StreamKind, interval_ns: int = 0) -> None:
        self._counts["items"] += 1
        for outlet in self._home.at((item.venue, (kind, item.symbol, interval_ns))):
            outlet.put(item)

    def _compare(self) -> None:
        """Ask for what is wanted and was not asked for; end what was asked for and is wanted no more."""
        asked, wanted = self._home.asked, self._home.wanted()
        new, self._home.new = self._home.new, {}
        for place in wanted:
            if place not in asked or place in new:
                asked[place] = None
                self.ctx.send(market_path(place[0]), StreamWanted(place[1], DESK))
        for place in [place for place in asked if not self._home.at(place)]:
            del asked[place]
            self.ctx.send(market_path(place[0]), StreamUnwanted(place[1], DESK))

    def _ask_again(self, venue: Venue) -> None:
        """A backbone has (re)started; it knows its readers, and saying it twice changes nothing."""
        for asked, topic in self._home.asked:
            if asked == venue:
                self.ctx.send(market_path(venue), StreamWanted(topic, DESK))

    def _refuse(self, refused: StreamRefused) -> None:
        self._counts["refused"] += 1
        place = (refused.venue, refused.topic)
        self._home.asked.pop(place, None)
        for outlet in self._home.at(place):
            outlet.refuse(refused.venue, refused.why)

    def inspect(self) -> Mapping[str, object]:
        """State summary for the console."""
        return {
            "streams": {
                f"{venue}:{symbol} {kind.value}": len(self._home.at((venue, (kind, symbol, interval_ns))))
                for venue, (kind, symbol, interval_ns) in self._home.wanted()
            },
            **self._counts,
        }
