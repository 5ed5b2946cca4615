"""A live market from Bybit's own public streams: one socket per category, books of 200 levels, prints, tickers.

A gap in a topic's counter, or the end of a socket, begins everything anew: the first snapshots replace the books.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson
import trio
from trio_websocket import wrap_client_stream

from tools.simulator.core.hub import Hub
from tools.simulator.core.live import FeedBroken, LiveConfig, LiveFeed, connect
from tools.simulator.dialects.bybit.replay import BybitReplay
from tools.simulator.dialects.bybit.topics import PUBLIC_PATH

TOPICS = ("orderbook.200", "publicTrade", "tickers")
TOPICS_PER_REQUEST = 10
PING_EVERY_S = 20.0
TIMEOUT_S = 10.0
SILENCE_S = 30.0
UNREAD = 50_000


def instruments_urls(config: LiveConfig, symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Where the upstream venue lists its instruments: one list per product, whole."""
    origin = f"{config.rest_url.rstrip('/')}/v5/market/instruments-info?category"
    return (f"{origin}=spot", f"{origin}=linear&limit=1000")


class BybitLive(LiveFeed):
    """Follows the upstream venue for ever; `LiveConfig.stream_url` is its origin."""

    def __init__(self, hub: Hub, target: BybitReplay, config: LiveConfig, symbols: tuple[str, ...]) -> None:
        super().__init__(hub, target, config, symbols)
        target.strict = True
        self._books = target

    async def _follow(self) -> None:
        by_category: dict[str, list[str]] = {}
        for key in self._symbols:
            category, _, symbol = key.partition(":")
            by_category.setdefault(category, []).append(symbol)
        async with trio.open_nursery() as nursery:
            for category, symbols in by_category.items():
                nursery.start_soon(self._socket, category, symbols)

    async def _socket(self, category: str, symbols: list[str]) -> None:
        address = urlsplit(f"{self.config.stream_url.rstrip('/')}{PUBLIC_PATH}{category}")
        if address.scheme not in ("ws", "wss") or not address.hostname:
            raise FeedBroken(f"{self.config.stream_url}: must be ws://host[:port] or wss://host[:port]")
        topics = [f"{topic}.{symbol}" for symbol in symbols for topic in TOPICS]
        async with await connect(address) as stream, trio.open_nursery() as nursery:
            with trio.fail_after(TIMEOUT_S):
                socket = await wrap_client_stream(
                    nursery, stream, address.netloc, address.path, message_queue_size=UNREAD
                )
            self.connections += 1

            async def ping() -> None:
                while True:
                    await trio.sleep(PING_EVERY_S)
                    await socket.send_message('{"op":"ping"}')

            nursery.start_soon(ping)
            for start in range(0, len(topics), TOPICS_PER_REQUEST):
                request = {"op": "subscribe", "args": topics[start : start + TOPICS_PER_REQUEST]}
                await socket.send_message(orjson.dumps(request).decode())
            while True:
                with trio.fail_after(SILENCE_S):
                    text = await socket.get_message()
                self._hand_on(text if isinstance(text, str) else text.decode(), address.geturl())

    def _hand_on(self, raw: str, url: str) -> None:
        message = self._target.apply(raw, url)
        if message is None:
            return
        self.frames += 1
        self._hub.publish(message)
        if not self.opened.is_set() and all(map(self._books.has_book, self._symbols)):
            self.failure = ""
            self.opened.set()
