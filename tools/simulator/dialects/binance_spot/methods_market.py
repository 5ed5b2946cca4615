"""Public requests: time, instruments, depth, prints, candles, tickers (sections 5, 6, 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.simulator.core.clock import MS
from tools.simulator.core.decimals import ZERO, text8
from tools.simulator.core.market import Market
from tools.simulator.core.model import Trade
from tools.simulator.dialects.binance_common.gateway import Call, Method
from tools.simulator.dialects.binance_common.params import Params
from tools.simulator.dialects.binance_spot.errors import VenueError, bad_symbol
from tools.simulator.dialects.binance_spot.filters import average_price
from tools.simulator.dialects.binance_spot.streams import INTERVALS, agg_fields, snapshot, ticker_event

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot

STATUSES = ("TRADING", "END_OF_DAY", "HALT", "BREAK", "CANCEL_ONLY")


def market_of(venue: BinanceSpot, params: Params) -> Market:
    """The market that `symbol` names. Raises -1102 or -1121."""
    market = venue.exchange.markets.get(params.require("symbol"))
    if market is None:
        raise bad_symbol()
    return market


def _chosen(venue: BinanceSpot, params: Params) -> tuple[list[Market], bool]:
    """The markets of `symbol`, `symbols` or all; and whether the answer is a list."""
    symbol, symbols = params.text("symbol"), params.names("symbols")
    if symbol and symbols:
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    if symbols and len(set(symbols)) != len(symbols):
        raise VenueError(-1151, "Symbol is present multiple times in the list.")
    names = [symbol] if symbol else symbols if symbols else list(venue.exchange.markets)
    markets = [venue.exchange.markets.get(name) for name in names]
    found = [market for market in markets if market is not None]
    if len(found) != len(names):
        raise bad_symbol()
    return found, symbol is None


def _ticker_weight(params: Params) -> int:
    return 2 if "symbol" in params else 4


def _day_weight(params: Params) -> int:
    if "symbol" in params:
        return 2
    names = params.names("symbols")
    if names is None:
        return 80
    return 2 if len(names) <= 20 else 40 if len(names) <= 100 else 80


def _depth_weight(params: Params) -> int:
    limit = params.limit(100, 5000)
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def _rules_weight(params: Params) -> int:
    if "symbol" in params:
        return 2
    names = params.names("symbols")
    return 40 if names is None else min(2 * len(names), 40)


def _of_status(venue: BinanceSpot, params: Params, markets: list[Market], named: bool) -> list[Market]:
    """Those in the status that `symbolStatus` asks for. Raises -1122, or -1220 where a named one is in another."""
    wanted = params.text("symbolStatus")
    if wanted is None:
        return markets
    if wanted not in STATUSES:
        raise VenueError(-1122, "Invalid symbolStatus.")
    found = [market for market in markets if venue.infos[market.symbol].raw.get("status") == wanted]
    if named and len(found) != len(markets):
        raise VenueError(-1220, "The symbol's status does not match the requested symbolStatus.")
    return found


def _rows_of(venue: BinanceSpot, params: Params) -> tuple[list[Market], bool]:
    """The markets that a ticker request is about, and whether the answer is a list."""
    markets, many = _chosen(venue, params)
    return _of_status(venue, params, markets, "symbol" in params or "symbols" in params), many


def ping(venue: BinanceSpot, call: Call) -> Any:
    call.params.finish()
    return {}


def server_time(venue: BinanceSpot, call: Call) -> Any:
    call.params.finish()
    return {"serverTime": venue.clock.now_ns() // call.unit}


def exchange_info(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    for ignored in ("permissions", "showPermissionSets"):
        params.text(ignored)
    markets, _ = _chosen(venue, params)
    if "symbolStatus" in params and ("symbol" in params or "symbols" in params):
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    markets = _of_status(venue, params, markets, named=False)
    params.finish()
    return {
        "timezone": "UTC",
        "serverTime": venue.clock.now_ns() // call.unit,
        "rateLimits": venue.rate_limit_rules(connections=call.session is not None),
        "exchangeFilters": [],
        "symbols": [venue.infos[market.symbol].raw for market in markets],
    }


def depth(venue: BinanceSpot, call: Call) -> Any:
    market = market_of(venue, call.params)
    _of_status(venue, call.params, [market], named=True)
    limit = call.params.limit(100, 5000)
    call.params.finish()
    venue.note_snapshot(market.symbol)
    return snapshot(market, limit)


def _trade_row(trade: Trade, unit: int) -> dict[str, Any]:
    return {
        "id": trade.trade_id,
        "price": text8(trade.price),
        "qty": text8(trade.qty),
        "quoteQty": text8(trade.quote_qty),
        "time": trade.time_ns // unit,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def trades(venue: BinanceSpot, call: Call) -> Any:
    market = market_of(venue, call.params)
    limit = call.params.limit(500, 1000)
    call.params.finish()
    return [_trade_row(trade, call.unit) for trade in list(market.trades)[-limit:]]


def historical_trades(venue: BinanceSpot, call: Call) -> Any:
    market = market_of(venue, call.params)
    limit, first = call.params.limit(500, 1000), call.params.integer("fromId")
    call.params.finish()
    rows = [trade for trade in market.trades if first is None or trade.trade_id >= first]
    rows = rows[-limit:] if first is None else rows[:limit]
    return [_trade_row(trade, call.unit) for trade in rows]


def agg_trades(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    market = market_of(venue, params)
    limit, first = params.limit(500, 1000), params.integer("fromId")
    start, end = params.integer("startTime"), params.integer("endTime")
    params.finish()
    rows = [
        row
        for row in market.agg_trades
        if (first is None or row.agg_id >= first)
        and (start is None or row.time_ns // MS >= start)
        and (end is None or row.time_ns // MS <= end)
    ]
    rows = rows[-limit:] if first is None and start is None else rows[:limit]
    return [agg_fields(row) for row in rows]


def klines(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    market = market_of(venue, params)
    interval = params.require("interval")
    if interval not in INTERVALS:
        raise VenueError(-1120, "Invalid interval.")
    limit = params.limit(500, 1000)
    start, end = params.integer("startTime"), params.integer("endTime")
    params.text("timeZone")
    params.finish()
    venue.need_history(market.symbol)
    candles = market.candles.series(
        INTERVALS[interval],
        now_ns=market.time_ns(venue.clock.now_ns()),
        start_ns=None if start is None else start * MS,
        end_ns=None if end is None else end * MS,
        limit=limit,
    )
    return [
        [
            candle.open_ns // call.unit,
            text8(candle.open),
            text8(candle.high),
            text8(candle.low),
            text8(candle.close),
            text8(candle.volume),
            candle.close_ns // call.unit,
            text8(candle.quote_volume),
            candle.trades,
            text8(candle.taker_buy_base),
            text8(candle.taker_buy_quote),
            "0",
        ]
        for candle in candles
    ]


def average(venue: BinanceSpot, call: Call) -> Any:
    market = market_of(venue, call.params)
    call.params.finish()
    now = venue.clock.now_ns()
    closed = market.trades[-1].time_ns if market.trades else now
    return {"mins": 5, "price": text8(average_price(market, 5, now)), "closeTime": closed // call.unit}


def ticker_price(venue: BinanceSpot, call: Call) -> Any:
    markets, many = _rows_of(venue, call.params)
    call.params.finish()
    rows = [{"symbol": market.symbol, "price": text8(market.last_px)} for market in markets]
    return rows if many else rows[0]


def ticker_book(venue: BinanceSpot, call: Call) -> Any:
    markets, many = _rows_of(venue, call.params)
    call.params.finish()
    rows = []
    for market in markets:
        top = market.top()
        rows.append(
            {
                "symbol": market.symbol,
                "bidPrice": text8(top.bid or ZERO),
                "bidQty": text8(top.bid_qty),
                "askPrice": text8(top.ask or ZERO),
                "askQty": text8(top.ask_qty),
            }
        )
    return rows if many else rows[0]


def ticker_day(venue: BinanceSpot, call: Call) -> Any:
    params = call.params
    markets, many = _rows_of(venue, params)
    form = params.text("type") or "FULL"
    if form not in ("FULL", "MINI"):
        raise VenueError(-1139, "Invalid ticker type.")
    params.finish()
    rows = [_day_row(market, venue.clock.now_ns(), call.unit, mini=form == "MINI") for market in markets]
    return rows if many else rows[0]


def _day_row(market: Market, now_ns: int, unit: int, *, mini: bool) -> dict[str, Any]:
    event = ticker_event(market, now_ns, mini=False)
    row = {
        "symbol": market.symbol,
        "openPrice": event["o"],
        "highPrice": event["h"],
        "lowPrice": event["l"],
        "lastPrice": event["c"],
        "volume": event["v"],
        "quoteVolume": event["q"],
        "openTime": event["O"] * MS // unit,
        "closeTime": event["C"] * MS // unit,
        "firstId": event["F"],
        "lastId": event["L"],
        "count": event["n"],
    }
    if mini:
        return row
    return row | {
        "priceChange": event["p"],
        "priceChangePercent": event["P"],
        "weightedAvgPrice": event["w"],
        "prevClosePrice": event["x"],
        "lastQty": event["Q"],
        "bidPrice": event["b"],
        "bidQty": event["B"],
        "askPrice": event["a"],
        "askQty": event["A"],
    }


def reference_price(venue: BinanceSpot, call: Call) -> Any:
    """No symbol here has one; the filters then use the average price (6.1)."""
    market_of(venue, call.params)
    call.params.finish()
    raise VenueError(-2043, "This symbol doesn't have a reference price.")


def execution_rules(venue: BinanceSpot, call: Call) -> Any:
    markets, _ = _chosen(venue, call.params)
    call.params.finish()
    return {"symbolRules": [{"symbol": market.symbol, "rules": []} for market in markets]}


def get(path: str) -> tuple[str, str]:
    return ("GET", f"/api/v3/{path}")


METHODS = [
    Method(name="ping", handler=ping, rest=get("ping")),
    Method(name="time", handler=server_time, rest=get("time")),
    Method(name="exchangeInfo", handler=exchange_info, weight=20, rest=get("exchangeInfo")),
    Method(name="depth", handler=depth, weight=_depth_weight, rest=get("depth")),
    Method(name="trades.recent", handler=trades, weight=25, rest=get("trades")),
    Method(name="trades.historical", handler=historical_trades, weight=25, rest=get("historicalTrades")),
    Method(name="trades.aggregate", handler=agg_trades, weight=4, rest=get("aggTrades")),
    Method(name="klines", handler=klines, weight=2, rest=get("klines")),
    Method(name="uiKlines", handler=klines, weight=2, rest=get("uiKlines")),
    Method(name="avgPrice", handler=average, weight=2, rest=get("avgPrice")),
    Method(name="ticker.price", handler=ticker_price, weight=_ticker_weight, rest=get("ticker/price")),
    Method(name="ticker.book", handler=ticker_book, weight=_ticker_weight, rest=get("ticker/bookTicker")),
    Method(name="ticker.24hr", handler=ticker_day, weight=_day_weight, rest=get("ticker/24hr")),
    Method(name="referencePrice", handler=reference_price, weight=2, rest=get("referencePrice")),
    Method(name="executionRules", handler=execution_rules, weight=_rules_weight, rest=get("executionRules")),
]
