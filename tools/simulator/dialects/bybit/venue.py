"""Bybit as a whole: what the dialect's parts share, and what the simulator and its server call."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import trio

from tools.simulator.core import contracts
from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.capture import ReplayCodec
from tools.simulator.core.clock import MS
from tools.simulator.core.dialect import Arrival, Parts
from tools.simulator.core.hub import Hub
from tools.simulator.core.listener import Listener, WalletChange
from tools.simulator.core.live import LiveConfig, LiveFeed
from tools.simulator.core.market import Market
from tools.simulator.core.memory import Memory
from tools.simulator.core.model import MarginMode, Order
from tools.simulator.core.net import WsConnection
from tools.simulator.core.private import PrivateChannel
from tools.simulator.core.server import HttpRequest, HttpResponse
from tools.simulator.dialects.bybit import methods_account, methods_market, methods_trade, rest, wallet
from tools.simulator.dialects.bybit.amending import amend
from tools.simulator.dialects.bybit.bands import PriceBands
from tools.simulator.dialects.bybit.books import sequence
from tools.simulator.dialects.bybit.errors import VenueError, internal, timed_out, too_many
from tools.simulator.dialects.bybit.events import AccountEvents, DeadMan
from tools.simulator.dialects.bybit.exits import PositionExits
from tools.simulator.dialects.bybit.gateway import Method, Outcome
from tools.simulator.dialects.bybit.instruments import Instrument, plain
from tools.simulator.dialects.bybit.limits import Buckets, BybitLimits, PeerLimits, Usage
from tools.simulator.dialects.bybit.live import BybitLive
from tools.simulator.dialects.bybit.params import Params
from tools.simulator.dialects.bybit.privatews import PrivateSocket, active_limit_s, end_silence
from tools.simulator.dialects.bybit.publicws import PublicSession
from tools.simulator.dialects.bybit.replay import BybitReplay
from tools.simulator.dialects.bybit.streams import PublicStreams
from tools.simulator.dialects.bybit.topics import PUBLIC_PATH, category_of
from tools.simulator.dialects.bybit.tradews import TradeSocket

PRIVATE_PATH, TRADE_PATH = "/v5/private", "/v5/trade"
SERVED = ("spot", "linear")


class Bybit(Listener):
    """The dialect: serves requests and streams over one exchange."""

    def __init__(self, parts: Parts) -> None:
        self.exchange = parts.exchange
        self.clock = parts.clock
        self.faults = parts.faults
        self.scheduler = parts.scheduler
        self.latency = parts.latency
        assert isinstance(parts.limits, BybitLimits)
        self.limits = parts.limits
        self.infos: dict[str, Instrument] = {each.key: each for each in parts.instruments}
        self.by_name = {(each.category, each.symbol): each for each in self.infos.values()}
        self.hub = Hub(parts.faults, parts.scheduler)
        self.user_data = PrivateChannel(parts.faults, parts.scheduler)
        self.streams = PublicStreams(self.exchange.markets, self.infos, self.hub, parts.clock)
        self.streams.interest = self.open_interest
        self.events = AccountEvents(self)
        self.exits = PositionExits(self)
        self.dcp = DeadMan(self)
        self.exchange.listeners += [self.events, self.streams, self]
        self.exchange.name_order = self._name_order
        self.methods: dict[tuple[str, str], Method] = {}
        for module in (methods_market, methods_trade, methods_account):
            self.methods.update({(method.verb, method.path): method for method in module.METHODS})
        self.trade_ops = {f"order.{op}": self.methods["POST", f"/v5/order/{op}"] for op in methods_trade.TRADE_OPS}
        self.arrivals: dict[str, Arrival] = defaultdict(Arrival)
        self.requests: Counter[str] = Counter()
        self.snapshots: Counter[str] = Counter()
        self.history_of: Callable[[str], None] | None = None
        self.buckets = Buckets(self.limits)
        self.institutions: set[str] = set()
        """Names of accounts that may use the dead-man switch."""
        self.classic: set[str] = set()
        """Names of accounts that say of themselves that they are classic ones."""
        self.bands = PriceBands()
        self.margin_modes: dict[str, str] = {}
        self.funding_rates: dict[str, list[tuple[int, str]]] = defaultdict(list)
        """Market key -> time (ns) and rate of each settlement so far."""
        self._funding_due: dict[str, int] = {}
        self._peers: dict[str, PeerLimits] = {}
        self._sockets: set[PublicSession | PrivateSocket | TradeSocket] = set()
        self._hidden = 0

    # ----------------------------------------------------------------------------------- server's calls
    def kind_of(self, path: str) -> str:
        if path.startswith(PUBLIC_PATH):
            return "streams"
        return {PRIVATE_PATH: "private", TRADE_PATH: "ws-api"}.get(path.rstrip("/"), "rest")

    async def http(self, request: HttpRequest) -> HttpResponse:
        return await rest.serve(self, request)

    def refuse_websocket(self, connection: WsConnection) -> HttpResponse | None:
        """Unknown paths, silenced addresses, too many attempts."""
        path = connection.target.split("?", 1)[0]
        now, limits = self.clock.now_ns(), self.peer_limits(connection.peer)
        kind = self.kind_of(path)
        if kind == "rest" or (kind == "streams" and category_of(path) not in SERVED):
            return HttpResponse(status=404, body=b"404 page not found")
        if now < limits.silent_until_ns or limits.connections.full(now):
            return HttpResponse(status=403, body=rest.TOO_FREQUENT)
        limits.connections.add(1, now)
        return None

    async def websocket(self, connection: WsConnection) -> None:
        kind = self.kind_of(connection.target.split("?", 1)[0])
        socket: PublicSession | PrivateSocket | TradeSocket
        if kind == "streams":
            socket = PublicSession(self, connection)
        else:
            socket = (PrivateSocket if kind == "private" else TradeSocket)(self, connection)
        limit_s = active_limit_s(connection.target)
        self._sockets.add(socket)
        try:
            async with trio.open_nursery() as nursery:
                if limit_s and kind != "streams":
                    nursery.start_soon(end_silence, self, socket, limit_s)
                await socket.run()
        finally:
            self._sockets.discard(socket)

    def connection_id(self, connection: WsConnection) -> str:
        return f"sim{connection.connection_id:09x}-{connection.kind}"

    # ------------------------------------------------------------------------------ simulator's calls
    def begin(self) -> None:
        """Nothing to prepare: a topic takes its first picture when somebody asks for it."""

    def tick(self, now_ns: int) -> None:
        self.streams.tick(now_ns)
        for market in self.exchange.markets.values():
            if market.spec.is_linear:
                self._note_funding(market)

    def _note_funding(self, market: Market) -> None:
        """Remember the rate of each settlement: the next one's time has moved on."""
        due, self._funding_due[market.symbol] = self._funding_due.get(market.symbol, 0), market.next_funding_ns
        if due and market.next_funding_ns > due:
            self.funding_rates[market.symbol].append((due, plain(market.funding_rate)))

    def urls(self, http: str, ws: str) -> dict[str, str]:
        """Origins, as the engine's configuration wants them; the paths are the venue's."""
        return {"rest": http, "streams": ws, "private": ws, "ws_api": ws}

    def revoke_key(self, api_key: str) -> None:
        """The key stops working; sockets that logged on with it are closed.  Raises ValueError for an unknown key."""
        key = self.exchange.accounts.keys.get(api_key)
        if key is None:
            raise ValueError(f"no API key {api_key!r} to revoke")
        key.enabled = False
        for socket in list(self._sockets):
            if not isinstance(socket, PublicSession) and socket.key is key:
                socket.connection.close(1008, "api key is invalid")

    def announce_shutdown(self, then_close_after_s: float) -> None:
        """The trade service restarts: it takes nothing new (10019), then the sockets are closed."""
        for socket in list(self._sockets):
            if isinstance(socket, TradeSocket):
                socket.restarting = True
            self.scheduler.after(then_close_after_s, socket.connection.close)

    def deposited(self, account: Account, asset: str, amount: Decimal) -> None:
        self.events.wallet(account, {asset})

    def state(self) -> dict[str, Any]:
        return {
            "limited_until_ns": {peer: limits.silent_until_ns for peer, limits in self._peers.items()},
            "snapshots": dict(self.snapshots),
        }

    def memory(self) -> Memory:
        return Memory(
            logs={"executions": self.events.executions},
            values={
                "hidden": (lambda: self._hidden, self._go_on_hiding),
                "margin_modes": (lambda: self.margin_modes, self.margin_modes.update),
                "price_bands": (lambda: self.bands.moves, self.bands.moves.update),
                "institutions": (lambda: self.institutions, self.institutions.update),
            },
            rebuild=self._rebuild,
        )

    def _go_on_hiding(self, number: int) -> None:
        self._hidden = number

    def _rebuild(self, refused: Sequence[Order]) -> None:
        self.events.rebuild(refused)
        self.exits.rebuild()

    def replay_codec(self) -> ReplayCodec:
        return BybitReplay(self)

    def live_feed(self, config: LiveConfig) -> LiveFeed:
        return BybitLive(self.hub, BybitReplay(self), config, tuple(self.infos))

    # ----------------------------------------------------------------------- delivery's: words for failures
    def internal_error(self, status: int) -> Outcome:
        """A gateway's page with this status; 200 asks for the API's own 10016."""
        if status == 200:
            return Outcome(error=internal())
        return Outcome(error=VenueError(10016, "upstream error", status=status))

    def unknown_outcome(self) -> Outcome:
        return Outcome(error=timed_out())

    def blocked(self, peer: str, until_ns: int, *, ban: bool) -> Outcome:
        """The firewall's silence (403), or 10006 for every signed request until then."""
        limits = self.peer_limits(peer)
        if not ban:
            limits.limited_until_ns = until_ns
            return Outcome(error=too_many(until_ns), usage=Usage(0, 0, until_ns))
        limits.silent_until_ns = until_ns
        return Outcome(error=VenueError(10018, rest.TOO_FREQUENT.decode(), status=403))

    def drop_sockets(self, peer: str) -> None:
        """An address is silenced: its open sockets go."""
        for socket in list(self._sockets):
            if socket.connection.peer == peer:
                socket.connection.close(1008, "access too frequent")

    # ------------------------------------------------------------------------------------------ orders
    def peer_limits(self, peer: str) -> PeerLimits:
        found = self._peers.get(peer)
        if found is None:
            found = self._peers[peer] = PeerLimits.make(self.limits)
        return found

    def note_arrivals(self, method: Method, params: Params) -> None:
        """Count every client id with which a new order reached the venue."""
        self.requests[method.name] += 1
        if method.action == "create":
            members = [params.values]
        elif method.action == "create-batch":
            listed = params.values.get("request")
            members = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        else:
            return
        for member in members:
            link = member.get("orderLinkId")
            if isinstance(link, str) and link:
                self.arrivals[link].seen += 1

    def hidden_id(self) -> str:
        """A client id for the matching engine where the client gave none."""
        self._hidden += 1
        return str(self._hidden)

    def link_taken(self, account: Account, category: str, link: str) -> bool:
        """Has the account used this client id before?  Here it stays taken for ever."""
        return (account, category, link) in self.events.by_link

    def find_order(self, account: Account, category: str, order_id: str, link: str) -> Order | None:
        """By the venue's id, which wins, or by the client's."""
        if order_id:
            order = self.exchange.by_venue_id.get(order_id)
        else:
            order = self.events.by_link.get((account, category, link))
        if order is None or order.account is not account or self.infos[order.symbol].category != category:
            return None
        return order

    def amend(self, order: Order, params: Params) -> None:
        amend(self, order, params)

    def _name_order(self, order: Order) -> str:
        """Digits on spot, a UUID for contracts."""
        instrument = self.infos[order.symbol]
        if instrument.is_spot:
            return str(1_700_000_000_000_000_000 + order.order_id)
        return f"{instrument.index:08x}-0000-4000-8000-{order.order_id:012x}"

    # ------------------------------------------------------------------------------------- facts and rows
    def sequence(self, market: Market) -> int:
        return sequence(market)

    def fee_rate(self, account: Account, instrument: Instrument, *, maker: bool) -> Decimal:
        return account.rate(instrument.category, maker=maker)

    def open_interest(self, key: str) -> Decimal:
        """Contracts that accounts hold here, long and short; whatever is not matched among them the street holds."""
        held = [
            position.qty
            for account in self.exchange.accounts.by_name.values()
            for (where, _), position in account.positions.items()
            if where == key
        ]
        longs = sum((qty for qty in held if qty > 0), Decimal(0))
        return max(longs, -sum((qty for qty in held if qty < 0), Decimal(0)))

    def note_snapshot(self, key: str) -> None:
        self.snapshots[key] += 1

    def need_history(self, key: str) -> None:
        if self.history_of is not None:
            self.history_of(key)

    def wallet_row(self, account: Account, coins: set[str]) -> dict[str, Any]:
        return wallet.wallet_row(self, account, coins)

    def position_row(self, position: Position, *, stream: bool) -> dict[str, Any]:
        return wallet.position_row(self, position, stream=stream)

    def set_margin_mode(self, account: Account, mode: str) -> None:
        """Of the whole account: every contract's."""
        self.margin_modes[account.name] = mode
        margin_mode = MarginMode.ISOLATED if mode == "ISOLATED_MARGIN" else MarginMode.CROSS
        for instrument in self.infos.values():
            if not instrument.is_spot:
                contracts.set_margin_mode(self.exchange, account, instrument.key, margin_mode)

    def funding_row(
        self, account: Account, position: Position, change: WalletChange, instrument: Instrument
    ) -> dict[str, Any]:
        """A funding payment as an execution: positive fee where it was paid."""
        market = self.exchange.markets[instrument.key]
        paid = -change.balances.get(instrument.settle, Decimal(0))
        size = abs(position.qty)
        return {
            "category": instrument.category,
            "symbol": instrument.symbol,
            "orderId": f"{change.time_ns // MS}-{account.uid}-{instrument.index}",
            "orderLinkId": "",
            "side": "Buy" if position.qty > 0 else "Sell",
            "orderPrice": "0",
            "orderQty": "0",
            "leavesQty": "0",
            "createType": "",
            "orderType": "UNKNOWN",
            "stopOrderType": "UNKNOWN",
            "execId": f"f{account.uid:07x}-0000-5000-9000-{change.time_ns // MS:012x}",
            "execPrice": instrument.px(market.mark_px),
            "execQty": instrument.qty(size),
            "execValue": plain(size * market.mark_px),
            "execType": "Funding",
            "execTime": str(change.time_ns // MS),
            "execFee": plain(paid),
            "feeCurrency": instrument.settle,
            "feeRate": plain(change.rate),
            "execPnl": "0",
            "isMaker": False,
            "closedSize": "0",
            "marketUnit": "",
            "seq": sequence(market),
        }
