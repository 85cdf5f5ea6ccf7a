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


@cache
def answers(kind: str) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "isolation_attack_probe.py"), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.asvs("8.4.1")
@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_come_through(name: str) -> None:
    answer = answers("guard")[name]
    assert not answer["leaked"], answer
    assert answer["harm"] == [], answer


def test_the_attacks_are_real() -> None:
    """Most succeed against a manager that filters; the rest need a guard to outwit."""
    came_through = [name for name, answer in answers("manager").items() if answer["leaked"] or answer["harm"]]
    assert len(came_through) >= len(NAMES) * 2 // 3
