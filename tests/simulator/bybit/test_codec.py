"""Our own codecs speak to the simulated Bybit over real sockets: every command, every question, every event.

The simulator knows nothing of the engine, so what the two agree on is what the reference says to both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import httpx
import pytest
import trio

from protocols.base import Message
from protocols.enums import Channel, ExecInst, ExecType, Liquidity, OrdStatus, OrdType, Side, TimeInForce
from protocols.ids import AccountID, ClOrdID, StrategyID, Symbol
from protocols.instruments import Product
from protocols.market import BookDelta, BookSnapshot
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import BalancesChanged, VenuePosition
from protocols.venue import Disposition, Frame, HttpReply, HttpRequest, Reply, UnrecognizedMessage, VenueError, Verdict
from protocols.venues.bybit import BybitPrivate, BybitPublic, signer_for
from tests.simulator.bybit.kit import LINEAR, PATIENCE_S, SPOT, Socket, best, quiet_config, socket_of
from tools.simulator import GeneratorConfig, Simulator, open_simulator
from tools.simulator import Side as SimSide
from tools.simulator.dialects.bybit.limits import BybitLimits

BTC = Symbol("BTCUSDT")
UNLIMITED = BybitLimits(endpoint_buckets=0)


@attrs.define
class World:
    """One account and product: a codec, its two sockets, REST."""

    sim: Simulator
    codec: BybitPrivate
    private: Socket
    trade: Socket
    http: httpx.AsyncClient
    events: list[Message] = attrs.Factory(list)
    requests: int = 10

    def now_ns(self) -> int:
        return self.sim.clock.now_ns()

    def order(self, cl_ord_id: str, side: Side, qty: str, price: str | None = None, **more: Any) -> NewOrder:
        return NewOrder(
            cl_ord_id=ClOrdID(cl_ord_id),
            account=AccountID("alpha"),
            strategy=StrategyID("s"),
            venue=self.codec.venue,
            symbol=BTC,
            side=side,
            ord_type=more.pop("ord_type", OrdType.MARKET if price is None else OrdType.LIMIT),
            order_qty=Decimal(qty),
            price=None if price is None else Decimal(price),
            created_ns=self.now_ns(),
            reply_to="/strategies/s",
            **more,
        )

    def number(self) -> str:
        self.requests += 1
        return str(self.requests)

    async def entered(self, frame: Frame) -> Reply:
        """Send a frame of the trade socket; its reply."""
        await self.trade.ws.send_message(frame.text)
        with trio.fail_after(PATIENCE_S):
            for event in self.codec.decode_entry(await self.trade.ws.get_message(), self.now_ns()):
                assert isinstance(event, Reply)
                assert event.request_id == frame.request_id
                return event
        raise AssertionError("no reply")

    async def new(self, order: NewOrder) -> Reply:
        return await self.entered(self.codec.new_order(order, self.number(), self.now_ns(), logged_on=True))

    async def report(self, cl_ord_id: str, *kinds: OrdStatus | ExecType) -> ExecutionReport:
        """The next report of an order with this status or type."""

        def fits(event: Message) -> bool:
            return (
                isinstance(event, ExecutionReport)
                and event.cl_ord_id == cl_ord_id
                and (event.ord_status in kinds or event.exec_type in kinds)
            )

        found = await self.event(fits)
        assert isinstance(found, ExecutionReport)
        return found

    async def event(self, fits: Any) -> Message:
        with trio.fail_after(PATIENCE_S):
            while True:
                for event in self.events:
                    if fits(event):
                        self.events.remove(event)
                        return event
                said = self.codec.decode_private(await self.private.ws.get_message(), self.now_ns())
                assert not [each for each in said if isinstance(each, UnrecognizedMessage | Reply)]
                self.events += [each for each in said if isinstance(each, Message)]

    async def ask(self, request: HttpRequest) -> HttpReply:
        return await ask(self.sim, self.http, request)

    async def pages(self, request: HttpRequest) -> Sequence[HttpReply]:
        """All parts of an answer."""
        replies = []
        following: HttpRequest | None = request
        while following is not None:
            reply = await self.ask(following)
            assert self.codec.error(reply) is None, reply.body
            replies.append(reply)
            following = self.codec.continuation(following, reply, self.now_ns())
        return replies


async def ask(sim: Simulator, http: httpx.AsyncClient, request: HttpRequest) -> HttpReply:
    url = f"{request.path}?{request.query}" if request.query else request.path
    sent_ns = sim.clock.now_ns()
    body = request.body.encode() if request.body else None
    answer = await http.request(request.method, url, headers=dict(request.headers), content=body)
    return HttpReply(answer.status_code, dict(answer.headers), answer.content, sent_ns, sim.clock.now_ns())


@asynccontextmanager
async def world(product: Product, *, hedge_mode: bool = False, **config: Any) -> AsyncIterator[World]:
    settings = quiet_config(**({"limits": UNLIMITED} | config))
    async with open_simulator(settings) as sim:
        keys = sim.credentials("alpha")
        signer = signer_for(keys.hmac_key, keys.hmac_secret)
        codec = BybitPrivate(AccountID("alpha"), signer, product, hedge_mode=hedge_mode)
        async with (
            socket_of(sim, codec.private_path()) as private,
            socket_of(sim, codec.entry_path()) as trade,
            httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as http,
        ):
            made = World(sim, codec, private, trade, http)
            logon = codec.logon("1", sim.clock.now_ns())
            assert logon is not None
            assert (await made.entered(logon)).error is None
            for frame in (logon, codec.subscribe_private("2", sim.clock.now_ns(), logged_on=True)):
                await private.ws.send_message(frame.text)
                (reply,) = codec.decode_private(await private.ws.get_message(), 1)
                assert isinstance(reply, Reply)
                assert (reply.request_id, reply.error) == (frame.request_id, None)
            yield made
        assert sim.server.failures == []


BOTH = pytest.mark.parametrize("product", [Product.SPOT, Product.LINEAR])


@BOTH
async def test_an_orders_life_by_websocket(product: Product) -> None:
    async with world(product) as w:
        key = SPOT if product is Product.SPOT else LINEAR
        bid, _ = best(w.sim, key)
        reply = await w.new(w.order("a", Side.BUY, "0.02", str(bid + 1)))
        assert reply.error is None
        assert reply.report is not None
        order_id = reply.report.order_id
        assert reply.usage[0].used == 1
        working = await w.report("a", OrdStatus.NEW)
        assert (working.order_id, working.order_qty, working.price) == (order_id, Decimal("0.02"), bid + 1)
        frame = w.codec.amend_order(
            ClOrdID("a"), order_id, BTC, Decimal("0.03"), w.number(), w.now_ns(), logged_on=True
        )
        assert (await w.entered(frame)).error is None
        assert (await w.report("a", OrdStatus.NEW)).order_qty == Decimal("0.03")
        w.sim.trade(key, SimSide.SELL, Decimal("0.01"), bid + 1)
        fill = await w.report("a", ExecType.TRADE)
        assert (fill.last_qty, fill.last_px, fill.liquidity) == (Decimal("0.01"), bid + 1, Liquidity.MAKER)
        assert fill.fee_asset == ("BTC" if product is Product.SPOT else "USDT")
        partly = await w.report("a", ExecType.ORDER_STATUS)
        assert (partly.ord_status, partly.cum_qty) == (OrdStatus.PARTIALLY_FILLED, Decimal("0.01"))
        frame = w.codec.cancel_order(ClOrdID("a"), order_id, BTC, w.number(), w.now_ns(), logged_on=True)
        assert (await w.entered(frame)).error is None
        ended = await w.report("a", OrdStatus.CANCELED)
        assert (ended.cum_qty, ended.text) == (Decimal("0.01"), "CancelByUser")
        frame = w.codec.cancel_order(ClOrdID("a"), order_id, BTC, w.number(), w.now_ns(), logged_on=True)
        again = await w.entered(frame)
        assert again.error is not None
        assert again.error.disposition is Disposition.ALREADY_FINAL


@BOTH
async def test_kinds_of_orders(product: Product) -> None:
    async with world(product) as w:
        _, ask_px = best(w.sim, SPOT if product is Product.SPOT else LINEAR)
        crossing = w.order("p", Side.BUY, "0.01", str(ask_px), exec_inst=ExecInst.POST_ONLY)
        assert (await w.new(crossing)).error is None  # received
        refused = await w.report("p", OrdStatus.REJECTED)
        assert refused.text == "EC_PostOnlyWillTakeLiquidity"
        fok = w.order("f", Side.BUY, "50", str(ask_px), time_in_force=TimeInForce.FOK)
        if product is Product.LINEAR:
            fok = attrs.evolve(fok, order_qty=Decimal(100))
            assert (await w.new(fok)).error is None
            assert (await w.report("f", OrdStatus.CANCELED)).cum_qty == 0
        assert (await w.new(w.order("m", Side.BUY, "0.01"))).error is None
        bought = await w.report("m", OrdStatus.FILLED)
        assert (bought.cum_qty, bought.ord_type) == (Decimal("0.01"), OrdType.MARKET)
        duplicate = await w.new(w.order("m", Side.BUY, "0.01"))
        assert duplicate.error is not None
        assert duplicate.error.disposition is Disposition.UNKNOWN  # this order *is* that order
        poor = await w.new(w.order("r", Side.BUY, "200", str(ask_px - 100)))
        if product is Product.SPOT:
            assert poor.error is not None
            assert poor.error.disposition is Disposition.REJECTED


async def test_triggers_and_reductions_of_contracts() -> None:
    async with world(Product.LINEAR) as w:
        last = w.sim.exchange.markets[LINEAR].last_px
        stop = w.order("s", Side.BUY, "0.01", ord_type=OrdType.STOP, stop_px=last + 20)
        assert (await w.new(stop)).error is None
        assert (await w.report("s", OrdStatus.NEW)).ord_type is OrdType.STOP
        met = await w.new(w.order("t", Side.BUY, "0.01", ord_type=OrdType.STOP, stop_px=last - 50))
        assert met.error is not None
        assert met.error.disposition is Disposition.REJECTED
        w.sim.trade(LINEAR, SimSide.BUY, Decimal(100), last + 60)
        assert (await w.report("s", OrdStatus.FILLED)).cum_qty == Decimal("0.01")
        held = await w.event(lambda event: isinstance(event, VenuePosition) and event.qty)
        assert isinstance(held, VenuePosition)
        assert (held.qty, held.leg) == (Decimal("0.01"), None)
        close = w.order("c", Side.SELL, "0.01", exec_inst=ExecInst.CLOSE_POSITION)
        assert (await w.new(close)).error is None
        assert (await w.report("c", OrdStatus.FILLED)).cum_qty == Decimal("0.01")
        nothing = await w.new(w.order("n", Side.SELL, "0.01", exec_inst=ExecInst.REDUCE_ONLY))
        assert nothing.error is not None
        assert nothing.error.disposition is Disposition.REJECTED


async def test_triggers_of_spot() -> None:
    """A waiting order is canceled by the name that it has; from its trigger on that is the bare one."""
    async with world(Product.SPOT) as w:
        last, names = w.sim.exchange.markets[SPOT].last_px, {}
        for number, ord_type in enumerate((OrdType.STOP, OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT_LIMIT)):
            away = -20 if ord_type is OrdType.TAKE_PROFIT_LIMIT else 20
            price = None if ord_type is OrdType.STOP else str(last - 50)
            reply = await w.new(w.order(f"s{number}", Side.BUY, "0.01", price, ord_type=ord_type, stop_px=last + away))
            assert reply.report is not None
            told = await w.report(f"s{number}", OrdStatus.NEW)
            assert (told.ord_type, told.order_id) == (ord_type, reply.report.order_id)
            assert told.order_id.startswith("StopOrder:")
            names[told.cl_ord_id] = told.order_id
        taking = ClOrdID("s2")
        frame = w.codec.cancel_order(taking, names[taking], BTC, w.number(), w.now_ns(), logged_on=True)
        assert (await w.entered(frame)).error is None
        assert (await w.report("s2", OrdStatus.CANCELED)).cum_qty == 0
        w.sim.trade(SPOT, SimSide.BUY, Decimal(100), last + 60)
        assert (await w.report("s0", OrdStatus.FILLED)).cum_qty == Decimal("0.01")
        working = await w.report("s1", OrdStatus.NEW)  # Triggered, then New
        assert ":" not in working.order_id
        frame = w.codec.cancel_order(ClOrdID("s1"), working.order_id, BTC, w.number(), w.now_ns(), logged_on=True)
        assert (await w.entered(frame)).error is None
        await w.report("s1", OrdStatus.CANCELED)


async def test_a_mass_cancel_of_spot_reaches_waiting_orders() -> None:
    async with world(Product.SPOT) as w:
        last = w.sim.exchange.markets[SPOT].last_px
        await w.new(w.order("l", Side.BUY, "0.01", "60000"))
        await w.new(w.order("s", Side.BUY, "0.01", ord_type=OrdType.STOP, stop_px=last + 50))
        assert len(w.sim.open_orders("alpha")) == 2
        assert len(await w.pages(w.codec.rest_cancel_all(BTC, w.now_ns()))) == 3
        assert w.sim.open_orders("alpha") == []


@BOTH
async def test_amends_of_price_and_larger_quantity(product: Product) -> None:
    """In place, by either way; the order keeps its names."""
    async with world(product) as w:
        bid, _ = best(w.sim, SPOT if product is Product.SPOT else LINEAR)
        reply = await w.new(w.order("a", Side.BUY, "0.02", str(bid - 10)))
        assert reply.report is not None
        order_id = reply.report.order_id
        await w.report("a", OrdStatus.NEW)
        by_socket = ClOrdID("a"), order_id, BTC, Side.BUY, Decimal("0.05"), bid - 5
        frame = w.codec.amend_terms(*by_socket, w.number(), w.now_ns(), logged_on=True)
        assert (await w.entered(frame)).error is None
        amended = await w.report("a", OrdStatus.NEW)
        assert (amended.order_id, amended.order_qty, amended.price) == (order_id, Decimal("0.05"), bid - 5)
        by_rest = ClOrdID("a"), None, BTC, Side.BUY, Decimal("0.03"), bid - 7
        answered = w.codec.decode_rest_order("1", await w.ask(w.codec.rest_amend_terms(*by_rest, w.now_ns())))
        assert answered.report is not None
        assert answered.report.order_id == order_id
        amended = await w.report("a", OrdStatus.NEW)
        assert (amended.order_qty, amended.price) == (Decimal("0.03"), bid - 7)
        same = w.codec.decode_rest_order("2", await w.ask(w.codec.rest_amend_terms(*by_rest, w.now_ns())))
        assert same.error is not None  # nothing to change
        w.sim.trade(SPOT if product is Product.SPOT else LINEAR, SimSide.SELL, Decimal(100), bid - 7)
        filled = await w.report("a", ExecType.TRADE)
        assert filled.last_px == bid - 7
        late = await w.entered(w.codec.amend_terms(*by_socket, w.number(), w.now_ns(), logged_on=True))
        assert late.error is not None
        assert late.error.disposition is Disposition.ALREADY_FINAL


async def test_hedge_mode() -> None:
    async with world(Product.LINEAR, hedge_mode=True) as w:
        wrong = await w.new(w.order("w", Side.BUY, "0.01"))
        assert wrong.error is not None
        assert wrong.error.disposition is Disposition.BUG  # the account is in the other mode
        w.sim.account("alpha").hedge = True
        assert (await w.new(w.order("l", Side.BUY, "0.02"))).error is None
        assert (await w.new(w.order("s", Side.SELL, "0.03"))).error is None
        assert (await w.new(w.order("r", Side.SELL, "0.01", exec_inst=ExecInst.REDUCE_ONLY))).error is None
        await w.report("r", OrdStatus.FILLED)
        replies = await w.pages(w.codec.positions_request(w.now_ns(), BTC))
        legs = {each.leg: each.qty for reply in replies for each in w.codec.decode_positions(reply)}
        assert legs == {Side.BUY: Decimal("0.01"), Side.SELL: Decimal("-0.03")}


@BOTH
async def test_batches(product: Product) -> None:
    async with world(product) as w:
        orders = [w.order(f"b{number}", Side.BUY, "0.01", "60000") for number in range(3)]
        orders[1] = attrs.evolve(orders[1], price=Decimal("60000.05"))
        reply = await w.entered(w.codec.new_orders(orders, w.number(), w.now_ns(), logged_on=True))
        assert [part.error is None for part in reply.parts] == [True, False, True]
        ids = [(ClOrdID("b0"), None, BTC), (ClOrdID("nobody"), None, BTC), (ClOrdID("b2"), None, BTC)]
        reply = await w.entered(w.codec.cancel_orders(ids, w.number(), w.now_ns(), logged_on=True))
        dispositions = [None if part.error is None else part.error.disposition for part in reply.parts]
        assert dispositions == [None, Disposition.NOT_FOUND, None]
        assert (await w.report("b2", OrdStatus.CANCELED)).cum_qty == 0


@BOTH
async def test_rest_commands(product: Product) -> None:
    async with world(product) as w:
        order = w.order("r", Side.BUY, "0.01", "60000")
        reply = w.codec.decode_rest_order("1", await w.ask(w.codec.rest_new_order(order, w.now_ns())))
        assert reply.report is not None
        order_id = reply.report.order_id
        request = w.codec.rest_amend_order(ClOrdID("r"), order_id, BTC, None, w.now_ns(), price=Decimal(60001))
        assert w.codec.decode_rest_order("2", await w.ask(request)).error is None
        status = w.codec.decode_order_status(
            await w.ask(w.codec.order_status_request(ClOrdID("r"), None, BTC, w.now_ns()))
        )
        assert isinstance(status, ExecutionReport)
        assert (status.price, status.ord_status) == (Decimal(60001), OrdStatus.NEW)
        request = w.codec.rest_cancel_order(ClOrdID("r"), order_id, BTC, w.now_ns())
        assert w.codec.decode_rest_order("3", await w.ask(request)).error is None
        others = [w.order(f"o{number}", Side.BUY, "0.01", "60000") for number in range(2)]
        reply = w.codec.decode_rest_order("4", await w.ask(w.codec.rest_new_orders(others, w.now_ns())))
        assert [part.error for part in reply.parts] == [None, None]
        reply = w.codec.decode_rest_order("5", await w.ask(w.codec.rest_cancel_all(BTC, w.now_ns())))
        assert reply.payload == {"orders": 2}
        for request in w.codec.rest_cancel_everything(w.now_ns()):
            assert w.codec.decode_rest_order("6", await w.ask(request)).payload == {"orders": 0}
        nobody = w.codec.order_status_request(ClOrdID("nobody"), None, BTC, w.now_ns())
        replies = await w.pages(nobody)
        assert len(replies) == 2  # the working orders, then the history
        for answer in replies:
            missing = w.codec.decode_order_status(answer)
            assert isinstance(missing, VenueError)
            assert missing.disposition is Disposition.NOT_FOUND


@BOTH
async def test_reconciliation(product: Product) -> None:
    """Everything that a restarted account asks, in as many pages as it takes."""
    async with world(product) as w:
        key = SPOT if product is Product.SPOT else LINEAR
        for number in range(60):
            await w.new(w.order(f"q{number}", Side.BUY, "0.001", "60000"))
        for number in range(5):
            await w.new(w.order(f"m{number}", Side.BUY, "0.01"))
        replies = await w.pages(w.codec.open_orders_request(None, w.now_ns()))
        reports = [report for reply in replies for report in w.codec.decode_open_orders(reply)]
        assert {report.cl_ord_id for report in reports} == {f"q{number}" for number in range(60)}
        assert len(replies) >= 2
        since_ns = w.now_ns() - 15 * 86_400_000_000_000
        replies = await w.pages(w.codec.fills_request(BTC, w.now_ns(), since_ns=since_ns))
        fills = [fill for reply in replies for fill in w.codec.decode_fills(BTC, reply)]
        truth = w.sim.fills("alpha", key)
        assert sum(fill.last_qty for fill in fills) == sum(fill.trade.qty for fill in truth) == Decimal("0.05")
        assert len({fill.trade_id for fill in fills}) == len(truth)
        assert len(replies) >= 3  # weeks
        (reply,) = await w.pages(w.codec.balances_request(w.now_ns()))
        coins = {balance.asset: balance for balance in w.codec.decode_balances(reply)}
        for asset, (free, locked) in w.sim.balances("alpha").items():
            assert coins[asset].free + coins[asset].locked == free + locked
        if product is Product.LINEAR:
            replies = await w.pages(w.codec.positions_request(w.now_ns()))
            (held,) = [each for answer in replies for each in w.codec.decode_positions(answer)]
            assert held.qty == Decimal("0.05")
            assert coins["USDT"].locked > 0  # margin
        moved = await w.event(lambda event: isinstance(event, BalancesChanged))
        assert isinstance(moved, BalancesChanged)


async def test_rate_limit_and_lost_key_are_understood() -> None:
    async with world(Product.LINEAR, limits=BybitLimits()) as w:
        errors = []
        for number in range(30):
            reply = await w.new(w.order(f"x{number}", Side.BUY, "0.001", "60000"))
            if reply.error is not None:
                errors.append(reply.error)
                break
        (limited,) = errors
        assert limited.disposition is Disposition.RATE_LIMITED
        assert w.now_ns() - 1_000_000_000 < limited.until_ns <= w.now_ns() + 1_000_000_000
        w.sim.venue.revoke_key(w.sim.credentials("alpha").hmac_key)
        reply_to = w.codec.error(await w.ask(w.codec.balances_request(w.now_ns())))
        assert reply_to is not None
        assert reply_to.disposition is Disposition.AUTH


@BOTH
async def test_public_questions(product: Product) -> None:
    codec = BybitPublic(product)
    config = quiet_config(symbols=("BTCUSDT", "ETHUSDT", "linear:SOLUSDT"))
    async with (
        open_simulator(config) as sim,
        httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as http,
    ):
        now = codec.decode_time(await ask(sim, http, codec.time_request()))
        assert abs(now - sim.clock.now_ns()) < 10_000_000_000
        reply = await ask(sim, http, codec.instruments_request(()))
        instruments, _ = codec.decode_instruments(reply)
        assert codec.continuation(codec.instruments_request(()), reply, 0) is None
        assert {str(each.symbol) for each in instruments} >= {"BTCUSDT", "ETHUSDT"}
        (bitcoin,) = [each for each in instruments if each.symbol == "BTCUSDT"]
        assert bitcoin.price_steps[0].step == Decimal("0.1")
        assert bitcoin.min_notional == 5
        bars = codec.decode_candles(
            BTC, 60_000_000_000, await ask(sim, http, codec.candles_request(BTC, 60_000_000_000, 30))
        )
        assert len(bars) == 30
        assert all(bar.closed for bar in bars)
        (ticker,) = codec.decode_tickers(await ask(sim, http, codec.tickers_request((BTC,))))
        assert ticker.symbol == BTC
        missing = codec.error(await ask(sim, http, codec.snapshot_request(Symbol("NOPE"), 50)))
        assert missing is not None


@BOTH
async def test_a_deep_book_is_healed_by_rest(product: Product) -> None:
    """Depth 1000 shares its counter with REST: a follower that came late bridges the two."""
    codec = BybitPublic(product, book_depth=1000)
    async with (
        open_simulator(quiet_config(market=GeneratorConfig(events_per_s=100))) as sim,
        socket_of(sim, codec.stream_path()) as socket,
        httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as http,
    ):
        for frame in codec.subscribe([(Channel.BOOK, BTC)], 1):
            await socket.ws.send_message(frame.text)
        sequencer = codec.sequencer(BTC)
        verdicts: list[Verdict] = []
        with trio.fail_after(PATIENCE_S):
            while Verdict.APPLY not in verdicts:
                for event in codec.decode(await socket.ws.get_message(), 1, 1):
                    if isinstance(event, BookSnapshot):
                        continue  # as if it had been lost
                    if isinstance(event, BookDelta):
                        verdicts.append(sequencer.on_delta(event))
                if verdicts and not sequencer.synced:
                    snapshot = codec.decode_snapshot(BTC, await ask(sim, http, codec.snapshot_request(BTC, 1000)), 1)
                    sequencer.on_snapshot(snapshot)
        assert Verdict.GAP not in verdicts
