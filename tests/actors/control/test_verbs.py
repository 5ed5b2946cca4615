"""What an operator can ask and order: through the socket where the tree matters, direct where time matters."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.control.verbs import ENFORCE_EVERY_NS, RELEASE_CODE_TTL_NS, Verbs
from actors.control.wire import Failure
from actors.journal.disk import Disk
from protocols.base import Message
from protocols.control import PauseStrategy, SetTradingState
from protocols.enums import TradingState
from protocols.ids import AccountID
from protocols.journal import Append, OperatorCommand
from protocols.orders import FIRM_GATE, CancelAll, account_gate, account_path
from protocols.positions import AccountQuery
from supervisors.actor import Actor, AskError
from supervisors.clock import SystemClock
from supervisors.runtime import Lifecycle, Runtime
from supervisors.testing import RecordingContext
from tests.actors.control.rig import (
    MAKER,
    MAKER_PATH,
    MASTER,
    SUB1,
    VENUE,
    Rig,
    control,
    open_order,
    picture,
    premises,
    talk,
    until,
)
from tests.supervisors.support import Boom, Note

DESK = account_path(MASTER, VENUE)
OTHER_DESK = account_path(SUB1, VENUE)


# ---- asking ------------------------------------------------------------------------------------------------------


async def test_status_counts_what_runs_and_names_what_is_not_ready(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        shown = await own.result("status")
        assert (shown["name"], shown["profile"]) == ("test", "demo")
        assert (shown["ready"], shown["actors"], shown["not_ready"]) == (9, 9, [])
        assert shown["timezone"] == "Asia/Seoul"
        assert shown["stopping"] == ""
        cell = rig.runtime.cell("/portfolio")
        cell.set_unready(cell.epoch, "rebuilding")
        shown = await own.result("status")
        assert shown["ready"] == 8
        assert shown["not_ready"] == [{"path": "/portfolio", "why": "rebuilding"}]
        cell.set_ready(cell.epoch)


async def test_status_says_that_the_journal_cannot_write_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        assert (await own.result("status"))["journal_failure"] == ""

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Disk, "write", full)
            await own.result("kill", scope="firm")
            shown: dict[str, object] = {}
            while not shown.get("journal_failure"):
                shown = await own.result("status")
            assert "No space left on device" in str(shown["journal_failure"])
        while (await own.result("status"))["journal_failure"]:  # noqa: ASYNC110 - the journal tries again by itself
            await trio.sleep(0.01)


async def test_the_tree_is_shown_top_down_and_a_nameless_group_by_its_title(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        rows = await own.result("tree")
    assert [row["name"] for row in rows[:5]] == ["root", "control", "journal", "engine", "portfolio"]
    assert [row["depth"] for row in rows[:5]] == [0, 1, 1, 1, 2]
    assert rows[1]["path"] == "/control"
    assert rows[1]["kind"] == "ControlActor"
    assert {row["path"] for row in rows} >= {DESK, OTHER_DESK, MAKER_PATH, FIRM_GATE}


async def test_one_actor_is_shown_with_mailbox_counts_restarts_and_state(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        rig.runtime.deliver("/portfolio", Note(1))
        await until(lambda: rig.got["/portfolio"])
        await own.result("restart", path="/portfolio")
        shown = await own.result("actor", path="/portfolio")
        assert shown["kind"] == "Station"
        assert shown["epoch"] == 2
        assert shown["counts"] == {"Note": 1}
        assert shown["mailbox"]["depth"] == 0
        assert shown["handling_ns"]["count"] == 1
        assert "OrderedRestart" in shown["restarts"][0]["cause"]
        assert shown["restarts"][0]["recovery_ns"] > 0
        assert shown["state"] == {"got": 1}


async def test_a_wrong_address_gets_the_nearest_right_one(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        refused = await own.ask("actor", path="/accounts/master/binance-spot/acount")
        assert refused["error"] == "no actor at /accounts/master/binance-spot/acount"
        group = await own.ask("restart", path="/accounts/master")
        assert group["error"] == "/accounts/master is a group of actors"
        assert group["fix"] == f"name one of them, as {DESK}"
        assert refused["fix"].startswith(f"did you mean {DESK}?")
        assert "bulkhead inspect" in (await own.ask("actor", path="/zzz"))["fix"]
        assert (await own.ask("actor"))["error"] == "path is missing"
        assert (await own.ask("actor", path=["/journal"]))["error"] == "path is not text"


@pytest.mark.req("R205")
async def test_orders_positions_and_balances_come_from_the_accounts(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        rig.orders[MASTER].append(open_order(MASTER))
        rig.orders[SUB1].append(open_order(SUB1, 2))
        assert [o["cl_ord_id"] for o in await own.result("orders")] == ["order1", "order2"]
        assert [o["cl_ord_id"] for o in await own.result("orders", account="sub1")] == ["order2"]
        assert [p["qty"] for p in await own.result("positions")] == ["0.25", "0.25"]
        assert [b["free"] for b in await own.result("balances", account="master")] == ["1000"]
        assert await own.result("money") == [{"asset": "USDT", "total": "2100"}]
        assert await own.result("money", account="sub1") == [{"asset": "USDT", "total": "1050"}]
        refused = await own.ask("orders", account="nobody")
        assert (refused["error"], refused["fix"]) == ("no account nobody", "one of master, sub1")
        assert await own.result("pnl") == []
        assert [r["scope"] for r in await own.result("risk")] == ["firm", "master", "sub1"]
        assert (await own.result("config"))["text"] == "[engine]"


async def test_an_account_that_is_not_reconciled_answers_from_its_records_and_is_named(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        cell = rig.runtime.cell(DESK)
        before = await own.result("orders")
        cell.set_unready(cell.epoch, "reconciling with the venue")
        assert await own.result("orders") == before
        (waiting,) = (row for row in (await own.result("status"))["not_ready"] if row["path"] == DESK)
        assert waiting["why"] == "reconciling with the venue"
        refused = await own.ask("unkill", scope="firm")  # who releases must know what the venue says
        assert DESK in refused["error"]
        cell.set_ready(cell.epoch)


async def test_where_no_account_is_reconciled_nobody_knows_and_that_is_no_empty_list(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        cells = [rig.runtime.cell(path) for path in (DESK, OTHER_DESK)]
        for cell in cells:
            cell.set_unready(cell.epoch, "reconciling with the venue")
        for verb in ("orders", "positions", "balances"):
            refused = await own.ask(verb)
            assert "reconciling with the venue" in refused["error"]
            assert "resyncing or down" in refused["fix"]
        for cell in cells:
            cell.set_ready(cell.epoch)


async def test_dead_letters_are_shown_with_their_kind_and_what_came_before(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        rig.runtime.deliver("/nobody", Boom(3))
        letters = await own.result("dead_letters")
        assert [(d["to"], d["kind"], d["reason"]) for d in letters] == [("/nobody", "Boom", "no_such_actor")]
        assert letters[0]["message"] == {"number": 3}
        assert await own.result("dead_letters", limit=1) == letters
        assert (await own.ask("dead_letters", limit="all"))["error"] == "limit is not a whole number above 0"


async def test_events_are_numbered_and_the_newest_are_given(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        rig.news.extend((n, Lifecycle(n, "/router", 1, "crash", f"text {n}")) for n in (1, 2, 3))
        shown = await own.result("events", limit=2)
        assert [(e["number"], e["what"], e["text"]) for e in shown] == [(2, "crash", "text 2"), (3, "crash", "text 3")]


# ---- handling actors ---------------------------------------------------------------------------------------------


async def test_a_restart_answers_when_the_actor_is_ready_again_and_leaves_the_others_alone(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        found = await own.result("restart", path=DESK, principal="ann")
        assert (found["epoch"], found["ready"]) == (2, True)
        assert found["recovery_ns"] > 0
        assert {c.path for c in rig.runtime.cells() if c.epoch != 1} == {DESK}


async def test_pausing_a_strategy_asks_it_and_pausing_hard_holds_its_mail(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        assert "no new decisions" in (await own.result("pause", path=MAKER_PATH))["how"]
        assert "again" in (await own.result("resume", path=MAKER_PATH))["how"]
        assert rig.got[MAKER_PATH] == [PauseStrategy(MAKER, True), PauseStrategy(MAKER, False)]
        assert not rig.runtime.cell(MAKER_PATH).paused
        for path in (MAKER_PATH, "/portfolio"):
            assert (await own.result("pause", path=path, hard=True))["how"] == "its mail waits"
            rig.runtime.deliver(path, Note(1))
            assert rig.runtime.cell(path).mailbox.depth == 1
            assert (await own.result("resume", path=path, hard=True))["how"] == "its mail flows again"
            assert rig.got[path][-1:] == [Note(1)]  # before the answer was given


async def test_faults_can_be_ordered_where_no_real_money_is(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        await own.result("crash", path="/portfolio")
        await until(lambda: rig.runtime.cell("/portfolio").epoch == 2)
        await own.result("crash", path="/portfolio", where="after")
        assert (await own.ask("crash", path="/portfolio", where="later"))["fix"] == "now, before or after"


async def test_faults_are_refused_where_real_money_is(tmp_path: Path) -> None:
    async with control(tmp_path, allow_faults=False) as rig, talk(rig) as own:
        refused = await own.ask("crash", path="/portfolio")
        assert "no real money" in refused["error"]
        assert rig.runtime.cell("/portfolio").epoch == 1
        assert rig.stopped == []


# ---- halting and releasing ---------------------------------------------------------------------------------------


@pytest.mark.req("R162")
async def test_a_kill_is_one_step_and_cancels_what_rests(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        result = await own.result("kill", principal="ann", cause="it looks wrong")
        assert result["scope"] == "firm"
        assert result["state"] == TradingState.HALTED.value
        assert result["cancels_sent_to"] == ["master/binance-spot", "sub1/binance-spot"]
        (order,) = rig.got[FIRM_GATE]
        assert isinstance(order, SetTradingState)
        assert (order.scope, order.state, order.cause) == ("firm", TradingState.HALTED, "it looks wrong")
        assert order.principal.startswith("ann (uid ")
        assert rig.got[DESK] == [CancelAll(MASTER, VENUE, "/control")]
        assert rig.got[OTHER_DESK] == [CancelAll(SUB1, VENUE, "/control")]


async def test_a_kill_may_be_for_one_account_only_reduce_or_keep_orders(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        result = await own.result("kill", scope="sub1", reduce_only=True, keep_orders=True)
        assert (result["state"], result["cancels_sent_to"]) == (TradingState.REDUCING.value, [])
        (order,) = rig.got[account_gate(SUB1)]
        assert isinstance(order, SetTradingState)
        assert (order.scope, order.state) == ("sub1", TradingState.REDUCING)
        assert rig.got[FIRM_GATE] == rig.got[account_gate(MASTER)] == rig.got[DESK] == rig.got[OTHER_DESK] == []
        refused = await own.ask("kill", scope="everything")
        assert (refused["error"], refused["fix"]) == ("no scope 'everything'", "firm, or one of master, sub1")
        refused = await own.ask("unkill", scope="")
        assert refused["error"] == "no scope ''", "what releases names what it releases"


async def test_a_release_takes_two_steps_and_the_code_of_the_first(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        rig.orders[MASTER].append(open_order(in_doubt=True))
        first = await own.result("unkill")
        assert first["open_orders"] == 1
        assert first["in_doubt"] == 1
        assert first["accounts_reconciled"] == ["master/binance-spot", "sub1/binance-spot"]
        assert rig.got[FIRM_GATE] == []  # nothing has happened yet
        refused = await own.ask("unkill", code="000000")
        assert "not valid" in refused["error"]
        refused = await own.ask("unkill", code=first["code"])
        assert "not valid" in refused["error"]  # a wrong try ends the code: it cannot be guessed
        second = await own.result("unkill")
        assert (await own.ask("unkill", code=second["code"], scope="master"))["ok"] is False  # it is for one scope
        third = await own.result("unkill")
        assert (await own.result("unkill", code=third["code"]))["state"] == TradingState.ACTIVE.value
        (order,) = rig.got[FIRM_GATE]
        assert isinstance(order, SetTradingState)
        assert order.state is TradingState.ACTIVE
        assert (await own.ask("unkill", code=third["code"]))["ok"] is False  # nor is it good twice


async def test_nothing_is_released_while_an_account_is_not_reconciled(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        code = (await own.result("unkill"))["code"]
        cell = rig.runtime.cell(OTHER_DESK)
        cell.set_unready(cell.epoch, "reconciling with the venue")
        for args in ({}, {"code": code}):
            refused = await own.ask("unkill", **args)
            assert refused["ok"] is False
            assert OTHER_DESK in refused["error"]
        assert (await own.ask("unkill", scope="master"))["ok"]  # the other account's business
        assert rig.got[FIRM_GATE] == []
        cell.set_ready(cell.epoch)


async def test_every_order_is_in_the_journal_with_who_gave_it_and_no_code(tmp_path: Path) -> None:
    async with control(tmp_path) as rig:
        async with talk(rig) as own:
            await own.result("kill", principal="ann", cause="drill")
            code = (await own.result("unkill", principal="ann"))["code"]
            await own.result("unkill", principal="ben", code=code)
            for verb in ("pause", "resume", "restart", "crash"):
                await own.result(verb, path=MAKER_PATH, principal="cat")
            await own.result("stop")
            for verb in ("status", "tree", "orders", "risk", "pnl", "config", "dead_letters", "events"):
                await own.result(verb)  # asking leaves no trace
            await own.result("flush")
        assert rig.stopped == [rig.stopped[0]]
        await rig.end()
        noted = rig.journaled()
        assert [(o.verb, o.principal.partition(" ")[0]) for o in noted] == [
            ("kill", "ann"),
            ("unkill", "ben"),
            ("pause", "cat"),
            ("resume", "cat"),
            ("restart", "cat"),
            ("crash", "cat"),
            ("stop", "operator"),
        ]
        assert "cause=drill" in noted[0].detail
        assert f"path={MAKER_PATH}" in noted[2].detail
        assert all(o.at_ns > 1_600_000_000_000_000_000 for o in noted)
        text = "".join(p.read_text() for p in (tmp_path / "journal").glob("*.jsonl"))
        assert code not in text


async def test_a_halt_passes_the_shut_gate_of_an_account_that_is_resyncing(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        rig.orders[MASTER].append(open_order())
        cell = rig.runtime.cell(DESK)
        cell.set_unready(cell.epoch, "reconciling with the venue")
        await own.result("kill")
        with trio.fail_after(10):
            await until(lambda: rig.got[DESK] and rig.got[OTHER_DESK])
        assert rig.got[DESK][0] == CancelAll(MASTER, VENUE, "/control")
        assert not cell.ready


async def test_a_halt_reaches_an_account_that_was_down_when_it_was_given(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        rig.orders[MASTER].append(open_order())
        cell = rig.runtime.cell(DESK)
        cell.sabotage("now")
        rig.runtime.deliver(DESK, CancelAll(MASTER, VENUE, "/control"))
        assert rig.got[DESK] == []  # nobody there
        await own.result("kill")
        with trio.fail_after(20):
            await until(lambda: rig.got[DESK])
        assert rig.got[DESK][0] == CancelAll(MASTER, VENUE, "/control")


# ---- on a clock of our own ---------------------------------------------------------------------------------------


class Alone(RecordingContext):
    """`Verbs` without a server: what they send is kept, the test moves the time."""

    def __init__(self, verbs: Verbs) -> None:
        super().__init__(Actor(), path="/control")
        self.open: dict[AccountID, tuple[Any, ...]] = {MASTER: (), SUB1: ()}
        self.silent: set[AccountID] = set()
        self.answers[AccountQuery] = self._picture
        verbs.ctx = self

    def _picture(self, path: str, query: AccountQuery) -> object:
        account = AccountID(path.split("/")[2])
        if account in self.silent:
            raise AskError(f"{path}: not_ready")
        return picture(account, self.open[account])

    def to(self, path: str) -> list[Message]:
        """What was sent there since the last call of `take`."""
        return [message for to, message in self.sent if to == path]


@pytest.fixture
def verbs(tmp_path: Path) -> Verbs:
    """With nothing running."""
    rig = Rig(Runtime(clock=SystemClock()), tmp_path, tmp_path, {}, {}, [], [], [], trio.Event())
    return Verbs(premises(rig))


async def test_a_release_code_expires(verbs: Verbs) -> None:
    ctx = Alone(verbs)
    for late, valid in ((0, True), (1, False)):
        code = (await verbs.carry_out("unkill", {}))["code"]
        ctx.advance(RELEASE_CODE_TTL_NS + late)
        if valid:
            await verbs.carry_out("unkill", {"code": code})
        else:
            with pytest.raises(Failure, match="not valid"):
                await verbs.carry_out("unkill", {"code": code})
    assert len(ctx.to(FIRM_GATE)) == 1


async def test_a_code_that_was_not_asked_for_releases_nothing(verbs: Verbs) -> None:
    ctx = Alone(verbs)
    with pytest.raises(Failure, match="not valid"):
        await verbs.carry_out("unkill", {"code": ""})
    assert ctx.to(FIRM_GATE) == []


async def steps(verbs: Verbs, ctx: Alone, count: int) -> list[list[Message]]:
    """What the master account is told in each of `count` rounds of `enforce`."""
    told: list[list[Message]] = []

    class Enough(Exception):
        pass

    async def sleep(duration_ns: int) -> None:
        assert duration_ns == ENFORCE_EVERY_NS
        told.append(ctx.to(DESK))
        ctx.take()
        if len(told) > count:
            raise Enough

    ctx.sleep = sleep  # type: ignore[method-assign]
    with pytest.raises(Enough):
        await verbs.enforce()
    return told[1:]


async def test_a_halt_is_repeated_until_no_order_is_left(verbs: Verbs) -> None:
    ctx = Alone(verbs)
    ctx.silent = {MASTER}
    ctx.open = {MASTER: (open_order(),), SUB1: ()}
    await verbs.carry_out("kill", {})
    assert await steps(verbs, ctx, 2) == [[], []]  # it cannot be told yet
    ctx.silent = set()
    again = CancelAll(MASTER, VENUE, "/control")
    assert await steps(verbs, ctx, 3) == [[again], [again], [again]]
    ctx.open[MASTER] = ()
    assert await steps(verbs, ctx, 2) == [[], []]
    ctx.open[MASTER] = (open_order(),)
    assert await steps(verbs, ctx, 2) == [[], []]  # done: what comes later is not its business


async def test_under_reduce_only_an_account_is_told_once_more_and_no_oftener(verbs: Verbs) -> None:
    ctx = Alone(verbs)
    ctx.open[MASTER] = (open_order(),)
    await verbs.carry_out("kill", {"reduce_only": True})
    assert await steps(verbs, ctx, 3) == [[CancelAll(MASTER, VENUE, "/control")], [], []]


async def test_a_release_ends_the_repeating(verbs: Verbs) -> None:
    ctx = Alone(verbs)
    ctx.open[MASTER] = (open_order(),)
    await verbs.carry_out("kill", {})
    code = (await verbs.carry_out("unkill", {}))["code"]
    await verbs.carry_out("unkill", {"code": code})
    ctx.take()
    assert await steps(verbs, ctx, 2) == [[], []]


async def test_who_ordered_is_noted_by_name_and_by_user_id(verbs: Verbs) -> None:
    ctx = Alone(verbs)
    await verbs.carry_out("kill", {"principal": "ann", "uid": 1000, "scope": "master"})
    (append,) = (m for m in ctx.to("/journal") if isinstance(m, Append))
    assert append.records == (OperatorCommand("ann (uid 1000)", "kill", "scope=master", ctx.now_ns),)
    assert ctx.notes == [("ordered", "kill scope=master by ann (uid 1000)")]
