"""What is asked of an account by REST, and how its answers go on (reference sections 9, 10 and 12).

Answers come in pages of 100, newest first.  Open orders are in two places, those of the engine and those of the algo
service, which lists each kind for itself; the state of an algo order that was triggered is that of its child.
`continuation` goes from one to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol, TradeID
from protocols.instruments import Product
from protocols.orders import ExecutionReport
from protocols.positions import Balance, VenuePosition
from protocols.venue import Disposition, HttpReply, HttpRequest, Usage, VenueError
from protocols.venues.okx import wire
from protocols.venues.okx.account import AccountCodec
from protocols.venues.okx.algos import ALGO_NAME, LISTED, is_algo, query_algo_params
from protocols.venues.okx.encode import legal_cl_ord_id, order_id_number
from protocols.venues.okx.endpoints import INST_TYPES, ORDER_TYPES
from protocols.venues.okx.errors import classify
from protocols.venues.okx.holdings import Positions, balances_of
from protocols.venues.okx.requests import Params, encoded, refusal_of, success
from protocols.venues.values import REFUSED
from protocols.venues.words import UnknownWord

__all__ = ["AccountQueries"]

T = TypeVar("T")

_MS, _S = 1_000_000, 1_000_000_000
PAGE_ROWS = 100
FILLS_NS = 3 * 86_400 * _S
"""How far back `fills` reaches; `fills-history` has three months."""
_FILLS_MARGIN_NS = 3600 * _S
_HEDGED = "long_short_mode"
_POSITION_MODES = (_HEDGED, "net_mode")
_TRIGGERED = VenueError(Disposition.NOT_FOUND, "", "the algo order was triggered: what it made is asked next")

_RAW_ROWS = msgspec.json.Decoder(tuple[msgspec.Raw, ...])
_KIND: wire.Reader[wire.KindRow] = wire.Reader(wire.KindRow)
_ORDER: wire.Reader[wire.OrderRow] = wire.Reader(wire.OrderRow)
_ALGO: wire.Reader[wire.AlgoRow] = wire.Reader(wire.AlgoRow)
_ALGOS: wire.Reader[tuple[wire.AlgoRow, ...]] = wire.Reader(tuple[wire.AlgoRow, ...])
_FILLS: wire.Reader[tuple[wire.FillRow, ...]] = wire.Reader(tuple[wire.FillRow, ...])
_PAGES: wire.Reader[tuple[wire.PageRow, ...]] = wire.Reader(tuple[wire.PageRow, ...])
_ACCOUNTS: wire.Reader[tuple[wire.AccountRow, ...]] = wire.Reader(tuple[wire.AccountRow, ...])
_POSITIONS: wire.Reader[tuple[wire.PositionRow, ...]] = wire.Reader(tuple[wire.PositionRow, ...])
_CONFIGS: wire.Reader[tuple[wire.ConfigRow, ...]] = wire.Reader(tuple[wire.ConfigRow, ...])


class AccountQueries(AccountCodec):
    """Orders, own trades, money, positions, settings."""

    # ---- orders ------------------------------------------------------------------------------------------------

    def other_names(self, cl_ord_id: ClOrdID) -> Sequence[ClOrdID]:
        """The same id in the algo service: our id does not tell which kind of order it was."""
        return (ClOrdID(ALGO_NAME + cl_ord_id),)

    def order_status_request(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`GET /api/v5/trade/order` or `order-algo`, by the venue's id where it is known."""
        if is_algo(cl_ord_id, order_id):
            params: Params = query_algo_params(cl_ord_id, order_id)
            return self._rest.get(self._paths.order_algo, encoded(params), stamp_venue_ns, "order-algo-details")
        if order_id is not None:
            return self._order_details(symbol, ("ordId", order_id_number(order_id)), stamp_venue_ns)
        return self._order_details(symbol, ("clOrdId", legal_cl_ord_id(cl_ord_id)), stamp_venue_ns)

    def _order_details(self, symbol: str, name: tuple[str, str], stamp_venue_ns: int) -> HttpRequest:
        params = (("instId", str(symbol)), name)
        return self._rest.get(self._paths.order, encoded(params), stamp_venue_ns, "order-details")

    def decode_order_status(self, reply: HttpReply) -> ExecutionReport | VenueError:
        """The order, or why there is none.

        NOT_FOUND right after placing may be lag; and an order that was canceled unfilled is forgotten after 2 hours.
        An algo order that was triggered is NOT_FOUND in its service, and `continuation` leads to its child.
        """
        error = self.error(reply)
        if error is not None:
            return error
        rows = self._decoded(_RAW_ROWS, reply)
        if len(rows) != 1:
            raise RemoteProtocolError(f"{len(rows)} orders instead of one")
        return self._queried(rows[0], reply) or _TRIGGERED

    def open_orders_request(self, symbol: Symbol | None, stamp_venue_ns: int) -> HttpRequest:
        """`GET /api/v5/trade/orders-pending`, at most 100 a page: ask `continuation` for the next."""
        kinds = ORDER_TYPES[self.product]
        params = [
            ("instType", kinds[0] if len(kinds) == 1 else ""),
            ("instId", symbol or ""),
            ("limit", str(PAGE_ROWS)),
        ]
        return self._rest.get(self._paths.orders_pending, encoded(params), stamp_venue_ns, "orders-pending")

    def decode_open_orders(self, reply: HttpReply) -> Sequence[ExecutionReport]:
        """Open orders of the product, type ORDER_STATUS.  One that we cannot read makes the answer unusable."""
        reports = (self._queried(row, reply) for row in self._decoded(_RAW_ROWS, reply))
        return tuple(report for report in reports if report is not None)

    def _queried(self, raw: msgspec.Raw, reply: HttpReply) -> ExecutionReport | None:
        """One order of either kind; None for one of another product, and for a triggered one: its child speaks."""
        try:
            kind = _KIND.decode(raw)
            if kind.accFillSz is None and kind.algoId:
                algo = _ALGO.decode(raw)
                fits = not algo.instType or algo.instType in ORDER_TYPES[self.product]
                return self._algo_reports.of_query(algo, reply.received_ns) if fits else None
            row = _ORDER.decode(raw)
            fits = not row.instType or row.instType in ORDER_TYPES[self.product]
            return self._reports.of_query(row, reply.received_ns) if fits else None
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"unknown word {unknown} in an order: {bytes(raw)[:200]!r}") from None
        except REFUSED as error:
            raise RemoteProtocolError(f"order refused: {error}: {bytes(raw)[:200]!r}") from error

    # ---- own trades --------------------------------------------------------------------------------------------

    def fills_request(
        self,
        symbol: Symbol,
        stamp_venue_ns: int,
        *,
        order_id: OrderID | None = None,
        from_trade_id: TradeID | None = None,
        since_ns: int | None = None,
    ) -> HttpRequest:
        """`GET /api/v5/trade/fills`, `fills-history` beyond 3 days; the newest 100, older ones by `continuation`.

        The venue's cursor is a bill id, so `from_trade_id` cannot be asked for (see `capabilities`): give `since_ns`.
        """
        params = [("instId", str(symbol)), ("limit", str(PAGE_ROWS))]
        path, endpoint = self._paths.fills, "fills"
        if order_id is not None:
            params.append(("ordId", order_id_number(order_id)))
        if since_ns is not None:
            params.append(("begin", str(since_ns // _MS)))
            if since_ns < stamp_venue_ns - FILLS_NS + _FILLS_MARGIN_NS:
                path, endpoint = self._paths.fills_history, "fills-history"
                params.insert(0, ("instType", INST_TYPES[self.product]))
        return self._rest.get(path, encoded(params), stamp_venue_ns, endpoint)

    def decode_fills(self, symbol: Symbol, reply: HttpReply) -> Sequence[ExecutionReport]:
        """Own trades, oldest first; order quantities are 0, which are not said there."""
        rows = self._decoded(_FILLS, reply)
        try:
            fills = [self._reports.of_fill(row, reply.received_ns) for row in reversed(rows)]
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"fills of {symbol}: unknown word {unknown}") from None
        return tuple(sorted(fills, key=_time_of))

    # ---- the account -------------------------------------------------------------------------------------------

    def balances_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /api/v5/account/balance`."""
        return self._rest.get(self._paths.balance, "", stamp_venue_ns, "balance")

    def decode_balances(self, reply: HttpReply) -> Sequence[Balance]:
        """Every currency that is not zero."""
        rows = self._decoded(_ACCOUNTS, reply)
        return tuple(
            balance for row in rows for balance in balances_of(self.account, self.venue, row, reply.received_ns)
        )

    def positions_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /api/v5/account/positions` of the product."""
        if self.product is Product.SPOT:
            raise LocalProtocolError("positions were asked of spot, which has none; ask for balances")
        params = (("instType", INST_TYPES[self.product]),)
        return self._rest.get(self._paths.positions, encoded(params), stamp_venue_ns, "positions")

    def decode_positions(self, reply: HttpReply) -> Sequence[VenuePosition]:
        """The positions of the product; what is absent is flat."""
        rows = self._decoded(_POSITIONS, reply)
        try:
            ours = (row for row in rows if row.instType == INST_TYPES[self.product])
            return Positions(self.account, self.venue).whole(ours, reply.received_ns)
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"positions: unknown word {unknown}") from None

    def position_mode_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /api/v5/account/config`: the mode that `hedged` must equal."""
        return self._rest.get(self._paths.account_config, "", stamp_venue_ns, "account-config")

    def decode_position_mode(self, reply: HttpReply) -> bool:
        """True in long_short_mode.  Raises RemoteProtocolError also for an account that cannot trade contracts so."""
        rows = self._decoded(_CONFIGS, reply)
        if len(rows) != 1 or rows[0].posMode not in _POSITION_MODES:
            raise RemoteProtocolError(f"no position mode in the answer: {reply.body[:200]!r}")
        if rows[0].acctLv == "1":
            raise RemoteProtocolError("the account is in spot mode (acctLv 1), which has no contracts: change it there")
        return bool(rows[0].posMode == _HEDGED)

    # ---- how answers go on -------------------------------------------------------------------------------------

    def continuation(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """The page of older rows (`after`), the next list of open orders, or the order that an algo order made.

        None when there is no more.  Raises RemoteProtocolError.
        """
        paths = self._paths
        if request.path == paths.order_algo:
            return self._child_of(reply, stamp_venue_ns)
        if request.path not in (paths.orders_pending, paths.orders_algo_pending, paths.fills, paths.fills_history):
            return None
        kept = [part for part in request.query.split("&") if not part.startswith("after=")]
        rows = self._decoded(_PAGES, reply)
        if len(rows) < PAGE_ROWS:
            return self._next_list(request, kept, stamp_venue_ns)
        last = _cursor(rows[-1], request.path.rpartition("/")[2])
        return self._rest.get(request.path, "&".join([*kept, f"after={last}"]), stamp_venue_ns, request.group)

    def _next_list(self, request: HttpRequest, kept: Sequence[str], stamp_venue_ns: int) -> HttpRequest | None:
        """After the engine's open orders those of the algo service, kind by kind."""
        path = self._paths.orders_algo_pending
        if request.path not in (path, self._paths.orders_pending):
            return None
        kinds = [part.removeprefix("ordType=") for part in kept if part.startswith("ordType=")]
        following = LISTED.index(kinds[0]) + 1 if kinds else 0
        if following == len(LISTED):
            return None
        others = [part for part in kept if not part.startswith("ordType=")]
        query = "&".join([f"ordType={LISTED[following]}", *others])
        return self._rest.get(path, query, stamp_venue_ns, "orders-algo-pending")

    def _child_of(self, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        rows = self._decoded(_ALGOS, reply)
        child = self._algo_reports.child_of(rows[0]) if len(rows) == 1 else ""
        if not child:
            return None
        return self._order_details(rows[0].instId, ("ordId", order_id_number(OrderID(child))), stamp_venue_ns)

    # ---- every answer ------------------------------------------------------------------------------------------

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """Nothing: the venue does not say what has been used."""
        return ()

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal, or None.  A failure inside the venue is UNKNOWN, as for an order request."""
        refusal = refusal_of(reply, order=True)
        return None if refusal is None else classify(self.product, refusal)

    def _decoded(self, reader: wire.Reader[T] | msgspec.json.Decoder[T], reply: HttpReply) -> T:
        try:
            return reader.decode(success(reply))
        except REFUSED as error:
            raise RemoteProtocolError(f"answer refused: {error}: {reply.body[:200]!r}") from error


def _cursor(row: wire.PageRow, endpoint: str) -> str:
    """The id after which older rows follow."""
    last = {"orders-pending": row.ordId, "orders-algo-pending": row.algoId}.get(endpoint, row.billId)
    if not (last.isascii() and last.isdigit()):
        raise RemoteProtocolError(f"a full page ends with the id {last[:40]!r}: the next cannot be asked for")
    return last


def _time_of(report: ExecutionReport) -> int:
    return report.transact_ns
