"""The pytest plugin: policy tables as tests, and the options that go with them.

Loaded by every pytest run in an environment that has this package, so it imports nothing but pytest's own types until
a table is met. Files that end in ``.policytest.toml`` or ``.policytest.json`` are collected: each cell is a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..authz import Policy

__all__ = ["policy_matrix", "pytest_addoption", "pytest_collect_file"]

SUFFIXES: Final = (".policytest.toml", ".policytest.json")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--policy-coverage``, ``--policy-mutation`` and ``--policy-update``."""
    group = parser.getgroup("policy", "policy tables (wellstreak_trust)")
    group.addoption("--policy-coverage", action="store_true", help="fail where a rule was not seen at work")
    group.addoption("--policy-mutation", action="store_true", help="fail where a faulty policy passes the table")
    group.addoption("--policy-update", action="store_true", help="write the matrices that policy_matrix compares")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A table's file."""
    if not file_path.name.endswith(SUFFIXES):
        return None
    from .policy_collect import TableFile

    found: Any = TableFile.from_parent(parent, path=file_path)
    return found  # type: ignore[no-any-return]  # pytest types from_parent as Self of an untyped base


@pytest.fixture
def policy_matrix(request: pytest.FixtureRequest) -> Callable[[Policy, str], None]:
    """``policy_matrix(policy, "matrix.md")``: as `assert_matrix`, beside the test's own file."""

    def check(policy: Policy, name: str) -> None:
        from .policy import assert_matrix

        assert_matrix(policy, request.path.parent / name, update=request.config.getoption("--policy-update"))

    return check
