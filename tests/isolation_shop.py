"""Two SQLAlchemy hosts for the isolation kit, and guards with holes on purpose."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Column,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    event,
    func,
    select,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    mapped_column,
    relationship,
    sessionmaker,
    with_loader_criteria,
)

from wellstreak_trust.core.errors import UnscopedStatement
from wellstreak_trust.tenancy import current_tenant, require_tenant


class Base(DeclarativeBase):
    """A shop: links, a tree, single-table inheritance, a column of SQL."""


class Owned:
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64), index=True)


class Plan(Base):
    __tablename__ = "plan"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))


class Project(Owned, Base):
    __tablename__ = "project"
    name: Mapped[str | None] = mapped_column(String(30))
    secret: Mapped[str | None] = mapped_column(String(30))
    size: Mapped[int | None]
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"))
    plan: Mapped[Plan | None] = relationship()
    parent: Mapped[Project | None] = relationship(remote_side="Project.id", back_populates="children")
    children: Mapped[list[Project]] = relationship(back_populates="parent")
    tasks: Mapped[list[Task]] = relationship(back_populates="project", cascade="all, delete-orphan")


task_tags = Table(
    "task_tags",
    Base.metadata,
    Column("task_id", ForeignKey("task.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


class Task(Owned, Base):
    __tablename__ = "task"
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"))
    title: Mapped[str | None] = mapped_column(String(30))
    points: Mapped[int | None]
    done: Mapped[bool | None]
    project: Mapped[Project | None] = relationship(back_populates="tasks")
    tags: Mapped[list[Tag]] = relationship(secondary=task_tags, back_populates="tasks")


class Tag(Owned, Base):
    __tablename__ = "tag"
    name: Mapped[str | None] = mapped_column(String(30))
    tasks: Mapped[list[Task]] = relationship(secondary=task_tags, back_populates="tags")
    leaky: Mapped[str | None] = column_property(select(func.max(Project.secret)).scalar_subquery(), deferred=True)


class Note(Owned, Base):
    __tablename__ = "note"
    kind: Mapped[str] = mapped_column(String(10))
    body: Mapped[str | None] = mapped_column(String(30))
    task_id: Mapped[int | None] = mapped_column(ForeignKey("task.id"))
    task: Mapped[Task | None] = relationship()
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "note"}


class Call(Note):
    minutes: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "call"}


OWNED = (Project, Task, Tag, Note)

FACTORIES: dict[Any, Callable[[Any], Any]] = {
    Project: lambda make: Project(name="p", secret="s"),
    Task: lambda make: Task(title="t", project=make(Project)),
    Tag: lambda make: Tag(name="g"),
    Note: lambda make: Note(body="b", task=make(Task)),
    Call: lambda make: Call(body="b", minutes=1),
}


class ZooBase(DeclarativeBase):
    """A zoo: tenants as UUIDs in a table of their own, composite keys, joined inheritance, odd types."""


class Diet(enum.Enum):
    leaves = "leaves"
    meat = "meat"


class Zoo(ZooBase):
    __tablename__ = "zoo"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))


class Animal(ZooBase):
    __tablename__ = "animal"
    zoo_id: Mapped[UUID] = mapped_column(ForeignKey("zoo.id"), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    species: Mapped[str] = mapped_column(String(10))
    diet: Mapped[Diet | None] = mapped_column(Enum(Diet))
    weight: Mapped[Decimal | None] = mapped_column(Numeric(8, 2))
    born: Mapped[datetime | None]
    traits: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    visits: Mapped[list[Visit]] = relationship(back_populates="animal", overlaps="keeper,visits")
    __mapper_args__ = {"polymorphic_on": "species", "polymorphic_identity": "animal"}


class Bird(Animal):
    __tablename__ = "bird"
    zoo_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    span: Mapped[int | None]
    __table_args__ = (ForeignKeyConstraint(["zoo_id", "id"], ["animal.zoo_id", "animal.id"]),)
    __mapper_args__ = {"polymorphic_identity": "bird"}


class Keeper(ZooBase):
    __tablename__ = "keeper"
    zoo_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    email: Mapped[str] = mapped_column(String(40))
    visits: Mapped[list[Visit]] = relationship(back_populates="keeper", overlaps="animal,visits")
    __table_args__ = (UniqueConstraint("zoo_id", "email"),)


class Visit(ZooBase):
    __tablename__ = "visit"
    zoo_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    animal_id: Mapped[int | None] = mapped_column(Integer)
    keeper_id: Mapped[int | None] = mapped_column(Integer)
    animal: Mapped[Animal | None] = relationship(back_populates="visits", overlaps="keeper,visits")
    keeper: Mapped[Keeper | None] = relationship(back_populates="visits", overlaps="animal,visits")
    __table_args__ = (
        ForeignKeyConstraint(["zoo_id", "animal_id"], ["animal.zoo_id", "animal.id"]),
        ForeignKeyConstraint(["zoo_id", "keeper_id"], ["keeper.zoo_id", "keeper.id"]),
    )


ZOOS = ("a0000000-0000-4000-8000-000000000001", "a0000000-0000-4000-8000-000000000002")


# --- guards with holes ---------------------------------------------------------------------------------------------


def no_guard(maker: sessionmaker[Session]) -> None:
    """Nothing."""


def _criteria(maker: sessionmaker[Session], *, aliases: bool, writes: bool, loads: bool = True) -> None:
    @event.listens_for(maker, "do_orm_execute")
    def _(state: Any) -> None:
        if not (state.is_select or writes) or (not loads and state.is_relationship_load):
            return
        tenant = require_tenant().tenant_id
        for model in OWNED:
            rule = with_loader_criteria(
                model,
                lambda cls: cls.tenant_id == tenant,
                include_aliases=aliases,
                propagate_to_loaders=loads,
            )
            state.statement = state.statement.options(rule)


def documented_recipe(maker: sessionmaker[Session]) -> None:
    """SQLAlchemy's documented recipe: criteria on selects."""
    _criteria(maker, aliases=True, writes=False)


def no_aliases(maker: sessionmaker[Session]) -> None:
    """Criteria on everything but aliases."""
    _criteria(maker, aliases=False, writes=True)


def no_loads(maker: sessionmaker[Session]) -> None:
    """Criteria that do not follow relationships."""
    _criteria(maker, aliases=True, writes=True, loads=False)


def refuses_all(maker: sessionmaker[Session]) -> None:
    """Perfectly safe, and of no use."""

    @event.listens_for(maker, "do_orm_execute")
    def _(state: Any) -> None:
        raise UnscopedStatement("no", hint="no")


def stamps(maker: sessionmaker[Session]) -> None:
    """Writes the tenant into new rows, which is often taken for isolation."""

    @event.listens_for(maker, "before_flush")
    def _(session: Session, *_: object) -> None:
        context = current_tenant()
        for instance in session.new:
            if context is not None and getattr(instance, "tenant_id", "") is None:
                instance.tenant_id = context.tenant_id
