"""What recorded USDT-M frames mean: those of all products, and marks."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import ClassVar

import msgspec

from tools.simulator.core import contracts
from tools.simulator.dialects.binance_common.replay import BinanceReplay


class _Mark(msgspec.Struct):
    s: str
    p: str
    i: str
    r: str = "0"


class UsdmReplay(BinanceReplay):
    """Keeps a replayed market's book, prints and marks."""

    first_unknown: ClassVar[int] = 0

    def _apply_other(self, kind: str, data: str) -> None:
        """Marks, of one symbol or of all."""
        if not kind.startswith("markPrice"):
            return
        rows = json.loads(data)
        for event in msgspec.convert(rows if isinstance(rows, list) else [rows], list[_Mark]):
            if event.s in self._exchange.markets:
                self._exchange.markets[event.s].funding_rate = Decimal(event.r or "0")
                contracts.pin_mark(self._exchange, event.s, Decimal(event.p), Decimal(event.i))
