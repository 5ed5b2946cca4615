"""A venue that remembers: whatever happened, a restart finds every account as it was, and a broken file is named."""

from __future__ import annotations

import itertools
import random
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.exchange_kit import SPEC
from tests.simulator.state_kit import picture_of
from tools.simulator.core import contracts, outside
from tools.simulator.core.accounts import Account
from tools.simulator.core.algos import Algo, AlgoLeg
from tools.simulator.core.clock import SECOND, ManualClock
from tools.simulator.core.exchange import Exchange
from tools.simulator.core.images import Unreadable, live, plain
from tools.simulator.core.keeper import Keeper
from tools.simulator.core.lists import OrderList, submit_oco, submit_oto
from tools.simulator.core.memory import Memory
from tools.simulator.core.model import (
    MarginMode,
    MarketKind,
    Order,
    OrdStatus,
    OrdType,
    PositionSide,
    Reject,
    Side,
    StpMode,
    SymbolSpec,
    TimeInForce,
)
from tools.simulator.core.restoring import SKIP
from tools.simulator.core.statefile import Row, StateError, StateFile, start_afresh

D = Decimal
_numbers = itertools.count()
PERPETUAL = SymbolSpec(
    symbol="BTCPERP", base="BTC", quote="USDT", tick_size=D("0.1"), step_size=D("0.001"), kind=MarketKind.LINEAR
)


class Talker:
    """A dialect's memory: a log, a value, and what it could make out again."""

    def __init__(self) -> None:
        self.words: dict[Account, list[Any]] = {}
        self.count = 0
        self.rebuilt: list[list[Order]] = []

    def memory(self) -> Memory:
        return Memory(
            logs={"words": self.words},
            values={"count": (lambda: self.count, self._set_count)},
            rebuild=lambda refused: self.rebuilt.append(list(refused)),
        )

    def _set_count(self, count: int) -> None:
        self.count = count


class Venue:
    """An exchange with a state file: two accounts of one group, a spot market and a perpetual."""

    def __init__(self, path: Path, *, symbols: tuple[SymbolSpec, ...] = (SPEC, PERPETUAL)) -> None:
        self.clock = ManualClock()
        self.ex = Exchange(self.clock, shared_order_ids=True)
        for spec in symbols:
            self.ex.add_market(spec)
        self.talker = Talker()
        self.keeper = Keeper(path, "test", self.ex, self.talker)
        self.restored = self.keeper.restore()
        if self.restored is None:
            for name in ("alpha", "beta"):
                balances = {"BTC": D(50), "USDT": D(1_000_000)}
                self.keeper.touch(self.ex.accounts.create(name, balances, trade_group=1))

    def account(self, name: str = "alpha") -> Account:
        return self.ex.accounts.by_name[name]

    def order(self, cl_ord_id: str, side: Side = Side.BUY, **changes: Any) -> Order:
        fields = {
            "symbol": "BTCUSDT", "account": self.account(), "cl_ord_id": cl_ord_id, "side": side,
            "ord_type": OrdType.LIMIT, "price": D(100), "order_qty": D(1),
        }  # fmt: skip
        return Order(**(fields | changes))  # type: ignore[arg-type]

    def street(self, side: Side, qty: str, price: str, symbol: str = "BTCUSDT") -> None:
        outside.quote(self.ex, symbol, side, D(qty), D(price))

    def kill(self) -> None:
        """The process is gone: the file is let go, nothing else happens."""
        self.keeper._file.close()


def reopened(venue: Venue, **changes: Any) -> Venue:
    """The venue after its process was killed."""
    venue.kill()
    return Venue(venue.keeper.path, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "venue.sqlite"


# ---- everything comes back -------------------------------------------------------------------------------------


def test_orders_money_trades_and_places_come_back(path: Path) -> None:
    venue = Venue(path)
    venue.street(Side.SELL, "0.4", "101")
    for name in ("first", "second", "third"):
        venue.ex.submit(venue.order(name, order_qty=D(2)))
    venue.ex.submit(venue.order("taker", price=D(101)))
    venue.ex.submit(venue.order("ice", order_qty=D(9), iceberg_qty=D(1)))
    venue.ex.submit(venue.order("stop", Side.SELL, ord_type=OrdType.STOP_LOSS, stop_px=D(90), price=D(0)))
    venue.ex.cancel(venue.ex.find(venue.account(), "BTCUSDT", None, "second"))  # type: ignore[arg-type]  # it is there
    outside.trade(venue.ex, "BTCUSDT", Side.SELL, D(7), D(100))  # the iceberg shows its next slice, behind the others
    venue.keeper.flush()
    before = picture_of(venue.ex)
    after = reopened(venue)
    assert picture_of(after.ex) == before
    assert str(after.restored) == "2 accounts, 2 open and 4 closed orders, 7 trades"
    again = after.account()
    assert sum(order.locked for order in again.open_orders.values() if order.is_buy) == again.balance("USDT").locked
    after.ex.submit(after.order("next"))
    assert after.ex.find(again, "BTCUSDT", None, "next").order_id > SKIP  # type: ignore[union-attr]  # it is there


def test_what_was_not_written_was_never_acknowledged(path: Path) -> None:
    """Two actions, one write: the second is gone as if it had never been, the first is whole."""
    venue = Venue(path)
    venue.ex.submit(venue.order("told"))
    venue.keeper.flush()
    before = picture_of(venue.ex)
    venue.ex.submit(venue.order("untold"))
    assert picture_of(reopened(venue).ex) == before


def test_a_restart_matches_as_the_venue_would_have(path: Path) -> None:
    """Time priority and what each order still has locked outlive the process."""
    venue = Venue(path)
    venue.ex.submit(venue.order("first", order_qty=D(1)))
    venue.ex.submit(venue.order("second", order_qty=D(1)))
    venue.keeper.flush()
    after = reopened(venue)
    outside.trade(after.ex, "BTCUSDT", Side.SELL, D("1.5"), D(100))
    filled = {order.cl_ord_id: order.cum_qty for order in after.account().orders}
    assert filled == {"first": D(1), "second": D("0.5")}
    assert after.account().balance("USDT").locked == D(50)
    after.ex.cancel(after.account().open_orders.popitem()[1])
    assert after.account().balance("USDT").locked == 0


def test_lists_and_what_waits_for_a_price_come_back_and_go_on(path: Path) -> None:
    venue = Venue(path)
    oco = OrderList(
        list_id=venue.ex.next_list_id(), symbol="BTCUSDT", account=venue.account(), cl_list_id="oco", contingency="OCO",
        legs=[
            venue.order("take", Side.SELL, price=D(120)),
            venue.order("stop", Side.SELL, ord_type=OrdType.STOP_LOSS, stop_px=D(80), price=D(0)),
        ],
    )  # fmt: skip
    submit_oco(venue.ex, oco)
    working = venue.order("entry")
    oto = OrderList(
        list_id=venue.ex.next_list_id(), symbol="BTCUSDT", account=venue.account(), cl_list_id="oto", contingency="OTO",
        legs=[working, venue.order("exit", Side.SELL, price=D(130))], working=working,
    )  # fmt: skip
    submit_oto(venue.ex, oto)
    venue.keeper.flush()
    before = picture_of(venue.ex)
    after = reopened(venue)
    assert picture_of(after.ex) == before
    outside.trade(after.ex, "BTCUSDT", Side.SELL, D(1), D(100))  # the entry fills: its exit is entered
    after.street(Side.BUY, "5", "80")
    outside.trade(after.ex, "BTCUSDT", Side.SELL, D("0.1"), D(80))  # the stop wakes: its twin goes
    states = {order.cl_ord_id: order.ord_status for order in after.account().orders}
    assert states == {
        "take": OrdStatus.EXPIRED, "stop": OrdStatus.FILLED, "entry": OrdStatus.FILLED, "exit": OrdStatus.NEW,
    }  # fmt: skip


def test_positions_and_conditional_orders_of_contracts(path: Path) -> None:
    venue = Venue(path)
    contracts.set_leverage(venue.ex, venue.account(), "BTCPERP", D(7))
    contracts.set_margin_mode(venue.ex, venue.account(), "BTCPERP", MarginMode.ISOLATED)
    venue.street(Side.SELL, "5", "100", "BTCPERP")
    venue.ex.submit(venue.order("open", symbol="BTCPERP", order_qty=D(3)))
    leg = AlgoLeg(
        order=venue.order("child", Side.SELL, symbol="BTCPERP", ord_type=OrdType.MARKET, price=D(0), order_qty=D(3)),
        rises=False, callback=D("0.01"),
    )  # fmt: skip
    venue.ex.algos.place(Algo(account=venue.account(), symbol="BTCPERP", cl_algo_id="trail", legs=(leg,)))
    venue.street(Side.SELL, "1", "110", "BTCPERP")
    outside.trade(venue.ex, "BTCPERP", Side.BUY, D("2.5"), D(110))
    venue.keeper.tick(venue.clock.now_ns())
    before = picture_of(venue.ex)
    after = reopened(venue)
    assert picture_of(after.ex) == before
    market = after.ex.markets["BTCPERP"]
    assert market.last_px == D(110)
    (algo,) = market.algos.values()
    assert algo.legs[0].extreme_px == D(110)
    after.street(Side.BUY, "9", "105", "BTCPERP")
    outside.trade(after.ex, "BTCPERP", Side.SELL, D("0.1"), D(105))
    assert after.account().position("BTCPERP").qty == 0
    assert after.account().position("BTCPERP").realized == D(15)


def test_what_a_dialect_knows(path: Path) -> None:
    venue = Venue(path)
    order = venue.order("a")
    venue.ex.submit(order)
    venue.talker.words[venue.account()] = [{"order": order, "sizes": (D("1.50"), None), "side": Side.BUY}]
    venue.talker.count = 3
    venue.street(Side.SELL, "1", "101")
    with pytest.raises(Reject):
        venue.ex.submit(venue.order("late", price=D(101), post_only=True))
    venue.keeper.flush()
    venue.talker.words[venue.account()].append("more")
    venue.keeper.touch(venue.account())
    venue.keeper.flush()
    after = reopened(venue)
    ((again, words),) = after.talker.words.items()
    assert again is after.account()
    assert words[0]["order"] is after.account().orders[0]
    assert (words[0]["sizes"], words[0]["side"], words[1]) == ((D("1.50"), None), Side.BUY, "more")
    assert after.talker.count == 3
    ((refused,),) = after.talker.rebuilt
    assert (refused.cl_ord_id, refused.ord_status) == ("late", OrdStatus.REJECTED)
    after.talker.words[again].append("still more")
    after.keeper.touch(again)
    after.keeper.flush()
    assert [str(word) for word in reopened(after).talker.words.popitem()[1][1:]] == ["more", "still more"]


def test_orders_of_a_market_that_is_not_listed_wait_in_the_file(path: Path) -> None:
    venue = Venue(path)
    venue.ex.submit(venue.order("a"))
    venue.street(Side.SELL, "1", "100", "BTCPERP")
    venue.ex.submit(venue.order("b", symbol="BTCPERP"))
    venue.keeper.flush()
    before = picture_of(venue.ex)
    without = reopened(venue, symbols=(SPEC,))
    assert without.restored is not None
    assert without.restored.unlisted == 0
    assert without.account().positions == {}
    without.keeper.touch(without.account())
    without.keeper.flush()
    other = reopened(without, symbols=(PERPETUAL,))
    assert str(other.restored).endswith("; 1 open orders of markets that are not listed wait")
    assert picture_of(reopened(other).ex) == before


# ---- whatever happens, at whatever moment ------------------------------------------------------------------------

PRICES = st.integers(90, 110).map(Decimal)
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["limit", "ioc", "fok", "market", "quote_market", "stop", "trail", "iceberg", "post_only", "oco", "oto",
             "cancel", "amend", "replace", "street", "street", "sweep", "perp", "perp", "hedge", "reduce", "leverage",
             "algo", "funding", "tick"]
        ),
        st.sampled_from(["alpha", "beta"]), st.sampled_from(list(Side)), PRICES, st.integers(1, 40),
        st.sampled_from(list(StpMode)), st.booleans(),
    ),
    max_size=40,
)  # fmt: skip


def act(venue: Venue, number: int, action: tuple[Any, ...]) -> None:
    """One thing that somebody does; refusals are part of life."""
    kind, name, side, price, size, stp_mode, _ = action
    ex, account, qty = venue.ex, venue.account(name), D(size) / 10
    symbol = "BTCPERP" if kind in ("perp", "hedge", "reduce") else "BTCUSDT"

    def order(leg: str = "", **changes: Any) -> Order:
        fields = {"account": account, "symbol": symbol, "price": price, "order_qty": qty, "stp_mode": stp_mode}
        return venue.order(f"{number}{leg}", **({"side": side} | fields | changes))

    stop_px = price + 5 if side is Side.BUY else price - 5
    plain_kinds: dict[str, dict[str, Any]] = {
        "limit": {}, "perp": {},
        "ioc": {"time_in_force": TimeInForce.IOC}, "fok": {"time_in_force": TimeInForce.FOK},
        "market": {"ord_type": OrdType.MARKET, "price": D(0)},
        "quote_market": {"ord_type": OrdType.MARKET, "price": D(0), "order_qty": D(0), "quote_order_qty": qty * 100},
        "stop": {"ord_type": OrdType.STOP_LOSS_LIMIT, "stop_px": stop_px},
        "trail": {"ord_type": OrdType.STOP_LOSS_LIMIT, "trailing_delta": 200},
        "iceberg": {"iceberg_qty": qty / 4}, "post_only": {"post_only": True},
        "hedge": {"position_side": PositionSide.LONG if size % 2 else PositionSide.SHORT},
        "reduce": {"reduce_only": True},
    }  # fmt: skip
    live_orders = [each for each in account.open_orders.values() if each.order_list is None]
    if kind in plain_kinds:
        ex.submit(order(**plain_kinds[kind]))
    elif kind in ("oco", "oto"):
        legs = [order("a", side=Side.SELL, price=price + 5), order("b", side=Side.SELL, price=price + 8)]
        if kind == "oco":
            legs[1] = order("b", side=Side.SELL, ord_type=OrdType.STOP_LOSS, stop_px=price - 9, price=D(0))
        working = legs[0] if kind == "oto" else None
        order_list = OrderList(
            list_id=ex.next_list_id(), symbol=symbol, account=account, cl_list_id=str(number),
            contingency=kind.upper(), legs=legs, working=working,
        )  # fmt: skip
        (submit_oco if kind == "oco" else submit_oto)(ex, order_list)
    elif kind in ("cancel", "amend", "replace") and live_orders:
        chosen = live_orders[size % len(live_orders)]
        if kind == "cancel":
            ex.cancel(chosen)
        elif kind == "amend":
            ex.amend(chosen, chosen.order_qty / 2, f"{number}amended")
        elif not chosen.is_conditional:
            ex.replace(chosen, price=price, qty=chosen.order_qty + D("0.1"))
    elif kind == "street":
        venue.street(side, str(qty), str(price), "BTCPERP" if size % 2 else symbol)
    elif kind == "sweep":
        outside.trade(ex, "BTCPERP" if size % 2 else symbol, side, qty, price)
    elif kind == "leverage":
        contracts.set_leverage(ex, account, "BTCPERP", D(1 + size % 20))
    elif kind == "algo":
        leg = AlgoLeg(order=order(symbol="BTCPERP"), rises=side is Side.BUY, callback=D(size) / 1000)
        ex.algos.place(Algo(account=account, symbol="BTCPERP", cl_algo_id=str(number), legs=(leg,)))
    elif kind == "funding":
        contracts.fund(ex, "BTCPERP", D(size) / 10_000)
    elif kind == "tick":
        venue.clock.advance(SECOND)
        contracts.tick(ex, venue.clock.now_ns() // SECOND * SECOND)
        venue.keeper.tick(venue.clock.now_ns())


@given(actions=ACTIONS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_killed_at_any_moment_the_venue_knows_what_it_had_written(actions: list[Any], tmp_path: Path) -> None:
    """Killed after any write (the last element of an action says where), it goes on as if nothing had happened."""
    path = tmp_path / f"{next(_numbers)}.sqlite"
    venue = Venue(path)
    for number, action in enumerate(actions):
        venue.clock.advance(1_000_000)
        try:
            act(venue, number, action)
        except Reject:
            pass  # refusals are part of life
        if action[-1]:
            now_ns = venue.clock.now_ns()
            venue.keeper.tick(now_ns)
            venue.keeper.flush()
            before = picture_of(venue.ex)
            venue = reopened(venue)
            venue.clock.set(now_ns)
            assert picture_of(venue.ex) == before
    venue.kill()


# ---- the file itself ---------------------------------------------------------------------------------------------


def written(path: Path) -> None:
    venue = Venue(path)
    for number in range(200):
        venue.ex.submit(venue.order(str(number), price=D(50)))
    venue.keeper.close()


def test_a_changed_digit_is_found(path: Path) -> None:
    """SQLite would not see it: the page is whole, the amount is another."""
    written(path)
    db = sqlite3.connect(path)
    db.execute("UPDATE rows SET value = replace(value, '990000', '999000') WHERE kind = 'account'")
    db.commit()
    db.close()
    with pytest.raises(StateError, match=r"venue.sqlite: is damaged \(the row of account alpha .*start afresh"):
        Venue(path)


@pytest.mark.parametrize("damage", ["cut", "zeros", "text", "noise"])
def test_a_broken_file_is_named_with_the_way_out(path: Path, damage: str) -> None:
    written(path)
    whole = path.read_bytes()
    broken = {
        "cut": whole[: len(whole) // 2],
        "zeros": whole[:8192] + bytes(8192) + whole[16384:],
        "text": b"this is no database at all, but somebody's notes\n" * 100,
        "noise": whole[:20_000] + random.Random(1).randbytes(4_000) + whole[24_000:],
    }[damage]
    path.write_bytes(broken)
    with pytest.raises(StateError, match=r"venue.sqlite: is damaged .*put back a copy of it, or start afresh"):
        Venue(path)


def test_whose_state_it_is(path: Path) -> None:
    StateFile(path, "upbit", {}).close()
    with pytest.raises(StateError, match="holds the state of upbit, not of test; choose another file"):
        Venue(path)


def test_words_of_another_version(path: Path) -> None:
    written(path)
    file = StateFile(path, "test", {})
    file.write([Row("order", "BTCUSDT/1", {"account": "alpha", "v": {"symbol": "BTCUSDT", "color": "red"}})])
    file.close()
    with pytest.raises(StateError, match=r"cannot be understood \(Unreadable: Order has no color\); put back"):
        Venue(path)


def test_one_simulator_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.simulator.core.statefile.BUSY_S", 0.1)
    venue = Venue(path)
    with pytest.raises(StateError, match="another simulator is using it; end that one or choose another file"):
        Venue(path)
    venue.kill()
    Venue(path).kill()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"file/venue\.sqlite: cannot be opened"):
        Venue(tmp_path / "file" / "venue.sqlite")


def test_what_was_put_aside_is_one_whole_state(path: Path) -> None:
    """What a killed process left beside its file must not be taken for a part of the next one that is put aside."""
    venue = Venue(path)
    venue.ex.submit(venue.order("of the killed"))
    venue.keeper.flush()
    left = {file: file.read_bytes() for file in path.parent.iterdir()}
    assert len(left) > 1
    venue.kill()
    for file, content in left.items():
        file.write_bytes(content)
    start_afresh(path)
    written(path)
    second = Venue(path)
    before = picture_of(second.ex)
    second.kill()
    start_afresh(path)
    assert not path.exists()
    assert picture_of(Venue(path.with_name(f"{path.name}.before")).ex) == before


def test_old_orders_are_forgotten_and_nothing_that_counts_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.simulator.core.keeper.KEPT", {"order": 10, "fill": 5, "log": 3, "list": 1, "algo": 1})
    venue = Venue(path)
    venue.ex.submit(venue.order("old but open", price=D(50)))
    for number in range(30):
        venue.street(Side.SELL, "0.1", "101")
        venue.ex.submit(venue.order(str(number), price=D(101), order_qty=D("0.1")))
        venue.talker.words.setdefault(venue.account(), []).append(number)
        venue.keeper.flush()
    balances = picture_of(venue.ex)["accounts"]
    after = reopened(venue)
    assert picture_of(after.ex)["accounts"] == balances
    names = [order.cl_ord_id for order in after.account().orders]
    assert names == ["old but open", *map(str, range(20, 30))]
    assert len(after.account().fills["BTCUSDT"]) == 5
    assert after.talker.words[after.account()] == [27, 28, 29]


def test_only_what_belongs_here_is_ever_made_from_a_file() -> None:
    for words in ({"c": "core.net:FaultyStream", "v": {}}, {"e": "core.nothing:X.Y"}, {"c": "x", "v": {}}, {"z": 1}):
        with pytest.raises(Unreadable):
            live(words, lambda reference: None)
    with pytest.raises(TypeError, match="cannot be written into a state file"):
        plain(object())
    with pytest.raises(TypeError, match="cannot be written"):
        plain(trio.Event())
