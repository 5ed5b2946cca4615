"""Hypothesis strategies for the domain: every record, and what records are made of.

They stay inside what the types promise (finite Decimals, UTC nanoseconds of this century and the next, text without
lone surrogates) and go to its borders: exponents that must survive, flags in every combination, empty and hostile text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

from hypothesis import strategies as st

from protocols.base import Message
from protocols.enums import (
    CxlRejReason,
    DoubtReason,
    ExecInst,
    ExecType,
    GapReason,
    Liquidity,
    OrdRejReason,
    OrdStatus,
    OrdType,
    Side,
    TimeInForce,
    TradingState,
)
from protocols.ids import AccountID, ClOrdID, OrderID, StrategyID, Symbol, TradeID, Venue
from protocols.journal import (
    ActorRestarted,
    AmendIntent,
    CancelClosed,
    CancelIntent,
    DoubtClosed,
    DoubtOpened,
    JournalState,
    OrderClosed,
    OrderIntent,
    Record,
    RunStarted,
    RunStopped,
    StateSnapshot,
    TradingStateChanged,
)
from protocols.market import GapClosed, GapOpened
from protocols.orders import CancelRejected, ExecutionReport, NewOrder, OrderRefused
from protocols.positions import Balance, BalancesChanged

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Any text that UTF-8 can carry."""
words = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./", min_size=1, max_size=16)
times_ns = st.integers(min_value=0, max_value=2**63 - 1)
decimals = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12),
    st.builds(
        lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
        st.sampled_from([0, 1]),
        st.integers(min_value=0, max_value=10**28 - 1),
        st.integers(min_value=-30, max_value=12),
    ),
)
"""Finite, with their exponents: 1, 1.0, 1E+3 and -0.00 are four different texts."""

accounts = words.map(AccountID)
venues = words.map(Venue)
symbols = words.map(Symbol)
strategies = words.map(StrategyID)
cl_ord_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=32).map(ClOrdID)
order_ids = words.map(OrderID)
trade_ids = words.map(TradeID)
exec_insts = st.integers(min_value=0, max_value=7).map(ExecInst)

new_orders = st.builds(
    NewOrder,
    cl_ord_id=cl_ord_ids,
    account=accounts,
    strategy=strategies,
    venue=venues,
    symbol=symbols,
    side=st.sampled_from(Side),
    ord_type=st.sampled_from(OrdType),
    order_qty=decimals,
    price=st.none() | decimals,
    created_ns=times_ns,
    reply_to=words,
    time_in_force=st.sampled_from(TimeInForce),
    exec_inst=exec_insts,
    stop_px=st.none() | decimals,
    parent=st.none() | cl_ord_ids,
)

execution_reports = st.builds(
    ExecutionReport,
    cl_ord_id=cl_ord_ids,
    order_id=order_ids,
    account=accounts,
    strategy=strategies,
    venue=venues,
    symbol=symbols,
    side=st.sampled_from(Side),
    exec_type=st.sampled_from(ExecType),
    ord_status=st.sampled_from(OrdStatus),
    order_qty=decimals,
    cum_qty=decimals,
    transact_ns=times_ns,
    received_ns=times_ns,
    ord_type=st.sampled_from(OrdType),
    price=st.none() | decimals,
    last_qty=decimals,
    last_px=decimals,
    cum_quote=decimals,
    trade_id=st.none() | trade_ids,
    fee=decimals,
    fee_asset=texts,
    liquidity=st.sampled_from(Liquidity),
    exec_id=texts,
    text=texts,
    poss_dup=st.booleans(),
)

balances = st.builds(
    Balance, account=accounts, venue=venues, asset=words, free=decimals, locked=decimals, updated_ns=times_ns
)
balances_changed = st.builds(
    BalancesChanged,
    account=accounts,
    venue=venues,
    balances=st.lists(balances, max_size=3).map(tuple),
    complete=st.booleans(),
    event_ns=times_ns,
)

cancel_rejections = st.builds(CancelRejected, cl_ord_id=cl_ord_ids, reason=st.sampled_from(CxlRejReason), text=texts)

_BY_KIND: dict[type[Message], st.SearchStrategy[Record]] = {
    RunStarted: st.builds(RunStarted, run=st.integers(0, 2**40), build=texts, config_hash=texts, started_ns=times_ns),
    RunStopped: st.builds(RunStopped, run=st.integers(0, 2**40), reason=texts, stopped_ns=times_ns),
    OrderIntent: st.builds(OrderIntent, order=new_orders, accepted_ns=times_ns),
    CancelIntent: st.builds(CancelIntent, cl_ord_id=cl_ord_ids, at_ns=times_ns),
    AmendIntent: st.builds(AmendIntent, cl_ord_id=cl_ord_ids, order_qty=decimals, at_ns=times_ns),
    OrderClosed: st.builds(
        OrderClosed, cl_ord_id=cl_ord_ids, reason=st.sampled_from(OrdRejReason), text=texts, at_ns=times_ns
    ),
    DoubtOpened: st.builds(
        DoubtOpened,
        cl_ord_id=cl_ord_ids,
        cancel=st.booleans(),
        reason=st.sampled_from(DoubtReason),
        since_ns=times_ns,
        settles_ns=times_ns,
    ),
    DoubtClosed: st.builds(DoubtClosed, cl_ord_id=cl_ord_ids, evidence=texts, at_ns=times_ns),
    CancelClosed: st.builds(CancelClosed, rejected=cancel_rejections, at_ns=times_ns),
    ExecutionReport: execution_reports,
    BalancesChanged: balances_changed,
    OrderRefused: st.builds(
        OrderRefused,
        cl_ord_id=cl_ord_ids,
        account=accounts,
        strategy=strategies,
        venue=venues,
        symbol=symbols,
        reason=st.sampled_from(OrdRejReason),
        text=texts,
    ),
    TradingStateChanged: st.builds(
        TradingStateChanged,
        scope=words,
        state=st.sampled_from(TradingState),
        principal=texts,
        cause=texts,
        at_ns=times_ns,
    ),
    ActorRestarted: st.builds(ActorRestarted, path=words, epoch=st.integers(0, 10**6), cause=texts, at_ns=times_ns),
    JournalState: st.builds(JournalState, healthy=st.booleans(), text=texts, at_ns=times_ns),
    GapOpened: st.builds(
        GapOpened,
        stream=words,
        venue=venues,
        symbol=st.none() | symbols,
        reason=st.sampled_from(GapReason),
        text=texts,
        since_ns=times_ns,
    ),
    GapClosed: st.builds(
        GapClosed, stream=words, venue=venues, symbol=st.none() | symbols, opened_ns=times_ns, closed_ns=times_ns
    ),
    StateSnapshot: st.builds(StateSnapshot, state=texts, state_hash=texts, at_ns=times_ns),
}


def records_of(kind: type[Message]) -> st.SearchStrategy[Record]:
    """Records of one kind; KeyError for a kind that has no strategy here."""
    return _BY_KIND[kind]


RECORD_KINDS: tuple[type[Message], ...] = get_args(Record)
records: st.SearchStrategy[Record] = st.one_of([_BY_KIND[kind] for kind in RECORD_KINDS])
"""Records of every kind."""
