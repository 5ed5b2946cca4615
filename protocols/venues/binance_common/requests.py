"""REST requests (reference `binance-spot` sections 2.1, 4.1 and 11; `binance-usdm` sections 2 and 4).

Values are percent-encoded first and the encoded text is what is signed: the other way round is refused since January
2026.  Names stay in the order given; `signature` comes last and is percent-encoded once more, because base64 has `+`
and `/`.  All parameters travel in the query string, also those of POST, PUT and DELETE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.ids import OrderID
from protocols.venue import HttpReply, HttpRequest, Lane, Signer
from protocols.venues.binance_common.refusals import Refusal
from protocols.venues.binance_common.shapes import decode
from protocols.venues.binance_common.wire import ErrorRow
from protocols.venues.values import REFUSED

__all__ = [
    "Params",
    "SignedRequests",
    "check_success",
    "decoded",
    "error_row",
    "order_id_number",
    "public_request",
    "refusal_of",
]

Params = Sequence[tuple[str, str]]
_ERROR = msgspec.json.Decoder(ErrorRow)


def encoded(params: Params) -> str:
    """`name=value` pairs joined by `&`, values percent-encoded."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in params)


def public_request(path: str, params: Params, weight: int) -> HttpRequest:
    """An unsigned GET."""
    return HttpRequest("GET", path, encoded(params), {}, "", weight, Lane.QUERY)


class SignedRequests:
    """Builds signed requests for one key.  `recv_window_ms`: how old a request may be when the venue reads it."""

    __slots__ = ("_headers", "_recv_window", "_signer")

    def __init__(self, signer: Signer, recv_window_ms: int) -> None:
        self._signer = signer
        self._recv_window = str(recv_window_ms)
        self._headers: Mapping[str, str] = {"X-MBX-APIKEY": signer.api_key}

    def build(
        self, method: str, path: str, params: Params, stamp_venue_ns: int, weight: int, lane: Lane
    ) -> HttpRequest:
        """The request with `recvWindow`, `timestamp` and `signature` added."""
        stamp = ("recvWindow", self._recv_window), ("timestamp", str(stamp_venue_ns // 1_000_000))
        payload = encoded((*params, *stamp))
        signature = quote(self._signer.sign(payload.encode()), safe="")
        return HttpRequest(method, path, f"{payload}&signature={signature}", self._headers, "", weight, lane)


def order_id_number(order_id: OrderID) -> str:
    """The venue's order id, which is a number here.  Raises LocalProtocolError for anything else."""
    if not (order_id.isascii() and order_id.isdigit()):
        raise LocalProtocolError(f"order_id was {order_id!r}, must be a number")
    return order_id


def error_row(reply: HttpReply) -> ErrorRow | None:
    """The venue's error object, or None for a success and for a page of a firewall's or gateway's."""
    if 200 <= reply.status < 300:
        return None
    try:
        return decode(_ERROR, reply.body)
    except REFUSED:
        return None


def refusal_of(reply: HttpReply, *, order: bool) -> Refusal | None:
    """The refusal in a REST reply, or None for a success.  Without an error object the status has to do."""
    if 200 <= reply.status < 300:
        return None
    row = error_row(reply)
    code = None if row is None else row.code
    text = reply.body[:200].decode("utf-8", "replace") if row is None else row.msg
    retry_after = next((value for name, value in reply.headers.items() if name.lower() == "retry-after"), None)
    return Refusal(
        status=reply.status,
        code=code,
        text=text,
        page=row is None,
        order=order,
        received_ns=reply.received_ns,
        retry_after_s=retry_after,
    )


def check_success(reply: HttpReply) -> bytes:
    """The body of a successful reply.  Raises RemoteProtocolError otherwise: ask `error` first."""
    if not 200 <= reply.status < 300:
        raise RemoteProtocolError(f"HTTP {reply.status} instead of an answer: {reply.body[:200]!r}")
    return reply.body


def decoded(decoder: msgspec.json.Decoder[Any], reply: HttpReply) -> Any:
    """The body of a successful reply, decoded.  Raises RemoteProtocolError, nothing else."""
    try:
        return decode(decoder, check_success(reply))
    except REFUSED as error:
        raise RemoteProtocolError(f"answer refused: {error}: {reply.body[:200]!r}") from error
