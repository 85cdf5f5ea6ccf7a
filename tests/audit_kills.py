"""Writers that die at random: ``python audit_kills.py sqlite|directory COUNT FOLDER`` prints what it found as JSON.

A nursery imports everything once and forks writers of four threads. Each writes its receipts to a pipe, after the log
has acknowledged them and before it does anything else; then it is killed. What the pipe holds must be stored.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditEvent, AuditLog, AuditUnavailable, DirectoryAuditStore, Ed25519Signer, verify
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlAuditStore

SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
TENANTS = ("t1", "t2")


def opened(kind: str, folder: Path) -> tuple[AuditLog, Any]:
    if kind == "directory":
        return AuditLog(DirectoryAuditStore(folder / "trail"), SIGNER, "kills.test/audit"), None
    engine = create_engine(f"sqlite:///{folder / 'trail.db'}")
    return AuditLog(SqlAuditStore(Database(engine)), SIGNER, "kills.test/audit"), engine


def writes(kind: str, folder: Path, pipe: int, seed: int) -> None:
    log, _ = opened(kind, folder)

    def one(worker: int) -> None:
        chance = random.Random(seed * 10 + worker)
        while True:
            count = chance.choice((1, 1, 1, 3, 40))
            events = [
                AuditEvent("plan.changed", "success", chance.choice(TENANTS), {"id": f"w{worker}"})
                for _ in range(count)
            ]
            try:
                receipts = log.emit_many(events)
            except AuditUnavailable as refused:  # a starved machine; what is refused is not promised
                print(refused.detail, file=sys.stderr)
                continue
            lines = "".join(f"{receipt.tenant_id} {receipt.seq} {receipt.id}\n" for receipt in receipts)
            os.write(pipe, lines.encode())  # at once while it is shorter than PIPE_BUF, and torn only by the kill

    for worker in range(4):
        Thread(target=one, args=(worker,), daemon=True).start()
    signal.pause()


def acknowledged(pipe: int, until: float) -> bytes:
    found = b""
    while (left := until - time.monotonic()) > 0 or not found:
        if select.select([pipe], [], [], max(left, 0.001))[0]:
            found += os.read(pipe, 1 << 16)
    return found


def inspected(kind: str, folder: Path, promised: dict[str, dict[str, int]]) -> dict[str, int]:
    log, engine = opened(kind, folder)
    found = {"lost": 0, "sparse": 0, "unverified": 0, "events": 0}
    for tenant, ids in promised.items():
        size = drive(log.store.head(tenant)).size
        stored = {leaf.id: leaf.seq for leaf in drive(log.store.leaves(tenant, 0, size + 10))}
        found["lost"] += sum(stored.get(id) != seq for id, seq in ids.items())
        found["sparse"] += sorted(stored.values()) != list(range(size))
        found["unverified"] += verify(log.store, tenant_id=tenant).integrity != "verified"
        found["events"] += size
    log.checkpoint()
    if engine is not None:
        engine.dispose()
    return found


def kill_writers(kind: str, count: int, folder: Path) -> dict[str, int]:
    _, engine = opened(kind, folder)
    if engine is not None:
        Database(engine).create_all()
        engine.dispose()
    chance, total = random.Random(count), {"kills": 0, "acknowledged": 0, "lost": 0, "sparse": 0, "unverified": 0}
    promised: dict[str, dict[str, int]] = {tenant: {} for tenant in TENANTS}
    for number in range(count):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                writes(kind, folder, writing, number)
            finally:
                os._exit(1)
        os.close(writing)
        text = acknowledged(reading, time.monotonic() + chance.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while part := os.read(reading, 1 << 16):
            text += part
        os.close(reading)
        for line in text.decode().splitlines(keepends=True):
            if line.endswith("\n") and len(line.split()) == 3:
                tenant, seq, id = line.split()
                promised[tenant][id] = int(seq)
        total["kills"] += 1
        if number % 10 == 9 or number == count - 1:  # what one kill loses, no later append brings back
            found = inspected(kind, folder, promised)
            for name in ("lost", "sparse", "unverified"):
                total[name] += found[name]
            total["events"] = found["events"]
            if found["events"] > 20_000:  # so that a thousand kills take minutes
                folder = folder / "next"
                folder.mkdir()
                promised = {tenant: {} for tenant in TENANTS}
                _, engine = opened(kind, folder)
                if engine is not None:
                    Database(engine).create_all()
                    engine.dispose()
        total["acknowledged"] = total["acknowledged"] + text.count(b"\n")
    return total


if __name__ == "__main__":
    print(json.dumps(kill_writers(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
