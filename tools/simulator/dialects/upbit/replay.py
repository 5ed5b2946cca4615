"""What recorded frames mean: pictures of books, prints, and what subscribers get.

Recordings are in long names or in short ones; a subscriber gets the form that it asked for, and the recording's own
text where the two are the same. Numbers keep the text that they were recorded with.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tools.simulator.core import outside
from tools.simulator.core.book import BookSide
from tools.simulator.core.clock import MS
from tools.simulator.core.decimals import ZERO, quote_floor
from tools.simulator.core.hub import Message
from tools.simulator.core.market import Market
from tools.simulator.core.model import Trade
from tools.simulator.dialects.upbit.words import UpbitMessage, lengthen

if TYPE_CHECKING:
    from tools.simulator.dialects.upbit.venue import Upbit

# The user's own fills in a replayed market are numbered far above the recorded trades, whose ids stay theirs.
OWN_TRADE_IDS = 9_000_000_000_000_000_000
_LISTS = ("orderbook_units", "obu")


class UpbitReplay:
    """Implements `core.capture.ReplayCodec` for this venue."""

    def __init__(self, venue: Upbit) -> None:
        self._venue = venue
        self._fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._rows = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
        self._shown: dict[tuple[str, bool], dict[Decimal, Decimal]] = {}  # the last picture of each side
        for market in venue.exchange.markets.values():
            market.start_trade_ids(OWN_TRADE_IDS)

    def snapshots_taken(self) -> int:
        return sum(self._venue.snapshots.values())

    def open_book(self, symbol: str, raw: str) -> None:
        """A recorded answer of `GET /v1/orderbook`: the picture before the first one of the stream."""
        for row in self._rows.decode(raw.encode()):
            market = self._venue.exchange.markets.get(str(_value(row["market"])))
            if market is not None:
                self._picture(market, self._rows.decode(bytes(row["orderbook_units"])), _value(row["timestamp"]))

    def has_book(self, symbol: str) -> bool:
        """A picture of this market has come."""
        return symbol in self._venue.book_times

    def apply(self, raw: str, url: str = "") -> Message | None:
        """Keep the book, let users' orders trade, and hand the recorded message on."""
        text = raw.encode()
        if not text.startswith((b'{"ty":', b'{"type":', b"{")):
            return None
        fields: dict[str, Any] = self._fields.decode(text)
        kind = _value(fields.get("type", fields.get("ty", b"null")))
        code = _value(fields.get("code", fields.get("cd", b"null")))
        market = self._venue.exchange.markets.get(code) if isinstance(code, str) else None
        if not isinstance(kind, str) or market is None:
            return None
        for name in _LISTS:
            if name in fields:
                fields[name] = self._rows.decode(bytes(fields[name]))
        is_short = "ty" in fields
        event = lengthen(fields, kind.partition(".")[0]) if is_short else fields
        if kind == "orderbook" and not _value(event.get("level", b"0")):
            self._picture(market, event["orderbook_units"], _value(event["timestamp"]))
        elif kind == "trade":
            self._trade(market, event)
        message = UpbitMessage(f"{kind}:{code}", event, (is_short, text))
        self._venue.streams.recorded(message)
        return message

    def _picture(self, market: Market, units: list[dict[str, Any]], time_ms: int) -> None:
        bids = {_number(unit["bid_price"]): _number(unit["bid_size"]) for unit in units}
        asks = {_number(unit["ask_price"]): _number(unit["ask_size"]) for unit in units}
        self._show(market, market.book.bids, True, bids)
        self._show(market, market.book.asks, False, asks)
        self._venue.book_times[market.symbol] = time_ms * MS
        if not market.last_px and units:
            market.last_px = max(bids)
        outside.recorded_book_moved(self._venue.exchange, market)

    def _show(self, market: Market, side: BookSide, is_bid: bool, levels: dict[Decimal, Decimal]) -> None:
        """Only what changed is fresh liquidity: what our takers have used up stays used up."""
        levels.pop(ZERO, None)
        before = self._shown.get((market.symbol, is_bid), {})
        for price in before.keys() - levels.keys():
            side.set_displayed(price, ZERO)
        for price, qty in levels.items():
            if before.get(price) != qty:
                side.set_displayed(price, qty)
        self._shown[market.symbol, is_bid] = levels

    def _trade(self, market: Market, event: dict[str, Any]) -> None:
        price, qty = _number(event["trade_price"]), _number(event["trade_volume"])
        trade = Trade(
            symbol=market.symbol,
            trade_id=int(_value(event["sequential_id"])),
            price=price,
            qty=qty,
            quote_qty=quote_floor(price, qty),
            time_ns=_value(event["trade_timestamp"]) * MS,
            buyer_is_maker=_value(event["ask_bid"]) == "ASK",
        )
        outside.recorded_trade(self._venue.exchange, trade)
        close = _number(event["prev_closing_price"]) if "prev_closing_price" in event else ZERO
        self._venue.streams.recorded_trade(trade, trade.trade_id, close)


def _value(raw: Any) -> Any:
    return msgspec.json.decode(bytes(raw))


def _number(raw: Any) -> Decimal:
    """The number as it was written."""
    return msgspec.json.decode(bytes(raw), type=Decimal)
