"""Impersonation: the row of a session in which somebody acts as somebody else.

* Out of one's own session only: an impersonation starts no other one, and nobody impersonates himself.
* It says why, lasts at most as long as the actor's own session may, and has the actor's assurance, because the actor
  and not the user proved who is there.
* The actor's session is left as it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ..core.entropy import random_hex
from ..core.errors import Denied, UsageError
from ..core.principal import Principal
from .given import span_in
from .session_input import impersonation_reason
from .session_store import SessionRow

__all__ = ["impersonation"]


def impersonation(parent: SessionRow, as_whom: Principal, duration: timedelta, now: datetime) -> SessionRow:
    """The row, still without a key.

    Args:
        as_whom: the user, with tenant and reason.

    Raises:
        Denied: out of another impersonation, or as oneself.
        InvalidRequest: a reason that is blank, too long or holds control characters.
        UsageError: a duration that is not positive.
    """
    actor = parent.principal
    if actor.actor is not None or actor.id == as_whom.id:
        raise Denied("an impersonation starts from one's own session and ends at somebody else's")
    if span_in(duration, "duration") <= timedelta():
        raise UsageError("an impersonation lasts longer than nothing")
    session_id = random_hex()
    principal = Principal(
        as_whom.id,
        tenant_id=as_whom.tenant_id,
        session_id=session_id,
        aal=actor.aal,
        amr=actor.amr,
        auth_time=actor.auth_time,
        actor=actor,
        reason=impersonation_reason(as_whom.reason),
    )
    idle, ends_at = min(parent.idle, duration), min(now + duration, parent.expires_at)
    return SessionRow(b"", session_id, principal, now, now, idle, ends_at, parent_id=parent.id)
