"""Peers to test against: real servers on loopback that do exactly what a test says, byte by byte."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import trio
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


@attrs.define
class Peer:
    """The server's end of one WebSocket connection, with every byte under the test's control."""

    stream: Stream
    protocol: ServerProtocol = attrs.Factory(lambda: ServerProtocol(max_size=None))
    frames: list[Frame] = attrs.Factory(list)

    async def accept(self, with_response: bytes = b"") -> str:
        """Answer the opening handshake with 101 and, in the same write, other bytes; returns the path asked for."""
        while True:
            self.protocol.receive_data(await self.stream.receive_some())
            for event in self.protocol.events_received():
                if isinstance(event, Request):
                    self.protocol.send_response(self.protocol.accept(event))
                    await self.stream.send_all(b"".join(self.protocol.data_to_send()) + with_response)
                    return event.path

    async def refuse(self, status: int, headers: str = "", body: bytes = b"") -> None:
        """Answer the opening handshake with another status."""
        await self.stream.receive_some()
        head = f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        await self.stream.send_all(head.encode() + body)

    async def text(self, *texts: str) -> None:
        """Send messages, all in one write."""
        await self.raw(b"".join(encode(Opcode.TEXT, text.encode()) for text in texts))

    async def raw(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def next_frame(self) -> Frame:
        """The next frame of the client, control frames included; nothing is answered by itself."""
        while not self.frames:
            data = await self.stream.receive_some()
            if not data:
                raise EOFError("the client closed the connection")
            self.protocol.receive_data(data)
            self.protocol.data_to_send()
            self.frames += [event for event in self.protocol.events_received() if isinstance(event, Frame)]
        return self.frames.pop(0)

    async def next_text(self) -> str:
        """The next text message of the client."""
        while True:
            frame = await self.next_frame()
            if frame.opcode is Opcode.TEXT:
                return bytes(frame.data).decode()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closing frame, then the end of the stream."""
        await self.raw(encode(Opcode.CLOSE, struct.pack("!H", code) + reason.encode()))
        await self.stream.aclose()

    def reset(self) -> None:
        """RST: the connection is gone without a word."""
        stream = self.stream
        plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.socket.close()


def encode(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    """One unmasked frame, as a server sends it."""
    return Frame(opcode, data, fin).serialize(mask=False)


@attrs.define
class HttpAsked:
    """One HTTP/1.1 request as its bytes said it."""

    head: str
    body: bytes
    stream: trio.SocketStream

    @property
    def target(self) -> str:
        return self.head.split(" ")[1]

    @property
    def method(self) -> str:
        return self.head.split(" ")[0]

    def header(self, name: str) -> str:
        """Value of a header, "" when it is absent."""
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name:
                return value.strip()
        return ""

    async def answer(self, status: int = 200, body: bytes = b"{}", headers: str = "") -> None:
        """A complete answer; the connection stays open."""
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        await self.stream.send_all(head.encode() + body)

    def reset(self) -> None:
        """RST instead of an answer."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.socket.close()


async def _next_request(stream: trio.SocketStream, buffer: bytearray) -> HttpAsked | None:
    while b"\r\n\r\n" not in buffer:
        data = await stream.receive_some()
        if not data:
            return None
        buffer += data
    head, _, rest = bytes(buffer).partition(b"\r\n\r\n")
    asked = HttpAsked(head.decode("latin-1"), b"", stream)
    wanted = int(asked.header("content-length") or 0)
    buffer[:] = rest
    while len(buffer) < wanted:
        buffer += await stream.receive_some()
    asked.body = bytes(buffer[:wanted])
    del buffer[:wanted]
    return asked


@asynccontextmanager
async def http_server(script: Callable[[HttpAsked], Awaitable[None]]) -> AsyncIterator[Address]:
    """A server that runs `script` for each request; `connections` counts TCP connections."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = Address(listeners[0].socket.getsockname()[1], "http")

    async def handle(stream: trio.SocketStream) -> None:
        address.connections += 1
        try:
            buffer = bytearray()
            while (asked := await _next_request(stream, buffer)) is not None:
                await script(asked)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client went away: the test looks at the client's side
        finally:
            with trio.move_on_after(0):
                await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield address
        nursery.cancel_scope.cancel()


@attrs.define
class Address:
    """Where a test's server listens."""

    port: int
    scheme: str = "ws"
    host: str = "127.0.0.1"
    connections: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


@asynccontextmanager
async def websocket_server(
    script: Callable[[Peer], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Address]:
    """A server that runs `script` for each connection.  A script that ends leaves its connection open."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    address = Address(port, "ws" if tls is None else "wss", "127.0.0.1" if tls is None else "localhost")

    async def handle(plain: trio.SocketStream) -> None:
        address.connections += 1
        stream: Stream = plain if tls is None else trio.SSLStream(plain, tls, server_side=True)
        try:
            await script(Peer(stream))
            await trio.sleep_forever()
        except (trio.BrokenResourceError, trio.ClosedResourceError, EOFError):
            pass  # the client went away in the middle of the script: the test looks at the client's side
        finally:
            with trio.move_on_after(0):
                await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield address
        nursery.cancel_scope.cancel()
