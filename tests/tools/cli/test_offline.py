"""Commands that need no engine, help for every command, and what bad input gets."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import attrs
import click
import pytest
from click.testing import CliRunner
from rich.console import Console, Group
from rich.table import Table

from actors.journal.home import JournalHome
from bulkhead import __version__
from config import load_config
from protocols.venue import Capabilities, Channel, Expectation, SessionRules
from protocols.venues.registry import VENUES
from tests.tools.cli.support import BULKHEAD, PATIENCE_S, REPO_ROOT, Said, bulkhead, environment
from tools.cli.app import cli
from tools.cli.client import Client
from tools.cli.common import Cropped, duration, is_terminal, local_time, print_table
from tools.cli.failure import CommandFailure, EngineAbsent
from tools.cli.live import main as live_view
from tools.cli.run import _outside
from tools.cli.venue_words import CAPABILITY_GROUPS, RULE_WORDS
from tools.simulator import derive_credentials


def commands(command: click.Command = cli, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and subcommand, as words."""
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, (*words, name))


# ---- help and usage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    said = bulkhead(*words, "--help")
    assert (said.code, said.err) == (0, "")
    assert re.search(rf"^usage: bulkhead {' '.join(words)}".strip(), said.out, re.IGNORECASE)
    assert len(said.out.splitlines()) > 4
    for line in said.out.splitlines():
        assert len(line) <= 100


def test_the_overview_lists_every_command_with_a_line() -> None:
    said = bulkhead("--help")
    for name in cli.list_commands(click.Context(cli)):
        assert re.search(rf"^  {name} +\S.*\.$", said.out, re.MULTILINE), name
    for code in ("0 done", "1 refused", "2 wrong usage", "3 no engine", "4 unusable"):
        assert code in " ".join(said.out.split())
    assert bulkhead("--version").out.strip().endswith(__version__)


@pytest.mark.parametrize(
    "words, complaint",
    [
        (("frobnicate",), "No such command 'frobnicate'."),
        (("statsu",), "No such command 'statsu'. Did you mean 'status'?"),
        (("simulate",), "No such command 'simulate'. Did you mean 'sim'?"),
        (("run", "--for", "nan"), "nan is no number of seconds"),
        (("run", "--venues", ","), "there is no venue ''; the profile has binance-spot"),
        (("run", "--venues", "upbit,okx"), "there is no venue 'upbit', 'okx'; the profile has binance-spot"),
        (("run", "--for", "-1"), "not in the range"),
        (("run", "--for", "soon"), "not a valid float"),
        (("run", "extra"), "unexpected extra argument"),
        (("run", "--set", "nonsense"), "'nonsense' is not KEY=VALUE"),
        (("run", "--set", "=1"), "'=1' is not KEY=VALUE"),
        (("tap",), "Missing argument 'PATH'"),
        (("actor", "restart"), "Missing argument 'PATH'"),
        (("actor", "crash", "/a", "--where", "later"), "'later' is not one of"),
        (("inspect", "--no-such-option"), "No such option"),
        (("events", "--limit", "0"), "not in the range"),
        (("bench", "everything"), "is not one of"),
        (("bench", "orders", "--seconds", "nan"), "nan is no number of seconds"),
    ],
)
def test_wrong_usage_is_code_2_on_stderr(words: tuple[str, ...], complaint: str) -> None:
    said = bulkhead(*words)
    assert (said.code, said.out) == (2, "")
    assert complaint in said.err
    assert "--help" in said.err


# ---- no engine ---------------------------------------------------------------------------------------------------

_ALONE = ("run", "sim", "replay", "doctor", "bench", "config", "venues", "record", "download", "data")
ASKING = [words for words in commands() if words and words[0] not in _ALONE and words != ("actor",)]


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_without_an_engine_a_command_says_so_with_code_3(tmp_path: Path, words: tuple[str, ...]) -> None:
    path = ["/router"] if words[0] in ("tap", "actor") else []
    for more in ((), ("--json",)):
        said = bulkhead(*words, *path, *more, data=tmp_path)
        assert (said.code, said.out) == (3, "")
        assert said.err.splitlines() == [
            f"bulkhead: no engine serves {tmp_path}/control.sock (No such file or directory)",
            "     fix: start one with `bulkhead run`, or name its socket with --socket",
        ]


STRATEGY_MISTAKES = [
    (
        "strategies.tfpe.params.threshold=hello",
        "strategies.tfpe.params.threshold: was 'hello' (text), must be an integer",
    ),
    ("strategies.tfpe.params.nosuch=1", "strategies.tfpe.params.nosuch: unknown key"),
    ("strategies.tfpe.kind=./nowhere.py:X", "strategies.tfpe.kind: "),
    ("strategies.tfpe.kind=tfep", "there is no strategy 'tfep'. Did you mean `tfpe`? A file is path/to/file.py:Class"),
]


@pytest.mark.parametrize("override, reason", STRATEGY_MISTAKES)
@pytest.mark.parametrize("words", [("run", "--plain", "--for", "0"), ("config", "check")], ids=" ".join)
def test_a_mistake_in_a_strategy_is_told_with_key_and_fix_before_anything_starts(
    tmp_path: Path, words: tuple[str, ...], override: str, reason: str
) -> None:
    said = bulkhead(*words, "--set", override, data=tmp_path / "data")
    assert said.code == 4
    assert said.err.startswith("bulkhead: 1 mistake in the configuration:\n  override strategies.tfpe.")
    assert reason in said.err
    assert not (tmp_path / "data").exists()


def test_a_strategy_that_fails_when_it_is_made_is_a_mistake_and_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    mine, own = tmp_path / "mine.py", tmp_path / "own.toml"
    mine.write_text("from bulkhead import Strategy\nclass Mine(Strategy):\n    def bars(self):\n        return 1 / 0\n")
    own.write_text(
        f'extends = "demo"\n[strategies.own]\nkind = "{mine}:Mine"\naccount = "master"\nvenue = "binance-spot"\n'
        'symbols = ["BTCUSDT"]\n[strategies.maker-btc.params]\nnosuch = 1\n'
    )
    said = bulkhead("config", "check", "--profile", str(own))
    assert said.code == 4
    assert said.err.startswith("bulkhead: 2 mistakes")
    assert f"{own}: strategies.maker-btc.params.nosuch: unknown key" in said.err
    assert "fails when it is made and asked for its bars: ZeroDivisionError" in said.err
    said = bulkhead("doctor", "--no-network", "--set", "strategies.tfpe.params.nosuch=1", data=tmp_path)
    assert said.code == 1
    assert "FAIL strategies: 1 mistake" in said.out


def test_who_starts_an_engine_is_told_where_its_orders_go() -> None:
    def outside(profile: str, **given: object) -> list[str]:
        return _outside(load_config(profile, overrides={key.replace("__", "."): value for key, value in given.items()}))

    assert outside("live") == ["binance-spot production"]
    assert outside("live", **{"venues.binance-spot.environment": "testnet"}) == ["binance-spot testnet"]
    assert outside("live", accounts__master__enabled=False, strategies__tfpe__enabled=False) == []
    for profile in ("demo", "five-venues", "paper", "market"):
        assert outside(profile) == []


def test_disabled_parts_are_told_apart() -> None:
    lines = bulkhead("config", "check", "--profile", "paper").out.splitlines()
    assert lines[1] == (
        "  venues: binance-spot; disabled: binance-usdm, bybit-spot, bybit-linear, okx-spot, okx-swap, upbit"
    )


def test_the_socket_may_be_named_by_option_and_by_environment(tmp_path: Path) -> None:
    assert "other.sock" in bulkhead("status", "--socket", str(tmp_path / "other.sock")).err
    assert "third.sock" in bulkhead("status", env={"BULKHEAD__CONTROL__SOCKET": str(tmp_path / "third.sock")}).err


def test_a_peer_that_is_no_engine_is_an_absent_engine(tmp_path: Path) -> None:
    """It hangs up without a word: the client says so instead of showing nothing."""
    path = tmp_path / "x.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)

    def hang_up() -> None:
        peer, _ = server.accept()
        peer.recv(100)
        peer.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    with Client(path, timeout_s=PATIENCE_S) as client, pytest.raises(EngineAbsent, match="closed the connection"):
        client.call("status")
    thread.join()
    silent = Client(path, timeout_s=0.05)  # it listens, and nobody answers
    with pytest.raises(CommandFailure, match="did not answer in time"):
        silent.call("status")
    silent.close()
    server.close()


# ---- configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("run",), ("config", "check"), ("config", "show"), ("doctor",), ("replay",)])
def test_an_unusable_configuration_is_code_4_with_place_reason_and_fix(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "own.toml"
    file.write_text('extends = "demo"\n[journal]\nsync = "sometimes"\nsinc = 1\n')
    said = bulkhead(*command, "--profile", str(file), data=tmp_path)
    assert (said.code, said.out) == (4, "")
    assert f"{file}: journal.sync: was 'sometimes'" in said.err
    assert 'Write one of "os", "interval", "always"' in said.err
    assert f"{file}: journal.sinc: unknown key" in said.err
    said = bulkhead(*command, "--profile", "demmo", data=tmp_path)
    assert (said.code, said.out) == (4, "")
    assert "Did you mean `demo`?" in said.err


def test_config_check_and_show(tmp_path: Path) -> None:
    said = bulkhead("config", "check")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("demo: usable, hash ")
    assert "strategies: tfpe, maker-btc, maker-alt" in said.out
    checked = bulkhead("config", "check", "--json").json
    assert checked["ok"] is True
    shown = bulkhead("config", "show", "--json", "--set", "journal.sync=always", data=tmp_path).json
    assert shown["values"]["journal"]["sync"] == "always"
    assert shown["sources"]["journal.sync"] == "override journal.sync"
    assert shown["sources"]["data.dir"] == "BULKHEAD__DATA__DIR"
    text = bulkhead("config", "show").out
    assert 'sync = "interval"  # default' in text
    assert 'name = "demo"  # profile demo' in text
    file = tmp_path / "again.toml"
    file.write_text(text)
    assert bulkhead("config", "check", "--profile", str(file), "--json").json["hash"] == checked["hash"]


def test_run_names_a_key_that_is_not_there_and_keeps_it_out_of_sight(tmp_path: Path) -> None:
    said = bulkhead("run", "--plain", "--profile", "live", data=tmp_path)
    assert said.code == 4
    assert "accounts.master.keys.binance-spot.api_key_env: the environment variable it names is not set" in said.err
    assert not (tmp_path / "journal").exists()


# ---- journal -----------------------------------------------------------------------------------------------------


def test_replay_without_a_journal_says_where_it_looked(tmp_path: Path) -> None:
    said = bulkhead("replay", data=tmp_path)
    assert (said.code, said.out) == (1, "")
    assert f"there is no journal at {tmp_path}/journal" in said.err
    assert "--journal" in said.err


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of a run that did nothing."""
    home = JournalHome(tmp_path / "journal")
    home.open(1_700_000_000_000_000_000)
    home.close()
    return tmp_path / "journal"


def test_replay_prints_hashes_and_repairs_only_when_asked(tmp_path: Path, journal: Path) -> None:
    (segment,) = journal.glob("*.jsonl")
    whole = segment.read_bytes()
    assert bulkhead("replay", data=tmp_path).code == 0
    first = bulkhead("replay", "--json", data=tmp_path).json
    assert re.fullmatch(r"[0-9a-f]{64}", first["hash"])
    segment.write_bytes(whole + b'{"seq":2,"half a rec')  # as a crash leaves it
    said = bulkhead("replay", data=tmp_path)
    assert said.code == 0
    assert "unfinished write, which the next start cuts off: " in said.out
    assert "after byte" in bulkhead("doctor", data=tmp_path).out
    assert segment.read_bytes() != whole  # looking changes nothing
    segment.write_bytes(whole + b'{"seq":2,"damaged":1}\n')
    said = bulkhead("replay", data=tmp_path)
    assert (said.code, said.out) == (1, "")
    assert segment.name in said.err
    assert "bulkhead replay --repair" in said.err
    repaired = bulkhead("replay", "--repair", "--json", data=tmp_path)
    assert repaired.code == 0, repaired.err
    assert repaired.json["repaired"]
    assert segment.read_bytes() == whole
    assert repaired.json["hash"] == first["hash"]


# ---- doctor ------------------------------------------------------------------------------------------------------


def test_doctor_checks_and_says_ok(tmp_path: Path, journal: Path) -> None:
    said = bulkhead("doctor", data=tmp_path)
    assert (said.code, said.err) == (0, "")
    checks = [line.partition(":")[0].removeprefix("ok").strip() for line in said.out.splitlines()]
    assert {"python", "package actors", "data folder", "free space", "control socket path", "keys", "journal"} <= set(
        checks
    )
    shown = bulkhead("doctor", "--json", data=tmp_path).json
    assert shown["ok"] is True
    assert [check["check"] for check in shown["checks"]] == checks


def test_doctor_says_where_each_venue_is_and_as_of_when(tmp_path: Path) -> None:
    shown = bulkhead("doctor", "--profile", "five-venues", "--json", data=tmp_path).json
    hosts = {check["check"]: check["detail"] for check in shown["checks"] if check["check"].endswith(" hosts")}
    assert hosts == {f"{kind} hosts": "simulator" for kind in VENUES}
    nowhere = [f"venues.{name}.rest_url=http://127.0.0.1:9" for name in ("upbit", "binance-spot")]
    words = [word for change in (*nowhere, "venues.upbit.enabled=true") for word in ("--set", change)]
    shown = bulkhead("doctor", "--profile", "paper", *words, "--json", data=tmp_path).json
    found = {check["check"]: check for check in shown["checks"]}
    as_of = VENUES["upbit"].environments["production"].as_of
    assert found["upbit hosts"]["detail"] == f"market production, hosts as of {as_of}; orders simulator"
    assert not found["upbit REST"]["ok"]


def test_doctor_names_what_fails_with_a_fix_and_code_1(tmp_path: Path, journal: Path) -> None:
    (segment,) = journal.glob("*.jsonl")
    segment.write_bytes(b"nonsense\n" + segment.read_bytes())
    said = bulkhead("doctor", "--profile", "live", "--no-network", data=tmp_path)
    assert said.code == 1
    failed = re.findall(r"^FAIL ([^:]+):.*\n +fix: \S", said.out, re.MULTILINE)
    assert failed == ["journal", "keys"]
    assert said.err.strip() == "bulkhead: 2 checks failed: journal, keys"
    shown = bulkhead("doctor", "--profile", "live", "--no-network", "--json", data=tmp_path)
    assert shown.code == 1
    assert shown.json["ok"] is False


def test_doctor_finds_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = bulkhead("doctor", data=tmp_path / "file")
    assert said.code == 1
    assert "FAIL data folder" in said.out
    assert "BULKHEAD__DATA__DIR" in said.out


def test_doctor_reaches_a_venue_and_names_one_that_it_cannot_reach(tmp_path: Path) -> None:
    keys = derive_credentials("master")
    env = {
        "BULKHEAD_MASTER_API_KEY": keys.ed25519_key,
        "BULKHEAD_MASTER_PRIVATE_KEY": keys.ed25519_private_pem,
    }

    def examine(url: str) -> Said:
        words = ("--profile", "live", "--set", f"venues.binance-spot.rest_url={url}")
        return bulkhead("doctor", *words, data=tmp_path, env=env)

    said = examine("http://127.0.0.1:9")
    assert said.code == 1
    assert "FAIL binance-spot REST" in said.out
    assert "FAIL binance-spot address: no-such-host.invalid" in examine("https://no-such-host.invalid").out
    with subprocess.Popen(
        [*BULKHEAD, "sim", "--port", "0", "--json", "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPO_ROOT,
    ) as sim:
        assert sim.stdout is not None
        said = examine(json.loads(sim.stdout.readline())["rest"])
        assert sim.stdin is not None
        sim.stdin.close()
    assert (said.code, said.err) == (0, "")
    assert "ok   keys: 1 usable, 1 of them real" in said.out
    assert "ok   binance-spot clock: reached, clock offset" in said.out


# ---- texts -------------------------------------------------------------------------------------------------------


@pytest.mark.req("R098")
def test_people_read_local_time_with_its_zone() -> None:
    at_ns = 1_772_290_799_999_999_999
    assert local_time(at_ns, ZoneInfo("Asia/Seoul")) == "2026-02-28 23:59:59 KST"
    assert local_time(at_ns + 1, ZoneInfo("Asia/Seoul")) == "2026-03-01 00:00:00 KST"
    assert local_time(at_ns, ZoneInfo("UTC")) == "2026-02-28 14:59:59 UTC"


def test_durations_read_like_durations() -> None:
    assert [duration(ns) for ns in (None, 0, 999, 1_500, 2_000_000, 3_500_000_000)] == [
        "-",
        "0 ns",
        "999 ns",
        "1.5 us",
        "2.0 ms",
        "3.5 s",
    ]


def test_a_table_in_a_pipe_is_never_cut_and_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("", ("name", "qty"), [("x" * 300, 1), ("[bold]b[/bold]", 22)], right=("qty",))
    out = capsys.readouterr().out.splitlines()
    assert out[1].startswith("x" * 300)
    assert out[2].startswith("[bold]b[/bold]")
    assert [line[-2:] for line in out[1:]] == [" 1", "22"]
    print_table("restarts", ("a",), [])
    assert capsys.readouterr().out == "restarts: none\n"


def test_the_live_view_refuses_a_zone_that_there_is_not() -> None:
    said = CliRunner().invoke(live_view, ["x.sock", "Mars/Olympus"])
    assert said.exit_code == 2
    assert "there is no time zone 'Mars/Olympus'" in said.stderr


def test_a_narrow_terminal_keeps_the_first_column_and_the_numbers_of_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.cli.common.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    rows = [("/accounts/master/binance-spot/entry", "connected to somewhere", 123_456, "a note that is far too long")]
    print_table("", ("actor", "state", "handled", "note"), rows, right=("handled",))
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("/accounts/master/binance-spot/entry  conne")
    assert "…   123456  a not…" in line
    monkeypatch.setenv("COLUMNS", "30")
    print_table("", ("actor", "state", "handled", "note"), rows, right=("handled",))
    assert capsys.readouterr().out.splitlines()[1] == "/accounts/master/binance-spot/"


def test_a_narrow_screen_loses_what_is_on_the_right_and_no_name() -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("actor", "state", "a", "b", "c", "d"):
        table.add_column(column)
    table.add_row("/accounts/master/binance-spot/entry", "ready", *("x" * 10 for _ in range(4)))
    out = StringIO()
    Console(width=44, file=out).print(Cropped(Group(table), 96))
    assert out.getvalue().splitlines()[1].split() == ["/accounts/master/binance-spot/entry", "ready"]
    assert max(len(line) for line in out.getvalue().splitlines()) <= 44


def test_the_installed_command_runs_without_a_home_and_without_a_terminal(tmp_path: Path) -> None:
    env = {key: value for key, value in environment(tmp_path).items() if key not in ("HOME", "TERM", "LANG", "USER")}
    done = subprocess.run(
        [*BULKHEAD, "config", "check", "--json"],
        env=env,
        cwd=REPO_ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True
    assert os.listdir(tmp_path) == []  # checking writes nothing


def said_by_the_process(
    words: tuple[str, ...], tmp_path: Path, *, stdout: str, more: Mapping[str, str]
) -> tuple[int, str]:
    """Exit code and stderr of a command whose stdout is the file `stdout`, or closed ("")."""
    redirect = f'>"{stdout}"' if stdout else ">&-"
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirect}', "sh", *BULKHEAD, *words],
        env=environment(tmp_path, **more),
        cwd=REPO_ROOT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stderr


def test_output_that_cannot_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    full = said_by_the_process(("venues",), tmp_path, stdout="/dev/full", more={})
    assert full == (1, "bulkhead: the output cannot be written: No space left on device\n")
    assert said_by_the_process(("venues",), tmp_path, stdout="", more={}) == (0, "")


def test_a_terminal_without_our_letters_shows_them_spelled_out(tmp_path: Path) -> None:
    file = tmp_path / "out"
    words = ("config", "show", "--set", "engine.name=\ud55c\u00e9")
    assert said_by_the_process(words, tmp_path, stdout=str(file), more={"PYTHONIOENCODING": "latin-1"}) == (0, "")
    assert 'name = "\\ud55c\u00e9"' in file.read_text(encoding="latin-1")


@pytest.mark.parametrize("term, terminal", [("xterm-256color", True), ("dumb", False), ("unknown", False), ("", False)])
def test_a_terminal_that_cannot_move_its_cursor_is_written_to_as_a_file_is(
    term: str, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert is_terminal() is terminal


def test_a_file_of_the_journal_is_not_the_journal(tmp_path: Path) -> None:
    segment = tmp_path / "000000000001.jsonl"
    segment.touch()
    said = bulkhead("replay", "--journal", str(segment))
    assert said.code == 1
    assert said.err.splitlines()[1] == f"     fix: name the folder of the journal: --journal {tmp_path}"


# ---- venues ------------------------------------------------------------------------------------------------------


def test_the_table_of_venues_has_a_row_for_every_kind_with_its_capabilities() -> None:
    lines = bulkhead("venues").out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines[1 : 1 + len(VENUES)]}
    assert set(rows) == set(VENUES)
    columns = lines[0].split()
    assert columns[:4] == ["venue", "product", "ws", "orders"]
    assert {kind: row[2] for kind, row in rows.items()} == {
        kind: "yes" if parts.capabilities.ws_order_entry else "-" for kind, parts in VENUES.items()
    }


def test_a_narrow_terminal_gets_a_column_for_each_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.cli.venues.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    rows = [line.split() for line in bulkhead("venues").out.splitlines()]
    assert rows[0] + rows[1] == [*(word for kind in VENUES for word in kind.split("-")[:1] if "-" in kind)] + [
        kind.partition("-")[2] or kind for kind in VENUES
    ]
    amends = next(row for row in rows if row[:1] == ["amend"])
    assert dict(zip(VENUES, amends[1:], strict=True))["binance-usdm"] == "price"
    assert max(len(line) for line in bulkhead("venues").out.splitlines()[:-2]) <= 80


def test_venues_as_json_say_capabilities_limits_and_dated_addresses() -> None:
    said = json.loads(bulkhead("venues", "--json").out)
    assert set(said) == set(VENUES)
    for kind, parts in VENUES.items():
        told = said[kind]
        assert told["capabilities"]["batch_size_max"] == parts.capabilities.batch_size_max
        assert told["environments"]["production"]["as_of"] == parts.environments["production"].as_of
        assert [limit["limit"] for limit in told["limits"]] == [limit.limit for limit in parts.limits]
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", told["limits_as_of"])


@pytest.mark.parametrize("kind", sorted(VENUES))
def test_one_venue_is_shown_with_everything_known_about_it(kind: str) -> None:
    out = bulkhead("venues", kind).out
    for at in VENUES[kind].environments.values():
        assert at.rest_url in out
        assert at.as_of in out
    assert f"limits as of {VENUES[kind].limits_as_of}" in out
    assert list(json.loads(bulkhead("venues", kind, "--json").out)) == [kind]


def test_no_fact_of_a_venue_is_without_words_or_unshown() -> None:
    """Who adds a capability says in `tools/cli/venue_words.py` what it means to an operator."""
    worded = [name for words in CAPABILITY_GROUPS.values() for name in words]
    assert sorted(worded) == sorted(field.name for field in attrs.fields(Capabilities))
    assert sorted([*RULE_WORDS, "expectations"]) == sorted(field.name for field in attrs.fields(SessionRules))


@pytest.mark.parametrize("kind", sorted(VENUES))
def test_the_page_of_a_venue_says_what_it_can_and_how_soon_its_streams_speak(kind: str) -> None:
    parts, out = VENUES[kind], bulkhead("venues", kind).out.splitlines()
    rows = {line.split()[0]: line for line in out if line}
    can = parts.capabilities
    assert re.match(rf"triggers +{'STOP' if can.triggers else '-'}", rows["triggers"])
    assert re.match(rf"amends_price +{'yes' if can.amends_price else '-'} ", rows["amends_price"])
    assert re.match(rf"batch_size_max +{can.batch_size_max} ", rows["batch_size_max"])
    for channel in can.channels:
        assert len(rows[channel.value].split()) >= 4
    promised = parts.rules.expectations.get(Channel.BOOK, Expectation()).first_ns
    assert rows["book"].split()[1] == (str(promised // 1_000_000_000) if promised else "-")


def test_a_kind_of_venue_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    said = bulkhead("venues", "okx")
    assert said.code == 1
    assert "okx-swap" in said.err
