"""The matching engine against a naive model: the same orders, the same fills, statuses, book and money."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.exchange_kit import SPEC, D, Kit
from tools.simulator.core.decimals import ZERO, quote_ceil
from tools.simulator.core.model import (
    Order,
    OrdType,
    Reject,
    Side,
    StpMode,
    TimeInForce,
)

TICK, STEP = SPEC.tick_size, SPEC.step_size
MODES = [StpMode.NONE, StpMode.EXPIRE_TAKER, StpMode.EXPIRE_MAKER, StpMode.EXPIRE_BOTH, StpMode.DECREMENT]


@dataclass
class Plain:
    """One order of the model, in whole ticks and steps."""

    number: int
    owner: int
    buy: bool
    price: int | None  # None: a market order
    qty: int
    mode: StpMode
    filled: int = 0
    prevented: int = 0
    status: str = "NEW"

    @property
    def left(self) -> int:
        return self.qty - self.filled - self.prevented


@dataclass
class NaiveMarket:
    """Price-time priority in the most obvious way: scan every resting order each time."""

    resting: list[Plain] = field(default_factory=list)
    fills: list[tuple[int, int, int, int]] = field(default_factory=list)  # taker, maker, ticks, steps

    def best_against(self, taker: Plain) -> Plain | None:
        facing = [order for order in self.resting if order.buy != taker.buy]
        if not facing:
            return None
        key = (lambda o: (-(o.price or 0), o.number)) if not taker.buy else (lambda o: (o.price or 0, o.number))
        best = min(facing, key=key)
        assert best.price is not None
        if taker.price is not None and (best.price > taker.price if taker.buy else best.price < taker.price):
            return None
        return best

    def fillable(self, taker: Plain) -> int:
        """As far as the taker would get: past its own orders only where those are what prevention takes away."""
        total, passed = 0, NaiveMarket([order for order in self.resting if order.buy != taker.buy])
        while (order := passed.best_against(taker)) is not None and total < taker.left:
            passed.resting.remove(order)
            if order.owner != taker.owner or taker.mode is StpMode.NONE:
                total += order.left
            elif taker.mode is not StpMode.EXPIRE_MAKER:
                break
        return total

    def place(self, taker: Plain, tif: TimeInForce, post_only: bool) -> None:
        if post_only and self.best_against(taker) is not None:
            taker.status = "REJECTED"
            return
        if tif is TimeInForce.FOK and self.fillable(taker) < taker.left:
            taker.status = "EXPIRED"
            return
        while taker.left > 0 and taker.status in ("NEW", "PARTIALLY_FILLED"):
            maker = self.best_against(taker)
            if maker is None:
                break
            if maker.owner == taker.owner and taker.mode is not StpMode.NONE:
                self.prevent(taker, maker)
                continue
            assert maker.price is not None
            traded = min(taker.left, maker.left)
            for order in (taker, maker):
                order.filled += traded
                order.status = "FILLED" if order.left == 0 else "PARTIALLY_FILLED"
            self.fills.append((taker.number, maker.number, maker.price, traded))
            self.resting = [order for order in self.resting if order.left > 0]
        if taker.status in ("NEW", "PARTIALLY_FILLED"):
            if taker.price is None or tif is TimeInForce.IOC:
                taker.status = "EXPIRED"
            else:
                self.resting.append(taker)

    def prevent(self, taker: Plain, maker: Plain) -> None:
        common = min(taker.left, maker.left)
        cuts = {
            StpMode.EXPIRE_TAKER: [(taker, taker.left)],
            StpMode.EXPIRE_MAKER: [(maker, maker.left)],
            StpMode.EXPIRE_BOTH: [(taker, taker.left), (maker, maker.left)],
            StpMode.DECREMENT: [(taker, common), (maker, common)],
        }[taker.mode]
        for order, qty in cuts:
            order.prevented += qty
            if order.left == 0:
                order.status = "EXPIRED_IN_MATCH"
        self.resting = [order for order in self.resting if order.left > 0]


place = st.tuples(
    st.just("place"),
    st.integers(0, 2),  # account
    st.booleans(),  # buy
    st.one_of(st.none(), st.integers(9_990, 10_010)),  # price in ticks; none = market
    st.integers(1, 40),  # quantity in steps
    st.sampled_from(list(TimeInForce)),
    st.booleans(),  # post only
    st.sampled_from(MODES),
)
cancel = st.tuples(st.just("cancel"), st.integers(0, 60))
amend = st.tuples(st.just("amend"), st.integers(0, 60), st.integers(1, 40))
actions = st.lists(st.one_of(place, place, place, cancel, amend), max_size=60)


@settings(max_examples=150, deadline=None)
@given(actions)
def test_engine_agrees_with_naive_model_and_conserves_money(steps: list[tuple[Any, ...]]) -> None:
    kit = Kit(rate="0.001")
    accounts = [kit.account(name) for name in ("a", "b", "c")]
    start = {asset: sum((acc.balance(asset).total for acc in accounts), ZERO) for asset in ("USDT", "BTC")}
    model = NaiveMarket()
    mirror: dict[tuple[Side, Decimal], Decimal] = {}
    pairs: list[tuple[Plain, Order]] = []
    for step in steps:
        if step[0] == "place":
            _, owner, buy, ticks, steps_qty, tif, post_only, mode = step
            post_only = post_only and ticks is not None
            plain = Plain(len(pairs), owner, buy, ticks, steps_qty, mode)
            order = kit.order(
                accounts[owner],
                "BUY" if buy else "SELL",
                str(steps_qty * STEP),
                None if ticks is None else str(ticks * TICK),
                ord_type=OrdType.LIMIT_MAKER if post_only else OrdType.LIMIT,
                time_in_force=TimeInForce.GTC if ticks is None or post_only else tif,
                stp_mode=mode,
            )
            pairs.append((plain, order))
            model.place(plain, order.time_in_force, post_only)
            if plain.status == "REJECTED":
                with pytest.raises(Reject):
                    kit.exchange.submit(order)
            else:
                kit.exchange.submit(order)
        elif pairs:
            plain, order = pairs[step[1] % len(pairs)]
            if plain in model.resting and step[0] == "cancel":
                model.resting.remove(plain)
                plain.status = "CANCELED"
                kit.exchange.cancel(order, f"{order.cl_ord_id}-x")
            elif plain in model.resting and step[2] < plain.qty:
                plain.qty = step[2]
                if plain.left <= 0:
                    model.resting.remove(plain)
                    plain.status = "EXPIRED"
                kit.exchange.amend(order, step[2] * STEP, order.cl_ord_id)
        check_orders(pairs)
        check_book(kit, model)
        check_published_changes(kit, mirror)
        check_money(kit, accounts, start, [order for _, order in pairs])
    check_fills(kit, model, pairs)


def check_orders(pairs: list[tuple[Plain, Order]]) -> None:
    for plain, order in pairs:
        assert order.ord_status.value == plain.status
        assert order.cum_qty == plain.filled * STEP
        assert order.prevented_qty == plain.prevented * STEP
        assert order.leaves_qty == (plain.left * STEP if order.is_live else ZERO)


def check_book(kit: Kit, model: NaiveMarket) -> None:
    for side, buy in ((Side.BUY, True), (Side.SELL, False)):
        expected: dict[Decimal, Decimal] = {}
        for plain in model.resting:
            if plain.buy == buy:
                assert plain.price is not None
                expected[plain.price * TICK] = expected.get(plain.price * TICK, ZERO) + plain.left * STEP
        shown = kit.market.depth(side, 1000)
        assert dict(shown) == expected
        assert [price for price, _ in shown] == sorted(expected, reverse=buy)
    top = kit.market.top()
    if top.bid is not None and top.ask is not None:
        assert top.bid < top.ask


def check_published_changes(kit: Kit, mirror: dict[tuple[Side, Decimal], Decimal]) -> None:
    """Who applies only the levels reported as changed has the whole book; each change took an update id."""
    market = kit.market
    assert market.update_id >= len(market.dirty)
    for side, price in market.dirty:
        mirror[side, price] = market.shown_at(side, price)
    market.dirty.clear()
    for side in Side:
        assert {price: qty for (where, price), qty in mirror.items() if where is side and qty} == dict(
            market.depth(side, 1000)
        )


def check_money(kit: Kit, accounts: list[Any], start: dict[str, Decimal], orders: list[Order]) -> None:
    fees = {"USDT": ZERO, "BTC": ZERO}
    for account in accounts:
        for fill in account.fills.get(SPEC.symbol, []):
            fees[fill.commission_asset] += fill.commission
        mine = list(account.open_orders.values())
        buys = sum((quote_ceil(o.price, o.leaves_qty) for o in mine if o.is_buy), ZERO)
        sells = sum((o.leaves_qty for o in mine if not o.is_buy), ZERO)
        assert account.balance("USDT").locked == buys
        assert account.balance("BTC").locked == sells
        assert account.balance("USDT").free >= 0
        assert account.balance("BTC").free >= 0
    for asset, before in start.items():
        assert sum((acc.balance(asset).total for acc in accounts), ZERO) + fees[asset] == before


def check_fills(kit: Kit, model: NaiveMarket, pairs: list[tuple[Plain, Order]]) -> None:
    """The same prints in the same order, and every fill's two sides in two accounts' histories."""
    printed = [(trade.price, trade.qty) for trade in kit.heard.prints]
    assert printed == [(ticks * TICK, steps * STEP) for _, _, ticks, steps in model.fills]
    ids = [trade.trade_id for trade in kit.heard.prints]
    assert ids == list(range(ids[0], ids[0] + len(ids))) if ids else True
    assert sum((trade.qty for trade in kit.heard.prints), D(0)) == sum(
        (aggregate.qty for aggregate in kit.heard.aggregates), D(0)
    )
