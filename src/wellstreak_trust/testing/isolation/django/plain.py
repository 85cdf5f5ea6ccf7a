"""Rows and instances as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Model

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Instances as their label and loaded fields, containers item by item; a binary value as bytes."""
    if isinstance(value, Model):
        fields = {
            field.attname: plain(value.__dict__[field.attname])
            for field in sorted(value._meta.concrete_fields, key=lambda field: str(field.name))
            if field.attname in value.__dict__
        }
        return (value._meta.label, fields)
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in sorted(value.items(), key=repr)}
    if isinstance(value, list | tuple | set | Sequence) and not isinstance(value, str | bytes):
        return [plain(each) for each in value]
    return bytes(value) if isinstance(value, memoryview) else value
