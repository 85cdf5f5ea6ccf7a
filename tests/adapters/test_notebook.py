"""Suites that need a Django project of their own, each in a process of its own: settings are configured once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("suite", ["drf", "admin", "commands"])
def test_the_notebook(suite: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", "-p", "notebook_setup", "-n",
         "0", str(HERE / "notebook_suites" / f"test_{suite}.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE), os.environ.get("PYTHONPATH", "")))},
        cwd=HERE.parents[1], capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
