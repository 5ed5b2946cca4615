"""What a dialect knows beyond the exchange, and how it declares it so that `core.keeper` can keep it.

Most of it can be made out again from orders and trades: that belongs into `Memory.rebuild`.  What cannot is a log (rows
that only come) or a small value.  What an order alone is about belongs into `Order.extra`, which is kept with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import attrs

from tools.simulator.core.model import Order

__all__ = ["Memory", "Remembers"]


def _nothing(refused: Sequence[Order]) -> None:
    """A dialect that has nothing to make out again."""


@attrs.define(kw_only=True)
class Memory:
    """All of one dialect's."""

    logs: dict[str, dict[Any, list[Any]]] = attrs.Factory(dict)
    """By name: lists that only grow (or lose their oldest), each under a key.  Few keys: an account, not an order."""
    values: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = attrs.Factory(dict)
    """By name: how to read and how to set something small."""
    rebuild: Callable[[Sequence[Order]], None] = _nothing
    """Called when everything else is back, with the post-only orders that were acknowledged and refused afterwards."""


@runtime_checkable
class Remembers(Protocol):
    """A dialect with a memory of its own."""

    def memory(self) -> Memory: ...
