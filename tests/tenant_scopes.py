"""Two tenants, what the running code sees of them, and jobs between them: helpers of the tests of tenancy."""

from __future__ import annotations

from wellstreak_trust.core import Principal
from wellstreak_trust.tenancy import (
    Memberships,
    MemoryMembershipStore,
    TenantContext,
    current_tenant,
    tenant_scope,
    testing_context,
)
from wellstreak_trust.tenancy.jobs import JobEnvelopes

T1, T2 = testing_context("t1"), testing_context("t2")
MEMBERSHIPS = Memberships(MemoryMembershipStore())
for owner, tenant in (("u1", "acme"), ("u2", "globex")):
    MEMBERSHIPS.create_workspace(Principal(owner), tenant_id=tenant)
ENVELOPES = JobEnvelopes(bytes(range(32)), MEMBERSHIPS)


def name() -> str | None:
    """The tenant of the running code."""
    found = current_tenant()
    return found.tenant_id if found is not None else None


def scope(tenant_id: str = "acme") -> tenant_scope:
    """The scope of the owner of ``acme`` or ``globex``, proved."""
    who = Principal("u1" if tenant_id == "acme" else "u2")
    return tenant_scope(TenantContext(tenant_id, who.in_tenant(tenant_id), MEMBERSHIPS.prove(who, tenant_id)))
