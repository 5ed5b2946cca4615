"""One text for one state, so that states can be compared by a hash.

Two processes that hold the same state must print the same hash: keys are sorted, Decimals are the strings that made
them, enums and flags stand by value.  Nothing else in the code base hashes a state::

    state = canonical_json(picture)
    StateSnapshot(state=state, state_hash=state_hash(state), at_ns=now_ns)
"""

from __future__ import annotations

import hashlib

import msgspec

__all__ = ["canonical_json", "state_hash"]

_ENCODER = msgspec.json.Encoder(decimal_format="string", order="sorted")


def canonical_json(value: object) -> str:
    """`value` (attrs classes, tuples, dicts with text keys, Decimal, int, str, enums) as JSON with sorted keys.

    TypeError names a type that has no exact text.  Floats have none that everybody agrees on: do not put them in.
    """
    return _ENCODER.encode(value).decode()


def state_hash(state: str) -> str:
    """SHA-256 of a canonical JSON text, 64 hex digits."""
    return hashlib.sha256(state.encode()).hexdigest()
