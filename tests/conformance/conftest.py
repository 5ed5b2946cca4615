"""The option that picks cases."""

from __future__ import annotations

import pytest

for _name in ("desk", "cases_market", "cases_orders", "cases_account", "cases_faults"):
    pytest.register_assert_rewrite(f"tests.conformance.{_name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--case", type=int, action="append", default=[], metavar="NUMBER", help="run this conformance case only"
    )


@pytest.fixture
def chosen_cases(request: pytest.FixtureRequest) -> frozenset[int]:
    """The numbers given with --case; none means all."""
    return frozenset(request.config.getoption("--case"))
