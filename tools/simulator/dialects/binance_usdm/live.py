"""The real venue's market, matched against here as it comes: two routes, and the link by `pu` (sections 1, 14)."""

from __future__ import annotations

import json

from tools.simulator.core.capture import ReplayCodec
from tools.simulator.core.hub import Hub, Message
from tools.simulator.core.live import FeedBroken, LiveConfig, LiveFeed

_PUBLIC = ("depth@100ms", "bookTicker")
_MARKET = ("aggTrade", "markPrice@1s")


def instruments_url(config: LiveConfig, symbols: tuple[str, ...]) -> str:
    """Where the upstream venue lists its symbols; always all of them."""
    return f"{config.rest_url.rstrip('/')}/fapi/v1/exchangeInfo"


class UsdmLiveFeed(LiveFeed):
    """Follows the upstream venue for ever."""

    def __init__(self, hub: Hub, target: ReplayCodec, config: LiveConfig, symbols: tuple[str, ...]) -> None:
        super().__init__(hub, target, config, symbols)
        self._bridged: set[str] = set()  # streams whose first diff after the snapshot has come

    def targets(self) -> list[str]:
        """Books on `/public`, prints and marks on `/market`."""
        return [
            f"/{route}/stream?streams="
            + "/".join(f"{name.lower()}@{each}" for name in self._symbols for each in streams)
            for route, streams in (("public", _PUBLIC), ("market", _MARKET))
        ]

    def snapshot_url(self, symbol: str) -> str:
        return f"{self.config.rest_url.rstrip('/')}/fapi/v1/depth?symbol={symbol}&limit={self.config.depth}"

    def opened_at(self, symbol: str, raw: str) -> None:
        stream = f"{symbol.lower()}@depth@100ms"
        self._reached[stream] = int(json.loads(raw)["lastUpdateId"])
        self._bridged.discard(stream)

    def prove(self, message: Message) -> None:
        """The first diff must straddle the snapshot, every other one must name the one before as `pu`."""
        if message.ids is None or message.previous is None:
            return
        first_id, last_id = message.ids
        reached = self._reached.get(message.stream)
        if reached is None or last_id < reached:
            return
        if message.stream in self._bridged:
            linked = message.previous == reached
        else:
            linked = first_id <= reached or message.previous == reached
        if not linked:
            raise FeedBroken(f"{message.stream}: update {first_id} (after {message.previous}) follows {reached}")
        self._bridged.add(message.stream)
        self._reached[message.stream] = last_id
