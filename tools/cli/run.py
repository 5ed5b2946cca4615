"""`bulkhead run`: the engine in this process, with a live view (another process) or plain lines.

Whatever becomes of the terminal, the engine notices nothing (`tools.cli.printer`); one that is closed (SIGHUP) asks for
the same orderly end as Ctrl-C, unless `nohup` said that it should not.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from zoneinfo import ZoneInfo

import click
import trio

import config as configuration
from config import Config
from config.schema import Display
from protocols.errors import BulkheadError, ConfigError
from supervisors.clock import SystemClock
from supervisors.ends import ExitKind
from supervisors.runtime import Lifecycle
from tools.cli.common import finite, is_terminal, load, local_time, profile_options
from tools.cli.failure import BadConfig, CommandFailure
from tools.cli.printer import Printer
from tools.engine.host import Host
from tools.engine.summary import Figures, closing_lines, look

_FIGURES_EVERY_S = 5
_NAMED_AT_MOST = 3
_REASON_MAX = 80
_VIEW_PATIENCE_S = 3


@click.command()
@profile_options
@click.option("--plain", is_flag=True, help="Lines instead of the live view (also when stdout is no terminal).")
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(min=0),
    callback=finite,
    default=None,
    metavar="SECONDS",
    help="Stop by itself after so many seconds.",
)
@click.option(
    "--venues",
    default="",
    metavar="A,B,...",
    help="Only these venues of the profile; what trades on the others is disabled.",
)
def run(profile: str, overrides: tuple[str, ...], plain: bool, seconds: float | None, venues: str) -> None:
    """Run the engine.

    The default profile `demo` needs nothing: it brings a simulated venue with a generated market.  Everything is
    written below the data folder ([data] dir, BULKHEAD__DATA__DIR).  Ctrl-C drains: no new entries, resting orders are
    canceled, the journal is flushed; a second Ctrl-C does not wait for the orders.

    Exit code 0 after an orderly end, 1 when the engine gave up or the data folder cannot be used.
    """
    config = load(profile, overrides, venues)
    zone = ZoneInfo(config.engine.timezone)
    printer = Printer()
    try:
        _start(config, zone, printer, plain, seconds)
    finally:
        printer.close()


def _start(config: Config, zone: ZoneInfo, printer: Printer, plain: bool, seconds: float | None) -> None:
    where = f"data in {config.data.dir}, control socket {config.socket_path}"
    _say(printer, zone, f"bulkhead {config.origin.profile}: {where}")
    try:
        host = Host.prepare(config, os.environ)
    except configuration.ConfigError as error:
        raise BadConfig(str(error)) from error
    except ConfigError as error:
        raise BadConfig(f"the configuration is unusable: {error}") from error
    except BulkheadError as error:
        raise CommandFailure(str(error)) from error
    if outside := _outside(config):
        _say(printer, zone, f"ORDERS LEAVE THE SIMULATOR: they go to {', '.join(outside)}")
    if host.plan.journal.torn is not None:
        _say(printer, zone, f"the journal's tail was cut: {host.plan.journal.torn}")
    plain = plain or config.engine.display is Display.PLAIN or not is_terminal()
    trio.run(_Run(host, config, zone, printer, plain, seconds).main)
    if host.end is not None and host.end.kind is ExitKind.ESCALATION:
        raise CommandFailure(
            f"the engine gave up: {host.end.cause}", f"see the end of {host.log.path()}; `bulkhead doctor` checks more"
        )


def _outside(config: Config) -> list[str]:
    """The venues that orders reach, and where they are: `binance-spot production`."""
    traded = {name for account in config.accounts.values() if account.enabled for name in account.venues}
    return [
        f"{name} {venue.places['private_rest_url']}"
        for name, venue in config.venues.items()
        if name in traded and venue.enabled and not venue.trades_on_simulator
    ]


def _say(printer: Printer, zone: ZoneInfo, text: str) -> None:
    printer.say(f"{local_time(SystemClock().wall_ns(), zone)}  {text}")


def _ends() -> tuple[signal.Signals, ...]:
    """The signals that ask for an orderly end."""
    asked_to_stay = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # nohup
    return (signal.SIGINT, signal.SIGTERM) if asked_to_stay else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Run:
    """What the terminal hears while the engine runs."""

    def __init__(
        self, host: Host, config: Config, zone: ZoneInfo, printer: Printer, plain: bool, seconds: float | None
    ) -> None:
        self._host = host
        self._config = config
        self._zone = zone
        self._printer = printer
        self._plain = plain
        self._seconds = seconds
        self._heard = 0
        """Number of the last piece of news that was printed."""

    async def main(self) -> None:
        host = self._host
        async with trio.open_nursery() as helpers:
            helpers.start_soon(self._signals)
            if self._seconds is not None:
                helpers.start_soon(self._stop_after, self._seconds)
            async with trio.open_nursery() as engine:
                await engine.start(host.run)
                helpers.start_soon(self._announce_draining)
                if self._plain:
                    helpers.start_soon(self._lines)
                else:
                    helpers.start_soon(self._live_view)
            helpers.cancel_scope.cancel()
        if self._plain:
            self._tell_news()
        if host.last_look is not None:
            for text in closing_lines(host.last_look, host.runtime, host.started_ns, host.stop_reason):
                self._printer.say(text)
            self._printer.say(f"log: {host.log.path()}" + (f", {host.log.lost} lines lost" if host.log.lost else ""))

    async def _signals(self) -> None:
        with trio.open_signal_receiver(*_ends()) as received:
            async for number in received:
                self._host.stop(signal.Signals(number).name)

    async def _stop_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self._host.stop(f"--for {seconds:g}")

    async def _announce_draining(self) -> None:
        """Say why the end takes a moment; the live view shows it in its first line."""
        await self._host.draining.wait()
        if self._plain:
            limit_s = self._config.engine.drain_timeout_ms / 1000
            self._say(
                f"draining ({self._host.stop_reason}): no new entries, canceling what rests, at most {limit_s:g} s; "
                "once more does not wait"
            )

    # ---- lines -------------------------------------------------------------------------------------------------

    async def _lines(self) -> None:
        """How the start goes, figures every few seconds, and within a second what deserves attention."""
        before: Figures | None = None
        starting = True
        progress = ""
        for tick in itertools.count():
            self._tell_news()
            if starting and not self._host.draining.is_set():
                waiting = self._waiting()
                starting = bool(waiting)
                if not starting:
                    self._say(f"trading: all {len(list(self._host.runtime.cells()))} actors are ready")
                elif waiting != progress and (tick < _FIGURES_EVERY_S or tick % _FIGURES_EVERY_S == 0):
                    self._say(waiting)
                    progress = waiting
            if tick % _FIGURES_EVERY_S == 0 and tick and not self._host.draining.is_set():
                figures = await look(self._host.runtime, self._host.plan)
                self._say(figures.line(before))
                before = figures
            with trio.move_on_after(1):
                await self._host.ended.wait()
                return

    def _waiting(self) -> str:
        """Who is not ready yet, and why; "" when everybody is."""
        cells = list(self._host.runtime.cells())
        waiting = [f"{cell.path} ({_short(cell.unready_reason)})" for cell in cells if not cell.ready]
        if not waiting:
            return ""
        more = f" and {len(waiting) - _NAMED_AT_MOST} more" if len(waiting) > _NAMED_AT_MOST else ""
        ready = f"starting: {len(cells) - len(waiting)} of {len(cells)} actors ready"
        return f"{ready}, waiting for {', '.join(waiting[:_NAMED_AT_MOST])}{more}"

    def _tell_news(self) -> None:
        for number, event in self._host.news_after(self._heard):
            self._heard = number
            self._say(news_line(event))

    def _say(self, text: str) -> None:
        _say(self._printer, self._zone, text)

    # ---- the live view -----------------------------------------------------------------------------------------

    async def _live_view(self) -> None:
        """Start the view once the control socket is there; it ends by itself when the engine does."""
        await self._host.runtime.wait_ready("/control")
        arguments = [
            sys.executable,
            "-m",
            "tools.cli.live",
            str(self._config.socket_path),
            self._config.engine.timezone,
        ]
        view = await trio.lowlevel.open_process(arguments)
        try:
            await view.wait()
        finally:
            with trio.CancelScope(shield=True):
                with trio.move_on_after(_VIEW_PATIENCE_S):
                    await view.wait()  # it goes with the engine, and leaves the screen as it was
                view.terminate()
                await view.wait()
        if not self._host.ended.is_set() and not self._host.draining.is_set():
            self._say(f"the live view has ended ({view.returncode}); the engine goes on, with lines")
            self._plain = True
            await self._lines()


def news_line(event: Lifecycle) -> str:
    """One step of an actor's life for people: `crash /router (epoch 3): KeyError: ...`."""
    where = f"{event.path} (epoch {event.epoch})" if event.epoch else event.path
    return f"{event.what.replace('_', ' ')} {where}" + (f": {event.text}" if event.text else "")


def _short(text: str) -> str:
    return text if len(text) <= _REASON_MAX else f"{text[: _REASON_MAX - 3]}..."
