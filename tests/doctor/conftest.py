"""A good host for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from doctor_bench import Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path, monkeypatch)
    yield made
    made.close()
