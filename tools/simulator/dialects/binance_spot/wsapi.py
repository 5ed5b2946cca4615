"""What Spot's WebSocket API has beyond orders: user data subscriptions on the same connection (sections 2.2, 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tools.simulator.core.accounts import Account
from tools.simulator.core.net import WsConnection
from tools.simulator.dialects.binance_common.gateway import Call, Method, verify_request
from tools.simulator.dialects.binance_common.wsapi import SESSION_METHODS, ApiSession, own, session_of
from tools.simulator.dialects.binance_spot import errors
from tools.simulator.dialects.binance_spot.errors import VenueError

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot

MOST_SUBSCRIPTIONS = 65_535


class WsApiSession(ApiSession):
    """One connection to `/ws-api/v3`."""

    venue: BinanceSpot

    def __init__(self, venue: BinanceSpot, connection: WsConnection, unit: int, return_limits: bool) -> None:
        super().__init__(venue, connection, unit=unit, return_limits=return_limits)
        self.subscriptions: dict[int, tuple[Account, bool]] = {}  # account, and whether it rests on the logon
        self._next_subscription = 0

    @property
    def variant(self) -> int:
        """Events differ by the time unit that the connection asked for."""
        return self.unit

    async def run(self) -> None:
        """Serve requests until the connection ends. Raises ConnectionClosed."""
        try:
            await super().run()
        finally:
            for subscription_id, (account, _) in self.subscriptions.items():
                self.venue.user_data.unsubscribe(account, self, subscription_id)
            self.subscriptions.clear()

    def method_of(self, name: str) -> Method | None:
        return super().method_of(name.removeprefix("v3/"))

    def send_event(self, subscription: int, event: bytes) -> None:
        self.connection.send(b'{"subscriptionId":%d,"event":%b}' % (subscription, event))

    def key_revoked(self) -> None:
        super().key_revoked()
        self.end_subscriptions(only_logon=True)

    def logged_out(self) -> None:
        self.end_subscriptions(only_logon=True)
        super().logged_out()

    def state(self, unit: int) -> dict[str, Any]:
        subscribed = any(by_logon for _, by_logon in self.subscriptions.values())
        return super().state(unit) | {"userDataStream": None if self.key is None else subscribed}

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
    session = session_of(call)
    assert isinstance(session, WsApiSession)
    return session


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


METHODS = [
    *SESSION_METHODS,
    own("session.subscriptions", subscriptions),
    own("userDataStream.subscribe", subscribe),
    own("userDataStream.subscribe.signature", subscribe_signed),
    own("userDataStream.unsubscribe", unsubscribe),
]
