"""What the host's settings say, read once and again when a test overrides them.

=================================  =====================================================================
``WELLSTREAK_TENANCY_MODE``        ``"enforce"`` (default), or ``"observe"``: report, and change nothing
``WELLSTREAK_TENANCY_RLS``         whether PostgreSQL is told the tenant; True unless said otherwise
``WELLSTREAK_SHARED_MODELS``       models without tenant: ``"app"`` or ``"app.Model"``
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
    """The two settings that each statement asks for."""

    def __init__(self) -> None:
        self._observe: bool | None = None
        self._rls: bool | None = None

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

    def forget(self, **kwargs: Any) -> None:
        """Receives Django's `setting_changed`."""
        self._observe = self._rls = None


CONFIG: Final = _Config()
setting_changed.connect(CONFIG.forget, dispatch_uid="wellstreak_trust.tenancy.django")
