"""SessionManager over memory: the rules. The stores have a contract suite of their own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.audit import SDK_ACTIONS
from wellstreak_trust.core import ConfigurationError, Principal, Secret, TrustError, UsageError, drive
from wellstreak_trust.core.errors import AuditUnavailable, InvalidRequest
from wellstreak_trust.identity import Denied, InvalidCredential, MemorySessionStore, ReauthRequired, SessionManager
from wellstreak_trust.identity.session_store import SessionRow
from wellstreak_trust.identity.trail import CAUSES

MINUTE = timedelta(minutes=1)


@pytest.fixture
def store():
    return MemorySessionStore()


@pytest.fixture
def sessions(store, clock):
    return SessionManager(store, clock=clock)


def row_of(store: MemorySessionStore) -> SessionRow:
    (row,) = store._rows.values()
    return row


def test_a_session_carries_the_principal(sessions, clock):
    opened = sessions.open("u1", tenant_id="t1", aal=2, amr=["pwd", "otp"], attributes={"email_verified": True})
    found = sessions.authenticate(opened.token)
    assert found == Principal(
        "u1",
        tenant_id="t1",
        attributes={"email_verified": True},
        session_id=opened.session.id,
        aal=2,
        amr=("pwd", "otp"),
        auth_time=clock.now(),
    )
    assert sessions.authenticate(opened.token.reveal()) is found


@pytest.mark.asvs("7.2.2", "7.2.3", "11.5.1")
def test_the_token_is_256_bits_and_only_its_hash_is_stored(sessions, store):
    opened = sessions.open("u1")
    token = opened.token.reveal()
    assert token.startswith("wss_")
    assert len(token) == 4 + 43
    row = row_of(store)
    assert token[4:].encode() not in row.key
    assert token not in repr(opened)
    assert token not in repr(row)
    assert opened.session.id not in token


@pytest.mark.asvs("3.3.1", "3.3.2", "3.3.3", "3.3.4")
def test_the_cookie(sessions):
    opened = sessions.open("u1")
    value = opened.cookie.header()
    assert value == f"__Host-ws_session={opened.token.reveal()}; Path=/; Secure; HttpOnly; SameSite=Lax"
    removal = sessions.removal_cookie().header()
    assert removal == "__Host-ws_session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"


def test_the_loopback_cookie_drops_secure_and_the_prefix(clock):
    sessions = SessionManager(MemorySessionStore(), insecure_loopback=True, clock=clock)
    value = sessions.open("u1").cookie.header()
    assert value.startswith("ws_session=wss_")
    assert value.endswith("; Path=/; HttpOnly; SameSite=Lax")


@pytest.mark.asvs("7.3.1", "7.3.2")
def test_idle_and_absolute_ends(sessions, clock, refused):
    idle, busy = sessions.open("u1"), sessions.open("u2")
    for _ in range(3):
        clock.advance(timedelta(minutes=10))
        sessions.authenticate(busy.token)
    assert refused(sessions.authenticate, idle.token) == "idle"
    for _ in range(68):
        clock.advance(timedelta(minutes=10))
        sessions.authenticate(busy.token)
    clock.advance(timedelta(minutes=10))
    assert refused(sessions.authenticate, busy.token) == "absolute"


def test_remembered_sessions_have_the_long_ends_and_a_lasting_cookie(sessions, clock, refused):
    opened = sessions.open("u1", remember=True)
    assert f"Max-Age={90 * 86_400};" in opened.cookie.header()
    clock.advance(timedelta(days=13))
    rotated = sessions.rotate(opened.token)
    assert f"Max-Age={77 * 86_400};" in rotated.cookie.header()
    clock.advance(timedelta(days=14))
    assert refused(sessions.authenticate, rotated.token) == "idle"


def test_rotation_keeps_id_and_ends(sessions, clock, refused):
    opened = sessions.open("u1", aal=2, amr=("pwd",))
    clock.advance(timedelta(minutes=20))
    rotated = sessions.rotate(opened.token)
    assert rotated.session.id == opened.session.id
    assert rotated.session.expires_at == opened.session.expires_at
    assert sessions.authenticate(rotated.token).auth_time == opened.session.created_at
    assert refused(sessions.authenticate, opened.token) == "unknown"
    assert refused(sessions.rotate, opened.token) == "unknown"


@pytest.mark.asvs("7.2.4")
def test_step_up(sessions, clock, refused):
    opened = sessions.open("u1", aal=1, amr=("pwd",))
    clock.advance(timedelta(minutes=20))
    stronger = sessions.step_up(opened.token, aal=2, amr=("pwd", "otp"))
    found = sessions.authenticate(stronger.token)
    assert (found.aal, found.amr, found.auth_time) == (2, ("pwd", "otp"), clock.now())
    assert stronger.session.id == opened.session.id
    assert stronger.session.expires_at == opened.session.expires_at
    assert refused(sessions.authenticate, opened.token) == "unknown"
    with pytest.raises(UsageError):
        sessions.step_up(stronger.token, aal=1, amr=())


def test_at_most_max_per_user(store, clock, refused):
    sessions = SessionManager(store, max_per_user=3, clock=clock)
    opened = []
    for _ in range(5):
        opened.append(sessions.open("u1"))
        clock.advance(timedelta(seconds=1))
    assert [info.id for info in sessions.list("u1")] == [each.session.id for each in opened[2:]]
    assert refused(sessions.authenticate, opened[0].token) == "unknown"


@pytest.mark.asvs("7.5.2")
def test_list_shows_devices_and_hides_what_ran_out(sessions, clock):
    sessions.open("u1", device="Firefox\x00 on\nLinux")
    clock.advance(timedelta(minutes=31))
    sessions.open("u1", device="Phone")
    assert [info.device for info in sessions.list("u1")] == ["Phone"]
    assert sessions.list("u2") == []
    assert sessions.sweep() == 0  # opening swept this user's own


@pytest.mark.asvs("14.2.7")
def test_sweep_forgets_what_ran_out(sessions, clock):
    sessions.open("u1")
    clock.advance(timedelta(minutes=31))
    assert sessions.sweep() == 1


def test_a_device_label_is_cleaned(sessions):
    assert sessions.open("u1", device="a\x00b\n" + "c" * 400).session.device == ("a b " + "c" * 196)
    assert sessions.open("u1", device="\n").session.device is None


@pytest.mark.asvs("7.4.1", "7.5.2")
def test_revoke_asks_for_the_owner(sessions, refused):
    opened = sessions.open("u1")
    assert not sessions.revoke(opened.session.id, user_id="u2")
    assert not sessions.revoke("\x00' OR 1=1")
    assert sessions.revoke(opened.session.id, user_id="u1")
    assert not sessions.revoke(opened.session.id)
    assert refused(sessions.authenticate, opened.token) == "unknown"


@pytest.mark.asvs("7.4.3")
def test_revoke_all_but_the_one_that_asked(sessions, refused):
    first, second = sessions.open("u1"), sessions.open("u1")
    sessions.revoke_all("u1", except_=second.session.id)
    assert refused(sessions.authenticate, first.token) == "unknown"
    assert sessions.authenticate(second.token).id == "u1"
    sessions.revoke_all("u1")
    assert refused(sessions.authenticate, second.token) == "unknown"


def test_impersonation(sessions, clock, refused):
    admin = sessions.open("admin", aal=2, amr=("pwd", "otp"))
    acting = sessions.impersonate(admin.token, "u1", reason="  ticket 4711 ", tenant_id="t1")
    found = sessions.authenticate(acting.token)
    assert (found.id, found.tenant_id, found.reason, found.aal) == ("u1", "t1", "ticket 4711", 2)
    assert found.actor is not None
    assert found.actor.id == "admin"
    assert acting.session.actor_id == "admin"
    rotated = sessions.rotate(acting.token)
    assert sessions.authenticate(rotated.token).actor == found.actor
    with pytest.raises(Denied):
        sessions.impersonate(rotated.token, "u2", reason="nested")
    with pytest.raises(Denied):
        sessions.step_up(rotated.token, aal=3, amr=())
    assert sessions.authenticate(admin.token).actor is None
    sessions.end_impersonation(rotated.token)
    assert refused(sessions.authenticate, rotated.token) == "unknown"
    assert sessions.authenticate(admin.token).id == "admin"
    assert refused(sessions.end_impersonation, admin.token) == "no_actor"


def test_an_impersonation_ends_after_its_duration_and_with_the_actor(sessions, clock, refused):
    admin = sessions.open("admin")
    acting = sessions.impersonate(admin.token, "u1", reason="r", duration=timedelta(minutes=10))
    second = sessions.impersonate(admin.token, "u2", reason="r")
    clock.advance(timedelta(minutes=10))
    assert refused(sessions.authenticate, acting.token) == "idle"
    sessions.revoke(admin.session.id)
    assert refused(sessions.authenticate, second.token) == "unknown"
    clock.advance(timedelta(hours=11))


def test_an_impersonation_never_outlives_the_actors_session(store, clock):
    sessions = SessionManager(store, idle=timedelta(hours=1), absolute=timedelta(hours=1), clock=clock)
    admin = sessions.open("admin")
    clock.advance(timedelta(minutes=45))
    acting = sessions.impersonate(admin.token, "u1", reason="r")
    assert acting.session.expires_at == admin.session.expires_at


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "x" * 501])
def test_an_impersonation_needs_a_reason(sessions, reason):
    admin = sessions.open("admin")
    with pytest.raises(InvalidRequest):
        sessions.impersonate(admin.token, "u1", reason=reason)


def test_nobody_impersonates_himself(sessions):
    with pytest.raises(Denied):
        sessions.impersonate(sessions.open("admin").token, "admin", reason="r")


def test_touches_are_coalesced(clock):
    class Counting(MemorySessionStore):
        swaps = 0

        async def swap(self, key, row, /):
            self.swaps += 1
            return await super().swap(key, row)

    store = Counting()
    sessions = SessionManager(store, clock=clock)
    opened = sessions.open("u1")
    for _ in range(60):
        clock.advance(timedelta(seconds=3))
        sessions.authenticate(opened.token)
    assert store.swaps == 1


def test_a_touch_that_loses_to_a_revocation_brings_nothing_back(clock, refused):
    class Revoking(MemorySessionStore):
        async def swap(self, key, row, /):
            await self.end(row.id, user_id=None)
            return await super().swap(key, row)

    sessions = SessionManager(Revoking(), clock=clock)
    opened = sessions.open("u1")
    clock.advance(timedelta(minutes=5))
    sessions.authenticate(opened.token)
    assert refused(sessions.authenticate, opened.token) == "unknown"


@pytest.mark.asvs("7.2.1")
@settings(max_examples=60)
@given(st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.from_regex(r"wss_[A-Za-z0-9_-]{40,46}\n?")))
def test_no_other_text_is_a_token(token):
    sessions = SessionManager(MemorySessionStore())
    sessions.open("u1")
    with pytest.raises(InvalidCredential):
        sessions.authenticate(token)


@pytest.mark.parametrize(
    "arguments",
    [
        {"aal": 0},
        {"aal": 4},
        {"aal": True},
        {"amr": "pwd"},
        {"attributes": {"score": 1.5}},
        {"attributes": {"nested": {"a": 1}}},
        {"attributes": {"nested": [{"a": 1}]}},
        {"attributes": {"bad": "\ud800"}},
        {"roles": ("support",), "tenant_id": "t1"},
    ],
)
def test_what_open_refuses(sessions, arguments):
    with pytest.raises(UsageError):
        sessions.open("u1", **arguments)


def test_attributes_cannot_be_changed_in_the_store(sessions):
    groups = ["a"]
    opened = sessions.open("u1", attributes={"groups": groups})
    groups.append("admin")
    found = sessions.authenticate(opened.token).attributes
    assert found["groups"] == ("a",)
    with pytest.raises(TypeError):
        found["groups"] = ("admin",)


@pytest.mark.parametrize(
    "arguments",
    [
        {"idle": timedelta()},
        {"idle": timedelta(hours=2), "absolute": timedelta(hours=1)},
        {"max_per_user": 0},
        {"remember_idle": timedelta(days=91)},
    ],
)
def test_what_the_manager_refuses(arguments):
    with pytest.raises(ConfigurationError):
        SessionManager(MemorySessionStore(), **arguments)


def test_memory_is_marked_volatile():
    assert MemorySessionStore().volatile
    assert not MemorySessionStore(allow_memory=True).volatile


# --- audit ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def audited(store, clock, sink):
    return SessionManager(store, clock=clock, audit=sink, max_per_user=2)


def test_what_is_recorded(audited, sink, clock):
    admin = audited.open("admin", tenant_id="t0")
    acting = audited.impersonate(admin.token, "u1", reason="ticket 7", tenant_id="t1")
    audited.end_impersonation(acting.token)
    audited.revoke(admin.session.id, by=Principal("root"))
    audited.revoke_all("admin")
    assert [(e.action, e.tenant_id, e.reason) for e in sink.events] == [
        ("session.opened", "t0", None),
        ("session.impersonated", "t1", "ticket 7"),
        ("session.revoked", "t1", None),
        ("session.revoked", "system", None),
        ("session.revoked", "system", None),
    ]
    assert sink.events[1].actor.actor.id == "admin"
    assert sink.events[3].actor.id == "root"
    assert [e.data["cause"] for e in sink.events[2:]] == ["impersonation_ended", "revoked", "revoked_all"]
    assert admin.token.reveal() not in repr(sink.events)


def test_evictions_are_recorded(audited, sink, clock):
    for _ in range(3):
        audited.open("u1")
        clock.advance(MINUTE)
    assert [e.action for e in sink.events].count("session.revoked") == 1


def test_a_session_that_cannot_be_recorded_does_not_live(audited, sink):
    sink.broken = AuditUnavailable("down")
    with pytest.raises(AuditUnavailable):
        audited.open("u1")
    assert audited.list("u1") == []


def test_ending_does_not_wait_for_the_trail(audited, sink, refused):
    opened = audited.open("u1")
    sink.broken = AuditUnavailable("down")
    assert audited.revoke(opened.session.id)
    audited.revoke_all("u1")
    assert refused(audited.authenticate, opened.token) == "unknown"


# --- both faces ----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_async_face_is_the_same(sessions):
    opened = await sessions.aopen("u1")
    rotated = await sessions.arotate(opened.token)
    assert (await sessions.aauthenticate(rotated.token)).id == "u1"
    assert await sessions.alist("u1") == [rotated.session]


def test_the_sync_face_is_refused_over_a_suspending_store(clock):
    class Suspending(MemorySessionStore):
        suspends = True

    with pytest.raises(ConfigurationError) as caught:
        SessionManager(Suspending(), clock=clock).open("u1")
    assert caught.value.reason == "store_suspends"


def test_errors_tell_no_token(sessions):
    token = sessions.open("u1").token
    sessions.revoke_all("u1")
    with pytest.raises(TrustError) as caught:
        sessions.authenticate(token)
    assert token.reveal() not in f"{caught.value!r} {caught.value} {caught.value.detail} {caught.value.hint}"
    assert drive(sessions.alist("u1")) == []
    assert isinstance(token, Secret)


# --- demands, providers, everybody -----------------------------------------------------------------------------------


@pytest.mark.asvs("7.5.1", "7.5.3")
def test_a_strong_and_fresh_sign_in_is_demanded(sessions, clock):
    opened = sessions.open("u1", aal=1)
    principal = sessions.authenticate(opened.token)
    assert sessions.require(principal, max_age=10 * MINUTE) is None
    clock.advance(10 * MINUTE)
    sessions.require(principal, max_age=10 * MINUTE)
    clock.advance(timedelta(seconds=1))
    for demand in ({"max_age": 10 * MINUTE}, {"aal": 2}, {"aal": 2, "max_age": 10 * MINUTE}):
        with pytest.raises(ReauthRequired) as caught:
            sessions.require(principal, **demand)
        assert (caught.value.status, caught.value.code) == (401, "reauth_required")
    assert 'max_age="600"' in caught.value.headers()[0][1]
    stronger = sessions.step_up(opened.token, aal=2, amr=("pwd", "otp"))
    sessions.require(sessions.authenticate(stronger.token), aal=2, max_age=MINUTE)
    with pytest.raises(UsageError):
        sessions.require(principal, aal=4)


@pytest.mark.asvs("7.6.1")
def test_a_log_out_at_the_provider_ends_its_sessions(audited, sink, refused):
    here = audited.open("u1", issuer="https://op.example", subject="ada", sid="s1")
    other = audited.open("u1", issuer="https://op.example", subject="ada", sid="s2")
    assert audited.authenticate(here.token).subject == "ada"
    rotated = audited.rotate(here.token)
    assert audited.end_federated("https://op.example", sid="s1") == 1
    assert audited.end_federated("https://op.example", sid="s1") == 0
    assert refused(audited.authenticate, rotated.token) == "unknown"
    assert audited.authenticate(other.token).id == "u1"
    assert audited.end_federated("https://op.example", subject="bob", sid="s2") == 0
    assert audited.end_federated("https://evil.example", subject="ada") == 0
    assert audited.end_federated("https://op.example", subject="ada") == 1
    assert [e.data["cause"] for e in sink.events if e.action == "session.revoked"] == ["provider_logout"] * 2


@pytest.mark.parametrize(
    "arguments",
    [{"issuer": ""}, {"issuer": "https://op.example"}, {"issuer": "https://op.example", "subject": "", "sid": ""}],
)
def test_a_log_out_names_somebody(sessions, arguments):
    with pytest.raises(UsageError):
        sessions.end_federated(arguments.pop("issuer"), **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"issuer": "https://op.example"},
        {"subject": "ada"},
        {"sid": "s"},
        {"issuer": "x", "subject": ""},
        {"issuer": "x", "subject": "a\x00"},
    ],
)
def test_a_providers_sign_in_is_whole(sessions, arguments):
    with pytest.raises(UsageError):
        sessions.open("u1", **arguments)


@pytest.mark.asvs("7.4.5")
def test_an_operator_ends_everybodys_sessions(audited, sink, refused):
    tokens = [audited.open(name).token for name in ("u1", "u2", "root")]
    audited.revoke_everyone(by=Principal("root"))
    assert {refused(audited.authenticate, token) for token in tokens} == {"unknown"}
    assert (sink.events[-1].actor.id, sink.events[-1].data) == ("root", {"cause": "everyone"})
    assert audited.authenticate(audited.open("u1").token).id == "u1"


@pytest.mark.asvs("7.4.2")
def test_a_disabled_account_is_out_at_once(audited, sink, refused):
    opened = audited.open("u1")
    audited.revoke_all("u1", by=Principal("root"), cause="disabled")
    assert refused(audited.authenticate, opened.token) == "unknown"
    assert sink.events[-1].data == {"cause": "disabled"}


def test_a_step_up_is_recorded_before_it_counts(audited, sink, refused):
    opened = audited.open("u1")
    stronger = audited.step_up(opened.token, aal=2, amr=("otp",))
    assert [(e.action, e.outcome) for e in sink.events[1:]] == [
        ("session.stepped_up", "attempted"),
        ("session.stepped_up", "success"),
    ]
    sink.broken = AuditUnavailable("down")
    with pytest.raises(AuditUnavailable):
        audited.step_up(stronger.token, aal=3, amr=("hwk",))
    assert audited.authenticate(stronger.token).aal == 2


def test_causes_are_a_closed_set(audited, sink, clock):
    audited.open("u1", replaces=audited.open("u1").token)
    for _ in range(2):
        clock.advance(MINUTE)
        audited.open("u1")
    causes = [e.data["cause"] for e in sink.events if e.action == "session.revoked"]
    assert causes == ["replaced", "evicted"]
    assert set(causes) < CAUSES
    declared = {spec.name for spec in SDK_ACTIONS}
    assert {e.action for e in sink.events} <= declared
