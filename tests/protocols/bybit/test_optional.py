"""What a message may leave out, say in a word of next year, or get wrong (sections 9, 14, 16)."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.enums import Liquidity, OrdType
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.orders import ExecutionReport
from protocols.positions import VenuePosition
from protocols.venue import Disposition, HttpReply, OrderState, Reply, UnrecognizedMessage
from tests.protocols.bybit.frames import (
    HEADER,
    LINEAR,
    RECEIVED_NS,
    SPOT,
    STAMP_NS,
    SYMBOL,
    acked,
    answer,
    codec,
    coin_row,
    envelope,
    execution_row,
    order_row,
    position_row,
    public,
    pushed,
    reply,
    wallet_row,
)
from tests.protocols.hostile import check_sane

CODECS = {product: codec(product) for product in (SPOT, LINEAR)}
PUBLIC = {product: public(product) for product in (SPOT, LINEAR)}
ORDER = {"symbol", "orderId", "side", "orderType", "orderStatus"}
EXECUTION = {"symbol", "orderId", "side", "execId", "execType", "execPrice", "execQty", "execTime"}
REQUIRED: dict[str, set[str]] = {
    "order": ORDER,
    "execution": EXECUTION,
    "position": {"symbol", "side", "size"},
}
ROWS: dict[str, dict[str, Any]] = {
    "order": order_row(stopOrderType="", triggerDirection=0, marketUnit="", lastPriceOnCreated=""),
    "execution": execution_row(marketUnit=""),
    "position": position_row(),
}
OPTIONAL = [
    (topic, name) for topic, row in ROWS.items() for name in row if name not in REQUIRED[topic] and name != "category"
]


def events(topic: str, *rows: dict[str, Any], product: Product = LINEAR) -> list[Any]:
    return list(CODECS[product].decode_private(pushed(topic, *rows), RECEIVED_NS))


@pytest.mark.parametrize("topic, name", OPTIONAL)
def test_null_is_the_same_as_absent(topic: str, name: str) -> None:
    """And costs neither its row nor the others."""
    row = ROWS[topic]
    without = {key: value for key, value in row.items() if key != name}
    (absent,) = events(topic, without)
    assert not isinstance(absent, UnrecognizedMessage)
    assert events(topic, row | {name: None}, row) == [absent, *events(topic, row)]
    if isinstance(row[name], str):
        assert events(topic, row | {name: ""}) == [absent]


def test_an_execution_that_does_not_say_who_made() -> None:
    (fill,) = events("execution", execution_row(isMaker=None))
    assert fill.liquidity is Liquidity.UNKNOWN


@pytest.mark.parametrize(
    "topic, changes, field",
    [
        ("order", {"positionIdx": 3}, "positionIdx"),
        ("order", {"side": "Both"}, "side"),
        ("order", {"orderStatus": "Frozen"}, "orderStatus"),
        ("order", {"orderType": "Iceberg"}, "orderType"),
        ("order", {"orderStatus": "Filled", "cumExecQty": ""}, "cumExecQty"),
        ("order", {"orderStatus": "PartiallyFilled"}, "cumExecQty"),
        ("order", {"stopOrderType": "Stop", "triggerDirection": 3}, "triggerDirection"),
        ("execution", {"execType": "Airdrop"}, "execType"),
        ("execution", {"execQty": "0"}, "execQty"),
        ("position", {"positionIdx": 7}, "positionIdx"),
        ("wallet", {"accountType": "OFNEXTYEAR"}, "accountType"),
    ],
)
def test_words_that_we_do_not_know_are_told_and_kept(topic: str, changes: dict[str, Any], field: str) -> None:
    sound = {"order": order_row(), "execution": execution_row(), "position": position_row()}
    rows = {**sound, "wallet": wallet_row(coin_row())}
    told, other = events(topic, rows[topic] | changes, rows[topic])
    assert isinstance(told, UnrecognizedMessage)
    assert [what.field for what in told.what] == [field]
    assert json.loads(told.raw) == rows[topic] | changes
    assert not isinstance(other, UnrecognizedMessage)


def test_money_counts_whatever_its_order_is_called() -> None:
    fill, told = events("execution", execution_row(orderType="Iceberg"))
    assert isinstance(fill, ExecutionReport)
    assert fill.last_qty
    assert isinstance(told, UnrecognizedMessage)
    (known,) = events("execution", execution_row(orderType="UNKNOWN", execType="BustTrade"))
    assert (known.text, known.ord_type) == ("BustTrade", OrdType.LIMIT)


def test_a_quantity_in_an_unknown_unit_is_not_taken_for_base() -> None:
    row = order_row(category="spot", orderType="Market", side="Sell", qty="60", marketUnit="thirdCoin")
    (got,) = events("order", row, product=SPOT)
    assert not got.order_qty


def test_a_classic_wallet_is_not_ours() -> None:
    assert events("wallet", wallet_row(coin_row(), accountType="CONTRACT")) == []


@pytest.mark.parametrize("unsaid", [{}, {"walletBalance": ""}, {"walletBalance": None}])
def test_money_that_is_not_said_is_not_taken_for_none(unsaid: dict[str, Any]) -> None:
    coin = {name: value for name, value in coin_row().items() if name != "walletBalance"} | unsaid
    with pytest.raises(RemoteProtocolError, match="walletBalance"):
        events("wallet", wallet_row(coin))


def test_a_position_whose_size_is_not_said_is_not_taken_for_flat() -> None:
    with pytest.raises(RemoteProtocolError, match="size"):
        events("position", position_row(size=""))


@pytest.mark.parametrize("side", ["", "None"])
def test_flat_in_old_words_and_new(side: str) -> None:
    (flat,) = events("position", position_row(side=side, size="0"))
    assert isinstance(flat, VenuePosition)
    assert not flat.qty


@pytest.mark.parametrize("header", [None, "", [], {}, HEADER | {"Timenow": 1767225600201, "X-Bapi-Limit": 10}])
@pytest.mark.parametrize("ext", [None, {}])
def test_an_acknowledgement_does_not_depend_on_what_comes_with_it(header: Any, ext: Any) -> None:
    raw = answer(acked(), header=header, retExtInfo=ext, retMsg=None)
    (got,) = CODECS[LINEAR].decode_entry(raw, RECEIVED_NS)
    assert isinstance(got, Reply)
    assert isinstance(got.report, OrderState)
    by_rest = CODECS[LINEAR].decode_rest_order("1", reply(envelope(acked(), retExtInfo=ext, retMsg=None)))
    assert by_rest.report is not None


def test_an_answer_that_does_not_say_its_time_is_an_answer() -> None:
    ours = CODECS[LINEAR]
    bodies = {"order": envelope(acked()), "wallet": envelope({"list": [wallet_row(coin_row())]})}
    for when in (None, 0):
        order = ours.decode_rest_order("1", reply(bodies["order"] | {"time": when}))
        assert order.error is None
        assert order.report is not None
        assert order.report.transact_ns == 0
        (balance,) = ours.decode_balances(reply(bodies["wallet"] | {"time": when}))
        assert (balance.total, balance.updated_ns) == (Decimal(10_000), 0)
    listed = envelope({"list": [order_row()], "category": "linear"}) | {"time": None}
    assert len(ours.decode_open_orders(reply(listed))) == 1


def test_the_tail_of_a_batch_waits_until_the_bucket_refills() -> None:
    """The first pass and the tail fails; the header says when there is room again (section 4.2)."""
    rows = [{"orderId": "1", "orderLinkId": "a"}, {"orderId": "", "orderLinkId": "b"}]
    outcomes = {"list": [{"code": 0, "msg": "OK"}, {"code": 10006, "msg": "Too many visits"}]}
    reset = {"X-Bapi-Limit-Reset-Timestamp": "1767225601201"}
    raw = answer({"list": rows}, "order.create-batch", retExtInfo=outcomes, header=HEADER | reset)
    (got,) = CODECS[LINEAR].decode_entry(raw, RECEIVED_NS)
    by_rest = CODECS[LINEAR].decode_rest_order(
        "1", reply(envelope({"list": rows}, retExtInfo=outcomes, time=1767225600201), headers=reset)
    )
    assert isinstance(got, Reply)
    for batch in (got, by_rest):
        passed, failed = batch.parts
        assert passed.report is not None
        assert failed.error is not None
        assert failed.error.disposition is Disposition.RATE_LIMITED
        assert failed.error.until_ns == RECEIVED_NS + 1_000_000_000
    assert got.usage[0].name == "/v5/order/create-batch"


# ---- every message that we have, mistaken ------------------------------------------------------------------------


def _messages(data_dir: Path) -> Iterator[tuple[str, Any]]:
    """How each message came, and itself: one of each shape."""

    def lines(path: Path) -> Iterator[dict[str, Any]]:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return (json.loads(line) for line in raw.splitlines() if line.strip())

    folder = data_dir / "bybit"
    for line in lines(folder / "payloads" / "jkorf.jsonl"):
        socket = "private" if "/Private/" in line["source"] else "public"
        for frame in line["frames"]:
            if frame["dir"] in ("recv", "event", "response"):
                yield {"endpoint": "rest", "socket": "entry"}.get(line["kind"], socket), frame["json"]
    for line in lines(folder / "payloads" / "nautilus.jsonl"):
        name = Path(line["source"]).stem
        account = any(word in name for word in ("account", "auth", "ack"))
        way = "rest" if name.startswith("http") else "private" if account else "public"
        yield "entry" if "order_response" in name else way, json.loads(line["raw"])
    for line in lines(folder / "payloads" / "gct_wsAuth.jsonl"):
        yield "private", line
    shapes = set()
    for path in sorted((folder / "ws").iterdir()):
        for line in lines(path):
            frame = json.loads(line["raw"]) if line["dir"] == "recv" else {}
            shape = (line["conn"], frame.get("topic", "").rpartition(".")[0], frame.get("type"), tuple(frame))
            if frame and shape not in shapes:
                shapes.add(shape)
                yield "public", frame


SPOILED: tuple[Any, ...] = (None, "", "OfNextYear", 7, [], {"brandNew": [1]})


def _spoiled(node: Any, whole: Any) -> Iterator[Any]:
    """The message with one of its values absent, null, empty or unknown; of lists the first element alone."""
    children = list(node.items()) if isinstance(node, dict) else list(enumerate(node[:1]))
    for key, child in children:
        for value in SPOILED:
            node[key] = value
            yield whole
        if isinstance(node, dict):
            del node[key]
            yield whole
        node[key] = child
        if isinstance(child, dict | list):
            yield from _spoiled(child, whole)


def _reads(way: str, product: Product, raw: bytes) -> list[Callable[[], object]]:
    ours, theirs = CODECS[product], PUBLIC[product]
    if way == "public":
        return [partial(theirs.decode, raw, RECEIVED_NS, 1)]
    if way != "rest":
        return [partial(ours.decode_private if way == "private" else ours.decode_entry, raw, RECEIVED_NS)]
    got = HttpReply(200, {}, raw, RECEIVED_NS, RECEIVED_NS)
    return [
        partial(ours.decode_rest_order, "1", got),
        partial(ours.decode_order_status, got),
        partial(ours.decode_fills, SYMBOL, got),
        partial(ours.decode_balances, got),
        partial(ours.decode_positions, got),
        partial(ours.continuation, ours.rest_cancel_all(SYMBOL, STAMP_NS), got, STAMP_NS),
        partial(theirs.decode_instruments, got),
        partial(theirs.decode_snapshot, Symbol("BTCUSDT"), got, 1),
        partial(theirs.decode_candles, SYMBOL, 60_000_000_000, got),
        partial(theirs.decode_tickers, got),
    ]


def test_every_recorded_message_with_one_value_spoiled(data_dir: Path) -> None:
    """Events, an error of ours, or the word that we do not know: nothing else, and no absurd number."""
    tried = 0
    for way, message in _messages(data_dir):
        whole = copy.deepcopy(message)
        if isinstance(whole, dict) and isinstance(whole.get("result"), dict) and "list" in whole["result"]:
            whole["result"]["list"] = whole["result"]["list"][:2]
        for spoiled in _spoiled(whole, whole):
            raw = msgspec.json.encode(spoiled)
            product = LINEAR if tried % 2 else SPOT
            tried += 1
            for read in _reads(way, product, raw):
                try:
                    got = read()
                except RemoteProtocolError:
                    continue  # an answer that is refused is a good answer
                check_sane(got)
    assert tried > 5_000
