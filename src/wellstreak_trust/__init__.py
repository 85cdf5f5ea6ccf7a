"""wellstreak_trust: the security primitives of a multi-tenant SaaS, composable and framework-agnostic.

Importing this package imports nothing else: names load on first use (PEP 562).
"""

TYPE_CHECKING = False  # checkers take the name for true; the typing module would cost more than the whole budget
if TYPE_CHECKING:
    from .core.clock import FixedClock as FixedClock
    from .core.clock import SystemClock as SystemClock
    from .core.errors import TrustError as TrustError
    from .core.http import ClientAddress as ClientAddress
    from .core.http import RequestFacts as RequestFacts
    from .core.principal import Principal as Principal
    from .core.secret import Secret as Secret
    from .core.tenant import Membership as Membership
    from .core.tenant import TenantContext as TenantContext
    from .guard import Grant as Grant
    from .guard import Guard as Guard
    from .guard import Operation as Operation
    from .guard import Operations as Operations
    from .settings import TrustSettings as TrustSettings
    from .trust import Trust as Trust

__version__ = "0.1.0"

_ROOMS = {
    "ClientAddress": "core.http",
    "FixedClock": "core.clock",
    "Grant": "guard",
    "Guard": "guard",
    "Membership": "core.tenant",
    "Operation": "guard",
    "Operations": "guard",
    "Principal": "core.principal",
    "RequestFacts": "core.http",
    "Secret": "core.secret",
    "SystemClock": "core.clock",
    "TenantContext": "core.tenant",
    "Trust": "trust",
    "TrustError": "core.errors",
    "TrustSettings": "settings",
}

__all__ = [
    "ClientAddress",
    "FixedClock",
    "Grant",
    "Guard",
    "Membership",
    "Operation",
    "Operations",
    "Principal",
    "RequestFacts",
    "Secret",
    "SystemClock",
    "TenantContext",
    "Trust",
    "TrustError",
    "TrustSettings",
    "__version__",
]


def __getattr__(name: str) -> object:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
