"""Upbit's memory over a restart: identifiers that are used up, names that were given, what an asset has cost; and a
disk that takes no more."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.simulator.upbit.kit import best, checked, config, quiet_venue, refusal, rest_of
from tools.simulator import open_simulator
from tools.simulator.core.model import Side
from tools.simulator.core.statefile import StateError


async def test_identifiers_are_used_up_for_good(tmp_path: Path) -> None:
    """Section 9: also those of orders that were refused, or canceled."""
    more: dict[str, Any] = {"state": tmp_path / "upbit.sqlite"}
    async with quiet_venue(**more) as sim, rest_of(sim) as rest:
        await rest.place(identifier="resting")
        old = await rest.place(identifier="canceled")
        await rest.delete("order", ("uuid", old["uuid"]))
        assert (await rest.refused(market="KRW-BTC", side="bid", ord_type="limit", price="1000", volume="1",
                                   identifier="refused"))[0] == 400  # fmt: skip
        bought = await rest.place(price=str(best(sim, Side.SELL)[0]), volume="0.01", identifier="bought")
        shown = checked(await rest.get("accounts"))
        uuids = {row["uuid"] for row in checked(await rest.get("orders/open"))} | {old["uuid"], bought["uuid"]}
        test = checked(await rest.post("orders/test", market="KRW-BTC", side="bid", ord_type="limit",
                                       price="150000000", volume="0.001"))  # fmt: skip
    async with quiet_venue(**more) as sim, rest_of(sim) as rest:
        for identifier in ("resting", "canceled", "refused", "bought"):
            terms = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "150000000", "volume": "0.001"}
            answer = await rest.post("orders", **terms, identifier=identifier)
            assert refusal(answer) == (400, "duplicated_identifier")
        assert checked(await rest.get("accounts")) == shown  # average prices are among it
        row = await rest.order(bought["uuid"])
        assert (row["identifier"], row["trades"][0]["volume"]) == ("bought", "0.01")
        fresh = {(await rest.place())["uuid"] for _ in range(5)}
        assert not fresh & (uuids | {test["uuid"]})
        assert {row["uuid"] for row in checked(await rest.get("orders/open"))} > fresh


async def trade_until_the_disk_is_full(state: Path, told: list[str]) -> None:
    """`told` gets every order that was acknowledged."""
    async with open_simulator(config(state=state)) as sim, rest_of(sim) as rest:
        assert sim.keeper is not None
        told.append((await rest.place())["uuid"])
        sim.keeper._file._db.execute("PRAGMA max_page_count = 1")  # no more than there are
        with contextlib.suppress(httpx.TransportError):
            while True:
                told.append((await rest.place())["uuid"])
        await trio.sleep_forever()


async def test_a_venue_that_cannot_write_says_nothing_more_and_ends(tmp_path: Path) -> None:
    """Who was told of an order finds it after the restart; who was not may find it or not."""
    state = tmp_path / "upbit.sqlite"
    told: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        await trade_until_the_disk_is_full(state, told)
    assert caught.group_contains(StateError, match=r"upbit\.sqlite: cannot be written: .*full; make room on the disk")
    async with quiet_venue(state=state) as sim:
        assert {order.venue_id for order in sim.open_orders("alpha")} >= set(told)
        locked = sum((order.locked for order in sim.open_orders("alpha")), Decimal(0))
        assert sim.balances("alpha")["KRW"][1] == locked
