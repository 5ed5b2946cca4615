"""Keeping one logical connection open for ever: the part that all stream sessions share.

`LinkKeeper` opens a connection, lets its session prepare it (log on, subscribe), reads it, and opens another when it
is lost, when the venue announces its end, or shortly before the venue's age limit.  A *planned* replacement overlaps:
the new connection is prepared while the old one is still read, then they are switched, then the old one is closed, so
nothing is missed.  After an *unplanned* loss there is a hole, and the connection number (`Link.epoch`), which all
messages of the link carry, goes up; a planned replacement keeps it.

A session supplies four hooks (`LinkSession`) and sees nothing of sockets, delays or permits::

    keeper = LinkKeeper(ctx=self.ctx, session=self, url=url, rules=codec.rules, ...)
    await keeper.run()

How an attempt is addressed and authenticated can differ from attempt to attempt (`dial`), a venue may want to hear its
own words instead of a WebSocket ping (`keep_alive`), and a connection that may be quiet for a long time is asked for
signs of life (`probe_quiet`), because nothing else tells a quiet one from one that is half open.

What a session's `take` may raise: RemoteProtocolError (the link is dropped and opened again), AuthError (the same,
but a key that was refused is tried again only after a long pause); everything else is a bug and ends the actor.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import attrs
import trio

from actors.venue.backoff import reconnect_delay_ns
from actors.venue.calls import NotPermitted, blocked_by
from actors.venue.messages import BlockedByVenue, Permit, PermitQuery, PermitSettled
from actors.venue.settings import MS, SECOND, ReconnectSettings, TransportSettings
from actors.venue.transport import Backlogged, HandshakeRefused, WebSocket, connect_websocket
from protocols.errors import AuthError, BulkheadError, RemoteProtocolError, VenueUnavailable
from protocols.ids import Path
from protocols.venue import HttpReply, Lane, SessionRules, VenueError
from supervisors.actor import AskError, Context

PERMIT_PATIENCE_NS = 30 * SECOND
RETIRE_MAX_NS = 15 * SECOND
"""A replaced connection that still owes answers is read at most this long."""
UNAUTHORIZED = 401
_ASKS_FOR_PATIENCE = (403, 418, 429)
"""Too many requests, or a ban (bybit-v5 section 4 says 403 for both)."""


@attrs.frozen
class Dial:
    """How one attempt to connect is addressed and authenticated."""

    url: str = attrs.field(repr=False)
    shown: str
    """What may be told of the address."""
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Of the upgrade request."""
    if_unauthorized: str = ""
    """What it means when the venue answers the upgrade with 401; "": nothing in particular."""


@attrs.define(eq=False)
class Link:
    """One connection of a session."""

    number: int
    """Counts every connection of this incarnation."""
    epoch: int
    """Goes up with every hole; carried by the messages as `connection`."""
    socket: WebSocket
    opened_ns: int
    """Monotonic."""
    logged_on: bool = False
    usable: bool = False
    """Prepared and not lost."""
    probed: bool = False
    """A ping of `LinkKeeper.probe` is out."""
    ending: bool = False
    """It is to be replaced as soon as it is in use; said of one that was replaced already, it means nothing."""
    over: trio.Event = attrs.Factory(trio.Event)


class LinkSession(Protocol):
    """What the owner of a keeper does with its links."""

    async def prepare(self, link: Link) -> None:
        """Log on, subscribe.  Replies arrive through `take`.  VenueUnavailable or a time-out: try again later.

        AuthError: the venue refuses our key; try again much later.
        """
        ...

    def not_opened(self, text: str) -> None:
        """There is no link, and the attempt to open one failed; others follow."""
        ...

    async def take(self, link: Link, raws: list[bytes]) -> None:
        """Messages of one socket read."""
        ...

    def link_up(self, link: Link) -> None:
        """Prepared, after the start or a loss."""
        ...

    def link_switched(self, old: Link, new: Link) -> None:
        """Planned replacement: `new` is prepared, `old` is still read for a while."""
        ...

    def link_down(self, link: Link, text: str) -> None:
        """The link in use is lost."""
        ...

    def link_over(self, link: Link) -> None:
        """Nothing will come from this link any more, lost or replaced."""
        ...

    def owes(self, link: Link) -> bool:
        """A replaced link is still owed answers: read on for a while."""
        ...


class LinkKeeper:
    """See the module text.  One per session actor and incarnation."""

    def __init__(
        self,
        *,
        ctx: Context,
        session: LinkSession,
        url: str,
        rules: SessionRules,
        transport: TransportSettings,
        reconnect: ReconnectSettings,
        tls: ssl.SSLContext | None,
        limiter: Path,
        account: str = "",
        dial: Callable[[], Awaitable[Dial]] | None = None,
        keep_alive: Callable[[], str] | None = None,
        probe_quiet: bool = False,
        prepare_timeout_ns: int = 0,
        refusal: Callable[[HttpReply], VenueError | None] | None = None,
    ) -> None:
        """`url` is shown; `dial` makes the address and headers of each attempt, without it `url` is the address.

        `keep_alive` makes the text to be sent every `rules.client_ping_interval_ns`, without it that is a WebSocket
        ping.  `dial` may raise what `LinkSession.prepare` may.  `prepare_timeout_ns`: of all of the preparation, where
        the session bounds its steps; 0: `reconnect.handshake_timeout_ns`.  `refusal` reads an answer that refuses the
        upgrade: whom it concerns, and for how long.
        """
        self._ctx = ctx
        self._session = session
        self._url = url
        self._rules = rules
        self._transport = transport
        self._reconnect = reconnect
        self._tls = tls
        self._limiter = limiter
        self._account = account
        self._dial = dial
        self._alive_text = keep_alive
        self._probe_quiet = probe_quiet
        self._addresses: dict[str, str] = {}
        """Where the venue's hosts were the last time."""
        self._refusal = refusal
        self._prepare_timeout_ns = prepare_timeout_ns or reconnect.handshake_timeout_ns
        self._costs = (("connections", 1), ("weight", rules.connect_weight))
        self.current: Link | None = None
        """The link in use; None while there is none."""
        self._links: list[Link] = []
        """All that are open: the current one, one being prepared, replaced ones that are still read."""
        self._epoch = ctx.epoch << 20
        self._count = 0
        self._failures = 0
        self._refused = False
        self._wait_until_ns = 0
        self._wake = trio.Event()
        self._closing = False
        self._nursery: trio.Nursery | None = None
        self.losses = 0
        self.replacements = 0
        self.failure = ""

    # ---- commands of the session --------------------------------------------------------------------------------

    def replace(self, link: Link) -> None:
        """The venue announced the end of this connection: open the next one now."""
        link.ending = True
        self._wake.set()

    def probe(self, link: Link, patience_ns: int | None = None) -> None:
        """An answer is overdue: ask for a sign of life, and end a link that gives none (half-open, peer hangs)."""
        if link.probed or self._nursery is None:
            return
        known = link.socket.statistics.bytes_in  # before the ping: its answer may be read before the wait begins
        try:
            link.socket.ping_nowait()
        except VenueUnavailable:
            return  # it is over, or ends now: its reader knows
        link.probed = True
        self._nursery.start_soon(self._await_sign_of_life, link, known, patience_ns or self._reconnect.pong_timeout_ns)

    async def _await_sign_of_life(self, link: Link, known: int, patience_ns: int) -> None:
        await self._ctx.sleep(patience_ns)
        link.probed = False
        if link.socket.statistics.bytes_in == known:
            link.socket.abort(f"an answer is overdue, and not a byte in {patience_ns // MS} ms")

    async def aclose(self) -> None:
        """Close all links politely; the keeper opens no more."""
        self._closing = True
        async with trio.open_nursery() as nursery:
            for link in list(self._links):
                nursery.start_soon(link.socket.aclose)

    # ---- the life -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a link open until canceled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            while not self._closing:
                first = await self._open_at_last(nursery, replacing=None)
                if first is not None:
                    self._use(first, None)
                    await self._follow(nursery, first)

    async def _follow(self, nursery: trio.Nursery, first: Link) -> None:
        link: Link | None = first
        while link is not None:
            link = await self._guard(nursery, link)

    async def _guard(self, nursery: trio.Nursery, link: Link) -> Link | None:
        """Watch one link until it is lost (None) or replaced (its successor)."""
        with trio.move_on_after(self._time_left_ns(link) / SECOND):
            while link.usable and not link.ending:
                self._wake = trio.Event()
                await self._wake.wait()
        if not link.usable:
            return None
        self._note_replacement(link)
        new = await self._open_at_last(nursery, replacing=link)
        if new is None:
            return None
        if self.current is not link:  # lost while its successor was prepared
            self._use(new, None)
            return new
        self._use(new, link)
        nursery.start_soon(self._retire, link)
        return new

    def _note_replacement(self, link: Link) -> None:
        """A venue that announces the end of each new connection at once is asked ever more slowly."""
        lived_ns = self._ctx.monotonic_ns - link.opened_ns
        hasty = link.ending and lived_ns < self._reconnect.stable_after_ns
        self._failures = self._failures + 1 if hasty else 0

    def _time_left_ns(self, link: Link) -> int:
        age_max_ns = self._rules.connection_age_max_ns
        if not age_max_ns:
            return 1 << 62
        margin_ns = min(self._reconnect.age_margin_ns, age_max_ns // 2)
        spread_ns = int(margin_ns // 4 * self._ctx.random())  # so that sessions do not replace all at once
        return max(0, link.opened_ns + age_max_ns - margin_ns - spread_ns - self._ctx.monotonic_ns)

    def _use(self, link: Link, old: Link | None) -> None:
        if old is None:
            self._epoch += 1
            link.epoch = self._epoch
            self.current = link
            self._ctx.note("connected", self._url)
            self._session.link_up(link)
        else:
            self.replacements += 1
            self._ctx.note("connection_replaced", self._url)
            self.current = link
            self._session.link_switched(old, link)
        self._ctx.flush()

    async def _retire(self, old: Link) -> None:
        await self._ctx.sleep(self._reconnect.overlap_ns)
        deadline_ns = self._ctx.monotonic_ns + RETIRE_MAX_NS
        while self._session.owes(old) and self._ctx.monotonic_ns < deadline_ns and not old.over.is_set():
            await self._ctx.sleep(SECOND // 10)
        await old.socket.aclose()

    # ---- opening ------------------------------------------------------------------------------------------------

    async def _open_at_last(self, nursery: trio.Nursery, replacing: Link | None) -> Link | None:
        """Try until a link is prepared.  None: the link to be replaced was lost, or the keeper is closing."""
        while not self._closing:
            await self._pause()
            try:
                link = await self._open(nursery)
            except (VenueUnavailable, RemoteProtocolError, AuthError, trio.TooSlowError) as error:
                self._note_failure(error)
                if self.current is None:
                    self._session.not_opened(self.failure)
                if replacing is not None and not replacing.usable:
                    return None
            else:
                return link
        return None

    async def _pause(self) -> None:
        if self._failures:
            delay_ns = reconnect_delay_ns(self._reconnect, self._failures, self._ctx.random(), refused=self._refused)
            await self._ctx.sleep(max(delay_ns, self._wait_until_ns - self._ctx.now_ns, 0))

    async def _open(self, nursery: trio.Nursery) -> Link:
        permit = await self._permit()
        dialed = False
        try:
            dial = await self._dial() if self._dial is not None else Dial(self._url, self._url)
            dialed = True
            socket = await self._connect(nursery, dial)
        finally:
            used, unused = (self._costs, ()) if dialed else ((), self._costs)
            settled = PermitSettled(permit.number, self._account, used, unused, (), self._ctx.now_ns)
            self._ctx.send(self._limiter, settled)
        self._count += 1
        link = Link(self._count, self._epoch, socket, self._ctx.monotonic_ns)
        self._links.append(link)
        nursery.start_soon(self._read, link)
        if self._rules.client_ping_interval_ns:
            nursery.start_soon(self._keep_alive, link)
        if self._probe_quiet and self._reconnect.quiet_probe_ns:
            nursery.start_soon(self._watch_quiet, link)
        prepared = False
        try:
            with trio.fail_after(self._prepare_timeout_ns / SECOND):
                await self._prepare(nursery, link)
            prepared = True
        except trio.TooSlowError:
            raise VenueUnavailable(f"{self._url}: no answer to logon or subscription in time") from None
        finally:
            if not prepared:
                link.socket.abort("could not be prepared")
        if link.over.is_set():
            raise VenueUnavailable(f"{self._url}: lost while it was prepared: {link.socket.ended}")
        link.usable = True
        self._refused, self._wait_until_ns = False, 0
        return link

    async def _connect(self, nursery: trio.Nursery, dial: Dial) -> WebSocket:
        try:
            return await connect_websocket(
                nursery,
                dial.url,
                self._transport,
                tls=self._tls,
                headers=dial.headers,
                shown=dial.shown,
                known=self._addresses,
            )
        except HandshakeRefused as refused:
            if refused.status != UNAUTHORIZED or not dial.if_unauthorized:
                raise
            words = refused.body[:200].decode("utf-8", "replace")
            raise AuthError(f"{dial.if_unauthorized}: {words}") from refused

    async def _prepare(self, nursery: trio.Nursery, link: Link) -> None:
        """The session's preparation, given up at once when the link is lost meanwhile."""
        with trio.CancelScope() as scope:

            async def give_up() -> None:
                await link.over.wait()
                scope.cancel()

            nursery.start_soon(give_up)
            await self._session.prepare(link)

    async def _permit(self) -> Permit:
        query = PermitQuery(Lane.NEW, self._costs, self._account, PERMIT_PATIENCE_NS)
        try:
            permit = await self._ctx.ask(self._limiter, query, PERMIT_PATIENCE_NS + SECOND)
        except AskError as error:
            raise NotPermitted(str(error)) from error
        assert isinstance(permit, Permit)
        return permit

    def _note_failure(self, error: BulkheadError | trio.TooSlowError) -> None:
        self._failures += 1
        self.failure = str(error)
        self._ctx.note("connect_failed", self.failure)
        self._refused = isinstance(error, HandshakeRefused) and error.status in _ASKS_FOR_PATIENCE
        self._wait_until_ns = 0
        if isinstance(error, HandshakeRefused) and error.status in (418, 429):
            blocked = self._blocked(error)
            self._wait_until_ns = blocked.until_ns
            self._ctx.send(self._limiter, blocked)
        elif isinstance(error, AuthError):
            self._wait_until_ns = self._ctx.now_ns + self._reconnect.key_refused_ns

    def _blocked(self, refused: HandshakeRefused) -> BlockedByVenue:
        """As the venue's codec reads it: some say in the body for how long, or mean one bucket alone."""
        now_ns = self._ctx.now_ns
        reply = HttpReply(refused.status, refused.headers, refused.body, now_ns, now_ns)
        error = self._refusal(reply) if self._refusal is not None else None
        if error is None or not error.until_ns:
            return BlockedByVenue(now_ns + retry_after_ns(refused.headers), str(refused))
        return blocked_by(error, self._account, self._costs)

    # ---- reading ------------------------------------------------------------------------------------------------

    async def _read(self, link: Link) -> None:
        silence_ns = self._rules.silence_max_ns or None
        try:
            while True:
                raws = await link.socket.recv_many(silence_ns)
                await self._session.take(link, raws)
                self._ctx.flush()
        except (VenueUnavailable, RemoteProtocolError, AuthError) as error:
            link.socket.abort(str(error))
            self._lost(link, str(error))
            if isinstance(error, AuthError):
                self._wait_until_ns = self._ctx.now_ns + self._reconnect.key_refused_ns

    def _lost(self, link: Link, text: str) -> None:
        was_current = link is self.current
        link.usable = False
        self._links.remove(link)
        link.over.set()
        if was_current:
            self.current = None
            self.losses += 1
            self.failure = text
            if not self._closing:
                self._ctx.note("connection_lost", text)
            lived_ns = self._ctx.monotonic_ns - link.opened_ns
            self._failures = 1 if lived_ns >= self._reconnect.stable_after_ns else self._failures + 1
            self._refused = False
            self._session.link_down(link, text)
        self._session.link_over(link)
        self._wake.set()
        self._ctx.flush()

    async def _keep_alive(self, link: Link) -> None:
        while not link.over.is_set():
            await self._ctx.sleep(self._rules.client_ping_interval_ns)
            try:
                if self._alive_text is None:
                    link.socket.ping_nowait()
                else:
                    link.socket.send_nowait(self._alive_text())
            except VenueUnavailable:
                return  # it is over, or ends now: its reader knows
            except Backlogged:
                continue  # the peer does not read; its silence ends the link

    async def _watch_quiet(self, link: Link) -> None:
        """Nothing may come for minutes on a sound connection, and nothing comes on a half-open one: ask."""
        while not link.over.is_set():
            known = link.socket.statistics.bytes_in
            await self._ctx.sleep(self._reconnect.quiet_probe_ns)
            if link.usable and link.socket.statistics.bytes_in == known:
                self.probe(link, self._reconnect.quiet_patience_ns)

    def inspect(self) -> Mapping[str, object]:
        """For the console."""
        link = self.current
        picture: dict[str, object] = {
            "connected": link is not None,
            "connects": self._count,
            "losses": self.losses,
            "replacements": self.replacements,
            "failures_in_a_row": self._failures,
            "failure": self.failure,
        }
        if link is not None:
            picture["up_s"] = (self._ctx.monotonic_ns - link.opened_ns) // SECOND
            picture["connection"] = link.epoch
            picture.update(attrs.asdict(link.socket.statistics))
        return picture


def retry_after_ns(headers: Mapping[str, str]) -> int:
    """Seconds of a Retry-After header as ns; one minute when it is missing or no number."""
    text = headers.get("retry-after", "")
    return int(text) * SECOND if text.isdigit() else 60 * SECOND
