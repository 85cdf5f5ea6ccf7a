"""Explanations name what decided and what nearly did, and no values unless asked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.authz import Policy, PolicyHolder
from wellstreak_trust.core import Principal

POLICY = Policy.build(
    permissions=["notes:read", "notes:update", "notes:delete"],
    resources={"note": {"attributes": {"owner_id": "string?", "frozen": "bool?", "size": "int?"}}},
    roles={
        "member": [
            "notes:read",
            {"permission": "notes:update", "when": "resource.owner_id == principal.id && !(resource.size > 9)"},
        ],
        "editor": {"inherits": ["member"], "allow": [{"permission": "notes:update", "when": "resource.size < 5"}]},
        "owner": ["notes:*"],
    },
    forbid=[{"id": "frozen", "permissions": ["notes:*"], "when": "has(resource.frozen) && resource.frozen"}],
)
ADA = Principal("ada", tenant_id="acme", roles=frozenset({"editor"}))
NOTE = {"tenant_id": "acme", "owner_id": "secret-person", "size": 7}


def test_a_denial_with_its_near_misses():
    why = POLICY.explain(ADA, "notes:update", NOTE)
    assert why.decision == POLICY.check(ADA, "notes:update", NOTE)
    assert [(rule.rule_id, rule.value) for rule in why.forbids] == [("frozen", False)]
    assert [(rule.rule_id, rule.value, rule.decider) for rule in why.near_misses] == [
        ("editor.allow[0]", False, "resource.size < 5"),
        ("member.allow[1]", False, "principal.id == resource.owner_id"),
    ]
    assert str(why).splitlines()[0] == "denied: notes:update (condition_failed)"
    assert "because of resource.size < 5 (resource.size is int)" in str(why)


def test_the_first_part_that_failed():
    why = POLICY.explain(ADA, "notes:update", {**NOTE, "owner_id": "ada", "size": 10})
    assert why.grants[1].decider == "9 < resource.size"


def test_what_was_missing():
    why = POLICY.explain(ADA, "notes:update", {"tenant_id": "acme", "size": "7"})
    assert why.decision.code == "condition_unknown"
    assert [(fact.name, fact.found) for fact in why.grants[0].facts] == [("resource.size", "str")]
    assert [(fact.name, fact.found) for fact in why.grants[1].facts] == [
        ("principal.id", "str"),
        ("resource.owner_id", "absent"),
    ]
    assert "missing or of the wrong type: resource.owner_id, resource.size" in str(why)


def test_forbids_show_what_kept_them_from_letting_pass():
    why = POLICY.explain(ADA, "notes:read", {**NOTE, "frozen": True})
    assert (why.forbids[0].value, why.forbids[0].decider) == (True, "has(resource.frozen)")
    assert "decided by frozen" in str(why)


def test_values_only_when_asked():
    assert "secret-person" not in str(POLICY.explain(ADA, "notes:update", NOTE))
    assert "secret-person" not in repr(POLICY.explain(ADA, "notes:update", NOTE))
    assert "resource.owner_id is 'secret-person'" in str(POLICY.explain(ADA, "notes:update", NOTE, values=True))


def test_who_holds_it_instead():
    why = POLICY.explain(ADA, "notes:delete", NOTE)
    assert (why.grants, why.elsewhere, why.roles) == ((), ("owner",), ("editor",))
    assert "held by other roles: owner" in str(why)


def test_an_allow():
    why = POLICY.explain(ADA, "notes:read", NOTE)
    assert why.near_misses == ()
    assert str(why).startswith("allowed: notes:read (allowed)\n  decided by member.allow[0]")


@pytest.mark.parametrize(
    ("subject", "permission", "resource", "code"),
    [
        (None, "notes:read", NOTE, "unauthenticated"),
        (ADA, "notes:*", NOTE, "unknown_permission"),
        (ADA, [], NOTE, "unknown_permission"),
        (ADA, "notes:read", {**NOTE, "tenant_id": "globex"}, "tenant_mismatch"),
    ],
)
def test_where_no_rule_was_reached_none_is_shown(subject, permission, resource, code):
    why = POLICY.explain(subject, permission, resource)
    assert (why.decision.code, why.forbids, why.grants, why.elsewhere) == (code, (), (), ())
    assert code in str(why)


def test_objects_that_raise():
    class Down:
        tenant_id = "acme"

        @property
        def size(self):
            raise RuntimeError("secret-person")

    why = POLICY.explain(ADA, "notes:update", Down())
    assert why.decision.code == "evaluation_error"
    assert "secret-person" not in str(why)


def test_a_holder_explains():
    assert PolicyHolder(POLICY).explain(ADA, "notes:read", NOTE) == POLICY.explain(ADA, "notes:read", NOTE)
    assert PolicyHolder(POLICY).filter(ADA, "notes:read", "note") == POLICY.filter(ADA, "notes:read", "note")


@settings(max_examples=60, deadline=None)
@given(
    owner=st.sampled_from(["ada", "bo", None, 1]),
    size=st.sampled_from([1, 7, 10, None, True]),
    frozen=st.sampled_from([True, False, None]),
)
def test_the_values_add_up_to_the_decision(owner, size, frozen):
    note = {"tenant_id": "acme", "owner_id": owner, "size": size, "frozen": frozen}
    why = POLICY.explain(ADA, "notes:update", note)
    allowed = all(rule.value is False for rule in why.forbids) and any(rule.value for rule in why.grants)
    assert why.decision.allowed is allowed
    for rule in why.grants:
        assert bool(rule.decider) is (rule.value is not True)


def test_the_text_for_operators():
    policy = Policy.build(
        permissions=["a:x", "a:y"],
        resources={"a": {"attributes": {"s": "string", "b": "bool", "n": "int"}}},
        roles={
            "m": [{"permission": "a:x", "when": "resource.s == principal.id && resource.b"},
                  {"permission": "a:x", "when": "resource.n > 3"}],
            "n": {"inherits": ["m"], "allow": ["a:y"]},
            "o": ["a:y"],
        },
        forbid=[{"id": "f", "permissions": ["a:x"], "when": "has(resource.b) && resource.n == 9"},
                {"id": "g", "permissions": ["a:*"], "when": "resource.s == 'z'"}],
    )  # fmt: skip
    asker = Principal("u1", tenant_id="t", roles=frozenset({"m"}))
    assert str(policy.explain(asker, "a:x", None)).splitlines() == [
        "denied: a:x (forbid_unknown)",
        "  decided by g",
        "  missing or of the wrong type: resource.s",
        "  roles: m",
        "  forbids:",
        "    f: FALSE, when has(resource.b) && resource.n == 9",
        "    g: UNKNOWN, when resource.s == 'z'",
        "      because of resource.s == 'z' (resource.s is absent)",
        "  grants:",
        "    m.allow[0]: UNKNOWN, when resource.s == principal.id && resource.b",
        "      because of principal.id == resource.s (principal.id is str, resource.s is absent)",
        "    m.allow[1]: UNKNOWN, when resource.n > 3",
        "      because of 3 < resource.n (resource.n is absent)",
    ]
    allowed = policy.explain(asker, "a:x", {"tenant_id": "t", "s": "u1", "n": 1, "b": True})
    assert str(allowed).splitlines()[:3] == ["allowed: a:x (allowed)", "  decided by m.allow[0]", "  roles: m"]
    assert [grant.rule_id for grant in allowed.near_misses] == ["m.allow[1]"]
    assert str(policy.explain(asker, "a:y", {"tenant_id": "t", "s": "a"})).splitlines() == [
        "denied: a:y (no_grant)",
        "  roles: m",
        "  forbids:",
        "    g: FALSE, when resource.s == 'z'",
        "  held by other roles: n, o",
    ]
    for subject, permission, resource, code in (
        (None, "a:x", {"tenant_id": "t"}, "unauthenticated"), (asker, "a:x", {"tenant_id": "x"}, "tenant_mismatch"),
    ):  # fmt: skip
        assert str(policy.explain(subject, permission, resource)) == f"denied: a:x ({code})\n  roles: none"
