"""The simulator's objects as plain JSON values, and back: what `core.keeper` writes into a state file.

Numbers stay exact (a Decimal is written as text), and what is an object of its own is written as a reference, so that
a thing is one thing again after it was read:

    Decimal("1.50")      {"d": "1.50"}              OrdStatus.NEW     {"e": "core.model:OrdStatus.NEW"}
    (1, 2)               {"t": [1, 2]}              an Order          {"@": ["order", "BTCUSDT", 7]}
    {"a": 1}             {"m": [["a", 1]]}          an attrs object   {"c": "core.model:Trade", "v": {...}}

Fields that have their default are left out, so that a field which is added later is not missed in older files.  Only
classes of this package are ever made from a file's words.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any

import attrs

from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.algos import Algo
from tools.simulator.core.lists import OrderList
from tools.simulator.core.model import Fill, Order

__all__ = ["Forgotten", "Unreadable", "fill_key", "key_of", "live", "made", "parts_of", "plain"]

PACKAGE = "tools.simulator."
_PLAIN = frozenset({str, int, bool, float, type(None)})
_ABSENT = object()

Resolve = Callable[[tuple[Any, ...]], Any]
"""From a reference to the object; raises Forgotten."""


class Unreadable(Exception):
    """A value that this version of the simulator cannot make sense of."""


class Forgotten(Exception):
    """A reference to something that is kept no longer."""


def fill_key(fill: Fill) -> tuple[Any, ...]:
    """A trade has two sides, which may belong to one account."""
    return ("fill", fill.trade.symbol, fill.trade.trade_id, fill.order_id)


def key_of(value: Any) -> tuple[Any, ...] | None:
    """How a thing that is kept by itself is referred to; None for a mere value."""
    if isinstance(value, Account):
        return ("account", value.name)
    if isinstance(value, Order):
        return ("order", value.symbol, value.order_id)
    if isinstance(value, Fill):
        return fill_key(value)
    if isinstance(value, Position):
        return ("position", value.account.name, value.symbol, value.side.name)
    if isinstance(value, OrderList):
        return ("list", value.list_id)
    return ("algo", value.algo_id) if isinstance(value, Algo) else None


# ---- writing ---------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """The value as JSON can say it.  Raises TypeError for a kind of object that no state file knows."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is Decimal:
        return {"d": str(value)}
    if kind is list:
        return [plain(each) for each in value]
    if kind is tuple:
        return {"t": [plain(each) for each in value]}
    if isinstance(value, dict):
        return {"m": [[plain(key), plain(each)] for key, each in value.items()]}
    if isinstance(value, set | frozenset):
        return {"s" if kind is set else "f": sorted(map(plain, value), key=str)}
    if isinstance(value, Enum):
        return {"e": f"{_name(kind)}.{value.name}"}
    key = key_of(value)
    if key is not None:
        return {"@": list(key)}
    return {"c": _name(kind), "v": parts_of(value)}


def parts_of(value: Any, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The fields of an attrs object that differ from their defaults."""
    parts = {}
    for name, default in _fields(value.__class__):
        if name not in leave_out:
            each = getattr(value, name)
            if each is not default and (type(each) is not type(default) or each != default):
                parts[name] = plain(each)
    return parts


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Name and default of each field; a default that is made anew each time is compared by what it makes."""
    if not attrs.has(kind):
        raise TypeError(f"{kind.__name__} cannot be written into a state file")
    return tuple((field.name, _default(field)) for field in attrs.fields(kind) if field.init)


def _default(field: attrs.Attribute[Any]) -> Any:
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time, a function to types
        factory: Any = field.default
        return _ABSENT if factory.takes_self else factory.factory()
    return _ABSENT if field.default is attrs.NOTHING else field.default


def _name(kind: type) -> str:
    """A class of this package, for the file."""
    if not kind.__module__.startswith(PACKAGE):
        raise TypeError(f"{kind.__module__}.{kind.__qualname__} cannot be written into a state file")
    return f"{kind.__module__.removeprefix(PACKAGE)}:{kind.__qualname__}"


# ---- reading ---------------------------------------------------------------------------------------------------


def live(value: Any, resolve: Resolve) -> Any:
    """The value as it was.  A list leaves out what refers to something forgotten.  Raises Unreadable, Forgotten."""
    if isinstance(value, list):
        found = []
        for each in value:
            try:
                found.append(live(each, resolve))
            except Forgotten:
                continue  # what a state file forgets is old, and so is what hangs on it
        return found
    if not isinstance(value, dict):
        return value
    try:
        (word, said), *more = value.items() if "c" not in value else [("c", value["c"])]
        if more:
            raise Unreadable(f"a value with {len(value)} words")
        if word == "d":
            return Decimal(said)
        if word == "t":
            return tuple(live(said, resolve))
        if word == "m":
            return {live(key, resolve): live(each, resolve) for key, each in said}
        if word in ("s", "f"):
            return (set if word == "s" else frozenset)(live(said, resolve))
        if word == "e":
            path, _, name = said.rpartition(".")
            return _kind(path)[name]
        if word == "@":
            return resolve(tuple(said))
        if word == "c":
            return made(_kind(said), value["v"], resolve)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    raise Unreadable(f"a value of kind {word!r}")


def made(kind: Any, parts: dict[str, Any], resolve: Resolve, **given: Any) -> Any:
    """An attrs object from the fields that were written, and some that are given."""
    names = {name for name, _ in _fields(kind)}
    unknown = set(parts) - names
    if unknown:
        raise Unreadable(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return kind(**{name: live(each, resolve) for name, each in parts.items()}, **given)


@cache
def _kind(path: str) -> Any:
    """A class of this package by its name; only enums and attrs classes are ever named."""
    module, _, name = path.partition(":")
    try:
        found: Any = import_module(PACKAGE + module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise Unreadable(f"no {path}") from error
    if not isinstance(found, type) or not (attrs.has(found) or issubclass(found, Enum)):
        raise Unreadable(f"{path} is nothing that is kept")
    return found
