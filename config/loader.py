"""From a profile's name (or a file's path) to a checked `Config`."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import attrs

from config.errors import ConfigError, Problem
from config.layers import Layers, lay_environment, lay_overrides
from config.rules import broken_rules
from config.schema import Config, Origin
from config.structure import Key, dotted, nearest, sentence, structure

PROFILES = Path(__file__).resolve().parent / "profiles"
EXTENDS = "extends"
"""Top-level key of a file: the profile (or file beside it) that it changes."""


def profile_names() -> list[str]:
    """The shipped profiles."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def load_config(
    profile_or_path: str | Path = "demo",
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """The checked configuration; `ConfigError` with every problem otherwise.

    `profile_or_path` is a shipped profile's name, or a path (anything with a `/` or ending in `.toml`).  `env` is the
    environment to take `BULKHEAD__` variables from (nothing is read from the process by itself); `overrides` maps
    dotted keys to values.
    """
    layers, problems = Layers(), []
    asked = str(profile_or_path)
    main = _read(asked, None, layers, ())
    problems += lay_environment(layers, env or {}, Config)
    problems += lay_overrides(layers, overrides or {}, Config)
    read = structure(layers.tree, Config)
    mistakes = read.mistakes
    if read.value is not None:
        mistaken = {mistake.key for mistake in mistakes}
        # A section with a stand-in in it breaks rules that the user has not broken.
        doubtful = {key[:-1] for key in read.guessed}
        mistakes += [m for m in broken_rules(read.value) if m.key not in mistaken and not _below(m.key, doubtful)]
    problems += [mistake.problem(layers.source_of(mistake.key, main)) for mistake in mistakes]
    config = read.value
    if problems or config is None:
        raise ConfigError(problems)
    sources = {dotted(key): source for key, source in layers.sources.items()}
    return attrs.evolve(config, origin=Origin(profile=asked, sources=sources))


def _below(key: Key, sections: Collection[Key]) -> bool:
    return any(key[: len(section)] == section for section in sections)


def _read(asked: str, beside: Path | None, layers: Layers, chain: tuple[Path, ...]) -> str:
    """Lay the file and what it extends over `layers`; returns the file's name for messages."""
    path = _find(asked, beside)
    name = str(path) if path.parent != PROFILES else f"profile {path.stem}"
    if path in chain:
        raise ConfigError([Problem(name, EXTENDS, "extends itself", "Break the circle")])
    tree = _parse(path, name)
    parent = tree.pop(EXTENDS, None)
    if parent is not None:
        if not isinstance(parent, str):
            raise ConfigError([Problem(name, EXTENDS, "must be text", "Write a profile's name or a path in quotes")])
        _read(parent, path.parent, layers, (*chain, path))
    layers.merge(tree, name)
    return name


def _find(asked: str, beside: Path | None) -> Path:
    if "/" in asked or asked.endswith(".toml"):
        path = Path(asked).expanduser()
        path = (beside / path if beside is not None else path).resolve()
        if not path.is_file():
            raise ConfigError([Problem(asked, "", "is no file", f"Name a file, or a profile: {_known()}")])
        return path
    path = PROFILES / f"{asked}.toml"
    if not path.is_file():
        hint = nearest(asked, profile_names())
        raise ConfigError(
            [Problem(asked, "", "is no profile", f"{sentence(hint)} A path needs a `/` or ends in .toml")]
        )
    return path


def _known() -> str:
    return ", ".join(profile_names())


def _parse(path: Path, name: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem(name, "", f"cannot be read: {error}", "Make it readable UTF-8 text")
        raise ConfigError([problem]) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem(name, "", f"is not TOML: {error}", "Mend that line")]) from None
