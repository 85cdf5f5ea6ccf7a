"""The quick path answers the common questions itself; a fault that hands them on would show in nothing but speed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pytest

from wellstreak_trust.authz import Policy
from wellstreak_trust.core import Membership, Principal, TenantContext

DOC = {"tenant_id": "t1", "b": True, "n": 3, "owner": "u1"}
USER = Principal("u1", tenant_id="t1", roles=frozenset({"m"}))
LIMITED = replace(USER, scopes=frozenset({"d:x"}))
MEMBER = TenantContext("t1", Principal("u1"), Membership("t1", "u1", frozenset({"m"})))
SUBJECTS = {"principal": USER, "limited": LIMITED, "member": MEMBER}
CONDITIONS = ["resource.owner == principal.id", "resource.n > 5", "resource.b && resource.n < 2", "context.c",
              "principal.kind == 'service'", "resource.n == 4"]  # fmt: skip


def policy(*allow: Any, scope: str = "tenant", **sections: Any) -> Policy:
    return Policy.build(
        permissions={"d:x": {"scope": scope}},
        resources={"d": {"attributes": {"b": "bool", "n": "int", "owner": "string"}}},
        context={"attributes": {"c": "bool"}},
        roles={"m": [each if each == "d:x" else {"permission": "d:x", "when": each} for each in allow], "n": ["d:x"]},
        **sections,
    )


def quick(policy: Policy, subject: object, resource: object = None, context: object = None) -> str | None:
    """What the quick path says by itself; None where it hands the question on, by whatever way."""
    try:
        decision = policy._quick["d:x"](subject, resource, context)
    except Exception:
        return None
    if decision is not None:
        assert decision == policy._judge(subject, "d:x", resource, context)
        assert decision is policy.check(subject, "d:x", resource, context)
    return decision.code if decision is not None else None


@pytest.mark.parametrize("who", SUBJECTS)
def test_what_is_held_without_condition(who):
    subject = SUBJECTS[who]
    assert quick(policy("d:x"), subject, DOC) == "allowed"
    assert quick(policy("d:x"), subject) == "allowed"
    assert quick(policy("d:x"), subject, {**DOC, "tenant_id": "t2"}) == "tenant_mismatch"
    assert quick(policy(), subject, DOC) == "no_grant"
    assert quick(policy("d:x", CONDITIONS[0]), subject, {**DOC, "owner": "u2"}) == "allowed"


@pytest.mark.parametrize("who", SUBJECTS)
@pytest.mark.parametrize("count", [1, 2, 4, 5, 6])
def test_what_is_held_under_conditions(who, count):
    """Up to four are written out, and more are called one by one."""
    subject, found = SUBJECTS[who], policy(*CONDITIONS[:count])
    assert quick(found, subject, DOC, {"c": False}) == "allowed"
    assert quick(found, subject, {**DOC, "owner": "u2"}, {"c": False}) is None  # why not is the careful path's
    assert found.check(subject, "d:x", {**DOC, "owner": "u2"}, {"c": False}).code == "condition_failed"
    if count >= 2:
        assert quick(found, subject, {**DOC, "owner": "u2", "n": 6}, {"c": False}) == "allowed"
    if count >= 4:
        assert quick(found, subject, {**DOC, "owner": "u2"}, {"c": True}) == "allowed"
        assert quick(found, subject, DOC) == "allowed"  # without a context, what needs none is still answered
    if count == 6:
        assert quick(found, subject, {**DOC, "owner": "u2", "n": 4}, {"c": False}) == "allowed"


def test_each_role_holds_its_own_conditions():
    found = Policy.build(
        permissions=["d:x"],
        resources={"d": {"attributes": {"n": "int"}}},
        roles={role: [{"permission": "d:x", "when": f"resource.n == {number}"}] for number, role in enumerate("abc")},
    )
    for number, role in enumerate("abc"):
        subject = replace(USER, roles=frozenset({role}))
        for n in range(3):
            code = quick(found, subject, {"tenant_id": "t1", "n": n})
            assert code == ("allowed" if n == number else None)
    both = replace(USER, roles=frozenset("ab"))
    assert [quick(found, both, {"tenant_id": "t1", "n": n}) for n in range(3)] == ["allowed", "allowed", None]


@pytest.mark.parametrize("who", SUBJECTS)
def test_forbids_that_are_false_let_pass_and_all_others_are_handed_on(who):
    subject = SUBJECTS[who]
    forbid = [{"id": "f", "permissions": ["d:x"], "when": "resource.b"},
              {"id": "g", "permissions": ["*"], "when": "context.c"}]  # fmt: skip
    found = policy("d:x", forbid=forbid)
    clear, open_ = {**DOC, "b": False}, {"c": False}
    assert quick(found, subject, clear, open_) == "allowed"
    for resource, context in ((DOC, open_), (clear, {"c": True}), (clear, None), (clear, {}), ({**DOC, "b": 0}, open_)):
        assert quick(found, subject, resource, context) is None
        assert not found.check(subject, "d:x", resource, context)
    assert quick(policy(forbid=forbid), subject, clear, open_) == "no_grant"
    bots = [{"id": "f", "permissions": ["d:x"], "when": "principal.kind == 'service' || principal.aal > 2"}]
    assert quick(policy("d:x", forbid=bots), subject, DOC) == "allowed"


def test_conditions_on_a_membership_ask_the_context():
    """What the credential says of another tenant must not count in this one."""
    elsewhere = Principal("u1", tenant_id="t9", roles=frozenset({"x"}))
    inside = TenantContext("t1", elsewhere, Membership("t1", "u1", frozenset({"m"})))
    for here, there in (
        ("principal.tenant_id == 't1'", "principal.tenant_id == 't9'"),
        ("'m' in principal.roles", "'x' in principal.roles"),
    ):
        assert quick(policy(here), USER, DOC) == "allowed"
        assert quick(policy(here), inside, DOC) is quick(policy(there), inside, DOC) is None
        assert policy(here).check(inside, "d:x", DOC).code == "allowed"
        assert policy(there).check(inside, "d:x", DOC).code == "condition_failed"
    assert quick(policy("principal.aal < 2"), inside, DOC) == "allowed"


def test_the_platform():
    root = Principal("r", roles=frozenset({"n"}))
    found = policy("d:x", scope="platform")
    assert quick(found, root) == quick(found, root, {"tenant_id": "t9"}) == quick(found, root, {}) == "allowed"
    assert quick(found, replace(root, roles=frozenset())) == "no_grant"
    assert quick(found, MEMBER) is None
    assert found.check(MEMBER, "d:x").code == "no_grant"


@dataclass(frozen=True, slots=True)
class Sub(Principal):
    pass


@pytest.mark.parametrize(
    ("subject", "resource", "context"),
    [
        (None, DOC, None), ("u1", DOC, None), (Sub("u1", tenant_id="t1", roles=frozenset({"m"})), DOC, None),
        (replace(USER, scopes=frozenset()), DOC, None), (replace(USER, actor=Principal("s")), DOC, None),
        (replace(USER, kind="agent"), DOC, None), (Principal("u1", roles=frozenset({"m"})), None, None),
        (USER, MappingProxyType(DOC), None), (USER, {}, None), (USER, {"tenant_id": None}, None),
        (USER, {**DOC, "tenant_id": 1}, None), (USER, DOC, MappingProxyType({"c": False})), (USER, DOC, 5),
        (TenantContext("t1", Principal("u1", scopes=frozenset()), Membership("t1", "u1", frozenset({"m"}))), DOC, None),
        (TenantContext("t1", Principal("u1"), None), DOC, None),
        (TenantContext("t2", Principal("u1"), Membership("t1", "u1", frozenset({"m"}))), None, None),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_is_odd_is_handed_on(subject, resource, context):
    found = policy("d:x", forbid=[{"id": "f", "permissions": ["d:x"], "when": "has(context.c) && context.c"}])
    assert quick(found, USER, DOC) == "allowed"
    assert quick(found, subject, resource, context) is None


def test_what_ages_is_never_quick():
    aged = Policy.build(permissions={"d:x": {"step_up": {"aal": 1, "max_age": 5}}}, roles={"m": ["d:x"]})
    agreed = Policy.build(permissions={"d:x": {"approval": {"by": "d:y"}}, "d:y": {}}, roles={"m": ["d:x"]})
    for found in (aged, agreed):
        assert quick(found, USER) is None
        assert quick(found, replace(USER, roles=frozenset())) is None
