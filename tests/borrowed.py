"""A policy and people for the tests of borrowed authority."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from wellstreak_trust.authz import Policy
from wellstreak_trust.core import FixedClock, Principal

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)

DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "permissions": {
        "docs:read": {}, "docs:update": {}, "docs:purge": {"risk": "high", "step_up": {"aal": 2}},
        "refunds:create": {"risk": "high", "approval": {"by": "refunds:approve"}}, "refunds:approve": {},
        "billing:read": {}, "members:invite": {}, "api_keys:create": {}, "secrets:list": {}, "users:impersonate": {},
        "platform:break_glass": {"scope": "platform"}, "platform:list": {"scope": "platform"},
    },
    "resources": {"doc": {"attributes": {"owner_id": "string?", "frozen": "bool?"}}},
    "roles": {
        "member": {"allow": ["docs:read", {"permission": "docs:update", "when": "resource.owner_id == principal.id"}]},
        "owner": {"allow": ["*"]},
        "bot": {"allow": ["docs:*", "refunds:create"]},
        "operator": {"allow": ["platform:break_glass", "platform:list"]},
    },
    "forbid": [{"id": "frozen", "permissions": ["docs:*"], "when": "has(resource.frozen) && resource.frozen"}],
}  # fmt: skip

DOC = {"type": "doc", "id": "d1", "tenant_id": "t1", "owner_id": "ada"}
REFUND = {"type": "refund", "id": "r1", "tenant_id": "t1"}


def clock() -> FixedClock:
    return FixedClock(NOW)


def policy(at: FixedClock | None = None, **changes: Any) -> Policy:
    return Policy.from_dict({**DOCUMENT, **changes}, clock=at if at is not None else clock())


def user(id: str, *roles: str, tenant: str | None = "t1", **more: Any) -> Principal:
    return Principal(id, tenant_id=tenant, roles=frozenset(roles), **more)


def agent(*roles: str, behind: Principal | None, tenant: str | None = "t1", **more: Any) -> Principal:
    return Principal("bot1", kind="agent", tenant_id=tenant, roles=frozenset(roles), actor=behind, **more)
