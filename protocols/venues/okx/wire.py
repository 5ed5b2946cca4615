"""The venue's JSON as msgspec structs, under the venue's own field names.

Only what is used is declared; msgspec skips the rest without building it.  Numbers and times are JSON strings at OKX,
and "" stands for "does not apply": those stay text until somebody needs the number.  Sequence numbers are JSON
integers.  Amounts in books are decoded to Decimal by msgspec (there are hundreds in each).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

SequenceID = Annotated[int, Meta(ge=-1, lt=2**62)]
Text = Annotated[str, Meta(min_length=1, max_length=64)]
"""A name that we go on to use as a key: symbols, assets, ids."""
Digits = Annotated[str, Meta(pattern=r"^[0-9]{1,16}$")]
"""A time in milliseconds."""
Row = tuple[Decimal, Decimal, str, str]
"""Price, quantity, "0", number of orders."""


# ---- frames (sections 2.2, 6 and 7) ----------------------------------------------------------------------------


class Arg(Struct, gc=False):
    """Which topic a frame belongs to."""

    channel: str = ""
    instId: str = ""


class Frame(Struct, gc=False):
    """Any JSON frame of any connection: data of a topic, the reply to an order request, or an event."""

    arg: Arg | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    action: str = ""
    event: str = ""
    op: str = ""
    id: str | int | None = None
    code: str = ""
    msg: str = ""
    eventType: str = ""
    curPage: int = 0
    lastPage: bool = False


# ---- public data -----------------------------------------------------------------------------------------------


class BookRow(Struct, gc=False):
    """`books`: a picture (`prevSeqId` -1) or a change since `prevSeqId`.  `checksum` is not read: it is always 0."""

    bids: tuple[Row, ...]
    asks: tuple[Row, ...]
    ts: Digits
    seqId: SequenceID
    prevSeqId: SequenceID


class CheckedBookRow(BookRow, gc=False):
    """As it was until 2026-06-23, with the checksum of the book after it."""

    checksum: int = 0


class SnapshotRow(Struct, gc=False):
    """`bbo-tbt`, and a book by REST: a picture without a predecessor."""

    bids: tuple[Row, ...]
    asks: tuple[Row, ...]
    ts: Digits
    seqId: SequenceID


class PublicTradeRow(Struct, gc=False):
    """`trades`: what one taker traded at one price; `tradeId` is the last of `count`."""

    instId: Text
    tradeId: Text
    px: str
    sz: str
    side: str
    ts: Digits


Candle = tuple[Digits, str, str, str, str, str, str, str, str]
"""Open time, open, high, low, close, volume, volume in the other two units, "1" once closed."""


class TickerRow(Struct, gc=False):
    """`tickers`, and a row of its REST answer.  `volCcy24h` counts the quote asset on spot, the base on contracts."""

    instId: Text
    last: str
    ts: Digits
    lastSz: str = ""
    askPx: str = ""
    askSz: str = ""
    bidPx: str = ""
    bidSz: str = ""
    open24h: str = ""
    high24h: str = ""
    low24h: str = ""
    vol24h: str = ""
    volCcy24h: str = ""


# ---- REST ------------------------------------------------------------------------------------------------------


class Envelope(Struct, gc=False):
    """Every REST answer: `code` "0" is success, "1" all items failed, "2" some did."""

    code: str
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")


class TimeRow(Struct, gc=False):
    ts: Digits


class InstrumentRow(Struct, gc=False):
    """A row of the instrument list; bounds that are "" do not exist."""

    instType: str
    instId: Text
    state: str
    tickSz: str
    lotSz: str
    minSz: str
    baseCcy: str = ""
    quoteCcy: str = ""
    settleCcy: str = ""
    ctVal: str = ""
    ctMult: str = ""
    ctValCcy: str = ""
    ctType: str = ""
    maxLmtSz: str = ""
    maxMktSz: str = ""
    instIdCode: Annotated[int, Meta(ge=0, lt=2**53)] | None = None


# ---- orders (sections 5, 6 and 8.1) ----------------------------------------------------------------------------


class AckRow(Struct, gc=False):
    """One item of the answer to a place, amend or cancel request."""

    sCode: str
    ordId: str = ""
    clOrdId: str = ""
    sMsg: str = ""
    subCode: str = ""
    ts: str = ""


class OrderRow(Struct, gc=False):
    """An order, as the `orders` channel and as REST show it.

    On the channel `tradeId`, `fillSz`, `fillPx`, `fillFee` and `execType` belong to this very update; in REST the same
    names mean the last fill.
    """

    instId: Text
    ordId: Text
    side: str
    ordType: str
    state: str
    sz: str
    accFillSz: str
    instType: str = ""
    clOrdId: str = ""
    algoClOrdId: str = ""
    px: str = ""
    tgtCcy: str = ""
    avgPx: str = ""
    tradeId: str = ""
    fillSz: str = ""
    fillPx: str = ""
    fillTime: str = ""
    fillFee: str = ""
    fillFeeCcy: str = ""
    fee: str = ""
    feeCcy: str = ""
    execType: str = ""
    cancelSource: str = ""
    category: str = ""
    amendResult: str = ""
    code: str = ""
    msg: str = ""
    cTime: str = ""
    uTime: str = ""
    posSide: str = ""


class FillRow(Struct, gc=False):
    """An own trade of the history.  Rows are paged by `billId`."""

    instId: Text
    tradeId: Text
    ordId: Text
    fillPx: str
    fillSz: str
    side: str
    ts: Digits
    clOrdId: str = ""
    billId: str = ""
    fee: str = ""
    feeCcy: str = ""
    execType: str = ""
    fillTime: str = ""
    posSide: str = ""


class PageRow(Struct, gc=False):
    """What is read of a row to ask for the rows before it."""

    ordId: str = ""
    billId: str = ""


# ---- account (sections 8.3 and 8.4) ----------------------------------------------------------------------------


class BalanceDetail(Struct, gc=False):
    """One currency; "" does not apply in this account mode."""

    ccy: Text
    cashBal: str = ""
    availBal: str = ""
    uTime: str = ""


class ConfigRow(Struct, gc=False):
    """How the account is set up."""

    posMode: str


class AccountRow(Struct, gc=False):
    details: tuple[BalanceDetail, ...] = ()
    uTime: str = ""


class PositionRow(Struct, gc=False):
    instType: str
    instId: Text
    posSide: str
    pos: str
    avgPx: str = ""
    markPx: str = ""
    liqPx: str = ""
    lever: str = ""
    upl: str = ""
    uTime: str = ""


class TriggerRow(Struct, gc=False):
    """The answer to `cancel-all-after`: 0 when it is off."""

    triggerTime: Digits
