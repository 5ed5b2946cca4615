"""A venue that plays a recording: WebSocket and REST on loopback, in each venue's own words.

`Player.run` sends the recorded frames to whoever has subscribed to them, as fast as they are read.  At places drawn by
lot there is an accident: a frame of a book is dropped, doubled, swapped with the next of its symbol, spoiled, or the
connection is cut in the middle of it.  After an accident the player goes on for `hold` frames of that symbol's book and
then waits until its reader has healed, as in a real market there is time for; so an accident that nobody notices stops
the play, which the test calls by its name.

It answers a new subscription, or REST, with the true book as of the frame last played.
"""

from __future__ import annotations

import enum
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import attrs
import trio

from tests.actors.venue.peers import HttpAsked, Peer, encode, http_server, websocket_server
from tests.actors.venue.speech import speech_of
from tests.scenarios.captures.recordings import Base, Recorded, Recording, Truth

Name = tuple[str, str]
"""Kind and symbol of a stream."""


class Accident(enum.Enum):
    """What happens to one frame of a book."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CUT = "cut"
    SPOIL = "spoil"


@attrs.define(eq=False)
class Listener:
    """One connection of a client."""

    peer: Peer
    wants: set[Name] = attrs.Factory(set)
    unsent: bytearray = attrs.Factory(bytearray)
    lock: trio.Lock = attrs.Factory(trio.Lock)

    async def send(self) -> None:
        """Write what is unsent, in order, whoever put it there."""
        async with self.lock:
            data, self.unsent = bytes(self.unsent), bytearray()
            try:
                await self.peer.raw(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # the client left; what it missed it will ask for


@attrs.frozen
class Happened:
    """An accident that took place: the frame, and the one of its symbol that was played before it."""

    accident: Accident
    frame: Recorded
    next_id: int
    """First id of the next frame of the symbol's book that was sent; 0: none was, for the connection was cut."""


class Player:
    """See the module text."""

    def __init__(
        self,
        recording: Recording,
        accidents: dict[int, Accident],
        *,
        hold: int,
        healed: Callable[[str], bool],
        ready: Callable[[], bool],
    ) -> None:
        """`accidents`: by number of the step.  `healed`: whether the reader's book of a symbol is proven."""
        self.recording = recording
        self.truth = Truth()
        self.speech = speech_of(recording.venue)
        self.happened: list[Happened] = []
        self.sent = 0
        self._accidents = accidents
        self._hold = hold
        self._healed = healed
        self._ready = ready
        self.listeners: list[Listener] = []
        self._owed: dict[str, int] = {}
        """Symbols that had an accident: frames until the play waits for them."""
        self._swapped: dict[str, Recorded] = {}
        self._numbers: dict[str, int] = {}
        """Symbols whose last accident has not seen its next frame: its place in `happened`."""
        for step in recording.before:
            if isinstance(step, Base):
                self.truth.base(step)
            elif step.change is not None:
                self.truth.take(step)

    # ---- the clients' side --------------------------------------------------------------------------------------

    async def listen(self, peer: Peer) -> None:
        """One WebSocket connection."""
        await peer.accept()
        listener = Listener(peer)
        self.listeners.append(listener)
        try:
            while True:
                heard = self.speech.hear(await peer.next_text())
                if heard.replace:
                    listener.wants.clear()
                listener.wants |= set(heard.add)
                listener.wants -= set(heard.remove)
                pictures = [self.speech.picture(self.truth, symbol) for kind, symbol in heard.add if kind == "book"]
                # Data may come before the acknowledgement.
                self._put(listener, [each for each in (*pictures, *heard.answers) if each is not None])
                await listener.send()
        finally:
            self.listeners.remove(listener)

    async def rest(self, asked: HttpAsked) -> None:
        """One REST request."""
        with trio.move_on_after(30):  # beyond, the client has long asked again
            while True:
                body = self.speech.rest(self.truth, asked.target)
                if body is not None:
                    await asked.answer(body=body.encode())
                    return
                await trio.sleep(0.005)

    def _put(self, listener: Listener, texts: Iterable[str]) -> None:
        listener.unsent += b"".join(encode(self.speech.opcode, text.encode()) for text in texts)

    # ---- the play -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Play to the end."""
        await self._until(self._ready, "nobody has subscribed to everything")
        batch: list[Recorded] = []
        for number, step in enumerate(self.recording.steps):
            if isinstance(step, Base):
                await self._flush(batch)
                self.truth.base(step)
                await self._until_healed(step.symbol)
                continue
            accident = self._accidents.get(number)
            if accident is None and step.symbol not in self._swapped and not self._is_due(step):
                batch.append(step)
                if len(batch) >= 32:
                    await self._flush(batch)
                continue
            await self._flush(batch)
            if accident is not None:
                await self._happen(accident, step)
            else:
                await self._after(step)
        await self._flush(batch)

    def _is_due(self, step: Recorded) -> bool:
        return step.change is not None and step.symbol in self._owed

    async def _flush(self, batch: list[Recorded], *, is_true: bool = True) -> None:
        """Send frames; in the same step they become the truth that new subscriptions are told, so none hears twice."""
        listeners = list(self.listeners)
        for listener in listeners:
            self._put(listener, [step.raw for step in batch if (step.kind, step.symbol) in listener.wants])
        for step in batch:
            if is_true and step.change is not None:
                self.truth.take(step)
        self.sent += len(batch)
        batch.clear()
        for listener in listeners:
            await listener.send()

    async def _happen(self, accident: Accident, step: Recorded) -> None:
        await self._until_healed()  # what is not proven yet has nothing to lose
        self._numbers[step.symbol] = len(self.happened)
        self.happened.append(Happened(accident, step, 0))
        if accident is Accident.DUPLICATE:
            await self._flush([step, step])
            return
        self.truth.take(step)
        if accident is Accident.REORDER:
            self._swapped[step.symbol] = step
            return
        if accident is Accident.CUT:
            await self._cut(step)
        if accident is Accident.SPOIL:
            await self._flush([spoiled(step, self.truth.rows(step.symbol)[0][0][0])], is_true=False)
        self._owed[step.symbol] = self._hold

    async def _after(self, step: Recorded) -> None:
        """A frame of a symbol that had an accident."""
        if step.change is not None:
            at = self._numbers.pop(step.symbol, None)
            if at is not None:
                self.happened[at] = attrs.evolve(self.happened[at], next_id=step.change.first_id)
        await self._flush([step])
        swapped = self._swapped.pop(step.symbol, None) if step.change is not None else None
        if swapped is not None:
            await self._flush([swapped], is_true=False)
            self._owed[step.symbol] = self._hold
        elif step.change is not None and step.symbol in self._owed:
            self._owed[step.symbol] -= 1
            if not self._owed[step.symbol]:
                del self._owed[step.symbol]
                await self._until_healed()

    async def _until_healed(self, *symbols: str) -> None:
        """These books, or all that have begun."""
        begun = symbols or tuple(self.truth.books)
        await self._until(lambda: all(map(self._healed, begun)), "a book was not healed")

    async def _cut(self, step: Recorded) -> None:
        """Half a frame, then the end of the connection that carries it; the play waits for the next one."""
        name = ("book", step.symbol)
        for listener in [each for each in self.listeners if name in each.wants]:
            data = encode(self.speech.opcode, step.raw.encode())
            listener.unsent += data[: len(data) // 2]
            await listener.send()
            listener.peer.reset()
            listener.wants.clear()
        await self._until(lambda: any(name in each.wants for each in self.listeners), "nobody came back after a cut")
        await self._until(self._ready, "not everything was subscribed again after a cut")

    async def _until(self, reached: Callable[[], bool], complaint: str) -> None:
        with trio.move_on_after(20) as patience:
            while not reached():  # noqa: ASYNC110 - the books are not asked to tell us
                await trio.sleep(0.002)
        if patience.cancelled_caught:
            last = self.happened[-1] if self.happened else None
            raise AssertionError(f"{complaint}; last accident: {last}")


def spoiled(step: Recorded, best_bid: str) -> Recorded:
    """The frame with a quantity at the best bid that is not the venue's: only a checksum can tell."""
    frame = json.loads(step.raw)
    row = frame["data"][0]
    row["bids"] = [level for level in row["bids"] if level[0] != best_bid] + [[best_bid, "123456789", "0", "1"]]
    return attrs.evolve(step, raw=json.dumps(frame, separators=(",", ":")))


@asynccontextmanager
async def serving(player: Player) -> AsyncIterator[tuple[str, str]]:
    """Addresses of the player's WebSocket and REST."""
    async with websocket_server(player.listen) as sockets, http_server(player.rest) as rest:
        yield sockets.url, rest.url
