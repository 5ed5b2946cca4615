"""Signature vectors of the wire-protocol reference (section 4.2): published ones and exact Ed25519 results."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from tools.simulator.core.accounts import Account, ApiKey, KeyKind
from tools.simulator.dialects.binance_common import auth
from tools.simulator.dialects.binance_common.errors import VenueError
from tools.simulator.dialects.binance_common.params import text_of

A = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
S = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ED25519_PUBLIC = "MCowBQYDK2VwAyEAGUIKv9dSpWXBViXp2m6vAIb8QMFJYBgyFEQsFJlqgA0="
S1 = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
WIDE = "１２３４５６"  # full-width digits
WIDE_ENCODED = "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96"
ACCOUNT = Account(name="vectors", uid=1)
HMAC_KEY = ApiKey(A, KeyKind.HMAC, S, ACCOUNT)
ED_KEY = ApiKey("TESTKEY", KeyKind.ED25519, ED25519_PUBLIC, ACCOUNT)


def accepts(key: ApiKey, payload: str, signature: str) -> bool:
    try:
        auth.verify(key, payload, signature)
    except VenueError as error:
        if error.code != -1022:
            raise
        return False
    return True


@pytest.mark.parametrize(
    "query,body,signature",
    [
        pytest.param(S1, "", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71", id="S1"),
        pytest.param(
            S1.replace("LTCBTC", WIDE_ENCODED),
            "",
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
            id="S2",
        ),
        pytest.param(
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC",
            "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
            "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77",
            id="S5",
        ),
    ],
)
def test_rest_hmac_vectors(query: str, body: str, signature: str) -> None:
    where = (query + "&signature=" + signature, body) if not body else (query, body + "&signature=" + signature)
    payload, found = auth.rest_payload(*where)
    assert found == signature
    assert accepts(HMAC_KEY, payload, signature)
    assert accepts(HMAC_KEY, payload, signature.upper())
    assert not accepts(HMAC_KEY, payload + "0", signature)


def test_rest_signature_covers_the_text_as_sent() -> None:
    raw = S1.replace("LTCBTC", WIDE)
    assert not accepts(HMAC_KEY, raw, "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3")
    assert accepts(HMAC_KEY, raw, "ca2cdfbf21d2e2958de492c7f2dd1f059dd2ed4d4459d26a5ec7928db50c8d4f")


def ws_params(**more: object) -> dict[str, str]:
    values = {"apiKey": A, "side": "SELL", "symbol": "BTCUSDT", "timeInForce": "GTC", "type": "LIMIT"} | more
    return {name: text_of(value) for name, value in values.items()}


@pytest.mark.parametrize(
    "params,signature",
    [
        pytest.param(
            ws_params(price="52000.00", quantity="0.01000000", recvWindow=100, timestamp=1645423376532),
            "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
            id="S3",
        ),
        pytest.param(
            ws_params(
                price="0.10000000",
                quantity="1.00000000",
                recvWindow=5000,
                timestamp=1645423376532,
                side="BUY",
                symbol=WIDE,
            ),
            "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
            id="S4",
        ),
        pytest.param(
            {"apiKey": A, "timestamp": "1747385641636"},
            "681110a6057ad58657af22f5640fab9dd17418834cdfccdc81be8b0f7b2cde3e",
            id="S6",
        ),
    ],
)
def test_ws_hmac_vectors(params: dict[str, str], signature: str) -> None:
    payload = auth.ws_payload(params | {"signature": signature})
    assert accepts(HMAC_KEY, payload, signature)


def test_ws_signature_is_not_percent_encoded() -> None:
    encoded = "3638bee4d1f01e29fe7b2cabe7afdda17c3c8a56c844d0e1c3340ab75a670225"
    params = ws_params(
        price="0.10000000", quantity="1.00000000", recvWindow=5000, timestamp=1645423376532, side="BUY", symbol=WIDE
    )
    assert not accepts(HMAC_KEY, auth.ws_payload(params), encoded)


@pytest.mark.parametrize(
    "payload,signature",
    [
        pytest.param(
            "A\x01EXAMPLE\x01SPOT\x011\x0120240627-11:17:25.223",
            "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA==",
            id="E1",
        ),
        pytest.param(
            S1,
            "WfzGnDebxAC6/SQQ8IgxO2A8zV0I3v3OTWs0IkFAqkrVzaUtwtzJI7VQf3QCKbPbYawE7LohsWhJm55b7ZPBAQ==",
            id="E2",
        ),
        pytest.param(
            "apiKey=TESTKEY&timestamp=1700000000000",
            "yPN9U5r5SLMlMZBE/SOqMx5eWb0wPWIoGPwP84l7NWblKCRy5vNNM+77QT4Ef2+joXTrTe5r6MvBa7KBw6A2DQ==",
            id="E3",
        ),
        pytest.param(
            "apiKey=TESTKEY&recvWindow=5000&timestamp=1700000000000",
            "wAeGCGg0hb6cirDVppG30bNQODpO9LG6hgGds4Mo41RSUNqVxWIFt0BDH+JFqLzcXKpWBKNhs1kgf5bIPN0HDw==",
            id="E4",
        ),
        pytest.param(
            "apiKey=TESTKEY&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT"
            "&timeInForce=GTC&timestamp=1645423376532&type=LIMIT",
            "KthEy/S8Ug7wnuK9/mag+U5M34DYW/XgxiW418daX/M4bi85yG1uFGgFm6pETSRiumWxnnZVxYgzpPm7xMiiBA==",
            id="E5",
        ),
    ],
)
def test_ed25519_vectors(payload: str, signature: str) -> None:
    assert accepts(ED_KEY, payload, signature)
    assert not accepts(ED_KEY, payload + "1", signature)
    assert not accepts(ED_KEY, payload, "not base64!")


def test_rsa_signature_is_pkcs1_v15() -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = ApiKey("RSAKEY", KeyKind.RSA, public.decode(), ACCOUNT)
    signature = private.sign(S1.encode(), PKCS1v15(), hashes.SHA256())
    assert len(signature) == 256
    assert accepts(key, S1, base64.b64encode(signature).decode())
    assert not accepts(key, S1 + "0", base64.b64encode(signature).decode())


def test_an_rsa_signature_is_none_of_an_ed25519_key() -> None:
    key = ApiKey("K", KeyKind.ED25519, "no key at all", ACCOUNT)
    assert not accepts(key, S1, "AAAA")


@pytest.mark.parametrize(
    "timestamp,recv_window,code",
    [
        ("1790000000000", None, None),
        ("1790000000999", None, None),
        ("1790000001000", None, -1021),  # one second ahead is too much
        ("1789999995000", None, None),  # five seconds behind is just inside the default window
        ("1789999994999", None, -1021),
        ("1789999999000", "999.5", -1021),
        ("1789999999000", "1000", None),
        ("1790000000000000", None, None),  # microseconds
        ("1789999994999999", None, -1021),
        (None, None, -1102),
        ("soon", None, -1100),
        ("1790000000000", "60001", -1131),
        ("1790000000000", "1.2345", -1100),
    ],
)
def test_clock_rules(timestamp: str | None, recv_window: str | None, code: int | None) -> None:
    now_ns = 1_790_000_000_000 * 1_000_000
    if code is None:
        auth.check_time(timestamp, recv_window, now_ns)
        return
    with pytest.raises(VenueError) as caught:
        auth.check_time(timestamp, recv_window, now_ns)
    assert caught.value.code == code
