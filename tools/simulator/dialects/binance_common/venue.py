"""What a Binance product's dialect is made of beside its methods and messages: peers, limits, sessions, arrivals."""

from __future__ import annotations

import random
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import attrs

from tools.simulator.core.accounts import Account
from tools.simulator.core.clock import DAY, SECOND
from tools.simulator.core.delivery import Job
from tools.simulator.core.dialect import Arrival, Parts
from tools.simulator.core.exchange import Listener
from tools.simulator.core.hub import Hub
from tools.simulator.core.limits import OrderLimits, PeerLimits, Window
from tools.simulator.core.model import ExecType, Execution, Order, Reject
from tools.simulator.core.net import WsConnection
from tools.simulator.core.private import PrivateChannel
from tools.simulator.core.server import HttpRequest, HttpResponse
from tools.simulator.dialects.binance_common import rest
from tools.simulator.dialects.binance_common.auth import OUTSIDE
from tools.simulator.dialects.binance_common.errors import VenueError, internal, unknown_status
from tools.simulator.dialects.binance_common.gateway import Call, Method, MethodTable, Outcome, execute, limited
from tools.simulator.dialects.binance_common.marketws import ControlError, MarketSession
from tools.simulator.dialects.binance_common.params import Params, split_query
from tools.simulator.dialects.binance_common.wsapi import ApiSession


@attrs.frozen(kw_only=True)
class Span:
    """The longer of the two windows in which orders are counted, in the words of its places."""

    interval_ns: int
    interval: str  # "DAY"
    text: str  # "1 DAY"
    header: str  # "1d"


DAILY = Span(interval_ns=DAY, interval="DAY", text="1 DAY", header="1d")


class BinanceVenue(Listener):
    """Base of the dialects.  A product sets the class attributes and overrides what differs."""

    ws_api_path: ClassVar[str]
    order_span: ClassVar[Span] = DAILY
    connect_cost: ClassVar[int] = 2  # weight of opening a WebSocket API connection

    user_data: PrivateChannel

    def __init__(self, parts: Parts, methods: Iterable[Method]) -> None:
        self.exchange = parts.exchange
        self.infos: dict[str, Any] = {info.spec.symbol: info for info in parts.instruments}
        self.clock = parts.clock
        self.faults = parts.faults
        self.scheduler = parts.scheduler
        self.limits: Any = parts.limits
        self.latency = parts.latency
        self.hub = Hub(parts.faults, parts.scheduler)
        self.methods = MethodTable()
        self.methods.add(*methods)
        self.sessions: set[ApiSession] = set()
        self.market_sessions: set[MarketSession] = set()
        self.arrivals: dict[str, Arrival] = defaultdict(Arrival)
        self.requests: Counter[str] = Counter()
        self.snapshots: Counter[str] = Counter()
        self.history_of: Callable[[str], None] | None = None
        self._random = random.Random(f"{parts.seed}/client-ids")
        self._peers: dict[str, PeerLimits] = {}
        self._order_limits: dict[Account, OrderLimits] = {}

    # ----------------------------------------------------------------------------------- server's calls
    def kind_of(self, path: str) -> str:
        raise NotImplementedError

    async def http(self, request: HttpRequest) -> HttpResponse:
        return await rest.serve(self, request)

    def gone(self, path: str) -> HttpResponse | None:
        """The answer to a path that the venue once had; None for one that never was."""
        return None

    def params(self, values: dict[str, str]) -> Params:
        """The parameters of one request, under the product's own rules."""
        return Params(values)

    def refuse_websocket(self, connection: WsConnection) -> HttpResponse | None:
        """Unknown paths, banned addresses, too many attempts."""
        path = connection.target.split("?", 1)[0]
        now, limits = self.clock.now_ns(), self.peer_limits(connection.peer)
        kind = self.kind_of(path)
        if kind == "rest" or (kind == "ws-api" and path.rstrip("/") != self.ws_api_path):
            return HttpResponse(status=404, body=b"not found")
        if limits.banned and now < limits.blocked_until_ns:
            return HttpResponse(status=418, body=b"banned")
        if limits.connections.full(now):
            return HttpResponse(status=429, body=b"too many connection attempts")
        limits.connections.add(1, now)
        return None if kind == "ws-api" else self._open_market_session(connection)

    def _open_market_session(self, connection: WsConnection) -> HttpResponse | None:
        """What the address asks for is subscribed before the client sees that it is connected."""
        session = connection.session = self.market_session(connection)
        self.market_sessions.add(session)
        connection.at_end += [session.end, lambda: self.market_sessions.discard(session)]
        try:
            session.begin()
        except ControlError as error:
            return HttpResponse(status=400, body=error.msg.encode())
        return None

    async def websocket(self, connection: WsConnection) -> None:
        if connection.kind != "ws-api":
            await connection.session.run()
            return
        options = dict(split_query(connection.target.partition("?")[2]))
        session = self.api_session(connection, options)
        self.peer_limits(connection.peer).weight.add(self.connect_cost, self.clock.now_ns())
        self.sessions.add(session)
        try:
            await session.run()
        finally:
            self.sessions.discard(session)

    def market_session(self, connection: WsConnection) -> MarketSession:
        return MarketSession(self, connection)

    def api_session(self, connection: WsConnection, options: dict[str, str]) -> ApiSession:
        return ApiSession(self, connection, return_limits=options.get("returnRateLimits", "true").lower() != "false")

    # -------------------------------------------------------------------------------- delivery's calls
    def job(self, method: Method, call: Call) -> Job[Outcome]:
        """One request that has arrived: counted, and ready to run."""
        self.requests[method.name] += 1
        for name in self.new_ids(method, call.params):
            self.arrivals[name].seen += 1
        line = None if call.session is None else call.session.line
        return Job(method.name, self.account_name(call), call.peer, lambda: execute(self, method, call), line)

    def new_ids(self, method: Method, params: Params) -> Iterable[str]:
        """Every client order id with which this request would place a new order."""
        raise NotImplementedError

    def internal_error(self, status: int) -> Outcome:
        return Outcome.failed(internal(status))

    def unknown_outcome(self) -> Outcome:
        return Outcome.failed(unknown_status())

    def blocked(self, peer: str, until_ns: int, *, ban: bool) -> Outcome:
        self.peer_limits(peer).block(until_ns, ban=ban)
        return limited(self, peer)

    def from_reject(self, reject: Reject) -> VenueError:
        """What the matching engine refused, in the product's words."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------ limits
    def peer_limits(self, peer: str) -> PeerLimits:
        found = self._peers.get(peer)
        if found is None:
            found = self._peers[peer] = PeerLimits.make(self.limits)
        return found

    def order_limits(self, account: Account) -> OrderLimits:
        found = self._order_limits.get(account)
        if found is None:
            short = Window(10 * SECOND, self.limits.orders_per_10_seconds)
            found = OrderLimits(short, Window(self.order_span.interval_ns, self.order_limit))
            self._order_limits[account] = found
        return found

    @property
    def order_limit(self) -> int:
        """Of the longer window."""
        raise NotImplementedError

    def check_order_count(self, account: Account, orders: int, requests: int | None = None) -> None:
        """Raises 429 -1015 where the account has sent too many."""
        limits = self.order_limits(account)
        window = limits.exceeded(self.clock.now_ns(), orders, requests)
        if window is not None:
            span = self.order_span.text if window is limits.long else "10 SECOND"
            text = f"Too many new orders; current limit is {window.limit} orders per {span}."
            raise VenueError(-1015, text, status=429)

    def count_orders(self, account: Account, orders: int, requests: int | None = None) -> None:
        self.order_limits(account).add(orders, self.clock.now_ns(), requests)

    def too_old(self) -> VenueError:
        """The refusal of a request that was held up on its way to the engine for longer than it holds."""
        return VenueError(-1021, OUTSIDE)

    def refund_weight(self, peer: str, weight: int) -> None:
        self.peer_limits(peer).weight.add(-weight, self.clock.now_ns())

    def retry_after(self, error: VenueError, call: Call) -> int:
        """When a request that broke the order limit may come again; 0 for all other errors."""
        if error.code != -1015 or call.key is None:
            return 0
        now = self.clock.now_ns()
        window = self.order_limits(call.key.account).exceeded(now, 1)
        return 0 if window is None else window.ends_ns(now)

    def rate_limit_rules(self, *, connections: bool) -> list[dict[str, Any]]:
        """What `exchangeInfo` says about limits."""
        rows = [
            ("REQUEST_WEIGHT", "MINUTE", 1, self.limits.weight_per_minute),
            ("ORDERS", "SECOND", 10, self.limits.orders_per_10_seconds),
            ("ORDERS", self.order_span.interval, 1, self.order_limit),
            ("RAW_REQUESTS", "MINUTE", 5, self.limits.raw_per_5_minutes),
        ]
        if connections:
            rows.append(("CONNECTIONS", "MINUTE", 5, self.limits.connections_per_5_minutes))
        return [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
            for kind, interval, number, limit in rows
            if limit
        ]

    def order_limit_state(self, account: Account) -> list[dict[str, Any]]:
        limits, now = self.order_limits(account), self.clock.now_ns()

        def row(window: Window, interval: str, number: int) -> dict[str, Any]:
            return {
                "rateLimitType": "ORDERS",
                "interval": interval,
                "intervalNum": number,
                "limit": window.limit,
                "count": window.used(now),
            }

        return [row(limits.short, "SECOND", 10), row(limits.long, self.order_span.interval, 1)]

    def limit_rows(self, peer: str, account: Account | None) -> list[dict[str, Any]]:
        """The `rateLimits` of a WebSocket API reply."""
        window = self.peer_limits(peer).weight
        weight = {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": window.limit,
            "count": window.used(self.clock.now_ns()),
        }
        return [weight] if account is None else [*self.order_limit_state(account), weight]

    def limit_headers(self, call: Call, outcome: Outcome) -> list[tuple[str, str]]:
        """What a REST response says about limits."""
        now = self.clock.now_ns()
        used = str(self.peer_limits(call.peer).weight.used(now))
        headers = [("x-mbx-used-weight", used), ("x-mbx-used-weight-1m", used)]
        if outcome.orders_counted:
            limits = self.order_limits(call.account)
            headers.append(("x-mbx-order-count-10s", str(limits.short.used(now))))
            headers.append((f"x-mbx-order-count-{self.order_span.header}", str(limits.long.used(now))))
        return headers

    def drop_sockets(self, peer: str) -> None:
        """An address is banned: its open WebSockets go."""
        for connection in [s.connection for s in self.sessions] + [s.connection for s in self.market_sessions]:
            if connection.peer == peer:
                connection.close(1008, "banned")

    def revoke_key(self, api_key: str) -> None:
        """The key stops working; sessions logged on with it are told. Raises ValueError for an unknown key."""
        key = self.exchange.accounts.keys.get(api_key)
        if key is None:
            raise ValueError(f"no API key {api_key!r} to revoke")
        key.enabled = False
        for session in list(self.sessions):
            if session.key is key:
                session.key_revoked()

    def announce_shutdown(self, then_close_after_s: float) -> None:
        """Tell every WebSocket API session that its connection is about to end, and end it."""
        for session in list(self.sessions):
            session.announce_shutdown()
            self.scheduler.after(then_close_after_s, session.connection.close)

    # --------------------------------------------------------------------------------------- bookkeeping
    def account_name(self, call: Call) -> str:
        """Whose request this looks like, before anything is verified: faults may be meant for one account."""
        if call.api_key is not None:
            key = self.exchange.accounts.keys.get(call.api_key)
            return "" if key is None else key.account.name
        session = call.session
        return "" if session is None or session.key is None else session.key.account.name

    def note_snapshot(self, symbol: str) -> None:
        self.snapshots[symbol] += 1

    def need_history(self, symbol: str) -> None:
        if self.history_of is not None:
            self.history_of(symbol)

    def rebuild(self, refused: Sequence[Order]) -> None:
        """A venue that remembers ids must not give them again."""
        self._random.seed(f"{self.clock.now_ns()}/client-ids")

    def random_id(self) -> str:
        """A client id for who sent none."""
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=22))

    def on_execution(self, order: Order, execution: Execution) -> None:
        """Count an acceptance."""
        if execution.exec_type is ExecType.NEW and not order.counted_new:
            order.counted_new = True  # a triggered stop reports NEW a second time
            self.arrivals[order.cl_ord_id].accepted += 1
