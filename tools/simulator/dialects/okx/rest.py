"""The REST side: one HTTP request to one method, and back (sections 2.1 and 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tools.simulator.core.accounts import ApiKey
from tools.simulator.core.clock import MS
from tools.simulator.core.delivery import Job, Waiting, perform
from tools.simulator.core.server import HttpRequest, HttpResponse
from tools.simulator.dialects.okx import auth
from tools.simulator.dialects.okx.errors import OkxError, bad_param
from tools.simulator.dialects.okx.gateway import Call, Method, Outcome, Security, execute
from tools.simulator.dialects.okx.params import Params, body_values, objects, query_values

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue


async def serve(venue: OkxVenue, request: HttpRequest) -> HttpResponse:
    """Answer one request under `/api/v5`."""
    method = venue.methods.by_path.get((request.method, request.path))
    if method is None:
        return _no_such_path(venue, request)
    received_ns = venue.clock.now_ns()
    items, refusal = _items(method, request)
    venue.note_arrivals(method, items)
    job = Job(
        subject=method.name,
        account=venue.account_name(request.headers.get("ok-access-key", "")),
        peer=request.peer,
        run=lambda: _run(venue, method, request, items, refusal, received_ns),
    )
    waiting: Waiting[Outcome] = Waiting()
    perform(venue, job, waiting)
    await waiting.done.wait()
    if waiting.outcome is None:
        return HttpResponse(fate=waiting.fate)
    return _response(waiting.outcome)


def _items(method: Method, request: HttpRequest) -> tuple[list[Params], OkxError | None]:
    """What the request asks for, or why it cannot be read."""
    try:
        if request.method == "GET":
            return [Params(query_values(request.query))], None
        values = body_values(request.body)
        if method.batch == 1 and isinstance(values, list):
            values = values[0] if len(values) == 1 else {}
        if isinstance(values, dict):
            return [Params(values)], None
        return objects(values, method.batch), None
    except OkxError as error:
        return [], error


def _run(
    venue: OkxVenue,
    method: Method,
    request: HttpRequest,
    items: list[Params],
    refusal: OkxError | None,
    received_ns: int,
) -> Outcome:
    try:
        key = None if method.security is Security.NONE else _verified(venue, request)
        if refusal is not None:
            raise refusal
        call = Call(
            method=method,
            items=items,
            peer=request.peer,
            received_ns=received_ns,
            key=key,
            exp_ns=deadline_ns(request.headers.get("exptime")),
        )
    except OkxError as error:
        return Outcome.failed(error)
    return execute(venue, call)


def _verified(venue: OkxVenue, request: HttpRequest) -> ApiKey:
    """What is signed is the target as it came, percent-encoding included (2.1)."""
    target = f"{request.path}?{request.query}" if request.query else request.path
    return auth.verify_rest(
        venue.exchange.accounts.keys,
        request.headers,
        request.method,
        target,
        request.body.decode("utf-8", "replace"),
        venue.clock.now_ns(),
    )


def deadline_ns(value: Any) -> int | None:
    """`expTime` in milliseconds, as text or as a number. Raises OkxError 51000."""
    if value is None or value == "":
        return None
    text = str(value)
    if not text.isdigit() or len(text) > 16:
        raise bad_param("expTime")
    return int(text) * MS


def _no_such_path(venue: OkxVenue, request: HttpRequest) -> HttpResponse:
    if request.path in venue.methods.paths:
        body = {"code": "50005", "msg": "API is offline or unavailable", "data": []}
        return HttpResponse(status=405, body=orjson.dumps(body))
    body = {"code": "404", "msg": f"Not Found: {request.path}", "data": []}
    return HttpResponse(status=404, body=orjson.dumps(body))


def _response(outcome: Outcome) -> HttpResponse:
    if outcome.page:
        return HttpResponse(status=outcome.status, body=outcome.page, headers=[("content-type", "text/html")])
    return HttpResponse(status=outcome.status, body=orjson.dumps(outcome.body()))
