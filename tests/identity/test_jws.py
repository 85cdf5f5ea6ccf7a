"""The parts of the parser that stand behind `JwtVerifier`: sizes to the character, what is told, what is shown."""

from __future__ import annotations

import pytest

from forge import SECRET, b64, claims, header, keys, private, signed, verifier, why
from wellstreak_trust.core import ConfigurationError, Secret
from wellstreak_trust.identity import InvalidToken, KeySet, TokenProfile, verify_jws
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
        admitted_algorithms(["zip", "none", "RS256", "a" * 500])
    assert unknown.value.reason == "alg"
    assert unknown.value.detail.startswith(f"algorithms that no verifier here takes: {'a' * 200}"[:200])
    assert len(unknown.value.detail) < 300
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
