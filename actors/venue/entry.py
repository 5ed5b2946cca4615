"""Order entry of one account: the last step before the wire, and the first to hear the venue's answer.

`receive(SubmitOrder)` is synchronous from end to end: a permit from the lease, the venue's clock, the codec's frame,
one system call; then `RequestSent` goes to the account.  No task switch lies between the account's decision and the
kernel.  What comes back is matched by request id and becomes one of `ExecutionReport`, `VenueReject`,
`VenueCancelReject`, or `OrderInDoubt`.

The rule about paths (R001): the WebSocket first.  REST only when not one byte of the request has left: the socket was
down, or the write was refused whole; when the socket has no words for it (`commands`); or when the venue takes no
orders by WebSocket at all.  Whatever may have left and was not answered is *in doubt*, on either path, and is never
sent again: `SentOnce` outlives crashes of this actor.

An order that replaces another leaves like a new order, under a permit for one, and is two: the answer has a part for
each.  Orders that arrive together leave in one request where the venue takes batches, each with its own part of the
answer.

Nothing is sent (`NotSent`) while the venue's clock is not known, during a ban, when the venue has no words for the
request, or when the order has waited so long that its account may have given it up.  What finds no permit waits for one
for a moment (`order_queue`, `change_permits`).

One file because it is one decision: what leaves now, by which path, under which permit, and whose answer it is.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import trio

from actors.venue.calls import RestCalls
from actors.venue.change_permits import ChangePermits
from actors.venue.clock import VenueClock
from actors.venue.commands import Commands, one_by_one
from actors.venue.dead_man import DeadMan
from actors.venue.entry_rest import RestPath
from actors.venue.http import HttpClient
from actors.venue.leases import Lease, Leases
from actors.venue.links import Dial, Link, LinkKeeper
from actors.venue.messages import BlockedByVenue
from actors.venue.order_queue import NO_ROOM, OrderQueue
from actors.venue.outcomes import Change, OrderGroup, Outcomes, Pending, Submit, Way
from actors.venue.sent import SentOnce
from actors.venue.settings import MS, SECOND, EntrySettings, ReconnectSettings, TransportSettings, VenueEndpoints
from actors.venue.signing import SigningSession
from actors.venue.transport import Backlogged, ConnectionLost
from protocols.base import Message
from protocols.control import ClockOffset, InstrumentsChanged, LimiterLease, VenueBlocked
from protocols.enums import DoubtReason, OrdRejReason
from protocols.errors import LocalProtocolError
from protocols.ids import Path, Symbol, amend_request_id
from protocols.orders import (
    ExecutionReport,
    SubmitAmend,
    SubmitCancel,
    SubmitCancelAll,
    SubmitCancels,
    SubmitOrder,
    SubmitReplace,
    VenueCancelReject,
    account_path,
)
from protocols.reconcile import InstrumentsQuery, instruments_path
from protocols.venue import (
    DeadManSwitch,
    Frame,
    LearnsInstruments,
    PrivateCodec,
    Reply,
    StreamTerminated,
    UnrecognizedMessage,
)
from supervisors.actor import GROUP_RESTART, Actor, AskError, Down, Up

SWEEP_NS = 50 * MS
ASK_AGAIN_NS = SECOND
LATE_MAX = 10_000
"""Requests in doubt whose late replies are still understood."""


class OrderEntryActor(Actor):
    """See the module text."""

    def __init__(
        self,
        codec: PrivateCodec,
        endpoints: VenueEndpoints,
        http: HttpClient,
        sent: SentOnce,
        *,
        limiter: Path,
        clock: Path,
        settings: EntrySettings | None = None,
        transport: TransportSettings | None = None,
        reconnect: ReconnectSettings | None = None,
        tls: ssl.SSLContext | None = None,
        symbols: Sequence[Symbol] = (),
    ) -> None:
        """`sent` belongs to the account, not to the incarnation: give every incarnation the same one.

        `symbols` are those that the dead-man switch covers from the start, where it works by symbol.
        """
        self._codec = codec
        self._url = endpoints.entry_url.rstrip("/") + codec.entry_path()
        self._has_socket = codec.capabilities.ws_order_entry and bool(endpoints.entry_url)
        self._symbols = tuple(symbols)
        self._account = account_path(codec.account, codec.venue)
        self._http = http
        self._sent = sent
        self._limiter = limiter
        self._clock_path = clock
        self._settings = settings or EntrySettings()
        self._transport = transport or TransportSettings()
        self._reconnect = reconnect or ReconnectSettings()
        self._tls = tls
        self._clock = VenueClock(self._settings.stamp_margin_ns)
        self._leases = Leases("orders", codec.venue)
        self._changes = ChangePermits(codec.account, codec.venue)
        window_ns = self._settings.request_window_ns if codec.capabilities.request_window else 0
        settle_ns = window_ns + codec.rules.request_timeout_ns + self._settings.skew_ns
        self._outcomes = Outcomes(self, limiter=limiter, clock=clock, settle_after_ns=settle_ns, account=codec.account)
        self._commands = Commands(codec)
        self._rest = RestPath(self._commands, self._settings, sent, self._outcomes)
        self._held: list[SubmitOrder] = []
        """Orders of the messages in hand, to leave together."""
        self._waiting = OrderQueue(self._outcomes)
        self._dead_man: DeadMan | None = None
        self._learned = not isinstance(codec, LearnsInstruments)
        self._keeper: LinkKeeper | None = None
        self._pending: dict[str, Pending] = {}
        """By request id, oldest first: all have the same time-out."""
        self._late: dict[str, Pending] = {}
        self._unrecognized: deque[UnrecognizedMessage] = deque(maxlen=10)

    # ---- messages -----------------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        kind = type(message)
        if kind is SubmitOrder:
            assert isinstance(message, SubmitOrder)
            if self._commands.batches_on_socket or (self._commands.batch_max > 1 and self._link is None):
                self._held.append(message)
            else:
                self._submit_order(message)
            return
        if self._held:
            self._release()  # what came first leaves first
        if isinstance(message, SubmitCancel | SubmitCancels | SubmitAmend | SubmitCancelAll):
            self._submit_change(message)
        elif isinstance(message, SubmitReplace):
            self._submit_order(message)
        elif isinstance(message, LimiterLease):
            if self._changes.add(message):
                self._send_waiting_changes()
            else:
                self._leases.add(message)
                self._send_waiting_orders()
        elif isinstance(message, ClockOffset):
            self._clock.update(message)
        elif isinstance(message, InstrumentsChanged):
            self._learn(message)
        elif isinstance(message, VenueBlocked):
            self._outcomes.blocked_until_ns = message.until_ns
        elif isinstance(message, Up):
            self._limiter_is_back()
        elif not isinstance(message, Down):
            raise TypeError(f"order entry does not understand {kind.__name__}")

    def batch_done(self) -> None:
        """All messages at hand are read: the orders among them leave together."""
        if self._held:
            self._release()

    @property
    def _link(self) -> Link | None:
        return self._keeper.current if self._keeper is not None else None

    # ---- new orders ---------------------------------------------------------------------------------------------

    def _release(self) -> None:
        held, self._held = self._held, []
        if not held:
            return
        if len(held) == 1:
            self._submit_order(held[0])
            return
        now_ns = self.ctx.now_ns
        held = [message for message in held if not self._is_stale(message, now_ns)]
        held = [message for message in held if not self._cannot(message, now_ns)]
        most = self._commands.batch_max
        for start in range(0, len(held), most):
            self._submit_group(held[start : start + most], now_ns)

    def _submit_group(self, members: list[SubmitOrder], now_ns: int) -> None:
        """Several orders in one request; one by one when the venue has no words for them together."""
        link = self._link
        if link is None:
            self._rest.take(OrderGroup(tuple(members)) if len(members) > 1 else members[0])
            return
        chosen: list[SubmitOrder] = []
        leases: list[Lease] = []
        for message in members:
            lease = self._permit(message, now_ns)
            if lease is not None:
                chosen.append(message)
                leases.append(lease)
        if len(chosen) < 2:
            self._return(chosen, leases)
            for message in chosen:
                self._submit_order(message)
            return
        group = OrderGroup(tuple(chosen))
        request_id = self._session.next_id()
        try:
            frame = self._commands.frame(group, request_id, self._clock.stamp_ns(now_ns), logged_on=link.logged_on)
        except LocalProtocolError:
            self._return(chosen, leases)
            for message in chosen:
                self._submit_order(message)
            return
        if not self._took(link, frame):
            self._return(chosen, leases)
            self._elsewhere(link, group)
            return
        self._left(request_id, group, now_ns, link, tuple(leases))
        for message in chosen:
            self._cover(message)

    def _submit_order(self, message: SubmitOrder | SubmitReplace) -> None:
        now_ns = self.ctx.now_ns
        if self._is_stale(message, now_ns) or self._cannot(message, now_ns):
            return
        link = self._link
        if link is None or self._commands.goes_by_rest(message):
            self._rest.take(message)
            return
        lease = self._permit(message, now_ns)
        if lease is None:
            return
        request_id = self._session.next_id()
        stamp_ns = self._clock.stamp_ns(now_ns)
        try:
            if type(message) is SubmitOrder:
                frame = self._codec.new_order(message.order, request_id, stamp_ns, logged_on=link.logged_on)
            else:
                assert isinstance(message, SubmitReplace)
                frame = self._commands.frame(message, request_id, stamp_ns, logged_on=link.logged_on)
        except LocalProtocolError as error:
            self._return((message,), (lease,))
            self._outcomes.refuse(message, OrdRejReason.UNSUPPORTED, str(error))
            return
        if not self._took(link, frame):
            self._return((message,), (lease,))
            self._elsewhere(link, message)
            return
        self._left(request_id, message, now_ns, link, (lease,))
        self._cover(message)

    def _is_stale(self, message: SubmitOrder | SubmitReplace, now_ns: int) -> bool:
        age_ns, most_ns = now_ns - message.order.created_ns, self._settings.order_age_max_ns
        if age_ns <= most_ns:
            return False
        text = f"order is {age_ns // MS} ms old, may be {most_ns // MS}"
        self._outcomes.refuse(message, OrdRejReason.STALE, text)
        return True

    def _permit(self, message: SubmitOrder | SubmitReplace, now_ns: int) -> Lease | None:
        """A permit for one order that was not sent before; None when it waits for one, or is in doubt."""
        lease = self._leases.take(now_ns)
        if lease is None:
            self._waiting.add(message, self.ctx.monotonic_ns)
            self._want_lease()
            return None
        if not self._sent.first_time(message.order.cl_ord_id):
            self._leases.put_back(lease)
            self._outcomes.duplicate(message, now_ns)
            return None
        return lease

    def _send_waiting_orders(self) -> None:
        """Permits have come: as many leave as there are, the oldest first."""
        permitted = self._waiting.take(self._leases.left)
        if self._commands.batches_on_socket:
            plain = [message for message in permitted if isinstance(message, SubmitOrder)]
            self._held = [*plain, *self._held]
            self._release()
            permitted = [message for message in permitted if isinstance(message, SubmitReplace)]
        for message in permitted:
            self._submit_order(message)
        if self._waiting:
            self._want_lease()

    def _return(self, messages: Iterable[SubmitOrder | SubmitReplace], leases: Iterable[Lease]) -> None:
        """They surely did not leave: nothing was used, and another path may be tried."""
        for lease in leases:
            self._leases.put_back(lease)
        for message in messages:
            self._sent.take_back(message.order.cl_ord_id)

    def _left(self, request_id: str, message: Submit, now_ns: int, link: Link, leases: tuple[Lease, ...] = ()) -> None:
        pending = self._outcomes.sent(message, Way.SOCKET, now_ns, link, leases)
        self._pending[request_id] = pending
        self._outcomes.announce(pending)
        if leases and self._leases.low(now_ns):
            self._want_lease()

    def _cover(self, message: SubmitOrder | SubmitReplace) -> None:
        if self._dead_man is not None:
            self._dead_man.cover(message.order.symbol)

    # ---- cancels and amends -------------------------------------------------------------------------------------

    def _submit_change(self, command: Change) -> None:
        now_ns = self.ctx.now_ns
        message = self._waiting.without_waiting(command) if self._waiting else command
        if message is None or self._cannot(message, now_ns):
            return
        if isinstance(message, SubmitCancels):
            for part in self._commands.in_fewest(message, on_socket=self._link is not None):
                self._submit_part(part, now_ns)
        else:
            self._submit_part(message, now_ns)

    def _submit_part(self, message: Change, now_ns: int) -> None:
        link = self._link
        if link is None or self._commands.goes_by_rest(message):
            self._rest.take(message)
            return
        leases = self._changes.take(message, now_ns, self.ctx.monotonic_ns)
        if leases:
            self._send_change(message, leases, link, now_ns)
        else:
            self._ask_for_changes()

    def _send_change(self, message: Change, leases: tuple[Lease, ...], link: Link, now_ns: int) -> None:
        request_id = self._session.next_id()
        if isinstance(message, SubmitAmend):
            request_id = amend_request_id(request_id, message.number)
        stamp_ns = self._clock.stamp_ns(now_ns)
        try:
            frame = self._commands.frame(message, request_id, stamp_ns, logged_on=link.logged_on)
        except LocalProtocolError as error:
            self._changes.put_back(leases, message)
            if isinstance(message, SubmitCancels) and not message.whole:
                for cancel in one_by_one(message):
                    self._submit_part(cancel, now_ns)
            else:
                self._outcomes.refuse(message, OrdRejReason.UNSUPPORTED, str(error))
            return
        if not self._took(link, frame):
            self._changes.put_back(leases, message)
            self._elsewhere(link, message)
            return
        self._left(request_id, message, now_ns, link, leases)

    def _send_waiting_changes(self) -> None:
        """Permits have come: those whose turn it is leave, by the path that there is now."""
        now_ns = self.ctx.now_ns
        for message, leases in self._changes.release(now_ns):
            link = self._link
            if self._cannot(message, now_ns):
                self._changes.put_back(leases, message)
            elif link is None:
                self._changes.put_back(leases, message)
                self._rest.take(message)
            else:
                self._send_change(message, leases, link, now_ns)
        self._ask_for_changes()

    def _ask_for_changes(self, *, again: bool = False) -> None:
        for wanted in self._changes.wishes(self.ctx.path, again=again):
            self.ctx.send(self._limiter, wanted)

    # ---- what may leave, and how --------------------------------------------------------------------------------

    def _cannot(self, message: Submit, now_ns: int) -> bool:
        """Refuse what must not be sent now, whatever the path; True when it was refused."""
        left_ns = self._outcomes.blocked_for_ns(message, now_ns)
        if left_ns > 0:
            text = f"the venue has blocked us for {left_ns // MS} ms more"
            self._outcomes.refuse(message, OrdRejReason.RATE_LIMITED, text)
            return True
        if not self._clock.usable:
            self._outcomes.refuse(message, OrdRejReason.CLOCK, "the venue's clock is not known: nothing can be signed")
            return True
        return False

    def _took(self, link: Link, frame: Frame) -> bool:
        """Give the frame to the socket; False when it surely did not take a byte."""
        try:
            link.socket.send_nowait(frame.text)
        except (ConnectionLost, Backlogged):
            return False
        return True

    def _elsewhere(self, link: Link, message: Submit) -> None:
        """The socket took nothing: REST when it is lost, a refusal when its peer does not read."""
        if link.socket.ended is not None:
            self._rest.take(message)
        else:
            text = f"the venue does not read: {link.socket.unsent_bytes} bytes wait for it"
            self._outcomes.refuse(message, OrdRejReason.OVERLOADED, text)

    def _want_lease(self) -> None:
        if not self._has_socket:
            return  # each REST request asks for itself
        wanted = self._leases.wish(self._codec.account, self.ctx.path, self.ctx.monotonic_ns)
        if wanted is not None:
            self.ctx.send(self._limiter, wanted)

    def _limiter_is_back(self) -> None:
        """A new limiter knows nothing: tell it about a ban that is still in force, and ask for permits."""
        if self.ctx.now_ns < self._outcomes.blocked_until_ns:
            self.ctx.send(self._limiter, BlockedByVenue(self._outcomes.blocked_until_ns, "known to order entry"))
        self._leases.forget_wish()
        self._want_lease()
        self._ask_for_changes(again=True)

    # ---- the session's life -------------------------------------------------------------------------------------

    async def run(self) -> None:
        codec = self._codec
        self._session = SigningSession(self.ctx, codec, self._clock_path, self._clock)
        calls = RestCalls(self.ctx, self._http, self._limiter, self._clock_path, codec, codec.account)
        if self._has_socket:
            self._keeper = LinkKeeper(
                ctx=self.ctx,
                session=self,
                url=self._url,
                rules=codec.rules,
                transport=self._transport,
                reconnect=self._reconnect,
                tls=self._tls,
                limiter=self._limiter,
                account=codec.account,
                dial=self._dial,
                keep_alive=self._session.keep_alive_text if self._session.keeps_alive else None,
                probe_quiet=True,
                refusal=codec.error,
            )
        self.ctx.watch(self._limiter)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._session.learn_clock)
            nursery.start_soon(self._sweep_for_ever)
            nursery.start_soon(self._ask_instruments)
            for _ in range(self._settings.rest_workers):
                nursery.start_soon(self._rest.worker, self.ctx, calls, self._session)
            await self._clock.wait_usable()
            self._arm_dead_man(nursery, calls)
            if self._keeper is not None:
                await self._keeper.run()

    async def stopped(self, reason: str) -> None:
        if self._dead_man is not None and reason != GROUP_RESTART:
            await self._dead_man.disarm()
        if self._keeper is not None:
            await self._keeper.aclose()

    async def _dial(self) -> Dial:
        return await self._session.dial(self._url)

    def _arm_dead_man(self, nursery: trio.Nursery, calls: RestCalls) -> None:
        codec, timeout_ns = self._codec, self._settings.dead_man_ns
        if not (timeout_ns and codec.capabilities.dead_man_switch and isinstance(codec, DeadManSwitch)):
            return
        self._dead_man = DeadMan(
            self.ctx,
            codec,
            calls,
            self._session,
            timeout_ns,
            by_symbol=codec.capabilities.dead_man_by_symbol,
            symbols=self._symbols,
        )
        nursery.start_soon(self._dead_man.run)

    def _learn(self, event: InstrumentsChanged) -> None:
        if isinstance(self._codec, LearnsInstruments):
            self._codec.learn(event.instruments)
            self._learned = True

    async def _ask_instruments(self) -> None:
        """Until we know them; from then on the changes are told."""
        while not self._learned:
            try:
                known = await self.ctx.ask(instruments_path(self._codec.venue), InstrumentsQuery(), SECOND)
            except AskError:
                await self.ctx.sleep(ASK_AGAIN_NS)
            else:
                assert isinstance(known, InstrumentsChanged)
                self._learn(known)

    async def _sweep_for_ever(self) -> None:
        while True:
            await self.ctx.sleep(SWEEP_NS)
            self._sweep()
            self.ctx.flush()

    def _sweep(self) -> None:
        """Put what is not answered in time in doubt, settle leases, renew them before they end."""
        now_mono_ns = self.ctx.monotonic_ns
        latest_ns = now_mono_ns - self._settings.reply_timeout_ns
        late = []
        for request_id, pending in self._pending.items():
            if pending.sent_mono_ns > latest_ns:
                break
            late.append((request_id, pending))
        for request_id, pending in late:
            del self._pending[request_id]
            self._late[request_id] = pending
            self._in_doubt(pending, DoubtReason.NO_REPLY)
            if pending.link is not None and self._keeper is not None:
                self._keeper.probe(pending.link)
        while len(self._late) > LATE_MAX:
            del self._late[next(iter(self._late))]
        now_ns = self.ctx.now_ns
        for settled in (*self._leases.settle(self._codec.account, now_ns), *self._changes.settle(now_ns)):
            self.ctx.send(self._limiter, settled)
        self._give_up_waiting(now_mono_ns)
        if self._leases.low(now_ns):
            self._want_lease()

    def _give_up_waiting(self, now_mono_ns: int) -> None:
        """What has waited too long for its permit is refused, never silently dropped."""
        settings = self._settings
        latest_ns = now_mono_ns - min(settings.permit_timeout_ns, settings.order_age_max_ns)
        self._waiting.give_up(latest_ns)
        for change in self._changes.overdue(now_mono_ns - settings.permit_timeout_ns):
            self._outcomes.refuse(change, OrdRejReason.RATE_LIMITED, NO_ROOM)

    def _in_doubt(self, pending: Pending, reason: DoubtReason) -> None:
        for lease in pending.leases:
            lease.finished += 1  # it may be in the venue's count: not to be used again
        self._outcomes.doubt(pending, reason)

    # ---- hooks of the keeper ------------------------------------------------------------------------------------

    async def prepare(self, link: Link) -> None:
        await self._session.log_on(link)

    async def take(self, link: Link, raws: list[bytes]) -> None:
        received_ns = self.ctx.now_ns
        for raw in raws:
            for item in self._codec.decode_entry(raw, received_ns):
                if isinstance(item, Reply):
                    self._on_reply(item)
                elif isinstance(item, StreamTerminated):
                    assert self._keeper is not None
                    self._keeper.replace(link)
                elif isinstance(item, UnrecognizedMessage):
                    self._unrecognized.append(item)
                elif isinstance(item, ExecutionReport | VenueCancelReject):
                    self.ctx.send(self._account, item)  # what a mass cancel ended, before its reply
                else:
                    self._outcomes.counts["unmatched"] += 1

    def not_opened(self, text: str) -> None:
        """REST is used meanwhile; the console shows the reason."""

    def link_up(self, link: Link) -> None:
        """Orders go over the socket from now on."""

    def link_switched(self, old: Link, new: Link) -> None:
        """New requests use the new link; answers to older ones still come from the old one."""

    def link_down(self, link: Link, text: str) -> None:
        """What it owed is settled in `link_over`, which follows."""

    def link_over(self, link: Link) -> None:
        """Everything that was sent on this link and not answered is in doubt."""
        lost = [(request_id, pending) for request_id, pending in self._pending.items() if pending.link is link]
        for request_id, pending in lost:
            del self._pending[request_id]
            self._in_doubt(pending, DoubtReason.CONNECTION_LOST)

    def owes(self, link: Link) -> bool:
        return any(pending.link is link for pending in self._pending.values())

    # ---- answers ------------------------------------------------------------------------------------------------

    def _on_reply(self, reply: Reply) -> None:
        pending = self._pending.pop(reply.request_id, None)
        if pending is None:
            pending = self._late.pop(reply.request_id, None)
            if pending is None:
                if not self._session.settle(reply):
                    self._outcomes.counts["unmatched"] += 1
                return
            self._outcomes.counts["late"] += 1
        else:
            for lease in pending.leases:
                lease.finished += 1
        if reply.usage:
            self._leases.note_usage(reply.usage, pending.sent_ns)
        self._outcomes.answered(pending, reply)

    def inspect(self) -> Mapping[str, object]:
        links = self._keeper.inspect() if self._keeper is not None else {}
        return {
            **links,
            **self._outcomes.inspect(),
            **(self._dead_man.inspect() if self._dead_man is not None else {}),
            "socket": self._has_socket,
            "learned": self._learned,
            "by_rest": self._rest.used,
            "in_flight": len(self._pending),
            "permits": self._leases.left,
            "waiting": {"orders": len(self._waiting), **self._changes.waiting},
            "clock_usable": self._clock.usable,
            "last_unrecognized": [item.raw[:200] for item in self._unrecognized],
        }
