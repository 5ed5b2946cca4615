"""Bybit v5, spot and linear contracts: the sans-I/O codecs.  `README.md` states the rules and where they come from.

Example::

    public = BybitPublic(Product.LINEAR)
    for event in public.decode(raw, received_ns, connection):
        ...

    private = BybitPrivate(account, signer_for(api_key, secret), Product.LINEAR)
    frame = private.new_order(order, request_id, venue_now_ns, logged_on=True)
"""

from __future__ import annotations

from protocols.venues.bybit.endpoints import DEMO, ENVIRONMENTS, PRODUCTION, TESTNET, Endpoints
from protocols.venues.bybit.private import BybitPrivate
from protocols.venues.bybit.public import VENUES, BybitPublic
from protocols.venues.bybit.signer import signer_for

__all__ = [
    "DEMO",
    "ENVIRONMENTS",
    "PRODUCTION",
    "TESTNET",
    "VENUES",
    "BybitPrivate",
    "BybitPublic",
    "Endpoints",
    "signer_for",
]
