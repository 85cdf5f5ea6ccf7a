"""Key sets: what a stranger's token, or a provider in trouble, may do to the keys of everybody else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import ConfigurationError, ProviderUnavailable
from wellstreak_trust.identity import InvalidToken, JwksSource, JwtVerifier
from wellstreak_trust.testing.op import OpenIdProvider


@pytest.fixture
def op():
    with OpenIdProvider(alg="ES256") as running:
        yield running


def verifier(op: OpenIdProvider, source: JwksSource) -> JwtVerifier:
    return JwtVerifier(source, issuer=op.issuer, audience="api", algorithms=("ES256",))


def token(op: OpenIdProvider, **header: object) -> str:
    now = op.now()
    claims = {"iss": op.issuer, "aud": "api", "sub": "u", "iat": now, "exp": now + 60}
    return op.key.sign(claims, {"typ": "at+jwt", **header})


def source(op: OpenIdProvider, **options: object) -> JwksSource:
    return JwksSource(f"{op.issuer}/jwks", allow_insecure_loopback=True, **options)


def test_ghsa_993g_a_key_set_is_https_or_nothing(op):
    """Any scheme was opened: file, ftp, data."""
    for url in ("file:///etc/passwd", "ftp://op.example/jwks", "data:application/json,{}", "http://op.example/jwks"):
        with pytest.raises(ConfigurationError):
            JwksSource(url)


@pytest.mark.asvs("15.3.2")
def test_ghsa_9v7f_a_redirect_is_not_followed(op):
    """A redirect led from the issuer's host to anybody's."""
    with op.fault("keys_redirect"), pytest.raises(ProviderUnavailable):
        source(op).find("ES256", "k1")
    assert [path for _, path in op.requests] == ["/jwks"]


def test_ghsa_2gx3_made_up_key_ids_do_not_flood_the_issuer(op):
    """Each unknown kid caused a request."""
    checked = verifier(op, source(op))
    assert checked.verify(token(op))["sub"] == "u"
    for number in range(300):
        with pytest.raises(InvalidToken) as caught:
            checked.verify(token(op, kid=f"made-up-{number}"))
        assert caught.value.reason == "key"
    assert op.count("/jwks") == 2


def test_ghsa_fhv5_a_failed_refresh_keeps_what_is_held(op):
    """An error of the issuer emptied the cache, and every user was signed out."""
    clock = FixedClock(op.clock.now())
    keys = source(op, clock=clock)
    assert keys.find("ES256", "k1") is not None
    for fault in ("keys_status_500", "keys_not_json", "keys_empty"):
        clock.advance(timedelta(hours=1))
        with op.fault(fault):
            assert keys.find("ES256", "k1") is not None


def test_ghsa_8wjv_deep_json_is_an_error_like_any_other(op):
    """Nesting raised RecursionError through the host."""
    with op.fault("keys_deep"), pytest.raises(ProviderUnavailable):
        source(op).find("ES256", "k1")


def test_ghsa_w6j9_one_bad_member_does_not_spoil_the_set(op):
    """A member that could not be read made all keys of the issuer unusable."""
    with op.fault("keys_bad_member"):
        assert verifier(op, source(op)).verify(token(op))["sub"] == "u"


@pytest.mark.asvs("9.1.3")
@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c"])
def test_a_token_never_says_where_its_key_is(op, member):
    checked = verifier(op, source(op))
    with pytest.raises(InvalidToken) as caught:
        checked.verify(token(op, **{member: "https://evil.example/jwks"}))
    assert caught.value.reason == "header"
    assert op.requests == []
