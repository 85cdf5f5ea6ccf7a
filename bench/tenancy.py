"""What tenancy costs: the scope beside the smallest context manager, the guard beside a filter written by hand.

Ratios of CPU time (wall time where a server works too), rounds interleaved, medians of the per-round ratios.

    python bench/tenancy.py [POSTGRES_URL]

`POSTGRES_URL` is a superuser's ``postgresql://...``; without it a server is started from a binary or a wheel.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from statistics import median
from time import perf_counter_ns, process_time_ns
from typing import Any

import report
from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import Session, sessionmaker

from wellstreak_trust.tenancy import require_tenant, setting, tenant_scope, testing_context
from wellstreak_trust.tenancy.sqlalchemy import TenantGuard

sys.path.append(str(Path(__file__).parents[1] / "tests"))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "tenancy" / "sqlalchemy"))

from isolation_house import Base, Plan, Project, Task, task_tags

import servers

ROUNDS = report.rounds(41)
CONTEXT = testing_context("t1")
Case = Callable[[], object]


def ratio(
    ours: Case, least: Case, repeat: int, clock: Callable[[], int] = process_time_ns
) -> tuple[float, float, float]:
    """Median of the per-round ratios, and the medians of both in microseconds."""
    ratios, mine, theirs = [], [], []
    for _ in range(ROUNDS):
        spent = []
        for case in (ours, least):
            started = clock()
            for _ in range(repeat):
                case()
            spent.append((clock() - started) / repeat / 1_000)
        ratios.append(spent[0] / spent[1])
        mine.append(spent[0])
        theirs.append(spent[1])
    return median(ratios), median(mine), median(theirs)


def show(name: str, found: tuple[float, float, float], target: float) -> None:
    what, _, other = name.partition(" / ")
    report.against("tenancy", what, found[0], other, target=target)


# --- context ---------------------------------------------------------------------------------------------------------

BARE: ContextVar[object | None] = ContextVar("bare", default=None)


def bare() -> object:
    found = BARE.get()
    if found is None:
        raise LookupError
    return found


class Smallest:
    __slots__ = ("_token", "_value")

    def __init__(self, value: object) -> None:
        self._value = value

    def __enter__(self) -> object:
        self._token = BARE.set(self._value)
        return self._value

    def __exit__(self, *_: object) -> None:
        BARE.reset(self._token)


@contextmanager
def smallest(value: object) -> Iterator[object]:
    token = BARE.set(value)
    try:
        yield value
    finally:
        BARE.reset(token)


def times(block: Callable[[Any], Any], value: object) -> Case:
    def case() -> None:
        for _ in range(100):
            with block(value):
                pass

    return case


def context() -> None:
    def ours() -> None:
        for _ in range(100):
            require_tenant()

    def least() -> None:
        for _ in range(100):
            bare()

    with tenant_scope(CONTEXT), Smallest(CONTEXT):
        show("require_tenant / ContextVar.get", ratio(ours, least, 100), 1.3)
    scope = times(tenant_scope, CONTEXT)
    show("tenant scope / the smallest class", ratio(scope, times(Smallest, CONTEXT), 50), 1.8)
    show("tenant scope / the smallest @contextmanager", ratio(scope, times(smallest, CONTEXT), 50), 0.7)


# --- guard -----------------------------------------------------------------------------------------------------------


def fill(engine: Any) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for tenant in ("t1", "t2"):
            session.add_all([Project(tenant_id=tenant, name=f"p{n}") for n in range(200)])
            session.flush()
            first = session.scalars(select(Project.id).where(Project.tenant_id == tenant).limit(1)).one()
            session.add_all([Task(tenant_id=tenant, project_id=first + n, title="t") for n in range(200)])
        session.commit()


def reads(sm: sessionmaker[Session], mine: tuple[Any, ...], *, many: bool = False) -> dict[str, Case]:
    """The same work with `mine`, the conditions a host without guard writes himself."""
    both = (*mine, Task.tenant_id == "t1") if mine else ()

    def point() -> None:
        with sm() as session:
            session.scalars(select(Project).where(Project.id == 7, *mine)).one()

    def join() -> None:
        with sm() as session:
            session.execute(
                select(Task, Project).join(Project, Task.project_id == Project.id).where(Project.id == 7, *both)
            ).all()

    def rows() -> None:
        with sm() as session:
            session.scalars(select(Project).where(*mine)).all()

    def insert() -> None:
        with sm() as session:
            session.add(Project(name="n", **({"tenant_id": "t1"} if mine else {})))
            session.commit()

    return {"point": point, "join": join, "200 rows": rows, "insert": insert}


def guard(folder: str) -> None:
    url = f"sqlite:///{folder}/bench.db"
    plain, engine = create_engine(url), create_engine(url)
    fill(plain)
    for each in (plain, engine):
        event.listen(each, "connect", lambda raw, _: raw.execute("pragma synchronous=off"))
        each.dispose()
    guarded = sessionmaker(engine)
    TenantGuard(Base, shared=[Plan], links=[task_tags]).install(guarded)
    ours, theirs = reads(guarded, ()), reads(sessionmaker(plain), (Project.tenant_id == "t1",))
    with tenant_scope(CONTEXT):
        for name, repeat in (("point", 40), ("join", 40), ("200 rows", 5), ("insert", 15)):
            show(f"SQLAlchemy guard, {name} / a filter by hand", ratio(ours[name], theirs[name], repeat), 1.25)


def security(server: str, stack: ExitStack) -> None:
    """Guard and row level security as a role that owns nothing, beside WHERE as the same role without either."""
    owner = server.replace("postgresql://", "postgresql+psycopg://")
    name, role = f"wt_bench_{os.getpid()}", f"wt_bench_{os.getpid()}"
    admin = create_engine(owner, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"create role {role} login")
        for kind in ("plain", "rls"):
            connection.exec_driver_sql(f"create database {name}_{kind}")

    def gone() -> None:
        with admin.connect() as connection:
            for kind in ("plain", "rls"):
                connection.exec_driver_sql(f"drop database {name}_{kind} with (force)")
            connection.exec_driver_sql(f"drop role {role}")

    stack.callback(gone)
    engines = {}
    for kind in ("plain", "rls"):
        made = create_engine(f"{owner.rpartition('/')[0]}/{name}_{kind}")
        fill(made)
        with made.begin() as connection:
            connection.exec_driver_sql(f"grant select, insert, update, delete on all tables in schema public to {role}")
            for table in ("project", "task") if kind == "rls" else ():
                own = f"tenant_id = (select nullif(current_setting('{setting.TENANT}', true), ''))"
                connection.exec_driver_sql(f"alter table {table} enable row level security")
                connection.exec_driver_sql(f"alter table {table} force row level security")
                connection.exec_driver_sql(f"create policy tenant on {table} using ({own}) with check ({own})")
            connection.exec_driver_sql("analyze")
        made.dispose()
        where = owner.partition("@")[2].rpartition("/")[0]
        engines[kind] = create_engine(f"postgresql+psycopg://{role}@{where}/{name}_{kind}")
    guarded = sessionmaker(engines["rls"])
    TenantGuard(Base, shared=[Plan], links=[task_tags]).install(guarded)

    def work(sm: sessionmaker[Session], mine: tuple[Any, ...], count: int) -> Case:
        def case() -> None:
            with sm() as session:
                for number in range(count):
                    session.scalars(select(Project).where(Project.id == 7 + number, *mine)).one()
                session.commit()

        return case

    plain = sessionmaker(engines["plain"])
    with tenant_scope(CONTEXT):
        for count, target in ((1, 1.35), (10, 1.1)):
            ours, theirs = work(guarded, (), count), work(plain, (Project.tenant_id == "t1",), count)
            found = ratio(ours, theirs, 30 // count + 5, perf_counter_ns)
            show(f"guard and row level security, {count} read{'s' * (count > 1)} / WHERE", found, target)
    for engine in engines.values():
        engine.dispose()


def main() -> None:
    context()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        guard(folder)
        try:
            server = sys.argv[1] if len(sys.argv) > 1 else stack.enter_context(servers.postgres())
        except servers.Unavailable as reason:
            print(f"no PostgreSQL: {reason}")
            return
        security(server, stack)


if __name__ == "__main__":
    main()
