"""Where the guard stands in Django: every statement of the ORM is made by a compiler, and every compiler is ours.

A manager can be bypassed: by ``_base_manager``, another model's join, a link table, a cascade, a form's validation. All
of them end in ``query.get_compiler(...)``, which asks the database's operations for a compiler class. `install` hands
out a subclass of that class, and the subclass

* restricts each alias on a tenant table where it stands in the statement: a base table in WHERE, a joined table in its
  ON, so that a left join shows NULL where it would have shown a foreign row;
* stamps and checks the rows of an INSERT, the values of an UPDATE and the targets of foreign keys in both;
* reads the finished text, so that a host's own expressions, templates and lookups do not read past all that (`whole`);
* marks what it made, so that `statements` can refuse SQL that no compiler made.

All of it happens when SQL is made, which for Django is when it runs. So a query set that was built at import, in
another scope, pickled or cached is judged by whoever runs it.

``BaseDatabaseOperations.compiler`` is the one private seam of Django in this room (besides the methods of its compilers
that are overridden below). Were it to move, nothing would be marked, and `statements` would refuse every
statement on a tenant table.
"""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models.sql import compiler as compilers
from django.db.models.sql.constants import INNER
from django.db.models.sql.where import WhereNode

from ...core.errors import CrossTenantWrite, NoTenant, UnscopedStatement
from ...core.tenant import TenantContext
from .acting import acting, claim
from .fragments import TEXTUAL, judge, judge_tables
from .predicates import Enclosed, OwnRows, condition, enclosed
from .proof import held
from .references import check_keys, check_scope_values, unproven
from .registry import Owner, Table, guarded, plain_name, references_of, tables
from .statements import Compiled, Upsert, foreign_conflict, touch
from .whole import Whole, add_piece

__all__ = ["install"]

_GUARDED: Final[dict[Any, Any]] = {}  # by Django's class
_VANILLA: Final = BaseDatabaseOperations.compiler


def install() -> None:
    """Makes Django use these compilers, on all connections of the process. Harmless when repeated."""
    BaseDatabaseOperations.compiler = _compiler  # type: ignore[method-assign]  # the seam that the docstring names


def _compiler(self: Any, compiler_name: str) -> Any:
    vanilla = _VANILLA(self, compiler_name)
    made = _GUARDED.get(vanilla)
    if made is None:
        mixin = next(mixin for kind, mixin in _MIXINS.items() if issubclass(vanilla, kind))
        made = _GUARDED[vanilla] = type(f"Guarded{vanilla.__name__}", (mixin, vanilla), {})
    return made


def _quoting(compiler: Any) -> Any:
    """How this release quotes a name that may be an alias."""
    return getattr(compiler, "quote_name", None) or compiler.quote_name_unless_alias


class _Select:
    """SELECT; also what the other three have in common."""

    query: Any
    connection: Any
    where: Any
    returning_fields: Any

    _named: tuple[str, ...] = ()  # the tenant tables that the statement names by right

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        whole = Whole(self.connection)
        try:
            sql, params = super().as_sql(*args, **kwargs)  # type: ignore[misc]  # mixed into a compiler
        finally:
            whole.end()
        whole.judge(sql, self._named)
        return Compiled(sql), params

    def compile(self, node: Any) -> Any:
        """Called for every node of the statement: text in a host's own expressions is judged."""
        if isinstance(node, TEXTUAL):
            judge(node)
        return super().compile(node)  # type: ignore[misc]  # as above

    def get_from_clause(self) -> Any:
        """Called once all joins are known and before WHERE is written."""
        query, named, used = self.query, [], []
        for alias, source in query.alias_map.items():
            name = plain_name(source.table_name)
            if name in tables() and query.alias_refcount[alias]:
                named.append(name)
                table = guarded(name, query, self.connection)
                if table is not None:
                    used.append((alias, source, table))
        self._named = tuple(named)
        context = self._context() if used else None
        if query.extra_tables:
            judge_tables(query.extra_tables)
        if context is None:
            return super().get_from_clause()  # type: ignore[misc]  # as above
        return self._restricted(used, context)

    def _restricted(self, used: list[Any], context: TenantContext) -> Any:
        query, quote = self.query, self.connection.ops.quote_name
        name, own, joins = _quoting(self), [], {}
        for alias, source, table in used:
            owners = tuple(owner for owner in table.owners if not _covered(query, alias, source, owner))
            sql, params = condition(table, name(alias), context, quote, owners=owners)
            if not sql:
                continue
            if source.parent_alias is None:
                own.append(OwnRows(sql, params))
            else:
                joins[alias] = _OwnJoin(source, sql, params)
        if own:
            self.where = _all_of(*own, Enclosed(self.where)) if self.where else _all_of(*own)
        if not joins:
            return super().get_from_clause()  # type: ignore[misc]  # as above
        query.alias_map.update(joins)
        try:
            return super().get_from_clause()  # type: ignore[misc]  # as above
        finally:
            query.alias_map.update((alias, join.join) for alias, join in joins.items())

    def _table(self) -> Table | None:
        """The tenant table that a write is about; asked twice of each compiler."""
        held: Any = self.__dict__.get("_wst_table", self)
        if held is self:
            name = self.query.model._meta.db_table
            if plain_name(name) in tables():
                self._named = (plain_name(name),)
            held = self.__dict__["_wst_table"] = guarded(name, self.query, self.connection)
        found: Table | None = held
        return found

    def _context(self) -> TenantContext | None:
        """For whom the statement is made, where it touches tenant tables."""
        touch(self.connection)
        try:
            return acting("statement on", self.query.model)
        except NoTenant:
            if self.query.is_empty():  # none() asks nothing of the database
                raise EmptyResultSet from None
            raise


def _all_of(*children: Any) -> WhereNode:
    return WhereNode(list(children))


def _covered(query: Any, alias: str, source: Any, owner: Owner) -> bool:
    """Whether a join of the same statement already ties `alias` to an own row of `owner`.

    Either the alias was joined from its owner, which is restricted itself, or an inner join leads on to it.
    """
    parent = query.alias_map.get(source.parent_alias)
    if (
        parent is not None
        and plain_name(parent.table_name) == owner.table
        and source.join_cols == ((owner.target, owner.column),)
    ):
        return True
    return any(
        join.parent_alias == alias
        and join.join_type == INNER
        and plain_name(join.table_name) == owner.table
        and join.join_cols == ((owner.column, owner.target),)
        and query.alias_refcount[other]
        for other, join in query.alias_map.items()
    )


class _OwnJoin:
    """Stands for a join while FROM is written: the same, with one more condition in its ON."""

    __slots__ = ("join", "params", "sql")

    def __init__(self, join: Any, sql: str, params: list[str]) -> None:
        self.join: Any = join
        self.sql: str = sql
        self.params: list[str] = params

    def __getattr__(self, name: str) -> Any:
        return getattr(self.join, name)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        sql, params = self.join.as_sql(compiler, connection)
        table, on, terms = sql.partition(" ON (")
        if not on or not sql.endswith(")"):
            raise UnscopedStatement("a join without an ON clause on a tenant table", hint="use inner or left joins")
        add_piece(connection, self.sql)
        return f"{table} ON ({enclosed(terms[:-1])} AND {self.sql})", [*params, *self.params]


class _Insert(_Select):
    """INSERT: rows are stamped and checked, conflicts update own rows alone."""

    _upserts: bool = False

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        table, whole = self._table(), Whole(self.connection)
        try:
            statements = super(_Select, self).as_sql(*args, **kwargs)  # type: ignore[misc]  # a list, for INSERT
        finally:
            whole.end()
        for sql, _ in statements:
            whole.judge(sql, self._named)
        if table is not None:
            touch(self.connection)
            if self.query.update_fields and (context := self._context()) is not None:
                self._upserts = True
                return [self._own_conflicts(table, context, *each) for each in statements]
        return [(Compiled(sql), params) for sql, params in statements]

    def execute_sql(self, returning_fields: Any = None) -> Any:
        query, table = self.query, self._table()
        if table is not None:
            self._claim(table, query.fields)
        keys = [(key, unproven(query.objs, field, key)) for field, keys in references_of(query.fields) for key in keys]
        if keys:
            check_keys(self.connection, query, keys)
        rows = super().execute_sql(returning_fields)  # type: ignore[misc]  # as above
        return self._returned(rows) if self._upserts and returning_fields else rows

    def apply_converters(self, rows: Any, converters: Any) -> Any:
        return super().apply_converters(self._returned(rows), converters)  # type: ignore[misc]  # as above

    def _returned(self, rows: Any) -> Any:
        """An upsert that met a foreign row has changed nothing and returns nothing."""
        if self._upserts and (None in rows or len(rows) < len(self.query.objs)):
            raise foreign_conflict()
        return rows

    def _claim(self, table: Table, fields: Any) -> None:
        attributes = {field.column: field.attname for field in fields}
        if any(attributes.get(column) != name for column, name in table.columns):
            raise CrossTenantWrite("an INSERT leaves out the column that names the tenant", hint="use the whole model")
        names = table.names
        for instance in self.query.objs:
            claim(instance, names, stamp=True)

    def _own_conflicts(self, table: Table, context: TenantContext, sql: str, params: Any) -> tuple[str, Any]:
        """``ON CONFLICT ... DO UPDATE`` reaches a row that no condition of ours has seen."""
        operations, query = self.connection.ops, self.query
        suffix = operations.on_conflict_suffix_sql(
            query.fields,
            query.on_conflict,
            (field.column for field in query.update_fields),
            (field.column for field in query.unique_fields),
        )
        if "DO UPDATE" not in suffix or sql.count(suffix) != 1:
            raise UnscopedStatement(
                "this database's upsert cannot be kept to own rows", hint="update_or_create(...), row by row"
            )
        quote = operations.quote_name
        own, values = condition(table, quote(query.get_meta().db_table), context, quote)
        kept = Upsert(sql.replace(suffix, f"{suffix} WHERE {own}"))
        kept.rows = 0 if self.returning_fields else len(query.objs)
        return kept, (*params, *values)


class _Update(_Select):
    """UPDATE: own rows alone, none of them given away, none of them pointed at a foreign row."""

    def pre_sql_setup(self, *args: Any, **kwargs: Any) -> Any:
        done = super().pre_sql_setup(*args, **kwargs)  # type: ignore[misc]  # as above
        table = self._table()
        context = self._context() if table is not None and self.query.values else None
        if table is not None and context is not None:
            quote = self.connection.ops.quote_name
            own = OwnRows(*condition(table, quote(self.query.get_meta().db_table), context, quote))
            self.query.where = _all_of(own, Enclosed(self.query.where))
        return done

    def execute_sql(self, result_type: Any) -> Any:
        query, table = self.query, self._table()
        context = self._context() if table is not None and query.values else None
        if table is not None and context is not None:
            check_scope_values(query, table, context)
        keys = [
            (key, [] if held(query, field, value) else [value])
            for field, _, value in query.values
            for _, keys in references_of([field])
            for key in keys
        ]
        if keys:
            check_keys(self.connection, query, keys)
        return super().execute_sql(result_type)  # type: ignore[misc]  # as above


class _Delete(_Select):
    """DELETE: own rows alone; a link goes with either of its ends."""

    def _as_sql(self, query: Any) -> Any:
        table = self._table()
        context = self._context() if table is not None else None
        if table is not None and context is not None:
            quote = self.connection.ops.quote_name
            own = OwnRows(*condition(table, quote(query.get_meta().db_table), context, quote, any_owner=True))
            query = query.clone()
            query.where = _all_of(own, Enclosed(query.where))
        return super()._as_sql(query)  # type: ignore[misc]  # as above


class _Aggregate(_Select):
    """The outer half of an aggregate; its subquery is compiled, and restricted, by itself."""


_MIXINS: Final[dict[Any, Any]] = {
    compilers.SQLInsertCompiler: _Insert,
    compilers.SQLUpdateCompiler: _Update,
    compilers.SQLDeleteCompiler: _Delete,
    compilers.SQLAggregateCompiler: _Aggregate,
    compilers.SQLCompiler: _Select,
}
