"""What a write may name: its own tenant, and rows of its own tenant.

The database checks that a foreign key's target exists, not whose it is: row level security does not bind its foreign
key checks. So each write asks, with one query a target table, whether every named row is an own one. A row that does
not exist and a foreign one give the same refusal. An instance that was read or saved in this scope answers for
its own key, without a query.

An UPDATE may also set a key by an expression. Those whose every outcome is known are checked like values: literals,
also in the branches of ``Case``; another key of the same own row into the same table; a subquery that selects the
target's key. Others are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from django.db.models.expressions import Case, Col, Expression, F, Subquery, Value, When
from django.db.models.functions import Cast, Coalesce
from django.db.models.sql import InsertQuery, Query

from ...core.errors import CrossTenantWrite
from ...core.tenant import TenantContext
from ..context import current_tenant
from .acting import acting, refuse, value_for
from .predicates import condition
from .proof import proves
from .registry import Table, plain_name, table_of, tables
from .statements import Compiled, touch

__all__ = ["check_keys", "check_scope_values", "unproven"]

_CHUNK: Final = 500  # SQLite takes 999 parameters

_READ: Final = frozenset((Case, Cast, Coalesce, Col, Subquery, Value, When))

Keys = list[tuple[Any, list[Any]]]


def check_scope_values(query: Any, table: Table, context: TenantContext) -> None:
    """No UPDATE moves a row to another tenant.

    Raises:
        CrossTenantWrite: a scoping column is set to anything but what it holds.
    """
    names = dict(table.columns)
    for field, _, value in query.values:
        wanted = value_for(context, names[field.column]) if field.column in names else None
        if wanted is not None and any(each != wanted for each in _literals(value, field, query)):
            raise CrossTenantWrite(f"an UPDATE of {query.get_meta().label} moves rows to another tenant")


def check_keys(connection: Any, query: Any, keys: Keys) -> None:
    """Every foreign key into a tenant table names an own row.

    Raises:
        NoTenant: outside every scope.
        CrossTenantWrite: it does not.
    """
    asked: dict[tuple[Table, str], set[Any]] = {}
    here = plain_name(query.get_meta().db_table)
    for field, values in keys:
        table = table_of(field, connection)
        if table is None:
            continue
        target = field.target_field
        held = asked.setdefault((table, target.column), set())
        for value in values:
            held.update(_prepared(value, field, query, connection))
        if plain_name(table.name) == here:
            held -= _inserted_along(query, target, connection)
    for content_type, value in _generic(query):
        found = _generic_target(content_type)
        if found is not None:
            held = asked.setdefault((tables()[plain_name(found.model._meta.db_table)], found.column), set())
            held.add(found.get_db_prep_save(value, connection))
    for (table, column), wanted in asked.items():
        _check(connection, query, table, column, wanted)


def unproven(instances: Iterable[Any], field: Any, key: Any) -> list[Any]:
    """The values of a foreign key, less those whose related instance proves that they are own rows.

    Args:
        field: of the instances' own model.
        key: the foreign key that it is, or that another model of the same table says it is.
    """
    context = current_tenant()
    found = []
    for instance in instances:
        value = getattr(instance, field.attname)
        parent = field.get_cached_value(instance, default=None) if field is key else None
        if context is None or parent is None or not proves(parent, field.target_field.attname, value, context):
            found.append(value)
    return found


def _check(connection: Any, query: Any, table: Table, column: str, wanted: set[Any]) -> None:
    context = acting("foreign key of", query.model) if wanted else None
    if context is None:
        return
    quote, left = connection.ops.quote_name, iter(wanted)
    own, params = condition(table, "t", context, quote)
    touch(connection)
    while chunk := list(islice(left, _CHUNK)):
        marks = ", ".join(["%s"] * len(chunk))
        sql = f"SELECT COUNT(*) FROM {quote(table.name)} t WHERE t.{quote(column)} IN ({marks}) AND {own}"  # noqa: S608 - names of the host's own tables, quoted
        touch(connection)
        with connection.cursor() as cursor:
            cursor.execute(Compiled(sql), [*chunk, *params])
            if cursor.fetchone()[0] != len(chunk):
                refuse(
                    CrossTenantWrite(
                        f"{query.model._meta.label} points at a row of {table.name} that this tenant does not have",
                        hint="save the row it names first, in this tenant",
                    )
                )


def _prepared(value: Any, field: Any, query: Any, connection: Any) -> Iterator[Any]:
    for each in _literals(value, field, query):
        ready = field.get_db_prep_save(each, connection)
        if ready is not None:
            yield ready


def _literals(value: Any, field: Any, query: Any) -> Iterator[Any]:
    """The values that `value` can come to; nothing for those that stay within the own rows by themselves."""
    if hasattr(value, "prepare_database_save"):  # a model instance
        yield getattr(value, field.remote_field.get_related_field().attname)
    elif isinstance(value, Query) or hasattr(value, "resolve_expression"):
        yield from _outcomes(value, field, query)
    else:
        yield value


def _outcomes(value: Any, field: Any, query: Any) -> Iterator[Any]:
    if isinstance(value, F):
        value = value.resolve_expression(query, allow_joins=False, for_save=True)
    known = _is_itself(value)
    inner = value if isinstance(value, Query) else getattr(value, "query", None)
    if known and isinstance(value, Value):
        yield value.value
    elif known and isinstance(value, Case) and all(map(_is_itself, value.cases)):
        for branch in (*(case.result for case in value.cases), value.default):
            yield from _literals(branch, field, query)
    elif known and isinstance(value, Cast | Coalesce):  # bulk_update casts
        for source in value.get_source_expressions():
            yield from _literals(source, field, query)
    elif not known or not (
        (isinstance(value, Col) and _holds_own_keys(value.target, field))
        or (isinstance(inner, Query) and _selects_keys(inner, field))
    ):
        raise CrossTenantWrite(
            f"{field.model._meta.label}.{field.name} is set by an expression that nobody can check",
            hint="read the value first, and set that",
        )


def _is_itself(value: Any) -> bool:
    """Whether Django writes `value` as its class says: no class derived from it, no template of the host's."""
    told = {*getattr(value, "extra", ()), *vars(value)}
    return isinstance(value, Query) or (type(value) in _READ and not told & {"template", "function", "arg_joiner"})


def _holds_own_keys(column: Any, field: Any) -> bool:
    """Whether a column of the row that is written holds keys of what `field` points at, and of own rows alone.

    A shared row may hold anybody's.
    """
    if column is field:
        return True
    owned = plain_name(column.model._meta.db_table) in tables()
    return owned and column.remote_field is not None and column.target_field is getattr(field, "target_field", None)


def _selects_keys(inner: Any, field: Any) -> bool:
    """Whether a subquery, which is restricted itself, selects nothing but the key that `field` refers to.

    Each part of a union must; one that names no columns takes those of the whole, as Django compiles it.
    """
    if inner.combinator:
        parts = [part if part.values_select else _selecting(part, inner) for part in inner.combined_queries]
        return bool(parts) and all(_selects_keys(part, field) for part in parts)
    chosen: tuple[Any, ...] = tuple(inner.select or ())
    target = getattr(field, "target_field", None)
    return len(chosen) == 1 and isinstance(chosen[0], Col) and chosen[0].target is target


def _selecting(part: Any, whole: Any) -> Any:
    if whole.values_select:
        part = part.clone()
        part.set_values((*whole.extra_select, *whole.values_select, *whole.annotation_select))
    return part


def _inserted_along(query: Any, target: Any, connection: Any) -> set[Any]:
    """Keys of the rows that the same INSERT brings: a tree may be inserted as one. Not where some may be skipped."""
    if not isinstance(query, InsertQuery) or getattr(query, "on_conflict", None) is not None:
        return set()
    keys = (getattr(instance, target.attname) for instance in query.objs)
    return {target.get_db_prep_save(key, connection) for key in keys if not isinstance(key, Expression | None)}


def _generic(query: Any) -> Iterator[tuple[Any, Any]]:
    """(content type id, key) of each generic foreign key that is written; pairs that are set apart are not seen."""
    for relation in query.get_meta().private_fields:
        if not hasattr(relation, "ct_field"):
            continue
        kind = query.get_meta().get_field(relation.ct_field).attname
        for row in _rows(query):
            pair = row.get(kind), row.get(relation.fk_field)
            if None not in pair and not any(hasattr(each, "resolve_expression") for each in pair):
                yield pair


def _rows(query: Any) -> Iterable[dict[str, Any]]:
    if isinstance(query, InsertQuery):
        return [instance.__dict__ for instance in query.objs]
    return [{field.attname: value for field, _, value in query.values}]


def _generic_target(content_type: Any) -> Any:
    """The primary key of what a content type stands for, where that is a tenant table."""
    from django.contrib.contenttypes.models import ContentType

    model = ContentType.objects.get_for_id(content_type).model_class()
    return model._meta.pk if model is not None and plain_name(model._meta.db_table) in tables() else None
