"""The layers of a configuration: TOML text, `BULKHEAD__SECTION__KEY` variables, overrides; and who said what.

An environment variable names a key by its path, parts joined by two underscores, in capitals, with `_` for `-`::

    BULKHEAD__DATA__DIR=/var/lib/bulkhead
    BULKHEAD__VENUES__BINANCE_SPOT__RECV_WINDOW_MS=3000
    BULKHEAD__STRATEGIES__TFPE__PARAMS__THRESHOLD=3
    BULKHEAD__VENUES__BINANCE_SPOT__SYMBOLS=BTCUSDT,ETHUSDT

A variable that fits no key is an error: a limit that was meant and not applied is worse than a start that fails.
Names inside tables (accounts, venues, strategies) must exist in the profile; parameters of a strategy may be new.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, get_args, get_origin, get_type_hints

import attrs

from config.errors import Problem
from config.structure import Key, dotted, nearest, optional_of

PREFIX = "BULKHEAD__"


@attrs.define
class Layers:
    """The merged tree, and for every leaf the source that set it."""

    tree: dict[str, Any] = attrs.field(factory=dict)
    sources: dict[Key, str] = attrs.field(factory=dict)

    def merge(self, tree: Mapping[str, Any], source: str) -> None:
        """Lay `tree` over what is there: tables join, everything else replaces."""
        self._merge(self.tree, tree, (), source)

    def _merge(self, into: dict[str, Any], tree: Mapping[str, Any], at: Key, source: str) -> None:
        for name, value in tree.items():
            key = (*at, name)
            if isinstance(value, Mapping):
                below = into.get(name)
                if not isinstance(below, dict):
                    below = into[name] = {}
                    self.sources[key] = source
                self._merge(below, value, key, source)
            else:
                into[name] = value
                self.sources[key] = source

    def put(self, key: Key, value: object, source: str) -> None:
        """Set one leaf."""
        tree: Mapping[str, object] = {key[-1]: value}
        for name in reversed(key[:-1]):
            tree = {name: tree}
        self.merge(tree, source)

    def source_of(self, key: Key, otherwise: str) -> str:
        """Who set `key`, or the nearest thing above it."""
        for length in range(len(key), 0, -1):
            source = self.sources.get(key[:length])
            if source is not None:
                return source
        return otherwise


def lay_environment(layers: Layers, env: Mapping[str, str], cls: type) -> list[Problem]:
    """Lay every `BULKHEAD__` variable of `env` over `layers`; problems name the variable."""
    problems = []
    for name in sorted(env):
        if name.startswith(PREFIX):
            parts = name.removeprefix(PREFIX).split("__")
            found = _find(parts, (), cls, layers.tree)
            if isinstance(found, str):
                problems.append(Problem(name, "", "names no key of the configuration", found))
            else:
                layers.put(found.key, from_text(env[name], found.annotation), name)
    return problems


def lay_overrides(layers: Layers, values: Mapping[str, object], cls: type) -> list[Problem]:
    """Lay `section.key` overrides (the command line's) over `layers`; text is read like an environment variable's."""
    problems = []
    for name, value in values.items():
        found = _find(name.split("."), (), cls, layers.tree)
        if isinstance(found, str):
            problems.append(Problem(f"override {name}", "", "names no key of the configuration", found))
        else:
            read = from_text(value, found.annotation) if isinstance(value, str) else value
            layers.put(found.key, read, f"override {name}")
    return problems


@attrs.frozen
class _Found:
    key: Key
    annotation: Any


def _fold(name: str) -> str:
    return name.casefold().replace("-", "_")


def _find(parts: list[str], at: Key, annotation: Any, tree: object) -> _Found | str:
    """The key that `parts` spell below `at`, or the fix to tell the user."""
    annotation = optional_of(annotation) or annotation
    if not parts:
        return _Found(at, annotation) if not _is_section(annotation) else f"Name a key inside [{dotted(at)}]"
    if attrs.has(annotation):
        hints = get_type_hints(annotation)
        known = [f.name for f in attrs.fields(annotation) if not f.metadata.get("derived")]
    elif get_origin(annotation) is not None and _is_section(annotation):
        item = get_args(annotation)[1]
        known = list(tree) if isinstance(tree, Mapping) else []
        if item is Any and not any(_fold(name) == _fold(parts[0]) for name in known):
            return _Found((*at, "__".join(parts).casefold()), Any)
        hints = dict.fromkeys(known, item)
    else:
        return f"`{dotted(at)}` is a value and has nothing below it"
    matches = [name for name in known if _fold(name) == _fold(parts[0])]
    if len(matches) > 1:
        return f"`{parts[0]}` fits {' and '.join(matches)} alike; set it in the profile"
    if not matches:
        hint = nearest(_fold(parts[0]), [_fold(name) for name in known])
        return f"There is no `{parts[0]}` in {f'[{dotted(at)}]' if at else 'the configuration'}. {hint}"
    name = matches[0]
    below = tree.get(name) if isinstance(tree, Mapping) else None
    return _find(parts[1:], (*at, name), hints[name], below)


def _is_section(annotation: Any) -> bool:
    origin: Any = get_origin(annotation)
    return attrs.has(annotation) or origin is Mapping


_INTEGER = re.compile(r"[+-]?[0-9]+")


def from_text(text: str, annotation: Any) -> object:
    """The TOML value that `text` stands for, given the field's type; what does not fit is left for the strict check."""
    wanted = optional_of(annotation) or annotation
    loose = wanted is Any
    if (wanted is bool or loose) and text in ("true", "false"):
        return text == "true"
    if (wanted is int or loose) and _INTEGER.fullmatch(text):
        return int(text)
    if wanted == tuple[str, ...]:
        return [item.strip() for item in text.split(",") if item.strip()]
    if wanted is Decimal or loose:
        return text.strip()
    return text
