"""Signatures: the reference's vectors (section 2), by the signer and end to end, and that no secret leaves a signer."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.enums import ExecInst
from protocols.errors import ConfigError
from protocols.ids import ClOrdID, Symbol
from protocols.venue import HttpRequest
from protocols.venues.bybit.requests import SignedRequests
from protocols.venues.bybit.signer import HmacSigner, RsaSigner, signer_for
from tests.protocols.bybit.frames import KEY, SECRET, STAMP_MS, STAMP_NS, codec, new_order

HEAD = f"{STAMP_MS}{KEY}5000"
BODY = (
    '{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"60000",'
    '"timeInForce":"PostOnly","positionIdx":0,"orderLinkId":"bh-000001"}'
)
QUERY = "category=linear&limit=50&symbol=BTCUSDT"
VECTORS = {
    "query": (f"{HEAD}{QUERY}", "70cd0049abe01402aa9f6b745c75996dd7f7e8be9dfa040ab4d0f8dcd506d26c"),
    "no query": (HEAD, "112d5efafc00f4cd05911edf56914470f2876afcb4ffa03f8426ab85c395c78c"),
    "compact body": (f"{HEAD}{BODY}", "d42192abb25cbecc7c86ad1dff2d1e6c28ebfb14161b10171fb859105e7d4827"),
    "spaced body": (
        f"{HEAD}{json.dumps(json.loads(BODY))}",
        "1e778e2d895abb12130e1e4b00035975651a8a01a33839fd92978ddab4ad7b75",
    ),
    "socket": ("GET/realtime1767225610123", "edb0ba781f9471d5f1920081621bd605b75918fd421b049feb236e83ea0bf61b"),
}


@pytest.mark.req("R082")
@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name: str) -> None:
    payload, expected = VECTORS[name]
    assert HmacSigner(KEY, SECRET).sign(payload.encode()) == expected


def signature(request: HttpRequest) -> str:
    return request.headers["X-BAPI-SIGN"]


class TestEndToEnd:
    """What the codec sends is what the vectors sign."""

    @pytest.mark.req("R082")
    def test_queries(self) -> None:
        rest = SignedRequests(signer_for(KEY, SECRET), 5000)
        params = (("category", "linear"), ("limit", "50"), ("symbol", "BTCUSDT"))
        request = rest.get("/v5/order/realtime", params, STAMP_NS)
        assert (request.query, request.body) == (QUERY, "")
        assert signature(request) == VECTORS["query"][1]
        assert signature(rest.get("/v5/account/info", (), STAMP_NS)) == VECTORS["no query"][1]

    @pytest.mark.req("R082")
    def test_an_order_as_the_codec_writes_it(self) -> None:
        order = new_order(cl_ord_id=ClOrdID("bh-000001"), exec_inst=ExecInst.POST_ONLY)
        request = codec().rest_new_order(order, STAMP_NS)
        assert request.body == BODY
        assert request.query == ""
        assert request.headers == {
            "X-BAPI-API-KEY": KEY,
            "X-BAPI-TIMESTAMP": str(STAMP_MS),
            "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": VECTORS["compact body"][1],
            "X-BAPI-SIGN-TYPE": "2",
            "Content-Type": "application/json",
        }

    @pytest.mark.req("R082")
    def test_a_logon_signs_ten_seconds_ahead(self) -> None:
        frame = codec().logon("l1", STAMP_NS)
        assert frame is not None
        assert json.loads(frame.text) == {
            "req_id": "l1",
            "reqId": "l1",
            "op": "auth",
            "args": [KEY, STAMP_MS + 10_000, VECTORS["socket"][1]],
        }

    @pytest.mark.req("R082")
    @given(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8),
        st.integers(1, 60_000),
    )
    @settings(max_examples=100)
    def test_what_is_signed_is_what_is_sent(self, symbol: str, window: int) -> None:
        private = codec(recv_window_ms=window)
        signer = HmacSigner(KEY, SECRET)
        name = Symbol(symbol)
        for request in (
            private.rest_new_order(new_order(symbol=name), STAMP_NS),
            private.rest_cancel_order(ClOrdID("a"), None, name, STAMP_NS),
            private.rest_amend_order(ClOrdID("a"), None, name, Decimal(1), STAMP_NS),
            private.rest_cancel_all(name, STAMP_NS),
            private.open_orders_request(name, STAMP_NS),
            private.fills_request(name, STAMP_NS, since_ns=STAMP_NS),
            private.positions_request(STAMP_NS, name),
            private.balances_request(STAMP_NS),
        ):
            sent = request.query if request.method == "GET" else request.body
            assert (request.body == "") is (request.method == "GET")
            assert signature(request) == signer.sign(f"{STAMP_MS}{KEY}{window}{sent}".encode())


# ---- kinds of keys -----------------------------------------------------------------------------------------------


def pem_of(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> str:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection).decode()


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_rsa_signs_by_pkcs1_v15() -> None:
    signer = signer_for(KEY, f"\n{pem_of(RSA_KEY)}")
    assert isinstance(signer, RsaSigner)
    signed = base64.b64decode(signer.sign(b"payload"))
    RSA_KEY.public_key().verify(signed, b"payload", padding.PKCS1v15(), hashes.SHA256())


def test_every_kind_of_key_logs_on() -> None:
    assert signer_for(KEY, SECRET).can_logon
    assert signer_for(KEY, pem_of(RSA_KEY)).can_logon


def test_a_weak_rsa_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="1024 bits"):
        signer_for(KEY, pem_of(rsa.generate_private_key(public_exponent=65537, key_size=1024)))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----",
        pem_of(RSA_KEY)[:80],
        pem_of(ed25519.Ed25519PrivateKey.generate()),
        pem_of(RSA_KEY, b"passphrase"),
    ],
    ids=["empty", "not-a-key", "torn", "wrong-kind", "encrypted"],
)
def test_a_secret_that_cannot_sign_is_a_configuration_error_without_the_secret(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        signer_for(KEY, secret)
    assert secret.strip() == "" or secret.splitlines()[1][:12] not in str(caught.value)


@pytest.mark.parametrize("api_key", ["", "key\nwith line", "ключ"])
def test_an_impossible_api_key_is_a_configuration_error(api_key: str) -> None:
    with pytest.raises(ConfigError, match="api_key"):
        signer_for(api_key, SECRET)


@pytest.mark.parametrize("signer", [signer_for(KEY, SECRET), signer_for(KEY, pem_of(RSA_KEY))], ids=["hmac", "rsa"])
class TestSecretStaysInside:
    def test_no_text_of_it_shows_secret_or_whole_key(self, signer: HmacSigner) -> None:
        for text in (repr(signer), str(signer), f"{[signer]}", repr(codec())):
            assert SECRET[:8] not in text
            assert KEY not in text

    def test_no_attribute_is_the_secret(self, signer: HmacSigner) -> None:
        for name in dir(signer):
            assert getattr(signer, name) not in (SECRET, SECRET.encode())

    def test_it_cannot_be_copied_out(self, signer: HmacSigner) -> None:
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="secret"):
                way(signer)
