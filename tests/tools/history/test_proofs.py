"""Books of captures are judged by each venue's own rule, and a line that is lost, doubled or swapped is named."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from protocols.venues.registry import VENUES, VenueOptions
from tests.tools.history.kit import lines_of, write_lines
from tools.history.books import Happening, Witness
from tools.history.check import Checked, as_dict, check
from tools.history.oracles import BestPriceNumbers, Misstep

SPOT_2021 = "binance_spot/ws/2021-10-12_4sym_with_rest_snapshots.jsonl.gz"
SPOT_2024 = "binance_spot/ws/2024-08-08_btcusdt_11min.jsonl.gz"
USDM_2021 = "binance_usdm/ws/2021-07-22_4sym_with_rest_snapshots.jsonl.gz"
USDM_2024 = "binance_usdm/ws/2024-08-08_btcusdt_6min.jsonl.gz"
BYBIT_BEST = "bybit/ws/2025-06-13_orderbook1_linear.jsonl.gz"
BYBIT_BOOK = "bybit/ws/2026-08-09_btcusdt_dogeusdt_v5.jsonl.gz"
OKX_2021 = "okx/ws/2021-07-22_books-l2-tbt_10inst.jsonl.gz"
OKX_2022 = "okx/ws/2022-05-13_books_btcusdt.jsonl.gz"
UPBIT = "upbit/ws/2021-04-17_simple_first21s.jsonl.gz"
Lines = list[dict[str, Any]]


def told(checked: Checked, *codes: str) -> list[int]:
    """The lines of the errors with these codes."""
    return [finding.line for finding in checked.findings if finding.is_error and finding.code in codes]


def is_book(line: dict[str, Any]) -> bool:
    """A frame of a book as the four venues send it."""
    head = line["raw"][:120]
    marks = ("@depth", '"orderbook.', '"channel":"books', '"ty":"orderbook"')
    return line["dir"] == "recv" and '"event"' not in head and any(mark in head for mark in marks)


def books_in(lines: Lines) -> list[int]:
    return [at for at, line in enumerate(lines) if is_book(line)]


# ---- what is proven --------------------------------------------------------------------------------------------


@pytest.mark.req("R360")
@pytest.mark.parametrize("file, messages, proven, spare, compared, equal", [
    (SPOT_2021, 181, {"sequence": 173, "picture": 4}, 4, 48, 48),
    (SPOT_2024, 6496, {"sequence": 6493, "picture": 1}, 2, 5735, 5733),
    (USDM_2021, 768, {"sequence": 752, "picture": 4}, 12, 234, 234),
    (USDM_2024, 6552, {"sequence": 6547, "picture": 1}, 4, 5700, 5700),
    (BYBIT_BEST, 198, {"sequence": 198}, 0, 0, 0),
    (BYBIT_BOOK, 1094, {"sequence": 1091, "picture": 3}, 0, 0, 0),
    (OKX_2021, 1504, {"checksum": 1504}, 0, 0, 0),
    (OKX_2022, 290, {"checksum": 290}, 0, 0, 0),
    (UPBIT, 93, {"picture": 93}, 0, 0, 0),
])  # fmt: skip
def test_every_message_of_the_recorded_books_is_proven(
    file: str, messages: int, proven: dict[str, int], spare: int, compared: int, equal: int, data_dir: Path
) -> None:
    """What is not told nothing new: it is older than the snapshot that its book began with."""
    checked = check(data_dir / file)
    assert checked.ok
    assert set(checked.found) <= {"open"}
    assert sum(proven.values()) + spare == messages
    assert as_dict(checked)["books"] == {
        "messages": messages, "proven": proven, "spare": spare, "best_prices": {"compared": compared, "equal": equal},
    }  # fmt: skip


@pytest.mark.parametrize("folder, file, proven", [
    ("okx/ws", OKX_2022, 290), ("upbit", UPBIT, 93), ("bybit/more/ws", BYBIT_BOOK, 1094), ("x", OKX_2022, 0),
    ("okx_2", OKX_2022, 0),
])  # fmt: skip
def test_the_name_of_a_folder_tells_whose_frames_they_are(
    folder: str, file: str, proven: int, data_dir: Path, tmp_path: Path
) -> None:
    """Where no address does; the nearest folder counts."""
    lines = lines_of(data_dir / file)
    for line in lines:
        line.pop("url", None)
    place = tmp_path / "binance_spot" / folder if proven else tmp_path / folder
    place.mkdir(parents=True)
    checked = check(write_lines(place / "one.jsonl", lines))
    assert checked.books.proven.total() == proven
    assert ("kind" in checked.found) is not proven


@pytest.mark.parametrize("url", ["wss://ws.okex.com:8443/ws/v5/public", "wss://ws.okx.com/ws/v5/public"])
def test_a_former_address_of_a_venue_is_known(url: str, data_dir: Path, tmp_path: Path) -> None:
    lines = lines_of(data_dir / OKX_2022)
    for line in lines:
        if "url" in line:
            line["url"] = url
    assert check(write_lines(tmp_path / "one.jsonl", lines)).books.proven.total() == 290


@pytest.mark.parametrize("file", ["okx/ws/messages_spot_2026-08.jsonl", "upbit/ws/messages_default_2026-08-13.jsonl"])
def test_messages_that_are_no_capture_are_one_finding(file: str, data_dir: Path) -> None:
    (finding,) = check(data_dir / file).findings
    assert (finding.code, finding.line, finding.is_error) == ("unreadable", 1, True)
    assert "not a capture (capture-jsonl v1)" in finding.text
    assert "it has url, dir, json" in finding.text


# ---- lines that are lost, doubled, swapped ---------------------------------------------------------------------


def book_of(line: dict[str, Any]) -> tuple[str, str]:
    """One topic may stand for different markets on different connections."""
    frame = json.loads(line["raw"])
    return line["conn"], str(frame.get("topic") or frame.get("stream") or frame.get("arg") or frame.get("cd"))


def neighbors(lines: Lines) -> list[tuple[int, int, int]]:
    """Three successive messages of a book, for every one that has such; by the line of the middle one."""
    by_book: dict[tuple[str, str], list[int]] = {}
    for at in books_in(lines):
        by_book.setdefault(book_of(lines[at]), []).append(at)
    return sorted(
        (three for own in by_book.values() for three in zip(own, own[1:], own[2:], strict=False)),
        key=lambda three: three[1],
    )


@pytest.mark.req("R360")
@pytest.mark.parametrize("file", [SPOT_2021, USDM_2021, BYBIT_BOOK])
def test_every_lost_change_is_named(file: str, data_dir: Path, tmp_path: Path) -> None:
    """At the message after it, with the line of the one before; also where the book waits for its snapshot."""
    lines = lines_of(data_dir / file)
    cases = neighbors(lines)
    for before, lost, after in cases[:: len(cases) // 12]:
        checked = check(write_lines(tmp_path / "one.jsonl", lines[:lost] + lines[lost + 1 :]))
        assert told(checked, "gap") == [after]  # lines are numbered from 1, and one is missing before it
        (text,) = (finding.text for finding in checked.findings if finding.code == "gap")
        assert text.endswith(f"its message before is line {before + 1}")


def test_a_lost_picture_of_best_prices_is_named(data_dir: Path, tmp_path: Path) -> None:
    """Where the counter grew with it; a picture that was only repeated leaves no hole."""
    lines = lines_of(data_dir / BYBIT_BEST)
    counted = {at: json.loads(lines[at]["raw"])["data"]["u"] for at in books_in(lines)}
    cases = [three for three in neighbors(lines) if len({counted[at] for at in three}) == 3]
    assert len(cases) > 100
    for _, lost, after in cases[::15]:
        checked = check(write_lines(tmp_path / "one.jsonl", lines[:lost] + lines[lost + 1 :]))
        assert told(checked, "gap") == [after]


@pytest.mark.req("R360")
@pytest.mark.parametrize("file", [OKX_2021, OKX_2022])
def test_a_lost_change_of_the_best_levels_is_named_by_the_checksum(file: str, data_dir: Path, tmp_path: Path) -> None:
    """A change that gave the book another checksum, and not one that the next message overwrites."""
    lines = lines_of(data_dir / file)
    stated = {at: json.loads(lines[at]["raw"])["data"][0]["checksum"] for at in books_in(lines)}
    cases = [three for three in neighbors(lines) if len({stated[at] for at in three}) == 3]
    cases = cases[:: len(cases) // 15]
    named = 0
    for _, lost, after in cases:
        checked = check(write_lines(tmp_path / "one.jsonl", lines[:lost] + lines[lost + 1 :]))
        named += told(checked, "wrong") == [after]
    assert named >= len(cases) * 0.8


@pytest.mark.req("R360")
@pytest.mark.parametrize("file", [SPOT_2021, USDM_2021, BYBIT_BEST, BYBIT_BOOK, OKX_2021, OKX_2022, UPBIT])
def test_doubled_and_swapped_lines_are_named(file: str, data_dir: Path, tmp_path: Path) -> None:
    lines, dice = lines_of(data_dir / file), random.Random(file)
    path = tmp_path / "one.jsonl"
    for at in dice.sample(books_in(lines), 6):
        checked = check(write_lines(path, [*lines[: at + 1], lines[at], *lines[at + 1 :]]))
        assert told(checked, "duplicate") == [at + 2]
        assert checked.errors == 1
        other = next((n for n in range(at + 1, len(lines)) if lines[n]["ts_ns"] > lines[at]["ts_ns"]), None)
        if other is not None:
            swapped = [*lines[:at], lines[other], *lines[at + 1 : other], lines[at], *lines[other + 1 :]]
            assert at + 2 <= min(told(check(write_lines(path, swapped)), "order")) <= other + 1


@pytest.mark.parametrize("file", [SPOT_2021, USDM_2021, BYBIT_BOOK, BYBIT_BEST, OKX_2022, UPBIT])
def test_swapped_messages_of_one_book_are_named_whatever_the_clock_says(
    file: str, data_dir: Path, tmp_path: Path
) -> None:
    """The times of arrival are put right, so that nothing but the venue's own word tells."""
    lines = lines_of(data_dir / file)
    where = books_in(lines)
    name = book_of(lines[where[len(where) // 2]])
    own = [at for at in where if book_of(lines[at]) == name]
    one, other = own[len(own) // 2], own[len(own) // 2 + 1]
    lines[one]["raw"], lines[other]["raw"] = lines[other]["raw"], lines[one]["raw"]
    checked = check(write_lines(tmp_path / "one.jsonl", lines))
    assert min(told(checked, "gap", "order", "wrong")) in (one + 1, other + 1)


def test_a_doubled_answer_is_nothing(data_dir: Path, tmp_path: Path) -> None:
    """Subscriptions that were made at once are answered alike; what stands for the books must be told once."""
    lines = lines_of(data_dir / BYBIT_BEST)
    answers = [json.dumps(line) for line in lines if '"success"' in line["raw"]]
    assert len(set(answers)) < len(answers)
    assert check(write_lines(tmp_path / "one.jsonl", lines)).findings == []
    snapshots = lines_of(data_dir / SPOT_2021)
    at = next(at for at, line in enumerate(snapshots) if line["dir"] == "http")
    snapshots.insert(at, copy.deepcopy(snapshots[at]))
    assert told(check(write_lines(tmp_path / "two.jsonl", snapshots)), "duplicate") == [at + 2]


@pytest.mark.parametrize("file", [OKX_2022, BYBIT_BOOK])
def test_a_lost_picture_is_named_by_the_changes_that_need_it(file: str, data_dir: Path, tmp_path: Path) -> None:
    lines = lines_of(data_dir / file)
    at = next(at for at in books_in(lines) if '"snapshot"' in lines[at]["raw"][:200])
    name = book_of(lines.pop(at))
    checked = check(write_lines(tmp_path / "one.jsonl", lines))
    first = next(n for n in books_in(lines) if book_of(lines[n]) == name)
    assert [(each.code, each.line) for each in checked.findings] == [("unproven", first + 1)]


# ---- books that are other than the venue's ---------------------------------------------------------------------


@pytest.mark.parametrize("file", [OKX_2021, OKX_2022])
def test_one_wrong_digit_is_named_by_the_checksum(file: str, data_dir: Path, tmp_path: Path) -> None:
    lines = lines_of(data_dir / file)
    at = next(at for at in books_in(lines)[60:] if json.loads(lines[at]["raw"])["data"][0]["bids"])
    frame = json.loads(lines[at]["raw"])
    best = max(frame["data"][0]["bids"], key=lambda level: float(level[0]))
    best[1] = best[1] + "7" if "." in best[1] else best[1] + ".7"
    lines[at]["raw"] = json.dumps(frame)
    checked = check(write_lines(tmp_path / "one.jsonl", lines))
    (line,) = told(checked, "wrong")
    assert line >= at + 1
    assert checked.books.messages > checked.books.proven.total()


def test_a_wrong_best_price_is_named_by_the_venues_own(data_dir: Path, tmp_path: Path) -> None:
    """The numbers hold; that the book is another only the stream of best prices tells, twice before it is believed."""
    lines = lines_of(data_dir / USDM_2021)
    at = next(at for at in books_in(lines)[200:] if json.loads(lines[at]["raw"])["data"]["b"])
    frame = json.loads(lines[at]["raw"])
    symbol, bids = frame["data"]["s"], frame["data"]["b"]
    best = [json.loads(line["raw"])["data"] for line in lines[:at] if "@bookTicker" in line["raw"][:60]]
    ask = next(float(one["a"]) for one in reversed(best) if one["s"] == symbol)
    bid = next(float(one["b"]) for one in reversed(best) if one["s"] == symbol)
    assert bid < ask
    bids.append([f"{(bid + ask) / 2:.6f}", "1"])
    lines[at]["raw"] = json.dumps(frame)
    checked = check(write_lines(tmp_path / "one.jsonl", lines))
    assert min(told(checked, "wrong")) > at
    assert checked.books.equal < checked.books.compared


# ---- shapes of messages ----------------------------------------------------------------------------------------


def numbered(lines: Lines) -> Lines:
    """As OKX sent from 2023 to June 2026: with numbers and with the checksum."""
    lines, last = copy.deepcopy(lines), dict[str, int]()
    for at in books_in(lines):
        frame = json.loads(lines[at]["raw"])
        name, row = frame["arg"]["instId"], frame["data"][0]
        row["seqId"], row["prevSeqId"] = last.get(name, 100) + 3, last.get(name, -1)
        last[name] = row["seqId"]
        lines[at]["raw"] = json.dumps(frame, separators=(",", ":"))
    return lines


def test_numbers_and_checksum_prove_together(data_dir: Path, tmp_path: Path) -> None:
    lines = numbered(lines_of(data_dir / OKX_2022))
    path = tmp_path / "one.jsonl"
    assert as_dict(check(write_lines(path, lines)))["books"]["proven"] == {"checksum": 290}  # type: ignore[index]
    for at in books_in(lines)[10:-10:50]:
        assert told(check(write_lines(path, lines[:at] + lines[at + 1 :])), "gap")
    for at in books_in(lines):  # as it is since then
        lines[at]["raw"] = lines[at]["raw"].replace('"checksum":', '"was":')
    assert as_dict(check(write_lines(path, lines)))["books"]["proven"] == {"picture": 3, "sequence": 287}  # type: ignore[index]


def test_without_number_and_checksum_changes_prove_nothing(data_dir: Path, tmp_path: Path) -> None:
    lines = lines_of(data_dir / OKX_2022)
    for line in lines:
        line["raw"] = line["raw"].replace('"checksum":', '"was":')
    checked = check(write_lines(tmp_path / "one.jsonl", lines))
    books = checked.books
    assert (books.messages, books.proven.total(), books.spare) == (290, 3, 0)
    assert {(finding.code, finding.line) for finding in checked.findings} == {
        ("unproven", 32), ("unproven", 33), ("unproven", 34),  # the first change of each book
    }  # fmt: skip


def test_a_name_that_is_used_again_is_another_connection(data_dir: Path, tmp_path: Path) -> None:
    lines = lines_of(data_dir / OKX_2022)
    later = copy.deepcopy(lines)
    for line in later:
        line["ts_ns"] += 10**12
    checked = check(write_lines(tmp_path / "one.jsonl", lines + later))
    assert checked.findings == []
    assert checked.books.proven.total() == 580


def test_an_engines_codec_reads_no_former_shapes(data_dir: Path) -> None:
    """They are asked for; a live stream without numbers is a stream that cannot be followed."""
    lines = lines_of(data_dir / OKX_2022)
    raw = lines[books_in(lines)[0]]["raw"].encode()
    live, recorded = (VENUES["okx-spot"].public(VenueOptions(recorded=recorded)) for recorded in (False, True))
    (event,) = Witness(live).take(raw, 1)
    assert event.what is Happening.UNREADABLE
    assert Witness(recorded).take(raw, 1) == []


def test_a_best_price_that_is_repeated_for_want_of_a_change_is_no_misstep() -> None:
    """Section 8.1: sent again after three seconds of silence, with the same `u`."""
    numbers = BestPriceNumbers()
    raw = b'{"topic":"orderbook.1.BTCUSDT","type":"snapshot","data":{"s":"BTCUSDT","b":[],"a":[],"u":%d,"seq":%d}}'
    steps = [numbers.step(raw % pair) for pair in ((7, 70), (7, 70), (8, 71), (8, 70))]
    assert [step.misstep if step else step for step in steps] == [None, None, None, Misstep.BACKWARDS]
