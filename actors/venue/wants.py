"""Who wants which public stream: the wanted set of a venue's public session, counted by reader.

It belongs to no connection and to no incarnation: whoever has subscribed once is served until he unsubscribes, however
often the session restarts.  So the tree makes it, beside the session's factory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from protocols.enums import Channel
from protocols.ids import Path, Symbol

Stream = tuple[Channel, Symbol]


class Wants:
    """Readers by (channel, symbol).

    ::

        wants = Wants()
        wants.add((Channel.TRADES,), btc, "/market/tape")
        wants.streams()                          # {(TRADES, btc)}
        wants.readers(Channel.TRADES, btc)       # ("/market/tape",)
    """

    __slots__ = ("_readers",)

    def __init__(self) -> None:
        self._readers: dict[Stream, tuple[Path, ...]] = {}

    def add(self, channels: Iterable[Channel], symbol: Symbol, reader: Path) -> None:
        """`reader` wants these channels of a symbol; saying it twice changes nothing."""
        for channel in channels:
            readers = self._readers.get((channel, symbol), ())
            if reader not in readers:
                self._readers[channel, symbol] = (*readers, reader)

    def remove(self, channels: Iterable[Channel], symbol: Symbol, reader: Path) -> None:
        """`reader` wants them no more; others may."""
        for channel in channels:
            readers = tuple(one for one in self._readers.get((channel, symbol), ()) if one != reader)
            if readers:
                self._readers[channel, symbol] = readers
            else:
                self._readers.pop((channel, symbol), None)

    def readers(self, channel: Channel, symbol: Symbol) -> Sequence[Path]:
        """Who gets what the venue says in this stream, in the order of asking."""
        return self._readers.get((channel, symbol), ())

    def streams(self) -> set[Stream]:
        """Everything that has a reader."""
        return set(self._readers)
