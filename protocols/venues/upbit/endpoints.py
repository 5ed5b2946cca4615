"""Where Upbit lives, as dated configuration (reference sections 1, 3 and 6.2).

There is one environment: the venue has no testnet, only `POST /v1/orders/test`, whose orders cannot be queried.  The
sister sites in Singapore, Indonesia and Thailand have hosts and rules of their own.  Nothing outside this file spells
a host or a path of the venue.
"""

from __future__ import annotations

import attrs

from protocols.enums import Channel
from protocols.venue import Expectation, SessionRules

__all__ = ["ENVIRONMENTS", "PRODUCTION", "STREAM_RULES", "Endpoints", "Paths"]

_S = 1_000_000_000


@attrs.frozen(kw_only=True)
class Paths:
    """Paths of REST and of the two kinds of WebSocket."""

    as_of: str = "2026-10-07"
    stream: str = "/websocket/v1"
    private: str = "/websocket/v1/private"
    """Wants the JWT in the upgrade request."""
    markets: str = "/v1/market/all"
    instruments: str = "/v1/orderbook/instruments"
    order_book: str = "/v1/orderbook"
    candles: str = "/v1/candles"
    tickers: str = "/v1/ticker"
    chance: str = "/v1/orders/chance"
    order: str = "/v1/order"
    orders: str = "/v1/orders"
    order_test: str = "/v1/orders/test"
    replace: str = "/v1/orders/cancel_and_new"
    orders_by_id: str = "/v1/orders/uuids"
    open_orders: str = "/v1/orders/open"
    closed_orders: str = "/v1/orders/closed"
    accounts: str = "/v1/accounts"


@attrs.frozen(kw_only=True)
class Endpoints:
    """One environment: origins (scheme and host), paths, and how requests are authenticated."""

    name: str
    as_of: str
    rest: str
    stream: str
    jwt_algorithms: tuple[str, ...] = ("HS512", "HS256")
    """Accepted by the venue, the recommended one first."""
    paths: Paths = Paths()


PRODUCTION = Endpoints(
    name="production",
    as_of="2026-10-07",
    rest="https://api.upbit.com",
    stream="wss://api.upbit.com",
)
ENVIRONMENTS = {PRODUCTION.name: PRODUCTION}

STREAM_RULES = SessionRules(
    connection_age_max_ns=0,  # no age limit is documented
    server_ping_interval_ns=0,
    silence_max_ns=75 * _S,  # two pings of ours unanswered; the venue gives up after 120 s
    client_ping_interval_ns=30 * _S,
    messages_per_s_max=5,
    messages_per_min_max=100,
    subscriptions_max=1000,  # assumed: no bound is documented
    request_timeout_ns=10 * _S,  # an order not found for so long was not accepted
    # Books and tickers begin with a picture, and an unknown market is ignored in silence: "alarm when none comes".
    expectations={
        Channel.BOOK: Expectation(first_ns=5 * _S, quiet_ns=30 * _S),
        Channel.TICKER: Expectation(first_ns=5 * _S, quiet_ns=60 * _S),
    },
)
"""Both kinds of connection live by the same rules.  The ping is the WebSocket's own: a text `PING` would count as one
of our messages, and is answered every 10 s from then on."""
