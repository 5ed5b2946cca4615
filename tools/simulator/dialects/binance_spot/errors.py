"""Binance Spot's error codes and texts (section 15): those that all products share, and its own."""

from __future__ import annotations

from tools.simulator.core.model import Reject, RejectReason
from tools.simulator.dialects.binance_common.errors import VenueError as VenueError
from tools.simulator.dialects.binance_common.errors import bad_combination as bad_combination
from tools.simulator.dialects.binance_common.errors import bad_key as bad_key
from tools.simulator.dialects.binance_common.errors import bad_signature as bad_signature
from tools.simulator.dialects.binance_common.errors import bad_symbol as bad_symbol
from tools.simulator.dialects.binance_common.errors import empty as empty
from tools.simulator.dialects.binance_common.errors import illegal as illegal
from tools.simulator.dialects.binance_common.errors import internal as internal
from tools.simulator.dialects.binance_common.errors import missing as missing
from tools.simulator.dialects.binance_common.errors import no_such_order as no_such_order
from tools.simulator.dialects.binance_common.errors import not_required as not_required
from tools.simulator.dialects.binance_common.errors import too_precise as too_precise
from tools.simulator.dialects.binance_common.errors import unknown_order as unknown_order
from tools.simulator.dialects.binance_common.errors import unknown_status as unknown_status


def filter_failure(name: str) -> VenueError:
    return VenueError(-1013, f"Filter failure: {name}")


_REJECTS: dict[RejectReason, tuple[int, str]] = {
    RejectReason.INSUFFICIENT_BALANCE: (-2010, "Account has insufficient balance for requested action."),
    RejectReason.DUPLICATE_CL_ORD_ID: (-2010, "Duplicate order sent."),
    RejectReason.WOULD_MATCH: (-2010, "Order would immediately match and take."),
    RejectReason.WOULD_TRIGGER: (-2010, "Order would trigger immediately."),
    RejectReason.MARKET_CLOSED: (-2010, "Market is closed."),
    RejectReason.ZERO_NOTIONAL: (-2010, "Price * QTY is zero or less."),
    RejectReason.LIST_PRICES: (-2010, "The relationship of the prices for the orders is not correct."),
    RejectReason.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    RejectReason.CANCEL_RESTRICTION: (-2011, "Order was not canceled due to cancel restrictions."),
    RejectReason.AMEND_INCREASE: (-2038, "Order amend (quantity increase) is not supported."),
    RejectReason.AMEND_NO_CHANGE: (-2038, "The requested action would change no state; rejecting"),
}


def from_reject(reject: Reject) -> VenueError:
    """What the matching engine refused, in the venue's words."""
    code, text = _REJECTS[reject.reason]
    return VenueError(code, text)
