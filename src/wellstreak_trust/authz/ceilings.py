"""Ceilings on borrowed authority: who acts through or for another gets an intersection, never more.

=============  ===================================  =====================================================
mask           principal and `Principal.actor`      authority
=============  ===================================  =====================================================
impersonation  the user looked after, and the       the user's grants ∩ the mask
               person who really acts
agent          the agent, and the person it         the agent's grants ∩ that person's live grants ∩
               acts for                             the mask; without such a person, nothing
=============  ===================================  =====================================================

So `kind` tells the two apart: an agent *has* an identity and roles of its own and is lent more by nobody; an
impersonator *wears* the identity of the user. Neither forms chains, and neither reaches the platform.

A document may list what a mask admits (``[ceilings.agent]``). Where it does not, a mask admits every permission of the
tenant but those whose name speaks of authority that outlives the loan, or, for impersonation, of money.
"""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

from ..core.principal import Principal
from .decision import Delegation

__all__ = ["MASKS", "Mask", "admits", "delegator_of", "lent", "mask_on"]

Mask = Literal["impersonation", "agent"]
MASKS: Final[tuple[Mask, ...]] = get_args(Mask)

_AUTHORITY: Final = frozenset(
    ("credential", "secret", "password", "passkey", "totp", "mfa", "key", "apikey", "token", "member", "membership",
     "invitation", "invite", "role", "ownership", "owner", "transfer", "impersonation", "impersonate")
)  # fmt: skip
_MONEY: Final = frozenset(("billing", "payment", "payout", "invoice", "subscription"))
_KEPT_BACK: Final[dict[Mask, frozenset[str]]] = {"impersonation": _AUTHORITY | _MONEY, "agent": _AUTHORITY}
_BETWEEN_WORDS: Final = re.compile(r"[:._-]")


def admits(mask: Mask, permission: str, scope: str) -> bool:
    """Whether a mask admits a permission where the document does not list what it admits."""
    words = _BETWEEN_WORDS.split(permission)
    return scope == "tenant" and _KEPT_BACK[mask].isdisjoint((*words, *(word.removesuffix("s") for word in words)))


def mask_on(principal: Principal) -> Mask | None:
    """The mask over this principal; None for one that acts as itself."""
    if principal.kind == "agent":
        return "agent"
    return "impersonation" if principal.actor is not None else None


def delegator_of(principal: Principal, tenant_id: str | None) -> Principal | None:
    """The person or service that stands behind an agent or impersonator, acting as itself; None where there is none.

    An agent borrows from a principal of the same tenant alone, and nothing borrows what is itself borrowed.
    """
    behind = principal.actor
    if type(behind) is not Principal or behind.actor is not None or behind.kind == "agent":
        return None
    return behind if principal.kind != "agent" or (behind.tenant_id or None) == tenant_id else None


def lent(principal: Principal) -> Delegation | None:
    """Both ids, for the record; None for a principal that acts as itself."""
    mask = mask_on(principal)
    if mask is None:
        return None
    return Delegation(mask, principal.id, principal.actor.id if isinstance(principal.actor, Principal) else "")
