"""One database for the session; each test plants in a transaction that is rolled back, roles included."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

sys.path.append(str(Path(__file__).parent))  # where the laboratory is

from rls_lab import SCHEMA, Lab


@pytest.fixture(scope="session")
def lab_url(postgres_server: str) -> Iterator[str]:
    """A superuser's URL of a database with the clean schema, for tests that roll back what they do."""
    name = f"wt_lab_{os.getpid()}"
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        url = postgres_server.rpartition("/")[0] + f"/{name}"
        with psycopg.connect(url) as connection:
            Lab(connection).build()
        yield url
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f"DROP ROLE {', '.join(Lab.names.values())}")  # roles belong to the whole server


@pytest.fixture(scope="session")
def _laboratory(lab_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(lab_url, options=f"-c search_path={SCHEMA}") as connection:
        yield connection


@pytest.fixture
def lab(_laboratory: psycopg.Connection[Any]) -> Iterator[Lab]:
    yield Lab(_laboratory)
    _laboratory.rollback()
