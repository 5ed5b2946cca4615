"""Daily files: every fill once, on its own day, whatever was killed when."""

from __future__ import annotations

import errno
import json
import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.journal import exports as exports_module
from actors.journal.disk import Disk
from actors.journal.exports import Exporter, identity_of
from actors.journal.home import JournalHome
from actors.journal.layout import Layout
from protocols.canonical import state_hash
from protocols.enums import ExecType
from protocols.errors import JournalError
from protocols.ids import AccountID
from protocols.journal import CancelIntent, RunStarted, StateSnapshot
from tests.actors.journal.samples import START_NS, Bench, fact, fill, intent, order, plain

SEOUL = ZoneInfo("Asia/Seoul")
DAY_NS = 86_400 * 10**9
START_DAY = "2023/11/15"
"""START_NS is 2023-11-14 22:13:20 UTC, in Seoul the next morning."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def journal(data: Path, segment_bytes: int = 1 << 20) -> Bench:
    bench = Bench(JournalHome(data / "journal", segment_bytes=segment_bytes))
    trio.run(bench.actor.started)
    return bench


def exporter(data: Path, disk: Disk | None = None) -> Exporter:
    return Exporter(Layout(data, SEOUL), data / "journal", disk)


def drain(exporter: Exporter, most: int = 3) -> Exporter:
    while exporter.step(most):
        pass
    return exporter


def lines(data: Path, name: str = "trades.jsonl") -> list[dict[str, str]]:
    return [
        json.loads(line) for path in sorted(data.glob(f"logs/*/*/*/{name}")) for line in path.read_text().splitlines()
    ]


def trade_ids(data: Path) -> list[str]:
    return [line["trade_id"] for line in lines(data)]


@pytest.mark.req("R240", "R248", "R276")
def test_a_fill_is_one_line_with_all_that_people_ask_for(data: Path) -> None:
    journal(data).give(intent(7), fact(7))
    drain(exporter(data))
    (path,) = data.glob("logs/*/*/*/trades.jsonl")
    assert path == data / "logs" / START_DAY / "trades.jsonl"
    (line,) = lines(data)
    assert line == {
        "seq": 4,
        "time": "2023-11-15T07:13:20.000000000+09:00",
        "t": START_NS,
        "account": "main",
        "venue": "binance-spot",
        "symbol": "BTCUSDT",
        "strategy": "tfpe",
        "side": "BUY",
        "qty": "0.0100",
        "price": "50000.1",
        "quote_qty": "500.00100",
        "fee": "0.00001",
        "fee_asset": "BTC",
        "liquidity": "UNKNOWN",
        "exec_type": "TRADE",
        "trade_id": "7",
        "order_id": "7",
        "cl_ord_id": order(7).cl_ord_id,
        "ord_status": "FILLED",
        "cum_qty": "0.0100",
        "received_ns": START_NS,
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_only_fills_are_trades_and_only_orders_are_orders(data: Path) -> None:
    bench = journal(data)
    busted = attrs.evolve(fill(3), exec_type=ExecType.TRADE_CANCEL)
    bench.give(
        intent(1),
        plain(attrs.evolve(fill(1), exec_type=ExecType.NEW, trade_id=None)),
        plain(CancelIntent(order(1).cl_ord_id, 1), fill(2), busted),
        plain(RunStarted(1, "", "", 1)),
    )
    drain(exporter(data))
    assert [(line["trade_id"], line["exec_type"]) for line in lines(data)] == [("2", "TRADE"), ("3", "TRADE_CANCEL")]
    kinds = [line["kind"] for line in lines(data, "orders.jsonl")]
    assert kinds == ["OrderIntent", "ExecutionReport", "CancelIntent", "ExecutionReport", "ExecutionReport"]


def test_a_day_without_trades_has_no_file_of_trades(data: Path) -> None:
    journal(data).give(intent(1))
    drain(exporter(data)).close()
    drain(exporter(data)).close()
    assert [path.name for path in data.glob("logs/*/*/*/*")] == ["orders.jsonl"]
    assert len(lines(data, "orders.jsonl")) == 1


@settings(max_examples=50, deadline=None)
@given(at=st.integers(1_600_000_000 * 10**9, 1_900_000_000 * 10**9))
def test_a_fill_belongs_to_the_local_day_of_the_trade(tmp_path_factory: pytest.TempPathFactory, at: int) -> None:
    layout = Layout(Path("data"), SEOUL)
    day = datetime.fromtimestamp(at // 10**9, SEOUL)
    for moment in (at, at + DAY_NS, at):  # the cached day must not leak into another one
        expected = datetime.fromtimestamp(moment // 10**9, SEOUL)
        assert layout.log(moment, "x") == Path(f"data/logs/{expected:%Y/%m/%d}/x")
    assert layout.snapshot(at) == Path(f"data/snapshots/{day:%Y/%m/%d/%H}/state.json")
    assert layout.report(at) == Path(f"data/reports/{day:%Y/%m}/pnl.csv")
    assert layout.text(at)[:19] == day.isoformat()[:19]


def test_the_time_has_all_its_digits() -> None:
    assert Layout(Path(), SEOUL).text(START_NS + 6) == "2023-11-15T07:13:20.000000006+09:00"
    assert Layout(Path(), ZoneInfo("UTC")).text(START_NS + 6) == "2023-11-14T22:13:20.000000006+00:00"


def test_late_fills_of_many_days_find_their_files(data: Path) -> None:
    bench = journal(data)
    days = [0, 1, 2, 3, 4, 5, 0, 3, 1]
    for number, day in enumerate(days):
        bench.give(plain(fill(number, START_NS - day * DAY_NS)))
    drain(exporter(data), most=1)
    assert sorted(trade_ids(data)) == sorted(map(str, range(len(days))))
    assert len(list(data.glob("logs/*/*/*/trades.jsonl"))) == 6


def test_it_follows_from_segment_to_segment_while_they_are_written(data: Path) -> None:
    follower = exporter(data)
    assert follower.step(10) == 0, "there is no journal yet"
    bench = journal(data, segment_bytes=3000)
    seen = 0
    for number in range(40):
        bench.give(fact(number))
        if number % 7 == 0:
            drain(follower)
            seen = len(trade_ids(data))
            assert seen == number + 1
    drain(follower)
    assert trade_ids(data) == [str(number) for number in range(40)]
    assert len(list((data / "journal").glob("*.jsonl"))) > 5
    follower.close()


@settings(max_examples=40, deadline=None)
@given(script=st.lists(st.sampled_from(["fill", "step", "save", "crash", "crash torn"]), max_size=40))
def test_whatever_dies_when_each_fill_is_in_the_files_once(
    tmp_path_factory: pytest.TempPathFactory, script: list[str]
) -> None:
    data = tmp_path_factory.mktemp("once")
    bench = journal(data, segment_bytes=3000)
    follower = exporter(data)
    number = 0
    for move in script:
        if move == "fill":
            bench.give(fact(number), intent(number))
            number += 1
        elif move == "step":
            follower.step(2)
        elif move == "save":
            follower.saving()()
        else:
            follower.close()
            torn = sorted(data.glob("logs/*/*/*/*.jsonl"))
            if move == "crash torn":
                for path in torn:
                    with path.open("ab") as file:
                        file.write(b'{"seq":1,"tim')
            follower = exporter(data)
    drain(follower)
    follower.close()
    assert trade_ids(data) == [str(n) for n in range(number)]
    assert len(lines(data, "orders.jsonl")) == 2 * number
    bench.home.close()


def test_an_unfinished_line_of_a_daily_file_is_cut_and_written_whole(data: Path) -> None:
    bench = journal(data)
    bench.give(fact(0))
    drain(exporter(data)).close()
    (trades,) = data.glob("logs/*/*/*/trades.jsonl")
    with trades.open("ab") as file:
        file.write(b'{"seq":9,"tim')
    bench.give(fact(1))
    follower = drain(exporter(data))
    follower.close()
    assert trade_ids(data) == ["0", "1"]
    assert trades.read_bytes().endswith(b"}\n")


def test_a_mark_saves_the_work_of_looking_at_everything_again(data: Path) -> None:
    bench = journal(data)
    bench.give(*(fact(number) for number in range(20)))
    first = drain(exporter(data))
    first.saving()()
    first.close()
    second = exporter(data)
    assert second.seq == first.seq == 22
    assert second.step(100) == 0
    bench.give(fact(20))
    drain(second)
    assert trade_ids(data) == [str(number) for number in range(21)]


@pytest.mark.parametrize(
    "mark",
    [
        b"",
        b"not json",
        b'{"seq":3,"segment":"000000000099.jsonl","offset":0}',
        b'{"seq":5,"segment":"000000000001.jsonl","offset":7}',
    ],
    ids=["empty", "text", "segment", "offset"],
)
def test_a_mark_that_does_not_fit_is_not_believed(data: Path, mark: bytes) -> None:
    bench = journal(data)
    bench.give(*(fact(number) for number in range(5)))
    drain(exporter(data)).close()
    (data / "logs" / "exported.json").write_bytes(mark)
    again = drain(exporter(data))
    assert again.seq == 7
    assert trade_ids(data) == [str(number) for number in range(5)]


def test_a_mark_of_a_journal_that_lost_its_end_is_not_believed(data: Path) -> None:
    """After a power cut the journal may be shorter than what was exported; the venue tells us the fills again."""
    bench = journal(data)
    bench.give(*(fact(number) for number in range(5)))
    first = drain(exporter(data))
    first.saving()()
    first.close()
    bench.home.close()
    path = data / "journal" / "000000000001.jsonl"
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-2]))
    bench = journal(data)
    bench.give(fact(4), fact(3), fact(5))
    drain(exporter(data)).close()
    assert sorted(trade_ids(data)) == [str(number) for number in range(6)]


def test_long_files_are_read_back_in_pieces(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports_module, "_READ", 700)
    bench = journal(data)
    bench.give(*(fact(number) for number in range(10)))
    first = exporter(data)
    for _ in range(6):
        first.step(1)
    first.saving()()
    drain(first).close()
    second = drain(exporter(data))
    assert trade_ids(data) == [str(number) for number in range(10)]
    second.close()


def test_a_record_longer_than_one_reading_is_passed(data: Path) -> None:
    """The snapshot of a busy account is larger than what is read at a time."""
    state = "{" + " " * (3 * 256 * 1024) + "}"
    bench = journal(data, segment_bytes=1 << 24)
    bench.give(intent(1), fact(1), plain(StateSnapshot(state, state_hash(state), START_NS)), intent(2), fact(2))
    drain(exporter(data))
    assert trade_ids(data) == ["1", "2"]


def test_two_of_our_accounts_in_one_trade_are_two_fills(data: Path) -> None:
    bench = journal(data)
    bench.give(plain(fill(1)), plain(attrs.evolve(fill(1), account=AccountID("other")), key="account/other/x"))
    drain(exporter(data)).close()
    drain(exporter(data)).close()
    assert [line["account"] for line in lines(data)] == ["main", "other"]


def test_identities() -> None:
    assert identity_of(b'{"seq":1,"kind":"OrderIntent"}') == b'{"seq":1,"kind":"OrderIntent"}'
    trade = b'{"seq":%d,"account":"a","venue":"v","symbol":"s","trade_id":"1","side":"BUY","exec_type":"TRADE"}'
    assert identity_of(trade % 1) == identity_of(trade % 2)


def test_damage_is_named_and_nothing_behind_it_exported(data: Path) -> None:
    bench = journal(data)
    bench.give(fact(1), fact(2), fact(3))
    path = data / "journal" / "000000000001.jsonl"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"trade_id":"2"', b'"trade_id":"5"'))
    follower = exporter(data)
    with pytest.raises(JournalError, match=r"000000000001\.jsonl, line 4 .*the checksum says"):
        follower.step(10)
    assert follower.step(2) == 2, "what stands before it"
    with pytest.raises(JournalError, match="line 4 "):
        follower.step(10)
    path.write_bytes(content)
    drain(follower)
    assert trade_ids(data) == ["1", "2", "3"]


class SickDisk(Disk):
    """Real, but appending to a file whose name ends as told fails, after a few bytes."""

    sick = ""

    def write_all(self, fd: int, data: bytes) -> None:
        if self.sick and os.readlink(f"/proc/self/fd/{fd}").endswith(self.sick):
            os.write(fd, data[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write_all(fd, data)

    def append_to(self, path: Path) -> int:
        if self.sick == "open":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().append_to(path)

    def sync_file(self, path: Path) -> None:
        if self.sick == "sync":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync_file(path)


@pytest.mark.parametrize("sick", ["trades.jsonl", "orders.jsonl", "open"])
def test_a_disk_that_fails_for_a_while_loses_and_doubles_nothing(data: Path, sick: str) -> None:
    disk = SickDisk()
    bench = journal(data)
    bench.give(*(fact(number) for number in range(6)))
    follower = exporter(data, disk)
    disk.sick = sick
    for _ in range(3):
        with pytest.raises(OSError, match=r"No space left|Too many open files"):
            drain(follower)
    disk.sick = ""
    drain(follower)
    assert trade_ids(data) == [str(number) for number in range(6)]
    assert len(lines(data, "orders.jsonl")) == 6


def test_a_failed_sync_is_repeated_before_the_mark_is_set(data: Path) -> None:
    disk = SickDisk()
    journal(data).give(fact(1))
    follower = drain(exporter(data, disk))
    disk.sick = "sync"
    with pytest.raises(OSError, match="Input/output error"):
        follower.saving()()
    assert not (data / "logs" / "exported.json").exists()
    disk.sick = ""
    follower.saving()()
    assert json.loads((data / "logs" / "exported.json").read_text())["seq"] == 3


def test_there_is_nothing_to_note_without_a_journal(data: Path) -> None:
    exporter(data).saving()()
    assert not data.exists()


def test_money_in_the_lines_is_exact(data: Path) -> None:
    journal(data).give(
        plain(attrs.evolve(fill(1), last_px=Decimal("0.00000001"), last_qty=Decimal("123456789.12345678")))
    )
    drain(exporter(data))
    assert Decimal(lines(data)[0]["quote_qty"]) == Decimal("0.00000001") * Decimal("123456789.12345678")
