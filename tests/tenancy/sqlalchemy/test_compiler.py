"""Where the conditions go, and the private names of SQLAlchemy that the compiler leans on."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import isolation_house as house
import pytest
from isolation_house import Project, Tag, Task, task_tags
from shop_models import Book
from sqlalchemy import Table, delete, func, insert, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.cursor import BufferedRowCursorFetchStrategy, ResultFetchStrategy
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Session, aliased, joinedload
from sqlalchemy.sql.compiler import SQLCompiler

from wellstreak_trust.tenancy.sqlalchemy.fragments import harmful


def sql(db: house.House, statement: Any) -> str:
    return " ".join(str(statement.compile(db.engine)).split())


P = aliased(Project, name="p")
PLACES = {
    "where": (select(Project.id), "FROM project WHERE project.tenant_id = ?"),
    "alias": (select(P.id), "FROM project AS p WHERE p.tenant_id = ?"),
    "before the host's": (select(Project.id).where(Project.id == 1), "WHERE project.tenant_id = ? AND project.id = ?"),
    "text in brackets": (
        select(Project.id).where(text("a or b")),
        "WHERE project.tenant_id = ? AND (a or b)",
    ),
    "inner join": (
        select(Task.id).join(Task.project),
        "JOIN project ON project.id = task.project_id AND project.tenant_id = ? WHERE task.tenant_id = ?",
    ),
    "outer join": (
        select(Project.id).outerjoin(Task),
        "LEFT OUTER JOIN task ON project.id = task.project_id AND task.tenant_id = ? WHERE project.tenant_id = ?",
    ),
    "joinedload": (
        select(Task).options(joinedload(Task.project)),
        "ON project_1.id = task.project_id AND project_1.tenant_id = ? WHERE task.tenant_id = ?",
    ),
    "subquery": (
        select(func.count()).select_from(select(Project.id).subquery("q")),
        "FROM (SELECT project.id AS id FROM project WHERE project.tenant_id = ?) AS q",
    ),
    "full join": (
        select(Task.id).join(P, P.id == Task.project_id, full=True),
        "(SELECT * FROM task WHERE task.tenant_id = ?) AS task FULL OUTER JOIN"
        " (SELECT * FROM project AS p WHERE p.tenant_id = ?) AS p ON p.id = task.project_id",
    ),
    "link alone": (
        select(task_tags.c.tag_id),
        "WHERE task_tags.tag_id IN (SELECT tag_1.id FROM tag AS tag_1 WHERE tag_1.tenant_id = ?)"
        " AND task_tags.task_id IN (SELECT task_1.id FROM task AS task_1 WHERE task_1.tenant_id = ?)",
    ),
    "link joined to both": (
        select(Task.id).join(Task.tags),
        "FROM task JOIN task_tags AS task_tags_1 ON task.id = task_tags_1.task_id"
        " JOIN tag ON tag.id = task_tags_1.tag_id AND tag.tenant_id = ? WHERE task.tenant_id = ?",
    ),
    "update": (update(Project).values(name="x"), "UPDATE project SET name=? WHERE project.tenant_id = ?"),
    "delete": (delete(Tag.__table__), "DELETE FROM tag WHERE tag.tenant_id = ?"),
    "insert": (insert(Tag.__table__).values(name="x"), "INSERT INTO tag (tenant_id, name) VALUES (?, ?)"),
    "upsert": (
        sqlite.insert(Tag.__table__).values(name="x").on_conflict_do_update(["id"], set_={"name": "y"}),
        "ON CONFLICT (id) DO UPDATE SET name = ? WHERE tag.tenant_id = ?",
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_condition_stands_where_it_changes_nothing_else(name: str, sqlite_house: house.House) -> None:
    statement, expected = PLACES[name]
    found = sql(sqlite_house, statement)
    assert expected in found, found
    wanted = expected.count("tenant_id = ?") or found.count("tenant_id = ?")
    assert found.count("tenant_id = ?") == wanted, "once for each table"


def test_the_child_table_of_an_inheritance_is_held_by_its_base(tmp_path: Path) -> None:
    import shop_models as shop

    with house.on_file(shop.Base, tmp_path / "x.db", shared=shop.SHARED, links=shop.LINKS) as sm:
        engine = sm.kw["bind"]
        joined = " ".join(str(select(Book).compile(engine)).split())
        assert joined.endswith("FROM product JOIN book ON product.id = book.id WHERE product.tenant_id = ?")
        alone = " ".join(str(select(Book.__table__).compile(engine)).split())
        assert "book.id IN (SELECT product_1.id FROM product AS product_1 WHERE product_1.tenant_id = ?)" in alone


@pytest.mark.parametrize(
    "fragment",
    [
        "* from project",
        "(select 1)",
        "1) union (select 2",
        "a -- b",
        "a /* b",
        "a; b",
        "'a",
        "extract(x from y) from z",
        "table project",
        "query_to_xml('select 1')",
        "E'\\'' || (x) || ''",
        "$$'$$ || x",
    ],
)
def test_harmful_text(fragment: str) -> None:
    assert harmful(fragment) is not None


@pytest.mark.parametrize(
    "fragment",
    [
        "1",
        "name desc nulls last",
        "project.name",
        "extract(year from created)",
        "a is not distinct from b",
        "lower(name) = 'select from'",
        '"from"',
        "count(*)",
        "a = 1 or b = 2",
        "now() - interval '1 day'",
    ],
)
def test_harmless_text(fragment: str) -> None:
    assert harmful(fragment) is None


def test_text_behind_the_conditions_must_not_widen_them() -> None:
    assert harmful("or 1=1", ends_statement=True) == "or"
    assert harmful("is not null", ends_statement=True) == "is"
    assert harmful("for update skip locked", ends_statement=True) is None


def test_the_private_names_are_where_they_were() -> None:
    """Each release of SQLAlchemy may move them; the guard is then adapted before its range of versions grows."""
    assert list(inspect.signature(SQLCompiler._compose_select_body).parameters)[:6] == [
        "self",
        "text",
        "select",
        "compile_state",
        "inner_columns",
        "froms",
    ]
    assert "._where_criteria" in inspect.getsource(SQLCompiler._compose_select_body)
    for name in ("visit_update", "visit_delete"):
        body = inspect.getsource(getattr(SQLCompiler, name))
        hook = "update_tables_clause(" if name == "visit_update" else "delete_table_clause("
        assert body.index(hook) < body.index("._where_criteria:"), "the hook comes before WHERE is written"
    assert "enclosing_alias" in inspect.signature(SQLCompiler.visit_table).parameters
    assert "_identity_lookup(" in inspect.getsource(Session._get_impl)
    assert "cursor_fetch_strategy" in inspect.getsource(DefaultExecutionContext._setup_result_proxy)
    assert issubclass(BufferedRowCursorFetchStrategy, ResultFetchStrategy)
    assert isinstance(Project.__table__, Table)
