"""Proof of addresses, their change, and signing in by mail."""

from __future__ import annotations

from datetime import timedelta

import pytest

from people import Accounts, Person
from wellstreak_trust.core import Secret, UsageError
from wellstreak_trust.core.errors import AuditUnavailable, InvalidRequest
from wellstreak_trust.identity import (
    ApiKeys,
    EmailChange,
    EmailCodes,
    EmailVerification,
    MagicLinks,
    MemoryApiKeyStore,
    MemoryOneTimeTokenStore,
    MemoryRefreshStore,
    MemorySessionStore,
    OneTimeCodes,
    ReauthRequired,
    RefreshFamilies,
    SessionManager,
)


@pytest.fixture
def accounts():
    return Accounts(
        u1=Person("Ada@example.org", "squatters", identities=1),
        u2=Person("bob@example.org", verified=True),
        u3=Person(None),
    )


@pytest.fixture
def store():
    return MemoryOneTimeTokenStore()


@pytest.fixture
def sessions(clock, sink):
    return SessionManager(MemorySessionStore(), audit=sink, clock=clock)


@pytest.fixture
def also(clock):
    return RefreshFamilies(MemoryRefreshStore(), clock=clock), ApiKeys(MemoryApiKeyStore(), clock=clock)


@pytest.fixture
def verification(store, accounts, sessions, also, letters, sink, clock):
    return EmailVerification(store, accounts, sessions=sessions, also=also, mailer=letters, audit=sink, clock=clock)


def actions(sink):
    return [(event.action, event.outcome, event.data.get("cause")) for event in sink.events]


# --- proof -----------------------------------------------------------------------------------------------------------


def test_the_first_proof_ends_whatever_was_opened_before_it(
    verification, accounts, sessions, also, letters, sink, refused
):
    families, keys = also
    squatter = sessions.open("u1")
    token, key = families.start("u1"), keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"})
    verification.begin("u1")
    mail = letters.last
    assert (mail.kind, mail.user_id, mail.address) == ("verify_email", "u1", "Ada@example.org")
    assert "Ada" not in repr(mail)
    assert mail.token.reveal() not in repr(mail)
    assert verification.peek(mail.token) == "u1"
    assert not accounts.people["u1"].verified
    assert verification.confirm(mail.token).first
    assert accounts.people["u1"] == Person("Ada@example.org", None, verified=True)
    assert refused(sessions.authenticate, squatter.token) == "unknown"
    assert refused(keys.authenticate, key.secret) == "unknown"
    assert families.list("u1") == []
    assert token.family_id
    assert refused(verification.confirm, mail.token) == "unknown"
    assert ("session.revoked", "success", "pre_hijack") in actions(sink)
    assert actions(sink)[-1] == ("email.verified", "success", None)
    assert "example.org" not in repr(sink.events)


def test_a_later_proof_leaves_sessions_alone(verification, sessions):
    opened = sessions.open("u2")
    assert not verification.confirm(verification.begin("u2").token).first
    assert sessions.authenticate(opened.token).id == "u2"


def test_an_address_changed_meanwhile_is_not_proved(verification, accounts, refused):
    issued = verification.begin("u1")
    accounts.people["u1"].address = "eve@example.org"
    assert refused(verification.confirm, issued.token) == "email"
    accounts.people["u1"].address = None
    assert refused(verification.confirm, issued.token) == "email"
    assert not accounts.people["u1"].verified
    assert verification.begin("u1") is None


def test_nothing_is_proved_that_cannot_be_recorded(verification, accounts, sink):
    issued = verification.begin("u1")
    sink.broken = AuditUnavailable("down")
    with pytest.raises(AuditUnavailable):
        verification.confirm(issued.token)
    assert not accounts.people["u1"].verified
    sink.broken = None
    assert verification.confirm(issued.token).first


def test_a_crash_between_the_steps_leaves_no_squatter_inside(verification, accounts, sessions, refused):
    squatter, issued = sessions.open("u1"), verification.begin("u1")

    async def crashing(user_id, address, /):
        raise RuntimeError("power cut")

    accounts.mark_verified = crashing
    with pytest.raises(RuntimeError):
        verification.confirm(issued.token)
    assert refused(sessions.authenticate, squatter.token) == "unknown"


def test_a_request_needs_a_mailer_and_an_address(store, accounts, sessions, verification, clock):
    with pytest.raises(UsageError):
        EmailVerification(store, accounts, sessions=sessions, clock=clock).request("ada@example.org")
    for text in ("", "ada", "@x", "a@", "a b@x.org", "a@x\n.org", "a" * 250 + "@x.org", "\ud800@x.org", None):
        with pytest.raises(InvalidRequest):
            verification.request(text)


def test_without_a_mailer_the_token_is_handed_out(store, accounts, sessions, clock):
    plain = EmailVerification(store, accounts, sessions=sessions, clock=clock)
    assert plain.confirm(plain.begin("u1").token).first


# --- change ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def change(store, accounts, sessions, also, letters, sink, clock):
    return EmailChange(store, accounts, sessions=sessions, also=also, mailer=letters, audit=sink, clock=clock)


@pytest.mark.asvs("6.3.7", "7.4.3")
def test_a_new_address_is_proved_and_the_old_one_told(change, accounts, store, sessions, also, letters, sink, refused):
    here, elsewhere = sessions.open("u2"), sessions.open("u2")
    assert also[0].start("u2").user_id == "u2"
    change.begin("u2", " Bob@new.example ")
    assert accounts.people["u2"].address == "bob@example.org"
    mail = letters.last
    assert (mail.kind, mail.address) == ("change_email", "Bob@new.example")
    assert b"new.example" not in b"".join(row.sealed or b"" for row in store._rows.values())
    assert change.peek(mail.token) == "u2"
    assert change.confirm(mail.token, keep=here.session.id) == "u2"
    assert accounts.people["u2"].address == "Bob@new.example"
    assert (letters.last.kind, letters.last.address, letters.last.token) == ("email_changed", "bob@example.org", None)
    assert sessions.authenticate(here.token).id == "u2"
    assert refused(sessions.authenticate, elsewhere.token) == "unknown"
    assert also[0].list("u2") == []
    assert refused(change.confirm, mail.token) == "unknown"
    told = [each for each in actions(sink) if each[0].startswith("email")]
    assert told == [
        ("email.change_requested", "success", None),
        ("email.changed", "attempted", "changed"),
        ("email.changed", "success", "changed"),
    ]
    assert "example" not in repr(sink.events)


def test_a_crash_right_after_the_change_leaves_nobody_inside(change, accounts, sessions, also, letters, refused):
    here, elsewhere = sessions.open("u2"), sessions.open("u2")
    refresh = also[0].start("u2")
    change.begin("u2", "bob@new.example")
    changing = accounts.change_address

    async def crashing(user_id, old, new, /):
        await changing(user_id, old, new)
        raise RuntimeError("power cut")

    accounts.change_address = crashing
    with pytest.raises(RuntimeError):
        change.confirm(letters.last.token, keep=here.session.id)
    assert accounts.people["u2"].address == "bob@new.example"
    assert refused(sessions.authenticate, elsewhere.token) == "unknown"
    assert sessions.authenticate(here.token).id == "u2"
    with pytest.raises(ReauthRequired):
        also[0].rotate(refresh.token)


def test_a_taken_address_gets_no_mail_and_the_same_answer(change, accounts, letters, refused):
    change.begin("u2", "free@new.example")
    free = (accounts.calls, letters.calls)
    accounts.calls, letters.calls = [], 0
    change.begin("u2", "ada@EXAMPLE.org")
    assert (accounts.calls, letters.calls) == free
    assert [mail.address for mail in letters.mails] == ["free@new.example"]


def test_one_taken_meanwhile_is_not_changed(change, accounts, letters, refused):
    change.begin("u2", "free@new.example")
    accounts.people["u3"].address = "free@new.example"
    assert refused(change.confirm, letters.last.token) == "email"
    assert accounts.people["u2"].address == "bob@example.org"


def test_another_change_meanwhile_ends_the_link(change, accounts, letters, refused):
    change.begin("u2", "free@new.example")
    accounts.people["u2"].address = "other@example.org"
    assert refused(change.confirm, letters.last.token) == "fingerprint"
    assert refused(change.begin, "u3", "x@example.org") == "email"


# --- links and codes -------------------------------------------------------------------------------------------------


@pytest.fixture
def links(store, accounts, sessions, also, letters, sink, clock):
    return MagicLinks(store, accounts, sessions=sessions, also=also, mailer=letters, audit=sink, clock=clock)


def test_a_link_signs_in_the_browser_that_asked(links, accounts, letters, sink, clock, refused):
    cookie = links.begin("ada@example.org")
    assert cookie.header().endswith("; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax")
    assert cookie.name == links.cookie_name == "__Host-ws_link"
    mail = letters.last
    for browser in (None, "", "x" * 43, "\ud800"):
        assert refused(links.complete, mail.token, browser) == "fingerprint"
    assert links.peek(mail.token) == "u1"
    found = links.complete(mail.token, cookie.value)
    assert (found.user_id, found.first) == ("u1", True)
    assert accounts.people["u1"].password is None
    assert refused(links.complete, mail.token, cookie.value) == "unknown"
    assert ("signin.requested", "success", None) in actions(sink)
    late = links.begin("bob@example.org")
    clock.advance(timedelta(minutes=10))
    assert refused(links.complete, letters.last.token, late.value) == "expired"
    assert "Max-Age=0" in links.removal_cookie().header()


def test_a_link_to_an_address_that_is_no_longer_the_accounts(links, accounts, letters, refused):
    cookie = links.begin("bob@example.org")
    accounts.people["u2"].address = "new@example.org"
    assert refused(links.complete, letters.last.token, cookie.value) == "email"
    accounts.people["u2"].address = None
    assert refused(links.complete, letters.last.token, cookie.value) == "email"


@pytest.fixture
def codes(store, accounts, sessions, also, letters, sink, clock):
    made = OneTimeCodes(store, "sign_in", key=Secret(b"k" * 32), clock=clock)
    return EmailCodes(made, accounts, sessions=sessions, also=also, mailer=letters, audit=sink, clock=clock)


def test_a_code_by_mail(codes, accounts, letters, refused):
    cookie = codes.begin("ada@example.org")
    assert cookie.name == codes.cookie_name
    mail = letters.last
    assert mail.code is not None
    assert mail.token is None
    assert mail.code.reveal() not in repr(mail)
    assert refused(codes.complete, None, mail.code) == "shape"
    assert codes.complete(cookie.value, mail.code).first
    second = codes.begin("bob@example.org")
    accounts.people["u2"].address = "new@example.org"
    assert refused(codes.complete, second.value, letters.last.code) == "email"


@pytest.mark.asvs("6.3.8")
@pytest.mark.parametrize("way", ["verification", "links", "codes"])
def test_known_and_unknown_addresses_are_answered_alike(request, way, accounts, letters, store, sink):
    """The same calls in the same order, one write and one mail in both cases: nothing is left that time could tell."""
    flow = request.getfixturevalue(way)
    ask = flow.request if way == "verification" else flow.begin
    seen = []
    for address in ("ada@example.org", "nobody@example.org"):
        accounts.calls, letters.calls, sink.events, before = [], 0, [], len(store._rows)
        answer = ask(address)
        shape = answer and (answer.name, len(answer.value), answer.max_age)
        seen.append((accounts.calls, letters.calls, [e.action for e in sink.events], len(store._rows) - before, shape))
    assert seen[0] == seen[1]
    assert len(letters.mails) == 1
