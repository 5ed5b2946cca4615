"""Public questions: clock, instruments, book, bars, tickers, prints (sections 3, 5 and 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.simulator.core.clock import MS, SECOND
from tools.simulator.core.market import Market
from tools.simulator.dialects.bybit import render_market
from tools.simulator.dialects.bybit.errors import LINEAR, SPOT, VenueError, bad_parameter
from tools.simulator.dialects.bybit.gateway import Call, Method
from tools.simulator.dialects.bybit.instruments import Instrument
from tools.simulator.dialects.bybit.paging import page
from tools.simulator.dialects.bybit.topics import INTERVALS

if TYPE_CHECKING:
    from tools.simulator.dialects.bybit.venue import Bybit

RECENT_TRADES_MAX = {SPOT: 60, LINEAR: 1000}
BOOK_DEPTHS = {SPOT: (1, 1000), LINEAR: (25, 1000)}  # default and most
FUNDING_PERIOD_NS = 8 * 3600 * SECOND


def find(venue: Bybit, category: str, symbol: str) -> Instrument:
    """The instrument that the request names.  Raises the venue's error where there is none."""
    found = venue.by_name.get((category, symbol))
    if found is None:
        if category == SPOT:
            raise VenueError(170121, "Invalid symbol.")
        raise bad_parameter("symbol invalid")
    return found


def named(venue: Bybit, call: Call, *, default: str = "") -> tuple[Instrument, Market]:
    """Instrument and market of a request that must name one."""
    instrument = find(venue, call.params.category(default=default), call.params.require("symbol"))
    return instrument, venue.exchange.markets[instrument.key]


def time(venue: Bybit, call: Call) -> Any:
    now = venue.clock.now_ns()
    return {"timeSecond": str(now // SECOND), "timeNano": str(now)}


def instruments(venue: Bybit, call: Call) -> Any:
    """Pages for contracts, all at once for spot; without `status` only what trades."""
    params = call.params
    category, symbol, status = params.category(), params.text("symbol"), params.text("status") or "Trading"
    rows = [
        each.raw
        for each in venue.infos.values()
        if each.category == category
        and (each.symbol == symbol if symbol else each.raw.get("status") == status)
        and params.text("baseCoin") in ("", each.base)
    ]
    if category == SPOT:
        return {"category": category, "list": rows}
    rows, cursor = page(rows, params, default=500, most=1000, token=lambda row: str(row["symbol"]))
    return {"category": category, "list": rows, "nextPageCursor": cursor}


def order_book(venue: Bybit, call: Call) -> Any:
    instrument, market = named(venue, call)
    default, most = BOOK_DEPTHS[instrument.category]
    venue.note_snapshot(instrument.key)
    return venue.streams.book_answer(market, call.params.limit(default, most))


def klines(venue: Bybit, call: Call) -> Any:
    """Newest first."""
    params = call.params
    instrument, market = named(venue, call, default=LINEAR)
    span = INTERVALS.get(params.require("interval"))
    if span is None:
        raise bad_parameter("interval invalid")
    venue.need_history(instrument.key)
    start, end = params.integer("start", 0), params.integer("end", 0)
    candles = market.candles.series(
        span,
        now_ns=market.time_ns(venue.clock.now_ns()),
        start_ns=start * MS if start else None,
        end_ns=end * MS if end else None,
        limit=params.limit(200, 1000),
    )
    rows = [render_market.kline_row(candle, instrument) for candle in reversed(candles)]
    return {"category": instrument.category, "symbol": instrument.symbol, "list": rows}


def tickers(venue: Bybit, call: Call) -> Any:
    params = call.params
    category, symbol, base = params.category(), params.text("symbol"), params.text("baseCoin")
    if symbol and category in (SPOT, LINEAR):
        find(venue, category, symbol)
    now = venue.clock.now_ns()
    rows = [
        venue.streams.ticker(venue.exchange.markets[each.key], each, now)
        for each in venue.infos.values()
        if each.category == category and symbol in ("", each.symbol) and base in ("", each.base)
    ]
    return {"category": category, "list": rows}


def price_limit(venue: Bybit, call: Call) -> Any:
    """The most that a buy and the least that a sell may ask for; "" where there is no band."""
    instrument, market = named(venue, call, default=LINEAR)
    stamp = str(venue.clock.now_ns() // MS)
    return {"symbol": instrument.symbol, **render_market.price_limit(market, instrument), "ts": stamp}


def recent_trades(venue: Bybit, call: Call) -> Any:
    """The newest prints, newest first."""
    instrument, market = named(venue, call)
    most = RECENT_TRADES_MAX[instrument.category]
    count = call.params.limit(min(500, most), most)
    newest = list(market.trades)[-count:]
    rows = [venue.streams.recent_trade(trade, instrument) for trade in reversed(newest)]
    return {"category": instrument.category, "list": rows}


def funding_history(venue: Bybit, call: Call) -> Any:
    """Rates of past settlements, newest first."""
    params = call.params
    instrument, _ = named(venue, call)
    start, end = params.integer("startTime", 0), params.integer("endTime", 1 << 62)
    rows = [
        {"symbol": instrument.symbol, "fundingRate": rate, "fundingRateTimestamp": str(time_ns // MS)}
        for time_ns, rate in reversed(venue.funding_rates.get(instrument.key, []))
        if start <= time_ns // MS <= end
    ]
    return {"category": instrument.category, "list": rows[: params.limit(200, 200)]}


def system_status(venue: Bybit, call: Call) -> Any:
    """No maintenance is announced here."""
    return {"list": []}


def _public(name: str, path: str, handler: Any) -> Method:
    return Method(name=name, verb="GET", path=path, handler=handler, signed=False)


METHODS = [
    _public("market.time", "/v5/market/time", time),
    _public("market.instruments-info", "/v5/market/instruments-info", instruments),
    _public("market.orderbook", "/v5/market/orderbook", order_book),
    _public("market.kline", "/v5/market/kline", klines),
    _public("market.tickers", "/v5/market/tickers", tickers),
    _public("market.price-limit", "/v5/market/price-limit", price_limit),
    _public("market.recent-trade", "/v5/market/recent-trade", recent_trades),
    _public("market.funding-history", "/v5/market/funding/history", funding_history),
    _public("system.status", "/v5/system/status", system_status),
]
