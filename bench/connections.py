"""The gate in memory and on SQLite, with and without a snapshot.

python bench/connections.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import report
from sqlalchemy import create_engine, text

from wellstreak_trust.connections import Connections, MemoryConnectionStore, ProbeResult
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore
from wellstreak_trust.storage.sql import Database, SqlConnectionStore, SqlSecretBackend

ROUNDS, CALLS = report.rounds(31), report.size(300, 30)


class WhoAmI:
    name, kind, required, timeout = "whoami", "auth", True, timedelta(seconds=1)

    async def run(self, context: Any) -> ProbeResult:
        return ProbeResult("ok")


def gate(store: Any, backend: Any, folder: Path, snapshot: timedelta) -> Callable[[], object]:
    keys = KeyChain([LocalKeyProvider.generate(folder / f"kek-{id(store)}-{snapshot}.json")])
    secrets = SecretStore(backend, keys)
    secrets.put("acme", "bot", "token")
    made = Connections(store, secrets, {"chat": [WhoAmI()]}, snapshot=snapshot)
    made.define("acme", "chat", config={}, secret="bot")
    made.test("acme", "chat")
    return lambda: made.require_active("acme", "chat")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engines = [create_engine(f"sqlite:///{folder / f'{number}.db'}") for number in range(2)]
        databases = [Database(engine) for engine in engines]
        for database in databases:
            database.create_all()

        def bare() -> object:
            with engines[0].connect() as connection:
                return connection.execute(text("select 1")).scalar()

        day = timedelta(days=1)
        candidates = {
            "memory": gate(MemoryConnectionStore(), MemorySecretBackend(), folder, timedelta()),
            "memory, snapshot": gate(MemoryConnectionStore(), MemorySecretBackend(), folder, day),
            "sqlite": gate(SqlConnectionStore(databases[0]), SqlSecretBackend(databases[0]), folder, timedelta()),
            "sqlite, snapshot": gate(SqlConnectionStore(databases[1]), SqlSecretBackend(databases[1]), folder, day),
            "bare SELECT 1": bare,
        }
        taken: dict[str, list[float]] = {each: [] for each in candidates}
        for _ in range(ROUNDS):
            for each, call in candidates.items():
                started = perf_counter()
                for _ in range(CALLS):
                    call()
                taken[each].append((perf_counter() - started) / CALLS * 1e6)
        for each in ("memory, snapshot", "sqlite, snapshot"):
            report.measured("connections", f"gate, {each} held", median(taken[each]), "µs", target=5)
        report.measured("connections", "gate, memory, asked each time", median(taken["memory"]), "µs")
        report.measured("connections", "gate, SQLite, asked each time", median(taken["sqlite"]), "µs")


if __name__ == "__main__":
    main()
