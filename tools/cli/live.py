"""The live view of `bulkhead run`: a process of its own that draws what the control socket says.

Drawing forty rows costs some 6 ms; in the engine's loop that would be the worst latency of the day, so the engine's
process never draws.  Ctrl-C belongs to the engine: the view goes when the engine goes.
"""

from __future__ import annotations

import signal
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tools.cli.client import Client
from tools.cli.common import duration, local_time
from tools.cli.failure import CommandFailure, EngineAbsent

_REFRESH_S = 0.5


def snapshot(client: Client) -> dict[str, Any]:
    """Everything that one frame shows; a part that cannot be had now is empty, with the reason."""
    shown: dict[str, Any] = {"status": client.call("status"), "tree": client.call("tree"), "missing": []}
    for verb in ("pnl", "orders", "risk"):
        try:
            shown[verb] = client.call(verb)
        except EngineAbsent:
            raise
        except CommandFailure as failure:
            shown[verb] = []
            shown["missing"].append(failure.message)
    return shown


def frame(shown: dict[str, Any], zone: ZoneInfo, rate: float) -> Group:
    """One frame: headline, profit, limits, actors that deserve attention."""
    status = shown["status"]
    uptime_s = (status["now_ns"] - status["started_ns"]) // 1_000_000_000
    head = Text.assemble(
        ("bulkhead ", "bold"),
        f"{status['profile']}  {local_time(status['now_ns'], zone)}  up {uptime_s // 3600}:{uptime_s // 60 % 60:02}",
        f":{uptime_s % 60:02}   ",
        (f"{status['ready']}/{status['actors']} actors ready", "green" if not status["not_ready"] else "yellow"),
        f"   {rate:,.0f} msg/s   restarts {status['restarts']}   dead letters {status['dead_letters']}",
    )
    return Group(
        head, Text(), _pnl(shown["pnl"], shown["orders"]), Text(), _risk(shown["risk"]), Text(), _actors(shown)
    )


def _pnl(rows: list[dict[str, Any]], orders: list[dict[str, Any]]) -> Table:
    live: dict[tuple[str, str, str], int] = {}
    for order in orders:
        key = (order["account"], order["strategy"], order["symbol"])
        live[key] = live.get(key, 0) + 1
    table = _table(
        "account", "strategy", "symbol", ">orders", ">position", ">avg px", ">mark", ">realized", ">unrealized"
    )
    total = Decimal(0)
    for row in rows:
        realized, unrealized = Decimal(row["realized"]), Decimal(row["unrealized"])
        total += realized + unrealized
        table.add_row(
            row["account"],
            row["strategy"],
            row["symbol"],
            str(live.get((row["account"], row["strategy"], row["symbol"]), 0)),
            f"{Decimal(row['qty']):.6f}",
            f"{Decimal(row['avg_px']):.2f}",
            f"{Decimal(row['mark']):.2f}",
            _signed(realized),
            _signed(unrealized),
        )
    table.add_row("", "", "", "", "", "", "", Text("total", style="bold"), _signed(total))
    return table


def _risk(pictures: list[dict[str, Any]]) -> Table:
    table = _table("scope", "state", ">open orders", "limits in use")
    for shown in pictures:
        use = "  ".join(
            f"{name} {Decimal(used):.0f}/{Decimal(allowed):.0f}" for name, used, allowed in shown["limit_use"][:4]
        )
        style = {"active": "green", "reducing": "yellow"}.get(shown["state"], "red bold")
        table.add_row(shown["scope"], Text(shown["state"], style=style), str(shown["open_orders"]), use)
    return table


def _actors(shown: dict[str, Any]) -> Table:
    rows = [row for row in shown["tree"] if row["kind"] != "supervisor"]
    rows.sort(key=lambda row: (row["ready"], -row["restarts"], -row["handled"]))
    table = _table("actor", "state", ">epoch", ">mail", ">peak", ">handled", ">p50", ">p99")
    for row in rows[:14]:
        state = Text("ready", style="green") if row["ready"] else Text(row["note"][:50], style="yellow")
        table.add_row(
            row["path"],
            state,
            str(row["epoch"]),
            str(row["depth_now"]),
            str(row["depth_high"]),
            f"{row['handled']:,}",
            duration(row["p50_ns"]),
            duration(row["p99_ns"]),
        )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold dim")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    return table


def _signed(value: Decimal) -> Text:
    return Text(f"{value:+,.4f}", style="green" if value > 0 else "red" if value < 0 else "dim")


def watch(socket_path: Path, zone_name: str) -> None:
    """Draw until the engine goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    zone = ZoneInfo(zone_name)
    handled, since = 0, time.monotonic()
    try:
        with Client(socket_path) as client, Live(console=Console(), auto_refresh=False, screen=True) as live:
            while True:
                shown = snapshot(client)
                now = time.monotonic()
                rate = (shown["status"]["handled"] - handled) / max(now - since, 1e-3) if handled else 0.0
                handled, since = shown["status"]["handled"], now
                live.update(frame(shown, zone, rate), refresh=True)
                time.sleep(_REFRESH_S)
    except EngineAbsent:
        return


if __name__ == "__main__":
    watch(Path(sys.argv[1]), sys.argv[2])
