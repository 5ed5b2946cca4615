"""What the same messages cost in other engines: the stream parsers of ccxt and of cryptofeed, as their users run them.

Each rival takes the raw text of a message as its socket would hand it over, decodes it, applies it to its book and
tells its reader: ccxt resolves the future that a `watch_order_book` waits for, cryptofeed awaits the callback.  Neither
opens a connection.  ccxt's `watch_order_book` also copies the book for its caller (`limit`); that is left out here.

Both are development dependencies; without one its column is left out.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Protocol

from tools.bench.recordings import Recording, Step

__all__ = ["RIVALS", "measure"]


class Rival(Protocol):
    """One parser with its own books."""

    def prepare(self, step: Step) -> None:
        """What is done before the clock starts: a reader waits."""
        ...

    async def snapshot(self, step: Step) -> None:
        """A REST snapshot has arrived."""
        ...

    async def take(self, raw: str) -> None:
        """A message of the stream has arrived."""
        ...

    def top(self, symbol: str) -> tuple[Decimal, Decimal] | None:
        """Best bid and ask, to see that it really kept a book."""
        ...

    async def close(self) -> None: ...


def measure(name: str, recording: Recording, steps: Sequence[Step]) -> list[int] | None:
    """Nanoseconds of each message after the first snapshot; None where the package is not installed."""
    if importlib.util.find_spec(name) is None:
        return None
    return asyncio.run(_measure(RIVALS[name], recording, steps))


async def _measure(make: Callable[[Recording], Rival], recording: Recording, steps: Sequence[Step]) -> list[int]:
    samples: list[int] = []
    for _ in range(recording.passes):
        rival = make(recording)
        waits_for_snapshot = any(step.snapshot_of for step in steps)
        earlier: list[str] = []
        gc.collect()
        gc.freeze()
        for step in steps:
            if step.snapshot_of is not None:
                await rival.snapshot(step)
                for raw in earlier:  # a snapshot overtakes some messages: they follow it again
                    await rival.take(raw)
                waits_for_snapshot = False
                continue
            raw = _words(recording, rival, step.raw)
            if waits_for_snapshot:
                earlier.append(raw)
                continue
            rival.prepare(step)
            began = time.perf_counter_ns()
            await rival.take(raw)
            samples.append(time.perf_counter_ns() - began)
        gc.unfreeze()
        _expect_book(rival, recording)
        await rival.close()
    return samples


def _expect_book(rival: Rival, recording: Recording) -> None:
    for symbol in _NAMES[recording.venue]:
        top = rival.top(symbol)
        if top is None or not top[0] < top[1]:
            raise RuntimeError(f"{type(rival).__name__} has no sound book of {symbol} ({recording.venue}): {top}")


def _words(recording: Recording, rival: Rival, raw: bytes) -> str:
    """The text; for ccxt, which reads Upbit's long names alone, the recorded short ones are spelled out."""
    if recording.venue != "upbit" or not isinstance(rival, _Ccxt):
        return raw.decode()
    short = json.loads(raw)
    units = [
        {"ask_price": u["ap"], "bid_price": u["bp"], "ask_size": u["as"], "bid_size": u["bs"]} for u in short["obu"]
    ]
    return json.dumps(
        {
            "type": "orderbook",
            "code": short["cd"],
            "timestamp": short["tms"],
            "total_ask_size": short["tas"],
            "total_bid_size": short["tbs"],
            "orderbook_units": units,
            "stream_type": "SNAPSHOT",
        },
        separators=(",", ":"),
    )


_NAMES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "binance-spot": {"BTCUSDT": ("BTC/USDT", "BTC-USDT")},
    "binance-usdm": {"BTCUSDT": ("BTC/USDT:USDT", "BTC-USDT-PERP")},
    "bybit-linear": {
        "BTCUSDT": ("BTC/USDT:USDT", "BTC-USDT-PERP"),
        "DOGEUSDT": ("DOGE/USDT:USDT", "DOGE-USDT-PERP"),
    },
    "bybit-spot": {"BTCUSDT": ("BTC/USDT", "BTC-USDT")},
    "okx-spot": {
        "BTC-USDT": ("BTC/USDT", "BTC-USDT"),
        "UNI-USD-SWAP": ("UNI/USD:UNI", "UNI-USD-PERP"),
        "BTC-USD-220527": ("BTC/USD:BTC-220527", "BTC-USD-22K27"),
    },
    "upbit": {
        "KRW-LAMB": ("LAMB/KRW", "LAMB-KRW"),
        "KRW-WAVES": ("WAVES/KRW", "WAVES-KRW"),
        "BTC-XTZ": ("XTZ/BTC", "XTZ-BTC"),
        "BTC-ITAM": ("ITAM/BTC", "ITAM-BTC"),
    },
}
"""The venue's name of each recorded book -> what ccxt and cryptofeed call it."""


class _Ccxt:
    """ccxt.pro: `handle_message` of the venue's class, called by its WebSocket client."""

    _CLASSES: Mapping[str, tuple[str, str]] = {
        "binance-spot": ("binance", "wss://stream.binance.com:9443/stream"),
        "binance-usdm": ("binanceusdm", "wss://fstream.binance.com/public/stream"),
        "bybit-linear": ("bybit", "wss://stream.bybit.com/v5/public/linear"),
        "bybit-spot": ("bybit", "wss://stream.bybit.com/v5/public/spot"),
        "okx-spot": ("okx", "wss://ws.okx.com/ws/v5/public"),
        "upbit": ("upbit", "wss://api.upbit.com/websocket/v1"),
    }

    def __init__(self, recording: Recording) -> None:
        import ccxt.pro

        name, url = self._CLASSES[recording.venue]
        self._exchange: Any = getattr(ccxt.pro, name)()
        self._names = {symbol: names[0] for symbol, names in _NAMES[recording.venue].items()}
        self._exchange.set_markets([self._market(symbol, unified) for symbol, unified in self._names.items()])
        self._client = self._exchange.client(url)
        prefix = {"binance-spot": "orderbook::", "binance-usdm": "orderbook::", "okx-spot": "books:"}
        self._hashes = [prefix.get(recording.venue, "orderbook:") + unified for unified in self._names.values()]
        for hash_ in self._hashes:
            self._client.subscriptions[hash_] = True

    def _market(self, symbol: str, unified: str) -> dict[str, Any]:
        pair, _, settle = unified.partition(":")
        base, quote = pair.split("/")
        kind = "spot" if not settle else "future" if "-" in settle else "swap"
        return {
            "id": symbol,
            "symbol": unified,
            "base": base,
            "quote": quote,
            "baseId": base,
            "quoteId": quote,
            "type": kind,
            "spot": kind == "spot",
            "swap": kind == "swap",
            "future": kind == "future",
            "option": False,
            "contract": kind != "spot",
            "linear": settle == quote if settle else None,
            "inverse": None if not settle else settle != quote,
        }

    def prepare(self, step: Step) -> None:
        for hash_ in self._hashes:
            self._client.future(hash_)

    async def snapshot(self, step: Step) -> None:
        assert step.snapshot_of is not None
        exchange, unified = self._exchange, self._names[step.snapshot_of]
        answer = json.loads(step.raw)
        picture = exchange.parse_order_book(answer, unified)
        picture["nonce"] = answer["lastUpdateId"]
        exchange.orderbooks[unified] = exchange.order_book(picture)

    async def take(self, raw: str) -> None:
        self._client.handle_text_or_binary_message(raw)

    def top(self, symbol: str) -> tuple[Decimal, Decimal] | None:
        book = self._exchange.orderbooks.get(self._names[symbol])
        if book is None:
            return None
        book.limit()
        return Decimal(str(book["bids"][0][0])), Decimal(str(book["asks"][0][0]))

    async def close(self) -> None:
        await self._exchange.close()


class _Cryptofeed:
    """cryptofeed: `message_handler` of the venue's feed with one book callback."""

    _CLASSES: Mapping[str, tuple[str, str, str]] = {
        "binance-spot": ("binance", "Binance", ""),
        "binance-usdm": ("binance_futures", "BinanceFutures", ""),
        "bybit-linear": ("bybit", "Bybit", "wss://stream.bybit.com/v5/public/linear"),
        "bybit-spot": ("bybit", "Bybit", "wss://stream.bybit.com/v5/public/spot"),
        "okx-spot": ("okx", "OKX", ""),
        "upbit": ("upbit", "Upbit", ""),
    }

    def __init__(self, recording: Recording) -> None:
        from cryptofeed.defines import L2_BOOK
        from cryptofeed.symbols import Symbols, str_to_symbol

        module, name, address = self._CLASSES[recording.venue]
        feed_class = getattr(importlib.import_module(f"cryptofeed.exchanges.{module}"), name)
        self._names = {symbol: names[1] for symbol, names in _NAMES[recording.venue].items()}
        spelled = {
            unified: unified.replace("-", "/") if recording.venue == "bybit-spot" else symbol
            for symbol, unified in self._names.items()
        }
        kinds = {unified: str_to_symbol(unified).type for unified in spelled}
        Symbols.set(feed_class.id, spelled, {"instrument_type": kinds})
        self._feed: Any = feed_class(
            symbols=list(spelled), channels=[L2_BOOK], callbacks={L2_BOOK: self._told}, config=_QUIET
        )
        self._connection = SimpleNamespace(address=address, uuid="bench")
        self._told_count = 0

    async def _told(self, book: object, received: float) -> None:
        self._told_count += 1

    def prepare(self, step: Step) -> None:
        return None

    async def snapshot(self, step: Step) -> None:
        from cryptofeed.types import OrderBook

        assert step.snapshot_of is not None
        feed, name = self._feed, self._names[step.snapshot_of]
        answer = json.loads(step.raw)
        sides = {side: {Decimal(p): Decimal(q) for p, q in answer[side]} for side in ("bids", "asks")}
        feed.last_update_id[name] = answer["lastUpdateId"]
        feed._l2_book[name] = OrderBook(feed.id, name, max_depth=feed.max_depth, **sides)

    async def take(self, raw: str) -> None:
        await self._feed.message_handler(raw, self._connection, 0.0)

    def top(self, symbol: str) -> tuple[Decimal, Decimal] | None:
        book = self._feed._l2_book.get(self._names[symbol])
        if book is None or not self._told_count:
            return None
        return book.book.bids.index(0)[0], book.book.asks.index(0)[0]

    async def close(self) -> None:
        await self._feed.http_conn.close()


_QUIET = {"log": {"filename": "/dev/null", "level": "ERROR", "disabled": True}}

RIVALS: Mapping[str, Callable[[Recording], Rival]] = {"ccxt": _Ccxt, "cryptofeed": _Cryptofeed}
"""By the name of the package."""
