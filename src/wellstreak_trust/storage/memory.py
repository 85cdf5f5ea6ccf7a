"""Every store of the package in memory, from one place; each loads its primitive on first use (PEP 562)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..audit import MemoryAuditStore as MemoryAuditStore
    from ..connections import MemoryConnectionStore as MemoryConnectionStore
    from ..core.outbox import MemoryOutbox as MemoryOutbox
    from ..identity import MemoryApiKeyStore as MemoryApiKeyStore
    from ..identity import MemoryDpopStore as MemoryDpopStore
    from ..identity import MemoryLoginStore as MemoryLoginStore
    from ..identity import MemoryOneTimeTokenStore as MemoryOneTimeTokenStore
    from ..identity import MemoryPasskeyStore as MemoryPasskeyStore
    from ..identity import MemoryRecoveryCodeStore as MemoryRecoveryCodeStore
    from ..identity import MemoryRefreshStore as MemoryRefreshStore
    from ..identity import MemorySessionStore as MemorySessionStore
    from ..identity import MemoryTotpStore as MemoryTotpStore
    from ..ratelimit import MemoryLimitStore as MemoryLimitStore
    from ..secrets import MemorySecretBackend as MemorySecretBackend
    from ..tenancy import MemoryMembershipStore as MemoryMembershipStore
    from ..tenancy import MemoryUsageStore as MemoryUsageStore
    from ..webhooks import MemoryEndpointStore as MemoryEndpointStore
    from ..webhooks import MemoryReplayStore as MemoryReplayStore

_ROOMS: Final = {
    "MemoryApiKeyStore": "identity",
    "MemoryAuditStore": "audit",
    "MemoryConnectionStore": "connections",
    "MemoryDpopStore": "identity",
    "MemoryEndpointStore": "webhooks",
    "MemoryLimitStore": "ratelimit",
    "MemoryLoginStore": "identity",
    "MemoryMembershipStore": "tenancy",
    "MemoryOneTimeTokenStore": "identity",
    "MemoryOutbox": "core.outbox",
    "MemoryPasskeyStore": "identity",
    "MemoryRecoveryCodeStore": "identity",
    "MemoryRefreshStore": "identity",
    "MemoryReplayStore": "webhooks",
    "MemorySecretBackend": "secrets",
    "MemorySessionStore": "identity",
    "MemoryTotpStore": "identity",
    "MemoryUsageStore": "tenancy",
}

__all__ = [
    "MemoryApiKeyStore",
    "MemoryAuditStore",
    "MemoryConnectionStore",
    "MemoryDpopStore",
    "MemoryEndpointStore",
    "MemoryLimitStore",
    "MemoryLoginStore",
    "MemoryMembershipStore",
    "MemoryOneTimeTokenStore",
    "MemoryOutbox",
    "MemoryPasskeyStore",
    "MemoryRecoveryCodeStore",
    "MemoryRefreshStore",
    "MemoryReplayStore",
    "MemorySecretBackend",
    "MemorySessionStore",
    "MemoryTotpStore",
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
