"""`detect`: all rules over the records of a trail, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from ...core.clock import to_micros
from ...core.errors import UsageError
from .access import BreakGlassLong, CrossTenantDenials, DenialBurst, RoleBeforeGrant, UseAfterRevoke
from .conduct import (
    ConnectionFlapping,
    CredentialSpray,
    ExportVolume,
    NewNetworkPrivileged,
    SecretReadUnused,
    WebhookForgery,
)
from .detector import Detector
from .finding import RULES, AnomalyConfig, Finding
from .integrity import AuditGap, ClockRegression, DanglingIntent
from .record import Reader, Record

__all__ = ["Watch", "detect"]

_DETECTORS: Final[tuple[type[Detector], ...]] = (
    UseAfterRevoke,
    RoleBeforeGrant,
    CrossTenantDenials,
    DenialBurst,
    CredentialSpray,
    NewNetworkPrivileged,
    SecretReadUnused,
    BreakGlassLong,
    WebhookForgery,
    ConnectionFlapping,
    ExportVolume,
    ClockRegression,
    DanglingIntent,
    AuditGap,
)
_Ways = tuple[Callable[[Record], Finding | None], ...]
_ACTIONS: Final = 1_000  # remembered; what a trail names beyond them is asked for each time
_OFTEN: Final = 30_000_000  # absences are looked for when the log's time has gone on by so many microseconds


class Watch:
    """Detectors that go on: feed it records as they come, in order of `seq` within each tenant.

    Args:
        only: rule ids; all without it.

    Raises:
        UsageError: a rule id that does not exist.
    """

    def __init__(self, config: AnomalyConfig | None = None, *, only: Iterable[str] = ()) -> None:
        self._config: AnomalyConfig = config or AnomalyConfig()
        wanted = frozenset(only)
        unknown = sorted(wanted - RULES.keys())
        if unknown:
            raise UsageError(f"no rule is called {unknown[0]!r}", hint="see telemetry.anomalies.RULES")
        self._detectors: list[Detector] = [
            kind(self._config) for kind in _DETECTORS if not wanted or kind.rule_id in wanted
        ]
        self._reader: Reader = Reader()
        self._ways: dict[str, _Ways] = {}
        self._latest: int = 0
        self._looked: int = 0

    def see(self, leaf: Mapping[str, Any]) -> list[Finding]:
        """What one parsed leaf brings to light.

        Raises:
            UsageError: not a leaf of a trail.
        """
        try:
            record = self._reader.read(leaf)
        except (KeyError, TypeError, ValueError):
            raise UsageError("not a parsed leaf of the trail", hint="what AuditLog.events returns") from None
        found: list[Finding] = []
        for way in self._ways.get(record.action) or self._ways_of(record.action):
            told = way(record)
            if told is not None:
                found.append(told)
        if record.at > self._latest:
            self._latest = record.at
            if record.at - self._looked > _OFTEN:
                self._looked = record.at
                found.extend(self._absent(record.at))
        return found

    def end(self) -> list[Finding]:
        """What should have happened by `AnomalyConfig.now`, or by the last record, and did not."""
        at = to_micros(self._config.now) if self._config.now is not None else self._latest
        return list(self._absent(at))

    def _ways_of(self, action: str) -> _Ways:
        ways = tuple(found.see for found in self._detectors if found.wants(action))
        if len(self._ways) < _ACTIONS:
            self._ways[action] = ways
        return ways

    def _absent(self, at: int) -> Iterator[Finding]:
        for detector in self._detectors:
            for absence in detector.end(at):
                yield detector.missed(absence, at)


def detect(
    records: Iterable[Mapping[str, Any]], config: AnomalyConfig | None = None, *, only: Iterable[str] = ()
) -> Iterator[Finding]:
    """Findings over parsed leaves (`AuditLog.events`, reversed; or an export's), in order of `seq` within each tenant.

    Memory is bounded by `AnomalyConfig.subjects`, whatever the length of the trail. Times are those that the log
    recorded; what hosts say of when something happened decides nothing.
    """
    watch = Watch(config, only=only)
    for leaf in records:
        yield from watch.see(leaf)
    yield from watch.end()
