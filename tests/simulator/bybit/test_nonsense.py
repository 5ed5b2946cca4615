"""Whatever a client sends, the simulated Bybit answers in the venue's words: no request ends in a bug of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.bybit.kit import bybit, quiet_config
from tools.simulator import GeneratorConfig, ManualClock, Simulator
from tools.simulator.core.accounts import Account
from tools.simulator.dialects.bybit.gateway import Call, Method, execute
from tools.simulator.dialects.bybit.limits import BybitLimits
from tools.simulator.dialects.bybit.params import Params
from tools.simulator.dialects.bybit.privatews import PrivateSocket
from tools.simulator.dialects.bybit.publicws import PublicSession
from tools.simulator.dialects.bybit.tradews import TradeSocket

WORDS = {
    "category": ("spot", "linear", "inverse", "option"),
    "symbol": ("BTCUSDT", "ETHUSDT"),
    "side": ("Buy", "Sell"),
    "orderType": ("Limit", "Market"),
    "timeInForce": ("GTC", "IOC", "FOK", "PostOnly"),
    "qty": ("0", "0.001", "1", "1000000", "0.0000001"),
    "price": ("60000", "65000.1", "0", "99999999"),
    "triggerPrice": ("60000", "70000"),
    "triggerDirection": (1, 2, 3),
    "triggerBy": ("LastPrice", "MarkPrice"),
    "takeProfit": ("60000", "70000", "0"),
    "stopLoss": ("60000", "70000", "0"),
    "tpslMode": ("Full", "Partial"),
    "orderFilter": ("Order", "StopOrder", "tpslOrder"),
    "marketUnit": ("baseCoin", "quoteCoin"),
    "positionIdx": (0, 1, 2, 3),
    "reduceOnly": (True, False, "yes"),
    "closeOnTrigger": (True,),
    "smpType": ("None", "CancelBoth"),
    "orderLinkId": ("a", "b", "c"),
    "orderId": ("1700000000000000001", "x"),
    "interval": ("1", "M", "7"),
    "limit": ("1", "5000", "-1"),
    "cursor": ("x", "a%3A1", "%"),
    "settleCoin": ("USDT", "USDC"),
    "baseCoin": ("BTC",),
    "accountType": ("UNIFIED", "FUND"),
    "coin": ("USDT", "BTC,ETH", "NOPE"),
    "mode": (0, 3),
    "buyLeverage": ("5", "0", "1e3"),
    "sellLeverage": ("5",),
    "setMarginMode": ("ISOLATED_MARGIN", "REGULAR_MARGIN", "PORTFOLIO_MARGIN"),
    "startTime": ("0", "1789999999999", "99999999999999999999"),
    "endTime": ("1790000000000",),
    "start": ("1789999999000",),
    "end": ("1790000000000",),
    "openOnly": (0, 1),
    "execType": ("Trade",),
    "product": ("SPOT", "DERIVATIVES"),
    "timeWindow": (1, 10),
}
JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly what the venue knows, so that requests get far before something is wrong."""
    chosen: dict[str, Any] = {}
    for name, values in WORDS.items():
        kind = draw(st.integers(0, 9))
        if kind < 7:
            chosen[name] = draw(st.sampled_from(values))
        elif kind == 7:
            chosen[name] = draw(JUNK)
    if draw(st.booleans()):
        chosen["request"] = draw(JUNK | st.lists(st.just(dict(chosen)), min_size=1, max_size=3))
    return chosen


def venue_at_rest() -> tuple[Simulator, Account]:
    market = GeneratorConfig(events_per_s=0.001, burst_every_s=0, history_minutes=60)
    sim = Simulator(quiet_config(market=market, limits=BybitLimits(endpoint_buckets=0)), ManualClock())
    sim.open_market()
    bybit(sim).institutions.add("alpha")
    return sim, sim.account("alpha")


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(parameters(), min_size=3, max_size=8), st.randoms(use_true_random=False))
def test_every_method_survives_every_parameter(several: list[dict[str, Any]], random: Any) -> None:
    sim, account = venue_at_rest()
    venue = bybit(sim)
    methods: list[Method] = list(venue.methods.values())
    for values in several:
        for method in random.sample(methods, 10):
            key = next(iter(sim.exchange.accounts.keys.values()))
            call = Call(params=Params(values), peer="127.0.0.1", identify=lambda: account, key=key)
            venue.note_arrivals(method, call.params)
            outcome = execute(venue, method, call)
            json.dumps(outcome.result)
            assert outcome.error is None or outcome.error.code
    for balance in account.balances.values():
        assert balance.locked >= 0
    assert all(order.is_live for order in account.open_orders.values())


class Ended(Exception):
    pass


class Wire:
    """A connection that says what it is told to say, and keeps the answers."""

    peer = "127.0.0.1"
    kind = "streams"
    connection_id = 1

    def __init__(self, target: str, messages: list[str]) -> None:
        self.target = target
        self.messages = messages
        self.answers: list[Any] = []

    async def receive(self) -> str:
        if not self.messages:
            raise Ended
        return self.messages.pop()

    def send(self, payload: bytes) -> None:
        self.answers.append(json.loads(payload))

    def send_frame(self, frame: bytes) -> None:
        pass

    def close(self, code: int = 1000, reason: str = "") -> None:
        pass


OPS = ("ping", "auth", "subscribe", "unsubscribe", "order.create", "order.cancel", "order.amend-batch", "nothing")
TOPICS = (
    "orderbook.50.BTCUSDT",
    "tickers.BTCUSDT",
    "order",
    "order.spot",
    "wallet",
    "dcp.spot",
    "kline.7.BTCUSDT",
    "..",
)
FRAMES = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(OPS) | JUNK},
        optional={
            "args": st.lists(st.sampled_from(TOPICS) | JUNK, max_size=3) | JUNK | st.lists(parameters(), max_size=2),
            "req_id": JUNK,
            "reqId": JUNK,
            "header": JUNK | st.just({"X-BAPI-TIMESTAMP": "1790000000000"}),
        },
    ).map(json.dumps)
    | st.text(max_size=12),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(FRAMES, st.sampled_from(["/v5/public/spot", "/v5/public/linear", "/v5/private", "/v5/trade"]))
async def test_every_socket_answers_every_frame(frames: list[str], target: str) -> None:
    sim, _ = venue_at_rest()
    wire: Any = Wire(target, list(frames))
    sessions: dict[str, Any] = {"/v5/private": PrivateSocket, "/v5/trade": TradeSocket}
    session = sessions.get(target, PublicSession)(bybit(sim), wire)
    if target in sessions:
        session.key = next(iter(sim.exchange.accounts.keys.values()))
    with pytest.raises(Ended):
        await session.run()
    assert len(wire.answers) >= len(frames)
    assert sim.venue.hub.streams() == []  # nothing is left of a session that has ended
    assert sim.venue.user_data.count(sim.account("alpha")) == 0
