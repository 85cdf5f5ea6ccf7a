"""What a statement writes: which binds must hold the tenant, and which must hold a row of the tenant.

After an INSERT or UPDATE is compiled, each column that matters is followed to the bind that carries its value, so that
the check at each execution is a comparison of dictionary entries. A value that is no bind must prove itself by its
form: each of its `sources` is a column of a table that the statement reads inside the tenant. What cannot be followed
is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, CompoundSelect, Select, Table
from sqlalchemy.sql.elements import BindParameter, ClauseElement, ColumnClause, Null
from sqlalchemy.sql.selectable import Alias

from .plan import base_table
from .sources import bare, sources
from .tables import Owned, Parent
from .verdict import COMPANY, Equal, Points

if TYPE_CHECKING:
    from .compiler import GuardedCompiler

__all__ = ["copied_pointers", "given", "inspect_select", "inspect_upserts", "inspect_values"]

_MISSING: Final = object()
_UNCHECKED: Final = "write a value, or a column or scalar subquery of the parent; else unscoped(reason)"


def _entry(row: Mapping[Any, Any], column: Column[Any]) -> Any:
    for key, value in row.items():
        if key == column.key if isinstance(key, str) else getattr(key, "key", None) == column.key:
            return value
    return _MISSING


def _rows(state: Any) -> Sequence[Mapping[Any, Any]]:
    if getattr(state, "_has_multi_parameters", False):
        rows: Sequence[Mapping[Any, Any]] = state._multi_parameters
        return rows
    return (state._dict_parameters or {},)


def given(compiler: GuardedCompiler, state: Any, column: Column[Any]) -> bool:
    """Whether the host writes that column itself."""
    in_statement = any(_entry(row, column) is not _MISSING for row in _rows(state))
    return in_statement or column.key in (compiler.column_keys or ())


@dataclass(frozen=True, slots=True)
class _Expression:
    """A value that is no bind."""

    value: Any


def _bind_of(compiler: GuardedCompiler, value: BindParameter[Any], conventional: str) -> str | _Expression:
    found: str | None = compiler.bind_names.get(value)
    if found is not None:
        return found
    name: str
    for bind, name in compiler.bind_names.items():  # the compiler gave the bind a type, which makes it another object
        if bind.key == value.key or bind._orig_key == value._orig_key == conventional:
            return name
    if conventional in compiler.binds:
        return conventional
    return _Expression(value)


def _written(
    compiler: GuardedCompiler, state: Any, column: Column[Any], *, insert: bool
) -> Iterator[str | _Expression | None]:
    """What each row that the statement spells out has in that column: a bind, an expression, or nothing."""
    several = getattr(state, "_has_multi_parameters", False)
    for number, row in enumerate(_rows(state)):
        value, name = bare(_entry(row, column)), f"{column.key}_m{number}" if several else column.key
        if value is _MISSING:
            passed = insert or column.key in (compiler.column_keys or ())
            yield name if passed and name in compiler.binds else None
        elif isinstance(value, BindParameter):
            yield _bind_of(compiler, value, name)
        elif value is None or isinstance(value, Null):
            yield None
        elif isinstance(value, ClauseElement) or hasattr(value, "__clause_element__") or name not in compiler.binds:
            yield _Expression(value)
        else:
            yield name


def _upserted(
    compiler: GuardedCompiler, upserts: Sequence[tuple[Any, Any]], column: Column[Any]
) -> str | _Expression | None:
    """The same of ON CONFLICT DO UPDATE SET, where ``excluded.x`` is for x what the statement itself writes."""
    value = bare(_entry(dict(upserts), column))
    if value is _MISSING or value is None or isinstance(value, Null) or _is_excluded(value, column):
        return None
    return _bind_of(compiler, value, column.key) if isinstance(value, BindParameter) else _Expression(value)


def _is_excluded(value: Any, column: Column[Any]) -> bool:
    table = getattr(value, "table", None)
    if not isinstance(table, Alias) or table.name != "excluded":
        return False
    return getattr(table.element, "fullname", None) == column.table.fullname and value.name == column.name


def inspect_values(compiler: GuardedCompiler, owned: Owned, state: Any, *, insert: bool) -> None:
    """Adds to the verdict what the written values must fulfil."""
    for column in _ownership(compiler, owned):
        _own(compiler, owned, column, list(_written(compiler, state, column, insert=insert)))
    for parent in owned.parents:
        local: tuple[str, ...] = ()
        if insert and parent.table is owned.table:
            local = tuple(key.key for key in parent.keys)
        columns = (_written(compiler, state, column, insert=insert) for column in parent.columns)
        _point(compiler, parent, zip(*columns, strict=True), local)


def inspect_upserts(compiler: GuardedCompiler, owned: Owned, upserts: Sequence[tuple[Any, Any]]) -> None:
    """The same of ON CONFLICT DO UPDATE SET, given as column (or its key) and value."""
    for column in _ownership(compiler, owned):
        _own(compiler, owned, column, [_upserted(compiler, upserts, column)])
    for parent in owned.parents:
        _point(compiler, parent, [tuple(_upserted(compiler, upserts, column) for column in parent.columns)])


def _own(compiler: GuardedCompiler, owned: Owned, column: Column[Any], written: Sequence[Any]) -> None:
    """Adds that each value is the id of the tenant, or company."""
    label = f"{owned.table.name}.{column.name}"
    names = tuple(each for each in written if isinstance(each, str))
    if any(isinstance(each, _Expression) for each in written):
        hint = "leave it out: the guard writes it"
        compiler.verdict.refuse(f"{label} is written by an expression", hint, write=True)
    elif names:
        compiler.verdict.equal.append(Equal(label, column is owned.company, names))


def _ownership(compiler: GuardedCompiler, owned: Owned) -> Iterator[Column[Any]]:
    return (column for column in owned.columns if column is owned.tenant or compiler.verdict.mode == COMPANY)


def _point(
    compiler: GuardedCompiler, parent: Parent, rows: Iterable[tuple[Any, ...]], local: tuple[str, ...] = ()
) -> None:
    """Adds that each row of binds or expressions holds a row of the parent."""
    named = []
    for row in rows:
        if not any(isinstance(each, _Expression) for each in row):
            named.append(row)
            continue
        values = [each.value if isinstance(each, _Expression) else each for each in row]
        found = _of_parent(compiler, values, parent)
        if found is None:
            what = f"{parent.label} is written by an expression nobody can check"
            compiler.verdict.refuse(what, _UNCHECKED, write=True)
            return
        named.extend(found)
    complete = tuple(row for row in named if None not in row)
    if complete:
        compiler.verdict.points.append(Points(parent, complete, local))


def _of_parent(compiler: GuardedCompiler, values: Sequence[Any], parent: Parent) -> list[tuple[str, ...]] | None:
    """The binds to check where each source of a foreign key gives a key of the tenant's parent; None where one may not.

    Several columns have to come from one row, so these are not followed.
    """
    if len(values) > 1:
        table = getattr(values[0], "table", None)
        one_row = all(isinstance(value, ColumnClause) and value.table is table for value in values)
        direct = one_row and isinstance(base_table(table), Table)
        return [] if direct and all(map(_same, map(_below_alias, values), parent.keys)) else None
    named: list[tuple[str, ...]] = []
    for source in sources(compiler, values[0]):
        if isinstance(source, BindParameter) and source in compiler.bind_names:
            named.append((compiler.bind_names[source],))
        elif not (source is None or isinstance(source, Null) or _same(source, parent.keys[0])):
            return None
    return named


def _below_alias(column: Any) -> Any:
    return next(iter(column.base_columns))


def _same(base: Any, key: Column[Any]) -> bool:
    if not isinstance(base, ColumnClause) or base.is_literal:
        return False
    return base.name == key.name and getattr(base.table, "fullname", None) == key.table.fullname


def copied_pointers(owned: Owned, names: Sequence[str], query: Any) -> Iterator[tuple[Parent, Any]]:
    """Foreign keys that INSERT ... SELECT copies from other rows, which may point anywhere, with what is selected."""
    row = dict(zip(names, query.selected_columns, strict=False)) if isinstance(query, Select) else {}
    for parent in owned.parents:
        value = bare(row.get(parent.columns[0].key)) if len(parent.columns) == 1 else None
        if not isinstance(value, ColumnClause) or value.table is None:
            continue
        if not (isinstance(base_table(value.table), Table) and _same(_below_alias(value), parent.keys[0])):
            yield parent, value


def inspect_select(
    compiler: GuardedCompiler, owned: Owned, names: Sequence[str], query: Any, contained: Collection[Parent]
) -> None:
    """The same for INSERT ... SELECT; `contained` are parents that a condition of the SELECT stands for."""
    verdict = compiler.verdict
    selects = list(query.selects) if isinstance(query, CompoundSelect) else [query]
    if not all(isinstance(each, Select) for each in selects):
        verdict.refuse(f"INSERT into {owned.table.name} from what is no plain SELECT", _UNCHECKED, write=True)
        return
    for each in selects:
        row = dict(zip(names, each.selected_columns, strict=False))
        for column in _ownership(compiler, owned):
            _inspect_selected(compiler, owned, column, row.get(column.key))
        for parent in owned.parents:
            if parent not in contained:
                _inspect_pointers(compiler, parent, row)


def _inspect_selected(compiler: GuardedCompiler, owned: Owned, column: Column[Any], value: Any) -> None:
    label, verdict, company = f"{owned.table.name}.{column.name}", compiler.verdict, column is owned.company
    marks = compiler.marks_owner(company)
    for source in sources(compiler, value):
        if isinstance(source, BindParameter) and source in compiler.bind_names:
            verdict.equal.append(Equal(label, company, (compiler.bind_names[source],)))
        elif not marks(source):
            hint = "select the current tenant's id, or the tenant column of a table that the SELECT reads"
            verdict.refuse(f"{label} is selected from somewhere else", hint, write=True)


def _inspect_pointers(compiler: GuardedCompiler, parent: Parent, row: Mapping[str, Any]) -> None:
    chosen = [bare(row.get(column.key)) for column in parent.columns]
    if any(value is None for value in chosen):
        return
    found: list[tuple[str, ...]] | None
    if all(isinstance(value, BindParameter) and value in compiler.bind_names for value in chosen):
        found = [tuple(compiler.bind_names[value] for value in chosen)]
    else:
        found = _of_parent(compiler, chosen, parent)
    if found is None:
        hint = f"join {parent.table.name} in the SELECT and take its key"
        compiler.verdict.refuse(f"{parent.label} is selected from somewhere else", hint, write=True)
    elif found:
        compiler.verdict.points.append(Points(parent, tuple(found)))
