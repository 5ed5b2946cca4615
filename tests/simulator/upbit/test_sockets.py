"""The two sockets (reference section 6)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import attrs
import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed

from tests.simulator.upbit.kit import (
    PATIENCE_S,
    UNLIMITED,
    best,
    config,
    quiet_venue,
    rest_of,
    socket_of,
    token,
)
from tools.simulator import Fault, FaultKind, GeneratorConfig, Simulator, demo_account, open_simulator
from tools.simulator.core.model import Side
from tools.simulator.dialects.upbit.words import FORMS, lengthen, shorten

BTC = {"codes": ["KRW-BTC"]}
NEVER_S = 0.3  # how long nothing must come


async def test_pictures_first_in_binary_frames_then_what_is_new() -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        sim.trade("KRW-BTC", Side.BUY, Decimal("0.001"))
        await socket.say({"type": "ticker", **BTC}, {"type": "trade", **BTC}, {"type": "orderbook", **BTC})
        first = [await socket.next() for _ in range(3)]
        assert [message["type"] for message in first] == ["ticker", "trade", "orderbook"]
        assert {message["stream_type"] for message in first} == {"SNAPSHOT"}
        assert all(isinstance(frame, bytes) for frame in socket.frames)
        sim.trade("KRW-BTC", Side.SELL, Decimal("0.002"))
        trade = await socket.until(type="trade", stream_type="REALTIME")
        assert (trade["ask_bid"], trade["trade_volume"]) == ("ASK", Decimal("0.002"))
        assert trade["sequential_id"] > first[1]["sequential_id"]
        book = await socket.until(type="orderbook", stream_type="REALTIME")
        units = [(unit["bid_price"], unit["bid_size"]) for unit in book["orderbook_units"]]
        assert units == sim.exchange.markets["KRW-BTC"].depth(Side.BUY, 30)


async def test_a_ticker_follows_the_trades() -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.say({"type": "ticker", **BTC, "is_only_realtime": True})
        await trio.sleep(NEVER_S)
        sim.trade("KRW-BTC", Side.BUY, Decimal("0.001"))
        ticker = await socket.next()
        assert (ticker["stream_type"], ticker["trade_volume"]) == ("REALTIME", Decimal("0.001"))
        assert ticker["acc_bid_volume"] == ticker["acc_trade_volume"] == Decimal("0.001")
        assert ticker["acc_ask_volume"] == 0
        assert not {"best_bid_price", "bid_price"} & ticker.keys()


async def test_a_second_request_replaces_the_first() -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.say({"type": "trade", **BTC, "is_only_realtime": True})
        await socket.say({"type": "trade", "codes": ["KRW-ETH"], "is_only_realtime": True}, ticket="second")
        await socket.say({"method": "LIST_SUBSCRIPTIONS"}, ticket="asked")
        assert await socket.next() == {
            "method": "LIST_SUBSCRIPTIONS", "result": [{"type": "trade", "codes": ["KRW-ETH"], "level": 0}],
            "ticket": "asked",
        }  # fmt: skip
        sim.trade("KRW-BTC", Side.BUY, Decimal("0.001"))
        sim.trade("KRW-ETH", Side.BUY, Decimal("0.001"))
        assert (await socket.next())["code"] == "KRW-ETH"


async def test_only_pictures() -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.say({"type": "orderbook", **BTC, "is_only_snapshot": True})
        assert (await socket.next())["stream_type"] == "SNAPSHOT"
        sim.trade("KRW-BTC", Side.BUY, Decimal("0.001"))
        with trio.move_on_after(NEVER_S) as waiting:
            await socket.next()
        assert waiting.cancelled_caught


async def test_unknown_pairs_are_passed_over_in_silence() -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.say({"type": "orderbook", "codes": ["KRW-NONE", "krw-btc", "KRW-ETH"]})
        assert (await socket.next())["code"] == "KRW-ETH"


@pytest.mark.parametrize("suffix, lines", [("", 30), (".1", 1), (".5", 5), (".15", 15), (".30", 30), (".7", 30)])
async def test_the_suffix_picks_the_depth(suffix: str, lines: int) -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.say({"type": "orderbook", "codes": [f"KRW-BTC{suffix}"]})
        for _ in range(2):
            book = await socket.next()
            assert book["code"] == "KRW-BTC"
            assert len(book["orderbook_units"]) == lines
            assert book["total_ask_size"] == sum(qty for _, qty in sim.exchange.markets["KRW-BTC"].depth(Side.SELL, 30))
            sim.trade("KRW-BTC", Side.BUY, Decimal("0.0001"))
            if book["stream_type"] == "SNAPSHOT":
                await trio.sleep(0.15)


async def test_levels_group_prices_and_an_unsupported_one_gives_nothing() -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.say({"type": "orderbook", **BTC, "level": 33}, {"type": "orderbook", **BTC, "level": 100000})
        book = await socket.next()
        assert book["level"] == 100_000
        assert all(unit["bid_price"] % 100_000 == 0 for unit in book["orderbook_units"])
        sim.trade("KRW-BTC", Side.BUY, Decimal("0.0001"))
        assert (await socket.next())["level"] == 100_000


@pytest.mark.parametrize("name", sorted(FORMS))
async def test_every_format(name: str) -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        sim.trade("KRW-BTC", Side.BUY, Decimal("0.001"))
        await socket.say(
            {"type": "orderbook", "codes": ["KRW-BTC.1"]}, {"type": "trade", **BTC}, {"type": "ticker", **BTC},
            {"type": "candle.1m", **BTC}, {"format": name},
        )  # fmt: skip
        for kind in ("orderbook", "trade", "ticker", "candle"):
            message = await socket.next()
            assert isinstance(message, list) is name.endswith("_LIST")
            if isinstance(message, list):
                (message,) = message
            assert ("ty" in message) is name.startswith("SIMPLE")
            whole = lengthen(message, kind) if name.startswith("SIMPLE") else message
            assert whole["type"].startswith(kind)
            assert shorten(whole, kind) == (message if name.startswith("SIMPLE") else shorten(message, kind))
            assert all(len(key) <= 7 for key in shorten(whole, kind))


async def test_a_format_given_while_listing_changes_the_stream() -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.say({"type": "orderbook", **BTC, "is_only_realtime": True})
        await socket.say({"method": "LIST_SUBSCRIPTIONS"}, {"format": "SIMPLE"}, ticket="now short")
        assert await socket.next() == {
            "mthd": "LIST_SUBSCRIPTIONS", "rslt": [{"ty": "orderbook", "cds": ["KRW-BTC"], "lv": 0}],
            "tck": "now short",
        }  # fmt: skip
        sim.trade("KRW-BTC", Side.BUY, Decimal("0.0001"))
        assert (await socket.next())["ty"] == "orderbook"


async def test_a_candle_is_told_again_and_again() -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.say({"type": "candle.1s", **BTC, "is_only_realtime": True})
        volumes = []
        for _ in range(2):
            sim.trade("KRW-BTC", Side.BUY, Decimal("0.0001"))
            volumes.append((await socket.until(type="candle.1s"))["candle_acc_trade_volume"])
        assert all(volume > 0 for volume in volumes)


@pytest.mark.parametrize("frame, name", [
    ("{", "WRONG_FORMAT"), ("{}", "WRONG_FORMAT"), ("[1]", "WRONG_FORMAT"), ("[]", "NO_TICKET"),
    ('[{"ticket":""},{"type":"ticker","codes":["KRW-BTC"]}]', "NO_TICKET"),
    ('[{"ticket":"t"}]', "NO_TYPE"),
    ('[{"ticket":"t"},{"type":"ticker"}]', "NO_CODES"),
    ('[{"ticket":"t"},{"type":"ticker","codes":[]}]', "NO_CODES"),
    ('[{"ticket":"t"},{"type":"ticker","codes":"KRW-BTC"}]', "WRONG_FORMAT"),
    ('[{"ticket":"t"},{"type":7,"codes":["KRW-BTC"]}]', "WRONG_FORMAT"),
    ('[{"ticket":"t"},{"type":"candle.2m","codes":["KRW-BTC"]}]', "INVALID_PARAM"),
    ('[{"ticket":"t"},{"type":"orderbook","codes":["KRW-BTC"],"level":"x"}]', "INVALID_PARAM"),
    ('[{"ticket":"t"},{"type":"ticker","codes":["KRW-BTC"]},{"format":"TINY"}]', "WRONG_FORMAT"),
    ('[{"ticket":"t"},{"type":"myOrder"}]', "INVALID_AUTH"),
])  # fmt: skip
async def test_errors_of_the_public_socket(frame: str, name: str) -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.ws.send_message(frame)
        assert await socket.error() == name
        await socket.say({"type": "orderbook", **BTC})
        assert (await socket.next())["type"] == "orderbook"


@pytest.mark.parametrize("part, name", [
    ({"type": "myAsset", "codes": ["KRW-BTC"]}, "WRONG_FORMAT"), ({"type": "ticker", **BTC}, "INVALID_PARAM"),
])  # fmt: skip
async def test_errors_of_the_private_socket(part: dict[str, Any], name: str) -> None:
    async with quiet_venue() as sim, socket_of(sim, "alpha") as socket:
        await socket.say(part)
        assert await socket.error() == name


async def test_a_text_ping_is_answered_again_and_again() -> None:
    async with quiet_venue() as sim, socket_of(sim) as socket:
        await socket.ws.send_message("PING")
        assert await socket.next() == {"status": "UP"}


async def test_a_silent_socket_is_closed_and_a_ping_keeps_it() -> None:
    """Section 6.2, with a patience of a second instead of two minutes."""
    limits = attrs.evolve(UNLIMITED, idle_seconds=1)
    async with quiet_venue(limits=limits) as sim, socket_of(sim) as silent, socket_of(sim, "alpha") as alive:
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:

                async def keep() -> None:
                    while True:
                        await alive.ws.ping()
                        await trio.sleep(0.2)

                nursery.start_soon(keep)
                with pytest.raises(ConnectionClosed):
                    await silent.ws.get_message()
                await alive.say({"method": "LIST_SUBSCRIPTIONS"})
                assert (await alive.next())["result"] == []
                nursery.cancel_scope.cancel()


async def test_messages_are_counted() -> None:
    limits = attrs.evolve(UNLIMITED, messages_per_second=5)
    async with open_simulator(config(limits=limits)) as sim, socket_of(sim) as socket:
        with trio.fail_after(PATIENCE_S):
            names = []
            for _ in range(12):
                await socket.say({"method": "LIST_SUBSCRIPTIONS"})
                answer = await socket.next()
                names.append(answer.get("error", {}).get("name", ""))
        assert "TOO_MANY_REQUEST" in names
        assert names.count("") >= 5


@pytest.mark.parametrize("path", ["/websocket/v2", "/v1/ticker"])
async def test_other_paths_are_refused(path: str) -> None:
    async with quiet_venue() as sim:
        with trio.fail_after(PATIENCE_S):
            answer = await _upgrade(sim, path)
        assert answer.status_code == 404


async def _upgrade(sim: Simulator, path: str, **headers: str) -> httpx.Response:
    """An upgrade request by hand, because the library says nothing about a refusal's body."""
    asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **headers}  # fmt: skip
    async with httpx.AsyncClient(base_url=sim.rest_url, trust_env=False, timeout=PATIENCE_S) as client:
        return await client.get(path, headers=asked)


async def test_the_private_socket_wants_a_token_of_its_own_for_each_attempt() -> None:
    async with quiet_venue() as sim:
        path = "/websocket/v1/private"
        answer = await _upgrade(sim, path)
        assert (answer.status_code, answer.json()["error"]["name"]) == (401, "no_authorization_token")
        once = {"Authorization": f"Bearer {token(sim.credentials('alpha'), [])}"}
        assert (await _upgrade(sim, path, **once)).status_code == 101
        answer = await _upgrade(sim, path, **once)
        assert (answer.status_code, answer.json()["error"]["name"]) == (401, "nonce_used")
        answer = await _upgrade(sim, path, Authorization="Bearer x")
        assert (answer.status_code, answer.json()["error"]["name"]) == (401, "jwt_verification")


async def test_five_attempts_to_connect_a_second() -> None:
    limits = attrs.evolve(UNLIMITED, connections_per_second=5)
    async with open_simulator(config(limits=limits)) as sim:
        answers = [await _upgrade(sim, "/websocket/v1") for _ in range(12)]
        assert [answer.status_code for answer in answers[:5]] == [101] * 5
        refused = [answer for answer in answers if answer.status_code != 101]
        assert {answer.status_code for answer in refused} == {429}


async def test_an_origin_is_let_in_once_in_ten_seconds() -> None:
    limits = attrs.evolve(UNLIMITED, origin_per_10_seconds=1)
    async with open_simulator(config(limits=limits)) as sim, rest_of(sim) as rest:
        statuses = []
        for _ in range(3):
            answer = await rest.client.get("/v1/market/all", headers={"Origin": "https://example.org"})
            statuses.append((answer.status_code, answer.headers["remaining-req"].split(";")[0]))
        assert (429, "group=origin") in statuses
        assert (await rest.public("market/all")).status_code == 200
        assert (await _upgrade(sim, "/websocket/v1", Origin="https://example.org")).status_code == 429
        assert (await _upgrade(sim, "/websocket/v1")).status_code == 101


# ---- an account's streams --------------------------------------------------------------------------------------


async def test_an_orders_life_as_events() -> None:
    """`wait`, `trade` with the fill's price and volume, `done`; null where REST leaves out (sections 6.8 and 7)."""
    async with quiet_venue() as sim, rest_of(sim) as rest, socket_of(sim, "alpha") as socket:
        await socket.say({"type": "myOrder"}, {"method": "LIST_SUBSCRIPTIONS"})
        await socket.next()
        (first, qty), (second, _) = sim.exchange.markets["KRW-BTC"].depth(Side.SELL, 2)
        volume = qty + Decimal("0.001")
        row = await rest.place(price=str(second), volume=str(volume), identifier="life")
        events = [await socket.next() for _ in range(4)]
        assert [event["state"] for event in events] == ["wait", "trade", "trade", "done"]
        assert {event["uuid"] for event in events} == {row["uuid"]}
        wait, one, two, done = events
        assert (wait["price"], wait["volume"], wait["trade_uuid"], wait["is_maker"]) == (second, volume, None, None)
        assert (one["price"], one["volume"], one["is_maker"]) == (first, qty, False)
        assert (two["price"], two["volume"]) == (second, Decimal("0.001"))
        assert one["trade_uuid"] != two["trade_uuid"]
        assert (done["price"], done["volume"], done["remaining_volume"], done["trades_count"]) == (second, volume, 0, 2)
        assert done["executed_funds"] == first * qty + second * Decimal("0.001")
        assert done["paid_fee"] == one["trade_fee"] + two["trade_fee"]
        shown = await rest.order(row["uuid"])
        assert [trade["uuid"] for trade in shown["trades"]] == [one["trade_uuid"], two["trade_uuid"]]
        assert wait["identifier"] == "life"
        assert wait["time_in_force"] is None


async def test_a_maker_and_a_cancel() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest, socket_of(sim, "alpha") as socket:
        await socket.say({"type": "myOrder"})
        price = best(sim, Side.BUY)[0] + 1000
        row = await rest.place(price=str(price), volume="0.002")
        assert (await socket.next())["state"] == "wait"
        sim.trade("KRW-BTC", Side.SELL, Decimal("0.0005"))
        fill = await socket.next()
        assert (fill["state"], fill["is_maker"], fill["remaining_volume"]) == ("trade", True, Decimal("0.0015"))
        await rest.delete("order", ("uuid", row["uuid"]))
        end = await socket.next()
        assert (end["state"], end["executed_volume"], end["locked"]) == ("cancel", Decimal("0.0005"), 0)


async def test_prevention_is_told_to_both() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest, socket_of(sim, "alpha") as socket:
        await socket.say({"type": "myOrder"})
        price = str(best(sim, Side.BUY)[0] + 1000)
        ask = await rest.place(side="ask", price=price, volume="0.001")
        bid = await rest.place(price=price, volume="0.001", smp_type="reduce")
        events = [await socket.next() for _ in range(6)]
        assert [(event["uuid"] == bid["uuid"], event["state"]) for event in events] == [
            (False, "wait"), (True, "wait"), (True, "prevented"), (True, "cancel"),
            (False, "prevented"), (False, "cancel"),
        ]  # fmt: skip
        assert events[-1]["uuid"] == ask["uuid"]
        assert events[2]["prevented_volume"] == Decimal("0.001")


async def test_orders_by_amount_have_no_volume() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest, socket_of(sim, "alpha") as socket:
        await socket.say({"type": "myOrder"})
        await rest.post("orders", market="KRW-BTC", side="bid", ord_type="price", price="100000")
        events = [await socket.next() for _ in range(3)]
        assert [event["state"] for event in events] in (["wait", "trade", "cancel"], ["wait", "trade", "done"])
        assert (events[0]["volume"], events[0]["remaining_volume"]) == (None, None)
        assert events[1]["volume"] == events[2]["executed_volume"]


async def test_balances_that_changed_and_no_others() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest, socket_of(sim, "alpha") as socket:
        await socket.say({"type": "myAsset"}, {"format": "SIMPLE"})
        await rest.place()
        message = await socket.next()
        assert (message["ty"], message["st"]) == ("myAsset", "REALTIME")
        assert message["ast"] == [{"cu": "KRW", "b": Decimal(1_000_000_000 - 150_075), "l": 150_075}]
        await rest.place(price=str(best(sim, Side.SELL)[0]), volume="0.001")
        assert [one["cu"] for one in (await socket.next())["ast"]] == ["BTC", "KRW"]
        sim.deposit("alpha", "ETH", Decimal(3))
        assert (await socket.next())["ast"] == [{"cu": "ETH", "b": 503, "l": 0}]


async def test_codes_confine_orders_and_accounts_are_apart() -> None:
    async with (
        quiet_venue() as sim, rest_of(sim) as rest, rest_of(sim, "beta") as other, socket_of(sim, "alpha") as socket
    ):  # fmt: skip
        await socket.say({"type": "myOrder", "codes": ["KRW-ETH"]})
        await rest.place()
        await other.place(market="KRW-ETH", price="5000000", volume="0.01")
        mine = await rest.place(market="KRW-ETH", price="5000000", volume="0.01")
        assert (await socket.next())["uuid"] == mine["uuid"]


async def test_a_revoked_key_ends_its_socket() -> None:
    async with quiet_venue() as sim, socket_of(sim, "alpha") as socket, socket_of(sim, "beta") as other:
        sim.strike(Fault(kind=FaultKind.REVOKE_KEY, match=sim.credentials("alpha").hmac_key))
        with trio.fail_after(PATIENCE_S), pytest.raises(ConnectionClosed):
            await socket.ws.get_message()
        await other.say({"method": "LIST_SUBSCRIPTIONS"})
        assert (await other.next())["result"] == []


async def test_an_announced_end_closes_every_socket() -> None:
    async with quiet_venue() as sim, socket_of(sim) as one, socket_of(sim, "alpha") as two:
        sim.strike(Fault(kind=FaultKind.SHUTDOWN_NOTICE, delay_ms=1))
        with trio.fail_after(PATIENCE_S):
            for socket in (one, two):
                with pytest.raises(ConnectionClosed):
                    await socket.ws.get_message()


async def test_a_lively_market_never_shows_a_crossed_book() -> None:
    market = GeneratorConfig(events_per_s=300, burst_every_s=1)
    accounts = (demo_account("alpha"),)
    async with open_simulator(config(market=market, accounts=accounts)) as sim, socket_of(sim) as socket:
        await socket.say({"type": "orderbook", "codes": ["KRW-BTC", "KRW-ETH"]})
        stamps: dict[str, int] = {}
        for _ in range(30):
            book = await socket.next()
            units = book["orderbook_units"]
            assert units[0]["bid_price"] < units[0]["ask_price"]
            assert book["timestamp"] >= stamps.get(book["code"], 0)
            stamps[book["code"]] = book["timestamp"]
        assert stamps.keys() == {"KRW-BTC", "KRW-ETH"}
        assert json.loads(socket.frames[0])["code"] == "KRW-BTC"
