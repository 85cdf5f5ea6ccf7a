"""What came of an engagement, as a penetration tester reports it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from .finding import Attack, Finding, Severity
from .masking import Masks
from .route import Route

__all__ = ["AttackReport", "Tried"]


@dataclass(frozen=True, slots=True)
class Tried:
    """One attack at one place.

    Args:
        tries: how many variants were sent.
        outcome: ``passed``, ``finding``, ``unclear``, ``accepted``, ``moot`` (another finding explains it) or
            ``not tried`` (the engagement was over).
        note: why, where that says nothing by itself.
    """

    attack: str
    place: str
    tries: int
    outcome: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackReport:
    """The report; the same seed over the same host makes the same one.

    Args:
        target: what was attacked.
        seed: of everything that was made up.
        requests: how many were sent.
        scope: the routes that were attacked.
        findings: the worst first.
        tried: every attack at every place.
        attacks: what was in the plan, by id.
        unproven: places whose genuine request nobody could make, with the status: what "passed" there is worth little.
        review: public routes, with their reasons; somebody should agree.
        accepted: findings that the host's team accepts, with its reasons.
        complete: False where the engagement ended before everything was tried.
    """

    target: str
    seed: int
    requests: int
    scope: tuple[Route, ...]
    findings: tuple[Finding, ...]
    tried: tuple[Tried, ...]
    attacks: Mapping[str, Attack]
    unproven: Mapping[str, str]
    review: tuple[Route, ...]
    accepted: tuple[tuple[Finding, str], ...] = ()
    complete: bool = True
    masks: Masks = field(repr=False)

    def __bool__(self) -> bool:
        """Whether there is nothing to fix and nothing was left out."""
        return not self.findings and self.complete

    def worst(self) -> Severity | None:
        """The severity of the first finding."""
        return self.findings[0].severity if self.findings else None

    def raise_if_any(self, at_least: Severity = Severity.LOW) -> None:
        """For a test.

        Args:
            at_least: leave milder findings to the report.

        Raises:
            AssertionError: with the report, where there are such findings, or not everything was tried.
        """
        if not self.complete or any(finding.severity >= at_least for finding in self.findings):
            raise AssertionError("\n" + self.to_text())

    def to_text(self) -> str:
        """For a terminal."""
        from .render import text

        return text(self)

    def to_markdown(self) -> str:
        """For a wiki, an issue or a customer."""
        from .render import markdown

        return markdown(self)

    def to_json(self) -> str:
        """For a machine; keys are stable."""
        from .render import document

        return json.dumps(document(self), indent=2, ensure_ascii=False)
