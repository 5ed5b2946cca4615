"""The venue's codes and texts (section 16) beyond those that all Binance products share."""

from __future__ import annotations

from tools.simulator.core.model import Reject, RejectReason
from tools.simulator.dialects.binance_common.errors import VenueError

_REJECTS: dict[RejectReason, tuple[int, str]] = {
    RejectReason.INSUFFICIENT_MARGIN: (-2019, "Margin is insufficient."),
    RejectReason.INSUFFICIENT_BALANCE: (-2018, "Balance is insufficient."),
    RejectReason.DUPLICATE_CL_ORD_ID: (-4116, "ClientOrderId is duplicated."),
    RejectReason.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    RejectReason.WOULD_MATCH: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    RejectReason.NOT_FILLABLE: (
        -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history",
    ),
    RejectReason.WOULD_TRIGGER: (-2021, "Order would immediately trigger."),
    RejectReason.MARKET_CLOSED: (-4140, "Invalid symbol status for opening position."),
    RejectReason.ZERO_NOTIONAL: (-4003, "Quantity less than or equal to zero."),
    RejectReason.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    RejectReason.NO_LIQUIDITY: (-2020, "Unable to fill."),
    RejectReason.AMEND_NO_CHANGE: (-5027, "No need to modify the order."),
}


def from_reject(reject: Reject) -> VenueError:
    """What the matching engine refused, in the venue's words."""
    code, text = _REJECTS[reject.reason]
    return VenueError(code, text)


def reject_text(reason: RejectReason) -> str:
    """The `rm` of a conditional order that was refused when it fired."""
    return _REJECTS[reason][1]


def use_algo_service() -> VenueError:
    return VenueError(
        -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
    )


def side_does_not_match() -> VenueError:
    return VenueError(-4061, "Order's position side does not match user's setting.")


def unable_to_process() -> VenueError:
    """503 that surely failed (17.1)."""
    return VenueError(-1001, "Internal error; unable to process your request. Please try again.", status=503)


def unknown_error() -> VenueError:
    """503 of which nobody knows whether it was carried out (17.1)."""
    return VenueError(-1000, "Unknown error, please check your request or try again later.", status=503)


def throttled() -> VenueError:
    """503 that surely failed, and is not counted: reductions and cancels pass (17.1)."""
    text = (
        "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again."
    )
    return VenueError(-1008, text, status=503)


def listen_key_unknown() -> VenueError:
    return VenueError(-1125, "This listenKey does not exist.")
