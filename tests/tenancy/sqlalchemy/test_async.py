"""The asynchronous faces: the same guard below `AsyncSession`, on aiosqlite and asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import isolation_house as house
import pytest
from isolation_house import Base, Plan, Project, Task, task_tags
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload

from wellstreak_trust.core import AuditEvent
from wellstreak_trust.core.errors import CrossTenantRead, CrossTenantWrite, NoTenant, UnscopedStatement
from wellstreak_trust.tenancy import tenant_scope, testing_context
from wellstreak_trust.tenancy.observations import Observations
from wellstreak_trust.tenancy.sqlalchemy import TenantGuard, unscoped

T1, T2 = testing_context("t1"), testing_context("t2")
pytestmark = pytest.mark.anyio


def quiet(event: AuditEvent) -> None:
    """A trail for tests of something else."""


@pytest.fixture(params=["aiosqlite", "asyncpg"])
async def sm(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    if request.param == "aiosqlite":
        owner = f"sqlite:///{tmp_path}/x.db"
        app = owner.replace("sqlite://", "sqlite+aiosqlite://")
        Base.metadata.create_all(create_engine(owner))
    else:
        owner, app = request.getfixturevalue("secured_urls")
        app = app.replace("+psycopg", "+asyncpg")
    plain = create_engine(owner)
    with plain.begin() as connection:
        for statement in (*house.EMPTY, *house.ROWS):
            connection.exec_driver_sql(statement)
        for statement in house.SEQUENCES if request.param == "asyncpg" else ():
            connection.exec_driver_sql(statement)
    plain.dispose()
    engine = create_async_engine(app)
    found = async_sessionmaker(engine, expire_on_commit=False)
    TenantGuard(Base, shared=[Plan], links=[task_tags]).install(found)
    yield found
    await engine.dispose()


async def test_reads_writes_and_refusals(sm: async_sessionmaker[AsyncSession]) -> None:
    async with tenant_scope(T1), sm() as session:
        assert sorted(p.secret for p in await session.scalars(select(Project))) == ["S1", "S1b"]
        assert await session.get(Project, 2) is None
        tasks = await session.scalars(select(Task).options(selectinload(Task.project), selectinload(Task.tags)))
        assert [(t.project and t.project.secret, len(t.tags)) for t in tasks] == [("S1", 1), (None, 0)]
        session.add(Project(name="n", tasks=[Task(title="x")]))
        await session.commit()
        for statement, kind in (
            (text("select * from project"), UnscopedStatement),
            (insert(Project).values(tenant_id="t2", name="n"), CrossTenantWrite),
            (insert(Task).values(project_id=2, title="n"), CrossTenantWrite),
        ):
            with pytest.raises(kind):
                await session.execute(statement)
            await session.rollback()
        async with unscoped("count", audit=quiet):
            assert (await session.execute(text("select count(*) from plan"))).scalar() == 1
    async with sm() as session:
        with pytest.raises(NoTenant):
            await session.scalars(select(Project))


async def test_the_engine_and_its_streams(sm: async_sessionmaker[AsyncSession]) -> None:
    engine = sm.kw["bind"]
    async with tenant_scope(T1), engine.connect() as connection:
        assert len((await connection.execute(select(Project.__table__))).all()) == 2
        with pytest.raises(UnscopedStatement):
            await connection.exec_driver_sql("select * from project")
        names = await connection.run_sync(lambda sync: __import__("sqlalchemy").inspect(sync).get_table_names())
        assert "project" in names
    async with sm() as session:
        async with tenant_scope(T2):
            stream = await session.stream_scalars(select(Project.secret).execution_options(yield_per=1))
        async with tenant_scope(T1):
            with pytest.raises(CrossTenantRead):
                await anext(stream)
        await session.rollback()


async def test_tenants_in_tasks_do_not_meet(sm: async_sessionmaker[AsyncSession]) -> None:
    async def work(context: Any) -> set[str]:
        found: set[str] = set()
        async with tenant_scope(context):
            for _ in range(5):
                async with sm() as session:
                    found |= {p.tenant_id for p in await session.scalars(select(Project))}
                    await asyncio.sleep(0)
        return found

    assert await asyncio.gather(*(work(context) for context in (T1, T2, T1, T2))) == [{"t1"}, {"t2"}, {"t1"}, {"t2"}]


async def test_a_scoped_session_of_the_asynchronous_kind(sm: async_sessionmaker[AsyncSession]) -> None:
    registry = async_scoped_session(async_sessionmaker(sm.kw["bind"]), asyncio.current_task)
    guard = sm.kw["sync_session_class"].guard_gate
    assert guard.guards(sm.kw["bind"].sync_engine)
    with tenant_scope(T1):
        assert len((await registry.scalars(select(Project))).all()) == 2
    await registry.remove()


async def test_observations_find_the_awaiting_line(tmp_path: Path) -> None:
    seen = Observations()
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    found = async_sessionmaker(engine)
    TenantGuard(Base, shared=[Plan], links=[task_tags], mode="observe", observations=seen).install(found)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with found() as session:
        await session.execute(text("select 1"))
    assert [entry.where.rpartition(" in ")[2] for entry in seen.report()] == [
        "test_observations_find_the_awaiting_line"
    ]
    await engine.dispose()
