"""What the host's settings say, read once and again when a test overrides them.

=================================  =====================================================================
``WELLSTREAK_TENANCY_MODE``        ``"enforce"`` (default), or ``"observe"``: report, and change nothing
``WELLSTREAK_TENANCY_RLS``         whether PostgreSQL is told the tenant; True unless said otherwise
``WELLSTREAK_SHARED_MODELS``       models without tenant: ``"app"`` or ``"app.Model"``
``WELLSTREAK_SHARED_TABLES``       tables without model that raw SQL may name; those of ``CACHES`` are known
=================================  =====================================================================
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.core.signals import setting_changed

from ...core.errors import ConfigurationError
from ..observations import Observations

__all__ = ["CONFIG", "observations"]

observations: Final = Observations()
"""What ``WELLSTREAK_TENANCY_MODE = "observe"`` found in this process."""


class _Config:
    """The settings that each statement asks for."""

    def __init__(self) -> None:
        self._observe: bool | None = None
        self._rls: bool | None = None
        self._shared: frozenset[str] | None = None
        self._models: frozenset[str] | None = None

    @property
    def observe(self) -> bool:
        """Whether the guard only reports."""
        if self._observe is None:
            mode = getattr(settings, "WELLSTREAK_TENANCY_MODE", "enforce")
            if mode not in {"enforce", "observe"}:
                raise ConfigurationError(
                    f"settings.WELLSTREAK_TENANCY_MODE is {mode!r}",
                    hint="'enforce' or 'observe'",
                    reason="tenancy_mode",
                )
            self._observe = mode == "observe"
        return self._observe

    @property
    def rls(self) -> bool:
        """Whether transactions on PostgreSQL carry the tenant."""
        if self._rls is None:
            self._rls = bool(getattr(settings, "WELLSTREAK_TENANCY_RLS", True))
        return self._rls

    @property
    def shared_tables(self) -> frozenset[str]:
        """In lower case: tables that no model describes and that hold no tenant's rows."""
        if self._shared is None:
            named = [str(name) for name in getattr(settings, "WELLSTREAK_SHARED_TABLES", ())]
            named += [
                str(cache.get("LOCATION", ""))
                for cache in getattr(settings, "CACHES", {}).values()
                if str(cache.get("BACKEND", "")).endswith("DatabaseCache")
            ]
            self._shared = frozenset(name.lower() for name in named)
        return self._shared

    @property
    def shared_models(self) -> frozenset[str]:
        """Labels of models and apps without tenant."""
        if self._models is None:
            self._models = frozenset(getattr(settings, "WELLSTREAK_SHARED_MODELS", ()))
        return self._models

    def forget(self, **kwargs: Any) -> None:
        """Receives Django's `setting_changed`."""
        self._observe = self._rls = self._shared = self._models = None


CONFIG: Final = _Config()
setting_changed.connect(CONFIG.forget, dispatch_uid="wellstreak_trust.tenancy.django")
