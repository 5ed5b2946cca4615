"""The two sockets (sections 6.1 to 6.3): one frame says everything that is wanted, and replaces what was wanted before.

Nothing is acknowledged. A frame that cannot be obeyed is answered by an error, and what was subscribed stays.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs
import trio

from tools.simulator.core.accounts import Account
from tools.simulator.core.clock import MINUTE, SECOND
from tools.simulator.core.hub import Message
from tools.simulator.core.limits import Window
from tools.simulator.core.net import WsConnection, binary_frame
from tools.simulator.dialects.upbit import render
from tools.simulator.dialects.upbit.errors import SocketError
from tools.simulator.dialects.upbit.private import Selection
from tools.simulator.dialects.upbit.streams import CANDLE, TYPES
from tools.simulator.dialects.upbit.words import FORMS, Form, UpbitMessage, encode, shorten

if TYPE_CHECKING:
    from tools.simulator.dialects.upbit.venue import Upbit

UP_EVERY_S = 10.0
LEVEL_END = 10**12
PRIVATE_TYPES = ("myOrder", "myAsset", "announcement")
IDLE_LOOKS = 20  # how often within the patience of a silent socket it is looked at


@attrs.frozen(kw_only=True)
class Wanted:
    """One type object of a request."""

    kind: str
    codes: tuple[str, ...]
    level: Decimal
    snapshot: bool
    realtime: bool


class Session:
    """What both sockets share: reading frames, counting them, answering `PING`, closing a silent connection."""

    def __init__(self, venue: Upbit, connection: WsConnection) -> None:
        self.venue = venue
        self.connection = connection
        self.form: Form = FORMS["DEFAULT"]
        self.wanted: list[Wanted] = []
        self.ticket = ""
        self._pinged = False
        limits = venue.limits
        self._windows = (
            Window(SECOND, limits.messages_per_second),
            Window(MINUTE, limits.messages_per_minute),
        )

    async def run(self) -> None:
        """Serve until the connection ends. Raises ConnectionClosed."""
        async with trio.open_nursery() as nursery:
            if self.venue.limits.idle_seconds:
                nursery.start_soon(self._close_when_silent, self.venue.limits.idle_seconds)
            try:
                while True:
                    self._take(await self.connection.receive())
            finally:
                self.leave()
                nursery.cancel_scope.cancel()

    async def _close_when_silent(self, patience_s: float) -> None:
        stream = self.connection.stream
        seen, since = -1, trio.current_time()
        while True:
            moved = stream.sent_bytes + stream.received_bytes
            if moved != seen:
                seen, since = moved, trio.current_time()
            elif trio.current_time() - since >= patience_s:
                self.connection.close(1000, "idle")
                return
            await trio.sleep(patience_s / IDLE_LOOKS)

    def send(self, body: bytes) -> None:
        self.connection.send_frame(binary_frame(body))

    # -------------------------------------------------------------------------------------- requests
    def _take(self, message: str | bytes) -> None:
        try:
            now = self.venue.clock.now_ns()
            if any(window.full(now) for window in self._windows):
                raise SocketError("TOO_MANY_REQUEST", "Too many requests on this connection.")
            for window in self._windows:
                window.add(1, now)
            text = message if isinstance(message, str) else message.decode("utf-8", "replace")
            if text.strip() == "PING":
                self._up_for_ever()
            else:
                self._obey(text)
        except SocketError as error:
            self.send(encode(error.body()))

    def _up_for_ever(self) -> None:
        if not self._pinged:
            self._pinged = True
            self._up()

    def _up(self) -> None:
        if not self.connection.stream.closed:
            self.send(b'{"status":"UP"}')
            self.venue.scheduler.after(UP_EVERY_S, self._up)

    def _obey(self, text: str) -> None:
        try:
            parts = json.loads(text)
        except ValueError:
            raise SocketError("WRONG_FORMAT", "The request is not JSON.") from None
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise SocketError("WRONG_FORMAT", "The request must be an array of objects.")
        ticket = next((part["ticket"] for part in parts if "ticket" in part), None)
        if not isinstance(ticket, str) or not ticket:
            raise SocketError("NO_TICKET", "The request has no ticket.")
        form = next((part["format"] for part in parts if "format" in part), None)
        if form is not None and (not isinstance(form, str) or form not in FORMS):
            raise SocketError("WRONG_FORMAT", f"format must be one of {', '.join(FORMS)}.")
        listing = any(part.get("method") == "LIST_SUBSCRIPTIONS" for part in parts)
        wanted = [self._read(part) for part in parts if "type" in part]
        if not wanted and not listing:
            raise SocketError("NO_TYPE", "The request names no type.")
        self.ticket = ticket
        if form is not None or not listing:
            self._reform(FORMS[form or "DEFAULT"])
        if wanted:
            self.leave()
            self.wanted = wanted
            self.enter(wanted)
        if listing:
            self._list(ticket)

    def _reform(self, form: Form) -> None:
        self.form = form

    def _read(self, part: dict[str, Any]) -> Wanted:
        kind, codes = part["type"], part.get("codes")
        if not isinstance(kind, str):
            raise SocketError("WRONG_FORMAT", "type must be text.")
        if codes is not None and (not isinstance(codes, list) or not all(isinstance(code, str) for code in codes)):
            raise SocketError("WRONG_FORMAT", "codes must be an array of texts.")
        self.check(kind, codes)
        level = part.get("level", 0)
        if isinstance(level, bool) or not isinstance(level, int | float) or not 0 <= level < LEVEL_END:
            raise SocketError("INVALID_PARAM", "level must be a number.")
        return Wanted(
            kind=kind,
            codes=tuple(codes or ()),
            level=Decimal(str(level)),
            snapshot=part.get("is_only_realtime") is not True,
            realtime=part.get("is_only_snapshot") is not True,
        )

    def _list(self, ticket: str) -> None:
        result = []
        for one in self.wanted:
            row: dict[str, Any] = {"type": one.kind}
            if one.codes:
                row["codes"] = list(one.codes)
            if one.kind not in PRIVATE_TYPES:
                row["level"] = one.level
            result.append(row)
        body: dict[str, Any] = {"method": "LIST_SUBSCRIPTIONS", "result": result, "ticket": ticket}
        self.send(encode(shorten(body, "LIST_SUBSCRIPTIONS") if self.form.short else body))

    # ------------------------------------------------------------------- what differs between the two
    def check(self, kind: str, codes: list[str] | None) -> None:
        """Raises SocketError for a type that this socket does not have, or codes that do not go with it."""
        raise NotImplementedError

    def enter(self, wanted: list[Wanted]) -> None:
        """Subscribe."""
        raise NotImplementedError

    def leave(self) -> None:
        """Unsubscribe from everything."""
        raise NotImplementedError


class PublicSession(Session):
    """One subscriber of public streams."""

    def __init__(self, venue: Upbit, connection: WsConnection) -> None:
        super().__init__(venue, connection)
        self._depths: dict[str, int] = {}  # by stream; 0: all lines

    def check(self, kind: str, codes: list[str] | None) -> None:
        if kind in PRIVATE_TYPES:
            raise SocketError("INVALID_AUTH", f"{kind} needs the private socket.")
        if kind not in TYPES and kind.removeprefix(CANDLE) not in render.STREAM_CANDLES:
            raise SocketError("INVALID_PARAM", f"There is no type {kind}.")
        if not codes:
            raise SocketError("NO_CODES", f"{kind} needs codes.")

    def enter(self, wanted: list[Wanted]) -> None:
        """Pictures of the present first, unless only what is new is wanted. Unknown codes are passed over."""
        for one in wanted:
            for code in one.codes:
                stream, depth = self._stream_of(one, code)
                if stream is None:
                    continue
                if one.snapshot:
                    message = self.venue.streams.snapshot(stream)
                    if message is not None:
                        self.connection.send_frame(message.frame(self.form, depth))
                if one.realtime:
                    self._depths[stream] = depth
                    self.venue.hub.subscribe(stream, self)

    def _stream_of(self, one: Wanted, code: str) -> tuple[str | None, int]:
        depth = 0
        if one.kind == "orderbook":
            code, dot, count = code.partition(".")
            if dot:
                depth = int(count) if count.isdigit() and int(count) in render.DEPTHS else render.LEVELS
        market = self.venue.exchange.markets.get(code)
        if market is None:
            return None, 0
        if one.kind != "orderbook" or not one.level:
            return f"{one.kind}:{code}", depth
        if str(render.num(one.level)) not in render.supported_levels(market, self.venue.clock.now_ns()):
            return None, 0
        return f"orderbook:{code}@{render.num(one.level)}", depth

    def leave(self) -> None:
        for stream in self._depths:
            self.venue.hub.unsubscribe(stream, self)
        self._depths.clear()

    def deliver(self, message: Message) -> None:
        """One public message, in the form and depth that this connection asked for."""
        assert isinstance(message, UpbitMessage)
        self.connection.send_frame(message.frame(self.form, self._depths.get(message.stream, 0)))

    async def room(self, frames: int) -> None:
        await self.connection.below(frames)


class OwnSession(Session):
    """One subscriber of an account's streams; the upgrade request has said whose."""

    def __init__(self, venue: Upbit, connection: WsConnection, account: Account, api_key: str) -> None:
        super().__init__(venue, connection)
        self.account = account
        self.api_key = api_key
        self._selection = Selection(self.form)
        self._entered = False

    @property
    def variant(self) -> Hashable:
        return self._selection

    def check(self, kind: str, codes: list[str] | None) -> None:
        if kind not in PRIVATE_TYPES:
            raise SocketError("INVALID_PARAM", f"There is no type {kind} on the private socket.")
        if kind == "myAsset" and codes is not None:
            raise SocketError("WRONG_FORMAT", "myAsset takes no codes.")

    def enter(self, wanted: list[Wanted]) -> None:
        """Neither stream begins with a picture."""
        orders = [one for one in wanted if one.kind == "myOrder"]
        every = any(not one.codes for one in orders)
        self._selection = Selection(
            self.form,
            orders=bool(orders),
            codes=frozenset() if every else frozenset(code for one in orders for code in one.codes),
            assets=any(one.kind == "myAsset" for one in wanted),
        )
        self._entered = True
        self.venue.user_data.subscribe(self.account, self)

    def _reform(self, form: Form) -> None:
        super()._reform(form)
        self._selection = attrs.evolve(self._selection, form=form)

    def leave(self) -> None:
        if self._entered:
            self._entered = False
            self.venue.user_data.unsubscribe(self.account, self)

    def send_event(self, subscription: Any, event: bytes) -> None:
        self.send(event)
