"""Impersonation: the user's grants under a mask, and both ids on record."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import borrowed
from borrowed import DOC, DOCUMENT, agent, user
from wellstreak_trust.authz import Policy, PolicyError
from wellstreak_trust.core import Membership, Principal, TenantContext

SUPPORT = Principal("sam", roles=frozenset({"operator"}))
POLICY = borrowed.policy()


class Down:
    @property
    def tenant_id(self) -> str:
        raise OSError("down")


def worn(*roles: str, by: Principal = SUPPORT, **more: object) -> Principal:
    return user("ada", *roles, actor=by, reason="ticket 7", **more)


def test_impersonation_is_the_user_under_the_mask():
    assert POLICY.check(worn("member"), "docs:update", DOC)
    assert POLICY.check(worn("member"), "docs:purge", DOC).code == "no_grant"
    assert POLICY.permissions_for(worn("owner", aal=2), DOC) == {
        "docs:read",
        "docs:update",
        "docs:purge",
        "refunds:approve",
    }


@pytest.mark.parametrize(
    "name", ["billing:read", "members:invite", "api_keys:create", "secrets:list", "users:impersonate"]
)
def test_what_outlives_the_visit_is_kept_back(name):
    assert POLICY.check(user("ada", "owner"), name)
    assert POLICY.check(worn("owner"), name).code == "ceiling"


def test_an_agent_wears_nobody():
    """Behind an impersonation stands a person or a service, and never what needs somebody behind itself."""
    for by in (agent("owner", behind=None), agent("owner", behind=SUPPORT)):
        assert POLICY.check(worn("owner", by=by), "docs:read", DOC).code == "ceiling"


AUTHORITY = (
    "credentials:read secrets:write passwords:reset passkeys:add totp:enrol mfa:disable keys:create api_keys:create "
    "apikeys:create tokens:mint members:read memberships:edit invitations:send invite:send users:invite roles:edit "
    "role:edit ownership:take owner:change workspace:transfer impersonation:start users:impersonate docs:share.key"
).split()
MONEY = "billing:read payments:list payouts:start invoices:read subscription:cancel docs:invoice-print".split()
HARMLESS = "docs:read keyboards:list ownerless:read monkeys:feed tokenizer:run roleplay:join".split()


@pytest.mark.parametrize("name", [*AUTHORITY, *MONEY, *HARMLESS])
def test_each_word_of_authority_and_of_money(name):
    policy = Policy.build(permissions=[name], roles={"m": ["*"]})
    assert policy.check(user("ada", "m"), name)
    assert bool(policy.check(user("ada", "m", actor=SUPPORT), name)) is (name in HARMLESS)
    assert bool(policy.check(agent("m", behind=user("ada", "m")), name)) is (name not in AUTHORITY)


def test_both_ids_are_on_record_whatever_the_answer():
    subjects = [worn("member"), TenantContext("t1", worn(), Membership("t1", "ada", frozenset({"member"})))]
    for subject in subjects:
        for name, resource in [("docs:read", DOC), ("docs:purge", DOC), ("docs:read", {**DOC, "tenant_id": "t2"}),
                               ("docs:read", {**DOC, "frozen": True}), ("platform:list", None), ("docs:raed", DOC),
                               ("docs:read", Down())]:  # fmt: skip
            record = POLICY.check(subject, name, resource).audit()["delegation"]
            assert record == {"kind": "impersonation", "principal_id": "ada", "actor_id": "sam", "record": ""}
    assert POLICY.check(user("ada", "member"), "docs:read").audit()["delegation"] is None


def test_a_mock_is_on_no_record():
    for name in ("docs:read", "docs:raed"):
        assert POLICY.check(Mock(spec=Principal), name).delegation is None


def test_there_are_no_chains():
    for by in (worn("owner"), agent("bot", behind=user("ada", "owner"))):
        assert POLICY.check(worn("owner", by=by), "docs:read").code == "ceiling"


def test_nobody_borrows_the_platform():
    both = Policy.from_dict({**DOCUMENT, "roles": {"root": {"allow": ["platform:list"]}}})
    root = Principal("root", roles=frozenset({"root"}))
    assert both.check(root, "platform:list")
    assert both.check(Principal("root", roles=root.roles, actor=SUPPORT), "platform:list").code == "ceiling"


def test_a_document_lists_what_its_mask_admits():
    ceilings = {"impersonation": {"allow": ["billing:*", "docs:read"]}, "agent": {"allow": []}}
    own = borrowed.policy(ceilings=ceilings)
    assert own.permissions_for(worn("owner", aal=2)) == {"billing:read", "docs:read"}
    assert own.permissions_for(agent("owner", behind=user("ada", "owner"))) == frozenset()
    assert own.version != POLICY.version


@pytest.mark.parametrize(
    ("ceilings", "place"),
    [({"impersonation": {"allow": ["docs:raed"]}}, "ceilings.impersonation.allow[0]"),
     ({"agent": {"allow": ["platform:list"]}}, "ceilings.agent.allow[0]"),
     ({"agent": {"allow": ["platform:*"]}}, "ceilings.agent.allow[0]"),
     ({"agents": {"allow": []}}, "ceilings.agents"), ({"agent": {"deny": []}}, "ceilings.agent"),
     ({"agent": {}}, "ceilings.agent.allow"), ({"agent": {"allow": "*"}}, "ceilings.agent.allow")],
)  # fmt: skip
def test_a_mask_that_says_nothing_is_refused(ceilings, place):
    with pytest.raises(PolicyError) as refused:
        borrowed.policy(ceilings=ceilings)
    assert refused.value.detail.startswith(place)


ROLES = st.frozensets(st.sampled_from(["member", "owner", "bot", "operator", "unknown"]))
SCOPES = st.none() | st.frozensets(st.sampled_from(sorted(DOCUMENT["permissions"])))


@settings(max_examples=60, deadline=None)
@given(ROLES, ROLES, SCOPES, st.sampled_from(["t1", "t2", None]), st.sampled_from(["user", "agent", "service"]))
def test_borrowing_never_widens(mine, behind, scopes, tenant, kind):
    lender = Principal("ada", tenant_id=tenant, roles=behind, scopes=scopes)
    alone = Principal("x", tenant_id="t1", roles=mine, scopes=scopes)
    lent = Principal("x", kind=kind, tenant_id="t1", roles=mine, scopes=scopes, actor=lender)
    assert POLICY.permissions_for(lent, DOC) <= POLICY.permissions_for(alone, DOC)
    if kind == "agent":
        assert POLICY.permissions_for(lent, DOC) <= POLICY.permissions_for(lender, DOC)
