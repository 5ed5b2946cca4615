"""The state machine of an order: every cell of its table, as text and as behaviour."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from actors.account.order import MEANING, TRANSITIONS, Doubt, Order, next_status, table_text, working_status
from actors.account.orders import Orders, Retention
from actors.account.reports import Verdict, is_live, judge
from protocols.enums import DoubtReason, ExecType, OrdStatus, OrdType, Side
from protocols.errors import InvariantViolation
from protocols.ids import ClOrdID, OrderID, TradeID
from protocols.orders import ExecutionReport, NewOrder
from tests.actors.account.rig import STRATEGY, STRATEGY_PATH
from tests.actors.account.venue import ACCOUNT, SYMBOL, VENUE

# The same table, written by hand a second time: a cell that differs has changed.  "qty": by quantity; "fill": stays
# until nothing is left; "=": stays.
EXPECTED = """
                 PENDING_NEW NEW  TRADE CANCELED REPLACED REJECTED EXPIRED RESTATED SUSPENDED TRADE_CANCEL TRADE_CORRECT
PENDING_NEW      =           qty  qty   CANCELED qty      REJECTED EXPIRED qty      SUSPENDED qty          qty
NEW              =           =    qty   CANCELED qty      REJECTED EXPIRED qty      SUSPENDED qty          qty
PARTIALLY_FILLED =           =    qty   CANCELED qty      REJECTED EXPIRED qty      SUSPENDED qty          qty
SUSPENDED        =           qty  qty   CANCELED qty      REJECTED EXPIRED qty      SUSPENDED qty          qty
PENDING_CANCEL   =           =    fill  CANCELED fill     REJECTED EXPIRED fill     =         =            fill
PENDING_REPLACE  =           =    fill  CANCELED qty      REJECTED EXPIRED fill     =         =            fill
FILLED           =           =    =     =        =        =        =       =        =         =            =
CANCELED         =           =    =     =        =        =        =       =        =         =            =
REJECTED         =           =    =     =        =        =        =       =        =         =            =
EXPIRED          =           =    =     =        =        =        =       =        =         =            =
"""


def cells() -> list[tuple[OrdStatus, ExecType, str]]:
    head, *rows = [line.split() for line in EXPECTED.strip().splitlines()]
    return [(OrdStatus(row[0]), ExecType(kind), cell) for row in rows for kind, cell in zip(head, row[1:], strict=True)]


@pytest.mark.parametrize("status, exec_type, cell", cells())
@pytest.mark.parametrize("cum_qty", ["0", "0.4", "1"])
def test_each_cell_of_the_table(status: OrdStatus, exec_type: ExecType, cell: str, cum_qty: str) -> None:
    cum = Decimal(cum_qty)
    by_quantity = {"0": OrdStatus.NEW, "0.4": OrdStatus.PARTIALLY_FILLED, "1": OrdStatus.FILLED}[cum_qty]
    expected = {
        "=": status,
        "qty": by_quantity,
        "fill": OrdStatus.FILLED if cum_qty == "1" else status,
    }.get(cell) or OrdStatus(cell)
    assert next_status(status, exec_type, cum, Decimal(1)) is expected


def test_an_end_with_impossible_quantities_is_a_violation() -> None:
    order = an_order()
    order.ord_status, order.cum_qty = OrdStatus.CANCELED, Decimal(-1)
    with pytest.raises(InvariantViolation, match=order.cl_ord_id):
        order.check_end()


def test_the_table_is_complete_and_every_final_status_stays() -> None:
    assert set(TRANSITIONS) == set(OrdStatus)
    for status, row in TRANSITIONS.items():
        assert set(row) == set(ExecType), status
    assert set(MEANING) == set(OrdStatus)
    assert {status for status in OrdStatus if len(set(TRANSITIONS[status].values())) == 1} == {
        status for status in OrdStatus if status.is_final
    }


def test_the_document_shows_the_table(repo_root: Path) -> None:
    text = (repo_root / "docs" / "order-states.md").read_text()
    assert table_text() in text


# ---- judging one report against one order ----------------------------------------------------------------------


def an_order(**more: object) -> Order:
    request = NewOrder(
        ClOrdID("c1"),
        ACCOUNT,
        STRATEGY,
        VENUE,
        SYMBOL,
        Side.BUY,
        OrdType.LIMIT,
        Decimal(1),
        Decimal(100),
        1,
        STRATEGY_PATH,
    )
    order = Order(request, 1, Decimal(1), Decimal(100))
    for name, value in more.items():
        setattr(order, name, value)
    return order


def a_report(exec_type: ExecType, status: OrdStatus = OrdStatus.NEW, **more: object) -> ExecutionReport:
    report = ExecutionReport(
        ClOrdID("c1"),
        OrderID("7"),
        ACCOUNT,
        STRATEGY,
        VENUE,
        SYMBOL,
        Side.BUY,
        exec_type,
        status,
        Decimal(1),
        Decimal(0),
        10,
        11,
    )
    return attrs.evolve(report, **more)  # type: ignore[arg-type]  # fields of a report, by name


def judged(order: Order, report: ExecutionReport, claimed: str = "0") -> ExecutionReport | Verdict:
    return judge(order, report, Orders(Retention()), Decimal(claimed))


@pytest.mark.parametrize("status", [status for status in OrdStatus if status is not OrdStatus.FILLED])
def test_the_answer_of_a_query_is_read_as_what_it_means(status: OrdStatus) -> None:
    order = an_order()
    answer = judged(order, a_report(ExecType.ORDER_STATUS, status))
    assert isinstance(answer, ExecutionReport)
    assert answer.exec_type is MEANING[status]
    assert answer.ord_status is next_status(OrdStatus.PENDING_NEW, MEANING[status], Decimal(0), Decimal(1))


def test_filled_by_a_query_waits_for_the_trades() -> None:
    filled = a_report(ExecType.ORDER_STATUS, OrdStatus.FILLED, cum_qty=Decimal(1))
    assert judged(an_order(), filled) is Verdict.HELD
    known = an_order(cum_qty=Decimal(1), order_qty=Decimal(2), order_id="7", ord_status=OrdStatus.PARTIALLY_FILLED)
    answer = judged(known, filled)
    assert isinstance(answer, ExecutionReport)
    assert answer.ord_status is OrdStatus.FILLED


@pytest.mark.parametrize("end", [ExecType.CANCELED, ExecType.EXPIRED, ExecType.REJECTED])
def test_an_end_waits_for_the_trades_that_the_venue_counts(end: ExecType) -> None:
    assert judged(an_order(), a_report(end, cum_qty=Decimal("0.4"))) is Verdict.HELD
    assert judged(an_order(), a_report(end), claimed="0.4") is Verdict.HELD
    assert isinstance(judged(an_order(cum_qty=Decimal("0.4")), a_report(end, cum_qty=Decimal("0.4"))), ExecutionReport)


def test_a_trade_counts_by_its_own_size_never_by_the_total_that_it_states() -> None:
    trade = a_report(
        ExecType.TRADE,
        OrdStatus.FILLED,
        cum_qty=Decimal(1),
        last_qty=Decimal("0.3"),
        last_px=Decimal(90),
        trade_id=TradeID("5"),
    )
    answer = judged(an_order(), trade)
    assert isinstance(answer, ExecutionReport)
    assert (answer.cum_qty, answer.cum_quote) == (Decimal("0.3"), Decimal(27))
    assert answer.ord_status is OrdStatus.PARTIALLY_FILLED


def test_a_trade_without_any_id_is_refused_and_one_with_an_exec_id_is_not() -> None:
    nameless = a_report(ExecType.TRADE, last_qty=Decimal(1), last_px=Decimal(1))
    assert judged(an_order(), nameless) is Verdict.NO_TRADE_ID
    answer = judged(an_order(), attrs.evolve(nameless, exec_id="e1"))
    assert isinstance(answer, ExecutionReport)
    assert answer.trade_id == "e1"
    assert judged(an_order(), attrs.evolve(nameless, exec_type=ExecType.TRADE_CANCEL)) is Verdict.NO_TRADE_ID


def test_newer_terms_win_and_of_two_at_one_time_the_smaller_quantity() -> None:
    order = an_order(order_id="7", ord_status=OrdStatus.NEW, terms_ns=10)
    smaller = judged(order, a_report(ExecType.REPLACED, order_qty=Decimal("0.5"), price=Decimal(99)))
    assert isinstance(smaller, ExecutionReport)
    assert (smaller.order_qty, smaller.price) == (Decimal("0.5"), Decimal(99))
    assert judged(order, a_report(ExecType.REPLACED, order_qty=Decimal(2))) is Verdict.DUPLICATE
    older = a_report(ExecType.REPLACED, order_qty=Decimal("0.5"), transact_ns=9)
    assert judged(order, older) is Verdict.DUPLICATE
    unpriced = judged(order, a_report(ExecType.RESTATED, order_qty=Decimal("0.5")))
    assert isinstance(unpriced, ExecutionReport)
    assert unpriced.price == 100


def test_an_amend_on_its_way_is_confirmed_by_its_quantity() -> None:
    order = an_order(order_id="7", ord_status=OrdStatus.PENDING_REPLACE, amend_qty=Decimal("0.5"))
    answer = judged(order, a_report(ExecType.ORDER_STATUS, OrdStatus.NEW, order_qty=Decimal("0.5")))
    assert isinstance(answer, ExecutionReport)
    assert (answer.exec_type, answer.ord_status) == (ExecType.REPLACED, OrdStatus.NEW)
    still = judged(order, a_report(ExecType.ORDER_STATUS, OrdStatus.NEW))
    assert still is Verdict.DUPLICATE
    while_canceling = an_order(order_id="7", ord_status=OrdStatus.PENDING_CANCEL, amend_qty=Decimal("0.5"))
    answer = judged(while_canceling, a_report(ExecType.REPLACED))
    assert answer is Verdict.DUPLICATE, "terms that nobody asked for now: it answers an amend before this one"
    answer = judged(while_canceling, a_report(ExecType.REPLACED, order_qty=Decimal("0.5")))
    assert isinstance(answer, ExecutionReport)
    assert (answer.exec_type, answer.ord_status) == (ExecType.REPLACED, OrdStatus.PENDING_CANCEL)


@pytest.mark.parametrize(
    "exec_type, transact_ns, confirms",
    [
        (ExecType.REPLACED, 11, True),
        (ExecType.NEW, 11, True),  # some venues say no more than the new terms
        (ExecType.RESTATED, 11, True),
        (ExecType.ORDER_STATUS, 10, True),
        (ExecType.REPLACED, 10, True),
        (ExecType.NEW, 10, False),  # as old as what we know: from before the amend
        (ExecType.REPLACED, 9, False),
        (ExecType.ORDER_STATUS, 9, False),
    ],
)
def test_an_amend_is_confirmed_by_its_terms_when_they_are_not_old(
    exec_type: ExecType, transact_ns: int, confirms: bool
) -> None:
    order = an_order(
        order_id="7",
        ord_status=OrdStatus.PENDING_REPLACE,
        terms_ns=10,
        amends=2,
        amend_qty=Decimal(3),
        amend_price=Decimal(105),
    )
    told = a_report(exec_type, order_qty=Decimal(3), price=Decimal(105), transact_ns=transact_ns)
    answer = judged(order, told)
    if confirms:
        assert isinstance(answer, ExecutionReport)
        assert (answer.exec_type, answer.order_qty, answer.price) == (ExecType.REPLACED, Decimal(3), Decimal(105))
    else:
        assert answer is Verdict.DUPLICATE
    other_price = attrs.evolve(told, price=Decimal(104))
    answer = judged(order, other_price)
    assert not isinstance(answer, ExecutionReport) or answer.exec_type is not ExecType.REPLACED


def test_a_new_from_before_an_amend_of_the_same_millisecond_takes_nothing_back() -> None:
    order = an_order(order_id="7", ord_status=OrdStatus.NEW, terms_ns=10, order_qty=Decimal(3), amends=1)
    assert judged(order, a_report(ExecType.NEW, order_qty=Decimal(1))) is Verdict.DUPLICATE
    never_amended = attrs.evolve(order, amends=0)
    smaller = judged(never_amended, a_report(ExecType.NEW, order_qty=Decimal(1)))
    assert isinstance(smaller, ExecutionReport)
    assert smaller.order_qty == 1


def test_a_larger_quantity_that_the_venue_only_mentions_is_a_restatement() -> None:
    order = an_order(order_id="7", ord_status=OrdStatus.NEW, terms_ns=5)
    answer = judged(order, a_report(ExecType.NEW, order_qty=Decimal(4)))
    assert isinstance(answer, ExecutionReport)
    assert (answer.exec_type, answer.order_qty) == (ExecType.RESTATED, Decimal(4))
    asked = judged(order, a_report(ExecType.ORDER_STATUS, price=Decimal(99)))
    assert isinstance(asked, ExecutionReport)
    assert (asked.exec_type, asked.price) == (ExecType.RESTATED, Decimal(99))


@pytest.mark.parametrize(
    "exec_type, status, live",
    [
        (ExecType.NEW, OrdStatus.NEW, True),
        (ExecType.REPLACED, OrdStatus.NEW, True),
        (ExecType.ORDER_STATUS, OrdStatus.PARTIALLY_FILLED, True),
        (ExecType.ORDER_STATUS, OrdStatus.CANCELED, False),
        (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, False),
    ],
)
def test_what_proves_that_an_order_works(exec_type: ExecType, status: OrdStatus, live: bool) -> None:
    assert is_live(a_report(exec_type, status)) is live


# ---- the order itself -------------------------------------------------------------------------------------------


def test_quantities_and_average_price() -> None:
    order = an_order(cum_qty=Decimal("0.4"), cum_quote=Decimal(39), ord_status=OrdStatus.PARTIALLY_FILLED, order_id="1")
    assert (order.leaves_qty, order.avg_px) == (Decimal("0.6"), Decimal("97.5"))
    order.check()
    order.finished_ns, order.ord_status = 5, OrdStatus.CANCELED
    assert order.leaves_qty == 0
    assert an_order().avg_px == 0
    assert an_order(cum_qty=Decimal(2)).leaves_qty == 0


@pytest.mark.parametrize(
    "amend, order_id, cum_qty, expected",
    [
        ("0.5", "7", "0", OrdStatus.PENDING_REPLACE),
        (None, None, "0", OrdStatus.PENDING_NEW),
        (None, "7", "0", OrdStatus.NEW),
        (None, "7", "0.4", OrdStatus.PARTIALLY_FILLED),
    ],
)
def test_where_an_order_is_after_a_cancel_without_effect(
    amend: str | None, order_id: str | None, cum_qty: str, expected: OrdStatus
) -> None:
    order = an_order(amend_qty=Decimal(amend) if amend else None, order_id=order_id, cum_qty=Decimal(cum_qty))
    assert order.resumed_status() is expected


DOUBT = Doubt(DoubtReason.NO_REPLY, 1, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"finished_ns": 5},
        {"ord_status": OrdStatus.FILLED},
        {"cum_qty": Decimal(-1)},
        {"order_qty": Decimal(-1)},
        {"price": Decimal(-1)},
        {"cum_quote": Decimal(5)},
        {"cum_qty": Decimal(1), "ord_status": OrdStatus.PARTIALLY_FILLED},
        {"cum_qty": Decimal("0.1"), "ord_status": OrdStatus.NEW},
        {"ord_status": OrdStatus.PARTIALLY_FILLED},
        {"ord_status": OrdStatus.PENDING_REPLACE},
        {"cancel_doubt": DOUBT},
        {"ord_status": OrdStatus.CANCELED, "finished_ns": 5, "doubt": DOUBT},
        {"ord_status": OrdStatus.CANCELED, "finished_ns": 5, "amend_qty": Decimal(1)},
        {"closed_by_us": True},
        {"order_id": ""},
        {"accepted_ns": -1},
        {"terms_ns": -1},
        {"amend_price": Decimal(1)},
    ],
    ids=str,
)
def test_an_impossible_order_is_noticed(wrong: dict[str, object]) -> None:
    an_order().check()
    with pytest.raises(InvariantViolation) as caught:
        an_order(**wrong).check()
    assert "c1" in str(caught.value)


def test_working_status_counts() -> None:
    assert working_status(Decimal(0), Decimal(1)) is OrdStatus.NEW
    assert working_status(Decimal(1), Decimal(1)) is OrdStatus.FILLED
