"""The one exception that carries a refusal, and the codes that Binance's products share (section 15)."""

from __future__ import annotations

from typing import Any


class VenueError(Exception):
    """A refusal as the venue words it: HTTP status, code, text, and data where the venue adds some."""

    def __init__(self, code: int, msg: str, *, status: int = 400, data: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg
        self.status = status
        self.data = data

    def body(self) -> dict[str, Any]:
        """`{"code", "msg"}` and `data` where there is some."""
        result: dict[str, Any] = {"code": self.code, "msg": self.msg}
        if self.data is not None:
            result["data"] = self.data
        return result


def missing(name: str) -> VenueError:
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def empty(name: str) -> VenueError:
    return VenueError(-1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> VenueError:
    return VenueError(-1106, f"Parameter '{name}' sent when not required.")


def illegal(name: str, legal: str) -> VenueError:
    return VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def too_precise(name: str) -> VenueError:
    return VenueError(-1111, f"Parameter '{name}' has too much precision.")


def bad_symbol() -> VenueError:
    return VenueError(-1121, "Invalid symbol.")


def bad_combination() -> VenueError:
    return VenueError(-1128, "Combination of optional parameters invalid.")


def bad_signature() -> VenueError:
    return VenueError(-1022, "Signature for this request is not valid.")


def bad_key() -> VenueError:
    return VenueError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def no_such_order() -> VenueError:
    return VenueError(-2013, "Order does not exist.")


def unknown_order() -> VenueError:
    return VenueError(-2011, "Unknown order sent.")


def unknown_status() -> VenueError:
    """The venue gave up waiting for its own engine: the order may or may not exist (section 16)."""
    return VenueError(
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        status=503,
    )


def internal(status: int) -> VenueError:
    return VenueError(-1000, "An unknown error occurred while processing the request.", status=status)
