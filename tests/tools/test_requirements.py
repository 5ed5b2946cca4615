"""The traceability tool: it finds every form of marker and refuses what it cannot vouch for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tools.requirements import ListError, Trace, main, read_demands, read_markers, trace

LIST = """# Demands

## Orders

- **R001** The first.
- **R002** The second.

## Storage

- **R003** The third.
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a list of three demands and an empty folder of tests."""
    (tmp_path / "list.md").write_text(LIST, encoding="utf-8")
    (tmp_path / "tests").mkdir()
    return tmp_path


def traced(tree: Path, source: str, name: str = "test_it.py") -> Trace:
    """What the tool says about the tree with this one file of tests in it."""
    (tree / "tests" / name).write_text(source, encoding="utf-8")
    markers, defects = read_markers(tree / "tests")
    return trace(read_demands(tree / "list.md"), markers, defects)


def test_the_list_is_read_in_order_with_its_areas(tree: Path) -> None:
    demands = read_demands(tree / "list.md")
    assert [(d.id, d.area, d.text) for d in demands] == [
        ("R001", "Orders", "The first."),
        ("R002", "Orders", "The second."),
        ("R003", "Storage", "The third."),
    ]


@pytest.mark.parametrize(
    "text, message",
    [
        ("- **R001** One.\n- **R001** Two.\n", "list.md:2: R001 stands here a second time"),
        ("- **R1** One.\n", "list.md:1: not of the form"),
        ("# Nothing\n", "no line of the form"),
    ],
)
def test_a_list_that_cannot_be_used_says_where_and_why(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ListError) as caught:
        read_demands(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "source, expected",
    [
        ('@pytest.mark.req("R001")\ndef test_a(): pass\n', {"R001": ("tests/test_it.py::test_a",)}),
        ('@pytest.mark.req("R001")\nasync def test_a(): pass\n', {"R001": ("tests/test_it.py::test_a",)}),
        (
            '@pytest.mark.req("R001", "R003")\ndef test_a(): pass\n',
            {"R001": ("tests/test_it.py::test_a",), "R003": ("tests/test_it.py::test_a",)},
        ),
        (
            '@pytest.mark.req("R001")\nclass TestA:\n    def test_a(self): ...\n    def test_b(self): ...\n',
            {"R001": ("tests/test_it.py::TestA::test_a", "tests/test_it.py::TestA::test_b")},
        ),
        (
            'class TestA:\n    pytestmark = pytest.mark.req("R002")\n    def test_a(self): pass\n',
            {"R002": ("tests/test_it.py::TestA::test_a",)},
        ),
        (
            'pytestmark = [pytest.mark.slow, pytest.mark.req("R002")]\ndef test_a(): pass\n',
            {"R002": ("tests/test_it.py::test_a",)},
        ),
        (
            '@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.req("R003"))])\ndef test_a(x): pass\n',
            {"R003": ("tests/test_it.py::test_a",)},
        ),
        (
            'TestMachine = pytest.mark.req("R001")(Machine.TestCase)\n',
            {"R001": ("tests/test_it.py::TestMachine",)},
        ),
        ("def test_a(): pass\n", {}),
    ],
)
def test_every_form_of_marker_is_found(tree: Path, source: str, expected: dict[str, object]) -> None:
    result = traced(tree, source)
    assert result.proven == expected
    assert result.is_sound


def test_what_nobody_proves_is_listed_as_not_yet(tree: Path) -> None:
    result = traced(tree, '@pytest.mark.req("R002")\ndef test_a(): pass\n')
    assert [demand.id for demand in result.not_yet] == ["R001", "R003"]


def test_an_unknown_id_is_named_with_its_test(tree: Path) -> None:
    result = traced(tree, '@pytest.mark.req("R001", "R999")\ndef test_a(): pass\n')
    assert result.unknown == {"R999": ("tests/test_it.py::test_a",)}
    assert not result.is_sound


@pytest.mark.parametrize(
    "source, defect",
    [
        (
            '@pytest.mark.req("R001")\ndef helper(): pass\n',
            "tests/test_it.py:1: a req marker that is on no test",
        ),
        (
            '@pytest.mark.req("R001")\nclass Helper: pass\n',
            "tests/test_it.py:1: a req marker that is on no test",
        ),
        ('x = pytest.mark.req("R001")(Machine)\n', "tests/test_it.py:1: a req marker that is on no test"),
        ("@pytest.mark.req(ID)\ndef test_a(): pass\n", "tests/test_it.py:1: write the ids out"),
        ("@pytest.mark.req()\ndef test_a(): pass\n", "tests/test_it.py:1: write the ids out"),
        ('@pytest.mark.req(id="R001")\ndef test_a(): pass\n', "tests/test_it.py:1: write the ids out"),
    ],
)
def test_a_marker_that_proves_nothing_is_a_defect(tree: Path, source: str, defect: str) -> None:
    result = traced(tree, source)
    assert len(result.defects) == 1
    assert result.defects[0].startswith(defect)
    assert result.proven == {}
    assert not result.is_sound


def test_a_marker_in_a_file_that_pytest_does_not_collect_is_a_defect(tree: Path) -> None:
    result = traced(tree, '@pytest.mark.req("R001")\ndef test_a(): pass\n', name="helpers.py")
    assert result.defects == ("tests/helpers.py:1: a req marker that is on no test",)


def test_the_command_prints_json_and_exits_1_on_unknown_ids(tree: Path) -> None:
    source = '@pytest.mark.req("R002", "R999")\ndef test_a(): pass\n'
    (tree / "tests" / "test_it.py").write_text(source, encoding="utf-8")
    arguments = ["--list", str(tree / "list.md"), "--tests", str(tree / "tests")]
    answer = CliRunner().invoke(main, [*arguments, "--json"])
    assert answer.exit_code == 1
    assert json.loads(answer.output) == {
        "demands": 3,
        "proven": {"R002": ["tests/test_it.py::test_a"]},
        "not_yet": ["R001", "R003"],
        "unknown": {"R999": ["tests/test_it.py::test_a"]},
        "defects": [],
    }


def test_the_command_prints_proven_and_not_yet_by_area(tree: Path) -> None:
    (tree / "tests" / "test_it.py").write_text('@pytest.mark.req("R003")\ndef test_a(): pass\n', encoding="utf-8")
    answer = CliRunner().invoke(main, ["--list", str(tree / "list.md"), "--tests", str(tree / "tests")])
    assert answer.exit_code == 0
    assert answer.output == (
        "proven\n\nStorage\n  R003 The third.\n       tests/test_it.py::test_a\n\n"
        "not yet\n\n  Orders: R001 R002\n\n1 of 3 demands proven\n"
    )


def test_the_command_reports_a_broken_list(tree: Path) -> None:
    (tree / "list.md").write_text("nothing\n", encoding="utf-8")
    answer = CliRunner().invoke(main, ["--list", str(tree / "list.md"), "--tests", str(tree / "tests")])
    assert answer.exit_code == 1
    assert "list.md: no line of the form" in answer.output


def test_this_repository_has_no_unknown_id_and_no_defect(repo_root: Path) -> None:
    markers, defects = read_markers(repo_root / "tests")
    result = trace(read_demands(repo_root / "docs" / "requirements.md"), markers, defects)
    assert result.unknown == {}
    assert result.defects == ()
