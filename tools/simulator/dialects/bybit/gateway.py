"""From a request to its outcome, the same for REST and for the trade socket (sections 2 to 4).

In the venue's order: the address's limit, key and clock and signature, the endpoint's bucket, then the method itself.
An order request draws from one bucket per endpoint and product, whatever it came in by; a batch from its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from tools.simulator.core.accounts import Account
from tools.simulator.core.model import Reject
from tools.simulator.dialects.bybit.errors import VenueError, from_reject, not_permitted, too_many
from tools.simulator.dialects.bybit.limits import Usage, order_bucket
from tools.simulator.dialects.bybit.params import Params

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit


@attrs.define(kw_only=True)
class Call:
    """One request on its way."""

    params: Params
    peer: str
    identify: Callable[[], Account]
    """Who asks; raises VenueError where that cannot be verified.  Not called for public requests."""
    key: Any = None
    verified: Account | None = None
    ext: Any = attrs.Factory(dict)
    """`retExtInfo` of a success."""
    usage: Usage | None = None

    @property
    def account(self) -> Account:
        if self.verified is None:
            raise AssertionError("the method asks for an account but is public")
        return self.verified


@attrs.frozen(kw_only=True)
class Outcome:
    """What goes back."""

    result: Any = attrs.Factory(dict)
    ext: Any = attrs.Factory(dict)
    error: VenueError | None = None
    usage: Usage | None = None


Handler = Callable[["Bybit", Call], Any]


@attrs.frozen(kw_only=True)
class Method:
    """One thing the venue can be asked.  `name` is what request faults match: an order's op, else the path's words."""

    name: str
    verb: str
    path: str
    handler: Handler
    signed: bool = True
    rate: int = 50
    """Per account and second; of order requests see `action`."""
    action: str = ""
    """Of an order request: which bucket it draws from."""
    batch: bool = False
    """Draws as many as it has members; the handler does that."""

    @property
    def changes_orders(self) -> bool:
        return bool(self.action)


def execute(venue: Bybit, method: Method, call: Call) -> Outcome:
    """Run one request to its end.  Never raises for anything the client did."""
    category = call.params.values.get("category", "")
    try:
        if method.signed:
            call.verified = call.identify()
            _charge(venue, method, call)
        return Outcome(result=method.handler(venue, call), ext=call.ext, usage=call.usage)
    except Reject as reject:
        error = from_reject(reject, str(category))
    except VenueError as refusal:
        error = refusal
    return Outcome(error=error, usage=call.usage)


def _charge(venue: Bybit, method: Method, call: Call) -> None:
    """Draw from the bucket.  Raises 10006, and 10005 for a key that may not trade."""
    account, now = call.account, venue.clock.now_ns()
    limited = venue.peer_limits(call.peer).limited_until_ns
    if now < limited:
        raise too_many(limited)
    if method.changes_orders and not account.can_trade:
        raise not_permitted()
    if method.batch:
        return
    name, rate = f"{method.verb} {method.path}", method.rate
    if method.action:
        name, rate = order_bucket(method.action, call.params.category())
    try:
        call.usage = venue.buckets.take(account, name, rate, now)
    except VenueError as refusal:
        call.usage = Usage(rate, 0, refusal.reset_ns)
        raise


def draw(venue: Bybit, action: str, category: str, call: Call, wanted: int) -> int:
    """Draw for a batch: how many of its members may pass; the tail fails."""
    name, rate = order_bucket(action, category)
    taken, call.usage = venue.buckets.take_many(call.account, name, rate, wanted, venue.clock.now_ns())
    return taken
