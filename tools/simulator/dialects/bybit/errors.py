"""The venue's refusals: `retCode`, text, and which of them the matching engine's own rejects become (section 11).

The products of the unified account speak in codes of their own: contracts in 110xxx, spot in 170xxx.  Texts are in the
venue's manner; clients must go by the code.
"""

from __future__ import annotations

from typing import Any

from tools.simulator.core.model import Reject, RejectReason

SPOT, LINEAR = "spot", "linear"


class VenueError(Exception):
    """A refusal.  `status` is HTTP's and 200 for nearly everything; `reset_ns` tells when a limit refills."""

    def __init__(self, code: int, msg: str, *, status: int = 200, reset_ns: int = 0) -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg
        self.status = status
        self.reset_ns = reset_ns


def bad_parameter(text: str) -> VenueError:
    return VenueError(10001, f"params error: {text}")


def bad_time(request_ms: int, server_ms: int, window_ms: int) -> VenueError:
    return VenueError(
        10002,
        "invalid request, please check your server timestamp or recv_window param. "
        f"req_timestamp[{request_ms}],server_timestamp[{server_ms}],recv_window[{window_ms}]",
    )


def bad_key() -> VenueError:
    return VenueError(10003, "API key is invalid.")


def bad_signature() -> VenueError:
    return VenueError(10004, "Error sign, please check your signature generation algorithm.")


def not_permitted() -> VenueError:
    return VenueError(10005, "Permission denied, please check your API key permissions.")


def too_many(reset_ns: int) -> VenueError:
    return VenueError(10006, "Too many visits. Exceeded the API Rate Limit.", reset_ns=reset_ns)


def internal() -> VenueError:
    """The venue's own trouble: an order may have been carried out or not (section 11)."""
    return VenueError(10016, "Internal server error.")


def timed_out() -> VenueError:
    """The venue gave up waiting for its own engine."""
    return VenueError(10000, "Server Timeout")


def no_such_order(category: str) -> VenueError:
    if category == SPOT:
        return VenueError(170213, "Order does not exist.")
    return VenueError(110001, "order not exists or too late to cancel")


def already_final(category: str, *, filled: bool) -> VenueError:
    if category == SPOT:
        return (
            VenueError(170139, "Order has been filled.") if filled else VenueError(170142, "Order has been canceled.")
        )
    if filled:
        return VenueError(110008, "Order has been finished or canceled")
    return VenueError(110010, "Order already cancelled")


def wrong_position_index() -> VenueError:
    return VenueError(10001, "position idx not match position mode")


_SPOT_REJECTS: dict[RejectReason, tuple[int, str]] = {
    RejectReason.INSUFFICIENT_BALANCE: (170131, "Insufficient balance."),
    RejectReason.INSUFFICIENT_MARGIN: (170131, "Insufficient balance."),
    RejectReason.DUPLICATE_CL_ORD_ID: (170141, "Duplicate clientOrderId."),
    RejectReason.WOULD_TRIGGER: (170210, "New order rejected: the trigger price has been reached already."),
    RejectReason.WOULD_MATCH: (170218, "The LIMIT-MAKER order is rejected due to invalid price."),
    RejectReason.MARKET_CLOSED: (170151, "The trading pair is not open yet."),
    RejectReason.ZERO_NOTIONAL: (170140, "Order value exceeded lower limit."),
    RejectReason.UNKNOWN_ORDER: (170213, "Order does not exist."),
}
_LINEAR_REJECTS: dict[RejectReason, tuple[int, str]] = {
    RejectReason.INSUFFICIENT_BALANCE: (110007, "ab not enough for new order"),
    RejectReason.INSUFFICIENT_MARGIN: (110007, "ab not enough for new order"),
    RejectReason.REDUCE_ONLY: (110017, "current position is zero, cannot fix reduce-only order qty"),
    RejectReason.NO_POSITION: (110017, "current position is zero, cannot fix reduce-only order qty"),
    RejectReason.DUPLICATE_CL_ORD_ID: (110072, "OrderLinkedID is duplicate"),
    RejectReason.WOULD_TRIGGER: (110092, "expect Rising, but trigger_price <= current"),
    RejectReason.WOULD_MATCH: (110103, "PostOnly order will take liquidity"),
    RejectReason.MARKET_CLOSED: (110066, "No trading is allowed at the current time"),
    RejectReason.ZERO_NOTIONAL: (110094, "Order does not meet minimum order value"),
    RejectReason.UNKNOWN_ORDER: (110001, "order not exists or too late to cancel"),
}


def from_reject(reject: Reject, category: str) -> VenueError:
    """What the matching engine refused, in the venue's words."""
    known = _SPOT_REJECTS if category == SPOT else _LINEAR_REJECTS
    code, text = known.get(reject.reason, (170210 if category == SPOT else 110032, f"Order rejected: {reject}"))
    return VenueError(code, text)


def envelope(result: Any, ext: Any, now_ns: int, error: VenueError | None = None) -> dict[str, Any]:
    """The frame that every REST answer has."""
    return {
        "retCode": 0 if error is None else error.code,
        "retMsg": "OK" if error is None else error.msg,
        "result": result,
        "retExtInfo": ext,
        "time": now_ns // 1_000_000,
    }
