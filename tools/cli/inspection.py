"""`bulkhead inspect`, `tap`, `actor`: looking at and handling the running tree."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from tools.cli.client import Client
from tools.cli.common import connect, duration, json_option, print_json, print_table, socket_option

_MARKS = {True: "*", False: "!"}


@click.command()
@click.argument("path", required=False)
@click.option("--watch", "-w", is_flag=True, help="Show it again every second until Ctrl-C.")
@click.option("--dead", is_flag=True, help="Show the dead letters: messages that no actor could handle.")
@socket_option
@json_option
def inspect(path: str | None, watch: bool, dead: bool, socket_path: Path | None, as_json: bool) -> None:
    """Show the supervision tree, or one actor (PATH, like /accounts/master/binance-spot/account).

    In the tree, * marks an actor whose ready gate is open and ! one that is not ready, with the reason.
    """
    with connect(socket_path) as client:
        while True:
            if watch:
                click.clear()
            _show(client, path, dead, as_json)
            if not watch:
                return
            try:
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
                "dead letters",
                ("to", "message", "from", "reason"),
                ((d["to"], _short(d["message"]), d["sender"], d["reason"]) for d in letters),
            )
    elif path is None:
        rows = client.call("tree")
        print_json(rows) if as_json else _show_tree(rows)
    else:
        shown = client.call("actor", path=path)
        print_json(shown) if as_json else _show_actor(shown)


def _show_tree(rows: list[dict[str, Any]]) -> None:
    print_table(
        "",
        ("actor", "", "epoch", "restarts", "mail", "peak", "handled", "p50", "p99", "note"),
        (
            (
                "  " * row["depth"] + row["name"],
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
    print_table("messages", ("kind", "count"), shown["counts"].items(), right=("count",))
    print_table("state", ("name", "value"), ((k, _short(v)) for k, v in shown["state"].items()))
    print_table(
        "restarts",
        ("epoch", "cause", "ready again after"),
        ((r["epoch"], r["cause"], duration(r["recovery_ns"])) for r in shown["restarts"]),
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else text[:97] + "..."


@click.command()
@click.argument("path")
@socket_option
@json_option
def tap(path: str, socket_path: Path | None, as_json: bool) -> None:
    """Print the messages of one actor as they come, until Ctrl-C."""
    with connect(socket_path) as client:
        try:
            for event in client.stream("tap", path=path):
                if as_json:
                    print_json(event)
                else:
                    click.echo(f"{event['at_ns']} {event['sender'] or '-'} {event['kind']} {event['message']}")
        except KeyboardInterrupt:
            return


@click.group()
def actor() -> None:
    """Handle one actor of the running engine."""


@actor.command()
@click.argument("path")
@socket_option
@json_option
def restart(path: str, socket_path: Path | None, as_json: bool) -> None:
    """End the actor's incarnation; its supervisor starts the next one, which resyncs before it is ready."""
    with connect(socket_path) as client:
        result = client.call("restart", path=path)
    if as_json:
        print_json(result)
        return
    state = f"ready again after {duration(result['recovery_ns'])}" if result["ready"] else result["why_not"]
    click.echo(f"{path}: epoch {result['epoch']}, {state}")


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
