"""Publish and subscribe for public streams.

A dialect renders a message once and publishes it under the stream's name; the hub hands it to every subscriber,
through the fault plan. Messages of one stream keep their order unless a fault says otherwise.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import trio

from tools.simulator.core.faults import PUBLIC, FaultKind, FaultPlan
from tools.simulator.core.scheduler import Scheduler


class Message:
    """One public message, and its framed forms, built once for all subscribers."""

    __slots__ = ("combined", "data", "data_frame", "ids", "previous", "stream", "stream_frame")

    def __init__(
        self,
        stream: str,
        data: bytes,
        combined: bytes | None = None,
        ids: tuple[int, int] | None = None,
        previous: int | None = None,
    ) -> None:
        self.stream = stream
        self.data = data  # the payload as a raw stream carries it
        self.combined = combined  # the payload wrapped with the stream's name, where a recording has it
        self.ids = ids  # first and last update id, for a message of a sequence that a subscriber must have whole
        self.previous = previous  # the last id of the message before, where the venue says it
        self.data_frame: bytes | None = None
        self.stream_frame: bytes | None = None


class Subscriber(Protocol):
    def deliver(self, message: Message) -> None: ...

    async def room(self, frames: int) -> None:
        """Wait until fewer than `frames` messages are on their way to this subscriber."""
        ...


class Hub:
    """Who listens to which stream."""

    def __init__(self, faults: FaultPlan, scheduler: Scheduler) -> None:
        self._faults = faults
        self._scheduler = scheduler
        self._subscribers: dict[str, dict[Subscriber, None]] = {}
        self._held: dict[str, list[tuple[int, Message]]] = {}
        self.published: Counter[str] = Counter()
        self.lost = 0
        """Messages of a sequence that the fault plan has dropped."""
        self.delay_s = 0.0

    def subscribe(self, stream: str, subscriber: Subscriber) -> None:
        self._subscribers.setdefault(stream, {})[subscriber] = None

    def unsubscribe(self, stream: str, subscriber: Subscriber) -> None:
        listeners = self._subscribers.get(stream)
        if listeners is not None:
            listeners.pop(subscriber, None)
            if not listeners:
                del self._subscribers[stream]

    def wanted(self, stream: str) -> bool:
        """Does anybody listen? Spares the rendering where not."""
        return stream in self._subscribers

    def streams(self) -> list[str]:
        return list(self._subscribers)

    def subscribers(self) -> int:
        """How many different connections listen to anything."""
        return len(self._all())

    def _all(self) -> set[Subscriber]:
        return {subscriber for listeners in self._subscribers.values() for subscriber in listeners}

    async def room(self, frames: int) -> None:
        """Wait for the slowest subscriber: a source that may run ahead of time uses this as its brake."""
        await trio.lowlevel.checkpoint()
        for subscriber in self._all():
            await subscriber.room(frames)

    def publish(self, message: Message) -> None:
        """Send to all listeners, unless the fault plan has other ideas."""
        if self.delay_s:
            self._scheduler.after(self.delay_s, lambda: self._publish(message))
        else:
            self._publish(message)

    def _publish(self, message: Message) -> None:
        stream = message.stream
        self.published[stream] += 1
        fault = self._faults.take(PUBLIC, stream, ids=message.ids)
        if fault is None:
            self._send(message)
        elif fault.kind is FaultKind.DUPLICATE:
            self._send(message)
            self._send(message)
        elif fault.kind is FaultKind.DELAY:
            self._scheduler.after(fault.delay_ms / 1000, lambda: self._send(message))
        elif fault.kind is FaultKind.REORDER:
            self._held.setdefault(stream, []).append((fault.after, message))
            return
        elif message.ids is not None:  # DROP
            self.lost += 1
        if self._held:
            self._release_held(stream)

    def _release_held(self, stream: str) -> None:
        held = self._held.pop(stream, [])
        waiting = [(left - 1, message) for left, message in held]
        for left, message in waiting:
            if left <= 0:
                self._send(message)
        still = [(left, message) for left, message in waiting if left > 0]
        if still:
            self._held[stream] = still

    def _send(self, message: Message) -> None:
        listeners = self._subscribers.get(message.stream)
        if listeners:
            for subscriber in list(listeners):
                subscriber.deliver(message)
