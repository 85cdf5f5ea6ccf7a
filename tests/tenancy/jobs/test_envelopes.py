"""`JobEnvelopes`: one job, one spelling, the membership as it is when the job runs (case CX13)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.core import ConfigurationError, FixedClock, Membership, Principal, TrustError, UsageError
from wellstreak_trust.storage.redis import RedisJobClaims, RedisPort
from wellstreak_trust.tenancy import (
    CachedMemberships,
    EntitlementDenied,
    Entitlements,
    EntitlementSnapshot,
    Feature,
    HeaderSource,
    Memberships,
    MemoryMembershipStore,
    StaticEntitlements,
    TenantContext,
    TenantNotFound,
    TenantResolver,
    elevate,
    testing_context,
)
from wellstreak_trust.tenancy.jobs import EnvelopeInvalid, JobEnvelopes, MemoryJobClaims

KEY, OLD = bytes(range(32)), bytes(range(1, 33))
NOW = datetime(2026, 11, 24, tzinfo=UTC)
OWNER, MEMBER = Principal("u1"), Principal("u2", attributes={"email": "two@example.com", "email_verified": True})


class House:
    """Two workspaces; u2 is a member of `acme`."""

    def __init__(self, **options: Any) -> None:
        self.clock = FixedClock(NOW)
        self.memberships = Memberships(MemoryMembershipStore(), clock=self.clock)
        for tenant_id in ("acme", "globex"):
            self.memberships.create_workspace(OWNER, tenant_id=tenant_id)
        self.owner = self.context(OWNER)
        self.memberships.accept(self.memberships.invite(self.owner, "two@example.com", ["member"]).token, MEMBER)
        self.envelopes = JobEnvelopes(KEY, self.memberships, clock=self.clock, **options)

    def context(self, who: Principal, tenant_id: str = "acme") -> TenantContext:
        membership = self.memberships.prove(who, tenant_id)
        assert membership is not None
        return TenantContext(tenant_id, who.in_tenant(tenant_id), membership)


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.asvs("8.3.3")
def test_a_job_runs_as_who_queued_it(house: House) -> None:
    envelope = house.envelopes.sign(house.context(MEMBER), "reports.build", b"[7]")
    opened = house.envelopes.open(envelope, "reports.build", b"[7]")
    assert (opened.tenant_id, opened.principal.id, opened.roles) == ("acme", "u2", {"member"})
    assert opened.request_id == house.envelopes.verify(envelope, "reports.build", b"[7]").job_id
    assert asyncio.run(house.envelopes.aopen(envelope, "reports.build", b"[7]")) == opened
    assert envelope.isascii()


def test_what_bounds_the_request_bounds_the_job(house: House) -> None:
    who = Principal("u2", "api_key", scopes=frozenset(("b", "a")), actor=Principal("ops", "service"), aal=3)
    ctx = TenantContext("acme", who, house.memberships.prove(who, "acme"), company_id="eu")
    opened = house.envelopes.open(house.envelopes.sign(ctx, "t", b""), "t", b"")
    assert opened.company_id == "eu"
    assert (opened.principal.kind, opened.principal.scopes) == ("api_key", {"a", "b"})
    assert opened.principal.actor == Principal("ops", "service")
    assert opened.principal.aal == 1
    none = TenantContext("acme", Principal("u2", scopes=frozenset()), ctx.membership)
    assert house.envelopes.open(house.envelopes.sign(none, "t", b""), "t", b"").principal.scopes == frozenset()


def test_the_roles_are_those_of_now(house: House) -> None:
    envelope = house.envelopes.sign(house.context(MEMBER), "t", b"")
    house.memberships.change_roles(house.owner, "u2", ["admin"])
    assert house.envelopes.open(envelope, "t", b"").roles == {"admin"}


def test_a_removed_member_is_refused_and_an_unknown_workspace_looks_the_same(house: House) -> None:
    envelope = house.envelopes.sign(house.context(MEMBER), "t", b"")
    house.memberships.remove(house.owner, "u2")
    with pytest.raises(TenantNotFound) as removed:
        house.envelopes.open(envelope, "t", b"")
    elsewhere = JobEnvelopes(KEY, Memberships(MemoryMembershipStore()), clock=house.clock)
    with pytest.raises(TenantNotFound) as unknown:
        elsewhere.open(envelope, "t", b"")
    assert removed.value.problem() == unknown.value.problem()


def test_a_cached_proof_older_than_the_envelope_is_read_again(house: House) -> None:
    class Replica:
        suspends = False
        answers: Iterator[int] = iter((1, 5, 1, 1, 9))

        async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
            return Membership(tenant_id, principal.id, frozenset(("member",)), next(self.answers))

    cached = CachedMemberships(Replica(), clock=house.clock)
    cached.prove(MEMBER, "acme")
    envelopes = JobEnvelopes(KEY, cached, clock=house.clock)
    ctx = TenantContext("acme", MEMBER, Membership("acme", "u2", frozenset(), 5))
    envelope = envelopes.sign(ctx, "t", b"")
    assert envelopes.open(envelope, "t", b"").membership == Membership("acme", "u2", frozenset(("member",)), 5)
    cached.bump("acme", "u2", 6)
    with pytest.raises(TenantNotFound):
        envelopes.open(envelope, "t", b"")  # a replica that lags behind what was proved before


@pytest.mark.parametrize(
    ("task", "args"), [("ab", b"c"), ("a", b"bc "), ("A", b"bc"), ("", b"abc"), ("abc", b""), ("a\ud800", b"bc")]
)
def test_no_byte_moves_between_task_and_arguments(house: House, task: str, args: bytes) -> None:
    envelope = house.envelopes.sign(house.context(MEMBER), "a", b"bc")
    assert house.envelopes.open(envelope, "a", b"bc").tenant_id == "acme"
    with pytest.raises(EnvelopeInvalid):
        house.envelopes.open(envelope, task, args)


def test_its_age_counts_and_its_end_is_exclusive(house: House) -> None:
    envelope = house.envelopes.sign(house.context(MEMBER), "t", b"")
    house.clock.advance(timedelta(days=1) - timedelta(microseconds=1))
    assert house.envelopes.open(envelope, "t", b"").tenant_id == "acme"
    house.clock.advance(timedelta(microseconds=1))
    with pytest.raises(EnvelopeInvalid):
        house.envelopes.open(envelope, "t", b"")
    house.clock.advance(-timedelta(days=2))
    with pytest.raises(EnvelopeInvalid):
        house.envelopes.open(envelope, "t", b"")


def test_keys_rotate(house: House) -> None:
    before = JobEnvelopes(OLD, house.memberships, clock=house.clock).sign(house.context(MEMBER), "t", b"")
    both = JobEnvelopes(KEY, house.memberships, accepted=[OLD], clock=house.clock)
    assert both.open(before, "t", b"").tenant_id == "acme"
    assert house.envelopes.open(both.sign(house.context(MEMBER), "t", b""), "t", b"").tenant_id == "acme"
    with pytest.raises(EnvelopeInvalid):
        house.envelopes.open(before, "t", b"")
    swapped = ".".join([*both.sign(house.context(MEMBER), "t", b"").split(".")[:1], before.split(".", 1)[1]])
    assert both.open(swapped, "t", b"").tenant_id == "acme"
    active = both.sign(house.context(MEMBER), "t", b"").split(".")
    with pytest.raises(EnvelopeInvalid):
        both.open(".".join([active[0], before.split(".")[1], *active[2:]]), "t", b"")


def test_every_changed_character_and_every_other_spelling_is_refused(house: House) -> None:
    envelope = house.envelopes.sign(house.context(MEMBER), "t", b"x")
    others = [envelope[:at] + other + envelope[at + 1 :] for at in range(len(envelope)) for other in "A_.="]
    others += [envelope + extra for extra in ("=", "==", "\n", " ", ".", "A", "\x00")]
    others += [extra + envelope for extra in (" ", "\n", "w")]
    others += [envelope[:-1], envelope.upper(), envelope.replace("wsj1", "wsj2"), envelope.replace(".", "\u2024")]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others += [envelope[:-1] + other for other in alphabet]  # the last character has two spare bits
    refused = 0
    for other in others:
        if other != envelope:
            with pytest.raises(EnvelopeInvalid):
                house.envelopes.open(other, "t", b"x")
            refused += 1
    assert refused > 4 * len(envelope) - 100


WRONG: list[Any] = ["", "wsj1...", None, 7, b"wsj1", ["wsj1"], "wsj1." * 9000, "wsj1." + "0" * 16 + "." + "A" * 44]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_what_is_no_envelope_is_refused(house: House, wrong: Any) -> None:
    for task, args in (("t", b""), (None, None), ("t", "text")):
        with pytest.raises(EnvelopeInvalid):
            house.envelopes.open(wrong, task, args)  # type: ignore[arg-type]  # as a hostile queue hands it over


HOUSE = House()
GENUINE = HOUSE.envelopes.sign(HOUSE.context(MEMBER), "t", b"x")


def b64(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def lp(*parts: bytes) -> bytes:
    return len(parts).to_bytes(4, "big") + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def signed(content: bytes, key: bytes = KEY) -> str:
    """An envelope of any content, by a signer of our own that knows the key."""
    kid = GENUINE.split(".")[1]
    mac = hmac.digest(key, lp(b"wellstreak-trust/job/v1", kid.encode(), content, b"t", b"x"), hashlib.sha256)
    return f"wsj1.{kid}.{b64(content)}.{b64(mac)}"


CONTENT: dict[str, Any] = json.loads(urlsafe_b64decode(GENUINE.split(".")[2] + "=="))


@given(
    wrong=st.one_of(
        st.text(),
        st.text(alphabet="wsj1.ABCab01-_=", max_size=120),
        st.binary(),
        st.tuples(st.integers(0, len(GENUINE) - 1), st.characters()).map(
            lambda change: GENUINE[: change[0]] + change[1] + GENUINE[change[0] + 1 :]
        ),
        st.binary(max_size=200).map(lambda content: signed(content, OLD)),
        st.binary(max_size=200).map(signed),
        st.dictionaries(st.sampled_from(sorted(CONTENT)), st.none() | st.integers() | st.text() | st.lists(st.text()))
        .map(lambda change: signed(json.dumps({**CONTENT, **change}).encode())),
    )
)  # fmt: skip
def test_no_bytes_give_anything_but_the_one_error(wrong: Any) -> None:
    """Even those that a signer with the key but without our rules made."""
    if wrong != GENUINE:
        with pytest.raises(EnvelopeInvalid) as refused:
            HOUSE.envelopes.open(wrong, "t", b"x")
        assert str(refused.value) == "Invalid job envelope [envelope_invalid]"


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 3000, b"{}", b"null", b"\xff", b'{"v": 1}', b"1" * 5000,
        json.dumps(CONTENT).encode(),
        json.dumps({**CONTENT, "iat": 2**60}, separators=(",", ":"), sort_keys=True).encode(),
        json.dumps({**CONTENT, "kind": "root"}, separators=(",", ":"), sort_keys=True).encode(),
        json.dumps({**CONTENT, "scopes": "admin"}, separators=(",", ":"), sort_keys=True).encode(),
        json.dumps({**CONTENT, "actor": ["user"]}, separators=(",", ":"), sort_keys=True).encode(),
        json.dumps({**CONTENT, "v": 2}, separators=(",", ":"), sort_keys=True).encode(),
    ],
    ids=range(12),
)  # fmt: skip
def test_signed_nonsense_is_refused_too(content: bytes) -> None:
    with pytest.raises(EnvelopeInvalid):
        HOUSE.envelopes.open(signed(content), "t", b"x")


@given(
    task=st.text(st.characters(exclude_categories=["Cs"])),
    args=st.binary(max_size=64),
    tenant_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    who=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100),
)
def test_an_independent_decoder_reads_what_is_signed(task: str, args: bytes, tenant_id: str, who: str) -> None:
    envelope = HOUSE.envelopes.sign(testing_context(tenant_id, id=who), task, args)
    tag, kid, body, code = envelope.split(".")
    content = urlsafe_b64decode(body + "==")
    parts = (b"wellstreak-trust/job/v1", kid.encode(), content, task.encode(), args)
    assert tag == "wsj1"
    assert kid == hmac.digest(KEY, lp(b"wellstreak-trust/job-key/v1"), "sha256").hex()[:16]
    assert hmac.digest(KEY, lp(*parts), "sha256") == urlsafe_b64decode(code + "==")
    found = json.loads(content)
    assert sorted(found) == "actor company iat jti kind membership principal scopes tenant v".split()
    assert (found["tenant"], found["principal"], found["iat"]) == (tenant_id, who, int(NOW.timestamp() * 10**6))
    assert HOUSE.envelopes.verify(envelope, task, args).tenant_id == tenant_id


# --- what does not travel --------------------------------------------------------------------------------------------


def test_contexts_that_rest_on_no_membership_of_their_own_do_not_travel(house: House) -> None:
    with elevate("outage", "OPS-1", 10, audit=list[object]().append, principal=OWNER) as elevation:
        elevated = elevation.context("globex")
    foreign = TenantContext("globex", MEMBER, Membership("acme", "u2", frozenset()))
    borrowed = TenantContext("acme", MEMBER, Membership("acme", "u1", frozenset()))
    for ctx in (elevated, foreign, borrowed, None, "acme"):
        with pytest.raises(UsageError):
            house.envelopes.sign(ctx, "t", b"")  # type: ignore[arg-type]  # refused whatever it is
    many = Principal("u2", scopes=frozenset(f"scope{number}" for number in range(2000)))
    for wrong in (("t", "text"), (7, b"")):
        with pytest.raises(UsageError):
            house.envelopes.sign(house.context(MEMBER), *wrong)  # type: ignore[arg-type]  # as above
    with pytest.raises(UsageError):
        house.envelopes.sign(house.context(many), "t", b"")


@pytest.mark.parametrize(
    ("key", "options"),
    [
        (b"x" * 31, {}),
        ("x" * 32, {}),
        (KEY, {"accepted": [b"short"]}),
        (KEY, {"max_age": timedelta()}),
        (KEY, {"features": {"t": "reports"}}),
    ],
    ids=["short", "text", "short old key", "no age", "features alone"],
)
def test_parts_that_cannot_be_safe_are_refused_at_start(house: House, key: Any, options: Any) -> None:
    with pytest.raises(ConfigurationError):
        JobEnvelopes(key, house.memberships, **options)


def test_the_subscription_is_asked_again() -> None:
    source = StaticEntitlements()
    clock = FixedClock(NOW)
    judge = Entitlements(source, clock=clock)
    house = House(entitlements=judge, features={"export": "export"})
    export = {"export": Feature(read_only=True)}

    def state(status: str, features: dict[str, Feature], version: int) -> None:
        assert source.apply("acme", EntitlementSnapshot("pro", status, None, features, version))

    signed_jobs = {task: house.envelopes.sign(house.context(MEMBER), task, b"") for task in ("mail", "export")}

    def denied(task: str) -> str | None:
        try:
            assert house.envelopes.open(signed_jobs[task], task, b"").entitlements is judge
        except EntitlementDenied as refused:
            return refused.reason
        return None

    assert (denied("mail"), denied("export")) == ("no_subscription", "no_subscription")
    state("active", {}, 1)
    assert (denied("mail"), denied("export")) == (None, "unknown_feature")
    state("paused", export, 2)
    assert (denied("mail"), denied("export")) == ("paused", None)
    state("active", export, 3)
    assert (denied("mail"), denied("export")) == (None, None)


# --- repetitions -----------------------------------------------------------------------------------------------------


def test_a_repetition_is_legal_unless_it_is_claimed(house: House) -> None:
    claims = MemoryJobClaims(house.clock)
    once = JobEnvelopes(KEY, house.memberships, clock=house.clock, claims=claims)
    first, second = (once.sign(house.context(MEMBER), "t", b"") for _ in range(2))
    assert once.verify(first, "t", b"").job_id != once.verify(second, "t", b"").job_id
    assert once.open(first, "t", b"") == once.open(first, "t", b"")
    assert once.open_once(first, "t", b"").tenant_id == "acme"
    with pytest.raises(EnvelopeInvalid):
        once.open_once(first, "t", b"")
    assert asyncio.run(once.aopen_once(second, "t", b"")).tenant_id == "acme"
    house.clock.advance(timedelta(days=1))
    once.open_once(once.sign(house.context(MEMBER), "t", b""), "t", b"")
    assert len(claims._until) == 1
    with pytest.raises(ConfigurationError):
        house.envelopes.open_once(first, "t", b"")


def test_a_refused_job_is_not_claimed(house: House) -> None:
    once = JobEnvelopes(KEY, house.memberships, clock=house.clock, claims=MemoryJobClaims(house.clock))
    envelope = once.sign(house.context(MEMBER), "t", b"")
    member = house.memberships.prove(MEMBER, "acme")
    house.memberships.remove(house.owner, "u2")
    with pytest.raises(TenantNotFound):
        once.open_once(envelope, "t", b"")
    assert member is not None
    house.memberships.accept(house.memberships.invite(house.owner, "two@example.com", ["member"]).token, MEMBER)
    assert once.open_once(envelope, "t", b"").tenant_id == "acme"


def test_claims_hold_across_processes_and_die_by_themselves(redis_url: str, house: House) -> None:
    import redis

    client = redis.Redis.from_url(redis_url, socket_timeout=5)
    claims = RedisJobClaims(RedisPort(client), prefix="test-claims:", clock=house.clock)
    other = RedisJobClaims(RedisPort(client), prefix="test-claims:", clock=house.clock)
    once = JobEnvelopes(KEY, house.memberships, clock=house.clock, claims=claims)
    twin = JobEnvelopes(KEY, house.memberships, clock=house.clock, claims=other)
    envelope = once.sign(house.context(MEMBER), "t", b"")
    assert once.open_once(envelope, "t", b"").tenant_id == "acme"
    with pytest.raises(EnvelopeInvalid):
        twin.open_once(envelope, "t", b"")
    (key,) = client.keys("test-claims:*")
    assert 86_400 < client.ttl(key) <= 86_700
    client.delete(key)
    client.close()


def test_a_context_that_a_resolver_proved_travels(house: House) -> None:
    from wellstreak_trust.core import RequestFacts

    resolver = TenantResolver([HeaderSource("X-Workspace")], house.memberships)
    ctx = resolver.resolve(RequestFacts("GET", "/", {"X-Workspace": "acme"}), OWNER)
    try:
        opened = house.envelopes.open(house.envelopes.sign(ctx, "t", b""), "t", b"")
    except TrustError as error:
        pytest.fail(repr(error))
    assert opened.roles == {"owner"}
