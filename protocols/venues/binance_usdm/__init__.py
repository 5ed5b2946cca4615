"""Binance USDT-M Futures: the sans-I/O codecs of one venue.  `README.md` states the rules and where they come from.

Example::

    public = BinanceUsdmPublic()
    for event in public.decode(raw, received_ns, connection):
        ...

    private = BinanceUsdmPrivate(account, signer_for(api_key, secret), hedge_mode=False)
    frame = private.new_order(order, request_id, venue_now_ns, logged_on=True)
"""

from __future__ import annotations

from protocols.venues.binance_usdm.endpoints import DEMO, ENVIRONMENTS, PRODUCTION, Endpoints
from protocols.venues.binance_usdm.private import BinanceUsdmPrivate
from protocols.venues.binance_usdm.public import VENUE, BinanceUsdmPublic
from protocols.venues.binance_usdm.signer import signer_for

__all__ = [
    "DEMO",
    "ENVIRONMENTS",
    "PRODUCTION",
    "VENUE",
    "BinanceUsdmPrivate",
    "BinanceUsdmPublic",
    "Endpoints",
    "signer_for",
]
