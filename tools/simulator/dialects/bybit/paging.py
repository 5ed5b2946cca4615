"""Pages of a list: `limit`, `cursor`, `nextPageCursor` (sections 5 and 12).

A cursor names the last row of the page before, so rows that come in meanwhile shift nothing.  It is sent
percent-encoded and taken back encoded or not, because clients differ in that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import quote, unquote

from tools.simulator.dialects.bybit.errors import bad_parameter
from tools.simulator.dialects.bybit.params import Params

Row = TypeVar("Row")


def page(
    rows: Sequence[Row], params: Params, *, default: int, most: int, token: Callable[[Row], str]
) -> tuple[list[Row], str]:
    """One page and the cursor of the next, "" after the last.  Raises 10001 for a cursor that is none."""
    limit, start = params.limit(default, most), 0
    cursor = unquote(params.text("cursor"))
    if cursor:
        after = cursor.rpartition(":")[0]
        places = [number for number, row in enumerate(rows) if token(row) == after]
        if not places:
            raise bad_parameter("cursor invalid")
        start = places[0] + 1
    chosen = list(rows[start : start + limit])
    if start + limit >= len(rows):
        return chosen, ""
    return chosen, quote(f"{token(chosen[-1])}:{start + limit}", safe="")
