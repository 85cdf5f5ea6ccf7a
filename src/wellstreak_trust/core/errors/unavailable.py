"""Dependencies that are down, busy or unusable, where the declared policy is to refuse."""

from __future__ import annotations

from .base import Unavailable

__all__ = [
    "AuditUnavailable",
    "Busy",
    "KeyDisabled",
    "KeyUnavailable",
    "KeyUnknown",
    "ProviderUnavailable",
    "StoreMisconfigured",
    "StoreUnavailable",
]


class StoreUnavailable(Unavailable):
    """A store did not answer."""


class StoreMisconfigured(Unavailable):
    """A store answered that it will never do this (permissions, types, scripts)."""


class ProviderUnavailable(Unavailable, code="busy", title="Busy, try again shortly"):
    """An identity provider did not answer; to clients as `Busy`."""


class Busy(Unavailable, code="busy", title="Busy, try again shortly"):
    """A bounded resource is used up for the moment."""


class AuditUnavailable(Unavailable):
    """The trail cannot take the event, so the action must not happen."""


class KeyUnavailable(Unavailable):
    """A key service did not answer; `retryable` tells whether waiting may help."""

    retryable: bool

    def __init__(self, detail: str = "", *, hint: str = "", retryable: bool = True) -> None:
        super().__init__(detail, hint=hint)
        self.retryable = retryable


class KeyDisabled(Unavailable):
    """The key exists and may not be used."""


class KeyUnknown(Unavailable):
    """No configured provider has this key."""
