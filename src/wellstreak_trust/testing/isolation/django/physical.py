"""`PhysicalOracle` for Django: the host's own models among others' rows, and their twins in tables alone.

Both sides stand in one database: the host's tables hold rows of several tenants, the twins' tables those of the first
one. Each statement runs in a transaction that is rolled back, or, where the owner of the tables has a connection of
his own because policies hide rows from the host's role, is committed and undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from django.db import connections
from django.db.utils import load_backend

from ....core.errors import ConfigurationError
from ..dice import Dice
from ..oracle import Oracle, ScriptOracle
from ..report import OracleReport
from .schema import Models
from .side import ModelSide, as_default
from .twins import closure, twins
from .world import World

__all__ = ["Databases", "PhysicalOracle"]

PREFIX = "alone_"
Databases = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Settings of the host's role and of the owner of the tables, as in ``DATABASES``."""


class PhysicalOracle(Oracle):
    """The oracle over Django models.

    Args:
        models: the tenants' models; what their fields lead to comes along.
        column: the attribute that holds the tenant id.
        seed: equal seeds give equal rows and statements.
        tenants: ids; the first is the one under test.
        values: makers of values by field, such as ``{"shop.Order.number": lambda n: ...}``.
        rows: of each tenant in each table.
        databases: settings of the host's role and of the owner of the tables, as in ``DATABASES``, of one empty
            database; None for SQLite files.
        beside: likewise a second one, for `interference` only.
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
        databases: Databases | None = None,
        beside: Databases | None = None,
        prepare: Callable[[Any], object] | None = None,
    ) -> None:
        every = closure(models)
        self._models: Models = Models({model._meta.label: model for model in every}, column)
        if not self._models.tenants:
            raise ConfigurationError(f"no model has {column!r}", hint="name it with column=", reason="column")
        self._connections: list[Any] = []
        self._folder: TemporaryDirectory[str] = TemporaryDirectory(prefix="isolation-", ignore_cleanup_errors=True)
        self._given: tuple[Databases | None, Databases | None] = (databases, beside)
        self._prepare: Callable[[Any], object] | None = prepare
        plain = Models(twins(every, PREFIX), column)
        self._bare: Mapping[str, Any] = twins(every, "")
        self._world: World = World(plain, Dice(f"rows:{seed}"), tenants, prefix=PREFIX, rows=rows, values=values or {})
        role, owner = self._opened(databases, "mixed")
        self._create(owner, plain.by_label.values())
        left = ModelSide(self._models, self._world, role, owner, alone=False)
        super().__init__(left, ModelSide(plain, self._world, owner, owner, alone=True), seed)

    def interference(self, scripts: int = 30, *, length: int = 6) -> OracleReport:
        """Runs scripts of the tenant beside two different contents of the other tenants; see `ScriptOracle`.

        Raises:
            ConfigurationError: `databases` was given without `beside`.
        """
        first, second = self._given
        if first is not None and second is None:
            raise ConfigurationError("a second shared database is missing", hint="beside=({...}, {...})")
        role, owner = self._opened(second, "beside")
        rows = self._world.varied(Dice(f"others:{self.seed}"))
        other = ModelSide(self._models, self._world, role, owner, alone=False, rows=rows)
        return ScriptOracle(self.guarded, other, self.seed, length=length).run(scripts, most=3)

    def _opened(self, databases: Databases | None, name: str) -> tuple[Any, Any]:
        """The connections of role and owner, with the host's tables."""
        if databases is None:
            file = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(self._folder.name, f"{name}.db"))}
            role = owner = _connection(file)
        else:
            role, owner = map(_connection, databases)
        self._connections += [role, owner]
        self._create(owner, self._bare.values())
        if self._prepare is not None:
            self._prepare(owner)
        return role, owner

    def _create(self, connection: Any, models: Iterable[Any]) -> None:
        with as_default(connection):
            if connection.vendor == "sqlite":
                connection.disable_constraint_checking()
            with connection.schema_editor() as editor:
                for model in models:
                    if not model._meta.proxy:
                        editor.create_model(model)

    def close(self) -> None:
        """Closes the connections and removes the files."""
        for connection in self._connections:
            connection.close()
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
