"""Sealing, reading and rotating secrets, beside bare AES-GCM, Fernet and the AWS Encryption SDK.

``python bench/secret_store.py``. Rounds are interleaved, because machines drift; times are process time, figures the
medians of the rounds, ratios those of the medians. The Encryption SDK belongs to the bench group of dependencies.
``SECRETS=20000`` makes the re-encryption short.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import report
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, create_engine, select

from wellstreak_trust.core import SystemClock, drive
from wellstreak_trust.secrets import (
    EnvelopeContext,
    EnvelopeKey,
    KeyChain,
    LocalKeyProvider,
    MemorySecretBackend,
    SecretStore,
    envelope,
)
from wellstreak_trust.secrets.rows import Locked
from wellstreak_trust.secrets.rules import Address, Written, written
from wellstreak_trust.storage.sql import Database, SqlSecretBackend
from wellstreak_trust.storage.sql.secret_tables import HEAD, VERSION

ROUNDS = report.rounds(15)
TENANTS = report.size(1_000, 100)
SECRETS = int(os.environ.get("SECRETS") or report.size(100_000, 2_000))
Case = Callable[[], object]


def interleaved(cases: dict[str, tuple[Case, int]]) -> dict[str, float]:
    """Median microseconds of each case; with each, how often a round repeats it."""
    spent: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, (case, repeat) in cases.items():
            start = time.process_time()
            for _ in range(repeat):
                case()
            spent[name].append((time.process_time() - start) / repeat * 1e6)
    return {name: median(rounds) for name, rounds in spent.items()}


def sealing(size: int, repeat: int) -> dict[str, tuple[Case, int]]:
    """Seal and open `size` bytes."""
    plaintext, gcm, fernet = os.urandom(size), AESGCM(os.urandom(32)), Fernet(Fernet.generate_key())
    key, context = EnvelopeKey(os.urandom(64)), EnvelopeContext("5f0c" * 8, "tn_01HX", "slack/bot", 3, "value/bytes")

    def raw() -> bytes:
        nonce = os.urandom(12)
        return gcm.decrypt(nonce, gcm.encrypt(nonce, plaintext, b"context"), b"context")

    return {
        "raw AES-GCM": (raw, repeat),
        "envelope": (lambda: envelope.open(key, envelope.seal(key, plaintext, context), context), repeat),
        "Fernet": (lambda: fernet.decrypt(fernet.encrypt(plaintext)), repeat),
    }


def reading(folder: Path) -> dict[str, tuple[Case, int]]:
    """A warm `get` beside SELECT and Fernet through the same driver and transaction rules."""
    engine = create_engine(f"sqlite:///{folder / 'bench.db'}")
    database = Database(engine)
    database.create_all()
    store = SecretStore(SqlSecretBackend(database), KeyChain([LocalKeyProvider.generate(folder / "kek.json")]))
    store.put("tn_01HX", "slack/bot", "x" * 64)
    metadata, fernet = MetaData(), Fernet(Fernet.generate_key())
    plain = Table("plain", metadata, Column("name", Text, primary_key=True), Column("value", LargeBinary))
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(plain.insert().values(name="slack/bot", value=fernet.encrypt(b"x" * 64)))
    query = select(plain.c.value).where(plain.c.name == "slack/bot")

    def peer() -> bytes:
        return fernet.decrypt(drive(database.run(lambda c: c.execute(query).scalar_one(), read=True)))

    return {"SELECT + Fernet": (peer, 200), "get": (lambda: store.get("tn_01HX", "slack/bot").reveal(), 200)}


def rotating(folder: Path) -> dict[str, float]:
    """Microseconds to bring 1,000 tenants under another key-encryption key, and to do that with bare parts."""
    database = Database(create_engine(f"sqlite:///{folder / 'rewrap.db'}"))
    database.create_all()
    keks = [LocalKeyProvider.generate(folder / name) for name in ("old.json", "new.json")]
    store = SecretStore(SqlSecretBackend(database), KeyChain(keks))
    for number in range(TENANTS):
        store.put(f"tenant-{number}", "slack/bot", "x")

    def ours() -> None:
        keks.reverse()
        assert SecretStore(SqlSecretBackend(database), KeyChain(keks)).rewrap().rewrapped == TENANTS

    gcms = [AESGCM(os.urandom(32)), AESGCM(os.urandom(32))]
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE bare (tenant TEXT PRIMARY KEY, nonce BLOB, wrapped BLOB)")
    nonce = os.urandom(12)
    keys = [(f"tenant-{number}", nonce, gcms[0].encrypt(nonce, os.urandom(64), None)) for number in range(TENANTS)]
    connection.executemany("INSERT INTO bare VALUES (?, ?, ?)", keys)

    def bare() -> None:
        was, becomes = gcms
        moved = []
        for tenant, nonce, blob in connection.execute("SELECT * FROM bare").fetchall():
            fresh = os.urandom(12)
            moved.append((fresh, becomes.encrypt(fresh, was.decrypt(nonce, blob, None), None), tenant))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("UPDATE bare SET nonce = ?, wrapped = ? WHERE tenant = ?", moved)
        connection.execute("COMMIT")
        gcms.reverse()

    return interleaved({"sqlite3 + AES-GCM": (bare, 1), "rewrap": (ours, 1)})


def reencrypting(folder: Path, secrets: int) -> tuple[float, float]:
    """Secrets a second that go under a new tenant key: in process time, and by the clock on the wall."""
    database = Database(create_engine(f"sqlite:///{folder / 'reencrypt.db'}"))
    database.create_all()
    backend = SqlSecretBackend(database)
    store = SecretStore(backend, KeyChain([LocalKeyProvider.generate(folder / "turn.json")]))
    store.put("acme", "seed", "x")
    (row,) = drive(backend.keys_of("acme"))
    key, place = drive(store._vault.ring.open(row)), store._vault.ring.known or ""
    made = []
    for number in range(secrets):  # through the rules, and into the tables at once: `put` would take minutes
        new = Written(b"xoxb-" + b"v" * 59, "text", 1, labels="{}")
        address = Address(place, "acme", f"name/{number:07}")
        made.append(written(address, Locked((row,), None, None, None), lambda _: key, new))
    with database.engine.begin() as connection:
        connection.execute(HEAD.insert(), [change.head._asdict() for change in made])
        connection.execute(VERSION.insert(), [change.row._asdict() for change in made])
    started, began = time.process_time(), time.perf_counter()
    assert store.reencrypt("acme").secrets == secrets + 1
    return secrets / (time.process_time() - started), secrets / (time.perf_counter() - began)


def encryption_sdk() -> Case | None:
    """Seal and open 64 B with a raw AES master key: committing as ours, not signed. None where it is not installed."""
    try:
        import aws_encryption_sdk as sdk
        from aws_encryption_sdk.identifiers import Algorithm, EncryptionKeyType, WrappingAlgorithm
        from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
        from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
    except ImportError:
        return None

    class Provider(RawMasterKeyProvider):
        provider_id = "bench"

        def _get_raw_key(self, key_id: bytes) -> WrappingKey:
            return WrappingKey(
                WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING, bytes(range(32)), EncryptionKeyType.SYMMETRIC
            )

    provider, client = Provider(), sdk.EncryptionSDKClient()
    provider.add_master_key("k")
    plaintext, context = os.urandom(64), {"tenant": "tn_01HX", "name": "slack/bot"}
    suite = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY

    def case() -> bytes:
        sealed, _ = client.encrypt(source=plaintext, key_provider=provider, encryption_context=context, algorithm=suite)
        opened: bytes = client.decrypt(source=sealed, key_provider=provider)[0]
        return opened

    return case


class Counted(LocalKeyProvider):
    """A key service that counts what it is asked, and takes its time."""

    calls = 0

    def unwrap(self, blob: bytes, context: Any, /) -> bytes:
        self.calls += 1
        time.sleep(0.01)
        return super().unwrap(blob, context)


def asked(tenants: int, threads: int, reads: int) -> int:
    """How often the key service is asked by `threads` that each read all tenants so often."""
    backend, kek = MemorySecretBackend(), Counted("k_0011223344556677", os.urandom(64))
    names = [f"tenant-{number}" for number in range(tenants)]
    writer = SecretStore(backend, KeyChain([kek]))
    for name in names:
        writer.put(name, "slack/bot", "x")
    kek.calls = 0
    cold, start = SecretStore(backend, KeyChain([kek])), threading.Barrier(threads)

    def work() -> None:
        start.wait()
        for _ in range(reads):
            for name in names:
                cold.get(name, "slack/bot")

    crowd = [threading.Thread(target=work) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    return kek.calls


def show(title: str, found: dict[str, float]) -> None:
    base = next(iter(found.values()))
    print(f"\n{title}")
    for name, spent in found.items():
        print(f"  {name:<18}{spent:>12.2f} µs{spent / base:>8.2f} x")


def judge(what: str, other: str, ratio: float, most: float, *, peer: bool = False) -> None:
    report.against("secrets", what, ratio, other, peer=peer, target=most)


def sealed() -> None:
    cases, sdk = sealing(64, 1_000), encryption_sdk()
    if sdk is not None:
        cases["Encryption SDK"] = (sdk, 20)
    found = interleaved(cases)
    show("seal + open, 64 B", found)
    judge("seal and open, 64 B", "raw AES-GCM", found["envelope"] / found["raw AES-GCM"], 7)
    judge("seal and open, 64 B", "Fernet", found["envelope"] / found["Fernet"], 0.75, peer=True)
    if sdk is None:
        print("  the AWS Encryption SDK is not installed: make .venv/.bench")
    else:
        speed = found["Encryption SDK"] / found["envelope"]
        report.against(
            "secrets", "seal and open, 64 B", speed, "AWS Encryption SDK", peer=True, better="higher", target=20
        )
    for size, repeat, limit, title in ((1_024, 1_000, 6.5, "1 KiB"), (65_536, 100, 1.7, "64 KiB")):
        found = interleaved(sealing(size, repeat))
        show(f"seal + open, {size:,} B", found)
        judge(f"seal and open, {title}", "raw AES-GCM", found["envelope"] / found["raw AES-GCM"], limit)
    judge("seal and open, 64 KiB", "Fernet", found["envelope"] / found["Fernet"], 0.15, peer=True)


def main() -> None:
    print(f"medians of {ROUNDS} interleaved rounds, {SystemClock().now():%Y-%m-%d}")
    sealed()
    with tempfile.TemporaryDirectory() as folder:
        found = interleaved(reading(Path(folder)))
        show("read 64 B from SQLite, warm", found)
        judge("warm secret from SQLite", "SELECT and Fernet", found["get"] / found["SELECT + Fernet"], 1.7)
        found = rotating(Path(folder))
        show(f"re-wrap {TENANTS:,} tenants", found)
        report.measured(
            "secrets", f"{TENANTS:,} tenants under another key", found["rewrap"] / 1_000, "ms CPU", target=250
        )
        judge("tenants under another key", "sqlite3 and AES-GCM", found["rewrap"] / found["sqlite3 + AES-GCM"], 5)
        busy, wall = reencrypting(Path(folder), SECRETS)
        print(f"\nre-encrypt {SECRETS:,} secrets, {wall:,.0f} a second by the wall")
        what = f"re-encryption of {SECRETS:,} secrets"
        report.measured("secrets", what, busy, "1/s CPU", better="higher", target=10_000)
    cold, warm = asked(1, 200, 1), asked(100, 10, 10)
    report.measured("secrets", "calls of the key service, 200 threads, a cold tenant", cold, "", target=1)
    report.measured("secrets", "calls of the key service, 10,000 reads of 100 tenants", warm, "", target=100)


if __name__ == "__main__":
    main()
