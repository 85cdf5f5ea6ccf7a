"""Refresh families: the rules. The stores have a contract suite of their own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from wellstreak_trust.core import ConfigurationError, Principal, UsageError
from wellstreak_trust.core.errors import AuditUnavailable, SecretTampered
from wellstreak_trust.identity import MemoryRefreshStore, ReauthRequired, RefreshFamilies

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def store():
    return MemoryRefreshStore()


@pytest.fixture
def families(store, clock, sink):
    return RefreshFamilies(store, audit=sink, clock=clock)


@pytest.fixture
def refused():
    """As everywhere, but the answer of this kind of credential is `ReauthRequired`."""

    def check(call, *args, **kwargs):
        with pytest.raises(ReauthRequired) as caught:
            call(*args, **kwargs)
        error, blank = caught.value, ReauthRequired()
        assert (error.problem(), error.headers(), str(error)) == (blank.problem(), blank.headers(), str(blank))
        assert (error.status, error.code) == (401, "reauth_required")
        return error.reason

    return check


@pytest.mark.asvs("10.4.5")
def test_each_token_is_used_once(families, store, clock, refused):
    first = families.start("u1", data={"tenant": "t1"})
    text = first.token.reveal()
    assert text.startswith("wsr_")
    assert len(text) == 4 + 43
    assert text not in repr(first)
    clock.advance(MINUTE)
    second = families.rotate(first.token)
    assert second.token != first.token
    assert (second.family_id, second.user_id, second.data) == (first.family_id, "u1", {"tenant": "t1"})
    assert second.expires_at == first.expires_at
    held = repr(store._tokens) + repr(store._families)
    assert text not in held
    assert second.token.reveal() not in held
    clock.advance(MINUTE)
    assert families.rotate(second.token).family_id == first.family_id


def test_a_retry_within_the_grace_gets_the_same_successor(families, clock, refused):
    first = families.start("u1")
    second = families.rotate(first.token)
    clock.advance(10 * SECOND - timedelta(microseconds=1))
    assert families.rotate(first.token) == second
    clock.advance(timedelta(microseconds=1))
    assert refused(families.rotate, first.token) == "reused"


def test_a_late_second_use_ends_the_family_and_is_told_once(families, clock, sink, refused):
    first = families.start("u1")
    second = families.rotate(first.token)
    other = families.start("u1")
    clock.advance(MINUTE)
    assert refused(families.rotate, first.token) == "reused"
    assert refused(families.rotate, first.token) == "revoked"
    assert refused(families.rotate, second.token) == "revoked"
    assert families.rotate(other.token).family_id == other.family_id
    told = [(e.targets[0]["id"], e.data["cause"]) for e in sink.events if e.action == "refresh.ended"]
    assert told == [(first.family_id, "reused")]
    assert first.token.reveal() not in repr(sink.events)


def test_the_trail_cannot_keep_a_thief_alive(families, clock, sink, refused):
    first = families.start("u1")
    second = families.rotate(first.token)
    clock.advance(MINUTE)
    sink.broken = AuditUnavailable("down")
    assert refused(families.rotate, first.token) == "reused"
    assert refused(families.rotate, second.token) == "revoked"


def test_a_family_that_cannot_be_recorded_does_not_live(families, sink):
    sink.broken = AuditUnavailable("down")
    with pytest.raises(AuditUnavailable):
        families.start("u1")
    assert families.list("u1") == []


@pytest.mark.asvs("10.4.8")
def test_a_family_ends_after_its_lifetime_however_often_it_is_used(families, clock, refused):
    grant = families.start("u1")
    for _ in range(29):
        clock.advance(timedelta(days=1))
        grant = families.rotate(grant.token)
    clock.advance(timedelta(days=1))
    assert refused(families.rotate, grant.token) == "expired"
    assert families.list("u1") == []
    assert families.sweep() == 1
    assert refused(families.rotate, grant.token) == "unknown"


def test_an_idle_end(store, clock, refused):
    families = RefreshFamilies(store, idle=timedelta(days=7), clock=clock)
    grant = families.start("u1")
    clock.advance(timedelta(days=6))
    grant = families.rotate(grant.token)
    clock.advance(timedelta(days=7))
    assert refused(families.rotate, grant.token) == "expired"


@pytest.mark.asvs("10.4.5")
def test_a_binding_must_come_each_time(families, refused):
    grant = families.start("u1", binding="client-1")
    for other in (None, "", "client-2", "\ud800", "\x00"):
        assert refused(families.rotate, grant.token, binding=other) == "binding"
    grant = families.rotate(grant.token, binding="client-1")
    assert families.rotate(grant.token, binding="client-1").user_id == "u1"
    assert refused(families.rotate, families.start("u2").token, binding="client-1") == "binding"


@pytest.mark.asvs("10.4.9", "6.5.6")
def test_families_are_listed_and_ended(families, sink, clock, refused):
    one = families.start("u1")
    clock.advance(SECOND)  # the list is by age
    two = families.start("u1", data={"device": "phone"})
    assert [each.family_id for each in families.list("u1")] == [one.family_id, two.family_id]
    assert families.list("u1")[1].data == {"device": "phone"}
    assert not families.revoke_family(one.family_id, user_id="u2")
    assert not families.revoke_family("\x00' OR 1=1")
    assert families.revoke_family(one.family_id, user_id="u1", by=Principal("root"))
    assert not families.revoke_family(one.family_id)
    assert refused(families.rotate, one.token) == "revoked"
    assert families.revoke_all("u2") == 0  # nothing to tell
    assert sink.events[-1].targets[0] == {"type": "refresh_family", "id": one.family_id}
    assert families.revoke_all("u1") == 1
    assert sink.events[-1].data == {"cause": "revoked_all"}
    assert families.revoke_all("u1") == 0
    assert refused(families.rotate, two.token) == "revoked"
    ended = [(e.actor if isinstance(e.actor, dict) else e.actor.id, e.data["cause"]) for e in sink.events[2:]]
    assert ended == [("root", "revoked"), ({"kind": "user", "id": "u1"}, "revoked_all")]


@pytest.mark.parametrize("token", ["", "wsr_", "wss_" + "A" * 43, "wsr_" + "A" * 43 + "\n", None, b"x", "\ud800"])
def test_no_other_text_is_a_token(families, token, refused):
    assert refused(families.rotate, token) == "shape"
    assert refused(families.rotate, "wsr_" + "A" * 43) == "unknown"


def test_a_row_that_was_changed_gives_no_token(families, store, sink):
    grant = families.start("u1")
    families.rotate(grant.token)
    for token in store._tokens.values():
        token.sealed = token.sealed and token.sealed[:-1] + bytes([token.sealed[-1] ^ 1])
    with pytest.raises(SecretTampered):
        families.rotate(grant.token)


@pytest.mark.parametrize(
    "arguments",
    [
        {"grace": -SECOND},
        {"grace": 2 * MINUTE},
        {"lifetime": SECOND},
        {"idle": timedelta()},
    ],
)
def test_what_the_families_refuse(store, arguments):
    with pytest.raises(ConfigurationError):
        RefreshFamilies(store, **arguments)


def test_the_bounds_of_the_grace(store, clock, refused):
    strict = RefreshFamilies(store, grace=timedelta(), clock=clock)
    token = strict.start("u1").token
    strict.rotate(token)
    assert refused(strict.rotate, token) == "reused"
    lenient = RefreshFamilies(store, grace=MINUTE, clock=clock)
    token = lenient.start("u1").token
    after = lenient.rotate(token).token
    clock.advance(MINUTE - SECOND)
    assert lenient.rotate(token).token == after


@pytest.mark.parametrize("arguments", [{"user_id": ""}, {"user_id": "u1", "data": {"x": 1.5}}])
def test_what_start_refuses(families, arguments):
    with pytest.raises(UsageError):
        families.start(**arguments)


@pytest.mark.anyio
async def test_the_async_face(families):
    grant = await families.astart("u1")
    assert (await families.arotate(grant.token)).family_id == grant.family_id
