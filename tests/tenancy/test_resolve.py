"""Resolution: candidates agree, one proof, one refusal (cases RS*)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from wellstreak_trust.core import ConfigurationError, FixedClock, Membership, Principal, RequestFacts
from wellstreak_trust.core.address import ClientAddress
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlMembershipStore
from wellstreak_trust.tenancy import (
    AmbiguousTenant,
    ApiKeySource,
    CachedMemberships,
    ClaimSource,
    HeaderSource,
    Memberships,
    MemoryMembershipStore,
    PathSource,
    SubdomainSource,
    TenantNotFound,
    TenantResolver,
)

USER = Principal("u1")
MEMBERSHIPS = Memberships(MemoryMembershipStore())
for owner, tenant in (("u1", "acme"), ("u1", "globex"), ("u2", "initech")):
    MEMBERSHIPS.create_workspace(Principal(owner), tenant_id=tenant)


def facts(host: str = "acme.example.com", path: str = "/", **headers: str) -> RequestFacts:
    return RequestFacts("GET", f"https://{host}{path}", {"Host": host, **headers})


def names(source: Any, request: RequestFacts, principal: Principal = USER) -> list[str]:
    return list(source.candidates(request, principal))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("acme.example.com", ["acme"]),
        ("ACME.Example.COM:8443", ["acme"]),
        ("acme.example.com.", ["acme"]),
        ("a.example.com", ["a"]),
        ("a" * 63 + ".example.com", ["a" * 63]),
        ("a" * 64 + ".example.com", []),
        ("example.com", []),
        (".example.com", []),
        ("acme..example.com", []),
        ("x.acme.example.com", []),
        ("evil-example.com", []),
        ("acme.example.com.evil.org", []),
        ("acme.example.com..", []),
        ("-acme.example.com", []),
        ("acme-.example.com", []),
        ("ac%6de.example.com", []),
        ("acme@example.com", []),
        ("user@acme.example.com", []),
        ("xn--acme-abc.example.com", []),
        ("XN--acme.example.com", []),
        ("acme.example.com:http", []),
        ("acme.example.com\n", []),
        ("ac\u212ae.example.com", []),
        ("acmeXexample.com", []),
        ("", []),
    ],
)
def test_subdomains(host: str, expected: list[str]) -> None:
    assert names(SubdomainSource("Example.com"), facts(host)) == expected


def test_hosts_that_come_twice_or_are_forwarded_name_nothing() -> None:
    """RS01"""
    twice = RequestFacts("GET", "/", [("Host", "acme.example.com"), ("Host", "globex.example.com")])
    forwarded = facts("example.com", **{"X-Forwarded-Host": "acme.example.com"})
    assert names(SubdomainSource("example.com"), twice) == []
    assert names(SubdomainSource("example.com"), forwarded) == []


@pytest.mark.asvs("4.1.3")
@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        ("10.0.0.1", ["acme.example.com"], ["acme"]),
        ("10.0.0.1", [], ["globex"]),
        ("10.0.0.1", ["acme.example.com, initech.example.com"], []),
        ("10.0.0.1", ["acme.example.com", "acme.example.com"], []),
        ("10.0.0.1", ["acme.example.com.evil.org"], []),
        ("10.0.0.2", ["acme.example.com"], ["globex"]),
        ("203.0.113.7", ["acme.example.com"], ["globex"]),
        (None, ["acme.example.com"], ["globex"]),
    ],
)
def test_a_forwarded_host_counts_from_a_named_proxy_alone(
    peer: str | None, lines: list[str], expected: list[str]
) -> None:
    """RS01"""
    source = SubdomainSource("example.com", proxies=ClientAddress(["10.0.0.1"]))
    fields = [("Host", "globex.example.com"), *(("X-Forwarded-Host", line) for line in lines)]
    assert names(source, RequestFacts("GET", "/", fields, peer=peer)) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/w/acme/", ["acme"]),
        ("/w/acme/billing?x=/w/globex/", ["acme"]),
        ("/w/acme", ["acme"]),
        ("/w//x", []),
        ("/w/", []),
        ("/W/acme/", []),
        ("//w/acme/", []),
        ("/x/w/acme/", []),
        ("/w/ac%6de/", []),
        ("/w/..%2facme/", []),
    ],
)
def test_paths(path: str, expected: list[str]) -> None:
    assert names(PathSource("/w/{tenant}/"), facts(path=path)) == expected


def test_headers_count_every_value_of_every_line() -> None:
    source = HeaderSource("X-Workspace")
    twice = RequestFacts("GET", "/", [("X-Workspace", "acme"), ("x-workspace", "globex")])
    assert names(source, twice) == names(source, facts(**{"X-Workspace": "acme, globex"})) == ["acme", "globex"]
    assert names(source, facts(**{"X-Workspace": " "})) == []


def test_claims_and_keys() -> None:
    claim = ClaimSource("org")
    assert names(claim, facts(), Principal("u1", attributes={"org": "acme"})) == ["acme"]
    assert names(claim, facts(), Principal("u1", attributes={"org": ["acme"]})) == []
    assert names(claim, facts()) == []
    assert names(ApiKeySource(), facts(), Principal("u1", kind="api_key", tenant_id="acme")) == ["acme"]
    assert names(ApiKeySource(), facts(), Principal("u1", tenant_id="acme")) == []


@pytest.mark.parametrize(
    "build",
    [
        lambda: SubdomainSource("not a domain"),
        lambda: SubdomainSource(""),
        lambda: PathSource("/w/"),
        lambda: PathSource("/w/x{tenant}/"),
        lambda: PathSource("w/{tenant}"),
        lambda: HeaderSource("X Workspace"),
        lambda: TenantResolver([], MEMBERSHIPS),
        lambda: CachedMemberships(MEMBERSHIPS, timedelta(hours=1)),
    ],
)
def test_parts_that_cannot_work_are_refused_at_start(build: Any) -> None:
    with pytest.raises(ConfigurationError):
        build()


def test_the_context_carries_proof_principal_and_entitlements() -> None:
    entitlements = object()
    resolver = TenantResolver([SubdomainSource("example.com"), PathSource("/w/{tenant}/")], MEMBERSHIPS, entitlements)
    context = resolver.resolve(facts(path="/w/acme/x"), USER)
    assert context.tenant_id == context.principal.tenant_id == "acme"
    assert context.membership == MEMBERSHIPS.prove(USER, "acme")
    assert context.roles == {"owner"}
    assert context.entitlements is entitlements
    assert asyncio.run(resolver.aresolve(facts(), USER)) == resolver.resolve(facts(), USER)


@pytest.mark.asvs("2.2.3")
def test_sources_that_disagree_are_refused_in_any_order() -> None:
    sources = [SubdomainSource("example.com"), PathSource("/w/{tenant}/"), HeaderSource("X-Workspace")]
    request = facts(path="/w/globex/", **{"X-Workspace": "acme"})
    for order in permutations(sources):
        with pytest.raises(AmbiguousTenant):
            TenantResolver(order, MEMBERSHIPS).resolve(request, USER)


class Says:
    def __init__(self, candidates: list[str]) -> None:
        self.said = candidates

    def candidates(self, facts: RequestFacts, principal: Principal) -> list[str]:
        return self.said


@given(
    said=st.lists(st.lists(st.sampled_from(["acme", "globex", "initech", "nobody"]), max_size=2), min_size=1),
    seed=st.randoms(use_true_random=False),
)
def test_what_a_request_resolves_to_does_not_depend_on_the_order_of_sources(said: list[list[str]], seed: Any) -> None:
    """The law: one name that all agree on, proved; anything else is refused, and the refusal is the same."""

    def outcome(order: list[list[str]]) -> str:
        try:
            return TenantResolver([Says(names) for names in order], MEMBERSHIPS).resolve(facts(), USER).tenant_id
        except (AmbiguousTenant, TenantNotFound) as refused:
            return refused.code

    shuffled = [seed.sample(names, len(names)) for names in seed.sample(said, len(said))]
    named = {name for names in said for name in names}
    expected = "ambiguous_tenant" if len(named) > 1 else "not_found"
    assert outcome(said) == outcome(shuffled) == (named.pop() if named in ({"acme"}, {"globex"}) else expected)


def test_unknown_and_foreign_tenants_cost_the_same_statements(sqlite: Engine) -> None:
    """RS03: the same timing class is the same single lookup, also behind the cache, however often it is asked."""
    memberships = Memberships(SqlMembershipStore(Database(sqlite)))
    memberships.create_workspace(Principal("u2"), tenant_id="initech")
    statements: list[str] = []
    event.listen(sqlite, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    costs = []
    for prover in (memberships, CachedMemberships(memberships)):
        resolver = TenantResolver([HeaderSource("X-Workspace")], prover)
        for value in ("initech", "nobody") * 2:
            statements.clear()
            with pytest.raises(TenantNotFound):
                resolver.resolve(facts(**{"X-Workspace": value}), USER)
            costs.append(list(statements))
    assert costs == [costs[0]] * 8
    assert len(costs[0]) == 1


def test_unknown_and_foreign_tenants_cannot_be_told_apart() -> None:
    """RS03: also a request that names none, one that names garbage, and a credential bound elsewhere."""
    resolver = TenantResolver([HeaderSource("X-Workspace")], MEMBERSHIPS)
    answers = []
    for value, who in [
        ("initech", USER),
        ("nobody", USER),
        ("", USER),
        ("\x00'; DROP", USER),
        ("acme", Principal("u1", tenant_id="globex")),
    ]:
        with pytest.raises(TenantNotFound) as refused:
            resolver.resolve(facts(**{"X-Workspace": value}), who)
        answers.append((refused.value.problem(), str(refused.value), refused.value.status))
    assert answers == [answers[0]] * len(answers)
    assert "initech" not in repr(answers)


def test_a_prover_that_answers_for_somebody_else_is_not_believed() -> None:
    class Wrong:
        suspends = False

        async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
            return Membership("globex", principal.id, frozenset(("owner",)))

    with pytest.raises(TenantNotFound):
        TenantResolver([SubdomainSource("example.com")], Wrong()).resolve(facts(), USER)


@settings(max_examples=100, deadline=None)
@given(host=st.text(max_size=80), path=st.text(max_size=40), value=st.text(max_size=40))
def test_any_request_resolves_or_is_refused(host: str, path: str, value: str) -> None:
    sources = [SubdomainSource("example.com"), PathSource("/w/{tenant}/"), HeaderSource("X-Workspace")]
    request = RequestFacts("GET", path, {"Host": host, "X-Workspace": value})
    try:
        context = TenantResolver(sources, MEMBERSHIPS).resolve(request, USER)
    except (TenantNotFound, AmbiguousTenant):
        return
    assert context.tenant_id in ("acme", "globex")


# --- the cache -------------------------------------------------------------------------------------------------------


class Counting:
    suspends = False

    def __init__(self, membership: Membership | None) -> None:
        self.membership, self.reads = membership, 0

    async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
        self.reads += 1
        return self.membership


def test_a_proof_is_remembered_for_its_age_and_no_longer() -> None:
    """RS05"""
    clock = FixedClock(datetime(2026, 11, 24, tzinfo=UTC))
    inner = Counting(Membership("acme", "u1", frozenset(("member",)), 3))
    cached = CachedMemberships(inner, clock=clock)
    assert cached.prove(USER, "acme") == cached.prove(USER, "acme")
    assert inner.reads == 1
    inner.membership = None
    clock.advance(timedelta(seconds=30) - timedelta(microseconds=1))
    assert cached.prove(USER, "acme") is not None
    clock.advance(timedelta(microseconds=1))
    assert cached.prove(USER, "acme") is None
    assert cached.prove(USER, "acme") is None
    assert inner.reads == 3


@pytest.mark.asvs("8.3.2")
def test_a_change_in_this_process_evicts_at_once() -> None:
    memberships = Memberships(MemoryMembershipStore())
    memberships.create_workspace(USER, tenant_id="acme")
    cached = CachedMemberships(memberships)
    resolver = TenantResolver([SubdomainSource("example.com")], cached)
    owner = resolver.resolve(facts(), USER)
    invitation = memberships.invite(owner, "two@example.com", ["owner"])
    second = Principal("u2", attributes={"email": "two@example.com", "email_verified": True})
    memberships.accept(invitation.token, second)
    assert cached.prove(second, "acme") is not None
    memberships.remove(owner, "u2")
    assert cached.prove(second, "acme") is None
    memberships.change_roles(owner, "u1", ["owner", "admin"])
    assert resolver.resolve(facts(), USER).roles == {"owner", "admin"}


def test_a_bump_evicts_what_is_older_and_only_that() -> None:
    """RS05: the version is part of what a proof is worth, in every order of events."""
    inner = Counting(Membership("acme", "u1", frozenset(("member",)), 3))
    cached = CachedMemberships(inner)
    cached.prove(USER, "acme")
    for version, reads in ((1, 1), (3, 1), (4, 2), (2, 3)):
        cached.bump("acme", "u1", version)
        cached.prove(USER, "acme")
        assert inner.reads == reads  # below version 4 nothing is remembered any more
    inner.membership = Membership("acme", "u1", frozenset(("member",)), 4)
    cached.prove(USER, "acme")
    cached.prove(USER, "acme")
    assert inner.reads == 4
    cached.bump("acme", "u2", 9)
    cached.bump("globex", "u1", 9)
    assert cached.prove(USER, "acme") is not None
    assert inner.reads == 4


def test_a_proof_is_not_lent_to_another_kind_of_principal() -> None:
    class Kinds(Counting):
        async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
            found = await super().aprove(principal, tenant_id)
            return found if principal.kind == "user" else None

    cached = CachedMemberships(Kinds(Membership("acme", "u1", frozenset(("owner",)))))
    assert cached.prove(USER, "acme") is not None
    assert cached.prove(Principal("u1", kind="api_key"), "acme") is None
    assert cached.prove(USER, "acme") is not None


def test_a_lookup_that_began_before_the_change_is_not_remembered() -> None:
    class Slow:
        suspends = False

        async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
            cached.bump("acme", "u1", 5)  # the change commits while the answer is on its way
            return Membership("acme", "u1", frozenset(("owner",)), 4)

    cached = CachedMemberships(Slow())
    assert drive(cached.aprove(USER, "acme")) is not None
    assert cached._held == {}
