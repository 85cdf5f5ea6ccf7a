"""Which tables hold tenant rows: the one table of tables that compiler, statements, checks and policies read.

A table is one of three:

* **owned**: its rows name their tenant in a column (and may name a company in a second one). Every `TenantModel` is
  such a table.
* **borrowed**: its rows have no such column and belong to whom the rows that they point at belong to. The link table
  of a many-to-many relation is borrowed from its ends, the table of a multi-table child from its parent's.
* **shared**: everything else. Nothing is restricted there, but a foreign key from it into the first two is.

Tables are known by name, not by class, because a join, a historical model of a migration and raw SQL name the table
alone. Models register when Django prepares their class; links wait until both their ends are resolved. The historical
models of a migration know their columns: before the tenant's was added, their table is nobody's yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.db.models.signals import class_prepared

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "COMPANY",
    "TENANT",
    "Owner",
    "Table",
    "is_tenant_model",
    "known_tables",
    "register",
    "table_of",
    "tables",
    "tables_of",
]

TENANT: Final = "tenant_id"
COMPANY: Final = "company_id"


@dataclass(frozen=True, slots=True)
class Owner:
    """A foreign key that lends its target's tenant: `column` here equals `target` in the table `table`."""

    column: str
    table: str
    target: str


@dataclass(frozen=True, slots=True)
class Table:
    """How one table belongs to tenants.

    Args:
        columns: (column, attribute of the `TenantContext` that it equals), for an owned table.
        owners: for a borrowed table; a row is visible where all of them are.
    """

    name: str
    columns: tuple[tuple[str, str], ...] = ()
    owners: tuple[Owner, ...] = ()
    names: tuple[str, ...] = field(init=False)
    """The attributes of `columns` alone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(name for _, name in self.columns))


class _Registry:
    """What was prepared so far; `waiting` holds the models that nobody has looked at yet."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.shared: set[str] = set()
        self.waiting: list[Any] = []


_REGISTRY: Final = _Registry()


def tables() -> Mapping[str, Table]:
    """Owned and borrowed tables by name."""
    if _REGISTRY.waiting:
        _settle()
    return _REGISTRY.tables


def tables_of(query: Any) -> Mapping[str, Table]:
    """The tables that a query can mean: `tables`, less those that have no tenant yet in a migration's state."""
    state = query.model._meta.apps if query.model is not None else apps
    if state is apps:
        return tables()
    columns = {
        model._meta.db_table: {field.column for field in model._meta.local_concrete_fields}
        for model in state.get_models(include_auto_created=True)
        if not model._meta.proxy
    }
    owned = {
        name: table
        for name, table in tables().items()
        if table.columns and columns.get(name, set()).issuperset(column for column, _ in table.columns)
    }
    return owned | {
        name: table
        for name, table in tables().items()
        if table.owners and name in columns and all(owner.table in owned for owner in table.owners)
    }


def known_tables() -> set[str]:
    """The names of shared tables: those of all other models that were prepared in this process."""
    return _REGISTRY.shared - tables().keys()


def is_tenant_model(model: Any) -> bool:
    """Whether `model` is a concrete or proxy `TenantModel`. False for relations that are not resolved yet."""
    return getattr(model, "_wst_tenant_model", False) is True and not model._meta.abstract


def table_of(field: Any) -> Table | None:
    """The tenant table that a foreign key points into, or None."""
    target = getattr(field, "target_field", None) if getattr(field, "remote_field", None) is not None else None
    return None if target is None else tables_of(target).get(target.model._meta.db_table)


def register(sender: Any, **kwargs: Any) -> None:
    """Receives Django's `class_prepared`."""
    _REGISTRY.waiting.append(sender)


class_prepared.connect(register, dispatch_uid="wellstreak_trust.tenancy.django")


def _settle() -> None:
    waiting, _REGISTRY.waiting = _REGISTRY.waiting, []
    # Owned tables first: a link's ends may have been prepared after it.
    for model in sorted(waiting, key=lambda each: bool(each._meta.auto_created)):
        if model._meta.proxy:
            continue
        if is_tenant_model(model):
            _REGISTRY.tables[model._meta.db_table] = _tenant_table(model)
        elif model._meta.auto_created and not _settle_link(model):
            _REGISTRY.waiting.append(model)
        else:
            _REGISTRY.shared.add(model._meta.db_table)


def _tenant_table(model: Any) -> Table:
    meta = model._meta
    local = {each.attname: each.column for each in meta.local_concrete_fields}
    if TENANT in local:
        columns = tuple((local[name], name) for name in (TENANT, COMPANY) if name in local and _scopes(model, name))
        return Table(meta.db_table, columns)
    links = [link for parent, link in meta.parents.items() if link is not None and is_tenant_model(parent)]
    return Table(meta.db_table, owners=tuple(_owner(link) for link in links))


def _scopes(model: Any, name: str) -> bool:
    """A column called ``company_id`` is a scope only where the model says so."""
    return name == TENANT or getattr(model, "_wst_company_model", False) is True


def _settle_link(model: Any) -> bool:
    """Registers the link table of a many-to-many relation; False while an end is still a name."""
    keys = [field for field in model._meta.local_fields if field.remote_field is not None]
    if any(isinstance(field.remote_field.model, str) for field in keys):
        return False
    owners = tuple(_owner(field) for field in keys if is_tenant_model(field.remote_field.model))
    if owners:
        _REGISTRY.tables[model._meta.db_table] = Table(model._meta.db_table, owners=owners)
    return True


def _owner(field: Any) -> Owner:
    target = field.target_field
    return Owner(field.column, target.model._meta.db_table, target.column)
