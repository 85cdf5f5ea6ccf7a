"""How pytest sees the file of a policy table; loaded when one is met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from ..core.clock import FixedClock
from ..core.errors import TrustError
from .policy import Mismatch, PolicyTable
from .policy_coverage import rule_coverage
from .policy_file import policy_of
from .policy_mutation import mutate

__all__ = ["TableFile", "TableItem"]

_Check = Callable[[], Iterable[object]]


class TableFile(pytest.File):
    """A test for each cell, and one more for coverage and for mutation where they are asked for."""

    def collect(self) -> Iterator[pytest.Item]:
        """The items.

        Raises:
            CollectError: the file or its policy does not load; the message holds the hint.
        """
        try:
            table, policy = PolicyTable.load(self.path), policy_of(self.path)
        except TrustError as error:
            raise self.CollectError(f"{error.code}: {error.detail}\n  fix: {error.hint}") from None
        frozen = policy.with_clock(FixedClock(table.now))

        def cell(subject: str, resource: str) -> _Check:
            return lambda: [Mismatch(found) for found in table.run_cell(frozen, subject, resource) if not found.good]

        for subject, resource in table.cells():
            yield self._item(f"{subject}/{resource}", cell(subject, resource))
        if self.config.getoption("--policy-coverage"):
            yield self._item("coverage", lambda: rule_coverage(policy, [table]).missing)
        if self.config.getoption("--policy-mutation"):
            yield self._item("mutation", lambda: [f"survived: {fault}" for fault in mutate(policy, [table]).survivors])

    def _item(self, name: str, check: _Check) -> pytest.Item:
        found: Any = TableItem.from_parent(self, name=name, check=check)
        return found  # type: ignore[no-any-return]  # pytest types from_parent as Self of an untyped base


class TableItem(pytest.Item):
    """One check: it fails with the lines that it returns."""

    def __init__(self, *, check: _Check, **rest: Any) -> None:
        super().__init__(**rest)
        self._check: _Check = check

    def runtest(self) -> None:
        """Runs it."""
        lines = [str(line) for line in self._check()]
        if lines:
            pytest.fail("\n".join(lines), pytrace=False)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where the report says it stands."""
        return self.path, None, f"{self.path.name}: {self.name}"
