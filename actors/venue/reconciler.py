"""Asks the venue what is true of one account, and decides nothing.

`Reconcile` -> `Reconciled`: live orders, the state of each believed order that is not among them, own trades since
the last known, balances; in this order, so that no trade can be missing that an order's state already includes
(binance-spot section 16.3).  `QueryOrder` -> `OrderFound`, `OrderNotFound` or `QueryFailed`.

A picture is whole or it is not given: one failed question makes it `ReconcileFailed`, and the account asks again.
"Not found" is passed on as it is; when it is proof is the account's decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import attrs
import trio

from actors.venue.calls import RestCalls
from actors.venue.clock import VenueClock
from actors.venue.http import HttpClient
from actors.venue.settings import MS, SECOND
from actors.venue.signing import SigningSession
from protocols.base import Message
from protocols.control import ClockOffset
from protocols.errors import OutcomeUnknown, RemoteProtocolError, VenueUnavailable
from protocols.ids import ClOrdID, Path, Symbol, TradeID
from protocols.orders import ExecutionReport, OrderNotFound
from protocols.reconcile import (
    BelievedOrder,
    FillsSince,
    OrderFound,
    QueryFailed,
    QueryOrder,
    Reconcile,
    Reconciled,
    ReconcileFailed,
)
from protocols.venue import Disposition, HttpReply, HttpRequest, PrivateCodec, VenueError
from supervisors.actor import Actor

STAMP_MARGIN_NS = 20 * MS
PATIENCE_NS = 20 * SECOND
"""For the limiter: a picture is worth waiting for."""
QUERY_WORKERS = 4
QUERIES_MAX = 4096
PAGE_SURELY_LAST = 100
"""A page of trades shorter than any venue's page is the last one."""
FILLS_SPAN_NS = 24 * 3600 * SECOND
"""From a time, venues look this far and no further (binance-spot section 10)."""

_FAILURES = (VenueUnavailable, OutcomeUnknown, RemoteProtocolError)


class ReconcilerActor(Actor):
    """Serves one account actor."""

    def __init__(
        self,
        codec: PrivateCodec,
        http: HttpClient,
        *,
        limiter: Path,
        clock: Path,
        stamp_margin_ns: int = STAMP_MARGIN_NS,
    ) -> None:
        self._codec = codec
        self._http = http
        self._limiter = limiter
        self._clock_path = clock
        self._clock = VenueClock(stamp_margin_ns)
        self._wanted: Reconcile | None = None
        self._wake = trio.Event()
        self._in_hand: trio.CancelScope | None = None
        self._queries, self._work = trio.open_memory_channel[QueryOrder](QUERIES_MAX)
        self._done = 0
        self._failed = 0
        self._asked = 0
        self._failure = ""

    def receive(self, message: Message) -> None:
        if isinstance(message, QueryOrder):
            try:
                self._queries.send_nowait(message)
            except trio.WouldBlock:
                self.ctx.send(message.reply_to, QueryFailed(message.order.cl_ord_id, f"{QUERIES_MAX} queries wait"))
        elif isinstance(message, Reconcile):
            self._wanted = message  # the newest attempt replaces an older one, also one in progress
            if self._in_hand is not None:
                self._in_hand.cancel()
            self._wake.set()
        elif isinstance(message, ClockOffset):
            self._clock.update(message)
        else:
            raise TypeError(f"the reconciler does not understand {type(message).__name__}")

    async def run(self) -> None:
        codec = self._codec
        self._session = SigningSession(self.ctx, codec, self._clock_path, self._clock)
        self._calls = RestCalls(self.ctx, self._http, self._limiter, self._clock_path, codec, codec.account)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._session.learn_clock)
            for _ in range(QUERY_WORKERS):
                nursery.start_soon(self._query_worker)
            while True:
                await self._wake.wait()
                self._wake = trio.Event()
                wanted, self._wanted = self._wanted, None
                if wanted is not None:
                    with trio.CancelScope() as self._in_hand:
                        await self._reconcile(wanted)
                    self._in_hand = None

    # ---- the whole picture --------------------------------------------------------------------------------------

    async def _reconcile(self, wanted: Reconcile) -> None:
        answer: Message
        try:
            answer = await self._picture(wanted)
            self._done += 1
        except _FAILURES as failure:
            self._failed += 1
            self._failure = str(failure)
            self.ctx.note("request_failed", self._failure)
            answer = ReconcileFailed(wanted.attempt, str(failure))
        self.ctx.send(wanted.reply_to, answer)
        self.ctx.flush()

    async def _picture(self, wanted: Reconcile) -> Reconciled:
        codec = self._codec
        asked_ns = self.ctx.now_ns
        open_orders = codec.decode_open_orders(
            await self._ask(lambda: codec.open_orders_request(None, self._session.stamp_ns()))
        )
        live_ids = {report.cl_ord_id for report in open_orders}
        live_order_ids = {report.order_id for report in open_orders}
        statuses: list[ExecutionReport] = []
        not_found: list[OrderNotFound] = []
        for order in wanted.believed:
            if order.cl_ord_id in live_ids or order.order_id in live_order_ids:
                continue
            found = await self._status(order)
            if isinstance(found, OrderNotFound):
                not_found.append(found)
            else:
                statuses.append(found)
        fills: list[ExecutionReport] = []
        for since in wanted.fills_since:
            fills += await self._fills_since(since)
        balances = codec.decode_balances(await self._ask(lambda: codec.balances_request(self._session.stamp_ns())))
        fills.sort(key=lambda fill: fill.transact_ns)
        return Reconciled(
            wanted.attempt,
            tuple(open_orders),
            tuple(statuses),
            tuple(not_found),
            tuple(fills),
            tuple(balances),
            asked_ns,
        )

    async def _fills_since(self, since: FillsSince) -> list[ExecutionReport]:
        """All own trades of one symbol after the last known one, or since a time when none is known."""
        if since.trade_id is not None:
            return await self._fills_after(since.symbol, since.trade_id)
        newest = await self._fills_page(since.symbol)
        wanted = [fill for fill in newest if fill.transact_ns >= since.since_ns]
        if len(newest) < PAGE_SURELY_LAST or len(wanted) < len(newest):
            return wanted
        return await self._fills_from(since.symbol, since.since_ns)

    async def _fills_from(self, symbol: Symbol, from_ns: int) -> list[ExecutionReport]:
        """More than one page since `from_ns`: find the first trade, a span at a time, and go on from it by id."""
        while from_ns <= self.ctx.now_ns:
            page = await self._fills_page(symbol, from_ns=from_ns)
            last = page[-1].trade_id if page else None
            if last is not None:
                return page + await self._fills_after(symbol, last)
            from_ns += FILLS_SPAN_NS
        return []

    async def _fills_after(self, symbol: Symbol, last: TradeID) -> list[ExecutionReport]:
        """Page by page; a venue may include the trade that it is asked to start from."""
        fills: list[ExecutionReport] = []
        while True:
            page = await self._fills_page(symbol, last=last)
            fresh = [fill for fill in page if fill.trade_id != last]
            fills += fresh
            newest = fresh[-1].trade_id if fresh else None
            if len(page) < PAGE_SURELY_LAST or newest is None:
                return fills
            last = newest

    async def _fills_page(
        self, symbol: Symbol, *, last: TradeID | None = None, from_ns: int | None = None
    ) -> list[ExecutionReport]:
        codec = self._codec
        reply = await self._ask(
            lambda: codec.fills_request(symbol, self._session.stamp_ns(), from_trade_id=last, since_ns=from_ns)
        )
        return list(codec.decode_fills(symbol, reply))

    # ---- one order ----------------------------------------------------------------------------------------------

    async def _query_worker(self) -> None:
        async for query in self._work:
            answer: Message
            try:
                answer = await self._look_up(query.order)
            except _FAILURES as failure:
                self._failed += 1
                self._failure = str(failure)
                self.ctx.note("request_failed", self._failure)
                answer = QueryFailed(query.order.cl_ord_id, str(failure))
            self.ctx.send(query.reply_to, answer)
            self.ctx.flush()

    async def _look_up(self, order: BelievedOrder) -> OrderFound | OrderNotFound:
        found = await self._status(order)
        if isinstance(found, OrderNotFound):
            return found
        fills: tuple[ExecutionReport, ...] = ()
        if found.cum_qty:
            codec = self._codec
            reply = await self._ask(
                lambda: codec.fills_request(order.symbol, self._session.stamp_ns(), order_id=found.order_id)
            )
            fills = tuple(codec.decode_fills(order.symbol, reply))
        return OrderFound(found, fills)

    async def _status(self, order: BelievedOrder) -> ExecutionReport | OrderNotFound:
        """By the venue's id; without one by every name that the order may bear, before "not found" is said."""
        codec = self._codec
        asked_ns = self.ctx.now_ns
        names = [order.cl_ord_id]
        if order.order_id is None:
            names += codec.other_names(order.cl_ord_id)
        for name in names:
            reply, _ = await self._send(partial(self._status_request, name, order))
            found = codec.decode_order_status(reply)
            if isinstance(found, ExecutionReport):
                return attrs.evolve(found, cl_ord_id=order.cl_ord_id)
            if found.disposition is not Disposition.NOT_FOUND:
                raise VenueUnavailable(f"status of {order.cl_ord_id}: {found.code} {found.text}")
        return OrderNotFound(order.cl_ord_id, asked_ns)

    def _status_request(self, name: ClOrdID, order: BelievedOrder) -> HttpRequest:
        return self._codec.order_status_request(name, order.order_id, order.symbol, self._session.stamp_ns())

    # ---- asking -------------------------------------------------------------------------------------------------

    async def _ask(self, make: Callable[[], HttpRequest]) -> HttpReply:
        reply, error = await self._send(make)
        if error is not None:
            raise VenueUnavailable(f"{error.code} {error.text}".strip())
        return reply

    async def _send(self, make: Callable[[], HttpRequest]) -> tuple[HttpReply, VenueError | None]:
        self._asked += 1
        if not self._clock.usable:
            with trio.move_on_after(PATIENCE_NS / SECOND):
                await self._clock.wait_usable()
        if not self._clock.usable:
            raise VenueUnavailable("the venue's clock is not known: nothing can be signed")
        return await self._calls.call(make, PATIENCE_NS)

    def inspect(self) -> Mapping[str, object]:
        return {
            "reconciled": self._done,
            "failed": self._failed,
            "requests": self._asked,
            "in_progress": self._in_hand is not None,
            "failure": self._failure,
        }
