"""Venue choice: price, depth and fees."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.router.choice import Fees, Offer, best_offer, choose, take
from protocols.enums import ExecInst, OrdType, Side, TimeInForce
from protocols.ids import AccountID, ClOrdID, StrategyID, Symbol, Venue
from protocols.orders import NewOrder

D = Decimal
A, B, C = Venue("a"), Venue("b"), Venue("c")


def order(
    side: Side = Side.BUY,
    qty: str = "1",
    price: str | None = None,
    time_in_force: TimeInForce = TimeInForce.GTC,
    exec_inst: ExecInst = ExecInst.NONE,
) -> NewOrder:
    ord_type = OrdType.MARKET if price is None else OrdType.LIMIT
    limit = None if price is None else D(price)
    account, strategy, venue = AccountID("master"), StrategyID("maker"), Venue("")
    symbol, name = Symbol("BTCUSDT"), ClOrdID("x1")
    return NewOrder(
        name, account, strategy, venue, symbol, side, ord_type, D(qty), limit, 0, "/s", time_in_force, exec_inst
    )


def offer(venue: Venue, bid: str, ask: str, qty: str = "10", taker: str = "0", maker: str = "0") -> Offer:
    return Offer(venue, ((D(bid), D(qty)),), ((D(ask), D(qty)),), Fees(maker=D(maker), taker=D(taker)))


def chosen(wish: NewOrder, *offers: Offer) -> Venue:
    best = choose(wish, offers)
    assert best is not None
    return best.venue


def test_the_better_price_wins() -> None:
    cheap, dear = offer(A, "99", "100"), offer(B, "100", "101")
    assert chosen(order(Side.BUY), dear, cheap) == A
    assert chosen(order(Side.SELL), dear, cheap) == B


def test_fees_turn_a_better_price_around() -> None:
    cheap, free = offer(A, "99", "100", taker="0.01"), offer(B, "98.5", "100.5")
    assert chosen(order(Side.BUY), cheap, free) == B
    assert chosen(order(Side.SELL), cheap, free) == B


def test_depth_counts_before_price_for_what_cannot_rest() -> None:
    thin, deep = offer(A, "99", "100", qty="1"), offer(B, "98", "101", qty="5")
    assert chosen(order(qty="5"), thin, deep) == B
    assert chosen(order(qty="1"), thin, deep) == A
    assert chosen(order(qty="5", price="200", time_in_force=TimeInForce.FOK), thin, deep) == B


def test_what_rests_costs_its_limit_and_the_makers_fee() -> None:
    thin, deep = offer(A, "99", "100", qty="1"), offer(B, "98", "101", qty="5")
    # Taking 1 at 100 and resting 4 at 101 is cheaper than taking 5 at 101.
    assert chosen(order(qty="5", price="101"), deep, thin) == A
    far = order(price="90")
    assert chosen(far, offer(A, "99", "100", maker="0.001"), offer(B, "99", "100", maker="-0.0001")) == B


def test_a_limit_is_not_taken_beyond() -> None:
    assert take(offer(A, "99", "100"), Side.BUY, D(1), D("99.9")).qty == 0
    assert take(offer(A, "99", "100"), Side.SELL, D(1), D("99.1")).qty == 0
    assert take(offer(A, "99", "100"), Side.SELL, D(1), D(99)).qty == 1


def test_a_post_only_order_goes_where_it_would_not_take() -> None:
    wish = order(price="100", exec_inst=ExecInst.POST_ONLY)
    assert chosen(wish, offer(A, "99", "100", maker="-1"), offer(B, "99", "101")) == B
    assert chosen(wish, offer(A, "99", "101", maker="0.1"), offer(B, "99", "101")) == B


def test_the_first_of_equals_wins_and_no_offer_is_no_choice() -> None:
    assert chosen(order(), offer(B, "99", "100"), offer(A, "99", "100")) == B
    assert choose(order(), []) is None


def test_best_offer_states_quantity_and_average_price_with_fee() -> None:
    two = Offer(A, (), ((D(100), D(1)), (D(102), D(1))), Fees(taker=D("0.01")))
    best = best_offer(Side.BUY, D(2), [two, offer(B, "99", "105", qty="1")])
    assert best is not None
    found, taking = best
    assert (found.venue, taking.qty, taking.price(Side.BUY, found.fees)) == (A, D(2), D("102.01"))
    assert best_offer(Side.SELL, D(2), [two]) is None


@pytest.mark.parametrize("side", list(Side))
@given(data=st.data())
def test_no_other_venue_would_have_been_better(side: Side, data: st.DataObject) -> None:
    """Against the plainest way: buy unit by unit."""
    tick = st.integers(1, 5).map(Decimal)
    offers = []
    for venue in (A, B, C):
        asks = sorted({data.draw(tick) + 100 for _ in range(3)})
        bids = sorted({100 - data.draw(tick) for _ in range(3)}, reverse=True)
        fees = Fees(taker=data.draw(st.integers(0, 3).map(lambda n: D(n) / 100)))
        quantities = st.integers(1, 2).map(Decimal)
        offers.append(
            Offer(
                venue,
                tuple((price, data.draw(quantities)) for price in bids),
                tuple((price, data.draw(quantities)) for price in asks),
                fees,
            )
        )
    qty = data.draw(st.integers(1, 8))
    results = {}
    for one in offers:
        units = [
            price for price, available in (one.asks if side is Side.BUY else one.bids) for _ in range(int(available))
        ]
        got = units[:qty]
        results[one.venue] = (-len(got), sum(got) * (side.sign + one.fees.taker))
    assert results[chosen(order(side, str(qty)), *offers)] == min(results.values())
