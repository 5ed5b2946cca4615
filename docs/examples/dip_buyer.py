"""An example strategy: buys a sharp dip with a passive order, and sells at a small profit or after a while.

It shows everything a strategy usually needs: parameters, candles, orders, fills, a timer and memory.
`docs/adding-a-strategy.md` walks through it, and `tests/actors/strategy/test_example.py` trades with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from bulkhead import Candle, ExecutionReport, OrdStatus, Side, Strategy, Symbol

MINUTE_NS = 60 * 1_000_000_000


@attrs.frozen(kw_only=True)
class DipParams:
    """The keys of `[strategies.<name>.params]`; amounts are text in quotes."""

    dip_pct: Decimal = Decimal("0.3")
    profit_pct: Decimal = Decimal("0.2")
    notional: Decimal = Decimal(100)
    patience_s: int = 600


class DipBuyer(Strategy):
    """One position a symbol, one order at a time."""

    Params = DipParams
    params: DipParams

    def __init__(self, params: DipParams | None = None) -> None:
        super().__init__(params)
        self.bought_ns: dict[str, int] = {}

    def bars(self) -> Mapping[int, int]:
        return {MINUTE_NS: 0}  # one-minute bars, no history needed

    def on_restore(self, state: Mapping[str, Any]) -> None:
        self.bought_ns = dict(state)

    def on_candle(self, candle: Candle) -> None:
        symbol = candle.symbol
        if candle.has_gap or not self.can_trade(symbol):
            return
        if self.position(symbol).qty > 0:
            self._give_up_in_time(symbol)
            return
        self.cancel_all(symbol)
        fell_pct = (candle.open - candle.close) / candle.open * 100
        if fell_pct >= self.params.dip_pct and not self.open_orders(symbol):
            self.buy(symbol, self.params.notional / candle.close, candle.close, post_only=True)

    def on_fill(self, report: ExecutionReport) -> None:
        if report.side is Side.BUY and report.ord_status is OrdStatus.FILLED:
            self.bought_ns[report.symbol] = self.now_ns
            held = self.position(report.symbol)
            self.sell(report.symbol, held.qty, held.avg_px * (1 + self.params.profit_pct / 100))
        elif self.position(report.symbol).qty == 0:
            self.bought_ns.pop(report.symbol, None)
        self.save(self.bought_ns)

    def _give_up_in_time(self, symbol: Symbol) -> None:
        waited_ns = self.now_ns - self.bought_ns.get(symbol, 0)
        if waited_ns < self.params.patience_s * 1_000_000_000:
            return
        if self.open_orders(symbol):
            self.cancel_all(symbol)  # sold at the market with the next bar, once the order is really gone
        else:
            self.sell(symbol, self.position(symbol).qty)
