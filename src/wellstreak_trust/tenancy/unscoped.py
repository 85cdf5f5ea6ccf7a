"""`unscoped`: the one hatch in the guards, for a stated reason and on record.

Inside the block a guard lets through what it cannot scope: raw SQL, and statements across tenants. It is no way into
another tenant's scope (that is `elevate`), and it does not change the tenant of the code inside. The event is written
*before* the hatch opens: a trail that cannot take it means that it stays shut. Maintenance scripts have no trail at
all; there a warning in the log stands for it. Work handed to tasks inside the block loses the hatch when the block
ends.
"""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final, Self

from ..core.errors import UsageError
from ..core.event import AuditEvent
from ..core.sansio import suspends, synced
from .context import current_tenant
from .frames import refuse_generator
from .trail import INSTALLED, Sink, arecord, said

__all__ = ["UNSCOPED", "is_unscoped", "unscoped"]

UNSCOPED: Final = "tenancy.unscoped"

_LOG: Final = logging.getLogger("wellstreak_trust.tenancy")
_PLATFORM: Final = "system"


class unscoped:
    """``with unscoped("nightly report over all tenants"):`` or ``async with``; nests.

    Args:
        reason: why; not blank.
        audit: where it is recorded (an `EventSink`, or a callable of one event); None for the sink that `Trust`
            installed, and for a line at level WARNING where there is none.

    Raises:
        UsageError: a blank reason, or one object used for two blocks.
        ConfigurationError: entered in a generator's frame, or an asynchronous sink in a plain ``with``.
    """

    __slots__ = ("_audit", "_open", "_outer", "_token", "reason", "suspends")

    def __init__(self, reason: str, *, audit: Sink | None = None) -> None:
        if not said(reason):
            raise UsageError("an unscoped block needs a reason", hint="unscoped('nightly report over all tenants')")
        self.reason: str = reason
        self._audit: Sink | None = audit if audit is not None else INSTALLED.sink
        self.suspends: bool = suspends(self._audit)
        self._open: bool | None = None  # None before the block
        self._outer: unscoped | None = None
        self._token: Token[unscoped | None] | None = None

    async def _arecord(self) -> None:
        if self._open is not None:
            raise UsageError("an unscoped block is used once", hint="write a new unscoped(...)")
        self._open = False
        context = current_tenant()
        tenant_id = context.tenant_id if context is not None else _PLATFORM
        if self._audit is None:
            _LOG.warning("unscoped without a trail, tenant %s: %s", tenant_id, self.reason)
            return
        actor = context.principal if context is not None else {"kind": "system", "id": "host"}
        await arecord(self._audit, AuditEvent(UNSCOPED, "attempted", tenant_id, actor, reason=self.reason))

    _record: Final = synced(_arecord)

    def _begin(self) -> Self:
        self._outer, self._open = _HATCH.get(), True
        self._token = _HATCH.set(self)
        return self

    def __enter__(self) -> Self:
        refuse_generator(sys._getframe(1), "an unscoped block")
        self._record()
        return self._begin()

    async def __aenter__(self) -> Self:
        refuse_generator(sys._getframe(1), "an unscoped block")
        await self._arecord()
        return self._begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        token, self._token = self._token, None
        if token is None:
            return
        self._open = False  # copies of the context see the hatch as shut, too
        try:
            _HATCH.reset(token)
        except ValueError:
            _LOG.warning("scope_leak: an unscoped block was left in another context")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)


_HATCH: Final[ContextVar[unscoped | None]] = ContextVar("wellstreak_trust_unscoped", default=None)


def is_unscoped() -> bool:
    """Whether the running code is inside an `unscoped` block that is not over. For guards."""
    hatch = _HATCH.get()
    while hatch is not None and not hatch._open:
        hatch = hatch._outer
    return hatch is not None
