"""The published and own signature vectors (reference section 4.2), exact, with their negative twins."""

from __future__ import annotations

import base64
import copy
import pickle

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ConfigError
from protocols.venue import Signer
from protocols.venues.binance_spot.signer import Ed25519Signer, HmacSigner, RsaSigner, signer_for

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
PEM_BODY = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u"
PEM = f"-----BEGIN PRIVATE KEY-----\n{PEM_BODY}\n-----END PRIVATE KEY-----\n"
WIDE_DIGITS = "１２３４５６"

S1 = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
S2 = (
    "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT&timeInForce=GTC"
    "&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
)
S2N = S2.replace("%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96", WIDE_DIGITS)
S3 = (
    f"apiKey={KEY}&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT"
    "&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
)
S4 = (
    f"apiKey={KEY}&price=0.10000000&quantity=1.00000000&recvWindow=5000&side=BUY&symbol={WIDE_DIGITS}"
    "&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
)
S4N = S4.replace(WIDE_DIGITS, "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96")
S5 = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC" + "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
)
S6 = f"apiKey={KEY}&timestamp=1747385641636"
E5 = (
    "apiKey=TESTKEY&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT"
    "&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
)

HMAC_VECTORS = {
    "S1": (S1, "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
    "S2": (S2, "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
    "S2n": (S2N, "ca2cdfbf21d2e2958de492c7f2dd1f059dd2ed4d4459d26a5ec7928db50c8d4f"),
    "S3": (S3, "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"),
    "S4": (S4, "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd"),
    "S4n": (S4N, "3638bee4d1f01e29fe7b2cabe7afdda17c3c8a56c844d0e1c3340ab75a670225"),
    "S5": (S5, "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"),
    "S6": (S6, "681110a6057ad58657af22f5640fab9dd17418834cdfccdc81be8b0f7b2cde3e"),
}
ED25519_VECTORS = {
    "E1": (
        b"A\x01EXAMPLE\x01SPOT\x011\x0120240627-11:17:25.223",
        "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA==",
    ),
    "E2": (
        S1.encode(),
        "WfzGnDebxAC6/SQQ8IgxO2A8zV0I3v3OTWs0IkFAqkrVzaUtwtzJI7VQf3QCKbPbYawE7LohsWhJm55b7ZPBAQ==",
    ),
    "E3": (
        b"apiKey=TESTKEY&timestamp=1700000000000",
        "yPN9U5r5SLMlMZBE/SOqMx5eWb0wPWIoGPwP84l7NWblKCRy5vNNM+77QT4Ef2+joXTrTe5r6MvBa7KBw6A2DQ==",
    ),
    "E4": (
        b"apiKey=TESTKEY&recvWindow=5000&timestamp=1700000000000",
        "wAeGCGg0hb6cirDVppG30bNQODpO9LG6hgGds4Mo41RSUNqVxWIFt0BDH+JFqLzcXKpWBKNhs1kgf5bIPN0HDw==",
    ),
    "E5": (
        E5.encode(),
        "KthEy/S8Ug7wnuK9/mag+U5M34DYW/XgxiW418daX/M4bi85yG1uFGgFm6pETSRiumWxnnZVxYgzpPm7xMiiBA==",
    ),
}


@pytest.mark.req("R082")
@pytest.mark.parametrize("name", HMAC_VECTORS)
def test_hmac_vectors(name: str) -> None:
    payload, expected = HMAC_VECTORS[name]
    assert HmacSigner(KEY, SECRET).sign(payload.encode()) == expected


def test_encoding_decides_the_signature() -> None:
    """The negative twins of S2 and S4: encoded and raw text must not sign alike."""
    assert HMAC_VECTORS["S2"][1] != HMAC_VECTORS["S2n"][1]
    assert HMAC_VECTORS["S4"][1] != HMAC_VECTORS["S4n"][1]


@pytest.mark.req("R082")
@pytest.mark.parametrize("name", ED25519_VECTORS)
def test_ed25519_vectors(name: str) -> None:
    payload, expected = ED25519_VECTORS[name]
    assert signer_for("TESTKEY", PEM).sign(payload) == expected


def test_the_published_private_key_has_the_derived_public_key() -> None:
    key = serialization.load_pem_private_key(PEM.encode(), None)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64encode(public) == b"MCowBQYDK2VwAyEAGUIKv9dSpWXBViXp2m6vAIb8QMFJYBgyFEQsFJlqgA0="


def rsa_pem(bits: int) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def test_rsa_signs_by_pkcs1_v15_and_repeats_itself() -> None:
    pem = rsa_pem(2048)
    signer = signer_for("TESTKEY", pem)
    signature = base64.b64decode(signer.sign(S1.encode()))
    assert len(signature) == 256
    assert base64.b64decode(signer.sign(S1.encode())) == signature
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    key.public_key().verify(signature, S1.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_a_weak_rsa_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="1024 bits"):
        signer_for("TESTKEY", rsa_pem(1024))


def test_only_ed25519_logs_on() -> None:
    assert signer_for("TESTKEY", PEM).can_logon
    assert not signer_for("TESTKEY", SECRET).can_logon
    assert not signer_for("TESTKEY", rsa_pem(2048)).can_logon


def test_the_kind_of_secret_picks_the_signer() -> None:
    assert isinstance(signer_for("TESTKEY", PEM), Ed25519Signer)
    assert isinstance(signer_for("TESTKEY", f"\n  {SECRET}\n"), HmacSigner)
    assert isinstance(signer_for("TESTKEY", rsa_pem(2048)), RsaSigner)
    assert signer_for(KEY, f" {SECRET}\n").sign(S1.encode()) == HMAC_VECTORS["S1"][1]


def ec_pem() -> str:
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{PEM_BODY[:20]}",
        ec_pem(),
        serialization.load_pem_private_key(PEM.encode(), None)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
        .decode(),
    ],
    ids=["empty", "not-a-key", "torn", "wrong-kind", "encrypted"],
)
def test_a_secret_that_cannot_sign_is_a_configuration_error_without_the_secret(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        signer_for("TESTKEY", secret)
    assert secret.strip() == "" or secret.splitlines()[1][:12] not in str(caught.value)


@pytest.mark.parametrize("api_key", ["", "key\nwith line", "ключ"])
def test_an_impossible_api_key_is_a_configuration_error(api_key: str) -> None:
    with pytest.raises(ConfigError, match="api_key"):
        signer_for(api_key, SECRET)


SIGNERS = [signer_for("TESTKEY-0123456789", SECRET), signer_for("TESTKEY-0123456789", PEM)]


@pytest.mark.parametrize("signer", SIGNERS, ids=["hmac", "ed25519"])
class TestSecretStaysInside:
    def test_no_text_of_it_shows_secret_or_whole_key(self, signer: Signer) -> None:
        for text in (repr(signer), str(signer), f"{signer}", f"{[signer]}", f"{vars(type(signer))}"):
            assert SECRET[:8] not in text
            assert PEM_BODY[10:30] not in text
            assert signer.api_key not in text

    def test_no_attribute_is_the_secret(self, signer: Signer) -> None:
        for name in dir(signer):
            value = getattr(signer, name)
            assert value not in (SECRET, SECRET.encode(), PEM, PEM.encode())

    def test_it_cannot_be_copied_out(self, signer: Signer) -> None:
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="secret"):
                way(signer)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_signing_depends_on_the_payload_alone(first: bytes, second: bytes) -> None:
    signer = SIGNERS[0]
    before = signer.sign(first)
    signer.sign(second)
    assert signer.sign(first) == before
    assert (signer.sign(second) == before) == (first == second)
