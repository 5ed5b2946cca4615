"""A venue made from the template works before anybody has written a line of it.

The whole checkout is copied, the venue is written into the copy, and the copy's own linters and tests judge it there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocols import venue as contract
from tools.new_venue.generate import CONFIG, FAMILIES, REGISTRY, Names, NewVenueError, generate

COPIED = ("actors", "config", "protocols", "supervisors", "tests", "tools", "bulkhead.py", "pyproject.toml")
KIND, PACKAGE = "toy-exchange", "toy_exchange"


@pytest.fixture
def checkout(tmp_path: Path, repo_root: Path) -> Path:
    """A copy of this checkout."""
    root = tmp_path / "checkout"
    root.mkdir()
    for name in COPIED:
        source = repo_root / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    return root


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose sockets' paths fit into what a Unix socket may have, also two levels down."""
    with tempfile.TemporaryDirectory(prefix="bh") as folder:
        yield Path(folder)


def run(root: Path, *command: str) -> str:
    """One command of Python in the checkout; its words, if it succeeds."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4_000:]}{done.stderr[-4_000:]}"
    return done.stdout


@pytest.mark.req("R201", "R313", "R314")
@pytest.mark.slow
def test_a_venue_of_the_template_passes_the_linters_and_its_conformance_cases(
    checkout: Path, short_folder: Path
) -> None:
    assert "next: pytest" in run(checkout, "tools.new_venue", KIND, "--title", "Toy Exchange")
    folders = [
        f"protocols/venues/{PACKAGE}",
        f"tools/simulator/dialects/{PACKAGE}",
        f"tests/protocols/{PACKAGE}",
    ]
    tables = [str(path) for path in (REGISTRY, CONFIG, FAMILIES)]
    run(checkout, "ruff", "check", *folders, *tables)
    run(checkout, "ruff", "format", "--check", *folders, *tables)
    run(checkout, "mypy", *folders)
    options = ("-q", "-p", "no:cacheprovider", "--basetemp", str(short_folder / "inner"))
    run(checkout, "pytest", *options, folders[-1])
    run(checkout, "pytest", *options, "tests/config/test_venues.py", "-k", "not subset")  # no profile trades on it
    said = run(checkout, "pytest", *options, "tests/conformance", "-k", KIND)
    assert "4 passed" in said, "market, orders, account and faults"


@pytest.mark.req("R312")
def test_the_guide_names_all_that_the_template_writes_and_nothing_that_is_not_there(
    checkout: Path, repo_root: Path
) -> None:
    guide = (repo_root / "docs" / "adding-a-venue.md").read_text(encoding="utf-8")
    before = set(checkout.rglob("*"))
    tables = {path: path.read_bytes() for path in before if path.is_file()}
    generate(checkout, Names.of("acme"))
    written = {path for path in set(checkout.rglob("*")) - before if ".ruff_cache" not in path.parts}
    folders = {path for path in written if path.is_dir()}
    changed = {path for path, content in tables.items() if path.read_bytes() != content}
    assert len(folders) == len(changed) == 3
    for path in folders | changed:
        assert f"`{path.relative_to(checkout).as_posix()}{'/' if path.is_dir() else ''}`" in guide
    optional = {name for name, thing in vars(contract).items() if getattr(thing, "_is_runtime_protocol", False)}
    rows = {name for line in guide.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line)}
    assert optional <= rows, "every optional protocol has its row in the guide"
    for name in re.findall(r"`((?:actors|config|protocols|tests|tools)/[\w/.]+)`", guide):
        assert (checkout / name).exists(), f"the guide names {name}"


@pytest.mark.slow
def test_the_venue_of_the_template_trades_by_rest_alone_and_on_whole_books_as_the_guide_says(
    checkout: Path, short_folder: Path
) -> None:
    """An order whose answer is a 503 is in doubt by REST, too: 404 executes it, 405 does not."""
    run(checkout, "tools.new_venue", KIND)
    codec, streams = (
        checkout / "protocols/venues" / PACKAGE,
        checkout / "tools/simulator/dialects" / PACKAGE / "streams.py",
    )
    for file, before, after in (
        (
            codec / "public.py",
            "ws_order_entry=True,\n    ws_logon=True,",
            "ws_order_entry=False,\n    ws_logon=False,\n    ws_cancel_all=False,\n    amends=False,",
        ),
        (
            checkout / REGISTRY,
            f'_environments({PACKAGE}.ENVIRONMENTS, stream="stream", private="stream", entry="stream")',
            f'_environments({PACKAGE}.ENVIRONMENTS, stream="stream", private="stream", entry="")',
        ),
        (streams, "render.change(market, prev, now_ns)", "render.picture(market, render.DEPTH, now_ns)"),
        (streams, '{"type": "delta", **body}', '{"type": "snapshot", **body}'),
    ):
        text = file.read_text()
        assert text.count(before) == 1, f"{file.name}: {before}"
        file.write_text(text.replace(before, after))
    options = ("-q", "-p", "no:cacheprovider", "--basetemp", str(short_folder / "inner"))
    cases = [word for number in (103, 107, 201, 209, 404, 405) for word in ("--case", str(number))]
    said = run(checkout, "pytest", *options, "tests/conformance", "-k", KIND, *cases)
    assert "SUBFAILED" not in said
    assert "209" in said, "skipped, with the reason that there are no amends"


def test_a_venue_that_is_there_already_is_not_written_over(checkout: Path) -> None:
    generate(checkout, Names.of(KIND))
    codec = checkout / "protocols" / "venues" / PACKAGE / "public.py"
    codec.write_text("# by hand\n")
    with pytest.raises(NewVenueError, match="is there already"):
        generate(checkout, Names.of(KIND))
    assert codec.read_text() == "# by hand\n"


def test_a_table_without_a_place_for_it_stops_everything(checkout: Path) -> None:
    (checkout / "config" / "venues.py").write_text("# rewritten\n")
    with pytest.raises(NewVenueError, match=r"config/venues\.py has changed"):
        generate(checkout, Names.of(KIND))
    assert not (checkout / "protocols" / "venues" / PACKAGE).exists()


@pytest.mark.parametrize("kind", ["", "Acme", "acme_spot", "-acme", "acme--spot", "2acme", "a" * 25])
def test_a_kind_that_cannot_be_one_is_refused_with_what_it_must_be(kind: str) -> None:
    with pytest.raises(NewVenueError, match="must be lower-case words"):
        Names.of(kind)
