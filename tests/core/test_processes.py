"""What must not survive a fork: each child has its own, and nobody is kept alive for it."""

from __future__ import annotations

import gc
import importlib.util
import os
import weakref
from collections.abc import Callable
from threading import Lock

import pytest

from wellstreak_trust.core import processes
from wellstreak_trust.core.processes import PerProcess, renewed_in_children


class Held:
    def __init__(self) -> None:
        self.renewed = 0

    def renew(self) -> None:
        self.renewed += 1


def in_child(asked: Callable[[], object]) -> str:
    """What a forked child answers."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(asked()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


LOCK = PerProcess(Lock)
HELD = Held()
renewed_in_children(HELD)


@pytest.mark.asvs("15.4.3")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_never_waits_for_a_lock_that_the_parent_holds() -> None:
    before = HELD.renewed
    with LOCK.here:
        assert in_child(lambda: LOCK.here.locked()) == "False"
        assert in_child(lambda: HELD.renewed) == str(before + 1)
        assert LOCK.here.locked()
    assert HELD.renewed == before


def test_all_are_renewed_and_what_nobody_holds_is_gone() -> None:
    kept, made = Held(), PerProcess(object)
    first = made.here
    renewed_in_children(kept)
    gone = Held()
    seen = weakref.ref(gone)
    renewed_in_children(gone)
    del gone
    gc.collect()
    assert seen() is None
    processes._renew_all()
    assert kept.renewed == 1
    assert made.here is not first


def test_where_there_is_no_fork_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    spec = importlib.util.find_spec(processes.__name__)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(alone := importlib.util.module_from_spec(spec))
    assert alone.PerProcess(int).here == 0
