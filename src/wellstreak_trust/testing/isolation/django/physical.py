"""`PhysicalOracle` for Django: the host's own models among others' rows, and their twins in tables alone.

Both sides stand in one database: the host's tables hold rows of several tenants, the twins' tables those of the first
one. Each statement runs in a transaction that is rolled back, or, where the owner of the tables has a connection of
his own because policies hide rows from the host's role, is committed and undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from django.db import connections, transaction
from django.db.utils import load_backend

from ....core.errors import ConfigurationError, TrustError
from ....tenancy import tenant_scope, testing_context
from ..dice import Dice
from ..oracle import Oracle
from ..report import Outcome
from . import reads, writes
from .queries import Queries
from .reads import Reads
from .schema import Models
from .twins import closure, twins
from .world import World
from .writes import Writes

__all__ = ["PhysicalOracle"]

PREFIX = "alone_"


class _Side:
    """One set of models, and the connection that stands in for the default one."""

    def __init__(self, models: Models, world: World, connection: Any, owner: Any, *, alone: bool) -> None:
        self.connection: Any = connection
        self._owner: Any = owner
        self._alone: bool = alone
        self._world: World = world
        self._sent: list[str] = []
        queries = Queries(models, world)
        self._ways: tuple[Any, ...] = (Reads(queries), Writes(queries, explicit=alone))
        world.insert(owner, alone=alone)
        self._before: Any = world.dump(owner, alone=alone)

    def play(self, dice: Dice) -> Outcome:
        """See `Side.play`."""
        self._sent.clear()
        kind = dice.choice((0, 0, 0, 1))
        form = dice.choice((reads, writes)[kind].FORMS)
        found = self._ran(kind, form, dice.always(form))
        return Outcome(**found, form=f"{('read', 'write')[kind]}.{form}", sql=tuple(self._sent))

    def _ran(self, kind: int, form: str, dice: Dice) -> dict[str, Any]:
        apart = self._owner is not self.connection
        found: dict[str, Any] = {}
        try:
            with _as_default(self.connection), tenant_scope(testing_context(self._world.tenants[0])):
                with self.connection.execute_wrapper(self._note), transaction.atomic():
                    found["value"] = self._ways[kind].run(form, dice)
                    if kind == 1 and not apart:
                        found["own"], found["others"] = self._after()
                    transaction.set_rollback(not apart)
        except TrustError as refused:
            return {"error": "refused", "refused": type(refused).__name__}
        except Exception as error:
            return {"error": type(error).__name__}
        if kind == 1 and apart:
            found["own"], found["others"] = self._after()
            self._world.empty(self._owner, alone=self._alone)
            self._world.insert(self._owner, alone=self._alone)
        return found

    def _after(self) -> tuple[Any, Any]:
        """The first tenant's rows, and what changed among the others'."""
        own, others = self._world.dump(self._owner, alone=self._alone)
        changed = {
            table: (sorted(set(before) - set(others[table])), sorted(set(others[table]) - set(before)))
            for table, before in self._before[1].items()
            if sorted(before) != sorted(others[table])
        }
        return {table: sorted(rows) for table, rows in own.items()}, changed

    def _note(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        self._sent.append(f"{sql} {params!r}")
        return execute(sql, params, many, context)


class PhysicalOracle(Oracle):
    """The oracle over Django models.

    Args:
        models: the tenants' models; what their fields lead to comes along.
        column: the attribute that holds the tenant id.
        seed: equal seeds give equal rows and statements.
        tenants: ids; the first is the one under test.
        values: makers of values by field, such as ``{"shop.Order.number": lambda n: ...}``.
        rows: of each tenant in each table.
        databases: settings of the host's role and of the owner of the tables, as in ``DATABASES``; None for a SQLite
            file that vanishes on `close`.
        prepare: called with the owner's connection once the tables are there, for policies and grants.

    Raises:
        ConfigurationError: no model has the tenant column, or a field's type is unknown.
    """

    def __init__(
        self,
        models: Iterable[Any],
        *,
        column: str = "tenant_id",
        seed: int | str = 0,
        tenants: Sequence[str] = ("t1", "t2", "t3"),
        values: Mapping[str, Callable[[int], Any]] | None = None,
        rows: int = 4,
        databases: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
        prepare: Callable[[Any], object] | None = None,
    ) -> None:
        every = closure(models)
        own = Models({model._meta.label: model for model in every}, column)
        if not own.tenants:
            raise ConfigurationError(f"no model has {column!r}", hint="name it with column=", reason="column")
        plain = Models(twins(every, PREFIX), column)
        self._folder: TemporaryDirectory[str] | None = None
        if databases is None:
            self._folder = TemporaryDirectory(prefix="isolation-", ignore_cleanup_errors=True)
            sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(self._folder.name, "mixed.db"))}
            self._connection: Any = _connection(sqlite)
            self._owner: Any = self._connection
        else:
            self._connection, self._owner = map(_connection, databases)
        for each in (twins(every, ""), plain.by_label):
            _create(self._owner, each.values())
        if prepare is not None:
            prepare(self._owner)
        world = World(plain, Dice(f"rows:{seed}"), tenants, prefix=PREFIX, rows=rows, values=values or {})
        super().__init__(
            _Side(own, world, self._connection, self._owner, alone=False),
            _Side(plain, world, self._owner, self._owner, alone=True),
            seed,
        )

    def close(self) -> None:
        """Closes the connections and removes the file."""
        self._connection.close()
        self._owner.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connection(settings: Mapping[str, Any]) -> Any:
    """A connection that nobody else has, with the defaults that Django fills in."""
    full = {**connections.settings["default"], **{"OPTIONS": {}, "USER": "", "PASSWORD": "", "HOST": "", "PORT": ""}}
    full |= {**settings, "ATOMIC_REQUESTS": False}
    return load_backend(full["ENGINE"]).DatabaseWrapper(full, "default")


@contextmanager
def _as_default(connection: Any) -> Iterator[None]:
    """For the block, `connection` is what ``connections["default"]`` gives to this thread."""
    before = connections["default"]
    connections["default"] = connection
    try:
        yield
    finally:
        connections["default"] = before


def _create(connection: Any, models: Iterable[Any]) -> None:
    with _as_default(connection):
        if connection.vendor == "sqlite":
            connection.disable_constraint_checking()
        with connection.schema_editor() as editor:
            for model in models:
                if not model._meta.proxy:
                    editor.create_model(model)
