"""The ground of a case: two tenants with rows of their own in one transaction, and a look below the guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar

from django.db import connections

from ....tenancy import tenant_scope, testing_context
from ....tenancy.setting import TENANT
from ..battery import compare
from .schema import Models, tables
from .twins import closure
from .world import below, typed

__all__ = ["Factory", "Ground", "Make", "untouched"]

T = TypeVar("T")
Make = Callable[[Any], Any]
Factory = Callable[[Make], Any]


class Ground:
    """What an attack stands on.

    Args:
        factories: gives a legal unsaved instance of each model; it gets ``make``, which saves what it depends on.
        tenants: the attacker and the victim.
        rls: whether policies hide rows from the connection, so that looking below the guard must name a tenant.
    """

    def __init__(
        self, models: Models, factories: Mapping[Any, Factory], tenants: tuple[str, str], *, using: str, rls: bool
    ) -> None:
        self.models: Models = models
        self.attacker: str = tenants[0]
        self.victim: str = tenants[1]
        self.using: str = using
        self._rls: bool = rls
        self._factories: Mapping[Any, Factory] = factories

    def scope(self, tenant: str | None = None) -> tenant_scope:
        """A scope of the attacker, or of `tenant`."""
        return tenant_scope(testing_context(tenant or self.attacker))

    def has(self, model: Any) -> bool:
        """Whether instances of a model can be made."""
        return model in self._factories

    def make(self, model: Any) -> Any:
        """A saved instance, in the scope that is open."""
        instance = self.unsaved(model)
        instance.save(using=self.using)
        return instance

    def unsaved(self, model: Any) -> Any:
        """An instance whose dependencies are saved."""
        return self._factories[model](self.make)

    def plant(self, model: Any, tenant: str) -> Any:
        """A saved instance of the tenant, made outside the scope that is open."""

        def run() -> Any:
            with self.scope(tenant):
                return self.make(model)

        return Context().run(run)

    def rows(self, tenant: str) -> dict[str, list[str]]:
        """All rows of a tenant by table, and all links, read below the guard."""
        connection: Any = connections[self.using]
        before = self._named(connection, tenant)
        found: dict[str, list[str]] = {}
        quoted = connection.ops.quote_name
        for model in tables(self.models.by_label.values()):
            name = model._meta.db_table
            own = next((each for each in model._meta.concrete_fields if each.attname == self.models.column), None)
            if own is None:
                if model._meta.auto_created:
                    found[name] = sorted(map(repr, below(connection, f"SELECT * FROM {quoted(name)}")))
                continue
            # The rows of a multi-table child have their parent's key, and so its tenant.
            home, value = own.model._meta, own.get_db_prep_value(typed(own, tenant), connection)
            sql = (
                f"SELECT * FROM {quoted(name)} WHERE {quoted(model._meta.pk.column)} IN "
                f"(SELECT {quoted(home.pk.column)} FROM {quoted(home.db_table)} WHERE {quoted(own.column)} = %s)"
            )
            found[name] = sorted(map(repr, below(connection, sql, [value])))
        self._named(connection, before)
        return found

    def point(self, model: Any, key: Any, column: str, value: Any) -> None:
        """Sets one column of a row below the guard."""
        connection: Any = connections[self.using]
        quoted = connection.ops.quote_name
        table, primary = model._meta.db_table, model._meta.pk.column
        sql = f"UPDATE {quoted(table)} SET {quoted(column)} = %s WHERE {quoted(primary)} = %s"
        below(connection, sql, [value, key])

    def link(self, through: Any, values: Mapping[str, Any]) -> None:
        """Adds a row to a link table below the guard."""
        connection: Any = connections[self.using]
        names = ", ".join(connection.ops.quote_name(name) for name in values)
        places = ", ".join(["%s"] * len(values))
        table = connection.ops.quote_name(through._meta.db_table)
        below(connection, f"INSERT INTO {table} ({names}) VALUES ({places})", list(values.values()))

    def _named(self, connection: Any, tenant: str) -> str:
        """Names a tenant to row level security, and gives the one that was named before."""
        if not self._rls:
            return ""
        before = below(connection, "SELECT current_setting(%s, true)", [TENANT])[0][0]
        below(connection, "SELECT set_config(%s, %s, true)", [TENANT, tenant])
        return before or ""


@contextmanager
def untouched(
    models: Iterable[Any], tenant_id: str, *, column: str = "tenant_id", using: str = "default", rls: bool = False
) -> Iterator[None]:
    """Asserts that no row of the tenant is changed, added or removed inside the block.

    Args:
        models: tenant models; what their fields lead to comes along.
        column, using, rls: as of `IsolationSuite`.

    Raises:
        Finding: on leaving, where rows differ; names the tables.
    """
    every = Models({model._meta.label: model for model in closure(models)}, column)
    ground = Ground(every, {}, (tenant_id, tenant_id), using=using, rls=rls)
    before = ground.rows(tenant_id)
    yield
    compare(before, ground.rows(tenant_id), tenant_id)
