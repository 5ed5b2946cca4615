"""Every command that speaks to a running engine, at one real engine on the demo profile.

The engine is a process of its own with its simulator as a child, as `make run` starts it.  The tests leave it trading.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from actors.journal.replay import read
from protocols.journal import OperatorCommand, OrderIntent, RunStopped, StateSnapshot
from tests.tools.cli.support import BULKHEAD, PATIENCE_S, REPO_ROOT, Engine, bulkhead, columns, environment, lines
from tools.cli.client import Client
from tools.cli.live import frame, snapshot

MASTER_ACCOUNT = "/accounts/master/binance-spot/account"


def until(condition: Callable[[], Any]) -> Any:
    """What `condition` gives when it gives something; the engine is another process, so we can only look again."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A demo that trades."""
    running = Engine(tmp_path_factory.mktemp("engine"), "--for", "600")
    try:
        until(lambda: "trading: all" in running.out or running.process.poll() is not None)
        assert running.process.poll() is None, running.err
        until(lambda: running.ask("positions", "--json").json)
        yield running
    finally:
        running.kill()


def tree(engine: Engine) -> dict[str, dict[str, Any]]:
    """Rows of all actors by address."""
    return {row["path"]: row for row in engine.ask("inspect", "--json").json if row["kind"] != "supervisor"}


# ---- looking -----------------------------------------------------------------------------------------------------


def test_the_start_says_what_it_does_and_where_things_are(engine: Engine) -> None:
    first, *rest = engine.out.splitlines()
    assert f"bulkhead demo: data in {engine.data}, control socket {engine.data}/control.sock" in first
    assert any("starting: " in text and "waiting for" in text for text in rest)
    assert any(re.search(r"trading: all \d+ actors are ready", text) for text in rest)
    assert engine.err == ""


@pytest.mark.req("R098")
def test_times_are_korean_and_say_so(engine: Engine) -> None:
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d KST  bulkhead demo", engine.out)
    until(lambda: "P&L" in engine.out)
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d KST  ", text) for text in engine.out.splitlines())


def test_status_in_one_line_and_for_scripts(engine: Engine) -> None:
    said = engine.ask("status")
    assert said.code == 0
    assert re.match(r"demo \(\S+\): (\d+) of \1 actors ready, [\d,]+ messages, ", said.out)
    shown = engine.ask("status", "--json").json
    assert shown["ready"] == shown["actors"]
    assert shown["not_ready"] == []
    assert shown["handled"] > 0


def test_inspect_draws_the_tree(engine: Engine) -> None:
    said = engine.ask("inspect")
    assert said.code == 0
    assert said.err == ""
    text = said.out
    assert "rest_for_one" in text
    names = [columns(line)[0] for line in lines(said)]
    assert names[1:8] == ["root", "console", "control", "simulator", "binance-spot", "trading", "journal"]
    assert "engine" in names
    assert names.count("root") == 1
    indents = {columns(line)[0]: len(line) - len(line.lstrip()) for line in lines(said)}
    assert indents["root"] < indents["trading"] < indents["engine"] < indents["portfolio"]
    row = next(line for line in lines(said) if columns(line)[0] == "firm")
    assert columns(row)[1] == "*"


def test_inspect_shows_a_part_of_the_tree_and_one_actor(engine: Engine) -> None:
    part = engine.ask("inspect", "/accounts/master")
    assert [columns(line)[0] for line in lines(part)][1:] == [
        "master",
        "binance-spot",
        "reconciler",
        "private",
        "entry",
        "account",
    ]
    said = engine.ask("inspect", MASTER_ACCOUNT)
    assert said.out.startswith(f"{MASTER_ACCOUNT}  AccountActor  epoch ")
    for word in ("mailbox", "handling", "messages", "ExecutionReport", "state", "live_orders", "restarts"):
        assert word in said.out
    shown = engine.ask("inspect", MASTER_ACCOUNT, "--json").json
    assert shown["kind"] == "AccountActor"
    assert shown["counts"]["ExecutionReport"] > 0
    assert engine.ask("inspect", "/", "--json").json[0]["name"] == "root"


def test_inspect_of_nobody_says_who_was_meant(engine: Engine) -> None:
    said = engine.ask("inspect", "/accounts/master/binance-spot/acount")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines() == [
        "bulkhead: no actor at /accounts/master/binance-spot/acount",
        f"     fix: did you mean {MASTER_ACCOUNT}? `bulkhead inspect` shows the addresses",
    ]


def test_dead_letters_and_events_have_a_word_for_nothing(engine: Engine) -> None:
    shown = engine.ask("inspect", "--dead")
    assert shown.code == 0
    if not engine.ask("inspect", "--dead", "--json").json:
        assert shown.out == "no dead letters: every message has been handled\n"
    assert engine.ask("events", "--limit", "3").code == 0
    assert engine.ask("events", "--limit", "0").code == 2


def test_tap_prints_what_an_actor_gets_as_it_comes(engine: Engine) -> None:
    tapping = subprocess.Popen(
        [*BULKHEAD, "tap", "/portfolio", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(engine.data),
        cwd=REPO_ROOT,
    )
    assert tapping.stdout is not None
    try:
        events = [json.loads(tapping.stdout.readline()) for _ in range(5)]
    finally:
        tapping.send_signal(signal.SIGINT)
    _, err = tapping.communicate(timeout=PATIENCE_S)
    assert tapping.returncode == 0, err
    assert err == b""
    assert {event["kind"] for event in events} & {"Quote", "Trade", "ExecutionReport", "BalancesChanged"}
    assert any("symbol" in event["message"] for event in events)
    assert [event["at_ns"] for event in events] == sorted(event["at_ns"] for event in events)


def test_tap_of_nobody_is_refused(engine: Engine) -> None:
    said = engine.ask("tap", "/nobody")
    assert said.code == 1
    assert "no actor at /nobody" in said.err


# ---- money -------------------------------------------------------------------------------------------------------


def test_orders_positions_balances_and_pnl_as_tables_and_as_json(engine: Engine) -> None:
    orders = until(lambda: engine.ask("orders", "--json").json)
    assert {"account", "symbol", "side", "price", "order_qty", "ord_status", "cl_ord_id", "in_doubt"} <= set(orders[0])
    Decimal(orders[0]["order_qty"])
    positions = engine.ask("positions", "--json").json
    assert {(p["account"], p["strategy"]) for p in positions} <= {
        (a, s) for a in ("master", "sub1") for s in ("tfpe", "maker-btc", "maker-alt", "manual")
    }
    balances = engine.ask("balances", "--account", "master", "--json").json
    assert {b["account"] for b in balances} == {"master"}
    assert "USDT" in {b["asset"] for b in balances}
    pnl = engine.ask("pnl", "--json").json
    assert all(isinstance(row["realized"], str) for row in pnl)
    for command, heading in (("orders", "ClOrdID"), ("positions", "avg px"), ("balances", "free"), ("pnl", "total")):
        said = engine.ask(command)
        assert (said.code, said.err) == (0, "")
        assert heading in said.out or said.out.startswith("no ")
    summed = engine.ask("balances", "--sum", "--json").json
    assert {row["asset"] for row in summed} >= {b["asset"] for b in balances}
    assert "total" in engine.ask("balances", "--sum").out


def test_an_unknown_account_is_refused_with_the_known_ones(engine: Engine) -> None:
    said = engine.ask("orders", "--account", "nobody")
    assert (said.code, said.out) == (1, "")
    assert "no account nobody" in said.err
    assert "fix: one of master, sub1" in said.err


def test_risk_shows_scopes_limits_and_use(engine: Engine) -> None:
    said = engine.ask("risk")
    assert [line.partition(":")[0] for line in lines(said) if ": active" in line] == ["firm", "master", "sub1"]
    assert "max_exposure" in said.out
    assert "Infinity" not in said.out
    assert {"firm", "master", "sub1"} == {shown["scope"] for shown in engine.ask("risk", "--json").json}


# ---- handling actors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/router", "/portfolio", "/risk/sub1", "/strategies/maker-alt", "/control", MASTER_ACCOUNT],
)
def test_a_restarted_actor_is_ready_again_and_the_others_go_on(engine: Engine, path: str) -> None:
    before = tree(engine)
    said = engine.ask("actor", "restart", path, "--json")
    assert said.code == 0, said.err
    assert said.json["ready"] is True
    assert said.json["epoch"] == before[path]["epoch"] + 1
    assert said.json["recovery_ns"] > 0
    after = tree(engine)
    assert {p for p in after if after[p]["epoch"] != before[p]["epoch"]} == {path}
    assert all(after[p]["handled"] >= before[p]["handled"] for p in after)
    until(lambda: tree(engine)["/risk/firm"]["handled"] > after["/risk/firm"]["handled"])
    events = engine.ask("events", "--json").json
    assert ("restarted", path) in {(e["what"], e["path"]) for e in events}


def test_a_crash_on_request_is_repaired_and_reported(engine: Engine) -> None:
    epoch = tree(engine)["/portfolio"]["epoch"]
    assert engine.ask("actor", "crash", "/portfolio").out == "/portfolio: crash ordered (now)\n"
    until(lambda: tree(engine)["/portfolio"]["epoch"] == epoch + 1 and tree(engine)["/portfolio"]["ready"])
    shown = engine.ask("inspect", "/portfolio")
    assert "ChaosCrash" in shown.out
    until(lambda: "crash /portfolio" in engine.out)
    assert "ChaosCrash" in engine.ask("events").out


def test_a_strategy_is_paused_and_resumed(engine: Engine) -> None:
    said = engine.ask("actor", "pause", "/strategies/maker-alt")
    assert said.out == "/strategies/maker-alt: paused (it makes no new decisions; its orders stay)\n"
    assert "again" in engine.ask("actor", "resume", "/strategies/maker-alt").out
    hard = engine.ask("actor", "pause", "/portfolio", "--hard")
    assert "its mail waits" in hard.out
    row = next(line for line in lines(engine.ask("inspect")) if columns(line)[0] == "portfolio")
    assert columns(row)[1] == "="
    assert "flows again" in engine.ask("actor", "resume", "/portfolio", "--hard").out


@pytest.mark.parametrize("words", [("restart", "/nobody"), ("crash", "/nobody"), ("pause", "/nobody")])
def test_nobody_can_be_handled(engine: Engine, words: tuple[str, str]) -> None:
    said = engine.ask("actor", *words)
    assert (said.code, said.out) == (1, "")
    assert "no actor at /nobody" in said.err


# ---- halting -----------------------------------------------------------------------------------------------------


@pytest.mark.req("R162")
def test_kill_stops_trading_at_once_and_unkill_takes_two_steps(engine: Engine) -> None:
    until(lambda: engine.ask("orders", "--json").json)
    said = engine.ask("kill", "--cause", "drill")
    assert said.code == 0
    assert said.out.startswith("firm: halted; cancels sent to master/binance-spot, sub1/binance-spot")
    assert engine.ask("risk", "--json").json[0]["state"] == "halted"
    until(lambda: engine.ask("orders", "--json").json == [])
    assert engine.ask("orders").out == "no live orders\n"
    until(lambda: "FIRM HALTED, " in engine.out)
    assert re.search(r"trading state /risk/firm .*: firm is halted: drill \(\S+ \(uid \d+\)\)", engine.out)
    refused = engine.ask("unkill", "--code", "000000")
    assert (refused.code, refused.out) == (1, "")
    assert "not valid" in refused.err
    first = engine.ask("unkill")
    assert "to release, within 60 s: bulkhead unkill --scope firm --code " in first.out
    assert engine.ask("risk", "--json").json[0]["state"] == "halted"  # asking is not releasing
    code = first.out.split()[-1]
    assert engine.ask("unkill", "--code", code).out == "firm: active\n"
    assert engine.ask("unkill", "--code", code).code == 1  # a code is good once
    until(lambda: engine.ask("orders", "--json").json)
    ordered = [s.record for s in read(engine.data / "journal") if isinstance(s.record, OperatorCommand)]
    assert [(o.verb, "cause=drill" in o.detail) for o in ordered if o.verb in ("kill", "unkill")] == [
        ("kill", True),
        ("unkill", False),
    ]
    assert any(e["event"] == "actor_ordered" and "kill" in e["text"] for e in engine.log())


def test_one_account_can_be_halted_alone(engine: Engine) -> None:
    result = engine.ask("kill", "--scope", "sub1", "--reduce-only", "--keep-orders", "--json").json
    assert (result["state"], result["cancels_sent_to"]) == ("reducing", [])
    states = {shown["scope"]: shown["state"] for shown in engine.ask("risk", "--json").json}
    assert states == {"firm": "active", "master": "active", "sub1": "reducing"}
    code = engine.ask("unkill", "--scope", "sub1", "--json").json["code"]
    assert engine.ask("unkill", "--scope", "sub1", "--code", code, "--json").json["state"] == "active"
    said = engine.ask("kill", "--scope", "everything")
    assert (said.code, "firm, or one of master, sub1" in said.err) == (1, True)


# ---- venues --------------------------------------------------------------------------------------------------------


def test_status_has_a_row_for_each_venue(engine: Engine) -> None:
    (row,) = engine.ask("status", "--json").json["venues"]
    assert (row["venue"], row["ready"], row["why"]) == ("binance-spot", True, "")
    assert (row["books_proven"], row["books"]) == (3, 3)
    assert (row["accounts_ready"], row["accounts"]) == (2, 2)
    assert abs(row["clock_offset_ms"]) < 1_000
    assert (row["blocked_until_ns"], row["blocked_because"]) == (0, "")
    assert re.fullmatch(r"\S+/\d+s(/\S+)? \d+ of \d+", row["fullest_limit"])
    said = engine.ask("status").out.splitlines()
    (line,) = [text for text in said if text.startswith("binance-spot")]
    assert columns(line)[1:3] == ["up", "3/3"]


def test_a_budget_without_end_is_called_unlimited(engine: Engine) -> None:
    notes = {row["name"]: row["note"] for row in engine.ask("inspect", "--json").json if row["kind"] == "supervisor"}
    for name in ("console", "simulator", "venues"):
        assert "/unlimited money=" in notes[name]
    assert "unlimited" not in notes["trading"]


def test_the_live_view_shows_every_venue(engine: Engine) -> None:
    with Client(engine.data / "control.sock") as client:
        shown = snapshot(client)
    with StringIO() as drawn:
        Console(file=drawn, width=160, height=50).print(frame(shown, ZoneInfo("Asia/Seoul"), 0.0, 50))
        text = drawn.getvalue()
    (line,) = [text for text in text.splitlines() if text.startswith("binance-spot")]
    assert line.split()[1:3] == ["up", "3/3"]
    assert "total USDT" in text or "total" in text
    shown["status"]["venues"][0] |= {
        "blocked_until_ns": shown["status"]["now_ns"] + 90_000_000_000,
        "blocked_because": "418 banned",
        "clock_offset_ms": None,
    }
    shown["status"]["journal_failure"] = "No space left on device"
    with StringIO() as drawn:
        Console(file=drawn, width=200, height=50).print(frame(shown, ZoneInfo("Asia/Seoul"), 0.0, 50))
        text = drawn.getvalue()
    assert "blocked for 90 s: 418 banned" in text
    assert "the journal cannot write, no order leaves: No space left on device" in text


# ---- what the documents tell people to type ----------------------------------------------------------------------


def test_every_question_in_the_manual_is_answered(engine: Engine) -> None:
    """The commands of the section that only looks, typed as they stand there."""
    manual = (REPO_ROOT / "docs" / "operator.md").read_text()
    section = manual.partition("## Look into a running engine")[2].partition("## Give orders")[0]
    asked = [shlex.split(text) for text in re.findall(r"^    bulkhead (.+)$", section, re.MULTILINE)]
    assert len(asked) > 8
    for words in asked:
        if "--watch" in words or words[0] == "tap":
            continue  # they do not end by themselves, and have tests of their own
        for more in ((), ("--json",)):
            said = engine.ask(*words, *more)
            assert (said.code, said.err) == (0, ""), words
            assert said.out
            if more:
                said.json  # noqa: B018 - it parses


# ---- files, pictures, a second engine ----------------------------------------------------------------------------


def test_the_data_folder_is_private_and_the_log_has_the_same_fields_everywhere(engine: Engine) -> None:
    assert stat.S_IMODE((engine.data / "control.sock").stat().st_mode) == 0o600
    log = engine.log()
    assert (log[0]["event"], log[0]["name"]) == ("engine_starting", "demo")
    assert log[0]["profile"] == "demo"
    assert all({"t", "event", "level"} <= set(entry) for entry in log)
    actors = [entry for entry in log if entry["event"].startswith("actor_")]
    assert all({"path", "epoch", "text"} <= set(entry) for entry in actors)
    assert {"actor_starting", "actor_ready", "actor_connected"} <= {entry["event"] for entry in actors}


def test_the_live_view_becomes_a_picture(engine: Engine) -> None:
    file = engine.data / "view.svg"
    done = subprocess.run(
        [BULKHEAD[0], "-m", "tools.cli.live", str(engine.data / "control.sock"), "Asia/Seoul", "--export", str(file)],
        cwd=REPO_ROOT,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    picture = file.read_text()
    for text in ("bulkhead", "demo", "actors", "ready", "realized", "order", "entry", "firm"):
        assert text in picture
    assert len(picture) < 150_000


def test_a_second_engine_in_the_same_folder_is_refused_before_anything_starts(engine: Engine) -> None:
    second = subprocess.run(
        [*BULKHEAD, "run", "--plain", "--for", "1"],
        env=environment(engine.data),
        cwd=REPO_ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert second.returncode == 1
    assert "is in use by another engine" in second.stderr
    assert "data.dir of its own" in second.stderr
    assert engine.ask("status").code == 0


def test_replay_of_a_running_engines_journal_gives_the_state_so_far(engine: Engine) -> None:
    said = bulkhead("replay", data=engine.data)
    assert said.code == 0, said.err
    assert re.search(r"^[0-9a-f]{64}  account/master/binance-spot  [\d,]+ records", said.out, re.MULTILINE)
    assert re.search(
        r"^[0-9a-f]{64}  all accounts, [\d,]+ records of 1 run in the journal, 1 run without", said.out, re.MULTILINE
    )


# ---- the end -----------------------------------------------------------------------------------------------------


@pytest.mark.req("R121", "R122", "R124")
def test_stop_drains_and_leaves_a_summary(engine: Engine) -> None:
    """The last test of this file: the engine is gone afterwards."""
    until(lambda: engine.ask("orders", "--json").json)
    assert engine.ask("stop").out == "stopping\n"
    assert engine.wait() == 0
    assert engine.err == ""
    tail = engine.out[engine.out.index("draining (`bulkhead stop` of") :]
    assert "0 dead letters" in tail or "no dead letters" in tail
    assert "no orders left open" in tail
    assert re.search(r"^  total ", tail, re.MULTILINE)
    assert f"log: {engine.data}/logs/" in tail
    assert not (engine.data / "control.sock").exists()
    log = engine.log()
    assert log[-1]["event"] == "engine_stopped"
    drained = next(entry["t"] for entry in log if entry["event"] == "draining")
    records = [stored.record for stored in read(engine.data / "journal")]
    accepted = [record.accepted_ns for record in records if isinstance(record, OrderIntent)]
    assert accepted
    assert max(accepted) <= drained  # no new entries
    assert isinstance(records[-1], RunStopped)
    assert any(isinstance(record, StateSnapshot) for record in records[-6:])
    said = engine.ask("status")
    assert (said.code, said.out) == (3, "")
    assert "no engine serves" in said.err
    assert "bulkhead run" in said.err
