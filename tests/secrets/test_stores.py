"""The backend contract over memory, SQLite and PostgreSQL, blocking and asynchronous."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.core import drive
from wellstreak_trust.secrets import MemorySecretBackend, SecretBackend
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlSecretBackend
from wellstreak_trust.testing.stores.secrets import CHECKS

Check = Callable[[SecretBackend], Any]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_memory(check: Check) -> None:
    assert drive(check(MemorySecretBackend())) is None


def test_blocking_sql(engine: Engine) -> None:
    backend = SqlSecretBackend(Database(engine))
    assert not backend.suspends
    for check in CHECKS:
        drive(check(backend))


@pytest.mark.anyio
@pytest.mark.parametrize("driver", ["aiosqlite", "asyncpg"])
async def test_asynchronous_sql(request: pytest.FixtureRequest, driver: str) -> None:
    if driver == "aiosqlite":
        path: Path = request.getfixturevalue("sqlite_path")
        url = f"sqlite+aiosqlite:///{path}"
    else:
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+asyncpg://")
    connected = create_async_engine(url)
    database = AsyncDatabase(connected)
    await database.acreate_all()
    backend = SqlSecretBackend(database)
    assert backend.suspends
    for check in CHECKS:
        await check(backend)
    await connected.dispose()


def test_codes_are_what_the_published_encoding_says() -> None:
    """Put together by hand for speed; `length_prefixed` and the standard library's HMAC say what must come out."""
    import hmac
    from itertools import product

    from wellstreak_trust.core.canonical import i64, length_prefixed, u64
    from wellstreak_trust.secrets import EnvelopeKey
    from wellstreak_trust.secrets.codes import signed_head, signed_row
    from wellstreak_trust.secrets.rows import Head, SecretRow

    material, store = bytes(range(64)), "störe"
    key = EnvelopeKey(material, 3)
    times = (None, 0, -1, 2**63 - 1)
    cases = product((None, b"", b"\x00" * 200), ("text", "bytes"), ("enabled", "disabled", "destroyed"), times, times)
    for envelope, kind, state, one, two in cases:
        row = SecretRow("t\x00é", "n", 2**31, envelope, kind, 3, state, -7, one, two, '{"a":"é"}', b"")
        moments = [b"" if time is None else i64(time) for time in (-7, one, two)]
        parts = [row.tenant_id, row.name, u64(row.version), envelope or b"", kind, u64(3), state, *moments, row.labels]
        message = length_prefixed("wellstreak-trust/row/v1", store, *parts) + b"\x01"
        signed = signed_row(key, store, row)
        assert signed.row_mac == hmac.digest(material, message, "sha512")[:32]
        head = Head(row.tenant_id, "n", 2**31, 2**40, 3, "me", 7, b"")
        counted = u64(2**31), u64(2**40), u64(3)
        facts = length_prefixed("wellstreak-trust/head/v1", store, head.tenant_id, "n", *counted, signed.row_mac)
        assert signed_head(key, store, head, signed).head_mac == hmac.digest(material, facts + b"\x01", "sha512")[:32]
