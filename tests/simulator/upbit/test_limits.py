"""Limits (reference section 3): groups, what is left, 429, then 418 with a duration."""

from __future__ import annotations

import attrs
import pytest

from tests.simulator.upbit.kit import UNLIMITED, config, refusal, rest_of, token
from tools.simulator import Fault, FaultKind, open_simulator
from tools.simulator.core.clock import SECOND, ManualClock
from tools.simulator.dialects.upbit.limits import (
    STRIKES_BEFORE_BAN,
    Bucket,
    Budget,
    Fixed,
    UpbitLimits,
    Verdict,
    account_budget,
    public_budget,
)

NOW = 1_795_000_000 * SECOND


def test_the_documented_limits() -> None:
    limits = UpbitLimits()
    public = {group: one.left(NOW) for group, one in public_budget(limits).counters.items()}
    account = {group: one.left(NOW) for group, one in account_budget(limits).counters.items()}
    assert public == {
        "market": 10, "candle": 10, "trade": 10, "ticker": 10, "orderbook": 10, "origin": 1, "websocket-connect": 5,
    }  # fmt: skip
    assert account == {
        "default": 30, "order": 12, "order-test": 8, "order-cancel-all": 1, "websocket-connect": 5,
    }  # fmt: skip


def test_public_windows_are_seconds_of_the_clock() -> None:
    window = Fixed(2)
    assert [window.take(NOW + 999_999_999) for _ in range(3)] == [True, True, False]
    assert window.take(NOW + SECOND)
    assert window.left(NOW + SECOND) == 1


def test_accounts_have_buckets_that_fill_steadily() -> None:
    bucket = Bucket(10)
    assert [bucket.take(NOW) for _ in range(11)] == [True] * 10 + [False]
    assert bucket.left(NOW) == 0
    assert not bucket.take(NOW + SECOND // 10 - 1)
    assert bucket.take(NOW + SECOND // 10)
    assert not bucket.take(NOW + SECOND // 10)
    assert bucket.left(NOW + 5 * SECOND) == 10


def test_who_goes_on_is_banned_each_time_for_longer() -> None:
    budget = Budget({"group": Fixed(1)})
    now, bans = NOW, []
    for _ in range(3):
        verdicts = [budget.take("group", now) for _ in range(STRIKES_BEFORE_BAN + 1)]
        assert verdicts == [Verdict.PASS, *[Verdict.LIMITED] * (STRIKES_BEFORE_BAN - 1), Verdict.BANNED]
        bans.append(budget.blocked_until_ns - now)
        assert budget.take("group", budget.blocked_until_ns - 1) is Verdict.BANNED
        now = budget.blocked_until_ns + 60 * SECOND
    assert bans == [60 * SECOND, 120 * SECOND, 240 * SECOND]


async def test_every_answer_tells_what_its_group_has_left() -> None:
    clock = ManualClock()
    async with open_simulator(config(limits=UpbitLimits()), clock=clock) as sim, rest_of(sim) as rest:
        told = [(await rest.public("ticker", markets="KRW-BTC")).headers["remaining-req"] for _ in range(2)]
        assert told == ["group=ticker; min=1800; sec=9", "group=ticker; min=1800; sec=8"]
        assert (await rest.get("accounts")).headers["remaining-req"] == "group=default; min=1800; sec=29"
        refused = await rest.post("orders", market="KRW-BTC")
        assert refused.headers["remaining-req"] == "group=order; min=1800; sec=11"
        tested = await rest.post("orders/test", market="KRW-BTC")
        assert tested.headers["remaining-req"] == "group=order-test; min=1800; sec=7"
        assert (await rest.public("orderbook")).headers["remaining-req"].startswith("group=orderbook")


async def test_too_many_then_blocked_for_a_time_that_the_body_states() -> None:
    clock = ManualClock()
    limits = UpbitLimits(default_per_second=2)
    async with (
        open_simulator(config(limits=limits), clock=clock) as sim,
        rest_of(sim) as rest,
        rest_of(sim, "beta") as b,
    ):
        statuses = [(await rest.get("accounts")).status_code for _ in range(2 + STRIKES_BEFORE_BAN)]
        assert statuses == [200, 200, *[429] * (STRIKES_BEFORE_BAN - 1), 418]
        answer = await rest.get("accounts")
        assert (answer.status_code, "60 seconds" in answer.json()["error"]["message"]) == (418, True)
        assert answer.headers["remaining-req"] == "group=default; min=1800; sec=0"
        assert (await b.get("accounts")).status_code == 200  # another account has a budget of its own
        assert (await rest.public("market/all")).status_code == 200
        clock.advance(60 * SECOND)
        assert (await rest.get("accounts")).status_code == 200


async def test_a_request_that_is_not_signed_rightly_costs_nothing() -> None:
    limits = UpbitLimits(default_per_second=1)
    async with open_simulator(config(limits=limits), clock=ManualClock()) as sim, rest_of(sim) as rest:
        for _ in range(3):
            answer = await rest.signed("GET", "accounts", [], access_key="nobody")
            assert refusal(answer) == (401, "invalid_access_key")
        assert (await rest.get("accounts")).status_code == 200


@pytest.mark.parametrize("kind, status", [(FaultKind.RATE_LIMIT, 429), (FaultKind.BAN, 418)])
async def test_a_block_by_fault_covers_the_address_and_spares_the_sockets(kind: FaultKind, status: int) -> None:
    clock = ManualClock()
    async with open_simulator(config(), clock=clock) as sim, rest_of(sim) as rest:
        sim.strike(Fault(kind=kind, match="ticker", delay_ms=3000))
        assert (await rest.public("ticker", markets="KRW-BTC")).status_code == status
        answer = await rest.get("accounts")
        assert answer.status_code == status
        clock.advance(3 * SECOND)
        assert (await rest.get("accounts")).status_code == 200


async def test_a_repeated_content_type_is_refused() -> None:
    """Section 1: since 2026-07-31."""
    async with open_simulator(config()) as sim, rest_of(sim) as rest:
        headers = [("Content-Type", "application/json"), ("Content-Type", "application/json; charset=utf-8")]
        answer = await rest.client.post("/v1/orders", content=b"{}", headers=headers)
        assert refusal(answer) == (400, "bad_request")
        answer = await rest.client.post("/v1/orders", data={"market": "KRW-BTC"})
        assert refusal(answer) == (400, "bad_request")
        for body in (b"{", b"[]", b'{"market":{}}'):
            answer = await rest.client.post("/v1/orders", content=body, headers=dict(headers[:1]))
            assert refusal(answer) == (400, "validation_error")


async def test_bodies_of_reads_count_where_the_rules_say_so() -> None:
    """`body_parameters`: how the venue read requests before it asked for the query alone."""
    for flag, status in ((1, 200), (0, 401)):
        limits = attrs.evolve(UNLIMITED, body_parameters=flag)
        async with open_simulator(config(limits=limits)) as sim, rest_of(sim) as rest:
            row = await rest.place()
            for content, kind in (
                (f"uuid={row['uuid']}".encode(), "application/x-www-form-urlencoded"),
                (f'{{"uuid": "{row["uuid"]}"}}'.encode(), "application/json"),
            ):
                signed = token(rest.keys, [("uuid", row["uuid"])])
                headers = {"Authorization": f"Bearer {signed}", "Content-Type": kind}
                answer = await rest.client.request("GET", "/v1/order", content=content, headers=headers)
                assert answer.status_code == status
