"""The WebSocket transport over real sockets: every way to end, nothing lost, nothing cut, nothing silent."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing
from websockets.frames import Opcode

from actors.venue.settings import MS, SECOND, TransportSettings
from actors.venue.transport import Backlogged, ConnectionLost, WebSocket, connect_websocket
from protocols.errors import RemoteProtocolError
from tests.actors.venue.peers import Peer, encode, websocket_server

SETTINGS = TransportSettings(connect_timeout_ns=3 * SECOND, close_timeout_ns=200 * MS)


async def connected(nursery: trio.Nursery, url: str, settings: TransportSettings = SETTINGS) -> WebSocket:
    return await connect_websocket(nursery, url + "/ws", settings)


async def accept_only(peer: Peer) -> None:
    await peer.accept()


# ---- messages -----------------------------------------------------------------------------------------------------


@pytest.mark.req("R344")
async def test_messages_of_one_read_come_together_and_in_order() -> None:
    async def script(peer: Peer) -> None:
        assert await peer.accept() == "/ws"
        await peer.text("one", "two", "three")

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        got: list[bytes] = []
        while len(got) < 3:
            got += await ws.recv_many()
        assert got == [b"one", b"two", b"three"]
        await ws.aclose()


async def test_a_message_that_comes_with_the_handshake_is_not_lost() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(with_response=encode(Opcode.TEXT, b"early"))

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        assert await ws.recv_many() == [b"early"]
        ws.abort()


async def test_a_close_that_comes_with_the_handshake_is_noticed() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(with_response=encode(Opcode.TEXT, b"early") + encode(Opcode.CLOSE, b"\x03\xf4full"))

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        assert await ws.recv_many() == [b"early"]
        with pytest.raises(ConnectionLost, match="1012 full"):
            await ws.recv_many()


async def test_fragments_are_joined_also_around_a_ping_and_across_reads() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(encode(Opcode.TEXT, b"a" * 10, fin=False))
        await peer.raw(encode(Opcode.PING, b"hello") + encode(Opcode.CONT, b"b" * 70_000, fin=False)[:100])
        frame = await peer.next_frame()
        assert frame.opcode is Opcode.PONG
        await peer.raw(encode(Opcode.CONT, b"b" * 70_000, fin=False)[100:] + encode(Opcode.CONT, b"c"))
        await peer.text("next")

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        got: list[bytes] = []
        while len(got) < 2:
            got += await ws.recv_many()
        assert got == [b"a" * 10 + b"b" * 70_000 + b"c", b"next"]
        ws.abort()


async def test_a_canceled_receive_loses_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        for number in range(300):
            await peer.text(str(number))
            await trio.lowlevel.checkpoint()

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        got: list[bytes] = []
        while len(got) < 300:
            with trio.move_on_after(0.0002):
                got += await ws.recv_many()
        assert got == [str(number).encode() for number in range(300)]
        ws.abort()


async def test_a_ping_is_answered_although_messages_in_front_of_it_are_unread() -> None:
    ponged = trio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(b"".join(encode(Opcode.TEXT, b"x" * 100) for _ in range(100)) + encode(Opcode.PING, b"p1"))
        frame = await peer.next_frame()
        assert (frame.opcode, bytes(frame.data)) == (Opcode.PONG, b"p1")
        ponged.set()

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        first = await ws.recv_many()  # nobody looks at the rest
        with trio.fail_after(5):
            await ponged.wait()
        assert first
        ws.abort()


async def test_a_stalled_owner_reads_ahead_so_that_pings_are_answered() -> None:
    ponged = trio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        for number in range(50):
            await peer.text(str(number))
        await peer.raw(encode(Opcode.PING, b"p2"))
        assert (await peer.next_frame()).opcode is Opcode.PONG
        ponged.set()

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        async with trio.open_nursery() as stalled:
            stalled.start_soon(ws.read_ahead)
            with trio.fail_after(5):
                await ponged.wait()
            stalled.cancel_scope.cancel()
        got: list[bytes] = []
        while len(got) < 50:
            got += await ws.recv_many()
        assert got == [str(number).encode() for number in range(50)]
        ws.abort()


async def test_reading_ahead_is_bounded() -> None:
    settings = TransportSettings(read_ahead_bytes_max=200_000)
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.accept()
        while True:
            await peer.text("x" * 10_000)
            sent += 10_000

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url, settings)
        with trio.move_on_after(0.3):
            await ws.read_ahead()
        assert ws.statistics.bytes_in < 200_000 + 2 * 65_536 + 20_000
        assert sum(len(raw) for raw in await ws.recv_many()) >= 200_000 - 10_000
        ws.abort()


# ---- sending ------------------------------------------------------------------------------------------------------


async def test_send_nowait_hands_the_whole_frame_to_the_kernel() -> None:
    got = trio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        assert await peer.next_text() == "order"
        got.set()

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        assert ws.send_nowait("order") is True
        assert ws.unsent_bytes == 0
        with trio.fail_after(5):
            await got.wait()
        ws.abort()


async def test_what_the_kernel_does_not_take_follows_in_order() -> None:
    go, done, texts = trio.Event(), trio.Event(), [f"{number:04}" + "y" * 60_000 for number in range(200)]
    received: list[str] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        await go.wait()
        while len(received) < len(texts):
            received.append(await peer.next_text())
        done.set()

    settings = TransportSettings(unsent_bytes_max=100 * 1024 * 1024)
    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url, settings)
        results = [ws.send_nowait(text) for text in texts]
        assert results[0] is True
        assert results[-1] is False, "the peer does not read: the kernel cannot have all of 12 MB"
        go.set()
        with trio.fail_after(20):
            await done.wait()
        assert received == texts
        assert ws.statistics.bytes_out > 200 * 60_000
        ws.abort()


async def test_a_peer_that_does_not_read_is_refused_more_before_a_byte_leaves() -> None:
    settings = TransportSettings(unsent_bytes_max=100_000)
    async with websocket_server(accept_only) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url, settings)
        while ws.unsent_bytes + 50_000 <= 100_000:
            ws.send_nowait("z" * 50_000)
        waiting = ws.unsent_bytes
        with pytest.raises(Backlogged):
            ws.send_nowait("z" * 50_000)
        assert ws.unsent_bytes == waiting
        assert ws.ended is None
        ws.abort()


async def test_a_canceled_send_does_not_cut_its_frame() -> None:
    go, done = trio.Event(), trio.Event()
    received: list[str] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        await go.wait()
        received.extend([await peer.next_text(), await peer.next_text()])
        done.set()

    settings = TransportSettings(unsent_bytes_max=100 * 1024 * 1024)
    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url, settings)
        big = "b" * 20_000_000
        with trio.move_on_after(0.1) as scope:
            await ws.send(big)
        assert scope.cancelled_caught
        ws.send_nowait("after")
        go.set()
        with trio.fail_after(20):
            await done.wait()
        assert received == [big, "after"]
        ws.abort()


async def test_a_canceled_writer_with_bytes_unwritten_ends_the_connection() -> None:
    settings = TransportSettings(unsent_bytes_max=100 * 1024 * 1024)
    async with websocket_server(accept_only) as server:
        async with trio.open_nursery() as nursery:
            ws = await connected(nursery, server.url, settings)
            ws.send_nowait("c" * 20_000_000)
            assert ws.unsent_bytes > 0
            nursery.cancel_scope.cancel()
        with pytest.raises(ConnectionLost, match="unwritten"):
            ws.send_nowait("more")
        with pytest.raises(ConnectionLost, match="unwritten"):
            await ws.recv_many()


async def test_a_connection_ends_with_the_nursery_of_its_owner() -> None:
    """An actor that crashes must not leave an open socket behind."""
    async with websocket_server(accept_only) as server:
        async with trio.open_nursery() as nursery:
            ws = await connected(nursery, server.url)
            nursery.cancel_scope.cancel()
        with pytest.raises(ConnectionLost, match="dropped by its owner"):
            ws.send_nowait("more")


# ---- ends ---------------------------------------------------------------------------------------------------------


async def test_a_close_gives_the_messages_before_it_then_code_and_reason() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.text("last words")
        await peer.close(1012, "maintenance")

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        assert await ws.recv_many() == [b"last words"]
        with pytest.raises(ConnectionLost) as lost:
            await ws.recv_many()
        assert (lost.value.code, lost.value.reason) == (1012, "maintenance")
        with pytest.raises(ConnectionLost):
            ws.send_nowait("too late")


async def test_a_reset_is_an_exception_in_reader_and_sender() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.next_text()
        peer.reset()

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        ws.send_nowait("hello")
        with pytest.raises(ConnectionLost):
            await ws.recv_many()
        with pytest.raises(ConnectionLost):
            ws.send_nowait("more")
        with pytest.raises(ConnectionLost):
            await ws.send("more")


@pytest.mark.parametrize("cut", [0, 1, 2, 50, 101])
async def test_an_end_in_the_middle_of_a_frame_never_gives_half_a_message(cut: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(encode(Opcode.TEXT, b"whole") + encode(Opcode.TEXT, b"h" * 100)[:cut])
        await peer.stream.aclose()

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        assert await ws.recv_many() == [b"whole"]
        with pytest.raises(ConnectionLost) as lost:
            await ws.recv_many()
        assert lost.value.code == 1006


async def test_silence_is_the_end_of_a_half_open_connection_but_a_ping_is_life() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        for _ in range(8):
            await trio.sleep(0.1)
            await peer.raw(encode(Opcode.PING, b""))
        await peer.text("alive")  # 0.8 s after the start, never 0.3 s without a byte

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        assert await ws.recv_many(300 * MS) == [b"alive"]
        with pytest.raises(ConnectionLost, match="not a byte"):
            await ws.recv_many(300 * MS)


@pytest.mark.parametrize(
    "data, text",
    [
        (b"\x83\x00", "opcode"),
        (b"\x81\x85abcdefghi", "masking"),
        (b"\xc1\x05hello", "reserved"),
        (b"\x80\x01x", "continuation"),
        (b"\x88\x02\x00\x00", "code"),
        (b"garbage that is no frame", "127.0.0.1"),
    ],
)
async def test_a_broken_protocol_is_an_honest_error(data: bytes, text: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(data)

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        with pytest.raises((RemoteProtocolError, ConnectionLost), match=text):
            await ws.recv_many()
        assert ws.ended is not None
        for send in (lambda: ws.send_nowait("x"), ws.ping_nowait):
            with pytest.raises(ConnectionLost):  # a sender needs to know only that nothing leaves any more
                send()


async def test_a_message_over_the_limit_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.text("x" * 70_000)

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url, TransportSettings(message_bytes_max=65_536))
        with pytest.raises(RemoteProtocolError, match="70000"):
            await ws.recv_many()


async def test_fragments_cannot_add_up_to_more_than_the_limit() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.raw(encode(Opcode.TEXT, b"x" * 40_000, fin=False) + encode(Opcode.CONT, b"x" * 40_000))

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url, TransportSettings(message_bytes_max=65_536))
        with pytest.raises(RemoteProtocolError):
            await ws.recv_many()


async def test_closing_does_not_wait_for_a_silent_peer() -> None:
    async with websocket_server(accept_only) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        with trio.fail_after(5):  # the close time-out of this test is 0.2 s, a peer that hangs would take for ever
            await ws.aclose()
        with pytest.raises(ConnectionLost, match="closed by us"):
            await ws.recv_many()
        await ws.aclose()


async def test_closing_says_goodbye_and_wakes_a_reader() -> None:
    said: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        frame = await peer.next_frame()
        said.append(int.from_bytes(bytes(frame.data)[:2], "big"))
        await peer.text("still in flight")
        await peer.close(1000)

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        got: list[bytes] = []
        ended: list[str] = []

        async def read() -> None:
            try:
                while True:
                    got.extend(await ws.recv_many())
            except ConnectionLost as lost:
                ended.append(str(lost))

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await ws.aclose(1001)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert said == [1001]
        assert got == [b"still in flight"]
        assert len(ended) == 1


# ---- secrets ------------------------------------------------------------------------------------------------------


@pytest.mark.req("R072")
async def test_frames_are_not_logged_whatever_the_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with websocket_server(accept_only) as server, trio.open_nursery() as nursery:
        ws = await connected(nursery, server.url)
        ws.send_nowait('{"apiKey": "canary-of-the-transport"}')
        await ws.aclose()
    assert "canary-of-the-transport" not in caplog.text
