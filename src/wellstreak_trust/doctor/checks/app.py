"""The application of a framework, or the settings of one: what stands around `TrustMiddleware`.

Frameworks are known by what their applications have, because none is imported here: a Flask application has
``extensions``, a Starlette application ``user_middleware``, the settings of Django ``MIDDLEWARE``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from ..case import Case, Check, Hit

__all__ = ["CHECKS"]

_OURS: Final = "wellstreak_trust.adapters."
_OUTSIDE_IS_FINE: Final = frozenset(
    (
        "SecurityMiddleware",
        "ProxyHeadersMiddleware",
        "HTTPSRedirectMiddleware",
        "TrustedHostMiddleware",
        "GZipMiddleware",
    )
)
_SESSIONS: Final = "django.contrib.sessions.middleware.SessionMiddleware"
_TRUE: Final = frozenset(("1", "true", "yes", "on"))
_WELL_KNOWN: Final = frozenset(("changeme", "change-me", "secret", "password", "insecure", "test", "dev", "default"))
_SHORTEST: Final = 32
_LEAST_DIFFERENT: Final = 5


def _flask(case: Case) -> Any:
    return case.app if hasattr(case.app, "extensions") and hasattr(case.app, "config") else None


def _asgi(case: Case) -> Any:
    return case.app if hasattr(case.app, "user_middleware") else None


def _django(case: Case) -> Any:
    return case.app if hasattr(case.app, "MIDDLEWARE") and hasattr(case.app, "INSTALLED_APPS") else None


def _debug(case: Case) -> Iterator[Hit]:
    app = _flask(case) or _asgi(case)
    if app is not None and app.debug:
        yield Hit("app.debug")
    if getattr(_django(case), "DEBUG", False):
        yield Hit("settings.DEBUG")
    if case.environment.get("FLASK_DEBUG", "").lower() in _TRUE:
        yield Hit("FLASK_DEBUG", variable="FLASK_DEBUG")


def _hosts(case: Case) -> Iterator[Hit]:
    if "*" in getattr(_django(case), "ALLOWED_HOSTS", ()):
        yield Hit("settings.ALLOWED_HOSTS")


def _outermost_first(case: Case) -> list[type[Any]]:
    """The middleware classes of the application; those of Django as far as they can be imported."""
    app, settings = _asgi(case), _django(case)
    if app is not None:
        return [each.cls for each in app.user_middleware]
    return [kind for name in settings.MIDDLEWARE if (kind := _imported(name)) is not None] if settings else []


def _imported(name: str) -> type[Any] | None:
    module, _, kind = name.rpartition(".")
    try:
        return getattr(import_module(module), kind, None)
    except Exception:  # Django itself tells of middleware that does not load
        return None


def _is_ours(kind: type[Any]) -> bool:
    return any(each.__module__.startswith(_OURS) for each in getattr(kind, "__mro__", ()))


def _order(case: Case) -> Iterator[Hit]:
    chain = _outermost_first(case)
    before = chain[: next((at for at, kind in enumerate(chain) if _is_ours(kind)), 0)]
    for kind in before:
        name = getattr(kind, "__name__", str(kind))
        if name not in _OUTSIDE_IS_FINE:
            yield Hit(f"middleware: {name}", f"{name} runs outside of TrustMiddleware")


def _missing(case: Case) -> Iterator[Hit]:
    settings = _django(case)
    apps = [str(name).removesuffix(".apps.TrustConfig") for name in settings.INSTALLED_APPS] if settings else []
    if f"{_OURS}django" in apps and not any(map(_is_ours, _outermost_first(case))):
        yield Hit("settings.MIDDLEWARE")


def _cors(case: Case) -> Iterator[Hit]:
    if case.trust is None or case.trust.cors is None:
        return
    for kind in _outermost_first(case):
        if kind.__name__ in ("CORSMiddleware", "CorsMiddleware") and not _is_ours(kind):
            yield Hit(f"middleware: {kind.__name__}")
    for hook in getattr(_flask(case), "after_request_funcs", {}).get(None, ()):
        if getattr(hook, "__module__", "").startswith("flask_cors"):
            yield Hit("flask_cors")


def _secret_key(case: Case) -> Iterator[Hit]:
    for place, key in (
        ("app.config['SECRET_KEY']", getattr(_flask(case), "config", {}).get("SECRET_KEY")),
        ("settings.SECRET_KEY", getattr(_django(case), "SECRET_KEY", None)),
    ):
        if key and _is_guessable(key):
            yield Hit(place)


def _is_guessable(key: str | bytes) -> bool:
    text = key.decode("latin-1") if isinstance(key, bytes) else str(key)
    known = text.lower() in _WELL_KNOWN or text.startswith("django-insecure-")
    return known or len(text) < _SHORTEST or len(set(text)) < _LEAST_DIFFERENT


def _cookie(case: Case) -> Iterator[Hit]:
    app, settings = _flask(case), _django(case)
    if app is not None and app.config.get("SECRET_KEY") and not app.config.get("SESSION_COOKIE_SECURE"):
        yield Hit("app.config['SESSION_COOKIE_SECURE']")
    if settings is not None and _SESSIONS in settings.MIDDLEWARE and not settings.SESSION_COOKIE_SECURE:
        yield Hit("settings.SESSION_COOKIE_SECURE")
    for each in getattr(_asgi(case), "user_middleware", ()):
        if each.cls.__name__ == "SessionMiddleware" and not each.kwargs.get("https_only"):
            yield Hit("middleware: SessionMiddleware", hint="SessionMiddleware(..., https_only=True)")


def _knows_proxies(case: Case) -> bool:
    address = case.trust.client_address if case.trust is not None else None
    return address is not None and bool(address.proxies)


def _host(case: Case) -> Iterator[Hit]:
    if _knows_proxies(case):
        return
    for name in ("USE_X_FORWARDED_HOST", "WELLSTREAK_TRUST_FORWARDED_HOST"):
        if getattr(_django(case), name, False):
            yield Hit(f"settings.{name}")
    if getattr(getattr(_flask(case), "wsgi_app", None), "x_host", 0):
        yield Hit("app.wsgi_app: ProxyFix", hint="ClientAddress(trusted_proxies=[...]), or ProxyFix(x_host=0)")


def _scheme(case: Case) -> Iterator[Hit]:
    if not _knows_proxies(case) and getattr(_django(case), "SECURE_PROXY_SSL_HEADER", None):
        yield Hit("settings.SECURE_PROXY_SSL_HEADER")


CHECKS: Final = (
    Check("debug_mode", _debug),
    Check("hosts_any", _hosts),
    Check("middleware_order", _order, everywhere=True),
    Check("middleware_missing", _missing, everywhere=True),
    Check("cors_twice", _cors, everywhere=True),
    Check("secret_key_weak", _secret_key),
    Check("framework_cookie_insecure", _cookie),
    Check("forwarded_host_open", _host),
    Check("forwarded_scheme_open", _scheme),
)
