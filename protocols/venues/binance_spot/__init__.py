"""Binance Spot: the sans-I/O codecs of one venue.  `README.md` states the rules and where they come from.

Example::

    public = BinanceSpotPublic()
    for event in public.decode(raw, received_ns, connection):
        ...

    private = BinanceSpotPrivate(account, signer_for(api_key, secret))
    frame = private.new_order(order, request_id, venue_now_ns, logged_on=True)
"""

from __future__ import annotations

from protocols.venues.binance_spot.endpoints import DEMO, ENVIRONMENTS, PRODUCTION, TESTNET, Endpoints
from protocols.venues.binance_spot.private import BinanceSpotPrivate
from protocols.venues.binance_spot.public import VENUE, BinanceSpotPublic
from protocols.venues.binance_spot.signer import signer_for

__all__ = [
    "DEMO",
    "ENVIRONMENTS",
    "PRODUCTION",
    "TESTNET",
    "VENUE",
    "BinanceSpotPrivate",
    "BinanceSpotPublic",
    "Endpoints",
    "signer_for",
]
