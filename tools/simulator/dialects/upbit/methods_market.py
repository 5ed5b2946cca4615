"""What everybody may ask (sections 4 and 6): markets, books, tickers, trades, candles."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from tools.simulator.core.clock import DAY, MINUTE, SECOND
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.market import Market
from tools.simulator.dialects.upbit import render, steps
from tools.simulator.dialects.upbit.errors import no_such_code
from tools.simulator.dialects.upbit.gateway import Call, Method
from tools.simulator.dialects.upbit.render import num, text

if TYPE_CHECKING:
    from tools.simulator.dialects.upbit.venue import Upbit

CANDLES_MAX = 200
TRADES_MAX = 500


def _markets(venue: Upbit, call: Call, name: str = "markets") -> list[Market]:
    """The pairs of a comma-separated list. Raises 404 for an unknown one."""
    call.params.require(name)
    found = [venue.exchange.markets.get(code) for code in call.params.listed(name)]
    if not found or None in found:
        raise no_such_code()
    return [market for market in found if market is not None]


def all_markets(venue: Upbit, call: Call) -> Any:
    details = call.params.flag("is_details") or call.params.flag("isDetails")
    return [market.row(details=details) for market in venue.markets.values()]


def ticker(venue: Upbit, call: Call) -> Any:
    return [venue.ticker_row(market) for market in _markets(venue, call)]


def tickers_of_quotes(venue: Upbit, call: Call) -> Any:
    quotes = set(call.params.listed("quote_currencies"))
    return [venue.ticker_row(each) for each in venue.exchange.markets.values() if each.spec.quote in quotes]


def orderbook(venue: Upbit, call: Call) -> Any:
    params = call.params
    markets = _markets(venue, call)
    level = Decimal(params.text("level") or 0) if (params.text("level") or "0").isdigit() else Decimal(-1)
    count = params.count("count", render.LEVELS, render.LEVELS)
    now = venue.clock.now_ns()
    rows = []
    for market in markets:
        venue.note_snapshot(market.symbol)
        if str(level) not in render.supported_levels(market, now):
            raise params.wrong("level", "is not supported for this pair")
        rows.append({"market": market.symbol, **render.book(market, venue.book_ns(market), level, count)})
    return rows


def instruments(venue: Upbit, call: Call) -> Any:
    now = venue.clock.now_ns()
    return [
        {
            "market": market.symbol,
            "quote_currency": market.spec.quote,
            "tick_size": text(steps.step_of(market.symbol, market.last_px, now)),
            "supported_levels": render.supported_levels(market, now),
        }
        for market in _markets(venue, call)
    ]


def trades(venue: Upbit, call: Call) -> Any:
    """The latest first; `cursor` goes on below a `sequential_id`, `days_ago` and `to` begin earlier (UTC)."""
    params = call.params
    market = _markets(venue, call, "market")[0]
    count = params.count("count", 1, TRADES_MAX)
    cursor = params.text("cursor")
    if cursor is not None and not cursor.isdigit():
        raise params.wrong("cursor")
    before_ns = _until(venue, call, market)
    rows: list[dict[str, Any]] = []
    for one in sorted(venue.prints[market.symbol], key=lambda each: -each.sequential_id):
        if len(rows) == count:
            break
        if one.trade.time_ns < before_ns and (cursor is None or one.sequential_id < int(cursor)):
            rows.append(render.trade_row(one))
    return rows


def _until(venue: Upbit, call: Call, market: Market) -> int:
    params = call.params
    now_ns = market.time_ns(venue.clock.now_ns())
    days, clock = params.count("days_ago", 0, 7), params.text("to")
    if not days and clock is None:
        return 2**63
    day_ns = now_ns - now_ns % DAY - days * DAY
    digits = (clock or "").replace(":", "")
    if clock is None:
        return day_ns + DAY
    if len(digits) != 6 or not digits.isdigit():
        raise params.wrong("to", "must be HHmmss or HH:mm:ss")
    span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
    return day_ns + int(span.total_seconds()) * SECOND


def candles(venue: Upbit, call: Call) -> Any:
    """Bars that began before `to`, the newest first; where nobody traded there is none."""
    params = call.params
    market = _markets(venue, call, "market")[0]
    unit, _, minutes = call.path.removeprefix("/v1/candles/").partition("/")
    count = params.count("count", 1, CANDLES_MAX)
    to_ns = params.moment_ns("to", zone=False)
    venue.need_history(market.symbol)
    if unit == "seconds":
        begin, span_ns = render.start_of(SECOND), SECOND
    elif unit == "minutes":
        span_ns = int(minutes) * MINUTE
        begin = render.start_of(span_ns)
    elif unit == "days":
        begin, span_ns = render.start_of(DAY), DAY
    else:
        begin, span_ns = render.PERIODS[unit], {"weeks": 7 * DAY, "months": 31 * DAY, "years": 366 * DAY}[unit]
    now_ns = market.time_ns(venue.clock.now_ns())
    found = render.bars(market.candles, begin, to_ns if to_ns is not None else now_ns + 1, seconds=unit == "seconds")
    chosen = list(islice(found, count + 1))
    rows = []
    for index, bar in enumerate(chosen[:count]):
        row = {"market": market.symbol, **render.candle_fields(bar, min(bar.open_ns + span_ns - 1, now_ns))}
        if unit == "minutes":
            row["unit"] = int(minutes)
        elif unit == "days":
            close = chosen[index + 1].close if index + 1 < len(chosen) else bar.open
            row |= {
                "prev_closing_price": num(close),
                "change_price": num(bar.close - close),
                "change_rate": num(((bar.close - close) / close).quantize(Decimal("0.0000000001")) if close else ZERO),
            }
        elif unit in render.PERIODS:
            row["first_day_of_period"] = render.utc(bar.open_ns).strftime("%Y-%m-%d")
        rows.append(row)
    return rows


def _get(name: str, path: str, group: str, handler: Any) -> Method:
    return Method(name=name, verb="GET", path=f"/v1/{path}", group=group, handler=handler, public=True)


METHODS = [
    _get("exchangeInfo", "market/all", "market", all_markets),
    _get("ticker", "ticker", "ticker", ticker),
    _get("ticker", "ticker/all", "ticker", tickers_of_quotes),
    _get("depth", "orderbook", "orderbook", orderbook),
    _get("instruments", "orderbook/instruments", "orderbook", instruments),
    _get("trades", "trades/ticks", "trade", trades),
    *(
        _get("klines", f"candles/{unit}", "candle", candles)
        for unit in ("seconds", *(f"minutes/{count}" for count in render.MINUTE_UNITS), "days", *render.PERIODS)
    ),
]
