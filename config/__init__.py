"""Configuration: TOML profiles, the environment and the command line, made into one immutable, checked `Config`.

    from config import load_config

    config = load_config("demo", env=os.environ)
    config.journal.sync          # SyncPolicy.INTERVAL
    config.config_hash()         # the same text for the same effective configuration, whatever its sources

Four layers, later ones win: the schema's defaults, the profile (which may extend another), `BULKHEAD__SECTION__KEY`
variables, and explicit overrides.  Every mistake found is reported at once, each with file, key, reason and fix.  A
secret is never part of a configuration: it says *where* a key is kept, see `config.secret`.
"""

from __future__ import annotations

from config.errors import ConfigError, Problem
from config.loader import load_config, profile_names
from config.render import render
from config.schema import Config
from config.secret import Secret

__all__ = ["Config", "ConfigError", "Problem", "Secret", "load_config", "profile_names", "render"]
