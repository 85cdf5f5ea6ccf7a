"""Who may give what: ranks, the policy's `can_assign`, and both together, on the stored membership."""

from __future__ import annotations

from typing import Any

import pytest

from wellstreak_trust.authz import Policy, PolicyHolder
from wellstreak_trust.core.errors import Denied, InvitationInvalid, LastOwner
from wellstreak_trust.tenancy import MemoryMembershipStore
from workspaces import World, ctx, person

POLICY = Policy.from_dict(
    {
        "schema": 1,
        "permissions": {"docs:read": {}, "docs:write": {}, "members:invite": {}, "billing:update": {}},
        "roles": {
            "viewer": {"rank": 5, "allow": ["docs:read"]},
            "member": {"rank": 10, "allow": ["docs:read", "docs:write"]},
            "admin": {"rank": 50, "inherits": ["member"], "allow": ["members:invite"]},
            "owner": {"rank": 100, "inherits": ["admin"], "allow": ["*"]},
            "treasurer": {"rank": 20, "allow": ["billing:update"]},
        },
    }
)
TABLE = {"owner": 100, "admin": 50, "treasurer": 20, "member": 10, "viewer": 5}


def governed(**more: Any) -> World:
    return World(MemoryMembershipStore(), ranks=TABLE, **{"assignments": POLICY, **more})


def test_a_role_without_rank_gives_no_authority_over_members() -> None:
    """Its holder must not pass for an owner, though only owners hand it out."""
    world = World(MemoryMembershipStore())
    world.add("u2", "custom")
    for call in (
        lambda: world.memberships.change_roles(ctx("u2"), "u2", ["owner"]),
        lambda: world.memberships.invite(ctx("u2"), "x@example.com", ["owner"]),
        lambda: world.memberships.invite(ctx("u2"), "x@example.com", ["member"]),
        lambda: world.memberships.remove(ctx("u2"), "u1"),
        lambda: world.memberships.suspend(ctx("u2"), "u1"),
        lambda: world.memberships.add_service(ctx("u2"), "s", ["owner"]),
        lambda: world.memberships.grant_support(ctx("u2"), "s", reason="r", ticket="t"),
    ):
        with pytest.raises(Denied):
            call()
    assert world.roles() == {"u1": {"owner"}, "u2": {"custom"}}


@pytest.mark.parametrize("assignments", [POLICY, PolicyHolder(POLICY)], ids=["policy", "holder"])
def test_the_policy_decides_besides_the_ranks(assignments: Any) -> None:
    """A treasurer ranks below an admin, but holds what no admin holds."""
    world = governed(assignments=assignments)
    world.add("u2", "admin")
    with pytest.raises(Denied):
        world.memberships.invite(ctx("u2"), "x@example.com", ["treasurer"])
    with pytest.raises(Denied):
        world.memberships.change_roles(ctx("u2"), "u2", ["admin", "treasurer"])
    world.add("u3", "member", by="u2")
    world.add("u4", "treasurer")
    for call in (
        lambda: world.memberships.change_roles(ctx("u2"), "u4", ["member"]),
        lambda: world.memberships.remove(ctx("u2"), "u4"),
        lambda: world.memberships.suspend(ctx("u2"), "u4"),
        lambda: world.memberships.change_roles(ctx("u1"), "u3", ["unheard-of"]),
    ):
        with pytest.raises(Denied):
            call()
    assert world.memberships.change_roles(ctx("u2"), "u3", ["viewer"]).roles == {"viewer"}


def test_the_ranks_hold_where_the_policy_would_let_through() -> None:
    class Yes:
        def can_assign(self, subject: object, target: object, roles: object) -> Any:
            return type("Answer", (), {"allowed": True, "code": "allowed"})

    world = governed(assignments=Yes())
    world.add("u2", "admin")
    with pytest.raises(Denied):
        world.memberships.change_roles(ctx("u2"), "u2", ["owner"])


@pytest.mark.parametrize("allowed", [False, None, 1, "yes"])
def test_only_a_plain_yes_counts(allowed: Any) -> None:
    class Vague:
        def can_assign(self, subject: object, target: object, roles: object) -> Any:
            return type("Answer", (), {"allowed": allowed, "code": "vague"})

    world = governed(assignments=Vague())
    with pytest.raises(Denied):
        world.memberships.invite(ctx("u1"), "x@example.com", ["member"])


def test_the_policy_is_asked_about_the_stored_membership_not_the_context() -> None:
    world = governed()
    world.add("u2", "member")
    forged = ctx("u2")  # claims to be an owner
    assert forged.roles == {"owner"}
    with pytest.raises(Denied):
        world.memberships.invite(forged, "x@example.com", ["viewer"])


def test_the_scopes_of_the_credential_are_a_ceiling() -> None:
    world = governed()
    key = ctx("u1", kind="api_key", scopes=frozenset({"docs:read", "members:invite"}))
    assert world.memberships.invite(key, "x@example.com", ["viewer"]).roles == {"viewer"}
    with pytest.raises(Denied):
        world.memberships.invite(key, "y@example.com", ["member"])


def test_an_invitation_dies_with_what_the_policy_lets_its_inviter_give() -> None:
    holder = PolicyHolder(POLICY)
    world = governed(assignments=holder)
    world.add("u2", "admin")
    token = world.memberships.invite(ctx("u2"), "u3@example.com", ["member"]).token
    document = {
        "schema": 1,
        "permissions": {"docs:read": {}, "docs:write": {}, "members:invite": {}},
        "roles": {
            "member": {"rank": 10, "allow": ["docs:read", "docs:write"]},
            "admin": {"rank": 50, "allow": ["members:invite"]},
            "owner": {"rank": 100, "allow": ["*"]},
        },
    }
    holder.swap(Policy.from_dict(document))
    with pytest.raises(InvitationInvalid) as refused:
        world.memberships.accept(token, person("u3"))
    assert refused.value.reason == "inviter_lost_right"


def test_whoever_may_give_it_withdraws_an_invitation() -> None:
    world = governed()
    world.add("u2", "admin")
    mine = world.memberships.invite(ctx("u2"), "x@example.com", ["admin"])
    world.memberships.revoke_invitation(ctx("u2"), mine.id)
    theirs = world.memberships.invite(ctx("u1"), "y@example.com", ["treasurer"])
    with pytest.raises(Denied):
        world.memberships.revoke_invitation(ctx("u2"), theirs.id)
    world.memberships.revoke_invitation(ctx("u1"), theirs.id)
    assert world.memberships.invitations(ctx("u1")) == []


def test_a_transfer_gives_what_an_owner_may_give() -> None:
    world = governed()
    world.add("u2", "admin")
    world.memberships.transfer_ownership(ctx("u1"), "u2")
    assert world.roles() == {"u1": {"admin"}, "u2": {"admin", "owner"}}
    without_admin = Policy.from_dict(
        {"schema": 1, "permissions": {"a:b": {}}, "roles": {"owner": {"rank": 100, "allow": ["*"]}, "member": {}}}
    )
    strict = governed(assignments=without_admin)
    strict.place("u2", "member")
    with pytest.raises(Denied):  # the former owner would hold a role that the policy does not know
        strict.memberships.transfer_ownership(ctx("u1"), "u2")


def test_under_a_policy_too_the_last_owner_stays() -> None:
    world = governed()
    world.add("u2", "admin")
    with pytest.raises(LastOwner):
        world.memberships.leave(ctx("u1"))
    with pytest.raises(LastOwner):
        world.memberships.change_roles(ctx("u1"), "u1", ["member"])
