"""Accounts, their balances and their API keys.

A balance is two numbers, free and locked. Every change goes through the four verbs below, each of which
refuses to make a number negative: a bug in the exchange stops it at once instead of printing money.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import Fill, MarginMode, Order, PositionSide


class KeyKind(Enum):
    HMAC = "HMAC"
    ED25519 = "ED25519"
    RSA = "RSA"


@attrs.define(eq=False)
class ApiKey:
    """One key of one account. `secret` is the HMAC secret or the PEM text of a public key."""

    api_key: str
    kind: KeyKind
    secret: str = attrs.field(repr=False)
    account: Account
    can_trade: bool = True
    passphrase: str = attrs.field(default="", repr=False)  # some venues ask for one; Binance does not
    enabled: bool = True


@attrs.define
class Balance:
    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


@attrs.define(eq=False, slots=True, kw_only=True)
class Position:
    """One position of one account in a linear market.  Quantities are in what orders count, signed."""

    account: Account
    symbol: str
    side: PositionSide
    qty: Decimal = ZERO  # negative: short, on the SHORT side too
    entry_px: Decimal = ZERO  # average; zero when flat
    realized: Decimal = ZERO  # profit of closed parts before commission, over all time
    opened_realized: Decimal = ZERO  # the same since it was last flat
    fees: Decimal = ZERO  # paid since it was last flat
    funding: Decimal = ZERO  # received (negative: paid) since it was last flat
    isolated_wallet: Decimal = ZERO  # margin set apart, isolated only
    opened_ns: int = 0
    update_ns: int = 0

    @property
    def is_long(self) -> bool:
        return self.qty > 0


@attrs.define(kw_only=True)
class MarginSettings:
    """How one account holds one symbol."""

    leverage: Decimal = Decimal(20)
    mode: MarginMode = MarginMode.CROSS


@attrs.define(eq=False, kw_only=True)
class Account:
    """One trading account: money, orders, fills, and positions where the venue has contracts."""

    name: str
    uid: int
    balances: dict[str, Balance] = attrs.Factory(dict)
    maker_rate: Decimal = Decimal("0.001")
    taker_rate: Decimal = Decimal("0.001")
    rates: dict[str, tuple[Decimal, Decimal]] = attrs.Factory(dict)  # category -> maker, taker, where it has its own
    trade_group: int = -1
    can_trade: bool = True
    orders: list[Order] = attrs.Factory(list)
    open_orders: dict[tuple[str, int], Order] = attrs.Factory(dict)  # (symbol, order id)
    fills: dict[str, list[Fill]] = attrs.Factory(dict)  # by symbol, oldest first
    positions: dict[tuple[str, PositionSide], Position] = attrs.Factory(dict)  # flat ones are kept
    settings: dict[str, MarginSettings] = attrs.Factory(dict)  # by symbol
    hedge: bool = False  # two positions a symbol
    default_leverage: Decimal = Decimal(20)
    update_ns: int = 0

    def rate(self, category: str, *, maker: bool) -> Decimal:
        """The commission rate in a category of instruments."""
        makers, takers = self.rates.get(category, (self.maker_rate, self.taker_rate))
        return makers if maker else takers

    def position(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Position:
        """The position, made flat where there is none yet."""
        found = self.positions.get((symbol, side))
        if found is None:
            found = self.positions[symbol, side] = Position(account=self, symbol=symbol, side=side)
        return found

    def margin(self, symbol: str) -> MarginSettings:
        found = self.settings.get(symbol)
        if found is None:
            found = self.settings[symbol] = MarginSettings(leverage=self.default_leverage)
        return found

    def balance(self, asset: str) -> Balance:
        found = self.balances.get(asset)
        if found is None:
            found = self.balances[asset] = Balance()
        return found

    def lock(self, asset: str, amount: Decimal) -> bool:
        """Reserve; False (and nothing done) where the free balance does not suffice."""
        balance = self.balance(asset)
        if balance.free < amount:
            return False
        balance.free -= amount
        balance.locked += amount
        return True

    def unlock(self, asset: str, amount: Decimal) -> None:
        """Give a reservation back."""
        balance = self.balance(asset)
        if balance.locked < amount:
            raise AssertionError(f"{self.name}: unlock {amount} {asset} of {balance.locked} locked")
        balance.locked -= amount
        balance.free += amount

    def spend_locked(self, asset: str, amount: Decimal) -> None:
        """Pay out of a reservation."""
        balance = self.balance(asset)
        if balance.locked < amount:
            raise AssertionError(f"{self.name}: spend {amount} {asset} of {balance.locked} locked")
        balance.locked -= amount

    def credit(self, asset: str, amount: Decimal) -> None:
        """Add to the free balance; a negative amount is a withdrawal and must be covered."""
        balance = self.balance(asset)
        if balance.free + amount < 0:
            raise AssertionError(f"{self.name}: credit {amount} {asset} to {balance.free} free")
        balance.free += amount

    def book(self, asset: str, amount: Decimal) -> None:
        """Profit, loss, commission, funding of contracts: may take the wallet below zero, as at a real venue."""
        self.balance(asset).free += amount


class AccountBook:
    """All accounts of the venue and the keys that open them."""

    def __init__(self) -> None:
        self.by_name: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}

    def create(
        self,
        name: str,
        balances: dict[str, Decimal],
        *,
        maker_rate: Decimal = Decimal("0.001"),
        taker_rate: Decimal = Decimal("0.001"),
        trade_group: int = -1,
    ) -> Account:
        """Open an account. Raises ValueError for a name that is taken or a negative balance."""
        if name in self.by_name:
            raise ValueError(f"account {name!r} exists already; choose another name")
        for asset, amount in balances.items():
            if not amount.is_finite() or amount < 0:
                raise ValueError(f"account {name!r}: balance of {asset} must be zero or more, got {amount}")
        account = Account(
            name=name,
            uid=1 + max((each.uid for each in self.by_name.values()), default=0),
            maker_rate=maker_rate,
            taker_rate=taker_rate,
            trade_group=trade_group,
        )
        account.balances = {asset: Balance(free=amount) for asset, amount in balances.items()}
        self.by_name[name] = account
        return account

    def add_key(
        self,
        account: Account,
        api_key: str,
        kind: KeyKind,
        secret: str,
        *,
        can_trade: bool = True,
        passphrase: str = "",
    ) -> ApiKey:
        """Register a key. Raises ValueError where the key is in use."""
        if api_key in self.keys:
            raise ValueError(f"API key {api_key!r} is in use already")
        key = ApiKey(
            api_key=api_key, kind=kind, secret=secret, account=account, can_trade=can_trade, passphrase=passphrase
        )
        self.keys[api_key] = key
        return key
