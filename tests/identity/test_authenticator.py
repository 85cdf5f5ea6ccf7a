"""One request, one credential."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.core import ConfigurationError, RequestFacts
from wellstreak_trust.core.errors import TrustError, UsageError
from wellstreak_trust.identity import (
    ApiKeys,
    Authenticator,
    InvalidCredential,
    JwtVerifier,
    KeySet,
    MemoryApiKeyStore,
    MemorySessionStore,
    SessionManager,
)

NAME = "__Host-ws_session"


@pytest.fixture
def sessions(clock):
    return SessionManager(MemorySessionStore(), clock=clock)


@pytest.fixture
def keys(clock):
    return ApiKeys(MemoryApiKeyStore(), clock=clock)


@pytest.fixture
def authenticator(sessions, keys):
    return Authenticator([sessions, keys])


def facts(*headers: tuple[str, str] | tuple[bytes, bytes]) -> RequestFacts:
    return RequestFacts("GET", "https://acme.example/", headers)


@pytest.fixture
def token(sessions) -> str:
    return sessions.open("u1").token.reveal()


@pytest.fixture
def key(keys) -> str:
    return keys.create(owner_id="u2", tenant_id="t1", scopes={"agents:read"}).secret.reveal()


def test_each_kind_alone(authenticator, token, key):
    assert authenticator.authenticate(facts(("Cookie", f"a=b; {NAME}={token}"))).id == "u1"
    assert authenticator.authenticate(facts(("Authorization", f"Bearer {key}"))).kind == "api_key"
    assert authenticator.authenticate(facts((b"authorization", f"bEARER  {key}".encode()))).id == "u2"


def test_refusals(authenticator, token, key, refused):
    cookie, bearer = ("Cookie", f"{NAME}={token}"), ("Authorization", f"Bearer {key}")
    basic = ("Authorization", "Basic " + base64.b64encode(b"a:b").decode())
    cases = [
        ("none", ()),
        ("none", (("Cookie", "a=b"),)),
        ("many", (cookie, bearer)),
        ("many", (cookie, basic)),
        ("many", (cookie, ("Authorization", ""))),
        ("many", (cookie, cookie)),
        ("many", (("Cookie", f"{NAME}={token}; {NAME}={token}"),)),
        ("many", (("Cookie", f"{NAME}={token}, {NAME}={token}"),)),
        ("many", (("Cookie", f"{NAME}={token}; {NAME}="),)),
        ("many", (bearer, bearer)),
        ("many", (("Authorization", f"Bearer {key}, Bearer {key}"),)),
        ("many", (("Authorization", f"Bearer {key},"),)),
        ("many", (bearer, basic)),
        ("many", (cookie, ("Authorization", f"Bearer {token}"))),
        ("scheme", (basic,)),
        ("scheme", (("Authorization", f"Bearer {token}"),)),
        ("scheme", (("Authorization", key),)),
        ("scheme", (("Authorization", "Bearer"),)),
        ("scheme", (("Authorization", f"Bearer {key} x"),)),
        ("scheme", (("Authorization", "Bearer \xff\xfe"),)),
        ("shape", (("Cookie", f"{NAME}=\xff\xfe"),)),
        ("shape", (("Cookie", f'{NAME}="{token}"'),)),
        ("shape", (("Cookie", f"{NAME}="),)),
        ("oversized", (("Cookie", f"{NAME}=" + "a" * 8_193),)),
        ("oversized", (("Authorization", "Bearer " + "a" * 8_193),)),
    ]
    assert [refused(authenticator.authenticate, facts(*headers)) for _, headers in cases] == [r for r, _ in cases]


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["cookie", "authorization", "Cookie"]),
            st.one_of(
                st.binary(max_size=40), st.sampled_from([b"Bearer a.b.c", b"__Host-ws_session=x", b"Basic eDp5"])
            ),
        ),
        max_size=4,
    )
)
def test_garbage_is_refused_and_nothing_else_escapes(lines):
    authenticator = Authenticator([SessionManager(MemorySessionStore()), ApiKeys(MemoryApiKeyStore())])
    with pytest.raises(InvalidCredential):
        authenticator.authenticate(facts(*((name.encode(), value) for name, value in lines)))


def test_a_member_must_be_one():
    for members in ([], [object()]):
        with pytest.raises(ConfigurationError):
            Authenticator(members)


@pytest.mark.asvs("9.2.2")
def test_id_tokens_are_no_credentials(refused):
    keys = KeySet.from_secret(b"k" * 31 + b"!", kid="k1")
    verifier = JwtVerifier(keys, issuer="https://op.example", audience="a", profile="id_token", algorithms=("HS256",))
    assert refused(Authenticator([verifier]).authenticate, facts(("Authorization", "Bearer a.b.c"))) == "scheme"


def test_the_members_port_decides_whether_it_suspends(clock):
    class Suspending(MemorySessionStore):
        suspends = True

    authenticator = Authenticator([SessionManager(Suspending(), clock=clock)])
    assert authenticator.suspends
    with pytest.raises(TrustError):
        authenticator.authenticate(facts())


@pytest.mark.anyio
async def test_the_async_face(authenticator, key):
    assert (await authenticator.aauthenticate(facts(("Authorization", f"Bearer {key}")))).tenant_id == "t1"


@pytest.mark.parametrize("given", [None, {}, "GET /", object()])
def test_what_is_no_request_is_the_callers_mistake(given):
    with pytest.raises(UsageError, match="RequestFacts"):
        Authenticator([SessionManager(MemorySessionStore())]).authenticate(given)
