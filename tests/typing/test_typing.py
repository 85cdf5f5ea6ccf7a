"""The public types, as hosts meet them: files that are only type checked, with lines that must be refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES = sorted((HERE / "cases").glob("*.py"))
# In a virtual environment pyright finds nothing by itself, and nothing would count as right.
PATHS = os.pathsep.join((str(ROOT / "src"), sysconfig.get_paths()["purelib"]))


def wanted(case: Path) -> list[int]:
    """The lines that are wrong on purpose."""
    lines = case.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if line.endswith("# wrong")]


def by_mypy(case: Path) -> list[int]:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--show-error-codes", str(case)]
    run = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert run.returncode == 1, run.stdout + run.stderr  # 0 found nothing, 2 could not look
    found = [re.match(r"(.+?):(\d+): error: (.*)", line) for line in run.stdout.splitlines()]
    return sorted({int(match[2]) for match in found if match and Path(ROOT / match[1]).resolve() == case})


def by_pyright(case: Path) -> list[int]:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(case)]
    run = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": PATHS},
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    found = json.loads(run.stdout)["generalDiagnostics"]
    return sorted({entry["range"]["start"]["line"] + 1 for entry in found if entry["severity"] == "error"})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
@pytest.mark.parametrize("check", [by_mypy, by_pyright], ids=["mypy", "pyright"])
def test_exactly_the_wrong_lines_are_refused(case: Path, check: object) -> None:
    assert callable(check)
    lines = wanted(case)
    assert len(lines) >= 5
    assert check(case) == lines
