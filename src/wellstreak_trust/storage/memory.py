"""Every store of the package in memory, from one place; each loads its primitive on first use (PEP 562)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..audit import MemoryAuditStore as MemoryAuditStore
    from ..connections import MemoryConnectionStore as MemoryConnectionStore
    from ..core.outbox import MemoryOutbox as MemoryOutbox
    from ..identity import MemoryDpopStore as MemoryDpopStore
    from ..identity import MemorySessionStore as MemorySessionStore
    from ..ratelimit import MemoryLimitStore as MemoryLimitStore
    from ..secrets import MemorySecretBackend as MemorySecretBackend
    from ..tenancy import MemoryMembershipStore as MemoryMembershipStore
    from ..tenancy import MemoryUsageStore as MemoryUsageStore
    from ..webhooks import MemoryEndpointStore as MemoryEndpointStore
    from ..webhooks import MemoryReplayStore as MemoryReplayStore

_ROOMS: Final = {
    "MemoryAuditStore": "audit",
    "MemoryConnectionStore": "connections",
    "MemoryDpopStore": "identity",
    "MemoryEndpointStore": "webhooks",
    "MemoryLimitStore": "ratelimit",
    "MemoryMembershipStore": "tenancy",
    "MemoryOutbox": "core.outbox",
    "MemoryReplayStore": "webhooks",
    "MemorySecretBackend": "secrets",
    "MemorySessionStore": "identity",
    "MemoryUsageStore": "tenancy",
}

__all__ = [
    "MemoryAuditStore",
    "MemoryConnectionStore",
    "MemoryDpopStore",
    "MemoryEndpointStore",
    "MemoryLimitStore",
    "MemoryMembershipStore",
    "MemoryOutbox",
    "MemoryReplayStore",
    "MemorySecretBackend",
    "MemorySessionStore",
    "MemoryUsageStore",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"wellstreak_trust.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
