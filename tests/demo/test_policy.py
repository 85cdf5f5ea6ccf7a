"""The demo's policy as a table: whatever is not listed here is denied, and the table notices every fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from wellstreak_trust.authz import Policy
from wellstreak_trust.core import Principal
from wellstreak_trust.demo.operations import GOVERNED
from wellstreak_trust.demo.plans import PLANS
from wellstreak_trust.demo.routes import ROUTES
from wellstreak_trust.guard import governance
from wellstreak_trust.testing import PolicyTable, assert_matrix, assert_no_escalation, mutate, rule_coverage

POLICY = Policy.load(Path(__file__).parents[2] / "src/wellstreak_trust/demo/policy.toml")
VIEWER = ["workspace:read", "members:read", "agents:read", "ai_settings:read"]
MEMBER = [*VIEWER, "agents:create", "messages:send"]
ADMIN = [
    *MEMBER, "members:invite", "members:assign", "members:remove",
    "integrations:connect", "integrations:read", "integrations:test", "agents:update",
    "ai_settings:update", "billing:read", "audit:read",
]  # fmt: skip
OWNER = [*ADMIN, "billing:update", "workspace:transfer"]
PLATFORM = ["operations:view", "platform:workspaces_list", "platform:break_glass"]


def person(name: str, *roles: str) -> Principal:
    return Principal(name, tenant_id="acme", roles=frozenset(roles))


def frozen(allowed: list[str]) -> dict[str, str]:
    return {**{name: "allowed" for name in allowed if name != "agents:update"}, "agents:update": "forbidden_by_rule"}


AGENT = {"type": "agent", "id": "a1", "tenant_id": "acme"}
TABLE = PolicyTable(
    subjects={
        "viewer": person("u5", "viewer"), "member": person("u1", "member"),
        "admin": person("u2", "admin"), "owner": person("u3", "owner"),
        "operator": Principal("ops", roles=frozenset({"super_admin"})), "stranger": person("u4"),
    },
    resources={
        "workspace": {"tenant_id": "acme"}, "foreign": {"tenant_id": "globex"},
        "own agent": {**AGENT, "owner_id": "u1"}, "another's agent": {**AGENT, "owner_id": "u9"},
        "thawed agent": {**AGENT, "owner_id": "u1", "frozen": False},
        "frozen agent": {**AGENT, "owner_id": "u1", "frozen": True},
    },
    expect={
        "viewer": {
            **dict.fromkeys(["none", "workspace", "own agent", "another's agent", "thawed agent"], VIEWER),
            "frozen agent": VIEWER,
        },
        "member": {
            "none": MEMBER, "workspace": MEMBER, "another's agent": MEMBER, "frozen agent": frozen(MEMBER),
            "own agent": [*MEMBER, "agents:update"], "thawed agent": [*MEMBER, "agents:update"],
        },
        "admin": {
            **dict.fromkeys(["none", "workspace", "own agent", "another's agent", "thawed agent"], ADMIN),
            "frozen agent": frozen(ADMIN),
        },
        "owner": {
            **dict.fromkeys(["none", "workspace", "own agent", "another's agent", "thawed agent"], OWNER),
            "frozen agent": frozen(OWNER), "foreign": dict.fromkeys(OWNER, "tenant_mismatch"),
        },
        "operator": dict.fromkeys(
            ["none", "workspace", "foreign", "own agent", "another's agent", "thawed agent", "frozen agent"], PLATFORM
        ),
    },
)  # fmt: skip


def test_who_may_what():
    assert TABLE.check(POLICY)


def test_every_rule_is_seen_at_work():
    coverage = rule_coverage(POLICY, [TABLE])
    assert coverage.missing == ()
    assert coverage.percent == 100


def test_every_fault_is_noticed():
    report = mutate(POLICY, [TABLE])
    assert report.survivors == ()
    assert len(report.killed) > 15


def test_the_matrix_is_the_reviewed_one():
    assert_matrix(POLICY, Path(__file__).with_name("policy_matrix.md"))


@pytest.mark.parametrize("role", ["owner", "super_admin"])
def test_nobody_climbs(role):
    assert_no_escalation(POLICY, to=role)


def test_nothing_to_ask_the_author():
    assert POLICY.lint() == []


def test_the_governance_is_the_reviewed_one():
    """Who may do what under which plan: change it here, and the diff is what a reviewer reads."""
    written = governance(GOVERNED, POLICY, PLANS).to_markdown()
    assert Path(__file__).with_name("governance.md").read_text(encoding="utf-8") == written
    assert {route.operation for route in ROUTES} - {None} <= set(GOVERNED.values())
