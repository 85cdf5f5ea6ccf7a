"""`IsolationSuite` for SQLAlchemy: attacks on each of the host's own models, on the host's own sessions.

Each case makes rows of two tenants through the guard, attacks in the scope of one, and looks at the other's rows below
the guard. What the attack raises is a refusal, and good; what it gives back, or leaves behind, is judged. Legal work
of the same kinds is tried too: a guard that refuses everything is worthless.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Engine, create_engine, delete, inspect, select
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from sqlalchemy.orm import RelationshipProperty, Session, sessionmaker

from ....core.errors import ConfigurationError, TrustError
from ..battery import Battery, IsolationCase, covered
from .following import LOADERS, corrupt, follow
from .ground import Factory, Ground, Key
from .schema import Schema
from .spying import READS, SCOPELESS, Attack, Spy
from .tampering import UNTENANTED, WRITES, Tamper, foreign_key_attacks, relationship_attacks

__all__ = ["IsolationSuite"]

REFUSALS: Final = (TrustError, SQLAlchemyError)
TENANTS: Final = ("isolation-a", "isolation-b")


class IsolationSuite(Battery):
    """The battery over the models of a declarative base.

    ::

        suite = IsolationSuite(SessionLocal, Base, factories={Project: lambda make: Project(name="p")})

        @suite.parametrize
        def test_isolation(case):
            case()

    Args:
        maker: the host's guarded sessionmaker, bound to a test database whose tables exist.
        base: the declarative base.
        factories: for each tenant model, a function that gives a legal new instance without its tenant. It gets
            ``make``: ``make(Project)`` is a saved instance to depend on.
        column: the tenant column.
        shared: models that belong to no tenant.
        skip: tenant models that are not attacked.
        tenants: the attacker and the victim; their rows are deleted before and after each case.
        owner: an engine below the guard that sees all rows; None makes one from the URL of the sessionmaker's.
        rls: whether the database itself keeps tenants apart, so that the driver's own cursor is tried, too.

    Raises:
        ConfigurationError: a model has neither factory nor exemption, or the owner's engine cannot be made.
    """

    def __init__(
        self,
        maker: sessionmaker[Session],
        base: Any,
        factories: Mapping[Any, Factory],
        *,
        column: str = "tenant_id",
        shared: Sequence[Any] = (),
        skip: Sequence[Any] = (),
        tenants: tuple[str, str] = TENANTS,
        owner: Engine | None = None,
        rls: bool = False,
    ) -> None:
        schema = Schema(base, column, shared)
        models = [mapper.class_ for mapper in schema.tenants]
        covered(models, factories, skip)
        self._ground: Ground = Ground(schema, maker, owner or _owner(maker), factories=factories, tenants=tenants)
        super().__init__(
            IsolationCase(model.__name__, attack, partial(self._cleared, run))
            for model in models
            if model not in skip
            for attack, run in self._of(model, rls=rls)
        )

    def _of(self, model: Any, *, rls: bool) -> Iterator[tuple[str, Callable[[], str | None]]]:
        for name, attack in READS.items():
            yield name, partial(self._read, model, attack)
        for name, attack in SCOPELESS.items():
            yield name, partial(self._read, model, attack, scoped=False)
        for name, tamper in WRITES.items():
            yield name, partial(self._write, model, tamper)
        for name, tamper in UNTENANTED.items():
            yield name, partial(self._write, model, tamper, scoped=False)
        for prop in self._ground.schema.relationships(inspect(model)):
            if self._ground.has(prop.mapper.class_) and prop.parent.class_ is model:
                yield from self._through(prop)
        for name in ("read", "update", "delete"):
            yield f"own_{name}", partial(getattr(self, f"_own_{name}"), model)
        if rls:
            yield "read_by_the_driver", partial(self._driver, model)

    def _through(self, prop: RelationshipProperty[Any]) -> Iterator[tuple[str, Callable[[], str | None]]]:
        for loader in LOADERS:
            yield f"follow_{prop.key}_{loader}", partial(self._followed, prop, loader)
        if prop.secondary is not None:
            for name, tamper in relationship_attacks(prop).items():
                yield f"link_{prop.key}_{name}", partial(self._linked, prop, tamper)
        elif prop.direction.name == "MANYTOONE":
            for name, tamper in foreign_key_attacks(prop).items():
                yield f"point_{prop.key}_{name}", partial(self._pointed, prop, tamper)

    def _cleared(self, run: Callable[[], str | None]) -> str | None:
        self._ground.clear()
        try:
            with warnings.catch_warnings():
                # Of deletes that matched nothing, and of legacy verbs; a host may have made them errors.
                warnings.simplefilter("ignore", SAWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
                return run()
        finally:
            self._ground.clear()

    # --- attacks ---------------------------------------------------------------------------------------------------

    def _read(self, model: Any, attack: Attack, *, scoped: bool = True) -> str | None:
        ground = self._ground
        ground.plant(model, ground.attacker)
        key = ground.plant(model, ground.victim)
        try:
            if scoped:
                with ground.scope(), ground.maker() as session:
                    return attack(Spy(ground, session, model, key))
            with ground.maker() as session:
                return attack(Spy(ground, session, model, key))
        except REFUSALS:
            return None

    def _attempt(self, model: Any, tamper: Tamper, key: Key, *, scoped: bool = True) -> None:
        """Tries it and commits; a refusal is fine."""
        ground = self._ground
        try:
            if scoped:
                with ground.scope(), ground.maker() as session:
                    tamper(Spy(ground, session, model, key))
                    session.commit()
            else:
                with ground.maker() as session:
                    tamper(Spy(ground, session, model, key))
                    session.commit()
        except REFUSALS:
            pass

    def _write(self, model: Any, tamper: Tamper, *, scoped: bool = True) -> str | None:
        ground = self._ground
        key = ground.plant(model, ground.victim)
        before = ground.rows(ground.victim)
        self._attempt(model, tamper, key, scoped=scoped)
        after = ground.rows(ground.victim)
        changed = sorted(table for table, rows in before.items() if not self._kept(table, rows, after[table]))
        return f"the victim's rows changed in {', '.join(changed)}" if changed else None

    def _kept(self, table: str, before: list[str], after: list[str]) -> bool:
        """Link tables may gain rows of the attacker's own."""
        links = {link.name for link in self._ground.schema.links}
        return set(before) <= set(after) if table in links else before == after

    def _pointed(self, prop: RelationshipProperty[Any], tamper: Tamper) -> str | None:
        ground = self._ground
        key = ground.plant(prop.mapper.class_, ground.victim)
        self._attempt(prop.parent.class_, tamper, key)
        remote = dict(zip(prop.mapper.primary_key, key, strict=True))
        table = prop.parent.local_table
        statement = select(table)
        for origin, target in prop.synchronize_pairs or ():
            if origin in remote and target.name != ground.schema.column:
                statement = statement.where(target == remote[origin])
        mine = [row for row in ground.below(lambda connection: connection.execute(statement).mappings().all())
                if str(row.get(ground.schema.column)) == ground.attacker]  # fmt: skip
        return "an own row points at the victim's" if mine else None

    def _linked(self, prop: RelationshipProperty[Any], tamper: Tamper) -> str | None:
        ground = self._ground
        key = ground.plant(prop.mapper.class_, ground.victim)
        self._attempt(prop.parent.class_, tamper, key)
        secondary: Any = prop.secondary
        far = [(link, dict(zip(prop.mapper.primary_key, key, strict=True))[column])
               for column, link in prop.secondary_synchronize_pairs or ()]  # fmt: skip
        statement = select(secondary)
        for link, value in far:
            statement = statement.where(link == value)
        found = ground.below(lambda connection: connection.execute(statement).all())
        return "an own row is linked with the victim's" if found else None

    def _followed(self, prop: RelationshipProperty[Any], loader: str) -> str | None:
        ground = self._ground
        mine = ground.plant(prop.parent.class_, ground.attacker)
        theirs = ground.plant(prop.mapper.class_, ground.victim)
        try:
            ground.below(corrupt(ground, prop, mine, theirs))
        except SQLAlchemyError:
            return None  # the schema does not let such a row be: composite keys do that
        try:
            return follow(ground, prop, loader, mine, theirs)
        except TrustError:
            return None

    def _driver(self, model: Any) -> str | None:
        """The driver's own cursor, which only the database can stop."""
        ground = self._ground
        ground.plant(model, ground.attacker)
        ground.plant(model, ground.victim)
        bind: Any = ground.maker.kw["bind"]
        table = inspect(model).local_table
        with ground.scope():
            raw = bind.raw_connection()
            try:
                cursor = raw.cursor()
                cursor.execute(f"SELECT {ground.schema.column} FROM {table.fullname}")
                found = {str(row[0]) for row in cursor.fetchall()}
            finally:
                raw.close()
        return "the driver read the victim's rows" if ground.victim in found else None

    # --- legal work ------------------------------------------------------------------------------------------------

    def _own_read(self, model: Any) -> str | None:
        ground = self._ground
        key = ground.plant(model, ground.attacker)
        with ground.scope(), ground.maker() as session:
            found = session.get(model, key)
            counted = len(session.scalars(select(model)).all())
        return None if found is not None and counted else "own rows are missing"

    def _own_update(self, model: Any) -> str | None:
        ground = self._ground
        key = ground.plant(model, ground.attacker)
        with ground.scope(), ground.maker() as session:
            instance = session.get(model, key)
            for name in list(ground.schema.settable(inspect(model)))[:1]:
                setattr(instance, name, getattr(instance, name))
            session.commit()
        return None if instance is not None else "the own row is missing"

    def _own_delete(self, model: Any) -> str | None:
        ground = self._ground
        ground.plant(model, ground.attacker)
        with ground.scope(), ground.maker() as session:
            result: Any = session.execute(delete(model))
            session.rollback()
        return None if result.rowcount >= 1 else "own rows were not deleted"


def _owner(maker: sessionmaker[Session]) -> Engine:
    bind = maker.kw.get("bind")
    if not isinstance(bind, Engine) or bind.url.database in (None, "", ":memory:"):
        raise ConfigurationError(
            "no way below the guard", hint="owner=create_engine(...): an unguarded engine", reason="isolation_owner"
        )
    return create_engine(bind.url)
