"""Somebody else's invitation: forwarded, guessed, replayed, stolen from the table, or used to climb."""

from __future__ import annotations

import pytest

from wellstreak_trust.core import Principal, TrustError
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.tenancy import InvitationInvalid, Memberships, MemoryMembershipStore, testing_context

OWNER = testing_context("t1", id="owner")


def person(who: str, **attributes: object) -> Principal:
    return Principal(who, attributes={"email": f"{who}@example.com", "email_verified": True, **attributes})


@pytest.fixture
def store() -> MemoryMembershipStore:
    return MemoryMembershipStore()


@pytest.fixture
def memberships(store: MemoryMembershipStore) -> Memberships:
    found = Memberships(store)
    found.create_workspace(Principal("owner"), tenant_id="t1")
    return found


@pytest.mark.parametrize(
    "thief",
    [
        person("mallory"),
        person("mallory", email="bob@example.com", email_verified=False),
        person("mallory", email="bob@example.com", email_verified="true"),
        person("mallory", email=["bob@example.com"]),
        person("mallory", email="bob@example.com, mallory@example.com"),
        person("mallory", email="bob@example.com\n"),
        person("mallory", email="b\u00f6b@example.com"),
        Principal("mallory"),
        Principal("bob", attributes={"email": "bob@example.com", "email_verified": True}, actor=Principal("mallory")),
    ],
)
def test_a_forwarded_link_is_worthless(memberships: Memberships, thief: Principal) -> None:
    token = memberships.invite(OWNER, "bob@example.com", ["admin"]).token
    with pytest.raises(InvitationInvalid) as refused:
        memberships.accept(token, thief)
    assert refused.value.problem() == InvitationInvalid().problem()
    assert memberships.prove(thief, "t1") is None
    assert memberships.accept(token, person("bob")).roles == {"admin"}


def test_a_stolen_table_invites_nobody(memberships: Memberships, store: MemoryMembershipStore) -> None:
    invitation = memberships.invite(OWNER, "bob@example.com", ["admin"])
    state = drive(store.load("t1"))
    assert state is not None
    stored = state.invitations[invitation.id]
    assert invitation.token not in repr(state)
    for stolen in (stored.digest, stored.id):
        with pytest.raises(InvitationInvalid):
            memberships.accept(stolen, person("bob"))


def test_a_former_admin_cannot_come_back_through_the_back_door(memberships: Memberships) -> None:
    """Invites an accomplice, is removed, has the accomplice accept."""
    memberships.accept(memberships.invite(OWNER, "eve@example.com", ["admin"]).token, person("eve"))
    waiting = memberships.invite(testing_context("t1", id="eve"), "bob@example.com", ["admin"]).token
    memberships.remove(OWNER, "eve")
    with pytest.raises(InvitationInvalid):
        memberships.accept(waiting, person("bob"))


def test_an_admin_cannot_make_an_owner_in_two_steps(memberships: Memberships) -> None:
    memberships.accept(memberships.invite(OWNER, "eve@example.com", ["admin"]).token, person("eve"))
    eve = testing_context("t1", roles=("owner",), id="eve")
    for climb in (
        lambda: memberships.invite(eve, "bob@example.com", ["owner"]),
        lambda: memberships.invite(eve, "bob@example.com", ["a-role-without-rank"]),
        lambda: memberships.change_roles(eve, "eve", ["owner"]),
        lambda: memberships.remove(eve, "owner"),
        lambda: memberships.transfer_ownership(eve, "eve"),
    ):
        with pytest.raises(TrustError) as refused:
            climb()
        assert refused.value.status == 403
