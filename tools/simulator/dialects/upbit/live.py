"""A live market from Upbit's own public stream: pictures of books and prints, on one connection.

Every picture is a whole book, so nothing is asked of REST and nothing can be missed but time: the end of the
connection, or its silence, begins everything anew.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson
import trio
from trio_websocket import wrap_client_stream

from tools.simulator.core.hub import Hub
from tools.simulator.core.live import FeedBroken, LiveConfig, LiveFeed, connect
from tools.simulator.dialects.upbit.replay import UpbitReplay

PATH = "/websocket/v1"
PING_EVERY_S = 30.0
TIMEOUT_S = 10.0
SILENCE_S = 75.0
UNREAD = 50_000


def instruments_url(config: LiveConfig, symbols: tuple[str, ...]) -> str:
    """Where the upstream venue lists its markets: all of them."""
    return f"{config.rest_url.rstrip('/')}/v1/market/all?is_details=true"


class UpbitLive(LiveFeed):
    """Follows the upstream venue for ever; `LiveConfig.stream_url` is its origin, with or without the path."""

    def __init__(self, hub: Hub, target: UpbitReplay, config: LiveConfig, symbols: tuple[str, ...]) -> None:
        super().__init__(hub, target, config, symbols)
        self._books = target

    async def _follow(self) -> None:
        address = urlsplit(self.config.stream_url.rstrip("/").removesuffix(PATH) + PATH)
        if address.scheme not in ("ws", "wss") or not address.hostname:
            raise FeedBroken(f"{self.config.stream_url}: must be ws://host[:port] or wss://host[:port]")
        wanted = [{"ticket": "follow"}, *({"type": kind, "codes": self._symbols} for kind in ("orderbook", "trade"))]
        async with await connect(address) as stream, trio.open_nursery() as nursery:
            with trio.fail_after(TIMEOUT_S):
                socket = await wrap_client_stream(
                    nursery, stream, address.netloc, address.path, message_queue_size=UNREAD
                )
            self.connections += 1

            async def ping() -> None:
                while True:
                    await trio.sleep(PING_EVERY_S)
                    with trio.fail_after(TIMEOUT_S):
                        await socket.ping()

            nursery.start_soon(ping)
            await socket.send_message(orjson.dumps(wanted).decode())
            while True:
                with trio.fail_after(SILENCE_S):
                    text = await socket.get_message()
                self._hand_on(text if isinstance(text, str) else text.decode())

    def _hand_on(self, raw: str) -> None:
        message = self._target.apply(raw)
        if message is None:
            return
        self.frames += 1
        self._hub.publish(message)
        if not self.opened.is_set() and all(map(self._books.has_book, self._symbols)):
            self.failure = ""
            self.opened.set()
