"""The WebSocket API: one session per connection, with logon (sections 2.2, 8.1)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from tools.simulator.core.accounts import ApiKey, KeyKind
from tools.simulator.core.delivery import Line, perform
from tools.simulator.core.net import WsConnection
from tools.simulator.dialects.binance_common import auth, errors
from tools.simulator.dialects.binance_common.errors import VenueError
from tools.simulator.dialects.binance_common.gateway import Call, Method, Outcome, Security, verify_request
from tools.simulator.dialects.binance_common.params import text_of

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_common.venue import BinanceVenue


class _Reply:
    """The way back for one request; carries its id."""

    def __init__(self, session: ApiSession, request_id: Any, return_limits: bool) -> None:
        self._session = session
        self._id = request_id
        self._return_limits = return_limits

    def reply(self, outcome: Outcome) -> None:
        self._session.send_reply(self._id, outcome, self._return_limits)

    def silence(self) -> None:
        pass

    def cut(self) -> None:
        self._session.connection.reset()


class ApiSession:
    """One connection to the WebSocket API."""

    def __init__(
        self, venue: BinanceVenue, connection: WsConnection, *, unit: int = 1_000_000, return_limits: bool = True
    ) -> None:
        self.venue = venue
        self.connection = connection
        self.unit = unit
        self.return_limits = return_limits
        self.key: ApiKey | None = None
        self.authorized_ns = 0
        self.connected_ns = venue.clock.now_ns()
        self.line = Line()

    async def run(self) -> None:
        """Serve requests until the connection ends. Raises ConnectionClosed."""
        while True:
            self.handle(await self.connection.receive())

    def handle(self, message: str | bytes) -> None:
        """One request frame."""
        try:
            request = json.loads(message, parse_float=str)
            request_id = request.get("id")
            method_name = str(request["method"])
            values = {name: text_of(value) for name, value in (request.get("params") or {}).items()}
        except (ValueError, AttributeError, KeyError, TypeError):
            self.send_reply(None, Outcome.failed(VenueError(-1135, "Invalid JSON Request")), self.return_limits)
            return
        method = self.method_of(method_name)
        if method is None or not method.ws:
            unknown = VenueError(-1020, "This operation is not supported.")
            self.send_reply(request_id, Outcome.failed(unknown), self.return_limits)
            return
        wanted = values.get("returnRateLimits")
        return_limits = self.return_limits if wanted is None else wanted == "true"
        call = Call(
            method=method.name,
            params=self.venue.params(values),
            peer=self.connection.peer,
            received_ns=self.venue.clock.now_ns(),
            unit=self.unit,
            payload=auth.ws_payload(values) if "signature" in values else "",
            signature=values.get("signature"),
            api_key=values.get("apiKey"),
            session=self,
        )
        perform(self.venue, self.venue.job(method, call), _Reply(self, request_id, return_limits))

    def method_of(self, name: str) -> Method | None:
        return self.venue.methods.by_name.get(name)

    # --------------------------------------------------------------------------------------- outgoing
    def send_reply(self, request_id: Any, outcome: Outcome, return_limits: bool) -> None:
        body: dict[str, Any] = {"id": request_id, "status": outcome.status}
        if outcome.error is None:
            body["result"] = outcome.result
        else:
            error = outcome.error.body()
            if outcome.retry_after_ns:
                error["data"] = {
                    "serverTime": self.venue.clock.now_ns() // 1_000_000,
                    "retryAfter": outcome.retry_after_ns // 1_000_000,
                }
            body["error"] = error
        if return_limits:
            body["rateLimits"] = self.venue.limit_rows(self.connection.peer, outcome.account)
        self.connection.send(orjson.dumps(body))

    def announce_shutdown(self) -> None:
        """`serverShutdown`: comes without a subscription id."""
        event = {"event": {"e": "serverShutdown", "E": self.venue.clock.now_ns() // 1_000_000}}
        self.connection.send(orjson.dumps(event))

    def key_revoked(self) -> None:
        """The venue tells a logged-on session once that its key is gone (2.2)."""
        error = errors.bad_key()
        self.connection.send(orjson.dumps({"id": None, "status": 401, "error": error.body()}))
        self.key = None

    def state(self, unit: int) -> dict[str, Any]:
        """What the session methods answer with."""
        return {
            "apiKey": None if self.key is None else self.key.api_key,
            "authorizedSince": None if self.key is None else self.authorized_ns // unit,
            "connectedSince": self.connected_ns // unit,
            "returnRateLimits": self.return_limits,
            "serverTime": self.venue.clock.now_ns() // unit,
        }

    def logged_out(self) -> None:
        self.key = None


def session_of(call: Call) -> ApiSession:
    """The connection that a session method came in on."""
    if call.session is None:
        raise AssertionError("session methods exist on the WebSocket API only")
    return call.session


def logon(venue: BinanceVenue, call: Call) -> Any:
    session = session_of(call)
    verify_request(venue, call)
    call.params.finish()
    assert call.key is not None
    if call.key.kind is not KeyKind.ED25519:
        raise VenueError(-4056, "HMAC_SHA256 API key is not supported.")
    session.key = call.key
    session.authorized_ns = venue.clock.now_ns()
    return session.state(call.unit)


def session_status(venue: BinanceVenue, call: Call) -> Any:
    call.params.finish()
    return session_of(call).state(call.unit)


def logout(venue: BinanceVenue, call: Call) -> Any:
    session = session_of(call)
    call.params.finish()
    session.logged_out()
    return session.state(call.unit)


def own(name: str, handler: Any, *, weight: int = 2) -> Method:
    """A method that checks its key itself."""
    return Method(name=name, handler=handler, weight=weight, security=Security.OWN)


SESSION_METHODS = [
    own("session.logon", logon),
    own("session.status", session_status),
    own("session.logout", logout),
]
