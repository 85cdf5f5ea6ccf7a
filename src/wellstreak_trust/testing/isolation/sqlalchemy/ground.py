"""The ground of a case: two tenants with rows of their own, and a look below the guard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar

from sqlalchemy import Engine, Table, inspect, or_, select
from sqlalchemy.orm import Session, sessionmaker

from ....tenancy import tenant_scope, testing_context
from ..battery import compare
from .schema import Schema
from .world import typed

__all__ = ["Factory", "Ground", "Make", "untouched"]

T = TypeVar("T")
Make = Callable[[Any], Any]
Factory = Callable[[Make], Any]
Key = tuple[Any, ...]


class Ground:
    """What an attack stands on.

    Args:
        maker: the host's guarded sessions.
        owner: an engine below the guard.
        factories: makes a legal instance of each model; it gets ``make``, which makes and adds what it depends on.
        tenants: the attacker and the victim.
    """

    def __init__(
        self,
        schema: Schema,
        maker: sessionmaker[Session],
        owner: Engine,
        *,
        factories: Mapping[Any, Factory],
        tenants: tuple[str, str],
    ) -> None:
        self.schema: Schema = schema
        self.maker: sessionmaker[Session] = maker
        self.owner: Engine = owner
        self.attacker: str = tenants[0]
        self.victim: str = tenants[1]
        self._factories: Mapping[Any, Factory] = factories

    def scope(self, tenant: str | None = None) -> tenant_scope:
        """A scope of the attacker, or of `tenant`."""
        return tenant_scope(testing_context(tenant or self.attacker))

    def has(self, model: Any) -> bool:
        """Whether instances of a model can be made."""
        return model in self._factories

    def plant(self, model: Any, tenant: str) -> Key:
        """Makes a row of the tenant through the guard, commits it, and gives its key."""
        with self.scope(tenant), self.maker() as session:
            instance = self.make(session, model)
            session.commit()
            return tuple(inspect(instance).identity or ())

    def make(self, session: Session, model: Any) -> Any:
        """A new instance in the session, with what it depends on."""

        def make(other: Any) -> Any:
            instance = self._factories[other](make)
            session.add(instance)
            session.flush()
            return instance

        return make(model)

    def fetch(self, model: Any, key: Key, tenant: str) -> Any:
        """A detached instance that was loaded in its own scope, as a cache or another request would hold it."""

        def load() -> Any:
            with self.scope(tenant), self.maker(expire_on_commit=False) as session:
                instance = session.get(model, key)
                session.expunge_all()
                return instance

        return Context().run(load)  # the caller's scope must not be seen: another tenant's is refused inside it

    def row(self, model: Any, key: Key) -> dict[str, Any]:
        """One row by key, read below the guard, by the names of its columns."""
        mapper = inspect(model)
        statement = select(*mapper.local_table.c)
        for column, value in zip(mapper.local_table.primary_key, key, strict=True):
            statement = statement.where(column == value)
        with self.owner.connect() as connection:
            return dict(connection.execute(statement).mappings().one())

    def rows(self, tenant: str) -> dict[str, list[str]]:
        """All rows of a tenant by table, and all links, read below the guard."""
        return rows_of(self.schema, self.owner, tenant)

    def count(self, model: Any, tenant: str) -> int:
        """How many rows the tenant has in a model's own table."""
        return len(self.rows(tenant)[inspect(model).local_table.name])

    def below(self, work: Callable[[Any], T]) -> T:
        """Runs `work` on a connection below the guard and commits."""
        with self.owner.begin() as connection:
            return work(connection)

    def clear(self) -> None:
        """Deletes all rows of both tenants, below the guard."""
        tenants = (self.attacker, self.victim)
        with self.owner.begin() as connection:
            for table in reversed(self.schema.metadata.sorted_tables):
                if table in self.schema.links:
                    ends = [
                        self._theirs(key, tenants)
                        for key in table.foreign_keys
                        if _owned(self.schema, key.column.table)
                    ]
                    if ends:
                        connection.execute(table.delete().where(or_(*ends)))
                elif _owned(self.schema, table):
                    column = table.c[self.schema.column]
                    connection.execute(table.delete().where(column.in_([typed(column, each) for each in tenants])))

    def _theirs(self, key: Any, tenants: tuple[str, ...]) -> Any:
        column = key.column.table.c[self.schema.column]
        return key.parent.in_(select(key.column).where(column.in_([typed(column, each) for each in tenants])))


def _owned(schema: Schema, table: Table) -> bool:
    return schema.column in table.c and table not in schema.shared


def rows_of(schema: Schema, owner: Engine, tenant: str) -> dict[str, list[str]]:
    """All rows of a tenant by table, and all links."""
    found: dict[str, list[str]] = {}
    with owner.connect() as connection:
        for table in schema.metadata.sorted_tables:
            statement = select(table)
            if _owned(schema, table):
                column = table.c[schema.column]
                statement = statement.where(column == typed(column, tenant))
            elif table not in schema.links:
                continue
            found[table.name] = sorted(repr(tuple(row)) for row in connection.execute(statement))
    return found


@contextmanager
def untouched(
    owner: Engine, base: Any, tenant_id: str, *, column: str = "tenant_id", shared: Sequence[Any] = ()
) -> Iterator[None]:
    """Asserts that no row of the tenant is changed, added or removed inside the block.

    Args:
        owner: an engine below the guard that sees all rows.
        base, column, shared: as of `IsolationSuite`.

    Raises:
        Finding: on leaving, where rows differ; names the tables.
    """
    schema = Schema(base, column, shared)
    before = rows_of(schema, owner, tenant_id)
    yield
    compare(before, rows_of(schema, owner, tenant_id), tenant_id)
