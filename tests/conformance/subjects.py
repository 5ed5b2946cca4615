"""The venues under test: every row of the registry whose simulator family is here."""

from __future__ import annotations

import attrs

from protocols.ids import Venue
from protocols.venue import Capabilities
from protocols.venues.registry import VENUES, VenueParts
from tools.simulator.core import families
from tools.simulator.core.dialect import Family


@attrs.frozen
class Subject:
    """One kind of venue, and the family that plays it."""

    kind: str
    parts: VenueParts
    family: Family | None
    """None: nobody plays it yet, and every case is skipped with that reason."""

    @property
    def venue(self) -> Venue:
        return Venue(self.kind)

    @property
    def can(self) -> Capabilities:
        return self.parts.capabilities


def _family(name: str) -> Family | None:
    return families.load(name) if name in families.available() else None


SUBJECTS = tuple(Subject(kind, parts, _family(parts.family)) for kind, parts in VENUES.items())
