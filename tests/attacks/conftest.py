"""What the attacks on accounts share with the tests of that room."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wellstreak_trust.core import FixedClock


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, 12, 0, tzinfo=UTC))


class Sink:
    """An event sink that keeps what it takes, or fails on demand."""

    suspends = False

    def __init__(self) -> None:
        self.events: list = []
        self.broken: Exception | None = None

    async def aemit(self, event):
        if self.broken is not None:
            raise self.broken
        self.events.append(event)


@pytest.fixture
def sink() -> Sink:
    return Sink()
