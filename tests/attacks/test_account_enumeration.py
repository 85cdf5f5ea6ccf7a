"""Telling who has an account, or why a credential failed, by the body, the headers or the work that an answer takes."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from account_stores import stores_on
from people import Accounts, Letterbox, Person
from wellstreak_trust.core import FixedClock, Secret, TrustError
from wellstreak_trust.identity import (
    ApiKeys,
    MemoryOneTimeTokenStore,
    MemorySessionStore,
    OneTimeCodes,
    OneTimeTokens,
    PasswordHasher,
    PasswordPolicy,
    Passwords,
    RefreshFamilies,
    SessionManager,
)

HASHER = PasswordHasher(permits=1)


def answer_of(call) -> bytes:
    """All that a client can see of a refusal."""
    with pytest.raises(TrustError) as caught:
        call()
    error = caught.value
    seen = [error.status, error.problem("/x"), error.headers(), str(error), repr(error)]
    return json.dumps(seen, sort_keys=True).encode()


def causes(stores, clock: FixedClock):
    """Every way in which a credential of each kind can fail."""
    sessions = SessionManager(stores("Session"), max_per_user=2, clock=clock)
    tokens = OneTimeTokens(stores("OneTimeToken"), "verify_email", clock=clock)
    codes = OneTimeCodes(stores("OneTimeToken"), "sign_in", key=Secret(b"k" * 32), clock=clock)
    owners = {"u1": {"a:b"}, "gone": {"a:b"}}
    keys = ApiKeys(stores("ApiKey"), rights=lambda owner, _: owners.get(owner), clock=clock)
    families = RefreshFamilies(stores("Refresh"), clock=clock)

    revoked, rotated, old = sessions.open("r"), sessions.open("o"), sessions.open("idle")
    evicted, _, _ = (sessions.open("e") for _ in range(3))
    impersonation = sessions.impersonate(sessions.open("admin").token, "x", reason="r")
    sessions.revoke(revoked.session.id)
    sessions.rotate(rotated.token)

    used, replaced, late = tokens.issue("u1", email="a@x.org"), tokens.issue("u2"), tokens.issue("u3")
    tokens.consume(used.token, email="a@x.org")
    bound = tokens.issue("u4", email="a@x.org", fingerprint="f")
    tokens.issue("u2")
    foreign = OneTimeTokens(stores("OneTimeToken"), "invite", clock=clock).issue("u5")

    guessed, tried = codes.issue("u1"), codes.issue("u2")
    for _ in range(5):
        answer_of(lambda: codes.consume(tried.ticket, "x"))

    made = {n: keys.create(owner_id=n, tenant_id="t1", scopes={"a:b"}, expires_in=timedelta(minutes=m)).secret
            for n, m in (("u1", 9), ("gone", 99))}  # fmt: skip
    ended = keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"})
    keys.revoke(ended.id)
    del owners["gone"]

    first, bound_grant, dead = families.start("u1"), families.start("u2", binding="c"), families.start("u3")
    families.rotate(first.token)
    families.revoke_family(dead.family_id)
    clock.advance(timedelta(minutes=31))
    late_code = codes.issue("u9")
    clock.advance(timedelta(minutes=10))
    short = RefreshFamilies(stores("Refresh"), lifetime=timedelta(minutes=1), clock=clock)
    expired = short.start("u1")
    clock.advance(timedelta(hours=24))
    junk = (None, "", "\ud800", "x" * 5_000)
    return {
        "session": [
            *(lambda t=t: sessions.authenticate(t) for t in (*junk, "wss_" + "A" * 43, "wsk_live_x")),
            *(lambda t=t: sessions.authenticate(t.token) for t in (revoked, rotated, old, evicted, impersonation)),
        ],
        "link": [
            *(lambda t=t: tokens.consume(t) for t in (*junk, "wst_" + "A" * 43)),
            *(lambda t=t: tokens.consume(t.token) for t in (used, replaced, late, bound, foreign)),
            lambda: tokens.consume(bound.token, email="b@x.org", fingerprint="f"),
            lambda: tokens.peek(bound.token, fingerprint="g"),
        ],
        "code": [
            *(lambda t=t: codes.consume(t, "000000") for t in (*junk, "wsn_" + "A" * 43)),
            lambda: codes.consume(guessed.ticket, "x"),
            lambda: codes.consume(tried.ticket, tried.code),
            lambda: codes.consume(late_code.ticket, late_code.code),
        ],
        "key": [
            *(lambda t=t: keys.authenticate(t) for t in (*junk, "wsk_live_" + "0" * 51, ended.secret, *made.values())),
            lambda: keys.authenticate("wsk_live_000000000000_000000000000000000000000000000003BFT9o"),
        ],
        "refresh": [
            *(lambda t=t: families.rotate(t) for t in (*junk, "wsr_" + "A" * 43)),
            lambda: families.rotate(first.token),
            lambda: families.rotate(bound_grant.token, binding="d"),
            lambda: families.rotate(dead.token),
            lambda: short.rotate(expired.token),
        ],
    }


@pytest.mark.asvs("6.3.8")
@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
def test_every_cause_is_answered_by_the_same_bytes(request, kind, clock):
    with stores_on(request, kind) as stores:
        for credential, calls in causes(stores, clock).items():
            answers = {answer_of(call) for call in calls}
            assert len(answers) == 1, credential


@pytest.mark.asvs("6.3.8")
def test_a_sign_in_takes_the_same_work_whoever_is_asked_for(clock, monkeypatch):
    """One look-up, one hash of the same parameters: counted, because a busy machine's clock proves nothing."""
    accounts = Accounts(
        u1=Person("ada@example.org", HASHER.hash("correct horse battery staple")), u2=Person("bob@example.org")
    )
    letters, work = Letterbox(), []
    passwords = Passwords(
        accounts,
        hasher=HASHER,
        policy=PasswordPolicy(),
        store=MemoryOneTimeTokenStore(),
        sessions=SessionManager(MemorySessionStore()),
        mailer=letters,
        clock=clock,
    )
    from wellstreak_trust.identity import passwords as module

    verify = module.argon2id

    def counted(secret, salt, parameters, length):
        work.append((str(parameters), len(salt), length))
        return verify(secret, salt, parameters, length)

    monkeypatch.setattr(module, "argon2id", counted)
    seen = []
    for address in ("ada@example.org", "bob@example.org", "nobody@example.org", "no address at all"):
        accounts.calls, work[:] = [], []
        answer = answer_of(lambda address=address: passwords.sign_in(address, "wrong"))
        seen.append((answer, tuple(accounts.calls), tuple(work)))
    assert len(set(seen)) == 1
    assert seen[0][2] == (("m=19456,t=2,p=1", 16, 32),)
