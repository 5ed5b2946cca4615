"""What an account owns, counted once."""

from __future__ import annotations

from decimal import Decimal

from protocols.ids import AccountID, Venue
from protocols.positions import Balance, counted_once


def money(venue: str, asset: str, total: int, at_ns: int = 1, wallet: str = "", account: str = "a") -> Balance:
    return Balance(AccountID(account), Venue(venue), asset, Decimal(total), Decimal(0), at_ns, wallet)


def test_a_wallet_that_two_venues_show_is_counted_once_by_its_newest_statement() -> None:
    spot = money("okx-spot", "USDT", 100, 1, "okx-unified")
    swap = money("okx-swap", "USDT", 90, 2, "okx-unified")
    coin = money("okx-spot", "BTC", 1, 1, "okx-unified")
    assert counted_once([swap, spot, coin]) == [swap, coin]


def test_money_of_several_accounts_and_venues_is_not_the_same() -> None:
    rows = [
        money("okx-spot", "USDT", 100, 1, "okx-unified"),
        money("okx-spot", "USDT", 100, 1, "okx-unified", "b"),
        money("bybit-spot", "USDT", 100, 1, "bybit-unified"),
        money("binance-spot", "USDT", 100),
        money("binance-usdm", "USDT", 100),
    ]
    assert counted_once(rows) == rows
