"""The account's events on the private socket (reference section 9): orders, executions, positions, the wallet.

The socket is subscribed to all products at once, because the wallet is one: rows of another product are another
codec's and are left out; rows of a category that nobody knows are told.  A row in words that our vocabulary lacks costs
the others nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from protocols.base import Message
from protocols.errors import Unrecognized
from protocols.ids import AccountID, Venue
from protocols.positions import BalancesChanged
from protocols.venue import UnrecognizedMessage
from protocols.venues.bybit import wire
from protocols.venues.bybit.reports import ORDER_TYPES, Reports
from protocols.venues.values import stamp_ns
from protocols.venues.words import UnknownWord

__all__ = ["AccountEvents"]

CATEGORIES = frozenset({"spot", "linear", "inverse", "option"})
_MONEY_ONLY = frozenset({"Funding", "Settle"})
_UNIFIED = frozenset({None, "", "UNIFIED"})
_OTHER_WALLETS = frozenset({"CONTRACT", "SPOT", "OPTION", "INVESTMENT", "FUND"})
"""Of classic accounts, and the one that nothing trades from."""
_UNSAID = frozenset({None, "", "UNKNOWN"})

_Build = Callable[[msgspec.Raw, int], Sequence[Message]]


class AccountEvents:
    """Reads the frames of one account and product; `category` is the product in the venue's words."""

    __slots__ = (
        "_account",
        "_builds",
        "_category",
        "_execution",
        "_frame",
        "_order",
        "_position",
        "_reports",
        "_row_category",
        "_venue",
        "_wallet",
    )

    def __init__(self, reports: Reports, venue: Venue, account: AccountID, category: str) -> None:
        self._reports = reports
        self._venue = venue
        self._account = account
        self._category = category
        self._frame = msgspec.json.Decoder(wire.PrivateFrame)
        self._row_category = msgspec.json.Decoder(wire.CategoryOnly)
        self._order = msgspec.json.Decoder(wire.OrderRow)
        self._execution = msgspec.json.Decoder(wire.ExecutionRow)
        self._position = msgspec.json.Decoder(wire.PositionRow)
        self._wallet = msgspec.json.Decoder(wire.WalletRow)
        self._builds: Mapping[str, _Build] = {
            "order": self._of_order,
            "execution": self._of_execution,
            "position": self._of_position,
        }

    def of_frame(self, topic: str, raw: str | bytes, received_ns: int) -> Sequence[Message]:
        """Events of our product.  Raises RemoteProtocolError and what a JSON decoder raises (`values.REFUSED`)."""
        if topic == "wallet":
            return self._of_wallet(self._frame.decode(raw))
        kind, _, category = topic.partition(".")
        build = self._builds.get(kind)
        if build is None or (category and category not in CATEGORIES):
            return (self._unrecognized(Unrecognized("topic", topic[:100]), raw),)
        events: list[Message] = []
        for row in self._frame.decode(raw).data:
            said = category or self._row_category.decode(row).category or ""
            if said == self._category:
                try:
                    events += build(row, received_ns)
                except UnknownWord as unknown:
                    events.append(self._unrecognized(unknown.what, bytes(row)))
            elif said not in CATEGORIES:
                events.append(self._unrecognized(Unrecognized("category", said[:100]), bytes(row)))
        return events

    def _of_order(self, raw: msgspec.Raw, received_ns: int) -> Sequence[Message]:
        return (self._reports.of_order(self._order.decode(raw), received_ns),)

    def _of_execution(self, raw: msgspec.Raw, received_ns: int) -> Sequence[Message]:
        row = self._execution.decode(raw)
        report = self._reports.of_execution(row, received_ns)
        if report is None:
            if row.execType in _MONEY_ONLY:
                return ()
            raise UnknownWord("execType", row.execType)  # known, but a person has to look at it
        if row.orderType in ORDER_TYPES or row.orderType in _UNSAID:
            return (report,)
        # The money counts whatever the order is called.
        return report, self._unrecognized(Unrecognized("orderType", str(row.orderType)[:100]), bytes(raw))

    def _of_position(self, raw: msgspec.Raw, received_ns: int) -> Sequence[Message]:
        return (self._reports.of_position(self._position.decode(raw)),)

    def _of_wallet(self, frame: wire.PrivateFrame) -> Sequence[Message]:
        events: list[Message] = []
        updated_ns = stamp_ns(frame.creationTime or 0)
        for raw in frame.data:
            row = self._wallet.decode(raw)
            if row.accountType in _UNIFIED:
                coins = tuple(self._reports.of_coin(coin, updated_ns) for coin in row.coin)
                events.append(BalancesChanged(self._account, self._venue, coins, False, updated_ns))
            elif row.accountType not in _OTHER_WALLETS:
                events.append(self._unrecognized(Unrecognized("accountType", str(row.accountType)[:100]), bytes(raw)))
        return events

    def _unrecognized(self, what: Unrecognized, raw: str | bytes) -> UnrecognizedMessage:
        text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
        return UnrecognizedMessage(self._venue, (what,), text[:2000])
