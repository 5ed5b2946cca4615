"""History of candles is paged through by one parameter: the bars that open before a time, each venue in its words."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from protocols.ids import Symbol
from protocols.venue import PublicCodec
from protocols.venues.registry import VENUES, VenueOptions

MINUTE_NS = 60_000_000_000
END_NS = 1_767_225_600_000_000_000  # 2026-01-01 00:00:00 UTC
SYMBOLS = {
    "binance-spot": "BTCUSDT",
    "binance-usdm": "BTCUSDT",
    "bybit-spot": "BTCUSDT",
    "bybit-linear": "BTCUSDT",
    "okx-spot": "BTC-USDT",
    "okx-swap": "BTC-USDT-SWAP",
    "upbit": "KRW-BTC",
}


def codec_of(kind: str) -> PublicCodec:
    return VENUES[kind].public(VenueOptions())


def asked(kind: str, limit: int, end_ns: int | None) -> dict[str, str]:
    request = codec_of(kind).candles_request(Symbol(SYMBOLS[kind]), MINUTE_NS, limit, end_ns)
    return dict(parse_qsl(request.query)) | {"path": request.path}


def test_every_kind_of_venue_is_asked() -> None:
    assert SYMBOLS.keys() == VENUES.keys()


@pytest.mark.parametrize("kind, name, value", [
    ("binance-spot", "endTime", "1767225599999"),
    ("binance-usdm", "endTime", "1767225599999"),
    ("bybit-spot", "end", "1767225599999"),
    ("bybit-linear", "end", "1767225599999"),
    ("okx-spot", "after", "1767225600000"),
    ("okx-swap", "after", "1767225600000"),
    ("upbit", "to", "2026-01-01T00:00:00Z"),
])  # fmt: skip
def test_the_end_of_a_page_is_the_time_before_which_its_bars_open(kind: str, name: str, value: str) -> None:
    assert asked(kind, 10, END_NS)[name] == value
    assert name not in asked(kind, 10, None)


@pytest.mark.parametrize("kind", sorted(SYMBOLS))
def test_a_page_has_what_was_asked_for_up_to_what_the_venue_gives(kind: str) -> None:
    """Without an end one bar more is asked for, because the newest is open; with an end none of them is."""
    most = codec_of(kind).capabilities.candles_max
    counter = "count" if kind == "upbit" else "limit"
    assert asked(kind, 10, END_NS)[counter] == "10"
    assert asked(kind, 10, None)[counter] == "11"
    assert asked(kind, 10**6, END_NS)[counter] == str(most)


def test_okx_goes_further_back_at_another_path() -> None:
    assert asked("okx-spot", 10, END_NS)["path"].endswith("/history-candles")
    assert asked("okx-spot", 10, None)["path"].endswith("/candles")
