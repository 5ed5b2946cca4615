"""Both recordings of USDT-M through real sockets, unchanged and whole, and users in their market."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.simulator.binance_usdm.kit import quiet_config, rest_of
from tests.simulator.wire import open_ws
from tools.simulator import CaptureConfig, Simulator, SimulatorConfig, open_simulator
from tools.simulator.core.capture import scan_capture
from tools.simulator.core.model import Side

CAPTURES = ["2021-07-22_4sym_with_rest_snapshots.jsonl.gz", "2024-08-08_btcusdt_6min.jsonl.gz"]


def _records(path: Path, kind: str) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        return [record for record in map(json.loads, file) if record["dir"] == kind]


def _config(path: Path, **more: Any) -> SimulatorConfig:
    exchange_info = {} if "btcusdt" in path.name else {"exchange_info": path.parent.parent / _INFO}
    return quiet_config(market=CaptureConfig(path=path, speed=0, **more), symbols=None, **exchange_info)


_INFO = "rest/exchange_info_2021-07-22.json.gz"


@pytest.mark.parametrize("name", CAPTURES)
def test_rebuilt_book_equals_the_recorded_top(data_dir: Path, name: str) -> None:
    """The simulator's own book against the recording's bookTicker, wherever ids allow the comparison."""
    path = data_dir / "binance_usdm/ws" / name
    sim = Simulator(_config(path))
    sim.open_market()
    codec = sim.venue.replay_codec()
    tickers: dict[tuple[str, int], dict[str, str]] = {}
    compared = 0
    for record in _records(path, "recv"):
        codec.apply(record["raw"])
        data = json.loads(record["raw"])["data"]
        if data["e"] == "bookTicker":
            tickers[data["s"], data["u"]] = data
        elif data["e"] == "depthUpdate":
            market = sim.exchange.markets[data["s"]]
            ticker = tickers.get((data["s"], market.update_id))
            if ticker is not None:
                compared += 1
                top = market.top()
                assert (top.bid, top.ask) == (Decimal(ticker["b"]), Decimal(ticker["a"]))
    assert compared >= 5


@pytest.mark.parametrize("name", CAPTURES)
async def test_the_recording_arrives_unchanged(data_dir: Path, name: str) -> None:
    """Every recorded frame of two streams, in its order, byte for byte."""
    path = data_dir / "binance_usdm/ws" / name
    scan = scan_capture(path)
    wanted = {f"{symbol.lower()}@{kind}" for symbol in scan.symbols for kind in ("depth@0ms", "depth@100ms")}
    recorded = [record["raw"] for record in _records(path, "recv")]
    sent = [raw for raw in recorded if json.loads(raw)["stream"] in wanted]
    async with open_simulator(_config(path, wait_subscribers=1)) as sim:
        target = "/public/stream?streams=" + "/".join(sorted(wanted))
        async with open_ws(sim, target) as ws:
            with trio.fail_after(60):
                received = [await ws.get_message() for _ in sent]
        assert received == sent
        assert sim.server.failures == []


async def test_users_trade_against_the_recorded_market(data_dir: Path) -> None:
    path = data_dir / "binance_usdm/ws" / CAPTURES[1]
    async with open_simulator(_config(path, wait_subscribers=1)) as sim, rest_of(sim) as rest:
        market = sim.exchange.markets["BTCUSDT"]
        levels = market.depth(Side.SELL, 3)
        bought = await rest.market("BUY", str(levels[0][1]))
        assert (bought["status"], Decimal(bought["executedQty"])) == ("FILLED", levels[0][1])
        [fill] = await rest.ask("GET", "userTrades", symbol="BTCUSDT")
        assert Decimal(fill["price"]) == levels[0][0]
        assert fill["id"] > 9_000_000_000_000  # apart from the recorded ids
        snapshot = await rest.public("depth", symbol="BTCUSDT", limit=5)
        assert Decimal(snapshot["asks"][0][1]) == levels[0][1]  # the public picture is the recording's
