"""The venue's real instrument lists in the simulator: all of them are read, paged, and understood by our codec."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from protocols.instruments import Product
from protocols.venue import HttpReply
from protocols.venues.bybit import BybitPublic
from tests.simulator.bybit.kit import bybit
from tools.simulator import CaptureConfig, ManualClock, Simulator, SimulatorConfig
from tools.simulator.dialects.bybit.errors import envelope
from tools.simulator.dialects.bybit.gateway import Call, execute
from tools.simulator.dialects.bybit.instruments import default_instruments, instruments
from tools.simulator.dialects.bybit.params import Params, query_values

BOTH = pytest.mark.parametrize("category, product", [("spot", Product.SPOT), ("linear", Product.LINEAR)])


def recorded(data_dir: Path, category: str) -> list[dict[str, Any]]:
    (path,) = (data_dir / "bybit" / "rest").glob(f"instruments_{category}_*.json.gz")
    rows: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["result"]["list"]
    return rows


def test_every_row_is_read(data_dir: Path) -> None:
    listed = instruments((), data_dir / "bybit" / "rest")
    assert len(listed) == sum(len(recorded(data_dir, category)) for category in ("spot", "linear"))
    assert len({each.key for each in listed}) == len(listed)
    assert len({each.index for each in listed}) == len(listed)
    for each in listed:
        assert Decimal(each.px(each.tick * 12_345)) == each.tick * 12_345
        assert Decimal(each.qty(each.step * 12_345)) == each.step * 12_345
        assert each.start_px > 0


@BOTH
def test_what_the_codec_reads_here_is_what_it_reads_there(data_dir: Path, category: str, product: Product) -> None:
    """Through the simulator's pages the same instruments as from the recorded answer itself."""
    config = SimulatorConfig(venue="bybit", exchange_info=data_dir / "bybit" / "rest", symbols=())
    sim, codec = Simulator(config, ManualClock()), BybitPublic(product)
    method = bybit(sim).methods["GET", "/v5/market/instruments-info"]

    def answer(query: str) -> HttpReply:
        params = Params(query_values(query))
        outcome = execute(bybit(sim), method, Call(params=params, peer="x", identify=lambda: sim.account("nobody")))
        body = json.dumps(envelope(outcome.result, outcome.ext, 0, outcome.error)).encode()
        return HttpReply(200, {}, body, 0, 0)

    found: list[Any] = []
    request = codec.instruments_request(())
    pages = 0
    while request is not None:
        reply = answer(request.query.replace("limit=1000", "limit=300"))
        found += codec.decode_instruments(reply)[0]
        following = codec.continuation(request, reply, 0)
        pages += 1
        if following is None:
            break
        request = following
    whole = {"retCode": 0, "result": {"category": category, "list": recorded(data_dir, category)}}
    expected, _ = codec.decode_instruments(HttpReply(200, {}, json.dumps(whole).encode(), 0, 0))
    assert found == list(expected)
    assert pages == (1 if category == "spot" else 3)


@BOTH
def test_the_built_in_list_is_understood(category: str, product: Product) -> None:
    codec = BybitPublic(product)
    rows = [each.raw for each in default_instruments() if each.category == category]
    body = json.dumps({"retCode": 0, "result": {"category": category, "list": rows}}).encode()
    decoded, _ = codec.decode_instruments(HttpReply(200, {}, body, 0, 0))
    assert [(str(each.symbol), each.qty_step) for each in decoded] == [
        (row["symbol"], Decimal(row["lotSizeFilter"]["basePrecision" if category == "spot" else "qtyStep"]).normalize())
        for row in rows
    ]


def test_words_for_bad_lists(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no file instruments_"):
        instruments((), tmp_path)
    path = tmp_path / "instruments_spot.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="no answer of GET /v5/market/instruments-info"):
        instruments((), path)
    row = {"symbol": "AUSDT", "baseCoin": "A", "quoteCoin": "USDT", "status": "Trading"}
    path.write_text(json.dumps({"result": {"category": "spot", "list": [row | {"priceFilter": {"tickSize": "x"}}]}}))
    with pytest.raises(ValueError, match="AUSDT: tickSize was 'x'"):
        instruments((), path)
    with pytest.raises(ValueError, match="NOPE"):
        instruments(("NOPE",), None)


def test_a_bare_name_means_each_product_that_has_it() -> None:
    assert [each.key for each in instruments(("BTCUSDT", "spot:ETHBTC"), None)] == [
        "spot:BTCUSDT",
        "linear:BTCUSDT",
        "spot:ETHBTC",
    ]


def test_a_recording_brings_its_own_names(data_dir: Path) -> None:
    path = data_dir / "bybit" / "ws" / "2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz"
    config = SimulatorConfig(
        venue="bybit", market=CaptureConfig(path=path), exchange_info=data_dir / "bybit" / "rest", symbols=("ETHUSDT",)
    )
    assert set(Simulator(config).exchange.markets) == {"spot:BTCUSDT", "linear:BTCUSDT", "linear:DOGEUSDT"}
