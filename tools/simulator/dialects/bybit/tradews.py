"""Order entry by WebSocket, `/v5/trade` (section 7): logon once, then requests with a time and no signature."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from tools.simulator.core.accounts import Account, ApiKey
from tools.simulator.core.clock import MS
from tools.simulator.core.delivery import Job, Line, perform
from tools.simulator.core.net import WsConnection
from tools.simulator.dialects.bybit.auth import check_time
from tools.simulator.dialects.bybit.errors import VenueError, bad_key, bad_parameter, internal
from tools.simulator.dialects.bybit.gateway import Call, Outcome, execute
from tools.simulator.dialects.bybit.params import Params
from tools.simulator.dialects.bybit.privatews import logon
from tools.simulator.dialects.bybit.rest import limit_headers

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

REQUEST_ID_MAX = 36
ALREADY = 20001
DUPLICATE = 20006
RESTARTING = 10019


class _Reply:
    """The way back for one request."""

    def __init__(self, socket: TradeSocket, request_id: str, op: str) -> None:
        self._socket = socket
        self._id = request_id
        self._op = op

    def reply(self, outcome: Outcome) -> None:
        self._socket.answer(self._id, self._op, outcome)

    def silence(self) -> None:
        pass

    def cut(self) -> None:
        self._socket.connection.reset()


class TradeSocket:
    """One connection."""

    def __init__(self, venue: Bybit, connection: WsConnection) -> None:
        self.venue = venue
        self.connection = connection
        self.key: ApiKey | None = None
        self.heard_ns = venue.clock.now_ns()
        self.restarting = False
        self._conn_id = venue.connection_id(connection)
        self._line = Line()
        self._seen: set[str] = set()
        self._answers = 0

    async def run(self) -> None:
        """Serve until the connection ends.  Raises ConnectionClosed."""
        while True:
            self._handle(await self.connection.receive())

    def _handle(self, text: str | bytes) -> None:
        venue = self.venue
        self.heard_ns = venue.clock.now_ns()
        try:
            request = json.loads(text, parse_float=str)
            op, args, header = request["op"], request.get("args", []), request.get("header") or {}
            request_id = str(request.get("reqId", ""))
            if not (isinstance(op, str) and isinstance(args, list) and isinstance(header, dict)):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError):
            self._say("", "", bad_parameter("invalid request"))
            return
        if op == "ping":
            stamp = str(venue.clock.now_ns() // MS)
            pong = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [stamp], "connId": self._conn_id}
            self.connection.send(orjson.dumps(({"reqId": request_id} if request_id else {}) | pong))
        elif op == "auth":
            self._auth(request_id, args)
        else:
            self._order(request_id, op, args, header)

    def _auth(self, request_id: str, args: list[Any]) -> None:
        if self.key is not None:
            self._say(request_id, "auth", VenueError(ALREADY, "Repeat auth"))
            return
        try:
            self.key = logon(self.venue, args)
        except VenueError as error:
            self._say(request_id, "auth", error)
        else:
            self._say(request_id, "auth", None)

    def _order(self, request_id: str, op: str, args: list[Any], header: dict[str, Any]) -> None:
        """What is wrong with the frame itself is answered at once, the rest goes the way of every request."""
        venue = self.venue
        refusal = self._refusal(request_id, op, args)
        if refusal is not None:
            self.answer(request_id, op, Outcome(error=refusal))
            return
        self._seen.add(request_id)
        method = venue.trade_ops[op]
        params = Params(args[0])

        def identify() -> Account:
            if self.key is None or not self.key.enabled:
                raise bad_key()
            call.key = self.key
            stamp, window = str(header.get("X-BAPI-TIMESTAMP", "")), str(header.get("X-BAPI-RECV-WINDOW", ""))
            check_time(stamp, window, venue.clock.now_ns())
            return self.key.account

        call = Call(params=params, peer=self.connection.peer, identify=identify)
        job = Job(
            subject=method.name,
            account="" if self.key is None else self.key.account.name,
            peer=self.connection.peer,
            run=lambda: execute(venue, method, call),
            line=self._line,
        )
        venue.note_arrivals(method, params)
        perform(venue, job, _Reply(self, request_id, op))

    def _refusal(self, request_id: str, op: str, args: list[Any]) -> VenueError | None:
        venue, peer = self.venue, self.venue.peer_limits(self.connection.peer)
        now = venue.clock.now_ns()
        if self.restarting:
            return VenueError(RESTARTING, "Current trade service is restarting")
        if peer.trade.full(now) or now < peer.silent_until_ns:
            return VenueError(10403, "Exceed IP rate limit. 3000 requests per second per IP")
        peer.trade.add(1, now)
        if op not in venue.trade_ops:
            return VenueError(10404, f"op type is not found: {op}")
        if len(request_id) > REQUEST_ID_MAX:
            return bad_parameter("reqId is too long")
        if request_id and request_id in self._seen:
            return VenueError(DUPLICATE, "Duplicate reqId")
        if len(args) != 1 or not isinstance(args[0], dict):
            return bad_parameter("args must have exactly one element")
        return None

    # --------------------------------------------------------------------------------------- outgoing
    def answer(self, request_id: str, op: str, outcome: Outcome) -> None:
        """The answer to an order request: an acknowledgement of receipt or a refusal."""
        now, error = self.venue.clock.now_ns(), outcome.error
        if error is not None and error.status != 200:
            error = internal()  # a socket has no HTTP status
        self._answers += 1
        header = dict(limit_headers(outcome, now))
        header |= {"Traceid": f"{self._answers:032x}", "Timenow": str(now // MS)}
        body = {
            "reqId": request_id,
            "retCode": 0 if error is None else error.code,
            "retMsg": "OK" if error is None else error.msg,
            "op": op,
            "data": outcome.result if error is None else {},
            "retExtInfo": outcome.ext,
            "header": header,
            "connId": self._conn_id,
        }
        self.connection.send(orjson.dumps(body))

    def _say(self, request_id: str, op: str, error: VenueError | None) -> None:
        """A reply to a control frame."""
        body: dict[str, Any] = {"reqId": request_id} if request_id else {}
        body |= {
            "retCode": 0 if error is None else error.code,
            "retMsg": "OK" if error is None else error.msg,
            "op": op,
            "connId": self._conn_id,
        }
        self.connection.send(orjson.dumps(body))
