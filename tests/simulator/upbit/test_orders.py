"""Orders (reference section 5): types, what is refused by which name, money, cancels, replacements, self-trades."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
import trio

from tests.simulator.upbit.kit import (
    PATIENCE_S,
    UNLIMITED,
    Rest,
    best,
    checked,
    config,
    quiet_venue,
    refusal,
    rest_of,
    token,
)
from tools.simulator import AccountConfig, Simulator, demo_account, open_simulator
from tools.simulator.core.clock import SECOND, ManualClock
from tools.simulator.core.model import Side
from tools.simulator.dialects.upbit.gateway import Call
from tools.simulator.dialects.upbit.limits import UpbitLimits
from tools.simulator.dialects.upbit.methods_account import closed_orders
from tools.simulator.dialects.upbit.orders import order_of, wish_of
from tools.simulator.dialects.upbit.params import Params
from tools.simulator.dialects.upbit.venue import Upbit

LIMIT = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "150000000", "volume": "0.001"}


def slow(cancel_after_ms: int) -> UpbitLimits:
    return attrs.evolve(UNLIMITED, cancel_after_ms=cancel_after_ms)


async def test_a_limit_order_as_the_documents_show_it() -> None:
    """The example of section 5.1, but for the ids and the moment."""
    async with quiet_venue() as sim, rest_of(sim) as rest:
        terms = {"price": "150772000", "volume": "0.0001", "time_in_force": "post_only", "identifier": "bh000001"}
        row = await rest.place(**terms)
        assert row.pop("uuid").count("-") == 4
        assert row.pop("created_at").endswith("+09:00")
        assert row == {
            "market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "150772000", "state": "wait",
            "volume": "0.0001", "remaining_volume": "0.0001", "executed_volume": "0", "executed_funds": "0",
            "reserved_fee": "7.5386", "remaining_fee": "7.5386", "paid_fee": "0", "locked": "15084.7386",
            "trades_count": 0, "time_in_force": "post_only", "identifier": "bh000001", "smp_type": "none",
            "prevented_volume": "0", "prevented_locked": "0",
        }  # fmt: skip


async def test_a_bid_locks_its_fee_and_an_ask_pays_it_from_what_it_gets() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        ask_px, _ = best(sim, Side.SELL)
        before = sim.balances("alpha")
        bought = await rest.order((await rest.place(price=str(ask_px), volume="0.01"))["uuid"])
        funds = ask_px * Decimal("0.01")
        fee = funds * Decimal("0.0005")
        assert (bought["state"], Decimal(bought["paid_fee"]), Decimal(bought["executed_funds"])) == ("done", fee, funds)
        after = sim.balances("alpha")
        assert after["KRW"] == (before["KRW"][0] - funds - fee, Decimal(0))
        assert after["BTC"] == (before["BTC"][0] + Decimal("0.01"), Decimal(0))
        bid_px, _ = best(sim, Side.BUY)
        sold = await rest.place(side="ask", price=str(bid_px), volume="0.01")
        assert sold["locked"] == "0.01"
        assert sold["reserved_fee"] == "0"
        funds = bid_px * Decimal("0.01")
        assert sim.balances("alpha")["KRW"][0] == after["KRW"][0] + funds - funds * Decimal("0.0005")
        assert sim.balances("alpha")["BTC"] == before["BTC"]


async def test_fills_are_shown_with_their_order_alone() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        (first_px, first), (second_px, _) = sim.exchange.markets["KRW-BTC"].depth(Side.SELL, 2)
        volume = first + Decimal("0.001")
        row = await rest.order((await rest.place(price=str(second_px), volume=str(volume)))["uuid"])
        assert [(one["price"], Decimal(one["volume"])) for one in row["trades"]] == [
            (str(first_px), first), (str(second_px), Decimal("0.001")),
        ]  # fmt: skip
        assert sum(Decimal(one["funds"]) for one in row["trades"]) == Decimal(row["executed_funds"])
        (listed,) = checked(await rest.get("orders/closed"))
        assert "trades" not in listed
        assert listed["trades_count"] == 2


async def test_a_market_buy_ends_as_cancel_because_some_change_is_left() -> None:
    """The documented arithmetic: 10,000 KRW at 30,000 buys 0.33333333 and returns 0.0001."""
    async with quiet_venue(symbols=("KRW-SOL",), prices={"KRW-SOL": Decimal(29_990)}) as sim, rest_of(sim) as rest:
        ask_px, _ = best(sim, Side.SELL, "KRW-SOL")
        sim.quote("KRW-SOL", Side.SELL, Decimal(1), best(sim, Side.BUY, "KRW-SOL")[0] + 10)
        price, _ = best(sim, Side.SELL, "KRW-SOL")
        assert price <= ask_px
        row = await rest.order((await rest.place(market="KRW-SOL", ord_type="price", price="10000", volume=""))["uuid"])
        expected = (Decimal(10_000) / price).quantize(Decimal("0.00000001"), "ROUND_DOWN")
        assert row["state"] == ("done" if expected * price == 10_000 else "cancel")
        assert Decimal(row["executed_volume"]) == expected
        assert Decimal(row["executed_funds"]) == expected * price
        assert "volume" not in row
        assert "remaining_volume" not in row
        assert sim.balances("alpha")["KRW"][1] == 0


async def test_a_market_sell_ends_as_done() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        answer = await rest.post("orders", market="KRW-BTC", side="ask", ord_type="market", volume="0.001")
        row = await rest.order(checked(answer)["uuid"])
        assert (row["state"], row["executed_volume"], "price" in row) == ("done", "0.001", False)


@pytest.mark.parametrize("time_in_force", ["ioc", "fok"])
async def test_a_best_order_takes_the_best_price_and_no_other(time_in_force: str) -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        (px, qty), (next_px, _) = sim.exchange.markets["KRW-BTC"].depth(Side.SELL, 2)
        amount = (px * qty * 2).quantize(Decimal(1))
        terms = {"market": "KRW-BTC", "side": "bid", "ord_type": "best", "price": str(amount)}
        row = await rest.order(checked(await rest.post("orders", **terms, time_in_force=time_in_force))["uuid"])
        assert row["state"] == "cancel"
        assert Decimal(row["executed_volume"]) == (qty if time_in_force == "ioc" else 0)
        assert best(sim, Side.SELL)[0] == (next_px if time_in_force == "ioc" else px)
        terms = {"market": "KRW-BTC", "side": "ask", "ord_type": "best", "volume": "0.0001"}
        row = await rest.order(checked(await rest.post("orders", **terms, time_in_force=time_in_force))["uuid"])
        assert (row["state"], row["executed_volume"]) == ("done", "0.0001")


@pytest.mark.parametrize("time_in_force, executed", [("ioc", True), ("fok", False)])
async def test_lifetimes_of_limit_orders(time_in_force: str, executed: bool) -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        px, qty = best(sim, Side.SELL)
        row = await rest.place(price=str(px), volume=str(qty + 1), time_in_force=time_in_force)
        row = await rest.order(row["uuid"])
        assert (row["state"], Decimal(row["executed_volume"])) == ("cancel", qty if executed else 0)
        assert sim.balances("alpha")["KRW"][1] == 0


@pytest.mark.parametrize("changed, status, name", [
    ({"market": "KRW-NONE"}, 400, "notfoundmarket"),
    ({"market": ""}, 400, "validation_error"),
    ({"side": "buy"}, 400, "validation_error"),
    ({"ord_type": "stop"}, 400, "validation_error"),
    ({"ord_type": "market"}, 400, "validation_error"),
    ({"ord_type": "price"}, 400, "validation_error"),
    ({"ord_type": "price", "side": "ask", "volume": ""}, 400, "validation_error"),
    ({"ord_type": "best"}, 400, "validation_error"),
    ({"ord_type": "best", "volume": ""}, 400, "invalid_time_in_force"),
    ({"ord_type": "best", "volume": "", "time_in_force": "post_only"}, 400, "invalid_time_in_force"),
    ({"time_in_force": "gtc"}, 400, "invalid_time_in_force"),
    ({"ord_type": "price", "volume": "", "time_in_force": "ioc"}, 400, "invalid_time_in_force"),
    ({"time_in_force": "post_only", "smp_type": "reduce"}, 400, "invalid_post_only"),
    ({"smp_type": "cancel_both"}, 400, "validation_error"),
    ({"price": ""}, 400, "validation_error"),
    ({"price": "-1"}, 400, "validation_error"),
    ({"price": "0"}, 400, "validation_error"),
    ({"volume": "1e-3"}, 400, "validation_error"),
    ({"volume": "0.000000001"}, 400, "validation_error"),
    ({"identifier": "x" * 65}, 400, "validation_error"),
    ({"price": "150000500"}, 400, "invalid_price_bid"),
    ({"price": "150000500", "side": "ask"}, 400, "invalid_price_ask"),
    ({"volume": "0.00003333"}, 400, "under_min_total_bid"),
    ({"volume": "0.00003333", "side": "ask"}, 400, "under_min_total_ask"),
    ({"ord_type": "price", "volume": "", "price": "4999"}, 400, "under_min_total_bid"),
    ({"volume": "6.7"}, 400, "over_krw_funds_bid"),
    ({"side": "ask", "volume": "21"}, 400, "insufficient_funds_ask"),
    ({"side": "ask", "ord_type": "market", "price": "", "volume": "500"}, 400, "create_ask_error"),
])  # fmt: skip
async def test_refusals_by_name(changed: dict[str, str], status: int, name: str) -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        fields = {key: value for key, value in (LIMIT | changed).items() if value}
        before = sim.balances("alpha")
        assert await rest.refused(**fields) == (status, name)
        assert sim.open_orders("alpha") == []
        assert sim.balances("alpha") == before


async def test_money_that_is_not_there() -> None:
    poor = demo_account("poor", balances={"KRW": Decimal("150074.99")})
    async with quiet_venue(accounts=(poor,)) as sim, rest_of(sim, "poor") as rest:
        assert await rest.refused(**LIMIT) == (400, "insufficient_funds_bid")
        sim.deposit("poor", "KRW", Decimal("0.01"))
        assert (await rest.place())["locked"] == "150075"


async def test_post_only_that_would_take_is_refused() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        px, _ = best(sim, Side.SELL)
        assert await rest.refused(**LIMIT | {"price": str(px), "time_in_force": "post_only"}) == (
            400, "invalid_post_only",
        )  # fmt: skip


async def test_the_bounds_of_other_quote_currencies() -> None:
    async with quiet_venue(symbols=("BTC-ETH", "USDT-BTC")) as sim, rest_of(sim) as rest:
        small = {"market": "BTC-ETH", "side": "bid", "ord_type": "limit", "price": "0.03", "volume": "0.001"}
        assert await rest.refused(**small) == (400, "under_min_total_bid")
        assert (await rest.post("orders", **small | {"volume": "0.01"})).status_code == 201
        large = {"market": "BTC-ETH", "side": "bid", "ord_type": "price", "price": "10.5"}
        assert (await rest.refused(**large))[1] in ("volume_too_large", "create_bid_error")
        small = {"market": "USDT-BTC", "side": "bid", "ord_type": "limit", "price": "100.01", "volume": "0.004"}
        assert await rest.refused(**small) == (400, "under_min_total_bid")


async def test_a_market_order_eats_thirty_levels_at_most() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        levels = sim.exchange.markets["KRW-BTC"].depth(Side.BUY, 60)
        reachable = sum((qty for _, qty in levels[:30]), Decimal(0))
        terms = {"market": "KRW-BTC", "side": "ask", "ord_type": "market"}
        assert len(levels) > 30
        assert await rest.refused(**terms, volume=str(reachable + Decimal("0.00000001"))) == (400, "create_ask_error")
        sim.deposit("alpha", "BTC", reachable)
        row = await rest.order(checked(await rest.post("orders", **terms, volume=str(reachable)))["uuid"])
        assert row["state"] == "done"


async def test_an_identifier_is_used_up_for_ever() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest, rest_of(sim, "beta") as other:
        first = await rest.place(identifier="once")
        assert await rest.refused(**LIMIT, identifier="once") == (400, "duplicated_identifier")
        assert (await rest.delete("order", ("identifier", "once"))).status_code == 200
        assert await rest.refused(**LIMIT, identifier="once") == (400, "duplicated_identifier")
        assert (await rest.order(first["uuid"]))["state"] == "cancel"
        assert await rest.refused(**LIMIT | {"side": "ask", "volume": "21"}, identifier="failed") == (
            400, "insufficient_funds_ask",
        )  # fmt: skip
        assert await rest.refused(**LIMIT, identifier="failed") == (400, "duplicated_identifier")
        await other.place(identifier="once")
        assert (sim.arrivals("once").seen, sim.arrivals("once").accepted) == (4, 2)


async def test_an_order_is_found_by_either_name_and_by_its_owner_alone() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest, rest_of(sim, "beta") as other:
        row = await rest.place(identifier="mine")
        by_identifier = checked(await rest.get("order", ("identifier", "mine")))
        assert by_identifier["uuid"] == row["uuid"]
        for one in (("uuid", row["uuid"]), ("identifier", "mine")):
            assert refusal(await other.get("order", one)) == (404, "order_not_found")
        assert refusal(await rest.get("order")) == (400, "validation_error")
        assert refusal(await rest.get("order", ("uuid", "no"))) == (404, "order_not_found")


async def test_a_test_order_is_none() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        answer = await rest.post("orders/test", **LIMIT, identifier="dry")
        assert (answer.status_code, answer.json()["state"], answer.json()["locked"]) == (201, "wait", "150075")
        assert refusal(await rest.get("order", ("uuid", answer.json()["uuid"]))) == (404, "order_not_found")
        assert sim.orders("alpha") == []
        assert refusal(await rest.post("orders/test", **LIMIT | {"price": "1"})) == (400, "under_min_total_bid")
        await rest.place(identifier="dry")
        assert refusal(await rest.post("orders/test", **LIMIT, identifier="dry")) == (400, "duplicated_identifier")


# ---- cancels ---------------------------------------------------------------------------------------------------


async def test_a_cancel_answers_with_the_order_as_it_was() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        row = await rest.place()
        answer = checked(await rest.delete("order", ("uuid", row["uuid"])))
        assert (answer["state"], answer["locked"]) == ("wait", "150075")
        assert (await rest.order(row["uuid"]))["state"] == "cancel"
        assert sim.balances("alpha")["KRW"][1] == 0
        assert refusal(await rest.delete("order", ("uuid", row["uuid"]))) == (404, "order_not_found")


async def test_parameters_of_a_cancel_in_a_body_are_not_read() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        row = await rest.place()
        pairs = [("uuid", row["uuid"])]
        headers = {"Authorization": f"Bearer {token(rest.keys, pairs)}"}
        answer = await rest.client.request("DELETE", "/v1/order", json=dict(pairs), headers=headers)
        assert refusal(answer) == (401, "invalid_query_payload")


async def test_several_cancels_in_one_request() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        rows = [await rest.place(identifier=f"b{number}") for number in range(3)]
        await rest.delete("order", ("uuid", rows[0]["uuid"]))
        wanted = [("uuids[]", row["uuid"]) for row in rows]
        body = checked(await rest.delete("orders/uuids", *wanted, ("uuids[]", "none")))
        assert [row["uuid"] for row in body["success"]["orders"]] == [row["uuid"] for row in rows[1:]]
        assert body["success"]["count"] == 2
        assert [row["uuid"] for row in body["failed"]["orders"]] == [rows[0]["uuid"], "none"]
        assert sim.open_orders("alpha") == []
        for wrong in ((), [*wanted, ("identifiers[]", "b1")], [("uuids[]", str(n)) for n in range(21)]):
            assert refusal(await rest.delete("orders/uuids", *wrong)) == (400, "validation_error")


async def cancel_many(rest: Rest, *pairs: tuple[str, str]) -> int:
    count: int = checked(await rest.delete("orders/open", *pairs))["success"]["count"]
    return count


async def test_cancel_many() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        for number in range(23):
            await rest.place(identifier=f"bid{number}")
        await rest.place(side="ask", price="160000000", volume="0.01")
        await rest.place(market="KRW-ETH", price="5000000", volume="0.01")
        assert await cancel_many(rest, ("pairs", "KRW-ETH")) == 1
        assert await cancel_many(rest, ("cancel_side", "ask")) == 1
        assert await cancel_many(rest, ("excluded_pairs", "KRW-BTC")) == 0
        assert await cancel_many(rest, ("quote_currencies", "BTC,USDT")) == 0
        assert await cancel_many(rest, ("order_by", "asc"), ("count", "1")) == 1
        assert checked(await rest.get("order", ("identifier", "bid0")))["state"] == "cancel"
        assert await cancel_many(rest) == 20
        assert await cancel_many(rest, ("count", "300")) == 2
        assert sim.open_orders("alpha") == []
        for wrong in ((("cancel_side", "both"),), (("count", "0"),)):
            assert refusal(await rest.delete("orders/open", *wrong)) == (400, "validation_error")
        both = (("pairs", "KRW-BTC"), ("quote_currencies", "KRW"))
        assert refusal(await rest.delete("orders/open", *both)) == (400, "invalid_parameter")
        assert refusal(await rest.delete("orders/open", ("pairs", "KRW-X"))) == (400, "notfoundmarket")


# ---- replacements ----------------------------------------------------------------------------------------------


async def test_cancel_and_new() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        old = await rest.place(identifier="old")
        answer = await rest.post(
            "orders/cancel_and_new", prev_order_identifier="old", new_ord_type="limit", new_price="151000000",
            new_volume="remain_only", new_identifier="new",
        )  # fmt: skip
        assert answer.status_code == 201
        body = checked(answer)
        assert (body["uuid"], body["state"], body["new_order_identifier"]) == (old["uuid"], "wait", "new")
        assert (await rest.order(old["uuid"]))["state"] == "cancel"
        new = await rest.order(body["new_order_uuid"])
        assert (new["identifier"], new["price"], new["volume"], new["state"]) == ("new", "151000000", "0.001", "wait")
        for wrong in ("old", "new"):
            terms = {"new_ord_type": "limit", "new_price": "151000000", "new_volume": "1", "new_identifier": wrong}
            answer = await rest.post("orders/cancel_and_new", prev_order_identifier="new", **terms)
            assert refusal(answer) == (400, "duplicated_identifier")
        assert len(sim.open_orders("alpha")) == 1
        gone = await rest.post("orders/cancel_and_new", prev_order_uuid=old["uuid"], new_ord_type="limit",
                               new_price="151000000", new_volume="1")  # fmt: skip
        assert refusal(gone) == (404, "order_not_found")


async def test_a_replacement_does_not_exist_where_the_old_order_fills_first() -> None:
    """Section 14.11: an id was returned all the same."""
    async with quiet_venue(limits=slow(80)) as sim, rest_of(sim) as rest:
        old = await rest.place(price=str(best(sim, Side.BUY)[0] + 1000), identifier="old")
        answer = await rest.post(
            "orders/cancel_and_new", prev_order_uuid=old["uuid"], new_ord_type="limit", new_price="151000000",
            new_volume="0.001", new_identifier="new",
        )  # fmt: skip
        promised = checked(answer)["new_order_uuid"]
        sim.trade("KRW-BTC", Side.SELL, Decimal("0.001"))
        assert (await rest.order(old["uuid"]))["state"] == "done"
        await trio.sleep(0.2)
        assert refusal(await rest.get("order", ("uuid", promised))) == (404, "order_not_found")
        assert refusal(await rest.get("order", ("identifier", "new"))) == (404, "order_not_found")
        assert sim.open_orders("alpha") == []


async def test_a_replacement_takes_what_remains_when_the_cancel_is_carried_out() -> None:
    """Not what remained when it was asked for: some of it has traded since (`remain_only`, section 5.3)."""
    async with quiet_venue(limits=slow(80)) as sim, rest_of(sim) as rest:
        old = await rest.place(price=str(best(sim, Side.BUY)[0] + 1000), identifier="old")
        answer = await rest.post(
            "orders/cancel_and_new", prev_order_uuid=old["uuid"], new_ord_type="limit", new_price="151000000",
            new_volume="remain_only", new_identifier="new",
        )  # fmt: skip
        sim.trade("KRW-BTC", Side.SELL, Decimal("0.0004"))
        await trio.sleep(0.2)
        new = await rest.order(checked(answer)["new_order_uuid"])
        assert (new["volume"], new["remaining_volume"], new["state"]) == ("0.0006", "0.0006", "wait")
        assert Decimal(new["reserved_fee"]) == Decimal("0.0006") * 151_000_000 * Decimal("0.0005")
        assert Decimal(new["locked"]) == sim.balances("alpha")["KRW"][1]


async def test_a_cancel_takes_its_time_where_the_venue_does() -> None:
    async with quiet_venue(limits=slow(50)) as sim, rest_of(sim) as rest:
        row = await rest.place()
        assert (await rest.delete("order", ("uuid", row["uuid"]))).status_code == 200
        assert (await rest.order(row["uuid"]))["state"] == "wait"
        with trio.fail_after(PATIENCE_S):
            while (await rest.order(row["uuid"]))["state"] == "wait":  # noqa: ASYNC110  the venue has no event for it
                await trio.sleep(0.01)


# ---- self-trade prevention -------------------------------------------------------------------------------------


@pytest.mark.parametrize("smp_type, maker, taker", [
    ("cancel_maker", ("cancel", "0.002", "0"), ("wait", "0", "0.001")),
    ("cancel_taker", ("wait", "0", "0.002"), ("cancel", "0.001", "0")),
    ("reduce", ("wait", "0.001", "0.001"), ("cancel", "0.001", "0")),
    ("none", ("wait", "0", "0.001"), ("done", "0", "0")),
])  # fmt: skip
async def test_only_the_takers_word_counts(smp_type: str, maker: Any, taker: Any) -> None:
    """(state, prevented, remaining) of both."""
    async with quiet_venue() as sim, rest_of(sim) as rest:
        price = str(best(sim, Side.BUY)[0] + 1000)
        resting = await rest.place(side="ask", price=price, volume="0.002", smp_type="none")
        taking = await rest.place(price=price, volume="0.001", smp_type=smp_type)
        for uuid, expected in ((resting["uuid"], maker), (taking["uuid"], taker)):
            row = await rest.order(uuid)
            assert (row["state"], row["prevented_volume"], row["remaining_volume"]) == expected
        held = sum(Decimal(row["locked"]) for row in checked(await rest.get("orders/open")))
        assert held == sum(locked for _, locked in sim.balances("alpha").values())


async def test_the_money_of_prevented_bids_counts_with_its_fee() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        price = best(sim, Side.BUY)[0] + 1000
        resting = await rest.place(price=str(price), volume="0.001", smp_type="none")
        await rest.place(side="ask", price=str(price), volume="0.001", smp_type="cancel_maker")
        row = await rest.order(resting["uuid"])
        assert Decimal(row["prevented_locked"]) == price * Decimal("0.001") * Decimal("1.0005")
        assert sim.balances("alpha")["KRW"][1] == 0


@pytest.mark.parametrize("days, smp_type", [(-1, "none"), (0, "cancel_maker")])
async def test_what_an_order_means_that_says_nothing_changed_on_a_day(days: int, smp_type: str) -> None:
    """2026-11-09, midnight in Seoul."""
    clock = ManualClock((1_794_150_000 + days * 86_400) * SECOND)
    async with open_simulator(config(), clock=clock) as sim, rest_of(sim) as rest:
        assert (await rest.place())["smp_type"] == smp_type
        assert (await rest.place(time_in_force="post_only"))["smp_type"] == "none"
        assert (await rest.place(smp_type="reduce"))["smp_type"] == "reduce"


# ---- reads -----------------------------------------------------------------------------------------------------


async def test_open_orders_come_by_pages() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        placed = [(await rest.place(identifier=f"p{number}"))["uuid"] for number in range(5)]
        other = (await rest.place(market="KRW-ETH", price="5000000", volume="0.01"))["uuid"]
        pages = [
            [row["uuid"] for row in checked(await rest.get("orders/open", ("page", str(page)), ("limit", "4")))]
            for page in (1, 2, 3)
        ]
        assert [len(page) for page in pages] == [4, 2, 0]
        assert sorted(uuid for page in pages for uuid in page) == sorted([*placed, other])
        assert pages[0][0] == other
        one = checked(await rest.get("orders/open", ("market", "KRW-ETH"), ("states[]", "wait"), ("states[]", "watch")))
        assert [row["uuid"] for row in one] == [other]
        assert checked(await rest.get("orders/open", ("states[]", "watch"))) == []
        assert refusal(await rest.get("orders/open", ("states[]", "done"))) == (400, "validation_error")
        by_id = checked(await rest.get("orders/uuids", *(("uuids[]", uuid) for uuid in placed[:2]), ("uuids[]", "x")))
        assert sorted(row["uuid"] for row in by_id) == sorted(placed[:2])
        assert len(checked(await rest.get("orders", ("state", "wait")))) == 6


def test_closed_orders_are_windowed_by_creation(manual_sim: Simulator) -> None:
    """Section 5.4: seven days at most, and an old order that closes today is not in today's window."""
    venue = manual_sim.venue
    assert isinstance(venue, Upbit)
    account = manual_sim.account("alpha")
    key = next(key for key in manual_sim.exchange.accounts.keys.values() if key.account is account)

    def ask(**fields: str) -> list[str]:
        params = Params(list(fields.items()), public=False)
        rows = closed_orders(venue, Call(params=params, peer="", key=key))
        return [row["uuid"] for row in rows]

    order = order_of(venue, wish_of(venue, Params(list(LIMIT.items()), public=False)), account)
    manual_sim.exchange.submit(order)
    made_ms = order.transact_ns // 1_000_000
    clock = manual_sim.clock
    assert isinstance(clock, ManualClock)
    clock.advance(8 * 86_400 * SECOND)
    manual_sim.exchange.cancel(order, order.cl_ord_id)
    assert ask() == []
    assert ask(start_time=str(made_ms), end_time=str(made_ms + 1)) == [order.venue_id]
    assert ask(start_time=str(made_ms)) == [order.venue_id]
    assert ask(end_time=str(made_ms - 1)) == []
    assert ask(start_time=str(made_ms), state="done") == []
    with pytest.raises(Exception, match="seven days"):
        ask(start_time=str(made_ms - 1), end_time=str(made_ms + 7 * 86_400_000))
    with pytest.raises(Exception, match="zone"):
        ask(start_time="2026-01-01T00:00:00")


async def test_accounts_and_chance() -> None:
    account = AccountConfig(
        name="gamma", balances={"KRW": Decimal("1000000"), "BTC": Decimal(0)}, keys=tuple(demo_account("gamma").keys),
        maker_rate=Decimal("0.0002"), taker_rate=Decimal("0.0004"),
    )  # fmt: skip
    async with quiet_venue(accounts=(account,)) as sim, rest_of(sim, "gamma") as rest:
        assert checked(await rest.get("accounts")) == [
            {"currency": "KRW", "balance": "1000000", "locked": "0", "avg_buy_price": "0",
             "avg_buy_price_modified": False, "unit_currency": "KRW"}
        ]  # fmt: skip
        body = checked(await rest.get("orders/chance", ("market", "KRW-BTC")))
        assert (body["bid_fee"], body["maker_bid_fee"]) == ("0.0004", "0.0002")
        assert body["market"]["bid"] == {"currency": "KRW", "min_total": "5000"}
        assert body["market"]["max_total"] == "1000000000"
        assert body["ask_account"]["balance"] == "0"
        px, _ = best(sim, Side.SELL)
        await rest.place(price=str(px), volume="0.001")
        rows = {row["currency"]: row for row in checked(await rest.get("accounts"))}
        assert Decimal(rows["BTC"]["avg_buy_price"]) == px
        assert refusal(await rest.get("orders/chance", ("market", "KRW-X"))) == (400, "notfoundmarket")
