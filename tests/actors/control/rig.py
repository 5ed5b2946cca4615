"""The control actor in a real tree, with the real journal, and stand-ins for the actors that it asks.

A `Station` keeps every message and answers from a table; the journal, the runtime, the supervisors and the Unix socket
are the real ones.  The whole engine behind the real command line is tested in tests/tools/cli.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import trio

from actors.control.server import ControlActor
from actors.control.verbs import Premises
from actors.journal.actor import JournalActor
from actors.journal.home import JournalHome
from actors.journal.replay import read
from protocols.base import Message, Query
from protocols.control import ExposurePicture, ExposureQuery, PnlQuery
from protocols.enums import ExecInst, OrdStatus, OrdType, Side, TimeInForce, TradingState
from protocols.ids import AccountID, ClOrdID, StrategyID, Symbol, Venue
from protocols.journal import OperatorCommand
from protocols.orders import account_path
from protocols.positions import AccountPicture, AccountQuery, Balance, OpenOrder, Position
from supervisors.actor import Actor
from supervisors.clock import SystemClock
from supervisors.runtime import Lifecycle, Runtime
from supervisors.spec import ChildSpec, SupervisorSpec
from supervisors.supervisor import Supervisor, run_tree

VENUE = Venue("binance-spot")
MASTER, SUB1 = AccountID("master"), AccountID("sub1")
PAIRS = ((MASTER, VENUE), (SUB1, VENUE))
MAKER = StrategyID("maker")
MAKER_PATH = "/strategies/maker"
D = Decimal


def open_order(account: AccountID = MASTER, number: int = 1, *, in_doubt: bool = False) -> OpenOrder:
    """A resting order."""
    return OpenOrder(
        ClOrdID(f"order{number}"),
        None,
        account,
        VENUE,
        Symbol("BTCUSDT"),
        MAKER,
        Side.BUY,
        OrdType.LIMIT,
        D("0.5"),
        D("100.10"),
        D(0),
        OrdStatus.NEW,
        TimeInForce.GTC,
        ExecInst.NONE,
        in_doubt,
        1,
    )


def picture(account: AccountID, orders: tuple[OpenOrder, ...] = ()) -> AccountPicture:
    """What an account answers."""
    position = Position(account, VENUE, Symbol("BTCUSDT"), MAKER, D("0.25"), D(100), D("1.5"), (("BNB", D("0.1")),), 1)
    balance = Balance(account, VENUE, "USDT", D(1000), D(50), 1)
    return AccountPicture(account, VENUE, orders, (position,), (balance,), "")


class Station(Actor):
    """Keeps what it gets; answers from `answers`, by the query's kind."""

    def __init__(self, got: list[Message], answers: Mapping[type[Query], Callable[[], object]]) -> None:
        self._got = got
        self._answers = answers

    def receive(self, message: Message) -> None:
        self._got.append(message)

    def answer(self, query: Query) -> object:
        return self._answers[type(query)]()

    def inspect(self) -> Mapping[str, object]:
        return {"got": len(self._got)}


@attrs.define
class Rig:
    """A running tree around one control actor."""

    runtime: Runtime
    socket: Path
    data: Path
    got: dict[str, list[Message]]
    """Messages by path."""
    orders: dict[AccountID, list[OpenOrder]]
    """What the accounts say that they have resting; a test changes it."""
    stopped: list[str]
    news: list[tuple[int, Lifecycle]]
    root: list[Supervisor]
    ended: trio.Event

    def connections(self) -> object:
        """How many clients the control actor serves."""
        actor = self.runtime.cell("/control").actor
        assert actor is not None
        return actor.inspect()["connections"]

    def journaled(self) -> list[OperatorCommand]:
        """The orders of operators in the journal on disk."""
        return [s.record for s in read(self.data / "journal") if isinstance(s.record, OperatorCommand)]

    async def end(self) -> None:
        """Stop the tree in order."""
        self.root[0].request_stop("test over")
        await self.ended.wait()


class Talk:
    """One connection to a control socket: raw bytes out, replies in."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def reply(self) -> dict[str, Any]:
        """The next line; EOFError when there is none."""
        while b"\n" not in self._buffer:
            data = await self.stream.receive_some(65536)
            if not data:
                raise EOFError("the engine closed the connection")
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\n")
        found: dict[str, Any] = json.loads(text)
        return found

    async def ask(self, verb: str, **args: object) -> dict[str, Any]:
        """One request, one reply."""
        await self.send(json.dumps({"id": 7, "verb": verb, "args": args}).encode() + b"\n")
        found = await self.reply()
        assert found["id"] == 7
        return found

    async def result(self, verb: str, **args: object) -> Any:
        """The result of a request that must succeed."""
        found = await self.ask(verb, **args)
        assert found["ok"], found
        return found["result"]


async def until(condition: Callable[[], object]) -> None:
    """Wait for what has no event; the test's own deadline bounds it."""
    while not condition():  # noqa: ASYNC110 - see above
        await trio.sleep(0.002)


def premises(rig: Rig, *, allow_faults: bool = True) -> Premises:
    """What the control plane is told of the engine."""
    return Premises(
        name="test",
        runtime=rig.runtime,
        root=lambda: rig.root[0],
        accounts=PAIRS,
        strategies={MAKER: MAKER_PATH},
        profile="demo",
        build="0",
        config_hash="abc",
        config_text="[engine]",
        started_ns=1,
        stop=rig.stopped.append,
        allow_faults=allow_faults,
        timezone="Asia/Seoul",
        stopping=lambda: rig.stopped[0] if rig.stopped else "",
        news=lambda: rig.news,
    )


@asynccontextmanager
async def control(data: Path, *, allow_faults: bool = True, socket: Path | None = None) -> AsyncIterator[Rig]:
    """A tree with a control actor that is ready; stopped in order at the end."""
    rig = Rig(
        Runtime(clock=SystemClock(), seed=1), socket or data / "control.sock", data, {}, {}, [], [], [], trio.Event()
    )

    def station(path: str, answers: Mapping[type[Query], Callable[[], object]] | None = None) -> ChildSpec:
        rig.got[path] = []
        return ChildSpec(name=path.rpartition("/")[2], factory=lambda: Station(rig.got[path], answers or {}))

    def gate(scope: str) -> ChildSpec:
        shown = ExposurePicture(scope, TradingState.ACTIVE, (), 1, (("max_exposure", D(1), D(100)),))
        return station(f"/risk/{scope}", {ExposureQuery: lambda: shown})

    def account(name: AccountID) -> SupervisorSpec:
        rig.orders[name] = []
        answers: dict[type[Query], Callable[[], object]] = {
            AccountQuery: lambda: picture(name, tuple(rig.orders[name]))
        }
        desk = station(account_path(name, VENUE), answers)
        return SupervisorSpec(name=name, children=(SupervisorSpec(name=VENUE, children=(desk,)),))

    spec = SupervisorSpec(
        name="",
        children=(
            ChildSpec(
                name="control", factory=lambda: ControlActor(rig.socket, premises(rig, allow_faults=allow_faults))
            ),
            ChildSpec(name="journal", factory=lambda: JournalActor(JournalHome(data / "journal"))),
            SupervisorSpec(
                name="",
                title="engine",
                children=(
                    station("/portfolio", {PnlQuery: lambda: ()}),
                    SupervisorSpec(name="risk", children=(gate("firm"), gate(MASTER), gate(SUB1))),
                    SupervisorSpec(name="accounts", children=(account(MASTER), account(SUB1))),
                    SupervisorSpec(name="strategies", children=(station(MAKER_PATH),)),
                ),
            ),
        ),
    )
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await run_tree(spec, rig.runtime, on_started=rig.root.append)
            rig.ended.set()

        nursery.start_soon(run)
        with trio.fail_after(10):
            await until(lambda: rig.root)
            for cell in rig.runtime.cells():
                await rig.runtime.wait_ready(cell.path)
        yield rig
        with trio.fail_after(10):
            await rig.end()


@asynccontextmanager
async def talk(rig: Rig) -> AsyncIterator[Talk]:
    """A connection to the rig's control socket."""
    stream = await trio.open_unix_socket(str(rig.socket))
    async with stream:
        with trio.fail_after(20):
            yield Talk(stream)
