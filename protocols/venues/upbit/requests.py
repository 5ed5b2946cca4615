"""REST requests (reference sections 1, 2 and 7).

A request is an ordered list of (name, text) pairs, and everything is made from this one list: the text that is hashed,
the query (percent-encoded, but for the brackets of array names) and the JSON body (strings, in the same order).  So the
three cannot disagree, which is what `invalid_query_payload` would punish.

The nonce of a token must never be used twice, and this package draws no random number: it is made from the moment of
sending, a counter, a salt and the request itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, quote

import msgspec

from protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from protocols.ids import Symbol
from protocols.venue import HttpReply, HttpRequest, Lane, Signer
from protocols.venues.upbit.errors import Refusal
from protocols.venues.upbit.signer import JwtSigner
from protocols.venues.upbit.wire import ErrorBody
from protocols.venues.values import REFUSED

__all__ = [
    "Pairs",
    "SignedRequests",
    "check_success",
    "hash_text",
    "json_body",
    "legal_code",
    "pairs_of",
    "public_request",
    "refusal_of",
    "wire_query",
]

Pairs = Sequence[tuple[str, str]]

_ERROR = msgspec.json.Decoder(ErrorBody)
_JSON = {"Content-Type": "application/json; charset=utf-8"}
_CODE_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def hash_text(pairs: Pairs) -> str:
    """What is hashed: nothing encoded, array names repeated with their brackets."""
    return "&".join(f"{name}={value}" for name, value in pairs)


def wire_query(pairs: Pairs) -> str:
    """What is sent: everything percent-encoded except the brackets of array names."""
    return "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in pairs)


def json_body(pairs: Pairs) -> str:
    """The body of a POST: compact, in the order of the pairs, every value a string."""
    return msgspec.json.encode(dict(pairs)).decode()


def pairs_of(query: str) -> list[tuple[str, str]]:
    """The pairs that a query of ours was made of."""
    return parse_qsl(query, keep_blank_values=True)


def public_request(path: str, pairs: Pairs, group: str) -> HttpRequest:
    """An unsigned GET."""
    return HttpRequest("GET", path, wire_query(pairs), {}, "", 1, Lane.QUERY, group)


class SignedRequests:
    """Builds the requests of one key.  `salt` tells two builders apart that use one key in the same nanosecond."""

    __slots__ = ("_count", "_salt", "_signer")

    def __init__(self, signer: Signer, salt: str) -> None:
        if not isinstance(signer, JwtSigner):
            raise ConfigError(f"Upbit signs by JWT, not by a {type(signer).__name__}; use upbit.signer_for")
        self._signer = signer
        self._salt = salt
        self._count = 0

    def build(
        self, method: str, path: str, pairs: Pairs, stamp_venue_ns: int, lane: Lane, group: str = "default"
    ) -> HttpRequest:
        """The request with its token.  Parameters of POST travel in the body, of all others in the query."""
        headers = self.authorization(pairs, stamp_venue_ns, f"{method} {path}")
        if method == "POST":
            return HttpRequest(method, path, "", {**headers, **_JSON}, json_body(pairs), 1, lane, group)
        return HttpRequest(method, path, wire_query(pairs), headers, "", 1, lane, group)

    def authorization(self, pairs: Pairs, stamp_venue_ns: int, what: str) -> Mapping[str, str]:
        """The header of one request, or of one upgrade to a WebSocket."""
        text = hash_text(pairs)
        self._count += 1
        made_of = f"{self._salt}\n{self._signer.api_key}\n{stamp_venue_ns}\n{self._count}\n{what}\n{text}"
        return {"Authorization": f"Bearer {self._signer.token(_nonce(made_of), text)}"}


def _nonce(made_of: str) -> str:
    """A text of the form of a random UUID (version 4, as the venue asks for), the same for the same input."""
    digits = hashlib.blake2b(made_of.encode(), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def legal_code(symbol: Symbol) -> Symbol:
    """A market code as the venue writes it.  Raises LocalProtocolError: unknown codes are ignored in silence there."""
    quote_currency, dash, base = symbol.partition("-")
    if not (dash and quote_currency and base and _CODE_LETTERS.issuperset(quote_currency + base)):
        raise LocalProtocolError(f"symbol was {symbol!r}, must be QUOTE-BASE in capitals as in KRW-BTC")
    return symbol


def refusal_of(reply: HttpReply, *, order: bool) -> Refusal | None:
    """The refusal in a REST reply, or None for a success."""
    if 200 <= reply.status < 300:
        return None
    name: str | int | None = None
    try:
        row = _ERROR.decode(reply.body).error
    except REFUSED:
        # 404, 418, 429 and 500 promise no error object; a gateway's page is none either.
        text = reply.body[:500].decode("utf-8", "replace")
    else:
        name, text = row.name, row.message or ""
    retry_after = next((value for key, value in reply.headers.items() if key.lower() == "retry-after"), None)
    return Refusal(
        status=reply.status,
        name=name,
        text=text,
        order=order,
        received_ns=reply.received_ns,
        retry_after_s=retry_after,
    )


def check_success(reply: HttpReply) -> bytes:
    """The body of a successful reply.  Raises RemoteProtocolError otherwise: ask `error` first."""
    if not 200 <= reply.status < 300:
        raise RemoteProtocolError(f"HTTP {reply.status} instead of an answer: {reply.body[:200]!r}")
    return reply.body
