"""The short names of the SIMPLE formats (section 6.10), and messages that can be framed in every format.

A message is a mapping of the venue's long names. Its values are plain values, or the untouched text of a recording.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tools.simulator.core.hub import Message
from tools.simulator.core.net import binary_frame

_COMMON = {"type": "ty", "code": "cd", "timestamp": "tms", "stream_type": "st"}
_TRADED = {
    "ask_bid": "ab",
    "prev_closing_price": "pcp",
    "change": "c",
    "change_price": "cp",
    "trade_price": "tp",
    "trade_volume": "tv",
    "trade_time": "ttm",
    "trade_timestamp": "ttms",
}
_BARS = {"opening_price": "op", "high_price": "hp", "low_price": "lp", "trade_price": "tp"}
_TICKER = (
    _COMMON
    | _TRADED
    | _BARS
    | {
        "trade_date": "tdt",
        "signed_change_price": "scp",
        "change_rate": "cr",
        "signed_change_rate": "scr",
        "acc_trade_volume": "atv",
        "acc_trade_volume_24h": "atv24h",
        "acc_trade_price": "atp",
        "acc_trade_price_24h": "atp24h",
        "acc_ask_volume": "aav",
        "acc_bid_volume": "abv",
        "highest_52_week_price": "h52wp",
        "highest_52_week_date": "h52wdt",
        "lowest_52_week_price": "l52wp",
        "lowest_52_week_date": "l52wdt",
        "market_state": "ms",
        "is_trading_suspended": "its",
        "market_warning": "mw",
        "delisting_date": "dd",
    }
)
_TRADE = (
    _COMMON
    | _TRADED
    | {
        "trade_date": "td",
        "sequential_id": "sid",
        "best_ask_price": "bap",
        "best_ask_size": "bas",
        "best_bid_price": "bbp",
        "best_bid_size": "bbs",
    }
)
_ORDERBOOK = _COMMON | {
    "total_ask_size": "tas",
    "total_bid_size": "tbs",
    "orderbook_units": "obu",
    "level": "lv",
    # inside the units
    "ask_price": "ap",
    "bid_price": "bp",
    "ask_size": "as",
    "bid_size": "bs",
}
_CANDLE = (
    _COMMON
    | _BARS
    | {
        "candle_date_time_utc": "cdttmu",
        "candle_date_time_kst": "cdttmk",
        "candle_acc_trade_volume": "catv",
        "candle_acc_trade_price": "catp",
    }
)
_MY_ORDER = _COMMON | {
    "uuid": "uid",
    "ask_bid": "ab",
    "order_type": "ot",
    "state": "s",
    "trade_uuid": "tuid",
    "price": "p",
    "avg_price": "ap",
    "volume": "v",
    "remaining_volume": "rv",
    "executed_volume": "ev",
    "trades_count": "tc",
    "reserved_fee": "rsf",
    "remaining_fee": "rmf",
    "paid_fee": "pf",
    "locked": "l",
    "executed_funds": "ef",
    "time_in_force": "tif",
    "trade_fee": "tf",
    "is_maker": "im",
    "identifier": "id",
    "smp_type": "smpt",
    "prevented_volume": "pv",
    "prevented_locked": "pl",
    "trade_timestamp": "ttms",
    "order_timestamp": "otms",
}
_MY_ASSET = _COMMON | {
    "asset_uuid": "astuid",
    "assets": "ast",
    "asset_timestamp": "asttms",
    # inside the assets
    "currency": "cu",
    "balance": "b",
    "locked": "l",
}
_LISTED = {"method": "mthd", "result": "rslt", "ticket": "tck", "type": "ty", "codes": "cds", "level": "lv"}
_WORDS = {
    "ticker": _TICKER,
    "trade": _TRADE,
    "orderbook": _ORDERBOOK,
    "candle": _CANDLE,
    "myOrder": _MY_ORDER,
    "myAsset": _MY_ASSET,
    "LIST_SUBSCRIPTIONS": _LISTED,
}
_LONG = {kind: {short: long for long, short in words.items()} for kind, words in _WORDS.items()}
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode(value: Any) -> bytes:
    """JSON with decimals as bare numbers, which is how streams and public requests write them."""
    return _ENCODER.encode(value)


def shorten(event: dict[str, Any], kind: str) -> dict[str, Any]:
    """The same message in short names; names without a short form stay."""
    return _renamed(event, _WORDS[kind])


def lengthen(event: dict[str, Any], kind: str) -> dict[str, Any]:
    """The same message in long names."""
    return _renamed(event, _LONG[kind])


def _renamed(event: dict[str, Any], words: dict[str, str]) -> dict[str, Any]:
    return {
        words.get(name, name): [_renamed(one, words) for one in value]
        if isinstance(value, list) and value and isinstance(value[0], dict)
        else value
        for name, value in event.items()
    }


class Form:
    """How one request wants its messages: long or short names, one by one or in lists."""

    __slots__ = ("listed", "short")

    def __init__(self, name: str = "DEFAULT") -> None:
        self.short = name in ("SIMPLE", "SIMPLE_LIST")
        self.listed = name in ("JSON_LIST", "SIMPLE_LIST")

    def text(self, event: dict[str, Any], kind: str) -> bytes:
        """The message as JSON in this form."""
        body = encode(shorten(event, kind) if self.short else event)
        return b"[%b]" % body if self.listed else body


FORMS = {name: Form(name) for name in ("DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST")}


class UpbitMessage(Message):
    """One public message, framed once for each form and depth that somebody wants."""

    __slots__ = ("_frames", "event", "kind", "recorded")

    def __init__(self, stream: str, event: dict[str, Any], recorded: tuple[bool, bytes] | None = None) -> None:
        super().__init__(stream, b"", ids=None)
        self.event = event
        self.kind = stream.partition(":")[0].partition(".")[0]
        self.recorded = recorded  # whether a recording wrote it short, and its own text
        self._frames: dict[tuple[Form, int], bytes] = {}

    def frame(self, form: Form, depth: int = 0) -> bytes:
        """A binary frame; `depth` cuts a book to so many lines, 0 leaves it as it is."""
        found = self._frames.get((form, depth))
        if found is None:
            found = self._frames[form, depth] = binary_frame(self._text(form, depth))
        return found

    def _text(self, form: Form, depth: int) -> bytes:
        event, units = self.event, self.event.get("orderbook_units")
        if depth and units is not None and len(units) > depth:
            return form.text({**event, "orderbook_units": units[:depth]}, self.kind)
        if self.recorded is not None and self.recorded[0] is form.short:
            return b"[%b]" % self.recorded[1] if form.listed else self.recorded[1]
        return form.text(event, self.kind)
