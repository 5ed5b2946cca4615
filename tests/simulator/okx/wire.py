"""Clients for tests: signed REST by httpx, sockets by trio-websocket, and our own codecs speaking over one.

What is signed here is signed by the test's own few lines, not by the dialect's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import attrs
import httpx
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from protocols.ids import AccountID
from protocols.instruments import Product
from protocols.venue import Frame, HttpReply, HttpRequest, Reply
from protocols.venues.okx import OkxPrivate, OkxPublic, signer_for
from tools.simulator import Credentials, GeneratorConfig, Simulator, SimulatorConfig, demo_account, open_simulator
from tools.simulator.dialects.okx.limits import OkxLimits
from tools.simulator.dialects.okx.venue import OkxVenue

PATIENCE_S = 10
"""How long a test waits for something that must come; it is not a measurement."""
QUIET = GeneratorConfig(events_per_s=0.001, burst_every_s=0)
"""A book that does not move by itself."""
NO_LIMITS = OkxLimits(
    orders_per_2s=0,
    batch_orders_per_2s=0,
    account_orders_per_2s=0,
    connections_per_s=0,
    session_requests_per_hour=0,
    reads_percent=0,
)
SPOT, SWAP = "BTC-USDT", "BTC-USDT-SWAP"
S = 1_000_000_000


def quiet_config(**more: Any) -> SimulatorConfig:
    """Two accounts, one symbol of each product, a book at rest, nothing limited."""
    settings: dict[str, Any] = {
        "venue": "okx",
        "market": QUIET,
        "symbols": (SPOT, SWAP),
        "accounts": (demo_account("alpha"), demo_account("beta")),
        "limits": NO_LIMITS,
    }
    return SimulatorConfig(**(settings | more))


def venue_of(sim: Simulator) -> OkxVenue:
    assert isinstance(sim.venue, OkxVenue)
    return sim.venue


def sign(secret: str, payload: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()).decode()


def iso(time_ns: int) -> str:
    moment = datetime.fromtimestamp(time_ns // S, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns // 1_000_000 % 1000:03d}Z"


class Rest:
    """Signs as one account."""

    def __init__(self, client: httpx.AsyncClient, sim: Simulator, account: str) -> None:
        self.client = client
        self.keys: Credentials = sim.credentials(account)
        self._now_ns = sim.clock.now_ns

    def headers(self, method: str, target: str, body: str = "", **changes: str) -> dict[str, str]:
        stamp = changes.pop("stamp", iso(self._now_ns()))
        signed = sign(self.keys.hmac_secret, f"{stamp}{method}{target}{body}")
        return {
            "OK-ACCESS-KEY": self.keys.hmac_key,
            "OK-ACCESS-PASSPHRASE": self.keys.passphrase,
            "OK-ACCESS-TIMESTAMP": stamp,
            "OK-ACCESS-SIGN": signed,
            "Content-Type": "application/json",
            **changes,
        }

    async def public(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(f"/api/v5/{path}", params=params)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        query = "&".join(f"{name}={value}" for name, value in params.items())
        target = f"/api/v5/{path}" + (f"?{query}" if query else "")
        return await self.client.get(target, headers=self.headers("GET", target))

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        target, text = f"/api/v5/{path}", json.dumps(body)
        return await self.client.post(target, content=text, headers=self.headers("POST", target, text, **headers))

    async def rows(self, path: str, **params: Any) -> list[Any]:
        """The rows of a successful query."""
        answer = (await self.get(path, **params)).json()
        assert answer["code"] == "0", answer
        found: list[Any] = answer["data"]
        return found

    async def one(self, path: str, **params: Any) -> dict[str, Any]:
        (row,) = await self.rows(path, **params)
        found: dict[str, Any] = row
        return found

    async def item(self, path: str, body: Any, **headers: str) -> dict[str, Any]:
        """The only item of an answer to a request about an order, good or not."""
        (row,) = (await self.post(path, body, **headers)).json()["data"]
        found: dict[str, Any] = row
        return found

    async def place(self, inst_id: str = SPOT, **changes: Any) -> dict[str, Any]:
        """Place an order: a resting limit buy unless told otherwise."""
        return await self.item("trade/order", order(inst_id, **changes))


def order(inst_id: str = SPOT, **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "instId": inst_id,
        "tdMode": "cash" if inst_id == SPOT else "cross",
        "side": "buy",
        "ordType": "limit",
        "sz": "0.1" if inst_id == SPOT else "1",
        "px": "50000",
    }
    body |= changes
    if body["ordType"] == "market":
        body.pop("px")
        if inst_id == SPOT:
            body.setdefault("tgtCcy", "base_ccy")
    return {name: value for name, value in body.items() if value is not None}


@asynccontextmanager
async def rest_of(sim: Simulator, account: str = "alpha") -> AsyncIterator[Rest]:
    async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as client:
        yield Rest(client, sim, account)


class Socket:
    """A WebSocket whose messages are objects; everything that came is kept."""

    def __init__(self, ws: WebSocketConnection, sim: Simulator) -> None:
        self.ws = ws
        self._sim = sim
        self.heard: list[Any] = []

    async def say(self, body: Any) -> None:
        await self.ws.send_message(body if isinstance(body, str) else json.dumps(body))

    async def hear(self) -> Any:
        with trio.fail_after(PATIENCE_S):
            text = await self.ws.get_message()
        assert isinstance(text, str)
        body = json.loads(text) if text.startswith("{") else text
        self.heard.append(body)
        return body

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The next message that is wanted; the others are kept in `heard`."""
        while True:
            body = await self.hear()
            if wanted(body):
                return body

    async def event(self, name: str) -> Any:
        return await self.until(lambda body: isinstance(body, dict) and body.get("event") == name)

    async def push(self, channel: str) -> Any:
        return await self.until(
            lambda body: isinstance(body, dict) and "data" in body and body.get("arg", {}).get("channel") == channel
        )

    async def answer(self, request_id: str) -> Any:
        return await self.until(lambda body: isinstance(body, dict) and body.get("id") == request_id and "op" in body)

    async def subscribe(self, *args: dict[str, Any], op: str = "subscribe") -> None:
        await self.say({"op": op, "args": list(args)})
        for _ in args:
            await self.event(op)

    def login_arg(self, account: str = "alpha", **changes: str) -> dict[str, str]:
        keys = self._sim.credentials(account)
        stamp = changes.pop("timestamp", str(self._sim.clock.now_ns() // S))
        return {
            "apiKey": keys.hmac_key,
            "passphrase": keys.passphrase,
            "timestamp": stamp,
            "sign": sign(keys.hmac_secret, f"{stamp}GET/users/self/verify"),
            **changes,
        }

    async def login(self, account: str = "alpha") -> None:
        await self.say({"op": "login", "args": [self.login_arg(account)]})
        answer = await self.event("login")
        assert answer["code"] == "0"


@asynccontextmanager
async def raw_socket(sim: Simulator, name: str = "streams") -> AsyncIterator[WebSocketConnection]:
    """`streams`, `business` or `private`. The TCP stream is closed here: the library leaves it open in some ends."""
    address = urlsplit(sim.urls[name])
    assert address.hostname is not None
    assert address.port is not None
    stream = await trio.open_tcp_stream(address.hostname, address.port)
    try:
        async with trio.open_nursery() as nursery:
            yield await wrap_client_stream(nursery, stream, address.netloc, address.path, message_queue_size=5_000)
            nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)


@asynccontextmanager
async def socket_to(sim: Simulator, name: str = "streams") -> AsyncIterator[Socket]:
    async with raw_socket(sim, name) as ws:
        yield Socket(ws, sim)


async def ended(socket: Socket) -> tuple[int, str]:
    """How the venue closes the connection: what comes before is read, too."""
    reason = None
    try:
        while True:
            await socket.hear()
    except ConnectionClosed as closed:
        reason = closed.reason
    if reason is None:
        raise AssertionError("the connection broke without a close frame")
    return reason.code, reason.reason or ""


async def start_of_window(sim: Simulator) -> None:
    """Right after a window of two seconds has begun, so that it does not end in the middle of a test."""
    left = 2 * S - sim.clock.now_ns() % (2 * S)
    if left < S:
        await trio.sleep(left / S + 0.01)


@asynccontextmanager
async def private_socket(sim: Simulator, *channels: str, account: str = "alpha") -> AsyncIterator[Socket]:
    """Logged in and subscribed, the pictures heard."""
    async with socket_to(sim, "private") as socket:
        await socket.login(account)
        for channel in channels:
            arg = {"channel": channel, "extraParams": '{"updateInterval":"0"}'}
            await socket.subscribe(arg | ({"instType": "ANY"} if channel in ("orders", "positions") else {}))
            if channel in ("account", "positions", "balance_and_position"):
                await socket.push(channel)
        yield socket


@attrs.define
class Codecs:
    """Our own codecs of one product over the simulator's sockets and REST."""

    sim: Simulator
    public: OkxPublic
    private: OkxPrivate
    client: httpx.AsyncClient

    def now_ns(self) -> int:
        return self.sim.clock.now_ns()

    async def ask(self, request: HttpRequest) -> HttpReply:
        """Send what the codec has built, byte for byte."""
        target = f"{request.path}?{request.query}" if request.query else request.path
        sent_ns = self.now_ns()
        answer = await self.client.request(
            request.method, target, content=request.body.encode(), headers=dict(request.headers)
        )
        return HttpReply(answer.status_code, dict(answer.headers), answer.content, sent_ns, self.now_ns())

    async def learn(self) -> None:
        """Take over the instrument numbers."""
        instruments, _ = self.public.decode_instruments(await self.ask(self.public.instruments_request(())))
        self.private.learn(instruments)


@asynccontextmanager
async def codecs_of(sim: Simulator, product: Product, account: str = "alpha", **settings: Any) -> AsyncIterator[Codecs]:
    keys = sim.credentials(account)
    private = OkxPrivate(
        AccountID(account), signer_for(keys.hmac_key, f"{keys.hmac_secret}:{keys.passphrase}"), product, **settings
    )
    async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as client:
        codecs = Codecs(sim, OkxPublic(product), private, client)
        await codecs.learn()
        yield codecs


class Entry:
    """A private connection on which our codec speaks: replies by request id, events in order."""

    def __init__(self, ws: WebSocketConnection, codecs: Codecs) -> None:
        self.ws = ws
        self.codecs = codecs
        self.events: list[Any] = []
        self._replies: dict[str, Reply] = {}

    async def send(self, frame: Frame) -> Reply:
        """Send and wait for the reply to it."""
        await self.ws.send_message(frame.text)
        while frame.request_id not in self._replies:
            await self.hear()
        return self._replies.pop(frame.request_id)

    async def hear(self) -> None:
        with trio.fail_after(PATIENCE_S):
            text = await self.ws.get_message()
        for event in self.codecs.private.decode_entry(text, self.codecs.now_ns()):
            if isinstance(event, Reply):
                self._replies[event.request_id] = event
            else:
                self.events.append(event)

    async def until(self, kind: type[Any], wanted: Callable[[Any], bool] = lambda _: True) -> Any:
        """The first event of a type that is wanted, taken out with all before it."""
        while True:
            for at, event in enumerate(self.events):
                if isinstance(event, kind) and wanted(event):
                    del self.events[: at + 1]
                    return event
            await self.hear()


@asynccontextmanager
async def entry_of(codecs: Codecs) -> AsyncIterator[Entry]:
    """Logged in and subscribed by our codec."""
    async with raw_socket(codecs.sim, "private") as ws:
        entry = Entry(ws, codecs)
        private = codecs.private
        login = private.logon("l1", codecs.now_ns())
        assert login is not None
        assert (await entry.send(login)).error is None
        subscribed = await entry.send(private.subscribe_private("s1", codecs.now_ns(), logged_on=True))
        assert subscribed.error is None
        yield entry


@asynccontextmanager
async def quiet_simulator(**more: Any) -> AsyncIterator[Simulator]:
    async with open_simulator(quiet_config(**more)) as sim:
        yield sim
        assert sim.server.failures == []
