"""The control socket: who may connect, and the conversation.

A Unix socket with mode 0600 in the data folder; the peer's user id must be ours (or root's).  A connection's mistake
ends that connection and nothing else.  Verbs live in `verbs.py`.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path

import trio

from actors.control.verbs import Premises, RestartDue, TapChannel, Verbs
from actors.control.wire import REQUEST_BYTES_MAX, Failure, line, parse_request, plain
from protocols.base import Message
from supervisors.actor import Actor, ReadyWhen

_UCRED = struct.Struct("3i")


class ControlActor(Actor):
    """Serves the control socket; ready when it does."""

    READY_WHEN = ReadyWhen.TOLD

    def __init__(self, path: Path, premises: Premises) -> None:
        self._path = path
        self._premises = premises
        self._verbs = Verbs(premises)
        self._connections = 0
        self._requests = 0
        self._refused = 0

    def receive(self, message: Message) -> None:
        if isinstance(message, RestartDue):
            self._premises.runtime.cell(self.ctx.path).restart("the console")

    async def run(self) -> None:
        listener = await self._listen()
        try:
            self._verbs.ctx = self.ctx
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._verbs.enforce)
                self.ctx.set_ready()
                while True:
                    stream = await listener.accept()
                    nursery.start_soon(self._serve, stream)
        finally:
            listener.socket.close()
            self._path.unlink(missing_ok=True)

    def inspect(self) -> Mapping[str, object]:
        return {
            "socket": str(self._path),
            "connections": self._connections,
            "requests": self._requests,
            "refused_peers": self._refused,
        }

    async def _listen(self) -> trio.SocketListener:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            await self._clear_stale()
        except OSError as error:
            raise self._no_place(error) from error
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            before = os.umask(0o177)
            try:
                sock.bind(str(self._path))
            finally:
                os.umask(before)
            sock.listen(16)
        except OSError as error:
            sock.close()
            raise self._no_place(error) from error
        return trio.SocketListener(trio.socket.from_stdlib_socket(sock))

    def _no_place(self, error: OSError) -> Failure:
        return Failure(
            f"cannot listen at {self._path}: {error.strerror or error}",
            "set [control] socket to a writable path of at most 107 characters",
        )

    async def _clear_stale(self) -> None:
        """Remove a socket that nobody serves; refuse to take one away from a running engine."""
        try:
            mode = self._path.stat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise Failure(f"{self._path} exists and is not a socket", "remove it, or set [control] socket")
        try:
            stream = await trio.open_unix_socket(str(self._path))
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise
            self._path.unlink(missing_ok=True)
            return
        await stream.aclose()
        raise Failure(f"another engine serves {self._path}", "stop it, or give this one another [data] dir")

    async def _serve(self, stream: trio.SocketStream) -> None:
        self._connections += 1
        try:
            async with stream:
                uid = self._peer_uid(stream)
                if uid not in (os.getuid(), 0):
                    self._refused += 1
                    self.ctx.note("refused_peer", f"user id {uid} may not use the control socket")
                    return
                await self._converse(stream, uid)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the client went away in the middle of a line: its business
        finally:
            self._connections -= 1

    def _peer_uid(self, stream: trio.SocketStream) -> int:
        raw = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        assert isinstance(raw, bytes)
        uid: int = _UCRED.unpack(raw)[1]
        return uid

    async def _converse(self, stream: trio.SocketStream, uid: int) -> None:
        buffer = b""
        while True:
            head, found, rest = buffer.partition(b"\n")
            if len(head) > REQUEST_BYTES_MAX:
                await stream.send_all(line(_refusal(0, _TOO_LONG)))
                return
            if found:
                buffer = rest
                if head.strip():
                    await self._answer(stream, head, uid)
                continue
            data = await stream.receive_some(65536)
            if not data:
                return
            buffer += data

    async def _answer(self, stream: trio.SocketStream, text: bytes, uid: int) -> None:
        self._requests += 1
        request_id = 0
        try:
            request = parse_request(text)
            request_id = request.id
            args = {**request.args, "uid": uid}
            if request.verb == "tap":
                async with self._verbs.tap(args) as events:
                    await _copy(events, stream, request_id)
                return
            result = await self._verbs.carry_out(request.verb, args)
        except Failure as failure:
            await stream.send_all(line(_refusal(request_id, failure)))
            return
        await stream.send_all(line({"id": request_id, "ok": True, "result": result}))


async def _copy(events: TapChannel, stream: trio.SocketStream, request_id: int) -> None:
    """Send what is tapped until the client closes (or says anything)."""
    async with trio.open_nursery() as nursery:

        async def until_closed() -> None:
            try:
                await stream.receive_some(1)
            except trio.BrokenResourceError:
                pass  # closed as well, only less politely
            nursery.cancel_scope.cancel()

        nursery.start_soon(until_closed)
        async for at_ns, sender, message in events:
            event = {"at_ns": at_ns, "sender": sender, "kind": type(message).__name__, "message": plain(message)}
            try:
                await stream.send_all(line({"id": request_id, "event": event}))
            except trio.BrokenResourceError:
                nursery.cancel_scope.cancel()


_TOO_LONG = Failure(f"request too long, at most {REQUEST_BYTES_MAX} bytes", "send one request a line")


def _refusal(request_id: int, failure: Failure) -> dict[str, object]:
    return {"id": request_id, "ok": False, "error": failure.error, "fix": failure.fix}
