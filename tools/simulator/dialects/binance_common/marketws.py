"""Market stream connections: `/ws/<stream>` and `/stream?streams=`, with control frames (section 12)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson

from tools.simulator.core.clock import SECOND
from tools.simulator.core.hub import Message
from tools.simulator.core.limits import Window
from tools.simulator.core.net import WsConnection, text_frame
from tools.simulator.dialects.binance_common.params import split_query

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_common.venue import BinanceVenue

_ID_TEXT = re.compile(r"^[A-Za-z0-9_\-]{1,36}$")


class ControlError(Exception):
    """A control frame that cannot be obeyed."""

    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg


class MarketSession:
    """One subscriber of public streams."""

    def __init__(self, venue: BinanceVenue, connection: WsConnection) -> None:
        self._venue = venue
        self.connection = connection
        self.combined = "/stream" in connection.target.partition("?")[0]
        self.streams: dict[str, None] = {}
        self._messages = Window(SECOND, venue.limits.stream_messages_per_second)

    def begin(self) -> None:
        """Subscribe to what the address asks for. Raises ControlError for too many streams."""
        self._subscribe(initial_streams(self.connection.target))

    def end(self) -> None:
        """The connection is over."""
        self._unsubscribe(list(self.streams))

    async def run(self) -> None:
        """Serve until the connection ends. Raises ConnectionClosed."""
        while True:
            message = await self.connection.receive()
            now = self._venue.clock.now_ns()
            if self._messages.full(now):
                self.connection.close(1008, "Too many requests")
            self._messages.add(1, now)
            self.connection.send(orjson.dumps(self._control(message)))

    def deliver(self, message: Message) -> None:
        """One public message, framed once for all who want it in the same form."""
        if self.combined:
            frame = message.stream_frame
            if frame is None:
                wrapped = message.combined
                if wrapped is None:
                    wrapped = b'{"stream":"%b","data":%b}' % (message.stream.encode(), message.data)
                frame = message.stream_frame = text_frame(wrapped)
        else:
            frame = message.data_frame
            if frame is None:
                frame = message.data_frame = text_frame(message.data)
        self.connection.send_frame(frame)

    async def room(self, frames: int) -> None:
        await self.connection.below(frames)

    # ------------------------------------------------------------------------------------- control
    def _control(self, message: str | bytes) -> dict[str, Any]:
        request_id: Any = None
        try:
            try:
                request = json.loads(message)
            except ValueError:
                raise ControlError(3, "Invalid JSON: expected value") from None
            if not isinstance(request, dict) or "method" not in request:
                raise ControlError(2, "Invalid request: missing field `method`")
            request_id = self.checked_id(request.get("id"))
            return {"result": self._obey(request), "id": request_id}
        except ControlError as error:
            return {"code": error.code, "msg": error.msg, "id": request_id}

    def _obey(self, request: dict[str, Any]) -> Any:
        method, params = request["method"], request.get("params", [])
        if not isinstance(params, list):
            raise ControlError(2, "Invalid request: invalid type: expected a sequence")
        if method == "LIST_SUBSCRIPTIONS":
            return list(self.streams)
        if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            if not all(isinstance(name, str) for name in params):
                raise ControlError(2, "Invalid request: invalid type: expected a string")
            (self._subscribe if method == "SUBSCRIBE" else self._unsubscribe)(params)
            return None
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(method, params)
        raise ControlError(2, f"Invalid request: unknown variant `{method}`")

    def _property(self, method: str, params: list[Any]) -> Any:
        if not params or params[0] != "combined":
            raise ControlError(0, "Unknown property")
        if method == "GET_PROPERTY":
            return self.combined
        if len(params) != 2 or not isinstance(params[1], bool):
            raise ControlError(1, "Invalid value type: expected Boolean")
        self.combined = params[1]
        return None

    def _subscribe(self, names: list[str]) -> None:
        most = self._venue.limits.streams_per_connection
        if most and len(self.streams) + len(names) > most:
            raise ControlError(2, f"Invalid request: more than {most} streams on one connection")
        for name in names:
            self.streams[name] = None
            self.attach(name)

    def _unsubscribe(self, names: list[str]) -> None:
        for name in names:
            self.streams.pop(name, None)
            self.detach(name)

    def attach(self, name: str) -> None:
        """Listen to a stream from now on."""
        self._venue.hub.subscribe(name, self)

    def detach(self, name: str) -> None:
        self._venue.hub.unsubscribe(name, self)

    def checked_id(self, value: Any) -> Any:
        """Raises ControlError for what cannot be the id of a request."""
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, str) and _ID_TEXT.match(value):
            return value
        raise ControlError(2, "Invalid request: request ID must be an integer, a short string or null")


def initial_streams(target: str) -> list[str]:
    """The streams that the address itself asks for."""
    path, _, query = target.partition("?")
    _, raw, names = path.partition("/ws/")
    if raw:
        return [name for name in names.split("/") if name]
    for name, value in split_query(query):
        if name == "streams":
            return [stream for stream in value.split("/") if stream]
    return []
