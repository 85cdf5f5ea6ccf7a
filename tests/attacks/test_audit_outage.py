"""The disk is full, the process is killed: what was acknowledged is stored, and what was not is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditEvent, AuditLog, verify
from wellstreak_trust.storage.sql import Database, SqlAuditStore

SETUP = """
import sys
from sqlalchemy import create_engine
from wellstreak_trust.audit import AuditEvent, AuditLog, AuditUnavailable, verify
from wellstreak_trust.storage.sql import Database, SqlAuditStore
database = Database(create_engine(sys.argv[1]))
database.create_all()
log = AuditLog(SqlAuditStore(database))
def event(action="plan.changed", **data):
    return AuditEvent(action, "success", "t1", {"id": "u"}, data=data)
"""

KILLED = """
while True:
    receipt = log.emit(event())
    print(receipt.seq, receipt.id, flush=True)
"""

FULL = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log.emit(event())
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
wal = os.path.getsize(sys.argv[1].removeprefix("sqlite:///") + "-wal")
resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 400_000, unlimited[1]))
stored, refused = 1, 0
while refused < 3:
    try:
        log.emit(event(filling="x" * 20_000))
        stored += 1
    except AuditUnavailable:
        refused += 1
kept = log.emit(event("session.revoked", filling="x" * 20_000))
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
log.emit(event())
report = verify(log.store, tenant_id="t1")
actions = [found["action"] for found in log.events("t1", limit=1000)]
print(kept.durable, report.integrity, report.size == stored + 2 == len(actions), actions[0], stored > 3)
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and limits of POSIX")


def run(script: str, database: Path, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SETUP + script, f"sqlite:///{database}"]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)


def test_kill_9_loses_nothing_that_was_acknowledged(sqlite_path: Path) -> None:
    with run(KILLED, sqlite_path) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().split() for _ in range(40)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [line.split() for line in writer.stdout.read().splitlines()]
    engine = create_engine(f"sqlite:///{sqlite_path}")
    log = AuditLog(SqlAuditStore(Database(engine)))
    log.emit(AuditEvent("plan.changed", "success", "t1", {"id": "u"}))
    stored = {str(event["seq"]): event["id"] for event in log.events("t1", limit=100_000)}
    whole = [pair for pair in acknowledged if len(pair) == 2]
    assert {seq: stored.get(seq) for seq, _ in whole} == dict(whole)
    report = verify(log.store, tenant_id="t1")
    assert (report.integrity, report.size) == ("verified", len(stored))
    engine.dispose()


def test_a_full_disk_refuses_what_matters_and_keeps_what_protects(sqlite_path: Path) -> None:
    """Toy 10: a handler that swallows OSError loses 142 of 200 lines without a word."""
    with run(FULL, sqlite_path) as writer:
        said, complaints = writer.communicate(timeout=60)
    assert (said.strip(), complaints) == ("False verified True session.revoked True", "")
