"""JwtVerifier, KeySet and verify_jws beyond the battery: construction, claims, caching, and two other parsers."""

from __future__ import annotations

import base64
import json
import os
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.core import ConfigurationError, RequestFacts, Secret
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.identity import Authenticator, InvalidToken, JwtVerifier, KeySet, verify_jws
from wellstreak_trust.identity.keytext import is_key_text

ISSUER, AUDIENCE, SECRET = "https://op.example/realm", "api://wellstreak", b"0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())


def b64(value: bytes | dict[str, Any]) -> str:
    octets = json.dumps(value).encode() if isinstance(value, dict) else value
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    found = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u1", "iat": AT, "exp": AT + 600, **changes}
    return {name: value for name, value in found.items() if value is not ...}


def signed(payload: Any = None, header: dict[str, Any] | None = None, secret: bytes = SECRET) -> str:
    head = {"alg": "HS256", "typ": "at+jwt", "kid": "k1", **(header or {})}
    body = payload if isinstance(payload, bytes) else json.dumps(payload or claims()).encode()
    text = f"{b64({k: v for k, v in head.items() if v is not ...})}.{b64(body)}"
    return f"{text}.{b64(pyjwt.get_algorithm_by_name('HS256').sign(text.encode(), secret))}"


def verifier(clock, **changes: Any) -> JwtVerifier:
    keys = changes.pop("keys", KeySet.from_secret(SECRET, kid="k1"))
    arguments = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ("HS256",), "clock": clock, **changes}
    return JwtVerifier(keys, **arguments)


def reason(check: JwtVerifier, token: Any) -> str:
    with pytest.raises(InvalidToken) as caught:
        check.verify(token)
    assert caught.value.problem() == InvalidToken().problem()
    return caught.value.reason


# --- claims --------------------------------------------------------------------------------------------------------


def test_claims_are_a_read_only_mapping(clock):
    found = verifier(clock).verify(signed(claims(email="ada@example.org")))
    assert found["sub"] == "u1"
    assert dict(found) == claims(email="ada@example.org")
    assert len(found) == 6
    assert "ada" not in repr(found)
    with pytest.raises(TypeError):
        found["sub"] = "u2"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": ISSUER + "/"}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"aud": []}, "audience"),
        ({"aud": ...}, "audience"),
        ({"sub": ""}, "subject"),
        ({"sub": "é"}, "subject"),
        ({"sub": "a\n"}, "subject"),
        ({"sub": "a" * 256}, "subject"),
        ({"sub": ...}, "claims"),
        ({"jti": 7}, "claims"),
        ({"exp": ...}, "claims"),
        ({"iat": ...}, "claims"),
        ({"exp": AT - 30}, "time"),
        ({"iat": AT + 31}, "time"),
        ({"nbf": AT + 31}, "time"),
        ({"nbf": True}, "time"),
        ({"exp": "٤"}, "time"),
        ({"exp": 253_402_300_799}, "time"),
        ({"exp": AT + 86_401}, "lifetime"),
        ({"iat": AT + 20, "exp": AT + 20}, "lifetime"),
        ({"iat": AT + 20, "exp": AT + 10}, "lifetime"),
    ],
)
def test_what_claims_refuse(clock, changes, why):
    assert reason(verifier(clock), signed(claims(**changes))) == why


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "a" * 255},
        {"aud": ["other", AUDIENCE]},
        {"iat": AT - 100, "exp": AT - 29},
        {"iat": AT + 30},
        {"nbf": AT + 30},
        {"nbf": AT + 0.5},
        {"exp": AT + 86_400},
    ],
)
def test_what_claims_take(clock, changes):
    assert verifier(clock).verify(signed(claims(**changes)))["iss"] == ISSUER


def test_further_required_claims(clock):
    check = verifier(clock, required=("client_id", "jti"))
    assert reason(check, signed()) == "claims"
    assert reason(check, signed(claims(client_id="c", jti=None))) == "claims"
    assert check.verify(signed(claims(client_id="c", jti="1")))["jti"] == "1"


def test_any_lifetime(clock):
    assert verifier(clock, max_lifetime=None).verify(signed(claims(exp=AT + 10**9)))["sub"] == "u1"


@pytest.mark.asvs("9.2.2")
@pytest.mark.parametrize(
    ("profile", "typ", "taken"),
    [
        ("access", "at+jwt", True),
        ("access", "APPLICATION/AT+JWT", True),
        ("access", "JWT", False),
        ("access", ..., False),
        ("id_token", ..., True),
        ("id_token", "JWT", True),
        ("id_token", "at+jwt", False),
        ("invoice+jwt", "invoice+jwt", True),
        ("invoice+jwt", "at+jwt", False),
    ],
)
def test_profiles(clock, profile, typ, taken):
    check, token = verifier(clock, profile=profile), signed(header={"typ": typ})
    if taken:
        assert check.verify(token)["sub"] == "u1"
    else:
        assert reason(check, token) == "typ"


def test_logout_tokens_need_no_subject_but_their_events(clock):
    check = verifier(clock, profile="logout")
    body = claims(sub=..., sid="s1", jti="1", events={"http://schemas.openid.net/event/backchannel-logout": {}})
    assert check.verify(signed(body, {"typ": "logout+jwt"}))["sid"] == "s1"
    assert check.verify(signed({**body, "sub": "u1"}, {"typ": ...}))["sub"] == "u1"
    assert reason(check, signed(claims(), {"typ": "logout+jwt"})) == "claims"


@pytest.mark.asvs("10.5.5")
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"jti": ...}, "claims"),
        ({"events": ...}, "claims"),
        ({"events": {}}, "event"),
        ({"events": ["http://schemas.openid.net/event/backchannel-logout"]}, "event"),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": []}}, "event"),
        ({"nonce": None}, "nonce"),
        ({"sub": ...}, "session"),
        ({"sid": ""}, "session"),
        ({"sid": 7}, "session"),
        ({"sid": None}, "session"),
    ],
)
def test_what_is_no_logout_token(clock, changes, why):
    body = claims(jti="1", events={"http://schemas.openid.net/event/backchannel-logout": {}})
    changed = {name: value for name, value in {**body, **changes}.items() if value is not ...}
    assert reason(verifier(clock, profile="logout"), signed(changed, {"typ": "logout+jwt"})) == why


# --- form ----------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("1.5.3")
@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b'{"a":1,"a":2}', "payload"),
        (b'{"a":NaN}', "payload"),
        (b'{"a":-Infinity}', "payload"),
        (b'{"a":1e999}', "payload"),
        (b"[]", "payload"),
        (b"7", "payload"),
        (b"\xef\xbb\xbf{}", "payload"),
        (b"{}\x00", "payload"),
        (b"[" * 12_000, "payload"),
        (b'{"a":' + b"9" * 5_000 + b"}", "payload"),
        (b'{"a":"\\ud800"}', "payload"),
        (b'{"\\udfff":1}', "payload"),
        ("{}".encode("utf-16"), "payload"),
        ("{}".encode("utf-32"), "payload"),
        (b"\xff", "payload"),
    ],
)
def test_json_is_strict(clock, payload, why):
    assert reason(verifier(clock), signed(payload)) == why


def test_paired_surrogates_are_text(clock):
    body = json.dumps(claims(name="🙂")).encode()
    assert b"\\ud83d" in body
    assert verifier(clock).verify(signed(body))["name"] == "🙂"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"x5c": []}, "header"),
        ({"cty": "JWT"}, "header"),
        ({"zip": "DEF"}, "header"),
        ({"x5t": 7}, "header"),
        ({"x5t#S256": None}, "header"),
        ({"kid": 7}, "header"),
        ({"typ": 7}, "header"),
        ({"alg": ...}, "alg"),
        ({"alg": "HS512"}, "alg"),
        ({"alg": "hs256"}, "alg"),
        ({"kid": "K1"}, "key"),
        ({"kid": ""}, "key"),
    ],
)
def test_headers(clock, header, why):
    assert reason(verifier(clock), signed(header=header)) == why


def test_unknown_header_members_are_ignored(clock):
    assert verifier(clock).verify(signed(header={"x-own": [1]}))["sub"] == "u1"


@pytest.mark.parametrize(
    "token", [None, 7, b"a.b.c", "", "a.b", "a.b.c.d", "a..b", "é.b.c", "a.b.c\n", "=.b.c", object()]
)
def test_what_is_no_token(clock, token):
    assert reason(verifier(clock), token) in {"shape", "header"}


def test_size_limits(clock):
    check = verifier(clock)
    assert reason(check, "a" * 2_049 + ".a.a") == "shape"
    assert reason(check, "a." + "a" * 16_385 + ".a") == "shape"
    assert reason(check, "a.a." + "a" * 1_025) == "shape"


def test_a_secret_is_taken_as_token(clock):
    assert verifier(clock).verify(Secret(signed()))["sub"] == "u1"


@settings(max_examples=100)
@given(st.data())
def test_one_token_has_one_spelling(data):
    """No single changed character leaves a valid token: neither signature nor encoding has slack."""
    token = signed()
    check = verifier(_Fixed())
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCDwxyz0189-_.=+/ \n"))
    if token[place] != other:
        with pytest.raises(InvalidToken):
            check.verify(token[:place] + other + token[place + 1 :])


@settings(max_examples=100)
@given(
    st.dictionaries(st.sampled_from(["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "x"]), st.one_of(
        st.none(), st.booleans(), st.integers(AT - 700, AT + 700), st.floats(), st.text(max_size=5),
        st.sampled_from([ISSUER, AUDIENCE]), st.lists(st.sampled_from([AUDIENCE, "b"]), max_size=2)), max_size=4)
)  # fmt: skip
def test_what_we_accept_pyjwt_accepts(changes):
    token = signed(json.dumps(claims(**changes)).encode())
    try:
        found = verifier(_Fixed(), leeway=timedelta()).verify(token)
    except InvalidToken:
        return
    options = {
        "require": ["exp", "iat", "iss", "sub", "aud"],
        "verify_exp": False,
        "verify_iat": False,
        "verify_nbf": False,
    }
    theirs = pyjwt.decode(token, SECRET, ["HS256"], options=options, audience=AUDIENCE, issuer=ISSUER)  # type: ignore[arg-type]
    assert theirs == dict(found)


class _Fixed:
    def now(self):
        return NOW

    def monotonic_ns(self):
        return 1


# --- construction --------------------------------------------------------------------------------------------------


@pytest.mark.asvs("9.1.2")
@pytest.mark.parametrize(
    "arguments",
    [
        {"issuer": ""},
        {"issuer": None},
        {"audience": ["a"]},
        {"algorithms": ()},
        {"algorithms": "HS256"},
        {"algorithms": ("none",)},
        {"algorithms": ("None",)},
        {"algorithms": ("HS256", "dir")},
        {"algorithms": ("HS256", "RS256")},
        {"algorithms": ("ES256K",)},
        {"algorithms": (None,)},
        {"leeway": timedelta(seconds=-1)},
        {"leeway": timedelta(minutes=6)},
        {"max_lifetime": timedelta()},
        {"profile": "acess"},
        {"profile": "dpopjwt"},
        {"profile": 7},
        {"keys": {"keys": []}},
        {"keys": "https://op.example/jwks"},
    ],
)
def test_what_a_verifier_refuses(clock, arguments):
    with pytest.raises(ConfigurationError):
        verifier(clock, **arguments)


# --- keys ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def private():
    return {
        "RS256": rsa.generate_private_key(65_537, 2_048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "ES512": ec.generate_private_key(ec.SECP521R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }


def pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(alg: str, key: Any, **more: Any) -> dict[str, Any]:
    name = alg if alg != "RS256" else "RS256"
    return {**json.loads(pyjwt.get_algorithm_by_name(name).to_jwk(key.public_key())), "kid": alg, **more}


def without(found: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in names}


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_the_algorithm_follows_the_key(private, alg):
    key = private[alg]
    token = pyjwt.encode({"a": 1}, key, alg, headers={"kid": alg})
    from_pem, from_jwks = (
        KeySet.from_pem(pem(key), kid=alg),
        KeySet.from_jwks({"keys": [without(jwk(alg, key), "alg")]}),
    )
    for keys in (from_pem, from_jwks):
        assert [each.alg for each in keys.keys] == [alg]
        assert verify_jws(token, keys, algorithms={alg}).payload == b'{"a":1}'
        assert verify_jws(token, keys, algorithms={alg}).header["kid"] == alg


def test_one_algorithm_for_a_key(private):
    key = private["RS256"]
    token = pyjwt.encode({"a": 1}, key, "PS256", headers={"kid": "k1"})
    both = {"RS256", "PS256"}
    assert verify_jws(token, KeySet.from_pem(pem(key), alg="PS256", kid="k1"), algorithms=both).payload
    with pytest.raises(InvalidToken) as caught:
        verify_jws(token, KeySet.from_pem(pem(key), kid="k1"), algorithms=both)
    assert caught.value.reason == "key"


def test_without_a_kid_the_only_key_of_the_algorithm(private):
    token = pyjwt.encode({"a": 1}, private["ES256"], "ES256")
    one = KeySet.from_pem(pem(private["ES256"]), kid="a") | KeySet.from_pem(pem(private["ES384"]), kid="b")
    assert len(one) == 2
    assert verify_jws(token, one, algorithms={"ES256"}).payload == b'{"a":1}'
    two = one | KeySet.from_pem(pem(ec.generate_private_key(ec.SECP256R1())), kid="c")
    with pytest.raises(InvalidToken):
        verify_jws(token, two, algorithms={"ES256"})


def test_an_empty_payload_is_a_payload():
    text = f"{b64({'alg': 'HS256'})}."
    token = f"{text}.{b64(pyjwt.get_algorithm_by_name('HS256').sign(text.encode(), SECRET))}"
    assert verify_jws(token, KeySet.from_secret(SECRET), algorithms={"HS256"}).payload == b""


def test_key_sets_refuse(private):
    good = jwk("ES256", private["ES256"])
    coordinates = base64.urlsafe_b64decode(good["x"] + "=")
    refused: list[Any] = [
        None,
        [],
        {},
        {"keys": {}},
        {"keys": []},
        {"keys": [7]},
        {"keys": [{}]},
        {"keys": [{"kty": ["EC"]}]},
        {"keys": [good, good]},
        {"keys": [{**good, "kid": str(n)} for n in range(65)]},
        {"keys": [{**good, "d": "AA"}]},
        {"keys": [{"kty": "oct", "k": b64(SECRET)}]},
        {"keys": [{**good, "use": "enc"}]},
        {"keys": [{**good, "key_ops": ["sign"]}]},
        {"keys": [{**good, "key_ops": "verify"}]},
        {"keys": [{**good, "alg": "ES384"}]},
        {"keys": [{**good, "alg": ["ES256"]}]},
        {"keys": [{**good, "kid": 7}]},
        {"keys": [{**good, "kid": ""}]},
        {"keys": [{**good, "crv": "secp256k1"}]},
        {"keys": [{**good, "crv": "P-384"}]},
        {"keys": [{**good, "crv": []}]},
        {"keys": [{**good, "x": good["y"]}]},
        {"keys": [{**good, "x": good["x"] + "="}]},
        {"keys": [{**good, "x": b64(b"\x00" + coordinates)}]},
        {"keys": [{**good, "x": 7}]},
        {"keys": [{"kty": "OKP", "crv": "X25519", "x": b64(bytes(32))}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": b64(bytes(31))}]},
        {"keys": [{"kty": "RSA", "n": b64(b"\xff" * 255), "e": "AQAB"}]},
        {"keys": [{"kty": "RSA", "n": b64(b"\xff" * 900), "e": "AQAB"}]},
        {"keys": [{"kty": "RSA", "n": b64(b"\xff" * 256), "e": "AQ"}]},
    ]
    for document in refused:
        with pytest.raises(ConfigurationError):
            KeySet.from_jwks(document)
    assert len(KeySet.from_jwks({"keys": [{**good, "use": "sig", "key_ops": ["verify"], "x5c": ["ignored"]}]})) == 1


def test_pems_refuse(private):
    key = private["RS256"]
    refused: list[Any] = [
        b"",
        "é",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        pem(rsa.generate_private_key(65_537, 1_024)),
        pem(ec.generate_private_key(ec.SECP256K1())),
        None,
    ]
    for text in refused:
        with pytest.raises(ConfigurationError):
            KeySet.from_pem(text)
    with pytest.raises(ConfigurationError):
        KeySet.from_pem(pem(key), alg="ES256")
    assert len(KeySet.from_pem(pem(key).decode())) == 1


def test_secrets_refuse(private):
    for octets, alg in ((b"a" * 31, "HS256"), (b"a" * 47, "HS384"), (b"a" * 63, "HS512"), (b"a" * 64, "RS256")):
        with pytest.raises(ConfigurationError):
            KeySet.from_secret(octets, alg=alg)
    with pytest.raises(ConfigurationError):
        KeySet.from_secret("text" * 16)  # type: ignore[arg-type]
    assert len(KeySet.from_secret(Secret(b"a" * 64), alg="HS512")) == 1


def test_keys_in_disguise_are_no_secrets(private):
    for key in private.values():
        public = key.public_key()
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        hidden = [
            pem(key),
            b"\xef\xbb\xbf" + pem(key),
            b"\n" + pem(key).strip(),
            pem(key)[:-10],
            der,
            base64.b64encode(der),
            base64.encodebytes(der),
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw")),
            key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
            public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" ada@example",
        ]
        assert [is_key_text(octets) for octets in hidden] == [True] * len(hidden)
    document = jwk("ES256", private["ES256"])
    for found in (document, {"keys": [document]}, [document], {"a": [{"b": document}]}):
        assert is_key_text(b"\n" + json.dumps(found, indent=2).encode())
        assert is_key_text(json.dumps({"of": found}).replace("{", '{"n":' + "9" * 5_000 + ",", 1).encode("utf-16"))
    assert is_key_text(b"[" * 100_000)


@pytest.mark.parametrize("first", [b"0", b"{", b"-", b"[", b"ssh-", b"\x30\x82", b"MII"])
def test_random_octets_are_secrets_whatever_they_begin_with(first):
    for _ in range(20):
        assert not is_key_text(first + os.urandom(61))


@pytest.mark.parametrize(
    "octets",
    [
        b"1" * 40,
        b'"' + b"a" * 40 + b'"',
        b"[1,2,[3,{}]]" * 1,
        b'{"a":["kty",{"b":"kty"}]}',
        b"null",
        b"ssh-rsa AAAA",
        b"-----BEGIN",
        b"",
        base64.b64encode(b"\x30\x82" + bytes(60)),
    ],
    ids=repr,
)
def test_what_only_looks_like_a_key(octets):
    assert is_key_text(octets) is False


def test_base64_with_junk_in_it_is_no_key(private):
    der = private["ES256"].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b64encode(der)
    assert is_key_text(text[:10] + b" \r\n" + text[10:]) is True
    assert is_key_text(text[:10] + b"*" + text[10:]) is False


def test_a_key_set_prints_no_key(private):
    text = repr(KeySet.from_secret(b"opensesame" * 4, kid="k1"))
    assert text == "KeySet(HS256:k1)"


# --- as a credential -----------------------------------------------------------------------------------------------


@pytest.mark.asvs("10.3.2")
def test_the_principal_of_an_access_token(clock):
    check = verifier(clock)
    body = claims(scope="agents:read agents:update", client_id="c1", jti="j1", auth_time=AT - 60, amr=["pwd"], org="t1")
    facts = RequestFacts("GET", "https://a.example/", [("Authorization", f"Bearer {signed(body)}")])
    found = Authenticator([check]).authenticate(facts)
    assert (found.id, found.kind, found.issuer, found.subject) == ("u1", "user", ISSUER, "u1")
    assert found.scopes == {"agents:read", "agents:update"}
    assert (found.credential_id, found.amr, found.attributes["org"]) == ("j1", ("pwd",), "t1")
    assert found.auth_time == NOW - timedelta(seconds=60)
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.asvs("10.3.3")
def test_one_subject_of_two_issuers_is_two_people(clock):
    """Where subjects are not the host's own, its function names users by both."""
    from wellstreak_trust.core import Principal

    def named(found):
        return Principal(f"{found['iss']}#{found['sub']}", issuer=found["iss"], subject=found["sub"])

    other = verifier(clock, issuer="https://other.example", principal=named)
    first = verifier(clock, principal=named).authenticate(signed())
    second = other.authenticate(signed(claims(iss="https://other.example")))
    assert (first.issuer, first.subject) != (second.issuer, second.subject)
    assert first.id != second.id
    assert verifier(clock).authenticate(signed()).issuer == ISSUER  # by default both are there to be compared


@pytest.mark.asvs("10.3.4")
@pytest.mark.parametrize(
    ("more", "fresh"),
    [({"auth_time": AT - 300}, True), ({"auth_time": AT - 301}, False), ({}, False), ({"auth_time": "now"}, False)],
)
def test_how_fresh_the_sign_in_behind_a_token_is(clock, more, fresh):
    principal = verifier(clock).authenticate(signed(claims(amr=["pwd", "otp"], **more)))
    assert principal.amr == ("pwd", "otp")
    assert StepUp(max_age=300).met_by(principal, NOW) is fresh
    assert not StepUp(aal=2).met_by(principal, NOW)  # a token proves one factor, until the host says what its acr means


def test_services_and_strange_optional_claims(clock):
    check = verifier(clock)
    assert check.authenticate(signed(claims(client_id="u1"))).kind == "service"
    odd = check.authenticate(signed(claims(scope=["a"], amr="pwd", auth_time="x")))
    assert (odd.scopes, odd.amr, odd.auth_time) == (frozenset(), (), None)
    assert check.authenticate(signed()).scopes is None


def test_the_host_may_say_who_it_is(clock):
    from wellstreak_trust.core import Principal

    check = verifier(clock, principal=lambda found: Principal(f"ext:{found['sub']}"))
    assert check.authenticate(signed()).id == "ext:u1"


@pytest.mark.anyio
async def test_the_async_face(clock):
    check = verifier(clock)
    assert dict(await check.averify(signed())) == claims()
    assert (await check.aauthenticate(signed())).id == "u1"
