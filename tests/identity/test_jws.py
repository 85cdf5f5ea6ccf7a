"""The parts of the parser that stand behind `JwtVerifier`: sizes to the character, what is told, what is shown."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from forge import AT, AUDIENCE, ISSUER, NOW, SECRET, b64, claims, header, keys, private, signed, verifier, why
from wellstreak_trust.core import ConfigurationError, FixedClock, RequestFacts, Secret, drive
from wellstreak_trust.identity import (
    Authenticator,
    Credential,
    InvalidToken,
    JwtVerifier,
    KeySet,
    TokenProfile,
    verify_jws,
)
from wellstreak_trust.identity.jws import Header, admitted_algorithms, header_of, media_type, open_jws, segments
from wellstreak_trust.identity.keys import ALGORITHMS
from wellstreak_trust.identity.profiles import PROFILES, profile_of


def test_a_token_may_be_as_long_as_all_its_parts():
    whole = f"{'A' * 2_048}.{'A' * 16_384}.{'A' * 1_024}"
    head, signed_, payload, signature = segments(whole)
    assert (head, signed_) == (b"A" * 2_048, whole.rpartition(".")[0].encode())
    assert (payload, signature) == (bytes(12_288), bytes(768))
    for longer in (whole + "A", "A" + whole, whole.replace(".", ".A", 1)):
        with pytest.raises(InvalidToken):
            segments(longer)


def test_parts_that_are_empty():
    with pytest.raises(InvalidToken) as caught:
        segments("AAAA..AAAA")
    assert caught.value.reason == "shape"
    assert segments("AAAA..AAAA", may_be_empty=True)[2] == b""
    assert why(verifier(), f"{b64(header())}..{b64(bytes(256))}") == "shape"
    for text in (".AAAA.AAAA", "AAAA.AAAA.", "..", "AAAA..", "..AAAA"):
        assert why(verifier(), text) == "shape"
        with pytest.raises(InvalidToken):
            verify_jws(text, keys("RS256"), algorithms={"RS256"})


def test_a_verified_signature_shows_no_payload():
    found = verify_jws(signed(), keys("RS256"), algorithms={"RS256"})
    assert "admin" in found.payload.decode()
    assert "payload" not in repr(found)
    assert "admin" not in repr(found)


def test_what_this_room_reads_for_itself():
    found, payload = open_jws(signed(), keys("RS256"), {"RS256"})
    assert found == Header("RS256", "k1", "at+jwt")
    assert payload.startswith(b'{"iss"')
    with pytest.raises(InvalidToken):
        open_jws(signed(key=private("RS256", 1)), keys("RS256"), {"RS256"})
    with pytest.raises(InvalidToken):
        open_jws(signed(), keys("RS256"), {"PS256"})


def test_what_a_token_says_of_itself():
    assert header_of(signed(header(typ="APPLICATION/JWT"))) == Header("RS256", "k1", "jwt")
    assert header_of(Secret(signed(header(kid=..., typ=...)))) == Header("RS256", None, None)
    for text in ("", "a.b", None, f"{b64(header(crit=[]))}.AAAA.AAAA", signed() + "="):
        assert header_of(text) is None  # type: ignore[arg-type]  # the point


@pytest.mark.parametrize(
    ("typ", "read"),
    [
        (None, None),
        ("", ""),
        ("JWT", "jwt"),
        ("application/at+jwt", "at+jwt"),
        ("Application/AT+JWT", "at+jwt"),
        ("text/at+jwt", "text/at+jwt"),
        ("to\u212aen", "to\u212aen"),
        ("É", "É"),
    ],
)
def test_media_types(typ, read):
    assert media_type(typ) == read


def test_what_an_allow_list_says_of_itself():
    assert admitted_algorithms(["RS256", "RS256"]) == {"RS256"}
    assert admitted_algorithms(name for name in ("HS256",)) == {"HS256"}
    for names in ("RS256", (), [], "", None):
        with pytest.raises(ConfigurationError) as empty:
            admitted_algorithms(names)  # type: ignore[arg-type]  # the point
        assert (empty.value.reason, empty.value.hint) == ("alg", 'algorithms=("ES256",)')
    with pytest.raises(ConfigurationError) as unknown:
        admitted_algorithms(["zip", "none", "RS256", "a" * 500, "HS\0", 256])  # type: ignore[list-item]  # the point
    assert unknown.value.reason == "alg"
    assert unknown.value.detail == "algorithms that no verifier here takes: ..., ..., int, none, zip"
    assert unknown.value.hint == f"choose from {', '.join(ALGORITHMS)}"
    with pytest.raises(ConfigurationError) as mixed:
        admitted_algorithms(["HS256", "RS256"])
    assert mixed.value.reason == "alg"


def test_equal_to_itself_alone():
    """Two keys of one name and algorithm are two keys."""
    one, other = KeySet.from_secret(SECRET, kid="k").keys[0], KeySet.from_secret(SECRET[::-1], kid="k").keys[0]
    assert one != other
    assert one == one
    assert len({one, other}) == 2
    assert "012345" not in repr(one)


def test_a_verified_token_is_looked_at_no_sooner_than_its_key():
    """A key of another name never sees the token: reasons in their order."""
    assert why(verifier(), signed(header(kid="k2"), b"[")) == "key"
    assert why(verifier(profile="x+jwt"), signed(header(kid="k2"))) == "typ"
    assert why(verifier(algorithms=("PS256",), profile="x+jwt"), signed()) == "alg"


@pytest.mark.parametrize(
    ("typs", "required"),
    [
        (frozenset(), ("exp", "iat")),
        (frozenset(("JWT",)), ("exp", "iat")),
        (frozenset(("application/jwt",)), ("exp", "iat")),
        (frozenset(("",)), ("exp", "iat")),
        (frozenset(("jwt",)), ("exp",)),
        (frozenset(("jwt",)), ("iat",)),
    ],
    ids=str,
)
def test_profiles_that_would_match_nothing_or_never_end(typs, required):
    with pytest.raises(ConfigurationError) as caught:
        TokenProfile(typs, required)
    assert caught.value.reason == "profile"


def test_profiles_by_name():
    assert profile_of("access") is PROFILES["access"]
    own = TokenProfile(frozenset(("jwt", None)), proves_requests=True)
    assert profile_of(own) is own
    assert profile_of("application/Invoice+jwt").typs == {"invoice+jwt"}
    assert profile_of("invoice+jwt").proves_requests
    assert [name for name, profile in PROFILES.items() if profile.proves_requests] == ["access"]
    for wrong in ("acess", "jwt", "é+jwt", "", None, 7, ["access"]):
        with pytest.raises(ConfigurationError) as caught:
            profile_of(wrong)  # type: ignore[arg-type]  # the point
        assert caught.value.reason == "profile"
        assert "invoice+jwt" in caught.value.hint


def test_a_profile_of_ones_own():
    plain = verifier(profile=TokenProfile(frozenset(("jwt", None)), ("iss", "aud", "exp", "iat"), proves_requests=True))
    assert plain.verify(signed(header(typ=...), claims(sub=...)))["iss"]
    assert plain.verify(signed(header(typ="JWT")))["sub"] == "admin"
    assert why(plain, signed()) == "typ"


def test_what_a_verifier_takes_unless_told_otherwise():
    """RS256, PS256, ES256 and EdDSA; half a minute of leeway; a day of life; access tokens."""

    def default(alg, **more):
        clock = FixedClock(NOW)
        return JwtVerifier(keys(alg), issuer=ISSUER, audience=AUDIENCE, clock=clock, **more)

    for alg in ("RS256", "PS256", "ES256", "EdDSA"):
        assert default(alg).verify(signed(header(alg), alg=alg))["sub"] == "admin"
    for alg in ("ES384", "ES512", "HS256"):
        assert why(default(alg), signed(header(alg), alg=alg)) == "alg"
    check = default("ES256")

    def token(**more):
        return signed(header("ES256"), claims(**more), alg="ES256")

    assert check.verify(token(iat=AT - 86_370, exp=AT + 30))
    assert why(check, token(iat=AT - 86_371, exp=AT + 30)) == "lifetime"
    assert check.verify(token(iat=AT + 30, exp=AT + 60))
    assert why(check, token(iat=AT + 31, exp=AT + 60)) == "time"
    assert check.verify(token(iat=AT - 60, exp=AT - 29))
    assert why(check, token(iat=AT - 60, exp=AT - 30)) == "time"
    assert why(check, signed(header("ES256", typ="JWT"), alg="ES256")) == "typ"
    assert default("ES256", leeway=timedelta(minutes=5)).verify(token(iat=AT + 300))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"held": 7}, "key"),
        ({"issuer": ""}, "issuer"),
        ({"issuer": 7}, "issuer"),
        ({"audience": None}, "issuer"),
        ({"audience": ""}, "issuer"),
        ({"leeway": timedelta(minutes=5, microseconds=1)}, "leeway"),
        ({"leeway": -timedelta(microseconds=1)}, "leeway"),
        ({"max_lifetime": timedelta()}, "lifetime"),
        ({"max_lifetime": -timedelta(1)}, "lifetime"),
        ({"algorithms": ()}, "alg"),
        ({"profile": "x"}, "profile"),
    ],
    ids=str,
)
def test_what_is_no_verifier_says_why(arguments, reason):
    with pytest.raises(ConfigurationError) as caught:
        verifier(**arguments)
    assert caught.value.reason == reason


def test_a_lifetime_may_be_short():
    brief = verifier(max_lifetime=timedelta(microseconds=1_000_000))
    assert brief.verify(signed(body=claims(iat=AT - 0.5, exp=AT + 0.5)))
    assert why(brief, signed(body=claims(iat=AT - 1, exp=AT + 0.5))) == "lifetime"


def test_a_principal_of_few_claims():
    found = verifier().authenticate(signed())
    assert (found.id, found.kind, found.tenant_id, found.scopes) == ("admin", "user", None, None)
    assert (found.issuer, found.subject, found.credential_id) == (ISSUER, "admin", None)
    assert (found.amr, found.auth_time, found.aal, found.actor) == ((), None, 1, None)
    assert dict(found.attributes) == claims()


@pytest.mark.parametrize("since", [0, -1, True, "1", 253_402_300_799, float("1e300"), None, []])
def test_a_sign_in_at_no_time(since):
    assert verifier().authenticate(signed(body=claims(auth_time=since))).auth_time is None


def test_a_sign_in_at_a_time():
    found = verifier().authenticate(signed(body=claims(auth_time=AT - 1.5, amr=["pwd"], scope="a  b")))
    assert found.auth_time == NOW - timedelta(seconds=1.5)
    assert (found.amr, found.scopes) == (("pwd",), {"a", "b"})
    assert verifier().authenticate(signed(body=claims(amr=["pwd", 7], scope=""))).amr == ()
    assert verifier().authenticate(signed(body=claims(scope=""))).scopes == frozenset()


def test_claims_as_a_mapping():
    found = verifier().verify(signed(body=claims(email="ada@example.org")))
    assert repr(found) == "Claims(aud, email, exp, iat, iss, sub)"
    assert found == claims(email="ada@example.org")
    assert "nothing" not in found
    assert found.get("nothing") is None


@pytest.mark.anyio
async def test_every_face_asks_its_own_way():
    """The sync face asks `find`, the other `afind`; neither asks for a token that fails before."""

    class Keys:
        suspends = True

        def __init__(self):
            self.asked = []

        def find(self, alg, kid):
            self.asked.append(f"find {alg} {kid}")
            return keys("RS256").find(alg, kid)

        async def afind(self, alg, kid):
            self.asked.append(f"afind {alg} {kid}")
            return keys("RS256").find(alg, kid)

    asked_of = Keys()
    check = verifier(held=asked_of)
    assert check.suspends
    assert not verifier().suspends
    assert check.verify(signed())["sub"] == check.authenticate(signed()).id == "admin"
    assert (await check.averify(signed()))["sub"] == (await check.aauthenticate(signed())).id == "admin"
    for bad in ("a.b", signed(header(typ="x")), signed(header("PS256"), alg="PS256"), signed(header(crit=[]))):
        why(check, bad)
        with pytest.raises(InvalidToken):
            await check.averify(bad)
    assert asked_of.asked == ["find RS256 k1"] * 2 + ["afind RS256 k1"] * 2


def test_a_sync_face_fetches_in_place():
    """A host without a loop: what an Authenticator drives must not wait for one."""

    class Fetched:
        suspends = False

        def find(self, alg, kid):
            return keys("RS256").find(alg, kid)

        async def afind(self, alg, kid):
            await asyncio.to_thread(lambda: None)
            return self.find(alg, kid)

    check = verifier(held=Fetched())
    facts = RequestFacts("GET", "https://a.example/", [("Authorization", f"Bearer {signed()}")])
    assert Authenticator([check]).authenticate(facts).id == "admin"
    assert drive(check.averify(signed()))["sub"] == "admin"
    assert asyncio.run(check.averify(signed()))["sub"] == "admin"
    assert asyncio.run(Authenticator([check]).aauthenticate(facts)).id == "admin"


@pytest.mark.parametrize(
    ("token", "read"),
    [
        (signed, True),
        (lambda: signed(header(typ="JWT")), False),
        (lambda: signed(header("PS256"), alg="PS256"), True),
        (lambda: "a.b.c", True),
        (lambda: "wsk_live_abc", False),
        (lambda: "a.b.c.d", False),
        (lambda: "", False),
    ],
    ids=["own", "another-type", "another-algorithm", "junk", "key", "four", "empty"],
)
def test_which_tokens_are_of_its_kind(token, read):
    check = verifier()
    assert check.reads(token()) is read
    assert check.takes(Credential(scheme="bearer", token=token())) is read
    assert check.takes(Credential(scheme="dpop", token=token())) is False
    assert check.takes(Credential(cookie="c", token=token())) is False
    assert verifier(profile="id_token").reads(token()) is False
    assert check.cookie_name is None
