"""One text for one state, so that states can be compared by a hash.

Two processes that hold the same state must print the same hash: keys are sorted, Decimals are the strings that made
them, enums stand by value, flags by their names.  Nothing else in the code base hashes a state::

    state = canonical_json(picture)
    StateSnapshot(state=state, state_hash=state_hash(state), at_ns=now_ns)
"""

from __future__ import annotations

import hashlib

import msgspec

from protocols.enums import ExecInst

__all__ = ["EXEC_INST_TEXT", "canonical_json", "exec_inst_of", "state_hash", "to_text"]

EXEC_INST_TEXT = {inst: (inst.name or "NONE") for inst in map(ExecInst, range(8))}
"""Every combination of instructions as people read it: `NONE`, `POST_ONLY`, `POST_ONLY|REDUCE_ONLY`..."""
_EXEC_INST_OF = {text: inst for inst, text in EXEC_INST_TEXT.items()}


def to_text(value: object) -> object:
    """What msgspec cannot write by itself: flags become their names."""
    if type(value) is ExecInst:
        return EXEC_INST_TEXT[value]
    raise TypeError(
        f"{type(value).__name__} has no canonical text; use Decimal, int, str, enums or attrs classes of them"
    )


def exec_inst_of(text: object) -> ExecInst:
    """The flags of `EXEC_INST_TEXT` back; ValueError for any other text."""
    inst = _EXEC_INST_OF.get(text) if isinstance(text, str) else None
    if inst is None:
        raise ValueError(f"exec_inst must be one of {', '.join(_EXEC_INST_OF)}, was {text!r}")
    return inst


_ENCODER = msgspec.json.Encoder(enc_hook=to_text, decimal_format="string", order="sorted")


def canonical_json(value: object) -> str:
    """`value` (attrs classes, tuples, dicts with text keys, Decimal, int, str, enums) as JSON with sorted keys.

    TypeError names a type that has no exact text.  Floats have none that everybody agrees on: do not put them in.
    """
    return _ENCODER.encode(value).decode()


def state_hash(state: str) -> str:
    """SHA-256 of a canonical JSON text, 64 hex digits."""
    return hashlib.sha256(state.encode()).hexdigest()
