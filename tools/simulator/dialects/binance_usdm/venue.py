"""Binance USDT-M Futures as a whole: what the dialect's parts share, and what the server calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from tools.simulator.core import margin
from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.algos import Algo
from tools.simulator.core.capture import ReplayCodec
from tools.simulator.core.clock import MINUTE, MS, SECOND
from tools.simulator.core.decimals import text8
from tools.simulator.core.dialect import Parts
from tools.simulator.core.listener import WalletChange
from tools.simulator.core.live import LiveConfig, LiveFeed
from tools.simulator.core.memory import Memory
from tools.simulator.core.model import Execution, Order, OrdType, Reject
from tools.simulator.core.net import WsConnection
from tools.simulator.dialects.binance_common.errors import VenueError
from tools.simulator.dialects.binance_common.gateway import Method, Outcome
from tools.simulator.dialects.binance_common.params import Params
from tools.simulator.dialects.binance_common.venue import BinanceVenue, Span
from tools.simulator.dialects.binance_common.wsapi import SESSION_METHODS
from tools.simulator.dialects.binance_usdm import (
    errors,
    methods_account,
    methods_algo,
    methods_market,
    methods_settings,
    methods_trade,
    replay,
)
from tools.simulator.dialects.binance_usdm.limits import UsdmLimits
from tools.simulator.dialects.binance_usdm.listenkeys import ListenKey, ListenKeys
from tools.simulator.dialects.binance_usdm.live import UsdmLiveFeed
from tools.simulator.dialects.binance_usdm.orders import UsdmParams
from tools.simulator.dialects.binance_usdm.sockets import ROUTES, StreamSession, route_of
from tools.simulator.dialects.binance_usdm.streams import PublicStreams
from tools.simulator.dialects.binance_usdm.symbols import largest_notional
from tools.simulator.dialects.binance_usdm.userdata import UserData

MARGIN_CALL_SHARE = Decimal("0.8")  # of what backs a position; the venue states no number
BY_MINUTE = Span(interval_ns=MINUTE, interval="MINUTE", text="1 MINUTE", header="1m")


class BinanceUsdm(BinanceVenue):
    """The dialect: serves requests and streams over one exchange of linear contracts."""

    ws_api_path = "/ws-fapi/v1"
    order_span = BY_MINUTE
    connect_cost = 5
    user_data: UserData

    def __init__(self, parts: Parts) -> None:
        modules = (methods_market, methods_trade, methods_algo, methods_account, methods_settings)
        methods = [method for module in modules for method in module.METHODS]
        super().__init__(parts, [*methods, *SESSION_METHODS])
        self.user_data = UserData(self.exchange, self.infos, self.faults, self.scheduler, self.clock)
        self.streams = PublicStreams(self.exchange.markets, self.infos, self.hub, self.clock)
        self.exchange.listeners += [self.user_data, self.streams, self]
        self.exchange.name_liquidation = lambda position: f"autoclose-{position.update_ns // MS}"
        self.listen_keys = ListenKeys(parts.seed)
        self.overloaded = False
        """Set it, and the venue protects itself: what could open a position is refused (-1008)."""
        self._countdowns: dict[tuple[Account, str], int] = {}
        self._ledgers: dict[Account, list[dict[str, Any]]] = defaultdict(list)
        self._multi_assets: set[Account] = set()
        self._called: set[Position] = set()

    # ----------------------------------------------------------------------------------- server's calls
    def kind_of(self, path: str) -> str:
        if path.startswith("/ws-fapi/"):
            return "ws-api"
        route = route_of(path)
        rest = path.removeprefix(f"/{route}") if route else path
        if rest == "/ws" or rest.startswith(("/ws/", "/stream")):
            return "private" if route == "private" else "streams"
        return "rest"

    def params(self, values: dict[str, str]) -> Params:
        return UsdmParams(values)

    def market_session(self, connection: WsConnection) -> StreamSession:
        return StreamSession(self, connection)

    def too_old(self) -> VenueError:
        """The engine has a word of its own for it (3)."""
        return VenueError(-5028, "Timestamp for this request is outside of the ME recvWindow.")

    def from_reject(self, reject: Reject) -> VenueError:
        return errors.from_reject(reject)

    @property
    def order_limit(self) -> int:
        limits: UsdmLimits = self.limits
        return limits.orders_per_minute

    def new_ids(self, method: Method, params: Params) -> Iterable[str]:
        """Of one order, a conditional one, or each of a batch."""
        if method.name in ("order.place", "algoOrder.place"):
            name = "newClientOrderId" if method.name == "order.place" else "clientAlgoId"
            if name in params:
                yield params.values[name]
        elif method.name == "batchOrders.place":
            yield from methods_trade.batch_ids(params)

    # ------------------------------------------------------------------------------- the simulator's calls
    def begin(self) -> None:
        self.streams.begin()

    def tick(self, now_ns: int) -> None:
        self.streams.tick(now_ns)
        for (account, symbol), due_ns in list(self._countdowns.items()):
            if now_ns >= due_ns:
                del self._countdowns[account, symbol]
                self.cancel_plain(account, symbol)
        if now_ns % SECOND < SECOND // 10:
            for key in self.listen_keys.due(now_ns):
                self._expire_key(key)
            self._end_good_till(now_ns)
            self._call_margin()

    def urls(self, http: str, ws: str) -> dict[str, str]:
        """The three routes each continue with `/ws/...` or `/stream?streams=`, REST with `/fapi/v1`."""
        routes = {route: f"{ws}/{route}" for route in ROUTES}
        return {"rest": http, "streams": ws, **routes, "ws_api": f"{ws}{self.ws_api_path}"}

    def deposited(self, account: Account, asset: str, amount: Decimal) -> None:
        self._book(account, "TRANSFER", asset, amount)
        self.user_data.deposited(account, asset, amount)

    def state(self) -> dict[str, Any]:
        return {"countdowns": {f"{account.name}/{symbol}": due for (account, symbol), due in self._countdowns.items()}}

    def memory(self) -> Memory:
        """Listen keys and countdowns end with the process: a client asks for a key, and arms its switch, anew."""
        return Memory(
            logs={"ledger": self._ledgers},
            values={"multi_assets": (lambda: self._multi_assets, self._multi_assets.update)},
            rebuild=self.rebuild,
        )

    def rebuild(self, refused: Sequence[Order]) -> None:
        super().rebuild(refused)
        self.listen_keys.reseed(str(self.clock.now_ns()))

    def replay_codec(self) -> ReplayCodec:
        return replay.UsdmReplay(self)

    def live_feed(self, config: LiveConfig) -> LiveFeed:
        return UsdmLiveFeed(self.hub, self.replay_codec(), config, tuple(self.infos))

    def internal_error(self, status: int) -> Outcome:
        """A 503 has four meanings; this is the one of which nobody knows whether it was carried out (17.1)."""
        error = errors.unknown_error()
        error.status = status
        return Outcome.failed(error)

    # ------------------------------------------------------------------------------------------ orders
    def protect(self, order: Order) -> None:
        """Raises -1008 for an order that could open something while the venue is overloaded."""
        if self.overloaded and not (margin.reduces(order) or order.close_position):
            raise errors.throttled()

    def check_notional(self, order: Order) -> None:
        """Raises -2027 where the position would be worth more than its leverage allows."""
        account, market = order.account, self.exchange.markets[order.symbol]
        assert account is not None
        if order.reduce_only:
            return
        held = account.position(order.symbol, order.position_side).qty
        after = abs(held + order.order_qty if order.is_buy else held - order.order_qty)
        price = market.mark_px if order.ord_type is OrdType.MARKET else order.price
        if after > abs(held) and after * price > largest_notional(account.margin(order.symbol).leverage):
            raise VenueError(-2027, "Exceeded the maximum allowable position at current leverage.")

    def cancel_plain(self, account: Account, symbol: str) -> None:
        """All plain orders of one symbol."""
        for order in [each for each in account.open_orders.values() if each.symbol == symbol]:
            if order.is_live:
                self.exchange.cancel(order)

    def set_countdown(self, account: Account, symbol: str, time_ms: int) -> None:
        """Cancel the symbol's orders after that time, unless told again; 0 stops it."""
        self._countdowns.pop((account, symbol), None)
        if time_ms:
            self._countdowns[account, symbol] = self.clock.now_ns() + time_ms * MS

    def _end_good_till(self, now_ns: int) -> None:
        """GTD orders whose time is over."""
        for market in self.exchange.markets.values():
            for order in list(market.open_orders.values()):
                if order.extra.get("good_till") and now_ns >= order.extra["good_till"] * MS and order.is_live:
                    self.exchange.expire_resting(market, order, "GOOD_TILL_DATE")
                    self.exchange.finish_action(market)

    def _call_margin(self) -> None:
        """Warn once of each position that is about to be taken over (15.6)."""
        strained = set(margin.doomed(self.exchange, MARGIN_CALL_SHARE))
        for position in strained - self._called:
            self.user_data.margin_call(position)
        self._called = strained

    def note_amendment(self, order: Order, before: tuple[Decimal, Decimal]) -> None:
        info, rows = self.infos[order.symbol], order.extra.setdefault("amendments", [])
        rows.append(
            {
                "amendmentId": order.order_id * 10_000 + order.amends,
                "symbol": order.symbol,
                "pair": order.symbol,
                "orderId": order.order_id,
                "clientOrderId": order.cl_ord_id,
                "time": order.update_ns // MS,
                "amendment": {
                    "price": {"before": info.price(before[0]), "after": info.price(order.price)},
                    "origQty": {"before": info.qty(before[1]), "after": info.qty(order.order_qty)},
                    "count": len(rows) + 1,
                },
            }
        )

    def amendments(self, order: Order) -> list[dict[str, Any]]:
        kept: list[dict[str, Any]] = order.extra.get("amendments", [])
        return kept

    def child_id(self, algo: Algo) -> str:
        """The client id of the order that a conditional one sets free.  Nothing says that it is the same; it is not."""
        return f"algo-{self.random_id()}"

    # ------------------------------------------------------------------------------------ account, listen keys
    def multi_assets(self, account: Account) -> bool:
        return account in self._multi_assets

    def set_multi_assets(self, account: Account, joined: bool) -> None:
        (self._multi_assets.add if joined else self._multi_assets.discard)(account)
        self.user_data.multi_assets(account, joined)

    def ledger(self, account: Account) -> list[dict[str, Any]]:
        """The rows of `income`."""
        return self._ledgers[account]

    def _book(
        self, account: Account, kind: str, asset: str, amount: Decimal, symbol: str = "", trade: str = ""
    ) -> None:
        rows = self._ledgers[account]
        rows.append(
            {
                "symbol": symbol,
                "incomeType": kind,
                "income": text8(amount),
                "asset": asset,
                "info": trade or kind,
                "time": self.clock.now_ns() // MS,
                "tranId": len(rows) + 1,
                "tradeId": trade,
            }
        )

    def close_key(self, key: ListenKey) -> None:
        """The key is gone: every socket that was opened with it falls silent."""
        self.listen_keys.close(key)
        for session in self.market_sessions:
            if isinstance(session, StreamSession):
                session.forget_key(key.text)

    def _expire_key(self, key: ListenKey) -> None:
        self.user_data.key_expired(key.account, key.text)
        self.close_key(key)

    def revoke_key(self, api_key: str) -> None:
        """Beside the sessions the listen key goes."""
        super().revoke_key(api_key)
        found = self.listen_keys.of(self.exchange.accounts.keys[api_key].account)
        if found is not None:
            self.close_key(found)

    def announce_shutdown(self, then_close_after_s: float) -> None:
        """The venue documents no words for it: connections just end."""
        for connection in [s.connection for s in self.sessions] + [s.connection for s in self.market_sessions]:
            self.scheduler.after(then_close_after_s, connection.close)

    # ------------------------------------------------------------------- what the exchange says (records)
    def on_execution(self, order: Order, execution: Execution) -> None:
        super().on_execution(order, execution)
        fill, account = execution.fill, order.account
        if fill is None or account is None:
            return
        trade = str(fill.trade.trade_id)
        if fill.realized:
            self._book(account, "REALIZED_PNL", fill.commission_asset, fill.realized, order.symbol, trade)
        self._book(account, "COMMISSION", fill.commission_asset, -fill.commission, order.symbol, trade)

    def on_wallet(self, account: Account, change: WalletChange) -> None:
        if change.reason == "FUNDING":
            for asset, amount in change.balances.items():
                self._book(account, "FUNDING_FEE", asset, amount, change.symbol)
