"""Credentials in a URL end up in logs, histories and referrers: none is read from there, however it is spelt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from wellstreak_trust.core import RequestFacts
from wellstreak_trust.core.errors import InvalidCredential
from wellstreak_trust.identity import (
    ApiKeys,
    Authenticator,
    JwtIssuer,
    JwtVerifier,
    MemoryApiKeyStore,
    MemorySessionStore,
    SessionManager,
)

NAMES = ("access_token", "token", "api_key", "apikey", "key", "authorization", "Authorization", "bearer", "session",
         "__Host-ws_session", "cookie", "DPoP", "jwt")  # fmt: skip
ISSUER, API = "https://issuer.example", "https://api.example"


@pytest.fixture
def credentials(clock) -> tuple[Authenticator, dict[str, tuple[str, str]]]:
    """An authenticator of three kinds, and of each a good credential as a header field."""
    sessions, keys = SessionManager(MemorySessionStore(), clock=clock), ApiKeys(MemoryApiKeyStore(), clock=clock)
    issuer = JwtIssuer(b"k" * 32, issuer=ISSUER, alg="HS256", kid="k1", clock=clock)
    verifier = JwtVerifier(issuer, issuer=ISSUER, audience=API, algorithms=("HS256",), clock=clock)
    opened = sessions.open("ada")
    key = keys.create(owner_id="ada", tenant_id="acme", scopes={"agents:read"}).secret.reveal()
    token = issuer.issue({"sub": "ada", "aud": API}, typ="at+jwt", lifetime=timedelta(minutes=5))
    return Authenticator([sessions, keys, verifier]), {
        "session": ("Cookie", f"{opened.cookie.name}={opened.token.reveal()}"),
        "key": ("Authorization", f"Bearer {key}"),
        "jwt": ("Authorization", f"Bearer {token}"),
    }


@pytest.mark.asvs("14.2.1")
@pytest.mark.parametrize("kind", ["session", "key", "jwt"])
def test_no_credential_is_read_from_a_url(kind, credentials):
    authenticator, good = credentials
    value = good[kind][1].removeprefix("Bearer ").rpartition("=")[2]
    urls = [f"https://acme.example/?{name}={value}" for name in NAMES]
    urls += [f"https://acme.example/?{name}=Bearer%20{value}" for name in NAMES]
    urls += [
        f"https://acme.example/{value}",
        f"https://{value}@acme.example/",
        f"https://x:{value}@acme.example/",
        f"https://acme.example/;{NAMES[9]}={value}",
        f"https://acme.example/#access_token={value}",
    ]
    for url in urls:
        with pytest.raises(InvalidCredential):
            authenticator.authenticate(RequestFacts("GET", url, []))
    assert authenticator.authenticate(RequestFacts("GET", "https://acme.example/", [good[kind]])).id == "ada"


@pytest.mark.parametrize("body", [b"access_token=%s", b'{"access_token": "%s"}'])
def test_nor_from_a_body(body, credentials):
    """RFC 6750, 2.2 and 2.3, which this package leaves out."""
    authenticator, good = credentials
    token = good["jwt"][1].removeprefix("Bearer ").encode()
    form = ("Content-Type", "application/x-www-form-urlencoded")
    with pytest.raises(InvalidCredential):
        authenticator.authenticate(RequestFacts("POST", "https://acme.example/", [form], body=body % token))
