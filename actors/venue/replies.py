"""Waiting for the answers to the requests of a connection, whoever reads it."""

from __future__ import annotations

import trio

from protocols.venue import Reply


class Replies:
    """Requests of a link's preparation and the replies that settle them."""

    def __init__(self) -> None:
        self._expected: dict[str, tuple[trio.Event, list[Reply]]] = {}

    def expect(self, request_id: str) -> None:
        """Call before sending."""
        self._expected[request_id] = (trio.Event(), [])

    def settle(self, reply: Reply) -> bool:
        """True when somebody waited for this reply."""
        expected = self._expected.get(reply.request_id)
        if expected is None:
            return False
        expected[1].append(reply)
        expected[0].set()
        return True

    def fail(self, reply: Reply) -> bool:
        """A refusal that names no request: it is about whatever was sent last, so all that wait get it."""
        waiting = [each for each in self._expected.values() if not each[1]]
        if reply.request_id or not waiting:
            return False
        for arrived, replies in waiting:
            replies.append(reply)
            arrived.set()
        return True

    async def wait(self, request_id: str) -> Reply:
        """The reply; wait under a deadline of your own."""
        arrived, replies = self._expected[request_id]
        try:
            await arrived.wait()
        finally:
            del self._expected[request_id]
        return replies[0]
