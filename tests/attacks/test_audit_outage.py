"""The disk is full or broken, the lock is held, the process is killed or forked.

One rule for all: what was acknowledged is stored, places are dense, the tree verifies, and every failure was raised or
counted. ``WT_AUDIT_KILLS=1000`` and ``WT_AUDIT_FAULTS=60`` (each write and sync up to the 60th) make it long.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

import audit_faults
import audit_kills
from wellstreak_trust.audit import (
    AuditEvent,
    AuditLog,
    AuditUnavailable,
    DirectoryAuditStore,
    Ed25519Signer,
    MemoryAuditStore,
    verify,
)
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlAuditStore

KILLS = int(os.environ.get("WT_AUDIT_KILLS", "4"))
FAULTS = int(os.environ.get("WT_AUDIT_FAULTS", "0"))

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


def test_a_full_disk_refuses_what_matters_and_keeps_what_protects(sqlite_path: Path) -> None:
    """Toy 10: a handler that swallows OSError loses 142 of 200 lines without a word."""
    with run(FULL, sqlite_path) as writer:
        said, complaints = writer.communicate(timeout=60)
    assert (said.strip(), complaints) == ("False verified True session.revoked True", "")


def event(action: str = "plan.changed", tenant_id: str = "t1", **fields: Any) -> AuditEvent:
    return AuditEvent(action, "success", tenant_id, {"id": "u"}, **fields)


@pytest.fixture
def engine(sqlite_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{sqlite_path}")
    Database(engine).create_all()
    yield engine
    engine.dispose()


# --- killed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "directory"])
def test_kill_9_loses_nothing_that_was_acknowledged(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, audit_kills.__file__, kind, str(KILLS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120 + KILLS * 5)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: found[name] for name in ("kills", "lost", "sparse", "unverified")} == {
        "kills": KILLS,
        "lost": 0,
        "sparse": 0,
        "unverified": 0,
    }, found
    assert found["acknowledged"] > KILLS, found


# --- a disk that fails -----------------------------------------------------------------------------------------------

INJECTED = {
    "sqlite, a sync fails once": ("sqlite", "fdatasync:error=EIO:when={n}"),
    "sqlite, syncs fail for ever": ("sqlite", "fdatasync:error=EIO:when={n}+"),
    "sqlite, the disk is full once": ("sqlite", "pwrite64:error=ENOSPC:when={n}"),
    "sqlite, the disk stays full": ("sqlite", "pwrite64:error=ENOSPC:when={n}+"),
    "directory, a sync fails once": ("directory", "fsync:error=EIO:when={n}"),
    "directory, syncs fail for ever": ("directory", "fsync:error=EIO:when={n}+"),
    "directory, the disk is full once": ("directory", "pwrite64:error=ENOSPC:when={n}"),
    "directory, the disk stays full": ("directory", "pwrite64:error=ENOSPC:when={n}+"),
}


@pytest.fixture(scope="module")
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("strace is not installed", pytrace=False)
        pytest.skip("strace is not installed")
    return found


@pytest.mark.parametrize("name", INJECTED)
def test_faults_of_the_disk_are_told_and_lose_nothing(name: str, strace: str, tmp_path: Path) -> None:
    kind, injection = INJECTED[name]
    refusals = 0
    for number in range(1, FAULTS + 1) if FAULTS else (3,):
        folder = tmp_path / str(number)
        folder.mkdir()
        store = audit_faults.store_of(kind, folder)
        if isinstance(store, SqlAuditStore):
            store._database.create_all()  # type: ignore[attr-defined]  # a Database, by store_of
        AuditLog(store).emit(event(id="before"))
        command = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"inject={injection.format(n=number)}"]
        command += [sys.executable, audit_faults.__file__, kind, str(folder), "6"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        told = [line.split() for line in done.stdout.splitlines()]
        refusals += sum(answer in ("refused", "kept") for answer, _ in told)
        survives(kind, folder, told)
    assert refusals > 0


def survives(kind: str, folder: Path, told: list[list[str]]) -> None:
    log = AuditLog(audit_faults.store_of(kind, folder))
    assert len(told) == 7, told  # every event got its answer
    log.emit(event(id="after"))
    leaves = drive(log.store.leaves("t1", 0, 100))
    stored = {leaf.id: leaf.seq for leaf in leaves}
    assert {"before", "after"} <= set(stored)
    assert [leaf.seq for leaf in leaves] == list(range(len(leaves)))
    for answer, id in told:
        if answer not in ("refused", "kept"):
            assert stored.get(id) == int(answer), (told, stored)
        elif id not in stored:  # an error is ambiguous, and the id makes the retry safe
            assert log.emit(event(id=id)).durable
    assert verify(log.store, tenant_id="t1").integrity == "verified"


# --- a lock that is held ---------------------------------------------------------------------------------------------


def test_a_lock_held_by_another_connection_costs_no_more_than_the_deadline(engine: Engine, sqlite_path: Path) -> None:
    """Toy 12: a deny that waits for a lock which somebody holds is a deny that does not happen."""
    log = AuditLog(SqlAuditStore(Database(engine)), deadline=timedelta(milliseconds=300))
    log.emit(event())
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        with pytest.raises(AuditUnavailable):
            log.emit(event())
        assert 0.25 < time.monotonic() - begun < 1.5
        begun = time.monotonic()
        denied = [log.emit(event("access.denied", id=f"d{n}")) for n in range(5)]
        assert time.monotonic() - begun < 1.5  # after a wait in vain the next ones are short
        assert not any(receipt.durable for receipt in denied)
        holder.execute("ROLLBACK")
    assert log.emit(event("access.denied")).durable
    assert {f"d{n}" for n in range(5)} < {found["id"] for found in log.events("t1")}
    assert log.dropped == 0


def test_a_row_lock_on_postgresql_costs_no_more_than_the_deadline(postgres_url: str) -> None:
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    Database(engine).create_all()
    log = AuditLog(SqlAuditStore(Database(engine)), deadline=timedelta(milliseconds=300))
    log.emit(event())
    with engine.begin() as holder:
        holder.execute(text("SELECT 1 FROM wst_audit_head WHERE tenant_id = 't1' FOR UPDATE"))
        begun = time.monotonic()
        with pytest.raises(AuditUnavailable):
            log.emit(event())
        assert not log.emit(event("access.denied", id="denied")).durable
        assert time.monotonic() - begun < 3
        assert log.emit(event(tenant_id="t2")).durable  # another tenant does not wait
    log.emit(event())
    assert "denied" in {found["id"] for found in log.events("t1")}
    engine.dispose()


# --- processes and forks ---------------------------------------------------------------------------------------------

WRITER = """
import os, sys
from sqlalchemy import create_engine
from wellstreak_trust.audit import AuditEvent, AuditLog, DirectoryAuditStore
from wellstreak_trust.storage.sql import Database, SqlAuditStore
where, child = sys.argv[1], 1
for _ in range(3):
    child = child and os.fork()
store = DirectoryAuditStore(where) if "://" not in where else SqlAuditStore(Database(create_engine(where)))
log = AuditLog(store)
for number in range(25):
    receipts = log.emit_many([AuditEvent("a.b", "success", t, {"id": "u"}) for t in ("t1", "t2")])
    os.write(1, "".join(f"{receipt.tenant_id}/{receipt.seq} " for receipt in receipts).encode())
if child:
    assert [os.wait()[1] for _ in range(3)] == [0] * 3
else:
    os._exit(0)
"""


@pytest.mark.parametrize("kind", ["sqlite", "directory", "postgresql"])
def test_four_processes_write_one_tree(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Toy 8: of four writers who read the head before they lock it, half the appends fork the tree."""
    where = str(tmp_path / "trail")
    if kind == "sqlite":
        where = f"sqlite:///{tmp_path / 'trail.db'}"
    elif kind == "postgresql":
        where = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    engine = None if kind == "directory" else create_engine(where)
    if engine is not None:
        Database(engine).create_all()
    command = [sys.executable, "-c", WRITER, where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    places = done.stdout.split()
    assert sorted(places) == sorted(f"{tenant}/{seq}" for tenant in ("t1", "t2") for seq in range(100))
    store = DirectoryAuditStore(where) if engine is None else SqlAuditStore(Database(engine))
    assert [verify(store, tenant_id=tenant).integrity for tenant in ("t1", "t2")] == ["verified"] * 2
    if engine is not None:
        engine.dispose()


FORKED = """
import os, sys, threading
from sqlalchemy import create_engine
from wellstreak_trust.audit import AuditEvent, AuditLog, DirectoryAuditStore, Ed25519Signer, verify
from wellstreak_trust.audit.spill import Gap
from wellstreak_trust.storage.sql import Database, SqlAuditStore
where = sys.argv[1]
if "://" in where:
    database = Database(create_engine(where))
    database.create_all()
    store = SqlAuditStore(database)
else:
    store = DirectoryAuditStore(where)
log = AuditLog(store, Ed25519Signer.generate())
def write(count):
    for _ in range(count):
        assert log.emit(AuditEvent("a.b", "success", "t1", {"id": "u"})).durable
def threads(count):
    found = [threading.Thread(target=write, args=(count,)) for _ in range(3)]
    for thread in found: thread.start()
    return found
log.emit(AuditEvent("session.revoked", "success", "t1", {"id": "u"}))
log._recorder._spill.lose("t1", Gap(2, log.clock.now(), log.clock.now()))
log._recorder._sequencer._queues.here.lock.acquire()  # as another thread of the parent would
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        try:
            for thread in threads(10): thread.join()
            log.tick()
            os._exit(0)
        finally:
            os._exit(1)
    children.append(child)
log._recorder._sequencer._queues.here.lock.release()
write(10)
codes = [os.waitpid(child, 0)[1] for child in children]
report = verify(store, tenant_id="t1")
gaps = [found["data"]["count"] for found in log.events("t1", limit=1000) if found["action"] == "audit.gap"]
log.checkpoint()
print(codes, report.integrity, report.size, gaps)
"""


@pytest.mark.parametrize("kind", ["sqlite", "directory", "postgresql"])
def test_workers_forked_from_a_process_with_the_log_open(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Toy 26. A server that loads the application first: its workers inherit locks, queues, connections and debts."""
    where = str(tmp_path / "trail")
    if kind == "sqlite":
        where = f"sqlite:///{tmp_path / 'trail.db'}"
    elif kind == "postgresql":
        where = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    done = subprocess.run([sys.executable, "-c", FORKED, where], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    # 1 and 4 x 30 and 10 events, and the parent's gap, which no child tells again
    assert done.stdout.strip() == "[0, 0, 0, 0] verified 132 [2]"


# --- one sync an event, and no more ----------------------------------------------------------------------------------


def test_every_commit_is_synced(strace: str, tmp_path: Path) -> None:
    """Toy 9: with synchronous=NORMAL a hundred commits made eight syncs."""
    folder = tmp_path / "synced"
    folder.mkdir()
    store = audit_faults.store_of("sqlite", folder)
    store._database.create_all()  # type: ignore[attr-defined]  # a Database, by store_of
    counted = tmp_path / "calls"
    command = [strace, "-f", "-qq", "-e", "trace=fdatasync,fsync", "-o", str(counted)]
    command += [sys.executable, audit_faults.__file__, "sqlite", str(folder), "40"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    syncs = counted.read_text().count("sync(")
    assert 41 <= syncs <= 60


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_nothing_grows_without_a_bound_while_the_store_is_down() -> None:
    """Toy 23."""

    class Down(MemoryAuditStore):
        async def append_batch(self, *args: Any, **options: Any) -> Any:
            raise OSError("disk")

    log = AuditLog(Down(), spill=100)
    for _ in range(1_000):
        assert not log.emit(event("access.denied")).durable
        assert not log.emit(event("webhook.verified")).durable
    assert log._recorder.owed == 101  # a hundred events and one gap
    assert log.dropped == 1_900


def test_threads_that_emit_while_the_disk_is_taken_away_and_given_back(engine: Engine, sqlite_path: Path) -> None:
    log = AuditLog(SqlAuditStore(Database(engine)), Ed25519Signer.generate(), deadline=timedelta(milliseconds=200))
    stop: list[bool] = []

    def write(worker: int) -> list[str]:
        stored = []
        for number in range(25):
            one = event(id=f"w{worker}-{number}")
            try:
                stored.append(log.emit(one).id)
            except AuditUnavailable:
                time.sleep(0.01)
        return stored

    def takes_away() -> None:
        with closing(sqlite3.connect(sqlite_path, isolation_level=None, timeout=5)) as holder:
            while not stop:
                holder.execute("BEGIN IMMEDIATE")
                time.sleep(0.25)
                holder.execute("ROLLBACK")
                time.sleep(0.05)

    thief = Thread(target=takes_away)
    thief.start()
    with ThreadPoolExecutor(6) as pool:
        stored = {id for ids in pool.map(write, range(6)) for id in ids}
    stop.append(True)
    thief.join()
    leaves = drive(log.store.leaves("t1", 0, 10_000))
    assert stored <= {leaf.id for leaf in leaves}
    assert [leaf.seq for leaf in leaves] == list(range(len(leaves)))
    assert verify(log.store, tenant_id="t1").integrity == "verified"
