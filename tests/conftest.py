"""Fixtures shared by all rooms: real servers, files of facts, and the one async backend.

A missing server skips the test on a developer's machine and fails it where `CI` is ``true``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

# A busy machine must not fail a property: no deadlines, no judgement of speed. Where a change lands the examples are
# the same in every run; on a developer's machine each run explores.
settings.register_profile(
    "house",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("house")

HERE = Path(__file__).parent
sys.path.append(str(HERE))  # test helpers are plain modules; last, so that a room of tests shadows nothing

import servers  # noqa: E402  the line above makes it importable

_NUMBERS = count(1)


@pytest.fixture(scope="module", autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """Workers of task queues that run in this process set the level of the root logger for everybody."""
    root = logging.getLogger()
    level, handlers = root.level, [*root.handlers]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests are coroutines marked ``@pytest.mark.anyio``: its plugin comes with Starlette and httpx anyway."""
    return "asyncio"


@contextmanager
def _server(start: Any) -> Iterator[Any]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(start())
        except servers.Unavailable as reason:
            if os.environ.get("CI") == "true":
                pytest.fail(str(reason), pytrace=False)
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real browser: whether a page runs what it should not is for a browser to say."""
    with _server(servers.browser) as driver:
        yield driver


@pytest.fixture(scope="session")
def redis_cluster_url() -> Iterator[str]:
    """A real Redis in cluster mode, one node; it owns no slots yet."""
    with _server(lambda: servers.redis("--cluster-enabled", "yes")) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh, empty database; ``postgresql://...``, to which SQLAlchemy users add a driver."""
    import psycopg

    name = f"wt_{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        # Copying files is four times as quick as logging every page; before version 15 it was the only way.
        strategy = " STRATEGY file_copy" if connection.info.server_version >= 150_000 else ""
        connection.execute(f'CREATE DATABASE "{name}"{strategy}')
        yield urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
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
