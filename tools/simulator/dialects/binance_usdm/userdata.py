"""The private stream: ORDER_TRADE_UPDATE, TRADE_LITE, ACCOUNT_UPDATE, ALGO_UPDATE and the rest (section 15).

A subscription is a listen key with the event types that its socket asked for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from tools.simulator.core import margin
from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.algos import Algo
from tools.simulator.core.clock import MS, Clock
from tools.simulator.core.decimals import ZERO, text8
from tools.simulator.core.exchange import Exchange, Listener
from tools.simulator.core.faults import FaultPlan
from tools.simulator.core.model import ExecType, Execution, MarginMode, Order, Side
from tools.simulator.core.private import PrivateChannel
from tools.simulator.core.scheduler import Scheduler
from tools.simulator.dialects.binance_usdm import errors, render
from tools.simulator.dialects.binance_usdm.symbols import SymbolInfo

if TYPE_CHECKING:
    from tools.simulator.core.listener import WalletChange

_EXEC = {
    ExecType.NEW: "NEW",
    ExecType.CANCELED: "CANCELED",
    ExecType.REPLACED: "AMENDMENT",
    ExecType.TRADE: "TRADE",
    ExecType.EXPIRED: "EXPIRED",
    ExecType.TRADE_PREVENTION: "EXPIRED",
}
_EXPIRY = {
    "UNFILLED_IOC_QUANTITY_EXPIRED": "2",
    "REDUCE_ONLY": "4",
    "GTE": "6",
    "INSUFFICIENT_LIQUIDITY": "9",
}
_REASONS = {"FUNDING": "FUNDING_FEE", "MARGIN": "MARGIN_TRANSFER", "TRANSFER": "DEPOSIT"}


class UserData(PrivateChannel, Listener):
    """Renders what the exchange reports."""

    def __init__(
        self, exchange: Exchange, infos: dict[str, SymbolInfo], faults: FaultPlan, scheduler: Scheduler, clock: Clock
    ) -> None:
        super().__init__(faults, scheduler)
        self._exchange = exchange
        self._infos = infos
        self._clock = clock

    def _emit(self, account: Account, subject: str, event: dict[str, Any]) -> None:
        body = orjson.dumps(event)
        self.emit(account, subject, lambda _: body)

    def _head(self, kind: str, time_ns: int | None = None) -> dict[str, Any]:
        now = self._clock.now_ns()
        return {"e": kind, "E": now // MS, "T": (now if time_ns is None else time_ns) // MS}

    # --------------------------------------------------------------------------- what the exchange says
    def on_execution(self, order: Order, execution: Execution) -> None:
        account, kind = order.account, _EXEC.get(execution.exec_type)
        if account is None or kind is None or not self.wanted(account):
            return
        info = self._infos[order.symbol]
        forced = bool(order.extra.get("liquidation"))
        if execution.fill is not None:
            self._emit(account, "TRADE_LITE", self._trade_lite(order, execution, info))
            kind = "CALCULATED" if forced else kind
        self._emit(account, f"ORDER_TRADE_UPDATE:{kind}", self._order_update(order, execution, info, kind))

    def _trade_lite(self, order: Order, execution: Execution, info: SymbolInfo) -> dict[str, Any]:
        assert execution.fill is not None
        trade = execution.fill.trade
        return self._head("TRADE_LITE", execution.time_ns) | {
            "s": order.symbol,
            "q": info.qty(order.order_qty),
            "p": info.price(order.price),
            "m": execution.fill.is_maker,
            "c": order.cl_ord_id,
            "S": order.side.value,
            "L": info.price(trade.price),
            "l": info.qty(trade.qty),
            "t": trade.trade_id,
            "i": order.order_id,
        }

    def _order_update(self, order: Order, execution: Execution, info: SymbolInfo, kind: str) -> dict[str, Any]:
        """Section 15.2."""
        fill = execution.fill
        trade = None if fill is None else fill.trade
        body: dict[str, Any] = {
            "s": order.symbol,
            "c": order.cl_ord_id,
            "S": order.side.value,
            "o": "LIQUIDATION" if kind == "CALCULATED" else render.type_of(order),
            "f": render.lifetime(order),
            "q": info.qty(order.order_qty),
            "p": info.price(order.price),
            "ap": info.price(render.average_px(order)),
            "sp": info.price(order.stop_px),
            "x": kind,
            "X": render.status_of(order),
            "i": order.order_id,
            "l": info.qty(ZERO if trade is None else trade.qty),
            "z": info.qty(order.cum_qty),
            "L": info.price(ZERO if trade is None else trade.price),
            "T": execution.time_ns // MS,
            "t": 0 if trade is None else trade.trade_id,
            "b": text8(self._open_notional(order, Side.BUY)),
            "a": text8(self._open_notional(order, Side.SELL)),
            "m": fill is not None and fill.is_maker,
            "R": order.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": render.orig_type(order),
            "ps": order.position_side.value,
            "cp": order.close_position,
            "rp": text8(ZERO if fill is None else fill.realized),
            "pP": False,
            "si": 0,
            "ss": 0,
            "V": order.stp_mode.value,
            "pm": order.extra.get("price_match", "NONE"),
            "gtd": order.extra.get("good_till", 0),
            "er": self._expiry(order, execution),
        }
        if fill is not None:
            body |= {"N": fill.commission_asset, "n": text8(fill.commission)}
        if execution.exec_type is ExecType.REPLACED and order.extra.get("modify_id") is not None:
            body["M"] = str(order.extra["modify_id"])
        return self._head("ORDER_TRADE_UPDATE", execution.time_ns) | {"o": body}

    @staticmethod
    def _open_notional(order: Order, side: Side) -> Decimal:
        return order.price * order.leaves_qty if order.side is side else ZERO

    @staticmethod
    def _expiry(order: Order, execution: Execution) -> str:
        if execution.exec_type is ExecType.TRADE_PREVENTION:
            return "3" if render.lifetime(order) == "IOC" else "1"
        return _EXPIRY.get(execution.expiry_reason, "0")

    def on_wallet(self, account: Account, change: WalletChange) -> None:
        """Section 15.4; funding on a crossed position tells the balance alone."""
        if not self.wanted(account):
            return
        positions = list(change.positions)
        if change.reason == "FUNDING":
            positions = [each for each in positions if account.margin(each.symbol).mode is MarginMode.ISOLATED]
        reason = _REASONS.get(change.reason, change.reason)
        told = dict.fromkeys(change.balances, ZERO) if change.reason == "ORDER" else change.balances
        self._account_update(account, reason, told, positions, change.symbol if change.reason == "FUNDING" else "")

    def deposited(self, account: Account, asset: str, amount: Decimal) -> None:
        self._account_update(account, "DEPOSIT" if amount > 0 else "WITHDRAW", {asset: amount}, [], "")

    def _account_update(
        self, account: Account, reason: str, changes: dict[str, Decimal], positions: list[Position], symbol: str
    ) -> None:
        body: dict[str, Any] = {
            "m": reason,
            "B": [self._balance(account, asset, change) for asset, change in changes.items()],
            "P": [self._position(position) for position in positions],
        }
        if symbol:
            body["S"] = symbol
        self._emit(account, f"ACCOUNT_UPDATE:{reason}", self._head("ACCOUNT_UPDATE") | {"a": body})

    def _balance(self, account: Account, asset: str, change: Decimal) -> dict[str, Any]:
        purse = margin.wallet(self._exchange, account, asset)
        return {
            "a": asset,
            "wb": text8(purse.balance),
            "cw": text8(purse.balance - purse.isolated),
            "bc": text8(change) if change else "0",
        }

    def _position(self, position: Position) -> dict[str, Any]:
        risk = render.position_risk(self._exchange, position, self._infos[position.symbol])
        isolated = position.account.margin(position.symbol).mode is MarginMode.ISOLATED
        return {
            "s": position.symbol,
            "pa": risk["positionAmt"],
            "ep": risk["entryPrice"],
            "bep": risk["breakEvenPrice"],
            "cr": text8(position.realized),
            "up": risk["unRealizedProfit"],
            "mt": "isolated" if isolated else "cross",
            "iw": risk["isolatedWallet"],
            "ps": position.side.value,
        }

    def on_settings(self, account: Account, symbol: str) -> None:
        """Leverage (15.6); the venue says nothing of a changed position mode."""
        if symbol and self.wanted(account):
            body = {"ac": {"s": symbol, "l": int(account.margin(symbol).leverage)}}
            self._emit(account, "ACCOUNT_CONFIG_UPDATE", self._head("ACCOUNT_CONFIG_UPDATE") | body)

    def multi_assets(self, account: Account, joined: bool) -> None:
        event = self._head("ACCOUNT_CONFIG_UPDATE") | {"ai": {"j": joined}}
        self._emit(account, "ACCOUNT_CONFIG_UPDATE", event)

    def on_algo(self, algo: Algo) -> None:
        """Section 15.5."""
        if not self.wanted(algo.account):
            return
        info, leg, child = self._infos[algo.symbol], algo.legs[0], algo.child
        order = leg.order
        body: dict[str, Any] = {
            "caid": algo.cl_algo_id,
            "aid": algo.algo_id,
            "at": "CONDITIONAL",
            "o": algo.extra["type"],
            "s": algo.symbol,
            "S": order.side.value,
            "ps": order.position_side.value,
            "f": render.lifetime(order),
            "q": info.qty(order.order_qty),
            "X": algo.status.value,
            "ai": "" if child is None else str(child.order_id),
            "ap": info.price(ZERO if child is None else render.average_px(child)),
            "aq": info.qty(ZERO if child is None else child.cum_qty),
            "act": "" if child is None else render.type_of(child),
            "tp": info.price(leg.trigger_px),
            "p": info.price(order.price),
            "V": order.stp_mode.value,
            "wt": algo.extra["working_type"],
            "pm": order.extra.get("price_match", "NONE"),
            "cp": algo.close_position,
            "pP": algo.extra["price_protect"],
            "R": order.reduce_only,
            "tt": algo.triggered_ns // MS,
            "gtd": order.extra.get("good_till", 0),
            "rm": "" if algo.reason is None else errors.reject_text(algo.reason),
        }
        if leg.trails:
            body["ia"] = bool(leg.extreme_px)
        self._emit(algo.account, f"ALGO_UPDATE:{algo.status.value}", self._head("ALGO_UPDATE") | {"o": body})

    def key_expired(self, account: Account, listen_key: str) -> None:
        """To every socket of the key; they stay open and hear nothing more."""
        event = {"e": "listenKeyExpired", "E": self._clock.now_ns() // MS, "listenKey": listen_key}
        self._emit(account, "listenKeyExpired", event)

    def margin_call(self, position: Position) -> None:
        """Guidance only (15.6)."""
        market, account = self._exchange.markets[position.symbol], position.account
        purse = margin.wallet(self._exchange, account, market.spec.settle)
        crossed = account.margin(position.symbol).mode is MarginMode.CROSS
        info = self._infos[position.symbol]
        row = {
            "s": position.symbol,
            "ps": position.side.value,
            "pa": info.qty(position.qty),
            "mt": "CROSSED" if crossed else "ISOLATED",
            "iw": text8(position.isolated_wallet) if position.isolated_wallet else "0",
            "mp": text8(market.mark_px),
            "up": text8(margin.unrealized(market, position)),
            "mm": text8(margin.maintenance(market, position)),
        }
        event: dict[str, Any] = {"e": "MARGIN_CALL", "E": self._clock.now_ns() // MS, "p": [row]}
        if crossed:
            event["cw"] = text8(purse.balance - purse.isolated)
        self._emit(account, "MARGIN_CALL", event)
