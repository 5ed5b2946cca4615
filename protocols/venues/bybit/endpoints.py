"""Where Bybit lives, as dated configuration (reference sections 1 and 8).

Accounts of some regions have domains of their own, and the list changes several times a year: a host is never a
constant of the code.  So each environment says as of when it was true, and nothing outside this file spells a host or
a path of the venue.  One public socket serves one product; the private and the trade socket serve all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from protocols.enums import Channel
from protocols.instruments import Product
from protocols.venue import Expectation, SessionRules

__all__ = [
    "DEMO",
    "ENVIRONMENTS",
    "PRODUCTION",
    "STREAM_RULES",
    "TESTNET",
    "TRADE_RULES",
    "WALLET",
    "Endpoints",
    "Paths",
]

_S = 1_000_000_000


@attrs.frozen(kw_only=True)
class Paths:
    """Paths of REST and of the three kinds of WebSocket; equal in every environment."""

    as_of: str = "2026-10-06"
    stream: Mapping[Product, str] = {Product.SPOT: "/v5/public/spot", Product.LINEAR: "/v5/public/linear"}
    private: str = "/v5/private"
    trade: str = "/v5/trade"
    time: str = "/v5/market/time"
    instruments: str = "/v5/market/instruments-info"
    order_book: str = "/v5/market/orderbook"
    klines: str = "/v5/market/kline"
    tickers: str = "/v5/market/tickers"
    create: str = "/v5/order/create"
    amend: str = "/v5/order/amend"
    cancel: str = "/v5/order/cancel"
    cancel_all: str = "/v5/order/cancel-all"
    create_batch: str = "/v5/order/create-batch"
    cancel_batch: str = "/v5/order/cancel-batch"
    open_orders: str = "/v5/order/realtime"
    order_history: str = "/v5/order/history"
    executions: str = "/v5/execution/list"
    positions: str = "/v5/position/list"
    account_info: str = "/v5/account/info"
    wallet: str = "/v5/account/wallet-balance"


@attrs.frozen(kw_only=True)
class Endpoints:
    """One environment: origins (scheme and host) and paths."""

    name: str
    as_of: str
    rest: str
    stream: str
    private: str
    trade: str
    """"": there is no order entry by WebSocket (demo)."""
    paths: Paths = Paths()


PRODUCTION = Endpoints(
    name="production",
    as_of="2026-10-06",
    rest="https://api.bybit.com",
    stream="wss://stream.bybit.com",
    private="wss://stream.bybit.com",
    trade="wss://stream.bybit.com",
)
TESTNET = Endpoints(
    name="testnet",
    as_of="2026-07-24",
    rest="https://api-testnet.bybit.com",
    stream="wss://stream-testnet.bybit.com",
    private="wss://stream-testnet.bybit.com",
    trade="wss://stream-testnet.bybit.com",
)
DEMO = Endpoints(
    name="demo",
    as_of="2026-07-24",
    rest="https://api-demo.bybit.com",
    stream="wss://stream.bybit.com",  # prices are those of production
    private="wss://stream-demo.bybit.com",
    trade="",
)
ENVIRONMENTS = {environment.name: environment for environment in (PRODUCTION, TESTNET, DEMO)}

WALLET = "bybit-unified"
"""The one wallet that both products of a key draw on (section 9)."""

STREAM_RULES = SessionRules(
    connection_age_max_ns=0,  # no age limit is documented
    server_ping_interval_ns=0,
    silence_max_ns=30 * _S,  # assumed: one ping of ours and half of the next unanswered
    client_ping_interval_ns=20 * _S,
    messages_per_s_max=0,
    subscriptions_max=500,  # the rule is 21,000 characters of topics on a connection
    request_timeout_ns=10 * _S,  # assumed: the venue names no bound of its own
    expectations={
        Channel.BOOK: Expectation(first_ns=5 * _S, quiet_ns=20 * _S),  # a snapshot first; its delay is assumed
        Channel.BOOK_TICKER: Expectation(first_ns=5 * _S, repeat_ns=12 * _S),  # sent again after 3 s of silence
        Channel.TICKER: Expectation(first_ns=5 * _S, quiet_ns=30 * _S),  # a snapshot first
    },
)
TRADE_RULES = STREAM_RULES
"""The private and the trade socket live by the same rules; 3000 requests a second per IP bound the latter."""
