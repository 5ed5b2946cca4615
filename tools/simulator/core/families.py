"""The venue families there are: name to package, imported when asked for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import TypeVar

from tools.simulator.core.dialect import Family, Instrument

PACKAGES = {
    "binance-spot": "binance_spot",
    "binance-usdm": "binance_usdm",
    "bybit": "bybit",
    "okx": "okx",
    "upbit": "upbit",
}
_DIALECTS = "tools.simulator.dialects"

Listed = TypeVar("Listed", bound=Instrument)


def _module(package: str) -> str:
    return f"{_DIALECTS}.{package}.family"


def available() -> tuple[str, ...]:
    """The families whose package is here."""
    found = []
    for name, package in PACKAGES.items():
        folder = importlib.util.find_spec(f"{_DIALECTS}.{package}")
        if folder is not None and importlib.util.find_spec(_module(package)) is not None:
            found.append(name)
    return tuple(found)


def load(name: str) -> Family:
    """The family of that name.  Raises ValueError that names those that exist."""
    package = PACKAGES.get(name)
    if package is None or name not in available():
        raise ValueError(f"venue {name!r}: no such family here; there are {', '.join(available())}")
    family: Family = importlib.import_module(_module(package)).FAMILY
    return family


def select(known: Iterable[Listed], wanted: tuple[str, ...], *, source: str = "") -> list[Listed]:
    """Of `known` those whose market key or name is wanted, in the order wanted; all where nothing is.

    `source` is the file they come from, if any.  Raises ValueError naming what is not there, with some of what is.
    """
    everything = list(known)
    if not wanted:
        return everything
    chosen: dict[str, Listed] = {}
    missing = []
    for word in wanted:
        found = [each for each in everything if word in (each.spec.symbol, each.spec.name)]
        if not found:
            missing.append(word)
        chosen.update((each.spec.symbol, each) for each in found)
    if missing:
        some = ", ".join(each.spec.symbol for each in everything[:20])
        where = f"{source}: no instrument" if source else "no built-in instrument"
        raise ValueError(f"{where} {', '.join(missing)}; known are {some}")
    return list(chosen.values())
