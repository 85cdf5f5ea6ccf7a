"""API keys over memory, SQLite and PostgreSQL."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.core import ConfigurationError, FixedClock, Principal, UsageError
from wellstreak_trust.core.errors import AuditUnavailable
from wellstreak_trust.core.redact import redact_text
from wellstreak_trust.identity import API_KEY_PATTERN, ApiKeys, Denied, MemoryApiKeyStore, NotFound
from wellstreak_trust.storage.sql import SqlApiKeyStore

# Keys in our own format with their checksum, worked out by hand.
KNOWN = (
    "wsk_live_000000000000_000000000000000000000000000000003BFT9o",
    "wsk_live_AbCdEf012345_abcdefghijklmnopqrstuvwxyzABCDEF2PujsK",
    "wsk_live_zzzzzzzzzzzz_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz0pOzY5",
)


@pytest.fixture
def store(database):
    return MemoryApiKeyStore() if database is None else SqlApiKeyStore(database)


def test_the_whole_life_of_a_key(store, clock: FixedClock, refused):
    rights = {"u1": {"agents:read", "agents:update"}}
    keys = ApiKeys(store, rights=lambda owner, tenant: rights.get(owner) if tenant == "t1" else None, clock=clock)
    with pytest.raises(Denied):
        keys.create(owner_id="u1", tenant_id="t1", scopes={"agents:read", "billing:update"})
    with pytest.raises(Denied):
        keys.create(owner_id="u1", tenant_id="t2", scopes={"agents:read"})
    created = keys.create(owner_id="u1", tenant_id="t1", scopes=["agents:read", "agents:update"], name="CI")
    assert re.fullmatch(API_KEY_PATTERN, created.secret.reveal())
    assert created.secret.reveal() not in repr(created)
    found = keys.authenticate(created.secret)
    assert (found.id, found.kind, found.tenant_id, found.credential_id) == ("u1", "api_key", "t1", created.id)
    assert found.scopes == {"agents:read", "agents:update"}

    rights["u1"] = {"agents:read", "members:invite"}
    assert keys.authenticate(created.secret).scopes == {"agents:read"}
    del rights["u1"]
    assert refused(keys.authenticate, created.secret) == "owner"
    rights["u1"] = {"agents:read"}

    clock.advance(timedelta(minutes=59))
    keys.authenticate(created.secret)
    (listed,) = keys.list("t1")
    assert (listed.name, listed.last_used_at) == ("CI", clock.now() - timedelta(minutes=59))
    assert keys.list("t2") == []
    clock.advance(timedelta(minutes=1))
    keys.authenticate(created.secret)
    assert keys.list("t1")[0].last_used_at == clock.now()

    with pytest.raises(NotFound):
        keys.rotate(created.id, tenant_id="t2")
    second = keys.rotate(created.id, overlap=timedelta(hours=1), tenant_id="t1")
    assert [info.id for info in keys.list("t1")] == [created.id, second.id]
    assert keys.authenticate(created.secret).credential_id == created.id
    assert keys.authenticate(second.secret).credential_id == second.id
    clock.advance(timedelta(hours=1))
    assert refused(keys.authenticate, created.secret) == "expired"
    with pytest.raises(NotFound):
        keys.rotate(created.id)
    assert not keys.revoke(second.id, tenant_id="t2")
    assert not keys.revoke("\x00")
    assert keys.revoke(second.id, tenant_id="t1")
    assert not keys.revoke(second.id)
    assert refused(keys.authenticate, second.secret) == "unknown"


def test_the_default_lifetime(clock, refused):
    keys = ApiKeys(MemoryApiKeyStore(), clock=clock)
    created = keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"})
    assert created.expires_at == clock.now() + timedelta(days=90)
    clock.advance(timedelta(days=90))
    assert refused(keys.authenticate, created.secret) == "expired"


@pytest.mark.parametrize("key", KNOWN)
def test_checksums(key, refused):
    assert ApiKeys.is_well_formed(key)
    assert not ApiKeys.is_well_formed(key[:-1] + ("0" if key[-1] != "0" else "1"))
    assert not ApiKeys.is_well_formed(key + "\n")
    assert refused(ApiKeys(MemoryApiKeyStore()).authenticate, key) == "unknown"
    assert key not in redact_text(f"key={key}")


def test_a_wrong_secret_for_a_known_id(clock, refused):
    store = MemoryApiKeyStore()
    keys = ApiKeys(store, clock=clock)
    created = keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"})
    row = store._rows.pop(created.id)
    store._rows["zzzzzzzzzzzz"] = row
    assert refused(keys.authenticate, KNOWN[2]) == "unknown"
    assert created.secret.reveal().encode() not in row.digest


@settings(max_examples=60)
@given(st.one_of(st.text(), st.none(), st.from_regex(r"wsk_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}")))
def test_no_other_text_is_a_key(token):
    assert not ApiKeys.is_well_formed(token) or token in KNOWN


@pytest.mark.parametrize(
    "arguments",
    [
        {"owner_id": ""},
        {"tenant_id": ""},
        {"scopes": ()},
        {"scopes": "agents:read"},
        {"expires_in": timedelta()},
        {"expires_in": timedelta(days=367)},
    ],
)
def test_what_create_refuses(arguments):
    with pytest.raises(UsageError):
        ApiKeys(MemoryApiKeyStore()).create(**{"owner_id": "u1", "tenant_id": "t1", "scopes": {"a:b"}, **arguments})


@pytest.mark.anyio
async def test_rights_may_be_awaited(clock):
    async def rights(owner, tenant):
        return {"a:b"}

    keys = ApiKeys(MemoryApiKeyStore(), rights=rights, clock=clock)
    created = await keys.acreate(owner_id="u1", tenant_id="t1", scopes={"a:b"})
    assert (await keys.aauthenticate(created.secret)).scopes == {"a:b"}
    with pytest.raises(ConfigurationError):
        keys.authenticate(created.secret)


# --- makers, owners, trail -------------------------------------------------------------------------------------------


def test_a_key_for_whoever_asks(clock):
    keys = ApiKeys(MemoryApiKeyStore(), rights=lambda owner, tenant: {"a:b", "c:d"}, clock=clock)
    made = keys.create_for(
        Principal("u1", tenant_id="t1"), scopes={"a:b"}, name=" CI\x00\ud800 ", expires_in=timedelta(days=1)
    )
    (info,) = keys.list("t1")
    assert (info.owner_id, info.tenant_id, info.name, info.scopes) == ("u1", "t1", "CI", {"a:b"})
    assert made.expires_at == clock.now() + timedelta(days=1)
    limited = Principal("u1", tenant_id="t1", scopes=frozenset({"a:b"}))
    assert keys.create_for(limited, scopes={"a:b"}).scopes == {"a:b"}
    with pytest.raises(Denied):
        keys.create_for(limited, scopes={"a:b", "c:d"})


def test_the_keys_of_who_leaves_end(store, clock, refused):
    keys = ApiKeys(store, clock=clock)
    made = [keys.create(owner_id="u1", tenant_id=tenant, scopes={"a:b"}).secret for tenant in ("t1", "t1", "t2")]
    other = keys.create(owner_id="u2", tenant_id="t1", scopes={"a:b"}).secret
    assert keys.revoke_all("u1", tenant_id="t1") == 2
    assert [refused(keys.authenticate, secret) for secret in made[:2]] == ["unknown"] * 2
    assert keys.authenticate(made[2]).tenant_id == "t2"
    assert keys.revoke_all("u1") == 1
    assert keys.revoke_all("u1") == 0
    assert keys.authenticate(other).id == "u2"


def test_what_is_recorded(clock, sink):
    keys = ApiKeys(MemoryApiKeyStore(), audit=sink, clock=clock)
    maker = Principal("u1", tenant_id="t1")
    first = keys.create_for(maker, scopes={"a:b"})
    second = keys.rotate(first.id, by=Principal("root"))
    keys.revoke(first.id, by=maker)
    keys.revoke_all("u1")
    told = [(e.action, e.tenant_id, e.targets[0]["id"], e.data.get("cause")) for e in sink.events]
    assert told == [
        ("api_key.created", "t1", first.id, None),
        ("api_key.rotated", "t1", second.id, None),
        ("api_key.revoked", "t1", first.id, "revoked"),
        ("api_key.revoked", "t1", second.id, "revoked_all"),
    ]
    assert (sink.events[0].actor, sink.events[1].actor.id) == (maker, "root")
    assert first.secret.reveal() not in repr(sink.events)


def test_a_key_that_cannot_be_recorded_does_not_work(clock, sink):
    store = MemoryApiKeyStore()
    keys = ApiKeys(store, audit=sink, clock=clock)
    first = keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"})
    sink.broken = AuditUnavailable("down")
    for call in (
        lambda: keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"}),
        lambda: keys.rotate(first.id),
    ):
        with pytest.raises(AuditUnavailable):
            call()
    assert [info.id for info in keys.list("t1")] == [first.id]
    assert keys.revoke(first.id)  # ending one never waits for the trail
