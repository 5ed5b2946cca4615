"""Binance's recorded payloads, spoiled field by field: what is absent, null or unknown never becomes a wrong value.

Each field of each payload is taken out, made null, given a word of next year, and its neighbors grow by one that nobody
knows.  Then: absent and null say the same, a stranger changes nothing, and nothing but `RemoteProtocolError` is raised.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.venue import HttpReply, Reply, UnrecognizedMessage, VenueError
from protocols.venues.binance_spot import BinanceSpotPublic
from protocols.venues.binance_usdm import BinanceUsdmPublic
from tests.protocols.binance_spot.frames import RECEIVED_NS
from tests.protocols.binance_spot.frames import codec as spot_codec
from tests.protocols.binance_usdm.frames import codec as usdm_codec
from tests.protocols.hostile import check_sane

X = Symbol("X")
MINUTE_NS = 60_000_000_000
FIELDS_MAX = 120
"""Of one payload: the first rows of a list are as good as all."""
MAKERS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "binance_spot": (BinanceSpotPublic, spot_codec),
    "binance_usdm": (BinanceUsdmPublic, usdm_codec),
}
Read = Callable[[bytes], Any]


def reply(body: bytes) -> HttpReply:
    return HttpReply(200, {}, body, RECEIVED_NS, RECEIVED_NS)


def exchanges(data_dir: Path, venue: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each request or subscription of any payload file, and its messages by their direction, the last of each."""
    for path in sorted((data_dir / venue / "payloads").glob("*.jsonl*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for text in raw.splitlines():
            line = json.loads(text) if text.strip() else {}
            frames = {frame["dir"]: frame["json"] for frame in line.get("frames", ())}
            if ("response" if line.get("kind") == "endpoint" else "event") in frames:
                yield line, frames


def reader(venue: str, line: dict[str, Any], frames: dict[str, Any]) -> Read | None:
    """How a payload is decoded, each time by a codec that has seen nothing else; None: out of scope."""
    public, private = MAKERS[venue]
    if line["kind"] == "endpoint":
        return rest_reader(line["method"], line["path"].split("/", 3)[-1], public, private)
    if line["kind"] == "socket":
        return lambda raw: private().decode_entry(raw, RECEIVED_NS)
    event = frames["event"]
    if "@" in event.get("stream", ""):
        return lambda raw: public().decode(raw, RECEIVED_NS, 1)
    return lambda raw: private().decode_private(raw, RECEIVED_NS)


def rest_reader(method: str, name: str, public: Callable[[], Any], private: Callable[[], Any]) -> Read | None:
    match method, name:
        case "GET", "time":
            return lambda raw: public().decode_time(reply(raw))
        case "GET", "depth":
            return lambda raw: public().decode_snapshot(X, reply(raw), 1)
        case "GET", "klines":
            return lambda raw: public().decode_candles(X, MINUTE_NS, reply(raw))
        case "GET", "ticker/24hr":
            return lambda raw: public().decode_tickers(reply(raw))
        case "GET", "account" | "balance":
            return lambda raw: private().decode_balances(reply(raw))
        case "GET", "positionRisk":
            return lambda raw: private().decode_positions(reply(raw))
        case "GET", "order" | "openOrder" | "algoOrder":
            return lambda raw: private().decode_order_status(reply(raw))
        case "GET", "openOrders" | "allOrders" | "openAlgoOrders" | "allAlgoOrders":
            return lambda raw: private().decode_open_orders(reply(raw))
        case "GET", "myTrades" | "userTrades":
            return lambda raw: private().decode_fills(X, reply(raw))
        case "POST" | "PUT" | "DELETE", _ if "rder" in name:
            return lambda raw: private().decode_rest_order("1", reply(raw))
    return None


def fields(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all members of objects; of lists the first two rows."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield (*path, name)
            yield from fields(inner, (*path, name))
    elif isinstance(node, list):
        for number, inner in enumerate(node[:2]):
            yield from fields(inner, (*path, number))


def changed(whole: Any, path: tuple[Any, ...], change: Callable[[dict[str, Any], str], object]) -> bytes:
    """A copy of the payload in which `change` was done to the object that holds the field."""
    copy = json.loads(json.dumps(whole))
    node = copy
    for step in path[:-1]:
        node = node[step]
    change(node, path[-1])
    return json.dumps(copy).encode()


def outcome(read: Read, raw: bytes) -> object:
    """What comes of it, without the copies of the message that some events and errors keep."""
    try:
        got = read(raw)
    except RemoteProtocolError:
        return "refused"
    check_sane(got)
    return bare(got)


def bare(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(bare(each) for each in value)
    if isinstance(value, UnrecognizedMessage):
        return attrs.evolve(value, raw="")
    if isinstance(value, VenueError):
        return attrs.evolve(value, text="")
    if isinstance(value, Reply):
        error = None if value.error is None else attrs.evolve(value.error, text="")
        payload: dict[str, object] | None = None if value.payload is None else {}
        return attrs.evolve(value, error=error, payload=payload, parts=bare(value.parts))
    return value


@pytest.mark.parametrize("venue", MAKERS)
def test_every_field_of_every_payload(data_dir: Path, venue: str) -> None:
    spoiled = 0
    for line, frames in exchanges(data_dir, venue):
        read = reader(venue, line, frames)
        if read is None:
            continue
        whole = frames["response" if line["kind"] == "endpoint" else "event"]
        usual = outcome(read, json.dumps(whole).encode())
        for path in list(fields(whole))[:FIELDS_MAX]:
            where = (line["source"], path)
            absent = outcome(read, changed(whole, path, lambda node, name: node.pop(name)))
            null = outcome(read, changed(whole, path, lambda node, name: node.update({name: None})))
            assert null == absent, where
            stranger = changed(whole, path, lambda node, name: node.update({"ofNextYear": {name: [None, 1]}}))
            assert outcome(read, stranger) == usual, where
            outcome(read, changed(whole, path, lambda node, name: node.update({name: "OF_NEXT_YEAR"})))
            spoiled += 1
    assert spoiled > 500
