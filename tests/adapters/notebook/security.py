"""The composition: over memory, so that every test of the project may begin anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from wellstreak_trust import Operation, Principal, Trust
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore, PathSource, TenantResolver, current_tenant

LIST = Operation("notes.list", "notes:read")
READ = Operation("notes.read", "notes:read", audit="notes.read")
CREATE = Operation("notes.create", "notes:create", audit="notes.created")
UPDATE = Operation("notes.update", "notes:update", audit="notes.updated")
PURGE = Operation("notes.purge", "notes:purge", audit="notes.purged")
ADMIN = Operation("admin.enter", "admin:enter", step_up=StepUp(aal=2, max_age=900))
VIEW_ROWS = Operation("admin.view", "admin:view")
CHANGE_ROWS = Operation("admin.change", "admin:change", audit="notices.edited")

POLICY = {
    "schema": 1,
    "permissions": {
        "notes:read": {}, "notes:create": {}, "notes:purge": {}, "notes:update": {"resource": "note"},
        "admin:enter": {"scope": "platform"}, "admin:view": {"scope": "platform"},
        "admin:change": {"scope": "platform"},
    },
    "resources": {"note": {"attributes": {"owner_id": "string?"}}},
    "roles": {
        "owner": {
            "allow": [
                "notes:read", "notes:create",
                {"permission": "notes:update", "when": "resource.owner_id == principal.id"},
            ]
        },
        "root": {"allow": ["admin:enter", "admin:view", "admin:change"]},
        "auditor": {"allow": ["admin:enter", "admin:view"]},
    },
}  # fmt: skip


class Parts:
    """What a test looks into."""

    def __init__(self, limit: int = 1_000) -> None:
        self.sessions = SessionManager(MemorySessionStore())
        self.memberships = Memberships(MemoryMembershipStore())
        self.memberships.create_workspace(Principal("ada"), tenant_id="acme")
        self.memberships.create_workspace(Principal("eve"), tenant_id="evil")
        self.audit = AuditLog(MemoryAuditStore())
        self.trust = Trust(
            profile="test",
            authenticator=Authenticator([self.sessions]),
            tenants=TenantResolver([PathSource("/w/{tenant}/")], self.memberships),
            policy=Policy.from_dict(POLICY),
            limiter=RateLimiter(
                [LimitRule("tenant", limit, timedelta(minutes=1), by=("tenant",))], store=MemoryLimitStore()
            ),
            origin=OriginPolicy(),
            audit=self.audit,
        )

    def cookie(self, who: str, **session: Any) -> tuple[str, str]:
        opened = self.sessions.open(who, **session)
        return "Cookie", f"{opened.cookie.name}={opened.token.reveal()}"

    def trail(self, tenant_id: str = "acme") -> list[str]:
        return [f"{e['action']} {e['outcome']}" for e in reversed(self.audit.events(tenant_id, limit=500))]


HELD: list[Parts] = []


def parts() -> Parts:
    if not HELD:
        HELD.append(Parts())
    return HELD[0]


def trust() -> Trust:
    return parts().trust


def tenant_now() -> str:
    found = current_tenant()
    return found.tenant_id if found is not None else "-"
