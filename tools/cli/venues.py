"""`bulkhead venues`: what each kind of venue can do, and where it is, as of when."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from typing import Any

import attrs
import click

from protocols.venue import Capabilities, SessionRules
from protocols.venues.registry import VENUES, VenueParts
from tools.cli.common import duration, json_option, print_json, print_table
from tools.cli.failure import CommandFailure

_YES, _NO = "yes", "-"
_COLUMNS = {
    "ws_order_entry": "ws orders",
    "cancel_replace": "replace",
    "batch_size_max": "batch",
    "cancel_all_account": "cancel all",
    "dead_man_switch": "dead man",
    "hedge_mode": "hedge",
    "reduce_only": "reduce only",
    "post_only": "post only",
    "request_window": "deadline",
    "server_time": "clock",
}
"""What the table of all venues shows; the rest is in the table of one."""


@click.command()
@click.argument("name", required=False)
@json_option
def venues(name: str | None, as_json: bool) -> None:
    """What the venues can do; with NAME everything that is known about one kind of venue.

    A venue is named in a configuration by its kind, as in [venues.okx-swap]; `environment` chooses where it is.
    """
    if name is None:
        if as_json:
            print_json({kind: described(parts) for kind, parts in VENUES.items()})
        else:
            _show_all()
        return
    parts = VENUES.get(name)
    if parts is None:
        raise CommandFailure(f"there is no kind of venue {name!r}", f"known here: {', '.join(VENUES)}")
    if as_json:
        print_json({name: described(parts)})
    else:
        _show_one(parts)


def described(parts: VenueParts) -> dict[str, Any]:
    """Everything known about a kind of venue, as plain values; durations in ns."""
    return {
        "family": parts.family,
        "product": parts.product.value,
        "capabilities": _plain(parts.capabilities),
        "session": _plain(parts.rules),
        "limits_as_of": parts.limits_as_of,
        "limits": _plain(parts.limits),
        "environments": {name: attrs.asdict(at) for name, at in parts.environments.items()},
        "keys": [algorithm.value for algorithm in parts.key_algorithms],
        "passphrase": parts.passphrase,
        "request_window_max_ms": parts.request_window_max_ms,
        "book_depths": list(parts.book_depths),
        "trade_modes": list(parts.trade_modes),
    }


def _facts(thing: Capabilities | SessionRules) -> dict[str, Any]:
    return {field.name: getattr(thing, field.name) for field in attrs.fields(type(thing))}


def _plain(value: Any) -> Any:
    """Enums as their values, sets as sorted lists, classes as tables."""
    if isinstance(value, frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if attrs.has(type(value)):
        return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    return value.value if isinstance(value, enum.Enum) else value


def _show_all() -> None:
    print_table(
        "",
        ("venue", "product", *_COLUMNS.values(), "environments"),
        (
            (
                kind,
                parts.product.value,
                *(_word(getattr(parts.capabilities, name)) for name in _COLUMNS),
                ", ".join(parts.environments),
            )
            for kind, parts in VENUES.items()
        ),
        right=("batch",),
    )
    click.echo("\n`bulkhead venues NAME` shows everything about one, with dates and limits")


def _show_one(parts: VenueParts) -> None:
    click.echo(f"{parts.kind}: {parts.product.value} of the family {parts.family}\n")
    click.echo("environments")
    print_table(
        "",
        ("name", "as of", "kind", "URL"),
        (
            (at.name, at.as_of, key, getattr(at, f"{key}_url") or "none: orders go by REST")
            for at in parts.environments.values()
            for key in ("rest", "stream", "private", "entry")
        ),
    )
    click.echo("")
    rows = ((name, _word(_plain(value))) for name, value in _facts(parts.capabilities).items())
    click.echo("capabilities")
    print_table("", ("name", ""), rows)
    click.echo("")
    click.echo("session")
    print_table(
        "",
        ("name", ""),
        ((name.removesuffix("_ns"), _rule(name, value)) for name, value in _facts(parts.rules).items()),
    )
    click.echo("")
    click.echo(f"limits as of {parts.limits_as_of}")
    print_table(
        "",
        ("name", "limit", "each", "counted for", "windows"),
        (
            (
                limit.name,
                limit.limit,
                duration(limit.interval_ns),
                limit.scope.value,
                "by the clock" if limit.aligned else "any",
            )
            for limit in parts.limits
        ),
        right=("limit", "each"),
    )
    click.echo("")
    click.echo("configuration")
    print_table("", ("key", "may be"), _configurable(parts))


def _configurable(parts: VenueParts) -> list[tuple[str, str]]:
    keys = ", ".join(algorithm.value for algorithm in parts.key_algorithms)
    return [
        ("keys.kind", keys + (", with a passphrase" if parts.passphrase else "")),
        ("recv_window_ms", f"1 to {parts.request_window_max_ms}" if parts.request_window_max_ms else "no deadline"),
        ("book_depth", ", ".join(map(str, parts.book_depths)) or "the venue decides"),
        ("trade_mode", ", ".join(parts.trade_modes) or _NO),
        ("hedge_mode", "true, false" if parts.capabilities.hedge_mode else "false"),
    ]


def _rule(name: str, value: object) -> str:
    """A rule of a session: a duration, a number, or what is expected of each channel."""
    if isinstance(value, int):
        return duration(value) if name.endswith("_ns") and value else str(value or _NO)
    return json.dumps(_plain(value)) if value else _NO


def _word(value: object) -> str:
    if value is True:
        return _YES
    if value is False:
        return _NO
    return ", ".join(value) if isinstance(value, list) else str(value)
