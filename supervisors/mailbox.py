"""The mailbox: a Trio memory channel that outlives the incarnations of its actor.

The cell (the supervisor's side of an actor) owns both ends, because closing a receive end would strand what is
buffered in it.  The channel itself is unbounded; the bounds are decided per message family at `put`:

* commands: refused at `capacity` (the caller is told);
* market data: one place per conflation key, the newest value wins, so it cannot overflow;
* events: taken up to `hard_limit`; beyond it the mailbox reports OVERFLOW, and the owner is declared faulty.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from protocols.base import Delivery, MarketData, Message
from protocols.ids import Path

if TYPE_CHECKING:
    from supervisors.ports import Port


Letter: TypeAlias = "tuple[Message, Path, int, Port | None]"
"""A message on its way: what, sender, the sender's epoch, and the port of an `ask`.

A plain tuple: it is built once per hop, and a named one costs five times as much.
"""


class _Newest:
    """Stands in the channel for the newest market data of one key."""

    __slots__ = ("key",)

    def __init__(self, key: tuple[str, ...]) -> None:
        self.key = key


class Put(enum.Enum):
    """What became of a letter."""

    TAKEN = "taken"
    CONFLATED = "conflated"
    FULL = "full"
    OVERFLOW = "overflow"


class Mailbox:
    """Bounded, drained without awaiting; see the module text for the bounds.

    What crosses from another task goes through the channel in *bundles*: while a bundle waits to be taken, further
    letters join it, so a burst costs one channel operation (440 ns a pair) instead of one per letter.  What an actor
    sends in the very step in which the receiver will be served joins the bundle in hand directly (50 ns).
    """

    __slots__ = (
        "_newest",
        "_open",
        "_receive",
        "_room",
        "_send",
        "_waiting",
        "capacity",
        "conflated",
        "hard_limit",
        "high_water",
        "refused",
    )

    def __init__(self, capacity: int, hard_limit: int | None = None) -> None:
        if capacity < 1:
            raise ValueError(f"mailbox capacity must be at least 1, was {capacity}")
        self.capacity = capacity
        self.hard_limit = hard_limit if hard_limit is not None else capacity * 64
        send, receive = trio.open_memory_channel[deque[Any]](math.inf)
        self._send = send.send_nowait
        self._receive = receive.receive_nowait
        self._open: deque[Any] = deque()
        self._waiting: deque[Any] | None = None
        self._newest: dict[tuple[str, ...], Letter] = {}
        self._room: trio.Event | None = None
        self.high_water = 0
        self.conflated = 0
        self.refused = 0

    @property
    def depth(self) -> int:
        """Letters that wait, conflated ones counted once."""
        waiting = self._waiting
        return len(self._open) + (len(waiting) if waiting is not None else 0)

    def put(self, letter: Letter, *, in_step: bool = False) -> Put:
        """Take the letter, or say why not.  Never blocks.  `in_step`: the pump is running and serves the owner next."""
        message = letter[0]
        delivery = message.delivery
        item: object = letter
        waiting = self._waiting
        if delivery is Delivery.MARKET:
            assert isinstance(message, MarketData)
            key = message.conflation_key
            if key in self._newest:
                self._newest[key] = letter
                self.conflated += 1
                return Put.CONFLATED
            self._newest[key] = letter
            item = _Newest(key)
        else:
            depth = len(self._open) if waiting is None else len(self._open) + len(waiting)
            if delivery is Delivery.EVENT:
                if depth >= self.hard_limit:
                    self.refused += 1
                    return Put.OVERFLOW
            elif depth >= self.capacity:
                self.refused += 1
                return Put.FULL
        if waiting is not None:
            waiting.append(item)
        elif in_step:
            self._open.append(item)
        else:
            waiting = self._waiting = deque((item,))
            self._send(waiting)
        return Put.TAKEN

    def take(self) -> Letter | None:
        """The next letter, or None when the mailbox is empty."""
        bundle = self._open
        if not bundle:
            if self._waiting is None:
                return None
            self._waiting = None
            bundle = self._open = self._receive()
        item = bundle.popleft()
        if self._room is not None and self.depth < self.capacity:
            self._room.set()
            self._room = None
        if type(item) is tuple:
            return item
        return self._newest.pop(item.key)

    def note_depth(self) -> None:
        """Keep the high-water mark: called before and after a batch is taken."""
        depth = self.depth
        if depth > self.high_water:
            self.high_water = depth

    async def wait_room(self) -> None:
        """Wait until the depth is below the capacity: back-pressure for sessions."""
        while self.depth >= self.capacity:
            if self._room is None:
                self._room = trio.Event()
            await self._room.wait()
        await trio.lowlevel.checkpoint()

    def purge(self) -> list[Letter]:
        """Take everything out; for an owner that is given up."""
        letters = []
        while (letter := self.take()) is not None:
            letters.append(letter)
        return letters
