"""When a connection is asked again. Pure: the jitter is given.

While live traffic succeeds nobody probes: a reported success counts as the check it saves. What fails is asked ever
more rarely, and never earlier than the provider wants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from .record import ConnectionRecord, State

__all__ = ["LEASE", "planned"]

LEASE: Final = timedelta(seconds=30)
"""How long a worker has for a claimed check: the longest run of probes, twice."""

_SOON: Final = timedelta(seconds=30)
_RARELY: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(days=1)
_EVERY: Final[Mapping[State, timedelta]] = MappingProxyType(
    {"testing": _SOON, "active": timedelta(minutes=5), "degraded": _SOON, "unverified": _RARELY}
)
_JITTER: Final = 10  # a tenth, either way


def planned(
    record: ConnectionRecord, now: datetime, jitter: int, retry_after: timedelta | None = None
) -> ConnectionRecord:
    """The record with its next check set and its lease ended.

    Args:
        jitter: a random octet, so that what was defined together is not asked together.
        retry_after: what the provider asked for; a day at most.
    """
    every = _EVERY.get(record.state)
    if record.state == "failing":
        every = min(_SOON * 2 ** min(max(record.faults - 1, 0), 10), _RARELY)
    elif record.candidate is not None and every is not None:
        every = min(every, _SOON)
    if every is None:
        return replace(record, next_check=None, leased_until=None)
    spread = every / _JITTER
    wait = max(every - spread + 2 * spread * jitter / 255, min(retry_after or timedelta(), _LONGEST))
    return replace(record, next_check=now + wait, leased_until=None)
