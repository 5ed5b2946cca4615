"""Public sockets: `/v5/public/spot` and `/v5/public/linear` (section 8).

One socket serves one category.  A subscription begins with the topic's snapshot where it has one; what was on its way
already is kept back until the snapshot has left.  The two products acknowledge and answer pings in slightly different
words, and contracts may send the first data before the acknowledgement.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from tools.simulator.core.hub import Message
from tools.simulator.core.net import WsConnection, text_frame
from tools.simulator.dialects.bybit.errors import SPOT
from tools.simulator.dialects.bybit.topics import category_of, hub_name, is_known, split

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit


class PublicSession:
    """One subscriber of public topics."""

    def __init__(self, venue: Bybit, connection: WsConnection) -> None:
        self._venue = venue
        self.connection = connection
        self.category = category_of(connection.target)
        self._conn_id = venue.connection_id(connection)
        self._topics: dict[str, None] = {}
        self._waiting: dict[str, None] = {}
        """Hub names whose snapshot has not left yet."""

    async def run(self) -> None:
        """Serve until the connection ends.  Raises ConnectionClosed."""
        try:
            while True:
                self._obey(await self.connection.receive())
        finally:
            self._unsubscribe(list(self._topics))

    def deliver(self, message: Message) -> None:
        """One public message, framed once for all."""
        if message.stream in self._waiting:
            return
        if message.data_frame is None:
            message.data_frame = text_frame(message.data)
        self.connection.send_frame(message.data_frame)

    async def room(self, frames: int) -> None:
        await self.connection.below(frames)

    # ------------------------------------------------------------------------------------- control
    def _obey(self, text: str | bytes) -> None:
        try:
            request = json.loads(text)
            op, args = request["op"], request.get("args", [])
            req_id = str(request.get("req_id", ""))
            if not (isinstance(op, str) and isinstance(args, list)):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError):
            self._say("", {"success": False, "ret_msg": "error:invalid request", "op": ""})
            return
        self._venue.requests[f"{self.category}:{op}"] += 1
        if op == "ping":
            self._say(req_id, {"success": True, "ret_msg": "pong", "op": "ping"})
        elif op in ("subscribe", "unsubscribe"):
            self._change(op, [str(topic) for topic in args], req_id)
        else:
            self._say(req_id, {"success": False, "ret_msg": f"error:unknown op {op}", "op": op})

    def _change(self, op: str, topics: list[str], req_id: str) -> None:
        """One topic that does not exist fails the whole request."""
        trouble = self._trouble(topics) if op == "subscribe" else ""
        reply = {"success": not trouble, "ret_msg": trouble or (op if self.category == SPOT else ""), "op": op}
        if self.category == SPOT:
            self._say(req_id, reply)
        if not trouble:
            (self._subscribe if op == "subscribe" else self._unsubscribe)(topics)
        if self.category != SPOT:
            self._say(req_id, reply)

    def _trouble(self, topics: list[str]) -> str:
        limits = self._venue.limits
        if not topics:
            return "error:args is empty"
        if self.category == SPOT and limits.spot_topics_per_request < len(topics):
            return "args size >10"
        if sum(map(len, self._topics)) + sum(map(len, topics)) > limits.topic_characters:
            return "error:args text is too long"
        for topic in topics:
            kind, detail, symbol = split(topic)
            if not is_known(kind, detail) or (self.category, symbol) not in self._venue.by_name:
                return f"error:handler not found,topic:{topic}"
            if topic in self._topics:
                return f"error:already subscribed,topic:{topic}"
        return ""

    def _subscribe(self, topics: list[str]) -> None:
        venue = self._venue
        for topic in topics:
            name = hub_name(self.category, topic)
            first = venue.streams.first_message(self.category, topic)
            self._topics[topic] = None
            venue.hub.subscribe(name, self)
            if topic.startswith("orderbook."):
                venue.note_snapshot(f"{self.category}:{split(topic)[2]}")
            if first is None:
                continue
            if venue.hub.delay_s:
                self._waiting[name] = None
                venue.scheduler.after(venue.hub.delay_s, partial(self._begin, name, first))
            else:
                self.connection.send(first)

    def _begin(self, name: str, first: bytes) -> None:
        if self._waiting.pop(name, "gone") is None:
            self.connection.send(first)

    def _unsubscribe(self, topics: list[str]) -> None:
        for topic in topics:
            name = hub_name(self.category, topic)
            self._topics.pop(topic, None)
            self._waiting.pop(name, None)
            self._venue.hub.unsubscribe(name, self)

    def _say(self, req_id: str, reply: dict[str, Any]) -> None:
        """Contracts repeat the request's id in any case, spot where there was one and never in a pong."""
        op = reply.pop("op")
        reply["conn_id"] = self._conn_id
        if self.category != SPOT or (req_id and op != "ping"):
            reply["req_id"] = req_id
        reply["op"] = op
        self.connection.send(orjson.dumps(reply))
