"""The command line of `tools.new_venue`."""

from __future__ import annotations

from pathlib import Path

import click

from tools.new_venue.generate import Names, NewVenueError, generate

ROOT = Path(__file__).resolve().parents[2]


@click.command()
@click.argument("kind")
@click.option("--title", default="", help="The venue's name for people; default: KIND with capital initials.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ROOT,
    help="Checkout to write to; default: the one that this runs from.",
)
def main(kind: str, title: str, root: Path) -> None:
    """Write a new venue KIND (such as acme or acme-spot) from the template."""
    try:
        written = generate(root, Names.of(kind, title))
    except NewVenueError as error:
        raise click.ClickException(str(error)) from error
    for path in written:
        click.echo(f"wrote {path.relative_to(root)}")
    package = kind.replace("-", "_")
    click.echo(f"next: pytest tests/protocols/{package} tests/conformance -k {kind}; then docs/adding-a-venue.md")


if __name__ == "__main__":
    main()
