"""What the backbone has subscribed at its venue's public session: what for, and whether it is interrupted.

Several of our streams can live on one of the venue's: trades are needed by the readers of trades and by bars of every
length.  So each is counted by what needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from protocols.backbone import StreamKind, Topic
from protocols.enums import Channel
from protocols.ids import Symbol
from protocols.market import StreamDown, StreamUp

Stream = tuple[Channel, Symbol]


def stream_of(topic: Topic) -> Stream:
    """The venue's stream that one of ours lives on."""
    kind, symbol, _ = topic
    if kind is StreamKind.BOOK:
        return Channel.BOOK, symbol
    return Channel.TICKER if kind is StreamKind.TICKER else Channel.TRADES, symbol


class Upstream:
    """See the module text."""

    __slots__ = ("_needed", "down", "holes")

    def __init__(self) -> None:
        self._needed: dict[Stream, dict[Topic, None]] = {}
        self.down: dict[Stream, str] = {}
        """Those that are interrupted, and why."""
        self.holes: set[Symbol] = set()
        """Symbols of which the next trade has a gap before it."""

    def need(self, topic: Topic) -> Stream | None:
        """The stream to subscribe for this topic; None when that was done for another one."""
        stream = stream_of(topic)
        needed = self._needed.setdefault(stream, {})
        needed[topic] = None
        return stream if len(needed) == 1 else None

    def release(self, topic: Topic) -> Stream | None:
        """The stream to unsubscribe now that the topic is over; None when another one needs it still."""
        stream = stream_of(topic)
        needed = self._needed.get(stream, {})
        needed.pop(topic, None)
        if needed:
            return None
        self._needed.pop(stream, None)
        self.down.pop(stream, None)
        self.holes.discard(stream[1])
        return stream

    def topics(self, stream: Stream) -> Iterable[Topic]:
        """What lives on a stream."""
        return self._needed.get(stream, ())

    def named(self, news: StreamUp | StreamDown) -> list[Stream]:
        """Which of the subscribed streams the session speaks of."""
        return [
            (channel, symbol)
            for channel, symbol in self._needed
            if (not news.channels or channel in news.channels) and (news.symbol is None or news.symbol == symbol)
        ]

    def interrupt(self, stream: Stream, text: str) -> bool:
        """There is a hole before what it says next; False when that is known."""
        is_news = stream not in self.down
        self.down[stream] = text
        if stream[0] is Channel.TRADES:
            self.holes.add(stream[1])
        return is_news

    def resume(self, stream: Stream) -> bool:
        """It speaks again; False when it was not interrupted."""
        return self.down.pop(stream, None) is not None

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._needed))
