"""Writers that meet, processes that start together or die, children that fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from wellstreak_trust.core.errors import SecretConflict
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore, envelope
from wellstreak_trust.storage.sql import Database, SqlSecretBackend

KEK = LocalKeyProvider("k_0011223344556677", bytes(range(64)))
NAME = "slack/bot"


@pytest.fixture(scope="module")
def postgres_database(postgres_server: str) -> Iterator[Engine]:
    import psycopg

    name = f"wt_races_{os.getpid()}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        url = (postgres_server.rpartition("/")[0] + f"/{name}").replace("postgresql://", "postgresql+psycopg://")
        found = create_engine(url, pool_size=10)
        Database(found).create_all()
        yield found
        found.dispose()
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Both engines, empty."""
    if request.param == "sqlite":
        found = create_engine(f"sqlite:///{request.getfixturevalue('sqlite_path')}")
        Database(found).create_all()
        yield found
        found.dispose()
        return
    found = request.getfixturevalue("postgres_database")
    with found.begin() as connection:
        connection.execute(text("TRUNCATE wst_secret_store, wst_tenant_key, wst_secret, wst_secret_version"))
    yield found


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Results or errors of `count` threads that start together."""
    start, found = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        start.wait(10)
        try:
            found[number] = work(number)
        except Exception as error:
            found[number] = error  # type: ignore[call-overload]  # results and errors alike

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def process(engine: Engine) -> SecretStore:
    """What another process has: nothing shared but the database."""
    return SecretStore(SqlSecretBackend(Database(engine)), KeyChain([KEK]))


def test_first_writers_agree_on_store_and_key(engine: Engine) -> None:
    found = at_once(8, lambda number: process(engine).put("t1", f"name-{number}", f"value {number}"))
    assert {ref.version for ref in found} == {1}
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM wst_secret_store")).scalar() == 1
        assert connection.execute(text("SELECT count(*) FROM wst_tenant_key")).scalar() == 1
    reader = process(engine)
    assert [reader.get("t1", f"name-{number}").reveal() for number in range(8)] == [f"value {n}" for n in range(8)]


@pytest.mark.parametrize("expected", [0, 1])
def test_one_of_eight_wins_a_compare_and_set(engine: Engine, expected: int) -> None:
    if expected:
        process(engine).put("t1", NAME, "first")
    found = at_once(8, lambda number: process(engine).put("t1", NAME, f"v{number}", expected_version=expected))
    won = [ref for ref in found if not isinstance(ref, SecretConflict)]
    assert [ref.version for ref in won] == [expected + 1]
    assert process(engine).get("t1", NAME).reveal() == f"v{found.index(won[0])}"


def test_unconditional_writers_all_succeed(engine: Engine) -> None:
    found = at_once(8, lambda number: process(engine).put("t1", NAME, f"v{number}"))
    assert sorted(ref.version for ref in found) == list(range(1, 9))
    reader = process(engine)
    for number, ref in enumerate(found):
        assert reader.get("t1", NAME, version=ref.version).reveal() == f"v{number}"


def test_no_false_alarm_while_a_neighbour_writes(engine: Engine) -> None:
    shared = process(engine)
    shared.put("t1", NAME, "0")

    def work(number: int) -> list[str]:
        if number == 0:
            return [str(shared.put("t1", NAME, str(count)).version) for count in range(20)]
        return [str(shared.get("t1", NAME).reveal()) for _ in range(20)] + [found.name for found in shared.list("t1")]

    errors = [found for found in at_once(4, work) if isinstance(found, Exception)]
    assert errors == []


def test_memory_is_atomic_too() -> None:
    store = SecretStore(MemorySecretBackend(), KeyChain([KEK]))
    found = at_once(8, lambda number: store.put("t1", NAME, f"v{number}", expected_version=0))
    assert sum(isinstance(ref, SecretConflict) for ref in found) == 7


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_children_never_repeat_a_salt() -> None:
    key, context = envelope.EnvelopeKey(bytes(64)), envelope.EnvelopeContext("s", "t", "n", 1, "value/text")
    salts = {envelope.seal(key, b"", context)[9:41]}
    for _ in range(8):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, envelope.seal(key, b"", context)[9:41])
            os._exit(0)
        os.waitpid(child, 0)
        salts.add(os.read(reading, 32))
        os.close(reading)
        os.close(writing)
    assert len(salts) == 9
