"""A tenant's code tries what generators and batteries do not think of: unions that prove half, names that are SQL.

Each function runs in t1's scope. What it returns must not hold S2, and t2's rows must be as before.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    DDL,
    Boolean,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    bindparam,
    case,
    cast,
    collate,
    column,
    create_engine,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
    true,
    type_coerce,
    union_all,
    update,
    values,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, attributes, make_transient_to_detached, sessionmaker
from sqlalchemy.orm.loading import merge_frozen_result
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.sql.expression import ColumnElement, FromClause
from sqlalchemy.types import UserDefinedType

from isolation_shop import Base, Plan, Project, Tag, Task, task_tags
from wellstreak_trust.tenancy import tenant_scope, testing_context
from wellstreak_trust.tenancy.sqlalchemy import TenantGuard

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROWS = (
    "insert into project (id, tenant_id, name, secret)"
    " values (1, 't1', 'p1', 'S1'), (2, 't2', 'p2', 'S2'), (3, 't1', 'p3', 'S1b')",
    "insert into task (id, tenant_id, project_id, title)"
    " values (1, 't1', 1, 'S1t'), (2, 't2', 2, 'S2t'), (3, 't1', 2, 'S1x'), (4, 't2', 1, 'S2y')",
    "insert into tag (id, tenant_id, name) values (1, 't1', 'S1g'), (2, 't2', 'S2g')",
    "insert into task_tags (task_id, tag_id) values (1, 1), (1, 2), (2, 2)",
    "insert into plan (id, name) values (1, 'free')",
)
HARM = """
select 'project 2' where not exists (
  select 1 from project where id = 2 and tenant_id = 't2' and name = 'p2' and secret = 'S2')
union all select 'project of t2' from project where tenant_id = 't2' and id <> 2
union all select 'project 1 is gone' from project where id = 1 and tenant_id <> 't1'
union all select 'task below project 2' from task where tenant_id = 't1' and id <> 3 and project_id = 2
union all select 'task 2' where not exists (
  select 1 from task where id = 2 and tenant_id = 't2' and title = 'S2t' and project_id = 2)
union all select 'task 4' where not exists (
  select 1 from task where id = 4 and tenant_id = 't2' and title = 'S2y' and project_id = 1)
union all select 'tag of t2' from tag where tenant_id = 't2' and id <> 2
union all select 'links of tag 2' where (select count(*) from task_tags where tag_id = 2) <> 2
"""

Attack = Callable[[Session], Any]
ATTACKS: dict[str, Attack] = {}
NO_SYNC = {"synchronize_session": False}


def attack(function: Attack) -> Attack:
    ATTACKS[function.__name__] = function
    return function


def rows(result: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in result]


def unquoted(name: str) -> quoted_name:
    return quoted_name(name, quote=False)


def half_proven(key: Any, forged: Any) -> Any:
    """A union whose first half proves what its second half breaks."""
    return union_all(select(key).where(false()), select(literal(forged)))


def forged(model: Any, **values: Any) -> Any:
    instance = model(**values)
    make_transient_to_detached(instance)
    return instance


# --- foreign keys and tenants that only seem proven ----------------------------------------------------------------


@attack
def insert_below_a_parent_from_a_union(s: Session) -> None:
    s.execute(insert(Task).values(title="x", project_id=half_proven(Project.id, 2).scalar_subquery()))


@attack
def update_to_a_parent_from_a_union(s: Session) -> None:
    statement = update(Task).where(Task.id == 1).values(project_id=half_proven(Project.id, 2).scalar_subquery())
    s.execute(statement, execution_options=NO_SYNC)


@attack
def select_a_parent_from_a_union(s: Session) -> None:
    parents = half_proven(Project.id, 2).subquery()
    s.execute(insert(Task).from_select(["title", "project_id"], select(literal("x"), parents.c[0])))


@attack
def select_a_tenant_from_a_union(s: Session) -> None:
    tenants = half_proven(Project.tenant_id, "t2").subquery()
    s.execute(insert(Project).from_select(["tenant_id", "name"], select(tenants.c[0], literal("n"))))


@attack
def select_a_tenant_from_a_union_in_a_cte(s: Session) -> None:
    tenants = half_proven(Project.tenant_id, "t2").cte()
    s.execute(insert(Project).from_select(["tenant_id", "name"], select(tenants.c[0], literal("n"))))


@attack
def select_a_tenant_from_a_recursive_cte(s: Session) -> None:
    walk = select(Project.tenant_id.label("tenant_id"), literal(0).label("n")).cte("walk", recursive=True)
    walk = walk.union_all(select(literal("t2"), walk.c.n + 1).where(walk.c.n < 1))
    chosen = select(walk.c.tenant_id, literal("n")).where(walk.c.n == 1)
    s.execute(insert(Project).from_select(["tenant_id", "name"], chosen))


@attack
def compute_a_tenant_under_its_own_name(s: Session) -> None:
    tenants = select(func.replace(Project.tenant_id, "1", "2").label("tenant_id")).subquery()
    s.execute(insert(Project).from_select(["tenant_id", "name"], select(tenants.c.tenant_id, literal("n"))))


@attack
def compute_a_parent_under_its_own_name(s: Session) -> None:
    parents = select((Project.id + 1).label("id")).order_by(Project.id).limit(1).subquery()
    statement = update(Task).where(Task.id == 1).values(project_id=select(parents.c.id).scalar_subquery())
    s.execute(statement, execution_options=NO_SYNC)


@attack
def name_values_like_the_parent(s: Session) -> None:
    parents = values(column("id", Integer), name="project").data([(2,)])
    statement = update(Task).where(Task.id == 1).values(project_id=select(parents.c.id).scalar_subquery())
    s.execute(statement, execution_options=NO_SYNC)


@attack
def name_a_cte_like_the_parent(s: Session) -> None:
    tenants = select(literal("t2").label("tenant_id")).cte("project")
    s.execute(insert(Tag).from_select(["tenant_id", "name"], select(tenants.c.tenant_id, literal("i"))))


@attack
def fall_back_to_a_foreign_parent(s: Session) -> None:
    none = select(Project.id).where(false()).scalar_subquery()
    statement = update(Task).where(Task.id == 1).values(project_id=select(func.coalesce(none, 2)).scalar_subquery())
    s.execute(statement, execution_options=NO_SYNC)


@attack
def upsert_the_tenant_from_another_column(s: Session) -> None:
    statement = upsert(Project).values([{"id": 1, "name": "t2"}])
    set_ = {"tenant_id": statement.excluded.name}
    s.execute(statement.on_conflict_do_update(index_elements=["id"], set_=set_))


@attack
def upsert_the_parent_from_another_column(s: Session) -> None:
    statement = upsert(Task).values([{"id": 1, "title": "n", "points": 2}])
    set_ = {"project_id": statement.excluded.points}
    s.execute(statement.on_conflict_do_update(index_elements=["id"], set_=set_))


@attack
def upsert_the_parent_by_a_cast(s: Session) -> None:
    statement = upsert(Task).values([{"id": 1, "title": "2"}])
    set_ = {"project_id": cast(statement.excluded.title, Integer)}
    s.execute(statement.on_conflict_do_update(index_elements=["id"], set_=set_))


@attack
def upsert_the_tenant_in_another_case(s: Session) -> None:
    statement = upsert(Project).values([{"id": 1, "name": "n"}])
    s.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"name": "n", "TENANT_ID": "t2"}))


@attack
def upsert_the_tenant_twice(s: Session) -> None:
    statement = upsert(Project).values([{"id": 1, "name": "n"}])
    set_ = {"tenant_id": "t1", Project.__table__.c.tenant_id: "t2"}
    s.execute(statement.on_conflict_do_update(index_elements=["id"], set_=set_))


@attack
def upsert_the_tenant_behind_a_select(s: Session) -> None:
    mine = select(Project.id, literal("n")).where(Project.id == 1)
    statement = upsert(Project).from_select(["id", "name"], mine)
    s.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"tenant_id": "t2"}))


@attack
def name_an_alias_excluded(s: Session) -> None:
    s.execute(insert(Plan).values(id=2, name="m"))
    excluded = Plan.__table__.alias("excluded")
    s.execute(insert(Task).from_select(["title", "project_id"], select(literal("x"), excluded.c.id)))


@attack
def forge_the_second_of_many_rows(s: Session) -> None:
    mine = select(Project.id).limit(1).scalar_subquery()
    s.execute(insert(Task).values([{"title": "a", "project_id": mine}, {"title": "b", "project_id": 2}]))


@attack
def shift_a_recursive_cte(s: Session) -> None:
    """The forged column moves over in the second round."""
    walk = select(Project.tenant_id.label("a"), Project.tenant_id.label("b"), literal(0).label("n"))
    walk = walk.where(Project.id == 1).cte("walk", recursive=True)
    walk = walk.union_all(select(walk.c.b, literal("t2"), walk.c.n + 1).where(walk.c.n < 2))
    s.execute(insert(Project).from_select(["tenant_id", "name"], select(walk.c.a, literal("n")).where(walk.c.n == 2)))


@attack
def mention_the_first_half_of_a_recursive_cte(s: Session) -> None:
    first = select(Project.tenant_id.label("a"), literal(0).label("n")).cte("walk", recursive=True)
    whole = first.union_all(select(literal("t2"), first.c.n + 1).where(first.c.n < 1))
    chosen = select(first.c.a, literal("n")).where(exists(select(whole.c.n)))
    s.execute(insert(Project).from_select(["tenant_id", "name"], chosen))


@attack
def upsert_wherever(s: Session) -> None:
    statement = upsert(Project).values(id=2, name="n", secret="x")
    where = or_(true(), text("1 = 1"))
    s.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"secret": "x"}, where=where))


@attack
def choose_the_tenant_by_case(s: Session) -> None:
    s.execute(insert(Project).values(tenant_id=case((true(), "t2"), else_="t1"), name="n"))


@attack
def cast_the_tenant(s: Session) -> None:
    s.execute(insert(Project).values(tenant_id=cast(literal("t2"), String), name="n"))


@attack
def call_for_the_tenant(s: Session) -> None:
    s.execute(insert(Project).values(tenant_id=bindparam("x", callable_=lambda: "t2"), name="n"))


@attack
def pass_the_tenant_late(s: Session) -> None:
    s.execute(insert(Project).values(tenant_id=bindparam("x"), name="n"), {"x": "t2"})


@attack
def copy_the_tenant_from_a_column(s: Session) -> None:
    s.execute(update(Project).where(Project.id == 1).values(name="t2"))
    s.execute(update(Project).where(Project.id == 1).values(tenant_id=Project.name), execution_options=NO_SYNC)


@attack
def move_a_link_by_arithmetic(s: Session) -> None:
    s.execute(update(task_tags).where(task_tags.c.task_id == 1).values(tag_id=task_tags.c.tag_id + 1))


@attack
def select_a_link(s: Session) -> None:
    s.execute(insert(task_tags).from_select(["task_id", "tag_id"], select(literal(3), literal(2))))


@attack
def delete_links_by_the_far_end(s: Session) -> None:
    s.execute(delete(task_tags).where(task_tags.c.tag_id == 2))


@attack
def override_the_bind_by_name(s: Session) -> Any:
    names = {key for key in select(Project).compile(s.get_bind()).params if key.startswith("wst")} | {"wst_tenant"}
    return rows(s.execute(select(Project.secret), dict.fromkeys(names, "t2")))


@attack
def bring_a_bind_of_the_same_name(s: Session) -> Any:
    return rows(s.execute(select(Project.secret).where(Project.name != bindparam("wst_tenant", "t2"))))


# --- rows in the way -----------------------------------------------------------------------------------------------


@attack
def update_or_replace(s: Session) -> None:
    statement = update(Project).where(Project.id == 1).values(id=2).prefix_with("OR REPLACE")
    s.execute(statement, execution_options=NO_SYNC)


@attack
def update_or_replace_in_two_words(s: Session) -> None:
    s.execute(update(Project.__table__).where(Project.id == 1).values(id=2).prefix_with("or", "replace"))


@attack
def insert_or_replace(s: Session) -> None:
    s.execute(insert(Project).values(id=2, name="n").prefix_with("OR REPLACE"))


@attack
def update_or_replace_by_text(s: Session) -> None:
    s.execute(update(Project.__table__).where(Project.id == 1).values(id=2).prefix_with(text("OR  REPLACE")))


# --- names and text that are SQL -----------------------------------------------------------------------------------


@attack
def label_with_sql(s: Session) -> Any:
    return rows(s.execute(select(literal_column("secret").label(unquoted("s from project --")))))


@attack
def column_with_sql(s: Session) -> Any:
    return rows(s.execute(select(column(unquoted("secret from project --")))))


@attack
def column_in_a_function_with_sql(s: Session) -> Any:
    return rows(s.execute(select(func.max(column(unquoted("secret) from project --"))))))


@attack
def alias_with_sql(s: Session) -> Any:
    both = Plan.__table__.alias(unquoted("x, project"))
    return "S2" if s.scalar(select(func.count()).select_from(both)) != 1 else ""


@attack
def text_that_brackets_hide(s: Session) -> Any:
    """SQLite takes [ and ] for quotes of names."""
    return rows(s.execute(select(literal_column("1 as ['], secret from project where 2 <> [']"))))


@attack
def collation_with_sql(s: Session) -> Any:
    return rows(s.execute(select(collate(literal("a"), unquoted("nocase, (select max(secret) from project)")))))


@attack
def length_with_sql(s: Session) -> Any:
    length: Any = "1), (select max(secret) from project"
    return rows(s.execute(select(cast(literal("a"), String(length)))))


@attack
def schema_with_sql(s: Session) -> Any:
    schema = unquoted("(select 1 as tenant_id, max(secret) as secret from project) as x, main")
    connection = s.connection().execution_options(schema_translate_map={None: schema})
    return rows(connection.execute(select(Project.secret)))


@attack
def cte_with_sql(s: Session) -> Any:
    inner = select(literal(1).label("n")).cte(unquoted("x as (select secret from project), y"))
    return rows(s.execute(select(literal_column("x.secret")).select_from(inner)))


@attack
def ddl_that_copies(s: Session) -> Any:
    s.execute(DDL("drop table plan"))
    s.execute(DDL("create table plan as select id, secret as name from project"))
    return rows(s.execute(select(Plan.__table__.c.name)))


@attack
def ddl_that_renames(s: Session) -> Any:
    s.execute(DDL("alter table plan rename to plan_before"))
    s.execute(DDL("alter table project rename to plan"))
    return rows(s.execute(select(literal_column("secret")).select_from(Plan)))


@attack
def ddl_that_creates_from_a_query(s: Session) -> Any:
    Plan.__table__.drop(s.connection())
    s.execute(DDL("create table plan as select id, secret as name from project"))
    return rows(s.execute(select(Plan.__table__.c.name)))


@attack
def ddl_that_watches(s: Session) -> Any:
    s.execute(DDL("create trigger steal after insert on plan begin update project set secret = 'x'; end"))
    s.execute(insert(Plan).values(id=7, name="n"))


@attack
def function_around_a_bare_table(s: Session) -> Any:
    return rows(s.execute(select(func.json_group_array(table("project", column("secret")).c.secret))))


def described(name: str, *columns: Column[Any]) -> Table:
    return Table(name, MetaData(), Column("id", Integer, primary_key=True), *columns)


@attack
def parent_under_another_key(s: Session) -> None:
    again = described("task", Column("tenant_id", String), Column("project_id", Integer, key="points"))
    s.execute(update(again).where(again.c.id == 1).values(points=2))


@attack
def tenant_under_another_key(s: Session) -> Any:
    s.execute(update(Project).where(Project.id == 1).values(name="t1"))
    again = described("project", Column("tenant_id", String, key="x"), Column("name", String, key="tenant_id"))
    s.execute(update(again).where(again.c.id == 1).values(x="t2"))


@attack
def tenant_twice_in_two_cases(s: Session) -> None:
    again = described("project", Column("tenant_id", String), Column("TENANT_ID", String, key="x"))
    s.execute(update(again).where(again.c.id == 1).values(x="t2"))


@attack
def table_in_another_case(s: Session) -> Any:
    return rows(s.execute(select(Table("PROJECT", MetaData(), Column("secret")).c.secret)))


@attack
def table_in_a_schema(s: Session) -> Any:
    return rows(s.execute(select(Table("project", MetaData(), Column("secret"), schema="main").c.secret)))


@attack
def table_in_a_translated_schema(s: Session) -> Any:
    connection = s.connection().execution_options(schema_translate_map={"x": None})
    return rows(connection.execute(select(Table("project", MetaData(), Column("secret"), schema="x").c.secret)))


@attack
def reflected_table(s: Session) -> Any:
    metadata = MetaData()
    metadata.reflect(s.connection())
    return rows(s.execute(select(metadata.tables["project"].c.secret)))


class Written(ColumnElement[str]):
    inherit_cache = False
    type = String()


@compiles(Written)
def _(element: Any, compiler: Any, **options: Any) -> str:
    return "(select max(secret) from project)"


class Wider(ColumnElement[bool]):
    inherit_cache = False
    type = Boolean()


@compiles(Wider)
def _(element: Any, compiler: Any, **options: Any) -> str:
    return "1 = 1 or 1 = 1"


@attack
def condition_that_writes_an_or(s: Session) -> Any:
    return rows(s.execute(select(Project.secret).where(Wider())))


class WrittenFrom(FromClause):
    inherit_cache = False
    named_with_column = False
    _hide_froms = ()


@compiles(WrittenFrom)
def _(element: Any, compiler: Any, **options: Any) -> str:
    return "project"


@attack
def source_that_writes_its_own_sql(s: Session) -> Any:
    return rows(s.execute(select(literal_column("secret")).select_from(WrittenFrom())))


class Wide(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        return "text), (select max(secret) from project"


@attack
def type_that_writes_its_own_sql(s: Session) -> Any:
    return rows(s.connection().execute(select(cast(Plan.id, Wide))))


class Peeking(TypeDecorator[str]):
    impl = String
    cache_ok = True

    def column_expression(self, column: Any) -> Any:
        return func.coalesce(select(func.max(Project.secret)).scalar_subquery(), column)


@attack
def type_that_reads_on_the_way(s: Session) -> Any:
    return rows(s.execute(select(type_coerce(Plan.name, Peeking))))


# --- what others loaded --------------------------------------------------------------------------------------------


def elsewhere(s: Session, work: Callable[[Session], Any]) -> Any:
    """What another request, of t2, left in a cache."""

    def run() -> Any:
        with tenant_scope(testing_context("t2")), type(s)(s.get_bind()) as other:
            return work(other)

    bind = s.get_bind
    assert bind is not None
    return Context().run(run)


@attack
def merge_a_frozen_result(s: Session) -> Any:
    frozen = elsewhere(s, lambda other: other.execute(select(Project)).freeze())
    return [row[0].secret for row in merge_frozen_result(s, select(Project), frozen, load=False)()]


@attack
def merge_a_pickled_row_without_loading(s: Session) -> None:
    kept = pickle.loads(elsewhere(s, lambda other: pickle.dumps(other.get(Project, 2))))
    s.merge(kept, load=False).secret = "x"


@attack
def relationships_of_an_instance_nobody_saved(s: Session) -> Any:
    task = Task(id=77, tenant_id="t1", project_id=2)
    s.enable_relationship_loading(task)
    return task.project and task.project.secret


@attack
def orphan_a_foreign_child(s: Session) -> None:
    project, child = s.get(Project, 1), forged(Task, id=4, tenant_id="t1", title="z", project_id=1)
    attributes.set_committed_value(project, "tasks", [child])
    s.add(child)
    project.tasks.remove(child)


@attack
def adopt_a_foreign_child(s: Session) -> None:
    child = forged(Task, id=2, tenant_id="t1", title="z")
    s.add(child)
    s.get(Project, 1).tasks = [child]


@attack
def delete_a_project_with_a_foreign_child(s: Session) -> None:
    s.delete(s.get(Project, 1))


@attack
def lie_about_the_committed_tenant(s: Session) -> None:
    project = s.get(Project, 1)
    attributes.set_committed_value(project, "tenant_id", "t2")
    project.secret = "moved"


@attack
def save_a_moved_row_in_bulk(s: Session) -> None:
    project = s.get(Project, 1)
    s.expunge(project)
    project.tenant_id = "t2"
    s.bulk_save_objects([project])


@attack
def update_many_by_key(s: Session) -> None:
    table = Project.__table__
    statement = update(table).where(table.c.id == bindparam("b_id")).values(secret=bindparam("b_secret"))
    s.connection().execute(statement, [{"b_id": 2, "b_secret": "x"}, {"b_id": 1, "b_secret": "y"}])


@attack
def ask_below_full_joins(s: Session) -> Any:
    statement = select(Project.secret, Task.title).join(Task, Task.project_id == Project.id, full=True)
    return rows(s.execute(statement.join(Tag, Tag.id == Task.id, full=True)))


@attack
def ask_in_a_returning_clause(s: Session) -> Any:
    statement = update(Project).values(name="z").returning(select(func.max(Task.title)).scalar_subquery())
    return rows(s.execute(statement, execution_options=NO_SYNC))


@attack
def ask_in_an_order(s: Session) -> Any:
    hidden = exists().where(Project.id == 2)
    return "S2" if s.scalars(select(Plan.id).where(hidden)).all() else ""


# --- the runs ------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("8.4.1")
@pytest.mark.parametrize(
    "name",
    list(ATTACKS),
)
def test_it_does_not_come_through(name: str, tmp_path: Path) -> None:
    owner = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    with owner.begin() as connection:
        Base.metadata.create_all(connection)
        for each in ROWS:
            connection.exec_driver_sql(each)
    maker = sessionmaker(create_engine(owner.url))
    TenantGuard(Base, shared=[Plan], links=[task_tags]).install(maker)
    value, refused = None, None
    with tenant_scope(testing_context("t1")), maker() as session:
        try:
            value = repr(ATTACKS[name](session))
            session.commit()
        except Exception as error:
            refused = error
    with owner.connect() as connection:
        harm = connection.exec_driver_sql(HARM).scalars().all()
    assert "S2" not in str(value), refused
    assert harm == [], refused


def test_what_an_element_of_the_host_writes_is_the_hosts(tmp_path: Path) -> None:
    """As the manual says: ``@compiles`` is code of the host that writes SQL, below everything a compiler can see."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(ROWS[0])
    maker = sessionmaker(engine)
    TenantGuard(Base, shared=[Plan], links=[task_tags]).install(maker)
    with tenant_scope(testing_context("t1")), maker() as session:
        assert session.scalar(select(Written())) == "S2"
        assert session.scalars(select(Project.name).where(Written() == "S2")).all() == ["p1", "p3"]


def test_the_attacks_are_real(tmp_path: Path) -> None:
    """Most succeed where nothing is guarded; the rest need a guard to outwit."""
    came_through = 0
    for number, attempt in enumerate(ATTACKS.values()):
        owner = create_engine(f"sqlite:///{tmp_path / f'{number}.db'}")
        with owner.begin() as connection:
            Base.metadata.create_all(connection)
            for each in ROWS:
                connection.exec_driver_sql(each)
        value = None
        with tenant_scope(testing_context("t1")), sessionmaker(owner)() as session:
            try:
                value = repr(attempt(session))
                session.commit()
            except Exception:
                session.rollback()
        with owner.connect() as connection:
            came_through += "S2" in str(value) or bool(connection.exec_driver_sql(HARM).scalars().all())
        owner.dispose()
    assert came_through >= len(ATTACKS) // 2
