"""Identity, measured: session lookups, in memory and beside a bare SELECT.

Callables take turns in short rounds; the medians of the rounds' ratios are shown, because absolute times on a shared
machine mean little. Run: ``python bench/identity.py``.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from wellstreak_trust.identity import MemorySessionStore, SessionManager
from wellstreak_trust.storage.sql import Database, SqlSessionStore

TOKENS, ROUNDS = 64, 21
Call = Callable[[], object]


def interleaved(*calls: Call, repeat: int) -> list[list[float]]:
    """Microseconds for each call and round; `repeat` calls of the work are inside one call."""
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for index, call in enumerate(calls):
            begun = time.perf_counter()
            call()
            found[index].append((time.perf_counter() - begun) / repeat * 1e6)
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
    print(f"session, memory: {statistics.median(found):.2f} us")
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder, 'bench.db')}")
        database = Database(engine)
        database.create_all()
        stored = SessionManager(SqlSessionStore(database))
        opened = [stored.open(f"u{n}").token.reveal() for n in range(TOKENS)]
        select = text("SELECT * FROM wst_sessions WHERE key = :key")

        def bare(token: str) -> object:
            with database.engine.connect() as connection:
                connection = connection.execution_options(wst_read=True)
                with connection.begin():
                    return connection.execute(select, {"key": sha256(token.encode()).digest()}).one_or_none()

        ours, floor = interleaved(over(opened, stored.authenticate), over(opened, bare), repeat=TOKENS)
        print(f"session, SQLite: {statistics.median(ours):.0f} us, {ratio(ours, floor):.2f}x a bare SELECT")
        engine.dispose()


if __name__ == "__main__":
    sessions()
