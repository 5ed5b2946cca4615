"""What is asked of the venue in REST: orders, fills, balances (reference sections 10, 11 and 16)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from protocols.ids import AccountID, ClOrdID, OrderID, Symbol, TradeID
from protocols.orders import ExecutionReport
from protocols.positions import Balance
from protocols.venue import HttpReply, HttpRequest, Lane, Signer, VenueError
from protocols.venues.binance_common.account import AccountSide
from protocols.venues.binance_common.refusals import Refusal
from protocols.venues.binance_common.requests import decoded
from protocols.venues.binance_spot import wire
from protocols.venues.binance_spot.encode import query_params
from protocols.venues.binance_spot.endpoints import Endpoints
from protocols.venues.binance_spot.errors import classify
from protocols.venues.binance_spot.limits import WEIGHT
from protocols.venues.binance_spot.public import VENUE
from protocols.venues.binance_spot.reports import CANCEL_SUFFIX, Reports
from protocols.venues.binance_spot.requests import order_id_number
from protocols.venues.values import amount, stamp_ns

__all__ = ["RestQueries"]

MY_TRADES_MAX = 1000
_MS = 1_000_000


class RestQueries(AccountSide):
    """The queries of one account."""

    def __init__(self, account: AccountID, signer: Signer, endpoints: Endpoints, recv_window_ms: int) -> None:
        super().__init__(
            account,
            signer,
            recv_window_ms,
            endpoints.paths,
            WEIGHT,
            msgspec.json.Decoder(wire.OrderRow),
            msgspec.json.Decoder(tuple[wire.OrderRow, ...]),
        )
        self.endpoints = endpoints
        self._paths = endpoints.paths
        self._reports: Reports = Reports(VENUE, account)
        self._trade_rows = msgspec.json.Decoder(tuple[wire.TradeRow, ...])
        self._account_status = msgspec.json.Decoder(wire.AccountStatus)

    def other_names(self, cl_ord_id: ClOrdID) -> Sequence[ClOrdID]:
        """A canceled order bears the id that our cancel chose (section 7.2)."""
        return (ClOrdID(cl_ord_id + CANCEL_SUFFIX),)

    def order_status_request(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`GET /api/v3/order`."""
        params = query_params(cl_ord_id, order_id, symbol)
        return self._rest.build("GET", self._paths.order, params, stamp_venue_ns, WEIGHT["order.status"], Lane.QUERY)

    def fills_request(
        self,
        symbol: Symbol,
        stamp_venue_ns: int,
        *,
        order_id: OrderID | None = None,
        from_trade_id: TradeID | None = None,
        since_ns: int | None = None,
    ) -> HttpRequest:
        """`GET /api/v3/myTrades`, at most 1000 rows, by the first of: order, trade id (included), time.

        From a time, the venue looks at the 24 hours that follow it and no further.
        """
        params = [("symbol", str(symbol)), ("limit", str(MY_TRADES_MAX))]
        weight = WEIGHT["myTrades"]
        if order_id is not None:
            params.append(("orderId", order_id_number(order_id)))
            weight = WEIGHT["myTrades.order"]
        elif from_trade_id is not None:
            params.append(("fromId", order_id_number(OrderID(from_trade_id))))
        elif since_ns is not None:
            params.append(("startTime", str(since_ns // _MS)))
        return self._rest.build("GET", self._paths.my_trades, params, stamp_venue_ns, weight, Lane.QUERY)

    def decode_fills(self, symbol: Symbol, reply: HttpReply) -> Sequence[ExecutionReport]:
        """Own trades by ascending trade id; `cl_ord_id` is "" and order quantities are 0, which are not said there."""
        rows = decoded(self._trade_rows, reply)
        return tuple(self._reports.of_trade(row, reply.received_ns) for row in sorted(rows, key=_trade_id))

    def balances_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /api/v3/account`."""
        params = (("omitZeroBalances", "true"),)
        return self._rest.build("GET", self._paths.account, params, stamp_venue_ns, WEIGHT["account"], Lane.QUERY)

    def decode_balances(self, reply: HttpReply) -> Sequence[Balance]:
        """Every asset that is not zero."""
        status = decoded(self._account_status, reply)
        updated_ns = stamp_ns(status.updateTime)
        return tuple(
            Balance(self.account, VENUE, row.asset, amount(row.free), amount(row.locked), updated_ns)
            for row in status.balances
        )

    def _classify(self, refusal: Refusal) -> VenueError:
        return classify(refusal)


def _trade_id(row: wire.TradeRow) -> int:
    return row.id
