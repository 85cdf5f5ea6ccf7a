"""Putting the guard on: what is classified, what is guarded, what each refusal says."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import isolation_house as house
import pytest
from isolation_house import Base, Plan, Project, Tag, Task, task_tags
from sqlalchemy import (
    DDL,
    Column,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)

from wellstreak_trust.core import AuditEvent, ConfigurationError, UsageError
from wellstreak_trust.core.errors import CrossTenantRead, CrossTenantWrite, NoTenant, UnscopedStatement
from wellstreak_trust.tenancy import elevate, tenant_scope, testing_context
from wellstreak_trust.tenancy.sqlalchemy import TenantGuard, unscoped
from wellstreak_trust.tenancy.sqlalchemy.fragments import harmful, harmful_definition

T1, T2 = testing_context("t1"), testing_context("t2")


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[house.House]:
    found = house.lite(tmp_path / "x.db")
    found.refill()
    yield found
    found.engine.dispose()
    found.owner.dispose()


def quiet(event: AuditEvent) -> None:
    """A trail for tests of something else."""


def fresh() -> tuple[Any, Any]:
    """A base of its own, with one class."""

    class Fresh(DeclarativeBase):
        pass

    class Row(Fresh):
        __tablename__ = "row"
        id: Mapped[int] = mapped_column(primary_key=True)
        tenant_id: Mapped[str]

    return Fresh, Row


# --- registration -----------------------------------------------------------------------------------------------------


def test_a_mapped_table_of_no_class_stops_the_start_up() -> None:
    with pytest.raises(ConfigurationError) as refused:
        TenantGuard(Base, links=[task_tags])
    assert refused.value.reason == "tenant_table_unclassified"
    assert "plan" in refused.value.detail
    assert "shared=" in refused.value.hint


def test_a_secondary_table_of_no_class_stops_it_too() -> None:
    with pytest.raises(ConfigurationError) as refused:
        TenantGuard(Base, shared=[Plan])
    assert "task_tags" in refused.value.detail


def test_what_is_mapped_later_is_judged_when_it_is_configured(tmp_path: Path) -> None:
    Late, First = fresh()
    engine = create_engine(f"sqlite:///{tmp_path}/late.db")
    sm = sessionmaker(engine)
    guard = TenantGuard(Late)
    guard.install(sm)
    Late.metadata.create_all(engine)
    with tenant_scope(T1), sm() as session:
        assert session.scalars(select(First)).all() == []

    class Second(Late):  # type: ignore[misc,valid-type]  # a base that is made by a function
        __tablename__ = "second"
        id: Mapped[int] = mapped_column(primary_key=True)

    with tenant_scope(T1):
        with pytest.raises(ConfigurationError), sm() as session:
            session.scalars(select(Second)).all()
        with pytest.raises(ConfigurationError), sm() as session:
            session.scalars(select(First)).all()
    Second.__table__.append_column(Column("tenant_id", String))
    guard._configured()
    with tenant_scope(T1), sm() as session:
        assert session.scalars(select(First)).all() == []
    engine.dispose()


def test_a_link_that_nothing_owns_is_refused() -> None:
    Odd, _ = fresh()

    class Alone(Odd):  # type: ignore[misc,valid-type]  # a base that is made by a function
        __tablename__ = "alone"
        id: Mapped[int] = mapped_column(primary_key=True)

    guard = TenantGuard(Odd, links=[Alone])
    with pytest.raises(ConfigurationError) as refused:
        inspect(Alone).registry.configure()
    assert refused.value.reason == "tenant_link_without_parent"
    assert guard.observations.empty


@pytest.mark.parametrize(
    "make",
    [
        lambda: TenantGuard(Base, shared=[Plan], links=[task_tags], mode="off"),  # type: ignore[arg-type]  # the attack
        lambda: TenantGuard(object()),
        lambda: TenantGuard(Base, shared=[7], links=[task_tags]),
    ],
    ids=["mode", "base", "table"],
)
def test_what_makes_no_guard(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_installing_twice_is_harmless_and_another_guard_is_refused(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    sm = sessionmaker(engine)
    guard = TenantGuard(Base, shared=[Plan], links=[task_tags])
    assert guard.install(sm) is sm
    class_ = sm.class_
    guard.install(sm)
    guard.guard_engine(engine)
    assert sm.class_ is class_
    other = TenantGuard(Base, shared=[Plan], links=[task_tags])
    with pytest.raises(ConfigurationError):
        other.install(sm)
    with pytest.raises(ConfigurationError):
        other.install(sessionmaker(engine))
    for wrong in (engine, Session, 7):
        with pytest.raises(UsageError):
            guard.install(wrong)
    with pytest.raises(UsageError):
        guard.guard_engine(7)
    engine.dispose()


def test_a_scoped_session_and_a_late_bind(lite: house.House) -> None:
    plain = create_engine(lite.engine.url)
    sm = sessionmaker()
    registry = scoped_session(sm)
    TenantGuard(Base, shared=[Plan], links=[task_tags]).install(registry)
    sm.configure(bind=plain)
    with tenant_scope(T1):
        assert [p.secret for p in registry.scalars(select(Project).order_by(Project.id))] == ["S1", "S1b"]
        registry.remove()
        with pytest.raises(UnscopedStatement):
            registry.execute(text("select 1"))
        registry.remove()
    plain.dispose()


def test_an_engine_used_before_it_is_guarded(tmp_path: Path) -> None:
    Fresh, Row = fresh()
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    Fresh.metadata.create_all(engine)
    before = sessionmaker(engine)
    with before() as session:
        session.add_all([Row(tenant_id="t1"), Row(tenant_id="t2")])
        session.commit()
        assert len(session.scalars(select(Row)).all()) == 2
    sm = sessionmaker(engine)
    TenantGuard(Fresh).install(sm)
    with tenant_scope(T1), sm() as session:
        assert len(session.scalars(select(Row)).all()) == 1
        session.add(Row())
        session.commit()
        assert len(session.scalars(select(Row)).all()) == 2
    with tenant_scope(T1), before() as session:  # the engine is guarded, whoever brings the session
        assert len(session.scalars(select(Row)).all()) == 2
    engine.dispose()


# --- refusals ---------------------------------------------------------------------------------------------------------


def refusal(lite: house.House, statement: Any, kind: type[Exception] = UnscopedStatement, **values: Any) -> Any:
    with tenant_scope(T1), lite.sm() as session, pytest.raises(kind) as refused:
        session.execute(statement, values or None)
    return refused.value


def test_refusals_name_the_statement_the_table_and_the_fix(lite: house.House) -> None:
    raw = refusal(lite, text("select * from project"))
    assert "SQL text" in str(raw)
    assert "unscoped(reason)" in raw.hint
    other = Table("warehouse", MetaData(), Column("id", Integer))
    assert "warehouse" in str(refusal(lite, select(other)))
    assert "warehouse" in str(refusal(lite, insert(other).values(id=1)))
    assert "warehouse" in str(refusal(lite, delete(other)))
    written = refusal(lite, insert(Project).values(tenant_id="t2", name="n"), CrossTenantWrite)
    assert "project.tenant_id" in str(written)
    assert "t2" not in str(written)
    pointed = refusal(lite, update(Task).values(project_id=2), CrossTenantWrite)
    assert "task.project_id" in str(pointed)
    assert "project" in pointed.hint
    with lite.sm() as session, pytest.raises(NoTenant) as outside:
        session.scalars(select(Project)).all()
    assert "project" in str(outside.value)
    assert "tenant_scope" in outside.value.hint


def test_a_foreign_parent_and_a_missing_one_are_refused_alike(lite: house.House) -> None:
    found = [str(refusal(lite, insert(Task).values(project_id=n, title="o"), CrossTenantWrite)) for n in (2, 999)]
    assert found[0] == found[1]
    assert lite.admin("select count(*) from task where title = 'o'") == [(0,)]


@pytest.mark.asvs("15.3.3")
def test_new_rows_are_stamped_before_anybody_looks(lite: house.House) -> None:
    with tenant_scope(T1), lite.sm() as session:
        project = Project(name="n", tasks=[Task(title="a")])
        session.add(project)
        session.flush()
        assert (project.tenant_id, project.tasks[0].tenant_id) == ("t1", "t1")


def test_a_session_serves_one_tenant_until_it_is_closed(lite: house.House) -> None:
    with lite.sm() as session:
        with tenant_scope(T1):
            kept = session.get_one(Project, 1)
        with tenant_scope(T2):
            with pytest.raises(CrossTenantRead):
                session.get(Project, 1)
            with pytest.raises(CrossTenantRead):
                session.scalars(select(Plan)).all()
            session.close()
            assert session.get_one(Project, 2).secret == "S2"
        assert kept.secret == "S1"


def test_no_tenant_is_needed_for_what_everybody_shares(lite: house.House) -> None:
    with lite.sm() as session:
        assert session.scalars(select(Plan.name)).all() == ["free"]
        session.add(Plan(name="paid"))
        session.commit()
    with tenant_scope(T1), lite.sm() as session:
        assert len(session.scalars(select(Plan)).all()) == 2


def test_elevation_opens_another_tenant_in_a_session_of_its_own(lite: house.House) -> None:
    with tenant_scope(T1), lite.sm() as mine:
        assert mine.get(Project, 2) is None
        with elevate("support", "OPS-1", 5, audit=quiet), tenant_scope(T2):
            with lite.sm() as theirs:
                assert theirs.get_one(Project, 2).secret == "S2"
            with pytest.raises(CrossTenantRead):
                mine.get(Project, 1)
        assert mine.get_one(Project, 1).secret == "S1"


# --- the hatch --------------------------------------------------------------------------------------------------------


def test_in_a_scope_the_hatch_lets_text_through_and_keeps_the_rest_inside(lite: house.House) -> None:
    with tenant_scope(T1), lite.sm() as session, unscoped("statistics", audit=quiet):
        assert session.execute(text("select count(*) from project")).scalar() == 3
        assert session.connection().exec_driver_sql("select count(*) from project").scalar() == 3
        assert len(session.scalars(select(Project)).all()) == 2
        with pytest.raises(CrossTenantWrite):
            session.execute(insert(Project).values(tenant_id="t2", name="n"))


def test_outside_every_scope_the_hatch_lifts_the_guard(lite: house.House) -> None:
    with lite.sm() as session:
        with unscoped("nightly report", audit=quiet):
            everything = session.scalars(select(Project)).all()
            assert len(everything) == 3
        with pytest.raises(NoTenant):
            session.scalars(select(Project)).all()
        with tenant_scope(T1), pytest.raises(CrossTenantRead):
            session.get(Project, 2)
    with lite.sm() as session, unscoped("seeds", audit=quiet):
        session.add(Project(tenant_id="t2", name="seed"))
        session.commit()
    with tenant_scope(T1), lite.sm() as session:
        assert len(session.scalars(select(Project)).all()) == 2
    assert lite.admin("select tenant_id from project where name = 'seed'") == [("t2",)]


# --- DDL is not data --------------------------------------------------------------------------------------------------


def test_definitions_and_reflection_need_no_hatch(lite: house.House) -> None:
    metadata = MetaData()
    extra = Table("extra", metadata, Column("id", Integer, primary_key=True), Column("plan_id", ForeignKey(Plan.id)))
    metadata.create_all(lite.engine)
    assert "extra" in inspect(lite.engine).get_table_names()
    assert [c["name"] for c in inspect(lite.engine).get_columns("project")][:2] == ["id", "tenant_id"]
    assert "plan_id" in Table("extra", MetaData(), autoload_with=lite.engine).c
    extra.drop(lite.engine)
    Base.metadata.create_all(lite.engine)
    with lite.engine.begin() as connection:
        connection.execute(DDL("create index project_name on project (name)"))
        assert {i["name"] for i in inspect(connection).get_indexes("project")} >= {"project_name"}
        with pytest.raises(UnscopedStatement):
            connection.execute(DDL("delete from project"))


def test_a_tenant_scope_may_create_and_nothing_else(lite: house.House) -> None:
    metadata = MetaData()
    extra = Table("extra", metadata, Column("id", Integer, primary_key=True), Column("plan_id", ForeignKey(Plan.id)))
    with tenant_scope(T1), lite.engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(DDL("create index extra_plan on extra (plan_id)"))
        for work in (
            lambda: extra.drop(connection),
            lambda: connection.execute(DDL("alter table project rename to plan")),
            lambda: connection.execute(DDL("drop table plan")),
        ):
            with pytest.raises(UnscopedStatement, match="in a tenant scope"):
                work()
        with unscoped("drops what it made", audit=quiet):
            extra.drop(connection)
    assert "extra" not in inspect(lite.engine).get_table_names()


@pytest.mark.parametrize("scope", [None, T1], ids=["nowhere", "t1"])
@pytest.mark.parametrize(
    "definition",
    [
        "create table copy as select * from project",
        "create table copy as (table project)",
        "create table copy AS\nVALUES (1)",
        "create view copy as select * from project",
        "create trigger t after insert on plan begin delete from project; end",
        "create rule r as on insert to plan do instead delete from project",
        "create or replace function f() returns int language sql as 'select 1'",
        "comment on table task is 'x'; update project set secret = 'x'",
        "create table copy (id int) -- ; ",
        "create table copy (name text default (query_to_xml('select 1', true, true, '')))",
        """create table copy (name text default ("query_to_xml"('select 1', true, true, '')))""",
        "comment on table task is E'\\'; delete from project; --'",
        "create table copy (name text default $$a$$)",
        "delete from project",
        "",
    ],
)
def test_a_definition_holds_nothing_else(lite: house.House, definition: str, scope: Any) -> None:
    with (
        tenant_scope(scope) if scope is not None else nullcontext(),
        lite.engine.begin() as connection,
        pytest.raises(UnscopedStatement),
    ):
        connection.execute(DDL(definition))


@pytest.mark.parametrize(
    "definition",
    [
        "create table task2 (id int references task (id) on delete cascade on update set null);",
        "create unique index i on project (name) where name <> 'a;select'",
        "CREATE TABLE p PARTITION OF project FOR VALUES FROM (1) TO (2)",
        "create table events (rule text, event text, total int generated always as (id + 1) stored)",
        'alter table "select" add column "as table" text',
        "grant select, update on project to reader",
        "create index concurrently i on project using gin (tags) with (fastupdate = off)",
        "comment on column project.name is 'it''s; a select'",
    ],
)
def test_plain_definitions_are_harmless(definition: str) -> None:
    assert harmful_definition(definition) is None


@pytest.mark.parametrize(
    "fragment",
    [
        """"query_to_xml"('select 1', true, true, '')""",
        "`dblink`('x')",
        """U&"\\0071uery_to_xml"('select 1', true, true, '')""",
        "e'\\'' || (select 1) || '",
    ],
)
def test_ways_of_quoting_hide_nothing(fragment: str) -> None:
    assert harmful(fragment) is not None


def test_dialects_quote_in_ways_of_their_own() -> None:
    hidden = "1 as ['], secret from project where 2 <> [']"
    assert harmful(hidden, "sqlite") == "from"
    assert harmful("json_extract(x, '$[\"from\"]')", "sqlite") is None
    assert harmful("[group by from]", "sqlite") is None
    assert harmful("(array['a', 'b'])[(select 1)]", "postgresql") == "select"
    assert harmful("'\\' or name = ' or 1 = 1", "mysql") is not None
    assert harmful("1 # '", "mysql") is not None
    assert harmful("data #>> '{a}'", "postgresql") is None
    assert harmful_definition("create table [x'] as select 1 as [']", "sqlite") == "select"


def test_alembic_upgrades_on_a_guarded_engine(lite: house.House) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with lite.engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": Base.metadata})
        operations = Operations(context)
        context._ensure_version_table()
        operations.add_column("project", Column("color", String(10)))
        operations.create_index("by_color", "project", ["color"])
        assert {str(change[0]) for change in compare_metadata(context, Base.metadata)} >= {"remove_index"}
        with pytest.raises(UnscopedStatement):
            operations.execute("update project set color = 'red'")
        with unscoped("0007_colors", audit=quiet):
            operations.execute("update project set color = 'red'")
            with operations.batch_alter_table("project") as batch:
                batch.drop_index("by_color")
                batch.drop_column("color")
    assert lite.admin("select count(*) from project") == [(3,)]


def test_our_own_stores_live_on_the_guarded_engine(lite: house.House) -> None:
    from wellstreak_trust import Principal
    from wellstreak_trust.storage.sql import Database, SqlMembershipStore
    from wellstreak_trust.tenancy import Memberships

    database = Database(lite.engine)
    database.create_all()
    memberships = Memberships(SqlMembershipStore(database))
    memberships.create_workspace(Principal("ada"), tenant_id="t1", name="One")
    found = memberships.prove(Principal("ada"), "t1")
    assert found is not None
    with tenant_scope(T1), lite.engine.connect() as connection:
        assert memberships.prove(Principal("ada"), "t1") == found
        stranger = Table("wst_membership", MetaData(), Column("tenant_id", String))
        with pytest.raises(UnscopedStatement):
            connection.execute(select(stranger))


# --- composite keys ---------------------------------------------------------------------------------------------------


class Composite(DeclarativeBase):
    pass


class Folder(Composite):
    __tablename__ = "folder"
    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    secret: Mapped[str | None]


class File(Composite):
    __tablename__ = "file"
    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    folder_id: Mapped[int]
    folder: Mapped[Folder] = relationship(
        primaryjoin="and_(Folder.tenant_id == File.tenant_id, Folder.id == foreign(File.folder_id))"
    )


File.__table__.append_constraint(ForeignKeyConstraint(["tenant_id", "folder_id"], ["folder.tenant_id", "folder.id"]))


def test_composite_keys_reveal_nothing(tmp_path: Path) -> None:
    with house.on_file(Composite, tmp_path / "x.db") as sm:
        with tenant_scope(T2), sm() as session:
            session.add(Folder(id=2, secret="S2"))
            session.commit()
        with tenant_scope(T1), sm() as session:
            with pytest.raises(CrossTenantWrite):
                session.execute(insert(File).values(id=1, folder_id=2))
            session.add(Folder(id=2, secret="mine"))
            session.commit()
            session.add(File(id=1, folder_id=2))
            session.commit()
            assert session.scalars(select(File)).one().folder.secret == "mine"
            assert session.get(Folder, ("t2", 2)) is None


def test_a_column_of_another_type(tmp_path: Path) -> None:
    class Typed(DeclarativeBase):
        pass

    class Thing(Typed):
        __tablename__ = "thing"
        id: Mapped[int] = mapped_column(primary_key=True)
        org: Mapped[uuid.UUID]

    with house.on_file(Typed, tmp_path / "x.db", column="org") as sm:
        one, two = uuid.uuid4(), uuid.uuid4()
        for org in (one, two):
            with tenant_scope(testing_context(str(org))), sm() as session:
                session.add(Thing())
                session.commit()
                assert session.scalars(select(Thing.org)).all() == [org]
                with pytest.raises(CrossTenantWrite):
                    session.execute(insert(Thing).values(org=uuid.uuid4()))
        with tenant_scope(testing_context("no-uuid")), sm() as session, pytest.raises(Exception, match="UUID"):
            session.scalars(select(Thing)).all()


def test_many_classes_share_one_engine_of_another_base(lite: house.House, tmp_path: Path) -> None:
    assert isinstance(lite.engine, Engine)
    with tenant_scope(T1), lite.sm() as session:
        task = session.get_one(Task, 1)
        assert [tag.name for tag in task.tags] == ["S1g"]
        tag = Tag(name="new")
        task.tags.append(tag)
        session.commit()
        assert lite.admin(f"select tenant_id from tag where id = {tag.id}") == [("t1",)]
