"""Bybit's private side: order entry on the trade socket, the account's events on the private one, REST as fallback and
for queries (reference sections 2, 6, 7, 9, 11 and 12).

The two sockets speak differently.  The trade socket answers requests (`reqId`, `retCode`) with bare acknowledgements of
receipt, and what became of the order comes on the private socket, before or after.  The private socket is subscribed to
all products at once, because the account's wallet is one: rows of the other product are another codec's and are left
out here.

Answers come in pages, and contracts in parts by settlement coin: `continuation` says how to go on.

A codec belongs to one connection at a time: replies to logon and subscription may lack the id that they answer, so the
codec remembers the last one of each.

One file because it is one class, the private half of the venue contract; what can stand alone is in `encode`,
`requests`, `reports` and `wire`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from protocols.base import Message
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError, Unrecognized
from protocols.ids import AccountID, ClOrdID, OrderID, Symbol, TradeID
from protocols.instruments import Product
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import Balance, BalancesChanged, VenuePosition
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
from protocols.venues.bybit import wire
from protocols.venues.bybit.encode import CATEGORIES, Commands, Fields, control_frame, lane_of, trade_frame
from protocols.venues.bybit.endpoints import PRODUCTION, TRADE_RULES, Endpoints
from protocols.venues.bybit.errors import RESTARTING, Refusal, classify
from protocols.venues.bybit.limits import usage_of_create
from protocols.venues.bybit.public import VENUES, capabilities_of
from protocols.venues.bybit.reports import Reports, UnknownWord
from protocols.venues.bybit.requests import (
    SETTLE_COINS,
    Queries,
    SignedRequests,
    control_reply,
    decoded,
    order_reply,
    refusal_of,
    reset_ms_of,
)
from protocols.venues.values import REFUSED, stamp_ns

__all__ = ["BybitPrivate"]

RECV_WINDOW_MS = 5000
"""The venue's own default; an order whose reply was lost can still be accepted for this long."""
LOGON_AHEAD_MS = 10_000
"""The moment that a logon signs must still lie ahead when the venue reads it."""

_MS = 1_000_000
_CREATE, _AMEND, _CANCEL = "order.create", "order.amend", "order.cancel"
_CREATE_BATCH, _CANCEL_BATCH = "order.create-batch", "order.cancel-batch"
_ORDER_OPS = frozenset({_CREATE, _AMEND, _CANCEL, _CREATE_BATCH, "order.amend-batch", _CANCEL_BATCH})
_MONEY_ONLY = frozenset({"Funding", "Settle"})


class BybitPrivate:
    """`protocols.venue.PrivateCodec` of one account and product.

    `recv_window_ms` 1 to 60000; `hedge_mode`: the account's position mode (contracts alone); `smp_type`: one of
    `encode.SMP_TYPES`, None leaves it to the account's setting; `trigger_by`: the price that conditional orders watch.
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
        self._asked: dict[str, str] = {}
        """Id of the last logon and of the last subscription."""
        self._by_topic: Mapping[str, Callable[[wire.PrivateFrame, str, int], Sequence[Message]]] = {
            "order": self._orders,
            "execution": self._executions,
            "position": self._positions,
            "wallet": self._wallet,
        }
        self._head = msgspec.json.Decoder(wire.Head)
        self._frame = msgspec.json.Decoder(wire.PrivateFrame)
        self._row_category = msgspec.json.Decoder(wire.CategoryOnly)
        self._order_row = msgspec.json.Decoder(wire.OrderRow)
        self._execution_row = msgspec.json.Decoder(wire.ExecutionRow)
        self._position_row = msgspec.json.Decoder(wire.PositionRow)
        self._wallet_row = msgspec.json.Decoder(wire.WalletRow)
        self._trade_head = msgspec.json.Decoder(wire.TradeFrameHead)
        self._order_result = msgspec.json.Decoder(wire.OrderResult)
        self._item_outcomes = msgspec.json.Decoder(wire.ItemOutcomes)
        self._order_answer = msgspec.json.Decoder(wire.OrderAnswer)
        self._orders_answer = msgspec.json.Decoder(wire.OrdersAnswer)
        self._executions_answer = msgspec.json.Decoder(wire.ExecutionsAnswer)
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
            if head.op not in _ORDER_OPS:
                return (self._control(msgspec.json.decode(raw), raw, received_ns, None),)
            return self._of_order_reply(head, received_ns)
        except REFUSED as error:
            raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error

    def _of_order_reply(self, head: wire.TradeFrameHead, received_ns: int) -> Sequence[Reply | Message]:
        usage = usage_of_create(head.header, self.product) if head.op == _CREATE else ()
        server_time_ms = _timenow(head.header)
        if head.retCode:
            error = classify(
                Refusal(
                    product=self.product,
                    status=200,
                    code=head.retCode,
                    text=head.retMsg,
                    order=True,
                    received_ns=received_ns,
                    reset_ms=reset_ms_of(head.header),
                    server_time_ms=server_time_ms,
                )
            )
            reply = Reply(head.reqId[:64], error=error, usage=usage)
            if head.retCode == RESTARTING:
                return (StreamTerminated(self.venue, "the trade service restarts"), reply)
            return (reply,)
        try:
            result = self._order_result.decode(head.data)
            outcomes = self._item_outcomes.decode(head.retExtInfo)
            transact_ns = 0 if server_time_ms is None else stamp_ns(server_time_ms)
            times = transact_ns, received_ns
            return (order_reply(head.reqId[:64], result, outcomes, self.product, *times, usage),)
        except (RemoteProtocolError, *REFUSED) as error:
            return (Reply(head.reqId[:64], error=_not_understood(error), usage=usage),)

    def _control(self, whole: Any, raw: str | bytes, received_ns: int, error: Exception | None) -> Reply:
        op = whole.get("op") if isinstance(whole, dict) else None
        if isinstance(op, str) and op not in _ORDER_OPS:
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
            kind, _, category = topic.partition(".")
            build = self._by_topic.get(kind)
            if build is None or (category and category not in _CATEGORY_NAMES):
                return (self._unrecognized(Unrecognized("topic", topic[:100]), raw),)
            return build(self._frame.decode(raw), category, received_ns)
        except REFUSED as error:
            raise RemoteProtocolError(f"frame refused: {error}: {raw[:200]!r}") from error

    def _orders(self, frame: wire.PrivateFrame, category: str, received_ns: int) -> Sequence[Message]:
        return self._each(frame, category, lambda raw: self._reports.of_order(self._order_row.decode(raw), received_ns))

    def _executions(self, frame: wire.PrivateFrame, category: str, received_ns: int) -> Sequence[Message]:
        def build(raw: msgspec.Raw) -> Message | None:
            row = self._execution_row.decode(raw)
            report = self._reports.of_execution(row, received_ns)
            if report is None and row.execType not in _MONEY_ONLY:
                raise UnknownWord("execType", row.execType)  # known, but a person has to look at it
            return report

        return self._each(frame, category, build)

    def _positions(self, frame: wire.PrivateFrame, category: str, received_ns: int) -> Sequence[Message]:
        return self._each(frame, category, lambda raw: self._reports.of_position(self._position_row.decode(raw)))

    def _wallet(self, frame: wire.PrivateFrame, category: str, received_ns: int) -> Sequence[Message]:
        updated_ns = stamp_ns(frame.creationTime)
        return tuple(
            BalancesChanged(self.account, self.venue, self._coins(row, updated_ns), False, updated_ns)
            for row in map(self._wallet_row.decode, frame.data)
            if row.accountType in ("", "UNIFIED")
        )

    def _each(
        self, frame: wire.PrivateFrame, category: str, build: Callable[[msgspec.Raw], Message | None]
    ) -> Sequence[Message]:
        """The rows of our product; one in words that we do not know costs the others nothing."""
        events: list[Message] = []
        for raw in frame.data:
            said = category or self._row_category.decode(raw).category
            if said == self._category:
                try:
                    event = build(raw)
                except UnknownWord as unknown:
                    event = self._unrecognized(unknown.what, bytes(raw))
                if event is not None:
                    events.append(event)
            elif said not in _CATEGORY_NAMES:
                events.append(self._unrecognized(Unrecognized("category", said[:100]), bytes(raw)))
        return events

    def _coins(self, row: wire.WalletRow, updated_ns: int) -> tuple[Balance, ...]:
        return tuple(self._reports.of_coin(coin, updated_ns) for coin in row.coin)

    def _unrecognized(self, what: Unrecognized, raw: str | bytes) -> UnrecognizedMessage:
        text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
        return UnrecognizedMessage(self.venue, (what,), text[:2000])

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

    def rest_cancel_all(self, symbol: Symbol, stamp_venue_ns: int) -> HttpRequest:
        """`POST /v5/order/cancel-all` of one symbol.  At most 500 go at a time: repeat until none is left."""
        fields = self._commands.cancel_all(symbol)
        return self._rest.post(self._paths.cancel_all, fields, stamp_venue_ns, Lane.CANCEL)

    def rest_cancel_everything(self, stamp_venue_ns: int) -> Sequence[HttpRequest]:
        """`POST /v5/order/cancel-all` of the whole account and product: one request per settlement coin."""
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
        refusal = refusal_of(reply, self.product, order=True)
        if refusal is not None:
            return Reply(request_id, error=classify(refusal))
        try:
            answer = self._order_answer.decode(reply.body)
            times = stamp_ns(answer.time), reply.received_ns
            return order_reply(request_id, answer.result, answer.retExtInfo, self.product, *times)
        except (RemoteProtocolError, *REFUSED) as error:
            return Reply(request_id, error=_not_understood(error))

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
        updated_ns = stamp_ns(answer.time)
        return tuple(coin for row in answer.result.list for coin in self._coins(row, updated_ns))

    def positions_request(self, stamp_venue_ns: int, symbol: Symbol | None = None) -> HttpRequest:
        """`GET /v5/position/list`: of one symbol, or of all, settlement coin by settlement coin (`continuation`)."""
        return self._queries.positions(symbol, stamp_venue_ns)

    def decode_positions(self, reply: HttpReply) -> Sequence[VenuePosition]:
        """The positions of this part; flat ones among them."""
        try:
            return tuple(map(self._reports.of_position, decoded(self._positions_answer, reply).result.list))
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"positions: unknown word {unknown}") from None

    def continuation(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """The request that goes on where this answer ended: next page, next coin, next week, or the history."""
        return self._queries.continuation(request, reply, stamp_venue_ns)

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """Nothing: the headers count one endpoint's bucket, and an answer does not say which endpoint it is of."""
        return ()

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal, or None.  A failure inside the venue is UNKNOWN, as for an order request."""
        refusal = refusal_of(reply, self.product, order=True)
        return None if refusal is None else classify(refusal)

    def _query(self, row: wire.OrderRow, reply: HttpReply) -> ExecutionReport:
        try:
            return self._reports.of_order(row, reply.received_ns, query=True)
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"order {row.orderId} of {row.symbol}: unknown word {unknown}") from None


_CATEGORY_NAMES = frozenset({"spot", "linear", "inverse", "option"})


def _need_logon(logged_on: bool) -> None:
    if not logged_on:
        raise LocalProtocolError("the connection is not logged on; Bybit's sockets take no signed single requests")


def _by_time(row: wire.ExecutionRow) -> tuple[str, int]:
    """Times have one length until the year 2286, so their texts sort as they do."""
    return row.execTime, row.seq


def _timenow(header: Mapping[str, str]) -> int | None:
    """The venue's clock in an answer of the trade socket, ms."""
    text = header.get("Timenow", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) == 13 else None


def _not_understood(error: Exception) -> VenueError:
    return VenueError(Disposition.UNKNOWN, "", f"answer not understood: {error}"[:500])
