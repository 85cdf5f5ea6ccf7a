"""What a role holds, by itself and by what it inherits."""

from __future__ import annotations

import pytest

from wellstreak_trust.authz import Policy
from wellstreak_trust.authz.holdings import NEVER, allowed, ancestry, granted, wildcards
from wellstreak_trust.authz.logic import All, Either, Truth
from wellstreak_trust.authz.spelling import spelled
from wellstreak_trust.core import Principal

MODEL = Policy.build(
    permissions={"a:read": {}, "a:write": {}, "b:read": {}, "p:list": {"scope": "platform"}},
    resources={"a": {"attributes": {"x": "bool", "y": "bool"}}},
    roles={
        "leaf": {"inherits": ["left", "right"], "allow": [{"permission": "a:read", "when": "resource.y"}]},
        "left": {"inherits": ["root"], "allow": ["a:*"]},
        "right": {"inherits": ["root"], "allow": [{"permission": "b:read", "when": "resource.x"}]},
        "root": {"allow": ["*", "p:list", {"permission": "a:read", "when": "resource.x"}]},
        "two": [{"permission": "a:read", "when": when} for when in ("resource.x", "resource.y", "resource.x")],
        "one": [{"permission": "a:read", "when": "resource.x"}],
    },
    forbid=[{"id": id, "permissions": ["a:read"], "when": "!resource.y"} for id in ("f", "g")],
)._model


def test_ancestry_is_every_generation_once_and_nearest_first():
    assert ancestry(MODEL, "leaf") == ("leaf", "left", "right", "root")
    assert ancestry(MODEL, "root") == ("root",)
    assert ancestry(MODEL, "nobody") == ()


def test_grants_of_every_generation_are_explained():
    policy = Policy.build(
        permissions=["a:read"],
        roles={"c": {"inherits": ["b"]}, "b": {"inherits": ["a"]}, "a": ["a:read"]},
    )
    subject = Principal("u", tenant_id="t", roles=frozenset({"c"}))
    assert [rule.rule_id for rule in policy.trace(subject, "a:read")] == ["a.allow[0]"]
    assert [rule.rule_id for rule in policy.explain(subject, "a:read").grants] == ["a.allow[0]"]


@pytest.mark.parametrize(
    ("role", "permission", "names"),
    [("leaf", "a:read", ("a:*", "*")), ("leaf", "b:read", ("*",)), ("right", "a:write", ("*",)), ("one", "a:read", ()),
     ("root", "p:list", ()), ("root", "nope:x", ()), ("nobody", "a:read", ())],
)  # fmt: skip
def test_wildcards_that_bring_a_permission(role, permission, names):
    assert wildcards(MODEL, role, permission) == names


def test_what_a_role_is_granted():
    assert granted(MODEL, "root", "b:read") == granted(MODEL, "leaf", "a:write") == Truth(True)
    assert (
        granted(MODEL, "one", "b:read") == granted(MODEL, "one", "nope") == granted(MODEL, "nobody", "a:read") == NEVER
    )
    assert spelled(granted(MODEL, "one", "a:read")) == "resource.x"
    two = granted(MODEL, "two", "a:read")
    assert isinstance(two, Either)
    assert spelled(two) == "resource.x || resource.y"


def test_what_forbids_leave_of_it():
    assert allowed(MODEL, "one", "nope") == allowed(MODEL, "one", "b:read") == Truth(False)
    one = allowed(MODEL, "one", "a:read")
    assert isinstance(one, All)
    assert [spelled(part) for part in one.nodes] == ["resource.x", "resource.y"]
    assert allowed(MODEL, "root", "b:read") == All((Truth(True),))
