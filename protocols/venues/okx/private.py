"""OKX's private side, put together: its connections here, orders in `commands`, questions in `queries`.

Two connections make an account's stream: orders, money and positions come on the private one, algo orders on the
business one.  The private one takes orders as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from protocols.base import Message
from protocols.errors import LocalProtocolError
from protocols.instruments import Product
from protocols.venue import Frame, Lane, Reply
from protocols.venues.okx.commands import OrderCommands, need_logon
from protocols.venues.okx.encode import LOGIN_ID, legal_request_id
from protocols.venues.okx.endpoints import INST_TYPES, ORDER_TYPES
from protocols.venues.okx.queries import AccountQueries

__all__ = ["OkxPrivate"]

_S = 1_000_000_000
_LOGIN_TARGET = "GET/users/self/verify"
_EVENTS_ONLY = '{"updateInterval":"0"}'


class OkxPrivate(OrderCommands, AccountQueries):
    """`protocols.venue.PrivateCodec` for one account and product, made as `account.AccountCodec` says.

    Besides `KeepsAlive`, `ContinuesAnswers`, `BatchCodec`, `AmendsByTerms`, `AmendsByRest`, `CancelsByRest`,
    `OrdersByRest`, `SplitsPrivateStream`, `DeadManSwitch`, `KnowsPositions`, `LearnsInstruments`, `ChecksPositionMode`.
    """

    def entry_path(self) -> str:
        """The private connection takes orders as well."""
        return self._paths.private

    def private_path(self) -> str:
        """The private connection."""
        return self._paths.private

    def further_private_paths(self) -> Sequence[str]:
        """The business connection, for algo orders."""
        return (self._paths.business,)

    def logon(self, request_id: str, stamp_venue_ns: int) -> Frame | None:
        """`login`, stamped in *seconds*; its reply bears `LOGIN_ID`, not `request_id`."""
        stamp = str(stamp_venue_ns // _S)
        arg = {
            "apiKey": self._signer.api_key,
            "passphrase": self._signer.passphrase,
            "timestamp": stamp,
            "sign": self._signer.sign(f"{stamp}{_LOGIN_TARGET}".encode()),
        }
        return Frame(msgspec.json.encode({"op": "login", "args": [arg]}).decode(), LOGIN_ID, 0, Lane.QUERY)

    def subscribe_private(self, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Orders and money; of contracts also positions.  One `Reply` when all of them are confirmed."""
        topics: list[Mapping[str, str]] = [
            {"channel": "orders", "instType": kind} for kind in ORDER_TYPES[self.product]
        ]
        topics.append({"channel": "account", "extraParams": _EVENTS_ONLY})
        if self.product is not Product.SPOT:
            kind = INST_TYPES[self.product]
            topics.append({"channel": "positions", "instType": kind, "extraParams": _EVENTS_ONLY})
        return self._subscribe(topics, request_id, logged_on=logged_on)

    def subscribe_further(self, path: str, request_id: str, stamp_venue_ns: int, *, logged_on: bool) -> Frame:
        """Algo orders, on the business connection."""
        if path not in self.further_private_paths():
            raise LocalProtocolError(f"path was {path!r}, must be one of further_private_paths()")
        topics = [{"channel": "orders-algo", "instType": kind} for kind in ORDER_TYPES[self.product]]
        return self._subscribe(topics, request_id, logged_on=logged_on)

    def _subscribe(self, topics: Sequence[Mapping[str, str]], request_id: str, *, logged_on: bool) -> Frame:
        need_logon(logged_on)
        body = {"id": legal_request_id(request_id), "op": "subscribe", "args": topics}
        self._acks.expect(request_id, len(topics))
        return Frame(msgspec.json.encode(body).decode(), request_id, 0, Lane.QUERY)

    def decode_entry(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Replies, and whatever else this protocol sends.  Raises RemoteProtocolError, nothing else."""
        return self._channels.decode(raw, received_ns)

    def decode_private(self, raw: str | bytes, received_ns: int) -> Sequence[Reply | Message]:
        """Events and replies, of each of the account's connections.  Raises RemoteProtocolError, nothing else."""
        return self._channels.decode(raw, received_ns)
