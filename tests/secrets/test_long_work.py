"""Re-wrap, re-encrypt, verify, import, shred: progress, dry runs, interruption, reports."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import KeyUnavailable, SecretConflict, SecretShredded, SecretTampered, UsageError
from wellstreak_trust.secrets import (
    Fault,
    ImportReport,
    KeyChain,
    LocalKeyProvider,
    MemorySecretBackend,
    ReencryptReport,
    SecretBackend,
    SecretStore,
    VerifyReport,
)

NAMES = [f"name/{number:03}" for number in range(7)]


def fill(store: SecretStore, tenant_id: str = "t1") -> None:
    for name in NAMES:
        store.put(tenant_id, name, f"first of {name}", labels={"a": "b"})
        store.put(tenant_id, name, f"value of {name}".encode())
    store.destroy(tenant_id, NAMES[1], version=1)
    store.disable(tenant_id, NAMES[2])


def whole(store: SecretStore, tenant_id: str = "t1") -> list[Any]:
    """Everything that a re-encryption must leave as it was."""
    found = []
    for name in NAMES:
        for each in store.versions(tenant_id, name):
            value = store.get(tenant_id, name, version=each.version).reveal() if each.state == "enabled" else None
            found.append((name, each.version, each.state, each.kind, each.current, each.created_at, each.labels, value))
    return found


@pytest.mark.asvs("11.2.2")
def test_reencryption_changes_keys_and_nothing_else(store: SecretStore, clock: FixedClock, sink: Any) -> None:
    fill(store)
    fill(store, "t2")
    before, neighbour = whole(store), store.versions("t2", NAMES[0])
    store.put("t1", "other", "x", not_after=clock.now() + timedelta(hours=1), rotate_after=clock.now())
    steps: list[int] = []
    assert store.reencrypt("t1", dry_run=True) == ReencryptReport("t1", 1, 8, 15, (), (), True)
    assert store.describe("t1", "other").key_version == 1
    sink.events.clear()
    report = store.reencrypt("t1", progress=steps.append, batch=3)
    assert report == ReencryptReport("t1", 2, 8, 15, ())
    assert report.complete
    assert steps == [3, 6, 8, 8]
    assert whole(store) == before
    assert store.describe("t1", "other").not_after == clock.now() + timedelta(hours=1)
    for name in NAMES:
        assert {(each.key_version, each.revision > 2) for each in store.versions("t1", name)} == {(2, True)}
    assert store.versions("t2", NAMES[0]) == neighbour
    told = [each for event in sink.events for each in event.data.get("moved", ())]
    assert [each[0] for each in told] == [*NAMES, "other"]
    assert [event.action for event in sink.events[:2]] == ["secrets.key_turned"] * 2
    assert store.put("t1", "new", "y").version == 1
    assert store.describe("t1", "new").key_version == 2
    assert store.verify() == VerifyReport(2, 16, 30, ())


def test_an_interrupted_reencryption_goes_on_with_the_same_key(store: SecretStore) -> None:
    fill(store)
    before = whole(store)

    class Stop(Exception):
        pass

    def stops(done: int) -> None:
        raise Stop

    for done in (2, 4):
        with pytest.raises(Stop):
            store.reencrypt("t1", progress=stops, batch=2)
        moved = [name for name in NAMES if store.describe("t1", name).key_version == 2]
        assert len(moved) == done
        assert whole(store) == before, "half moved, everything reads"
    store.put("t1", NAMES[6], "written meanwhile")
    report = store.reencrypt("t1", batch=2, retire=True)
    assert (report.key_version, report.secrets, report.retired) == (2, 3, (1,))
    assert store.get("t1", NAMES[6]).reveal() == "written meanwhile"
    assert store.reencrypt("t1", retire=True).retired == (2,)
    assert store.verify().sound


def test_reencryption_does_not_make_an_edited_row_look_sound(store: SecretStore, backend: SecretBackend) -> None:
    fill(store)
    older = backend.whole
    edited = NAMES[3]

    async def changes(tenant_id: str, name: str, version: Any, rule: Any, /) -> Any:
        return await real(tenant_id, name, version, lambda locked: _spoilt(rule(locked)))

    real = backend.change
    backend.change = changes  # type: ignore[method-assign]  # an attacker at the database
    store.put("t1", edited, "spoilt")
    backend.change = real  # type: ignore[method-assign]  # and gone
    report = store.reencrypt("t1")
    assert (report.failed, report.secrets, report.complete) == ((edited,), 6, False)
    assert backend.whole == older
    with pytest.raises(SecretTampered):
        store.get("t1", edited)
    assert store.reencrypt("t1", retire=True).retired == (), "the run goes on; its key is not given up"
    assert store.reencrypt("t1", dry_run=True).failed == (edited,)
    assert store.verify("t1").faults == (Fault("t1", edited, None, "SecretTampered"),)


def _spoilt(change: Any) -> Any:
    return change._replace(row=change.row._replace(labels='{"a":"evil"}'))


def test_a_tenant_without_keys_and_a_shredded_one(store: SecretStore) -> None:
    assert store.reencrypt("t1") == ReencryptReport("t1", 0, 0, 0, ())
    store.put("t1", NAMES[0], "x")
    store.shred("t1", confirm="t1")
    with pytest.raises(SecretShredded):
        store.reencrypt("t1")
    assert store.verify() == VerifyReport(1, 1, 1, ()), "what was shredded on purpose is no fault"
    for batch in (0, -1, True, "1"):
        with pytest.raises(UsageError):
            store.reencrypt("t1", batch=batch)  # type: ignore[arg-type]  # wrong on purpose


def test_a_stale_writer_cannot_seal_under_a_turned_key(
    backend: SecretBackend, store: SecretStore, kek: LocalKeyProvider
) -> None:
    other = SecretStore(backend, KeyChain([kek]))
    store.put("t1", NAMES[0], "one")
    assert other.get("t1", NAMES[0]).reveal() == "one"
    store.reencrypt("t1", retire=True)
    assert other.put("t1", NAMES[0], "two").version == 2
    assert store.describe("t1", NAMES[0]).key_version == 2
    assert other.get("t1", NAMES[0]).reveal() == "two"


def test_a_dry_rewrap_writes_nothing(
    backend: SecretBackend, store: SecretStore, kek: LocalKeyProvider, tmp_path: Path
) -> None:
    for tenant in ("t1", "t2"):
        store.put(tenant, "a", "x")
    new = LocalKeyProvider.generate(tmp_path / "new.json")
    turned = SecretStore(backend, KeyChain([new, kek]))
    report = turned.rewrap(dry_run=True)
    assert (report.rewrapped, report.failed, report.dry_run) == (2, (), True)
    assert store.get("t1", "a").reveal() == "x"
    assert turned.rewrap().rewrapped == 2
    assert turned.rewrap(dry_run=True).rewrapped == 0


def test_verify_tells_outage_from_damage(backend: SecretBackend, store: SecretStore, kek: LocalKeyProvider) -> None:
    fill(store)
    seen: list[int] = []
    assert store.verify("t1", progress=seen.append).versions == 14
    assert seen == list(range(1, 8))

    class Down(LocalKeyProvider):
        def unwrap(self, blob: bytes, context: Any, /) -> bytes:
            raise KeyUnavailable("down")

    down = Down("k_0011223344556677", bytes(64))
    down.uri = kek.uri
    with pytest.raises(KeyUnavailable):
        SecretStore(backend, KeyChain([down])).verify()
    wrong = LocalKeyProvider("k_0011223344556677", bytes(64))
    wrong.uri = kek.uri
    faults = SecretStore(backend, KeyChain([wrong])).verify().faults
    assert faults[0] == Fault("t1", "", 1, "SecretTampered")
    assert len(faults) == 8


def test_versions_without_a_head_are_found(kek: LocalKeyProvider) -> None:
    backend = MemorySecretBackend()
    store = SecretStore(backend, KeyChain([kek]))
    store.put("t1", "a", "x")
    backend._heads.clear()
    assert store.verify().faults == (Fault("t1", "a", None, "SecretTampered"),)


def test_fernet_is_taken_over_once(store: SecretStore, sink: Any) -> None:
    keys = [Fernet.generate_key(), Fernet.generate_key()]
    tokens: dict[str, str | bytes] = {
        "text": Fernet(keys[1]).encrypt("é".encode()).decode(),
        "bytes": Fernet(keys[0]).encrypt(b"\xff"),
        "foreign": Fernet(Fernet.generate_key()).encrypt(b"x"),
        "junk": "junk",
        "Not A Name": Fernet(keys[0]).encrypt(b"x"),
        "huge": Fernet(keys[0]).encrypt(bytes(65_537)),
        "taken": Fernet(keys[0]).encrypt(b"new"),
    }
    store.put("t1", "taken", "old")
    sink.events.clear()
    failed = ("foreign", "junk", "Not A Name", "huge")
    dry = store.import_fernet("t1", tokens, keys, dry_run=True)
    assert dry == ImportReport(("text", "bytes"), ("taken",), failed, True)
    assert sink.events == []
    assert [found.name for found in store.list("t1")] == ["taken"]
    steps: list[int] = []
    done = store.import_fernet("t1", iter(tokens.items()), keys, labels={"from": "fernet"}, progress=steps.append)
    assert done == ImportReport(("text", "bytes"), ("taken",), failed)
    assert steps == list(range(1, 8))
    assert store.get("t1", "text").reveal() == "é"
    assert store.get("t1", "bytes").reveal() == b"\xff"
    assert store.get("t1", "taken").reveal() == "old"
    assert dict(store.describe("t1", "text").labels) == {"from": "fernet"}
    assert store.import_fernet("t1", tokens, keys).skipped == ("text", "bytes", "taken")
    for wrong in ([], ["x"], [b"x" * 44], [7]):
        with pytest.raises(UsageError):
            store.import_fernet("t1", tokens, wrong)


def test_an_import_that_is_overtaken_skips(store: SecretStore, backend: SecretBackend) -> None:
    key = Fernet.generate_key()
    real = backend.change

    async def late(*arguments: Any) -> Any:
        raise SecretConflict(0, 1)

    backend.change = late  # type: ignore[method-assign]  # a neighbour wrote between look and write
    report = store.import_fernet("t1", {"a": Fernet(key).encrypt(b"x")}, [key])
    backend.change = real  # type: ignore[method-assign]  # as it was
    assert (report.imported, report.skipped) == ((), ("a",))


def test_a_receipt_says_what_backups_hold(store: SecretStore, kek: LocalKeyProvider) -> None:
    fill(store)
    store.reencrypt("t1")
    receipt = store.shred("t1", confirm="t1")
    assert (receipt.keys, receipt.secrets, receipt.kek_uris) == ((1, 2), 7, (kek.uri,))
    assert kek.uri in receipt.backups
    assert "2026-11-24" in receipt.backups
    again = store.shred("t1", confirm="t1")
    assert (again.keys, again.kek_uris) == ((), ())
    assert kek.uri not in again.backups
