"""Memberships, invitations and offers as plain values: what every database keeps of them.

Times are microseconds since 1970, UTC; sets are sorted lists. A store with columns of text writes the lists as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..core.clock import from_micros, to_micros
from ..core.tenant import Membership, SupportAccess
from .workspace import Invited, Transfer, WorkspaceState

__all__ = ["INVITED", "MEMBER", "invited_from", "invited_row", "member_from", "member_row", "offer_from", "state_row"]

MEMBER: Final = ("roles", "version", "kind", "suspended", "support")
INVITED: Final = ("digest", "email", "roles", "inviter_id", "expires_at", "status")


def state_row(state: WorkspaceState) -> dict[str, Any]:
    """The workspace's own row, without its id."""
    offer = state.transfer
    told = [offer.from_id, offer.to_id, to_micros(offer.ready_at), to_micros(offer.expires_at)] if offer else None
    return {"name": state.name, "seats": state.seats, "version": state.version, "transfer": told}


def offer_from(told: Any) -> Transfer | None:
    """The ownership on offer."""
    if told is None:
        return None
    from_id, to_id, ready_at, expires_at = told
    return Transfer(from_id, to_id, from_micros(ready_at), from_micros(expires_at))


def member_row(member: Membership) -> dict[str, Any]:
    """A membership under the names of `MEMBER`."""
    support = member.support
    told = [support.reason, support.ticket, support.granted_by, to_micros(support.until)] if support else None
    values = (sorted(member.roles), member.version, member.kind, sorted(member.suspended), told)
    return dict(zip(MEMBER, values, strict=True))


def member_from(tenant_id: str, principal_id: str, row: Mapping[str, Any]) -> Membership:
    """The inverse of `member_row`."""
    support = None
    if row["support"] is not None:
        reason, ticket, granted_by, until = row["support"]
        support = SupportAccess(reason, ticket, granted_by, from_micros(until))
    roles, suspended = frozenset(row["roles"]), frozenset(row["suspended"])
    return Membership(tenant_id, principal_id, roles, row["version"], row["kind"], suspended, support)


def invited_row(invited: Invited) -> dict[str, Any]:
    """An invitation under the names of `INVITED`."""
    until = to_micros(invited.expires_at)
    values = (invited.digest, invited.email, sorted(invited.roles), invited.inviter_id, until, invited.status)
    return dict(zip(INVITED, values, strict=True))


def invited_from(id: str, row: Mapping[str, Any]) -> Invited:
    """The inverse of `invited_row`."""
    values = {**row, "roles": frozenset(row["roles"]), "expires_at": from_micros(row["expires_at"])}
    return Invited(id, **{name: values[name] for name in INVITED})
