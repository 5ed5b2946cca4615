"""WebSockets (sections 2.2, 6, 7 and 8): login, topics, orders, the text `ping`, and the cut after 30 s of silence.

The three paths share everything but the channels they have and that orders are taken on the private one.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson
import trio

from tools.simulator.core.accounts import ApiKey
from tools.simulator.core.delivery import Job, Line, perform
from tools.simulator.core.faults import PUBLIC as PUBLIC_FAULTS
from tools.simulator.core.faults import FaultKind
from tools.simulator.core.hub import Message
from tools.simulator.core.limits import Window
from tools.simulator.core.net import WsConnection, text_frame
from tools.simulator.dialects.okx import auth
from tools.simulator.dialects.okx.depth import CHANNELS, TICK_BY_TICK
from tools.simulator.dialects.okx.errors import OkxError, no_channel
from tools.simulator.dialects.okx.gateway import Call, Method, Outcome, execute
from tools.simulator.dialects.okx.limits import FRAME_BYTES, HOUR_NS, SILENCE_S
from tools.simulator.dialects.okx.params import objects
from tools.simulator.dialects.okx.private import PRIVATE_CHANNELS, Subscription
from tools.simulator.dialects.okx.rest import deadline_ns
from tools.simulator.dialects.okx.streams import BUSINESS, BY_INSTRUMENT, BY_TYPE, bar_of, stream_of

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue

PATHS = {"/ws/v5/public": "public", "/ws/v5/private": "private", "/ws/v5/business": "business"}
NOTICE = "64008"
LOGIN_FAILED, SILENT, TOO_LONG, INVALID, TOO_MANY = 4001, 4004, 1009, 4002, 4003
PRIVATE_TOPICS_MAX = 100
_ID = re.compile(r"^[A-Za-z0-9]{1,32}$")
TIER_CHANNELS = frozenset({*TICK_BY_TICK, "fills"})
"""For accounts of VIP 4 and above."""
TIER = 4


class _Reply:
    """The way back of one order request."""

    def __init__(self, session: Session, request_id: str, op: str) -> None:
        self._session, self._id, self._op = session, request_id, op

    def reply(self, outcome: Outcome) -> None:
        self._session.say({"id": self._id, "op": self._op, **outcome.body()})

    def silence(self) -> None:
        """The client waits in vain."""

    def cut(self) -> None:
        self._session.connection.reset()


class Session:
    """One connection."""

    def __init__(self, venue: OkxVenue, connection: WsConnection, access: str, connection_id: str) -> None:
        self._venue = venue
        self.connection = connection
        self.access = access
        self.conn_id = connection_id
        self.key: ApiKey | None = None
        self.private: dict[str, Subscription] = {}
        self._topics: dict[str, tuple[str, str]] = {}  # stream of the hub -> channel and instrument or type
        self._opening: set[str] = set()  # topics whose picture is still on its way
        self._line = Line()
        self._requests = Window(HOUR_NS, venue.limits.session_requests_per_hour)
        self._active_at = trio.current_time()

    async def run(self) -> None:
        """Serve until the connection ends. Raises ConnectionClosed."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._cut_when_silent)
                while True:
                    message = await self.connection.receive()
                    self._active_at = trio.current_time()
                    self._take(message)
        finally:
            for stream in list(self._topics):
                self._venue.hub.unsubscribe(stream, self)
            for subscription in list(self.private.values()):
                self._venue.private.drop(subscription)

    async def _cut_when_silent(self) -> None:
        """30 s without data in either direction end the connection (7)."""
        while True:
            due = self._active_at + SILENCE_S
            if trio.current_time() >= due:
                self.connection.close(SILENT, "No data received in 30s.")
                return
            await trio.sleep_until(due)

    # ----------------------------------------------------------------------------------------- sending
    def say(self, body: dict[str, Any]) -> None:
        """Send one object."""
        self.send(orjson.dumps(body))

    def send(self, body: bytes) -> None:
        self._active_at = trio.current_time()
        self.connection.send(body)

    def deliver(self, message: Message) -> None:
        """One public message, framed once for all; not before the picture that it continues."""
        if message.stream in self._opening:
            return
        if message.data_frame is None:
            message.data_frame = text_frame(message.data)
        self._active_at = trio.current_time()
        self.connection.send_frame(message.data_frame)

    async def room(self, frames: int) -> None:
        await self.connection.below(frames)

    def _event(self, event: str, request_id: Any, **more: Any) -> None:
        body = {"event": event, **more, "connId": self.conn_id}
        self.say(body if request_id in (None, "") else {"id": request_id, **body})

    def _error(self, error: OkxError, request_id: Any = None) -> None:
        """Errors name no topic (7)."""
        self._event("error", request_id, code=error.code, msg=error.msg)

    def announce_shutdown(self) -> None:
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        self._event("notice", None, code=NOTICE, msg=text)

    # --------------------------------------------------------------------------------------- receiving
    def _take(self, message: str | bytes) -> None:
        raw = message.encode() if isinstance(message, str) else message
        if raw == b"ping":
            self.connection.send(b"pong")
            return
        if len(raw) > FRAME_BYTES:
            self.connection.close(TOO_LONG, "message too long")
            return
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            self._error(OkxError("60012", f"Invalid request: {raw[:100].decode('utf-8', 'replace')}"))
            return
        if not isinstance(body, dict) or not isinstance(body.get("op"), str):
            self._error(OkxError("60012", f"Illegal request: {raw[:500].decode('utf-8', 'replace')}"))
            return
        op, request_id, args = body["op"], body.get("id"), body.get("args")
        method = self._venue.methods.by_op.get(op)
        if method is not None:
            self._order(method, body)
        elif op in ("login", "subscribe", "unsubscribe"):
            self._control(op, request_id, args)
        else:
            self._error(OkxError("60019", f"Invalid op: {op[:40]}"), request_id)

    def _control(self, op: str, request_id: Any, args: Any) -> None:
        now = self._venue.clock.now_ns()
        try:
            if self._requests.full(now):
                raise OkxError("60014")
            self._requests.add(1, now)
            if request_id not in (None, "") and not _ID.match(str(request_id)):
                raise OkxError("60033")
            if not isinstance(args, list) or not args or not all(isinstance(arg, dict) for arg in args):
                raise OkxError("60013")
            if op == "login":
                self._login(args[0])
                return
        except OkxError as error:
            self._error(error, request_id)
            if op == "login" and error.code != "60014":
                self.connection.close(LOGIN_FAILED, "Login failed.")
            return
        for arg in args:
            try:
                (self._subscribe if op == "subscribe" else self._unsubscribe)(arg, request_id)
            except OkxError as error:
                self._error(error, request_id)

    def _login(self, arg: Any) -> None:
        self.key = auth.verify_login(self._venue.exchange.accounts.keys, arg, self._venue.clock.now_ns())
        self._event("login", None, code="0", msg="")

    def key_revoked(self) -> None:
        """The key was changed: 4007."""
        self.connection.close(4007, "The API key has been updated or deleted. Please reconnect.")

    # ------------------------------------------------------------------------------------------ topics
    def _subscribe(self, arg: dict[str, Any], request_id: Any) -> None:
        channel = str(arg.get("channel", ""))
        if channel in PRIVATE_CHANNELS:
            self._subscribe_private(channel, arg, request_id)
            return
        name = self._topic(channel, arg)
        self._check_tier(channel)
        stream = stream_of(channel, name)
        if channel == "books-l2-tbt" or channel in ("books", "books50-l2-tbt"):
            others = ("books", "books50-l2-tbt") if channel == "books-l2-tbt" else ("books-l2-tbt",)
            if any(stream_of(other, name) in self._topics for other in others):
                raise OkxError("64004")
        self._topics[stream] = (channel, name)
        self._opening.add(stream)
        self._venue.hub.subscribe(stream, self)
        self._event("subscribe", request_id, arg=arg)
        self._open(stream, channel, name)

    def _open(self, stream: str, channel: str, name: str) -> None:
        """Send the first picture, as late as everything else of the market is, and listen from there on."""
        if channel in CHANNELS:
            body = self._venue.book_picture(channel, name)
        elif channel in BY_TYPE:
            body = self._venue.type_picture(channel, name)
        else:
            body = self._venue.streams.greeting(channel, name)

        def begin() -> None:
            if stream not in self._topics or stream not in self._opening:
                return
            self._opening.discard(stream)
            fault = None if body is None else self._venue.faults.take(PUBLIC_FAULTS, f"snapshot:{stream}")
            if body is not None and (fault is None or fault.kind is not FaultKind.DROP):
                self.send(body)

        if self._venue.hub.delay_s:
            self._venue.scheduler.after(self._venue.hub.delay_s, begin)
        else:
            begin()

    def _topic(self, channel: str, arg: dict[str, Any]) -> str:
        """The instrument or type that a public topic is about. Raises OkxError 60018."""
        told = ",".join(f"{name}:{value}" for name, value in arg.items())
        if channel in BY_TYPE and self.access == "public":
            name = str(arg.get("instType", ""))
            if channel == "status" or name in ("SPOT", "SWAP", "MARGIN", "FUTURES", "OPTION"):
                return name
            raise no_channel(told)
        here = (
            channel in BY_INSTRUMENT if self.access == "public" else channel == BUSINESS or bar_of(channel) is not None
        )
        name = str(arg.get("instId", ""))
        if not here or self.access == "private" or name not in self._venue.instruments:
            raise no_channel(told)
        if channel == "funding-rate" and not self._venue.instruments[name].is_swap:
            raise no_channel(told)
        return name

    def _check_tier(self, channel: str) -> None:
        if channel not in TIER_CHANNELS:
            return
        if self.key is None:
            raise OkxError("60011")
        if self._venue.settings(self.key.account).vip < TIER:
            raise OkxError("64003")

    def _unsubscribe(self, arg: dict[str, Any], request_id: Any) -> None:
        channel = str(arg.get("channel", ""))
        if channel in PRIVATE_CHANNELS:
            if self.key is None:
                raise OkxError("60011")
            subscription = Subscription.of(self, self.key.account, channel, arg)
            found = self.private.pop(subscription.topic, None)
            if found is not None:
                self._venue.private.drop(found)
        else:
            stream = stream_of(channel, self._topic(channel, arg))
            self._topics.pop(stream, None)
            self._opening.discard(stream)
            self._venue.hub.unsubscribe(stream, self)
        self._event("unsubscribe", request_id, arg=arg)

    def _subscribe_private(self, channel: str, arg: dict[str, Any], request_id: Any) -> None:
        if PRIVATE_CHANNELS[channel] != self.access:
            raise OkxError("60008") if self.access == "public" else no_channel(f"channel:{channel}")
        if self.key is None or not self.key.enabled:
            raise OkxError("60011")
        self._check_tier(channel)
        account = self.key.account
        subscription = Subscription.of(self, account, channel, arg)
        if len(self.private) >= PRIVATE_TOPICS_MAX and subscription.topic not in self.private:
            self.connection.close(TOO_MANY, "The number of subscriptions of an API key exceeds the limit of 100.")
            return
        held = sum(channel in {one.channel for one in other.private.values()} for other in self._venue.of(account))
        known = self.private.pop(subscription.topic, None)
        if known is not None:
            self._venue.private.drop(known)
            held -= 1
        self._event("subscribe", request_id, arg=arg)
        most = self._venue.limits.channel_connections
        count = {"channel": channel, "connCount": str(held if most and held >= most else held + 1)}
        if most and held >= most:
            self._event("channel-conn-count-error", None, **count)
            return
        self._event("channel-conn-count", None, **count)
        self.private[subscription.topic] = subscription
        self._venue.private.add(subscription)

    # ------------------------------------------------------------------------------------------ orders
    def _order(self, method: Method, body: dict[str, Any]) -> None:
        """An operation on orders. Format errors are answered at the top, the rest order by order (6)."""
        venue, request_id = self._venue, body.get("id")
        link = _Reply(self, request_id if isinstance(request_id, str) else "", method.op)
        received_ns = venue.clock.now_ns()
        try:
            if not isinstance(request_id, str) or not _ID.match(request_id):
                raise OkxError("60033")
            if not isinstance(body.get("args"), list):
                raise OkxError("60013")
            items = objects(body["args"], method.batch)
            exp_ns = deadline_ns(body.get("expTime"))
            if self.access != "private":
                raise OkxError("60012", "Invalid request: orders are taken on the private path")
            if self.key is None or not self.key.enabled:
                raise OkxError("60011")
        except OkxError as error:
            code = "60013" if error.code.startswith("5") else error.code
            link.reply(Outcome(code=code, msg=error.msg, in_ns=received_ns, out_ns=received_ns))
            return
        venue.note_arrivals(method, items)
        call = Call(
            method=method,
            items=items,
            peer=self.connection.peer,
            received_ns=received_ns,
            by_code=True,
            exp_ns=exp_ns,
            key=self.key,
        )
        perform(
            venue,
            Job(
                subject=method.name,
                account=self.key.account.name,
                peer=self.connection.peer,
                run=lambda: execute(venue, call),
                line=self._line,
            ),
            link,
        )
