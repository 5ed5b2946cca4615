"""A WebSocket client that tells the truth.

One connection, one reader (the actor that owns it), and a send that is a plain system call::

    async with trio.open_nursery() as nursery:
        socket = await connect_websocket(nursery, "wss://example.org/ws", TransportSettings(), tls=tls_context())
        socket.send_nowait('{"id": 1, "method": "ping"}')
        while True:
            for raw in await socket.recv_many():
                ...

Promises:

* `send_nowait` does not await: when it returns True the whole frame is in the kernel.  What the kernel did not take
  waits in order and is written by the connection's writer task.  When it *raises*, not one byte of the message has
  left: the caller may use another path.
* Nothing can cut a frame in two and go on.  The connection ends with its writer task, so with its owner's nursery.
* A ping is answered while its bytes are parsed, before the messages in front of it are looked at.  An owner that must
  wait for something else reads ahead meanwhile (`read_ahead`).
* Every end is an exception with its reason (`ConnectionLost`, `RemoteProtocolError`), raised in the reader after the
  last whole message, and in every send from then on.  No task ends silently.
* Certificates and host names are verified, always.  Without TLS only loopback is spoken to.

The frames are the `websockets` library's sans-I/O core; TLS is an `SSLObject` between two memory buffers, so that the
synchronous send works there too.  Compression is not offered: venues gain nothing, and it costs CPU.

One file because it is one connection: what it promises about its end must be read beside every way in which it ends.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import socket
import ssl
from collections.abc import Mapping, Sequence

import attrs
import trio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import WebSocketURI, parse_uri

from actors.venue.loggers import cap_library_loggers
from actors.venue.settings import TransportSettings
from actors.venue.tls import READ_BYTES, TlsLayer, tls_context
from protocols.errors import BulkheadError, ConfigError, RemoteProtocolError, VenueUnavailable

NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006
_NS = 1e-9


class ConnectionLost(VenueUnavailable):
    """The connection has ended; `code` and `reason` as the peer gave them (1006: it gave none)."""

    def __init__(self, text: str, code: int = ABNORMAL_CLOSURE, reason: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.reason = reason


class HandshakeRefused(VenueUnavailable):
    """The server answered the opening handshake with something else than 101."""

    def __init__(self, url: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"{url} refused the WebSocket handshake with HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body


class Backlogged(BulkheadError):
    """The peer reads too slowly: more would wait than is allowed.  Not one byte of the message has left."""


@attrs.define
class ConnectionStatistics:
    """Counters of one connection."""

    bytes_in: int = 0
    bytes_out: int = 0
    messages_in: int = 0
    messages_out: int = 0
    pings_in: int = 0
    short_writes: int = 0


class WebSocket:
    """An open connection; made by `connect_websocket`."""

    def __init__(
        self,
        url: str,
        sock: socket.socket,
        tls: TlsLayer | None,
        uri: WebSocketURI,
        settings: TransportSettings,
        headers: Mapping[str, str] | None = None,
    ):
        """`url` is what is shown and logged, `uri` where to connect."""
        self.url = url
        self._headers = dict(headers or {})
        self.statistics = ConnectionStatistics()
        self._sock = sock
        self._tls = tls
        self._settings = settings
        self._protocol = ClientProtocol(uri, max_size=settings.message_bytes_max)
        self._inbox: list[bytes] = []
        self._inbox_bytes = 0
        self._parts: list[bytes] = []
        self._unsent = bytearray()
        self._writer_wanted = trio.Event()
        self._flushed = trio.Event()
        self._end: BulkheadError | None = None
        self._over = trio.Event()
        self._reading = False
        self._last_read = trio.current_time()

    @property
    def ended(self) -> BulkheadError | None:
        """Why the connection is over, or None while it is open."""
        return self._end

    @property
    def unsent_bytes(self) -> int:
        """What was sent but not yet taken by the kernel."""
        return len(self._unsent)

    # ---- sending ----------------------------------------------------------------------------------------------

    def send_nowait(self, text: str) -> bool:
        """Write one text message now.  True: the kernel has all of it; False: the rest follows by itself.

        Raises ConnectionLost or Backlogged; then not one byte of the message has left.
        """
        if self._end is not None:
            raise self._lost(self._end)
        if self._unsent and len(self._unsent) + len(text) > self._settings.unsent_bytes_max:
            raise Backlogged(f"{self.url}: {len(self._unsent)} bytes wait for the kernel; the peer does not read")
        if self._protocol.state is not State.OPEN:
            raise ConnectionLost(f"{self.url}: the connection is closing")
        self._protocol.send_text(text.encode())
        self.statistics.messages_out += 1
        return self._write_frames()

    async def send(self, text: str) -> None:
        """Write one text message and wait until the kernel has it.  Canceling the wait does not cut the message."""
        self.send_nowait(text)
        while self._unsent and self._end is None:
            await self._flushed.wait()
        if self._end is not None:
            raise self._lost(self._end)
        await trio.lowlevel.checkpoint()

    def ping_nowait(self) -> None:
        """Ask the peer for a sign of life.  ConnectionLost when nothing can be asked any more."""
        if self._end is not None:
            raise self._lost(self._end)
        if self._protocol.state is not State.OPEN:
            raise ConnectionLost(f"{self.url}: the connection is closing")
        self._protocol.send_ping(b"")
        self._write_frames()

    def _write_frames(self) -> bool:
        chunks = self._protocol.data_to_send()
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if not data:
            return True
        if self._tls is not None:
            try:
                data = self._tls.encrypt(data)
            except ssl.SSLError as error:
                raise self._die(ConnectionLost(f"{self.url}: TLS failed while sending: {error}")) from error
        return self._write(data)

    def _write_records(self, tls: TlsLayer) -> None:
        """What the TLS layer wants to send of its own accord."""
        records = tls.outgoing()
        if records:
            self._write(records)

    def _write(self, data: bytes) -> bool:
        """Hand `data` to the kernel, or keep what it does not take; True when it took all."""
        if self._unsent:
            self._unsent += data
            return False
        try:
            taken = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            taken = 0
        except OSError as error:
            raise self._die(ConnectionLost(f"{self.url}: {error}")) from error
        self.statistics.bytes_out += taken
        if taken == len(data):
            return True
        self.statistics.short_writes += 1
        self._unsent += memoryview(data)[taken:]
        self._flushed = trio.Event()
        self._writer_wanted.set()
        return False

    async def write_leftovers(self) -> None:
        """The writer task: gives the kernel, in order, what it did not take at once; the connection ends with it."""
        try:
            while self._end is None:
                await self._writer_wanted.wait()
                while self._unsent and self._end is None:
                    await self._write_some()
                self._flushed.set()
                self._writer_wanted = trio.Event()
        finally:
            self._die(ConnectionLost(f"{self.url}: dropped by its owner, {len(self._unsent)} bytes unwritten"))

    async def _write_some(self) -> None:
        try:
            await trio.lowlevel.wait_writable(self._sock)
            taken = self._sock.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except trio.ClosedResourceError:
            return  # whoever closed the socket has said why
        except OSError as error:
            self._die(ConnectionLost(f"{self.url}: {error}"))
            return
        self.statistics.bytes_out += taken
        del self._unsent[:taken]

    # ---- receiving --------------------------------------------------------------------------------------------

    async def recv_many(self, silence_max_ns: int | None = None) -> list[bytes]:
        """The messages of one socket read, oldest first, at least one; payloads of text frames are their UTF-8 bytes.

        `silence_max_ns`: end the connection when not one byte (pings count) has come for this long.
        Raises ConnectionLost or RemoteProtocolError, after everything that arrived whole was returned.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._inbox:
            if self._end is not None:
                raise self._again(self._end)
            if self._read_nowait():
                if not self._inbox:
                    await trio.lowlevel.checkpoint()  # a peer that sends only pings must not hold the loop
            else:
                await self._wait_readable(silence_max_ns)
        messages, self._inbox, self._inbox_bytes = self._inbox, [], 0
        await trio.lowlevel.cancel_shielded_checkpoint()
        return messages

    async def read_ahead(self) -> None:
        """Read on into the inbox, up to its bound, until canceled: pings stay answered while the owner is stalled."""
        while self._end is None and self._inbox_bytes < self._settings.read_ahead_bytes_max:
            if self._read_nowait():
                await trio.lowlevel.checkpoint()
            else:
                await self._wait_readable(None)
        await trio.sleep_forever()

    async def _wait_readable(self, silence_max_ns: int | None) -> None:
        deadline = math.inf if silence_max_ns is None else self._last_read + silence_max_ns * _NS
        self._reading = True
        try:
            with trio.CancelScope(deadline=deadline) as patience:
                await trio.lowlevel.wait_readable(self._sock)
        except trio.ClosedResourceError:
            return  # whoever closed the socket has said why; the loop of the reader raises it
        finally:
            self._reading = False
        if patience.cancelled_caught and silence_max_ns is not None:
            self._die(ConnectionLost(f"{self.url}: not a byte for {silence_max_ns * _NS:.1f} s"))

    def _read_nowait(self) -> bool:
        """Take what the kernel has, up to one buffer; False when it has nothing."""
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._die(ConnectionLost(f"{self.url}: {error}"))
            return True
        self._last_read = trio.current_time()
        self.statistics.bytes_in += len(data)
        try:
            self._accept(data)
        except ssl.SSLError as error:
            self._die(ConnectionLost(f"{self.url}: TLS failed while receiving: {error}"))
        except ConnectionLost:
            pass  # answering a ping found the connection dead; recorded in `ended` and raised by the reader's loop
        return True

    def _accept(self, data: bytes) -> None:
        at_end = not data
        if self._tls is not None:
            self._tls.feed(data)
            data, at_end = self._tls.decrypt()
            self._write_records(self._tls)
        if data:
            self._protocol.receive_data(data)
        if at_end:
            self._protocol.receive_eof()
        self._digest()

    def _digest(self) -> None:
        """What the bytes fed so far mean: messages, pongs to send, or the end."""
        self._collect(self._protocol.events_received())
        if self._protocol.parser_exc is None and self._protocol.state is State.OPEN:
            if self._protocol.writes:
                self._write_frames()  # pongs
            return
        self._conclude()

    def _collect(self, frames: Sequence[object]) -> None:
        for frame in frames:
            if not isinstance(frame, Frame):
                continue
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._collect_data(bytes(frame.data), frame.fin)
            elif frame.opcode is Opcode.PING:
                self.statistics.pings_in += 1

    def _collect_data(self, data: bytes, fin: bool) -> None:
        if not fin:
            self._parts.append(data)
            return
        if self._parts:
            self._parts.append(data)
            data = b"".join(self._parts)
            self._parts = []
        self._inbox.append(data)
        self._inbox_bytes += len(data)
        self.statistics.messages_in += 1

    # ---- the end ----------------------------------------------------------------------------------------------

    def _conclude(self) -> None:
        """The peer closed, vanished or broke the protocol: answer what the protocol wants, and end."""
        protocol = self._protocol
        farewell = b"".join(protocol.data_to_send())
        if farewell and not self._unsent and self._end is None:
            with contextlib.suppress(OSError):  # a courtesy: the peer may be gone already
                self._sock.send(farewell if self._tls is None else self._tls.encrypt(farewell))
        problem = protocol.parser_exc
        closed = protocol.close_rcvd
        if closed is not None:
            text = f"{self.url}: closed by the peer with {closed.code} {closed.reason}".rstrip()
            self._die(ConnectionLost(text, closed.code, closed.reason))
        elif problem is None or isinstance(problem, EOFError):
            self._die(ConnectionLost(f"{self.url}: the stream ended without a closing frame"))
        else:
            self._die(RemoteProtocolError(f"{self.url}: {problem}"))

    def _die(self, why: BulkheadError) -> BulkheadError:
        """End the connection at once; the first reason stays.  Returns the reason, to be raised."""
        if self._end is None:
            self._end = why
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()
            self._unsent.clear()
            self._writer_wanted.set()
            self._flushed.set()
            self._over.set()
        return self._end

    def _again(self, why: BulkheadError) -> BulkheadError:
        """The reason of the end, as a fresh exception (a raised one collects tracebacks)."""
        return self._lost(why) if isinstance(why, ConnectionLost) else type(why)(*why.args)

    def _lost(self, why: BulkheadError) -> ConnectionLost:
        """For senders, who need to know only that it is over."""
        known = why if isinstance(why, ConnectionLost) else ConnectionLost(str(why))
        return ConnectionLost(str(known), known.code, known.reason)

    def abort(self, why: str = "dropped by us") -> None:
        """End at once, without a closing frame."""
        self._die(ConnectionLost(f"{self.url}: {why}"))

    async def aclose(self, code: int = NORMAL_CLOSURE) -> None:
        """Say goodbye, wait for the peer's answer at most `close_timeout_ns`, and end.

        A reader that is at work goes on and gets what is still in flight, then ConnectionLost; without one it is
        discarded.  Safe to call twice and after an end.
        """
        with trio.move_on_after(self._settings.close_timeout_ns * _NS) as patience:
            patience.shield = True
            try:
                if self._end is None and self._protocol.state is State.OPEN:
                    self._protocol.send_close(code)
                    self._write_frames()
                while self._end is None:
                    if self._reading:
                        await self._over.wait()
                    elif not self._read_nowait():
                        await self._wait_readable(None)
            except BulkheadError:
                pass  # it ended in another way meanwhile; that is recorded in `ended`
        self._die(ConnectionLost(f"{self.url}: closed by us", code))
        await trio.lowlevel.checkpoint()

    # ---- the beginning ----------------------------------------------------------------------------------------

    async def _open(self) -> None:
        if self._tls is not None:
            await self._open_tls(self._tls)
        request = self._protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        self._headers.clear()  # used once, and they may be a secret
        self._write_frames()
        while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
            if not self._read_nowait_handshake():
                await trio.lowlevel.wait_readable(self._sock)
        problem = self._protocol.handshake_exc
        if isinstance(problem, InvalidStatus):
            response = problem.response
            headers = {name.lower(): value for name, value in response.headers.raw_items()}
            raise HandshakeRefused(self.url, response.status_code, headers, bytes(response.body))
        if problem is not None:
            cause = problem.__cause__ or problem
            if isinstance(cause, EOFError):
                raise VenueUnavailable(f"{self.url}: the connection ended during the handshake")
            raise RemoteProtocolError(f"{self.url}: bad WebSocket handshake: {cause}") from problem
        self._digest()  # the first frames may have come with the answer

    def _read_nowait_handshake(self) -> bool:
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        at_end = not data
        if self._tls is not None:
            self._tls.feed(data)
            data, at_end = self._tls.decrypt()
            self._write_records(self._tls)
        if data:
            self._protocol.receive_data(data)
        if at_end:
            self._protocol.receive_eof()
        return True

    async def _open_tls(self, tls: TlsLayer) -> None:
        done = False
        while not done:
            done = tls.handshake()
            self._write_records(tls)
            if not done:
                await trio.lowlevel.wait_readable(self._sock)
                tls.feed(self._sock.recv(READ_BYTES))


async def connect_websocket(
    nursery: trio.Nursery,
    url: str,
    settings: TransportSettings,
    *,
    tls: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
    shown: str = "",
    known: dict[str, str] | None = None,
) -> WebSocket:
    """Open a connection; its writer task runs in `nursery` and ends with the connection.

    `tls` verifies `wss://` addresses (default: the system's authorities).  `headers` go with the upgrade request.
    `shown` stands for `url` wherever it is told, for addresses that are secrets.  `known`: last good address by host
    name, kept here and used while names cannot be resolved; the certificate is verified for the name all the same.
    Raises VenueUnavailable (unreachable, too slow, certificate refused), HandshakeRefused (HTTP status other than
    101), RemoteProtocolError (not a WebSocket server), ConfigError (address that must not be used).
    """
    cap_library_loggers()
    shown = shown or url
    try:
        uri = parse_uri(url)
    except InvalidURI:
        raise ConfigError(f"url was {shown!r}, must be wss://host[:port]/path") from None
    opened: WebSocket | None = None
    with trio.move_on_after(settings.connect_timeout_ns * _NS):
        opened = await _connect(shown, uri, settings, tls, headers, known if known is not None else {})
    if opened is None:
        raise VenueUnavailable(f"{shown}: no connection within {settings.connect_timeout_ns * _NS:.1f} s")
    nursery.start_soon(opened.write_leftovers)
    return opened


async def _connect(
    url: str,
    uri: WebSocketURI,
    settings: TransportSettings,
    tls: ssl.SSLContext | None,
    headers: Mapping[str, str] | None,
    known: dict[str, str],
) -> WebSocket:
    try:
        stream = await _dial(uri, known)
    except OSError as error:
        raise VenueUnavailable(f"{url}: cannot connect: {_os_error_text(error)}") from error
    peer = known[uri.host] = stream.socket.getpeername()[0]
    sock = socket.socket(fileno=stream.socket.detach())
    sock.setblocking(False)
    try:
        if not uri.secure and not ipaddress.ip_address(peer).is_loopback:
            raise ConfigError(f"url was {url!r}, but ws:// is allowed on loopback only; use wss://")
        layer = TlsLayer(tls or tls_context(), uri.host) if uri.secure else None
        opened = WebSocket(url, sock, layer, uri, settings, headers)
        await opened._open()
    except ssl.SSLCertVerificationError as error:
        sock.close()
        raise VenueUnavailable(f"{url}: certificate refused: {error.verify_message}") from error
    except (OSError, InvalidHandshake) as error:
        sock.close()
        raise VenueUnavailable(f"{url}: {error}") from error
    except BaseException:  # also a cancellation: nobody else has the socket yet
        sock.close()
        raise
    return opened


async def _dial(uri: WebSocketURI, known: Mapping[str, str]) -> trio.SocketStream:
    """TCP to the host, or to where it was when its name could be resolved the last time."""
    try:
        return await trio.open_tcp_stream(uri.host, uri.port)
    except socket.gaierror:
        if uri.host not in known:
            raise
        return await trio.open_tcp_stream(known[uri.host], uri.port)


def _os_error_text(error: OSError) -> str:
    """The reasons inside Trio's summary of several failed addresses, or the error itself."""
    cause = error.__cause__
    return "; ".join(map(str, cause.exceptions)) if isinstance(cause, BaseExceptionGroup) else str(cause or error)
