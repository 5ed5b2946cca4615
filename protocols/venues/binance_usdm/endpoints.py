"""Where Binance USDT-M Futures lives, as dated configuration (reference sections 1 and 2).

Since April 2026 streams are split over three routes.  An unrouted connection still opens, acknowledges every SUBSCRIBE
and then delivers book streams alone, so a wrong route is silence, not an error.  The demo host still takes unrouted
connections, which is why a green test there proves nothing about routes.
"""

from __future__ import annotations

import attrs

from protocols.enums import Channel
from protocols.venue import Expectation, SessionRules

__all__ = ["DEMO", "ENVIRONMENTS", "PRODUCTION", "STREAM_RULES", "WS_API_RULES", "Endpoints", "Paths"]

_S = 1_000_000_000


@attrs.frozen(kw_only=True)
class Paths:
    """Paths of REST and of the kinds of WebSocket."""

    as_of: str = "2026-11-20"
    ws_api: str = "/ws-fapi/v1"
    stream_public: str = "/public/stream"
    """Books.  Combined form: each message names its stream, without which a partial book looks like a diff."""
    stream_market: str = "/market/stream"
    """All other market data."""
    private: str = "/private/ws"
    """User data; the listen key follows as the last part of the path."""
    time: str = "/fapi/v1/time"
    exchange_info: str = "/fapi/v1/exchangeInfo"
    depth: str = "/fapi/v1/depth"
    klines: str = "/fapi/v1/klines"
    tickers: str = "/fapi/v1/ticker/24hr"
    order: str = "/fapi/v1/order"
    batch_orders: str = "/fapi/v1/batchOrders"
    open_orders: str = "/fapi/v1/openOrders"
    all_open_orders: str = "/fapi/v1/allOpenOrders"
    algo_order: str = "/fapi/v1/algoOrder"
    open_algo_orders: str = "/fapi/v1/openAlgoOrders"
    algo_open_orders: str = "/fapi/v1/algoOpenOrders"
    """The mass cancel of conditional orders; the venue's name differs from the query's by one letter's place."""
    countdown_cancel_all: str = "/fapi/v1/countdownCancelAll"
    user_trades: str = "/fapi/v1/userTrades"
    balance: str = "/fapi/v3/balance"
    position_risk: str = "/fapi/v3/positionRisk"
    position_mode: str = "/fapi/v1/positionSide/dual"
    listen_key: str = "/fapi/v1/listenKey"


@attrs.frozen(kw_only=True)
class Endpoints:
    """One environment: origins (scheme, host) and paths."""

    name: str
    as_of: str
    rest: str
    ws_api: str
    stream: str
    paths: Paths = Paths()


PRODUCTION = Endpoints(
    name="production",
    as_of="2026-04-23",
    rest="https://fapi.binance.com",
    ws_api="wss://ws-fapi.binance.com",
    stream="wss://fstream.binance.com",
)
DEMO = Endpoints(
    name="demo",
    as_of="2026-05-28",
    rest="https://demo-fapi.binance.com",
    ws_api="wss://testnet.binancefuture.com",
    stream="wss://fstream.binancefuture.com",
    paths=Paths(stream_public="/stream", stream_market="/stream", private="/ws"),
)
ENVIRONMENTS = {environment.name: environment for environment in (PRODUCTION, DEMO)}

STREAM_RULES = SessionRules(
    connection_age_max_ns=23 * 3600 * _S,  # the venue closes at 24 h
    server_ping_interval_ns=180 * _S,
    silence_max_ns=400 * _S,  # two pings missed
    client_ping_interval_ns=0,
    messages_per_s_max=10,
    subscriptions_max=1024,
    request_timeout_ns=10 * _S,  # not documented here; that of Spot
    # A stream promises nothing: it speaks when something happens, and on the wrong route never.
    expectations={
        Channel.BOOK: Expectation(quiet_ns=20 * _S),
        Channel.BOOK_TICKER: Expectation(quiet_ns=20 * _S),
        Channel.TICKER: Expectation(quiet_ns=30 * _S),
    },
)
WS_API_RULES = attrs.evolve(STREAM_RULES, messages_per_s_max=0, subscriptions_max=0, connect_weight=5)
"""The WebSocket API has no frame limit of its own: request weight and order count bound it."""
