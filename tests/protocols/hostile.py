"""Hostile inputs for every codec: golden frames spoiled in some places, and what must hold of what they give."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import msgspec
from hypothesis import strategies as st

from protocols.errors import RemoteProtocolError

# ---- how inputs go wrong -----------------------------------------------------------------------------------------

WEIRD: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**40, 1.5, "", "x", "NaN", "sNaN1", "Infinity", "-Infinity",
    "1e999999999", "0E-999999999", "1E+999999", "-0", "-1", "1_0", " 1", "１", "9" * 100, "0." + "0" * 100 + "1",
    "é\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "\x00", [], {}, [[]], {"e": "trade"}, "TRADE",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def as_json(value: object) -> bytes:
    """Unlike msgspec, which knows no integers beyond 64 bits."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


@st.composite
def mutated_json(draw: st.DrawFn, frames: list[bytes]) -> bytes:
    """A golden frame with one to three of its values replaced, taken out, renamed or doubled."""
    whole = msgspec.json.decode(draw(st.sampled_from(frames)))
    for _ in range(draw(st.integers(1, 3))):
        node = whole
        while True:
            if not isinstance(node, dict | list) or not node:
                break
            key = draw(st.sampled_from(sorted(node))) if isinstance(node, dict) else draw(st.integers(0, len(node) - 1))
            child = node[key]
            if isinstance(child, dict | list) and child and draw(st.booleans()):
                node = child
                continue
            match draw(st.integers(0, 3)):
                case 0:
                    del node[key]
                case 1 if isinstance(node, dict):
                    node[draw(st.sampled_from([*node, "e", "id", "event", "data", "stream"]))] = node.pop(key)
                case 2 if isinstance(node, list):
                    node.append(copy.deepcopy(child))
                case _:
                    node[key] = copy.deepcopy(draw(st.sampled_from(WEIRD) | JSON))
            break
    return as_json(whole)


@st.composite
def mutated_bytes(draw: st.DrawFn, frames: list[bytes]) -> bytes:
    """A golden frame with a slice of its bytes cut, doubled or overwritten."""
    raw = draw(st.sampled_from(frames))
    start = draw(st.integers(0, len(raw)))
    end = draw(st.integers(start, min(len(raw), start + 12)))
    filling = draw(
        st.sampled_from([b"", raw[start:end] * 2, b"\xff", b"\x00", b'"', b"}", b"]", b"[" * 2000, b"9" * 400])
    )
    return raw[:start] + filling + raw[end:]


def inputs(frames: list[bytes]) -> st.SearchStrategy[bytes]:
    return mutated_json(frames) | mutated_bytes(frames) | st.binary(max_size=60) | JSON.map(as_json)


# ---- what must hold ----------------------------------------------------------------------------------------------


def check_sane(value: object) -> None:
    """No number in an event is absurd; Decimals can be written out in full, times fit 64 bits of nanoseconds."""
    if isinstance(value, Decimal):
        assert value.is_finite()
        assert abs(value) < Decimal(10) ** 22
        assert not value or abs(value) >= Decimal("1E-18")
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif attrs.has(cls := type(value)):
        for field in attrs.fields(cls):
            inner = getattr(value, field.name)
            check_sane(inner)
            if field.name.endswith("_ns"):
                assert 0 <= inner < 2**63
    elif isinstance(value, tuple | list):
        for inner in value:
            check_sane(inner)


def harmless(read: Callable[[], object]) -> bool:
    """True when `read` gives sane events or refuses; anything else that it raises comes through."""
    try:
        got = read()
    except RemoteProtocolError:
        return True
    check_sane(got)
    return True


HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "X-MBX-USED-WEIGHT-1M", "x-mbx-order-count-10s", "X-MBX-USED-WEIGHT-99999S"])
    | st.text(max_size=20),
    st.text(max_size=20) | st.integers().map(str),
    max_size=4,
)
