"""Queries over the host's models, run in each of the ways in which a queryset can be consumed."""

from __future__ import annotations

from typing import Any, Final

from asgiref.sync import async_to_sync
from django.db.models import Avg, Case, Count, F, FilteredRelation, Max, Min, Prefetch, Q, Sum, Value, When, Window
from django.db.models.functions import Coalesce, Lag, RowNumber

from ..dice import Dice
from ..values import ORDERED, SUMMED
from .plain import plain
from .queries import Queries
from .schema import accessor, python_type

__all__ = ["FORMS", "Reads"]

FORMS: Final = (
    "values", "values", "values", "instances", "ends", "count", "exists", "aggregate", "annotated", "grouped",
    "window", "compound", "selected", "prefetched", "prefetched", "followed", "followed", "managed", "get",
    "in_bulk", "sliced",
    "distinct", "deferred", "filtered_relation", "iterated", "awaited", "refreshed", "conditional", "contains",
)  # fmt: skip


class Reads:
    """Grows and runs reads; each form gives plain values."""

    def __init__(self, queries: Queries) -> None:
        self.queries: Queries = queries

    def run(self, form: str, dice: Dice) -> Any:
        """Runs one read of the form."""
        return getattr(self, f"_{form}")(dice)

    def _base(self, dice: Dice) -> Any:
        return self.queries.filtered(dice, self.queries.model(dice), 2)

    def _values(self, dice: Dice) -> Any:
        base = self._base(dice)
        paths = [self.queries.path(dice.always("path"), base.model)[0] for _ in range(dice.number(1, 3))]
        if dice.chance(0.5):
            return _sorted(base.values_list(*paths))
        return _sorted(base.values(*paths))

    def _instances(self, dice: Dice) -> Any:
        return _sorted(self._base(dice))

    def _ends(self, dice: Dice) -> Any:
        base = self._base(dice)
        field = dice.choice(self.queries.models.fields(base.model, ORDERED)).attname
        way = dice.choice(("first", "last", "earliest", "latest"))
        if way in ("first", "last"):
            return plain(getattr(base.order_by(field, "pk"), way)())
        return plain(getattr(base, way)(field, "pk"))

    def _count(self, dice: Dice) -> Any:
        base = self._base(dice)
        return base.distinct().count() if dice.part("distinct", 0.3) else base.count()

    def _exists(self, dice: Dice) -> Any:
        return self._base(dice).exists()

    def _aggregate(self, dice: Dice) -> Any:
        base = self._base(dice)
        return {f"a{number}": value for number, value in enumerate(
            base.aggregate(**{f"a{n}": self._sum(dice.always("sum"), base.model) for n in range(2)}).values()
        )}  # fmt: skip

    def _annotated(self, dice: Dice) -> Any:
        base = self._base(dice)
        found = base.annotate(a=self._sum(dice.always("sum"), base.model))
        if part := dice.part("having", 0.4):
            found = found.filter(a__isnull=part.chance(0.5))
        return _sorted(found.values_list("pk", "a"))

    def _grouped(self, dice: Dice) -> Any:
        base = self._base(dice)
        path, _ = self.queries.path(dice.always("key"), base.model, ORDERED, hops=1)
        return _sorted(base.order_by().values(path).annotate(a=self._sum(dice.always("sum"), base.model)))

    def _window(self, dice: Dice) -> Any:
        base = self._base(dice)
        path, _ = self.queries.path(dice.always("path"), base.model, ORDERED, hops=1)
        keys = [F("pk").asc(), F(path).asc()]
        function = dice.choice((Max(path), Count(path), RowNumber(), Lag(path)))
        ordered = keys if isinstance(function, RowNumber | Lag) else None
        partition = [F(self.queries.models.fields(base.model)[0].attname)] if dice.part("partition", 0.4) else None
        found = base.annotate(w=Window(function, partition_by=partition, order_by=ordered))
        return _sorted(found.values_list("w", flat=True)) if dice.chance(0.6) else _sorted(found.values_list("pk", "w"))

    def _compound(self, dice: Dice) -> Any:
        model = self.queries.model(dice)
        sides = [self.queries.filtered(dice.always(side), model, 1).order_by() for side in ("a", "b")]
        field = dice.choice(self.queries.models.fields(model, ORDERED)).attname
        if dice.chance(0.6):
            sides = [side.values_list(field) for side in sides]
        way = dice.choice(("union", "intersection", "difference", "or", "and"))
        if way in ("or", "and"):
            left, right = (self.queries.filtered(dice.always(side), model, 0) for side in ("c", "d"))
            return _sorted(left | right if way == "or" else left & right)
        found = getattr(sides[0], way)(sides[1])
        return found.count() if dice.chance(0.2) else _sorted(found)

    def _selected(self, dice: Dice) -> Any:
        base = self._base(dice)
        names = [each.name for each in self._forward(base.model)]
        found = base.select_related(*dice.some(names, 1, 2)) if names else base
        return _sorted([plain(each), *[self._one(each, name) for name in names]] for each in found)

    def _prefetched(self, dice: Dice) -> Any:
        base = self._base(dice)
        relations = self.queries.models.relations(base.model)
        if not relations:
            return _sorted(base)
        relation = dice.choice(relations)
        name = accessor(relation)
        lookup: Any = name
        further = self.queries.models.relations(relation.related_model)
        if part := dice.part("queryset", 0.4):
            lookup = Prefetch(name, self.queries.filtered(part, relation.related_model, 1))
        elif (part := dice.part("further", 0.4)) and further:
            lookup = f"{name}__{accessor(part.choice(further))}"
        found = base.prefetch_related(lookup)
        return _sorted([plain(each), self._one(each, name)] for each in found)

    def _followed(self, dice: Dice) -> Any:
        """Relations followed from instances, two steps."""
        base = self._base(dice)
        relations = self.queries.models.relations(base.model)
        if not relations:
            return _sorted(base)
        relation = dice.choice(relations)
        further = self.queries.models.relations(relation.related_model)
        name = accessor(relation)
        beyond = accessor(dice.choice(further)) if further and dice.part("further", 0.5) else None
        return _sorted([plain(each), self._one(each, name, beyond)] for each in base[:6])

    def _managed(self, dice: Dice) -> Any:
        """Querysets of related managers."""
        base = self._base(dice)
        many = [
            relation for relation in self.queries.models.relations(base.model)
            if relation.one_to_many or relation.many_to_many
        ]  # fmt: skip
        if not many:
            return _sorted(base)
        relation = dice.choice(many)
        way = dice.choice(("count", "exists", "filter", "values"))
        answers = []
        for each in base.order_by("pk")[:4]:
            manager = getattr(each, accessor(relation))
            found = manager.filter(self.queries.grow(dice.always("where"), relation.related_model, 1))
            answers.append(
                found.count() if way == "count" else manager.exists() if way == "exists"
                else _sorted(found) if way == "filter" else _sorted(manager.values_list("pk", flat=True))
            )  # fmt: skip
        return answers

    def _get(self, dice: Dice) -> Any:
        """By a key that may be another tenant's."""
        model = self.queries.model(dice)
        return plain(self.queries.manager(dice, model).get(pk=self.queries.seen(dice, model._meta.pk)))

    def _in_bulk(self, dice: Dice) -> Any:
        model = self.queries.model(dice)
        keys = [self.queries.seen(dice, model._meta.pk) for _ in range(3)]
        return plain(self.queries.manager(dice, model).in_bulk(keys))

    def _sliced(self, dice: Dice) -> Any:
        base = self._base(dice).distinct()
        start = dice.number(0, 3)
        return plain(list(base.order_by("pk")[start : start + dice.number(1, 3)]))

    def _distinct(self, dice: Dice) -> Any:
        base = self._base(dice)
        path, _ = self.queries.path(dice.always("path"), base.model, ORDERED)
        return _sorted(base.order_by().values_list(path, flat=True).distinct())

    def _deferred(self, dice: Dice) -> Any:
        base = self._base(dice)
        names = [field.attname for field in self.queries.models.fields(base.model) if not field.primary_key]
        chosen = dice.some(names, 1, 2)
        found = base.only(*chosen) if dice.chance(0.5) else base.defer(*chosen)
        return _sorted([plain(each), *[plain(getattr(each, name)) for name in names]] for each in found)

    def _filtered_relation(self, dice: Dice) -> Any:
        base = self._base(dice)
        relations = self.queries.models.relations(base.model)
        if not relations:
            return _sorted(base)
        relation = dice.choice(relations)
        field = dice.choice(self.queries.models.fields(relation.related_model, ORDERED))
        condition = Q(**{f"{relation.name}__{field.attname}__isnull": dice.chance(0.3)})
        found = base.annotate(fr=FilteredRelation(relation.name, condition=condition))
        return _sorted(found.values_list("pk", f"fr__{field.attname}"))

    def _iterated(self, dice: Dice) -> Any:
        return _sorted(self._base(dice).iterator(chunk_size=2))

    def _awaited(self, dice: Dice) -> Any:
        """The asynchronous verbs."""
        base = self._base(dice)
        way = dice.choice(("aexists", "acount", "aget", "all", "afirst"))
        key = self.queries.seen(dice, base.model._meta.pk)

        async def asked() -> Any:
            if way == "all":
                return _sorted([each async for each in base])
            if way == "aget":
                return plain(await base.model._default_manager.aget(pk=key))
            return plain(await getattr(base.order_by("pk"), way)())

        return async_to_sync(asked)()

    def _refreshed(self, dice: Dice) -> Any:
        found = self._base(dice).order_by("pk").first()
        if found is None:
            return None
        names = [field.attname for field in self.queries.models.fields(found)]
        found.refresh_from_db(fields=dice.some(names, 1, 2) if dice.part("fields", 0.5) else None)
        return plain(found)

    def _conditional(self, dice: Dice) -> Any:
        base = self._base(dice)
        when = When(Q(self.queries.grow(dice.always("when"), base.model, 1)), then=Value(1))
        path, _ = self.queries.path(dice.always("path"), base.model, (str,))
        return _sorted(base.annotate(c=Case(when, default=Value(0)), o=Coalesce(path, Value(""))).values_list("c", "o"))

    def _contains(self, dice: Dice) -> Any:
        base = self._base(dice)
        one = base.model._default_manager.order_by("pk").first()
        return None if one is None else base.contains(one)

    # --- parts -----------------------------------------------------------------------------------------------------

    def _sum(self, dice: Dice, model: Any) -> Any:
        path, field = self.queries.path(dice, model, ORDERED, hops=2)
        aggregate = dice.choice((Count, Max, Min, Sum, Avg))
        if aggregate in (Sum, Avg) and not issubclass(python_type(field), SUMMED):
            aggregate = Count
        its: dict[str, Any] = {"distinct": True} if aggregate is Count and dice.chance(0.3) else {}
        if part := dice.part("filter", 0.3):
            its["filter"] = Q(self.queries.grow(part, model, 0))
        return aggregate(path, **its)

    def _forward(self, model: Any) -> list[Any]:
        return [each for each in self.queries.models.relations(model) if each.many_to_one or each.one_to_one]

    def _one(self, instance: Any, name: str, beyond: str | None = None) -> Any:
        """What one relation of an instance leads to, or the error with which it ends."""
        try:
            related = getattr(instance, name)
            found = list(related.all()) if hasattr(related, "all") else [] if related is None else [related]
        except Exception as error:
            if getattr(error, "code", None) is not None:
                raise
            return type(error).__name__
        if beyond is None:
            return _sorted(found)
        return _sorted([plain(each), self._one(each, beyond)] for each in found)


def _sorted(found: Any) -> list[str]:
    return sorted(repr(plain(each)) for each in found)
