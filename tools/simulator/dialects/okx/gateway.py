"""From a named request to its outcome, the same for REST and WebSocket.

In the venue's order: limits, key and clock and signature (done by the transport), permission, deadline, then the
method. A method either gives rows, or raises `OkxError`; methods about orders give a row with its own `sCode` for each
order, and the whole is then "0", "1" or "2" (section 2.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any

import attrs

from tools.simulator.core.accounts import Account, ApiKey
from tools.simulator.core.model import Reject
from tools.simulator.dialects.okx.errors import OkxError, from_reject
from tools.simulator.dialects.okx.limits import Demand
from tools.simulator.dialects.okx.params import Params

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue


class Security(Enum):
    NONE = "none"
    READ = "read"
    TRADE = "trade"


class Scope(Enum):
    """Whom a limit counts."""

    IP = "ip"
    USER = "user"


@attrs.define(kw_only=True)
class Call:
    """One request on its way."""

    method: Method
    items: list[Params]  # the orders of a batch; one element for everything else
    peer: str
    received_ns: int
    by_code: bool = False  # on a WebSocket: instruments are named by their number
    exp_ns: int | None = None
    key: ApiKey | None = None

    @property
    def params(self) -> Params:
        return self.items[0]

    @property
    def account(self) -> Account:
        """The account of the verified key."""
        if self.key is None:
            raise AssertionError(f"{self.method.name} asks for an account but is not signed")
        return self.key.account


@attrs.frozen(kw_only=True)
class Outcome:
    """What goes back."""

    code: str = "0"
    msg: str = ""
    data: list[Any] = attrs.Factory(list)
    status: int = 200
    in_ns: int = 0
    out_ns: int = 0  # not zero: the venue tells both times (orders)
    page: bytes = b""  # not the API's answer but a page of something before it

    @classmethod
    def failed(cls, error: OkxError) -> Outcome:
        return cls(code=error.code, msg=error.msg, status=error.status)

    def body(self) -> dict[str, Any]:
        """As REST has it; a WebSocket adds `id` and `op`."""
        body = {"code": self.code, "msg": self.msg, "data": self.data}
        if self.out_ns:
            body |= {"inTime": str(self.in_ns // 1000), "outTime": str(self.out_ns // 1000)}
        return body


Handler = Callable[["OkxVenue", Call], list[Any]]
Demands = Callable[["OkxVenue", Call], Iterable[Demand]]


@attrs.frozen(kw_only=True)
class Method:
    """One thing the venue can be asked."""

    name: str
    """What request faults match: the operation of orders, else the path's end (`orders-pending`)."""
    handler: Handler
    rest: tuple[str, str] | None = None
    security: Security = Security.READ
    limit: int = 0
    """Requests in two seconds; 0: its demands say."""
    scope: Scope = Scope.USER
    demands: Demands | None = None
    batch: int = 1
    """How many orders it takes."""
    op: str = ""
    """On a WebSocket."""
    places: bool = False
    deadline: bool = False
    """`expTime` holds for it."""
    orders: bool = False
    """Its rows are results of orders."""


class MethodTable:
    """All methods, by WebSocket operation and by REST verb and path."""

    def __init__(self) -> None:
        self.by_op: dict[str, Method] = {}
        self.by_path: dict[tuple[str, str], Method] = {}
        self.paths: set[str] = set()

    def add(self, *methods: Method) -> None:
        for method in methods:
            if method.op:
                self.by_op[method.op] = method
            if method.rest is not None:
                self.by_path[method.rest] = method
                self.paths.add(method.rest[1])


def execute(venue: OkxVenue, call: Call) -> Outcome:
    """Run one request to its end. Never raises for anything the client did."""
    method, now = call.method, venue.clock.now_ns()
    try:
        venue.check_blocked(call.peer)
        venue.buckets.take(_demands(venue, call), now)
        if method.security is Security.TRADE:
            assert call.key is not None
            if not (call.key.can_trade and call.key.account.can_trade):
                raise OkxError("50120", status=401)
        if call.exp_ns is not None and method.deadline:
            if call.exp_ns < call.received_ns:
                raise OkxError("50036")
            if call.exp_ns < now:
                raise OkxError("50037")
        rows = method.handler(venue, call)
    except OkxError as error:
        return Outcome.failed(error)
    if not method.orders:
        return Outcome(data=rows)
    # The texts stand in the rows; the one of the whole is empty (5.4, 6).
    return Outcome(code=result_code(rows), data=rows, in_ns=call.received_ns, out_ns=max(now, call.received_ns + 1000))


def result_code(rows: list[Any]) -> str:
    """ "0" all good, "1" none, "2" some."""
    good = sum(row["sCode"] == "0" for row in rows)
    return "0" if good == len(rows) else "2" if good else "1"


def _demands(venue: OkxVenue, call: Call) -> Iterable[Demand]:
    method = call.method
    if method.demands is not None:
        return method.demands(venue, call)
    limit = method.limit * venue.limits.reads_percent // 100
    if not limit:
        return ()
    who = call.peer if method.scope is Scope.IP else call.account.name
    return (Demand((method.scope.value, method.name, who), limit),)


def each(call: Call, act: Callable[[Params], dict[str, Any]]) -> list[dict[str, Any]]:
    """One result for each order, refusals included."""
    return [_one(params, act) for params in call.items]


def _one(params: Params, act: Callable[[Params], dict[str, Any]]) -> dict[str, Any]:
    try:
        return act(params)
    except Reject as reject:
        error = from_reject(reject)
    except OkxError as refusal:
        error = refusal
    return {
        "ordId": params.text("ordId"),
        "clOrdId": params.text("clOrdId"),
        "tag": params.text("tag"),
        "ts": "",
        "sCode": error.code,
        "sMsg": error.msg,
        "subCode": error.sub_code,
    }
