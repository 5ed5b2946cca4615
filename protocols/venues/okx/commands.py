"""Orders out, and the answers to them (reference sections 5 and 6).

Orders of the engine go by WebSocket and by REST alike; conditional ones have a service of their own, which REST alone
reaches (`algos`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from protocols.enums import Side
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol
from protocols.orders import NewOrder
from protocols.venue import Frame, HttpReply, HttpRequest, Lane, Reply
from protocols.venues.okx import wire
from protocols.venues.okx.account import AccountCodec
from protocols.venues.okx.algos import CONDITIONAL, cancel_algo_fields, is_algo
from protocols.venues.okx.encode import Fields, amend_fields, cancel_fields, check_batch, op_frame
from protocols.venues.okx.requests import success
from protocols.venues.okx.words import stamp_of
from protocols.venues.values import REFUSED

__all__ = ["OrderCommands", "need_logon"]

_MS, _S = 1_000_000, 1_000_000_000
_SECONDS_END = 10**11
_TRIGGER_ROWS: wire.Reader[tuple[wire.TriggerRow, ...]] = wire.Reader(tuple[wire.TriggerRow, ...])


class OrderCommands(AccountCodec):
    """Place, amend, cancel, the dead-man switch."""

    # ---- frames ------------------------------------------------------------------------------------------------

    def new_order(self, order: NewOrder, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """`order`.  Raises LocalProtocolError for what the venue could not take."""
        need_logon(logged_on)
        args = [{"instIdCode": self._codes[order.symbol], **self._orders.fields(order)}]
        return op_frame("order", args, request_id, Lane.NEW, self._expiry_ms(stamp_venue_ns))

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
        need_logon(logged_on)
        args = [{"instIdCode": self._codes[symbol], **self._cancel_fields(cl_ord_id, order_id)}]
        return op_frame("cancel-order", args, request_id, Lane.CANCEL)

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
        need_logon(logged_on)
        fields = self._amend_fields(cl_ord_id, order_id, order_qty, request_id)
        args = [{"instIdCode": self._codes[symbol], **fields}]
        return op_frame("amend-order", args, request_id, Lane.REDUCE, self._expiry_ms(stamp_venue_ns))

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
        """`amend-order` of total quantity and price; `side` stays what it is."""
        need_logon(logged_on)
        fields = self._amend_fields(cl_ord_id, order_id, order_qty, request_id, price)
        args = [{"instIdCode": self._codes[symbol], **fields}]
        return op_frame("amend-order", args, request_id, Lane.NEW, self._expiry_ms(stamp_venue_ns))

    def cancel_all(self, symbol: Symbol, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Raises LocalProtocolError: the venue has no such request (section 5.5); `cancel_orders` takes 20 at once."""
        raise LocalProtocolError("OKX cannot cancel all orders of a symbol; cancel them by batches")

    def new_orders(self, orders: Sequence[NewOrder], request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """`batch-orders`, up to 20; the answer is one `Reply` with a part for each."""
        need_logon(logged_on)
        check_batch(len(orders))
        args = [{"instIdCode": self._codes[order.symbol], **self._orders.fields(order)} for order in orders]
        return op_frame("batch-orders", args, request_id, Lane.NEW, self._expiry_ms(stamp_venue_ns))

    def cancel_orders(
        self,
        orders: Sequence[tuple[ClOrdID, OrderID | None, Symbol]],
        request_id: str,
        stamp_venue_ns: int,
        *,
        logged_on: bool,
    ) -> Frame:
        """`batch-cancel-orders`, up to 20."""
        need_logon(logged_on)
        check_batch(len(orders))
        args = [
            {"instIdCode": self._codes[symbol], **self._cancel_fields(cl_ord_id, order_id)}
            for cl_ord_id, order_id, symbol in orders
        ]
        return op_frame("batch-cancel-orders", args, request_id, Lane.CANCEL)

    def _expiry_ms(self, stamp_venue_ns: int) -> int:
        return stamp_venue_ns // _MS + self.request_window_ms

    # ---- REST --------------------------------------------------------------------------------------------------

    def rest_new_order(self, order: NewOrder, stamp_venue_ns: int) -> HttpRequest:
        """`POST /api/v5/trade/order` or `order-algo`: only for an order that surely was not sent before."""
        if not self.order_by_rest(order):
            return self._post(self._paths.order, self._rest_order(order), stamp_venue_ns, Lane.NEW, deadline=True)
        body = self._algos.fields(order)
        self._conditionals.add(order.cl_ord_id)
        return self._post(self._paths.order_algo, body, stamp_venue_ns, Lane.NEW)

    def rest_cancel_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`POST /api/v5/trade/cancel-order` or `cancel-algos`."""
        if self.change_by_rest(cl_ord_id, order_id):
            fields = cancel_algo_fields(cl_ord_id, order_id, symbol)
            return self._post(self._paths.cancel_algos, [fields], stamp_venue_ns, Lane.CANCEL)
        body = self._rest_cancel(cl_ord_id, order_id, symbol)
        return self._post(self._paths.cancel_order, body, stamp_venue_ns, Lane.CANCEL)

    def rest_amend_order(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, order_qty: Decimal, stamp_venue_ns: int
    ) -> HttpRequest:
        """`POST /api/v5/trade/amend-order`."""
        body: Fields = {"instId": str(symbol), **self._amend_fields(cl_ord_id, order_id, order_qty)}
        return self._post(self._paths.amend_order, body, stamp_venue_ns, Lane.REDUCE, deadline=True)

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
        """As `amend_terms`."""
        fields = self._amend_fields(cl_ord_id, order_id, order_qty, price=price)
        body: Fields = {"instId": str(symbol), **fields}
        return self._post(self._paths.amend_order, body, stamp_venue_ns, Lane.NEW, deadline=True)

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
        body = [self._rest_cancel(cl_ord_id, order_id, symbol) for cl_ord_id, order_id, symbol in orders]
        return self._post(self._paths.cancel_batch_orders, body, stamp_venue_ns, Lane.CANCEL)

    def decode_rest_order(self, request_id: str, reply: HttpReply) -> Reply:
        """The answer to an order request.  One that cannot be read proves nothing: UNKNOWN, never an exception."""
        return self._answers.of_reply(request_id, reply)

    def order_by_rest(self, order: NewOrder) -> bool:
        """A conditional order."""
        return order.ord_type in CONDITIONAL

    def change_by_rest(self, cl_ord_id: ClOrdID, order_id: OrderID | None) -> bool:
        """One that waits in the algo service: by its id, or because we put it there."""
        return is_algo(cl_ord_id, order_id) or (order_id is None and cl_ord_id in self._conditionals)

    def _cancel_fields(self, cl_ord_id: ClOrdID, order_id: OrderID | None) -> Fields:
        if self.change_by_rest(cl_ord_id, order_id):
            raise LocalProtocolError("a conditional order is canceled by a request of its own")
        return cancel_fields(cl_ord_id, order_id)

    def _amend_fields(
        self,
        cl_ord_id: ClOrdID,
        order_id: OrderID | None,
        order_qty: Decimal,
        request_id: str = "",
        price: Decimal | None = None,
    ) -> Fields:
        if self.change_by_rest(cl_ord_id, order_id):
            raise LocalProtocolError("conditional orders are not amended here: cancel it and place another")
        return amend_fields(cl_ord_id, order_id, order_qty, request_id, price)

    def _rest_order(self, order: NewOrder) -> Fields:
        return {"instId": str(order.symbol), **self._orders.fields(order)}

    def _rest_cancel(self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol) -> Fields:
        return {"instId": str(symbol), **self._cancel_fields(cl_ord_id, order_id)}

    def _post(self, path: str, body: object, stamp_venue_ns: int, lane: Lane, *, deadline: bool = False) -> HttpRequest:
        return self._rest.post(path, body, stamp_venue_ns, lane, self.request_window_ms if deadline else 0)

    # ---- the dead-man switch -----------------------------------------------------------------------------------

    def dead_man_request(self, symbol: Symbol | None, timeout_ns: int, stamp_venue_ns: int) -> HttpRequest:
        """`POST /api/v5/trade/cancel-all-after`: 10 to 120 whole seconds, 0 to switch it off; it is the account's."""
        if symbol is not None:
            raise LocalProtocolError(f"symbol was {symbol!r}; OKX's dead-man switch is for the whole account")
        seconds, rest = divmod(timeout_ns, _S)
        if rest or (seconds and not 10 <= seconds <= 120):
            raise LocalProtocolError(f"timeout_ns was {timeout_ns}, must be 0 (off) or 10 to 120 whole seconds")
        return self._post(self._paths.cancel_all_after, {"timeOut": str(seconds)}, stamp_venue_ns, Lane.CANCEL)

    def decode_cancel_all_after(self, reply: HttpReply) -> int:
        """When the switch will fire, venue time in ns; 0: it is off.

        The documents print seconds where the venue writes milliseconds elsewhere; the size tells them apart.
        """
        try:
            rows = _TRIGGER_ROWS.decode(success(reply))
        except REFUSED as error:
            raise RemoteProtocolError(f"answer refused: {error}: {reply.body[:200]!r}") from error
        if len(rows) != 1:
            raise RemoteProtocolError(f"{len(rows)} rows instead of one")
        text = rows[0].triggerTime
        return stamp_of(f"{text}000" if int(text) < _SECONDS_END else text)


def need_logon(logged_on: bool) -> None:
    """Raises LocalProtocolError on a connection that has not logged on."""
    if not logged_on:
        raise LocalProtocolError("OKX takes nothing private on a connection that has not logged on")
