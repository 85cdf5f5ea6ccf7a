"""`Operations`: declared once, vetted as a whole, and nothing else is served."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import wellstreak_trust
from wellstreak_trust import Guard, Operation, Operations, Principal, RequestFacts, Trust
from wellstreak_trust.audit import ActionRegistry, ActionSpec, AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy, PolicyHolder
from wellstreak_trust.connections import Connections, HttpProbe, MemoryConnectionStore
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.guard import WORKSPACE_OPERATIONS
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore
from wellstreak_trust.tenancy import (
    Entitlements,
    Feature,
    Memberships,
    MemoryMembershipStore,
    PathSource,
    Plan,
    StaticPlans,
    TenantResolver,
)

PRO = Plan("pro", {"export": Feature()})
POLICY = Policy.from_dict(
    {
        "schema": 1,
        "permissions": {
            "notes:read": {},
            "notes:purge": {"risk": "high", "step_up": {"aal": 2, "max_age": 900}},
            "platform:list": {"scope": "platform"},
        },
        "roles": {"owner": {"allow": ["notes:*"]}},
    }
)
READ = Operation("notes.read", "notes:read")
PURGE = Operation("notes.purge", "notes:purge", audit="notes.purged")
GOOD = (
    READ,
    PURGE,
    Operation("notes.export", "notes:read", feature="export"),
    Operation("notes.sync", "notes:read", connection="drive"),
    Operation("notes.slow", "notes:read", limits=("tenant", LimitRule("own", 1, timedelta(hours=1), by=("tenant",)))),
    Operation("notes.strong", "notes:purge", audit="notes.purged", step_up=StepUp(3)),
    Operation("notes.fresh", "notes:purge", audit="notes.purged", step_up=StepUp(2, 60)),
    Operation("notes.same", "notes:purge", step_up=StepUp(2, 900), recorded_by="the archive, in its own transaction"),
    Operation("list", "platform:list"),
)


@pytest.fixture
def trust(tmp_path: Any) -> Trust:
    sessions, memberships = SessionManager(MemorySessionStore()), Memberships(MemoryMembershipStore())
    memberships.create_workspace(Principal("ada"), tenant_id="acme")
    audit = AuditLog(MemoryAuditStore(), registry=ActionRegistry([ActionSpec("notes.purged", "critical")]))
    secrets = SecretStore(MemorySecretBackend(), KeyChain([LocalKeyProvider.generate(tmp_path / "kek.json")]))
    probes = {"drive": [HttpProbe("whoami", "https://drive.example/whoami")]}
    return Trust(
        profile="test",
        authenticator=Authenticator([sessions]),
        tenants=TenantResolver(
            [PathSource("/w/{tenant}/")], memberships, entitlements=Entitlements(StaticPlans([PRO], {}, "pro"))
        ),
        policy=POLICY,
        limiter=RateLimiter([LimitRule("tenant", 9, timedelta(minutes=1), by=("tenant",))], store=MemoryLimitStore()),
        origin=OriginPolicy(),
        audit=audit,
        connections=Connections(MemoryConnectionStore(), secrets, probes, audit=audit),
    )


def facts(trust: Trust, who: str = "ada") -> RequestFacts:
    authenticator: Any = trust.authenticator
    opened = authenticator.members[0].open(who)
    lines = [("Cookie", f"{opened.cookie.name}={opened.token.reveal()}"), ("Sec-Fetch-Site", "same-origin")]
    return RequestFacts("GET", "https://app.example/w/acme/notes", lines)


# --- a mapping that does not change ----------------------------------------------------------------------------------


def test_it_is_a_mapping_in_the_order_of_declaration() -> None:
    found = Operations(iter(GOOD))
    assert list(found) == [each.name for each in GOOD]
    assert found["notes.read"] is READ
    assert "notes.write" not in found
    assert len(found) == len(GOOD)
    assert repr(Operations([READ, PURGE])) == "Operations(notes.read, notes.purge)"
    assert wellstreak_trust.Operations is wellstreak_trust.guard.Operations


def test_it_cannot_be_changed_and_compares_by_what_it_holds() -> None:
    found: Any = Operations([READ, PURGE])
    with pytest.raises(TypeError):
        found["notes.write"] = READ
    with pytest.raises(TypeError):
        del found["notes.read"]
    with pytest.raises(AttributeError):
        found.more = 1
    assert found == Operations([PURGE, READ])
    assert hash(found) == hash(Operations([PURGE, READ]))
    assert found != Operations([READ])
    assert found != Operations([READ, replace(PURGE, audit=None)])


@pytest.mark.parametrize(
    "name",
    ["", "Notes.read", "notes..read", ".notes", "notes.", "notes read", "notes.réad", "1.x", "a\n", "x" * 129, 7],
)
def test_a_malformed_name_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Operations([READ, Operation(name, "notes:read")])
    assert refused.value.reason == "operation_name"
    assert refused.value.hint


@pytest.mark.parametrize("second", [READ, replace(READ), replace(READ, permission="notes:purge")])
def test_one_name_is_one_operation(second: Operation) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Operations([READ, PURGE, second])
    assert refused.value.reason == "operation_twice"
    assert "notes.read" in refused.value.detail


def test_all_that_is_malformed_is_told_at_once() -> None:
    given: Any = [READ, "notes.write", Operation("N", "notes:read"), READ]
    with pytest.raises(ConfigurationError) as refused:
        Operations(given)
    assert [fault.reason for fault in refused.value.faults] == ["operation", "operation_name", "operation_twice"]
    assert refused.value.reason == "faults"
    assert refused.value.detail.startswith("3 faults\n  - str is no Operation. ")
    assert "[operation_twice]" in str(refused.value)
    twin = pickle.loads(pickle.dumps(refused.value))
    assert [fault.detail for fault in twin.faults] == [fault.detail for fault in refused.value.faults]


# --- what could never be served --------------------------------------------------------------------------------------


def test_a_good_registry_has_no_faults(trust: Trust) -> None:
    assert Operations(GOOD).faults(trust, [PRO]) == []
    Operations(GOOD).vet(trust, [PRO])
    assert Operations(GOOD).faults(replace(trust, operations=Operations(GOOD)), [PRO]) == []


BARE: dict[str, Any] = {"limiter": None, "connections": None}
FAULTS: dict[str, tuple[Operation, dict[str, Any], str]] = {
    "unknown permission": (Operation("x", "notes:raed"), {}, "unknown_permission"),
    "no such limit": (Operation("x", "notes:read", limits=("tennant",)), {}, "limits"),
    "no limiter": (Operation("x", "notes:read", limits=("tenant",)), {"limiter": None}, "limits"),
    "no gate": (Operation("x", "notes:read", connection="drive"), {"connections": None}, "connections"),
    "a connection of the platform": (Operation("x", "platform:list", connection="drive"), {}, "connections"),
    "a feature of the platform": (Operation("x", "platform:list", feature="export"), {}, "entitlements"),
    "no entitlements": (
        Operation("x", "notes:read", feature="export"),
        {"tenants": TenantResolver([PathSource("/w/{tenant}/")], Memberships(MemoryMembershipStore()))},
        "entitlements",
    ),
    "a feature that nobody sells": (Operation("x", "notes:read", feature="exprot"), {}, "unsold_feature"),
    "aal 4": (Operation("x", "notes:read", step_up=StepUp(4)), {}, "step_up"),
    "aal 0": (Operation("x", "notes:read", step_up=StepUp(0, 60)), {}, "step_up"),
    "age 0": (Operation("x", "notes:read", step_up=StepUp(2, 0)), {}, "step_up"),
    "weaker": (Operation("x", "notes:purge", audit="notes.purged", step_up=StepUp(1, 900)), {}, "step_up"),
    "older": (Operation("x", "notes:purge", audit="notes.purged", step_up=StepUp(2, 901)), {}, "step_up"),
    "any age": (Operation("x", "notes:purge", audit="notes.purged", step_up=StepUp(2)), {}, "step_up"),
    "undeclared action": (Operation("x", "notes:read", audit="notes.raed"), {}, "audit_action"),
    "an action that wants a reason": (Operation("x", "notes:read", audit="authz.break_glass"), {}, "audit_action"),
    "no trace": (Operation("x", "notes:purge"), {}, "audit_missing"),
    "a blank trace": (Operation("x", "notes:purge", recorded_by=" "), {}, "audit_missing"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_could_never_be_served(trust: Trust, kind: str) -> None:
    operation, changed, reason = FAULTS[kind]
    trust = replace(trust, **changed)
    (fault,) = Operations([READ, operation]).faults(trust, [PRO])
    assert (fault.reason, fault.detail.partition(" ")[0].rstrip(":")) == (reason, "x")
    assert fault.hint
    with pytest.raises(ConfigurationError) as refused:
        Operations([READ, operation]).vet(trust, [PRO])
    assert refused.value.reason == reason


def test_a_name_that_the_trail_could_never_take_is_a_fault_even_where_it_is_not_strict(trust: Trust) -> None:
    loose = replace(trust, audit=AuditLog(MemoryAuditStore()))
    assert Operations([Operation("x", "notes:read", audit="notes.raed")]).faults(loose) == []
    (fault,) = Operations([Operation("x", "notes:read", audit="notes raed")]).faults(loose)
    assert fault.reason == "audit_action"


def test_every_fault_is_told_at_once(trust: Trust) -> None:
    wrong = [Operation("a", "notes:raed", limits=("x",), connection="drive"), *GOOD, Operation("b", "notes:purge")]
    registry = Operations(wrong)
    found = registry.faults(replace(trust, connections=None), [PRO])
    reasons = ["unknown_permission", "limits", "connections", "connections", "audit_missing"]
    assert [fault.reason for fault in found] == reasons
    with pytest.raises(ConfigurationError) as refused:
        registry.vet(replace(trust, connections=None), [PRO])
    assert [fault.detail for fault in refused.value.faults] == [fault.detail for fault in found]
    for fault in found:
        assert fault.detail in str(refused.value)
        assert fault.hint in str(refused.value)
    assert registry.faults(trust)[-1].reason == "audit_missing"  # without plans, nothing is said about features


def test_without_plans_nothing_is_said_about_what_is_sold(trust: Trust) -> None:
    assert Operations([Operation("x", "notes:read", feature="exprot")]).faults(trust) == []


class OwnPolicy:
    """A host's own: it decides, and has neither catalogue nor risk."""

    def check(self, subject: Any, permission: str, resource: Any = None, context: Any = None) -> Any:
        return POLICY.check(subject, permission, resource, context)


class OwnTrail:
    suspends = False

    async def aemit(self, event: Any, /) -> object:
        return None


class OwnTenants:
    suspends = False

    async def aresolve(self, facts: Any, principal: Any, /) -> Any:
        raise AssertionError("not asked here")


def test_parts_of_the_hosts_own_are_believed(trust: Trust) -> None:
    own: Any = {"policy": OwnPolicy(), "audit": OwnTrail(), "tenants": OwnTenants()}
    registry = Operations([Operation("x", "anything", feature="any", audit="any"), Operation("y", "notes:purge")])
    assert registry.faults(replace(trust, **own)) == []


def test_a_held_policy_is_read_through_its_holder(trust: Trust) -> None:
    (fault,) = Operations([Operation("x", "notes:purge")]).faults(replace(trust, policy=PolicyHolder(POLICY)))
    assert fault.reason == "audit_missing"


def test_a_part_that_cannot_be_asked_is_the_only_fault(trust: Trust) -> None:
    broken: Any = object()
    (fault,) = Operations([Operation("x", "notes:raed")]).faults(replace(trust, limiter=broken))
    assert fault.reason == "part"


# --- routes ----------------------------------------------------------------------------------------------------------


def test_what_no_route_serves() -> None:
    registry = Operations(GOOD)
    assert registry.unrouted([None, *GOOD]) == ()
    assert registry.unrouted(iter([READ, None, READ])) == GOOD[1:]
    assert registry.unrouted([replace(READ, audit="notes.read")]) == GOOD  # another one of the same name


# --- the guard serves nothing else -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stranger", [Operation("notes.list", "notes:read"), replace(READ, permission="platform:list")])
def test_an_operation_that_is_not_registered_is_not_served(trust: Trust, stranger: Operation) -> None:
    guard = Guard(replace(trust, operations=Operations([READ])))
    with guard.enter(facts(trust), READ) as grant:
        assert grant.tenant is not None
    with guard.enter(facts(trust), replace(READ)) as grant:  # an equal one is the same
        assert grant.operation == READ
    refusals: list[Callable[[], Any]] = [
        lambda: guard.vet(stranger),
        lambda: guard.operation(stranger),
        lambda: guard.enter(facts(trust), stranger),
    ]
    for refused in refusals:
        with pytest.raises(ConfigurationError) as caught:
            refused()
        assert caught.value.reason == "unregistered_operation"
    assert caught.value.problem()["code"] == "internal_error"
    assert Guard(trust).faults(stranger) == []  # without a registry nothing changes


def test_a_trust_takes_a_registry_and_nothing_else(trust: Trust) -> None:
    assert replace(trust, operations=Operations([READ])).operations == Operations([READ])
    wrong: Any = (READ,)
    with pytest.raises(ConfigurationError) as refused:
        replace(trust, operations=wrong)
    assert refused.value.reason == "operations"


# --- what this package brings ----------------------------------------------------------------------------------------


def test_the_operations_of_a_workspace_are_without_faults_under_the_preset(trust: Trust) -> None:
    preset = replace(trust, policy=Policy.preset("wellstreak"))
    assert Operations(WORKSPACE_OPERATIONS).faults(preset, [PRO]) == []
    bare = Operations(replace(each, recorded_by=None) for each in WORKSPACE_OPERATIONS)
    assert {fault.reason for fault in bare.faults(preset)} == {"audit_missing"}


def test_the_demo_host_is_without_faults(tmp_path: Any) -> None:
    from sqlalchemy import create_engine

    from wellstreak_trust.demo.host import Host, Outside, Paths, prepare
    from wellstreak_trust.demo.operations import GOVERNED
    from wellstreak_trust.demo.plans import PLANS
    from wellstreak_trust.demo.routes import ROUTES
    from wellstreak_trust.storage.sql import Database

    prepare(Paths(tmp_path))
    engine = create_engine(f"sqlite:///{Paths(tmp_path).database}")
    nowhere = "http://127.0.0.1:9"
    host = Host(Paths(tmp_path), Database(engine), Outside(nowhere, nowhere, "a secret", "https://app.example"))
    assert host.trust.operations is GOVERNED
    assert GOVERNED.faults(host.trust, PLANS) == []
    assert [each.name for each in GOVERNED.unrouted(route.operation for route in ROUTES)] == [
        "members.revoke_invitation", "members.add_service", "workspace.cancel_transfer", "operations.view",
    ]  # fmt: skip
    engine.dispose()
