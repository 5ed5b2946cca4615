"""What the venue answers: REST's envelope, acknowledgements of orders, replies to control frames (sections 2, 6, 7).

An acknowledgement says that a request was received, and nothing about the order's state.  An answer to an order request
that cannot be read proves nothing either: UNKNOWN, never an exception, and never a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from protocols.base import Message
from protocols.errors import RemoteProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol, Venue
from protocols.instruments import Product
from protocols.venue import Disposition, HttpReply, OrderState, Reply, StreamTerminated, Usage, VenueError
from protocols.venues.bybit.errors import NOTHING_TO_CHANGE, RESTARTING, Refusal, classify, control_error
from protocols.venues.bybit.limits import bucket_of, usage_of
from protocols.venues.bybit.wire import (
    ItemOutcomes,
    OrderAnswer,
    OrderRef,
    OrderResult,
    Outcome,
    Page,
    PageAnswer,
    TradeFrameHead,
)
from protocols.venues.values import REFUSED, stamp_ns

__all__ = ["ORDER_OPS", "OrderAnswers", "control_reply", "decoded", "page_of", "refusal_of"]

ORDER_OPS = frozenset(
    {
        "order.create",
        "order.amend",
        "order.cancel",
        "order.create-batch",
        "order.amend-batch",
        "order.cancel-batch",
    }
)
Named = Callable[[ClOrdID, OrderID], OrderID]
"""How an acknowledged order is called (`waiting.WaitingOrders.acknowledged`)."""

_OUTCOME = msgspec.json.Decoder(Outcome)
_PAGE = msgspec.json.Decoder(PageAnswer)
_NO_OUTCOMES = ItemOutcomes()
_ACCEPTED_AUTH = 20001
"""Logged on already."""


# ---- REST ------------------------------------------------------------------------------------------------------


def refusal_of(reply: HttpReply, product: Product, *, order: bool) -> Refusal | None:
    """The refusal in a REST answer, or None for a success: `retCode` 0, or "it is so already"."""
    code, text, server_time_ms = None, "", None
    try:
        outcome = _OUTCOME.decode(reply.body)
    except REFUSED:
        # Not the API's answer but a firewall's or gateway's page: the status has to do.
        text = reply.body[:200].decode("utf-8", "replace")
    else:
        code, text, server_time_ms = outcome.retCode, outcome.retMsg or "", outcome.time or None
        if 200 <= reply.status < 300 and (code == 0 or code in NOTHING_TO_CHANGE):
            return None
    return Refusal(
        product=product,
        status=reply.status,
        code=code,
        text=text,
        order=order,
        received_ns=reply.received_ns,
        reset_ms=reset_ms_of(reply.headers),
        server_time_ms=server_time_ms,
    )


def decoded(decoder: msgspec.json.Decoder[Any], reply: HttpReply) -> Any:
    """The body of a success, as its struct.  Raises RemoteProtocolError for everything else: ask `error` first."""
    try:
        if not 200 <= reply.status < 300:
            raise RemoteProtocolError(f"HTTP {reply.status} instead of an answer: {reply.body[:200]!r}")
        outcome = _OUTCOME.decode(reply.body)
        if outcome.retCode:
            raise RemoteProtocolError(f"a refusal instead of an answer: {reply.body[:200]!r}")
        return decoder.decode(reply.body)
    except REFUSED as error:
        raise RemoteProtocolError(f"answer refused: {error}: {reply.body[:200]!r}") from error


def page_of(reply: HttpReply) -> Page:
    """Where a list ends.  Raises RemoteProtocolError for what is no list."""
    page = decoded(_PAGE, reply).result
    assert isinstance(page, Page)
    return page


# ---- orders ----------------------------------------------------------------------------------------------------


class OrderAnswers:
    """The answers to one account's order requests, by REST and on the trade socket."""

    __slots__ = ("_named", "_outcomes", "_product", "_result", "_venue", "_whole")

    def __init__(self, venue: Venue, product: Product, named: Named) -> None:
        self._venue = venue
        self._product = product
        self._named = named
        self._whole = msgspec.json.Decoder(OrderAnswer)
        self._result = msgspec.json.Decoder(OrderResult)
        self._outcomes = msgspec.json.Decoder(ItemOutcomes | None)

    def of_rest(self, request_id: str, reply: HttpReply) -> Reply:
        """What became of a REST request."""
        refusal = refusal_of(reply, self._product, order=True)
        if refusal is not None:
            return Reply(request_id, error=classify(refusal))
        try:
            answer = self._whole.decode(reply.body)
            server_ms, reset_ms = answer.time or None, reset_ms_of(reply.headers)
            heard = reply.received_ns, server_ms, reset_ms
            return self._of_result(request_id, answer.result, answer.retExtInfo or _NO_OUTCOMES, heard, ())
        except (RemoteProtocolError, *REFUSED) as error:
            return Reply(request_id, error=_not_understood(error))

    def of_socket(self, head: TradeFrameHead, received_ns: int) -> tuple[Reply | Message, ...]:
        """What became of a request of the trade socket; a service that restarts says so instead."""
        header = head.header if isinstance(head.header, dict) else {}
        usage = usage_of(bucket_of(head.op), header, self._product)
        server_ms, reset_ms = _timenow(header), reset_ms_of(header)
        request_id = (head.reqId or "")[:64]
        if head.retCode:
            error = classify(
                Refusal(
                    product=self._product,
                    status=200,
                    code=head.retCode,
                    text=head.retMsg or "",
                    order=True,
                    received_ns=received_ns,
                    reset_ms=reset_ms,
                    server_time_ms=server_ms,
                )
            )
            reply = Reply(request_id, error=error, usage=usage)
            if head.retCode == RESTARTING:
                return (StreamTerminated(self._venue, "the trade service restarts"), reply)
            return (reply,)
        try:
            result = self._result.decode(head.data)
            outcomes = self._outcomes.decode(head.retExtInfo) or _NO_OUTCOMES
            return (self._of_result(request_id, result, outcomes, (received_ns, server_ms, reset_ms), usage),)
        except (RemoteProtocolError, *REFUSED) as error:
            return (Reply(request_id, error=_not_understood(error), usage=usage),)

    def _of_result(
        self,
        request_id: str,
        result: OrderResult,
        outcomes: ItemOutcomes,
        heard: tuple[int, int | None, int | None],
        usage: tuple[Usage, ...],
    ) -> Reply:
        """One order's acknowledgement of receipt, a batch's partial results, or the count of a mass cancel.

        Outside of batches the venue does not repeat the symbol: it is "".  `heard`: when, the venue's clock then and
        when its bucket refills (ms).  Raises RemoteProtocolError for what names no order, and for a batch whose orders
        and outcomes do not pair.
        """
        received_ns, server_ms, reset_ms = heard
        transact_ns = stamp_ns(server_ms or 0)
        refs = result.list
        if refs is None:
            if not (result.orderId or result.orderLinkId):
                raise RemoteProtocolError("no order in the answer")
            only = OrderRef(result.orderId, result.orderLinkId)
            return Reply(request_id, report=self._acknowledged(only, transact_ns), usage=usage)
        items = outcomes.list
        if items is None:
            if result.success not in (None, "", "1"):
                unfinished = VenueError(Disposition.BUSY, "", "the venue did not cancel all orders")
                return Reply(request_id, error=unfinished, usage=usage)
            return Reply(request_id, payload={"orders": len(refs)}, usage=usage)
        if len(items) != len(refs):
            raise RemoteProtocolError(f"a batch of {len(refs)} orders with {len(items)} outcomes")
        parts = []
        for ref, item in zip(refs, items, strict=True):
            if item.code == 0:
                parts.append(Reply(request_id, report=self._acknowledged(ref, transact_ns)))
                continue
            refusal = Refusal(
                product=self._product,
                status=200,
                code=item.code,
                text=item.msg or "",
                order=True,
                received_ns=received_ns,
                reset_ms=reset_ms,
                server_time_ms=server_ms,
            )
            parts.append(Reply(request_id, error=classify(refusal)))
        return Reply(request_id, payload={"orders": len(parts)}, usage=usage, parts=tuple(parts))

    def _acknowledged(self, ref: OrderRef, transact_ns: int) -> OrderState:
        cl_ord_id = ClOrdID(ref.orderLinkId or "")
        order_id = self._named(cl_ord_id, OrderID(ref.orderId or ""))
        return OrderState(cl_ord_id, order_id, Symbol(ref.symbol or ""), None, (), transact_ns)


def reset_ms_of(headers: Mapping[str, object]) -> int | None:
    """When the bucket refills, ms by the venue's clock; of HTTP headers or a socket's `header`, names in any case."""
    for name, value in headers.items():
        if name.lower() == "x-bapi-limit-reset-timestamp":
            return _milliseconds(value)
    return None


def _timenow(header: Mapping[str, object]) -> int | None:
    """The venue's clock in an answer of the trade socket, ms."""
    return _milliseconds(header.get("Timenow"))


def _milliseconds(value: object) -> int | None:
    text = str(value) if type(value) in (str, int) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) == 13 else None


def _not_understood(error: Exception) -> VenueError:
    return VenueError(Disposition.UNKNOWN, "", f"answer not understood: {error}"[:500])


# ---- control frames --------------------------------------------------------------------------------------------


def control_reply(whole: Mapping[str, Any], request_id: str, product: Product, received_ns: int) -> Reply | None:
    """The answer to a control frame of any socket, or None for what is none.

    Pongs come in four shapes, some as `"op":"ping"`, so they are known by `op` and by `ret_msg`.  Public and private
    sockets say `success`, the trade socket says `retCode`.  The options' socket has words of its own.
    """
    if whole.get("type") == "COMMAND_RESP":
        return _command_response(whole, request_id, product, received_ns)
    op = whole.get("op")
    if not isinstance(op, str):
        return None
    for name in ("req_id", "reqId"):
        value = whole.get(name)
        if isinstance(value, str) and value:
            request_id = value[:64]
    if op in ("ping", "pong"):
        return Reply(request_id, payload={"pong": True})
    code, success = whole.get("retCode"), whole.get("success")
    code = code if isinstance(code, int) and not isinstance(code, bool) else None
    text = str(whole.get("ret_msg", whole.get("retMsg", "")))
    if success is True or (success is None and (code == 0 or (op == "auth" and code == _ACCEPTED_AUTH))):
        return Reply(request_id, payload={"op": op})
    if success is False or code is not None:
        return Reply(request_id, error=control_error(op, code, text, product, received_ns))
    return None


def _command_response(whole: Mapping[str, Any], request_id: str, product: Product, received_ns: int) -> Reply | None:
    """`{"success":true,"data":{"failTopics":[],"successTopics":[...]},"type":"COMMAND_RESP"}`."""
    data, success = whole.get("data"), whole.get("success")
    failed = data.get("failTopics") if isinstance(data, dict) else None
    if success is True and not failed:
        return Reply(request_id, payload={"op": "subscribe"})
    if success not in (True, False):
        return None
    text = f"topics refused: {failed or whole.get('ret_msg', '')}"
    return Reply(request_id, error=control_error("subscribe", None, text, product, received_ns))
