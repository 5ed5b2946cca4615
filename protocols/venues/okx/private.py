"""OKX's private side: order entry, the account's channels, signed REST (reference sections 2, 5, 6, 8, 10 and 12).

Orders and private channels share one kind of connection, so `decode_entry` and `decode_private` are one demultiplexer:
a frame is the reply to an order request (`op`), an event (`event`) or data of a channel (`arg`).

A login and its answer have no number at this venue; `encode.LOGIN_ID` stands for it on both sides, so whoever sends
the frame of `logon` waits for the reply that *the frame* names.

Snapshots of balances and positions come in pages.  They are held back until the last one: only then is what they do
not name known to be nothing.

One file because it is one class, the private half of the venue contract; what can stand alone is in `encode`,
`requests`, `reports` and `wire`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from protocols.base import Message
from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError, Unrecognized
from protocols.ids import AccountID, ClOrdID, OrderID, Symbol, TradeID
from protocols.instruments import Instrument, Product
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import Balance, BalancesChanged, PositionsListed, VenuePosition
from protocols.venue import (
    Frame,
    HttpReply,
    HttpRequest,
    Lane,
    Reply,
    SessionRules,
    UnrecognizedMessage,
    Usage,
    VenueError,
)
from protocols.venues.okx import wire
from protocols.venues.okx.encode import (
    LOGIN_ID,
    TRADE_MODES,
    Fields,
    InstrumentCodes,
    OrderRules,
    PendingAcks,
    amend_fields,
    cancel_fields,
    check_batch,
    legal_cl_ord_id,
    legal_request_id,
    op_frame,
    order_id_number,
)
from protocols.venues.okx.endpoints import INST_TYPES, PRODUCTION, STREAM_RULES, Endpoints
from protocols.venues.okx.errors import LOGIN_CODES, Refusal, classify, not_understood
from protocols.venues.okx.public import PING, PONG, capabilities_of, event_of, venue_of
from protocols.venues.okx.reports import Reports, UnknownWord, stamp_of
from protocols.venues.okx.requests import SignedRequests, encoded, refusal_of, refusal_of_item, success
from protocols.venues.okx.signer import OkxSigner
from protocols.venues.values import REFUSED

__all__ = ["OkxPrivate"]

Item = TypeVar("Item")

_MS, _S = 1_000_000, 1_000_000_000
REQUEST_WINDOW_MS = 2000
"""Short on purpose: an order whose reply was lost can still be accepted for this long (section 2.4)."""
PAGE_ROWS = 100
FILLS_NS = 3 * 86_400 * _S
"""How far back `fills` reaches; `fills-history` has three months."""
_FILLS_MARGIN_NS = 3600 * _S
_LOGIN_TARGET = "GET/users/self/verify"
_PLACE, _AMEND, _CANCEL = "order", "amend-order", "cancel-order"
_PLACE_BATCH, _CANCEL_BATCH = "batch-orders", "batch-cancel-orders"
_OPS: Mapping[str, bool] = {
    _PLACE: False,
    _AMEND: False,
    _CANCEL: False,
    _PLACE_BATCH: True,
    "batch-amend-orders": True,
    _CANCEL_BATCH: True,
}
"""Operations, and whether each is a batch."""
_ORDER_TYPES = {Product.SPOT: ("SPOT", "MARGIN"), Product.LINEAR: ("SWAP",)}
"""What the venue calls orders on a product's symbols: spot pairs paid from a margin account are MARGIN."""
_HEDGED = "long_short_mode"
_POSITION_MODES = (_HEDGED, "net_mode")
_EVENTS_ONLY = '{"updateInterval":"0"}'
_FRAME = msgspec.json.Decoder(wire.Frame)
_ENVELOPE = msgspec.json.Decoder(wire.Envelope)
_RAW_ROWS = msgspec.json.Decoder(tuple[msgspec.Raw, ...])


class OkxPrivate:
    """`protocols.venue.PrivateCodec` for one account and product, with what this venue needs besides.

    That is `KeepsAlive`, `ContinuesAnswers`, `BatchCodec`, `DeadManSwitch`, `KnowsPositions`, `LearnsInstruments`,
    `ChecksPositionMode`.

    `codes`: instIdCode of the symbols, see also `learn`.  `trade_mode` one of `encode.TRADE_MODES`, "" for the first;
    `hedged`: the account is in long_short_mode; `request_window_ms` 1 to 60000; `stp_mode` one of `encode.STP_MODES`.
    """

    rules: SessionRules = STREAM_RULES

    def __init__(
        self,
        account: AccountID,
        signer: OkxSigner,
        product: Product,
        endpoints: Endpoints = PRODUCTION,
        *,
        codes: Mapping[Symbol, int] | None = None,
        trade_mode: str = "",
        hedged: bool = False,
        request_window_ms: int = REQUEST_WINDOW_MS,
        stp_mode: str = "cancel_maker",
    ) -> None:
        if not 1 <= request_window_ms <= 60_000:
            raise ConfigError(f"request_window_ms was {request_window_ms}, must be 1 to 60000; 1000 to 3000 is advised")
        self.venue = venue_of(product)
        self.account = account
        self.product = product
        self.capabilities = capabilities_of(product)
        self.endpoints = endpoints
        self.request_window_ms = request_window_ms
        self._paths = endpoints.paths
        self._signer = signer
        self._codes = InstrumentCodes(codes or {})
        self._hedged = hedged
        self._orders = OrderRules(product, trade_mode or TRADE_MODES[product][0], stp_mode, hedged=hedged)
        self._rest = SignedRequests(signer, simulated=endpoints.simulated)
        self._reports = Reports(self.venue, account)
        self._acks = PendingAcks()
        self._balance_pages: _Pages[Balance] = _Pages()
        self._position_pages: _Pages[VenuePosition] = _Pages()
        self._by_channel: Mapping[str, Callable[[wire.Frame, bytes, int], Sequence[Message]]] = {
            "orders": self._of_orders,
            "account": self._of_account,
            "positions": self._of_positions,
        }
        self._items = msgspec.json.Decoder(tuple[wire.AckRow, ...])
        self._order_row = msgspec.json.Decoder(wire.OrderRow)
        self._order_rows = msgspec.json.Decoder(tuple[wire.OrderRow, ...])
        self._fill_rows = msgspec.json.Decoder(tuple[wire.FillRow, ...])
        self._page_rows = msgspec.json.Decoder(tuple[wire.PageRow, ...])
        self._account_rows = msgspec.json.Decoder(tuple[wire.AccountRow, ...])
        self._position_row = msgspec.json.Decoder(wire.PositionRow)
        self._position_rows = msgspec.json.Decoder(tuple[wire.PositionRow, ...])
        self._trigger_rows = msgspec.json.Decoder(tuple[wire.TriggerRow, ...])
        self._config_rows = msgspec.json.Decoder(tuple[wire.ConfigRow, ...])

    @property
    def hedge_mode(self) -> bool:
        """What this codec was told about the account (`hedged`)."""
        return self._hedged

    def learn(self, instruments: Sequence[Instrument]) -> None:
        """Take over the instrument numbers (`venue_code`) of a list; they differ between production and demo."""
        self._codes.learn(instruments)

    # ---- frames out --------------------------------------------------------------------------------------------

    def entry_path(self) -> str:
        """The private connection takes orders as well."""
        return self._paths.private

    def private_path(self) -> str:
        """The private connection."""
        return self._paths.private

    def keep_alive(self, request_id: str) -> Frame:
        """The bare text `ping`; the answer has no id."""
        return Frame(PING, "", 0, Lane.QUERY)

    def logon(self, request_id: str, stamp_venue_ns: int) -> Frame | None:
        """`login`, stamped in *seconds*; its reply bears `LOGIN_ID`, not `request_id`."""
        stamp = str(stamp_venue_ns // _S)
        arg = {
            "apiKey": self._signer.api_key,
            "passphrase": self._signer.passphrase,
            "timestamp": stamp,
            "sign": self._signer.sign(f"{stamp}{_LOGIN_TARGET}".encode()),
        }
        return Frame(msgspec.json.encode({"op": "login", "args": [arg]}).decode(), LOGIN_ID, 0, Lane.QUERY)

    def subscribe_private(self, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Orders and money; of contracts also positions.  One `Reply` when all of them are confirmed."""
        _need_logon(logged_on)
        topics: list[dict[str, str]] = [{"channel": "orders", "instType": kind} for kind in _ORDER_TYPES[self.product]]
        topics.append({"channel": "account", "extraParams": _EVENTS_ONLY})
        if self.product is not Product.SPOT:
            kind = INST_TYPES[self.product]
            topics.append({"channel": "positions", "instType": kind, "extraParams": _EVENTS_ONLY})
        body = {"id": legal_request_id(request_id), "op": "subscribe", "args": topics}
        self._acks.expect(request_id, len(topics))
        return Frame(msgspec.json.encode(body).decode(), request_id, 0, Lane.QUERY)

    def new_order(self, order: NewOrder, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """`order`.  Raises LocalProtocolError for what the venue could not take."""
        _need_logon(logged_on)
        args = [{"instIdCode": self._codes[order.symbol], **self._orders.fields(order)}]
        return op_frame(_PLACE, args, request_id, Lane.NEW, self._expiry_ms(stamp_venue_ns))

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
        """`cancel-order`, which has no deadline."""
        _need_logon(logged_on)
        args = [{"instIdCode": self._codes[symbol], **cancel_fields(cl_ord_id, order_id)}]
        return op_frame(_CANCEL, args, request_id, Lane.CANCEL)

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
        """`amend-order` of the total quantity; the `orders` channel says whether it came about."""
        _need_logon(logged_on)
        fields = amend_fields(cl_ord_id, order_id, order_qty, request_id)
        args = [{"instIdCode": self._codes[symbol], **fields}]
        return op_frame(_AMEND, args, request_id, Lane.REDUCE, self._expiry_ms(stamp_venue_ns))

    def cancel_all(self, symbol: Symbol, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Raises LocalProtocolError: the venue has no such request (section 5.5); `cancel_orders` takes 20 at once."""
        raise LocalProtocolError("OKX cannot cancel all orders of a symbol; cancel them by batches")

    def new_orders(self, orders: Sequence[NewOrder], request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """`batch-orders`, up to 20; the answer is one `Reply` with a part for each."""
        _need_logon(logged_on)
        check_batch(len(orders))
        args = [{"instIdCode": self._codes[order.symbol], **self._orders.fields(order)} for order in orders]
        return op_frame(_PLACE_BATCH, args, request_id, Lane.NEW, self._expiry_ms(stamp_venue_ns))

    def cancel_orders(
        self,
        orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]],
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame:
        """`batch-cancel-orders`, up to 20."""
        _need_logon(logged_on)
        check_batch(len(orders))
        args = [
            {"instIdCode": self._codes[symbol], **cancel_fields(cl_ord_id, order_id)}
            for cl_ord_id, order_id, symbol in orders
        ]
        return op_frame(_CANCEL_BATCH, args, request_id, Lane.CANCEL)

    def _expiry_ms(self, stamp_venue_ns: int) -> int:
        return stamp_venue_ns // _MS + self.request_window_ms

    # ---- frames in ---------------------------------------------------------------------------------------------

    def decode_entry(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Replies, and whatever else this protocol sends.  Raises RemoteProtocolError, nothing else."""
        return self._decode(raw, received_ns)

    def decode_private(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Events and replies.  Raises RemoteProtocolError, nothing else."""
        return self._decode(raw, received_ns)

    def _decode(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
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
                return build(frame, raw, received_ns)
            if frame.op:
                return (self._of_op(frame, raw, received_ns),)
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
            return event_of(self.venue, self.product, frame, raw, received_ns, self._acks)
        refusal = Refusal(status=200, code=frame.code, text=frame.msg, order=False, received_ns=received_ns)
        return (Reply(LOGIN_ID, error=classify(self.product, refusal)),)

    def _of_op(self, frame: wire.Frame, raw: bytes, received_ns: int) -> Reply | Message:
        """The gateway's answer to an order request; one that cannot be read leaves its order in doubt."""
        is_batch = _OPS.get(frame.op)
        if is_batch is None:
            return self._unrecognized(Unrecognized("op", frame.op[:100]), raw)
        request_id = "" if frame.id is None else str(frame.id)[:64]
        return self._answer(request_id, frame.code, frame.msg, frame.data, received_ns, is_batch=is_batch)

    def _answer(
        self,
        request_id: str,
        code: str,
        text: str,
        data: msgspec.Raw,
        received_ns: int,
        *,
        is_batch: bool | None,
        status: int = 200,
    ) -> Reply:
        """By items where there are some (codes 0, 1 and 2), else by the code; `is_batch` None: as the items say."""
        if code in ("0", "1", "2") and 200 <= status < 300:
            try:
                rows = self._items.decode(data) if bytes(data) else ()
            except REFUSED as error:
                return Reply(request_id, error=not_understood(str(error)))
            parts = tuple(self._part(request_id, code, row, received_ns) for row in rows)
            if is_batch is None:
                is_batch = len(parts) > 1
            if parts and is_batch:
                return Reply(request_id, payload={"orders": len(parts)}, parts=parts)
            if len(parts) == 1:
                return parts[0]
            return Reply(request_id, error=not_understood(f"code {code} with {len(parts)} items: {text}"))
        refusal = Refusal(status=status, code=code, text=text, order=True, received_ns=received_ns)
        return Reply(request_id, error=classify(self.product, refusal))

    def _part(self, request_id: str, code: str, row: wire.AckRow, received_ns: int) -> Reply:
        """One item.  One that contradicts the code of the whole ("0" all good, "1" none) proves nothing."""
        good = row.sCode == "0"
        if good is not (code == "0") and code != "2":
            return Reply(request_id, error=not_understood(f"code {code} with sCode {row.sCode[:20]}: {row.sMsg[:200]}"))
        if not good:
            refusal = refusal_of_item(row, order=True, received_ns=received_ns)
            return Reply(request_id, error=classify(self.product, refusal))
        try:
            return Reply(request_id, report=self._reports.of_ack(row))
        except RemoteProtocolError as error:
            return Reply(request_id, error=not_understood(str(error)))

    def _of_orders(self, frame: wire.Frame, raw: bytes, received_ns: int) -> Sequence[Message]:
        """Each row for itself: a word unknown to us in one does not cost the others."""
        events: list[Message] = []
        kinds = _ORDER_TYPES[self.product]
        for text in _RAW_ROWS.decode(frame.data):
            row = self._order_row.decode(text)
            if row.instType and row.instType not in kinds:
                continue
            try:
                events += self._reports.of_update(row, received_ns)
            except UnknownWord as unknown:
                events.append(self._unrecognized(unknown.what, bytes(text)))
        return events

    def _of_account(self, frame: wire.Frame, raw: bytes, received_ns: int) -> Sequence[Message]:
        rows = self._account_rows.decode(frame.data)
        balances = [balance for row in rows for balance in self._reports.of_account(row)]
        event_ns = max((stamp_of(row.uTime) for row in rows), default=0)
        whole = self._balance_pages.add(frame, balances)
        if whole is not None:
            return (BalancesChanged(self.account, self.venue, tuple(whole), True, event_ns),)
        if self._balance_pages.holds:
            return ()
        return (BalancesChanged(self.account, self.venue, tuple(balances), False, event_ns),)

    def _of_positions(self, frame: wire.Frame, raw: bytes, received_ns: int) -> Sequence[Message]:
        positions: list[VenuePosition] = []
        unknown_rows: list[Message] = []
        for text in _RAW_ROWS.decode(frame.data):
            row = self._position_row.decode(text)
            if row.instType != INST_TYPES[self.product]:
                continue
            try:
                positions.append(self._reports.of_position(row))
            except UnknownWord as unknown:
                unknown_rows.append(self._unrecognized(unknown.what, bytes(text)))
        whole = self._position_pages.add(frame, positions, usable=not unknown_rows)
        if whole is not None:
            event_ns = max((position.updated_ns for position in whole), default=0)
            symbols = tuple(dict.fromkeys(position.symbol for position in whole))
            return (*whole, PositionsListed(self.account, self.venue, symbols, event_ns))
        if self._position_pages.holds:
            return ()
        return (*positions, *unknown_rows)

    # ---- REST orders -------------------------------------------------------------------------------------------

    def rest_new_order(self, order: NewOrder, stamp_venue_ns: int) -> HttpRequest:
        """`POST /api/v5/trade/order`: only for an order that surely was not sent before."""
        return self._post(self._paths.order, self._rest_order(order), stamp_venue_ns, Lane.NEW, deadline=True)

    def rest_cancel_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`POST /api/v5/trade/cancel-order`."""
        body = _rest_cancel(cl_ord_id, order_id, symbol)
        return self._post(self._paths.cancel_order, body, stamp_venue_ns, Lane.CANCEL)

    def rest_amend_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, order_qty: Decimal, stamp_venue_ns: int
    ) -> HttpRequest:
        """`POST /api/v5/trade/amend-order`."""
        body: Fields = {"instId": str(symbol), **amend_fields(cl_ord_id, order_id, order_qty, "")}
        return self._post(self._paths.amend_order, body, stamp_venue_ns, Lane.REDUCE, deadline=True)

    def rest_new_orders(self, orders: Sequence[NewOrder], stamp_venue_ns: int) -> HttpRequest:
        """`POST /api/v5/trade/batch-orders`, up to 20.  A batch of one is answered as a single order is."""
        check_batch(len(orders))
        body = [self._rest_order(order) for order in orders]
        return self._post(self._paths.batch_orders, body, stamp_venue_ns, Lane.NEW, deadline=True)

    def rest_cancel_orders(
        self, orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]], stamp_venue_ns: int
    ) -> HttpRequest:
        """`POST /api/v5/trade/cancel-batch-orders`, up to 20.  A batch of one is answered as a single order is."""
        check_batch(len(orders))
        body = [_rest_cancel(cl_ord_id, order_id, symbol) for cl_ord_id, order_id, symbol in orders]
        return self._post(self._paths.cancel_batch_orders, body, stamp_venue_ns, Lane.CANCEL)

    def dead_man_request(self, symbol: Symbol | None, timeout_ns: int, stamp_venue_ns: int) -> HttpRequest:
        """`POST /api/v5/trade/cancel-all-after`: 10 to 120 whole seconds, 0 to switch it off; it is the account's."""
        if symbol is not None:
            raise LocalProtocolError(f"symbol was {symbol!r}; OKX's dead-man switch is for the whole account")
        seconds, rest = divmod(timeout_ns, _S)
        if rest or (seconds and not 10 <= seconds <= 120):
            raise LocalProtocolError(f"timeout_ns was {timeout_ns}, must be 0 (off) or 10 to 120 whole seconds")
        return self._post(self._paths.cancel_all_after, {"timeOut": str(seconds)}, stamp_venue_ns, Lane.CANCEL)

    def decode_cancel_all_after(self, reply: HttpReply) -> int:
        """When the switch will fire, venue time in ns; 0: it is off.  The venue says it in seconds (assumed)."""
        rows = self._decoded(self._trigger_rows, reply)
        if len(rows) != 1:
            raise RemoteProtocolError(f"{len(rows)} rows instead of one")
        return stamp_of(f"{rows[0].triggerTime}000") if int(rows[0].triggerTime) else 0

    def decode_rest_order(self, request_id: str, reply: HttpReply) -> Reply:
        """The answer to an order request.  One that cannot be read proves nothing: UNKNOWN, never an exception."""
        try:
            envelope = _ENVELOPE.decode(reply.body)
        except REFUSED:
            refusal = refusal_of(reply, order=True)
            error = not_understood("no envelope") if refusal is None else classify(self.product, refusal)
            return Reply(request_id, error=error)
        return self._answer(
            request_id,
            envelope.code,
            envelope.msg,
            envelope.data,
            reply.received_ns,
            is_batch=None,
            status=reply.status,
        )

    def _rest_order(self, order: NewOrder) -> Fields:
        return {"instId": str(order.symbol), **self._orders.fields(order)}

    def _post(self, path: str, body: object, stamp_venue_ns: int, lane: Lane, *, deadline: bool = False) -> HttpRequest:
        return self._rest.post(path, body, stamp_venue_ns, lane, self.request_window_ms if deadline else 0)

    # ---- REST queries ------------------------------------------------------------------------------------------

    def other_names(self, cl_ord_id: ClOrdID) -> Sequence[ClOrdID]:
        """None: this venue never renames an order."""
        return ()

    def order_status_request(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`GET /api/v5/trade/order`, by the venue's id where it is known."""
        params = [("instId", str(symbol))]
        if order_id is not None:
            params.append(("ordId", order_id_number(order_id)))
        else:
            params.append(("clOrdId", legal_cl_ord_id(cl_ord_id)))
        return self._rest.get(self._paths.order, encoded(params), stamp_venue_ns, "order-details")

    def decode_order_status(self, reply: HttpReply) -> ExecutionReport | VenueError:
        """The order, or why there is none.

        NOT_FOUND right after placing may be lag; and an order that was canceled unfilled is forgotten after 2 hours.
        """
        error = self.error(reply)
        if error is not None:
            return error
        rows = self._decoded(self._order_rows, reply)
        if len(rows) != 1:
            raise RemoteProtocolError(f"{len(rows)} orders instead of one")
        return self._query(rows[0], reply)

    def open_orders_request(self, symbol: Symbol | None, stamp_venue_ns: int) -> HttpRequest:
        """`GET /api/v5/trade/orders-pending`, at most 100 a page: ask `continuation` for the next."""
        kinds = _ORDER_TYPES[self.product]
        params = [
            ("instType", kinds[0] if len(kinds) == 1 else ""),
            ("instId", symbol or ""),
            ("limit", str(PAGE_ROWS)),
        ]
        return self._rest.get(self._paths.orders_pending, encoded(params), stamp_venue_ns, "orders-pending")

    def decode_open_orders(self, reply: HttpReply) -> Sequence[ExecutionReport]:
        """Open orders of the product, type ORDER_STATUS.  One that we cannot read makes the answer unusable."""
        kinds = _ORDER_TYPES[self.product]
        rows = self._decoded(self._order_rows, reply)
        return tuple(self._query(row, reply) for row in rows if not row.instType or row.instType in kinds)

    def fills_request(
        self,
        symbol: Symbol,
        stamp_venue_ns: int,
        *,
        order_id: OrderID | None = None,
        from_trade_id: TradeID | None = None,
        since_ns: int | None = None,
    ) -> HttpRequest:
        """`GET /api/v5/trade/fills`, `fills-history` beyond 3 days; the newest 100, older ones by `continuation`.

        The venue's cursor is a bill id, so `from_trade_id` cannot be asked for (see `capabilities`): give `since_ns`.
        """
        params = [("instId", str(symbol)), ("limit", str(PAGE_ROWS))]
        path, endpoint = self._paths.fills, "fills"
        if order_id is not None:
            params.append(("ordId", order_id_number(order_id)))
        if since_ns is not None:
            params.append(("begin", str(since_ns // _MS)))
            if since_ns < stamp_venue_ns - FILLS_NS + _FILLS_MARGIN_NS:
                path, endpoint = self._paths.fills_history, "fills-history"
                params.insert(0, ("instType", INST_TYPES[self.product]))
        return self._rest.get(path, encoded(params), stamp_venue_ns, endpoint)

    def decode_fills(self, symbol: Symbol, reply: HttpReply) -> Sequence[ExecutionReport]:
        """Own trades, oldest first; order quantities are 0, which are not said there."""
        rows = self._decoded(self._fill_rows, reply)
        try:
            fills = [self._reports.of_fill(row, reply.received_ns) for row in reversed(rows)]
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"fills of {symbol}: unknown word {unknown}") from None
        return tuple(sorted(fills, key=_time_of))

    def balances_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /api/v5/account/balance`."""
        return self._rest.get(self._paths.balance, "", stamp_venue_ns, "balance")

    def decode_balances(self, reply: HttpReply) -> Sequence[Balance]:
        """Every currency that is not zero."""
        rows = self._decoded(self._account_rows, reply)
        return tuple(balance for row in rows for balance in self._reports.of_account(row))

    def positions_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /api/v5/account/positions` of the product."""
        if self.product is Product.SPOT:
            raise LocalProtocolError("positions were asked of spot, which has none; ask for balances")
        params = (("instType", INST_TYPES[self.product]),)
        return self._rest.get(self._paths.positions, encoded(params), stamp_venue_ns, "positions")

    def decode_positions(self, reply: HttpReply) -> Sequence[VenuePosition]:
        """The positions of the product; what is absent is flat."""
        rows = self._decoded(self._position_rows, reply)
        try:
            return tuple(self._reports.of_position(row) for row in rows if row.instType == INST_TYPES[self.product])
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"positions: unknown word {unknown}") from None

    def position_mode_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /api/v5/account/config`: the mode that `hedged` must equal."""
        return self._rest.get(self._paths.account_config, "", stamp_venue_ns, "account-config")

    def decode_position_mode(self, reply: HttpReply) -> bool:
        """True in long_short_mode."""
        rows = self._decoded(self._config_rows, reply)
        if len(rows) != 1 or rows[0].posMode not in _POSITION_MODES:
            raise RemoteProtocolError(f"no position mode in the answer: {reply.body[:200]!r}")
        return bool(rows[0].posMode == _HEDGED)

    def continuation(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """The page of older rows (`after`), None when this one was not full.  Raises RemoteProtocolError."""
        if request.path not in (self._paths.orders_pending, self._paths.fills, self._paths.fills_history):
            return None
        rows = self._decoded(self._page_rows, reply)
        if len(rows) < PAGE_ROWS:
            return None
        last = rows[-1].ordId if request.path == self._paths.orders_pending else rows[-1].billId
        if not (last.isascii() and last.isdigit()):
            raise RemoteProtocolError(f"a full page ends with the id {last[:40]!r}: the next cannot be asked for")
        kept = [part for part in request.query.split("&") if not part.startswith("after=")]
        return self._rest.get(request.path, "&".join([*kept, f"after={last}"]), stamp_venue_ns, request.group)

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """Nothing: the venue does not say what has been used."""
        return ()

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal, or None.  A failure inside the venue is UNKNOWN, as for an order request."""
        refusal = refusal_of(reply, order=True)
        return None if refusal is None else classify(self.product, refusal)

    def _query(self, row: wire.OrderRow, reply: HttpReply) -> ExecutionReport:
        try:
            return self._reports.of_query(row, reply.received_ns)
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"order {row.ordId} of {row.instId}: unknown word {unknown}") from None

    def _decoded(self, decoder: msgspec.json.Decoder[Any], reply: HttpReply) -> Any:
        try:
            return decoder.decode(success(reply))
        except REFUSED as error:
            raise RemoteProtocolError(f"answer refused: {error}: {reply.body[:200]!r}") from error

    def _unrecognized(self, what: Unrecognized, raw: bytes) -> UnrecognizedMessage:
        return UnrecognizedMessage(self.venue, (what,), raw[:2000].decode("utf-8", "replace"))


class _Pages(Generic[Item]):
    """A snapshot in pages, held until it is whole."""

    __slots__ = ("_next", "_rows")

    def __init__(self) -> None:
        self._rows: list[Item] = []
        self._next = 0
        """Number of the page that continues what is held; 0: nothing is."""

    @property
    def holds(self) -> bool:
        """True while more pages are to follow."""
        return self._next > 0

    def add(self, frame: wire.Frame, rows: Sequence[Item], *, usable: bool = True) -> Sequence[Item] | None:
        """The whole snapshot with its last page, else None; a page out of turn, or not usable, spoils it."""
        if frame.eventType != "snapshot":
            return None
        if frame.curPage == 1:
            self._rows, self._next = [], 1
        if not usable or not self.holds or frame.curPage != self._next:
            self._rows, self._next = [], 0
            return None
        self._rows += rows
        self._next += 1
        if not frame.lastPage:
            return None
        whole, self._rows, self._next = self._rows, [], 0
        return whole


def _rest_cancel(cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol) -> Fields:
    return {"instId": str(symbol), **cancel_fields(cl_ord_id, order_id)}


def _time_of(report: ExecutionReport) -> int:
    return report.transact_ns


def _need_logon(logged_on: bool) -> None:
    if not logged_on:
        raise LocalProtocolError("OKX takes nothing private on a connection that has not logged on")
