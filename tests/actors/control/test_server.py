"""Who may speak to the control socket, and what becomes of those who say nonsense."""

from __future__ import annotations

import os
import random
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.control.server import ControlActor
from actors.control.wire import REQUEST_BYTES_MAX
from tests.actors.control.rig import MAKER_PATH, control, premises, talk, until
from tests.supervisors.support import Note

NOBODY = 65534
AS_NOBODY = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
peer = socket.socket(socket.AF_UNIX)
try:
    peer.connect(sys.argv[1])
    peer.sendall(b'{"id": 1, "verb": "tree"}\\n')
    print(len(peer.recv(65536)))
except PermissionError:
    print("not permitted")
except (BrokenPipeError, ConnectionResetError):
    print("0")
"""


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that any user may look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def as_nobody(path: Path) -> str:
    """What a process of another user gets from the socket."""
    done = await trio.run_process([sys.executable, "-c", AS_NOBODY, str(path)], capture_stdout=True)
    return done.stdout.decode().strip()


async def test_the_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with control(tmp_path) as rig:
        mode = rig.socket.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    assert not rig.socket.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user to try it")
async def test_another_user_is_kept_out_by_the_mode_and_by_the_peer_check(public_folder: Path) -> None:
    async with control(public_folder) as rig:
        assert await as_nobody(rig.socket) == "not permitted"
        rig.socket.chmod(0o666)  # as if somebody had opened it
        assert await as_nobody(rig.socket) == "0"
        async with talk(rig) as own:
            shown = await own.result("actor", path="/control")
            assert shown["state"]["refused_peers"] == 1
            assert len(await own.result("tree")) > 5


async def test_several_requests_in_one_write_and_one_in_several_are_answered_in_order(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        await own.send(b'{"id": 1, "verb": "status"}\n\n  \n{"id": 2, "verb": "tree"}\n{"id": 3, "ve')
        assert [(await own.reply())["id"] for _ in range(2)] == [1, 2]
        await own.send(b'rb": "orders"}\n')
        assert (await own.reply()) == {"id": 3, "ok": True, "result": []}


async def test_nonsense_is_refused_and_the_conversation_goes_on(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        await own.send(b"make me rich\n")
        refused = await own.reply()
        assert refused["ok"] is False
        assert refused["error"].startswith("not a request")
        assert '"verb"' in refused["fix"]
        assert (await own.ask("status"))["ok"]
        refused = await own.ask("explode")
        assert refused["error"] == "no such verb: explode"
        assert "restart" in refused["fix"]
        assert "tap" in refused["fix"]


@pytest.mark.parametrize("ending", [b"", b"\n"])
async def test_a_request_that_is_too_long_ends_its_connection_only(tmp_path: Path, ending: bytes) -> None:
    async with control(tmp_path) as rig:
        async with talk(rig) as own, talk(rig) as other:
            await own.send(b"x" * (REQUEST_BYTES_MAX + 1) + ending)
            refused = await own.reply()
            assert refused["error"] == f"request too long, at most {REQUEST_BYTES_MAX} bytes"
            with pytest.raises(EOFError):
                await own.reply()
            assert (await other.ask("status"))["ok"]
        assert rig.runtime.cell("/control").epoch == 1


async def test_a_client_that_goes_away_in_the_middle_harms_nobody(tmp_path: Path) -> None:
    async with control(tmp_path) as rig:
        for text in (b"", b'{"id": 1, "ver', b'{"id": 1, "verb": "tree"}\n' * 500):
            rude = socket.socket(socket.AF_UNIX)
            rude.connect(str(rig.socket))
            rude.sendall(text)
            rude.close()
        with trio.fail_after(10):
            await until(lambda: rig.connections() == 0)
        assert rig.runtime.cell("/control").epoch == 1


async def test_a_socket_that_nobody_serves_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()  # as after kill -9: the file stays
    assert path.exists()
    async with control(tmp_path) as rig, talk(rig) as own:
        assert (await own.ask("status"))["ok"]


async def test_a_second_engine_does_not_take_the_socket_of_a_running_one(tmp_path: Path) -> None:
    async with control(tmp_path) as rig:
        second = ControlActor(rig.socket, premises(rig))
        with pytest.raises(Exception, match="another engine serves") as refused:
            await second.run()
        assert "data" in refused.value.fix  # type: ignore[attr-defined]  # of the error that is expected
        async with talk(rig) as own:
            assert (await own.ask("status"))["ok"]


@pytest.mark.parametrize(
    "path, complaint",
    [("a_file", "exists and is not a socket"), ("x" * 120, "cannot listen at"), ("a_file/below", "cannot listen at")],
)
async def test_a_place_where_no_socket_can_be_is_named(tmp_path: Path, path: str, complaint: str) -> None:
    (tmp_path / "a_file").write_text("precious")
    async with control(tmp_path / "other") as rig:
        with pytest.raises(Exception, match=complaint) as refused:
            await ControlActor(tmp_path / path, premises(rig)).run()
        assert "socket" in refused.value.fix  # type: ignore[attr-defined]  # of the error that is expected
    assert (tmp_path / "a_file").read_text() == "precious"


async def test_a_tap_streams_what_an_actor_gets_until_the_client_closes(tmp_path: Path) -> None:
    async with control(tmp_path) as rig:
        async with talk(rig) as own:
            await own.send(b'{"id": 9, "verb": "tap", "args": {"path": "/portfolio"}}\n')
            cell = rig.runtime.cell("/portfolio")
            await until(lambda: cell.taps)
            for number in range(3):
                rig.runtime.deliver("/portfolio", Note(number), "/journal", 1)
            seen = [await own.reply() for _ in range(3)]
        assert [found["id"] for found in seen] == [9, 9, 9]
        assert [found["event"]["message"] for found in seen] == [{"number": 0}, {"number": 1}, {"number": 2}]
        assert {(found["event"]["kind"], found["event"]["sender"]) for found in seen} == {("Note", "/journal")}
        assert all(found["event"]["at_ns"] > 1_600_000_000_000_000_000 for found in seen)
        with trio.fail_after(10):
            await until(lambda: rig.connections() == 0)  # although nothing more came for it
            rig.runtime.deliver("/portfolio", Note(3))
            await until(lambda: not cell.taps)
        assert rig.runtime.cell("/control").epoch == 1


async def test_a_tap_of_nobody_is_refused(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        assert (await own.ask("tap", path="/portfolo"))["fix"].startswith("did you mean /portfolio?")
        assert (await own.ask("tap"))["error"] == "path is missing"
        assert (await own.ask("status"))["ok"]


async def test_a_tapped_client_that_reads_nothing_holds_up_nobody(tmp_path: Path) -> None:
    async with control(tmp_path) as rig, talk(rig) as lazy, talk(rig) as own:
        await lazy.send(b'{"id": 1, "verb": "tap", "args": {"path": "/portfolio"}}\n')
        cell = rig.runtime.cell("/portfolio")
        await until(lambda: cell.taps)
        for number in range(20_000):
            rig.runtime.deliver("/portfolio", Note(number))
        await until(lambda: len(rig.got["/portfolio"]) == 20_000)
        assert (await own.result("actor", path="/portfolio"))["counts"]["Note"] == 20_000


async def test_the_control_socket_comes_back_from_its_own_restart(tmp_path: Path) -> None:
    async with control(tmp_path) as rig:
        async with talk(rig) as own:
            found = await own.result("restart", path="/control")
            assert found["ready"] is False
            assert "after this answer" in found["why_not"]
            with pytest.raises((EOFError, trio.BrokenResourceError)):
                await own.reply()
        with trio.fail_after(10):
            await rig.runtime.wait_ready("/control")
        async with talk(rig) as own:
            assert (await own.result("actor", path="/control"))["epoch"] == 2
        assert rig.runtime.cell(MAKER_PATH).epoch == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
VERBS = ("actor", "dead_letters", "events", "orders", "pause", "resume", "restart", "crash", "kill", "unkill")
NAMES = st.sampled_from(["path", "limit", "account", "scope", "code", "where", "hard", "principal", "cause", "other"])


def test_no_argument_of_any_verb_ends_the_control_actor(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever a client sends as arguments is its own mistake: it gets one answer, and the socket goes on."""

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(asked=st.lists(st.tuples(st.sampled_from(VERBS), st.dictionaries(NAMES, JSON, max_size=4)), max_size=20))
    def check(asked: list[tuple[str, dict[str, object]]]) -> None:
        async def main() -> None:
            async with control(tmp_path_factory.mktemp("fuzz")) as rig, talk(rig) as own:
                for verb, args in asked:
                    if verb != "restart":  # which would wait for the actor
                        args = {"path": "/portfolio", **args}
                    found = await own.ask(verb, **args)
                    assert found["ok"] or found["error"]
                assert rig.runtime.cell("/control").epoch == 1

        trio.run(main)

    check()


@pytest.mark.parametrize("seed", range(20))
async def test_bytes_of_any_kind_do_not_end_the_control_actor(tmp_path: Path, seed: int) -> None:
    async with control(tmp_path) as rig, talk(rig) as own:
        await own.send(random.Random(seed).randbytes(3000) + b"\n")
        assert (await own.reply())["ok"] is False
        assert rig.runtime.cell("/control").epoch == 1
