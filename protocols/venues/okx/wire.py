"""The venue's JSON as msgspec structs, under the venue's own field names, and how it is read.

Only what is used is declared; msgspec skips the rest without building it.  Numbers and times are JSON strings at OKX,
and "" stands for "does not apply": those stay text until somebody needs the number.  Sequence numbers are JSON
integers.  Amounts in books are decoded to Decimal by msgspec (there are hundreds in each).  Rows that are lists may
grow at their end.

A key that is null is read as if it were not there (`Reader`), whatever it is: venues write both.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

T = TypeVar("T")

SequenceID = Annotated[int, Meta(ge=-1, lt=2**62)]
Text = Annotated[str, Meta(min_length=1, max_length=64)]
"""A name that we go on to use as a key: symbols, assets, ids."""
Digits = Annotated[str, Meta(pattern=r"^[0-9]{1,16}$")]
"""A time in milliseconds."""


class Reader(Generic[T]):
    """A decoder of one type that forgives keys which are null.  Raises what `values.REFUSED` names."""

    __slots__ = ("_decoder",)

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)

    def decode(self, raw: bytes | msgspec.Raw) -> T:
        """The value; only what is refused as it stands is looked at again."""
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError:
            text = bytes(raw)
            if b"null" not in text:
                raise
            return self._decoder.decode(msgspec.json.encode(_usual(json.loads(text, parse_float=Decimal))))


def _usual(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _usual(one) for key, one in value.items() if one is not None}
    return [_usual(one) for one in value] if isinstance(value, list) else value


class Row(Struct, array_like=True, gc=False):
    """A level of a book: price, quantity, "0", number of orders."""

    price: str
    qty: Decimal
    zero: str
    orders: str


# ---- frames (sections 2.2, 6 and 7) ----------------------------------------------------------------------------


class Arg(Struct, gc=False):
    """Which topic a frame belongs to."""

    channel: str = ""
    instId: str = ""
    instType: str = ""


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
    """As it was until 2026-06-23, with the checksum of the book after it; the oldest recordings have no numbers."""

    seqId: SequenceID = -1
    prevSeqId: SequenceID = -1
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


class Candle(Struct, array_like=True, gc=False):
    """A bar; its volume in three units, and "1" once it is closed."""

    ts: Digits
    open: str
    high: str
    low: str
    close: str
    vol: str
    volCcy: str
    volCcyQuote: str
    confirm: str


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
    data: msgspec.Raw = msgspec.Raw(b"")


class TimeRow(Struct, gc=False):
    ts: Digits


class InstrumentRow(Struct, gc=False):
    """A row of the instrument list; bounds that are "" do not exist."""

    instType: str
    instId: Text
    state: str = ""
    tickSz: str = ""
    lotSz: str = ""
    minSz: str = ""
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
    upcChg: tuple[Announced, ...] = ()


class Announced(Struct, gc=False):
    """A change of a step or bound that the venue has announced."""

    param: str = ""
    newValue: str = ""
    effTime: str = ""


# ---- orders (sections 5, 6 and 8.1) ----------------------------------------------------------------------------


class AckRow(Struct, gc=False):
    """One item of the answer to a place, amend or cancel request, about an order or (`algoId`) an algo order."""

    sCode: str
    ordId: str = ""
    clOrdId: str = ""
    algoId: str = ""
    algoClOrdId: str = ""
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
    algoId: str = ""
    algoClOrdId: str = ""
    linkedAlgoOrd: LinkedAlgo | None = None
    source: str = ""
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
    reqId: str = ""
    amendResult: str = ""
    amendSource: str = ""
    code: str = ""
    msg: str = ""
    cTime: str = ""
    uTime: str = ""
    posSide: str = ""


class LinkedAlgo(Struct, gc=False):
    """Which algo order an order belongs to."""

    algoId: str = ""


class AlgoRow(Struct, gc=False):
    """An algo order, as the `orders-algo` channel and as REST show it (section 5.7)."""

    instId: Text
    algoId: Text
    side: str
    ordType: str
    state: str
    instType: str = ""
    algoClOrdId: str = ""
    ordId: str = ""
    ordIdList: tuple[str, ...] = ()
    sz: str = ""
    tgtCcy: str = ""
    posSide: str = ""
    triggerPx: str = ""
    ordPx: str = ""
    tpTriggerPx: str = ""
    tpOrdPx: str = ""
    slTriggerPx: str = ""
    slOrdPx: str = ""
    failCode: str = ""
    cTime: str = ""
    uTime: str = ""


class KindRow(Struct, gc=False):
    """What tells a row about an order from one about an algo order: that one says nothing of fills."""

    accFillSz: str | None = None
    algoId: str = ""


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
    algoId: str = ""


# ---- account (sections 8.3 and 8.4) ----------------------------------------------------------------------------


class BalanceDetail(Struct, gc=False):
    """One currency; "" does not apply in this account mode."""

    ccy: Text
    cashBal: str = ""
    availBal: str = ""
    frozenBal: str = ""
    uTime: str = ""


class ConfigRow(Struct, gc=False):
    """How the account is set up."""

    posMode: str
    acctLv: str = ""


class AccountRow(Struct, gc=False):
    details: tuple[BalanceDetail, ...] = ()
    uTime: str = ""


class PositionRow(Struct, gc=False):
    instType: str
    instId: Text
    posSide: str
    pos: str
    mgnMode: str = ""
    avgPx: str = ""
    markPx: str = ""
    liqPx: str = ""
    lever: str = ""
    upl: str = ""
    uTime: str = ""


class TriggerRow(Struct, gc=False):
    """The answer to `cancel-all-after`: 0 when it is off."""

    triggerTime: Digits
