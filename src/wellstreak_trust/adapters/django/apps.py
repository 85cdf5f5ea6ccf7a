"""The Django app and its system check."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register

from ...core.errors import ConfigurationError

__all__ = ["TrustConfig", "check_routes"]


class TrustConfig(AppConfig):
    """Registers the check that every route is declared."""

    name = "wellstreak_trust.adapters.django"
    label = "wellstreak_trust"

    def ready(self) -> None:
        """Called by Django once all apps are loaded."""
        register(check_routes)


def check_routes(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """``trust.E001``: a route that is neither guarded nor public, or an operation that cannot be served, each by
    itself; ``trust.E002``: no usable `Trust`.
    """
    from django.conf import settings

    from .middleware import edge
    from .routes import assert_all_routes_declared

    found: list[CheckMessage] = []
    for code, look in (
        ("trust.E002", edge),
        ("trust.E001", lambda: assert_all_routes_declared(public=getattr(settings, "WELLSTREAK_TRUST_PUBLIC", None))),
    ):
        try:
            look()
        except ConfigurationError as error:
            found += (Error(fault.detail, hint=fault.hint, id=code) for fault in error.faults or (error,))
    return found
