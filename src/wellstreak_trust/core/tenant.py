"""Where somebody acts: the vocabulary that authorisation, tenancy and the guard share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from .principal import Principal, Standing

__all__ = ["Membership", "MembershipKind", "SupportAccess", "SuspendedBy", "TenantContext"]

MembershipKind = Literal["member", "service", "support"]
SuspendedBy = Literal["workspace", "account"]
_NOBODY: Final[frozenset[SuspendedBy]] = frozenset()


@dataclass(frozen=True, slots=True)
class SupportAccess:
    """Why somebody from support is inside, who let them in, and until when; over at the instant of `until`."""

    reason: str
    ticket: str
    granted_by: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A principal's roles in a tenant, as the membership store proved them.

    Args:
        version: grows with every change of this membership, so that caches can tell old from new.
        kind: a person, a service account (no address, never an owner), or support (which ends by itself).
        suspended: who suspended it; each lifts only its own suspension, and one is enough to be out.
        support: what a membership of that kind rests on; None for the others.
    """

    tenant_id: str
    principal_id: str
    roles: frozenset[str]
    version: int = 1
    kind: MembershipKind = "member"
    suspended: frozenset[SuspendedBy] = _NOBODY
    support: SupportAccess | None = None

    def over(self, now: datetime) -> bool:
        """Whether it has ended by itself."""
        return self.support is not None and now >= self.support.until

    def live(self, now: datetime) -> bool:
        """Whether it proves anything at `now`."""
        return not self.suspended and not self.over(now)


@dataclass(frozen=True, slots=True)
class TenantContext:
    """A principal inside one tenant, with the proof of membership. Only a resolver makes one outside tests.

    Args:
        membership: the proof; None only under a recorded elevation.
        company_id: optional scope inside the tenant.
        entitlements: what answers for the tenant's subscription, or None.
        request_id: correlates log lines and audit events of one request.
    """

    tenant_id: str
    principal: Principal
    membership: Membership | None
    company_id: str | None = None
    entitlements: Any = field(default=None, compare=False)
    request_id: str | None = None
    standing: Standing | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        held = self.membership
        proved = type(self) is TenantContext and type(held) is Membership and type(held.roles) is frozenset
        if proved and type(self.principal) is Principal and self.principal.standing is not None and _here(self, held):
            object.__setattr__(self, "standing", Standing.MEMBER)

    @property
    def roles(self) -> frozenset[str]:
        """Roles in this tenant: the membership's, never the credential's."""
        return self.membership.roles if self.membership is not None else frozenset()


def _here(context: TenantContext, held: Membership | None) -> bool:
    """Whether the proof is one for this tenant; of exact texts, since a subclass may equal what it does not say."""
    place = context.tenant_id
    return held is not None and type(place) is type(held.tenant_id) is str and place == held.tenant_id != ""
