"""`elevate`: the one way to another tenant, for a stated reason, on record, and over after minutes.

The event is written *before* the elevation takes effect: a trail that cannot take it means no elevation. Its end is
written too. Work handed to tasks inside the block loses the elevation when the block ends.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError, TenantConflict, UsageError
from ..core.event import AuditEvent, Outcome
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.tenant import TenantContext
from .frames import refuse_generator
from .trail import INSTALLED, Sink, arecord, said

__all__ = ["ELEVATED", "ELEVATION_ENDED", "ElevatedContext", "elevate", "elevated", "without_elevation"]

ELEVATED: Final = "tenancy.elevated"
ELEVATION_ENDED: Final = "tenancy.elevation_ended"
MAX_MINUTES: Final = 60

_LOG: Final = logging.getLogger("wellstreak_trust.tenancy")
_MINUTE_NS: Final = 60 * 10**9
_PLATFORM: Final = "system"  # an elevation belongs to no tenant's trail
_CLOCK: Final = SystemClock()


class elevate:
    """``with elevate(reason, ticket, minutes) as elevation:`` or ``async with``.

    Inside the block, and until the minutes are over, a scope of another tenant may be entered.

    Args:
        reason, ticket: why, and where that was decided; not blank.
        minutes: more than 0, at most 60.
        audit: where it is recorded; None for the installed sink.
        principal: who elevates; needed for `context`.

    Raises:
        UsageError: a blank reason or ticket, minutes out of range, used twice.
        ConfigurationError: no sink, or entered in a generator's frame.
    """

    __slots__ = ("_audit", "_clock", "_deadline", "_token", "minutes", "principal", "reason", "suspends", "ticket")

    def __init__(
        self,
        reason: str,
        ticket: str,
        minutes: float,
        audit: Sink | None = None,
        principal: Principal | None = None,
        *,
        clock: Clock = _CLOCK,
    ) -> None:
        if not said(reason) or not said(ticket):
            raise UsageError("an elevation needs a reason and a ticket", hint="elevate('outage', 'OPS-12', minutes=15)")
        if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= MAX_MINUTES:
            raise UsageError(f"minutes is more than 0 and at most {MAX_MINUTES}")
        sink = audit if audit is not None else INSTALLED.sink
        if sink is None:
            raise ConfigurationError(
                "an elevation without a trail is refused",
                hint="build Trust(audit=...), or pass audit=",
                reason="elevation_sink",
            )
        self.reason: str = reason
        self.ticket: str = ticket
        self.minutes: float = minutes
        self.principal: Principal | None = principal
        self.suspends: bool = suspends(sink)
        self._audit: Sink = sink
        self._clock: Clock = clock
        self._deadline: int | None = None
        self._token: Token[elevate | None] | None = None

    @property
    def active(self) -> bool:
        """Whether the block is open and the minutes are not over."""
        return self._deadline is not None and self._clock.monotonic_ns() < self._deadline

    def context(self, tenant_id: str) -> TenantContext:
        """A context in `tenant_id` without membership; the principal keeps its actor and carries the reason.

        It enters only while this elevation is active.

        Raises:
            UsageError: no ``principal=`` was given, or an empty tenant id.
            TenantConflict: not, or no longer, elevated.
        """
        if self.principal is None:
            raise UsageError("this elevation does not say who acts", hint="elevate(..., principal=principal)")
        if not isinstance(tenant_id, str) or not tenant_id:
            raise UsageError("a tenant id is a non-empty str")
        if not self.active:
            raise TenantConflict("not elevated", hint="call it inside the block, before the minutes are over")
        who = replace(self.principal, tenant_id=tenant_id, reason=self.principal.reason or self.reason)
        return ElevatedContext(tenant_id, who, None, elevation=self)

    async def _aopen(self) -> None:
        if self._token is not None or self._deadline is not None:
            raise UsageError("an elevation is used once", hint="write a new elevate(...)")
        await self._arecord(ELEVATED, "attempted")

    _open: Final = synced(_aopen)

    async def _aclose(self, error: BaseException | None) -> None:
        """Records the end. A trail that fails now must not mask the error of the block."""
        try:
            await self._arecord(ELEVATION_ENDED, "success" if error is None else "error")
        except Exception:
            if error is None:
                raise
            _LOG.exception("the end of an elevation was not recorded")

    _close: Final = synced(_aclose)

    async def _arecord(self, action: str, outcome: Outcome) -> None:
        event = AuditEvent(
            action,
            outcome,
            _PLATFORM,
            self.principal if self.principal is not None else {"kind": "system", "id": "host"},
            reason=self.reason,
            data={"ticket": self.ticket, "minutes": str(self.minutes)},
            occurred_at=self._clock.now(),
        )
        await arecord(self._audit, event)

    def _begin(self) -> Self:
        self._deadline = self._clock.monotonic_ns() + int(self.minutes * _MINUTE_NS)
        self._token = _ELEVATION.set(self)
        return self

    def _end(self) -> bool:
        """Whether there was something to end; copies of the context see the elevation as over, too."""
        token, self._token = self._token, None
        if token is None:
            return False
        self._deadline = 0
        try:
            _ELEVATION.reset(token)
        except ValueError:
            _LOG.warning("scope_leak: an elevation was left in another context")
        return True

    def __enter__(self) -> Self:
        refuse_generator(sys._getframe(1), "an elevation")
        self._open()
        return self._begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._end():
            self._close(error)

    async def __aenter__(self) -> Self:
        refuse_generator(sys._getframe(1), "an elevation")
        await self._aopen()
        return self._begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._end():
            await self._aclose(error)


@dataclass(frozen=True, slots=True)
class ElevatedContext(TenantContext):
    """A context that lives as long as its elevation."""

    elevation: Any = field(default=None, compare=False, repr=False)

    @property
    def live(self) -> bool:
        """Whether it may still be entered."""
        return isinstance(self.elevation, elevate) and self.elevation.active

    def require_live(self) -> None:
        """Raises `TenantConflict` once the elevation is over."""
        if not self.live:
            raise TenantConflict("the elevation of this context is over", hint="elevate again, with a reason")


_ELEVATION: Final[ContextVar[elevate | None]] = ContextVar("wellstreak_trust_elevation", default=None)


def elevated() -> bool:
    """Whether the running code is inside an elevation whose minutes are not over."""
    current = _ELEVATION.get()
    return current is not None and current.active


def without_elevation() -> Callable[[], None]:
    """The running code is not elevated until the returned function is called."""
    return partial(_ELEVATION.reset, _ELEVATION.set(None))
