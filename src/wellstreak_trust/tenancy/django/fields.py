"""The fields of a tenant model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import checks
from django.db import models
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor, ForwardOneToOneDescriptor

from ...core.errors import CrossTenantWrite
from .acting import acting, refuse, tenant_default
from .registry import is_tenant_model

if TYPE_CHECKING:  # generic in the stubs alone
    _CharField = models.CharField[Any, Any]
    _ForeignKey = models.ForeignKey[Any, Any]
    _OneToOneField = models.OneToOneField[Any, Any]
    _ManyToOneBase = ForwardManyToOneDescriptor[Any]
    _OneToOneBase = ForwardOneToOneDescriptor[Any]
else:
    _CharField, _ForeignKey, _OneToOneField = models.CharField, models.ForeignKey, models.OneToOneField
    _ManyToOneBase, _OneToOneBase = ForwardManyToOneDescriptor, ForwardOneToOneDescriptor

__all__ = ["ScopeField", "TenantForeignKey", "TenantOneToOneField"]


class ScopeField(_CharField):
    """Holds the tenant or company of a row; a new instance starts with that of the running code.

    Migrations see a plain ``CharField`` without default, so that they need this package no more than the table does.
    """

    def get_default(self) -> str | None:
        """Called by Django for each new instance that names no value."""
        return tenant_default(self.attname)

    def deconstruct(self) -> Any:
        """How a migration writes this field down."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class _Refusing:
    """Refuses a foreign instance where it is assigned, which is the line to fix; the write would refuse it anyway."""

    field: Any

    def __set__(self, instance: Any, value: Any) -> None:
        theirs = getattr(value, "__dict__", {}).get("tenant_id")
        if theirs:
            context = acting("assignment to a foreign key of", type(instance))
            if context is not None and theirs != context.tenant_id:
                refuse(
                    CrossTenantWrite(
                        f"a {type(value)._meta.label} of another tenant is assigned to {self.field}",
                        hint="load it in this tenant's scope",
                    )
                )
        super().__set__(instance, value)  # type: ignore[misc]  # mixed into a descriptor


class _ManyToOne(_Refusing, _ManyToOneBase):
    pass


class _OneToOne(_Refusing, _OneToOneBase):
    pass


class TenantForeignKey(_ForeignKey):
    """A foreign key between tenant models that stay in one tenant.

    A plain ``ForeignKey`` is restricted and checked as well. This one says so, refuses a foreign instance where it is
    assigned, and is what `operations.TenantForeignKeyConstraint` repeats in the database.

    Args:
        null, and the others: as for ``ForeignKey``.
    """

    forward_related_accessor_class: Any = _ManyToOne

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """``wst.tenancy.E003``: one of the ends is no tenant model."""
        return [*super().check(**kwargs), *_ends(self)]


class TenantOneToOneField(_OneToOneField):
    """As `TenantForeignKey`, for at most one row."""

    forward_related_accessor_class: Any = _OneToOne

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """``wst.tenancy.E003``: one of the ends is no tenant model."""
        return [*super().check(**kwargs), *_ends(self)]


def _ends(field: Any) -> list[checks.CheckMessage]:
    if is_tenant_model(field.model) and is_tenant_model(field.remote_field.model):
        return []
    return [
        checks.Error(
            "A tenant foreign key joins two tenant models.",
            hint="Use ForeignKey where one end is shared.",
            obj=field,
            id="wst.tenancy.E003",
        )
    ]
