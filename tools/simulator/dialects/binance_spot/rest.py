"""The REST side: one HTTP request to one method, and back (section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tools.simulator.core.clock import SECOND
from tools.simulator.core.delivery import Waiting, perform
from tools.simulator.core.server import HttpRequest, HttpResponse
from tools.simulator.dialects.binance_spot import auth
from tools.simulator.dialects.binance_spot.errors import VenueError
from tools.simulator.dialects.binance_spot.gateway import Call, Outcome
from tools.simulator.dialects.binance_spot.params import Params, split_query

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot


async def serve(venue: BinanceSpot, request: HttpRequest) -> HttpResponse:
    """Answer one request under `/api/v3`."""
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
        params=Params(values),
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


def _no_such_path(venue: BinanceSpot, request: HttpRequest) -> HttpResponse:
    if request.path == "/api/v3/userDataStream":  # listen keys were switched off in 2026
        return HttpResponse(status=410, body=b'{"code":-1000,"msg":"Gone"}')
    if request.path in venue.methods.paths:
        return HttpResponse(status=405, body=b'{"code":-1000,"msg":"Method not allowed"}')
    return HttpResponse(status=404, body=b'{"code":-1000,"msg":"Path not found"}')


def _response(venue: BinanceSpot, call: Call, outcome: Outcome) -> HttpResponse:
    now = venue.clock.now_ns()
    used = str(venue.peer_limits(call.peer).weight.used(now))
    headers = [("x-mbx-used-weight", used), ("x-mbx-used-weight-1m", used)]
    error: VenueError | None = outcome.error
    if outcome.orders_counted:
        limits = venue.order_limits(call.account)
        headers.append(("x-mbx-order-count-10s", str(limits.short.used(now))))
        headers.append(("x-mbx-order-count-1d", str(limits.day.used(now))))
    if outcome.retry_after_ns:
        seconds = max(1, -(-(outcome.retry_after_ns - now) // SECOND))
        headers.append(("retry-after", str(seconds)))
    body = outcome.result if error is None else error.body()
    return HttpResponse(status=outcome.status, body=orjson.dumps(body), headers=headers)
