"""REST requests (reference sections 2.1, 2.3, 2.4 and 10).

What is signed is timestamp, method, path with its query, and body, exactly as they travel: the path is put together
once, signed and sent.  The timestamp is ISO 8601 in UTC with milliseconds, and valid for 30 s.  Commands are compact
JSON in the body; `expTime` is a header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from protocols.errors import RemoteProtocolError
from protocols.venue import HttpReply, HttpRequest, Lane
from protocols.venues.okx.errors import Refusal
from protocols.venues.okx.limits import COMMANDS, SINGLE
from protocols.venues.okx.signer import OkxSigner
from protocols.venues.okx.wire import AckRow, Envelope, Reader
from protocols.venues.values import REFUSED

__all__ = [
    "Params",
    "SignedRequests",
    "encoded",
    "iso_stamp",
    "public_request",
    "refusal_of",
    "refusal_of_item",
    "success",
]

Params = Sequence[tuple[str, str]]
_ENVELOPE: Reader[Envelope] = Reader(Envelope)
_ITEMS: Reader[tuple[AckRow, ...]] = Reader(tuple[AckRow, ...])


def encoded(params: Params) -> str:
    """`name=value` pairs joined by `&`, values percent-encoded; parameters without a value are left out."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in params if value)


def iso_stamp(stamp_ns: int) -> str:
    """A time as the venue signs it: `2026-01-01T00:00:00.123Z`."""
    seconds, rest_ns = divmod(stamp_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"


def public_request(path: str, params: Params, endpoint: str) -> HttpRequest:
    """An unsigned GET; `endpoint` is a row of `limits.PER_WINDOW`."""
    return HttpRequest("GET", path, encoded(params), {}, "", 0, Lane.QUERY, endpoint)


class SignedRequests:
    """Builds signed requests for one key."""

    __slots__ = ("_headers", "_signer")

    def __init__(self, signer: OkxSigner, *, simulated: bool) -> None:
        self._signer = signer
        self._headers: Mapping[str, str] = {
            "OK-ACCESS-KEY": signer.api_key,
            "OK-ACCESS-PASSPHRASE": signer.passphrase,
            "Content-Type": "application/json",
        } | ({"x-simulated-trading": "1"} if simulated else {})

    def get(self, path: str, query: str, stamp_venue_ns: int, endpoint: str) -> HttpRequest:
        """A query, percent-encoded; `endpoint` is a row of `limits.PER_WINDOW`."""
        return self._build("GET", path, query, "", stamp_venue_ns, Lane.QUERY, endpoint, {})

    def post(self, path: str, body: object, stamp_venue_ns: int, lane: Lane, window_ms: int = 0) -> HttpRequest:
        """A command.  With a window the venue discards it when the engine would see it later than that.

        Each kind of command has a bucket of its own, of which a batch takes as much as it has orders.
        """
        expiry = {"expTime": str(stamp_venue_ns // 1_000_000 + window_ms)} if window_ms else {}
        text = msgspec.json.encode(body).decode()
        units = len(body) if isinstance(body, list | tuple) else 1
        return self._build("POST", path, "", text, stamp_venue_ns, lane, _group_of(path, units), expiry, units)

    def _build(
        self,
        method: str,
        path: str,
        query: str,
        body: str,
        stamp_venue_ns: int,
        lane: Lane,
        group: str,
        more_headers: Mapping[str, str],
        units: int = 1,
    ) -> HttpRequest:
        stamp = iso_stamp(stamp_venue_ns)
        target = f"{path}?{query}" if query else path
        signature = self._signer.sign(f"{stamp}{method}{target}{body}".encode())
        headers = {**self._headers, "OK-ACCESS-TIMESTAMP": stamp, "OK-ACCESS-SIGN": signature, **more_headers}
        return HttpRequest(method, path, query, headers, body, 0, lane, group, units)


def _group_of(path: str, units: int) -> str:
    name = path.rpartition("/")[2]
    if units == 1:
        name = SINGLE.get(name, name)
    return COMMANDS.get(name, name)


def refusal_of(reply: HttpReply, *, order: bool) -> Refusal | None:
    """The refusal in a REST reply; None for a success, also a partial one, and for a batch of which each part failed.

    The status is mostly 200 either way.
    """
    try:
        envelope = _ENVELOPE.decode(reply.body)
    except REFUSED:
        # Not the API's answer but a firewall's or gateway's page: the status has to do.
        return Refusal(
            status=reply.status,
            code="",
            text=reply.body[:200].decode("utf-8", "replace"),
            order=order,
            received_ns=reply.received_ns,
        )
    if 200 <= reply.status < 300 and envelope.code in ("0", "2"):
        return None
    if envelope.code == "1":
        items = _items(envelope)
        if len(items) > 1 and 200 <= reply.status < 300:
            return None  # all failed, each for a reason of its own: the answer has to be read part by part
        if items and items[0].sCode != "0":
            return refusal_of_item(items[0], order=order, received_ns=reply.received_ns, status=reply.status)
    code, text = envelope.code, envelope.msg
    return Refusal(status=reply.status, code=code, text=text, order=order, received_ns=reply.received_ns)


def refusal_of_item(item: AckRow, *, order: bool, received_ns: int, status: int = 200) -> Refusal:
    """The refusal of one item; the reason behind a reason is joined to the code as `51008_1000`."""
    code = f"{item.sCode}_{item.subCode}" if item.subCode else item.sCode
    return Refusal(status=status, code=code, text=item.sMsg, order=order, received_ns=received_ns)


def success(reply: HttpReply) -> msgspec.Raw:
    """The `data` of a successful reply.  Raises RemoteProtocolError otherwise: ask `error` first."""
    try:
        envelope = _ENVELOPE.decode(reply.body)
    except REFUSED as error:
        raise RemoteProtocolError(f"HTTP {reply.status}, answer refused: {error}: {reply.body[:200]!r}") from error
    if not 200 <= reply.status < 300 or envelope.code != "0":
        raise RemoteProtocolError(f"HTTP {reply.status} instead of an answer: {reply.body[:200]!r}")
    if not bytes(envelope.data):
        raise RemoteProtocolError(f"a success without data: {reply.body[:200]!r}")
    return envelope.data


def _items(envelope: Envelope) -> tuple[AckRow, ...]:
    try:
        return _ITEMS.decode(envelope.data)
    except REFUSED:
        return ()
