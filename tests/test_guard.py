"""The pipeline: its order, what it records, and what happens when a dependency fails."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust import Grant, Guard, Operation, Principal, RequestFacts, Trust
from wellstreak_trust.audit import ActionRegistry, ActionSpec, AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.core.errors import (
    AccessDenied,
    AuditUnavailable,
    EntitlementDenied,
    InvalidCredential,
    NotFound,
    OriginDenied,
    RateLimited,
    ReauthRequired,
    StoreUnavailable,
    TenantNotFound,
)
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.telemetry import Counters
from wellstreak_trust.telemetry.anomalies import detect
from wellstreak_trust.tenancy import (
    Entitlements,
    EntitlementSnapshot,
    Feature,
    Memberships,
    MemoryMembershipStore,
    MemoryUsageStore,
    PathSource,
    StaticEntitlements,
    TenantResolver,
    current_tenant,
)

POLICY = Policy.from_dict(
    {
        "schema": 1,
        "permissions": {
            "billing:read": {},
            "billing:update": {},
            "notes:update": {"resource": "note"},
            "platform:list": {"scope": "platform"},
        },
        "resources": {"note": {"attributes": {"owner_id": "string"}}},
        "roles": {
            "member": {"allow": [{"permission": "notes:update", "when": "resource.owner_id == principal.id"}]},
            "owner": {"inherits": ["member"], "allow": ["billing:*"]},
            "super_admin": {"allow": ["platform:list"]},
        },
    }
)
READ = Operation("billing.read", "billing:read")
UPDATE = Operation("billing.update", "billing:update", audit="billing.updated")
NOTE = Operation("notes.update", "notes:update")


class Failing(MemoryAuditStore):
    down = False

    async def append_batch(self, *arguments: Any, **keywords: Any) -> Any:
        if self.down:
            raise StoreUnavailable("disk full")
        return await super().append_batch(*arguments, **keywords)


class World:
    def __init__(self, **limits: int) -> None:
        self.store = Failing()
        self.sessions = SessionManager(MemorySessionStore())
        self.memberships = Memberships(MemoryMembershipStore())
        self.memberships.create_workspace(Principal("ada"), tenant_id="acme")
        self.plans = StaticEntitlements(
            {"acme": EntitlementSnapshot(plan="team", status="active", period_end=None, features={"ai": Feature()})}
        )
        self.audit = AuditLog(self.store, registry=ActionRegistry([ActionSpec("billing.updated", "critical")]))
        self.counters = Counters()
        rules = [LimitRule(name, n, timedelta(minutes=1), by=(name,)) for name, n in limits.items()]
        self.guard = Guard(
            Trust(
                profile="test",
                authenticator=Authenticator([self.sessions]),
                tenants=TenantResolver(
                    [PathSource("/w/{tenant}/")],
                    self.memberships,
                    entitlements=Entitlements(self.plans, MemoryUsageStore()),
                ),
                policy=POLICY,
                limiter=RateLimiter(rules, store=MemoryLimitStore()) if rules else None,
                origin=OriginPolicy(),
                audit=self.audit,
                counters=self.counters,
            )
        )
        self.sessions_of: dict[str, str] = {}

    def facts(self, who: str | None = "ada", path: str = "/w/acme/x", **headers: str) -> RequestFacts:
        sent = {"Sec-Fetch-Site": "same-origin", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if who is not None:
            if who not in self.sessions_of:
                opened = self.sessions.open(who, roles=["super_admin"] if who == "root" else [])
                self.sessions_of[who] = f"{opened.cookie.name}={opened.token.reveal()}"
            sent["Cookie"] = self.sessions_of[who]
        return RequestFacts("POST", f"https://app.example{path}", sent, peer="203.0.113.7")

    def trail(self, tenant_id: str = "acme") -> list[tuple[str, str]]:
        return [(e["action"], e["outcome"]) for e in reversed(self.audit.events(tenant_id))]


def test_a_grant_holds_what_was_decided_and_enters_the_tenant() -> None:
    world = World(client=100, tenant=100)
    with world.guard.enter(world.facts(), UPDATE) as grant:
        assert grant.principal is not None
        assert grant.tenant is not None
        assert (grant.principal.id, grant.tenant.tenant_id, grant.decision.allowed) == ("ada", "acme", True)
        assert current_tenant() is grant.tenant
        assert grant.verdict.allowed
    assert current_tenant() is None
    assert world.trail() == [("billing.updated", "attempted"), ("billing.updated", "success")]


def test_the_order_of_refusals_is_cheapest_first() -> None:
    world = World(client=1)
    with pytest.raises(OriginDenied):
        world.guard.enter(world.facts(Sec_Fetch_Site="cross-site"), READ)
    with pytest.raises(InvalidCredential):
        world.guard.enter(world.facts(None), READ)
    with pytest.raises(RateLimited):  # the client's one request went to the credential stage
        world.guard.enter(world.facts(), READ)


@pytest.mark.asvs("2.2.2")
@pytest.mark.parametrize(
    ("who", "path", "operation", "error"),
    [
        ("ada", "/w/none/x", READ, TenantNotFound),
        ("eve", "/w/acme/x", READ, TenantNotFound),
        ("ada", "/elsewhere", READ, TenantNotFound),
        ("ada", "/w/acme/x", Operation("ai", "billing:read", feature="none"), EntitlementDenied),
        ("ada", "/w/acme/x", Operation("list", "platform:list"), AccessDenied),
        ("ada", "/w/acme/x", Operation("odd", "no:such"), AccessDenied),
        ("ada", "/w/acme/x", Operation("strong", "billing:read", step_up=StepUp(aal=2)), ReauthRequired),
    ],
)
def test_each_stage_refuses_and_the_refusal_is_recorded(
    who: str, path: str, operation: Operation, error: type[Exception]
) -> None:
    world = World()
    with pytest.raises(error):
        world.guard.enter(world.facts(who, path), operation)
    assert ("access.denied", "denied") in world.trail() + world.trail("system")


def test_platform_operations_need_no_tenant() -> None:
    world = World(tenant=1, client=9)
    for _ in range(3):
        with world.guard.enter(world.facts("root", "/admin"), Operation("list", "platform:list")) as grant:
            assert grant.tenant is None
            assert grant.subject is grant.principal


def test_the_resource_is_fetched_inside_the_scope_and_none_is_404() -> None:
    world = World()

    def note(tenant: Any) -> Any:
        assert current_tenant() is tenant
        return {"type": "note", "tenant_id": tenant.tenant_id, "owner_id": "ada"}

    with world.guard.enter(world.facts(), NOTE, note) as grant:
        assert grant.decision.allowed
    with pytest.raises(NotFound):
        world.guard.enter(world.facts(), NOTE, lambda tenant: None)
    with pytest.raises(AccessDenied):
        world.guard.enter(world.facts(), NOTE, {"type": "note", "tenant_id": "acme", "owner_id": "bo"})
    with pytest.raises(AccessDenied) as caught:
        world.guard.enter(world.facts(), NOTE, {"type": "note", "tenant_id": "other", "owner_id": "ada"})
    assert caught.value.status == 404


def test_a_failed_operation_gives_the_limit_back() -> None:
    world = World(tenant=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), world.guard.enter(world.facts(), UPDATE):
            raise ZeroDivisionError
    with world.guard.enter(world.facts(), UPDATE) as grant:
        grant.settle(1)
    with pytest.raises(RateLimited):
        world.guard.enter(world.facts(), UPDATE)
    assert world.trail().count(("billing.updated", "error")) == 3


def test_no_audit_no_action_but_denials_work() -> None:
    world = World()
    world.store.down = True
    with pytest.raises(AuditUnavailable):
        world.guard.enter(world.facts(), UPDATE)
    with pytest.raises(TenantNotFound):
        world.guard.enter(world.facts("eve"), UPDATE)
    with world.guard.enter(world.facts(), READ) as grant:
        assert grant.decision.allowed


def test_a_trail_that_dies_during_the_work_does_not_undo_it() -> None:
    world = World()
    with world.guard.enter(world.facts(), UPDATE):
        world.store.down = True
    world.store.down = False
    assert world.trail()[0] == ("billing.updated", "attempted")
    assert ("billing.updated", "success") not in world.trail()
    assert any(name == "wst.audit.dropped" for name, _ in world.counters.snapshot())


def test_own_limits_of_an_operation_count_besides() -> None:
    world = World(tenant=100)
    rule = LimitRule("burst", 2, timedelta(minutes=1), by=("tenant",))
    operation = Operation("burst", "billing:read", limits=(rule, "tenant"))
    for _ in range(2):
        world.guard.enter(world.facts(), operation).finish()
    with pytest.raises(RateLimited) as caught:
        world.guard.enter(world.facts(), operation)
    assert caught.value.problem()["violated-policies"] == ["burst"]
    world.guard.enter(world.facts(), READ).finish()


def test_the_decorator_serves_functions_and_coroutine_functions() -> None:
    world = World()

    @world.guard.operation(UPDATE)
    def now(grant: Grant, amount: int) -> int:
        return amount + 1

    @world.guard.operation(UPDATE)
    async def later(grant: Grant, amount: int) -> int:
        return amount + 2

    assert now(world.facts(), 1) == 2
    assert asyncio.run(later(world.facts(), 1)) == 3
    assert world.trail().count(("billing.updated", "success")) == 2


def test_the_async_face_gives_the_same() -> None:
    world = World(tenant=5)

    async def main() -> str:
        async def note(tenant: Any) -> Any:
            await asyncio.sleep(0)
            return {"type": "note", "tenant_id": "acme", "owner_id": "ada"}

        async with await world.guard.aenter(world.facts(), NOTE, note) as grant:
            await asyncio.sleep(0)
            assert current_tenant() is grant.tenant
        with pytest.raises(TenantNotFound):
            await world.guard.aenter(world.facts("eve"), UPDATE)
        return str(grant.decision.code)

    assert asyncio.run(main()) == "allowed"


def test_compositions_that_cannot_serve_an_operation_say_so() -> None:
    world = World()
    with pytest.raises(ConfigurationError) as caught:
        world.guard.enter(world.facts(), Operation("send", "billing:read", connection="slack"))
    assert caught.value.reason == "connections"


def test_anonymous_floods_leave_no_trace_but_a_count() -> None:
    world = World(client=2)
    for _ in range(2):
        world.guard.admit(world.facts(None))
    for _ in range(5):
        with pytest.raises(RateLimited):
            world.guard.admit(world.facts(None))
    with pytest.raises(RateLimited):
        world.guard.enter(world.facts(None), READ)
    assert world.trail("system") == []


def test_what_the_guard_records_shows_a_session_used_after_its_end() -> None:
    world = World()
    sessions = SessionManager(world.sessions._store, audit=world.audit)  # the same sessions, told to the trail
    with world.guard.enter(world.facts(), UPDATE):
        pass
    principal = sessions.authenticate(world.sessions_of["ada"].partition("=")[2])
    assert principal.session_id is not None
    before = world.audit.events("acme")
    assert sessions.revoke(principal.session_id, by=Principal("root"))
    with pytest.raises(InvalidCredential):
        world.guard.enter(world.facts(), UPDATE)
    told = world.audit.events("system")
    late = [{**leaf, "seq": leaf["seq"] + 9, "recorded_at": "2999-01-01T00:00:00.000000Z"} for leaf in before]
    only = ["wst.use_after_revoke"]
    assert list(detect([*reversed(before), *reversed(told)], only=only)) == []
    (finding,) = detect([*reversed(before), *reversed(told), *reversed(late)], only=only)
    assert finding.subject == principal.session_id
