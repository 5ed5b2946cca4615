"""Binance USDT-M Futures' private side: order entry on the WebSocket API, user data on a listen-key stream, REST as
fallback and for queries (reference sections 2, 7 to 12, 15 and 17).

Unlike on Spot these are different protocols: the WebSocket API never carries user data, the private stream never
carries replies.  The stream is addressed by a listen key that REST hands out; whoever knows the key can read the
stream, so no event and no error here repeats it.

Batches, mass cancels, the dead-man switch and most queries exist in REST alone.  What concerns conditional orders is
asked for apart from what concerns plain ones; `continuation` joins the two, so that a list of open orders and a mass
cancel are whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import get_args

import msgspec

from protocols.base import Message
from protocols.enums import OrdRejReason, Side
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError, Unrecognized
from protocols.ids import AccountID, ClOrdID, OrderID, Symbol
from protocols.orders import NewOrder
from protocols.positions import BalancesChanged
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
    VenueError,
)
from protocols.venues.binance_common.account import not_understood, payload_of, reply_of_other
from protocols.venues.binance_common.refusals import refusal_of_frame
from protocols.venues.binance_common.shapes import decode, usual
from protocols.venues.binance_common.streams import control_reply
from protocols.venues.binance_usdm import wire
from protocols.venues.binance_usdm.encode import (
    STP_MODES,
    WORKING_TYPES,
    FrameEncoder,
    OrderSettings,
    algo_params,
    amend_params,
    identity,
    is_algo,
    is_conditional,
    lane_of,
    order_params,
)
from protocols.venues.binance_usdm.endpoints import PRODUCTION, WS_API_RULES, Endpoints
from protocols.venues.binance_usdm.errors import Refusal, classify
from protocols.venues.binance_usdm.limits import WEIGHT, usage_of_headers, usage_of_rows
from protocols.venues.binance_usdm.public import CAPABILITIES, VENUE
from protocols.venues.binance_usdm.queries import RestQueries
from protocols.venues.binance_usdm.requests import (
    Params,
    refusal_of,
)
from protocols.venues.values import REFUSED, stamp_ns
from protocols.venues.words import UnknownWord

__all__ = ["BinanceUsdmPrivate"]

RECV_WINDOW_MS = 2000
"""Short on purpose: an order whose reply was lost can still be accepted for this long."""
CANCEL_BATCH_MAX = 10
_MS = 1_000_000
_COUNTDOWN_MAX_MS = 24 * 3600 * 1000
_SECRET = re.compile(rb"[A-Za-z0-9]{40,}")
"""What may be a listen key, which has 64 characters; no id is longer than 36."""


class BinanceUsdmPrivate(RestQueries):
    """`protocols.venue.PrivateCodec` for one account; also `ListenKeys`, `AmendsByTerms`, `BatchCodec` (REST),
    `CancelsAllByRest`, `ContinuesAnswers`, `DeadManSwitch`, `KnowsPositions` and `ChecksPositionMode`.

    `recv_window_ms` 1 to 5000; `stp_mode` one of `encode.STP_MODES`; `working_type` one of `encode.WORKING_TYPES`.
    `hedge_mode` must be what `position_mode_request` says, or every order is refused (-4061).
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
        working_type: str = "CONTRACT_PRICE",
        hedge_mode: bool = False,
    ) -> None:
        if not 1 <= recv_window_ms <= 5_000:
            raise ConfigError(f"recv_window_ms was {recv_window_ms}, must be 1 to 5000; 1000 to 3000 is advised")
        if stp_mode not in STP_MODES:
            raise ConfigError(f"stp_mode was {stp_mode!r}, must be one of {', '.join(STP_MODES)}")
        if working_type not in WORKING_TYPES:
            raise ConfigError(f"working_type was {working_type!r}, must be one of {', '.join(WORKING_TYPES)}")
        super().__init__(account, signer, endpoints, recv_window_ms)
        self._settings = OrderSettings(stp_mode=stp_mode, working_type=working_type, hedge_mode=hedge_mode)
        self._frames = FrameEncoder(signer, recv_window_ms, self._settings)
        self._api_frame = msgspec.json.Decoder(wire.ApiFrame)
        self._user_event = msgspec.json.Decoder(wire.UserEvent)

    @property
    def hedge_mode(self) -> bool:
        """What this codec was told about the account."""
        return self._settings.hedge_mode

    # ---- frames out --------------------------------------------------------------------------------------------

    def private_path(self) -> str:
        """What the private stream's path begins with: the rest is a listen key, see `private_path_of`."""
        return self._paths.private

    def subscribe_private(self, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """There is none (`capabilities.listen_key`): raises LocalProtocolError."""
        raise LocalProtocolError("user data needs no subscription here: connect to private_path_of(listen key)")

    def new_order(self, order: NewOrder, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """`order.place` or `algoOrder.place`.  Raises LocalProtocolError for what the venue could not take."""
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
        """`order.cancel` or `algoOrder.cancel`."""
        method, params = self._cancel(cl_ord_id, order_id, symbol)
        return self._frame(method, params, request_id, stamp_venue_ns, "order.cancel", Lane.CANCEL, logged_on=logged_on)

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
        """The venue wants side and price as well (`capabilities.amend_needs_terms`): raises LocalProtocolError."""
        raise LocalProtocolError("an amend of a quantity alone does not exist here: use amend_terms")

    def amend_terms(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        symbol: Symbol,
        side: Side,
        order_qty: Decimal,
        price: Decimal,
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame:
        """`order.modify`, LIMIT alone.  The venue *cancels* the order when the new total is not above what is filled,
        and a post-only order when the new price would take."""
        order_id = self._reports.engine_id(order_id)
        stamp_ms = stamp_venue_ns // _MS
        params = amend_params(cl_ord_id, order_id, symbol, side, order_qty, price, stamp_ms)
        return self._frame(
            "order.modify", params, request_id, stamp_venue_ns, "order.modify", Lane.REDUCE, logged_on=logged_on
        )

    def cancel_all(self, symbol: Symbol, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Not on this connection (`capabilities.ws_cancel_all`): raises LocalProtocolError."""
        raise LocalProtocolError("a mass cancel exists in REST alone: use rest_cancel_all")

    def new_orders(self, orders: Sequence[NewOrder], request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Batches exist in REST alone: raises LocalProtocolError."""
        raise LocalProtocolError("batches exist in REST alone: use rest_new_orders")

    def cancel_orders(
        self,
        orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]],
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame:
        """Batches exist in REST alone: raises LocalProtocolError."""
        raise LocalProtocolError("batches exist in REST alone: use rest_cancel_orders")

    def _cancel(self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol) -> tuple[str, Params]:
        order_id = self._reports.engine_id(order_id)
        names = identity(cl_ord_id, order_id)
        if is_algo(cl_ord_id, order_id):
            return "algoOrder.cancel", names
        return "order.cancel", (("symbol", str(symbol)), *names)

    def _frame(
        self,
        method: str,
        params: Params,
        request_id: str,
        stamp_venue_ns: int,
        weight: str,
        lane: Lane,
        *,
        logged_on: bool,
    ) -> Frame:
        stamp_ms = stamp_venue_ns // _MS
        return self._frames.request(method, params, request_id, stamp_ms, WEIGHT[weight], lane, logged_on=logged_on)

    # ---- frames in ---------------------------------------------------------------------------------------------

    def decode_entry(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Replies, and notices about the key (request id "").  Raises RemoteProtocolError, nothing else."""
        try:
            try:
                whole = decode(self._api_frame, raw)
            except msgspec.ValidationError as error:
                return (_decode_other(raw, error),)
            if whole.status is not None:
                return self._of_reply(whole, raw, received_ns)
        except REFUSED as error:
            raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error
        raise RemoteProtocolError(f"no reply: {raw[:200]!r}")

    def decode_private(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Events, bare or with their stream's name.  Raises RemoteProtocolError, nothing else."""
        raw = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
        try:
            try:
                return self._of_event(self._user_event.decode(raw), raw, received_ns)
            except msgspec.ValidationError as error:
                return self._decode_private_other(raw, received_ns, error)
        except UnknownWord as unknown:
            return (_unrecognized(unknown.what, raw),)
        except REFUSED as error:
            raise RemoteProtocolError(f"event refused: {error}: {_excerpt(raw, 200)}") from None

    def _decode_private_other(
        self, raw: bytes, received_ns: int, error: msgspec.ValidationError
    ) -> Sequence[Reply | Message]:
        """An event inside its stream's envelope, an event of a new kind, or the answer to a control frame."""
        whole = msgspec.json.decode(raw)
        if isinstance(whole, dict):
            data = whole.get("data", whole)
            name = data.get("e") if isinstance(data, dict) else None
            if isinstance(name, str):
                if name not in _EVENT_NAMES:
                    return (_unrecognized(Unrecognized("e", name[:100]), raw),)
                return self._of_event(msgspec.convert(usual(data), wire.UserEvent), raw, received_ns)
            if "id" in whole and ("result" in whole or "code" in whole or "error" in whole):
                return (control_reply(whole),)
        raise RemoteProtocolError(f"event refused: {error}: {_excerpt(raw, 200)}")

    def _of_event(self, event: wire.UserEvent, raw: bytes, received_ns: int) -> Sequence[Message]:
        if type(event) is wire.OrderTradeUpdate:
            return self._reports.of_update(event.order, received_ns)
        if isinstance(event, wire.AccountUpdate):
            return [*self._of_account(event, raw), *self._reports.told(received_ns)]
        if isinstance(event, wire.AlgoUpdate):
            return [self._reports.of_algo_event(event, received_ns), *self._reports.told(received_ns)]
        if isinstance(event, wire.ListenKeyExpired):
            return (StreamTerminated(VENUE, "the listen key expired; this connection stays open and silent"),)
        return ()

    def _of_account(self, event: wire.AccountUpdate, raw: bytes) -> Sequence[Message]:
        """What it says of coins holds, even where a position is told in words that we do not know."""
        event_ns = stamp_ns(event.event_time)
        change, reports = event.change, self._reports
        messages: list[Message] = []
        if change.balances:
            balances = tuple(reports.of_balance(row, event_ns) for row in change.balances)
            messages.append(BalancesChanged(self.account, VENUE, balances, False, event_ns))
        for row in change.positions:
            try:
                messages.append(reports.of_position_change(row, event_ns))
            except UnknownWord as unknown:
                messages.append(_unrecognized(unknown.what, raw))
        return messages

    def _of_reply(self, whole: wire.ApiFrame, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        request_id = "" if whole.id is None else str(whole.id)
        usage = usage_of_rows(whole.rateLimits) if whole.rateLimits else ()
        if whole.error is not None or whole.status != 200:
            error = classify(refusal_of_frame(whole.status or 0, whole.error, received_ns))
            return (Reply(request_id, error=error, usage=usage),)
        result = whole.result
        try:
            if isinstance(result, wire.OrderRow) and _is_order(result):
                return (Reply(request_id, report=self._reports.of_reply(result, received_ns), usage=usage),)
        except UnknownWord as unknown:
            # The request was answered, but not in words that we can act on: its order is in doubt.
            error = VenueError(Disposition.UNKNOWN, "", str(unknown), OrdRejReason.VENUE)
            return (_unrecognized(unknown.what, _bytes(raw)), Reply(request_id, error=error, usage=usage))
        return (Reply(request_id, payload=payload_of(raw), usage=usage),)

    # ---- REST orders -------------------------------------------------------------------------------------------

    def rest_new_order(self, order: NewOrder, stamp_venue_ns: int) -> HttpRequest:
        """`POST /fapi/v1/order` or `algoOrder`: only for an order that surely was not sent before (section 17)."""
        if is_conditional(order):
            path, params = self._paths.algo_order, algo_params(order, self._settings)
        else:
            path, params = self._paths.order, order_params(order, self._settings)
        return self._rest.build("POST", path, params, stamp_venue_ns, WEIGHT["order.place"], lane_of(order))

    def rest_cancel_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`DELETE /fapi/v1/order` or `algoOrder`."""
        method, params = self._cancel(cl_ord_id, order_id, symbol)
        path = self._paths.algo_order if method == "algoOrder.cancel" else self._paths.order
        return self._rest.build("DELETE", path, params, stamp_venue_ns, WEIGHT["order.cancel"], Lane.CANCEL)

    def rest_amend_terms(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        symbol: Symbol,
        side: Side,
        order_qty: Decimal,
        price: Decimal,
        stamp_venue_ns: int,
    ) -> HttpRequest:
        """`PUT /fapi/v1/order`; see `amend_terms`."""
        order_id = self._reports.engine_id(order_id)
        params = amend_params(cl_ord_id, order_id, symbol, side, order_qty, price, stamp_venue_ns // _MS)
        return self._rest.build("PUT", self._paths.order, params, stamp_venue_ns, WEIGHT["order.modify"], Lane.REDUCE)

    def rest_cancel_all(self, symbol: Symbol, stamp_venue_ns: int) -> HttpRequest:
        """`DELETE /fapi/v1/allOpenOrders`, which leaves conditional orders alive: `continuation` cancels those.

        The answer is an acknowledgement; what was canceled is told by events.
        """
        return self._cancel_all(self._paths.all_open_orders, symbol, stamp_venue_ns)

    def rest_new_orders(self, orders: Sequence[NewOrder], stamp_venue_ns: int) -> HttpRequest:
        """`POST /fapi/v1/batchOrders`: 1 to 5 plain orders, carried out in no particular order."""
        _check_size("orders", len(orders), self.capabilities.batch_size_max)
        if any(is_conditional(order) for order in orders):
            raise LocalProtocolError("a conditional order cannot be part of a batch; place it alone")
        members = [dict(order_params(order, self._settings)) for order in orders]
        params = (("batchOrders", msgspec.json.encode(members).decode()),)
        lane = max(lane_of(order) for order in orders)
        return self._rest.build("POST", self._paths.batch_orders, params, stamp_venue_ns, WEIGHT["batchOrders"], lane)

    def rest_cancel_orders(
        self, orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]], stamp_venue_ns: int
    ) -> HttpRequest:
        """`DELETE /fapi/v1/batchOrders`: 1 to 10 plain orders of one symbol, all by the venue's ids or all by ours."""
        _check_size("orders", len(orders), CANCEL_BATCH_MAX)
        if len({symbol for _, _, symbol in orders}) > 1:
            raise LocalProtocolError("a batch of cancels is for one symbol; send one for each")
        names = [dict(identity(cl_ord_id, self._reports.engine_id(order_id))) for cl_ord_id, order_id, _ in orders]
        by_id = [name["orderId"] for name in names if "orderId" in name]
        by_name = [name["origClientOrderId"] for name in names if "origClientOrderId" in name]
        if len(by_id) == len(names):
            chosen = ("orderIdList", f"[{','.join(by_id)}]")
        elif len(by_name) == len(names):
            chosen = ("origClientOrderIdList", msgspec.json.encode(by_name).decode())
        else:
            raise LocalProtocolError("a batch of cancels names all orders by the venue's ids or all by ours")
        params = (("symbol", str(orders[0][2])), chosen)
        return self._rest.build(
            "DELETE", self._paths.batch_orders, params, stamp_venue_ns, WEIGHT["batchOrders.cancel"], Lane.CANCEL
        )

    def decode_rest_order(self, request_id: str, reply: HttpReply) -> Reply:
        """The answer to an order request.  One that cannot be read proves nothing: UNKNOWN, never an exception."""
        usage = usage_of_headers(reply.headers)
        refusal = refusal_of(reply, order=True)
        if refusal is not None:
            return Reply(request_id, error=classify(refusal), usage=usage)
        try:
            if reply.body.lstrip().startswith(b"["):
                rows = decode(self._order_rows, reply.body)
                parts = tuple(self._part(request_id, row, reply.received_ns) for row in rows)
                return Reply(request_id, payload={"orders": len(parts)}, usage=usage, parts=parts)
            part = self._part(request_id, decode(self._order_row, reply.body), reply.received_ns)
            return Reply(request_id, part.report, part.error, part.payload, usage)
        except (RemoteProtocolError, *REFUSED) as error:
            return Reply(request_id, error=not_understood(error), usage=usage)

    def _part(self, request_id: str, row: wire.OrderRow, received_ns: int) -> Reply:
        """One order of an answer, or the refusal in its place."""
        if _is_order(row):
            try:
                return Reply(request_id, report=self._reports.of_reply(row, received_ns))
            except (UnknownWord, RemoteProtocolError) as error:
                return Reply(request_id, error=not_understood(error))
        if row.countdownTime is not None:
            return Reply(request_id, payload={"symbol": row.symbol, "countdownTime": row.countdownTime})
        code = int(row.code)
        if code < 0:
            refusal = Refusal(status=400, code=code, text=row.msg, order=True, received_ns=received_ns)
            return Reply(request_id, error=classify(refusal))
        if code == 0:
            raise RemoteProtocolError("neither an order nor a code in the answer")
        return Reply(request_id, payload={"code": code, "msg": row.msg})

    def dead_man_request(self, symbol: Symbol | None, timeout_ns: int, stamp_venue_ns: int) -> HttpRequest:
        """`POST /fapi/v1/countdownCancelAll`, for one symbol; it closes no position.  0 disarms.

        Whether conditional orders are canceled too is not documented; count on their staying.
        """
        if symbol is None:
            raise LocalProtocolError("the dead-man switch works by symbol here; arm it for each")
        countdown_ms = timeout_ns // _MS
        if not 0 <= countdown_ms <= _COUNTDOWN_MAX_MS or (timeout_ns and not countdown_ms):
            raise LocalProtocolError(f"timeout_ns was {timeout_ns}, must be 0 or a millisecond to a day")
        params = (("symbol", str(symbol)), ("countdownTime", str(countdown_ms)))
        path, weight = self._paths.countdown_cancel_all, WEIGHT["countdownCancelAll"]
        return self._rest.build("POST", path, params, stamp_venue_ns, weight, Lane.CANCEL)


_EVENT_NAMES = frozenset(kind.__struct_config__.tag for kind in get_args(wire.UserEvent))


def _decode_other(raw: str | bytes, error: msgspec.ValidationError) -> Reply:
    """What does not fit our structs: the answer to something that is not an order."""
    reply = reply_of_other(raw, msgspec.json.decode(raw))
    if reply is None:
        raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error
    return reply


def _is_order(row: wire.OrderRow) -> bool:
    return row.orderId is not None or row.algoId is not None


def _check_size(field: str, size: int, most: int) -> None:
    if not 1 <= size <= most:
        raise LocalProtocolError(f"{field} were {size}, must be 1 to {most} in one request")


def _bytes(raw: str | bytes) -> bytes:
    return raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")


def _excerpt(raw: bytes, most: int) -> str:
    """The beginning of a message without the listen key, which some bear."""
    return _SECRET.sub(b"...", raw)[:most].decode("utf-8", "replace")


def _unrecognized(what: Unrecognized, raw: bytes) -> UnrecognizedMessage:
    return UnrecognizedMessage(VENUE, (what,), _excerpt(raw, 2000))
