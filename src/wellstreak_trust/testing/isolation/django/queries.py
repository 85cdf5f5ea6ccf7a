"""Lookups and nested queries over Django models: paths across relations, Q trees, Exists and Subquery."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, Subquery

from ..dice import Dice
from ..values import ORDERED
from .schema import Models, python_type
from .world import World

__all__ = ["Queries"]

Model = Any
QuerySet = Any

_FLAT: Final = ("value", "value", "values", "null", "order", "text", "columns")
_NESTED: Final = (*_FLAT, "and", "or", "not", "exists", "in", "scalar", "counted")


class Queries:
    """Grows conditions and querysets; values come from rows of all tenants."""

    def __init__(self, models: Models, world: World) -> None:
        self.models: Models = models
        self.world: World = world

    def model(self, dice: Dice) -> Model:
        """A tenant's model, or now and then another."""
        if dice.chance(0.08):
            return self.models.by_label[dice.choice(self.models.labels)]
        return dice.choice(self.models.tenants)

    def manager(self, dice: Dice, model: Model) -> Any:
        """One of the ways to start."""
        return getattr(model, dice.choice(("_default_manager", "_default_manager", "_base_manager")))

    def path(self, dice: Dice, model: Model, kinds: tuple[type, ...] | None = None, hops: int = 2) -> tuple[str, Any]:
        """A lookup path to a field, across up to `hops` relations, and the field."""
        parts: list[str] = []
        for _ in range(hops):
            relations = self.models.relations(model)
            part = dice.part("hop", 0.35)
            if part is None or not relations:
                break
            relation = part.choice(relations)
            parts.append(relation.name)
            model = relation.related_model
        field = dice.choice(self.models.fields(model, kinds))
        return "__".join([*parts, field.attname]), field

    def seen(self, dice: Dice, field: Any) -> Any:
        """A value of some tenant's row."""
        rows = self.world.of(field.model)
        values = [row[field.attname] for row in rows if row.get(field.attname) is not None]
        return dice.choice(values) if values else 0

    def grow(self, dice: Dice, model: Model, depth: int = 2) -> Any:
        """One condition."""
        form = dice.choice(_NESTED if depth > 0 else _FLAT)
        return getattr(self, f"_{form}")(dice.always(form), model, depth - 1)

    def _value(self, dice: Dice, model: Model, depth: int) -> Any:
        path, field = self.path(dice, model, ORDERED)
        return Q(**{path: self.seen(dice, field)})

    def _values(self, dice: Dice, model: Model, depth: int) -> Any:
        path, field = self.path(dice, model, ORDERED)
        return Q(**{f"{path}__in": [self.seen(dice, field) for _ in range(dice.number(1, 4))]})

    def _null(self, dice: Dice, model: Model, depth: int) -> Any:
        relations = self.models.relations(model)
        path = dice.choice(relations).name if relations and dice.chance(0.4) else self.path(dice, model)[0]
        return Q(**{f"{path}__isnull": dice.chance(0.5)})

    def _order(self, dice: Dice, model: Model, depth: int) -> Any:
        path, field = self.path(dice, model, ORDERED)
        return Q(**{f"{path}__{dice.choice(('lte', 'gt'))}": self.seen(dice, field)})

    def _text(self, dice: Dice, model: Model, depth: int) -> Any:
        path, field = self.path(dice, model, ORDERED)
        if python_type(field) is not str:
            return Q(**{path: self.seen(dice, field)})
        return Q(**{f"{path}__{dice.choice(('startswith', 'icontains'))}": str(self.seen(dice, field))[:1]})

    def _columns(self, dice: Dice, model: Model, depth: int) -> Any:
        path, field = self.path(dice, model, ORDERED)
        fits = [each for each in self.models.fields(model, ORDERED) if python_type(each) is python_type(field)]
        other = dice.choice(fits).attname if fits else path
        return Q(**{f"{path}__gte": F(other)})

    def _and(self, dice: Dice, model: Model, depth: int) -> Any:
        return self._q(dice, "left", model, depth) & self._q(dice, "right", model, depth)

    def _or(self, dice: Dice, model: Model, depth: int) -> Any:
        return self._q(dice, "left", model, depth) | self._q(dice, "right", model, depth)

    def _not(self, dice: Dice, model: Model, depth: int) -> Any:
        return ~self._q(dice, "inner", model, depth)

    def _q(self, dice: Dice, name: str, model: Model, depth: int) -> Q:
        return Q(self.grow(dice.always(name), model, depth))

    def _exists(self, dice: Dice, model: Model, depth: int) -> Any:
        nested = self.nested(dice, model, depth)
        return ~Exists(nested) if dice.chance(0.3) else Exists(nested)

    def _in(self, dice: Dice, model: Model, depth: int) -> Any:
        """Values of another queryset; a relation given as a queryset now and then."""
        relations = [each for each in self.models.relations(model) if self.models.owned(each.related_model)]
        if relations and dice.chance(0.4):
            relation = dice.choice(relations)
            return Q(**{f"{relation.name}__in": self.filtered(dice, relation.related_model, depth)})
        field = dice.choice(self.models.fields(model, ORDERED))
        other, its = self.alike(dice, field)
        return Q(**{f"{field.attname}__in": self.filtered(dice, other, depth).values(its.attname)})

    def _scalar(self, dice: Dice, model: Model, depth: int) -> Any:
        field = dice.choice(self.models.fields(model, ORDERED))
        other, its = self.alike(dice, field)
        nested = self.filtered(dice, other, depth).order_by().values(its.attname)
        if dice.chance(0.5):
            pick = dice.choice((Max, Min))
            nested = self.filtered(dice, other, depth).order_by().values(self.models.column)
            nested = nested.annotate(picked=pick(its.attname)).values("picked")
        else:
            nested = nested.order_by(its.attname, "pk")
        return Q(**{f"{field.attname}__lte": Subquery(nested[:1])})

    def _counted(self, dice: Dice, model: Model, depth: int) -> Any:
        nested = self.nested(dice, model, depth).order_by()
        column = self.models.column if self.models.owned(nested.model) else "pk"
        counted = nested.values(column).annotate(n=Count("pk")).values("n")
        field = self.models.fields(model, (int,))
        return Q(**{f"{dice.choice(field).attname}__gte": Subquery(counted[:1])}) if field else Q(Exists(nested))

    def alike(self, dice: Dice, field: Any) -> tuple[Model, Any]:
        """A field of another model with values of the same type."""
        other = dice.choice(self.models.tenants)
        fits = [each for each in self.models.fields(other, ORDERED) if python_type(each) is python_type(field)]
        return (other, dice.choice(fits)) if fits else (field.model, field)

    def nested(self, dice: Dice, model: Model, depth: int) -> QuerySet:
        """A queryset of another model that refers to the outer row."""
        other = dice.choice(self.models.tenants)
        ties = [
            relation.name for relation in self.models.relations(other) if relation.related_model is model
        ]  # fmt: skip
        found = self.filtered(dice, other, depth)
        if ties and dice.chance(0.8):
            return found.filter(**{dice.choice(ties): OuterRef("pk")})
        return found.filter(pk=OuterRef("pk")) if dice.chance(0.5) else found

    def filtered(self, dice: Dice, model: Model, depth: int) -> QuerySet:
        """A queryset with conditions or without."""
        found = self.manager(dice, model).all()
        for _ in range(2):
            if part := dice.part("where", 0.45):
                condition = self.grow(part, model, depth)
                found = found.exclude(condition) if part.chance(0.3) else found.filter(condition)
        return found
