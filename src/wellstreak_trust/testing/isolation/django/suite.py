"""`IsolationSuite` for Django: attacks on each of the host's own models, in the host's own test database.

Each case runs in a transaction that is rolled back. It makes rows of two tenants through the guard, attacks in the
scope of one, and looks at the other's rows below the guard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DatabaseError, connections, transaction

from ....core.errors import TrustError
from ..battery import Battery, IsolationCase, covered
from .attacks import (
    READS,
    SCOPELESS,
    UNTENANTED,
    WRITES,
    Attack,
    Spy,
    Tamper,
    foreign_key_attacks,
    leading,
    link_attacks,
)
from .ground import Factory, Ground
from .schema import Models, accessor
from .twins import closure

__all__ = ["IsolationSuite"]

REFUSALS: Final = (TrustError, DatabaseError, ObjectDoesNotExist, ValidationError)
TENANTS: Final = ("isolation-a", "isolation-b")
WAYS: Final = ("attribute", "select_related", "prefetch_related", "values")


class IsolationSuite(Battery):
    """The battery over Django models.

    ::

        suite = IsolationSuite({Project: lambda make: Project(name="p")})

        @pytest.mark.django_db
        @suite.parametrize
        def test_isolation(case):
            case()

    Args:
        factories: for each tenant model, a function that gives a legal unsaved instance. It gets ``make``:
            ``make(Project)`` is a saved instance to depend on.
        column: the attribute that holds the tenant id.
        skip: tenant models that are not attacked, though a factory's model leads to them.
        tenants: the attacker and the victim.
        using: the alias of the database.
        rls: whether policies of the database keep tenants apart, too.

    Raises:
        ConfigurationError: a model has neither factory nor exemption.
    """

    def __init__(
        self,
        factories: Mapping[Any, Factory],
        *,
        column: str = "tenant_id",
        skip: Sequence[Any] = (),
        tenants: tuple[str, str] = TENANTS,
        using: str = "default",
        rls: bool = False,
    ) -> None:
        models = Models({model._meta.label: model for model in closure(factories)}, column)
        covered(models.tenants, factories, skip)
        self._ground: Ground = Ground(models, factories, tenants, using=using, rls=rls)
        super().__init__(
            IsolationCase(model.__name__, attack, partial(self._undone, run))
            for model in models.tenants
            if model not in skip
            for attack, run in self._of(model)
        )

    def _of(self, model: Any) -> Iterator[tuple[str, Callable[[], str | None]]]:
        for name, attack in READS.items():
            if name != "read_form_choices" or leading(model):
                yield name, partial(self._read, model, attack)
        for name, attack in SCOPELESS.items():
            yield name, partial(self._read, model, attack, scoped=False)
        for name, tamper in WRITES.items():
            if name not in ("upsert", "bulk_create_for_another", "delete_raw") or not model._meta.parents:
                yield name, partial(self._write, model, tamper)
        for name, tamper in UNTENANTED.items():
            yield name, partial(self._write, model, tamper, scoped=False)
        for relation in self._ground.models.relations(model):
            if relation.concrete and self._ground.has(relation.related_model) and relation.model is model:
                yield from self._through(relation)
        for name in ("read", "update", "delete"):
            yield f"own_{name}", partial(getattr(self, f"_own_{name}"), model)

    def _through(self, field: Any) -> Iterator[tuple[str, Callable[[], str | None]]]:
        if getattr(field.remote_field, "parent_link", False):
            return
        for way in WAYS:
            if way != "select_related" or not field.many_to_many:
                yield f"follow_{field.name}_{way}", partial(self._followed, field, way)
        yield f"follow_back_{field.name}", partial(self._followed_back, field)
        attacks = link_attacks(field) if field.many_to_many else foreign_key_attacks(field)
        verb = "link" if field.many_to_many else "point"
        for name, tamper in attacks.items():
            if name != "by_through" or field.remote_field.through._meta.auto_created:
                yield f"{verb}_{field.name}_{name}", partial(self._pointed, field, tamper)

    def _undone(self, run: Callable[[], str | None]) -> str | None:
        with transaction.atomic(using=self._ground.using):
            try:
                return run()
            finally:
                transaction.set_rollback(True, using=self._ground.using)

    # --- attacks ---------------------------------------------------------------------------------------------------

    def _read(self, model: Any, attack: Attack, *, scoped: bool = True) -> str | None:
        ground = self._ground
        ground.plant(model, ground.attacker)
        spy = Spy(ground, model, ground.plant(model, ground.victim))
        return self._refused(lambda: attack(spy), scoped=scoped)

    def _refused(self, run: Callable[[], str | None], *, scoped: bool = True) -> str | None:
        """What it gave; None where it was refused. A savepoint keeps the transaction usable."""
        try:
            with transaction.atomic(using=self._ground.using):
                if not scoped:
                    return run()
                with self._ground.scope():
                    return run()
        except REFUSALS:
            return None

    def _attempt(self, tamper: Tamper, spy: Spy, *, scoped: bool = True) -> None:
        def run() -> None:
            tamper(spy)

        self._refused(run, scoped=scoped)

    def _write(self, model: Any, tamper: Tamper, *, scoped: bool = True) -> str | None:
        ground = self._ground
        spy = Spy(ground, model, ground.plant(model, ground.victim))
        before = ground.rows(ground.victim)
        self._attempt(tamper, spy, scoped=scoped)
        after = ground.rows(ground.victim)
        changed = sorted(table for table, rows in before.items() if rows != after[table])
        return f"the victim's rows changed in {', '.join(changed)}" if changed else None

    def _pointed(self, field: Any, tamper: Tamper) -> str | None:
        """Whether anything of the attacker's leads to the victim's row afterwards."""
        ground = self._ground
        spy = Spy(ground, field.related_model, ground.plant(field.related_model, ground.victim))
        links = field.remote_field.through._meta.db_table if field.many_to_many else field.model._meta.db_table
        before = ground.rows(ground.attacker)[links]
        self._attempt(tamper, spy)
        added = set(ground.rows(ground.attacker)[links]) - set(before)
        key = repr(getattr(spy.victim, field.target_field.attname) if not field.many_to_many else spy.victim.pk)
        fields = field.remote_field.through._meta.local_fields if field.many_to_many else field.model._meta.local_fields
        place = [each.column for each in fields].index(field.m2m_reverse_name() if field.many_to_many else field.column)
        reached = any(_cell(row, place) == key for row in added)
        return "an own row leads to the victim's" if reached else None

    def _followed(self, field: Any, way: str) -> str | None:
        ground = self._ground
        mine, theirs = ground.plant(field.model, ground.attacker), ground.plant(field.related_model, ground.victim)
        if not self._joined(field, mine, theirs):
            return None

        def run() -> str | None:
            query = field.model._default_manager.using(ground.using).filter(pk=mine.pk)
            if way == "values":
                name = f"{field.name}__{ground.models.column}"
                found = [str(each) for each in query.values_list(name, flat=True)]
                return "a value of the victim's row came back" if ground.victim in found else None
            if way != "attribute":
                query = getattr(query, way)(field.name)
            related = getattr(query.get(), field.name)
            every = list(related.all()) if field.many_to_many else [related]
            return Spy(ground, field.related_model, theirs).seen(each for each in every if each is not None)

        return self._refused(run)

    def _followed_back(self, field: Any) -> str | None:
        """From the attacker's parent down to the victim's child."""
        ground = self._ground
        child = ground.plant(field.model, ground.victim)
        parent = ground.plant(field.related_model, ground.attacker)
        if field.remote_field.hidden or not self._joined(field, child, parent):
            return None

        def run() -> str | None:
            loaded = field.related_model._default_manager.using(ground.using).get(pk=parent.pk)
            related = getattr(loaded, accessor(field.remote_field))
            every = list(related.all()) if hasattr(related, "all") else [related]
            return Spy(ground, field.model, child).seen(every)

        return self._refused(run)

    def _joined(self, field: Any, near: Any, far: Any) -> bool:
        """Joins two tenants' rows below the guard; False where the database itself does not let such rows be."""
        ground = self._ground
        connection: Any = connections[ground.using]
        try:
            with transaction.atomic(using=ground.using):
                if not field.many_to_many:
                    value = getattr(far, field.target_field.attname)
                    ground.point(field.model, near.pk, field.column, value)
                elif field.remote_field.through._meta.auto_created:
                    ends = {field.m2m_column_name(): near.pk, field.m2m_reverse_name(): far.pk}
                    ground.link(field.remote_field.through, ends)
        except (DatabaseError, connection.Database.Error):
            return False
        return True

    # --- legal work ------------------------------------------------------------------------------------------------

    def _own_read(self, model: Any) -> str | None:
        own = self._ground.plant(model, self._ground.attacker)
        with self._ground.scope():
            found = model._default_manager.using(self._ground.using).filter(pk=own.pk).first()
        return None if found is not None else "the own row is missing"

    def _own_update(self, model: Any) -> str | None:
        own = self._ground.plant(model, self._ground.attacker)
        with self._ground.scope():
            own.save(using=self._ground.using)
            name, value = Spy(self._ground, model, own).change
            changed = model._default_manager.using(self._ground.using).filter(pk=own.pk).update(**{name: value})
        return None if changed == 1 else "the own row was not updated"

    def _own_delete(self, model: Any) -> str | None:
        own = self._ground.plant(model, self._ground.attacker)
        with self._ground.scope():
            deleted, _ = own.delete(using=self._ground.using)
        return None if deleted else "the own row was not deleted"


def _cell(row: str, place: int) -> str:
    """One value of a row that is written as a tuple."""
    import ast

    return repr(ast.literal_eval(row)[place])
