"""The gates as actors: coming to life, passing on, refusing, trading state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from actors.risk.actor import FIRM_SCOPE, PROOF_PATIENCE_NS, AccountGate, FirmGate, gate_path, risk_key
from actors.risk.limits import AccountLimits, FirmLimits
from protocols.base import Message, Query
from protocols.control import (
    Drain,
    ExposurePicture,
    ExposureQuery,
    InstrumentsChanged,
    SetTradingState,
    TradingStateIs,
)
from protocols.enums import GapReason, OrdRejReason, Side, TradingState
from protocols.ids import Path, Venue
from protocols.journal import (
    JOURNAL,
    Append,
    JournalState,
    ReplayAnswer,
    ReplayQuery,
    RunStarted,
    StateSnapshot,
    SymbolHalted,
    TradingStateChanged,
)
from protocols.market import GapClosed, GapOpened, Resync
from protocols.orders import (
    FIRM_GATE,
    FirmApproved,
    NewOrder,
    OrderRefused,
    RiskApproved,
    RoutedOrder,
    account_gate,
    account_path,
)
from protocols.positions import AccountPicture, AccountQuery, AccountResynced
from protocols.reconcile import InstrumentsQuery, instruments_path
from supervisors.actor import AskError
from supervisors.testing import RecordingContext
from tests.actors.risk.world import (
    BTC,
    ETH,
    MASTER,
    NOW_NS,
    SECOND,
    SECOND_NS,
    STRATEGY_PATH,
    VENUE,
    D,
    fill,
    instrument,
    only,
    open_order,
    order,
    picture,
    position,
    quote,
    report,
    wide,
)

LISTENER = "/strategies/listener"
PAIRS = [(MASTER, VENUE), (SECOND, VENUE)]
DAY_NS = 86_400 * SECOND_NS


class Gate:
    """A gate actor with everything that it asks at its start."""

    def __init__(self, actor: FirmGate | AccountGate, path: Path) -> None:
        self.actor = actor
        self.ctx = RecordingContext(actor, path, NOW_NS)
        self.ctx.monotonic_ns = 50 * SECOND_NS
        self.asked: list[tuple[Path, type[Query]]] = []
        self.snapshot: StateSnapshot | None = None
        self.records: tuple[Any, ...] = ()
        self.pictures: dict[Path, AccountPicture] = {}
        self.failures: dict[Path, list[Exception]] = {}
        answers: dict[type[Query], Callable[[Path, Any], object]] = {
            ReplayQuery: lambda to, query: ReplayAnswer(1, self.snapshot, self.records),
            InstrumentsQuery: lambda to, query: InstrumentsChanged(VENUE, (instrument(BTC), instrument(ETH))),
            AccountQuery: lambda to, query: self.pictures.get(to, picture(account=to.split("/")[2])),  # type: ignore[arg-type]
            ExposureQuery: lambda to, query: None,
        }
        self.ctx.answers = {kind: self._answer(handler) for kind, handler in answers.items()}

    def _answer(self, handler: Callable[[Path, Any], object]) -> Callable[[Path, Any], object]:
        def answer(to: Path, query: Query) -> object:
            self.asked.append((to, type(query)))
            waiting = self.failures.get(to)
            if waiting:
                raise waiting.pop(0)
            return handler(to, query)

        return answer

    def start(self) -> Gate:
        trio.run(self.actor.started)
        for symbol in (BTC, ETH):
            self.actor.receive(quote(symbol))
        return self

    def give(self, *messages: Message) -> list[tuple[Path, Message]]:
        """What is sent because of these messages."""
        self.ctx.take()
        for message in messages:
            self.actor.receive(message)
        return self.ctx.take()

    @property
    def exposure(self) -> Any:
        return self.actor.gate.exposure


def firm(**changes: Any) -> Gate:
    return Gate(FirmGate(FirmLimits(**wide(**changes)), PAIRS, [LISTENER]), FIRM_GATE)


def account(max_repeats: int = 1_000, **changes: Any) -> Gate:
    limits = AccountLimits(**wide(**changes), max_repeats=max_repeats)
    return Gate(AccountGate(MASTER, limits, PAIRS[:1], [LISTENER]), account_gate(MASTER))


@pytest.fixture(params=["firm", "account"])
def gate(request: pytest.FixtureRequest) -> Gate:
    """Either gate, ready."""
    return (firm() if request.param == "firm" else account()).start()


def command(gate: Gate, wish: NewOrder) -> Message:
    return RoutedOrder(wish) if isinstance(gate.actor, FirmGate) else FirmApproved(wish)


def refusals(sent: list[tuple[Path, Message]]) -> dict[Path, OrderRefused]:
    return {to: message for to, message in sent if isinstance(message, OrderRefused)}


def appended(sent: list[tuple[Path, Message]]) -> list[Append]:
    return [message for to, message in sent if isinstance(message, Append) and to == JOURNAL]


def passed_on(sent: list[tuple[Path, Message]]) -> list[tuple[Path, Message]]:
    """Everything but what is for the journal: the day's count is saved now and then."""
    return [(to, message) for to, message in sent if to != JOURNAL]


def halt(scope: str, state: TradingState = TradingState.HALTED) -> SetTradingState:
    return SetTradingState(scope, state, "operator", "drill")


# ---- passing on ----------------------------------------------------------------------------------------------------


def test_the_firm_passes_orders_to_the_gate_of_their_account() -> None:
    gate = firm().start()
    first, second = order(), order(account=SECOND, symbol=ETH)
    assert passed_on(gate.give(RoutedOrder(first), RoutedOrder(second))) == [
        (account_gate(MASTER), FirmApproved(first)),
        (account_gate(SECOND), FirmApproved(second)),
    ]


def test_an_account_gate_passes_orders_to_the_account_on_their_venue() -> None:
    wish = order()
    sent = account().start().give(FirmApproved(wish))
    assert passed_on(sent) == [(account_path(MASTER, VENUE), RiskApproved(wish))]


@pytest.mark.req("R136")
def test_each_account_has_limits_of_its_own() -> None:
    firms = firm().start()
    strict = account(symbols=only(max_order_qty=D(1))).start()
    limits = AccountLimits(**wide(symbols=only(max_order_qty=D(5))), max_repeats=9)
    loose = Gate(AccountGate(SECOND, limits, PAIRS[1:]), account_gate(SECOND)).start()
    for gate, owner in ((strict, MASTER), (loose, SECOND)):
        ((to, approved),) = passed_on(firms.give(RoutedOrder(order(qty="3", account=owner))))
        assert to == gate.ctx.path
        sent = passed_on(gate.give(approved))
        assert bool(refusals(sent)) is (owner == MASTER)


def test_a_refusal_reaches_the_maker_and_the_other_gate() -> None:
    wish = order(qty="1001")
    sent = firm().start().give(RoutedOrder(wish))
    assert set(refusals(sent)) == {STRATEGY_PATH, account_gate(MASTER)}
    refused = refusals(sent)[STRATEGY_PATH]
    assert (refused.cl_ord_id, refused.reason) == (wish.cl_ord_id, OrdRejReason.MAX_ORDER_QTY)
    assert "/risk/firm: max_order_qty would be 1001, must be at most 1000" in refused.text
    sent = account().start().give(FirmApproved(wish))
    assert set(refusals(sent)) == {STRATEGY_PATH, FIRM_GATE}


def test_what_the_accounts_gate_refuses_is_released_at_the_firms() -> None:
    firms, accounts = firm().start(), account(max_open_orders=0).start()
    ((_, approved),) = passed_on(firms.give(RoutedOrder(order())))
    assert firms.exposure.orders
    sent = accounts.give(approved)
    firms.give(refusals(sent)[FIRM_GATE])
    assert not firms.exposure.orders
    assert firms.exposure.worth == 0


def test_a_reused_id_does_not_release_the_order_that_owns_it(gate: Gate) -> None:
    wish = order()
    gate.give(command(gate, wish))
    sent = gate.give(command(gate, attrs.evolve(wish, order_qty=D(2))))
    assert list(refusals(sent)) == [STRATEGY_PATH]
    assert refusals(sent)[STRATEGY_PATH].reason is OrdRejReason.DUPLICATE_CL_ORD_ID
    # Nor when it is refused for another reason.
    gate.actor.gate.state = TradingState.HALTED
    assert list(refusals(gate.give(command(gate, wish)))) == [STRATEGY_PATH]
    # Once it has ended, nobody can be harmed, and who reserved the second one must hear of it.
    gate.actor.gate.state = TradingState.ACTIVE
    gate.give(report(wish), fill(wish, "1"))
    assert len(refusals(gate.give(command(gate, wish)))) == 2


def test_an_account_that_the_gate_does_not_know_is_refused(gate: Gate) -> None:
    foreign = order(account="nobody")
    sent = gate.give(command(gate, foreign))
    assert refusals(sent)[STRATEGY_PATH].reason is OrdRejReason.NO_ROUTE
    assert "nobody" in refusals(sent)[STRATEGY_PATH].text


def test_events_reach_the_exposure(gate: Gate) -> None:
    wish = order(qty="3")
    gate.give(command(gate, wish), report(wish), fill(wish, "1"))
    assert gate.exposure.worth == 303
    refused = OrderRefused(wish.cl_ord_id, MASTER, wish.strategy, VENUE, BTC, OrdRejReason.NEVER_ARRIVED, "")
    gate.give(refused)
    assert gate.exposure.worth == 101
    taken = picture(positions=(position("2"),), taken_ns=0)
    gate.give(AccountResynced(MASTER, VENUE, taken, ""))
    assert gate.exposure.worth == 202
    gate.give(AccountResynced(MASTER, "elsewhere", attrs.evolve(taken, positions=()), ""))  # type: ignore[arg-type]
    assert gate.exposure.worth == 202


def test_a_picture_without_a_time_is_as_of_its_arrival(gate: Gate) -> None:
    wish = order()
    gate.give(command(gate, wish), AccountResynced(MASTER, VENUE, picture(taken_ns=0), ""))
    gate.give(fill(wish, "1", received_ns=NOW_NS - 1))
    assert gate.exposure.worth == 0


def test_gaps_and_halts_reach_the_market(gate: Gate) -> None:
    def reason() -> OrdRejReason | None:
        refused = refusals(gate.give(command(gate, order()))).get(STRATEGY_PATH)
        return refused.reason if refused is not None else None

    gate.give(GapOpened("book", VENUE, BTC, GapReason.SEQUENCE, "", 0))
    assert reason() is OrdRejReason.NO_REFERENCE_PRICE
    gate.give(GapClosed("book", VENUE, BTC, 0, NOW_NS + 1))
    assert reason() is OrdRejReason.NO_REFERENCE_PRICE
    gate.give(quote())
    assert reason() is None
    gate.give(JournalState(False, "disk full", 0))
    assert reason() is OrdRejReason.JOURNAL
    gate.give(JournalState(True, "", 0))
    assert reason() is None
    gate.give(Drain("stop"))
    assert reason() is OrdRejReason.DRAINING


def test_a_symbol_that_the_venue_halts_takes_no_orders() -> None:
    gate = firm().start()
    gate.give(SymbolHalted(VENUE, BTC, True, "circuit breaker"))
    assert refusals(gate.give(RoutedOrder(order())))[STRATEGY_PATH].reason is OrdRejReason.NOT_TRADABLE
    gate.give(SymbolHalted(VENUE, BTC, False, ""))
    assert not refusals(gate.give(RoutedOrder(order())))


# ---- trading state -------------------------------------------------------------------------------------------------


@pytest.mark.req("R162")
def test_halting_is_one_step_journaled_and_announced(gate: Gate) -> None:
    scope = gate.actor.gate.scope
    sent = gate.give(halt(scope))
    (append,) = appended(sent)
    assert append.key == risk_key(scope)
    changed, snapshot = append.records
    assert changed == TradingStateChanged(scope, TradingState.HALTED, "operator", "drill", NOW_NS)
    assert isinstance(snapshot, StateSnapshot)
    assert (LISTENER, TradingStateIs(scope, TradingState.HALTED, "drill")) in sent
    assert refusals(gate.give(command(gate, order())))[STRATEGY_PATH].reason is OrdRejReason.HALTED
    gate.give(halt(scope, TradingState.ACTIVE))
    assert not refusals(gate.give(command(gate, order())))


def test_a_wish_for_another_scope_is_passed_to_its_gate(gate: Gate) -> None:
    other = MASTER if gate.actor.gate.scope == FIRM_SCOPE else FIRM_SCOPE
    wish = halt(other)
    assert gate.give(wish) == [(gate_path(other), wish)]
    assert gate.actor.gate.state is TradingState.ACTIVE


@pytest.mark.req("R162")
def test_the_kill_switch_survives_a_restart(gate: Gate) -> None:
    scope = gate.actor.gate.scope
    (append,) = appended(gate.give(halt(scope)))
    for keep in ("both", "snapshot", "record"):
        again = firm() if scope == FIRM_SCOPE else account()
        changed, snapshot = append.records
        again.snapshot = snapshot if keep != "record" and isinstance(snapshot, StateSnapshot) else None
        again.records = (changed,) if keep != "snapshot" else ()
        again.start()
        assert again.actor.gate.state is TradingState.HALTED
        assert again.actor.inspect()["cause"] == "drill"
        assert refusals(again.give(command(again, order())))[STRATEGY_PATH].reason is OrdRejReason.HALTED


def test_records_of_others_do_not_change_the_state() -> None:
    gate = account()
    gate.records = (RunStarted(1, "", "", 0),)
    gate.start()
    assert gate.actor.gate.state is TradingState.ACTIVE


def test_the_breaker_lets_only_reductions_through_until_it_is_released() -> None:
    gate = account(max_repeats=2).start()
    gate.give(FirmApproved(order()), FirmApproved(order()))
    sent = gate.give(FirmApproved(order()))
    assert refusals(sent)[STRATEGY_PATH].reason is OrdRejReason.ORDER_RATE
    (append,) = appended(sent)
    changed = append.records[0]
    assert isinstance(changed, TradingStateChanged)
    assert (changed.state, changed.principal) == (TradingState.REDUCING, account_gate(MASTER))
    assert changed.cause.startswith("breaker: max_repeats of maker")
    assert any(isinstance(message, TradingStateIs) for _, message in sent)
    refused = refusals(gate.give(FirmApproved(order(Side.SELL))))
    assert refused[STRATEGY_PATH].reason is OrdRejReason.REDUCE_ONLY_MODE
    gate.give(halt(MASTER, TradingState.ACTIVE))
    assert not refusals(gate.give(FirmApproved(order())))


def test_the_days_count_is_saved_and_restored_on_the_safe_side() -> None:
    gate = account(max_orders_per_day=2_560, max_exposure=D(10**9)).start()  # saved every 10 orders
    saves = [append for _ in range(25) for append in appended(gate.give(FirmApproved(order(qty="0.01"))))]
    # A start counts as if 9 orders had not been saved, so the first save is due after one.
    assert len(saves) == 3
    (snapshot,) = saves[-1].records
    assert isinstance(snapshot, StateSnapshot)
    assert json.loads(snapshot.state)["orders_today"] == 30

    again = account(max_orders_per_day=2_560)
    again.snapshot = snapshot
    again.start()
    assert again.actor.gate.orders_today == 39 >= 9 + 25

    tomorrow = account(max_orders_per_day=2_560)
    tomorrow.snapshot = snapshot
    tomorrow.ctx.now_ns += DAY_NS
    tomorrow.start()
    assert tomorrow.actor.gate.orders_today == 9


# ---- coming to life ------------------------------------------------------------------------------------------------


def test_a_firm_gate_settles_what_it_approved_before_it_asks_the_accounts() -> None:
    gate = firm().start()
    assert gate.asked == [
        (JOURNAL, ReplayQuery),
        (instruments_path(VENUE), InstrumentsQuery),
        (account_gate(MASTER), ExposureQuery),
        (account_path(MASTER, VENUE), AccountQuery),
        (account_gate(SECOND), ExposureQuery),
        (account_path(SECOND, VENUE), AccountQuery),
    ]
    assert gate.actor.inspect()["waiting_for"] == ""


def test_an_account_gate_asks_its_account() -> None:
    gate = account().start()
    assert [kind for _, kind in gate.asked] == [ReplayQuery, InstrumentsQuery, AccountQuery]


def test_exposure_is_rebuilt_before_the_first_order(gate: Gate) -> None:
    again = firm() if gate.actor.gate.scope == FIRM_SCOPE else account()
    live = order(Side.SELL, "1", "104")
    again.pictures[account_path(MASTER, VENUE)] = picture((open_order(live),), (position("5"),))
    again.start()
    assert again.exposure.worth == 505
    assert list(again.exposure.orders) == [live.cl_ord_id]
    # Reports that waited in the mailbox and are in the picture already.
    again.give(fill(order(qty="5"), "5", received_ns=NOW_NS - 1))
    assert again.exposure.worth == 505


def test_a_picture_without_a_time_is_as_of_the_question() -> None:
    gate = account()
    gate.pictures[account_path(MASTER, VENUE)] = picture((), (position("5"),), taken_ns=0)
    gate.start()
    gate.give(fill(order(), "1", received_ns=NOW_NS - 1), fill(order(), "1", received_ns=NOW_NS))
    assert gate.exposure.worth == 606


def test_what_does_not_answer_yet_is_asked_again() -> None:
    gate = account()
    gate.failures = {JOURNAL: [AskError("down")], account_path(MASTER, VENUE): [AskError("resyncing"), KeyError("x")]}
    gate.start()
    assert [kind for _, kind in gate.asked] == [
        ReplayQuery,
        ReplayQuery,
        InstrumentsQuery,
        AccountQuery,
        AccountQuery,
        AccountQuery,
    ]


def test_a_gate_that_waits_says_for_whom() -> None:
    gate = account()
    gate.failures = {JOURNAL: [AskError("down")]}
    seen: list[object] = []

    async def sleep(duration_ns: int) -> None:
        seen.append(gate.actor.inspect()["waiting_for"])

    gate.ctx.sleep = sleep  # type: ignore[method-assign]
    gate.start()
    assert seen == [JOURNAL]


def test_a_venue_that_is_down_keeps_no_gate_from_starting() -> None:
    gate = account()
    gate.failures = {instruments_path(VENUE): [AskError("not ready")]}
    gate.start()
    assert refusals(gate.give(FirmApproved(order())))[STRATEGY_PATH].reason is OrdRejReason.UNKNOWN_INSTRUMENT
    gate.give(InstrumentsChanged(VENUE, (instrument(),)), quote())
    assert not refusals(gate.give(FirmApproved(order())))


def test_the_trading_state_is_announced_at_the_start() -> None:
    gate = account()
    trio.run(gate.actor.started)
    assert (LISTENER, TradingStateIs(MASTER, TradingState.ACTIVE, "")) in gate.ctx.take()


# ---- accounts that nobody has proven ---------------------------------------------------------------------------------


def with_unproven(whole: str = "600", max_exposure: str = "1000") -> Gate:
    """The firm's gate, started while the second account's venue does not answer."""
    limits = FirmLimits(**wide(max_exposure=D(max_exposure)))
    gate = Gate(FirmGate(limits, PAIRS, [LISTENER], {MASTER: D(whole), SECOND: D(whole)}), FIRM_GATE)
    gate.ctx.unready.add(account_path(SECOND, VENUE))
    return gate.start()


def test_an_account_that_is_not_proven_counts_at_its_whole_limit_and_the_others_trade() -> None:
    gate = with_unproven()
    gate.give(quote())
    assert gate.actor.inspect()["unproven"] == [account_path(SECOND, VENUE)]
    assert gate.actor.inspect()["exposure"] == "600"
    assert ("unproven", gate.ctx.notes[0][1]) == gate.ctx.notes[0]
    sent = gate.give(RoutedOrder(order(qty="3", price="100")))
    assert account_gate(MASTER) in [to for to, _ in sent]
    assert gate.actor.inspect()["exposure"] == str(600 + gate.exposure.worth)
    refused = refusals(gate.give(RoutedOrder(order(qty="2", price="100"))))
    assert refused[STRATEGY_PATH].reason is OrdRejReason.MAX_EXPOSURE


def test_what_an_unproven_account_has_anyway_is_not_counted_twice() -> None:
    gate = with_unproven()
    gate.pictures[account_path(SECOND, VENUE)] = picture((), (position("2"),), account=SECOND)
    gate.start()
    gate.give(quote())
    assert gate.exposure.worth > 0
    assert gate.actor.inspect()["exposure"] == "600"


def test_a_proven_account_counts_at_what_it_has() -> None:
    gate = with_unproven()
    gate.give(quote())
    proof = picture((), (), account=SECOND, taken_ns=NOW_NS)
    gate.give(AccountResynced(SECOND, VENUE, proof, account_path(SECOND, VENUE)))
    assert gate.actor.inspect()["unproven"] == []
    assert gate.actor.inspect()["exposure"] == "0"
    assert not refusals(gate.give(RoutedOrder(order(qty="8", price="100"))))


def test_an_account_is_proven_when_all_its_venues_are() -> None:
    other = Venue("upbit")
    limits = FirmLimits(**wide(max_exposure=D(1000)))
    pairs = [(MASTER, VENUE), (SECOND, VENUE), (SECOND, other)]
    gate = Gate(FirmGate(limits, pairs, [LISTENER], {MASTER: D(600), SECOND: D(600)}), FIRM_GATE)
    gate.ctx.unready |= {account_path(SECOND, VENUE), account_path(SECOND, other)}
    gate.start()
    proof = picture((), (), account=SECOND, taken_ns=NOW_NS)
    gate.give(AccountResynced(SECOND, VENUE, proof, account_path(SECOND, VENUE)))
    assert gate.actor.inspect()["exposure"] == "600"
    gate.give(AccountResynced(SECOND, other, proof, account_path(SECOND, other)))
    assert gate.actor.inspect()["exposure"] == "0"


def test_an_accounts_own_gate_takes_what_its_records_say_of_a_venue_that_is_down() -> None:
    gate = account()
    gate.ctx.unready.add(account_path(MASTER, VENUE))
    gate.pictures[account_path(MASTER, VENUE)] = picture((), (position("5"),))
    gate.start()
    gate.give(quote())
    assert gate.exposure.worth > 0
    assert gate.actor.inspect()["unproven"] == [account_path(MASTER, VENUE)]


def test_the_patience_for_proof_is_one_for_all_accounts_together() -> None:
    gate = Gate(FirmGate(FirmLimits(**wide()), PAIRS, [LISTENER], {MASTER: D(1), SECOND: D(1)}), FIRM_GATE)
    gate.ctx.unready |= {account_path(MASTER, VENUE), account_path(SECOND, VENUE)}
    began_ns = gate.ctx.monotonic_ns
    gate.start()
    assert gate.ctx.monotonic_ns - began_ns == PROOF_PATIENCE_NS


# ---- questions -----------------------------------------------------------------------------------------------------


def test_exposure_is_answered(gate: Gate) -> None:
    gate.give(command(gate, order()))
    answer = gate.actor.answer(ExposureQuery())
    assert isinstance(answer, ExposurePicture)
    assert answer.open_orders == 1
    with pytest.raises(NotImplementedError):
        gate.actor.answer(AccountQuery())


def test_the_console_sees_state_refusals_and_what_was_ignored(gate: Gate) -> None:
    gate.give(command(gate, order(qty="1001")), *[Resync(BTC, "")] * 2)
    seen = gate.actor.inspect()
    assert seen["refused"] == {"max_order_qty": 1}
    assert seen["ignored"] == {"Resync": 2}
    assert seen["state"] == "active"
