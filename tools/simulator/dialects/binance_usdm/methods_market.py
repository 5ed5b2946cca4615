"""Public requests: time, instruments, depth, prints, candles, tickers, marks, funding (sections 5, 6, 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.simulator.core.clock import MS, SECOND
from tools.simulator.core.contracts import FUNDING_EVERY_NS
from tools.simulator.core.decimals import ZERO, text8
from tools.simulator.core.market import Market
from tools.simulator.core.model import Trade
from tools.simulator.dialects.binance_common.errors import VenueError, bad_symbol
from tools.simulator.dialects.binance_common.gateway import Call, Method
from tools.simulator.dialects.binance_common.params import Params
from tools.simulator.dialects.binance_usdm.streams import (
    INTERVALS,
    agg_fields,
    mark_event,
    snapshot,
    ticker_event,
    update_id,
)
from tools.simulator.dialects.binance_usdm.symbols import SymbolInfo

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_usdm.venue import BinanceUsdm

DEPTHS = (5, 10, 20, 50, 100, 500, 1000)


def market_of(venue: BinanceUsdm, params: Params) -> Market:
    """The market that `symbol` names. Raises -1102 or -1121."""
    market = venue.exchange.markets.get(params.require("symbol"))
    if market is None:
        raise bad_symbol()
    return market


def _chosen(venue: BinanceUsdm, params: Params) -> tuple[list[Market], bool]:
    """The market of `symbol`, or all; and whether the answer is a list."""
    if "symbol" in params:
        return [market_of(venue, params)], False
    return list(venue.exchange.markets.values()), True


def info_of(venue: BinanceUsdm, market: Market) -> SymbolInfo:
    found: SymbolInfo = venue.infos[market.symbol]
    return found


def _one_or_all(one: int, everything: int) -> Any:
    def weight(params: Params) -> int:
        return one if "symbol" in params else everything

    return weight


def _depth_weight(params: Params) -> int:
    limit = params.limit(500, 1000)
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def _klines_weight(params: Params) -> int:
    limit = params.limit(500, 1500)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def ping(venue: BinanceUsdm, call: Call) -> Any:
    call.params.finish()
    return {}


def server_time(venue: BinanceUsdm, call: Call) -> Any:
    call.params.finish()
    return {"serverTime": venue.clock.now_ns() // MS}


def exchange_info(venue: BinanceUsdm, call: Call) -> Any:
    call.params.finish()
    assets = {info.spec.settle: None for info in venue.infos.values()}
    return {
        "timezone": "UTC",
        "serverTime": venue.clock.now_ns() // MS,
        "futuresType": "U_MARGINED",
        "rateLimits": venue.rate_limit_rules(connections=False),
        "exchangeFilters": [],
        "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in assets],
        "symbols": [info.raw for info in venue.infos.values()],
    }


def depth(venue: BinanceUsdm, call: Call) -> Any:
    market = market_of(venue, call.params)
    limit = call.params.limit(500, 1000)
    call.params.finish()
    if limit not in DEPTHS:
        raise VenueError(-4021, f"'{limit}' is not valid depth limit.")
    venue.note_snapshot(market.symbol)
    return snapshot(market, info_of(venue, market), limit, venue.clock.now_ns())


def _trade_row(trade: Trade, info: SymbolInfo) -> dict[str, Any]:
    return {
        "id": trade.trade_id,
        "price": info.price(trade.price),
        "qty": info.qty(trade.qty),
        "quoteQty": text8(trade.quote_qty),
        "time": trade.time_ns // MS,
        "isBuyerMaker": trade.buyer_is_maker,
        "isRPITrade": False,
    }


def trades(venue: BinanceUsdm, call: Call) -> Any:
    market = market_of(venue, call.params)
    limit = call.params.limit(500, 1000)
    call.params.finish()
    return [_trade_row(trade, info_of(venue, market)) for trade in list(market.trades)[-limit:]]


def historical_trades(venue: BinanceUsdm, call: Call) -> Any:
    market = market_of(venue, call.params)
    limit, first = call.params.limit(100, 500), call.params.integer("fromId")
    call.params.finish()
    rows = [trade for trade in market.trades if first is None or trade.trade_id >= first]
    rows = rows[-limit:] if first is None else rows[:limit]
    return [_trade_row(trade, info_of(venue, market)) for trade in rows]


def agg_trades(venue: BinanceUsdm, call: Call) -> Any:
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
    return [agg_fields(row, info_of(venue, market)) for row in rows]


def _candles(venue: BinanceUsdm, call: Call, market: Market) -> Any:
    params = call.params
    interval = params.require("interval")
    if interval not in INTERVALS:
        raise VenueError(-1120, "Invalid interval.")
    limit = params.limit(500, 1500)
    start, end = params.integer("startTime"), params.integer("endTime")
    params.finish()
    venue.need_history(market.symbol)
    info = info_of(venue, market)
    candles = market.candles.series(
        INTERVALS[interval],
        now_ns=market.time_ns(venue.clock.now_ns()),
        start_ns=None if start is None else start * MS,
        end_ns=None if end is None else end * MS,
        limit=limit,
    )
    return [
        [
            candle.open_ns // MS,
            info.price(candle.open),
            info.price(candle.high),
            info.price(candle.low),
            info.price(candle.close),
            info.qty(candle.volume),
            candle.close_ns // MS,
            text8(candle.quote_volume),
            candle.trades,
            info.qty(candle.taker_buy_base),
            text8(candle.taker_buy_quote),
            "0",
        ]
        for candle in candles
    ]


def klines(venue: BinanceUsdm, call: Call) -> Any:
    """Mark and index price candles answer with those of the contract: the two prices follow it here."""
    return _candles(venue, call, market_of(venue, call.params))


def pair_klines(venue: BinanceUsdm, call: Call) -> Any:
    call.params.text("contractType")
    market = venue.exchange.markets.get(call.params.require("pair"))
    if market is None:
        raise bad_symbol()
    return _candles(venue, call, market)


def ticker_price(venue: BinanceUsdm, call: Call) -> Any:
    markets, many = _chosen(venue, call.params)
    call.params.finish()
    now = venue.clock.now_ns() // MS
    rows = [
        {
            "symbol": market.symbol,
            "price": info_of(venue, market).price(market.last_px),
            "time": now,
            "ps": market.symbol,
        }
        for market in markets
    ]
    return rows if many else rows[0]


def ticker_book(venue: BinanceUsdm, call: Call) -> Any:
    markets, many = _chosen(venue, call.params)
    call.params.finish()
    rows = []
    for market in markets:
        top, info = market.top(), info_of(venue, market)
        rows.append(
            {
                "lastUpdateId": update_id(market, market.update_id),
                "symbol": market.symbol,
                "bidPrice": info.price(top.bid or ZERO),
                "bidQty": info.qty(top.bid_qty),
                "askPrice": info.price(top.ask or ZERO),
                "askQty": info.qty(top.ask_qty),
                "time": venue.clock.now_ns() // MS,
            }
        )
    return rows if many else rows[0]


_DAY = {
    "symbol": "s",
    "priceChange": "p",
    "priceChangePercent": "P",
    "weightedAvgPrice": "w",
    "lastPrice": "c",
    "lastQty": "Q",
    "openPrice": "o",
    "highPrice": "h",
    "lowPrice": "l",
    "volume": "v",
    "quoteVolume": "q",
    "openTime": "O",
    "closeTime": "C",
    "firstId": "F",
    "lastId": "L",
    "count": "n",
}


def ticker_day(venue: BinanceUsdm, call: Call) -> Any:
    markets, many = _chosen(venue, call.params)
    call.params.finish()
    now = venue.clock.now_ns()
    events = [ticker_event(market, info_of(venue, market), now, mini=False) for market in markets]
    rows = [{name: event[letter] for name, letter in _DAY.items()} for event in events]
    return rows if many else rows[0]


def premium_index(venue: BinanceUsdm, call: Call) -> Any:
    markets, many = _chosen(venue, call.params)
    call.params.finish()
    rows = []
    for market in markets:
        event = mark_event(market, venue.clock.now_ns())
        rows.append(
            {
                "symbol": market.symbol,
                "markPrice": event["p"],
                "indexPrice": event["i"],
                "estimatedSettlePrice": event["P"],
                "lastFundingRate": event["r"],
                "interestRate": "0.00010000",
                "nextFundingTime": event["T"],
                "time": event["E"],
            }
        )
    return rows if many else rows[0]


def funding_rate(venue: BinanceUsdm, call: Call) -> Any:
    """The payments before now, all at the present rate: the simulator has no other history."""
    params = call.params
    markets, _ = _chosen(venue, params)
    limit = params.limit(100, 1000)
    start, end = params.integer("startTime"), params.integer("endTime")
    params.finish()
    now = venue.clock.now_ns()
    last = now - now % FUNDING_EVERY_NS
    times = [(last - number * FUNDING_EVERY_NS) // MS for number in range(limit)]
    return [
        {
            "symbol": market.symbol,
            "fundingRate": text8(market.funding_rate),
            "fundingTime": time_ms,
            "markPrice": text8(market.mark_px),
            "rateType": "REGULAR",
        }
        for market in markets
        for time_ms in reversed(times)
        if (start is None or time_ms >= start) and (end is None or time_ms <= end)
    ][-limit:]


def funding_info(venue: BinanceUsdm, call: Call) -> Any:
    """Only symbols whose interval or caps differ from the usual: none here."""
    call.params.finish()
    return []


def open_interest(venue: BinanceUsdm, call: Call) -> Any:
    market = market_of(venue, call.params)
    call.params.finish()
    held = sum(
        (
            max(ZERO, position.qty)
            for account in venue.exchange.accounts.by_name.values()
            for position in account.positions.values()
            if position.symbol == market.symbol
        ),
        ZERO,
    )
    now = venue.clock.now_ns()
    return {"openInterest": info_of(venue, market).qty(held), "symbol": market.symbol, "time": now // SECOND * 1000}


def get(path: str) -> tuple[str, str]:
    """A path without a version belongs to the first."""
    return ("GET", f"/fapi/{path}" if path.startswith("v") else f"/fapi/v1/{path}")


def _rest(name: str, handler: Any, weight: Any = 1) -> Method:
    return Method(name=name, handler=handler, weight=weight, rest=get(name), ws=False)


METHODS = [
    _rest("ping", ping),
    _rest("time", server_time),
    _rest("exchangeInfo", exchange_info),
    Method(name="depth", handler=depth, weight=_depth_weight, rest=get("depth")),
    _rest("trades", trades, 5),
    _rest("historicalTrades", historical_trades, 20),
    _rest("aggTrades", agg_trades, 20),
    _rest("klines", klines, _klines_weight),
    _rest("markPriceKlines", klines, _klines_weight),
    _rest("continuousKlines", pair_klines, _klines_weight),
    _rest("indexPriceKlines", pair_klines, _klines_weight),
    Method(name="ticker.price", handler=ticker_price, weight=_one_or_all(1, 2), rest=get("ticker/price")),
    _rest("v2/ticker/price", ticker_price, _one_or_all(1, 2)),
    Method(name="ticker.book", handler=ticker_book, weight=_one_or_all(2, 5), rest=get("ticker/bookTicker")),
    _rest("ticker/24hr", ticker_day, _one_or_all(1, 40)),
    _rest("premiumIndex", premium_index, _one_or_all(1, 10)),
    _rest("fundingRate", funding_rate),
    _rest("fundingInfo", funding_info),
    _rest("openInterest", open_interest),
]
