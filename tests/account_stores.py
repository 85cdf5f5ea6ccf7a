"""The stores of accounts on every backend, for tests that run one attack against all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import create_engine

from wellstreak_trust.core import TrustError
from wellstreak_trust.storage import memory, redis, sql

KINDS = ("memory", "sqlite", "postgres", "redis")
_PREFIXES = (f"a{number}" for number in count())


class Stores:
    """The stores by name: ``stores("Session")``, the same each time."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._make = make
        self._made: dict[str, Any] = {}

    def __call__(self, room: str) -> Any:
        return self._made.setdefault(room, self._make(room))


@contextmanager
def stores_on(request: pytest.FixtureRequest, kind: str) -> Iterator[Stores]:
    """The stores on one backend; what Redis does not keep lies in memory there."""
    if kind == "memory":
        yield Stores(lambda room: getattr(memory, f"Memory{room}Store")())
        return
    if kind == "redis":
        patient = {"socket_timeout": 10, "socket_connect_timeout": 10}
        port = redis.RedisPort.from_url(request.getfixturevalue("redis_url"), **patient)
        yield Stores(lambda room: getattr(redis, f"Redis{room}Store")(port, prefix=next(_PREFIXES)))
        port.client.close()
        return
    if kind == "sqlite":
        url = f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    else:
        url = request.getfixturevalue("postgres_url").replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url, pool_size=20)
    database = sql.Database(engine)
    database.create_all()
    yield Stores(lambda room: getattr(sql, f"Sql{room}Store")(database))
    engine.dispose()


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Runs the calls at one moment, each in a thread of its own; a refusal counts as its error."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait(20)
        try:
            return call()
        except TrustError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
