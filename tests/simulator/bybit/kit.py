"""Clients for tests of the simulated Bybit: signed REST by httpx, sockets by trio-websocket.  Not the engine's own."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import trio
from trio_websocket import ConnectionRejected, WebSocketConnection, wrap_client_stream

from tools.simulator import Credentials, GeneratorConfig, Simulator, SimulatorConfig, demo_account
from tools.simulator.dialects.bybit.venue import Bybit

PATIENCE_S = 10  # how long a test waits for something that must come; it is not a measurement

QUIET = GeneratorConfig(events_per_s=0.001, burst_every_s=0)  # a book that does not move by itself
SPOT, LINEAR = "spot:BTCUSDT", "linear:BTCUSDT"


def quiet_config(**more: Any) -> SimulatorConfig:
    """Two accounts, one symbol of each product, books at rest."""
    settings: dict[str, Any] = {
        "venue": "bybit",
        "market": QUIET,
        "symbols": (SPOT, LINEAR),
        "accounts": (demo_account("alpha"), demo_account("beta")),
    }
    return SimulatorConfig(**(settings | more))


def bybit(sim: Simulator) -> Bybit:
    """The dialect's inside, where a test must look at it."""
    assert isinstance(sim.venue, Bybit)
    return sim.venue


def sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Rest:
    """Signs with the HMAC key of one account."""

    def __init__(self, client: httpx.AsyncClient, keys: Credentials, now_ms: Callable[[], int]) -> None:
        self.client = client
        self.keys = keys
        self.now_ms = now_ms

    def headers(self, payload: str, **changed: str) -> dict[str, str]:
        """What a request with this payload must carry; `changed` for tests that spoil something."""
        stamp, key, window = str(self.now_ms()), self.keys.hmac_key, "5000"
        stamp, window = changed.get("stamp", stamp), changed.get("window", window)
        return {
            "X-BAPI-API-KEY": changed.get("key", key),
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": changed.get("sign", sign(self.keys.hmac_secret, f"{stamp}{key}{window}{payload}")),
        }

    async def get(self, path: str, query: str = "", **changed: str) -> httpx.Response:
        url = f"/v5/{path}?{query}" if query else f"/v5/{path}"
        return await self.client.get(url, headers=self.headers(query, **changed))

    async def post(self, path: str, **body: Any) -> httpx.Response:
        text = json.dumps(body)
        return await self.client.post(f"/v5/{path}", content=text, headers=self.headers(text))

    async def ask(self, path: str, query: str = "") -> Any:
        """The result of a query that must succeed."""
        answer = (await self.get(path, query)).json()
        assert answer["retCode"] == 0, answer
        return answer["result"]

    async def do(self, path: str, **body: Any) -> Any:
        """The result of a command that must succeed."""
        answer = (await self.post(path, **body)).json()
        assert answer["retCode"] == 0, answer
        return answer["result"]

    async def refused(self, path: str, **body: Any) -> int:
        """The code of a command that must not."""
        code = (await self.post(path, **body)).json()["retCode"]
        assert code != 0
        return int(code)

    async def order(self, category: str, side: str, qty: str, price: str = "", **more: Any) -> str:
        """A new order; its id.  Without a price a market order, on spot in base coin."""
        fields: dict[str, Any] = {"orderType": "Limit", "price": price} if price else {"orderType": "Market"}
        if category == "spot" and not price:
            fields["marketUnit"] = "baseCoin"
        result = await self.do(
            "order/create", category=category, symbol="BTCUSDT", side=side, qty=qty, **fields, **more
        )
        return str(result["orderId"])

    async def shown(self, category: str, order_id: str) -> dict[str, Any]:
        """The order as the venue shows it."""
        (row,) = (await self.ask("order/realtime", f"category={category}&orderId={order_id}"))["list"]
        return dict(row)


@asynccontextmanager
async def rest_of(sim: Simulator, name: str = "alpha") -> AsyncIterator[Rest]:
    async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as client:
        yield Rest(client, sim.credentials(name), lambda: sim.clock.now_ns() // 1_000_000)


class Socket:
    """Keeps everything that came, and finds in it."""

    def __init__(self, ws: WebSocketConnection) -> None:
        self.ws = ws
        self.frames: list[dict[str, Any]] = []

    async def send(self, **request: Any) -> None:
        await self.ws.send_message(json.dumps(request))

    async def next(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first frame that fits, old ones included; it is taken out."""
        with trio.fail_after(PATIENCE_S):
            while True:
                for frame in self.frames:
                    if fits(frame):
                        self.frames.remove(frame)
                        return frame
                self.frames.append(json.loads(await self.ws.get_message()))

    async def reply(self, op: str) -> dict[str, Any]:
        return await self.next(lambda frame: frame.get("op") == op)

    async def topic(self, topic: str) -> dict[str, Any]:
        return await self.next(lambda frame: frame.get("topic") == topic)

    async def row(self, topic: str, **wanted: Any) -> dict[str, Any]:
        """The next row of a private topic with these values."""
        frame = await self.next(
            lambda frame: (
                frame.get("topic") == topic
                and all(frame["data"][0].get(name) == value for name, value in wanted.items())
            )
        )
        return dict(frame["data"][0])

    async def subscribe(self, *topics: str) -> dict[str, Any]:
        await self.send(op="subscribe", args=list(topics), req_id="s")
        return await self.reply("subscribe")

    async def logon(self, keys: Credentials, now_ms: int, ahead_ms: int = 10_000) -> dict[str, Any]:
        expires = now_ms + ahead_ms
        await self.send(op="auth", args=[keys.hmac_key, expires, sign(keys.hmac_secret, f"GET/realtime{expires}")])
        return await self.reply("auth")


@asynccontextmanager
async def socket_of(sim: Simulator, path: str) -> AsyncIterator[Socket]:
    # A stream of our own, because the client library leaves its own one open when a connection ends badly.
    async with await trio.open_tcp_stream("127.0.0.1", sim.port) as stream, trio.open_nursery() as nursery:
        ws = await wrap_client_stream(nursery, stream, f"127.0.0.1:{sim.port}", path)
        yield Socket(ws)
        nursery.cancel_scope.cancel()


async def refusal_of(sim: Simulator, path: str) -> int:
    """The HTTP status with which the venue refuses a WebSocket; 0 where it does not."""
    status = 0
    try:
        async with socket_of(sim, path):
            pass
    except* ConnectionRejected as group:
        (rejected,) = group.exceptions
        assert isinstance(rejected, ConnectionRejected)
        status = rejected.status_code
    return status


@asynccontextmanager
async def private_of(sim: Simulator, *topics: str, name: str = "alpha") -> AsyncIterator[Socket]:
    """Logged on and subscribed."""
    async with socket_of(sim, "/v5/private") as socket:
        assert (await socket.logon(sim.credentials(name), sim.clock.now_ns() // 1_000_000))["success"] is True
        if topics:
            assert (await socket.subscribe(*topics))["success"] is True
        yield socket


@asynccontextmanager
async def trade_of(sim: Simulator, name: str = "alpha") -> AsyncIterator[Socket]:
    """Logged on."""
    async with socket_of(sim, "/v5/trade") as socket:
        assert (await socket.logon(sim.credentials(name), sim.clock.now_ns() // 1_000_000))["retCode"] == 0
        yield socket


def best(sim: Simulator, key: str) -> tuple[Decimal, Decimal]:
    """Best bid and ask."""
    top = sim.exchange.markets[key].top()
    assert top.bid is not None
    assert top.ask is not None
    return top.bid, top.ask
