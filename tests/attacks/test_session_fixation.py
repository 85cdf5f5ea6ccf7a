"""Session fixation: the attacker knows the token before the victim signs in."""

from __future__ import annotations

import pytest

from wellstreak_trust.identity import InvalidCredential, MemorySessionStore, SessionManager


@pytest.fixture
def sessions():
    return SessionManager(MemorySessionStore())


def refused(sessions, token) -> bool:
    with pytest.raises(InvalidCredential):
        sessions.authenticate(token)
    return True


def test_a_planted_token_is_never_adopted(sessions):
    planted = "wss_" + "A" * 43
    opened = sessions.open("victim", replaces=planted)
    assert opened.token.reveal() != planted
    assert refused(sessions, planted)


def test_a_session_from_before_the_sign_in_ends_with_it(sessions):
    before = sessions.open("guest-17")
    opened = sessions.open("victim", replaces=before.token)
    assert refused(sessions, before.token)
    assert sessions.authenticate(opened.token).id == "victim"


@pytest.mark.parametrize("junk", ["", "wss_", "é" * 47, "wss_" + "A" * 42 + "\n", "\x00" * 47])
def test_junk_in_the_cookie_does_not_stop_a_sign_in(sessions, junk):
    assert sessions.authenticate(sessions.open("victim", replaces=junk).token).id == "victim"


def test_a_stronger_sign_in_ends_the_token_from_before(sessions):
    stolen = sessions.open("victim", amr=("pwd",))
    stronger = sessions.step_up(stolen.token, aal=2, amr=("pwd", "webauthn"))
    assert refused(sessions, stolen.token)
    assert sessions.authenticate(stronger.token).aal == 2
