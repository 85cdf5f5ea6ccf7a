"""Attacks on one Django model: each gets the victim's instance and gives what leaked, or None."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.db import connections
from django.db.models import Count, Exists, Model, Subquery
from django.forms import modelform_factory

from .ground import Ground
from .schema import python_type
from .world import typed

__all__ = ["READS", "SCOPELESS", "UNTENANTED", "WRITES", "Spy", "foreign_key_attacks", "leading", "link_attacks"]


class Spy:
    """The model that is attacked, and the victim's instance."""

    def __init__(self, ground: Ground, model: Any, victim: Any) -> None:
        self.ground: Ground = ground
        self.model: Any = model
        self.victim: Any = victim

    @property
    def manager(self) -> Any:
        """A query set of the default manager, made where it is used: managers may read the scope."""
        return self.model._default_manager.using(self.ground.using)

    @property
    def base(self) -> Any:
        """A query set of the base manager."""
        return self.model._base_manager.using(self.ground.using)

    def seen(self, found: Iterable[Any]) -> str | None:
        """The complaint where the victim's row or key is among what was found."""
        for each in found:
            key = each.pk if isinstance(each, Model) else each[0] if isinstance(each, tuple | list) else each
            if key == self.victim.pk:
                return "the victim's row came back"
        return None

    def counted(self, found: Any) -> str | None:
        """The complaint where a count is not that of the own rows."""
        own = len(self.ground.rows(self.ground.attacker)[self._table()])
        return None if found == own else f"the count is {found!r}, of own rows there are {own}"

    def _table(self) -> str:
        """The table that has the tenant column."""
        field = next(each for each in self.model._meta.concrete_fields if each.attname == self.ground.models.column)
        name: str = self.model._meta.db_table
        return name if field.model is self.model else field.model._meta.db_table

    @property
    def change(self) -> tuple[str, Any]:
        """A field, and a value that the victim's row does not have there."""
        for field in self.ground.models.settable(self.model):
            value, kind = getattr(self.victim, field.attname), python_type(field)
            if kind is str:
                return field.attname, "y" if value == "x" else "x"
            if kind in (int, bool):
                return field.attname, not value if kind is bool else 1 if value is None else value + 1
            if field.null and value is not None:
                return field.attname, None
        return self.ground.models.column, self.tenant_value(self.ground.attacker)

    def tenant_value(self, tenant: str) -> Any:
        """A tenant id as the model's column has it."""
        return typed(self.model._meta.get_field(self.ground.models.column), tenant)

    def forged(self, tenant: str | None = None) -> Any:
        """An instance with the victim's key and the attacker's values, as if it had been loaded."""
        name, value = self.change
        values = {field.attname: getattr(self.victim, field.attname) for field in self.model._meta.concrete_fields}
        instance = self.model(
            **(values | {self.ground.models.column: self.tenant_value(tenant or self.ground.attacker)})
        )
        setattr(instance, name, value)
        instance._state.adding, instance._state.db = False, self.ground.using
        return instance


Attack = Callable[[Spy], str | None]
Tamper = Callable[[Spy], object]


def _raw(spy: Spy) -> str | None:
    return spy.seen(spy.model._default_manager.raw(f"SELECT * FROM {spy.model._meta.db_table}", using=spy.ground.using))


def _cursor(spy: Spy) -> str | None:
    with connections[spy.ground.using].cursor() as cursor:
        cursor.execute(f"SELECT {spy.model._meta.pk.column} FROM {spy.model._meta.db_table}")
        return spy.seen(cursor.fetchall())


def _refreshed(spy: Spy) -> str | None:
    name, _ = spy.change
    instance = spy.forged()
    instance.refresh_from_db(using=spy.ground.using)
    return "a forged instance was filled" if getattr(instance, name) == getattr(spy.victim, name) else None


def _awaited(spy: Spy) -> str | None:
    async def collected() -> list[Any]:
        return [each async for each in spy.manager.all()]

    return spy.seen(async_to_sync(collected)())


def _aggregated(spy: Spy) -> str | None:
    return spy.counted(spy.manager.aggregate(n=Count("pk"))["n"])


def _subquery(spy: Spy) -> str | None:
    inner = spy.base.filter(pk=spy.victim.pk).values("pk")[:1]
    return spy.seen(spy.base.annotate(found=Subquery(inner)).values_list("found", flat=True))


def _exists(spy: Spy) -> str | None:
    found = spy.base.filter(pk=spy.victim.pk).exists() or spy.manager.filter(Exists(spy.base.filter(pk=spy.victim.pk)))
    return "existence was confirmed" if found else None


def leading(model: Any) -> list[Any]:
    """The foreign keys and links of other models whose form fields offer this one's rows."""
    return [
        relation.field for relation in model._meta.related_objects
        if relation.field.concrete and relation.field.editable and not relation.related_model._meta.auto_created
        and not getattr(relation, "parent_link", False)
    ]  # fmt: skip


def _form(spy: Spy) -> str | None:
    for field in leading(spy.model):
        form: Any = modelform_factory(field.model, fields=[field.name])()
        if found := spy.seen(form.fields[field.name].queryset):
            return found
    return None


READS: Final[Mapping[str, Attack]] = {
    "read_all": lambda spy: spy.seen(spy.manager.all()),
    "read_by_key": lambda spy: spy.seen([spy.manager.get(pk=spy.victim.pk)]),
    "read_by_filter": lambda spy: spy.seen(spy.manager.filter(pk=spy.victim.pk)),
    "read_by_exclude": lambda spy: spy.seen(spy.manager.exclude(pk__isnull=True)),
    "read_by_base_manager": lambda spy: spy.seen(spy.base.all()),
    "read_values": lambda spy: spy.seen(spy.base.values_list("pk")),
    "read_in_bulk": lambda spy: spy.seen(spy.base.in_bulk([spy.victim.pk]).values()),
    "read_by_iterator": lambda spy: spy.seen(spy.base.iterator(chunk_size=1)),
    "read_by_union": lambda spy: spy.seen(spy.base.all().union(spy.base.filter(pk=spy.victim.pk))),
    "read_by_or": lambda spy: spy.seen(spy.base.none() | spy.base.filter(pk=spy.victim.pk)),
    "read_last": lambda spy: spy.seen([spy.base.order_by("pk").last()]),
    "read_asynchronously": _awaited, "read_by_raw": _raw, "read_by_cursor": _cursor,
    "read_by_extra": lambda spy: spy.seen(spy.base.extra(where=["1=1 OR 1=1"])),
    "read_through_subquery": _subquery, "refresh_a_forged_instance": _refreshed,
    "count_rows": lambda spy: spy.counted(spy.base.count()), "count_by_aggregate": _aggregated,
    "ask_for_existence": _exists,
    "ask_by_contains": lambda spy: "existence was confirmed" if spy.manager.all().contains(spy.victim) else None,
    "read_form_choices": _form,
}  # fmt: skip
"""Reads in the attacker's scope."""


def _answered(found: object) -> str | None:
    return f"{found!r} was answered without a tenant"


def _thread(spy: Spy) -> str | None:
    """A thread does not inherit the scope of whoever starts it, and must not see everything for want of one."""
    answers: list[int] = []

    def run() -> None:
        try:
            with suppress(Exception):  # a refusal, of whatever class the host's own code makes of it
                answers.append(len(list(spy.manager.all())))
        finally:
            connections[spy.ground.using].close()

    with spy.ground.scope():
        thread = Thread(target=run)
        thread.start()
        thread.join()
    return _answered(answers[0]) if answers else None


def _after_error(spy: Spy) -> str | None:
    try:
        with spy.ground.scope(spy.ground.victim):
            raise LookupError
    except LookupError:
        return _answered(spy.manager.count())


def _kept(spy: Spy) -> str | None:
    """A queryset that the victim filled is read in the attacker's scope."""
    with spy.ground.scope(spy.ground.victim):
        kept = spy.manager.all()
        list(kept)
    with spy.ground.scope():
        return spy.seen(kept)


def _kept_iterator(spy: Spy) -> str | None:
    with spy.ground.scope(spy.ground.victim):
        kept = spy.manager.iterator(chunk_size=1)
    with spy.ground.scope():
        return spy.seen(kept)


SCOPELESS: Final[Mapping[str, Attack]] = {
    "read_without_tenant": lambda spy: _answered(len(spy.manager.all())),
    "exclude_without_tenant": lambda spy: _answered(len(spy.base.exclude(pk=None))),
    "count_without_tenant": lambda spy: _answered(spy.base.count()),
    "exists_without_tenant": lambda spy: _answered(spy.manager.exists()),
    "explain_without_tenant": lambda spy: _answered(spy.manager.all().explain()),
    "read_in_a_thread": _thread, "count_after_an_error": _after_error, "keep_a_queryset_across_tenants": _kept,
    "keep_an_iterator_across_tenants": _kept_iterator,
}  # fmt: skip
"""Reads that begin outside every scope."""


def _created(spy: Spy, *, bulk: bool = False) -> None:
    instance = spy.ground.unsaved(spy.model)
    setattr(instance, spy.ground.models.column, spy.tenant_value(spy.ground.victim))
    if bulk:
        spy.manager.bulk_create([instance])
    else:
        instance.save(using=spy.ground.using)


def _moved(spy: Spy) -> None:
    instance = spy.ground.make(spy.model)
    setattr(instance, spy.ground.models.column, spy.tenant_value(spy.ground.victim))
    instance.save(using=spy.ground.using)


def _moved_in_bulk(spy: Spy) -> None:
    spy.ground.make(spy.model)
    spy.base.update(**{spy.ground.models.column: spy.tenant_value(spy.ground.victim)})


def _upserted(spy: Spy) -> None:
    name, _ = spy.change
    spy.base.bulk_create(
        [spy.forged()], update_conflicts=True, unique_fields=[spy.model._meta.pk.name], update_fields=[name]
    )


WRITES: Final[Mapping[str, Tamper]] = {
    "update_by_filter": lambda spy: spy.manager.filter(pk=spy.victim.pk).update(**dict([spy.change])),
    "update_all": lambda spy: spy.base.update(**dict([spy.change])),
    "delete_by_filter": lambda spy: spy.base.filter(pk=spy.victim.pk).delete(),
    "delete_all": lambda spy: spy.base.all().delete(),
    "delete_raw": lambda spy: spy.base.filter(pk=spy.victim.pk)._raw_delete(spy.ground.using),
    "save_a_forged_instance": lambda spy: spy.forged().save(using=spy.ground.using),
    "save_one_field_of_a_forged_instance": lambda spy: spy.forged().save(
        using=spy.ground.using, update_fields=[spy.change[0]]
    ),
    "delete_a_forged_instance": lambda spy: spy.forged().delete(using=spy.ground.using),
    "save_a_fetched_instance": lambda spy: spy.forged(spy.ground.victim).save(using=spy.ground.using),
    "delete_a_fetched_instance": lambda spy: spy.victim.delete(using=spy.ground.using),
    "bulk_update": lambda spy: spy.base.bulk_update([spy.forged()], [spy.change[0]]),
    "update_or_create": lambda spy: spy.base.update_or_create(pk=spy.victim.pk, defaults=dict([spy.change])),
    "upsert": _upserted, "create_for_another": _created,
    "bulk_create_for_another": lambda spy: _created(spy, bulk=True),
    "give_a_row_away": _moved, "give_rows_away_in_bulk": _moved_in_bulk,
}  # fmt: skip
"""Writes in the attacker's scope."""

UNTENANTED: Final[Mapping[str, Tamper]] = {
    "update_without_tenant": lambda spy: spy.base.update(**dict([spy.change])),
    "delete_without_tenant": lambda spy: spy.base.all().delete(),
    "save_without_tenant": lambda spy: spy.forged(spy.ground.victim).save(using=spy.ground.using),
}
"""Writes outside every scope."""


def foreign_key_attacks(field: Any) -> Mapping[str, Tamper]:
    """An own row is hung below the victim's parent; the spy's victim is the parent."""
    model = field.model

    def by_value(spy: Spy) -> None:
        instance = spy.ground.make(model)
        setattr(instance, field.attname, getattr(spy.victim, field.target_field.attname))
        instance.save(using=spy.ground.using)

    def by_instance(spy: Spy) -> None:
        instance = spy.ground.make(model)
        setattr(instance, field.name, spy.victim)
        instance.save(using=spy.ground.using)

    def in_bulk(spy: Spy) -> None:
        spy.ground.make(model)
        model._base_manager.using(spy.ground.using).update(**{field.name: spy.victim.pk})

    def created_in_bulk(spy: Spy) -> None:
        instance = spy.ground.unsaved(model)
        setattr(instance, spy.ground.models.column, spy.tenant_value(spy.ground.attacker))
        setattr(instance, field.attname, getattr(spy.victim, field.target_field.attname))
        model._base_manager.using(spy.ground.using).bulk_create([instance])

    attacks = {"by_value": by_value, "by_instance": by_instance, "in_bulk": in_bulk}
    return attacks if model._meta.parents else attacks | {"by_bulk_create": created_in_bulk}


def link_attacks(field: Any) -> Mapping[str, Tamper]:
    """An own row is linked with the victim's; the spy's victim is the other end."""

    def through(spy: Spy) -> None:
        instance = spy.ground.make(field.model)
        ends = {field.m2m_field_name() + "_id": instance.pk, field.m2m_reverse_field_name() + "_id": spy.victim.pk}
        field.remote_field.through._base_manager.using(spy.ground.using).create(**ends)

    return {
        "by_key": lambda spy: getattr(spy.ground.make(field.model), field.name).add(spy.victim.pk),
        "by_instance": lambda spy: getattr(spy.ground.make(field.model), field.name).add(spy.victim),
        "by_set": lambda spy: getattr(spy.ground.make(field.model), field.name).set([spy.victim]),
        "by_through": through,
    }
