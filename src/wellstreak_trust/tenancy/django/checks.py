"""System checks: what a developer must hear before the first request.

=====================  ==========================================================================
``wst.tenancy.E001``   a model of the host is neither a `TenantModel` nor declared shared
``wst.tenancy.E002``   a tenant model has no column of its own or of a parent that names the tenant
``wst.tenancy.E003``   a tenant foreign key with an end that is no tenant model
``wst.tenancy.E004``   a tenant model is declared shared
``wst.tenancy.E005``   ``WELLSTREAK_SHARED_MODELS`` names nothing
``wst.tenancy.W001``   a plain foreign key between tenant models
``wst.tenancy.W002``   uniqueness that leaves out the tenant
``wst.tenancy.W003``   a manager whose query sets keep fetched rows for the next tenant
=====================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import models

from .fields import TenantForeignKey, TenantOneToOneField
from .managers import TenantQuerySet
from .registry import TENANT, is_tenant_model, plain_name, tables

__all__ = ["check_models"]

_REFERENCE: Any = models.F  # whose name the stubs do not know
_FRAMEWORK = ("django.", "wellstreak_trust.")


def check_models(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Judges every model of the host; see the table above."""
    configs: list[AppConfig] = list(app_configs) if app_configs is not None else list(apps.get_app_configs())
    shared = set(getattr(settings, "WELLSTREAK_SHARED_MODELS", ()))
    found: list[CheckMessage] = [] if app_configs is not None else list(_unknown(shared))
    for config in configs:
        if not config.name.startswith(_FRAMEWORK):
            for model in config.get_models():
                found += _judged(model, {config.label, model._meta.label} & shared)
    return found


def _unknown(shared: set[str]) -> Iterator[CheckMessage]:
    known = {config.label for config in apps.get_app_configs()} | {model._meta.label for model in apps.get_models()}
    for name in sorted(shared - known):
        yield Error(f"WELLSTREAK_SHARED_MODELS names {name!r}, which is no app and no model.", id="wst.tenancy.E005")


def _judged(model: Any, declared: set[str]) -> Iterator[CheckMessage]:
    is_shared = bool(declared) or getattr(model, "wst_shared", False) is True
    if not is_tenant_model(model):
        if not is_shared:
            yield Error(
                f"{model._meta.label} is neither a TenantModel nor declared shared.",
                hint="Derive it from TenantModel, or set `wst_shared = True` on it, or list it (or its app) in"
                " WELLSTREAK_SHARED_MODELS.",
                obj=model,
                id="wst.tenancy.E001",
            )
        return
    if is_shared:
        yield Error(f"{model._meta.label} is a TenantModel and declared shared.", obj=model, id="wst.tenancy.E004")
    if not model._meta.proxy:
        table = tables().get(plain_name(model._meta.db_table))
        if table is None or not (table.columns or table.owners):
            yield Error(f"{model._meta.label} has no {TENANT}.", obj=model, id="wst.tenancy.E002")
        yield from _keys(model)
        yield from _uniqueness(model)
    if not issubclass(getattr(model._default_manager, "_queryset_class", models.QuerySet), TenantQuerySet):
        yield Warning(
            f"The default manager of {model._meta.label} keeps fetched rows for whoever holds the query set.",
            hint="Derive it from TenantManager, or its query set from TenantQuerySet.",
            obj=model,
            id="wst.tenancy.W003",
        )


def _keys(model: Any) -> Iterator[CheckMessage]:
    for field in model._meta.local_fields:
        relation = field.remote_field
        if relation is None or relation.parent_link or isinstance(field, TenantForeignKey | TenantOneToOneField):
            continue
        if is_tenant_model(relation.model):
            yield Warning(
                f"{field} is a plain foreign key between tenant models.",
                hint="Use TenantForeignKey or TenantOneToOneField: it refuses a foreign instance when it is assigned.",
                obj=field,
                id="wst.tenancy.W001",
            )


def _named(constraint: Any) -> tuple[str, ...]:
    """The fields of a constraint, those of its expressions too."""
    inside: list[Any] = [part for expression in constraint.expressions for part in expression.flatten()]
    return (*constraint.fields, *(part.name for part in inside if isinstance(part, _REFERENCE)))


def _uniqueness(model: Any) -> Iterator[CheckMessage]:
    meta = model._meta
    alone = [
        (field.name,)
        for field in meta.local_fields
        if field.unique and not field.primary_key and not (field.remote_field and is_tenant_model(field.related_model))
    ]
    constraints = [_named(each) for each in meta.constraints if isinstance(each, models.UniqueConstraint)]
    for names in (*alone, *meta.unique_together, *constraints):
        if names and TENANT not in names:
            yield Warning(
                f"{meta.label}: {', '.join(names)} is unique across tenants.",
                hint="The database tells one tenant what another has. Use tenant_unique(...) in Meta.constraints.",
                obj=model,
                id="wst.tenancy.W002",
            )
