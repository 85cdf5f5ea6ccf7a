"""The Django app and its system checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from ...core.errors import ConfigurationError
from ...core.finding import Finding

__all__ = ["TrustConfig", "check_deployment", "check_routes", "check_trust"]

_DJANGOS_OWN: Final = frozenset(("debug_mode", "secret_key_weak", "framework_cookie_insecure"))  # security.W018, 9, 12


class TrustConfig(AppConfig):
    """Registers the checks: that every route is declared, and what the doctor finds."""

    name = "wellstreak_trust.adapters.django"
    label = "wellstreak_trust"

    def ready(self) -> None:
        """Called by Django once all apps are loaded."""
        register(check_routes, Tags.security)
        register(check_trust, Tags.security)
        register(check_deployment, Tags.security, deploy=True)


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


def check_trust(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """What the doctor finds wrong in this profile; asks no database."""
    return [_message(each) for each in _examined(deploying=False)]


def check_deployment(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """What it finds besides where this is deployed, whatever the profile says: for ``check --deploy``."""
    known = set(_examined(deploying=False))
    return [_message(each) for each in _examined(deploying=True) if each not in known]


def _examined(*, deploying: bool) -> Iterator[Finding]:
    from django.conf import settings

    from ...doctor import examine, read_environment
    from .middleware import edge

    try:
        trust = edge().trust
    except ConfigurationError:
        return  # trust.E002 tells of it
    for each in examine(trust, app=settings, environment=read_environment(), deploying=deploying):
        if each.code not in _DJANGOS_OWN:
            yield each


def _message(finding: Finding) -> CheckMessage:
    kind = Error if finding.severity == "error" else Warning
    text = f"{finding.object}: {finding.title}: {finding.why} [{finding.code}]"
    return kind(text, hint=finding.hint, id=finding.id)
