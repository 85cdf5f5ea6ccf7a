"""What the guard records: refusals, attempts and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import AuditUnavailable, ConfigurationError, RateLimited, TrustError
from ..core.event import AuditEvent, Outcome
from .faults import Dependency, Spared

if TYPE_CHECKING:
    from ..core.address import ClientAddress
    from ..core.http import RequestFacts
    from ..trust import Trust
    from .grant import Grant

__all__ = ["Trail"]

PLATFORM: Final = "system"  # the tenant of events that belong to no tenant
_NOBODY: Final[Mapping[str, Any]] = {"kind": "anonymous", "id": "anonymous"}
_METHOD_MOST, _AGENT_MOST = 16, 200
_AUDIT: Final = Dependency("audit", AuditUnavailable)


class Trail:
    """Writes the guard's events to the sink of one `Trust`, and counts."""

    def __init__(self, trust: Trust, address: ClientAddress) -> None:
        self._trust: Trust = trust
        self._address: ClientAddress = address

    async def aattempt(self, grant: Grant) -> None:
        """Records that the operation is about to run. What it raises stops the operation: no audit, no action."""
        if grant.operation.audit is None:
            return
        # Before the call: a cancelled one may stand in the trail all the same.
        grant.attempt = attempt = self._event(grant, grant.operation.audit, "attempted")
        with _AUDIT:
            await self._trust.audit.aemit(attempt)

    async def aoutcome(self, attempt: AuditEvent, outcome: Outcome) -> None:
        """Records how an attempted operation ended; never raises."""
        with self.spared("wst.audit.dropped", criticality="outcome"):
            await self._trust.audit.aemit(attempt.ended(outcome, self._trust.clock.now()))

    async def arefusal(self, grant: Grant, refusal: TrustError) -> None:
        """Records a refusal; never raises, because it would take the refusal's place."""
        self.count("wst.guard.refused", code=refusal.code)
        if isinstance(refusal, RateLimited | AuditUnavailable):
            return  # a flood must not become a flood of durable writes; a dead trail cannot record itself
        with self.spared("wst.audit.dropped", criticality="protective"):
            await self._trust.audit.aemit(self._event(grant, "access.denied", "denied", reason=_reason(refusal)))

    def spared(self, name: str, **labels: str) -> Spared:
        """Around work whose faults must not mask the answer under way; counted under `name`."""
        return Spared(self._trust.counters, name, **labels)

    def count(self, name: str, **labels: str) -> None:
        """Adds to a counter, where the host has any."""
        if self._trust.counters is not None:
            self._trust.counters.add(name, **labels)

    def _event(self, grant: Grant, action: str, outcome: Outcome, reason: str | None = None) -> AuditEvent:
        facts, decision = grant.facts, grant.decision
        return AuditEvent(
            action,
            outcome,
            grant.tenant.tenant_id if grant.tenant is not None else PLATFORM,
            grant.principal or _NOBODY,
            source=self._source(facts),
            reason=reason,
            request={
                "id": grant.request_id,
                "method": _plain(facts.method, _METHOD_MOST),
                "operation": grant.operation.name,
            },
            decision=decision.audit() if decision is not None else None,
            occurred_at=self._trust.clock.now(),
        )

    def _source(self, facts: RequestFacts) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        try:
            found["address"] = self._address.of(facts)
        except ConfigurationError:
            self.count("wst.guard.no_address")
        agent = facts.headers.get("user-agent")
        if agent:
            found["user_agent"] = _plain(agent, _AGENT_MOST)
        return found


def _plain(text: str, most: int) -> str:
    """Text of a client as an event may hold it: a lone surrogate in a header must not stop a critical action."""
    short = text[:most]
    return short if short.isascii() else short.encode("ascii", "backslashreplace").decode("ascii")


def _reason(refusal: TrustError) -> str:
    said = getattr(refusal, "reason", "") or getattr(getattr(refusal, "decision", None), "code", "")
    return f"{refusal.code}:{said}" if said else refusal.code
