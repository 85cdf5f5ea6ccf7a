"""Transfers of ownership in two steps: acceptance, step-up, cool-off; and suspended owners own nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust.core import ConfigurationError, Principal, UsageError
from wellstreak_trust.core.errors import Conflict, Denied, LastOwner, NotFound, ReauthRequired, TenantNotFound
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.tenancy import InvitationInvalid, MemoryMembershipStore, TransferPolicy
from workspaces import NOW, World, ctx, person

HOUR = timedelta(hours=1)
SLOW = TransferPolicy(cool_off=24 * HOUR, expires_in=48 * HOUR)


@pytest.fixture
def world(membership_store: Any) -> World:
    found = World(membership_store, transfer=SLOW)
    found.add("u2", "admin")
    found.add("u3", "member")
    return found


@pytest.mark.asvs("2.3.1")
def test_an_offer_cools_off_and_is_accepted_by_whom_it_was_made_to(world: World) -> None:
    memberships = world.memberships
    assert memberships.transfer_ownership(ctx("u1"), "u2").roles == {"admin"}
    offer = memberships.pending_transfer(ctx("u1"))
    assert offer is not None
    assert (offer.from_id, offer.to_id) == ("u1", "u2")
    assert (offer.ready_at, offer.expires_at) == (NOW + 24 * HOUR, NOW + 72 * HOUR)
    with pytest.raises(Conflict):
        memberships.accept_ownership(ctx("u2"))
    world.clock.advance(24 * HOUR)
    for other in ("u1", "u3"):
        with pytest.raises(NotFound):
            memberships.accept_ownership(ctx(other))
    assert memberships.accept_ownership(ctx("u2")).roles == {"admin", "owner"}
    assert world.roles() == {"u1": {"admin"}, "u2": {"admin", "owner"}, "u3": {"member"}}
    assert memberships.pending_transfer(ctx("u2")) is None
    with pytest.raises(NotFound):
        memberships.accept_ownership(ctx("u2"))
    assert world.trail.actions[-2:] == ["workspace.transfer_offered", "workspace.ownership_transferred"]


def test_an_offer_expires_at_the_instant(world: World) -> None:
    world.memberships.transfer_ownership(ctx("u1"), "u2")
    world.clock.advance(72 * HOUR)
    assert world.memberships.pending_transfer(ctx("u1")) is None
    with pytest.raises(NotFound):
        world.memberships.accept_ownership(ctx("u2"))
    assert world.roles()["u1"] == {"owner"}


@pytest.mark.parametrize("who", ["u1", "u2"])
def test_an_offer_is_withdrawn_or_declined(world: World, who: str) -> None:
    world.memberships.transfer_ownership(ctx("u1"), "u2")
    with pytest.raises(Denied):
        world.memberships.cancel_transfer(ctx("u3"))
    world.memberships.cancel_transfer(ctx(who))
    world.clock.advance(25 * HOUR)
    with pytest.raises(NotFound):
        world.memberships.accept_ownership(ctx("u2"))
    with pytest.raises(NotFound):
        world.memberships.cancel_transfer(ctx("u1"))


def test_a_newer_offer_replaces_the_older(world: World) -> None:
    world.memberships.transfer_ownership(ctx("u1"), "u2")
    world.memberships.transfer_ownership(ctx("u1"), "u3")
    world.clock.advance(24 * HOUR)
    with pytest.raises(NotFound):
        world.memberships.accept_ownership(ctx("u2"))
    assert "owner" in world.memberships.accept_ownership(ctx("u3")).roles


@pytest.mark.parametrize("party", ["u1", "u2"])
@pytest.mark.parametrize("loss", ["removed", "suspended"])
def test_an_offer_does_not_outlive_its_parties(world: World, party: str, loss: str) -> None:
    world.place("u9", "owner")
    world.memberships.transfer_ownership(ctx("u1"), "u2")
    if loss == "removed":
        world.memberships.remove(ctx("u9"), party)
        world.place(party, "owner" if party == "u1" else "admin")
    else:
        world.memberships.suspend(ctx("u9"), party)
        world.memberships.reinstate(ctx("u9"), party)
    world.clock.advance(24 * HOUR)
    with pytest.raises(NotFound):
        world.memberships.accept_ownership(ctx("u2"))


def test_who_offered_must_still_be_an_owner(world: World) -> None:
    world.place("u9", "owner")
    world.memberships.transfer_ownership(ctx("u1"), "u2")
    world.memberships.change_roles(ctx("u9"), "u1", ["admin"])
    world.clock.advance(24 * HOUR)
    with pytest.raises(Denied):
        world.memberships.accept_ownership(ctx("u2"))


def test_under_a_policy_ownership_is_given_by_a_transfer_alone(world: World) -> None:
    """Else whoever steals an owner's session makes an accomplice the owner at once, cool-off or not."""
    with pytest.raises(Denied):
        world.memberships.change_roles(ctx("u1"), "u2", ["owner"])
    with pytest.raises(Denied):
        world.memberships.invite(ctx("u1"), "x@example.com", ["owner"])
    world.memberships.change_roles(ctx("u1"), "u1", ["owner", "admin"])  # who owns may keep it


def test_both_steps_want_the_step_up() -> None:
    policy = TransferPolicy(step_up=StepUp(aal=2, max_age=900))
    world = World(MemoryMembershipStore(), transfer=policy)
    world.add("u2", "admin")
    strong = {"aal": 2, "auth_time": NOW}
    for weak in ({}, {"aal": 2}, {"aal": 1, "auth_time": NOW}, {"aal": 2, "auth_time": NOW - timedelta(seconds=901)}):
        with pytest.raises(ReauthRequired):
            world.memberships.transfer_ownership(ctx("u1", **weak), "u2")
    world.memberships.transfer_ownership(ctx("u1", **strong), "u2")
    with pytest.raises(ReauthRequired):
        world.memberships.accept_ownership(ctx("u2"))
    assert "owner" in world.memberships.accept_ownership(ctx("u2", **strong)).roles


def test_step_up_in_one_step() -> None:
    world = World(MemoryMembershipStore(), transfer=TransferPolicy(acceptance=False, step_up=StepUp(aal=2)))
    world.add("u2", "admin")
    with pytest.raises(ReauthRequired):
        world.memberships.transfer_ownership(ctx("u1"), "u2")
    assert "owner" in world.memberships.transfer_ownership(ctx("u1", aal=2), "u2").roles
    with pytest.raises(UsageError):
        world.memberships.accept_ownership(ctx("u1"))


def test_offers_are_made_by_owners_to_active_people(world: World) -> None:
    world.memberships.add_service(ctx("u1"), "bot", ["member"])
    world.memberships.suspend(ctx("u1"), "u3")
    for by, to, error in (
        ("u2", "u3", Denied), ("u1", "u1", Conflict), ("u1", "bot", Denied), ("u1", "u3", Conflict),
        ("u1", "nobody", NotFound), ("nobody", "u2", TenantNotFound),
    ):  # fmt: skip
        with pytest.raises(error):
            world.memberships.transfer_ownership(ctx(by), to)
    assert world.memberships.pending_transfer(ctx("u1")) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"acceptance": False, "cool_off": HOUR},
        {"cool_off": -HOUR},
        {"cool_off": timedelta(days=31)},
        {"expires_in": timedelta()},
        {"expires_in": timedelta(days=31)},
    ],
)
def test_policies_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        TransferPolicy(**wrong)


# --- suspension ------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(membership_store: Any) -> World:
    found = World(membership_store)
    found.add("u2", "owner")
    found.add("u3", "member")
    return found


def test_a_suspended_member_proves_changes_and_owns_nothing(two: World) -> None:
    token = two.memberships.invite(ctx("u2"), "u4@example.com", ["member"]).token
    suspended = two.memberships.suspend(ctx("u1"), "u2", reason="left the company")
    assert suspended.suspended == {"workspace"}
    assert two.proof("u2") is None
    assert two.memberships.workspaces(Principal("u2")) == []
    with pytest.raises(TenantNotFound):
        two.memberships.invite(ctx("u2"), "x@example.com", ["member"])
    with pytest.raises(InvitationInvalid):
        two.memberships.accept(token, person("u4"))
    for last in (
        lambda: two.memberships.leave(ctx("u1")),
        lambda: two.memberships.change_roles(ctx("u1"), "u1", ["admin"]),
        lambda: two.memberships.suspend(ctx("u1"), "u1"),
        lambda: two.memberships.suspend_account("u1", Principal("root", kind="system")),
        lambda: two.memberships.close_account("u1", Principal("root", kind="system")),
    ):
        with pytest.raises(LastOwner):
            last()
    event = two.trail.events[-2]
    assert (event.action, event.reason) == ("member.suspended", "left the company")
    assert not two.memberships.reinstate(ctx("u1"), "u2").suspended
    two.memberships.leave(ctx("u1"))
    assert two.memberships.accept(token, person("u4")).roles == {"member"}


def test_each_lifts_its_own_suspension(two: World) -> None:
    root = Principal("root", kind="system")
    two.memberships.suspend(ctx("u1"), "u3")
    two.memberships.suspend_account("u3", root)
    two.memberships.reinstate(ctx("u1"), "u3")
    assert two.proof("u3") is None
    two.memberships.suspend(ctx("u1"), "u3")
    two.memberships.reinstate_account("u3", root)
    assert two.proof("u3") is None
    two.memberships.reinstate(ctx("u1"), "u3")
    assert two.proof("u3") is not None
    two.memberships.reinstate_account("u3", root)  # nothing to lift


def test_an_invitation_lifts_no_suspension(two: World) -> None:
    two.memberships.suspend(ctx("u1"), "u3")
    token = two.memberships.invite(ctx("u1"), "u3@example.com", ["admin"]).token
    with pytest.raises(InvitationInvalid) as refused:
        two.memberships.accept(token, person("u3"))
    assert refused.value.reason == "already_member"


def test_a_suspended_member_keeps_the_seat() -> None:
    world = World(MemoryMembershipStore(), seats=2)
    world.add("u2", "member")
    world.memberships.suspend(ctx("u1"), "u2")
    assert world.memberships.seats_taken("t1") == 2
    assert world.memberships.seats_taken("unknown") == 0


def test_admins_suspend_no_owners(two: World) -> None:
    two.memberships.change_roles(ctx("u1"), "u3", ["admin"])
    with pytest.raises(Denied):
        two.memberships.suspend(ctx("u3"), "u1")
    two.memberships.suspend(ctx("u1"), "u2")
    with pytest.raises(Denied):
        two.memberships.reinstate(ctx("u3"), "u2")
    with pytest.raises(NotFound):
        two.memberships.suspend(ctx("u1"), "nobody")
