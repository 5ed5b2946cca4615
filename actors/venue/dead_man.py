"""The venue's dead-man switch: it cancels our orders when we have not been heard for a while.

Armed while order entry runs, and told again every third of its time, so that two lost requests do not fire it.  Where
the venue counts by symbol (`capabilities.dead_man_by_symbol`) each symbol that was traded is armed for itself.

It is a net, not a gate: a switch that cannot be armed is told loudly (`ctx.note`, console), and trading goes on.  At an
orderly stop it is disarmed, because the account may hold orders of its owner; after a crash it fires, which is what it
is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio

from actors.venue.calls import RestCalls
from actors.venue.settings import MS, SECOND
from actors.venue.signing import SigningSession
from protocols.errors import LocalProtocolError, OutcomeUnknown, VenueUnavailable
from protocols.ids import Symbol
from protocols.venue import DeadManSwitch
from supervisors.actor import Context

SHARES = 3
"""So often within the switch's time it is told that we live."""
DISARM_NS = 2 * SECOND


class DeadMan:
    """One account's switch on one venue."""

    def __init__(
        self,
        ctx: Context,
        codec: DeadManSwitch,
        calls: RestCalls,
        session: SigningSession,
        timeout_ns: int,
        *,
        by_symbol: bool,
        symbols: Sequence[Symbol] = (),
    ) -> None:
        self._ctx = ctx
        self._codec = codec
        self._calls = calls
        self._session = session
        self._timeout_ns = timeout_ns
        self._scopes: dict[Symbol | None, int] = dict.fromkeys(symbols, 0) if by_symbol else {None: 0}
        """Symbol (None: the account) -> monotonic time until which the switch is known to be armed."""
        self._by_symbol = by_symbol
        self._failure = ""
        self._news = trio.Event()

    def cover(self, symbol: Symbol) -> None:
        """An order of this symbol leaves."""
        if self._by_symbol and symbol not in self._scopes:
            self._scopes[symbol] = 0
            self._news.set()

    async def run(self) -> None:
        """Keep the switch armed until canceled."""
        while True:
            self._news = trio.Event()
            for symbol in list(self._scopes):
                await self._tell(symbol, self._timeout_ns)
            self._ctx.flush()
            with trio.move_on_after(self._timeout_ns / SHARES / SECOND):
                await self._news.wait()

    async def disarm(self) -> None:
        """An orderly stop."""
        with trio.move_on_after(DISARM_NS / SECOND):
            for symbol, until_ns in list(self._scopes.items()):
                if until_ns:
                    await self._tell(symbol, 0)

    async def _tell(self, symbol: Symbol | None, timeout_ns: int) -> None:
        asked_ns = self._ctx.monotonic_ns
        try:
            _, error = await self._calls.call(
                lambda: self._codec.dead_man_request(symbol, timeout_ns, self._session.stamp_ns())
            )
        except (VenueUnavailable, OutcomeUnknown, LocalProtocolError) as failure:
            self._note(symbol, str(failure))
            return
        if error is not None:
            self._note(symbol, f"{error.code} {error.text}")
            return
        self._scopes[symbol] = asked_ns + timeout_ns if timeout_ns else 0
        self._failure = ""

    def _note(self, symbol: Symbol | None, text: str) -> None:
        text = f"dead-man switch of {symbol or 'the account'}: {text}"
        if text != self._failure:
            self._failure = text
            self._ctx.note("alarm", text)

    def inspect(self) -> Mapping[str, object]:
        """For the console: how long each scope stays armed without us."""
        now_ns = self._ctx.monotonic_ns
        return {
            "dead_man": {
                "armed_ms": {
                    str(symbol or "account"): max(0, (ns - now_ns) // MS) for symbol, ns in self._scopes.items()
                },
                "failure": self._failure,
            }
        }
