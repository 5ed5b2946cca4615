"""Upbit (Korea, spot): the sans-I/O codecs of one venue.  `README.md` states the rules and where they come from.

Example::

    public = UpbitPublic()
    for event in public.decode(raw, received_ns, connection):
        ...

    private = UpbitPrivate(account, signer_for(access_key, secret_key))
    request = private.rest_new_order(order, now_ns)
"""

from __future__ import annotations

from protocols.venues.upbit.endpoints import ENVIRONMENTS, PRODUCTION, Endpoints
from protocols.venues.upbit.private import UpbitPrivate
from protocols.venues.upbit.public import VENUE, UpbitPublic
from protocols.venues.upbit.signer import signer_for

__all__ = [
    "ENVIRONMENTS",
    "PRODUCTION",
    "VENUE",
    "Endpoints",
    "UpbitPrivate",
    "UpbitPublic",
    "signer_for",
]
