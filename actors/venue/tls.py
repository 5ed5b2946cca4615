"""TLS without I/O: an `SSLObject` between two memory buffers, so that a synchronous send can encrypt.

Certificates and host names are verified, always; there is no switch for it.  A private authority is trusted by
naming its file.
"""

from __future__ import annotations

import functools
import ssl
from pathlib import Path

READ_BYTES = 64 * 1024
"""One read of a socket, one read of the record layer."""


@functools.cache
def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """A context that verifies certificate and host name against the system's authorities, or those of `ca_file`.

    Made once: reading the authorities takes tens of milliseconds, which no reconnect should pay.
    """
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class TlsLayer:
    """The TLS record layer between the frames and the socket, without I/O."""

    __slots__ = ("_incoming", "_object", "_outgoing")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def handshake(self) -> bool:
        """One step; True when it is done."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, data: bytes) -> bytes:
        self._object.write(data)
        return self._outgoing.read()

    def outgoing(self) -> bytes:
        """Records that the layer itself wants to send."""
        return self._outgoing.read()

    def feed(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def decrypt(self) -> tuple[bytes, bool]:
        """All plain bytes that can be had now, and whether the peer has ended."""
        plain: list[bytes] = []
        while True:
            try:
                chunk = self._object.read(READ_BYTES)
            except ssl.SSLWantReadError:
                return b"".join(plain), False
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b"".join(plain), True
            if not chunk:
                return b"".join(plain), True
            plain.append(chunk)
