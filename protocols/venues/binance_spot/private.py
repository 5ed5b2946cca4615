"""Binance Spot's private side: order entry and user data on the WebSocket API, REST as fallback and for queries
(reference sections 2.2, 4, 8, 10, 11, 14 and 16).

Both connections speak the same protocol, so `decode_entry` and `decode_private` are one demultiplexer: a frame is an
event, or the reply to a request (`id`), or the notice that the key was revoked (`id` null, which becomes a `Reply`
with request id "" and an AUTH error).

Balances: `outboundAccountPosition` is the truth; `balanceUpdate` and `externalLockUpdate` are deltas of what it says
anyway and are dropped, or they would be counted twice.  `listStatus` is dropped because the members of a list report
for themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from protocols.base import Message
from protocols.enums import OrdRejReason
from protocols.errors import ConfigError, RemoteProtocolError, Unrecognized
from protocols.ids import AccountID, ClOrdID, OrderID, Symbol
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import Balance, BalancesChanged
from protocols.venue import (
    Capabilities,
    Disposition,
    Frame,
    HttpReply,
    HttpRequest,
    Lane,
    Reply,
    SessionRules,
    Signer,
    StreamTerminated,
    UnrecognizedMessage,
    Usage,
    VenueError,
)
from protocols.venues.binance_common.account import not_understood, payload_of, reply_of_other
from protocols.venues.binance_common.frames import frame
from protocols.venues.binance_common.refusals import refusal_of_frame
from protocols.venues.binance_common.requests import error_row
from protocols.venues.binance_common.shapes import decode
from protocols.venues.binance_common.wire import ErrorRow
from protocols.venues.binance_spot import wire
from protocols.venues.binance_spot.encode import (
    STP_MODES,
    FrameEncoder,
    amend_params,
    cancel_params,
    order_params,
    replace_params,
)
from protocols.venues.binance_spot.endpoints import PRODUCTION, WS_API_RULES, Endpoints
from protocols.venues.binance_spot.errors import classify
from protocols.venues.binance_spot.limits import WEIGHT, usage_of_headers, usage_of_rows
from protocols.venues.binance_spot.public import CAPABILITIES, VENUE
from protocols.venues.binance_spot.queries import RestQueries
from protocols.venues.binance_spot.requests import refusal_of
from protocols.venues.values import REFUSED, amount, stamp_ns
from protocols.venues.words import UnknownWord

__all__ = ["BinanceSpotPrivate"]

RECV_WINDOW_MS = 2000
"""Short on purpose: an order whose reply was lost can still be accepted for this long (section 16.1)."""
_MS = 1_000_000


class BinanceSpotPrivate(RestQueries):
    """`protocols.venue.PrivateCodec` for one account.

    `recv_window_ms` 1 to 60000; `stp_mode` one of `encode.STP_MODES`, and allowed on the symbols that are traded.
    """

    venue = VENUE
    capabilities: Capabilities = CAPABILITIES
    rules: SessionRules = WS_API_RULES
    _frames: FrameEncoder

    def __init__(
        self,
        account: AccountID,
        signer: Signer,
        endpoints: Endpoints = PRODUCTION,
        *,
        recv_window_ms: int = RECV_WINDOW_MS,
        stp_mode: str = "EXPIRE_MAKER",
    ) -> None:
        if not 1 <= recv_window_ms <= 60_000:
            raise ConfigError(f"recv_window_ms was {recv_window_ms}, must be 1 to 60000; 1000 to 3000 is advised")
        if stp_mode not in STP_MODES:
            raise ConfigError(f"stp_mode was {stp_mode!r}, must be one of {', '.join(STP_MODES)}")
        super().__init__(account, signer, endpoints, recv_window_ms)
        self._stp_mode = stp_mode
        self._frames = FrameEncoder(signer, recv_window_ms, stp_mode)
        self._api_frame = msgspec.json.Decoder(wire.ApiFrame)

    # ---- frames out --------------------------------------------------------------------------------------------

    def private_path(self) -> str:
        """The WebSocket API as well: user data is a subscription there since listen keys are gone."""
        return self._paths.ws_api

    def subscribe_private(self, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """`userDataStream.subscribe` after a logon, else `.subscribe.signature`, which takes every kind of key."""
        if logged_on:
            return frame("userDataStream.subscribe", {}, request_id, WEIGHT["session"], Lane.QUERY)
        return self._frames.request(
            "userDataStream.subscribe.signature",
            (),
            request_id,
            stamp_venue_ns // _MS,
            WEIGHT["session"],
            Lane.QUERY,
            logged_on=False,
        )

    def new_order(self, order: NewOrder, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """`order.place` with a FULL reply.  Raises LocalProtocolError for what the venue could not take."""
        return self._frames.new_order(order, request_id, stamp_venue_ns // _MS, logged_on=logged_on)

    def cancel_order(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        symbol: Symbol,
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame:
        """`order.cancel`."""
        return self._frames.request(
            "order.cancel",
            cancel_params(cl_ord_id, order_id, symbol),
            request_id,
            stamp_venue_ns // _MS,
            WEIGHT["order.cancel"],
            Lane.CANCEL,
            logged_on=logged_on,
        )

    def amend_order(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        symbol: Symbol,
        order_qty: Decimal,
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame:
        """`order.amend.keepPriority`: quantity down only."""
        return self._frames.request(
            "order.amend.keepPriority",
            amend_params(cl_ord_id, order_id, symbol, order_qty),
            request_id,
            stamp_venue_ns // _MS,
            WEIGHT["order.amend"],
            Lane.REDUCE,
            logged_on=logged_on,
        )

    def replace_order(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        new: NewOrder,
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame:
        """`order.cancelReplace`: refused, and nothing changed, when the old order has been filled in part."""
        return self._frames.request(
            "order.cancelReplace",
            replace_params(cl_ord_id, order_id, new, self._stp_mode),
            request_id,
            stamp_venue_ns // _MS,
            WEIGHT["order.cancelReplace"],
            Lane.NEW,
            logged_on=logged_on,
        )

    def cancel_all(self, symbol: Symbol, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """`openOrders.cancelAll`.  With nothing open the venue answers ALREADY_FINAL, which is a success."""
        return self._frames.request(
            "openOrders.cancelAll",
            (("symbol", symbol),),
            request_id,
            stamp_venue_ns // _MS,
            WEIGHT["openOrders.cancelAll"],
            Lane.CANCEL,
            logged_on=logged_on,
        )

    # ---- frames in ---------------------------------------------------------------------------------------------

    def decode_entry(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Replies, and whatever else this protocol sends.  Raises RemoteProtocolError, nothing else."""
        return self._decode(raw, received_ns)

    def decode_private(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Events and replies.  Raises RemoteProtocolError, nothing else."""
        return self._decode(raw, received_ns)

    def _decode(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        try:
            try:
                whole = decode(self._api_frame, raw)
            except msgspec.ValidationError as error:
                return (self._decode_other(raw, error),)
            event = whole.event
            if event is not None:
                return self._of_event(event, received_ns)
            if whole.status is not None:
                return self._of_reply(whole, raw, received_ns)
        except UnknownWord as unknown:
            return (_unrecognized(unknown.what, raw),)
        except REFUSED as error:
            raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error
        raise RemoteProtocolError(f"neither event nor reply: {raw[:200]!r}")

    def _of_event(self, event: wire.UserEvent, received_ns: int) -> Sequence[Message]:
        if type(event) is wire.ExecutionReportEvent:
            return (self._reports.of_event(event, received_ns),)
        if isinstance(event, wire.AccountPositionEvent):
            updated_ns = stamp_ns(event.updated)
            balances = tuple(
                Balance(self.account, VENUE, row.asset, amount(row.free), amount(row.locked), updated_ns)
                for row in event.balances
            )
            return (BalancesChanged(self.account, VENUE, balances, False, stamp_ns(event.event_time)),)
        if isinstance(event, wire.StreamTerminatedEvent):
            return (StreamTerminated(VENUE, "the venue ended the user data subscription"),)
        if isinstance(event, wire.ServerShutdown):
            return (StreamTerminated(VENUE, "the venue is shutting this connection down", announced=True),)
        return ()

    def _of_reply(self, whole: wire.ApiFrame, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        request_id = "" if whole.id is None else str(whole.id)
        usage = usage_of_rows(whole.rateLimits) if whole.rateLimits else ()
        status = whole.status or 0
        if whole.error is not None or status != 200:
            halves = self._halves(status, whole.error)
            if halves is not None:
                return (self._replaced(request_id, halves, received_ns, usage),)
            return (Reply(request_id, error=classify(refusal_of_frame(status, whole.error, received_ns)), usage=usage),)
        result = whole.result
        try:
            if isinstance(result, wire.OrderRow):
                if result.cancelResult:
                    return (self._replaced(request_id, result, received_ns, usage),)
                if result.orderId is not None:
                    return (Reply(request_id, report=self._reports.of_reply(result, received_ns), usage=usage),)
                if result.amendedOrder is not None:
                    state = self._reports.of_amend(result.amendedOrder, result.transactTime, received_ns)
                    return (Reply(request_id, report=state, usage=usage),)
                result = result.orderReports
            if result:
                reports = self._reports_of(result, received_ns)
                return (*reports, Reply(request_id, payload={"orders": len(reports)}, usage=usage))
        except UnknownWord as unknown:
            # The request was answered, but not in words that we can act on: its order is in doubt.
            error = VenueError(Disposition.UNKNOWN, "", str(unknown), OrdRejReason.VENUE)
            return (_unrecognized(unknown.what, raw), Reply(request_id, error=error, usage=usage))
        return (Reply(request_id, payload=payload_of(raw), usage=usage),)

    def _reports_of(self, rows: Sequence[wire.OrderRow], received_ns: int) -> tuple[ExecutionReport, ...]:
        """The orders of a mass cancel or of a list, each as its own report; lists are flattened."""
        reports: list[ExecutionReport] = []
        for row in rows:
            if row.orderId is None:
                reports += self._reports_of(row.orderReports, received_ns)
            elif (report := self._reports.of_reply(row, received_ns).report) is not None:
                reports.append(report)
        return tuple(reports)

    def _halves(self, status: int, error: ErrorRow | None) -> wire.OrderRow | None:
        """What a cancel-replace that did not wholly succeed says about its two orders."""
        if error is None or status >= 500:
            return None
        try:
            row = decode(self._order_row, bytes(error.data))
        except REFUSED:
            return None
        return row if row.cancelResult else None

    def _replaced(self, request_id: str, row: wire.OrderRow, received_ns: int, usage: tuple[Usage, ...] = ()) -> Reply:
        """The answer to a cancel-replace: what became of the old order, and what of the new one (section 8.5)."""
        parts = (
            self._half(request_id, row.cancelResult, row.cancelResponse, received_ns),
            self._half(request_id, row.newOrderResult, row.newOrderResponse, received_ns),
        )
        return Reply(request_id, payload={"orders": 2}, usage=usage, parts=parts)

    def _half(self, request_id: str, result: str, row: wire.OrderRow | None, received_ns: int) -> Reply:
        error = VenueError(Disposition.UNKNOWN, "", f"half of a cancel-replace not understood: {result[:100]}")
        try:
            if result == "NOT_ATTEMPTED":
                text = "not attempted: the order that it replaces could not be canceled"
                error = VenueError(Disposition.REJECTED, "", text, OrdRejReason.NOT_SENT)
            elif result == "SUCCESS" and row is not None and row.orderId is not None:
                return Reply(request_id, report=self._reports.of_reply(row, received_ns))
            elif result == "SUCCESS" and row is not None and row.orderReports:
                # The old order was one of a list, which went as a whole: its members report for themselves.
                return Reply(request_id, payload={"orders": len(row.orderReports)})
            elif result == "FAILURE" and row is not None and row.code < 0:
                error = classify(refusal_of_frame(400, ErrorRow(row.code, row.msg), received_ns))
        except (UnknownWord, RemoteProtocolError) as unknown:
            error = not_understood(unknown)
        return Reply(request_id, error=error)

    def _decode_other(self, raw: str | bytes, error: msgspec.ValidationError) -> Reply | Message:
        """What does not fit our structs: an event of a new kind, or the answer to something that is not an order."""
        whole = msgspec.json.decode(raw)
        if isinstance(whole, dict):
            event = whole.get("event")
            name = event.get("e") if isinstance(event, dict) else None
            if isinstance(name, str) and name not in _EVENT_NAMES:
                return _unrecognized(Unrecognized("event.e", name[:100]), raw)
        reply = reply_of_other(raw, whole)
        if reply is not None:
            return reply
        raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error

    # ---- REST orders -------------------------------------------------------------------------------------------

    def rest_new_order(self, order: NewOrder, stamp_venue_ns: int) -> HttpRequest:
        """`POST /api/v3/order`: only for an order that surely was not sent before (section 16)."""
        params = order_params(order, self._stp_mode)
        return self._rest.build("POST", self._paths.order, params, stamp_venue_ns, WEIGHT["order.place"], Lane.NEW)

    def rest_cancel_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`DELETE /api/v3/order`."""
        params = cancel_params(cl_ord_id, order_id, symbol)
        return self._rest.build(
            "DELETE", self._paths.order, params, stamp_venue_ns, WEIGHT["order.cancel"], Lane.CANCEL
        )

    def rest_amend_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, order_qty: Decimal, stamp_venue_ns: int
    ) -> HttpRequest:
        """`PUT /api/v3/order/amend/keepPriority`."""
        params = amend_params(cl_ord_id, order_id, symbol, order_qty)
        return self._rest.build("PUT", self._paths.amend, params, stamp_venue_ns, WEIGHT["order.amend"], Lane.REDUCE)

    def rest_replace_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, new: NewOrder, stamp_venue_ns: int
    ) -> HttpRequest:
        """`POST /api/v3/order/cancelReplace`; see `replace_order`."""
        params = replace_params(cl_ord_id, order_id, new, self._stp_mode)
        weight = WEIGHT["order.cancelReplace"]
        return self._rest.build("POST", self._paths.replace, params, stamp_venue_ns, weight, Lane.NEW)

    def rest_cancel_all(self, symbol: Symbol, stamp_venue_ns: int) -> HttpRequest:
        """`DELETE /api/v3/openOrders`."""
        return self._rest.build(
            "DELETE",
            self._paths.open_orders,
            (("symbol", symbol),),
            stamp_venue_ns,
            WEIGHT["openOrders.cancelAll"],
            Lane.CANCEL,
        )

    def decode_rest_order(self, request_id: str, reply: HttpReply) -> Reply:
        """The answer to an order request.  One that cannot be read proves nothing: UNKNOWN, never an exception."""
        usage = usage_of_headers(reply.headers)
        refusal = refusal_of(reply, order=True)
        if refusal is not None:
            halves = self._halves(reply.status, error_row(reply))
            if halves is not None:
                return self._replaced(request_id, halves, reply.received_ns, usage)
            return Reply(request_id, error=classify(refusal), usage=usage)
        try:
            return self._rest_reply(request_id, reply, usage)
        except (UnknownWord, RemoteProtocolError, *REFUSED) as error:
            return Reply(request_id, error=not_understood(error), usage=usage)

    def _rest_reply(self, request_id: str, reply: HttpReply, usage: tuple[Usage, ...]) -> Reply:
        if reply.body.lstrip().startswith(b"["):
            rows = decode(self._order_rows, reply.body)
            reports = self._reports_of(rows, reply.received_ns)
            return Reply(request_id, payload={"orders": len(reports)}, usage=usage)
        row = decode(self._order_row, reply.body)
        halves = row.data or row
        if halves.cancelResult:
            return self._replaced(request_id, halves, reply.received_ns, usage)
        if row.amendedOrder is not None:
            state = self._reports.of_amend(row.amendedOrder, row.transactTime, reply.received_ns)
            return Reply(request_id, report=state, usage=usage)
        if row.orderId is not None:
            return Reply(request_id, report=self._reports.of_reply(row, reply.received_ns), usage=usage)
        if row.orderReports:
            reports = self._reports_of(row.orderReports, reply.received_ns)
            return Reply(request_id, payload={"orders": len(reports)}, usage=usage)
        raise RemoteProtocolError("no order in the answer")


_EVENT_NAMES = frozenset(
    kind.__struct_config__.tag
    for kind in (
        wire.ExecutionReportEvent,
        wire.AccountPositionEvent,
        wire.BalanceUpdateEvent,
        wire.ExternalLockUpdateEvent,
        wire.ListStatusEvent,
        wire.StreamTerminatedEvent,
        wire.ServerShutdown,
    )
)


def _unrecognized(what: Unrecognized, raw: str | bytes) -> UnrecognizedMessage:
    text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
    return UnrecognizedMessage(VENUE, (what,), text[:2000])
