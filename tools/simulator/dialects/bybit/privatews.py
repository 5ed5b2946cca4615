"""The private socket, `/v5/private` (sections 2.2 and 9): logon, topics, and events of the account.

No topic begins with a snapshot.  All-in-one topics (`order`) and those of one category (`order.linear`) must not be
mixed in one request.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import orjson
import trio

from tools.simulator.core.accounts import Account, ApiKey
from tools.simulator.core.clock import MS
from tools.simulator.core.net import WsConnection
from tools.simulator.dialects.bybit.auth import verify_logon
from tools.simulator.dialects.bybit.errors import VenueError, bad_parameter
from tools.simulator.dialects.bybit.params import query_values

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

CATEGORISED = frozenset({"order", "execution", "execution.fast", "position"})
WHOLE = frozenset({"wallet", "greeks"})
DCP = frozenset({"dcp.future", "dcp.spot", "dcp.option"})
CATEGORIES = ("spot", "linear", "inverse", "option")
_ACTIVE_S = (30, 600)
SCAN_S = 30
"""How often the venue looks for silent connections (section 1)."""


def is_topic(topic: str) -> bool:
    stem, _, category = topic.rpartition(".")
    return topic in CATEGORISED | WHOLE | DCP or (stem in CATEGORISED and category in CATEGORIES)


class PrivateSocket:
    """One connection, before and after its logon."""

    def __init__(self, venue: Bybit, connection: WsConnection) -> None:
        self.venue = venue
        self.connection = connection
        self.key: ApiKey | None = None
        self.topics: dict[str, None] = {}
        self._conn_id = venue.connection_id(connection)
        self.heard_ns = venue.clock.now_ns()

    @property
    def variant(self) -> Hashable:
        """The topics: subscribers of the same ones get the same bytes."""
        return frozenset(self.topics)

    @property
    def account(self) -> Account | None:
        return None if self.key is None else self.key.account

    def send_event(self, subscription: Any, event: bytes) -> None:
        self.connection.send(event)

    async def run(self) -> None:
        """Serve until the connection ends.  Raises ConnectionClosed."""
        try:
            while True:
                self._obey(await self.connection.receive())
        finally:
            self.leave()

    def leave(self) -> None:
        """Nothing more goes to this connection."""
        armed = [topic for topic in self.topics if topic in DCP]
        self.topics.clear()
        if self.account is not None:
            self.venue.user_data.unsubscribe(self.account, self)
            for topic in armed:
                self.venue.dcp.disarmed(self.account, topic)

    def _obey(self, text: str | bytes) -> None:
        self.heard_ns = self.venue.clock.now_ns()
        try:
            request = json.loads(text)
            op, args, req_id = request["op"], request.get("args", []), request.get("req_id", "")
            if not (isinstance(op, str) and isinstance(args, list)):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError):
            self._say("", False, "error:invalid request", "")
            return
        self.venue.requests[f"private:{op}"] += 1
        if op == "ping":
            stamp = str(self.venue.clock.now_ns() // MS)
            pong = {"req_id": str(req_id), "op": "pong", "args": [stamp], "conn_id": self._conn_id}
            self.connection.send(orjson.dumps(pong))
            return
        try:
            self._change(op, args)
        except VenueError as error:
            self._say(str(req_id), False, error.msg, op)
        else:
            self._say(str(req_id), True, "", op)

    def _change(self, op: str, args: list[Any]) -> None:
        if op == "auth":
            self.key = logon(self.venue, args)
        elif op in ("subscribe", "unsubscribe"):
            if self.key is None:
                raise VenueError(10003, "Request not authorized")
            (self._subscribe if op == "subscribe" else self._unsubscribe)([str(topic) for topic in args])
        else:
            raise bad_parameter(f"unknown op {op}")

    def _subscribe(self, topics: list[str]) -> None:
        """All or none."""
        unknown = [topic for topic in topics if not is_topic(topic)]
        if unknown or not topics:
            raise VenueError(10001, f"error:handler not found,topic:{unknown[0] if unknown else ''}")
        of_one = {topic.rpartition(".")[0] for topic in topics if topic not in CATEGORISED | WHOLE | DCP}
        if of_one and CATEGORISED.intersection(topics):
            raise VenueError(10001, "error:all-in-one topics and topics of one category cannot be mixed")
        account = self.account
        assert account is not None
        for topic in topics:
            if topic in DCP and topic not in self.topics:
                self.venue.dcp.armed(account, topic)
            self.topics[topic] = None
        self.venue.user_data.subscribe(account, self)

    def _unsubscribe(self, topics: list[str]) -> None:
        account = self.account
        assert account is not None
        for topic in topics:
            if self.topics.pop(topic, "absent") is None and topic in DCP:
                self.venue.dcp.disarmed(account, topic)
        if not self.topics:
            self.venue.user_data.unsubscribe(account, self)

    def _say(self, req_id: str, success: bool, text: str, op: str) -> None:
        reply: dict[str, Any] = {"success": success, "ret_msg": text, "op": op, "conn_id": self._conn_id}
        if req_id:
            reply["req_id"] = req_id
        self.connection.send(orjson.dumps(reply))


def logon(venue: Bybit, args: list[Any]) -> ApiKey:
    """`[key, expires, signature]`.  Raises 10001, 10003 or 10004."""
    if len(args) != 3:
        raise bad_parameter("auth needs key, expires and signature")
    api_key, expires, signature = (str(each) for each in args)
    return verify_logon(venue.exchange.accounts, api_key, expires, signature, venue.clock.now_ns())


def active_limit_s(target: str) -> int:
    """`max_active_time` of the address in seconds (`30s`, `1m`), 0 where it names none or one out of range."""
    text = query_values(target.partition("?")[2]).get("max_active_time", "")
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit()) or unit not in ("s", "m"):
        return 0
    seconds = int(number) * (60 if unit == "m" else 1)
    return seconds if _ACTIVE_S[0] <= seconds <= _ACTIVE_S[1] else 0


async def end_silence(venue: Bybit, socket: Any, limit_s: int) -> None:
    """Close a connection that says nothing for longer than it asked for; looked at every 30 s."""
    while True:
        await trio.sleep(SCAN_S)
        if venue.clock.now_ns() - socket.heard_ns > limit_s * 1_000_000_000:
            socket.connection.close(1000, "no activity")
            return
