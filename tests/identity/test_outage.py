"""A database that is gone: nobody is let in, nobody is told "wrong", and everything says 503."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text

from people import Accounts, Letterbox, Person
from wellstreak_trust.core import FixedClock, Secret
from wellstreak_trust.core.errors import StoreMisconfigured, StoreUnavailable, Unavailable
from wellstreak_trust.identity import (
    ApiKeys,
    EmailVerification,
    InvalidCredential,
    OneTimeCodes,
    OneTimeTokens,
    PasswordHasher,
    RecoveryCodes,
    RefreshFamilies,
    SessionManager,
)
from wellstreak_trust.storage.sql import (
    Database,
    SqlApiKeyStore,
    SqlOneTimeTokenStore,
    SqlRecoveryCodeStore,
    SqlRefreshStore,
    SqlSessionStore,
)


def house(database: Database, clock: FixedClock):
    sessions = SessionManager(SqlSessionStore(database), clock=clock)
    store = SqlOneTimeTokenStore(database)
    tokens = OneTimeTokens(store, "invite", clock=clock)
    codes = OneTimeCodes(store, "sign_in", key=Secret(b"k" * 32), clock=clock)
    keys = ApiKeys(SqlApiKeyStore(database), clock=clock)
    families = RefreshFamilies(SqlRefreshStore(database), clock=clock)
    recovery = RecoveryCodes(SqlRecoveryCodeStore(database), PasswordHasher(permits=1), clock=clock)
    accounts = Accounts(u1=Person("ada@example.org"))
    proofs = EmailVerification(store, accounts, sessions=sessions, mailer=Letterbox(), clock=clock)
    opened, issued, grant, code = sessions.open("u1"), tokens.issue("u1"), families.start("u1"), codes.issue("u1")
    key = keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"})
    return {
        "session": lambda: sessions.authenticate(opened.token),
        "open": lambda: sessions.open("u1"),
        "revoke_all": lambda: sessions.revoke_all("u1"),
        "link": lambda: tokens.consume(issued.token),
        "code": lambda: codes.consume(code.ticket, code.code),
        "key": lambda: keys.authenticate(key.secret),
        "refresh": lambda: families.rotate(grant.token),
        "recovery": lambda: recovery.consume("u1", "0000-0000-0000-0000"),
        "known address": lambda: proofs.request("ada@example.org"),
        "unknown address": lambda: proofs.request("eve@example.org"),
    }


def test_a_server_that_is_gone(postgres_url, clock):
    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    database = Database(engine)
    database.create_all()
    calls = house(database, clock)
    engine.dispose()
    name = postgres_url.rpartition("/")[2]
    admin = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:").replace(name, "postgres"))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
    for call in calls.values():
        with pytest.raises(Unavailable) as caught:
            call()
        assert (caught.value.status, caught.value.code) == (503, "unavailable")
        assert "ada" not in f"{caught.value.detail} {caught.value.hint}"
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
    assert calls["session"]().id == "u1"
    engine.dispose()
    admin.dispose()


@pytest.mark.parametrize("table", ["wst_sessions", "wst_one_time_tokens", "wst_refresh_families", "wst_api_keys"])
def test_a_missing_table_is_for_an_operator(sqlite_path, clock, table):
    engine = create_engine(f"sqlite:///{sqlite_path}")
    database = Database(engine)
    database.create_all()
    calls = house(database, clock)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {table}"))
    wanted = {"wst_sessions": "session", "wst_one_time_tokens": "link", "wst_refresh_families": "refresh"}
    with pytest.raises(StoreMisconfigured) as caught:
        calls[wanted.get(table, "key")]()
    assert caught.value.status == 503
    engine.dispose()


def test_a_locked_database_is_unavailable(sqlite_path, clock):
    engine = create_engine(f"sqlite:///{sqlite_path}")
    database = Database(engine, lock_timeout=timedelta(milliseconds=20))
    database.create_all()
    calls = house(database, clock)
    with engine.connect() as holder:
        holder.exec_driver_sql("BEGIN IMMEDIATE")
        for name in ("open", "revoke_all", "link", "code", "refresh"):
            with pytest.raises(StoreUnavailable):
                calls[name]()
        assert calls["key"]().id == "u1"  # its first use cannot be recorded, and it is good
        assert calls["session"]().id == "u1"
        clock.advance(timedelta(minutes=29))  # time to record that the session is in use
        assert calls["session"]().id == "u1"
        clock.advance(timedelta(minutes=1))
        with pytest.raises(InvalidCredential):
            calls["session"]()  # what could not be recorded does not keep it alive
    engine.dispose()
