"""One attack on one model is one case; a suite is all of them, and pytest runs each under an id of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.errors import ConfigurationError

__all__ = ["Battery", "Finding", "IsolationCase", "assert_isolated", "compare", "covered"]


class Finding(AssertionError):
    """Isolation failed: names the model, the attack, and what came of it."""


@dataclass(frozen=True, slots=True)
class IsolationCase:
    """One attack on one model; calling it runs it.

    Args:
        model: its name.
        attack: what is tried, in words joined by underscores.
        run: gives what leaked, or None.

    Raises:
        Finding: when called, where something leaked or own work was refused.
    """

    model: str
    attack: str
    run: Callable[[], str | None]

    def __call__(self) -> None:
        """Runs it."""
        found = self.run()
        if found is not None:
            raise Finding(f"{self.model}, {self.attack.replace('_', ' ')}: {found}")

    def __str__(self) -> str:
        return f"{self.model}-{self.attack}"


class Battery:
    """The cases of a suite.

    Args:
        cases: see `IsolationCase`.
    """

    def __init__(self, cases: Iterable[IsolationCase]) -> None:
        self._cases: tuple[IsolationCase, ...] = tuple(cases)

    @property
    def cases(self) -> tuple[IsolationCase, ...]:
        """All of them, in an order that does not change."""
        return self._cases

    @property
    def parametrize(self) -> Any:
        """A decorator for a test that takes ``case`` and calls it.

        ::

            @suite.parametrize
            def test_isolation(case):
                case()
        """
        import pytest

        return pytest.mark.parametrize("case", self._cases, ids=str)

    def run(self) -> list[str]:
        """Runs every case, and gives the text of each finding; for hosts without pytest."""
        found: list[str] = []
        for case in self._cases:
            try:
                case()
            except Finding as finding:
                found.append(str(finding))
        return found


def covered(models: Sequence[Any], factories: Iterable[Any], skip: Iterable[Any]) -> None:
    """Refuses a suite that would leave a model out without a word."""
    given = {*factories, *skip}
    missing = sorted(model.__name__ for model in models if model not in given)
    if missing:
        raise ConfigurationError(
            f"no factory for {', '.join(missing)}",
            hint="factories={Model: lambda make: Model(...)}, or skip=[Model] with a reason beside it",
            reason="isolation_factories",
        )


def compare(before: Mapping[str, list[str]], after: Mapping[str, list[str]], tenant_id: str) -> None:
    """Raises `Finding` where a table's rows differ."""
    changed = sorted(table for table, rows in before.items() if rows != after[table])
    if changed:
        raise Finding(f"rows of tenant {tenant_id!r} changed in {', '.join(changed)}")


def assert_isolated(found: Iterable[Any], tenant_id: str, column: str = "tenant_id") -> None:
    """Asserts that every instance or mapping in `found` is of the tenant; for the tests of a host's own queries.

    Args:
        found: instances, rows or mappings that carry the tenant column.
        tenant_id: whose they must be.

    Raises:
        Finding: one is another's.
        ConfigurationError: one does not say whose it is, so that nothing would be checked.
    """
    for each in found:
        try:
            owner = each[column] if hasattr(each, "keys") else getattr(each, column)
        except (AttributeError, KeyError) as error:
            raise ConfigurationError(
                f"{type(each).__name__} has no {column!r}", hint="select the tenant column too", reason="column"
            ) from error
        if str(owner) != str(tenant_id):
            raise Finding(f"{type(each).__name__} of tenant {owner!r} in what is {tenant_id!r}'s")
