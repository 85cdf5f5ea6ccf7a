"""The bench about capacity fills a database by every service; here its rows are moved, restored and looked at."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from wellstreak_trust.storage.sql import Database

BENCH = Path(__file__).parents[2] / "bench" / "capacity.py"


def _loaded() -> Any:
    spec = importlib.util.spec_from_file_location("capacity", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["capacity"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def capacity() -> Any:
    return _loaded()


class Place:
    """One database by its URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(create_engine(url))


@pytest.fixture
def source(tmp_path: Path, capacity: Any) -> Iterator[Place]:
    """A furnished SQLite file; its key-encryption key is ``kek.json`` beside it."""
    place = Place(f"sqlite:///{tmp_path / 'source.db'}")
    place.database.create_all()
    capacity.fill(place.database, tmp_path, 3)
    yield place
    place.database.engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty database."""
    if request.param == "sqlite":
        place = Place(f"sqlite:///{tmp_path / 'target.db'}")
    else:
        place = Place(request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://"))
    yield place
    place.database.engine.dispose()
