"""Run by test_filter in a process of its own: the filter and the check over Django's ORM, and its refusals."""

from __future__ import annotations

from random import Random

import django
import filter_policies as make
from django.conf import settings
from django.db import connection, models

from wellstreak_trust.authz import NotFilterable, Policy
from wellstreak_trust.core import Principal

settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()


class Owner(models.Model):
    id = models.CharField(primary_key=True, max_length=20)

    class Meta:
        app_label = "probe"


class Row(models.Model):
    id = models.TextField(primary_key=True)
    tenant_id = models.TextField(null=True)
    s = models.TextField(null=True, db_collation="NOCASE")
    u = models.CharField(null=True, max_length=20)
    i = models.BigIntegerField(null=True)
    j = models.BigIntegerField(null=True)
    b = models.BooleanField(null=True)
    f = models.BooleanField(null=True)
    number = models.TextField(null=True)
    owner = models.ForeignKey(Owner, null=True, on_delete=models.CASCADE)

    class Meta:
        app_label = "probe"


def prepared() -> list[dict[str, object]]:
    rows = make.rows(Random(7), 80)
    with connection.schema_editor() as editor:
        editor.create_model(Owner)
        editor.create_model(Row)
    Owner.objects.create(id="u1")
    Row.objects.bulk_create(Row(**row, owner_id="u1" if row["b"] else None) for row in rows)
    return rows


def random_policies(rows: list[dict[str, object]]) -> None:
    for seed in range(make.CASES):
        random = Random(seed)
        policy, subject, context = make.policy(random), make.subject(random), make.facts(random)
        wanted = {row["id"] for row in rows if policy.check(subject, "d:x", row, context)}
        question = policy.filter(subject, "d:x", "d", context).to_django_q()
        found = Row.objects.filter(question)
        assert set(found.values_list("id", flat=True)) == wanted, seed
        # A Q is combined with others, and an empty one must not vanish.
        assert set(Row.objects.filter(question | question).values_list("id", flat=True)) == wanted, seed
        if not policy.filter(subject, "d:x", "d", context).is_never:  # Django then asks nothing, and has no text
            assert "NOT" not in str(found.query).replace("IS NOT NULL", "").split("WHERE")[-1], seed


def sole(when: str, **attributes: str) -> Policy:
    return Policy.build(
        permissions={"d:x": {"resource": "d"}},
        resources={"d": {"attributes": attributes}},
        roles={"m": [{"permission": "d:x", "when": when}]},
    )


def relations_and_refusals() -> None:
    member = Principal("u1", tenant_id="t1", roles=frozenset({"m"}))
    owned = sole("resource.owner_id == principal.id", owner_id="string")
    mine = {row.id for row in Row.objects.all() if owned.check(member, "d:x", row)}
    assert mine
    assert set(Row.objects.filter(owned.filter(member, "d:x", "d").to_django_q()).values_list("id", flat=True)) == mine
    for policy in (
        sole("resource.owner == principal.id", owner="string"),  # a relation: an object, not its key
        sole("resource.number == 1", number="int"),
        sole("resource.gone == 'a'", gone="string"),
        sole("resource.owner__id == 'u1'", owner__id="string"),
        sole("'a' in resource.s", s="strings"),
        sole("resource.u == '\\u0000'", u="string"),
    ):
        assert refused(policy, member), policy.document


def refused(policy: Policy, member: Principal) -> bool:
    try:
        list(Row.objects.filter(policy.filter(member, "d:x", "d").to_django_q()))
    except NotFilterable as refusal:
        return bool(refusal.hint)
    return False


def main() -> None:
    rows = prepared()
    random_policies(rows)
    relations_and_refusals()
    print("as checked")


if __name__ == "__main__":
    main()
