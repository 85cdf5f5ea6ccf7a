"""Observe mode: the report tells what enforcing would do, and nothing else happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import isolation_house as house
import pytest
from isolation_house import Project, Task
from sqlalchemy import event, insert, select, text, update

from wellstreak_trust.tenancy import tenant_scope, testing_context
from wellstreak_trust.tenancy.observations import Observations

T1 = testing_context("t1")


@pytest.fixture
def seen() -> Observations:
    return Observations()


@pytest.fixture
def lite(tmp_path: Path, seen: Observations) -> Iterator[house.House]:
    found = house.lite(tmp_path / "x.db", mode="observe", observations=seen)
    found.refill()
    yield found
    found.engine.dispose()
    found.owner.dispose()


def work(session: Any) -> list[Any]:
    """Everything that enforcing would change."""
    found: list[Any] = [sorted(p.secret for p in session.scalars(select(Project)))]
    found.append(session.execute(text("select count(*) from project where name = 'p1'")).scalar())
    found.append(session.connection().exec_driver_sql("select count(*) from task").scalar())
    found.append(session.execute(insert(Project).values(tenant_id="t2", name="x", secret="y")).rowcount)
    found.append(session.execute(insert(Task).values(tenant_id="t1", project_id=2, title="x")).rowcount)
    session.add(Project(tenant_id="t2", name="orm"))
    session.flush()
    found.append(session.execute(update(Project).where(Project.id == 2).values(name="z")).rowcount)
    session.get_one(Project, 2).secret = "changed"
    session.commit()
    return found


def test_nothing_changes_to_the_byte(lite: house.House, seen: Observations) -> None:
    from sqlalchemy.orm import sessionmaker

    statements: dict[str, list[Any]] = {"guarded": [], "plain": []}
    answers, dumps = [], []
    for name, engine, sm in (("guarded", lite.engine, lite.sm), ("plain", lite.owner, sessionmaker(lite.owner))):
        lite.refill()

        def note(conn: Any, cursor: Any, statement: Any, params: Any, *_: Any, name: str = name) -> None:
            if "count(*) AS count_1" not in statement:  # the check of parents asks one question more
                statements[name].append((statement, params))

        event.listen(engine, "before_cursor_execute", note)
        with tenant_scope(T1), sm() as session:
            answers.append(work(session))
        event.remove(engine, "before_cursor_execute", note)
        dumps.append([lite.admin(f"select * from {table} order by 1") for table in ("project", "task")])
    assert answers[0] == answers[1]
    assert dumps[0] == dumps[1]
    assert statements["guarded"] == statements["plain"]
    assert seen


def test_the_report_names_each_and_where(lite: house.House, seen: Observations) -> None:
    with tenant_scope(T1), lite.sm() as session:
        work(session)
    codes = {(entry.code, entry.where.rpartition(" in ")[2]) for entry in seen.report()}
    assert codes >= {
        ("UnscopedStatement", "work"),
        ("CrossTenantWrite", "work"),
        ("CrossTenantRead", "work"),
        ("Filtered", "work"),
    }
    assert any("task.project_id" in e.statement or "INTO task" in e.statement for e in seen.report())
    assert "p1" not in seen.text() + seen.as_json()


def test_outside_every_scope_it_is_reported(lite: house.House, seen: Observations) -> None:
    with lite.sm() as session:
        assert len(session.scalars(select(Project)).all()) == 3
        session.add(Project(tenant_id="t2", name="x"))
        session.commit()
    assert {entry.code for entry in seen.report()} == {"NoTenant"}


def test_work_that_filters_by_hand_leaves_no_entry(lite: house.House, seen: Observations) -> None:
    with tenant_scope(T1), lite.sm() as session:
        assert len(session.scalars(select(Project).where(Project.tenant_id == "t1")).all()) == 2
        session.add(Project(tenant_id="t1", name="x"))
        session.commit()
    assert seen.empty, seen.text()
