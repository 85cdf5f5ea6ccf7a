"""A flood of sign-ins: each costs 19 MiB on purpose, so what is to be bounded is how many run at once.

``WT_ARGON2_CALLERS=1000`` for the number that is promised.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from wellstreak_trust.identity import Busy, PasswordHasher
from wellstreak_trust.identity import passwords as module

CALLERS = int(os.environ.get("WT_ARGON2_CALLERS", "48"))
BENCH = Path(__file__).parents[2] / "bench" / "argon2_flood.py"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def running(monkeypatch):
    """How many verifications ran at once, at most."""
    verify, lock, seen = module.argon2id, threading.Lock(), {"now": 0, "most": 0, "all": 0}

    def counted(*args):
        with lock:
            seen["now"] += 1
            seen["all"] += 1
            seen["most"] = max(seen["most"], seen["now"])
        try:
            return verify(*args)
        finally:
            with lock:
                seen["now"] -= 1

    monkeypatch.setattr(module, "argon2id", counted)
    return seen


@pytest.mark.asvs("15.2.2")
@pytest.mark.parametrize("permits", [1, 2])
def test_memory_is_that_of_the_permits(permits):
    done = subprocess.run(
        [sys.executable, str(BENCH), str(CALLERS), str(permits)], capture_output=True, check=True, timeout=300
    )
    found = json.loads(done.stdout.splitlines()[0])
    assert found["right"] == CALLERS // 2
    assert found["grown_mib"] <= found["promised_mib"], found


def test_no_more_run_at_once_than_there_are_permits(running):
    hasher = PasswordHasher(permits=2, wait=timedelta(minutes=1))
    threads = [threading.Thread(target=hasher.verify, args=(PASSWORD, None)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert running == {"now": 0, "most": 2, "all": 16}


@pytest.mark.anyio
async def test_the_loop_goes_on_while_passwords_are_hashed(monkeypatch):
    """The hash ends only when the loop says so: a loop that hashed itself would never come to it."""
    hasher = PasswordHasher(permits=1, wait=timedelta(minutes=1))
    hashing, may_end = module.argon2id, threading.Event()

    def held(*args):
        assert may_end.wait(30)
        return hashing(*args)

    monkeypatch.setattr(module, "argon2id", held)
    flood = [asyncio.create_task(hasher.averify(PASSWORD, None)) for _ in range(3)]
    done, _ = await asyncio.wait(flood, timeout=0.05)
    assert not done
    may_end.set()
    assert [verdict.ok for verdict in await asyncio.gather(*flood)] == [False] * 3


@pytest.mark.anyio
async def test_cancelled_requests_free_no_permit_and_leave_the_queue(running):
    hasher = PasswordHasher(permits=1, wait=timedelta(minutes=1))
    for _ in range(3):
        flood = [asyncio.create_task(hasher.averify(PASSWORD, None)) for _ in range(8)]
        await asyncio.sleep(0.005)
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
    assert not (await hasher.averify(PASSWORD, None)).ok
    assert running["most"] == 1
    assert running["all"] <= 3 * 2 + 1  # the one at work, and the one that was next


def test_who_waits_too_long_is_told_busy_and_never_wrong(monkeypatch):
    hasher = PasswordHasher(permits=1, wait=timedelta(milliseconds=30))
    encoded = hasher.hash(PASSWORD)
    hashing, started, may_end = module.argon2id, threading.Event(), threading.Event()

    def slow(*args):
        started.set()
        assert may_end.wait(60)
        return hashing(*args)

    monkeypatch.setattr(module, "argon2id", slow)
    outcomes: list[object] = []

    def sign_in() -> None:
        try:
            outcomes.append(hasher.verify(PASSWORD, encoded).ok)
        except Busy as busy:
            outcomes.append((busy.status, busy.code))

    first, *rest = (threading.Thread(target=sign_in) for _ in range(12))
    first.start()
    assert started.wait(60)  # it has the permit, and keeps it however long it takes
    for thread in rest:
        thread.start()
    for thread in rest:
        thread.join(60)
    assert outcomes == [(503, "busy")] * 11
    may_end.set()
    first.join(60)
    assert outcomes[-1] is True
