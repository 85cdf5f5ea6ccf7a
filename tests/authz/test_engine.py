"""The order of a decision, what a decision is, and subjects and resources of every kind."""

from __future__ import annotations

import copy
import logging
import pickle
from collections import OrderedDict, UserDict, defaultdict
from dataclasses import FrozenInstanceError, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import SimpleNamespace
from unittest.mock import MagicMock, Mock

import pytest

from wellstreak_trust.authz import AccessDenied, Decision, Policy, PolicyError, PolicyHolder, UsageError
from wellstreak_trust.core import FixedClock, Membership, Principal, TenantContext
from wellstreak_trust.core.canonical import canonical_json
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.telemetry import Counters

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DOC = {"type": "doc", "id": "d1", "tenant_id": "t1", "owner_id": "u1", "suspended": False}
DOCUMENT = {
    "schema": 1,
    "permissions": {
        "docs:read": {},
        "docs:update": {},
        "docs:delete": {},
        "docs:open": {"step_up": {"aal": 2, "max_age": 900}},
        "notes:read": {},
        "platform:list": {"scope": "platform"},
    },
    "resources": {"doc": {"attributes": {"owner_id": "string", "suspended": "bool", "locked": "bool?"}}},
    "context": {"attributes": {"mfa": "bool"}},
    "roles": {
        "member": {"allow": ["docs:read", {"id": "own", "permission": "docs:update",
                                           "when": "resource.owner_id == principal.id"}]},
        "admin": {"inherits": ["member"], "allow": ["docs:*", "notes:read"]},
        "super": {"allow": ["platform:list"]},
    },
    "forbid": [
        {"id": "suspended", "permissions": ["docs:*"], "when": "resource.suspended"},
        {"id": "locked", "permissions": ["docs:delete"], "when": "has(resource.locked) && resource.locked"},
        {"id": "nobody", "permissions": ["docs:delete"], "when": "!context.mfa"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.from_dict(DOCUMENT, clock=FixedClock(NOW))


def user(*roles: str, **fields) -> Principal:
    return Principal("u1", **{"tenant_id": "t1", "roles": frozenset(roles), **fields})


def inside(*roles: str, tenant: str = "t1", principal: Principal | None = None) -> TenantContext:
    return TenantContext(tenant, principal or Principal("u1"), Membership("t1", "u1", frozenset(roles)))


# --- the order -------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("8.2.1")
def test_each_step_hides_the_ones_after_it(policy):
    foreign = {**DOC, "tenant_id": "t2", "suspended": True}
    suspended = {**DOC, "suspended": True}
    scoped = user("member", scopes=frozenset())
    assert policy.check(None, "docs:nope", foreign).code == "unknown_permission"
    assert policy.check(None, "docs:read", foreign).code == "unauthenticated"
    assert policy.check(scoped, "docs:read", foreign).code == "tenant_mismatch"
    assert policy.check(scoped, "docs:read", suspended).code == "forbidden_by_rule"
    assert policy.check(user(scopes=frozenset()), "docs:read", DOC).code == "no_grant"
    assert policy.check(scoped, "docs:read", DOC).code == "ceiling"
    assert policy.check(user("admin", scopes=frozenset()), "docs:open", DOC).code == "ceiling"
    assert policy.check(user("admin"), "docs:open", DOC).code == "step_up_required"
    assert policy.check(user("member"), "docs:read", DOC).code == "allowed"


def test_the_forbids_that_decided_and_only_those(policy):
    both = {**DOC, "suspended": True, "locked": True}
    decision = policy.check(user("admin"), "docs:delete", both, {"mfa": True})
    assert (decision.code, set(decision.rule_ids)) == ("forbidden_by_rule", {"suspended", "locked"})
    assert policy.check(user("admin"), "docs:delete", both).rule_ids == ("suspended", "locked")  # not the unknown one
    unknown = policy.check(user("admin"), "docs:delete", {**DOC, "suspended": "no"})
    assert (unknown.code, unknown.rule_ids) == ("forbid_unknown", ("suspended", "nobody"))
    assert unknown.missing == ("context.mfa", "resource.suspended")
    assert policy.check(user("admin"), "docs:delete", DOC, {"mfa": True}).allowed


def test_what_a_grant_says(policy):
    assert policy.check(user("member"), "docs:update", DOC).rule_ids == ("own",)
    failed = policy.check(user("member"), "docs:update", {**DOC, "owner_id": "u2"})
    assert (failed.code, failed.missing) == ("condition_failed", ())
    unknown = policy.check(user("member"), "docs:update", {**DOC, "owner_id": 5})
    assert (unknown.code, unknown.missing, unknown.rule_ids) == ("condition_unknown", ("resource.owner_id",), ("own",))
    assert policy.check(user("member", "admin"), "docs:update", {**DOC, "owner_id": "u2"}).allowed
    assert policy.check(user(), "docs:update", DOC).code == "no_grant"


def test_without_a_resource_the_tenant_must_still_be_there(policy):
    assert policy.check(user("admin"), "notes:read").allowed
    assert policy.check(user("admin", tenant_id=None), "notes:read").code == "tenant_mismatch"
    assert policy.check(user("admin"), "docs:read").code == "forbid_unknown"


# --- step-up ---------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("8.2.4")
@pytest.mark.parametrize(
    ("aal", "age", "met"),
    [(2, 0, True), (2, 900, True), (2, 901, False), (1, 0, False), (3, 10, True), (2, -1, False), (2, None, False)],
)
def test_step_up(policy, aal, age, met):
    since = None if age is None else NOW - timedelta(seconds=age)
    for subject in (user("admin", aal=aal, auth_time=since),
                    inside("admin", principal=Principal("u1", aal=aal, auth_time=since))):  # fmt: skip
        decision = policy.check(subject, "docs:open", DOC)
        assert decision.code == ("allowed" if met else "step_up_required")
        assert decision.obligations == (() if met else (StepUp(aal=2, max_age=900),))


def test_the_clock_is_read_at_each_check():
    clock = FixedClock(NOW)
    policy = Policy.from_dict(DOCUMENT, clock=clock)
    subject = user("admin", aal=2, auth_time=NOW)
    assert policy.check(subject, "docs:open", DOC).allowed
    clock.advance(timedelta(seconds=901))
    assert policy.check(subject, "docs:open", DOC).code == "step_up_required"


# --- subjects --------------------------------------------------------------------------------------------------------


def test_a_context_is_judged_by_its_tenant_and_its_membership(policy):
    elsewhere = Principal("u1", tenant_id="t2", roles=frozenset({"admin"}))
    assert policy.check(inside("member", principal=elsewhere), "docs:read", DOC).allowed
    assert policy.check(inside("member", principal=elsewhere), "notes:read").code == "no_grant"
    assert policy.check(inside("admin", tenant="t2"), "notes:read").code == "tenant_mismatch"  # a proof for t1
    assert policy.check(inside("admin"), "docs:read", {**DOC, "tenant_id": "t2"}).conceal
    assert policy.check(TenantContext("t1", user("admin"), None), "notes:read").code == "no_grant"
    assert policy.check(inside("member"), "docs:update", DOC).allowed
    assert policy.check(inside("member", principal=Principal("u2")), "docs:update", DOC).code == "condition_failed"
    scoped = inside("admin", principal=Principal("u1", scopes=frozenset({"docs:read"})))
    assert policy.check(scoped, "docs:read", DOC).allowed
    assert policy.check(scoped, "notes:read").code == "ceiling"


def test_platform_permissions_never_come_from_a_membership(policy):
    assert policy.check(user("super", tenant_id=None), "platform:list").allowed
    assert policy.check(inside("super"), "platform:list").code == "no_grant"
    operator = Principal("u1", roles=frozenset({"super"}))
    assert policy.check(inside("member", principal=operator), "platform:list").allowed
    bound = operator.in_tenant("t1")  # what a resolver leaves of it
    assert policy.check(inside("super", principal=bound), "platform:list").code == "no_grant"
    assert policy.check(operator, "docs:read", DOC).code == "tenant_mismatch"
    assert policy.check(operator, "notes:read").code == "tenant_mismatch"


@pytest.mark.parametrize(
    "subject",
    [None, "u1", 5, {}, {"id": "u1", "tenant_id": "t1", "roles": ["admin"]}, object(), Principal, Mock(spec=Principal),
     MagicMock(spec=Principal), MagicMock(spec=TenantContext), MagicMock(),
     SimpleNamespace(id="u1", tenant_id="t1", roles=frozenset({"admin"}), scopes=None),
     Membership("t1", "u1", frozenset({"admin"})), TenantContext("t1", None, None), TenantContext("t1", Mock(), None)],
)  # fmt: skip
def test_who_is_nobody(policy, subject):
    for permission in ("docs:read", "notes:read", "platform:list"):
        assert policy.check(subject, permission, DOC).code == "unauthenticated"


@pytest.mark.parametrize("roles", ["admin", b"admin", 5, None, {"admin": 1}, [["admin"]], iter(["admin"]), Mock()])
def test_roles_that_are_no_collection_of_names(policy, roles):
    context = TenantContext("t1", Principal("u1"), Membership("t1", "u1", roles))
    assert not policy.check(context, "docs:read", DOC)
    assert not policy.check(context, "notes:read")


@pytest.mark.parametrize("roles", [["admin"], ("admin",), {"admin"}, frozenset({"admin", 5})])
def test_roles_that_are_one(policy, roles):
    context = TenantContext("t1", Principal("u1"), Membership("t1", "u1", roles))
    assert policy.check(context, "docs:read", DOC).allowed


def test_scopes_given_as_text_are_no_scopes(policy):
    subject = user("admin")
    object.__setattr__(subject, "scopes", "docs:read docs:update")
    assert policy.check(subject, "docs:read", DOC).code == "ceiling"


def test_a_subclass_of_the_principal_is_judged_alike(policy):
    @dataclass(frozen=True, slots=True)
    class Person(Principal):
        pass

    assert policy.check(Person("u1", tenant_id="t1", roles=frozenset({"member"})), "docs:update", DOC).allowed


# --- permissions -----------------------------------------------------------------------------------------------------


class Everything:
    """Equal to all, and in the right bucket."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("docs:read")


class Liar(str):
    """Text that hashes and compares as another."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("docs:read")


@pytest.mark.parametrize(
    "permission",
    [None, 5, b"docs:read", [], {}, "", "docs:*", "*", "docs", "docs:READ", " docs:read", Everything(), Liar("docs:x"),
     "x" * 100_000, "docs:\ud800", "docs:read\0"],
)  # fmt: skip
def test_what_is_no_permission(policy, permission):
    decision = policy.check(user("admin"), permission, DOC)
    assert (decision.allowed, decision.code) == (False, "unknown_permission")
    assert canonical_json(decision.audit())
    assert policy.scope_of(permission) is None


def test_a_mock_of_text_is_no_permission(policy):
    assert policy.check(user("admin"), Mock(spec=str), DOC).code == "unknown_permission"


def test_an_enumeration_of_permissions_may_be_used(policy):
    class Permission(StrEnum):
        READ = "docs:read"

    assert policy.check(user("member"), Permission.READ, DOC).allowed
    assert policy.scope_of(Permission.READ) == "tenant"
    assert policy.scope_of("platform:list") == "platform"


# --- resources -------------------------------------------------------------------------------------------------------


class Row:
    def __init__(self, **fields) -> None:
        self.__dict__.update(fields)


@pytest.mark.parametrize("shape", [dict, UserDict, OrderedDict, lambda d: defaultdict(bool, d), lambda d: Row(**d)])
def test_mappings_and_objects_are_read_alike(policy, shape):
    for fields in (DOC, {**DOC, "suspended": True}, {**DOC, "owner_id": None}, {**DOC, "tenant_id": "t2"}):
        for permission in ("docs:read", "docs:update", "docs:delete"):
            wanted = policy.check(user("member"), permission, fields, {"mfa": True})
            assert policy.check(user("member"), permission, shape(fields), shape({"mfa": True})) == wanted


def test_a_default_is_no_value(policy):
    resource = defaultdict(bool, {"tenant_id": "t1", "owner_id": "u1"})  # `suspended` would spring up as False
    assert policy.check(user("member"), "docs:read", resource).code == "forbid_unknown"
    assert set(resource) == {"tenant_id", "owner_id"}


class Down:
    tenant_id = "t1"
    owner_id = "u1"

    @property
    def suspended(self) -> bool:
        raise ConnectionError("password=hunter2")


class Backend(UserDict):
    def get(self, key, default=None):
        raise TimeoutError("down")


def test_an_error_never_opens_and_is_counted(caplog):
    counters = Counters()
    policy = Policy.from_dict(DOCUMENT, counters=counters)
    with caplog.at_level(logging.WARNING, "wellstreak_trust.authz"):
        for resource in (Down(), Backend(DOC)):
            assert policy.check(user("admin"), "docs:read", resource).code == "evaluation_error"
    assert policy.check(user("admin"), "docs:delete", DOC, Backend()).code == "evaluation_error"
    assert sum(counters.snapshot().values()) == 3
    assert "ConnectionError" in caplog.text
    assert "hunter2" not in caplog.text


def test_broken_telemetry_does_not_turn_a_denial_into_an_error():
    class Broken:
        def add(self, name, amount=1, **labels):
            raise OSError

    policy = Policy.from_dict(DOCUMENT, counters=Broken())
    assert policy.check(user("admin"), "docs:read", Down()).code == "evaluation_error"


@pytest.mark.parametrize("resource", [5, "t1", b"t1", [], [("tenant_id", "t1")], object(), Mock(), MagicMock()])
def test_what_is_no_resource_of_this_tenant(policy, resource):
    decision = policy.check(user("admin"), "docs:read", resource)
    assert (decision.code, decision.conceal) == ("tenant_mismatch", True)


def test_another_tenants_resource_is_not_even_read(policy):
    reads: list[str] = []

    class Watched(UserDict):
        def get(self, key, default=None):
            reads.append(key)
            return super().get(key, default)

    assert policy.check(user("admin"), "docs:read", Watched({**DOC, "tenant_id": "t2"})).conceal
    assert reads == ["tenant_id"]


@pytest.mark.parametrize("context", [5, "mfa", [], object(), Mock(), {"mfa": 1}, {"mfa": "true"}, {}, None])
def test_a_context_without_the_fact(policy, context):
    assert policy.check(user("admin"), "docs:delete", DOC, context).code == "forbid_unknown"


# --- decisions -------------------------------------------------------------------------------------------------------


def test_a_decision_is_a_value(policy):
    decision = policy.check(user("member"), "docs:read", DOC)
    assert policy.check(user("member"), "docs:read", dict(DOC)) is decision  # made once, when the policy loaded
    assert decision.policy_version == policy.version
    for name in ("allowed", "code", "rule_ids"):
        with pytest.raises(FrozenInstanceError):
            setattr(decision, name, None)
    with pytest.raises((AttributeError, TypeError)):
        decision.note = "x"
    assert not hasattr(decision, "__dict__")
    assert pickle.loads(pickle.dumps(decision)) == copy.deepcopy(decision) == decision
    assert bool(decision) is True
    assert bool(replace(decision, allowed=False)) is False


@pytest.mark.asvs("15.3.1")
@pytest.mark.parametrize(
    ("subject", "permission", "resource", "code"),
    [
        (None, "docs:read", DOC, "unauthenticated"), (user("admin"), "docs:x", DOC, "unknown_permission"),
        (user("admin"), "docs:read", {**DOC, "suspended": True}, "forbidden_by_rule"),
        (user("admin"), "docs:read", None, "forbid_unknown"), (user(), "docs:read", DOC, "no_grant"),
        (user("member"), "docs:update", {**DOC, "owner_id": "x"}, "condition_failed"),
        (user("member"), "docs:update", {**DOC, "owner_id": None}, "condition_unknown"),
        (user("member", scopes=()), "docs:read", DOC, "ceiling"), (user("admin"), "docs:open", DOC, "step_up_required"),
        (user("admin"), "docs:read", Down(), "evaluation_error"), (user("member"), "docs:read", DOC, "allowed"),
    ],
)  # fmt: skip
def test_clients_see_the_code_and_auditors_everything(policy, subject, permission, resource, code):
    decision = policy.check(subject, permission, resource)
    assert decision.public() == {"allowed": code == "allowed", "code": code}
    assert bool(decision) is decision.allowed is (code == "allowed")
    record = decision.audit()
    assert set(record) == set(Decision.__slots__)
    assert record["policy_version"] == policy.version
    assert canonical_json(record)


def test_a_foreign_resource_looks_like_none(policy):
    decision = policy.check(user("admin"), "docs:read", {**DOC, "tenant_id": "t2"})
    assert decision.public() == {"allowed": False, "code": "not_found"}
    assert decision.audit()["code"] == "tenant_mismatch"


@pytest.mark.parametrize(
    ("subject", "resource", "status", "code"),
    [(None, DOC, 401, "unauthenticated"), (user("admin"), {**DOC, "tenant_id": "t2"}, 404, "not_found"),
     (user(), DOC, 403, "denied")],
)  # fmt: skip
def test_require_raises_what_the_client_may_see(policy, subject, resource, status, code):
    with pytest.raises(AccessDenied) as caught:
        policy.require(subject, "docs:read", resource)
    problem = caught.value.problem()
    assert (problem["status"], problem["code"]) == (status, code)
    assert caught.value.decision == policy.check(subject, "docs:read", resource)
    assert "t2" not in str(problem)


def test_require_returns_the_decision(policy):
    assert policy.require(user("member"), "docs:read", DOC).allowed


# --- the other verbs -------------------------------------------------------------------------------------------------


def test_many_questions_are_a_loop_of_one(policy):
    questions = [("docs:read", DOC), ("docs:update", {**DOC, "owner_id": "u2"}), ("docs:x", None), ("notes:read", None)]
    for subject in (user("member"), inside("admin"), None):
        assert policy.check_many(subject, iter(questions)) == [policy.check(subject, *each) for each in questions]
    assert policy.check_many(user("admin"), [("docs:delete", DOC)], {"mfa": True})[0].allowed
    for wrong in (None, 5, ["docs:read"], [("docs:read",)], [5]):
        with pytest.raises(UsageError):
            policy.check_many(user("member"), wrong)


def test_what_somebody_may_do(policy):
    assert policy.permissions_for(user("member"), DOC) == {"docs:read", "docs:update"}
    assert policy.permissions_for(user("admin"), DOC, {"mfa": True}) == {
        "docs:read", "docs:update", "docs:delete", "notes:read"}  # fmt: skip
    assert policy.permissions_for(None, DOC) == frozenset()
    assert policy.permissions_for(user("member"), {**DOC, "tenant_id": "t2"}) == frozenset()


def test_who_may_do_something(policy):
    people = [user("member"), Principal("u2", tenant_id="t1", roles={"member"}), user("admin", tenant_id="t2"), None]
    assert policy.who_can("docs:update", people, DOC) == people[:1]
    assert policy.who_can("docs:read", people, DOC) == people[:2]
    assert policy.who_can("docs:x", people, DOC) == []


# --- the object ------------------------------------------------------------------------------------------------------


def test_a_policy_is_immutable(policy):
    for name in ("check", "version", "_table", "anything"):
        with pytest.raises(AttributeError):
            setattr(policy, name, None)
        with pytest.raises(AttributeError):
            delattr(policy, name)
    assert policy.version[:12] in repr(policy)
    assert policy.roles == ("admin", "member", "super")


def test_a_holder_swaps_the_whole_policy(policy):
    empty = Policy.build(permissions=["docs:read"], roles={})
    holder = PolicyHolder(policy)
    assert holder.require(user("member"), "docs:read", DOC).policy_version == policy.version
    assert holder.swap(empty) is policy
    assert holder.policy is empty
    assert holder.version == empty.version
    assert holder.check(user("member"), "docs:read", DOC).code == "no_grant"
    assert holder.check_many(user("member"), [("docs:read", DOC)])[0].policy_version == empty.version
    assert holder.permissions_for(user("admin")) == frozenset()
    assert holder.who_can("docs:read", [user("admin")]) == []
    assert holder.scope_of("docs:update") is None
    assert not holder.can_assign(user("admin"), user(), ["admin"])
    for wrong in (None, {}, holder):
        with pytest.raises(UsageError):
            holder.swap(wrong)
    assert holder.policy is empty


@pytest.mark.parametrize(
    "given", [{"permissions": 5, "roles": {}}, {"permissions": [[]], "roles": {}}, {"permissions": [], "roles": []}]
)
def test_a_policy_in_code_of_odd_types_is_refused(given):
    with pytest.raises(PolicyError):
        Policy.build(**given)


def test_odd_arguments_are_refused_by_name():
    with pytest.raises(PolicyError):
        Policy.preset([])
    with pytest.raises(UsageError):
        Policy.preset().who_can("billing:read", 5)
