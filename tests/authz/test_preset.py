"""The policy that comes with the package, as a table."""

from __future__ import annotations

import pytest

from wellstreak_trust.authz import Policy, PolicyError
from wellstreak_trust.core import Membership, Principal, TenantContext

PRESET = Policy.preset("wellstreak")
MEMBERS, ADMINS, OWNERS = ("member", "admin", "owner"), ("admin", "owner"), ("owner",)
NOBODY = ()
WORKSPACE = {"type": "workspace", "id": "w1", "tenant_id": "w1"}


def member(*roles: str) -> TenantContext:
    return TenantContext("w1", Principal("u1"), Membership("w1", "u1", frozenset(roles)))


@pytest.mark.parametrize(
    ("permission", "who"),
    [
        ("workspace:read", MEMBERS), ("workspace:update", ADMINS), ("members:read", MEMBERS),
        ("members:invite", ADMINS), ("billing:read", ADMINS), ("billing:update", OWNERS),
        ("integrations:read", MEMBERS), ("integrations:connect", ADMINS), ("integrations:test", ADMINS),
        ("integrations:update", ADMINS), ("secrets:write", ADMINS), ("agents:read", MEMBERS),
        ("agents:create", MEMBERS), ("agents:update", ADMINS), ("ai_settings:read", MEMBERS),
        ("ai_settings:update", ADMINS), ("audit:read", ADMINS), ("audit:export", OWNERS), ("webhooks:manage", ADMINS),
        ("api_keys:create", ADMINS), ("workspace:transfer", NOBODY), ("platform:workspaces_list", NOBODY),
        ("platform:break_glass", NOBODY),
    ],
)  # fmt: skip
def test_who_may(permission, who):
    for role in ("member", "admin", "owner", "super_admin"):
        assert PRESET.check(member(role), permission, WORKSPACE).allowed is (role in who)


def test_a_member_changes_its_own_agents_only():
    agent = {"type": "agent", "id": "a1", "tenant_id": "w1", "owner_id": "u1"}
    assert PRESET.check(member("member"), "agents:update", agent).allowed
    assert PRESET.check(member("member"), "agents:update", {**agent, "owner_id": "u2"}).code == "condition_failed"
    assert PRESET.check(member("member"), "agents:update", WORKSPACE).code == "condition_unknown"


def test_suspension_stops_change_and_leaves_reading_and_paying():
    suspended = {**WORKSPACE, "suspended": True}
    owner = member("owner")
    assert PRESET.check(owner, "integrations:connect", suspended).rule_ids == ("suspended",)
    assert PRESET.check(owner, "agents:update", {**suspended, "type": "agent"}).code == "forbidden_by_rule"
    assert PRESET.check(owner, "billing:update", suspended).allowed
    assert PRESET.check(owner, "workspace:read", suspended).allowed
    assert PRESET.check(owner, "integrations:connect").allowed


def test_ownership_moves_after_a_fresh_strong_sign_in():
    assert PRESET.check(member("owner"), "workspace:transfer").code == "step_up_required"
    assert PRESET.check(member("admin"), "workspace:transfer").code == "no_grant"


def test_operators_hold_no_tenant_data():
    operator = Principal("ops", roles=frozenset({"super_admin"}))
    assert PRESET.permissions_for(operator, WORKSPACE) == {"platform:workspaces_list"}
    assert PRESET.permissions_for(operator.in_tenant("w1"), WORKSPACE) == {"platform:workspaces_list"}
    assert PRESET.permissions_for(member("super_admin"), WORKSPACE) == frozenset()


def test_no_role_reaches_owner():
    for roles in (["member"], ["admin"], ["super_admin"], ["admin", "super_admin"]):
        giver = Principal("u1", tenant_id="w1", roles=frozenset(roles))
        for target in (Principal("u2", tenant_id="w1"), giver):
            assert not PRESET.can_assign(giver, target, ["owner"])
            assert not PRESET.can_assign(giver, target, ["super_admin"])
    owner = Principal("u1", tenant_id="w1", roles=frozenset({"owner"}))
    assert PRESET.can_assign(owner, Principal("u2", tenant_id="w1"), ["owner"])
    assert not PRESET.can_assign(owner, Principal("u2", tenant_id="w1"), ["super_admin"])


@pytest.mark.parametrize("name", ["", "welstreak", "../wellstreak", "wellstreak.toml", None, 5])
def test_there_is_no_other(name):
    with pytest.raises(PolicyError):
        Policy.preset(name)
