"""What a statement writes: which binds must hold the tenant, and which must hold a row of the tenant.

After an INSERT or UPDATE is compiled, each column that matters is followed to the bind that carries its value, so that
the check at each execution is a comparison of dictionary entries. A value that is no bind must prove itself by its
form: a column or subquery of a table that the statement reads inside the tenant. What cannot be followed is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, CompoundSelect, Select
from sqlalchemy.sql.elements import (
    BindParameter,
    Cast,
    ClauseElement,
    ColumnClause,
    ColumnElement,
    Grouping,
    Label,
    Null,
)
from sqlalchemy.sql.selectable import Alias, ScalarSelect

from .tables import Owned, Parent
from .verdict import COMPANY, Equal, Points

if TYPE_CHECKING:
    from .compiler import GuardedCompiler

__all__ = ["copied_pointers", "given", "inspect_select", "inspect_values"]

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


class _Unfollowed(Exception):
    """The value is an expression, not a bind."""

    def __init__(self, value: Any) -> None:
        self.value: Any = value


def _bare(value: Any) -> Any:
    while isinstance(value, Grouping | Label | Cast):
        value = value.clause if isinstance(value, Cast) else value.element
    return value


def _bind_of(compiler: GuardedCompiler, value: BindParameter[Any], conventional: str) -> str:
    found: str | None = compiler.bind_names.get(value)
    if found is not None:
        return found
    name: str
    for bind, name in compiler.bind_names.items():  # the compiler gave the bind a type, which makes it another object
        if bind.key == value.key or bind._orig_key == value._orig_key == conventional:
            return name
    if conventional in compiler.binds:
        return conventional
    raise _Unfollowed(value)


def _names(compiler: GuardedCompiler, state: Any, column: Column[Any], *, insert: bool) -> Iterator[str | None]:
    """The bind of that column for each row that the statement spells out; None where it writes nothing."""
    rows = _rows(state)
    several = getattr(state, "_has_multi_parameters", False)
    for number, row in enumerate(rows):
        value, name = _entry(row, column), f"{column.key}_m{number}" if several else column.key
        value = _bare(value)
        if value is _MISSING:
            passed = insert or column.key in (compiler.column_keys or ())
            yield name if passed and name in compiler.binds else None
        elif isinstance(value, BindParameter):
            yield _bind_of(compiler, value, name)
        elif value is None or isinstance(value, Null):
            yield None
        elif isinstance(value, ClauseElement) or hasattr(value, "__clause_element__"):
            raise _Unfollowed(value)
        elif name in compiler.binds:
            yield name
        else:
            raise _Unfollowed(value)


def _is_excluded(value: Any) -> bool:
    table = getattr(value, "table", None)
    return isinstance(table, Alias) and table.name == "excluded"


def inspect_values(
    compiler: GuardedCompiler,
    owned: Owned,
    state: Any,
    upserts: Sequence[tuple[Any, Any]] = (),
    *,
    insert: bool,
) -> None:
    """Adds to the verdict what the written values must fulfil.

    Args:
        upserts: column (or its key) and value of ON CONFLICT DO UPDATE SET.
    """
    verdict = compiler.verdict
    for column in _ownership(compiler, owned):
        label = f"{owned.table.name}.{column.name}"
        try:
            names = tuple(name for name in _names(compiler, state, column, insert=insert) if name is not None)
            names += tuple(_upserted(compiler, upserts, column))
        except _Unfollowed:
            verdict.refuse(f"{label} is written by an expression", "leave it out: the guard writes it", write=True)
            continue
        if names:
            verdict.equal.append(Equal(label, column is owned.company, names))
    for parent in owned.parents:
        _inspect_parent(compiler, owned, parent, state, upserts, insert=insert)


def _ownership(compiler: GuardedCompiler, owned: Owned) -> Iterator[Column[Any]]:
    return (column for column in owned.columns if column is owned.tenant or compiler.verdict.mode == COMPANY)


def _upserted(compiler: GuardedCompiler, upserts: Sequence[tuple[Any, Any]], column: Column[Any]) -> Iterator[str]:
    value = _bare(_entry(dict(upserts), column))
    if value is _MISSING or _is_excluded(value) or isinstance(value, Null):
        return
    if not isinstance(value, BindParameter):
        raise _Unfollowed(value)
    yield _bind_of(compiler, value, column.key)


def _inspect_parent(
    compiler: GuardedCompiler,
    owned: Owned,
    parent: Parent,
    state: Any,
    upserts: Sequence[tuple[Any, Any]],
    *,
    insert: bool,
) -> None:
    local: tuple[str, ...] = ()
    if insert and parent.table is owned.table:
        local = tuple(key.key for key in parent.keys)
    columns, proven = [], False
    for column, key in zip(parent.columns, parent.keys, strict=True):
        try:
            columns.append(list(_names(compiler, state, column, insert=insert)))
            extra = list(_upserted(compiler, upserts, column))
        except _Unfollowed as found:
            if not _of_parent(found.value, parent, key):
                verdict = compiler.verdict
                verdict.refuse(f"{parent.label} is written by an expression nobody can check", _UNCHECKED, write=True)
                return
            proven = True
            continue
        if extra:
            compiler.verdict.points.append(Points(parent, (tuple(extra),)))
    if not proven:
        rows = tuple(row for row in zip(*columns, strict=True) if None not in row)
        if rows:
            compiler.verdict.points.append(Points(parent, rows, local))


def _of_parent(value: Any, parent: Parent, key: Column[Any]) -> bool:
    """Whether an expression can only give a key of the parent that the statement reads inside the tenant."""
    value = _bare(value)
    if hasattr(value, "__clause_element__"):
        value = value.__clause_element__()
    if isinstance(value, Null) or _is_excluded(value):
        return True
    if isinstance(value, ScalarSelect):
        element: Any = value.element
        while isinstance(element, Grouping) or hasattr(element, "element"):
            element = element.element
        chosen = list(getattr(element, "selected_columns", ()))
        return len(chosen) == 1 and _of_parent(chosen[0], parent, key)
    return isinstance(value, ColumnElement) and any(_same(base, key) for base in value.base_columns)


def _same(base: Any, key: Column[Any]) -> bool:
    table = getattr(base, "table", None)
    return base.key == key.key and getattr(table, "fullname", None) == key.table.fullname


def copied_pointers(owned: Owned, names: Sequence[str], query: Any) -> Iterator[tuple[Parent, Any]]:
    """Foreign keys that INSERT ... SELECT copies from other rows, which may point anywhere, with what is selected."""
    row = dict(zip(names, query.selected_columns, strict=False)) if isinstance(query, Select) else {}
    for parent in owned.parents:
        value = _bare(row.get(parent.columns[0].key)) if len(parent.columns) == 1 else None
        if (
            isinstance(value, ColumnClause)
            and value.table is not None
            and not _of_parent(value, parent, parent.keys[0])
        ):
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
    bare = _bare(value)
    if isinstance(bare, BindParameter) and bare in compiler.bind_names:
        verdict.equal.append(Equal(label, company, (compiler.bind_names[bare],)))
    elif not (isinstance(bare, ColumnElement) and any(map(compiler.marks_owner(company), bare.base_columns))):
        hint = "select the current tenant's id, or the tenant column of a table that the SELECT reads"
        verdict.refuse(f"{label} is selected from somewhere else", hint, write=True)


def _inspect_pointers(compiler: GuardedCompiler, parent: Parent, row: Mapping[str, Any]) -> None:
    chosen = [_bare(row.get(column.key)) for column in parent.columns]
    if any(value is None for value in chosen):
        return
    if all(isinstance(value, BindParameter) and value in compiler.bind_names for value in chosen):
        names = tuple(compiler.bind_names[value] for value in chosen)
        compiler.verdict.points.append(Points(parent, (names,)))
    elif not all(_of_parent(value, parent, key) for value, key in zip(chosen, parent.keys, strict=True)):
        hint = f"join {parent.table.name} in the SELECT and take its key"
        compiler.verdict.refuse(f"{parent.label} is selected from somewhere else", hint, write=True)
