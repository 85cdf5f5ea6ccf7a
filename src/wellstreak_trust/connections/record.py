"""What is known of a connection: one row, its evidence, its candidate, and what the probes of its last test said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from .probe import REJECTIONS, Probe, ProbeResult

__all__ = [
    "Candidate",
    "Check",
    "Condition",
    "ConnectionRecord",
    "Event",
    "Evidence",
    "Judgement",
    "State",
    "conditions_after",
    "judged",
]

State = Literal["draft", "testing", "active", "unverified", "degraded", "failing", "suspended", "disabled", "revoked"]
Event = Literal[
    "changed", "new_credential", "proved", "unproved", "rejected", "fault", "faults", "many_faults", "given_up",
    "suspend", "disable", "enable", "revoke",
]  # fmt: skip
Verdict = Literal["proved", "unproved", "fault", "rejected"]
Target = tuple[Mapping[str, Any], str | None, int | None]
"""Configuration, secret name, secret version: what a proof is about."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """An authenticated success, bound to what it was observed with."""

    generation: int
    secret_version: int | None
    observed_at: datetime

    def proves(self, generation: int, secret_version: int | None) -> bool:
        """Whether it was observed with exactly this configuration and credential."""
        return (self.generation, self.secret_version) == (generation, secret_version)


@dataclass(frozen=True, slots=True)
class Candidate:
    """The generation that waits for its proof while the previous one carries traffic.

    `reason` is why its last test did not prove it.
    """

    generation: int
    config: Mapping[str, Any]
    secret: str | None
    secret_version: int | None
    since: datetime
    reason: str = "not_tested"

    @property
    def target(self) -> Target:
        """What a proof of it would be about."""
        return self.config, self.secret, self.secret_version


@dataclass(frozen=True, slots=True)
class Condition:
    """What one probe last said, and since when it says so.

    Args:
        status: ``true`` where the probe was ok, ``false`` where it failed, ``unknown`` where it could not tell.
    """

    name: str
    kind: str
    status: Literal["true", "false", "unknown"]
    reason: str
    since: datetime
    generation: int


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """One row: everything the machine knows. `version` is the optimistic lock of the row."""

    tenant_id: str
    provider: str
    state: State
    since: datetime
    generation: int
    config: Mapping[str, Any]
    secret: str | None
    secret_version: int | None
    version: int = 0
    reason: str = "defined"
    evidence: Evidence | None = None
    generation_since: datetime | None = None
    candidate: Candidate | None = None
    last_ok: datetime | None = None
    last_checked: datetime | None = None
    last_inbound: datetime | None = None
    next_check: datetime | None = None
    leased_until: datetime | None = None
    faults: int = 0
    first_fault: datetime | None = None
    clean: int = 0
    edges: tuple[datetime, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def target(self) -> Target:
        """What its evidence is about."""
        return self.config, self.secret, self.secret_version


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the protocol: a run of probes or a report of live traffic.

    Args:
        source: ``test``, ``candidate`` or ``traffic``.
        probes: (name, outcome, code, microseconds, detail) of each; the detail is redacted, and for operators only.
    """

    at: datetime
    source: str
    generation: int
    secret_version: int | None
    verdict: Verdict
    code: str
    probes: tuple[tuple[str, str, str, int, str], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it counts as up in the daily buckets."""
        return self.verdict == "proved"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a whole run of probes means."""

    verdict: Verdict
    code: str
    observed_at: datetime | None = None
    retry_after: timedelta | None = None


def judged(results: Sequence[tuple[Probe, ProbeResult]], now: datetime) -> Judgement:
    """One judgement over all probes; a rejection outranks every passing fault, and no probe at all proves nothing."""
    waits = [result.retry_after for _, result in results if result.retry_after is not None]
    wait = max(waits, default=None)
    for _, result in results:
        if result.outcome == "fail" and result.code in REJECTIONS:
            return Judgement("rejected", result.code, retry_after=wait)
    for probe, result in results:
        if probe.required and result.outcome != "ok":
            return Judgement("fault", result.code if result.code != "ok" else "error", retry_after=wait)
    seen = [min(r.observed_at or now, now) for probe, r in results if probe.kind == "auth" and r.outcome == "ok"]
    return Judgement("proved", "ok", min(seen)) if seen else Judgement("unproved", "not_authenticated")


def conditions_after(
    held: Sequence[Condition], results: Sequence[tuple[Probe, ProbeResult]], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """One condition a probe; `since` moves only where the status does."""
    before = {condition.name: condition for condition in held}
    found = []
    for probe, result in results:
        status: Literal["true", "false", "unknown"] = (
            "true" if result.outcome == "ok" else "false" if result.outcome == "fail" else "unknown"
        )
        reason = result.code if result.outcome in ("ok", "fail") else result.outcome
        fresh = Condition(probe.name, probe.kind, status, reason, now, generation)
        old = before.get(probe.name)
        same = old is not None and old.status == status and old.generation == generation
        found.append(replace(fresh, since=old.since) if same and old is not None else fresh)
    return tuple(found)
