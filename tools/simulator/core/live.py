"""A live market: another venue's public streams, matched against here as they come.  Paper trading.

Works like a replay, with the venue itself in the place of the recording: each public frame keeps the book and fills the
users, and goes to whoever listens here.  What a recording cannot do is break: on a gap in the depth ids, or when the
connection ends, everything is fetched and bridged anew.  Orders that rest here meanwhile stay and are filled by what
the market does afterwards.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import SplitResult, urlsplit

import attrs
import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from tools.simulator.core.capture import ReplayCodec
from tools.simulator.core.hub import Hub, Message

_TIMEOUT_S = 10.0
_SETTLE_S = 0.3  # the streams run this long before the snapshot is asked for, so that it is not older than they are
_RETRY_S = (0.2, 1.0, 5.0, 15.0)
_UNREAD = 50_000  # frames that may wait while the snapshots are fetched
_STREAMS = ("depth@100ms", "trade", "bookTicker")


class FeedBroken(Exception):
    """The stream cannot be continued: a gap, or an answer that is none."""


@attrs.frozen(kw_only=True)
class LiveConfig:
    """Whose market, and how deep the books are taken."""

    rest_url: str  # http(s)://host[:port]
    stream_url: str  # ws(s)://host[:port]
    depth: int = 1000


def fetch(url: str) -> bytes:
    """GET without a proxy.  Raises FeedBroken with the address and the reason."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise FeedBroken(f"{url}: must begin with http:// or https://")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as answer:
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError) as error:
        raise FeedBroken(f"{url}: {error}") from error


def instruments_url(config: LiveConfig, symbols: tuple[str, ...]) -> str:
    """Where the upstream venue lists these symbols with their filters."""
    wanted = json.dumps(symbols, separators=(",", ":")).replace('"', "%22")
    return f"{config.rest_url.rstrip('/')}/api/v3/exchangeInfo?symbols={wanted}"


async def connect(address: SplitResult) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    """TCP, with TLS where the address says so.  Ours to close: the client library leaves its own one open."""
    assert address.hostname is not None
    secure = address.scheme == "wss"
    with trio.fail_after(_TIMEOUT_S):
        tcp = await trio.open_tcp_stream(address.hostname, address.port or (443 if secure else 80))
    if not secure:
        return tcp
    return trio.SSLStream(tcp, ssl.create_default_context(), server_hostname=address.hostname, https_compatible=True)


class LiveFeed:
    """Follows the upstream venue for ever; as it stands, Binance Spot."""

    def __init__(self, hub: Hub, target: ReplayCodec, config: LiveConfig, symbols: tuple[str, ...]) -> None:
        self.config = config
        self._hub = hub
        self._target = target
        self._symbols = symbols
        self._reached: dict[str, int] = {}  # depth stream -> last update id
        self.opened = trio.Event()
        self.frames = 0
        self.connections = 0
        self.failure = ""

    def progress(self) -> dict[str, Any]:
        """For the admin endpoint."""
        return {
            "upstream": self.config.stream_url,
            "open": self.opened.is_set(),
            "frames": self.frames,
            "connections": self.connections,
            "failure": self.failure,
        }

    async def run(self) -> None:
        """Connect, follow, and begin again whatever ends it."""
        failures = 0
        while True:
            seen = self.frames
            try:
                await self._follow()
            except* (
                FeedBroken,
                OSError,
                ConnectionClosed,
                HandshakeError,
                ValueError,
                trio.TooSlowError,
                trio.BrokenResourceError,
            ) as group:
                cause = group.exceptions[0]
                while isinstance(cause, BaseExceptionGroup):
                    cause = cause.exceptions[0]
                self.failure = f"{type(cause).__name__}: {cause}"
            failures = failures + 1 if self.frames == seen else 0
            await trio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])

    # ------------------------------------------------------------------------ what differs from venue to venue
    def targets(self) -> list[str]:
        """Path and query of each connection that is needed."""
        names = "/".join(f"{symbol.lower()}@{stream}" for symbol in self._symbols for stream in _STREAMS)
        return [f"/stream?streams={names}"]

    def snapshot_url(self, symbol: str) -> str:
        return f"{self.config.rest_url.rstrip('/')}/api/v3/depth?symbol={symbol}&limit={self.config.depth}"

    def opened_at(self, symbol: str, raw: str) -> None:
        """The book of the symbol stands as in this snapshot."""
        self._reached[f"{symbol.lower()}@depth@100ms"] = int(json.loads(raw)["lastUpdateId"])

    def prove(self, message: Message) -> None:
        """Raises FeedBroken where a message of a sequence does not follow the one before."""
        if message.ids is None:
            return
        first_id, last_id = message.ids
        reached = self._reached.get(message.stream, last_id)
        if first_id > reached + 1:
            raise FeedBroken(f"{message.stream}: update {first_id} follows {reached}")
        self._reached[message.stream] = max(reached, last_id)

    # --------------------------------------------------------------------------------------------- following
    async def _follow(self) -> None:
        """One life of all connections: streams first, then the snapshots, then everything in turn."""
        address = urlsplit(self.config.stream_url)
        if address.scheme not in ("ws", "wss") or not address.hostname:
            raise FeedBroken(f"{self.config.stream_url}: must be ws://host[:port] or wss://host[:port]")
        async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
            sockets = []
            for target in self.targets():
                stream = await connect(address)
                await stack.enter_async_context(stream)
                with trio.fail_after(_TIMEOUT_S):
                    sockets.append(
                        await wrap_client_stream(nursery, stream, address.netloc, target, message_queue_size=_UNREAD)
                    )
            self.connections += 1
            await trio.sleep(_SETTLE_S)
            for symbol in self._symbols:
                raw = (await trio.to_thread.run_sync(fetch, self.snapshot_url(symbol))).decode()
                self._target.open_book(symbol, raw)
                self.opened_at(symbol, raw)
            self.failure = ""
            self.opened.set()
            async with trio.open_nursery() as readers:
                for socket in sockets:
                    readers.start_soon(self._read, socket)

    async def _read(self, socket: WebSocketConnection) -> None:
        while True:
            text = await socket.get_message()
            self._take(text if isinstance(text, str) else text.decode())

    def _take(self, raw: str) -> None:
        message = self._target.apply(raw)
        if message is None:
            return
        self.frames += 1
        self.prove(message)
        self._hub.publish(message)
