"""Entitlements: a check from a snapshot, and metered use on SQLite beside the bare statement that it rests on.

    python bench/entitlements.py

Candidates take turns in one run; medians of rounds, in process time. The bare candidate does what a host would write
by hand: one transaction (BEGIN IMMEDIATE, synchronous=FULL), one conditional UPDATE, no hold that could be given back.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import report
from sqlalchemy import create_engine, text

from wellstreak_trust.storage.sql import Database, SqlUsageStore
from wellstreak_trust.storage.sql.usage import SqlEntitlements
from wellstreak_trust.tenancy import (
    Entitlements,
    EntitlementSnapshot,
    Feature,
    MemoryUsageStore,
    StaticEntitlements,
    testing_context,
)

ROUNDS, QUICK, SLOW = report.rounds(41), 2_000, 20
NOW = datetime.now(UTC)
FEATURES = {"sso": Feature(), "runs": Feature(limit=2**40)}
SNAPSHOT = EntitlementSnapshot("pro", "active", NOW + timedelta(days=30), FEATURES, as_of=NOW)
ACME = testing_context("acme")


def measured(candidates: dict[str, Callable[[], object]], calls: int) -> dict[str, float]:
    """Median microseconds a call."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, call in candidates.items():
            begun = time.process_time()
            for _ in range(calls):
                call()
            times[name].append((time.process_time() - begun) / calls * 1e6)
    return {name: statistics.median(found) for name, found in times.items()}


def show(title: str, found: dict[str, float], base: str) -> None:
    print(f"\n{title}")
    for name, micros in found.items():
        print(f"  {name:44} {micros:9.2f} µs   {micros / found[base]:6.2f} x")


def checks() -> None:
    source = StaticEntitlements({"acme": SNAPSHOT})
    asks = Entitlements(source, max_stale=timedelta(days=1))
    keeps = Entitlements(source, max_stale=timedelta(days=1), fresh_for=timedelta(hours=1))
    metered = Entitlements(source, MemoryUsageStore(), max_stale=timedelta(days=1), fresh_for=timedelta(hours=1))
    bare = {"sso": True}
    found = measured(
        {
            "dict lookup": lambda: bare.get("sso"),
            "check, snapshot held (fresh_for)": lambda: keeps.check(ACME, "sso"),
            "check, source asked each time": lambda: asks.check(ACME, "sso"),
            "check of a metered feature, memory": lambda: metered.check(ACME, "runs"),
        },
        QUICK,
    )
    show("check", found, "check, snapshot held (fresh_for)")
    held = found["check, snapshot held (fresh_for)"]
    report.measured("tenancy", "entitlement check, snapshot held", held, "µs CPU", target=2)


def reservations(folder: Path) -> None:
    engine = create_engine(f"sqlite:///{folder / 'trust.db'}")
    database = Database(engine)
    database.create_all()
    SqlEntitlements(database).apply("acme", SNAPSHOT)
    usage = Entitlements(StaticEntitlements({"acme": SNAPSHOT}), SqlUsageStore(database), max_stale=timedelta(days=1))
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for statement in (
        "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
        "CREATE TABLE counter (tenant TEXT, feature TEXT, used INT, PRIMARY KEY (tenant, feature))",
        "INSERT INTO counter VALUES ('acme', 'runs', 0)",
    ):  # fmt: skip
        bare.execute(statement)
    core = create_engine(f"sqlite:///{folder / 'bare.db'}")
    update = "UPDATE counter SET used = used + 1 WHERE tenant = 'acme' AND feature = 'runs' AND used + 1 <= 1000000000"

    def by_driver() -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.execute(update)
        bare.execute("COMMIT")

    def by_core() -> None:
        with core.begin() as connection:
            connection.execute(text(update))

    found = measured(
        {
            "bare UPDATE, sqlite3 driver": by_driver,
            "bare UPDATE, SQLAlchemy Core": by_core,
            "reserve": lambda: usage.reserve(ACME, "runs"),
            "reserve and commit": lambda: usage.commit(usage.reserve(ACME, "runs")),
        },
        SLOW,
    )
    show("metered use on SQLite", found, "bare UPDATE, SQLAlchemy Core")
    cost = found["reserve"] / found["bare UPDATE, SQLAlchemy Core"]
    report.against("tenancy", "reserve of a metered feature, SQLite", cost, "a bare conditional UPDATE")
    engine.dispose()
    core.dispose()
    bare.close()


if __name__ == "__main__":
    checks()
    with tempfile.TemporaryDirectory() as name:
        reservations(Path(name))
