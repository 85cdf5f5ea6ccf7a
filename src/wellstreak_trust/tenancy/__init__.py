"""Tenancy: which tenant the running code works for, who belongs to it, and what its subscription includes.

::

    request ──sources──► TenantResolver ──proof──► TenantContext ──tenant_scope──► require_tenant()

A context is made by a resolver (or, in tests, by `testing_context`), entered as a block, and read by everything that
touches tenant data. Another tenant is reached only through `elevate`; what a guard cannot scope runs only in
`unscoped`.
"""

from ..core.errors import (
    AmbiguousTenant,
    EntitlementDenied,
    InvitationInvalid,
    LastOwner,
    NoTenant,
    SeatLimit,
    TenantConflict,
    TenantNotFound,
)
from ..core.tenant import Membership, SupportAccess, TenantContext
from .bylaws import Assignments, TransferPolicy
from .cache import CachedMemberships
from .context import current_tenant, require_tenant, scope_leaks, tenant_scope, testing_context
from .elevation import elevate
from .entitlements import (
    Entitlements,
    EntitlementSource,
    Hold,
    Reservation,
    SeatCounter,
    UsageStore,
)
from .invitations import Invitation
from .keys import TenantKey
from .membership import Memberships, MembershipStore
from .memory import MemoryMembershipStore, MemoryUsageStore
from .observations import Observation, Observations
from .plans import StaticEntitlements, StaticPlans, SubscriptionStore
from .resolve import (
    ApiKeySource,
    ClaimSource,
    HeaderSource,
    PathSource,
    Prover,
    SubdomainSource,
    TenantResolver,
    TenantSource,
)
from .subscription import EntitlementDecision, EntitlementSnapshot, Feature, Plan
from .trail import install_elevation_sink
from .unscoped import is_unscoped, unscoped
from .workspace import Invited, Rule, Transfer, WorkspaceState

__all__ = [
    "AmbiguousTenant",
    "ApiKeySource",
    "Assignments",
    "CachedMemberships",
    "ClaimSource",
    "EntitlementDecision",
    "EntitlementDenied",
    "EntitlementSnapshot",
    "EntitlementSource",
    "Entitlements",
    "Feature",
    "HeaderSource",
    "Hold",
    "Invitation",
    "InvitationInvalid",
    "Invited",
    "LastOwner",
    "Membership",
    "MembershipStore",
    "Memberships",
    "MemoryMembershipStore",
    "MemoryUsageStore",
    "NoTenant",
    "Observation",
    "Observations",
    "PathSource",
    "Plan",
    "Prover",
    "Reservation",
    "Rule",
    "SeatCounter",
    "SeatLimit",
    "StaticEntitlements",
    "StaticPlans",
    "SubdomainSource",
    "SubscriptionStore",
    "SupportAccess",
    "TenantConflict",
    "TenantContext",
    "TenantKey",
    "TenantNotFound",
    "TenantResolver",
    "TenantSource",
    "Transfer",
    "TransferPolicy",
    "UsageStore",
    "WorkspaceState",
    "current_tenant",
    "elevate",
    "install_elevation_sink",
    "is_unscoped",
    "require_tenant",
    "scope_leaks",
    "tenant_scope",
    "testing_context",
    "unscoped",
]
