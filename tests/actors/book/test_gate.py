"""No order is priced from a book that is not proven: the real book speaks, the real gate decides, at every step."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.base import Message
from protocols.enums import Channel, OrdRejReason, Side
from protocols.market import Quote, StreamDown, StreamUp
from protocols.reconcile import book_path
from supervisors.actor import Down, Up
from tests.actors.book.test_sequences import Step, diff
from tests.actors.book.world import PUBLIC, SYMBOL, VENUE, BookWorld
from tests.actors.risk.test_gates import Gate, account, command, refusals
from tests.actors.risk.world import order

fault = st.sampled_from(["pass"] * 6 + ["drop", "twice", "reconnect", "lost", "no trades", "wait"])


class GuardedBook:
    """A book, and a gate that reads it as from a mailbox: the newest quote that waits takes the place of the first."""

    def __init__(self) -> None:
        self.book = BookWorld()
        self.gate: Gate = account(max_open_orders=10**6, max_repeats=10**6)
        self.refused = self.passed = 0

    async def start(self) -> None:
        """The gate knows the venue; the book has just begun."""
        await self.gate.actor.started()
        await self.book.start()
        self.read(self.book.told)

    def give(self, message: Message) -> None:
        self.read(self.book.give(message))

    def wait(self, milliseconds: int) -> None:
        self.read(self.book.advance(milliseconds))

    def read(self, told: list[Message]) -> None:
        now = self.book.ctx
        self.gate.ctx.now_ns, self.gate.ctx.monotonic_ns = now.now_ns, now.monotonic_ns
        for message in conflated(told):
            self.gate.actor.receive(message)
        self.ask()

    def ask(self) -> None:
        """An order with a price and one without, against what the book is worth now."""
        if not self.book.is_ready():
            for price in (Decimal(100), None):
                assert self.reason(price) is OrdRejReason.NO_REFERENCE_PRICE
            self.refused += 1
            return
        (bid_px, bid_qty), (ask_px, ask_qty) = self.book.truth.top(int(str(self.book.actor.inspect()["last_id"])))
        if bid_qty and ask_qty:
            assert self.reason(((bid_px + ask_px) / 2).quantize(Decimal("0.01"))) is None
            self.passed += 1

    def reason(self, price: Decimal | None) -> OrdRejReason | None:
        """Why the gate refuses an order; None when it passes."""
        wish = order(Side.BUY, qty="0.001", price=price, created_ns=self.gate.ctx.now_ns)
        sent = self.gate.give(command(self.gate, wish))
        refused = refusals(sent)
        return next(iter(refused.values())).reason if refused else None


def conflated(told: list[Message]) -> list[Message]:
    """What a mailbox makes of messages that were not read one by one."""
    quotes = [message for message in told if isinstance(message, Quote)]
    kept = [message for message in told if not isinstance(message, Quote) or message is quotes[0]]
    return [quotes[-1] if isinstance(message, Quote) else message for message in kept]


async def play(steps: list[Step]) -> GuardedBook:
    guarded, connection = GuardedBook(), 1
    await guarded.start()
    guarded.give(StreamUp(PUBLIC, VENUE, connection, 0, (Channel.BOOK,), SYMBOL))
    for changes, what, lag in steps:
        delta = guarded.book.truth.update(changes, connection, received_ns=guarded.book.ctx.now_ns)
        if what in ("reconnect", "lost"):
            guarded.give(StreamDown(PUBLIC, VENUE, connection, 0, "reset", (Channel.BOOK,), SYMBOL))
        if what == "reconnect":
            connection += 1
            guarded.give(StreamUp(PUBLIC, VENUE, connection, 0, (Channel.BOOK,), SYMBOL))
        elif what == "no trades":
            guarded.give(StreamDown(PUBLIC, VENUE, 1, 0, "reset", (Channel.TRADES,), SYMBOL))
        elif what in ("pass", "twice"):
            for _ in range(1 + (what == "twice")):
                guarded.give(delta)
        for _ in range(15 if what == "wait" else 1):
            guarded.wait(400)
        requests, guarded.book.requests = guarded.book.requests, []
        for _ in requests:
            guarded.give(guarded.book.truth.snapshot(max(guarded.book.truth.last_id - lag, 100), connection))
    return guarded


@pytest.mark.req("R350", "R356")
@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(diff, fault, st.integers(0, 4)), max_size=40))
def test_no_order_is_priced_from_a_book_that_is_not_proven(steps: list[Step]) -> None:
    assert trio.run(play, steps).refused


@pytest.mark.req("R350", "R356")
def test_nothing_is_priced_from_what_a_crashed_book_has_quoted() -> None:
    """It cannot tell of its crash; those who price from it see it end, and wait for what its successor proves."""
    change = [("bids", (Decimal(98), Decimal(2)))]
    guarded = trio.run(play, [(change, "pass", 0), (change, "pass", 0)])
    gate, path = guarded.gate, book_path(VENUE, SYMBOL)
    assert path in gate.ctx.watched
    assert guarded.reason(Decimal(99)) is None
    gate.actor.receive(Down(path, 1, "it resyncs and says so itself", running=True))
    assert guarded.reason(Decimal(99)) is None
    gate.actor.receive(Down(path, 1, "crashed: KeyError"))
    for price in (Decimal(99), None):
        assert guarded.reason(price) is OrdRejReason.NO_REFERENCE_PRICE
    gate.actor.receive(Up(path, 2))
    assert guarded.reason(None) is OrdRejReason.NO_REFERENCE_PRICE
    successor = GuardedBook()
    successor.gate = gate
    trio.run(successor.start)
    assert guarded.reason(None) is OrdRejReason.NO_REFERENCE_PRICE
    successor.book.ctx.now_ns = gate.ctx.now_ns
    successor.book.ctx.monotonic_ns = gate.ctx.monotonic_ns
    successor.give(StreamUp(PUBLIC, VENUE, 9, 0, (Channel.BOOK,), SYMBOL))
    successor.give(successor.book.truth.update(change, 9))
    successor.give(successor.book.truth.snapshot(connection=9))
    assert guarded.reason(Decimal(99)) is None


def test_the_gate_opens_and_shuts_with_the_proof() -> None:
    """One way through all of it, so that the test above is known to see both answers."""
    change = [("bids", (Decimal(98), Decimal(2)))]
    guarded = trio.run(play, [(change, "pass", 0), (change, "no trades", 0)])
    assert guarded.book.is_ready()
    assert guarded.passed > 2
    shut = trio.run(play, [(change, what, 0) for what in ("pass", "lost")])
    assert not shut.book.is_ready()
