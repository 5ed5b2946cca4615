"""How far from the market a price may be (section 5): the last price less and plus the instrument's ratio.

Beyond the band spot refuses an order and contracts move its price to the edge, unless the account has chosen otherwise
(`set-limit-px-action`).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from tools.simulator.core.accounts import Account
from tools.simulator.core.market import Market
from tools.simulator.dialects.bybit.errors import SPOT, VenueError
from tools.simulator.dialects.bybit.instruments import Instrument

Band = tuple[Decimal, Decimal]


def band_of(market: Market, instrument: Instrument) -> Band | None:
    """Least price of a sell and most of a buy; None where the instrument has no ratio or the market no price."""
    text = (instrument.raw.get("riskParameters") or {}).get("priceLimitRatioX") or ""
    last = market.last_px
    if not text or not last:
        return None
    width = last * Decimal(text)
    return last - width, last + width


def edges_of(market: Market, instrument: Instrument) -> Band | None:
    """The band on the grid of prices: what a sell and a buy may still ask for."""
    band = band_of(market, instrument)
    if band is None:
        return None
    tick = instrument.tick
    low, high = (edge / tick for edge in band)
    return low.to_integral_value(ROUND_CEILING) * tick, high.to_integral_value(ROUND_FLOOR) * tick


class PriceBands:
    """What each account wants done with a price beyond the band."""

    def __init__(self) -> None:
        self.moves: dict[str, bool] = {}
        """Account and category -> whether the price is moved; what is not named is as the venue begins."""

    def choose(self, account: Account, category: str, *, moves: bool) -> None:
        self.moves[f"{account.name}:{category}"] = moves

    def within(
        self, account: Account, market: Market, instrument: Instrument, price: Decimal, *, buys: bool
    ) -> Decimal:
        """The price that the order gets.  Raises the product's refusal where the account wants none moved."""
        edges = edges_of(market, instrument)
        if edges is None:
            return price
        low, high = edges
        if low <= price <= high or (price < low if buys else price > high):
            return price  # far on its own side of the market nobody is hurt
        if self.moves.get(f"{account.name}:{instrument.category}", instrument.category != SPOT):
            return high if buys else low
        if instrument.category != SPOT:
            raise VenueError(110003, "Order price exceeds the allowable range.")
        if buys:
            raise VenueError(170193, f"Buy order price cannot be higher than {high:f}.")
        raise VenueError(170194, f"Sell order price cannot be lower than {low:f}.")
