"""Break-glass: a platform operator inside one tenant, for stated permissions, for minutes, on record.

Operators hold no tenant permission by their roles. A `BreakGlass` gives them exactly its permissions, in exactly its
tenant, while it lasts, once a `BreakGlassDesk` has opened it. The desk writes to the tenant's trail first and opens
only what the trail has stored, so the record is durable before the first allow; a trail that is down means no.
Forbids still win, and so do the ceiling of the operator's credential, step-up and approval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, final

from ..core.clock import Clock, SystemClock, aware, rfc3339
from ..core.errors import AccessDenied, AuditUnavailable, TrustError, UsageError
from ..core.event import AuditEvent, EventSink, Outcome
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.tenant import TenantContext

__all__ = ["BREAK_GLASS", "BreakGlass", "BreakGlassDesk"]

BREAK_GLASS: Final = "authz.break_glass"
LONGEST: Final = timedelta(minutes=60)

_PERMISSION: Final = "platform:break_glass"
_CLOCK: Final = SystemClock()


@final
@dataclass(frozen=True, slots=True)
class BreakGlass:
    """A request to act in a tenant, and once opened, the subject of its checks: ``policy.check(glass, ...)``.

    Args:
        actor: the operator: a person who acts as itself.
        tenant: id of the one tenant.
        permissions: names of the catalogue, never patterns.
        reason, ticket: why, and where that was decided; not blank.
        not_before, expires_at: when it lasts, aware; the end is excluded, and at most 60 minutes after the start.
        approved_by: the second person, where one agreed.

    Raises:
        UsageError: a field that does not say this.
    """

    actor: Principal
    tenant: str
    permissions: frozenset[str]
    reason: str
    ticket: str
    _: KW_ONLY
    not_before: datetime
    expires_at: datetime
    approved_by: Principal | None = None
    record: str = field(default="", init=False)
    """Id of the audit event that opened it; empty before."""

    def __post_init__(self) -> None:
        if not _is_person(self.actor):
            raise UsageError("a break-glass has an operator who acts as itself", hint="actor=Principal(...), no actor")
        if self.approved_by is not None and (not _is_person(self.approved_by) or self.approved_by.id == self.actor.id):
            raise UsageError("a break-glass is approved by another person who acts as itself")
        if not _said(self.tenant) or not _said(self.reason) or not _said(self.ticket):
            raise UsageError("a break-glass needs a tenant, a reason and a ticket")
        object.__setattr__(self, "permissions", _names(self.permissions))
        if not isinstance(self.not_before, datetime) or not isinstance(self.expires_at, datetime):
            raise UsageError("not_before and expires_at are datetimes")
        lasts = aware(self.expires_at, "expires_at") - aware(self.not_before, "not_before")
        if not timedelta() < lasts <= LONGEST:
            raise UsageError("a break-glass lasts more than nothing and at most 60 minutes")

    def gives(self, permission: str, now: datetime) -> bool:
        """Whether it is open, lasts at `now`, and holds the permission."""
        return bool(self.record) and self.not_before <= now < self.expires_at and permission in self.permissions

    def context(self) -> TenantContext:
        """The operator inside the tenant, without membership and with the reason, for whatever reads a context."""
        who = replace(self.actor, tenant_id=self.tenant, roles=frozenset(), reason=self.reason)
        return TenantContext(self.tenant, who, None)


class _Policy(Protocol):
    def check(self, subject: object, permission: str, resource: object = None, context: object = None) -> Any: ...

    def scope_of(self, permission: str) -> str | None: ...


class BreakGlassDesk:
    """Opens break-glasses: asks the policy, writes the record, and only then hands out a value that opens doors.

    Args:
        audit: the trail. What it has not stored durably is not opened.
        policy: a `Policy` or `PolicyHolder`.
        clock: the clock of that policy.
        permission: what operator and approver must both hold, on the platform.
        two_persons: refuse what nobody else approved.
    """

    def __init__(
        self,
        audit: EventSink,
        policy: _Policy,
        clock: Clock = _CLOCK,
        *,
        permission: str = _PERMISSION,
        two_persons: bool = False,
    ) -> None:
        self.suspends: bool = suspends(audit)
        self._audit: EventSink = audit
        self._policy: _Policy = policy
        self._clock: Clock = clock
        self._permission: str = permission
        self._two_persons: bool = two_persons

    async def aopen(self, glass: BreakGlass) -> BreakGlass:
        """The same break-glass, opened.

        Raises:
            UsageError: not a break-glass, one that is over, or permissions that no tenant has.
            AccessDenied: operator or approver may not do this; recorded as denied.
            AuditUnavailable: the record is not durable, so nothing opened.
        """
        self._require_sense(glass)
        refused = self._refusal(glass)
        if refused is not None:
            await self._arecord(glass, "denied", refused.audit())
            raise AccessDenied(refused)
        opened = replace(glass)
        object.__setattr__(opened, "record", await self._arecord(glass, "success", None))
        return opened

    open: Final = synced(aopen)

    def _require_sense(self, glass: BreakGlass) -> None:
        if type(glass) is not BreakGlass:
            raise UsageError("the desk opens a BreakGlass")
        if self._clock.now() >= glass.expires_at:
            raise UsageError("this break-glass is over", hint="write a new one")
        foreign = sorted(name for name in glass.permissions if self._policy.scope_of(name) != "tenant")
        if foreign:
            raise UsageError(
                f"a break-glass gives permissions of a tenant, and {foreign[0][:128]!r} is none",
                hint="name each permission as the catalogue does",
            )
        if self._two_persons and glass.approved_by is None:
            raise UsageError("this desk opens nothing that one person wants alone", hint="approved_by=Principal(...)")

    def _refusal(self, glass: BreakGlass) -> Any:
        """The first denial among the people it takes, or None."""
        for person in (glass.actor, glass.approved_by):
            if person is not None:
                decision = self._policy.check(person, self._permission)
                if not decision.allowed:
                    return decision
        return None

    async def _arecord(self, glass: BreakGlass, outcome: Outcome, decision: Mapping[str, Any] | None) -> str:
        event = AuditEvent(
            BREAK_GLASS,
            outcome,
            glass.tenant,  # the tenant's own trail: it may know who came in, and why
            glass.actor,
            reason=glass.reason,
            decision=decision,
            data={
                "ticket": glass.ticket,
                "permissions": sorted(glass.permissions),
                "not_before": rfc3339(glass.not_before),
                "expires_at": rfc3339(glass.expires_at),
                "approved_by": glass.approved_by.id if glass.approved_by is not None else None,
            },
            occurred_at=self._clock.now(),
        )
        try:
            receipt = await self._audit.aemit(event)
        except TrustError:
            raise
        except Exception as error:  # a driver's own error: the promise is one class, and closed
            raise AuditUnavailable(f"the trail failed: {type(error).__name__}") from error
        if getattr(receipt, "durable", True) is not True:
            raise AuditUnavailable(
                "the trail has not stored the break-glass", hint=f'ActionSpec("{BREAK_GLASS}", "critical")'
            )
        return event.id


def _is_person(who: object) -> bool:
    return isinstance(who, Principal) and who.kind == "user" and who.actor is None


def _said(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _names(value: object) -> frozenset[str]:
    """The permissions as a set; text in place of a collection is never read letter by letter."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        found = list(value)
        if found and all(isinstance(name, str) for name in found):
            return frozenset(found)
    raise UsageError("permissions is a collection of names, not empty", hint='permissions={"billing:read"}')
