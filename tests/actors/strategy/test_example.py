"""The example of docs/adding-a-strategy.md is loaded as a user would load it, and trades."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from actors.strategy.loader import strategy_factory
from bulkhead import Strategy
from config import load_config
from protocols.enums import ExecInst
from tests.actors.strategy.bench import BTC, SECOND_NS, Bench, D, OrdType, Side, candle, held, quote

MINUTE_NS = 60 * SECOND_NS
KIND = "docs/examples/dip_buyer.py:DipBuyer"


@pytest.fixture
async def bench(repo_root: Path) -> Bench:
    made = Bench(strategy_factory(KIND, {"dip_pct": "1", "notional": "250"}, base=repo_root))
    await made.start()
    made.tell(quote("98.99", "99.01"))
    return made


@pytest.mark.req("R149")
async def test_the_example_buys_a_dip_and_offers_what_it_bought_at_a_profit(bench: Bench) -> None:
    bench.tell(candle(0, (100, 100, 99, "99.5")))
    assert bench.new_orders() == []
    bench.tell(candle(MINUTE_NS, (100, 100, 99, 99)))
    (buy,) = bench.new_orders()
    assert (buy.side, buy.price, buy.exec_inst) == (Side.BUY, D(99), ExecInst.POST_ONLY)
    bench.fill(buy)
    (sell,) = bench.new_orders()
    assert (sell.side, sell.price, sell.order_qty) == (Side.SELL, D("99.20"), buy.order_qty)
    bench.fill(sell)
    assert bench.code.position(BTC).qty == 0
    assert bench.code.bought_ns == {}


async def test_the_example_gives_up_after_its_patience_also_across_a_restart(bench: Bench) -> None:
    bench.tell(candle(0, (100, 100, 99, 99)))
    (buy,) = bench.new_orders()
    bench.fill(buy)
    bench.new_orders()
    bench.records(object)
    bench.positions = (held(str(buy.order_qty), "99"),)
    bench.advance(601)
    await bench.start()
    bench.tell(quote("98.99", "99.01"), candle(10 * MINUTE_NS, (99, 99, 99, 99)))
    (sell,) = bench.new_orders()
    assert (sell.side, sell.ord_type) == (Side.SELL, OrdType.MARKET)


async def test_an_order_that_was_not_filled_is_withdrawn_with_the_next_bar(bench: Bench) -> None:
    bench.tell(candle(0, (100, 100, 99, 99)))
    (buy,) = bench.new_orders()
    bench.tell(candle(MINUTE_NS, (100, 100, 98, 98)))
    assert [cancel.cl_ord_id for cancel in bench.cancels()] == [buy.cl_ord_id]
    assert bench.new_orders() == []


def test_the_documents_configuration_is_correct(repo_root: Path, tmp_path: Path) -> None:
    text = (repo_root / "docs" / "adding-a-strategy.md").read_text(encoding="utf-8")
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "my.toml"
    path.write_text(toml, encoding="utf-8")
    strategy = load_config(path).strategies["dip"]
    made = strategy_factory(strategy.kind, strategy.params, base=repo_root)()
    assert made.params.notional == 250


def test_the_documents_code_is_correct(repo_root: Path, tmp_path: Path) -> None:
    text = (repo_root / "docs" / "adding-a-strategy.md").read_text(encoding="utf-8")
    first, *_ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mine.py").write_text(first, encoding="utf-8")
    strategy = strategy_factory("mine.py:MyStrategy", {}, base=tmp_path)()
    assert strategy.bars() == {MINUTE_NS: 100}


def test_every_documented_hook_and_helper_exists(repo_root: Path) -> None:
    text = (repo_root / "docs" / "adding-a-strategy.md").read_text(encoding="utf-8")
    hooks = set(re.findall(r"`(on_\w+)\(", text))
    assert hooks == {name for name in vars(Strategy) if name.startswith("on_")}
    _, _, rest = text.partition("### What you can do\n\n")
    helpers = {name.partition("(")[0] for name in rest.partition("\n\n")[0].split("`")[1::2]}
    public = {name for name in vars(Strategy) if not name.startswith(("_", "on_"))} - {"Params", "bars"}
    assert helpers == public | {"params"}


def test_the_users_folder_is_not_put_on_the_path(repo_root: Path) -> None:
    before = list(sys.path)
    strategy_factory(KIND, {}, base=repo_root)
    assert sys.path == before
