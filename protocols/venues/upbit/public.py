"""Upbit's public side: market streams and unsigned REST (reference sections 3, 4, 6 and 7).

Messages come in binary frames that hold UTF-8 JSON, in long names (DEFAULT, which we ask for) or in short ones (SIMPLE,
which recordings have), one by one or in lists: all of them are read.  A message that begins with its type is decoded,
checked and built in one pass; whatever does not fit that pass is looked at again, slowly and completely.

The venue acknowledges no subscription and ignores unknown markets in silence.  `list_subscriptions` asks what is
subscribed; its answer is the only proof that a subscription was read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import InvalidOperation
from typing import Any

import msgspec

from protocols.base import Message
from protocols.enums import Side, Source, StatsPeriod
from protocols.errors import LocalProtocolError, RemoteProtocolError, Unrecognized
from protocols.ids import Symbol, Venue
from protocols.instruments import Instrument
from protocols.market import BookSnapshot, Candle, Level, Ticker, Trade
from protocols.venue import (
    BookSequencer,
    Capabilities,
    Channel,
    Frame,
    HttpReply,
    HttpRequest,
    Limit,
    Reply,
    SessionRules,
    UnrecognizedMessage,
    Usage,
    VenueError,
)
from protocols.venues.upbit import wire
from protocols.venues.upbit.book import UpbitSequencer
from protocols.venues.upbit.encode import CANCEL_BATCH_MAX, CHANNELS, list_frame, stream_frame
from protocols.venues.upbit.endpoints import PRODUCTION, STREAM_RULES, Endpoints
from protocols.venues.upbit.errors import classify, stream_error
from protocols.venues.upbit.instruments import instruments_of
from protocols.venues.upbit.limits import DOCUMENTED, usage_of_headers
from protocols.venues.upbit.reports import iso_ns, iso_text
from protocols.venues.upbit.requests import check_success, legal_code, public_request, refusal_of
from protocols.venues.values import (
    AMOUNT_END,
    AMOUNT_MIN,
    REFUSED,
    amount_or_none,
    checked_amount,
    price_or_none,
    stamp_ns,
)

__all__ = ["CAPABILITIES", "VENUE", "UpbitPublic"]

VENUE = Venue("upbit")
CAPABILITIES = Capabilities(
    ws_order_entry=False,
    ws_logon=False,
    amends=False,  # `cancel_and_new` places another order
    amend_keeps_priority=False,
    cancel_replace=True,
    cancel_all_symbol=True,
    cancel_all_account=True,
    batch_size_max=1,
    dead_man_switch=False,
    hedge_mode=False,
    private_snapshot_on_subscribe=False,
    request_window=False,
    query_by_cl_ord_id=True,
    post_only=True,
    reduce_only=False,
    market_by_quote=True,
    cl_ord_id_reusable=False,
    ws_cancel_all=False,
    fills_from_trade_id=False,
    fills_by_time=False,
    market_buy_by_qty=False,
    cancel_batch_max=CANCEL_BATCH_MAX,
    subscriptions_add=False,
    channels=CHANNELS,
    server_time=False,
)

_S = 1_000_000_000
_MINUTE, _DAY = 60 * _S, 86_400 * _S
INTERVALS: Mapping[str, int] = {
    "1s": _S,
    **{f"{count}m": count * _MINUTE for count in (1, 3, 5, 10, 15, 30, 60, 240)},
}
"""Bars of the streams, after `candle.`."""
_REST_CANDLES: Mapping[int, str] = {
    _S: "seconds",
    **{count * _MINUTE: f"minutes/{count}" for count in (1, 3, 5, 10, 15, 30, 60, 240)},
    _DAY: "days",
    7 * _DAY: "weeks",
}
CANDLES_MAX = 200
BOOK_LEVELS = 30
_CANDLE = "candle."
_SIDES = {"BID": Side.BUY, "ASK": Side.SELL}
_DATE = re.compile(r"[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}:\d{2}:\d{2}) GMT", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class UpbitPublic:
    """`protocols.venue.PublicCodec`, `ListsSubscriptions`."""

    venue = VENUE
    capabilities: Capabilities = CAPABILITIES
    rules: SessionRules = STREAM_RULES

    def __init__(self, endpoints: Endpoints = PRODUCTION) -> None:
        self.endpoints = endpoints
        self._paths = endpoints.paths
        self._long = msgspec.json.Decoder(wire.OrderBook | wire.Trade | wire.Ticker)
        self._short = msgspec.json.Decoder(wire.SimpleOrderBook | wire.SimpleTrade | wire.SimpleTicker)
        self._long_candle = msgspec.json.Decoder(wire.Candle)
        self._short_candle = msgspec.json.Decoder(wire.SimpleCandle)
        self._list = msgspec.json.Decoder(wire.Rows)
        self._books = msgspec.json.Decoder(tuple[wire.RestOrderBook, ...])
        self._candles = msgspec.json.Decoder(tuple[wire.RestCandle, ...])
        self._tickers = msgspec.json.Decoder(tuple[wire.RestTicker, ...])
        self._markets = msgspec.json.Decoder(tuple[wire.Market, ...])

    # ---- streams -----------------------------------------------------------------------------------------------

    def stream_path(self) -> str:
        """The public socket; what it carries is said by `subscribe`."""
        return self._paths.stream

    def subscribe(self, wanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """One frame with the *whole* set: it replaces what the connection had.  Nothing acknowledges it."""
        frame = stream_frame(wanted, request_id)
        return () if frame is None else (frame,)

    def unsubscribe(self, unwanted: Sequence[tuple[Channel, Symbol]], request_id: int) -> Sequence[Frame]:
        """There is no such frame: subscribe to what remains, or close the connection when nothing does."""
        if unwanted:
            raise LocalProtocolError("Upbit has no unsubscribe; send the whole remaining set by `subscribe`")
        return ()

    def list_subscriptions(self, request_id: str) -> Frame:
        """LIST_SUBSCRIPTIONS."""
        return list_frame(request_id)

    def decode(self, raw: str | bytes, received_ns: int, connection: int) -> Sequence[Message | Reply]:
        """Events of one message.  Raises RemoteProtocolError, nothing else."""
        try:
            if isinstance(raw, str):
                raw = raw.encode()
            if raw.startswith(b'{"type":'):
                decoder: msgspec.json.Decoder[Any] = self._long
            elif raw.startswith(b'{"ty":'):
                decoder = self._short
            else:
                return self._decode_any(raw, received_ns, connection)
            try:
                event = decoder.decode(raw)
            except msgspec.ValidationError:
                return self._decode_any(raw, received_ns, connection)
            return self._build(event, raw, received_ns, connection)
        except REFUSED as error:
            raise RemoteProtocolError(f"stream message refused: {error}: {raw[:200]!r}") from error

    def _build(
        self, event: wire.AnyOrderBook | wire.AnyTrade | wire.AnyTicker, raw: bytes, received_ns: int, connection: int
    ) -> Sequence[Message]:
        if isinstance(event, wire.OrderBook | wire.SimpleOrderBook):
            if event.level:
                # Prices grouped to steps of `level`: a picture for people, not the book.
                return (_unrecognized("orderbook.level", str(event.level), raw),)
            event_ns = stamp_ns(event.timestamp)
            bids, asks = levels_of(event.orderbook_units)
            return (
                BookSnapshot(VENUE, Symbol(event.code), event.timestamp, bids, asks, received_ns, connection, event_ns),
            )
        if isinstance(event, wire.Ticker | wire.SimpleTicker):
            return (_ticker(event.code, event, received_ns, Source.STREAM),)
        side = _SIDES.get(event.ask_bid)
        if side is None:
            return (_unrecognized("trade.ask_bid", event.ask_bid, raw),)
        return (
            Trade(
                VENUE,
                Symbol(event.code),
                str(event.sequential_id),
                checked_amount(event.trade_price),
                checked_amount(event.trade_volume),
                side,
                stamp_ns(event.trade_timestamp),
                received_ns,
            ),
        )

    def _decode_any(self, raw: bytes, received_ns: int, connection: int) -> Sequence[Message | Reply]:
        """The slow and complete way: by what the message is, not by how it is written."""
        if raw.lstrip().startswith(b"["):
            return [
                event
                for one in self._list.decode(raw)
                for event in self._decode_one(bytes(one), received_ns, connection)
            ]
        return self._decode_one(raw, received_ns, connection)

    def _decode_one(self, raw: bytes, received_ns: int, connection: int) -> Sequence[Message | Reply]:
        whole = msgspec.json.decode(raw)
        if not isinstance(whole, dict):
            raise RemoteProtocolError(f"not an object: {raw[:200]!r}")
        is_long = "type" in whole
        name = whole.get("type") if is_long else whole.get("ty")
        if isinstance(name, str):
            if name in ("orderbook", "trade", "ticker"):
                event = (self._long if is_long else self._short).decode(raw)
                return self._build(event, raw, received_ns, connection)
            if name.startswith(_CANDLE):
                candle = (self._long_candle if is_long else self._short_candle).decode(raw)
                return (_candle(candle, raw, received_ns),)
            return (_unrecognized("type", name, raw),)
        reply = reply_of(whole, received_ns)
        if reply is None:
            raise RemoteProtocolError(f"neither event nor reply: {raw[:200]!r}")
        return (reply,)

    # ---- REST --------------------------------------------------------------------------------------------------

    def time_request(self) -> HttpRequest:
        """The venue has no clock to ask; the smallest of its answers carries a `Date` like every HTTP answer."""
        return public_request(self._paths.instruments, (("markets", "KRW-BTC"),), "orderbook")

    def decode_time(self, reply: HttpReply) -> int:
        """The middle of the second that the `Date` header names: right to half a second, and no request needs more."""
        check_success(reply)
        text = next((value for name, value in reply.headers.items() if name.lower() == "date"), "")
        match = _DATE.fullmatch(text.strip())
        if match is None or match.group(2) not in _MONTHS:
            raise RemoteProtocolError(f"no time in the answer: Date is {text[:60]!r}")
        day, month, year, clock = match.groups()
        return iso_ns(f"{year}-{_MONTHS.index(month) + 1:02}-{day}T{clock}", utc=True) + _S // 2

    def instruments_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """The price steps of some markets as of now, or (no symbols) the names of all markets."""
        if not symbols:
            return public_request(self._paths.markets, (("is_details", "true"),), "market")
        codes = ",".join(legal_code(symbol) for symbol in symbols)
        return public_request(self._paths.instruments, (("markets", codes),), "orderbook")

    def decode_instruments(self, reply: HttpReply) -> tuple[Sequence[Instrument], Sequence[Limit]]:
        """All markets of either answer, by the rules of the day on which it came, and the documented limits."""
        return instruments_of(VENUE, _decoded(self._markets, reply), reply.received_ns), DOCUMENTED

    def snapshot_request(self, symbol: Symbol, depth: int) -> HttpRequest:
        """`GET /v1/orderbook`, at most 30 levels."""
        count = str(min(max(depth, 1), BOOK_LEVELS))
        pairs = (("markets", str(legal_code(symbol))), ("level", "0"), ("count", count))
        return public_request(self._paths.order_book, pairs, "orderbook")

    def decode_snapshot(self, symbol: Symbol, reply: HttpReply, connection: int) -> BookSnapshot:
        """The picture as of its `timestamp`."""
        books = _decoded(self._books, reply)
        if len(books) != 1 or books[0].market != symbol:
            raise RemoteProtocolError(f"not one book of {symbol}: {reply.body[:200]!r}")
        book = books[0]
        if book.level:
            raise RemoteProtocolError(f"the book of {symbol} is grouped by {book.level}: not the book")
        event_ns = stamp_ns(book.timestamp)
        bids, asks = levels_of(book.orderbook_units)
        return BookSnapshot(VENUE, symbol, book.timestamp, bids, asks, reply.received_ns, connection, event_ns)

    def sequencer(self, symbol: Symbol) -> BookSequencer:
        """Section 6.6 for one market."""
        return UpbitSequencer()

    def candles_request(self, symbol: Symbol, interval_ns: int, limit: int, end_ns: int | None = None) -> HttpRequest:
        """`GET /v1/candles/<unit>`, one bar more than asked for, because the newest may still be open."""
        unit = _REST_CANDLES.get(interval_ns)
        if unit is None:
            raise LocalProtocolError(
                f"interval_ns was {interval_ns}, the venue has {', '.join(_REST_CANDLES.values())}"
            )
        count = min(max(limit, 1) + (end_ns is None), CANDLES_MAX)
        pairs = [("market", str(legal_code(symbol))), ("count", str(count))]
        if end_ns is not None:
            pairs.append(("to", iso_text(end_ns)))  # bars that open before then
        return public_request(f"{self._paths.candles}/{unit}", pairs, "candle")

    def decode_candles(self, symbol: Symbol, interval_ns: int, reply: HttpReply) -> Sequence[Candle]:
        """Bars that had ended when the request was sent, oldest first.  Where nobody traded there is no bar."""
        rows = _decoded(self._candles, reply)
        if any(row.market != symbol for row in rows):
            raise RemoteProtocolError(f"candles of another market than {symbol}: {reply.body[:200]!r}")
        candles = [
            Candle(
                VENUE,
                symbol,
                interval_ns,
                iso_ns(row.candle_date_time_utc, utc=True),
                checked_amount(row.opening_price),
                checked_amount(row.high_price),
                checked_amount(row.low_price),
                checked_amount(row.trade_price),
                checked_amount(row.candle_acc_trade_volume),
                closed=True,
                received_ns=reply.received_ns,
                source=Source.REST,
            )
            for row in rows
        ]
        candles.sort(key=_open_ns)
        return tuple(candle for candle in candles if candle.open_ns + interval_ns <= reply.sent_ns)

    def tickers_request(self, symbols: Sequence[Symbol]) -> HttpRequest:
        """`GET /v1/ticker` for any number of markets."""
        codes = ",".join(legal_code(symbol) for symbol in symbols)
        return public_request(self._paths.tickers, (("markets", codes),), "ticker")

    def decode_tickers(self, reply: HttpReply) -> Sequence[Ticker]:
        """One row for each market."""
        try:
            return tuple(
                _ticker(row.market, row, reply.received_ns, Source.REST) for row in _decoded(self._tickers, reply)
            )
        except REFUSED as error:
            raise RemoteProtocolError(f"tickers refused: {error}") from error

    def usage(self, reply: HttpReply) -> Sequence[Usage]:
        """What `Remaining-Req` says."""
        return usage_of_headers(reply.headers)

    def error(self, reply: HttpReply) -> VenueError | None:
        """The classified refusal; a failure inside the venue is BUSY, because nothing here changes anything."""
        refusal = refusal_of(reply, order=False)
        return None if refusal is None else classify(refusal)


def levels_of(units: Sequence[wire.Unit | wire.SimpleUnit]) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """Bids and asks of a picture, best first.  Refuses impossible numbers; an empty place (0, 0) is no level."""
    bids: list[Level] = []
    asks: list[Level] = []
    low, end = AMOUNT_MIN, AMOUNT_END
    try:
        for unit in units:
            bid, bid_qty, ask, ask_qty = unit.bid_price, unit.bid_size, unit.ask_price, unit.ask_size
            if low <= bid < end and low <= bid_qty < end:
                bids.append((bid, bid_qty))
            elif bid_qty or (bid and not low <= bid < end):
                raise RemoteProtocolError(f"impossible level: {bid} {bid_qty}")
            if low <= ask < end and low <= ask_qty < end:
                asks.append((ask, ask_qty))
            elif ask_qty or (ask and not low <= ask < end):
                raise RemoteProtocolError(f"impossible level: {ask} {ask_qty}")
    except InvalidOperation:
        raise RemoteProtocolError("a level is not a number") from None
    return tuple(bids), tuple(asks)


def reply_of(whole: Mapping[str, Any], received_ns: int) -> Reply | None:
    """What a socket says besides its streams: an error, the list of subscriptions, the answer to a text `PING`."""
    error = whole.get("error")
    if isinstance(error, dict) and error.get("name") is not None:
        refusal = stream_error(str(error["name"]), str(error.get("message", "")), received_ns)
        return Reply("", error=refusal)
    if whole.get("method", whole.get("mthd")) == "LIST_SUBSCRIPTIONS":
        ticket = whole.get("ticket", whole.get("tck"))
        listed = whole.get("result", whole.get("rslt"))
        if isinstance(ticket, str) and isinstance(listed, list):
            return Reply(ticket[:64], payload={"subscriptions": listed})
    if isinstance(whole.get("status"), str):
        return Reply("", payload={"status": whole["status"]})
    return None


def _ticker(code: str, row: wire.AnyTicker | wire.RestTicker, received_ns: int, source: Source) -> Ticker:
    """The change counts from the close of the day before; best bid and ask are not in it."""
    return Ticker(
        VENUE,
        Symbol(code),
        stamp_ns(row.timestamp),
        received_ns,
        last_px=price_or_none(row.trade_price),
        last_qty=amount_or_none(row.trade_volume),
        open_px=price_or_none(row.opening_price),
        base_px=price_or_none(row.prev_closing_price),
        high_px=price_or_none(row.high_price),
        low_px=price_or_none(row.low_price),
        volume=amount_or_none(row.acc_trade_volume_24h),
        turnover=amount_or_none(row.acc_trade_price_24h),
        period=StatsPeriod.UTC_DAY,
        source=source,
    )


def _candle(bar: wire.AnyCandle, raw: bytes, received_ns: int) -> Message:
    interval_ns = INTERVALS.get(bar.type.removeprefix(_CANDLE))
    if interval_ns is None:
        return _unrecognized("type", bar.type, raw)
    return Candle(
        VENUE,
        Symbol(bar.code),
        interval_ns,
        iso_ns(bar.candle_date_time_utc, utc=True),
        checked_amount(bar.opening_price),
        checked_amount(bar.high_price),
        checked_amount(bar.low_price),
        checked_amount(bar.trade_price),
        checked_amount(bar.candle_acc_trade_volume),
        received_ns=received_ns,
        source=Source.STREAM,
        closed=False,  # the venue never says that a bar is final: the next one does
    )


def _open_ns(candle: Candle) -> int:
    return candle.open_ns


def _decoded(decoder: msgspec.json.Decoder[Any], reply: HttpReply) -> Any:
    try:
        return decoder.decode(check_success(reply))
    except REFUSED as error:
        raise RemoteProtocolError(f"answer refused: {error}: {reply.body[:200]!r}") from error


def _unrecognized(field: str, raw: str, message: bytes) -> UnrecognizedMessage:
    return UnrecognizedMessage(VENUE, (Unrecognized(field, raw[:100]),), message[:2000].decode("utf-8", "replace"))
