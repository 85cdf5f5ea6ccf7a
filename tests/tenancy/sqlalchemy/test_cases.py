"""The battery: each case tries to read, change, place or point at a row of the other tenant."""

from __future__ import annotations

import gc
import json
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import isolation_house as house
import pytest
from sqlalchemy.exc import SAWarning

pytestmark = [  # a case that is refused while it streams leaves its cursor to the garbage collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
VECTORS = Path(__file__).parents[2] / "vectors" / "tenancy"
CASES = [
    case
    for name in ("sqlalchemy.json", "sqlalchemy_more.json")
    for case in json.loads((VECTORS / name).read_text(encoding="utf-8"))
    if "needs" not in case  # in test_composite
]
PAIRS = [
    (kind, case)
    for kind in ("sqlite", "postgres", "rls")
    for case in CASES
    if case.get("only") in (None, "sqlite" if kind == "sqlite" else "postgresql")
]
RESIDUAL = {"SA30"}  # the driver's own cursor


def outcome(case: dict[str, Any], db: house.House) -> tuple[bool, BaseException | None, Any]:
    """Whether the case leaked, what it raised and what it returned."""
    value, raised = None, None
    session = db.sm()
    scope = nullcontext() if "tenant" in case and case["tenant"] is None else db.scope("t1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # of deletes that matched nothing, and products of two tables
            warnings.simplefilter("ignore", DeprecationWarning)
            with scope:
                value = house.run(case["code"], db, session)
                session.commit()
    except Exception as error:
        raised = error
    finally:
        session.rollback()
        session.close()
        if "yield_per" in case["code"]:
            gc.collect()
    leaked = case.get("marker", "S2") in repr(value) or bool(case.get("leak") and db.admin(case["leak"]))
    return leaked, raised, value


@pytest.mark.asvs("8.2.2")
@pytest.mark.parametrize(
    ("db", "case"), PAIRS, indirect=["db"], ids=lambda part: part if isinstance(part, str) else part["id"]
)
def test_isolation(case: dict[str, Any], db: house.House) -> None:
    leaked, raised, value = outcome(case, db)
    if case["id"] in RESIDUAL and not (db.pg and db.admin("select 1 from pg_policy")):
        assert leaked, "a declared residual that does not leak is to be declared no more"
        return
    assert not leaked, (case["tried"], raised, value)
    if case.get("must_pass"):
        assert raised is None
