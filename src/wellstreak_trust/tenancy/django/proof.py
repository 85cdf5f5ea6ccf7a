"""What a loaded or saved instance proves: that the row of this key was the tenant's.

A foreign key that is set by such an instance needs no question to the database. The proof names the tenant, the company
and the values as they were read, so it is worth nothing in another scope or once somebody has changed the instance's
key. A row that was deleted meanwhile is refused by the database.
"""

from __future__ import annotations

from typing import Any, Final

from ...core.tenant import TenantContext

__all__ = ["PROOF", "proves"]

PROOF: Final = "wst_proof"
"""An attribute of Django's ``instance._state``: (tenant id, company id, names of columns, their values as read)."""


def proves(parent: Any, name: str, value: Any, context: TenantContext) -> bool:
    """Whether `parent` was seen as an own row whose column `name` held `value`."""
    held = getattr(getattr(parent, "_state", None), PROOF, None)
    if held is None or held[:2] != (context.tenant_id, context.company_id):
        return False
    return any(seen == name and was == value for seen, was in zip(held[2], held[3], strict=False))
