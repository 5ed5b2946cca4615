"""The vectors of the reference (section 2), exact, with their negative twins; what travels is what was signed."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ConfigError
from protocols.venue import Lane, Signer
from protocols.venues.okx import DEMO
from protocols.venues.okx.requests import SignedRequests, encoded, iso_stamp
from protocols.venues.okx.signer import OkxSigner, signer_for
from tests.protocols.okx.frames import KEY, PASSPHRASE, SECRET, codec, new_order

STAMP_NS = 1_767_225_600_123_000_000
STAMP = "2026-01-01T00:00:00.123Z"
ORDER = {
    "instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "buy", "posSide": "long", "ordType": "post_only", "sz": "1",
    "px": "60000", "clOrdId": "bh000001",
}  # fmt: skip
COMPACT = json.dumps(ORDER, separators=(",", ":"))
VECTORS = {
    "config": ("GET/api/v5/account/config", "nHKZoSoDmceiA9Q3si8VH4BCa57XqvkTdAqCqw/ZCg0="),
    "raw comma": ("GET/api/v5/account/balance?ccy=BTC,USDT", "NHHc+0qP+bIp4Z8HoSvyXr+od6UsmPV5RH0lCU3YhRk="),
    "encoded comma": ("GET/api/v5/account/balance?ccy=BTC%2CUSDT", "PiESZKXCcMg03yL9vANaULGrk+Y0vzK+8k+cSM/bnMY="),
    "order": (f"POST/api/v5/trade/order{COMPACT}", "slBWhmdAau6bAJvIsHZiQ1sttxfmK5VR7x56cyvlzrE="),
    "spaced order": (
        f"POST/api/v5/trade/order{json.dumps(ORDER)}",
        "bbyEp4r/6lGm3dmAo5lo+cru90S3H2VfsAtHTguyFn4=",
    ),
    "batch": (
        'POST/api/v5/trade/cancel-batch-orders[{"instId":"BTC-USDT","ordId":"1"}]',
        "9am7zl2EUe9JDdjRsjxGvlGekTJR3VQOXporsUMfLfI=",
    ),
}
LOGIN = ("1767225600GET/users/self/verify", "xAwkoxxdT90EXa5d1Z+CnxZcciHp4Fzt7+l0rqPIDxg=")


def signer() -> OkxSigner:
    return signer_for(KEY, f"{SECRET}:{PASSPHRASE}")


@pytest.mark.req("R082")
@pytest.mark.parametrize("name", VECTORS)
def test_rest_vectors(name: str) -> None:
    rest, signature = VECTORS[name]
    assert signer().sign(f"{STAMP}{rest}".encode()) == signature


def test_every_vector_is_another_signature() -> None:
    assert len({signature for _, signature in [*VECTORS.values(), LOGIN]}) == 7


@pytest.mark.req("R082")
def test_requests_sign_what_they_send() -> None:
    requests = SignedRequests(signer(), simulated=False)
    request = requests.get("/api/v5/account/config", "", STAMP_NS, "balance")
    assert request.headers == {
        "OK-ACCESS-KEY": KEY,
        "OK-ACCESS-PASSPHRASE": PASSPHRASE,
        "OK-ACCESS-TIMESTAMP": STAMP,
        "OK-ACCESS-SIGN": VECTORS["config"][1],
        "Content-Type": "application/json",
    }
    request = requests.get("/api/v5/account/balance", encoded([("ccy", "BTC,USDT")]), STAMP_NS, "balance")
    assert (request.query, request.headers["OK-ACCESS-SIGN"]) == ("ccy=BTC%2CUSDT", VECTORS["encoded comma"][1])
    posted = requests.post("/api/v5/trade/order", ORDER, STAMP_NS, Lane.NEW)
    assert (posted.method, posted.body, posted.headers["OK-ACCESS-SIGN"]) == ("POST", COMPACT, VECTORS["order"][1])
    batch = requests.post(
        "/api/v5/trade/cancel-batch-orders", [{"instId": "BTC-USDT", "ordId": "1"}], STAMP_NS, Lane.CANCEL
    )
    assert batch.headers["OK-ACCESS-SIGN"] == VECTORS["batch"][1]


def test_a_deadline_is_a_header_and_not_signed() -> None:
    requests = SignedRequests(signer(), simulated=False)
    plain, timed = (requests.post("/x", ORDER, STAMP_NS, Lane.NEW, window) for window in (0, 2000))
    assert "expTime" not in plain.headers
    assert timed.headers == {**plain.headers, "expTime": "1767225602123"}


def test_demo_requests_say_so() -> None:
    assert codec(endpoints=DEMO).rest_new_order(new_order(), STAMP_NS).headers["x-simulated-trading"] == "1"
    assert "x-simulated-trading" not in codec().rest_new_order(new_order(), STAMP_NS).headers


@pytest.mark.req("R082")
def test_the_login_is_stamped_in_seconds() -> None:
    frame = codec().logon("7", STAMP_NS)
    assert frame is not None
    assert json.loads(frame.text) == {
        "op": "login",
        "args": [{"apiKey": KEY, "passphrase": PASSPHRASE, "timestamp": "1767225600", "sign": LOGIN[1]}],
    }
    assert signer().sign(LOGIN[0].encode()) == LOGIN[1]


@pytest.mark.parametrize(
    "stamp_ns, text",
    [(STAMP_NS, STAMP), (0, "1970-01-01T00:00:00.000Z"), (STAMP_NS + 999_999, STAMP),
     (1_767_225_599_999_999_999, "2025-12-31T23:59:59.999Z")],
)  # fmt: skip
def test_time_text(stamp_ns: int, text: str) -> None:
    assert iso_stamp(stamp_ns) == text


@given(st.binary(max_size=200))
def test_signatures_are_base64_of_32_bytes_and_repeatable(payload: bytes) -> None:
    one = signer()
    assert one.sign(payload) == one.sign(payload) == signer().sign(payload)
    assert len(one.sign(payload)) == 44


def test_another_secret_signs_otherwise() -> None:
    assert signer_for(KEY, f"{SECRET}x:{PASSPHRASE}").sign(b"x") != signer().sign(b"x")


def test_the_secret_cannot_be_had_back() -> None:
    one: Signer = signer()
    assert one.can_logon
    assert SECRET not in repr(one)
    assert PASSPHRASE not in repr(one)
    for take in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="holds a secret"):
            take(one)
    assert not hasattr(one, "__dict__")
    held = [getattr(one, name) for name in OkxSigner.__slots__]
    assert SECRET not in "".join(map(repr, held))


def test_a_passphrase_may_hold_colons() -> None:
    assert signer_for(KEY, "secret:pass:word\n").passphrase == "pass:word"


@pytest.mark.parametrize(
    "key, secret, message",
    [
        (KEY, SECRET, "<secret>:<passphrase>"),
        (KEY, ":pass", "the secret is empty"),
        (KEY, f"{SECRET}:", "passphrase must be printable"),
        (KEY, f"{SECRET}:pässword", "passphrase must be printable"),
        ("", f"{SECRET}:pass", "api_key must be printable"),
        ("a\nb", f"{SECRET}:pass", "api_key must be printable"),
    ],
)
def test_unusable_keys_are_refused_without_showing_them(key: str, secret: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        signer_for(key, secret)
    assert SECRET not in str(refused.value)
