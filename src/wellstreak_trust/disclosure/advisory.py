"""Drafts of what is published: OSV, CSAF 2.0 and Markdown; a person completes and releases them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ..core.clock import aware
from ..core.errors import Conflict
from .report import DisclosureReport
from .ticket import Ticket

__all__ = ["Advisory"]

_READY: Final = frozenset(("fixed", "published"))


@dataclass(frozen=True, slots=True)
class Advisory:
    """One advisory about one report; nothing is drafted before there is a fix.

    Args:
        id: as it will be published, such as ``WST-2026-0001``.
        package, ecosystem: of the affected product, as OSV names them.
        fixed_in: the first version without the weakness.
        publisher, namespace: who publishes, and their https address.
        summary: in your words; the report's title may give too much away.
        weakness_name: of the CWE.

    Raises:
        Conflict: the report is not fixed yet.
    """

    ticket: Ticket
    report: DisclosureReport
    id: str
    package: str
    fixed_in: str
    publisher: str
    namespace: str
    summary: str
    ecosystem: str = "PyPI"
    weakness_name: str = ""

    def __post_init__(self) -> None:
        if self.ticket.state not in _READY:
            raise Conflict("an advisory before the fix would be an instruction", hint="advance the ticket to fixed")

    def osv(self, modified: datetime) -> dict[str, Any]:
        """A draft in the Open Source Vulnerability format (ossf.github.io/osv-schema, 1.6)."""
        found: dict[str, Any] = {
            "schema_version": "1.6.0",
            "id": self.id,
            "modified": _time(modified),
            "summary": self.summary,
            "details": f"Impact: {self.report.impact}. Fixed in {self.fixed_in}.",
            "affected": [
                {
                    "package": {"ecosystem": self.ecosystem, "name": self.package},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": self.fixed_in}]}],
                }
            ],
            "references": [{"type": "ADVISORY", "url": f"{self.namespace.rstrip('/')}/{self.id}"}],
        }
        if self.report.weakness is not None:
            found["database_specific"] = {"cwe_ids": [self.report.weakness]}
        if self.report.credit and self.report.contact is not None:
            found["credits"] = [{"name": self.report.contact, "type": "REPORTER"}]
        return found

    def csaf(self, modified: datetime) -> dict[str, Any]:
        """A draft in the Common Security Advisory Framework 2.0, profile csaf_base."""
        moment = _time(modified)
        weakness: dict[str, Any] = {"title": self.summary}
        if self.report.weakness is not None:
            weakness["cwe"] = {"id": self.report.weakness, "name": self.weakness_name or self.report.weakness}
        return {
            "document": {
                "category": "csaf_base",
                "csaf_version": "2.0",
                "title": self.summary,
                "publisher": {"category": "vendor", "name": self.publisher, "namespace": self.namespace},
                "tracking": {
                    "id": self.id,
                    "status": "draft",
                    "version": "0.1.0",
                    "initial_release_date": moment,
                    "current_release_date": moment,
                    "revision_history": [{"date": moment, "number": "0.1.0", "summary": "Draft"}],
                },
            },
            "vulnerabilities": [weakness],
        }

    def markdown(self) -> str:
        """A draft for people."""
        credit = self.report.contact if self.report.credit and self.report.contact else "somebody who wants no credit"
        rows = (
            ("Severity", self.report.severity or "to be assessed"),
            ("Weakness", self.report.weakness or "to be assessed"),
            ("Impact", self.report.impact.replace("_", " ")),
            ("Package", f"{self.package} ({self.ecosystem})"),
            ("Fixed in", self.fixed_in),
            ("Reported by", credit),
        )
        table = "".join(f"| {name} | {_cell(value)} |\n" for name, value in rows)
        return f"# {self.id}: {_cell(self.summary)}\n\n| | |\n|---|---|\n{table}"


def _time(moment: datetime) -> str:
    return aware(moment).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
