"""How long things take on the way: a range in milliseconds for each direction, drawn from a seeded generator."""

from __future__ import annotations

import random

import attrs


def _range(value: tuple[float, float]) -> tuple[float, float]:
    low, high = value
    if not 0 <= low <= high:
        raise ValueError(f"latency must be a range 0 <= low <= high in ms, got {low}..{high}")
    return low, high


@attrs.define(kw_only=True)
class Latency:
    """All zero by default: nothing is delayed and nothing is drawn."""

    request_ms: tuple[float, float] = attrs.field(default=(0.0, 0.0), converter=_range)
    reply_ms: tuple[float, float] = attrs.field(default=(0.0, 0.0), converter=_range)
    event_ms: float = 0.0  # fixed, so that events of one account keep their order
    market_ms: float = 0.0  # fixed, for the same reason
    seed: int = 0
    _random: random.Random = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def request_s(self) -> float:
        """From the client to the engine."""
        return self._draw(self.request_ms)

    def reply_s(self) -> float:
        """From the engine back to who asked."""
        return self._draw(self.reply_ms)

    def _draw(self, between: tuple[float, float]) -> float:
        low, high = between
        return self._random.uniform(low, high) / 1000 if high else 0.0
