"""The physical oracle: random statements, guarded over the shared database, and bare over one that only t1 uses.

A statement is a random query set of a random model: filters and exclusions over random paths of relations,
annotations, aggregates, windows, subqueries, unions, ordering, slices, loading strategies, updates and deletes by row
count. Whatever comes of it, rows or an error, must be the same on both sides.
"""

from __future__ import annotations

from random import Random

from django.db import transaction
from django.db.models import Case, Count, Exists, F, FilteredRelation, Max, Min, OuterRef, Q, Subquery, Value, When
from django.db.models.expressions import Window
from django.db.models.functions import Coalesce, Concat, RowNumber
from dwelling.models import Brief, Cafe, Code, Entry, Node, Note, Place, Project, Root, Tag, Task

MODELS = (Root, Project, Tag, Task, Brief, Place, Cafe, Node, Note, Entry, Code)
TEXTS = ("S1", "S1t", "S1b", "S2", "S2t", "p1", "p2", "x", "S")


def paths(model, depth: int, random: Random) -> list[str]:
    """Random walks along relations that end in a text or key column."""
    found = []
    for _ in range(4):
        at, parts = model, []
        for _ in range(random.randint(0, depth)):
            relations = [
                f for f in at._meta.get_fields() if f.is_relation and f.related_model and f.related_model in MODELS
            ]
            if not relations:
                break
            relation = random.choice(relations)
            parts.append(
                relation.name if not relation.auto_created or relation.concrete else relation.get_accessor_name()
            )
            parts[-1] = parts[-1].removesuffix("_set")
            at = relation.related_model
        columns = [f.name for f in at._meta.concrete_fields if not f.is_relation]
        found.append("__".join([*parts, random.choice(columns)]))
    return found


def condition(model, random: Random) -> Q:
    path = random.choice(paths(model, 3, random))
    is_text = path.rsplit("__", 1)[-1] in {"secret", "name", "title", "text", "menu", "tenant_id"}
    lookup = random.choice(["", "__in", "__isnull", "__gt", "__lt"])
    value = random.choice(TEXTS) if is_text else random.randint(1, 4)
    if lookup == "__in":
        value = [value, random.choice(TEXTS) if is_text else random.randint(1, 4)]
    if lookup == "__isnull":
        value = random.random() < 0.5
    made = Q(**{path + lookup: value})
    if random.random() < 0.3:
        made = ~made
    if random.random() < 0.3:
        made = random.choice([made.__or__, made.__and__])(condition(model, random))
    return made


def narrowed(model, random: Random):
    found = model._default_manager.all() if random.random() < 0.7 else model._base_manager.all()
    for _ in range(random.randint(0, 2)):
        found = random.choice([found.filter, found.exclude])(condition(model, random))
    return found


def annotated(found, model, random: Random):
    path = random.choice(paths(model, 2, random))
    other = random.choice(MODELS)
    inner = narrowed(other, random).filter(pk=OuterRef("pk")).order_by("pk")
    made = random.choice(
        [
            lambda: Count(path, distinct=random.random() < 0.5),
            lambda: Max(path),
            lambda: Min(path, filter=condition(model, random)),
            lambda: F(path),
            lambda: Concat(Value("-"), F(random.choice(text_paths(model, random)))),
            lambda: Coalesce(F(random.choice(text_paths(model, random))), Value("none")),
            lambda: Subquery(inner.values("pk")[:1]),
            lambda: Exists(inner),
            lambda: Window(RowNumber(), order_by="pk"),
            lambda: Window(Max(path)),
            lambda: Case(When(condition(model, random), then=Value(1)), default=Value(0)),
        ]
    )()
    return found.annotate(a=made)


def text_paths(model, random: Random) -> list[str]:
    kinds = ("secret", "name", "title", "text", "menu")
    for _ in range(20):
        found = [path for path in paths(model, 2, random) if path.rsplit("__", 1)[-1] in kinds]
        if found:
            return found
    return ["pk"]


def rows(found) -> list:
    return sorted((repr(row) for row in found), key=str)


def statement(seed: int):
    """What a seed stands for: a value, or the name of an error."""
    random = Random(seed)
    model = random.choice(MODELS)
    found = narrowed(model, random)
    shape = random.randrange(14)
    if shape == 0:
        return found.count(), found.exists()
    if shape == 1:
        return found.aggregate(
            n=Count(random.choice(paths(model, 2, random))), m=Max(random.choice(paths(model, 2, random)))
        )
    if shape == 2:
        return rows(annotated(found, model, random).values_list("pk", "a"))
    if shape == 3:
        path = random.choice(paths(model, 2, random))
        return rows(found.values(path).annotate(n=Count("pk")).order_by().values_list(path, "n"))
    if shape == 4:
        return list(
            found.order_by(random.choice(paths(model, 2, random)), "pk").values_list("pk")[: random.randint(1, 5)]
        )
    if shape == 5:
        second = narrowed(model, random)
        way = random.choice(["union", "difference", "intersection"])
        return rows(getattr(found.values_list("pk"), way)(second.values_list("pk")))
    if shape == 6:
        return rows(found.values_list(*paths(model, 3, random)[:2]))
    if shape == 7:
        return rows(found.distinct().values_list(random.choice(paths(model, 2, random))))
    if shape == 8:
        return related(found, model, random)
    if shape == 9:
        hit = annotated(found, model, random).filter(a__isnull=False)
        return hit.count(), rows(hit.values_list("pk"))
    if shape == 10:
        return rows(random.choice(MODELS)._default_manager.filter(pk__in=found.values("pk")).values_list("pk"))
    if shape == 11:
        return counted(found, random)
    if shape == 12:
        return conditioned(found, model, random)
    return rows(found.values_list()), found.filter(pk__in=narrowed(model, random)).count()


def related(found, model, random: Random) -> list:
    """The loading strategies: select_related and prefetch_related along a random relation."""
    forward = [f.name for f in model._meta.fields if f.is_relation and f.related_model in MODELS]
    backward = [
        f.get_accessor_name() for f in model._meta.related_objects if not f.one_to_one and f.related_model in MODELS
    ]
    many = [f.name for f in model._meta.many_to_many]
    if forward and random.random() < 0.5:
        name = random.choice(forward)
        return rows((each.pk, getattr(each, name) and getattr(each, name).pk) for each in found.select_related(name))
    if backward or many:
        name = random.choice(backward + many)
        return rows((each.pk, sorted(o.pk for o in getattr(each, name).all())) for each in found.prefetch_related(name))
    return rows(each.pk for each in found)


def counted(found, random: Random) -> tuple:
    """Writes, undone: how many rows they reach."""
    field = next(
        f.name for f in found.model._meta.concrete_fields if f.name in {"secret", "name", "title", "text", "menu"}
    )
    with transaction.atomic(using=found.db):
        reached = found.update(**{field: Concat(F("pk"), Value(random.choice(TEXTS)))}) if random.random() < 0.7 else (
            found._raw_delete(found.db) if found.model in {Note, Code, Entry, Brief} else -1)  # fmt: skip
        transaction.set_rollback(True, using=found.db)
    return (reached,)


def conditioned(found, model, random: Random) -> list:
    relations = [
        f for f in model._meta.get_fields() if f.is_relation and f.related_model in MODELS and f.name != "notes"
    ]
    if not relations:
        return []
    relation = random.choice(relations).name
    joined = found.annotate(j=FilteredRelation(relation, condition=Q(**{f"{relation}__pk__gt": random.randint(0, 2)})))
    return rows(joined.values_list("pk", "j__pk"))
