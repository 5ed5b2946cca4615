"""The REST side: one HTTP request to one method, and back (sections 1 and 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tools.simulator.core.delivery import Job, Waiting, perform
from tools.simulator.core.server import HttpRequest, HttpResponse
from tools.simulator.dialects.upbit.errors import VenueError
from tools.simulator.dialects.upbit.gateway import Call, Method, Outcome, execute
from tools.simulator.dialects.upbit.params import Pairs, Params, body_pairs, form_pairs, query_pairs
from tools.simulator.dialects.upbit.words import encode

if TYPE_CHECKING:
    from tools.simulator.dialects.upbit.venue import Upbit


async def serve(venue: Upbit, request: HttpRequest) -> HttpResponse:
    """Answer one request under `/v1`."""
    method = venue.method_of(request.method, request.path)
    if method is None:
        return response(_no_route(venue, request))
    try:
        call = _call(venue, method, request)
    except VenueError as error:
        left = venue.whole(method.group)
        return response(Outcome(status=error.status, body=error.body(), group=method.group, left=left))
    venue.note_arrival(method, call.params)
    key = None if method.public else venue.gate.key_of(call.authorization)
    waiting: Waiting[Outcome] = Waiting()
    job = Job(method.name, "" if key is None else key.account.name, request.peer, lambda: execute(venue, method, call))
    perform(venue, job, waiting)
    await waiting.done.wait()
    if waiting.outcome is None:
        return HttpResponse(fate=waiting.fate)
    return response(waiting.outcome)


def _call(venue: Upbit, method: Method, request: HttpRequest) -> Call:
    if "content-type" in request.repeated:
        raise VenueError("bad_request", "Content-Type was sent more than once.")
    return Call(
        params=Params(_pairs(venue, request), public=method.public),
        peer=request.peer,
        authorization=request.headers.get("authorization"),
        has_origin="origin" in request.headers,
        path=request.path,
    )


def _pairs(venue: Upbit, request: HttpRequest) -> Pairs:
    """POST has its parameters in a JSON body, everything else in the query."""
    is_json = "json" in request.headers.get("content-type", "").lower()
    if request.method == "POST":
        if request.body and not is_json:
            raise VenueError("bad_request", "A body must be JSON: Content-Type application/json.")
        return body_pairs(request.body)
    pairs = query_pairs(request.query)
    if request.body and venue.limits.body_parameters:
        pairs += body_pairs(request.body) if is_json else form_pairs(request.body)
    return pairs


def _no_route(venue: Upbit, request: HttpRequest) -> Outcome:
    if request.path in venue.paths:
        error = VenueError(405, "Method not allowed", status=405)
    else:
        error = VenueError(404, "no Route matched with those values", status=404)
    return Outcome(status=error.status, body=error.body(), left=venue.whole("default"))


def response(outcome: Outcome) -> HttpResponse:
    """Numbers of what is public are numbers, of what is an account's they are texts."""
    headers = [("remaining-req", f"group={outcome.group}; min=1800; sec={outcome.left}")]
    if outcome.body is None:
        return HttpResponse(status=outcome.status, headers=headers)
    body = encode(outcome.body) if outcome.public else msgspec.json.encode(outcome.body)
    return HttpResponse(status=outcome.status, body=body, headers=headers)
