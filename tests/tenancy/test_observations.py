"""The report of observe mode: short, bounded, without a single value."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.tenancy.observations import Observations, statement_shape

START = datetime(2026, 1, 1, tzinfo=UTC)


SHAPES = {
    "select * from p where mail='s3cr''et' and n in (1, 2, 3)": "select * from p where mail=? and n in (?, ...)",
    "select 1 /* user='s3cret' */ -- s3cret\n from p": "select ? from p",
    "insert into p values ('s3cret": "insert into p values (?",
    "select $$s3cret$$, $q$s3cret$q$, E's3cret'": "select ?, ...",
    "update p set a=%(a)s, b = :b, c = $1::VARCHAR where d = ?": "update p set a=?, b = ?, c = ? where d = ?",
    "INSERT INTO p (a, b) VALUES (%(a__0)s, 2), (%(a__1)s, 3)": "INSERT INTO p (a, b) VALUES (?, ...)",
    'select "Col1", t1.x from t1': 'select "Col1", t1.x from t1',
}


@pytest.mark.parametrize("statement", SHAPES)
def test_a_shape_holds_no_value(statement: str) -> None:
    assert statement_shape(statement) == SHAPES[statement]


def test_long_statements_are_cut() -> None:
    assert len(statement_shape("select " + "column_of_it, " * 1_000)) == 2_000


def test_one_entry_for_a_shape_and_a_call_site() -> None:
    clock = FixedClock(START)
    found = Observations(clock=clock)
    assert found.empty
    assert not found
    for number in range(3):
        found.record("UnscopedStatement", f"select {number}")
        clock.advance(timedelta(seconds=1))
    found.record("UnscopedStatement", "select 7")
    first, second = found.report()
    assert (first.count, second.count) == (3, 1)
    assert (first.first_seen, first.last_seen) == (START, START + timedelta(seconds=2))
    assert first.where.endswith("in test_one_entry_for_a_shape_and_a_call_site")
    assert first.where == first.stack[0]
    assert found


def test_frames_of_the_toolkit_are_left_out() -> None:
    found = Observations()

    def inner() -> None:
        exec(compile("found.record('X', 'select 1')", "x.py", "exec"), {"__name__": "sqlalchemy.orm", "found": found})

    inner()
    assert "in inner" in found.report()[0].where
    assert len(found.report()[0].stack) <= 8


@pytest.mark.anyio
async def test_the_waiting_code_is_found_through_a_greenlet() -> None:
    from sqlalchemy.util import greenlet_spawn

    found = Observations()
    await greenlet_spawn(found.record, "X", "select 1", None)
    assert "in test_the_waiting_code_is_found_through_a_greenlet" in found.report()[0].where
    await asyncio.sleep(0)


def test_bounded_and_shared_by_threads() -> None:
    found = Observations(limit=10)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: found.record("X", f"select c{number % 20}"), range(400)))
    assert len(found) == 10
    assert sum(seen.count for seen in found.report()) + found.dropped == 400
    assert "beyond the limit" in found.text()
    found.clear()
    assert found.text() == "nothing observed"
    with pytest.raises(ConfigurationError):
        Observations(limit=0)


def test_as_json() -> None:
    found = Observations(clock=FixedClock(START))
    found.record("NoTenant", "select a from b where c = 's3cret'")
    document = json.loads(found.as_json())
    assert document["dropped"] == 0
    assert document["observations"][0]["statement"] == "select a from b where c = ?"
    assert document["observations"][0]["first_seen"] == START.isoformat()
    assert "s3cret" not in found.as_json() + found.text()
