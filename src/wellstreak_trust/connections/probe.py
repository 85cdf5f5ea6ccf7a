"""Probes: small questions to a provider, and what their answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol

from ..core.clock import Clock
from ..core.secret import Secret

__all__ = ["REJECTIONS", "Kind", "Outcome", "Probe", "ProbeContext", "ProbeResult", "WebhookSeen"]

Kind = Literal["auth", "scope", "reachability", "webhook_roundtrip", "permission_write"]
Outcome = Literal["ok", "fail", "skipped", "unknown"]

CODES: Final = frozenset(
    """ok unauthorized forbidden invalid_grant timeout unreachable rate_limited server_error redirected
    blocked_address tls bad_response insufficient_scope no_inbound error""".split()
)
REJECTIONS: Final = frozenset(("unauthorized", "forbidden", "invalid_grant"))


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """What a probe may know.

    Args:
        since: when the generation began.
        last_inbound: when the last verified webhook of this connection came in.
    """

    tenant_id: str
    provider: str
    config: Mapping[str, Any]
    secret: Secret[str] | Secret[bytes] | None
    generation: int
    clock: Clock
    since: datetime | None = None
    last_inbound: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe saw.

    Args:
        outcome: only ``ok`` is ok; skipped and unknown prove nothing.
        code: from a closed set; anything else is recorded as ``error``.
        detail: for operators, redacted before it is kept; never shown to tenants.
        observed_at: when the provider answered; None is now. A time ahead of our clock is read as now.
        retry_after: when the provider wants to be asked again.
    """

    outcome: Outcome
    code: str = "ok"
    detail: str = ""
    latency: timedelta = timedelta()
    observed_at: datetime | None = None
    retry_after: timedelta | None = None


class Probe(Protocol):
    """One question to a provider.

    `kind` ``"auth"`` is an authenticated call: the only kind that counts as proof. A probe with a true attribute
    `blocking` is run in a worker thread by the async face.
    """

    @property
    def name(self) -> str:
        """Unique within the provider."""
        ...

    @property
    def kind(self) -> Kind:
        """What it asks."""
        ...

    @property
    def required(self) -> bool:
        """Whether the connection may be active while it fails."""
        ...

    @property
    def timeout(self) -> timedelta:
        """The deadline around the whole probe."""
        ...

    async def run(self, context: ProbeContext, /) -> ProbeResult:
        """Asks."""
        ...


@dataclass(frozen=True, slots=True)
class WebhookSeen:
    """Whether a verified webhook came in since this generation began: one that nobody ever called proves nothing.

    The host calls `Connections.saw_inbound` after it has verified one.
    """

    name: str = "webhook"
    required: bool = True
    timeout: timedelta = timedelta(seconds=1)
    kind: Kind = "webhook_roundtrip"

    async def run(self, context: ProbeContext, /) -> ProbeResult:
        """Looks; asks nobody."""
        seen, since = context.last_inbound, context.since
        if seen is not None and (since is None or seen >= since):
            return ProbeResult("ok", observed_at=seen)
        return ProbeResult("fail", "no_inbound")
