"""Downloads of candles from the history of every family, interrupted in every way."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from protocols.errors import ConfigError, LocalProtocolError
from protocols.ids import Symbol
from protocols.venues.registry import VENUES
from tests.judges.conftest import RunningSimulator, simulator_process
from tests.tools.history.kit import MINUTE_NS, SYMBOLS, now_ns, origins, venue_of
from tools.history import candles
from tools.history.check import check
from tools.history.download import Download, DownloadFailed, Job, Report
from tools.simulator import Fault, FaultKind, GeneratorConfig, Simulator

QUIET = GeneratorConfig(events_per_s=0.001, burst_every_s=0)
MINUTE_MS = 60_000
KILLS = int(os.environ.get("BULKHEAD_DOWNLOAD_KILLS", "3"))
ROOT = Path(__file__).resolve().parents[3]


def job(kind: str, sim: Simulator, path: Path, *, minutes: int = 600, **more: Any) -> Job:
    """So many minutes that ended an hour ago."""
    until_ns = (now_ns() // MINUTE_NS - 60) * MINUTE_NS
    fields: dict[str, Any] = {
        "kind": kind,
        "symbol": Symbol(SYMBOLS[kind][0]),
        "interval_ns": MINUTE_NS,
        "since_ns": until_ns - minutes * MINUTE_NS,
        "until_ns": until_ns,
        "path": path,
        "rest_url": origins(sim)["rest_url"],
    }
    return Job(**(fields | more))


def market_of(kind: str, sim: Simulator) -> Any:
    """The simulator's own market behind a kind's first symbol."""
    product = VENUES[kind].product.value.lower()
    found = [one for one in sim.exchange.markets.values() if one.spec.name == SYMBOLS[kind][0]]
    return next((one for one in found if one.spec.category in ("", product)), found[0])


@pytest.mark.req("R358")
@pytest.mark.parametrize("kind", sorted(SYMBOLS))
async def test_every_venue_is_paged_to_the_last_bar(kind: str, tmp_path: Path) -> None:
    """More than one page, and each bar is the simulator's own."""
    pages = 2.5
    minutes = int(VENUES[kind].capabilities.candles_max * pages)
    async with venue_of(kind, market=QUIET) as sim:
        work = job(kind, sim, tmp_path / "bars.csv", minutes=minutes)
        report = await Download(work).run()
        theirs = {bar.open_ns: bar for bar in market_of(kind, sim).candles.minutes}
    assert (report.bars, report.missing, report.gaps, report.requests) == (minutes, 0, (), 3)
    bars = list(candles.read(work.path))
    assert [bar.open_ms for bar in bars] == list(range(work.since_ns // 10**6, work.until_ns // 10**6, MINUTE_MS))
    for bar in bars:
        own = theirs[bar.open_ms * 1_000_000]
        assert (bar.open, bar.high, bar.low, bar.close) == (own.open, own.high, own.low, own.close)
        assert bar.volume == own.volume
    assert check(work.path).findings == []
    assert os.listdir(tmp_path) == ["bars.csv"]


@pytest.mark.parametrize("interval_ns", [5 * MINUTE_NS, 60 * MINUTE_NS, 1440 * MINUTE_NS])
async def test_longer_bars(interval_ns: int, tmp_path: Path) -> None:
    async with venue_of("upbit", market=QUIET) as sim:
        until_ns = now_ns() // interval_ns * interval_ns
        span = {"interval_ns": interval_ns, "since_ns": until_ns - 7 * interval_ns, "until_ns": until_ns}
        report = await Download(job("upbit", sim, tmp_path / "bars.csv", **span)).run()
    assert (report.bars, report.last_ms - report.first_ms) == (7, 6 * interval_ns // 1_000_000)


async def test_bars_that_are_still_open_are_left_out(tmp_path: Path) -> None:
    async with venue_of("upbit") as sim:
        open_ns = now_ns() // MINUTE_NS * MINUTE_NS
        span = {"since_ns": open_ns - 3 * MINUTE_NS, "until_ns": open_ns + MINUTE_NS}
        report = await Download(job("upbit", sim, tmp_path / "bars.csv", **span)).run()
    assert report.last_ms < open_ns // 1_000_000 or now_ns() >= open_ns + MINUTE_NS


@pytest.mark.req("R358")
async def test_bars_that_the_venue_does_not_have_are_told(tmp_path: Path) -> None:
    async with venue_of("upbit", market=QUIET) as sim:
        work = job("upbit", sim, tmp_path / "bars.csv", minutes=300)
        await Download(attrs.evolve(work, path=tmp_path / "first.csv")).run()  # makes the simulator invent its history
        store = sim.exchange.markets["KRW-BTC"].candles
        start = work.since_ns // MINUTE_NS
        kept = [bar for bar in store.minutes if bar.open_ns // MINUTE_NS - start not in (10, 11, 12, 200)]
        store.minutes.clear()
        store.minutes.extend(kept)
        report = await Download(work).run()
    assert report.bars == 296
    assert [(gap.missing, gap.after_ms // MINUTE_MS - start) for gap in report.gaps] == [(3, 9), (1, 199)]
    assert report.missing == 4


async def test_the_formats_hold_the_same(tmp_path: Path) -> None:
    async with venue_of("upbit", market=QUIET) as sim:
        works = [job("upbit", sim, tmp_path / name) for name in ("a.csv", "a.csv.gz")]
        works[1] = attrs.evolve(works[1], since_ns=works[0].since_ns, until_ns=works[0].until_ns)
        for work in works:
            await Download(work).run()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()
    first = (tmp_path / "a.csv").read_text().splitlines()[0]
    assert first == "open_time_ms,open,high,low,close,volume"


# ---- refusals --------------------------------------------------------------------------------------------------


async def test_trouble_is_waited_out(tmp_path: Path) -> None:
    faults = (
        Fault(kind=FaultKind.ERROR_BEFORE, match="klines"), Fault(kind=FaultKind.CUT_AFTER, match="klines"),
        Fault(kind=FaultKind.RATE_LIMIT, match="klines", delay_ms=1),
    )  # fmt: skip
    async with venue_of("upbit", market=QUIET, faults=faults) as sim:
        work = Download(job("upbit", sim, tmp_path / "bars.csv"))
        report = await work.run()
    assert report.bars == 600
    assert work.progress.retries == 3


async def test_what_waiting_does_not_help_ends_at_once(tmp_path: Path) -> None:
    async with venue_of("upbit", market=QUIET) as sim:
        work = job("upbit", sim, tmp_path / "bars.csv", symbol=Symbol("KRW-NONE"))
        with pytest.raises(DownloadFailed, match="refuses KRW-NONE"):
            await Download(work).run()
        good = attrs.evolve(work, symbol=Symbol("KRW-BTC"))
        with pytest.raises(ConfigError, match="another symbol"):
            await Download(good).run()


async def test_a_venue_that_is_gone_is_given_up(tmp_path: Path, autojump_clock: Any) -> None:
    nobody = Job(
        kind="upbit", symbol=Symbol("KRW-BTC"), interval_ns=MINUTE_NS, since_ns=0, until_ns=MINUTE_NS,
        path=tmp_path / "bars.csv", rest_url="http://127.0.0.1:9",
    )  # fmt: skip
    with pytest.raises(DownloadFailed, match="no answer in 8 attempts"):
        await Download(nobody).run()
    assert trio.current_time() > 30


@pytest.mark.parametrize("change, text", [
    ({"kind": "mtgox"}, "not known"), ({"environment": "moon"}, "no environment"), ({"until_ns": 0}, "span is empty"),
    ({"path": Path("bars.txt")}, "must end in"),
])  # fmt: skip
def test_bad_jobs_say_what_is_wrong(change: dict[str, Any], text: str, tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "kind": "upbit", "symbol": Symbol("KRW-BTC"), "interval_ns": MINUTE_NS, "since_ns": 0, "until_ns": MINUTE_NS,
        "path": tmp_path / "bars.csv",
    }  # fmt: skip
    with pytest.raises(ConfigError, match=text):
        Download(Job(**(fields | change)))
    with pytest.raises(LocalProtocolError, match="interval_ns was 7"):
        Download(Job(**(fields | {"interval_ns": 7})))


async def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("precious")
    async with venue_of("upbit", market=QUIET) as sim:
        work = job("upbit", sim, path, minutes=10)
        with pytest.raises(ConfigError, match="--overwrite"):
            await Download(work).run()
        assert path.read_text() == "precious"
        assert (await Download(attrs.evolve(work, overwrite=True)).run()).bars == 10


# ---- interruptions ---------------------------------------------------------------------------------------------


async def interrupted(work: Job, sim: Simulator, after: int) -> None:
    """Canceled while the next page after so many is on its way."""
    download = Download(work)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(download.run)
        while download.progress.requests <= after:  # noqa: ASYNC110
            await trio.sleep(0.002)
        nursery.cancel_scope.cancel()


async def resumed(work: Job) -> Report:
    report = await Download(work).run()
    assert report.resumed
    return report


async def test_a_part_is_cut_back_to_what_was_noted(tmp_path: Path) -> None:
    """Whatever stands behind the noted size: half a row, a page whose note was never written, rubbish."""
    async with venue_of("upbit", market=QUIET) as sim:
        whole = job("upbit", sim, tmp_path / "whole.csv")
        await Download(whole).run()
        for number, rest in enumerate(("12345,1,2", "999,1,1,1,1,1\n" * 300, "\x00\x00")):
            work = attrs.evolve(whole, path=tmp_path / f"{number}.csv")
            await interrupted(work, sim, after=1)
            part = tmp_path / f"{number}.csv.part"
            with part.open("a") as file:
                file.write(rest)
            await resumed(work)
            assert work.path.read_bytes() == whole.path.read_bytes()
            assert not part.exists()


async def test_a_note_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    async with venue_of("upbit", market=QUIET) as sim:
        work = job("upbit", sim, tmp_path / "bars.csv")
        await interrupted(work, sim, after=1)
        (tmp_path / "bars.csv.state").write_text("{")
        with pytest.raises(ConfigError, match="not readable"):
            await Download(work).run()


async def test_a_kill_after_the_last_page_only_leaves_the_name_to_be_given(tmp_path: Path) -> None:
    async with venue_of("upbit", market=QUIET) as sim:
        whole = job("upbit", sim, tmp_path / "whole.csv", minutes=100)
        await Download(whole).run()
        work = attrs.evolve(whole, path=tmp_path / "bars.csv")
        (tmp_path / "bars.csv.part").write_bytes(whole.path.read_bytes())
        size = whole.path.stat().st_size
        note = {"terms": work.terms, "next_ns": work.until_ns, "size": size}
        (tmp_path / "bars.csv.state").write_text(json.dumps(note))
        report = await resumed(work)
    assert (report.bars, report.requests) == (100, 0)
    assert work.path.read_bytes() == whole.path.read_bytes()


@pytest.fixture(scope="module")
def slow_venue() -> Iterator[RunningSimulator]:
    """A process whose every answer takes a while, so that a kill finds a download under way."""
    with simulator_process("upbit", "--request-latency", "40-120", "--rate", "0.01") as venue:
        yield venue


@pytest.mark.req("R358")
def test_a_download_survives_kills_at_any_moment(slow_venue: RunningSimulator, tmp_path: Path) -> None:
    """SIGKILL, again and again, until it gets through: the file is that of a download without any."""
    until = (now_ns() // MINUTE_NS - 60) * 60
    since = until - 2000 * 60
    words = ["download", "upbit", "KRW-BTC", "--from", _iso(since), "--to", _iso(until), "--rest-url", slow_venue.rest]
    whole, path = tmp_path / "whole.csv.gz", tmp_path / "bars.csv.gz"
    assert _bulkhead(*words, "--out", str(whole)).wait(60) == 0
    rng, note = random.Random(1), tmp_path / "bars.csv.gz.state"
    for _ in range(KILLS):
        process = _bulkhead(*words, "--out", str(path))
        while not note.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.4))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
        assert not path.exists()
    assert _bulkhead(*words, "--out", str(path)).wait(60) == 0
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(tmp_path)) == sorted([whole.name, path.name])


def _iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def _bulkhead(*words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from tools.cli import main; main()", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# ---- Parquet ---------------------------------------------------------------------------------------------------


def test_parquet_without_its_library_is_refused_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match=r"pip install 'bulkhead-oms\[parquet\]'"):
        candles.require_format(Path("bars.parquet"))


async def test_parquet_holds_the_same(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the optional extra `parquet` is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    async with venue_of("upbit", market=QUIET) as sim:
        work = job("upbit", sim, tmp_path / "bars.parquet")
        await Download(work).run()
        plain = attrs.evolve(work, path=tmp_path / "bars.csv")
        await Download(plain).run()
    assert list(candles.read(work.path)) == list(candles.read(plain.path))
    table = parquet.read_table(work.path)
    assert table.schema.names == list(candles.COLUMNS)
    assert table.schema.field("open_time_ms").type == pyarrow.int64()
    assert {table.schema.field(name).type for name in candles.COLUMNS[1:]} == {pyarrow.decimal128(38, 18)}
    assert check(work.path).findings == []
