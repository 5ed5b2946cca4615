"""The simulated Bybit's REST: signatures, clock, limits, pages, and what each question answers."""

from __future__ import annotations

import json
from decimal import Decimal

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from protocols.venues.bybit import signer_for
from tests.simulator.bybit.kit import Rest, bybit, quiet_config, rest_of
from tools.simulator import (
    GeneratorConfig,
    KeyKind,
    ManualClock,
    Simulator,
    SimulatorConfig,
    demo_account,
    derive_credentials,
    open_simulator,
)
from tools.simulator.core.accounts import AccountBook
from tools.simulator.core.clock import SECOND
from tools.simulator.dialects.bybit import auth
from tools.simulator.dialects.bybit.errors import VenueError
from tools.simulator.dialects.bybit.limits import BybitLimits

KEY, SECRET = "bulkheadDemoKey01", "bulkheadDemoSecret0123456789abcdef"
STAMP = "1767225600123"
SIGNATURES = [  # section 2.1 of the venue reference
    (
        "category=linear&limit=50&symbol=BTCUSDT",
        "70cd0049abe01402aa9f6b745c75996dd7f7e8be9dfa040ab4d0f8dcd506d26c",
    ),
    ("", "112d5efafc00f4cd05911edf56914470f2876afcb4ffa03f8426ab85c395c78c"),
    (
        '{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"60000",'
        '"timeInForce":"PostOnly","positionIdx":0,"orderLinkId":"bh-000001"}',
        "d42192abb25cbecc7c86ad1dff2d1e6c28ebfb14161b10171fb859105e7d4827",
    ),
]
LOGON = (1767225610123, "edb0ba781f9471d5f1920081621bd605b75918fd421b049feb236e83ea0bf61b")


def book_of_keys() -> AccountBook:
    accounts = AccountBook()
    accounts.add_key(accounts.create("demo", {}), KEY, KeyKind.HMAC, SECRET)
    return accounts


@pytest.mark.parametrize("payload, signature", SIGNATURES)
def test_reference_signatures_are_accepted(payload: str, signature: str) -> None:
    headers = {
        "x-bapi-api-key": KEY,
        "x-bapi-timestamp": STAMP,
        "x-bapi-recv-window": "5000",
        "x-bapi-sign": signature,
    }
    now_ns = int(STAMP) * 1_000_000
    assert auth.verify_request(book_of_keys(), headers, payload, now_ns).api_key == KEY
    with pytest.raises(VenueError) as refusal:
        auth.verify_request(book_of_keys(), headers, payload + " ", now_ns)
    assert refusal.value.code == 10004


def test_reference_logon_is_accepted_until_its_moment() -> None:
    expires, signature = LOGON
    accounts = book_of_keys()
    assert auth.verify_logon(accounts, KEY, str(expires), signature, (expires - 1) * 1_000_000).api_key == KEY
    with pytest.raises(VenueError) as late:
        auth.verify_logon(accounts, KEY, str(expires), signature, expires * 1_000_000)
    assert late.value.code == 10001


async def test_clock_rule() -> None:
    """`server - window <= timestamp < server + 1000`, whatever the window."""
    clock = ManualClock()
    async with open_simulator(quiet_config(), clock=clock) as sim, rest_of(sim) as rest:
        now = rest.now_ms()
        for stamp, window, code in (
            (now, "5000", 0),
            (now + 999, "5000", 0),
            (now + 1000, "60000", 10002),
            (now - 5000, "5000", 0),
            (now - 5001, "5000", 10002),
            (now - 5001, "6000", 0),
        ):
            answer = await rest.get("account/info", stamp=str(stamp), window=window)
            assert answer.json()["retCode"] == code, (stamp - now, window)


async def test_who_is_asking() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        assert (await rest.client.get("/v5/account/info")).status_code == 401
        assert (await rest.get("account/info", key="nobody")).json()["retCode"] == 10003
        assert (await rest.get("account/info", sign="00")).json()["retCode"] == 10004
        assert (await rest.client.request("GET", "/v5/market/time", content="{}")).status_code == 403
        assert (await rest.client.get("/v5/market/nothing")).status_code == 404
        bybit(sim).revoke_key(rest.keys.hmac_key)
        assert (await rest.get("account/info")).json()["retCode"] == 10003
        with pytest.raises(ValueError, match="no API key"):
            bybit(sim).revoke_key("nobody")


async def test_rsa_keys() -> None:
    private = generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    accounts = AccountBook()
    accounts.add_key(accounts.create("rsa", {}), "rsa-key", KeyKind.RSA, public.decode())
    signature = signer_for("rsa-key", pem.decode()).sign(f"{STAMP}rsa-key5000a=1".encode())
    headers = {
        "x-bapi-api-key": "rsa-key",
        "x-bapi-timestamp": STAMP,
        "x-bapi-recv-window": "5000",
        "x-bapi-sign": signature,
    }
    now_ns = int(STAMP) * 1_000_000
    assert auth.verify_request(accounts, headers, "a=1", now_ns).account.name == "rsa"
    with pytest.raises(VenueError):
        auth.verify_request(accounts, headers, "a=2", now_ns)


async def test_an_address_that_asks_too_often_is_silenced() -> None:
    clock = ManualClock()
    limits = BybitLimits(requests_per_5_seconds=5)
    async with open_simulator(quiet_config(limits=limits), clock=clock) as sim, rest_of(sim) as rest:
        codes = [(await rest.client.get("/v5/market/time")).status_code for _ in range(6)]
        assert codes == [200] * 5 + [403]
        assert (await rest.client.get("/v5/market/time")).text == "access too frequent"
        clock.advance(599 * SECOND)
        assert (await rest.client.get("/v5/market/time")).status_code == 403
        clock.advance(2 * SECOND)
        assert (await rest.client.get("/v5/market/time")).status_code == 200


async def test_buckets_per_endpoint_and_their_headers() -> None:
    clock = ManualClock()
    async with open_simulator(quiet_config(), clock=clock) as sim, rest_of(sim) as rest, rest_of(sim, "beta") as other:
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001"}
        left = []
        for _ in range(10):
            answer = await rest.post("order/create", **order, price="60000")
            assert answer.headers["X-Bapi-Limit"] == "10"
            left.append(answer.headers["X-Bapi-Limit-Status"])
        assert left == [str(number) for number in range(9, -1, -1)]
        refused = await rest.post("order/create", **order, price="60000")
        assert refused.json()["retCode"] == 10006
        reset_ms = int(refused.headers["X-Bapi-Limit-Reset-Timestamp"])
        assert rest.now_ms() < reset_ms <= rest.now_ms() + 1000
        # Another endpoint, another product and another account have buckets of their own.
        await rest.order("spot", "Buy", "0.001", "60000")
        await other.do("order/create", **order, price="60000")
        await rest.do("order/cancel-all", category="linear", settleCoin="USDT")
        clock.advance(reset_ms * 1_000_000 - clock.now_ns())
        await rest.do("order/create", **order, price="60000")


async def test_a_batch_draws_one_for_each_member_and_its_tail_fails() -> None:
    clock = ManualClock()
    async with open_simulator(quiet_config(), clock=clock) as sim, rest_of(sim) as rest:
        member = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001", "price": "60000"}
        answer = (await rest.post("order/create-batch", category="linear", request=[member] * 12)).json()
        assert answer["retCode"] == 0
        assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0] * 10 + [10006] * 2
        assert len(sim.open_orders("alpha")) == 10
        await rest.do("order/create", category="linear", **member)  # the single orders' bucket is another


async def test_market_questions() -> None:
    config = SimulatorConfig(venue="bybit", accounts=(demo_account("alpha"),))
    async with open_simulator(config) as sim, rest_of(sim) as rest:

        async def ask(path: str) -> httpx.Response:
            return await rest.client.get(f"/v5/market/{path}")

        listed = (await ask("instruments-info?category=linear&limit=2")).json()["result"]
        assert [row["symbol"] for row in listed["list"]] == ["BTCUSDT", "ETHUSDT"]
        rest_of_list = (await ask(f"instruments-info?category=linear&cursor={listed['nextPageCursor']}")).json()
        assert [row["symbol"] for row in rest_of_list["result"]["list"]] == ["SOLUSDT", "BTCPERP"]
        assert rest_of_list["result"]["nextPageCursor"] == ""
        spot = (await ask("instruments-info?category=spot")).json()["result"]
        assert "nextPageCursor" not in spot
        assert (await ask("instruments-info?category=option")).json()["result"]["list"] == []
        assert (await ask("instruments-info?category=nothing")).json()["retCode"] == 10001
        assert (await ask("orderbook?category=spot&symbol=NOPE")).json()["retCode"] == 170121
        assert (await ask("orderbook?category=linear&symbol=NOPE")).json()["retCode"] == 10001
        book = (await ask("orderbook?category=linear&symbol=BTCUSDT&limit=7")).json()["result"]
        assert (len(book["b"]), len(book["a"])) == (7, 7)
        bars = (await ask("kline?category=spot&symbol=BTCUSDT&interval=60&limit=5")).json()["result"]["list"]
        assert [int(each[0]) for each in bars] == sorted((int(each[0]) for each in bars), reverse=True)
        assert (await ask("kline?category=spot&symbol=BTCUSDT&interval=7")).json()["retCode"] == 10001
        assert len((await ask("tickers?category=linear")).json()["result"]["list"]) == 4


async def test_pages_of_orders_and_executions() -> None:
    """Rows that come in meanwhile shift no page; cursors come back as they were sent, encoded or not."""
    limits = BybitLimits(endpoint_buckets=0)
    async with open_simulator(quiet_config(limits=limits)) as sim, rest_of(sim) as rest:
        ids = [await rest.order("linear", "Buy", "0.001", "60000") for _ in range(7)]
        seen: list[str] = []
        query = "category=linear&settleCoin=USDT&limit=3"
        cursor = ""
        while True:
            result = await rest.ask("order/realtime", query + cursor)
            seen += [row["orderId"] for row in result["list"]]
            if not result["nextPageCursor"]:
                break
            if len(seen) == 3:
                await rest.order("linear", "Buy", "0.001", "60000")  # the newest: of no later page
            cursor = f"&cursor={result['nextPageCursor']}"
        assert seen == ids[::-1]
        answer = await rest.get("order/realtime", "category=linear&settleCoin=USDT&cursor=nonsense%3A3")
        assert answer.json()["retCode"] == 10001


async def test_realtime_history_and_windows() -> None:
    clock = ManualClock()
    async with open_simulator(quiet_config(), clock=clock) as sim, rest_of(sim) as rest:
        working = await rest.order("linear", "Buy", "0.001", "60000", orderLinkId="w")
        ended = await rest.order("linear", "Buy", "0.001", "60000", orderLinkId="e")
        await rest.do("order/cancel", category="linear", symbol="BTCUSDT", orderLinkId="e")
        filled = await rest.order("linear", "Buy", "0.001")
        assert (await rest.get("order/realtime", "category=linear")).json()["retCode"] == 10001  # needs a scope

        async def ids(path: str, query: str) -> list[str]:
            return [row["orderId"] for row in (await rest.ask(path, f"category=linear&{query}"))["list"]]

        assert await ids("order/realtime", "settleCoin=USDT") == [working]
        assert await ids("order/realtime", "settleCoin=USDC") == []
        assert await ids("order/realtime", "settleCoin=USDT&openOnly=1") == [filled, ended]
        assert await ids("order/realtime", "symbol=BTCUSDT&orderLinkId=e") == [ended]  # a named one in any state
        assert await ids("order/history", "symbol=BTCUSDT") == [filled, ended]
        assert await ids("order/history", "orderStatus=Filled") == [filled]
        for order in sim.orders("alpha")[1:]:  # both ended more than a day ago
            order.update_ns -= 25 * 3600 * SECOND
        assert await ids("order/history", "symbol=BTCUSDT") == [filled]  # without a fill it is shown for a day
        assert await ids("execution/list", "symbol=BTCUSDT") == [filled]
        now = rest.now_ms()
        assert await ids("execution/list", f"startTime={now - 1000}&endTime={now + 1000}") == [filled]
        assert await ids("execution/list", f"startTime={now + 1}") == []
        wide = await rest.get("execution/list", f"category=linear&startTime=1&endTime={rest.now_ms()}")
        assert wide.json()["retCode"] == 10001


async def test_numbers_may_come_as_json_numbers() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        named = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
        text = json.dumps(named | {"qty": 0.01, "price": 60000.5})
        answer = await rest.client.post("/v5/order/create", content=text, headers=rest.headers(text))
        assert answer.json()["retCode"] == 0
        (order,) = sim.open_orders("alpha")
        assert (order.order_qty, order.price) == (Decimal("0.01"), Decimal("60000.5"))
        broken = "{"
        answer = await rest.client.post("/v5/order/create", content=broken, headers=rest.headers(broken))
        assert answer.json()["retCode"] == 10001


async def test_account_questions() -> None:
    async with open_simulator(quiet_config()) as sim, rest_of(sim) as rest:
        info = await rest.ask("account/info")
        assert (info["unifiedMarginStatus"], info["marginMode"]) == (5, "REGULAR_MARGIN")
        rates = await rest.ask("account/fee-rate", "category=linear&symbol=BTCUSDT")
        assert rates["list"][0]["takerFeeRate"] == "0.00055"
        wallet = await rest.ask("account/wallet-balance", "accountType=UNIFIED&coin=USDT")
        assert [coin["walletBalance"] for coin in wallet["list"][0]["coin"]] == ["1000000"]
        assert (await rest.get("account/wallet-balance", "accountType=SPOT")).json()["retCode"] == 10001
        by_coin = await rest.ask("asset/transfer/query-account-coins-balance", "accountType=UNIFIED")
        assert {row["coin"]: row["walletBalance"] for row in by_coin["balance"]}["BTC"] == "20"
        funding = await rest.ask("asset/transfer/query-account-coins-balance", "accountType=FUND")
        assert funding["balance"] == []
        assert (await rest.ask("user/query-api"))["uta"] == 1
        assert (await rest.get("position/list", "category=spot")).json()["retCode"] == 10001


def test_ids_of_prints_are_unique() -> None:
    clock = ManualClock()
    sim = Simulator(quiet_config(market=GeneratorConfig(events_per_s=200)), clock)
    sim.open_market()
    sim.advance(clock.now_ns() + 5 * SECOND)
    streams = bybit(sim).streams
    trades = sim.exchange.markets["spot:BTCUSDT"].trades
    ids = [streams.trade_id(bybit(sim).infos["spot:BTCUSDT"], trade.trade_id) for trade in trades]
    assert len(set(ids)) == len(ids) > 60


def test_rest_helper_signs_what_it_sends() -> None:
    """The helper of these tests must be right for the refusals to mean anything."""
    keys = derive_credentials("alpha")
    helper = Rest(httpx.AsyncClient(), keys, lambda: int(STAMP))
    accounts = AccountBook()
    accounts.add_key(accounts.create("alpha", {}), keys.hmac_key, KeyKind.HMAC, keys.hmac_secret)
    headers = {name.lower(): value for name, value in helper.headers("a=1").items()}
    assert auth.verify_request(accounts, headers, "a=1", int(STAMP) * 1_000_000).account.name == "alpha"
