"""Recorded markets: frames untouched, book rebuilt, users traded against it, nothing lost at any speed."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.simulator.wire import PATIENCE_S, open_ws, rest_of, until
from tools.simulator import (
    CaptureConfig,
    Fault,
    FaultKind,
    Side,
    Simulator,
    SimulatorConfig,
    demo_account,
    open_simulator,
)
from tools.simulator.core.capture import read_lines, scan_capture
from tools.simulator.core.model import OrdStatus

STREAMS = "/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade"


def frame(stream: str, data: dict[str, Any]) -> str:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":"))


def depth(first: int, last: int, bids: list[list[str]], asks: list[list[str]]) -> str:
    event = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return frame("btcusdt@depth@100ms", event)


def trade(number: int, price: str, qty: str, *, buyer_is_maker: bool) -> str:
    event = {
        "e": "trade",
        "E": 1,
        "s": "BTCUSDT",
        "t": number,
        "p": price,
        "q": qty,
        "T": 1,
        "m": buyer_is_maker,
        "M": True,
    }
    return frame("btcusdt@trade", event)


SNAPSHOT = json.dumps(
    {"lastUpdateId": 12, "bids": [["50000.00", "1"], ["49999.00", "2"]], "asks": [["50001.00", "1"], ["50002.00", "3"]]}
)


def write_capture(path: Path, records: list[tuple[str, str]]) -> Path:
    """A capture of our own: (dir, raw) pairs, one millisecond apart."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt") as file:
        for number, (direction, raw) in enumerate(records):
            record = {
                "ts_ns": 1_700_000_000_000_000_000 + number * 1_000_000,
                "conn": "c",
                "dir": direction,
                "raw": raw,
            }
            file.write(json.dumps(record) + "\n")
    return path


RECORDS = [
    ("recv", depth(10, 11, [["49000.00", "1"]], [])),
    ("recv", depth(12, 13, [["50000.00", "2"]], [])),
    ("http", SNAPSHOT),
    ("recv", '{"result":null,"id":1}'),
    ("recv", trade(7, "50000.00", "0.5", buyer_is_maker=True)),
    ("recv", depth(14, 15, [["50000.00", "0"]], [["50000.50", "4"]])),
]


def config(path: Path, venue: str = "binance-spot", **more: Any) -> SimulatorConfig:
    market = CaptureConfig(path=path, **{"speed": 0, **more})
    return SimulatorConfig(venue=venue, market=market, accounts=(demo_account("alpha"),))


async def collect(sim: Any, into: list[str], count: int) -> None:
    async with open_ws(sim, STREAMS) as ws:
        while len(into) < count:
            into.append(str(await ws.get_message()))


async def test_frames_pass_unchanged_and_the_book_follows(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "small.jsonl.gz", RECORDS)
    received: list[str] = []
    async with open_simulator(config(path, wait_subscribers=1)) as sim, trio.open_nursery() as nursery:
        market = sim.exchange.markets["BTCUSDT"]
        assert market.update_id == 12  # the recorded snapshot stands before the first frame
        nursery.start_soon(collect, sim, received, 4)
        with trio.fail_after(PATIENCE_S):
            await sim.wait_replayed()
        await until(lambda: len(received) == 4)
        assert received == [raw for direction, raw in RECORDS if direction == "recv" and "stream" in raw]
        async with rest_of(sim) as rest:
            book = (await rest.public("depth", symbol="BTCUSDT")).json()
        assert book["lastUpdateId"] == 15
        assert book["bids"] == [["49999.00000000", "2.00000000"]]
        assert book["asks"][0] == ["50000.50000000", "4.00000000"]
        assert sim.replay is not None
        assert sim.replay.progress()["sent"] == 5
        assert market.trades[-1].trade_id == 7


async def test_users_trade_against_the_recording(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "small.jsonl", RECORDS)
    async with open_simulator(config(path, wait_subscribers=1)) as sim, rest_of(sim) as rest:
        limit = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1.0"}
        taken = (await rest.signed("POST", "order", **limit, side="BUY", price="50001.00")).json()
        assert taken["status"] == "FILLED"
        assert taken["fills"][0]["tradeId"] > 9_000_000_000_000  # never one of the recording's
        maker = (await rest.signed("POST", "order", **limit, side="BUY", price="50000.00")).json()
        assert maker["status"] == "NEW"
        public = (await rest.public("depth", symbol="BTCUSDT")).json()
        assert public["asks"][0] == ["50001.00000000", "1.00000000"]  # the public picture did not move
        received: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect, sim, received, 4)
            with trio.fail_after(PATIENCE_S):
                await sim.wait_replayed()
        [_, order] = sim.orders("alpha")
        assert order.cum_qty == Decimal("0.5")
        sim.trade("BTCUSDT", Side.SELL, Decimal("9"), Decimal("49999"))
        assert order.ord_status is OrdStatus.FILLED
        sim.quote("BTCUSDT", Side.BUY, Decimal(7), Decimal("49998"))
        assert sim.exchange.markets["BTCUSDT"].shown_at(Side.BUY, Decimal("49998")) == 7


async def test_replay_waits_for_snapshots_and_can_be_told_not_to(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "small.jsonl", RECORDS)
    async with open_simulator(config(path, wait_snapshots=2)) as sim, rest_of(sim) as rest:
        replay = sim.replay
        assert replay is not None
        await until(lambda: replay.paused)
        assert replay.sent == 2
        await rest.public("depth", symbol="BTCUSDT")
        assert not replay.done.is_set()
        await rest.public("depth", symbol="BTCUSDT")
        with trio.fail_after(PATIENCE_S):
            await sim.wait_replayed()
    async with open_simulator(config(path, wait_subscribers=9)) as sim:
        async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False) as client:
            assert (await client.post("/sim/replay")).json()["total"] == 5
        with trio.fail_after(PATIENCE_S):
            await sim.wait_replayed()


async def test_recorded_pace(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    path = write_capture(tmp_path / "small.jsonl", RECORDS)
    from tools.simulator.core.capture import Replay
    from tools.simulator.core.faults import FaultPlan
    from tools.simulator.core.hub import Hub, Message
    from tools.simulator.core.scheduler import Scheduler

    class Target:
        def __init__(self) -> None:
            self.times: list[float] = []

        def open_book(self, symbol: str, raw: str) -> None:
            assert symbol == "BTCUSDT"

        def apply(self, raw: str, url: str = "") -> Message | None:
            self.times.append(trio.current_time())
            return None

        def snapshots_taken(self) -> int:
            return 0

    target = Target()
    replay = Replay(Hub(FaultPlan(), Scheduler()), target, CaptureConfig(path=path, speed=0.5))
    replay.prepare()
    start = trio.current_time()
    await replay.run()
    assert [round((at - start) * 1000) for at in target.times] == [0, 2, 6, 8, 10]


@pytest.mark.parametrize(
    "line,message",
    [
        ("{oops", "broken.jsonl:1: not a capture-jsonl v1 record"),
        ('{"dir":"recv"}', "broken.jsonl:1: not a capture-jsonl v1 record"),
    ],
)
def test_a_malformed_capture_names_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=message):
        list(read_lines(path))
    with pytest.raises(ValueError, match="No such file"):
        list(read_lines(tmp_path / "absent.jsonl"))


def test_a_snapshot_needs_a_symbol(tmp_path: Path) -> None:
    two = [
        ("recv", depth(1, 1, [], [])),
        ("recv", depth(1, 1, [], []).replace("BTCUSDT", "ETHUSDT")),
        ("http", SNAPSHOT),
    ]
    with pytest.raises(ValueError, match="names no symbol"):
        scan_capture(write_capture(tmp_path / "two.jsonl", two))


# ------------------------------------------------------------------------------------- the real recordings
async def replayed(path: Path, fault: Fault | None = None) -> list[str]:
    """Everything one subscriber gets of a recording at full speed."""
    received: list[str] = []
    total = scan_capture(path).frames
    settings = SimulatorConfig(market=CaptureConfig(path=path, speed=0, wait_subscribers=1, wait_snapshots=1))
    async with open_simulator(settings) as sim, trio.open_nursery() as nursery:
        if fault is not None:
            sim.strike(fault)
        nursery.start_soon(collect, sim, received, total - (0 if fault is None else 1))
        async with rest_of_public(sim) as client:
            await until(lambda: sim.replay is not None and sim.replay.started.is_set())
            await client.get("/api/v3/depth", params={"symbol": "BTCUSDT", "limit": 5000})
            await sim.wait_replayed()
    return received


def rest_of_public(sim: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=60)


@pytest.mark.slow
async def test_the_whole_recording_arrives_unchanged(data_dir: Path) -> None:
    path = data_dir / "binance_spot/ws/2024-08-08_btcusdt_11min.jsonl.gz"
    recorded = [record["raw"] for record in read_lines(path) if record["dir"] == "recv"]
    assert await replayed(path) == recorded


@pytest.mark.slow
async def test_rebuilt_book_equals_the_recorded_top(data_dir: Path) -> None:
    """The simulator's own book against the recording's bookTicker, wherever ids allow the comparison."""
    path = data_dir / "binance_spot/ws/2024-08-08_btcusdt_11min.jsonl.gz"
    from tools.simulator.simulator import Simulator

    sim = Simulator(SimulatorConfig(market=CaptureConfig(path=path, speed=0)))
    sim.open_market()
    target = sim.venue.replay_codec()
    market = sim.exchange.markets["BTCUSDT"]
    tickers: dict[str, Any] = {}
    compared = equal = 0
    for record in read_lines(path):
        if record["dir"] != "recv":
            continue
        target.apply(record["raw"])
        message = json.loads(record["raw"])
        if message["stream"].endswith("@bookTicker"):
            tickers = message["data"]
        elif message["data"]["e"] == "depthUpdate" and tickers:
            data = message["data"]
            if data["U"] <= tickers["u"] <= data["u"] == market.update_id:
                top = market.top()
                compared += 1
                shown = (top.bid, top.bid_qty, top.ask, top.ask_qty)
                equal += shown == tuple(Decimal(tickers[key]) for key in "bBaA")
    assert compared > 5_000, compared
    assert compared - equal <= compared // 1_000


async def test_several_symbols_with_their_own_snapshots(data_dir: Path) -> None:
    """The 2021 recording with that year's instrument list, old filter set included."""
    path = data_dir / "binance_spot/ws/2021-10-12_4sym_with_rest_snapshots.jsonl.gz"
    info = data_dir / "binance_spot/rest/exchange_info_2021-10-12.json.gz"
    settings = SimulatorConfig(market=CaptureConfig(path=path, speed=0), exchange_info=info)
    async with open_simulator(settings) as sim, rest_of_public(sim) as client:
        with trio.fail_after(PATIENCE_S):
            await sim.wait_replayed()
        assert set(sim.exchange.markets) == {"NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"}
        last_ids: dict[str, int] = {}
        for record in read_lines(path):
            if record["dir"] == "recv" and "depthUpdate" in record["raw"]:
                event = json.loads(record["raw"])["data"]
                last_ids[event["s"]] = event["u"]
        for symbol, market in sim.exchange.markets.items():
            top = market.top()
            assert top.bid is not None
            assert top.ask is not None
            assert top.bid < top.ask
            assert market.update_id == last_ids[symbol]
        answer = (await client.get("/api/v3/exchangeInfo", params={"symbol": "LRCBTC"})).json()
        filters = {entry["filterType"] for entry in answer["symbols"][0]["filters"]}
        assert {"MIN_NOTIONAL", "PERCENT_PRICE"} <= filters


async def test_one_removed_depth_message_is_missing_and_nothing_else(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "small.jsonl", RECORDS)
    received: list[str] = []
    fault = Fault(kind=FaultKind.DROP, match="*@depth*", skip=1)
    async with open_simulator(config(path, wait_subscribers=1)) as sim, trio.open_nursery() as nursery:
        sim.strike(fault)
        nursery.start_soon(collect, sim, received, 3)
        with trio.fail_after(PATIENCE_S):
            await sim.wait_replayed()
    assert received == [RECORDS[0][1], RECORDS[4][1], RECORDS[5][1]]


async def test_after_a_loss_the_recording_waits_until_somebody_asks_for_depth(tmp_path: Path) -> None:
    """The message that shows the hole still comes, and the one after it; then the recording waits."""
    records = [("http", SNAPSHOT), *(("recv", depth(n, n, [["50000.00", str(n)]], [])) for n in range(13, 20))]
    path = write_capture(tmp_path / "small.jsonl", records)
    settings = config(path, wait_subscribers=1, hold_after_loss=2)
    received: list[str] = []
    async with open_simulator(settings) as sim, trio.open_nursery() as nursery, rest_of(sim) as rest:
        sim.strike(Fault(kind=FaultKind.DROP, match="*@depth*", update_id=15))
        nursery.start_soon(collect, sim, received, 6)
        await until(lambda: len(received) == 4 and sim.replay is not None and sim.replay.paused)
        assert [json.loads(raw)["data"]["u"] for raw in received] == [13, 14, 16, 17]
        answer = (await rest.public("depth", symbol="BTCUSDT")).json()
        assert answer["lastUpdateId"] == 17
        with trio.fail_after(PATIENCE_S):
            await sim.wait_replayed()
    assert [json.loads(raw)["data"]["u"] for raw in received] == [13, 14, 16, 17, 18, 19]


@pytest.mark.parametrize("venue", ["binance-spot", "binance-usdm"])
def test_only_diffs_and_prints_of_the_market_move_a_replayed_book(tmp_path: Path, venue: str) -> None:
    """Partial books bear other fields (Spot) or the same (Futures); old recordings have an empty third element."""
    sim = Simulator(config(write_capture(tmp_path / "small.jsonl", RECORDS), venue=venue))
    codec = sim.venue.replay_codec()
    market = sim.exchange.markets["BTCUSDT"]
    codec.open_book("BTCUSDT", json.dumps({"lastUpdateId": 9, "bids": [["100.0", "1", []]], "asks": [["101.0", "1"]]}))
    partial = {"lastUpdateId": 50, "bids": [["90.0", "1"]], "asks": []}
    diff = {"e": "depthUpdate", "s": "BTCUSDT", "U": 10, "u": 11, "pu": 9, "b": [["100.0", "2", []]], "a": []}
    shown = {"e": "depthUpdate", "s": "BTCUSDT", "U": 60, "u": 61, "pu": 59, "b": [["95.0", "2"]], "a": []}
    for stream, data in (
        ("btcusdt@depth5@100ms", partial),
        ("btcusdt@depth20", shown),
        ("btcusdt@rpiDepth@500ms", shown),
        ("btcusdt@depth@100ms", diff),
        ("btcusdt@avgPrice", {"e": "avgPrice", "s": "BTCUSDT"}),
    ):
        message = codec.apply(frame(stream, data))
        assert message is not None
        assert message.stream == stream
    assert (market.update_id, market.depth(Side.BUY, 5)) == (11, [(Decimal(100), Decimal(2))])
    print_ = {"e": "trade", "s": "BTCUSDT", "t": 7, "p": "100.5", "q": "1", "T": 1, "m": False}
    codec.apply(frame("btcusdt@trade", print_ | {"X": "INSURANCE_FUND", "p": "50.0"}))
    assert not market.trades
    codec.apply(frame("btcusdt@trade", print_))
    assert [(trade.trade_id, trade.price) for trade in market.trades] == [(7, Decimal("100.5"))]
