"""Memberships through Django's ORM, on SQLite and PostgreSQL, in a process of its own: settings are configured once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from wellstreak_trust.testing.stores.memberships import MEMBERSHIP_CHECKS

HERE = Path(__file__).parent
OWN = [
    "a_life", "a_host_that_rolls_back_takes_everything_with_it", "a_host_goes_on_after_a_refusal",
    "races_leave_an_owner_and_pass_no_seat", "an_asynchronous_host_awaits", "a_missing_table_is_the_operators_matter",
    "migrations_are_complete",
]  # fmt: skip


def held(*arguments: str) -> list[str]:
    paths = os.pathsep.join((str(HERE.parent), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, str(HERE / "django_store_probe.py"), *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


WANTED = [*(check.__name__ for check in MEMBERSHIP_CHECKS), *OWN]


def test_on_sqlite(tmp_path: Path) -> None:
    assert held("sqlite3", str(tmp_path / "django.db")) == WANTED


def test_on_postgres(postgres_url: str) -> None:
    parts = urlsplit(postgres_url)
    where = (parts.path.lstrip("/"), parts.hostname or "", str(parts.port or ""), parts.username or "")
    if parts.password:
        pytest.skip("the probe signs in without a password")
    assert held("postgresql", *where) == WANTED
