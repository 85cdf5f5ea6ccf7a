"""The optional company inside a tenant: the same guarantees when the context names one, the whole tenant when not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import isolation_house as house
import pytest
from shop_models import Owned
from sqlalchemy import ForeignKey, delete, func, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from wellstreak_trust.core.errors import CrossTenantRead, CrossTenantWrite
from wellstreak_trust.tenancy import tenant_scope, testing_context

WHOLE = testing_context("t1")
C1, C2 = (house.in_company(WHOLE, company) for company in ("c1", "c2"))
FOREIGN = house.in_company(testing_context("t2"), "c1")


class Base(DeclarativeBase):
    pass


class Account(Owned, Base):
    __tablename__ = "account"
    company_id: Mapped[str | None]
    name: Mapped[str]
    entries: Mapped[list[Entry]] = relationship(back_populates="account")


class Entry(Owned, Base):
    __tablename__ = "entry"
    company_id: Mapped[str | None]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    account: Mapped[Account] = relationship(back_populates="entries")


class Setting(Owned, Base):
    """Of the tenant, without a company."""

    __tablename__ = "setting"


@pytest.fixture
def sm(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    with house.on_file(Base, tmp_path / "x.db", company="company_id") as found:
        fill(found)
        yield found


def fill(sm: sessionmaker[Session]) -> None:
    for number, context in enumerate((C1, C2, FOREIGN), 1):
        with tenant_scope(context), sm() as session:
            session.add(Account(id=number, name=f"a{number}", entries=[Entry(id=number)]))
            session.add(Setting())
            session.commit()
    with tenant_scope(WHOLE), sm() as session:
        session.add(Account(id=9, name="of the tenant"))
        session.commit()


def test_a_company_sees_its_own_and_the_tenant_sees_all(sm: sessionmaker[Session]) -> None:
    seen = {}
    for name, context in (("c1", C1), ("c2", C2), ("whole", WHOLE), ("foreign", FOREIGN)):
        for _ in range(2):  # the second time from the statement cache
            with tenant_scope(context), sm() as session:
                ids = session.scalars(select(Account.id).order_by(Account.id)).all()
                joined = session.execute(select(Entry.id, Account.name).join(Entry.account)).all()
                settings = session.scalar(select(func.count()).select_from(Setting))
                seen[name] = (list(ids), len(joined), settings)
    assert seen == {
        "c1": ([1], 1, 2),
        "c2": ([2], 1, 2),
        "whole": ([1, 2, 9], 2, 2),
        "foreign": ([3], 1, 1),
    }


def test_rows_are_stamped_with_the_company_and_stay_in_it(sm: sessionmaker[Session]) -> None:
    with tenant_scope(C1), sm() as session:
        account = Account(name="n")
        session.add(account)
        session.execute(insert(Account).values(name="core"))
        session.flush()
        assert account.company_id == "c1"
        assert session.scalars(select(Account.company_id).distinct()).all() == ["c1"]
        with pytest.raises(CrossTenantWrite):
            session.execute(insert(Account).values(name="x", company_id="c2"))
        with pytest.raises(CrossTenantWrite):
            session.execute(insert(Entry).values(account_id=2))
        assert session.get(Account, 2) is None
        assert session.execute(update(Account).values(name="u")).rowcount == 3
        session.execute(delete(Entry))
        account.company_id = "c2"
        with pytest.raises(CrossTenantWrite):
            session.flush()
        session.rollback()


def test_flushes_of_companies_and_of_the_tenant_do_not_share_statements(sm: sessionmaker[Session]) -> None:
    for context, key in ((WHOLE, 1), (C1, 1), (C2, 2), (WHOLE, 2)):
        with tenant_scope(context), sm() as session:
            account = session.get_one(Account, key)
            account.name += "!"
            session.commit()
    with tenant_scope(WHOLE), sm() as session:
        assert session.scalars(select(Account.name).order_by(Account.id)).all() == ["a1!!", "a2!!", "of the tenant"]


def test_a_session_serves_one_company(sm: sessionmaker[Session]) -> None:
    with sm() as session:
        with tenant_scope(C1):
            kept = session.get_one(Account, 1)
        with tenant_scope(C2), pytest.raises(CrossTenantRead):
            session.get(Account, 1)
        with tenant_scope(WHOLE), pytest.raises(CrossTenantRead):
            session.get(Account, 1)
        assert kept.name == "a1"
