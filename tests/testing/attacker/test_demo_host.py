"""The real demo host stands on every framework: zero findings, nothing left out, every read reached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def probe(name: str, *args: str) -> Any:
    """What a probe prints; a process of its own, because a process has one Django."""
    run = subprocess.run(
        [sys.executable, str(HERE / name), *args], capture_output=True, text=True, timeout=300, env={**os.environ}
    )
    assert run.returncode == 0, run.stderr[-4_000:]
    return json.loads(run.stdout), run.stderr


@pytest.mark.parametrize("framework", ["flask", "fastapi", "django"])
def test_the_demo_host_stands(framework: str) -> None:
    report, told = probe("demo_probe.py", framework)
    assert report["findings"] == [], told
    assert report["complete"]
    assert report["unproven"] == {}
    assert [item for item in report["tried"] if item["outcome"] in ("unclear", "not tried", "moot")] == []
    assert report["requests"] > 3_000


def test_django_hosts() -> None:
    found, told = probe("django_probe.py")
    assert found == {
        "Host": [],
        "UnderAsgi": [],
        "Unscoped": ["tenants.by_id"],
        "Forgotten": ["declarations.missing"],
        "FormsFromAnywhere": ["browsers.forged_request"],
        # The debug page repeats the request's cookies, too.
        "DebugLeftOn": ["answers.credential", "answers.traceback", "malformed.input"],
    }, told
