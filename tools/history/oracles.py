"""What proves the books of recordings besides the rules that the engine's own books live by.

The engine's rules are those of today, and they follow numbers.  Recordings hold more: OKX numbered nothing until 2022
and stated a checksum instead, and Bybit numbers the pictures of its best prices, which the engine takes as they come.
"""

from __future__ import annotations

import enum

import attrs
import msgspec

from protocols.ids import Symbol
from protocols.market import BookDelta, BookSnapshot
from protocols.venue import Bridge, Verdict

__all__ = ["UNNUMBERED", "BestPriceNumbers", "Misstep", "Proof", "UnnumberedBook"]

UNNUMBERED = -1
"""Id of a book's message that has none."""
_RESTARTED = 1  # Bybit's counter begins anew: its service has restarted


class Proof(enum.Enum):
    """What a message of a book was proven by."""

    CHECKSUM = "checksum"
    """The book after it has the checksum that the venue states."""
    SEQUENCE = "sequence"
    """It continues the message before it by the venue's own numbers."""
    PICTURE = "picture"
    """It is the whole book."""


class UnnumberedBook:
    """`protocols.venue.BookSequencer` of a book without numbers: every change counts, and a checksum is its judge."""

    snapshot_depth = 0

    def __init__(self) -> None:
        self.synced = False

    @property
    def last_id(self) -> int:
        """There is none."""
        return UNNUMBERED

    def on_delta(self, delta: BookDelta) -> Verdict:
        """APPLY on a picture, IGNORE without one."""
        return Verdict.APPLY if self.synced else Verdict.IGNORE

    def on_snapshot(self, snapshot: BookSnapshot) -> Bridge:
        """APPLY: the stream's own picture is newer than all before it."""
        self.synced = True
        return Bridge(Verdict.APPLY)

    def reset(self) -> None:
        """Wait for a picture."""
        self.synced = False


# ---- Bybit's best prices ---------------------------------------------------------------------------------------


class Misstep(enum.Enum):
    """How a number fails to continue the one before it."""

    MISSING = "missing"
    BACKWARDS = "backwards"


class _Data(msgspec.Struct, gc=False):
    s: str = ""
    u: int = 0
    seq: int = 0


class _Frame(msgspec.Struct, gc=False):
    topic: str = ""
    data: _Data | msgspec.UnsetType = msgspec.UNSET


@attrs.frozen
class Step:
    """One numbered picture and how it continues the one before it."""

    symbol: Symbol
    misstep: Misstep | None
    text: str = ""


class BestPriceNumbers:
    """The counter `u` and the order `seq` of Bybit's `orderbook.1` on one connection.

    Every message is a picture.  `u` grows by one with each change and stands still where the venue repeats the picture
    for want of one; `seq` grows with each change (seen in all recordings; the documents promise that smaller is older).
    """

    def __init__(self) -> None:
        self._last: dict[str, _Data] = {}
        self._decoder = msgspec.json.Decoder(_Frame)

    def step(self, raw: bytes) -> Step | None:
        """Judge a frame; None for one that is of another kind."""
        if b'"orderbook.1.' not in raw:
            return None
        try:
            frame = self._decoder.decode(raw)
        except msgspec.DecodeError:
            return None  # told by who reads the frames
        data = frame.data
        if not isinstance(data, _Data) or not frame.topic.startswith("orderbook.1."):
            return None
        before = self._last.get(frame.topic)
        self._last[frame.topic] = data
        if before is None or data.u == _RESTARTED:
            return Step(Symbol(data.s), None)
        return Step(Symbol(data.s), *_compare(before, data))


def _compare(before: _Data, data: _Data) -> tuple[Misstep | None, str]:
    is_repeated = data.u == before.u and data.seq == before.seq
    if not is_repeated and (data.u < before.u or data.seq <= before.seq):
        return Misstep.BACKWARDS, f"u {data.u}, seq {data.seq} come after u {before.u}, seq {before.seq}"
    if data.u > before.u + 1:
        return Misstep.MISSING, f"u {data.u} does not continue u {before.u}"
    return None, ""
