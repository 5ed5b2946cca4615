"""The WebSocket API: one session per connection, with logon and user data subscriptions (sections 2.2, 8.1)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from tools.simulator.core.accounts import Account, ApiKey, KeyKind
from tools.simulator.core.delivery import Line, perform
from tools.simulator.core.net import WsConnection
from tools.simulator.dialects.binance_spot import auth, errors
from tools.simulator.dialects.binance_spot.errors import VenueError
from tools.simulator.dialects.binance_spot.gateway import (
    Call,
    Method,
    Outcome,
    Security,
    verify_request,
)
from tools.simulator.dialects.binance_spot.params import Params, text_of

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot

MOST_SUBSCRIPTIONS = 65_535


class _Reply:
    """The way back for one request; carries its id."""

    def __init__(self, session: WsApiSession, request_id: Any, return_limits: bool) -> None:
        self._session = session
        self._id = request_id
        self._return_limits = return_limits

    def reply(self, outcome: Outcome) -> None:
        self._session.send_reply(self._id, outcome, self._return_limits)

    def silence(self) -> None:
        pass

    def cut(self) -> None:
        self._session.connection.reset()


class WsApiSession:
    """One connection to `/ws-api/v3`."""

    def __init__(self, venue: BinanceSpot, connection: WsConnection, unit: int, return_limits: bool) -> None:
        self.venue = venue
        self.connection = connection
        self.unit = unit
        self.return_limits = return_limits
        self.key: ApiKey | None = None
        self.authorized_ns = 0
        self.connected_ns = venue.clock.now_ns()
        self.subscriptions: dict[int, tuple[Account, bool]] = {}  # account, and whether it rests on the logon
        self.line = Line()
        self._next_subscription = 0

    @property
    def variant(self) -> int:
        """Events differ by the time unit that the connection asked for."""
        return self.unit

    async def run(self) -> None:
        """Serve requests until the connection ends. Raises ConnectionClosed."""
        try:
            while True:
                self.handle(await self.connection.receive())
        finally:
            for subscription_id, (account, _) in self.subscriptions.items():
                self.venue.user_data.unsubscribe(account, self, subscription_id)
            self.subscriptions.clear()

    def handle(self, message: str | bytes) -> None:
        """One request frame."""
        try:
            request = json.loads(message, parse_float=str)
            request_id = request.get("id")
            method_name = request["method"]
            values = {name: text_of(value) for name, value in (request.get("params") or {}).items()}
        except (ValueError, AttributeError, KeyError, TypeError):
            self.send_reply(None, Outcome.failed(VenueError(-1135, "Invalid JSON Request")), self.return_limits)
            return
        method = self.venue.methods.by_name.get(str(method_name).removeprefix("v3/"))
        if method is None or not method.ws:
            unknown = VenueError(-1020, "This operation is not supported.")
            self.send_reply(request_id, Outcome.failed(unknown), self.return_limits)
            return
        wanted = values.get("returnRateLimits")
        return_limits = self.return_limits if wanted is None else wanted == "true"
        call = Call(
            method=method.name,
            params=Params(values),
            peer=self.connection.peer,
            received_ns=self.venue.clock.now_ns(),
            unit=self.unit,
            payload=auth.ws_payload(values) if "signature" in values else "",
            signature=values.get("signature"),
            api_key=values.get("apiKey"),
            session=self,
        )
        perform(self.venue, self.venue.job(method, call), _Reply(self, request_id, return_limits))

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
            account = self.key.account if outcome.orders_counted and self.key else None
            body["rateLimits"] = self.venue.limit_rows(self.connection.peer, account)
        self.connection.send(orjson.dumps(body))

    def send_event(self, subscription: int, event: bytes) -> None:
        self.connection.send(b'{"subscriptionId":%d,"event":%b}' % (subscription, event))

    def announce_shutdown(self) -> None:
        """`serverShutdown`: comes without a subscription id."""
        event = {"event": {"e": "serverShutdown", "E": self.venue.clock.now_ns() // 1_000_000}}
        self.connection.send(orjson.dumps(event))

    def key_revoked(self) -> None:
        """The venue tells a logged-on session once that its key is gone (2.2)."""
        error = errors.bad_key()
        self.connection.send(orjson.dumps({"id": None, "status": 401, "error": error.body()}))
        self.end_subscriptions(only_logon=True)
        self.key = None

    # -------------------------------------------------------------------------------------- session
    def state(self, unit: int) -> dict[str, Any]:
        subscribed = any(by_logon for _, by_logon in self.subscriptions.values())
        return {
            "apiKey": None if self.key is None else self.key.api_key,
            "authorizedSince": None if self.key is None else self.authorized_ns // unit,
            "connectedSince": self.connected_ns // unit,
            "returnRateLimits": self.return_limits,
            "serverTime": self.venue.clock.now_ns() // unit,
            "userDataStream": None if self.key is None else subscribed,
        }

    def subscribe(self, account: Account, *, by_logon: bool) -> int:
        """A new subscription id. Raises -2035 for a second one of the account, -2042 when ids are used up."""
        if any(account is held for held, _ in self.subscriptions.values()):
            raise VenueError(-2035, "User Data Stream subscription already active.")
        if self._next_subscription >= MOST_SUBSCRIPTIONS:
            raise VenueError(-2042, "Maximum subscription ID reached for this connection.")
        subscription_id = self._next_subscription
        self._next_subscription += 1
        self.subscriptions[subscription_id] = (account, by_logon)
        self.venue.user_data.subscribe(account, self, subscription_id)
        return subscription_id

    def end(self, subscription_id: int) -> None:
        """One subscription is over; the client is told."""
        account, _ = self.subscriptions.pop(subscription_id)
        self.venue.user_data.unsubscribe(account, self, subscription_id)
        event = {"e": "eventStreamTerminated", "E": self.venue.clock.now_ns() // self.unit}
        self.send_event(subscription_id, orjson.dumps(event))

    def end_subscriptions(self, *, only_logon: bool) -> None:
        for subscription_id, (_, by_logon) in list(self.subscriptions.items()):
            if by_logon or not only_logon:
                self.end(subscription_id)


def _session(call: Call) -> WsApiSession:
    if call.session is None:
        raise AssertionError("session methods exist on the WebSocket API only")
    return call.session


def logon(venue: BinanceSpot, call: Call) -> Any:
    session = _session(call)
    verify_request(venue, call)
    call.params.finish()
    assert call.key is not None
    if call.key.kind is not KeyKind.ED25519:
        raise VenueError(-4056, "HMAC_SHA256 API key is not supported.")
    session.key = call.key
    session.authorized_ns = venue.clock.now_ns()
    return session.state(call.unit)


def session_status(venue: BinanceSpot, call: Call) -> Any:
    call.params.finish()
    return _session(call).state(call.unit)


def logout(venue: BinanceSpot, call: Call) -> Any:
    session = _session(call)
    call.params.finish()
    session.end_subscriptions(only_logon=True)
    session.key = None
    return session.state(call.unit)


def subscriptions(venue: BinanceSpot, call: Call) -> Any:
    call.params.finish()
    return [{"subscriptionId": number} for number in _session(call).subscriptions]


def subscribe(venue: BinanceSpot, call: Call) -> Any:
    session = _session(call)
    call.params.finish()
    if session.key is None:
        raise errors.bad_key()
    return {"subscriptionId": session.subscribe(session.key.account, by_logon=True)}


def subscribe_signed(venue: BinanceSpot, call: Call) -> Any:
    verify_request(venue, call)
    call.params.finish()
    return {"subscriptionId": _session(call).subscribe(call.account, by_logon=False)}


def unsubscribe(venue: BinanceSpot, call: Call) -> Any:
    session = _session(call)
    chosen = call.params.integer("subscriptionId")
    call.params.finish()
    if chosen is None:
        session.end_subscriptions(only_logon=False)
    elif chosen in session.subscriptions:
        session.end(chosen)
    else:
        raise VenueError(-2036, "User Data Stream subscription not active.")
    return {}


def _own(name: str, handler: Any) -> Method:
    return Method(name=name, handler=handler, weight=2, security=Security.OWN)


METHODS = [
    _own("session.logon", logon),
    _own("session.status", session_status),
    _own("session.logout", logout),
    _own("session.subscriptions", subscriptions),
    _own("userDataStream.subscribe", subscribe),
    _own("userDataStream.subscribe.signature", subscribe_signed),
    _own("userDataStream.unsubscribe", unsubscribe),
]
