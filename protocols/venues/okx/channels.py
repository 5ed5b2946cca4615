"""What the account's connections say: channels, events, answers (reference sections 2.2, 6 and 8).

Orders and private channels share one kind of connection, and algo orders have another; one demultiplexer reads them
all: a frame is the reply to an order request (`op`), an event (`event`) or data of a channel (`arg`).

A login and its answer have no number at this venue; `encode.LOGIN_ID` stands for it on both sides, so whoever sends the
frame of a logon waits for the reply that *the frame* names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from protocols.base import Message
from protocols.errors import RemoteProtocolError, Unrecognized
from protocols.ids import AccountID, Venue
from protocols.instruments import Product
from protocols.positions import Balance, BalancesChanged, PositionsListed
from protocols.venue import Reply, UnrecognizedMessage
from protocols.venues.okx import wire
from protocols.venues.okx.algos import AlgoReports
from protocols.venues.okx.answers import OPERATIONS, AnswerReader
from protocols.venues.okx.encode import LOGIN_ID, PendingAcks
from protocols.venues.okx.endpoints import INST_TYPES, ORDER_TYPES
from protocols.venues.okx.errors import LOGIN_CODES, Refusal, classify
from protocols.venues.okx.holdings import SNAPSHOT, Pages, Positions, balances_of
from protocols.venues.okx.public import PONG, event_of
from protocols.venues.okx.reports import Reports
from protocols.venues.okx.words import LEGS, stamp_of
from protocols.venues.values import REFUSED
from protocols.venues.words import UnknownWord

__all__ = ["ChannelReader"]

_FRAME: wire.Reader[wire.Frame] = wire.Reader(wire.Frame)
_RAW_ROWS = msgspec.json.Decoder(tuple[msgspec.Raw, ...])
_ORDER: wire.Reader[wire.OrderRow] = wire.Reader(wire.OrderRow)
_ALGO: wire.Reader[wire.AlgoRow] = wire.Reader(wire.AlgoRow)
_POSITION: wire.Reader[wire.PositionRow] = wire.Reader(wire.PositionRow)
_ACCOUNTS: wire.Reader[tuple[wire.AccountRow, ...]] = wire.Reader(tuple[wire.AccountRow, ...])


class ChannelReader:
    """Reads the frames of one account's connections; what it shares with the other parts is given to it."""

    __slots__ = (
        "_account",
        "_acks",
        "_algo_reports",
        "_answers",
        "_balance_pages",
        "_by_channel",
        "_position_pages",
        "_positions",
        "_product",
        "_reports",
        "_venue",
    )

    def __init__(
        self,
        venue: Venue,
        account: AccountID,
        product: Product,
        reports: Reports,
        algo_reports: AlgoReports,
        answers: AnswerReader,
        acks: PendingAcks,
    ) -> None:
        self._venue = venue
        self._account = account
        self._product = product
        self._reports = reports
        self._algo_reports = algo_reports
        self._answers = answers
        self._acks = acks
        self._positions = Positions(account, venue)
        self._balance_pages: Pages[Balance] = Pages(lambda one: one.asset, lambda one: one.updated_ns)
        self._position_pages: Pages[wire.PositionRow] = Pages(
            lambda row: (row.instId, row.posSide, row.mgnMode), lambda row: stamp_of(row.uTime)
        )
        self._by_channel: Mapping[str, Callable[[wire.Frame, int], Sequence[Message]]] = {
            "orders": self._of_orders,
            "orders-algo": self._of_algos,
            "account": self._of_account,
            "positions": self._of_positions,
        }

    def decode(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Events and replies.  Raises RemoteProtocolError, nothing else."""
        try:
            if isinstance(raw, str):
                raw = raw.encode()
            if raw == PONG:
                return (Reply("", payload={"event": "pong"}),)
            frame = _FRAME.decode(raw)
            if frame.arg is not None and not frame.event:
                build = self._by_channel.get(frame.arg.channel)
                if build is None:
                    return (self._unrecognized(Unrecognized("channel", frame.arg.channel[:100]), raw),)
                return build(frame, received_ns)
            if frame.op:
                if frame.op not in OPERATIONS:
                    return (self._unrecognized(Unrecognized("op", frame.op[:100]), raw),)
                return (self._answers.of_frame(frame, received_ns),)
            if frame.event:
                return self._of_event(frame, raw, received_ns)
        except REFUSED as error:
            raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error
        raise RemoteProtocolError(f"neither event nor reply nor data: {raw[:200]!r}")

    def _of_event(self, frame: wire.Frame, raw: bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Logins answer to `LOGIN_ID`: the venue numbers neither their success nor their failure."""
        if frame.event == "login":
            if frame.code in ("0", ""):
                return (Reply(LOGIN_ID, payload={"event": "login"}),)
        elif frame.event != "error" or frame.code not in LOGIN_CODES or frame.id not in (None, ""):
            return event_of(self._venue, self._product, frame, raw, received_ns, self._acks, order=True)
        refusal = Refusal(status=200, code=frame.code, text=frame.msg, order=False, received_ns=received_ns)
        return (Reply(LOGIN_ID, error=classify(self._product, refusal)),)

    def _of_orders(self, frame: wire.Frame, received_ns: int) -> Sequence[Message]:
        """Each row for itself: a word unknown to us in one does not cost the others."""
        events: list[Message] = []
        kinds = ORDER_TYPES[self._product]
        for text in _RAW_ROWS.decode(frame.data):
            row = _ORDER.decode(text)
            if _is_other(row.instType, frame, kinds):
                continue
            try:
                events += self._reports.of_update(row, received_ns)
            except UnknownWord as unknown:
                events.append(self._unrecognized(unknown.what, bytes(text)))
        return events

    def _of_algos(self, frame: wire.Frame, received_ns: int) -> Sequence[Message]:
        """As `_of_orders`."""
        events: list[Message] = []
        kinds = ORDER_TYPES[self._product]
        for text in _RAW_ROWS.decode(frame.data):
            row = _ALGO.decode(text)
            if _is_other(row.instType, frame, kinds):
                continue
            try:
                events.append(self._algo_reports.of_update(row, received_ns))
            except UnknownWord as unknown:
                events.append(self._unrecognized(unknown.what, bytes(text)))
        return events

    def _of_account(self, frame: wire.Frame, received_ns: int) -> Sequence[Message]:
        rows = _ACCOUNTS.decode(frame.data)
        balances = [balance for row in rows for balance in balances_of(self._account, self._venue, row, received_ns)]
        event_ns = max((stamp_of(row.uTime) or received_ns for row in rows), default=0)
        whole = self._balance_pages.add(frame, balances)
        if whole is not None:
            return (BalancesChanged(self._account, self._venue, tuple(whole), True, event_ns),)
        if self._balance_pages.holds and frame.eventType == SNAPSHOT:
            return ()
        return (BalancesChanged(self._account, self._venue, tuple(balances), False, event_ns),)

    def _of_positions(self, frame: wire.Frame, received_ns: int) -> Sequence[Message]:
        rows: list[wire.PositionRow] = []
        unknown: list[Message] = []
        for text in _RAW_ROWS.decode(frame.data):
            row = _POSITION.decode(text)
            if _is_other(row.instType, frame, (INST_TYPES[self._product],)):
                continue
            if row.posSide in LEGS:
                rows.append(row)
            else:
                unknown.append(self._unrecognized(Unrecognized("posSide", row.posSide[:100]), bytes(text)))
        whole = self._position_pages.add(frame, rows, usable=not unknown)
        if whole is not None:
            positions = self._positions.whole(whole, received_ns)
            event_ns = max((position.updated_ns for position in positions), default=0)
            symbols = tuple(dict.fromkeys(position.symbol for position in positions))
            return (*positions, PositionsListed(self._account, self._venue, symbols, event_ns))
        if self._position_pages.holds and frame.eventType == SNAPSHOT:
            return ()
        return (*(self._positions.update(row, received_ns) for row in rows), *unknown)

    def _unrecognized(self, what: Unrecognized, raw: bytes) -> UnrecognizedMessage:
        return UnrecognizedMessage(self._venue, (what,), raw[:2000].decode("utf-8", "replace"))


def _is_other(inst_type: str, frame: wire.Frame, ours: Sequence[str]) -> bool:
    """Whether a row is about another product; one that does not say so is about what its topic is."""
    topic = "" if frame.arg is None or frame.arg.instType == "ANY" else frame.arg.instType
    told = inst_type or topic
    return bool(told) and told not in ours
