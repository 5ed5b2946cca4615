"""Clients for tests: signed REST by httpx, the WebSocket API by trio-websocket. Neither is the engine's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from trio_websocket import WebSocketConnection, wrap_client_stream

from tools.simulator import Credentials, GeneratorConfig, Simulator, SimulatorConfig, demo_account, open_simulator
from tools.simulator.dialects.binance_common.venue import BinanceVenue

PATIENCE_S = 10  # how long a test waits for something that must come; it is not a measurement

QUIET = GeneratorConfig(events_per_s=0.001, burst_every_s=0)  # a book that does not move by itself


def quiet_config(**more: Any) -> SimulatorConfig:
    """Two accounts, one symbol, a book at rest."""
    settings: dict[str, Any] = {
        "market": QUIET,
        "symbols": ("BTCUSDT",),
        "accounts": (demo_account("alpha"), demo_account("beta")),
    }
    return SimulatorConfig(**(settings | more))


def binance(sim: Simulator) -> BinanceVenue:
    """The dialect's inside, where a test must look at it."""
    assert isinstance(sim.venue, BinanceVenue)
    return sim.venue


def sign_hmac(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def sign_ed25519(pem: str, payload: str) -> str:
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return base64.b64encode(key.sign(payload.encode())).decode()


class Rest:
    """Signs with the HMAC key of one account."""

    def __init__(self, client: httpx.AsyncClient, keys: Credentials, now_ms: Any) -> None:
        self.client = client
        self.keys = keys
        self.now_ms = now_ms

    async def public(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(f"/api/v3/{path}", params=params)

    async def signed(self, verb: str, path: str, **params: Any) -> httpx.Response:
        query = urlencode({**params, "timestamp": params.get("timestamp", self.now_ms())})
        signature = sign_hmac(self.keys.hmac_secret, query)
        return await self.client.request(
            verb,
            f"/api/v3/{path}?{query}&signature={signature}",
            headers={"X-MBX-APIKEY": self.keys.hmac_key},
        )

    async def signed_ed25519(self, verb: str, path: str, **params: Any) -> httpx.Response:
        query = urlencode({**params, "timestamp": self.now_ms()})
        signature = quote(sign_ed25519(self.keys.ed25519_private_pem, query), safe="")
        return await self.client.request(
            verb,
            f"/api/v3/{path}?{query}&signature={signature}",
            headers={"X-MBX-APIKEY": self.keys.ed25519_key},
        )


class WsApi:
    """Sorts what arrives into replies by id, account events, and the rest."""

    def __init__(self, ws: WebSocketConnection, keys: Credentials, now_ms: Any) -> None:
        self.ws = ws
        self.keys = keys
        self.now_ms = now_ms
        self.events: list[dict[str, Any]] = []
        self.envelopes: list[dict[str, Any]] = []
        self.order_of_arrival: list[str] = []
        self._replies: dict[Any, dict[str, Any]] = {}
        self._sent = 0

    async def send(self, method: str, **params: Any) -> int:
        self._sent += 1
        await self.ws.send_message(json.dumps({"id": self._sent, "method": method, "params": params}))
        return self._sent

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send and wait for the reply with this id."""
        return await self.reply(await self.send(method, **params))

    async def timed(self, method: str, **params: Any) -> dict[str, Any]:
        """As `ask`, with a timestamp: how a logged-on session asks."""
        return await self.ask(method, **{**params, "timestamp": self.now_ms()})

    async def reply(self, request_id: Any) -> dict[str, Any]:
        with trio.fail_after(PATIENCE_S):
            while request_id not in self._replies:
                await self.pump()
        return self._replies.pop(request_id)

    async def event(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """The next account event of this type with these fields."""
        with trio.fail_after(PATIENCE_S):
            while True:
                for event in self.events:
                    if event["e"] == kind and all(event.get(name) == value for name, value in wanted.items()):
                        self.events.remove(event)
                        return event
                await self.pump()

    async def pump(self) -> None:
        """Take one message in."""
        body = json.loads(await self.ws.get_message())
        if "event" in body:
            self.envelopes.append(body)
            self.events.append(body["event"])
            self.order_of_arrival.append(body["event"]["e"])
        else:
            self._replies[body["id"]] = body
            self.order_of_arrival.append("reply")

    async def logon(self) -> dict[str, Any]:
        stamp = self.now_ms()
        payload = f"apiKey={self.keys.ed25519_key}&timestamp={stamp}"
        signature = sign_ed25519(self.keys.ed25519_private_pem, payload)
        return await self.ask("session.logon", apiKey=self.keys.ed25519_key, timestamp=stamp, signature=signature)

    async def ready(self) -> WsApi:
        """Logged on and subscribed."""
        assert (await self.logon())["status"] == 200
        assert (await self.ask("userDataStream.subscribe"))["status"] == 200
        return self

    def hmac_params(self, **params: Any) -> dict[str, Any]:
        """The parameters with key, time and HMAC signature."""
        full = {**params, "apiKey": self.keys.hmac_key, "timestamp": self.now_ms()}
        payload = "&".join(f"{name}={full[name]}" for name in sorted(full))
        return full | {"signature": sign_hmac(self.keys.hmac_secret, payload)}


def now_of(sim: Simulator) -> Any:
    return lambda: sim.clock.now_ns() // 1_000_000


@asynccontextmanager
async def rest_of(sim: Simulator, account: str = "alpha") -> AsyncIterator[Rest]:
    async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as client:
        yield Rest(client, sim.credentials(account), now_of(sim))


@asynccontextmanager
async def open_ws(sim: Simulator, target: str) -> AsyncIterator[WebSocketConnection]:
    """A WebSocket on a stream of our own: the library's client leaves the socket open when the server closes."""
    stream = await trio.open_tcp_stream("127.0.0.1", sim.port)
    try:
        async with trio.open_nursery() as nursery:
            yield await wrap_client_stream(nursery, stream, "127.0.0.1", target)
            nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)


@asynccontextmanager
async def ws_api_of(sim: Simulator, account: str = "alpha", query: str = "") -> AsyncIterator[WsApi]:
    async with open_ws(sim, "/ws-api/v3" + query) as ws:
        yield WsApi(ws, sim.credentials(account), now_of(sim))


@asynccontextmanager
async def running(**more: Any) -> AsyncIterator[Simulator]:
    """A quiet simulator that must not have failed in any connection by the end."""
    async with open_simulator(quiet_config(**more)) as sim:
        yield sim
        assert sim.server.failures == []


def best(sim: Simulator, symbol: str = "BTCUSDT") -> tuple[str, str]:
    """Best bid and ask as text."""
    top = sim.exchange.markets[symbol].top()
    assert top.bid is not None
    assert top.ask is not None
    return f"{top.bid:.2f}", f"{top.ask:.2f}"


async def until(condition: Any) -> None:
    """Wait for something that must become true."""
    with trio.fail_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  what is waited for has no event of its own
            await trio.sleep(0.005)
