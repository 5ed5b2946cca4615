"""Upbit's private side: orders by REST alone, orders and balances as streams (reference sections 2, 5, 6.8, 6.9, 11).

There is no order entry by WebSocket (`capabilities.ws_order_entry`): the frame builders of the interface refuse, their
`rest_*` twins do the work.  The private socket is authenticated by its upgrade request (`upgrade_headers`), then one
frame names both streams.  Neither begins with a snapshot: what is open, and the balances, come from REST.

There is no list of own trades: fills are found through their order (`fills_request(order_id=...)`), and an order that
closed while we were away is found by asking for the orders that we believed open, or by `closed_orders_request`, whose
window is about the time when orders were *made*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn

import msgspec

from protocols.base import Message
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError, Unrecognized
from protocols.ids import AccountID, ClOrdID, OrderID, Symbol, TradeID
from protocols.instruments import Instrument
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import Balance, BalancesChanged
from protocols.venue import (
    Capabilities,
    Disposition,
    Frame,
    HttpReply,
    HttpRequest,
    Lane,
    OrderState,
    Reply,
    SessionRules,
    Signer,
    UnrecognizedMessage,
    Usage,
    VenueError,
)
from protocols.venues.upbit import wire
from protocols.venues.upbit.encode import (
    CANCEL_ALL_MAX,
    SMP_TYPES,
    cancel_all_pairs,
    cancel_batch_pairs,
    identity,
    list_frame,
    order_pairs,
    private_frame,
    replace_pairs,
)
from protocols.venues.upbit.endpoints import PRODUCTION, STREAM_RULES, Endpoints
from protocols.venues.upbit.errors import classify
from protocols.venues.upbit.instruments import Fees, fees_of, instrument_of_chance
from protocols.venues.upbit.limits import usage_of_headers
from protocols.venues.upbit.public import CAPABILITIES, VENUE, reply_of
from protocols.venues.upbit.reports import Reports
from protocols.venues.upbit.requests import (
    Pairs,
    SignedRequests,
    check_success,
    legal_code,
    pairs_of,
    refusal_of,
)
from protocols.venues.values import AMOUNT_MIN, REFUSED, ZERO, checked_amount, stamp_ns
from protocols.venues.words import UnknownWord

__all__ = ["UpbitPrivate"]

OPEN_ORDERS_PAGE = 100
CLOSED_ORDERS_MAX = 1000
CLOSED_WINDOW_NS = 7 * 86_400 * 1_000_000_000
ORDERS_BY_ID_MAX = 100
_MS = 1_000_000


class UpbitPrivate:
    """`protocols.venue.PrivateCodec` for one account; `SignsUpgrade`, `ReplacesOrders` and others too.

    `smp_type`: one of `encode.SMP_TYPES`.  `salt`: any text that no other codec of the same key uses at the same time;
    it goes into the nonces.
    """

    venue = VENUE
    capabilities: Capabilities = CAPABILITIES
    rules: SessionRules = STREAM_RULES

    def __init__(
        self,
        account: AccountID,
        signer: Signer,
        endpoints: Endpoints = PRODUCTION,
        *,
        smp_type: str = "cancel_maker",
        salt: str = "",
    ) -> None:
        if smp_type not in SMP_TYPES:
            raise ConfigError(f"smp_type was {smp_type!r}, must be one of {', '.join(SMP_TYPES)}")
        self.account = account
        self.endpoints = endpoints
        self._smp_type = smp_type
        self._paths = endpoints.paths
        self._rest = SignedRequests(signer, salt)
        self._reports = Reports(VENUE, account)
        self._long = msgspec.json.Decoder(wire.MyOrder | wire.MyAsset)
        self._short = msgspec.json.Decoder(wire.SimpleMyOrder | wire.SimpleMyAsset)
        self._list = msgspec.json.Decoder(wire.Rows)
        self._order_row = msgspec.json.Decoder(wire.OrderRow)
        self._order_rows = msgspec.json.Decoder(tuple[wire.OrderRow, ...])
        self._bulk = msgspec.json.Decoder(wire.Bulk)
        self._accounts = msgspec.json.Decoder(tuple[wire.Asset, ...])
        self._chance = msgspec.json.Decoder(wire.Chance)

    # ---- the private socket ------------------------------------------------------------------------------------

    def entry_path(self) -> str:
        """ "": there is no order entry connection."""
        return ""

    def private_path(self) -> str:
        """The private socket."""
        return self._paths.private

    def upgrade_headers(self, stamp_venue_ns: int) -> Mapping[str, str]:
        """The token of one attempt to connect."""
        return self._rest.authorization((), stamp_venue_ns, f"GET {self._paths.private}")

    def logon(self, request_id: str, stamp_venue_ns: int) -> Frame | None:
        """None: the upgrade request has authenticated the connection."""
        return None

    def subscribe_private(self, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Both streams in one frame, because a second frame would replace the first.  Nothing acknowledges it."""
        return private_frame(request_id)

    def list_subscriptions(self, request_id: str) -> Frame:
        """LIST_SUBSCRIPTIONS: its answer proves that the socket is alive and the subscription was read."""
        return list_frame(request_id)

    def new_order(self, order: NewOrder, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Raises LocalProtocolError: see `rest_new_order`."""
        _refuse_frame("rest_new_order")

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
        """Raises LocalProtocolError: see `rest_cancel_order`."""
        _refuse_frame("rest_cancel_order")

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
        """Raises LocalProtocolError: the venue amends nothing; `rest_replace_order` cancels and places anew."""
        _refuse_frame("rest_replace_order")

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
        """Raises LocalProtocolError: see `rest_replace_order`."""
        _refuse_frame("rest_replace_order")

    def cancel_all(self, symbol: Symbol, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Raises LocalProtocolError: see `rest_cancel_all`."""
        _refuse_frame("rest_cancel_all")

    def decode_entry(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Raises RemoteProtocolError: nothing can arrive on a connection that does not exist."""
        raise RemoteProtocolError(f"Upbit has no order entry connection: {raw[:200]!r}")

    def decode_private(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """ExecutionReport, BalancesChanged, UnrecognizedMessage, Reply.  Raises RemoteProtocolError, nothing else."""
        try:
            if isinstance(raw, str):
                raw = raw.encode()
            if raw.lstrip().startswith(b"["):
                return [event for one in self._list.decode(raw) for event in self._decode_one(bytes(one), received_ns)]
            return self._decode_one(raw, received_ns)
        except REFUSED as error:
            raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error

    def _decode_one(self, raw: bytes, received_ns: int) -> Sequence[Reply | Message]:
        is_short = raw.startswith(b'{"ty":')
        try:
            event = (self._short if is_short else self._long).decode(raw)
        except msgspec.ValidationError as error:
            return (self._decode_other(raw, received_ns, error),)
        return (self._of_event(event, raw, received_ns),)

    def _of_event(self, event: wire.AnyMyOrder | wire.AnyMyAsset, raw: bytes, received_ns: int) -> Message:
        if isinstance(event, wire.MyOrder | wire.SimpleMyOrder):
            try:
                return self._reports.of_event(event, received_ns)
            except UnknownWord as unknown:
                return _unrecognized(unknown.what, raw)
        updated_ns = stamp_ns(event.asset_timestamp)
        balances = tuple(self._balance(row, updated_ns) for row in event.assets)
        return BalancesChanged(self.account, VENUE, balances, False, stamp_ns(event.timestamp))

    def _decode_other(self, raw: bytes, received_ns: int, error: msgspec.ValidationError) -> Reply | Message:
        """What is not one of our streams: a reply, an error, a stream of a new kind, or the keys in another order."""
        whole = msgspec.json.decode(raw)
        if isinstance(whole, dict):
            name = whole.get("type", whole.get("ty"))
            if name in ("myOrder", "myAsset"):
                if "ty" in whole and not raw.startswith(b'{"ty":'):
                    return self._of_event(self._short.decode(raw), raw, received_ns)
            elif isinstance(name, str):
                return _unrecognized(Unrecognized("type", name[:100]), raw)
            elif (reply := reply_of(whole, received_ns)) is not None:
                return reply
        raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error

    # ---- REST orders -------------------------------------------------------------------------------------------

    def rest_new_order(self, order: NewOrder, stamp_venue_ns: int) -> HttpRequest:
        """`POST /v1/orders`.  Raises LocalProtocolError for what the venue could not take."""
        pairs = order_pairs(order, self._smp_type)
        return self._rest.build("POST", self._paths.orders, pairs, stamp_venue_ns, Lane.NEW, "order")

    def rest_test_order(self, order: NewOrder, stamp_venue_ns: int) -> HttpRequest:
        """`POST /v1/orders/test`: the venue checks the order and makes none."""
        pairs = order_pairs(order, self._smp_type)
        return self._rest.build("POST", self._paths.order_test, pairs, stamp_venue_ns, Lane.QUERY, "order-test")

    def rest_cancel_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`DELETE /v1/order`: a request, whose success says that it was taken, not that the order is gone."""
        pairs = (identity(cl_ord_id, order_id),)
        return self._rest.build("DELETE", self._paths.order, pairs, stamp_venue_ns, Lane.CANCEL)

    def rest_replace_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, new: NewOrder, stamp_venue_ns: int
    ) -> HttpRequest:
        """`POST /v1/orders/cancel_and_new`: `new` is made only when the cancel succeeds; watch both orders.

        Success promises the new order an id and nothing more: it may never be.  A refusal has touched neither order.
        """
        pairs = replace_pairs(cl_ord_id, order_id, new, self._smp_type)
        return self._rest.build("POST", self._paths.replace, pairs, stamp_venue_ns, Lane.NEW, "order")

    def rest_cancel_orders(
        self, orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]], stamp_venue_ns: int
    ) -> HttpRequest:
        """`DELETE /v1/orders/uuids`, at most 20 orders; decode with `decode_rest_cancels`."""
        pairs = cancel_batch_pairs(orders)
        return self._rest.build("DELETE", self._paths.orders_by_id, pairs, stamp_venue_ns, Lane.CANCEL)

    def rest_cancel_all(self, symbol: Symbol | None, stamp_venue_ns: int) -> HttpRequest:
        """`DELETE /v1/orders/open`: up to 300 orders of one market, or of all; `continuation` repeats it."""
        pairs = cancel_all_pairs(symbol)
        return self._rest.build(
            "DELETE", self._paths.open_orders, pairs, stamp_venue_ns, Lane.CANCEL, "order-cancel-all"
        )

    def decode_rest_order(self, request_id: str, reply: HttpReply) -> Reply:
        """The answer to an order request.  One that cannot be read proves nothing: UNKNOWN, never an exception.

        A replacement has two `parts`: the old order, and the new one, of which only its name is known.
        """
        usage = usage_of_headers(reply.headers)
        refusal = refusal_of(reply, order=True)
        if refusal is not None:
            return Reply(request_id, error=classify(refusal), usage=usage)
        try:
            if b'"success"' in reply.body[:40]:
                bulk = self._bulk.decode(reply.body)
                payload = {"orders": len(bulk.success.orders), "failed": len(bulk.failed.orders)}
                return Reply(request_id, payload=payload, usage=usage)
            row = self._order_row.decode(reply.body)
            if row.new_order_uuid is not None:
                return self._replaced(request_id, row, reply, usage)
            report = self._reports.of_reply(row, reply.status, reply.received_ns)
            return Reply(request_id, report=report, usage=usage)
        except (UnknownWord, RemoteProtocolError, *REFUSED) as error:
            unknown = VenueError(Disposition.UNKNOWN, "", f"answer not understood: {error}"[:500])
            return Reply(request_id, error=unknown, usage=usage)

    def _replaced(self, request_id: str, row: wire.OrderRow, reply: HttpReply, usage: tuple[Usage, ...]) -> Reply:
        # The answer's status (201) is about the new order; the old one is as a cancel finds it.
        old = self._reports.of_reply(row, 200, reply.received_ns)
        name = OrderState(
            ClOrdID(row.new_order_identifier or ""), OrderID(row.new_order_uuid or ""), Symbol(row.market), None
        )
        parts = (Reply(request_id, report=old), Reply(request_id, report=name))
        return Reply(request_id, payload={"orders": 2}, usage=usage, parts=parts)

    def decode_rest_cancels(
        self, request_id: str, reply: HttpReply, orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]]
    ) -> Reply:
        """The answer to `rest_cancel_orders`: one part for each of `orders`, in their order.

        An order listed as failed is ALREADY_FINAL (the venue says no reason), one that is not listed at all is UNKNOWN.
        """
        usage = usage_of_headers(reply.headers)
        refusal = refusal_of(reply, order=True)
        if refusal is not None:
            return Reply(request_id, error=classify(refusal), usage=usage)
        try:
            bulk = self._bulk.decode(reply.body)
        except REFUSED as error:
            unknown = VenueError(Disposition.UNKNOWN, "", f"answer not understood: {error}"[:500])
            return Reply(request_id, error=unknown, usage=usage)
        taken = {name for row in bulk.success.orders for name in (row.uuid, row.identifier) if name}
        failed = {name for row in bulk.failed.orders for name in (row.uuid, row.identifier) if name}
        parts = []
        for cl_ord_id, order_id, symbol in orders:
            names = {str(cl_ord_id), str(order_id or "")}
            if names & taken:
                parts.append(Reply(request_id, report=OrderState(cl_ord_id, order_id or OrderID(""), symbol, None)))
            elif names & failed:
                parts.append(Reply(request_id, error=VenueError(Disposition.ALREADY_FINAL, "", "not canceled")))
            else:
                parts.append(Reply(request_id, error=VenueError(Disposition.UNKNOWN, "", "not in the answer")))
        payload = {"orders": len(bulk.success.orders), "failed": len(bulk.failed.orders)}
        return Reply(request_id, payload=payload, usage=usage, parts=tuple(parts))

    # ---- REST queries ------------------------------------------------------------------------------------------

    def other_names(self, cl_ord_id: ClOrdID) -> Sequence[ClOrdID]:
        """None: orders keep their identifier."""
        return ()

    def order_status_request(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`GET /v1/order`."""
        return self._query("order", (identity(cl_ord_id, order_id),), stamp_venue_ns)

    def decode_order_status(self, reply: HttpReply) -> ExecutionReport | VenueError:
        """The order, or why there is none; NOT_FOUND is proof that it never arrived only when it lasts (section 11)."""
        error = self.error(reply)
        if error is not None:
            return error
        return self._status(self._decoded(self._order_row, reply), reply)

    def orders_request(self, orders: Sequence[OrderID], stamp_venue_ns: int) -> HttpRequest:
        """`GET /v1/orders/uuids`: up to 100 orders at once, without their trades; decode with `decode_open_orders`."""
        if not 1 <= len(orders) <= ORDERS_BY_ID_MAX:
            raise LocalProtocolError(f"{len(orders)} orders to ask for, must be 1 to {ORDERS_BY_ID_MAX}")
        pairs = [("uuids[]", identity(ClOrdID(""), order_id)[1]) for order_id in orders]
        return self._query("orders_by_id", pairs, stamp_venue_ns)

    def open_orders_request(self, symbol: Symbol | None, stamp_venue_ns: int) -> HttpRequest:
        """`GET /v1/orders/open`, working and reserved orders, 100 a page; `continuation` gives the next page."""
        pairs = [] if symbol is None else [("market", str(legal_code(symbol)))]
        pairs += [("states[]", "wait"), ("states[]", "watch"), ("page", "1"), ("limit", str(OPEN_ORDERS_PAGE))]
        return self._query("open_orders", pairs, stamp_venue_ns)

    def decode_open_orders(self, reply: HttpReply) -> Sequence[ExecutionReport]:
        """All orders of the answer, type ORDER_STATUS.  One that we cannot read makes the whole answer unusable."""
        return tuple(self._status(row, reply) for row in self._decoded(self._order_rows, reply))

    def closed_orders_request(
        self, symbol: Symbol | None, since_ns: int, until_ns: int, stamp_venue_ns: int
    ) -> HttpRequest:
        """`GET /v1/orders/closed`: orders *made* in a window of at most 7 days, newest 1000; decode as open."""
        if not 0 <= until_ns - since_ns <= CLOSED_WINDOW_NS:
            raise LocalProtocolError("since_ns must be before until_ns, by at most 7 days")
        pairs = [] if symbol is None else [("market", str(legal_code(symbol)))]
        pairs += [
            ("states[]", "done"),
            ("states[]", "cancel"),
            ("start_time", str(since_ns // _MS)),
            ("end_time", str(until_ns // _MS)),
            ("limit", str(CLOSED_ORDERS_MAX)),
        ]
        return self._query("closed_orders", pairs, stamp_venue_ns)

    def fills_request(
        self,
        symbol: Symbol,
        stamp_venue_ns: int,
        *,
        order_id: OrderID | None = None,
        from_trade_id: TradeID | None = None,
        since_ns: int | None = None,
    ) -> HttpRequest:
        """`GET /v1/order`, which alone shows fills.  Raises LocalProtocolError without an order id."""
        if order_id is None:
            raise LocalProtocolError("order_id is missing; Upbit shows fills with their order alone (fills_by_time)")
        return self._query("order", (identity(ClOrdID(""), order_id),), stamp_venue_ns)

    def decode_fills(self, symbol: Symbol, reply: HttpReply) -> Sequence[ExecutionReport]:
        """The order's fills, oldest first; each fee is a share of the order's, which is all that the venue tells."""
        row = self._decoded(self._order_row, reply)
        if row.market != symbol:
            raise RemoteProtocolError(f"asked for fills on {symbol}, answered for {row.market}")
        try:
            return self._reports.of_trades(row, reply.received_ns)
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"order {row.uuid} of {row.market}: unknown word {unknown}") from None

    def balances_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /v1/accounts`."""
        return self._query("accounts", (), stamp_venue_ns)

    def decode_balances(self, reply: HttpReply) -> Sequence[Balance]:
        """Every currency of this pocket; the venue states no time, so it is the time of arrival."""
        rows = self._decoded(self._accounts, reply)
        return tuple(self._balance(row, reply.received_ns) for row in rows)

    def chance_request(self, symbol: Symbol, stamp_venue_ns: int) -> HttpRequest:
        """`GET /v1/orders/chance`: fees and bounds of this account on one market."""
        return self._query("chance", (("market", str(legal_code(symbol))),), stamp_venue_ns)

    def decode_chance(self, instrument: Instrument, reply: HttpReply) -> tuple[Instrument, Fees]:
        """`instrument` as this account may trade it, and what it pays."""
        row = self._decoded(self._chance, reply)
        return instrument_of_chance(instrument, row), fees_of(row)

    def continuation(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """The next page of open orders; the same mass cancel once more while it cancels as many as it can."""
        if not 200 <= reply.status < 300:
            return None
        pairs = pairs_of(request.query)
        if request.path != self._paths.open_orders:
            return None
        if request.method == "DELETE":
            taken = len(self._decoded(self._bulk, reply).success.orders)
            if taken < CANCEL_ALL_MAX:
                return None
        else:
            if len(self._decoded(self._order_rows, reply)) < OPEN_ORDERS_PAGE:
                return None
            pairs = [(name, str(int(value) + 1) if name == "page" else value) for name, value in pairs]
        return self._rest.build(request.method, request.path, pairs, stamp_venue_ns, request.lane, request.group)

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """What `Remaining-Req` says."""
        return usage_of_headers(reply.headers)

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal, or None.  A failure inside the venue is UNKNOWN, as for an order request."""
        refusal = refusal_of(reply, order=True)
        return None if refusal is None else classify(refusal)

    def _query(self, path: str, pairs: Pairs, stamp_venue_ns: int) -> HttpRequest:
        return self._rest.build("GET", getattr(self._paths, path), pairs, stamp_venue_ns, Lane.QUERY)

    def _status(self, row: wire.OrderRow, reply: HttpReply) -> ExecutionReport:
        try:
            return self._reports.of_query(row, reply.received_ns)
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"order {row.uuid} of {row.market}: unknown word {unknown}") from None

    def _balance(self, row: wire.Asset | wire.SimpleAsset, updated_ns: int) -> Balance:
        return Balance(self.account, VENUE, row.currency, _balance(row.balance), _balance(row.locked), updated_ns)

    def _decoded(self, decoder: msgspec.json.Decoder[Any], reply: HttpReply) -> Any:
        try:
            return decoder.decode(check_success(reply))
        except REFUSED as error:
            raise RemoteProtocolError(f"answer refused: {error}: {reply.body[:200]!r}") from error


def _balance(value: Decimal) -> Decimal:
    """Balances have up to 23 decimals; what is less than any amount can be is nothing."""
    return ZERO if value.is_finite() and 0 < value < AMOUNT_MIN else checked_amount(value)


def _refuse_frame(instead: str) -> NoReturn:
    raise LocalProtocolError(f"Upbit takes orders by REST alone (capabilities.ws_order_entry); use {instead}")


def _unrecognized(what: Unrecognized, raw: bytes) -> UnrecognizedMessage:
    return UnrecognizedMessage(VENUE, (what,), raw[:2000].decode("utf-8", "replace"))
