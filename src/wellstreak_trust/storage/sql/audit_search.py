"""A query of the trail as conditions on columns.

The columns of a leaf say what the leaf says, so tests on them are exact. Of the other fields only the leaf knows: for
those a condition asks whether the bytes that any match must hold occur in it at all, and the predicate, which runs on
every row that comes back, does the rest. Each value is a bound parameter; what a value means in a pattern is escaped.

PostgreSQL's JSON types are not asked: they refuse a leaf that holds ``\\u0000``, so one such event would make every
query fail. SQLite's ``LIKE`` folds case, hence ``GLOB``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, LargeBinary, Table, and_, false, func, literal, not_, or_

from ...audit.query import QUALIFIERS, Clause, Glob, Query, Span

__all__ = ["conditions"]

_LEAST_NEEDLE: Final = 3  # characters; a shorter one occurs everywhere
_I64: Final = range(-(2**63), 2**63)
_GLOB_SPECIAL: Final = re.compile(r"[\[\]?*]")
_LIKE_SPECIAL: Final = re.compile(r"[\\%_]")


def conditions(query: Query, table: Table, dialect: str) -> list[ColumnElement[bool]]:
    """Conditions that every matching row fulfils."""
    return [found for clause in query.clauses for found in _of(clause, table, dialect)]


def _of(clause: Clause, table: Table, dialect: str) -> Iterator[ColumnElement[bool]]:
    qualifier = QUALIFIERS[clause.name]
    if qualifier.column is not None:
        column = table.c[qualifier.column]
        tests = [_exact(column, test, dialect) for test in clause.tests]
        whole = and_(*(_exact(column, bound, dialect) for bound in clause.bounds), *([or_(*tests)] if tests else []))
        yield not_(whole) if clause.negated else whole
    elif not clause.negated and clause.tests and qualifier.kind in ("text", "value"):
        needles = [_needle(test) for test in clause.tests]
        if all(needle is not None for needle in needles):
            yield or_(*(_holds(table.c.leaf, needle, dialect) for needle in needles if needle is not None))


def _exact(column: ColumnElement[Any], test: Glob | Span, dialect: str) -> ColumnElement[bool]:
    if isinstance(test, Span):
        if any(end is not None and end not in _I64 for end in (test.low, test.high)):
            return false()  # cannot be: the grammar has no such numbers
        ends = [column >= literal(test.low, BigInteger)] if test.low is not None else []
        return and_(*ends, *([column < literal(test.high, BigInteger)] if test.high is not None else []))
    if test.exact:
        return column == test.parts[0]
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)(
            "*".join(_GLOB_SPECIAL.sub(r"[\g<0>]", part) for part in test.parts)
        )
    return column.like("%".join(_LIKE_SPECIAL.sub(r"\\\g<0>", part) for part in test.parts), escape="\\")


def _needle(test: Glob | Span) -> bytes | None:
    """The longest run of bytes that a leaf must hold if a text in it passes the test; None if there is no such run."""
    if isinstance(test, Span):
        return None
    longest = max(test.parts, key=len)
    if len(longest) < _LEAST_NEEDLE:
        return None
    return json.dumps(longest, ensure_ascii=False)[1:-1].encode()  # the spelling of canonical JSON


def _holds(leaf: ColumnElement[bytes], needle: bytes, dialect: str) -> ColumnElement[bool]:
    wanted = literal(needle, LargeBinary)
    if dialect == "sqlite":
        return func.instr(leaf, wanted) > 0
    return func.position(wanted.op("IN")(leaf)) > 0
