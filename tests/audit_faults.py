"""Emits under a fault that something outside injects: ``python audit_faults.py sqlite|directory FOLDER COUNT``.

Prints a line for each event, as the caller saw it: ``seq id`` or ``refused id``. Another process looks at what stands.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditEvent, AuditLog, AuditUnavailable, DirectoryAuditStore
from wellstreak_trust.audit.store import AuditStore
from wellstreak_trust.core import TrustError
from wellstreak_trust.storage.sql import Database, SqlAuditStore


def store_of(kind: str, folder: Path) -> AuditStore:
    if kind == "directory":
        return DirectoryAuditStore(folder / "trail")
    return SqlAuditStore(Database(create_engine(f"sqlite:///{folder / 'trail.db'}")))


def main(kind: str, folder: Path, count: int) -> None:
    log = AuditLog(store_of(kind, folder))
    for number in range(count):
        event = AuditEvent("plan.changed", "success", "t1", {"id": "u"}, data={"filling": "x" * 2_000}, id=f"e{number}")
        try:
            print(log.emit(event).seq, event.id, flush=True)
        except AuditUnavailable:
            print("refused", event.id, flush=True)
    denied = log.emit(AuditEvent("access.denied", "denied", "t1", {"id": "u"}, id="denied"))
    print("kept" if not denied.durable else denied.seq, denied.id, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    except TrustError as error:
        print("failed", error.code, flush=True)
