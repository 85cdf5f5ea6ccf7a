"""A change and its event are one transaction; what happens to the trail afterwards loses nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from wellstreak_trust.audit import ActionRegistry, AuditLog, MemoryAuditStore
from wellstreak_trust.core import Principal, UsageError
from wellstreak_trust.core.errors import AuditUnavailable, LastOwner, StoreMisconfigured
from wellstreak_trust.core.outbox import OutboxRelay
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlAuditStore, SqlMembershipStore, SqlOutbox
from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore
from workspaces import OWNER, Trail, World, ctx, person


def waiting(world: World) -> list[str]:
    return [event.action for event in drive(world.store.outbox.waiting(100))]


def test_a_trail_that_is_down_holds_nothing_up_and_loses_nothing(membership_store: Any) -> None:
    world = World(membership_store)
    world.trail.fault = AuditUnavailable("down")
    world.add("u2", "admin")
    world.memberships.remove(ctx("u1"), "u2")
    assert world.trail.actions == ["workspace.created"]
    assert waiting(world) == ["member.invited", "member.joined", "member.removed"]
    world.trail.fault = None
    assert world.memberships.relay is not None
    assert world.memberships.relay.forward().sent == 3
    assert world.trail.actions[1:] == ["member.invited", "member.joined", "member.removed"]
    assert waiting(world) == []


def test_a_change_that_is_refused_leaves_no_event(membership_store: Any) -> None:
    world = World(membership_store)
    with pytest.raises(LastOwner):
        world.memberships.leave(ctx("u1"))
    assert world.trail.actions == ["workspace.created"]
    assert waiting(world) == []


@pytest.mark.asvs("2.3.3")
def test_an_event_that_cannot_be_written_undoes_the_change(membership_store: Any) -> None:
    world = World(membership_store)
    world.add("u2", "member")
    with pytest.raises(UsageError):
        world.memberships.suspend(ctx("u1"), "u2", reason="\ud800")
    assert world.proof("u2") is not None


def test_a_claim_that_loses_tells_nothing(membership_store: Any) -> None:
    world = World(membership_store)
    with pytest.raises(Exception, match="conflict"):
        world.memberships.create_workspace(Principal("u9"), tenant_id="t1")
    assert world.trail.actions == ["workspace.created"]


def test_without_a_trail_nothing_is_kept(membership_store: Any) -> None:
    memberships = Memberships(membership_store)
    memberships.create_workspace(OWNER, tenant_id="t1")
    memberships.invite(ctx("u1"), "x@example.com", ["member"])
    assert drive(membership_store.outbox.waiting(9)) == []


def test_an_outbox_as_trail_waits_for_a_relay_of_its_own(membership_store: Any) -> None:
    memberships = Memberships(membership_store, audit=membership_store.outbox)
    memberships.create_workspace(OWNER, tenant_id="t1")
    assert memberships.relay is None
    trail = Trail()
    assert OutboxRelay(membership_store.outbox, trail).forward().sent == 1
    assert trail.actions == ["workspace.created"]


def test_a_lost_outbox_table_stops_the_change(sqlite: Engine) -> None:
    """The event and the change stand or fall together: no table, no change."""
    world = World(SqlMembershipStore(Database(sqlite)))
    with sqlite.begin() as connection:
        connection.execute(text("DROP TABLE wst_outbox"))
    with pytest.raises(StoreMisconfigured):
        world.memberships.invite(ctx("u1"), "x@example.com", ["member"])
    assert world.memberships.invitations(ctx("u1")) == []


def test_a_host_that_rolls_back_takes_change_and_event_with_it(engine: Engine) -> None:
    database, trail = Database(engine), Trail()
    with engine.connect() as connection:
        joined = Memberships(SqlMembershipStore(database.join(connection)), audit=trail)
        joined.create_workspace(OWNER, tenant_id="t1")
        assert joined.relay is None  # nothing is told of what may yet be undone
        connection.rollback()
    assert drive(SqlOutbox(database).waiting(9)) == []
    with engine.connect() as connection:
        Memberships(SqlMembershipStore(database.join(connection)), audit=trail).create_workspace(OWNER, tenant_id="t1")
        connection.commit()
    assert trail.events == []
    assert OutboxRelay(SqlOutbox(database), trail).forward().sent == 1


def test_a_process_that_dies_after_the_commit_has_told_nothing_yet_and_lost_nothing(sqlite_path: Path) -> None:
    """The next process on the same file forwards, and a repetition is recorded once."""
    engine = create_engine(f"sqlite:///{sqlite_path}")
    database = Database(engine)
    database.create_all()
    store, log = SqlMembershipStore(database), AuditLog(SqlAuditStore(database), registry=ActionRegistry())

    class Dying:
        suspends = False

        async def aemit(self, event: Any) -> None:
            await log.aemit(event)
            raise KeyboardInterrupt  # after the trail took it, before the outbox forgot it

    memberships = Memberships(store, audit=Dying())
    with pytest.raises(KeyboardInterrupt):
        memberships.create_workspace(OWNER, tenant_id="t1")
    assert memberships.prove(OWNER, "t1") is not None
    again = Memberships(SqlMembershipStore(Database(engine)), audit=log)
    again.invite(ctx("u1"), "x@example.com", ["member"])
    assert [event["action"] for event in reversed(log.events("t1"))] == ["workspace.created", "member.invited"]
    engine.dispose()


def test_every_action_is_declared_to_a_strict_registry() -> None:
    log = AuditLog(MemoryAuditStore(), registry=ActionRegistry(strict=True))
    world = World(MemoryMembershipStore())
    memberships = Memberships(world.store, clock=world.clock, audit=log)
    token = memberships.invite(ctx("u1"), "u2@example.com", ["admin"]).token
    memberships.accept(token, person("u2"))
    revoked = memberships.invite(ctx("u1"), "u3@example.com", ["member"])
    memberships.revoke_invitation(ctx("u1"), revoked.id)
    memberships.suspend(ctx("u1"), "u2")
    memberships.reinstate(ctx("u1"), "u2")
    memberships.add_service(ctx("u1"), "bot", ["member"])
    memberships.grant_support(ctx("u1"), "sup", reason="r", ticket="t")
    memberships.set_seats("t1", 9)
    memberships.change_roles(ctx("u1"), "bot", ["admin"])
    memberships.transfer_ownership(ctx("u1"), "u2")
    memberships.leave(ctx("u1"))
    assert drive(world.store.outbox.waiting(99)) == []
    recorded = [event["action"] for event in reversed(log.events("t1"))]
    assert recorded == [
        "member.invited", "member.joined", "member.invited", "member.invitation_revoked", "member.suspended",
        "member.reinstated", "member.service_added", "support.access_granted", "workspace.seats_changed",
        "member.roles_changed", "workspace.ownership_transferred", "member.removed",
    ]  # fmt: skip


def test_concurrent_changes_are_told_once_each_and_in_order(engine: Engine) -> None:
    database = Database(engine)
    store, trail = SqlMembershipStore(database), Trail()
    memberships = Memberships(store, audit=trail)
    memberships.create_workspace(OWNER, tenant_id="t1")

    def work(number: int) -> None:
        for step in range(5):
            memberships.invite(ctx("u1"), f"p{number}-{step}@example.com", ["member"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trail.actions == ["workspace.created", *["member.invited"] * 15]
    assert len({event.id for event in trail.events}) == 16
    assert drive(store.outbox.waiting(9)) == []
