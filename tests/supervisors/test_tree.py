"""The engine's own tree: who stands where, and what that means for who goes down with whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from config import load_config
from protocols.control import SetTradingState
from protocols.enums import MoneyPolicy, TradingState
from protocols.ids import AccountID
from protocols.orders import account_gate
from supervisors.spec import WITHOUT_END, ChildSpec, Strategy, SupervisorSpec, actor_specs, validate
from supervisors.tree import Plan, build
from tools.engine.host import Host

VENUE = "binance-spot"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """The demo, prepared and not started."""
    made = Host.prepare(load_config("demo", overrides={"data.dir": str(tmp_path)}), {})
    yield made
    made.plan.journal.close()


@pytest.fixture
def plan(host: Host) -> Plan:
    """What its tree is built from."""
    return host.plan


def group_of(spec: SupervisorSpec, title: str) -> SupervisorSpec:
    """The group with a title or a name."""
    (found,) = (c for c in spec.children if isinstance(c, SupervisorSpec) and title in (c.title, c.name))
    return found


def names(spec: SupervisorSpec) -> list[str]:
    return [child.name or getattr(child, "title", "") for child in spec.children]


def test_the_tree_of_the_demo_is_valid_and_every_address_is_taken_once(plan: Plan) -> None:
    spec = build(plan)
    validate(spec)
    paths = [path for path, _ in actor_specs(spec)]
    assert len(set(paths)) == len(paths)
    assert {
        "/control",
        "/journal",
        f"/simulator/{VENUE}",
        "/portfolio",
        "/router",
        "/risk/firm",
        "/risk/master",
        "/risk/sub1",
        f"/venues/{VENUE}/limiter",
        f"/venues/{VENUE}/books/BTCUSDT",
        f"/venues/{VENUE}/public",
        f"/accounts/master/{VENUE}/account",
        f"/accounts/sub1/{VENUE}/entry",
        "/strategies/tfpe",
    } <= set(paths)


def test_the_console_and_the_trading_do_not_go_down_with_each_other(plan: Plan) -> None:
    root = build(plan)
    assert names(root) == ["console", "simulator", "trading"]  # and the console, started first, goes last
    assert root.strategy is Strategy.ONE_FOR_ONE
    console = group_of(root, "console")
    assert names(console) == ["control"]
    assert console.intensity.restarts > 1_000_000  # it never gives up, so it never takes the root with it


def test_if_the_journal_goes_everything_that_trades_restarts_with_it(plan: Plan) -> None:
    trading = group_of(build(plan), "trading")
    assert trading.strategy is Strategy.REST_FOR_ONE
    assert names(trading) == ["journal", "engine"]
    engine = group_of(trading, "engine")
    assert engine.strategy is Strategy.ONE_FOR_ONE
    order = names(engine)
    assert order.index("venues") < order.index("risk") < order.index("accounts") < order.index("strategies")


def test_a_venue_does_not_restart_with_our_journal(plan: Plan) -> None:
    root = build(plan)
    simulators = group_of(root, "simulator")
    assert names(simulators) == [VENUE]
    assert simulators.intensity.restarts == WITHOUT_END  # nor does a venue that dies take the trading with it
    order = names(root)
    assert order.index("simulator") < order.index("trading")  # stops after it: draining needs a venue


def test_an_account_that_cannot_be_kept_running_halts_its_own_gate(plan: Plan) -> None:
    accounts = group_of(group_of(group_of(build(plan), "trading"), "engine"), "accounts")
    for name in ("master", "sub1"):
        group = group_of(group_of(accounts, name), VENUE)
        assert names(group) == ["reconciler", "private", "entry", "account"]
        assert group.strategy is Strategy.REST_FOR_ONE
        assert group.money is MoneyPolicy.CANCEL
        ((path, order),) = group.on_escalation
        assert path == account_gate(AccountID(name))
        assert isinstance(order, SetTradingState)
        assert (order.scope, order.state) == (name, TradingState.HALTED)


def test_a_group_that_holds_single_actors_may_restart_them_as_often_as_configured(plan: Plan) -> None:
    """A group of groups has less, over a longer time: a lower rung's tries fit into one of the rung above."""
    given = plan.config.supervision
    root = build(plan)
    trading = group_of(root, "trading")
    engine = group_of(trading, "engine")
    for group in (trading, engine, group_of(engine, "risk")):
        assert group.intensity.restarts == given.max_restarts
    for group in (root, group_of(engine, "accounts"), group_of(group_of(engine, "venues"), VENUE)):
        assert group.intensity.restarts < given.max_restarts
        assert group.intensity.within_ns > given.within_s * 1_000_000_000


def test_nobody_speaks_to_the_venue_before_its_simulator_serves(plan: Plan) -> None:
    speakers = {"clock", "rest", "instruments", "public", "private", "entry"}
    found = {path: spec for path, spec in actor_specs(build(plan)) if path.rpartition("/")[2] in speakers}
    assert {path.rpartition("/")[2] for path in found} == speakers
    assert all(f"/simulator/{VENUE}" in spec.depends_on for spec in found.values())
    assert isinstance(found[f"/venues/{VENUE}/public"], ChildSpec)


def test_without_premises_there_is_no_console(plan: Plan) -> None:
    bare = build(attrs.evolve(plan, premises=None))
    assert names(bare) == ["simulator", "trading"]
    assert names(build(attrs.evolve(plan, premises=None, simulators=()))) == ["trading"]
