"""PostgreSQL: the settings that row level security reads follow the scope through every kind of transaction."""

from __future__ import annotations

import isolation_house as house
import pytest
from isolation_house import Project
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from wellstreak_trust.core import AuditEvent
from wellstreak_trust.core.errors import UnscopedStatement
from wellstreak_trust.tenancy import tenant_scope, testing_context
from wellstreak_trust.tenancy.sqlalchemy import unscoped

T1, T2 = testing_context("t1"), testing_context("t2")
HELD = select(func.current_setting("wst.tenant", True), func.current_setting("wst.company", True))


def quiet(event: AuditEvent) -> None:
    """A trail for tests of something else."""


@pytest.fixture
def rls(postgres_rls: house.House) -> house.House:
    postgres_rls.refill()
    return postgres_rls


def test_set_at_each_begin_and_gone_after_it(rls: house.House) -> None:
    with rls.sm() as session:
        with tenant_scope(house.in_company(T1, "c1")):
            assert session.execute(HELD).one() == ("t1", "c1")
            session.commit()
            assert session.execute(HELD).one() == ("t1", "c1")
            session.rollback()
            assert session.execute(HELD).one() == ("t1", "c1")
        session.close()
        assert session.execute(HELD).one() == ("", "")
    raw = rls.engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("select current_setting('wst.tenant', true)")
        assert cursor.fetchone() in ((None,), ("",))
    finally:
        raw.close()


@pytest.mark.parametrize("tenant", ["plain-1.x", "o'hara; drop", "ä", 'back\\slash"'])
@pytest.mark.parametrize("level", [None, "SERIALIZABLE"])
def test_any_text_is_a_tenant_in_any_isolation_level(rls: house.House, tenant: str, level: str | None) -> None:
    engine = rls.engine if level is None else rls.engine.execution_options(isolation_level=level)
    with tenant_scope(testing_context(tenant)), rls.sm(bind=engine) as session:
        assert session.execute(HELD).one() == (tenant, "")
        assert session.scalars(select(Project)).all() == []
        level_now = session.scalar(select(func.current_setting("transaction_isolation")))
        assert level_now == (level or "read committed").lower()


def test_set_again_when_the_scope_changes_inside_a_transaction(rls: house.House) -> None:
    with rls.engine.begin() as connection:
        assert connection.execute(HELD).one() == ("", "")
        with tenant_scope(T1):
            nested = connection.begin_nested()
            assert connection.execute(HELD).one() == ("t1", "")
            nested.rollback()  # which undoes the setting
            assert len(connection.execute(select(Project.__table__)).all()) == 2
        with tenant_scope(T2):
            assert len(connection.execute(select(Project.__table__)).all()) == 1


def test_text_in_the_hatch_is_still_below_row_level_security(rls: house.House) -> None:
    with tenant_scope(T1), rls.sm() as session, unscoped("statistics", audit=quiet):
        assert session.execute(text("select count(*) from project")).scalar() == 2


def test_autocommit_does_no_tenant_work(rls: house.House) -> None:
    engine = create_engine(rls.engine.url, isolation_level="AUTOCOMMIT")
    sm = house.guarded(engine)
    with tenant_scope(T1):
        for factory in (sm, lambda: rls.sm(bind=rls.engine.execution_options(isolation_level="AUTOCOMMIT"))):
            with factory() as session, pytest.raises(UnscopedStatement) as refused:
                session.scalars(select(Project)).all()
            assert "AUTOCOMMIT" in str(refused.value)
            assert "transaction" in refused.value.hint
    engine.dispose()


def test_joined_and_two_phase_transactions(plain_urls: tuple[str, str]) -> None:
    engine = create_engine(plain_urls[1])
    found = house.House(engine, create_engine(plain_urls[0]), pg=True)
    found.refill()
    with tenant_scope(T1), engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as plain:
            assert len(plain.scalars(select(Project)).all()) == 2
        with found.sm(bind=connection, join_transaction_mode="create_savepoint") as session:
            session.add(Project(name="joined"))
            session.commit()
        assert len(connection.execute(select(Project.__table__)).all()) == 3
        outer.rollback()
    assert found.admin("select count(*) from project") == [(3,)]
    prepared = found.admin("show max_prepared_transactions")[0][0] != "0"
    twophase = sessionmaker(engine, twophase=True, class_=found.sm.class_)
    with tenant_scope(T1), twophase() as session:
        session.add(Project(name="both"))
        session.flush()
        assert session.execute(HELD).one() == ("t1", "")
        if prepared:
            session.commit()
    found.owner.dispose()
    engine.dispose()
