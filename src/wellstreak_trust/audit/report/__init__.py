"""The security report: what happened in a tenant, on one page that can be trusted as far as its banner says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..verdict import VerifyReport
from .page import findings, page
from .summary import Bucket, Incident, Summary, Tally, summarised

__all__ = ["Bucket", "Incident", "SecurityReport", "Summary", "Tally", "findings", "summarised"]


@dataclass(frozen=True, slots=True)
class SecurityReport:
    """What `AuditLog.report` answers.

    Args:
        tenant_id: whose trail.
        title: the heading of the page.
        summary: the figures.
        verification: what a verification found; without one the page says that nobody has looked.
        made_at: when, aware.
    """

    tenant_id: str
    title: str
    summary: Summary
    verification: VerifyReport | None
    made_at: datetime

    def html(self) -> str:
        """One file: inline SVG, no script, nothing loaded, a policy that forbids all of it, every value escaped."""
        return page(self.title, self.summary, self.verification, self.made_at)

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values."""
        found = self.summary
        return {
            "tenant_id": self.tenant_id,
            "made_at": self.made_at.isoformat(),
            "events": found.events,
            "lost": found.lost,
            "first_at": found.first_at,
            "last_at": found.last_at,
            "findings": findings(found, self.verification),
            "level": None if self.verification is None else self.verification.level,
            "failed": [] if self.verification is None else list(self.verification.failed),
            **{name: dict(getattr(found, name)) for name in ("outcomes", "denials", "actors", "privileged")},
            **{
                name: [[*key, count] for key, count in getattr(found, name).most_common()]
                for name in ("secrets", "webhooks", "readers")
            },
            **{name: found.totals[name] for name in ("gaps", "dangling", "regressions", "stewardship")},
        }
