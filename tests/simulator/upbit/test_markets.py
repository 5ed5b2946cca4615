"""What everybody may ask (reference sections 4 and 6)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.upbit.kit import PRICE, Rest, checked, quiet_venue, refusal, rest_of
from tools.simulator import Simulator
from tools.simulator.core.clock import DAY, MINUTE, SECOND
from tools.simulator.core.model import Side
from tools.simulator.dialects.upbit import steps
from tools.simulator.dialects.upbit.render import utc


async def asked(rest: Rest, path: str, **params: Any) -> Any:
    answer = await rest.public(path, **params)
    assert answer.status_code == 200, answer.text
    return checked(answer)


async def test_markets() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        plain = await asked(rest, "market/all")
        assert [row["market"] for row in plain] == ["KRW-BTC", "KRW-ETH"]
        assert plain[0].keys() == {"market", "korean_name", "english_name"}
        (detailed, _) = await asked(rest, "market/all", is_details="true")
        assert detailed["market_event"]["warning"] is False
        assert len(detailed["market_event"]["caution"]) == 5


async def test_instruments_tell_the_unit_at_the_present_price() -> None:
    async with quiet_venue(prices={"KRW-ETH": Decimal(777)}) as sim, rest_of(sim) as rest:
        rows = await asked(rest, "orderbook/instruments", markets="KRW-BTC,KRW-ETH")
        assert rows == [
            {"market": "KRW-BTC", "quote_currency": "KRW", "tick_size": "1000",
             "supported_levels": ["0", "10000", "100000", "1000000"]},
            {"market": "KRW-ETH", "quote_currency": "KRW", "tick_size": "1",
             "supported_levels": ["0", "10", "100", "1000"]},
        ]  # fmt: skip


@pytest.mark.parametrize("price, floor", [
    ("155772345", "155772000"), ("999999", "999500"), ("654321", "654000"), ("123456", "123400"), ("99999", "99950"),
    ("10005", "10000"), ("9999", "9995"), ("5003", "5000"), ("4321", "4321"), ("999.9", "999"), ("99.99", "99.9"),
    ("9.999", "9.99"), ("0.99999", "0.999"), ("0.012345", "0.0123"), ("0.00012345", "0.000123"),
    ("0.0000012345", "0.00000123"),
])  # fmt: skip
def test_price_units_of_krw_markets(price: str, floor: str) -> None:
    """The published examples (section 4)."""
    now_ns = 1_795_000_000 * SECOND
    step = steps.step_of("KRW", Decimal(price), now_ns)
    assert Decimal(price) // step * step == Decimal(floor)
    assert steps.is_on_step("KRW", Decimal(floor), now_ns)
    assert not steps.is_on_step("KRW", Decimal(price), now_ns) or price == floor


def test_price_units_change_with_the_date() -> None:
    """Midnight in Seoul of 2025-07-31 is 15:00 UTC of the day before."""
    change_ns = 1_753_887_600 * SECOND
    assert steps.step_of("KRW", Decimal(150_000), change_ns) == 100
    assert steps.step_of("KRW", Decimal(150_000), change_ns - 1) == 50
    assert steps.step_of("USDT", Decimal(20), change_ns) == steps.step_of("USDT", Decimal(20), 0) == Decimal("0.01")
    assert steps.step_of("BTC", Decimal(1), 0) == Decimal("0.00000001")


@pytest.mark.parametrize("code, price, dates", [
    ("KRW-ADA", 500, {(2024, 10, 13): "0.1", (2024, 10, 14): "1", (2025, 7, 31): "1"}),
    ("KRW-XRP", 500, {(2024, 10, 14): "0.1", (2025, 7, 31): "1"}),
    ("KRW-USDT", 1450, {(2025, 3, 20): "1", (2025, 3, 21): "0.5", (2025, 7, 31): "1"}),
    ("KRW-USDC", 990, {(2025, 3, 21): "0.1", (2025, 7, 31): "1"}),
])  # fmt: skip
def test_the_coins_that_were_exceptions(code: str, price: int, dates: dict[tuple[int, int, int], str]) -> None:
    """Section 4, history."""
    for day, step in dates.items():
        at_ns = int(datetime(*day, tzinfo=steps.KST).timestamp()) * 1_000_000_000
        assert steps.step_of(code, Decimal(price), at_ns) == Decimal(step)
        assert steps.is_on_step(code, price + Decimal(step), at_ns)
        assert not steps.is_on_step(code, price + Decimal(step) / 2, at_ns)


async def test_order_book() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        (book,) = await asked(rest, "orderbook", markets="KRW-BTC")
        units = book["orderbook_units"]
        assert len(units) == 30
        assert book["level"] == 0
        asks = [unit["ask_price"] for unit in units]
        bids = [unit["bid_price"] for unit in units]
        assert asks == sorted(asks)
        assert bids == sorted(bids, reverse=True)
        assert bids[0] < asks[0]
        assert book["total_bid_size"] == sum(unit["bid_size"] for unit in units)
        market = sim.exchange.markets["KRW-BTC"]
        assert [(unit["ask_price"], unit["ask_size"]) for unit in units] == market.depth(Side.SELL, 30)
        assert sim.state()["markets"]["KRW-BTC"]["ask_levels"] >= 30
        two = await asked(rest, "orderbook", markets="KRW-BTC,KRW-ETH", count=5)
        assert [len(each["orderbook_units"]) for each in two] == [5, 5]


async def test_grouped_order_book() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        (book,) = await asked(rest, "orderbook", markets="KRW-BTC", level="10000", count=3)
        for unit in book["orderbook_units"]:
            assert unit["ask_price"] % 10_000 == unit["bid_price"] % 10_000 == 0
        (fine,) = await asked(rest, "orderbook", markets="KRW-BTC")
        first = book["orderbook_units"][0]["ask_price"]
        inside = [unit for unit in fine["orderbook_units"] if unit["ask_price"] <= first]
        assert book["orderbook_units"][0]["ask_size"] == sum(unit["ask_size"] for unit in inside)
        assert refusal(await rest.public("orderbook", markets="KRW-BTC", level="7")) == (400, 400)


async def test_ticker_counts_what_was_traded() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        sim.trade("KRW-BTC", Side.BUY, Decimal("0.001"))
        sim.trade("KRW-BTC", Side.SELL, Decimal("0.002"))
        (row,) = await asked(rest, "ticker", markets="KRW-BTC")
        prints = sim.exchange.markets["KRW-BTC"].trades
        assert row["trade_price"] == prints[-1].price
        assert row["trade_volume"] == prints[-1].qty
        assert row["acc_trade_volume"] == row["acc_trade_volume_24h"] == Decimal("0.003")
        assert row["acc_trade_price"] == sum(one.quote_qty for one in prints)
        assert row["high_price"] == max(one.price for one in prints)
        assert row["signed_change_price"] == row["trade_price"] - row["prev_closing_price"]
        rows = await asked(rest, "ticker/all", quote_currencies="KRW")
        assert [each["market"] for each in rows] == ["KRW-BTC", "KRW-ETH"]


async def test_trades_are_numbered_and_paged() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        for _ in range(5):
            sim.trade("KRW-BTC", Side.BUY, Decimal("0.0001"))
        rows = await asked(rest, "trades/ticks", market="KRW-BTC", count=100)
        ids = [row["sequential_id"] for row in rows]
        assert ids == sorted(set(ids), reverse=True)
        assert all(len(str(one)) == 17 for one in ids)
        assert {row["ask_bid"] for row in rows} == {"BID"}
        older = await asked(rest, "trades/ticks", market="KRW-BTC", count=100, cursor=ids[1])
        assert [row["sequential_id"] for row in older] == ids[2:]
        assert len(await asked(rest, "trades/ticks", market="KRW-BTC")) == 1
        assert await asked(rest, "trades/ticks", market="KRW-BTC", days_ago=1, count=5) == []
        assert refusal(await rest.public("trades/ticks", market="KRW-BTC", to="noon")) == (400, 400)


CANDLE_PATHS = [
    "seconds",
    "days",
    "weeks",
    "months",
    "years",
    *(f"minutes/{n}" for n in (1, 3, 5, 10, 15, 30, 60, 240)),
]


@pytest.mark.parametrize("path", CANDLE_PATHS)
async def test_candles_of_every_length(path: str) -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        sim.trade("KRW-BTC", Side.BUY, Decimal("0.0001"))
        rows = await asked(rest, f"candles/{path}", market="KRW-BTC", count=3)
        starts = [row["candle_date_time_utc"] for row in rows]
        assert starts == sorted(set(starts), reverse=True)
        assert rows[0]["trade_price"] == sim.exchange.markets["KRW-BTC"].last_px
        for row in rows:
            assert row["low_price"] <= min(row["opening_price"], row["trade_price"])
            assert row["high_price"] >= max(row["opening_price"], row["trade_price"])
        assert ("unit" in rows[0]) is path.startswith("minutes")
        assert ("prev_closing_price" in rows[0]) is (path == "days")
        assert ("first_day_of_period" in rows[0]) is (path in ("weeks", "months", "years"))


async def test_longer_candles_are_sums_of_the_minutes() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        minutes = await asked(rest, "candles/minutes/1", market="KRW-BTC", count=200)
        (five, before) = (await asked(rest, "candles/minutes/5", market="KRW-BTC", count=3))[1:]
        inside = [row for row in minutes if five["candle_date_time_utc"] <= row["candle_date_time_utc"]][-5:]
        assert five["opening_price"] == inside[-1]["opening_price"]
        assert five["trade_price"] == inside[0]["trade_price"]
        assert five["candle_acc_trade_volume"] == sum(row["candle_acc_trade_volume"] for row in inside)
        assert before["candle_date_time_utc"] < five["candle_date_time_utc"]


async def test_candles_before_a_time() -> None:
    """`to` is not included: the first candle of one page ends the next."""
    async with quiet_venue() as sim, rest_of(sim) as rest:
        newest = await asked(rest, "candles/minutes/1", market="KRW-BTC", count=4)
        edge = newest[1]["candle_date_time_utc"]
        for to in (edge, f"{edge}Z", f"{edge}+00:00"):
            older = await asked(rest, "candles/minutes/1", market="KRW-BTC", count=2, to=to)
            assert older == newest[2:4]
        last = sim.exchange.markets["KRW-BTC"].candles.minutes[-1].open_ns
        day = utc(last - last % DAY).strftime("%Y-%m-%dT00:00:00")
        (row,) = await asked(rest, "candles/days", market="KRW-BTC", to=day)
        assert row["candle_date_time_utc"] < day
        assert refusal(await rest.public("candles/days", market="KRW-BTC", to="yesterday")) == (400, 400)


async def test_minutes_without_trades_have_no_candle(manual_sim: Simulator) -> None:
    market = manual_sim.exchange.markets["KRW-BTC"]
    start = manual_sim.clock.now_ns()
    for minutes in (0, 3, 4):
        manual_sim.advance(start + minutes * MINUTE)
        manual_sim.trade("KRW-BTC", Side.BUY, Decimal("0.0001"))
    assert [bar.open_ns // MINUTE - start // MINUTE for bar in market.candles.minutes] == [0, 3, 4]


@pytest.mark.parametrize("path, params, name", [
    ("ticker", {}, 400), ("ticker", {"markets": "KRW-NONE"}, 404), ("orderbook", {"markets": "KRW-BTC,XX"}, 404),
    ("candles/minutes/1", {"market": "KRW-BTC", "count": "-1"}, 400), ("candles/minutes/7", {"market": "KRW-BTC"}, 404),
    ("trades/ticks", {"market": "KRW-BTC", "cursor": "x"}, 400),
])  # fmt: skip
async def test_refusals_of_public_requests_are_numbers(path: str, params: dict[str, str], name: int) -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        assert refusal(await rest.public(path, **params)) == (name, name)


async def test_unknown_verbs_and_paths() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        assert (await rest.client.put("/v1/orders")).status_code == 405
        assert (await rest.client.get("/v2/ticker")).status_code == 404


async def test_the_generated_market_stays_on_its_units() -> None:
    async with quiet_venue() as sim:
        for side in (Side.BUY, Side.SELL):
            for price, _ in sim.exchange.markets["KRW-BTC"].depth(side, 60):
                assert price % 1000 == 0
        assert abs(sim.exchange.markets["KRW-BTC"].last_px / PRICE - 1) < Decimal("0.01")
