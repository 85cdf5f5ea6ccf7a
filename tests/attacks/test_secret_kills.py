"""SIGKILL at random points: what is stored still opens, exactly one version is current, no token is spent twice.

``WT_SECRET_KILLS=200`` makes it long; each run prints nothing and leaves its numbers in the assertion.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import secret_kills

KILLS = int(os.environ.get("WT_SECRET_KILLS", "4"))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'secrets.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found.replace("postgresql://", "postgresql+psycopg://")


def run(kind: str, url: str, folder: Path) -> dict[str, int]:
    command = [sys.executable, secret_kills.__file__, kind, str(KILLS), url, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + KILLS * 30)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_killed_writers_leave_what_opens(url: str, tmp_path: Path) -> None:
    found = run("writes", url, tmp_path)
    assert (found["kills"], found["unreadable"], found["doubled"]) == (KILLS, 0, 0), found
    assert found["versions"] > 0


def test_killed_refreshers_spend_no_token_that_a_living_one_spent(url: str, tmp_path: Path) -> None:
    found = run("refreshes", url, tmp_path)
    assert found["reused"] == 0, found
    assert found["orphaned"] <= KILLS, found
    assert found["calls"] > 1, found
    assert found["calls"] >= found["versions"] - 1
