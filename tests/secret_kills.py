"""Processes that die at random: ``python secret_kills.py writes|refreshes COUNT URL FOLDER`` prints what it found.

A nursery imports everything once and forks workers, so that a kill costs milliseconds and not an interpreter's start.
Over PostgreSQL it is the client that dies; the server finds out by itself.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from wellstreak_trust.core import Secret, TrustError
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, Refreshed, SecretStore
from wellstreak_trust.storage.sql import Database, SqlSecretBackend

KEYS = [LocalKeyProvider(f"k_001122334455667{number}", bytes([number]) * 64) for number in (1, 2)]
TENANTS = ("t1", "t2")
NAMES = ("a", "b", "c")
TOKEN = "slack/oauth"
WORKERS = 8
LIFE = timedelta(milliseconds=60)
LEASE = timedelta(seconds=3)  # far longer than a starved process needs for one exchange


def store_of(database: Database, turn: int = 0) -> SecretStore:
    """A process's own store; `turn` tells which of the two keys is active."""
    return SecretStore(SqlSecretBackend(database), KeyChain([KEYS[turn % 2], KEYS[(turn + 1) % 2]]))


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """What the nursery looks through: closed before it forks, because children must not share its connections."""
    engine = create_engine(url)
    yield Database(engine)
    engine.dispose()


def forked(work: Any, *arguments: Any) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work(*arguments)
    finally:
        os._exit(1)


def killed(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


# --- writes ----------------------------------------------------------------------------------------------------------


def writes(url: str, seed: int, begun: int) -> None:
    """Everything that writes, for ever; tells when the first secret stands, or a busy machine would kill nothing."""
    chance, turn, database = random.Random(seed), seed, Database(create_engine(url))
    store_of(database).put(TENANTS[0], NAMES[0], f"{TENANTS[0]} {NAMES[0]} first")
    os.write(begun, b".")
    while True:
        turn += 1
        store = store_of(database, turn)
        for _ in range(3):
            with suppress(TrustError):  # nothing to rotate yet, or the key is turning
                write(store, chance)


def write(store: SecretStore, chance: random.Random) -> None:
    tenant, name, value = chance.choice(TENANTS), chance.choice(NAMES), chance.random()
    steps: tuple[Callable[[], object], ...] = (
        lambda: store.put(tenant, name, f"{tenant} {name} {value}"),
        lambda: store.rotate(tenant, name, f"{tenant} {name} {value}", overlap=LEASE),
        lambda: store.revert(tenant, name, 1),
        lambda: store.rewrap(batch=1),
        lambda: store.reencrypt(tenant, batch=1, retire=True),
    )
    chance.choice(steps)()


def inspected(database: Database) -> tuple[int, int]:
    """How many versions do not open, and how many secrets have not exactly one current version, their newest."""
    store, unreadable, doubled = store_of(database), 0, 0
    unreadable += len(store.verify().faults)
    for tenant in TENANTS:
        for info in store.list(tenant):
            history = store.versions(tenant, info.name)
            doubled += [each.version for each in history if each.current] != [len(history)]
            unreadable += not str(store.get(tenant, info.name).reveal()).startswith(f"{tenant} {info.name} ")
    return unreadable, doubled


def kill_writers(count: int, url: str, folder: Path) -> dict[str, int]:
    with opened(url) as database:
        database.create_all()
    chance, found = random.Random(count), {"kills": 0, "unreadable": 0, "doubled": 0, "versions": 0}
    for number in range(count):
        reading, begun = os.pipe()
        child = forked(writes, url, number, begun)
        os.read(reading, 1)
        time.sleep(chance.uniform(0.0, 0.25))
        killed(child)
        os.close(reading)
        os.close(begun)
        with opened(url) as database:
            unreadable, doubled = inspected(database)
        found["kills"] += 1
        found["unreadable"] += unreadable
        found["doubled"] += doubled
    with opened(url) as database:
        found["versions"] = store_of(database).verify().versions
    return found


# --- refreshes -------------------------------------------------------------------------------------------------------


def spend(idp: Path, token: str) -> str:
    """The provider's side: a refresh token is good for one use. Notes who used which."""
    time.sleep(0.005)
    with closing(sqlite3.connect(idp, timeout=10, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO spent VALUES (?, ?)", (token, os.getpid()))
        connection.execute("COMMIT")
    return str(int(token) + 1)


def refreshes(url: str, idp: Path) -> None:
    """What a worker does: ask for the token, again and again."""
    store = store_of(Database(create_engine(url)))

    def fn(current: Secret[Any]) -> Refreshed:
        fresh = spend(idp, current.reveal())
        return Refreshed(fresh, rotate_after=datetime.now(UTC) + LIFE)

    while True:
        try:
            store.refresh("t1", TOKEN, fn, lease=LEASE)
        except TrustError:
            continue  # LeaseHeld behind a holder that was killed
        time.sleep(0.005)


def kill_refreshers(count: int, url: str, folder: Path) -> dict[str, int]:
    """Reuse: a token that a process spent although one that lives had spent it.

    A holder that is killed between the provider's answer and the write takes its token with it. No client can close
    that window; the next holder spends the same token again, which is counted apart, and at most once a kill.
    """
    idp = folder / "idp.db"
    with opened(url) as database:
        database.create_all()
        store_of(database).put("t1", TOKEN, "0", rotate_after=datetime.now(UTC))
    with closing(sqlite3.connect(idp)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE spent (token TEXT, pid INTEGER)")
    chance, dead = random.Random(count), set()
    workers = [forked(refreshes, url, idp) for _ in range(WORKERS)]
    for _ in range(count):
        time.sleep(chance.uniform(0.05, 0.3))
        victim = workers.pop(chance.randrange(len(workers)))
        killed(victim)
        dead.add(victim)
        workers.append(forked(refreshes, url, idp))
    time.sleep(0.5)
    for worker in workers:
        killed(worker)
    with closing(sqlite3.connect(idp)) as connection:
        spent = connection.execute("SELECT token, pid FROM spent ORDER BY rowid").fetchall()
    by: dict[str, list[int]] = {}
    for token, pid in spent:
        by.setdefault(token, []).append(pid)
    with opened(url) as database:
        versions = store_of(database).describe("t1", TOKEN).version
    lost = [pids for pids in by.values() if len(pids) > 1]
    return {
        "kills": count,
        "calls": len(spent),
        "reused": sum(pid not in dead for pids in lost for pid in pids[:-1]),
        "orphaned": sum(pid in dead for pids in lost for pid in pids[:-1]),
        "versions": versions,
    }


if __name__ == "__main__":
    kinds = {"writes": kill_writers, "refreshes": kill_refreshers}
    print(json.dumps(kinds[sys.argv[1]](int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))))
