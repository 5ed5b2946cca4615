"""A success without its content says nothing: it is never taken for "no orders", "no money" or "flat"."""

from __future__ import annotations

import pytest

from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.venue import HttpReply
from tests.protocols.payload_files import CODECS, RECEIVED_NS, rest_reads

X = Symbol("X")
EMPTY: dict[str, tuple[bytes, ...]] = {
    "binance_spot": (b"{}", b"null", b'{"balances":null}'),
    "binance_usdm": (b"{}", b"null"),
    "bybit": (
        b'{"retCode":0,"retMsg":"OK"}', b'{"retCode":0,"retMsg":"OK","result":null}',
        b'{"retCode":0,"retMsg":"OK","result":{}}', b'{"retCode":0,"retMsg":"OK","result":{"list":null}}',
    ),
    "okx": (b'{"code":"0","msg":""}', b'{"code":"0","msg":"","data":null}', b'{"code":"0","msg":"","data":{}}'),
    "upbit": (b"{}", b"null"),
}  # fmt: skip


@pytest.mark.parametrize("venue, body", [(venue, body) for venue, bodies in EMPTY.items() for body in bodies])
def test_an_answer_without_content_is_refused(venue: str, body: bytes) -> None:
    reply = HttpReply(200, {}, body, RECEIVED_NS, RECEIVED_NS)
    for pair in CODECS[venue]():
        reads = rest_reads(pair, X)
        assert reads.pop("decode_rest_order")(reply).error is not None
        for name, read in reads.items():
            if not name.startswith("error"):
                with pytest.raises(RemoteProtocolError):
                    read(reply)
