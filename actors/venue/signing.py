"""What the sessions of one account have in common: the venue's clock, logon, keep-alive, and what a refusal means."""

from __future__ import annotations

from collections import deque

from actors.venue.clock import VenueClock
from actors.venue.links import Dial, Link
from actors.venue.messages import ClockSuspected
from actors.venue.replies import Replies
from actors.venue.settings import MS, SECOND
from protocols.control import ClockOffset
from protocols.errors import AuthError, LocalProtocolError, VenueUnavailable
from protocols.ids import Path
from protocols.reconcile import ClockQuery
from protocols.venue import (
    Disposition,
    Frame,
    KeepsAlive,
    ListsSubscriptions,
    PrivateCodec,
    Reply,
    SignsUpgrade,
    SplitsPrivateStream,
    VenueError,
)
from supervisors.actor import AskError, Context

ASK_AGAIN_NS = 500 * MS

KEEP_ALIVES_KEPT = 8

_OUR_BUG = (Disposition.BUG, Disposition.REJECTED, Disposition.NOT_FOUND)


class SigningSession:
    """Requests that are stamped with the venue's clock and sent on a link."""

    def __init__(self, ctx: Context, codec: PrivateCodec, clock_path: Path, clock: VenueClock, mark: str = "x") -> None:
        """`mark`: letters that tell its request ids from those of other sessions of the same codec."""
        self._ctx = ctx
        self._codec = codec
        self._clock_path = clock_path
        self._mark = mark
        self.clock = clock
        self.replies = Replies()
        self._count = 0
        self._keep_alives: deque[str] = deque(maxlen=KEEP_ALIVES_KEPT)
        """Ids of the newest ones, whose answers settle nothing."""

    @property
    def keeps_alive(self) -> bool:
        """The venue wants to hear its own words instead of a WebSocket ping."""
        return isinstance(self._codec, KeepsAlive)

    def keep_alive_text(self) -> str:
        """The next keep-alive."""
        assert isinstance(self._codec, KeepsAlive)
        frame = self._codec.keep_alive(self.next_id())
        self._keep_alives.append(frame.request_id)
        return frame.text

    async def dial(self, url: str) -> Dial:
        """One attempt to connect to `url`, authenticated by its upgrade request where the venue wants that."""
        if not isinstance(self._codec, SignsUpgrade):
            return Dial(url, url)
        await self.clock.wait_usable()
        headers = self._codec.upgrade_headers(self.stamp_ns())
        return Dial(url, url, headers, self._key_refused("the upgrade was answered with 401"))

    def next_id(self) -> str:
        """A request id that no other request of this session has, in any incarnation."""
        self._count += 1
        return f"{self._ctx.epoch}{self._mark}{self._count}"

    def stamp_ns(self) -> int:
        """The venue's clock now."""
        return self.clock.stamp_ns(self._ctx.now_ns)

    async def learn_clock(self) -> None:
        """Ask for the offset until it is known; from then on the clock actor tells every change."""
        while not self.clock.usable:
            try:
                offset = await self._ctx.ask(self._clock_path, ClockQuery(), SECOND)
            except AskError:
                pass  # it is not ready yet: it tells its readers when it is, and we ask again
            else:
                assert isinstance(offset, ClockOffset)
                self.clock.update(offset)
            await self._ctx.sleep(ASK_AGAIN_NS)

    async def log_on(self, link: Link) -> None:
        """Authenticate the link, where the venue and the key can."""
        await self.clock.wait_usable()
        request_id = self.next_id()
        frame = self._codec.logon(request_id, self.stamp_ns())
        if frame is not None:
            await self.request(link, frame)
            link.logged_on = True

    async def subscribe(self, link: Link, further: str = "") -> None:
        """Ask for the account's events on this link, and see that they were asked for.

        `further`: the path, where it is not the first of the account's connections (`SplitsPrivateStream`).  Where
        nothing acknowledges a subscription, the list of all subscriptions proves that it was read.
        """
        await self.clock.wait_usable()
        if further:
            assert isinstance(self._codec, SplitsPrivateStream)
            request_id, stamp_ns = self.next_id(), self.stamp_ns()
            more = self._codec.subscribe_further(further, request_id, stamp_ns, logged_on=link.logged_on)
            await self.request(link, more)
            return
        frame = self._codec.subscribe_private(self.next_id(), self.stamp_ns(), logged_on=link.logged_on)
        if not frame.request_id and isinstance(self._codec, ListsSubscriptions):
            await link.socket.send(frame.text)
            frame = self._codec.list_subscriptions(self.next_id())
        await self.request(link, frame)

    async def request(self, link: Link, frame: Frame) -> None:
        """Send one frame of the preparation and wait for the success that bears the frame's id."""
        self.replies.expect(frame.request_id)
        await link.socket.send(frame.text)
        reply = await self.replies.wait(frame.request_id)
        if reply.error is not None:
            self.raise_for(reply.error)

    def settle(self, reply: Reply) -> bool:
        """Give a reply to whoever prepares a link; AuthError when it takes our key away; True when it was for us.

        An error that names no request is about whatever was sent last, so it ends a preparation too.
        """
        if self.replies.settle(reply):
            return True
        if reply.error is None:
            return reply.payload is not None and (not reply.request_id or reply.request_id in self._keep_alives)
        if reply.request_id:
            return False
        if reply.error.disposition is Disposition.AUTH:
            raise self._refused_key(reply.error)
        return self.replies.fail(reply)

    def raise_for(self, error: VenueError) -> None:
        """What a refused logon or subscription means."""
        if error.disposition is Disposition.AUTH:
            raise self._refused_key(error)
        text = f"{self._codec.venue} account {self._codec.account}: {_say(error)}"
        if error.disposition in _OUR_BUG:
            raise LocalProtocolError(text)
        if error.disposition is Disposition.CLOCK:
            self._ctx.send(self._clock_path, ClockSuspected(text))
        raise VenueUnavailable(text)

    def words_of(self, error: VenueError) -> str:
        """A refusal as text; one of the key says where the key is configured."""
        words = _say(error)
        return self._key_refused(words) if error.disposition is Disposition.AUTH else words

    def _refused_key(self, error: VenueError) -> AuthError:
        return AuthError(self._key_refused(_say(error)))

    def _key_refused(self, words: str) -> str:
        account, venue = self._codec.account, self._codec.venue
        return (
            f"{venue} refuses the key of account {account} ({words}): check accounts.{account}.keys.{venue}, and "
            "the key's permissions and addresses at the venue"
        )


def _say(error: VenueError) -> str:
    return f"{error.code} {error.text}".strip()
