"""Every payload of the data folder, found by where it lies and read by what it says: any folder of that layout will do.

A payload file has one JSON value a line, or is one; whatever wraps the messages of the venue is taken off:

* `source`, `frames`: messages of one request or subscription, each with its direction; an endpoint has its method and
  path;
* `source`, `raw`: the text of one message, of which nothing but itself says what it is;
* `route`, `method`, `response`: one REST answer;
* `url`, `dir`, `json`: one message of a socket;
* anything else is the venue's own message; of a file that is one object, each member is one.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from protocols.errors import LocalProtocolError
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.venue import HttpReply, HttpRequest
from protocols.venues.binance_spot import BinanceSpotPublic
from protocols.venues.binance_usdm import BinanceUsdmPublic
from protocols.venues.okx import OkxPublic
from protocols.venues.upbit import UpbitPublic
from tests.protocols.binance_spot import frames as binance_spot
from tests.protocols.binance_usdm import frames as binance_usdm
from tests.protocols.bybit import frames as bybit
from tests.protocols.okx import frames as okx
from tests.protocols.upbit import frames as upbit

MINUTE_NS = 60_000_000_000
RECEIVED_NS = binance_spot.RECEIVED_NS
Route = tuple[str, str]
"""Method and path."""
PATTERNS = ("*/payloads/*.json", "*/payloads/*.jsonl", "*/ws/messages_*.jsonl", "*/rest/http_*.jsonl")


@attrs.frozen
class Payload:
    """One message of a venue; `route` is None for a message of a socket, and where nothing says what was asked."""

    venue: str
    source: str
    body: bytes
    route: Route | None = None


def payloads(data_dir: Path) -> Iterator[tuple[str, list[Payload]]]:
    """Each file of payloads, by its path below the folder, with all that came from the venue."""
    for pattern in PATTERNS:
        for path in sorted([*data_dir.glob(pattern), *data_dir.glob(f"{pattern}.gz")]):
            if path.parent.parent.name in CODECS:
                yield path.relative_to(data_dir).as_posix(), list(_of_file(path))


def _of_file(path: Path) -> Iterator[Payload]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    venue = path.parent.parent.name
    if ".jsonl" in path.name:
        for number, line in enumerate(raw.splitlines(), 1):
            if line.strip():
                yield from _of_line(venue, f"line {number}", line)
        return
    whole = json.loads(raw)
    if isinstance(whole, dict):
        for name, body in whole.items():
            yield Payload(venue, name, json.dumps(body).encode())
    else:
        yield Payload(venue, "all", raw)


def _of_line(venue: str, where: str, line: bytes) -> Iterator[Payload]:
    row = json.loads(line)
    if not isinstance(row, dict):
        yield Payload(venue, where, line)
    elif "frames" in row:
        route = (row.get("method", ""), row["path"]) if "path" in row else None
        for frame in row["frames"]:
            if frame["dir"] != "send":
                yield Payload(venue, row.get("source", where), json.dumps(frame["json"]).encode(), route)
    elif "raw" in row:
        if row.get("dir", "recv") == "recv":
            yield Payload(venue, row.get("source", where), row["raw"].encode())
    elif "response" in row:
        yield Payload(venue, where, json.dumps(row["response"]).encode(), (row["method"], row["route"]))
    elif "json" in row:
        if row.get("dir", "recv") == "recv":
            yield Payload(venue, where, json.dumps(row["json"]).encode())
    else:
        yield Payload(venue, where, line)


# ---- what our codecs make of it ----------------------------------------------------------------------------------

Pair = tuple[Any, Any]
CODECS: dict[str, Callable[[], tuple[Pair, ...]]] = {
    "binance_spot": lambda: ((BinanceSpotPublic(), binance_spot.codec()),),
    "binance_usdm": lambda: ((BinanceUsdmPublic(), binance_usdm.codec()),),
    "bybit": lambda: tuple((bybit.public(each), bybit.codec(each)) for each in (Product.SPOT, Product.LINEAR)),
    "okx": lambda: tuple((OkxPublic(each), okx.codec(each)) for each in (Product.SPOT, Product.LINEAR)),
    "upbit": lambda: ((UpbitPublic(), upbit.codec()),),
}
"""The public and the private codec of each product, by the venue's folder."""
FRAMES: dict[str, Any] = {
    "binance_spot": binance_spot, "binance_usdm": binance_usdm, "bybit": bybit, "okx": okx, "upbit": upbit,
}  # fmt: skip
Read = Callable[[HttpReply], Any]
STREAMS = ("decode", "decode_entry", "decode_private")


def rest_reads(pair: Pair, symbol: Symbol) -> dict[str, Read]:
    """Every decoder of REST answers that the two codecs have, by name."""
    public, private = pair
    reads: dict[str, Read] = {
        "decode_candles": lambda reply: public.decode_candles(symbol, MINUTE_NS, reply),
        "decode_snapshot": lambda reply: public.decode_snapshot(symbol, reply, 1),
        "decode_fills": lambda reply: private.decode_fills(symbol, reply),
        "decode_rest_order": lambda reply: private.decode_rest_order("1", reply),
    }
    for codec in pair:
        for name in dir(codec):
            if name.startswith("decode_") and name not in reads and name not in (*STREAMS, *_ASKED_OTHERWISE):
                reads[name] = getattr(codec, name)
    reads["error of public"], reads["error of private"] = public.error, private.error
    return reads


_ASKED_OTHERWISE = ("decode_chance", "decode_rest_cancels")
"""They take what was asked besides the answer; the venue's own tests read them."""


def stream_reads(pair: Pair) -> dict[str, Callable[[bytes], Any]]:
    """The decoders of what a socket brings."""
    public, private = pair
    return {
        "decode": lambda raw: public.decode(raw, RECEIVED_NS, 1),
        "decode_entry": lambda raw: private.decode_entry(raw, RECEIVED_NS),
        "decode_private": lambda raw: private.decode_private(raw, RECEIVED_NS),
    }


def routes(venue: str, pair: Pair) -> dict[Route, str]:
    """What is in scope: the routes that the two codecs ask, with the decoder of each."""
    public, private = pair
    kit = FRAMES[venue]
    new = kit.new_order(private.product) if venue in ("bybit", "okx") else kit.new_order()
    symbol, cl_ord_id, stamp_ns = new.symbol, kit.CL_ORD_ID, kit.STAMP_NS
    asked: list[tuple[str, Callable[[], HttpRequest]]] = [
        ("decode_time", public.time_request),
        ("decode_instruments", partial(public.instruments_request, [symbol])),
        ("decode_snapshot", partial(public.snapshot_request, symbol, 100)),
        ("decode_candles", partial(public.candles_request, symbol, MINUTE_NS, 10)),
        ("decode_tickers", partial(public.tickers_request, [symbol])),
        ("decode_order_status", partial(private.order_status_request, cl_ord_id, None, symbol, stamp_ns)),
        ("decode_open_orders", partial(private.open_orders_request, symbol, stamp_ns)),
        ("decode_fills", partial(private.fills_request, symbol, stamp_ns)),
        ("decode_balances", partial(private.balances_request, stamp_ns)),
        ("decode_rest_order", partial(private.rest_new_order, new, stamp_ns)),
        ("decode_rest_order", partial(private.rest_cancel_order, cl_ord_id, None, symbol, stamp_ns)),
    ]
    if hasattr(private, "positions_request"):
        asked.append(("decode_positions", partial(private.positions_request, stamp_ns)))
    found: dict[Route, str] = {}
    for decoder, ask in asked:
        try:
            request = ask()
        except LocalProtocolError:
            continue  # the venue has no such request
        found[request.method, request.path] = decoder
    return found
