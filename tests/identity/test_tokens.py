"""One-time tokens over memory, SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from wellstreak_trust.core import ConfigurationError, FixedClock, UsageError
from wellstreak_trust.core.errors import SecretTampered
from wellstreak_trust.identity import (
    InvalidCredential,
    MemoryOneTimeTokenStore,
    OneTimeTokens,
)
from wellstreak_trust.storage.sql import SqlOneTimeTokenStore


@pytest.fixture
def store(database):
    return MemoryOneTimeTokenStore() if database is None else SqlOneTimeTokenStore(database)


@pytest.mark.asvs("6.5.1", "6.5.3", "6.5.5", "6.4.1")
def test_the_whole_life_of_tokens(store, clock: FixedClock, refused):
    """One test, because a fresh PostgreSQL database for each rule would cost more than the rules."""
    tokens = OneTimeTokens(store, "verify_email", clock=clock)
    issued = tokens.issue("u1", email=" Ada@Example.org", data={"tenant": "t1"}, fingerprint="f1")
    assert issued.token.reveal() not in repr(issued)
    assert issued.expires_at == clock.now() + timedelta(hours=24)

    for _ in range(3):  # a mail scanner opens the link
        assert tokens.peek(issued.token).subject == "u1"
    assert tokens.peek(issued.token, email="ada@example.org", fingerprint="f1").data == {"tenant": "t1"}
    assert refused(tokens.peek, issued.token, email="eve@example.org") == "email"
    assert refused(tokens.consume, issued.token) == "email"
    assert refused(tokens.consume, issued.token, email="eve@example.org", fingerprint="f1") == "email"
    assert refused(tokens.consume, issued.token, email="ada@example.org", fingerprint="f2") == "fingerprint"
    assert refused(tokens.consume, issued.token, email="ada@example.org") == "fingerprint"
    assert refused(OneTimeTokens(store, "invite", clock=clock).consume, issued.token) == "purpose"
    assert refused(tokens.consume, "wst_" + "A" * 43) == "unknown"
    assert refused(tokens.consume, issued.token.reveal() + "\n") == "shape"

    assert tokens.consume(issued.token, email="ADA@example.org ", fingerprint="f1").subject == "u1"
    assert refused(tokens.consume, issued.token, email="ada@example.org", fingerprint="f1") == "unknown"
    assert refused(tokens.peek, issued.token) == "unknown"

    older, newer, other = tokens.issue("u1"), tokens.issue("u1"), tokens.issue("u2")
    assert refused(tokens.consume, older.token) == "unknown"
    assert refused(tokens.consume, newer.token, email="x@example.org") == "email"
    assert tokens.consume(newer.token).subject == "u1"
    tokens.revoke("u2")
    assert refused(tokens.consume, other.token) == "unknown"

    late = tokens.issue("u3")
    clock.advance(timedelta(hours=24))
    assert refused(tokens.consume, late.token) == "expired"
    assert tokens.sweep() == 1


def test_one_of_many_wins(store, clock):
    tokens = OneTimeTokens(store, "magic_link", clock=clock)
    issued = tokens.issue("u1", fingerprint="browser")
    barrier, outcomes = threading.Barrier(8), []

    def consume():
        barrier.wait()
        try:
            outcomes.append(tokens.consume(issued.token, fingerprint="browser").subject)
        except InvalidCredential:
            outcomes.append(None)

    threads = [threading.Thread(target=consume) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(map(str, outcomes)) == ["None"] * 7 + ["u1"]


def test_what_is_private_is_read_by_the_holder_alone(clock):
    store = MemoryOneTimeTokenStore()
    tokens = OneTimeTokens(store, "change_email", clock=clock)
    issued = tokens.issue("u1", private="ada@new.example")
    (row,) = store._rows.values()
    assert b"ada" not in (row.sealed or b"")
    found = tokens.peek(issued.token)
    assert found.private is not None
    assert found.private.reveal() == "ada@new.example"
    assert "ada" not in repr(found)
    store._rows[row.key] = replace(row, sealed=(row.sealed or b"")[:-1] + b"x")
    with pytest.raises(SecretTampered):
        tokens.consume(issued.token)


def test_a_decoy_is_a_write_that_nothing_redeems(clock):
    store = MemoryOneTimeTokenStore()
    tokens = OneTimeTokens(store, "reset_password", clock=clock)
    for _ in range(600):
        tokens.decoy()
    assert len(store._rows) <= 256  # junk requests do not fill the store
    assert {row.purpose for row in store._rows.values()} == {"reset_password.nobody"}


def test_nothing_personal_is_stored(clock):
    store = MemoryOneTimeTokenStore()
    issued = OneTimeTokens(store, "verify_email", clock=clock).issue("u1", email="ada@example.org", fingerprint="hash")
    (row,) = store._rows.values()
    assert "ada" not in repr(row)
    assert b"ada" not in (row.email or b"")
    assert issued.token.reveal() not in repr(row)
    again = OneTimeTokens(store, "invite", clock=clock).issue("u1", email="ada@example.org")
    assert {kept.email for kept in store._rows.values() if kept.key != row.key} != {row.email}
    assert again.purpose == "invite"


@pytest.mark.parametrize(
    ("purpose", "lifetime"),
    [("made_up", None), ("", timedelta(hours=1)), ("x", timedelta()), ("x", timedelta(days=31))],
)
def test_what_a_purpose_needs(purpose, lifetime):
    with pytest.raises(ConfigurationError):
        OneTimeTokens(MemoryOneTimeTokenStore(), purpose, lifetime=lifetime)


def test_what_issue_refuses(clock):
    tokens = OneTimeTokens(MemoryOneTimeTokenStore(), "own", lifetime=timedelta(minutes=5), clock=clock)
    for arguments in ({"subject": ""}, {"subject": "u1", "data": {"x": 1.5}}):
        with pytest.raises(UsageError):
            tokens.issue(**arguments)


@pytest.mark.anyio
async def test_the_async_face(clock, refused):
    tokens = OneTimeTokens(MemoryOneTimeTokenStore(), "invite", clock=clock)
    issued = await tokens.aissue("u1")
    assert (await tokens.apeek(issued.token)) == (await tokens.aconsume(issued.token))
