"""How a command goes to this venue: as a frame, as a REST request, or not at all.

The codec says what there is (`capabilities`, and the optional protocols that it carries out); nothing here knows a
venue.  What a venue has no words for raises `LocalProtocolError`, from the codec or from here, before anything is sent:
the caller refuses the command and says why.

Cancels of several orders are told in as few requests as there are words for: one for all orders of the symbol, if these
are all and they are many; batches; else one by one (`in_fewest`).
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.venue.outcomes import Change, OrderGroup, Submit, orig_of
from protocols.errors import LocalProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol
from protocols.orders import SubmitAmend, SubmitCancel, SubmitCancelAll, SubmitCancels, SubmitOrder, SubmitReplace
from protocols.venue import (
    AmendsByRest,
    AmendsByTerms,
    BatchCodec,
    CancelsAllByRest,
    CancelsByRest,
    ContinuesAnswers,
    DecodesCancels,
    Frame,
    HttpReply,
    HttpRequest,
    OrdersByRest,
    PrivateCodec,
    ReplacesOrders,
    Reply,
)

MASS_MIN = 5
"""Fewer orders are canceled by name: that says exactly which, and the answer too."""

Named = tuple[ClOrdID, OrderID | None, Symbol]


def one_by_one(message: SubmitCancels) -> Iterator[SubmitCancel]:
    """The same cancels, each in a request of its own: for orders that fit no request together."""
    for cl_ord_id, order_id in message.orders:
        yield SubmitCancel(cl_ord_id, order_id, message.symbol, message.reply_to)


class Commands:
    """The words of one codec."""

    def __init__(self, codec: PrivateCodec) -> None:
        self._codec = codec
        able = codec.capabilities
        self._batches = codec if isinstance(codec, BatchCodec) else None
        by_terms = codec if isinstance(codec, AmendsByTerms) else None
        self._amends_freely = by_terms if able.amends_price else None
        self._amends_by_terms = by_terms if able.amend_needs_terms else None
        self._replaces = codec if isinstance(codec, ReplacesOrders) and able.cancel_replace else None
        self._amends_by_rest = codec if isinstance(codec, AmendsByRest) else None
        self._cancels_by_rest = codec if isinstance(codec, CancelsByRest) and able.cancel_batch_max > 1 else None
        self._cancels_all_by_rest = codec if isinstance(codec, CancelsAllByRest) and able.cancel_all_symbol else None
        self._decodes_cancels = codec if isinstance(codec, DecodesCancels) else None
        self._continues = codec if isinstance(codec, ContinuesAnswers) else None
        self._by_rest = codec if isinstance(codec, OrdersByRest) else None
        self.batch_max = able.batch_size_max if self._batches is not None else 1
        """New orders that one request takes, by REST at least."""
        self.batches_on_socket = able.ws_batches and self.batch_max > 1
        self._mass_on_socket = able.cancel_all_symbol and able.ws_cancel_all

    # ---- which requests ----------------------------------------------------------------------------------------

    def goes_by_rest(self, message: SubmitOrder | SubmitReplace | Change) -> bool:
        """Whether a command is one that the order-entry connection has no words for."""
        if isinstance(message, SubmitOrder):
            return self._by_rest is not None and self._by_rest.order_by_rest(message.order)
        if isinstance(message, SubmitReplace):
            return self._by_rest is not None and (
                self._by_rest.order_by_rest(message.order)
                or self._by_rest.change_by_rest(orig_of(message), message.old_order_id)
            )
        if isinstance(message, SubmitCancelAll):
            return not self._mass_on_socket
        if isinstance(message, SubmitCancels):
            return not (self._mass_on_socket if message.whole else self.batches_on_socket)
        return self._by_rest is not None and self._by_rest.change_by_rest(message.cl_ord_id, message.order_id)

    def in_fewest(self, message: SubmitCancels, *, on_socket: bool) -> Iterator[SubmitCancel | SubmitCancels]:
        """The requests that cancel these orders.  One that is still `whole` means all orders of the symbol."""
        symbol, orders, reply_to = message.symbol, message.orders, message.reply_to
        mass = self._cancels_all_by_rest is not None or (on_socket and self._mass_on_socket)
        if message.whole and mass and len(orders) >= MASS_MIN:
            yield message
            return
        if self._cancels_by_rest is None:
            yield from one_by_one(message)
            return
        if self._by_rest is not None:  # what another service holds fits no batch of the engine's
            apart = [order for order in orders if self._by_rest.change_by_rest(*order)]
            orders = tuple(order for order in orders if order not in apart)
            for cl_ord_id, order_id in apart:
                yield SubmitCancel(cl_ord_id, order_id, symbol, reply_to)
        most = self._codec.capabilities.cancel_batch_max
        for known in (True, False):  # venues want all names of a batch to be of one kind
            rest = [order for order in orders if (order[1] is not None) is known]
            for start in range(0, len(rest), most):
                part = tuple(rest[start : start + most])
                if len(part) == 1:
                    yield SubmitCancel(*part[0], symbol, reply_to)
                else:
                    yield SubmitCancels(symbol, part, False, reply_to)

    # ---- frames ------------------------------------------------------------------------------------------------

    def frame(
        self, message: Change | OrderGroup | SubmitReplace, request_id: str, stamp_ns: int, *, logged_on: bool
    ) -> Frame:
        """What the socket is to send.  Raises LocalProtocolError for what the venue has no words for."""
        codec = self._codec
        if isinstance(message, SubmitCancel):
            return codec.cancel_order(
                message.cl_ord_id, message.order_id, message.symbol, request_id, stamp_ns, logged_on=logged_on
            )
        if isinstance(message, SubmitAmend):
            return self._amend_frame(message, request_id, stamp_ns, logged_on=logged_on)
        if isinstance(message, SubmitReplace):
            return self._replacing(message).replace_order(
                orig_of(message), message.old_order_id, message.order, request_id, stamp_ns, logged_on=logged_on
            )
        if isinstance(message, OrderGroup):
            assert self._batches is not None
            orders = [member.order for member in message.members]
            return self._batches.new_orders(orders, request_id, stamp_ns, logged_on=logged_on)
        if isinstance(message, SubmitCancels) and not message.whole:
            assert self._batches is not None
            return self._batches.cancel_orders(_named(message), request_id, stamp_ns, logged_on=logged_on)
        return codec.cancel_all(message.symbol, request_id, stamp_ns, logged_on=logged_on)

    def _amend_frame(self, message: SubmitAmend, request_id: str, stamp_ns: int, *, logged_on: bool) -> Frame:
        cl_ord_id, order_id, symbol = message.cl_ord_id, message.order_id, message.symbol
        by_terms = self._by_terms(message)
        if by_terms is None:
            return self._codec.amend_order(
                cl_ord_id, order_id, symbol, message.order_qty, request_id, stamp_ns, logged_on=logged_on
            )
        if message.side is None or message.price is None:
            raise LocalProtocolError("an amend must say side and price anew here, and the order has no price")
        return by_terms.amend_terms(
            cl_ord_id,
            order_id,
            symbol,
            message.side,
            message.order_qty,
            message.price,
            request_id,
            stamp_ns,
            logged_on=logged_on,
        )

    def _by_terms(self, message: SubmitAmend) -> AmendsByTerms | None:
        """Who says an amend by all its terms; None where the quantity is enough.  Raises LocalProtocolError."""
        if not message.is_free:
            return self._amends_by_terms
        if self._amends_freely is None:
            text = "changes neither a resting order's price nor makes its quantity larger"
            raise LocalProtocolError(f"{self._codec.venue} {text}")
        return self._amends_freely

    def _replacing(self, message: SubmitReplace) -> ReplacesOrders:
        if self._replaces is None:
            raise LocalProtocolError(f"{self._codec.venue} does not replace one order by another in one request")
        return self._replaces

    # ---- REST --------------------------------------------------------------------------------------------------

    def request(self, message: Submit, stamp_ns: int) -> HttpRequest:
        """The REST request.  Raises LocalProtocolError for what the venue has no words for."""
        codec = self._codec
        if isinstance(message, SubmitOrder):
            return codec.rest_new_order(message.order, stamp_ns)
        if isinstance(message, SubmitCancel):
            return codec.rest_cancel_order(message.cl_ord_id, message.order_id, message.symbol, stamp_ns)
        if isinstance(message, OrderGroup):
            assert self._batches is not None
            return self._batches.rest_new_orders([member.order for member in message.members], stamp_ns)
        if isinstance(message, SubmitAmend):
            return self._amend_request(message, stamp_ns)
        if isinstance(message, SubmitReplace):
            old = orig_of(message)
            return self._replacing(message).rest_replace_order(old, message.old_order_id, message.order, stamp_ns)
        if isinstance(message, SubmitCancels) and not message.whole:
            assert self._cancels_by_rest is not None
            return self._cancels_by_rest.rest_cancel_orders(_named(message), stamp_ns)
        if self._cancels_all_by_rest is None:
            raise LocalProtocolError(f"{codec.venue} has no REST request that cancels all orders of a symbol")
        return self._cancels_all_by_rest.rest_cancel_all(message.symbol, stamp_ns)

    def _amend_request(self, message: SubmitAmend, stamp_ns: int) -> HttpRequest:
        cl_ord_id, order_id, symbol = message.cl_ord_id, message.order_id, message.symbol
        by_terms = self._by_terms(message)
        if by_terms is not None and message.side is not None and message.price is not None:
            return by_terms.rest_amend_terms(
                cl_ord_id, order_id, symbol, message.side, message.order_qty, message.price, stamp_ns
            )
        if self._amends_by_rest is None:
            raise LocalProtocolError(f"{self._codec.venue} does not amend orders by REST")
        return self._amends_by_rest.rest_amend_order(cl_ord_id, order_id, symbol, message.order_qty, stamp_ns)

    def decode(self, message: Submit, reply: HttpReply) -> Reply:
        """What the answer to `request(message)` says."""
        if isinstance(message, SubmitCancels) and not message.whole and self._decodes_cancels is not None:
            return self._decodes_cancels.decode_rest_cancels("", reply, _named(message))
        return self._codec.decode_rest_order("", reply)

    def next_request(
        self, message: Submit, request: HttpRequest, reply: HttpReply, stamp_ns: int
    ) -> HttpRequest | None:
        """A mass cancel may take several requests, of which this is the next; all else takes one."""
        is_mass = isinstance(message, SubmitCancelAll) or (isinstance(message, SubmitCancels) and message.whole)
        if not is_mass or self._continues is None:
            return None
        return self._continues.continuation(request, reply, stamp_ns)


def _named(message: SubmitCancels) -> list[Named]:
    return [(cl_ord_id, order_id, message.symbol) for cl_ord_id, order_id in message.orders]
