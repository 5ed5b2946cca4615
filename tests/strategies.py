"""Hypothesis strategies for the domain, derived from the types: any message, any record, what they are made of.

    @given(values_of(ExecutionReport))
    @given(records)

They stay inside what the types promise (finite Decimals, times that fit 63 bits, text without lone surrogates) and go
to its borders: exponents that must survive, flags in every combination, empty and hostile text.  A new field or a new
record kind is covered as soon as it exists; a field of a type that is not known here is a KeyError, never a guess.
"""

from __future__ import annotations

import enum
import functools
import types
import typing
from decimal import Decimal
from typing import Any, TypeVar

import attrs
from hypothesis import strategies as st

from protocols.base import Message
from protocols.enums import ExecInst
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.journal import Record

T = TypeVar("T")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Any text that UTF-8 can carry."""
words = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./", min_size=1, max_size=16)
integers = st.integers(min_value=0, max_value=2**63 - 1)
decimals = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12),
    st.builds(
        lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
        st.sampled_from([0, 1]),
        st.integers(min_value=0, max_value=10**28 - 1),
        st.integers(min_value=-30, max_value=12),
    ),
)
"""Finite, with their exponents: 1, 1.0, 1E+3 and -0.00 are four different texts."""
cl_ord_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=32).map(ClOrdID)

_LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: integers,
    bool: st.booleans(),
    Decimal: decimals,
    type(None): st.none(),
    ClOrdID: cl_ord_ids,
    ExecInst: st.sampled_from([ExecInst(number) for number in range(8)]),
    **dict.fromkeys([OrderID, TradeID, Venue, AccountID, StrategyID, Symbol], words),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type that our messages use: attrs class, enum, tuple of one type, union, or a leaf."""
    return _values_of(kind)


@functools.cache
def _values_of(kind: Any) -> st.SearchStrategy[Any]:
    if kind in _LEAVES:
        return _LEAVES[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([values_of(argument) for argument in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(list(kind))
    if attrs.has(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{field.name: values_of(hints[field.name]) for field in attrs.fields(kind)})
    raise KeyError(f"no strategy for {kind}; add one to tests/strategies.py")


RECORD_KINDS: tuple[type[Message], ...] = typing.get_args(Record)
records: st.SearchStrategy[Record] = st.one_of([values_of(kind) for kind in RECORD_KINDS])
"""Records of every kind."""
