"""What must hold of the matching core whatever comes: fill-or-kill, icebergs, triggers, positions.

(`test_matching_model` has price-time priority, prevention, lifetimes, cancels and amends against a naive model.)
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.exchange_kit import SPEC, D, Kit
from tools.simulator.core import margin, outside
from tools.simulator.core.clock import ManualClock
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.model import (
    MarketKind,
    Order,
    OrdStatus,
    OrdType,
    PositionSide,
    Reject,
    RejectReason,
    Side,
    StpMode,
    SymbolSpec,
    TimeInForce,
)

# ---- fill or kill ------------------------------------------------------------------------------------------------

RESTING = st.lists(st.tuples(st.integers(0, 2), st.integers(98, 102), st.integers(1, 9)), max_size=12)


@settings(max_examples=300, deadline=None)
@given(RESTING, st.integers(1, 30), st.integers(97, 103), st.sampled_from(list(StpMode)), st.booleans())
def test_fill_or_kill_fills_whole_or_not_at_all(
    resting: list[tuple[int, int, int]], qty: int, price: int, mode: StpMode, buys: bool
) -> None:
    """Also where it meets its own account, or one of its group, in whatever mode."""
    kit = Kit(rate="0")
    accounts = [kit.account("a", group=1), kit.account("b", group=1), kit.account("c")]
    side, facing = ("BUY", "SELL") if buys else ("SELL", "BUY")
    makers = [kit.place(accounts[owner], facing, str(size), str(at)) for owner, at, size in resting]
    before = [(maker.cum_qty, maker.prevented_qty) for maker in makers]
    order = kit.place(
        accounts[0], side, str(qty), str(price), time_in_force=TimeInForce.FOK, stp_mode=mode
    )  # fmt: skip
    assert not order.is_live
    if order.ord_status is OrdStatus.FILLED:
        assert order.cum_qty == qty
        return
    assert order.cum_qty == 0
    assert [(maker.cum_qty, maker.prevented_qty) for maker in makers] == before
    reachable = [
        (maker, size)
        for maker, (owner, at, size) in zip(makers, resting, strict=True)
        if (at <= price if buys else at >= price) and (owner == 2 or mode is StpMode.NONE)
    ]
    own = any(owner < 2 for owner, _, _ in resting) and mode is not StpMode.NONE
    assert own or sum(size for _, size in reachable) < qty  # it was not for want of liquidity alone, or it was


# ---- icebergs ------------------------------------------------------------------------------------------------------

QUEUE = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 6)), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(QUEUE, st.lists(st.integers(1, 15), max_size=12))
def test_an_iceberg_queues_anew_with_every_slice(queue: list[tuple[int, int]], sales: list[int]) -> None:
    """Against the obvious model: a line in which everybody shows a slice, and goes to its end for the next."""
    kit = Kit(rate="0")
    account = kit.account("a")
    orders = [
        kit.place(account, "BUY", str(qty), "100", iceberg_qty=D(slice_qty if slice_qty < qty else 0))
        for qty, slice_qty in queue
    ]
    line = deque(
        [index, qty, slice_qty if 0 < slice_qty < qty else qty, slice_qty if 0 < slice_qty < qty else qty]
        for index, (qty, slice_qty) in enumerate(queue)
    )  # who, what is left, what shows, how much is shown at a time
    filled = [0] * len(queue)
    for sale in sales:
        outside.trade(kit.exchange, SPEC.symbol, Side.SELL, D(sale), D(100))
        while sale and line:
            front = line[0]
            traded = min(sale, front[2])
            sale -= traded
            filled[front[0]] += traded
            front[1] -= traded
            front[2] -= traded
            if not front[1]:
                line.popleft()
            elif not front[2]:
                front[2] = min(front[3], front[1])
                line.rotate(-1)
        assert [order.cum_qty for order in orders] == filled
        shown = sum(front[2] for front in line)
        assert kit.market.shown_at(Side.BUY, D(100)) == shown
        places = [order.place for order in kit.market.book.bids.level(D(100)).queue]
        assert places == sorted(places)


# ---- triggers ------------------------------------------------------------------------------------------------------

STOPS = st.lists(
    st.tuples(
        st.sampled_from([OrdType.STOP_LOSS, OrdType.TAKE_PROFIT]), st.sampled_from(list(Side)), st.integers(90, 110),
        st.sampled_from([0, 0, 100, 300]),
    ),
    min_size=1, max_size=6,
)  # fmt: skip
RISING = {(OrdType.STOP_LOSS, Side.BUY), (OrdType.TAKE_PROFIT, Side.SELL)}


@settings(max_examples=300, deadline=None)
@given(STOPS, st.lists(st.integers(90, 110), max_size=15))
def test_a_stop_wakes_with_the_first_price_that_meets_it(stops: list[Any], path: list[int]) -> None:
    """Fixed ones at their price; trailing ones (from their stop price on) when it comes back by their distance."""
    kit = Kit(publishes_queue=False, rate="0")
    account = kit.account("a")
    print_at(kit, 100)
    waiting: list[tuple[Order, dict[str, Any]]] = []
    for ord_type, side, stop, delta in stops:
        order = kit.order(account, side.value, "0.001", ord_type=ord_type, stop_px=D(stop), trailing_delta=delta)
        rises = (ord_type, side) in RISING
        try:
            kit.exchange.submit(order)
        except Reject:
            assert (stop <= 100) if rises else (stop >= 100)
            continue
        waiting.append(
            (order, {"rises": rises, "stop": D(stop), "delta": delta, "best": None, "buys": side is Side.BUY})
        )
    for price in path:
        print_at(kit, price)
        for order, state in waiting:
            if "woken" not in state and wakes(state, D(price)):
                state["woken"] = price
            assert (order.order_id not in kit.market.stops) is ("woken" in state), (price, state)


def print_at(kit: Kit, price: int) -> None:
    outside.trade(kit.exchange, SPEC.symbol, Side.BUY, D("0.001"), D(price))


def wakes(state: dict[str, Any], price: Decimal) -> bool:
    """The rule in words: see `core.triggers`."""
    reached = price >= state["stop"] if state["rises"] else price <= state["stop"]
    if not state["delta"]:
        return bool(reached)
    if state["best"] is None:
        state["best"] = price if reached else None
        return False
    distance = D(state["delta"]) / 10_000
    if state["buys"]:
        state["best"] = min(state["best"], price)
        return bool(price >= state["best"] * (1 + distance))
    state["best"] = max(state["best"], price)
    return bool(price <= state["best"] * (1 - distance))


# ---- positions -----------------------------------------------------------------------------------------------------

PERPETUAL = SymbolSpec(
    symbol="BTCPERP", base="BTC", quote="USDT", tick_size=D(1), step_size=D(1), kind=MarketKind.LINEAR,
    contract_size=D("0.01"),
)  # fmt: skip
TRADES = st.lists(
    st.tuples(
        st.sampled_from(list(Side)), st.integers(1, 20), st.integers(80, 120),
        st.sampled_from([PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT]), st.booleans(),
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(TRADES, st.integers(80, 120))
def test_positions_are_what_the_fills_add_up_to(trades: list[Any], mark: int) -> None:
    """Money in the wallet and profit at any mark price follow from the fills alone, position by position."""
    clock = ManualClock()
    ex = Exchange(clock)
    market = ex.add_market(PERPETUAL)
    account = ex.accounts.create("a", {"USDT": D(1_000_000)}, maker_rate=D("0.0002"), taker_rate=D("0.0005"))
    for number, (side, qty, price, position_side, reduce_only) in enumerate(trades):
        reduces = reduce_only and position_side is PositionSide.BOTH
        held = account.position("BTCPERP", position_side).qty
        outside.quote(ex, "BTCPERP", side.opposite, D(qty), D(price))
        order = Order(
            symbol="BTCPERP", account=account, cl_ord_id=str(number), side=side, ord_type=OrdType.LIMIT,
            price=D(price), order_qty=D(qty), position_side=position_side, reduce_only=reduces,
            time_in_force=TimeInForce.IOC,
        )  # fmt: skip
        closes = held < 0 if side is Side.BUY else held > 0
        try:
            ex.submit(order)
        except Reject:
            assert not closes
            assert reduces or position_side is not PositionSide.BOTH
        if reduces or (position_side is not PositionSide.BOTH and closes):
            assert order.cum_qty <= abs(held)
        outside.trade(ex, "BTCPERP", side, D(qty), D(price))  # nobody's order is left for the next one
    fees = sum((fill.commission for fill in account.fills.get("BTCPERP", [])), D(0))
    market.move_mark(D(mark))
    for side in PositionSide:
        fills = [fill for fill in account.fills.get("BTCPERP", []) if fill.position_side is side]
        signed = [(fill.trade.qty if fill.side is Side.BUY else -fill.trade.qty, fill.trade.price) for fill in fills]
        position = account.position("BTCPERP", side)
        assert position.qty == sum(qty for qty, _ in signed)
        assert position.qty >= 0 or side is not PositionSide.LONG
        assert position.qty <= 0 or side is not PositionSide.SHORT
        worth = sum((qty * (D(mark) - price) for qty, price in signed), D(0)) * PERPETUAL.contract_size
        told = position.realized + margin.unrealized(market, position)
        assert abs(told - worth) < D("0.000001")
        assert position.realized == sum(fill.realized for fill in fills)
    realized = sum(position.realized for position in account.positions.values())
    assert account.balance("USDT").total == D(1_000_000) + realized - fees


MARGIN_ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 1), st.sampled_from(list(Side)), st.integers(1, 60), st.integers(99, 101),
        st.booleans(), st.booleans(),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(MARGIN_ACTIONS)
def test_no_order_is_taken_that_its_margin_does_not_cover(actions: list[Any]) -> None:
    """At a mark price that stands still, what binds margin never exceeds what there is; what only closes may always
    enter, and what is refused would have bound more than there was."""
    ex = Exchange(ManualClock())
    market = ex.add_market(PERPETUAL)
    accounts = [ex.accounts.create(name, {"USDT": D(8)}, maker_rate=D(0), taker_rate=D(0)) for name in ("a", "b")]
    market.move_mark(D(100))
    for number, (who, side, qty, price, reduce_only, cancels) in enumerate(actions):
        account = accounts[who]
        if cancels and account.open_orders:
            ex.cancel(next(iter(account.open_orders.values())))
            continue
        order = Order(
            symbol="BTCPERP", account=account, cl_ord_id=str(number), side=side, ord_type=OrdType.LIMIT,
            price=D(price), order_qty=D(qty), reduce_only=reduce_only,
        )  # fmt: skip
        before = margin.order_margin(market, account)
        needed = margin.order_margin(market, account, order) - before
        free = margin.wallet(ex, account, "USDT").available
        held = account.position("BTCPERP").qty
        closes = held < 0 if side is Side.BUY else held > 0
        refused = None
        try:
            ex.submit(order)
        except Reject as reject:
            refused = reject.reason
        if refused is None:
            assert needed <= max(free, D(0)) or reduce_only
        elif refused is RejectReason.REDUCE_ONLY:
            assert reduce_only
            assert not closes
        else:
            assert refused is RejectReason.INSUFFICIENT_MARGIN
            assert needed > free
        for each in accounts:
            purse = margin.wallet(ex, each, "USDT")
            slack = -sum((position.qty.copy_abs() for position in each.positions.values()), D(0)) * D("0.01")
            assert purse.available >= slack  # a price beside the mark costs at once what it differs
