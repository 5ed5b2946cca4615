"""What recorded Binance Spot frames mean."""

from __future__ import annotations

from typing import ClassVar

from tools.simulator.dialects.binance_common.replay import BinanceReplay


class SpotReplay(BinanceReplay):
    """Keeps a replayed market's book and prints."""

    first_unknown: ClassVar[int] = 1
