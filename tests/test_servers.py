"""The servers are real."""

from __future__ import annotations

import psycopg
import redis


def test_postgres_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT current_setting('server_version_num')::int > 140000").fetchone() == (True,)


def test_redis_answers(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, socket_timeout=2) as client:
        assert client.ping() is True
