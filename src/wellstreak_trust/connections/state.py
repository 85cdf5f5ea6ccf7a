"""The state machine of a connection: rules in prose, then the records, then pure functions. No I/O, no clock.

::

    draft ► testing ► active ⇄ degraded ► failing ► suspended
              │  └► unverified (all probes passed, none of them authenticated)
              └► failing (set-up failed)
    any ► disabled (an operator; left only by `enable`) · any ► revoked (left only by a new credential)

A connection is *open* while it is active and holds evidence: an authenticated success for the current generation and
the current version of its secret, not older than the caller accepts. From that follow the rules:

1. A change of configuration, secret name or secret version starts a new generation and drops the evidence.
2. A test that any probe saw rejected (401, 403, invalid_grant) closes at once; that outranks every passing fault.
3. A passing fault (timeout, 5xx, 429) fails a connection that was never proved. A proved one degrades at the third in
   a row and fails at the sixth, or 15 minutes after the first.
4. Coming back from degraded or failing takes two clean tests in a row, four when it has flapped four times in an hour.
5. Failing for 72 hours suspends: from then on it is tested only on demand.
6. What a run observed counts only for the generation, secret version and state it began with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from .probe import REJECTIONS, Probe, ProbeResult

__all__ = ["ConnectionRecord", "Evidence", "Judgement", "State", "defined", "judged", "moved", "tested"]

State = Literal["draft", "testing", "active", "unverified", "degraded", "failing", "suspended", "disabled", "revoked"]
Verdict = Literal["proved", "unproved", "fault", "rejected"]

STATES: Final[frozenset[str]] = frozenset(
    ("draft", "testing", "active", "unverified", "degraded", "failing", "suspended", "disabled", "revoked")
)
CLOSED: Final[frozenset[str]] = frozenset(("disabled", "revoked"))
PROVED: Final[frozenset[str]] = frozenset(("active", "degraded"))
RECOVERING: Final[frozenset[str]] = frozenset(("degraded", "failing"))

DEGRADED_AT: Final = 3
FAILING_AT: Final = 6
FAILING_AFTER: Final = timedelta(minutes=15)
SUSPENDED_AFTER: Final = timedelta(hours=72)
CLEAN_TESTS: Final = 2
FLAPS: Final = 4
FLAP_WINDOW: Final = timedelta(hours=1)
KEPT: Final = 50


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
    last_ok: datetime | None = None
    last_checked: datetime | None = None
    faults: int = 0
    first_fault: datetime | None = None
    clean: int = 0
    edges: tuple[datetime, ...] = ()
    history: tuple[tuple[datetime, str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a whole run of probes means."""

    verdict: Verdict
    code: str
    observed_at: datetime | None = None


def judged(results: Sequence[tuple[Probe, ProbeResult]], now: datetime) -> Judgement:
    """One judgement over all probes (rules 2 and 3); no probe at all proves nothing."""
    for _, result in results:
        if result.outcome == "fail" and result.code in REJECTIONS:
            return Judgement("rejected", result.code)
    for probe, result in results:
        if probe.required and result.outcome != "ok":
            return Judgement("fault", result.code if result.code != "ok" else "error")
    seen = [min(r.observed_at or now, now) for probe, r in results if probe.kind == "auth" and r.outcome == "ok"]
    return Judgement("proved", "ok", min(seen)) if seen else Judgement("unproved", "not_authenticated")


def defined(held: ConnectionRecord | None, wanted: ConnectionRecord, now: datetime) -> ConnectionRecord:
    """Rule 1. `wanted` carries the key, configuration, secret and its version."""
    if held is None:
        return replace(wanted, generation=1, state="testing", since=now)
    same = (held.config, held.secret, held.secret_version) == (wanted.config, wanted.secret, wanted.secret_version)
    if same:
        return held
    fresh_credential = (held.secret, held.secret_version) != (wanted.secret, wanted.secret_version)
    stays = held.state == "disabled" or (held.state == "revoked" and not fresh_credential)
    changed = replace(
        held,
        generation=held.generation + 1,
        config=wanted.config,
        secret=wanted.secret,
        secret_version=wanted.secret_version,
        evidence=None,
        faults=0,
        first_fault=None,
        clean=0,
    )
    return changed if stays else moved(changed, "testing", "redefined", now)


def moved(record: ConnectionRecord, state: State, reason: str, now: datetime) -> ConnectionRecord:
    """An edge. Every state but active and degraded drops the evidence."""
    if record.state == state:
        return replace(record, reason=reason)
    recent = tuple(at for at in record.edges if now - at < FLAP_WINDOW)
    return replace(
        record,
        state=state,
        since=now,
        reason=reason,
        clean=0,
        edges=(*recent, now)[-FLAPS * 2 :],
        evidence=record.evidence if state in PROVED else None,
    )


def tested(record: ConnectionRecord, judgement: Judgement, now: datetime) -> ConnectionRecord:
    """The record after a run of probes or a report of live traffic (rules 2 to 5)."""
    if record.state in CLOSED:
        return record
    seen = replace(
        record, last_checked=now, history=(*record.history, (now, judgement.verdict, judgement.code))[-KEPT:]
    )
    if judgement.verdict == "rejected":
        return moved(replace(seen, clean=0), "failing", judgement.code, now)
    if judgement.verdict == "fault":
        return _faulted(seen, judgement.code, now)
    calm = replace(seen, faults=0, first_fault=None)
    if judgement.verdict == "unproved":
        return moved(calm, "unverified", judgement.code, now)
    return _proved(calm, judgement.observed_at or now, now)


def _proved(record: ConnectionRecord, observed_at: datetime, now: datetime) -> ConnectionRecord:
    flapping = sum(now - at < FLAP_WINDOW for at in record.edges) >= FLAPS
    needed = CLEAN_TESTS * (2 if flapping else 1) if record.state in RECOVERING else 1
    evidence = Evidence(record.generation, record.secret_version, observed_at)
    proved = replace(record, clean=record.clean + 1, last_ok=observed_at)
    if proved.clean < needed:
        return replace(proved, evidence=evidence) if record.state == "degraded" else proved
    return replace(moved(proved, "active", "ok", now), evidence=evidence)


def _faulted(record: ConnectionRecord, code: str, now: datetime) -> ConnectionRecord:
    first = record.first_fault or now
    worse = replace(record, faults=record.faults + 1, first_fault=first, clean=0)
    if record.state in PROVED:
        if worse.faults >= FAILING_AT or now - first >= FAILING_AFTER:
            return moved(worse, "failing", code, now)
        return moved(worse, "degraded", code, now) if worse.faults >= DEGRADED_AT else worse
    if record.state == "failing" and now - record.since >= SUSPENDED_AFTER:
        return moved(worse, "suspended", code, now)
    if record.state in ("failing", "suspended"):
        return replace(worse, reason=code)
    return moved(worse, "failing", code, now)
