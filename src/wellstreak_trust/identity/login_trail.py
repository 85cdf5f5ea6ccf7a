"""What the audit trail learns of sign-ins with providers: why one was refused, which nobody else is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from ..core.clock import Clock
from ..core.errors import InvalidCredential, TrustError
from ..core.event import AuditEvent, EventSink

__all__ = ["refusals_told"]

_PLATFORM: Final = "system"  # nobody is known yet, so no tenant is either
_NOBODY: Final = {"kind": "anonymous", "id": "anonymous"}


@asynccontextmanager
async def refusals_told(audit: EventSink | None, issuer: str, clock: Clock) -> AsyncIterator[None]:
    """Records ``signin.failed`` with the reason of an `InvalidCredential` that passes, and lets it pass."""
    try:
        yield
    except InvalidCredential as refused:
        if audit is not None:
            data = {"cause": refused.reason, "provider": issuer}
            event = AuditEvent("signin.failed", "denied", _PLATFORM, _NOBODY, data=data, occurred_at=clock.now())
            with suppress(TrustError):  # protective: a trail that is down must not make a refusal an outage
                await audit.aemit(event)
        raise
