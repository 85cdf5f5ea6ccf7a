"""Agents: their own role ∩ what the person they act for may right now ∩ a mask."""

from __future__ import annotations

import pytest

import borrowed
from borrowed import DOC, agent, user
from wellstreak_trust.authz import PolicyHolder
from wellstreak_trust.core import Membership, Principal, TenantContext

POLICY = borrowed.policy()
ADA = user("ada", "member")


@pytest.mark.asvs("8.3.3")
def test_an_agent_may_what_both_may():
    assert POLICY.check(agent("bot", behind=ADA), "docs:update", DOC)
    assert POLICY.check(agent(behind=ADA), "docs:update", DOC).code == "no_grant"
    assert POLICY.check(agent("bot", behind=ADA), "docs:update", {**DOC, "owner_id": "bo"}).code == "ceiling"
    assert POLICY.check(agent("bot", behind=user("ada")), "docs:read", DOC).code == "ceiling"
    assert POLICY.permissions_for(agent("bot", behind=ADA), DOC) == {"docs:read", "docs:update"}


def test_an_agent_alone_may_nothing():
    alone = agent("owner", behind=None)
    assert POLICY.permissions_for(alone, DOC) == frozenset()
    decision = POLICY.check(alone, "docs:read", DOC)
    assert decision.code == "ceiling"
    assert decision.audit()["delegation"] == {"kind": "agent", "principal_id": "bot1", "actor_id": "", "record": ""}


@pytest.mark.parametrize(
    "behind",
    [user("ada", "owner", tenant="t2"), user("ada", "owner", tenant=None), user("ada", "owner", actor=user("sam")),
     agent("owner", behind=user("ada", "owner")), agent("owner", behind=None)],
)  # fmt: skip
def test_authority_comes_from_one_person_of_the_same_tenant(behind):
    assert POLICY.check(agent("owner", behind=behind), "docs:read", DOC).code == "ceiling"


def test_the_delegators_own_ceilings_count():
    keyed = user("ada", "owner", scopes=frozenset({"docs:read"}))
    assert POLICY.permissions_for(agent("owner", behind=keyed), DOC) == {"docs:read"}


def test_forbids_win_for_both():
    only_agents = [{"id": "no-bots", "permissions": ["docs:read"], "when": "principal.kind == 'agent'"}]
    assert borrowed.policy(forbid=only_agents).check(agent("bot", behind=ADA), "docs:read").code == "forbidden_by_rule"
    only_ada = [{"id": "no-ada", "permissions": ["docs:read"], "when": "principal.id == 'ada'"}]
    assert borrowed.policy(forbid=only_ada).check(agent("bot", behind=ADA), "docs:read").code == "ceiling"


def test_what_mints_authority_is_not_for_machines():
    boss = user("ada", "owner")
    for name in ("members:invite", "api_keys:create", "secrets:list", "users:impersonate"):
        assert POLICY.check(agent("owner", behind=boss), name).code == "ceiling"
    assert POLICY.check(agent("owner", behind=boss), "billing:read")


def test_the_sign_in_that_counts_is_the_persons():
    boss = user("ada", "owner", aal=2)
    assert POLICY.check(agent("bot", behind=boss), "docs:purge", DOC)
    weak = POLICY.check(agent("bot", behind=user("ada", "owner"), aal=3), "docs:purge", DOC)
    assert weak.code == "step_up_required"
    assert weak.obligations[0].aal == 2


def test_an_approval_is_asked_of_both_once():
    decision = POLICY.check(agent("bot", behind=user("ada", "owner")), "refunds:create")
    assert (decision.code, decision.obligations[0].by) == ("approval_required", "refunds:approve")
    assert decision.delegation.actor_id == "ada"
    assert POLICY.check(agent("bot", behind=ADA), "refunds:create").code == "ceiling"
    assert POLICY.check(agent("bot", behind=user("ada")), "docs:read").code == "ceiling"


def test_a_context_holds_the_agents_membership():
    inside = TenantContext("t1", agent("owner", behind=ADA), Membership("t1", "bot1", frozenset({"bot"})))
    decision = POLICY.check(inside, "docs:update", DOC)
    assert decision
    assert decision.audit()["delegation"]["actor_id"] == "ada"
    assert POLICY.check(inside, "refunds:create").code == "ceiling"


def test_both_ids_stand_in_every_decision():
    for name, resource in [("docs:read", DOC), ("docs:read", {**DOC, "tenant_id": "t2"}), ("billing:read", None)]:
        record = POLICY.check(agent("bot", behind=ADA), name, resource).audit()["delegation"]
        assert record == {"kind": "agent", "principal_id": "bot1", "actor_id": "ada", "record": ""}


def test_agents_hand_out_no_roles():
    """An agent that nobody stands behind may nothing, and hands out nothing either."""
    target = Principal("new", tenant_id="t1")
    assert POLICY.can_assign(agent("owner", behind=None), target, ["member"]).code == "impersonated"
    alone = TenantContext("t1", agent(behind=None), Membership("t1", "bot1", frozenset({"owner"})))
    assert POLICY.can_assign(alone, target, ["member"]).code == "impersonated"
    assert (
        PolicyHolder(POLICY).can_assign(agent("owner", behind=user("ada", "owner")), target, ["member"]).code
        == "impersonated"
    )
