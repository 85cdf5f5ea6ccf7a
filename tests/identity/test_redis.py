"""What only Redis can do wrong, and how many trips it takes. The rules are in the contract suites."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import redis

import servers
from wellstreak_trust.core import FixedClock, drive
from wellstreak_trust.core.errors import StoreMisconfigured, StoreUnavailable
from wellstreak_trust.identity import ApiKeys, InvalidCredential, OneTimeTokens, RefreshFamilies, SessionManager
from wellstreak_trust.storage.redis import (
    RedisApiKeyStore,
    RedisOneTimeTokenStore,
    RedisPort,
    RedisRefreshStore,
    RedisSessionStore,
)

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PATIENT = {"socket_timeout": 10, "socket_connect_timeout": 10}
PREFIXES = (f"r{number}" for number in count())


class Counted:
    """A client that counts what it sends."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.sent: list[str] = []

    def __getattr__(self, name):
        return getattr(self.client, name)

    def execute_command(self, *command):
        self.sent.append(command[0])
        return self.client.execute_command(*command)


@pytest.fixture
def client(redis_url: str) -> Iterator[Counted]:
    client = Counted(redis.Redis.from_url(redis_url, **PATIENT))
    yield client
    client.client.close()


@pytest.fixture
def port(client: Counted) -> RedisPort:
    return RedisPort(client)


def test_a_request_is_one_round_trip(port, client, clock):
    sessions = SessionManager(RedisSessionStore(port, prefix=next(PREFIXES)), clock=clock)
    keys = ApiKeys(RedisApiKeyStore(port, prefix=next(PREFIXES)), clock=clock)
    token = sessions.open("u1", tenant_id="t1", attributes={"email_verified": True}).token
    key = keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"}).secret
    for authenticate in (lambda: sessions.authenticate(token), lambda: keys.authenticate(key)):
        authenticate()  # brings the script along, and records the first use
        client.sent.clear()
        for _ in range(3):
            assert authenticate().id == "u1"
        assert client.sent == ["EVALSHA"] * 3


@pytest.mark.parametrize(
    ("verb", "trips"),
    [("open", 1), ("rotate", 2), ("impersonate", 2), ("revoke", 1), ("revoke_all", 1), ("list", 1), ("federated", 1)],
)
def test_every_other_verb_is_one_script(port, client, clock, verb, trips):
    sessions = SessionManager(RedisSessionStore(port, prefix=next(PREFIXES)), clock=clock)
    opened = sessions.open("u1")
    calls = {
        "open": lambda: sessions.open("u1", replaces=opened.token),
        "rotate": lambda: sessions.rotate(opened.token),
        "impersonate": lambda: sessions.impersonate(opened.token, "u2", reason="r"),
        "revoke": lambda: sessions.revoke(opened.session.id),
        "revoke_all": lambda: sessions.revoke_all("u1", except_=opened.session.id),
        "list": lambda: sessions.list("u1"),
        "federated": lambda: sessions.end_federated("https://op.example", sid="s"),
    }
    client.sent.clear()
    calls[verb]()
    assert client.sent.count("EVALSHA") == trips  # whoever presents a token is proved first
    assert set(client.sent) <= {"EVALSHA", "EVAL"}


def test_the_server_forgets_by_itself(port, client, clock):
    """Whatever ends has an expiry; what does not is the one hash of epochs."""
    prefix = next(PREFIXES)
    sessions = SessionManager(RedisSessionStore(port, prefix=prefix), clock=clock)
    admin = sessions.open("admin", issuer="https://op.example", subject="a", sid="s")
    sessions.impersonate(admin.token, "u1", reason="r")
    sessions.revoke_all("u2")
    OneTimeTokens(RedisOneTimeTokenStore(port, prefix=prefix), "invite", clock=clock).issue("u1")
    families = RefreshFamilies(RedisRefreshStore(port, prefix=prefix), clock=clock)
    families.rotate(families.start("u1").token)
    left = {key.decode(): client.client.pttl(key) for key in client.client.scan_iter(f"{prefix}:*", count=1_000)}
    assert len(left) >= 14
    assert [key for key, ms in left.items() if ms == -1] == [f"{prefix}:{{sessions}}:epochs"]
    assert all(0 < ms <= timedelta(days=31) // timedelta(milliseconds=1) for ms in left.values() if ms != -1)


def test_an_expired_session_leaves_no_index_behind(port, client, clock):
    prefix = next(PREFIXES)
    sessions = SessionManager(RedisSessionStore(port, prefix=prefix), clock=clock)
    sessions.open("u1")
    (key,) = client.client.keys(f"{prefix}:*:s:*")
    client.client.delete(key)  # as the server's expiry does
    assert sessions.list("u1") == []
    assert client.client.keys(f"{prefix}:*") == []


def test_no_token_and_no_secret_lies_in_the_server(port, client, clock):
    prefix = next(PREFIXES)
    sessions = SessionManager(RedisSessionStore(port, prefix=prefix), clock=clock)
    tokens = OneTimeTokens(RedisOneTimeTokenStore(port, prefix=prefix), "invite", clock=clock)
    families = RefreshFamilies(RedisRefreshStore(port, prefix=prefix), clock=clock)
    keys = ApiKeys(RedisApiKeyStore(port, prefix=prefix), clock=clock)
    first = families.start("u1")
    handed_out = [
        sessions.open("u1").token,
        tokens.issue("u1", email="ada@example.org", private="new@example.org").token,
        first.token,
        families.rotate(first.token).token,
        keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"}).secret,
    ]
    held = []
    for key in client.client.keys(f"{prefix}:*"):
        kind = client.client.type(key)
        read = {b"hash": client.client.hgetall, b"string": client.client.get}.get(kind)
        held.append(f"{key!r} {read(key) if read else ''}")
    text = "\n".join(held)
    for secret in handed_out:
        assert secret.reveal() not in text
        assert secret.reveal()[10:30] not in text
    assert "example.org" not in text


# --- faults ----------------------------------------------------------------------------------------------------------

QUICK = {"socket_timeout": 0.3, "socket_connect_timeout": 0.3}


def house(port: RedisPort, clock: FixedClock):
    sessions = SessionManager(RedisSessionStore(port), clock=clock)
    tokens = OneTimeTokens(RedisOneTimeTokenStore(port), "invite", clock=clock)
    families = RefreshFamilies(RedisRefreshStore(port), clock=clock)
    keys = ApiKeys(RedisApiKeyStore(port), clock=clock)
    opened, issued, grant = sessions.open("u1"), tokens.issue("u1"), families.start("u1")
    key = keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"})
    return {
        "session": lambda: sessions.authenticate(opened.token),
        "open": lambda: sessions.open("u1"),
        "revoke_all": lambda: sessions.revoke_all("u2"),
        "token": lambda: tokens.peek(issued.token),
        "refresh": lambda: families.list("u1"),
        "rotate": lambda: families.rotate(grant.token),
        "key": lambda: keys.authenticate(key.secret),
    }


@pytest.fixture
def own_server(redis_url: str) -> Iterator[str]:
    """A server that this test may stop, pause and fill."""
    del redis_url  # skips, or fails, where no server can be had
    given = os.environ.pop(servers.REDIS, None)
    try:
        with servers.redis() as url:
            yield url
    finally:
        if given is not None:
            os.environ[servers.REDIS] = given


def test_a_server_that_is_paused_or_gone_lets_nobody_in(own_server, clock):
    port = RedisPort.from_url(own_server, **QUICK)
    calls = house(port, clock)
    pid = int(port.client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        for name, call in calls.items():
            with pytest.raises(StoreUnavailable) as caught:
                call()
            assert (caught.value.status, caught.value.code) == (503, "unavailable"), name
    finally:
        os.kill(pid, signal.SIGCONT)
    assert calls["session"]().id == "u1"
    port.client.close()
    gone = RedisPort.from_url("redis://127.0.0.1:1/0", **QUICK)
    with pytest.raises(StoreUnavailable):
        SessionManager(RedisSessionStore(gone), clock=clock).authenticate("wss_" + "A" * 43)


def test_full_read_only_and_flushed_servers(own_server, clock):
    port = RedisPort.from_url(own_server, **PATIENT)
    calls = house(port, clock)
    port.client.config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailable):
        calls["open"]()
    port.client.config_set("maxmemory", "0")
    port.client.replicaof("127.0.0.1", "1")
    with pytest.raises(StoreUnavailable):
        calls["revoke_all"]()
    port.client.replicaof("NO", "ONE")
    port.client.script_flush()
    assert calls["session"]().id == "u1"
    port.client.flushall()
    for name in ("session", "token", "key"):
        with pytest.raises(InvalidCredential):
            calls[name]()
    port.client.close()


def test_losing_data_signs_nobody_in_again(own_server, clock):
    """Without an expiry the epochs are never evicted under ``volatile-`` policies, whatever else is."""
    port = RedisPort.from_url(own_server, **PATIENT)
    sessions = SessionManager(RedisSessionStore(port), clock=clock)
    opened = sessions.open("u1")
    sessions.revoke_all("u1")
    for number in range(500):
        port.client.set(f"filler-{number}", "x" * 1_000, ex=60)
    port.client.config_set("maxmemory-policy", "volatile-lru")
    port.client.config_set("maxmemory", str(port.client.info("memory")["used_memory"] - 100_000))
    port.client.set("one more", "x", ex=60)
    assert port.client.info("stats")["evicted_keys"] > 0
    assert port.client.hget("wst:{sessions}:epochs", "u:u1") == b"1"
    with pytest.raises(InvalidCredential):
        sessions.authenticate(opened.token)
    port.client.close()


def test_another_type_under_a_key_is_a_misconfiguration(port, client, clock):
    prefix = next(PREFIXES)
    store = RedisSessionStore(port, prefix=prefix)
    client.client.set(f"{prefix}:{{sessions}}:epochs", "text")
    with pytest.raises(StoreMisconfigured):
        SessionManager(store, clock=clock).open("u1")


class Strange:
    """What a proxy in between may answer."""

    suspends = False

    def __init__(self, reply: object) -> None:
        self.reply = reply

    async def script(self, script, keys, args):
        return self.reply


STRANGE = [None, 7, "OK", b"OK", {"a": 1}, [1], ["a", "b"], [7, 7, 7, 7], [None] * 5, [b"x", None, 7]]


@pytest.mark.parametrize("reply", STRANGE, ids=range(len(STRANGE)))
def test_an_answer_of_another_shape_lets_nobody_in(reply):
    port = Strange(reply)
    key = b"k" * 32
    reads = (
        lambda: RedisSessionStore(port).read(key),
        lambda: RedisOneTimeTokenStore(port).read(key),
        lambda: RedisApiKeyStore(port).read("a" * 12),
        lambda: RedisRefreshStore(port).list("u1"),
    )
    for read in reads:
        try:
            found = drive(read())
        except StoreUnavailable:
            continue
        assert not found  # nobody


@pytest.mark.anyio
async def test_the_asynchronous_port_answers_alike(redis_url, clock):
    port = RedisPort.from_url(redis_url, asynchronous=True, **PATIENT)
    sessions = SessionManager(RedisSessionStore(port, prefix=next(PREFIXES)), clock=clock)
    opened = await sessions.aopen("u1")
    assert (await sessions.aauthenticate(opened.token)).id == "u1"
    await sessions.arevoke_all("u1")
    with pytest.raises(InvalidCredential):
        await sessions.aauthenticate(opened.token)
    await port.client.aclose()
