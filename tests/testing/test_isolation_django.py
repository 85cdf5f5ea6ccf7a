"""The isolation kit for Django: it passes the real guard, and finds the holes of a manager that filters.

``WST_ISOLATION_STATEMENTS`` sets how many statements are generated, for the large run before a release.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from isolation_probe import ROLE

PROBE = Path(__file__).with_name("isolation_probe.py")
STATEMENTS = os.environ.get("WST_ISOLATION_STATEMENTS", "150")
SEED = os.environ.get("WST_ISOLATION_SEED", "1")


@cache
def probe(kind: str, statements: str, *more: str) -> Any:
    command = [sys.executable, str(PROBE), kind, statements, SEED, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_no_generated_statement_tells_that_there_are_others() -> None:
    found = probe("guard", STATEMENTS)
    assert found["kinds"] == [], found["report"]
    assert found["statements"] == int(STATEMENTS)
    assert found["denials"] < 0.02, found["report"]
    assert found["failed"] < int(STATEMENTS) / 10, "a poor generator"
    assert found["repeats"]


def test_no_script_is_interfered_with() -> None:
    assert probe("guard", STATEMENTS)["scripts"] == []


def test_nor_below_row_level_security(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        if connection.execute("select 1 from pg_roles where rolname = %s", [ROLE]).fetchone() is None:
            connection.execute(f"create role {ROLE} login")
    found = probe("guard", str(int(STATEMENTS) // 4), postgres_url)
    assert found["kinds"] == [], found["report"]
    assert found["denials"] < 0.02, found["report"]
    assert {name: said for name, said in found["cases"].items() if said != "withstood"} == {}
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"drop owned by {ROLE}")


def test_the_guard_withstands_the_battery() -> None:
    cases = probe("guard", STATEMENTS)["cases"]
    assert {name: said for name, said in cases.items() if said != "withstood"} == {}
    assert len(cases) > 250


def test_holes_of_a_filtering_manager_are_found() -> None:
    found = probe("manager", "30")
    assert "leak" in found["kinds"]
    assert "leak" in found["scripts"]
    withstood = {name for name, said in found["cases"].items() if said == "withstood"}
    for attack in ("read_by_base_manager", "read_by_raw", "save_a_forged_instance", "point_stall_by_value",
                   "link_labels_by_key", "follow_stall_select_related", "delete_all"):  # fmt: skip
        assert not any(name.endswith(f"-{attack}") for name in withstood), attack
    assert {"Stall-read_all", "Stall-read_without_tenant", "Stall-own_update"} <= withstood
    assert not [said for said in found["cases"].values() if said.startswith("broken")]
    assert found["cases"]["Good-read_by_raw"] == "Good, read by raw: the victim's row came back"


@pytest.mark.parametrize("kind", ["guard", "manager"])
def test_untouched(kind: str) -> None:
    harmless, harmful = probe(kind, STATEMENTS if kind == "guard" else "30")["helpers"]
    assert harmless == ""
    assert harmful == "rows of tenant 't2' changed in isolation_bazaar_label"
