"""Binance Spot as a whole: what the dialect's parts share, and what the server calls.

venue = BinanceSpot(Parts(exchange=exchange, instruments=infos, ...))
server = Server(venue, plan, ServerConfig())
"""

from __future__ import annotations

import random
import string
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from tools.simulator.core.accounts import Account
from tools.simulator.core.capture import ReplayCodec
from tools.simulator.core.decimals import text8
from tools.simulator.core.delivery import Job
from tools.simulator.core.dialect import Arrival, Parts
from tools.simulator.core.exchange import Listener
from tools.simulator.core.hub import Hub
from tools.simulator.core.limits import LimitConfig, OrderLimits, PeerLimits, Window
from tools.simulator.core.live import LiveConfig, LiveFeed
from tools.simulator.core.model import ExecType, Execution, Order
from tools.simulator.core.net import WsConnection
from tools.simulator.core.server import HttpRequest, HttpResponse
from tools.simulator.dialects.binance_spot import (
    methods_account,
    methods_lists,
    methods_market,
    methods_trade,
    replay,
    rest,
    wsapi,
)
from tools.simulator.dialects.binance_spot.errors import VenueError, internal, unknown_status
from tools.simulator.dialects.binance_spot.gateway import Call, Method, MethodTable, Outcome, execute, limited
from tools.simulator.dialects.binance_spot.marketws import MarketSession
from tools.simulator.dialects.binance_spot.params import Params, split_query
from tools.simulator.dialects.binance_spot.streams import PublicStreams
from tools.simulator.dialects.binance_spot.symbols import SymbolInfo
from tools.simulator.dialects.binance_spot.userdata import UserData
from tools.simulator.dialects.binance_spot.wsapi import WsApiSession

# How much of the order count a first fill gives back (section 5; the venue may give more for large fills).
TAKER_REFUND, MAKER_REFUND = 1, 5
CONNECT_COST = 2  # weight of opening a WebSocket API connection


@attrs.frozen(kw_only=True)
class Amendment:
    exec_id: int
    old_cl_ord_id: str
    new_cl_ord_id: str
    old_qty: Any
    new_qty: Any
    time_ns: int


@attrs.frozen(kw_only=True)
class PreventedMatch:
    """One prevented self-trade, from the view of the order that lost quantity."""

    symbol: str
    match_id: int
    taker_id: int
    maker_id: int
    price: Any
    qty: Any
    stp_mode: str
    trade_group: int
    time_ns: int

    def body(self, unit: int) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "preventedMatchId": self.match_id,
            "takerOrderId": self.taker_id,
            "makerSymbol": self.symbol,
            "makerOrderId": self.maker_id,
            "tradeGroupId": self.trade_group,
            "selfTradePreventionMode": self.stp_mode,
            "price": text8(self.price),
            "makerPreventedQuantity": text8(self.qty),
            "transactTime": self.time_ns // unit,
        }


class BinanceSpot(Listener):
    """The dialect: serves requests and streams over one exchange."""

    def __init__(self, parts: Parts) -> None:
        exchange, clock, faults, scheduler = parts.exchange, parts.clock, parts.faults, parts.scheduler
        self.exchange = exchange
        self.infos: dict[str, SymbolInfo] = {info.spec.symbol: info for info in parts.instruments}
        self.clock = clock
        self.faults = faults
        self.scheduler = scheduler
        self.limits: LimitConfig = parts.limits
        self.latency = parts.latency
        self.hub = Hub(faults, scheduler)
        self.user_data = UserData(faults, scheduler, clock.now_ns)
        self.user_data.on_first_fill = self._first_fill
        self.streams = PublicStreams(exchange.markets, self.hub, clock)
        exchange.listeners += [self.user_data, self.streams, self]
        self.methods = MethodTable()
        for module in (methods_market, methods_trade, methods_account, methods_lists, wsapi):
            self.methods.add(*module.METHODS)
        self.sessions: set[WsApiSession] = set()
        self.market_sessions: set[MarketSession] = set()
        self.arrivals: dict[str, Arrival] = defaultdict(Arrival)
        self.requests: Counter[str] = Counter()
        self.snapshots: Counter[str] = Counter()
        self.history_of: Callable[[str], None] | None = None
        self._random = random.Random(f"{parts.seed}/client-ids")
        self._peers: dict[str, PeerLimits] = {}
        self._order_limits: dict[Account, OrderLimits] = {}
        self._amendments: dict[tuple[str, int], list[Amendment]] = defaultdict(list)
        self._prevented: dict[tuple[str, str], list[PreventedMatch]] = defaultdict(list)

    # ----------------------------------------------------------------------------------- server's calls
    def kind_of(self, path: str) -> str:
        if path.startswith("/ws-api/"):
            return "ws-api"
        return "streams" if path == "/ws" or path.startswith(("/ws/", "/stream")) else "rest"

    async def http(self, request: HttpRequest) -> HttpResponse:
        return await rest.serve(self, request)

    def refuse_websocket(self, connection: WsConnection) -> HttpResponse | None:
        """Unknown paths, banned addresses, too many attempts."""
        path = connection.target.split("?", 1)[0]
        now, limits = self.clock.now_ns(), self.peer_limits(connection.peer)
        if self.kind_of(path) == "rest" or (path.startswith("/ws-api/") and path.rstrip("/") != "/ws-api/v3"):
            return HttpResponse(status=404, body=b"not found")
        if limits.banned and now < limits.blocked_until_ns:
            return HttpResponse(status=418, body=b"banned")
        if limits.connections.full(now):
            return HttpResponse(status=429, body=b"too many connection attempts")
        limits.connections.add(1, now)
        return None

    async def websocket(self, connection: WsConnection) -> None:
        path, _, query = connection.target.partition("?")
        if not path.startswith("/ws-api/"):
            market = MarketSession(self, connection)
            self.market_sessions.add(market)
            try:
                await market.run()
            finally:
                self.market_sessions.discard(market)
            return
        options = dict(split_query(query))
        micro = options.get("timeUnit", "").upper() == "MICROSECOND"
        session = WsApiSession(
            self,
            connection,
            1_000 if micro else 1_000_000,
            options.get("returnRateLimits", "true").lower() != "false",
        )
        self.peer_limits(connection.peer).weight.add(CONNECT_COST, self.clock.now_ns())
        self.sessions.add(session)
        try:
            await session.run()
        finally:
            self.sessions.discard(session)

    # ------------------------------------------------------------------------------- the simulator's calls
    def begin(self) -> None:
        self.streams.begin()

    def tick(self, now_ns: int) -> None:
        self.streams.tick(now_ns)

    def urls(self, http: str, ws: str) -> dict[str, str]:
        """`streams` continues with `/ws/<stream>` or `/stream?streams=`, REST with `/api/v3`."""
        return {"rest": http, "streams": ws, "ws_api": f"{ws}/ws-api/v3"}

    def deposited(self, account: Account, asset: str, amount: Decimal) -> None:
        self.user_data.balance_update(account, asset, text8(amount))

    def state(self) -> dict[str, Any]:
        return {}

    def replay_codec(self) -> ReplayCodec:
        return replay.SpotReplay(self)

    def live_feed(self, config: LiveConfig) -> LiveFeed:
        return LiveFeed(self.hub, self.replay_codec(), config, tuple(self.infos))

    # -------------------------------------------------------------------------------- delivery's calls
    def job(self, method: Method, call: Call) -> Job[Outcome]:
        """One request that has arrived: counted, and ready to run."""
        self.note_arrivals(method, call.params)
        line = None if call.session is None else call.session.line
        return Job(method.name, self.account_name(call), call.peer, lambda: execute(self, method, call), line)

    def internal_error(self, status: int) -> Outcome:
        return Outcome.failed(internal(status))

    def unknown_outcome(self) -> Outcome:
        return Outcome.failed(unknown_status())

    def blocked(self, peer: str, until_ns: int, *, ban: bool) -> Outcome:
        self.peer_limits(peer).block(until_ns, ban=ban)
        return limited(self, peer)

    # ------------------------------------------------------------------------------------------ limits
    def peer_limits(self, peer: str) -> PeerLimits:
        found = self._peers.get(peer)
        if found is None:
            found = self._peers[peer] = PeerLimits.make(self.limits)
        return found

    def order_limits(self, account: Account) -> OrderLimits:
        found = self._order_limits.get(account)
        if found is None:
            found = self._order_limits[account] = OrderLimits.make(self.limits)
        return found

    def check_order_count(self, account: Account, orders: int) -> None:
        """Raises 429 -1015 where the account has sent too many."""
        window = self.order_limits(account).exceeded(self.clock.now_ns(), orders)
        if window is not None:
            span = "1 DAY" if window is self.order_limits(account).day else "10 SECOND"
            text = f"Too many new orders; current limit is {window.limit} orders per {span}."
            raise VenueError(-1015, text, status=429)

    def count_orders(self, account: Account, orders: int) -> None:
        self.order_limits(account).add(orders, self.clock.now_ns())

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
            ("ORDERS", "DAY", 1, self.limits.orders_per_day),
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

        return [row(limits.short, "SECOND", 10), row(limits.day, "DAY", 1)]

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

    def note_arrivals(self, method: Method, params: Params) -> None:
        """Count every client order id with which a new order reached the venue."""
        self.requests[method.name] += 1
        if not (method.orders or method.name == "order.cancelReplace"):
            return
        for name, value in params.values.items():
            if name == "newClientOrderId" or (
                name.endswith("ClientOrderId") and not name.startswith(("cancel", "list", "orig", "new"))
            ):
                self.arrivals[value].seen += 1

    def note_snapshot(self, symbol: str) -> None:
        self.snapshots[symbol] += 1

    def need_history(self, symbol: str) -> None:
        if self.history_of is not None:
            self.history_of(symbol)

    def note_amend(self, order: Order, exec_id: int, original: str, old_qty: Any) -> None:
        self._amendments[order.symbol, order.order_id].append(
            Amendment(
                exec_id=exec_id,
                old_cl_ord_id=original,
                new_cl_ord_id=order.cl_ord_id,
                old_qty=old_qty,
                new_qty=order.order_qty,
                time_ns=order.update_ns,
            )
        )

    def amendments(self, order: Order) -> list[Amendment]:
        return self._amendments[order.symbol, order.order_id]

    def prevented(self, account: Account, symbol: str) -> list[PreventedMatch]:
        return self._prevented[account.name, symbol]

    def random_id(self) -> str:
        """A client id for who sent none."""
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=22))

    def _first_fill(self, account: Account, is_maker: bool) -> None:
        self.order_limits(account).add(-(MAKER_REFUND if is_maker else TAKER_REFUND), self.clock.now_ns())

    # ------------------------------------------------------------------- what the exchange says (records)
    def on_execution(self, order: Order, execution: Execution) -> None:
        if execution.exec_type is ExecType.NEW and not order.counted_new:
            order.counted_new = True  # a triggered stop reports NEW a second time
            self.arrivals[order.cl_ord_id].accepted += 1
        elif execution.exec_type is ExecType.TRADE_PREVENTION and order.account is not None:
            self._note_prevented(order, execution)

    def _note_prevented(self, order: Order, execution: Execution) -> None:
        assert order.account is not None
        assert execution.prevented_match_id is not None
        is_taker = order.order_id > execution.counter_order_id
        ids = (order.order_id, execution.counter_order_id)
        rows = self._prevented[order.account.name, order.symbol]
        if rows and rows[-1].match_id == execution.prevented_match_id:
            return
        rows.append(
            PreventedMatch(
                symbol=order.symbol,
                match_id=execution.prevented_match_id,
                taker_id=ids[0] if is_taker else ids[1],
                maker_id=ids[1] if is_taker else ids[0],
                price=execution.prevented_px,
                qty=execution.prevented_qty,
                stp_mode=order.stp_mode.value,
                trade_group=execution.trade_group,
                time_ns=execution.time_ns,
            )
        )
