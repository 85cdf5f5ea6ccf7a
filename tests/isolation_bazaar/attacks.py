"""A tenant's code tries what generators and batteries do not think of. Each function runs in t1's scope.

What it returns must not hold S2, and t2's rows must be as before. Run by ``attack_probe``, in a process of its own.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.apps import apps
from django.apps.registry import Apps
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.db import connection, models
from django.db.migrations.state import ProjectState
from django.db.models import (
    BigIntegerField,
    BooleanField,
    Case,
    CharField,
    Exists,
    F,
    Func,
    Lookup,
    Max,
    Q,
    Subquery,
    Value,
    When,
    prefetch_related_objects,
)
from django.db.models.expressions import CombinedExpression, Expression, RawSQL
from django.db.models.functions import Cast, Coalesce, Concat, Lower
from django.db.models.sql import DeleteQuery, UpdateQuery

from isolation_bazaar.models import Cafe, Good, Label, Permit, Region, Stall

ROWS = (
    "insert into isolation_bazaar_stall (id, tenant_id, name, secret, kind) values"
    " (1, 't1', 'p1', 'S1', 'food'), (2, 't2', 'p2', 'S2', 'food'), (3, 't1', 'p3', 'S1b', 'food')",
    "insert into isolation_bazaar_good (id, tenant_id, stall_id, title) values"
    " (1, 't1', 1, 'S1t'), (2, 't2', 2, 'S2t'), (3, 't1', 2, 'S1x'), (4, 't2', 1, 'S2y')",
    "insert into isolation_bazaar_label (id, tenant_id, name) values (1, 't1', 'S1g'), (2, 't2', 'S2g')",
    "insert into isolation_bazaar_good_labels (good_id, label_id) values (1, 1), (1, 2), (2, 2)",
    "insert into isolation_bazaar_region (id, name) values (1, 'north')",
    "insert into isolation_bazaar_cafe (stall_ptr_id, menu) values (1, 'S1e'), (2, 'S2e')",
    "insert into isolation_bazaar_permit (id, tenant_id, stall_id, secret) values (1, 't1', 3, 'S1p')",
)
HARM = """
select 'stall 2' where not exists (
  select 1 from isolation_bazaar_stall where id = 2 and tenant_id = 't2' and name = 'p2' and secret = 'S2')
union all select 'stall of t2' from isolation_bazaar_stall where tenant_id = 't2' and id <> 2
union all select 'stall 1 is gone' from isolation_bazaar_stall where id = 1 and tenant_id <> 't1'
union all select 'good below stall 2' from isolation_bazaar_good where tenant_id = 't1' and id <> 3 and stall_id = 2
union all select 'permit of stall 2' from isolation_bazaar_permit where tenant_id = 't1' and stall_id = 2
union all select 'good 2' where not exists (
  select 1 from isolation_bazaar_good where id = 2 and tenant_id = 't2' and title = 'S2t' and stall_id = 2)
union all select 'good 4' where not exists (
  select 1 from isolation_bazaar_good where id = 4 and tenant_id = 't2' and title = 'S2y' and stall_id = 1)
union all select 'label of t2' from isolation_bazaar_label where tenant_id = 't2' and id <> 2
union all select 'link' from isolation_bazaar_good_labels where good_id = 3 and label_id = 2
union all select 'cafe 2' where not exists (
  select 1 from isolation_bazaar_cafe where stall_ptr_id = 2 and menu = 'S2e')
"""
TABLE = "isolation_bazaar_stall"
SECRET = f"(select max(secret) from {TABLE})"


def second(name: str, table: str, **options: Any) -> Any:
    """Another, plain model on a table, as a host writes it for reports; in a registry of its own, or in the apps'."""
    meta = type("Meta", (), {"app_label": "isolation_bazaar", "db_table": table, "managed": False, **options})
    fields = {"secret": CharField(max_length=30), "__module__": __name__, "Meta": meta}
    return type(name, (models.Model,), fields)


Same = second("Same", TABLE)
Upper = second("Upper", TABLE.upper())
Quoted = second("Quoted", f'"{TABLE}"')
Schema = second("Schema", f'main"."{TABLE}')
View = second("View", "isolation_view")
Apart = second("Apart", TABLE, apps=Apps())


def secrets(query: Any) -> list[Any]:
    return list(query.values_list("secret", flat=True))


def regions(expression: Any) -> list[Any]:
    return list(Region.objects.annotate(x=expression).values_list("x", flat=True))


def historical(name: str) -> Any:
    return ProjectState.from_apps(apps).apps.get_model("isolation_bazaar", name)


# --- other names for a tenant table --------------------------------------------------------------------------------


def read_by_a_second_model():
    return secrets(Same.objects)


def read_by_a_second_model_in_capitals():
    return secrets(Upper.objects)


def read_by_a_second_model_in_quotes():
    return secrets(Quoted.objects)


def read_by_a_second_model_in_a_schema():
    return secrets(Schema.objects)


def read_by_a_second_model_of_other_apps():
    return secrets(Apart.objects)


def read_by_a_model_of_a_view():
    return secrets(View.objects)


def unite_second_models():
    return list(Same.objects.values_list("secret").union(Upper.objects.values_list("secret")))


def ask_a_second_model():
    return (
        "S2"
        if Upper.objects.filter(pk=2).exists() or Region.objects.filter(Exists(Quoted.objects.filter(pk=2)))
        else ""
    )


def update_by_a_second_model():
    Same.objects.filter(pk=2).update(secret="x")


def update_by_a_second_model_in_capitals():
    Upper.objects.filter(pk=2).update(secret="x")


def update_by_a_second_model_of_other_apps():
    Apart.objects.filter(pk=2).update(secret="x")


def delete_by_a_second_model():
    Same.objects.filter(pk=2).delete()


def save_by_a_second_model():
    Same(id=2, secret="x").save()


def read_by_a_historical_model():
    return secrets(historical("Stall").objects)


def update_by_a_historical_model():
    historical("Stall").objects.filter(pk=2).update(secret="x")


def move_by_a_historical_model():
    historical("Stall").objects.filter(pk=1).update(tenant_id="t2")


def create_by_a_historical_model():
    historical("Stall")(tenant_id="t2", name="n", secret="i").save()


def point_by_a_historical_model():
    historical("Good").objects.filter(pk=1).update(stall_id=2)


def read_a_child_table_by_a_historical_model():
    return list(historical("Cafe").objects.values_list("menu", flat=True))


def join_a_quoted_table():
    return secrets(Region.objects.extra(tables=[f'"{TABLE}"'], select={"secret": f'"{TABLE}".secret'}))


def join_a_table_in_capitals():
    return "S2" if Region.objects.extra(tables=[TABLE.upper()]).count() != 2 else ""


def read_from_a_string():
    with connection.cursor() as cursor:
        cursor.execute(f"select secret from '{TABLE}'")
        return cursor.fetchall()


def read_with_a_comment():
    with connection.cursor() as cursor:
        cursor.execute(f"select secret from/**/{TABLE}")
        return cursor.fetchall()


def read_behind_a_cte():
    with connection.cursor() as cursor:
        cursor.execute(f"with region as (select * from {TABLE}) select secret from region")
        return cursor.fetchall()


def read_from_brackets():
    with connection.cursor() as cursor:
        cursor.execute(f"select secret from [{TABLE}]")
        return cursor.fetchall()


def plant_a_trigger():
    with connection.cursor() as cursor:
        cursor.execute(
            f"create trigger steal after insert on isolation_bazaar_region begin update {TABLE} set secret = 'x'; end"
        )
    Region(name="n").save()


# --- text in expressions -------------------------------------------------------------------------------------------


def template_of_a_subquery():
    return regions(Subquery(Region.objects.values("name")[:1], template=SECRET))


def template_of_an_aggregate():
    return Region.objects.aggregate(x=Max("name", template=SECRET))


def name_of_a_function():
    return regions(Func(F("name"), function=f"{SECRET} || ", output_field=CharField()))


def joiner_of_a_function():
    function = Func(Value("a"), Value("b"), function="max", arg_joiner=f", {SECRET}, ", output_field=CharField())
    return regions(function)


def connector():
    return regions(CombinedExpression(Value("a"), f"|| {SECRET} ||", Value("b"), output_field=CharField()))


def raw_condition():
    return secrets(Stall.objects.filter(RawSQL("1 = 1 or 1 = 1", [], output_field=BooleanField())))


def raw_condition_that_breaks_out():
    return secrets(Stall.objects.filter(Q(RawSQL("1) or (1 = 1", [], output_field=BooleanField()))))


def raw_value_in_an_update():
    Region.objects.update(name=RawSQL(SECRET, []))
    return list(Region.objects.values_list("name"))


class Written(Expression):
    output_field = CharField()

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return SECRET, []


class Wide(Lookup):
    lookup_name = "wide"

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "1 = 1) or (1 = 1", []


class Text(CharField):
    def cast_db_type(self, connection: Any) -> str:
        return f"text) || {SECRET} || cast('' as text"

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        return f"{SECRET} || %s"


def expression_that_writes_its_own_sql():
    return regions(Written())


def lookup_that_writes_its_own_sql():
    return secrets(Stall.objects.filter(Wide(F("name"), Value("a"))))


def type_that_writes_its_own_sql():
    return regions(Cast("name", Text()))


def placeholder_that_writes_its_own_sql():
    return regions(Value("a", output_field=Text()))


# --- foreign keys and tenants that only seem proven ----------------------------------------------------------------


def point_by_half_a_union():
    other = Label.objects.annotate(x=Value(2, output_field=BigIntegerField())).values("x")
    both = Stall.objects.filter(pk=99).values("pk").union(other)
    Good.objects.filter(pk=1).update(stall_id=Subquery(both[:1]))


def point_by_arithmetic():
    Good.objects.filter(pk=1).update(stall_id=F("id") + 1)


def point_by_case():
    Good.objects.filter(pk=1).update(stall_id=Case(When(pk=1, then=Value(2))))


def point_by_a_computed_key():
    keys = Stall.objects.filter(pk=1).annotate(x=F("pk") + 1).values("x")
    Good.objects.filter(pk=1).update(stall_id=Subquery(keys[:1]))


def point_by_a_fallback():
    none = Subquery(Stall.objects.filter(pk=99).values("pk")[:1])
    Good.objects.filter(pk=1).update(stall_id=Coalesce(none, Value(2)))


def point_by_a_bulk_update():
    good = Good.objects.get(pk=1)
    good.stall_id = F("id") + 1
    Good.objects.bulk_update([good], ["stall_id"])


def point_by_a_saved_expression():
    good = Good.objects.get(pk=1)
    good.stall_id = F("id") + 1
    good.save()


def point_by_an_upsert():
    Good.objects.bulk_create(
        [Good(id=1, stall_id=2, title="q")], update_conflicts=True, unique_fields=["id"], update_fields=["stall"]
    )


def point_by_create_defaults():
    Good.objects.update_or_create(pk=999, defaults={"title": "q", "stall_id": 2})


def point_one_to_one():
    Permit.objects.filter(pk=1).update(stall=2)


def create_for_a_computed_tenant():
    Stall(tenant_id=Lower(Value("T2")), name="n", secret="i").save()


def create_many_for_a_computed_tenant():
    Stall.objects.bulk_create([Stall(tenant_id=Concat(Value("t"), Value("2")), name="n", secret="i")])


def move_by_case():
    Stall.objects.filter(pk=1).update(tenant_id=Case(When(pk=1, then=Value("t2")), default=Value("t1")))


def move_by_an_upsert():
    moved = Stall(id=1, tenant_id="t2", name="n", secret="q")
    Stall.objects.bulk_create([moved], update_conflicts=True, unique_fields=["id"], update_fields=["tenant_id"])


def link_by_moving_a_link():
    through = Good.labels.through
    through.objects.filter(good_id=1, label_id=1).update(good_id=3)
    through._base_manager.filter(good_id=3).update(label_id=2)


def link_by_arithmetic():
    Good.labels.through.objects.filter(good_id=1, label_id=1).update(label_id=F("label_id") + 1, good_id=3)


def link_by_bulk_create():
    Good.labels.through.objects.bulk_create([Good.labels.through(good_id=3, label_id=2)])


# --- below the managers --------------------------------------------------------------------------------------------


def delete_by_a_query():
    DeleteQuery(Stall).delete_batch([2], "default")


def update_by_a_query():
    UpdateQuery(Stall).update_batch([2], {"secret": "x"}, "default")


def save_raw():
    Stall(id=2, tenant_id="t1", name="n", secret="x").save_base(raw=True)


def save_a_child_raw():
    Cafe(stall_ptr_id=2, menu="x").save_base(raw=True)


def load_a_fixture():
    text = '[{"model": "isolation_bazaar.stall", "pk": 2, "fields": {"tenant_id": "t2", "name": "n", "secret": "x"}}]'
    for each in serializers.deserialize("json", text):
        each.save()


def load_a_fixture_of_links():
    text = '[{"model": "isolation_bazaar.good", "pk": 3, "fields": {"stall": 1, "title": "n", "labels": [2]}}]'
    for each in serializers.deserialize("json", text):
        each.save()


def change_a_key():
    stall = Stall.objects.get(pk=1)
    stall.pk = 2
    stall.save()


def update_children_of_all():
    Cafe._base_manager.all().update(menu="x", secret="x")


def delete_a_child_and_keep_the_parent():
    Cafe(stall_ptr_id=2, id=2, tenant_id="t1").delete(keep_parents=True)


def delete_a_stall_with_a_foreign_good():
    Stall.objects.get(pk=1).delete()


def prefetch_for_a_forged_parent():
    stall = Stall(id=2, tenant_id="t1")
    prefetch_related_objects([stall], "good_set")
    return ["S2" for each in stall.good_set.all() if each.tenant_id == "t2"]


def ask_the_content_type():
    return ContentType(app_label="isolation_bazaar", model="stall").get_object_for_this_type(pk=2).secret


def update_asynchronously():
    async_to_sync(Stall.objects.filter(pk=2).aupdate)(secret="x")


ATTACKS = {
    name: each for name, each in globals().items()
    if getattr(each, "__module__", "") == __name__ and callable(each) and not isinstance(each, type)
    and name not in {"second", "secrets", "regions", "historical"}
}  # fmt: skip
