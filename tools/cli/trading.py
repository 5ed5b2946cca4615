"""`bulkhead status`, `orders`, `positions`, `balances`, `pnl`, `risk`, `kill`, `unkill`, `stop`: the money side."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from tools.cli.common import connect, json_option, print_json, print_table, socket_option

account_option = click.option("--account", help="Only this account.")


def _ask(socket_path: Path | None, verb: str, **args: object) -> Any:
    with connect(socket_path) as client:
        return client.call(verb, **args)


def _ask_accounts(socket_path: Path | None, verb: str, account: str | None) -> Any:
    """Rows of the accounts; stderr names those whose venue has not confirmed them."""
    with connect(socket_path) as client:
        rows = client.call(verb, account=account)
        waiting = [row["path"] for row in client.call("status")["not_ready"]]
    for path in waiting:
        parts = path.split("/")
        if parts[1] == "accounts" and parts[-1] == "account" and account in (None, parts[2]):
            click.echo(f"{parts[2]} on {parts[3]} is not reconciled: as our records have it", err=True)
    return rows


@click.command()
@account_option
@socket_option
@json_option
def orders(account: str | None, socket_path: Path | None, as_json: bool) -> None:
    """Live orders of all accounts, those in doubt included."""
    rows = _ask_accounts(socket_path, "orders", account)
    if as_json:
        print_json(rows)
        return
    print_table(
        "",
        ("account", "venue", "symbol", "strategy", "side", "type", "qty", "price", "cum", "status", "doubt", "ClOrdID"),
        (
            (
                r["account"],
                r["venue"],
                r["symbol"],
                r["strategy"],
                r["side"],
                r["ord_type"],
                exact(r["order_qty"]),
                exact(r["price"]) if r["price"] else "-",
                exact(r["cum_qty"]),
                r["ord_status"],
                "in doubt" if r["in_doubt"] else "",
                r["cl_ord_id"],
            )
            for r in rows
        ),
        right=("qty", "price", "cum"),
        empty="no live orders",
    )


@click.command()
@account_option
@socket_option
@json_option
def positions(account: str | None, socket_path: Path | None, as_json: bool) -> None:
    """Positions per account, venue, symbol and strategy."""
    rows = _ask_accounts(socket_path, "positions", account)
    if as_json:
        print_json(rows)
        return
    print_table(
        "",
        ("account", "venue", "symbol", "strategy", "qty", "avg px", "realized", "fees"),
        (
            (
                r["account"],
                r["venue"],
                r["symbol"],
                r["strategy"],
                exact(r["qty"]),
                _rounded(r["avg_px"]),
                _rounded(r["realized"]),
                " ".join(f"{_rounded(amount)} {asset}" for asset, amount in r["fees"]),
            )
            for r in rows
        ),
        right=("qty", "avg px", "realized"),
        empty="no positions",
    )


@click.command()
@account_option
@socket_option
@json_option
@click.option("--sum", "summed", is_flag=True, help="What there is of each asset; shared wallets count once.")
def balances(account: str | None, socket_path: Path | None, as_json: bool, summed: bool) -> None:
    """Balances as the venues state them.  Rows of one account with the same wallet are the same money."""
    rows = _ask(socket_path, "money" if summed else "balances", account=account)
    if as_json:
        print_json(rows)
        return
    if summed:
        table = ((r["asset"], exact(r["total"])) for r in rows)
        print_table("", ("asset", "total"), table, right=("total",), empty="no balances known yet")
        return
    print_table(
        "",
        ("account", "venue", "asset", "free", "locked", "wallet"),
        ((r["account"], r["venue"], r["asset"], exact(r["free"]), exact(r["locked"]), r["wallet"]) for r in rows),
        right=("free", "locked"),
        empty="no balances known yet",
    )


@click.command()
@socket_option
@json_option
def pnl(socket_path: Path | None, as_json: bool) -> None:
    """Profit per account, strategy and symbol, at the newest prices."""
    rows = _ask(socket_path, "pnl")
    if as_json:
        print_json(rows)
        return
    print_table(
        "",
        ("account", "strategy", "symbol", "qty", "avg px", "mark", "realized", "unrealized", "total", "in"),
        (
            (
                r["account"],
                r["strategy"],
                r["symbol"],
                exact(r["qty"]),
                _rounded(r["avg_px"]),
                _rounded(r["mark"]),
                _rounded(r["realized"]),
                _rounded(r["unrealized"]),
                _rounded(str(Decimal(r["realized"]) + Decimal(r["unrealized"]))),
                r["quote"],
            )
            for r in rows
        ),
        right=("qty", "avg px", "mark", "realized", "unrealized", "total"),
        empty="nothing has been traded",
    )


@click.command()
@socket_option
@json_option
def risk(socket_path: Path | None, as_json: bool) -> None:
    """Trading state, exposure and use of the limits, for the firm and each account.

    Limits that are not set are left out here; --json has all.
    """
    pictures = _ask(socket_path, "risk")
    if as_json:
        print_json(pictures)
        return
    for number, shown in enumerate(pictures):
        if number:
            click.echo("")
        click.echo(f"{shown['scope']}: {shown['state']}, open orders {shown['open_orders']}")
        print_table(
            "",
            ("limit", "used", "allowed"),
            (
                (f"  {name}", _rounded(used), exact(allowed))
                for name, used, allowed in shown["limit_use"]
                if Decimal(allowed).is_finite()
            ),
            right=("used", "allowed"),
        )


@click.command()
@click.option("--scope", default="firm", show_default=True, help="firm, or an account.")
@click.option("--reduce-only", is_flag=True, help="Allow orders that only reduce, instead of none.")
@click.option("--keep-orders", is_flag=True, help="Do not cancel what rests at the venues.")
@click.option("--cause", default="", help="Why; goes into the journal.")
@socket_option
@json_option
def kill(scope: str, reduce_only: bool, keep_orders: bool, cause: str, socket_path: Path | None, as_json: bool) -> None:
    """Stop trading now: no new orders, resting ones are canceled.  One step, never refused."""
    result = _ask(
        socket_path, "kill", scope=scope, reduce_only=reduce_only, keep_orders=keep_orders, cause=cause or None
    )
    if as_json:
        print_json(result)
        return
    click.echo(f"{result['scope']}: {result['state']}; cancels sent to {', '.join(result['cancels_sent_to']) or '-'}")


@click.command()
@click.option("--scope", default="firm", show_default=True, help="firm, or an account.")
@click.option("--code", default=None, help="The code that the first call printed.")
@socket_option
@json_option
def unkill(scope: str, code: str | None, socket_path: Path | None, as_json: bool) -> None:
    """Allow trading again, in two steps: the first shows the state and prints a code, the second repeats it."""
    result = _ask(socket_path, "unkill", scope=scope, code=code)
    if as_json:
        print_json(result)
    elif code is None:
        click.echo(
            f"{scope}: reconciled {', '.join(result['accounts_reconciled'])}; {result['open_orders']} open orders, "
            f"{result['in_doubt']} in doubt\nto release, within {result['valid_s']} s: "
            f"bulkhead unkill --scope {scope} --code {result['code']}"
        )
    else:
        click.echo(f"{result['scope']}: {result['state']}")


@click.command()
@socket_option
@json_option
def stop(socket_path: Path | None, as_json: bool) -> None:
    """Drain and stop the engine: no new entries, cancel resting orders, flush, end."""
    result = _ask(socket_path, "stop")
    print_json(result) if as_json else click.echo("stopping")


@click.command()
@socket_option
@json_option
def status(socket_path: Path | None, as_json: bool) -> None:
    """One look at the engine: what runs, what is not ready, restarts, dead letters, and each venue.

    A venue is up when its market data, clock, instruments, every book and every account are; `clock` is its time minus
    ours, `waiting` counts requests that wait for their turn within its limits.
    """
    result = _ask(socket_path, "status")
    if as_json:
        print_json(result)
        return
    click.echo(
        f"{result['profile']} ({result['build']}): {result['ready']} of {result['actors']} actors ready, "
        f"{result['handled']} messages, {result['restarts']} restarts, {result['dead_letters']} dead letters"
    )
    if result["journal_failure"]:
        click.echo(f"  DEGRADED: the journal cannot write, no new order leaves: {result['journal_failure']}")
    for row in result["not_ready"]:
        click.echo(f"  not ready: {row['path']}: {row['why']}")
    click.echo("")
    print_table(
        "",
        ("venue", "state", "books", "gaps", "accounts", "clock", "waiting", "most used limit", ""),
        (_venue_cells(row, result["now_ns"]) for row in result["venues"]),
        right=("books", "gaps", "accounts", "clock", "waiting"),
        empty="no venue is enabled",
    )


def _venue_cells(row: dict[str, Any], now_ns: int) -> tuple[object, ...]:
    blocked_s = (row["blocked_until_ns"] - now_ns) // 1_000_000_000
    blocked = f"blocked for {blocked_s} s more: {row['blocked_because']}" if row["blocked_until_ns"] else ""
    offset = row["clock_offset_ms"]
    return (
        row["venue"],
        "blocked" if blocked else "up" if row["ready"] else "not ready",
        f"{row['books_proven']}/{row['books']}",
        row["gaps"],
        f"{row['accounts_ready']}/{row['accounts']}",
        "unknown" if offset is None else f"{offset:+.1f} ms",
        row["waiting"],
        row["fullest_limit"],
        blocked or row["why"],
    )


def exact(text: str) -> str:
    """All digits that matter, none that do not: 0.00555000 is 0.00555."""
    return format(Decimal(text).normalize(), "f")


def _rounded(text: str) -> str:
    value = Decimal(text)
    if value == value.to_integral_value():
        return format(value.quantize(Decimal(1)), "f")
    return format(value.quantize(Decimal("0.00000001")).normalize(), "f") if abs(value) < 1 else f"{value:.4f}"
