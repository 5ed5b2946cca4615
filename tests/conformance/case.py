"""What a numbered case is, and the list of them.

    @case(204, "a part fills, the rest rests")
    async def partial_fill(desk: Desk) -> None: ...

Numbers are for ever: 1xx market data, 2xx orders, 3xx the account, 4xx what goes wrong.  A case that the venue cannot
do skips itself with the reason (`needs`).  Cases of one group share one engine; each leaves no order and no fault.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from tests.conformance.desk import Desk

CaseBody = Callable[[Desk], Awaitable[None]]


@attrs.frozen
class Case:
    number: int
    title: str
    body: CaseBody


CASES: dict[int, Case] = {}
"""By number; filled when the modules with the cases are imported."""


def case(number: int, title: str) -> Callable[[CaseBody], CaseBody]:
    """Give a case its number, once."""

    def register(body: CaseBody) -> CaseBody:
        assert number not in CASES, f"case {number} exists already: {CASES[number].title}"
        CASES[number] = Case(number, title, body)
        return body

    return register
