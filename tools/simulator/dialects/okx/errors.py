"""The venue's error codes with a text each (section 11), and the one exception that carries them.

A refusal stands either at the top of an answer (`code`, for what is wrong with the request) or in an item of it
(`sCode`, for what is wrong with an order). Both are this exception; where it is raised decides where it is told.
"""

from __future__ import annotations

from tools.simulator.core.model import Reject, RejectReason

TEXTS = {
    "50001": "Service temporarily unavailable. Please try again later",
    "50004": "API endpoint request timeout; it does not show whether the operation succeeded, please check",
    "50011": "Rate limit reached. Please refer to the API documentation and throttle requests accordingly",
    "50026": "System error. Please try again later",
    "50036": "The expTime is earlier than the present system time. Please check and correct it",
    "50037": "The order has expired: it reached the system after its expTime",
    "50061": "Sub-account rate limit reached: too many new and amended orders",
    "50102": "Timestamp request expired",
    "50103": 'Request header "OK-ACCESS-KEY" cannot be empty',
    "50104": 'Request header "OK-ACCESS-PASSPHRASE" cannot be empty',
    "50105": 'Request header "OK-ACCESS-PASSPHRASE" incorrect',
    "50106": 'Request header "OK-ACCESS-SIGN" cannot be empty',
    "50107": 'Request header "OK-ACCESS-TIMESTAMP" cannot be empty',
    "50111": "Invalid OK-ACCESS-KEY",
    "50112": "Invalid OK-ACCESS-TIMESTAMP",
    "50113": "Invalid Sign",
    "50120": "This API key doesn't have permission to use this function",
    "51001": "Instrument ID, Instrument ID code, or Spread ID doesn't exist",
    "51008": "Order failed: insufficient balance of the account",
    "51010": "The account mode does not support this request",
    "51016": "Client order ID already exists",
    "51020": "The order amount should be more than the minimum available amount",
    "51022": "The instrument is not open for trading",
    "51071": "Too many tags with a running timer",
    "51101": "Entered amount exceeds the maximum of a single order",
    "51121": "Order quantity must be a multiple of the lot size",
    "51150": "The precision of the trade amount or price exceeds the limit",
    "51169": "Order failed because there is no position in this direction for this contract",
    "51170": "Failed to place order: a reduce-only order cannot be in the same direction as the position",
    "51174": "The number of pending orders of this instrument has reached its limit",
    "51202": "The size of a market order exceeds the maximum",
    "51400": "Cancellation failed as the order has been filled, canceled or does not exist",
    "51503": "The order has been filled, canceled or does not exist",
    "51511": "Operation failed: the price does not meet the requirement for Post Only",
    "51603": "Order does not exist",
    "59000": "Setting failed: cancel open orders and close positions first",
    "60004": "Invalid timestamp",
    "60005": "Invalid apiKey",
    "60006": "Timestamp request expired",
    "60007": "Invalid sign",
    "60008": "The current WebSocket endpoint does not support subscribing to private channels; use the private path",
    "60011": "Please log in",
    "60012": "Invalid request",
    "60013": "Invalid args",
    "60014": "Requests too frequent",
    "60019": "Invalid op",
    "60024": "Wrong passphrase",
    "60033": "The parameter id is missing or malformed: up to 32 letters and digits",
    "64003": "The trading fee tier does not meet the requirement to access this channel",
    "64004": "Subscribing to books-l2-tbt and to books or books50-l2-tbt of the same instrument is not supported",
}


class OkxError(Exception):
    """A refusal as the venue words it. `status` is the HTTP status where it stands at the top of a REST answer."""

    def __init__(self, code: str, msg: str = "", *, status: int = 200, sub_code: str = "") -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg or TEXTS[code]
        self.status = status
        self.sub_code = sub_code


def empty(name: str) -> OkxError:
    """A parameter that must be there is not."""
    return OkxError("50014", f"Parameter {name} can not be empty.", status=400)


def bad_param(name: str) -> OkxError:
    """A parameter whose value makes no sense."""
    return OkxError("51000", f"Parameter {name} error")


def bad_json() -> OkxError:
    return OkxError("50002", "JSON syntax error", status=400)


def price_bound(code: str, bound: str) -> OkxError:
    """51137 and 51138 carry the bound of the price band in the text."""
    side = "highest price of a buy" if code == "51137" else "lowest price of a sell"
    return OkxError(code, f"Order price is outside of the price limit: the {side} order is {bound}")


def no_channel(arg: str) -> OkxError:
    return OkxError("60018", f"Wrong URL or {arg} doesn't exist. Please use the correct URL, channel and parameters.")


_REJECTS = {
    RejectReason.INSUFFICIENT_BALANCE: "51008",
    RejectReason.DUPLICATE_CL_ORD_ID: "51016",
    RejectReason.WOULD_MATCH: "51511",
    RejectReason.MARKET_CLOSED: "51022",
    RejectReason.ZERO_NOTIONAL: "51020",
    RejectReason.UNKNOWN_ORDER: "51400",
    RejectReason.INSUFFICIENT_MARGIN: "51008",
    RejectReason.REDUCE_ONLY: "51169",
    RejectReason.NO_POSITION: "51169",
}


def from_reject(reject: Reject) -> OkxError:
    """What the matching engine refused, in the venue's words."""
    code = _REJECTS.get(reject.reason)
    order = reject.order
    if code == "51169" and order is not None and order.account is not None:
        held = order.account.positions.get((order.symbol, order.position_side))
        if held is not None and held.qty:
            code = "51170"  # there is a position, and the order would make it larger
    if code is None:
        return OkxError("51000", f"The order was refused: {reject.reason.value}")
    return OkxError(code, sub_code="1000" if code == "51008" else "")
