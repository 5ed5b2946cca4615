"""Our own codecs speak to the simulated USDT-M Futures over real sockets: every command, every question, every event.

The simulator knows nothing of the engine, so what the two agree on is what the reference says to both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import httpx
import pytest
import trio
from trio_websocket import WebSocketConnection

from protocols.base import Message
from protocols.enums import Channel, ExecInst, ExecType, Liquidity, OrdStatus, OrdType, Side, TimeInForce
from protocols.ids import AccountID, ClOrdID, StrategyID, Symbol
from protocols.market import BookDelta, BookTicker, Trade
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import BalancesChanged
from protocols.venue import Disposition, Frame, HttpReply, HttpRequest, Reply, VenueError, Verdict
from protocols.venues.binance_usdm import BinanceUsdmPrivate, BinanceUsdmPublic, signer_for
from tests.simulator.binance_usdm.kit import SYMBOL, price, quiet_config
from tests.simulator.wire import PATIENCE_S, open_ws
from tools.simulator import GeneratorConfig, Simulator, open_simulator
from tools.simulator import Side as SimSide
from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

BTC = Symbol(SYMBOL)


@attrs.define
class World:
    """One account: a codec, its two sockets, REST."""

    sim: Simulator
    codec: BinanceUsdmPrivate
    private: WebSocketConnection
    entry: WebSocketConnection
    http: httpx.AsyncClient
    logged_on: bool
    events: list[Message] = attrs.Factory(list)
    requests: int = 10

    def now_ns(self) -> int:
        return self.sim.clock.now_ns()

    def order(self, cl_ord_id: str, side: Side, qty: str, px: str | None = None, **more: Any) -> NewOrder:
        return NewOrder(
            cl_ord_id=ClOrdID(cl_ord_id),
            account=AccountID("alpha"),
            strategy=StrategyID("s"),
            venue=self.codec.venue,
            symbol=BTC,
            side=side,
            ord_type=more.pop("ord_type", OrdType.MARKET if px is None else OrdType.LIMIT),
            order_qty=Decimal(qty),
            price=None if px is None else Decimal(px),
            created_ns=self.now_ns(),
            reply_to="/strategies/s",
            **more,
        )

    def number(self) -> str:
        self.requests += 1
        return str(self.requests)

    async def entered(self, frame: Frame) -> Reply:
        """Send a frame of order entry; its reply."""
        await self.entry.send_message(frame.text)
        with trio.fail_after(PATIENCE_S):
            for event in self.codec.decode_entry(await self.entry.get_message(), self.now_ns()):
                assert isinstance(event, Reply)
                assert event.request_id == frame.request_id
                return event
        raise AssertionError("no reply")

    async def new(self, order: NewOrder) -> Reply:
        return await self.entered(self.codec.new_order(order, self.number(), self.now_ns(), logged_on=self.logged_on))

    async def cancel(self, cl_ord_id: str, order_id: Any = None) -> Reply:
        frame = self.codec.cancel_order(
            ClOrdID(cl_ord_id), order_id, BTC, self.number(), self.now_ns(), logged_on=self.logged_on
        )
        return await self.entered(frame)

    async def event(self, fits: Callable[[Message], bool]) -> Message:
        with trio.fail_after(PATIENCE_S):
            while True:
                for event in self.events:
                    if fits(event):
                        self.events.remove(event)
                        return event
                said = self.codec.decode_private(await self.private.get_message(), self.now_ns())
                self.events += [each for each in said if isinstance(each, Message)]

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

    async def ask(self, request: HttpRequest) -> HttpReply:
        return await ask(self.sim, self.http, request)


async def ask(sim: Simulator, http: httpx.AsyncClient, request: HttpRequest) -> HttpReply:
    url = f"{request.path}?{request.query}" if request.query else request.path
    sent_ns = sim.clock.now_ns()
    body = request.body.encode() if request.body else None
    answer = await http.request(request.method, url, headers=dict(request.headers), content=body)
    return HttpReply(answer.status_code, dict(answer.headers), answer.content, sent_ns, sim.clock.now_ns())


@asynccontextmanager
async def world(*, hedge_mode: bool = False, logon: bool = True, **config: Any) -> AsyncIterator[World]:
    async with open_simulator(quiet_config(**config)) as sim:
        keys = sim.credentials("alpha")
        signer = (
            signer_for(keys.ed25519_key, keys.ed25519_private_pem)
            if logon
            else signer_for(keys.hmac_key, keys.hmac_secret)
        )
        codec = BinanceUsdmPrivate(AccountID("alpha"), signer, hedge_mode=hedge_mode)
        async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as http:
            key = codec.decode_listen_key(await ask(sim, http, codec.listen_key_request()))
            async with (
                open_ws(sim, codec.private_path_of(key)) as private,
                open_ws(sim, codec.entry_path()) as entry,
            ):
                made = World(sim, codec, private, entry, http, logon)
                frame = codec.logon("1", sim.clock.now_ns())
                assert (frame is not None) is logon
                if frame is not None:
                    assert (await made.entered(frame)).error is None
                yield made
        assert sim.server.failures == []


@pytest.mark.parametrize("logon", [True, False])
async def test_an_orders_life_by_websocket(*, logon: bool) -> None:
    async with world(logon=logon) as w:
        where = price(w.sim, -300)
        reply = await w.new(w.order("a", Side.BUY, "0.020", where))
        assert reply.error is None
        assert reply.report is not None
        assert {usage.used for usage in reply.usage} >= {1}
        working = await w.report("a", OrdStatus.NEW)
        assert (working.order_qty, working.price) == (Decimal("0.020"), Decimal(where))
        higher = Decimal(where) + 1
        order_id, qty = reply.report.order_id, Decimal("0.030")
        frame = w.codec.amend_terms(
            ClOrdID("a"), order_id, BTC, Side.BUY, qty, higher, w.number(), w.now_ns(), logged_on=logon
        )
        assert (await w.entered(frame)).error is None
        assert (await w.report("a", ExecType.REPLACED)).order_qty == Decimal("0.030")
        front = sum(qty for px, qty in w.sim.exchange.markets[SYMBOL].depth(SimSide.BUY, 1000) if px > higher)
        w.sim.trade(SYMBOL, SimSide.SELL, front + Decimal("0.010"), higher)
        fill = await w.report("a", ExecType.TRADE)
        assert (fill.last_qty, fill.last_px, fill.liquidity) == (Decimal("0.010"), higher, Liquidity.MAKER)
        assert (fill.fee_asset, fill.ord_status) == ("USDT", OrdStatus.PARTIALLY_FILLED)
        assert (await w.cancel("a", reply.report.order_id)).error is None
        assert (await w.report("a", OrdStatus.CANCELED)).cum_qty == Decimal("0.010")
        again = await w.cancel("a", reply.report.order_id)
        assert again.error is not None
        assert again.error.disposition is Disposition.ALREADY_FINAL


async def test_refusals_mean_what_they_should() -> None:
    async with world() as w:
        inside = price(w.sim, 20)
        crossing = await w.new(w.order("p", Side.BUY, "0.01", inside, exec_inst=ExecInst.POST_ONLY))
        fok = await w.new(w.order("f", Side.BUY, "100", inside, time_in_force=TimeInForce.FOK))
        poor = await w.new(w.order("m", Side.BUY, "220", price(w.sim, -100)))
        reducing = await w.new(w.order("r", Side.SELL, "0.01", exec_inst=ExecInst.REDUCE_ONLY))
        for reply in (crossing, fok, poor, reducing):
            assert reply.error is not None
            assert reply.error.disposition is Disposition.REJECTED
        assert (await w.new(w.order("d", Side.BUY, "0.01", price(w.sim, -100)))).error is None
        twice = await w.new(w.order("d", Side.BUY, "0.01", price(w.sim, -100)))
        assert twice.error is not None
        assert twice.error.disposition is Disposition.UNKNOWN  # this order *is* that order
        ioc = await w.new(w.order("i", Side.BUY, "0.01", price(w.sim, -50), time_in_force=TimeInForce.IOC))
        assert ioc.error is None
        assert (await w.report("i", OrdStatus.EXPIRED)).cum_qty == 0


async def test_a_stop_and_its_child_are_one_order_to_us() -> None:
    async with world() as w:
        assert (await w.new(w.order("b", Side.BUY, "0.01"))).error is None
        await w.report("b", OrdStatus.FILLED)
        trigger = Decimal(price(w.sim, -200))
        stop = w.order("s", Side.SELL, "0.01", ord_type=OrdType.STOP, stop_px=trigger)
        reply = await w.new(stop)
        assert reply.report is not None
        assert reply.report.order_id.startswith("A")
        assert (await w.report("s", OrdStatus.NEW)).ord_type is OrdType.STOP
        w.sim.trade(SYMBOL, SimSide.SELL, Decimal(30), trigger - 20)
        filled = await w.report("s", OrdStatus.FILLED)
        assert filled.cum_qty == Decimal("0.01")
        assert not w.sim.positions("alpha")


async def test_hedge_mode_names_the_leg() -> None:
    async with world(hedge_mode=True) as w:
        wrong = await w.new(w.order("w", Side.BUY, "0.01"))
        assert wrong.error is not None  # the account is in the other mode
        w.sim.account("alpha").hedge = True
        assert (await w.new(w.order("l", Side.BUY, "0.02"))).error is None
        assert (await w.new(w.order("s", Side.SELL, "0.03"))).error is None
        assert (await w.new(w.order("r", Side.SELL, "0.01", exec_inst=ExecInst.REDUCE_ONLY))).error is None
        positions = w.codec.decode_positions(await w.ask(w.codec.positions_request(w.now_ns())))
        assert {each.leg: each.qty for each in positions} == {Side.BUY: Decimal("0.01"), Side.SELL: Decimal("-0.03")}
        assert w.codec.decode_position_mode(await w.ask(w.codec.position_mode_request(w.now_ns()))) is True


async def test_rest_commands_and_batches() -> None:
    async with world() as w:
        where = price(w.sim, -300)
        request = w.codec.rest_new_order(w.order("r", Side.BUY, "0.01", where), w.now_ns())
        reply = w.codec.decode_rest_order("1", await w.ask(request))
        assert reply.report is not None
        order_id = reply.report.order_id
        status = w.codec.decode_order_status(
            await w.ask(w.codec.order_status_request(ClOrdID("r"), None, BTC, w.now_ns()))
        )
        assert isinstance(status, ExecutionReport)
        assert (status.price, status.ord_status) == (Decimal(where), OrdStatus.NEW)
        request = w.codec.rest_cancel_order(ClOrdID("r"), order_id, BTC, w.now_ns())
        assert w.codec.decode_rest_order("2", await w.ask(request)).error is None
        orders = [w.order(f"b{number}", Side.BUY, "0.01", where) for number in range(3)]
        orders[1] = attrs.evolve(orders[1], order_qty=Decimal("0.0001"))
        reply = w.codec.decode_rest_order("3", await w.ask(w.codec.rest_new_orders(orders, w.now_ns())))
        assert [part.error is None for part in reply.parts] == [True, False, True]
        ids = [(ClOrdID("b0"), None, BTC), (ClOrdID("nobody"), None, BTC)]
        reply = w.codec.decode_rest_order("4", await w.ask(w.codec.rest_cancel_orders(ids, w.now_ns())))
        dispositions = [None if part.error is None else part.error.disposition for part in reply.parts]
        assert dispositions == [None, Disposition.ALREADY_FINAL]
        assert (await w.ask(w.codec.dead_man_request(BTC, 60_000_000_000, w.now_ns()))).status == 200
        assert w.codec.decode_rest_order("5", await w.ask(w.codec.rest_cancel_all(BTC, w.now_ns()))).error is None
        assert not w.sim.open_orders("alpha")
        missing = w.codec.decode_order_status(
            await w.ask(w.codec.order_status_request(ClOrdID("nobody"), None, BTC, w.now_ns()))
        )
        assert isinstance(missing, VenueError)
        assert missing.disposition is Disposition.NOT_FOUND


async def test_reconciliation_reads_the_whole_account() -> None:
    async with world() as w:
        where = price(w.sim, -300)
        for number in range(3):
            await w.new(w.order(f"q{number}", Side.BUY, "0.01", where))
        await w.new(w.order("m", Side.BUY, "0.05"))
        stop = w.order("s", Side.SELL, "0.01", ord_type=OrdType.STOP, stop_px=Decimal("80000.0"))
        await w.new(stop)
        request: HttpRequest | None = w.codec.open_orders_request(None, w.now_ns())
        found: set[str] = set()
        while request is not None:
            reply = await w.ask(request)
            found |= {str(report.cl_ord_id) for report in w.codec.decode_open_orders(reply)}
            request = w.codec.continuation(request, reply, w.now_ns())
        assert found == {"q0", "q1", "q2", "s"}
        reply = await w.ask(w.codec.fills_request(BTC, w.now_ns(), since_ns=w.now_ns() - 60_000_000_000))
        fills = w.codec.decode_fills(BTC, reply)
        truth = w.sim.fills("alpha", SYMBOL)
        assert [fill.trade_id for fill in fills] == [str(fill.trade.trade_id) for fill in truth]
        balances = w.codec.decode_balances(await w.ask(w.codec.balances_request(w.now_ns())))
        usdt = next(each for each in balances if each.asset == "USDT")
        assert usdt.free + usdt.locked == w.sim.balances("alpha")["USDT"][0]
        told = await w.event(lambda event: isinstance(event, BalancesChanged))
        assert isinstance(told, BalancesChanged)
        (held,) = w.codec.decode_positions(await w.ask(w.codec.positions_request(w.now_ns())))
        assert (held.qty, held.leg) == (Decimal("0.05"), None)


async def test_the_public_codec_bridges_and_follows_the_book() -> None:
    """Its own sequencer over the venue's snapshot and diffs: current, and equal to the venue's book at the end."""
    lively = GeneratorConfig(events_per_s=200.0, burst_every_s=0)
    async with open_simulator(quiet_config(market=lively)) as sim:
        codec = BinanceUsdmPublic()
        wanted = [(Channel.BOOK, BTC), (Channel.BOOK_TICKER, BTC)]
        paths = codec.stream_paths()
        assert paths[Channel.BOOK] == paths[Channel.BOOK_TICKER]
        async with (
            open_ws(sim, paths[Channel.BOOK]) as books,
            open_ws(sim, paths[Channel.TRADES]) as prints,
            httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as http,
        ):
            for socket, channels in ((books, wanted), (prints, [(Channel.TRADES, BTC)])):
                for frame in codec.subscribe(channels, 1):
                    await socket.send_message(frame.text)
            sequencer = codec.sequencer(BTC)
            verdicts: list[Verdict] = []
            quotes = 0
            with trio.fail_after(PATIENCE_S):
                while verdicts.count(Verdict.APPLY) < 20 or not quotes:
                    for event in codec.decode(await books.get_message(), sim.clock.now_ns(), 1):
                        quotes += isinstance(event, BookTicker)
                        if isinstance(event, BookDelta):
                            verdicts.append(sequencer.on_delta(event))
                            if not sequencer.synced:
                                reply = await ask(sim, http, codec.snapshot_request(BTC, 1000))
                                sequencer.on_snapshot(codec.decode_snapshot(BTC, reply, 1))
            assert Verdict.GAP not in verdicts
            with trio.fail_after(PATIENCE_S):
                seen = False
                while not seen:
                    said = codec.decode(await prints.get_message(), sim.clock.now_ns(), 2)
                    seen = any(isinstance(event, Trade) for event in said)
        assert sim.server.failures == []


async def test_an_overloaded_venue_lets_reductions_and_cancels_pass() -> None:
    """Section 17.1: -1008 is a certain failure, is not counted, and spares what only closes."""
    async with world() as w:
        assert isinstance(w.sim.venue, BinanceUsdm)
        assert (await w.new(w.order("opened", Side.BUY, "0.020"))).error is None
        assert (await w.new(w.order("rests", Side.BUY, "0.020", price(w.sim, -300)))).error is None
        counted = w.sim.venue.order_limits(w.sim.account("alpha")).short.used(w.now_ns())
        w.sim.venue.overloaded = True
        stop = w.order("stop", Side.BUY, "0.020", ord_type=OrdType.STOP, stop_px=Decimal(price(w.sim, 300)))
        for refused in (w.order("more", Side.BUY, "0.020"), stop):
            error = (await w.new(refused)).error
            assert error is not None
            assert (error.disposition, error.code) == (Disposition.BUSY, "-1008")
        assert w.sim.venue.order_limits(w.sim.account("alpha")).short.used(w.now_ns()) <= counted
        assert (await w.cancel("rests")).error is None
        closing = w.order("closes", Side.SELL, "0.020", exec_inst=ExecInst.REDUCE_ONLY)
        assert (await w.new(closing)).error is None
        await w.report("closes", OrdStatus.FILLED)
        w.sim.venue.overloaded = False
        assert (await w.new(w.order("again", Side.BUY, "0.020"))).error is None
