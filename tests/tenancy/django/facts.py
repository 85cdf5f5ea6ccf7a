"""What holds besides: transactions, settings, administration, checks, observation. Each function asserts.

They run without a tenant, on every kind of database, or on those that `only` names.
"""

from __future__ import annotations

import io
import logging

import house
from django.apps import apps
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection, connections, migrations, models, transaction
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter
from django.db.models.functions import Lower
from django.http import HttpResponse
from django.test import Client, override_settings
from django.test.utils import setup_test_environment, teardown_test_environment
from django.urls import path
from dwelling.models import Brief, Cafe, Entry, Ledger, Node, Project, Root, Tag, Task

from wellstreak_trust import Principal
from wellstreak_trust.core.errors import CrossTenantRead, CrossTenantWrite, NoTenant, TenantConflict, UnscopedStatement
from wellstreak_trust.core.tenant import Membership, TenantContext
from wellstreak_trust.tenancy import elevate, tenant_scope
from wellstreak_trust.tenancy.django import observations, unscoped
from wellstreak_trust.tenancy.django.checks import check_models
from wellstreak_trust.tenancy.django.compiler import install
from wellstreak_trust.tenancy.django.operations import EnableTenantRLS, TenantForeignKeyConstraint

PG = ("postgresql", "rls")


def only(*kinds):
    def mark(function):
        function.kinds = kinds
        return function

    return mark


def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind as raised:
        return raised
    raise AssertionError(f"{kind.__name__} was not raised")


def told():
    """What row level security reads now, asked of the driver."""
    found = connection.connection.execute(
        "select coalesce(current_setting('wst.tenant', true), ''), coalesce(current_setting('wst.company', true), '')"
    )
    return found.fetchone()


def secrets(found):
    return [each.secret for each in found.order_by("id")]


# --- transactions -------------------------------------------------------------------------------------------------


@only("rls")
def the_setting_lives_as_long_as_the_transaction(below):
    with house.scope("t1"):
        for end in (False, True):
            with transaction.atomic():
                assert secrets(Project.objects) == ["S1", "S1b"]
                assert told() == ("t1", "")
                transaction.set_rollback(end)
            assert told() == ("", "")
        with transaction.atomic():
            assert Project.objects.count() == 2
    assert told() == ("", "")


@only("rls")
def what_a_session_was_told_before_does_not_count(below):
    connection.ensure_connection()
    connection.connection.execute("select set_config('wst.tenant', 't2', false)")
    with unscoped("a case of the battery"):
        assert Project.objects.count() == 0
        with transaction.atomic():
            assert Project.objects.count() == 0
    with house.scope("t1"):
        assert secrets(Project.objects) == ["S1", "S1b"]
    connection.connection.execute("select set_config('wst.tenant', '', false)")


@only("rls")
def the_setting_survives_savepoints(below):
    with house.scope("t1"), transaction.atomic():
        for fails in (True, False, True):
            try:
                with transaction.atomic():
                    assert Project.objects.count() == 2
                    if fails:
                        raise ValueError
            except ValueError:
                pass
            assert secrets(Project.objects) == ["S1", "S1b"]
            assert told() == ("t1", "")
        sid = transaction.savepoint()
        Project.objects.create(name="n", secret="gone")
        transaction.savepoint_rollback(sid)
        assert secrets(Project.objects) == ["S1", "S1b"]


@only("rls")
def a_savepoint_that_set_it_first_takes_it_along(below):
    with house.scope("t1"), transaction.atomic():
        sid = transaction.savepoint()
        assert Project.objects.count() == 2
        transaction.savepoint_rollback(sid)
        assert Project.objects.count() == 2
        assert told() == ("t1", "")


@only("rls")
def the_setting_follows_the_scope_inside_a_transaction(below):
    with transaction.atomic():
        with house.scope("t1"):
            assert secrets(Project.objects) == ["S1", "S1b"]
        with house.scope("t2"):
            assert secrets(Project.objects) == ["S2"]
            assert told() == ("t2", "")
        assert Root.objects.count() == 2
        assert told() == ("", "")


@only("rls")
def a_failed_transaction_stays_the_hosts_own(below):
    with house.scope("t1"), transaction.atomic():

        def taken():
            with transaction.atomic():
                Project.objects.create(pk=2, name="n", secret="x")

        assert "duplicate key" in str(raises(Exception, taken))
        assert Project.objects.count() == 2


@only("rls")
def statements_of_their_own_find_their_rows(below):
    with house.scope("t1"):
        assert connection.get_autocommit()
        assert secrets(Project.objects) == ["S1", "S1b"]
        assert [each.secret for each in Project.objects.order_by("id").iterator(chunk_size=1)] == ["S1", "S1b"]
        assert Project.objects.filter(pk=1).update(secret="x") == 1
        assert Task.objects.create(title="n", project_id=1).pk
        assert Entry.objects.filter(project__secret="x").count() == 1
    assert told() == ("", "")


@only("rls")
def a_cursor_of_the_server_keeps_its_rows(below):
    with house.scope("t1"), transaction.atomic():
        rows = Project.objects.order_by("id").iterator(chunk_size=1)
        assert next(rows).secret == "S1"
        assert Tag.objects.count() == 1
        assert [each.secret for each in rows] == ["S1b"]


@only("rls")
def transactions_begun_by_hand(below):
    transaction.set_autocommit(False)
    try:
        with house.scope("t1"):
            assert Project.objects.count() == 2
            transaction.rollback()
            assert Project.objects.count() == 2
            transaction.commit()
            assert Project.objects.count() == 2
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)


@only("rls")
def a_connection_that_opens_again(below):
    with house.scope("t1"):
        assert Project.objects.count() == 2
        connection.close()
        assert Project.objects.count() == 2
        with transaction.atomic():
            assert Project.objects.count() == 2
    assert len([each for each in connection.execute_wrappers if type(each).__name__ == "StatementGuard"]) == 1


@only("rls")
def the_drivers_own_cursor_meets_the_policies(below):
    with house.scope("t1"):
        assert connection.connection.execute("select secret from project").fetchall() == []
        with transaction.atomic():
            Tag.objects.count()
            assert sorted(connection.connection.execute("select secret from project").fetchall()) == [("S1",), ("S1b",)]
            raises(Exception, connection.connection.execute, "insert into tag (tenant_id, name) values ('t2', 'n')")
            transaction.set_rollback(True)


@only("rls")
def unscoped_lifts_the_guard_and_leaves_the_policies(below):
    with unscoped("a case of the battery"):
        assert Project.objects.count() == 0
        with house.scope("t1"):
            assert Project.objects.count() == 2
            with connection.cursor() as cursor:
                cursor.execute("select count(*) from project")
                assert cursor.fetchone() == (2,)


@only("postgresql")
def policies_may_be_switched_off(below):
    with override_settings(WELLSTREAK_TENANCY_RLS=False), house.scope("t1"), transaction.atomic():
        assert Project.objects.count() == 2
        assert told() == ("", "")


def view(request):
    return HttpResponse(",".join(secrets(Project.objects)))


urlpatterns = [path("projects", view)]


def requests_in_one_transaction(below):
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        with override_settings(ROOT_URLCONF="facts"), house.scope("t1"):
            assert Client().get("/projects").content == b"S1,S1b"
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False


# --- unscoped, elevation, companies -------------------------------------------------------------------------------


@only("sqlite", "postgresql")
def unscoped_reaches_everybody(below):
    with unscoped("a case of the battery"):
        assert secrets(Project.objects) == ["S1", "S2", "S1b"]
        assert [project.secret for project in Project.objects.raw("select * from project where id = 2")] == ["S2"]
        made = Project.objects.create(tenant_id="t2", name="n", secret="x")
        raises(CrossTenantWrite, Project.objects.create, name="n", secret="x")
        assert Project.objects.filter(pk=made.pk).update(secret="y") == 1
        Task.objects.create(tenant_id="t2", title="n", project_id=made.pk)
        with house.scope("t1"):
            assert Project.objects.create(name="n", secret="x").tenant_id == "t1"
    raises(NoTenant, Project.objects.count)


def elevation_moves_the_scope(below):
    trail = []
    with house.scope("t1"):
        raises(TenantConflict, house.scope("t2").__enter__)
        elevation = elevate("import is stuck", "OPS-1", 5, audit=trail.append, principal=Principal("sam"))
        with elevation, tenant_scope(elevation.context("t2")):
            assert secrets(Project.objects) == ["S2"]
            browser = Client()
            browser.force_login(User.objects.create_superuser("sam", password="sam"))
            page = browser.get("/admin/house/project/2/change/").content.decode()
            assert 'value="S2"' in page
        assert secrets(Project.objects) == ["S1", "S1b"]
    assert len(trail) == 2


def company(tenant, company_id):
    principal = Principal("u1", tenant_id=tenant)
    return TenantContext(tenant, principal, Membership(tenant, "u1", frozenset()), company_id)


def companies_are_apart(below):
    with tenant_scope(company("t1", "c1")):
        assert secrets(Ledger.objects) == ["S1l"]
        assert Ledger.objects.create(secret="new").company_id == "c1"
        raises(CrossTenantWrite, Ledger.objects.create, company_id="c2", secret="x")
        raises(CrossTenantWrite, Ledger.objects.filter(pk=1).update, company_id="c2")
        assert Ledger.objects.filter(pk=3).update(secret="x") == 0
        held = Ledger.objects.order_by("id")
        assert len(held) == 2
        assert Project.objects.count() == 2
    with tenant_scope(company("t1", "c2")):
        assert [each.secret for each in held] == ["S1m"]
    with house.scope("t1"):
        assert secrets(Ledger.objects) == ["S1l", "S1m", "new"]
        assert Ledger.objects.create(secret="of nobody").company_id is None
        assert Ledger.objects.filter(pk=1).update(company_id="c2") == 1
    with tenant_scope(company("t1", "c1")):
        assert secrets(Ledger.objects) == ["new"]
        assert Project.objects.create(name="n", secret="x").tenant_id == "t1"


def rows_that_come_back_are_compared(below):
    names, values = ["id", "tenant_id", "name", "secret"], (2, "t2", "p2", "S2")
    with house.scope("t1"):
        raises(CrossTenantRead, Project.from_db, "default", names, values)
        assert Project.from_db("default", ["id", "name"], (2, "p2")).pk == 2
    raises(NoTenant, Project.from_db, "default", names, values)
    with unscoped("a case of the battery"):
        assert Project.from_db("default", names, values).secret == "S2"


# --- administration -----------------------------------------------------------------------------------------------


def without_the_seam_everything_is_refused(below):
    """Were Django to ask somebody else for its compilers, nothing would be marked."""
    from django.db.backends.base.operations import BaseDatabaseOperations

    from wellstreak_trust.tenancy.django import compiler

    BaseDatabaseOperations.compiler = compiler._VANILLA
    try:
        with house.scope("t1"):
            raises(UnscopedStatement, list, Project.objects.all())
            raises(UnscopedStatement, Project.objects.filter(pk=1).update, secret="x")
            raises(UnscopedStatement, Project.objects.create, name="n", secret="x")
            raises(UnscopedStatement, Brief.objects.all().delete)
    finally:
        install()
    with house.scope("t1"):
        assert Project.objects.count() == 2


@only("sqlite")
def schema_changes_and_flush_need_no_scope(below):
    field = models.CharField(max_length=10, default="x")
    field.set_attributes_from_name("extra")
    with connection.schema_editor() as editor:
        editor.add_field(Project, field)
    with connection.schema_editor() as editor:
        editor.remove_field(Project, field)
    with connection.schema_editor() as editor:
        editor.execute("update project set name = 'by a migration' where id = 2")
    assert below.sql("select name from project where id = 2") == [("by a migration",)]
    call_command("flush", interactive=False, verbosity=0)
    assert below.sql("select count(*) from project") == [(0,)]


@only("sqlite", "postgresql")
def a_test_runner_keeps_the_rows_of_migrations(below):
    raises(NoTenant, connection.creation.serialize_db_to_string)
    setup_test_environment()
    try:
        kept = connection.creation.serialize_db_to_string()
        assert "S2" in kept
        below.sql("delete from task_tags")
        below.sql("delete from task")
        connection.creation.deserialize_db_from_string(kept)
        assert below.sql("select count(*) from task") == [(4,)]
        raises(NoTenant, Project.objects.count)
    finally:
        teardown_test_environment()


@only("sqlite")
def a_cache_in_the_database_is_shared(below):
    caches = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "house_cache"}}
    raises(UnscopedStatement, connection.cursor().execute, "select * from house_cache")
    with override_settings(CACHES=caches):
        call_command("createcachetable", verbosity=0)
        cache.set("k", "v")
        assert cache.get("k") == "v"
    with override_settings(WELLSTREAK_SHARED_TABLES=["House_Cache"]):
        connection.cursor().execute("select * from house_cache")


@only("rls")
def policies_come_and_go(below):
    state = ProjectState.from_apps(apps)
    operation = EnableTenantRLS("Task")
    state_of = (
        "select relname, relrowsecurity, relforcerowsecurity from pg_class where relname in ('task', 'task_tags')"
    )
    assert sorted(below.sql(state_of)) == [("task", True, True), ("task_tags", True, True)]
    for way, wanted in ((operation.database_backwards, False), (operation.database_forwards, True)):
        with connections["owner"].schema_editor() as editor:
            way("house", editor, state, state)
        assert sorted(below.sql(state_of)) == [("task", wanted, wanted), ("task_tags", wanted, wanted)]
    assert operation.deconstruct() == ("EnableTenantRLS", ("Task",), {})
    assert "EnableTenantRLS" in MigrationWriter.serialize(operation.__class__)[0]
    with connections["owner"].schema_editor(collect_sql=True) as editor:
        operation.database_forwards("house", editor, state, state)
    assert any("WITH CHECK" in statement for statement in editor.collected_sql)


@only("rls")
def a_table_of_children_and_one_of_links_are_covered(below):
    with house.scope("t1"), transaction.atomic():
        assert Tag.objects.count() == 1
        direct = connection.connection.execute
        assert direct("select menu from cafe").fetchall() == [("S1me",)]
        assert direct("select task_id, tag_id from task_tags").fetchall() == [(1, 1)]


@only("postgresql")
def the_database_keeps_children_inside_the_tenant(below):
    state = ProjectState.from_apps(apps)
    operation = TenantForeignKeyConstraint("Task", "project")
    with connections["owner"].schema_editor() as editor:
        operation.database_forwards("house", editor, state, state)
    try:
        error = raises(Exception, below.sql, "insert into task (tenant_id, project_id, title) values ('t1', 2, 'n')")
        assert "task_project_id_wst" in str(error)
        below.sql("insert into task (tenant_id, project_id, title) values ('t2', 2, 'n'), ('t1', null, 'm')")
    finally:
        with connections["owner"].schema_editor() as editor:
            operation.database_backwards("house", editor, state, state)
    assert operation.deconstruct() == ("TenantForeignKeyConstraint", ("Task", "project"), {})


def migrations_see_plain_columns(below):
    state = ModelState.from_model(Project)
    added = migrations.AddField("Project", "tenant_id", state.fields["tenant_id"])
    written = type("Migration", (migrations.Migration,), {"operations": [added]})("0002", "house")
    assert "wellstreak" not in MigrationWriter(written).as_string()
    assert not state.fields["tenant_id"].has_default()


def historical_models_are_guarded_from_the_day_they_have_a_tenant(below):
    fields = {"id": models.BigAutoField(primary_key=True), "secret": models.TextField(), "name": models.TextField()}
    state = ProjectState()
    state.add_model(ModelState("house", "Project", [*fields.items(), ("tenant_id", models.CharField(max_length=64))],
                               {"db_table": "project"}))  # fmt: skip
    now = state.apps.get_model("house", "Project")
    raises(NoTenant, now.objects.count)
    with house.scope("t1"):
        assert now.objects.count() == 2
        assert now.objects.create(name="n", secret="x").tenant_id == "t1"
        assert now.objects.filter(pk=2).update(secret="x") == 0
    before = ProjectState()
    before.add_model(ModelState("house", "Project", [(name, each.clone()) for name, each in fields.items()],
                                {"db_table": "project"}))  # fmt: skip
    late = before.apps.get_model("house", "Project")
    raises(NoTenant, late.objects.count)  # the state leaves it out, and the database has it
    with house.scope("t1"):
        assert late.objects.count() == 3
        raises(CrossTenantWrite, late.objects.create, name="n", secret="x")


@only("sqlite", "postgresql")
def before_the_column_is_added_the_table_is_nobodys(below):
    fields = [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())]
    before = ProjectState()
    before.add_model(ModelState("house", "Code", fields, {"db_table": "code"}))
    early = before.apps.get_model("house", "Code")
    below.sql("alter table code rename column tenant_id to later")
    try:
        assert early.objects.count() == 2
        assert early.objects.update(name="n") == 2
    finally:
        below.sql("alter table code rename column later to tenant_id")


def a_corrupt_key_may_be_written_back_unchanged(below):
    with house.scope("t1"):
        task = Task.objects.get(pk=3)
        for title in ("mended", "twice"):
            task.title = title
            task.save()
        assert below.sql("select title, project_id from task where id = 3") == [("twice", 2)]
        task.project_id = 1
        task.save()
        task.project_id = 2  # what it was loaded with, and not what it is
        raises(CrossTenantWrite, task.save)
        other = Task.objects.get(pk=3)
        other.project_id = 2
        raises(CrossTenantWrite, other.save)
        moved = Task.objects.get(pk=1)
        moved.project_id = 2
        raises(CrossTenantWrite, moved.save)
        raises(CrossTenantWrite, Task.objects.filter(pk=1).update, project_id=2)
    below.sql("update task set project_id = 2 where id = 3")
    with house.scope("t1"):
        task = Task.objects.get(pk=3)
        task.pk = 1  # another row was not loaded with it
        raises(CrossTenantWrite, task.save)


def another_model_of_a_table_knows_its_keys(below):
    from django.apps.registry import Apps

    class Numbers(models.Model):
        project_id = models.BigIntegerField()
        title = models.TextField()

        class Meta:
            app_label, db_table, managed, apps = "house", '"TASK"' if not below.pg else '"task"', False, Apps()

    class Tenants(models.Model):
        whose = models.TextField(db_column="tenant_id")
        name = models.TextField()

        class Meta:
            app_label, db_table, managed, apps = "house", "tag", False, Apps()

    with house.scope("t1"):
        assert sorted(Numbers.objects.values_list("pk", flat=True)) == [1, 3]
        raises(CrossTenantWrite, Numbers.objects.filter(pk=1).update, project_id=2)
        raises(CrossTenantWrite, Tenants.objects.create, whose="t2", name="n")
        raises(CrossTenantWrite, Tenants.objects.filter(pk=1).update, whose="t2")
        assert Numbers.objects.filter(pk=1).update(project_id=3) == 1


def what_imports_the_guards_private_names_is_out_of_reach(below):
    from wellstreak_trust.tenancy.django.statements import Compiled

    if "rls" not in str(connection.settings_dict["NAME"]):
        with house.scope("t1"), connection.cursor() as cursor:
            cursor.execute(Compiled("select count(*) from project"))
            assert cursor.fetchone() == (3,)


# --- checks -------------------------------------------------------------------------------------------------------


def found(**settings):
    with override_settings(**settings):
        return sorted((each.id, getattr(each.obj, "__name__", str(each.obj))) for each in check_models())


def checks_of_the_host(below):
    seen = found()
    assert seen == [
        ("wst.tenancy.W001", "house.Node.parent"),
        ("wst.tenancy.W002", "Task"),
        ("wst.tenancy.W003", "Code"),
    ], seen
    assert ("wst.tenancy.E005", "None") in found(WELLSTREAK_SHARED_MODELS=["nothing.Here"])
    assert ("wst.tenancy.E004", "Project") in found(WELLSTREAK_SHARED_MODELS=["house.Project"])
    told = sorted(each.id for each in run_checks() if each.id.startswith("wst"))
    assert told == [code for code, _ in found()], told


def checks_of_careless_models(below):
    from wellstreak_trust.tenancy.django import TenantForeignKey, TenantManager, TenantModel

    config, known = apps.get_app_config("house"), dict(apps.all_models["house"])
    try:

        class Unsaid(models.Model):
            class Meta:
                app_label = "house"

        class Nameless(TenantModel):
            tenant_id = None

            class Meta(TenantModel.Meta):
                abstract = False
                app_label = "house"

        class Careless(TenantModel):
            root = TenantForeignKey(Root, on_delete=models.CASCADE)
            number = models.IntegerField()
            lowered = models.CharField(max_length=9)

            class Meta(TenantModel.Meta):
                abstract = False
                app_label = "house"
                unique_together = [("number", "root")]
                constraints = [
                    models.UniqueConstraint(fields=["number"], name="careless_number"),
                    models.UniqueConstraint(fields=["tenant_id", "number"], name="careless_kept"),
                    models.UniqueConstraint(Lower("lowered"), name="careless_lowered"),
                ]

        class Careful(TenantModel):
            objects = TenantManager()

            class Meta(TenantModel.Meta):
                abstract = False
                app_label = "house"

        new = {"Unsaid", "Nameless", "Careless", "Careful"}
        told = [each for each in found() if each[1] in new]
        assert told.count(("wst.tenancy.E001", "Unsaid")) == 1
        assert told.count(("wst.tenancy.E002", "Nameless")) == 1
        assert told.count(("wst.tenancy.W002", "Careless")) == 3, told
        assert [each.id for each in Careless._meta.get_field("root").check()] == ["wst.tenancy.E003"]
        assert not [each for each in told if each[1] == "Careful"]
        declared = found(WELLSTREAK_SHARED_MODELS=["house.Unsaid"])
        assert "wst.tenancy.E001" not in {each[0] for each in declared}, declared
    finally:
        apps.all_models["house"].clear()
        apps.all_models["house"].update(known)
        config.models = apps.all_models["house"]
        apps.clear_cache()


# --- observation --------------------------------------------------------------------------------------------------


@only("sqlite", "postgresql")
def observation_changes_nothing_and_tells(below):
    observations.clear()
    with override_settings(WELLSTREAK_TENANCY_MODE="observe"):
        assert Project.objects.count() == 3
        assert [cafe.menu for cafe in Cafe.objects.order_by("pk")] == ["S1me", "S2me"]
        with house.scope("t1"):
            assert secrets(Project.objects) == ["S1", "S2", "S1b"]
            Task.objects.create(title="n", project_id=2)
            Project.objects.create(tenant_id="t2", name="n", secret="x")
            assert Project.objects.filter(pk=1).update(tenant_id="t2") == 1
            assert Node.objects.filter(pk=2).update(secret="x") == 1
            with connection.cursor() as cursor:
                cursor.execute("select count(*) from project where secret <> 'hunter2'")
                assert cursor.fetchone() == (4,)
    seen = {(each.code, each.statement.split()[0]) for each in observations.report()}
    assert {code for code, _ in seen} == {"NoTenant", "Filtered", "CrossTenantWrite", "UnscopedStatement"}
    assert "hunter2" not in observations.text()
    assert all("facts.py" in each.where for each in observations.report()), observations.text()
    with house.scope("t1"):
        assert Project.objects.filter(pk=2).count() == 0


def a_mode_nobody_knows_is_refused(below):
    with override_settings(WELLSTREAK_TENANCY_MODE="enforced"), house.scope("t1"):
        raises(Exception, Project.objects.count)


def a_dump_and_a_load(below):
    out = io.StringIO()
    with house.scope("t1"):
        call_command("dumpdata", "house.code", "house.project", stdout=out)
    assert "S2" not in out.getvalue()
    assert "S1b" in out.getvalue()


logging.getLogger("wellstreak_trust.tenancy").setLevel(logging.ERROR)
