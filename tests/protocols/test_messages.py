"""What all messages and records promise: typed, closed, without floats, and immutable to whoever checks types.

At run time a message is an unfrozen slots class, because construction of a frozen one costs three times as much
(`protocols.base`).  That it is never changed is therefore a promise of the type checker, and is tested with it.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
import typing
from decimal import Decimal
from pathlib import Path
from types import UnionType

import attrs
import pytest
from mypy import api as mypy

import protocols
from protocols import base, enums
from protocols.base import Command, Delivery, MarketData, Message, Query, RefusalReason

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.iter_modules(protocols.__path__, "protocols.")
    if not module.ispkg
]
RECORDS = [
    cls
    for module in MODULES
    for cls in vars(module).values()
    if inspect.isclass(cls) and cls.__module__ == module.__name__ and attrs.has(cls)
]
MESSAGES = [cls for cls in RECORDS if issubclass(cls, Message)]
VOCABULARIES = [
    cls
    for module in MODULES
    for cls in vars(module).values()
    if inspect.isclass(cls) and issubclass(cls, enum.Enum) and cls.__module__ == module.__name__
]
MONEY_NAMES = ("price", "qty", "_px", "cum_quote", "fee", "free", "locked", "realized", "notional", "bid_", "ask_")
KIND_NAMES = {
    "side": enums.Side,
    "aggressor": enums.Side,
    "ord_type": enums.OrdType,
    "ord_status": enums.OrdStatus,
    "exec_type": enums.ExecType,
    "time_in_force": enums.TimeInForce,
    "exec_inst": enums.ExecInst,
    "liquidity": enums.Liquidity,
}


def parts(annotation: object) -> set[object]:
    """All types that an annotation mentions."""
    found = {typing.get_origin(annotation) or annotation}
    for argument in typing.get_args(annotation):
        found |= parts(argument)
    return found


def fields(cls: type) -> dict[str, set[object]]:
    hints = typing.get_type_hints(cls)
    return {field.name: parts(hints[field.name]) for field in attrs.fields(cls)}


def test_there_are_messages_to_look_at() -> None:
    assert len(MESSAGES) > 50
    assert len(RECORDS) > len(MESSAGES)
    assert len(VOCABULARIES) > 15


@pytest.mark.req("R064")
@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_money_is_decimal_and_nothing_is_float(cls: type) -> None:
    for name, mentioned in fields(cls).items():
        assert float not in mentioned, f"{cls.__name__}.{name}"
        if (
            name != "fee_asset"
            and any(part in name for part in MONEY_NAMES)
            and mentioned <= {Decimal, int, str, type(None), UnionType}
        ):
            assert Decimal in mentioned, f"{cls.__name__}.{name}"


@pytest.mark.req("R060")
@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_kinds_are_enums(cls: type) -> None:
    for name, mentioned in fields(cls).items():
        if name in KIND_NAMES:
            assert KIND_NAMES[name] in mentioned, f"{cls.__name__}.{name}"
            assert str not in mentioned, f"{cls.__name__}.{name}"


@pytest.mark.req("R257")
@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_records_hold_no_mutable_containers(cls: type) -> None:
    for name, mentioned in fields(cls).items():
        assert mentioned.isdisjoint({list, dict, set, bytearray}), f"{cls.__name__}.{name}"


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_records_are_documented_and_have_slots(cls: type) -> None:
    assert cls.__doc__
    assert not cls.__doc__.startswith(f"{cls.__name__}(")
    assert "__dict__" not in dir(cls)


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
class TestEveryMessage:
    def test_its_family_is_the_one_of_its_base(self, cls: type[Message]) -> None:
        expected = (
            Delivery.COMMAND
            if issubclass(cls, Command | Query)
            else Delivery.MARKET
            if issubclass(cls, MarketData)
            else Delivery.EVENT
        )
        assert cls.delivery is expected

    def test_it_has_no_hash_to_pay_for(self, cls: type[Message]) -> None:
        """A message is a value that is passed on, not a key."""
        assert vars(cls)["__hash__"] is None

    def test_market_data_says_what_it_replaces(self, cls: type[Message]) -> None:
        if issubclass(cls, MarketData):
            assert cls.conflation_key is not MarketData.conflation_key


def test_the_bases_answer_for_who_does_not() -> None:
    assert Command().refusals(RefusalReason.POISON, "/x") == ()
    with pytest.raises(NotImplementedError):
        _ = MarketData().conflation_key


@pytest.mark.parametrize("cls", VOCABULARIES, ids=lambda cls: cls.__name__)
def test_vocabularies_have_no_synonyms(cls: type[enum.Enum]) -> None:
    assert len(cls.__members__) == len({member.value for member in cls.__members__.values()})
    assert cls.__doc__


@pytest.mark.slow
@pytest.mark.req("R142")
def test_the_type_checker_refuses_to_change_a_message(
    tmp_path: Path, repo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Immutable records, Decimal amounts and closed kinds: one wrong line each, and mypy names exactly these."""
    source = """\
from decimal import Decimal

from protocols.enums import Side
from protocols.market import Quote
from protocols.orders import NewOrder
from protocols.venue import Frame


def change(order: NewOrder, quote: Quote, frame: Frame) -> None:
    kept = order.order_qty + Decimal(1)
    order.order_qty = kept
    quote.bid_px = Decimal(1)
    frame.text = ""
    order.side = Side.SELL
    wrong: Decimal = order.order_qty * 1.5
    side: Side = "BUY"
"""
    monkeypatch.chdir(repo_root)  # where mypy finds our packages
    snippet = tmp_path / "snippet.py"
    snippet.write_text(source)
    output, errors, status = mypy.run(["--strict", "--no-error-summary", "--config-file", "", str(snippet)])
    assert (errors, status) == ("", 1)
    reported = [line for line in output.splitlines() if line.startswith(str(snippet)) or "snippet.py" in line]
    codes = {int(line.split(":")[1]): line.rpartition("[")[2].rstrip("]") for line in reported if ": error:" in line}
    assert codes == {11: "misc", 12: "misc", 13: "misc", 14: "misc", 15: "operator", 16: "assignment"}
    assert base.message is attrs.define
