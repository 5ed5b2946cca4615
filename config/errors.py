"""What is wrong with a configuration, in words that say how to mend it."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen(order=True)
class Problem:
    """One mistake: where it stands, why it cannot be used, and what to do."""

    source: str
    """The file, environment variable or override that said it."""
    key: str
    """Dotted path of the key, as written in the file; "" when the whole source is meant."""
    reason: str
    fix: str

    def __str__(self) -> str:
        said_already = not self.key or self.source.endswith(f" {self.key}")  # "override engine.name"
        where = self.source if said_already else f"{self.source}: {self.key}"
        return f"{where}: {self.reason}. {self.fix}"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has every reason found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"{count} mistake{'s' if count != 1 else ''} in the configuration:\n{lines}")
