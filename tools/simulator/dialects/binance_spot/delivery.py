"""Between a request and its reply: where the fault plan may strike (section 20).

`perform` runs one request and passes its outcome to a `Link`, the way back to the client: a WebSocket, or a waiting
HTTP response. Whatever the plan says (lost reply, late accept, 5xx after execution, ...) is done here and nowhere
else, so both transports fail alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

from tools.simulator.core.clock import MS
from tools.simulator.core.faults import REQUEST, Fault, FaultKind
from tools.simulator.dialects.binance_spot import errors
from tools.simulator.dialects.binance_spot.gateway import Call, Method, Outcome, execute, limited

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot

NEVER_RUN = frozenset(
    {
        FaultKind.ERROR_BEFORE,
        FaultKind.TIMEOUT_LOST,
        FaultKind.RATE_LIMIT,
        FaultKind.BAN,
        FaultKind.CUT_BEFORE,
    }
)


class Link(Protocol):
    """The way back to who asked. Exactly one of the three is called, once."""

    def reply(self, outcome: Outcome) -> None: ...

    def silence(self) -> None: ...

    def cut(self) -> None: ...


def perform(venue: BinanceSpot, method: Method, call: Call, link: Link) -> None:
    """Run the request, with the configured latency on the way in."""
    venue.note_arrivals(method, call.params)
    delay_s = venue.latency.request_s()
    if not delay_s:
        _perform(venue, method, call, link)
        return
    due = trio.current_time() + delay_s
    if call.session is not None:  # one connection delivers in order, however long each request takes
        due = call.session.last_due = max(due, call.session.last_due)
    venue.scheduler.at(due, lambda: _perform(venue, method, call, link))


def _perform(venue: BinanceSpot, method: Method, call: Call, link: Link) -> None:
    fault = venue.faults.take(REQUEST, method.name, account=venue.account_name(call))
    if fault is None:
        venue.user_data.hold()
        try:
            outcome = execute(venue, method, call)
        finally:
            events = venue.user_data.release()
        delay_s = venue.latency.reply_s()
        if delay_s:
            venue.scheduler.after(delay_s, lambda: link.reply(outcome))
        else:
            link.reply(outcome)
        venue.user_data.deliver(events)
    elif fault.kind in NEVER_RUN:
        _refuse(venue, fault, call, link)
    elif fault.kind is FaultKind.DELAY_REQUEST:
        venue.scheduler.after(fault.delay_ms / 1000, lambda: link.reply(execute(venue, method, call)))
    elif fault.kind is FaultKind.LATE_ACCEPT:
        link.silence()

        def accept() -> None:
            execute(venue, method, call)

        venue.scheduler.after(fault.delay_ms / 1000, accept)
    else:
        _run_badly(venue, fault, method, call, link)


def _refuse(venue: BinanceSpot, fault: Fault, call: Call, link: Link) -> None:
    """Faults that keep the request away from the engine."""
    if fault.kind is FaultKind.CUT_BEFORE:
        link.cut()
    elif fault.kind is FaultKind.ERROR_BEFORE:
        link.reply(Outcome.failed(errors.internal(fault.status)))
    elif fault.kind is FaultKind.TIMEOUT_LOST:
        timeout = Outcome.failed(errors.unknown_status())
        venue.scheduler.after(fault.delay_ms / 1000, lambda: link.reply(timeout))
    else:
        ban = fault.kind is FaultKind.BAN
        until = venue.clock.now_ns() + max(fault.delay_ms, 1000) * MS
        venue.peer_limits(call.peer).block(until, ban=ban)
        link.reply(limited(venue, call.peer))
        if ban:
            venue.drop_sockets(call.peer)


def _run_badly(venue: BinanceSpot, fault: Fault, method: Method, call: Call, link: Link) -> None:
    """Faults that let the request take effect and spoil what follows."""
    delay_s = fault.delay_ms / 1000
    venue.user_data.hold()
    try:
        outcome = execute(venue, method, call)
    finally:
        events = venue.user_data.release()
    kind = fault.kind
    if kind is FaultKind.REPLY_FIRST:
        link.reply(outcome)
        venue.scheduler.after(delay_s, lambda: venue.user_data.deliver(events))
        return
    venue.user_data.deliver(events)
    if kind is FaultKind.LOST_REPLY:
        link.silence()
    elif kind is FaultKind.CUT_AFTER:
        link.cut()
    elif kind is FaultKind.ERROR_AFTER:
        link.reply(Outcome.failed(errors.internal(fault.status)))
    elif kind is FaultKind.TIMEOUT_EXECUTED:
        timeout = Outcome.failed(errors.unknown_status())
        venue.scheduler.after(delay_s, lambda: link.reply(timeout))
    elif kind is FaultKind.DELAY_REPLY:
        venue.scheduler.after(delay_s, lambda: link.reply(outcome))
    else:  # EVENT_FIRST
        link.reply(outcome)
