"""Identifiers.

`ClOrdID` is made once, by us, and is unique for ever.  Its text is legal on every venue (letters and digits, at
most 32) and says who made it::

    b aa sss rrrrrrr iii nnnnnn
    | |  |   |       |   counter of this incarnation
    | |  |   |       incarnation (epoch) of the strategy
    | |  |   run: seconds of the process start, never reused (the journal keeps the last one)
    | |  strategy code
    | account code

All fields are base 36 in fixed width, so ids sort by age within a strategy and can be taken apart again
(`parse_cl_ord_id`).  The codes come from the names by CRC-32; configuration refuses two names with one code.
"""

from __future__ import annotations

import binascii
import re
from typing import NewType

import attrs

Path = str
"""Address of an actor, e.g. `/accounts/master/binance-spot/account`; it survives restarts."""

ClOrdID = NewType("ClOrdID", str)
OrderID = NewType("OrderID", str)
TradeID = NewType("TradeID", str)
Venue = NewType("Venue", str)
AccountID = NewType("AccountID", str)
StrategyID = NewType("StrategyID", str)
Symbol = NewType("Symbol", str)

MANUAL = StrategyID("MANUAL")
"""Owner of what the venue holds and none of our strategies explains."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ACCOUNT_WIDTH, _STRATEGY_WIDTH, _RUN_WIDTH, _EPOCH_WIDTH, _COUNT_WIDTH = 2, 3, 7, 3, 6
_PAIRS = tuple(first + second for first in _DIGITS for second in _DIGITS)
_PAIR = len(_PAIRS)
_AMEND_REQUEST = re.compile(r"[0-9]+x+[0-9]+a([0-9]{1,9})", re.ASCII)
_CL_ORD_ID = re.compile(r"b([0-9a-z]{2})([0-9a-z]{3})([0-9a-z]{7})([0-9a-z]{3})([0-9a-z]{6})")


def base36(number: int, width: int) -> str:
    """`number` in base 36, exactly `width` digits; ValueError when it does not fit."""
    if number < 0:
        raise ValueError(f"number must not be negative, was {number}")
    digits = ""
    rest = number
    while rest:
        rest, digit = divmod(rest, 36)
        digits = _DIGITS[digit] + digits
    if len(digits) > width:
        raise ValueError(f"{number} does not fit into {width} base-36 digits")
    return digits.rjust(width, "0")


def account_code(account: str) -> str:
    """Two characters that stand for an account inside a ClOrdID."""
    return base36(binascii.crc32(account.encode()) % 36**_ACCOUNT_WIDTH, _ACCOUNT_WIDTH)


def strategy_code(strategy: str) -> str:
    """Three characters that stand for a strategy inside a ClOrdID."""
    return base36(binascii.crc32(strategy.encode()) % 36**_STRATEGY_WIDTH, _STRATEGY_WIDTH)


def amend_request_id(request_id: str, number: int) -> str:
    """The id of a request that is an order's amend of this number, made of an id that no other request has.

    A venue that acknowledges an amend and refuses it later gives this id back, and says by it which amend it means.
    """
    return f"{request_id}a{number}"


def amend_number(request_id: str) -> int | None:
    """The number inside an id of `amend_request_id`; None for anything else."""
    found = _AMEND_REQUEST.fullmatch(request_id)
    return int(found[1]) if found is not None else None


class ClOrdIDs:
    """The only maker of ClOrdIDs: one instance per incarnation of a strategy (or of the operator's console)."""

    __slots__ = ("_count", "_prefix")

    def __init__(self, account: str, strategy: str, run: int, epoch: int) -> None:
        self._prefix = (
            "b"
            + account_code(account)
            + strategy_code(strategy)
            + base36(run, _RUN_WIDTH)
            + base36(epoch, _EPOCH_WIDTH)
        )
        self._count = 0

    def next(self) -> ClOrdID:
        """The next id; never the same twice."""
        count = self._count = self._count + 1
        # `base36(count, 6)` by pairs of digits: this is on the way of every order.
        high, rest = divmod(count, _PAIR * _PAIR)
        if high >= _PAIR:
            raise ValueError(f"id number {count} of one incarnation does not fit into {_COUNT_WIDTH} base-36 digits")
        return ClOrdID(self._prefix + _PAIRS[high] + _PAIRS[rest // _PAIR] + _PAIRS[rest % _PAIR])


@attrs.frozen
class ClOrdIDParts:
    """A ClOrdID taken apart."""

    account_code: str
    strategy_code: str
    run: int
    epoch: int
    count: int


def parse_cl_ord_id(text: str) -> ClOrdIDParts | None:
    """The parts of an id that we made, or None for somebody else's."""
    match = _CL_ORD_ID.fullmatch(text)
    if match is None:
        return None
    account, strategy, run, epoch, count = match.groups()
    return ClOrdIDParts(account, strategy, int(run, 36), int(epoch, 36), int(count, 36))
