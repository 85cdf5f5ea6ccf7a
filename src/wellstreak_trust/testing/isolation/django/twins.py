"""Plain twins of the host's models: the same fields and relations, no manager, no guard, other tables.

A guard knows tables by name, so the truth is asked of tables that it has never heard of. The twins are made as
Django's migrations make historical models.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.migrations.state import ModelState, ProjectState

__all__ = ["closure", "twins"]

Model = Any


def closure(wanted: Iterable[Model]) -> list[Model]:
    """The models, all that their fields lead to, and all that hangs below them, by label."""
    found: dict[str, Model] = {}
    waiting = list(wanted)
    for model in waiting:  # deletes cascade into what hangs below, so its tables must be there; the list grows
        waiting += [
            relation.related_model for relation in model._meta.related_objects
            if relation.related_model not in waiting and not relation.related_model._meta.auto_created
        ]  # fmt: skip
    while waiting:
        model = waiting.pop()
        if model._meta.label in found or model._meta.auto_created:
            continue
        found[model._meta.label] = model
        waiting += model._meta.parents
        if model._meta.proxy:
            waiting.append(model._meta.concrete_model)
        for field in (*model._meta.local_fields, *model._meta.local_many_to_many):
            if field.remote_field is not None:
                waiting += [field.remote_field.model, *filter(None, [getattr(field.remote_field, "through", None)])]
    return [found[label] for label in sorted(found)]


def twins(wanted: Iterable[Model], prefix: str) -> dict[str, Model]:
    """Plain models by label, whose tables are named with the prefix and have no foreign key constraints."""
    state = ProjectState()
    every = closure(wanted)
    for model in every:
        state.add_model(_plain(model, prefix))
    return {model._meta.label: state.apps.get_model(model._meta.label_lower) for model in every}


def _plain(model: Model, prefix: str) -> ModelState:
    found = ModelState.from_model(model)
    options = {
        name: value
        for name, value in found.options.items()
        if name not in ("base_manager_name", "default_manager_name")
    }
    if not model._meta.proxy:
        options |= {"db_table": prefix + model._meta.db_table, "indexes": [], "constraints": []}
        options["constraints"] = [_renamed(each, prefix) for each in model._meta.constraints]
    fields = [(name, _field(model._meta.get_field(name), prefix)) for name in found.fields]
    bases = tuple(base for base in found.bases if isinstance(base, str)) or (models.Model,)
    return ModelState(found.app_label, found.name, fields, options, bases, [])


def _renamed(constraint: Any, prefix: str) -> Any:
    """Constraints are named in one room with tables and indexes."""
    copy = constraint.clone()
    copy.name = f"{prefix}{copy.name}"[-60:]
    return copy


def _field(field: Any, prefix: str) -> Any:
    """The same field as Django's own class."""
    _, _, args, kwargs = field.deconstruct()
    kind = next(each for each in type(field).__mro__ if each.__module__.startswith("django."))
    if isinstance(field, models.ManyToManyField):
        if field.remote_field.through is None or field.remote_field.through._meta.auto_created:
            kwargs |= {"db_constraint": False, "db_table": prefix + field.m2m_db_table()}
    elif field.remote_field is not None:
        kwargs["db_constraint"] = False
    return kind(*args, **kwargs)
