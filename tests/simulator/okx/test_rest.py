"""REST as the reference states it: envelope, keys, clock, deadlines, orders and their refusals, paging."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.okx.wire import (
    SPOT,
    SWAP,
    S,
    iso,
    order,
    quiet_config,
    quiet_simulator,
    rest_of,
    sign,
    venue_of,
)
from tools.simulator import Latency, Simulator
from tools.simulator.core.accounts import ApiKey, KeyKind
from tools.simulator.core.clock import ManualClock
from tools.simulator.dialects.okx.auth import signature
from tools.simulator.dialects.okx.gateway import Call, execute
from tools.simulator.dialects.okx.params import Params

D = Decimal


# ----------------------------------------------------------------------------------------- keys and clock
@pytest.mark.parametrize(
    "header, code",
    [
        ("OK-ACCESS-KEY", "50103"),
        ("OK-ACCESS-PASSPHRASE", "50104"),
        ("OK-ACCESS-SIGN", "50106"),
        ("OK-ACCESS-TIMESTAMP", "50107"),
    ],
)
async def test_each_header_is_needed(header: str, code: str) -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        headers = rest.headers("GET", "/api/v5/account/config")
        del headers[header]
        answer = await rest.client.get("/api/v5/account/config", headers=headers)
        assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (401, code, [])


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"OK-ACCESS-KEY": "nobody"}, "50111"),
        ({"OK-ACCESS-PASSPHRASE": "another"}, "50105"),
        ({"OK-ACCESS-SIGN": "AAAA"}, "50113"),
        ({"OK-ACCESS-SIGN": "nö"}, "50113"),
        ({"stamp": "2026-01-01 00:00:00"}, "50112"),
        ({"stamp": "1767225600123"}, "50112"),
        ({"stamp": "2026-13-01T00:00:00.000Z"}, "50112"),
    ],
)
async def test_wrong_credentials(changes: dict[str, str], code: str) -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        plain = rest.headers("GET", "/api/v5/account/config", **changes)
        headers = {name.encode(): value.encode() for name, value in plain.items()}
        answer = await rest.client.get("/api/v5/account/config", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code)


@pytest.mark.parametrize("offset_s, code", [(-31, "50102"), (31, "50102"), (-29, "0"), (29, "0")])
async def test_a_request_is_good_for_thirty_seconds(offset_s: int, code: str) -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        stamp = iso(sim.clock.now_ns() + offset_s * S)
        headers = rest.headers("GET", "/api/v5/account/config", stamp=stamp)
        answer = await rest.client.get("/api/v5/account/config", headers=headers)
        assert answer.json()["code"] == code


async def test_what_is_signed_is_what_was_sent() -> None:
    """A comma as it is or percent-encoded: either, as long as both ends mean the same bytes (2.1)."""
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        for comma in (",", "%2C"):
            target = f"/api/v5/account/balance?ccy=BTC{comma}USDT"
            answer = await rest.client.get(target, headers=rest.headers("GET", target))
            assert [row["ccy"] for row in answer.json()["data"][0]["details"]] == ["USDT", "BTC"]
        other = rest.headers("GET", "/api/v5/account/balance?ccy=BTC%2CUSDT")
        answer = await rest.client.get("/api/v5/account/balance?ccy=BTC,USDT", headers=other)
        assert answer.json()["code"] == "50113"


async def test_the_signature_of_the_reference() -> None:
    """The vectors of section 2.1."""
    secret = "BULKHEADDEMOSECRET0123456789ABCD"
    payload = "2026-01-01T00:00:00.123ZGET/api/v5/account/config"
    assert sign(secret, payload) == "nHKZoSoDmceiA9Q3si8VH4BCa57XqvkTdAqCqw/ZCg0="

    assert signature(secret, payload) == sign(secret, payload)


async def test_a_revoked_key_opens_nothing() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        venue_of(sim).revoke_key(rest.keys.hmac_key)
        assert (await rest.get("account/config")).json()["code"] == "50111"


@pytest.mark.parametrize("window_s, code", [(-1, "50036"), (5, "0")])
async def test_orders_may_have_a_deadline(window_s: int, code: str) -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        deadline = str((sim.clock.now_ns() + window_s * S) // 1_000_000)
        answer = await rest.post("trade/order", order(clOrdId="late1"), expTime=deadline)
        assert answer.json()["code"] == code
        assert len(sim.open_orders("alpha")) == (code == "0")
        if code == "0":  # cancels have none
            gone = str(sim.clock.now_ns() // 1_000_000 - 1)
            body = {"instId": SPOT, "clOrdId": "late1"}
            assert (await rest.post("trade/cancel-order", body, expTime=gone)).json()["code"] == "0"


async def test_a_deadline_passes_on_the_way() -> None:
    """50037: it was good when it arrived, and no longer when the engine saw it."""

    async with quiet_simulator(latency=Latency(request_ms=(60, 60))) as sim, rest_of(sim) as rest:
        deadline = str(sim.clock.now_ns() // 1_000_000 + 30)
        assert (await rest.post("trade/order", order(), expTime=deadline)).json()["code"] == "50037"
        assert sim.open_orders("alpha") == []


# ---------------------------------------------------------------------------------------------- envelope
async def test_envelope_and_unknown_paths() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        answer = (await rest.post("trade/order", order())).json()
        assert (answer["code"], answer["msg"]) == ("0", "")
        assert int(answer["inTime"]) < int(answer["outTime"])
        assert (await rest.public("public/nothing")).status_code == 404
        assert (await rest.client.post("/api/v5/public/time")).status_code == 405
        target = "/api/v5/trade/order"
        broken = await rest.client.post(target, content="{", headers=rest.headers("POST", target, "{"))
        assert broken.json()["code"] == "50002"


async def test_instruments_carry_their_number() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        (spot,) = (await rest.public("public/instruments", instType="SPOT")).json()["data"]
        (swap,) = (await rest.public("public/instruments", instType="SWAP")).json()["data"]
        assert isinstance(spot["instIdCode"], int)
        assert spot["instIdCode"] != swap["instIdCode"]
        assert (swap["ctVal"], swap["ctMult"], swap["settleCcy"], swap["instFamily"]) == (
            "0.01",
            "1",
            "USDT",
            "BTC-USDT",
        )
        assert (await rest.public("public/instruments", instType="SPOT", instId="NO-SUCH")).json()["code"] == "51001"
        assert (await rest.public("public/instruments")).json()["code"] == "50014"
        assert (await rest.public("public/instruments", instType="STOCKS")).json()["code"] == "51000"


async def test_books_answer_with_their_number() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        (one,) = (await rest.public("market/books", instId=SPOT)).json()["data"]
        assert len(one["asks"]) == len(one["bids"]) == 1  # one level unless more are asked for
        (many,) = (await rest.public("market/books", instId=SPOT, sz="50")).json()["data"]
        assert len(many["bids"]) == 50
        assert many["seqId"] == sim.exchange.markets[SPOT].update_id
        (full,) = (await rest.public("market/books-full", instId=SPOT, sz="50")).json()["data"]
        assert full["bids"] == [[price, size, count] for price, size, _, count in many["bids"]]


async def test_candles_page_backwards() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        newest = (await rest.public("market/candles", instId=SPOT, bar="1m", limit="5")).json()["data"]
        assert [row[8] for row in newest] == ["0", "1", "1", "1", "1"]
        older = (
            await rest.public("market/history-candles", instId=SPOT, bar="1m", limit="5", after=newest[-1][0])
        ).json()["data"]
        assert int(older[0][0]) == int(newest[-1][0]) - 60_000
        newer = (await rest.public("market/candles", instId=SPOT, bar="1m", before=newest[2][0])).json()["data"]
        assert newer == newest[:2]
        days = (await rest.public("market/candles", instId=SPOT, bar="1D", limit="3")).json()["data"]
        assert {int(row[0]) // 3_600_000 % 24 for row in days} == {16}
        utc = (await rest.public("market/candles", instId=SPOT, bar="1Dutc", limit="3")).json()["data"]
        assert {int(row[0]) % 86_400_000 for row in utc} == {0}


# ------------------------------------------------------------------------------------------------ orders
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (SPOT, {"instId": "NO-SUCH"}, "51001"),
    (SPOT, {"instId": None}, "50014"),
    (SPOT, {"side": "hold"}, "51000"),
    (SPOT, {"side": None}, "50014"),
    (SPOT, {"ordType": "optimal_limit_ioc"}, "51000"),
    (SPOT, {"ordType": "mmp"}, "51000"),
    (SPOT, {"tdMode": "cross"}, "51000"),
    (SPOT, {"posSide": "long"}, "51000"),
    (SPOT, {"reduceOnly": True}, "51139"),
    (SPOT, {"sz": None}, "50014"),
    (SPOT, {"sz": "0"}, "51000"),
    (SPOT, {"sz": "-1"}, "51000"),
    (SPOT, {"sz": "0.000000001"}, "51121"),
    (SPOT, {"sz": "0.000001"}, "51020"),
    (SPOT, {"px": None}, "50014"),
    (SPOT, {"px": "50000.01"}, "51150"),
    (SPOT, {"px": "90000"}, "51137"),
    (SPOT, {"side": "sell", "px": "30000"}, "51138"),
    (SPOT, {"sz": "1000"}, "51008"),
    (SPOT, {"side": "sell", "px": "61000", "sz": "21"}, "51008"),
    (SPOT, {"clOrdId": "with-hyphen"}, "51000"),
    (SPOT, {"clOrdId": "x" * 33}, "51000"),
    (SPOT, {"tag": "x" * 17}, "51000"),
    (SPOT, {"ordType": "fok", "stpMode": "cancel_both"}, "51000"),
    (SWAP, {"tdMode": "cash"}, "51000"),
    (SWAP, {"posSide": "long"}, "51000"),
    (SWAP, {"sz": "0.001"}, "51121"),
    (SWAP, {"sz": "40000", "ordType": "market"}, "51202"),
    (SWAP, {"sz": "30000000"}, "51008"),
    (SWAP, {"reduceOnly": True}, "51169"),
    (SWAP, {"ordType": "rpi", "sz": "1"}, "54051"),
]


@pytest.mark.parametrize("inst_id, changes, code", REFUSED)
async def test_refused_orders(inst_id: str, changes: dict[str, Any], code: str) -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        answer = (await rest.post("trade/order", order(inst_id, **changes))).json()
        (item,) = answer["data"]
        assert (answer["code"], item["sCode"], item["ordId"]) == ("1", code, "")
        assert item["sMsg"]
        assert sim.orders("alpha") == []


@pytest.mark.parametrize("acct_lv, spot, swap", [("1", "0", "51010"), ("2", "0", "0"), ("3", "51000", "0")])
async def test_account_modes_say_how_to_trade(acct_lv: str, spot: str, swap: str) -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        assert (await rest.post("account/set-account-level", {"acctLv": acct_lv})).json()["code"] == "0"
        assert (await rest.place(SPOT, tdMode="cash"))["sCode"] == spot
        assert (await rest.place(SWAP, tdMode="cross"))["sCode"] == swap


async def test_a_client_id_is_used_once_among_open_orders() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        first = await rest.place(SPOT, clOrdId="same")
        assert (await rest.place(SPOT, clOrdId="same"))["sCode"] == "51016"
        assert (await rest.place(SWAP, clOrdId="same"))["sCode"] == "51016"  # of all instruments
        await rest.item("trade/cancel-order", {"instId": SPOT, "clOrdId": "same"})
        again = await rest.place(SPOT, clOrdId="same", px="50001")
        assert again["sCode"] == "0"
        found = await rest.one("trade/order", instId=SPOT, clOrdId="same")
        assert found["ordId"] == again["ordId"] != first["ordId"]  # the newest bearer
        assert (sim.arrivals("same").seen, sim.arrivals("same").accepted) == (4, 2)


async def test_market_orders_of_spot_count_money_or_coins() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        bought = await rest.place(SPOT, ordType="market", sz="1000", tgtCcy=None)
        by_money = await rest.one("trade/order", instId=SPOT, ordId=bought["ordId"])
        assert (by_money["state"], by_money["tgtCcy"], by_money["sz"]) == ("filled", "quote_ccy", "1000")
        assert D(by_money["accFillSz"]) * D(by_money["avgPx"]) == pytest.approx(D(1000), rel=D("0.0001"))
        sold = await rest.place(SPOT, ordType="market", side="sell", sz="0.01", tgtCcy=None)
        by_coins = await rest.one("trade/order", instId=SPOT, ordId=sold["ordId"])
        assert (by_coins["tgtCcy"], by_coins["accFillSz"]) == ("base_ccy", "0.01")
        assert (by_money["feeCcy"], by_coins["feeCcy"]) == ("BTC", "USDT")
        assert D(by_coins["fee"]) < 0


async def test_a_market_order_is_shrunk_to_the_balance_unless_banned() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        sim.deposit("alpha", "USDT", D("-999400"))
        assert (await rest.place(SPOT, ordType="market", sz="0.1", banAmend=True))["sCode"] == "51008"
        done = await rest.place(SPOT, ordType="market", sz="0.1")
        row = await rest.one("trade/order", instId=SPOT, ordId=done["ordId"])
        assert row["state"] == "filled"
        assert 0 < D(row["accFillSz"]) < D("0.0101")


async def test_lifetimes() -> None:
    """IOC keeps what it got and cancels the rest (14); FOK that cannot fill is canceled whole (13)."""
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        ask = D((await rest.public("market/books", instId=SPOT)).json()["data"][0]["asks"][0][0])
        for word, source in (("ioc", "14"), ("fok", "13")):
            placed = await rest.place(SPOT, ordType=word, px=str(ask), sz="15")
            row = await rest.one("trade/order", instId=SPOT, ordId=placed["ordId"])
            assert (row["state"], row["cancelSource"]) == ("canceled", source)
            assert (D(row["accFillSz"]) > 0) is (word == "ioc")


async def test_post_only_that_would_take_is_accepted_and_canceled() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        placed = await rest.place(SPOT, ordType="post_only", px="61000")
        assert placed["sCode"] == "0"
        row = await rest.one("trade/order", instId=SPOT, ordId=placed["ordId"])
        assert (row["state"], row["cancelSource"], row["accFillSz"]) == ("canceled", "31", "0")
        assert sim.fills("alpha", SPOT) == []


@pytest.mark.parametrize("mode, left", [("cancel_maker", "taker"), ("cancel_taker", "maker"), ("cancel_both", "")])
async def test_self_trades_are_prevented(mode: str, left: str) -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        bid = D((await rest.public("market/books", instId=SPOT)).json()["data"][0]["bids"][0][0])
        price = str(bid + D("0.1"))
        await rest.place(SPOT, px=price, clOrdId="maker")
        await rest.place(SPOT, side="sell", px=price, clOrdId="taker", stpMode=mode)
        rows = {row["clOrdId"]: row for row in await rest.rows("trade/orders-history", instType="SPOT")}
        assert {row["clOrdId"] for row in await rest.rows("trade/orders-pending")} == ({left} - {""})
        assert {row["cancelSource"] for row in rows.values()} == {"32"}
        assert len(rows) == (1 if left else 2)


async def test_batches_have_a_result_for_each() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        answer = (await rest.post("trade/batch-orders", [order(clOrdId="b1"), order(clOrdId="b1"), order(SWAP)])).json()
        assert (answer["code"], [row["sCode"] for row in answer["data"]]) == ("2", ["0", "51016", "0"])
        none = (await rest.post("trade/batch-orders", [order(sz="0"), order(side="x")])).json()
        assert (none["code"], [row["sCode"] for row in none["data"]]) == ("1", ["51000", "51000"])
        too_many = (await rest.post("trade/batch-orders", [order()] * 21)).json()
        assert (too_many["code"], too_many["data"]) == ("51000", [])
        assert (await rest.post("trade/batch-orders", [])).json()["code"] == "50014"
        assert len(sim.open_orders("alpha")) == 2


async def test_amends() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        placed = await rest.place(SPOT, clOrdId="a1", sz="0.2")
        done = await rest.item("trade/amend-order", {"instId": SPOT, "clOrdId": "a1", "newSz": "0.3", "newPx": "50010"})
        assert (done["sCode"], done["ordId"]) == ("0", placed["ordId"])
        row = await rest.one("trade/order", instId=SPOT, clOrdId="a1")
        assert (row["sz"], row["px"]) == ("0.3", "50010")
        for change, code in (
            ({"newSz": "0.000000001"}, "51121"),
            ({"newPx": "50000.05"}, "51150"),
            ({}, "50014"),
            ({"newSz": "0.1", "clOrdId": "nobody"}, "51503"),
        ):
            body = {"instId": SPOT, "clOrdId": "a1"} | change
            assert (await rest.item("trade/amend-order", body))["sCode"] == code
        # What only the engine can tell is accepted first; the order keeps its terms.
        late = await rest.item("trade/amend-order", {"instId": SPOT, "clOrdId": "a1", "newSz": "1000"})
        assert late["sCode"] == "0"
        assert (await rest.one("trade/order", instId=SPOT, clOrdId="a1"))["sz"] == "0.3"
        gone = {"instId": SPOT, "clOrdId": "a1", "newSz": "1000", "cxlOnFail": True}
        assert (await rest.item("trade/amend-order", gone))["sCode"] == "0"
        assert (await rest.one("trade/order", instId=SPOT, clOrdId="a1"))["state"] == "canceled"
        assert (await rest.item("trade/amend-order", gone))["sCode"] == "51503"


async def test_cancels() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest, rest_of(sim, "beta") as other:
        placed = await rest.place(SPOT, clOrdId="c1")
        by_number = {"instId": SPOT, "ordId": placed["ordId"]}
        assert (await other.item("trade/cancel-order", by_number))["sCode"] == "51400"  # not his
        assert (await rest.item("trade/cancel-order", by_number | {"instId": SWAP}))["sCode"] == "51400"
        assert (await rest.item("trade/cancel-order", {"instId": SPOT}))["sCode"] == "51000"
        done = await rest.item("trade/cancel-order", by_number | {"clOrdId": "nobody"})  # the number wins
        assert (done["sCode"], done["clOrdId"]) == ("0", "c1")
        assert (await rest.item("trade/cancel-order", by_number))["sCode"] == "51400"
        assert sim.open_orders("alpha") == []


async def test_lists_page_by_number() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        ids = [(await rest.place(SPOT if number % 2 else SWAP))["ordId"] for number in range(7)]
        newest = await rest.rows("trade/orders-pending", limit="3")
        assert [row["ordId"] for row in newest] == ids[:-4:-1]
        rest_of_them = await rest.rows("trade/orders-pending", after=newest[-1]["ordId"])
        assert [row["ordId"] for row in rest_of_them] == ids[3::-1]
        assert [row["ordId"] for row in await rest.rows("trade/orders-pending", before=ids[4])] == [ids[6], ids[5]]
        assert len(await rest.rows("trade/orders-pending", instType="SWAP")) == 4
        assert sim.venue.requests["orders-pending"] == 4


async def test_fills_page_by_bill() -> None:
    async with quiet_simulator() as sim, rest_of(sim) as rest:
        for _ in range(3):
            await rest.place(SPOT, ordType="market", sz="0.001")
        bills = await rest.rows("trade/fills", instId=SPOT)
        numbers = [int(row["billId"]) for row in bills]
        assert numbers == sorted(numbers, reverse=True)
        assert await rest.rows("trade/fills", instId=SPOT, after=bills[0]["billId"]) == bills[1:]
        assert await rest.rows("trade/fills", instId=SPOT, limit="2") == bills[:2]
        assert len({row["tradeId"] for row in bills}) == len(bills)
        assert await rest.rows("trade/fills", begin=str(int(bills[0]["ts"]) + 1)) == []
        assert (await rest.get("trade/fills-history")).json()["code"] == "50014"  # instType
        assert await rest.rows("trade/fills-history", instType="SPOT") == bills


async def test_an_unfilled_cancel_is_forgotten_after_two_hours() -> None:
    clock = ManualClock()

    sim = Simulator(quiet_config(), clock)
    sim.open_market()
    venue = venue_of(sim)
    account = sim.account("alpha")

    key = ApiKey("k", KeyKind.HMAC, "s", account)

    def ask(name: str, **values: Any) -> Any:
        methods = {**venue.methods.by_op, **{each.name: each for each in venue.methods.by_path.values()}}
        call = Call(method=methods[name], items=[Params(values)], peer="", received_ns=clock.now_ns(), key=key)
        return execute(venue, call)

    placed = ask("order", **order())
    order_id = placed.data[0]["ordId"]
    ask("cancel-order", instId=SPOT, ordId=order_id)
    clock.advance(7199 * S)
    assert ask("order-details", instId=SPOT, ordId=order_id).data[0]["state"] == "canceled"
    clock.advance(2 * S)
    assert ask("order-details", instId=SPOT, ordId=order_id).code == "51603"
    assert ask("orders-history", instType="SPOT").data == []
