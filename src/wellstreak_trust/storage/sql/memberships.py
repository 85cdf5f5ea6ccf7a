"""Workspaces, members and invitations in SQL: lock the workspace's row, load, ask the rule, write the difference."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Index, Integer, Table, Text, select

from ...core.errors import TenantNotFound
from ...core.event import AuditEvent
from ...core.tenant import Membership
from ...tenancy.office import Tell
from ...tenancy.rows import invited_from, invited_row, member_from, member_row, offer_from, state_row
from ...tenancy.workspace import Invited, Rule, WorkspaceState, changes
from .database import SqlPort, insert
from .outbox import SqlOutbox, append
from .schema import metadata

__all__ = ["SqlMembershipStore"]

_WORKSPACES: Final = Table(
    "wst_workspace",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("seats", Integer),
    Column("version", BigInteger, nullable=False),
    Column("transfer", Text),
)
_MEMBERS: Final = Table(
    "wst_membership",
    metadata,
    Column("tenant_id", Text, ForeignKey(_WORKSPACES.c.tenant_id), primary_key=True),
    Column("principal_id", Text, primary_key=True),
    Column("roles", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("kind", Text, nullable=False, server_default="member"),
    Column("suspended", Text, nullable=False, server_default="[]"),
    Column("support", Text),
    Index("wst_membership_principal", "principal_id"),
)
_INVITATIONS: Final = Table(
    "wst_invitation",
    metadata,
    Column("tenant_id", Text, ForeignKey(_WORKSPACES.c.tenant_id), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("email", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("inviter_id", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
)
COLUMNS_OF_2: Final = (_WORKSPACES.c.transfer, _MEMBERS.c.kind, _MEMBERS.c.suspended, _MEMBERS.c.support)


class SqlMembershipStore:
    """Memberships over `Database`, `AsyncDatabase` or a joined connection of either."""

    def __init__(self, database: SqlPort) -> None:
        self.suspends: bool = database.suspends
        self.outbox: SqlOutbox = SqlOutbox(database)
        self._database: SqlPort = database

    async def claim(self, state: WorkspaceState, events: Iterable[AuditEvent] = (), /) -> bool:
        """Stores a new workspace; False if the tenant id is taken."""

        def work(connection: Connection) -> bool:
            row = {"tenant_id": state.tenant_id, **_row(state_row(state))}
            stored = connection.execute(
                insert(connection, _WORKSPACES).values(row).on_conflict_do_nothing().returning(_WORKSPACES.c.tenant_id)
            ).first()
            if stored is not None:
                _write(connection, WorkspaceState(state.tenant_id), state)
                append(connection, events)
            return stored is not None

        return await self._database.run(work)

    async def transact(
        self, tenant_id: str, rule: Rule, tell: Tell | None = None, /
    ) -> tuple[WorkspaceState, WorkspaceState]:
        """Applies `rule` under the row lock (SQLite: the database's, taken by BEGIN IMMEDIATE)."""

        def work(connection: Connection) -> tuple[WorkspaceState, WorkspaceState]:
            before = _load(connection, tenant_id, shared=False)
            if before is None:
                raise TenantNotFound("no such workspace")
            after = rule(before)
            _write(connection, before, after)
            if tell is not None:
                append(connection, tell(before, after))
            return before, after

        return await self._database.run(work)

    async def load(self, tenant_id: str) -> WorkspaceState | None:
        """A consistent state: under a shared lock, because three SELECTs in READ COMMITTED are three moments."""
        return await self._database.run(lambda connection: _load(connection, tenant_id, shared=True))

    async def find(self, tenant_id: str, principal_id: str) -> Membership | None:
        """One membership."""
        query = select(_MEMBERS).where(_MEMBERS.c.tenant_id == tenant_id, _MEMBERS.c.principal_id == principal_id)
        row = await self._database.run(lambda connection: connection.execute(query).one_or_none(), read=True)
        return _membership(row) if row is not None else None

    async def memberships_of(self, principal_id: str) -> list[Membership]:
        """Every membership of a principal, by tenant id."""
        query = select(_MEMBERS).where(_MEMBERS.c.principal_id == principal_id).order_by(_MEMBERS.c.tenant_id)
        rows = await self._database.run(lambda connection: connection.execute(query).all(), read=True)
        return [_membership(row) for row in rows]

    async def tenant_of_invitation(self, digest: str) -> str | None:
        """The workspace an invitation belongs to."""
        query = select(_INVITATIONS.c.tenant_id).where(_INVITATIONS.c.digest == digest)
        return await self._database.run(lambda connection: connection.scalar(query), read=True)


def _load(connection: Connection, tenant_id: str, *, shared: bool) -> WorkspaceState | None:
    head = select(_WORKSPACES).where(_WORKSPACES.c.tenant_id == tenant_id).with_for_update(read=shared)
    row = connection.execute(head).one_or_none()
    if row is None:
        return None
    members = connection.execute(select(_MEMBERS).where(_MEMBERS.c.tenant_id == tenant_id)).all()
    invitations = connection.execute(select(_INVITATIONS).where(_INVITATIONS.c.tenant_id == tenant_id)).all()
    return WorkspaceState(
        tenant_id,
        row.name,
        row.seats,
        row.version,
        {member.principal_id: _membership(member) for member in members},
        {invited.id: _invited(invited) for invited in invitations},
        offer_from(_values(row, "transfer")["transfer"]),
    )


def _write(connection: Connection, before: WorkspaceState, after: WorkspaceState) -> None:
    tenant_id, found = after.tenant_id, changes(before, after)
    if after.version != before.version:
        connection.execute(
            _WORKSPACES.update().where(_WORKSPACES.c.tenant_id == tenant_id).values(_row(state_row(after)))
        )
    if found.gone:
        connection.execute(
            _MEMBERS.delete().where(_MEMBERS.c.tenant_id == tenant_id, _MEMBERS.c.principal_id.in_(found.gone))
        )
    if found.dropped:
        connection.execute(
            _INVITATIONS.delete().where(_INVITATIONS.c.tenant_id == tenant_id, _INVITATIONS.c.id.in_(found.dropped))
        )
    for member in found.members:
        row = {"tenant_id": tenant_id, "principal_id": member.principal_id, **_row(member_row(member))}
        _put(connection, _MEMBERS, row)
    for invited in found.invitations:
        _put(connection, _INVITATIONS, {"tenant_id": tenant_id, "id": invited.id, **_row(invited_row(invited))})


def _put(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in row.items() if name not in keys}
    connection.execute(insert(connection, table).values(row).on_conflict_do_update(index_elements=keys, set_=changed))


def _row(values: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, list) else value for name, value in values.items()}


def _values(row: Any, *texts: str) -> dict[str, Any]:
    values = dict(row._mapping)
    return {**values, **{name: json.loads(values[name]) for name in texts if values[name] is not None}}


def _membership(row: Any) -> Membership:
    return member_from(row.tenant_id, row.principal_id, _values(row, "roles", "suspended", "support"))


def _invited(row: Any) -> Invited:
    return invited_from(row.id, _values(row, "roles"))
