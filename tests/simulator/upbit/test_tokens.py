"""Tokens (reference section 2): the published vectors pass, everything that is not quite one is refused by name."""

from __future__ import annotations

import hashlib
from typing import Any

import jwt
import pytest

from tests.simulator.upbit.kit import quiet_venue, refusal, rest_of, token
from tools.simulator.core.accounts import AccountBook, KeyKind
from tools.simulator.dialects.upbit.auth import Gate
from tools.simulator.dialects.upbit.errors import VenueError
from tools.simulator.dialects.upbit.params import Pairs

ACCESS = "bulkheadAccessKey0000000000000000000000"
SECRET = "bulkheadSecretKey000000000000000000000000000000000000000000000000"
ORDER: Pairs = [
    ("market", "KRW-BTC"), ("side", "bid"), ("volume", "0.01"), ("price", "100.0"), ("ord_type", "limit"),
]  # fmt: skip
STATES: Pairs = [("states[]", "wait"), ("states[]", "watch"), ("page", "1")]
WITHOUT = (
    "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJhY2Nlc3Nfa2V5IjoiYnVsa2hlYWRBY2Nlc3NLZXkwMDAwMDAwMDAwMDAwMDAwMDAwMDAwIi"
    "wibm9uY2UiOiIwMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDEifQ.H5jT64xJ_PNQRxJgBEIYy1tJqFTKWENI_Mc_69nBATPFYo"
    "yynQ17T9J7XjpikJ7I98jAzfnfXSbak2L_RaMTQA"
)
HS256_SIGNATURE = "Smt9VLUW65i-i98MmOtCDHkpSyLxcSWE6gQBCxkc1dg"
NONCE = "00000000-0000-4000-8000-000000000001"


def gate() -> Gate:
    accounts = AccountBook()
    accounts.add_key(accounts.create("one", {}), ACCESS, KeyKind.HMAC, SECRET)
    return Gate(accounts)


def signed(pairs: Pairs, algorithm: str = "HS512", secret: str = SECRET, **changed: Any) -> str:
    claims: dict[str, Any] = {"access_key": ACCESS, "nonce": NONCE}
    if pairs:
        text = "&".join(f"{name}={value}" for name, value in pairs)
        claims |= {"query_hash": hashlib.sha512(text.encode()).hexdigest(), "query_hash_alg": "SHA512"}
    claims = {name: value for name, value in (claims | changed).items() if value is not None}
    return "Bearer " + jwt.encode(claims, secret, algorithm=algorithm)


def refused(authorization: str | None, pairs: Pairs) -> tuple[int, Any]:
    with pytest.raises(VenueError) as error:
        gate().admit(authorization, pairs)
    return error.value.status, error.value.name


def test_the_published_vectors_pass() -> None:
    assert gate().admit(f"Bearer {WITHOUT}", []).api_key == ACCESS
    assert signed([]) == f"Bearer {WITHOUT}"
    assert signed([], "HS256").endswith(HS256_SIGNATURE)


@pytest.mark.parametrize("algorithm", ["HS512", "HS256"])
@pytest.mark.parametrize("pairs", [[], ORDER, STATES])
def test_both_algorithms_are_taken(algorithm: str, pairs: Pairs) -> None:
    assert gate().admit(signed(pairs, algorithm), pairs).account.name == "one"


@pytest.mark.parametrize("authorization, pairs, name", [
    (None, [], "no_authorization_token"),
    ("Basic abc", [], "no_authorization_token"),
    ("Bearer ", [], "no_authorization_token"),
    ("Bearer a.b", [], "jwt_verification"),
    ("Bearer a.b.c", [], "jwt_verification"),
    ("Bearer W10.W10.eA", [], "jwt_verification"),
    (signed([], "HS384"), [], "jwt_verification"),
    (signed([], secret="x" * 64), [], "jwt_verification"),
    (signed([], access_key="another"), [], "invalid_access_key"),
    (signed([], nonce=None), [], "jwt_verification"),
    (signed([], nonce="1"), [], "jwt_verification"),
    (signed(ORDER), [*ORDER, ("smp_type", "none")], "invalid_query_payload"),
    (signed(ORDER), ORDER[::-1], "invalid_query_payload"),
    (signed([]), ORDER, "invalid_query_payload"),
    (signed(ORDER), [], "invalid_query_payload"),
    (signed(ORDER, query_hash_alg="sha512"), ORDER, "invalid_query_payload"),
    (signed(ORDER, query_hash_alg=None), ORDER, "invalid_query_payload"),
])  # fmt: skip
def test_what_is_not_quite_a_token_is_refused(authorization: str | None, pairs: Pairs, name: str) -> None:
    assert refused(authorization, pairs) == (401, name)


def test_a_nonce_comes_once() -> None:
    one = gate()
    one.admit(signed([]), [])
    with pytest.raises(VenueError, match="nonce_used"):
        one.admit(signed([]), [])
    one.admit(signed([], nonce="00000000-0000-4000-8000-000000000002"), [])


def test_a_refused_token_does_not_use_its_nonce_up() -> None:
    one = gate()
    with pytest.raises(VenueError, match="invalid_query_payload"):
        one.admit(signed(ORDER), [])
    assert one.admit(signed(ORDER), ORDER).api_key == ACCESS


async def test_values_are_hashed_decoded() -> None:
    """Section 2.1: `:`, `+` and `,` are percent-encoded on the wire and plain in what is hashed."""
    times = ("start_time", "2026-11-18T03:04:05+09:00"), ("end_time", "2026-11-19T03:04:05+09:00")
    async with quiet_venue() as sim, rest_of(sim) as rest:
        answer = await rest.get("orders/closed", *times, ("limit", "10"))
        assert (answer.status_code, answer.json()) == (200, [])
        encoded = "start_time=2026-11-18T03%3A04%3A05%2B09%3A00"
        wrong = hashlib.sha512(encoded.encode()).hexdigest()
        answer = await rest.signed("GET", "orders/closed", list(times[:1]), query_hash=wrong)
        assert refusal(answer) == (401, "invalid_query_payload")


async def test_numbers_of_a_body_are_hashed_as_they_were_written() -> None:
    body = b'{"market":"KRW-BTC","side":"bid","ord_type":"limit","price":150000000.0,"volume":0.0010}'
    pairs = [("market", "KRW-BTC"), ("side", "bid"), ("ord_type", "limit"), ("price", "150000000.0"),
             ("volume", "0.0010")]  # fmt: skip
    async with quiet_venue() as sim, rest_of(sim) as rest:
        headers = {"Authorization": f"Bearer {token(rest.keys, pairs)}", "Content-Type": "application/json"}
        answer = await rest.client.post("/v1/orders", content=body, headers=headers)
        assert answer.status_code == 201, answer.text


async def test_a_key_that_may_not_trade_may_read() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        sim.exchange.accounts.keys[rest.keys.hmac_key].can_trade = False
        assert (await rest.get("accounts")).status_code == 200
        answer = await rest.post("orders", market="KRW-BTC", side="ask", ord_type="market", volume="1")
        assert refusal(answer) == (403, "out_of_scope")


async def test_a_revoked_key_is_refused() -> None:
    async with quiet_venue() as sim, rest_of(sim) as rest:
        sim.venue.revoke_key(rest.keys.hmac_key)
        assert refusal(await rest.get("accounts")) == (401, "expired_access_key")
        with pytest.raises(ValueError, match="no API key"):
            sim.venue.revoke_key("nobody")
