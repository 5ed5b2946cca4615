"""A smallest configuration, and what is said about a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config import ConfigError, load_config

MINIMAL = """
[simulator]
enabled = true

[venues.binance-spot]
kind = "binance-spot"
symbols = ["BTCUSDT"]

[accounts.master]
venues = ["binance-spot"]

[accounts.master.keys.binance-spot]
source = "demo"

[risk.firm]
max_order_notional = "100"
max_position_notional = "1000"
max_exposure = "1000"
max_open_orders = 10
max_orders_per_s = 10
price_band = "0.05"

[risk.accounts.master]
max_order_notional = "100"
max_position_notional = "1000"
max_exposure = "1000"
max_open_orders = 10
max_orders_per_s = 10
price_band = "0.05"

[strategies.tfpe]
kind = "tfpe"
account = "master"
venue = "binance-spot"
symbols = ["BTCUSDT"]

[strategies.tfpe.params]
threshold = 4
"""

ENV_KEY = 'source = "env"\napi_key_env = "KEY"\nsecret_env = "SECRET"'

Writer = Callable[..., Path]


def problems(path: Path | str, env: dict[str, str] | None = None, **overrides: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, env, overrides)
    assert str(caught.value).count("\n") == len(caught.value.problems)
    return [str(problem) for problem in caught.value.problems]
