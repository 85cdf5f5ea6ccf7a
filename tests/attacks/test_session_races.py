"""Races on a session: parallel rotations, and a revocation at the same moment, over real databases and a real Redis."""

from __future__ import annotations

import pytest

from account_stores import KINDS, at_once, stores_on
from wellstreak_trust.core import TrustError
from wellstreak_trust.identity import InvalidCredential, SessionManager

CALLERS = 8


@pytest.fixture(params=KINDS)
def sessions(request):
    with stores_on(request, request.param) as stores:
        yield SessionManager(stores("Session"), max_per_user=3)


def together(*calls):
    """Runs the calls at one moment; a refusal counts as None."""
    return [None if isinstance(each, TrustError) else each for each in at_once(calls)]


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
