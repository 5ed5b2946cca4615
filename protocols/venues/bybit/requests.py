"""REST requests: how they are signed, what the account asks, and how an answer goes on (reference sections 2 and 12).

What is signed is what is sent: the query is written once and the body is encoded once, and those very bytes follow
`timestamp + key + recv_window` into the signature.  Cursors come from the venue already percent-encoded and go back as
they came.  A GET carries no body, not even an empty object: the venue's firewall refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol, TradeID
from protocols.instruments import Product
from protocols.venue import HttpReply, HttpRequest, Lane, Signer
from protocols.venues.bybit.answers import page_of
from protocols.venues.bybit.encode import CATEGORIES, identity
from protocols.venues.bybit.endpoints import Paths
from protocols.venues.bybit.limits import GROUPS
from protocols.venues.bybit.waiting import FILTERS

__all__ = ["SETTLE_COINS", "Params", "Queries", "SignedRequests", "encoded", "public_request"]

Params = Sequence[tuple[str, str]]

SETTLE_COINS = ("USDT", "USDC")
"""What linear contracts settle in; a query without symbol answers for one of them."""
ORDERS_MAX, EXECUTIONS_MAX, POSITIONS_MAX = 50, 100, 200
FILLS_SPAN_MS = 7 * 86_400_000
"""Executions are shown for at most this long at a time."""

CANCELED_MAX = 500
"""Orders that go at one cancel-all; which of more is the venue's choice."""

_MS = 1_000_000


def encoded(params: Params) -> str:
    """`name=value` pairs joined by `&`; values percent-encoded, except what is so already."""
    return "&".join(f"{name}={quote(value, safe='%')}" for name, value in params)


def public_request(path: str, params: Params) -> HttpRequest:
    """An unsigned GET."""
    return HttpRequest("GET", path, encoded(params), {}, "", 0, Lane.QUERY)


class SignedRequests:
    """Builds signed requests for one key.  `recv_window_ms`: how old a request may be when the venue reads it.

    Each endpoint counts for itself, so it is the request's group, by its path or by what order entry calls it.
    """

    __slots__ = ("_recv_window", "_signer")

    def __init__(self, signer: Signer, recv_window_ms: int) -> None:
        self._signer = signer
        self._recv_window = str(recv_window_ms)

    def get(self, path: str, params: Params, stamp_venue_ns: int) -> HttpRequest:
        """A query."""
        return self.get_again(path, encoded(params), stamp_venue_ns)

    def get_again(self, path: str, query: str, stamp_venue_ns: int) -> HttpRequest:
        """A query whose text is finished."""
        return HttpRequest("GET", path, query, self._headers(query, stamp_venue_ns), "", 0, Lane.QUERY, path)

    def post(self, path: str, fields: Mapping[str, object], stamp_venue_ns: int, lane: Lane) -> HttpRequest:
        """A command; the body is compact JSON in the order of `fields`."""
        orders = fields.get("request")
        units = len(orders) if isinstance(orders, list | tuple) else 1
        body = msgspec.json.encode(fields).decode()
        headers = self._headers(body, stamp_venue_ns) | {"Content-Type": "application/json"}
        return HttpRequest("POST", path, "", headers, body, 0, lane, GROUPS.get(path, path), units)

    def _headers(self, payload: str, stamp_venue_ns: int) -> dict[str, str]:
        stamp, key = str(stamp_venue_ns // 1_000_000), self._signer.api_key
        return {
            "X-BAPI-API-KEY": key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": self._recv_window,
            "X-BAPI-SIGN": self._signer.sign(f"{stamp}{key}{self._recv_window}{payload}".encode()),
            "X-BAPI-SIGN-TYPE": "2",
        }


class Queries:
    """The account's questions, and how each goes on (section 12).  `settle_coins`: what its contracts settle in."""

    __slots__ = ("_category", "_paths", "_product", "_rest", "_settle_coins")

    def __init__(self, rest: SignedRequests, paths: Paths, product: Product, settle_coins: tuple[str, ...]) -> None:
        self._rest = rest
        self._paths = paths
        self._product = product
        self._category = CATEGORIES[product]
        self._settle_coins = () if product is Product.SPOT else settle_coins

    @property
    def scopes(self) -> Sequence[Params]:
        """The parts that a question about all symbols falls into."""
        return [(("settleCoin", coin),) for coin in self._settle_coins] or [()]

    def order_status(
        self, cl_ord_id: ClOrdID, order_id: OrderID | None, symbol: Symbol, stamp_venue_ns: int
    ) -> HttpRequest:
        """One order."""
        params = (("category", self._category), ("symbol", symbol), *_named(cl_ord_id, order_id))
        return self._rest.get(self._paths.open_orders, params, stamp_venue_ns)

    def open_orders(self, symbol: Symbol | None, stamp_venue_ns: int) -> HttpRequest:
        """All working orders, the first page."""
        params = (*self._of(symbol), ("openOnly", "0"), ("limit", str(ORDERS_MAX)))
        return self._rest.get(self._paths.open_orders, params, stamp_venue_ns)

    def fills(
        self,
        symbol: Symbol,
        stamp_venue_ns: int,
        order_id: OrderID | None,
        from_trade_id: TradeID | None,
        since_ns: int | None,
    ) -> HttpRequest:
        """Own trades of an order, since a time, or the newest."""
        params = self._of(symbol)
        if order_id is not None:
            params += _named(ClOrdID(""), order_id)
        elif since_ns is not None:
            params += _window(since_ns // _MS, stamp_venue_ns // _MS)
        elif from_trade_id is not None:
            raise LocalProtocolError(f"fills from trade {from_trade_id}: Bybit knows times alone; give since_ns")
        params.append(("limit", str(EXECUTIONS_MAX)))
        return self._rest.get(self._paths.executions, params, stamp_venue_ns)

    def positions(self, symbol: Symbol | None, stamp_venue_ns: int) -> HttpRequest:
        """Positions, the first page."""
        if self._product is Product.SPOT:
            raise LocalProtocolError("positions were asked of spot, which has none; ask for balances")
        params = (*self._of(symbol), ("limit", str(POSITIONS_MAX)))
        return self._rest.get(self._paths.positions, params, stamp_venue_ns)

    def account_kind(self, stamp_venue_ns: int) -> HttpRequest:
        """What kind of account it is."""
        return self._rest.get(self._paths.account_info, (), stamp_venue_ns)

    def balances(self, stamp_venue_ns: int) -> HttpRequest:
        """The unified wallet."""
        return self._rest.get(self._paths.wallet, (("accountType", "UNIFIED"),), stamp_venue_ns)

    def continuation(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """Next page, settlement coin or week, from the working orders to the history, what is left to cancel."""
        paths = self._paths
        if request.path == paths.cancel_all:
            return self._canceled(request, reply, stamp_venue_ns)
        if request.path not in (paths.open_orders, paths.executions, paths.positions):
            return None
        asked = dict(pair.partition("=")[::2] for pair in request.query.split("&"))
        page = page_of(reply)
        if request.path == paths.open_orders and not asked.keys().isdisjoint({"orderId", "orderLinkId"}):
            return None if page.list else self._rest.get_again(paths.order_history, request.query, stamp_venue_ns)
        before = asked.pop("cursor", None)
        if page.list and page.nextPageCursor:
            cursor = quote(page.nextPageCursor, safe="%")
            if cursor == before:
                raise RemoteProtocolError(f"{request.path} answers with the same page again: {cursor[:100]!r}")
            asked["cursor"] = cursor
        elif asked.get("settleCoin") in self._settle_coins[:-1]:
            asked["settleCoin"] = self._settle_coins[self._settle_coins.index(asked["settleCoin"]) + 1]
        elif (start_ms := _next_window(asked, stamp_venue_ns // _MS)) is not None:
            asked.update(_window(start_ms, stamp_venue_ns // _MS))
        else:
            return None
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        return self._rest.get_again(request.path, query, stamp_venue_ns)

    def _canceled(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """The next part of a mass cancel: what one request left over, then (on spot) the next kind of orders."""
        fields = msgspec.json.decode(request.body)
        if len(page_of(reply).list) < CANCELED_MAX:
            if self._product is not Product.SPOT:
                return None
            done = FILTERS.index(fields.get("orderFilter", FILTERS[0]))
            if done == len(FILTERS) - 1:
                return None
            fields["orderFilter"] = FILTERS[done + 1]
        return self._rest.post(request.path, fields, stamp_venue_ns, Lane.CANCEL)

    def _of(self, symbol: Symbol | None) -> list[tuple[str, str]]:
        scope = self.scopes[0] if symbol is None else (("symbol", str(symbol)),)
        return [("category", self._category), *scope]


def _named(cl_ord_id: ClOrdID, order_id: OrderID | None) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in identity(cl_ord_id, order_id).items()]


def _window(start_ms: int, now_ms: int) -> list[tuple[str, str]]:
    end_ms = max(start_ms, min(start_ms + FILLS_SPAN_MS - 1, now_ms))
    return [("startTime", str(start_ms)), ("endTime", str(end_ms))]


def _next_window(asked: Mapping[str, str], now_ms: int) -> int | None:
    """Where the window after this one begins; one that is not of full length had reached the present."""
    if "endTime" not in asked:
        return None
    start_ms, end_ms = int(asked["startTime"]), int(asked["endTime"])
    return end_ms + 1 if end_ms - start_ms == FILLS_SPAN_MS - 1 and end_ms < now_ms else None
