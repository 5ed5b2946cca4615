"""The router `/router`: every order's first stop; decides its venue and hands it to the firm's gate.

An order that names its venue goes there.  One that does not goes where `choice` finds it served best, among the venues
that its account trades on and whose books are proven.  With one venue there is nothing to choose.  Orders of a batch
are decided one by one: one that cannot be routed is refused alone.  What changes an order goes where the order is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from actors.router.choice import Fees, Offer, best_offer, choose
from protocols.base import Message, Query
from protocols.enums import CxlRejReason, OrdRejReason
from protocols.ids import AccountID, Path, Symbol, Venue
from protocols.market import TRADE_STREAM, BestPrice, BestPriceQuery, GapClosed, GapOpened, Quote
from protocols.orders import FIRM_GATE, AmendOrder, NewOrder, OrderBatch, RoutedAmend, RoutedOrder, refuse, refuse_amend
from protocols.reconcile import book_path
from supervisors.actor import Actor, Down

__all__ = ["RouterActor"]

_NO_FEES = Fees()


class RouterActor(Actor):
    """`NewOrder`, `OrderBatch` and `AmendOrder` in, `RoutedOrder` and `RoutedAmend` out; `BestPriceQuery` is answered
    from the same quotes."""

    def __init__(
        self,
        accounts: Iterable[tuple[AccountID, Venue]],
        fees: Mapping[Venue, Fees] | None = None,
    ) -> None:
        """`accounts`: who trades where, in order of preference among equals; `fees`: per venue, default none."""
        self._pairs = frozenset(accounts := tuple(accounts))
        self._venues: dict[AccountID, list[Venue]] = {}
        for account, venue in accounts:
            self._venues.setdefault(account, []).append(venue)
        self._all_venues = tuple(dict.fromkeys(venue for _, venue in accounts))
        self._fees = dict(fees or {})
        self._quotes: dict[tuple[Venue, Symbol], Quote] = {}
        self._gaps: dict[tuple[Venue, Symbol | None], set[str]] = {}
        self._books: dict[Path, tuple[Venue, Symbol]] = {}
        """Whose end is the end of what they have quoted."""
        self._routed: dict[Venue, int] = {}
        self._refused = 0

    def receive(self, message: Message) -> None:
        """Orders first; what concerns only the gates (instruments, trading state) is not looked at."""
        if isinstance(message, NewOrder):
            self._route(message)
        elif isinstance(message, OrderBatch):
            for order in message.orders:
                self._route(order)
        elif isinstance(message, Quote):
            if (message.venue, message.symbol) not in self._quotes:
                self._watch_book(message.venue, message.symbol)
            self._quotes[message.venue, message.symbol] = message
        elif isinstance(message, AmendOrder):
            self._route_amend(message)
        elif isinstance(message, GapOpened):
            if message.stream == TRADE_STREAM:
                return  # nothing is priced from trades
            self._gaps.setdefault((message.venue, message.symbol), set()).add(message.stream)
        elif isinstance(message, GapClosed):
            self._gaps.get((message.venue, message.symbol), set()).discard(message.stream)
        elif isinstance(message, Down):
            self._on_down(message)

    def _watch_book(self, venue: Venue, symbol: Symbol) -> None:
        path = book_path(venue, symbol)
        if path not in self._books:
            self._books[path] = venue, symbol
            self.ctx.watch(path)  # it has just quoted, so it is there

    def _on_down(self, down: Down) -> None:
        """A book that crashed cannot say so itself: what it quoted is void until its next incarnation quotes."""
        book = self._books.get(down.path)
        if book is not None and not down.running:
            self._quotes.pop(book, None)

    def _route(self, order: NewOrder) -> None:
        if not order.venue:
            self._choose(order)
        elif (order.account, order.venue) in self._pairs:
            self._pass_on(order)
        else:
            self._refuse(order, f"account {order.account} does not trade on {order.venue}")

    def _route_amend(self, amend: AmendOrder) -> None:
        if (amend.account, amend.venue) in self._pairs:
            self.ctx.send(FIRM_GATE, RoutedAmend(amend))
            return
        self._refused += 1
        text = f"{self.ctx.path}: account {amend.account} does not trade on {amend.venue or 'no venue'}"
        for to, rejected in refuse_amend(amend, CxlRejReason.UNKNOWN_ORDER, text):
            self.ctx.send(to, rejected)

    def _choose(self, order: NewOrder) -> None:
        if order.orig_cl_ord_id is not None:
            self._refuse(order, "an order that replaces another must name the venue where that one is")
            return
        venues = self._venues.get(order.account, [])
        if len(venues) == 1:
            self._pass_on(attrs.evolve(order, venue=venues[0]))
            return
        offer = choose(order, self._offers(order.symbol, venues))
        if offer is None:
            where = ", ".join(venues) or "any venue"
            self._refuse(order, f"no proven price of {order.symbol} for account {order.account} on {where}")
            return
        self._pass_on(attrs.evolve(order, venue=offer.venue))

    def _pass_on(self, order: NewOrder) -> None:
        self._routed[order.venue] = self._routed.get(order.venue, 0) + 1
        self.ctx.send(FIRM_GATE, RoutedOrder(order))

    def _refuse(self, order: NewOrder, text: str) -> None:
        self._refused += 1
        for to, refused in refuse(order, OrdRejReason.NO_ROUTE, f"{self.ctx.path}: {text}"):
            if to == order.reply_to:  # no gate has seen it, so none has anything to release
                self.ctx.send(to, refused)

    def _offers(self, symbol: Symbol, venues: Iterable[Venue]) -> list[Offer]:
        """What the venues show, proven books only."""
        offers = []
        for venue in venues:
            quote = self._quotes.get((venue, symbol))
            if quote is None or not quote.proven or self._gaps.get((venue, symbol)) or self._gaps.get((venue, None)):
                continue
            bids = ((quote.bid_px, quote.bid_qty),) if quote.bid_qty else ()
            asks = ((quote.ask_px, quote.ask_qty),) if quote.ask_qty else ()
            offers.append(Offer(venue, bids, asks, self._fees.get(venue, _NO_FEES)))
        return offers

    def answer(self, query: Query) -> object:
        """`BestPriceQuery` -> `BestPrice`, or None when no proven book shows anything on that side."""
        if not isinstance(query, BestPriceQuery):
            return super().answer(query)
        best = best_offer(query.side, query.qty, self._offers(query.symbol, self._all_venues))
        if best is None:
            return None
        offer, taking = best
        return BestPrice(offer.venue, query.symbol, query.side, taking.qty, taking.price(query.side, offer.fees))

    def inspect(self) -> Mapping[str, object]:
        """State summary for the console."""
        return {"routed": dict(self._routed), "refused": self._refused, "quotes": len(self._quotes)}
