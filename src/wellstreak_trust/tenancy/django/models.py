"""`TenantModel` and `CompanyModel`: what a host's models derive from."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, Self

from django.db import models

from ..context import current_tenant
from . import compiler, statements
from .acting import claim, fits
from .fields import ScopeField
from .managers import TenantManager
from .proof import kept, saving
from .registry import COMPANY, TENANT

__all__ = ["CompanyModel", "TenantModel"]

# A model may be used without the app in INSTALLED_APPS: there are no tenant models without the guard.
compiler.install()
statements.install()


class TenantModel(models.Model):
    """A model whose rows belong to one tenant each.

    ::

        class Project(TenantModel):
            name = models.CharField(max_length=80)

            class Meta(TenantModel.Meta):
                abstract = False

    Outside a scope every read and write raises `NoTenant`, except in ``unscoped(reason)``. In a scope the rows of
    other tenants do not exist: for reads, joins, aggregates, forms, cascades and writes alike.
    """

    tenant_id: Any = ScopeField(max_length=64, editable=False, db_index=True)

    objects: ClassVar[Any] = TenantManager()

    _wst_tenant_model: ClassVar[bool] = True
    _wst_scope: ClassVar[tuple[str, ...]] = (TENANT,)

    class Meta:
        """To be inherited by each model's own."""

        abstract = True
        base_manager_name = "objects"
        default_manager_name = "objects"

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any) -> Self:
        """Called by Django for each row.

        Raises:
            CrossTenantRead: another tenant's row came back, past all restrictions.
        """
        instance = super().from_db(db, field_names, values, **options)
        context, held = current_tenant(), instance.__dict__.get(TENANT)
        if context is not None and held == context.tenant_id:
            instance._state.wst_proof = (held, context.company_id, field_names, values)  # type: ignore[attr-defined]  # see proof
        elif context is None or held is not None:
            fits(instance, cls._wst_scope)
        return instance

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        """As Django's; stamps the tenant before signals see the instance.

        Raises:
            NoTenant: outside every scope.
            CrossTenantWrite: the instance is another tenant's.
        """
        context = claim(self, self._wst_scope, stamp=True)
        super().save_base(*args, **kwargs)
        if context is not None and self.__dict__.get(TENANT) == context.tenant_id:
            names, values = kept(self, context)
            key = (self._meta.pk.attname, *names), (self.pk, *values)
            self._state.wst_proof = (context.tenant_id, context.company_id, *key)  # type: ignore[attr-defined]  # as above

    def _do_update(self, base_qs: Any, using: Any, pk_val: Any, *args: Any, **kwargs: Any) -> Any:
        """Private to Django, and the one place that knows whose UPDATE it is; without it `proof.held` holds nothing."""
        with saving(self, pk_val):
            return super()._do_update(base_qs, using, pk_val, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """As Django's.

        Raises:
            NoTenant: outside every scope.
            CrossTenantWrite: the instance is another tenant's.
        """
        claim(self, self._wst_scope, stamp=False)
        return super().delete(*args, **kwargs)

    def validate_unique(self, exclude: Collection[str] | None = None) -> None:
        """As Django's, with the tenant, which no form shows, as part of what is unique."""
        super().validate_unique(exclude=self._without_scope(exclude))

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """As Django's, with the tenant, which no form shows, as part of what is unique."""
        super().validate_constraints(exclude=self._without_scope(exclude))

    def _without_scope(self, exclude: Collection[str] | None) -> set[str]:
        claim(self, self._wst_scope, stamp=True)
        return set(exclude or ()) - set(self._wst_scope)


class CompanyModel(TenantModel):
    """A `TenantModel` whose rows may belong to one company inside the tenant.

    A context with a `company_id` is kept to that company's rows with the same guarantees; rows without a company are
    not its own. A context without one sees the whole tenant and stamps no company.
    """

    company_id: Any = ScopeField(max_length=64, null=True, editable=False, db_index=True)

    _wst_company_model: ClassVar[bool] = True
    _wst_scope: ClassVar[tuple[str, ...]] = (TENANT, COMPANY)

    class Meta(TenantModel.Meta):
        """To be inherited by each model's own."""

        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any) -> Self:
        """As `TenantModel.from_db`, for the company too."""
        instance = super().from_db(db, field_names, values, **options)
        fits(instance, cls._wst_scope)
        return instance
