"""Threat: a policy that opens by mistake. Every case has happened in some engine; beside each stands a rule that
allows everything, so that only the forbid, the type or the error can close the door."""

from __future__ import annotations

from typing import Any

import pytest

from wellstreak_trust.authz import Policy, PolicyError
from wellstreak_trust.core import Principal

ROOT = Principal("u1", tenant_id="t1", roles=frozenset({"root"}))
MEMBER = Principal("u1", tenant_id="t1", roles=frozenset({"member"}), attributes={"team": None})


def policy(when: str | None = None, **sections: Any) -> Policy:
    rules = [] if when is None else [{"id": "f", "permissions": ["docs:read"], "when": when}]
    return Policy.build(
        **{
            "permissions": ["docs:read", "docs:write"],
            "resources": {"doc": {"attributes": {"x": "bool?", "owner_id": "string?", "team": "string?"}}},
            "principal": {"attributes": {"team": "string?"}},
            "roles": {
                "root": ["*"],
                "member": [
                    {"permission": "docs:read", "when": "resource.owner_id == principal.id"},
                    {"permission": "docs:read", "when": "resource.team == principal.team"},
                ],
            },
            "forbid": rules,
            **sections,
        }
    )


def test_the_allow_everything_rule_does_allow():
    assert policy("resource.x").check(ROOT, "docs:read", {"tenant_id": "t1", "x": False}).allowed


@pytest.mark.parametrize("value", [None, "false", 0, 1, "", [], {}, 0.0, object(), float("nan")])
@pytest.mark.parametrize("forbid", ["resource.x", "!resource.x", "resource.x == true", "resource.x != true"])
def test_a_forbid_on_a_value_of_the_wrong_type(forbid, value):
    assert policy(forbid).check(ROOT, "docs:read", {"tenant_id": "t1", "x": value}).code == "forbid_unknown"


@pytest.mark.parametrize("forbid", ["resource.x", "!resource.x", "resource.x == resource.x", "!(resource.x && true)"])
def test_a_forbid_on_what_is_absent(forbid):
    for resource in ({"tenant_id": "t1"}, {"tenant_id": "t1", "X": False}, None):
        assert policy(forbid).check(ROOT, "docs:read", resource).code == "forbid_unknown"


def test_a_forbid_whose_source_raises():
    class Doc:
        tenant_id = "t1"

        @property
        def x(self) -> bool:
            raise OSError

    assert policy("resource.x").check(ROOT, "docs:read", Doc()).code == "evaluation_error"


def test_a_misspelt_permission_in_a_forbid():
    with pytest.raises(PolicyError):
        policy(forbid=[{"id": "f", "permissions": ["docs:raed"]}])


@pytest.mark.parametrize("extra", [{"deny": []}, {"Forbid": []}, {"effect": "deny"}, {"forbids": []}])
def test_a_misspelt_effect(extra):
    with pytest.raises(PolicyError):
        policy(**extra)


@pytest.mark.asvs("8.2.1")
def test_an_empty_policy_allows_nothing():
    empty = Policy.from_dict({"schema": 1})
    assert empty.check(ROOT, "docs:read").code == "unknown_permission"
    assert empty.permissions_for(ROOT) == frozenset()


def test_nothing_does_not_equal_nothing():
    for resource in ({"tenant_id": "t1", "owner_id": None, "team": None}, {"tenant_id": "t1"}, None):
        assert policy().check(MEMBER, "docs:read", resource).code == "condition_unknown"
    nowhere = Principal("u1", roles=frozenset({"root"}))
    assert policy().check(nowhere, "docs:read", {"tenant_id": None}).code == "tenant_mismatch"


def test_a_rule_that_is_no_boolean():
    with pytest.raises(PolicyError):
        policy("resource.owner_id")


@pytest.mark.parametrize("asked", ["*", "docs:*", "docs:read,docs:write", "DOCS:READ", ""])
def test_a_wildcard_in_the_question(asked):
    assert policy().check(ROOT, asked, {"tenant_id": "t1"}).code == "unknown_permission"


def test_a_denial_is_false():
    decision = policy("true").check(ROOT, "docs:read", {"tenant_id": "t1"})
    assert not decision
    assert decision.code == "forbidden_by_rule"


def test_an_unconditional_forbid_closes():
    closed = policy(forbid=[{"id": "f", "permissions": ["*"]}])
    for resource in (None, {"tenant_id": "t1", "x": False}):
        assert closed.check(ROOT, "docs:read", resource).rule_ids == ("f",)


@pytest.mark.asvs("1.3.2")
@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true')", "resource.__class__", "().__class__", "principal.id.__class__",
     "resource.x or __builtins__", "lambda: true", "[x for x in [1]]", "eval('true')", "'a' if true else 'b'",
     "resource.owner_id == '\\u0022) or True #'", "has(resource.x) and True", "resource.x\n and True", "`id`", "${x}"],
)  # fmt: skip
def test_conditions_are_not_python(text):
    with pytest.raises(PolicyError):
        policy(text if "u0022" not in text else text + ")")


@pytest.mark.asvs("1.3.2")
def test_text_in_a_condition_stays_text():
    quoted = policy(
        **{"roles": {"root": [{"permission": "docs:read", "when": "resource.owner_id == '\" or True or \"'"}]}}
    )
    assert quoted.check(ROOT, "docs:read", {"tenant_id": "t1", "owner_id": "u1"}).code == "condition_failed"
    assert quoted.check(ROOT, "docs:read", {"tenant_id": "t1", "owner_id": '" or True or "'}).allowed
