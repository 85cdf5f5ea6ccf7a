"""Changes over the host's models: querysets, instances, bulk verbs and links. All of it is legal work."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Case, F, Q, Subquery, Value, When

from ..dice import Dice
from ..values import ORDERED, SUMMED, value_of
from .plain import plain
from .queries import Queries
from .schema import Models, accessor, aware, python_type

__all__ = ["FORMS", "Writes"]

FORMS: Final = (
    "update", "update", "update_nested", "update_case", "delete", "delete", "saved", "removed", "created",
    "bulk_created", "bulk_updated", "got_or_created", "updated_or_created", "linked", "collected", "upserted",
)  # fmt: skip

_NEW: Final = 100_000


class Writes:
    """Grows and runs changes.

    Args:
        explicit: whether new rows name their tenant, as they must where nothing stamps them.
    """

    def __init__(self, queries: Queries, *, explicit: bool) -> None:
        self.queries: Queries = queries
        self.explicit: bool = explicit

    def run(self, form: str, dice: Dice) -> Any:
        """Runs one change of the form."""
        return getattr(self, f"_{form}")(dice)

    def _update(self, dice: Dice) -> Any:
        model, field = self._field(dice)
        value: Any = self._fresh(dice, field)
        if issubclass(python_type(field), SUMMED) and python_type(field) is not bool and dice.chance(0.4):
            value = F(field.attname) + 1
        return self.queries.filtered(dice, model, 2).update(**{field.attname: value})

    def _update_nested(self, dice: Dice) -> Any:
        """To what a subquery says."""
        model, field = self._field(dice)
        other, its = self.queries.alike(dice, field)
        nested = self.queries.filtered(dice, other, 1).order_by(its.attname, "pk").values(its.attname)[:1]
        if not field.null:
            return self._update(dice)
        return self.queries.filtered(dice.always("outer"), model, 1).update(**{field.attname: Subquery(nested)})

    def _update_case(self, dice: Dice) -> Any:
        model, field = self._field(dice)
        flat = [each for each in self.queries.models.fields(model, ORDERED) if each.model is model]
        asked = dice.choice(flat)
        when = When(
            Q(**{f"{asked.attname}__gte": self.queries.seen(dice, asked)}), then=Value(self._fresh(dice, field))
        )
        changed = Case(when, default=F(field.attname), output_field=type(field)(**_sized(field)))
        return self.queries.filtered(dice, model, 1).update(**{field.attname: changed})

    def _delete(self, dice: Dice) -> Any:
        return _counts(self.queries.filtered(dice, self._model(dice), 2).delete(), self.queries.models)

    def _saved(self, dice: Dice) -> Any:
        """Instances that are changed and saved one by one."""
        model, field = self._field(dice)
        found = list(self.queries.filtered(dice, model, 1).order_by("pk")[:3])
        for each in found:
            setattr(each, field.attname, self._fresh(dice, field))
            each.save(update_fields=[field.attname] if dice.part("fields", 0.4) else None)
        return len(found)

    def _removed(self, dice: Dice) -> Any:
        found = self.queries.filtered(dice, self._model(dice), 1).order_by("pk").first()
        return None if found is None else _counts(found.delete(), self.queries.models)

    def _created(self, dice: Dice) -> Any:
        model, rows = self._new(dice, 1)
        return plain(model._default_manager.create(**rows[0]))

    def _bulk_created(self, dice: Dice) -> Any:
        model, rows = self._new(dice, dice.number(1, 3))
        if model._meta.parents:
            return plain(model._default_manager.create(**rows[0]))
        options = {"ignore_conflicts": True} if dice.part("ignore", 0.2) else {}
        return len(model._default_manager.bulk_create([model(**row) for row in rows], **options))

    def _upserted(self, dice: Dice) -> Any:
        """Inserts, with an update where the key is there: of own rows."""
        model, field = self._field(dice)
        if model._meta.parents:
            return self._update(dice)
        found = list(self.queries.filtered(dice, model, 1).order_by("pk")[:2])
        for each in found:
            setattr(each, field.attname, self._fresh(dice, field))
        if not found:
            return 0
        keys = [model._meta.pk.name]
        model._default_manager.bulk_create(found, update_conflicts=True, unique_fields=keys, update_fields=[field.name])
        return len(found)

    def _bulk_updated(self, dice: Dice) -> Any:
        model, field = self._field(dice)
        found = list(self.queries.filtered(dice, model, 1).order_by("pk")[:3])
        for each in found:
            setattr(each, field.attname, self._fresh(dice, field))
        return model._default_manager.bulk_update(found, [field.name]) if found else 0

    def _got_or_created(self, dice: Dice) -> Any:
        model, rows = self._new(dice, 1)
        key = model._meta.pk.attname
        found = self.queries.filtered(dice, model, 1).order_by("pk").first()
        wanted = rows[0].pop(key) if found is None or dice.chance(0.5) else getattr(found, key)
        got, made = model._default_manager.get_or_create(**{key: wanted}, defaults={
            name: value for name, value in rows[0].items() if name != key
        })  # fmt: skip
        return plain(got), made

    def _updated_or_created(self, dice: Dice) -> Any:
        model, field = self._field(dice)
        found = self.queries.filtered(dice, model, 1).order_by("pk").first()
        if found is None:
            return None
        got, made = model._default_manager.update_or_create(
            pk=found.pk, defaults={field.attname: self._fresh(dice, field)}
        )
        return plain(got), made

    def _linked(self, dice: Dice) -> Any:
        """Many-to-many links to own rows."""
        fits = [model for model in self.queries.models.tenants if self._many(model)]
        if not fits:
            return self._update(dice)
        model = dice.choice(fits)
        relation = dice.choice(self._many(model))
        one = self.queries.filtered(dice, model, 1).order_by("pk").first()
        others = list(self.queries.filtered(dice.always("others"), relation.related_model, 1).order_by("pk")[:2])
        if one is None:
            return None
        manager = getattr(one, accessor(relation))
        way = dice.choice(("add", "remove", "set", "clear", "keys"))
        if way == "clear":
            manager.clear()
        elif way == "set":
            manager.set(others, clear=dice.chance(0.3))
        elif way == "keys":
            manager.add(*[each.pk for each in others])
        else:
            getattr(manager, way)(*others)
        return sorted(repr(plain(each)) for each in manager.all())

    def _collected(self, dice: Dice) -> Any:
        """Changes through the manager of a reverse relation."""
        many = [
            (model, relation) for model in self.queries.models.tenants
            for relation in self.queries.models.relations(model)
            if relation.one_to_many and self.queries.models.owned(relation.related_model)
        ]  # fmt: skip
        if not many:
            return self._update(dice)
        model, relation = dice.choice(many)
        one = self.queries.filtered(dice, model, 1).order_by("pk").first()
        fits = [each for each in self.queries.models.settable(relation.related_model)]
        if one is None or not fits:
            return None
        manager = getattr(one, accessor(relation))
        field = dice.choice(fits)
        if dice.chance(0.5):
            return manager.filter(self.queries.grow(dice, relation.related_model, 1)).update(
                **{field.attname: self._fresh(dice, field)}
            )
        return _counts(manager.all().delete(), self.queries.models)

    # --- parts -----------------------------------------------------------------------------------------------------

    def _model(self, dice: Dice) -> Any:
        return dice.choice([model for model in self.queries.models.tenants if not model._meta.proxy])

    def _many(self, model: Any) -> list[Any]:
        return [
            relation for relation in self.queries.models.relations(model)
            if relation.many_to_many and self.queries.models.owned(relation.related_model)
            and getattr(relation, "remote_field", None) is not None
            and (relation if not relation.auto_created else relation.field).remote_field.through._meta.auto_created
        ]  # fmt: skip

    def _field(self, dice: Dice) -> tuple[Any, Any]:
        """A model, and a field that may be changed."""
        fits = [model for model in self.queries.models.tenants if self.queries.models.settable(model)]
        model = dice.choice(fits)
        return model, dice.choice(self.queries.models.settable(model))

    def _fresh(self, dice: Dice, field: Any) -> Any:
        if dice.chance(0.4) or field.choices:
            return self.queries.seen(dice, field)
        return value_of(python_type(field), dice.number(0, 9), unique=False, length=field.max_length, aware=aware())

    def _new(self, dice: Dice, count: int) -> tuple[Any, list[dict[str, Any]]]:
        """A model without parents, and rows for it by attribute name."""
        models, world = self.queries.models, self.queries.world
        model = dice.choice([each for each in models.tenants if not each._meta.parents and not each._meta.proxy])
        start = _NEW + dice.number(1, _NEW)
        rows = []
        for number in range(count):
            row = world.row(world.twin(model), world.tenants[0], start + number, corrupt=0.0, dice=dice)
            if not self.explicit:
                del row[models.column]
            rows.append(row)
        return model, rows


def _counts(deleted: tuple[int, dict[str, int]], models: Models) -> Any:
    """How many of each model; links are left out, because one to another tenant's row goes with its end, too."""
    return sorted((label, count) for label, count in deleted[1].items() if label in models.by_label)


def _sized(field: Any) -> dict[str, Any]:
    """What a copy of a field for an expression must say about its size."""
    names = ("max_length", "max_digits", "decimal_places")
    return {name: value for name in names if (value := getattr(field, name, None)) is not None}
