"""What the tests of this room share."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine

from people import Letterbox, Sink
from wellstreak_trust.core import FixedClock
from wellstreak_trust.identity import InvalidCredential
from wellstreak_trust.storage.sql import Database

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def database(request: pytest.FixtureRequest):
    """A fresh database, or None where the test is to run in memory."""
    if request.param == "memory":
        yield None
        return
    if request.param == "sqlite":
        url = f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    else:
        url = request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url)
    found = Database(engine)
    found.create_all()
    yield found
    engine.dispose()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def letters() -> Letterbox:
    return Letterbox()


@pytest.fixture
def refused():
    """Runs a call that must be refused; returns the reason, and checks that the answer tells nothing."""

    def check(call, *args, **kwargs) -> str:
        with pytest.raises(InvalidCredential) as caught:
            call(*args, **kwargs)
        error = caught.value
        blank = InvalidCredential()
        assert (error.problem(), error.headers(), str(error)) == (blank.problem(), blank.headers(), str(blank))
        return error.reason

    return check
