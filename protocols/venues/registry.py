"""Which kinds of venue exist: their codecs, signers, limits and environments, one row each.

A kind is one product of one exchange.  Kinds of one *family* share its hosts, its accounts' money and, where the venue
counts so, its limits.  A further venue is one folder beside this file and one row here; nothing above `protocols` names
a venue::

    parts = VENUES["okx-swap"]
    options = VenueOptions(environment="demo", hedge_mode=True)
    parts.environments["demo"].stream_url        # "wss://..."
    public = parts.public(options)
    private = parts.private("master", parts.signer(api_key, secret, passphrase), options, "entry")
    rule = public.sequencer("BTC-USDT-SWAP")

URLs are dated configuration: each environment says as of when its hosts were true.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from protocols.errors import ConfigError
from protocols.ids import AccountID
from protocols.instruments import Product
from protocols.venue import Capabilities, Limit, PrivateCodec, PublicCodec, SessionRules, Signer
from protocols.venues import binance_spot, binance_usdm, bybit, okx, upbit
from protocols.venues.binance_common.signer import signer_for as binance_signer
from protocols.venues.binance_spot import limits as binance_spot_limits
from protocols.venues.binance_spot.endpoints import STREAM_RULES as BINANCE_SPOT_RULES
from protocols.venues.binance_usdm import limits as binance_usdm_limits
from protocols.venues.binance_usdm.book import DEPTHS as BINANCE_USDM_DEPTHS
from protocols.venues.binance_usdm.endpoints import STREAM_RULES as BINANCE_USDM_RULES
from protocols.venues.bybit import limits as bybit_limits
from protocols.venues.bybit.book import DEPTHS as BYBIT_DEPTHS
from protocols.venues.bybit.endpoints import STREAM_RULES as BYBIT_RULES
from protocols.venues.okx import limits as okx_limits
from protocols.venues.okx.encode import TRADE_MODES as OKX_TRADE_MODES
from protocols.venues.okx.endpoints import STREAM_RULES as OKX_RULES
from protocols.venues.okx.public import capabilities_of as okx_capabilities
from protocols.venues.okx.signer import OkxSigner
from protocols.venues.upbit import limits as upbit_limits
from protocols.venues.upbit.endpoints import STREAM_RULES as UPBIT_RULES

__all__ = ["PRODUCTION", "VENUES", "Environment", "KeyAlgorithm", "VenueOptions", "VenueParts"]

PRODUCTION = "production"


class KeyAlgorithm(enum.Enum):
    """How a key of the venue signs."""

    ED25519 = "ed25519"
    HMAC = "hmac"
    RSA = "rsa"


@attrs.frozen(kw_only=True)
class Environment:
    """One place where the venue can be found; origins are scheme, host and port, the codec adds the path."""

    name: str
    as_of: str
    """Date at which the hosts were true."""
    rest_url: str
    stream_url: str
    """Public streams."""
    private_url: str
    """The account's private stream."""
    entry_url: str
    """Order entry; "" where orders go by REST alone."""


@attrs.frozen(kw_only=True)
class VenueOptions:
    """What a configuration chooses about one venue's codecs."""

    environment: str = PRODUCTION
    request_window_ms: int = 5_000
    """Deadline that requests carry, where the venue has one."""
    hedge_mode: bool = False
    """The account holds both sides of a contract; it must be what the account is set to."""
    book_depth: int = 0
    """Levels of a book; 0 for the venue's usual number."""
    trade_mode: str = ""
    """How contracts are margined, in the venue's word; "" for the codec's default."""
    recorded: bool = False
    """Read recordings: also what the venue sent formerly, where that is known and now has another shape."""


@attrs.frozen(kw_only=True)
class VenueParts:
    """One kind of venue: facts about it, and how to make its codecs."""

    kind: str
    family: str
    """Who shares hosts, accounts and address limits, and is played by one simulator."""
    product: Product
    capabilities: Capabilities
    rules: SessionRules
    """Of the public streams."""
    limits: tuple[Limit, ...]
    """What the venue documents; holds until it has told its limits itself."""
    limits_as_of: str
    environments: Mapping[str, Environment]
    key_algorithms: tuple[KeyAlgorithm, ...]
    """The usual one first."""
    passphrase: bool = False
    """A key has a passphrase besides."""
    request_window_max_ms: int = 60_000
    """0: requests carry no deadline."""
    book_depths: tuple[int, ...] = ()
    """What `book_depth` may be; empty where there is nothing to choose."""
    trade_modes: tuple[str, ...] = ()
    former_hosts: tuple[str, ...] = ()
    """Of public streams; recordings name them."""
    closed_ports: tuple[int, ...] = ()
    """Ports that the venue no longer serves and older texts still print; a configured URL must not name them."""
    public: Callable[[VenueOptions], PublicCodec]
    private: Callable[[AccountID, Signer, VenueOptions, str], PrivateCodec]
    """(account, signer, options, who uses it): two codecs with one key must name different users."""
    signer: Callable[[str, str, str], Signer]
    """(API key, secret, passphrase)."""


class _Hosts(Protocol):
    """What the environments of all codecs have in common."""

    @property
    def as_of(self) -> str: ...

    @property
    def rest(self) -> str: ...


def _environments(known: Mapping[str, _Hosts], *, stream: str, private: str, entry: str) -> Mapping[str, Environment]:
    """A codec's environments; a word is the name of its own field with the origin of that socket, "" for none."""
    return {
        name: Environment(
            name=name,
            as_of=hosts.as_of,
            rest_url=hosts.rest,
            stream_url=getattr(hosts, stream),
            private_url=getattr(hosts, private),
            entry_url=getattr(hosts, entry) if entry else "",
        )
        for name, hosts in known.items()
    }


# ---- Binance ----------------------------------------------------------------------------------------------------


def _binance(api_key: str, secret: str, _: str) -> Signer:
    return binance_signer(api_key, secret)


def _binance_spot_public(options: VenueOptions) -> PublicCodec:
    endpoints = binance_spot.ENVIRONMENTS[options.environment]
    return binance_spot.BinanceSpotPublic(endpoints, options.book_depth or 1000)


def _binance_spot_private(account: AccountID, signer: Signer, options: VenueOptions, user: str) -> PrivateCodec:
    endpoints = binance_spot.ENVIRONMENTS[options.environment]
    return binance_spot.BinanceSpotPrivate(account, signer, endpoints, recv_window_ms=options.request_window_ms)


_BINANCE_SPOT = VenueParts(
    kind="binance-spot",
    family="binance-spot",
    product=Product.SPOT,
    capabilities=binance_spot.BinanceSpotPublic.capabilities,
    rules=BINANCE_SPOT_RULES,
    limits=binance_spot_limits.DOCUMENTED,
    limits_as_of=binance_spot_limits.WEIGHT_AS_OF,
    environments=_environments(binance_spot.ENVIRONMENTS, stream="stream", private="ws_api", entry="ws_api"),
    key_algorithms=(KeyAlgorithm.ED25519, KeyAlgorithm.HMAC, KeyAlgorithm.RSA),
    book_depths=(100, 500, 1000, 5000),
    public=_binance_spot_public,
    private=_binance_spot_private,
    signer=_binance,
)


def _binance_usdm_public(options: VenueOptions) -> PublicCodec:
    endpoints = binance_usdm.ENVIRONMENTS[options.environment]
    return binance_usdm.BinanceUsdmPublic(endpoints, options.book_depth or 1000)


def _binance_usdm_private(account: AccountID, signer: Signer, options: VenueOptions, user: str) -> PrivateCodec:
    return binance_usdm.BinanceUsdmPrivate(
        account,
        signer,
        binance_usdm.ENVIRONMENTS[options.environment],
        recv_window_ms=options.request_window_ms,
        hedge_mode=options.hedge_mode,
    )


_BINANCE_USDM = VenueParts(
    kind="binance-usdm",
    family="binance-usdm",
    product=Product.LINEAR,
    capabilities=binance_usdm.BinanceUsdmPublic.capabilities,
    rules=BINANCE_USDM_RULES,
    limits=binance_usdm_limits.DOCUMENTED,
    limits_as_of=binance_usdm_limits.WEIGHT_AS_OF,
    environments=_environments(binance_usdm.ENVIRONMENTS, stream="stream", private="stream", entry="ws_api"),
    key_algorithms=(KeyAlgorithm.ED25519, KeyAlgorithm.HMAC, KeyAlgorithm.RSA),
    request_window_max_ms=5_000,
    book_depths=tuple(sorted(BINANCE_USDM_DEPTHS)),
    public=_binance_usdm_public,
    private=_binance_usdm_private,
    signer=_binance,
)


# ---- Bybit ------------------------------------------------------------------------------------------------------


def _bybit(product: Product) -> VenueParts:
    def public(options: VenueOptions) -> PublicCodec:
        return bybit.BybitPublic(product, bybit.ENVIRONMENTS[options.environment], options.book_depth or 200)

    def private(account: AccountID, signer: Signer, options: VenueOptions, user: str) -> PrivateCodec:
        return bybit.BybitPrivate(
            account,
            signer,
            product,
            bybit.ENVIRONMENTS[options.environment],
            recv_window_ms=options.request_window_ms,
            hedge_mode=options.hedge_mode,
            smp_type="CancelMaker",  # said with every order: one that says nothing trades with our own
        )

    return VenueParts(
        kind=bybit.VENUES[product],
        family="bybit",
        product=product,
        capabilities=bybit.BybitPublic(product).capabilities,
        rules=BYBIT_RULES,
        limits=bybit_limits.DOCUMENTED[product],
        limits_as_of=bybit_limits.LIMITS_AS_OF,
        environments=_environments(bybit.ENVIRONMENTS, stream="stream", private="private", entry="trade"),
        key_algorithms=(KeyAlgorithm.HMAC, KeyAlgorithm.RSA),
        book_depths=tuple(sorted(BYBIT_DEPTHS)),
        public=public,
        private=private,
        signer=lambda api_key, secret, _: bybit.signer_for(api_key, secret),
    )


# ---- OKX --------------------------------------------------------------------------------------------------------


def _okx(product: Product) -> VenueParts:
    def public(options: VenueOptions) -> PublicCodec:
        return okx.OkxPublic(product, okx.ENVIRONMENTS[options.environment], checksums=options.recorded)

    def private(account: AccountID, signer: Signer, options: VenueOptions, user: str) -> PrivateCodec:
        if not isinstance(signer, OkxSigner):
            raise ConfigError(f"the signer of {account} on OKX has no passphrase; make it with this row's `signer`")
        return okx.OkxPrivate(
            account,
            signer,
            product,
            okx.ENVIRONMENTS[options.environment],
            request_window_ms=options.request_window_ms,
            hedged=options.hedge_mode,
            trade_mode=options.trade_mode,
        )

    return VenueParts(
        kind=okx.VENUES[product],
        family="okx",
        product=product,
        capabilities=okx_capabilities(product),
        rules=OKX_RULES,
        limits=okx_limits.DOCUMENTED[product],
        limits_as_of=okx_limits.LIMITS_AS_OF,
        environments=_environments(okx.ENVIRONMENTS, stream="ws", private="ws", entry="ws"),
        key_algorithms=(KeyAlgorithm.HMAC,),
        passphrase=True,
        trade_modes=tuple(OKX_TRADE_MODES[product]),
        former_hosts=okx.FORMER_HOSTS,
        closed_ports=(okx.CLOSED_PORT,),
        public=public,
        private=private,
        signer=OkxSigner,
    )


# ---- Upbit ------------------------------------------------------------------------------------------------------


def _upbit_private(account: AccountID, signer: Signer, options: VenueOptions, user: str) -> PrivateCodec:
    return upbit.UpbitPrivate(account, signer, upbit.ENVIRONMENTS[options.environment], salt=user)


_UPBIT = VenueParts(
    kind="upbit",
    family="upbit",
    product=Product.SPOT,
    capabilities=upbit.UpbitPublic.capabilities,
    rules=UPBIT_RULES,
    limits=upbit_limits.DOCUMENTED,
    limits_as_of=upbit_limits.LIMITS_AS_OF,
    environments=_environments(upbit.ENVIRONMENTS, stream="stream", private="stream", entry=""),
    key_algorithms=(KeyAlgorithm.HMAC,),
    request_window_max_ms=0,
    public=lambda options: upbit.UpbitPublic(upbit.ENVIRONMENTS[options.environment]),
    private=_upbit_private,
    signer=lambda api_key, secret, _: upbit.signer_for(api_key, secret),
)


VENUES: Mapping[str, VenueParts] = {
    parts.kind: parts
    for parts in (
        _BINANCE_SPOT,
        _BINANCE_USDM,
        _bybit(Product.SPOT),
        _bybit(Product.LINEAR),
        _okx(Product.SPOT),
        _okx(Product.LINEAR),
        _UPBIT,
    )
}
