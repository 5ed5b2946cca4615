"""What each fact of a venue means, in words for who operates an engine (`bulkhead venues NAME`).

The facts are `Capabilities` and `SessionRules` of `protocols.venue`; a test holds that none is without words.
"""

from __future__ import annotations

from collections.abc import Mapping

CAPABILITY_GROUPS: Mapping[str, Mapping[str, str]] = {
    "orders": {
        "ws_order_entry": "orders go over a WebSocket, and by REST when it is down; else by REST alone",
        "ws_logon": "a connection is logged on once; else every order is signed",
        "batch_size_max": "orders that one request can place",
        "ws_batches": "batches go over the WebSocket too",
        "post_only": "an order that would take is refused",
        "reduce_only": "an order that could open a position is refused",
        "triggers": "orders that the venue keeps until a price is reached",
        "market_by_quote": "a market order can spend an amount of the quote currency",
        "market_buy_by_qty": "a market order can buy a quantity; else a buy that must fill now is a LIMIT with IOC",
        "request_window": "requests carry a deadline, so that doubt about them has an end",
    },
    "changes and cancels": {
        "amends": "the quantity of a resting order can be lowered in place",
        "amend_keeps_priority": "and it keeps its place in the queue",
        "amends_price": "price and larger quantities can be changed in place too",
        "amend_needs_terms": "an amend states all terms anew",
        "cancel_replace": "one request ends an order and makes another",
        "cancel_batch_max": "orders that one request can cancel",
        "cancel_all_symbol": "one request cancels all orders of a symbol",
        "cancel_all_account": "one request cancels all orders of the account",
        "ws_cancel_all": "and it goes over the WebSocket too",
        "dead_man_switch": "the venue cancels when the engine is silent (accounts.NAME.dead_man_s)",
        "dead_man_by_symbol": "and is told so for each symbol",
    },
    "account": {
        "hedge_mode": "both sides of a contract can be held at once",
        "positions": "the venue keeps contract positions of its own",
        "wallet": "the wallet that it shares with other products of the same key",
        "query_by_cl_ord_id": "an order can be asked for by our own id",
        "cl_ord_id_reusable": "ids of finished orders are forgotten: an order sent twice could be two",
        "fills_by_time": "there is a list of own trades; else they are read from their orders",
        "fills_from_trade_id": "and it can be asked for from a trade on; else from a time on",
        "private_snapshot_on_subscribe": "the private stream begins with all orders; else REST is asked",
        "listen_key": "the private stream is addressed by a key from REST",
    },
    "market data": {
        "channels": "public streams, see below",
        "subscriptions_add": "subscriptions add up; else each replaces all before it",
        "candles_max": "bars of one request",
        "server_time": "the venue tells its clock to the millisecond; else to the second",
    },
}
RULE_WORDS: Mapping[str, str] = {
    "connection_age_max_ns": "a connection is replaced, with overlap, before it is so old",
    "server_ping_interval_ns": "the venue pings so often; none: it waits for ours",
    "silence_max_ns": "a connection is dead when not a byte has come for so long",
    "client_ping_interval_ns": "we ping so often",
    "messages_per_s_max": "messages that one connection may send in a second",
    "messages_per_min_max": "messages that one connection may send in a minute",
    "requests_per_h_max": "subscribe requests that one connection may send in an hour",
    "connect_weight": "an attempt to connect costs so much of the address's weight",
    "subscriptions_max": "subscriptions of one connection",
    "books_max": "books of one connection",
    "request_timeout_ns": "the venue works no longer on a request",
}
