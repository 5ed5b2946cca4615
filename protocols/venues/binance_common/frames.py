"""Requests on the WebSocket API: envelope and signature, the same on every product.

Amounts are JSON strings (a number would be signed as the venue chooses to print it); times, and the names in
`integers`, are JSON numbers.
"""

from __future__ import annotations

import re

import msgspec

from protocols.errors import LocalProtocolError
from protocols.venue import Frame, Lane, Signer
from protocols.venues.binance_common.requests import Params

__all__ = ["ApiFrames", "frame", "legal_request_id"]

_REQUEST_ID = re.compile(r"[a-zA-Z0-9_-]+", re.ASCII)


class ApiFrames:
    """Writes the frames of one account's WebSocket API connections."""

    __slots__ = ("_integers", "_recv_window", "_signer")

    def __init__(self, signer: Signer, recv_window_ms: int, integers: frozenset[str] = frozenset()) -> None:
        self._signer = signer
        self._recv_window = recv_window_ms
        self._integers = integers

    def request(
        self,
        method: str,
        params: Params,
        request_id: str,
        stamp_ms: int,
        weight: int,
        lane: Lane,
        *,
        logged_on: bool,
    ) -> Frame:
        """Any request that carries a time: signed, unless the session is logged on."""
        integers = self._integers
        fields: dict[str, str | int] = {name: int(value) if name in integers else value for name, value in params}
        fields["recvWindow"] = self._recv_window
        fields["timestamp"] = stamp_ms
        if not logged_on:
            self._sign(fields)
        return frame(method, fields, request_id, weight, lane)

    def _sign(self, fields: dict[str, str | int]) -> None:
        """All parameters sorted by name, not encoded, `apiKey` and `timestamp` among them."""
        fields["apiKey"] = self._signer.api_key
        payload = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
        fields["signature"] = self._signer.sign(payload.encode())


def frame(method: str, fields: dict[str, str | int], request_id: str, weight: int, lane: Lane) -> Frame:
    """One request frame."""
    body = {"id": legal_request_id(request_id), "method": method, "params": fields}
    return Frame(msgspec.json.encode(body).decode(), request_id, weight, lane)


def legal_request_id(request_id: str) -> str:
    """The id itself.  Raises LocalProtocolError for one that could break the frame."""
    if _REQUEST_ID.fullmatch(request_id) is None:
        raise LocalProtocolError(f"request_id was {request_id!r}, must be letters, digits, '-' or '_'")
    return request_id
