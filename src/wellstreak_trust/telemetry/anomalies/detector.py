"""What every detector is: it sees records in their order, and at the end what did not happen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Final

from .finding import RULES, AnomalyConfig, Finding
from .record import Record, moment

__all__ = ["DONE", "Absence", "Detector"]

DONE: Final = frozenset(("success", "attempted"))
"""Outcomes of work that was let through."""

Absence = tuple[str, str, str, tuple[int, ...], int]
"""Tenant, subject, explanation, seqs and since when."""


class Detector(ABC):
    """One rule. Subclasses keep bounded memory, and judge time by what the log recorded."""

    rule_id: ClassVar[str] = ""
    actions: ClassVar[frozenset[str] | None] = None
    """What it wants to see; None for all."""

    @abstractmethod
    def __init__(self, config: AnomalyConfig) -> None: ...

    def wants(self, action: str) -> bool:
        """Whether records of this action are shown to it; asked once an action."""
        return self.actions is None or action in self.actions

    @abstractmethod
    def see(self, record: Record) -> Finding | None:
        """Looks at one record."""

    def end(self, at: int) -> Iterator[Absence]:
        """What should have happened by now and did not; each is told once."""
        return iter(())

    def found(self, record: Record, subject: str, explanation: str, seqs: tuple[int, ...], since: int) -> Finding:
        """A finding whose last event is `record`."""
        severity = RULES[self.rule_id][0]
        return Finding(
            self.rule_id, severity, record.tenant, subject, moment(since), moment(record.at), seqs, explanation
        )

    def missed(self, absence: Absence, at: int) -> Finding:
        """A finding of something that did not happen."""
        tenant, subject, explanation, seqs, since = absence
        severity = RULES[self.rule_id][0]
        return Finding(self.rule_id, severity, tenant, subject, moment(since), moment(at), seqs, explanation)
