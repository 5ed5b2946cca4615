"""Balances as the venue states them: absolute, per asset, the newest statement wins.

A statement carries a time, and one that is older than what we have is recognised by it: the answer of a query may be
overtaken by the stream.  What our fills explain of a balance, and what they do not, is the ledger's business
(`Ledger.explained`).
"""

from __future__ import annotations

from collections.abc import Iterator

from protocols.errors import InvariantViolation
from protocols.positions import Balance, BalancesChanged


class Balances:
    """Free and locked amounts of each asset."""

    __slots__ = ("by_asset",)

    def __init__(self) -> None:
        self.by_asset: dict[str, Balance] = {}

    def has_news(self, changed: BalancesChanged) -> bool:
        """Whether the statement tells anything that we did not know.

        The stream's statements are news when they are newer, even if they repeat an amount: their time keeps older
        ones out.  A complete one (a query's answer, every minute) is news only if it differs.
        """
        if not changed.complete:
            return any(self._is_newer(balance) for balance in changed.balances)
        named = set()
        for balance in changed.balances:
            named.add(balance.asset)
            known = self.by_asset.get(balance.asset)
            if known is None:
                return True
            if (balance.free, balance.locked) != (known.free, known.locked) and self._is_newer(balance):
                return True
        return bool(self._vanished(changed, named))

    def _is_newer(self, balance: Balance) -> bool:
        known = self.by_asset.get(balance.asset)
        if known is None or balance.updated_ns > known.updated_ns:
            return True
        same_time = balance.updated_ns == known.updated_ns
        return same_time and (balance.free, balance.locked) != (known.free, known.locked)

    def _vanished(self, changed: BalancesChanged, named: set[str]) -> list[str]:
        """Assets that we know and a complete statement does not name: they are zero."""
        return [
            asset
            for asset, known in self.by_asset.items()
            if asset not in named and known.updated_ns <= changed.event_ns
        ]

    def apply(self, changed: BalancesChanged) -> None:
        """Take over what is newer."""
        if changed.complete:
            for asset in self._vanished(changed, {balance.asset for balance in changed.balances}):
                del self.by_asset[asset]
        for balance in changed.balances:
            if self._is_newer(balance):
                self.by_asset[balance.asset] = balance

    def __iter__(self) -> Iterator[Balance]:
        return iter(self.by_asset.values())

    def check(self) -> None:
        """InvariantViolation names an asset whose balance cannot be."""
        for asset, balance in self.by_asset.items():
            if balance.asset != asset or balance.locked < 0 or not balance.free.is_finite():
                raise InvariantViolation(f"balance {asset}: {balance}")
