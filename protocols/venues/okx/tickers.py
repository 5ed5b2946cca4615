"""OKX's tickers (reference section 7), which its stream and its REST write alike."""

from __future__ import annotations

from protocols.enums import Source
from protocols.ids import Symbol, Venue
from protocols.instruments import Product
from protocols.market import Ticker
from protocols.venues.okx.wire import TickerRow
from protocols.venues.values import amount_or_none, price_or_none, stamp_ns

__all__ = ["ticker_of"]


def ticker_of(venue: Venue, product: Product, row: TickerRow, received_ns: int, source: Source) -> Ticker:
    """`vol24h` has the unit of orders everywhere; `volCcy24h` is a turnover on spot alone, on contracts it is coins."""
    base_px = price_or_none(row.open24h)
    return Ticker(
        venue,
        Symbol(row.instId),
        stamp_ns(int(row.ts)),
        received_ns,
        last_px=price_or_none(row.last),
        last_qty=amount_or_none(row.lastSz),
        bid_px=price_or_none(row.bidPx),
        bid_qty=amount_or_none(row.bidSz),
        ask_px=price_or_none(row.askPx),
        ask_qty=amount_or_none(row.askSz),
        open_px=base_px,
        base_px=base_px,
        high_px=price_or_none(row.high24h),
        low_px=price_or_none(row.low24h),
        volume=amount_or_none(row.vol24h),
        turnover=amount_or_none(row.volCcy24h) if product is Product.SPOT else None,
        source=source,
    )
