"""Policies under test: tables in which whatever is not listed must be denied.

A table is subjects by resources, and every permission of the catalogue is asked in each cell. The clock stands still,
so that a step-up is as fresh next year as it is today.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..authz import Decision, Policy
from ..core.clock import FixedClock
from ..core.errors import UsageError

__all__ = ["Expected", "Mismatch", "Outcome", "PolicyTable", "TableReport", "assert_matrix", "assert_no_escalation"]

Expected = Mapping[str, Mapping[str, Iterable[str] | Mapping[str, str]]]
"""Subject -> resource -> what is allowed, or permission -> code where the reason of a denial matters too."""

NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
NOBODY: Final = "nobody"
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question of a table and its answer."""

    subject: str
    resource: str
    permission: str
    expected: str
    decision: Decision

    @property
    def good(self) -> bool:
        """Whether the answer is the expected one; ``denied`` is any denial."""
        return self.decision.code == self.expected or (self.expected == "denied" and not self.decision.allowed)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A cell that answers otherwise than the table says."""

    outcome: Outcome

    def __str__(self) -> str:
        found, decision = self.outcome, self.outcome.decision
        by = f" by {', '.join(decision.rule_ids)}" if decision.rule_ids else ""
        asked = f"{found.subject} / {found.resource} / {found.permission}"
        return f"{asked}: expected {found.expected}, is {decision.code}{by}"


@dataclass(frozen=True, slots=True)
class TableReport:
    """All answers to a table; true where each is as expected."""

    outcomes: tuple[Outcome, ...]

    def __bool__(self) -> bool:
        return not self.mismatches

    @property
    def mismatches(self) -> tuple[Mismatch, ...]:
        """What is not as expected."""
        return tuple(Mismatch(outcome) for outcome in self.outcomes if not outcome.good)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTable:
    """Who may do what to which, listed; the rest is denied.

    Args:
        subjects: by name, principals or contexts; ``nobody`` is always there.
        resources: by name, mappings or objects; ``none``, the question without one, is always there.
        expect: ``{"ada": {"own note": ["notes:read"], "foreign note": {"notes:read": "tenant_mismatch"}}}``. Cells that
            are not listed deny everything.
        context: the facts about the request.
        now: where the clock stands.

    Raises:
        UsageError: `expect` names a subject or resource that is not there, or holds text in place of a list.
    """

    subjects: Mapping[str, object]
    resources: Mapping[str, object]
    expect: Expected
    context: object = None
    now: datetime = NOW
    name: str = field(default="policy table", compare=False)

    def __post_init__(self) -> None:
        subjects, resources = {NOBODY, *self.subjects}, {NONE, *self.resources}
        for subject, row in self.expect.items():
            _require(subject, subjects, "subject")
            for resource, cell in row.items():
                _require(resource, resources, "resource")
                if isinstance(cell, str):
                    raise UsageError(f"expect.{subject}.{resource} is text", hint='a list is wanted: ["notes:read"]')

    @classmethod
    def load(cls, path: str | Path) -> PolicyTable:
        """Reads a table from a ``.toml`` or ``.json`` file (see the how-to).

        Raises:
            UsageError: whatever is wrong with the file.
        """
        from .policy_file import read_table

        return read_table(Path(path))

    def cells(self) -> Iterator[tuple[str, str]]:
        """Every subject with every resource."""
        for subject in (*self.subjects, *({NOBODY} - {*self.subjects})):
            for resource in (*self.resources, *({NONE} - {*self.resources})):
                yield subject, resource

    def run(self, policy: Policy) -> TableReport:
        """Asks everything.

        Raises:
            UsageError: a permission that is not in the policy's catalogue.
        """
        frozen = policy.with_clock(FixedClock(self.now))
        return TableReport(tuple(outcome for cell in self.cells() for outcome in self.run_cell(frozen, *cell)))

    def run_cell(self, policy: Policy, subject: str, resource: str) -> list[Outcome]:
        """Asks for every permission of the catalogue in one cell, by the policy's own clock."""
        expected = _codes(self.expect.get(subject, {}).get(resource, ()))
        for permission in expected:
            _require(permission, {*policy.permissions}, "permission")
        who, what = self.subjects.get(subject), self.resources.get(resource)
        return [
            Outcome(subject, resource, name, expected.get(name, "denied"), policy.check(who, name, what, self.context))
            for name in policy.permissions
        ]

    def check(self, policy: Policy) -> TableReport:
        """As `run`, for a test.

        Raises:
            AssertionError: with a line for each answer that differs.
        """
        report = self.run(policy)
        if not report:
            raise AssertionError("\n".join([f"{self.name} differs:", *map(str, report.mismatches)]))
        return report


def _require(name: str, known: set[str], kind: str) -> None:
    if name not in known:
        from ..authz.schema import resembling

        raise UsageError(f"the table names an unknown {kind}: {name!r}", hint=resembling(name, known))


def _codes(cell: Iterable[str] | Mapping[str, str]) -> Mapping[str, str]:
    return cell if isinstance(cell, Mapping) else dict.fromkeys(cell, "allowed")


def assert_no_escalation(policy: Policy, to: str = "owner", *, trusted: Iterable[str] = ()) -> None:
    """Proves that no role can make itself, an accomplice or a key hold what `to` holds.

    Args:
        trusted: roles that may, such as a co-owner.

    Raises:
        AssertionError: with each path.
        PolicyError: there is no role `to`.
    """
    paths = policy.escalation().paths(to, trusted=trusted)
    if paths:
        told = ("; then ".join(map(str, path)) for path in paths)
        raise AssertionError("\n".join([f"{len(paths)} role(s) reach {to}:", *told]))


def assert_matrix(policy: Policy, path: str | Path, *, update: bool = False) -> None:
    """Compares the matrix with the one that was reviewed; the suffix tells the form: md, csv or html.

    Args:
        update: write the file instead.

    Raises:
        AssertionError: it differs, or there is no file yet.
        UsageError: an unknown suffix.
    """
    file, matrix = Path(path), policy.matrix()
    forms: dict[str, Any] = {".md": matrix.to_markdown, ".csv": matrix.to_csv, ".html": matrix.to_html}
    if file.suffix not in forms:
        raise UsageError(f"no form of the matrix is called {file.suffix!r}", hint="md, csv or html")
    text = forms[file.suffix]()
    if update:
        file.write_bytes(text.encode())
    elif not file.is_file():
        raise AssertionError(f"{file.name} is not there yet: write it with update=True, or pytest --policy-update")
    elif changed := _changed(file.read_bytes().decode("utf-8", "replace"), text):
        raise AssertionError("\n".join([f"{file.name} differs from the policy:", *changed]))


def _changed(before: str, after: str) -> list[str]:
    """By lines: a checkout may end them otherwise."""
    from difflib import unified_diff

    return list(unified_diff(before.splitlines(), after.splitlines(), "reviewed", "now", lineterm="", n=0))
