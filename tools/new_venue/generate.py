"""Fills in the template and enters the new venue in the three tables that name venues.

Nothing is written unless everything can be: names, free places and the tables are checked first.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs

__all__ = ["Names", "NewVenueError", "generate"]

TEMPLATE = Path(__file__).resolve().parent / "template"
SUFFIX = ".tmpl"
REGISTRY = Path("protocols/venues/registry.py")
CONFIG = Path("config/venues.py")
FAMILIES = Path("tools/simulator/core/families.py")

_KIND = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_KIND_MAX = 24
_IMPORTS = """\
from protocols.venues import @package@
from protocols.venues.@package@ import limits as @package@_limits
"""


class NewVenueError(Exception):
    """The venue cannot be written; nothing was."""


@attrs.frozen
class Names:
    """One venue's names in each of its uses."""

    kind: str
    """In configurations and addresses: `acme-spot`."""
    title: str
    """For people: `Acme Exchange`."""

    @classmethod
    def of(cls, kind: str, title: str = "") -> Names:
        """Raises NewVenueError for a kind that cannot be one."""
        if not _KIND.fullmatch(kind) or len(kind) > _KIND_MAX:
            raise NewVenueError(
                f"KIND was {kind!r}, must be lower-case words joined by '-' (acme-spot), at most {_KIND_MAX} letters"
            )
        return cls(kind, title or kind.replace("-", " ").title())

    @property
    def package(self) -> str:
        """Of Python: `acme_spot`."""
        return self.kind.replace("-", "_")

    def fill(self, text: str) -> str:
        """The text with this venue's names in it."""
        words = {
            "@kind@": self.kind,
            "@KIND@": self.kind.upper(),
            "@package@": self.package,
            "@CONST@": self.package.upper(),
            "@Class@": "".join(word.capitalize() for word in self.kind.split("-")),
            "@title@": self.title,
        }
        for placeholder, word in words.items():
            text = text.replace(placeholder, word)
        return text


def generate(root: Path, names: Names) -> list[Path]:
    """Write the venue below `root`, the checkout; returns what was written or changed, in order."""
    folders = {
        "codec": root / "protocols" / "venues" / names.package,
        "dialect": root / "tools" / "simulator" / "dialects" / names.package,
        "tests": root / "tests" / "protocols" / names.package,
    }
    for folder in folders.values():
        if folder.exists():
            raise NewVenueError(f"{folder.relative_to(root)} is there already; choose another KIND or remove it")
    files = {
        folder / source.name.removesuffix(SUFFIX): names.fill(source.read_text())
        for part, folder in folders.items()
        for source in sorted((TEMPLATE / part).glob(f"*{SUFFIX}"))
    }
    tables: tuple[tuple[Path, Callable[[str, Names], str]], ...] = (
        (root / REGISTRY, _registry),
        (root / CONFIG, _config),
        (root / FAMILIES, _families),
    )
    files |= {path: enter(path.read_text(), names) for path, enter in tables}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    _tidy(root, [path for path in files if path.suffix == ".py"])
    return list(files)


def _registry(text: str, names: Names) -> str:
    row = names.fill((TEMPLATE / "rows" / f"registry.py{SUFFIX}").read_text())
    imports = names.fill(_IMPORTS)
    text = _before(text, "VENUES: Mapping[str, VenueParts] = {", row, REGISTRY)
    text = _before(text, "    )\n}\n", names.fill("        _@CONST@,\n"), REGISTRY, last=True)
    return _before(text, "from protocols.venues import ", imports, REGISTRY)


def _config(text: str, names: Names) -> str:
    facts = 'KindFacts(family="@kind@", environments=("production",), key_kinds=(KeyKind.HMAC,))'
    text = _before(text, "\n\nclass KeyKind(", names.fill('    @CONST@ = "@kind@"\n'), CONFIG)
    return _before(text, "}\n", names.fill(f"    VenueKind.@CONST@: {facts},\n"), CONFIG, last=True)


def _families(text: str, names: Names) -> str:
    return _before(text, '}\n_DIALECTS = "', names.fill('    "@kind@": "@package@",\n'), FAMILIES)


def _before(text: str, anchor: str, insert: str, where: Path, *, last: bool = False) -> str:
    """`text` with `insert` before the anchor, which must be there once (or is taken where it is last)."""
    if text.count(anchor) != 1 and not (last and anchor in text):
        raise NewVenueError(f"{where} has changed: the place for a new venue ({anchor.strip()!r}) is not found in it")
    at = text.rindex(anchor)
    return text[:at] + insert + text[at:]


def _tidy(root: Path, paths: list[Path]) -> None:
    """The order of names and the formatting depend on the names; without ruff they stay as they are."""
    targets = [str(path) for path in paths]
    for command in (["check", "--quiet", "--fix", "--select", "I,RUF022"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *targets], cwd=root, check=False)
