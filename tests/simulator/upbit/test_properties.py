"""What holds whatever is sent: money is kept, and nonsense gets the venue's words and harms nobody."""

from __future__ import annotations

import json
import uuid
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.upbit.kit import config, quiet_venue, rest_of, socket_of, token
from tools.simulator import Simulator
from tools.simulator.core.clock import ManualClock
from tools.simulator.core.model import Side
from tools.simulator.dialects.upbit.gateway import Call, Outcome, execute
from tools.simulator.dialects.upbit.params import Pairs, Params
from tools.simulator.dialects.upbit.venue import Upbit

FEE = Decimal("0.0005")
UNIT = Decimal("0.00000001")
WORDS = st.sampled_from(
    ["KRW-BTC", "KRW-ETH", "bid", "ask", "limit", "price", "market", "best", "ioc", "fok", "post_only", "reduce",
     "none", "cancel_maker", "0.001", "155000000", "1000000", "-1", "0", "", "remain_only", "x", "1e9",
     "2026-01-01", "wait"]
)  # fmt: skip
NAMES = st.sampled_from(
    ["market", "markets", "side", "ord_type", "price", "volume", "time_in_force", "smp_type", "identifier", "uuid",
     "states[]", "uuids[]", "identifiers[]", "count", "page", "limit", "to", "cursor", "level", "cancel_side", "pairs",
     "prev_order_uuid", "prev_order_identifier", "new_ord_type", "new_price", "new_volume", "start_time", "end_time"]
)  # fmt: skip


class World:
    """A simulator whose clock is moved by hand, asked without sockets."""

    def __init__(self) -> None:
        self.sim = Simulator(config(), ManualClock())
        self.sim.open_market()
        assert isinstance(self.sim.venue, Upbit)
        self.venue: Upbit = self.sim.venue

    def ask(self, verb: str, path: str, pairs: Pairs, account: str = "alpha") -> Outcome:
        method = self.venue.method_of(verb, f"/v1/{path}")
        assert method is not None
        bearer = f"Bearer {token(self.sim.credentials(account), pairs)}"
        params = Params(pairs, public=method.public)
        return execute(self.venue, method, Call(params=params, peer="", authorization=bearer, path=method.path))

    def totals(self) -> dict[str, Decimal]:
        """What both accounts hold, locked included."""
        sums: dict[str, Decimal] = {}
        for name in ("alpha", "beta"):
            for asset, (free, locked) in self.sim.balances(name).items():
                sums[asset] = sums.get(asset, Decimal(0)) + free + locked
        return sums


ACTION = st.tuples(
    st.sampled_from(["alpha", "beta"]),
    st.sampled_from(["limit", "ioc", "fok", "post_only", "amount", "market", "best", "cancel", "replace", "street"]),
    st.sampled_from(["bid", "ask"]),
    st.integers(-8, 8),  # units away from the middle
    st.sampled_from(["0.001", "0.0123", "0.3"]),
    st.sampled_from(["none", "cancel_maker", "cancel_taker", "reduce"]),
)


def act(world: World, action: tuple[Any, ...]) -> None:
    account, kind, side, away, volume, smp = action
    price = str(155_000_000 + away * 1000)
    terms = {"market": "KRW-BTC", "side": side, "smp_type": smp}
    if kind == "street":
        world.sim.trade("KRW-BTC", Side.BUY if side == "bid" else Side.SELL, Decimal(volume))
        return
    if kind in ("cancel", "replace"):
        orders = world.sim.open_orders(account)
        if not orders:
            return
        if kind == "cancel":
            world.ask("DELETE", "order", [("uuid", orders[0].venue_id)], account)
            return
        terms = {"prev_order_uuid": orders[0].venue_id, "new_ord_type": "limit", "new_price": price,
                 "new_volume": volume}  # fmt: skip
        world.ask("POST", "orders/cancel_and_new", list(terms.items()), account)
        return
    if kind == "amount":
        terms |= {"side": "bid", "ord_type": "price", "price": "1234567"}
    elif kind == "market":
        terms |= {"side": "ask", "ord_type": "market", "volume": volume}
    elif kind == "best":
        terms |= {"ord_type": "best", "time_in_force": "ioc"}
        terms |= {"price": "1234567"} if side == "bid" else {"volume": volume}
    else:
        terms |= {"ord_type": "limit", "price": price, "volume": volume}
        if kind != "limit":
            terms["time_in_force"] = kind
        if kind == "post_only":
            terms.pop("smp_type")
    outcome = world.ask("POST", "orders", list(terms.items()), account)
    assert outcome.status in (201, 400), outcome


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(ACTION, min_size=1, max_size=25))
def test_money_is_kept(actions: list[tuple[Any, ...]]) -> None:
    """What the accounts hold changes by their fills and fees alone, and is locked for open orders alone."""
    world = World()
    before = world.totals()
    for action in actions:
        act(world, action)
        for name in ("alpha", "beta"):
            free_and_locked = world.sim.balances(name)
            assert all(free >= 0 and locked >= 0 for free, locked in free_and_locked.values())
            locked = {asset: pair[1] for asset, pair in free_and_locked.items() if pair[1]}
            wanted: dict[str, Decimal] = {}
            for order in world.sim.open_orders(name):
                asset = "KRW" if order.is_buy else "BTC"
                cost = order.price * order.open_qty * (1 + FEE) if order.is_buy else order.open_qty
                wanted[asset] = wanted.get(asset, Decimal(0)) + cost.quantize(UNIT, ROUND_CEILING)
            assert locked == wanted
    krw = btc = Decimal(0)
    for name in ("alpha", "beta"):
        for fill in world.sim.fills(name, "KRW-BTC"):
            sign = 1 if fill.side is Side.BUY else -1
            btc += sign * fill.trade.qty
            krw -= sign * fill.trade.quote_qty + fill.commission
            assert fill.commission_asset == "KRW"
    after = world.totals()
    assert after["KRW"] - before["KRW"] == krw
    assert after["BTC"] - before["BTC"] == btc


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), pairs=st.lists(st.tuples(NAMES, WORDS), max_size=6))
def test_nonsense_gets_the_venues_words(world: World, data: st.DataObject, pairs: Pairs) -> None:
    paths = sorted(world.venue._methods)
    verb, path = data.draw(st.sampled_from(paths))
    outcome = world.ask(verb, path.removeprefix("/v1/"), pairs)
    assert outcome.status in (200, 201, 400, 403, 404)
    if outcome.status >= 400:
        assert isinstance(outcome.body["error"]["name"], int if outcome.public else str)
    assert msgspec.json.encode(outcome.body)


async def test_nonsense_over_sockets_harms_nobody() -> None:
    """Bodies, headers and frames that are none; the venue answers everybody else as before."""
    frames = [
              "", "[", "null", "7", '"PING"', "[[]]", "[{}]", '[{"ticket":7}]', '[{"ticket":"t"},{"type":null}]',
              '[{"ticket":"t"},{"type":"ticker","codes":[null]}]', '[{"ticket":"t"},{"format":{}}]', "x" * 10_000,
              '[{"ticket":"t"},{"type":"orderbook","codes":["KRW-BTC."],"level":1e99}]',
              '[{"ticket":"t"},{"type":"candle.","codes":["KRW-BTC"]}]', '[{"method":"LIST_SUBSCRIPTIONS"}]',
    ]  # fmt: skip
    async with quiet_venue() as sim, rest_of(sim) as rest, socket_of(sim) as public, socket_of(sim, "alpha") as private:
        for frame in frames:
            for socket in (public, private):
                await socket.ws.send_message(frame)
                await socket.ws.send_message(frame.encode())
        for body in (
            b"\xff",
            b'{"market":1e400}',
            b'{"a":[{}]}',
            b"{" * 500,
            json.dumps({"uuid": "x" * 5000}).encode(),
        ):
            headers = {"Authorization": f"Bearer {uuid.uuid4()}", "Content-Type": "application/json"}
            answer = await rest.client.post("/v1/orders", content=body, headers=headers)
            assert 400 <= answer.status_code < 500
        answer = await rest.client.get("/v1/candles/minutes/1?market=%FF&to=%00&count=999999999999999999999")
        assert 400 <= answer.status_code < 500
        for socket in (public, private):
            await socket.say({"method": "LIST_SUBSCRIPTIONS"}, ticket="still here")
            await socket.until(ticket="still here")
        assert (await rest.place())["state"] == "wait"
