"""How the Binance judges find the simulator: every address of a client keeps its path and gets another origin."""

from __future__ import annotations

from typing import Any

from tests.judges.conftest import RunningSimulator


def readdress(client: Any, venue: RunningSimulator) -> Any:
    """A ccxt client, pointed at the simulator."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: moved(each) for name, each in value.items()}
        scheme, _, rest = str(value).partition("://")
        path = rest.partition("/")[2]
        origin = venue.urls["streams"] if scheme == "wss" else venue.rest
        return f"{origin}/{path}".rstrip("/")

    client.urls["api"] = moved(client.urls["api"])
    return client


def ccxt_config(venue: RunningSimulator, market: str) -> dict[str, Any]:
    """Keys; and no questions to the wallet API (`sapi`) or to other products, which are not played here."""
    return {
        "apiKey": venue.keys["hmac_key"],
        "secret": venue.keys["hmac_secret"],
        "enableRateLimit": False,
        "options": {"fetchCurrencies": False, "fetchMargins": False, "fetchMarkets": {"types": [market]}},
    }


def on_grid(client: Any, symbol: str, share: float) -> float:
    """A part of the last price, on the symbol's price grid."""
    return float(client.price_to_precision(symbol, client.fetch_ticker(symbol)["last"] * share))
