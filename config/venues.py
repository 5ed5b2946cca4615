"""What a configuration may say about each kind of venue.

The codecs know it better, but `config` reads nothing of ours: this is their word repeated, so that a mistake is told
with its key before anything starts.  A test holds the table equal to `protocols.venues.registry`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs


class VenueKind(enum.Enum):
    """The codec that speaks to the venue: one product of one exchange."""

    BINANCE_SPOT = "binance-spot"
    BINANCE_USDM = "binance-usdm"
    BYBIT_SPOT = "bybit-spot"
    BYBIT_LINEAR = "bybit-linear"
    OKX_SPOT = "okx-spot"
    OKX_SWAP = "okx-swap"
    UPBIT = "upbit"


class KeyKind(enum.Enum):
    """How requests are signed."""

    ED25519 = "ed25519"
    HMAC = "hmac"
    RSA = "rsa"


@attrs.frozen(kw_only=True)
class KindFacts:
    """One row of the table."""

    family: str
    """Who shares accounts, hosts and the bundled simulator's process."""
    environments: tuple[str, ...]
    key_kinds: tuple[KeyKind, ...]
    """The usual one first."""
    passphrase: bool = False
    request_window_max_ms: int = 60_000
    """0: requests carry no deadline."""
    hedge_mode: bool = False
    book_depths: tuple[int, ...] = ()
    trade_modes: tuple[str, ...] = ()


_BINANCE_KEYS = (KeyKind.ED25519, KeyKind.HMAC, KeyKind.RSA)
_BYBIT = ("production", "testnet", "demo")
_OKX = ("production", "demo", "eea", "eea-demo", "us", "us-demo")

KINDS: Mapping[VenueKind, KindFacts] = {
    VenueKind.BINANCE_SPOT: KindFacts(
        family="binance-spot",
        environments=("production", "testnet", "demo"),
        key_kinds=_BINANCE_KEYS,
        book_depths=(100, 500, 1000, 5000),
    ),
    VenueKind.BINANCE_USDM: KindFacts(
        family="binance-usdm",
        environments=("production", "demo"),
        key_kinds=_BINANCE_KEYS,
        request_window_max_ms=5_000,
        hedge_mode=True,
        book_depths=(5, 10, 20, 50, 100, 500, 1000),
    ),
    VenueKind.BYBIT_SPOT: KindFacts(
        family="bybit", environments=_BYBIT, key_kinds=(KeyKind.HMAC, KeyKind.RSA), book_depths=(50, 200, 1000)
    ),
    VenueKind.BYBIT_LINEAR: KindFacts(
        family="bybit",
        environments=_BYBIT,
        key_kinds=(KeyKind.HMAC, KeyKind.RSA),
        hedge_mode=True,
        book_depths=(50, 200, 1000),
    ),
    VenueKind.OKX_SPOT: KindFacts(
        family="okx",
        environments=_OKX,
        key_kinds=(KeyKind.HMAC,),
        passphrase=True,
        trade_modes=("cash", "cross", "isolated"),
    ),
    VenueKind.OKX_SWAP: KindFacts(
        family="okx",
        environments=_OKX,
        key_kinds=(KeyKind.HMAC,),
        passphrase=True,
        hedge_mode=True,
        trade_modes=("cross", "isolated"),
    ),
    VenueKind.UPBIT: KindFacts(
        family="upbit", environments=("production",), key_kinds=(KeyKind.HMAC,), request_window_max_ms=0
    ),
}
