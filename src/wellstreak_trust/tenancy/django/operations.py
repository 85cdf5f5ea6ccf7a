"""Migration operations: row level security, and foreign keys that the database keeps inside a tenant.

::

    operations = [EnableTenantRLS("Project"), EnableTenantRLS("Task"), TenantForeignKeyConstraint("Task", "project")]

The policies hold for every role but superusers and those with BYPASSRLS, the tables' owner too. The application must
connect as a role that is neither; migrations may run as the owner, inside ``unscoped`` where they touch rows.
On other databases than PostgreSQL both do nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from django.db.migrations.operations.base import Operation

from ...core.errors import ConfigurationError
from .. import setting
from ..postgres import ddl
from .registry import COMPANY, TENANT, Owner, Table, plain_name, tables

__all__ = ["EnableTenantRLS", "TenantForeignKeyConstraint"]

_TENANT: Final = ddl.told(setting.TENANT)
_COMPANY: Final = ddl.told(setting.COMPANY)


class _PostgresOperation(Operation):
    """Runs statements on PostgreSQL where the router lets the model migrate; the model's state does not change."""

    reversible = True
    reduces_to_sql = True

    forwards: Callable[[Any, Any], Iterable[str]]  # of the model and the quoting of names: what brings it about
    backwards: Callable[[Any, Any], Iterable[str]]  # what takes it back

    def __init__(self, model_name: str) -> None:
        self.model_name: str = model_name

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Policies are no part of Django's state."""
        return

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Called by ``migrate``."""
        self._run(app_label, schema_editor, to_state, self.forwards)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Called by ``migrate`` to an earlier migration."""
        self._run(app_label, schema_editor, from_state, self.backwards)

    def _run(self, app_label: str, schema_editor: Any, state: Any, statements: Any) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        if connection.vendor == "postgresql" and self.allow_migrate_model(connection.alias, model):
            for statement in statements(model, connection.ops.quote_name):
                schema_editor.execute(statement, params=None)


class EnableTenantRLS(_PostgresOperation):
    """Turns on row level security for a tenant model's table and for the link tables of its many-to-many fields.

    Args:
        model_name: of the app whose migration it is.

    Raises:
        ConfigurationError: when run; the model is no tenant model.
    """

    def forwards(self, model: Any, quote: Any) -> Iterator[str]:
        """ENABLE, FORCE and one policy, whose WITH CHECK equals its USING."""
        for table in self._tables(model):
            yield from ddl.protected(quote(table.name), _rule(table, quote(table.name), quote))

    def backwards(self, model: Any, quote: Any) -> Iterator[str]:
        """The policy goes, and with it row level security."""
        for table in self._tables(model):
            yield from ddl.unprotected(quote(table.name))

    def describe(self) -> str:
        """What ``migrate`` prints."""
        return f"Keep the rows of {self.model_name} inside their tenant (row level security)"

    @property
    def migration_name_fragment(self) -> str:
        """For the name of a migration that holds nothing else."""
        return f"{self.model_name.lower()}_tenant_rls"

    def _tables(self, model: Any) -> list[Table]:
        names = [model._meta.db_table]
        names += [
            field.remote_field.through._meta.db_table
            for field in model._meta.local_many_to_many
            if field.remote_field.through._meta.auto_created
        ]
        found = [tables()[name] for name in map(plain_name, names) if name in tables()]
        if not found or plain_name(found[0].name) != plain_name(names[0]):
            raise ConfigurationError(
                f"{model._meta.label} is no tenant model", hint="derive it from TenantModel", reason="tenancy_rls"
            )
        return found


class TenantForeignKeyConstraint(_PostgresOperation):
    """Repeats a foreign key with the tenant in it: (tenant, key) references (tenant, key of the target).

    PostgreSQL's own foreign key checks see all rows, whatever the policies say; this makes a child of another
    tenant's parent impossible, for raw SQL too. The constraint is not validated against rows that are there already:
    ``ALTER TABLE ... VALIDATE CONSTRAINT`` does that, and names the corrupt ones.

    Args:
        model_name: of the app whose migration it is.
        field_name: the foreign key.
    """

    def __init__(self, model_name: str, field_name: str) -> None:
        super().__init__(model_name)
        self.field_name: str = field_name

    def forwards(self, model: Any, quote: Any) -> Iterator[str]:
        """A unique index on the target, and the constraint."""
        field, target, name, key = self._names(model, quote)
        tenant, referred = quote(TENANT), quote(field.target_field.column)
        yield f"CREATE UNIQUE INDEX IF NOT EXISTS {key} ON {target} ({tenant}, {referred})"
        yield (
            f"ALTER TABLE {quote(model._meta.db_table)} ADD CONSTRAINT {name} "
            f"FOREIGN KEY ({tenant}, {quote(field.column)}) REFERENCES {target} ({tenant}, {referred}) "
            "DEFERRABLE INITIALLY DEFERRED NOT VALID"
        )

    def backwards(self, model: Any, quote: Any) -> Iterator[str]:
        """The constraint goes; the index stays for others that use it."""
        _, _, name, _ = self._names(model, quote)
        yield f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT IF EXISTS {name}"

    def describe(self) -> str:
        """What ``migrate`` prints."""
        return f"Keep {self.model_name}.{self.field_name} inside the tenant"

    @property
    def migration_name_fragment(self) -> str:
        """For the name of a migration that holds nothing else."""
        return f"{self.model_name.lower()}_{self.field_name.lower()}_tenant"

    def _names(self, model: Any, quote: Any) -> tuple[Any, str, str, str]:
        field = model._meta.get_field(self.field_name)
        target = tables().get(plain_name(field.target_field.model._meta.db_table))
        own = tables().get(plain_name(model._meta.db_table))
        if target is None or own is None or not (target.columns and own.columns):
            raise ConfigurationError(
                f"{model._meta.label}.{self.field_name} does not join two tables with a {TENANT}",
                hint="name a foreign key between tenant models",
                reason="tenancy_foreign_key",
            )
        name = f"{model._meta.db_table}_{field.column}_wst"[:63]
        key = f"{target.name}_{field.target_field.column}_wst"[:63]
        return field, quote(target.name), quote(name), quote(key)


def _rule(table: Table, alias: str, quote: Any) -> str:
    rules = {TENANT: (ddl.of_tenant, _TENANT), COMPANY: (ddl.of_company, _COMPANY)}
    parts = [rules[name][0](f"{alias}.{quote(column)}", rules[name][1]) for column, name in table.columns]
    return " AND ".join([*parts, *(_owner_rule(owner, alias, quote) for owner in table.owners)])


def _owner_rule(owner: Owner, alias: str, quote: Any) -> str:
    table = tables()[owner.table]
    inner = quote(f"wst_{owner.table}"[:63])
    rule = f"{inner}.{quote(owner.target)} = {alias}.{quote(owner.column)} AND {_rule(table, inner, quote)}"
    return f"EXISTS (SELECT 1 FROM {quote(table.name)} {inner} WHERE {rule})"  # noqa: S608 - quoted names of the host's
