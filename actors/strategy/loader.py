"""From `kind` in a configuration to a strategy class, and from its parameter table to parameters.

* `tfpe`, `market-maker`: shipped.
* `path/to/file.py:ClassName`: a user's file, loaded by its path.  Its folder is *not* put on `sys.path`: a file called
  `random.py` beside it must not become the engine's `random`.
* any other word: an entry point of the group `bulkhead.strategies` of an installed package.

Parameters are read as strictly as the configuration itself: unknown keys, wrong types and impossible values are
reported together, each with its fix.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import attrs

from actors.strategy.base import Strategy
from actors.strategy.market_maker import MarketMaker
from actors.strategy.tfpe import Tfpe
from config.errors import ConfigError, Problem
from config.structure import nearest, sentence, structure

SHIPPED: Mapping[str, type[Strategy]] = {"tfpe": Tfpe, "market-maker": MarketMaker}
GROUP = "bulkhead.strategies"


def strategy_class(kind: str, *, base: Path | None = None, key: str = "kind") -> type[Strategy]:
    """The class that `kind` names; a relative file starts at `base` (the working directory).

    ConfigError when there is none, it cannot be loaded, or it is no Strategy.
    """
    if kind in SHIPPED:
        return SHIPPED[kind]
    if ".py:" in kind:
        return _from_file(kind, base or Path.cwd(), key)
    return _from_entry_point(kind, key)


def strategy_factory(
    kind: str, params: Mapping[str, Any], *, base: Path | None = None, key: str = "strategies"
) -> Callable[[], Strategy]:
    """A maker of fresh strategies with these parameters; what can be wrong is wrong now, not at a restart."""
    cls = strategy_class(kind, base=base, key=f"{key}.kind")
    values = read_params(cls, params, key=f"{key}.params")
    return lambda: cls(values)


def read_params(cls: type[Strategy], params: Mapping[str, Any], *, key: str = "params") -> Any:
    """The strategy's parameter object; ConfigError with every mistake."""
    if not attrs.has(cls.Params):
        raise ConfigError([Problem(cls.__name__, "Params", "is no attrs class", "Decorate it with @attrs.frozen")])
    read = structure(params, cls.Params)
    if read.mistakes:
        problems = [mistake.problem("configuration") for mistake in read.mistakes]
        raise ConfigError([attrs.evolve(p, key=f"{key}.{p.key}" if p.key else key) for p in problems])
    return read.value


def _from_file(kind: str, base: Path, key: str) -> type[Strategy]:
    text, _, name = kind.rpartition(":")
    path = (base / Path(text).expanduser()).resolve()
    if not path.is_file():
        raise _error(kind, key, f"{path} is no file", "Name an existing file, as in path/to/file.py:ClassName")
    # The path is in the name, so that two files called alike are two modules.
    module_name = f"bulkhead_user_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise _error(kind, key, f"{path} cannot be loaded as Python", "Name a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise _error(kind, key, f"{path} fails when it is loaded: {error!r}", "Mend the file") from error
    known = [
        n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Strategy) and v is not Strategy
    ]
    if not hasattr(module, name):
        fix = nearest(name, known) if known else f"Write one: class {name or 'MyStrategy'}(Strategy)"
        raise _error(kind, key, f"{path} has no class {name!r}", fix)
    return _checked(getattr(module, name), kind, key)


def _from_entry_point(kind: str, key: str) -> type[Strategy]:
    found = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in found:
        known = [*SHIPPED, *found]
        fix = f"{sentence(nearest(kind, known))} A file is path/to/file.py:ClassName"
        raise _error(kind, key, f"there is no strategy {kind!r}", fix)
    try:
        loaded = found[kind].load()
    except Exception as error:
        raise _error(kind, key, f"fails when it is loaded: {error!r}", "Mend or reinstall its package") from error
    return _checked(loaded, kind, key)


def _checked(loaded: object, kind: str, key: str) -> type[Strategy]:
    if not (isinstance(loaded, type) and issubclass(loaded, Strategy)):
        raise _error(kind, key, f"{loaded!r} is no Strategy", "Derive it: class MyStrategy(Strategy)")
    return loaded


def _error(kind: str, key: str, reason: str, fix: str) -> ConfigError:
    return ConfigError([Problem(f"strategy {kind}", key, reason, fix)])
