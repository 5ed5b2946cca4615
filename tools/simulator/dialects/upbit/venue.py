"""Upbit as a whole: what the dialect's parts share, and what the simulator calls (`core.dialect.Dialect`)."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from tools.simulator.core.accounts import Account
from tools.simulator.core.capture import ReplayCodec
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.dialect import Arrival, Parts
from tools.simulator.core.exchange import Listener
from tools.simulator.core.hub import Hub
from tools.simulator.core.live import LiveConfig, LiveFeed
from tools.simulator.core.market import TRADES_KEPT, Market
from tools.simulator.core.memory import Memory
from tools.simulator.core.model import ExecType, Execution, Fill, Order, OrdStatus, Reject, Side
from tools.simulator.core.net import WsConnection
from tools.simulator.core.private import PrivateChannel
from tools.simulator.core.server import HttpRequest, HttpResponse
from tools.simulator.dialects.upbit import errors, methods_account, methods_market, rest
from tools.simulator.dialects.upbit.auth import Gate
from tools.simulator.dialects.upbit.gateway import Method, Outcome, refused
from tools.simulator.dialects.upbit.limits import Budget, UpbitLimits, Verdict, account_budget, public_budget
from tools.simulator.dialects.upbit.live import UpbitLive
from tools.simulator.dialects.upbit.orders import resize, ticket_of
from tools.simulator.dialects.upbit.params import Params
from tools.simulator.dialects.upbit.private import PrivateStreams, made_up_uuid, order_row
from tools.simulator.dialects.upbit.render import Print, Statistics
from tools.simulator.dialects.upbit.replay import UpbitReplay
from tools.simulator.dialects.upbit.sockets import OwnSession, PublicSession, Session
from tools.simulator.dialects.upbit.streams import PublicStreams
from tools.simulator.dialects.upbit.symbols import UpbitMarket

STREAM, PRIVATE = "/websocket/v1", "/websocket/v1/private"


class Upbit(Listener):
    """The dialect: serves requests and streams over one exchange."""

    def __init__(self, parts: Parts) -> None:
        self.exchange = parts.exchange
        self.markets: dict[str, UpbitMarket] = {each.code: each for each in parts.instruments}
        self.clock = parts.clock
        self.faults = parts.faults
        self.scheduler = parts.scheduler
        self.latency = parts.latency
        self.limits: UpbitLimits = parts.limits
        self.hub = Hub(parts.faults, parts.scheduler)
        self.user_data = PrivateChannel(parts.faults, parts.scheduler)
        self.prints: defaultdict[str, deque[Print]] = defaultdict(lambda: deque(maxlen=TRADES_KEPT))
        self.streams = PublicStreams(parts.exchange.markets, self.hub, parts.clock, self.prints, self._statistics_of)
        self.own_streams = PrivateStreams(self.user_data, parts.clock)
        self.exchange.listeners += [self.own_streams, self.streams, self]
        self.exchange.name_order = self._name_order
        self.gate = Gate(parts.exchange.accounts)
        methods = [*methods_market.METHODS, *methods_account.METHODS]
        self._methods = {(method.verb, method.path): method for method in methods}
        self.paths = {method.path for method in methods}
        self.arrivals: dict[str, Arrival] = defaultdict(Arrival)
        self.requests: Counter[str] = Counter()
        self.snapshots: Counter[str] = Counter()
        self.history_of: Callable[[str], None] | None = None
        self.book_times: dict[str, int] = {}  # of a recorded market: when its last picture was taken
        self._seed = parts.seed
        self._nameless = 0
        self._sessions: set[Session] = set()
        self._peers: dict[str, Budget] = {}
        self._budgets: dict[Account, Budget] = {}
        self._statistics: dict[str, Statistics] = {}
        self._identifiers: dict[tuple[str, str], Order | None] = {}
        self._spent: dict[str, list[str]] = defaultdict(list)  # by account: identifiers in the order of their use
        self._costs: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}  # what was bought, and what it cost in KRW

    # ----------------------------------------------------------------------------------- server's calls
    def kind_of(self, path: str) -> str:
        """The private socket has a word of its own."""
        return {STREAM: "streams", PRIVATE: "private"}.get(path.rstrip("/"), "rest")

    async def http(self, request: HttpRequest) -> HttpResponse:
        return await rest.serve(self, request)

    def refuse_websocket(self, connection: WsConnection) -> HttpResponse | None:
        """Unknown paths, tokens that cannot be verified, too many attempts (sections 2 and 3)."""
        kind, now = self.kind_of(connection.target.partition("?")[0]), self.clock.now_ns()
        if kind == "rest":
            return HttpResponse(status=404, body=b"not found")
        budget = self.peer_budget(connection.peer)
        if kind == "private":
            try:
                key = self.gate.admit(connection.headers.get("authorization"), [])
            except errors.VenueError as error:
                return rest.response(Outcome(status=error.status, body=error.body(), group="websocket-connect"))
            connection.headers["access-key"] = key.api_key
            budget = self.account_budget(key.account)
        elif "origin" in connection.headers and not budget.counters["origin"].take(now):
            return rest.response(refused(budget, "origin", now, None, Verdict.LIMITED))
        if not budget.counters["websocket-connect"].take(now):
            return rest.response(refused(budget, "websocket-connect", now, None, Verdict.LIMITED))
        return None

    async def websocket(self, connection: WsConnection) -> None:
        session: Session
        if connection.kind == "private":
            key = self.exchange.accounts.keys[connection.headers["access-key"]]
            session = OwnSession(self, connection, key.account, key.api_key)
        else:
            session = PublicSession(self, connection)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    # -------------------------------------------------------------------------- what delivery asks for
    def internal_error(self, status: int) -> Outcome:
        return Outcome(status=status, body=errors.internal(status).body())

    def unknown_outcome(self) -> Outcome:
        """A gateway gave up: its page is no error object of the venue (section 8)."""
        return Outcome(status=504)

    def blocked(self, peer: str, until_ns: int, *, ban: bool) -> Outcome:
        budget = self.peer_budget(peer)
        budget.block(until_ns, ban=ban)
        return refused(budget, "default", self.clock.now_ns(), None, Verdict.BANNED if ban else Verdict.LIMITED)

    def drop_sockets(self, peer: str) -> None:
        """A ban silences REST alone: public streams go on (section 3)."""

    # -------------------------------------------------------------------------------- the simulator's calls
    def begin(self) -> None:
        self.streams.begin()

    def tick(self, now_ns: int) -> None:
        self.streams.tick(now_ns)

    def urls(self, http: str, ws: str) -> dict[str, str]:
        return {"rest": http, "streams": f"{ws}{STREAM}", "private": f"{ws}{PRIVATE}"}

    def revoke_key(self, api_key: str) -> None:
        """Its requests are refused from now on, and its sockets end."""
        key = self.exchange.accounts.keys.get(api_key)
        if key is None:
            raise ValueError(f"no API key {api_key!r} to revoke")
        key.enabled = False
        for session in list(self._sessions):
            if isinstance(session, OwnSession) and session.api_key == api_key:
                session.connection.close(1008, "the key was revoked")

    def announce_shutdown(self, then_close_after_s: float) -> None:
        """The venue has no word for it: the sockets end."""
        for session in list(self._sessions):
            self.scheduler.after(then_close_after_s, session.connection.close)

    def deposited(self, account: Account, asset: str, amount: Decimal) -> None:
        self.own_streams.assets_changed(account, {asset})

    def state(self) -> dict[str, Any]:
        return {"identifiers": len(self._identifiers)}

    def memory(self) -> Memory:
        """Identifiers are used up for good, those of refused orders too."""
        return Memory(
            logs={"identifiers": self._spent},
            values={"names": (self._names_given, self._go_on_naming)},
            rebuild=self._rebuild,
        )

    def _names_given(self) -> list[int]:
        return [self._nameless, self.own_streams.told]

    def _go_on_naming(self, given: list[int]) -> None:
        self._nameless, self.own_streams.told = given

    def _rebuild(self, refused: Sequence[Order]) -> None:
        """Whose each identifier is, and what the buys have cost."""
        for name, identifiers in self._spent.items():
            self._identifiers |= {(name, identifier): None for identifier in identifiers}
        for account in self.exchange.accounts.by_name.values():
            for order in account.orders:
                if (identifier := ticket_of(order).identifier) is not None:
                    self._identifiers[account.name, identifier] = order
            for symbol, fills in account.fills.items():
                for fill in fills if symbol in self.exchange.markets else ():
                    self._count_cost(account, fill)

    def replay_codec(self) -> ReplayCodec:
        return UpbitReplay(self)

    def live_feed(self, config: LiveConfig) -> LiveFeed:
        return UpbitLive(self.hub, UpbitReplay(self), config, tuple(self.exchange.markets))

    # ------------------------------------------------------------------------------------------ requests
    def method_of(self, verb: str, path: str) -> Method | None:
        return self._methods.get((verb, path))

    def note_arrival(self, method: Method, params: Params) -> None:
        """Count the request, and the identifier of a new order."""
        self.requests[method.name] += 1
        identifier = {"order.place": "identifier", "order.cancelReplace": "new_identifier"}.get(method.name)
        if identifier is not None and (value := params.text(identifier)) is not None:
            self.arrivals[value].seen += 1

    def note_snapshot(self, symbol: str) -> None:
        self.snapshots[symbol] += 1

    def need_history(self, symbol: str) -> None:
        if self.history_of is not None:
            self.history_of(symbol)

    def peer_budget(self, peer: str) -> Budget:
        found = self._peers.get(peer)
        if found is None:
            found = self._peers[peer] = public_budget(self.limits)
        return found

    def account_budget(self, account: Account) -> Budget:
        found = self._budgets.get(account)
        if found is None:
            found = self._budgets[account] = account_budget(self.limits)
        return found

    def whole(self, group: str) -> int:
        """How many requests a group has when nobody has asked: for answers that are counted for nobody."""
        for budget in (account_budget(self.limits), public_budget(self.limits)):
            if group in budget.counters:
                return budget.left(group, self.clock.now_ns())
        return 0

    # ------------------------------------------------------------------------------------------- markets
    def _statistics_of(self, symbol: str) -> Statistics:
        found = self._statistics.get(symbol)
        if found is None:
            found = self._statistics[symbol] = Statistics(self.exchange.markets[symbol])
        return found

    def ticker_row(self, market: Market) -> dict[str, Any]:
        return self._statistics_of(market.symbol).row(market.time_ns(self.clock.now_ns()))

    def book_ns(self, market: Market) -> int:
        """When the book was as it is: now, or when the recording's last picture was taken."""
        return self.book_times.get(market.symbol, self.clock.now_ns())

    # -------------------------------------------------------------------------------------------- orders
    def nameless_id(self) -> str:
        """A UUID for what has no name of its own."""
        self._nameless += 1
        return made_up_uuid("nameless", self._seed, self._nameless)

    def _name_order(self, order: Order) -> str:
        promised = order.extra.get("uuid")
        return promised if isinstance(promised, str) else made_up_uuid("order", self._seed, order.order_id)

    def is_used(self, account: Account, identifier: str) -> bool:
        return (account.name, identifier) in self._identifiers

    def use_identifier(self, account: Account, identifier: str) -> None:
        """It is used up from here on, whatever becomes of the order (section 9). Raises `duplicated_identifier`."""
        if self.is_used(account, identifier):
            raise errors.duplicated()
        self._identifiers[account.name, identifier] = None
        self._spent[account.name].append(identifier)

    def find(self, account: Account, *, uuid: str | None = None, identifier: str | None = None) -> Order | None:
        """An order of this account by either name; the venue's own counts where both are given."""
        if uuid is not None:
            order = self.exchange.by_venue_id.get(uuid)
        else:
            order = self._identifiers.get((account.name, identifier or ""))
        if order is None or order.account is not account or order.ord_status is OrdStatus.REJECTED:
            return None
        return order

    def accepted_row(self, order: Order) -> dict[str, Any]:
        """The answer to a new order: as it was taken in."""
        return order_row(order, fresh=True)

    def cancel_soon(self, order: Order, *, then: Order | None = None) -> None:
        """Carry a taken cancel out, at once or later; `then` enters if it was the cancel that ended the order."""
        if self.limits.cancel_after_ms:
            self.scheduler.after(self.limits.cancel_after_ms / 1000, lambda: self._cancel(order, then))
        else:
            self._cancel(order, then)

    def _cancel(self, order: Order, then: Order | None) -> None:
        if not order.is_live:
            return
        self.exchange.cancel(order, order.cl_ord_id)
        if then is None:
            return
        if then.extra.get("remain_only"):
            resize(then, order.open_qty)
        try:
            self.exchange.submit(then)
        except Reject:
            self.requests["order.cancelReplace:refused"] += 1  # nobody is told but by the order's absence

    # ------------------------------------------------------------------- what the exchange says (records)
    def on_execution(self, order: Order, execution: Execution) -> None:
        account = order.account
        if account is None:
            return
        ticket = ticket_of(order)
        if execution.exec_type is ExecType.NEW and ticket.identifier is not None:
            self._identifiers[account.name, ticket.identifier] = order
            self.arrivals[ticket.identifier].accepted += 1
        elif execution.exec_type is ExecType.TRADE:
            assert execution.fill is not None
            self._count_cost(account, execution.fill)

    def _count_cost(self, account: Account, fill: Fill) -> None:
        if fill.side is Side.BUY:
            trade = fill.trade
            base = self.exchange.markets[trade.symbol].spec.base
            bought, cost = self._costs.get((account.name, base), (ZERO, ZERO))
            self._costs[account.name, base] = (bought + trade.qty, cost + trade.quote_qty)

    def average_price(self, account: Account, asset: str) -> Decimal:
        """What the account paid for an asset on average, all its buys counted; 0 where it bought none."""
        bought, cost = self._costs.get((account.name, asset), (ZERO, ZERO))
        return (cost / bought).quantize(Decimal("0.0001")) if bought else ZERO
