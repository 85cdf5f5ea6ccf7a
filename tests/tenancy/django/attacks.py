"""Attacks on the guard, from code that runs in t1's scope. Each function is one; its value must not hold S2.

`below` is the database without guard: a function that writes returns what it finds there, as ``S2`` where the attack
came through. Functions marked `nobody` run without a tenant and must raise.
"""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import re
from dataclasses import replace
from functools import cached_property

import django
import house
from django.contrib import admin
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.core import serializers
from django.db import connection, models, transaction
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    Func,
    Max,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.expressions import RawSQL, Window
from django.db.models.functions import Coalesce, Concat, Lower, RowNumber
from django.forms import ModelChoiceField, inlineformset_factory, modelform_factory, modelformset_factory
from django.test import RequestFactory
from dwelling.models import Brief, Cafe, Code, Entry, Ledger, Named, Node, Note, Place, Project, Root, Tag, Task

from wellstreak_trust.tenancy import tenant_scope, testing_context
from wellstreak_trust.tenancy.django import unscoped

S2 = "S2"


def nobody(function):
    function.tenant = None
    return function


def secrets(found):
    return [each.secret for each in found]


def changed(below, table, ids, **columns):
    """S2 where a row of t2 is gone or reads differently."""
    names = [name.strip() for name in house.TABLES[table].split(",")]
    rows = {row[0]: dict(zip(names, row, strict=True)) for row in below.sql(f"select {', '.join(names)} from {table}")}
    was = {row[0]: dict(zip(names, row, strict=True)) for row in house.ROWS[table]}
    keys = [name for name in names if name != "kind_id"]
    return [S2 for each in ids if each not in rows or any(rows[each][key] != was[each][key] for key in keys)]


def attempt(function, *args, **kwargs):
    """Goes on after a refusal, so that what is below can be looked at."""
    try:
        with transaction.atomic():
            return function(*args, **kwargs)
    except Exception as refused:
        return type(refused).__name__


# --- reading ------------------------------------------------------------------------------------------------------


def default_manager(below):
    return secrets(Project._default_manager.all())


def manager_made_by_hand(below):
    manager = models.Manager()
    manager.model = Project
    return secrets(manager.all()) + secrets(models.QuerySet(Project))


def plain_manager_of_a_tenant_model(below):
    return secrets(Code.plain.all())


def get_by_foreign_key_value(below):
    return Project.objects.get(pk=2).secret


def in_bulk(below):
    return [each.secret for each in Project.objects.in_bulk([1, 2, 3]).values()]


def iterator(below):
    return secrets(Project.objects.iterator(chunk_size=1))


def values_and_lists(below):
    return [list(Project.objects.values()), list(Project.objects.values_list()), list(Project.objects.values("secret"))]


def dates_and_distinct(below):
    return list(Project.objects.order_by("secret").distinct().values_list("secret"))


def union(below):
    return secrets(Project.objects.filter(id=1).union(Project.objects.all(), all=True))


def intersection_and_difference(below):
    both = Project.objects.all().intersection(Project._base_manager.all())
    return secrets(both) + secrets(Project.objects.all().difference(Project.objects.filter(id=1)))


def union_of_values_across_models(below):
    return list(Tag.objects.values_list("name").union(Project.objects.values_list("secret")))


def count_oracle(below):
    return S2 if Project.objects.count() != 2 or Project.objects.filter(pk=2).count() else ""


def exists_oracle(below):
    return S2 if Project.objects.filter(pk=2).exists() or Project.objects.contains(Project(pk=2)) else ""


def aggregate(below):
    return Project.objects.aggregate(m=Max("secret"), n=Count("id"), f=Count("id", filter=Q(secret="S2")))


def aggregate_over_a_join(below):
    return [Task.objects.aggregate(m=Max("project__secret")), Entry.objects.aggregate(m=Max("project__secret"))]


def annotation_over_a_reverse_join(below):
    counted = Project.objects.annotate(n=Count("task"), m=Max("task__title")).order_by("id")
    return [S2 for each in counted if each.n != len({1: [1]}.get(each.id, []))] + list(counted.values_list("m"))


def group_by_foreign_column(below):
    return list(Task.objects.values("project__secret").annotate(n=Count("id")).order_by())


def order_by_foreign_column(below):
    return [S2] if [each.id for each in Task.objects.order_by("-project__secret", "id")] not in ([1, 3], [3, 1]) else []


def f_expression_across_a_join(below):
    return list(Task.objects.annotate(s=Concat(F("project__secret"), Value("!"))).values_list("s"))


def exclude_across_a_join(below):
    return [S2 for each in Task.objects.exclude(project__secret="S2") if each.id not in {1, 3}]


def exclude_oracle_over_many(below):
    kept = [each.id for each in Tag.objects.exclude(task__title="S2t")]
    return [] if kept == [1] else [S2]


def q_objects(below):
    return list(Task.objects.filter(Q(project__secret="S2") | Q(title="S1t")).values_list("project__secret"))


def q_that_is_always_true(below):
    return secrets(Project.objects.filter(Q(pk=2) | ~Q(pk=None) | Q(pk__isnull=False)))


def or_of_query_sets(below):
    return secrets(Project.objects.filter(pk=1) | Project._base_manager.filter(pk=2))


def filtered_relation(below):
    joined = Project.objects.annotate(t=FilteredRelation("task", condition=Q(task__id__gt=0)))
    return list(joined.values_list("t__title"))


def filtered_relation_forward(below):
    joined = Task.objects.annotate(p=FilteredRelation("project", condition=Q(project__id__gt=0)))
    return list(joined.values_list("p__secret"))


def window(below):
    rows = Project.objects.annotate(n=Window(RowNumber(), order_by="id"), m=Window(Max("secret")))
    return list(rows.values_list("n", "m")) + list(rows.filter(n__gte=1).values_list("m"))


def window_over_a_join(below):
    return list(Task.objects.annotate(m=Window(Max("project__secret"))).values_list("m"))


def subquery_in_filter(below):
    return list(Tag.objects.filter(id__in=Project._base_manager.filter(secret="S2").values("id")).values_list())


def subquery_of_a_shared_model(below):
    inner = Project.objects.filter(pk=OuterRef("project_id")).values("secret")
    return list(Entry.objects.annotate(s=Subquery(inner)).values_list("s"))


def exists_of_a_shared_model(below):
    hit = Entry.objects.filter(Exists(Project.objects.filter(pk=OuterRef("project_id"), secret="S2")))
    return [S2 for _ in hit]


def shared_model_joins_into_tenants(below):
    return [
        list(Entry.objects.values_list("project__secret")),
        [each.project and each.project.secret for each in Entry.objects.select_related("project")],
        [S2 for _ in Entry.objects.filter(project__secret="S2")],
    ]


def shared_model_forward_access(below):
    return Entry.objects.get(pk=2).project.secret


def reverse_relation_of_a_shared_root(below):
    return secrets(Root.objects.get(pk="t2").place_set.all()) + list(Root.objects.values_list("place__secret"))


def prefetch_from_a_shared_root(below):
    return [secrets(root.place_set.all()) for root in Root.objects.prefetch_related("place_set")]


def reverse_manager_of_a_forged_parent(below):
    return [task.title for task in Project(pk=2, tenant_id="t1").task_set.all() if task.title.startswith(S2)]


def reverse_one_to_one(below):
    return [attempt(lambda pk=pk: Project.objects.get(pk=pk).brief.secret) for pk in (1, 3)]


def reverse_one_to_one_selected(below):
    return [
        getattr(project, "brief", None) and project.brief.secret for project in Project.objects.select_related("brief")
    ]


def forward_one_to_one_of_a_forged_instance(below):
    return Brief(pk=9, project_id=2, tenant_id="t1").project.secret


def many_to_many_filter_by_foreign_key_value(below):
    return [S2 for _ in Task.objects.filter(tags=2)] + [S2 for _ in Task.objects.filter(tags__in=[2])]


def many_to_many_count(below):
    return [S2 for each in Task.objects.annotate(n=Count("tags")) if each.n > (each.id == 1)]


def many_to_many_reverse(below):
    return [[task.title for task in tag.task_set.all()] for tag in (Tag(pk=2), Tag.objects.get(pk=1))]


def many_to_many_prefetch(below):
    return [[tag.name for tag in task.tags.all()] for task in Task.objects.prefetch_related("tags")]


def many_to_many_through_values(below):
    through = Task.tags.through.objects
    return [S2 for row in through.values("task_id", "tag_id") if row != {"task_id": 1, "tag_id": 1}]


def many_to_many_through_count(below):
    return S2 if Task.tags.through.objects.count() != 1 or Task.tags.through._base_manager.count() != 1 else ""


def prefetch_object_with_a_base_manager(below):
    found = Project.objects.prefetch_related(Prefetch("task_set", queryset=Task._base_manager.all(), to_attr="got"))
    return [task.title for project in found for task in project.got]


def prefetch_nested(below):
    found = Task.objects.prefetch_related("project__task_set__project", "tags__task_set")
    return [other.title for each in found if each.project for other in each.project.task_set.all()]


def generic_foreign_key(below):
    return [note.about and note.about.secret for note in Note.objects.all()]


def generic_foreign_key_prefetched(below):
    return [note.about and note.about.secret for note in Note.objects.prefetch_related("about")]


def generic_relation(below):
    return [
        [note.secret for note in Project(pk=2).notes.all() if note.secret.startswith(S2)],
        list(Project.objects.values_list("notes__secret")),
        [S2 for each in Project.objects.annotate(n=Count("notes")) if each.n > 1],
    ]


def multi_table_child(below):
    return [[(cafe.menu, cafe.secret) for cafe in Cafe.objects.all()], list(Cafe.objects.values_list("menu"))]


def multi_table_child_without_its_parent(below):
    return list(Cafe.objects.values_list("menu", flat=True)) + [
        S2 for _ in Cafe.objects.filter(menu="S2me").only("menu")
    ]


def multi_table_child_from_its_parent(below):
    return list(Place.objects.values_list("cafe__menu")) + [S2 for _ in Place.objects.filter(cafe__menu="S2me")]


def multi_table_child_of_a_forged_parent(below):
    return Place(pk=2).cafe.menu


def proxy(below):
    return secrets(Named.objects.all()) + secrets(Named.objects.named("p2"))


def self_join(below):
    return [
        list(Node.objects.values_list("parent__secret")),
        list(Node.objects.values_list("children__secret")),
        [node.parent and node.parent.secret for node in Node.objects.select_related("parent")],
    ]


def deferred_field_of_a_forged_instance(below):
    forged = Project(pk=2, tenant_id="t1")
    del forged.__dict__["secret"]
    return forged.secret


def deferred_loading(below):
    return [project.secret for project in Project.objects.defer("secret", "tenant_id")] + secrets(
        Project.objects.only("id")
    )


def refresh_a_forged_instance(below):
    forged = Project(pk=2, tenant_id="t2")
    forged.refresh_from_db(fields=["secret"])
    return forged.secret


def refresh_from_a_queryset(below):
    forged = Project(pk=2, tenant_id="t1")
    newer = {} if django.VERSION < (5, 1) else {"from_queryset": Project._base_manager.all()}
    forged.refresh_from_db(**newer)
    return forged.secret


def neighbours(below):
    own = Code.objects.get(pk=1)
    return [attempt(lambda: own.__class__.objects.latest("id").secret), Project.objects.earliest("-secret").secret]


def latest_first_last(below):
    return [Project.objects.latest().secret, Project.objects.last().secret, Project.objects.order_by("-id")[0].secret]


def slices(below):
    return secrets(Project.objects.order_by("-secret")[:1]) + [Project.objects.order_by("-secret")[1].secret]


def locked_rows(below):
    with transaction.atomic():
        return secrets(Project.objects.select_for_update().all())


def explain(below):
    return S2 if "t2" in Project.objects.all().explain() else ""


def natural_key(below):
    return Code.plain.get_by_natural_key("b").secret


def serialised(below):
    return serializers.serialize("json", Project._base_manager.all())


def deserialised_references(below):
    body = json.dumps([{"model": "house.task", "pk": 90, "fields": {"tenant_id": "t1", "project": 2, "title": "x"}}])
    attempt(lambda: [each.save() for each in serializers.deserialize("json", body)])
    return [S2 for _ in below.sql("select 1 from task where id = 90")]


def another_company(below):
    context = testing_context("t1")
    with tenant_scope(replace(context, company_id="c1")):
        attempt(Ledger.objects.filter(pk=3).update, secret="x")
        attempt(Ledger.objects.filter(pk=1).update, company_id="c2")
        attempt(Ledger.objects.create, company_id="c2", secret="x")
        attempt(Ledger(pk=3, tenant_id="t1", company_id="c2", secret="x").save)
        attempt(Ledger.objects.filter(pk=3).delete)
        seen = secrets(Ledger.objects.all())
    rows = below.sql("select id, company_id, secret from ledger where id <> 2 order by id")
    return seen if seen == ["S1l"] and rows == [(1, "c1", "S1l"), (3, "c2", "S1m")] else S2


def async_verbs(below):
    async def go():
        rows = [each.secret async for each in Project.objects.all()]
        one = await Project.objects.filter(pk=2).afirst()
        bulk = await Project.objects.ain_bulk([2])
        many = [each.secret async for each in Project.objects.aiterator()]
        return [
            rows,
            one,
            bulk,
            many,
            await Project.objects.aaggregate(m=Max("secret")),
            await Project.objects.acount() != 2,
        ]

    return asyncio.run(go())


# --- fetched in another scope -------------------------------------------------------------------------------------


class Holder:
    @cached_property
    def projects(self):
        return Project.objects.order_by("id")


@nobody
def rows_cached_in_another_scope(below):
    holder = Holder()
    with house.scope("t2"):
        secrets(holder.projects)
    with house.scope("t1"):
        return [secrets(holder.projects), len(holder.projects), holder.projects[0].secret, holder.projects.count()]


@nobody
def rows_cached_in_another_scope_and_pickled(below):
    with house.scope("t2"):
        packed = pickle.dumps(Project.objects.all())
    with house.scope("t1"):
        return secrets(pickle.loads(packed)) + secrets(copy.deepcopy(pickle.loads(packed)))


@nobody
def pickled_query(below):
    with house.scope("t2"):
        packed = pickle.dumps(Project.objects.all().query)
    with house.scope("t1"):
        found = Project.objects.all()
        found.query = pickle.loads(packed)
        return secrets(found)


@nobody
def iterator_begun_in_another_scope(below):
    with house.scope("t2"):
        rows = Project.objects.iterator(chunk_size=1)
        tags = Tag.objects.values_list("name", flat=True).iterator(chunk_size=1)
    with house.scope("t1"):
        return [each.secret for each in rows] + list(tags)


@nobody
def iterator_taken_over_from_another_scope(below):
    found = Task.objects.order_by("id").iterator(chunk_size=1)
    with house.scope("t2"):
        next(found)
    with house.scope("t1"):
        return [task.title for task in found]


@nobody
def prefetched_in_another_scope(below):
    with house.scope("t2"):
        project = Project.objects.prefetch_related("task_set").get(pk=2)
    with house.scope("t1"):
        return [task.title for task in project.task_set.all() if task.title.startswith(S2)]


@nobody
def subquery_built_in_another_scope(below):
    with house.scope("t2"):
        inner = Project.objects.filter(secret="S2")
        list(inner)
    with house.scope("t1"):
        return list(Tag.objects.filter(id__in=inner.values("id"))) + [S2 for _ in Tag.objects.filter(Exists(inner))]


@nobody
def proven_in_another_scope(below):
    with house.scope("t2"):
        theirs = Project.objects.get(pk=2)
        made = Project.objects.create(name="n", secret="s")
    theirs.tenant_id = made.tenant_id = "t1"
    with house.scope("t1"):
        attempt(Task.objects.create, project=theirs, title="n")
        attempt(Task.objects.create, project=pickle.loads(pickle.dumps(made)), title="o")
    return [S2 for _ in below.sql("select 1 from task where id > 100")]


@nobody
def saved_in_another_scope(below):
    with house.scope("t2"):
        project = Project.objects.get(pk=2)
    project.secret = "x"
    with house.scope("t1"):
        attempt(project.save)
        attempt(project.save, update_fields=["secret"])
        attempt(project.save, force_update=True)
        attempt(project.delete)
    return changed(below, "project", [2])


@nobody
def choices_fetched_in_another_scope(below):
    field = ModelChoiceField(Project.objects.all())
    with house.scope("t2"):
        list(field.choices)
        list(field.queryset)
    with house.scope("t1"):
        return [str(list(field.choices)), str(field.widget.render("x", None)), list(field.queryset.values("secret"))]


# --- writing ------------------------------------------------------------------------------------------------------


def update_by_every_manager(below):
    for manager in (Project.objects, Project._base_manager, models.QuerySet(Project)):
        manager.filter(pk=2).update(secret="x")
        manager.update(name="y")
        models.QuerySet(Project).filter(Q(pk=2) | Q(pk=1)).update(secret=F("name"))
    return changed(below, "project", [2])


def update_across_a_join(below):
    Project.objects.filter(task__title__startswith="S").update(secret="x")
    Task.objects.filter(project__secret="S2").update(title="x")
    return changed(below, "project", [2]) + changed(below, "task", [2, 3, 4])


def update_oracle(below):
    return S2 if Project.objects.filter(pk=2).update(secret="x") else ""


def update_of_the_tenant_by_expression(below):
    for value in ("t2", Value("t2"), F("name"), Concat(Value("t"), Value("2"))):
        attempt(Project.objects.filter(pk=1).update, tenant_id=value)
    attempt(Project.objects.filter(pk=1).update, tenant_id=Case(When(pk=1, then=Value("t2")), default=Value("t1")))
    return [S2 for _ in below.sql("select 1 from project where id = 1 and tenant_id <> 't1'")]


def update_of_a_foreign_key(below):
    tasks = Task.objects.filter(pk=1)
    foreign = Project(pk=2, tenant_id="t2")
    for value in (
        2,
        "2",
        foreign,
        Value(2),
        Case(When(pk=1, then=Value(2))),
        F("id") + 1,
        Coalesce(Value(2), Value(1)),
    ):
        attempt(tasks.update, project=value)
    attempt(tasks.update, project_id=2)
    attempt(tasks.update, project=RawSQL("1 + 1", []))
    attempt(tasks.update, project=Subquery(Tag.objects.annotate(n=F("id") + 1).values("n")[:1]))
    return [S2 for _ in below.sql("select 1 from task where id = 1 and project_id = 2")]


def saved_with_a_foreign_parent(below):
    own = Task.objects.get(pk=1)
    own.project_id = 2
    attempt(own.save)
    attempt(own.save, update_fields=["project"])
    attempt(Task(project_id=2, title="n").save)
    attempt(Task.objects.create, project_id=2, title="o")
    attempt(Task.objects.bulk_create, [Task(project_id=2, title="p"), Task(project_id=1, title="q")])
    attempt(Task.objects.bulk_create, [Task(project_id=2, title="r")], ignore_conflicts=True)
    attempt(Task.objects.get_or_create, title="s", defaults={"project_id": 2})
    attempt(Task.objects.update_or_create, title="S1t", defaults={"project_id": 2})
    return [S2 for _ in below.sql("select 1 from task where project_id = 2 and id not in (2, 3)")]


def assigned_foreign_parent(below):
    own = Task.objects.get(pk=1)

    def assign():
        own.project = Project(pk=2, tenant_id="t2")

    if attempt(assign) != "CrossTenantWrite":
        return S2
    own.project = Project(pk=2, tenant_id="t1")  # a lie; the write sees through it
    attempt(own.save)
    return [S2 for _ in below.sql("select 1 from task where id = 1 and project_id = 2")]


def instances_that_prove_too_much(below):
    own = Project.objects.get(pk=1)
    own.pk = 2  # what it proved was its key as it was read
    attempt(Task.objects.create, project=own, title="n")
    made = Project.objects.create(name="n", secret="s")
    made.id = 2
    attempt(Task.objects.create, project=made, title="o")
    partial = Project.objects.only("name").get(pk=3)
    partial.pk = 2
    attempt(Task.objects.create, project=partial, title="p")
    with unscoped("a case of the battery"):
        foreign = Project.objects.filter(pk=2).first() or Project(pk=2, tenant_id="t2")
    foreign.tenant_id = "t1"
    attempt(Task.objects.create, project=foreign, title="q")
    attempt(Brief.objects.bulk_create, [Brief(project=foreign, secret="x")])
    task = Task(project=Project.objects.get(pk=1), title="r")
    task.project_id = 2
    attempt(task.save)
    return [S2 for _ in below.sql("select 1 from task where project_id = 2 and id not in (2, 3)")] + [
        S2 for _ in below.sql("select 1 from brief where project_id = 2 and id <> 2")
    ]


def bulk_update_of_a_foreign_key(below):
    task = Task.objects.get(pk=1)
    task.project_id = 2
    attempt(Task.objects.bulk_update, [task], ["project"])
    attempt(Task.objects.bulk_update, [Task(pk=2, tenant_id="t1", title="x")], ["title"])
    moved = Project.objects.get(pk=1)
    moved.tenant_id = "t2"
    attempt(Project.objects.bulk_update, [moved], ["tenant_id"])
    return (
        [S2 for _ in below.sql("select 1 from task where id = 1 and project_id = 2")]
        + changed(below, "task", [2, 4])
        + [S2 for _ in below.sql("select 1 from project where id = 1 and tenant_id <> 't1'")]
    )


def bulk_create_for_another_tenant(below):
    attempt(Project.objects.bulk_create, [Project(tenant_id="t2", name="n", secret="i")])
    attempt(Project.objects.bulk_create, [Project(tenant_id="t2", name="n", secret="i")], ignore_conflicts=True)
    attempt(Project._base_manager.create, tenant_id="t2", name="n", secret="i")
    attempt(Project.objects.get_or_create, name="zz", defaults={"tenant_id": "t2", "secret": "i"})
    attempt(Project.objects.update_or_create, name="zz", defaults={"tenant_id": "t2", "secret": "i"})
    attempt(Project(tenant_id="t2", name="n", secret="i").save_base, raw=True)
    attempt(Project(tenant_id="t2", name="n", secret="i").save, force_insert=True)
    attempt(Project.objects.create, tenant_id=Value("t2"), name="n", secret="i")
    return [S2 for _ in below.sql("select 1 from project where id > 100 and tenant_id <> 't1'")]


def upsert_onto_a_foreign_row(below):
    for fields in (["id"], ["title"]):
        task = Task(pk=2 if fields == ["id"] else 70, title="S2t", project_id=1)
        attempt(
            Task.objects.bulk_create, [task], update_conflicts=True, unique_fields=fields, update_fields=["project"]
        )
        mixed = [Task(pk=60, title="fine"), task]
        attempt(Task.objects.bulk_create, mixed, update_conflicts=True, unique_fields=fields, update_fields=["project"])
    return changed(below, "task", [2, 4])


def upsert_that_moves(below):
    forged = Project(pk=1, name="n", secret="x")
    forged.tenant_id = "t2"
    attempt(
        Project.objects.bulk_create, [forged], update_conflicts=True, unique_fields=["id"], update_fields=["tenant_id"]
    )
    return [S2 for _ in below.sql("select 1 from project where id = 1 and tenant_id <> 't1'")]


def forged_instances(below):
    for tenant in ("t1", "t2", "", None):
        forged = Project(pk=2, tenant_id=tenant, name="n", secret="x")
        for verb in (forged.save, forged.delete):
            attempt(verb)
        attempt(forged.save, force_update=True)
        attempt(forged.save, update_fields=["secret"])
        attempt(forged.save_base, raw=True)
    return changed(below, "project", [2]) + changed(below, "task", [2, 4])


def delete_by_every_manager(below):
    for manager in (Brief._base_manager, Project._base_manager, models.QuerySet(Project)):
        attempt(manager.filter(pk=2).delete)
        attempt(manager.all()._raw_delete, "default")
    attempt(Project.objects.filter(task__title="S2t").delete)
    return changed(below, "project", [2]) + changed(below, "brief", [2, 3]) + changed(below, "task", [2, 4])


def delete_cascade(below):
    attempt(Project.objects.get(pk=1).delete)  # a task of t2 hangs below it
    attempt(Project.objects.get(pk=3).delete)  # so does a brief
    attempt(Node(pk=2, tenant_id="t1").delete)
    attempt(Project(pk=2, tenant_id="t1").delete)
    return changed(below, "task", [2, 4]) + changed(below, "brief", [2, 3]) + changed(below, "node", [2])


def delete_of_a_shared_root(below):
    attempt(Root.objects.get(pk="t2").delete)
    return changed(below, "place", [2])


def delete_of_links(below):
    through = Task.tags.through.objects
    attempt(through.filter(task_id=2).delete)
    attempt(through.all().delete)
    attempt(Tag(pk=2, tenant_id="t1").task_set.clear)
    attempt(Task(pk=2, tenant_id="t1").tags.clear)
    return [] if below.sql("select 1 from task_tags where task_id = 2 and tag_id = 2") else S2


def links_by_every_verb(below):
    own, foreign = Task.objects.get(pk=3), Tag(pk=2, tenant_id="t1")
    through = Task.tags.through
    for verb, *value in (
        (own.tags.add, 2),
        (own.tags.add, foreign),
        (own.tags.set, [2]),
        (own.tags.set, [foreign, 1]),
        (foreign.task_set.add, own),
        (foreign.task_set.set, [3]),
    ):
        attempt(verb, *value)
    attempt(through.objects.create, task_id=3, tag_id=2)
    attempt(through.objects.bulk_create, [through(task_id=3, tag_id=2)], ignore_conflicts=True)
    attempt(through.objects.filter(task_id=1).update, tag_id=2)
    attempt(through(task_id=4, tag_id=1).save)
    attempt(Task(pk=4, tenant_id="t1").tags.add, 1)
    attempt(Tag.objects.get(pk=1).task_set.add, 2, 4)
    rows = below.sql("select task_id, tag_id from task_tags")
    return [S2 for row in rows if tuple(row) not in {(1, 1), (1, 2), (2, 2), (3, 1)}] + [S2] * (rows.count((1, 2)) != 1)


def links_removed_from_afar(below):
    Task(pk=2, tenant_id="t1").tags.remove(2)
    return [] if below.sql("select 1 from task_tags where task_id = 2 and tag_id = 2") else S2


def reverse_manager_writes(below):
    forged, own = Project(pk=2, tenant_id="t1"), Task.objects.get(pk=1)
    attempt(forged.task_set.create, title="n")
    attempt(forged.task_set.add, own)
    attempt(forged.task_set.add, own, bulk=False)
    attempt(forged.task_set.set, [own])
    attempt(forged.task_set.update, title="x")
    attempt(forged.task_set.clear)
    attempt(Project.objects.get(pk=1).task_set.add, Task(pk=2, tenant_id="t1", title="S2t"))
    return changed(below, "task", [2, 4]) + [
        S2 for _ in below.sql("select 1 from task where project_id = 2 and id not in (2, 3)")
    ]


def shared_row_that_points_abroad(below):
    attempt(Entry.objects.create, text="n", project_id=2)
    attempt(Entry.objects.filter(pk=3).update, project_id=2)
    return [S2 for _ in below.sql("select 1 from entry where project_id = 2 and id <> 2")]


def generic_reference_abroad(below):
    kind = Note.objects.get(pk=1).kind
    attempt(Note.objects.create, kind=kind, object_id=2, secret="n")
    attempt(Note.objects.bulk_create, [Note(kind=kind, object_id=2, secret="n")])
    note = Note.objects.get(pk=1)
    note.object_id = 2
    attempt(note.save)
    return [S2 for _ in below.sql("select 1 from note where object_id = 2 and id not in (2, 4)")]


def multi_table_child_writes(below):
    attempt(Cafe.objects.filter(pk=2).update, menu="x")
    attempt(Cafe.objects.filter(pk=2).update, secret="x")
    attempt(Cafe.objects.update, menu="x", secret="y")
    attempt(Cafe(place_ptr_id=2, tenant_id="t1", menu="x", secret="x").save)
    attempt(Cafe(place_ptr_id=2, tenant_id="t1", menu="x").save_base, raw=True)
    attempt(Cafe(place_ptr_id=2, tenant_id="t1").delete)
    attempt(Cafe._base_manager.filter(menu="S2me").delete)
    attempt(Place(pk=2, tenant_id="t1").delete)
    return changed(below, "cafe", [2]) + changed(below, "place", [2])


def node_below_a_foreign_parent(below):
    attempt(Node.objects.bulk_create, [Node(pk=2, secret="x"), Node(pk=50, parent_id=2, secret="x")])
    attempt(Node.objects.bulk_create, [Node(pk=2, secret="x"), Node(pk=51, parent_id=2)], ignore_conflicts=True)
    attempt(Node.objects.get(pk=1).children.create, parent_id=2)
    attempt(Node.objects.filter(pk=1).update, parent=2)
    return [S2 for _ in below.sql("select 1 from node where parent_id = 2 and id <> 4")] + changed(below, "node", [2])


def written_by_a_signal(below):
    def hostile(sender, instance, **kwargs):
        instance.tenant_id = "t2"

    models.signals.pre_save.connect(hostile, sender=Project)
    try:
        attempt(Project.objects.create, name="n", secret="i")
        own = Project.objects.get(pk=1)
        attempt(own.save)
    finally:
        models.signals.pre_save.disconnect(hostile, sender=Project)
    return [S2 for _ in below.sql("select 1 from project where id not in (2) and tenant_id <> 't1'")]


def async_writes(below):
    async def go():
        for step in (
            lambda: Project.objects.acreate(tenant_id="t2", name="n", secret="i"),
            lambda: Project.objects.filter(pk=2).aupdate(secret="x"),
            lambda: Project.objects.abulk_create([Project(tenant_id="t2", name="n", secret="i")]),
            lambda: Project(pk=2, tenant_id="t1", secret="x").asave(),
            lambda: Project(pk=2, tenant_id="t1").adelete(),
            lambda: Task(pk=3, tenant_id="t1").tags.aadd(2),
        ):
            try:
                await step()
            except Exception:
                continue

    asyncio.run(go())
    found = [S2 for _ in below.sql("select 1 from project where id > 100 and tenant_id = 't2'")]
    return found + changed(below, "project", [2]) + [S2 for _ in below.sql("select 1 from task_tags where task_id = 3")]


def after_commit(below):
    seen = []
    with transaction.atomic():
        Project.objects.create(name="n", secret="i")
        transaction.on_commit(lambda: seen.append(secrets(Project.objects.all())))
    return seen


# --- text ---------------------------------------------------------------------------------------------------------


def _runs(sql, params=None):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def raw_manager(below):
    return [project.secret for project in Project._base_manager.raw("select * from project where id = %s", [2])]


def raw_on_another_model(below):
    return [each.name for each in Root.objects.raw("select id, secret as name from project")]


def raw_nested_in_a_query(below):
    return list(Tag.objects.filter(id__in=[p.pk for p in Project.objects.raw("select id, secret from project")]))


def raw_expression(below):
    return [
        attempt(lambda: list(Tag.objects.annotate(s=RawSQL("select max(secret) from project", [])).values_list("s"))),
        attempt(lambda: list(Tag.objects.filter(id__in=RawSQL("select id from project where secret = 'S2'", [])))),
        attempt(
            lambda: list(Root.objects.annotate(s=RawSQL("(select max(secret) from project)", [])).values_list("s"))
        ),
    ]


def function_with_a_template(below):
    class Peek(Func):
        template = "(select max(secret) from project)"

    breaking = Lower(Value("x"), function="x) || (select max(secret) from project) || (")
    hostile = (Func(template="(select max(secret) from project)"), Peek(), breaking, Max("id", filter=Q(id=Peek())))
    return [attempt(lambda each=each: list(Tag.objects.annotate(s=each).values_list("s"))) for each in hostile]


def extra_tables_of_a_view(below):
    return list(Tag.objects.extra(tables=["all_projects"], select={"s": "all_projects.secret"}).values_list("s"))


def keys_copied_from_shared_rows(below):
    foreign = Entry.objects.filter(pk=2).values("project_id")[:1]
    attempt(Task.objects.filter(pk=1).update, project=Subquery(foreign))
    attempt(Task.objects.filter(pk=1).update, project=Func(Value(1), template="2"))
    attempt(Task.objects.filter(pk=1).update, project=Coalesce(Value(1), Value(1), template="2"))
    attempt(Task.objects.filter(pk=1).update, project=Subquery(Task.objects.filter(pk=3).values("project_id")[:1]))
    attempt(Task.objects.create, title="n", project_id=Func(Value(1), template="2"))
    return [S2 for _ in below.sql("select 1 from task where project_id = 2 and id not in (2, 3)")]


def extra_select(below):
    return list(Tag.objects.extra(select={"s": "select max(secret) from project"}).values_list("s"))


def extra_tables(below):
    return list(Tag.objects.extra(tables=["project"], select={"s": "project.secret"}).values_list("s"))


def extra_where_that_breaks_out(below):
    return secrets(Project.objects.extra(where=["1=1) or (1=1"]))


def extra_where_with_a_comment(below):
    return secrets(Project.objects.extra(where=["1=1) --"]))


def extra_where_subselect(below):
    return [S2 for _ in Tag.objects.extra(where=["exists (select 1 from project where secret = 'S2')"])]


def cursor_select(below):
    return [
        attempt(_runs, sql)
        for sql in (
            "select * from project",
            'SELECT p.secret FROM "project" AS p',
            "select 1, (select max(secret) from project)",
            "with x as (select secret from project) select * from x",
            "select r.name, p.secret from root r, project p",
            "select secret from root join project on true",
            "select /* from root */ secret from/**/project",
            b"select secret from project",
            "select secret from main.project" if connection.vendor == "sqlite" else "select secret from public.project",
            "select secret from root r left join lateral (select secret from project) p on true",
            "table project",
            "select secret from PROJECT",
            "values ((select max(secret) from project))",
        )
    ]


def cursor_executemany(below):
    with connection.cursor() as cursor:
        attempt(cursor.executemany, "update project set secret = %s where id = %s", [("x", 2)])
    return changed(below, "project", [2])


def cursor_writes(below):
    for sql in (
        "update project set secret = 'x'",
        "delete from task",
        "insert into project (id, tenant_id, name, secret) values (77, 't2', 'n', 'x')",
        "replace into project (id, tenant_id, name, secret) values (2, 't2', 'n', 'x')",
        "drop table brief",
        "alter table project rename to projects",
        "create table copy as select * from project",
    ):
        attempt(_runs, sql)
    return changed(below, "project", [2]) + [S2 for _ in below.sql("select 1 from project where id = 77")]


def cursor_on_a_view(below):
    below.sql("drop view if exists all_projects")
    below.sql("create view all_projects as select * from project")
    if below.pg:
        below.sql(f"grant select on all_projects to {house.ROLE}")
    try:
        return attempt(_runs, "select secret from all_projects")
    finally:
        below.sql("drop view all_projects")


def cursor_runs_text(below):
    if connection.vendor != "postgresql":
        return ""
    return [
        attempt(_runs, "select query_to_xml('select * from project', true, true, '')"),
        attempt(_runs, "select table_to_xml('project', true, true, '')"),
        attempt(_runs, "do $$ begin perform set_config('wst.tenant', 't2', true); end $$"),
        attempt(_runs, "prepare x as select * from project"),
    ]


def cursor_changes_the_setting(below):
    if connection.vendor != "postgresql":
        return ""
    with transaction.atomic():
        with connection.cursor() as cursor:
            for sql in ("select set_config('wst.tenant', 't2', true)", "set local wst.tenant = 't2'"):
                try:
                    with transaction.atomic():
                        cursor.execute(sql)
                except Exception:
                    continue
        return secrets(Project.objects.all())


# --- forms and the admin ------------------------------------------------------------------------------------------


def choice_field(below):
    field = ModelChoiceField(Project._base_manager.all())
    return [str(list(field.choices)), attempt(field.to_python, "2"), attempt(field.clean, "2")]


def model_form(below):
    form = modelform_factory(Task, fields=["project", "title", "tags"])
    bound = form({"project": "2", "title": "n", "tags": ["2"]})
    return [S2 for name in ("project", "tags") if name not in bound.errors] + ["p2" in str(form()) and S2]


def model_form_of_a_foreign_instance(below):
    form = modelform_factory(Project, fields=["secret"])(
        {"secret": "x"}, instance=Project(pk=2, tenant_id="t1", name="n")
    )
    attempt(form.save)
    return changed(below, "project", [2])


def formset(below):
    made = modelformset_factory(Project, fields=["secret"], extra=0)
    return [str(made()), [form.instance.pk for form in made() if form.instance.pk == 2] and S2]


def formset_with_foreign_ids(below):
    made = modelformset_factory(Project, fields=["secret"], extra=0)
    data = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": "2", "form-0-secret": "x"}
    attempt(lambda: made(data).save())
    return changed(below, "project", [2])


def inline_formset_of_a_forged_parent(below):
    made = inlineformset_factory(Project, Task, fields=["title"], extra=0)
    return [
        form.instance.title for form in made(instance=Project(pk=2, tenant_id="t1")) if form.instance.title[:2] == S2
    ]


def unique_oracle_in_validation(below):
    Task(title="S2t", project_id=1).validate_unique()  # would raise where t2's title is seen
    form = modelform_factory(Task, fields=["title"])({"title": "S2t"})
    return "" if form.is_valid() else S2


def foreign_key_validation_oracle(below):
    return [S2 for pk in (2, 12345) if attempt(Task(title="n", project_id=pk).full_clean) != "ValidationError"]


class ProjectAdmin(admin.ModelAdmin):
    search_fields = ["name"]
    list_display = ["secret"]
    list_filter = ["secret", "task__title"]
    ordering = ["id"]


admin.site.register(Project, ProjectAdmin)


def admin_change_list(below):
    request = RequestFactory().get("/admin/house/project/")
    request.user = _superuser()
    page = admin.site._registry[Project].changelist_view(request).render().content.decode()
    page = re.sub('<svg.*?</svg>|<input type="hidden"[^>]*>', "", page, flags=re.DOTALL)  # drawings and tokens
    return page if "S1b" in page else "S2: the list is empty"


def _superuser():
    from django.contrib.auth.models import User

    user = User(username="root", is_superuser=True, is_staff=True, is_active=True)
    user.pk = 1
    return user


def admin_change_form_of_a_foreign_row(below):
    view = admin.ModelAdmin(Project, admin.site)
    request = RequestFactory().get("/")
    request.user = _superuser()
    return view.get_object(request, "2") and S2


def admin_foreign_key_widget(below):
    view = admin.ModelAdmin(Task, admin.site)
    request = RequestFactory().get("/")
    request.user = _superuser()
    form = view.get_form(request)()
    return [str(form["project"]).count("p2") * S2, str(form["tags"]).count("S2g") * S2]


def admin_autocomplete(below):
    request = RequestFactory().get(
        "/", {"app_label": "house", "model_name": "task", "field_name": "project", "term": ""}
    )
    request.user = _superuser()
    body = AutocompleteJsonView.as_view(admin_site=admin.site)(request).content.decode()
    return S2 if "p2" in body else ""


# --- nobody -------------------------------------------------------------------------------------------------------


@nobody
def nobody_counts(below):
    return "S" if Project.objects.count() is not None else ""


@nobody
def nobody_asks_whether_any_exist(below):
    return "S" if Project.objects.exists() in {True, False} else ""


@nobody
def nobody_aggregates(below):
    return ["S", Project.objects.aggregate(Max("secret"))]


@nobody
def nobody_iterates(below):
    return ["S", *secrets(Project.objects.iterator())]


@nobody
def nobody_explains(below):
    return ["S", Project.objects.all().explain()]


@nobody
def nobody_reads_in_bulk(below):
    return ["S", Project.objects.in_bulk([1])]


@nobody
def nobody_unites(below):
    return ["S", list(Project.objects.all().union(Project.objects.all()))]


@nobody
def nobody_joins_from_a_shared_model(below):
    return ["S", list(Entry.objects.values_list("project__secret"))]


@nobody
def nobody_prefetches(below):
    return ["S", [list(root.place_set.all()) for root in Root.objects.prefetch_related("place_set")]]


@nobody
def nobody_reads_links(below):
    return ["S", list(Task.tags.through.objects.all())]


@nobody
def nobody_reads_children(below):
    return ["S", list(Cafe.objects.only("menu").values_list("menu"))]


@nobody
def nobody_updates(below):
    attempt(Project.objects.update, secret="x")
    attempt(Task.tags.through.objects.update, tag_id=1)
    return ["S"] if changed(below, "project", [1, 2, 3]) else Project.objects.update(secret="x")


@nobody
def nobody_deletes(below):
    attempt(Brief.objects.all().delete)
    attempt(Brief.objects.all()._raw_delete, "default")
    attempt(Brief(pk=1).delete)
    return ["S"] if changed(below, "brief", [1, 2]) else Brief.objects.all().delete()


@nobody
def nobody_creates(below):
    attempt(Project.objects.create, tenant_id="t1", name="n", secret="i")
    attempt(Project.objects.bulk_create, [Project(tenant_id="t1", name="n", secret="i")])
    found = below.sql("select 1 from project where id > 100")
    return ["S"] if found else Project.objects.create(name="n", secret="i")


@nobody
def nobody_refreshes(below):
    Project(pk=1, tenant_id="t1").refresh_from_db()
    return "S"


@nobody
def nobody_validates(below):
    Task(title="S1t", project_id=1).validate_unique()
    return "S"


@nobody
def nobody_counts_asynchronously(below):
    return ["S", asyncio.run(Project.objects.acount()), asyncio.run(Project.objects.aexists())]


@nobody
def nobody_uses_a_cursor(below):
    return ["S", _runs("select secret from project")]


@nobody
def nobody_after_unscoped(below):
    with unscoped("a case of the battery"):
        list(Project.objects.all())
    return ["S", list(Project.objects.all())]


@nobody
def nobody_reuses_what_unscoped_read(below):
    held = Project.objects.all()
    with unscoped("a case of the battery"):
        list(held)
    with house.scope("t1"):
        seen = secrets(held)
    return ["S" for each in seen if each == S2] or ["S", list(held)]
