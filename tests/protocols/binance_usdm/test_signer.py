"""The published and own signature vectors (reference section 4), exact, and the published one that is wrong."""

from __future__ import annotations

import json

import pytest

from protocols.errors import ConfigError
from protocols.venues.binance_spot.signer import signer_for as spot_signer_for
from protocols.venues.binance_usdm import BinanceUsdmPrivate
from protocols.venues.binance_usdm.signer import HmacSigner, signer_for
from tests.protocols.binance_usdm.frames import ACCOUNT, PEM, new_order

KEY = "dbefbc809e3e83c283a984c3a1459732ea7db1360ca80c5c2c8867408d28cc83"
SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"

U1 = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943"
U2 = (
    "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
    + "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943"
)
U3 = (
    f"apiKey={KEY}&positionSide=BOTH&price=9000&quantity=1&recvWindow=5000&side=BUY&symbol=BTCUSDT"
    "&timeInForce=GTC&timestamp=1591702613943&type=LIMIT"
)
HMAC_VECTORS = {
    "U1": (U1, "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"),
    "U2": (U2, "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4"),
    "U2x": (
        U2.replace("timestamp=", "timestamp= "),
        "f9d0ae5e813ef6ccf15c2b5a434047a0181cb5a342b903b367ca6d27a66e36f2",
    ),
    "U3": (U3, "4729ccdea2e24a12a3d3e5877622b0ad2dbaea53d435682939070290835c4674"),
}
U4 = "mokPyfoqtkqvaIfvDlcqfuJls6jar6Dh966EmALq2qgZZVEL7LWBw96z1yJ+2pfqosoLJtsMzqTETcSp8x1SAw=="


@pytest.mark.req("R082")
@pytest.mark.parametrize("name", HMAC_VECTORS)
def test_hmac_vectors(name: str) -> None:
    """U2x is the value that the venue publishes for U2: it belongs to a text with a stray blank."""
    payload, expected = HMAC_VECTORS[name]
    assert HmacSigner(KEY, SECRET).sign(payload.encode()) == expected


@pytest.mark.req("R082")
def test_ed25519_vector() -> None:
    assert signer_for("TESTKEY", PEM).sign(U1.encode()) == U4


@pytest.mark.req("R082")
def test_a_signed_frame_is_signed_over_its_sorted_parameters() -> None:
    codec = BinanceUsdmPrivate(ACCOUNT, signer_for(KEY, SECRET), recv_window_ms=5000)
    frame = codec.new_order(new_order(), "r1", 1_591_702_613_943_000_000, logged_on=False)
    sent = json.loads(frame.text)["params"]
    payload = "&".join(f"{name}={sent[name]}" for name in sorted(sent) if name != "signature")
    assert sent["apiKey"] == KEY
    assert sent["signature"] == HmacSigner(KEY, SECRET).sign(payload.encode())
    assert f"apiKey={KEY}&newClientOrderId=" in payload


def test_all_products_take_the_same_keys() -> None:
    assert signer_for is spot_signer_for


def test_no_error_repeats_a_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        signer_for(KEY, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwsecret\n-----END PRIVATE KEY-----")
    assert "MC4CAQAw" not in str(caught.value)
