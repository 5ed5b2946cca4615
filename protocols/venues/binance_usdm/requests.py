"""REST requests (reference sections 2 and 4): built as on the venue's other products, see `binance_common.requests`."""

from __future__ import annotations

from protocols.venue import HttpRequest, Lane, Signer
from protocols.venues.binance_common.requests import (
    Params,
    SignedRequests,
    check_success,
    decoded,
    order_id_number,
    public_request,
    refusal_of,
)

__all__ = [
    "Params",
    "SignedRequests",
    "check_success",
    "decoded",
    "key_request",
    "order_id_number",
    "public_request",
    "refusal_of",
]


def key_request(method: str, path: str, params: Params, weight: int, signer: Signer) -> HttpRequest:
    """A request that names the key and is not signed: the listen-key calls."""
    query = public_request(path, params, weight).query
    return HttpRequest(method, path, query, {"X-MBX-APIKEY": signer.api_key}, "", weight, Lane.QUERY)
