"""`MembershipStore` over Django's ORM.

Every verb is one ``transaction.atomic`` block, and so a savepoint inside the host's own: what the host rolls back takes
the change and its event with it. Inside a transaction of the host nothing is offered to the relay, because nothing may
be told of what can yet be undone: forward with ``transaction.on_commit(memberships.relay.forward)``, or by a job.

The workspace's row is locked first: ``SELECT ... FOR UPDATE``, or, where the database has none (SQLite), an UPDATE that
changes nothing and takes the write lock before anything is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connections, transaction
from django.db.models import F

from ....core.errors import StoreMisconfigured, StoreUnavailable, TenantNotFound
from ....core.event import AuditEvent
from ....core.outbox import event_from, event_text
from ....core.tenant import Membership
from ....tenancy.office import Tell
from ....tenancy.rows import (
    INVITED,
    MEMBER,
    invited_from,
    invited_row,
    member_from,
    member_row,
    offer_from,
    state_row,
)
from ....tenancy.workspace import Invited, Rule, WorkspaceState, changes
from . import models

__all__ = ["DjangoMembershipStore", "DjangoOutbox"]

T = TypeVar("T")


class _Orm:
    """Runs work in one transaction of a database alias, on this thread or, for an async host, on Django's own."""

    def __init__(self, using: str, suspends: bool) -> None:
        self.using: str = using
        self.suspends: bool = suspends

    async def run(self, work: Callable[[], T]) -> T:
        """Runs `work` in ``atomic``. Raises `StoreUnavailable`, `StoreMisconfigured`."""
        return await sync_to_async(self._run)(work) if self.suspends else self._run(work)

    def _run(self, work: Callable[[], T]) -> T:
        with _translated(), transaction.atomic(using=self.using):
            return work()

    def append(self, events: Iterable[AuditEvent]) -> None:
        """Appends events to the outbox, inside the transaction under way."""
        rows = [
            models.OutboxEvent(event_id=event.id, tenant_id=event.tenant_id, event=event_text(event))
            for event in events
        ]
        models.OutboxEvent.objects.using(self.using).bulk_create(rows, ignore_conflicts=True)


class DjangoOutbox:
    """The outbox in Django's database; see `core.outbox.Outbox`."""

    def __init__(self, orm: _Orm) -> None:
        self.suspends: bool = orm.suspends
        self._orm: _Orm = orm

    async def aemit(self, event: AuditEvent, /) -> None:
        """Appends one event."""
        await self._orm.run(lambda: self._orm.append((event,)))

    async def waiting(self, limit: int, /) -> list[AuditEvent]:
        """The oldest events; none inside a transaction of the host."""

        def read() -> list[bytes]:
            if connections[self._orm.using].in_atomic_block:
                return []
            rows = models.OutboxEvent.objects.using(self._orm.using).filter(parked=None).order_by("place")
            with _translated():
                return [bytes(text) for text in rows.values_list("event", flat=True)[:limit]]

        texts = await sync_to_async(read)() if self.suspends else read()
        return [event_from(text) for text in texts]

    async def settle(self, ids: Iterable[str], /) -> None:
        """Forgets events that the sink has taken."""
        rows = models.OutboxEvent.objects.using(self._orm.using).filter(event_id__in=list(ids))
        await self._orm.run(rows.delete)

    async def park(self, id: str, code: str, /) -> None:
        """Sets an event aside."""
        rows = models.OutboxEvent.objects.using(self._orm.using).filter(event_id=id)
        await self._orm.run(lambda: rows.update(parked=code))


class DjangoMembershipStore:
    """Memberships through Django's ORM.

    Args:
        using: the database alias.
        suspends: for hosts on ASGI: every verb runs on Django's thread for synchronous code, and is awaited.
    """

    def __init__(self, using: str = "default", *, suspends: bool = False) -> None:
        self.suspends: bool = suspends
        self._orm: _Orm = _Orm(using, suspends)
        self.outbox: DjangoOutbox = DjangoOutbox(self._orm)

    async def claim(self, state: WorkspaceState, events: Iterable[AuditEvent] = (), /) -> bool:
        """Stores a new workspace; False if the tenant id is taken."""

        def work() -> bool:
            rows = models.Workspace.objects.using(self._orm.using)
            try:
                with transaction.atomic(using=self._orm.using):
                    rows.create(tenant_id=state.tenant_id, **state_row(state))
            except IntegrityError:
                return False
            self._write(WorkspaceState(state.tenant_id, version=state.version), state)
            self._orm.append(events)
            return True

        return await self._orm.run(work)

    async def transact(
        self, tenant_id: str, rule: Rule, tell: Tell | None = None, /
    ) -> tuple[WorkspaceState, WorkspaceState]:
        """Applies `rule` under the row lock."""

        def work() -> tuple[WorkspaceState, WorkspaceState]:
            before = self._load(tenant_id)
            if before is None:
                raise TenantNotFound("no such workspace")
            after = rule(before)
            self._write(before, after)
            if tell is not None:
                self._orm.append(tell(before, after))
            return before, after

        return await self._orm.run(work)

    async def load(self, tenant_id: str, /) -> WorkspaceState | None:
        """A consistent state: under the lock, because three SELECTs in READ COMMITTED are three moments."""
        return await self._orm.run(lambda: self._load(tenant_id))

    async def find(self, tenant_id: str, principal_id: str, /) -> Membership | None:
        """One membership."""
        rows = models.Membership.objects.using(self._orm.using).filter(
            workspace_id=tenant_id, principal_id=principal_id
        )
        found = await self._orm.run(rows.first)
        return _membership(found) if found is not None else None

    async def memberships_of(self, principal_id: str, /) -> list[Membership]:
        """Every membership of a principal, by tenant id."""
        rows = models.Membership.objects.using(self._orm.using).filter(principal_id=principal_id)
        return await self._orm.run(lambda: [_membership(row) for row in rows.order_by("workspace_id")])

    async def tenant_of_invitation(self, digest: str, /) -> str | None:
        """The workspace an invitation belongs to."""
        rows = models.Invitation.objects.using(self._orm.using).filter(digest=digest)
        return await self._orm.run(rows.values_list("workspace_id", flat=True).first)

    def _load(self, tenant_id: str) -> WorkspaceState | None:
        using = self._orm.using
        rows = models.Workspace.objects.using(using).filter(pk=tenant_id)
        if connections[using].features.has_select_for_update:
            row = rows.select_for_update().first()
        else:
            rows.update(version=F("version"))
            row = rows.first()
        if row is None:
            return None
        members = models.Membership.objects.using(using).filter(workspace_id=tenant_id)
        invitations = models.Invitation.objects.using(using).filter(workspace_id=tenant_id)
        return WorkspaceState(
            tenant_id,
            row.name,
            row.seats,
            row.version,
            {member.principal_id: _membership(member) for member in members},
            {invited.invitation_id: _invited(invited) for invited in invitations},
            offer_from(row.transfer),
        )

    def _write(self, before: WorkspaceState, after: WorkspaceState) -> None:
        using, tenant_id, found = self._orm.using, after.tenant_id, changes(before, after)
        members, invitations = models.Membership.objects.using(using), models.Invitation.objects.using(using)
        if after.version != before.version:
            models.Workspace.objects.using(using).filter(pk=tenant_id).update(**state_row(after))
        if found.gone:
            members.filter(workspace_id=tenant_id, principal_id__in=found.gone).delete()
        if found.dropped:
            invitations.filter(workspace_id=tenant_id, invitation_id__in=found.dropped).delete()
        members.bulk_create(
            [_member(tenant_id, member) for member in found.members],
            update_conflicts=True,
            update_fields=MEMBER,
            unique_fields=("workspace", "principal_id"),
        )
        invitations.bulk_create(
            [_invitation(tenant_id, invited) for invited in found.invitations],
            update_conflicts=True,
            update_fields=INVITED,
            unique_fields=("workspace", "invitation_id"),
        )


@contextmanager
def _translated() -> Iterator[None]:
    """Driver errors in our words; texts are dropped, because drivers print statements with their parameters."""
    try:
        yield
    except IntegrityError:
        raise
    except DatabaseError as error:
        kind = type(error).__name__
        # SQLite calls a missing table operational, too, and names it by its most general code.
        missing = getattr(error.__cause__, "sqlite_errorname", "") == "SQLITE_ERROR"
        if isinstance(error, OperationalError) and not missing:
            raise StoreUnavailable(f"database: {kind}", hint="check that it runs and is reachable") from None
        raise StoreMisconfigured(f"database: {kind}", hint="run manage.py migrate") from None
    except InterfaceError:
        raise StoreUnavailable("database: connection lost", hint="check that it runs and is reachable") from None


def _membership(row: Any) -> Membership:
    return member_from(row.workspace_id, row.principal_id, {name: getattr(row, name) for name in MEMBER})


def _invited(row: Any) -> Invited:
    return invited_from(row.invitation_id, {name: getattr(row, name) for name in INVITED})


def _member(tenant_id: str, member: Membership) -> models.Membership:
    return models.Membership(workspace_id=tenant_id, principal_id=member.principal_id, **member_row(member))


def _invitation(tenant_id: str, invited: Invited) -> models.Invitation:
    return models.Invitation(workspace_id=tenant_id, invitation_id=invited.id, **invited_row(invited))
