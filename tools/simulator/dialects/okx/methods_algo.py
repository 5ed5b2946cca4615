"""Requests about algo orders (section 5.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.simulator.core.algos import Algo
from tools.simulator.core.clock import MS
from tools.simulator.dialects.okx import algos
from tools.simulator.dialects.okx.errors import OkxError, bad_param, empty
from tools.simulator.dialects.okx.gateway import Call, Method, Security, each
from tools.simulator.dialects.okx.instruments import INST_TYPES
from tools.simulator.dialects.okx.orders import check_size, instrument_of
from tools.simulator.dialects.okx.params import Params

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue

CANCELED_MAX = 10
WORDS = (*algos.SOURCES, *algos.NOT_CARRIED_OUT)


def _result(venue: OkxVenue, algo: Algo) -> dict[str, Any]:
    return {
        "algoId": venue.algo_name(algo),
        "algoClOrdId": algo.cl_algo_id,
        "clOrdId": "",
        "reqId": "",
        "tag": algos.terms(algo).tag,
        "sCode": "0",
        "sMsg": "",
    }


def place(venue: OkxVenue, call: Call) -> list[Any]:
    def one(params: Params) -> dict[str, Any]:
        instrument = instrument_of(venue, params, by_code=False)
        if not instrument.spec.trading:
            raise OkxError("51022")
        return _result(venue, algos.place(venue, algos.AlgoReader(venue, call.account, instrument, params).read()))

    return each(call, one)


def _find(venue: OkxVenue, call: Call, params: Params) -> Algo | None:
    algo_id, client_id = params.text("algoId"), params.text("algoClOrdId")
    if not algo_id and not client_id:
        raise empty("algoId")
    number = venue.algo_number(algo_id) if algo_id else None
    return venue.exchange.algos.find(call.account, number, client_id)


def cancel(venue: OkxVenue, call: Call) -> list[Any]:
    def one(params: Params) -> dict[str, Any]:
        params.require("instId")
        algo = _find(venue, call, params)
        if algo is None or not algo.is_open:
            raise OkxError("51400")
        venue.exchange.algos.cancel(algo)
        return _result(venue, algo)

    return each(call, one)


def amend(venue: OkxVenue, call: Call) -> list[Any]:
    """New size, triggers and prices of one that waits."""

    def one(params: Params) -> dict[str, Any]:
        instrument = instrument_of(venue, params, by_code=False)
        algo = _find(venue, call, params)
        if algo is None or not algo.is_open:
            raise OkxError("51503")
        size = params.decimal("newSz")
        if size is not None:
            check_size(instrument, size, market=False)
        kept = algos.terms(algo)
        prefixes = {"tp": "newTp", "sl": "newSl", "trigger": "new"}
        changes = []
        for name, leg in zip(kept.names, algo.legs, strict=True):
            if name in prefixes:
                price = params.decimal(f"{prefixes[name]}TriggerPx")
                if price is not None and (not price or price % instrument.tick):
                    raise bad_param(f"{prefixes[name]}TriggerPx")
                changes.append((leg, price))
        for leg, price in changes:
            leg.trigger_px = price or leg.trigger_px
        if size is not None:
            kept.size = size
            for leg in algo.legs:
                leg.order.order_qty = size
        algo.updated_ns = venue.clock.now_ns()
        venue.events.on_algo(algo)
        return _result(venue, algo) | {"reqId": params.name("reqId")}

    return each(call, one)


def details(venue: OkxVenue, call: Call) -> list[Any]:
    algo = _find(venue, call, call.params)
    if algo is None:
        raise OkxError("51603")
    return [algos.algo_row(venue, algo)]


def _chosen(venue: OkxVenue, call: Call, found: list[Algo]) -> list[Any]:
    params = call.params
    words = params.require("ordType").split(",")
    if not set(words) <= set(WORDS):
        raise bad_param("ordType")
    kind, inst_id = params.choice("instType", INST_TYPES, ""), params.text("instId")
    after, before = params.text("after"), params.text("before")
    rows = []
    for algo in sorted(found, key=_id_of, reverse=True):
        instrument, number = venue.instruments[algo.symbol], int(venue.algo_name(algo))
        if (
            algos.terms(algo).ord_type in words
            and kind in ("", instrument.inst_type)
            and inst_id in ("", algo.symbol)
            and (not after or number < int(after))
            and (not before or number > int(before))
        ):
            rows.append(algos.algo_row(venue, algo))
    return rows[: params.limit()]


def _id_of(algo: Algo) -> int:
    return algo.algo_id


def pending(venue: OkxVenue, call: Call) -> list[Any]:
    """Of one kind at a time."""
    return _chosen(venue, call, venue.exchange.algos.of(call.account))


def history(venue: OkxVenue, call: Call) -> list[Any]:
    """By state, or one by its id."""
    params = call.params
    state, algo_id = params.text("state"), params.text("algoId")
    if not state and not algo_id:
        raise empty("state")
    if state not in ("", "effective", "canceled", "order_failed"):
        raise bad_param("state")
    found = [
        algo
        for algo in venue.exchange.algos.by_id.values()
        if algo.account is call.account
        and not algo.is_open
        and state in ("", algos.state_of(algo))
        and algo_id in ("", venue.algo_name(algo))
    ]
    begin, end = params.integer("begin"), params.integer("end")
    return _chosen(
        venue,
        call,
        [
            algo
            for algo in found
            if (begin is None or algo.created_ns // MS >= begin) and (end is None or algo.created_ns // MS <= end)
        ],
    )


def _post(name: str, handler: Any, *, batch: int = 1) -> Method:
    return Method(
        name=name,
        handler=handler,
        rest=("POST", f"/api/v5/trade/{name}"),
        security=Security.TRADE,
        limit=20,
        batch=batch,
        orders=True,
    )


def _get(name: str, handler: Any) -> Method:
    return Method(name=name, handler=handler, rest=("GET", f"/api/v5/trade/{name}"), limit=20)


METHODS = (
    _post("order-algo", place),
    _post("cancel-algos", cancel, batch=CANCELED_MAX),
    _post("amend-algos", amend),
    Method(name="order-algo-details", handler=details, rest=("GET", "/api/v5/trade/order-algo"), limit=20),
    _get("orders-algo-pending", pending),
    _get("orders-algo-history", history),
)
