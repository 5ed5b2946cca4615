"""REST requests (reference sections 2.1, 4.1 and 11): all products of the venue build them alike, see
`binance_common.requests`."""

from __future__ import annotations

from protocols.venues.binance_common.requests import (
    Params,
    SignedRequests,
    check_success,
    order_id_number,
    public_request,
    refusal_of,
)

__all__ = ["Params", "SignedRequests", "check_success", "order_id_number", "public_request", "refusal_of"]
