"""Private events: what an account's subscribers get, through the fault plan.

A dialect renders an event for each *variant* of its subscribers (a time unit, a format, a topic list) once and emits it
here.  A request's own events can be held until its reply has been queued, or the other way round: no venue promises
which of the two comes first, so the simulator can do both (`core.delivery`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from tools.simulator.core.accounts import Account
from tools.simulator.core.faults import EVENT, FaultKind, FaultPlan
from tools.simulator.core.scheduler import Scheduler


class PrivateSession(Protocol):
    """A connection that may hold subscriptions."""

    @property
    def variant(self) -> Hashable:
        """Subscribers of one variant get the same bytes."""
        ...

    def send_event(self, subscription: Any, event: bytes) -> None:
        """`subscription` is what was given to `subscribe`."""
        ...


Bodies = dict[Hashable, bytes | None]
Held = list[tuple[Account, str, Bodies]]


class PrivateChannel:
    """Who listens to which account, and the delivery of what is emitted."""

    def __init__(self, faults: FaultPlan, scheduler: Scheduler) -> None:
        self._faults = faults
        self._scheduler = scheduler
        self._subscribers: dict[Account, dict[tuple[PrivateSession, Any], None]] = {}
        self._held: Held | None = None
        self.sent: Counter[str] = Counter()
        self.delay_s = 0.0

    # -------------------------------------------------------------------------------- subscriptions
    def subscribe(self, account: Account, session: PrivateSession, subscription: Any = None) -> None:
        self._subscribers.setdefault(account, {})[session, subscription] = None

    def unsubscribe(self, account: Account, session: PrivateSession, subscription: Any = None) -> None:
        listeners = self._subscribers.get(account)
        if listeners is not None:
            listeners.pop((session, subscription), None)
            if not listeners:
                del self._subscribers[account]

    def count(self, account: Account) -> int:
        return len(self._subscribers.get(account, ()))

    def wanted(self, account: Account) -> bool:
        """Does anybody listen?  Spares the rendering where not."""
        return account in self._subscribers

    # -------------------------------------------------------------------------------------- delivery
    def hold(self) -> None:
        """Keep what follows until `release` takes it."""
        self._held = []

    def release(self) -> Held:
        """What was held since `hold`; nothing is held any more."""
        held, self._held = self._held, None
        return held or []

    def deliver(self, held: Held) -> None:
        for account, subject, bodies in held:
            self._pass(account, subject, bodies)

    def emit(self, account: Account, subject: str, build: Callable[[Any], bytes | None]) -> None:
        """Send one event to the account's subscribers.  `subject` is what event faults match, `type:what happened`
        (`executionReport:TRADE`).  `build` renders at once, for each variant; None: not for this variant."""
        variants = {session.variant for session, _ in self._subscribers.get(account, ())}
        bodies: Bodies = {variant: build(variant) for variant in variants}
        if self._held is not None:
            self._held.append((account, subject, bodies))
        else:
            self._pass(account, subject, bodies)

    def _pass(self, account: Account, subject: str, bodies: Bodies) -> None:
        """Through the fault plan to every subscription."""
        self.sent[subject] += 1
        fault = self._faults.take(EVENT, subject, account=account.name)
        if fault is not None and fault.kind is FaultKind.EVENT_DROP:
            return
        if fault is not None and fault.kind is FaultKind.EVENT_DELAY:
            self._scheduler.after(fault.delay_ms / 1000, lambda: self._send(account, bodies))
            return
        if self.delay_s:
            self._scheduler.after(self.delay_s, lambda: self._send(account, bodies))
        else:
            self._send(account, bodies)
        if fault is not None and fault.kind is FaultKind.EVENT_DUPLICATE:
            self._send(account, bodies)

    def _send(self, account: Account, bodies: Bodies) -> None:
        for session, subscription in list(self._subscribers.get(account, ())):
            body = bodies.get(session.variant)
            if body is not None:
                session.send_event(subscription, body)
