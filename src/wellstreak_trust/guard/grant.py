"""`Operation`: what is governed. `Grant`: the right to run one, once."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from ..core.entropy import random_hex
from ..core.errors import Denied, RequestError, UsageError
from ..core.event import AuditEvent, Outcome
from ..core.principal import Principal, StepUp
from ..core.sansio import synced
from ..core.tenant import TenantContext
from ..tenancy import tenant_scope
from ..tenancy.frames import refuse_generator

if TYPE_CHECKING:
    from ..core.http import RequestFacts
    from .trail import Trail

__all__ = ["Grant", "Operation", "outcome_of"]

_frame: Final = sys._getframe


@dataclass(frozen=True, slots=True)
class Operation:
    """A governed action, declared once.

    Args:
        name: stable name, such as ``billing.update``; the ``route`` key of limits where the request has no route.
        permission: ``resource:action`` of the policy's catalogue.
        feature: what the subscription must include; None asks nothing, so that a suspended tenant can still pay.
        limits: further `LimitRule` objects of this operation, or names of rules the limiter must have; every rule of
            the limiter applies besides.
        connection: provider whose connection must be active.
        audit: action name recorded before and after; None records refusals only.
        step_up: assurance this operation wants beyond what the policy's permission asks.
        recorded_by: what records it instead, where it is recorded and not by the guard; for reviewers, so that a
            permission of high risk without `audit` is seen to be meant.
    """

    name: str
    permission: str
    feature: str | None = None
    limits: tuple[Any, ...] = ()
    connection: str | None = None
    audit: str | None = None
    step_up: StepUp | None = None
    recorded_by: str | None = field(default=None, kw_only=True)


def outcome_of(error: BaseException | None) -> Outcome:
    """How an operation that ended with `error` is recorded; the same words as `AuditLog.action`."""
    if error is None:
        return "success"
    if isinstance(error, Denied):
        return "denied"
    return "failure" if isinstance(error, RequestError) else "error"


class Grant:
    """What a guarded operation receives; a context manager, sync and async, around the operation.

    Inside it the tenant scope is entered. Leaving it records the outcome; an exception gives the limits back. A grant
    is for one operation: it is entered once.
    """

    __slots__ = ("_done", "_entered", "_scope", "_trail", "attempt", "connection", "decision", "facts", "operation",
                 "principal", "request_id", "suspends", "tenant", "verdict")  # fmt: skip

    def __init__(self, facts: RequestFacts, operation: Operation, trail: Trail, *, suspends: bool = False) -> None:
        self.facts: RequestFacts = facts
        self.operation: Operation = operation
        self.suspends: bool = suspends
        self.request_id: str = random_hex()
        self.principal: Principal | None = None
        self.tenant: TenantContext | None = None
        self.decision: Any = None
        self.verdict: Any = None
        self.connection: Any = None
        self.attempt: AuditEvent | None = None  # as it was recorded
        self._trail: Trail = trail
        self._scope: tenant_scope | None = None
        self._entered: bool = False
        self._done: bool = False

    @property
    def subject(self) -> TenantContext | Principal | None:
        """Who the policy judged."""
        return self.tenant or self.principal

    async def afinish(self, outcome: Outcome = "success") -> None:
        """Records the outcome and, unless it is success, gives the limits back; later calls do nothing.

        Never raises: the work is done, or its own error is under way. What could not be recorded is counted and
        logged, and the attempt without outcome is the evidence.
        """
        if self._done:
            return
        self._done = True
        if outcome != "success":
            await self.arefund()
        if self.attempt is not None:
            await self._trail.aoutcome(self.attempt, outcome)

    finish: Final = synced(afinish)

    async def arefund(self) -> None:
        """Gives back what the tenant's limits took; never raises."""
        if self.verdict is not None:
            with self._trail.spared("wst.limits.unrefunded"):
                await self.verdict.arefund()

    async def asettle(self, cost: int) -> None:
        """The final charge of this operation's limits, where it was an estimate on entry."""
        if self.verdict is not None:
            await self.verdict.asettle(cost)

    settle: Final = synced(asettle)

    def enter_scope(self) -> None:
        """Enters the tenant's scope, for adapters that cannot use a ``with`` block.

        Raises:
            UsageError: a grant that was entered or finished before.
        """
        if self._entered or self._done:
            raise UsageError("a grant serves one operation, once", hint="take the request through the guard again")
        self._entered = True
        if self.tenant is not None:
            scope = tenant_scope(self.tenant)
            scope.__enter__()
            self._scope = scope

    def leave_scope(self) -> None:
        """Leaves it; harmless twice."""
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.__exit__(None, None, None)

    def __enter__(self) -> Self:
        fresh = not self._entered
        try:
            refuse_generator(_frame(1), "a grant")
            self.enter_scope()
        except BaseException as error:
            if fresh:
                self.finish(outcome_of(error))
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.leave_scope()
        self.finish(outcome_of(error))

    async def __aenter__(self) -> Self:
        fresh = not self._entered
        try:
            refuse_generator(_frame(1), "a grant")
            self.enter_scope()
        except BaseException as error:
            if fresh:
                await self.afinish(outcome_of(error))
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.leave_scope()
        await self.afinish(outcome_of(error))
