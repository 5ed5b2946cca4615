"""More bars than one request brings: back from the newest, page by page, until there are enough or the venue has none.

Bounded: `pages_needed` says beforehand how many requests it takes, and nobody may ask for more than `PAGES_MAX`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from protocols.market import Candle

PAGES_MAX = 64
"""Requests for one answer."""

Page = Callable[[int, int | None], Awaitable[object]]
"""Asks for the last bars, so many at most, that open before a time (None: the newest); a tuple of `Candle`, oldest
first, or a refusal."""


def pages_needed(rows: int, page: int) -> int:
    """Requests that it takes to get `rows` bars."""
    return -(-rows // page)


async def fetch_pages(ask: Page, rows: int) -> object:
    """The newest `rows` closed bars, oldest first; fewer when the venue has fewer.

    The first refusal of a page is the whole answer: a part of what was asked for would look like all that there is.
    """
    found: list[Candle] = []
    end_ns: int | None = None
    for _ in range(PAGES_MAX):
        page = await ask(rows - len(found), end_ns)
        if not isinstance(page, tuple):
            return page
        older = [bar for bar in page if end_ns is None or bar.open_ns < end_ns]
        if not older:
            break
        found[:0] = older
        end_ns = older[0].open_ns
        if len(found) >= rows:
            break
    return tuple(found[-rows:])
