"""The house of the isolation cases: two tenants, two corrupt rows on purpose, a guarded sessionmaker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    String,
    Table,
    create_engine,
    exc,
    func,
    select,
    text,
)
from sqlalchemy import orm as sqlalchemy_orm
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    mapped_column,
    relationship,
    sessionmaker,
)

from wellstreak_trust.tenancy import tenant_scope, testing_context, unscoped
from wellstreak_trust.tenancy.sqlalchemy import TenantGuard


class Base(DeclarativeBase):
    pass


task_tags = Table(
    "task_tags",
    Base.metadata,
    Column("task_id", ForeignKey("task.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


class Project(Base):
    __tablename__ = "project"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str]
    secret: Mapped[str | None]
    tasks: Mapped[list[Task]] = relationship(back_populates="project", cascade="all, delete-orphan")


class Tag(Base):
    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str]


class Task(Base):
    __tablename__ = "task"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64), index=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"))
    title: Mapped[str]
    project: Mapped[Project | None] = relationship(back_populates="tasks")
    tags: Mapped[list[Tag]] = relationship(secondary=task_tags)


class Plan(Base):
    __tablename__ = "plan"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str]


Tag.leaky = column_property(select(func.max(Project.secret)).scalar_subquery(), deferred=True)  # type: ignore[attr-defined]

ROWS = (
    "insert into project (id, tenant_id, name, secret) values"
    " (1, 't1', 'p1', 'S1'), (2, 't2', 'p2', 'S2'), (3, 't1', 'p3', 'S1b')",
    "insert into task (id, tenant_id, project_id, title) values"
    " (1, 't1', 1, 'S1t'), (2, 't2', 2, 'S2t'), (3, 't1', 2, 'S1x'), (4, 't2', 1, 'S2y')",
    "insert into tag (id, tenant_id, name) values (1, 't1', 'S1g'), (2, 't2', 'S2g')",
    "insert into task_tags (task_id, tag_id) values (1, 1), (1, 2), (2, 2)",
    "insert into plan (id, name) values (1, 'free')",
)
EMPTY = ("delete from task_tags", "delete from task", "delete from tag", "delete from project", "delete from plan")
SEQUENCES = tuple(
    f"select setval(pg_get_serial_sequence('{table}', 'id'), 100)" for table in ("project", "task", "tag", "plan")
)


def guarded(engine: Any, **options: Any) -> sessionmaker[Session]:
    """A sessionmaker with the house's guard."""
    found = sessionmaker(engine)
    TenantGuard(Base, shared=[Plan], links=[task_tags], **options).install(found)
    return found


@contextmanager
def on_file(base: Any, path: Any, **options: Any) -> Iterator[sessionmaker[Session]]:
    """A guarded sessionmaker of other models, on a new SQLite file."""
    engine = create_engine(f"sqlite:///{path}")
    found = sessionmaker(engine)
    TenantGuard(base, **options).install(found)
    base.metadata.create_all(engine)
    yield found
    engine.dispose()


class House:
    """What the cases call ``db``."""

    def __init__(self, engine: Engine, owner: Engine, *, pg: bool, **options: Any) -> None:
        self.engine = engine
        self.owner = owner
        self.pg = pg
        self.sm = guarded(engine, **options)

    @contextmanager
    def scope(self, tenant: str, company: str | None = None) -> Iterator[None]:
        context = testing_context(tenant)
        with tenant_scope(context if company is None else in_company(context, company)):
            yield

    def unscoped(self) -> unscoped:
        return unscoped("a case", audit=lambda event: None)

    def admin(self, sql: str) -> list[tuple[Any, ...]]:
        """Asked below the guard, as the owner of the tables."""
        with self.owner.begin() as connection:
            result = connection.exec_driver_sql(sql)
            return [tuple(row) for row in result] if result.returns_rows else []

    def refill(self) -> None:
        with self.owner.begin() as connection:
            for statement in (*EMPTY, *ROWS, *(SEQUENCES if self.pg else ())):
                connection.exec_driver_sql(statement)


def in_company(context: Any, company: str) -> Any:
    from dataclasses import replace

    return replace(context, company_id=company)


def names() -> dict[str, Any]:
    """What the code of a case may name."""
    public = {k: v for module in (sqlalchemy, sqlalchemy_orm) for k, v in vars(module).items() if k[0] != "_"}
    return {
        **public,
        "Project": Project,
        "Task": Task,
        "Tag": Tag,
        "Plan": Plan,
        "task_tags": task_tags,
        "rows": lambda result: [tuple(row) for row in result],
        "exc": exc,
        "threading": threading,
        "text": text,
    }


def run(code: str, house: House, session: Any) -> Any:
    """Runs the body of a case."""
    from importlib import import_module

    dialect = import_module(f"sqlalchemy.dialects.{'postgresql' if house.pg else 'sqlite'}")
    scope = {**names(), "upsert": dialect.insert}
    body = "\n".join(f"    {line}" for line in code.splitlines())
    exec(f"def case(s, db):\n{body}", scope)
    return scope["case"](session, house)


def lite(path: Any, **options: Any) -> House:
    """On a SQLite file."""
    owner = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(owner)
    return House(create_engine(f"sqlite:///{path}"), owner, pg=False, **options)
