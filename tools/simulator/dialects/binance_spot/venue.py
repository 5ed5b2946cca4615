"""Binance Spot as a whole: what the dialect's parts share, and what the server calls.

venue = BinanceSpot(Parts(exchange=exchange, instruments=infos, ...))
server = Server(venue, plan, ServerConfig())
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import attrs

from tools.simulator.core.accounts import Account
from tools.simulator.core.capture import ReplayCodec
from tools.simulator.core.decimals import text8
from tools.simulator.core.dialect import Parts
from tools.simulator.core.limits import LimitConfig
from tools.simulator.core.live import LiveConfig, LiveFeed
from tools.simulator.core.memory import Memory
from tools.simulator.core.model import ExecType, Execution, Order, Reject
from tools.simulator.core.net import WsConnection
from tools.simulator.core.server import HttpResponse
from tools.simulator.dialects.binance_common.gateway import Method
from tools.simulator.dialects.binance_common.params import Params
from tools.simulator.dialects.binance_common.venue import BinanceVenue
from tools.simulator.dialects.binance_spot import (
    errors,
    methods_account,
    methods_lists,
    methods_market,
    methods_trade,
    replay,
    wsapi,
)
from tools.simulator.dialects.binance_spot.errors import VenueError
from tools.simulator.dialects.binance_spot.marketws import SpotMarketSession
from tools.simulator.dialects.binance_spot.streams import PublicStreams
from tools.simulator.dialects.binance_spot.userdata import UserData
from tools.simulator.dialects.binance_spot.wsapi import WsApiSession

# How much of the order count a first fill gives back (section 5; the venue may give more for large fills).
TAKER_REFUND, MAKER_REFUND = 1, 5


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


class BinanceSpot(BinanceVenue):
    """The dialect: serves requests and streams over one exchange."""

    ws_api_path = "/ws-api/v3"
    user_data: UserData

    def __init__(self, parts: Parts) -> None:
        modules = (methods_market, methods_trade, methods_account, methods_lists, wsapi)
        super().__init__(parts, [method for module in modules for method in module.METHODS])
        self.user_data = UserData(self.faults, self.scheduler, self.clock.now_ns)
        self.user_data.on_first_fill = self._first_fill
        self.streams = PublicStreams(self.exchange.markets, self.hub, self.clock)
        self.exchange.listeners += [self.user_data, self.streams, self]
        self._prevented: dict[tuple[str, str], list[PreventedMatch]] = defaultdict(list)

    # ----------------------------------------------------------------------------------- server's calls
    def kind_of(self, path: str) -> str:
        if path.startswith("/ws-api/"):
            return "ws-api"
        return "streams" if path == "/ws" or path.startswith(("/ws/", "/stream")) else "rest"

    def gone(self, path: str) -> HttpResponse | None:
        """Listen keys were switched off in 2026."""
        if path == "/api/v3/userDataStream":
            return HttpResponse(status=410, body=b'{"code":-1000,"msg":"Gone"}')
        return None

    def api_session(self, connection: WsConnection, options: dict[str, str]) -> WsApiSession:
        micro = options.get("timeUnit", "").upper() == "MICROSECOND"
        return_limits = options.get("returnRateLimits", "true").lower() != "false"
        return WsApiSession(self, connection, 1_000 if micro else 1_000_000, return_limits)

    def market_session(self, connection: WsConnection) -> SpotMarketSession:
        return SpotMarketSession(self, connection)

    def from_reject(self, reject: Reject) -> VenueError:
        return errors.from_reject(reject)

    @property
    def order_limit(self) -> int:
        limits: LimitConfig = self.limits
        return limits.orders_per_day

    def new_ids(self, method: Method, params: Params) -> Iterable[str]:
        """Lists name the client ids of their legs with a prefix."""
        if not (method.orders or method.name == "order.cancelReplace"):
            return
        for name, value in params.values.items():
            if name == "newClientOrderId" or (
                name.endswith("ClientOrderId") and not name.startswith(("cancel", "list", "orig", "new"))
            ):
                yield value

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
        self.user_data.on_balances(account, {asset})

    def state(self) -> dict[str, Any]:
        return {}

    def memory(self) -> Memory:
        return Memory(logs={"prevented": self._prevented}, rebuild=self.rebuild)

    def replay_codec(self) -> ReplayCodec:
        return replay.SpotReplay(self)

    def live_feed(self, config: LiveConfig) -> LiveFeed:
        return LiveFeed(self.hub, self.replay_codec(), config, tuple(self.infos))

    def note_amend(self, order: Order, exec_id: int, original: str, old_qty: Any) -> None:
        order.extra.setdefault("amendments", []).append(
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
        kept: list[Amendment] = order.extra.get("amendments", [])
        return kept

    def prevented(self, account: Account, symbol: str) -> list[PreventedMatch]:
        return self._prevented[account.name, symbol]

    def _first_fill(self, account: Account, is_maker: bool) -> None:
        self.order_limits(account).add(-(MAKER_REFUND if is_maker else TAKER_REFUND), self.clock.now_ns())

    # ------------------------------------------------------------------- what the exchange says (records)
    def on_execution(self, order: Order, execution: Execution) -> None:
        super().on_execution(order, execution)
        if execution.exec_type is ExecType.TRADE_PREVENTION and order.account is not None:
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
