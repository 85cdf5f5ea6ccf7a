"""What of accounts is recorded: who did what to which session, key or factor, and why. Never a token, never an address.

Three ways, by what must hold if the trail cannot take the event:

* `record`: raises, so that whoever calls it undoes the change or does not make it.
* `around`: ``attempted`` before a change that cannot be undone, and what came of it after.
* `tell`: goes on. Ending something must not wait for a trail that an attacker has filled.

Causes are a closed set, so that an auditor can count them.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, get_args

from ..core.clock import Clock
from ..core.errors import TrustError
from ..core.event import AuditEvent, EventSink, Outcome, attempted
from ..core.principal import Principal

__all__ = ["CAUSES", "PLATFORM", "Cause", "Fact", "Trail"]

PLATFORM: Final = "system"
"""The tenant of events that belong to no tenant."""

Cause = Literal[
    "changed",  # by its owner, who knew the old one
    "disabled",  # the account may not sign in any more
    "everyone",  # an operator ended everybody's
    "evicted",  # the oldest of too many
    "impersonation_ended",
    "pre_hijack",  # older than the first proof of the address
    "provider_logout",  # OpenID Connect back-channel logout
    "replaced",  # by the session after a sign-in
    "replayed",  # a code or step that was used before
    "reset",  # by a link in a mail
    "reused",  # a refresh token came a second time, too late to be a retry
    "revoked",
    "revoked_all",
    "sign_count",  # an authenticator counted backwards: it may have been copied
    "wrong",
]
CAUSES: Final = frozenset(get_args(Cause))


@dataclass(frozen=True, slots=True)
class Fact:
    """What happened to whose what.

    Args:
        user_id: whose account it is.
        target: type and id of what was acted upon; the account itself if None.
        by: who acted; the account's owner if None.
        tenant_id: the tenant it belongs to; that of `by`, else the platform, if None.
    """

    action: str
    user_id: str
    target: tuple[str, str] | None = None
    cause: Cause | None = None
    by: Principal | None = None
    tenant_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """Emits to `sink`, if there is one."""

    sink: EventSink | None
    clock: Clock

    async def record(self, fact: Fact, outcome: Outcome = "success") -> None:
        """One event; what the sink raises passes."""
        if self.sink is None:
            return
        kind, name = fact.target or ("user", fact.user_id)
        await self.sink.aemit(
            AuditEvent(
                fact.action,
                outcome,
                fact.tenant_id or (fact.by.tenant_id if fact.by is not None else None) or PLATFORM,
                fact.by or {"kind": "user", "id": fact.user_id},
                targets=({"type": kind, "id": name},),
                reason=fact.reason,
                data={} if fact.cause is None else {"cause": fact.cause},
                occurred_at=self.clock.now(),
            )
        )

    async def tell(self, fact: Fact, outcome: Outcome = "success") -> None:
        """One event of something that happens in any case."""
        with suppress(TrustError):
            await self.record(fact, outcome)

    def around(self, fact: Fact) -> AbstractAsyncContextManager[None]:
        """An event before the body, without which it does not run, and one of its outcome after it."""
        return attempted(partial(self.record, fact), TrustError)
