"""Every venue that is played remembers: the engine's own codec asks before and after the process was killed.

One account trades in the venue's own words: orders that rest, fill and are canceled.  Then the simulator is
let go of as a kill would do, and a new one on the same file is asked the same questions.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors.venue.http import HttpClient
from actors.venue.settings import TransportSettings
from protocols.enums import ExecInst, OrdStatus, OrdType, Side, TimeInForce
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, Venue
from protocols.instruments import Instrument, Product, ceil_to, floor_to
from protocols.orders import ExecutionReport, NewOrder
from protocols.venue import (
    HttpReply,
    HttpRequest,
    KnowsPositions,
    LearnsInstruments,
    ListenKeys,
    PrivateCodec,
    Reply,
    VenueError,
)
from protocols.venues.registry import VENUES, VenueOptions, VenueParts
from tests.simulator.state_kit import picture_of
from tools.simulator import GeneratorConfig, Simulator, SimulatorConfig, demo_account
from tools.simulator.core import families
from tools.simulator.simulator import open_simulator

ACCOUNT = AccountID("alpha")
QUIET = GeneratorConfig(events_per_s=0.001, burst_every_s=0.0)
CLOCKS = {"received_ns", "updated_ns", "transact_ns"}
"""Of an answer: when it came.  (A fill's own time is compared by the venue's books.)"""
HOUR_NS = 3_600_000_000_000
_numbers = itertools.count(1)


@attrs.frozen
class Placed:
    """An order that the venue has taken."""

    cl_ord_id: ClOrdID
    order_id: OrderID


class Client:
    """A trader with the venue's codec."""

    def __init__(self, sim: Simulator, http: HttpClient, parts: VenueParts, instrument: Instrument) -> None:
        keys = sim.credentials(ACCOUNT)
        signer = parts.signer(keys.hmac_key, keys.hmac_secret, keys.passphrase)
        self.sim = sim
        self.parts = parts
        self.http = http
        self.instrument = instrument
        self.codec: PrivateCodec = parts.private(ACCOUNT, signer, VenueOptions(), f"test{next(_numbers)}")
        if isinstance(self.codec, LearnsInstruments):
            self.codec.learn([instrument])

    @property
    def now(self) -> int:
        return self.sim.clock.now_ns()

    async def ask(self, request: HttpRequest) -> HttpReply:
        return await self.http.request(request)

    def order(self, side: Side, price: Decimal, **changes: Any) -> NewOrder:
        instrument = self.instrument
        price = floor_to(price, instrument.price_step(price))
        least = max(instrument.min_notional / (price * instrument.contract_size), instrument.min_qty)
        fields: dict[str, Any] = {
            "cl_ord_id": ClOrdID(f"state{next(_numbers)}"), "account": ACCOUNT, "strategy": StrategyID("s"),
            "venue": Venue(self.parts.kind), "symbol": instrument.symbol, "side": side, "ord_type": OrdType.LIMIT,
            "order_qty": ceil_to(max(least, instrument.qty_step) * 4, instrument.qty_step), "price": price,
            "created_ns": 1, "reply_to": "/s",
        }  # fmt: skip
        return NewOrder(**(fields | changes))

    async def place(self, order: NewOrder) -> Reply:
        return self.codec.decode_rest_order("r", await self.ask(self.codec.rest_new_order(order, self.now)))

    async def status(self, order: Placed) -> ExecutionReport | VenueError:
        request = self.codec.order_status_request(order.cl_ord_id, order.order_id, self.instrument.symbol, self.now)
        return self.codec.decode_order_status(await self.ask(request))

    async def told(self, orders: list[Placed]) -> dict[str, Any]:
        """Everything that the venue says of the account."""
        codec, symbol = self.codec, self.instrument.symbol
        states = [await self.status(order) for order in orders]
        opened = codec.decode_open_orders(await self.ask(codec.open_orders_request(symbol, self.now)))
        fills: list[ExecutionReport] = []
        if codec.capabilities.fills_by_time:
            fills += codec.decode_fills(
                symbol, await self.ask(codec.fills_request(symbol, self.now, since_ns=self.now - HOUR_NS))
            )
        else:
            for state in states:
                assert isinstance(state, ExecutionReport)
                request = codec.fills_request(symbol, self.now, order_id=state.order_id)
                fills += codec.decode_fills(symbol, await self.ask(request))
        balances = codec.decode_balances(await self.ask(codec.balances_request(self.now)))
        positions: Any = ()
        if codec.capabilities.positions:
            assert isinstance(codec, KnowsPositions)
            positions = codec.decode_positions(await self.ask(codec.positions_request(self.now)))
        return {
            "states": [_plain(state) for state in states],
            "open": sorted((_plain(order) for order in opened), key=str),
            "fills": sorted((_plain(fill) for fill in fills), key=str),
            # What is free beside contracts, and what they are worth, follows the mark price, which moves on.
            "balances": sorted((_plain(each) for each in balances if not codec.capabilities.positions), key=str),
            "positions": [(each.symbol, each.leg, each.qty, each.entry_px) for each in positions],
        }


def _plain(thing: Any) -> dict[str, Any]:
    return {name: value for name, value in attrs.asdict(thing).items() if name not in CLOCKS}


@asynccontextmanager
async def client_of(sim: Simulator, parts: VenueParts) -> AsyncIterator[Client]:
    linear = parts.product is Product.LINEAR
    market = next(market for market in sim.exchange.markets.values() if market.spec.is_linear is linear)
    codec = parts.public(VenueOptions())
    async with HttpClient(sim.rest_url, TransportSettings(), now_ns=sim.clock.now_ns) as http:
        reply = await http.request(codec.instruments_request([Symbol(market.spec.name)]))
        listed = codec.decode_instruments(reply)[0]
        instrument = next(row for row in listed if row.symbol == market.spec.name)
        yield Client(sim, http, parts, instrument)


async def trade(client: Client) -> list[Placed]:
    """Orders of every fate; those that the venue has taken."""
    side, market = Side.BUY, client.sim.exchange.markets[client.sim.market_key(_key(client))]
    top = market.top()
    assert top.bid is not None
    assert top.ask is not None
    orders = [
        client.order(side, top.ask),
        client.order(side, top.ask, time_in_force=TimeInForce.IOC),
        client.order(side, top.bid * Decimal("0.97")),
        client.order(side, top.bid * Decimal("0.97"), exec_inst=ExecInst.POST_ONLY),
        client.order(side, top.bid * Decimal("0.96")),
    ]
    placed = []
    for order in orders:
        reply = await client.place(order)
        assert reply.report is not None, reply.error
        placed.append(Placed(order.cl_ord_id, reply.report.order_id))
    last, codec = placed[-1], client.codec
    await client.ask(codec.rest_cancel_order(last.cl_ord_id, last.order_id, client.instrument.symbol, client.now))
    return placed


async def listen_key(client: Client) -> str | None:
    """Where the venue has such a thing."""
    codec = client.codec
    return (
        codec.decode_listen_key(await client.ask(codec.listen_key_request())) if isinstance(codec, ListenKeys) else None
    )


def _key(client: Client) -> str:
    name = client.instrument.symbol
    if client.parts.family == "bybit":
        return f"{'linear' if client.parts.product is Product.LINEAR else 'spot'}:{name}"
    return str(name)


@pytest.mark.parametrize("kind", sorted(VENUES))
async def test_the_venue_says_after_a_kill_what_it_said_before(kind: str, tmp_path: Path) -> None:
    parts = VENUES[kind]
    limits = families.load(parts.family).limits()
    unlimited = {field.name: 0 for field in attrs.fields(type(limits)) if "_per_" in field.name}
    config = SimulatorConfig(
        venue=parts.family,
        accounts=(demo_account(ACCOUNT),),
        market=QUIET,
        limits=attrs.evolve(limits, **unlimited),
        state=tmp_path / "state.sqlite",
    )
    async with open_simulator(config) as sim, client_of(sim, parts) as client:
        orders = await trade(client)
        key = await listen_key(client)
        before = await client.told(orders)
        books = picture_of(sim.exchange)
        assert sim.keeper is not None
        sim.keeper._file.close()  # what a kill does; nothing is written from here on
        sim.keeper = None
        used = {order.venue_id for order in sim.orders(ACCOUNT)}
    statuses = [state["ord_status"] for state in before["states"]]
    assert OrdStatus.FILLED in statuses
    assert statuses.count(OrdStatus.NEW) == 2
    assert OrdStatus.CANCELED in statuses
    assert before["fills"]

    async with open_simulator(config) as sim, client_of(sim, parts) as client:
        assert str(sim.restored).startswith("1 accounts, 2 open and 3 closed orders")
        again = picture_of(sim.exchange)
        for part in ("accounts", "positions", "orders", "open", "fills", "queues"):
            assert again[part] == books[part], part
        assert await client.told(orders) == before
        assert sim.server.failures == []
        assert key is None or await listen_key(client) != key  # it may be another account's who asks first
        more = await trade(client)  # it goes on: new numbers, new fills
        after = await client.told([*orders, *more])
        assert len(after["fills"]) > len(before["fills"])
        assert len({fill["trade_id"] for fill in after["fills"]}) == len(after["fills"])
        assert len(used & {order.venue_id for order in sim.orders(ACCOUNT)[len(orders) :]}) == 0
        assert sim.server.failures == []
