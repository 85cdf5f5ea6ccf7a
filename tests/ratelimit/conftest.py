"""Every store of this room: memory, and a real Redis under the test's clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from timed_redis import PATIENT, TimedPort
from wellstreak_trust.core import FixedClock
from wellstreak_trust.ratelimit import MemoryLimitStore
from wellstreak_trust.storage.redis import RedisLimitStore, RedisPort

_PREFIXES = count()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, 12, 30, 15, tzinfo=UTC))


@pytest.fixture(params=["memory", "redis"])
def any_store(request: pytest.FixtureRequest, clock: FixedClock) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryLimitStore()
        return
    port = RedisPort.from_url(request.getfixturevalue("redis_url"), **PATIENT)
    yield RedisLimitStore(TimedPort(port, clock), prefix=f"any{next(_PREFIXES)}")  # type: ignore[arg-type]  # by shape
    port.client.close()
