"""`bulkhead sim`: the venue simulator alone, with its own options."""

from __future__ import annotations

import click

from tools.simulator.cli import main as simulator_main


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def sim(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """Run only the venue simulator (see `bulkhead sim --help`)."""
    ctx.exit(simulator_main(list(arguments)))
