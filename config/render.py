"""A configuration as text: what is in force, and who said so.

The text is valid TOML; a comment after each key names its source.  Secrets cannot appear: a configuration has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from config.schema import Config, plain
from config.structure import Key, dotted

DEFAULT = "default"


def render(config: Config) -> str:
    """TOML text of the effective values with their sources; equal configurations read back give equal hashes."""
    lines = [f"# profile {config.origin.profile}, hash {config.config_hash()}"]
    lines += _table(plain(config), (), config.origin.sources)
    return "\n".join(lines) + "\n"


def _table(tree: Mapping[str, Any], at: Key, sources: Mapping[str, str]) -> Iterator[str]:
    leaves = {name: value for name, value in tree.items() if not isinstance(value, Mapping)}
    shown = {name: value for name, value in leaves.items() if value is not None}
    if at and (leaves or not tree):
        yield ""
        yield f"[{dotted(at)}]"
    for name, value in shown.items():
        source = sources.get(dotted((*at, name)), DEFAULT)
        yield f"{dotted((name,))} = {_value(value)}  # {source}"
    for name in leaves:
        if name not in shown:
            yield f"# {name} is not set"
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _table(value, (*at, name), sources)


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dotted((str(k),))} = {_value(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
