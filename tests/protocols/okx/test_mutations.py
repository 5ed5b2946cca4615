"""Every recorded and documented message with one field changed: read, or refused in words, and never made up.

What a venue may do to us without notice: leave a field out, write null or "" instead, a word that we do not know, a
number where text was.  A message may then say less; what it still says must be what it said before.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.venue import HttpReply
from protocols.venues.okx import OkxPublic
from tests.protocols.okx.frames import RECEIVED_NS, codec

Json = Any
GONE = object()
CHANGES: dict[str, Any] = {
    "gone": GONE, "null": None, "empty": "", "unknown word": "zzz", "a number": 7, "an object": {"a": 1}, "a list": [],
}  # fmt: skip
LESS = ("gone", "null", "empty")
"""Changes that are three ways to say the same."""
COMPUTED = ("availBal", "frozenBal", "avgPx", "px", "fillPx", "fillSz", "tgtCcy", "ordId")
"""What other numbers are made of, or stand in for; what has a documented default; and what names the order that an algo
order made, without which it is shown itself."""
SAMPLE = 1_500
"""Of some 20,000; the seed is fixed."""
X = Symbol("X")


def messages(data_dir: Path) -> Iterator[Json]:
    """One of each kind, long ones cut."""
    folder, seen = data_dir / "okx", set()
    for path in sorted([*folder.glob("payloads/*.jsonl"), *folder.glob("ws/*"), *folder.glob("rest/*")]):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = raw.splitlines() if ".jsonl" in path.name else [raw]
        for body in (body for line in lines for body in _bodies(json.loads(line))):
            kind = json.dumps([path.name[:9], _shape(body)])
            if kind not in seen:
                seen.add(kind)
                yield _cut(body)


def _bodies(line: Json) -> Iterator[Json]:
    """The messages that one line of a file holds, whatever wraps them."""
    if "frames" in line:
        yield from (frame["json"] for frame in line["frames"] if frame["dir"] != "send")
    elif "raw" in line:
        yield from (json.loads(text) for text in [line["raw"]] if text.strip()[:1] == "{")
    else:
        yield line.get("json", line)


def _shape(body: Json) -> Json:
    """What kind of message it is."""
    if not isinstance(body, dict):
        return str(type(body))
    arg = body.get("arg")
    data = body.get("data")
    row = data[0] if isinstance(data, list) and data else None
    keys = sorted(row) if isinstance(row, dict) else type(row).__name__
    return [arg.get("channel") if isinstance(arg, dict) else "", body.get("event"), body.get("action"), keys]


def _cut(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _cut(one) for key, one in value.items()}
    return [_cut(one) for one in value[:2]] if isinstance(value, list) and len(value) != 9 else value


def places(value: Json, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(value, dict):
            yield (*at, key)
        yield from places(one, (*at, key))


def changed(body: Json, at: tuple[Any, ...], to: Any) -> Json:
    body = copy.deepcopy(body)
    inner = body
    for key in at[:-1]:
        inner = inner[key]
    if to is GONE:
        del inner[at[-1]]
    else:
        inner[at[-1]] = to
    return body


def readings(body: Json) -> list[Any]:
    """Everything that our codecs make of it, a refusal as None.  Whatever else they raise comes through."""
    raw = json.dumps(body).encode()
    reply = HttpReply(200, {}, raw, RECEIVED_NS - 1, RECEIVED_NS)
    found: list[Any] = []
    for product in (Product.SPOT, Product.LINEAR):
        public, private = OkxPublic(product), codec(product)
        reads: list[Callable[[], Any]] = [
            partial(public.decode, raw, RECEIVED_NS, 1),
            partial(private.decode_private, raw, RECEIVED_NS),
            partial(private.decode_rest_order, "1", reply),
            partial(private.decode_fills, X, reply),
            partial(public.decode_candles, X, 60_000_000_000, reply),
            partial(public.decode_snapshot, X, reply, 1),
        ]
        whole = (
            private.decode_open_orders,
            private.decode_order_status,
            private.decode_balances,
            private.decode_positions,
            private.decode_position_mode,
            private.decode_cancel_all_after,
            private.error,
            public.decode_instruments,
            public.decode_tickers,
            public.decode_time,
        )
        reads += [partial(read, reply) for read in whole]
        found += [_refused_or(read) for read in reads]
    return found


def _refused_or(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except RemoteProtocolError:
        return None


def numbers(value: Any) -> Iterator[Decimal]:
    """All amounts that a reading holds."""
    if isinstance(value, Decimal):
        yield value
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from numbers(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from numbers(one)


def test_one_changed_field_makes_nothing_up(data_dir: Path) -> None:
    bodies = [body for body in messages(data_dir) if isinstance(body, dict)]
    assert len(bodies) > 100
    cases = [(body, at, name) for body in bodies for at in places(body) for name in CHANGES]
    told = 0
    for body, at, name in random.Random(20261120).sample(cases, SAMPLE):
        before = {abs(number) for number in numbers(readings(body))}
        after = readings(changed(body, at, CHANGES[name]))
        made_up = [number for number in numbers(after) if number and abs(number) not in before]
        excepted = COMPUTED if "arg" in body else (*COMPUTED, "instType")  # by REST nothing else tells the product
        if name in LESS and not any(key in excepted for key in at):
            assert not made_up, (name, at, made_up, body)
        told += any(reading is not None for reading in after)
    assert told > SAMPLE / 2
