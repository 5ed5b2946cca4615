"""The control socket's wire format: what is a request, and what values look like on the way out."""

from __future__ import annotations

import enum
import json
from decimal import Decimal
from types import MappingProxyType

import attrs
import pytest

from actors.control.wire import Failure, Request, line, parse_request, plain
from protocols.enums import ExecInst, Side
from tests.actors.control.rig import MASTER, open_order, picture


class Colors(enum.Flag):
    """For values that are sums."""

    RED = 1
    BLUE = 2


def test_a_request_has_an_id_a_verb_and_arguments() -> None:
    assert parse_request(b'{"id": 1, "verb": "tree"}') == Request(1, "tree", {})
    assert parse_request(b'{"id": 2, "verb": "actor", "args": {"path": "/journal"}}').args == {"path": "/journal"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"tree",
        b"[1, 2]",
        b'{"verb": "tree"}',
        b'{"id": "1", "verb": "tree"}',
        b'{"id": 1, "verb": null}',
        b'{"id": 1, "verb": "tree", "args": []}',
        b'{"id": 1, "verb": "tree", "extra": 1}',
        b'{"id": 1, "verb": "tree"',
        b'\xff\xfe{"id": 1}',
        b'{"id": 1, "verb": "\\ud800"}',
    ],
)
def test_what_is_no_request_is_refused_with_an_example_of_one(text: bytes) -> None:
    with pytest.raises(Failure) as refused:
        parse_request(text)
    assert refused.value.error.startswith("not a request")
    assert '{"id": 1, "verb": "tree"}' in refused.value.fix


def test_values_travel_without_loss() -> None:
    shown = plain(open_order(in_doubt=True))
    assert shown["price"] == "100.10"
    assert shown["side"] == Side.BUY.value
    assert shown["exec_inst"] in ("NONE", ExecInst.NONE.value)
    assert shown["in_doubt"] is True
    assert plain(picture(MASTER))["positions"][0]["fees"] == [["BNB", "0.1"]]
    assert plain({"a": Decimal("1E-8"), "t": 1_700_000_000_123_456_789}) == {
        "a": "1E-8",
        "t": 1_700_000_000_123_456_789,
    }


def test_unusual_values_have_a_plain_form_too() -> None:
    @attrs.frozen
    class Odd:
        mapping: object
        names: frozenset[str]
        color: Colors
        anything: object

    shown = plain(Odd(MappingProxyType({"a": 1}), frozenset({"b", "a"}), Colors.RED, ValueError("text")))
    assert shown == {"mapping": {"a": 1}, "names": ["a", "b"], "color": "RED", "anything": "text"}
    assert plain(Colors(0)) == "NONE"


def test_a_line_is_one_line() -> None:
    text = line({"id": 1, "ok": True, "result": {"text": "two\nlines", "qty": Decimal("0.10")}})
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    assert json.loads(text)["result"] == {"text": "two\nlines", "qty": "0.10"}
