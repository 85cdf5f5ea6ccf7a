"""The servers are real, start without root, and leave nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
import redis

import servers


def test_postgres_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.info.server_version >= 140_000


def test_databases_are_fresh(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_redis_answers(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, socket_timeout=2) as client:
        assert client.ping() is True


def test_an_address_from_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(servers.REDIS, "redis://given:6379/3")
    with servers.redis() as url:
        assert url == "redis://given:6379/3"


def test_a_server_goes_with_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(servers.REDIS, raising=False)
    monkeypatch.setattr(servers.tempfile, "tempdir", str(tmp_path))
    try:
        with servers.redis() as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            assert servers._redis_answers(port)
    except servers.Unavailable as reason:
        pytest.skip(str(reason))
    assert not servers._redis_answers(port)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_had_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(servers.POSTGRES, raising=False)
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(servers, "glob", lambda pattern: [])
    with pytest.raises(servers.Unavailable, match=servers.POSTGRES):
        servers._postgres_bin()
    with pytest.raises(servers.Unavailable, match=servers.REDIS):
        servers.redis_binary()
