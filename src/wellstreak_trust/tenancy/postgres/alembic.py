"""Alembic operations for row level security: ``op.enable_tenant_rls("project")``, reversible.

Import this module in ``env.py`` (or in a revision) and the operations are there, online and with ``--sql``. A table
that says in its ``info`` how it is protected is protected by autogenerate::

    Table("project", metadata, ..., info={TENANT_RLS: {}})                      # the default column and setting
    Table("ticket", metadata, ..., info={TENANT_RLS: {"column": "org_id", "type": "uuid"}})

Autogenerate compares whether row level security is on, enabled and forced; what a policy says is the doctor's matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...core.errors import MissingExtra
from ..setting import COMPANY, TENANT
from . import names
from .ddl import POLICY, drop_policy_ddl, policy_ddl
from .seal import SCHEMA

try:
    from alembic.autogenerate import comparators, renderers
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations import MigrateOperation, Operations
    from alembic.operations.ops import ModifyTableOps
    from sqlalchemy import Table, text
except ImportError:
    raise MissingExtra(
        "these operations need Alembic", hint="pip install 'wellstreak-trust[alembic]'", reason="extra"
    ) from None

__all__ = ["TENANT_RLS", "DisableTenantRls", "EnableTenantRls"]

TENANT_RLS: Final = "tenant_rls"
"""The key in ``Table.info`` under which a table keeps the keywords of `policy_ddl`."""

_DEFAULTS: Final[dict[str, Any]] = {
    "column": "tenant_id", "setting": TENANT, "type": None, "schema": None, "company": None,
    "company_setting": COMPANY, "company_type": None, "sealed": False, "seal_schema": SCHEMA, "name": POLICY,
}  # fmt: skip


class _TenantRls(MigrateOperation):
    """A table and the keywords of `policy_ddl`."""

    def __init__(self, table: str, **options: Any) -> None:
        # Made here, so that a name or keyword that cannot be is refused when the revision is written, not when it runs.
        policy_ddl(table, **options)
        self.table: str = table
        self.options: dict[str, Any] = {key: value for key, value in options.items() if value != _DEFAULTS[key]}

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """What ``alembic check`` shows."""
        return type(self).__name__, self.table, self.options


@Operations.register_operation("enable_tenant_rls")
class EnableTenantRls(_TenantRls):
    """``op.enable_tenant_rls(table, column="tenant_id", ...)``: the statements of `policy_ddl`."""

    @classmethod
    def enable_tenant_rls(cls, operations: Operations, table: str, column: str = "tenant_id", **options: Any) -> None:
        """Puts `table` under row level security; keywords as `policy_ddl`."""
        operations.invoke(cls(table, column=column, **options))

    def reverse(self) -> MigrateOperation:
        """The operation that undoes this one."""
        return DisableTenantRls(self.table, **self.options)


@Operations.register_operation("disable_tenant_rls")
class DisableTenantRls(_TenantRls):
    """``op.disable_tenant_rls(table, ...)``: the statements of `drop_policy_ddl`; the keywords serve the way back."""

    @classmethod
    def disable_tenant_rls(cls, operations: Operations, table: str, column: str = "tenant_id", **options: Any) -> None:
        """Opens `table` to whoever holds a grant."""
        operations.invoke(cls(table, column=column, **options))

    def reverse(self) -> MigrateOperation:
        """The operation that undoes this one."""
        return EnableTenantRls(self.table, **self.options)


@Operations.implementation_for(EnableTenantRls)
def _enable(operations: Operations, operation: EnableTenantRls) -> None:
    for statement in policy_ddl(operation.table, **operation.options):
        operations.execute(_literal(statement))


@Operations.implementation_for(DisableTenantRls)
def _disable(operations: Operations, operation: DisableTenantRls) -> None:
    own = {key: operation.options[key] for key in ("schema", "name") if key in operation.options}
    for statement in drop_policy_ddl(operation.table, **own):
        operations.execute(_literal(statement))


def _literal(statement: str) -> Any:
    """As it stands: a colon before a letter would be read as a parameter."""
    return text(statement.replace(":", "\\:"))


@renderers.dispatch_for(EnableTenantRls)
def _render_enable(context: AutogenContext, operation: EnableTenantRls) -> str:
    return _rendered(context, "enable_tenant_rls", operation)


@renderers.dispatch_for(DisableTenantRls)
def _render_disable(context: AutogenContext, operation: DisableTenantRls) -> str:
    return _rendered(context, "disable_tenant_rls", operation)


def _rendered(context: AutogenContext, name: str, operation: _TenantRls) -> str:
    context.imports.add(f"import {__name__}")  # a revision runs where env.py does not import this module, too
    keywords = "".join(f", {key}={value!r}" for key, value in operation.options.items())
    prefix: Callable[..., Any] = context.opts["alembic_module_prefix"]
    return f"{prefix}{name}({operation.table!r}{keywords})"


_SECURED: Final = """
SELECT c.relrowsecurity AND c.relforcerowsecurity FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = :table AND n.nspname = coalesce(:schema, current_schema())"""


@comparators.dispatch_for("table")
def _compare(
    context: AutogenContext,
    operations: ModifyTableOps,
    schema: str | None,
    name: str,
    *sides: Table | None,
) -> None:
    found, wanted = sides
    options = None if wanted is None else wanted.info.get(TENANT_RLS)
    if options is None or context.dialect is None or context.dialect.name != "postgresql":
        return
    secured = False
    if found is not None and context.connection is not None:
        answer = context.connection.execute(text(_SECURED), {"table": str(name), "schema": schema})
        secured = bool(answer.scalar())
    if not secured:
        own = {} if schema is None else {"schema": names.spelt(schema)}
        operations.ops.append(EnableTenantRls(names.spelt(str(name)), **{**own, **options}))
