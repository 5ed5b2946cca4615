"""The tests need no network but loopback: a connection to anywhere else is refused by a guard, whoever makes it."""

from __future__ import annotations

import socket
from functools import partial

import httpx
import pytest
import trio

from tests.conftest import NetworkForbidden

DOCUMENTATION_ONLY = "192.0.2.1"
"""An address that belongs to nobody (RFC 5737)."""


def test_no_test_reaches_another_machine() -> None:
    with socket.socket() as sock, pytest.raises(NetworkForbidden, match=DOCUMENTATION_ONLY):
        sock.connect((DOCUMENTATION_ONLY, 80))


def test_no_test_asks_for_the_name_of_another_machine() -> None:
    with pytest.raises(NetworkForbidden, match=r"api\.example\.com"):
        socket.getaddrinfo("api.example.com", 443)


async def test_the_libraries_are_held_by_the_guard_too() -> None:
    with pytest.raises(NetworkForbidden):
        await trio.open_tcp_stream(DOCUMENTATION_ONLY, 80)
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(NetworkForbidden):
            await client.get(f"http://{DOCUMENTATION_ONLY}/")


async def test_loopback_is_open() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, lambda stream: stream.aclose(), 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            assert await stream.receive_some() == b""
        nursery.cancel_scope.cancel()
