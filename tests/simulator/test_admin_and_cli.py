"""The simulator's own endpoints and its command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulator.wire import Rest, now_of, rest_of, running, until, ws_api_of
from tools.simulator import CaptureConfig, GeneratorConfig, KeyKind, derive_credentials
from tools.simulator.cli import build_config, build_parser, main

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "80000.00",
    "newClientOrderId": "seen-once",
}


async def test_state_shows_what_happened() -> None:
    async with running() as sim, rest_of(sim) as rest:
        await rest.signed("POST", "order", **ORDER)
        state = (await rest.client.get("/sim/state")).json()
        assert state["arrivals"] == {"seen-once": [1, 1]}
        assert state["accounts"]["alpha"]["orders"][0]["ord_status"] == "NEW"
        assert state["accounts"]["alpha"]["balances"]["USDT"] == ["999920.00000000", "80.00000000"]
        assert state["requests"] == {"order.place": 1}
        assert state["markets"]["BTCUSDT"]["open_orders"] == 1
        assert [connection["kind"] for connection in state["connections"]] == ["rest"]
        assert state["failures"] == []
        assert sim.state()["arrivals"] == state["arrivals"]


async def test_accounts_are_opened_and_funded_live() -> None:
    async with running() as sim, rest_of(sim) as rest:
        made = (await rest.client.post("/sim/accounts", json={"name": "gamma", "balances": {"USDT": "500"}})).json()
        assert made["hmac_secret"] == derive_credentials("gamma").hmac_secret
        own = {"name": "delta", "api_key": "k" * 64, "secret": "s", "kind": "HMAC"}
        assert (await rest.client.post("/sim/accounts", json=own)).json() == {"name": "delta", "api_key": "k" * 64}
        async with ws_api_of(sim, "gamma") as api:
            await api.ready()
            body = {"account": "gamma", "asset": "USDT", "amount": "-100.5"}
            assert (await rest.client.post("/sim/deposit", json=body)).status_code == 200
            event = await api.event("balanceUpdate")
            assert (event["a"], event["d"]) == ("USDT", "-100.50000000")
        assert sim.balances("gamma")["USDT"] == (Decimal("399.5"), Decimal(0))
        listed = (await rest.client.get("/sim/accounts")).json()
        assert set(listed) == {"alpha", "beta", "gamma", "delta"}
        assert "secret" not in json.dumps(listed)


async def test_faults_trades_and_quotes_live() -> None:
    async with running() as sim, rest_of(sim) as rest:
        admin = rest.client
        rule = {"kind": "error_before", "match": "order.place", "count": None}
        number = (await admin.post("/sim/fault", json=rule)).json()["fault_id"]
        assert (await rest.signed("POST", "order", **ORDER)).status_code == 503
        listed = (await admin.get("/sim/fault")).json()
        assert [fault["fault_id"] for fault in listed["faults"]] == [number]
        assert listed["fault_counts"] == {"error_before": 1}
        await admin.request("DELETE", "/sim/fault", json={"fault_id": number})
        assert (await rest.signed("POST", "order", **ORDER)).status_code == 200
        await admin.post("/sim/fault", json=rule)
        await admin.request("DELETE", "/sim/fault")
        assert not sim.faults.active()
        trade = {"symbol": "BTCUSDT", "side": "SELL", "qty": "100000", "price": "80000"}
        await admin.post("/sim/trade", json=trade)
        assert sim.open_orders("alpha") == []
        (fill,) = (await admin.get("/sim/fills")).json()["alpha"]["BTCUSDT"]
        (known,) = sim.fills("alpha", "BTCUSDT")
        assert (fill["trade_id"], Decimal(fill["qty"])) == (known.trade.trade_id, known.trade.qty)
        quote = {"symbol": "BTCUSDT", "side": "BUY", "qty": "3", "price": "79999.99"}
        await admin.post("/sim/quote", json=quote)
        top = sim.exchange.markets["BTCUSDT"].top()
        assert (top.bid, top.bid_qty) == (Decimal("79999.99"), Decimal(3))


@pytest.mark.parametrize(
    "verb,path,body,status,text",
    [
        ("GET", "/sim/nothing", None, 404, "GET /sim/state is a good start"),
        ("POST", "/sim/fault", {"kind": "explode"}, 400, "explode"),
        ("POST", "/sim/fault", {"kind": "drop", "colour": "red"}, 400, "colour"),
        ("DELETE", "/sim/fault", {"fault_id": 99}, 400, "no rule 99"),
        ("POST", "/sim/trade", {"symbol": "BTCUSDT"}, 400, "'side'"),
        ("POST", "/sim/trade", {"symbol": "BTCUSDT", "side": "BUY", "qty": 1.5}, 400, "'qty'"),
        ("POST", "/sim/trade", {"symbol": "X", "side": "BUY", "qty": "1"}, 400, "X"),
        ("POST", "/sim/accounts", {"name": "alpha"}, 400, "exists already"),
        ("POST", "/sim/deposit", {"account": "alpha", "asset": "USDT", "amount": "-1e12"}, 400, "cannot take"),
        ("POST", "/sim/deposit", {"account": "nobody", "asset": "USDT", "amount": "1"}, 400, "no account"),
        ("POST", "/sim/replay", {}, 400, "no replay"),
        ("POST", "/sim/stop", [], 400, "JSON object"),
    ],
)
async def test_admin_complaints_name_what_is_wrong(verb: str, path: str, body: Any, status: int, text: str) -> None:
    async with running() as sim, rest_of(sim) as rest:
        response = await rest.client.request(verb, path, content=json.dumps(body) if body is not None else None)
        assert response.status_code == status
        assert text in response.json()["error"]


async def test_keys_are_derived_alike_on_both_sides() -> None:
    async with running(seed=1) as sim, httpx.AsyncClient(base_url=sim.rest_url, trust_env=False) as client:
        rest = Rest(client, derive_credentials("alpha", 1), now_of(sim))
        assert (await rest.signed("GET", "account")).status_code == 200
        assert derive_credentials("alpha", 2).hmac_key != rest.keys.hmac_key
        assert rest.keys.hmac_secret not in repr(rest.keys)
        assert "PRIVATE" not in repr(rest.keys)


# ---------------------------------------------------------------------------------------------- command line
@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`python -m tools.simulator --json` on a free port, and its first line."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tools.simulator", "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert child.stdout is not None
    try:
        yield child, json.loads(child.stdout.readline())
    finally:
        child.kill()
        child.communicate()


def test_a_process_serves_and_stops_on_request() -> None:
    with process("--demo-account", "alpha", "--show-keys", "--fault", "drop,match=*@depth*,count=forever") as (
        child,
        ready,
    ):
        assert ready["event"] == "ready"
        assert ready["keys"]["alpha"]["hmac_key"] == derive_credentials("alpha").hmac_key
        state = httpx.get(ready["rest"] + "/sim/state", trust_env=False).json()
        assert state["faults"][0]["kind"] == "drop"
        httpx.post(ready["rest"] + "/sim/stop", trust_env=False)
        assert child.wait(timeout=20) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_stops_on_signals(number: int) -> None:
    with process() as (child, _):
        child.send_signal(number)
        assert child.wait(timeout=20) == 0


def test_a_replay_ends_by_itself(tmp_path: Path) -> None:
    from tests.simulator.test_replay import RECORDS, write_capture

    path = write_capture(tmp_path / "small.jsonl.gz", RECORDS)
    with process("--capture", str(path), "--speed", "max", "--exit-when-done") as (child, _):
        assert child.stdout is not None
        done = json.loads(child.stdout.readline())
        assert (done["event"], done["sent"], done["done"]) == ("replay_done", 5, True)
        assert child.wait(timeout=20) == 0


def test_a_taken_port_is_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    with process() as (_, ready):
        assert main(["--port", str(ready["port"])]) == 1
    assert "cannot listen on 127.0.0.1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments,text",
    [
        (["--symbols", "NOPEUSDT"], "no built-in instrument NOPEUSDT"),
        (["--capture", "/no/such/file"], "/no/such/file"),
        (["--exchange-info", "/no/such/file"], "/no/such/file"),
        (["--speed", "fast", "--capture", "x"], "--speed 'fast': must be a number"),
        (["--rate", "0"], "--rate 0"),
        (["--price", "BTCUSDT"], "--price 'BTCUSDT': must have the form NAME=VALUE"),
        (["--price", "BTCUSDT=cheap"], "--price BTCUSDT=cheap: must be a number above zero"),
        (["--price", "BTCUSDT=-1"], "--price BTCUSDT=-1: must be a number above zero"),
        (["--price", "BTCUSDT=inf"], "--price BTCUSDT=inf: must be a number above zero"),
        (["--port", "99999"], "--port 99999: must be 0 (any free one) to 65535"),
        (["--limit", "weight=many"], "--limit weight=many"),
        (["--limit", "colour=1"], "names are weight"),
        (["--fault", "explode"], "kinds are"),
        (["--request-latency", "x"], "latency 'x'"),
        (["--accounts", "/no/such/file"], "/no/such/file"),
    ],
)
def test_wrong_options_are_exit_code_two(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert text in capsys.readouterr().err


def test_options_reach_the_configuration(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.json"
    row = {"name": "a", "balances": {"USDT": "5"}, "keys": [{"api_key": "k", "kind": "HMAC", "secret": "s"}]}
    accounts.write_text(json.dumps([row]))
    options = build_parser().parse_args(
        f"--seed 7 --limit orders10s=0 --request-latency 1-2 --price BTCUSDT=50000 --accounts {accounts} "
        "--gap-probability 0.5 --demo-account b --rate 5".split()
    )
    config = build_config(options)
    assert config.seed == 7
    assert config.limits.orders_per_10_seconds == 0
    assert config.latency.request_ms == (1.0, 2.0)
    assert config.prices == {"BTCUSDT": Decimal(50_000)}
    assert [account.name for account in config.accounts] == ["a", "b"]
    assert config.accounts[0].keys == (("k", KeyKind.HMAC, "s"),)
    assert config.faults[0].probability == 0.5
    assert isinstance(config.market, GeneratorConfig)
    replay = build_config(build_parser().parse_args(["--capture", "x", "--speed", "max", "--wait-subscribers", "2"]))
    assert isinstance(replay.market, CaptureConfig)
    assert (replay.market.speed, replay.market.wait_subscribers) == (0.0, 2)
    for text, message in (("[]", "holds no accounts"), ('[{"name": "x"}]', "account 1"), ("{", "cannot be read")):
        accounts.write_text(text)
        with pytest.raises(ValueError, match=message):
            build_config(options)


@pytest.mark.parametrize(
    "family, books, others",
    [
        ("binance-spot", ["btcusdt@depth@100ms"], ["btcusdt@bookTicker", "btcusdt@trade"]),
        ("binance-usdm", ["btcusdt@depth@100ms"], ["btcusdt@bookTicker", "btcusdt@aggTrade"]),
        ("bybit", ["linear/orderbook.200.BTCUSDT"], ["linear/publicTrade.BTCUSDT", "linear/tickers.BTCUSDT"]),
        ("okx", ["books:BTC-USDT", "books-l2-tbt:BTC-USDT"], ["trades:BTC-USDT", "snapshot:books:BTC-USDT"]),
        ("upbit", ["orderbook:KRW-BTC"], ["trade:KRW-BTC", "ticker:KRW-BTC"]),
    ],
)
def test_gaps_are_in_the_books_of_every_venue(family: str, books: list[str], others: list[str]) -> None:
    config = build_config(build_parser().parse_args(["--venue", family, "--gap-probability", "0.5"]))
    (gap,) = config.faults
    assert all(fnmatchcase(stream, gap.match) for stream in books)
    assert not any(fnmatchcase(stream, gap.match) for stream in others)


def test_help_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "late_accept" in capsys.readouterr().out


async def test_stop_ends_serve() -> None:
    async with running() as sim, httpx.AsyncClient(base_url=sim.rest_url, trust_env=False) as client:
        await client.post("/sim/stop")
        await until(sim.stopping.is_set)


def test_a_process_whose_input_stays_open_ends_by_a_signal_without_a_word() -> None:
    """The thread that waits for the end of input is left behind; it must not hold what the interpreter's end needs."""
    command = [sys.executable, "-m", "tools.simulator", "--port", "0", "--json", "--until-stdin-closes"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
