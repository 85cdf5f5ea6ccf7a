"""Somebody who is inside wants the workspace: by a role nobody ranked, an old session, an accomplice or a helper."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust.core import Principal, TrustError
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore, TransferPolicy
from workspaces import NOW, World, ctx, person

Climb = Callable[[Memberships, Any], object]
CLIMBS: dict[str, Climb] = {
    "own roles": lambda m, me: m.change_roles(me, me.principal.id, ["owner"]),
    "a friend's roles": lambda m, me: m.change_roles(me, "friend", ["owner"]),
    "an invitation": lambda m, me: m.invite(me, "me@example.net", ["owner"]),
    "a service account": lambda m, me: m.add_service(me, "bot", ["owner"]),
    "support": lambda m, me: m.grant_support(me, "sup", reason="r", ticket="t", roles=["owner"]),
    "a transfer": lambda m, me: m.transfer_ownership(me, me.principal.id),
    "the owner's absence": lambda m, me: m.suspend(me, "u1"),
    "the owner's removal": lambda m, me: m.remove(me, "u1"),
    "the owner's demotion": lambda m, me: m.change_roles(me, "u1", ["member"]),
    "an offer not made to me": lambda m, me: m.accept_ownership(me),
}


@pytest.mark.parametrize("way", CLIMBS)
@pytest.mark.parametrize("held", [("admin",), ("member",), ("custom",), ("admin", "viewer"), ()])
@pytest.mark.parametrize("policy", [None, TransferPolicy()], ids=["one step", "two steps"])
def test_no_way_leads_from_inside_to_the_top(way: str, held: tuple[str, ...], policy: TransferPolicy | None) -> None:
    """The context claims to be an owner's, as one of yesterday would."""
    world = World(MemoryMembershipStore(), transfer=policy)
    world.place("me", *held)
    world.place("friend", "member")
    with pytest.raises(TrustError):
        CLIMBS[way](world.memberships, ctx("me"))
    assert [who for who, roles in world.roles().items() if "owner" in roles] == ["u1"]
    assert world.proof("u1") is not None


def test_a_stolen_session_of_an_owner_meets_step_up_and_time() -> None:
    world = World(MemoryMembershipStore(), transfer=TransferPolicy(step_up=StepUp(aal=2), cool_off=timedelta(days=1)))
    world.place("accomplice", "admin")
    stolen = ctx("u1")
    for way in (
        lambda: world.memberships.transfer_ownership(stolen, "accomplice"),
        lambda: world.memberships.change_roles(stolen, "accomplice", ["owner"]),
        lambda: world.memberships.invite(stolen, "x@example.com", ["owner"]),
    ):
        with pytest.raises(TrustError):
            way()
    stronger = ctx("u1", aal=2, auth_time=NOW)
    world.memberships.transfer_ownership(stronger, "accomplice")
    with pytest.raises(TrustError):
        world.memberships.accept_ownership(ctx("accomplice", aal=2, auth_time=NOW))
    world.memberships.cancel_transfer(ctx("u1"))  # the owner read the mail
    world.clock.advance(timedelta(days=2))
    with pytest.raises(TrustError):
        world.memberships.accept_ownership(ctx("accomplice", aal=2, auth_time=NOW))


@pytest.mark.asvs("8.3.2")
def test_a_suspended_insider_comes_back_by_no_door() -> None:
    world = World(MemoryMembershipStore())
    world.add("me", "admin")
    prepared = world.memberships.invite(ctx("me"), "second@example.com", ["admin"]).token
    world.memberships.suspend(ctx("u1"), "me")
    fresh = world.memberships.invite(ctx("u1"), "me@example.com", ["member"]).token
    for door in (
        lambda: world.memberships.accept(prepared, person("second")),
        lambda: world.memberships.accept(fresh, person("me")),
        lambda: world.memberships.reinstate(ctx("me"), "me"),
        lambda: world.memberships.leave(ctx("me")),
        lambda: world.memberships.invite(ctx("me"), "third@example.com", ["member"]),
    ):
        with pytest.raises(TrustError):
            door()
    assert world.proof("me") is None


def test_a_person_with_the_id_of_a_service_account_is_not_it() -> None:
    world = World(MemoryMembershipStore())
    world.memberships.add_service(ctx("u1"), "svc-sync", ["admin"])
    assert world.proof("svc-sync") is None
    assert world.memberships.workspaces(Principal("svc-sync")) == []
    assert world.proof("svc-sync", "service") is not None


def test_support_neither_stays_nor_brings_friends() -> None:
    world = World(MemoryMembershipStore())
    hour = timedelta(hours=1)
    world.memberships.grant_support(ctx("u1"), "sup", reason="r", ticket="t", roles=["member"], lasts=hour)
    for way in (
        lambda: world.memberships.grant_support(ctx("sup"), "sup2", reason="r", ticket="t"),
        lambda: world.memberships.grant_support(ctx("sup"), "sup", reason="r", ticket="t", lasts=timedelta(days=7)),
        lambda: world.memberships.change_roles(ctx("sup"), "sup", ["admin"]),
        lambda: world.memberships.add_service(ctx("sup"), "bot", ["viewer"]),
    ):
        with pytest.raises(TrustError):
            way()
    world.clock.advance(hour)
    assert world.proof("sup") is None
