"""`PhysicalOracle` for SQLAlchemy: the host's own models, statements over them, and the truth from a database alone.

The tables are made twice. In the *mixed* database several tenants have rows, and children of one hang below parents of
another. In the other one only the first tenant's rows are, and a parent that belongs to somebody else is missing. A
statement in that tenant's scope on the mixed database, guarded, must answer as it does unguarded where nobody else is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

from ....core.errors import ConfigurationError
from ..dice import Dice
from ..oracle import Oracle, ScriptOracle
from ..report import OracleReport
from .schema import Schema
from .side import DatabaseSide
from .world import World

__all__ = ["Engines", "Guard", "PhysicalOracle"]

Guard = Callable[["sessionmaker[Session]"], object]
Engines = tuple[Engine, Engine]
"""The engine of the host's role, and the one of the owner, who sees all rows; they may be two on one database."""


class PhysicalOracle(Oracle):
    """The oracle over a declarative base.

    Args:
        base: the declarative base (or registry) whose models are tried.
        column: the tenant column.
        shared: models that belong to no tenant.
        guard: installs the guard under test on a sessionmaker; None for `TenantGuard` over the same arguments.
        links: link tables, for the default guard; None for all tables that no model maps.
        seed: equal seeds give equal rows and statements.
        tenants: ids; the first is the one under test.
        values: makers of values by column, where they cannot be guessed.
        rows: of each tenant in each table.
        mixed, alone, beside: engines of three empty databases; None for SQLite files that vanish on `close`. `beside`
            is for `interference` only.

    Raises:
        ConfigurationError: no model has the tenant column, or a column's type is unknown.
    """

    def __init__(
        self,
        base: Any,
        *,
        column: str = "tenant_id",
        shared: Sequence[Any] = (),
        links: Sequence[Any] | None = None,
        guard: Guard | None = None,
        seed: int | str = 0,
        tenants: Sequence[str] = ("t1", "t2", "t3"),
        values: Mapping[Any, Callable[[int], Any]] | None = None,
        rows: int = 4,
        mixed: Engines | None = None,
        alone: Engine | None = None,
        beside: Engines | None = None,
    ) -> None:
        schema = Schema(base, column, shared)
        self._world: World = World(schema, Dice(f"rows:{seed}"), tenants, rows=rows, values=values)
        self._engines: list[Engine] = []
        self._folder: TemporaryDirectory[str] = TemporaryDirectory(prefix="isolation-", ignore_cleanup_errors=True)
        self._given: tuple[Engines | None, Engines | None] = (mixed, beside)
        if guard is None:
            from ....tenancy.sqlalchemy import TenantGuard

            guard = TenantGuard(
                base, column=column, shared=list(shared), links=list(schema.links if links is None else links)
            ).install
        self._guard: Guard = guard
        owner = alone or self._file("alone")
        right = DatabaseSide(self._world, sessionmaker(owner), owner, alone=True)
        super().__init__(self._guarded(mixed, "mixed"), right, seed)

    def interference(self, scripts: int = 30, *, length: int = 6) -> OracleReport:
        """Runs scripts of the tenant beside two different contents of the other tenants; see `ScriptOracle`.

        Raises:
            ConfigurationError: `mixed` was given without `beside`.
        """
        mixed, beside = self._given
        if mixed is not None and beside is None:
            raise ConfigurationError("a second shared database is missing", hint="beside=(role, owner)")
        other = self._guarded(beside, "beside", self._world.varied(Dice(f"others:{self.seed}")))
        return ScriptOracle(self.guarded, other, self.seed, length=length).run(scripts, most=3)

    def _guarded(self, engines: Engines | None, name: str, rows: World | None = None) -> DatabaseSide:
        role, owner = engines or (self._file(name), self._file(name))
        maker = sessionmaker(role)
        side = DatabaseSide(self._world, maker, owner, alone=False, rows=rows)
        self._guard(maker)
        return side

    def _file(self, name: str) -> Engine:
        engine = _quick(f"sqlite:///{Path(self._folder.name, name)}.db")
        self._engines.append(engine)
        return engine

    def close(self) -> None:
        """Disposes of its own engines and removes the files."""
        for engine in self._engines:
            engine.dispose()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _quick(url: str) -> Engine:
    """A SQLite engine that never waits for the disk: its files are thrown away."""
    engine = create_engine(url, enable_from_linting=False)

    @event.listens_for(engine, "connect")
    def _(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=MEMORY")

    return engine
