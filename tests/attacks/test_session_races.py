"""Races on a session: parallel rotations, and a revocation at the same moment, over real databases."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import create_engine

from wellstreak_trust.identity import InvalidCredential, MemorySessionStore, SessionManager
from wellstreak_trust.storage.sql import Database, SqlSessionStore

CALLERS = 8


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def sessions(request):
    if request.param == "memory":
        yield SessionManager(MemorySessionStore(), max_per_user=3)
        return
    if request.param == "sqlite":
        url = f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    else:
        url = request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url)
    Database(engine).create_all()
    yield SessionManager(SqlSessionStore(Database(engine)), max_per_user=3)
    engine.dispose()


def together(*calls: Callable[[], object]) -> list[object]:
    """Runs the calls at one moment; a refusal counts as None."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(index: int) -> None:
        barrier.wait(20)
        try:
            results[index] = calls[index]()
        except InvalidCredential:
            results[index] = None

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def alive(sessions, token) -> bool:
    try:
        return sessions.authenticate(token).id == "u1"
    except InvalidCredential:
        return False


def test_races(sessions):
    """One database for all: of parallel rotations one lives, nothing survives `revoke_all`, the limit holds."""
    opened = sessions.open("u1")
    winners = [each for each in together(*[lambda: sessions.rotate(opened.token)] * CALLERS) if each is not None]
    assert len(winners) == 1
    assert alive(sessions, winners[0].token)
    assert not alive(sessions, opened.token)

    admin = sessions.open("admin")
    tokens = [
        each.token
        for each in together(
            lambda: sessions.rotate(winners[0].token),
            lambda: sessions.step_up(winners[0].token, aal=2, amr=("otp",)),
            lambda: sessions.impersonate(admin.token, "u1", reason="race"),
            lambda: sessions.revoke(admin.session.id) and None,
        )
        if each is not None
    ]
    sessions.revoke_all("u1")
    assert not any(alive(sessions, token) for token in (*tokens, winners[0].token))

    together(*[lambda: sessions.open("u1")] * CALLERS)
    assert len(sessions.list("u1")) == 3


def test_no_impersonation_outlives_a_revoked_actor(sessions):
    for _ in range(5):
        admin = sessions.open("admin")
        child, _ = together(
            lambda admin=admin: sessions.impersonate(admin.token, "u1", reason="race"),
            lambda admin=admin: sessions.revoke(admin.session.id),
        )
        assert child is None or not alive(sessions, child.token)
