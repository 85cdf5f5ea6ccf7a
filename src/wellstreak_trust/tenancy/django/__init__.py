"""Django: models, managers and foreign keys that stay in one tenant.

``INSTALLED_APPS += ["wellstreak_trust.tenancy.django"]`` adds the system checks; models derive from `TenantModel`.
Names load on first use, because Django imports this package before models may be defined.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ...core.errors import MissingExtra

try:
    import django as _django
except ImportError:
    raise MissingExtra(
        "the Django guard needs Django", hint="pip install 'wellstreak-trust[django]'", reason="extra"
    ) from None

from ..unscoped import unscoped

if TYPE_CHECKING:
    from .config import observations as observations
    from .constraints import tenant_unique as tenant_unique
    from .fields import TenantForeignKey as TenantForeignKey
    from .fields import TenantOneToOneField as TenantOneToOneField
    from .managers import TenantManager as TenantManager
    from .managers import TenantQuerySet as TenantQuerySet
    from .models import CompanyModel as CompanyModel
    from .models import TenantModel as TenantModel

__all__ = [
    "CompanyModel",
    "TenantForeignKey",
    "TenantManager",
    "TenantModel",
    "TenantOneToOneField",
    "TenantQuerySet",
    "observations",
    "tenant_unique",
    "unscoped",
]

_ROOMS = {
    "CompanyModel": "models",
    "TenantForeignKey": "fields",
    "TenantManager": "managers",
    "TenantModel": "models",
    "TenantOneToOneField": "fields",
    "TenantQuerySet": "managers",
    "observations": "config",
    "tenant_unique": "constraints",
}


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


del _django
