"""REST over real sockets: exact bytes, honest outcomes, bounded answers, no environment, no secret in a log."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio

from actors.venue.http import HttpClient
from actors.venue.settings import MS, SECOND, TransportSettings
from protocols.errors import ConfigError, OutcomeUnknown, VenueUnavailable
from protocols.venue import HttpRequest, Lane
from tests.actors.venue.peers import HttpAsked, http_server

SETTINGS = TransportSettings(connect_timeout_ns=1 * SECOND, http_timeout_ns=300 * MS, http_response_bytes_max=100_000)


def request(query: str = "", *, method: str = "GET", body: str = "", **headers: str) -> HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequest(method, "/api/v3/thing", query, named, body, 1, Lane.QUERY)


class Ticks:
    """A wall clock that moves by one at each look."""

    def __init__(self) -> None:
        self.now = 100

    def __call__(self) -> int:
        self.now += 1
        return self.now


def client(url: str) -> HttpClient:
    return HttpClient(url, SETTINGS, now_ns=Ticks())


async def ask(script: Callable[[HttpAsked], Awaitable[None]], asked: HttpRequest) -> None:
    async with http_server(script) as server, client(server.url) as http:
        await http.request(asked)


@pytest.mark.req("R082")
@pytest.mark.parametrize(
    "query",
    [
        "symbol=LTCBTC&side=BUY&timestamp=1499827319559&signature=ab%2Fcd%2B%3D",
        "symbol=%EF%BC%91%EF%BC%92&b=2&a=1&a=3",
        "symbols=%5B%22BTCUSDT%22%5D",
        "x='~!*()&y=%7e%20%2c&z",
    ],
)
async def test_the_query_arrives_exactly_as_it_was_signed(query: str) -> None:
    seen: list[str] = []

    async def script(asked: HttpAsked) -> None:
        seen.append(asked.target)
        await asked.answer()

    await ask(script, request(query))
    assert seen == ["/api/v3/thing?" + query]


async def test_method_headers_body_and_answer_pass_through() -> None:
    seen: list[HttpAsked] = []

    async def script(asked: HttpAsked) -> None:
        seen.append(asked)
        await asked.answer(201, b'{"orderId":1}', "X-MBX-USED-WEIGHT-1M: 41\r\n")

    async with http_server(script) as server, client(server.url) as http:
        posted = request(method="POST", body="a=1&b=2", X_MBX_APIKEY="key")
        reply = await http.request(attrs.evolve(posted, group="orders"))
    assert reply.group == "orders"
    (asked,) = seen
    assert (asked.method, asked.target, asked.body) == ("POST", "/api/v3/thing", b"a=1&b=2")
    assert asked.header("x-mbx-apikey") == "key"
    assert asked.header("content-type") == "application/x-www-form-urlencoded"
    assert (reply.status, reply.body) == (201, b'{"orderId":1}')
    assert reply.headers["x-mbx-used-weight-1m"] == "41"
    assert (reply.sent_ns, reply.received_ns) == (101, 102)


@pytest.mark.parametrize("status", [400, 418, 429, 500, 503])
async def test_a_status_is_an_answer_and_not_an_exception(status: int) -> None:
    async def script(asked: HttpAsked) -> None:
        await asked.answer(status, b'{"code":-1}', "Retry-After: 5\r\n")

    async with http_server(script) as server, client(server.url) as http:
        reply = await http.request(request())
    assert (reply.status, reply.headers["retry-after"]) == (status, "5")


async def test_redirects_are_not_followed() -> None:
    async def script(asked: HttpAsked) -> None:
        await asked.answer(307, b"", "Location: /elsewhere\r\n")

    async with http_server(script) as server, client(server.url) as http:
        assert (await http.request(request())).status == 307


async def test_a_connection_is_kept_for_the_next_request() -> None:
    async def script(asked: HttpAsked) -> None:
        await asked.answer()

    async with http_server(script) as server, client(server.url) as http:
        for _ in range(3):
            await http.request(request())
        assert server.connections == 1


# ---- what an error means ------------------------------------------------------------------------------------------


@pytest.mark.req("R001")
async def test_a_refused_connection_means_surely_not_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with client(f"http://127.0.0.1:{port}") as http:
        with pytest.raises(VenueUnavailable, match="was not sent"):
            await http.request(request())


@pytest.mark.req("R001")
@pytest.mark.parametrize("how", ["reset", "close", "half an answer", "silence", "drip", "nonsense"])
async def test_every_end_after_the_request_left_is_an_unknown_outcome(how: str) -> None:
    asked_times = 0

    async def script(asked: HttpAsked) -> None:
        nonlocal asked_times
        asked_times += 1
        if how == "reset":
            asked.reset()
        elif how == "close":
            await asked.stream.aclose()
        elif how == "half an answer":
            await asked.stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await asked.stream.aclose()
        elif how == "silence":
            await trio.sleep_forever()
        elif how == "nonsense":
            await asked.stream.send_all(b"220 mail.example ESMTP\r\n\r\n")
        else:
            await asked.stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                await asked.stream.send_all(b"x")
                await trio.sleep(0.1)

    async with http_server(script) as server, client(server.url) as http:
        with pytest.raises(OutcomeUnknown, match="may have been sent"):
            await http.request(request("signature=secret", method="POST"))
    assert asked_times == 1, "a request that was sent is never sent again"


async def test_an_endless_answer_is_cut_at_the_bound() -> None:
    async def script(asked: HttpAsked) -> None:
        await asked.stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await asked.stream.send_all(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")

    async with http_server(script) as server, client(server.url) as http:
        with pytest.raises(OutcomeUnknown, match="longer than 100000 bytes"):
            await http.request(request())


async def test_the_client_is_usable_after_failures_and_cancellations() -> None:
    is_awake = False

    async def script(asked: HttpAsked) -> None:
        if not is_awake:
            await trio.sleep_forever()
        await asked.answer(200, b"at last")

    patient = attrs.evolve(SETTINGS, http_timeout_ns=20 * SECOND)
    async with http_server(script) as server, HttpClient(server.url, patient, now_ns=Ticks()) as http:
        for _ in range(40):  # more than the pool has connections
            with trio.move_on_after(0.01):
                await http.request(request())
        is_awake = True
        assert (await http.request(request())).body == b"at last"


async def test_no_error_text_shows_the_query() -> None:
    async def script(asked: HttpAsked) -> None:
        asked.reset()

    async with http_server(script) as server, client(server.url) as http:
        with pytest.raises(OutcomeUnknown) as unknown:
            await http.request(request("signature=canary-in-the-query"))
    assert "canary" not in str(unknown.value)


# ---- surroundings -------------------------------------------------------------------------------------------------


async def test_proxies_and_netrc_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    seen: list[HttpAsked] = []

    async def script(asked: HttpAsked) -> None:
        seen.append(asked)
        await asked.answer()

    await ask(script, request())
    assert seen[0].header("authorization") == ""


@pytest.mark.req("R072", "R156")
async def test_signed_urls_are_not_logged_whatever_the_level(caplog: pytest.LogCaptureFixture) -> None:
    async def script(asked: HttpAsked) -> None:
        await asked.answer()

    logging.getLogger("httpx").setLevel(logging.NOTSET)
    logging.getLogger("httpcore").setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    await ask(script, request("signature=canary-of-the-log"))
    assert "canary-of-the-log" not in caplog.text
    assert "api/v3/thing" not in caplog.text


@pytest.mark.parametrize(
    "url",
    ["http://api.example.org", "ftp://127.0.0.1", "https://", "api.example.org", "https://u:p@h", "https://h/path"],
)
def test_an_unusable_address_is_refused_with_what_is_wanted(url: str) -> None:
    with pytest.raises(ConfigError, match="https://"):
        client(url)


async def test_loopback_may_be_named() -> None:
    for url in ("http://localhost:1", "http://[::1]:1", "https://api.example.org/"):
        async with client(url) as accepted:
            assert isinstance(accepted, HttpClient)
