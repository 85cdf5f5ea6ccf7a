"""Every kind of credential in one Authenticator: each alone is taken, and no cause of a refusal shows outside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wellstreak_trust.core import FixedClock, RequestFacts
from wellstreak_trust.core.errors import StoreUnavailable
from wellstreak_trust.identity import (
    AgentIssuer,
    AgentVerifier,
    ApiKeys,
    Authenticator,
    Dpop,
    DpopSigner,
    DpopTokens,
    InvalidCredential,
    JwtIssuer,
    JwtVerifier,
    LiveParents,
    MemoryApiKeyStore,
    MemoryDpopStore,
    MemorySessionStore,
    SessionManager,
)

ISSUER, URL = "https://app.example.com", "https://api.example.com/notes"
MINUTE = timedelta(minutes=1)
Headers = list[tuple[str, str]]


class Door:
    """A host that takes sessions, keys, access tokens bound and unbound, and agents."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.store, self.keystore = MemorySessionStore(), MemoryApiKeyStore()
        self.sessions = SessionManager(self.store, clock=clock)
        self.keys = ApiKeys(self.keystore, clock=clock)
        self.issuer = JwtIssuer(Ed25519PrivateKey.from_private_bytes(b"k" * 32), issuer=ISSUER, clock=clock)
        self.signer, self.thief = DpopSigner(clock=clock), DpopSigner(clock=clock)
        parents = LiveParents(self.store, api_keys=self.keystore, clock=clock)
        self.mint = AgentIssuer(self.issuer, audience=URL, parents=parents).mint
        access = JwtVerifier(self.issuer, issuer=ISSUER, audience=URL, clock=clock)
        agents = AgentVerifier(self.issuer, issuer=ISSUER, audience=URL, parents=parents, clock=clock)
        dpop = Dpop(MemoryDpopStore(), clock=clock)
        bound = [DpopTokens(access, dpop), DpopTokens(agents, dpop)]
        self.all = Authenticator([self.sessions, self.keys, access, agents, *bound])

    def access(self, issuer: JwtIssuer | None = None, **changes: Any) -> str:
        claims = {"aud": URL, "sub": "u1", **changes.pop("claims", {})}
        return (issuer or self.issuer).issue(claims, **{"typ": "at+jwt", "lifetime": MINUTE, **changes})

    def shown(self, token: str, signer: DpopSigner | None = None, **changes: Any) -> Headers:
        proof = (signer or self.signer).sign(**{"method": "GET", "url": URL, "access_token": token, **changes})
        return [("Authorization", f"DPoP {token}"), ("DPoP", proof)]

    def agent(self, **more: Any) -> str:
        ada = self.sessions.authenticate(self.sessions.open("ada", tenant_id="acme").token)
        return self.mint(ada, "bot", scopes={"notes:read"}, run_id="r", **more).token.reveal()


def bearer(token: Any) -> Headers:
    return [("Authorization", f"Bearer {token}")]


def cookie(token: Any) -> Headers:
    return [("Cookie", f"__Host-ws_session={token}")]


def good(door: Door) -> dict[str, Headers]:
    """One of each kind that counts."""
    bound = door.access(claims={"cnf": {"jkt": door.signer.jkt}})
    return {
        "session": cookie(door.sessions.open("u1").token.reveal()),
        "key": bearer(door.keys.create(owner_id="u1", tenant_id="t", scopes={"a"}).secret.reveal()),
        "access": bearer(door.access()),
        "bound": door.shown(bound),
        "agent": bearer(door.agent()),
        "bound agent": door.shown(door.agent(jkt=door.signer.jkt)),
    }


def _sessions(door: Door) -> Iterator[Headers]:
    revoked = door.sessions.open("u1")
    door.sessions.revoke(revoked.session.id)
    rotated = door.sessions.open("u1").token
    door.sessions.rotate(rotated)
    good = door.sessions.open("u1").token.reveal()
    for token in (revoked.token.reveal(), rotated.reveal(), "wss_" + "A" * 43, good + "A", good[:-1], "", "x" * 9_000):
        yield cookie(token)
    yield bearer(good)
    yield [*cookie(good), *cookie(good)]


def _keys(door: Door) -> Iterator[Headers]:
    revoked = door.keys.create(owner_id="u1", tenant_id="t", scopes={"a"})
    door.keys.revoke(revoked.id)
    good = door.keys.create(owner_id="u1", tenant_id="t", scopes={"a"}).secret.reveal()
    for token in (
        revoked.secret.reveal(),
        good[:-1] + "0",
        good + "0",
        good.lower(),
        "wsk_live_",
        "wsk_live_" + "0" * 51,
    ):
        yield bearer(token)
    yield cookie(good)
    yield [("Authorization", f"Basic {good}")]


def _tokens(door: Door) -> Iterator[Headers]:
    other = JwtIssuer(Ed25519PrivateKey.generate(), issuer=ISSUER, kid=door.issuer.keys[0].kid, clock=door.clock)
    named = JwtIssuer(Ed25519PrivateKey.generate(), issuer=ISSUER, clock=door.clock)
    good = door.access()
    for token in (
        door.access(other),
        door.access(named),
        door.access(claims={"aud": "other"}),
        door.access(typ="JWT"),
        door.access(typ="id+jwt"),
        door.access(claims={"cnf": {"jkt": "x"}}),
        good[:-4] + "AAAA",
        good + ".AA",
        good.replace(".", "..", 1),
        "a.b.c",
    ):
        yield bearer(token)
    yield bearer(f"{good}, Bearer {good}")
    yield [*bearer(good), *bearer(good)]
    yield [("Authorization", good)]


def _bound(door: Door) -> Iterator[Headers]:
    bound = door.access(claims={"cnf": {"jkt": door.signer.jkt}})
    used = door.shown(bound)
    door.all.authenticate(RequestFacts("GET", URL, used))
    yield used
    yield door.shown(bound, door.thief)
    yield door.shown(bound, method="POST")
    yield door.shown(bound, url=URL + "/1")
    yield door.shown(bound, access_token=None)
    yield door.shown(door.access())
    yield door.shown(bound)[:1]
    yield [*door.shown(bound), door.shown(bound)[1]]
    yield [("Authorization", f"DPoP {bound}"), ("DPoP", "a.b.c")]
    yield bearer(bound)


def _agents(door: Door) -> Iterator[Headers]:
    orphan = door.agent()
    door.sessions.revoke_all("ada")
    yield bearer(orphan)
    good = door.agent()
    yield bearer(good[:-4] + "AAAA")
    yield bearer(door.agent(jkt=door.signer.jkt))
    yield door.shown(door.agent(jkt=door.signer.jkt), door.thief)
    yield bearer(door.access(typ="agent+jwt"))
    yield [*cookie(door.sessions.open("u1").token.reveal()), *bearer(good)]


def _nothing(door: Door) -> Iterator[Headers]:
    yield []
    yield [("Authorization", "")]
    yield [("Authorization", "Bearer")]
    yield [("Authorization", "Bearer \xff")]
    yield [("Authorization", "Basic YTpi")]
    yield [("Cookie", "a=b")]
    yield door.shown(door.access())[1:]


CAUSES: dict[str, Callable[[Door], Iterator[Headers]]] = {
    "sessions": _sessions,
    "keys": _keys,
    "tokens": _tokens,
    "bound": _bound,
    "agents": _agents,
    "nothing": _nothing,
}


@pytest.fixture
def door(clock) -> Door:
    return Door(clock)


def face(door: Door, headers: Headers) -> tuple[str, Any, str]:
    """All that a client sees of a refusal, to the byte."""
    with pytest.raises(InvalidCredential) as caught:
        door.all.authenticate(RequestFacts("GET", URL, headers))
    error = caught.value
    return json.dumps(error.problem()), error.headers(), str(error)


def test_each_kind_alone_is_taken(door):
    kinds = {name: door.all.authenticate(RequestFacts("GET", URL, headers)) for name, headers in good(door).items()}
    assert {name: principal.kind for name, principal in kinds.items()} == {
        "session": "user",
        "key": "api_key",
        "access": "user",
        "bound": "user",
        "agent": "agent",
        "bound agent": "agent",
    }


def test_every_refusal_is_the_same_answer(door):
    faces = {face(door, headers) for causes in CAUSES.values() for headers in causes(door)}
    assert len(faces) == 1
    body, headers, text = faces.pop()
    assert json.loads(body)["code"] == "unauthenticated"
    assert [name for name, _ in headers] == ["WWW-Authenticate"]
    assert text == "Authentication required [unauthenticated]"


def test_what_has_run_out_is_the_same_answer_too(door):
    shown = good(door)
    door.clock.advance(timedelta(days=100))
    assert {face(door, headers) for headers in shown.values()} == {face(door, [])}


@pytest.mark.parametrize("one", ["session", "key", "access", "bound", "agent", "bound agent"])
@pytest.mark.parametrize("other", ["session", "key", "access", "bound", "agent", "bound agent"])
def test_two_good_ones_are_none(door, one, other):
    assert face(door, [*good(door)[one], *good(door)[other]]) == face(door, [])


@pytest.mark.anyio
@pytest.mark.parametrize("kind", CAUSES)
async def test_awaited_it_is_no_different(door, kind):
    expected = face(door, [])
    for headers in CAUSES[kind](door):
        with pytest.raises(InvalidCredential) as caught:
            await door.all.aauthenticate(RequestFacts("GET", URL, headers))
        assert (json.dumps(caught.value.problem()), caught.value.headers(), str(caught.value)) == expected


def test_a_store_that_is_gone_is_no_wrong_credential(door):
    """503, whatever the credential: a client that is told it is nobody throws its credential away."""

    class Gone(MemorySessionStore):
        async def read(self, key, /):
            raise StoreUnavailable("gone")

    with pytest.raises(StoreUnavailable) as caught:
        Authenticator([SessionManager(Gone())]).authenticate(
            RequestFacts("GET", URL, cookie(door.sessions.open("u1").token.reveal()))
        )
    assert caught.value.status == 503
