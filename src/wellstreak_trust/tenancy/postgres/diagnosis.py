"""`doctor`: what stands between the tenants of a live schema, judged for the role that is connected.

Connect as the application does. A superuser's connection, or the owner's, is itself a finding, and every test of
policies that runs as one of them proves nothing. Roles are judged with all that they can become by ``SET ROLE``;
``current_user`` is the one judged, so a connection that began as another role may go back to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from sqlalchemy import Connection

from ...core.errors import UsageError
from ..setting import COMPANY, TENANT
from . import names
from .case import Case
from .catalog import Role, Source, read
from .finding import Finding, found, sql
from .policy_checks import check_policies, check_security
from .seal import SCHEMA
from .table_checks import check_columns, check_foreign_keys, check_grants, check_publications, check_views

__all__ = ["doctor"]

_FILES: Final = frozenset(("pg_read_server_files", "pg_write_server_files", "pg_execute_server_program"))
_CREATEROLE_TAMED: Final = 160_000  # before, it could make itself a member of any role but a superuser's


def doctor(
    connection: Connection | Source,
    *,
    columns: Sequence[str] = ("tenant_id",),
    schemas: Collection[str] | None = None,
    exclude: Collection[str] = (),
    sealed: bool = False,
    settings: Collection[str] = (TENANT, COMPANY),
    seal_schema: str = SCHEMA,
) -> list[Finding]:
    """Examines the schema as the connected role sees it; sorted, errors first; empty where nothing was found.

    It reads the catalog alone, changes nothing, and asks a fixed number of queries however many tables there are. On
    an ``AsyncConnection``: ``await connection.run_sync(doctor)``. On a guarded engine, ask inside ``unscoped``.

    Args:
        connection: of SQLAlchemy, or of psycopg with rows as tuples.
        columns: names of the tenant column; of several that a table has, the first counts.
        schemas: which ones to examine; None for all but PostgreSQL's own.
        exclude: tables shared on purpose, as ``table`` or ``schema.table``; ``*`` stands for anything.
        sealed: also find policies that trust a plain setting.
        settings: the settings that hold the tenant.

    Raises:
        UsageError: no columns, or text where a collection belongs.
    """
    for given in (columns, exclude, schemas or ()):
        if isinstance(given, str):
            raise UsageError("a collection of names, not one", hint="columns=('tenant_id',)")
    if not columns:
        raise UsageError("no column marks a tenant's rows", hint="columns=('tenant_id',)")
    chosen = None if schemas is None else frozenset(schemas)
    case = Case(read(connection, columns, settings), chosen, tuple(exclude), sealed, seal_schema)
    checks = (
        check_security, check_policies, check_columns, check_foreign_keys, check_views, check_grants,
        check_publications, _check_functions, _check_owners, _check_roles, _check_settings,
    )  # fmt: skip
    return sorted((each for check in checks for each in check(case)), key=lambda each: each.rank)


def _check_functions(case: Case) -> Iterator[Finding]:
    for label, quoted, schema in case.catalog.definers:
        if case.covers(schema):
            hint = sql(f"ALTER ROUTINE {label} SET search_path = pg_catalog, {quoted}, pg_temp")
            yield found("definer_search_path", label, hint)


def _check_owners(case: Case) -> Iterator[Finding]:
    for table in case.tenants("rpf"):
        owner = case.catalog.roles.get(table.owner_oid)
        if owner is None:
            continue
        if owner.me:
            hint = f"-- a role that the application cannot become\nALTER TABLE {table.label} OWNER TO another_role;"
            yield found("owner_is_app", table.label, hint)
        else:
            yield found("owner_reachable", f"{table.label}: {owner.name}", case.left(owner.name))


def _check_roles(case: Case) -> Iterator[Finding]:
    for role in case.catalog.roles.values():
        if role.superuser or role.bypasses:
            hint = sql(f"ALTER ROLE {role.name} NOSUPERUSER NOBYPASSRLS") if role.me else case.left(role.name)
            yield found("role_bypasses", role.name, hint)
        elif _escapes(role, case.catalog.version):
            hint = sql(f"ALTER ROLE {role.name} NOCREATEROLE NOREPLICATION") if role.me else case.left(role.name)
            yield found("role_escapes", role.name, hint)


def _escapes(role: Role, version: int) -> bool:
    return role.replicates or role.name in _FILES or (role.creates_roles and version < _CREATEROLE_TAMED)


def _check_settings(case: Case) -> Iterator[Finding]:
    for database, role, setting in case.catalog.presets:
        name = ".".join(map(names.quoted, names.split(setting)))
        if role is None and database is not None:
            hint = f"ALTER DATABASE {database} RESET {name}"
        else:
            hint = f"ALTER ROLE {role or 'ALL'}{f' IN DATABASE {database}' if database else ''} RESET {name}"
        yield found("setting_preset", f"{setting}: {role or database or 'all roles'}", sql(hint))
    for table in case.catalog.relations.values():
        if table.schema == case.seal_schema and table.name == "key" and case.catalog.touchable(table):
            holders = case.catalog.holders(table, "SELECT", "INSERT", "UPDATE", "DELETE")
            yield found("seal_key_readable", table.label, case.revoked(table, "ALL", holders))
