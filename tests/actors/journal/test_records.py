"""Lines: what goes in comes out, equal and of the same type; what was changed on the way is seen."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.journal.records import (
    HEADER_KIND,
    KINDS,
    SCHEMA_VERSION,
    SegmentHeader,
    decode_line,
    encode_line,
    fault_of,
    head_of,
    header_of,
    line_crc,
)
from protocols.base import Message
from protocols.enums import ExecInst
from protocols.errors import JournalError
from protocols.journal import CancelIntent, OrderIntent, Record
from tests.actors.journal.samples import KEY, START_NS, SUBJECT, fill, order
from tests.strategies import RECORD_KINDS, records, texts, values_of


def exact(value: object) -> object:
    """A picture of a value in which 1.0 and 1.00, a flag and its number, a tuple and a list are different."""
    if isinstance(value, Decimal):
        return ("Decimal", value.as_tuple())
    if isinstance(value, tuple | list):
        return (type(value).__name__, [exact(item) for item in value])
    if attrs.has(type(value)):
        names = [field.name for field in attrs.fields(cast(Any, type(value)))]
        return (type(value).__name__, [(name, exact(getattr(value, name))) for name in names])
    return (type(value).__name__, value)


@pytest.mark.parametrize("kind", RECORD_KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_kind_of_record_comes_back_as_it_went(kind: type[Message], data: st.DataObject) -> None:
    record = data.draw(values_of(kind))
    stored = decode_line(encode_line(7, START_NS, KEY, SUBJECT, record))
    assert exact(stored.record) == exact(record)
    assert (stored.seq, stored.written_ns, stored.key, stored.subject) == (7, START_NS, KEY, SUBJECT)


def test_every_kind_is_known_by_its_name() -> None:
    assert set(KINDS.values()) == set(RECORD_KINDS)
    assert HEADER_KIND not in KINDS


@given(key=texts, subject=texts, seq=st.integers(0, 10**15), record=records)
@example(key='a"b\\', subject='\n,"crc":"', seq=1, record=CancelIntent(order(1).cl_ord_id, 1))
def test_any_key_and_subject_survive(key: str, subject: str, seq: int, record: Record) -> None:
    line = encode_line(seq, START_NS, key, subject, record)
    assert line.count(b"\n") == 1
    head = head_of(line[:-1])
    assert (head.seq, head.key, head.subject, head.kind) == (seq, key, subject, type(record).__name__)
    assert exact(decode_line(line).record) == exact(record)


@given(record=records)
def test_a_line_is_json_in_the_documented_order(record: Record) -> None:
    line = encode_line(12, START_NS, KEY, SUBJECT, record)
    fields = json.loads(line)
    assert list(fields) == ["seq", "t", "key", "subject", "kind", "data", "crc"]
    assert fields["kind"] == type(record).__name__
    assert set(fields["data"]) == {f.name for f in attrs.fields(type(record))}
    body = line[: line.rindex(b',"crc"')]
    assert fields["crc"] == f"{crc32(body):08x}" == line_crc(line[:-1])


def test_money_is_text_and_flags_are_numbers() -> None:
    wish = attrs.evolve(order(1), exec_inst=ExecInst.POST_ONLY | ExecInst.REDUCE_ONLY)
    fields = json.loads(encode_line(1, START_NS, KEY, SUBJECT, OrderIntent(wish, START_NS)))
    assert fields["data"]["order"]["price"] == "50000.10"
    assert fields["data"]["order"]["exec_inst"] == 3
    assert fields["data"]["order"]["stop_px"] is None


@pytest.mark.req("R279")
def test_grep_and_jq_find_a_fill(tmp_path: Path) -> None:
    path = tmp_path / "000000000001.jsonl"
    path.write_bytes(b"".join(encode_line(i, START_NS, KEY, SUBJECT, fill(i)) for i in range(1, 4)))
    found = subprocess.run(["grep", "-c", '"trade_id":"2"', str(path)], capture_output=True, text=True, check=True)
    assert found.stdout == "1\n"
    query = 'select(.kind == "ExecutionReport" and .data.trade_id == "3") | .data.last_px'
    try:
        priced = subprocess.run(["jq", "-r", query, str(path)], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("jq is not installed here")
    assert priced.stdout == "50000.1\n"


def test_each_flipped_bit_of_a_line_is_seen() -> None:
    line = encode_line(7, START_NS, KEY, SUBJECT, fill(1))[:-1]
    assert fault_of(line) is None
    for at in range(len(line)):
        for bit in range(8):
            changed = line[:at] + bytes([line[at] ^ (1 << bit)]) + line[at + 1 :]
            assert fault_of(changed) is not None


def test_each_cut_of_a_line_is_seen() -> None:
    line = encode_line(7, START_NS, KEY, SUBJECT, fill(1))[:-1]
    assert all(fault_of(line[:at]) is not None for at in range(len(line)))


def test_faults_say_what_is_wrong() -> None:
    line = encode_line(7, START_NS, KEY, SUBJECT, fill(1))
    with pytest.raises(JournalError, match="no checksum at its end"):
        decode_line(line[:50])
    with pytest.raises(JournalError, match=r"the checksum says [0-9a-f]{8}, the bytes give [0-9a-f]{8}"):
        decode_line(line.replace(b'"seq":7', b'"seq":8'))


def with_crc(body: bytes) -> bytes:
    return b'%b,"crc":"%08x"}' % (body, crc32(body))


def test_a_right_checksum_over_something_else_is_no_record() -> None:
    with pytest.raises(JournalError, match="not a journal record though its checksum is right"):
        decode_line(with_crc(b'{"hello":1'))


@pytest.mark.parametrize(
    "body, reason",
    [
        (b'{"seq":3,"t":1,"key":"k","subject":"s","kind":"Teleported","data":{}', "of kind Teleported"),
        (b'{"seq":3,"t":1,"key":"k","subject":"s","kind":"CancelIntent","data":{"at_ns":1}', "cl_ord_id"),
        (
            b'{"seq":3,"t":1,"key":"k","subject":"s","kind":"CancelIntent","data":{"at_ns":"x","cl_ord_id":"a"}',
            "at_ns",
        ),
    ],
)
def test_records_of_another_version_are_named(body: bytes, reason: str) -> None:
    with pytest.raises(JournalError, match=f"record 3 is .*{reason}"):
        decode_line(with_crc(body))


def test_flags_of_another_version_are_named() -> None:
    line = encode_line(3, START_NS, KEY, SUBJECT, OrderIntent(order(1), START_NS))
    body = line[: line.rindex(b',"crc"')].replace(b'"exec_inst":0', b'"exec_inst":64')
    with pytest.raises(JournalError, match=r"record 3 is not a OrderIntent.*64.*exec_inst"):
        decode_line(with_crc(body))


@pytest.mark.parametrize("value", [object(), {1, 2}.__iter__(), "\ud800"], ids=["object", "iterator", "surrogate"])
def test_what_has_no_exact_text_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode_line(1, START_NS, KEY, SUBJECT, attrs.evolve(fill(1), text=value))


class TestHeader:
    header = SegmentHeader(SCHEMA_VERSION, "000000000001.jsonl", "0c1d2e3f")

    def line(self, header: SegmentHeader) -> bytes:
        return encode_line(9, START_NS, "", "journal", header)[:-1]

    def test_round_trip(self) -> None:
        line = self.line(self.header)
        assert header_of(line, head_of(line)) == self.header

    def test_a_newer_schema_is_not_guessed_at(self) -> None:
        line = self.line(attrs.evolve(self.header, schema=SCHEMA_VERSION + 1))
        with pytest.raises(JournalError, match=r"schema 2, this version of Bulkhead reads 1: start the version"):
            header_of(line, head_of(line))

    def test_another_record_is_no_header(self) -> None:
        line = encode_line(9, START_NS, KEY, SUBJECT, fill(1))[:-1]
        with pytest.raises(JournalError, match="first record is a ExecutionReport"):
            header_of(line, head_of(line))

    def test_a_header_without_its_fields_is_none(self) -> None:
        line = with_crc(b'{"seq":1,"t":1,"key":"","subject":"journal","kind":"SegmentHeader","data":{}')
        with pytest.raises(JournalError, match="segment header is not one"):
            header_of(line, head_of(line))
