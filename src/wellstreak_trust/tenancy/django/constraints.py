"""Uniqueness inside a tenant."""

from __future__ import annotations

from typing import Any

from django.db import models

from .registry import TENANT

__all__ = ["tenant_unique"]


def tenant_unique(*fields: str, name: str, **options: Any) -> models.UniqueConstraint:
    """A ``UniqueConstraint`` on `fields` inside each tenant, to be listed in ``Meta.constraints``.

    A constraint without the tenant tells one tenant what another has: the database refuses the duplicate of a row
    that nobody here can see.
    """
    return models.UniqueConstraint(fields=[TENANT, *fields], name=name, **options)
