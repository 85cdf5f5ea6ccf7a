"""Intent first: an action that writes ``attempted`` before it runs and its outcome after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import Denied, RequestError, TrustError
from ..core.event import AuditEvent, Outcome
from ..core.sansio import synced

if TYPE_CHECKING:
    from .recorder import Receipt
    from .recording import Recording

__all__ = ["AuditAction"]


class AuditAction:
    """What `AuditLog.action` gives to ``with`` and ``async with``.

    The attempt is recorded before the body, so that a trail that is down stops the body. An attempt without outcome
    is itself evidence: the body began, and nobody can say how it ended.

    Attributes:
        data: goes into the outcome; plain values.
        attempt: id of the recorded attempt, which the outcome names as ``data.attempt``.
        receipt: of the recorded outcome, once the body has ended without an exception.
    """

    def __init__(self, log: Recording, attempted: AuditEvent) -> None:
        self.suspends: bool = log.suspends
        self.data: dict[str, Any] = {}
        self.attempt: str = attempted.id
        self.receipt: Receipt | None = None
        self._log: Recording = log
        self._attempted: AuditEvent = attempted
        self._outcome: Outcome = "success"
        self._reason: str | None = attempted.reason

    def fail(self, reason: str, *, outcome: Outcome = "failure") -> None:
        """Says that the body ended without an exception and yet without success."""
        self._outcome, self._reason = outcome, reason

    async def __aenter__(self) -> AuditAction:
        await self._log.aemit(self._attempted)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.receipt = await self._log.aemit(self._ended({}))
            return
        self._outcome = _outcome_of(error)
        told = {"error": error.code if isinstance(error, TrustError) else type(error).__name__}
        await self._log.arecord_failure(self._ended(told))

    __enter__: Final = synced(__aenter__)
    __exit__: Final = synced(__aexit__)

    def _ended(self, told: Mapping[str, Any]) -> AuditEvent:
        fresh = AuditEvent(
            self._attempted.action,
            self._outcome,
            self._attempted.tenant_id,
            self._attempted.actor,
            data={**self._attempted.data, **self.data, **told, "attempt": self.attempt},
            occurred_at=self._log.clock.now(),
        )
        same = {name: getattr(self._attempted, name) for name in ("targets", "source", "changes", "request")}
        return replace(fresh, reason=self._reason, decision=self._attempted.decision, **same)


def _outcome_of(error: BaseException) -> Outcome:
    if isinstance(error, Denied):
        return "denied"
    return "failure" if isinstance(error, RequestError) else "error"
