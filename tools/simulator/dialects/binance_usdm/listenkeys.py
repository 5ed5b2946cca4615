"""Listen keys: the secret in a private socket's address (section 15.1)."""

from __future__ import annotations

import random
import string

import attrs

from tools.simulator.core.accounts import Account
from tools.simulator.core.clock import MINUTE

LIVES_NS = 60 * MINUTE
_LETTERS = string.ascii_letters + string.digits


@attrs.define
class ListenKey:
    text: str = attrs.field(repr=False)
    account: Account
    expires_ns: int


class ListenKeys:
    """One living key an account: a second request gets the same one, extended."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"{seed}/listen-keys")
        self._by_text: dict[str, ListenKey] = {}

    def reseed(self, seed: str) -> None:
        """A venue that comes back must not give somebody the key that somebody else has had."""
        self._random.seed(f"{seed}/listen-keys")

    def open(self, account: Account, now_ns: int) -> ListenKey:
        """The account's key, extended, or a new one."""
        found = self.of(account)
        if found is None:
            text = "".join(self._random.choices(_LETTERS, k=64))
            found = self._by_text[text] = ListenKey(text, account, 0)
        found.expires_ns = now_ns + LIVES_NS
        return found

    def of(self, account: Account) -> ListenKey | None:
        return next((key for key in self._by_text.values() if key.account is account), None)

    def find(self, text: str) -> ListenKey | None:
        return self._by_text.get(text)

    def close(self, key: ListenKey) -> None:
        self._by_text.pop(key.text, None)

    def due(self, now_ns: int) -> list[ListenKey]:
        """Those whose time is over; they are forgotten."""
        over = [key for key in self._by_text.values() if key.expires_ns <= now_ns]
        for key in over:
            self.close(key)
        return over
