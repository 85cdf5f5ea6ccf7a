"""A backup is restored and grows a second history under the same name (toy 22)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit_trails import ORIGIN, SIGNER, events, opened
from local_http import serving_wsgi
from wellstreak_trust.audit import (
    AuditUnavailable,
    CheckpointRegression,
    Ed25519Signer,
    MemoryWitnessStore,
    Witness,
    WitnessApp,
    verify,
)
from wellstreak_trust.audit.anchors import FileAnchor, WitnessAnchor, WitnessClient
from wellstreak_trust.core import SystemClock
from wellstreak_trust.core.egress import Egress


@pytest.fixture
def witness() -> Iterator[tuple[str, Witness]]:
    eye = Witness(MemoryWitnessStore(), Ed25519Signer.from_seed(bytes([9]) * 32), "w", [SIGNER.key(ORIGIN)])
    with serving_wsgi(WitnessApp(eye).wsgi) as url:
        yield url, eye


def two_histories(path: Path, sinks: Any) -> None:
    """Four entries, a backup, two more that are published; then the backup with as many others."""
    with opened(path) as log:
        log.emit_many(events(4))
        log.checkpoint()
        shutil.copy(path, path.with_suffix(".backup"))
    with opened(path, sinks=sinks(path)) as log:
        log.emit_many(events(2))
        log.checkpoint()
    shutil.copy(path.with_suffix(".backup"), path)


@pytest.mark.parametrize("later", [0, 1, 2, 9])
def test_an_anchor_elsewhere_remembers(later: int, sqlite_path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "elsewhere"
    two_histories(sqlite_path, lambda path: [FileAnchor(kept)])
    with opened(sqlite_path, sinks=[FileAnchor(kept)]) as log:
        for event in events(later, actor="user_2"):
            log.emit(event)
        with pytest.raises(CheckpointRegression):
            log.checkpoint()


@pytest.mark.parametrize("later", [1, 2, 9])
def test_a_witness_remembers(later: int, witness: tuple[str, Witness], sqlite_path: Path) -> None:
    url, eye = witness

    def sinks(path: Path, store: Any = None) -> Any:
        way = Egress(SystemClock(), timedelta(seconds=5), allow_private=True)
        with opened(path) as log:
            return [WitnessAnchor(log.store, ORIGIN, WitnessClient(url, eye.vkey, way=way))]

    two_histories(sqlite_path, sinks)
    with opened(sqlite_path, sinks=sinks(sqlite_path)) as log:
        for event in events(later, actor="user_2"):
            log.emit(event)
            try:
                log.checkpoint()
            except CheckpointRegression:
                break
        else:
            pytest.fail("a second history was signed and cosigned")
        assert verify(log.store, keys=[log.vkey(), eye.vkey]).level != "witnessed"


def test_who_kept_nothing_signs_and_the_pin_tells(sqlite_path: Path) -> None:
    """The limit: a log whose every memory was restored cannot know; whoever kept a checkpoint can."""
    two_histories(sqlite_path, lambda path: [])
    with opened(sqlite_path) as log:
        log.emit_many(events(2, actor="user_2"))
        first = log.checkpoint()
        assert verify(log.store, keys=[log.vkey()]).failed == ()
    shutil.copy(sqlite_path.with_suffix(".backup"), sqlite_path)
    with opened(sqlite_path) as log:
        log.emit_many(events(2, actor="user_3"))
        log.checkpoint()
        report = verify(log.store, keys=[log.vkey()], pinned=first)
    assert (report.append_only, report.level) == ("failed", "internal")


def test_an_anchor_that_cannot_be_asked_is_not_passed_over(sqlite_path: Path, tmp_path: Path) -> None:
    """Else its outage would hide a restore."""
    folder = tmp_path / "kept"
    folder.mkdir()
    with opened(sqlite_path, sinks=[FileAnchor(folder)]) as log:  # a directory cannot be read as a file
        log.emit_many(events(2))
        with pytest.raises(AuditUnavailable):
            log.checkpoint()
