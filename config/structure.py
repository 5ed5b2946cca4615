"""From plain TOML values to the schema, strictly, collecting every mistake instead of stopping at the first.

cattrs does the walking; the hooks here make it strict: an integer is no boolean and no text, an amount of money is text
in quotes (a TOML float has already lost digits), an unknown key is an error that names the nearest known one.

`structure` returns what could be built beside all mistakes: wrong keys are taken out, missing ones get a stand-in, so
that the rules between fields can be checked in the same go.
"""

from __future__ import annotations

import copy
import enum
import types
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from config.errors import Problem

T = TypeVar("T")

Key = tuple[str, ...]
"""Path of a key: the sections and names that lead to it."""

_STAND_IN = object()
_STAND_IN_PASSES = 6
"""Sections are at most this deep, and a pass finds what is missing one level further down."""

SECRET_WORDS = ("secret", "password", "passphrase", "token", "api_key", "apikey", "private_key")


class Unusable(ValueError):
    """One value cannot be used."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


@attrs.frozen
class Mistake:
    """A `Problem` whose source is not known yet."""

    key: Key
    reason: str
    fix: str
    missing: bool = False

    def problem(self, source: str) -> Problem:
        return Problem(source, dotted(self.key), self.reason, self.fix)


def dotted(key: Key) -> str:
    """The key as TOML writes it."""
    return ".".join(part if _is_bare(part) else f'"{part}"' for part in key)


def _is_bare(part: str) -> bool:
    return bool(part) and all(c.isascii() and (c.isalnum() or c in "-_") for c in part)


def nearest(word: str, known: list[str]) -> str:
    """A hint for a misspelled name: the nearest known one, or the list of all."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean `{close[0]}`?"
    if not known:
        return "Remove it: nothing may stand here"
    return "Known here: " + ", ".join(sorted(known))


def sentence(text: str) -> str:
    """`text` with an end, so that another sentence may follow."""
    return text if text.endswith((".", "?")) else f"{text}."


@attrs.frozen
class Structured(Generic[T]):
    """What came of a tree."""

    value: T | None
    """The value; with stand-ins where keys were missing or wrong, when there are mistakes.  None: hopeless."""
    mistakes: list[Mistake]
    guessed: frozenset[Key] = frozenset()
    """Keys that have a stand-in instead of a value."""


def structure(tree: Mapping[str, Any], cls: type[T]) -> Structured[T]:
    """Read `tree` strictly.  A value beside mistakes is good for one purpose only: to look for more mistakes."""
    try:
        return Structured(_CONVERTER.structure(tree, cls), [])
    except ClassValidationError as error:
        mistakes = _mistakes(error, ())
    rest = copy.deepcopy(dict(tree))
    guessed: set[Key] = set()
    wrong = mistakes
    for _ in range(_STAND_IN_PASSES):
        for mistake in wrong:
            if mistake.missing:
                _put(rest, mistake.key, _STAND_IN)
                guessed.add(mistake.key)
            else:
                _prune(rest, mistake.key)
        try:
            return Structured(_CONVERTER.structure(rest, cls), mistakes, frozenset(guessed))
        except ClassValidationError as error:
            wrong = _mistakes(error, ())
    return Structured(None, mistakes)


def _put(tree: Any, key: Key, value: object) -> None:
    for part in key[:-1]:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[key[-1]] = value


def _prune(tree: Any, key: Key) -> None:
    if not key:
        tree.clear()
        return
    for part in key[:-1]:
        if not isinstance(tree, dict) or part not in tree:
            return
        tree = tree[part]
    if isinstance(tree, dict):
        tree.pop(key[-1], None)


# ---- reading cattrs' report ----------------------------------------------------------------------------------


def _mistakes(error: BaseException, key: Key) -> list[Mistake]:
    """Flatten cattrs' tree of errors; a missing key is reported with the section that lacks it."""
    match error:
        case ClassValidationError() | IterableValidationError():
            found: list[Mistake] = []
            for child in error.exceptions:
                found += _mistakes(child, key + _step(child))
            return found
        case ForbiddenExtraKeysError(cl=cls, extra_fields=extra):
            known = [f.name for f in attrs.fields(cls) if not f.metadata.get("derived")]
            return [_unknown(key, name, known) for name in sorted(extra)]
        case Unusable():
            return [Mistake(key, error.reason, error.fix)]
        case KeyError(args=[str(name), *_]):
            at = key if key and key[-1] == name else (*key, name)
            fix = f"Add `{at[-1]}` to [{dotted(at[:-1])}]; it has no default on purpose"
            if len(at) == 1:
                fix = f'Add a section [{at[-1]}], or begin the file with extends = "demo"'
            return [Mistake(at, "is missing", fix, missing=True)]
        case ValueError():
            return [Mistake(key, str(error), "Change one of them")]
    raise error


def _step(error: BaseException) -> Key:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (note.name,)
        if isinstance(note, IterableValidationNote):
            return (str(note.index),) if isinstance(note.index, str) else ()
    return ()


def _unknown(key: Key, name: str, known: list[str]) -> Mistake:
    if any(word in name.lower() for word in SECRET_WORDS) and name not in known:
        return Mistake(
            (*key, name),
            "is not a key, and a secret must never stand in a configuration",
            "Remove it, revoke it if it was real, and say where it is kept: source, api_key_env, secret_env, path",
        )
    return Mistake((*key, name), "unknown key", nearest(name, known))


# ---- strict values -------------------------------------------------------------------------------------------


def _shown(value: object) -> str:
    kind = {bool: "a boolean", int: "an integer", float: "a float", str: "text", dict: "a table", list: "a list"}
    text = repr(value) if not isinstance(value, dict | list) else "…"
    return f"{text} ({kind.get(type(value), type(value).__name__)})"


def _boolean(value: object, _: Any) -> bool:
    if not isinstance(value, bool):
        raise Unusable(f"was {_shown(value)}, must be a boolean", "Write true or false, without quotes")
    return value


def _integer(value: object, _: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unusable(f"was {_shown(value)}, must be an integer", "Write a whole number without quotes")
    return value


def _text(value: object, _: Any) -> str:
    if not isinstance(value, str):
        raise Unusable(f"was {_shown(value)}, must be text", "Write it in quotes")
    return value


def _decimal(value: object, _: Any) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)  # a whole number loses nothing
    if not isinstance(value, str):
        raise Unusable(f"was {_shown(value)}, must be a decimal in quotes", f'Write it in quotes: "{value}"')
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise Unusable(
            f"was {value!r}, which is no decimal number", 'Write digits with a point, as in "0.05"'
        ) from None
    if not amount.is_finite():
        raise Unusable(f"was {value!r}, must be finite", "Write a number; leave the key out where it is optional")
    return amount


def _path(value: object, _: Any) -> Path:
    if not isinstance(value, str) or not value:
        raise Unusable(f"was {_shown(value)}, must be a path", "Write a path in quotes")
    return Path(value).expanduser()


def _texts(value: object, _: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise Unusable(f"was {_shown(value)}, must be a list of text", 'Write a list: ["a", "b"]')
    for item in value:
        if not isinstance(item, str) or not item:
            raise Unusable(f"contains {_shown(item)}, must be a list of text", 'Write a list: ["a", "b"]')
    return tuple(value)


def _choice(value: object, cls: Any) -> Any:
    words = [member.value for member in cls]
    if value not in words:
        close = get_close_matches(value, words, n=1) if isinstance(value, str) else []
        hint = f"; did you mean `{close[0]}`?" if close else ""
        raise Unusable(f"was {_shown(value)}", "Write one of " + ", ".join(f'"{word}"' for word in words) + hint)
    return cls(value)


def _table_of(item_cls: Any) -> Callable[[object, Any], Mapping[str, Any]]:
    def hook(value: object, _: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise Unusable(f"was {_shown(value)}, must be a table", "Write it as a [section] with keys")
        if item_cls is Any:
            return dict(value)
        built: dict[str, Any] = {}
        errors: list[Exception] = []
        for name, item in value.items():
            try:
                built[name] = _CONVERTER.structure(item, item_cls)
            except (ClassValidationError, IterableValidationError, Unusable) as error:
                error.add_note(IterableValidationNote("in a table", name, item_cls))
                errors.append(error)
        if errors:
            raise IterableValidationError("in a table", errors, Mapping)
        return built

    return hook


def _field_hook(annotation: Any, metadata: Mapping[str, Any]) -> Callable[[object, Any], Any]:
    """The field's type, then its bounds; values of hidden fields are kept out of every text."""
    hook = hook_for(annotation)
    low, high, hidden = metadata.get("low"), metadata.get("high"), metadata.get("hidden", False)

    def bounded(value: object, cls: Any) -> Any:
        if value is _STAND_IN:
            return _stand_in(annotation)
        try:
            result = hook(value, cls)
        except Unusable as error:
            if hidden:
                raise Unusable("cannot be used (its value is not shown)", error.fix) from None
            raise
        if result is not None and low is not None and result < low:
            raise Unusable(f"was {result}, must be at least {low}", f"Write a value {_range(low, high)}")
        if result is not None and high is not None and result > high:
            raise Unusable(f"was {result}, must be at most {high}", f"Write a value {_range(low, high)}")
        return result

    return bounded


def _stand_in(annotation: Any) -> Any:
    """Something of the type."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return next(iter(annotation))
    if attrs.has(annotation):
        return _CONVERTER.structure({}, annotation)
    plain = {int: 0, Decimal: Decimal(0), str: "", bool: False, Path: Path(), tuple[str, ...]: ()}
    return plain.get(annotation, {})


def _range(low: object, high: object) -> str:
    if low is not None and high is not None:
        return f"from {low} to {high}"
    return f"of at least {low}" if low is not None else f"of at most {high}"


def optional_of(annotation: Any) -> Any:
    """X for `X | None`, else None."""
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [arg for arg in get_args(annotation) if arg is not type(None)]
        if len(rest) == 1 and len(get_args(annotation)) == 2:
            return rest[0]
    return None


def hook_for(annotation: Any) -> Callable[[object, Any], Any]:
    """The strict reader of one field's type."""
    inner = optional_of(annotation)
    if inner is not None:
        reader = hook_for(inner)
        return lambda value, cls: reader(value, inner)
    simple: dict[Any, Callable[[object, Any], Any]] = {
        bool: _boolean,
        int: _integer,
        str: _text,
        Decimal: _decimal,
        Path: _path,
        tuple[str, ...]: _texts,
        Any: lambda value, _: value,
    }
    if annotation in simple:
        return simple[annotation]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return lambda value, _: _choice(value, annotation)
    if _is_table(annotation):
        return _table_of(get_args(annotation)[1])
    if attrs.has(annotation):
        return lambda value, _: _CONVERTER.structure(value, annotation)
    raise TypeError(f"no strict reader for {annotation!r}; teach config.structure about it")


def _is_table(annotation: Any) -> bool:
    origin: Any = get_origin(annotation)
    return origin is Mapping


def _class_hook(cls: Any) -> Callable[[Any, Any], Any]:
    """Reader of one attrs class: strict field by field, unknown keys refused, derived fields not readable."""
    hints = get_type_hints(cls)
    overrides: dict[str, Any] = {
        field.name: override(omit=True)
        if field.metadata.get("derived")
        else override(struct_hook=_field_hook(hints[field.name], field.metadata))
        for field in attrs.fields(cls)
    }
    read = make_dict_structure_fn(cls, _CONVERTER, _cattrs_forbid_extra_keys=True, **overrides)

    def section(value: Any, target: Any) -> Any:
        if not isinstance(value, Mapping):
            raise Unusable(f"was {_shown(value)}, must be a table", "Write it as a [section] with keys")
        return read(value, target)

    return section


_CONVERTER = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
_CONVERTER.register_structure_hook(Decimal, _decimal)
_CONVERTER.register_structure_hook_func(_is_table, lambda v, t: hook_for(t)(v, t))
_CONVERTER.register_structure_hook_factory(attrs.has, _class_hook)
