"""Signing in with a password, changing it, and setting a new one by mail. Real argon2id throughout."""

from __future__ import annotations

from datetime import timedelta

import pytest
from argon2 import PasswordHasher as Oracle

from people import Accounts, Person
from wellstreak_trust.core import Principal
from wellstreak_trust.core.errors import AuditUnavailable, InvalidRequest
from wellstreak_trust.identity import (
    MemoryOneTimeTokenStore,
    MemoryRefreshStore,
    MemorySessionStore,
    PasswordHasher,
    PasswordPolicy,
    PasswordRejected,
    Passwords,
    RefreshFamilies,
    SessionManager,
)

OLD, NEW = "correct horse battery staple", "four other words entirely"
HASHER = PasswordHasher(permits=1)
OLD_HASH = HASHER.hash(OLD)


@pytest.fixture
def accounts():
    return Accounts(
        u1=Person("ada@example.org", OLD_HASH, verified=True),
        u2=Person("bob@example.org", None, verified=True),
        u3=Person("squat@example.org", OLD_HASH, identities=1),
    )


@pytest.fixture
def store():
    return MemoryOneTimeTokenStore()


@pytest.fixture
def sessions(clock, sink):
    return SessionManager(MemorySessionStore(), clock=clock)


@pytest.fixture
def families(clock):
    return RefreshFamilies(MemoryRefreshStore(), clock=clock)


@pytest.fixture
def passwords(accounts, store, sessions, families, letters, sink, clock):
    return Passwords(
        accounts,
        hasher=HASHER,
        policy=PasswordPolicy(),
        store=store,
        sessions=sessions,
        also=[families],
        mailer=letters,
        audit=sink,
        clock=clock,
    )


@pytest.mark.asvs("6.2.8", "6.3.5", "6.3.8")
def test_a_sign_in(passwords, sink, refused):
    assert passwords.sign_in(" ADA@example.org", OLD) == "u1"
    assert refused(passwords.sign_in, "ada@example.org", OLD + " ") == "wrong"
    assert refused(passwords.sign_in, "ada@example.org", OLD.title()) == "wrong"
    assert refused(passwords.sign_in, "bob@example.org", OLD) == "wrong"
    for unknown in ("eve@example.org", "", "no address", "a\x00@x.org", "\ud800", None):
        assert refused(passwords.sign_in, unknown, OLD) == "unknown"
    assert {(e.action, e.outcome, e.data["cause"]) for e in sink.events} == {("signin.failed", "denied", "wrong")}
    assert "example" not in repr(sink.events)


def test_a_hash_of_older_parameters_is_replaced(passwords, accounts, refused):
    weak = Oracle(time_cost=1, memory_cost=8_192, parallelism=1).hash(OLD)
    accounts.people["u1"].password = weak
    assert refused(passwords.sign_in, "ada@example.org", NEW) == "wrong"
    assert accounts.people["u1"].password == weak
    passwords.sign_in("ada@example.org", OLD)
    assert accounts.people["u1"].password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.sign_in("ada@example.org", OLD) == "u1"


@pytest.mark.asvs("6.2.2", "6.2.3", "6.3.7", "7.4.3")
def test_a_change_by_the_owner(passwords, accounts, sessions, families, letters, sink, refused):
    here, elsewhere, token = sessions.open("u1"), sessions.open("u1"), families.start("u1")
    assert refused(passwords.change, "u1", NEW, NEW) == "wrong"
    assert refused(passwords.change, "u2", "", NEW) == "wrong"
    with pytest.raises(PasswordRejected):
        passwords.change("u1", OLD, "short")
    with pytest.raises(PasswordRejected) as caught:
        passwords.change("u1", OLD, "ada@example.org 2026")
    assert caught.value.problems == ("context",)
    assert accounts.people["u1"].password == OLD_HASH
    passwords.change("u1", OLD, NEW, keep=here.session.id)
    assert passwords.sign_in("ada@example.org", NEW) == "u1"
    assert refused(passwords.sign_in, "ada@example.org", OLD) == "wrong"
    assert sessions.authenticate(here.token).id == "u1"
    assert refused(sessions.authenticate, elsewhere.token) == "unknown"
    assert families.list("u1") == []
    assert token.user_id == "u1"
    assert (letters.last.kind, letters.last.token) == ("password_changed", None)
    changed = [(e.outcome, e.data["cause"]) for e in sink.events if e.action == "password.changed"]
    assert changed == [("attempted", "changed"), ("success", "changed")]


def test_a_crash_in_the_middle_leaves_nobody_inside(passwords, accounts, sessions, letters, refused):
    opened = sessions.open("u1")
    passwords.request_reset("ada@example.org")

    async def crashing(user_id, old, new, /):
        raise RuntimeError("power cut")

    accounts.change_password = crashing
    with pytest.raises(RuntimeError):
        passwords.reset(letters.last.token, NEW)
    assert refused(sessions.authenticate, opened.token) == "unknown"


def test_of_two_changes_at_one_moment_one_wins(passwords, accounts, refused):
    change = accounts.change_password

    async def beaten(user_id, old, new, /):
        accounts.people["u1"].password = "somebody else's"
        return await change(user_id, old, new)

    accounts.change_password = beaten
    assert refused(passwords.change, "u1", OLD, NEW) == "fingerprint"
    assert accounts.people["u1"].password == "somebody else's"


def test_nothing_changes_that_cannot_be_recorded(passwords, accounts, sink):
    sink.broken = AuditUnavailable("down")
    with pytest.raises(AuditUnavailable):
        passwords.change("u1", OLD, NEW)
    assert accounts.people["u1"].password == OLD_HASH


# --- reset -----------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("6.4.3", "6.3.7", "6.4.1")
def test_a_reset_by_mail(passwords, accounts, sessions, letters, sink, refused):
    opened = sessions.open("u1")
    passwords.request_reset("ada@example.org")
    mail = letters.last
    assert (mail.kind, mail.address) == ("reset_password", "ada@example.org")
    for _ in range(3):  # a mail scanner opens the link
        assert passwords.peek_reset(mail.token) == "u1"
    with pytest.raises(PasswordRejected):
        passwords.reset(mail.token, "short")
    assert passwords.reset(mail.token, NEW) == "u1"
    assert refused(sessions.authenticate, opened.token) == "unknown"
    assert sessions.list("u1") == []  # it signs nobody in, so that a second factor is still asked for
    assert passwords.sign_in("ada@example.org", NEW) == "u1"
    assert letters.last.kind == "password_changed"
    assert refused(passwords.reset, mail.token, OLD) == "unknown"
    causes = [e.data.get("cause") for e in sink.events if e.action == "password.changed"]
    assert causes == ["reset", "reset"]


def test_any_change_of_the_password_ends_every_link(passwords, accounts, letters, refused):
    passwords.request_reset("ada@example.org")
    stale = letters.last.token
    accounts.people["u1"].password = HASHER.hash(NEW)  # by whatever way of the host's own
    assert refused(passwords.peek_reset, stale) == "fingerprint"
    assert refused(passwords.reset, stale, NEW) == "fingerprint"
    passwords.request_reset("ada@example.org")
    passwords.change("u1", NEW, OLD)
    assert refused(passwords.reset, letters.mails[-2].token, NEW) == "unknown"


def test_a_link_goes_with_its_address(passwords, accounts, letters, refused):
    passwords.request_reset("ada@example.org")
    accounts.people["u1"].address = "new@example.org"
    assert refused(passwords.reset, letters.last.token, NEW) == "email"
    accounts.people["u1"].address = None
    assert refused(passwords.reset, letters.last.token, NEW) == "email"


def test_half_an_hour(passwords, letters, clock, refused):
    passwords.request_reset("ada@example.org")
    clock.advance(timedelta(minutes=30))
    assert refused(passwords.reset, letters.last.token, NEW) == "expired"


def test_an_account_without_a_password_gets_its_first(passwords, letters):
    passwords.request_reset("bob@example.org")
    assert passwords.reset(letters.last.token, NEW) == "u2"
    assert passwords.sign_in("bob@example.org", NEW) == "u2"


def test_a_reset_is_the_first_proof_of_an_address(passwords, accounts, letters, refused):
    """The owner of a squatted address gets the account without whatever the squatter attached."""
    passwords.request_reset("squat@example.org")
    passwords.reset(letters.last.token, NEW)
    person = accounts.people["u3"]
    assert (person.verified, person.identities) == (True, 0)
    assert refused(passwords.sign_in, "squat@example.org", OLD) == "wrong"
    assert passwords.sign_in("squat@example.org", NEW) == "u3"


@pytest.mark.asvs("6.4.6")
def test_an_operator_has_a_link_sent_and_sees_nothing(passwords, accounts, letters, sink):
    admin = Principal("root", tenant_id="t1")
    assert passwords.request_reset_for("u1", by=admin) is None
    assert letters.last.address == "ada@example.org"
    assert accounts.people["u1"].password == OLD_HASH
    event = sink.events[-1]
    assert (event.action, event.actor.id, event.tenant_id) == ("password.reset_requested", "root", "t1")
    assert letters.last.token.reveal() not in repr(event)


@pytest.mark.asvs("6.3.8")
def test_known_and_unknown_addresses_are_answered_alike(passwords, accounts, letters, store, sink):
    seen = []
    for address in ("ada@example.org", "nobody@example.org"):
        accounts.calls, letters.calls, sink.events, before = [], 0, [], len(store._rows)
        assert passwords.request_reset(address) is None
        seen.append((accounts.calls, letters.calls, [e.action for e in sink.events], len(store._rows) - before))
    assert seen[0] == seen[1]
    with pytest.raises(InvalidRequest):
        passwords.request_reset("no address")


def test_known_and_unknown_accounts_cost_one_hash(passwords, accounts, refused, monkeypatch):
    jobs = []
    run = HASHER._workers.run
    monkeypatch.setattr(HASHER._workers, "run", lambda job: jobs.append(job) or run(job))
    seen = []
    for address in ("ada@example.org", "bob@example.org", "nobody@example.org", "no address"):
        accounts.calls, jobs[:] = [], []
        refused(passwords.sign_in, address, NEW)
        seen.append((accounts.calls, len(jobs)))
    assert all(each == (["find", "password_of"], 1) for each in seen)


@pytest.mark.anyio
async def test_the_async_face(passwords, accounts):
    assert await passwords.asign_in("ada@example.org", OLD) == "u1"
    await passwords.achange("u1", OLD, NEW)
    assert await passwords.asign_in("ada@example.org", NEW) == "u1"
