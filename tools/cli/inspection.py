"""`bulkhead inspect`, `tap`, `actor`: looking at and handling the running tree."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from tools.cli.client import Client
from tools.cli.common import (
    connect,
    duration,
    json_option,
    local_time,
    print_json,
    print_json_line,
    print_table,
    socket_option,
)
from tools.cli.failure import CommandFailure, EngineAbsent

CONTROL = "/control"
_CONTROL_PATIENCE_S = 10
_MARKS = {True: "*", False: "!"}


@click.command()
@click.argument("path", required=False)
@click.option("--watch", "-w", is_flag=True, help="Show it again every second until Ctrl-C.")
@click.option("--dead", is_flag=True, help="Show the dead letters: messages that no actor could handle.")
@socket_option
@json_option
def inspect(path: str | None, watch: bool, dead: bool, socket_path: Path | None, as_json: bool) -> None:
    """Show the supervision tree, a part of it (PATH, like /accounts), or one actor (PATH, like /router).

    In the tree, * marks an actor whose ready gate is open, ! one that is not ready (with the reason), = one that is
    paused.  A supervisor's line shows its strategy, the restarts it has used of those it may use, and its money
    policy: what happens to money when they are used up.
    """
    with connect(socket_path) as client:
        try:
            while True:
                if watch:
                    click.clear()
                _show(client, path, dead, as_json)
                if not watch:
                    return
                time.sleep(1)
        except KeyboardInterrupt:
            return


def _show(client: Client, path: str | None, dead: bool, as_json: bool) -> None:
    if dead:
        letters = client.call("dead_letters")
        if as_json:
            print_json(letters)
        else:
            print_table(
                "",
                ("to", "kind", "from", "reason", "message"),
                ((d["to"], d["kind"], d["sender"] or "-", d["reason"], _short(d["message"])) for d in letters),
                empty="no dead letters: every message has been handled",
            )
        return
    rows = client.call("tree")
    if path is not None and path != "/":
        below = [row for row in rows if row["path"].startswith(f"{path.rstrip('/')}/")]
        if not below:
            shown = client.call("actor", path=path)
            print_json(shown) if as_json else _show_actor(shown)
            return
        rows = [row for row in rows if row["path"] == path.rstrip("/")] + below
    print_json(rows) if as_json else _show_tree(rows)


def _show_tree(rows: list[dict[str, Any]]) -> None:
    top = min(row["depth"] for row in rows)
    print_table(
        "",
        ("actor", "", "epoch", "restarts", "mail", "peak", "handled", "p50", "p99", "note"),
        (
            (
                "  " * (row["depth"] - top) + row["name"],
                "" if row["kind"] == "supervisor" else ("=" if row["paused"] else _MARKS[row["ready"]]),
                row["epoch"] or "",
                row["restarts"] or "",
                row["depth_now"] or "",
                row["depth_high"] or "",
                row["handled"] or "",
                duration(row["p50_ns"]) if row["handled"] else "",
                duration(row["p99_ns"]) if row["handled"] else "",
                row["note"],
            )
            for row in rows
        ),
        right=("epoch", "restarts", "mail", "peak", "handled", "p50", "p99"),
    )


def _show_actor(shown: dict[str, Any]) -> None:
    ready = "ready" if shown["ready"] else f"not ready: {shown['unready_reason']}"
    click.echo(f"{shown['path']}  {shown['kind']}  epoch {shown['epoch']}  {shown['phase']}, {ready}")
    box = shown["mailbox"]
    click.echo(
        f"mailbox   {box['depth']} waiting (peak {box['high_water']}, capacity {box['capacity']}), "
        f"oldest {duration(box['oldest_age_ns'])}, conflated {box['conflated']}, refused {box['refused']}"
    )
    times = shown["handling_ns"]
    click.echo(
        f"handling  {times['count']} messages, p50 {duration(times['p50'])}, "
        f"p99 {duration(times['p99'])}, max {duration(times['max'])}"
    )
    for kind, paths in shown["links"].items():
        if paths:
            click.echo(f"{kind.replace('_', ' '):<9} {', '.join(paths)}")
    click.echo("")
    print_table("messages", ("kind", "count"), shown["counts"].items(), right=("count",))
    click.echo("")
    print_table("state", ("name", "value"), ((k, _short(v)) for k, v in shown["state"].items()))
    click.echo("")
    print_table(
        "restarts",
        ("ended epoch", "cause", "ready again after"),
        ((r["epoch"], _short(r["cause"]), duration(r["recovery_ns"])) for r in shown["restarts"]),
        right=("ended epoch", "ready again after"),
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else text[:97] + "..."


@click.command()
@click.argument("path")
@socket_option
@json_option
def tap(path: str, socket_path: Path | None, as_json: bool) -> None:
    """Print the messages of one actor as they come, until Ctrl-C; with --json one object a line."""
    with connect(socket_path) as client:
        try:
            zone = ZoneInfo(client.call("status")["timezone"])
            for event in client.stream("tap", path=path):
                if as_json:
                    print_json_line(event)
                else:
                    at = local_time(event["at_ns"], zone)
                    fields = " ".join(f"{name}={value}" for name, value in event["message"].items())
                    click.echo(f"{at}  {event['sender'] or '-'}  {event['kind']}  {fields}")
        except KeyboardInterrupt:
            return


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many, the newest.")
@socket_option
@json_option
def events(limit: int, socket_path: Path | None, as_json: bool) -> None:
    """What deserved attention lately: crashes, lost connections, gates that shut, who came back.

    Everything else that happened to an actor is in the log.
    """
    with connect(socket_path) as client:
        shown = client.call("events", limit=limit)
        zone = ZoneInfo(client.call("status")["timezone"])
    if as_json:
        print_json(shown)
        return
    print_table(
        "",
        ("time", "what", "actor", "epoch", "text"),
        (
            (local_time(e["at_ns"], zone), e["what"].replace("_", " "), e["path"], e["epoch"], _short(e["text"]))
            for e in shown
        ),
        right=("epoch",),
        empty="nothing that deserves attention",
    )


@click.group()
def actor() -> None:
    """Handle one actor of the running engine."""


@actor.command()
@click.argument("path")
@socket_option
@json_option
def restart(path: str, socket_path: Path | None, as_json: bool) -> None:
    """End the actor's incarnation; its supervisor starts the next one, which resyncs before it is ready.

    Exit code 1 when it is not ready again within some seconds.
    """
    with connect(socket_path) as client:
        result = client.call("restart", path=path)
    if path == CONTROL:
        result = _control_again(socket_path, result["epoch"])
    if as_json:
        print_json(result)
    elif result["ready"]:
        click.echo(f"{path}: epoch {result['epoch']}, ready again after {duration(result['recovery_ns'])}")
    if not result["ready"]:
        raise CommandFailure(f"{path}: epoch {result['epoch']}, not ready yet: {result['why_not']}", "look again later")


def _control_again(socket_path: Path | None, epoch: int) -> dict[str, Any]:
    """The control socket went away to restart: ask it again until it is the next incarnation that answers."""
    deadline = time.monotonic() + _CONTROL_PATIENCE_S
    while True:
        try:
            with connect(socket_path) as client:
                shown = client.call("actor", path=CONTROL)
        except EngineAbsent:
            shown = {"epoch": epoch, "ready": False, "unready_reason": "it does not serve yet", "restarts": []}
        if (shown["epoch"] > epoch and shown["ready"]) or time.monotonic() > deadline:
            return {
                "path": CONTROL,
                "epoch": shown["epoch"],
                "ready": shown["ready"],
                "why_not": shown["unready_reason"],
                "recovery_ns": shown["restarts"][-1]["recovery_ns"] if shown["restarts"] else None,
            }
        time.sleep(0.05)


@actor.command()
@click.argument("path")
@click.option("--hard", is_flag=True, help="Hold even a strategy's mail instead of only its decisions.")
@socket_option
@json_option
def pause(path: str, hard: bool, socket_path: Path | None, as_json: bool) -> None:
    """Let the actor's mail wait (a strategy: make no new decisions)."""
    _order(socket_path, as_json, "pause", path, hard)


@actor.command()
@click.argument("path")
@click.option("--hard", is_flag=True, help="Undo `pause --hard`.")
@socket_option
@json_option
def resume(path: str, hard: bool, socket_path: Path | None, as_json: bool) -> None:
    """Undo `pause`."""
    _order(socket_path, as_json, "resume", path, hard)


@actor.command()
@click.argument("path")
@click.option("--where", type=click.Choice(["now", "before", "after"]), default="now", show_default=True)
@socket_option
@json_option
def crash(path: str, where: str, socket_path: Path | None, as_json: bool) -> None:
    """Crash the actor: at once, or before or after it handles its next message (profiles without real money)."""
    with connect(socket_path) as client:
        result = client.call("crash", path=path, where=where)
    print_json(result) if as_json else click.echo(f"{path}: crash ordered ({where})")


def _order(socket_path: Path | None, as_json: bool, verb: str, path: str, hard: bool) -> None:
    with connect(socket_path) as client:
        result = client.call(verb, path=path, hard=hard)
    print_json(result) if as_json else click.echo(f"{path}: {verb}d ({result['how']})")
