"""Public REST: time, instruments, market data (sections 4 and 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.simulator.core.clock import MS
from tools.simulator.core.market import Market
from tools.simulator.core.model import Side
from tools.simulator.dialects.okx import public_rows
from tools.simulator.dialects.okx.depth import best, rows
from tools.simulator.dialects.okx.errors import OkxError, bad_param
from tools.simulator.dialects.okx.gateway import Call, Method, Scope, Security
from tools.simulator.dialects.okx.instruments import INST_TYPES, SPOT, SWAP, OkxInstrument
from tools.simulator.dialects.okx.limits import Demand
from tools.simulator.dialects.okx.params import Params
from tools.simulator.dialects.okx.text import ms, plain

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue

INSTRUMENTS = 20
CANDLES, HISTORY_CANDLES, BOOK, BOOK_FULL, TRADES = 300, 100, 400, 5000, 500


def _one(venue: OkxVenue, params: Params) -> tuple[OkxInstrument, Market]:
    instrument = venue.instruments.get(params.require("instId"))
    if instrument is None:
        raise OkxError("51001")
    return instrument, venue.exchange.markets[instrument.inst_id]


def of_type(venue: OkxVenue, params: Params, *, needs_type: bool = True) -> list[OkxInstrument]:
    """Instruments by `instType`, `instFamily`, `uly` and `instId`."""
    kind = params.choice("instType", INST_TYPES, None if needs_type else "")
    kind = SPOT if kind == "MARGIN" else kind
    found = [one for one in venue.instruments.values() if not kind or one.inst_type == kind]
    for name, value_of in (("instFamily", _family), ("uly", _underlying), ("instId", _inst_id)):
        wanted = params.text(name)
        if wanted:
            found = [one for one in found if value_of(one) == wanted]
    return found


def _family(one: OkxInstrument) -> str:
    return one.family


def _underlying(one: OkxInstrument) -> str:
    return one.underlying


def _inst_id(one: OkxInstrument) -> str:
    return one.inst_id


def time(venue: OkxVenue, call: Call) -> list[Any]:
    return [{"ts": ms(venue.clock.now_ns())}]


def instruments(venue: OkxVenue, call: Call) -> list[Any]:
    found = of_type(venue, call.params)
    if not found and call.params.text("instId"):
        raise OkxError("51001")
    return [one.raw for one in found]


def ticker(venue: OkxVenue, call: Call) -> list[Any]:
    instrument, market = _one(venue, call.params)
    return [public_rows.ticker(instrument, market, venue.clock.now_ns())]


def tickers(venue: OkxVenue, call: Call) -> list[Any]:
    now, markets = venue.clock.now_ns(), venue.exchange.markets
    return [public_rows.ticker(one, markets[one.inst_id], now) for one in of_type(venue, call.params)]


def _book(venue: OkxVenue, call: Call, most: int) -> list[Any]:
    instrument, market = _one(venue, call.params)
    levels = call.params.integer("sz")
    if levels is not None and levels < 1:
        raise bad_param("sz")
    levels = min(levels or 1, most)
    venue.note_snapshot(instrument.inst_id)
    return [
        {
            "asks": rows(best(market, Side.SELL, levels)),
            "bids": rows(best(market, Side.BUY, levels)),
            "ts": ms(venue.clock.now_ns()),
            "seqId": venue.seq_id(market),
        }
    ]


def books(venue: OkxVenue, call: Call) -> list[Any]:
    """One level unless `sz` says otherwise; as of `seqId`."""
    return _book(venue, call, BOOK)


def books_full(venue: OkxVenue, call: Call) -> list[Any]:
    """Rows of this one are price, quantity and orders."""
    (book,) = _book(venue, call, BOOK_FULL)
    for side in ("asks", "bids"):
        book[side] = [[price, qty, count] for price, qty, _, count in book[side]]
    return [book]


def trades(venue: OkxVenue, call: Call) -> list[Any]:
    """Newest first."""
    _, market = _one(venue, call.params)
    newest = list(market.trades)[-call.params.limit(100, TRADES) :]
    return [public_rows.trade(market, one) for one in reversed(newest)]


def history_trades(venue: OkxVenue, call: Call) -> list[Any]:
    """Paged by trade id, or by time with `type` 2: `after` means older (10)."""
    _, market = _one(venue, call.params)
    params = call.params
    by_time = params.text("type") == "2"
    after, before = params.integer("after"), params.integer("before")

    def at(one: Any) -> int:
        return int(one.time_ns // MS if by_time else one.trade_id)

    found = [
        one
        for one in reversed(market.trades)
        if (after is None or at(one) < after) and (before is None or at(one) > before)
    ]
    return [public_rows.trade(market, one) for one in found[: params.limit(100, 100)]]


def _candles(venue: OkxVenue, call: Call, most: int) -> list[Any]:
    """Newest first; `after` means older than a time, `before` newer."""
    instrument, market = _one(venue, call.params)
    params = call.params
    bar = params.choice("bar", public_rows.BARS, "1m")
    after, before = params.integer("after"), params.integer("before")
    limit = params.limit(100, most)
    venue.need_history(instrument.inst_id)
    now = market.time_ns(venue.clock.now_ns())
    found = public_rows.candles(
        market,
        bar,
        now,
        start_ns=None if before is None else before * MS + 1,
        end_ns=None if after is None else after * MS - 1,
        limit=limit,
    )
    return [public_rows.candle_row(instrument, one, now) for one in reversed(found)]


def candles(venue: OkxVenue, call: Call) -> list[Any]:
    return _candles(venue, call, CANDLES)


def history_candles(venue: OkxVenue, call: Call) -> list[Any]:
    return _candles(venue, call, HISTORY_CANDLES)


def _swaps(venue: OkxVenue, params: Params) -> list[OkxInstrument]:
    return [one for one in of_type(venue, params, needs_type=False) if one.is_swap]


def mark_price(venue: OkxVenue, call: Call) -> list[Any]:
    return _slow(venue, "mark-price", _swaps(venue, call.params))


def open_interest(venue: OkxVenue, call: Call) -> list[Any]:
    return _slow(venue, "open-interest", _swaps(venue, call.params))


def funding_rate(venue: OkxVenue, call: Call) -> list[Any]:
    instrument, _ = _one(venue, call.params)
    if not instrument.is_swap:
        raise OkxError("51001")
    return _slow(venue, "funding-rate", [instrument])


def price_limit(venue: OkxVenue, call: Call) -> list[Any]:
    return _slow(venue, "price-limit", [_one(venue, call.params)[0]])


def index_tickers(venue: OkxVenue, call: Call) -> list[Any]:
    """The index of a pair is its spot price."""
    wanted, quote = call.params.text("instId"), call.params.text("quoteCcy")
    found = [
        one
        for one in venue.instruments.values()
        if one.inst_type == SPOT and (one.inst_id == wanted or (not wanted and (not quote or one.quote == quote)))
    ]
    if wanted and not found:
        raise OkxError("51001")
    return _slow(venue, "index-tickers", found)


def _slow(venue: OkxVenue, channel: str, found: list[OkxInstrument]) -> list[Any]:
    now = venue.clock.now_ns()
    return [venue.streams.slow_row(channel, one.inst_id, now) for one in found]


def position_tiers(venue: OkxVenue, call: Call) -> list[Any]:
    """One tier without end: the simulator's margin does not grow with the size."""
    params = call.params
    kind = params.choice("instType", INST_TYPES)
    params.choice("tdMode", ("cross", "isolated"))
    found = [one for one in of_type(venue, params) if one.inst_type in (SWAP, kind)]
    family = params.text("instFamily") or params.text("uly")
    return [
        {
            "tier": "1",
            "uly": one.underlying,
            "instFamily": one.family,
            "instId": one.inst_id,
            "ccy": "",
            "minSz": "0",
            "maxSz": plain(one.max_limit),
            "mmr": plain(one.spec.maintenance_rate),
            "imr": plain(round(1 / one.spec.max_leverage, 6)),
            "maxLever": str(one.max_lever),
            "optMgnFactor": "0",
            "quoteMaxLoan": "",
            "baseMaxLoan": "",
        }
        for one in found
        if not family or one.family == family
    ]


def underlying(venue: OkxVenue, call: Call) -> list[Any]:
    kind = call.params.choice("instType", INST_TYPES)
    found = {one.underlying for one in venue.instruments.values() if one.inst_type == kind and one.underlying}
    return [sorted(found)]


def system_status(venue: OkxVenue, call: Call) -> list[Any]:
    """Nothing is planned."""
    return []


def _public(name: str, path: str, handler: Any, limit: int, scope: Scope = Scope.IP) -> Method:
    return Method(
        name=name, handler=handler, rest=("GET", f"/api/v5/{path}"), security=Security.NONE, limit=limit, scope=scope
    )


def _instruments_demands(venue: OkxVenue, call: Call) -> list[Demand]:
    """Per address and kind of instrument."""
    limit = INSTRUMENTS * venue.limits.reads_percent // 100
    return [Demand(("instruments", call.peer, call.params.text("instType")), limit)] if limit else []


METHODS = (
    _public("time", "public/time", time, 10),
    Method(
        name="instruments",
        handler=instruments,
        rest=("GET", "/api/v5/public/instruments"),
        security=Security.NONE,
        demands=_instruments_demands,
    ),
    _public("ticker", "market/ticker", ticker, 20),
    _public("tickers", "market/tickers", tickers, 20),
    _public("books", "market/books", books, 40),
    _public("books-full", "market/books-full", books_full, 10),
    _public("trades", "market/trades", trades, 100),
    _public("history-trades", "market/history-trades", history_trades, 20),
    _public("candles", "market/candles", candles, 40),
    _public("history-candles", "market/history-candles", history_candles, 20),
    _public("index-tickers", "market/index-tickers", index_tickers, 20),
    _public("mark-price", "public/mark-price", mark_price, 10),
    _public("open-interest", "public/open-interest", open_interest, 20),
    _public("funding-rate", "public/funding-rate", funding_rate, 20),
    _public("price-limit", "public/price-limit", price_limit, 20),
    _public("position-tiers", "public/position-tiers", position_tiers, 10),
    _public("underlying", "public/underlying", underlying, 20),
    _public("system-status", "system/status", system_status, 5),
)
