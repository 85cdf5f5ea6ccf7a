"""What the attacks on accounts share with the tests of that room."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from people import Sink
from wellstreak_trust.core import FixedClock


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 24, 12, 0, tzinfo=UTC))


@pytest.fixture
def sink() -> Sink:
    return Sink()
