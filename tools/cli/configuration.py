"""`bulkhead config`: check a configuration, or show the effective one with where each value came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from config import ConfigError, render
from config.schema import plain
from tools.cli.common import json_option, load, print_json, profile_options
from tools.cli.failure import BadConfig
from tools.engine.host import load_strategies


@click.group()
def config() -> None:
    """Check or show the configuration."""


@config.command()
@profile_options
@json_option
def check(profile: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Say whether the configuration is usable; every problem is named with file, key, reason and fix.

    Strategies are loaded, so that their parameters are checked, too.  Keys and the machine are what `doctor` looks at.
    """
    loaded = load(profile, overrides)
    try:
        load_strategies(loaded)
    except ConfigError as error:
        raise BadConfig(str(error)) from error
    if as_json:
        print_json({"profile": profile, "ok": True, "hash": loaded.config_hash()})
        return
    click.echo(f"{profile}: usable, hash {loaded.config_hash()[:12]}")
    for title, entries in (
        ("venues", loaded.venues),
        ("accounts", loaded.accounts),
        ("strategies", loaded.strategies),
    ):
        click.echo(f"  {title}: {_names(entries)}")


def _names(entries: Mapping[str, Any]) -> str:
    on = ", ".join(name for name, entry in entries.items() if entry.enabled) or "none"
    off = ", ".join(name for name, entry in entries.items() if not entry.enabled)
    return f"{on}; disabled: {off}" if off else on


@config.command()
@profile_options
@json_option
def show(profile: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print the effective configuration and the source of each value; keys themselves are never part of it."""
    loaded = load(profile, overrides)
    if as_json:
        print_json({"values": plain(loaded), "sources": dict(loaded.origin.sources), "hash": loaded.config_hash()})
        return
    click.echo(render(loaded))
