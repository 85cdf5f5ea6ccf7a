"""What is worth recording: the event that every primitive can emit without knowing the trail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

from .clock import SystemClock, micros
from .entropy import uuid7_of
from .errors import RequestError, TrustError
from .principal import Principal

__all__ = ["AuditEvent", "EventSink", "Outcome", "attempted"]

Outcome = Literal["success", "failure", "denied", "error", "attempted"]
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_CLOCK: Final = SystemClock()
_MICROS: Final = micros(_CLOCK)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One security-relevant fact.

    Args:
        action: dotted name from the action registry, such as ``billing.plan_changed``.
        outcome: success, failure, denied, error or attempted.
        tenant_id: the tenant it belongs to; mandatory, ``"system"`` for the platform itself.
        actor: the principal who acted, or a mapping of plain values.
        targets: ids of what was acted upon, or mappings with `type` and `id`.
        source: where from: client address, user agent, and the like.
        changes: what changed, one mapping a field.
        reason: why, where the registry asks for one.
        request: request and trace ids.
        decision: `Decision.audit()` of the policy.
        data: further plain values; personal ones wrapped in `audit.Personal`.
        occurred_at: when it happened, aware.
        id: makes a retry safe: the same id and content is recorded once.
    """

    action: str
    outcome: Outcome
    tenant_id: str
    actor: Principal | Mapping[str, Any]
    targets: tuple[str | Mapping[str, Any], ...] = ()
    source: Mapping[str, Any] | None = None
    changes: tuple[Mapping[str, Any], ...] = ()
    reason: str | None = None
    request: Mapping[str, Any] | None = None
    decision: Mapping[str, Any] | None = None
    data: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    occurred_at: datetime = field(default_factory=_CLOCK.now)
    id: str = field(default_factory=lambda: uuid7_of(_MICROS() // 1_000))
    prepared: Any = field(init=False, repr=False, compare=False, default=None)
    """What a sink has made of the content, for that sink alone."""

    def ended(self, outcome: Outcome, occurred_at: datetime) -> AuditEvent:
        """How this attempt ended: the same content under another outcome, time and id.

        What a sink has prepared goes along, so that an outcome costs less than its attempt.
        """
        found = AuditEvent(
            self.action,
            outcome,
            self.tenant_id,
            self.actor,
            self.targets,
            self.source,
            self.changes,
            self.reason,
            self.request,
            self.decision,
            self.data,
            occurred_at,
        )
        object.__setattr__(found, "prepared", self.prepared)
        return found


class EventSink(Protocol):
    """Takes events; `audit.AuditLog` is one. A sink that cannot take a critical event raises `AuditUnavailable`."""

    @property
    def suspends(self) -> bool:
        """Whether `aemit` may suspend."""
        ...

    async def aemit(self, event: AuditEvent, /) -> object:
        """Records one event."""
        ...


@asynccontextmanager
async def attempted(tell: Callable[[Outcome], Awaitable[None]], spared: type[TrustError]) -> AsyncIterator[None]:
    """Tells of an attempt before the body, without which the body does not run, and of its outcome after it.

    A trail that cannot take the outcome does not undo what is done: the attempt without outcome is the evidence.

    Args:
        spared: what telling of the outcome may raise without taking the place of what the body did.
    """
    await tell("attempted")
    outcome: Outcome = "success"
    try:
        yield
    except BaseException as error:
        outcome = "failure" if isinstance(error, RequestError) else "error"
        raise
    finally:
        with suppress(spared):
            await tell(outcome)
