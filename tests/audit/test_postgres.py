"""PostgreSQL with roles and triggers: the application may add to its trail, and to nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from wellstreak_trust.audit import AuditEvent, AuditLog, verify
from wellstreak_trust.audit.event import Sealed, draft
from wellstreak_trust.core.clock import SystemClock
from wellstreak_trust.core.errors import ConfigurationError, StoreMisconfigured
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlAuditStore, audit_ddl

from .conftest import SIGNER

Make = Callable[..., AuditEvent]
ROLES = {"writer": 'app "w"', "keeper": "keeper's", "reader": "auditor"}


def quoted(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


@contextmanager
def engine_of(url: str, role: str | None = None) -> Iterator[Engine]:
    where = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(where if role is None else where.set(username=role))
    yield engine
    engine.dispose()


@pytest.fixture
def guarded(postgres_url: str) -> Iterator[str]:
    with engine_of(postgres_url) as owner:
        Database(owner).create_all()
        with owner.begin() as connection:
            for role in ROLES.values():
                exists = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
                if not exists:
                    connection.execute(text(f"CREATE ROLE {quoted(role)} LOGIN"))
            for _ in range(2):
                for statement in audit_ddl(**ROLES):
                    connection.exec_driver_sql(statement.replace("%", "%%"))
        yield postgres_url


def test_the_writer_does_all_that_a_log_does(guarded: str, make: Make) -> None:
    with engine_of(guarded, ROLES["writer"]) as engine:
        log = AuditLog(SqlAuditStore(Database(engine)), SIGNER, "pg.test/audit")
        log.emit_many([make(data={"n": n}, id=f"e{n}") for n in range(600)])
        assert log.emit(make(id="e3", data={"n": 3})).seq == 3
        assert log.tick().noted == 1
        log.emit(make())
        assert log.checkpoint("t1") != log.checkpoint()
        assert log.prove("t1", 599)
        assert verify(log.store, tenant_id="t1", keys=[log.vkey("t1")]).level == "signed"


CHANGES = {
    "a leaf": "UPDATE wst_audit_leaf SET leaf = ''",
    "a column": "UPDATE wst_audit_leaf SET actor = 'x'",
    "a deletion": "DELETE FROM wst_audit_leaf WHERE seq = 0",
    "all of it": "TRUNCATE wst_audit_leaf",
    "a tree cut off": "UPDATE wst_audit_head SET size = 1",
    "another root": "UPDATE wst_audit_head SET root = ''",
    "a tree under another name": "UPDATE wst_audit_head SET tenant_id = 't9'",
    "a deleted tree": "DELETE FROM wst_audit_head",
    "what is pruned": "UPDATE wst_audit_head SET first_seq = 256",
    "a tile": "UPDATE wst_audit_tile SET hashes = ''",
    "a deleted tile": "DELETE FROM wst_audit_tile",
    "what was signed": "UPDATE wst_audit_signed SET size = 0",
    "what was signed, another root": "UPDATE wst_audit_signed SET root = ''",
    "that it was signed": "DELETE FROM wst_audit_signed",
    "a sealed value": "DELETE FROM wst_audit_disclosure",
    "a key": "UPDATE wst_audit_subject SET key = ''",
    "a deleted key": "DELETE FROM wst_audit_subject",
}


@pytest.mark.asvs("13.2.2")
def test_nobody_but_the_keeper_changes_what_stands(guarded: str, make: Make) -> None:
    with engine_of(guarded, ROLES["writer"]) as engine, engine_of(guarded) as owner:
        log = AuditLog(SqlAuditStore(Database(engine)), SIGNER, "pg.test/audit")
        log.emit_many([make(id=f"e{n}") for n in range(300)])
        log.checkpoint("t1")
        drive(log.store.subject_key("t1", "s", b"k"))  # type: ignore[attr-defined]  # a SubjectStore too
        sealed = draft(make())._replace(sealed=(Sealed("s", b"x"),))
        drive(log.store.append_batch([sealed], now=SystemClock().now, deadline=log._recorder._deadline))
        for who in (engine, owner):
            for name, statement in CHANGES.items():
                with pytest.raises(ProgrammingError) as refused, who.begin() as connection:
                    connection.execute(text(statement))
                assert (name, getattr(refused.value.orig, "sqlstate", "")) == (name, "42501")
        with pytest.raises(StoreMisconfigured):
            drive(log.store.prune("t1", 256))
        assert verify(log.store, tenant_id="t1").integrity == "verified"


def test_the_keeper_prunes_and_forgets(guarded: str, make: Make) -> None:
    with engine_of(guarded, ROLES["writer"]) as engine, engine_of(guarded, ROLES["keeper"]) as keeper:
        store: Any = SqlAuditStore(Database(engine))
        AuditLog(store).emit_many([make(id=f"e{n}") for n in range(300)])
        drive(store.subject_key("t1", "s", b"k"))
        kept: Any = SqlAuditStore(Database(keeper))
        assert drive(kept.prune("t1", 300)) == 256
        assert drive(kept.forget("t1", "s")) == 0
        assert AuditLog(store).emit(make()).seq == 300


def test_the_auditor_reads_and_sees_no_keys(guarded: str, make: Make) -> None:
    with engine_of(guarded, ROLES["writer"]) as engine, engine_of(guarded, ROLES["reader"]) as reader:
        AuditLog(SqlAuditStore(Database(engine))).emit(make())
        log = AuditLog(SqlAuditStore(Database(reader)))
        assert len(log.events("t1")) == 1
        for statement in ("SELECT key FROM wst_audit_subject", "INSERT INTO wst_audit_signed VALUES ('x', 0, '', '')"):
            with pytest.raises(ProgrammingError), reader.begin() as connection:
                connection.execute(text(statement))


@pytest.mark.parametrize("roles", [("app", "app", None), ("", None, None), ("a\x00b", None, None)])
def test_roles_that_are_none(roles: tuple[str, str | None, str | None]) -> None:
    with pytest.raises(ConfigurationError):
        audit_ddl(roles[0], keeper=roles[1], reader=roles[2])
