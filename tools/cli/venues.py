"""`bulkhead venues`: what each kind of venue can do, and where it is, as of when."""

from __future__ import annotations

import enum
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import click

from protocols.venue import Capabilities, Channel, Expectation
from protocols.venues.registry import VENUES, VenueParts
from tools.cli.common import duration, is_terminal, json_option, print_json, print_table
from tools.cli.failure import CommandFailure
from tools.cli.venue_words import CAPABILITY_GROUPS, RULE_WORDS

_YES, _NO = "yes", "-"
_COLUMNS: Mapping[str, Callable[[Capabilities], object]] = {
    "ws orders": lambda can: can.ws_order_entry,
    "amend": lambda can: "price" if can.amends_price else "qty" if can.amends else False,
    "replace": lambda can: can.cancel_replace,
    "batch": lambda can: can.batch_size_max,
    "cancel all": lambda can: "account" if can.cancel_all_account else "symbol" if can.cancel_all_symbol else False,
    "dead man": lambda can: can.dead_man_switch,
    "triggers": lambda can: bool(can.triggers),
    "reduce only": lambda can: can.reduce_only,
    "hedge": lambda can: can.hedge_mode,
    "deadline": lambda can: can.request_window,
    "snapshot": lambda can: can.private_snapshot_on_subscribe,
}
"""What the table of all venues shows; the rest is on the page of one."""
_WIDE = 180
"""Columns of a terminal that the table takes with a row for each venue; a narrower one gets a column for each."""


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
    if is_terminal() and shutil.get_terminal_size().columns < _WIDE:
        print_table(
            "",
            ("", *(kind.replace("-", "\n") for kind in VENUES)),
            (
                (name, *(_word(tell(parts.capabilities)) for parts in VENUES.values()))
                for name, tell in _COLUMNS.items()
            ),
        )
    else:
        print_table(
            "",
            ("venue", "product", *_COLUMNS, "environments"),
            (
                (
                    kind,
                    parts.product.value,
                    *(_word(tell(parts.capabilities)) for tell in _COLUMNS.values()),
                    ", ".join(parts.environments),
                )
                for kind, parts in VENUES.items()
            ),
            right=("batch",),
        )
    click.echo("\n`bulkhead venues NAME` shows everything about one, with dates and limits, and what the words mean")


def _show_one(parts: VenueParts) -> None:
    click.echo(f"{parts.kind}: {parts.product.value} of the family {parts.family}\n")
    print_table(
        "environments",
        ("name", "as of", "kind", "URL"),
        (
            (at.name, at.as_of, key, getattr(at, f"{key}_url") or "none: orders go by REST")
            for at in parts.environments.values()
            for key in ("rest", "stream", "private", "entry")
        ),
    )
    for title, words in CAPABILITY_GROUPS.items():
        click.echo("")
        rows = ((name, _capability(parts.capabilities, name), text) for name, text in words.items())
        print_table(title, ("capability", "", "means"), rows, wrapped=("", "means"))
    click.echo("")
    _show_connections(parts)
    click.echo("")
    _show_limits(parts)
    click.echo("")
    print_table("configuration", ("key", "may be"), _configurable(parts))


def _show_connections(parts: VenueParts) -> None:
    print_table(
        "connections",
        ("rule", "", "means"),
        (
            (name.removesuffix("_ns"), _rule(name, getattr(parts.rules, name)), text)
            for name, text in RULE_WORDS.items()
        ),
        wrapped=("means",),
    )
    click.echo("")
    print_table(
        "how soon a public stream speaks",
        ("channel", "first, promised", "next, promised", "suspect after"),
        (
            (channel.value, *(_span(ns) for ns in (found.first_ns, found.repeat_ns, found.quiet_ns)))
            for channel, found in _expectations(parts).items()
        ),
        right=("first, promised", "next, promised", "suspect after"),
    )


def _show_limits(parts: VenueParts) -> None:
    print_table(
        f"limits as of {parts.limits_as_of}",
        ("name", "limit", "each", "counted for", "windows", "counts too"),
        (
            (
                limit.name,
                limit.limit,
                _span(limit.interval_ns),
                limit.scope.value,
                "by the clock" if limit.aligned else "any",
                ", ".join(limit.groups) or _NO,
            )
            for limit in parts.limits
        ),
        right=("limit", "each"),
    )


def _capability(capabilities: Capabilities, name: str) -> str:
    value = getattr(capabilities, name)
    return str(len(value)) if name == "channels" else _word(_plain(value))


def _expectations(parts: VenueParts) -> Mapping[Channel, Expectation]:
    """Of every channel that there is, in the order of their names."""
    channels = sorted(parts.capabilities.channels, key=lambda channel: channel.value)
    return {channel: parts.rules.expectations.get(channel, Expectation()) for channel in channels}


def _configurable(parts: VenueParts) -> list[tuple[str, str]]:
    keys = ", ".join(algorithm.value for algorithm in parts.key_algorithms)
    return [
        ("keys.kind", keys + (", with a passphrase" if parts.passphrase else "")),
        ("recv_window_ms", f"1 to {parts.request_window_max_ms}" if parts.request_window_max_ms else "no deadline"),
        ("book_depth", ", ".join(map(str, parts.book_depths)) or "the venue decides"),
        ("trade_mode", ", ".join(parts.trade_modes) or _NO),
        ("hedge_mode", "true, false" if parts.capabilities.hedge_mode else "false"),
    ]


def _rule(name: str, value: int) -> str:
    """A duration or a number; 0 is the absence of a rule."""
    return _span(value) if name.endswith("_ns") else str(value or _NO)


def _span(ns: int) -> str:
    """A round duration of an hour, a minute or a second and more: 23 h, 90 s; "-" for none."""
    if not ns:
        return _NO
    for unit, size in (("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000)):
        if ns % size == 0:
            return f"{ns // size} {unit}"
    return duration(ns)


def _word(value: object) -> str:
    if value is True:
        return _YES
    if value is False or value in ("", []):
        return _NO
    return ", ".join(value) if isinstance(value, list) else str(value)
