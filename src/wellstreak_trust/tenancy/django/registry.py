"""Which tables hold tenant rows: the one table of tables that compiler, statements, checks and policies read.

A table is one of three:

* **owned**: its rows name their tenant in a column (and may name a company in a second one). Every `TenantModel` is
  such a table.
* **borrowed**: its rows have no such column and belong to whom the rows that they point at belong to. The link table
  of a many-to-many relation is borrowed from its ends, the table of a multi-table child from its parent's.
* **shared**: everything else. Nothing is restricted there, but a foreign key from it into the first two is.

Tables are known by name, not by class, because a join, a historical model of a migration and raw SQL name the table
alone. A name is compared as the database may read it (`plain_name`): without quotes, without schema, in lower case. So
another model on a tenant table, managed or not, of whatever registry and however it spells the name, is as guarded as
the table is; what the models of one table say adds up. Two tables whose names differ by schema or case alone count as
one. An unmanaged model may describe a view, so it makes its table known only where it is declared shared.

Models register when Django prepares their class; links wait until both their ends are resolved. A historical model
whose state has no tenant's column is guarded where the database has that column; before it was added, the table is
nobody's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.db.models.signals import class_prepared

from .config import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "COMPANY",
    "TENANT",
    "Owner",
    "Table",
    "guarded",
    "is_tenant_model",
    "known_tables",
    "plain_name",
    "references_of",
    "register",
    "table_of",
    "tables",
    "version",
]

TENANT: Final = "tenant_id"
COMPANY: Final = "company_id"

_SCHEMA: Final = re.compile(r"""["`]\.["`]""")  # Django passes ``main"."order`` on as two names


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
        self.undeclared: dict[str, set[str]] = {}  # tables of unmanaged models: their apps' and their own labels
        self.references: dict[str, dict[str, list[Any]]] = {}  # foreign keys of the host's models: by table, by column
        self.version: int = 0
        self.complete: bool = False  # whether the models that were prepared before this module are among them
        self.waiting: list[Any] = []


_REGISTRY: Final = _Registry()


@lru_cache(maxsize=4096)
def plain_name(table: str) -> str:
    """A table's name as names are compared; ``main"."order`` and ``"Order"`` are both ``order``."""
    return _SCHEMA.split(table)[-1].strip('"`').lower()


def tables() -> Mapping[str, Table]:
    """Owned and borrowed tables by `plain_name`."""
    if _REGISTRY.waiting or not _REGISTRY.complete:
        _settle()
    return _REGISTRY.tables


def version() -> int:
    """Another number whenever `tables`, `known_tables` or `references_of` say something else."""
    if _REGISTRY.waiting or not _REGISTRY.complete:
        _settle()
    return _REGISTRY.version


def guarded(table: str, query: Any, connection: Any) -> Table | None:
    """The tenant table that `query` means by the name `table`; None where it is shared, or nobody's yet."""
    found = tables().get(plain_name(table))
    state = apps if query is None or query.model is None else query.model._meta.apps
    return found if found is None or state is apps else _of_state(found, state, connection)


def _of_state(table: Table, state: Any, connection: Any) -> Table | None:
    owners = tuple(each for each in table.owners if _of_state(tables()[each.table], state, connection) is not None)
    wanted = {column for column, _ in table.columns}
    if wanted and not (_has(table, wanted, state) or wanted <= _columns(table, connection)):
        return None
    return replace(table, owners=owners) if wanted or owners else None


def _has(table: Table, wanted: set[str], state: Any) -> bool:
    name = plain_name(table.name)
    return any(
        wanted <= {field.column for field in model._meta.local_concrete_fields}
        for model in state.get_models(include_auto_created=True)
        if plain_name(model._meta.db_table) == name
    )


def _columns(table: Table, connection: Any) -> set[str]:
    """What the database itself has, asked below the guard; a table that has a schema's name is taken to be there."""
    if _SCHEMA.search(table.name):
        return {column for column, _ in table.columns}
    with connection.cursor() as cursor:
        seen = {plain_name(each): each for each in connection.introspection.table_names(cursor, include_views=True)}
        name = seen.get(plain_name(table.name))
        told = [] if name is None else connection.introspection.get_table_description(cursor.cursor, name)
        return {each.name for each in told}


def known_tables() -> set[str]:
    """The names of shared tables: those of all other models that were prepared in this process."""
    declared = {name for name, labels in _REGISTRY.undeclared.items() if labels & CONFIG.shared_models}
    return (_REGISTRY.shared | declared) - tables().keys()


def references_of(fields: Iterable[Any]) -> list[tuple[Any, list[Any]]]:
    """Those of one model's `fields` that are foreign keys, each with all that the models of its table say of it.

    A second model on the table may take the key for a number, or for a key of something else.
    """
    if _REGISTRY.waiting or not _REGISTRY.complete:
        _settle()
    found, model, told = [], None, {}
    for each in fields:
        if each.model is not model:
            model = each.model
            told = _REGISTRY.references.get(plain_name(model._meta.db_table), {})
        said = told.get(each.column, ())
        keys = [each] if each.remote_field is not None and each not in said else []
        if keys or said:
            found.append((each, [*keys, *said]))
    return found


def is_tenant_model(model: Any) -> bool:
    """Whether `model` is a concrete or proxy `TenantModel`. False for relations that are not resolved yet."""
    return getattr(model, "_wst_tenant_model", False) is True and not model._meta.abstract


def table_of(field: Any, connection: Any) -> Table | None:
    """The tenant table that a foreign key points into, or None."""
    target = getattr(field, "target_field", None) if getattr(field, "remote_field", None) is not None else None
    return None if target is None else guarded(target.model._meta.db_table, target, connection)


def register(sender: Any, **kwargs: Any) -> None:
    """Receives Django's `class_prepared`."""
    _REGISTRY.waiting.append(sender)


class_prepared.connect(register, dispatch_uid="wellstreak_trust.tenancy.django")


def _settle() -> None:
    if apps.models_ready and not _REGISTRY.complete:
        _REGISTRY.complete = True
        _REGISTRY.waiting += apps.get_models(include_auto_created=True, include_swapped=True)
    waiting, _REGISTRY.waiting = _REGISTRY.waiting, []
    # Owned tables first: a link's ends may have been prepared after it.
    for model in sorted(waiting, key=lambda each: bool(each._meta.auto_created)):
        if model._meta.proxy:
            continue
        if model._meta.apps is apps:
            _settle_references(model)
        if is_tenant_model(model):
            _add(_tenant_table(model))
        elif model._meta.auto_created and not _settle_link(model):
            _REGISTRY.waiting.append(model)
        elif _makes_known(model):
            _REGISTRY.shared.add(plain_name(model._meta.db_table))
        else:
            labels = _REGISTRY.undeclared.setdefault(plain_name(model._meta.db_table), set())
            labels |= {model._meta.app_label, model._meta.label}
    if len(_REGISTRY.waiting) < len(waiting):
        _REGISTRY.version += 1


def _settle_references(model: Any) -> None:
    held = _REGISTRY.references.setdefault(plain_name(model._meta.db_table), {})
    for each in model._meta.local_concrete_fields:
        if each.remote_field is not None and each not in held.get(each.column, ()):
            held.setdefault(each.column, []).append(each)


def _add(table: Table) -> None:
    """What several models say of one table adds up."""
    name = plain_name(table.name)
    held = _REGISTRY.tables.get(name, table)
    _REGISTRY.tables[name] = Table(
        held.name,
        tuple(dict.fromkeys((*held.columns, *table.columns))),
        tuple(dict.fromkeys((*held.owners, *table.owners))),
    )


def _makes_known(model: Any) -> bool:
    declared = getattr(model, "wst_shared", False) is True
    return declared or model._meta.managed or model.__module__.startswith("django.")


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
        _add(Table(model._meta.db_table, owners=owners))
    return True


def _owner(field: Any) -> Owner:
    target = field.target_field
    return Owner(field.column, plain_name(target.model._meta.db_table), target.column)
