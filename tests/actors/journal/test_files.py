"""State on the hour, profit by day, and the actor that writes them without being in anybody's way."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import attrs
import pytest
import trio
import trio.testing

from actors.account.settings import AccountSettings
from actors.account.state import AccountState
from actors.journal import files as files_module
from actors.journal.actor import JournalActor
from actors.journal.disk import Disk
from actors.journal.files import FILES, FilesActor, replayed
from actors.journal.home import JournalHome
from actors.journal.layout import Layout
from actors.journal.reports import (
    COLUMNS,
    STATE_FORMAT,
    EngineState,
    newest_state,
    read_state,
    write_report,
    write_state,
)
from protocols.base import Query
from protocols.canonical import canonical_json, state_hash
from protocols.control import PnlChanged, PnlQuery
from protocols.errors import JournalError
from protocols.ids import AccountID, StrategyID, Symbol, Venue
from protocols.instruments import Product
from protocols.journal import JOURNAL, OrderIntent, ReplayAnswer, ReplayQuery, SymbolDefined
from protocols.orders import account_path
from protocols.positions import AccountPicture, AccountQuery, Balance, Position
from supervisors.actor import Actor, AskError
from supervisors.clock import TrioClock
from supervisors.runtime import Runtime
from supervisors.spec import ChildSpec, SupervisorSpec
from supervisors.supervisor import run_tree
from supervisors.testing import RecordingContext
from tests.actors.journal.samples import START_NS, Bench, fact, fill, order

SEOUL = ZoneInfo("Asia/Seoul")
HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
MAIN, SPOT, BTC, TFPE = AccountID("main"), Venue("binance-spot"), Symbol("BTCUSDT"), StrategyID("tfpe")
PAIR = (MAIN, SPOT)


def position(qty: str = "0.5", realized: str = "0", strategy: StrategyID = TFPE) -> Position:
    fees = (("BTC", Decimal("0.001")), ("USDT", Decimal("1E-7")))
    return Position(MAIN, SPOT, BTC, strategy, Decimal(qty), Decimal("50000.10"), Decimal(realized), fees, START_NS)


def mark(qty: str = "0.5", unrealized: str = "12.5") -> PnlChanged:
    return PnlChanged(
        MAIN,
        SPOT,
        TFPE,
        BTC,
        Decimal(qty),
        Decimal("50000.10"),
        Decimal("50025.10"),
        Decimal(0),
        Decimal(unrealized),
        START_NS,
    )


def picture(*positions: Position) -> AccountPicture:
    balance = Balance(MAIN, SPOT, "USDT", Decimal("100.00"), Decimal(0), START_NS)
    return AccountPicture(MAIN, SPOT, (), positions, (balance,), "", START_NS)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def trades(data: Path) -> int:
    """Lines in the one file of trades."""
    (path,) = data.glob("logs/*/*/*/trades.jsonl")
    return path.read_bytes().count(b"\n")


def hours(data: Path) -> list[str]:
    """The hours that have a state file."""
    return sorted(str(p.parent.relative_to(data / "snapshots")) for p in data.glob("snapshots/*/*/*/*/state.json"))


# ---- state -----------------------------------------------------------------------------------------------------------


def state(at_ns: int, layout: Layout) -> EngineState:
    return EngineState(STATE_FORMAT, at_ns, layout.text(at_ns), (picture(position()),), {})


@pytest.mark.req("R249", "R296")
def test_the_state_of_an_hour_is_where_people_look_and_comes_back(tmp_path: Path) -> None:
    layout = Layout(tmp_path, SEOUL)
    path = write_state(layout, state(START_NS, layout), Disk())
    assert path == tmp_path / "snapshots/2023/11/15/07/state.json"
    assert read_state(path, Disk()) == state(START_NS, layout)
    content = json.loads(path.read_text())
    assert content["state"]["accounts"][0]["positions"][0]["qty"] == "0.5"
    assert content["state"]["time"] == "2023-11-15T07:13:20.000000000+09:00"
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in path.parent.iterdir()) == ["state.json"]


def test_a_damaged_state_is_seen_and_the_one_before_taken(tmp_path: Path) -> None:
    layout = Layout(tmp_path, SEOUL)
    assert newest_state(tmp_path, Disk()) is None
    old = write_state(layout, state(START_NS, layout), Disk())
    new = write_state(layout, state(START_NS + HOUR_NS, layout), Disk())
    found = newest_state(tmp_path, Disk())
    assert found is not None
    assert found[0] == new
    whole = new.read_bytes()
    for damaged, reason in [
        (whole.replace(b'"0.5"', b'"5.0"'), "does not have the hash"),
        (whole[:-20], "not a state file"),
        (b"{}", "not a state file"),
        (b"", "not a state file"),
    ]:
        new.write_bytes(damaged)
        with pytest.raises(JournalError, match=reason):
            read_state(new, Disk())
        assert newest_state(tmp_path, Disk()) == (old, state(START_NS, layout))
    text = canonical_json({"format": 1})
    new.write_text(f'{{"hash":"{state_hash(text)}","state":{text}}}')
    with pytest.raises(JournalError, match="not a state file"):
        read_state(new, Disk())


# ---- profit ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("R250")
def test_profit_has_one_row_for_each_day_and_position(tmp_path: Path) -> None:
    layout = Layout(tmp_path, SEOUL)
    other = position("0", "7", StrategyID("maker"))
    path = write_report(layout, START_NS, [position(realized="10"), other], [mark()], Disk())
    assert path == tmp_path / "reports/2023/11/pnl.csv"
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert rows(path)[0]["strategy"] == "maker"
    assert rows(path)[0]["unrealized"] == "0"
    assert rows(path)[1] == {
        "date": "2023-11-15",
        "account": "main",
        "venue": "binance-spot",
        "symbol": "BTCUSDT",
        "strategy": "tfpe",
        "qty": "0.5",
        "avg_px": "50000.10",
        "mark": "50025.10",
        "realized": "10",
        "realized_day": "10",
        "unrealized": "12.5",
        "fees": "0.001 BTC 0.0000001 USDT",
        "updated_ns": str(START_NS),
    }


def test_a_day_is_counted_from_the_end_of_the_day_before(tmp_path: Path) -> None:
    layout = Layout(tmp_path, SEOUL)
    for later, realized in [(0, "10"), (5, "12"), (24, "15"), (30, "9"), (16 * 24, "20")]:
        write_report(layout, START_NS + later * HOUR_NS, [position(realized=realized)], [], Disk())
    november = rows(tmp_path / "reports/2023/11/pnl.csv")
    assert [(row["date"], row["realized"], row["realized_day"]) for row in november] == [
        ("2023-11-15", "12", "12"),
        ("2023-11-16", "9", "-3"),
    ]
    december = rows(tmp_path / "reports/2023/12/pnl.csv")
    assert [(row["date"], row["realized_day"]) for row in december] == [("2023-12-01", "11")]


def test_a_position_without_a_current_mark_has_no_unrealized_profit(tmp_path: Path) -> None:
    layout = Layout(tmp_path, SEOUL)
    path = write_report(layout, START_NS, [position("0.5")], [mark(qty="0.4")], Disk())
    assert (rows(path)[0]["mark"], rows(path)[0]["unrealized"]) == ("50025.10", "")
    path = write_report(layout, START_NS, [position("0.5")], [], Disk())
    assert (rows(path)[0]["mark"], rows(path)[0]["unrealized"]) == ("", "")


def test_rows_of_positions_that_are_gone_stay(tmp_path: Path) -> None:
    layout = Layout(tmp_path, SEOUL)
    write_report(layout, START_NS, [position(strategy=StrategyID("old"))], [], Disk())
    path = write_report(layout, START_NS, [position()], [], Disk())
    assert [row["strategy"] for row in rows(path)] == ["old", "tfpe"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "date,account\n1,2\n",
        f"{','.join(COLUMNS)}\n1,2\n",
        f"{','.join(COLUMNS)}\n{'x,' * 12}x\n",
        f"{','.join(COLUMNS)}\n{'1,' * 13}1\n",
    ],
)
def test_a_report_that_somebody_changed_is_put_aside(tmp_path: Path, content: str) -> None:
    layout = Layout(tmp_path, SEOUL)
    path = layout.report(START_NS)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    write_report(layout, START_NS, [position()], [], Disk())
    assert len(rows(path)) == 1
    assert path.with_name("pnl.csv.damaged").read_text() == content


# ---- the actor -------------------------------------------------------------------------------------------------------


def files(data: Path, disk: Disk | None = None, now_ns: int = START_NS) -> tuple[FilesActor, RecordingContext]:
    actor = FilesActor(data, [PAIR], disk=disk)
    ctx = RecordingContext(actor, FILES, now_ns)
    ctx.answers = {AccountQuery: lambda to, query: picture(position()), PnlQuery: lambda to, query: (mark(),)}
    return actor, ctx


async def journal(data: Path) -> Bench:
    bench = Bench(JournalHome(data / "journal"))
    await bench.actor.started()
    return bench


def given(answer: object, to: str, query: Query) -> object:
    return answer


def refuse(to: str, query: Query) -> object:
    raise AskError(f"{to} is down")


@pytest.mark.req("R242", "R320")
async def test_an_end_leaves_everything_written(tmp_path: Path) -> None:
    bench = await journal(tmp_path)
    bench.give(*(fact(number) for number in range(100)))
    actor, _ = files(tmp_path)
    await actor.stopped("end")
    assert trades(tmp_path) == 100
    path = tmp_path / "snapshots/2023/11/15/07/state.json"
    assert read_state(path, Disk()).accounts == (picture(position()),)
    assert rows(tmp_path / "reports/2023/11/pnl.csv")[0]["qty"] == "0.5"
    assert actor.inspect() == {"exported_seq": 102, "newest_state": str(path), "trouble": ""}


async def test_an_account_that_is_down_is_read_from_the_journal(tmp_path: Path) -> None:
    bench = await journal(tmp_path)
    bench.give(fact(1))
    actor, ctx = files(tmp_path)
    definition = SymbolDefined(SPOT, BTC, Product.SPOT, "BTC", "USDT", Decimal(1), START_NS)
    records = (definition, OrderIntent(order(1), START_NS), fill(1))
    whole = AccountState(MAIN, SPOT, AccountSettings().retention)
    for record in records:
        whole.apply(record)
    answers = [
        ReplayAnswer(1, None, records),
        ReplayAnswer(1, whole.snapshot(START_NS), ()),
    ]
    expected = whole.picture()
    assert expected.positions[0].qty == Decimal("0.0100") - Decimal("0.00001")
    for answer in answers:
        ctx.answers = {AccountQuery: refuse, ReplayQuery: partial(given, answer)}
        await actor.stopped("end")
        found = newest_state(tmp_path, Disk())
        assert found is not None
        assert found[1].accounts == (expected,) == (replayed(MAIN, SPOT, answer),)


async def test_an_account_that_nobody_knows_about_is_named(tmp_path: Path) -> None:
    await journal(tmp_path)
    actor, ctx = files(tmp_path)
    ctx.answers = {}
    await actor.stopped("end")
    found = newest_state(tmp_path, Disk())
    assert found is not None
    assert found[1].accounts == ()
    (reason,) = found[1].missing.values()
    assert "gives no answer to AccountQuery" in reason
    assert "gives no answer to ReplayQuery" in reason


class FullDisk(Disk):
    """Real, but says that it is full when told so."""

    def __init__(self, *full: str) -> None:
        self.full = set(full)

    def _check(self, what: str) -> None:
        if what in self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def append_to(self, path: Path) -> int:
        self._check("daily")
        return super().append_to(path)

    def write_whole(self, path: Path, data: bytes) -> None:
        self._check("mark" if path.name == "exported.json" else "report")
        super().write_whole(path, data)


async def test_a_full_disk_at_the_end_is_said_and_is_no_crash(tmp_path: Path) -> None:
    bench = await journal(tmp_path)
    bench.give(fact(1))
    actor, _ = files(tmp_path, FullDisk("daily"))
    await actor.stopped("end")
    assert "No space left on device" in str(actor.inspect()["trouble"])


class Asked(Actor):
    """Stands in the tree where an account or the portfolio would, and answers with what it was given."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def answer(self, query: Query) -> object:
        return self._answer


async def in_a_tree(data: Path, disk: Disk, seconds: float, each_minute: list[str], runtime: Runtime) -> None:
    """An engine's corner: journal, files, portfolio, one account; some virtual time; then an orderly end."""
    home = JournalHome(data / "journal")
    group = SupervisorSpec(
        name="accounts",
        children=(
            SupervisorSpec(
                name=MAIN,
                children=(
                    SupervisorSpec(
                        name=SPOT, children=(ChildSpec(name="account", factory=lambda: Asked(picture(position()))),)
                    ),
                ),
            ),
        ),
    )
    children = (
        ChildSpec(name="journal", factory=lambda: JournalActor(home)),
        ChildSpec(name="files", factory=lambda: FilesActor(data, [PAIR], disk=disk)),
        ChildSpec(name="portfolio", factory=lambda: Asked((mark(),))),
        group,
    )
    async with trio.open_nursery() as nursery:
        root = await nursery.start(partial(run_tree, SupervisorSpec(name="", children=children), runtime))
        await runtime.wait_ready(account_path(MAIN, SPOT))
        for minute in range(int(seconds // 60)):
            runtime.deliver(JOURNAL, attrs.evolve(fact(minute), forward=()))
            await trio.sleep(60)
            each_minute.append(str(runtime.cell(FILES).actor.inspect()["trouble"]))  # type: ignore[union-attr]
        root.request_stop("end of the test")


@pytest.fixture
def virtual_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that is given to a thread takes no virtual time.

    The clock jumps whenever all tasks wait, and to it a task that waits for a thread is one of those: however short
    the thread's work, the clock could pass any deadline meanwhile, and on a busy machine it does.
    """

    async def at_once(job: Callable[[], object]) -> object:
        await trio.lowlevel.checkpoint()
        return job()

    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)


@pytest.mark.req("R277")
@pytest.mark.usefixtures("virtual_disk")
async def test_a_night_of_virtual_time(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Three hours over midnight: a state each hour, a row for each of the two days, each fill once."""
    evening = START_NS - START_NS % DAY_NS + 13 * HOUR_NS + HOUR_NS // 2  # 22:30 in Seoul
    await in_a_tree(tmp_path, Disk(), 3 * 3600, [], Runtime(clock=TrioClock(evening), seed=1))
    assert hours(tmp_path) == ["2023/11/14/22", "2023/11/14/23", "2023/11/15/00", "2023/11/15/01"]
    report = rows(tmp_path / "reports/2023/11/pnl.csv")
    assert [(row["date"], row["qty"], row["unrealized"]) for row in report] == [
        ("2023-11-14", "0.5", "12.5"),
        ("2023-11-15", "1.8000", ""),  # the account had stopped: its records say more than our stand-in did
    ]
    assert trades(tmp_path) == 180
    assert json.loads((tmp_path / "logs/exported.json").read_text())["seq"] > 180


@pytest.mark.usefixtures("virtual_disk")
async def test_troubles_of_the_disk_pass(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    disk = FullDisk("daily", "report", "mark")
    troubles: list[str] = []
    runtime = Runtime(clock=TrioClock(START_NS), seed=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(in_a_tree, tmp_path, disk, 600, troubles, runtime)
        await trio.sleep(130)
        assert hours(tmp_path) == []
        disk.full = {"mark"}
        await trio.sleep(180)
        disk.full = set()
    assert all("No space left" in text for text in troubles[:2])
    assert troubles[-1] == ""
    assert trades(tmp_path) == 10
    assert hours(tmp_path) == ["2023/11/15/07"]


async def test_what_cannot_be_exported_in_time_is_left_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "LAST_NS", 0)
    bench = await journal(tmp_path)
    bench.give(*(fact(number) for number in range(100)))
    actor, _ = files(tmp_path)
    await actor.stopped("end")
    assert actor.inspect()["exported_seq"] == files_module.SLICE
    again, _ = files(tmp_path)
    monkeypatch.setattr(files_module, "LAST_NS", 10**12)
    await again.stopped("end")
    assert trades(tmp_path) == 100
