"""Impersonation as a ladder: from support to a customer to an administrator, out of reach of the trail."""

from __future__ import annotations

from datetime import timedelta

import pytest

from account_stores import KINDS, stores_on
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import AuditUnavailable
from wellstreak_trust.identity import ApiKeys, Denied, InvalidCredential, MemoryApiKeyStore, SessionManager


@pytest.fixture(params=KINDS)
def sessions(request, clock: FixedClock, sink):
    with stores_on(request, request.param) as stores:
        yield SessionManager(stores("Session"), audit=sink, clock=clock)


@pytest.fixture
def acting(sessions):
    support = sessions.open("support", aal=2, amr=("pwd", "otp"))
    return support, sessions.impersonate(support.token, "u1", reason="ticket 4711", tenant_id="t1")


def test_no_ladder(sessions, acting):
    _, first = acting
    with pytest.raises(Denied):
        sessions.impersonate(first.token, "root", reason="further")
    rotated = sessions.rotate(first.token)
    with pytest.raises(Denied):
        sessions.impersonate(rotated.token, "root", reason="further")
    with pytest.raises(InvalidCredential):
        sessions.impersonate(first.token, "root", reason="further")


def test_no_strength_that_the_actor_has_not_shown(sessions, acting):
    _, first = acting
    with pytest.raises(Denied):
        sessions.step_up(first.token, aal=3, amr=("hwk",))
    found = sessions.authenticate(first.token)
    assert (found.aal, found.amr, found.actor.id, found.reason) == (2, ("pwd", "otp"), "support", "ticket 4711")


def test_nothing_that_outlives_it(sessions, acting, clock):
    _, first = acting
    principal = sessions.authenticate(first.token)
    with pytest.raises(Denied):
        ApiKeys(MemoryApiKeyStore()).create_for(principal, scopes={"agents:read"})
    token = first.token
    for _ in range(3):
        clock.advance(timedelta(minutes=9))
        token = sessions.rotate(token).token
    clock.advance(timedelta(minutes=3))
    with pytest.raises(InvalidCredential):
        sessions.authenticate(token)


def test_no_trace_is_no_impersonation(sessions, acting, sink):
    support, first = acting
    opened = [(e.action, e.actor.id, e.actor.actor.id) for e in sink.events if e.action == "session.impersonated"]
    assert opened == [("session.impersonated", "u1", "support")]
    sink.broken = AuditUnavailable("down")
    with pytest.raises(AuditUnavailable):
        sessions.impersonate(support.token, "u2", reason="unseen")
    assert sessions.list("u2") == []
    sessions.end_impersonation(first.token)
    assert sessions.authenticate(support.token).actor is None


def test_who_is_signed_out_acts_for_nobody(sessions, acting):
    _, first = acting
    sessions.revoke_all("support")
    with pytest.raises(InvalidCredential):
        sessions.authenticate(first.token)
