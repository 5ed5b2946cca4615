"""How a WebSocket connection begins: refusals are told apart, TLS is verified, plain text stays on loopback."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.venue.settings import MS, TransportSettings
from actors.venue.tls import tls_context
from actors.venue.transport import ConnectionLost, HandshakeRefused, connect_websocket
from protocols.errors import ConfigError, RemoteProtocolError, VenueUnavailable
from tests.actors.venue.peers import Peer, websocket_server
from tests.actors.venue.test_transport import SETTINGS, accept_only, connected

# ---- beginnings ---------------------------------------------------------------------------------------------------


async def test_a_refused_handshake_shows_its_status_headers_and_body() -> None:
    async def script(peer: Peer) -> None:
        await peer.refuse(429, "Retry-After: 17\r\n", b'{"code":-1003}')

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        with pytest.raises(HandshakeRefused, match="429") as refused:
            await connected(nursery, server.url)
        assert refused.value.status == 429
        assert refused.value.headers["retry-after"] == "17"
        assert refused.value.body == b'{"code":-1003}'


async def test_a_redirect_is_a_refusal_and_is_not_followed() -> None:
    async def script(peer: Peer) -> None:
        await peer.refuse(302, "Location: ws://127.0.0.1:1/elsewhere\r\n")

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        with pytest.raises(HandshakeRefused, match="302"):
            await connected(nursery, server.url)
        assert server.connections == 1


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def script(peer: Peer) -> None:
        await trio.sleep_forever()

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        with pytest.raises(VenueUnavailable, match="no connection within"):
            await connected(nursery, server.url, TransportSettings(connect_timeout_ns=200 * MS))


async def test_a_connection_cut_during_the_handshake_is_unavailable() -> None:
    async def script(peer: Peer) -> None:
        await peer.stream.receive_some()
        await peer.raw(b"HTTP/1.1 101 Switch")
        await peer.stream.aclose()

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        with pytest.raises(VenueUnavailable, match="during the handshake"):
            await connected(nursery, server.url)


async def test_a_server_of_another_protocol_is_told_apart() -> None:
    async def script(peer: Peer) -> None:
        await peer.stream.receive_some()
        await peer.raw(b"220 mail.example ESMTP\r\n\r\n")

    async with websocket_server(script) as server, trio.open_nursery() as nursery:
        with pytest.raises(RemoteProtocolError, match="handshake"):
            await connected(nursery, server.url)


class Names(trio.abc.HostnameResolver):
    """A name server that knows one host, as long as it is up."""

    up = True

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):  # type: ignore[no-untyped-def]  # as Trio has it
        if host != b"venue.test" or not self.up:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def getnameinfo(self, sockaddr, flags):  # type: ignore[no-untyped-def]  # as Trio has it
        raise NotImplementedError


@pytest.mark.req("R090")
async def test_while_names_cannot_be_resolved_the_last_good_address_is_used() -> None:
    names, known = Names(), dict[str, str]()
    trio.socket.set_custom_hostname_resolver(names)
    async with websocket_server(accept_only) as server, trio.open_nursery() as nursery:
        url = server.url.replace("127.0.0.1", "venue.test")
        names.up = False
        with pytest.raises(VenueUnavailable, match="name resolution"):
            await connect_websocket(nursery, url, SETTINGS, known=known)
        names.up = True
        await connect_websocket(nursery, url, SETTINGS, known=known)
        names.up = False
        await connect_websocket(nursery, url, SETTINGS, known=known)
        assert (known, server.connections) == ({"venue.test": "127.0.0.1"}, 2)
        with pytest.raises(VenueUnavailable, match="name resolution"):
            await connect_websocket(nursery, url.replace("venue", "other"), SETTINGS, known=known)
        nursery.cancel_scope.cancel()


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with trio.open_nursery() as nursery:
        with pytest.raises(VenueUnavailable, match="cannot connect"):
            await connected(nursery, f"ws://127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["https://127.0.0.1", "ws://", "127.0.0.1:80"])
async def test_an_address_that_is_none_names_what_is_wanted(url: str) -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(ConfigError, match="wss://host"):
            await connect_websocket(nursery, url, SETTINGS)


async def test_without_tls_only_loopback_is_spoken_to() -> None:
    """A listener on this machine's own address, reached by that address: not loopback, so refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it asks for the outgoing address
        except OSError:
            pytest.skip("this machine has no address besides loopback")
        own = probe.getsockname()[0]
    if ipaddress.ip_address(own).is_loopback:
        pytest.skip("this machine has no address besides loopback")
    listeners = await trio.open_tcp_listeners(0, host=own)
    async with trio.open_nursery() as nursery:
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(ConfigError, match="loopback only"):
            await connect_websocket(nursery, f"ws://{own}:{port}/ws", SETTINGS)
    await listeners[0].aclose()


# ---- TLS ----------------------------------------------------------------------------------------------------------


def certificate(folder: Path, host: str) -> tuple[ssl.SSLContext, Path]:
    """A server context for `host` with a certificate made for this test, and the file that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bulkhead test")])
    now = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


async def test_tls_carries_messages_both_ways_with_a_synchronous_send(tmp_path: Path) -> None:
    server_tls, trusted = certificate(tmp_path, "localhost")
    received: list[str] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.text("hello", "x" * 100_000)
        received.extend([await peer.next_text(), await peer.next_text()])
        await peer.close(1000)

    async with websocket_server(script, server_tls) as server, trio.open_nursery() as nursery:
        ws = await connect_websocket(nursery, server.url + "/ws", SETTINGS, tls=tls_context(trusted))
        got: list[bytes] = []
        while len(got) < 2:
            got += await ws.recv_many()
        assert got == [b"hello", b"x" * 100_000]
        assert ws.send_nowait("order") is True
        ws.send_nowait("y" * 100_000)
        with pytest.raises(ConnectionLost):
            await ws.recv_many()
        assert received == ["order", "y" * 100_000]


async def test_a_reset_under_tls_is_an_honest_end(tmp_path: Path) -> None:
    server_tls, trusted = certificate(tmp_path, "localhost")

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.next_text()
        peer.reset()

    async with websocket_server(script, server_tls) as server, trio.open_nursery() as nursery:
        ws = await connect_websocket(nursery, server.url + "/ws", SETTINGS, tls=tls_context(trusted))
        ws.send_nowait("hello")
        with pytest.raises(ConnectionLost):
            await ws.recv_many()


async def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    server_tls, _ = certificate(tmp_path, "localhost")
    async with websocket_server(accept_only, server_tls) as server, trio.open_nursery() as nursery:
        with pytest.raises(VenueUnavailable, match="certificate refused"):
            await connect_websocket(nursery, server.url + "/ws", SETTINGS)


async def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    server_tls, trusted = certificate(tmp_path, "venue.example")
    async with websocket_server(accept_only, server_tls) as server, trio.open_nursery() as nursery:
        with pytest.raises(VenueUnavailable, match="certificate refused"):
            await connect_websocket(nursery, server.url + "/ws", SETTINGS, tls=tls_context(trusted))
