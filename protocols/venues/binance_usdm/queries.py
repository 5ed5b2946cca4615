"""What is asked of the venue in REST: orders, fills, coins, positions, and the listen key (reference sections 8, 11,
12, 15.1 and 17).

Conditional orders are in no list of plain ones: `continuation` says the second half of each question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

import msgspec

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.ids import AccountID, ClOrdID, OrderID, Symbol, TradeID
from protocols.orders import ExecutionReport
from protocols.positions import Balance, VenuePosition
from protocols.venue import HttpReply, HttpRequest, Lane, Signer, VenueError
from protocols.venues.binance_common.account import AccountSide
from protocols.venues.binance_common.refusals import Refusal
from protocols.venues.binance_usdm import wire
from protocols.venues.binance_usdm.encode import ALGO_NAME, identity, is_algo
from protocols.venues.binance_usdm.endpoints import Endpoints
from protocols.venues.binance_usdm.errors import classify
from protocols.venues.binance_usdm.limits import WEIGHT
from protocols.venues.binance_usdm.public import VENUE
from protocols.venues.binance_usdm.reports import Reports
from protocols.venues.binance_usdm.requests import (
    Params,
    decoded,
    key_request,
    order_id_number,
    refusal_of,
)
from protocols.venues.values import REFUSED, stamp_ns
from protocols.venues.words import UnknownWord

__all__ = ["RestQueries"]

USER_TRADES_MAX = 1000
_MS = 1_000_000
_KEY = re.compile(r"[A-Za-z0-9]{1,128}", re.ASCII)


class RestQueries(AccountSide):
    """The queries of one account.

    A triggered conditional order is reported with its child's `order_id`, which leads to its fills; conditional orders
    are in no list of plain ones (`continuation`).
    """

    listen_key_refresh_ns = 30 * 60 * 1_000_000_000
    """A key lives for 60 minutes; the documents' advice to refresh it about as often comes too late."""

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
        self._balance_rows = msgspec.json.Decoder(tuple[wire.BalanceRow, ...])
        self._position_rows = msgspec.json.Decoder(tuple[wire.PositionRow, ...])
        self._position_mode = msgspec.json.Decoder(wire.PositionMode)
        self._listen_key = msgspec.json.Decoder(wire.ListenKey)

    # ---- listen keys -------------------------------------------------------------------------------------------

    def listen_key_request(self) -> HttpRequest:
        """`POST /fapi/v1/listenKey`: the living key, extended, or a new one."""
        return self._key_request("POST", None)

    def decode_listen_key(self, reply: HttpReply) -> str:
        """The key.  Raises RemoteProtocolError, which never holds it."""
        refusal = refusal_of(reply, order=False)
        if refusal is not None:
            raise RemoteProtocolError(f"no listen key: {classify(refusal).text}")
        try:
            key = self._listen_key.decode(reply.body).listenKey
        except REFUSED:
            key = None
        if key is None or _KEY.fullmatch(key) is None:
            raise RemoteProtocolError("no listen key in the answer")
        return str(key)

    def keep_listen_key_request(self, key: str) -> HttpRequest:
        """`PUT /fapi/v1/listenKey`; NOT_FOUND (-1125) when the key is dead."""
        return self._key_request("PUT", key)

    def close_listen_key_request(self, key: str) -> HttpRequest:
        """`DELETE /fapi/v1/listenKey`: silences every process of this account, so only for good."""
        return self._key_request("DELETE", key)

    def private_path_of(self, key: str) -> str:
        """The stream of all user events."""
        return f"{self._paths.private}/{_legal_key(key)}"

    def _key_request(self, method: str, key: str | None) -> HttpRequest:
        params = () if key is None else (("listenKey", _legal_key(key)),)
        return key_request(method, self._paths.listen_key, params, WEIGHT["listenKey"], self._signer)

    # ---- REST queries ------------------------------------------------------------------------------------------

    def continuation(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """After the plain orders the conditional ones: of a list of open orders, and of a mass cancel."""
        symbol = next((pair[7:] for pair in request.query.split("&") if pair.startswith("symbol=")), None)
        params: Params = () if symbol is None else (("symbol", unquote(symbol)),)
        if request.path == self._paths.open_orders:
            weight = WEIGHT["openOrders.all"] if symbol is None else WEIGHT["openOrders.symbol"]
            path = self._paths.open_algo_orders
            return self._rest.build("GET", path, params, stamp_venue_ns, weight, Lane.QUERY)
        if request.path == self._paths.all_open_orders and symbol is not None:
            return self._cancel_all(self._paths.algo_open_orders, unquote(symbol), stamp_venue_ns)
        return None

    def _cancel_all(self, path: str, symbol: str, stamp_venue_ns: int) -> HttpRequest:
        params = (("symbol", symbol),)
        return self._rest.build("DELETE", path, params, stamp_venue_ns, WEIGHT["allOpenOrders"], Lane.CANCEL)

    def other_names(self, cl_ord_id: ClOrdID) -> Sequence[ClOrdID]:
        """The same id in the algo service: our id does not tell which kind of order it was."""
        return (ClOrdID(ALGO_NAME + cl_ord_id),)

    def order_status_request(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """`GET /fapi/v1/order` or `algoOrder`."""
        order_id = self._reports.engine_id(order_id)
        params, path = identity(cl_ord_id, order_id), self._paths.algo_order
        if not is_algo(cl_ord_id, order_id):
            params, path = (("symbol", str(symbol)), *params), self._paths.order
        return self._rest.build("GET", path, params, stamp_venue_ns, WEIGHT["order.status"], Lane.QUERY)

    def fills_request(
        self,
        symbol: Symbol,
        stamp_venue_ns: int,
        *,
        order_id: OrderID | None = None,
        from_trade_id: TradeID | None = None,
        since_ns: int | None = None,
    ) -> HttpRequest:
        """`GET /fapi/v1/userTrades`, at most 1000 rows, by the first of: order, trade id (included), time.

        From a time, the venue looks at the 7 days that follow it and no further; it keeps three months.
        """
        params = [("symbol", str(symbol)), ("limit", str(USER_TRADES_MAX))]
        if order_id is not None:
            params.append(("orderId", order_id_number(self._reports.engine_id(order_id) or order_id)))
        elif from_trade_id is not None:
            params.append(("fromId", order_id_number(OrderID(from_trade_id))))
        elif since_ns is not None:
            params.append(("startTime", str(since_ns // _MS)))
        return self._rest.build(
            "GET", self._paths.user_trades, params, stamp_venue_ns, WEIGHT["userTrades"], Lane.QUERY
        )

    def decode_fills(self, symbol: Symbol, reply: HttpReply) -> Sequence[ExecutionReport]:
        """Own trades by ascending trade id; `cl_ord_id` is "" (but for known children) and order quantities are 0."""
        rows = decoded(self._trade_rows, reply)
        try:
            return tuple(self._reports.of_trade(row, reply.received_ns) for row in sorted(rows, key=_trade_id))
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"trades of {symbol}: unknown word {unknown}") from None

    def balances_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /fapi/v3/balance`."""
        return self._rest.build("GET", self._paths.balance, (), stamp_venue_ns, WEIGHT["balance"], Lane.QUERY)

    def decode_balances(self, reply: HttpReply) -> Sequence[Balance]:
        """The wallet of every asset."""
        rows = decoded(self._balance_rows, reply)
        return tuple(self._reports.of_balance(row, stamp_ns(row.updateTime)) for row in rows)

    def positions_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /fapi/v3/positionRisk`."""
        return self._rest.build(
            "GET", self._paths.position_risk, (), stamp_venue_ns, WEIGHT["positionRisk"], Lane.QUERY
        )

    def decode_positions(self, reply: HttpReply) -> Sequence[VenuePosition]:
        """Every symbol with a position or an open order; what is absent is flat."""
        try:
            return tuple(self._reports.of_position(row) for row in decoded(self._position_rows, reply))
        except UnknownWord as unknown:
            raise RemoteProtocolError(f"positions: unknown word {unknown}") from None

    def position_mode_request(self, stamp_venue_ns: int) -> HttpRequest:
        """`GET /fapi/v1/positionSide/dual` (weight 30): the mode that `hedge_mode` must equal."""
        return self._rest.build(
            "GET", self._paths.position_mode, (), stamp_venue_ns, WEIGHT["positionMode"], Lane.QUERY
        )

    def decode_position_mode(self, reply: HttpReply) -> bool:
        """True in hedge mode."""
        return bool(decoded(self._position_mode, reply).dualSidePosition)

    def _classify(self, refusal: Refusal) -> VenueError:
        return classify(refusal)


def _legal_key(key: str) -> str:
    if _KEY.fullmatch(key) is None:
        raise LocalProtocolError("the listen key must be letters and digits; ask the venue for another")
    return key


def _trade_id(row: wire.TradeRow) -> int:
    return row.id
