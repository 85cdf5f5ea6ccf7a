"""Service accounts and support access: memberships of their own kind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust.core import UsageError
from wellstreak_trust.core.errors import Conflict, Denied, InvalidRequest, LastOwner, TenantNotFound
from wellstreak_trust.tenancy import MemoryMembershipStore, SeatLimit
from workspaces import NOW, World, ctx, person

HOUR = timedelta(hours=1)


@pytest.fixture
def world(membership_store: Any) -> World:
    found = World(membership_store, seats=3)
    found.add("u2", "admin")
    return found


def support(world: World, who: str = "sup", by: str = "u2", **more: Any) -> Any:
    return world.memberships.grant_support(ctx(by), who, **{"reason": "login fails", "ticket": "SUP-1", **more})


def test_a_service_account_is_a_member_of_its_own_kind(world: World) -> None:
    made = world.memberships.add_service(ctx("u2"), "bot", ["member"])
    assert (made.kind, made.roles) == ("service", {"member"})
    assert world.proof("bot", "service") == made
    assert world.proof("bot", "api_key") == made
    assert world.proof("bot") is None, "a person who comes by that id is not the service"
    assert world.memberships.seats_taken("t1") == 2
    assert world.memberships.change_roles(ctx("u1"), "bot", ["admin"]).kind == "service"
    world.memberships.remove(ctx("u1"), "bot")
    assert world.proof("bot", "service") is None


def test_a_service_account_never_owns(world: World) -> None:
    world.memberships.add_service(ctx("u1"), "bot", ["admin"])
    for call in (
        lambda: world.memberships.add_service(ctx("u1"), "b2", ["owner"]),
        lambda: world.memberships.change_roles(ctx("u1"), "bot", ["owner"]),
        lambda: world.memberships.transfer_ownership(ctx("u1"), "bot"),
    ):
        with pytest.raises(Denied):
            call()
    with pytest.raises(LastOwner):
        world.memberships.leave(ctx("u1"))


def test_a_service_account_manages_what_its_roles_allow(world: World) -> None:
    world.memberships.add_service(ctx("u1"), "scim", ["admin"])
    token = world.memberships.invite(ctx("scim", kind="service"), "u3@example.com", ["member"]).token
    assert world.memberships.accept(token, person("u3")).roles == {"member"}
    with pytest.raises(Denied):
        world.memberships.change_roles(ctx("scim", kind="service"), "u1", ["member"])


def test_seats_as_declared() -> None:
    world = World(MemoryMembershipStore(), seats=2, seated=("member", "service"))
    world.memberships.add_service(ctx("u1"), "bot", ["member"])
    with pytest.raises(SeatLimit):
        world.memberships.add_service(ctx("u1"), "b2", ["member"])
    with pytest.raises(SeatLimit):
        world.memberships.invite(ctx("u1"), "x@example.com", ["member"])


@pytest.mark.parametrize("wrong", ["", None, 7, []])
def test_ids_are_text(world: World, wrong: Any) -> None:
    with pytest.raises(InvalidRequest):
        world.memberships.add_service(ctx("u1"), wrong, ["member"])
    with pytest.raises(UsageError):
        world.memberships.add_service(ctx("u1"), "bot", [])


def test_whoever_is_inside_is_not_added_again(world: World) -> None:
    world.memberships.suspend(ctx("u1"), "u2")
    for call in (
        lambda: world.memberships.add_service(ctx("u1"), "u2", ["member"]),
        lambda: support(world, "u2", by="u1"),
        lambda: support(world, "u1", by="u1"),
    ):
        with pytest.raises(Conflict):
            call()


def test_support_reads_for_a_while_and_is_out_by_itself(world: World) -> None:
    made = support(world)
    assert (made.kind, made.roles) == ("support", {"viewer"})
    assert made.support is not None
    assert (made.support.ticket, made.support.granted_by, made.support.until) == ("SUP-1", "u2", NOW + 4 * HOUR)
    assert world.proof("sup") == made
    assert world.memberships.seats_taken("t1") == 2
    event = world.trail.events[-1]
    assert (event.action, event.reason, event.actor.id) == ("support.access_granted", "login fails", "u2")  # type: ignore[union-attr]  # a principal
    assert event.data["ticket"] == "SUP-1"
    world.clock.advance(4 * HOUR)
    assert world.proof("sup") is None
    assert "sup" not in world.roles()
    with pytest.raises(TenantNotFound):
        world.memberships.leave(ctx("sup"))
    assert "sup" in world.state().members  # until the next change, which also tells of the end
    world.memberships.change_roles(ctx("u1"), "u2", ["member"])
    assert "sup" not in world.state().members
    assert world.trail.actions[-2:] == ["support.access_ended", "member.roles_changed"]
    assert support(world, by="u1").version > made.version


def test_support_can_be_sent_out_earlier_and_can_leave(world: World) -> None:
    support(world)
    world.memberships.remove(ctx("u2"), "sup")
    assert world.proof("sup") is None
    support(world)
    world.memberships.leave(ctx("sup"))
    assert world.proof("sup") is None


def test_support_manages_nobody(world: World) -> None:
    for roles in (["owner"], ["admin"], ["custom"]):
        with pytest.raises(Denied):
            support(world, by="u1", roles=roles)
    support(world, by="u1", roles=["member"])
    world.place("sup", "admin")  # even if the store were changed past the rules
    for call in (
        lambda: world.memberships.invite(ctx("sup"), "x@example.com", ["member"]),
        lambda: world.memberships.change_roles(ctx("sup"), "u2", ["member"]),
        lambda: support(world, "friend", by="sup"),
        lambda: world.memberships.change_roles(ctx("u1"), "sup", ["admin"]),
        lambda: world.memberships.transfer_ownership(ctx("u1"), "sup"),
    ):
        with pytest.raises(Denied):
            call()


def test_only_a_manager_of_the_workspace_lets_support_in(world: World) -> None:
    world.add("u3", "member")
    with pytest.raises(Denied):
        support(world, by="u3")
    with pytest.raises(TenantNotFound):
        support(world, by="sup")
    with pytest.raises(Denied):
        world.memberships.grant_support(ctx("u1", actor=person("root")), "s", reason="r", ticket="t")


@pytest.mark.parametrize("blank", [{"reason": ""}, {"reason": "  "}, {"ticket": ""}, {"ticket": None}])
def test_support_needs_a_reason_and_a_ticket(world: World, blank: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        support(world, **blank)


@pytest.mark.parametrize("lasts", [timedelta(), -HOUR, timedelta(days=7, microseconds=1)])
def test_support_is_for_a_while(world: World, lasts: timedelta) -> None:
    with pytest.raises(UsageError):
        support(world, lasts=lasts)
