"""What holds the repository together: packaging, the lock, the make targets, CI, and what git must not take."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.tidy.sources import PACKAGES, ROOT, python_files
from tools.coverage_gates import load_gates

PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)


def project() -> dict[str, Any]:
    """pyproject.toml as it stands."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with the environment changed by `environment`."""
    # A make above us must not hand its flags to the make that is under test.
    env = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    env |= environment
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=100)


def test_every_dependency_has_a_lower_bound_and_the_lock_satisfies_it() -> None:
    table = project()["project"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {canonicalize_name(m["name"]): Version(m["version"]) for m in PINNED.finditer(lock)}
    for text in [*table["dependencies"], *table["optional-dependencies"]["dev"]]:
        requirement = Requirement(text)
        assert [spec.operator for spec in requirement.specifier] == [">="], text
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, f"run `make lock`: {text}"


@pytest.mark.req("R207", "R208", "R266", "R280")
def test_no_venues_sdk_and_no_client_of_a_server_is_installed_with_the_engine() -> None:
    """What the judges in the tests use is no dependency of what they judge; caches and state need no other program."""
    table = project()["project"]
    dependencies = {canonicalize_name(Requirement(text).name) for text in table["dependencies"]}
    sdks = {"binance-connector", "ccxt", "cryptofeed", "okx", "pybit", "python-binance", "python-okx", "pyupbit"}
    clients = {"aioredis", "asyncpg", "psycopg", "psycopg2", "pymemcache", "pymongo", "redis", "sqlalchemy"}
    judges = {canonicalize_name(Requirement(text).name) for text in table["optional-dependencies"]["dev"]}
    assert len(sdks & judges) > 3, "the judges are there under these names"
    assert not dependencies & (sdks | clients)
    outside = re.compile(
        r"^\s*(?:import|from) (?:ccxt|cryptofeed|binance|okx|pybit|pyupbit|redis|sqlalchemy)\b", re.MULTILINE
    )
    users = {path.parts[0] for path in python_files() if outside.search((ROOT / path).read_text(encoding="utf-8"))}
    assert users <= {"tests", "tools"}, "only judges, and the rivals of the benchmarks"


def test_everything_in_the_lock_is_pinned_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = [block for block in re.split(r"\n(?=\S)", lock) if not block.startswith("#")]
    assert len(blocks) > len(project()["project"]["dependencies"])
    for block in blocks:
        assert PINNED.match(block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.req("R252")
def test_the_wheel_holds_the_packages_and_the_public_face_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for path in [*python_files(), Path("pyproject.toml"), Path("README.md"), Path("LICENSE")]:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, source / path)
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), cwd=source)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("bulkhead_oms-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {*PACKAGES, "bulkhead.py"} - {"tests"}
    entry_points = next(name for name in names if name.endswith("entry_points.txt"))
    assert "bulkhead = tools.cli:main" in zipfile.ZipFile(wheel).read(entry_points).decode()


@pytest.mark.req("R151", "R378")
def test_lint_checks_every_package_strictly() -> None:
    """With `rules.untyped` over the packages this leaves no function without types and none unchecked."""
    assert project()["tool"]["mypy"]["strict"] is True
    dry = run("make", "--dry-run", "--always-make", "lint")
    assert dry.returncode == 0, dry.stderr
    mypy = next(line for line in dry.stdout.splitlines() if line.split()[0].endswith("/mypy"))
    assert set(mypy.split()[1:]) == {*PACKAGES, "docs/examples", "bulkhead.py"}


@pytest.mark.req("R055", "R157", "R160")
def test_a_passing_build_has_measured_its_coverage() -> None:
    """`make test` ends in the gates: 80 % of everything, and all of what decides about money and restarts."""
    gates = load_gates()
    assert gates.overall >= 80
    for part in ("actors/account/", "actors/risk/", "actors/journal/", "supervisors/"):
        assert any(pattern.startswith(part) for pattern in gates.complete), f"nothing of {part} is gated"
    dry = run("make", "--dry-run", "test")
    commands = [line.split() for line in dry.stdout.splitlines()]
    assert any(words[:4] == [".venv/bin/coverage", "run", "-m", "pytest"] for words in commands)
    assert commands[-1][1:] == ["-m", "tools.coverage_gates", "coverage.json"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what `make setup` reads, and no environment yet."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_setup_without_a_usable_python_says_what_to_install(checkout: Path) -> None:
    old = checkout / "python2"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    answer = run("make", "setup", f"PYTHONS={old} no-such-python", cwd=checkout)
    assert answer.returncode != 0
    assert "no Python 3.11 or newer found" in answer.stderr
    assert "make setup PYTHON=" in answer.stderr
    assert not (checkout / ".venv").exists()


def test_setup_that_is_up_to_date_does_nothing(checkout: Path) -> None:
    ready = checkout / ".venv" / ".ready"
    ready.parent.mkdir()
    ready.touch()
    newest = max((checkout / name).stat().st_mtime for name in ("pyproject.toml", "requirements.lock"))
    os.utime(ready, (newest + 1, newest + 1))
    answer = run("make", "setup", cwd=checkout)
    assert answer.returncode == 0
    assert list(ready.parent.iterdir()) == [ready]
    os.utime(checkout / "requirements.lock", (newest + 2, newest + 2))
    assert run("make", "--question", "setup", cwd=checkout).returncode == 1


def test_ci_fails_clearly_without_the_recorded_data(tmp_path: Path) -> None:
    answer = run(str(ROOT / ".ci/run"), BULKHEAD_DATA=str(tmp_path))
    assert answer.returncode == 1
    assert f"recorded market data not found in '{tmp_path}'" in answer.stderr
    assert "set BULKHEAD_DATA" in answer.stderr


@pytest.mark.req("R161")
@pytest.mark.parametrize(
    "name", [".env", "venue.pem", "account.key", "data/journal/1.jsonl", "data/snapshots/x/state.json"]
)
def test_git_takes_neither_secrets_nor_state(name: str) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert run("git", "check-ignore", "--quiet", name).returncode == 0


@pytest.mark.req("R190")
def test_every_decision_is_complete_and_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [path.name[:4] for path in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert f"]({path.name})" in index, f"{path.name} is not in the index"
        for part in ("**Status:**", "**Forced by.**", "**Decided.**", "**Costs.**"):
            assert part in text, f"{path.name} has no {part}"
