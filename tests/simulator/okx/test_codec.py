"""Our own codecs against the simulated OKX, over real sockets: what we build it takes, what it says we understand."""

from __future__ import annotations

from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio_websocket import WebSocketConnection

from protocols.enums import Channel, ExecInst, ExecType, Liquidity, OrdRejReason, OrdStatus, OrdType, TimeInForce
from protocols.enums import Side as OurSide
from protocols.ids import AccountID, ClOrdID, StrategyID, Symbol, amend_request_id
from protocols.instruments import Product
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Trade
from protocols.orders import ExecutionReport, NewOrder, VenueCancelReject
from protocols.positions import BalancesChanged, PositionsListed, VenuePosition
from protocols.venue import Disposition, Reply, StreamTerminated, UnrecognizedMessage, Verdict
from protocols.venues.okx.public import venue_of as venue_name
from tests.simulator.okx.wire import (
    PATIENCE_S,
    SPOT,
    SWAP,
    Codecs,
    Entry,
    codecs_of,
    entry_of,
    quiet_simulator,
    raw_socket,
    venue_of,
)
from tools.simulator import Fault, FaultKind, GeneratorConfig, Side
from tools.simulator.dialects.okx.limits import OkxLimits

D = Decimal
SYMBOLS = {Product.SPOT: Symbol(SPOT), Product.LINEAR: Symbol(SWAP)}
QTY = {Product.SPOT: D("0.1"), Product.LINEAR: D(2)}
BOTH = [Product.SPOT, Product.LINEAR]


def new_order(product: Product, name: str, **changes: Any) -> NewOrder:
    fields: dict[str, Any] = {
        "cl_ord_id": ClOrdID(name),
        "account": AccountID("alpha"),
        "strategy": StrategyID("maker"),
        "venue": venue_name(product),
        "symbol": SYMBOLS[product],
        "side": OurSide.BUY,
        "ord_type": OrdType.LIMIT,
        "order_qty": QTY[product],
        "price": D("50000"),
        "created_ns": 1,
        "reply_to": "/strategies/maker",
    }
    return NewOrder(**(fields | changes))


def report(reply: Reply) -> Any:
    assert reply.error is None, reply.error
    return reply.report


# --------------------------------------------------------------------------------------------------- orders
@pytest.mark.parametrize("product", BOTH)
async def test_an_orders_life_by_socket(product: Product) -> None:
    """Place, amend, query, cancel: each acknowledged by number, each told by the channel."""
    symbol = SYMBOLS[product]
    async with quiet_simulator() as sim, codecs_of(sim, product) as codecs, entry_of(codecs) as entry:
        private, now = codecs.private, codecs.now_ns
        name = ClOrdID("life1")
        ack = report(await entry.send(private.new_order(new_order(product, name), "p1", now(), logged_on=True)))
        assert ack.cl_ord_id == name
        accepted = await entry.until(ExecutionReport)
        assert (accepted.exec_type, accepted.ord_status, accepted.order_id) == (
            ExecType.NEW, OrdStatus.NEW, ack.order_id,
        )  # fmt: skip
        more = QTY[product] * 2
        amend = private.amend_order(name, ack.order_id, symbol, more, "m1", now(), logged_on=True)
        report(await entry.send(amend))
        replaced = await entry.until(ExecutionReport)
        assert (replaced.exec_type, replaced.order_qty) == (ExecType.REPLACED, more)

        asked = private.decode_order_status(await codecs.ask(private.order_status_request(name, None, symbol, now())))
        assert isinstance(asked, ExecutionReport)
        assert (asked.order_id, asked.leaves_qty, asked.ord_status) == (ack.order_id, more, OrdStatus.NEW)
        listed = private.decode_open_orders(await codecs.ask(private.open_orders_request(symbol, now())))
        assert [row.cl_ord_id for row in listed] == [name]

        report(await entry.send(private.cancel_order(name, None, symbol, "c1", now(), logged_on=True)))
        ended = await entry.until(ExecutionReport)
        assert (ended.exec_type, ended.ord_status) == (ExecType.CANCELED, OrdStatus.CANCELED)
        again = await entry.send(private.cancel_order(name, None, symbol, "c2", now(), logged_on=True))
        assert again.error is not None
        assert again.error.disposition is Disposition.ALREADY_FINAL
        gone = private.decode_order_status(
            await codecs.ask(private.order_status_request(ClOrdID("nobody"), None, symbol, now()))
        )
        assert not isinstance(gone, ExecutionReport)
        assert gone.disposition is Disposition.NOT_FOUND
        assert not [event for event in entry.events if isinstance(event, UnrecognizedMessage)]


@pytest.mark.parametrize("by_rest", [False, True])
@pytest.mark.parametrize("product", BOTH)
async def test_price_and_quantity_are_changed_in_place(product: Product, by_rest: bool) -> None:
    """By either path; a price beyond the band is refused at once, one that would take ends a post-only amend later."""
    symbol = SYMBOLS[product]
    async with quiet_simulator() as sim, codecs_of(sim, product) as codecs, entry_of(codecs) as entry:
        private, now = codecs.private, codecs.now_ns

        async def amend(qty: Decimal, price: Decimal, number: int) -> Reply:
            terms = (order.cl_ord_id, None, symbol, order.side, qty, price)
            if by_rest:
                return private.decode_rest_order("m", await codecs.ask(private.rest_amend_terms(*terms, now())))
            return await entry.send(private.amend_terms(*terms, f"m{number}", now(), logged_on=True))

        order = new_order(product, "terms1", exec_inst=ExecInst.POST_ONLY)
        ack = report(await entry.send(private.new_order(order, "p1", now(), logged_on=True)))
        await entry.until(ExecutionReport, lambda one: one.exec_type is ExecType.NEW)
        more = QTY[product] * 2
        report(await amend(more, D("50100"), 1))
        changed = await entry.until(ExecutionReport, lambda one: one.exec_type is ExecType.REPLACED)
        assert (changed.order_id, changed.order_qty, changed.price) == (ack.order_id, more, D("50100"))
        (resting,) = sim.open_orders("alpha")
        assert (resting.order_qty, resting.price) == (more, D("50100"))
        beyond = await amend(more, D("99000"), 2)
        assert beyond.error is not None
        assert (beyond.error.code, beyond.error.reason) == ("51137", OrdRejReason.PRICE_BAND)
        report(await amend(more, D("60100"), 3))
        refused = await entry.until(VenueCancelReject)
        assert (refused.cl_ord_id, refused.code, refused.order_gone) == (order.cl_ord_id, "51511", False)
        assert sim.open_orders("alpha")[0].price == D("50100"), "it keeps its terms"


@pytest.mark.parametrize("product", BOTH)
async def test_an_orders_life_by_rest(product: Product) -> None:
    symbol = SYMBOLS[product]
    async with quiet_simulator() as sim, codecs_of(sim, product) as codecs:
        private, now = codecs.private, codecs.now_ns
        order = new_order(product, "rest1", exec_inst=ExecInst.POST_ONLY)
        ack = private.decode_rest_order("p1", await codecs.ask(private.rest_new_order(order, now())))
        assert report(ack).cl_ord_id == "rest1"
        amended = private.rest_amend_order(order.cl_ord_id, None, symbol, QTY[product] / 2, now())
        report(private.decode_rest_order("m1", await codecs.ask(amended)))
        assert sim.open_orders("alpha")[0].order_qty == QTY[product] / 2
        gone = private.rest_cancel_order(order.cl_ord_id, None, symbol, now())
        report(private.decode_rest_order("c1", await codecs.ask(gone)))
        batch = [new_order(product, f"many{number}") for number in range(20)]
        answer = private.decode_rest_order("b1", await codecs.ask(private.rest_new_orders(batch, now())))
        assert len(answer.parts) == 20
        assert all(part.error is None for part in answer.parts)
        names = [(one.cl_ord_id, None, symbol) for one in batch]
        answer = private.decode_rest_order("b2", await codecs.ask(private.rest_cancel_orders(names, now())))
        assert [part.error for part in answer.parts] == [None] * 20
        assert sim.open_orders("alpha") == []


@pytest.mark.parametrize("product", BOTH)
async def test_fills_money_and_positions(product: Product) -> None:
    symbol = SYMBOLS[product]
    async with quiet_simulator() as sim, codecs_of(sim, product) as codecs, entry_of(codecs) as entry:
        private, now = codecs.private, codecs.now_ns
        first = await entry.until(BalancesChanged)
        assert first.complete
        if product is Product.LINEAR:
            assert (await entry.until(PositionsListed)).symbols == ()
        market = new_order(product, "take1", ord_type=OrdType.MARKET, price=None)
        report(await entry.send(private.new_order(market, "p1", now(), logged_on=True)))
        fills = [await entry.until(ExecutionReport, lambda event: event.exec_type is ExecType.TRADE)]
        while fills[-1].ord_status is not OrdStatus.FILLED:
            fills.append(await entry.until(ExecutionReport, lambda event: event.exec_type is ExecType.TRADE))
        assert sum(fill.last_qty for fill in fills) == fills[-1].cum_qty == QTY[product]
        assert {fill.liquidity for fill in fills} == {Liquidity.TAKER}
        assert {fill.fee_asset for fill in fills} == {"BTC" if product is Product.SPOT else "USDT"}
        assert all(fill.fee > 0 for fill in fills)
        money = await entry.until(BalancesChanged)
        told = {balance.asset: balance for balance in money.balances}
        real = sim.balances("alpha")
        assert told["USDT"].free + told["USDT"].locked == sum(real["USDT"])
        if product is Product.LINEAR:
            position = await entry.until(VenuePosition)
            assert (position.symbol, position.qty, position.leg) == (symbol, D(2), None)
            (asked,) = private.decode_positions(await codecs.ask(private.positions_request(now())))
            assert (asked.qty, asked.entry_px) == (position.qty, position.entry_px)

        history = private.decode_fills(
            symbol, await codecs.ask(private.fills_request(symbol, now(), since_ns=now() - 10**11))
        )
        assert [(fill.trade_id, fill.last_qty, fill.fee) for fill in history] == [
            (fill.trade_id, fill.last_qty, fill.fee) for fill in fills
        ]
        balances = {
            balance.asset: balance
            for balance in private.decode_balances(await codecs.ask(private.balances_request(now())))
        }
        assert balances["BTC"].free == real["BTC"][0]


async def test_reports_of_ends_that_are_not_the_users() -> None:
    async with quiet_simulator() as sim, codecs_of(sim, Product.SPOT) as codecs, entry_of(codecs) as entry:
        private, now = codecs.private, codecs.now_ns
        crossing = new_order(Product.SPOT, "po1", price=D(61000), exec_inst=ExecInst.POST_ONLY)
        report(await entry.send(private.new_order(crossing, "p1", now(), logged_on=True)))
        refused = await entry.until(ExecutionReport)
        assert (refused.exec_type, refused.ord_status) == (ExecType.REJECTED, OrdStatus.REJECTED)
        kill = new_order(Product.SPOT, "fok1", order_qty=D(10), price=D(60001), time_in_force=TimeInForce.FOK)
        report(await entry.send(private.new_order(kill, "p2", now(), logged_on=True)))
        killed = await entry.until(ExecutionReport, lambda event: event.ord_status is OrdStatus.CANCELED)
        assert (killed.cl_ord_id, killed.cum_qty, "fill-or-kill" in killed.text) == ("fok1", 0, True)


async def test_an_amend_that_fails_after_its_acknowledgement() -> None:
    async with quiet_simulator() as sim, codecs_of(sim, Product.SPOT) as codecs, entry_of(codecs) as entry:
        private, now = codecs.private, codecs.now_ns
        order = new_order(Product.SPOT, "am1")
        report(await entry.send(private.new_order(order, "p1", now(), logged_on=True)))
        await entry.until(ExecutionReport)
        request_id = amend_request_id("1x9", 2)
        too_much = private.amend_order(order.cl_ord_id, None, order.symbol, D(5000), request_id, now(), logged_on=True)
        report(await entry.send(too_much))
        refusal = await entry.until(VenueCancelReject)
        assert (refusal.cl_ord_id, refusal.order_gone, refusal.amend) == ("am1", False, 2)
        assert sim.open_orders("alpha")[0].order_qty == D("0.1")


@pytest.mark.parametrize(
    "changes, disposition, reason",
    [
        ({"order_qty": D(1000)}, Disposition.REJECTED, OrdRejReason.INSUFFICIENT_BALANCE),
        ({"order_qty": D("0.000000001")}, Disposition.REJECTED, OrdRejReason.BAD_QUANTITY),
        ({"order_qty": D("0.000001")}, Disposition.REJECTED, OrdRejReason.MIN_NOTIONAL),
        ({"price": D("50000.01")}, Disposition.REJECTED, OrdRejReason.BAD_PRICE),
        ({"price": D(90000)}, Disposition.REJECTED, OrdRejReason.PRICE_BAND),
        ({"cl_ord_id": ClOrdID("used")}, Disposition.UNKNOWN, OrdRejReason.DUPLICATE_CL_ORD_ID),
    ],
)
async def test_refusals_are_classified(changes: dict[str, Any], disposition: Disposition, reason: OrdRejReason) -> None:
    async with quiet_simulator() as sim, codecs_of(sim, Product.SPOT) as codecs, entry_of(codecs) as entry:
        private, now = codecs.private, codecs.now_ns
        report(await entry.send(private.new_order(new_order(Product.SPOT, "used"), "p1", now(), logged_on=True)))
        order = new_order(Product.SPOT, "next", **changes)
        refused = await entry.send(private.new_order(order, "p2", now(), logged_on=True))
        by_rest = private.decode_rest_order("r1", await codecs.ask(private.rest_new_order(order, now())))
        for reply in (refused, by_rest):
            assert reply.error is not None
            assert (reply.error.disposition, reply.error.reason) == (disposition, reason)
        assert len(sim.open_orders("alpha")) == 1


@pytest.mark.parametrize(
    "kind, disposition",
    [
        (FaultKind.ERROR_BEFORE, Disposition.UNKNOWN),
        (FaultKind.ERROR_AFTER, Disposition.UNKNOWN),
        (FaultKind.TIMEOUT_EXECUTED, Disposition.UNKNOWN),
        (FaultKind.TIMEOUT_LOST, Disposition.UNKNOWN),
        (FaultKind.RATE_LIMIT, Disposition.RATE_LIMITED),
    ],
)
async def test_what_cannot_be_known_is_called_unknown(kind: FaultKind, disposition: Disposition) -> None:
    async with quiet_simulator() as sim, codecs_of(sim, Product.SPOT) as codecs, entry_of(codecs) as entry:
        private, now = codecs.private, codecs.now_ns
        sim.strike(Fault(kind=kind, match="order", delay_ms=10))
        reply = await entry.send(private.new_order(new_order(Product.SPOT, "x1"), "p1", now(), logged_on=True))
        assert reply.error is not None
        assert reply.error.disposition is disposition
        if kind is FaultKind.RATE_LIMIT:
            await trio.sleep(1.1)
        sim.strike(Fault(kind=kind, match="order", delay_ms=10))
        by_rest = private.rest_new_order(new_order(Product.SPOT, "x2"), now())
        reply = private.decode_rest_order("p2", await codecs.ask(by_rest))
        assert reply.error is not None
        assert reply.error.disposition is disposition


async def test_a_deadline_that_was_over_speaks_of_the_clock() -> None:
    """`expTime` of our own codec, past when it arrives (50036): the order is surely refused."""
    async with AsyncExitStack() as stack:
        sim = await stack.enter_async_context(quiet_simulator())
        codecs = await stack.enter_async_context(codecs_of(sim, Product.SPOT, request_window_ms=1))
        entry = await stack.enter_async_context(entry_of(codecs))
        old = codecs.now_ns() - 10**9
        reply = await entry.send(codecs.private.new_order(new_order(Product.SPOT, "old"), "p1", old, logged_on=True))
        assert reply.error is not None
        assert (reply.error.disposition, reply.error.reason) == (Disposition.CLOCK, OrdRejReason.STALE)
        assert sim.orders("alpha") == []


async def test_limits_are_understood() -> None:
    limits = OkxLimits(orders_per_2s=1, connections_per_s=0)
    async with quiet_simulator(limits=limits) as sim, codecs_of(sim, Product.SPOT) as codecs, entry_of(codecs) as entry:
        private, now = codecs.private, codecs.now_ns
        replies = [
            await entry.send(
                private.new_order(new_order(Product.SPOT, f"n{number}"), f"p{number}", now(), logged_on=True)
            )
            for number in range(3)
        ]
        refused = [reply.error for reply in replies if reply.error is not None]
        assert refused
        assert {error.disposition for error in refused} == {Disposition.RATE_LIMITED}
        assert all(error.until_ns > now() - 2 * 10**9 for error in refused)


async def test_the_dead_man_switch_is_armed_and_read() -> None:
    async with quiet_simulator() as sim, codecs_of(sim, Product.SPOT) as codecs:
        private, now = codecs.private, codecs.now_ns
        before = now()
        request = private.dead_man_request(None, 30 * 10**9, now())
        fires_ns = private.decode_cancel_all_after(await codecs.ask(request))
        assert before + 29 * 10**9 <= fires_ns <= now() + 30 * 10**9
        off = private.dead_man_request(None, 0, now())
        assert private.decode_cancel_all_after(await codecs.ask(off)) == 0
        assert sim.venue.requests["cancel-all-after"] == 2


async def test_legs_in_long_short_mode() -> None:
    """`hedged`: our codec names the leg, a reduce-only order closes the other one."""
    async with quiet_simulator() as sim:
        sim.account("alpha").hedge = True
        async with codecs_of(sim, Product.LINEAR, hedged=True) as codecs, entry_of(codecs) as entry:
            private, now = codecs.private, codecs.now_ns
            for number, (side, reduces) in enumerate(((OurSide.SELL, False), (OurSide.BUY, True))):
                order = new_order(
                    Product.LINEAR, f"leg{number}", side=side, ord_type=OrdType.MARKET, price=None,
                    exec_inst=ExecInst.REDUCE_ONLY if reduces else ExecInst.NONE,
                )  # fmt: skip
                report(await entry.send(private.new_order(order, f"p{number}", now(), logged_on=True)))
                position = await entry.until(VenuePosition)
                assert (position.leg, position.qty) == (OurSide.SELL, D(0) if reduces else D(-2))


# ------------------------------------------------------------------------------------------------- streams
async def read(ws: WebSocketConnection, codecs: Codecs, wanted: Any) -> list[Any]:
    """Events until one is wanted, that one included."""
    events: list[Any] = []
    with trio.fail_after(PATIENCE_S):
        while not events or not wanted(events[-1]):
            events += codecs.public.decode(await ws.get_message(), codecs.now_ns(), 1)
    return events


@pytest.mark.parametrize("product", BOTH)
async def test_public_streams_are_understood(product: Product) -> None:
    symbol = SYMBOLS[product]
    market = GeneratorConfig(events_per_s=60, burst_every_s=0)
    async with quiet_simulator(market=market) as sim, codecs_of(sim, product) as codecs, raw_socket(sim) as ws:
        public = codecs.public
        channels = (Channel.BOOK, Channel.BOOK_TICKER, Channel.TRADES)
        for frame in public.subscribe([(channel, symbol) for channel in channels], 1):
            await ws.send_message(frame.text)
        rules = public.sequencer(symbol)
        kinds: set[type[Any]] = set()
        deltas = 0
        while deltas < 10 or not {BookSnapshot, BookTicker, Trade, Reply} <= kinds:
            (*_, event) = events = await read(ws, codecs, lambda _: True)
            for event in events:
                kinds.add(type(event))
                assert not isinstance(event, UnrecognizedMessage)
                if isinstance(event, BookSnapshot):
                    assert rules.on_snapshot(event).verdict is Verdict.APPLY
                elif isinstance(event, BookDelta):
                    assert rules.on_delta(event) is Verdict.APPLY
                    deltas += 1


async def test_candles_are_understood() -> None:
    async with quiet_simulator() as sim, codecs_of(sim, Product.SPOT) as codecs, raw_socket(sim, "business") as ws:
        sim.trade(SPOT, Side.BUY, D("0.01"))
        for frame in codecs.public.subscribe([(Channel.CANDLES_1M, Symbol(SPOT))], 1):
            await ws.send_message(frame.text)
        (*_, candle) = await read(ws, codecs, lambda event: isinstance(event, Candle))
        assert (candle.volume, candle.closed) == (D("0.01"), False)
        request = codecs.public.candles_request(Symbol(SPOT), 60 * 10**9, 10)
        bars = codecs.public.decode_candles(Symbol(SPOT), 60 * 10**9, await codecs.ask(request))
        assert len(bars) == 10
        assert all(bar.closed for bar in bars)


async def test_snapshots_time_and_instruments_by_rest() -> None:
    async with quiet_simulator() as sim, codecs_of(sim, Product.LINEAR) as codecs:
        public = codecs.public
        book = public.decode_snapshot(Symbol(SWAP), await codecs.ask(public.snapshot_request(Symbol(SWAP), 50)), 1)
        assert (len(book.bids), book.last_id) == (50, sim.exchange.markets[SWAP].update_id)
        venue_ns = public.decode_time(await codecs.ask(public.time_request()))
        assert abs(venue_ns - codecs.now_ns()) < 10**10
        (swap,), _ = public.decode_instruments(await codecs.ask(public.instruments_request(())))
        assert (swap.symbol, swap.contract_size, swap.venue_code) == (
            SWAP,
            D("0.01"),
            venue_of(sim).instruments[SWAP].code,
        )


async def test_keep_alive_and_the_notice_of_an_upgrade() -> None:
    async with quiet_simulator() as sim, codecs_of(sim, Product.SPOT) as codecs, raw_socket(sim) as ws:
        await ws.send_message(codecs.public.keep_alive("k1").text)
        (pong,) = await read(ws, codecs, lambda _: True)
        assert pong.payload == {"event": "pong"}
        venue_of(sim).announce_shutdown(5)
        (notice,) = await read(ws, codecs, lambda _: True)
        assert isinstance(notice, StreamTerminated)


async def test_a_stop_that_finds_no_margin_when_it_is_triggered_fails() -> None:
    """Nothing is bound before the trigger; its service says that it came to nothing."""
    async with quiet_simulator() as sim, codecs_of(sim, Product.LINEAR) as codecs:
        private, now = codecs.private, codecs.now_ns
        (path,) = private.further_private_paths()
        async with raw_socket(sim, "business") as ws:
            business = Entry(ws, codecs)
            login = private.logon("l1", now())
            assert login is not None
            assert (await business.send(login)).error is None
            subscribed = await business.send(private.subscribe_further(path, "s1", now(), logged_on=True))
            assert subscribed.error is None
            order = new_order(
                Product.LINEAR, "stop1", ord_type=OrdType.STOP, stop_px=D(60020), price=None, order_qty=D(34_900)
            )
            ack = report(private.decode_rest_order("p1", await codecs.ask(private.rest_new_order(order, now()))))
            waiting = await business.until(ExecutionReport)
            assert (waiting.cl_ord_id, waiting.order_id, waiting.ord_status) == ("stop1", ack.order_id, OrdStatus.NEW)
            sim.trade(SWAP, Side.BUY, D(100_000), D(60060))
            ended = await business.until(ExecutionReport)
            assert (ended.exec_type, ended.ord_status) == (ExecType.REJECTED, OrdStatus.REJECTED)
            assert "order_failed" in ended.text
        asked = private.decode_order_status(
            await codecs.ask(
                private.order_status_request(ClOrdID("stop1"), ack.order_id, SYMBOLS[Product.LINEAR], now())
            )
        )
        assert isinstance(asked, ExecutionReport)
        assert asked.ord_status is OrdStatus.REJECTED
        assert sim.open_orders("alpha") == []
