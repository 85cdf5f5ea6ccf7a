"""An agent that wants more: wider scopes, another tenant, a longer life, a new parent, a person of its own.

A prompt that was injected into an AI worker holds that worker's credential. What it can do with it is what is tried.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forge import NOW, b64
from wellstreak_trust.core import FixedClock, Principal, RequestFacts
from wellstreak_trust.core.errors import Denied
from wellstreak_trust.identity import (
    AgentIssuer,
    AgentVerifier,
    Authenticator,
    InvalidCredential,
    JwtIssuer,
    JwtVerifier,
    LiveParents,
    MemorySessionStore,
    SessionManager,
)

ISSUER, AUDIENCE = "https://app.example.com", "https://api.example.com"
MINUTE = timedelta(minutes=1)


class Office:
    """Ada, her session, and her assistant, which has been talked into something."""

    def __init__(self) -> None:
        self.clock = FixedClock(NOW)
        self.store = MemorySessionStore()
        self.sessions = SessionManager(self.store, clock=self.clock)
        self.key = Ed25519PrivateKey.generate()
        self.issuer = JwtIssuer(self.key, issuer=ISSUER, kid="k1", clock=self.clock)
        self.parents = LiveParents(self.store, clock=self.clock)
        self.mint = AgentIssuer(self.issuer, audience=AUDIENCE, parents=self.parents).mint
        access = JwtVerifier(self.issuer, issuer=ISSUER, audience=AUDIENCE, clock=self.clock)
        agents = AgentVerifier(self.issuer, issuer=ISSUER, audience=AUDIENCE, parents=self.parents, clock=self.clock)
        self.door = Authenticator([self.sessions, access, agents])
        self.ada = self.person("ada")
        self.token = self.mint(self.ada, "assistant", scopes={"notes:read"}, run_id="run-1").token.reveal()

    def person(self, name: str, tenant_id: str = "acme") -> Principal:
        return self.sessions.authenticate(self.sessions.open(name, tenant_id=tenant_id).token)

    def enter(self, token: str, scheme: str = "Bearer") -> Principal:
        return self.door.authenticate(RequestFacts("GET", AUDIENCE, [("Authorization", f"{scheme} {token}")]))

    def refused(self, token: str) -> str:
        with pytest.raises(InvalidCredential) as caught:
            self.enter(token)
        return caught.value.reason


@pytest.fixture
def office() -> Office:
    return Office()


def edited(token: str, **changes: Any) -> tuple[str, str]:
    head, _, mac = token.split(".")
    claims = {**pyjwt.decode(token, options={"verify_signature": False}), **changes}
    return f"{head}.{b64(claims)}", f"{head}.{b64(claims)}.{mac}"


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "notes:read members:remove"},
        {"sub": "root"},
        {"act": {"sub": "root"}},
        {"tenant_id": "other"},
        {"exp": 2_000_000_000},
        {"parent": {"kind": "session", "id": "0" * 32}},
        {"resources": ["everything"]},
        {"run_id": "run-2"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_token_that_was_edited(office, changes):
    assert office.enter(office.token).id == "assistant"
    assert office.refused(edited(office.token, **changes)[1]) == "signature"


@pytest.mark.parametrize("typ", ["at+jwt", "JWT", "agent+jwt; x=1", "AGENT+JWT\u0000"])
def test_a_token_that_says_it_is_another(office, typ):
    """Re-signed by an attacker, of course: the issuer signs no such thing."""
    text = f"{b64({'typ': typ, 'alg': 'EdDSA', 'kid': 'k1'})}.{office.token.split('.')[1]}"
    mac = b64(Ed25519PrivateKey.generate().sign(text.encode()))
    assert office.refused(f"{text}.{mac}") in {"signature", "scheme"}


def test_an_agent_is_not_its_person(office):
    found = office.enter(office.token)
    assert (found.kind, found.id, found.session_id, found.roles) == ("agent", "assistant", None, frozenset())
    with pytest.raises(InvalidCredential):
        office.sessions.authenticate(office.token)


@pytest.mark.parametrize(
    "wants",
    [
        {"scopes": {"notes:read", "notes:delete"}},
        {"scopes": {"*"}},
        {"tenant_id": "other"},
        {"lifetime": 6 * MINUTE},
        {"run_id": "run-2"},
    ],
    ids=["scopes", "every-scope", "tenant", "lifetime", "run"],
)
def test_a_child_that_is_more_than_its_parent(office, wants):
    agent = office.enter(office.token)
    with pytest.raises(Denied):
        office.mint(agent, "child", **{"scopes": {"notes:read"}, "run_id": "run-1", **wants})


def test_many_small_steps_reach_no_further_than_one(office):
    """Renewing itself at the last moment, again and again, does not move the end."""
    agent = office.enter(office.token)
    end = agent.attributes["expires_at"]
    office.clock.advance(4 * MINUTE)
    for lifetime in (MINUTE, timedelta(seconds=61)):
        try:
            child = office.mint(agent, "assistant", scopes={"notes:read"}, run_id="run-1", lifetime=lifetime)
            assert child.expires_at.timestamp() <= end
        except Denied:
            assert lifetime > MINUTE
    office.clock.advance(MINUTE + timedelta(seconds=30))
    assert office.refused(office.token) == "time"


def test_a_chain_without_end(office):
    agent = office.enter(office.token)
    for depth in range(2):
        made = office.mint(agent, f"a{depth}", scopes={"notes:read"}, run_id="run-1", lifetime=MINUTE)
        agent = office.enter(made.token.reveal())
    with pytest.raises(Denied):
        office.mint(agent, "a2", scopes={"notes:read"}, run_id="run-1", lifetime=MINUTE)


def test_an_agent_outlives_nothing(office):
    agent = office.enter(office.token)
    child = office.mint(agent, "child", scopes={"notes:read"}, run_id="run-1").token.reveal()
    office.sessions.revoke(office.ada.session_id)
    assert {office.refused(token) for token in (office.token, child)} == {"parent"}
    with pytest.raises(InvalidCredential):  # not even to make another one with what it holds in its hands
        office.mint(agent, "late", scopes={"notes:read"}, run_id="run-1", lifetime=MINUTE)


def test_another_session_of_the_same_person_is_no_parent(office):
    """Signing in again does not bring back what was ended."""
    office.sessions.revoke(office.ada.session_id)
    office.person("ada")
    assert office.refused(office.token) == "parent"


@pytest.mark.parametrize(
    "forged",
    [
        {"actor": Principal("root", session_id="0" * 32, tenant_id="acme")},
        {"actor": Principal("other", kind="agent", tenant_id="acme")},
        {"tenant_id": "other"},
    ],
    ids=["person", "agent", "tenant"],
)
def test_a_principal_that_was_put_together_by_hand(office, forged):
    """A host's mistake, not an attacker's reach: still nothing is minted for somebody who is not there."""
    agent = replace(office.enter(office.token), **forged)
    with pytest.raises((Denied, InvalidCredential)):
        office.mint(agent, "child", scopes={"notes:read"}, run_id="run-1", lifetime=MINUTE)


def test_an_impersonator_sends_no_agents(office):
    admin = office.sessions.open("root")
    worn = office.sessions.impersonate(admin.token, "ada", reason="ticket 7", tenant_id="acme")
    with pytest.raises(Denied):
        office.mint(office.sessions.authenticate(worn.token), "child", scopes={"notes:read"}, run_id="r")


def test_nothing_of_a_credential_is_told(office):
    _, forged = edited(office.token, scope="everything")
    with pytest.raises(InvalidCredential) as caught:
        office.enter(forged)
    told = json.dumps(caught.value.problem()) + repr(caught.value) + caught.value.detail
    assert not any(part in told for part in forged.split("."))
    assert "everything" not in told
