"""Legal work: what t1 does all day. Each function must do the same in the shared database as in one that only t1 uses.

A function's value is compared, the error it raises, and t1's rows afterwards. `stage` has what differs between the two
runs: the alias of the database.
"""

from __future__ import annotations

import asyncio

from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connections, transaction
from django.db.models import (
    Avg,
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    Func,
    Max,
    Min,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    Sum,
    Value,
    When,
)  # fmt: skip
from django.db.models.expressions import RawSQL, Window
from django.db.models.functions import Concat, Length, Lower, Rank, RowNumber
from django.forms import inlineformset_factory, modelform_factory, modelformset_factory
from django.test import Client
from dwelling.models import Brief, Cafe, Code, Entry, Named, Node, Note, Place, Project, Root, Tag, Task

from wellstreak_trust.tenancy.django import unscoped


def lists(stage):
    return list(Project.objects.order_by("id").values()), list(Task.objects.order_by("id").values_list())


def gets(stage):
    return Project.objects.get(pk=1).secret, Project.objects.get(name="p3").pk, Project.objects.filter(pk=2).first()


def gets_what_is_not_there(stage):
    return Project.objects.get(pk=2)


def counts(stage):
    return Project.objects.count(), Task.objects.exclude(title="S1t").count(), Project.objects.filter(pk=1).exists()


def empties(stage):
    none = Project.objects.none()
    return list(none), none.count(), none.exists(), list(Project.objects.filter(pk__in=[])), none.aggregate(Count("id"))


def joins(stage):
    return [
        list(Task.objects.filter(project__name="p1").values_list("id")),
        list(Task.objects.exclude(project__name="p1").order_by("id").values_list("id")),
        list(Task.objects.order_by("project__name", "id").values_list("id", "project__secret")),
        list(Project.objects.filter(task__title__startswith="S").values_list("id")),
        list(Project.objects.filter(task__isnull=True).values_list("id")),
        list(Project.objects.filter(task__tags__name="S1g").values_list("id")),
        list(Task.objects.filter(project__isnull=True).values_list("id")),
        list(Task.objects.filter(project_id=1, project__id=1).values_list("id")),
    ]


def selected_relations(stage):
    tasks = Task.objects.select_related("project").order_by("id")
    briefs = Brief.objects.select_related("project__brief").order_by("id")
    return [(t.id, t.project and t.project.secret) for t in tasks], [b.project.brief.secret for b in briefs]


def prefetched(stage):
    projects = Project.objects.order_by("id").prefetch_related(
        "task_set__tags", "notes", Prefetch("task_set", queryset=Task.objects.order_by("-id"), to_attr="newest")
    )
    return [
        (p.id, [(t.title, [g.name for g in t.tags.all()]) for t in p.newest], [n.secret for n in p.notes.all()])
        for p in projects
    ]


def aggregates(stage):
    counted = Project.objects.annotate(n=Count("task"), t=Count("task__tags"))
    some = Project.objects.annotate(n=Count("task", filter=Q(task__title__contains="S1")))
    return [
        Project.objects.aggregate(n=Count("id"), s=Sum("id"), a=Avg("id"), m=Max("secret"), l=Min("task__title")),
        list(counted.order_by("id").values_list("id", "n", "t")),
        list(Task.objects.values("project__name").annotate(n=Count("id")).order_by("project__name")),
        Project.objects.annotate(n=Count("task")).filter(n__gt=0).aggregate(Sum("n")),
        list(some.values_list("id", "n").order_by("id")),
        Project.objects.filter(task__title__gt="").distinct().count(),
    ]  # fmt: skip


def expressions(stage):
    kinds = Project.objects.annotate(k=Case(When(pk=1, then=Value("one")), default=F("name")))
    return [
        list(Task.objects.annotate(x=Concat("title", Value("-"), F("project__name"))).order_by("id").values_list("x")),
        list(Project.objects.annotate(n=Length("secret"), l=Lower("name")).order_by("-n", "id").values_list("n", "l")),
        list(kinds.order_by("id").values_list("k")),
        list(Project.objects.filter(pk__lt=F("task__id") + 3).order_by("id").values_list("id")),
    ]  # fmt: skip


def windows(stage):
    rows = Project.objects.annotate(n=Window(RowNumber(), order_by="id"), r=Window(Rank(), order_by="-secret"))
    return list(rows.order_by("id").values_list("id", "n", "r")), list(rows.filter(n=1).values_list("id", "n"))


def subqueries(stage):
    newest = Task.objects.filter(project=OuterRef("pk")).order_by("-id")
    return [
        list(Project.objects.annotate(t=Subquery(newest.values("title")[:1])).order_by("id").values_list("id", "t")),
        list(Project.objects.filter(Exists(newest)).values_list("id")),
        list(Project.objects.filter(~Exists(newest)).values_list("id")),
        list(Task.objects.filter(project__in=Project.objects.filter(name="p1")).values_list("id")),
        list(Task.objects.filter(project_id__in=Project.objects.values("id")).order_by("id").values_list("id")),
        list(Root.objects.filter(Exists(Place.objects.filter(root=OuterRef("pk")))).values_list("id")),
    ]


def filtered_relations(stage):
    joined = Project.objects.annotate(t=FilteredRelation("task", condition=Q(task__title__startswith="S1")))
    return list(joined.order_by("id").values_list("id", "t__title")), joined.filter(t__isnull=False).count()


def combined(stage):
    first, second = Project.objects.filter(pk=1), Project.objects.filter(pk=3)
    return [
        sorted(p.id for p in first.union(second)),
        list(first.union(second, all=True).order_by("id").values_list("id")),
        list(Project.objects.order_by("id").difference(first).values_list("id")),
        list(Project.objects.all().intersection(second).values_list("id")),
        first.union(second).count(),
        list((first | second).order_by("id").values_list("id")),
        list((Project.objects.all() & second).values_list("id")),
    ]


def paging(stage):
    ordered = Project.objects.order_by("id")
    return [
        ordered[0].id,
        ordered[1:2][0].id,
        ordered.last().id,
        ordered.reverse()[0].id,
        ordered.latest().id,
        len(ordered),
    ]


def iterating(stage):
    ordered = Project.objects.order_by("id")
    return [p.id for p in ordered.iterator(chunk_size=1)], [
        p.id for p in ordered.prefetch_related("task_set").iterator(10)
    ]


def distinct_and_only(stage):
    return [
        list(Task.objects.values_list("tenant_id", flat=True).distinct()),
        [p.secret for p in Project.objects.only("id").order_by("id")],
        [p.name for p in Project.objects.defer("name", "tenant_id").order_by("id")],
        sorted(Project.objects.in_bulk([1, 2, 3])),
        Project.objects.contains(Project.objects.get(pk=1)),
    ]


def locking(stage):
    with transaction.atomic(using=stage):
        return [p.id for p in Project.objects.select_for_update().order_by("id")]


def inherited(stage):
    return [
        [(c.secret, c.menu, c.place_ptr_id) for c in Cafe.objects.order_by("pk")],
        list(Cafe.objects.values_list("menu")),
        [p.cafe.menu for p in Place.objects.filter(cafe__isnull=False)],
        Place.objects.filter(cafe__isnull=True).count(),
        [p.secret for p in Root.objects.get(pk="t1").place_set.order_by("id")],
    ]


def inherited_writes(stage):
    made = Cafe.objects.create(secret="new", menu="m")
    made.menu = "n"
    made.save()
    Cafe.objects.filter(secret="new").update(menu="o", secret="newer")
    Cafe.objects.get(pk=1).delete()
    return list(Cafe.objects.values_list("menu", "secret")), made.tenant_id, Place.objects.count()


def trees(stage):
    top = Node.objects.create(secret="top")
    child = top.children.create(secret="child")
    Node.objects.bulk_create([Node(pk=501, secret="a"), Node(pk=502, parent_id=501, secret="b")])
    return (
        child.parent.secret,
        [n.secret for n in Node.objects.filter(parent=top)],
        Node.objects.get(pk=502).parent.secret,
    )


def generics(stage):
    kind = ContentType.objects.get_for_model(Project)
    project = Project.objects.get(pk=1)
    note = project.notes.create(secret="mine")
    Note.objects.create(about=project, secret="too")
    return note.about.secret, project.notes.count(), [n.about.id for n in Note.objects.filter(kind=kind, object_id=1)]


def creates(stage):
    project = Project.objects.create(name="n", secret="s")
    task = Task.objects.create(project=project, title="a")
    Task(project_id=project.pk, title="b").save()
    Task.objects.create(title="free")
    built = Project(name="m", secret="t")
    built.save()
    return project.tenant_id, task.project_id, built.pk, sorted(t.title for t in project.task_set.all())


def get_or_creates(stage):
    return [
        Project.objects.get_or_create(name="p1", defaults={"secret": "x"})[1],
        Project.objects.get_or_create(name="new", defaults={"secret": "x"})[1],
        Task.objects.get_or_create(title="fresh", defaults={"project_id": 1})[0].project_id,
        Project.objects.update_or_create(name="p1", defaults={"secret": "changed"})[1],
        Project.objects.update_or_create(name="newer", defaults={"secret": "changed"})[1],
        Project.objects.get(pk=1).task_set.get_or_create(title="S1t")[1],
    ]


def bulk(stage):
    made = Project.objects.bulk_create([Project(name=f"n{n}", secret="s") for n in range(5)])
    for project in made:
        project.secret = f"s{project.pk}"
    changed = Project.objects.bulk_update(made, ["secret", "name"])
    tasks = Task.objects.bulk_create([Task(title=f"t{n}", project=made[n]) for n in range(5)])
    for task in tasks:
        task.project = made[0]
    Task.objects.bulk_update(tasks, ["project"], batch_size=2)
    Task.objects.bulk_create([Task(title="t0"), Task(title="t9")], ignore_conflicts=True)
    return changed, [p.tenant_id for p in made], made[0].task_set.count(), Task.objects.count()


def upserts(stage):
    Code.objects.bulk_create(
        [Code(name="a", secret="changed"), Code(name="z", secret="new")],
        update_conflicts=True, unique_fields=["tenant_id", "name"], update_fields=["secret"],
    )  # fmt: skip
    Project.objects.bulk_create(
        [Project(pk=1, name="n", secret="x")], update_conflicts=True, unique_fields=["id"], update_fields=["secret"]
    )
    return list(Code.objects.order_by("name").values_list("name", "secret")), Project.objects.get(pk=1).secret


def updates(stage):
    return [
        Project.objects.filter(pk=1).update(secret="x"),
        Project.objects.update(name=Concat("name", Value("!"))),
        Project.objects.filter(task__title="S1t").update(secret="y"),
        Task.objects.filter(pk=1).update(project=Project.objects.get(pk=3)),
        Task.objects.filter(pk=1).update(project_id=1),
        Task.objects.filter(pk=1).update(project=None),
        Task.objects.filter(pk=1).update(project=Subquery(Project.objects.order_by("id").values("id")[:1])),
        Task.objects.filter(pk=1).update(project=F("project")),
        Task.objects.filter(pk=1).update(project=Case(When(title="S1t", then=Value(3)), default=Value(1))),
        Task.objects.filter(pk=1).update(title="own", project_id="1"),
        Project.objects.filter(pk=1).update(tenant_id="t1"),
        Project.objects.order_by("id").update(secret="z"),
        Project.objects.filter(pk=99).update(secret="z"),
    ]


def saves(stage):
    task = Task.objects.get(pk=1)
    task.title = "renamed"
    task.save()
    task.save(update_fields=["title"])
    task.project = Project.objects.get(pk=3)
    task.save()
    task.refresh_from_db()
    copy = Task.objects.get(pk=1)
    copy.pk, copy._state.adding, copy.title = None, True, "copy"
    copy.save()
    partial = Task.objects.only("title").get(pk=1)
    partial.title = "partly"
    partial.save()
    return task.project_id, copy.pk, list(Task.objects.order_by("id").values_list("title"))


def deletes(stage):
    project = Project.objects.create(name="n", secret="s")
    Task.objects.create(title="x", project=project).tags.add(1)
    Brief.objects.create(project=project, secret="s")
    return [
        Project.objects.filter(pk=project.pk).delete(),
        Task.objects.filter(title="nothing").delete(),
        Note.objects.filter(pk=1).delete(),
        Project.objects.create(name="n", secret="s").delete()[0],
        Tag.objects.create(name="n").delete(),
        Node.objects.filter(pk=3).delete(),
    ]


def links(stage):
    task, tag = Task.objects.get(pk=3), Tag.objects.get(pk=1)
    other = Tag.objects.create(name="other")
    task.tags.add(tag, other)
    task.tags.add(tag)
    seen = [sorted(g.name for g in task.tags.all())]
    task.tags.remove(other)
    task.tags.set([other.pk])
    made = task.tags.create(name="made")
    seen += [task.tags.count(), made.task_set.get().pk, tag.task_set.count(), task.tags.filter(name="made").exists()]
    task.tags.clear()
    return [*seen, task.tags.count(), Task.tags.through.objects.filter(task=task).count()]


def validates(stage):
    found = []
    for task in (Task(title="S1t"), Task(title="new", project_id=1), Task(title="other", project_id=77)):
        try:
            task.full_clean()
        except ValidationError as invalid:
            found.append(sorted(invalid.message_dict))
    try:
        Code(name="a", secret="s").full_clean()
    except ValidationError as invalid:
        found.append(invalid.messages)
    return found


def forms(stage):
    form = modelform_factory(Task, fields=["project", "title", "tags"])
    good = form({"project": "1", "title": "formed", "tags": ["1"]})
    saved = good.save()
    edited = form({"project": "3", "title": "edited", "tags": []}, instance=saved)
    edited.save()
    codes = modelform_factory(Code, fields=["name", "secret"])
    answers = [form({"title": "S1t"}), codes({"name": "a", "secret": "x"})]
    return [
        (saved.tenant_id, saved.project_id, str(form()["project"])),
        [each.errors.get_json_data() for each in answers],
        [each.is_valid() for each in (form({"title": "S2t"}), codes({"name": "b", "secret": "x"}))],
    ]


def formsets(stage):
    made = modelformset_factory(Project, fields=["secret"], extra=0)
    ids = [form.instance.pk for form in made(queryset=Project.objects.order_by("id"))]
    data = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": "1", "form-0-secret": "formed"}
    bound = made(data)
    saved = [project.secret for project in bound.save()]
    tasks = inlineformset_factory(Project, Task, fields=["title"], extra=1)
    rows = {"task_set-TOTAL_FORMS": "1", "task_set-INITIAL_FORMS": "0", "task_set-0-title": "inline"}
    inline = tasks(rows, instance=Project.objects.get(pk=1))
    return ids, saved, [task.project_id for task in inline.save()]


def serialises(stage):
    text = serializers.serialize("json", Project.objects.order_by("id"))
    for each in serializers.deserialize("json", text.replace("S1b", "read back"), using=stage):
        each.save(using=stage)
    return text, Project.objects.get(pk=3).secret


def shared_models(stage):
    entry = Entry.objects.create(text="n", project_id=1)
    user = User.objects.create_user("someone")
    return [
        entry.project.secret,
        list(Entry.objects.order_by("id").values_list("text", "project__secret")),
        [e.project and e.project.name for e in Entry.objects.select_related("project").order_by("id")],
        Entry.objects.filter(project__name="p1").update(text="m"),
        User.objects.filter(pk=user.pk).count(),
        list(Root.objects.order_by("id").values_list("name")),
    ]


def proxies(stage):
    return [p.secret for p in Named.objects.named("p1")], Named.objects.create(name="x", secret="y").tenant_id


def raw_on_shared_tables(stage):
    with connections[stage].cursor() as cursor:
        cursor.execute("select name from root where id = %s", ["t1"])
        rows = cursor.fetchall()
        cursor.execute("select 1")
        cursor.execute("with r as (select id from root) select count(*) from r join root on root.id = r.id")
        rows += cursor.fetchall()
        differs = "is distinct from" if connections[stage].vendor == "postgresql" else "is not"
        cursor.execute(f"update root set name = 'x' where id = 't1' and name {differs} 'x'")
        cursor.execute("insert into entry (text) values ('project')")
        cursor.execute(
            "select extract(year from now())" if connections[stage].vendor == "postgresql" else "select date('now')"
        )
    return rows, [root.name for root in Root.objects.raw("select * from root order by id")]


def raw_fragments(stage):
    return [
        list(Project.objects.annotate(n=RawSQL("length(secret)", [])).order_by("id").values_list("n")),
        list(Project.objects.extra(where=["length(project.secret) > %s"], params=[1]).order_by("id").values_list("id")),
        list(Project.objects.extra(select={"upper_name": "upper(name)"}).order_by("id").values_list("upper_name")),
        list(Tag.objects.filter(id__in=RawSQL("select 1 from root", [])).values_list("id")),
    ]


def functions_of_its_own(stage):
    class Shout(Func):
        function = "UPPER"
        template = "(%(function)s(%(expressions)s) || %(mark)s)"

    return [
        list(Project.objects.annotate(s=Shout("name", mark="'!'")).order_by("id").values_list("s")),
        list(Project.objects.annotate(s=Func(F("name"), function="LOWER")).order_by("id").values_list("s")),
    ]


def raw_in_unscoped(stage):
    with unscoped("a case of the battery"), connections[stage].cursor() as cursor:
        cursor.execute("select secret from project where tenant_id = 't1' order by id")
        return cursor.fetchall()


def transactions(stage):
    with transaction.atomic(using=stage):
        Project.objects.create(name="kept", secret="s")
        try:
            with transaction.atomic(using=stage):
                Project.objects.create(name="lost", secret="s")
                raise ValueError
        except ValueError:
            pass
        inside = Project.objects.count()
        Task.objects.create(title="kept too", project_id=1)
    try:
        with transaction.atomic(using=stage):
            Project.objects.create(name="gone", secret="s")
            raise ValueError
    except ValueError:
        pass
    return inside, list(Project.objects.order_by("id").values_list("name")), Task.objects.count()


def asynchronous(stage):
    async def go():
        made = await Project.objects.acreate(name="n", secret="s")
        made.secret = "t"
        await made.asave()
        task = await Task.objects.acreate(title="n", project=made)
        await task.tags.aadd(1)
        return [
            [p.id async for p in Project.objects.order_by("id")],
            await Project.objects.acount(),
            (await Project.objects.aget(pk=1)).secret,
            await Project.objects.filter(pk=1).aupdate(secret="x"),
            [t.id async for t in task.tags.all()],
            [t.id async for t in Task.objects.order_by("id").aiterator()],
            await task.adelete(),
            (await Project.objects.aget_or_create(name="q", defaults={"secret": "r"}))[1],
        ]

    return asyncio.run(go())


def dumps(stage):
    from io import StringIO

    out = StringIO()
    call_command("dumpdata", "house.project", "house.task", database=stage, stdout=out)
    return out.getvalue()


def the_admin(stage):
    user = User.objects.create_superuser("boss", password="boss")
    browser = Client(raise_request_exception=True)
    browser.force_login(user)
    pages = [
        browser.get(path)
        for path in ("/admin/house/project/", "/admin/house/project/1/change/", "/admin/house/project/2/change/")
    ]
    posted = browser.post("/admin/house/project/1/change/", {"name": "by admin", "secret": "x"})
    added = browser.post("/admin/house/project/add/", {"name": "added", "secret": "x"})
    made = Project.objects.create(name="to go", secret="x").pk
    action = {"action": "delete_selected", "_selected_action": ["2", str(made)], "post": "yes"}
    gone = browser.post("/admin/house/project/", action)
    statuses = [page.status_code for page in [*pages, posted, added, gone]]
    return statuses, list(Project.objects.order_by("id").values_list("name", "tenant_id"))
