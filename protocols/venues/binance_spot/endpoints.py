"""Where Binance Spot lives, as dated configuration (reference sections 1 and 2.3).

Venues move: every `/api/v1` path was retired in March 2026 and listen keys a month before.  So each environment says
as of when it was true, and nothing outside this file spells a host or a path of the venue.
"""

from __future__ import annotations

import attrs

from protocols.enums import Channel
from protocols.venue import Expectation, SessionRules

__all__ = ["DEMO", "ENVIRONMENTS", "PRODUCTION", "STREAM_RULES", "TESTNET", "WS_API_RULES", "Endpoints", "Paths"]

_S = 1_000_000_000


@attrs.frozen(kw_only=True)
class Paths:
    """Paths of REST and of the two kinds of WebSocket; equal in every environment."""

    as_of: str = "2026-07-21"
    ws_api: str = "/ws-api/v3"
    stream: str = "/stream"
    """Combined form: each message names its stream, without which a partial book could not be attributed."""
    time: str = "/api/v3/time"
    exchange_info: str = "/api/v3/exchangeInfo"
    depth: str = "/api/v3/depth"
    klines: str = "/api/v3/klines"
    tickers: str = "/api/v3/ticker/24hr"
    order: str = "/api/v3/order"
    amend: str = "/api/v3/order/amend/keepPriority"
    replace: str = "/api/v3/order/cancelReplace"
    open_orders: str = "/api/v3/openOrders"
    my_trades: str = "/api/v3/myTrades"
    account: str = "/api/v3/account"


@attrs.frozen(kw_only=True)
class Endpoints:
    """One environment: origins (scheme, host, port) and paths."""

    name: str
    as_of: str
    rest: str
    ws_api: str
    stream: str
    paths: Paths = Paths()


PRODUCTION = Endpoints(
    name="production",
    as_of="2026-07-21",
    rest="https://api.binance.com",
    ws_api="wss://ws-api.binance.com:443",
    stream="wss://stream.binance.com:9443",
)
TESTNET = Endpoints(
    name="testnet",
    as_of="2026-07-21",
    rest="https://testnet.binance.vision",
    ws_api="wss://ws-api.testnet.binance.vision",
    stream="wss://stream.testnet.binance.vision",
)
DEMO = Endpoints(
    name="demo",
    as_of="2026-01-29",
    rest="https://demo-api.binance.com",
    ws_api="wss://demo-ws-api.binance.com",
    stream="wss://demo-stream.binance.com",
)
ENVIRONMENTS = {environment.name: environment for environment in (PRODUCTION, TESTNET, DEMO)}

STREAM_RULES = SessionRules(
    connection_age_max_ns=23 * 3600 * _S,  # the venue closes at 24 h
    server_ping_interval_ns=20 * _S,
    silence_max_ns=60 * _S,  # three pings missed
    client_ping_interval_ns=0,  # a ping of ours would count as a message
    messages_per_s_max=5,
    subscriptions_max=1024,
    request_timeout_ns=10 * _S,
    # A stream promises nothing: it speaks when something happens.  A wrong name is acknowledged and silent (assumed).
    expectations={
        Channel.BOOK: Expectation(quiet_ns=20 * _S),
        Channel.BOOK_TICKER: Expectation(quiet_ns=20 * _S),
        Channel.TICKER: Expectation(quiet_ns=30 * _S),
    },
)
WS_API_RULES = attrs.evolve(STREAM_RULES, messages_per_s_max=0, subscriptions_max=1000, connect_weight=2)
"""The WebSocket API has no frame limit of its own: request weight and order count bound it."""
