"""The venue's instruments and limits: read at start, every hour and at announced changes; told to those who need them.

An unreachable venue is waited for (the ready gate stays shut and says why); a venue that refuses the question (an
unknown symbol) is a mistake of the configuration and ends the actor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.venue.backoff import reconnect_delay_ns
from actors.venue.calls import RestCalls
from actors.venue.http import HttpClient
from actors.venue.messages import LimitsKnown
from actors.venue.settings import SECOND, ReconnectSettings
from protocols.base import Query
from protocols.control import InstrumentsChanged
from protocols.errors import ConfigError, OutcomeUnknown, RemoteProtocolError, VenueUnavailable
from protocols.ids import Path, Symbol
from protocols.instruments import Instrument
from protocols.reconcile import InstrumentsQuery
from protocols.venue import Disposition, PublicCodec
from supervisors.actor import Actor, ReadyWhen

HOUR_NS = 3600 * SECOND
AFTER_CHANGE_NS = 2 * SECOND
"""Venues are not punctual to the second."""

_OUR_MISTAKE = (Disposition.REJECTED, Disposition.BUG, Disposition.NOT_FOUND)


class InstrumentsActor(Actor):
    """Knows what can be traded and in which steps."""

    READY_WHEN = ReadyWhen.TOLD

    def __init__(
        self,
        codec: PublicCodec,
        http: HttpClient,
        symbols: Sequence[Symbol],
        *,
        limiter: Path,
        clock: Path,
        readers: Sequence[Path] = (),
        reconnect: ReconnectSettings | None = None,
        refresh_ns: int = HOUR_NS,
    ) -> None:
        """`readers` get `InstrumentsChanged` at the first load and whenever something differs."""
        self._codec = codec
        self._http = http
        self._symbols = tuple(symbols)
        self._limiter = limiter
        self._clock = clock
        self._readers = tuple(readers)
        self._reconnect = reconnect or ReconnectSettings()
        self._refresh_ns = refresh_ns
        self._instruments: tuple[Instrument, ...] = ()
        self._loaded_ns = 0
        self._loads = 0
        self._failure = ""

    async def run(self) -> None:
        self._calls = RestCalls(self.ctx, self._http, self._limiter, self._clock, self._codec)
        self.ctx.set_unready("instruments not loaded yet")
        failures = 0
        while True:
            try:
                await self._load()
                failures, wait_ns = 0, self._until_next_ns()
            except (VenueUnavailable, OutcomeUnknown, RemoteProtocolError) as error:
                self._failure = str(error)
                self.ctx.note("request_failed", self._failure)
                failures += 1
                wait_ns = reconnect_delay_ns(self._reconnect, failures, self.ctx.random(), refused=False)
                if not self._loads:
                    self.ctx.set_unready(f"instruments not loaded: {error}")
            await self.ctx.sleep(wait_ns)

    async def _load(self) -> None:
        reply, error = await self._calls.call(lambda: self._codec.instruments_request(self._symbols))
        if error is not None:
            if error.disposition in _OUR_MISTAKE:
                wanted = ", ".join(self._symbols)
                raise ConfigError(f"venue {self._codec.venue} refuses symbols {wanted}: {error.code} {error.text}")
            raise VenueUnavailable(f"instruments request: {error.code} {error.text}")
        everything, limits = self._codec.decode_instruments(reply)
        # Some venues list all that they have: hundreds that nobody here trades, and that each reader would keep.
        found = [instrument for instrument in everything if instrument.symbol in self._symbols]
        missing = set(self._symbols) - {instrument.symbol for instrument in found}
        if missing:
            raise ConfigError(f"venue {self._codec.venue} has no symbols {', '.join(sorted(missing))}")
        self._failure = ""
        self._loads += 1
        self._loaded_ns = self.ctx.now_ns
        self.ctx.send(self._limiter, LimitsKnown(tuple(limits), self._codec.venue))
        instruments = tuple(found)
        if instruments != self._instruments or self._loads == 1:
            self._instruments = instruments
            for reader in self._readers:
                self.ctx.send(reader, self._picture())
        self.ctx.set_ready()
        self.ctx.flush()

    def _until_next_ns(self) -> int:
        """How long the list is good: until the next change that the venue has announced, and never long."""
        announced = [instrument.changes_ns for instrument in self._instruments if instrument.changes_ns]
        if not announced:
            return self._refresh_ns
        return min(self._refresh_ns, max(min(announced) - self.ctx.now_ns, 0) + AFTER_CHANGE_NS)

    def _picture(self) -> InstrumentsChanged:
        return InstrumentsChanged(self._codec.venue, self._instruments)

    def answer(self, query: Query) -> object:
        if not isinstance(query, InstrumentsQuery):
            return super().answer(query)
        return self._picture()

    def inspect(self) -> Mapping[str, object]:
        status = {instrument.symbol: instrument.status.value for instrument in self._instruments}
        return {"instruments": status, "loaded_ns": self._loaded_ns, "loads": self._loads, "failure": self._failure}
