"""A small composition over memory stores: ada owns acme, eve owns evil; `root` is of the platform."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ways import HOST

from wellstreak_trust import Operation, Principal, Trust
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.telemetry import Counters
from wellstreak_trust.tenancy import (
    Memberships,
    MemoryMembershipStore,
    PathSource,
    TenantResolver,
    current_tenant,
)

READ = Operation("notes.read", "notes:read", audit="notes.read")
WRITE = Operation("notes.write", "notes:write", audit="notes.written")
OWN = ("Sec-Fetch-Site", "same-origin")


class Small:
    def __init__(self, limit: int = 10_000, **changed: Any) -> None:
        self.sessions = SessionManager(MemorySessionStore())
        self.memberships = Memberships(MemoryMembershipStore())
        self.memberships.create_workspace(Principal("ada"), tenant_id="acme")
        self.memberships.create_workspace(Principal("eve"), tenant_id="evil")
        self.audit = AuditLog(MemoryAuditStore())
        self.counters = Counters()
        rules = [LimitRule("tenant", limit, timedelta(minutes=1), by=("tenant",))]
        parts: dict[str, Any] = {
            "authenticator": Authenticator([self.sessions]),
            "tenants": TenantResolver([PathSource("/w/{tenant}/")], self.memberships),
            "policy": Policy.from_dict(
                {
                    "schema": 1,
                    "permissions": {"notes:read": {}, "notes:write": {}, "notes:purge": {}},
                    "roles": {"owner": {"allow": ["notes:read", "notes:write"]}},
                }
            ),
            "limiter": RateLimiter(rules, store=MemoryLimitStore()),
            "origin": OriginPolicy(),
            "audit": self.audit,
            "counters": self.counters,
            **changed,
        }
        self.trust = Trust(profile="test", **parts)
        self.cookies: dict[str, tuple[str, str]] = {}

    def cookie(self, who: str) -> tuple[str, str]:
        if who not in self.cookies:
            opened = self.sessions.open(who)
            self.cookies[who] = ("Cookie", f"{opened.cookie.name}={opened.token.reveal()}")
        return self.cookies[who]

    def lines(self, who: str = "ada", *more: tuple[str, Any]) -> list[tuple[str, Any]]:
        return [("Host", HOST), self.cookie(who), OWN, *more]

    def trail(self, tenant_id: str = "acme") -> list[str]:
        return [f"{e['action']} {e['outcome']}" for e in reversed(self.audit.events(tenant_id, limit=500))]


def tenant_now() -> str:
    found = current_tenant()
    return found.tenant_id if found is not None else "-"
