"""What is wrong with files of market data is found, and the facts of the recorded data are told."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ConfigError
from tests.tools.history.kit import lines_of, write_lines
from tools.history import candles
from tools.history.candles import Bar
from tools.history.check import FIXES, check

MINUTE_MS = 60_000
HEADER = "open_time_ms,open,high,low,close,volume\n"


def codes(path: Path, **options: Any) -> list[str]:
    return [finding.code for finding in check(path, **options).findings]


# ---- the recorded candles ---------------------------------------------------------------------------------------


@pytest.mark.req("R360")
@pytest.mark.parametrize("file, bars, gaps, missing", [
    ("binance_spot/ohlcv/BTCUSDT_1h_to_2024-07-01.csv.gz", 33100, 10, 20),
    ("binance_spot/ohlcv/BTCUSDT_15m_2023.csv.gz", 34939, 1, 5),
    ("upbit/ohlcv/KRW-BTC_1h_to_2024-07-01.csv.gz", 21852, 13, 36),
    ("upbit/ohlcv/KRW-BTC_1m_to_2025-09-23.csv.gz", 31678, 2, 2),
    ("upbit/ohlcv/KRW-BTC_1d_to_2024-01-01.csv.gz", 1461, 0, 0),
])  # fmt: skip
def test_the_candles_have_the_gaps_that_are_known(
    file: str, bars: int, gaps: int, missing: int, data_dir: Path
) -> None:
    checked = check(data_dir / file)
    assert checked.ok
    assert (checked.counts["bars"], checked.found["gap"], checked.counts["missing"]) == (bars, gaps, missing)


# ---- captures that are spoiled ---------------------------------------------------------------------------------


@pytest.fixture
def good(data_dir: Path) -> list[dict[str, Any]]:
    """Two connections of Bybit: snapshots, changes, trades."""
    return lines_of(data_dir / "bybit/ws/2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz")


def deltas(lines: list[dict[str, Any]]) -> list[int]:
    """Where the changes of books are."""
    return [number for number, line in enumerate(lines) if '"orderbook.200' in line["raw"][:60] and '"delta"' in
            line["raw"][:120]]  # fmt: skip


def _drop(lines: list[dict[str, Any]]) -> None:
    del lines[deltas(lines)[100]]


def _early(lines: list[dict[str, Any]]) -> None:
    lines[500]["ts_ns"] -= 10**9


def _twice(lines: list[dict[str, Any]]) -> None:
    trade = next(line for line in lines if '"publicTrade' in line["raw"][:60] and line["dir"] == "recv")
    lines.insert(lines.index(trade) + 1, copy.deepcopy(trade))


def _cross(lines: list[dict[str, Any]]) -> None:
    line = lines[deltas(lines)[50]]
    frame = json.loads(line["raw"])
    frame["data"]["b"].append(["9999999", "1"])
    line["raw"] = json.dumps(frame)


def _lack(lines: list[dict[str, Any]]) -> None:
    del lines[700]["raw"]
    lines[700]["ts_ns"] = "soon"


def _strange(lines: list[dict[str, Any]]) -> None:
    next(line for line in lines if '"tickers.' in line["raw"][:60] and line["dir"] == "recv")["raw"] = "<html>"


def _unopened(lines: list[dict[str, Any]]) -> None:
    lines[:] = [line for line in lines if line["dir"] != "open"]
    lines[0].pop("url", None)


@pytest.mark.req("R360")
@pytest.mark.parametrize("spoil, found, ok", [
    (_drop, "gap", False), (_early, "order", False), (_twice, "duplicate", False), (_cross, "crossed", False),
    (_lack, "schema", False), (_strange, "frame", True), (_unopened, "open", True),
])  # fmt: skip
def test_a_spoiled_capture(
    good: list[dict[str, Any]], spoil: Callable[[list[dict[str, Any]]], None], found: str, ok: bool, tmp_path: Path
) -> None:
    assert check(write_lines(tmp_path / "good.jsonl", good)).findings == []
    spoil(good)
    checked = check(write_lines(tmp_path / "bad.jsonl", good))
    assert found in checked.found
    assert checked.ok is ok


def test_the_end_of_a_torn_capture_is_missing(good: list[dict[str, Any]], tmp_path: Path) -> None:
    text = "".join(json.dumps(line) + "\n" for line in good).encode()
    path = tmp_path / "one.jsonl.gz"
    path.write_bytes(gzip.compress(text)[:-2000])
    checked = check(path)
    assert (checked.ok, checked.found["torn"]) == (False, 1)
    assert checked.counts["BookDelta"] > 100


def test_whose_frames_they_are_is_found_out_or_asked(good: list[dict[str, Any]], tmp_path: Path) -> None:
    for line in good:
        if "url" in line:
            line["url"] = "ws://127.0.0.1:1/v5/public"
    unknown = write_lines(tmp_path / "one.jsonl", good)
    assert codes(unknown) == ["kind", "kind"]
    named = write_lines(tmp_path / "bybit-linear_20260101T000000Z.jsonl", good)
    assert check(named).counts["BookDelta"] == 1091
    assert check(unknown, kind="bybit-linear").counts["BookDelta"] == 1091
    with pytest.raises(ConfigError, match="not known"):
        check(unknown, kind="mtgox")


def test_a_book_without_its_snapshot_is_told(data_dir: Path, tmp_path: Path) -> None:
    lines = lines_of(data_dir / "binance_spot/ws/2021-10-12_4sym_with_rest_snapshots.jsonl.gz")
    path = write_lines(tmp_path / "one.jsonl", [line for line in lines if line["dir"] != "http"])
    checked = check(path)
    assert checked.ok
    assert checked.found["unproven"] == 4


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n", b"[]\n" * 50, b'{"method": "get", "path": "/"}\n' * 50])
def test_what_is_no_capture_is_told_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_bytes(content)
    assert codes(path) == ["unreadable"]
    assert check(path).errors == 1


GOOD_LINE = '{"ts_ns": 1790000000000000000, "conn": "x.1", "dir": "open", "url": "wss://example.org/", "raw": ""}'


@pytest.mark.req("R360")
@pytest.mark.parametrize("bad, text", [
    (b'{"ts_ns": 1790000000000000001, "conn": "x.1", "dir": "recv", "raw": "\xff"}', "utf-8"),
    (b'{"ts_ns": 1790000000000000001, "conn": "y", "dir": "open", "url": "wss://[", "raw": ""}', "Invalid"),
    (b'{"ts_ns": -1, "conn": "x.1", "dir": "recv", "raw": "{}"}', "no time in ns"),
    (b'{"ts_ns": 999999999999999999999999, "conn": "x.1", "dir": "recv", "raw": "{}"}', "no time in ns"),
    (b"", "Input data was truncated"), (b"null", "Expected `object`"),
])  # fmt: skip
def test_a_line_that_is_none_is_named_and_the_rest_is_read(bad: bytes, text: str, tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_bytes(GOOD_LINE.encode() + b"\n" + bad + b"\n" + GOOD_LINE.replace("x.1", "x.2").encode() + b"\n")
    checked = check(path)
    (finding,) = [each for each in checked.findings if each.is_error]
    assert (finding.code, finding.line, checked.lines) == ("schema", 2, 3)
    assert text in finding.text


@pytest.mark.req("R360")
@pytest.mark.parametrize(
    "file", ["upbit/ws/2021-04-17_simple_first21s.jsonl.gz", "upbit/ohlcv/KRW-BTC_1d_to_2024-01-01.csv.gz"]
)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_a_file_that_was_cut_says_where_it_ends_and_what_to_do(
    file: str, keep: float, data_dir: Path, tmp_path: Path
) -> None:
    whole = (data_dir / file).read_bytes()
    path = tmp_path / Path(file).name
    path.write_bytes(whole[: int(len(whole) * keep)])
    finding = next(each for each in check(path).findings if each.is_error)
    assert finding.code in ("torn", "schema")
    assert finding.line > 0
    assert finding.fix in ("`bulkhead data check --repair` saves the whole lines", FIXES["candles"]["schema"])


@pytest.mark.req("R360")
@pytest.mark.parametrize("form", ["capture", "candles"])
def test_whatever_bytes_change_the_check_answers(form: str, data_dir: Path, tmp_path: Path) -> None:
    """Seeded: a byte here and there, in the text and in the compressed file."""
    source = {
        "capture": "okx/ws/2022-05-13_books_btcusdt.jsonl.gz",
        "candles": "cross/upbit_KRW-BTC_5m_to_2025-08-01.csv.gz",
    }
    packed = (data_dir / source[form]).read_bytes()
    text, dice = gzip.decompress(packed), random.Random(7)
    path = tmp_path / Path(source[form]).name
    for number in range(40):
        spoiled = bytearray(packed if number % 2 else text)
        for _ in range(dice.randrange(1, 4)):
            spoiled[dice.randrange(len(spoiled))] = dice.randrange(256)
        path.write_bytes(bytes(spoiled) if number % 2 else gzip.compress(bytes(spoiled), 1))
        assert all(finding.fix for finding in check(path).findings)


# ---- candles that are spoiled ----------------------------------------------------------------------------------


def bars_text(rows: list[str]) -> str:
    return HEADER + "\n".join(rows) + "\n"


GOOD = [f"{number * MINUTE_MS},10,12,9,11,5" for number in range(1, 20)]


@pytest.mark.req("R360")
@pytest.mark.parametrize("at, row, code, is_error", [
    (5, "", "schema", True), (5, "x,10,12,9,11,5", "schema", True), (5, "360000,10,12,9,11", "schema", True),
    (5, "360000,10,9,12,11,5", "range", True), (5, "360000,0,12,0,11,5", "range", True),
    (5, "360000,10,12,9,11,-1", "range", True), (5, "360000,10,12,9,NaN,5", "range", True),
    (5, "1790000000000000000,10,12,9,11,5", "range", True), (5, "-1,10,12,9,11,5", "range", True),
    (5, "300000,10,12,9,11,5", "duplicate", True), (5, "60000,10,12,9,11,5", "order", True),
    (5, "360001,10,12,9,11,5", "grid", False),
])  # fmt: skip
def test_a_spoiled_row(at: int, row: str, code: str, is_error: bool, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(bars_text(GOOD))
    assert check(path).findings == []
    path.write_text(bars_text([*GOOD[:at], row, *GOOD[at + 1 :]]))
    checked = check(path)
    assert checked.findings[0].code == code
    assert (checked.findings[0].line, checked.ok) == (at + 2, not is_error)


@pytest.mark.parametrize("text, code", [
    ("", "schema"), (HEADER, "unreadable"), ("time,o,h,l,c,v\n1,1,1,1,1,1\n", "schema"),
])  # fmt: skip
def test_what_is_no_file_of_candles(text: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(text)
    assert code in codes(path)


def test_names_tell_the_form(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("")
    with pytest.raises(ConfigError, match=r"names end in \.jsonl"):
        check(path)
    assert codes(tmp_path / "absent.csv") == ["unreadable"]
    broken = tmp_path / "bars.csv.gz"
    broken.write_bytes(b"not gzip")
    assert "schema" in codes(broken)


def test_of_many_alike_the_first_are_told_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(bars_text([f"{number * MINUTE_MS},10,9,12,11,5" for number in range(1, 200)]))
    checked = check(path)
    assert (len(checked.findings), checked.found["range"], checked.errors) == (20, 199, 199)


@given(present=st.sets(st.integers(0, 300), min_size=2), step=st.sampled_from([1000, MINUTE_MS, 3_600_000]))
def test_gaps_and_bars_make_up_the_span(present: set[int], step: int) -> None:
    price = Decimal(1)
    bars = [Bar(number * step, price, price, price, price, price) for number in sorted(present)]
    gaps = list(candles.gaps(bars, step))
    whole = max(present) - min(present) + 1
    assert len(bars) + sum(gap.missing for gap in gaps) == whole
    for gap in gaps:
        assert {gap.after_ms // step, gap.before_ms // step} <= present
        assert not set(range(gap.after_ms // step + 1, gap.before_ms // step)) & present


def test_the_length_of_bars_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(bars_text([f"{number * 5 * MINUTE_MS},10,12,9,11,5" for number in range(1, 10)]))
    assert check(path).findings == []
    assert check(path, interval_ms=MINUTE_MS).counts["missing"] == 8 * 4
