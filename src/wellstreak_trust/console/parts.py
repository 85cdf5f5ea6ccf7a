"""What sections read, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..audit import AuditLog
    from ..connections import Connections
    from ..core.principal import Principal
    from ..disclosure import DisclosureIntake
    from ..ratelimit import RateLimiter
    from ..secrets import KeyChain, SecretStore
    from ..telemetry import WorkflowRuns

__all__ = ["PLATFORM", "Parts", "View", "known_tenants"]

PLATFORM = "system"
"""The tenant of events that belong to no tenant."""
_KNOWN = 200


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a host that a console was given."""

    connections: Connections | None
    runs: WorkflowRuns | None
    audit: AuditLog | None
    limiter: RateLimiter | None
    secrets: SecretStore | None
    keys: KeyChain | None
    reports: DisclosureIntake | None


@dataclass(frozen=True, slots=True)
class View:
    """The moment of a page, who looks, and the title of all pages."""

    now: datetime
    principal: Principal
    title: str


async def known_tenants(parts: Parts) -> tuple[str, ...]:
    """Tenants to suggest in a form: those with a trail, the platform first."""
    assert parts.audit is not None  # only sections of the trail ask
    heads = await parts.audit.store.heads("", _KNOWN)
    return (PLATFORM, *(tenant for tenant, _ in heads if tenant != PLATFORM))
