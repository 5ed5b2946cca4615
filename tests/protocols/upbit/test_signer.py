"""The reference's vectors of section 2, exact; and the secret stays inside."""

from __future__ import annotations

import copy
import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ConfigError
from protocols.venue import Signer
from protocols.venues.upbit.requests import hash_text, wire_query
from protocols.venues.upbit.signer import JwtSigner, signer_for
from tests.protocols.upbit.frames import KEY, SECRET

NONCE = "00000000-0000-4000-8000-000000000001"
HS512, HS256 = JwtSigner(KEY, SECRET), JwtSigner(KEY, SECRET, "HS256")

NOTHING_PAYLOAD = (
    "eyJhY2Nlc3Nfa2V5IjoiYnVsa2hlYWRBY2Nlc3NLZXkwMDAwMDAwMDAwMDAwMDAwMDAwMDAwIiwibm9uY2UiOiIwMDAwMDAwMC0wMDAwLTQwMDAtODAw"
    "MC0wMDAwMDAwMDAwMDEifQ"
)
POST = [("market", "KRW-BTC"), ("side", "bid"), ("volume", "0.01"), ("price", "100.0"), ("ord_type", "limit")]
STATES = [("states[]", "wait"), ("states[]", "watch"), ("page", "1")]
TIMES = [("start_time", "2026-01-02T03:04:05+09:00"), ("limit", "10")]
UUIDS = [("uuid", "00000000-0000-4000-8000-0000000000aa")]


@pytest.mark.req("R082")
def test_no_parameters() -> None:
    """Vector 1 and 2."""
    assert HS512.token(NONCE, "") == (
        f"eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.{NOTHING_PAYLOAD}."
        "H5jT64xJ_PNQRxJgBEIYy1tJqFTKWENI_Mc_69nBATPFYoyynQ17T9J7XjpikJ7I98jAzfnfXSbak2L_RaMTQA"
    )
    header, payload, signature = HS256.token(NONCE, "").split(".")
    assert header != "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9"
    assert (payload, signature) == (NOTHING_PAYLOAD, "Smt9VLUW65i-i98MmOtCDHkpSyLxcSWE6gQBCxkc1dg")


@pytest.mark.req("R082")
@pytest.mark.parametrize(
    "pairs, text, digest",
    [
        (
            POST,
            "market=KRW-BTC&side=bid&volume=0.01&price=100.0&ord_type=limit",
            "1db802a392c559d55c99662a20c6911ba9ea31a9f58bf92156af243ca1462b00"
            "4c6e6b27c934afefbde5ca15d28deb67e90cd619b466c9a3c2fe020ad2bbdd24",
        ),
        (
            STATES,
            "states[]=wait&states[]=watch&page=1",
            "9f9cd66dec405095b1643b23d6e054f4515de90c2cb0067633e13a8b99fda9aa"
            "c9d6b01f8538bd7ed5274c084ce892315f6bd058ff086cf8e39a2278892f174d",
        ),
        (
            TIMES,
            "start_time=2026-01-02T03:04:05+09:00&limit=10",
            "ccb79b6a8db840d3218e52d1b3f8e2930f4cb28ff4e14ad173710908379edbf7"
            "d2b49d4d4c6bfceb908e830bea1cdfd29dc03754014f262078b394847bb5d300",
        ),
        (
            UUIDS,
            "uuid=00000000-0000-4000-8000-0000000000aa",
            "fbf27565b39eb214c0c743da06a668c83761af872ad5ebf02214339d0f33907e"
            "442cdf4e7f991a029f7e46d1bf1bb755cdee5d0b15a066fd5bca05eed14a5830",
        ),
    ],
    ids=["3-post", "4-array", "5-encoded", "6-uuid"],
)
def test_query_hash(pairs: list[tuple[str, str]], text: str, digest: str) -> None:
    """Vectors 3 to 6: the hash is over the decoded text."""
    assert hash_text(pairs) == text
    assert hashlib.sha512(text.encode()).hexdigest() == digest


@pytest.mark.req("R082")
@pytest.mark.parametrize(
    "pairs, signer, signature",
    [
        (POST, HS512, "r3QdKo1mqQGgwpEXOEpJtUzWsUDEAJTTqb9ksD_jTtui7TOyyBRbeU-cJhHNcf1zDFTBjo3OJDolxDyrm0CtZg"),
        (POST, HS256, "Y9EoQVnhMaYEwx8d9SZA7lxl5_lMCyyi1KQQj33T5uY"),
        (STATES, HS512, "W9_sb7HCB1ybGPn2k8OoPnTNcWp4ZxFt27Ur_krVwUiSO_HNgOOGjI1dZ957-KYExfTrJkoK-FtXEgFKf4g-Jg"),
    ],
    ids=["3-HS512", "3-HS256", "4-HS512"],
)
def test_signatures(pairs: list[tuple[str, str]], signer: JwtSigner, signature: str) -> None:
    assert signer.token(NONCE, hash_text(pairs)).split(".")[2] == signature


@pytest.mark.req("R082")
def test_on_the_wire_all_but_the_brackets_of_arrays_is_encoded() -> None:
    assert wire_query(STATES) == "states[]=wait&states[]=watch&page=1"
    assert wire_query(TIMES) == "start_time=2026-01-02T03%3A04%3A05%2B09%3A00&limit=10"
    assert wire_query([("pairs", "KRW-BTC,KRW-ETH")]) == "pairs=KRW-BTC%2CKRW-ETH"


@pytest.mark.parametrize(
    "key, secret, algorithm, named",
    [("", SECRET, "HS512", "api_key"), ("key\n", SECRET, "HS512", "api_key"), ("ключ", SECRET, "HS512", "api_key"),
     (KEY, "", "HS512", "secret"), (KEY, SECRET, "none", "algorithm")],
)  # fmt: skip
def test_what_cannot_sign_is_a_configuration_error(key: str, secret: str, algorithm: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        JwtSigner(key, secret, algorithm)
    assert SECRET[:8] not in str(caught.value)


def test_a_secret_with_blanks_around_it_is_the_secret() -> None:
    assert signer_for(KEY, f"\n {SECRET} \n").token(NONCE, "") == HS512.token(NONCE, "")


class TestSecretStaysInside:
    def test_no_text_of_it_shows_secret_or_whole_key(self) -> None:
        for text in (repr(HS512), str(HS512), f"{[HS512]}", f"{vars(JwtSigner)}"):
            assert SECRET[:8] not in text
            assert KEY not in text

    def test_no_attribute_is_the_secret(self) -> None:
        for name in dir(HS512):
            assert getattr(HS512, name) not in (SECRET, SECRET.encode())

    def test_it_cannot_be_copied_out(self) -> None:
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="secret"):
                way(HS512)


def test_nothing_logs_on_with_it() -> None:
    signer: Signer = HS512
    assert not signer.can_logon


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_signing_depends_on_the_payload_alone(first: bytes, second: bytes) -> None:
    before = HS512.sign(first)
    HS512.sign(second)
    assert HS512.sign(first) == before
    assert (HS512.sign(second) == before) == (first == second)
