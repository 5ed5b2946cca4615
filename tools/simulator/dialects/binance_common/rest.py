"""The REST side: one HTTP request to one method, and back (section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tools.simulator.core.clock import SECOND
from tools.simulator.core.delivery import Waiting, perform
from tools.simulator.core.server import HttpRequest, HttpResponse
from tools.simulator.dialects.binance_common import auth
from tools.simulator.dialects.binance_common.gateway import Call, Outcome
from tools.simulator.dialects.binance_common.params import split_query

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_common.venue import BinanceVenue


async def serve(venue: BinanceVenue, request: HttpRequest) -> HttpResponse:
    """Answer one request."""
    method = venue.methods.by_path.get((request.method, request.path))
    if method is None:
        return _no_such_path(venue, request)
    body = request.body.decode("utf-8", "replace")
    values = dict(split_query(body))
    values.update(split_query(request.query))  # a name in both: the query string wins
    payload, signature = auth.rest_payload(request.query, body)
    micro = request.headers.get("x-mbx-time-unit", "").upper() == "MICROSECOND"
    call = Call(
        method=method.name,
        params=venue.params(values),
        peer=request.peer,
        received_ns=venue.clock.now_ns(),
        unit=1_000 if micro else 1_000_000,
        payload=payload,
        signature=signature,
        api_key=request.headers.get("x-mbx-apikey"),
    )
    waiting: Waiting[Outcome] = Waiting()
    perform(venue, venue.job(method, call), waiting)
    await waiting.done.wait()
    if waiting.outcome is None:
        return HttpResponse(fate=waiting.fate)
    return _response(venue, call, waiting.outcome)


def _no_such_path(venue: BinanceVenue, request: HttpRequest) -> HttpResponse:
    gone = venue.gone(request.path)
    if gone is not None:
        return gone
    if request.path in venue.methods.paths:
        return HttpResponse(status=405, body=b'{"code":-1000,"msg":"Method not allowed"}')
    return HttpResponse(status=404, body=b'{"code":-1000,"msg":"Path not found"}')


def _response(venue: BinanceVenue, call: Call, outcome: Outcome) -> HttpResponse:
    headers = venue.limit_headers(call, outcome)
    if outcome.retry_after_ns:
        seconds = max(1, -(-(outcome.retry_after_ns - venue.clock.now_ns()) // SECOND))
        headers.append(("retry-after", str(seconds)))
    body = outcome.result if outcome.error is None else outcome.error.body()
    return HttpResponse(status=outcome.status, body=orjson.dumps(body), headers=headers)
