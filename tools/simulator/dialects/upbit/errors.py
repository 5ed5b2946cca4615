"""The venue's refusals (section 8) and the errors of its sockets (section 6.3).

What is an account's is refused with a word, what is public with a number; a refusal of either kind is an object
`{"error": {"name", "message"}}`. The texts are our own.
"""

from __future__ import annotations

from typing import Any

from tools.simulator.core.model import Reject, RejectReason, Side


class VenueError(Exception):
    """A refusal: HTTP status, name, text."""

    def __init__(self, name: str | int, text: str, *, status: int = 400) -> None:
        super().__init__(f"{status} {name}: {text}")
        self.name = name
        self.text = text
        self.status = status

    def body(self) -> dict[str, Any]:
        return {"error": {"name": self.name, "message": self.text}}


class SocketError(Exception):
    """A frame that cannot be obeyed; the connection goes on."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text

    def body(self) -> dict[str, Any]:
        return {"error": {"name": self.name, "message": self.text}}


# ---- authentication ------------------------------------------------------------------------------------------------


def no_token() -> VenueError:
    return VenueError("no_authorization_token", "No authorization token was sent.", status=401)


def bad_token(why: str) -> VenueError:
    return VenueError("jwt_verification", f"The JWT could not be verified: {why}.", status=401)


def bad_key() -> VenueError:
    return VenueError("invalid_access_key", "Unknown access key.", status=401)


def expired_key() -> VenueError:
    return VenueError("expired_access_key", "The access key has expired.", status=401)


def nonce_used() -> VenueError:
    return VenueError("nonce_used", "This nonce was used before.", status=401)


def bad_payload() -> VenueError:
    return VenueError("invalid_query_payload", "query_hash does not belong to the parameters.", status=401)


def out_of_scope() -> VenueError:
    return VenueError("out_of_scope", "The key has no permission for this.", status=403)


# ---- parameters ----------------------------------------------------------------------------------------------------


def validation(name: str, text: str = "is missing or not valid") -> VenueError:
    return VenueError("validation_error", f"{name} {text}")


def public_request(text: str = "Missing request parameter error. Check the required parameters!") -> VenueError:
    return VenueError(400, text)


def no_such_code() -> VenueError:
    return VenueError(404, "Code not found", status=404)


def no_such_market() -> VenueError:
    return VenueError("notfoundmarket", "There is no such market.")


def order_not_found() -> VenueError:
    return VenueError("order_not_found", "The order was not found.", status=404)


def internal(status: int = 500) -> VenueError:
    return VenueError("internal_server_error", "An error occurred inside the venue.", status=status)


# ---- orders --------------------------------------------------------------------------------------------------------


def of_side(stem: str, side: Side, text: str) -> VenueError:
    """Most refusals of an order end in the side: `insufficient_funds_bid`."""
    return VenueError(f"{stem}_{'bid' if side is Side.BUY else 'ask'}", text)


def from_reject(reject: Reject) -> VenueError:
    """What the matching engine refused, in the venue's words."""
    order, reason = reject.order, reject.reason
    side = Side.BUY if order is None else order.side
    if reason is RejectReason.INSUFFICIENT_BALANCE:
        return of_side("insufficient_funds", side, "The balance does not suffice.")
    if reason is RejectReason.WOULD_MATCH:
        return VenueError("invalid_post_only", "A post-only order would take.")
    if reason is RejectReason.UNKNOWN_ORDER:
        return order_not_found()
    if reason is RejectReason.MARKET_CLOSED:
        return VenueError("market_offline", "The market is closed.", status=403)
    if reason is RejectReason.DUPLICATE_CL_ORD_ID:
        return duplicated()
    return VenueError(f"create_{'bid' if side is Side.BUY else 'ask'}_error", reason.value)


def duplicated() -> VenueError:
    return VenueError("duplicated_identifier", "The identifier was used before.")
