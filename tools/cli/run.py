"""`bulkhead run`: the engine in this process, with a live view (another process) or plain lines."""

from __future__ import annotations

import os
import signal
import sys
from zoneinfo import ZoneInfo

import click
import trio

from config import Config
from config.schema import Display
from protocols.errors import BulkheadError
from supervisors.cell import ExitKind
from tools.cli.common import load, local_time, profile_options
from tools.cli.failure import BadConfig, CommandFailure
from tools.engine.host import Host
from tools.engine.summary import Figures, closing_lines, look

_PLAIN_EVERY_S = 5.0


@click.command()
@profile_options
@click.option("--plain", is_flag=True, help="Lines instead of the live view (also when stdout is no terminal).")
@click.option(
    "--for", "seconds", type=click.FloatRange(min=0), default=None, help="Stop by itself after so many seconds."
)
def run(profile: str, overrides: tuple[str, ...], plain: bool, seconds: float | None) -> None:
    """Run the engine.

    The default profile `demo` needs nothing: it brings a simulated venue with a generated market.  Everything is
    written below the data folder ([data] dir, BULKHEAD__DATA__DIR).  Ctrl-C drains: no new entries, resting orders are
    canceled, the journal is flushed; a second Ctrl-C does not wait for the orders.
    """
    config = load(profile, overrides)
    plain = plain or config.engine.display is Display.PLAIN or not sys.stdout.isatty()
    try:
        host = Host.prepare(config, os.environ)
    except BulkheadError as error:
        raise BadConfig(str(error)) from error
    trio.run(_main, host, config, plain, seconds)
    if host.end is not None and host.end.kind is ExitKind.ESCALATION:
        raise CommandFailure(f"the engine gave up: {host.end.cause}", f"see {config.data.dir / 'logs'}")


async def _main(host: Host, config: Config, plain: bool, seconds: float | None) -> None:
    zone = ZoneInfo(config.engine.timezone)
    async with trio.open_nursery() as helpers:
        helpers.start_soon(_signals, host)
        if seconds is not None:
            helpers.start_soon(_stop_after, host, seconds)
        async with trio.open_nursery() as engine:
            await engine.start(host.run)
            if plain:
                _say(zone, host, f"{config.origin.profile}: data in {config.data.dir}, control {config.socket_path}")
            helpers.start_soon(_watch, host, zone, plain)
            if not plain:
                helpers.start_soon(_live_view, config)
        helpers.cancel_scope.cancel()
    if host.last_look is not None:
        for text in closing_lines(host.last_look, host.started_ns, host.stop_reason or "the engine itself"):
            click.echo(text)


async def _signals(host: Host) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        async for number in received:
            host.stop(signal.Signals(number).name)


async def _stop_after(host: Host, seconds: float) -> None:
    await trio.sleep(seconds)
    host.stop(f"--for {seconds:g}")


async def _watch(host: Host, zone: ZoneInfo, plain: bool) -> None:
    """Look at the engine every second; say so every few seconds, and at once what deserves attention."""
    if not plain:
        return
    ticks = 0
    before: Figures | None = None
    announced = False
    while True:
        figures = await look(host.runtime, host.plan)
        for event in host.take_lifecycle():
            _say(zone, host, f"{event.what} {event.path} (epoch {event.epoch}) {event.text}")
        if not announced and figures.ready == figures.actors:
            announced = True
            _say(zone, host, f"trading: all {figures.actors} actors are ready")
        if ticks % int(_PLAIN_EVERY_S) == 0:
            _say(zone, host, figures.line(before))
            before = figures
        ticks += 1
        with trio.move_on_after(1):
            await host.ended.wait()
            return


def _say(zone: ZoneInfo, host: Host, text: str) -> None:
    click.echo(f"{local_time(host.runtime.clock.wall_ns(), zone)}  {text}")


async def _live_view(config: Config) -> None:
    """Start the view once the control socket is there; it ends by itself when the engine does."""
    while not config.socket_path.exists():  # noqa: ASYNC110 - a file has no event
        await trio.sleep(0.05)
    arguments = [sys.executable, "-m", "tools.cli.live", str(config.socket_path), config.engine.timezone]
    await trio.run_process(arguments, check=False)
