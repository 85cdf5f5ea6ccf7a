"""The Django app: it installs the guard and registers the system checks."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.checks import register

__all__ = ["TenancyConfig"]


class TenancyConfig(AppConfig):
    """``INSTALLED_APPS += ["wellstreak_trust.tenancy.django"]``."""

    name: str = "wellstreak_trust.tenancy.django"
    label: str = "wellstreak_tenancy"
    verbose_name: Any = "Tenancy"

    def ready(self) -> None:
        """Called by Django once all apps are loaded; importing the models has installed the guard."""
        from .checks import check_models

        register(check_models)
