"""Every numbered case on every venue of the registry.

A venue's cases run one after another on one engine and one simulator; each is a subtest with its number::

    pytest tests/conformance -k okx-swap            # one venue
    pytest tests/conformance --case 204 --case 401  # some cases
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import cases_account, cases_changes, cases_faults, cases_market, cases_orders
from tests.conformance.case import CASES, Case
from tests.conformance.rig import conformity
from tests.conformance.subjects import SUBJECTS, Subject

MODULES = (cases_market, cases_orders, cases_changes, cases_account, cases_faults)
GROUPS = {1: "market", 2: "orders", 3: "account", 4: "faults"}


@pytest.mark.req("R052", "R200", "R201", "R219", "R253", "R314", "R315", "R363")
@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS.values())
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.kind)
async def test_conformance(
    subject: Subject, group: str, chosen_cases: frozenset[int], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    cases = [case for case in _of(group) if not chosen_cases or case.number in chosen_cases]
    if not cases:
        pytest.skip("no case of this group was chosen")
    async with conformity(subject, tmp_path) as desk:
        for case in cases:
            with subtests.test(f"{case.number} {case.title}"):
                await case.body(desk)
                await desk.tidy()
            await desk.tidy()  # also after a case that failed: the next one starts clean
        assert desk.host.end is None, "the engine has lived through all of them"
    desk.audit()


def _of(group: str) -> list[Case]:
    return [case for number, case in sorted(CASES.items()) if GROUPS[number // 100] == group]
