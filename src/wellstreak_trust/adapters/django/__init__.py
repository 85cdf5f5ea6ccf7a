"""Django: ``INSTALLED_APPS += ["wellstreak_trust.adapters.django"]``, ``MIDDLEWARE = [".TrustMiddleware", ...]`` and
``WELLSTREAK_TRUST = "project.security.trust"``; then ``@guarded(operation)`` on views, ``async def`` ones too.
"""

from __future__ import annotations

from ...core.errors import MissingExtra

try:
    import django as _django
except ImportError:
    raise MissingExtra(
        "the Django adapter needs Django", hint="pip install 'wellstreak-trust[django]'", reason="extra"
    ) from None

from .hooks import webhook
from .middleware import TrustMiddleware, csp, csp_nonce, current_grant, edge, facts_of
from .routes import assert_all_routes_declared, undeclared_routes
from .views import guarded, public

__all__ = [
    "TrustMiddleware",
    "assert_all_routes_declared",
    "csp",
    "csp_nonce",
    "current_grant",
    "edge",
    "facts_of",
    "guarded",
    "public",
    "undeclared_routes",
    "webhook",
]
del _django
