"""Who reads which stream of the backbone, counted by reader.

It outlives the incarnations of its actor, because a wish belongs to the one who has it: the tree makes it beside the
actor's factory, and a restarted backbone goes on with it.
"""

from __future__ import annotations

from protocols.backbone import Topic
from protocols.ids import Path


class Readers:
    """Readers by topic; `add` and `remove` say whether the topic itself began or ended."""

    __slots__ = ("_readers",)

    def __init__(self) -> None:
        self._readers: dict[Topic, tuple[Path, ...]] = {}

    def add(self, topic: Topic, reader: Path) -> bool:
        """True when this is the first reader; saying it twice changes nothing."""
        readers = self._readers.get(topic, ())
        if reader not in readers:
            self._readers[topic] = (*readers, reader)
        return not readers

    def remove(self, topic: Topic, reader: Path) -> bool:
        """True when this was the last reader."""
        readers = self._readers.get(topic)
        if readers is None:
            return False
        rest = tuple(one for one in readers if one != reader)
        if rest:
            self._readers[topic] = rest
            return False
        del self._readers[topic]
        return True

    def drop(self, topic: Topic) -> tuple[Path, ...]:
        """There is no such stream: its readers, who are readers no more."""
        return self._readers.pop(topic, ())

    def of(self, topic: Topic) -> tuple[Path, ...]:
        """Who gets what this stream says, in the order of asking."""
        return self._readers.get(topic, ())

    def topics(self) -> tuple[Topic, ...]:
        """Everything that has a reader, in the order of asking."""
        return tuple(self._readers)

    def __contains__(self, topic: Topic) -> bool:
        return topic in self._readers
