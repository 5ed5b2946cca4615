"""Sockets that can be made to misbehave, and the sending half of a WebSocket connection.

trio-websocket does the handshake, reads, answers pings and closes. Sending many small text frames through it
costs a lock and a log call each, so data frames are built here and written in batches to the same stream; the
stream's own lock keeps every write whole, whoever makes it.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

BATCH_BYTES = 128 * 1024
OUTBOX_FRAMES = 200_000  # a client that lags this far behind is dropped


class FaultyStream(trio.abc.Stream):
    """A TCP stream with a prefix that was read ahead, and with faults."""

    def __init__(self, stream: trio.SocketStream, before_send: Callable[[], None] | None = None) -> None:
        """`before_send`: called before any byte leaves; where it raises, none does."""
        self._stream = stream
        self._before_send = before_send
        self._prefix = b""
        self._send_lock = trio.StrictFIFOLock()
        self._silent = False
        self._cut_after: int | None = None
        self._silent_after: int | None = None
        self.sent_bytes = 0
        self.received_bytes = 0
        self.closed = False

    def unread(self, data: bytes) -> None:
        """Give back what was read ahead; it will be read again first."""
        self._prefix = data + self._prefix

    def go_silent(self, after_bytes: int = 0) -> None:
        """Half-open: the connection stays, but nothing goes in or out any more."""
        if after_bytes:
            self._silent_after = self.sent_bytes + after_bytes
        else:
            self._silent = True

    def cut_after(self, sent_bytes: int) -> None:
        """Reset the connection once that many more bytes have been sent."""
        self._cut_after = self.sent_bytes + sent_bytes

    def reset(self) -> None:
        """TCP reset, now: the peer sees ECONNRESET, unread data is lost."""
        if self.closed:
            return
        self.closed = True
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.socket.close()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        async with self._send_lock:
            if self._silent_after is not None and self.sent_bytes + len(data) > self._silent_after:
                self._silent = True
            if self._silent:
                return
            if self._before_send is not None:
                self._before_send()
            if self._cut_after is not None and self.sent_bytes + len(data) >= self._cut_after:
                keep = max(0, self._cut_after - self.sent_bytes)
                await self._stream.send_all(bytes(data)[:keep])
                self.reset()
                raise trio.BrokenResourceError("connection cut on purpose")
            await self._stream.send_all(data)
            self.sent_bytes += len(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._prefix:
            await trio.lowlevel.checkpoint()
            data, self._prefix = self._prefix, b""
            return data
        data = bytes(await self._stream.receive_some(max_bytes))
        if self._silent:
            await trio.sleep_forever()
        self.received_bytes += len(data)
        return data

    async def aclose(self) -> None:
        self.closed = True
        await self._stream.aclose()


def text_frame(payload: bytes) -> bytes:
    """A whole unmasked WebSocket text frame."""
    return _frame(0x81, payload)


def binary_frame(payload: bytes) -> bytes:
    """A whole unmasked WebSocket binary frame: what some venues wrap their JSON in."""
    return _frame(0x82, payload)


def _frame(head: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((head, size)) + payload
    if size < 65_536:
        return bytes((head, 0x7E)) + size.to_bytes(2, "big") + payload
    return bytes((head, 0x7F)) + size.to_bytes(8, "big") + payload


class WsConnection:
    """One accepted WebSocket: messages in by `receive`, frames out by `send`, which never blocks."""

    def __init__(
        self,
        connection_id: int,
        kind: str,
        target: str,
        peer: str,
        stream: FaultyStream,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.connection_id = connection_id
        self.kind = kind
        self.target = target
        self.peer = peer
        self.headers = headers if headers is not None else {}  # of the upgrade, names in lower case
        self.stream = stream
        self.overflowed = False
        self._ws: WebSocketConnection | None = None
        self._frames: deque[bytes] = deque()
        self._ready = trio.Event()
        self._room = trio.lowlevel.ParkingLot()
        self.session: Any = None  # of the dialect, where it makes one before the upgrade is accepted
        self.at_end: list[Callable[[], None]] = []  # called once the connection is over, however far it came
        self._closing: tuple[int, str] | None = None
        self.sent_frames = 0

    def attach(self, ws: WebSocketConnection) -> None:
        self._ws = ws

    @property
    def backlog(self) -> int:
        """Frames that wait for the socket."""
        return len(self._frames)

    def send(self, payload: bytes) -> None:
        """Queue one text message."""
        self.send_frame(text_frame(payload))

    def send_frame(self, frame: bytes) -> None:
        """Queue one frame that was built before (shared between subscribers)."""
        if self.overflowed or self._closing is not None:
            return
        if len(self._frames) >= OUTBOX_FRAMES:
            self.overflowed = True
            self._frames.clear()
            self.close(1008, "client too slow")
            return
        self._frames.append(frame)
        self._ready.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close politely after what is queued has been sent."""
        if self._closing is None:
            self._closing = (code, reason)
            self._ready.set()

    def reset(self) -> None:
        """Cut the TCP connection."""
        self.stream.reset()

    async def receive(self) -> str | bytes:
        """The next message. Raises ConnectionClosed."""
        assert self._ws is not None
        message: str | bytes = await self._ws.get_message()
        return message

    async def below(self, frames: int) -> None:
        """Wait until fewer than `frames` are queued: back-pressure for a source that may run ahead."""
        while len(self._frames) >= frames and not self.stream.closed and self._closing is None:
            await self._room.park()

    async def write(self) -> None:
        """Send what is queued, until the connection ends. Raises what the stream raises."""
        assert self._ws is not None
        frames = self._frames
        try:
            while True:
                if not frames:
                    if self._closing is not None:
                        await self._ws.aclose(*self._closing)
                        return
                    self._ready = trio.Event()
                    await self._ready.wait()
                    continue
                batch = [frames.popleft()]
                size = len(batch[0])
                while frames and size < BATCH_BYTES:
                    batch.append(frames.popleft())
                    size += len(batch[-1])
                await self.stream.send_all(batch[0] if len(batch) == 1 else b"".join(batch))
                self.sent_frames += len(batch)
                self._room.unpark_all()
        finally:
            self.stream_ended()

    def stream_ended(self) -> None:
        """Nobody will read any more: let go of who waits for room."""
        if self._closing is None:
            self._closing = (1006, "")
        self._frames.clear()
        self._room.unpark_all()

    async def keep_alive(self, every_s: float, patience_s: float) -> None:
        """Ping with a fresh payload; a client that does not echo it in time is dropped."""
        assert self._ws is not None
        count = 0
        while True:
            await trio.sleep(every_s)
            count += 1
            with trio.move_on_after(patience_s) as waiting:
                await self._ws.ping(str(count).encode())
            if waiting.cancelled_caught:
                self.reset()
                raise ConnectionClosed(None)
