"""The router actor: where orders go, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from actors.router.actor import RouterActor
from actors.router.choice import Fees
from protocols.base import Query
from protocols.control import Drain
from protocols.enums import CxlRejResponseTo, GapReason, OrdRejReason, OrdType, Side
from protocols.ids import AccountID, ClOrdID, StrategyID, Symbol, Venue
from protocols.market import BestPrice, BestPriceQuery, GapClosed, GapOpened, Quote
from protocols.orders import (
    FIRM_GATE,
    ROUTER,
    AmendOrder,
    CancelRejected,
    NewOrder,
    OrderBatch,
    OrderRefused,
    RoutedAmend,
    RoutedOrder,
)
from protocols.reconcile import book_path
from supervisors.actor import Down
from supervisors.testing import RecordingContext

D = Decimal
A, B = Venue("a"), Venue("b")
ONE, TWO = AccountID("one"), AccountID("two")
BTC = Symbol("BTCUSDT")
STRATEGY = "/strategies/s"


def order(venue: str = "", account: AccountID = TWO, side: Side = Side.BUY, name: str = "x1") -> NewOrder:
    strategy = StrategyID("s")
    return NewOrder(ClOrdID(name), account, strategy, Venue(venue), BTC, side, OrdType.MARKET, D(1), None, 0, STRATEGY)


def quote(venue: Venue, bid: str, ask: str, qty: str = "5", proven: bool = True) -> Quote:
    return Quote(venue, BTC, D(bid), D(qty), D(ask), D(qty), 0, 0, 1, proven)


def router(fees: dict[Venue, Fees] | None = None) -> RecordingContext:
    actor = RouterActor([(ONE, A), (TWO, A), (TWO, B)], fees)
    return RecordingContext(actor, ROUTER)


def give(ctx: RecordingContext, *messages: object) -> list:
    for message in messages:
        ctx._actor.receive(message)  # type: ignore[arg-type]
    return ctx.take()


def routed(sent: list) -> list[Venue]:
    assert all(to == FIRM_GATE and isinstance(message, RoutedOrder) for to, message in sent)
    return [message.order.venue for _, message in sent]


def refused(sent: list) -> OrderRefused:
    ((to, message),) = sent
    assert to == STRATEGY
    assert isinstance(message, OrderRefused)
    assert message.reason is OrdRejReason.NO_ROUTE
    return message


def test_what_a_crashed_book_has_quoted_is_no_offer() -> None:
    ctx = router()
    give(ctx, quote(A, "99", "100"), quote(B, "99", "101"))
    assert ctx.watched == [book_path(A, BTC), book_path(B, BTC)]
    assert routed(give(ctx, order())) == [A]
    give(ctx, Down(book_path(A, BTC), 1, "it resyncs and says so itself", running=True))
    assert routed(give(ctx, order())) == [A]
    give(ctx, Down(book_path(A, BTC), 1, "crashed"))
    assert routed(give(ctx, order())) == [B]
    give(ctx, quote(A, "99", "100"))
    assert routed(give(ctx, order())) == [A]
    assert len(ctx.watched) == 2


def test_an_order_that_names_its_venue_goes_there_unchanged() -> None:
    ctx = router()
    wish = order("a", ONE)
    ((to, message),) = give(ctx, wish)
    assert to == FIRM_GATE
    assert message.order is wish


def test_an_order_for_a_venue_that_the_account_does_not_have_is_refused() -> None:
    assert "does not trade on b" in refused(give(router(), order("b", ONE))).text


def test_with_one_venue_there_is_nothing_to_choose() -> None:
    assert routed(give(router(), order(account=ONE))) == [A]


@pytest.mark.req("R049")
def test_the_best_venue_is_chosen_by_price_depth_and_fees() -> None:
    ctx = router({A: Fees(taker=D("0.02"))})
    give(ctx, quote(A, "99", "100"), quote(B, "98.5", "100.5"))
    assert routed(give(ctx, order(side=Side.BUY))) == [B]
    assert routed(give(ctx, order(side=Side.SELL))) == [B]
    give(ctx, quote(B, "98.5", "100.5", qty="0.1"))
    assert routed(give(ctx, order(side=Side.BUY))) == [A]


def test_only_proven_books_are_offers() -> None:
    ctx = router()
    assert "no proven price" in refused(give(ctx, order())).text
    give(ctx, quote(A, "99", "100"), quote(B, "99", "98"))
    assert routed(give(ctx, order())) == [B]
    give(ctx, GapOpened("book", B, BTC, GapReason.SEQUENCE, "", 0))
    assert routed(give(ctx, order())) == [A]
    give(ctx, GapOpened("stream", A, None, GapReason.DISCONNECTED, "", 0))
    assert "no proven price" in refused(give(ctx, order())).text
    give(ctx, GapClosed("book", B, BTC, 0, 1), GapClosed("stream", A, None, 0, 1), quote(B, "1", "2", proven=False))
    assert routed(give(ctx, order())) == [A]


def test_a_gap_that_closes_unopened_changes_nothing() -> None:
    ctx = router()
    give(ctx, GapClosed("book", B, BTC, 0, 1), quote(B, "99", "100"))
    assert routed(give(ctx, order())) == [B]


def test_an_unknown_account_is_refused() -> None:
    assert "any venue" in refused(give(router(), order(account=AccountID("nobody")))).text


def test_a_batch_is_split_and_its_results_are_partial() -> None:
    ctx = router()
    sent = give(ctx, OrderBatch((order("a", ONE, name="x1"), order("b", ONE, name="x2"), order("a", name="x3"))))
    assert [to for to, _ in sent] == [FIRM_GATE, STRATEGY, FIRM_GATE]
    assert sent[1][1].cl_ord_id == "x2"
    assert [message.order.cl_ord_id for to, message in sent if to == FIRM_GATE] == ["x1", "x3"]


@pytest.mark.req("R051")
def test_the_best_price_is_answered_with_fees_and_depth() -> None:
    ctx = router({A: Fees(taker=D("0.01"))})
    actor = ctx._actor
    assert actor.answer(BestPriceQuery(BTC, Side.BUY, D(1))) is None
    give(ctx, quote(A, "99", "100", qty="2"), quote(B, "98", "102", qty="5"))
    assert actor.answer(BestPriceQuery(BTC, Side.BUY, D(1))) == BestPrice(A, BTC, Side.BUY, D(1), D("101.00"))
    assert actor.answer(BestPriceQuery(BTC, Side.BUY, D(4))) == BestPrice(B, BTC, Side.BUY, D(4), D(102))
    give(ctx, quote(A, "99", "100", qty="0"), quote(B, "98", "102", qty="0"))
    assert actor.answer(BestPriceQuery(BTC, Side.SELL, D(1))) is None


def test_other_questions_are_not_answered_and_other_news_are_not_its_own() -> None:
    ctx = router()

    @attrs.define
    class Other(Query):
        pass

    with pytest.raises(NotImplementedError):
        ctx._actor.answer(Other())
    assert give(ctx, Drain("stop")) == []
    give(ctx, order("a", ONE), order("b", ONE))
    assert ctx._actor.inspect() == {"routed": {"a": 1}, "refused": 1, "quotes": 0}


# ---- changes of orders -------------------------------------------------------------------------------------------


def amend(venue: str = "b", account: AccountID = TWO) -> AmendOrder:
    return AmendOrder(ClOrdID("x1"), account, Venue(venue), BTC, D(2), STRATEGY, D(100), "r1", StrategyID("s"))


def test_an_amend_goes_to_the_gate_of_the_firm() -> None:
    asked = amend(B)
    assert give(router(), asked) == [(FIRM_GATE, RoutedAmend(asked))]


def test_an_amend_for_where_the_account_does_not_trade_is_refused() -> None:
    for asked in (amend("c"), amend(""), amend(B, ONE)):
        ((to, rejected),) = give(router(), asked)
        assert isinstance(rejected, CancelRejected)
        assert (to, rejected.response_to) == (STRATEGY, CxlRejResponseTo.REPLACE)


def test_an_order_that_replaces_another_is_not_sent_elsewhere() -> None:
    ctx = router()
    give(ctx, quote(A, "99", "101"), quote(B, "99", "101"))
    replacing = attrs.evolve(order(), orig_cl_ord_id=ClOrdID("old"))
    assert "must name the venue" in refused(give(ctx, replacing)).text
    assert routed(give(ctx, attrs.evolve(replacing, venue=B))) == [B]
