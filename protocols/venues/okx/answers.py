"""What the gateway says to an order request, by WebSocket and by REST (reference sections 5.4 and 6).

An answer is judged item by item where it has items, else by its code.  One that cannot be read, or that contradicts
itself, proves nothing about its order: UNKNOWN, never an exception.
"""

from __future__ import annotations

import msgspec

from protocols.errors import RemoteProtocolError
from protocols.instruments import Product
from protocols.venue import HttpReply, Reply
from protocols.venues.okx import wire
from protocols.venues.okx.errors import Refusal, classify, not_understood
from protocols.venues.okx.reports import Reports
from protocols.venues.okx.requests import refusal_of, refusal_of_item
from protocols.venues.values import REFUSED

__all__ = ["AnswerReader"]

_ENVELOPE: wire.Reader[wire.Envelope] = wire.Reader(wire.Envelope)
_ITEMS: wire.Reader[tuple[wire.AckRow, ...]] = wire.Reader(tuple[wire.AckRow, ...])
OPERATIONS = {
    "order": False,
    "amend-order": False,
    "cancel-order": False,
    "batch-orders": True,
    "batch-amend-orders": True,
    "batch-cancel-orders": True,
}
"""On the WebSocket, and whether each is a batch."""


class AnswerReader:
    """Reads the answers to one product's order requests."""

    __slots__ = ("_product", "_reports")

    def __init__(self, product: Product, reports: Reports) -> None:
        self._product = product
        self._reports = reports

    def of_frame(self, frame: wire.Frame, received_ns: int) -> Reply:
        """The answer to an operation of `OPERATIONS`."""
        request_id = "" if frame.id is None else str(frame.id)[:64]
        is_batch = OPERATIONS[frame.op]
        return self._answer(request_id, frame.code, frame.msg, frame.data, received_ns, is_batch=is_batch)

    def of_reply(self, request_id: str, reply: HttpReply) -> Reply:
        """The answer to a REST request; of a batch of one as of a single order."""
        try:
            envelope = _ENVELOPE.decode(reply.body)
        except REFUSED:
            refusal = refusal_of(reply, order=True)
            error = not_understood("no envelope") if refusal is None else classify(self._product, refusal)
            return Reply(request_id, error=error)
        return self._answer(
            request_id,
            envelope.code,
            envelope.msg,
            envelope.data,
            reply.received_ns,
            is_batch=None,
            status=reply.status,
        )

    def _answer(
        self,
        request_id: str,
        code: str,
        text: str,
        data: msgspec.Raw,
        received_ns: int,
        *,
        is_batch: bool | None,
        status: int = 200,
    ) -> Reply:
        """By items where there are some (codes 0, 1 and 2), else by the code; `is_batch` None: as the items say."""
        if code in ("0", "1", "2") and 200 <= status < 300:
            try:
                rows = _ITEMS.decode(data) if bytes(data) else ()
            except REFUSED as error:
                return Reply(request_id, error=not_understood(str(error)))
            parts = tuple(self._part(request_id, code, row, received_ns) for row in rows)
            if is_batch is None:
                is_batch = len(parts) > 1
            if parts and is_batch:
                return Reply(request_id, payload={"orders": len(parts)}, parts=parts)
            if len(parts) == 1:
                return parts[0]
            return Reply(request_id, error=not_understood(f"code {code} with {len(parts)} items: {text}"))
        refusal = Refusal(status=status, code=code, text=text, order=True, received_ns=received_ns)
        return Reply(request_id, error=classify(self._product, refusal))

    def _part(self, request_id: str, code: str, row: wire.AckRow, received_ns: int) -> Reply:
        """One item.  One that contradicts the code of the whole ("0" all good, "1" none) proves nothing."""
        good = row.sCode == "0"
        if good is not (code == "0") and code != "2":
            return Reply(request_id, error=not_understood(f"code {code} with sCode {row.sCode[:20]}: {row.sMsg[:200]}"))
        if not good:
            refusal = refusal_of_item(row, order=True, received_ns=received_ns)
            return Reply(request_id, error=classify(self._product, refusal))
        try:
            return Reply(request_id, report=self._reports.of_ack(row))
        except RemoteProtocolError as error:
            return Reply(request_id, error=not_understood(str(error)))
