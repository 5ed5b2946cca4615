"""docs/configuration.md names every key with its default and its bounds, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import pytest

from config import schema

SECTIONS: Mapping[str, tuple[type, ...]] = {
    "[engine]": (schema.EngineConfig,),
    "[data]": (schema.DataConfig, schema.ControlConfig, schema.LogConfig),
    "[journal]": (schema.JournalConfig,),
    "[simulator]": (schema.SimulatorConfig,),
    "[venues.<kind>]": (schema.VenueConfig,),
    "[accounts.<name>]": (schema.AccountConfig,),
    "[accounts.<name>.keys.<venue>]": (schema.KeyConfig,),
    "[risk.firm]": (schema.LimitsConfig,),
    "[risk.firm.symbols.<SYMBOL>]": (schema.SymbolLimits,),
    "[strategies.<name>]": (schema.StrategyConfig,),
    "[supervision]": (schema.SupervisionConfig,),
}
"""First name in the heading of a section -> the classes whose fields it lists."""
PREFIXES = {schema.DataConfig: "data.", schema.ControlConfig: "control.", schema.LogConfig: "log."}


@pytest.fixture(scope="module")
def page(repo_root: Path) -> Mapping[str, Mapping[str, list[str]]]:
    """Section -> key -> the other cells of its row."""
    text = (repo_root / "docs" / "configuration.md").read_text(encoding="utf-8")
    found: dict[str, dict[str, list[str]]] = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title = part.partition("\n")[0].split("`")[1]
        rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| `")]
        found[title] = {row[0].strip("`"): [cell.strip(" |") for cell in row[1:]] for row in rows}
    return found


def fields() -> Iterator[tuple[str, str, attrs.Attribute[Any]]]:
    for section, classes in SECTIONS.items():
        for cls in classes:
            for field in attrs.fields(cls):
                yield section, PREFIXES.get(cls, "") + field.name, field


def default_text(value: object) -> str:
    """What must stand in the page; "" where words may say it better."""
    if value is attrs.NOTHING:
        return "must be given"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return f'`"{value}"`'
    if isinstance(value, Enum):
        return f"`{value.value}`"
    return f"`{value}`" if isinstance(value, str | Path) and str(value) else ""


def bounds_text(metadata: Mapping[Any, Any]) -> str:
    low, high = metadata.get("low"), metadata.get("high")
    if low is None:
        return ""
    return f"{low} or more" if high is None else f"{low} to {high}"


def test_every_key_is_in_the_page_and_every_key_of_the_page_is_one(
    page: Mapping[str, Mapping[str, list[str]]],
) -> None:
    known = {(section, key) for section, key, _ in fields()}
    assert {(section, key) for section, rows in page.items() for key in rows} == known


@pytest.mark.parametrize("section, key, field", list(fields()), ids=lambda each: each if isinstance(each, str) else "")
def test_the_page_says_default_and_bounds_as_the_schema_does(
    page: Mapping[str, Mapping[str, list[str]]], section: str, key: str, field: attrs.Attribute[Any]
) -> None:
    default, may_be, *_ = page[section][key]
    if default_text(field.default):
        assert default == default_text(field.default)
    else:
        assert default, "words say what holds without it"
    if bounds_text(field.metadata):
        assert may_be == bounds_text(field.metadata)
