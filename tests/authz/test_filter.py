"""A filter shows exactly the rows that the check allows, whatever is NULL."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    false,
    insert,
    or_,
    select,
    true,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column
from sqlalchemy.pool import StaticPool

from wellstreak_trust.authz import BreakGlass, Filter, NotFilterable, Policy
from wellstreak_trust.core import FixedClock, Membership, Principal, TenantContext, UsageError

sys.path.append(str(Path(__file__).parent))  # the helper is a plain module

import filter_policies as make

KINDS = {"string": String, "int": BigInteger, "bool": Boolean}
ROWS = make.rows(Random(7), 80)
MEMBER = Principal("u1", tenant_id="t1", roles=frozenset({"m"}))


def table(**collated) -> Table:
    typed = [Column(name, collated.get(name) or KINDS[kind]()) for name, kind in make.TYPES.items()]
    return Table("d", MetaData(), Column("id", String(), primary_key=True), Column("tenant_id", String()), *typed)


ROW = table()


class Base(DeclarativeBase):
    pass


class Mapped_(Base):
    """Columns whose names in the database are others than in the class."""

    __tablename__ = "mapped"
    id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column("workspace")
    s: Mapped[str | None] = mapped_column("title")


def filled(engine, columns=ROW):
    connection = engine.connect()
    columns.create(connection)
    connection.execute(insert(columns), ROWS)
    return connection


@pytest.fixture(scope="module")
def sqlite():
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with filled(engine) as connection:
        yield connection
    engine.dispose()


def shown(connection, question, columns=ROW):
    return set(connection.scalars(select(columns.c.id).where(question.to_sqlalchemy(columns))))


def allowed(policy, subject, context=None, rows=ROWS):
    return {row["id"] for row in rows if policy.check(subject, "d:x", row, context)}


@pytest.mark.asvs("8.2.2")
@settings(max_examples=make.CASES, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_filter_is_the_check(sqlite, seed):
    random = Random(seed)
    policy, subject, context = make.policy(random), make.subject(random), make.facts(random)
    question = policy.filter(subject, "d:x", "d", context)
    wanted = allowed(policy, subject, context)
    assert {row["id"] for row in ROWS if question.matches(row)} == wanted
    assert {row["id"] for row in ROWS if question.matches(SimpleNamespace(**row))} == wanted
    assert shown(sqlite, question) == wanted
    assert not (question.is_always and policy.scope_of("d:x") == "tenant")


def test_a_filter_is_the_check_on_postgresql(postgres_url):
    """Also where the database itself sorts text by the rules of a language."""
    linguistic = table(s=String(collation="en-x-icu"))
    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with filled(engine, linguistic) as connection:
        for seed in range(make.CASES):
            random = Random(seed)
            policy, subject, context = make.policy(random), make.subject(random), make.facts(random)
            question = policy.filter(subject, "d:x", "d", context)
            assert shown(connection, question, linguistic) == allowed(policy, subject, context), seed
    engine.dispose()


def test_a_filter_is_the_check_in_django():
    """In a process of its own: settings can be configured once."""
    command = [sys.executable, make.__file__.replace("filter_policies", "filter_django_probe")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "as checked"), done.stderr


# --- the traps, row by row -------------------------------------------------------------------------------------------

TRAPS = [
    "!(resource.s == 'a')",
    "resource.s != resource.u",
    "!(resource.s in ['a', 'b'])",
    "resource.s in principal.t",
    "!(resource.s in principal.t)",
    "'a' in principal.t",
    "3 > resource.i",
    "1 <= resource.i",
    "3 < resource.i",
    "!(0 < resource.i)",
    "resource.i < resource.j",
    "'b' < resource.s",
    "resource.s in ['a', 'b'] && resource.s in principal.t",
    "resource.b",
    "!resource.b",
    "resource.b != resource.f",
    "resource.s == ''",
    "resource.s == principal.s",
    "!(resource.s == principal.s)",
    'resource.s == "%" || resource.s == "o\'x" || resource.s == \'😀\'',
    "resource.s < 'b'",
    "has(resource.s) && !has(resource.i)",
    "has(context.s) || resource.b",
    "!(context.s == 'a')",
    "resource.i < 9223372036854775807",
    "true",
    "false",
]
HELD = [{}, {"t": []}, {"t": ["a", "", "é"]}, {"s": ""}, {"s": "a"}, {"s": None, "t": ["a", 1]}, {"s": 1}]


@pytest.mark.parametrize("as_forbid", [False, True])
@pytest.mark.parametrize("when", TRAPS)
def test_traps(sqlite, sole, when, as_forbid):
    forbid = [{"id": "f", "permissions": ["*"], "when": when}]
    policy = sole("true", forbid=forbid) if as_forbid else sole(when)
    for attributes in HELD:
        subject = Principal("u1", tenant_id="t1", roles=frozenset({"m"}), attributes=attributes)
        question = policy.filter(subject, "d:x", "d")
        assert shown(sqlite, question) == allowed(policy, subject)
        text = str(question.to_sqlalchemy(ROW).compile(dialect=postgresql.dialect()))
        assert "NOT" not in text.replace("IS NOT NULL", "")
        assert not question.is_always


@pytest.mark.asvs("1.2.4")
def test_values_are_bound(sole):
    question = sole("resource.s == principal.s").filter(
        Principal("u1", tenant_id="t1", roles=frozenset({"m"}), attributes={"s": "x' OR 1=1 --"}), "d:x", "d"
    )
    compiled = question.to_sqlalchemy(ROW).compile()
    assert "OR" not in str(compiled)
    assert "x' OR 1=1 --" in compiled.params.values()
    assert "x' OR" not in repr(question)


def test_collations_change_nothing(sole):
    """NOCASE would let a workspace see another's rows."""
    columns = table(s=String(collation="NOCASE"))
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with filled(engine, columns) as connection:
        for when in ("resource.s == 'B'", "resource.s in ['B']", "resource.s <= 'a'", "resource.s != 'b'"):
            policy = sole(when)
            assert shown(connection, policy.filter(MEMBER, "d:x", "d"), columns) == allowed(policy, MEMBER)
    engine.dispose()


def test_other_databases_are_refused_where_text_is_ordered(sole):
    condition = sole("resource.s < 'b'").filter(MEMBER, "d:x", "d").to_sqlalchemy(ROW)
    with pytest.raises(NotFilterable, match="mysql"):
        condition.compile(dialect=mysql.dialect())
    assert "<" in str(condition)


# --- always and never ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject",
    [
        None,
        "u1",
        Principal("u1", roles=frozenset({"m"})),
        Principal("u1", tenant_id="t1"),
        Principal("u1", tenant_id="t1", roles=frozenset({"unknown"})),
        Principal("u1", tenant_id="t1", roles=frozenset({"m"}), scopes=frozenset({"d:y"})),
        Principal("u1", tenant_id="t1", roles=frozenset({"m"}), scopes=frozenset()),
        TenantContext("t1", Principal("u1", tenant_id="t1", roles=frozenset({"m"})), None),
        TenantContext("t1", Principal("u1"), Membership("t2", "u1", frozenset({"m"}))),
    ],
)
def test_never(sole, sqlite, subject):
    question = sole("true").filter(subject, "d:x", "d")
    assert question.is_never
    assert not question.is_always
    assert question.to_sqlalchemy(ROW).compare(false())
    assert shown(sqlite, question) == set()
    assert not any(map(question.matches, ROWS))


@pytest.mark.parametrize("permission", ["d:*", "*", "", "d:y", None, b"d:x", [], 1])
def test_unknown_permissions_are_never(sole, permission):
    assert sole("true").filter(MEMBER, permission, "d").is_never


def test_a_membership_counts(sole):
    context = TenantContext("t1", Principal("u1"), Membership("t1", "u1", frozenset({"m"})))
    question = sole("resource.s == principal.tenant_id").filter(context, "d:x", "d")
    assert question.matches({"tenant_id": "t1", "s": "t1"})
    assert not question.matches({"tenant_id": "t2", "s": "t1"})


def test_the_platform_may_see_everything():
    policy = Policy.build(
        permissions={"d:x": {"scope": "platform"}},
        roles={"root": ["d:x"]},
    )
    question = policy.filter(Principal("r", roles=frozenset({"root"})), "d:x", "d")
    assert question.is_always
    assert question.to_sqlalchemy(ROW).compare(true())
    assert question.matches({})


def test_step_up(sole):
    now = datetime(2030, 1, 1, tzinfo=UTC)
    policy = Policy.build(permissions={"d:x": {"step_up": {"aal": 2, "max_age": 60}}}, roles={"m": ["d:x"]})
    policy = policy.with_clock(FixedClock(now))
    for aal, age, never in ((2, 10, False), (1, 10, True), (2, 61, True)):
        subject = Principal(
            "u1", tenant_id="t1", roles=frozenset({"m"}), aal=aal, auth_time=now - timedelta(seconds=age)
        )
        assert policy.filter(subject, "d:x", "d").is_never is never


def test_an_approval_is_never_a_list():
    """A person confirms one operation, and no filter is one."""
    policy = Policy.build(
        permissions={"d:x": {"approval": {"by": "d:confirm"}}, "d:confirm": {}}, roles={"m": ["d:x", "d:confirm"]}
    )
    assert policy.check(MEMBER, "d:x").code == "approval_required"
    assert policy.filter(MEMBER, "d:x", "d").is_never


def test_break_glass():
    now = datetime(2030, 1, 1, tzinfo=UTC)
    operator = Principal("op", roles=frozenset({"root"}))
    policy = Policy.build(
        permissions={"d:x": {}, "d:y": {}, "platform:break_glass": {"scope": "platform"}},
        resources={"d": {"attributes": {"b": "bool"}}},
        roles={"root": ["platform:break_glass"]},
        forbid=[{"id": "f", "permissions": ["d:*"], "when": "has(resource.b) && resource.b"}],
        clock=FixedClock(now),
    )
    glass = BreakGlass(
        operator, "t1", frozenset({"d:x"}), "an outage", "T-1", not_before=now, expires_at=now + timedelta(minutes=5)
    )
    assert policy.filter(glass, "d:x", "d").is_never  # not yet opened
    object.__setattr__(glass, "record", "e1")  # as the desk does once the trail is durable
    question = policy.filter(glass, "d:x", "d")
    for row in ({"tenant_id": "t1"}, {"tenant_id": "t1", "b": True}, {"tenant_id": "t2"}, {}):
        assert question.matches(row) is policy.check(glass, "d:x", row).allowed
    assert question.matches({"tenant_id": "t1"})
    assert policy.filter(glass, "d:y", "d").is_never
    assert policy.with_clock(FixedClock(now + timedelta(hours=1))).filter(glass, "d:x", "d").is_never


def test_no_truth_value(sole):
    with pytest.raises(UsageError, match="no yes or no"):
        bool(sole("true").filter(MEMBER, "d:x", "d"))


# --- what cannot be translated ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "columns"),
    [
        ("'a' in resource.t", table()),
        ("resource.s in resource.t", table()),
        ("has(resource.t)", Table("d", MetaData(), Column("tenant_id", String()), Column("t", String()))),
        ("resource.s == 'a'", Table("d", MetaData(), Column("tenant_id", String()))),
        ("resource.s == 'a'", table(s=Integer())),
        ("resource.i == 1", table(i=String())),
        ("resource.b", table(b=Integer())),
        ("true", Table("d", MetaData(), Column("tenant_id", Integer()))),
        ("true", Table("d", MetaData(), Column("id", String()))),
        ("true", "documents"),
        ("resource.s == '\\u0000'", table()),
    ],
)
def test_refusals(sole, when, columns):
    with pytest.raises(NotFilterable) as refusal:
        sole(when).filter(MEMBER, "d:x", "d").to_sqlalchemy(columns)
    assert refusal.value.hint


@pytest.mark.parametrize("value", ["\0", "a\0", "\ud800", chr(0xDFFF), "a\udabc"])
def test_values_no_database_holds(sole, value):
    subject = Principal("u1", tenant_id="t1", roles=frozenset({"m"}), attributes={"s": value})
    question = sole("resource.s == principal.s").filter(subject, "d:x", "d")
    assert question.matches({"tenant_id": "t1", "s": value})
    with pytest.raises(NotFilterable) as refusal:
        question.to_sqlalchemy(ROW)
    assert value not in str(refusal.value)


def test_numbers_no_database_holds(sole):
    subject = Principal("u1", tenant_id="t1", roles=frozenset({"m"}), attributes={"i": 2**63})
    with pytest.raises(NotFilterable):
        sole("resource.i == principal.i").filter(subject, "d:x", "d").to_sqlalchemy(ROW)


def test_lists_of_rows_still_match_in_memory(sole):
    question = sole("principal.id in resource.t").filter(MEMBER, "d:x", "d")
    assert question.matches({"tenant_id": "t1", "t": ["u1"]})
    assert not question.matches({"tenant_id": "t1", "t": "u1"})


def test_mapped_classes_by_their_own_names(sole):
    question = sole("resource.s == 'a'").filter(MEMBER, "d:x", "d")
    assert "mapped.workspace = " in str(question.to_sqlalchemy(Mapped_))
    assert "other.title = " in str(question.to_sqlalchemy(aliased(Mapped_, name="other")))
    assert "OR" in str(or_(question.to_sqlalchemy(Mapped_), Mapped_.id == "x"))


def test_what_another_type_declares_is_absent_here():
    """A forbid on everything names what only notes have; tables of tasks need no such column."""
    policy = Policy.build(
        permissions=["d:x"],
        resources={"note": {"attributes": {"frozen": "bool"}}, "task": {}},
        roles={"m": ["d:x"]},
        forbid=[{"id": "f", "permissions": ["*"], "when": "has(resource.frozen) && resource.frozen"}],
    )
    tasks = Table("tasks", MetaData(), Column("tenant_id", String()))
    frozen = Table("tasks", MetaData(), Column("tenant_id", String()), Column("frozen", Boolean()))
    question = policy.filter(MEMBER, "d:x", "task")
    assert str(question.to_sqlalchemy(tasks)) == "tasks.tenant_id = :param_1"
    assert "frozen" in str(question.to_sqlalchemy(frozen))
    for other in ("note", "nothing"):
        with pytest.raises(NotFilterable, match="frozen"):
            policy.filter(MEMBER, "d:x", other).to_sqlalchemy(tasks)


def test_hostile_rows_and_subjects_open_nothing(sole):
    class Raising:
        tenant_id = "t1"

        @property
        def s(self):
            raise RuntimeError("down")

    class Down(dict):
        def get(self, *_):
            raise RuntimeError("down")

    policy = sole("resource.b || resource.s == 'a' || context.b")
    assert not policy.filter(MEMBER, "d:x", "d").matches(Raising())
    assert policy.filter(MEMBER, "d:x", "d", Down()).is_never
    assert not policy.filter(MEMBER, "d:x", "d").matches(None)


def test_filters_are_values(sole):
    policy = sole("resource.s == principal.id")
    question = policy.filter(MEMBER, "d:x", "d")
    assert question == policy.filter(MEMBER, "d:x", "d")
    assert isinstance(question, Filter)
    assert (question.permission, question.resource_type) == ("d:x", "d")
