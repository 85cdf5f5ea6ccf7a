"""What the Django guard costs: the same work with an explicit `.filter(tenant_id=...)`, by Django alone.

    python bench/tenancy_django.py [ROUNDS]

A file of SQLite with 2,000 projects and tasks of 10 tenants. Both sides run in one process and take turns; while the
explicit side runs, Django's own compilers are back and the execute wrapper is gone. Process time, medians of rounds.
`create` names no parent; `create below` names one by its key, which costs the guard a query of its own; `create below
it` names one that was loaded, which does not.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time_ns

import django
import report
from django.conf import settings
from django.db import connection, models, transaction
from django.db.backends.base.operations import BaseDatabaseOperations

from wellstreak_trust.tenancy import tenant_scope, testing_context

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else report.rounds(60)
FOLDER = tempfile.TemporaryDirectory()
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(FOLDER.name, "bench.db")),
            "OPTIONS": {} if django.VERSION < (5, 1) else {"init_command": "pragma synchronous = off"},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from wellstreak_trust.tenancy.django import TenantForeignKey, TenantModel, compiler, statements  # noqa: E402 - after setup

VANILLA, TENANT = compiler._VANILLA, "t3"


class Project(TenantModel):
    name = models.CharField(max_length=80)
    secret = models.CharField(max_length=80)

    class Meta(TenantModel.Meta):
        abstract = False
        app_label = "bench"


class Task(TenantModel):
    project = TenantForeignKey(Project, on_delete=models.CASCADE)
    title = models.CharField(max_length=80)

    class Meta(TenantModel.Meta):
        abstract = False
        app_label = "bench"


class PlainProject(models.Model):
    tenant_id = models.CharField(max_length=64, db_index=True)
    name = models.CharField(max_length=80)
    secret = models.CharField(max_length=80)

    class Meta:
        app_label = "bench"


class PlainTask(models.Model):
    tenant_id = models.CharField(max_length=64, db_index=True)
    project = models.ForeignKey(PlainProject, on_delete=models.CASCADE)
    title = models.CharField(max_length=80)

    class Meta:
        app_label = "bench"


def guard(installed: bool) -> None:
    if installed:
        compiler.install()
        statements.install()
    else:
        BaseDatabaseOperations.compiler = VANILLA
        connection.execute_wrappers[:] = []


def explicit_join():
    own = PlainTask.objects.filter(tenant_id=TENANT, project__tenant_id=TENANT, project__name="p13")
    return list(own.select_related("project"))


def loaded(held, model, **key):
    if not held:
        held.append(model.objects.get(**key))
    return held[0]


CASES = {
    "point get": (
        400,
        lambda n: Project.objects.get(pk=3 + 10 * (n % 200)),
        lambda n: PlainProject.objects.get(pk=3 + 10 * (n % 200), tenant_id=TENANT),
    ),
    "join": (
        150,
        lambda n: list(Task.objects.filter(project__name="p13").select_related("project")),
        lambda n: explicit_join(),
    ),
    "200 rows": (
        15,
        lambda n: list(Project.objects.all()),
        lambda n: list(PlainProject.objects.filter(tenant_id=TENANT)),
    ),
    "create": (
        100,
        lambda n: Project.objects.create(name="n", secret="s"),
        lambda n: PlainProject.objects.create(tenant_id=TENANT, name="n", secret="s"),
    ),
    "create below": (
        100,
        lambda n: Task.objects.create(project_id=3, title="t"),
        lambda n: PlainTask.objects.create(tenant_id=TENANT, project_id=3, title="t"),
    ),
    "create below it": (
        100,
        lambda n, parent=[]: Task.objects.create(project=loaded(parent, Project, pk=3), title="t"),
        lambda n, parent=[]: PlainTask.objects.create(
            tenant_id=TENANT, project=loaded(parent, PlainProject, pk=3, tenant_id=TENANT), title="t"
        ),
    ),
    "update": (
        150,
        lambda n: Project.objects.filter(pk=3).update(name="n"),
        lambda n: PlainProject.objects.filter(pk=3, tenant_id=TENANT).update(name="n"),
    ),
}


def timed(call, count: int) -> float:
    started = process_time_ns()
    for n in range(count):
        call(n)
    return (process_time_ns() - started) / count


def main() -> None:
    connection.ensure_connection()
    guard(False)
    with connection.schema_editor() as editor:
        for model in (Project, Task, PlainProject, PlainTask):
            editor.create_model(model)
    rows = [(n, f"t{n % 10}", f"p{n}") for n in range(1, 2001)]
    PlainProject.objects.bulk_create(PlainProject(pk=n, tenant_id=t, name=name, secret="s") for n, t, name in rows)
    PlainTask.objects.bulk_create(PlainTask(pk=n, tenant_id=t, project_id=n, title=name) for n, t, name in rows)
    with connection.cursor() as cursor:
        for table, columns in (
            ("project", "id, tenant_id, name, secret"),
            ("task", "id, tenant_id, project_id, title"),
        ):
            cursor.execute(f"insert into bench_{table} ({columns}) select {columns} from bench_plain{table}")
    with tenant_scope(testing_context(TENANT)):
        for name, (count, guarded, explicit) in CASES.items():
            ratios, times = [], []
            for number in range(ROUNDS):
                with transaction.atomic():
                    sides: dict[bool, float] = {}
                    for ours in (True, False):  # the first write of a transaction opens the journal
                        guard(ours)
                        timed(guarded if ours else explicit, 5)
                    for ours in (True, False) if number % 2 else (False, True):
                        guard(ours)
                        sides[ours] = timed(guarded if ours else explicit, count)
                    transaction.set_rollback(True)
                mine, theirs = sides[True], sides[False]
                ratios.append(mine / theirs)
                times.append((mine, theirs))
            mine, theirs = (median(side) / 1000 for side in zip(*times, strict=True))
            report.against("tenancy", f"Django guard, {name}", median(ratios), "a filter by hand", target=1.25)


if __name__ == "__main__":
    main()
