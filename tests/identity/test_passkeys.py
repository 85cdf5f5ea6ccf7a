"""Passkeys against an authenticator in software that signs real registrations and assertions."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from software_authenticator import (
    BACKED_UP,
    ELIGIBLE,
    PRESENT,
    VERIFIED,
    Authenticator,
    EdDsa,
    Es256,
    Rs256,
    b64,
    unb64,
)
from wellstreak_trust.core import ConfigurationError, UsageError
from wellstreak_trust.core.errors import AuditUnavailable, Conflict
from wellstreak_trust.identity import InvalidCredential, MemoryOneTimeTokenStore, MemoryPasskeyStore, Passkeys

ORIGIN, OTHER = "https://app.example.com", "https://app.example.org"
HOST = {"rp_id": "example.com", "rp_name": "WellStreak", "origins": (ORIGIN, "https://example.com:8443")}


@pytest.fixture
def store():
    return MemoryPasskeyStore()


@pytest.fixture
def challenges():
    return MemoryOneTimeTokenStore()


@pytest.fixture
def passkeys(store, challenges, sink, clock):
    return Passkeys(store, challenges, audit=sink, clock=clock, **HOST)


def enrolled(passkeys, user_id="u1", **how) -> Authenticator:
    device = Authenticator(ORIGIN, **how)
    options = passkeys.begin_registration(user_id, name="ada@example.org").options
    passkeys.complete_registration(user_id, device.create(options), label="Phone")
    return device


@pytest.mark.asvs("6.3.3", "6.7.2")
@pytest.mark.parametrize("kind", [Es256, EdDsa, Rs256])
def test_a_passkey_signs_in(passkeys, store, clock, kind, refused):
    device = enrolled(passkeys, key=kind())
    clock.advance(timedelta(hours=1))
    asked = passkeys.begin()
    assert len(unb64(asked.options["challenge"])) == 32
    assert asked.options["rpId"] == "example.com"
    assert asked.options["userVerification"] == "required"
    assert asked.options.get("allowCredentials", []) == []
    answer = device.get(asked.options)
    proof = passkeys.complete(json.dumps(answer), asked.cookie.value)
    assert (proof.user_id, proof.user_verified, proof.backed_up) == ("u1", True, False)
    assert refused(passkeys.complete, answer, asked.cookie.value) == "challenge"
    (info,) = passkeys.list("u1")
    assert (info.id, info.label, info.last_used_at) == (device.id.hex(), "Phone", clock.now())
    assert store._rows[device.id].transports == ("internal", "hybrid")


def test_what_the_browser_is_told(passkeys):
    device = enrolled(passkeys)
    options = passkeys.begin_registration("u1", name="ada@example.org", display_name="Ada").options
    assert options["rp"] == {"id": "example.com", "name": "WellStreak"}
    assert [each["alg"] for each in options["pubKeyCredParams"]] == [-7, -8, -257]
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["attestation"] == "none"
    assert [each["id"] for each in options["excludeCredentials"]] == [b64(device.id)]
    handle = unb64(options["user"]["id"])
    assert b"u1" not in handle
    assert b"ada" not in handle
    assert handle == device.handle
    assert passkeys.begin().cookie.header().endswith("; Path=/; Max-Age=300; Secure; HttpOnly; SameSite=Lax")
    assert passkeys.cookie_name == "__Host-ws_passkey"


def test_as_a_second_factor_it_is_one_of_this_user(passkeys, refused):
    mine, other = enrolled(passkeys), enrolled(passkeys, "u2")
    asked = passkeys.begin("u1")
    assert [each["id"] for each in asked.options["allowCredentials"]] == [b64(mine.id)]
    assert refused(passkeys.complete, other.get(asked.options), asked.cookie.value, user_id="u1") == "unknown"
    asked = passkeys.begin("u1")
    assert refused(passkeys.complete, mine.get(asked.options), asked.cookie.value) == "challenge"
    assert refused(passkeys.complete, mine.get(asked.options), asked.cookie.value, user_id="u2") == "challenge"
    answer = mine.get(asked.options)
    del answer["response"]["userHandle"]
    assert passkeys.complete(answer, asked.cookie.value, user_id="u1").user_id == "u1"


# --- what is refused -------------------------------------------------------------------------------------------------

BENT = {
    "another origin": {"origin": OTHER},
    "a longer origin": {"origin": ORIGIN + ".evil.example"},
    "plain http": {"origin": "http://app.example.com"},
    "another relying party": {"rp_id": "example.org"},
    "the other ceremony": {"type": "webauthn.create"},
    "inside a frame": {"crossOrigin": True},
    "a challenge of its own": {"challenge": b64(b"x" * 32)},
    "another user": {"handle": b"somebody else"},
    "no user": {"handle": b""},
}


@pytest.mark.parametrize("bent", BENT.values(), ids=BENT.keys())
def test_a_bent_assertion_signs_nobody_in(passkeys, refused, bent):
    device = enrolled(passkeys)
    asked = passkeys.begin()
    assert refused(passkeys.complete, device.get(asked.options, **bent), asked.cookie.value)


@pytest.mark.parametrize(
    "bent",
    [{"origin": OTHER}, {"rp_id": "example.org"}, {"type": "webauthn.get"}, {"crossOrigin": True}, {"challenge": "eA"}],
    ids=["origin", "rp", "type", "frame", "challenge"],
)
def test_a_bent_registration_adds_nothing(passkeys, refused, bent):
    options = passkeys.begin_registration("u1", name="ada").options
    answer = Authenticator(ORIGIN).create(options, **bent)
    assert refused(passkeys.complete_registration, "u1", answer)
    assert passkeys.list("u1") == []


def test_flags_and_signatures_count(passkeys, refused):
    device = enrolled(passkeys)
    for flags in (PRESENT, VERIFIED, 0, PRESENT | VERIFIED | BACKED_UP):
        asked = passkeys.begin()
        device.flags = flags
        assert refused(passkeys.complete, device.get(asked.options), asked.cookie.value) == "response"
    device.flags = PRESENT | VERIFIED
    asked = passkeys.begin()
    answer = device.get(asked.options)
    answer["response"]["signature"] = b64(Es256().sign(b"something else"))
    assert refused(passkeys.complete, answer, asked.cookie.value) == "response"
    asked = passkeys.begin()
    thief = replace(device, key=Es256())
    assert refused(passkeys.complete, thief.get(asked.options), asked.cookie.value) == "response"
    options = passkeys.begin_registration("u2", name="bob").options
    weak = Authenticator(ORIGIN, flags=PRESENT)
    assert refused(passkeys.complete_registration, "u2", weak.create(options)) == "response"


def test_only_presence_where_the_host_says_so(store, challenges, clock):
    passkeys = Passkeys(store, challenges, user_verification="preferred", clock=clock, **HOST)
    device = enrolled(passkeys, flags=PRESENT | ELIGIBLE | BACKED_UP)
    asked = passkeys.begin()
    proof = passkeys.complete(device.get(asked.options), asked.cookie.value)
    assert (proof.user_verified, proof.backed_up) == (False, True)


def test_the_browser_that_asked(passkeys, refused):
    device, asked, other = enrolled(passkeys), passkeys.begin(), passkeys.begin()
    answer = device.get(asked.options)
    for browser in (None, "", other.cookie.value, "\ud800"):
        assert refused(passkeys.complete, answer, browser) == "browser"
    assert passkeys.complete(answer, asked.cookie.value).user_id == "u1"


def test_a_challenge_lives_five_minutes_and_for_its_user(passkeys, clock, refused):
    device = enrolled(passkeys)
    asked = passkeys.begin()
    options = passkeys.begin_registration("u1", name="ada").options
    fresh = Authenticator(ORIGIN)
    assert refused(passkeys.complete_registration, "u2", fresh.create(options)) == "challenge"
    clock.advance(timedelta(minutes=5))
    assert refused(passkeys.complete, device.get(asked.options), asked.cookie.value) == "challenge"
    assert refused(passkeys.complete_registration, "u1", fresh.create(options)) == "challenge"


def test_an_answer_is_looked_at_once_even_if_it_is_wrong(passkeys, refused):
    device, asked = enrolled(passkeys), passkeys.begin()
    device.flags = PRESENT
    assert refused(passkeys.complete, device.get(asked.options), asked.cookie.value) == "response"
    device.flags = PRESENT | VERIFIED
    assert refused(passkeys.complete, device.get(asked.options), asked.cookie.value) == "challenge"


JUNK = [
    None,
    7,
    [],
    "",
    "{",
    "{}",
    "[]",
    {"id": "x"},
    "\ud800",
    "[" * 60_000,
    "x" * 70_000,
    {"id": 1, "rawId": {}},
    {1: b""},
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_no_input_breaks_it(passkeys, junk, refused):
    asked = passkeys.begin()
    assert refused(passkeys.complete, junk, asked.cookie.value) == "response"
    assert refused(passkeys.complete_registration, "u1", junk) == "response"


def test_parts_of_a_good_answer_do_not_break_it(passkeys, refused):
    device = enrolled(passkeys)
    for name in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        for value in (None, 7, "", "!", "AA", b64(b"{}"), b64(b"\xff" * 40)):
            asked = passkeys.begin()
            answer = device.get(asked.options)
            answer["response"][name] = value
            assert refused(passkeys.complete, answer, asked.cookie.value)


# --- sign counts -----------------------------------------------------------------------------------------------------


def test_a_count_that_does_not_grow_is_refused_and_recorded(passkeys, sink, refused):
    device = enrolled(passkeys, counts=5)
    copy = replace(device)
    asked = passkeys.begin()
    assert passkeys.complete(device.get(asked.options), asked.cookie.value).user_id == "u1"
    asked = passkeys.begin()
    assert refused(passkeys.complete, copy.get(asked.options), asked.cookie.value) == "sign_count"
    event = sink.events[-1]
    assert (event.action, event.outcome, event.data) == ("factor.refused", "denied", {"cause": "sign_count"})
    assert device.id.hex() not in repr(sink.events)


def test_it_may_be_recorded_only(store, challenges, sink, clock):
    passkeys = Passkeys(store, challenges, on_sign_count="report", audit=sink, clock=clock, **HOST)
    device = enrolled(passkeys, counts=5)
    copy = replace(device)
    for each in (device, copy):
        asked = passkeys.begin()
        assert passkeys.complete(each.get(asked.options), asked.cookie.value).user_id == "u1"
    assert sink.events[-1].data == {"cause": "sign_count"}


# --- keeping ---------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("6.7.1")
def test_a_credential_belongs_to_one_user_for_good(passkeys, store):
    device = enrolled(passkeys)
    key = store._rows[device.id].public_key
    thief = replace(device, key=Es256())
    options = passkeys.begin_registration("u2", name="eve").options
    with pytest.raises(Conflict):
        passkeys.complete_registration("u2", thief.create(options))
    assert store._rows[device.id].public_key == key
    assert passkeys.list("u2") == []


@pytest.mark.asvs("6.5.6")
def test_a_lost_one_is_removed_by_its_owner(passkeys, sink, refused):
    device = enrolled(passkeys)
    for user_id, id in (
        ("u2", device.id.hex()),
        ("u1", "00"),
        ("u1", "zz"),
        ("u1", ""),
        ("u1", device.id.hex().upper()),
    ):
        assert not passkeys.remove(user_id, id)
    assert passkeys.remove("u1", device.id.hex())
    asked = passkeys.begin()
    assert refused(passkeys.complete, device.get(asked.options), asked.cookie.value) == "unknown"
    assert [(e.action, e.outcome) for e in sink.events] == [
        ("factor.enrolled", "attempted"),
        ("factor.enrolled", "success"),
        ("factor.removed", "attempted"),
        ("factor.removed", "success"),
    ]


def test_nothing_is_added_that_cannot_be_recorded(passkeys, sink):
    options = passkeys.begin_registration("u1", name="ada").options
    sink.broken = AuditUnavailable("down")
    with pytest.raises(AuditUnavailable):
        passkeys.complete_registration("u1", Authenticator(ORIGIN).create(options))
    assert passkeys.list("u1") == []


@pytest.mark.parametrize(
    "bent",
    [
        {"rp_id": "Example.com"},
        {"rp_id": ""},
        {"rp_name": " "},
        {"origins": ()},
        {"origins": ("http://app.example.com",)},
        {"origins": ("https://app.example.org",)},
        {"origins": ("https://evilexample.com",)},
        {"origins": ("https://app.example.com/path",)},
        {"user_verification": "discouraged"},
        {"on_sign_count": "ignore"},
    ],
)
def test_what_is_no_relying_party(store, challenges, bent):
    with pytest.raises(ConfigurationError):
        Passkeys(store, challenges, **{**HOST, **bent})
    assert Passkeys(store, challenges, rp_id="localhost", rp_name="x", origins=("http://localhost:8000",))


@pytest.mark.parametrize("arguments", [("", "ada"), ("u1", "")])
def test_what_a_registration_needs(passkeys, arguments):
    with pytest.raises(UsageError):
        passkeys.begin_registration(arguments[0], name=arguments[1])


@pytest.mark.anyio
async def test_the_async_face(passkeys):
    device = Authenticator(ORIGIN, key=EdDsa())
    options = (await passkeys.abegin_registration("u1", name="ada")).options
    await passkeys.acomplete_registration("u1", device.create(options))
    asked = await passkeys.abegin()
    assert (await passkeys.acomplete(device.get(asked.options), asked.cookie.value)).user_id == "u1"
    with pytest.raises(InvalidCredential):
        await passkeys.acomplete(device.get(asked.options), asked.cookie.value)
