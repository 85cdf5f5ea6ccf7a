"""`PhysicalOracle` for SQLAlchemy: the host's own models, statements over them, and the truth from a database alone.

The tables are made twice. In the *mixed* database several tenants have rows, and children of one hang below parents of
another. In the other one only the first tenant's rows are, and a parent that belongs to somebody else is missing. A
statement in that tenant's scope on the mixed database, guarded, must answer as it does unguarded where nobody else is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import Session, sessionmaker

from ....core.errors import TrustError
from ....tenancy import tenant_scope, testing_context
from ..dice import Dice
from ..oracle import Oracle
from ..report import Outcome
from . import loads, selects, writes
from .conditions import Conditions
from .loads import Loads
from .schema import Schema
from .selects import Selects
from .world import World
from .writes import Writes

__all__ = ["Guard", "PhysicalOracle"]

Guard = Callable[["sessionmaker[Session]"], object]


class _Side:
    """One database, the sessions of the host on it, and its owner's engine below the guard."""

    def __init__(self, world: World, maker: sessionmaker[Session], owner: Engine, *, alone: bool) -> None:
        self.maker: sessionmaker[Session] = maker
        self.owner: Engine = owner
        self._alone: bool = alone
        self._world: World = world
        self._sent: list[str] = []
        conditions = Conditions(world)
        self._ways: tuple[Any, ...] = (
            Selects(conditions, lateral=owner.dialect.name == "postgresql"), Loads(conditions), Writes(conditions),
        )  # fmt: skip
        bind: Any = maker.kw["bind"]
        event.listen(bind, "before_cursor_execute", self._note)
        with owner.begin() as connection:
            world.create(connection)
            world.restore(connection, alone=alone)
            self._before: Any = world.dump(connection)

    def play(self, dice: Dice) -> Outcome:
        """See `Side.play`."""
        self._sent.clear()
        kind = dice.choice((0,) * 12 + (1,) * 5 + (2,) * 4)
        form = dice.choice((selects, loads, writes)[kind].FORMS)
        name = f"{('select', 'load', 'write')[kind]}.{form}"
        found = self._ran(lambda session: self._ways[kind].run(form, dice.always(form), session))
        own, others = self._after() if kind == 2 else (None, None)
        return Outcome(**found, own=own, others=others, form=name, sql=tuple(self._sent))

    def _ran(self, run: Callable[[Session], Any]) -> dict[str, Any]:
        with warnings.catch_warnings(), tenant_scope(testing_context(self._world.tenants[0])):
            # Cartesian products and coerced subqueries are asked for.
            warnings.simplefilter("ignore", SAWarning)
            with self.maker() as session:
                session.info["stamped"] = not self._alone
                try:
                    return {"value": run(session)}
                except TrustError as refused:
                    return {"error": "refused", "refused": type(refused).__name__}
                except Exception as error:
                    return {"error": type(error).__name__}
                finally:
                    session.rollback()

    def _after(self) -> tuple[Any, Any]:
        """The first tenant's rows, and what changed among the others'; then all rows are put back."""
        with self.owner.begin() as connection:
            own, others = self._world.dump(connection)
            changed = {
                table: (sorted(set(before) - set(others[table])), sorted(set(others[table]) - set(before)))
                for table, before in self._before[1].items()
                if sorted(before) != sorted(others[table])
            }
            if changed or own != self._before[0]:
                self._world.restore(connection, alone=self._alone)
        return {table: sorted(rows) for table, rows in own.items()}, changed

    def _note(self, connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self._sent.append(f"{' '.join(statement.split())} {parameters!r}")


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
        engines: three engines for a server's databases: of the host's role on the mixed one, of the owner on the mixed
            one, of the owner on the other one; None for SQLite files that vanish on `close`.

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
        engines: tuple[Engine, Engine, Engine] | None = None,
    ) -> None:
        schema = Schema(base, column, shared)
        world = World(schema, Dice(f"rows:{seed}"), tenants, rows=rows, values=values)
        self._folder: TemporaryDirectory[str] | None = None
        if engines is None:
            self._folder = TemporaryDirectory(prefix="isolation-", ignore_cleanup_errors=True)
            mixed, alone = (f"sqlite:///{Path(self._folder.name, name)}.db" for name in ("mixed", "alone"))
            engines = _quick(mixed), _quick(mixed), _quick(alone)
        self._engines: tuple[Engine, ...] = engines
        if guard is None:
            from ....tenancy.sqlalchemy import TenantGuard

            guard = TenantGuard(
                base, column=column, shared=list(shared), links=list(schema.links if links is None else links)
            ).install
        maker = sessionmaker(engines[0])
        right = _Side(world, sessionmaker(engines[2]), engines[2], alone=True)
        left = _Side(world, maker, engines[1], alone=False)
        guard(maker)
        super().__init__(left, right, seed)

    def close(self) -> None:
        """Disposes of the engines and removes the files."""
        for engine in self._engines:
            engine.dispose()
        if self._folder is not None:
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
