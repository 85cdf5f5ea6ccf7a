"""The host's own bugs: found at start-up or in a call, explained in full to the developer who must fix them."""

from __future__ import annotations

from .base import HostError, IsolationError

__all__ = [
    "AuditEventRejected",
    "ConfigurationError",
    "CrossTenantRead",
    "CrossTenantWrite",
    "MissingExtra",
    "NoTenant",
    "NotFilterable",
    "PolicyError",
    "TenantConflict",
    "UnscopedStatement",
    "UsageError",
]


class ConfigurationError(HostError):
    """Parts that do not fit or would be unsafe; raised when constructed, before anything is served.

    `reason` is the stable code of the fault that doctor, start-up and the documentation share. Where several were found
    at once, `faults` holds each of them and `detail` lists them.
    """

    reason: str
    faults: tuple[ConfigurationError, ...] = ()

    def __init__(self, detail: str = "", *, hint: str = "", reason: str = "configuration") -> None:
        super().__init__(detail, hint=hint)
        self.reason = reason


class PolicyError(ConfigurationError):
    """A policy that does not load; `detail` holds the path in the document (``roles.member.allow[1].when``)."""

    def __init__(self, detail: str = "", *, hint: str = "", reason: str = "policy") -> None:
        super().__init__(detail, hint=hint, reason=reason)


class NotFilterable(ConfigurationError):
    """A rule that cannot be translated to a query on this model; never dropped in silence."""


class MissingExtra(ConfigurationError):
    """An optional dependency is not installed; `hint` names the extra."""


class UsageError(HostError):
    """An argument that this call cannot take."""


class AuditEventRejected(UsageError):
    """An event outside the registry or the canonical domain; the message never repeats the value."""


class NoTenant(IsolationError):
    """Tenant data was asked for outside every tenant scope."""


class TenantConflict(IsolationError):
    """A scope of another tenant inside a scope."""


class UnscopedStatement(IsolationError):
    """A statement on tenant tables that no guard has scoped."""


class CrossTenantRead(IsolationError):
    """A row of another tenant came back."""


class CrossTenantWrite(IsolationError):
    """A row would land in, move to or point at another tenant."""
