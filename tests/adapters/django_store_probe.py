"""Run by test_django_store in a process of its own: Django's ORM under the contract suite, and what is Django's own.

    python django_store_probe.py ENGINE NAME [HOST PORT USER]

Prints one line for each check that held.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings

ENGINE, NAME, *REST = sys.argv[1:]
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": f"django.db.backends.{ENGINE}",
            "NAME": NAME,
            **dict(zip(("HOST", "PORT", "USER"), REST, strict=False)),
        }
    },
    INSTALLED_APPS=["wellstreak_trust.adapters.django.workspaces"],
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402  settings come first
from django.db import connection, connections, transaction  # noqa: E402  settings come first

from wellstreak_trust.adapters.django.workspaces import DjangoMembershipStore, models  # noqa: E402  settings come first
from wellstreak_trust.core import Principal  # noqa: E402  settings come first
from wellstreak_trust.core.errors import StoreMisconfigured  # noqa: E402  settings come first
from wellstreak_trust.core.sansio import drive  # noqa: E402  settings come first
from wellstreak_trust.tenancy import LastOwner, Memberships, SeatLimit  # noqa: E402  settings come first
from wellstreak_trust.testing.stores.memberships import MEMBERSHIP_CHECKS  # noqa: E402  settings come first
from workspaces import OWNER, Trail, World, ctx, person, race  # noqa: E402  settings come first


def closing(call: Callable[[], object]) -> Callable[[], object]:
    """Django keeps a connection a thread."""

    def run() -> object:
        try:
            return call()
        finally:
            connections.close_all()

    return run


def a_life() -> None:
    world = World(DjangoMembershipStore(), seats=4)
    world.add("u2", "admin")
    world.memberships.suspend(ctx("u1"), "u2")
    world.memberships.reinstate(ctx("u1"), "u2")
    world.memberships.grant_support(ctx("u2"), "sup", reason="r", ticket="t")
    assert world.memberships.transfer_ownership(ctx("u1"), "u2").roles == {"admin", "owner"}
    assert world.trail.actions[-1] == "workspace.ownership_transferred"
    assert models.OutboxEvent.objects.count() == 0


def a_host_that_rolls_back_takes_everything_with_it() -> None:
    trail = Trail()
    memberships = Memberships(DjangoMembershipStore(), audit=trail)
    assert memberships.relay is not None
    try:
        with transaction.atomic():
            memberships.create_workspace(OWNER, tenant_id="t1")
            assert trail.events == []  # nothing is told of what may yet be undone
            raise KeyError
    except KeyError:
        pass
    assert memberships.prove(OWNER, "t1") is None
    assert memberships.relay.forward().sent == 0
    with transaction.atomic():
        memberships.create_workspace(OWNER, tenant_id="t1")
        transaction.on_commit(memberships.relay.forward)
    assert trail.actions == ["workspace.created"]


def a_host_goes_on_after_a_refusal() -> None:
    world = World(DjangoMembershipStore())
    with transaction.atomic():
        world.add("u2", "member")
        try:
            world.memberships.leave(ctx("u1"))
        except LastOwner:
            pass
        world.add("u3", "member")
    assert set(world.roles()) == {"u1", "u2", "u3"}


def races_leave_an_owner_and_pass_no_seat() -> None:
    world = World(DjangoMembershipStore())
    memberships = world.memberships
    for number in range(6):
        tenant_id = f"w{number}"
        memberships.create_workspace(Principal("u1"), tenant_id=tenant_id)
        token = memberships.invite(ctx("u1", tenant_id), "u2@example.com", ["owner"]).token
        memberships.accept(token, person("u2"))
        results = race(
            closing(lambda at=tenant_id: memberships.change_roles(ctx("u1", at), "u2", ["member"])),
            closing(lambda at=tenant_id: memberships.remove(ctx("u2", at), "u1")),
        )
        assert results.count(None) == 1, results
        memberships.set_seats(tenant_id, memberships.seats_taken(tenant_id) + 1)
        left = "u1" if results[0] is None else "u2"
        inviting = [
            closing(lambda n=n, at=tenant_id, by=left: memberships.invite(ctx(by, at), f"p{n}@example.com", ["member"]))
            for n in range(3)
        ]
        results = race(*inviting)
        assert (results.count(None), results.count(SeatLimit)) == (1, 2), results


def an_asynchronous_host_awaits() -> None:
    async def run() -> None:
        memberships = Memberships(DjangoMembershipStore(suspends=True), audit=Trail())
        await memberships.acreate_workspace(OWNER, tenant_id="t1")
        invitation = await memberships.ainvite(ctx("u1"), "u2@example.com", ["admin"])
        await memberships.aaccept(invitation.token, person("u2"))
        assert [found.principal_id for found in await memberships.alist(ctx("u1"))] == ["u1", "u2"]
        store = DjangoMembershipStore(suspends=True)
        assert await store.outbox.waiting(9) == []

    asyncio.run(run())


def a_missing_table_is_the_operators_matter() -> None:
    with connection.schema_editor() as editor:
        editor.delete_model(models.OutboxEvent)
    try:
        Memberships(DjangoMembershipStore(), audit=Trail()).create_workspace(OWNER, tenant_id="t1")
    except StoreMisconfigured:
        pass
    else:
        raise AssertionError("the change stood without its event")
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(models.OutboxEvent)
    assert models.Workspace.objects.count() == 0


def migrations_are_complete() -> None:
    call_command("makemigrations", "wellstreak_workspaces", "--check", "--dry-run", verbosity=0)


OWN = (
    a_life, a_host_that_rolls_back_takes_everything_with_it, a_host_goes_on_after_a_refusal,
    races_leave_an_owner_and_pass_no_seat, an_asynchronous_host_awaits, a_missing_table_is_the_operators_matter,
    migrations_are_complete,
)  # fmt: skip


def emptied() -> Any:
    for model in (models.Membership, models.Invitation, models.OutboxEvent, models.Workspace):
        model.objects.all().delete()
    return DjangoMembershipStore()


def main() -> None:
    call_command("migrate", verbosity=0)
    for check in MEMBERSHIP_CHECKS:
        drive(check(emptied()))
        print(check.__name__)
    for own in OWN:
        emptied()
        own()
        print(own.__name__)


if __name__ == "__main__":
    main()
