"""The live view of `bulkhead run`: a process of its own that draws what the control socket says.

Drawing forty rows costs some 6 ms; in the engine's loop that would be the worst latency of the day, so the engine's
process never draws.  Ctrl-C belongs to the engine: the view goes when the engine goes.

    python -m tools.cli.live data/control.sock Asia/Seoul                       what `bulkhead run` starts
    python -m tools.cli.live data/control.sock Asia/Seoul --export view.svg     one frame into a picture
"""

from __future__ import annotations

import re
import signal
import sys
import time
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tools.cli.client import Client
from tools.cli.common import Cropped, duration, local_time
from tools.cli.failure import CommandFailure, EngineAbsent

REFRESH_S = 0.5
_PARTS = ("pnl", "orders", "risk", "events")
_EVENTS_SHOWN = 5
_LIMITS_SHOWN = 3
_ACTORS_AT_LEAST = 5
_WIDTH_AT_LEAST = 96
_PICTURE_WIDTH, _PICTURE_HEIGHT = 110, 34
_WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_STATE_STYLES = {"active": "green", "reducing": "yellow"}


def snapshot(client: Client) -> dict[str, Any]:
    """Everything that one frame shows; a part that cannot be had now is empty, with the reason in `missing`."""
    shown: dict[str, Any] = {"status": client.call("status"), "tree": client.call("tree"), "missing": {}}
    for verb in _PARTS:
        try:
            shown[verb] = client.call(verb)
        except EngineAbsent:
            raise
        except CommandFailure as failure:
            shown[verb] = []
            shown["missing"][verb] = failure.message
    entries = [row["path"] for row in shown["tree"] if row["kind"] == "OrderEntryActor"]
    shown["entries"] = [client.call("actor", path=path) for path in entries]
    return shown


def frame(shown: dict[str, Any], zone: ZoneInfo, rate: float, height: int) -> Group:
    """One frame: headline, profit, limits, order entry, what deserved attention, and the busiest actors."""
    above: list[Table | Text] = [
        _head(shown["status"], zone, rate),
        _warning(shown["status"], shown["missing"]),
        _venues(shown["status"]["venues"], shown["status"]["now_ns"]),
        Text(),
        _pnl(shown["pnl"], shown["orders"]),
        Text(),
        _risk(shown["risk"]),
        Text(),
        _entries(shown["entries"]),
        Text(),
        _events(shown["events"], zone),
        Text(),
    ]
    taken = sum(part.row_count + 1 if isinstance(part, Table) else 1 for part in above)
    return Group(*above, _actors(shown["tree"], max(_ACTORS_AT_LEAST, height - taken - 1)))


def _head(status: dict[str, Any], zone: ZoneInfo, rate: float) -> Text:
    uptime_s = (status["now_ns"] - status["started_ns"]) // 1_000_000_000
    return Text.assemble(
        ("bulkhead ", "bold"),
        f"{status['profile']}  {local_time(status['now_ns'], zone)}  up {uptime_s // 3600}:{uptime_s // 60 % 60:02}",
        f":{uptime_s % 60:02}  ",
        (f"{status['ready']}/{status['actors']} actors ready", "yellow" if status["not_ready"] else "green"),
        f"  {rate:,.0f} msg/s  {status['restarts']} restarts  {status['dead_letters']} dead letters",
        no_wrap=True,
    )


def _warning(status: dict[str, Any], missing: dict[str, str]) -> Text:
    """The line below the headline: empty as long as there is nothing to say."""
    if status["stopping"]:
        return Text(f"draining: {status['stopping']}; once more does not wait for the orders", "bold yellow")
    if status["journal_failure"]:
        return Text(f"the journal cannot write, no order leaves: {status['journal_failure']}", "bold red", no_wrap=True)
    if status["not_ready"]:
        first = status["not_ready"][0]
        more = f" and {len(status['not_ready']) - 1} more" if len(status["not_ready"]) > 1 else ""
        return Text(f"waiting for {first['path']} ({_line(first['why'])}){more}", "yellow", no_wrap=True)
    return Text(
        f"no {', no '.join(missing)}: {next(iter(missing.values()))}" if missing else "", "yellow", no_wrap=True
    )


def _pnl(rows: list[dict[str, Any]], orders: list[dict[str, Any]]) -> Table:
    live: dict[tuple[str, str, str], int] = {}
    for order in orders:
        key = (order["account"], order["strategy"], order["symbol"])
        live[key] = live.get(key, 0) + 1
    table = _table(
        "account", "strategy", "symbol", ">orders", ">position", ">avg px", ">mark", ">realized", ">unrealized"
    )
    totals: dict[str, Decimal] = {}
    for row in rows:
        realized, unrealized = Decimal(row["realized"]), Decimal(row["unrealized"])
        totals[row["quote"]] = totals.get(row["quote"], Decimal(0)) + realized + unrealized
        table.add_row(
            row["account"],
            row["strategy"],
            row["symbol"],
            str(live.pop((row["account"], row["strategy"], row["symbol"]), 0)),
            f"{Decimal(row['qty']):.6f}",
            f"{Decimal(row['avg_px']):,.2f}",
            f"{Decimal(row['mark']):,.2f}",
            _signed(realized),
            _signed(unrealized),
        )
    for (account, strategy, symbol), count in live.items():
        table.add_row(account, strategy, symbol, str(count), "-", "-", "-", "-", "-")
    for quote, total in (totals or {"": Decimal(0)}).items():
        table.add_row("", "", "", "", "", "", "", Text(f"total {quote}".rstrip(), style="bold"), _signed(total))
    return table


def _venues(rows: list[dict[str, Any]], now_ns: int) -> Table:
    """One line for each venue; what is not right about it stands at the end."""
    table = _table("venue", "state", ">books", ">gaps", ">accounts", ">clock", ">waiting", "most used limit", "")
    for row in rows:
        blocked_s = (row["blocked_until_ns"] - now_ns) // 1_000_000_000
        blocked = f"blocked for {blocked_s} s: {row['blocked_because']}" if row["blocked_until_ns"] else ""
        offset = row["clock_offset_ms"]
        table.add_row(
            row["venue"],
            Text("blocked", style="red") if blocked else _up(row["ready"]),
            f"{row['books_proven']}/{row['books']}",
            str(row["gaps"]),
            f"{row['accounts_ready']}/{row['accounts']}",
            "unknown" if offset is None else f"{offset:+.1f} ms",
            str(row["waiting"]),
            row["fullest_limit"],
            _cut(blocked or row["why"], "yellow"),
        )
    return table


def _up(ready: bool) -> Text:
    return Text("up", style="green") if ready else Text("not ready", style="yellow")


def _risk(pictures: list[dict[str, Any]]) -> Table:
    table = _table("scope", "state", ">open orders", "limits in use")
    for shown in pictures:
        use = "  ".join(
            f"{name} {Decimal(used):,.0f}/{Decimal(allowed):,.0f}"
            for name, used, allowed in shown["limit_use"][:_LIMITS_SHOWN]
        )
        state = Text(shown["state"], style=_STATE_STYLES.get(shown["state"], "red bold"))
        table.add_row(shown["scope"], state, str(shown["open_orders"]), _cut(use))
    return table


def _entries(pictures: list[dict[str, Any]]) -> Table:
    table = _table("order entry", "connection", ">sent", ">acked", ">rejected", ">in doubt", ">ack p50", ">ack p99")
    for shown in pictures:
        state = shown["state"]
        if not state:
            table.add_row(_cut(shown["path"]), _cut(shown["unready_reason"], "yellow"))
            continue
        connected = Text("up", style="green") if state.get("connected") else Text("down", style="yellow")
        acks = state["ack_ns"]["socket"]
        table.add_row(
            _cut(shown["path"]),
            connected,
            *(f"{state[name]:,}" for name in ("sent", "acked", "rejected", "in_doubt")),
            duration(acks["p50"]) if acks["count"] else "-",
            duration(acks["p99"]) if acks["count"] else "-",
        )
    return table


def _events(rows: list[dict[str, Any]], zone: ZoneInfo) -> Table:
    table = _table("lately", "what", "actor", "")
    for event in rows[-_EVENTS_SHOWN:]:
        clock = local_time(event["at_ns"], zone).split()[1]
        table.add_row(clock, event["what"].replace("_", " "), _cut(event["path"]), _cut(event["text"]))
    if not rows:
        table.add_row("-", Text("nothing that deserves attention", style="dim"))
    return table


def _actors(rows: list[dict[str, Any]], room: int) -> Table:
    actors = [row for row in rows if row["kind"] != "supervisor"]
    actors.sort(key=lambda row: (row["ready"], -row["restarts"], -row["handled"]))
    table = _table("actor", "state", ">epoch", ">mail", ">peak", ">handled", ">p50", ">p99")
    for row in actors[:room]:
        state = Text("ready", style="green") if row["ready"] else _cut(row["note"], "yellow")
        table.add_row(
            _cut(row["path"]),
            Text("paused", style="yellow") if row["paused"] else state,
            str(row["epoch"]),
            str(row["depth_now"]),
            str(row["depth_high"]),
            f"{row['handled']:,}",
            duration(row["p50_ns"]) if row["handled"] else "-",
            duration(row["p99_ns"]) if row["handled"] else "-",
        )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold dim")
    for column in columns:
        number = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if number else "left", no_wrap=number)
    return table


def _cut(text: str, style: str = "") -> Text:
    """A cell that gives way when the terminal is narrow; numbers never do."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _signed(value: Decimal) -> Text:
    return Text(f"{value:+,.4f}", style="green" if value > 0 else "red" if value < 0 else "dim")


def _line(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def watch(socket_path: Path, zone: ZoneInfo) -> None:
    """Draw until the engine goes away; what it refuses for now is asked again."""
    console = Console()
    handled, since = 0, time.monotonic()
    stopping = False
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            try:
                with Client(socket_path) as client:
                    while True:
                        shown = snapshot(client)
                        now = time.monotonic()
                        rate = (shown["status"]["handled"] - handled) / max(now - since, 1e-3) if handled else 0.0
                        handled, since = shown["status"]["handled"], now
                        stopping = bool(shown["status"]["stopping"])
                        live.update(Cropped(frame(shown, zone, rate, console.height), _WIDTH_AT_LEAST), refresh=True)
                        time.sleep(REFRESH_S)
            except EngineAbsent:
                if stopping or not _comes_back(socket_path):
                    return
            except CommandFailure as failure:
                live.update(Text(f"the engine does not answer: {failure.message}", style="yellow"), refresh=True)
                time.sleep(REFRESH_S)


def _comes_back(socket_path: Path) -> bool:
    """The control socket restarts within moments; an engine that has ended does not."""
    for _ in range(20):
        time.sleep(0.1)
        try:
            Client(socket_path).close()
        except EngineAbsent:
            continue  # not yet: look again
        return True
    return False


def export(socket_path: Path, zone: ZoneInfo, file: Path, seconds: float) -> None:
    """One frame, after `seconds` of looking, as an SVG picture."""
    with Client(socket_path) as client:
        handled = client.call("status")["handled"]
        time.sleep(seconds)
        shown = snapshot(client)
    rate = (shown["status"]["handled"] - handled) / seconds
    console = Console(record=True, width=_PICTURE_WIDTH, height=_PICTURE_HEIGHT, file=StringIO(), force_terminal=True)
    console.print(frame(shown, zone, rate, _PICTURE_HEIGHT))
    picture = console.export_svg(title="bulkhead run")
    # The font is somebody's on the network; a reader's own will do.
    file.write_text(_WEB_FONT.sub("", picture), encoding="utf-8")


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise click.BadParameter(f"there is no time zone {text!r}; write one as Asia/Seoul or UTC") from error


@click.command()
@click.argument("socket_path", type=click.Path(path_type=Path))
@click.argument("zone", type=_zone)
@click.option("--export", "file", type=click.Path(path_type=Path), help="Write one frame as SVG instead of drawing.")
def main(socket_path: Path, zone: ZoneInfo, file: Path | None) -> None:
    """Draw what the engine at SOCKET_PATH does, times in ZONE."""
    if file is not None:
        export(socket_path, zone, file, seconds=1)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # leaves the screen as it was
    watch(socket_path, zone)


if __name__ == "__main__":
    main()
