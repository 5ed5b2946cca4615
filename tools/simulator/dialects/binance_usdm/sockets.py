"""Stream connections on three routes, and on none (sections 1, 13, 15.1).

| address | delivers |
| --- | --- |
| `/public/ws/...`, `/public/stream?streams=` | books |
| `/market/ws/...`, `/market/stream?streams=` | all other market data |
| `/private/ws/<listenKey>`, `/private/ws?listenKey=K&events=A/B`, `/private/stream?listenKey=K1&...` | user data |
| `/ws/...`, `/stream?streams=` (unrouted, retired in April 2026) | books; everything is acknowledged |

A stream on the wrong route is acknowledged and stays silent, and so is a listen key that nobody made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tools.simulator.core.accounts import Account
from tools.simulator.core.net import WsConnection
from tools.simulator.dialects.binance_common.marketws import ControlError, MarketSession

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

ROUTES = ("public", "market", "private")
EVERYTHING = frozenset({"*"})

Subscription = tuple[str, frozenset[str]]  # listen key, and the event types it is to deliver


def route_of(path: str) -> str:
    """The first part of the path where it is a route, else ""."""
    first = path.lstrip("/").split("/", 1)[0]
    return first if first in ROUTES else ""


def stream_route(name: str) -> str:
    """Where a stream belongs: "public" or "market"."""
    kind = name.partition("@")[2]
    if name == "!bookTicker" or kind in ("bookTicker", "trade") or kind.startswith(("depth", "rpiDepth")):
        return "public"
    return "market"


class StreamSession(MarketSession):
    """One subscriber of public streams, of user data, or of both where the demo host would allow it."""

    def __init__(self, venue: BinanceUsdm, connection: WsConnection) -> None:
        super().__init__(venue, connection)
        self._usdm = venue
        self.route = route_of(connection.target)
        self._keys: dict[str, tuple[Account, Subscription]] = {}

    variant = 0

    def begin(self) -> None:
        """Listen to what the address asks for."""
        for key, events in _asked_for(self.connection.target):
            self._listen(key, events)
        super().begin()

    def end(self) -> None:
        """The connection is over."""
        super().end()
        for key in list(self._keys):
            self.forget_key(key)

    def attach(self, name: str) -> None:
        """Listen to a stream, if this is its route."""
        if self.route == "private":
            self._listen(name, EVERYTHING)
        elif stream_route(name) == (self.route or "public"):
            super().attach(name)

    def detach(self, name: str) -> None:
        self.forget_key(name)
        super().detach(name)

    def checked_id(self, value: Any) -> Any:
        """An unsigned integer here (13)."""
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        raise ControlError(2, "Invalid request: request ID must be an unsigned integer")

    # -------------------------------------------------------------------------------------- user data
    def _listen(self, text: str, events: frozenset[str]) -> None:
        key = self._usdm.listen_keys.find(text)
        if key is not None:
            self._keys[text] = (key.account, (text, events))
            self._usdm.user_data.subscribe(key.account, self, (text, events))

    def forget_key(self, text: str) -> None:
        """The key is dead: the socket stays and is silent."""
        found = self._keys.pop(text, None)
        if found is not None:
            self._usdm.user_data.unsubscribe(found[0], self, found[1])

    def send_event(self, subscription: Subscription, event: bytes) -> None:
        text, events = subscription
        if events is not EVERYTHING and _kind(event) not in events:
            return
        if self.combined:
            event = b'{"stream":"%b","data":%b}' % (text.encode(), event)
        self.connection.send(event)


def _kind(event: bytes) -> str:
    """The type with which every event begins: `{"e":"ACCOUNT_UPDATE",...`."""
    return event[6 : event.index(b'"', 6)].decode()


def _asked_for(target: str) -> list[Subscription]:
    """Listen keys in the query of a private address, each with the events that follow it."""
    path, _, query = target.partition("?")
    if route_of(path) != "private":
        return []
    found: list[Subscription] = []
    for name, value in parse_qsl(query):
        if name == "listenKey":
            found.append((value, EVERYTHING))
        elif name == "events" and found:
            found[-1] = (found[-1][0], frozenset(value.split("/")))
    return found
