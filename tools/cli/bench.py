"""`bulkhead bench`: what the engine can do on this machine, each figure measured now.

One JSON object per benchmark with `name, n, python, commit, rss_mb` and its own figures (README, docs/performance.md).
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from bulkhead import __version__
from tools.cli.common import finite, json_option, print_json


def _orders(seconds: float, n: int | None) -> Mapping[str, Any]:
    from tools.bench.orders import bench_orders

    return bench_orders(n or 5_000, seconds)


def _risk(seconds: float, n: int | None) -> Mapping[str, Any]:
    from tools.bench.risk import bench_risk

    samples = n or 50_000
    return {"n": samples, **bench_risk(samples)}


def _book(seconds: float, n: int | None) -> Mapping[str, Any]:
    from tools.bench.book import bench_book

    data = Path(os.environ.get("BULKHEAD_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    figures = bench_book(data if (data / "manifest.json").is_file() else None, n)
    venues = figures["venues"]
    assert isinstance(venues, dict)
    return {"n": sum(venue["messages"] for venue in venues.values()), **figures}


def _restart(seconds: float, n: int | None) -> Mapping[str, Any]:
    from tools.bench.restart import bench_restart

    return bench_restart(n or 200)


def _journal(seconds: float, n: int | None) -> Mapping[str, Any]:
    from tools.bench.journal import bench_journal

    return bench_journal(min(seconds, 5.0))


def _market(seconds: float, n: int | None) -> Mapping[str, Any]:
    from tools.bench.market import bench_market

    data = Path(os.environ.get("BULKHEAD_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    return bench_market(data if (data / "manifest.json").is_file() else None, seconds)


_BENCHES: Mapping[str, Callable[[float, int | None], Mapping[str, Any]]] = {
    "orders": _orders,
    "risk": _risk,
    "book": _book,
    "restart": _restart,
    "journal": _journal,
    "market": _market,
}


@click.command()
@click.argument("name", type=click.Choice([*_BENCHES, "all"]))
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1, max=3600),
    callback=finite,
    default=30.0,
    show_default=True,
    help="Length of what is sustained.",
)
@click.option(
    "--n", "count", type=click.IntRange(min=1), default=None, help="Samples, where a benchmark takes samples."
)
@json_option
def bench(name: str, seconds: float, count: int | None, as_json: bool) -> None:
    """Measure the order path, the risk gates, the book, restarts, the journal or the market data on this machine.

    Nothing else should run meanwhile.  Most take a minute or less, `market` five.  `all` prints a list with one object
    per benchmark.
    """
    results = []
    for one in _BENCHES if name == "all" else (name,):
        if sys.stderr.isatty():
            click.echo(f"measuring {one} ...", err=True)
        results.append(_result(one, seconds, count))
    if as_json:
        print_json(results if name == "all" else results[0])
        return
    for result in results:
        click.echo(result.pop("name"))
        for key, value in result.items():
            click.echo(f"  {key}: {value}")


def _result(name: str, seconds: float, count: int | None) -> dict[str, Any]:
    figures = dict(_BENCHES[name](seconds, count))
    return {
        "name": name,
        "n": figures.pop("n", 0),
        "python": platform.python_version(),
        "version": __version__,
        "commit": _commit(),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        **figures,
    }


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
