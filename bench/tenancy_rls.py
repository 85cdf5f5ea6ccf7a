"""What row level security costs, without an ORM, as a ratio to the same work with an explicit WHERE.

    python bench/tenancy_rls.py [ROUNDS] [URL]

`URL` is a superuser's of PostgreSQL; without it a server is started from a binary on this machine. Candidates are
interleaved, each ratio is the median over rounds of the same round's times, in wall time, because most of the work is
the server's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from time import perf_counter_ns, process_time_ns

import psycopg
import report
from sqlalchemy import create_engine, text

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import servers
from wellstreak_trust.tenancy import tenant_scope, testing_context
from wellstreak_trust.tenancy.postgres import Seal, bind_tenant, doctor, policy_ddl, seal_ddl

TENANTS, ROWS, TABLES = 50, report.size(200_000, 10_000), 200
KEY = Seal(b"a key of thirty-two bytes, or so")
SET = "SELECT set_config('wst.tenant', %s, true), set_config('wst.company', '', true)"
KINDS = ("plain", "secured", "sealed")
NAMES = {"secured": "setting apart", "sealed": "sealed", "folded": "inside BEGIN"}
BATCH = 40


def build(connection: psycopg.Connection) -> None:
    connection.execute("CREATE ROLE bench_app LOGIN")
    for statement in seal_ddl("bench_app"):
        connection.execute(statement)
    connection.execute(KEY.install_sql().reveal())
    for kind in KINDS:
        connection.execute(
            f"CREATE TABLE {kind} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, n int);"
            f"INSERT INTO {kind} (tenant_id, n) SELECT 't' || g % {TENANTS}, g FROM generate_series(1, {ROWS}) AS g;"
            f"CREATE INDEX ON {kind} (tenant_id, id) INCLUDE (n);"
            f"GRANT SELECT, INSERT ON {kind} TO bench_app"
        )
        if kind != "plain":
            for statement in policy_ddl(kind, sealed=kind == "sealed"):
                connection.execute(statement)
        connection.execute(f"VACUUM ANALYZE {kind}")


Work = Callable[[], object]


def driver(app: psycopg.Connection, kind: str, work: str) -> Work:
    """One transaction at the driver's level."""
    value = KEY.value("t7", "", app.info.backend_pid) if kind == "sealed" else "t7"
    own = " AND tenant_id = 't7'" if kind == "plain" else ""
    queries = {
        "read": [f"SELECT n FROM {kind} WHERE id = 7{own}"],
        "10 reads": [f"SELECT n FROM {kind} WHERE id = 7{own}"] * 10,
        "insert": [f"INSERT INTO {kind} (tenant_id, n) VALUES ('t7', 1)"],
        "aggregate": [f"SELECT sum(n) FROM {kind} WHERE id > 0{own}"],
    }[work]

    def run() -> None:
        if kind != "plain":
            app.execute(SET, (value,))
        for query in queries:
            app.execute(query).fetchall() if query.startswith("SELECT") else app.execute(query)
        app.commit()

    return run


def folded(app: psycopg.Connection) -> Work:
    """The setting in the same message as BEGIN: one round trip less."""
    query = "SELECT n FROM secured WHERE id = 7"
    begin = b"BEGIN; SELECT set_config('wst.tenant', 't7', true), set_config('wst.company', '', true)"

    def run() -> None:
        app.pgconn.exec_(begin)
        app.execute(query).fetchall()
        app.commit()

    return run


def bound(url: str, kind: str) -> Work:
    """Through SQLAlchemy Core, with `bind_tenant`."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    if kind != "plain":
        bind_tenant(engine, KEY if kind == "sealed" else None)
    own = " AND tenant_id = 't7'" if kind == "plain" else ""
    query = text(f"SELECT n FROM {kind} WHERE id = 7{own}")
    scope = nullcontext if kind == "plain" else lambda: tenant_scope(testing_context("t7"))

    def run() -> None:
        with scope(), engine.begin() as connection:
            connection.execute(query).all()

    return run


def ratios(rounds: int, candidates: dict[str, Work], base: str) -> dict[str, float]:
    times: dict[str, list[int]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            run()
            started = perf_counter_ns()
            for _ in range(BATCH):
                run()
            times[name].append((perf_counter_ns() - started) // BATCH)
    print(f"    {base}: {median(times[base]) / 1000:.0f} us")
    return {name: median(a / b for a, b in zip(times[name], times[base], strict=True)) for name in candidates}


def show(title: str, found: dict[str, float]) -> None:
    for name, ratio in found.items():
        if name != "plain":
            target = 1.35 if title == "read" and name == "folded" else None
            report.against("tenancy", f"row level security, {title}, {NAMES[name]}", ratio, "WHERE", target=target)


def examine(connection: psycopg.Connection, app: psycopg.Connection) -> None:
    connection.execute("DROP TABLE plain, secured, sealed")
    for number in range(TABLES // 2):
        parent, child = f"t{number}", f"c{number}"
        connection.execute(
            f"CREATE TABLE {parent} (id bigint PRIMARY KEY, tenant_id text NOT NULL, UNIQUE (tenant_id, id));"
            f"CREATE TABLE {child} (id bigint PRIMARY KEY, tenant_id text NOT NULL, t bigint,"
            f" FOREIGN KEY (tenant_id, t) REFERENCES {parent} (tenant_id, id));"
            f"CREATE INDEX ON {child} (tenant_id, t)"
        )
        for table in (parent, child):
            connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO bench_app")
            for statement in policy_ddl(table):
                connection.execute(statement)
    connection.execute("ANALYZE")
    times = []
    for _ in range(9):
        started = perf_counter_ns()
        found = doctor(app)
        times.append((perf_counter_ns() - started) / 1e6)
    app.commit()
    costs = []
    for _ in range(9):
        started = process_time_ns()
        doctor(app)
        costs.append((process_time_ns() - started) / 1e6)
    app.commit()
    print(f"{median(costs):.0f} ms in this process, the first {times[0]:.0f} ms, {len(found)} findings")
    report.measured("tenancy", f"doctor over {TABLES} tables", median(times), "ms", target=100)


@contextmanager
def database() -> Iterator[str]:
    started = servers.postgres() if len(sys.argv) < 3 else nullcontext(sys.argv[2])
    with started as server, psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE wt_bench_rls")
        try:
            yield server.rpartition("/")[0] + "/wt_bench_rls"
        finally:
            connection.execute("DROP DATABASE wt_bench_rls WITH (FORCE)")
            connection.execute("DROP ROLE IF EXISTS bench_app")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else report.rounds(30)
    with database() as url, psycopg.connect(url, autocommit=True) as connection:
        build(connection)
        app_url = url.replace("postgres@", "bench_app@")
        with psycopg.connect(app_url) as app:
            for work in ("read", "10 reads", "insert", "aggregate"):
                found = {kind: driver(app, kind, work) for kind in KINDS}
                if work == "read":
                    found["folded"] = folded(app)
                show(work, ratios(rounds, found, "plain"))
            show("bind_tenant", ratios(rounds, {kind: bound(app_url, kind) for kind in KINDS}, "plain"))
            examine(connection, app)


if __name__ == "__main__":
    main()
