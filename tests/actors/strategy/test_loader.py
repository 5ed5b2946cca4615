"""Loading strategies by name, by file and by entry point."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from actors.strategy import loader
from actors.strategy.loader import GROUP, read_params, strategy_class, strategy_factory
from actors.strategy.market_maker import MarketMaker
from actors.strategy.tfpe import Tfpe
from config import ConfigError, load_config
from config.schema import StrategyConfig

MINE = """
from bulkhead import Strategy

class Mine(Strategy):
    pass

class NotOne:
    pass
"""


def reason(call: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    return "\n".join(str(problem) for problem in caught.value.problems)


def test_shipped_ones() -> None:
    assert strategy_class("tfpe") is Tfpe
    assert strategy_class("market-maker") is MarketMaker


@pytest.mark.parametrize("profile", ["demo", "paper", "live"])
def test_every_strategy_of_the_shipped_profiles_can_be_made(profile: str) -> None:
    strategies: dict[str, StrategyConfig] = dict(load_config(profile).strategies)
    assert strategies
    for name, entry in strategies.items():
        make = strategy_factory(entry.kind, entry.params, key=f"strategies.{name}")
        assert make() is not make()


def test_a_file_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.py").write_text(MINE, encoding="utf-8")
    one = strategy_class("mine.py:Mine", base=tmp_path)
    two = strategy_class(f"{tmp_path}/other/mine.py:Mine")
    assert one.__name__ == two.__name__ == "Mine"
    assert one.__module__ != two.__module__


def test_a_file_called_like_a_module_of_python_does_no_harm(tmp_path: Path) -> None:
    import random

    (tmp_path / "random.py").write_text(MINE, encoding="utf-8")
    strategy_class("random.py:Mine", base=tmp_path)
    assert sys.modules["random"] is random


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "broken.py").write_text("1 / 0", encoding="utf-8")
    assert "nowhere.py is no file. Name an existing file" in reason(
        lambda: strategy_class("nowhere.py:X", base=tmp_path)
    )
    text = reason(lambda: strategy_class("mine.py:Mein", base=tmp_path, key="strategies.a.kind"))
    assert text.startswith("strategy mine.py:Mein: strategies.a.kind: ")
    assert "has no class 'Mein'. Did you mean `Mine`?" in text
    assert "is no Strategy. Derive it" in reason(lambda: strategy_class("mine.py:NotOne", base=tmp_path))
    modules = set(sys.modules)
    text = reason(lambda: strategy_class("broken.py:X", base=tmp_path))
    assert "fails when it is loaded: ZeroDivisionError('division by zero')" in text
    assert set(sys.modules) == modules
    text = reason(lambda: strategy_class("tfpee"))
    assert "there is no strategy 'tfpee'. Did you mean `tfpe`?" in text


def test_an_entry_point_of_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        [
            EntryPoint("third-party", "actors.strategy.tfpe:Tfpe", GROUP),
            EntryPoint("wrong", "actors.strategy.tfpe:Plan", GROUP),
            EntryPoint("gone", "no_such_package:X", GROUP),
        ]
    )
    monkeypatch.setattr(loader, "entry_points", lambda group: points.select(group=group))
    assert strategy_class("third-party") is Tfpe
    assert "is no Strategy" in reason(lambda: strategy_class("wrong"))
    assert "fails when it is loaded: ModuleNotFoundError" in reason(lambda: strategy_class("gone"))


def test_parameters_are_read_strictly_and_all_mistakes_are_told() -> None:
    params = {"treshold": 3, "adx_min": 20.5, "stop_mode": "loose"}
    text = reason(lambda: strategy_factory("tfpe", params, key="strategies.a"))
    assert "strategies.a.params.treshold: unknown key. Did you mean `threshold`?" in text
    assert "strategies.a.params.adx_min: was 20.5 (a float), must be a decimal in quotes." in text
    assert 'strategies.a.params.stop_mode: was \'loose\' (text). Write one of "frozen", "ratchet"' in text


def test_rules_between_parameters_are_told_as_well() -> None:
    text = reason(lambda: strategy_factory("tfpe", {"threshold": 9, "leverage": 0}, key="strategies.a"))
    assert "strategies.a.params: threshold must be from 1 to 7; leverage must be at least 1" in text


def test_a_strategy_without_parameters_takes_none(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    strategy_factory("mine.py:Mine", {}, base=tmp_path)()
    text = reason(lambda: strategy_factory("mine.py:Mine", {"x": 1}, base=tmp_path))
    assert "strategies.params.x: unknown key. Remove it: nothing may stand here" in text


def test_parameters_must_be_an_attrs_class() -> None:
    class Odd(Tfpe):
        Params = dict  # type: ignore[assignment]

    assert "is no attrs class. Decorate it with @attrs.frozen" in reason(lambda: read_params(Odd, {}))
