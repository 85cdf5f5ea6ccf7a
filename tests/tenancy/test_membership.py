"""Ownership, invitations, ranks and seats, on memory, SQLite and PostgreSQL (cases OW*)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from wellstreak_trust.core import Principal, TrustError, UsageError
from wellstreak_trust.core.errors import Conflict, Denied, InvalidRequest, NotFound
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import AsyncDatabase, SqlMembershipStore
from wellstreak_trust.tenancy import (
    InvitationInvalid,
    LastOwner,
    Memberships,
    MemoryMembershipStore,
    SeatLimit,
    TenantNotFound,
    testing_context,
)
from workspaces import OWNER, World, ctx, person


@pytest.fixture
def world(membership_store: Any) -> World:
    return World(membership_store)


@pytest.fixture
def memory() -> World:
    return World(MemoryMembershipStore())


def test_a_life(world: World) -> None:
    world.add("u2", "admin")
    world.add("u3", "member", by="u2")
    assert world.roles() == {"u1": {"owner"}, "u2": {"admin"}, "u3": {"member"}}
    changed = world.memberships.change_roles(ctx("u2"), "u3", ["member", "admin"])
    assert changed == world.memberships.prove(Principal("u3"), "t1")
    assert world.memberships.transfer_ownership(ctx("u1"), "u2").roles == {"owner", "admin"}
    assert world.roles()["u1"] == {"admin"}
    world.memberships.remove(ctx("u3"), "u3")
    assert [found.tenant_id for found in world.memberships.workspaces(Principal("u2"))] == ["t1"]
    assert world.memberships.prove(Principal("u3"), "t1") is None
    assert [(event.action, event.outcome, event.tenant_id) for event in world.trail.events] == [
        (action, "success", "t1")
        for action in (
            "workspace.created",
            *("member.invited", "member.joined") * 2,
            "member.roles_changed",
            "workspace.ownership_transferred",
            "member.removed",
        )
    ]


def test_versions_never_come_back(world: World) -> None:
    world.add("u2", "member")
    first = world.memberships.prove(Principal("u2"), "t1")
    world.memberships.remove(ctx("u1"), "u2")
    world.add("u2", "member")
    second = world.memberships.prove(Principal("u2"), "t1")
    assert first is not None
    assert second is not None
    assert second.version > first.version


def test_workspaces_are_claimed_once(world: World) -> None:
    with pytest.raises(Conflict):
        world.memberships.create_workspace(Principal("u9"), tenant_id="t1")
    with pytest.raises(Conflict):
        world.memberships.create_workspace(Principal("u9"), tenant_id="system")
    for wrong in ("", "a/b", "x" * 65, "t1\n", "é", "\x00"):
        with pytest.raises(InvalidRequest):
            world.memberships.create_workspace(Principal("u9"), tenant_id=wrong)
    made = world.memberships.create_workspace(Principal("u9"))
    assert made == world.memberships.prove(Principal("u9"), made.tenant_id)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.remove(ctx("u1"), "u1"),
        lambda m: m.change_roles(ctx("u1"), "u1", ["admin"]),
        lambda m: m.change_roles(ctx("u1"), "u1", []),
        lambda m: m.close_account("u1", Principal("root", kind="system")),
    ],
    ids=["leave", "demote", "empty", "close"],
)
def test_the_last_owner_stays_on_every_path(world: World, change: Any) -> None:
    world.add("u2", "admin")
    with pytest.raises(LastOwner):
        change(world.memberships)
    assert world.roles() == {"u1": {"owner"}, "u2": {"admin"}}
    world.memberships.change_roles(ctx("u1"), "u2", ["owner"])
    change(world.memberships)
    assert world.roles()["u2"] == {"owner"}


@pytest.mark.parametrize(
    ("actor", "call"),
    [
        ("u2", lambda m, c: m.invite(c, "x@example.com", ["owner"])),
        ("u2", lambda m, c: m.invite(c, "x@example.com", ["made-up"])),
        ("u2", lambda m, c: m.change_roles(c, "u3", ["owner"])),
        ("u2", lambda m, c: m.change_roles(c, "u2", ["owner"])),
        ("u2", lambda m, c: m.change_roles(c, "u1", ["member"])),
        ("u2", lambda m, c: m.remove(c, "u1")),
        ("u2", lambda m, c: m.transfer_ownership(c, "u2")),
        ("u3", lambda m, c: m.invite(c, "x@example.com", ["member"])),
        ("u3", lambda m, c: m.change_roles(c, "u3", ["member"])),
        ("u3", lambda m, c: m.remove(c, "u2")),
    ],
)
def test_nobody_reaches_above_the_own_rank(memory: World, actor: str, call: Any) -> None:
    memory.add("u2", "admin")
    memory.add("u3", "member")
    before = memory.roles()
    with pytest.raises(Denied):
        call(memory.memberships, ctx(actor))
    assert memory.roles() == before


def test_rights_come_from_the_store_and_strangers_find_nothing(memory: World) -> None:
    for call in (
        lambda: memory.memberships.invite(ctx("stranger"), "x@example.com", ["member"]),
        lambda: memory.memberships.remove(ctx("stranger"), "u1"),
        lambda: memory.memberships.remove(ctx("stranger"), "stranger"),
        lambda: memory.memberships.transfer_ownership(ctx("stranger"), "u1"),
        lambda: memory.memberships.remove(ctx("u1", "unknown"), "u1"),
        lambda: memory.memberships.list(ctx("u1", "unknown")),
    ):
        with pytest.raises(TenantNotFound):
            call()


@pytest.mark.parametrize("target", ["nobody", "", [], None, {}])
def test_unknown_members_and_invitations(memory: World, target: Any) -> None:
    for call in (
        lambda: memory.memberships.remove(ctx("u1"), target),
        lambda: memory.memberships.change_roles(ctx("u1"), target, ["member"]),
        lambda: memory.memberships.transfer_ownership(ctx("u1"), target),
        lambda: memory.memberships.revoke_invitation(ctx("u1"), target),
    ):
        with pytest.raises(NotFound):
            call()


def test_an_impersonated_principal_manages_nothing(memory: World) -> None:
    support = testing_context("t1", id="u1", actor=Principal("support"))
    with pytest.raises(Denied):
        memory.memberships.invite(support, "x@example.com", ["member"])
    invitation = memory.memberships.invite(ctx("u1"), "u2@example.com", ["member"])
    taken_over = Principal("u2", attributes=person("u2").attributes, actor=Principal("support"))
    with pytest.raises(InvitationInvalid):
        memory.memberships.accept(invitation.token, taken_over)


@pytest.mark.parametrize("roles", ["member", b"member", {"member": 1}, [1], [[]], 7, ["é"], [""], ["x" * 65]])
def test_roles_are_collections_of_names(memory: World, roles: Any) -> None:
    with pytest.raises(UsageError):
        memory.memberships.change_roles(ctx("u1"), "u1", roles)


def test_transferring_to_oneself_is_a_conflict(memory: World) -> None:
    with pytest.raises(Conflict):
        memory.memberships.transfer_ownership(ctx("u1"), "u1")


# --- invitations -----------------------------------------------------------------------------------------------------


def refused(world: World, token: Any, who: Principal) -> str:
    """The reason on the trail; the public answer is checked to be the one there is."""
    with pytest.raises(InvitationInvalid) as error:
        world.memberships.accept(token, who)
    assert error.value.problem() == InvitationInvalid().problem()
    assert str(error.value) == str(InvitationInvalid())
    event = world.trail.events[-1]
    assert (event.action, event.outcome) == ("member.joined", "denied")
    assert event.reason == error.value.reason
    return str(event.reason)


def test_each_refusal_looks_the_same_and_is_recorded_apart(world: World) -> None:
    """OW03"""
    invite = world.memberships.invite
    token = invite(ctx("u1"), "U2@Example.com", ["member"], expires_in=timedelta(hours=1)).token
    assert refused(world, token, person("u3")) == "other_address"
    for verified in (False, None, "true", 1):
        assert refused(world, token, person("u2", verified=verified)) == "unverified_address"
    assert refused(world, token, Principal("u2")) == "unverified_address"
    for wrong in ("", "x", token + "x", token[:-1], "é", None, 7, "x" * 10_000):
        assert refused(world, wrong, person("u2")) in ("unknown", "malformed")
    world.clock.advance(timedelta(hours=1))
    assert refused(world, token, person("u2")) == "expired"

    older = invite(ctx("u1"), "u2@example.com", ["member"]).token
    newer = invite(ctx("u1"), " u2@EXAMPLE.com", ["member"])
    assert refused(world, older, person("u2")) == "revoked"
    world.memberships.revoke_invitation(ctx("u1"), newer.id)
    assert refused(world, newer.token, person("u2")) == "revoked"

    good = invite(ctx("u1"), "u2@example.com", ["member"]).token
    assert world.memberships.accept(good, person("u2", "U2@EXAMPLE.COM")).roles == {"member"}
    assert refused(world, good, person("u2")) == "used"
    again = invite(ctx("u1"), "u2@example.com", ["admin"]).token
    assert refused(world, again, person("u2")) == "already_member"
    assert world.roles() == {"u1": {"owner"}, "u2": {"member"}}


@pytest.mark.parametrize("loss", ["removed", "demoted", "below"])
def test_an_invitation_dies_with_the_inviters_right(world: World, loss: str) -> None:
    world.add("u2", "owner")
    token = world.memberships.invite(ctx("u2"), "u3@example.com", ["owner"]).token
    if loss == "removed":
        world.memberships.remove(ctx("u1"), "u2")
    else:
        world.memberships.change_roles(ctx("u1"), "u2", ["member" if loss == "demoted" else "admin"])
    assert refused(world, token, person("u3")) == "inviter_lost_right"


def test_look_alike_addresses_are_other_addresses(memory: World) -> None:
    """Unicode lower-casing maps the Kelvin sign to k."""
    token = memory.memberships.invite(ctx("u1"), "kim@example.com", ["member"]).token
    assert refused(memory, token, person("u2", "\u212aim@example.com")) == "other_address"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "@x",
        "x@",
        "a b@x",
        "a@b@c",
        "a@x\n",
        "a@x\r\nBcc: b@y",
        "a@x,b@y",
        "\ud800@x",
        "x" * 250 + "@y.zz",
        None,
        7,
        [],
    ],
)
def test_addresses_that_are_none_are_refused(memory: World, address: Any) -> None:
    with pytest.raises(InvalidRequest):
        memory.memberships.invite(ctx("u1"), address, ["member"])


def test_invitations_need_a_role_and_a_time(memory: World) -> None:
    with pytest.raises(UsageError):
        memory.memberships.invite(ctx("u1"), "x@example.com", [])
    for wrong in (timedelta(), timedelta(days=-1), timedelta.max):
        with pytest.raises(UsageError):
            memory.memberships.invite(ctx("u1"), "x@example.com", ["member"], expires_in=wrong)


@pytest.mark.asvs("14.2.7")
def test_closed_invitations_are_forgotten_after_a_month(memory: World) -> None:
    memory.memberships.invite(ctx("u1"), "a@example.com", ["member"])
    memory.clock.advance(timedelta(days=38))
    memory.memberships.invite(ctx("u1"), "b@example.com", ["member"])
    assert [invited.email for invited in memory.memberships.invitations(ctx("u1"))] == ["b@example.com"]
    state = drive(memory.store.load("t1"))
    assert [invited.email for invited in state.invitations.values()] == ["b@example.com"]


# --- seats -----------------------------------------------------------------------------------------------------------


def test_seats_count_members_and_open_invitations() -> None:
    world = World(MemoryMembershipStore(), seats=3)
    invite, expires = world.memberships.invite, timedelta(hours=1)
    token = invite(ctx("u1"), "u2@example.com", ["member"], expires_in=expires).token
    invite(ctx("u1"), "u3@example.com", ["member"], expires_in=expires)
    with pytest.raises(SeatLimit):
        invite(ctx("u1"), "u4@example.com", ["member"])
    invite(ctx("u1"), "u3@example.com", ["admin"], expires_in=expires)  # replaces its elder, takes no second seat
    world.memberships.accept(token, person("u2"))
    with pytest.raises(SeatLimit):
        invite(ctx("u1"), "u4@example.com", ["member"])
    world.clock.advance(expires)
    invite(ctx("u1"), "u4@example.com", ["member"])


def test_lowered_seats_stop_those_who_are_not_in_yet() -> None:
    world = World(MemoryMembershipStore(), seats=3)
    tokens = [world.memberships.invite(ctx("u1"), f"u{n}@example.com", ["member"]).token for n in (2, 3)]
    world.memberships.set_seats("t1", 2)
    world.memberships.accept(tokens[0], person("u2"))
    with pytest.raises(SeatLimit):
        world.memberships.accept(tokens[1], person("u3"))
    world.memberships.set_seats("t1", None)
    world.memberships.accept(tokens[1], person("u3"))
    assert len(world.roles()) == 3
    for wrong in (0, -1, True, "3"):
        with pytest.raises(UsageError):
            world.memberships.set_seats("t1", wrong)  # type: ignore[arg-type]  # what the test is about


# --- both faces, and a model -----------------------------------------------------------------------------------------


def test_the_async_face_over_an_async_engine(sqlite_path: Path) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    async def run() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}")
        database = AsyncDatabase(engine)
        await database.acreate_all()
        memberships = Memberships(SqlMembershipStore(database))
        await memberships.acreate_workspace(OWNER, tenant_id="t1")
        token = (await memberships.ainvite(ctx("u1"), "u2@example.com", ["admin"])).token
        await memberships.aaccept(token, person("u2"))
        with pytest.raises(LastOwner):
            await memberships.aremove(ctx("u1"), "u1")
        await memberships.atransfer_ownership(ctx("u1"), "u2")
        assert [found.principal_id for found in await memberships.alist(ctx("u1"))] == ["u1", "u2"]
        with pytest.raises(TrustError):
            memberships.prove(OWNER, "t1")
        await engine.dispose()

    asyncio.run(run())


class Ownership(RuleBasedStateMachine):
    """Whatever is tried by whomever: an owner stays, no rank rises above who gave it, seats hold."""

    people = st.sampled_from(["u1", "u2", "u3", "u4"])
    role_sets = st.sets(st.sampled_from(["owner", "admin", "member", "other"]), max_size=2)

    @initialize()
    def begin(self) -> None:
        self.world = World(MemoryMembershipStore(), seats=3)
        self.tokens: list[tuple[str, str]] = []

    def attempt(self, change: Any) -> Any:
        before = self.state()
        try:
            return change()
        except TrustError:
            assert self.state() == before
            return None

    def state(self) -> Any:
        return drive(self.world.store.load("t1"))

    @rule(by=people, to=people, roles=role_sets)
    def invite(self, by: str, to: str, roles: set[str]) -> None:
        owned = self.owns(by)
        made = self.attempt(lambda: self.world.memberships.invite(ctx(by), f"{to}@example.com", roles))
        if made is not None:
            assert owned or roles <= {"admin", "member"}
            self.tokens.append((made.token, to))

    @rule(data=st.data(), who=people)
    def accept(self, data: st.DataObject, who: str) -> None:
        if self.tokens:
            token, to = data.draw(st.sampled_from(self.tokens))
            joined = self.attempt(lambda: self.world.memberships.accept(token, person(who)))
            assert joined is None or who == to

    @rule(by=people, who=people, roles=role_sets)
    def change(self, by: str, who: str, roles: set[str]) -> None:
        owned = self.owns(by)
        changed = self.attempt(lambda: self.world.memberships.change_roles(ctx(by), who, roles))
        assert changed is None or owned or roles <= {"admin", "member"}

    @rule(by=people, who=people)
    def remove(self, by: str, who: str) -> None:
        self.attempt(lambda: self.world.memberships.remove(ctx(by), who))

    @rule(by=people, who=people)
    def transfer(self, by: str, who: str) -> None:
        owned = self.owns(by)
        if self.attempt(lambda: self.world.memberships.transfer_ownership(ctx(by), who)) is not None:
            assert owned

    @rule(by=people, who=st.sampled_from(["u1", "u2", "u3", "u4", "bot", "sup"]), back=st.booleans())
    def suspend(self, by: str, who: str, back: bool) -> None:
        verb = self.world.memberships.reinstate if back else self.world.memberships.suspend
        self.attempt(lambda: verb(ctx(by), who))

    @rule(by=people, roles=role_sets)
    def add_service(self, by: str, roles: set[str]) -> None:
        self.attempt(lambda: self.world.memberships.add_service(ctx(by), "bot", roles))

    @rule(by=people, roles=role_sets)
    def let_support_in(self, by: str, roles: set[str]) -> None:
        call = self.world.memberships.grant_support
        self.attempt(lambda: call(ctx(by), "sup", reason="r", ticket="t", roles=roles or None))

    @rule(who=st.sampled_from(["u1", "u2", "sup", "bot"]))
    def leave(self, who: str) -> None:
        self.attempt(lambda: self.world.memberships.leave(ctx(who)))

    @rule(who=people, how=st.sampled_from(["close_account", "suspend_account", "reinstate_account"]))
    def account(self, who: str, how: str) -> None:
        self.attempt(lambda: getattr(self.world.memberships, how)(who, OWNER))

    def owns(self, who: str) -> bool:
        held = self.state().members.get(who)
        return held is not None and "owner" in held.roles and not held.suspended

    @rule()
    def wait(self) -> None:
        self.world.clock.advance(timedelta(days=3))

    @invariant()
    def holds(self) -> None:
        state = self.state()
        owners = [member for member in state.members.values() if "owner" in member.roles]
        assert any(not member.suspended for member in owners)
        assert {member.kind for member in owners} == {"member"}
        assert sum(member.kind == "member" for member in state.members.values()) <= 3
        assert state.seats_taken(self.world.clock.now()) <= 3
        assert drive(self.world.store.outbox.waiting(1)) == []


Ownership.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestOwnership = Ownership.TestCase
