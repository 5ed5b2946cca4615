"""One loopback port that speaks HTTP and WebSocket, told apart by the request's head.

Each connection lives in a nursery of its own. Whatever goes wrong in it ends it and nothing else: expected ends
(resets, protocol errors of the peer) are silent, an unexpected exception is kept in `failures` with its traceback
so that a test can demand that there is none.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from enum import Enum
from fnmatch import fnmatchcase
from functools import partial
from typing import Protocol

import attrs
import h11
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, wrap_server_stream

from tools.simulator.core.faults import CONNECT, FaultKind, FaultPlan
from tools.simulator.core.net import FaultyStream, WsConnection

MAX_HEAD = 64 * 1024
MAX_BODY = 1024 * 1024
MAX_MESSAGE = 1024 * 1024


class Fate(Enum):
    """What becomes of an HTTP response."""

    SEND = "send"
    SILENT = "silent"  # the client waits in vain
    RESET = "reset"


@attrs.frozen(kw_only=True)
class HttpRequest:
    method: str
    path: str
    query: str  # as it came, still percent-encoded
    headers: dict[str, str]  # names in lower case
    body: bytes
    peer: str
    repeated: frozenset[str] = frozenset()  # names of headers that came more than once


@attrs.define(kw_only=True)
class HttpResponse:
    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = attrs.Factory(list)
    fate: Fate = Fate.SEND
    delay_s: float = 0.0
    after: Callable[[], None] | None = None  # called when the response has left


class App(Protocol):
    """What the server serves."""

    def kind_of(self, path: str) -> str:
        """ "rest", "streams", "ws-api": what connection faults are matched with."""
        ...

    async def http(self, request: HttpRequest) -> HttpResponse: ...

    def refuse_websocket(self, connection: WsConnection) -> HttpResponse | None:
        """None to accept the upgrade.  What the address itself subscribes to must be in force when this returns: as
        soon as the client sees the upgrade it may act on another connection, and must not miss what follows."""
        ...

    async def websocket(self, connection: WsConnection) -> None: ...


@attrs.frozen(kw_only=True)
class ServerConfig:
    host: str = "127.0.0.1"
    port: int = 0
    ping_every_s: float | None = None  # None: as the venue does; 0: never
    pong_within_s: float | None = None  # None: as the venue does
    lifetime_s: float = 86_400.0


class Server:
    """Accepts and serves until cancelled."""

    def __init__(
        self,
        app: App,
        faults: FaultPlan,
        config: ServerConfig,
        *,
        ping_every_s: float = 20.0,
        pong_within_s: float = 60.0,
        before_send: Callable[[], None] | None = None,
    ) -> None:
        """`before_send`: see `FaultyStream`."""
        self._app = app
        self._faults = faults
        self.config = config
        self._ping_every_s = ping_every_s if config.ping_every_s is None else config.ping_every_s
        self._pong_within_s = pong_within_s if config.pong_within_s is None else config.pong_within_s
        self.port = config.port
        self._before_send = before_send
        self.sockets: dict[int, WsConnection] = {}
        self.streams: dict[int, tuple[str, FaultyStream]] = {}
        self.accepted = 0
        self.failures: list[str] = []
        self._refuse_for_s = 0.0
        self._refuse = trio.Event()

    def refuse_for(self, seconds: float) -> None:
        """Close the listening socket for a while; new connections get ECONNREFUSED."""
        self._refuse_for_s = seconds
        self._refuse.set()

    def matching(self, pattern: str) -> list[FaultyStream]:
        """Live connections whose kind matches; the admin's own are never among them."""
        return [stream for kind, stream in self.streams.values() if kind != "sim" and fnmatchcase(kind, pattern)]

    async def run(self, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(self.config.port, host=self.config.host)
        self.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as handlers:
            started = False
            while True:
                self._refuse = trio.Event()
                async with trio.open_nursery() as accepting:
                    await accepting.start(
                        partial(trio.serve_listeners, self._handle, listeners, handler_nursery=handlers)
                    )
                    if not started:
                        started = True
                        task_status.started(self.port)
                    await self._refuse.wait()
                    accepting.cancel_scope.cancel()
                await trio.sleep(self._refuse_for_s)
                listeners = await trio.open_tcp_listeners(self.port, host=self.config.host)

    async def _handle(self, raw: trio.SocketStream) -> None:
        self.accepted += 1
        connection_id = self.accepted
        stream = FaultyStream(raw, self._before_send)
        peer = str(raw.socket.getpeername()[0]) if raw.socket.fileno() != -1 else ""
        try:
            await self._serve(connection_id, stream, peer)
        except* (
            trio.BrokenResourceError,
            trio.ClosedResourceError,
            ConnectionClosed,
            ConnectionRejected,
            h11.RemoteProtocolError,
            h11.LocalProtocolError,
            OSError,
        ):
            pass  # the peer went away or broke the protocol: its connection is over, nobody else's
        except* Exception as group:  # noqa: BLE001  the accept loop must survive any one connection's bug
            self.failures.append("".join(traceback.format_exception(group)))
        finally:
            self.streams.pop(connection_id, None)
            self.sockets.pop(connection_id, None)
            stream.closed = True
            await trio.aclose_forcefully(raw)

    async def _serve(self, connection_id: int, stream: FaultyStream, peer: str) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = await stream.receive_some()
            if not data:
                return
            head += data
            if len(head) > MAX_HEAD:
                return
        rest: bytes | None = head
        while rest is not None:
            stream.unread(rest)
            rest = await self._serve_from(connection_id, stream, peer, rest)

    async def _serve_from(self, connection_id: int, stream: FaultyStream, peer: str, head: bytes) -> bytes | None:
        """One protocol, as the request head says.  HTTP that asks for a WebSocket later returns that request's head:
        clients reuse a connection that they have kept alive."""
        first, *headers = head.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
        parts = first.split(b" ")
        target = parts[1].decode("latin-1") if len(parts) > 1 else ""
        upgrade = any(line.lower().replace(b" ", b"") == b"upgrade:websocket" for line in headers)
        kind = self._app.kind_of(target.split("?", 1)[0])
        self.streams[connection_id] = (kind, stream)
        fault = self._faults.take(CONNECT, kind)
        if fault is not None:
            if fault.kind is FaultKind.REFUSE:
                stream.reset()
                return None
            if fault.kind is FaultKind.HALF_OPEN:
                stream.go_silent(fault.after)
            else:
                stream.cut_after(fault.after)
        if not upgrade:
            return await _serve_http(self._app, stream, peer)
        connection = WsConnection(connection_id, kind, target, peer, stream, _header_fields(headers))
        await self._serve_websocket(connection)
        return None

    async def _serve_websocket(self, connection: WsConnection) -> None:
        try:
            await self._upgraded(connection)
        finally:
            for action in connection.at_end:
                action()

    async def _upgraded(self, connection: WsConnection) -> None:
        async with trio.open_nursery() as nursery:
            request = await wrap_server_stream(
                nursery,
                connection.stream,
                message_queue_size=64,
                max_message_size=MAX_MESSAGE,
                receive_buffer_size=64 * 1024,
            )
            refusal = self._app.refuse_websocket(connection)
            if refusal is not None:
                extra = [(name.encode(), value.encode()) for name, value in refusal.headers]
                await request.reject(refusal.status, extra_headers=extra, body=refusal.body)
                nursery.cancel_scope.cancel()
                return
            ws = await request.accept()
            connection.attach(ws)
            self.sockets[connection.connection_id] = connection
            nursery.start_soon(connection.write)
            if self._ping_every_s:
                nursery.start_soon(connection.keep_alive, self._ping_every_s, self._pong_within_s)
            nursery.start_soon(self._retire, connection)
            try:
                await self._app.websocket(connection)
            finally:
                connection.stream_ended()
                nursery.cancel_scope.cancel()

    async def _retire(self, connection: WsConnection) -> None:
        """No connection lives longer than the venue allows."""
        await trio.sleep(self.config.lifetime_s)
        connection.close(1000, "connection lifetime is over")


def _header_fields(lines: list[bytes]) -> dict[str, str]:
    """Names in lower case; of a repeated one the last counts."""
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _serve_http(app: App, stream: FaultyStream, peer: str) -> bytes | None:
    """HTTP/1.1 with keep-alive, to the end of the connection; else the head of a request to become a WebSocket."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    while True:
        request = await _next_request(connection, stream, peer)
        if request is None:
            return None
        if request.headers.get("upgrade", "").lower() == "websocket":
            return _head_of(request) + connection.trailing_data[0]
        response = await app.http(request)
        if response.delay_s:
            await trio.sleep(response.delay_s)
        if response.fate is Fate.RESET:
            stream.reset()
            return None
        if response.fate is Fate.SILENT:
            await _wait_for_end(stream)
            return None
        headers = [("content-length", str(len(response.body))), *response.headers]
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("content-type", "application/json;charset=UTF-8"))
        head = connection.send(h11.Response(status_code=response.status, headers=headers)) or b""
        body = connection.send(h11.Data(data=response.body)) or b""
        end = connection.send(h11.EndOfMessage()) or b""
        await stream.send_all(head + body + end)
        if response.after is not None:
            response.after()
        if connection.our_state is h11.MUST_CLOSE or connection.their_state is h11.MUST_CLOSE:
            return None
        connection.start_next_cycle()


def _head_of(request: HttpRequest) -> bytes:
    """A request head as it could have come."""
    target = f"{request.path}?{request.query}" if request.query else request.path
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _wait_for_end(stream: FaultyStream) -> None:
    while await stream.receive_some():
        pass


async def _next_request(connection: h11.Connection, stream: FaultyStream, peer: str) -> HttpRequest | None:
    """Read one request; None at the end of the connection."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some())
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY:
                raise h11.RemoteProtocolError("request body too large", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            path, _, query = head.target.decode("latin-1").partition("?")
            names = Counter(name.decode("latin-1") for name, _ in head.headers)
            return HttpRequest(
                method=head.method.decode("latin-1"),
                path=path,
                query=query,
                headers={name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers},
                body=bytes(body),
                peer=peer,
                repeated=frozenset(name for name, count in names.items() if count > 1),
            )
        else:  # ConnectionClosed, PAUSED
            return None
