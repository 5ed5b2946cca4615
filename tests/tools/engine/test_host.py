"""The engine's process: what is refused before anything starts, and what an orderly end leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from config import load_config
from protocols.errors import ConfigError, JournalError
from supervisors.ends import ExitKind
from supervisors.runtime import Lifecycle
from tests.scenarios.support import trading
from tools.engine.host import SOCKET_PATH_MAX, Host
from tools.engine.summary import closing_lines, counted, dead_letter_kinds, look


def prepared(data: Path, **more: object) -> Host:
    return Host.prepare(load_config("demo", overrides={"data.dir": str(data), **more}), {})


# ---- before anything starts --------------------------------------------------------------------------------------


def test_a_data_folder_that_cannot_be_is_refused_with_the_setting_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(ConfigError, match=r"data\.dir: .* cannot be made") as refused:
            prepared(place)
        assert "BULKHEAD__DATA__DIR" in str(refused.value)


def test_a_socket_path_that_the_kernel_would_refuse_is_refused_before(tmp_path: Path) -> None:
    short = "/tmp/" + "s" * (SOCKET_PATH_MAX - 5)
    prepared(tmp_path, **{"control.socket": short}).plan.journal.close()
    with pytest.raises(ConfigError, match=rf"control.socket: .* has {SOCKET_PATH_MAX + 1} bytes"):
        prepared(tmp_path, **{"control.socket": short + "s"})


def test_one_folder_serves_one_engine_at_a_time(tmp_path: Path) -> None:
    first = prepared(tmp_path)
    with pytest.raises(JournalError, match="is in use by another engine") as refused:
        prepared(tmp_path)
    assert "data.dir of its own" in str(refused.value)
    first.plan.journal.close()
    prepared(tmp_path).plan.journal.close()


def test_a_damaged_journal_stops_the_start_with_its_place(tmp_path: Path) -> None:
    host = prepared(tmp_path)
    host.plan.journal.close()
    (segment,) = (tmp_path / "journal").glob("*.jsonl")
    segment.write_bytes(segment.read_bytes() + b'{"nonsense": 1}\n' * 3)
    with pytest.raises(JournalError, match=segment.name):
        prepared(tmp_path)


# ---- the end -----------------------------------------------------------------------------------------------------


@pytest.mark.req("R121", "R122")
async def test_an_orderly_stop_leaves_no_order_and_no_dead_letter(tmp_path: Path) -> None:
    async with trading(tmp_path) as run:
        await run.all_ready()
        await run.fills(3)
        host = run.host
        host.stop("the day is over")
        with trio.fail_after(30):
            await host.ended.wait()
        assert host.end is not None
        assert host.end.kind is ExitKind.SHUTDOWN
        assert [d.message for d in host.runtime.dead_letters] == []
        assert host.last_look is not None
        assert (host.last_look.open_orders, host.last_look.silent) == (0, ())
        assert sum(len(run.sim.open_orders(name)) for name in ("master", "sub1")) == 0
        lines = closing_lines(host.last_look, host.runtime, host.started_ns, host.stop_reason)
        assert lines[0].endswith("ended by the day is over")
        assert lines[1].endswith("no restarts, no dead letters, no orders left open")
        assert lines[-1].split()[0] == "total"


async def test_the_summary_names_dead_letters_by_kind_and_who_gave_no_answer(tmp_path: Path) -> None:
    async with trading(tmp_path) as run:
        await run.all_ready()
        runtime = run.host.runtime
        for number in range(3):
            runtime.deliver("/nobody", Lifecycle(number, "", 0, "", ""))  # type: ignore[arg-type]
        cell = runtime.cell("/portfolio")
        cell.set_unready(cell.epoch, "on purpose")
        figures = await look(runtime, run.host.plan)
        cell.set_ready(cell.epoch)
        assert figures.silent == ("/portfolio",)
        assert dead_letter_kinds(runtime) == ["3 Lifecycle to /nobody (no_such_actor)"]
        lines = closing_lines(figures, runtime, figures.at_ns - 1_500_000_000, "test")
        assert lines[0] == "ran 1.5 s, ended by test"
        assert "3 dead letters" in lines[1]
        assert "  not known at the end: /portfolio gave no answer" in lines
        assert "  dead letters: 3 Lifecycle to /nobody (no_such_actor)" in lines
        assert lines[-1] == "  nothing was traded"


# ---- news --------------------------------------------------------------------------------------------------------


def test_news_is_what_deserves_attention_and_is_told_once(tmp_path: Path) -> None:
    host = prepared(tmp_path)

    def happened(what: str, text: str = "", path: str = "/a") -> None:
        host.observe(Lifecycle(0, path, 1, what, text))

    happened("starting")
    happened("ready")  # the first time is no news
    happened("connect_failed", "refused")
    happened("connect_failed", "refused")  # the same again is none either
    happened("connect_failed", "timed out")
    happened("connect_failed", "timed out", path="/b")
    happened("connected", "ws://x")
    happened("ready")
    happened("connection_lost", "reset")
    happened("unready", "reset")  # the gate shuts for the very reason that was told
    happened("unready", "another reason")
    happened("connected", "ws://x")
    happened("unready", "crashed: KeyError")  # told by the crash that follows
    happened("crash", "KeyError")
    happened("ready")
    happened("unready", "stopping")
    happened("unready", "disconnected: /public: stopping")
    happened("shutdown")
    assert [(e.what, e.path, e.text) for _, e in host.news_after(0)] == [
        ("connect_failed", "/a", "refused"),
        ("connect_failed", "/a", "timed out"),
        ("connect_failed", "/b", "timed out"),
        ("connected", "/a", "ws://x"),
        ("connection_lost", "/a", "reset"),
        ("unready", "/a", "another reason"),
        ("connected", "/a", "ws://x"),
        ("crash", "/a", "KeyError"),
        ("ready", "/a", ""),
    ]
    assert [number for number, _ in host.news_after(7)] == [8, 9]
    host.plan.journal.close()
    host.log.close()


@pytest.mark.parametrize(
    "number, noun, text", [(0, "restart", "no restarts"), (1, "order", "1 order"), (1234, "message", "1,234 messages")]
)
def test_numbers_read_like_words(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text
