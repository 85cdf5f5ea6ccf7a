"""Credentials of agents: minted downwards only, alive with their parent only, and what policies make of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.core import ConfigurationError, FixedClock, Principal, RequestFacts, UsageError
from wellstreak_trust.core.errors import AuditUnavailable, Denied, StoreUnavailable
from wellstreak_trust.identity import (
    AgentIssuer,
    AgentParent,
    AgentVerifier,
    ApiKeys,
    Authenticator,
    Dpop,
    DpopSigner,
    DpopTokens,
    InvalidCredential,
    InvalidToken,
    JwtIssuer,
    JwtVerifier,
    LiveParents,
    MemoryApiKeyStore,
    MemoryDpopStore,
    MemorySessionStore,
    SessionManager,
)
from wellstreak_trust.identity.agent_claims import act_of, agents_of
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlApiKeyStore, SqlSessionStore

ISSUER, AUDIENCE = "https://app.example.com", "https://api.example.com"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
MINUTE = timedelta(minutes=1)
FIXED = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROLES = {("ada", "acme"): {"member"}, ("bot", "acme"): {"assistant"}, ("sub", "acme"): {"assistant"}}


class House:
    """A host with people, keys and agents."""

    def __init__(self, clock: FixedClock, *, max_depth: int = 3, rights: Callable[..., Any] | None = None) -> None:
        self.clock = clock
        self.sessions_at, self.keys_at = MemorySessionStore(), MemoryApiKeyStore()
        self.sessions = SessionManager(self.sessions_at, clock=clock)
        self.keys = ApiKeys(self.keys_at, rights=rights, clock=clock)
        self.parents = LiveParents(self.sessions_at, api_keys=self.keys_at, rights=rights, clock=clock)
        self.issuer = JwtIssuer(KEY, issuer=ISSUER, clock=clock)
        self.agents = AgentIssuer(self.issuer, audience=AUDIENCE, parents=self.parents, max_depth=max_depth)
        self.verifier = AgentVerifier(
            self.issuer,
            issuer=ISSUER,
            audience=AUDIENCE,
            parents=self.parents,
            roles=lambda who, where: ROLES.get((who, where), set()),
            clock=clock,
        )

    def ada(self, **more: Any) -> Principal:
        return self.sessions.authenticate(self.sessions.open("ada", **{"tenant_id": "acme", **more}).token)

    def mint(self, behind: Principal, agent_id: str = "bot", **more: Any):
        order = {"scopes": {"notes:read", "notes:update"}, "run_id": "run-1", **more}
        return self.agents.mint(behind, agent_id, **order)

    def agent(self, behind: Principal, agent_id: str = "bot", **more: Any) -> Principal:
        return self.verifier.authenticate(self.mint(behind, agent_id, **more).token)


@pytest.fixture
def house(clock) -> House:
    return House(clock)


def claims_of(token: Any) -> dict[str, Any]:
    return pyjwt.decode(token.reveal(), options={"verify_signature": False})


# --- what is minted ------------------------------------------------------------------------------------------------


def test_the_claims_are_those_of_a_delegation(house):
    """RFC 8693: sub is on whose behalf (4.1), act who acts, scope a list with spaces (4.2)."""
    ada = house.ada()
    made = house.mint(ada, resources={"note:2", "note:1"}, lifetime=2 * MINUTE)
    at = int(house.clock.now().timestamp())
    assert claims_of(made.token) == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "act": {"sub": "bot"},
        "scope": "notes:read notes:update",
        "tenant_id": "acme",
        "run_id": "run-1",
        "parent": {"kind": "session", "id": ada.session_id},
        "resources": ["note:1", "note:2"],
        "jti": made.id,
        "iat": at,
        "exp": at + 120,
    }
    assert pyjwt.get_unverified_header(made.token.reveal())["typ"] == "agent+jwt"
    assert (made.agent_id, made.scopes) == ("bot", {"notes:read", "notes:update"})
    assert made.expires_at == house.clock.now() + 2 * MINUTE
    assert made.token.reveal() not in repr(made)


def test_the_principal_is_the_agent_and_its_actor_the_person(house):
    ada = house.ada(aal=2, amr=("pwd", "otp"))
    found = house.agent(ada)
    assert (found.id, found.kind, found.tenant_id, found.roles) == ("bot", "agent", "acme", {"assistant"})
    assert found.scopes == {"notes:read", "notes:update"}
    assert dict(found.attributes) == {
        "run_id": "run-1",
        "expires_at": int(house.clock.now().timestamp()) + 300,
        "delegated_by": (),
    }
    assert found.actor == replace(ada, roles={"member"})
    assert (found.actor.aal, found.actor.session_id) == (2, ada.session_id)


def test_platform_roles_are_not_borrowed(house):
    root = house.sessions.open("ada", roles={"member", "operator"})
    behind = house.sessions.authenticate(root.token)
    found = house.agent(behind, tenant_id="acme")
    assert found.actor.roles == {"member"}  # that of the tenant, from the roles of this moment
    bare = AgentVerifier(house.issuer, issuer=ISSUER, audience=AUDIENCE, parents=house.parents, clock=house.clock)
    again = bare.authenticate(house.mint(behind, tenant_id="acme").token)
    assert (again.actor.roles, again.roles) == (frozenset(), frozenset())


def test_a_service_with_a_key(house):
    key = house.keys.create(owner_id="ci", tenant_id="acme", scopes={"notes:read"})
    service = house.keys.authenticate(key.secret)
    token = house.mint(service, scopes={"notes:read"}).token
    found = house.verifier.authenticate(token)
    assert (found.actor.id, found.actor.kind, found.actor.credential_id) == ("ci", "api_key", key.id)
    with pytest.raises(Denied):
        house.mint(service)  # notes:update is beyond the key
    house.keys.revoke(key.id)
    with pytest.raises(InvalidToken) as caught:
        house.verifier.authenticate(token)
    assert caught.value.reason == "parent"


def test_a_service_of_the_hosts_own(clock):
    """Whatever the host can end, agents can hang on."""
    living = {("service", "jti-1"): Principal("billing", kind="service", scopes=frozenset({"notes:read"}))}

    class Parents:
        suspends = False

        async def alive(self, parent: AgentParent) -> Principal | None:
            assert (parent.principal_id, parent.tenant_id, parent.run_id) == ("billing", "acme", "run-1")
            return living.get((parent.kind, parent.id))

    issuer = JwtIssuer(KEY, issuer=ISSUER, clock=clock)
    agents = AgentIssuer(issuer, audience=AUDIENCE, parents=Parents())
    verifier = AgentVerifier(issuer, issuer=ISSUER, audience=AUDIENCE, parents=Parents(), clock=clock)
    service = Principal("billing", kind="service", credential_id="jti-1")
    token = agents.mint(service, "bot", scopes={"notes:read"}, run_id="run-1", tenant_id="acme").token
    assert verifier.authenticate(token).actor.credential_id == "jti-1"
    living.clear()
    with pytest.raises(InvalidToken):
        verifier.authenticate(token)


def test_what_is_minted_is_on_record(house, sink):
    agents = AgentIssuer(house.issuer, audience=AUDIENCE, parents=house.parents, audit=sink)
    ada = house.ada()
    made = agents.mint(ada, "bot", scopes={"b", "a"}, run_id="run-1")
    (event,) = sink.events
    assert (event.action, event.outcome, event.tenant_id) == ("agent.credential_minted", "success", "acme")
    assert event.actor is ada
    assert event.targets == ({"type": "agent", "id": "bot"}, {"type": "run", "id": "run-1"})
    assert dict(event.data) == {"credential": made.id, "scopes": "a b"}
    assert made.token.reveal() not in repr(event)
    sink.broken = AuditUnavailable("gone")
    with pytest.raises(AuditUnavailable):
        agents.mint(ada, "bot", scopes={"a"}, run_id="run-1")


def test_a_real_trail_takes_it(house):
    log = AuditLog(MemoryAuditStore(), clock=house.clock)
    agents = AgentIssuer(house.issuer, audience=AUDIENCE, parents=house.parents, audit=log)
    first = agents.mint(house.ada(), "bot", scopes={"a"}, run_id="run-1")
    agents.mint(house.verifier.authenticate(first.token), "sub", scopes={"a"}, run_id="run-1", lifetime=MINUTE)
    assert [event["action"] for event in log.events("acme")] == ["agent.credential_minted"] * 2


# --- only downwards ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behind", "order"),
    [
        ({}, {"tenant_id": "other"}),
        ({"scopes": frozenset({"notes:read"})}, {}),
        ({"scopes": frozenset()}, {}),
        ({"session_id": None}, {}),
        ({"actor": Principal("root")}, {}),
    ],
    ids=["tenant", "scope", "no-scope", "nothing-to-end", "impersonation"],
)
def test_a_person_lends_no_more_than_it_has(house, behind, order):
    with pytest.raises(Denied):
        house.mint(replace(house.ada(), **behind), **order)


@pytest.mark.parametrize(
    "order",
    [
        {"scopes": ()},
        {"scopes": "notes:read"},
        {"scopes": {"a b"}},
        {"scopes": {""}},
        {"scopes": {7}},
        {"scopes": {str(n) for n in range(257)}},
        {"run_id": ""},
        {"run_id": None},
        {"agent_id": "a b"},
        {"agent_id": "é"},
        {"resources": ()},
        {"resources": "note:1"},
        {"lifetime": timedelta()},
        {"lifetime": 15 * MINUTE + timedelta(microseconds=1)},
        {"tenant_id": "a b"},
    ],
    ids=lambda order: "-".join(f"{name}={len(str(value))}" for name, value in order.items()),
)
def test_what_is_no_order(house, order):
    with pytest.raises((UsageError, Denied)):
        house.mint(house.ada(), **{"agent_id": "bot", **order})


def test_an_agent_works_somewhere(house):
    with pytest.raises(UsageError):
        house.mint(house.ada(tenant_id=None))


def test_an_agent_hands_on_a_part(house):
    first = house.agent(house.ada(), resources={"note:1", "note:2"}, lifetime=10 * MINUTE)
    made = house.mint(first, "sub", scopes={"notes:read"}, resources={"note:1"}, lifetime=10 * MINUTE)
    assert claims_of(made.token)["act"] == {"sub": "sub", "act": {"sub": "bot"}}
    second = house.verifier.authenticate(made.token)
    assert (second.id, second.scopes, second.actor.id) == ("sub", {"notes:read"}, "ada")
    assert (second.attributes["delegated_by"], second.attributes["resources"]) == (("bot",), ("note:1",))
    same = house.agent(second, "third", scopes={"notes:read"})
    assert (same.attributes["delegated_by"], same.attributes["resources"]) == (("sub", "bot"), ("note:1",))
    with pytest.raises(Denied):
        house.mint(same, "fourth", scopes={"notes:read"})


@pytest.mark.parametrize(
    "order",
    [
        {"scopes": {"notes:read", "notes:delete"}},
        {"resources": {"note:1", "note:3"}},
        {"run_id": "run-2"},
        {"tenant_id": "other"},
        {"lifetime": 5 * MINUTE},
    ],
    ids=["scopes", "resources", "run", "tenant", "lifetime"],
)
def test_an_agent_hands_on_no_more_than_it_has(house, order):
    first = house.agent(house.ada(), resources={"note:1", "note:2"})
    house.clock.advance(timedelta(seconds=1))
    good = {"scopes": {"notes:read"}, "resources": {"note:1"}, "lifetime": 4 * MINUTE}
    assert house.mint(first, "sub", **good)
    with pytest.raises(Denied):
        house.mint(first, "sub", **{**good, **order})


def test_an_agent_from_elsewhere_hands_on_nothing(house):
    stranger = Principal("bot", kind="agent", tenant_id="acme", actor=house.ada())
    for behind in (stranger, replace(stranger, actor=None)):
        with pytest.raises(Denied):
            house.mint(behind, "sub")


def test_how_deep(clock):
    flat = House(clock, max_depth=1)
    first = flat.agent(flat.ada())
    with pytest.raises(Denied):
        flat.mint(first, "sub", lifetime=MINUTE)
    deep = House(clock, max_depth=8)
    agent = deep.agent(deep.ada())
    for number in range(7):
        agent = deep.agent(agent, f"sub{number}")
    with pytest.raises(Denied):
        deep.mint(agent, "one-more")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sets(st.sampled_from("abcd"), min_size=1), st.integers(1, 900)), min_size=1, max_size=4))
def test_authority_never_grows(steps):
    """Whatever is asked for, along any chain: scopes are a subset, ends are no later, tenant and run stay."""
    house = House(FixedClock(FIXED), max_depth=8)
    behind = replace(house.ada(), scopes=frozenset("abc"))
    agent: Principal | None = None
    for scopes, seconds in steps:
        source = agent or behind
        try:
            made = house.agent(source, "bot", scopes=scopes, lifetime=timedelta(seconds=seconds))
        except Denied:
            continue
        assert made.scopes <= source.scopes
        if agent is not None:
            assert made.attributes["expires_at"] <= agent.attributes["expires_at"]
        assert (made.tenant_id, made.attributes["run_id"], made.actor.id) == ("acme", "run-1", "ada")
        agent = made


# --- while the parent stands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["revoke", "revoke_all", "idle", "absolute"])
def test_every_agent_ends_with_its_parent(house, end):
    ends = {"idle": timedelta(minutes=2), "absolute": timedelta(minutes=2 if end == "absolute" else 9)}
    house.sessions = SessionManager(house.sessions_at, clock=house.clock, **ends)
    ada = house.ada()
    first = house.mint(ada, lifetime=15 * MINUTE)
    second = house.mint(house.verifier.authenticate(first.token), "sub", lifetime=15 * MINUTE)
    for token in (first.token, second.token):
        assert house.verifier.authenticate(token)
    if end == "revoke":
        house.sessions.revoke(ada.session_id)
    elif end == "revoke_all":
        house.sessions.revoke_all("ada")
    else:
        house.clock.advance(2 * MINUTE)
    for token in (first.token, second.token):
        with pytest.raises(InvalidToken) as caught:
            house.verifier.authenticate(token)
        assert caught.value.reason == "parent"
    with pytest.raises(InvalidCredential):
        house.mint(ada)


def test_an_agent_ends_by_itself(house):
    token = house.mint(house.ada()).token
    house.clock.advance(timedelta(minutes=5, seconds=30))
    with pytest.raises(InvalidToken) as caught:
        house.verifier.authenticate(token)
    assert caught.value.reason == "time"


@pytest.mark.asvs("8.3.2")
def test_what_the_parent_loses_its_agents_lose(clock):
    rights: dict[str, set[str] | None] = {"ci": {"notes:read", "notes:update"}}
    house = House(clock, rights=lambda owner, tenant: rights[owner])
    key = house.keys.create(owner_id="ci", tenant_id="acme", scopes={"notes:read", "notes:update"})
    token = house.mint(house.keys.authenticate(key.secret)).token
    assert house.verifier.authenticate(token).scopes == {"notes:read", "notes:update"}
    rights["ci"] = {"notes:read"}
    assert house.verifier.authenticate(token).scopes == {"notes:read"}
    rights["ci"] = None
    with pytest.raises(InvalidToken):
        house.verifier.authenticate(token)


def test_an_expired_key_is_no_parent(house):
    key = house.keys.create(owner_id="ci", tenant_id="acme", scopes={"notes:read"}, expires_in=MINUTE)
    token = house.mint(house.keys.authenticate(key.secret), scopes={"notes:read"}).token
    house.clock.advance(MINUTE)
    with pytest.raises(InvalidToken) as caught:
        house.verifier.authenticate(token)
    assert caught.value.reason == "parent"


@pytest.mark.parametrize(
    "standing",
    [
        None,
        Principal("eve", tenant_id="acme"),
        Principal("ada", tenant_id="other"),
        Principal("ada", kind="service"),
        Principal("ada", kind="agent", actor=Principal("ada")),
        Principal("ada", actor=Principal("root")),
    ],
    ids=["gone", "another", "tenant", "kind", "agent", "impersonated"],
)
def test_a_parent_that_is_not_what_was_named(house, standing):
    token = house.mint(house.ada()).token

    class Parents:
        suspends = False

        async def alive(self, parent: AgentParent) -> Principal | None:
            return standing

    verifier = AgentVerifier(house.issuer, issuer=ISSUER, audience=AUDIENCE, parents=Parents(), clock=house.clock)
    with pytest.raises(InvalidToken) as caught:
        verifier.authenticate(token)
    assert caught.value.reason == "parent"


def test_a_parent_that_cannot_be_asked_refuses(house):
    token = house.mint(house.ada()).token

    class Gone(MemorySessionStore):
        async def live(self, user_id, /):
            raise StoreUnavailable("gone")

    verifier = AgentVerifier(
        house.issuer, issuer=ISSUER, audience=AUDIENCE, parents=LiveParents(Gone()), clock=house.clock
    )
    with pytest.raises(StoreUnavailable):
        verifier.authenticate(token)


def test_parents_need_a_store():
    with pytest.raises(ConfigurationError):
        LiveParents()
    only = LiveParents(MemorySessionStore())
    assert not only.suspends


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_parents_in_sql(request, clock, engine):
    address = (
        f"sqlite:///{request.getfixturevalue('sqlite_path')}"
        if engine == "sqlite"
        else request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")
    )
    connected = create_engine(address)
    database = Database(connected)
    database.create_all()
    house = House(clock)
    house.sessions = SessionManager(SqlSessionStore(database), clock=clock)
    house.keys = ApiKeys(SqlApiKeyStore(database), clock=clock)
    parents = LiveParents(SqlSessionStore(database), api_keys=SqlApiKeyStore(database), clock=clock)
    agents = AgentIssuer(house.issuer, audience=AUDIENCE, parents=parents)
    verifier = AgentVerifier(house.issuer, issuer=ISSUER, audience=AUDIENCE, parents=parents, clock=clock)
    ada = house.ada()
    token = agents.mint(ada, "bot", scopes={"notes:read"}, run_id="r").token
    assert verifier.authenticate(token).actor.session_id == ada.session_id
    house.sessions.revoke(ada.session_id)
    with pytest.raises(InvalidToken):
        verifier.authenticate(token)
    connected.dispose()


@pytest.mark.anyio
async def test_parents_in_asynchronous_sql(sqlite_path, clock):
    engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}")
    database = AsyncDatabase(engine)
    await database.acreate_all()
    sessions = SessionManager(SqlSessionStore(database), clock=clock)
    parents = LiveParents(SqlSessionStore(database), clock=clock)
    issuer = JwtIssuer(KEY, issuer=ISSUER, clock=clock)
    agents = AgentIssuer(issuer, audience=AUDIENCE, parents=parents)
    verifier = AgentVerifier(issuer, issuer=ISSUER, audience=AUDIENCE, parents=parents, clock=clock)
    assert agents.suspends
    assert verifier.suspends
    ada = await sessions.aauthenticate((await sessions.aopen("ada", tenant_id="acme")).token)
    token = (await agents.amint(ada, "bot", scopes={"notes:read"}, run_id="r")).token
    assert (await verifier.aauthenticate(token)).actor.id == "ada"
    await sessions.arevoke_all("ada")
    with pytest.raises(InvalidToken):
        await verifier.aauthenticate(token)
    await engine.dispose()


# --- in a request, and in a policy ---------------------------------------------------------------------------------


def bearer(token: Any, scheme: str = "Bearer", *more: tuple[str, str]) -> RequestFacts:
    return RequestFacts("GET", AUDIENCE + "/notes", [("Authorization", f"{scheme} {token.reveal()}"), *more])


@pytest.mark.asvs("9.2.2")
def test_beside_every_other_credential(house):
    """In any order of members: each reads its own type alone."""
    access = JwtVerifier(house.issuer, issuer=ISSUER, audience=AUDIENCE, clock=house.clock)
    plain = house.issuer.issue({"aud": AUDIENCE, "sub": "ada"}, typ="at+jwt", lifetime=MINUTE)
    token = house.mint(house.ada()).token
    for members in ([access, house.verifier], [house.verifier, access], [house.sessions, house.verifier, access]):
        both = Authenticator(members)
        assert both.authenticate(bearer(token)).kind == "agent"
        assert both.authenticate(RequestFacts("GET", AUDIENCE, [("Authorization", f"Bearer {plain}")])).kind == "user"
    with pytest.raises(InvalidCredential) as caught:
        Authenticator([access]).authenticate(bearer(token))
    assert caught.value.reason == "scheme"
    with pytest.raises(InvalidToken) as refused:
        access.verify(token)
    assert refused.value.reason == "typ"


def test_bound_to_a_key(house):
    signer = DpopSigner(clock=house.clock)
    token = house.mint(house.ada(), jkt=signer.jkt).token
    dpop = DpopTokens(house.verifier, Dpop(MemoryDpopStore(), clock=house.clock))
    authenticator = Authenticator([house.verifier, dpop])
    proof = ("DPoP", signer.sign("GET", AUDIENCE + "/notes", access_token=token))
    assert authenticator.authenticate(bearer(token, "DPoP", proof)).id == "bot"
    with pytest.raises(InvalidCredential) as caught:
        authenticator.authenticate(bearer(token))
    assert caught.value.reason == "bound"
    house.sessions.revoke_all("ada")
    fresh = ("DPoP", signer.sign("GET", AUDIENCE + "/notes", access_token=token))
    with pytest.raises(InvalidCredential) as ended:
        authenticator.authenticate(bearer(token, "DPoP", fresh))
    assert ended.value.reason == "parent"


@pytest.mark.asvs("10.3.2")
def test_what_a_policy_makes_of_it(house):
    policy = Policy.from_dict(
        {
            "schema": 1,
            "permissions": {"notes:read": {}, "notes:update": {}, "notes:delete": {}},
            "roles": {
                "member": {"allow": ["notes:read", "notes:update"]},
                "assistant": {"allow": ["notes:*"]},
            },
        }
    )
    agent = house.agent(house.ada(), scopes={"notes:read", "notes:delete"})
    assert policy.check(agent, "notes:read")
    assert policy.check(agent, "notes:update").code == "ceiling"  # not among its scopes
    assert policy.check(agent, "notes:delete").code == "ceiling"  # among its scopes, and not the person's
    assert policy.check(agent, "notes:read").audit()["delegation"]["actor_id"] == "ada"
    second = house.agent(agent, "sub", scopes={"notes:read"})
    assert policy.check(second, "notes:read")
    assert policy.check(second, "notes:update").code == "ceiling"


def test_every_refusal_is_the_same_answer(house, refused):
    token = house.mint(house.ada()).token
    authenticator = Authenticator([house.verifier])
    head, _, _ = token.reveal().rpartition(".")
    forged = RequestFacts("GET", AUDIENCE, [("Authorization", f"Bearer {head}.{'A' * 86}")])
    reasons = [refused(authenticator.authenticate, forged)]
    reasons.append(refused(authenticator.authenticate, RequestFacts("GET", AUDIENCE)))
    house.sessions.revoke_all("ada")
    reasons.append(refused(authenticator.authenticate, bearer(token)))
    house.clock.advance(timedelta(hours=1))
    reasons.append(refused(authenticator.authenticate, bearer(token)))
    assert reasons == ["signature", "none", "parent", "time"]


# --- forms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"act": "bot"},
        {"act": {}},
        {"act": {"sub": "bot", "iss": "x"}},
        {"act": {"sub": "bot", "act": None}},
        {"act": act_of([str(n) for n in range(9)])},
        {"scope": ["notes:read"]},
        {"scope": ""},
        {"scope": "a  b"},
        {"tenant_id": ""},
        {"run_id": 7},
        {"parent": "session"},
        {"parent": {"kind": "session"}},
        {"parent": {"kind": "session", "id": 7}},
        {"parent": {"kind": "session", "id": "x", "more": "y"}},
        {"resources": "note:1"},
        {"resources": [7]},
        *({name: None} for name in ("act", "scope", "tenant_id", "run_id", "parent")),
    ],
    ids=lambda changes: json.dumps(changes)[:50],
)
def test_what_is_no_credential_of_an_agent(house, changes):
    ada = house.ada()
    claims = {
        name: value for name, value in claims_of(house.mint(ada).token).items() if name not in ("iss", "iat", "exp")
    }
    token = house.issuer.issue({**claims, **changes}, typ="agent+jwt", lifetime=MINUTE)
    with pytest.raises(InvalidToken) as caught:
        house.verifier.authenticate(token)
    assert caught.value.reason == "claims"


def test_act_reads_back():
    for agents in (("a",), ("a", "b", "c"), tuple(str(n) for n in range(8))):
        assert agents_of(act_of(agents)) == agents


@pytest.mark.parametrize(
    "arguments",
    [{"max_depth": 0}, {"max_depth": 9}, {"max_lifetime": timedelta()}, {"max_lifetime": timedelta(hours=13)}],
    ids=lambda arguments: "-".join(arguments) + str(len(str(arguments))),
)
def test_what_is_no_configuration(house, arguments):
    with pytest.raises(ConfigurationError):
        AgentIssuer(house.issuer, audience=AUDIENCE, parents=house.parents, **arguments)


def test_agents_are_not_signed_with_a_secret(house):
    shared = JwtIssuer(b"s" * 31 + b"!", issuer=ISSUER)
    with pytest.raises(ConfigurationError):
        AgentIssuer(shared, audience=AUDIENCE, parents=house.parents)
