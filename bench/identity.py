"""Identity, measured: session lookups and parallel refreshes.

Callables take turns in short rounds; the medians of the rounds' ratios are shown, because absolute times on a shared
machine mean little. Run: ``python bench/identity.py``.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier
from typing import Any

import report
from sqlalchemy import create_engine, text

from wellstreak_trust.core import drive
from wellstreak_trust.identity import (
    MemoryRefreshStore,
    MemorySessionStore,
    RefreshFamilies,
    SessionManager,
)
from wellstreak_trust.storage.redis import RedisPort, RedisRefreshStore, RedisSessionStore
from wellstreak_trust.storage.sql import Database, SqlRefreshStore, SqlSessionStore

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import servers

ISSUER, AUDIENCE, TOKENS, ROUNDS = "https://op.example", "api", 64, report.rounds(21)
REQUIRED: Any = {"require": ["iss", "sub", "aud", "exp", "iat"]}
Call = Callable[[], object]


def interleaved(*calls: Call, repeat: int, clock: Callable[[], float] = time.process_time) -> list[list[float]]:
    """Microseconds for each call and round; `repeat` calls of the work are inside one call.

    Processor time of this process, which others on the machine do not change; `time.perf_counter` where a server works.
    """
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for index, call in enumerate(calls):
            begun = clock()
            call()
            found[index].append((clock() - begun) / repeat * 1e6)
    return found


def ratio(one: list[float], other: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def over(items: list[Any], function: Callable[[Any], object]) -> Call:
    def call() -> None:
        for item in items:
            function(item)

    return call


def sessions() -> None:
    memory = SessionManager(MemorySessionStore())
    opened = [memory.open(f"u{n}").token.reveal() for n in range(TOKENS)]
    (found,) = interleaved(over(opened * 20, memory.authenticate), repeat=TOKENS * 20)
    report.measured("identity", "session from its token, memory", statistics.median(found), "µs CPU", target=3)
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder, 'bench.db')}")
        database = Database(engine)
        database.create_all()
        stored = SessionManager(SqlSessionStore(database))
        opened = [stored.open(f"u{n}").token.reveal() for n in range(TOKENS)]
        select = text("SELECT * FROM wst_sessions WHERE key = :key")

        def bare(token: str) -> object:
            key = sha256(token.encode()).digest()
            return drive(database.run(lambda c: c.execute(select, {"key": key}).one_or_none(), read=True))

        ours, floor = interleaved(over(opened, stored.authenticate), over(opened, bare), repeat=TOKENS)
        print(f"session, SQLite: {statistics.median(ours):.0f} us")
        report.against("identity", "session, SQLite", ratio(ours, floor), "a bare SELECT", target=1.5)
        engine.dispose()


def redis_sessions() -> None:
    """One trip: beside a PING and a GET of as many octets over the same connection."""
    with servers.redis() as url:
        port = RedisPort.from_url(url, socket_timeout=5)
        stored = SessionManager(RedisSessionStore(port))
        opened = [stored.open(f"u{n}", amr=("pwd",)).token.reveal() for n in range(TOKENS)]
        port.client.set("bench", "x" * 300)
        ours, ping, get = interleaved(
            over(opened, stored.authenticate),
            over(opened, lambda _: port.client.ping()),
            over(opened, lambda _: port.client.get("bench")),
            repeat=TOKENS,
            clock=time.perf_counter,
        )
        print(f"session, Redis: {statistics.median(ours):.0f} us")
        report.against("identity", "session, Redis, one script", ratio(ours, ping), "a PING")
        report.against("identity", "session, Redis, one script", ratio(ours, get), "a GET")
        port.client.close()


def refreshes(callers: int = 100) -> None:
    """Parallel callers with one token: how many successors, and how long until all have it."""
    with servers.redis() as url, tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder, 'bench.db')}", pool_size=callers)
        database = Database(engine)
        database.create_all()
        port = RedisPort.from_url(url, socket_timeout=30)
        stores = {"memory": MemoryRefreshStore(), "SQLite": SqlRefreshStore(database), "Redis": RedisRefreshStore(port)}
        for name, store in stores.items():
            families = RefreshFamilies(store)
            token, barrier = families.start("u1").token, Barrier(callers)

            def call(_: int, families: Any = families, token: Any = token, barrier: Any = barrier) -> str:
                barrier.wait()
                return families.rotate(token).token.reveal()

            with ThreadPoolExecutor(callers) as pool:
                begun = time.perf_counter()
                successors = set(pool.map(call, range(callers)))
                took = (time.perf_counter() - begun) * 1e3
            print(f"{callers} refreshes, {name}: {took:.0f} ms for all")
            what = f"successors of {callers} parallel refreshes, {name}"
            report.measured("identity", what, len(successors), "", target=1)
        engine.dispose()


if __name__ == "__main__":
    sessions()
    redis_sessions()
    refreshes()
