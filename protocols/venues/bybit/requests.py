"""REST requests and the envelope of their answers (reference sections 2 and 12).

What is signed is what is sent: the query is written once and the body is encoded once, and those very bytes follow
`timestamp + key + recv_window` into the signature.  Cursors come from the venue already percent-encoded and go back as
they came.  A GET carries no body, not even an empty object: the venue's firewall refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.ids import ClOrdID, OrderID, Symbol, TradeID
from protocols.instruments import Product
from protocols.venue import Disposition, HttpReply, HttpRequest, Lane, OrderState, Reply, Signer, Usage, VenueError
from protocols.venues.bybit.encode import CATEGORIES, identity
from protocols.venues.bybit.endpoints import Paths
from protocols.venues.bybit.errors import NOTHING_TO_CHANGE, Refusal, classify, control_error
from protocols.venues.bybit.limits import GROUPS
from protocols.venues.bybit.wire import ItemOutcomes, OrderRef, OrderResult, Outcome, Page, PageAnswer
from protocols.venues.values import REFUSED

__all__ = [
    "SETTLE_COINS",
    "Params",
    "Queries",
    "SignedRequests",
    "control_reply",
    "decoded",
    "encoded",
    "order_reply",
    "page_of",
    "public_request",
    "refusal_of",
    "reset_ms_of",
]

Params = Sequence[tuple[str, str]]

SETTLE_COINS = ("USDT", "USDC")
"""What linear contracts settle in; a query without symbol answers for one of them."""
ORDERS_MAX, EXECUTIONS_MAX, POSITIONS_MAX = 50, 100, 200
FILLS_SPAN_MS = 7 * 86_400_000
"""Executions are shown for at most this long at a time."""

_MS = 1_000_000
_OUTCOME = msgspec.json.Decoder(Outcome)
_PAGE = msgspec.json.Decoder(PageAnswer)
_ACCEPTED_AUTH = 20001
"""Logged on already."""


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
        body = msgspec.json.encode(fields).decode()
        headers = self._headers(body, stamp_venue_ns) | {"Content-Type": "application/json"}
        orders = fields.get("request")
        units = len(orders) if isinstance(orders, list | tuple) else 1
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

    def balances(self, stamp_venue_ns: int) -> HttpRequest:
        """The unified wallet."""
        return self._rest.get(self._paths.wallet, (("accountType", "UNIFIED"),), stamp_venue_ns)

    def continuation(self, request: HttpRequest, reply: HttpReply, stamp_venue_ns: int) -> HttpRequest | None:
        """Next page, next settlement coin, next week, or from the working orders to the history."""
        paths = self._paths
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


# ---- answers ---------------------------------------------------------------------------------------------------


def refusal_of(reply: HttpReply, product: Product, *, order: bool) -> Refusal | None:
    """The refusal in a REST answer, or None for a success: `retCode` 0, or "it is so already"."""
    code, text, server_time_ms = None, "", None
    try:
        outcome = _OUTCOME.decode(reply.body)
    except REFUSED:
        # Not the API's answer but a firewall's or gateway's page: the status has to do.
        text = reply.body[:200].decode("utf-8", "replace")
    else:
        code, text, server_time_ms = outcome.retCode, outcome.retMsg, outcome.time or None
        if 200 <= reply.status < 300 and (code == 0 or code in NOTHING_TO_CHANGE):
            return None
    return Refusal(
        product=product,
        status=reply.status,
        code=code,
        text=text,
        order=order,
        received_ns=reply.received_ns,
        reset_ms=reset_ms_of(reply.headers),
        server_time_ms=server_time_ms,
    )


def decoded(decoder: msgspec.json.Decoder[Any], reply: HttpReply) -> Any:
    """The body of a success, as its struct.  Raises RemoteProtocolError for everything else: ask `error` first."""
    try:
        if not 200 <= reply.status < 300:
            raise RemoteProtocolError(f"HTTP {reply.status} instead of an answer: {reply.body[:200]!r}")
        outcome = _OUTCOME.decode(reply.body)
        if outcome.retCode:
            raise RemoteProtocolError(f"a refusal instead of an answer: {reply.body[:200]!r}")
        return decoder.decode(reply.body)
    except REFUSED as error:
        raise RemoteProtocolError(f"answer refused: {error}: {reply.body[:200]!r}") from error


def page_of(reply: HttpReply) -> Page:
    """Where a list ends.  Raises RemoteProtocolError for what is no list."""
    page = decoded(_PAGE, reply).result
    assert isinstance(page, Page)
    return page


def reset_ms_of(headers: Mapping[str, str]) -> int | None:
    """When the bucket refills, ms by the venue's clock; of HTTP headers or a socket's `header`, names in any case."""
    for name, value in headers.items():
        if name.lower() == "x-bapi-limit-reset-timestamp" and value.isascii() and value.isdigit() and len(value) == 13:
            return int(value)
    return None


def order_reply(
    request_id: str,
    result: OrderResult,
    outcomes: ItemOutcomes,
    product: Product,
    transact_ns: int,
    received_ns: int,
    usage: tuple[Usage, ...] = (),
) -> Reply:
    """One order's acknowledgement of receipt, a batch's partial results, or the count of a mass cancel.

    Outside of batches the venue does not repeat the symbol: it is "".  Raises RemoteProtocolError for what names no
    order, and for a batch whose orders and outcomes do not pair.
    """
    refs = result.list
    if refs is None:
        if not (result.orderId or result.orderLinkId):
            raise RemoteProtocolError("no order in the answer")
        only = OrderRef(result.orderId, result.orderLinkId)
        return Reply(request_id, report=_acknowledged(only, transact_ns), usage=usage)
    items = outcomes.list
    if items is None:
        if result.success not in ("", "1"):
            unfinished = VenueError(Disposition.BUSY, "", "the venue did not cancel all orders")
            return Reply(request_id, error=unfinished, usage=usage)
        return Reply(request_id, payload={"orders": len(refs)}, usage=usage)
    if len(items) != len(refs):
        raise RemoteProtocolError(f"a batch of {len(refs)} orders with {len(items)} outcomes")
    parts = []
    for ref, item in zip(refs, items, strict=True):
        if item.code == 0:
            parts.append(Reply(request_id, report=_acknowledged(ref, transact_ns)))
        else:
            refusal = Refusal(
                product=product, status=200, code=item.code, text=item.msg, order=True, received_ns=received_ns
            )
            parts.append(Reply(request_id, error=classify(refusal)))
    return Reply(request_id, payload={"orders": len(parts)}, usage=usage, parts=tuple(parts))


def _acknowledged(ref: OrderRef, transact_ns: int) -> OrderState:
    return OrderState(ClOrdID(ref.orderLinkId), OrderID(ref.orderId), Symbol(ref.symbol), None, (), transact_ns)


def control_reply(whole: Mapping[str, Any], request_id: str, product: Product, received_ns: int) -> Reply | None:
    """The answer to a control frame of any socket, or None for what is none.

    Pongs come in four shapes, some as `"op":"ping"`, so they are known by `op` and by `ret_msg`.  Public and private
    sockets say `success`, the trade socket says `retCode`.
    """
    op = whole.get("op")
    if not isinstance(op, str):
        return None
    for name in ("req_id", "reqId"):
        value = whole.get(name)
        if isinstance(value, str) and value:
            request_id = value[:64]
    if op in ("ping", "pong"):
        return Reply(request_id, payload={"pong": True})
    code, success = whole.get("retCode"), whole.get("success")
    code = code if isinstance(code, int) and not isinstance(code, bool) else None
    text = str(whole.get("ret_msg", whole.get("retMsg", "")))
    if success is True or (success is None and (code == 0 or (op == "auth" and code == _ACCEPTED_AUTH))):
        return Reply(request_id, payload={"op": op})
    if success is False or code is not None:
        return Reply(request_id, error=control_error(op, code, text, product, received_ns))
    return None
