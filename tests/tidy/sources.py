"""The files of the repository that are ours to keep tidy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("actors", "supervisors", "protocols", "config", "tools", "tests")
FOLDERS = (*PACKAGES, "docs", ".ci")
TEXT = frozenset({".py", ".md", ".toml", ".cfg", ".sh", ".service", ".proto", ".json", ".html", ".css", ".js", ""})


def python_files() -> list[Path]:
    """Every Python file of ours, relative to the repository, in a stable order."""
    return [path for path in text_files() if path.suffix == ".py"]


@lru_cache(maxsize=1)
def text_files() -> list[Path]:
    """Every text file of ours, relative to the repository; caches and what a run writes are not ours."""
    found = [path for path in ROOT.iterdir() if path.is_file() and path.name not in {".coverage"}]
    for folder in FOLDERS:
        found += [path for path in _below(ROOT / folder) if path.is_file()]
    return sorted(p.relative_to(ROOT) for p in found if p.suffix in TEXT and not p.name.startswith(".coverage"))


def _below(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for path in folder.iterdir():
            if path.is_dir():
                if path.name != "__pycache__":
                    yield from _below(path)
            else:
                yield path


def read(path: Path) -> str:
    """The text of one file, its path relative to the repository."""
    return (ROOT / path).read_text(encoding="utf-8")
