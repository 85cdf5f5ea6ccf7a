"""The contract suites on every store."""

from __future__ import annotations

from typing import Any

import pytest

from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.testing.stores.limits import ATTEMPT_CHECKS, LEASE_CHECKS, LIMIT_CHECKS


@pytest.mark.parametrize("check", LIMIT_CHECKS, ids=lambda check: check.__name__)
def test_limits(check: Any, any_store: Any, clock: FixedClock) -> None:
    drive(check(any_store, clock, check.__name__))


@pytest.mark.parametrize("check", ATTEMPT_CHECKS, ids=lambda check: check.__name__)
def test_attempts(check: Any, any_store: Any, clock: FixedClock) -> None:
    drive(check(any_store.attempts(), clock, check.__name__))


@pytest.mark.parametrize("check", LEASE_CHECKS, ids=lambda check: check.__name__)
def test_leases(check: Any, any_store: Any, clock: FixedClock) -> None:
    drive(check(any_store.leases(), clock, check.__name__))
