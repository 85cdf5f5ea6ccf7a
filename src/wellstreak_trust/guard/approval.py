"""A confirmed approval, spent at the last moment.

A permission that wants an approval is denied by the policy alone. The request that comes back after somebody confirmed
names the approval in `APPROVAL_HEADER`; it then passes every other stage first, because an approval is good for one
use and must not be lost to a limit or a connection that is down. Being spent, it stands in the decision that the
attempt records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..core.errors import AccessDenied
from .faults import Dependency

if TYPE_CHECKING:
    from .grant import Grant

__all__ = ["APPROVAL_HEADER", "aspend", "presented"]

APPROVAL_HEADER: Final = "Approval-Id"

_APPROVALS: Final = Dependency("approvals")


def presented(grant: Grant, approvals: object) -> str | None:
    """The approval that the request names, where one is all that the decision lacks; two of them are none."""
    if approvals is None or grant.decision.code != "approval_required":
        return None
    named = grant.facts.headers.get_all(APPROVAL_HEADER)
    return named[0] if len(named) == 1 else None


async def aspend(grant: Grant, approvals: Any, named: str, resource: object, arguments: object) -> None:
    """Spends it, for exactly this resource and these arguments.

    Raises:
        AccessDenied: it does not fit, is not confirmed, has expired or was used.
    """
    with _APPROVALS:
        decision = await approvals.aconsume(named, grant.subject, grant.operation.permission, resource, arguments)
        allowed = decision.allowed is True
    grant.decision = decision
    if not allowed:
        raise AccessDenied(decision)
