from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from furnished import Furnished


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    """A platform on a bad day."""
    return Furnished(tmp_path_factory.mktemp("kek") / "kek.json")


@pytest.fixture
def calm(tmp_path: Path) -> Furnished:
    """A platform on which nothing has happened yet."""
    return Furnished(tmp_path / "kek.json", empty=True)
