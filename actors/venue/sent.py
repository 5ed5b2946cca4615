"""The memory that makes "never sent twice" true: which ClOrdIDs were given to a wire.

A handler that crashed is given the same message again, in a new incarnation that knows nothing; but what its
predecessor wrote to a socket stays written.  So this memory belongs to the account and is handed to each incarnation
of its order entry.  After a crash of the whole process nothing is delivered again (mailboxes are gone), so it need
not be on disk.

It is bounded, without forgetting: ids of one maker (`protocols.ids`) count upwards, so a window of the newest counts
and "everything older was seen" are enough, as in the replay windows of IPsec.  An id that comes too late to tell
counts as seen: it is then queried, not sent.
"""

from __future__ import annotations

from collections import OrderedDict

from protocols.ids import ClOrdID, parse_cl_ord_id

WINDOW = 4096
"""How far behind its maker's newest an id may come: children of a split order overtake each other a little."""
FOREIGN_MAX = 100_000
_COUNT_WIDTH = 6
_MASK = (1 << WINDOW) - 1


class SentOnce:
    """One account's memory of new orders on one venue."""

    __slots__ = ("_foreign", "_makers")

    def __init__(self) -> None:
        self._makers: dict[str, list[int]] = {}
        """Prefix of an id -> [highest count, bitmap of the counts seen: bit k is `highest - k`]."""
        self._foreign: OrderedDict[str, None] = OrderedDict()

    def first_time(self, cl_ord_id: ClOrdID) -> bool:
        """True exactly once for each id; from then on the order may be at the venue."""
        prefix = cl_ord_id[:-_COUNT_WIDTH]
        seen = self._makers.get(prefix)
        if seen is None:
            if parse_cl_ord_id(cl_ord_id) is None:
                return self._first_time_foreign(cl_ord_id)
            self._makers[prefix] = [int(cl_ord_id[-_COUNT_WIDTH:], 36), 1]
            return True
        count = int(cl_ord_id[-_COUNT_WIDTH:], 36)
        highest, bitmap = seen
        if count > highest:
            seen[1] = (bitmap << min(count - highest, WINDOW) | 1) & _MASK
            seen[0] = count
            return True
        behind = highest - count
        if behind >= WINDOW or bitmap >> behind & 1:
            return False
        seen[1] = bitmap | 1 << behind
        return True

    def take_back(self, cl_ord_id: ClOrdID) -> None:
        """The wire has surely not taken a byte of it: another path may be tried."""
        seen = self._makers.get(cl_ord_id[:-_COUNT_WIDTH])
        if seen is None:
            self._foreign.pop(cl_ord_id, None)
            return
        behind = seen[0] - int(cl_ord_id[-_COUNT_WIDTH:], 36)
        if 0 <= behind < WINDOW:
            seen[1] &= ~(1 << behind)

    def _first_time_foreign(self, cl_ord_id: str) -> bool:
        """Ids that we did not make (an operator's own): the newest are remembered one by one."""
        if cl_ord_id in self._foreign:
            return False
        self._foreign[cl_ord_id] = None
        if len(self._foreign) > FOREIGN_MAX:
            self._foreign.popitem(last=False)
        return True
