"""The rules between fields: what each value alone cannot know.

`broken_rules` is a pure function of the configuration; the bounds of single fields are in the schema.
"""

from __future__ import annotations

import binascii
import itertools
import re
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from config.schema import (
    SIMULATOR,
    AccountConfig,
    Config,
    KeyConfig,
    KeyKind,
    KeySource,
    LimitsConfig,
    MarketSource,
    StrategyConfig,
    SymbolLimits,
    VenueConfig,
)
from config.structure import Key, Mistake, nearest

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
"""Names of venues, accounts and strategies: they stand in actor paths, file names and subjects."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9_-]{1,31}")
RESERVED_ACCOUNTS = ("firm",)
"""`/risk/firm` is the firm's gate."""
ACCOUNT_CODES, STRATEGY_CODES = 36**2, 36**3
"""Number of codes that fit into a ClOrdID; the codes are those of `protocols.ids`, held equal by a test."""


def broken_rules(config: Config) -> list[Mistake]:
    """Every rule that `config` breaks."""
    return [
        *_zone(config),
        *_simulator(config),
        *(m for name, venue in config.venues.items() for m in _venue(config, name, venue)),
        *(m for name, account in config.accounts.items() for m in _account(config, name, account)),
        *_risk(config),
        *(m for name, strategy in config.strategies.items() for m in _strategy(config, name, strategy)),
        *_codes(config),
        *_supervision(config),
    ]


def code_clashes(names: Iterable[str], codes: int) -> Iterator[tuple[str, str]]:
    """Pairs of names that would share one code inside a ClOrdID."""
    seen: dict[int, str] = {}
    for name in sorted(names):
        code = binascii.crc32(name.encode()) % codes
        if code in seen:
            yield seen[code], name
        else:
            seen[code] = name


def _zone(config: Config) -> Iterator[Mistake]:
    zone = config.engine.timezone
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        hint = nearest(zone, sorted(known)) if len(zone) > 3 else ""
        usual = "Write a name as in Asia/Seoul, Europe/Berlin or UTC" if known else "Install the system's tzdata"
        fix = hint if hint.startswith("Did you mean") else usual
        yield Mistake(("engine", "timezone"), f"there is no time zone {zone!r}", fix)


def _simulator(config: Config) -> Iterator[Mistake]:
    simulator = config.simulator
    if simulator.market is MarketSource.CAPTURE and simulator.enabled:
        key = ("simulator", "capture")
        fix = 'Name a capture-jsonl v1 file: capture = "path", or BULKHEAD__SIMULATOR__CAPTURE=path'
        if simulator.capture is None:
            yield Mistake(key, 'is missing although market is "capture"', fix)
        elif not simulator.capture.is_file():
            yield Mistake(key, f"{str(simulator.capture)!r} is no file", fix)
    if simulator.market is MarketSource.LIVE:
        for name, venue in config.venues.items():
            if venue.enabled and venue.places["stream_url"] == SIMULATOR:
                reason = 'is the simulator, whose own market is to be "live"'
                fix = 'Name a real environment for the market, and orders = "simulator"'
                yield Mistake(("venues", name, "environment"), reason, fix)
    for account, assets in simulator.balances.items():
        if account not in config.accounts:
            yield _no_such(("simulator", "balances", account), "account", account, config.accounts)
        for asset, amount in assets.items():
            if amount < 0:
                yield Mistake(
                    ("simulator", "balances", account, asset), f"was {amount}, must not be negative", "Write 0 or more"
                )


def _venue(config: Config, name: str, venue: VenueConfig) -> Iterator[Mistake]:
    key, facts = ("venues", name), venue.facts
    if name != venue.kind.value:
        kind = venue.kind.value
        yield Mistake(key, f"is of kind {kind!r}", f"A venue is named by its kind: [venues.{kind}]")
    if not venue.symbols:
        yield Mistake((*key, "symbols"), "is empty", "Name at least one symbol")
    yield from _symbols((*key, "symbols"), venue.symbols)
    yield from _places(config, key, venue)
    if facts.request_window_max_ms and venue.recv_window_ms > facts.request_window_max_ms:
        reason = f"was {venue.recv_window_ms}, the venue takes at most {facts.request_window_max_ms}"
        yield Mistake((*key, "recv_window_ms"), reason, "Lower it; 1000 to 5000 is advised")
    if venue.hedge_mode and not facts.hedge_mode:
        yield Mistake((*key, "hedge_mode"), "is true, but this venue has no two-sided positions", "Remove it")
    if venue.trade_mode and venue.trade_mode not in facts.trade_modes:
        known = ", ".join(facts.trade_modes) or "nothing: this venue has none"
        yield Mistake((*key, "trade_mode"), f"was {venue.trade_mode!r}", f"Known here: {known}")
    if venue.book_depth and venue.book_depth not in facts.book_depths:
        known = ", ".join(str(depth) for depth in facts.book_depths) or "only 0: the venue decides"
        yield Mistake((*key, "book_depth"), f"was {venue.book_depth}", f"Known here: {known}")


def _places(config: Config, key: Key, venue: VenueConfig) -> Iterator[Mistake]:
    """Where the venue is: environments that exist, URLs that can be used, and orders and their queries together."""
    known = [SIMULATOR, *venue.facts.environments]
    for field in ("environment", "orders"):
        name = getattr(venue, field)
        if name not in known and (name or field == "environment"):
            yield Mistake((*key, field), f"{name!r} is no environment of {venue.kind.value}", nearest(name, known))
            return
    for field, schemes in (
        ("rest_url", ("https", "http")),
        ("private_rest_url", ("https", "http")),
        ("stream_url", ("wss", "ws")),
        ("entry_url", ("wss", "ws")),
        ("private_url", ("wss", "ws")),
    ):
        url = getattr(venue, field)
        if url not in ("", SIMULATOR):
            yield from _url((*key, field), url, schemes)
    places = venue.places
    if venue.needs_simulator and venue.enabled and not config.simulator.enabled:
        field = next(field for field, place in places.items() if place == SIMULATOR)
        at = field if getattr(venue, field) == SIMULATOR else "environment"
        fix = "Set simulator.enabled = true, name a real environment, or write a URL"
        yield Mistake((*key, at), "is the simulator, which is not enabled", fix)
    on_simulator = {places[field] == SIMULATOR for field in ("entry_url", "private_url", "private_rest_url")}
    if len(on_simulator) > 1:
        yield Mistake(
            (*key, "entry_url"),
            "orders and their queries would go to different venues",
            "Give entry_url, private_url and private_rest_url all the venue, or all the simulator",
        )


def _url(key: Key, url: str, schemes: tuple[str, str]) -> Iterator[Mistake]:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        yield Mistake(key, f"{url!r} is no {schemes[0]} URL", f"Write {schemes[0]}://host/path")
    elif parts.username is not None or parts.query:
        yield Mistake(key, "carries credentials or a query", "Write scheme, host, port and path only")
    elif parts.scheme == schemes[1] and not _is_loopback(parts.hostname):
        yield Mistake(key, f"would send unencrypted to {parts.hostname}", f"Use {schemes[0]}://")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _account(config: Config, name: str, account: AccountConfig) -> Iterator[Mistake]:
    key = ("accounts", name)
    yield from _name(key, name)
    if name in RESERVED_ACCOUNTS:
        yield Mistake(key, f"the name {name!r} is taken by the firm-wide risk gate", "Choose another name")
    if not account.venues:
        yield Mistake((*key, "venues"), "is empty", "Name at least one venue")
    for venue in account.venues:
        if venue not in config.venues:
            yield _no_such((*key, "venues"), "venue", venue, config.venues)
        elif venue not in account.keys:
            fix = f"Add [accounts.{name}.keys.{venue}] with its source"
            yield Mistake((*key, "keys", venue), "is missing", fix)
    for venue, source in account.keys.items():
        if venue not in account.venues:
            yield _no_such((*key, "keys", venue), "venue of this account", venue, account.venues)
        yield from _key((*key, "keys", venue), source, config.venues.get(venue))
    if name not in config.risk.accounts:
        yield Mistake(("risk", "accounts", name), "is missing", f"Add [risk.accounts.{name}] with every limit")


def _key(key: Key, source: KeyConfig, venue: VenueConfig | None) -> Iterator[Mistake]:
    given = {
        "api_key_env": source.api_key_env,
        "secret_env": source.secret_env,
        "passphrase_env": source.passphrase_env,
        "path": source.path,
    }
    variables: tuple[str, ...] = ("api_key_env", "secret_env")
    if venue is not None and venue.facts.passphrase:
        variables = (*variables, "passphrase_env")
    wanted = {KeySource.DEMO: (), KeySource.ENV: variables, KeySource.FILE: ("path",)}[source.source]
    for field, value in given.items():
        if value and field not in wanted:
            yield Mistake((*key, field), f'has no use with source = "{source.source.value}"', "Remove it")
        if not value and field in wanted:
            yield Mistake((*key, field), f'is missing with source = "{source.source.value}"', f"Add {field}")
    for field in ("api_key_env", "secret_env", "passphrase_env"):
        name = given[field]
        if isinstance(name, str) and name and not VARIABLE.fullmatch(name):
            fix = "Write the name of an environment variable, never the key itself"
            yield Mistake((*key, field), "is no name of a variable (its value is not shown)", fix)
        elif isinstance(name, str) and name.startswith("BULKHEAD__"):
            yield Mistake((*key, field), "would be read as an override", "Choose a name without BULKHEAD__")
    if venue is None:
        return
    if source.source is KeySource.DEMO and not venue.trades_on_simulator:
        yield Mistake((*key, "source"), 'is "demo", which only the simulator accepts', 'Use "env" or "file"')
    if source.kind is not None and source.kind not in venue.facts.key_kinds:
        words = ", ".join(f'"{kind.value}"' for kind in venue.facts.key_kinds)
        yield Mistake((*key, "kind"), f"is no kind of key that {venue.kind.value} takes", f"Write one of {words}")
    if source.source is KeySource.DEMO and source.kind is KeyKind.RSA:
        yield Mistake((*key, "kind"), 'is "rsa", and demo keys are never made so', 'Write "ed25519" or "hmac"')


def _risk(config: Config) -> Iterator[Mistake]:
    symbols = {symbol for venue in config.venues.values() for symbol in venue.symbols}
    for asset, rate in config.risk.rates.items():
        if rate <= 0 or asset == "USDT":
            reason, fix = f"was {rate}", "Write what one unit is worth in USDT; USDT itself is worth 1"
            yield Mistake(("risk", "rates", asset), reason, fix)
    scopes: list[tuple[Key, LimitsConfig]] = [(("risk", "firm"), config.risk.firm)]
    for name, limits in config.risk.accounts.items():
        scopes.append((("risk", "accounts", name), limits))
        if name not in config.accounts:
            yield _no_such(("risk", "accounts", name), "account", name, config.accounts)
    for key, limits in scopes:
        yield from _limits(key, limits)
        for symbol, tighter in limits.symbols.items():
            if symbol not in symbols:
                yield _no_such((*key, "symbols", symbol), "symbol of any venue", symbol, symbols)
            yield from _symbol_limits((*key, "symbols", symbol), tighter, limits)


def _limits(key: Key, limits: LimitsConfig) -> Iterator[Mistake]:
    ladder = ("max_order_notional", "max_position_notional", "max_exposure")
    for smaller, larger in itertools.pairwise(ladder):
        if getattr(limits, smaller) > getattr(limits, larger):
            reason = f"{getattr(limits, smaller)} is more than {larger} = {getattr(limits, larger)}"
            yield Mistake((*key, smaller), reason, f"Lower {smaller} or raise {larger}")


def _symbol_limits(key: Key, tighter: SymbolLimits, limits: LimitsConfig) -> Iterator[Mistake]:
    for field in ("max_order_notional", "max_position_notional", "price_band"):
        value, bound = getattr(tighter, field), getattr(limits, field)
        if value is not None and value > bound:
            yield Mistake((*key, field), f"{value} is wider than the scope's {bound}", "A symbol's limit only tightens")
    order, position = tighter.max_order_qty, tighter.max_position_qty
    if order is not None and position is not None and order > position:
        reason = f"{order} is more than max_position_qty = {position}"
        yield Mistake((*key, "max_order_qty"), reason, "Lower it or raise max_position_qty")


def _strategy(config: Config, name: str, strategy: StrategyConfig) -> Iterator[Mistake]:
    key = ("strategies", name)
    yield from _name(key, name)
    if not strategy.symbols:
        yield Mistake((*key, "symbols"), "is empty", "Name at least one symbol")
    account, venue = config.accounts.get(strategy.account), config.venues.get(strategy.venue)
    if account is None:
        yield _no_such((*key, "account"), "account", strategy.account, config.accounts)
    if venue is None:
        yield _no_such((*key, "venue"), "venue", strategy.venue, config.venues)
    else:
        for symbol in strategy.symbols:
            if venue.symbols and symbol not in venue.symbols:  # without any, that is the mistake, and told
                yield _no_such((*key, "symbols"), f"symbol of {strategy.venue}", symbol, venue.symbols)
        if account is not None and strategy.venue not in account.venues:
            reason = f"account {strategy.account!r} does not trade on {strategy.venue!r}"
            yield Mistake((*key, "venue"), reason, f"Add the venue to [accounts.{strategy.account}]")
    if strategy.enabled:
        off = [w for w, x in ((strategy.account, account), (strategy.venue, venue)) if x is not None and not x.enabled]
        for what in off:
            yield Mistake((*key, "enabled"), f"runs on {what!r}, which is disabled", "Disable the strategy as well")


def _symbols(key: Key, symbols: tuple[str, ...]) -> Iterator[Mistake]:
    for symbol in symbols:
        if not SYMBOL.fullmatch(symbol):
            yield Mistake(key, f"{symbol!r} is no symbol", "Write the venue's own symbol in capitals, as in BTCUSDT")
        if symbols.count(symbol) > 1:
            yield Mistake(key, f"names {symbol} twice", "Name each symbol once")
            return


def _name(key: Key, name: str) -> Iterator[Mistake]:
    if not NAME.fullmatch(name) or len(name) > 32:
        yield Mistake(key, f"{name!r} is no usable name", "Use small letters, digits and single hyphens, at most 32")


def _codes(config: Config) -> Iterator[Mistake]:
    for section, names, codes in (
        ("accounts", config.accounts, ACCOUNT_CODES),
        ("strategies", config.strategies, STRATEGY_CODES),
    ):
        for first, second in code_clashes(names, codes):
            reason = f"{second!r} and {first!r} would have one code in order ids"
            yield Mistake((section, second), reason, "Rename one of them")


def _supervision(config: Config) -> Iterator[Mistake]:
    rules = config.supervision
    if rules.backoff_first_ms > rules.backoff_max_ms:
        reason = f"{rules.backoff_first_ms} is more than backoff_max_ms = {rules.backoff_max_ms}"
        yield Mistake(("supervision", "backoff_first_ms"), reason, "Lower it or raise backoff_max_ms")


def _no_such(key: Key, what: str, name: str, known: Iterable[str] | Mapping[str, object]) -> Mistake:
    return Mistake(key, f"there is no {what} {name!r}", nearest(name, sorted(known)))
