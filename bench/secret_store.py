"""Sealing and reading secrets beside bare AES-GCM, Fernet and the AWS Encryption SDK: ``python bench/secret_store.py``.

Rounds are interleaved, because machines drift; the figure is the median of the rounds in process time, the ratio that
of the medians. The Encryption SDK takes part where it is installed (``pip install aws-encryption-sdk``).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, create_engine, select

from wellstreak_trust.core import SystemClock, drive
from wellstreak_trust.secrets import EnvelopeContext, EnvelopeKey, KeyChain, LocalKeyProvider, SecretStore, envelope
from wellstreak_trust.secrets.rows import Locked
from wellstreak_trust.secrets.rules import Address, Written, written
from wellstreak_trust.storage.sql import Database, SqlSecretBackend
from wellstreak_trust.storage.sql.secret_tables import HEAD, VERSION

ROUNDS = 15
SECRETS = int(os.environ.get("SECRETS", "20000"))
Case = Callable[[], object]


def interleaved(cases: dict[str, Case], repeat: int) -> dict[str, float]:
    """Median microseconds of each case."""
    spent: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            start = time.process_time()
            for _ in range(repeat):
                case()
            spent[name].append((time.process_time() - start) / repeat * 1e6)
    return {name: median(rounds) for name, rounds in spent.items()}


def sealing(size: int) -> dict[str, Case]:
    """Seal and open `size` bytes."""
    plaintext, gcm, fernet = os.urandom(size), AESGCM(os.urandom(32)), Fernet(Fernet.generate_key())
    key, context = EnvelopeKey(os.urandom(64)), EnvelopeContext("5f0c" * 8, "tn_01HX", "slack/bot", 3, "value/bytes")

    def raw() -> bytes:
        nonce = os.urandom(12)
        return gcm.decrypt(nonce, gcm.encrypt(nonce, plaintext, b"context"), b"context")

    return {
        "raw AES-GCM": raw,
        "envelope": lambda: envelope.open(key, envelope.seal(key, plaintext, context), context),
        "Fernet": lambda: fernet.decrypt(fernet.encrypt(plaintext)),
    }


def reading(folder: Path) -> dict[str, Case]:
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

    return {"SELECT + Fernet": peer, "get": lambda: store.get("tn_01HX", "slack/bot").reveal()}


def rotating(folder: Path) -> float:
    """Seconds to bring 1,000 tenants under another key-encryption key."""
    database = Database(create_engine(f"sqlite:///{folder / 'rewrap.db'}"))
    database.create_all()
    old, new = (LocalKeyProvider.generate(folder / name) for name in ("old.json", "new.json"))
    store = SecretStore(SqlSecretBackend(database), KeyChain([old]))
    for number in range(1_000):
        store.put(f"tenant-{number}", "slack/bot", "x")
    start = time.perf_counter()
    assert SecretStore(SqlSecretBackend(database), KeyChain([new, old])).rewrap().rewrapped == 1_000
    return time.perf_counter() - start


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
    """Seal and open 64 B with a raw AES master key, committing, not signed."""
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


def show(title: str, found: dict[str, float]) -> None:
    base = next(iter(found.values()))
    print(f"\n{title}")
    for name, spent in found.items():
        print(f"  {name:<18}{spent:>10.2f} µs{spent / base:>8.2f} x")


def main() -> None:
    print(f"medians of {ROUNDS} interleaved rounds, {SystemClock().now():%Y-%m-%d}")
    for size, repeat in ((64, 1_000), (1_024, 1_000), (65_536, 100)):
        show(f"seal + open, {size:,} B", interleaved(sealing(size), repeat))
    sdk = encryption_sdk()
    if sdk is not None:
        found = interleaved({"envelope": sealing(64)["envelope"], "Encryption SDK": sdk}, 20)
        show("seal + open, 64 B", found)
    with tempfile.TemporaryDirectory() as folder:
        show("read 64 B from SQLite, warm", interleaved(reading(Path(folder)), 200))
        print(f"\nre-wrap 1,000 tenants\n  {rotating(Path(folder)) * 1e3:.0f} ms")
        busy, wall = reencrypting(Path(folder), SECRETS)
        print(f"\nre-encrypt {SECRETS:,} secrets\n  {busy:,.0f} a second of process time, {wall:,.0f} by the wall")


if __name__ == "__main__":
    main()
