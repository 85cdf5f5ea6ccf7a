"""The isolation kit for SQLAlchemy: it passes the real guard, and finds every hole that is planted.

``WST_ISOLATION_STATEMENTS`` sets how many statements are generated, for the large run before a release.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, delete, make_url, select, text, update
from sqlalchemy.orm import Session, sessionmaker

import isolation_shop as shop
from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.tenancy import tenant_scope, testing_context
from wellstreak_trust.tenancy.postgres import link_policy_ddl, policy_ddl
from wellstreak_trust.tenancy.sqlalchemy import TenantGuard
from wellstreak_trust.testing.isolation import Finding, IsolationCase, assert_isolated
from wellstreak_trust.testing.isolation.sqlalchemy import IsolationSuite, PhysicalOracle, untouched

STATEMENTS = int(os.environ.get("WST_ISOLATION_STATEMENTS", "150"))
SEED = os.environ.get("WST_ISOLATION_SEED", "1")
A, B = "isolation-a", "isolation-b"

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


# --- the guard -----------------------------------------------------------------------------------------------------


def test_no_generated_statement_tells_that_there_are_others() -> None:
    with PhysicalOracle(shop.Base, shared=[shop.Plan], seed=SEED) as oracle:
        report = oracle.run(STATEMENTS)
    report.check()
    assert report.statements == STATEMENTS
    assert report.failed_alike < STATEMENTS / 20, "a poor generator"


def test_nor_with_composite_keys_and_uuids() -> None:
    with PhysicalOracle(shop.ZooBase, column="zoo_id", shared=[shop.Zoo], tenants=shop.ZOOS, seed=SEED) as oracle:
        oracle.run(STATEMENTS // 3).check()


def test_no_script_is_interfered_with() -> None:
    with PhysicalOracle(shop.Base, shared=[shop.Plan], seed=SEED) as oracle:
        oracle.interference(max(4, STATEMENTS // 40)).check()


ROLE = "wst_isolation_app"


@pytest.fixture
def databases(postgres_server: str, postgres_url: str) -> Iterator[tuple[tuple[Engine, Engine], Engine]]:
    """A shared database, as role and as owner, and one for a single tenant."""
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    beside = url.set(database=f"{url.database}_alone")
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        if not connection.scalar(text("select 1 from pg_roles where rolname = :role"), {"role": ROLE}):
            connection.execute(text(f"create role {ROLE} login"))
        connection.execute(text(f'create database "{beside.database}"'))
        connection.execute(text(f"alter default privileges grant all on tables to {ROLE}"))
        connection.execute(text(f"alter default privileges grant all on sequences to {ROLE}"))
    engines = create_engine(url.set(username=ROLE)), create_engine(url), create_engine(beside)
    yield engines[:2], engines[2]
    for engine in engines:
        engine.dispose()
    with admin.connect() as connection:
        connection.execute(text(f'drop database "{beside.database}"'))
        connection.execute(text(f"drop owned by {ROLE}"))
    admin.dispose()


def policies(engine: Engine) -> None:
    ddl = [each for model in shop.OWNED for each in policy_ddl(model.__tablename__, "tenant_id")]
    ddl += link_policy_ddl("task_tags", {"task_id": "task", "tag_id": "tag"})
    with engine.begin() as connection:
        for each in ddl:
            connection.exec_driver_sql(each)


@pytest.mark.parametrize("rls", [False, True], ids=["guard", "guard-and-rls"])
def test_nor_on_postgresql(databases: tuple[tuple[Engine, Engine], Engine], rls: bool) -> None:
    mixed, alone = databases
    with PhysicalOracle(shop.Base, shared=[shop.Plan], seed=SEED, mixed=mixed, alone=alone) as oracle:
        if rls:
            policies(mixed[1])
        oracle.run(STATEMENTS // 3).check()


def test_the_battery_on_postgresql(databases: tuple[tuple[Engine, Engine], Engine]) -> None:
    """Only policies stop the driver's own cursor."""
    (role, everything), _ = databases
    shop.Base.metadata.create_all(everything)
    maker = TenantGuard(shop.Base, shared=[shop.Plan], links=[shop.task_tags]).install(sessionmaker(role))
    skip = [model for model in shop.FACTORIES if model is not shop.Tag]
    suite = IsolationSuite(
        maker, shop.Base, shop.FACTORIES, shared=[shop.Plan], skip=skip, owner=everything, rls=True
    )  # fmt: skip
    assert suite.run() == ["Tag, read by the driver: the driver read the victim's rows"]
    policies(everything)
    assert suite.run() == []


# --- planted holes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guard", "statements"),
    [(shop.no_guard, 20), (shop.no_aliases, 60), (shop.no_loads, 60), (shop.documented_recipe, 100)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_planted_hole_is_found(guard: Callable[[Any], None], statements: int) -> None:
    with PhysicalOracle(shop.Base, shared=[shop.Plan], guard=guard) as oracle:
        report = oracle.run(statements, most=1)
    assert any(found.kind == "leak" for found in report.differences), report
    with pytest.raises(AssertionError, match="leak in statement"):
        report.check()


def test_interference_is_found() -> None:
    with PhysicalOracle(shop.Base, shared=[shop.Plan], guard=shop.no_guard) as oracle:
        assert oracle.interference(1).differences


def test_a_guard_that_refuses_everything_does_not_pass() -> None:
    with PhysicalOracle(shop.Base, shared=[shop.Plan], guard=shop.refuses_all) as oracle:
        report = oracle.run(30)
    assert report.denial_rate > 0.5
    assert not report.differences
    with pytest.raises(AssertionError, match="refused: UnscopedStatement"):
        report.check()


def test_a_run_repeats_and_shrinks() -> None:
    reports = []
    for _ in range(2):
        with PhysicalOracle(shop.Base, shared=[shop.Plan], guard=shop.no_guard, seed=5) as oracle:
            reports.append(str(oracle.run(12, most=12)))
            first = next(number for number in range(100) if oracle.replay(number) is not None)
            large, _ = oracle._tried(first, frozenset())
            small = oracle.replay(first)
    assert reports[0] == reports[1]
    assert large is not None
    assert small is not None
    assert len(small.shape) <= len(large.shape)
    assert small.sql


# --- the battery ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("isolation") / "shop.db"


def battery(file: Path, guard: Callable[[sessionmaker[Session]], object], *attacked: Any) -> IsolationSuite:
    """The cases; whether the tables are there is the tests' matter."""
    maker = sessionmaker(create_engine(f"sqlite:///{file}"))
    guard(maker)
    skip = [model for model in shop.FACTORIES if model not in attacked]
    return IsolationSuite(maker, shop.Base, shop.FACTORIES, shared=[shop.Plan], skip=skip, owner=owner(file))


def owner(file: Path) -> Engine:
    return create_engine(f"sqlite:///{file}")


def guarded(maker: sessionmaker[Session]) -> None:
    TenantGuard(shop.Base, shared=[shop.Plan], links=[shop.task_tags]).install(maker)


@pytest.fixture(scope="module", autouse=True)
def tables(file: Path) -> None:
    shop.Base.metadata.create_all(owner(file))


@pytest.fixture(scope="module")
def guarded_cases(file: Path) -> dict[str, IsolationCase]:
    return {str(case): case for case in battery(file, guarded, shop.Task).cases}


NAMES = [str(case) for case in battery(Path("never.db"), shop.no_guard, shop.Task).cases]


@pytest.mark.parametrize("name", NAMES)
def test_the_guard_withstands(guarded_cases: dict[str, IsolationCase], name: str) -> None:
    assert guarded_cases[name].run() is None


def test_every_attack_works_where_there_is_no_guard(file: Path) -> None:
    found = battery(file, shop.stamps, shop.Task)
    attacks = [case for case in found.cases if not case.attack.startswith("own_")]
    unharmed = [str(case) for case in attacks if not _fails(case)]
    assert not unharmed, "an attack that cannot succeed shows nothing"
    assert len(attacks) >= 70


def _fails(case: IsolationCase) -> bool:
    try:
        case()
    except Finding as finding:
        return str(finding).startswith(f"{case.model}, ")
    return False


def test_a_guard_that_refuses_everything_fails_on_legal_work(file: Path) -> None:
    def both(maker: sessionmaker[Session]) -> None:
        shop.stamps(maker)
        shop.refuses_all(maker)

    own = [case for case in battery(file, both, shop.Tag).cases if case.attack.startswith("own_")]
    for case in own:
        with pytest.raises(Exception, match="no"):
            case()
    assert len(own) == 3


def test_no_model_is_forgotten(file: Path) -> None:
    maker = sessionmaker(create_engine(f"sqlite:///{file}"))
    with pytest.raises(ConfigurationError, match="no factory for Call, Note"):
        IsolationSuite(maker, shop.Base, {shop.Project: lambda make: shop.Project()}, shared=[shop.Plan])
    with pytest.raises(ConfigurationError, match="no way below"):
        IsolationSuite(sessionmaker(create_engine("sqlite://")), shop.Base, shop.FACTORIES, shared=[shop.Plan])


# --- helpers for a host's own tests --------------------------------------------------------------------------------


@pytest.fixture
def maker(tmp_path: Path) -> sessionmaker[Session]:
    engine = create_engine(f"sqlite:///{tmp_path / 'own.db'}")
    shop.Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    shop.stamps(maker)
    for tenant in (A, B):
        with tenant_scope(testing_context(tenant)), maker.begin() as session:
            session.add(shop.Tag(name="x"))
    return maker


def test_assert_isolated(maker: sessionmaker[Session]) -> None:
    with maker() as session:
        found = session.scalars(select(shop.Tag)).all()
        assert_isolated(found[:1], A)
        with pytest.raises(Finding, match="isolation-b"):
            assert_isolated(found, A)
        with pytest.raises(Finding):
            assert_isolated(session.execute(select(shop.Tag.tenant_id)).mappings(), A)
        with pytest.raises(ConfigurationError):
            assert_isolated(session.execute(select(shop.Tag.name)).mappings(), A)


def test_untouched(maker: sessionmaker[Session]) -> None:
    engine = maker.kw["bind"]
    with untouched(engine, shop.Base, B, shared=[shop.Plan]), maker.begin() as session:
        session.execute(update(shop.Tag).where(shop.Tag.tenant_id == A).values(name="y"))
    harmful = untouched(engine, shop.Base, B, shared=[shop.Plan])
    with pytest.raises(Finding, match="'isolation-b' changed in tag"), harmful, maker.begin() as session:
        session.execute(delete(shop.Tag))


MODULE = """
import isolation_shop as shop
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from wellstreak_trust.testing.isolation.sqlalchemy import IsolationSuite

engine = create_engine("sqlite:///host.db")
shop.Base.metadata.create_all(engine)
maker = sessionmaker(engine)
shop.stamps(maker)
suite = IsolationSuite(
    maker, shop.Base, shop.FACTORIES, shared=[shop.Plan], skip=[shop.Project, shop.Task, shop.Note, shop.Call]
)

@suite.parametrize
def test_isolation(case):
    case()
"""


def test_a_host_writes_a_module_and_sees_what_failed(tmp_path: Path) -> None:
    (tmp_path / "test_host.py").write_text(MODULE, encoding="utf-8")
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-k", "by_key or own"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_isolation[Tag-read_by_key]" in done.stdout
    assert "Tag, read by key: the victim's row came back" in done.stdout
    assert "2 failed, 3 passed" in done.stdout
