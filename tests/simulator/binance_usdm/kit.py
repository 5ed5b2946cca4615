"""Clients for the USDT-M tests: signed REST, the user data stream, the WebSocket API; none is the engine's own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import trio
from trio_websocket import WebSocketConnection

from tests.simulator.wire import PATIENCE_S, QUIET, WsApi, now_of, open_ws, sign_hmac
from tools.simulator import Credentials, Simulator, SimulatorConfig, demo_account, open_simulator

SYMBOL = "BTCUSDT"


def quiet_config(**more: Any) -> SimulatorConfig:
    """Two accounts, one symbol, a book at rest around 90,000."""
    settings: dict[str, Any] = {
        "venue": "binance-usdm",
        "market": QUIET,
        "symbols": (SYMBOL,),
        "accounts": (demo_account("alpha"), demo_account("beta")),
    }
    return SimulatorConfig(**(settings | more))


@asynccontextmanager
async def running(**more: Any) -> AsyncIterator[Simulator]:
    """A quiet simulator that must not have failed in any connection by the end."""
    async with open_simulator(quiet_config(**more)) as sim:
        yield sim
        assert sim.server.failures == []


class Rest:
    """Signs with the HMAC key of one account."""

    def __init__(self, client: httpx.AsyncClient, keys: Credentials, now_ms: Callable[[], int]) -> None:
        self.client = client
        self.keys = keys
        self.now_ms = now_ms

    async def public(self, path: str, **params: Any) -> Any:
        """The body of a public request under `/fapi/v1`."""
        return (await self.client.get(f"/fapi/v1/{path}", params=params)).json()

    async def send(self, verb: str, path: str, **params: Any) -> httpx.Response:
        """A signed request; a path with a version of its own is taken as it is."""
        query = urlencode({**params, "timestamp": self.now_ms()})
        full = path if path.startswith("/") else f"/fapi/v1/{path}"
        signature = sign_hmac(self.keys.hmac_secret, query)
        headers = {"X-MBX-APIKEY": self.keys.hmac_key}
        return await self.client.request(verb, f"{full}?{query}&signature={signature}", headers=headers)

    async def ask(self, verb: str, path: str, **params: Any) -> Any:
        """The body of a signed request that must succeed."""
        answer = await self.send(verb, path, **params)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    async def code(self, verb: str, path: str, **params: Any) -> int:
        """The code of a signed request that must be refused."""
        answer = await self.send(verb, path, **params)
        assert answer.status_code >= httpx.codes.BAD_REQUEST, answer.text
        return int(answer.json()["code"])

    async def keyed(self, verb: str, path: str = "listenKey") -> httpx.Response:
        """A request with the key alone."""
        return await self.client.request(verb, f"/fapi/v1/{path}", headers={"X-MBX-APIKEY": self.keys.hmac_key})

    async def limit(self, side: str, qty: str, price: str, **more: Any) -> Any:
        """A resting order of one symbol, GTC unless said otherwise."""
        terms = {"symbol": SYMBOL, "side": side, "type": "LIMIT", "quantity": qty, "price": price}
        return await self.ask("POST", "order", **{"timeInForce": "GTC", "newOrderRespType": "RESULT"} | terms | more)

    async def market(self, side: str, qty: str, **more: Any) -> Any:
        terms = {"symbol": SYMBOL, "side": side, "type": "MARKET", "quantity": qty, "newOrderRespType": "RESULT"}
        return await self.ask("POST", "order", **terms | more)

    async def position(self, side: str = "BOTH") -> Any:
        """The row of `v3/positionRisk`, or None where there is none."""
        rows = await self.ask("GET", "/fapi/v3/positionRisk", symbol=SYMBOL)
        return next((row for row in rows if row["positionSide"] == side), None)

    async def wallet(self) -> Any:
        rows = await self.ask("GET", "/fapi/v3/balance")
        return next(row for row in rows if row["asset"] == "USDT")


@asynccontextmanager
async def rest_of(sim: Simulator, account: str = "alpha") -> AsyncIterator[Rest]:
    async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as client:
        yield Rest(client, sim.credentials(account), now_of(sim))


class Events:
    """User data, by type."""

    def __init__(self, ws: WebSocketConnection) -> None:
        self.ws = ws
        self.seen: list[dict[str, Any]] = []

    async def next(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """The next event of this type whose `o` (or itself) has these fields."""
        with trio.fail_after(PATIENCE_S):
            while True:
                for event in self.seen:
                    body = event.get("o", event)
                    if event["e"] == kind and all(body.get(name) == value for name, value in wanted.items()):
                        self.seen.remove(event)
                        return event
                message = json.loads(await self.ws.get_message())
                self.seen.append(message.get("data", message))

    async def silence(self, seconds: float = 0.2) -> list[dict[str, Any]]:
        """What came within that time, and before."""
        with trio.move_on_after(seconds):
            while True:
                message = json.loads(await self.ws.get_message())
                self.seen.append(message.get("data", message))
        return self.seen


@asynccontextmanager
async def user_data(sim: Simulator, rest: Rest, target: str = "/private/ws/{key}") -> AsyncIterator[Events]:
    key = (await rest.keyed("POST")).json()["listenKey"]
    async with open_ws(sim, target.format(key=key)) as ws:
        yield Events(ws)


@asynccontextmanager
async def ws_api_of(sim: Simulator, account: str = "alpha") -> AsyncIterator[WsApi]:
    async with open_ws(sim, "/ws-fapi/v1") as ws:
        yield WsApi(ws, sim.credentials(account), now_of(sim))


def price(sim: Simulator, offset: int, symbol: str = SYMBOL) -> str:
    """So many ticks of 0.1 above (below) the best ask (bid) of now."""
    top = sim.exchange.markets[symbol].top()
    assert top.bid is not None
    assert top.ask is not None
    anchor = top.ask if offset > 0 else top.bid
    return f"{anchor + offset * sim.exchange.markets[symbol].spec.tick_size:.1f}"
