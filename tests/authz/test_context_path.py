"""Contexts and strangers take the quick path, and get what the careful one would say."""

from __future__ import annotations

import pytest

from wellstreak_trust.authz import Policy
from wellstreak_trust.core import Membership, Principal, TenantContext

POLICY = Policy.build(
    permissions={"d:x": {}, "d:own": {}, "d:here": {}, "d:role": {}, "p:x": {"scope": "platform"}},
    resources={"d": {"attributes": {"owner_id": "string"}}},
    roles={
        "m": [
            "d:x",
            {"permission": "d:own", "when": "resource.owner_id == principal.id"},
            {"permission": "d:here", "when": "resource.owner_id == principal.tenant_id"},
            {"permission": "d:role", "when": "'m' in principal.roles"},
            "p:x",
        ]
    },
)
NAMES = ["d:x", "d:own", "d:here", "d:role", "p:x"]
ROLES = frozenset({"m"})


class Text(str):
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


CONTEXTS = [
    TenantContext("t1", principal, membership)
    for principal in (
        Principal("u1"),
        Principal("u1", tenant_id="t2", roles=ROLES),
        Principal("u1", roles=ROLES),
        Principal("u1", scopes=frozenset({"d:own"})),
        Principal("u1", actor=Principal("u2")),
        Principal("u1", kind="agent", actor=Principal("u2", tenant_id="t1", roles=ROLES)),
    )
    for membership in (
        None,
        Membership("t1", "u1", ROLES),
        Membership("t2", "u1", ROLES),
        Membership(Text("t9"), "u1", ROLES),
        Membership("t1", "u1", {"m"}),  # type: ignore[arg-type]  # a host that forgot to freeze it
        Membership("t1", "u1", "m"),  # type: ignore[arg-type]  # text, never read letter by letter
    )
] + [
    TenantContext("", Principal("u1"), Membership("", "u1", ROLES)),
    TenantContext(Text("t9"), Principal("u1"), Membership("t1", "u1", ROLES)),
    TenantContext("t1", None, Membership("t1", "u1", ROLES)),  # type: ignore[arg-type]  # nobody inside
]
RESOURCES = [
    None,
    {},
    {"tenant_id": "t1", "owner_id": "u1"},
    {"tenant_id": "t1", "owner_id": "t1"},
    {"tenant_id": "t2", "owner_id": "u1"},
    {"tenant_id": ""},
    {"tenant_id": None},
    {"tenant_id": Text("t9"), "owner_id": "u1"},
]


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("permission", NAMES)
def test_contexts(permission, resource):
    for subject in [*CONTEXTS, Principal("u1"), Principal("u1", tenant_id="t1", roles=ROLES)]:
        decision = POLICY.check(subject, permission, resource)
        assert decision == POLICY._judge(subject, permission, resource, None), subject


def test_they_are_not_all_refused():
    context = TenantContext("t1", Principal("u1"), Membership("t1", "u1", ROLES))
    answers = {name: POLICY.check(context, name, RESOURCES[2]).code for name in NAMES}
    assert answers == {
        "d:x": "allowed",
        "d:own": "allowed",
        "d:here": "condition_failed",
        "d:role": "allowed",
        "p:x": "no_grant",
    }
    assert POLICY.check(context, "d:x", RESOURCES[4]).conceal
