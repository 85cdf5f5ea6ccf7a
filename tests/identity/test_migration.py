"""A database of the release before gets the columns of this one, and keeps its sessions and open links."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, inspect, text

from wellstreak_trust.identity import OneTimeTokens, SessionManager
from wellstreak_trust.storage.sql import Database, SqlOneTimeTokenStore, SqlSessionStore

OLDER = (
    "DROP INDEX ix_wst_sessions_federated_subject",
    "DROP INDEX ix_wst_sessions_federated_sid",
    *(f"ALTER TABLE wst_sessions DROP COLUMN {name}" for name in ("issuer", "subject", "sid")),
    *(f"ALTER TABLE wst_one_time_tokens DROP COLUMN {name}" for name in ("sealed", "tries")),
    "DELETE FROM wst_schema WHERE version >= 3",
)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_older_database_is_brought_along(request, kind, clock):
    if kind == "sqlite":
        url = f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    else:
        url = request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url)
    database = Database(engine)
    database.create_all()
    sessions = SessionManager(SqlSessionStore(database), clock=clock)
    tokens = OneTimeTokens(SqlOneTimeTokenStore(database), "invite", clock=clock)
    opened, issued = sessions.open("u1"), tokens.issue("u1")
    with engine.begin() as connection:
        for step in OLDER:
            connection.execute(text(step))

    database.create_all()
    assert {index["name"] for index in inspect(engine).get_indexes("wst_sessions")} >= {
        "ix_wst_sessions_federated_subject",
        "ix_wst_sessions_federated_sid",
    }
    assert sessions.authenticate(opened.token).id == "u1"
    assert tokens.consume(issued.token).subject == "u1"
    sessions.open("u2", issuer="https://op.example", subject="ada", sid="s1")
    assert sessions.end_federated("https://op.example", sid="s1") == 1
    clock.advance(timedelta(minutes=1))
    engine.dispose()
