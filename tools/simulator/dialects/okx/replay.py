"""What recorded OKX frames mean: book, prints, and what subscribers get.

Recordings from before the sequence numbers have none in their books, but a checksum. So that they can be played to a
client of today, each book row gets `seqId` and `prevSeqId` as the venue numbers them now, and nothing else is changed:
all digits and the recorded checksum stay. A client that asks for another book channel than the one recorded gets the
recorded frames under that name, and best prices are derived where none were recorded.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tools.simulator.core import outside
from tools.simulator.core.clock import MS
from tools.simulator.core.hub import Message
from tools.simulator.core.live import FeedBroken
from tools.simulator.core.market import Market
from tools.simulator.core.model import Side, Trade
from tools.simulator.dialects.okx.depth import CHANNELS, NO_PREDECESSOR
from tools.simulator.dialects.okx.streams import SNAPSHOT_CHANNELS, frame, stream_of
from tools.simulator.dialects.okx.text import digits, ms

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue

OWN_TRADE_IDS = 9_000_000_000_000
"""The users' own fills are numbered far above the recorded trades, whose ids stay theirs."""
FIRST_SEQ_ID = 1_000
_ROW_END = re.compile(r"\}\]\}\s*$")


class _Arg(msgspec.Struct):
    channel: str = ""
    instId: str = ""


class _Frame(msgspec.Struct):
    arg: _Arg | None = None
    event: str = ""
    action: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")


class _Book(msgspec.Struct):
    bids: list[list[str]]
    asks: list[list[str]]
    ts: str
    checksum: int = 0
    seqId: int | None = None
    prevSeqId: int | None = None


class _Trade(msgspec.Struct):
    instId: str
    tradeId: str
    px: str
    sz: str
    side: str
    ts: str


class OkxReplay:
    """Implements `core.capture.ReplayCodec` for this venue."""

    def __init__(self, venue: OkxVenue) -> None:
        self._venue = venue
        self.strict = False
        """A gap breaks it: a live market must be begun anew, a recording is as it is."""
        self._frames = msgspec.json.Decoder(_Frame)
        self._books = msgspec.json.Decoder(list[_Book])
        self._trades = msgspec.json.Decoder(list[_Trade])
        self._seq_ids: dict[str, int] = {}
        self._checksums: dict[str, int] = {}
        self._recorded: dict[str, str] = {}  # instrument -> the book channel that feeds it
        self._pictured: set[str] = set()  # instruments whose best prices are recorded
        self._opened: set[str] = set()

    def snapshots_taken(self) -> int:
        return sum(self._venue.snapshots.values())

    def has_book(self, symbol: str) -> bool:
        """Has it been pictured?"""
        return symbol in self._opened

    def forget_numbers(self) -> None:
        """A live stream begins anew: its pictures come with their own numbers."""
        self._seq_ids.clear()

    def seq_id(self, symbol: str) -> int:
        """Up to where the book has been told."""
        return self._seq_ids.get(symbol, 0)

    def open_book(self, symbol: str, raw: str) -> None:
        """An answer of `GET /api/v5/market/books`."""
        (book,) = self._books.decode(msgspec.json.decode(raw, type=_Frame).data)
        self._replace(self._venue.exchange.markets[symbol], book)
        self._seq_ids[symbol] = book.seqId or FIRST_SEQ_ID

    def apply(self, raw: str, url: str = "") -> Message | None:
        """Keep the book, let users' orders trade, and hand the recorded text on."""
        if not raw.startswith("{"):
            return None  # a pong
        record = self._frames.decode(raw)
        if record.event or record.arg is None or not record.arg.instId:
            return None
        channel, symbol = record.arg.channel, record.arg.instId
        market = self._venue.exchange.markets.get(symbol)
        if market is None:
            return None
        if channel in CHANNELS:
            return self._apply_book(market, channel, record, raw)
        if channel == "trades":
            self._apply_trades(market, record)
        elif channel in SNAPSHOT_CHANNELS:
            self._pictured.add(symbol)
        return Message(stream_of(channel, symbol), raw.encode())

    # ------------------------------------------------------------------------------------------- books
    def _apply_book(self, market: Market, channel: str, record: _Frame, raw: str) -> Message:
        """The book of an instrument is kept by the channel that spoke of it first."""
        symbol = market.symbol
        (book,) = self._books.decode(record.data)
        if self._recorded.setdefault(symbol, channel) != channel:
            return Message(stream_of(channel, symbol), raw.encode())
        if record.action == "snapshot":
            self._replace(market, book)
        else:
            if book.prevSeqId is not None:
                self._prove(symbol, book.prevSeqId)
            for side, levels in ((market.book.bids, book.bids), (market.book.asks, book.asks)):
                for price, qty, *_ in levels:
                    side.set_displayed(Decimal(price), Decimal(qty))
        text, previous, last = self._numbered(symbol, book, raw, first=record.action == "snapshot")
        self._checksums[symbol] = book.checksum
        ids = None if record.action == "snapshot" else (previous, last)
        if market.open_orders:
            outside.recorded_book_moved(self._venue.exchange, market)
        self._derive(market)
        return self._under_wanted_name(channel, symbol, text, ids)

    def _prove(self, symbol: str, previous: int) -> None:
        """Raises FeedBroken for an update of a live stream that does not follow the one before."""
        reached = self._seq_ids.get(symbol)
        if self.strict and previous != reached:
            raise FeedBroken(f"{symbol}: an update follows {previous}, the book is at {reached}")

    def _replace(self, market: Market, book: _Book) -> None:
        for side, levels in ((market.book.bids, book.bids), (market.book.asks, book.asks)):
            side.clear_displayed()
            for price, qty, *_ in levels:
                side.set_displayed(Decimal(price), Decimal(qty))
        if market.symbol not in self._opened:
            self._opened.add(market.symbol)
            market.start_trade_ids(OWN_TRADE_IDS)
        top = market.top()
        if not market.last_px and top.bid is not None:
            market.last_px = top.bid

    def _numbered(self, symbol: str, book: _Book, raw: str, *, first: bool) -> tuple[str, int, int]:
        """The frame with sequence numbers: its own, or where it has none the next ones."""
        if book.seqId is not None and book.prevSeqId is not None:
            self._seq_ids[symbol] = book.seqId
            return raw, book.prevSeqId, book.seqId
        previous = self._seq_ids.get(symbol, FIRST_SEQ_ID)
        last = self._seq_ids[symbol] = previous + 1
        told = NO_PREDECESSOR if first else previous
        text = _ROW_END.sub(f',"prevSeqId":{told},"seqId":{last}}}]}}', raw)
        return text, told, last

    def _under_wanted_name(self, channel: str, symbol: str, text: str, ids: tuple[int, int] | None) -> Message:
        """Books of 400 levels are equal but for their pace: whoever asks for another of them gets this one."""
        hub = self._venue.hub
        recorded = Message(stream_of(channel, symbol), text.encode(), ids=ids)
        for other in CHANNELS:
            stream = stream_of(other, symbol)
            if other != channel and hub.wanted(stream):
                renamed = text.replace(f'"channel":"{channel}"', f'"channel":"{other}"', 1)
                message = Message(stream, renamed.encode(), ids=ids)
                if not hub.wanted(recorded.stream):
                    return message
                hub.publish(message)
        return recorded

    def _derive(self, market: Market) -> None:
        if market.symbol not in self._pictured:
            self._venue.streams.best_prices(market, self.seq_id(market.symbol))
            self._venue.streams.five_levels(market)

    def picture(self, channel: str, market: Market) -> bytes | None:
        """For who subscribes in the middle: the book as the recording has it, with its digits and its checksum."""
        symbol = market.symbol
        if symbol not in self._opened:
            return None
        row: dict[str, Any] = {
            "asks": _rows(market, Side.SELL),
            "bids": _rows(market, Side.BUY),
            "ts": ms(market.time_ns(self._venue.clock.now_ns())),
            "checksum": self._checksums.get(symbol, 0),
            "prevSeqId": NO_PREDECESSOR,
            "seqId": self.seq_id(symbol),
        }
        return frame(channel, symbol, [row], action="snapshot")

    # ------------------------------------------------------------------------------------------- trades
    def _apply_trades(self, market: Market, record: _Frame) -> None:
        for one in self._trades.decode(record.data):
            price, qty = Decimal(one.px), Decimal(one.sz)
            trade = Trade(
                symbol=market.symbol,
                trade_id=int(one.tradeId),
                price=price,
                qty=qty,
                quote_qty=market.spec.amount(price, qty),
                time_ns=int(one.ts) * MS,
                buyer_is_maker=one.side == "sell",
            )
            outside.recorded_trade(self._venue.exchange, trade)


def _rows(market: Market, side: Side) -> list[list[str]]:
    return [[digits(price), digits(qty), "0", "1"] for price, qty in market.depth(side, 400)]
