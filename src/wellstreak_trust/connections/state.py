"""The state machine of a connection: rules in prose, then its table, then pure functions. No I/O, no clock.

A connection is *open* while it is active and holds evidence: an authenticated success for the current generation and
the current version of its secret, not older than the caller accepts. From that follow the rules:

1. A change of configuration, secret name or secret version starts a new generation and drops the evidence; or, where
   the caller keeps the previous one, it becomes a *candidate*, and the generation in use carries traffic until a test
   proves the candidate.
2. A test that any probe saw rejected (401, 403, invalid_grant) closes at once; that outranks every passing fault.
3. A passing fault (timeout, 5xx, 429) fails a connection that was never proved. A proved one degrades at the third in
   a row and fails at the sixth, or 15 minutes after the first.
4. Coming back from degraded or failing takes two clean tests in a row, four when it has flapped four times in an hour.
5. Failing for 72 hours suspends: from then on it is tested only on demand.
6. What a run observed counts only for the generation, secret version and state it began with.
7. An operator's `disabled` is left by `enable` alone, `revoked` only by a new credential.

`EDGES` is the whole of it: what an event does in a state. Events that a row does not name change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from .record import Candidate, ConnectionRecord, Event, Evidence, Judgement, State

__all__ = ["EDGES", "PROVED", "STATES", "defined", "moved", "promoted", "tested"]

_OPERATOR: Final[Mapping[Event, State]] = {"suspend": "suspended", "disable": "disabled", "revoke": "revoked"}
_CHANGED: Final[Mapping[Event, State]] = {"changed": "testing", "new_credential": "testing"}
_SEEN: Final[Mapping[Event, State]] = {"proved": "active", "unproved": "unverified", "rejected": "failing"}

EDGES: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {
        "draft": {**_CHANGED, **_OPERATOR},
        "testing": {**_SEEN, "fault": "failing", **_CHANGED, **_OPERATOR},
        "unverified": {**_SEEN, "fault": "failing", **_CHANGED, **_OPERATOR},
        "active": {**_SEEN, "faults": "degraded", "many_faults": "failing", **_CHANGED, **_OPERATOR},
        "degraded": {**_SEEN, "faults": "degraded", "many_faults": "failing", **_CHANGED, **_OPERATOR},
        "failing": {**_SEEN, "given_up": "suspended", **_CHANGED, **_OPERATOR},
        "suspended": {**_SEEN, **_CHANGED, **_OPERATOR},
        "disabled": {"enable": "testing", "revoke": "revoked"},
        "revoked": {"new_credential": "testing"},
    }
)
STATES: Final[frozenset[str]] = frozenset(EDGES)
PROVED: Final[frozenset[str]] = frozenset(("active", "degraded"))
_CLOSED: Final = frozenset(("disabled", "revoked"))
_RECOVERING: Final = frozenset(("degraded", "failing"))

DEGRADED_AT: Final = 3
FAILING_AT: Final = 6
FAILING_AFTER: Final = timedelta(minutes=15)
GIVEN_UP_AFTER: Final = timedelta(hours=72)
CLEAN_TESTS: Final = 2
FLAPS: Final = 4
FLAP_WINDOW: Final = timedelta(hours=1)


def moved(record: ConnectionRecord, event: Event, reason: str, now: datetime) -> ConnectionRecord:
    """What an event does. Every state but active and degraded drops the evidence, every operator's one the candidate.

    Returns the record itself where nothing changes.
    """
    state = EDGES[record.state].get(event)
    if state is None:
        return record
    if state == record.state:
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
        candidate=None if event in _OPERATOR else record.candidate,
    )


def defined(
    held: ConnectionRecord | None, wanted: ConnectionRecord, now: datetime, *, keep_previous: bool = False
) -> ConnectionRecord:
    """Rule 1. `wanted` carries the key, configuration, secret and its version."""
    if held is None:
        return replace(wanted, generation=1, state="testing", since=now)
    if wanted.target == held.target:
        return held if held.candidate is None else replace(held, candidate=None)
    if held.candidate is not None and wanted.target == held.candidate.target:
        return held
    if held.state == "revoked" and wanted.secret is None:
        return held  # no credential is no new one, and the row must remember which one was revoked
    generation = (held.candidate.generation if held.candidate else held.generation) + 1
    if keep_previous and held.state in PROVED:
        return replace(held, candidate=Candidate(generation, *wanted.target, since=now))
    fresh = held.target[1:] != wanted.target[1:]
    changed = _in_use(held, Candidate(generation, *wanted.target, since=now))
    return moved(changed, "new_credential" if fresh else "changed", "redefined", now)


def promoted(
    record: ConnectionRecord, judgement: Judgement, now: datetime, secret_version: int | None
) -> ConnectionRecord:
    """The record after a run of probes against its candidate: a proof takes it into use, all else leaves things be.

    Args:
        secret_version: that of the credential which the run began with.
    """
    candidate = record.candidate
    if candidate is None:
        return record
    if judgement.verdict != "proved":
        return replace(record, last_checked=now, candidate=replace(candidate, reason=judgement.code))
    proved = replace(candidate, secret_version=secret_version)
    taken = replace(_in_use(record, proved), state="testing", since=now)
    return tested(taken, judgement, now)


def _in_use(record: ConnectionRecord, candidate: Candidate) -> ConnectionRecord:
    return replace(
        record,
        generation=candidate.generation,
        config=candidate.config,
        secret=candidate.secret,
        secret_version=candidate.secret_version,
        generation_since=candidate.since,
        candidate=None,
        evidence=None,
        faults=0,
        first_fault=None,
        clean=0,
    )


def tested(record: ConnectionRecord, judgement: Judgement, now: datetime) -> ConnectionRecord:
    """The record after a run of probes or a report of live traffic (rules 2 to 5)."""
    if record.state in _CLOSED:
        return record
    seen = replace(record, last_checked=now)
    if judgement.verdict == "rejected":
        return moved(replace(seen, clean=0), "rejected", judgement.code, now)
    if judgement.verdict == "fault":
        return _faulted(seen, judgement.code, now)
    calm = replace(seen, faults=0, first_fault=None)
    if judgement.verdict == "unproved":
        return moved(calm, "unproved", judgement.code, now)
    return _proved(calm, judgement.observed_at or now, now)


def _proved(record: ConnectionRecord, observed_at: datetime, now: datetime) -> ConnectionRecord:
    flapping = sum(now - at < FLAP_WINDOW for at in record.edges) >= FLAPS
    needed = CLEAN_TESTS * (2 if flapping else 1) if record.state in _RECOVERING else 1
    evidence = Evidence(record.generation, record.secret_version, observed_at)
    proved = replace(record, clean=record.clean + 1, last_ok=observed_at)
    if proved.clean < needed:
        return replace(proved, evidence=evidence) if record.state == "degraded" else proved
    return replace(moved(proved, "proved", "ok", now), evidence=evidence)


def _faulted(record: ConnectionRecord, code: str, now: datetime) -> ConnectionRecord:
    first = record.first_fault or now
    worse = replace(record, faults=record.faults + 1, first_fault=first, clean=0)
    event: Event = "fault"
    if record.state in PROVED:
        if worse.faults >= FAILING_AT or now - first >= FAILING_AFTER:
            event = "many_faults"
        elif worse.faults >= DEGRADED_AT:
            event = "faults"
    elif record.state == "failing" and now - record.since >= GIVEN_UP_AFTER:
        event = "given_up"
    after = moved(worse, event, code, now)
    return replace(after, reason=code) if after is worse and record.state not in PROVED else after
