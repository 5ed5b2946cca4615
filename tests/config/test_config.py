"""Configuration: what is accepted, what each mistake is told, and that nothing secret is ever said."""

from __future__ import annotations

import tempfile
import zoneinfo
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import Config, load_config, profile_names, render
from config.layers import from_text
from config.rules import ACCOUNT_CODES, STRATEGY_CODES, code_clashes
from config.schema import Display, JournalConfig, KeySource, MarketSource, SyncPolicy
from protocols.ids import account_code, strategy_code
from tests.config.support import Writer, problems

# ---- what is accepted ----------------------------------------------------------------------------------------------


def test_a_minimal_file_and_its_defaults(write: Writer) -> None:
    config = load_config(write())
    assert config.engine.timezone == "Asia/Seoul"
    assert config.engine.display is Display.LIVE
    assert config.data.dir == Path("data")
    assert config.socket_path == Path("data/control.sock")
    assert config.journal == JournalConfig()
    assert config.journal.sync is SyncPolicy.INTERVAL
    assert config.risk.firm.price_band == Decimal("0.05")
    assert config.accounts["master"].keys["binance-spot"].source is KeySource.DEMO
    assert config.strategies["tfpe"].params == {"threshold": 4}
    assert config.venues["binance-spot"].trades_on_simulator


@pytest.mark.parametrize("name", ["demo", "five-venues", "live", "market", "paper"])
def test_shipped_profiles_are_correct(name: str) -> None:
    config = load_config(name)
    assert config.engine.name == name
    assert config.origin.profile == name


def test_the_replay_profile_wants_its_capture(tmp_path: Path) -> None:
    (text,) = problems("replay")
    assert text.startswith("profile replay: simulator.capture: is missing although market is")
    capture = tmp_path / "x.jsonl"
    capture.touch()
    config = load_config("replay", {"BULKHEAD__SIMULATOR__CAPTURE": str(capture)})
    assert config.simulator.capture == capture
    (text,) = problems("replay", {"BULKHEAD__SIMULATOR__CAPTURE": "/nowhere.jsonl"})
    assert text.startswith("BULKHEAD__SIMULATOR__CAPTURE: simulator.capture: '/nowhere.jsonl' is no file")


def test_the_demo_needs_neither_network_nor_keys() -> None:
    config = load_config("demo")
    assert config.simulator.market is MarketSource.GENERATED
    assert all(set(venue.places.values()) == {"simulator"} for venue in config.venues.values())
    assert all(venue.trades_on_simulator for venue in config.venues.values())
    sources = [key.source for account in config.accounts.values() for key in account.keys.values()]
    assert set(sources) == {KeySource.DEMO}
    assert set(config.accounts) == {"master", "sub1"}


@pytest.mark.req("R106")
def test_the_number_of_accounts_is_configuration(write: Writer) -> None:
    assert list(load_config(write()).accounts) == ["master"]
    assert len(load_config("demo").accounts) == 2


def test_paper_trades_on_the_simulator_with_the_venues_market() -> None:
    venue = load_config("paper").venues["binance-spot"]
    assert venue.trades_on_simulator
    assert venue.places["stream_url"] == venue.places["rest_url"] == "production"


def test_live_keeps_its_keys_in_the_environment() -> None:
    config = load_config("live")
    assert not config.venues["binance-spot"].trades_on_simulator
    assert config.accounts["master"].keys["binance-spot"].source is KeySource.ENV
    assert config.journal.sync is SyncPolicy.ALWAYS


def test_a_file_may_extend_a_profile_or_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "demo"\n[engine]\nname = "mine"\n', encoding="utf-8")
    (tmp_path / "deeper.toml").write_text('extends = "mine.toml"\n[data]\ndir = "x"\n', encoding="utf-8")
    config = load_config(tmp_path / "deeper.toml")
    assert (config.engine.name, config.data.dir) == ("mine", Path("x"))
    assert config.simulator.enabled
    assert config.origin.sources["engine.name"] == str(tmp_path / "mine.toml")


def test_a_whole_number_of_money_needs_no_quotes(write: Writer) -> None:
    config = load_config(write(('max_exposure = "1000"', "max_exposure = 1000")))
    assert config.risk.firm.max_exposure == 1000
    assert config.config_hash() == load_config(write(name="other.toml")).config_hash()


# ---- layers --------------------------------------------------------------------------------------------------------


@pytest.mark.req("R143")
def test_the_environment_overrides_the_file_and_overrides_come_last(write: Writer) -> None:
    env = {
        "BULKHEAD__DATA__DIR": "/var/lib/bulkhead",
        "BULKHEAD__JOURNAL__SYNC": "always",
        "BULKHEAD__JOURNAL__INTERVAL_MS": "7",
        "BULKHEAD__STRATEGIES__TFPE__ENABLED": "false",
        "BULKHEAD__RISK__FIRM__MAX_EXPOSURE": "5000.5",
        "BULKHEAD__VENUES__BINANCE_SPOT__SYMBOLS": "BTCUSDT, ETHUSDT",
        "BULKHEAD__STRATEGIES__TFPE__PARAMS__THRESHOLD": "3",
        "BULKHEAD__STRATEGIES__TFPE__PARAMS__ADX_MIN": "20.5",
        "BULKHEAD_DATA": "not ours",
        "PATH": "/bin",
    }
    config = load_config(write(), env, {"journal.interval_ms": 9, "data.dir": "/elsewhere"})
    assert config.data.dir == Path("/elsewhere")
    assert config.journal.sync is SyncPolicy.ALWAYS
    assert config.journal.interval_ms == 9
    assert config.strategies["tfpe"].enabled is False
    assert config.risk.firm.max_exposure == Decimal("5000.5")
    assert config.venues["binance-spot"].symbols == ("BTCUSDT", "ETHUSDT")
    assert config.strategies["tfpe"].params == {"threshold": 3, "adx_min": "20.5"}
    assert config.origin.sources["journal.sync"] == "BULKHEAD__JOURNAL__SYNC"
    assert config.origin.sources["data.dir"] == "override data.dir"


@pytest.mark.req("R143")
@pytest.mark.parametrize(
    "name, hint",
    [
        ("BULKHEAD__DATTA__DIR", "There is no `DATTA` in the configuration. Did you mean `data`?"),
        ("BULKHEAD__DATA__DIRR", "There is no `DIRR` in [data]. Did you mean `dir`?"),
        ("BULKHEAD__DATA", "Name a key inside [data]"),
        ("BULKHEAD__DATA__DIR__X", "`data.dir` is a value and has nothing below it"),
        ("BULKHEAD__ACCOUNTS__NOBODY__ENABLED", "There is no `NOBODY` in [accounts]. Known here: master"),
        ("BULKHEAD__ORIGIN__PROFILE", "There is no `ORIGIN` in the configuration."),
        ("BULKHEAD__", "There is no `` in the configuration."),
    ],
)
def test_a_variable_that_names_no_key_is_an_error(write: Writer, name: str, hint: str) -> None:
    (text,) = problems(write(), {name: "1"})
    assert text.startswith(f"{name}: names no key of the configuration. {hint}")


def test_an_override_that_names_no_key_is_an_error(write: Writer) -> None:
    (text,) = problems(write(), None, **{"journal.sink": "os"})
    assert text.startswith("override journal.sink: names no key of the configuration.")


def test_a_wrong_value_in_a_variable_names_the_variable(write: Writer) -> None:
    (text,) = problems(write(), {"BULKHEAD__JOURNAL__INTERVAL_MS": "soon"})
    assert text == (
        "BULKHEAD__JOURNAL__INTERVAL_MS: journal.interval_ms: was 'soon' (text), must be an integer. "
        "Write a whole number without quotes"
    )


def test_names_that_differ_in_case_only_are_ambiguous_in_the_environment(write: Writer) -> None:
    path = write(extra='[simulator.balances.master]\nBTC = "1"\nbtc = "2"\n')
    (text,) = problems(path, {"BULKHEAD__SIMULATOR__BALANCES__MASTER__BTC": "3"})
    assert "`BTC` fits BTC and btc alike" in text


# ---- every kind of mistake -----------------------------------------------------------------------------------------

LIVE = 'kind = "binance-spot"\nrest_url = "https://a.example"\nentry_url = "wss://b.example"'

MISTAKES: list[tuple[str, tuple[str, str], str]] = [
    ("unknown key", ("[simulator]", "[simulator]\nsed = 1"), "simulator.sed: unknown key. Did you mean `seed`?"),
    ("unknown section", ("[simulator]", "[simulater]"), "simulater: unknown key. Did you mean `simulator`?"),
    (
        "boolean as text",
        ("enabled = true", 'enabled = "yes"'),
        "simulator.enabled: was 'yes' (text), must be a boolean.",
    ),
    (
        "boolean as number",
        ("enabled = true", "enabled = 1"),
        "simulator.enabled: was 1 (an integer), must be a boolean.",
    ),
    (
        "integer as boolean",
        ("max_open_orders = 10", "max_open_orders = true"),
        "risk.firm.max_open_orders: was True (a boolean), must be an integer.",
    ),
    (
        "integer as float",
        ("max_open_orders = 10", "max_open_orders = 10.0"),
        "risk.firm.max_open_orders: was 10.0 (a float), must be an integer.",
    ),
    (
        "money as float",
        ('max_exposure = "1000"', "max_exposure = 1000.5"),
        'risk.firm.max_exposure: was 1000.5 (a float), must be a decimal in quotes. Write it in quotes: "1000.5"',
    ),
    (
        "money as boolean",
        ('max_exposure = "1000"', "max_exposure = true"),
        "risk.firm.max_exposure: was True (a boolean), must be a decimal in quotes.",
    ),
    (
        "money as word",
        ('max_exposure = "1000"', 'max_exposure = "much"'),
        "risk.firm.max_exposure: was 'much', which is no decimal number.",
    ),
    (
        "money without end",
        ('max_exposure = "1000"', 'max_exposure = "Infinity"'),
        "risk.firm.max_exposure: was 'Infinity', must be finite.",
    ),
    (
        "negative",
        ('max_order_notional = "100"', 'max_order_notional = "-1"'),
        "risk.firm.max_order_notional: was -1, must be at least 0. Write a value of at least 0",
    ),
    (
        "above its bound",
        ('price_band = "0.05"', 'price_band = "5"'),
        "risk.firm.price_band: was 5, must be at most 1. Write a value from 0 to 1",
    ),
    ("unknown word", ('kind = "binance-spot"', 'kind = "binance_spot"'), "did you mean `binance-spot`?"),
    ("number for a word", ('kind = "binance-spot"', "kind = 7"), 'was 7 (an integer). Write one of "binance-spot"'),
    ("text for a list", ('symbols = ["BTCUSDT"]', 'symbols = "BTCUSDT"'), "must be a list of text."),
    ("number in a list", ('symbols = ["BTCUSDT"]', "symbols = [1]"), "symbols: contains 1 (an integer)"),
    (
        "number for text",
        ('account = "master"', "account = 1"),
        "account: was 1 (an integer), must be text.",
    ),
    ("missing limit", ('max_exposure = "1000"\n', ""), "risk.firm.max_exposure: is missing. Add `max_exposure`"),
    ("missing section", ("[risk.accounts.master]", "[risk.accounts.other]"), "risk.accounts.master: is missing."),
    (
        "limits upside down",
        ('max_order_notional = "100"', 'max_order_notional = "5000"'),
        "risk.firm.max_order_notional: 5000 is more than max_position_notional = 1000.",
    ),
    (
        "unknown account",
        ('account = "master"', 'account = "mastre"'),
        "strategies.tfpe.account: there is no account 'mastre'. Did you mean `master`?",
    ),
    (
        "unknown venue",
        ('venue = "binance-spot"', 'venue = "bitmex"'),
        "tfpe.venue: there is no venue 'bitmex'.",
    ),
    (
        "unknown symbol",
        ('venue = "binance-spot"\nsymbols = ["BTCUSDT"]', 'venue = "binance-spot"\nsymbols = ["BTCUSD"]'),
        "strategies.tfpe.symbols: there is no symbol of binance-spot 'BTCUSD'. Did you mean `BTCUSDT`?",
    ),
    ("no symbols", ('symbols = ["BTCUSDT"]', "symbols = []"), "venues.binance-spot.symbols: is empty."),
    ("bad symbol", ('symbols = ["BTCUSDT"]', 'symbols = ["btc usdt"]'), "'btc usdt' is no symbol."),
    ("twice", ('symbols = ["BTCUSDT"]', 'symbols = ["BTCUSDT", "BTCUSDT"]'), "names BTCUSDT twice."),
    ("no venues", ('venues = ["binance-spot"]', "venues = []"), "accounts.master.venues: is empty."),
    (
        "no key",
        ('[accounts.master.keys.binance-spot]\nsource = "demo"\n', ""),
        "accounts.master.keys.binance-spot: is missing.",
    ),
    ("demo key", ('source = "demo"', 'source = "demo"\npath = "k"'), 'has no use with source = "demo".'),
    (
        "env key",
        ('source = "demo"', 'source = "env"\napi_key_env = "K"'),
        'secret_env: is missing with source = "env".',
    ),
    ("file key", ('source = "demo"', 'source = "file"'), 'path: is missing with source = "file".'),
    (
        "override as key",
        ('source = "demo"', 'source = "env"\napi_key_env = "BULKHEAD__A"\nsecret_env = "S"'),
        "api_key_env: would be read as an override.",
    ),
    ("bad zone", ("[simulator]", '[engine]\ntimezone = "Asia/Soul"\n[simulator]'), "Did you mean `Asia/Seoul`?"),
    ("bad zone", ("[simulator]", '[engine]\ntimezone = "KST"\n[simulator]'), "there is no time zone 'KST'."),
    (
        "bad name",
        ("[strategies.tfpe]", "[strategies.My_Strategy]"),
        "strategies.My_Strategy: 'My_Strategy' is no usable name.",
    ),
    ("simulator off", ("enabled = true", "enabled = false"), "environment: is the simulator, which is not enabled."),
    (
        "unknown environment",
        ('kind = "binance-spot"', 'kind = "binance-spot"\nenvironment = "prodution"'),
        "environment: 'prodution' is no environment of binance-spot. Did you mean `production`?",
    ),
    (
        "orders in an unknown environment",
        ('kind = "binance-spot"', 'kind = "binance-spot"\norders = "eea"'),
        "orders: 'eea' is no environment of binance-spot.",
    ),
    (
        "a venue of another name",
        ('kind = "binance-spot"', 'kind = "okx-spot"'),
        "venues.binance-spot: is of kind 'okx-spot'. A venue is named by its kind: [venues.okx-spot]",
    ),
    (
        "two sides where there is one",
        ('kind = "binance-spot"', 'kind = "binance-spot"\nhedge_mode = true'),
        "hedge_mode: is true, but this venue has no two-sided positions.",
    ),
    (
        "depth",
        ('kind = "binance-spot"', 'kind = "binance-spot"\nbook_depth = 7'),
        "book_depth: was 7. Known here: 100, 500, 1000, 5000",
    ),
    (
        "trade mode",
        ('kind = "binance-spot"', 'kind = "binance-spot"\ntrade_mode = "cross"'),
        "trade_mode: was 'cross'. Known here: nothing: this venue has none",
    ),
    (
        "passphrase where there is none",
        ('source = "demo"', 'source = "env"\napi_key_env = "A"\nsecret_env = "B"\npassphrase_env = "C"'),
        'passphrase_env: has no use with source = "env".',
    ),
    (
        "plain text",
        ('kind = "binance-spot"', 'kind = "binance-spot"\nstream_url = "ws://x.example"'),
        "stream_url: would send unencrypted to x.example. Use wss://",
    ),
    (
        "wrong scheme",
        ('kind = "binance-spot"', 'kind = "binance-spot"\nstream_url = "https://x.example"'),
        "stream_url: 'https://x.example' is no wss URL.",
    ),
    (
        "two venues for orders",
        ('kind = "binance-spot"', 'kind = "binance-spot"\nentry_url = "wss://x.example"'),
        "entry_url: orders and their queries would go to different venues.",
    ),
    (
        "demo key on a real venue",
        ('kind = "binance-spot"', LIVE),
        'source: is "demo", which only the simulator accepts.',
    ),
    (
        "live without a stream",
        ("enabled = true", 'enabled = true\nmarket = "live"'),
        'environment: is the simulator, whose own market is to be "live".',
    ),
    (
        "balances of nobody",
        ("[venues.binance-spot]", '[simulator.balances.nobody]\nUSDT = "1"\n[venues.binance-spot]'),
        "simulator.balances.nobody: there is no account 'nobody'.",
    ),
    (
        "negative balance",
        ("[venues.binance-spot]", '[simulator.balances.master]\nUSDT = "-1"\n[venues.binance-spot]'),
        "simulator.balances.master.USDT: was -1, must not be negative.",
    ),
    (
        "back-off upside down",
        ("[simulator]", "[supervision]\nbackoff_first_ms = 9000\n[simulator]"),
        "supervision.backoff_first_ms: 9000 is more than backoff_max_ms = 5000.",
    ),
    (
        "symbol limit too wide",
        ("[risk.accounts.master]", '[risk.firm.symbols.BTCUSDT]\nmax_order_notional = "101"\n[risk.accounts.master]'),
        "risk.firm.symbols.BTCUSDT.max_order_notional: 101 is wider than the scope's 100.",
    ),
    (
        "symbol limits upside down",
        (
            "[risk.accounts.master]",
            '[risk.firm.symbols.BTCUSDT]\nmax_order_qty = "2"\nmax_position_qty = "1"\n[risk.accounts.master]',
        ),
        "max_order_qty: 2 is more than max_position_qty = 1.",
    ),
    (
        "limit of an unknown symbol",
        ("[risk.accounts.master]", '[risk.firm.symbols.BTCUSD]\nmax_order_qty = "2"\n[risk.accounts.master]'),
        "risk.firm.symbols.BTCUSD: there is no symbol of any venue 'BTCUSD'. Did you mean `BTCUSDT`?",
    ),
]


@pytest.mark.req("R143")
@pytest.mark.parametrize("what, change, wanted", MISTAKES, ids=lambda value: str(value)[:30])
def test_each_mistake_is_named_with_file_key_reason_and_fix(
    write: Writer, what: str, change: tuple[str, str], wanted: str
) -> None:
    path = write(change)
    texts = problems(path)
    assert any(wanted in text for text in texts), texts
    assert all(text.startswith(f"{path}: ") for text in texts), texts


def test_all_mistakes_are_reported_together(write: Writer) -> None:
    path = write(
        ("[simulator]", "[simulator]\nsed = 1"),
        ('max_exposure = "1000"', "max_exposure = 1000.5"),
        ('account = "master"', 'account = "nobody"'),
        ('symbols = ["BTCUSDT"]', 'symbols = ["btc"]'),
    )
    keys = [text.removeprefix(f"{path}: ").partition(":")[0] for text in problems(path, {"BULKHEAD__X__Y": "1"})[1:]]
    assert {"simulator.sed", "risk.firm.max_exposure", "strategies.tfpe.account", "venues.binance-spot.symbols"} <= set(
        keys
    )


def test_a_disabled_account_under_a_running_strategy(write: Writer) -> None:
    path = write(("[accounts.master]", "[accounts.master]\nenabled = false"))
    assert problems(path) == [
        f"{path}: strategies.tfpe.enabled: runs on 'master', which is disabled. Disable the strategy as well"
    ]


def test_the_name_of_the_firms_gate_is_taken(write: Writer) -> None:
    path = write(("[accounts.master]", '[accounts.firm]\nvenues = ["binance-spot"]\n[accounts.master]'))
    assert any("'firm' is taken by the firm-wide risk gate" in text for text in problems(path))


def test_an_account_that_does_not_trade_on_the_strategys_venue(write: Writer) -> None:
    more = '[venues.upbit]\nkind = "upbit"\nsymbols = ["BTCUSDT"]\n[accounts.master]'
    path = write(("[accounts.master]", more), ('venue = "binance-spot"', 'venue = "upbit"'))
    assert any("account 'master' does not trade on 'upbit'" in text for text in problems(path))


def test_keys_of_a_venue_that_the_account_does_not_have(write: Writer) -> None:
    path = write(extra='[accounts.master.keys.other]\nsource = "demo"\n')
    assert any("there is no venue of this account 'other'" in text for text in problems(path))


@pytest.mark.parametrize(
    "url, reason",
    [
        ("https://user:word@a.example", "carries credentials or a query"),
        ("https://a.example?x=1", "carries credentials or a query"),
        ("https://", "is no https URL"),
    ],
)
def test_urls_carry_no_credentials(write: Writer, url: str, reason: str) -> None:
    texts = problems(write(('kind = "binance-spot"', f'kind = "binance-spot"\nrest_url = "{url}"')))
    assert any(reason in text for text in texts)
    assert not any("word" in text for text in texts)


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1:9000", "[::1]:9000"])
def test_loopback_needs_no_encryption(write: Writer, host: str) -> None:
    path = write(('kind = "binance-spot"', f'kind = "binance-spot"\nstream_url = "ws://{host}"'))
    assert load_config(path).venues["binance-spot"].stream_url == f"ws://{host}"


# ---- files ---------------------------------------------------------------------------------------------------------


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (text,) = problems("demmo")
    assert text == "demmo: is no profile. Did you mean `demo`? A path needs a `/` or ends in .toml"
    (text,) = problems(tmp_path / "nowhere.toml")
    assert "is no file. Name a file, or a profile: demo, five-venues, live, market, paper, replay" in text
    broken = tmp_path / "broken.toml"
    broken.write_text("[engine\n", encoding="utf-8")
    (text,) = problems(broken)
    assert text.startswith(f"{broken}: is not TOML: ")
    assert "line 1" in text
    broken.write_bytes(b"\xff\xfe")
    (text,) = problems(broken)
    assert "cannot be read" in text
    circle = tmp_path / "circle.toml"
    circle.write_text('extends = "circle.toml"\n', encoding="utf-8")
    (text,) = problems(circle)
    assert text == f"{circle}: extends: extends itself. Break the circle"
    circle.write_text("extends = 7\n", encoding="utf-8")
    (text,) = problems(circle)
    assert text.startswith(f"{circle}: extends: must be text.")


def test_profiles_are_listed() -> None:
    assert profile_names() == ["demo", "five-venues", "live", "market", "paper", "replay"]


# ---- names and codes -----------------------------------------------------------------------------------------------

names = st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True)


@given(st.lists(names, unique=True, max_size=60))
def test_clashes_of_codes_are_those_of_the_order_ids(found: list[str]) -> None:
    for codes, code in ((ACCOUNT_CODES, account_code), (STRATEGY_CODES, strategy_code)):
        clashing = {name for pair in code_clashes(found, codes) for name in pair}
        by_code: dict[str, list[str]] = {}
        for name in found:
            by_code.setdefault(code(name), []).append(name)
        assert clashing == {name for group in by_code.values() if len(group) > 1 for name in group}


def test_two_strategies_with_one_code_are_refused(write: Writer) -> None:
    one, two = next(code_clashes((f"s{number}" for number in range(2_000)), STRATEGY_CODES))
    assert strategy_code(one) == strategy_code(two)
    section = '[strategies.{}]\nkind = "tfpe"\naccount = "master"\nvenue = "binance-spot"\nsymbols = ["BTCUSDT"]\n'
    texts = problems(write(extra=section.format(one) + section.format(two)))
    assert any("would have one code in order ids. Rename one of them" in text for text in texts)


# ---- hash and rendering --------------------------------------------------------------------------------------------


def test_the_hash_follows_the_values_and_not_their_source(write: Writer) -> None:
    one = load_config(write())
    two = load_config(
        write(("[simulator]", "# a comment\n[simulator]"), name="other.toml"),
        {"BULKHEAD__STRATEGIES__TFPE__ENABLED": "true"},
    )
    three = load_config(write(('max_exposure = "1000"', 'max_exposure = "1000.00"')))
    four = load_config(write(), {"BULKHEAD__JOURNAL__INTERVAL_MS": "51"})
    assert one == two
    assert len({one.config_hash(), two.config_hash(), three.config_hash()}) == 1
    assert four.config_hash() != one.config_hash()


def test_the_rendering_shows_values_and_sources(write: Writer) -> None:
    path = write()
    text = render(load_config(path, {"BULKHEAD__DATA__DIR": "/x"}))
    assert 'dir = "/x"  # BULKHEAD__DATA__DIR' in text
    assert "interval_ms = 50  # default" in text
    assert f'max_exposure = "1000"  # {path}' in text
    assert "# socket is not set" in text


@pytest.mark.req("R252")
@pytest.mark.parametrize("name", ["demo", "live", "paper"])
def test_a_rendered_profile_reads_back_as_itself(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    path = tmp_path / "rendered.toml"
    path.write_text(render(config), encoding="utf-8")
    again = load_config(path)
    assert again == config
    assert again.config_hash() == config.config_hash()


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
amounts = st.decimals(min_value=0, max_value=10**9, places=8).map(str)


@settings(deadline=None, max_examples=60)
@given(name=texts, seed=st.integers(0, 2**40), exposure=amounts, flag=st.booleans(), word=texts)
def test_round_trip_of_any_value(name: str, seed: int, exposure: str, flag: bool, word: str) -> None:
    """What is rendered reads back equal, whatever text and numbers are in it."""
    base = load_config("demo")
    strategies = {
        **base.strategies,
        "tfpe": attrs.evolve(
            base.strategies["tfpe"], enabled=flag, params={"a": word, "b": [1, word], "c": {"d": flag}}
        ),
    }
    firm = attrs.evolve(base.risk.firm, max_exposure=Decimal(exposure) + 2_000_000)
    config = attrs.evolve(
        base,
        engine=attrs.evolve(base.engine, name=name),
        simulator=attrs.evolve(base.simulator, seed=seed),
        risk=attrs.evolve(base.risk, firm=firm),
        strategies=strategies,
    )
    again = _read_back(render(config))
    assert again == config
    assert again.config_hash() == config.config_hash()


def _read_back(text: str) -> Config:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.toml"
        path.write_text(text, encoding="utf-8", newline="")
        return load_config(path)


@given(st.integers())
def test_text_of_the_environment_is_read_by_the_fields_type(number: int) -> None:
    assert from_text(str(number), int) == number
    assert from_text(str(number), str) == str(number)
    assert from_text(str(number), Decimal) == str(number)
    assert from_text("true", bool) is True
    assert from_text("maybe", bool) == "maybe"
    assert from_text("", tuple[str, ...]) == []


def test_without_time_zone_data_the_fix_says_so(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(key: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", none)
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    (text,) = problems(write())
    assert text.endswith("Install the system's tzdata")
