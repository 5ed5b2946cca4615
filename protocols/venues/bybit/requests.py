"""REST requests and the envelope of their answers (reference sections 2 and 12).

What is signed is what is sent: the query is written once and the body is encoded once, and those very bytes follow
`timestamp + key + recv_window` into the signature.  Cursors come from the venue already percent-encoded and go back as
they came.  A GET carries no body, not even an empty object: the venue's firewall refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from protocols.errors import RemoteProtocolError
from protocols.instruments import Product
from protocols.venue import HttpReply, HttpRequest, Lane, Reply, Signer
from protocols.venues.bybit.errors import NOTHING_TO_CHANGE, Refusal, control_error
from protocols.venues.bybit.wire import Outcome, Page, PageAnswer
from protocols.venues.values import REFUSED

__all__ = [
    "Params",
    "SignedRequests",
    "control_reply",
    "decoded",
    "encoded",
    "page_of",
    "public_request",
    "refusal_of",
    "reset_ms_of",
]

Params = Sequence[tuple[str, str]]
_OUTCOME = msgspec.json.Decoder(Outcome)
_PAGE = msgspec.json.Decoder(PageAnswer)
_ACCEPTED_AUTH = 20001
"""Logged on already."""


def encoded(params: Params) -> str:
    """`name=value` pairs joined by `&`; values percent-encoded, except what is so already."""
    return "&".join(f"{name}={quote(value, safe='%')}" for name, value in params)


def public_request(path: str, params: Params) -> HttpRequest:
    """An unsigned GET."""
    return HttpRequest("GET", path, encoded(params), {}, "", 0, Lane.QUERY)


class SignedRequests:
    """Builds signed requests for one key.  `recv_window_ms`: how old a request may be when the venue reads it."""

    __slots__ = ("_recv_window", "_signer")

    def __init__(self, signer: Signer, recv_window_ms: int) -> None:
        self._signer = signer
        self._recv_window = str(recv_window_ms)

    def get(self, path: str, params: Params, stamp_venue_ns: int) -> HttpRequest:
        """A query."""
        return self.get_again(path, encoded(params), stamp_venue_ns)

    def get_again(self, path: str, query: str, stamp_venue_ns: int) -> HttpRequest:
        """A query whose text is finished."""
        return HttpRequest("GET", path, query, self._headers(query, stamp_venue_ns), "", 0, Lane.QUERY)

    def post(self, path: str, fields: Mapping[str, object], stamp_venue_ns: int, lane: Lane) -> HttpRequest:
        """A command; the body is compact JSON in the order of `fields`."""
        body = msgspec.json.encode(fields).decode()
        headers = self._headers(body, stamp_venue_ns) | {"Content-Type": "application/json"}
        return HttpRequest("POST", path, "", headers, body, 0, lane)

    def _headers(self, payload: str, stamp_venue_ns: int) -> dict[str, str]:
        stamp, key = str(stamp_venue_ns // 1_000_000), self._signer.api_key
        return {
            "X-BAPI-API-KEY": key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": self._recv_window,
            "X-BAPI-SIGN": self._signer.sign(f"{stamp}{key}{self._recv_window}{payload}".encode()),
            "X-BAPI-SIGN-TYPE": "2",
        }


# ---- answers ---------------------------------------------------------------------------------------------------


def refusal_of(reply: HttpReply, product: Product, *, order: bool) -> Refusal | None:
    """The refusal in a REST answer, or None for a success: `retCode` 0, or "it is so already"."""
    code, text, server_time_ms = None, "", None
    try:
        outcome = _OUTCOME.decode(reply.body)
    except REFUSED:
        # Not the API's answer but a firewall's or gateway's page: the status has to do.
        text = reply.body[:200].decode("utf-8", "replace")
    else:
        code, text, server_time_ms = outcome.retCode, outcome.retMsg, outcome.time or None
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


def reset_ms_of(headers: Mapping[str, str]) -> int | None:
    """When the bucket refills, ms by the venue's clock; of HTTP headers or a socket's `header`, names in any case."""
    for name, value in headers.items():
        if name.lower() == "x-bapi-limit-reset-timestamp" and value.isascii() and value.isdigit() and len(value) == 13:
            return int(value)
    return None


def control_reply(whole: Mapping[str, Any], request_id: str, product: Product, received_ns: int) -> Reply | None:
    """The answer to a control frame of any socket, or None for what is none.

    Pongs come in four shapes, some as `"op":"ping"`, so they are known by `op` and by `ret_msg`.  Public and private
    sockets say `success`, the trade socket says `retCode`.
    """
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
