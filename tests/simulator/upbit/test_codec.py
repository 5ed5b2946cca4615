"""The engine's Upbit codec speaks to the simulator: every request it can make, and what it reads in the answers."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import pytest
import trio

from actors.venue.http import HttpClient
from actors.venue.settings import TransportSettings
from actors.venue.transport import WebSocket, connect_websocket
from protocols.base import Message
from protocols.enums import ExecInst, ExecType, Liquidity, OrdRejReason, OrdStatus, OrdType, Side, TimeInForce
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol
from protocols.market import BookSnapshot, Candle, Trade
from protocols.orders import ExecutionReport, NewOrder
from protocols.positions import BalancesChanged
from protocols.venue import Channel, Disposition, HttpReply, HttpRequest, OrderState, Reply, VenueError
from protocols.venues.upbit import VENUE, UpbitPrivate, UpbitPublic, signer_for
from tests.simulator.upbit.kit import PATIENCE_S, PRICE, UNLIMITED, best, quiet_venue
from tools.simulator import Fault, FaultKind, Simulator
from tools.simulator.core.model import Side as TheirSide

ACCOUNT, BTC, ETH = AccountID("alpha"), Symbol("KRW-BTC"), Symbol("KRW-ETH")
MINUTE_NS = 60_000_000_000
_numbers = itertools.count(1)


class Client:
    """Sends what the codecs make and gives back what came."""

    def __init__(self, sim: Simulator, http: HttpClient, algorithm: str = "HS512") -> None:
        self.sim = sim
        self.http = http
        keys = sim.credentials("alpha")
        self.public = UpbitPublic()
        self.private = UpbitPrivate(ACCOUNT, signer_for(keys.hmac_key, keys.hmac_secret))

    @property
    def now(self) -> int:
        return self.sim.clock.now_ns()

    async def send(self, request: HttpRequest) -> HttpReply:
        return await self.http.request(request)

    async def ordered(self, request: HttpRequest) -> Reply:
        return self.private.decode_rest_order("r", await self.send(request))

    async def place(self, **changes: Any) -> OrderState:
        reply = await self.ordered(self.private.rest_new_order(order(**changes), self.now))
        assert reply.report is not None, reply.error
        return reply.report

    async def status(self, cl_ord_id: str) -> ExecutionReport | VenueError:
        request = self.private.order_status_request(ClOrdID(cl_ord_id), None, BTC, self.now)
        return self.private.decode_order_status(await self.send(request))


def order(**changes: Any) -> NewOrder:
    fields: dict[str, Any] = {
        "cl_ord_id": ClOrdID(f"o{next(_numbers)}"), "account": ACCOUNT, "strategy": StrategyID("s"), "venue": VENUE,
        "symbol": BTC, "side": Side.BUY, "ord_type": OrdType.LIMIT, "order_qty": Decimal("0.001"),
        "price": Decimal(150_000_000), "created_ns": 1, "reply_to": "/s",
    }  # fmt: skip
    return NewOrder(**(fields | changes))


@asynccontextmanager
async def client_of(sim: Simulator) -> AsyncIterator[Client]:
    async with HttpClient(sim.rest_url, TransportSettings(), now_ns=sim.clock.now_ns) as http:
        yield Client(sim, http)


async def test_markets_and_their_steps() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        for symbols in ([], [BTC, ETH]):
            reply = await client.send(client.public.instruments_request(symbols))
            instruments, _ = client.public.decode_instruments(reply)
            assert [one.symbol for one in instruments] == [BTC, ETH]
            assert instruments[0].min_notional == 5000
            assert instruments[0].price_steps[-1].step == 1000
        told_ns = client.public.decode_time(await client.send(client.public.time_request()))
        assert abs(told_ns - client.now) < 2_000_000_000


async def test_book_ticker_and_candles_by_rest() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        book = client.public.decode_snapshot(BTC, await client.send(client.public.snapshot_request(BTC, 30)), 0)
        assert list(book.bids) == sim.exchange.markets["KRW-BTC"].depth(TheirSide.BUY, 30)
        sim.trade("KRW-BTC", TheirSide.BUY, Decimal("0.001"))
        (ticker,) = client.public.decode_tickers(await client.send(client.public.tickers_request([BTC])))
        assert (ticker.symbol, ticker.last_px) == (BTC, sim.exchange.markets["KRW-BTC"].last_px)
        for minutes in (1, 3, 5, 10, 15, 30, 60, 240, 1440):
            request = client.public.candles_request(BTC, minutes * MINUTE_NS, 3)
            candles = client.public.decode_candles(BTC, minutes * MINUTE_NS, await client.send(request))
            assert [one.open_ns % (minutes * MINUTE_NS) for one in candles] == [0] * len(candles)
            assert len(candles) == 3


async def test_history_is_paged_without_a_hole() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        end_ns = client.now // MINUTE_NS * MINUTE_NS
        opens: list[int] = []
        for _ in range(3):
            request = client.public.candles_request(BTC, MINUTE_NS, 200, end_ns)
            page = client.public.decode_candles(BTC, MINUTE_NS, await client.send(request))
            opens = [one.open_ns for one in page] + opens
            end_ns = page[0].open_ns
        assert len(opens) == 600
        assert {later - earlier for earlier, later in itertools.pairwise(opens)} == {MINUTE_NS}


@pytest.mark.req("R346")
async def test_an_orders_life_by_rest() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        new = order()
        reply = await client.ordered(client.private.rest_new_order(new, client.now))
        assert reply.report is not None
        report = reply.report.report
        assert report is not None
        assert (report.exec_type, report.ord_status, report.cl_ord_id) == (
            ExecType.NEW, OrdStatus.NEW, new.cl_ord_id,
        )  # fmt: skip
        shown = await client.status(new.cl_ord_id)
        assert isinstance(shown, ExecutionReport)
        assert (shown.ord_status, shown.order_qty, shown.price) == (OrdStatus.NEW, new.order_qty, new.price)
        reply = await client.ordered(client.private.rest_cancel_order(new.cl_ord_id, None, BTC, client.now))
        assert reply.report is not None
        assert reply.report.report is None  # taken, not yet done
        shown = await client.status(new.cl_ord_id)
        assert isinstance(shown, ExecutionReport)
        assert shown.ord_status is OrdStatus.CANCELED
        reply = await client.ordered(client.private.rest_cancel_order(new.cl_ord_id, None, BTC, client.now))
        assert reply.error is not None
        assert reply.error.disposition is Disposition.NOT_FOUND
        gone = await client.status("never")
        assert isinstance(gone, VenueError)
        assert gone.disposition is Disposition.NOT_FOUND


async def test_fills_and_fees() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        (first, qty), (second, _) = sim.exchange.markets["KRW-BTC"].depth(TheirSide.SELL, 2)
        state = await client.place(price=second, order_qty=qty + Decimal("0.001"))
        request = client.private.fills_request(BTC, client.now, order_id=state.order_id)
        fills = client.private.decode_fills(BTC, await client.send(request))
        assert [(one.last_px, one.last_qty) for one in fills] == [(first, qty), (second, Decimal("0.001"))]
        assert fills[-1].ord_status is OrdStatus.FILLED
        theirs = sim.fills("alpha", "KRW-BTC")
        assert sum(one.fee for one in fills) == sum(one.commission for one in theirs)
        sold = await client.place(side=Side.SELL, ord_type=OrdType.MARKET, price=None)
        shown = await client.status(sold.cl_ord_id)
        assert isinstance(shown, ExecutionReport)
        assert (shown.ord_type, shown.ord_status) == (OrdType.MARKET, OrdStatus.FILLED)


@pytest.mark.parametrize("changes, status", [
    ({"time_in_force": TimeInForce.IOC}, OrdStatus.CANCELED), ({"time_in_force": TimeInForce.FOK}, OrdStatus.CANCELED),
    ({"exec_inst": ExecInst.POST_ONLY}, OrdStatus.NEW), ({"side": Side.SELL, "price": Decimal(160_000_000)},
                                                         OrdStatus.NEW),
])  # fmt: skip
async def test_lifetimes_and_flags(changes: dict[str, Any], status: OrdStatus) -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        state = await client.place(**changes)
        shown = await client.status(state.cl_ord_id)
        assert isinstance(shown, ExecutionReport)
        assert shown.ord_status is status


@pytest.mark.parametrize("changes, reason", [
    ({"price": Decimal(150_000_500)}, OrdRejReason.BAD_PRICE),
    ({"order_qty": Decimal("0.00001")}, OrdRejReason.MIN_NOTIONAL),
    ({"order_qty": Decimal(10)}, OrdRejReason.MAX_ORDER_NOTIONAL),
    ({"side": Side.SELL, "order_qty": Decimal(21)}, OrdRejReason.INSUFFICIENT_BALANCE),
    ({"exec_inst": ExecInst.POST_ONLY, "price": PRICE * 2}, OrdRejReason.WOULD_TAKE),
])  # fmt: skip
async def test_refusals_are_understood(changes: dict[str, Any], reason: OrdRejReason) -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        reply = await client.ordered(client.private.rest_new_order(order(**changes), client.now))
        assert reply.error is not None
        assert (reply.error.disposition, reply.error.reason) == (Disposition.REJECTED, reason)


async def test_a_repeated_identifier_says_that_an_earlier_request_came() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        sim.strike(Fault(kind=FaultKind.CUT_AFTER, match="order.place"))
        new = order()
        with pytest.raises(Exception, match="may have been sent"):
            await client.ordered(client.private.rest_new_order(new, client.now))
        reply = await client.ordered(client.private.rest_new_order(new, client.now))
        assert reply.error is not None
        assert (reply.error.disposition, reply.error.reason) == (
            Disposition.UNKNOWN, OrdRejReason.DUPLICATE_CL_ORD_ID,
        )  # fmt: skip
        assert isinstance(await client.status(new.cl_ord_id), ExecutionReport)


async def test_replacement() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        old, new = await client.place(), order(price=Decimal(151_000_000))
        reply = await client.ordered(client.private.rest_replace_order(old.cl_ord_id, old.order_id, new, client.now))
        assert len(reply.parts) == 2
        assert reply.parts[1].report is not None
        assert reply.parts[1].report.cl_ord_id == new.cl_ord_id
        (shown,) = await open_orders(client)
        assert (shown.cl_ord_id, shown.order_id, shown.price) == (
            new.cl_ord_id, reply.parts[1].report.order_id, new.price,
        )  # fmt: skip


async def test_a_replacement_that_nobody_makes() -> None:
    """Section 5.3: the old order ends, the promised one is refused unseen, and asking is all that tells."""
    async with quiet_venue() as sim, client_of(sim) as client:
        old = await client.place()
        taking = order(price=best(sim, TheirSide.SELL)[0], exec_inst=ExecInst.POST_ONLY)
        reply = await client.ordered(client.private.rest_replace_order(old.cl_ord_id, old.order_id, taking, client.now))
        ended, promised = (part.report for part in reply.parts)
        assert ended is not None
        assert promised is not None
        assert (ended.order_id, ended.report) == (old.order_id, None)
        assert promised.report is None
        was = await client.status(old.cl_ord_id)
        assert isinstance(was, ExecutionReport)
        assert was.ord_status is OrdStatus.CANCELED
        never = await client.status(taking.cl_ord_id)
        assert isinstance(never, VenueError)
        assert never.disposition is Disposition.NOT_FOUND
        assert await open_orders(client) == []


async def test_a_replacement_of_what_is_gone_touches_nothing() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        old, new = await client.place(), order()
        await client.ordered(client.private.rest_cancel_order(old.cl_ord_id, old.order_id, BTC, client.now))
        reply = await client.ordered(client.private.rest_replace_order(old.cl_ord_id, old.order_id, new, client.now))
        assert reply.error is not None
        assert (reply.error.disposition, reply.parts) == (Disposition.NOT_FOUND, ())
        assert isinstance(await client.status(new.cl_ord_id), VenueError)


async def open_orders(client: Client, symbol: Symbol | None = None) -> list[ExecutionReport]:
    """All pages."""
    found: list[ExecutionReport] = []
    request: HttpRequest | None = client.private.open_orders_request(symbol, client.now)
    while request is not None:
        reply = await client.send(request)
        found += client.private.decode_open_orders(reply)
        request = client.private.continuation(request, reply, client.now)
    return found


async def test_pages_of_open_orders_and_cancels_of_all() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        placed = {(await client.place()).order_id for _ in range(205)}
        other = await client.place(symbol=ETH, price=Decimal(5_000_000), order_qty=Decimal("0.01"))
        assert {one.order_id for one in await open_orders(client, BTC)} == placed
        assert len(await open_orders(client)) == 206
        some = sorted(placed)[:19]
        names = [(ClOrdID(""), OrderID(one), BTC) for one in some]
        names.append((ClOrdID("x"), OrderID("00000000-0000-4000-8000-000000000000"), BTC))
        reply = client.private.decode_rest_cancels(
            "r", await client.send(client.private.rest_cancel_orders(names, client.now)), names
        )
        assert [part.error is None for part in reply.parts] == [True] * 19 + [False]
        reply = await client.ordered(client.private.rest_cancel_all(BTC, client.now))
        assert reply.payload == {"orders": 186, "failed": 0}
        assert [one.order_id for one in await open_orders(client)] == [other.order_id]
        request = client.private.orders_request([OrderID(one) for one in some], client.now)
        rows = client.private.decode_open_orders(await client.send(request))
        assert {one.ord_status for one in rows} == {OrdStatus.CANCELED}
        request = client.private.closed_orders_request(BTC, client.now - 60 * MINUTE_NS, client.now, client.now)
        assert len(client.private.decode_open_orders(await client.send(request))) == 205


async def test_balances_and_chance() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        await client.place()
        reply = await client.send(client.private.balances_request(client.now))
        rows = {one.asset: (one.free, one.locked) for one in client.private.decode_balances(reply)}
        assert rows == {asset: pair for asset, pair in sim.balances("alpha").items() if any(pair)}
        instruments, _ = client.public.decode_instruments(await client.send(client.public.instruments_request([BTC])))
        reply = await client.send(client.private.chance_request(BTC, client.now))
        instrument, fees = client.private.decode_chance(instruments[0], reply)
        assert (instrument.min_notional, fees.bid) == (Decimal(5000), Decimal("0.0005"))


async def test_what_is_left_is_understood() -> None:
    limits = attrs.evolve(UNLIMITED, orders_per_second=12, default_per_second=30, ticker_per_second=10)
    async with quiet_venue(limits=limits) as sim, client_of(sim) as client:
        reply = await client.ordered(client.private.rest_new_order(order(), client.now))
        assert [(one.name, one.used) for one in reply.usage] == [("orders", 1)]
        answer = await client.send(client.private.balances_request(client.now))
        assert [(one.name, one.used) for one in client.private.usage(answer)] == [("default", 1)]
        answers = [await client.send(client.public.tickers_request([BTC])) for _ in range(21)]
        errors = [error for one in answers if (error := client.public.error(one)) is not None]
        assert {error.disposition for error in errors} <= {Disposition.RATE_LIMITED, Disposition.BANNED}
        assert errors


# ---- sockets ---------------------------------------------------------------------------------------------------


class Listener:
    """A socket of the engine's transport and what a codec makes of it."""

    def __init__(self, socket: WebSocket, decode: Any) -> None:
        self.socket = socket
        self.events: list[Message | Reply] = []
        self._decode = decode

    async def until(self, kind: type, **wanted: Any) -> Any:
        with trio.fail_after(PATIENCE_S):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and all(getattr(event, name) == wanted[name] for name in wanted):
                        self.events.remove(event)
                        return event
                for raw in await self.socket.recv_many():
                    self.events += self._decode(raw)


@asynccontextmanager
async def public_of(client: Client) -> AsyncIterator[Listener]:
    async with trio.open_nursery() as nursery:
        socket = await connect_websocket(nursery, client.sim.urls["streams"], TransportSettings())
        yield Listener(socket, lambda raw: client.public.decode(raw, client.now, 1))
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def private_of(client: Client) -> AsyncIterator[Listener]:
    """Connected by token, subscribed, and known to be."""
    async with trio.open_nursery() as nursery:
        headers = client.private.upgrade_headers(client.now)
        socket = await connect_websocket(nursery, client.sim.urls["private"], TransportSettings(), headers=headers)
        listener = Listener(socket, lambda raw: client.private.decode_private(raw, client.now))
        socket.send_nowait(client.private.subscribe_private("sub", client.now, logged_on=True).text)
        socket.send_nowait(client.private.list_subscriptions("seen").text)
        await listener.until(Reply, request_id="seen")
        yield listener
        nursery.cancel_scope.cancel()


@pytest.mark.req("R346")
async def test_public_streams() -> None:
    async with quiet_venue() as sim, client_of(sim) as client, public_of(client) as listener:
        wanted = [(channel, BTC) for channel in (Channel.BOOK, Channel.TRADES, Channel.CANDLES_1M)]
        for frame in client.public.subscribe(wanted, 1):
            listener.socket.send_nowait(frame.text)
        book = await listener.until(BookSnapshot)
        assert list(book.asks) == sim.exchange.markets["KRW-BTC"].depth(TheirSide.SELL, 30)
        sim.trade("KRW-BTC", TheirSide.BUY, Decimal("0.001"))
        trade = await listener.until(Trade)
        assert (trade.aggressor, trade.qty) == (Side.BUY, Decimal("0.001"))
        candle = await listener.until(Candle, close=trade.price)
        assert candle.volume == Decimal("0.001")
        assert (await listener.until(BookSnapshot)).last_id > book.last_id
        listener.socket.send_nowait(client.public.list_subscriptions("mine").text)
        assert (await listener.until(Reply, request_id="mine")).error is None


@pytest.mark.req("R346")
async def test_private_streams() -> None:
    async with quiet_venue() as sim, client_of(sim) as client, private_of(client) as listener:
        price = best(sim, TheirSide.BUY)[0] + 1000
        new = await client.place(price=price, order_qty=Decimal("0.002"))
        report = await listener.until(ExecutionReport)
        assert (report.exec_type, report.order_id, report.order_qty) == (
            ExecType.NEW, new.order_id, Decimal("0.002"),
        )  # fmt: skip
        balances = await listener.until(BalancesChanged)
        assert [(one.asset, one.locked) for one in balances.balances] == [("KRW", sim.balances("alpha")["KRW"][1])]
        sim.trade("KRW-BTC", TheirSide.SELL, Decimal("0.0005"))
        fill = await listener.until(ExecutionReport, exec_type=ExecType.TRADE)
        assert (fill.last_px, fill.last_qty, fill.cum_qty, fill.liquidity) == (
            price, Decimal("0.0005"), Decimal("0.0005"), Liquidity.MAKER,
        )  # fmt: skip
        assert (fill.ord_status, fill.fee_asset) == (OrdStatus.PARTIALLY_FILLED, "KRW")
        await client.ordered(client.private.rest_cancel_order(new.cl_ord_id, new.order_id, BTC, client.now))
        end = await listener.until(ExecutionReport, exec_type=ExecType.CANCELED)
        assert (end.ord_status, end.cum_qty) == (OrdStatus.CANCELED, Decimal("0.0005"))


async def test_prevention_as_events() -> None:
    async with quiet_venue() as sim, client_of(sim) as client, private_of(client) as listener:
        price = best(sim, TheirSide.BUY)[0] + 1000
        maker = await client.place(price=price, order_qty=Decimal("0.002"))
        taker = await client.place(price=price, side=Side.SELL, order_qty=Decimal("0.001"))
        restated = await listener.until(ExecutionReport, exec_type=ExecType.RESTATED)
        assert restated.order_id == maker.order_id  # the codec says cancel_maker
        end = await listener.until(ExecutionReport, exec_type=ExecType.CANCELED)
        assert (end.order_id, end.cum_qty) == (maker.order_id, 0)
        (left,) = await open_orders(client)
        assert left.order_id == taker.order_id


async def test_a_token_of_another_key_is_refused() -> None:
    async with quiet_venue() as sim, client_of(sim) as client:
        stranger = UpbitPrivate(ACCOUNT, signer_for("a" * 40, "b" * 40))
        error = stranger.error(await client.send(stranger.balances_request(client.now)))
        assert error is not None
        assert error.disposition is Disposition.AUTH
