"""Balances: the newest statement wins, whatever order they come in."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.account.balances import Balances
from protocols.errors import InvariantViolation
from protocols.positions import Balance, BalancesChanged
from tests.actors.account.venue import ACCOUNT, VENUE


def balance(asset: str, free: int, at: int, locked: int = 0) -> Balance:
    return Balance(ACCOUNT, VENUE, asset, Decimal(free), Decimal(locked), at)


def changed(*balances: Balance, complete: bool = False, at: int = 0) -> BalancesChanged:
    return BalancesChanged(ACCOUNT, VENUE, balances, complete, at or max((b.updated_ns for b in balances), default=0))


def totals(balances: Balances) -> dict[str, int]:
    return {each.asset: int(each.total) for each in balances}


def test_the_newest_statement_of_each_asset_wins() -> None:
    balances = Balances()
    balances.apply(changed(balance("BTC", 5, 10), balance("USDT", 100, 10, locked=5)))
    balances.apply(changed(balance("BTC", 7, 9)))
    assert totals(balances) == {"BTC": 5, "USDT": 105}
    balances.apply(changed(balance("BTC", 7, 11)))
    assert totals(balances) == {"BTC": 7, "USDT": 105}
    balances.apply(changed(balance("BTC", 8, 11)))
    assert totals(balances)["BTC"] == 8, "of two at one time the later one to come"
    balances.check()


def test_a_complete_statement_removes_what_it_does_not_name_unless_that_is_newer() -> None:
    balances = Balances()
    balances.apply(changed(balance("BTC", 5, 10), balance("ETH", 1, 30)))
    balances.apply(changed(balance("USDT", 100, 20), complete=True, at=20))
    assert totals(balances) == {"ETH": 1, "USDT": 100}


def test_what_is_news() -> None:
    balances = Balances()
    first = changed(balance("BTC", 5, 10))
    assert balances.has_news(first)
    balances.apply(first)
    assert not balances.has_news(first), "a duplicate"
    assert not balances.has_news(changed(balance("BTC", 6, 9))), "an old one"
    assert balances.has_news(changed(balance("BTC", 5, 11))), "its time keeps older ones out"
    assert not balances.has_news(changed(balance("BTC", 5, 20), complete=True)), "an answer that repeats what we know"
    assert not balances.has_news(changed(balance("BTC", 6, 9), complete=True)), "an answer overtaken by the stream"
    assert balances.has_news(changed(balance("BTC", 6, 20), complete=True))
    assert balances.has_news(changed(balance("BTC", 5, 20), balance("ETH", 1, 20), complete=True))
    assert balances.has_news(changed(complete=True, at=20)), "everything has gone"


@pytest.mark.parametrize(
    "wrong",
    [
        balance("ETH", 1, 1),
        balance("BTC", 1, 1, locked=-1),
        Balance(ACCOUNT, VENUE, "BTC", Decimal("NaN"), Decimal(0), 1),
    ],
    ids=["filed wrongly", "negative", "not a number"],
)
def test_an_impossible_balance_is_noticed(wrong: Balance) -> None:
    balances = Balances()
    balances.by_asset["BTC"] = wrong
    with pytest.raises(InvariantViolation, match="BTC"):
        balances.check()
