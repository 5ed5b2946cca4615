"""From a named request to its outcome, the same for REST and WebSocket API.

In the venue's order: limits of the address, key and clock and signature, the clock once more before the engine (what is
refused there counts as an order), then the method itself; weight is charged by the method's rule. On Spot a successful
order request weighs nothing since April 2026, and a failed one its full weight (section 5).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

import attrs

from tools.simulator.core.accounts import Account, ApiKey
from tools.simulator.core.model import Reject
from tools.simulator.dialects.binance_common import auth, errors
from tools.simulator.dialects.binance_common.errors import VenueError
from tools.simulator.dialects.binance_common.params import Params

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_common.venue import BinanceVenue
    from tools.simulator.dialects.binance_common.wsapi import ApiSession


THROTTLED = -1008  # the venue protected itself: never counted


class Security(Enum):
    NONE = "none"
    KEY = "key"  # the key alone, unsigned
    SIGNED = "signed"  # reads of an account
    TRADE = "trade"  # changes of orders; the key must be allowed to
    OWN = "own"  # session methods, which check their key themselves


@attrs.define(kw_only=True)
class Call:
    """One request on its way."""

    method: str
    params: Params
    peer: str
    received_ns: int
    unit: int  # nanoseconds per time unit the client wants
    payload: str = ""  # what the signature covers
    signature: str | None = None
    api_key: str | None = None
    session: ApiSession | None = None
    key: ApiKey | None = None

    @property
    def account(self) -> Account:
        """The account of the verified key."""
        if self.key is None:
            raise AssertionError(f"{self.method} asks for an account but is not signed")
        return self.key.account


@attrs.frozen(kw_only=True)
class Outcome:
    """What goes back: a result or an error, and what the reply says about limits."""

    status: int = 200
    result: Any = None
    error: VenueError | None = None
    orders_counted: bool = False
    account: Account | None = None  # whose orders were counted
    retry_after_ns: int = 0

    @classmethod
    def failed(cls, error: VenueError, *, retry_after_ns: int = 0) -> Outcome:
        return cls(status=error.status, error=error, retry_after_ns=retry_after_ns)


Handler = Callable[[Any, Call], Any]  # of the product's venue and the request
Weight = int | Callable[[Params], int]


@attrs.frozen(kw_only=True)
class Method:
    """One thing the venue can be asked."""

    name: str
    handler: Handler
    weight: Weight = 1
    security: Security = Security.NONE
    rest: tuple[str, str] | None = None  # verb and path; None: WebSocket API only
    ws: bool = True
    free_on_success: bool = False
    orders: int = 0  # how many the ORDERS limits count
    order_requests: int | None = None  # how many the longer one counts, where that is another number
    orders_back: bool = True  # a refused order is not counted
    counts_itself: bool = False  # the handler counts the order: what comes of it depends on how far it gets

    def cost(self, params: Params) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(params)


class MethodTable:
    """All methods, by WebSocket name and by REST verb and path."""

    def __init__(self) -> None:
        self.by_name: dict[str, Method] = {}
        self.by_path: dict[tuple[str, str], Method] = {}
        self.paths: set[str] = set()

    def add(self, *methods: Method) -> None:
        for method in methods:
            self.by_name[method.name] = method
            if method.rest is not None:
                self.by_path[method.rest] = method
                self.paths.add(method.rest[1])


def execute(venue: BinanceVenue, method: Method, call: Call) -> Outcome:
    """Run one request to its end. Never raises for anything the client did."""
    now = venue.clock.now_ns()
    limits = venue.peer_limits(call.peer)
    try:
        weight = method.cost(call.params)
    except VenueError as error:
        limits.weight.add(1, now)
        return Outcome.failed(error)
    raw = 1 if call.session is None else 0  # the number of requests is limited on REST alone
    if not limits.check(now, 0 if method.free_on_success else weight, raw):
        if limits.banned:
            venue.drop_sockets(call.peer)
        return limited(venue, call.peer)
    limits.raw.add(raw, now)
    if not method.free_on_success:
        limits.weight.add(weight, now)
    counted = False
    try:
        authenticate(venue, method, call)
        if method.orders:
            venue.check_order_count(call.account, method.orders, method.order_requests)
            venue.count_orders(call.account, method.orders, method.order_requests)
        if method.security is Security.TRADE:
            auth.check_age(*times_of(call), now, venue.too_old())
        counted = bool(method.orders)
        result = method.handler(venue, call)
    except Reject as reject:
        refusal = venue.from_reject(reject)
    except VenueError as error:
        refusal = error
    else:
        orders = bool(method.orders) or method.counts_itself
        return Outcome(result=result, orders_counted=orders, account=call.account if orders else None)
    if counted and (method.orders_back or refusal.code == THROTTLED):
        venue.count_orders(call.account, -method.orders)
    if method.free_on_success:
        limits.weight.add(weight, now)
    return Outcome.failed(refusal, retry_after_ns=venue.retry_after(refusal, call))


def limited(venue: BinanceVenue, peer: str) -> Outcome:
    """429, or 418 for an address that did not listen."""
    limits = venue.peer_limits(peer)
    until = limits.blocked_until_ns
    if limits.banned:
        text = (
            f"Way too much request weight used; IP banned until {until // 1_000_000}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return Outcome.failed(VenueError(-1003, text, status=418), retry_after_ns=until)
    text = (
        f"Too much request weight used; current limit is {limits.weight.limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return Outcome.failed(VenueError(-1003, text, status=429), retry_after_ns=until)


def authenticate(venue: BinanceVenue, method: Method, call: Call) -> None:
    """Find and check the key, the clock and the signature. Raises VenueError."""
    if method.security in (Security.NONE, Security.OWN):
        return
    session = call.session
    if method.security is Security.KEY:
        call.key = find_key(venue, call)
    elif session is not None and session.key is not None and call.api_key is None:
        auth.check_time(*times_of(call), call.received_ns)
        call.key = session.key
    else:
        verify_request(venue, call)
    key = call.key
    assert key is not None
    if not key.enabled or (method.security is Security.TRADE and not key.can_trade):
        raise errors.bad_key()
    if method.security is Security.TRADE and not key.account.can_trade:
        raise VenueError(-2010, "This account may not place or cancel orders.")


def times_of(call: Call) -> tuple[str | None, str | None]:
    """`timestamp` and `recvWindow` as they were sent."""
    return call.params.values.get("timestamp"), call.params.values.get("recvWindow")


def find_key(venue: BinanceVenue, call: Call) -> ApiKey:
    """The key that the request names. Raises -1102, -2014 or -2015."""
    if not call.api_key:
        if call.session is None:
            raise VenueError(-2014, "API-key format invalid.", status=401)
        raise errors.missing("apiKey")
    auth.check_key_format(call.api_key)
    key = venue.exchange.accounts.keys.get(call.api_key)
    if key is None or not key.enabled:
        raise errors.bad_key()
    return key


def verify_request(venue: BinanceVenue, call: Call) -> None:
    """Key and signature of this one request. Raises -1102, -2014, -2015, -1021 or -1022."""
    key = find_key(venue, call)
    if not call.signature:
        raise errors.missing("signature")
    auth.check_time(*times_of(call), call.received_ns)
    auth.verify(key, call.payload, call.signature)
    call.key = key
