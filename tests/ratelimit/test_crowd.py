"""Many processes on one server never get more than the rule says."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("guessing.py")


def crowd(url: str, prefix: str, kind: str, processes: int) -> list[str]:
    """What all of them printed."""
    command = [sys.executable, str(SCRIPT), url, prefix, kind]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return [process.communicate(timeout=60)[0] for process in started]


def test_sixty_four_guesses_in_four_processes_are_five(redis_url: str) -> None:
    assert sum(map(int, crowd(redis_url, "crowd-login", "login", 4))) == 5


@pytest.mark.asvs("2.4.1")
@pytest.mark.parametrize("kind", ["gcra", "exact"])
def test_eight_processes_stay_within_the_law(redis_url: str, kind: str) -> None:
    started = time.monotonic()
    lines = [line for text in crowd(redis_url, f"crowd-{kind}", kind, 8) for line in text.splitlines()]
    elapsed = time.monotonic() - started
    admitted = sorted((float(before), float(after)) for before, after in (line.split() for line in lines))
    assert len(admitted) > 50
    if kind == "gcra":
        assert len(admitted) <= 200 * elapsed + 20
    else:
        latest = sorted(after for _, after in admitted)
        earliest = [before for before, _ in admitted]
        # The k-th admission came at or after the k-th earliest call and at or before the k-th latest answer.
        assert all(latest[at + 50] - earliest[at] >= 1 for at in range(len(admitted) - 50))
