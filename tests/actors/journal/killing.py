"""Lives of an engine that only appends, each ended by kill -9; run as a program of its own by `test_kill.py`.

    python -m tests.actors.journal.killing DIRECTORY POLICY LIVES

The child appends as fast as it can and acknowledges each order over a pipe when the journal has forwarded it; the
parent kills it at a random moment and starts the next life on the same directory.  Prints what was acknowledged, one
ClOrdID a line.  A program of its own, because a process that has used worker threads cannot be forked.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

import trio

from actors.journal.home import JournalHome
from config.schema import SyncPolicy
from protocols.base import Message
from protocols.ids import ClOrdID
from protocols.journal import Append
from protocols.orders import SubmitOrder
from tests.actors.journal.samples import Bench, fact, intent, until


def child(directory: Path, pipe: int, seed: int, policy: SyncPolicy) -> None:
    """One life of an engine that does nothing but append; ends only by being killed."""

    parent = os.getppid()
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))  # should the parent die first

    async def live() -> None:
        def acknowledge(to: str, message: Message) -> None:
            if isinstance(message, SubmitOrder):
                os.write(pipe, f"{message.order.cl_ord_id}\n".encode())

        bench = Bench(JournalHome(directory, segment_bytes=30_000), sync=policy)
        bench.ctx.send = acknowledge  # type: ignore[method-assign]
        await bench.actor.started()
        os.write(pipe, b"ready\n")
        batches = random.Random(seed)
        number = seed * 1_000_000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.actor.run)
            while os.getppid() == parent:
                batch: list[Append] = []
                for _ in range(batches.randint(1, 8)):
                    number += 1
                    batch += [intent(number), fact(number)]
                bench.give(*batch)
                await trio.lowlevel.checkpoint()
                if policy is SyncPolicy.ALWAYS:
                    await until(lambda: bench.actor.statistics().unsynced_records < 100)

    trio.run(live)


def one_life(directory: Path, seed: int, policy: SyncPolicy, moments: random.Random) -> list[ClOrdID]:
    """Fork, let it run until it has acknowledged some orders, kill it; all that it acknowledged before it died."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            child(directory, writer, seed, policy)
        finally:
            os._exit(1)
    os.close(writer)
    text = b""
    enough = moments.randrange(6, 1500)
    with open(reader, "rb", buffering=0) as pipe:
        while len(text) < enough or b"ready\n" not in text:
            piece = pipe.read(enough)
            assert piece, f"life {seed} ended by itself"
            text += piece
        time.sleep(moments.uniform(0, 0.001))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, f"life {seed} ended by itself"
        while piece := pipe.read(65536):
            text += piece
    whole = text[: text.rindex(b"\n") + 1]
    return [ClOrdID(line.decode()) for line in whole.splitlines() if line != b"ready"]


def main() -> None:
    directory, policy, lives = Path(sys.argv[1]), SyncPolicy(sys.argv[2]), int(sys.argv[3])
    moments = random.Random(f"kill {policy.value}")
    for life in range(1, lives + 1):
        for acknowledged in one_life(directory, life, policy, moments):
            print(acknowledged)


if __name__ == "__main__":
    main()
