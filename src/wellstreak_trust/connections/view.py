"""What people see of a connection: tenants its state and what to do, operators also what the provider said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final

from .record import Check, Condition, ConnectionRecord, Evidence, State

__all__ = ["ActiveConnection", "ConnectionReport", "ConnectionStatus", "Day", "hint_of", "status_of"]

_HINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unknown_connection": "connect the integration first",
        "stale_evidence": "run the connection test",
        "store_unavailable": "the state cannot be read; try again shortly",
        "unauthorized": "the provider refused the credential; enter a new one",
        "forbidden": "the credential lacks permission at the provider",
        "insufficient_scope": "reconnect the integration and grant every permission it asks for",
        "invalid_grant": "reconnect the integration; its grant was withdrawn",
        "not_authenticated": "add a probe that makes an authenticated call",
        "no_inbound": "send one event from the provider, so that its webhook is proved",
        "secret_changed": "the credential was replaced; run the connection test",
        "rate_limited": "the provider asks for fewer requests; the test is repeated by itself",
        "server_error": "the provider has a problem of its own; the test is repeated by itself",
        "unreachable": "check the address; the provider could not be reached",
        "timeout": "the provider did not answer in time",
        "tls": "the provider's certificate was not accepted",
        "redirected": "the address redirects; enter the one it leads to",
        "blocked_address": "the address is not on the public internet",
        "disabled": "an operator switched it off; enable it first",
        "revoked": "reconnect the integration with a new credential",
        "suspended": "run the connection test",
    }
)


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """What a tenant may see; no text of the provider.

    Args:
        reason: a code from a closed set, or what the operator wrote.
        hint: what a person can do; empty while all is well.
        next_check: when it is asked by itself; None where only on demand.
        conditions: what each probe last said.
        candidate: the generation that waits for its proof, and why it is not proved.
    """

    provider: str
    state: State
    since: datetime
    reason: str
    hint: str
    generation: int
    last_ok: datetime | None
    last_checked: datetime | None
    next_check: datetime | None
    conditions: tuple[Condition, ...] = ()
    candidate: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """One bucket of uptime, a day in UTC: checks that proved the connection, and all."""

    day: date
    passed: int
    total: int


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What an operator may see: the status, the last 50 checks with redacted details, and up to 90 days of uptime."""

    tenant_id: str
    status: ConnectionStatus
    checks: Sequence[Check]
    days: Sequence[Day]


@dataclass(frozen=True, slots=True)
class ActiveConnection:
    """The gate's answer: what was proved, and with which version of the credential, which the caller should read."""

    generation: int
    secret_version: int | None
    evidence: Evidence
    config: Mapping[str, Any]


def hint_of(state: str, reason: str) -> str:
    """What a person can do about it."""
    return _HINTS.get(reason) or _HINTS.get(state, "run the connection test")


def status_of(record: ConnectionRecord) -> ConnectionStatus:
    """What a tenant may see of a row."""
    candidate = record.candidate
    return ConnectionStatus(
        record.provider,
        record.state,
        record.since,
        record.reason,
        "" if record.state == "active" else hint_of(record.state, record.reason),
        record.generation,
        record.last_ok,
        record.last_checked,
        record.next_check,
        record.conditions,
        None if candidate is None else (candidate.generation, candidate.reason),
    )
