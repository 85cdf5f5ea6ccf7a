"""Fixtures shared by all rooms."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import servers

HERE = Path(__file__).parent
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests are coroutines marked ``@pytest.mark.anyio``, run on asyncio."""
    return "asyncio"


@contextmanager
def _server(start: Any) -> Iterator[str]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(start())
        except servers.Unavailable as reason:
            if os.environ.get("CI") == "true":
                pytest.fail(str(reason))
            pytest.skip(str(reason))
        yield url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with _server(servers.postgres) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis; tests use keys of their own."""
    with _server(servers.redis) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh, empty database; ``postgresql://...``, to which SQLAlchemy users add a driver."""
    import psycopg

    name = f"wt_{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield postgres_server.rpartition("/")[0] + f"/{name}"
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
def vectors() -> Callable[[str], Any]:
    """Reads one of our own fact tables: ``vectors("authz/decisions.json")``."""
    return lambda name: json.loads((HERE / "vectors" / name).read_text(encoding="utf-8"))


@pytest.fixture
def published_vectors() -> Callable[[str], Any]:
    """Reads a published fact table from the folder that WST_VECTORS names; they are never part of this repository."""
    folder = os.environ.get("WST_VECTORS")
    if not folder:
        pytest.skip("published vectors are not part of the repository: set WST_VECTORS to their folder")

    def read(name: str) -> Any:
        path = Path(folder, name)
        if not path.is_file():
            pytest.fail(f"WST_VECTORS is set, but {name} is missing")
        return json.loads(path.read_text(encoding="utf-8"))

    return read
