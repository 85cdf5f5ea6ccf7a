"""What Django models look like: fields whose values can be compared, and relations into known models."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.conf import settings

__all__ = ["Models", "python_type"]

Model = Any
Field = Any

_TYPES: Final[Mapping[str, type]] = {
    **dict.fromkeys(
        ("CharField", "TextField", "SlugField", "EmailField", "URLField", "FileField", "FilePathField"), str
    ),
    **dict.fromkeys(
        (
            "IntegerField", "BigIntegerField", "SmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField",
            "PositiveSmallIntegerField", "AutoField", "BigAutoField", "SmallAutoField",
        ),
        int,
    ),
    "BooleanField": bool, "FloatField": float, "DecimalField": Decimal, "DateField": datetime.date,
    "DateTimeField": datetime.datetime, "TimeField": datetime.time, "DurationField": datetime.timedelta,
    "UUIDField": UUID, "BinaryField": bytes, "JSONField": dict,
}  # fmt: skip


def python_type(field: Field) -> type:
    """The type of a field's values; `object` where nothing is known."""
    if field.remote_field is not None:
        return python_type(field.target_field)
    return _TYPES.get(field.get_internal_type(), object)


def aware() -> bool:
    """Whether times carry a zone."""
    return bool(settings.USE_TZ)


class Models:
    """One set of models by label: the host's own, or their twins.

    Args:
        column: the attribute that holds the tenant id.
    """

    def __init__(self, models: Mapping[str, Model], column: str) -> None:
        self.by_label: Mapping[str, Model] = models
        self.column: str = column
        self.labels: tuple[str, ...] = tuple(sorted(models))

    def owned(self, model: Model) -> bool:
        """Whether the rows of a model belong to tenants."""
        return any(field.attname == self.column for field in model._meta.concrete_fields)

    @property
    def tenants(self) -> list[Model]:
        """The models whose rows belong to tenants."""
        return [model for model in map(self.by_label.__getitem__, self.labels) if self.owned(model)]

    def fields(self, model: Model, kinds: tuple[type, ...] | None = None) -> list[Field]:
        """The columns of a model, inherited ones too, that hold one of `kinds`."""
        found = sorted(model._meta.concrete_fields, key=lambda field: str(field.name))
        return [
            field
            for field in found
            if python_type(field) is not object
            and (kinds is None or (issubclass(python_type(field), kinds) and python_type(field) is not bool))
        ]

    def settable(self, model: Model) -> list[Field]:
        """The local columns that a host changes: neither keys nor unique nor the tenant's."""
        together = {name for names in model._meta.unique_together for name in names}
        together |= {name for each in model._meta.constraints for name in getattr(each, "fields", ())}
        return [
            field
            for field in self.fields(model)
            if field.remote_field is None and not field.unique and field.attname != self.column
            and field.name not in together and field.model is model
            and not getattr(field, "auto_now", False) and not getattr(field, "auto_now_add", False)
        ]  # fmt: skip

    def relations(self, model: Model) -> list[Any]:
        """The relations of a model into known models, forward and reverse."""
        found = [
            relation
            for relation in model._meta.get_fields()
            if relation.is_relation and relation.related_model is not None
            and not isinstance(relation.related_model, str)
            and self.by_label.get(relation.related_model._meta.label) is relation.related_model
            and not relation.hidden and hasattr(relation, "get_path_info") and _query_name(relation)
            and getattr(relation, "one_to_one", None) is not None and not _generic(relation)
        ]  # fmt: skip
        return sorted(found, key=lambda relation: str(relation.name))


def _query_name(relation: Any) -> bool:
    return "+" not in str(relation.name)


def _generic(relation: Any) -> bool:
    from django.contrib.contenttypes.fields import GenericForeignKey, GenericRel, GenericRelation

    return isinstance(relation, GenericForeignKey | GenericRel | GenericRelation)


def accessor(relation: Any) -> str:
    """The attribute of an instance that follows a relation."""
    return str(relation.get_accessor_name() if relation.auto_created and not relation.concrete else relation.name)


def tables(models: Iterable[Model]) -> list[Model]:
    """The models that have tables, link tables included, parents before children."""
    found: dict[str, Model] = {}
    for model in models:
        if not model._meta.proxy:
            found[model._meta.db_table] = model
        for field in model._meta.local_many_to_many:
            found.setdefault(field.remote_field.through._meta.db_table, field.remote_field.through)
    return sorted(found.values(), key=lambda model: (_height(model, frozenset()), model._meta.db_table))


def _height(model: Model, above: frozenset[str]) -> int:
    """How many foreign keys lead upwards from a model; circles end where they began."""
    label = model._meta.label
    ups = [field.remote_field.model for field in model._meta.local_fields if field.remote_field is not None]
    return 1 + max((_height(up, above | {label}) for up in ups if up._meta.label not in above | {label}), default=0)
