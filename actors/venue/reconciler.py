"""Asks the venue what is true of one account, and decides nothing.

`Reconcile` -> `Reconciled`: live orders, the state of each believed order that is not among them, own trades since
the last known, balances, positions; in this order, so that no trade can be missing that an order's state already
includes (binance-spot section 16.3).  `QueryOrder` -> `OrderFound`, `OrderNotFound` or `QueryFailed`.

A picture is whole or it is not given: one failed question makes it `ReconcileFailed`, and the account asks again.
"Not found" is passed on as it is; when it is proof is the account's decision.

Venues answer in pages, or in parts by kind of order or coin; the codec says how an answer goes on
(`ContinuesAnswers`), and every question here is asked to its end.  Own trades are found in one of three ways:

=====================================  =========================================================================
`capabilities.fills_from_trade_id`     after the last known trade, page by page
`capabilities.fills_by_time`           from the time of the last known trade on; what overlaps is recognised
neither                                with each order of which the venue counts more than we have trades for
=====================================  =========================================================================

An account whose position mode is not what our orders are written for is never ready (`ChecksPositionMode`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeVar

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
from protocols.ids import ClOrdID, OrderID, Path, Symbol, TradeID
from protocols.orders import ExecutionReport, OrderNotFound
from protocols.positions import VenuePosition
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
from protocols.venue import (
    ChecksAccountKind,
    ChecksPositionMode,
    ChecksPositionModeBySymbol,
    ContinuesAnswers,
    Disposition,
    HttpReply,
    HttpRequest,
    KnowsPositions,
    ListsClosedOrders,
    PrivateCodec,
    SetsPositionMode,
    VenueError,
)
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
OVERLAP_NS = 10 * SECOND
"""So much before the last known trade is asked for again where only times can be named: the venue's list may lag."""
CLOSED_SPAN_NS = 7 * 24 * 3600 * SECOND
"""Orders that are over are listed by when they were made, this far back at most (upbit section 5.4)."""
PARTS_MAX = 1_000
"""An answer that goes on for longer is none."""

Row = TypeVar("Row")

_NO_SUCH_SYMBOL = frozenset({Disposition.BUG, Disposition.REJECTED, Disposition.NOT_FOUND})
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
        self._account_checked = False
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
        await self._check_account([since.symbol for since in wanted.fills_since])
        open_orders = await self._all_of(
            lambda: codec.open_orders_request(None, self._session.stamp_ns()), codec.decode_open_orders
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
        if codec.capabilities.fills_by_time:
            for since in wanted.fills_since:
                fills += await self._fills_since(since)
        else:
            statuses += await self._closed_orders(wanted, {report.order_id for report in statuses})
            fills += await self._fills_of_grown(wanted.believed, (*open_orders, *statuses))
        balances = await self._all_of(lambda: codec.balances_request(self._session.stamp_ns()), codec.decode_balances)
        positions = await self._positions()
        return Reconciled(
            wanted.attempt,
            tuple(open_orders),
            tuple(statuses),
            tuple(not_found),
            tuple(sorted(_once(fills), key=_place)),
            tuple(balances),
            asked_ns,
            positions,
        )

    async def _check_account(self, symbols: Sequence[Symbol]) -> None:
        """Once an incarnation: an account that is set up otherwise refuses every order, or takes it for another."""
        if self._account_checked:
            return
        codec = self._codec
        if isinstance(codec, ChecksAccountKind):
            reply = await self._ask(lambda: codec.account_kind_request(self._session.stamp_ns()))
            wrong = codec.decode_account_kind(reply)
            if wrong:
                raise VenueUnavailable(f"account {codec.account} at {codec.venue} {wrong}")
        if codec.capabilities.hedge_mode:
            await self._check_position_mode(codec, symbols)
        self._account_checked = True

    async def _check_position_mode(self, codec: PrivateCodec, symbols: Sequence[Symbol]) -> None:
        if isinstance(codec, ChecksPositionMode):
            reply = await self._ask(lambda: codec.position_mode_request(self._session.stamp_ns()))
            self._compare_mode(codec.decode_position_mode(reply), codec.hedge_mode)
        elif isinstance(codec, ChecksPositionModeBySymbol):
            for symbol in symbols:
                reply, error = await self._send(partial(self._mode_request, codec, symbol))
                if error is not None and error.disposition in _NO_SUCH_SYMBOL:
                    continue  # traded once and no longer listed: there is no mode to be wrong
                if error is not None:
                    raise VenueUnavailable(self._session.words_of(error))
                theirs = codec.decode_position_mode_of(reply)
                if theirs is not None:
                    self._compare_mode(theirs, codec.hedge_mode)

    def _mode_request(self, codec: ChecksPositionModeBySymbol, symbol: Symbol) -> HttpRequest:
        return codec.position_mode_of_request(symbol, self._session.stamp_ns())

    def _compare_mode(self, theirs: bool, ours: bool) -> None:
        if theirs is ours:
            return
        words = {True: "hedge mode (two positions a symbol)", False: "one-way mode (one position a symbol)"}
        venue, account = self._codec.venue, self._codec.account
        raise VenueUnavailable(
            f"account {account} is in {words[theirs]} at {venue}, and venues.{venue}.hedge_mode is "
            f"{str(ours).lower()}: set it to {str(theirs).lower()}, or change the account's position mode at the venue"
        )

    async def _positions(self) -> tuple[VenuePosition, ...] | None:
        """All that are not flat; None where the venue keeps none."""
        codec = self._codec
        if not (codec.capabilities.positions and isinstance(codec, KnowsPositions)):
            return None
        found = await self._all_of(lambda: codec.positions_request(self._session.stamp_ns()), codec.decode_positions)
        held = tuple(position for position in found if position.qty)
        if held and isinstance(codec, SetsPositionMode):
            self._compare_mode(any(position.leg is not None for position in held), codec.hedge_mode)
        return held

    # ---- own trades ---------------------------------------------------------------------------------------------

    async def _fills_since(self, since: FillsSince) -> list[ExecutionReport]:
        """All own trades of one symbol after the last known one, or since a time when none is known."""
        if not self._codec.capabilities.fills_from_trade_id:
            return await self._fills_page(since.symbol, from_ns=max(since.since_ns - OVERLAP_NS, 0))
        if since.trade_id is not None:
            return await self._fills_after(since.symbol, since.trade_id)
        newest = await self._fills_page(since.symbol)
        wanted = [fill for fill in newest if fill.transact_ns >= since.since_ns]
        if len(newest) < PAGE_SURELY_LAST or len(wanted) < len(newest):
            return wanted
        return await self._fills_from(since.symbol, since.since_ns)

    async def _fills_of_grown(
        self, believed: Sequence[BelievedOrder], reports: Iterable[ExecutionReport]
    ) -> list[ExecutionReport]:
        """Trades of every order of which the venue counts more than we have."""
        known = {order.order_id: order.cum_qty for order in believed if order.order_id is not None}
        named = {order.cl_ord_id: order.cum_qty for order in believed}
        fills: list[ExecutionReport] = []
        for report in reports:
            ours = known.get(report.order_id, named.get(report.cl_ord_id))
            if report.cum_qty and (ours is None or report.cum_qty > ours):
                fills += await self._fills_of(report.symbol, report.order_id)
        return fills

    async def _closed_orders(self, wanted: Reconcile, known: set[OrderID]) -> list[ExecutionReport]:
        """Orders that were made and ended unseen since the account last knew everything; theirs are fills as well."""
        codec = self._codec
        if not isinstance(codec, ListsClosedOrders) or not wanted.fills_since:
            return []
        until_ns = self.ctx.now_ns
        since_ns = max(min(since.since_ns for since in wanted.fills_since) - OVERLAP_NS, until_ns - CLOSED_SPAN_NS)
        closed = await self._all_of(
            lambda: codec.closed_orders_request(None, since_ns, until_ns, self._session.stamp_ns()),
            codec.decode_open_orders,
        )
        return [report for report in closed if report.cum_qty and report.order_id not in known]

    async def _fills_of(self, symbol: Symbol, order_id: OrderID) -> list[ExecutionReport]:
        codec = self._codec
        return await self._all_of(
            lambda: codec.fills_request(symbol, self._session.stamp_ns(), order_id=order_id),
            partial(codec.decode_fills, symbol),
        )

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
        return await self._all_of(
            lambda: codec.fills_request(symbol, self._session.stamp_ns(), from_trade_id=last, since_ns=from_ns),
            partial(codec.decode_fills, symbol),
        )

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
        asked_ns = self.ctx.now_ns
        found = await self._status(order)
        if isinstance(found, OrderNotFound):
            return found
        fills = await self._fills_of(order.symbol, found.order_id) if found.cum_qty else []
        return OrderFound(found, tuple(sorted(_once(fills), key=_place)), asked_ns)

    async def _status(self, order: BelievedOrder) -> ExecutionReport | OrderNotFound:
        """By the venue's id; without one by every name that the order may bear, before "not found" is said."""
        codec = self._codec
        asked_ns = self.ctx.now_ns
        names = [order.cl_ord_id]
        if order.order_id is None:
            names += codec.other_names(order.cl_ord_id)
        for name in names:
            async with aclosing(self._parts(partial(self._status_request, name, order))) as parts:
                async for reply, _ in parts:
                    found = codec.decode_order_status(reply)
                    if isinstance(found, ExecutionReport):
                        return attrs.evolve(found, cl_ord_id=order.cl_ord_id or found.cl_ord_id)
                    if found.disposition is not Disposition.NOT_FOUND:
                        raise VenueUnavailable(f"status of {order.cl_ord_id}: {found.code} {found.text}")
        return OrderNotFound(order.cl_ord_id, asked_ns)

    def _status_request(self, name: ClOrdID, order: BelievedOrder) -> HttpRequest:
        return self._codec.order_status_request(name, order.order_id, order.symbol, self._session.stamp_ns())

    # ---- asking -------------------------------------------------------------------------------------------------

    async def _all_of(self, make: Callable[[], HttpRequest], decode: Callable[[HttpReply], Sequence[Row]]) -> list[Row]:
        """Every row of an answer, part by part."""
        rows: list[Row] = []
        async with aclosing(self._parts(make)) as parts:
            async for reply, error in parts:
                if error is not None:
                    raise VenueUnavailable(self._session.words_of(error))
                rows += decode(reply)
        return rows

    async def _parts(
        self, make: Callable[[], HttpRequest]
    ) -> AsyncGenerator[tuple[HttpReply, VenueError | None], None]:
        """The parts of one answer, as far as whoever reads them goes; a refusal is the last one."""
        codec = self._codec if isinstance(self._codec, ContinuesAnswers) else None
        asked: list[HttpRequest] = []
        for _ in range(PARTS_MAX):
            reply, error = await self._send(partial(_remember, make, asked))
            yield reply, error
            if codec is None or error is not None:
                return
            following = partial(codec.continuation, asked[-1], reply)
            if following(self._session.stamp_ns()) is None:
                return
            make = partial(self._go_on, following)
        raise VenueUnavailable(f"{asked[-1].path} goes on after {PARTS_MAX} answers")

    def _go_on(self, following: Callable[[int], HttpRequest | None]) -> HttpRequest:
        """The next part, signed now."""
        request = following(self._session.stamp_ns())
        assert request is not None
        return request

    async def _ask(self, make: Callable[[], HttpRequest]) -> HttpReply:
        reply, error = await self._send(make)
        if error is not None:
            raise VenueUnavailable(self._session.words_of(error))
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


def _remember(make: Callable[[], HttpRequest], asked: list[HttpRequest]) -> HttpRequest:
    """Make a request and keep it: how its answer goes on depends on it."""
    request = make()
    asked.append(request)
    return request


def _once(fills: Iterable[ExecutionReport]) -> Iterable[ExecutionReport]:
    """Pages may overlap."""
    return {(fill.symbol, fill.trade_id or fill.exec_id): fill for fill in fills}.values()


def _place(fill: ExecutionReport) -> tuple[int, int, str]:
    """The venue's order of fills: by time, of one moment by trade id, numbers as numbers."""
    trade_id = fill.trade_id or ""
    return fill.transact_ns, len(trade_id), trade_id
