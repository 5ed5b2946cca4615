"""Bybit's private side: order entry on the trade socket, the account's events on the private one, REST as fallback and
for queries (reference sections 2, 6, 7, 9, 11 and 12).

The two sockets speak differently.  The trade socket answers requests (`reqId`, `retCode`) with bare acknowledgements of
receipt, and what became of the order comes on the private socket, before or after.  The private socket is subscribed to
all products at once, because the account's wallet is one: rows of the other product are another codec's and are left
out here.

Answers come in pages, and contracts in parts by settlement coin: `continuation` says how to go on.

A codec belongs to one connection at a time: replies to logon and subscription may lack the id that they answer, so the
codec remembers the last one of each.

One class because it is one half of the venue contract.  What it says is written in `encode` and `requests`, what it
hears is read in `answers` and `events`; `reports` knows the venue's words about orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from protocols.base import Message
from protocols.enums import Side
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from protocols.ids import AccountID, ClOrdID, OrderID, Symbol, TradeID
from protocols.instruments import Product
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import Balance, VenuePosition
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
    Usage,
    VenueError,
)
from protocols.venues.bybit import wire
from protocols.venues.bybit.answers import ORDER_OPS, OrderAnswers, control_reply, decoded, refusal_of
from protocols.venues.bybit.encode import CATEGORIES, Commands, Fields, control_frame, lane_of, trade_frame
from protocols.venues.bybit.endpoints import PRODUCTION, TRADE_RULES, Endpoints
from protocols.venues.bybit.errors import classify
from protocols.venues.bybit.events import AccountEvents
from protocols.venues.bybit.limits import usage_of
from protocols.venues.bybit.public import VENUES, capabilities_of
from protocols.venues.bybit.reports import Reports
from protocols.venues.bybit.requests import SETTLE_COINS, Queries, SignedRequests
from protocols.venues.values import REFUSED, stamp_ns
from protocols.venues.words import UnknownWord

__all__ = ["BybitPrivate"]

RECV_WINDOW_MS = 5000
"""The venue's own default; an order whose reply was lost can still be accepted for this long."""
LOGON_AHEAD_MS = 10_000
"""The moment that a logon signs must still lie ahead when the venue reads it."""
CLASSIC = 1
"""`unifiedMarginStatus`; 3 and 4 are unified accounts of the first kind, 5 and 6 of the second."""

_MS = 1_000_000
_CREATE, _AMEND, _CANCEL = "order.create", "order.amend", "order.cancel"
_CREATE_BATCH, _CANCEL_BATCH = "order.create-batch", "order.cancel-batch"


class BybitPrivate:
    """`protocols.venue.PrivateCodec` of one account and product.

    `recv_window_ms` 1 to 60000; `hedge_mode`: the account's position mode (contracts alone); `smp_type`: one of
    `encode.SMP_TYPES`, None says nothing; `trigger_by`: the price that conditional orders of contracts watch.

    Also `KeepsAlive`, `ContinuesAnswers`, `BatchCodec`, `AmendsByTerms`, `AmendsByRest`, `CancelsByRest`,
    `CancelsAllByRest`, `KnowsPositions`, `ChecksPositionModeBySymbol` and `ChecksAccountKind`.
    """

    rules: SessionRules = TRADE_RULES

    def __init__(
        self,
        account: AccountID,
        signer: Signer,
        product: Product,
        endpoints: Endpoints = PRODUCTION,
        *,
        recv_window_ms: int = RECV_WINDOW_MS,
        hedge_mode: bool = False,
        smp_type: str | None = None,
        trigger_by: str = "LastPrice",
        settle_coins: Sequence[str] = SETTLE_COINS,
    ) -> None:
        if not 1 <= recv_window_ms <= 60_000:
            raise ConfigError(f"recv_window_ms was {recv_window_ms}, must be 1 to 60000; 1000 to 5000 is advised")
        if not settle_coins:
            raise ConfigError("settle_coins is empty; name at least one, such as USDT")
        self._commands = Commands(product, hedge_mode=hedge_mode, smp_type=smp_type, trigger_by=trigger_by)
        self._hedge_mode = hedge_mode
        self.product = product
        self.venue = VENUES[product]
        self.capabilities: Capabilities = capabilities_of(product, endpoints)
        self.account = account
        self.endpoints = endpoints
        self.recv_window_ms = recv_window_ms
        self._category = CATEGORIES[product]
        self._paths = endpoints.paths
        self._signer = signer
        self._recv_window = str(recv_window_ms)
        self._rest = SignedRequests(signer, recv_window_ms)
        self._queries = Queries(self._rest, endpoints.paths, product, tuple(settle_coins))
        self._reports = Reports(self.venue, product, account)
        self._events = AccountEvents(self._reports, self.venue, account, self._category)
        self._answers = OrderAnswers(self.venue, product, self._commands.waiting.acknowledged)
        self._asked: dict[str, str] = {}
        """Id of the last logon and of the last subscription."""
        self._head = msgspec.json.Decoder(wire.Head)
        self._trade_head = msgspec.json.Decoder(wire.TradeFrameHead)
        self._orders_answer = msgspec.json.Decoder(wire.OrdersAnswer)
        self._executions_answer = msgspec.json.Decoder(wire.ExecutionsAnswer)
        self._info_answer = msgspec.json.Decoder(wire.AccountInfoAnswer)
        self._wallet_answer = msgspec.json.Decoder(wire.WalletAnswer)
        self._positions_answer = msgspec.json.Decoder(wire.PositionsAnswer)

    @property
    def hedge_mode(self) -> bool:
        """What this codec was told about the account."""
        return self._hedge_mode

    # ---- frames out --------------------------------------------------------------------------------------------

    def entry_path(self) -> str:
        """The trade socket."""
        return self._paths.trade

    def private_path(self) -> str:
        """The private socket."""
        return self._paths.private

    def logon(self, request_id: str, stamp_venue_ns: int) -> Frame | None:
        """`auth`, on both sockets alike; every kind of key can."""
        expires = stamp_venue_ns // _MS + LOGON_AHEAD_MS
        signature = self._signer.sign(f"GET/realtime{expires}".encode())
        self._asked["auth"] = request_id
        return control_frame("auth", (self._signer.api_key, expires, signature), request_id)

    def subscribe_private(self, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Orders, executions and the wallet; of contracts also positions."""
        _need_logon(logged_on)
        topics = ["order", "execution", "wallet"]
        if self.product is not Product.SPOT:
            topics.append("position")
        self._asked["subscribe"] = request_id
        return control_frame("subscribe", topics, request_id)

    def keep_alive(self, request_id: str) -> Frame:
        """The venue's own ping, to be sent every 20 s on both sockets."""
        return control_frame("ping", (), request_id)

    def new_order(self, order: NewOrder, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """`order.create`.  Raises LocalProtocolError for what the venue could not take."""
        return self._request(
            _CREATE, self._commands.new(order), request_id, stamp_venue_ns, lane_of(order), logged_on=logged_on
        )

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
        fields = self._commands.cancel(cl_ord_id, order_id, symbol)
        return self._request(_CANCEL, fields, request_id, stamp_venue_ns, Lane.CANCEL, logged_on=logged_on)

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
        """`order.amend` to a new total quantity.  The order's place in the queue must be taken for lost."""
        fields = self._commands.amend(cl_ord_id, order_id, symbol, order_qty)
        return self._request(_AMEND, fields, request_id, stamp_venue_ns, Lane.REDUCE, logged_on=logged_on)

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
        """`order.amend` to a new total quantity and price; the side is what it was and is not said."""
        fields = self._commands.amend(cl_ord_id, order_id, symbol, order_qty, price)
        return self._request(_AMEND, fields, request_id, stamp_venue_ns, Lane.REDUCE, logged_on=logged_on)

    def cancel_all(self, symbol: Symbol, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """There is none on the socket (`Capabilities.ws_cancel_all`): LocalProtocolError; see `rest_cancel_all`."""
        raise LocalProtocolError(f"cancel_all of {symbol}: Bybit's trade socket has none; use rest_cancel_all")

    def new_orders(self, orders: Sequence[NewOrder], request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """`order.create-batch`: all of the lane of its most urgent member."""
        fields = self._commands.new_batch(orders)
        lane = min(map(lane_of, orders))
        return self._request(_CREATE_BATCH, fields, request_id, stamp_venue_ns, lane, logged_on=logged_on)

    def cancel_orders(
        self,
        orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]],
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame:
        """`order.cancel-batch`."""
        fields = self._commands.cancel_batch(orders)
        return self._request(_CANCEL_BATCH, fields, request_id, stamp_venue_ns, Lane.CANCEL, logged_on=logged_on)

    def _request(
        self, op: str, fields: Fields, request_id: str, stamp_venue_ns: int, lane: Lane, *, logged_on: bool
    ) -> Frame:
        _need_logon(logged_on)
        return trade_frame(op, fields, request_id, stamp_venue_ns // _MS, self._recv_window, lane)

    # ---- the trade socket --------------------------------------------------------------------------------------

    def decode_entry(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Answers of the trade socket.  Raises RemoteProtocolError, nothing else."""
        try:
            try:
                head = self._trade_head.decode(raw)
            except msgspec.ValidationError as error:
                return (self._control(msgspec.json.decode(raw), raw, received_ns, error),)
            if head.op not in ORDER_OPS:
                return (self._control(msgspec.json.decode(raw), raw, received_ns, None),)
            return self._answers.of_socket(head, received_ns)
        except REFUSED as error:
            raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error

    def _control(self, whole: Any, raw: str | bytes, received_ns: int, error: Exception | None) -> Reply:
        op = whole.get("op") if isinstance(whole, dict) else None
        if isinstance(op, str) and op not in ORDER_OPS:
            answered = control_reply(whole, self._asked.get(op, ""), self.product, received_ns)
            if answered is not None:
                return answered
        raise RemoteProtocolError(f"neither event nor reply: {error or ''} {raw[:200]!r}")

    # ---- the private socket ------------------------------------------------------------------------------------

    def decode_private(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Events of this product, and replies.  Raises RemoteProtocolError, nothing else."""
        try:
            topic = self._head.decode(raw).topic
            if not topic:
                return (self._control(msgspec.json.decode(raw), raw, received_ns, None),)
            return self._events.of_frame(topic, raw, received_ns)
        except REFUSED as error:
            raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error

    # ---- REST orders -------------------------------------------------------------------------------------------

    def rest_new_order(self, order: NewOrder, stamp_venue_ns: int) -> HttpRequest:
        """`POST /v5/order/create`: only for an order that surely was not sent before."""
        return self._rest.post(self._paths.create, self._commands.new(order), stamp_venue_ns, lane_of(order))

    def rest_cancel_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`POST /v5/order/cancel`."""
        fields = self._commands.cancel(cl_ord_id, order_id, symbol)
        return self._rest.post(self._paths.cancel, fields, stamp_venue_ns, Lane.CANCEL)

    def rest_amend_order(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        symbol: Symbol,
        order_qty: Decimal | None,
        stamp_venue_ns: int,
        *,
        price: Decimal | None = None,
        stop_px: Decimal | None = None,
    ) -> HttpRequest:
        """`POST /v5/order/amend`; what is None stays as it is."""
        fields = self._commands.amend(cl_ord_id, order_id, symbol, order_qty, price, stop_px)
        return self._rest.post(self._paths.amend, fields, stamp_venue_ns, Lane.REDUCE)

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
        """`POST /v5/order/amend`, as `amend_terms`."""
        fields = self._commands.amend(cl_ord_id, order_id, symbol, order_qty, price)
        return self._rest.post(self._paths.amend, fields, stamp_venue_ns, Lane.REDUCE)

    def rest_cancel_all(self, symbol: Symbol, stamp_venue_ns: int) -> HttpRequest:
        """`POST /v5/order/cancel-all` of one symbol; `continuation` cancels what one request leaves over.

        At most 500 go at a time, and on spot one kind of orders: those that work, then those that wait.
        """
        fields = self._commands.cancel_all(symbol)
        return self._rest.post(self._paths.cancel_all, fields, stamp_venue_ns, Lane.CANCEL)

    def rest_cancel_everything(self, stamp_venue_ns: int) -> Sequence[HttpRequest]:
        """`POST /v5/order/cancel-all` of the whole account and product: one request per settlement coin, each to be
        continued (`continuation`)."""
        return [
            self._rest.post(
                self._paths.cancel_all, {"category": self._category, **dict(scope)}, stamp_venue_ns, Lane.CANCEL
            )
            for scope in self._queries.scopes
        ]

    def rest_new_orders(self, orders: Sequence[NewOrder], stamp_venue_ns: int) -> HttpRequest:
        """`POST /v5/order/create-batch`."""
        fields = self._commands.new_batch(orders)
        return self._rest.post(self._paths.create_batch, fields, stamp_venue_ns, min(map(lane_of, orders)))

    def rest_cancel_orders(
        self, orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]], stamp_venue_ns: int
    ) -> HttpRequest:
        """`POST /v5/order/cancel-batch`."""
        return self._rest.post(
            self._paths.cancel_batch, self._commands.cancel_batch(orders), stamp_venue_ns, Lane.CANCEL
        )

    def decode_rest_order(self, request_id: str, reply: HttpReply) -> Reply:
        """The answer to an order request.  One that cannot be read proves nothing: UNKNOWN, never an exception."""
        return self._answers.of_rest(request_id, reply)

    # ---- REST queries ------------------------------------------------------------------------------------------

    def other_names(self, cl_ord_id: ClOrdID) -> Sequence[ClOrdID]:
        """None: this venue never renames an order."""
        return ()

    def order_status_request(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`GET /v5/order/realtime`, which knows working orders and, until it restarts, the last that ended.

        An empty answer continues with the history (`continuation`).
        """
        return self._queries.order_status(cl_ord_id, order_id, symbol, stamp_venue_ns)

    def decode_order_status(self, reply: HttpReply) -> ExecutionReport | VenueError:
        """The order, or why there is none.

        NOT_FOUND right after a create is no proof that it never arrived: the query may lag (section 12).
        """
        error = self.error(reply)
        if error is not None:
            return error
        rows = decoded(self._orders_answer, reply).result.list
        if not rows:
            return VenueError(Disposition.NOT_FOUND, "", "the venue shows no such order")
        return self._query(rows[0], reply)

    def open_orders_request(self, symbol: Symbol | None, stamp_venue_ns: int) -> HttpRequest:
        """`GET /v5/order/realtime`: of one symbol, or of all, settlement coin by settlement coin (`continuation`)."""
        return self._queries.open_orders(symbol, stamp_venue_ns)

    def decode_open_orders(self, reply: HttpReply) -> Sequence[ExecutionReport]:
        """The working orders of this part, type ORDER_STATUS.  One that we cannot read makes the answer unusable."""
        reports = (self._query(row, reply) for row in decoded(self._orders_answer, reply).result.list)
        return tuple(report for report in reports if not report.ord_status.is_final)

    def fills_request(
        self,
        symbol: Symbol,
        stamp_venue_ns: int,
        *,
        order_id: OrderID | None = None,
        from_trade_id: TradeID | None = None,
        since_ns: int | None = None,
    ) -> HttpRequest:
        """`GET /v5/execution/list` by the first of: order, time; else the newest.

        The venue cannot be asked from a trade id on (`Capabilities.fills_from_trade_id`): LocalProtocolError, unless a
        time is given as well.  From a time it looks at the seven days that follow it; `continuation` goes on.
        """
        return self._queries.fills(symbol, stamp_venue_ns, order_id, from_trade_id, since_ns)

    def decode_fills(self, symbol: Symbol, reply: HttpReply) -> Sequence[ExecutionReport]:
        """Own trades of this part, oldest first; what moves no position is left out."""
        rows = sorted(decoded(self._executions_answer, reply).result.list, key=_by_time)
        fills = []
        for row in rows:
            try:
                report = self._reports.of_execution(row, reply.received_ns)
            except UnknownWord as unknown:
                raise RemoteProtocolError(f"execution {row.execId} of {row.symbol}: unknown word {unknown}") from None
            if report is not None:
                fills.append(report)
        return tuple(fills)

    def balances_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /v5/account/wallet-balance`."""
        return self._queries.balances(stamp_venue_ns)

    def decode_balances(self, reply: HttpReply) -> Sequence[Balance]:
        """Every coin that the account has or had."""
        answer = decoded(self._wallet_answer, reply)
        updated_ns = stamp_ns(answer.time or 0)
        return tuple(self._reports.of_coin(coin, updated_ns) for row in answer.result.list for coin in row.coin)

    def positions_request(self, stamp_venue_ns: int, symbol: Symbol | None = None) -> HttpRequest:
        """`GET /v5/position/list`: of one symbol, or of all, settlement coin by settlement coin (`continuation`)."""
        return self._queries.positions(symbol, stamp_venue_ns)

    def decode_positions(self, reply: HttpReply) -> Sequence[VenuePosition]:
        """The positions of this part; flat ones among them."""
        try:
            return tuple(map(self._reports.of_position, decoded(self._positions_answer, reply).result.list))
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"positions: unknown word {unknown}") from None

    def account_kind_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /v5/account/info`."""
        return self._queries.account_kind(stamp_venue_ns)

    def decode_account_kind(self, reply: HttpReply) -> str:
        """A classic account keeps a wallet for each product, and these requests know the unified one alone."""
        if decoded(self._info_answer, reply).result.unifiedMarginStatus == CLASSIC:
            return "is a classic account: upgrade it to a unified trading account at the venue"
        return ""

    def position_mode_of_request(self, symbol: Symbol, stamp_venue_ns: int) -> HttpRequest:
        """`GET /v5/position/list` of one symbol, which shows flat positions too (assumed): there is no other question.

        The mode is set by symbol, else by coin, else it is one-way (section 10).
        """
        return self._queries.positions(symbol, stamp_venue_ns)

    def decode_position_mode_of(self, reply: HttpReply) -> bool | None:
        """One row of index 0, or one for each leg; None where there is no row."""
        positions = self.decode_positions(reply)
        return any(position.leg is not None for position in positions) if positions else None

    def continuation(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """The request that goes on where this answer ended: page, coin, week, the history, what is left to cancel."""
        return self._queries.continuation(request, reply, stamp_venue_ns)

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """How much of its endpoint's bucket is used."""
        return usage_of(reply.group, reply.headers, self.product)

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal, or None.  A failure inside the venue is UNKNOWN, as for an order request."""
        refusal = refusal_of(reply, self.product, order=True)
        return None if refusal is None else classify(refusal)

    def _query(self, row: wire.OrderRow, reply: HttpReply) -> ExecutionReport:
        try:
            return self._reports.of_order(row, reply.received_ns, query=True)
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"order {row.orderId} of {row.symbol}: unknown word {unknown}") from None


def _need_logon(logged_on: bool) -> None:
    if not logged_on:
        raise LocalProtocolError("the connection is not logged on; Bybit's sockets take no signed single requests")


def _by_time(row: wire.ExecutionRow) -> tuple[str, int]:
    """Times have one length until the year 2286, so their texts sort as they do."""
    return row.execTime, row.seq or 0
