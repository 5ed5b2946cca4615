"""Spot's market streams in microseconds: `timeUnit=MICROSECOND` in the address (section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tools.simulator.core.hub import Message
from tools.simulator.core.net import WsConnection
from tools.simulator.dialects.binance_common.marketws import MarketSession
from tools.simulator.dialects.binance_common.params import split_query

if TYPE_CHECKING:
    from tools.simulator.dialects.binance_spot.venue import BinanceSpot

_TIMES = frozenset({"E", "T", "O", "C"})
_BAR_TIMES = frozenset({"t", "T"})


class SpotMarketSession(MarketSession):
    """One subscriber of public streams, in the unit that it asked for."""

    def __init__(self, venue: BinanceSpot, connection: WsConnection) -> None:
        super().__init__(venue, connection)
        options = dict(split_query(connection.target.partition("?")[2]))
        self._micro = options.get("timeUnit", "").upper() == "MICROSECOND"

    def deliver(self, message: Message) -> None:
        """One public message; its times are rewritten for who wants microseconds."""
        if not self._micro:
            super().deliver(message)
            return
        data = orjson.dumps(in_microseconds(orjson.loads(message.data)))
        if self.combined:
            data = b'{"stream":"%b","data":%b}' % (message.stream.encode(), data)
        self.connection.send(data)


def in_microseconds(event: Any) -> Any:
    """An event with its milliseconds in microseconds; `t` is a time in a bar and a number of a trade elsewhere."""
    if isinstance(event, list):
        return [in_microseconds(each) for each in event]
    return {name: _in_microseconds(name, value) for name, value in event.items()}


def _in_microseconds(name: str, value: Any) -> Any:
    if name == "k":
        return {key: inner * 1000 if key in _BAR_TIMES else inner for key, inner in value.items()}
    return value * 1000 if name in _TIMES and isinstance(value, int) else value
