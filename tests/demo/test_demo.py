"""The demo checks what it shows: it succeeds on every framework, and fails when a control is broken on purpose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def play(framework: str, folder: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    script = f"{code}\nimport sys\nfrom wellstreak_trust.demo.__main__ import main\nsys.exit(main())"
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment = {**kept, "HOME": str(folder), "TMPDIR": str(folder), "FRAMEWORK": framework}
    return subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("framework", ["fastapi", "flask", "django"])
def test_the_story_holds(framework: str, tmp_path: Path) -> None:
    run = play(framework, tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 differ" in run.stdout
    assert "DIFFERS" not in run.stdout
    assert "Traceback" not in run.stderr
    assert "\x1b[" not in run.stdout, "colours without a terminal"
    assert list(tmp_path.iterdir()) == [], "something was left behind"


BROKEN = """
from wellstreak_trust.origin import OriginPolicy, OriginVerdict
OriginPolicy.check = lambda self, facts: OriginVerdict(True, "broken on purpose")
"""


def test_a_broken_control_is_seen(tmp_path: Path) -> None:
    run = play("flask", tmp_path, BROKEN)
    assert run.returncode == 1
    assert "DIFFERS" in run.stdout
    assert "403 origin_denied" in run.stdout


def test_an_unknown_framework_is_refused(tmp_path: Path) -> None:
    assert play("rails", tmp_path).returncode == 2
