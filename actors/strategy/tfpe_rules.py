"""TFPE, the rules: trend following with price extremes, as a pure function of the values of one closed bar.

The strategy reference, section 1, is the source: seven conditions give one point each, two of them (3 and 4) give the
direction.  An entry needs ADX at its minimum, a direction, and enough points.  Choices T1 to T8 of that section are
taken as recommended there: trailing swing window, closed trend bars only, no fall-back width, all thresholds
parameters.

    evaluation = evaluate(values, params)
    evaluation.side      # Side.BUY, Side.SELL or None
    evaluation.reasons   # ("momentum", "rsi", ...) or why not
"""

from __future__ import annotations

import enum
from decimal import Decimal

import attrs

from protocols.enums import Side


class SizingBasis(enum.Enum):
    """What `size` is a fraction of (reference section 5.1)."""

    MARGIN = "margin"
    """notional = capital x size x leverage"""
    NOTIONAL = "notional"
    """notional = capital x size"""


class StopMode(enum.Enum):
    """What happens to the stop after the entry."""

    FROZEN = "frozen"
    RATCHET = "ratchet"
    """Follows the close at the same distance in ATR, but only tightens."""


@attrs.frozen(kw_only=True)
class TfpeParams:
    """`[strategies.<name>.params]` of kind `tfpe`; amounts and percentages are text in quotes."""

    entry_interval_s: int = 900
    trend_interval_s: int = 14_400
    warmup_bars: int = 150
    """Closed entry bars before the first decision: Wilder's ADX(14) needs some 150 to settle."""

    donchian_period: int = 20
    adx_period: int = 14
    rsi_period: int = 14
    atr_period: int = 14
    ema_period: int = 12
    volume_period: int = 20
    momentum_period: int = 20
    swing_period: int = 20

    threshold: int = 4
    adx_min: Decimal = Decimal(25)
    momentum_min_pct: Decimal = Decimal(2)
    momentum_signed: bool = False
    """True: the momentum point counts only in the trend's direction."""
    fibonacci_low: Decimal = Decimal("0.382")
    fibonacci_high: Decimal = Decimal("0.786")
    rsi_pullback_long: Decimal = Decimal(40)
    rsi_middle_long: Decimal = Decimal(45)
    rsi_pullback_short: Decimal = Decimal(60)
    rsi_middle_short: Decimal = Decimal(55)
    rsi_oversold: Decimal = Decimal(30)
    rsi_overbought: Decimal = Decimal(70)
    position_low: Decimal = Decimal("0.30")
    position_middle_low: Decimal = Decimal("0.40")
    position_middle_high: Decimal = Decimal("0.60")
    position_high: Decimal = Decimal("0.70")
    range_width_pct: Decimal = Decimal(5)
    ema_distance_pct: Decimal = Decimal("1.5")
    volume_ratio_min: Decimal = Decimal("1.5")

    stop_atr: Decimal = Decimal("1.5")
    target_atr: Decimal = Decimal(5)
    stop_mode: StopMode = StopMode.FROZEN
    exit_on_middle: bool = False
    max_holding_s: int = 0
    """0: no limit."""
    cooldown_s: int = 14_400

    capital: Decimal = Decimal(1_000)
    """Quote units that `size` is a fraction of."""
    size: Decimal = Decimal("0.24")
    leverage: int = 10
    """1 on spot, whatever is written here."""
    sizing_basis: SizingBasis = SizingBasis.MARGIN
    max_risk_per_trade: Decimal = Decimal("0.01")
    """Largest part of the capital that the stop may cost."""
    entry_slippage_pct: Decimal = Decimal("0.5")
    """How far beyond the best price an entry may reach."""

    def __attrs_post_init__(self) -> None:
        """The rules between parameters; ValueError names them."""
        rules = (
            (self.trend_interval_s > self.entry_interval_s > 0, "trend_interval_s must be above entry_interval_s > 0"),
            (self.trend_interval_s % self.entry_interval_s == 0, "trend_interval_s must be a multiple of the entry's"),
            (1 <= self.threshold <= 7, "threshold must be from 1 to 7"),
            (self.stop_atr > 0 and self.target_atr > 0, "stop_atr and target_atr must be above 0"),
            (self.capital > 0 and 0 < self.size <= 1, "capital must be above 0 and size in (0, 1]"),
            (self.leverage >= 1, "leverage must be at least 1"),
            (0 < self.max_risk_per_trade <= 1, "max_risk_per_trade must be in (0, 1]"),
            (0 <= self.entry_slippage_pct < 100, "entry_slippage_pct must be in [0, 100)"),
            (self.cooldown_s >= 0 and self.max_holding_s >= 0, "cooldown_s and max_holding_s must not be negative"),
            (self.fibonacci_low <= self.fibonacci_high, "fibonacci_low must not be above fibonacci_high"),
            (min(self._periods) >= 2, "every period must be at least 2"),
            # T7: rule 4 overrides rule 3, so a bar may never be both oversold for one and a short for the other.
            (
                self.rsi_oversold < min(self.rsi_pullback_short, self.rsi_middle_short),
                "rsi_oversold must be below rsi_pullback_short and rsi_middle_short, or rules 3 and 4 contradict",
            ),
            (
                self.rsi_overbought > max(self.rsi_pullback_long, self.rsi_middle_long),
                "rsi_overbought must be above rsi_pullback_long and rsi_middle_long, or rules 3 and 4 contradict",
            ),
        )
        broken = [text for holds, text in rules if not holds]
        if broken:
            raise ValueError("; ".join(broken))

    @property
    def _periods(self) -> tuple[int, ...]:
        return (
            self.donchian_period,
            self.adx_period,
            self.rsi_period,
            self.atr_period,
            self.ema_period,
            self.volume_period,
            self.momentum_period,
            self.swing_period,
        )


@attrs.frozen(kw_only=True)
class BarValues:
    """Everything that the rules look at, as of one closed entry bar."""

    close: Decimal
    trend: int
    """+1 or -1: the last closed trend bar's close above its Donchian middle, or not."""
    trend_width_pct: Decimal
    """Width of the trend channel in percent of the trend bar's close."""
    channel_position: Decimal
    """Close in the entry channel: 0 lower edge, 1 upper."""
    channel_middle: Decimal
    adx: Decimal
    rsi: Decimal
    atr: Decimal
    ema: Decimal
    volume_ratio: Decimal
    momentum_pct: Decimal
    """Signed."""
    swing_high: Decimal
    swing_low: Decimal


@attrs.frozen
class Evaluation:
    """Outcome of one bar: `side` is set when an entry is wanted."""

    side: Side | None
    direction: Side | None
    score: int
    reasons: tuple[str, ...]
    """The conditions that hold, and what was missing."""

    @property
    def text(self) -> str:
        """One line for the journal."""
        return f"score {self.score}: {', '.join(self.reasons) or 'nothing'}"


def evaluate(values: BarValues, params: TfpeParams) -> Evaluation:
    """Score one bar."""
    points: list[str] = []
    if _momentum(values, params):
        points.append("momentum")
    if _fibonacci(values, params):
        points.append("fibonacci")
    direction = _pullback(values, params)
    if direction is not None:
        points.append("rsi")
    extreme = _extreme(values, params)
    if extreme is not None:
        points.append("rsi_extreme")
        direction = extreme
    if abs(values.close - values.ema) * 100 <= params.ema_distance_pct * values.close:
        points.append("ema_distance")
    if values.volume_ratio >= params.volume_ratio_min:
        points.append("volume")
    if _at_extreme_price(direction, values, params):
        points.append("price_position")
    score = len(points)
    lacking = []
    if values.adx < params.adx_min:
        lacking.append(f"adx {values.adx:.1f} below {params.adx_min}")
    if direction is None:
        lacking.append("no direction")
    if score < params.threshold:
        lacking.append(f"score below {params.threshold}")
    return Evaluation(None if lacking else direction, direction, score, (*points, *lacking))


def _momentum(values: BarValues, params: TfpeParams) -> bool:
    momentum = values.momentum_pct * values.trend if params.momentum_signed else abs(values.momentum_pct)
    return momentum > params.momentum_min_pct


def _fibonacci(values: BarValues, params: TfpeParams) -> bool:
    """The close has come back from the swing's end by a part between the two levels."""
    swing = values.swing_high - values.swing_low
    if swing <= 0:
        return False
    back = values.swing_high - values.close if values.trend > 0 else values.close - values.swing_low
    return params.fibonacci_low * swing <= back <= params.fibonacci_high * swing


def _pullback(values: BarValues, params: TfpeParams) -> Side | None:
    """Rule 3: with the trend, at a pullback or in the middle of the channel."""
    position, rsi = values.channel_position, values.rsi
    in_middle = params.position_middle_low <= position <= params.position_middle_high
    if values.trend > 0:
        pulled_back = position < params.position_low and rsi <= params.rsi_pullback_long
        return Side.BUY if pulled_back or (in_middle and rsi <= params.rsi_middle_long) else None
    pulled_back = position > params.position_high and rsi >= params.rsi_pullback_short
    return Side.SELL if pulled_back or (in_middle and rsi >= params.rsi_middle_short) else None


def _extreme(values: BarValues, params: TfpeParams) -> Side | None:
    """Rule 4: in a narrow trend channel an extreme RSI trades back into the range, whatever the trend."""
    if values.trend_width_pct >= params.range_width_pct:
        return None
    if values.rsi < params.rsi_oversold:
        return Side.BUY
    return Side.SELL if values.rsi > params.rsi_overbought else None


def _at_extreme_price(direction: Side | None, values: BarValues, params: TfpeParams) -> bool:
    if direction is Side.BUY:
        return values.channel_position < params.position_low
    return direction is Side.SELL and values.channel_position > params.position_high


def entry_notional(params: TfpeParams, stop_fraction: Decimal, leverage: int) -> Decimal:
    """Quote units of an entry whose stop is `stop_fraction` of the price away: the basis, capped by the risk."""
    factor = leverage if params.sizing_basis is SizingBasis.MARGIN else 1
    return min(params.capital * params.size * factor, params.capital * params.max_risk_per_trade / stop_fraction)
