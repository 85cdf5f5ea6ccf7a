"""The store over every backend: versions, states, expiry, metadata, compare-and-set, re-wrap, shred."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wellstreak_trust.core import FixedClock, Secret
from wellstreak_trust.core.errors import (
    ConfigurationError,
    KeyUnknown,
    SecretConflict,
    SecretDisabled,
    SecretExpired,
    SecretNotFound,
    SecretShredded,
    SecretTampered,
    SecretTooLarge,
    TrustError,
    UsageError,
)
from wellstreak_trust.secrets import (
    KeyChain,
    LocalKeyProvider,
    MemorySecretBackend,
    SecretBackend,
    SecretRef,
    SecretStore,
)

NAME = "slack/bot"


@pytest.mark.asvs("13.3.1")
def test_values_come_back_as_they_went_in(store: SecretStore) -> None:
    values: tuple[Any, ...] = (
        "xoxb-demo",
        "",
        "é🧪\x00",
        b"",
        b"\x00\xff",
        "x" * 65_536,
        Secret("in a secret"),
        Secret(b"b"),
    )
    for version, value in enumerate(values, 1):
        assert store.put("t1", NAME, value) == SecretRef("t1", NAME, version)
        plain = value.reveal() if isinstance(value, Secret) else value
        found = store.get("t1", NAME)
        assert isinstance(found, Secret)
        assert found.reveal() == plain
        assert type(found.reveal()) is type(plain)
        with store.use("t1", NAME) as octets:
            assert bytes(octets) == (plain.encode() if isinstance(plain, str) else plain)
            assert octets.readonly
        assert not any(octets)
    assert store.get("t1", NAME, version=1).reveal() == "xoxb-demo"


def test_a_borrowed_value_is_wiped_after_an_error(store: SecretStore) -> None:
    store.put("t1", NAME, "xoxb-demo")
    with pytest.raises(ZeroDivisionError), store.use("t1", NAME) as octets:
        1 / 0  # noqa: B018  the error is the test
    assert bytes(octets) == bytes(9)


def test_a_borrowed_value_is_lent_once_at_a_time(store: SecretStore) -> None:
    """A second buffer in the same hands would push the first one out, unwiped."""
    store.put("t1", NAME, "xoxb-demo")
    lent = store.use("t1", NAME)
    with lent as octets, pytest.raises(UsageError):
        lent.__enter__()
    assert bytes(octets) == bytes(9)
    with lent as again:
        assert bytes(again) == b"xoxb-demo"


@pytest.mark.parametrize("overlap", [5, timedelta(-1), timedelta.max, timedelta(days=40_000)])
def test_an_overlap_ends_within_reason(store: SecretStore, overlap: Any) -> None:
    """A version whose end no calendar has could not be described any more."""
    store.put("t1", NAME, "one")
    with pytest.raises(UsageError):
        store.rotate("t1", NAME, "two", overlap=overlap)
    assert store.describe("t1", NAME).version == 1


def test_everything_missing_looks_the_same(store: SecretStore) -> None:
    store.put("t1", NAME, "xoxb-demo")
    causes: tuple[tuple[Any, ...], ...] = (
        ("t2", NAME, None),
        ("t1", "other", None),
        ("t1", NAME, 2),
        ("t1", NAME, 2**80),
        ("t1", NAME, 0),
    )
    faces = set()
    for tenant_id, name, version in causes:
        with pytest.raises(SecretNotFound) as caught:
            store.get(tenant_id, name, version=version)
        error = caught.value
        faces.add((str(error), repr(error), str(error.problem()), error.detail, error.hint))
    assert len(faces) == 1
    for missing in (store.describe, store.disable, store.enable, store.destroy):
        with pytest.raises(SecretNotFound):
            missing("t2", NAME)
        with pytest.raises(SecretNotFound):
            missing("t1", NAME, version=2)
    with pytest.raises(SecretNotFound):
        store.rotate("t1", "other", "v")
    assert store.list("t2") == ()


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "-a", "/a", "a\n", "a\x00", "é", "a" * 129, "a%2fb", "..", 7, None, b"a", "\ud800", "ａ"]
)
def test_other_names_are_refused_never_normalised(name: Any) -> None:
    store = SecretStore(MemorySecretBackend(), KeyChain([LocalKeyProvider("k_0011223344556677", bytes(64))]))
    for call in (lambda: store.put("t1", name, "v"), lambda: store.get("t1", name), lambda: store.describe("t1", name)):
        with pytest.raises(UsageError):
            call()


@pytest.mark.parametrize("tenant_id", ["", "t" * 256, "é" * 128, "t\x00", "\ud800", 7, None, b"t"])
def test_other_tenants_are_refused(tenant_id: Any) -> None:
    store = SecretStore(MemorySecretBackend(), KeyChain([LocalKeyProvider("k_0011223344556677", bytes(64))]))
    calls = (store.list, lambda tid: store.put(tid, "a", "v"), lambda tid: store.shred(tid, confirm=tid))
    for call in calls:
        with pytest.raises(UsageError):
            call(tenant_id)


@pytest.mark.parametrize(
    "arguments",
    [
        *({"value": 7}, {"value": None}, {"value": bytearray(3)}, {"value": "\ud800"}),
        *({"expected_version": -1}, {"expected_version": True}, {"expected_version": "1"}),
        *({"not_after": datetime(2027, 1, 1)}, {"rotate_after": datetime(2027, 1, 1)}, {"not_after": 1_900_000_000}),
        *({"labels": ["a"]}, {"labels": "ab"}, {"labels": {1: "a"}}),
        *({"labels": {"a": 1}}, {"labels": {"a b": "c"}}, {"labels": {"a": "x" * 5_000}}, {"labels": {"a": "\x00"}}),
    ],
)
def test_other_arguments_are_refused(arguments: dict[str, Any]) -> None:
    store = SecretStore(MemorySecretBackend(), KeyChain([LocalKeyProvider("k_0011223344556677", bytes(64))]))
    with pytest.raises(UsageError):
        store.put("t1", NAME, **{"value": "v", **arguments})
    with pytest.raises(SecretNotFound):
        store.get("t1", NAME)
    for limits in ({"limit": 0}, {"limit": 1_001}, {"after": None}, {"after": "\ud800"}, {"after": "a\0"}):
        with pytest.raises(UsageError):
            store.list("t1", **limits)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UsageError):
        store.rewrap(batch=0)
    with pytest.raises(UsageError):
        store.get("t1", NAME, version="1")  # type: ignore[arg-type]  # wrong on purpose


def test_sixty_four_kibibytes_and_no_more(store: SecretStore) -> None:
    for value in (b"x" * 65_537, "é" * 32_769):
        with pytest.raises(SecretTooLarge):
            store.put("t1", NAME, value)


def test_compare_and_set(store: SecretStore) -> None:
    assert store.put("t1", NAME, "one", expected_version=0).version == 1
    with pytest.raises(SecretConflict) as caught:
        store.put("t1", NAME, "two", expected_version=0)
    assert (caught.value.expected, caught.value.actual) == (0, 1)
    assert store.put("t1", NAME, "two", expected_version=1).version == 2
    for expected in (0, 1, 3):
        with pytest.raises(SecretConflict):
            store.rotate("t1", NAME, "three", expected_version=expected)
    with pytest.raises(SecretConflict):
        store.put("t1", "other", "v", expected_version=1)
    assert store.get("t1", NAME).reveal() == "two"


@pytest.mark.asvs("14.2.6")
def test_descriptions_are_whole_and_hold_no_value(store: SecretStore, clock: FixedClock) -> None:
    soon, later = clock.now() + timedelta(hours=1), clock.now() + timedelta(days=1, microseconds=7)
    store.put("t1", NAME, "xoxb-demo", not_after=later, rotate_after=soon, labels={"team": "bïlling", "env": "p"})
    store.rotate("t1", NAME, b"two")
    found = store.describe("t1", NAME, version=1)
    assert (found.state, found.kind, found.current, found.revision, found.version) == ("enabled", "text", False, 2, 1)
    assert (found.not_after, found.rotate_after, found.created_at) == (later, soon, clock.now())
    now = store.describe("t1", NAME)
    assert dict(now.labels) == {"team": "bïlling", "env": "p"}, "a rotation keeps labels"
    assert (now.not_after, now.kind, now.current) == (None, "bytes", True), "but not the old value's times"
    assert "xoxb" not in repr(found)
    store.rotate("t1", NAME, "three", labels={})
    assert dict(store.describe("t1", NAME).labels) == {}
    store.rotate("t1", NAME, "four", labels={"a": "b"})
    store.put("t1", NAME, "five")
    assert dict(store.describe("t1", NAME).labels) == {}, "a put says everything"


def test_tenants_are_listed_by_page(store: SecretStore) -> None:
    for tenant in ("b", "a", "c"):
        store.put(tenant, "n", "v")
    assert store.tenants(limit=2) == ("a", "b")
    assert store.tenants(after="b") == ("c",)
    with pytest.raises(UsageError):
        store.tenants(limit=0)


def test_lists_page_by_name(store: SecretStore) -> None:
    names = ["a-b", "a.b", "a/b", "a0", "a_b", "ab"]
    for name in names:
        store.put("t1", name, "v")
    store.put("t2", "aa", "v")
    assert [found.name for found in store.list("t1")] == names
    first = store.list("t1", limit=4)
    assert [found.name for found in store.list("t1", after=first[-1].name)] == names[4:]


@pytest.mark.asvs("13.3.4")
def test_expiry_is_exact(store: SecretStore, clock: FixedClock) -> None:
    at = clock.now() + timedelta(hours=1)
    store.put("t1", NAME, "v", not_after=at, rotate_after=at - timedelta(minutes=30))
    clock.advance(timedelta(hours=1) - timedelta(microseconds=1))
    assert store.get("t1", NAME).reveal() == "v"
    clock.advance(timedelta(microseconds=1))
    for call in (store.get, lambda *at: store.use(*at).__enter__()):
        with pytest.raises(SecretExpired):
            call("t1", NAME)
    assert store.describe("t1", NAME).not_after == at


def test_states(store: SecretStore) -> None:
    for value in ("one", "two"):
        store.put("t1", NAME, value)
    assert store.disable("t1", NAME).state == "disabled"
    with pytest.raises(SecretDisabled):
        store.get("t1", NAME)
    assert store.get("t1", NAME, version=1).reveal() == "one"
    revision = store.describe("t1", NAME).revision
    assert store.disable("t1", NAME).revision == revision, "nothing to do is no change"
    assert store.enable("t1", NAME).revision == revision + 1
    assert store.destroy("t1", NAME, version=1).state == "destroyed"
    assert store.destroy("t1", NAME, version=1).state == "destroyed"
    for call in (store.get, store.enable, store.disable):
        with pytest.raises(SecretShredded):
            call("t1", NAME, version=1)
    assert store.get("t1", NAME).reveal() == "two"
    store.destroy("t1", NAME)
    assert store.put("t1", NAME, "three").version == 3
    assert store.get("t1", NAME).reveal() == "three"


def test_the_key_file_must_be_the_one(store: SecretStore, backend: SecretBackend, tmp_path: Path) -> None:
    store.put("t1", NAME, "v")
    stranger = LocalKeyProvider.generate(tmp_path / "other.json")
    with pytest.raises(KeyUnknown):
        SecretStore(backend, KeyChain([stranger])).get("t1", NAME)
    twin = LocalKeyProvider(KeyChain([stranger]).active.uri.partition(":")[2], bytes(64))
    impostor = SecretStore(backend, KeyChain([twin]))
    with pytest.raises(KeyUnknown):
        impostor.get("t1", NAME)


def test_a_kek_is_rotated_without_opening_secrets(
    store: SecretStore, backend: SecretBackend, kek: LocalKeyProvider, tmp_path: Path
) -> None:
    tenants = [f"t{number}" for number in range(7)]
    for tenant_id in tenants:
        store.put(tenant_id, NAME, tenant_id)
    store.shred("t3", confirm="t3")
    new = LocalKeyProvider.generate(tmp_path / "new.json")
    done: list[int] = []
    rotated = SecretStore(backend, KeyChain([new, kek]))
    report = rotated.rewrap(progress=done.append, batch=2)
    assert (report.rewrapped, report.failed, done) == (6, (), [2, 4, 6])
    assert rotated.rewrap().rewrapped == 0
    only_new = SecretStore(backend, KeyChain([new]))
    for tenant_id in tenants:
        if tenant_id == "t3":
            with pytest.raises(SecretShredded):
                only_new.get(tenant_id, NAME)
        else:
            assert only_new.get(tenant_id, NAME).reveal() == tenant_id
    with pytest.raises(KeyUnknown):  # so a new KEK is made known everywhere before it is made active anywhere
        store.get("t0", NAME)


def test_a_shredded_tenant_stays_shredded(
    store: SecretStore, backend: SecretBackend, kek: LocalKeyProvider, clock: FixedClock
) -> None:
    store.put("t1", NAME, "one")
    store.put("t1", "other", "two")
    store.put("t2", NAME, "kept")
    neighbour = SecretStore(backend, KeyChain([kek]), clock=clock)
    assert neighbour.get("t1", NAME).reveal() == "one"
    with pytest.raises(UsageError):
        store.shred("t1", confirm="t2")
    receipt = store.shred("t1", confirm="t1")
    assert (receipt.tenant_id, receipt.keys, receipt.secrets, receipt.shredded_at) == ("t1", (1,), 2, clock.now())
    for each in (store, neighbour):
        for call in (each.get, each.describe, each.disable, lambda *at: each.put(*at, "new")):  # noqa: B023  called at once
            with pytest.raises(SecretShredded):
                call("t1", NAME)
        with pytest.raises(SecretShredded):
            each.list("t1")
        assert each.get("t2", NAME).reveal() == "kept"
    assert store.shred("t1", confirm="t1").keys == ()
    assert store.shred("t9", confirm="t9").secrets == 0


class Remote:
    """A key service: counts, and does what it is told."""

    blocking = True

    def __init__(self, inner: LocalKeyProvider) -> None:
        self.uri = inner.uri
        self.calls = 0
        self.answer: bytes | TrustError | None = None
        self._inner = inner
        self.status = inner.status
        self.wrap = inner.wrap

    def unwrap(self, blob: bytes, context: Any, /) -> bytes:
        self.calls += 1
        if isinstance(self.answer, TrustError):
            raise self.answer
        return self._inner.unwrap(blob, context) if self.answer is None else self.answer


def test_key_services_are_asked_rarely(backend: SecretBackend, kek: LocalKeyProvider, clock: FixedClock) -> None:
    remote = Remote(kek)
    store = SecretStore(backend, KeyChain([remote]), clock=clock)
    tenants = [f"t{number}" for number in range(5)]
    for tenant_id in tenants:
        store.put(tenant_id, NAME, tenant_id)
    for _ in range(4):
        assert [store.get(tenant_id, NAME).reveal() for tenant_id in tenants] == tenants
    assert remote.calls == 5


@pytest.mark.parametrize("answer", [bytes(64), bytes(32), b"", "x" * 64])
def test_a_key_service_that_answers_with_another_key_is_found_out(
    kek: LocalKeyProvider, clock: FixedClock, answer: Any
) -> None:
    backend, remote = MemorySecretBackend(), Remote(kek)
    SecretStore(backend, KeyChain([remote])).put("t1", NAME, "v")
    remote.answer = answer
    with pytest.raises(SecretTampered):
        SecretStore(backend, KeyChain([remote]), clock=clock).get("t1", NAME)


def test_an_asynchronous_store_has_no_sync_face(kek: LocalKeyProvider) -> None:
    backend = MemorySecretBackend()
    backend.suspends = True
    store = SecretStore(backend, KeyChain([kek]))
    for call in (lambda: store.get("t1", NAME), lambda: store.use("t1", NAME).__enter__()):
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert caught.value.reason == "store_suspends"


def test_times_are_compared_as_instants(store: SecretStore) -> None:
    from datetime import timezone

    at = datetime(2026, 11, 24, 15, 0, tzinfo=timezone(timedelta(hours=2)))
    store.put("t1", NAME, "v", not_after=at)
    assert store.describe("t1", NAME).not_after == datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
