"""Delegation beyond the table: contexts, memberships, conditions, and inputs that are none."""

from __future__ import annotations

import pytest

from wellstreak_trust.authz import Assignment, Policy
from wellstreak_trust.core import Membership, Principal, TenantContext

POLICY = Policy.build(
    permissions={"docs:read": {}, "docs:update": {}, "docs:delete": {}, "ops:list": {"scope": "platform"}},
    resources={"doc": {"attributes": {"owner_id": "string", "locked": "bool", "team": "string"}}},
    roles={
        "reader": {"rank": 5, "allow": ["docs:read"]},
        "writer": {
            "rank": 10,
            "inherits": ["reader"],
            "allow": [
                {"permission": "docs:update", "when": "resource.owner_id == principal.id"},
                {"permission": "docs:update", "when": "resource.team == 'red'"},
            ],
        },
        "narrow": [
            {"permission": "docs:update", "when": "!resource.locked && principal.id == resource.owner_id"},
        ],
        "either": [
            {"permission": "docs:update", "when": "resource.team == 'red' || resource.owner_id == principal.id"},
        ],
        "wide": [{"permission": "docs:update", "when": "resource.team == 'red' || resource.locked"}],
        "full": {"rank": 50, "allow": ["docs:*"]},
        "tall": {"rank": 90, "allow": ["docs:read"]},
        "ops": ["ops:list"],
        "empty": [],
    },
)


def person(name: str, *roles: str, **fields) -> Principal:
    return Principal(name, **{"tenant_id": "t1", "roles": frozenset(roles), **fields})


@pytest.mark.parametrize(
    ("holder", "given", "code"),
    [
        ("writer", "reader", "allowed"), ("writer", "narrow", "allowed"), ("writer", "either", "allowed"),
        ("writer", "wide", "exceeds_grants"), ("writer", "full", "exceeds_grants"), ("full", "wide", "allowed"),
        ("full", "tall", "exceeds_rank"), ("reader", "empty", "allowed"), ("ops", "ops", "exceeds_grants"),
    ],
)  # fmt: skip
def test_what_may_be_given(holder, given, code):
    found = POLICY.can_assign(person("u1", holder), person("u2"), [given])
    assert found.code == code
    assert bool(found) is found.allowed is (code == "allowed")


def test_the_permissions_that_are_lacking_are_named():
    found = POLICY.can_assign(person("u1", "writer"), person("u2"), {"full"})
    assert found.permissions == ("docs:delete", "docs:update")


def test_equals_do_not_touch_each_other():
    assert POLICY.can_assign(person("u1", "full"), person("u2", "full"), []).code == "target_outranks"
    assert POLICY.can_assign(person("u1", "full"), person("u1", "full"), []).allowed  # stepping down is free


def test_oneself_only_downwards():
    me = person("u1", "writer")
    assert POLICY.can_assign(me, me, ["reader"]).allowed
    assert POLICY.can_assign(me, person("u1", "full"), ["full"]).code == "exceeds_grants"


def ranked(**ranks: int) -> Policy:
    return Policy.build(permissions=["d:x"], roles={name: {"rank": rank} for name, rank in ranks.items()})


def test_the_highest_rank_of_several_counts():
    policy = ranked(low=1, mid=5, high=9)
    both = person("u1", "low", "high")
    assert policy.can_assign(both, person("u2"), ["mid", "high"]).allowed  # as high as oneself
    assert policy.can_assign(person("u1", "mid"), person("u2"), ["low", "high"]).code == "exceeds_rank"
    assert policy.can_assign(both, person("u2", "low", "mid"), []).allowed
    assert policy.can_assign(person("u1", "mid"), person("u2", "low", "high"), []).code == "target_outranks"


def test_roles_that_the_policy_does_not_know_count_for_nothing():
    policy = ranked(low=1, high=9)
    assert policy.can_assign(person("u1", "high", "gone"), person("u2", "low", "gone"), ["low"]).allowed
    assert policy.can_assign(person("u1", "gone"), person("u2"), ["low"]).code == "exceeds_rank"
    assert policy.can_assign(person("u1", "low"), person("u2", "gone"), []).allowed


def test_ranks_below_nothing():
    """Nobody needs a rank to give nothing: with a rank below zero too, one may step down."""
    policy = ranked(guest=-5, low=-9)
    guest = person("u1", "guest")
    assert policy.can_assign(guest, guest, []).allowed
    assert policy.can_assign(guest, guest, ["low"]).allowed
    assert policy.can_assign(guest, person("u2", "low"), []).allowed
    assert policy.can_assign(person("u1", "low"), person("u2"), ["guest"]).code == "exceeds_rank"


def test_contexts_and_memberships():
    giver = TenantContext("t1", Principal("u1"), Membership("t1", "u1", frozenset({"full"})))
    assert POLICY.can_assign(giver, Membership("t1", "u2", frozenset({"reader"})), ["writer"]).allowed
    assert POLICY.can_assign(giver, Membership("t1", "u2", frozenset({"tall"})), []).code == "target_outranks"
    assert POLICY.can_assign(giver, Membership("t2", "u2", frozenset()), ["reader"]).code == "tenant_mismatch"
    stranger = TenantContext("t2", Principal("u1"), Membership("t1", "u1", frozenset({"full"})))
    assert POLICY.can_assign(stranger, person("u2"), ["reader"]).code == "tenant_mismatch"
    operator = TenantContext("t1", Principal("u1"), Membership("t1", "u1", frozenset({"full", "ops"})))
    assert POLICY.can_assign(operator, person("u2"), ["ops"]).code == "exceeds_grants"


def test_ceilings_and_actors():
    key = person("k1", "full", kind="api_key", scopes=frozenset({"docs:read"}))
    assert POLICY.can_assign(key, person("u2"), ["reader"]).allowed
    assert POLICY.can_assign(key, person("u2"), ["writer"]) == Assignment(False, "ceiling", ("docs:update",))
    puppet = person("u1", "full", actor=Principal("support"))
    assert POLICY.can_assign(puppet, person("u2"), ["reader"]).code == "impersonated"


@pytest.mark.parametrize(
    "roles", ["reader", b"reader", None, 5, {"reader": 1}, [None], [b"reader"], [["reader"]], ["*"]]
)
def test_what_is_no_set_of_roles(roles):
    assert POLICY.can_assign(person("u1", "full"), person("u2"), roles).code == "unknown_role"


@pytest.mark.parametrize("nobody", [None, "u1", {}, object(), 5])
def test_nobody_gives_and_nobody_gets(nobody):
    assert POLICY.can_assign(nobody, person("u2"), ["reader"]).code == "unauthenticated"
    assert POLICY.can_assign(person("u1", "full"), nobody, ["reader"]).code == "unauthenticated"


def test_an_error_gives_nothing():
    def broken():
        yield "reader"
        raise ConnectionError

    assert POLICY.can_assign(person("u1", "full"), person("u2"), broken()).code == "evaluation_error"
    assert POLICY.can_assign(person("u1", "full"), Membership("t1", "", frozenset()), []).code == "evaluation_error"
