"""Which demand is proven by which test.

`docs/requirements.md` lists every demand, one line each: `- **R001** one sentence`. A test that proves one
says so:

    @pytest.mark.req("R001", "R063")
    def test_rest_takes_over_only_before_the_request_left() -> None: ...

This tool reads the list and the markers (from the syntax tree: no test is run, none is even imported) and
says what is proven, by which tests, what is not proven yet, and which markers it cannot accept: an id that is
not in the list, an id that is not a literal string, a marker on something that is no test. The last three are
defects, and the exit code says so.

    python -m tools.requirements            # for people
    python -m tools.requirements --json     # for scripts

It promises nothing about the quality of a proof. A marker on a test that does not prove the demand is a
defect that only a reader can find.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import click

ROOT = Path(__file__).resolve().parent.parent
DEMAND_LINE = re.compile(r"^- \*\*(?P<id>R\d{3})\*\* (?P<text>.+)$")
HEADING = re.compile(r"^#{2,} (?P<title>.+)$")


@attrs.frozen(kw_only=True)
class Demand:
    """One line of the list: its id, its area (the heading above it) and its sentence."""

    id: str
    area: str
    text: str


@attrs.frozen(kw_only=True)
class Marker:
    """One `req` marker: the test it is on, its ids, and the file and line to look at."""

    test: str
    ids: tuple[str, ...]
    where: str


@attrs.frozen(kw_only=True)
class Trace:
    """The whole answer: `proven` maps a demand's id to its tests; `defects` are lines for a person."""

    demands: tuple[Demand, ...]
    proven: dict[str, tuple[str, ...]]
    unknown: dict[str, tuple[str, ...]]
    defects: tuple[str, ...]

    @property
    def not_yet(self) -> tuple[Demand, ...]:
        """The demands that no test claims to prove."""
        return tuple(demand for demand in self.demands if demand.id not in self.proven)

    @property
    def is_sound(self) -> bool:
        """True when every marker names a demand of the list and sits on a test."""
        return not self.unknown and not self.defects


class ListError(Exception):
    """The list of demands cannot be used; the message names the file, the line and what to change."""


def read_demands(path: Path) -> tuple[Demand, ...]:
    """Read the list in its order; `ListError` if it is empty or an id stands there twice."""
    demands: dict[str, Demand] = {}
    area = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if heading := HEADING.match(line):
            area = heading["title"]
        elif line.startswith("- **R"):
            match = DEMAND_LINE.match(line)
            if match is None:
                raise ListError(f"{path.name}:{number}: not of the form `- **R001** one sentence`: {line!r}")
            if match["id"] in demands:
                raise ListError(f"{path.name}:{number}: {match['id']} stands here a second time; keep one")
            demands[match["id"]] = Demand(id=match["id"], area=area, text=match["text"])
    if not demands:
        raise ListError(f"{path.name}: no line of the form `- **R001** one sentence`")
    return tuple(demands.values())


def read_markers(tests: Path) -> tuple[list[Marker], list[str]]:
    """All `req` markers below the folder, with the pytest ids of their tests, and the defects found.

    Markers count on test functions, on test classes (for every test in them; also on one made elsewhere:
    `TestX = pytest.mark.req("R001")(Machine.TestCase)`), in a module's or a class's `pytestmark`, and in
    `pytest.param(..., marks=...)`.
    """
    markers: list[Marker] = []
    defects: list[str] = []
    for path in sorted(tests.rglob("*.py")):
        name = path.relative_to(tests.parent).as_posix()
        reader = _FileReader(name, is_test_file=path.name.startswith("test_"))
        reader.read(ast.parse(path.read_text(encoding="utf-8"), filename=name))
        markers += reader.markers
        defects += reader.defects
    return markers, defects


def trace(demands: tuple[Demand, ...], markers: list[Marker], defects: list[str]) -> Trace:
    """Bring the list and the markers together."""
    known = {demand.id for demand in demands}
    tests: dict[str, list[str]] = {}
    for marker in markers:
        for demand_id in marker.ids:
            found = tests.setdefault(demand_id, [])
            if marker.test not in found:
                found.append(marker.test)
    return Trace(
        demands=demands,
        proven={d.id: tuple(tests[d.id]) for d in demands if d.id in tests},
        unknown={key: tuple(found) for key, found in sorted(tests.items()) if key not in known},
        defects=tuple(defects),
    )


class _FileReader:
    """Walks one file's syntax tree and keeps the markers and the defects in it."""

    def __init__(self, name: str, *, is_test_file: bool) -> None:
        self.name = name
        self.is_test_file = is_test_file
        self.markers: list[Marker] = []
        self.defects: list[str] = []

    def read(self, module: ast.Module) -> None:
        claimed: set[ast.Call] = set()
        self._read_body(module.body, [self.name], [], claimed)
        for call in _req_calls(module):
            if call not in claimed:
                self.defects.append(f"{self.name}:{call.lineno}: a req marker that is on no test")

    def _read_body(
        self, body: list[ast.stmt], names: list[str], inherited: list[ast.Call], claimed: set[ast.Call]
    ) -> None:
        """Read one module's or class's statements; `inherited` markers hold for every test in it."""
        marks = inherited + [call for node in body if _is_pytestmark(node) for call in _req_calls(node)]
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                own = [call for decorator in node.decorator_list for call in _req_calls(decorator)]
                self._read_body(node.body, [*names, node.name], marks + own, claimed)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
                own = [call for decorator in node.decorator_list for call in _req_calls(decorator)]
                if self.is_test_file:
                    self._claim("::".join([*names, node.name]), marks + own, claimed)
            elif self.is_test_file and (made := _made_test_class(node)) is not None:
                name, call = made
                self._claim("::".join([*names, name]), [*marks, call], claimed)

    def _claim(self, test: str, calls: list[ast.Call], claimed: set[ast.Call]) -> None:
        claimed.update(calls)
        for call in calls:
            where = f"{self.name}:{call.lineno}"
            ids = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if not call.args or call.keywords or len(ids) != len(call.args):
                self.defects.append(f'{where}: write the ids out: req("R001", "R002")')
            else:
                self.markers.append(Marker(test=test, ids=tuple(ids), where=where))


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    )


def _made_test_class(node: ast.stmt) -> tuple[str, ast.Call] | None:
    """`TestX = <anything>.mark.req(...)(...)` as its name and its marker, or None."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Call() as marker)) if name.startswith(
            "Test"
        ) and marker in _req_calls(marker):
            return name, marker
    return None


def _req_calls(node: ast.AST) -> Iterator[ast.Call]:
    """Every `<anything>.mark.req(...)` in the subtree."""
    for child in ast.walk(node):
        match child:
            case ast.Call(func=ast.Attribute(attr="req", value=ast.Attribute(attr="mark"))):
                yield child


def as_json(result: Trace) -> str:
    """The answer for scripts: counts, proven ids with tests, ids not proven, unknown ids, defects."""
    return json.dumps(
        {
            "demands": len(result.demands),
            "proven": {key: list(tests) for key, tests in result.proven.items()},
            "not_yet": [demand.id for demand in result.not_yet],
            "unknown": {key: list(tests) for key, tests in result.unknown.items()},
            "defects": list(result.defects),
        },
        indent=2,
    )


def as_text(result: Trace) -> str:
    """The answer for people, the demands grouped as in the list."""
    lines: list[str] = []
    area = ""
    for demand in result.demands:
        if demand.id not in result.proven:
            continue
        if demand.area != area:
            area = demand.area
            lines += ["", area]
        lines.append(f"  {demand.id} {demand.text}")
        lines += [f"       {test}" for test in result.proven[demand.id]]
    if lines:
        lines = ["proven", *lines, ""]
    if result.not_yet:
        lines += ["not yet", ""]
        by_area: dict[str, list[str]] = {}
        for demand in result.not_yet:
            by_area.setdefault(demand.area, []).append(demand.id)
        lines += [f"  {title}: {' '.join(ids)}" for title, ids in by_area.items()]
        lines.append("")
    for key, tests in result.unknown.items():
        lines.append(f"unknown: {key} is not in docs/requirements.md but is claimed by {', '.join(tests)}")
    lines += [f"defect: {defect}" for defect in result.defects]
    lines.append(f"{len(result.proven)} of {len(result.demands)} demands proven")
    return "\n".join(lines)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "want_json", is_flag=True, help="One JSON object instead of text.")
@click.option(
    "--list",
    "list_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=ROOT / "docs" / "requirements.md",
    help="The list of demands; docs/requirements.md unless told otherwise.",
)
@click.option(
    "--tests",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ROOT / "tests",
    help="The folder of tests to read; tests/ unless told otherwise.",
)
def main(want_json: bool, list_path: Path, tests: Path) -> None:
    """Say which demands are proven, by which tests, and which are not yet.

    Exit code 1 if a marker names an unknown demand, is unreadable or is on no test.
    """
    try:
        demands = read_demands(list_path)
    except ListError as error:
        raise click.ClickException(str(error)) from error
    markers, defects = read_markers(tests)
    result = trace(demands, markers, defects)
    click.echo(as_json(result) if want_json else as_text(result))
    if not result.is_sound:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
