"""What the trail costs to read: a page of a query at 10^6 events, and exports by format.

SQLite always; PostgreSQL where WT_BENCH_POSTGRES_URL names a database to fill. WT_BENCH_EVENTS sets the size. Queries
run in turns, and medians of the rounds are compared with reading the same number of rows by their key.

    python bench/audit_query.py
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import report
from sqlalchemy import create_engine

from wellstreak_trust.audit import FORMATS, AuditEvent, AuditLog, MemoryAuditStore, Record
from wellstreak_trust.audit.query import parse
from wellstreak_trust.audit.query.search import parsed
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database, SqlAuditStore

EVENTS = int(os.environ.get("WT_BENCH_EVENTS") or report.size(1_000_000, 10_000))
ROUNDS = int(os.environ.get("WT_BENCH_ROUNDS") or report.rounds(5))
START = datetime(2026, 1, 1, tzinfo=UTC)
QUERIES = {
    "newest page": "",
    "one of 1,000 actors": "actor:user_500",
    "a rare actor": "actor:user_rare",
    "nobody": "actor:user_nobody",
    "an action": "action:member.removed",
    "a family of actions": "action:session.*",
    "outcome": "outcome:denied",
    "actor and outcome": "actor:user_500 outcome:denied",
    "a day": "created:2026-02-01",
    "a target": "target:int_77777",
    "a leading star": "actor:*_rare",
    "a field of data": "data.n:>=999999",
}


def events(count: int) -> Iterator[AuditEvent]:
    dice = random.Random(1)
    actions = ["session.opened", "session.closed", "member.invited", "agents.updated", "agents.listed"]
    for number in range(count):
        actor = "user_rare" if number == count // 3 else f"user_{number % 1_000}"
        yield AuditEvent(
            "member.removed" if number % 5_000 == 0 else actions[number % 5],
            "denied" if number % 97 == 0 else "success",
            "acme",
            {"id": actor, "kind": "user"},
            targets=({"type": "integration", "id": f"int_{dice.randrange(100_000)}"},),
            source={"address": "203.0.113.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64)"},
            request={"id": f"req_{number:012d}"},
            data={"n": number},
            occurred_at=START + timedelta(seconds=10 * number),
            id=f"event-{number:012d}",
        )


def filled(url: str) -> tuple[AuditLog, float]:
    engine = create_engine(url)
    database = Database(engine)
    database.create_all()
    log = AuditLog(SqlAuditStore(database), clock=FixedClock(START))
    begun, batch = time.process_time(), []
    for event in events(EVENTS):
        batch.append(event)
        if len(batch) == 1_000:
            log.emit_many(batch)
            batch = []
    if batch:
        log.emit_many(batch)
    return log, time.process_time() - begun


def timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1e3


def queries(name: str, log: AuditLog) -> None:
    size = drive(log.store.head("acme")).size
    actions: dict[str, Callable[[], object]] = {
        "100 rows by key": lambda: drive(log.store.leaves("acme", size - 100, size)),
        **{what: (lambda text=text: log.query(text, tenant_id="acme", limit=100)) for what, text in QUERIES.items()},
    }
    found: dict[str, list[float]] = {what: [] for what in actions}
    for _ in range(ROUNDS):
        for what, action in actions.items():
            found[what].append(timed(action))
    base = statistics.median(found["100 rows by key"])
    print(f"\n{name}, {size:,} events, one page of 100 (median of {ROUNDS}, ms; x reading 100 rows by key)")
    for what, times in found.items():
        text = QUERIES.get(what, "")
        page = log.query(text, tenant_id="acme", limit=100)
        middle = statistics.median(times)
        reach = f"{len(page):4} found, {page.scanned:9,} places, next {page.next}"
        print(f"  {what:22} {middle:9.1f} {middle / base:8.1f}  {reach}")
    for what in ("newest page", "one of 1,000 actors", "actor and outcome"):
        cost = statistics.median(found[what]) / base
        report.against("audit", f"query on {name}, {what}", cost, "100 rows by their key")


def exports() -> None:
    count = min(EVENTS, 20_000)
    log = AuditLog(MemoryAuditStore(), clock=FixedClock(START))
    log.emit_many(list(events(count)))
    records = [Record(leaf, parsed(leaf), "o/t") for leaf in drive(log.store.leaves("acme", 0, count))]
    found: dict[str, list[float]] = {name: [] for name in FORMATS}
    for _ in range(ROUNDS):
        for name, form in FORMATS.items():
            begun = time.process_time()
            for record in records:
                form.text(record)
            found[name].append((time.process_time() - begun) / count * 1e6)
    base = statistics.median(found["jsonl"])
    print(f"\nexports, CPU an event in us (median of {ROUNDS}; reading and checking the leaf not included)")
    for name, times in found.items():
        middle = statistics.median(times)
        print(f"  {name:12} {middle:7.2f}  {1e6 / middle:10,.0f} events/s  x{middle / base:.1f}")
    report.measured("audit", "OCSF line of an event", statistics.median(found["ocsf"]), "µs CPU")
    query = parse("actor:user_5* -action:session.* outcome:denied created:>=2026-01-02 target:int_3*")
    begun = time.process_time()
    for record in records:
        query.matches(record.event)
    print(f"  predicate of five terms {(time.process_time() - begun) / count * 1e6:.2f} us an event")


def main() -> None:
    exports()
    with tempfile.TemporaryDirectory(prefix="wt-bench-") as folder:
        log, spent = filled(f"sqlite:///{Path(folder, 'audit.db')}")
        print(f"\nSQLite filled in {spent / EVENTS * 1e6:.1f} us CPU an event")
        queries("SQLite", log)
    url = os.environ.get("WT_BENCH_POSTGRES_URL")
    if url:
        log, spent = filled(url)
        print(f"\nPostgreSQL filled in {spent / EVENTS * 1e6:.1f} us CPU an event")
        queries("PostgreSQL", log)


if __name__ == "__main__":
    main()
