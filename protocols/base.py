"""What every message between actors has in common.

A message is an immutable value: an attrs class without methods that do I/O, without references to actors,
without venue dictionaries.  Three families exist, and the family decides what happens when the receiver's
mailbox is full or its owner is not ready:

=============  ====================================================================================
`COMMAND`      imperative, may be refused; the refusal reaches the caller as a typed message
`MARKET`       a newer value of the same `conflation_key` replaces an older one that was not read yet
`EVENT`        something that happened; never dropped
=============  ====================================================================================

`message` builds the class.  Type checkers see a frozen class, so an assignment is an error of the strict
check; at run time the cheaper unfrozen slots form is used (110 ns instead of 340 ns for six fields), because
the order path makes some ten messages an order.  `tests/protocols/test_messages.py` keeps the two in step.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar

import attrs

if TYPE_CHECKING:
    from attrs import frozen as message
else:
    message = attrs.define

__all__ = ["Command", "Delivery", "Event", "MarketData", "Message", "Query", "RefusalReason", "message"]


class Delivery(enum.Enum):
    """What a full mailbox, or a receiver that is not ready, does with a message."""

    COMMAND = "command"
    MARKET = "market"
    EVENT = "event"


class RefusalReason(enum.Enum):
    """Why the runtime, not the receiver's logic, gave a command back."""

    MAILBOX_FULL = "mailbox_full"
    NOT_READY = "not_ready"
    ACTOR_DOWN = "actor_down"
    NO_SUCH_ACTOR = "no_such_actor"
    POISON = "poison"


class Message:
    """Base of all messages; the default family is `EVENT`."""

    __slots__ = ()
    delivery: ClassVar[Delivery] = Delivery.EVENT


class Event(Message):
    """Something happened.  Past tense."""

    __slots__ = ()


class MarketData(Message):
    """A picture of the market that a newer picture of the same key makes worthless."""

    __slots__ = ()
    delivery: ClassVar[Delivery] = Delivery.MARKET

    @property
    def conflation_key(self) -> tuple[str, ...]:
        """Messages with equal keys replace each other while they wait."""
        raise NotImplementedError


class Command(Message):
    """A wish.  `refusals` says whom to tell when it could not be delivered."""

    __slots__ = ()
    delivery: ClassVar[Delivery] = Delivery.COMMAND
    passes_shut_gate: ClassVar[bool] = False
    """True for what only reduces risk: delivered to a running actor even while its ready gate is shut."""

    def refusals(self, reason: RefusalReason, by: str) -> tuple[tuple[str, Message], ...]:
        """(path, message) pairs that tell everyone concerned; `by` is the path that could not take it."""
        return ()


class Query(Message):
    """A question answered by `Actor.answer`; sent with `ask`, refused by an exception in the asker."""

    __slots__ = ()
    delivery: ClassVar[Delivery] = Delivery.COMMAND

    @property
    def passes_shut_gate(self) -> bool:
        """True when an actor is to answer although its ready gate is shut: from a state that is not verified."""
        return False
