"""Memberships in Django's own database, through its ORM, in its transactions and its migrations.

Add ``"wellstreak_trust.adapters.django.workspaces"`` to ``INSTALLED_APPS``, migrate, and give
``DjangoMembershipStore()`` to `tenancy.Memberships`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store import DjangoMembershipStore as DjangoMembershipStore
    from .store import DjangoOutbox as DjangoOutbox

__all__ = ["DjangoMembershipStore", "DjangoOutbox"]


def __getattr__(name: str) -> Any:
    # Late, because Django imports this package before its models may be loaded.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import store

    return getattr(store, name)
