"""What the private codecs of the venue's products share: logon, answers that are not about orders, and the queries that
differ in paths and weights alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from protocols.errors import RemoteProtocolError
from protocols.ids import AccountID, Symbol
from protocols.orders import ExecutionReport
from protocols.venue import (
    Disposition,
    Frame,
    HttpReply,
    HttpRequest,
    Lane,
    Reply,
    Signer,
    Usage,
    VenueError,
)
from protocols.venues.binance_common.frames import ApiFrames
from protocols.venues.binance_common.limits import usage_of_headers, usage_of_rows
from protocols.venues.binance_common.refusals import Refusal
from protocols.venues.binance_common.requests import SignedRequests, decoded, refusal_of
from protocols.venues.binance_common.shapes import usual
from protocols.venues.binance_common.wire import RateLimit
from protocols.venues.words import UnknownWord

__all__ = ["AccountSide", "not_understood", "payload_of", "reply_of_other"]

Row = TypeVar("Row", contravariant=True)
_MS = 1_000_000
_ORDER_KEYS = frozenset({"orderId", "clientOrderId", "algoId", "clientAlgoId"})


class OrderPaths(Protocol):
    """The paths that every product has."""

    @property
    def ws_api(self) -> str: ...

    @property
    def open_orders(self) -> str: ...


class QueryReports(Protocol[Row]):
    """Builds reports of what a query shows."""

    def of_query(self, row: Row, received_ns: int) -> ExecutionReport: ...


class AccountSide:
    """Base of the private codecs.  `row`, `rows`: decoders of one order and of a list of them."""

    _frames: ApiFrames
    _reports: QueryReports[Any]

    def __init__(
        self,
        account: AccountID,
        signer: Signer,
        recv_window_ms: int,
        paths: OrderPaths,
        weights: Mapping[str, int],
        row: msgspec.json.Decoder[Any],
        rows: msgspec.json.Decoder[Any],
    ) -> None:
        self.account = account
        self.recv_window_ms = recv_window_ms
        self._signer = signer
        self._rest = SignedRequests(signer, recv_window_ms)
        self._ws_api_path = paths.ws_api
        self._open_orders_path = paths.open_orders
        self._weights = weights
        self._order_row = row
        self._order_rows = rows

    def entry_path(self) -> str:
        """The WebSocket API."""
        return self._ws_api_path

    def logon(self, request_id: str, stamp_venue_ns: int) -> Frame | None:
        """`session.logon` for Ed25519 keys; None for others, whose requests are signed one by one."""
        if not self._signer.can_logon:
            return None
        stamp_ms, weight = stamp_venue_ns // _MS, self._weights["session"]
        return self._frames.request("session.logon", (), request_id, stamp_ms, weight, Lane.QUERY, logged_on=False)

    def decode_order_status(self, reply: HttpReply) -> ExecutionReport | VenueError:
        """The order, or why there is none; NOT_FOUND once is no proof that it never arrived."""
        error = self.error(reply)
        if error is not None:
            return error
        return self._query(decoded(self._order_row, reply), reply)

    def open_orders_request(self, symbol: Symbol | None, stamp_venue_ns: int) -> HttpRequest:
        """`GET openOrders`, of one symbol or, which is dear, of all."""
        params = () if symbol is None else (("symbol", str(symbol)),)
        weight = self._weights["openOrders.all" if symbol is None else "openOrders.symbol"]
        return self._rest.build("GET", self._open_orders_path, params, stamp_venue_ns, weight, Lane.QUERY)

    def decode_open_orders(self, reply: HttpReply) -> Sequence[ExecutionReport]:
        """All open orders, type ORDER_STATUS.  One that we cannot read makes the whole answer unusable."""
        return tuple(self._query(row, reply) for row in decoded(self._order_rows, reply))

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """Weight and order counts in the reply's headers."""
        return usage_of_headers(reply.headers)

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal, or None.  A failure inside the venue is UNKNOWN, as for an order request."""
        refusal = refusal_of(reply, order=True)
        return None if refusal is None else self._classify(refusal)

    def _classify(self, refusal: Refusal) -> VenueError:
        """By the product's own table."""
        raise NotImplementedError

    def _query(self, row: Any, reply: HttpReply) -> ExecutionReport:
        try:
            return self._reports.of_query(row, reply.received_ns)
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"order {row.orderId} of {row.symbol}: unknown word {unknown}") from None


def not_understood(error: Exception) -> VenueError:
    """An answer that cannot be read proves nothing."""
    return VenueError(Disposition.UNKNOWN, "", f"answer not understood: {error}"[:500])


def payload_of(raw: str | bytes) -> Mapping[str, object]:
    """The `result` of a reply that is not about orders."""
    result: Any = msgspec.json.decode(raw).get("result")
    return result if isinstance(result, dict) else {"result": result}


def reply_of_other(raw: str | bytes, whole: object) -> Reply | None:
    """The answer to something that is not an order, of whatever shape; None for anything else.

    Not to understand an answer about an order must be an error.
    """
    if not isinstance(whole, dict):
        return None
    number, result = whole.get("id"), whole.get("result")
    rows = result if isinstance(result, list) else [result]
    about_orders = any(isinstance(row, dict) and not row.keys().isdisjoint(_ORDER_KEYS) for row in rows)
    if whole.get("status") != 200 or not isinstance(number, str | int) or about_orders:
        return None
    limits = msgspec.convert(usual(whole.get("rateLimits") or ()), tuple[RateLimit, ...])
    return Reply(str(number), payload=payload_of(raw), usage=usage_of_rows(limits))
