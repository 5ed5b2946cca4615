"""OKX v5, spot and linear swaps: the sans-I/O codecs.  `README.md` states the rules and where they come from.

Example::

    public = OkxPublic(Product.LINEAR)
    for event in public.decode(raw, received_ns, connection):
        ...

    private = OkxPrivate(account, signer_for(api_key, "SECRET:passphrase"), Product.LINEAR)
    private.learn(instruments)
    frame = private.new_order(order, request_id, venue_now_ns, logged_on=True)
"""

from __future__ import annotations

from protocols.venues.okx.endpoints import (
    CLOSED_PORT,
    DEMO,
    ENVIRONMENTS,
    FORMER_HOSTS,
    PRODUCTION,
    VENUES,
    Endpoints,
)
from protocols.venues.okx.private import OkxPrivate
from protocols.venues.okx.public import OkxPublic
from protocols.venues.okx.signer import signer_for

__all__ = [
    "CLOSED_PORT",
    "DEMO",
    "ENVIRONMENTS",
    "FORMER_HOSTS",
    "PRODUCTION",
    "VENUES",
    "Endpoints",
    "OkxPrivate",
    "OkxPublic",
    "signer_for",
]
