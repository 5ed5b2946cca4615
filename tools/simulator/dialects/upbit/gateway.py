"""One request: its group, its key, its handler, its outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from tools.simulator.core.accounts import Account, ApiKey
from tools.simulator.core.clock import SECOND
from tools.simulator.core.model import Reject
from tools.simulator.dialects.upbit import errors
from tools.simulator.dialects.upbit.errors import VenueError
from tools.simulator.dialects.upbit.limits import Budget, Verdict
from tools.simulator.dialects.upbit.params import Params

if TYPE_CHECKING:
    from tools.simulator.dialects.upbit.venue import Upbit


@attrs.define(kw_only=True)
class Call:
    """One request on its way."""

    params: Params
    peer: str
    authorization: str | None = None
    has_origin: bool = False
    path: str = ""
    key: ApiKey | None = None

    @property
    def account(self) -> Account:
        """The account of the verified key."""
        assert self.key is not None
        return self.key.account


@attrs.frozen(kw_only=True)
class Outcome:
    """What goes back: a status, a body, and what the group has left."""

    status: int = 200
    body: Any = None
    public: bool = False
    group: str = "default"
    left: int = 0
    retry_after_s: int = 0


Handler = Callable[["Upbit", Call], Any]


@attrs.frozen(kw_only=True)
class Method:
    """One thing the venue can be asked. `name` is what request faults match."""

    name: str
    verb: str
    path: str
    group: str
    handler: Handler
    public: bool = False
    trades: bool = False  # the key must be allowed to
    status: int = 200


def execute(venue: Upbit, method: Method, call: Call) -> Outcome:
    """Run one request to its end. Never raises for anything the client did."""
    now = venue.clock.now_ns()
    group = "origin" if method.public and call.has_origin else method.group
    budget = venue.peer_budget(call.peer)
    if now < budget.blocked_until_ns:
        return refused(budget, group, now, method, Verdict.BANNED if budget.banned else Verdict.LIMITED)
    try:
        if not method.public:
            call.key = venue.gate.admit(call.authorization, call.params.pairs)
            if method.trades and not (call.key.can_trade and call.account.can_trade):
                raise errors.out_of_scope()
            budget = venue.account_budget(call.account)
    except VenueError as error:
        return Outcome(status=error.status, body=error.body(), group=group, left=venue.whole(group))
    verdict = budget.take(group, now)
    if verdict is not Verdict.PASS:
        return refused(budget, group, now, method, verdict)
    left = budget.left(group, now)
    try:
        body = method.handler(venue, call)
    except Reject as reject:
        refusal = errors.from_reject(reject)
    except VenueError as error:
        refusal = error
    else:
        return Outcome(status=method.status, body=body, public=method.public, group=group, left=left)
    return Outcome(status=refusal.status, body=refusal.body(), public=method.public, group=group, left=left)


def refused(budget: Budget, group: str, now_ns: int, method: Method | None, verdict: Verdict) -> Outcome:
    """429, or 418 for who did not listen; the body says for how long."""
    name: str | int = verdict.value if method is not None and method.public else "too_many_requests"
    wait_s = max(1, -(-(budget.blocked_until_ns - now_ns) // SECOND))
    text = "Too many API requests."
    if verdict is Verdict.BANNED:
        text = f"Too many API requests; blocked for {wait_s} seconds."
    error = VenueError(name, text, status=verdict.value)
    return Outcome(status=verdict.value, body=error.body(), group=group)
