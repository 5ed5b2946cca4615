"""The public sockets of any venue in a test's hands, and the engine's public session against them.

The double understands subscriptions in the venue's own words and acknowledges them; what it says besides, and when, is
the test's business::

    double = Double("bybit-linear")
    double.begin = lambda client, name: bybit_book(name[1], 7, "snapshot") if name[0] == "book" else None
    async with session(double, BybitPublic(Product.LINEAR), (BTC,)) as run:
        await run.books[BTC].one(BookSnapshot)
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
from websockets.frames import Opcode

from actors.venue.limiter import LimiterActor
from actors.venue.public import CHANNELS, RESYNC_BURST, RESYNC_INTERVAL_NS, PublicStreamActor
from actors.venue.settings import MS, ReconnectSettings, TransportSettings, VenueEndpoints
from actors.venue.wants import Wants
from protocols.enums import Channel
from protocols.ids import Path, Symbol, Venue
from protocols.reconcile import book_path, limiter_path, public_path
from protocols.venue import Limit, PublicCodec, SessionRules
from supervisors.actor import Actor
from tests.actors.venue.peers import Peer, encode, websocket_server
from tests.actors.venue.speech import Name, speech_of
from tests.actors.venue.world import Inbox, Probe, World, running

QUICK = ReconnectSettings(
    first_jitter_ns=10 * MS,
    backoff_ns=20 * MS,
    backoff_max_ns=100 * MS,
    refused_floor_ns=200 * MS,
    stable_after_ns=0,
    overlap_ns=100 * MS,
    handshake_timeout_ns=1_000 * MS,
)
TRANSPORT = TransportSettings(close_timeout_ns=200 * MS)
NO_LIMITS = (Limit("weight", 60_000_000_000, 10**9),)
READER: Path = "/reader"


@attrs.define(eq=False)
class Client:
    """One connection to a double."""

    peer: Peer
    path: str
    wants: set[Name] = attrs.Factory(set)
    texts: list[str] = attrs.Factory(list)
    """What the client has sent."""
    pings: int = 0
    lock: trio.Lock = attrs.Factory(trio.Lock)

    async def send(self, data: bytes) -> None:
        """Write, one after the other."""
        async with self.lock:
            try:
                await self.peer.raw(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # the client has closed this connection meanwhile


class Double:
    """See the module text."""

    def __init__(self, venue: str) -> None:
        self.venue = Venue(venue)
        self.speech = speech_of(venue)
        self.clients: list[Client] = []
        self.connections = 0
        self.begin: Callable[[Client, Name], str | None] = lambda client, name: None
        """The frame with which a subscription begins."""
        self.answers: Callable[[Client, str], bool] = lambda client, text: True
        """Whether a client's frame is answered."""
        self.data_first = False

    async def serve(self, peer: Peer) -> None:
        """One connection."""
        client = Client(peer, await peer.accept())
        self.clients.append(client)
        self.connections += 1
        try:
            while True:
                frame = await peer.next_frame()
                if frame.opcode is Opcode.PING:
                    client.pings += 1
                    await client.send(encode(Opcode.PONG, bytes(frame.data)))
                elif frame.opcode is Opcode.TEXT:
                    await self._hear(client, bytes(frame.data).decode())
                elif frame.opcode is Opcode.CLOSE:
                    await client.send(encode(Opcode.CLOSE, bytes(frame.data)))
                    return
        finally:
            self.clients.remove(client)

    async def _hear(self, client: Client, text: str) -> None:
        client.texts.append(text)
        if not self.answers(client, text):
            return
        heard = self.speech.hear(text)
        if heard.replace:
            client.wants.clear()
        client.wants |= set(heard.add)
        client.wants -= set(heard.remove)
        first = [each for name in heard.add if (each := self.begin(client, name)) is not None]
        texts = [*first, *heard.answers] if self.data_first else [*heard.answers, *first]
        await client.send(b"".join(encode(self.speech.opcode, each.encode()) for each in texts))

    def wanting(self, name: Name) -> list[Client]:
        """The connections that have subscribed to a stream, oldest first."""
        return [client for client in self.clients if name in client.wants]

    async def say(self, name: Name, *texts: str, to: Client | None = None) -> None:
        """Send frames of a stream to all of its subscribers, or to one of them."""
        for client in self.wanting(name) if to is None else [to]:
            await client.send(b"".join(encode(self.speech.opcode, text.encode()) for text in texts))


@attrs.frozen
class Run:
    """The running session."""

    double: Double
    world: World
    public: Path
    books: Mapping[Symbol, Inbox]
    reader: Inbox

    def inspect(self) -> Mapping[str, Any]:
        return self.world.inspect(self.public)

    async def subscribed(self, *names: Name) -> None:
        """Wait until the double has subscriptions."""
        await self.world.until(lambda: all(self.double.wanting(name) for name in names))


@asynccontextmanager
async def session(
    double: Double,
    codec: PublicCodec,
    symbols: Sequence[Symbol],
    *,
    rules: Callable[[SessionRules], SessionRules] = lambda rules: rules,
    reconnect: ReconnectSettings = QUICK,
    actors: Mapping[Path, Callable[[], Actor]] | None = None,
    wants: Wants | None = None,
    channels: Sequence[Channel] = CHANNELS,
    resync_burst: int = RESYNC_BURST,
    resync_interval_ns: int = RESYNC_INTERVAL_NS,
) -> AsyncIterator[Run]:
    """A codec's public session against its double; probes stand for books and reader, unless `actors` has others."""
    codec.rules = rules(codec.rules)
    venue = double.venue
    books: dict[Symbol, Inbox] = {symbol: Inbox() for symbol in symbols}
    reader = Inbox()
    async with websocket_server(double.serve) as server:
        endpoints = VenueEndpoints(rest_url="http://127.0.0.1:1", stream_url=server.url, entry_url=server.url)
        factories: dict[Path, Callable[[], Actor]] = {
            limiter_path(venue): lambda: LimiterActor(venue, NO_LIMITS),
            public_path(venue): lambda: PublicStreamActor(
                codec,
                endpoints,
                symbols,
                limiter=limiter_path(venue),
                transport=TRANSPORT,
                reconnect=reconnect,
                wants=wants,
                channels=channels,
                resync_burst=resync_burst,
                resync_interval_ns=resync_interval_ns,
            ),
            READER: lambda: Probe(reader),
        }
        for symbol, inbox in books.items():
            factories[book_path(venue, symbol)] = lambda inbox=inbox: Probe(inbox)  # type: ignore[misc]
        async with running({**factories, **(actors or {})}) as world:
            yield Run(double, world, public_path(venue), books, reader)


# ---- frames ------------------------------------------------------------------------------------------------------


def bybit_book(symbol: str, update_id: int, kind: str = "delta", bid: str = "100", qty: str = "1") -> str:
    """`orderbook.200`."""
    data = {"s": symbol, "b": [[bid, qty]], "a": [["101", "1"]] if kind == "snapshot" else [], "u": update_id, "seq": 1}
    topic = f"orderbook.200.{symbol}"
    return json.dumps({"topic": topic, "type": kind, "ts": 1790000000000, "data": data, "cts": 1790000000000})


def okx_book(symbol: str, seq_id: int, prev_id: int = -1, bid: str = "100", qty: str = "1") -> str:
    """`books`."""
    asks = [["101", "1", "0", "1"]] if prev_id == -1 else []
    row = {"bids": [[bid, qty, "0", "1"]], "asks": asks, "ts": "1790000000000", "seqId": seq_id, "prevSeqId": prev_id}
    action = "snapshot" if prev_id == -1 else "update"
    return json.dumps({"arg": {"channel": "books", "instId": symbol}, "action": action, "data": [row]})


def binance_depth(symbol: str, update_id: int, prev_id: int | None = None) -> str:
    """`depthUpdate`; with `prev_id` that of USDT-M."""
    data = {"e": "depthUpdate", "E": 1790000000000, "s": symbol, "U": update_id, "u": update_id}
    more = {} if prev_id is None else {"T": 1790000000000, "pu": prev_id}
    stream = f"{symbol.lower()}@depth@100ms"
    return json.dumps({"stream": stream, "data": {**data, **more, "b": [["100", "1"]], "a": []}}, separators=(",", ":"))


def usdm_trade(symbol: str, trade_id: int) -> str:
    """`aggTrade`."""
    data = {"e": "aggTrade", "E": 1790000000000, "s": symbol, "a": trade_id, "p": "100", "q": "1", "f": 1, "l": 1}
    name = f"{symbol.lower()}@aggTrade"
    return json.dumps({"stream": name, "data": {**data, "T": 1790000000000, "m": True}}, separators=(",", ":"))


def upbit_book(code: str, at_ms: int, bid: int = 100) -> str:
    """`orderbook`."""
    unit = {"ask_price": bid + 1, "bid_price": bid, "ask_size": 1.0, "bid_size": 1.0}
    body = {"type": "orderbook", "code": code, "total_ask_size": 1.0, "total_bid_size": 1.0, "orderbook_units": [unit]}
    return json.dumps({**body, "timestamp": at_ms, "level": 0, "stream_type": "REALTIME"}, separators=(",", ":"))


# ---- what tests of feeds share ---------------------------------------------------------------------------------

Rules = Callable[[SessionRules], SessionRules]


def changed(**more: Any) -> Rules:
    """Rules with other values."""
    return lambda rules: attrs.evolve(rules, **more)


def bybit_begins(client: Client, name: Name) -> str | None:
    return bybit_book(name[1], 7, "snapshot") if name[0] == "book" else None
