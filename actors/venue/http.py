"""REST, behind one wrapper: the only place that imports httpx.

What the wrapper promises to every caller:

* The bytes of the query are exactly those that were signed; nothing is reordered, decoded or encoded again.
* The environment is ignored (no proxies, no netrc), redirects are not followed, certificates are verified, plain
  `http://` is spoken on loopback only.
* An answer is a `HttpReply` whatever its status; what a status means is the codec's business.
* An error says what it means for the request.  `VenueUnavailable`: not one byte of the request has left.
  `OutcomeUnknown`: it may have left, so its effect is unknown and it must not be sent again blindly.
* Answers are bounded in size and time.

One client serves all sessions of a venue for the life of the process: building it takes 200 ms, and its connections
are kept open::

    async with HttpClient("https://api.example.org", TransportSettings(), now_ns=clock.wall_ns) as http:
        reply = await http.request(codec.time_request())
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
import trio

from actors.venue.loggers import cap_library_loggers
from actors.venue.settings import TransportSettings
from actors.venue.tls import tls_context
from protocols.errors import ConfigError, OutcomeUnknown, VenueUnavailable
from protocols.venue import HttpReply, HttpRequest

_NS = 1e-9

# The request was not begun: no connection was had, or none was free in time.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class HttpClient:
    """One venue's REST host.  Safe to share among sessions: a canceled request disturbs no other."""

    def __init__(
        self,
        base_url: str,
        settings: TransportSettings,
        *,
        now_ns: Callable[[], int],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`base_url` is `https://host[:port]`; `now_ns` reads the wall clock; ConfigError for an unusable address."""
        cap_library_loggers()
        self.base_url = _checked(base_url)
        self._now_ns = now_ns
        self._bytes_max = settings.http_response_bytes_max
        connect_s = settings.connect_timeout_ns * _NS
        answer_s = settings.http_timeout_ns * _NS
        self._total_s = connect_s + answer_s
        self._client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            verify=tls or tls_context(),
            timeout=httpx.Timeout(answer_s, connect=connect_s, pool=connect_s),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=60.0),
            headers={"accept-encoding": "identity", "user-agent": "bulkhead"},
        )

    async def request(self, request: HttpRequest) -> HttpReply:
        """Send once and return the answer.  Raises VenueUnavailable (surely not sent) or OutcomeUnknown."""
        target = f"{request.path}?{request.query}" if request.query else request.path
        what = f"{request.method} {self.base_url}{request.path}"  # the query is a secret: it holds the signature
        asked = {name.lower(): value for name, value in request.headers.items()}
        if request.body:
            asked.setdefault("content-type", "application/x-www-form-urlencoded")
        outgoing = self._client.build_request(
            request.method,
            self.base_url + request.path,
            headers=asked,
            content=request.body.encode() if request.body else None,
            extensions={"target": target.encode("ascii")},
        )
        sent_ns = self._now_ns()
        try:
            with trio.move_on_after(self._total_s):
                incoming = await self._client.send(outgoing, stream=True)
                try:
                    body = await self._read(incoming, what)
                finally:
                    await incoming.aclose()
                received_ns = self._now_ns()
                headers = {name.lower(): value for name, value in incoming.headers.items()}
                return HttpReply(incoming.status_code, headers, body, sent_ns, received_ns, request.group)
        except _NOT_SENT as error:
            raise VenueUnavailable(f"{what} was not sent: {_say(error)}") from error
        except httpx.HTTPError as error:
            raise OutcomeUnknown(f"{what} may have been sent: {_say(error)}") from error
        raise OutcomeUnknown(f"{what} may have been sent: no whole answer within {self._total_s:.1f} s")

    async def _read(self, incoming: httpx.Response, what: str) -> bytes:
        body, too_long = bytearray(), False
        try:
            async for chunk in incoming.aiter_raw():  # raw: no encoding was asked for
                body += chunk
                if len(body) > self._bytes_max:
                    too_long = True
                    # Closing makes the next read fail, so that the library's nested generators end by themselves.
                    await incoming.aclose()
        except httpx.HTTPError:
            if not too_long:
                raise
        if too_long:
            raise OutcomeUnknown(f"{what}: the answer is longer than {self._bytes_max} bytes")
        return bytes(body)

    async def aclose(self) -> None:
        """Close all kept connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _say(error: httpx.HTTPError) -> str:
    """Class and text of an httpx error; many have no text."""
    return f"{type(error).__name__} {error}".rstrip()


def _checked(base_url: str) -> str:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    usable = parts.scheme in ("http", "https") and host and parts.path in ("", "/") and not parts.query
    if not usable or parts.username is not None:
        raise ConfigError(f"rest_url was {base_url!r}, must be https://host[:port]")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError(f"rest_url was {base_url!r}, but http:// is allowed on loopback only; use https://")
    return f"{parts.scheme}://{parts.netloc}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
