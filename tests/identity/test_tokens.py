"""One-time tokens and address verification over memory, SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from wellstreak_trust.core import ConfigurationError, FixedClock, UsageError
from wellstreak_trust.identity import (
    EmailVerification,
    InvalidCredential,
    MemoryOneTimeTokenStore,
    MemorySessionStore,
    OneTimeTokens,
    SessionManager,
)
from wellstreak_trust.storage.sql import SqlOneTimeTokenStore


@pytest.fixture
def store(database):
    return MemoryOneTimeTokenStore() if database is None else SqlOneTimeTokenStore(database)


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


# --- addresses -----------------------------------------------------------------------------------------------------


class Accounts:
    suspends = False

    def __init__(self):
        self.addresses = {"u1": "Ada@example.org"}
        self.verified: dict[str, str] = {}

    async def address_of(self, user_id, /):
        return self.addresses.get(user_id)

    async def mark_verified(self, user_id, address, /):
        first = user_id not in self.verified
        self.verified[user_id] = address
        return first


@pytest.fixture
def accounts():
    return Accounts()


@pytest.fixture
def sessions(clock):
    return SessionManager(MemorySessionStore(), clock=clock)


@pytest.fixture
def verification(accounts, sessions, clock):
    return EmailVerification(MemoryOneTimeTokenStore(), accounts, sessions=sessions, clock=clock)


def test_the_first_proof_ends_sessions_before_it(verification, accounts, sessions, refused):
    squatter = sessions.open("u1")
    issued = verification.begin("u1")
    assert verification.peek(issued.token) == "u1"
    assert accounts.verified == {}
    assert verification.confirm(issued.token).first
    assert accounts.verified == {"u1": "Ada@example.org"}
    assert refused(sessions.authenticate, squatter.token) == "unknown"
    assert refused(verification.confirm, issued.token) == "unknown"


def test_a_later_proof_leaves_sessions_alone(verification, accounts, sessions):
    accounts.verified["u1"] = "old@example.org"
    opened = sessions.open("u1")
    assert not verification.confirm(verification.begin("u1").token).first
    assert sessions.authenticate(opened.token).id == "u1"


def test_an_address_changed_meanwhile_is_not_proved(verification, accounts, refused):
    issued = verification.begin("u1")
    accounts.addresses["u1"] = "eve@example.org"
    assert refused(verification.confirm, issued.token) == "email"
    del accounts.addresses["u1"]
    assert refused(verification.confirm, issued.token) == "email"
    assert accounts.verified == {}
    assert verification.begin("u1") is None
