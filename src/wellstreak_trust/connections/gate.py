"""The gate that everything acting through a connection asks: one read, one comparison of versions, closed in doubt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ..core.clock import Clock
from ..core.errors import ConnectionNotActive, HostError
from .record import ConnectionRecord
from .store import ConnectionStore
from .view import ActiveConnection, hint_of

__all__ = ["Gate", "version_in_use"]

_PASSING: Final = frozenset(("timeout", "unreachable", "rate_limited", "server_error"))
_SHORTLY: Final = timedelta(seconds=5)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST: Final = 10_000

_Version = Callable[[str, str | None], Awaitable[int | None]]


class _Snapshot(NamedTuple):
    record: ConnectionRecord | None
    version: int | None
    read_at: int


class Gate:
    """Reads the record and the credential's version, and compares.

    Args:
        version: the current version of a tenant's secret.
        snapshot: how long one read may serve; nothing means every time.
    """

    __slots__ = ("_clock", "_kept", "_snapshot", "_store", "_version")

    def __init__(self, store: ConnectionStore, version: _Version, clock: Clock, snapshot: timedelta) -> None:
        self._store: ConnectionStore = store
        self._version: _Version = version
        self._clock: Clock = clock
        self._snapshot: int = snapshot // _MICROSECOND * 1_000
        self._kept: dict[tuple[str, str], _Snapshot] = {}

    async def arequire(
        self, tenant_id: str, provider: str, max_age: timedelta, allow: frozenset[str]
    ) -> ActiveConnection:
        """The proof, or `ConnectionNotActive`."""
        record, current = await self._read(tenant_id, provider)
        if record is None:
            raise _closed("draft", "unknown_connection")
        now = self._clock.now()
        if record.state != "active" and not (record.state == "degraded" and "degraded" in allow):
            raise _closed(record.state, record.reason, record.next_check, now)
        evidence = record.evidence
        if evidence is None:
            raise _closed(record.state, "stale_evidence")
        if not evidence.proves(record.generation, version_in_use(record, current)):
            raise _closed(record.state, "secret_changed")
        # Evidence from the future is none: a probe's clock, or ours, is wrong.
        if not timedelta() <= now - evidence.observed_at <= max_age:
            raise _closed(record.state, "stale_evidence")
        return ActiveConnection(record.generation, evidence.secret_version, evidence, record.config)

    def forget(self, tenant_id: str, provider: str) -> None:
        """Drops the snapshot: this process changed the connection."""
        self._kept.pop((tenant_id, provider), None)

    async def _read(self, tenant_id: str, provider: str) -> tuple[ConnectionRecord | None, int | None]:
        key = (tenant_id, provider)
        held = self._kept.get(key) if self._snapshot else None
        if held is not None and self._clock.monotonic_ns() - held.read_at < self._snapshot:
            return held.record, held.version
        read_at = self._clock.monotonic_ns()
        try:
            record = await self._store.load(tenant_id, provider)
            version = await self._version(tenant_id, record.secret) if record is not None else None
        except HostError:
            raise
        except Exception:  # whatever is wrong: nobody can say that it is open
            raise ConnectionNotActive(
                "draft",
                "store_unavailable",
                hint=hint_of("draft", "store_unavailable"),
                retry_after=_SHORTLY,
            ) from None
        if self._snapshot:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[key] = _Snapshot(record, version, read_at)
        return record, version


def version_in_use(record: ConnectionRecord, current: int | None) -> int | None:
    """The credential version that the generation in use must be proved with.

    It is the store's current one, so that a rotation behind our back closes the gate at once; unless the rotation is
    exactly what the candidate waits with, while the previous generation was kept on purpose.
    """
    candidate = record.candidate
    known = candidate is not None and (candidate.secret, candidate.secret_version) == (record.secret, current)
    return record.secret_version if known else current


def _closed(
    state: str, reason: str, next_check: datetime | None = None, now: datetime | None = None
) -> ConnectionNotActive:
    wait = None
    if reason in _PASSING and next_check is not None and now is not None:
        wait = max(next_check - now, timedelta(seconds=1))  # it mends itself: 503; else the tenant must act: 409
    return ConnectionNotActive(state, reason, hint=hint_of(state, reason), retry_after=wait)
