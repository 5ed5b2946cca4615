"""The REST side: one HTTP request to one method, and back (sections 2.1 and 4)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from tools.simulator.core.accounts import Account
from tools.simulator.core.clock import MS
from tools.simulator.core.delivery import Job, Waiting, perform
from tools.simulator.core.server import HttpRequest, HttpResponse
from tools.simulator.dialects.bybit import auth
from tools.simulator.dialects.bybit.errors import VenueError, bad_parameter, envelope
from tools.simulator.dialects.bybit.gateway import Call, Outcome, execute
from tools.simulator.dialects.bybit.params import Params, query_values

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

TOO_FREQUENT = b"access too frequent"


async def serve(venue: Bybit, request: HttpRequest) -> HttpResponse:
    """Answer one request under `/v5`."""
    if not venue.peer_limits(request.peer).admit(venue.clock.now_ns()):
        return HttpResponse(status=403, body=TOO_FREQUENT, headers=[("content-type", "text/plain")])
    if request.method == "GET" and request.body:
        return HttpResponse(status=403, body=b"a GET request must not have a body")
    method = venue.methods.get((request.method, request.path))
    if method is None:
        return HttpResponse(status=404, body=b"404 page not found", headers=[("content-type", "text/plain")])
    try:
        params = _params(request)
    except VenueError as error:
        return _response(venue, Outcome(error=error))
    payload = request.query if request.method == "GET" else request.body.decode("utf-8", "replace")

    def identify() -> Account:
        key = auth.verify_request(venue.exchange.accounts, request.headers, payload, venue.clock.now_ns())
        call.key = key
        return key.account

    call = Call(params=params, peer=request.peer, identify=identify)
    key = venue.exchange.accounts.keys.get(request.headers.get("x-bapi-api-key", ""))
    job = Job(
        subject=method.name,
        account="" if key is None else key.account.name,
        peer=request.peer,
        run=lambda: execute(venue, method, call),
    )
    venue.note_arrivals(method, params)
    waiting: Waiting[Outcome] = Waiting()
    perform(venue, job, waiting)
    await waiting.done.wait()
    if waiting.outcome is None:
        return HttpResponse(fate=waiting.fate)
    return _response(venue, waiting.outcome)


def _params(request: HttpRequest) -> Params:
    if request.method == "GET":
        return Params(query_values(request.query))
    try:
        values: Any = json.loads(request.body, parse_float=str) if request.body else {}
    except ValueError:
        raise bad_parameter("the body is no JSON") from None
    if not isinstance(values, dict):
        raise bad_parameter("the body must be a JSON object")
    return Params(values)


def _response(venue: Bybit, outcome: Outcome) -> HttpResponse:
    now, error = venue.clock.now_ns(), outcome.error
    headers = limit_headers(outcome, now)
    if error is not None and error.status != 200:
        # Not the API's own answer but that of what stands before it: nothing in it says what became of the request.
        return HttpResponse(status=error.status, body=error.msg.encode(), headers=[("content-type", "text/plain")])
    return HttpResponse(body=orjson.dumps(envelope(outcome.result, outcome.ext, now, error)), headers=headers)


def limit_headers(outcome: Outcome, now_ns: int) -> list[tuple[str, str]]:
    """The three headers of a limited endpoint; a socket says them inside its answer."""
    usage = outcome.usage
    if usage is None:
        return []
    reset_ns = usage.reset_ns if outcome.error is not None and outcome.error.reset_ns else max(usage.reset_ns, now_ns)
    return [
        ("X-Bapi-Limit", str(usage.limit)),
        ("X-Bapi-Limit-Status", str(usage.left)),
        ("X-Bapi-Limit-Reset-Timestamp", str(reset_ns // MS)),
    ]
