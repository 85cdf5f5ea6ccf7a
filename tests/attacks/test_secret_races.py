"""Writers that meet, processes that start together or die, children that fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, insert, text

from wellstreak_trust.core import drive
from wellstreak_trust.core.errors import SecretConflict, SecretShredded
from wellstreak_trust.secrets import (
    KeyChain,
    LocalKeyProvider,
    MemorySecretBackend,
    SealedKeyProvider,
    SecretStore,
    envelope,
)
from wellstreak_trust.storage.sql import Database, SqlSecretBackend
from wellstreak_trust.storage.sql.database import SqlPort
from wellstreak_trust.storage.sql.secret_tables import KEY

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


@pytest.mark.asvs("11.3.4", "11.5.2")
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


class Half:
    """A transaction of somebody else on PostgreSQL, stopped where another call waits for it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.connection = engine.connect()
        self.pid = self.connection.execute(text("SELECT pg_backend_pid()")).scalar()

    def run(self, statement: str) -> None:
        self.connection.execute(text(statement))

    def while_waiting(self, call: Callable[[], Any], *then: str) -> Any:
        """Lets `call` run into our locks, runs `then`, commits; what came of the call."""
        found: list[Any] = []

        def work() -> None:
            try:
                found.append(call())
            except Exception as error:
                found.append(error)

        other = threading.Thread(target=work)
        other.start()
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE :pid = ANY(pg_blocking_pids(pid))")
        with self.engine.connect() as watch:
            while other.is_alive() and not watch.execute(waiting, {"pid": self.pid}).scalar():
                threading.Event().wait(0.01)
        for statement in then:
            self.run(statement)
        self.connection.commit()
        self.connection.close()
        other.join(20)
        return found[0]


@pytest.fixture
def half(postgres_database: Engine) -> Half:
    with postgres_database.begin() as connection:
        connection.execute(text("TRUNCATE wst_secret_store, wst_tenant_key, wst_secret, wst_secret_version"))
    return Half(postgres_database)


TURN = (
    "INSERT INTO wst_tenant_key SELECT tenant_id, 2, kek_uri, wrapped, check_value, state, created_at "
    "FROM wst_tenant_key WHERE version = 1",
    "UPDATE wst_tenant_key SET state = 'decrypt_only' WHERE version = 1",
)


def states(engine: Engine) -> list[tuple[int, str]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT version, state FROM wst_tenant_key ORDER BY version"))
        return [(row.version, row.state) for row in rows]


def test_a_shred_that_waits_for_a_turning_key_destroys_the_new_one_too(half: Half) -> None:
    """Else the run that turned the key would seal every secret under one that outlives the shredding."""
    store = process(half.engine)
    store.put("t1", NAME, "value")
    half.run("SELECT version FROM wst_tenant_key FOR UPDATE")
    assert half.while_waiting(lambda: store.shred("t1", confirm="t1").keys, *TURN) == (1, 2)
    assert states(half.engine) == [(1, "destroyed"), (2, "destroyed")]


def test_a_key_that_would_turn_after_a_shred_does_not(half: Half) -> None:
    store = process(half.engine)
    store.put("t1", NAME, "value")
    half.run("UPDATE wst_tenant_key SET state = 'destroyed', wrapped = NULL")
    assert isinstance(half.while_waiting(lambda: store.reencrypt("t1")), SecretShredded)
    assert states(half.engine) == [(1, "destroyed")]


def test_a_write_that_waits_for_a_turning_key_seals_under_the_new_one(half: Half) -> None:
    """PostgreSQL shows who waited the changed row, and not the one that was added."""
    store = process(half.engine)
    store.put("t1", NAME, "value")
    row = drive(SqlSecretBackend(Database(half.engine)).keys_of("t1"))[0]
    fresh = drive(store._vault.ring.fresh("t1", 2))
    half.run("SELECT version FROM wst_tenant_key FOR UPDATE")
    half.connection.execute(insert(KEY).values(fresh._asdict()))
    assert half.while_waiting(lambda: store.put("t1", NAME, "second"), TURN[1]).version == 2
    assert store.describe("t1", NAME).key_version == 2 != row.version


def sealing_and_opening(database: SqlPort, folder: Path) -> tuple[SecretStore, SecretStore]:
    if not (folder / "web.json").exists():
        SealedKeyProvider.generate(folder / "worker.json", folder / "web.json")
    web, worker = (
        SecretStore(SqlSecretBackend(database), KeyChain([SealedKeyProvider.from_file(folder / f"{half}.json")]))
        for half in ("web", "worker")
    )
    return web, worker


def test_a_write_that_waits_for_a_sealing_process_sees_its_key(half: Half, tmp_path: Path) -> None:
    """The keys were read before the secret was waited for, and it came back under one that was not there yet."""
    _, worker = sealing_and_opening(Database(half.engine), tmp_path)
    worker.put("t1", NAME, "value")
    web, _ = sealing_and_opening(Database(half.engine).join(half.connection), tmp_path)
    assert web.put("t1", NAME, "of the web tier").version == 2
    assert half.while_waiting(lambda: worker.put("t1", NAME, "of the worker")).version == 3
    assert worker.get("t1", NAME, version=2).reveal() == "of the web tier"


def test_a_sealing_process_makes_no_key_after_a_shred(half: Half, tmp_path: Path) -> None:
    web, worker = sealing_and_opening(Database(half.engine), tmp_path)
    worker.put("t1", NAME, "value")
    half.run("SELECT version FROM wst_tenant_key FOR UPDATE")
    found = half.while_waiting(
        lambda: drive(web._vault.ring.create("t1", 2)), "UPDATE wst_tenant_key SET state = 'destroyed', wrapped = NULL"
    )
    assert found is None
    assert states(half.engine) == [(1, "destroyed")]
