"""Where OKX lives, as dated configuration (reference sections 1, 3 and 7).

Venues move: on 2026-10-31 OKX closed WebSocket port 8443, which nearly every older text still prints, and a key works
only in its region.  So each environment says as of when it was true, and nothing outside this file spells a host or a
path of the venue.
"""

from __future__ import annotations

import attrs

from protocols.enums import Channel
from protocols.errors import ConfigError
from protocols.instruments import Product
from protocols.venue import Expectation, SessionRules

__all__ = [
    "CLOSED_PORT",
    "DEMO",
    "EEA",
    "EEA_DEMO",
    "ENVIRONMENTS",
    "FORMER_HOSTS",
    "INST_TYPES",
    "ORDER_TYPES",
    "PRODUCTION",
    "STREAM_RULES",
    "US",
    "US_DEMO",
    "VENUES",
    "WALLET",
    "Endpoints",
    "Paths",
]

_S = 1_000_000_000
CLOSED_PORT = 8443
FORMER_HOSTS = ("ws.okex.com",)
"""Of streams, when the venue still bore that name; recordings of 2021 have them."""

VENUES = {Product.SPOT: "okx-spot", Product.LINEAR: "okx-swap"}
"""The products that are carried out, and what we call them."""
WALLET = "okx-unified"
"""The one account that both products of a key draw on (section 9)."""
INST_TYPES = {Product.SPOT: "SPOT", Product.LINEAR: "SWAP"}
"""The venue's word for a product."""
ORDER_TYPES = {Product.SPOT: ("SPOT", "MARGIN"), Product.LINEAR: ("SWAP",)}
"""What the venue calls orders on a product's symbols: spot pairs paid from a margin account are MARGIN."""


@attrs.frozen(kw_only=True)
class Paths:
    """Paths of REST and of the three kinds of WebSocket; equal in every environment."""

    as_of: str = "2026-10-09"
    public: str = "/ws/v5/public"
    private: str = "/ws/v5/private"
    business: str = "/ws/v5/business"
    """Candles come here, not on `public`, and algo orders, not on `private`."""
    time: str = "/api/v5/public/time"
    instruments: str = "/api/v5/public/instruments"
    books: str = "/api/v5/market/books"
    candles: str = "/api/v5/market/candles"
    history_candles: str = "/api/v5/market/history-candles"
    ticker: str = "/api/v5/market/ticker"
    tickers: str = "/api/v5/market/tickers"
    order: str = "/api/v5/trade/order"
    amend_order: str = "/api/v5/trade/amend-order"
    cancel_order: str = "/api/v5/trade/cancel-order"
    batch_orders: str = "/api/v5/trade/batch-orders"
    cancel_batch_orders: str = "/api/v5/trade/cancel-batch-orders"
    cancel_all_after: str = "/api/v5/trade/cancel-all-after"
    order_algo: str = "/api/v5/trade/order-algo"
    cancel_algos: str = "/api/v5/trade/cancel-algos"
    orders_algo_pending: str = "/api/v5/trade/orders-algo-pending"
    orders_pending: str = "/api/v5/trade/orders-pending"
    fills: str = "/api/v5/trade/fills"
    fills_history: str = "/api/v5/trade/fills-history"
    balance: str = "/api/v5/account/balance"
    positions: str = "/api/v5/account/positions"
    account_config: str = "/api/v5/account/config"


@attrs.frozen(kw_only=True)
class Endpoints:
    """One environment: origins (scheme, host) and paths.  Raises ConfigError for the port that the venue closed."""

    name: str
    as_of: str
    rest: str
    ws: str
    simulated: bool = False
    """Demo trading: REST requests bear `x-simulated-trading: 1`, and instrument codes are other ones."""
    paths: Paths = Paths()

    def __attrs_post_init__(self) -> None:
        for field, origin in (("rest", self.rest), ("ws", self.ws)):
            if f":{CLOSED_PORT}" in origin:
                raise ConfigError(f"{field} was {origin!r}: OKX closed port 8443 on 2026-10-31; leave the port out")


PRODUCTION = Endpoints(name="production", as_of="2026-10-31", rest="https://openapi.okx.com", ws="wss://ws.okx.com")
DEMO = Endpoints(
    name="demo", as_of="2026-10-31", rest="https://openapi.okx.com", ws="wss://wspap.okx.com", simulated=True
)
EEA = Endpoints(name="eea", as_of="2026-10-31", rest="https://eea.okx.com", ws="wss://wseea.okx.com")
EEA_DEMO = Endpoints(
    name="eea-demo", as_of="2026-10-31", rest="https://eea.okx.com", ws="wss://wseeapap.okx.com", simulated=True
)
US = Endpoints(name="us", as_of="2026-10-31", rest="https://us.okx.com", ws="wss://wsus.okx.com")
US_DEMO = Endpoints(
    name="us-demo", as_of="2026-10-31", rest="https://us.okx.com", ws="wss://wsuspap.okx.com", simulated=True
)
ENVIRONMENTS = {one.name: one for one in (PRODUCTION, DEMO, EEA, EEA_DEMO, US, US_DEMO)}

STREAM_RULES = SessionRules(
    connection_age_max_ns=0,  # no age limit is documented
    server_ping_interval_ns=0,
    silence_max_ns=30 * _S,  # the venue cuts after 30 s without data in either direction
    client_ping_interval_ns=20 * _S,  # the venue advises less than 30 s
    messages_per_s_max=0,
    requests_per_h_max=480,  # subscribe, unsubscribe and login requests
    subscriptions_max=0,
    request_timeout_ns=10 * _S,  # assumed: the venue names no bound; orders bear `expTime` besides
    books_max=29,  # "fewer than 30" of the books of 50 and of 400 levels
    expectations={
        # A picture first (its delay is assumed); a book in which nothing happens says so about every 60 s.
        Channel.BOOK: Expectation(first_ns=5 * _S, repeat_ns=150 * _S, quiet_ns=20 * _S),
        Channel.BOOK_TICKER: Expectation(quiet_ns=20 * _S),
        Channel.TICKER: Expectation(quiet_ns=30 * _S),
    },
)
"""Public, private and business connections live by the same rules."""
