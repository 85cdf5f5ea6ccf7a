"""What a loaded or saved instance proves: that the row of this key was the tenant's.

A foreign key that is set by such an instance needs no question to the database. The proof names the tenant, the company
and the values as they were read, so it is worth nothing in another scope or once somebody has changed the instance's
key. A row that was deleted meanwhile is refused by the database.

An instance also answers for the foreign keys that it was loaded with: ``save()`` may write them back unchanged, even
where one leads to another tenant's row, because nothing new comes of it and a corrupt row could not be mended
otherwise. A key that was changed since is checked, and so is an old one that is put back after a save. That holds for
the one UPDATE that Django makes of a saved instance, and for its own primary key alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from ...core.tenant import TenantContext
from ..context import current_tenant

__all__ = ["PROOF", "held", "kept", "proves", "saving"]

PROOF: Final = "wst_proof"
"""An attribute of Django's ``instance._state``: (tenant id, company id, names of columns, their values as read)."""


def proves(parent: Any, name: str, value: Any, context: TenantContext) -> bool:
    """Whether `parent` was seen as an own row whose column `name` held `value`."""
    held = getattr(getattr(parent, "_state", None), PROOF, None)
    if held is None or held[:2] != (context.tenant_id, context.company_id):
        return False
    return any(seen == name and was == value for seen, was in zip(held[2], held[3], strict=False))


_SAVED: Final[ContextVar[Any]] = ContextVar("wst_saved", default=None)


@contextmanager
def saving(instance: Any, key: Any) -> Iterator[None]:
    """The statement inside is the UPDATE of `instance`, whose primary key it names as `key`."""
    token = _SAVED.set((instance, key))
    try:
        yield
    finally:
        _SAVED.reset(token)


def held(query: Any, field: Any, value: Any) -> bool:
    """Whether an UPDATE writes a foreign key back as the saved instance was loaded with it."""
    saved, context = _SAVED.get(), current_tenant()
    if saved is None or context is None or not isinstance(saved[0], query.model):
        return False
    instance, key = saved
    return proves(instance, query.get_meta().pk.attname, key, context) and proves(
        instance, field.attname, value, context
    )


def kept(instance: Any, context: TenantContext) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Names and values of the foreign keys that `instance` was loaded with and holds still."""
    told = getattr(instance._state, PROOF, None)
    if told is None or told[:2] != (context.tenant_id, context.company_id):
        return (), ()
    keys = {field.attname for field in instance._meta.concrete_fields if field.remote_field is not None}
    pairs = [
        (name, value)
        for name, value in zip(told[2], told[3], strict=False)
        if name in keys and instance.__dict__.get(name, keys) == value
    ]
    return tuple(name for name, _ in pairs), tuple(value for _, value in pairs)
