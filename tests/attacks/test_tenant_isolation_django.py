"""Attacks on the Django guard, from `isolation_bazaar.attacks`: other names for a table, text, half proofs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SOURCE = HERE.parent / "isolation_bazaar" / "attacks.py"
HELPERS = {"second", "secrets", "regions", "historical"}
NAMES = [
    each.name for each in ast.parse(SOURCE.read_text(encoding="utf-8")).body
    if isinstance(each, ast.FunctionDef) and each.name not in HELPERS
]  # fmt: skip

# What comes through today, and why; an entry goes when its hole is closed.
OPEN: dict[str, str] = {
    **dict.fromkeys(
        (
            "read_by_a_second_model_in_capitals",
            "read_by_a_second_model_in_quotes",
            "read_by_a_second_model_in_a_schema",
            "read_by_a_model_of_a_view",
            "unite_second_models",
            "ask_a_second_model",
            "update_by_a_second_model_in_capitals",
        ),
        "a table under another spelling, or a view of it, counts as another table",
    ),
    **dict.fromkeys(
        (
            "read_by_a_second_model_of_other_apps",
            "update_by_a_second_model_of_other_apps",
        ),
        "a registry of its own whose model leaves the tenant out lifts the guard from the table",
    ),
    **dict.fromkeys(
        (
            "read_by_a_historical_model",
            "update_by_a_historical_model",
            "move_by_a_historical_model",
            "create_by_a_historical_model",
            "point_by_a_historical_model",
            "read_a_child_table_by_a_historical_model",
        ),
        "of two models on one table the last one says whether it has a tenant",
    ),
    **dict.fromkeys(
        ("read_from_a_string",),
        "SQLite takes a string for the name of a table",
    ),
    **dict.fromkeys(
        (
            "template_of_a_subquery",
            "connector",
        ),
        "templates and connectors are text that nobody judges",
    ),
    **dict.fromkeys(
        (
            "expression_that_writes_its_own_sql",
            "lookup_that_writes_its_own_sql",
            "type_that_writes_its_own_sql",
            "placeholder_that_writes_its_own_sql",
        ),
        "SQL that the host's own expression, lookup or field writes is not judged",
    ),
    **dict.fromkeys(
        ("point_by_half_a_union",),
        "a union proves by its first half",
    ),
}


@cache
def answers(kind: str) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "isolation_attack_probe.py"), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(reason=OPEN[name], strict=True)) if name in OPEN else name
        for name in NAMES
    ],
)
def test_it_does_not_come_through(name: str) -> None:
    answer = answers("guard")[name]
    assert not answer["leaked"], answer
    assert answer["harm"] == [], answer


def test_the_attacks_are_real() -> None:
    """Most succeed against a manager that filters; the rest need a guard to outwit."""
    came_through = [name for name, answer in answers("manager").items() if answer["leaked"] or answer["harm"]]
    assert len(came_through) >= len(NAMES) * 2 // 3
