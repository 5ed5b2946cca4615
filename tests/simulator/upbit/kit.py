"""A client for the simulated Upbit: PyJWT, httpx and trio-websocket; nothing of the engine."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

import attrs
import httpx
import jwt
import trio
from trio_websocket import WebSocketConnection, wrap_client_stream

from tools.simulator import Credentials, GeneratorConfig, Simulator, SimulatorConfig, demo_account, open_simulator
from tools.simulator.core.model import Side
from tools.simulator.dialects.upbit.limits import UpbitLimits

PATIENCE_S = 10  # how long a test waits for something that must come; it is not a measurement
QUIET = GeneratorConfig(events_per_s=0.001, burst_every_s=0)  # a book that does not move by itself
_COUNTED = [field.name for field in attrs.fields(UpbitLimits) if "_per_" in field.name]
UNLIMITED = UpbitLimits(**dict.fromkeys(_COUNTED, 0))
PRICE = Decimal(155_000_000)


def config(**more: Any) -> SimulatorConfig:
    """Two accounts, two markets, books at rest, no limits."""
    settings: dict[str, Any] = {
        "venue": "upbit",
        "market": QUIET,
        "symbols": ("KRW-BTC", "KRW-ETH"),
        "accounts": (demo_account("alpha"), demo_account("beta")),
        "limits": UNLIMITED,
    }
    return SimulatorConfig(**(settings | more))


Pairs = list[tuple[str, str]]


def token(keys: Credentials, pairs: Pairs, *, algorithm: str = "HS512", **changed: Any) -> str:
    """A token as the documents describe it; `changed` claims spoil it (None leaves one out)."""
    claims: dict[str, Any] = {"access_key": keys.hmac_key, "nonce": str(uuid.uuid4())}
    if pairs:
        text = "&".join(f"{name}={value}" for name, value in pairs)
        claims |= {"query_hash": hashlib.sha512(text.encode()).hexdigest(), "query_hash_alg": "SHA512"}
    claims = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode(claims, keys.hmac_secret, algorithm=algorithm)


def query_of(pairs: Pairs) -> str:
    return "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in pairs)


class Rest:
    """One account's requests."""

    def __init__(self, client: httpx.AsyncClient, keys: Credentials) -> None:
        self.client = client
        self.keys = keys

    async def public(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(f"/v1/{path}", params=params)

    async def get(self, path: str, *pairs: tuple[str, str]) -> httpx.Response:
        return await self.signed("GET", path, list(pairs))

    async def delete(self, path: str, *pairs: tuple[str, str]) -> httpx.Response:
        return await self.signed("DELETE", path, list(pairs))

    async def post(self, path: str, **body: str) -> httpx.Response:
        return await self.signed("POST", path, list(body.items()))

    async def signed(self, verb: str, path: str, pairs: Pairs, **changed: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token(self.keys, pairs, **changed)}"}
        if verb == "POST":
            return await self.client.post(f"/v1/{path}", json=dict(pairs), headers=headers)
        url = f"/v1/{path}?{query_of(pairs)}" if pairs else f"/v1/{path}"
        return await self.client.request(verb, url, headers=headers)

    # ---- orders ------------------------------------------------------------------------------------------------
    async def place(self, **fields: str) -> dict[str, Any]:
        """An order that must be taken; a bid of 0.001 KRW-BTC far below the market unless told otherwise."""
        terms = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "150000000", "volume": "0.001"}
        answer = await self.post("orders", **(terms | fields))
        assert answer.status_code == 201, answer.text
        return checked(answer)

    async def order(self, uuid: str) -> dict[str, Any]:
        answer = await self.get("order", ("uuid", uuid))
        assert answer.status_code == 200, answer.text
        return checked(answer)

    async def refused(self, **fields: str) -> tuple[int, str]:
        """Status and name of the refusal of such an order."""
        return refusal(await self.post("orders", **fields))


def checked(answer: httpx.Response) -> Any:
    return json.loads(answer.content, parse_float=Decimal)


def refusal(answer: httpx.Response) -> tuple[int, Any]:
    assert answer.status_code >= 400, answer.text
    return answer.status_code, answer.json()["error"]["name"]


@asynccontextmanager
async def rest_of(sim: Simulator, account: str = "alpha") -> AsyncIterator[Rest]:
    async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as client:
        yield Rest(client, sim.credentials(account))


class Socket:
    """Messages in the order of their arrival."""

    def __init__(self, ws: WebSocketConnection) -> None:
        self.ws = ws
        self.frames: list[str | bytes] = []

    async def say(self, *parts: dict[str, Any], ticket: str = "t") -> None:
        await self.ws.send_message(json.dumps([{"ticket": ticket}, *parts]))

    async def next(self) -> Any:
        with trio.fail_after(PATIENCE_S):
            frame = await self.ws.get_message()
        self.frames.append(frame)
        return json.loads(frame, parse_float=Decimal)

    async def until(self, **wanted: Any) -> Any:
        """The next message with these fields."""
        with trio.fail_after(PATIENCE_S):
            while True:
                message = await self.next()
                if all(message.get(name) == value for name, value in wanted.items()):
                    return message

    async def error(self) -> str:
        return str((await self.until_key("error"))["error"]["name"])

    async def until_key(self, name: str) -> Any:
        with trio.fail_after(PATIENCE_S):
            while True:
                message = await self.next()
                if name in message:
                    return message


@asynccontextmanager
async def socket_of(sim: Simulator, account: str | None = None, **headers: str) -> AsyncIterator[Socket]:
    """The public socket, or the private one of an account."""
    extra = [(name.encode(), value.encode()) for name, value in headers.items()]
    path = urlsplit(sim.urls["streams"]).path
    if account is not None:
        path = urlsplit(sim.urls["private"]).path
        if "Authorization" not in headers:
            extra.append((b"Authorization", f"Bearer {token(sim.credentials(account), [])}".encode()))
    # A stream of our own: the library's client leaves the socket open when the server closes.
    async with await trio.open_tcp_stream("127.0.0.1", sim.port) as stream, trio.open_nursery() as nursery:
        ws = await wrap_client_stream(nursery, stream, f"127.0.0.1:{sim.port}", path, extra_headers=extra)
        try:
            yield Socket(ws)
        finally:
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def quiet_venue(**more: Any) -> AsyncIterator[Simulator]:
    """A simulator that had no bug when the block ends."""
    async with open_simulator(config(**more)) as sim:
        yield sim
        assert sim.server.failures == []


def best(sim: Simulator, side: Side, symbol: str = "KRW-BTC") -> tuple[Decimal, Decimal]:
    """Price and quantity at the top."""
    return sim.exchange.markets[symbol].depth(side, 1)[0]
