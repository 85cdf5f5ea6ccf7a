"""What an event costs: recorded in a tree, against a JSON line of structlog and a bare commit.

Both sides run in turns inside one process, so that a busy machine slows both; medians of the rounds are compared.

    python bench/audit.py
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, MemoryAuditStore, verify
from wellstreak_trust.storage.sql import Database, SqlAuditStore

ROUNDS = 15
DETAILS = {
    "targets": ({"type": "subscription", "id": "sub_1234567890"},),
    "source": {"ip": "203.0.113.7", "agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    "changes": ({"field": "plan", "old": "starter", "new": "pro"},),
    "request": {"id": "req_1234567890", "trace": "4bf92f3577b34da6a3ce929d0e0e4736"},
    "data": {"seats": 25, "note": "asked for by mail"},
}
ACTOR = {"id": "user_12345", "kind": "user"}


def event() -> AuditEvent:
    return AuditEvent("billing.plan_changed", "success", "tenant_7", ACTOR, **DETAILS)


def per_call(action: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        action()
    return (time.perf_counter() - start) / count * 1e6


def medians(actions: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """Microseconds a call, each action once a round in turn."""
    found: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(ROUNDS):
        for name, (action, count) in actions.items():
            found[name].append(per_call(action, count))
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="wt-bench-"))
    lines = (folder / "lines.jsonl").open("w", encoding="utf-8")
    logger = structlog.wrap_logger(
        structlog.WriteLogger(lines),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
    )
    memory = AuditLog(MemoryAuditStore())
    engine = create_engine(f"sqlite:///{folder / 'audit.db'}")
    Database(engine).create_all()
    stored = AuditLog(SqlAuditStore(Database(engine)), Ed25519Signer.generate())
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (b BLOB)")
    payload = os.urandom(528)
    found = medians(
        {
            "structlog line": (
                lambda: logger.info("billing.plan_changed", tenant="tenant_7", actor=ACTOR, **DETAILS),
                500,
            ),
            "memory": (lambda: memory.emit(event()), 500),
            "bare commit": (lambda: bare.execute("INSERT INTO t VALUES (?)", (payload,)), 20),
            "SQLite, one a commit": (lambda: stored.emit(event()), 20),
            "SQLite, 100 a commit": (lambda: stored.emit_many([event() for _ in range(100)]), 1),
        }
    )
    found["SQLite, 100 a commit"] /= 100
    line = found["structlog line"]
    for name, micros in found.items():
        print(f"{name:24}{micros:10.1f} us{micros / line:8.2f} structlog lines")
    size = len(stored.events("tenant_7", limit=100_000))
    start = time.perf_counter()
    report = verify(stored.store, tenant_id="tenant_7")
    print(f"verify: {(time.perf_counter() - start) / size * 1e6:.1f} us an event ({report.integrity})")
    print(f"prove:  {per_call(lambda: stored.prove('tenant_7', 7), 20):.1f} us from SQLite")


if __name__ == "__main__":
    main()
