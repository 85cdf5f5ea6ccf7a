"""What an event costs: against a structlog JSON line, a bare commit, and a row of django-auditlog.

Candidates take turns in one process, so that a busy machine slows all; medians of the rounds are compared. Times are
CPU of this process, except for callers a second, where the disk and the other callers are the matter.

    python bench/audit.py
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import report
import structlog
from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, MemoryAuditStore, verify
from wellstreak_trust.audit.event import draft
from wellstreak_trust.audit.grove import Tree
from wellstreak_trust.audit.store import sequence
from wellstreak_trust.audit.tiles import hash_spans
from wellstreak_trust.audit.tree import inclusion_spans
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlAuditStore

ROUNDS = int(os.environ.get("WT_BENCH_ROUNDS") or report.rounds(15))
LARGE = int(os.environ.get("WT_BENCH_TREE") or report.size(1_000_000, 20_000))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DETAILS = {
    "targets": ({"type": "subscription", "id": "sub_1234567890"},),
    "source": {"ip": "203.0.113.7", "agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    "changes": ({"field": "plan", "old": "starter", "new": "pro"},),
    "request": {"id": "req_1234567890", "trace": "4bf92f3577b34da6a3ce929d0e0e4736"},
    "data": {"seats": 25, "note": "asked for by mail"},
}
ACTOR = {"id": "user_12345", "kind": "user"}
Action = tuple[Callable[[], object], int]


def event() -> AuditEvent:
    return AuditEvent("billing.plan_changed", "success", "tenant_7", ACTOR, **DETAILS)


def per_call(action: Callable[[], object], count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        action()
    return (time.process_time() - start) / count * 1e6


def medians(actions: dict[str, Action]) -> dict[str, float]:
    """Microseconds of CPU a call, each action once a round in turn."""
    found: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(ROUNDS):
        for name, (action, count) in actions.items():
            found[name].append(per_call(action, count))
    return {name: statistics.median(times) for name, times in found.items()}


# --- candidates ------------------------------------------------------------------------------------------------------


def structlog_line(folder: Path) -> Action:
    lines = (folder / "lines.jsonl").open("w", encoding="utf-8")
    logger = structlog.wrap_logger(
        structlog.WriteLogger(lines),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
    )
    return lambda: logger.info("billing.plan_changed", tenant="tenant_7", actor=ACTOR, **DETAILS), 500


def bare_commit(folder: Path) -> Action:
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (b BLOB)")
    payload = os.urandom(528)
    return lambda: bare.execute("INSERT INTO t VALUES (?)", (payload,)), 20


def auditlog_rows(folder: Path) -> dict[str, Action]:
    """A hundred changes of a model in one transaction, as many as ours; not synced, as Django leaves SQLite.

    What the app adds is the difference between a model that it watches and one that it does not: it reads the old row,
    compares, and writes one of its own. `log_create` is that writing alone.
    """
    try:
        import auditlog  # noqa: F401  tells whether it is installed
        import django
        from django.conf import settings
    except ImportError:
        return {}
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "django.db")}},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "auditlog"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()
    from auditlog.models import LogEntry
    from auditlog.registry import auditlog as registry
    from django.contrib.auth.models import Group, Permission
    from django.core.management import call_command
    from django.db import transaction

    call_command("migrate", verbosity=0)
    registry.register(Group)
    watched, plain = Group.objects.create(name="plan"), Permission.objects.first()
    turn = iter(range(1 << 60))

    def saves(row: Group | Permission) -> Callable[[], None]:
        def hundred() -> None:
            with transaction.atomic():
                for _ in range(100):
                    row.name = f"plan {next(turn)}"
                    row.save()

        return hundred

    def creates() -> None:
        changes = {"plan": ["starter", "pro"], "seats": ["24", "25"]}
        with transaction.atomic():
            for _ in range(100):
                LogEntry.objects.log_create(
                    watched,
                    action=LogEntry.Action.UPDATE,
                    changes=changes,
                    remote_addr="203.0.113.7",
                    cid="req_1234567",
                )

    return {"watched save": (saves(watched), 1), "plain save": (saves(plain), 1), "its row alone": (creates, 1)}


def grown(size: int) -> Tree[None]:
    """A tree of so many leaves, of which only the hashes are there."""
    tree = Tree[None]([])
    for number in range(size):
        tree.add(number.to_bytes(32, "big"), 0)
    return tree


# --- what is asked ---------------------------------------------------------------------------------------------------


def costs(folder: Path, large: Tree[None]) -> None:
    memory = AuditLog(MemoryAuditStore())
    engine = create_engine(f"sqlite:///{folder / 'audit.db'}")
    Database(engine).create_all()
    stored = AuditLog(SqlAuditStore(Database(engine)), Ed25519Signer.generate())
    made = draft(event())
    small = grown(1_000)
    actions: dict[str, Action] = {
        "structlog line": structlog_line(folder),
        "memory": (lambda: memory.emit(event()), 500),
        "evidence at 10^3": (lambda: sequence(small.size, small.edge, (made,), NOW).frontier.root(), 500),
        f"evidence at {large.size}": (lambda: sequence(large.size, large.edge, (made,), NOW).frontier.root(), 500),
        "bare commit": bare_commit(folder),
        "SQLite, one a commit": (lambda: stored.emit(event()), 20),
        "SQLite, 100 a commit": (lambda: stored.emit_many([event() for _ in range(100)]), 1),
    }
    actions |= auditlog_rows(folder)
    found = medians(actions)
    for name in ("SQLite, 100 a commit", "watched save", "plain save", "its row alone"):
        if name in found:
            found[name] /= 100
    line = found["structlog line"]
    for name, micros in found.items():
        print(f"{name:28}{micros:10.1f} us{micros / line:8.2f} structlog lines")
    if "watched save" in found:
        ours = found["SQLite, 100 a commit"]
        adds, alone = found["watched save"] - found["plain save"], found["its row alone"]
        report.against(
            "audit", "event, 100 a commit", alone / ours, "a django-auditlog row", peer=True, better="higher", target=7
        )
        report.against(
            "audit",
            "event, 100 a commit",
            adds / ours,
            "all that django-auditlog adds",
            peer=True,
            better="higher",
            target=7,
        )
    report.against("audit", "event to memory", found["memory"] / line, "a structlog JSON line", peer=True, target=1.5)
    durable = found["SQLite, one a commit"] / found["bare commit"]
    report.against("audit", "durable event on SQLite", durable, "a bare commit", target=2)
    small_tree, large_tree = found["evidence at 10^3"], found[f"evidence at {large.size}"]
    report.measured("audit", f"tamper evidence of an event, {large.size + 7:,} events", large_tree, "µs CPU", target=10)
    report.measured("audit", "the same, growth from 1,000 events", large_tree / small_tree, "times", target=1.5)
    size = drive(stored.store.head("tenant_7")).size
    start = time.process_time()
    verdict = verify(stored.store, tenant_id="tenant_7")
    spent = (time.process_time() - start) / size * 1e6
    assert verdict.integrity == "verified"
    report.measured("audit", "verify a trail on SQLite, an event", spent, "µs CPU", target=4)
    octets = len(stored.prove("tenant_7", 7))
    print(f"prove from SQLite: {per_call(lambda: stored.prove('tenant_7', 7), 20):.0f} us, {octets} bytes")


def proofs(tree: Tree[None]) -> None:
    async def read(level: int, index: int) -> bytes:
        return tree.tile(level, index)

    def prove(seq: int) -> list[bytes]:
        return drive(hash_spans(inclusion_spans(seq, tree.size), read))

    places = cycle(range(1, tree.size, 257))
    warm, cold = per_call(lambda: prove(tree.size // 2), 500), per_call(lambda: prove(next(places)), 300)
    report.measured("audit", f"inclusion proof, {tree.size + 7:,} events, warm", warm, "µs CPU", target=100)
    report.measured("audit", "the same, tiles not looked at lately", cold, "µs CPU")


def callers(folder: Path) -> None:
    engine = create_engine(f"sqlite:///{folder / 'callers.db'}")
    Database(engine).create_all()
    log = AuditLog(SqlAuditStore(Database(engine)))

    def rate(threads: int, count: int) -> float:
        def write(_: int) -> None:
            for _ in range(count // threads):
                log.emit(event())

        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(write, range(threads)))
        return count / (time.perf_counter() - start)

    found: dict[int, list[float]] = {1: [], 4: [], 16: [], 64: []}
    for _ in range(max(1, ROUNDS // 3)):
        for threads, rates in found.items():
            rates.append(rate(threads, 192 * min(threads, 16)))
    middle = {threads: statistics.median(rates) for threads, rates in found.items()}
    for threads, events in middle.items():
        print(f"{threads:3} callers, SQLite FULL: {events:8.0f} events a second, {events / middle[1]:.1f} of one")
    what = "durable events on SQLite, 16 callers"
    report.measured("audit", what, middle[16], "events/s", better="higher", target=5_000)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="wt-bench-"))
    large = grown(LARGE - 7)
    costs(folder, large)
    proofs(large)
    callers(folder)


if __name__ == "__main__":
    main()
