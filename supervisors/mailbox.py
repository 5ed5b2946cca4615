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
        "_receive",
        "_send",
        "bundle",
        "capacity",
        "conflated",
        "hard_limit",
        "high_water",
        "refused",
        "room",
        "waiting",
    )

    def __init__(self, capacity: int, hard_limit: int | None = None) -> None:
        if capacity < 1:
            raise ValueError(f"mailbox capacity must be at least 1, was {capacity}")
        self.capacity = capacity
        self.hard_limit = hard_limit if hard_limit is not None else capacity * 64
        send, receive = trio.open_memory_channel[deque[Any]](math.inf)
        self._send = send.send_nowait
        self._receive = receive.receive_nowait
        self.bundle: deque[Any] = deque()
        """In the owner's hand; the runtime's inner loops read and fill it directly."""
        self.waiting: deque[Any] | None = None
        """In the channel."""
        self._newest: dict[tuple[str, ...], Letter] = {}
        self.room: trio.Event | None = None
        """Set when somebody waits for room."""
        self.high_water = 0
        self.conflated = 0
        self.refused = 0

    @property
    def depth(self) -> int:
        """Letters that wait, conflated ones counted once."""
        waiting = self.waiting
        return len(self.bundle) + (len(waiting) if waiting is not None else 0)

    def put(self, letter: Letter, *, in_step: bool = False) -> Put:
        """Take the letter, or say why not.  Never blocks.  `in_step`: the pump is running and serves the owner next."""
        message = letter[0]
        delivery = message.delivery
        item: object = letter
        waiting = self.waiting
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
            depth = len(self.bundle) if waiting is None else len(self.bundle) + len(waiting)
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
            self.bundle.append(item)
        else:
            waiting = self.waiting = deque((item,))
            self._send(waiting)
        return Put.TAKEN

    def refill(self) -> deque[Any] | None:
        """The next bundle into the owner's hand, or None when nothing waits.  The one in hand must be empty."""
        if self.waiting is None:
            return None
        self.waiting = None
        self.bundle = self._receive()
        return self.bundle

    def newest(self, stand_in: _Newest) -> Letter:
        """The market data that `stand_in` stands for."""
        return self._newest.pop(stand_in.key)

    def take(self) -> Letter | None:
        """The next letter, or None when the mailbox is empty."""
        bundle = self.bundle or self.refill()
        if not bundle:
            return None
        item = bundle.popleft()
        return item if type(item) is tuple else self.newest(item)

    def tell_room(self) -> None:
        """Wake who waits for room, if there is some; called after a batch when somebody does."""
        if self.room is not None and self.depth < self.capacity:
            self.room.set()
            self.room = None

    async def wait_room(self) -> None:
        """Wait until the depth is below the capacity: back-pressure for sessions."""
        while self.depth >= self.capacity:
            if self.room is None:
                self.room = trio.Event()
            await self.room.wait()
        await trio.lowlevel.checkpoint()

    def purge(self) -> list[Letter]:
        """Take everything out; for an owner that is given up."""
        letters = []
        while (letter := self.take()) is not None:
            letters.append(letter)
        return letters
