"""The listen key of a private stream: asked for by REST, kept alive, replaced when it is dead.

The key lets anybody read the account's events, so it is in no log, no error, no console: it leaves this module as part
of a path that goes to the transport alone.

A key is asked for before each connection: while one is alive the venue gives the same again and extends it, so two
connections of a planned replacement share one.  A keep-alive that is refused as NOT_FOUND means that the key is dead
and its stream silent, although the socket stays open (`died`).  Nothing is closed with DELETE: that would silence every
process that reads the account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors.venue.calls import RestCalls
from actors.venue.settings import SECOND
from actors.venue.signing import SigningSession
from protocols.errors import OutcomeUnknown, RemoteProtocolError, VenueUnavailable
from protocols.venue import Disposition, HttpReply, HttpRequest, ListenKeys, VenueError
from supervisors.actor import Context

RETRY_NS = 20 * SECOND
"""After a keep-alive that the venue could not be asked for."""


class ListenKeyKeeper:
    """One account's key on one venue, for one incarnation of its private stream."""

    def __init__(
        self,
        ctx: Context,
        codec: ListenKeys,
        calls: RestCalls,
        session: SigningSession,
        died: Callable[[str], None],
    ) -> None:
        """`died` is called with the reason when the venue says that the key is not alive any more."""
        self._ctx = ctx
        self._codec = codec
        self._calls = calls
        self._session = session
        self._died = died
        self._key = ""
        self._asked = 0
        self._kept_alive = 0
        self._deaths = 0
        self._alive_ns = 0
        """Monotonic time of the newest proof that the key lives."""

    async def path(self) -> str:
        """Path of the private stream, with a key that is alive.  Raises VenueUnavailable, AuthError."""
        codec = self._codec
        reply, error = await self._call(codec.listen_key_request)
        if error is not None:
            self._session.raise_for(error)
        try:
            self._key = codec.decode_listen_key(reply)
        except RemoteProtocolError as problem:
            raise VenueUnavailable(str(problem)) from None
        self._asked += 1
        self._alive_ns = self._ctx.monotonic_ns
        return codec.private_path_of(self._key)

    def forget(self) -> None:
        """The venue has said that the key is dead."""
        self._key = ""
        self._deaths += 1

    async def refresh_for_ever(self) -> None:
        """Keep the key alive until canceled."""
        refresh_ns = self._codec.listen_key_refresh_ns
        wait_ns = refresh_ns
        while True:
            await self._ctx.sleep(wait_ns)
            wait_ns = refresh_ns
            if self._key and not await self._refresh():
                wait_ns = min(RETRY_NS, refresh_ns)
            self._ctx.flush()

    async def _refresh(self) -> bool:
        """False when nobody could be asked."""
        key = self._key
        try:
            _, error = await self._call(lambda: self._codec.keep_listen_key_request(key))
        except VenueUnavailable as failure:
            self._ctx.note("request_failed", f"keep-alive of the listen key: {failure}")
            return False
        if error is None:
            self._kept_alive += 1
            self._alive_ns = self._ctx.monotonic_ns
        elif error.disposition is Disposition.NOT_FOUND:
            if key == self._key:
                self.forget()
                self._died(f"the listen key is dead: {error.code} {error.text}")
        else:
            self._ctx.note("request_failed", f"keep-alive of the listen key: {error.code} {error.text}")
            return False
        return True

    async def _call(self, make: Callable[[], HttpRequest]) -> tuple[HttpReply, VenueError | None]:
        try:
            return await self._calls.call(make)
        except OutcomeUnknown as unknown:  # it changes nothing to ask again
            raise VenueUnavailable(str(unknown)) from unknown

    def inspect(self) -> Mapping[str, object]:
        """For the console; never the key."""
        return {
            "listen_key": {
                "alive_s_ago": (self._ctx.monotonic_ns - self._alive_ns) // SECOND if self._alive_ns else None,
                "asked": self._asked,
                "kept_alive": self._kept_alive,
                "deaths": self._deaths,
            }
        }
